//! The app: once per frame it looks at session and devices, draws the views, and does what the person wants.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use egui::{Context, Key, ThemePreference, Ui};
use voxhall_protocol::{Ssrc, UserId, control::ChannelKind, link::Link};
use voxhall_session::{
    Connection, Identity, Intent, Notice, NoticeLevel, Options, Problem, Session, State,
    VoiceMeters, VoicePath,
};

use crate::{
    audio::{Audio, AudioStatus, Choice, Sound},
    settings::{Logins, Settings, Store, ThemeChoice},
    ui::{self, Dialog, Intents, Memory, Scene, Tab, Want, theme},
};

/// Settings are written this long after the last change, so that dragging a slider writes once.
const SAVE_AFTER: Duration = Duration::from_millis(600);
/// Notices that only inform go by themselves.
const NOTICE_FOR: Duration = Duration::from_secs(8);
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
}

pub struct App {
    session: Session,
    audio: Audio,
    store: Store,
    settings: Settings,
    /// What session and devices were last told.
    applied: Settings,
    save_at: Option<Instant>,
    logins: Logins,
    memory: Memory,
    state: Arc<State>,
    state_since: Instant,
    notices: Vec<Notice>,
    /// When each notice that goes by itself came, by where it is from and its id.
    notice_times: Vec<(bool, u64, Instant)>,
    autojoin: Option<Autojoin>,
    /// Signs in as this guest if the login kept for the server is no longer good.
    guest: Option<String>,
    overrides: (Option<String>, Option<String>),
    talk_key_down: bool,
    running: bool,
    company: BTreeSet<UserId>,
    reported: Instant,
    /// When the list of devices was made that the settings show.
    listed: Instant,
    levels: (f32, f32),
    time_zone: jiff::tz::TimeZone,
}

/// Which voice channel to join once one is in.
#[derive(Debug, Clone, PartialEq)]
enum Autojoin {
    First,
    Named(String),
}

