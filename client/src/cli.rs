//! The command line.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use clap::Parser;
use voxhall_protocol::{limits::clean_name, link::Link};

use crate::{
    app::{App, Start, logs_folder},
    audio::{Direction, devices},
    desktop::{
        Claim, Instance,
        icon::{self, Badge},
    },
    log,
    settings::Store,
};

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
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        #[cfg(windows)]
        if error.use_stderr() {
            tell_in_a_window(&error.to_string());
        }
        error.exit()
    });
    log::install();
    if arguments.list_devices {
        return list_devices();
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voxhall: {error:#}");
            #[cfg(windows)]
            tell_in_a_window(&format!("{error:#}."));
            ExitCode::FAILURE
        }
    }
}

/// Windows has no console for an app with a window.
#[cfg(windows)]
fn tell_in_a_window(words: &str) {
    rfd::MessageDialog::new()
        .set_level(rfd::MessageLevel::Error)
        .set_title("Voxhall")
        .set_description(words)
        .show();
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if !has_display() {
        anyhow::bail!(
            "there is no display to open a window on (DISPLAY and WAYLAND_DISPLAY are empty); \
             run it on a desktop, or use voxhall-bot, which needs no window"
        );
    }
    let store = Store::open(arguments.data.clone())?;
    // Who has a folder of their own tries something.
    #[cfg(windows)]
    if arguments.data.is_none() {
        crate::desktop::links::register();
    }
    let window = Arc::new(OnceLock::<egui::Context>::new());
    let drawn = Arc::clone(&window);
    let claim = Instance::claim(store.folder(), arguments.link.as_ref(), move || {
        if let Some(ctx) = drawn.get() {
            ctx.request_repaint();
        }
    });
    let instance = match claim {
        Ok(Claim::Running) => {
            println!("Voxhall runs already, and comes to the front");
            return Ok(());
        }
        Ok(Claim::First(instance)) => Some(instance),
        Err(error) => {
            tracing::warn!("can't tell whether Voxhall runs already: {error}");
            None
        }
    };
    match log::keep_in(&logs_folder(&store)) {
        Ok(()) => tracing::info!("Voxhall {} starts", env!("CARGO_PKG_VERSION")),
        Err(error) => tracing::warn!(
            "can't keep the log in {}: {error}",
            store.folder().display()
        ),
    }
    let start = Start {
        link: arguments.link,
        name: arguments.name,
        join: arguments.join,
        input_device: arguments.input_device,
        output_device: arguments.output_device,
        folder: arguments.data,
    };
    let (settings, _) = store.settings();
    let viewport = egui::ViewportBuilder::default()
        .with_title("Voxhall")
        .with_app_id("voxhall")
        .with_icon(window_icon())
        .with_inner_size(settings.window.size)
        .with_maximized(settings.window.maximized)
        .with_min_inner_size([760.0, 500.0]);
    let options = eframe::NativeOptions {
        viewport,
        ..Default::default()
    };
    eframe::run_native(
        "Voxhall",
        options,
        Box::new(move |creation| {
            let mut app = App::new(&creation.egui_ctx, store, start)?;
            if let Some(instance) = instance {
                app.answer_starts(instance);
                let _ = window.set(creation.egui_ctx.clone());
            }
            Ok(Box::new(app))
        }),
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

fn window_icon() -> egui::IconData {
    const SIZE: usize = 64;
    egui::IconData {
        rgba: icon::pixels(SIZE, Badge::None).concat(),
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
