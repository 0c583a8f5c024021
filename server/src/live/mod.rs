//! Who is online, and who is in which voice channel: everything that is gone when the server stops.
//!
//! A pure state machine. Calls take the time and push what is to be done into an [`Output`] list; randomness was given at the start.
//! Guilds and members are held here too, as they were committed, so that what a client is shown at its beginning and the events that
//! follow come from one place and fit together.

mod room;
#[cfg(test)]
mod tests;
mod voice;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, SenderIndex, SessionSecret, Ssrc, UserId, VoiceSessionId,
    control::{
        Channel, Event, Failure, Guild, GuildInfo, Member, Presence, Ready, RequestId, User,
        VoiceGrant,
    },
};
use voxhall_store::{GuildRecord, UserRecord};

use room::Room;

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
    /// This user has too many connections, and this is the oldest of them.
    HangUp(ConnectionId),
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
    guilds: BTreeMap<GuildId, GuildState>,
    /// Voice channels only.
    rooms: BTreeMap<ChannelId, Room>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// In which voice channel a user is: one at most.
    in_voice: BTreeMap<UserId, ChannelId>,
    voice_sessions: BTreeMap<VoiceSessionId, UserId>,
    ssrcs: BTreeSet<Ssrc>,
    timers: BTreeSet<(Instant, Timer)>,
}

struct GuildState {
    name: String,
    owner: Option<UserId>,
    channels: Vec<Channel>,
    members: BTreeMap<UserId, MemberState>,
    /// Of all its members: who is told what happens.
    connections: BTreeSet<ConnectionId>,
}

struct MemberState {
    user: User,
    connections: BTreeSet<ConnectionId>,
}

struct Connection {
    user: UserId,
    device: DeviceId,
}

impl Live {
    pub fn new(guilds: Vec<GuildRecord>, users: Vec<UserRecord>, entropy: Entropy) -> Self {
        let users: BTreeMap<UserId, User> = users
            .into_iter()
            .map(|record| (record.user.id, record.user))
            .collect();
        let mut live = Self {
            entropy,
            guilds: BTreeMap::new(),
            rooms: BTreeMap::new(),
            connections: BTreeMap::new(),
            in_voice: BTreeMap::new(),
            voice_sessions: BTreeMap::new(),
            ssrcs: BTreeSet::new(),
            timers: BTreeSet::new(),
        };
        for guild in guilds {
            for channel in &guild.channels {
                if channel.kind.is_voice() {
                    live.rooms
                        .insert(channel.id, Room::new(guild.info.id, channel.bitrate_bps));
                }
            }
            let member = |record: voxhall_store::MemberRecord| {
                let connections = BTreeSet::new();
                let user = users.get(&record.user)?.clone();
                Some((user.id, MemberState { user, connections }))
            };
            let state = GuildState {
                name: guild.info.name,
                owner: guild.info.owner_id,
                channels: guild.channels,
                members: guild.members.into_iter().filter_map(member).collect(),
                connections: BTreeSet::new(),
            };
            live.guilds.insert(guild.info.id, state);
        }
        live
    }

    /// A connection has proven who is there. Answers with everything to draw; from here on it gets events.
    pub fn connect(
        &mut self,
        connection: ConnectionId,
        request: RequestId,
        user: User,
        device: DeviceId,
        out: &mut Vec<Output>,
    ) {
        let user_id = user.id;
        let mut told = BTreeSet::new();
        for guild in self.guilds.values_mut() {
            let Some(member) = guild.members.get_mut(&user_id) else {
                continue;
            };
            if member.connections.is_empty() {
                told.extend(&guild.connections);
            }
            member.connections.insert(connection);
            guild.connections.insert(connection);
        }
        self.connections.insert(
            connection,
            Connection {
                user: user_id,
                device,
            },
        );
        let ready = Ready {
            session: voxhall_protocol::SecretText::from(""),
            is_admin: false,
            conversations: Vec::new(),
            relations: Vec::new(),
            read_states: Vec::new(),
            presence: voxhall_protocol::control::OwnPresence::default(),
            me: user,
            device_id: device,
            guilds: self.guilds_of(user_id),
            seq: 0,
        };
        out.push(Output::Answer {
            to: connection,
            request,
            answer: Answer::Ready(ready),
        });
        tell(
            out,
            told,
            Event::PresenceChanged {
                user_id,
                presence: Presence::online(),
            },
        );
        self.resume_voice(connection, out);
        // Ids count up. Those told before, and not yet gone, are told again, which changes nothing.
        let open: Vec<_> = self.connections_of(user_id).collect();
        let too_many = open.len().saturating_sub(MAX_CONNECTIONS_PER_USER);
        out.extend(open.into_iter().take(too_many).map(Output::HangUp));
    }

