//! One of the servers that the app is on: its connection, and all that belongs to it alone.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use egui::{ColorImage, Context};
use voxhall_protocol::{ChannelId, FileId, Ssrc, UserId, control::ChannelKind, link::Link};
use voxhall_session::{
    Connection, Identity, Intent, Notice, NoticeLevel, Options, Problem, Session, State, VoicePath,
};

use super::{computer::device_label, logins::Keeper};
use crate::{
    audio::Sound,
    files::Files,
    numbers::{next_server, next_transfer},
    pictures::Pictures,
    report::connection_words,
    settings::{Drafts, Settings, Store},
    ui::{Memory, ServerId, chat::files::PictureKind, pictures},
};

/// Notices that only inform go by themselves.
const NOTICE_FOR: Duration = Duration::from_secs(8);

pub(super) struct Server {
    pub id: ServerId,
    pub session: Session,
    pub state: Arc<State>,
    pub state_since: Instant,
    pub memory: Memory,
    files: Files,
    pictures: Pictures,
    /// Where the drafts in `memory` are of.
    drafts_of: Option<Link>,
    /// When each notice that goes by itself came, by its id.
    notice_times: Vec<(u64, Instant)>,
    pub autojoin: Option<Autojoin>,
    /// Signs in as this guest if the login kept for the server is no longer good.
    pub guest: Option<String>,
    /// Who is in voice with this user.
    company: BTreeSet<UserId>,
    /// Where it was told to go, until it has come back from there.
    link: Option<Link>,
}

/// Which voice channel to join once one is in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Autojoin {
    First,
    Named(String),
}

