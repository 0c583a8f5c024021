//! `voxhall-server`: see `--help`, and docs/operations.md.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use voxhall_server::{
    config::{Config, Flags},
    logging, server,
};

/// The voice server of Voxhall. Without any flag it makes what it needs, starts, and prints an invite link.
#[derive(Debug, Parser)]
#[command(name = "voxhall-server", version, after_help = MORE)]
struct Cli {
    #[command(flatten)]
    settings: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

const MORE: &str = "Each setting can also be an environment variable (--server-name is VOXHALL_SERVER_NAME) or a key of the config file \
    (server_name). What counts, and why: voxhall-server config";

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the settings in force, and where each comes from
    Config {
        /// Only says whether they can be used
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Each error's own words have its cause in them.
            eprintln!("voxhall-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => serve(cli.settings),
        Some(Command::Config { check }) => show_config(cli.settings, check),
    }
}

fn serve(settings: Flags) -> anyhow::Result<()> {
    let config = Config::load(settings)?.config;
    let log = logging::init(&config.log, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow!("the system refuses to start threads: {error}"))?;
    let ended = runtime.block_on(server::run(config, log));
    // Whoever is still hashing a password keeps nobody waiting.
    runtime.shutdown_background();
    Ok(ended?)
}

fn show_config(settings: Flags, check: bool) -> anyhow::Result<()> {
    let effective = Config::load(settings)?;
    if check {
        println!("The settings can be used.");
    } else {
        print!("{}{effective}", effective.places());
    }
    Ok(())
}
