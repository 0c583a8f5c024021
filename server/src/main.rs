//! `voxhall-server`: see `--help`, and docs/operations.md.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::EnvFilter;
use voxhall_server::{
    config::{Args, Config},
    server,
};

fn main() -> ExitCode {
    match start(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voxhall-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let filter = log_filter(&config.log)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the system refuses to start threads")?;
    runtime.block_on(server::run(config))?;
    Ok(())
}

/// What was asked for; but libraries that would write down what passes through them, passwords included, stay quiet.
fn log_filter(wanted: &str) -> anyhow::Result<EnvFilter> {
    let mut filter = EnvFilter::try_new(wanted)
        .with_context(|| format!("the log filter {wanted:?} can't be read"))?;
    for quiet in [
        "tungstenite=info",
        "tokio_tungstenite=info",
        "hyper=info",
        "rustls=info",
    ] {
        filter = filter.add_directive(quiet.parse().context("a directive of our own")?);
    }
    Ok(filter)
}
