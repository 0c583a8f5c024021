//! Pictures of the app with made-up people, for the documentation and to look at while designing:
//!
//!     cargo run -p voxhall --example gallery -- PAGE [--light] [--png FILE]
//!
//! With `--png` the window's picture is written and the window closes.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

use common::Stage;
use voxhall::{
    audio::{DeviceError, Port},
    ui::{Dialog, Intents, Tab, theme},
};
use voxhall_protocol::{GuildId, control::InvitePreview};
use voxhall_session::{Connection, Notice, NoticeLevel, Problem, State, VoicePath};

const PAGES: &str = "chat voice person settings voice-settings look account invite welcome who connecting failed certificate reconnecting \
                     empty failed-message no-mic blocked";

fn main() -> eframe::Result {
    let mut page = None;
    let (mut light, mut png) = (false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--light" => light = true,
            "--png" => png = arguments.next().map(PathBuf::from),
            _ => page = Some(argument),
        }
    }
    let Some(stage) = page.as_deref().and_then(stage_of) else {
        eprintln!("usage: gallery PAGE [--light] [--png FILE]\npages: {PAGES}");
        std::process::exit(2);
    };
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_inner_size([1100.0, 720.0])
            .with_title("Voxhall gallery"),
        ..Default::default()
    };
    eframe::run_native(
        "Voxhall gallery",
        options,
        Box::new(move |creation| {
            theme::install(&creation.egui_ctx);
            creation.egui_ctx.set_theme(if light {
                egui::Theme::Light
            } else {
                egui::Theme::Dark
            });
            Ok(Box::new(Gallery {
                stage,
                png,
                frames: 0,
            }))
        }),
    )
}

fn failed(problem: Problem) -> State {
    State {
        connection: Connection::Failed(problem),
        ..State::default()
    }
}

fn stage_of(page: &str) -> Option<Stage> {
    let evening = || Stage::new(common::evening());
    let mut stage = match page {
        "chat" | "voice" | "person" | "settings" | "voice-settings" | "look" | "account"
        | "empty" | "no-mic" | "blocked" => evening(),
        "invite" => Stage::new(common::invited(common::evening())),
        "failed-message" => Stage::new(common::with_failed_message()),
        "welcome" => Stage::new(State::default()),
        "connecting" => Stage::new(State {
            connection: Connection::Connecting,
            ..State::default()
        }),
        "who" => {
            let preview = InvitePreview {
                server_name: "friday.example".to_owned(),
                guild_name: "Friday Night".to_owned(),
                members: 9,
                online: 7,
                makes_owner: false,
                guests: true,
            };
            let connection = Connection::NeedsIdentity {
                preview: Some(preview),
                problem: None,
            };
            Stage::new(State {
                connection,
                ..State::default()
            })
        }
        "failed" => Stage::new(failed(Problem::Unreachable {
            address: "friday.example:9000".to_owned(),
        })),
        "certificate" => Stage::new(failed(Problem::CertificateChanged {
            expected: "k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaGdVfKiOoRtEs".to_owned(),
            found: "Zz0mQ4uYb1cX7wPp2sVn6dLk9fTg3hRj8aEoIiUuOoA".to_owned(),
        })),
        "reconnecting" => {
            let mut state = common::evening();
            state.connection = Connection::Reconnecting {
                retry_in_ms: 3_200,
                problem: Problem::ConnectionLost,
            };
            let text = "Freya came into the raid.".to_owned();
            state.notices = vec![Notice {
                id: 1,
                level: NoticeLevel::Info,
                text,
            }];
            Stage::new(state)
        }
        _ => return None,
    };
    let memory = &mut stage.memory;
    memory.channel = Some(common::GENERAL);
    match page {
        "voice" | "blocked" | "no-mic" => memory.channel = Some(common::LOUNGE),
        "person" => (memory.channel, memory.person) = (Some(common::LOUNGE), Some(common::BEA)),
        "empty" => memory.channel = Some(common::EMPTY),
        "settings" => memory.dialog = Some(Dialog::Preferences(Tab::Audio)),
        "voice-settings" => memory.dialog = Some(Dialog::Preferences(Tab::Voice)),
        "look" => memory.dialog = Some(Dialog::Preferences(Tab::Appearance)),
        "account" => memory.dialog = Some(Dialog::Preferences(Tab::Account)),
        "invite" => memory.dialog = Some(Dialog::Invite(GuildId(1))),
        "who" | "connecting" => {
            memory.entry.link = "voxhall://friday.example:9000/SUNNY-OTTER".parse().ok();
        }
        "welcome" => drop(stage.logins.keep(&common::login())),
        _ => {}
    }
    match page {
        "no-mic" => {
            stage.audio.input = Port::Failed {
                problem: DeviceError::NoInput,
                lost: false,
            }
        }
        "blocked" => stage.state.voice.path = VoicePath::Blocked(common::LOUNGE),
        _ => {}
    }
    Some(stage)
}

struct Gallery {
    stage: Stage,
    png: Option<PathBuf>,
    frames: u32,
}

impl eframe::App for Gallery {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.stage.draw(ui, &mut Intents::default());
        self.frames += 1;
        let Some(file) = &self.png else { return };
        let ctx = ui.ctx().clone();
        // Long enough for everything to have moved into its place.
        if self.frames == 40 {
            let (file, done) = (file.clone(), ctx.clone());
            ctx.send_viewport_cmd(egui::ViewportCommand::Screenshot(
                egui::ScreenshotCallback::new(move |image| {
                    if let Err(error) = write_png(&file, &image) {
                        eprintln!("{}: {error}", file.display());
                    }
                    done.send_viewport_cmd(egui::ViewportCommand::Close);
                }),
            ));
        }
        ctx.request_repaint();
    }
}

fn write_png(
    file: &std::path::Path,
    image: &egui::ColorImage,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut encoder = png::Encoder::new(
        std::fs::File::create(file)?,
        image.size[0] as u32,
        image.size[1] as u32,
    );
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let rgb: Vec<u8> = image
        .pixels
        .iter()
        .flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()])
        .collect();
    encoder.write_header()?.write_image_data(&rgb)?;
    Ok(())
}
