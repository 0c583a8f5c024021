//! A server with as many voice channels as wanted, that lets everybody in from one address, and as much sound as is sent.

use anyhow::Context;
use voxhall_protocol::{
    control::{Channel, ChannelKind, CreateChannel, UpdateChannel},
    limits::BITRATE_BPS,
    link::Link,
};
use voxhall_testkit::process::ServerProcess;

use crate::wire::Wire;

/// `sound_bps`: of one speaker.
pub fn server(users: usize, channels: usize, sound_bps: u32) -> anyhow::Result<ServerProcess> {
    let sign_ins = (users * 2 + 60).to_string();
    let pending = (users + 64).to_string();
    let server = ServerProcess::start_with([
        "--sign-ins-per-minute",
        &sign_ins,
        "--pending-per-address",
        &pending,
        "--log",
        "warn",
    ])
    .context("can't start the server")?;
    let owner = server.owner().context("a new server has an owner link")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(prepare(&owner.parse()?, channels, sound_bps))
        .context("can't prepare the voice channels")?;
    Ok(server)
}

async fn prepare(owner: &Link, channels: usize, sound_bps: u32) -> anyhow::Result<()> {
    let mut wire = Wire::open(owner).await?;
    let credentials = wire.guest(owner, "host").await?;
    let ready = wire.begin(credentials.access_token).await?;
    let guild = ready.guilds.first().context("the owner is in no guild")?;
    let voice = |channel: &&Channel| channel.kind == ChannelKind::Voice;
    let mut all: Vec<_> = guild.channels.iter().filter(voice).cloned().collect();
    for number in all.len()..channels {
        let channel = wire
            .call(&CreateChannel {
                guild_id: guild.id,
                name: format!("Load {number}"),
                kind: ChannelKind::Voice,
                category_id: None,
            })
            .await?;
        all.push(channel);
    }
    for channel in all {
        if channel.bitrate_bps < sound_bps {
            wire.call(&UpdateChannel {
                channel_id: channel.id,
                name: None,
                topic: None,
                slow_mode_s: None,
                retention_days: None,
                user_limit: None,
                bitrate_bps: Some(sound_bps.min(*BITRATE_BPS.end())),
            })
            .await?;
        }
    }
    Ok(())
}