impl App {
    /// Starts session and devices, and goes where `start` says.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn new(ctx: &Context, store: Store, start: Start) -> std::io::Result<Self> {
        theme::install(ctx);
        let (mut settings, settings_trouble) = store.settings();
        let (logins, logins_trouble) = store.logins();
        if settings.name.is_empty() {
            settings.name = user_name();
        }
        let repaint = ctx.clone();
        let keeper = store.clone();
        let session = Session::start(Options {
            on_change: Box::new(move || repaint.request_repaint()),
            // Kept at once: a window that isn't drawn looks at no state, and a refresh token works once.
            keep_login: Some(Box::new(move |login| {
                let Some(login) = login else { return };
                let (mut logins, _) = keeper.logins();
                if logins.keep(login)
                    && let Err(error) = keeper.save_logins(&logins)
                {
                    tracing::warn!("can't save the login: {error}");
                }
            })),
            ..Options::new(
                concat!("voxhall ", env!("CARGO_PKG_VERSION")),
                device_label(),
            )
        })?;
        let overrides = (start.input_device, start.output_device);
        let repaint = ctx.clone();
        let audio = Audio::start(devices(&settings, &overrides), move || {
            repaint.request_repaint();
        })?;
        let mut app = Self {
            state: session.state(),
            session,
            audio,
            store,
            applied: settings.clone(),
            settings,
            save_at: None,
            logins,
            memory: Memory::default(),
            state_since: Instant::now(),
            notices: Vec::new(),
            notice_times: Vec::new(),
            autojoin: start.join.map(Autojoin::Named),
            guest: None,
            overrides,
            talk_key_down: false,
            running: false,
            company: BTreeSet::new(),
            reported: Instant::now(),
            listed: Instant::now(),
            levels: (-96.0, -96.0),
            time_zone: jiff::tz::TimeZone::system(),
        };
        for trouble in [settings_trouble, logins_trouble].into_iter().flatten() {
            app.warn(trouble);
        }
        app.apply_look(ctx);
        app.apply_voice();
        app.begin(start.link, start.name);
        Ok(app)
    }

    fn begin(&mut self, link: Option<Link>, name: Option<String>) {
        let Some(link) = link else {
            if let Some(login) = self.logins.last().cloned() {
                self.memory.entry.link = Some(login.link.clone());
                self.session.send(Intent::Connect {
                    link: login.link.clone(),
                    identity: Identity::Stored(login),
                });
            }
            return;
        };
        self.memory.entry.link_text = link.to_string();
        if let Some(name) = name {
            self.settings.name.clone_from(&name);
            // Who names link and name wants to talk.
            self.autojoin.get_or_insert(Autojoin::First);
            self.guest = link.code.is_some().then_some(name);
        }
        self.visit(link);
    }

    /// A login kept for the server is better than any other way in.
    fn visit(&mut self, link: Link) {
        let identity = match (self.logins.of(&link).cloned(), &self.guest) {
            (Some(login), _) => Identity::Stored(login),
            (None, Some(name)) => Identity::Guest { name: name.clone() },
            (None, None) => Identity::Ask,
        };
        self.memory.entry.link = Some(link.clone());
        self.session.send(Intent::Connect { link, identity });
    }

    /// What has to happen whether or not the window can be seen.
    fn tick(&mut self, ctx: &Context) {
        let state = self.session.state();
        if !Arc::ptr_eq(&state, &self.state) {
            let before = std::mem::replace(&mut self.state, state);
            self.state_since = Instant::now();
            self.changed(&before);
        }
        self.tend_devices();
        self.talk_key(ctx);
        self.retire_notices();
        self.report();
        if self.save_at.is_some_and(|at| Instant::now() >= at) {
            self.save();
        }
    }

    fn changed(&mut self, before: &State) {
        if let Some(login) = &self.state.login
            && self.logins.keep(login)
        {
            self.save_logins();
        }
        let online = |state: &State| state.connection == Connection::Online;
        if online(&self.state) && !online(before) {
            self.arrived();
        }
        if let Connection::NeedsIdentity {
            problem: Some(problem),
            ..
        } = &self.state.connection
        {
            if *problem == Problem::SignedOut
                && let Some(link) = &self.memory.entry.link
            {
                self.logins.forget(&link.clone());
                self.save_logins();
            }
            if let Some(name) = self.guest.take() {
                self.session.send(Intent::SignIn(Identity::Guest { name }));
            }
        }
        // A new stay in the same channel, as after a restart of the server, may open between two looks.
        let stay = own_ssrc(&self.state);
        let new_stay = stay.is_some() && stay != own_ssrc(before);
        if self.state.voice.path != before.voice.path || new_stay {
            tracing::info!(path = ?self.state.voice.path, "voice");
        }
        self.greet(before);
    }

    fn arrived(&mut self) {
        self.guest = None;
        self.memory.asked.clear();
        if let Some(link) = self.memory.entry.link.clone() {
            for (user, person) in self.settings.people_of(&link) {
                self.session.send(Intent::SetUserGain {
                    user,
                    gain: person.gain,
                });
                self.session.send(Intent::SetUserMuted {
                    user,
                    muted: person.muted,
                });
            }
        }
        if let Some(wish) = self.autojoin.take() {
            self.join_first(&wish);
        }
    }

    fn join_first(&mut self, wish: &Autojoin) {
        let state = Arc::clone(&self.state);
        let mut voice = state.guilds.iter().flat_map(|guild| {
            guild
                .channels_of(ChannelKind::Voice)
                .map(move |channel| (guild.id, channel))
        });
        let found = match wish {
            Autojoin::First => voice.next(),
            Autojoin::Named(name) => {
                voice.find(|(_, channel)| channel.name.eq_ignore_ascii_case(name))
            }
        };
        match (found, wish) {
            (Some((guild, channel)), _) => {
                self.memory.guild = Some(guild);
                self.memory.channel = Some(channel.id);
                self.session.send(Intent::JoinVoice(channel.id));
            }
            (None, Autojoin::Named(name)) => {
                self.warn(format!("There is no voice channel named {name} here."));
            }
            (None, Autojoin::First) => {
                self.warn("There is no voice channel here to join.".to_owned());
            }
        }
    }

    /// A sound when somebody comes into one's channel or leaves it, oneself included.
    fn greet(&mut self, before: &State) {
        let company: BTreeSet<UserId> = match self.state.voice.path {
            VoicePath::Opening(channel)
            | VoicePath::Open(channel)
            | VoicePath::Blocked(channel) => {
                let people = self
                    .state
                    .guilds
                    .iter()
                    .flat_map(|guild| guild.voice.values());
                people
                    .filter(|state| state.channel_id == channel)
                    .map(|state| state.user_id)
                    .collect()
            }
            VoicePath::Joining(_) | VoicePath::Out => BTreeSet::new(),
        };
        let same_channel =
            before.voice.channel() == self.state.voice.channel() || self.company.is_empty();
        let sound = if company.difference(&self.company).next().is_some() {
            Some(Sound::Joined)
        } else if same_channel && self.company.difference(&company).next().is_some() {
            Some(Sound::Left)
        } else {
            None
        };
        // Not while the server is away: then nobody knows who came or went.
        if self.state.connection == Connection::Online {
            self.company = company;
            if let Some(sound) =
                sound.filter(|_| self.settings.sounds && !self.state.voice.deafened)
            {
                self.audio.play(sound);
            }
        }
    }

    /// Devices are open while one is in voice, or looking at their meters.
    fn tend_devices(&mut self) {
        let meters = matches!(
            self.memory.dialog,
            Some(Dialog::Preferences(Tab::Audio | Tab::Voice))
        );
        let choosing = self.memory.dialog == Some(Dialog::Preferences(Tab::Audio));
        if choosing && self.listed.elapsed() > RELIST {
            self.listed = Instant::now();
            self.audio.refresh();
        }
        let run = self.state.voice.channel().is_some() || meters;
        if run != self.running {
            self.running = run;
            let ends = run.then(|| self.session.attach_audio());
            if ends.is_none() {
                self.session.detach_audio();
            }
            self.audio.attach(ends);
            self.audio.run(run);
        }
    }

    fn talk_key(&mut self, ctx: &Context) {
        let Some(key) = Key::from_name(&self.settings.talk_key) else {
            return;
        };
        let writing = ctx.egui_wants_keyboard_input() && !is_function_key(key);
        let down = ctx
            .input(|input| input.viewport().focused != Some(false) && input.key_down(key))
            && !writing
            && !self.memory.binding_talk_key;
        if down != self.talk_key_down {
            self.talk_key_down = down;
            self.session.send(Intent::SetTalkKey(down));
        }
    }

    fn obey(&mut self, want: Want) {
        match want {
            Want::Session(intent) => {
                self.remember(&intent);
                self.session.send(intent);
            }
            Want::Visit(link) => self.visit(link),
            Want::Return(login) => {
                self.session.send(Intent::Connect {
                    link: login.link.clone(),
                    identity: Identity::Stored(login),
                });
            }
            Want::Forget(link) => {
                self.logins.forget(&link);
                self.save_logins();
            }
            Want::RefreshDevices => self.audio.refresh(),
            Want::TestSpeakers => self.audio.play(Sound::Test),
            Want::DismissNotice(id) => self.notices.retain(|notice| notice.id != id),
        }
    }

    /// Some of what is wanted of the session is to be so next time too.
    fn remember(&mut self, intent: &Intent) {
        match intent {
            Intent::SetUserGain { user, gain } => {
                self.set_person(*user, |person| person.gain = *gain);
            }
            Intent::SetUserMuted { user, muted } => {
                self.set_person(*user, |person| person.muted = *muted);
            }
            Intent::SignIn(
                Identity::Guest { name }
                | Identity::Login { name, .. }
                | Identity::Register { name, .. },
            ) => {
                self.settings.name.clone_from(name);
            }
            Intent::SignOut => {
                if let Some(link) = &self.memory.entry.link {
                    self.logins.forget(&link.clone());
                    self.save_logins();
                }
            }
            _ => {}
        }
    }

    fn set_person(&mut self, user: UserId, change: impl FnOnce(&mut crate::settings::Person)) {
        let Some(link) = &self.memory.entry.link else {
            return;
        };
        let mut person = self.settings.person(link, user);
        change(&mut person);
        self.settings.set_person(link, user, person);
    }

    /// Tells session, devices and window what has changed in the settings.
    fn settle(&mut self, ctx: &Context) {
        if self.settings == self.applied {
            return;
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
        self.apply_voice();
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
    }

    fn apply_voice(&self) {
        let settings = &self.settings;
        self.session
            .send(Intent::SetTransmit(settings.transmit.into()));
        self.session
            .send(Intent::SetSensitivity(settings.sensitivity));
        self.session.send(Intent::SetStability(settings.stability));
        self.session
            .send(Intent::SetLevelling(settings.level_voices));
        self.session
            .send(Intent::SetFrameLength(settings.frame_length()));
        self.session
            .send(Intent::SetMicrophone(settings.microphone()));
        self.session.send(Intent::SetReleaseTail {
            ms: settings.release_tail_ms,
        });
    }

    /// For whoever looks into a bad connection: `VOXHALL_LOG=voxhall=debug`.
    fn report(&mut self) {
        if self.state.voice.channel().is_some() && self.reported.elapsed() > REPORT {
            self.reported = Instant::now();
            tracing::debug!(meters = ?self.session.meters(), "voice");
        }
    }

    fn save(&mut self) {
        self.save_at = None;
        if let Err(error) = self.store.save_settings(&self.settings) {
            self.warn(format!("Can't save the settings: {error}."));
        }
    }

    fn save_logins(&mut self) {
        if let Err(error) = self.store.save_logins(&self.logins) {
            self.warn(format!("Can't save the login: {error}."));
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
        let now = Instant::now();
        let mut seen = Vec::new();
        for (own, notices) in [(false, &self.state.notices), (true, &self.notices)] {
            for notice in notices
                .iter()
                .filter(|notice| notice.level == NoticeLevel::Info)
            {
                let known = self
                    .notice_times
                    .iter()
                    .find(|time| (time.0, time.1) == (own, notice.id));
                seen.push((own, notice.id, known.map_or(now, |time| time.2)));
            }
        }
        for &(own, id, since) in &seen {
            if now - since > NOTICE_FOR {
                if own {
                    self.notices.retain(|notice| notice.id != id);
                } else {
                    self.session.send(Intent::DismissNotice(id));
                }
            }
        }
        self.notice_times = seen;
    }

    /// When to draw again by itself; what changes in between asks for it.
    fn next_frame(&self, ctx: &Context, meters: &VoiceMeters, audio: &AudioStatus) {
        let mut next = None;
        let mut within =
            |wait: Duration| next = Some(next.map_or(wait, |next: Duration| next.min(wait)));
        if self.running {
            let loud = self.levels.0 > QUIET_DBFS
                && (meters.transmitting
                    || self.state.voice.channel().is_none()
                    || self.memory.dialog.is_some());
            let lively = loud
                || self.levels.1 > QUIET_DBFS
                || meters.speakers.iter().any(|speaker| speaker.speaking);
            within(
                if lively && (audio.input.is_open() || audio.output.is_open()) {
                    LIVELY
                } else {
                    CALM
                },
            );
        }
        if matches!(self.state.connection, Connection::Reconnecting { .. }) {
            within(CALM);
        }
        if let Some(at) = self.save_at {
            within(at.saturating_duration_since(Instant::now()));
        }
        if !self.notice_times.is_empty() {
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
        let meters = self.session.meters();
        let audio = self.audio.status();
        if self.running {
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
        let scene = Scene {
            state: &self.state,
            meters: &meters,
            audio: &audio,
            levels: self.levels,
            logins: &self.logins,
            notices: &self.notices,
            state_age_ms: u64::try_from(self.state_since.elapsed().as_millis()).unwrap_or(u64::MAX),
            time_zone: &self.time_zone,
            now: jiff::Timestamp::now(),
        };
        ui::root_ui(
            ui,
            &scene,
            &mut self.settings,
            &mut self.memory,
            &mut intents,
        );
        for want in intents.0 {
            self.obey(want);
        }
        self.settle(&ctx);
        self.tend_devices();
        self.next_frame(&ctx, &meters, &audio);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        if self.save_at.is_some() {
            self.save();
        }
        self.audio.run(false);
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

fn is_function_key(key: Key) -> bool {
    (Key::F1..=Key::F35).contains(&key)
}

fn user_name() -> String {
    ["USER", "USERNAME", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default()
}

/// How this computer appears among the devices signed in.
fn device_label() -> String {
    let host = std::fs::read_to_string("/etc/hostname")
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

/// Of one's own stay in a voice channel, as the roster says.
fn own_ssrc(state: &State) -> Option<Ssrc> {
    let me = state.me.as_ref()?.id;
    let mut guilds = state.guilds.iter();
    guilds.find_map(|guild| guild.voice.get(&me).map(|voice| voice.ssrc))
}
