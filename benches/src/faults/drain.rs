//! The server is asked to stop: everyone is told when to come back, not all at once, and nothing acknowledged is lost.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::{task::JoinSet, time};
use voxhall_protocol::{
    control::{Event, Incoming, parse_from_server},
    link::Link,
};
use voxhall_testkit::process::ServerProcess;

use super::{Args, Outcome, runtime};
use crate::wire::Wire;

const PEOPLE: usize = 50;
const STOPS_WITHIN: Duration = Duration::from_secs(10);

pub fn run(_: &Args) -> anyhow::Result<Outcome> {
    let mut server = ServerProcess::start_with(["--sign-ins-per-minute", "1000", "--log", "warn"])?;
    let link: Link = server.invite().parse()?;
    runtime()?.block_on(async {
        let mut waiting = JoinSet::new();
        for number in 0..PEOPLE {
            let mut wire = Wire::open(&link).await?;
            let credentials = wire.guest(&link, &format!("guest {number}")).await?;
            wire.begin(credentials.access_token).await?;
            waiting.spawn(told_to_come_back(wire));
        }
        let began = Instant::now();
        let stopping = tokio::task::spawn_blocking(move || server.terminate());
        let mut pauses = Vec::new();
        while let Some(told) = waiting.join_next().await {
            pauses.push(told??);
        }
        let status = stopping.await??;
        let took = began.elapsed();
        ensure!(status.success(), "the server ended with {status}");
        let first = pauses.iter().min().context("there are people")?;
        let last = pauses.iter().max().context("there are people")?;
        Ok(Outcome {
            passed: took <= STOPS_WITHIN && last - first >= 500,
            figure: format!(
                "{PEOPLE} told to come back after {first} to {last} ms; stopped in {:.1} s",
                took.as_secs_f64()
            ),
        })
    })
}

/// Milliseconds, as the server said before it hung up.
async fn told_to_come_back(mut wire: Wire) -> anyhow::Result<u32> {
    loop {
        let text = time::timeout(STOPS_WITHIN, wire.text())
            .await
            .context("the server said nothing before it stopped")??;
        if let Incoming::Event {
            event: Some(Event::SessionClosed {
                reconnect_after_ms, ..
            }),
            ..
        } = parse_from_server(&text)?
        {
            return Ok(reconnect_after_ms);
        }
    }
}
