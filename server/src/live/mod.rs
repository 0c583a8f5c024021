//! Who is online, and who is in which voice channel: everything that is gone when the server stops.
//!
//! A pure state machine. Calls take the time and push what is to be done into an [`Output`] list; randomness was given at the start.
//! Guilds and members are held here too, as they were committed, so that what a client is shown at its beginning and the events that
//! follow come from one place and fit together.

mod people;
mod rights;
mod room;
mod structure;
#[cfg(test)]
mod tests;
mod text;
mod view;
mod voice;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, SecretText, SenderIndex, SessionSecret, Ssrc, UserId, VoiceSessionId,
    control::{Event, Failure, Ready, RequestId, UnixMs, User, VoiceGrant},
};
use voxhall_store::{Change, ConversationRecord, UserRecord};

pub use rights::Place;
use room::Room;
pub use world::World;
use world::{GuildState, Person};

/// After a change of keys, the next change waits this long, and takes with it whatever happened meanwhile.
pub const REKEY_EVERY: Duration = Duration::from_millis(300);
/// Voice goes on this long after the control connection was lost.
pub const VOICE_GRACE: Duration = Duration::from_secs(30);

/// Connections one user may have at once.
pub const MAX_CONNECTIONS_PER_USER: usize = 8;

/// One WebSocket connection that has begun its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

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
        to: Vec<ConnectionId>,
        event: Event,
    },
    Route(RouteChange),
    HangUp(ConnectionId, HangUp),
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
}

/// The time, for pauses and of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub at: Instant,
    pub unix_ms: UnixMs,
}

#[derive(Debug)]
pub enum Answer {
    Ready(Ready),
    Granted(VoiceGrant),
    Refused(Failure),
}

/// What the media thread has to know.
#[derive(Debug)]
pub enum RouteChange {
    Add(VoiceRoute),
    Deafen {
        session: VoiceSessionId,
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
    pub deafened: bool,
    pub bundles: bool,
}

/// The timers of this machine; each is in the table at most once for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Keys of this channel change.
    Rekey(ChannelId),
    /// This voice session's control connection did not come back.
    Grace(VoiceSessionId),
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub users_online: usize,
    pub voice_sessions: usize,
    pub guilds: usize,
}

pub struct Live {
    entropy: Entropy,
    people: BTreeMap<UserId, Person>,
    guilds: BTreeMap<GuildId, GuildState>,
    /// To which guild a channel belongs.
    guild_of: BTreeMap<ChannelId, GuildId>,
    conversations: BTreeMap<ChannelId, ConversationRecord>,
    /// Voice channels only.
    rooms: BTreeMap<ChannelId, Room>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// In which voice channel a user is: one at most.
    in_voice: BTreeMap<UserId, ChannelId>,
    voice_sessions: BTreeMap<VoiceSessionId, UserId>,
    ssrcs: BTreeSet<Ssrc>,
    timers: BTreeSet<(Instant, Timer)>,
}

struct Connection {
    user: UserId,
    device: DeviceId,
}

impl Live {
    pub fn new(world: World, entropy: Entropy) -> Self {
        let mut live = Self {
            entropy,
            people: BTreeMap::new(),
            guilds: BTreeMap::new(),
            guild_of: BTreeMap::new(),
            conversations: BTreeMap::new(),
            rooms: BTreeMap::new(),
            connections: BTreeMap::new(),
            in_voice: BTreeMap::new(),
            voice_sessions: BTreeMap::new(),
            ssrcs: BTreeSet::new(),
            timers: BTreeSet::new(),
        };
        for record in world.users {
            live.people.insert(record.user.id, Person::new(record));
        }
        for guild in world.guilds {
            live.hold_guild(guild);
        }
        // Nobody is there yet to be told.
        let mut unheard = Vec::new();
        for (user, other, kind) in world.relations {
            live.relate(user, other, Some(kind), &mut unheard);
        }
        for conversation in world.conversations {
            live.save_conversation(conversation, &mut unheard);
        }
        live
    }

