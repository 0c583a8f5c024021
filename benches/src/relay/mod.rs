//! The real server under load, beside a bare forwarder that does nothing but receive and send.
//!
//! Three processes: this one starts the others and reads their CPU time; the load (`relay-load`) is every user at once, who join as
//! any client does; the bare forwarder (`relay-bare`) gets the same packets in the same run, in turns with the server, so
//! that what else the machine does hits both alike.

mod bare;
mod figures;
mod highest;
mod load;
mod mumble;
mod start;
mod talk;

use std::time::Duration;

use anyhow::{Context, bail};
use voxhall_protocol::{
    limits::{MAX_STAGE_PEOPLE, MAX_VOICE_PARTICIPANTS},
    voice::Carrier,
};

pub use bare::run as run_bare;
pub use load::run as run_load;

use crate::proc_fs::{self, CpuTime, UdpDrops};
use figures::{Cost, Figures, Measured};
use mumble::MumbleServer;
use talk::{Child, FromLoad, Plan, Report, Target};

/// No turn is longer, so that server and bare forwarder meet the same weather.
const LONGEST_TURN: Duration = Duration::from_secs(5);
/// What the relay allows one speaker (`voxhall_relay::Limits`): more would measure its refusals.
const MAX_PPS: u32 = 400;
/// Sound of a speaker on a stage, bit/s; a channel's can be set.
const STAGE_BPS: u32 = 64_000;
/// RTP and SFrame headers, both tags.
const OVERHEAD_BYTES: u32 = 12 + 9 + 16 + 10;