impl Server {
    /// Bound for nowhere yet.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn start(ctx: &Context, store: &Store, logins: &Keeper) -> io::Result<Self> {
        let id = next_server();
        let (repaint, logins) = (ctx.clone(), logins.clone());
        let session = Session::start(Options {
            on_change: Box::new(move || repaint.request_repaint()),
            // Kept at once: a window that isn't drawn looks at no state, and a refresh token works once.
            keep_login: Some(Box::new(move |login| {
                if let Some(login) = login {
                    logins.keep(login);
                }
            })),
            ..Options::new(
                concat!("voxhall ", env!("CARGO_PKG_VERSION")),
                device_label(),
            )
        })?;
        Ok(Self {
            id,
            state: session.state(),
            session,
            state_since: Instant::now(),
            memory: Memory::default(),
            files: Files::new(ctx),
            pictures: Pictures::new(ctx, id, store.folder().to_owned()),
            drafts_of: None,
            notice_times: Vec::new(),
            autojoin: None,
            guest: None,
            company: BTreeSet::new(),
            link: None,
        })
    }

    pub fn send(&self, intent: Intent) {
        self.session.send(intent);
    }

    pub fn connect(&mut self, link: Link, identity: Identity) {
        self.link = Some(link.clone());
        self.memory.entry.link = Some(link.clone());
        self.send(Intent::Connect { link, identity });
    }

    /// A login kept for the server is better than any other way in.
    pub fn visit(&mut self, link: Link, logins: &Keeper) {
        let identity = match (logins.of(&link), &self.guest) {
            (Some(login), _) => Identity::Stored(login),
            (None, Some(name)) => Identity::Guest { name: name.clone() },
            (None, None) => Identity::Ask,
        };
        self.connect(link, identity);
    }

    /// Where it goes or is.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// As it calls itself, or where it is.
    pub fn name(&self) -> String {
        let own = self.state.server_name.clone();
        let own = own.filter(|name| !name.trim().is_empty());
        own.or_else(|| self.link().map(Link::authority))
            .unwrap_or_default()
    }

    pub fn is_online(&self) -> bool {
        self.state.connection == Connection::Online
    }

    /// Takes what the session knows now; the state before, if there is a new one.
    pub fn look(&mut self) -> Option<Arc<State>> {
        let state = self.session.state();
        if Arc::ptr_eq(&state, &self.state) {
            return None;
        }
        self.state_since = Instant::now();
        let before = std::mem::replace(&mut self.state, state);
        if self.state.connection == Connection::Idle && before.connection != Connection::Idle {
            self.link = None;
        }
        self.log_changes(&before);
        Some(before)
    }

    /// What happened is worth a line: a report is read for that.
    fn log_changes(&self, before: &State) {
        let now = connection_words(&self.state.connection);
        if now != connection_words(&before.connection) {
            tracing::info!("connection: {now}");
        }
        // A new stay in the same channel, as after a restart of the server, may open between two looks.
        let stay = own_ssrc(&self.state);
        let new_stay = stay.is_some() && stay != own_ssrc(before);
        if self.state.voice.path != before.voice.path || new_stay {
            // The bench of the app looks for this line.
            tracing::info!(path = ?self.state.voice.path, "voice");
        }
    }

    /// Where it goes next, nothing of where it was is left to be seen.
    pub fn forget_place(&mut self, ctx: &Context) {
        // Whoever comes back finds them again; what is empty now is not what was written.
        self.drafts_of = None;
        self.memory.leave_server();
        self.files.leave(&mut self.memory.chat);
        self.pictures.clear(ctx);
    }

    /// The connection is there, for the first time or again.
    pub fn arrived(&mut self, settings: &Settings, drafts: &Drafts) {
        self.guest = None;
        self.memory.asked.clear();
        self.memory.chat.pictures.forget_failures();
        self.pictures.forget_failures();
        let Some(link) = self.link.clone() else {
            return;
        };
        if self.drafts_of.as_ref() != Some(&link) {
            self.memory.drafts = drafts.of(&link);
            self.drafts_of = Some(link.clone());
        }
        for (user, person) in settings.people_of(&link) {
            self.send(Intent::SetUserGain {
                user,
                gain: person.gain,
            });
            self.send(Intent::SetUserMuted {
                user,
                muted: person.muted,
            });
        }
    }

    /// Joins the channel that was wished for at the start; what is to be said where there is none.
    pub fn join_first(&mut self) -> Option<String> {
        let wish = self.autojoin.take()?;
        let state = Arc::clone(&self.state);
        let mut voice = state.guilds.iter().flat_map(|guild| {
            guild
                .channels_of(ChannelKind::Voice)
                .map(move |channel| (guild.id, channel))
        });
        let found = match &wish {
            Autojoin::First => voice.next(),
            Autojoin::Named(name) => {
                voice.find(|(_, channel)| channel.name.eq_ignore_ascii_case(name))
            }
        };
        match (found, wish) {
            (Some((guild, channel)), _) => {
                self.memory.guild = Some(guild);
                self.memory.channel = Some(channel.id);
                self.send(Intent::JoinVoice(channel.id));
                None
            }
            (None, Autojoin::Named(name)) => {
                Some(format!("There is no voice channel named {name} here."))
            }
            (None, Autojoin::First) => Some("There is no voice channel here to join.".to_owned()),
        }
    }

    /// The server asks who is there: the login that was tried is no good, so a guest's name is.
    pub fn answer_who(&mut self, logins: &Keeper) {
        let Connection::NeedsIdentity {
            problem: Some(problem),
            ..
        } = &self.state.connection
        else {
            return;
        };
        if *problem == Problem::SignedOut
            && let Some(link) = self.link()
        {
            logins.forget(link);
        }
        if let Some(name) = self.guest.take() {
            self.send(Intent::SignIn(Identity::Guest { name }));
        }
    }

    /// The voice channel that the server has let this user into.
    pub fn voice(&self) -> Option<ChannelId> {
        voice_of(&self.state)
    }

    /// One is in voice or in a call, or on the way there.
    pub fn wants_voice(&self) -> bool {
        let calls = &self.state.calls;
        self.state.voice.channel().is_some() || calls.here.is_some() || calls.entering.is_some()
    }

    /// A sound when somebody comes into one's channel or leaves it, oneself included.
    pub fn greet(&mut self, before: &State) -> Option<Sound> {
        let company: BTreeSet<UserId> = match self.voice() {
            Some(channel) => self
                .state
                .voice_states()
                .filter(|state| state.channel_id == channel)
                .map(|state| state.user_id)
                .collect(),
            None => BTreeSet::new(),
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
        if !self.is_online() {
            return None;
        }
        self.company = company;
        sound.filter(|_| !self.state.voice.deafened)
    }

    pub fn apply_voice(&self, settings: &Settings) {
        for intent in [
            Intent::SetTransmit(settings.transmit.into()),
            Intent::SetSensitivity(settings.sensitivity),
            Intent::SetStability(settings.stability),
            Intent::SetLevelling(settings.level_voices),
            Intent::SetFrameLength(settings.frame_length()),
            Intent::SetMicrophone(settings.microphone()),
            Intent::SetReleaseTail {
                ms: settings.release_tail_ms,
            },
        ] {
            self.send(intent);
        }
    }

    /// Drafts are kept as they are written: true if there are new ones.
    pub fn keep_drafts(&self, drafts: &mut Drafts) -> bool {
        match &self.drafts_of {
            Some(link) if self.link() == Some(link) => drafts.keep(link, &self.memory.drafts),
            _ => false,
        }
    }

    /// Files and pictures that have come are shown; what was wrong with one.
    pub fn tend_files(&mut self, ctx: &Context) -> Vec<String> {
        let mut warnings = Vec::new();
        let session = &self.session;
        self.files.tend(
            &mut self.memory.chat,
            &self.state,
            |intent| session.send(intent),
            |warning| warnings.push(warning),
        );
        self.pictures
            .tend(ctx, &self.state, |intent| session.send(intent));
        warnings
    }

    pub fn paste(&mut self, channel: ChannelId, picture: Arc<ColorImage>) -> Result<(), String> {
        let kept = self.files.paste(channel, picture);
        kept.map_err(|error| format!("Can't keep the picture from the clipboard: {error}."))
    }

    pub fn get_picture(&mut self, file: FileId, kind: PictureKind) -> Result<(), String> {
        let get = self.files.want(&mut self.memory.chat, file, kind);
        if let Some(get) = get.map_err(|error| format!("Can't get pictures: {error}."))? {
            self.send(get);
        }
        Ok(())
    }

    pub fn download(&mut self, file: FileId, to: PathBuf) {
        let transfer = next_transfer();
        self.memory.chat.saving.insert(file, transfer);
        self.send(Intent::Download {
            transfer,
            file,
            thumbnail: false,
            to,
        });
    }

    /// Sends those away that have been seen for long enough.
    pub fn retire_notices(&mut self) {
        for id in seen_for_long(&mut self.notice_times, &self.state.notices) {
            self.send(Intent::DismissNotice(id));
        }
    }

    pub fn has_passing_notices(&self) -> bool {
        !self.notice_times.is_empty()
    }

    /// It is closed for good: the window keeps no pictures of it.
    pub fn close(self, ctx: &Context) {
        pictures::forget(ctx, self.id);
    }
}

