//! The command line.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use tracing_subscriber::EnvFilter;
use voxhall_protocol::{limits::clean_name, link::Link};

use crate::{
    app::{App, Start},
    audio::{Direction, devices},
    settings::Store,
};

/// What is logged unless VOXHALL_LOG says otherwise. The libraries named here complain about what is no trouble.
const USUAL_LOG: &str = "warn,pulseaudio=off,winit=error,egui_system_font_provider=error";

/// Talk with friends: the desktop app.
#[derive(Debug, Parser)]
#[command(name = "voxhall", version)]
struct Arguments {
    /// An invite link: voxhall://host:9000/CODE#…
    #[arg(value_parser = parse_link)]
    link: Option<Link>,
    /// Join at once under this name, with no account
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Join this voice channel at once
    #[arg(long, value_name = "CHANNEL")]
    join: Option<String>,
    /// Keep settings and logins here
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Microphone for this run (see --list-devices)
    #[arg(long, value_name = "ID")]
    input_device: Option<String>,
    /// Speakers for this run (see --list-devices)
    #[arg(long, value_name = "ID")]
    output_device: Option<String>,
    /// Print the sound devices there are, and end
    #[arg(long)]
    list_devices: bool,
}

fn parse_link(text: &str) -> Result<Link, String> {
    text.parse()
        .map_err(|error: voxhall_protocol::link::LinkError| error.to_string())
}

fn parse_name(text: &str) -> Result<String, String> {
    clean_name(text).map_err(|error| error.to_string())
}

/// Runs the app until its window is closed.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("VOXHALL_LOG").unwrap_or_else(|_| USUAL_LOG.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    if arguments.list_devices {
        return list_devices();
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voxhall: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if !has_display() {
        anyhow::bail!(
            "there is no display to open a window on (DISPLAY and WAYLAND_DISPLAY are empty); \
             run it on a desktop, or use voxhall-bot, which needs no window"
        );
    }
    let store = Store::open(arguments.data)?;
    let start = Start {
        link: arguments.link,
        name: arguments.name,
        join: arguments.join,
        input_device: arguments.input_device,
        output_device: arguments.output_device,
    };
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Voxhall")
            .with_app_id("voxhall")
            .with_icon(icon())
            .with_inner_size([1100.0, 720.0])
            .with_min_inner_size([760.0, 500.0]),
        ..Default::default()
    };
    eframe::run_native(
        "Voxhall",
        options,
        Box::new(|creation| Ok(Box::new(App::new(&creation.egui_ctx, store, start)?))),
    )
    .map_err(|error| {
        anyhow::anyhow!("can't open a window: {error}; check the display and its OpenGL driver")
    })
}

fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(all(unix, not(target_os = "macos"))) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

fn list_devices() -> ExitCode {
    for (title, direction) in [
        ("Microphones", Direction::Input),
        ("Speakers", Direction::Output),
    ] {
        println!("{title}:");
        let devices = devices::list(direction);
        if devices.is_empty() {
            println!("  none");
        }
        for device in devices {
            println!(
                "  {}  {}{}",
                device.id,
                device.name,
                if device.default { " (default)" } else { "" }
            );
        }
    }
    ExitCode::SUCCESS
}

/// The window's icon: a voice in a hall.
fn icon() -> egui::IconData {
    const SIZE: usize = 64;
    const BARS: [f32; 4] = [18.0, 40.0, 26.0, 13.0];
    let mut rgba = Vec::with_capacity(SIZE * SIZE * 4);
    for y in 0..SIZE {
        for x in 0..SIZE {
            let (x, y) = (x as f32 + 0.5 - 32.0, y as f32 + 0.5 - 32.0);
            let corner = 32.0 - 18.0;
            let outside = ((x.abs() - corner)
                .max(0.0)
                .hypot((y.abs() - corner).max(0.0))
                - 18.0)
                .clamp(0.0, 1.0);
            let bar = BARS.iter().enumerate().any(|(i, height)| {
                (x - (i as f32 - 1.5) * 12.0).abs() < 3.2 && y.abs() < height / 2.0
            });
            let color = if bar {
                [0x10, 0x13, 0x2b]
            } else {
                [0x8b, 0x9b, 0xff]
            };
            rgba.extend(color);
            rgba.push(((1.0 - outside) * 255.0) as u8);
        }
    }
    egui::IconData {
        rgba,
        width: SIZE as u32,
        height: SIZE as u32,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        let arguments =
            Arguments::try_parse_from(["voxhall", "voxhall://host/CODE", "--name", " Ann "])
                .unwrap();
        assert_eq!(arguments.name.as_deref(), Some("Ann"));
        assert!(arguments.link.is_some());
    }

    #[test]
    fn wrong_words_are_answered_in_one_sentence() {
        let error = Arguments::try_parse_from(["voxhall", "http://host/CODE"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("not a Voxhall link"), "{error}");
        let error = Arguments::try_parse_from(["voxhall", "--name", ""])
            .unwrap_err()
            .to_string();
        assert!(error.contains("1 to 32 characters"), "{error}");
    }
}