#[derive(clap::Args, Clone)]
pub struct Args {
    /// People in voice channels, in all.
    #[arg(long, default_value_t = 50)]
    users: usize,
    /// Voice channels, filled evenly.
    #[arg(long, default_value_t = 1)]
    channels: usize,
    /// How many of each channel speak, all the time.
    #[arg(long, default_value_t = 1)]
    speakers: usize,
    /// A stage room instead of channels: the others listen, and are forwarded nothing from.
    #[arg(long)]
    stage: bool,
    /// How long the server is measured; the bare forwarder as long again...
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// ...but for no longer than this, rounded up to whole turns of at most 5 s.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    baseline_seconds: Option<u64>,
    /// Packets a second of each speaker.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PPS)))]
    pps: u32,
    /// Length of the "Opus" frame; its first bytes are the send time.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u16).range(load::MIN_PAYLOAD..=1_200))]
    bytes: u16,
    /// How datagrams travel.
    #[arg(long, default_value = "udp")]
    carrier: Carrier,
    /// Another server that gets the same load in the same run.
    #[arg(long, value_enum)]
    against: Option<Against>,
    /// Raise `--pps` step by step, to the highest rate that is held; each step is measured as without.
    #[arg(long)]
    highest: bool,
    /// Tell the server that the clients can't read bundles.
    #[arg(long)]
    no_bundles: bool,
    /// The speakers of a channel send at the same moment, as if each had been told when; otherwise all are spread evenly.
    #[arg(long)]
    together: bool,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Against {
    /// Debian's `mumble-server`.
    Mumble,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.highest {
        return highest::run(args);
    }
    let (figures, report) = measure(args)?;
    figures::print(&figures, &report);
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

fn measure(args: &Args) -> anyhow::Result<(Figures, Report)> {
    check(args)?;
    let server = start::server(args.users, args.channels, sound_bps(args))?;
    let rss_before_kib = proc_fs::rss_kib(server.id())?;
    let mumble = match args.against {
        Some(Against::Mumble) => Some(MumbleServer::start(args.users)?),
        None => None,
    };
    let load_before = proc_fs::load_average();

    let mut load = Child::start("relay-load")?;
    load.tell(&plan(args, server.invite(), mumble.as_ref()))?;
    println!("{} users join …", args.users);
    let FromLoad::Joined {
        addresses,
        joined_s,
    } = load.hear()?
    else {
        bail!("the load did not start with joining");
    };
    let rss_after_kib = proc_fs::rss_kib(server.id())?;
    let mut bare = Child::start("relay-bare")?;
    bare.tell(&addresses)?;
    load.tell(&bare.hear::<talk::BareAddress>()?)?;

    let mut mumble_rss_kib = 0;
    if let Some(mumble) = &mumble {
        let before = proc_fs::rss_kib(mumble.id())?;
        println!("{} users join Mumble's server …", args.users);
        let FromLoad::JoinedMumble { .. } = load.hear()? else {
            bail!("the load did not join Mumble's server");
        };
        mumble_rss_kib = proc_fs::rss_kib(mumble.id())?.saturating_sub(before);
    }

    let targets = 2 + u64::from(mumble.is_some());
    println!(
        "measuring {targets} servers in turn, ours for {} s …",
        args.seconds
    );
    let mut server_cost = Cost::default();
    let mut bare_cost = Cost::default();
    let mut mumble_cost = Cost::default();
    let server_port = server.udp_address().port();
    let report = loop {
        match load.hear()? {
            FromLoad::Begins(target) => {
                let (pid, cost) = match target {
                    Target::Server => (server.id(), &mut server_cost),
                    Target::Bare => (bare.id(), &mut bare_cost),
                    Target::Mumble => {
                        let mumble = mumble.as_ref().context("nobody is on Mumble's server")?;
                        (mumble.id(), &mut mumble_cost)
                    }
                };
                let (cpu, drops) = (CpuTime::of(pid)?, UdpDrops::now(server_port));
                if FromLoad::Ends(target) != load.hear()? {
                    bail!("the load lost its thread");
                }
                cost.add(
                    &CpuTime::of(pid)?.since(&cpu),
                    &UdpDrops::now(server_port).since(&drops),
                );
            }
            FromLoad::Done(report) => break *report,
            FromLoad::Joined { .. } | FromLoad::JoinedMumble { .. } | FromLoad::Ends(_) => {
                bail!("the load lost its thread")
            }
        }
    };
    let rss_of_each = |kib: u64| kib.saturating_sub(rss_before_kib) as f64 / args.users as f64;
    let figures = figures::figures(&Measured {
        args,
        report: &report,
        server: &server_cost,
        bare: &bare_cost,
        mumble: &mumble_cost,
        mumble_rss_kib_per_user: mumble_rss_kib as f64 / args.users as f64,
        rss_kib_per_user: rss_of_each(rss_after_kib),
        rss_end_kib_per_user: rss_of_each(proc_fs::rss_kib(server.id())?),
        joined_s,
        load_before,
    });
    Ok((figures, report))
}

fn check(args: &Args) -> anyhow::Result<()> {
    let each = args
        .users
        .checked_div(args.channels)
        .context("there has to be a channel")?;
    if args.speakers == 0 || args.seconds == 0 {
        bail!("somebody has to speak for some time");
    }
    if each < args.speakers.max(2) {
        bail!(
            "{} users in {} channels are too few: each needs its speakers and a listener",
            args.users,
            args.channels
        );
    }
    if args.stage && (args.channels != 1 || args.against.is_some()) {
        bail!(
            "a stage is one room, and Mumble's server has none: leave out --channels and --against"
        );
    }
    if args.stage && args.users > MAX_STAGE_PEOPLE {
        bail!("a stage holds {MAX_STAGE_PEOPLE} people; take fewer --users");
    }
    if !args.stage && args.users.div_ceil(args.channels) > MAX_VOICE_PARTICIPANTS {
        bail!("a channel holds {MAX_VOICE_PARTICIPANTS} people; take more --channels");
    }
    // It holds speakers to half as much again.
    if args.stage && sound_bps(args) > STAGE_BPS * 3 / 2 {
        bail!("a stage takes {STAGE_BPS} bit/s of sound; take fewer --pps or --bytes");
    }
    let most = most_pps(args.bytes);
    if args.pps > most {
        bail!(
            "a speaker may send {most} packets a second of {} bytes; take fewer --pps",
            args.bytes
        );
    }
    Ok(())
}

/// Of one speaker, without headers.
fn sound_bps(args: &Args) -> u32 {
    args.pps * u32::from(args.bytes) * 8
}

/// What the relay allows one speaker.
fn most_pps(bytes: u16) -> u32 {
    let allowed = voxhall_relay::Limits::default().bytes_per_s;
    MAX_PPS.min(allowed / (u32::from(bytes) + OVERHEAD_BYTES))
}

fn plan(args: &Args, link: &str, mumble: Option<&MumbleServer>) -> Plan {
    let whole = Duration::from_secs(args.seconds);
    let turns = whole.as_millis().div_ceil(LONGEST_TURN.as_millis()) as u32;
    let turn = whole / turns;
    let baseline = args.baseline_seconds.map_or(whole, Duration::from_secs);
    let bare_turns = baseline.as_millis().div_ceil(turn.as_millis()) as u32;
    Plan {
        link: link.to_owned(),
        users: args.users,
        channels: args.channels,
        speakers: args.speakers,
        stage: args.stage,
        pps: args.pps,
        bytes: args.bytes.into(),
        bundles: !args.no_bundles,
        together: args.together,
        carrier: args.carrier.to_string(),
        turns,
        bare_turns: bare_turns.clamp(1, turns),
        turn_ms: turn.as_millis() as u64,
        mumble: mumble.map(|server| server.at().clone()),
    }
}
