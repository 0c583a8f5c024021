//! The session as a pure state machine: inputs and the time in, outputs out. No socket, no clock, no thread.

mod ask;
mod calls;
mod connection;
mod fold;
mod outbox;
mod replies;
mod sign_in;
mod stages;
#[cfg(test)]
mod tests;
mod text;
mod transfer;
mod voice;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    CallId, ChannelId, FileId, GuildId, SecretText, Ssrc,
    control::{
        CreateInvite, EpochKey, Event, Hello, Invite, InvitePreview, JoinStage, Logout, Ping,
        Reply, Request, RequestId, SetIdle, StartTyping, UploadPurpose, VoiceGrant, VoiceState,
    },
    limits::{PROTOCOL_MAX, PROTOCOL_MIN},
    link::Link,
};

use crate::{
    AskError, Connection, Identity, Intent, InviteLink, NoticeLevel, Problem, State, StoredLogin,
    Tag, TransferId, TransferProgress, VoicePath,
};
use text::ListJob;

/// A server that says nothing at all for this long while a request waits is gone.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// So is one that never answers, whatever else it says.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// First wait before a reconnect; doubles up to [`MAX_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// For this long after a loss the waits stay at most [`EAGER_BACKOFF`]: a restarting server is back within seconds.
const EAGER: Duration = Duration::from_secs(30);
const EAGER_BACKOFF: Duration = Duration::from_secs(1);
/// A blocked voice path is asked for anew this often.
const REJOIN_EVERY: Duration = Duration::from_secs(5);
/// An invite that is good for a week is shown again for this long.
const REUSE_INVITE: Duration = Duration::from_secs(24 * 3600);
/// The server is told this often at most that somebody is typing.
const TYPING_EVERY: Duration = Duration::from_secs(5);
/// An access token is replaced this long before it expires.
const REFRESH_AHEAD: Duration = Duration::from_secs(60);
/// After a refresh that failed for no fault of ours.
const REFRESH_AGAIN: Duration = Duration::from_secs(20);
const MAX_NOTICES: usize = 5;

/// What happens to a session.
#[derive(Debug, Clone)]
pub enum Input {
    Intent(Intent),
    /// The control connection asked for by [`Output::Open`] is up.
    Opened,
    /// It could not be opened.
    OpenFailed(Problem),
    /// A text frame from the server.
    Text(String),
    /// The control connection is gone.
    Closed,
    /// Voice datagrams pass both ways.
    VoiceOpened,
    /// They no longer do; what carries them is being tried again.
    VoiceLost,
    /// Nothing can carry them: the system gave no socket.
    VoiceFailed,
    /// Something is asked by the program itself; [`Output::Answered`] comes with the same tag.
    Ask {
        tag: Tag,
        request: Request,
    },
    /// How an upload or a download goes.
    Transfer(TransferId, TransferProgress),
    /// [`Core::next_timeout`] has come.
    Tick,
}

/// What the shell has to do.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Open a control connection, closing the one before.
    Open(Link),
    Send(String),
    Close,
    /// Open the voice path of this grant, replacing the one before.
    StartVoice(Box<VoiceGrant>),
    StopVoice,
    /// A new base key for the voice path.
    VoiceKey(EpochKey),
    VoiceJoined(VoiceState),
    VoiceLeft(VoiceState),
    /// `State::voice` changed: mute, gains and so on.
    VoiceSettings,
    /// Keep this for next time before anything else happens: the refresh token before it is spent. `None`: signed out.
    Credentials(Option<Box<StoredLogin>>),
    /// To [`Input::Ask`].
    Answered(Tag, Result<Box<Reply>, AskError>),
    /// The picture was replaced as a whole: what happened since the last event is in it, but was not told one by one.
    Synced,
    /// Was folded just now.
    Event(Box<Event>),
    Upload {
        transfer: TransferId,
        purpose: UploadPurpose,
        path: PathBuf,
    },
    Download {
        transfer: TransferId,
        file: FileId,
        thumbnail: bool,
        to: PathBuf,
    },
    StopTransfer(TransferId),
}

