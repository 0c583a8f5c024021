//! Who is online, and who is in which voice channel: everything that is gone when the server stops.
//!
//! A pure state machine. Calls take the time and push what is to be done into an [`Output`] list; randomness was given at the start.
//! Guilds and members are held here too, as they were committed, so that what a client is shown at its beginning and the events that
//! follow come from one place and fit together.

mod calls;
mod figures;
mod people;
mod reading;
mod rights;
mod room;
mod sessions;
mod stage_room;
mod stages;
mod structure;
#[cfg(test)]
mod tests;
mod text;
mod view;
mod voice;
mod voice_rights;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use voxhall_protocol::{
    CallId, ChannelId, GuildId, SenderIndex, SessionSecret, Ssrc, UserId, VoiceSessionId,
    control::{Event, Failure, RequestId, StageGone, UnixMs, VoiceGrant},
};
use voxhall_store::{CallRecord, Change, ConversationRecord, RelationRecord};

use calls::Call;
pub use rights::Place;
use room::Room;
use sessions::Session;
pub use sessions::full_sync_needed;
use stage_room::StageRoom;
pub use voice_rights::not_in_voice;
pub use world::World;
use world::{GuildState, Person};

/// After a change of keys, the next change waits this long, and takes with it whatever happened meanwhile.
pub const REKEY_EVERY: Duration = Duration::from_millis(300);
/// Voice goes on this long after the control connection was lost.
pub const VOICE_GRACE: Duration = Duration::from_secs(30);

/// One WebSocket connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a client began with `session.begin`; it may outlive its connection, and go on with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Fills a buffer with random bytes.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// What is to be done, in this order, but routes before all else.
#[derive(Debug)]
pub enum Output {
    /// Answers a request.
    Answer {
        to: ConnectionId,
        request: RequestId,
        answer: Answer,
    },
    Event {
        to: Vec<SessionId>,
        event: Box<Event>,
    },
    Route(RouteChange),
    HangUp(ConnectionId, HangUp),
    Store(ToStore),
    /// The session is over: nobody comes back to it.
    Forget(SessionId),
}

/// What the live state itself has to have stored.
#[derive(Debug)]
pub enum ToStore {
    /// A call began, or is over.
    Call(Box<CallRecord>),
    /// A stage room is over because no host came back.
    StageOver(ChannelId),
}

/// Why the server ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUp {
    /// This user has too many connections, and this is the oldest of them.
    TooMany,
    /// This device is no longer signed in.
    SignedOut,
    /// This user may no longer be here.
    Suspended,
    /// The account is no more.
    Deleted,
    /// The session goes on with another connection.
    Resumed,
}

/// The time, for pauses and of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub at: Instant,
    pub unix_ms: UnixMs,
}

impl Now {
    /// When it will be so late, as far as clocks go on as they do now. None: never.
    fn instant_of(self, unix_ms: UnixMs) -> Option<Instant> {
        let wait = unix_ms.saturating_sub(self.unix_ms).max(0).unsigned_abs();
        self.at.checked_add(Duration::from_millis(wait))
    }
}

#[derive(Debug)]
pub enum Answer {
    Granted(VoiceGrant),
    Refused(Failure),
}

/// What the media thread has to know.
#[derive(Debug)]
pub enum RouteChange {
    Add(VoiceRoute),
    Rights {
        session: VoiceSessionId,
        may_speak: bool,
        deafened: bool,
    },
    Remove(VoiceSessionId),
}

#[derive(Debug)]
pub struct VoiceRoute {
    pub session: VoiceSessionId,
    pub secret: SessionSecret,
    pub ssrc: Ssrc,
    pub sender_index: SenderIndex,
    pub channel: ChannelId,
    pub may_speak: bool,
    pub deafened: bool,
    pub bundles: bool,
    pub bitrate_bps: u32,
}

/// The timers of this machine; each is in the table at most once for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Keys of this channel change.
    Rekey(ChannelId),
    /// This voice session's control connection did not come back.
    Grace(VoiceSessionId),
    /// This member's timeout is over, and they may speak again.
    TimeoutOver(VoiceSessionId),
    /// This session's client did not come back.
    Lost(SessionId),
    /// This user's custom status goes away.
    StatusOver(UserId),
    /// This party of a conversation's call does not answer, or did not come back.
    CallWait(ChannelId, UserId),
    /// The voice of someone in a stage room did not come, or did not come back.
    StageWait(UserId),
    /// How many listen in a stage room has changed, and is told.
    StageCount(ChannelId),
    /// No host is in this stage room.
    StageHostless(ChannelId),
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub users_online: usize,
    /// Whose clients may come back.
    pub lost_sessions: usize,
    pub voice_sessions: usize,
    pub guilds: usize,
}