    /// Takes in what was committed, and tells whom it concerns. The same once more changes nothing.
    pub fn apply(&mut self, change: Change, now: Now, out: &mut Vec<Output>) {
        match change {
            Change::UserSaved(record) => self.save_user(record, now, out),
            Change::UserDeleted(user) => self.delete_user(user, now, out),
            Change::DevicesEnded(devices) => self.end_devices(&devices, now, out),
            Change::PresenceChosen { user, presence } => self.choose_presence(user, presence, now, out),
            Change::Related { user, other, kind } => self.relate(user, other, kind, out),
            Change::ConversationSaved(record) => self.save_conversation(record, out),
            Change::ConversationDeleted(id) => self.delete_conversation(id, out),

            Change::GuildCreated(record) => self.create_guild(*record, now, out),
            Change::GuildUpdated(info) => self.update_guild(info, now, out),
            Change::GuildDeleted(guild) => self.delete_guild(guild, now, out),
            Change::ChannelSaved { guild, channel } => self.save_channel(guild, channel, now, out),
            Change::ChannelDeleted { guild, channel } => self.delete_channel(guild, channel, now, out),
            Change::RoleSaved { guild, role } => self.save_role(guild, role, now, out),
            Change::RoleDeleted { guild, role } => self.delete_role(guild, role, now, out),
            Change::MemberSaved { guild, member } => self.save_member(guild, member, now, out),
            Change::MemberRemoved { guild, user, why } => self.remove_member(guild, user, why, now, out),

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
            Change::Read { user, state } => self.tell_user(user, Event::ChannelRead { read_state: state }, out),
        }
    }

    /// A connection has proven who is there. Answers with everything to draw; from here on it gets events.
    pub fn connect(
        &mut self,
        connection: ConnectionId,
        request: RequestId,
        user: User,
        device: DeviceId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let id = user.id;
        // Known from the commit that made them, but for who signed up before commits were told.
        let person = self.people.entry(id).or_insert_with(|| {
            Person::new(UserRecord {
                user,
                is_admin: false,
                suspended: false,
                presence: voxhall_protocol::control::OwnPresence::default(),
            })
        });
        person.sessions.insert(connection);
        let guilds = person.guilds.clone();
        for guild in guilds {
            if let Some(guild) = self.guilds.get_mut(&guild) {
                guild.sessions.insert((id, connection));
            }
        }
        self.connections.insert(connection, Connection { user: id, device });
        self.show_presence(id, Some(connection), out);
        let ready = self.ready(&self.people[&id], device, SecretText::from(""));
        out.push(Output::Answer {
            to: connection,
            request,
            answer: Answer::Ready(ready),
        });
        self.resume_voice(connection, out);
        // Ids count up. Those told before, and not yet gone, are told again, which changes nothing.
        let open: Vec<_> = self.sessions_of(id).collect();
        let too_many = open.len().saturating_sub(MAX_CONNECTIONS_PER_USER);
        for connection in open.into_iter().take(too_many) {
            out.push(Output::HangUp(connection, HangUp::TooMany));
        }
        let _ = now;
    }

    /// A connection is gone, for whatever reason.
    pub fn disconnect(&mut self, connection: ConnectionId, now: Now, out: &mut Vec<Output>) {
        let Some(Connection { user, device }) = self.connections.remove(&connection) else {
            return;
        };
        if let Some(person) = self.people.get_mut(&user) {
            person.sessions.remove(&connection);
            for guild in &person.guilds {
                if let Some(guild) = self.guilds.get_mut(guild) {
                    guild.sessions.remove(&(user, connection));
                }
            }
        }
        self.lose_control(connection, user, device, now, out);
        self.show_presence(user, None, out);
    }

    /// Ends a session from this side; nothing more is told to it.
    fn hang_up(&mut self, connection: ConnectionId, why: HangUp, now: Now, out: &mut Vec<Output>) {
        out.push(Output::HangUp(connection, why));
        self.leave_voice(connection, now, out);
        self.disconnect(connection, now, out);
    }

    pub fn connections_of_device(&self, device: DeviceId) -> impl Iterator<Item = ConnectionId> {
        self.connections
            .iter()
            .filter(move |(_, connection)| connection.device == device)
            .map(|(id, _)| *id)
    }

    /// Members who are seen online now.
    pub fn online_count(&self, guild_id: GuildId) -> u32 {
        let online = self.guilds.get(&guild_id).map_or(0, |guild| {
            let people = guild.members.keys().filter_map(|user| self.people.get(user));
            people.filter(|person| person.shown.is_online()).count()
        });
        u32::try_from(online).unwrap_or(u32::MAX)
    }

    pub fn counts(&self) -> Counts {
        let users: BTreeSet<_> = self.connections.values().map(|open| open.user).collect();
        Counts {
            users_online: users.len(),
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
            }
        }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.entropy)(&mut bytes);
        bytes
    }
}

fn tell(out: &mut Vec<Output>, to: impl IntoIterator<Item = ConnectionId>, event: Event) {
    let to: Vec<_> = to.into_iter().collect();
    if !to.is_empty() {
        out.push(Output::Event { to, event });
    }
}