/// What an unanswered request was for.
#[derive(Debug)]
enum Pending {
    Hello,
    Inspect,
    SignIn,
    /// A new access token while all goes on.
    Refresh,
    Begin,
    Resume,
    Ping,
    Redeem,
    Invite(GuildId),
    /// With the number of the wish.
    Join(u32),
    /// With the number of the wish, and where.
    EnterCall(u32, ChannelId),
    /// With the number of the wish, and how to come in.
    EnterStage(u32, JoinStage),
    StageAgain,
    /// The queued thing of this number.
    Queued(u64),
    List(ListJob),
    Search,
    /// The server counts the unread messages of this channel.
    Recount(ChannelId),
    Ask(Asker, Box<Request>),
    /// Nothing depends on the answer.
    Courtesy,
}

/// Who wants to know.
#[derive(Debug, Clone, Copy)]
enum Asker {
    Nobody,
    /// Looks into [`State::answers`].
    View(Tag),
    /// Waits for [`Output::Answered`].
    Program(Tag),
}

/// Where the session is headed.
#[derive(Debug)]
struct Target {
    link: Link,
    identity: Identity,
    /// The invite code has done its work.
    code_used: bool,
}

/// The control connection as the core sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Down,
    Opening,
    Up,
}

/// What `session.resume` goes on with.
#[derive(Debug)]
struct Thread {
    token: SecretText,
    /// Of the last event that was folded.
    seq: u64,
}

/// The access token of now.
#[derive(Debug)]
struct Access {
    token: SecretText,
    good_until: Instant,
    refresh_at: Instant,
    /// Got on this very connection: if it is refused, another would be too.
    fresh: bool,
}

pub struct Core {
    client: String,
    device: String,
    state: State,
    changed: bool,
    target: Option<Target>,
    wire: Wire,
    heartbeat: Duration,
    heard_at: Instant,
    /// When something was sent last: the server wants to hear of us too.
    said_at: Instant,
    next_request: RequestId,
    pending: HashMap<RequestId, (Pending, Instant)>,
    /// When to try again, and how long the wait after that will be.
    retry_at: Option<Instant>,
    backoff: Duration,
    lost_at: Option<Instant>,
    thread: Option<Thread>,
    access: Option<Access>,
    /// Events that still belong to what was missed.
    catching_up: u64,
    outbox: outbox::Outbox,
    /// Pages that have to wait before they are asked for.
    lists_later: BTreeMap<ChannelId, (Instant, ListJob)>,
    /// Counts that the server had no time for.
    recounts_later: BTreeMap<ChannelId, Instant>,
    /// What happened in channels of which a page is on its way; folded once more when it is there.
    meanwhile: BTreeMap<ChannelId, Vec<Event>>,
    /// By channel the number of the page asked for last: others are dropped, and the highest was looked at last.
    windows: BTreeMap<ChannelId, u64>,
    next_window: u64,
    typed: Option<(ChannelId, Instant)>,
    idle: bool,
    /// The channel the person wants to be in.
    wanted_channel: Option<ChannelId>,
    rejoin_at: Option<Instant>,
    /// The channel and the SSRC of the grant that the voice path runs on.
    granted: Option<(ChannelId, Ssrc)>,
    /// Counts wishes to be in a channel: only the answer to the newest one matters.
    wish: u32,
    /// The same for calls.
    call_wish: u32,
    /// And for stage rooms.
    stage_wish: u32,
    /// The call that was hung up while there was no connection: the server was not told yet.
    hung_up: Option<CallId>,
    /// The same for a stage room.
    left_stage: Option<ChannelId>,
    /// The stage room the person is in, and how they came in.
    wanted_stage: Option<JoinStage>,
    /// The invite made last, to show again instead of making one with every click.
    made_invite: Option<(GuildId, Instant, Invite)>,
    /// Where the link leads, while it is asked who is there.
    preview: Option<InvitePreview>,
    next_notice: u64,
    /// Makes jitter.
    seed: u64,
    /// Makes nonces unique to this run.
    nonces: u64,
    next_nonce: u64,
}

