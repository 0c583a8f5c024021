//! The control plane of the real server under load: what an idle session costs, how fast people sign in, how fast messages are
//! acknowledged (each is synced to disk first), and how soon a message has reached everybody.
//!
//! Every connection is a real one: TLS, WebSocket, guest sign-in, `session.begin`. They all live in this process, so its own work shares
//! the machine with the server's; the server's CPU time is read from the system.

mod crowd;
pub use crowd::text_channel;
mod messages;
mod sign_ins;

use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use voxhall_protocol::link::Link;
use voxhall_testkit::process::ServerProcess;

use crate::{
    proc_fs::{self, CpuTime},
    table::{heading, row},
};

const GOAL_IDLE_KIB: f64 = 32.0;

#[derive(clap::Args)]
pub struct Args {
    /// People who write, in guilds of ten; each may write 5 messages a second for long.
    #[arg(long, default_value_t = 600)]
    users: usize,
    /// How long each thing is measured.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Sessions in one guild that all read along; also those whose memory is counted.
    #[arg(long, default_value_t = 1_000)]
    readers: usize,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    users: usize,
    readers: usize,
    logins_per_s: f64,
    messages_per_s: f64,
    ack_ms: Quantiles,
    fanout_ms: Quantiles,
    /// Copies of messages that should have arrived and did not, and that came twice.
    lost: u64,
    duplicated: u64,
    idle_session_kib: f64,
    rate_limited: u64,
    server_cpu_ms_per_login: f64,
    server_cpu_us_per_message: f64,
    synchronous: &'static str,
    load_average_before: Option<f64>,
    cpu_model: Option<String>,
}

/// Of times in milliseconds.
#[derive(Serialize, Debug, Clone, Copy, Default, PartialEq)]
pub struct Quantiles {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Quantiles {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let last = times.len().saturating_sub(1);
            let rank = (share * last as f64).round() as usize;
            times.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// What went out and what came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub lost: u64,
    pub duplicated: u64,
}

impl Tally {
    /// Of one reader: how often each of the messages arrived that are numbered up to `sent`.
    pub fn of(arrived: &[u32], sent: usize) -> Self {
        let there = arrived.iter().take(sent);
        Self {
            lost: sent.saturating_sub(arrived.len()) as u64
                + there.filter(|count| **count == 0).count() as u64,
            duplicated: arrived
                .iter()
                .map(|count| u64::from(count.saturating_sub(1)))
                .sum(),
        }
    }

    pub fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.users < 20 || args.readers < 2 || args.seconds == 0 {
        bail!("at least 20 --users, 2 --readers and 1 second are needed");
    }
    let load_average_before = proc_fs::load_average();
    let everyone = args.users + args.readers + 100;
    let server = ServerProcess::start_with([
        "--sign-ins-per-minute",
        &(everyone * 60).to_string(),
        "--pending-per-address",
        &everyone.to_string(),
        "--log",
        "warn",
    ])
    .context("can't start the server")?;
    let invite: Link = server.invite().parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let time = Duration::from_secs(args.seconds);

    println!("{} readers come in …", args.readers);
    let before_kib = proc_fs::rss_kib(server.id())?;
    let crowd = runtime.block_on(crowd::Crowd::gather(&invite, args.readers))?;
    let idle_session_kib =
        proc_fs::rss_kib(server.id())?.saturating_sub(before_kib) as f64 / args.readers as f64;
    println!("one of them writes for {} s, all read …", args.seconds);
    let (fanout, mut tally) = runtime.block_on(crowd.read_along(&invite, time))?;

    println!("{} writers come in …", args.users);
    let writers = runtime.block_on(messages::Writers::gather(&invite, args.users))?;
    println!("they write for {} s …", args.seconds);
    let cpu = CpuTime::of(server.id())?;
    let written = runtime.block_on(writers.write(time))?;
    let writing_cpu = CpuTime::of(server.id())?.since(&cpu).total();
    tally.add(written.tally);

    println!("accounts sign in for {} s …", args.seconds);
    let cpu = CpuTime::of(server.id())?;
    let logins_per_s = runtime.block_on(sign_ins::measure(&invite, time))?;
    let login_cpu = CpuTime::of(server.id())?.since(&cpu).total();

    let figures = Figures {
        users: args.users,
        readers: args.readers,
        logins_per_s,
        messages_per_s: written.acknowledged as f64 / time.as_secs_f64(),
        ack_ms: Quantiles::of(written.waits),
        fanout_ms: Quantiles::of(fanout),
        lost: tally.lost,
        duplicated: tally.duplicated,
        idle_session_kib,
        rate_limited: written.rate_limited,
        server_cpu_ms_per_login: login_cpu.as_secs_f64() * 1e3
            / (logins_per_s * time.as_secs_f64()).max(1.0),
        server_cpu_us_per_message: writing_cpu.as_secs_f64() * 1e6
            / (written.acknowledged as f64).max(1.0),
        synchronous: "FULL",
        load_average_before,
        cpu_model: proc_fs::cpu_model(),
    };
    print(&figures);
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

fn print(f: &Figures) {
    heading("Sessions");
    row(
        "idle session",
        format!("{:.1} KiB", f.idle_session_kib),
        format!(
            "goal {GOAL_IDLE_KIB} KiB ({})",
            verdict(f.idle_session_kib <= GOAL_IDLE_KIB)
        ),
    );
    row(
        "sign-ins",
        format!("{:.1} /s", f.logins_per_s),
        format!(
            "argon2id; {:.1} ms of server CPU each",
            f.server_cpu_ms_per_login
        ),
    );
    heading(format!("Messages, {} people in guilds of ten", f.users));
    row(
        "acknowledged",
        format!("{:.0} /s", f.messages_per_s),
        format!(
            "each synced to disk first; {:.0} us of server CPU each; {} refused by the rate limit",
            f.server_cpu_us_per_message, f.rate_limited
        ),
    );
    row(
        "wait for the answer, p50",
        format!("{:.1} ms", f.ack_ms.p50),
        "",
    );
    row(
        "p99",
        format!("{:.1} ms", f.ack_ms.p99),
        format!("longest {:.1}", f.ack_ms.max),
    );
    heading(format!("One message to {} sessions", f.readers));
    row(
        "from sending to arrival, p50",
        format!("{:.1} ms", f.fanout_ms.p50),
        "",
    );
    row(
        "p99",
        format!("{:.1} ms", f.fanout_ms.p99),
        format!("longest {:.1}", f.fanout_ms.max),
    );
    row("lost", f.lost, verdict(f.lost == 0));
    row("came twice", f.duplicated, verdict(f.duplicated == 0));
    if let Some(load) = f.load_average_before {
        println!("  (load average before: {load:.1})");
    }
}

fn verdict(good: bool) -> &'static str {
    if good { "reached" } else { "missed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_comes_twice_is_counted() {
        let tally = |arrived: &[u32], sent| {
            let tally = Tally::of(arrived, sent);
            (tally.lost, tally.duplicated)
        };
        assert_eq!(tally(&[1, 1, 1], 3), (0, 0));
        assert_eq!(tally(&[1, 0, 3], 3), (1, 2));
        assert_eq!(tally(&[1], 3), (2, 0));
        assert_eq!(tally(&[], 0), (0, 0));
    }

    #[test]
    fn quantiles_are_of_milliseconds() {
        let q = Quantiles::of((0..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((q.p50, q.p99, q.max), (50.0, 99.0, 100.0));
    }
}
