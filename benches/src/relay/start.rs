//! A server with as many voice channels as wanted, that lets everybody in from one address.

use anyhow::Context;
use voxhall_protocol::{
    control::{ChannelKind, CreateChannel},
    link::Link,
};
use voxhall_testkit::process::ServerProcess;

use crate::wire::Wire;

/// Of the guild that the first start makes.
const DEFAULT_VOICE_CHANNELS: usize = 2;

pub fn server(users: usize, channels: usize) -> anyhow::Result<ServerProcess> {
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
    if channels > DEFAULT_VOICE_CHANNELS {
        let owner = server.owner().context("a new server has an owner link")?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(add_channels(
                &owner.parse()?,
                channels - DEFAULT_VOICE_CHANNELS,
            ))
            .context("can't make more voice channels")?;
    }
    Ok(server)
}

async fn add_channels(owner: &Link, count: usize) -> anyhow::Result<()> {
    let mut wire = Wire::open(owner).await?;
    let credentials = wire.guest(owner, "host").await?;
    let ready = wire.begin(credentials.access_token).await?;
    let guild = ready.guilds.first().context("the owner is in no guild")?.id;
    for number in 1..=count {
        wire.call(&CreateChannel {
            guild_id: guild,
            name: format!("Load {number}"),
            kind: ChannelKind::Voice,
            category_id: None,
        })
        .await?;
    }
    Ok(())
}
