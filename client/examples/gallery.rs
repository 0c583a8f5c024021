//! Pictures of the app with made-up people, for the documentation and to look at while designing:
//!
//!     cargo run -p voxhall --example gallery -- PAGE [--light] [--png FILE]
//!
//! With `--png` the window's picture is written and the window closes.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{path::PathBuf, sync::Arc};

use common::{Stage, calls, village};
use voxhall::{
    audio::{DeviceError, Port},
    ui::{
        Closing, Dialog, Intents, ServerId, Tab, admin,
        chat::{
            Chat, Side,
            files::{Picture, PictureKind},
        },
        guild::Page,
        people::Home,
        theme,
    },
};
use voxhall_protocol::{
    FileId, GuildId,
    control::{CallEnd, FailureKind, InvitePreview, PartyState, Status},
};
use voxhall_session::{
    CallOver, Calls, Connection, LastCall, Notice, NoticeLevel, Problem, State, VoicePath,
};

const PAGES: &str = "chat talk scripts unread pins search busy voice person settings voice-settings look account invite welcome who connecting failed certificate reconnecting \
                     empty failed-message no-mic no-permission blocked wrong-link wrong-password version \
                     overview channels channel roles explain members invites bans audit new-guild \
                     village friends conversation profile status new-message switcher keyboard notifications \
                     my-profile devices offline admin admin-users admin-guilds admin-bans \
                     help computer rooms servers call call-rings call-no-permission call-mic-gone call-blocked call-cut call-away call-lost call-refused";

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
    let Some(page) = page.filter(|page| PAGES.split_whitespace().any(|it| it == page)) else {
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
            let stage = stage_of(&page, &creation.egui_ctx).ok_or("a page without a stage")?;
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

fn asked_who(refusal: &str) -> Stage {
    let message = refusal.to_owned();
    Stage::new(State {
        connection: Connection::NeedsIdentity {
            preview: None,
            problem: Some(Problem::Refused { message }),
        },
        ..State::default()
    })
}

fn without(problem: DeviceError) -> Port {
    Port::Failed {
        problem,
        lost: false,
    }
}

fn stage_of(page: &str, ctx: &egui::Context) -> Option<Stage> {
    let evening = || Stage::new(common::evening());
    if let Some(stage) = village_of(page).or_else(|| call_of(page)) {
        return Some(stage);
    }
    let mut stage = match page {
        "chat" | "voice" | "person" | "settings" | "voice-settings" | "look" | "account"
        | "notifications" | "computer" | "help" | "rooms"
        | "empty" | "no-mic" | "no-permission" | "blocked" => evening(),
        "servers" => {
            let mut work = village::village();
            work.voice.path = VoicePath::Open(common::LOUNGE);
            work.guilds.truncate(1);
            Arc::make_mut(&mut work.guilds[0]).name = "Office".to_owned();
            let mut home = common::evening();
            home.voice.path = VoicePath::Out;
            let away = State {
                connection: Connection::Reconnecting {
                    retry_in_ms: 3_200,
                    problem: Problem::ConnectionLost,
                },
                ..common::evening()
            };
            let mut stage = Stage::new(home);
            stage.elsewhere = vec![
                (ServerId(1), "work.example".to_owned(), work),
                (ServerId(2), "choir.example".to_owned(), away),
            ];
            stage
        }
        "invite" => Stage::new(common::invited(common::evening())),
        "talk" => Stage::new(common::talk()),
        "scripts" => Stage::new(common::scripts()),
        "unread" => Stage::new(common::unread(common::talk())),
        "pins" => Stage::new(common::talk()),
        "search" => Stage::new(common::searched()),
        "busy" => Stage::new(common::busy(10_000)),
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
        "version" => Stage::new(failed(Problem::VersionMismatch {
            message: "This server is too old for this app (the server 0.1.0 speaks protocol 1, the app needs at least 2). Ask the server's owner to update it."
                .to_owned(),
        })),
        "wrong-link" => asked_who("This server does not know this invite. Check the link, or ask for a new one."),
        "wrong-password" => asked_who("The name or the password is wrong. Check both, and try again."),
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
        "voice" | "blocked" | "no-mic" | "no-permission" => memory.channel = Some(common::LOUNGE),
        "person" => (memory.channel, memory.person) = (Some(common::LOUNGE), Some(common::BEA)),
        "empty" => memory.channel = Some(common::EMPTY),
        "settings" => memory.dialog = Some(Dialog::Preferences(Tab::Audio)),
        "voice-settings" => memory.dialog = Some(Dialog::Preferences(Tab::Voice)),
        "look" => memory.dialog = Some(Dialog::Preferences(Tab::Appearance)),
        "notifications" => memory.dialog = Some(Dialog::Preferences(Tab::Notifications)),
        "computer" => {
            memory.dialog = Some(Dialog::Preferences(Tab::Computer));
            memory.computer.autostart = Some(Ok(false));
            memory.computer.closing = Closing::MayHide;
        }
        "help" => {
            let report = "Voxhall 0.1.0\nSystem: Debian GNU/Linux 12 (bookworm), x86_64, x11, KDE\nConnection: online\nVoice: open, udp, round trip 18.4 ms";
            memory.dialog = Some(Dialog::Preferences(Tab::Help));
            memory.computer.report = Some(report.to_owned());
        }
        "rooms" => memory.dialog = Some(Dialog::Rooms),
        "account" => memory.dialog = Some(Dialog::Preferences(Tab::Account)),
        "invite" => memory.dialog = Some(Dialog::Invite(GuildId(1))),
        "pins" => memory.chat.side = Side::Pins,
        "search" => memory.chat.side = Side::Search,
        "talk" => {
            let draft = "Who has the **key**? @be".to_owned();
            memory.drafts.insert(common::GENERAL, draft);
            show_tower(&mut memory.chat, ctx);
        }
        "wrong-password" => memory.entry.link = "voxhall://friday.example:9000".parse().ok(),
        "who" | "connecting" | "wrong-link" => {
            memory.entry.link = "voxhall://friday.example:9000/SUNNY-OTTER".parse().ok();
        }
        "welcome" => drop(stage.logins.keep(&common::login())),
        _ => {}
    }
    match page {
        "no-mic" => stage.audio.input = without(DeviceError::NoInput),
        "no-permission" => {
            let name = "Built-in Audio".to_owned();
            stage.audio.input = without(DeviceError::Permission { name });
        }
        "blocked" => stage.state.voice.path = VoicePath::Blocked(common::LOUNGE),
        _ => {}
    }
    Some(stage)
}

/// Pages with people, roles and a server that answers.
fn village_of(page: &str) -> Option<Stage> {
    let mut stage = Stage::new(village::village());
    stage.state.is_admin = true;
    let memory = &mut stage.memory;
    memory.channel = Some(common::GENERAL);
    let guild = |page| Dialog::Guild(village::GUILD, page);
    let dialog = match page {
        "overview" => guild(Page::Overview),
        "channels" => guild(Page::Channels),
        "channel" => {
            memory.guild_form.show_channel(village::STAFF_ROOM);
            guild(Page::Channels)
        }
        "roles" => {
            memory.guild_form.show_role(village::MODERATOR);
            guild(Page::Roles)
        }
        "explain" => guild(Page::Explain),
        "members" => {
            memory.guild_form.show_member(common::BEA);
            guild(Page::Members)
        }
        "admin" => Dialog::Admin(admin::Page::Overview),
        "admin-users" => Dialog::Admin(admin::Page::Users),
        "admin-guilds" => Dialog::Admin(admin::Page::Guilds),
        "admin-bans" => Dialog::Admin(admin::Page::Bans),
        "offline" => {
            stage.state.connection = Connection::Reconnecting {
                retry_in_ms: 3_200,
                problem: Problem::ConnectionLost,
            };
            guild(Page::Invites)
        }
        "invites" => guild(Page::Invites),
        "bans" => guild(Page::Bans),
        "audit" => guild(Page::Audit),
        "new-guild" => Dialog::NewGuild,
        "profile" => Dialog::Profile(common::BEA),
        "status" => Dialog::Status,
        "new-message" => Dialog::NewConversation,
        "switcher" => Dialog::Switcher,
        "keyboard" => Dialog::Preferences(Tab::Keyboard),
        "notifications" => Dialog::Preferences(Tab::Notifications),
        "my-profile" => Dialog::Preferences(Tab::Profile),
        "devices" => Dialog::Preferences(Tab::Account),
        "friends" => {
            memory.home = Some(Home::Friends);
            return Some(stage);
        }
        "conversation" => {
            memory.home = Some(Home::Conversation(village::WITH_BEA));
            return Some(stage);
        }
        "village" => return Some(stage),
        _ => return None,
    };
    stage.memory.dialog = Some(dialog);
    Some(stage)
}

/// A call, and what may go wrong in it.
fn call_of(page: &str) -> Option<Stage> {
    let both = || {
        let call = calls::call(PartyState::Talking, PartyState::Talking, true);
        calls::running(call, true)
    };
    let over = |why, status| {
        let last = LastCall {
            channel: calls::DIRECT,
            why,
        };
        let over = Calls {
            last: Some(last),
            ..Calls::default()
        };
        Stage::new(calls::with(calls::with_bea(status), over))
    };
    let mut stage = match page {
        "call" | "call-no-permission" | "call-mic-gone" | "call-blocked" | "call-cut" => {
            Stage::new(both())
        }
        "call-rings" => {
            let call = calls::call(PartyState::Ringing, PartyState::Talking, false);
            Stage::new(calls::running(call, false))
        }
        "call-away" => {
            let call = calls::call(PartyState::Talking, PartyState::Away, true);
            Stage::new(calls::running(call, true))
        }
        "call-lost" => {
            let why = CallOver::Ended {
                reason: CallEnd::Lost,
                by: Some(common::BEA),
                answered_at_ms: Some(common::NOW_MS - 60_000),
            };
            over(why, Status::Offline)
        }
        "call-refused" => {
            let why = CallOver::Refused {
                kind: FailureKind::Busy,
                words: "Bea is in another call.".to_owned(),
            };
            over(why, Status::Online)
        }
        _ => return None,
    };
    stage.memory.channel = Some(common::GENERAL);
    let name = "Studio microphone".to_owned();
    match page {
        "call-no-permission" => {
            stage.audio.input = without(DeviceError::Permission { name });
        }
        "call-mic-gone" => {
            stage.audio.input = Port::Failed {
                problem: DeviceError::NotFound { id: name },
                lost: true,
            };
        }
        "call-blocked" => stage.state.voice.path = VoicePath::Blocked(calls::DIRECT),
        "call-cut" => {
            stage.state.connection = Connection::Reconnecting {
                retry_in_ms: 3_200,
                problem: Problem::ConnectionLost,
            };
        }
        _ => {}
    }
    Some(stage)
}

/// An evening sky in place of a photograph.
fn show_tower(chat: &mut Chat, ctx: &egui::Context) {
    let pixels = (0..200 * 400).map(|i| {
        let (x, y) = ((i % 400) as f32 / 400.0, (i / 400) as f32 / 200.0);
        let tower = (x - 0.62).abs() < 0.03 + 0.05 * y && y > 0.25;
        let hill = y > 0.8 - 0.12 * (x * 7.0).sin();
        let shade = if tower || hill { 0.25 } else { 1.0 };
        let channel = |top: f32, bottom: f32| ((top + (bottom - top) * y) * shade) as u8;
        egui::Color32::from_rgb(
            channel(54.0, 250.0),
            channel(70.0, 160.0),
            channel(140.0, 110.0),
        )
    });
    let image = egui::ColorImage::new([400, 200], pixels.collect());
    let texture = ctx.load_texture("tower", image, egui::TextureOptions::LINEAR);
    chat.pictures
        .put(FileId(1), PictureKind::Small, Picture::Ready(texture));
}

struct Gallery {
    stage: Stage,
    png: Option<PathBuf>,
    frames: u32,
}

impl eframe::App for Gallery {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let mut intents = Intents::default();
        self.stage.draw(ui, &mut intents);
        self.stage.respond(&intents);
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