impl Core {
    /// `client` and `device` name this program and this machine to the server; `seed` is fresh randomness.
    pub fn new(client: String, device: String, seed: u64, now: Instant) -> Self {
        Self {
            client,
            device,
            state: State::default(),
            changed: true,
            target: None,
            wire: Wire::Down,
            heartbeat: Duration::from_secs(15),
            heard_at: now,
            said_at: now,
            next_request: 1,
            pending: HashMap::new(),
            retry_at: None,
            backoff: FIRST_BACKOFF,
            lost_at: None,
            thread: None,
            access: None,
            catching_up: 0,
            outbox: outbox::Outbox::default(),
            lists_later: BTreeMap::new(),
            recounts_later: BTreeMap::new(),
            meanwhile: BTreeMap::new(),
            windows: BTreeMap::new(),
            next_window: 0,
            typed: None,
            idle: false,
            wanted_channel: None,
            rejoin_at: None,
            granted: None,
            wish: 0,
            call_wish: 0,
            stage_wish: 0,
            hung_up: None,
            left_stage: None,
            wanted_stage: None,
            made_invite: None,
            preview: None,
            next_notice: 1,
            seed,
            nonces: seed,
            next_nonce: 0,
        }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether the state changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The access token of now, for what goes over HTTPS beside the connection.
    pub fn access_token(&self) -> Option<&SecretText> {
        self.access.as_ref().map(|access| &access.token)
    }

    /// Whether the state changed and [`Core::take_changed`] was not asked yet.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// When [`Input::Tick`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        let requests = self.pending.values().map(|(_, sent)| self.gives_up(*sent));
        let up = self.wire == Wire::Up;
        let ping = up.then(|| self.said_at + self.heartbeat);
        let refresh = self.access.as_ref().filter(|_| self.is_online());
        let typing = self
            .state
            .typing
            .values()
            .flat_map(|people| people.values());
        requests
            .chain(ping)
            .chain(refresh.map(|access| access.refresh_at))
            .chain(self.retry_at)
            .chain(self.rejoin_at)
            .chain(typing.copied())
            .chain(self.lists_later.values().map(|(at, _)| *at))
            .chain(self.recounts_later.values().copied())
            .chain(self.outbox.next_timeout().filter(|_| self.is_online()))
            .min()
    }

