//! `voxhall-server`: see `--help`, and docs/operations.md.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{anyhow, bail};
use clap::{Parser, Subcommand};
use voxhall_server::{
    admin::{self, cli::Admin},
    config::{Config, Flags},
    logging, server,
};
use voxhall_store::maintenance;

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
    Admin(Admin),
    /// Asks the server that runs whether all is well; for health checks of containers
    Health,
    /// Makes a backup of the data folder, whether a server uses it or not
    Backup {
        /// A folder that is not there yet
        to: PathBuf,
    },
    /// Puts a backup into the data folder; what was there is kept under other names
    Restore {
        from: PathBuf,
    },
    /// Looks for damage in the data folder, or in a backup
    Check {
        folder: Option<PathBuf>,
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
        Some(Command::Admin(admin)) => {
            let config = Config::load(cli.settings)?.config;
            print(&admin::cli::run(admin, config.admin_socket.as_deref())?)
        }
        Some(Command::Health) => {
            let config = Config::load(cli.settings)?.config;
            print(&admin::cli::health(config.admin_socket.as_deref())?)
        }
        Some(Command::Backup { to }) => {
            let backup = admin::back_up(&Config::data_folder(cli.settings)?, &to)?;
            let (path, bytes, ms) = (backup.path, backup.bytes, backup.took_ms);
            print(&format!("{path} ({bytes} bytes, {ms} ms)\n"))
        }
        Some(Command::Restore { from }) => restore(&from, &Config::data_folder(cli.settings)?),
        Some(Command::Check { folder }) => {
            let data = Config::data_folder(cli.settings)?;
            check(folder.as_deref().unwrap_or(&data))
        }
    }
}

fn restore(from: &Path, data: &Path) -> anyhow::Result<()> {
    let restored = maintenance::restore(from, data)?;
    admin::restore_files(from, data)?;
    print(&format!("Restored into {}.\n", data.display()))?;
    match restored.kept {
        Some(kept) => print(&format!(
            "What was there before is kept: {}\n",
            kept.display()
        )),
        None => Ok(()),
    }
}

fn check(folder: &Path) -> anyhow::Result<()> {
    let checked = maintenance::check(folder)?;
    if checked.all_is_well() {
        return print(&format!("{}: {checked}\n", folder.display()));
    }
    bail!(
        "{} is damaged: {checked}. Restore a backup: voxhall-server restore DIR",
        folder.display()
    )
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
        print("The settings can be used.\n")?;
    } else {
        print(&format!("{}{effective}", effective.places()))?;
    }
    Ok(())
}

/// Whoever has read enough is no reason to complain.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => bail!("can't print: {error}"),
        _ => Ok(()),
    }
}
