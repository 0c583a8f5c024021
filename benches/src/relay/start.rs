//! A server with as many voice channels as wanted, that lets everybody in from one address.

use anyhow::Context;
use voxhall_testkit::process::ServerProcess;

/// Of the guild that the first start makes.
const DEFAULT_VOICE_CHANNELS: usize = 2;

pub fn server(users: usize, channels: usize) -> anyhow::Result<ServerProcess> {
    let sign_ins = (users * 2 + 60).to_string();
    let pending = (users + 64).to_string();
    let mut server = ServerProcess::start_with([
        "--sign-ins-per-minute",
        &sign_ins,
        "--pending-per-address",
        &pending,
        "--log",
        "warn",
    ])
    .context("can't start the server")?;
    if channels > DEFAULT_VOICE_CHANNELS {
        // No client can make channels yet, so the data base gets them between two starts.
        server.terminate()?;
        add_channels(&server, channels - DEFAULT_VOICE_CHANNELS)
            .context("can't add voice channels to the server's data")?;
        server
            .restart()
            .context("can't start the server with more channels")?;
    }
    Ok(server)
}

fn add_channels(server: &ServerProcess, count: usize) -> rusqlite::Result<()> {
    let mut data = rusqlite::Connection::open(server.data().join("voxhall.db"))?;
    let transaction = data.transaction()?;
    for number in 1..=count {
        transaction.execute(
            "INSERT INTO channels (guild_id, name, kind, position, bitrate_bps)
             SELECT guild_id, 'Load ' || ?1, 'voice', max(position) + 1, max(bitrate_bps) FROM channels GROUP BY guild_id",
            [number.to_string()],
        )?;
    }
    transaction.commit()
}
