//! The app: once per frame it looks at sessions and devices, draws the views, and does what the person wants.

mod computer;
mod desk;
mod logins;
mod ring;
mod server;
mod servers;
mod travel;

use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use egui::{Context, ThemePreference, Ui};
use voxhall_protocol::{UserId, control::Request, link::Link};
use voxhall_session::{Connection, Identity, Intent, Notice, NoticeLevel, State, VoiceMeters};

use computer::Computer;
pub(crate) use computer::logs_folder;
use computer::user_name;
use logins::Keeper;
use server::{Server, seen_for_long};
use servers::Servers;

use crate::{
    audio::{Audio, AudioStatus, Choice, Need, Sound},
    choose::Purpose,
    desktop::{Answered, Hotkey, Instance, News, Notifier},
    idle::Idle,
    news,
    ringer::Ringer,
    settings::{Drafts, Opened, Settings, Store, ThemeChoice},
    ui::{self, Dialog, Intents, Scene, ServerId, Tab, Want, chat::files::PictureKind, theme},
};

/// Settings are written this long after the last change, so that dragging a slider writes once.
const SAVE_AFTER: Duration = Duration::from_millis(600);
/// A frame of moving meters.
const LIVELY: Duration = Duration::from_millis(40);
/// A frame of meters that hardly move.
const CALM: Duration = Duration::from_millis(250);
/// Below this, a meter shows nothing.
const QUIET_DBFS: f32 = -58.0;
/// How often the list of devices is made anew while one chooses from it.
const RELIST: Duration = Duration::from_secs(2);
/// How often the voice figures are logged.
const REPORT: Duration = Duration::from_secs(5);
/// The most of the app's own notices at once.
const MAX_NOTICES: usize = 4;
/// Answers to notifications that the app is behind with.
const ANSWERS: usize = 8;

/// How the app begins.
#[derive(Debug, Default)]
pub struct Start {
    pub link: Option<Link>,
    pub name: Option<String>,
    /// A voice channel to join at once.
    pub join: Option<String>,
    /// For this run only, before what is chosen in the settings.
    pub input_device: Option<String>,
    pub output_device: Option<String>,
    /// Where the settings are, if not in the usual place.
    pub folder: Option<PathBuf>,
}

pub struct App {
    servers: Servers,
    audio: Audio,
    /// The server to whose session the devices are lent.
    lent_to: Option<ServerId>,
    store: Store,
    settings: Settings,
    /// What sessions and devices were last told.
    applied: Settings,
    save_at: Option<Instant>,
    logins: Keeper,
    drafts: Drafts,
    opened: Option<Opened>,
    notices: Vec<Notice>,
    /// When each of them that goes by itself came, by its id.
    notice_times: Vec<(u64, Instant)>,
    overrides: (Option<String>, Option<String>),
    hotkey: Hotkey,
    /// Later starts of the app, which end at once.
    instance: Option<Instance>,
    talk_key_down: bool,
    need: Need,
    ringer: Ringer,
    reported: Instant,
    /// When the list of devices was made that the settings show.
    listed: Instant,
    levels: (f32, f32),
    time_zone: jiff::tz::TimeZone,
    idle: Idle,
    /// Something came that the person is to be told of, and where.
    news: Vec<(ServerId, News)>,
    notifier: Notifier,
    computer: Computer,
    answered: Receiver<Answered>,
}