pub struct Live {
    entropy: Entropy,
    /// Voices of a channel that are forwarded at once; none: all.
    loudest: Option<u8>,
    people: BTreeMap<UserId, Person>,
    guilds: BTreeMap<GuildId, GuildState>,
    /// To which guild a channel belongs.
    guild_of: BTreeMap<ChannelId, GuildId>,
    conversations: BTreeMap<ChannelId, ConversationRecord>,
    /// Of voice channels, of conversations while there is a call, and of stage rooms that have begun.
    rooms: BTreeMap<ChannelId, Room>,
    sessions: BTreeMap<SessionId, Session>,
    next_session: u64,
    /// Those that are open, and have begun their session.
    connections: BTreeMap<ConnectionId, SessionId>,
    /// In which voice channel a user is: one at most.
    in_voice: BTreeMap<UserId, ChannelId>,
    voice_sessions: BTreeMap<VoiceSessionId, UserId>,
    ssrcs: BTreeSet<Ssrc>,
    /// By conversation.
    calls: BTreeMap<ChannelId, Call>,
    call_channels: BTreeMap<CallId, ChannelId>,
    last_call: CallId,
    /// In which call a user is: one at most.
    in_call: BTreeMap<UserId, ChannelId>,
    /// Which call rings at a user: one at most.
    rung: BTreeMap<UserId, ChannelId>,
    stages: BTreeMap<ChannelId, StageRoom>,
    /// In which stage room a user is: one at most.
    in_stage: BTreeMap<UserId, ChannelId>,
    timers: BTreeSet<(Instant, Timer)>,
}

impl Live {
    pub fn new(world: World, loudest: Option<u8>, now: Now, entropy: Entropy) -> Self {
        let mut live = Self {
            entropy,
            loudest,
            people: BTreeMap::new(),
            guilds: BTreeMap::new(),
            guild_of: BTreeMap::new(),
            conversations: BTreeMap::new(),
            rooms: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
            connections: BTreeMap::new(),
            in_voice: BTreeMap::new(),
            voice_sessions: BTreeMap::new(),
            ssrcs: BTreeSet::new(),
            calls: BTreeMap::new(),
            call_channels: BTreeMap::new(),
            last_call: world.last_call.unwrap_or(CallId(0)),
            in_call: BTreeMap::new(),
            rung: BTreeMap::new(),
            stages: BTreeMap::new(),
            in_stage: BTreeMap::new(),
            timers: BTreeSet::new(),
        };
        // Nobody is there yet to be told.
        let mut unheard = Vec::new();
        for record in world.users {
            live.save_user(record, now, &mut unheard);
        }
        for guild in world.guilds {
            live.hold_guild(guild);
        }
        for RelationRecord { user, other, kind } in world.relations {
            live.relate(user, other, Some(kind), now, &mut unheard);
        }
        for conversation in world.conversations {
            live.save_conversation(conversation, now, &mut unheard);
        }
        for stage in world.stages {
            live.save_stage(stage, now, &mut unheard);
        }
        live
    }

