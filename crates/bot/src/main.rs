//! `voxhall-bot`: a client without a window. Everything that can be done on a server can be done with it, by people, scripts and tests.

mod client;
mod commands;
mod device;
mod join;
mod profile;
mod report;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use commands::{account, admin, call, channel, guild, live, people, stage, text, voice};
use profile::Profile;

#[derive(Parser)]
#[command(
    name = "voxhall-bot",
    version,
    about = "Voxhall without a window.",
    after_help = "Begin with `voxhall-bot --profile bot.json guest LINK NAME`, or `register` or `login`. \
                  Channels are named as #general, SERVER/general, by id, or @NAME for direct messages."
)]
struct Cli {
    /// File that keeps the login, readable by you alone.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "voxhall-bot.json"
    )]
    profile: PathBuf,
    /// One JSON object a line in place of words.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Joins a voice channel by an invite link; needs no profile.
    Join(Box<join::Join>),
    #[command(flatten)]
    Account(account::Account),
    #[command(flatten)]
    People(people::People),
    /// Servers ("guilds"): making, joining, roles, members, moderation.
    #[command(subcommand)]
    Guild(guild::GuildCommand),
    /// Channels of a server, and who may do what there.
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    #[command(flatten)]
    Text(text::Text),
    /// Others in voice channels: mute, deafen, move, take out.
    #[command(subcommand)]
    Voice(voice::VoiceCommand),
    /// The whole server, for its administrators.
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    #[command(flatten)]
    Call(call::Calling),
    /// Stage rooms: a few speak, many listen.
    #[command(subcommand)]
    Stage(stage::StageCommand),
    #[command(flatten)]
    Live(live::Live),
}

fn main() -> std::process::ExitCode {
    match run(Cli::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voxhall-bot: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let profile = Profile::new(cli.profile);
    let json = cli.json;
    if let Command::Join(join) = cli.command {
        return join::run(&join);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let _held = profile.hold().await?;
        match cli.command {
            Command::Account(account) => account.run(&profile, json).await,
            Command::Live(live) => live.run(&profile, json).await,
            Command::Call(call) => call.run(&profile, json).await,
            Command::Stage(stage) => stage.run(&profile, json).await,
            command => {
                let client = client::Client::come_back(&profile, json, None).await?;
                let done = match command {
                    Command::People(people) => people.run(&client).await,
                    Command::Guild(guild) => guild.run(&client).await,
                    Command::Channel(channel) => channel.run(&client).await,
                    Command::Text(text) => text.run(&client).await,
                    Command::Voice(voice) => voice.run(&client).await,
                    Command::Admin(admin) => admin.run(&client).await,
                    Command::Join(_)
                    | Command::Account(_)
                    | Command::Call(_)
                    | Command::Stage(_)
                    | Command::Live(_) => {
                        unreachable!("handled above")
                    }
                };
                client.session.end().await;
                done
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