impl App {
    /// Starts sessions and devices, and goes where `start` says.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn new(ctx: &Context, store: Store, start: Start) -> std::io::Result<Self> {
        theme::install(ctx);
        let (mut settings, settings_trouble) = store.settings();
        let (logins, logins_trouble) = store.logins();
        let (drafts, drafts_trouble) = store.drafts();
        let (opened, opened_trouble) = store.opened();
        if settings.name.is_empty() {
            settings.name = user_name();
        }
        let logins = Keeper::new(store.clone(), logins);
        let first = Server::start(ctx, &store, &logins)?;
        let overrides = (start.input_device.clone(), start.output_device.clone());
        let repaint = ctx.clone();
        let audio = Audio::start(devices(&settings, &overrides), move || {
            repaint.request_repaint();
        })?;
        let repaint = ctx.clone();
        let hotkey = Hotkey::new(move || repaint.request_repaint());
        let (answer, answered) = sync_channel(ANSWERS);
        let repaint = ctx.clone();
        let notifier = Notifier::start(move |answered| {
            if answer.try_send(answered).is_err() {
                tracing::warn!(
                    "too many notifications were answered at once: {answered:?} is left out"
                );
            }
            repaint.request_repaint();
        })?;
        let mut app = Self {
            servers: Servers::new(first),
            audio,
            lent_to: None,
            store,
            applied: settings.clone(),
            settings,
            save_at: None,
            logins,
            drafts,
            opened,
            notices: Vec::new(),
            notice_times: Vec::new(),
            overrides,
            hotkey,
            instance: None,
            talk_key_down: false,
            need: Need::None,
            ringer: Ringer::default(),
            reported: Instant::now(),
            listed: Instant::now(),
            levels: (-96.0, -96.0),
            time_zone: jiff::tz::TimeZone::system(),
            idle: Idle::new(Instant::now()),
            news: Vec::new(),
            notifier,
            computer: Computer::new(ctx, start.folder.clone())?,
            answered,
        };
        let troubles = [
            settings_trouble,
            logins_trouble,
            drafts_trouble,
            opened_trouble,
        ];
        for trouble in troubles.into_iter().flatten() {
            app.warn(trouble);
        }
        app.load_ringtone();
        app.apply_look(ctx);
        let first = app.servers.shown_mut();
        first.apply_voice(&app.settings);
        first.memory.talk_key_reach = app.hotkey.reach();
        app.begin(ctx, start);
        Ok(app)
    }

    /// Later starts of the app are answered by this one.
    pub fn answer_starts(&mut self, instance: Instance) {
        self.instance = Some(instance);
    }

    /// What has to happen whether or not the window can be seen.
    fn tick(&mut self, ctx: &Context) {
        for id in self.servers.ids() {
            if let Some(before) = self.servers.get_mut(id).and_then(Server::look) {
                self.changed(ctx, id, &before);
            }
        }
        self.tell_news(ctx);
        self.tell_idle(ctx);
        self.tend_computer(ctx);
        self.tend_devices();
        self.ring(ctx);
        self.talk_key(ctx);
        self.look_for_starts(ctx);
        self.retire_notices();
        self.report();
        if let Some(trouble) = self.logins.take_trouble() {
            self.warn(trouble);
        }
        let opened = Some(self.servers.opened());
        if opened != self.opened {
            self.opened = opened;
            self.save_soon();
        }
        if self.save_at.is_some_and(|at| Instant::now() >= at) {
            self.save();
        }
    }

    /// A session tells something new.
    fn changed(&mut self, ctx: &Context, id: ServerId, before: &State) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let state = &server.state;
        let outside =
            |state: &State| matches!(state.connection, Connection::Idle | Connection::Connecting);
        let left = outside(state) && !outside(before);
        let came = server.is_online() && before.connection != Connection::Online;
        let call_over = before.calls.here.is_some() && state.calls.here.is_none();
        if let Some(news) = news::of(before, state, self.settings.notify) {
            self.news.push((id, news));
        }
        if left {
            server.forget_place(ctx);
        }
        let mut trouble = None;
        if came {
            server.arrived(&self.settings, &self.drafts);
            trouble = server.join_first();
        }
        server.answer_who(&self.logins);
        let sounds = [call_over.then_some(Sound::CallOver), server.greet(before)];
        if self.settings.sounds {
            sounds
                .into_iter()
                .flatten()
                .for_each(|it| self.audio.play(it));
        }
        if let Some(trouble) = trouble {
            self.warn(trouble);
        }
        self.servers.keep_one_voice(id, before);
        self.close_if_left(ctx, id, before);
    }

    /// Drafts are kept as they are written; files and pictures that have come are shown.
    fn tend_files(&mut self, ctx: &Context) {
        let mut warnings = Vec::new();
        let mut is_new = false;
        for server in self.servers.iter_mut() {
            is_new |= server.keep_drafts(&mut self.drafts);
            warnings.extend(server.tend_files(ctx));
        }
        if is_new {
            self.save_soon();
        }
        for warning in warnings {
            self.warn(warning);
        }
    }

    /// Devices are open while one is in voice, or looking at their meters.
    fn tend_devices(&mut self) {
        let dialog = self.servers.shown().memory.dialog;
        let meters = matches!(dialog, Some(Dialog::Preferences(Tab::Audio | Tab::Voice)));
        let choosing = dialog == Some(Dialog::Preferences(Tab::Audio));
        if choosing && self.listed.elapsed() > RELIST {
            self.listed = Instant::now();
            self.audio.refresh();
        }
        let need = if self.servers.in_voice().is_some() || meters {
            Need::Both
        } else if self.rings() {
            Need::Speakers
        } else {
            Need::None
        };
        let lent_to = (need == Need::Both).then(|| self.servers.heard().id);
        if need != self.need || lent_to != self.lent_to {
            let before = self.lent_to.filter(|before| lent_to != Some(*before));
            if let Some(server) = before.and_then(|id| self.servers.get(id)) {
                server.session.detach_audio();
            }
            (self.need, self.lent_to) = (need, lent_to);
            let server = lent_to.and_then(|id| self.servers.get(id));
            self.audio
                .attach(server.map(|server| server.session.attach_audio()));
            self.audio.run(need);
        }
    }

    /// What somebody wants on a page of server `id`.
    fn obey(&mut self, ctx: &Context, id: ServerId, want: Want) {
        match want {
            Want::Session(intent) => {
                self.remember(id, &intent);
                self.send(id, intent);
            }
            Want::Elsewhere(server, intent) => self.send(server, intent),
            Want::Show(server, place) => self.show(ctx, server, place),
            Want::AddServer => self.add_server(ctx),
            Want::Visit(link) => self.go_to(ctx, link),
            Want::Return(login) => self.go_to(ctx, login.link),
            Want::Forget(link) => self.logins.forget(&link),
            Want::RefreshDevices => self.audio.refresh(),
            Want::TestSpeakers => self.audio.play(Sound::Test),
            Want::DismissNotice(id) => self.notices.retain(|notice| notice.id != id),
            Want::ChooseFiles(channel) => self.choose(id, Purpose::Attach(channel)),
            Want::SaveFile { file, name } => self.choose(id, Purpose::Download(file, name)),
            Want::Computer(want) => self.obey_computer(id, want),
            Want::PastePicture(channel, picture) => {
                self.on(id, |server| server.paste(channel, picture));
            }
            Want::Picture(file, kind) => self.on(id, |server| server.get_picture(file, kind)),
            Want::ForgetPicture(file) => self.on(id, |server| {
                let pictures = &mut server.memory.chat.pictures;
                pictures.forget(file, PictureKind::Whole);
                Ok(())
            }),
        }
    }

    /// Tells the person where it can't be done.
    fn on(&mut self, id: ServerId, deed: impl FnOnce(&mut Server) -> Result<(), String>) {
        if let Some(server) = self.servers.get_mut(id)
            && let Err(trouble) = deed(server)
        {
            self.warn(trouble);
        }
    }

    /// To the session it is meant for; what is about the person rather than about a server, to all.
    fn send(&self, id: ServerId, intent: Intent) {
        if matches!(intent, Intent::SetMuted(_) | Intent::SetDeafened(_)) {
            return self.servers.tell_all(&intent);
        }
        if let Intent::Ask { request, .. } = &intent
            && matches!(request, Request::SetPresence(_))
        {
            let others = self.servers.iter().filter(|it| it.id != id);
            for other in others.filter(|it| it.is_online()) {
                let request = request.clone();
                other.send(Intent::Ask { tag: None, request });
            }
        }
        if let Some(server) = self.servers.get(id) {
            server.send(intent);
        }
    }

    /// Some of what is wanted of the session is to be so next time too.
    fn remember(&mut self, id: ServerId, intent: &Intent) {
        match intent {
            Intent::SetUserGain { user, gain } => {
                self.set_person(id, *user, |person| person.gain = *gain);
            }
            Intent::SetUserMuted { user, muted } => {
                self.set_person(id, *user, |person| person.muted = *muted);
            }
            Intent::SignIn(
                Identity::Guest { name }
                | Identity::Login { name, .. }
                | Identity::Register { name, .. },
            ) => {
                self.settings.name.clone_from(name);
            }
            Intent::SignOut => {
                if let Some(link) = self.servers.get(id).and_then(Server::link) {
                    self.logins.forget(link);
                }
            }
            _ => {}
        }
    }

    fn set_person(
        &mut self,
        id: ServerId,
        user: UserId,
        change: impl FnOnce(&mut crate::settings::Person),
    ) {
        let Some(link) = self.servers.get(id).and_then(Server::link) else {
            return;
        };
        let mut person = self.settings.person(link, user);
        change(&mut person);
        self.settings.set_person(link, user, person);
    }

    /// Tells sessions, devices and window what has changed in the settings.
    fn settle(&mut self, ctx: &Context) {
        if self.settings == self.applied {
            return;
        }
        if self.settings.ringtone != self.applied.ringtone {
            self.load_ringtone();
        }
        if self.settings.devices() != self.applied.devices() {
            // What is chosen by hand comes before what was said on the command line.
            if self.settings.input_device != self.applied.input_device {
                self.overrides.0 = None;
            }
            if self.settings.output_device != self.applied.output_device {
                self.overrides.1 = None;
            }
            self.audio.choose(devices(&self.settings, &self.overrides));
        }
        self.apply_look(ctx);
        for server in self.servers.iter() {
            server.apply_voice(&self.settings);
        }
        self.applied = self.settings.clone();
        self.save_at = Some(Instant::now() + SAVE_AFTER);
    }

    fn apply_look(&self, ctx: &Context) {
        ctx.set_theme(match self.settings.theme {
            ThemeChoice::System => ThemePreference::System,
            ThemeChoice::Light => ThemePreference::Light,
            ThemeChoice::Dark => ThemePreference::Dark,
        });
        ctx.set_zoom_factor(self.settings.text_scale);
        theme::look(ctx, self.settings.accent, self.settings.still);
    }

    /// For whoever looks into a bad connection: `VOXHALL_LOG=voxhall=debug`.
    fn report(&mut self) {
        if let Some(server) = self.servers.in_voice()
            && self.reported.elapsed() > REPORT
        {
            self.reported = Instant::now();
            tracing::debug!(meters = ?server.session.meters(), "voice");
        }
    }

    fn save_soon(&mut self) {
        self.save_at.get_or_insert(Instant::now() + SAVE_AFTER);
    }

    fn save(&mut self) {
        self.save_at = None;
        if let Err(error) = self.store.save_settings(&self.settings) {
            self.warn(format!("Can't save the settings: {error}."));
        }
        if let Err(error) = self.store.save_drafts(&self.drafts) {
            self.warn(format!("Can't save what you have written: {error}."));
        }
        if let Some(opened) = &self.opened
            && let Err(error) = self.store.save_opened(opened)
        {
            self.warn(format!("Can't save which servers are open: {error}."));
        }
    }

    fn warn(&mut self, text: String) {
        let id = self.notices.last().map_or(1, |notice| notice.id + 1);
        self.notices.push(Notice {
            id,
            level: NoticeLevel::Warning,
            text,
        });
        if self.notices.len() > MAX_NOTICES {
            self.notices.remove(0);
        }
    }

    fn retire_notices(&mut self) {
        let old = seen_for_long(&mut self.notice_times, &self.notices);
        self.notices.retain(|notice| !old.contains(&notice.id));
        for server in self.servers.iter_mut() {
            server.retire_notices();
        }
    }

    /// Of the shown server; and of the microphone, wherever it is sent.
    fn meters(&self) -> VoiceMeters {
        let mut meters = self.servers.shown().session.meters();
        if let Some(server) = self.lent_to.and_then(|id| self.servers.get(id)) {
            let lent = server.session.meters();
            (meters.microphone, meters.statistics) = (lent.microphone, lent.statistics);
        }
        meters
    }

    /// When to draw again by itself; what changes in between asks for it.
    fn next_frame(&self, ctx: &Context, meters: &VoiceMeters, audio: &AudioStatus) {
        let shown = self.servers.shown();
        let state = &shown.state;
        let mut next = None;
        let mut within =
            |wait: Duration| next = Some(next.map_or(wait, |next: Duration| next.min(wait)));
        if self.need == Need::Both {
            let loud = self.levels.0 > QUIET_DBFS
                && (meters.transmitting
                    || self.servers.in_voice().is_none()
                    || shown.memory.dialog.is_some());
            // Others are drawn where one is in voice with them, and their level in the settings.
            let seen = shown.state.voice.channel().is_some() || shown.memory.dialog.is_some();
            let lively = loud
                || seen
                    && (self.levels.1 > QUIET_DBFS
                        || meters.speakers.iter().any(|speaker| speaker.speaking));
            within(
                if lively && (audio.input.is_open() || audio.output.is_open()) {
                    LIVELY
                } else {
                    CALM
                },
            );
        }
        // The timer of a call.
        if state.call_here().is_some() {
            within(Duration::from_millis(500));
        }
        if matches!(state.connection, Connection::Reconnecting { .. }) {
            within(CALM);
        }
        // Who is said to be writing may have stopped.
        if !state.typing.is_empty() {
            within(Duration::from_secs(1));
        }
        if let Some(at) = self.save_at {
            within(at.saturating_duration_since(Instant::now()));
        }
        let passing = self.servers.iter().any(Server::has_passing_notices);
        if passing || !self.notice_times.is_empty() {
            within(Duration::from_secs(1));
        }
        if let Some(wait) = next {
            ctx.request_repaint_after(wait);
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.tick(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        let meters = self.meters();
        let audio = self.audio.status();
        if self.need == Need::Both {
            let (input, output) = self.audio.take_peaks();
            // Peaks fall at a pace the eye can follow.
            self.levels = (
                input.max(self.levels.0 - 3.0),
                output.max(self.levels.1 - 3.0),
            );
        } else {
            self.levels = (-96.0, -96.0);
        }
        let mut intents = Intents::default();
        let logins = self.logins.all();
        let shown = self.servers.shown().id;
        let mut memory = std::mem::take(&mut self.servers.shown_mut().memory);
        let server = self.servers.shown();
        let scene = Scene {
            servers: &self.servers.views(),
            server: shown,
            state: &server.state,
            meters: &meters,
            audio: &audio,
            levels: self.levels,
            logins: &logins,
            notices: &self.notices,
            state_age_ms: u64::try_from(server.state_since.elapsed().as_millis())
                .unwrap_or(u64::MAX),
            time_zone: &self.time_zone,
            now: jiff::Timestamp::now(),
            clock: Instant::now(),
        };
        ui::root_ui(ui, &scene, &mut self.settings, &mut memory, &mut intents);
        self.servers.shown_mut().memory = memory;
        for want in intents.0 {
            self.obey(&ctx, shown, want);
        }
        self.settings.window = desk::window(&ctx, self.settings.window);
        self.tend_files(&ctx);
        self.settle(&ctx);
        self.tend_devices();
        self.next_frame(&ctx, &meters, &audio);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        if self.save_at.is_some() {
            self.save();
        }
        self.audio.run(Need::None);
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }
}

fn devices(settings: &Settings, overrides: &(Option<String>, Option<String>)) -> Choice {
    let chosen = settings.devices();
    Choice {
        input: overrides.0.clone().or(chosen.input),
        output: overrides.1.clone().or(chosen.output),
        ..chosen
    }
}