    /// Takes in what was committed, and tells whom it concerns. The same once more changes nothing.
    pub fn apply(&mut self, change: Change, now: Now, out: &mut Vec<Output>) {
        match change {
            Change::UserSaved(record) => self.save_user(record, now, out),
            Change::UserDeleted(user) => self.delete_user(user, now, out),
            Change::DevicesEnded(devices) => self.end_devices(&devices, now, out),
            Change::PresenceChosen { user, presence } => {
                self.choose_presence(user, presence, now, out);
            }
            Change::Related { user, other, kind } => self.relate(user, other, kind, now, out),
            Change::ConversationSaved(record) => self.save_conversation(record, now, out),
            Change::ConversationDeleted(id) => self.delete_conversation(id, now, out),

            Change::GuildCreated(record) => self.create_guild(*record, out),
            Change::GuildUpdated(info) => self.update_guild(info, now, out),
            Change::GuildDeleted(guild) => self.delete_guild(guild, now, out),
            Change::ChannelSaved { guild, channel } => self.save_channel(guild, channel, now, out),
            Change::ChannelDeleted { guild, channel } => {
                self.delete_channel(guild, channel, now, out);
            }
            Change::RoleSaved { guild, role } => self.save_role(guild, role, now, out),
            Change::RoleDeleted { guild, role } => self.delete_role(guild, role, now, out),
            Change::MemberSaved { guild, member } => self.save_member(guild, member, now, out),
            Change::MemberRemoved { guild, user, why } => {
                self.remove_member(guild, user, why, now, out);
            }

            Change::MessageCreated(message) => self.message_created(message, out),
            Change::MessageEdited {
                channel,
                message,
                text,
                mentions,
                edited_at_ms,
            } => {
                let event = Event::MessageUpdated {
                    channel_id: channel,
                    message_id: message,
                    text,
                    mentions,
                    edited_at_ms,
                };
                self.tell_readers(channel, event, out);
            }
            Change::MessagesDeleted { channel, messages } => {
                let event = Event::MessageDeleted {
                    channel_id: channel,
                    message_ids: messages,
                };
                self.tell_readers(channel, event, out);
            }
            Change::MessagePinned {
                channel,
                message,
                pinned,
            } => {
                let event = Event::MessagePinned {
                    channel_id: channel,
                    message_id: message,
                    pinned,
                };
                self.tell_readers(channel, event, out);
            }
            Change::ReactionAdded {
                channel,
                message,
                user,
                emoji,
                count,
            } => {
                let event = Event::ReactionAdded {
                    channel_id: channel,
                    message_id: message,
                    user_id: user,
                    emoji,
                    count,
                };
                self.tell_readers(channel, event, out);
            }
            Change::ReactionRemoved {
                channel,
                message,
                user,
                emoji,
                count,
            } => {
                let event = Event::ReactionRemoved {
                    channel_id: channel,
                    message_id: message,
                    user_id: user,
                    emoji,
                    count,
                };
                self.tell_readers(channel, event, out);
            }
            Change::StageSaved(record) => self.save_stage(record, now, out),
            Change::StageEnded(stage) => self.end_stage(stage, StageGone::Ended, now, out),
            Change::CallLogged {
                user,
                entry,
                missed,
            } => self.tell_user(user, Event::CallLogged { entry, missed }, out),
            Change::CallsSeen { user, missed } => {
                self.tell_user(user, Event::CallsSeen { missed }, out);
            }
            Change::Read { user, state } => {
                self.tell_user(user, Event::ChannelRead { read_state: state }, out);
            }
        }
    }

    /// Members who are seen online now.
    pub fn online_count(&self, guild_id: GuildId) -> u32 {
        let online = self.guilds.get(&guild_id).map_or(0, |guild| {
            let people = guild
                .members
                .keys()
                .filter_map(|user| self.people.get(user));
            people.filter(|person| person.shown.is_online()).count()
        });
        u32::try_from(online).unwrap_or(u32::MAX)
    }

    pub fn counts(&self) -> Counts {
        let open = self
            .connections
            .values()
            .filter_map(|id| self.sessions.get(id));
        let users: BTreeSet<_> = open.map(|session| session.user).collect();
        Counts {
            users_online: users.len(),
            lost_sessions: self.lost_count(),
            voice_sessions: self.voice_sessions.len(),
            guilds: self.guilds.len(),
        }
    }

    /// When [`Live::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub fn tick(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now.at
        {
            self.timers.pop_first();
            match timer {
                Timer::Rekey(channel) => self.rekey_due(channel, now, out),
                Timer::Grace(session) => self.grace_over(session, now, out),
                Timer::TimeoutOver(session) => self.timeout_over(session, now, out),
                Timer::Lost(session) => self.forget(session, now, out),
                Timer::StatusOver(user) => self.status_over(user, now, out),
                Timer::CallWait(channel, user) => self.wait_over(channel, user, now, out),
                Timer::StageWait(user) => self.stage_wait_over(user, now, out),
                Timer::StageCount(channel) => self.count_due(channel, out),
                Timer::StageHostless(channel) => self.hostless(channel, now, out),
            }
        }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.entropy)(&mut bytes);
        bytes
    }
}

fn tell(out: &mut Vec<Output>, to: impl IntoIterator<Item = SessionId>, event: Event) {
    let to: Vec<_> = to.into_iter().collect();
    if !to.is_empty() {
        let event = Box::new(event);
        out.push(Output::Event { to, event });
    }
}
