//! Things that go wrong, done to the real server on purpose; each has a criterion, and a figure beside it.

mod disk;
mod drain;
mod hostile;
mod killed;
mod lost_control;
mod network;
mod slow_reader;

use anyhow::bail;
use serde::Serialize;

use crate::table::{heading, row};

type Run = fn(&Args) -> anyhow::Result<Outcome>;

/// By name; each starts a server of its own.
const FAULTS: &[(&str, Run)] = &[
    ("killed", killed::run),
    ("control_cut", lost_control::run),
    ("slow_reader", slow_reader::run),
    ("disk_full", disk::full),
    ("database_locked", disk::locked),
    ("drain", drain::run),
    ("loss", network::loss),
    ("rebinding", network::rebinding),
    ("udp_blocked", network::udp_blocked),
    ("websocket_stalled", network::websocket_stalled),
    ("hostile", hostile::run),
];

#[derive(clap::Args)]
pub struct Args {
    /// Only these, by name; all where none is named.
    faults: Vec<String>,
    /// How often the server is killed in the midst of writing.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// For how long the control connection is away.
    #[arg(long, default_value_t = 60)]
    cut_s: u64,
    /// Hostile datagrams, and how many a second.
    #[arg(long, default_value_t = 10_000_000)]
    hostile: u64,
    #[arg(long, default_value_t = 100_000)]
    hostile_per_s: u64,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

/// What became of it.
struct Outcome {
    passed: bool,
    figure: String,
}

#[derive(Serialize)]
struct Figures {
    faults: Vec<Fault>,
}

#[derive(Serialize)]
struct Fault {
    name: &'static str,
    passed: bool,
    figure: String,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let known = |name: &String| FAULTS.iter().any(|(known, _)| known == name);
    if let Some(unknown) = args.faults.iter().find(|name| !known(name)) {
        let names: Vec<_> = FAULTS.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no fault {unknown:?}; there are {}",
            names.join(", ")
        );
    }
    heading("Faults");
    let mut faults = Vec::new();
    for (name, run) in FAULTS {
        if !args.faults.is_empty() && !args.faults.iter().any(|wanted| wanted == name) {
            continue;
        }
        // What could not be done at all has not passed either.
        let outcome = run(args).unwrap_or_else(|error| Outcome {
            passed: false,
            figure: format!("could not be tried: {error:#}"),
        });
        row(
            name,
            if outcome.passed { "passed" } else { "FAILED" },
            &outcome.figure,
        );
        faults.push(Fault {
            name,
            passed: outcome.passed,
            figure: outcome.figure,
        });
    }
    let all = faults.iter().all(|fault| fault.passed);
    if args.json {
        println!("{}", serde_json::to_string(&Figures { faults })?);
    }
    if !all {
        bail!("not every fault was withstood");
    }
    Ok(())
}

/// One thread is enough for what these faults need.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
