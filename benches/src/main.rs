//! `voxhall-bench`: measures the real programs. Tables for people; with `--json` one JSON object on the last line.
//!
//! Every command starts what it needs on loopback and free ports, and cleans up. `docs/benchmarks.md` says what each figure means.

mod app_frame;
mod app_window;
mod client;
mod control;
mod faults;
mod jitter;
mod mouth_to_ear;
mod proc_fs;
mod quality;
mod relay;
mod table;
mod udp;
mod voice_cpu;
mod wire;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "voxhall-bench",
    version,
    about = "Measures Voxhall: the real server, the real client, real sockets."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Delay from one person's microphone to another's ear, software part.
    MouthToEar(mouth_to_ear::Args),
    /// What the server costs and adds under load.
    Relay(relay::Args),
    /// Jitter buffers on simulated networks: ours beside NetEQ's logic, a fixed one, and what can be had at best.
    Jitter(jitter::Args),
    /// What speech sounds like after losses: WAVs for ears, scored by models of ears.
    Quality(quality::Args),
    /// What one client's voice costs of a core.
    VoiceCpu(voice_cpu::Args),
    /// What the desktop app costs beside a blank window: a frame, the first one, memory, and doing nothing.
    Client(app_frame::Args),
    /// Sign-ins, messages and their way to everyone, and what an idle session costs.
    Control(control::Args),
    /// What the system takes for a datagram, one a call and many a call.
    Udp(udp::Args),
    /// Breaks things on purpose, and sees whether what was promised holds.
    Faults(faults::Args),
    #[command(hide = true)]
    ClientBlank,
    #[command(hide = true)]
    RelayLoad,
    #[command(hide = true)]
    RelayBare,
    #[command(hide = true)]
    VoiceCpuClient(voice_cpu::ClientArgs),
}

fn main() -> std::process::ExitCode {
    let done = match Cli::parse().command {
        Command::MouthToEar(args) => mouth_to_ear::run(&args),
        Command::Relay(args) => relay::run(&args),
        Command::Jitter(args) => jitter::run(&args),
        Command::Quality(args) => quality::run(&args),
        Command::VoiceCpu(args) => voice_cpu::run(&args),
        Command::Client(args) => app_frame::run(&args),
        Command::Control(args) => control::run(&args),
        Command::Udp(args) => udp::run(&args),
        Command::Faults(args) => faults::run(&args),
        Command::ClientBlank => app_window::run_blank(),
        Command::RelayLoad => relay::run_load(),
        Command::RelayBare => relay::run_bare(),
        Command::VoiceCpuClient(args) => voice_cpu::run_client(&args),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voxhall-bench: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
