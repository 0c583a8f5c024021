//! A reader's control connection is cut in a busy channel and comes back by resuming: nothing lost, nothing twice.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::time;
use voxhall_protocol::{
    control::{Event, FailureKind, Incoming, Refresh, Resume, SendMessage, parse_from_server},
    link::Link,
};
use voxhall_testkit::{
    process::ServerProcess,
    proxy::{Path, Proxy},
};

use super::{Args, Outcome, runtime};
use crate::{
    control::{Tally, text_channel},
    wire::Wire,
};

const WRITES_EVERY: Duration = Duration::from_millis(250);
const BEFORE_AND_AFTER: Duration = Duration::from_secs(2);
const RETRY_EVERY: Duration = Duration::from_millis(100);

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let server = ServerProcess::start_with(["--log", "warn"])?;
    let proxy = Proxy::start(server.address(), Path::default(), 1)?;
    let direct: Link = server.invite().parse()?;
    let through: Link = proxy.through(server.invite()).parse()?;
    let cut = Duration::from_secs(args.cut_s);
    runtime()?.block_on(async {
        let whole_time = BEFORE_AND_AFTER * 2 + cut;
        let reading = tokio::spawn(read(through, whole_time + BEFORE_AND_AFTER));
        let cutting = async {
            time::sleep(BEFORE_AND_AFTER).await;
            proxy.allow_control(false);
            time::sleep(cut).await;
            proxy.allow_control(true);
        };
        let (sent, ()) = tokio::join!(write(&direct, whole_time), cutting);
        let sent = sent?;
        let seen = reading.await??;
        let mut counts = vec![0; sent];
        for number in &seen.numbers {
            if let Some(count) = counts.get_mut(*number) {
                *count += 1;
            }
        }
        let tally = Tally::of(&counts, sent);
        let in_order = seen.numbers.is_sorted();
        Ok(Outcome {
            passed: tally == Tally::default() && in_order && seen.resumed == 1,
            figure: format!(
                "away for {} s: of {sent} messages {} lost, {} twice, {}; {} events replayed {:.0} ms after the line was back",
                args.cut_s,
                tally.lost,
                tally.duplicated,
                if in_order { "all in order" } else { "OUT OF ORDER" },
                seen.missed,
                seen.back_after.as_secs_f64() * 1e3
            ),
        })
    })
}

async fn write(link: &Link, how_long: Duration) -> anyhow::Result<usize> {
    let mut wire = Wire::open(link).await?;
    let credentials = wire.guest(link, "writer").await?;
    let ready = wire.begin(credentials.access_token).await?;
    let channel = text_channel(&ready).context("the guild has no text channel")?;
    // The reader needs a moment to be there.
    time::sleep(Duration::from_secs(1)).await;
    let until = Instant::now() + how_long;
    let mut beat = time::interval(WRITES_EVERY);
    let mut sent = 0;
    while Instant::now() < until {
        beat.tick().await;
        let message = SendMessage::new(channel, sent.to_string(), format!("busy {sent}"));
        wire.call(&message).await?;
        sent += 1;
    }
    Ok(sent)
}

#[derive(Default)]
struct Seen {
    numbers: Vec<usize>,
    resumed: u32,
    missed: u64,
    /// From the first attempt that reached the server to the answer.
    back_after: Duration,
}

/// As any client does: reads, and resumes when the connection is lost.
async fn read(link: Link, how_long: Duration) -> anyhow::Result<Seen> {
    let until = Instant::now() + how_long;
    let mut wire = Wire::open(&link).await?;
    let mut credentials = wire.guest(&link, "reader").await?;
    let ready = wire.begin(credentials.access_token.clone()).await?;
    let mut seq = ready.seq;
    let mut seen = Seen::default();
    loop {
        let text = match time::timeout_at(until.into(), wire.text()).await {
            Err(_) => return Ok(seen),
            Ok(Ok(text)) => text,
            Ok(Err(_)) => {
                wire = loop {
                    time::sleep(RETRY_EVERY).await;
                    if let Ok(wire) = Wire::open(&link).await {
                        break wire;
                    }
                };
                let began = Instant::now();
                let refresh = Refresh {
                    refresh_token: credentials.refresh_token.clone(),
                };
                credentials = wire.call(&refresh).await?;
                let id = wire
                    .send(&Resume {
                        access_token: credentials.access_token.clone(),
                        session: ready.session.clone(),
                        seq,
                    })
                    .await?;
                // Events may not come before the answer.
                match wire
                    .answer::<voxhall_protocol::control::Resumed>(id, |_| ())
                    .await?
                {
                    Ok(resumed) => {
                        seen.resumed += 1;
                        seen.missed = resumed.missed;
                        seen.back_after = began.elapsed();
                    }
                    Err(failure) if failure.kind() == FailureKind::FullSyncNeeded => {
                        bail!("the server asked for a full sync")
                    }
                    Err(failure) => bail!("could not resume: {failure}"),
                }
                continue;
            }
        };
        if let Incoming::Event { seq: number, event } = parse_from_server(&text)? {
            seq = number;
            if let Some(Event::MessageCreated { message, .. }) = event
                && let Ok(number) = message.text.parse()
            {
                seen.numbers.push(number);
            }
        }
    }
}
