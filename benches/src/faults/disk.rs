//! The server can't write: its disk is full, or something has locked its data base. Who sends is told so, voice goes on, and it all works
//! again without a new start.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::time;
use voxhall_protocol::{
    ChannelId,
    control::{FailureKind, Message, SendMessage},
    link::Link,
};
use voxhall_testkit::{
    process::{BotProcess, ServerProcess},
    signal, wav,
};

use super::{Args, Outcome, runtime};
use crate::{control::text_channel, wire::Wire};

const DISK_MIB: u64 = 16;
/// How long nothing can be written.
const TROUBLE: Duration = Duration::from_secs(6);
const TALK_S: u32 = 14;
const RATE_HZ: u32 = 48_000;
/// A refusal that comes later is no clear word.
const REFUSED_WITHIN: Duration = Duration::from_secs(6);

pub fn full(_: &Args) -> anyhow::Result<Outcome> {
    let mut disk = None;
    let server = ServerProcess::start_prepared(
        |data| {
            disk = Some(SmallDisk::mount(data)?);
            Ok(())
        },
        ["--log", "error"],
    )?;
    let disk = disk.context("mounted above")?;
    let outcome = trouble(&server, || {
        let filler = disk.0.join("filler");
        // As many bytes as the disk takes, one block after the other.
        let written = (0..DISK_MIB * 256).try_for_each(|_| append(&filler, &[0; 4_096]));
        ensure!(written.is_err(), "the disk did not fill");
        Ok(move || fs::remove_file(&filler).map_err(anyhow::Error::from))
    });
    drop(server);
    outcome
}

pub fn locked(_: &Args) -> anyhow::Result<Outcome> {
    let server = ServerProcess::start_with(["--log", "error"])?;
    trouble(&server, || {
        let other = rusqlite::Connection::open(server.data().join("voxhall.db"))?;
        other.execute_batch("BEGIN IMMEDIATE")?;
        Ok(move || other.execute_batch("ROLLBACK").map_err(anyhow::Error::from))
    })
}

/// Two people talk and one writes while `begin` makes trouble, which what it returns ends.
fn trouble<End: FnOnce() -> anyhow::Result<()>>(
    server: &ServerProcess,
    begin: impl FnOnce() -> anyhow::Result<End>,
) -> anyhow::Result<Outcome> {
    let link: Link = server.invite().parse()?;
    let sounds = tempfile::tempdir()?;
    let speech = sounds.path().join("speech.wav");
    wav::save(&speech, RATE_HZ, &signal::speech(1, RATE_HZ, TALK_S.into()))?;
    let talk = |name: &str| {
        let seconds = TALK_S.to_string();
        let play = speech.display().to_string();
        BotProcess::join(
            server.invite(),
            name,
            ["--play", &play, "--open", "--seconds", &seconds],
        )
    };
    let (ann, bob) = (talk("ann")?, talk("bob")?);
    let (refusals, recovered) = runtime()?.block_on(async {
        let mut wire = Wire::open(&link).await?;
        let credentials = wire.guest(&link, "writer").await?;
        let ready = wire.begin(credentials.access_token).await?;
        let channel = text_channel(&ready).context("the guild has no text channel")?;
        time::sleep(Duration::from_secs(2)).await;
        write(&mut wire, channel, "before")
            .await?
            .map_err(anyhow::Error::from)?;

        let end = begin()?;
        let until = Instant::now() + TROUBLE;
        let mut refusals = Vec::new();
        while Instant::now() < until {
            let began = Instant::now();
            let nonce = format!("trouble {}", refusals.len());
            match write(&mut wire, channel, &nonce).await? {
                // What was in the file before still takes a few.
                Ok(_) => {}
                Err(failure) => refusals.push((failure, began.elapsed())),
            }
            time::sleep(Duration::from_millis(300)).await;
        }
        end()?;
        let began = Instant::now();
        let recovered = loop {
            if write(&mut wire, channel, "after").await?.is_ok() {
                break began.elapsed();
            }
            if began.elapsed() > Duration::from_secs(30) {
                bail!("nothing can be written after the trouble is over");
            }
            time::sleep(Duration::from_millis(200)).await;
        };
        anyhow::Ok((refusals, recovered))
    })?;
    let mut delivery: f64 = 1.0;
    for bot in [ann, bob] {
        let stats = bot.finish(Duration::from_secs(60))?;
        let speakers = stats["speakers"].as_array().context("no statistics")?;
        let lowest = speakers
            .iter()
            .filter_map(|speaker| speaker["delivery"].as_f64());
        delivery = lowest.fold(delivery, f64::min);
        ensure!(!speakers.is_empty(), "a bot heard nobody");
    }
    let clear = refusals
        .iter()
        .all(|(failure, _)| failure.kind() == FailureKind::Unavailable);
    let slowest = refusals
        .iter()
        .map(|(_, after)| *after)
        .max()
        .unwrap_or_default();
    let words = refusals.first().map_or("", |(failure, _)| &failure.message);
    Ok(Outcome {
        passed: !refusals.is_empty() && clear && slowest <= REFUSED_WITHIN && delivery > 0.999,
        figure: format!(
            "{} refusals ({words:?}) after {:.1} s at most; voice delivered {:.2} %; works again {:.1} s after",
            refusals.len(),
            slowest.as_secs_f64(),
            delivery * 100.0,
            recovered.as_secs_f64()
        ),
    })
}

async fn write(
    wire: &mut Wire,
    channel: ChannelId,
    nonce: &str,
) -> anyhow::Result<Result<Message, voxhall_protocol::control::Failure>> {
    let send = SendMessage::new(channel, "x".repeat(3_000), nonce);
    let id = wire.send(&send).await?;
    wire.answer(id, |_| ()).await
}

/// A file system in memory that takes little.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> io::Result<Self> {
        let size = format!("size={DISK_MIB}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .status()?;
        if !mounted.success() {
            return Err(io::Error::other("only root can mount a small disk to fill"));
        }
        Ok(Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The server's process may need a moment to let go of it, so lazily.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.write_all(bytes)
}