    /// A connection is gone, for whatever reason.
    pub fn disconnect(&mut self, connection: ConnectionId, now: Instant, out: &mut Vec<Output>) {
        let Some(Connection { user, device }) = self.connections.remove(&connection) else {
            return;
        };
        let mut told = BTreeSet::new();
        for guild in self.guilds.values_mut() {
            if let Some(member) = guild.members.get_mut(&user) {
                member.connections.remove(&connection);
                guild.connections.remove(&connection);
                if member.connections.is_empty() {
                    told.extend(&guild.connections);
                }
            }
        }
        tell(
            out,
            told,
            Event::PresenceChanged {
                user_id: user,
                presence: Presence::default(),
            },
        );
        self.lose_control(connection, user, device, now, out);
    }

    /// Someone was made a member of a guild.
    pub fn member_joined(&mut self, guild_id: GuildId, user: &User, out: &mut Vec<Output>) {
        let connections: BTreeSet<_> = self.connections_of(user.id).collect();
        let Some(guild) = self.guilds.get_mut(&guild_id) else {
            return;
        };
        if guild.members.contains_key(&user.id) {
            return;
        }
        let mut member = Member::new(user.clone());
        if !connections.is_empty() {
            member.presence = Presence::online();
        }
        let told = guild.connections.clone();
        guild.connections.extend(&connections);
        guild.members.insert(
            user.id,
            MemberState {
                user: user.clone(),
                connections: connections.clone(),
            },
        );
        tell(out, told, Event::MemberJoined { guild_id, member });
        let guild = self.guild(guild_id, &self.guilds[&guild_id]);
        tell(out, connections, Event::GuildJoined { guild });
    }

    pub fn owner_changed(&mut self, guild_id: GuildId, owner_id: UserId, out: &mut Vec<Output>) {
        let Some(guild) = self.guilds.get_mut(&guild_id) else {
            return;
        };
        guild.owner = Some(owner_id);
        let event = Event::GuildUpdated {
            guild: GuildInfo {
                id: guild_id,
                name: guild.name.clone(),
                description: String::new(),
                icon: None,
                owner_id: Some(owner_id),
            },
        };
        tell(out, guild.connections.iter().copied(), event);
    }

    /// Something happened in a guild that changes nothing here, such as a new message.
    pub fn tell_guild(&self, guild_id: GuildId, event: Event, out: &mut Vec<Output>) {
        if let Some(guild) = self.guilds.get(&guild_id) {
            tell(out, guild.connections.iter().copied(), event);
        }
    }

    pub fn connections_of_device(&self, device: DeviceId) -> impl Iterator<Item = ConnectionId> {
        self.connections
            .iter()
            .filter(move |(_, connection)| connection.device == device)
            .map(|(id, _)| *id)
    }

    /// Members who are online now.
    pub fn online_count(&self, guild_id: GuildId) -> u32 {
        let online = self.guilds.get(&guild_id).map_or(0, |guild| {
            guild
                .members
                .values()
                .filter(|member| !member.connections.is_empty())
                .count()
        });
        u32::try_from(online).unwrap_or(u32::MAX)
    }

    /// When [`Live::tick`] has something to do.
    pub fn counts(&self) -> Counts {
        let users: BTreeSet<_> = self.connections.values().map(|open| open.user).collect();
        Counts {
            users_online: users.len(),
            voice_sessions: self.voice_sessions.len(),
            guilds: self.guilds.len(),
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub fn tick(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            match timer {
                Timer::Rekey(channel) => self.rekey_due(channel, now, out),
                Timer::Grace(session) => self.grace_over(session, now, out),
            }
        }
    }

    fn guilds_of(&self, user: UserId) -> Vec<Guild> {
        self.guilds
            .iter()
            .filter(|(_, guild)| guild.members.contains_key(&user))
            .map(|(id, guild)| self.guild(*id, guild))
            .collect()
    }

    fn guild(&self, id: GuildId, guild: &GuildState) -> Guild {
        let voice = guild
            .channels
            .iter()
            .filter_map(|channel| self.rooms.get(&channel.id).map(|room| (channel.id, room)))
            .flat_map(|(channel, room)| room.states(channel))
            .collect();
        Guild {
            id,
            description: String::new(),
            icon: None,
            roles: Vec::new(),
            name: guild.name.clone(),
            owner_id: guild.owner,
            channels: guild.channels.clone(),
            members: guild.members.values().map(MemberState::member).collect(),
            voice,
        }
    }

    fn connections_of(&self, user: UserId) -> impl Iterator<Item = ConnectionId> {
        self.connections
            .iter()
            .filter(move |(_, connection)| connection.user == user)
            .map(|(id, _)| *id)
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.entropy)(&mut bytes);
        bytes
    }
}

impl MemberState {
    fn member(&self) -> Member {
        let mut member = Member::new(self.user.clone());
        if !self.connections.is_empty() {
            member.presence = Presence::online();
        }
        member
    }
}

fn tell(out: &mut Vec<Output>, to: impl IntoIterator<Item = ConnectionId>, event: Event) {
    let to: Vec<_> = to.into_iter().collect();
    if !to.is_empty() {
        out.push(Output::Event { to, event });
    }
}
