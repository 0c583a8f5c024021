//! The server is killed without warning while people write, over and over. Every acknowledged message has to be there exactly once.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rusqlite::{Connection, OpenFlags};
use tokio::{task::JoinSet, time};
use voxhall_protocol::{
    ChannelId, SecretText,
    control::{Message, Refresh, SendMessage},
    link::Link,
};
use voxhall_testkit::process::ServerProcess;

use super::{Args, Outcome, runtime};
use crate::{control::text_channel, wire::Wire};

const WRITERS: usize = 4;
const READY_WITHIN: Duration = Duration::from_secs(3);
/// The server is killed after a time between these two, which differs from round to round.
const KILLED_AFTER_MS: (u64, u64) = (20, 180);

struct Writer {
    refresh_token: SecretText,
    number: usize,
    /// The next message; one that was not acknowledged keeps its nonce.
    next: u64,
    acknowledged: Vec<(u64, String)>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut server =
        ServerProcess::start_with(["--sign-ins-per-minute", "100000", "--log", "warn"])?;
    let link: Link = server.invite().parse()?;
    let runtime = runtime()?;
    let mut writers = runtime.block_on(async {
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let mut wire = Wire::open(&link).await?;
            let credentials = wire.guest(&link, &format!("writer {number}")).await?;
            writers.push(Writer {
                refresh_token: credentials.refresh_token,
                number,
                next: 0,
                acknowledged: Vec::new(),
            });
        }
        anyhow::Ok(writers)
    })?;
    let mut slowest = Duration::ZERO;
    for round in 0..args.kills {
        let (from, to) = KILLED_AFTER_MS;
        // Spread evenly over the range, in an order that repeats nothing soon.
        let after = Duration::from_millis(from + u64::from(round).wrapping_mul(37) % (to - from));
        writers = runtime.block_on(async {
            let mut writing = JoinSet::new();
            for writer in writers {
                writing.spawn(writer.write(link.clone()));
            }
            time::sleep(after).await;
            server.kill9()?;
            let mut writers = Vec::new();
            while let Some(writer) = writing.join_next().await {
                writers.push(writer??);
            }
            anyhow::Ok(writers)
        })?;
        let began = Instant::now();
        server.restart()?;
        runtime.block_on(Wire::open(&link))?;
        slowest = slowest.max(began.elapsed());
    }
    server.terminate()?;
    let (missing, twice) = check(&server, &writers)?;
    let acknowledged: usize = writers.iter().map(|w| w.acknowledged.len()).sum();
    ensure!(
        acknowledged > args.kills as usize,
        "next to nothing was written ({acknowledged})"
    );
    Ok(Outcome {
        passed: missing == 0 && twice == 0 && slowest <= READY_WITHIN,
        figure: format!(
            "killed {} times: {acknowledged} messages acknowledged, {missing} of them missing, {twice} there twice; ready again in {:.2} s at most (goal {} s)",
            args.kills,
            slowest.as_secs_f64(),
            READY_WITHIN.as_secs()
        ),
    })
}

impl Writer {
    /// Writes until the server is gone.
    async fn write(mut self, link: Link) -> anyhow::Result<Self> {
        let Ok(mut wire) = Wire::open(&link).await else {
            return Ok(self);
        };
        let refresh = Refresh {
            refresh_token: self.refresh_token.clone(),
        };
        // Killed before the answer came: the token of before is good for a retry.
        let Ok(credentials) = wire.call(&refresh).await else {
            return Ok(self);
        };
        self.refresh_token = credentials.refresh_token;
        let Ok(ready) = wire.begin(credentials.access_token).await else {
            return Ok(self);
        };
        let channel = text_channel(&ready).context("the guild has no text channel")?;
        while self.write_one(&mut wire, channel).await.is_ok() {}
        Ok(self)
    }

    async fn write_one(&mut self, wire: &mut Wire, channel: ChannelId) -> anyhow::Result<()> {
        let nonce = format!("{}-{}", self.number, self.next);
        let send = SendMessage::new(channel, format!("message {nonce}"), nonce.clone());
        let message: Message = wire.call(&send).await?;
        self.acknowledged.push((message.id.0, nonce));
        self.next += 1;
        Ok(())
    }
}

/// Acknowledged messages that are missing, and messages that are there more than once.
fn check(server: &ServerProcess, writers: &[Writer]) -> anyhow::Result<(u64, u64)> {
    let path = server.data().join("voxhall.db");
    let data = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let whole: String = data.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(whole == "ok", "the data base is damaged: {whole}");
    let mut missing = 0_u64;
    for (id, nonce) in writers.iter().flat_map(|writer| &writer.acknowledged) {
        let found: u32 = data.query_row(
            "SELECT count(*) FROM messages WHERE id = ?1 AND nonce = ?2",
            (id.cast_signed(), nonce),
            |row| row.get(0),
        )?;
        missing += u64::from(found != 1);
    }
    let twice: u32 = data.query_row(
        "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) n FROM messages GROUP BY text)",
        [],
        |row| row.get(0),
    )?;
    Ok((missing, twice.into()))
}
