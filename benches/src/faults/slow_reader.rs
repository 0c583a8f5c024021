//! Somebody stops reading while others write a lot. They must not notice, and the one who doesn't read is cut off.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::{task::JoinSet, time};
use voxhall_protocol::{
    ChannelId,
    control::{Event, Incoming, SendMessage, parse_from_server},
    link::Link,
};
use voxhall_testkit::process::ServerProcess;

use super::{Args, Outcome, runtime};
use crate::{control::text_channel, wire::Wire};

const WRITERS: usize = 20;
const WRITES_EVERY: Duration = Duration::from_millis(250);
/// Enough to fill what the kernel and the server hold for one reader.
const SECONDS: u64 = 30;
const TEXT_CHARS: usize = 3_900;
/// Beside the noise of a machine with other things to do.
const ALLOWED: (f64, Duration) = (2.0, Duration::from_millis(10));

pub fn run(_: &Args) -> anyhow::Result<Outcome> {
    let server = ServerProcess::start_with(["--log", "info", "--sign-ins-per-minute", "1000"])?;
    let link: Link = server.invite().parse()?;
    runtime()?.block_on(async {
        let alone = everyone_writes(&link, "alone", 5).await?;
        let mut slow = Wire::open(&link).await?;
        let credentials = slow.guest(&link, "slow").await?;
        slow.begin(credentials.access_token).await?;
        let beside = everyone_writes(&link, "beside", SECONDS).await?;
        let cut_off = loop {
            // What lies in the kernel's buffers comes first; then the end.
            match time::timeout(Duration::from_secs(5), slow.text()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => break true,
                Err(_) => break false,
            }
        };
        let limit = alone.mul_f64(ALLOWED.0) + ALLOWED.1;
        Ok(Outcome {
            passed: cut_off && beside <= limit,
            figure: format!(
                "p99 from sending to arrival {:.1} ms with all reading, {:.1} ms beside one who does not; that one was {}",
                alone.as_secs_f64() * 1e3,
                beside.as_secs_f64() * 1e3,
                if cut_off { "cut off" } else { "NOT cut off" }
            ),
        })
    })
}

/// The 99th percentile of all times from sending to arrival.
async fn everyone_writes(link: &Link, name: &str, seconds: u64) -> anyhow::Result<Duration> {
    let mut people = Vec::new();
    for number in 0..WRITERS {
        let mut wire = Wire::open(link).await?;
        let credentials = wire.guest(link, &format!("{name} {number}")).await?;
        let ready = wire.begin(credentials.access_token).await?;
        let channel = text_channel(&ready).context("the guild has no text channel")?;
        people.push((wire, channel, number));
    }
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let mut tasks = JoinSet::new();
    for (wire, channel, number) in people {
        tasks.spawn(write_and_read(
            wire,
            channel,
            format!("{name}-{number}"),
            began,
            until,
        ));
    }
    let mut waits = Vec::new();
    while let Some(times) = tasks.join_next().await {
        waits.extend(times??);
    }
    waits.sort_unstable();
    let at = waits.len() * 99 / 100;
    waits.get(at).copied().context("nothing arrived")
}

async fn write_and_read(
    mut wire: Wire,
    channel: ChannelId,
    name: String,
    began: Instant,
    until: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut waits = Vec::new();
    let mut beat = time::interval(WRITES_EVERY);
    let filler = "x".repeat(TEXT_CHARS);
    let mut count = 0;
    while Instant::now() < until {
        tokio::select! {
            text = wire.text() => {
                if let Incoming::Event { event: Some(Event::MessageCreated { message, .. }), .. } = parse_from_server(&text?)?
                    && let Some(sent_us) = message.text.split(' ').next().and_then(|us| us.parse().ok())
                {
                    waits.push(began.elapsed().saturating_sub(Duration::from_micros(sent_us)));
                }
            }
            _ = beat.tick() => {
                let text = format!("{} {filler}", began.elapsed().as_micros());
                wire.send(&SendMessage::new(channel, text, format!("{name}-{count}"))).await?;
                count += 1;
            }
        }
    }
    Ok(waits)
}