/// Those of the notices that only inform that have been there for long enough. `times`: when each came, by its id, brought up to date.
pub(super) fn seen_for_long(times: &mut Vec<(u64, Instant)>, notices: &[Notice]) -> Vec<u64> {
    let now = Instant::now();
    let infos = notices.iter();
    let infos = infos.filter(|notice| notice.level == NoticeLevel::Info);
    let since = |id| (times.iter().find(|it| it.0 == id)).map_or(now, |it| it.1);
    let seen: Vec<_> = infos.map(|it| (it.id, since(it.id))).collect();
    let old = seen.iter().filter(|it| now - it.1 > NOTICE_FOR);
    let old = old.map(|it| it.0).collect();
    *times = seen;
    old
}

/// The voice channel that the server has let the person into.
pub(super) fn voice_of(state: &State) -> Option<ChannelId> {
    match state.voice.path {
        VoicePath::Opening(channel) | VoicePath::Open(channel) | VoicePath::Blocked(channel) => {
            Some(channel)
        }
        VoicePath::Joining(_) | VoicePath::Out => None,
    }
}

/// Of one's own stay in a voice channel, as the roster says.
fn own_ssrc(state: &State) -> Option<Ssrc> {
    let me = state.me.as_ref()?.id;
    let mut everyone = state.voice_states();
    let own = everyone.find(|voice| voice.user_id == me)?;
    Some(own.ssrc)
}
