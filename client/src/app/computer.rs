//! What the app does with the computer it is on: the tray, starting by itself, the log and reports of problems.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use egui::{Context, ViewportCommand};
use voxhall_session::{Intent, Voice};

use super::{App, ring::Ring};
use crate::{
    choose::{Chooser, Purpose},
    desktop::{Autostart, Mood, Press, Tray, is_wayland},
    log,
    report::{self, Facts, Secrets},
    settings::Store,
    ui::{
        Closing, ComputerWant, Dialog, Memory, PictureOf, ServerId, Tab, guild::Page, toggle_mute,
    },
};

pub(super) struct Computer {
    chooser: Chooser,
    tray: Tray,
    pub(super) ring: Ring,
    /// Of the settings, if not the usual one.
    folder: Option<PathBuf>,
    /// Closing the window ends the app, whatever the settings say.
    quits: bool,
    /// The window was closed to the tray.
    hidden: bool,
}

impl Computer {
    pub(super) fn new(ctx: &Context, folder: Option<PathBuf>) -> io::Result<Self> {
        let repaint = ctx.clone();
        Ok(Self {
            chooser: Chooser::new(ctx),
            tray: Tray::start(move || repaint.request_repaint())?,
            ring: Ring::default(),
            folder,
            quits: false,
            hidden: false,
        })
    }

    pub(super) fn come_to_the_front(&mut self, ctx: &Context) {
        self.hidden = false;
        for command in [
            ViewportCommand::Visible(true),
            ViewportCommand::Minimized(false),
            ViewportCommand::Focus,
        ] {
            ctx.send_viewport_cmd(command);
        }
    }
}

impl App {
    pub(super) fn tend_computer(&mut self, ctx: &Context) {
        self.tend_tray(ctx);
        self.look_up_autostart();
        while let Some((id, purpose, paths)) = self.computer.chooser.take() {
            // Closed meanwhile, perhaps.
            let Some(server) = self.servers.get_mut(id) else {
                continue;
            };
            let first = paths.first().cloned();
            match (purpose, first) {
                (Purpose::Attach(channel), _) => server.memory.chat.attach(channel, paths),
                (Purpose::Download(file, _), Some(to)) => server.download(file, to),
                (Purpose::Report, Some(path)) => self.save_report(id, &path),
                (Purpose::Ringtone, Some(path)) => self.choose_ringtone(id, &path),
                (Purpose::Picture(of), Some(path)) => {
                    choose_picture(&mut server.memory, of, path);
                }
                (_, None) => {}
            }
        }
    }

    pub(super) fn obey_computer(&mut self, id: ServerId, want: ComputerWant) {
        match want {
            ComputerWant::MakeReport => self.make_report(),
            ComputerWant::SaveReport => self.choose(id, Purpose::Report),
            ComputerWant::OpenLogs => {
                let folder = logs_folder(&self.store);
                if let Err(error) = open_folder(&folder) {
                    self.warn(format!(
                        "No program was found that shows folders ({error}). The logs are in {}.",
                        folder.display()
                    ));
                }
            }
            ComputerWant::Autostart(on) => self.set_autostart(on),
            ComputerWant::ChooseRingtone => self.choose(id, Purpose::Ringtone),
            ComputerWant::PlayRingtone => self.try_ringtone(),
            ComputerWant::ChoosePicture(of) => self.choose(id, Purpose::Picture(of)),
        }
    }

    fn tend_tray(&mut self, ctx: &Context) {
        let computer = &mut self.computer;
        computer.tray.show(mood(&self.servers.heard().state.voice));
        let closing = match computer.tray.is_there() {
            false => Closing::default(),
            true if is_wayland() => {
                Closing::Ends("On Wayland a program can't hide its window and show it again.")
            }
            true => Closing::MayHide,
        };
        self.servers.shown_mut().memory.computer.closing = closing;
        // The tray has gone, and with it the way back.
        if computer.hidden && closing != Closing::MayHide {
            computer.come_to_the_front(ctx);
        }
        while let Some(press) = computer.tray.next_press() {
            let voice = &self.servers.heard().state.voice;
            match press {
                Press::Show => computer.come_to_the_front(ctx),
                Press::Mute => self.servers.tell_all(&toggle_mute(voice)),
                Press::Deafen => (self.servers).tell_all(&Intent::SetDeafened(!voice.deafened)),
                Press::Quit => {
                    computer.quits = true;
                    ctx.send_viewport_cmd(ViewportCommand::Close);
                }
            }
        }
        let hides = self.settings.close_to_tray && closing == Closing::MayHide && !computer.quits;
        if hides && ctx.input(|input| input.viewport().close_requested()) {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            ctx.send_viewport_cmd(ViewportCommand::Visible(false));
            self.computer.hidden = true;
        }
    }