    /// When a request sent then means that the connection is dead.
    fn gives_up(&self, sent: Instant) -> Instant {
        (self.heard_at.max(sent) + REQUEST_TIMEOUT).min(sent + ANSWER_TIMEOUT)
    }

    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Intent(intent) => self.intent(now, intent, out),
            Input::Opened => {
                self.wire = Wire::Up;
                self.heard_at = now;
                let hello = Hello {
                    protocol_min: PROTOCOL_MIN,
                    protocol_max: PROTOCOL_MAX,
                    client: self.client.clone(),
                };
                self.call(now, &hello, Pending::Hello, out);
            }
            Input::OpenFailed(problem) => {
                self.wire = Wire::Down;
                self.lost(now, problem, out);
            }
            Input::Closed => self.closed(now, Problem::ConnectionLost, out),
            Input::Text(text) => self.text(now, &text, out),
            Input::VoiceOpened => {
                if let Some(channel) = self.running_channel() {
                    self.set_path(VoicePath::Open(channel));
                }
            }
            Input::VoiceLost => {
                if let Some(channel) = self.running_channel() {
                    self.set_path(VoicePath::Blocked(channel));
                }
            }
            Input::VoiceFailed => {
                if let Some(channel) = self.running_channel() {
                    self.set_path(VoicePath::Blocked(channel));
                    self.rejoin_at = Some(now + REJOIN_EVERY);
                }
            }
            Input::Ask { tag, request } => self.ask(now, Asker::Program(tag), request, out),
            Input::Transfer(transfer, progress) => {
                self.transfer_goes_on(now, transfer, progress, out);
            }
            Input::Tick => self.tick(now, out),
        }
    }

    fn intent(&mut self, now: Instant, intent: Intent, out: &mut Vec<Output>) {
        match intent {
            Intent::Connect { link, identity } => {
                self.leave_server(now, out);
                self.target = Some(Target {
                    link,
                    identity,
                    code_used: false,
                });
                self.set_connection(Connection::Connecting);
                self.open(out);
            }
            Intent::SignIn(identity) => {
                let Some(target) = &mut self.target else {
                    return;
                };
                target.identity = identity;
                if self.wire == Wire::Up {
                    self.sign_in(now, out);
                } else {
                    self.set_connection(Connection::Connecting);
                    self.open(out);
                }
            }
            Intent::SignOut => {
                if self.is_online() {
                    self.call(now, &Logout {}, Pending::Courtesy, out);
                }
                self.leave_server(now, out);
                self.target = None;
                self.forget_login(out);
                self.set_connection(Connection::Idle);
            }
            Intent::Disconnect => {
                self.leave_server(now, out);
                self.target = None;
                self.set_connection(Connection::Idle);
            }
            Intent::RetryNow => {
                if self.wire == Wire::Down && self.target.is_some() {
                    self.retry_at = None;
                    if !matches!(self.state.connection, Connection::Reconnecting { .. }) {
                        self.set_connection(Connection::Connecting);
                    }
                    self.open(out);
                }
            }
            Intent::JoinVoice(channel) => self.go_to(now, channel, out),
            Intent::LeaveVoice => self.go_out(now, out),
            Intent::Call(intent) => self.call_intent(now, intent, out),
            Intent::JoinStage(join) => self.join_stage(now, &join, out),
            Intent::LeaveStage => self.leave_stage(now, out),
            Intent::SetMuted(muted) => {
                self.state.voice.muted = muted;
                if !muted {
                    self.state.voice.deafened = false;
                }
                self.voice_flags_changed(now, out);
            }
            Intent::SetDeafened(deafened) => {
                self.state.voice.deafened = deafened;
                self.voice_flags_changed(now, out);
            }
            Intent::SetTransmit(transmit) => {
                self.state.voice.transmit = transmit;
                self.voice_settings_changed(out);
            }
            Intent::SetTalkKey(down) => {
                self.state.voice.talk_key = down;
                self.voice_settings_changed(out);
            }
            Intent::SetSensitivity(sensitivity) => {
                self.state.voice.sensitivity = unit(sensitivity);
                self.voice_settings_changed(out);
            }
            Intent::SetReleaseTail { ms } => {
                self.state.voice.release_tail_ms = ms.min(2_000);
                self.voice_settings_changed(out);
            }
            Intent::SetFrameLength(length) => {
                self.state.voice.frame_length = length;
                self.voice_settings_changed(out);
            }
            Intent::SetMicrophone(microphone) => {
                self.state.voice.microphone = microphone;
                self.voice_settings_changed(out);
            }
            Intent::SetUserGain { user, gain } => {
                let gain = if gain.is_finite() {
                    gain.clamp(0.0, 2.0)
                } else {
                    1.0
                };
                self.state.voice.gains.insert(user, gain);
                self.voice_settings_changed(out);
            }
            Intent::SetUserMuted { user, muted } => {
                let mutes = &mut self.state.voice.local_mutes;
                let _ = if muted {
                    mutes.insert(user)
                } else {
                    mutes.remove(&user)
                };
                self.voice_settings_changed(out);
            }
            Intent::SetLevelling(on) => {
                self.state.voice.level_voices = on;
                self.voice_settings_changed(out);
            }
            Intent::SetStability(stability) => {
                self.state.voice.stability = unit(stability);
                self.voice_settings_changed(out);
            }
            Intent::SendMessage {
                channel,
                text,
                reply_to,
                uploads,
            } => self.send_message(now, channel, &text, reply_to, uploads, out),
            Intent::RetryMessage { channel, nonce } => {
                self.retry_message(now, channel, &nonce, out);
            }
            Intent::DiscardMessage { channel, nonce } => self.discard_message(channel, &nonce),
            Intent::EditMessage {
                channel,
                message,
                text,
            } => self.edit_message(now, channel, message, &text, out),
            Intent::DiscardEdit { channel, message } => self.discard_edit(channel, message),
            Intent::MarkRead { channel, message } => self.mark_read(now, channel, message, out),
            Intent::LoadMessages(channel) => self.load_messages(now, channel, out),
            Intent::LoadNewer(channel) => self.load_newer(now, channel, out),
            Intent::JumpTo { channel, place } => self.jump_to(now, channel, place, out),
            Intent::Search(search) => self.search(now, &search, out),
            Intent::EndSearch => {
                self.state.search = None;
                self.changed = true;
            }
            Intent::Typing(channel_id) => {
                let told = self
                    .typed
                    .is_some_and(|(channel, at)| channel == channel_id && now < at + TYPING_EVERY);
                if self.is_online() && !told {
                    self.typed = Some((channel_id, now));
                    self.call(now, &StartTyping { channel_id }, Pending::Courtesy, out);
                }
            }
            Intent::SetIdle(idle) => {
                if self.idle != idle {
                    self.idle = idle;
                    if self.is_online() {
                        self.call(now, &SetIdle { idle }, Pending::Courtesy, out);
                    }
                }
            }
            Intent::Upload {
                transfer,
                purpose,
                path,
            } => self.upload(transfer, purpose, path, out),
            Intent::Download {
                transfer,
                file,
                thumbnail,
                to,
            } => self.download(transfer, file, thumbnail, to, out),
            Intent::DropTransfer(transfer) => self.drop_transfer(transfer, out),
            Intent::Ask { tag, request } => {
                let asker = tag.map_or(Asker::Nobody, Asker::View);
                self.ask(now, asker, request, out);
            }
            Intent::DropAnswer(tag) => self.drop_answer(tag),
            Intent::CreateInvite(guild) => {
                self.changed = true;
                let made = self.made_invite.as_ref();
                let fresh = made.filter(|(of, at, _)| *of == guild && now < *at + REUSE_INVITE);
                if let Some((_, _, invite)) = fresh {
                    self.state.invite = InviteLink::Made(invite.clone());
                } else if self.is_online() {
                    self.state.invite = InviteLink::Making;
                    self.call(now, &week_invite(guild), Pending::Invite(guild), out);
                } else {
                    let offline = "There is no connection to the server right now.";
                    self.state.invite = InviteLink::Failed(offline.to_owned());
                }
            }
            Intent::DismissNotice(id) => {
                self.state.notices.retain(|notice| notice.id != id);
                self.changed = true;
            }
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.open(out);
        }
        if self.rejoin_at.is_some_and(|at| at <= now) {
            self.rejoin_at = Some(now + REJOIN_EVERY);
            self.join_voice(now, out);
        }
        self.changed |= self.state.expire_typing(now);
        let dead = |(_, sent): &(Pending, Instant)| self.gives_up(*sent) <= now;
        if self.pending.values().any(dead) {
            out.push(Output::Close);
            return self.closed(now, Problem::ConnectionLost, out);
        }
        if self.is_online() {
            self.refresh_if_due(now, out);
            self.list_what_waited(now, out);
            self.count_what_waited(now, out);
            self.pump(now, out);
        }
        if self.wire == Wire::Up && self.said_at + self.heartbeat <= now {
            self.call(now, &Ping {}, Pending::Ping, out);
        }
    }

    fn notice(&mut self, level: NoticeLevel, text: String) {
        let id = self.next_notice;
        self.next_notice += 1;
        if self.state.notices.len() == MAX_NOTICES {
            self.state.notices.remove(0);
        }
        self.state.notices.push(crate::Notice { id, level, text });
        self.changed = true;
    }

    /// 0 to 1, by SplitMix64.
    fn random_unit(&mut self) -> f32 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// A slider's value; anything that is no number is 0.
fn unit(value: f32) -> f32 {
    if value.is_finite() {
        value.clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// An invite as the app makes it: good for a week, for anyone who has it.
fn week_invite(guild_id: GuildId) -> CreateInvite {
    CreateInvite {
        guild_id,
        expires_in_s: Some(7 * 24 * 3600),
        max_uses: None,
    }
}
