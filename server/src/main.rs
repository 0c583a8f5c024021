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
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("the log filter {:?} can't be read", config.log))?;
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