    /// Anew each time that its page is opened: others may have changed it.
    fn look_up_autostart(&mut self) {
        let memory = &mut self.servers.shown_mut().memory;
        let known = &mut memory.computer.autostart;
        if memory.dialog != Some(Dialog::Preferences(Tab::Computer)) {
            *known = None;
        } else if known.is_none() {
            let on = Autostart::is_on();
            *known =
                Some(on.map_err(|error| {
                    format!("Can't tell whether Voxhall starts by itself: {error}.")
                }));
        }
    }

    fn set_autostart(&mut self, on: bool) {
        let program = Autostart::of_this_program(self.computer.folder.as_deref());
        if let Err(error) = program.and_then(|program| program.set(on)) {
            self.warn(format!(
                "Can't change whether Voxhall starts by itself: {error}."
            ));
        }
        self.servers.shown_mut().memory.computer.autostart = None;
    }

    pub(super) fn choose(&mut self, id: ServerId, purpose: Purpose) {
        if let Err(error) = self.computer.chooser.ask(id, purpose) {
            self.warn(format!("Can't let you choose a file: {error}."));
        }
    }

    fn make_report(&mut self) {
        let mut secrets = Secrets::of(&self.logins.all());
        for server in self.servers.iter() {
            secrets.add_state(&server.state);
            let memory = &server.memory;
            if let Some(code) = memory.entry.link.as_ref().and_then(|it| it.code.as_ref()) {
                secrets.add(code);
            }
            for draft in memory.drafts.values() {
                secrets.add(draft);
            }
        }
        let log = log::last_lines(&logs_folder(&self.store), report::LOG_LINES);
        let server = self.servers.heard();
        let others = self.servers.iter().filter(|it| it.id != server.id);
        let others: Vec<_> = others.map(|it| &it.state.connection).collect();
        let facts = Facts {
            state: &server.state,
            others: &others,
            meters: &server.session.meters(),
            audio: &self.audio.status(),
            settings: &self.settings,
            now: jiff::Timestamp::now(),
            log: &log,
        };
        let report = report::report(&facts, &secrets);
        self.servers.shown_mut().memory.computer.report = Some(report);
    }

    fn save_report(&mut self, id: ServerId, path: &Path) {
        let server = self.servers.get(id);
        let Some(report) = server.and_then(|it| it.memory.computer.report.as_ref()) else {
            return;
        };
        if let Err(error) = fs::write(path, report) {
            self.warn(format!(
                "Can't save the report as {}: {error}.",
                path.display()
            ));
        }
    }
}

/// For the page that asked for it, if that is still there.
fn choose_picture(memory: &mut Memory, of: PictureOf, file: PathBuf) {
    match (of, memory.dialog) {
        (PictureOf::Me, Some(Dialog::Preferences(Tab::Profile))) => {
            memory.settings.profile.choose_picture(file);
        }
        (PictureOf::Guild(guild), Some(Dialog::Guild(shown, Page::Overview))) if guild == shown => {
            memory.guild_form.choose_icon(file);
        }
        _ => {}
    }
}

fn mood(voice: &Voice) -> Mood {
    if voice.deafened {
        Mood::Deafened
    } else if voice.muted {
        Mood::Muted
    } else if voice.channel().is_some() {
        Mood::InVoice
    } else {
        Mood::Away
    }
}

pub(crate) fn logs_folder(store: &Store) -> PathBuf {
    store.folder().join("logs")
}

/// In the system's program for folders.
fn open_folder(folder: &Path) -> io::Result<()> {
    let program = if cfg!(windows) {
        "explorer"
    } else if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let mut started = Command::new(program).arg(folder).spawn()?;
    // Its end is waited for, as else something of it would stay behind.
    let waiting = thread::Builder::new().name("folder".to_owned());
    waiting.spawn(move || started.wait()).map(drop)
}

pub(super) fn user_name() -> String {
    ["USER", "USERNAME", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default()
}

/// How this computer appears among the devices signed in.
pub(super) fn device_label() -> String {
    let host = fs::read_to_string("/etc/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok());
    let host = host
        .as_deref()
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .unwrap_or("desktop")
        .to_owned();
    format!("{host} ({})", std::env::consts::OS)
}
