//! A live state with clients that fold what they are told, and a network between them that may fail.

mod calls;
mod crowd;
mod rights;
mod sessions;
mod stages;
mod view;
mod voice;
mod world;

use voxhall_protocol::{
    BaseKey, DeviceId, RoleId, SecretText,
    control::{
        CallsFrom, Channel, ChannelKind, EpochKey, FailureKind, GuildInfo, JoinVoice, OwnPresence,
        Presence, Ready, Role, User, UserKind,
    },
    permissions::Permissions,
};
use voxhall_store::{GuildRecord, MemberRecord, UserRecord};

use super::{sessions::Line, *};
use crate::gateway::{Counted, Log};
use view::View;

pub const GUILD: GuildId = GuildId(1);
pub const TEXT: ChannelId = ChannelId(10);
pub const LOUNGE: ChannelId = ChannelId(11);
pub const DEN: ChannelId = ChannelId(12);
pub const EVERYONE: RoleId = RoleId(1);
const MS: Duration = Duration::from_millis(1);

impl Counted for Event {
    fn bytes(&self) -> usize {
        1
    }
}

pub struct Sim {
    pub live: Live,
    pub now: Now,
    next_connection: u64,
    next_request: u64,
    /// Those that have a connection.
    pub clients: BTreeMap<ConnectionId, Client>,
    /// Those whose connection was cut.
    pub cut: Vec<Client>,
    logs: BTreeMap<SessionId, Log<Event>>,
    pub refusals: Vec<FailureKind>,
    pub hung_up: Vec<ConnectionId>,
    /// As told to be stored, the newest of each.
    pub kept: BTreeMap<CallId, CallRecord>,
    pub ended_stages: Vec<ChannelId>,
    /// Channel, may speak, hears nothing.
    pub routes: BTreeMap<VoiceSessionId, (ChannelId, bool, bool)>,
    /// Who was given each base key.
    known: BTreeMap<[u8; 32], BTreeSet<UserId>>,
    sender_indices: BTreeSet<(ChannelId, SenderIndex)>,
}

pub struct Client {
    pub user: UserId,
    pub device: DeviceId,
    pub session: SessionId,
    token: SecretText,
    pub view: View,
    /// What is on its way, with its number.
    pipe: Vec<(u64, Event)>,
    /// Number of the last event that arrived.
    pub seq: u64,
    pub events: Vec<Event>,
    pub grant: Option<VoiceGrant>,
    /// Base keys that were in use when this client asked to join.
    before_join: BTreeSet<[u8; 32]>,
    /// Gets what is sent to it when it is asked for, not at once.
    pub is_slow: bool,
}

pub fn user(id: u64) -> User {
    User::new(UserId(id), format!("user {id}"), UserKind::Account)
}

pub fn record(id: u64) -> UserRecord {
    UserRecord {
        user: user(id),
        is_admin: false,
        suspended: false,
        presence: OwnPresence::default(),
        calls_from: CallsFrom::default(),
    }
}

pub fn info(owner: Option<u64>) -> GuildInfo {
    GuildInfo {
        id: GUILD,
        name: "g".into(),
        description: String::new(),
        icon: None,
        owner_id: owner.map(UserId),
    }
}

pub fn role(id: RoleId, position: u32, permissions: Permissions) -> Role {
    Role {
        id,
        name: format!("role {id}"),
        color: None,
        position,
        permissions,
        hoist: false,
        mentionable: false,
    }
}

pub fn member(id: u64) -> MemberRecord {
    MemberRecord {
        user: UserId(id),
        nick: None,
        roles: Vec::new(),
        joined_at_ms: 0,
        timeout_until_ms: None,
        server_muted: false,
        server_deafened: false,
    }
}

pub fn joined(id: u64) -> Change {
    Change::MemberSaved {
        guild: GUILD,
        member: member(id),
    }
}

fn started() -> Now {
    Now {
        at: Instant::now(),
        unix_ms: 1_700_000_000_000,
    }
}

fn entropy() -> Entropy {
    let mut state = 1_u64;
    Box::new(move |bytes: &mut [u8]| {
        for byte in bytes {
            // Knuth's MMIX generator: any numbers will do, as long as they don't repeat.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
    })
}

impl Sim {
    /// Users 1 to 4 are members; 9 is not.
    pub fn new() -> Self {
        let channel = |id, kind| Channel::new(id, "c", kind);
        let guild = GuildRecord {
            info: info(None),
            roles: vec![role(EVERYONE, 0, Permissions::DEFAULT_EVERYONE)],
            channels: vec![
                channel(TEXT, ChannelKind::Text),
                channel(LOUNGE, ChannelKind::Voice),
                channel(DEN, ChannelKind::Voice),
            ],
            members: (1..=4).map(member).collect(),
        };
        Self::of(World {
            users: [1, 2, 3, 4, 9].map(record).into(),
            guilds: vec![guild],
            ..World::default()
        })
    }

    pub fn of(world: World) -> Self {
        let now = started();
        Self {
            live: Live::new(world, None, now, entropy()),
            now,
            next_connection: 0,
            next_request: 0,
            clients: BTreeMap::new(),
            cut: Vec::new(),
            logs: BTreeMap::new(),
            refusals: Vec::new(),
            hung_up: Vec::new(),
            kept: BTreeMap::new(),
            ended_stages: Vec::new(),
            routes: BTreeMap::new(),
            known: BTreeMap::new(),
            sender_indices: BTreeSet::new(),
        }
    }

    pub fn act(&mut self, act: impl FnOnce(&mut Live, Now, &mut Vec<Output>)) -> Vec<Output> {
        let mut out = Vec::new();
        act(&mut self.live, self.now, &mut out);
        self.carry_out(&out);
        out
    }

    /// What is asked and answered at once.
    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Live, Now, &mut Vec<Output>) -> Result<T, Failure>,
    ) -> Result<T, FailureKind> {
        let mut answer = None;
        self.act(|live, now, out| answer = Some(ask(live, now, out)));
        answer
            .expect("asked just now")
            .map_err(|failure| failure.kind())
    }

    pub fn apply(&mut self, change: Change) -> Vec<Output> {
        self.act(|live, now, out| live.apply(change, now, out))
    }

    fn carry_out(&mut self, out: &[Output]) {
        // A key is fresh when it is first told; in one list of outputs it goes to many.
        let seen_before: BTreeSet<_> = self.known.keys().copied().collect();
        for output in out {
            self.deliver(output, &seen_before);
        }
        self.drop_hung_up();
        // A channel made anew is another one.
        self.sender_indices
            .retain(|(channel, _)| self.live.rooms.contains_key(channel));
        let connections: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, c)| !c.is_slow)
            .map(|(id, _)| *id)
            .collect();
        for connection in connections {
            self.catch_up(connection);
        }
    }

    /// The server has ended a connection: its client is gone, as nothing more is told to it.
    fn drop_hung_up(&mut self) {
        let live = &self.live;
        self.clients
            .retain(|connection, _| live.session_of(*connection).is_some());
    }

    pub fn connect(&mut self, user_id: u64, device: u64) -> ConnectionId {
        self.try_connect(user_id, device)
            .expect("nothing is said against this user")
    }

    /// None: refused.
    pub fn try_connect(&mut self, user_id: u64, device: u64) -> Option<ConnectionId> {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        let user = UserId(user_id);
        let device = DeviceId(user_id * 10 + device);
        let mut out = Vec::new();
        let (session, ready) = self
            .live
            .begin(connection, user, device, self.now, &mut out)
            .ok()?;
        self.logs.insert(session, Log::default());
        let Ready { session: token, .. } = &ready;
        let client = Client {
            user,
            device,
            session,
            token: token.clone(),
            view: View::new(ready),
            pipe: Vec::new(),
            seq: 0,
            events: Vec::new(),
            grant: None,
            before_join: BTreeSet::new(),
            is_slow: false,
        };
        self.clients.insert(connection, client);
        self.carry_out(&out);
        Some(connection)
    }

    /// The client is gone for good.
    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.clients.remove(&connection);
        self.act(|live, now, out| live.disconnect(connection, now, out));
    }

    /// The line breaks; what is on its way is lost.
    pub fn cut(&mut self, connection: ConnectionId) {
        let mut client = self.clients.remove(&connection).unwrap();
        client.pipe.clear();
        self.cut.push(client);
        self.act(|live, now, out| live.disconnect(connection, now, out));
    }

    /// A client comes back; None: it has to begin anew.
    pub fn resume(&mut self, mut client: Client) -> Option<ConnectionId> {
        let session = self
            .live
            .lost_session(client.user, client.device, &client.token)?;
        assert_eq!(session, client.session);
        let missed: Vec<_> = {
            let missed = self.logs[&session].after(client.seq)?;
            missed.map(|(seq, event)| (seq, event.clone())).collect()
        };
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        let mut out = Vec::new();
        self.live
            .resume(connection, session, self.now, &mut out)
            .ok()?;
        client.pipe = missed;
        client.grant = None;
        self.clients.insert(connection, client);
        self.carry_out(&out);
        Some(connection)
    }

    /// All that is on its way arrives.
    pub fn catch_up(&mut self, connection: ConnectionId) {
        let Some(client) = self.clients.get_mut(&connection) else {
            return;
        };
        for (seq, event) in std::mem::take(&mut client.pipe) {
            assert_eq!(seq, client.seq + 1, "events come in order, each once");
            client.seq = seq;
            client.view.fold(&event);
            client.events.push(event);
        }
    }

    pub fn join(&mut self, connection: ConnectionId, channel_id: ChannelId) -> Vec<Output> {
        self.next_request += 1;
        let request = self.next_request;
        let join = JoinVoice {
            channel_id,
            muted: false,
            deafened: false,
            bundles: false,
        };
        let client = self.clients.get_mut(&connection).unwrap();
        client.grant = None;
        client.before_join = self.known.keys().copied().collect();
        self.act(|live, now, out| live.join_voice(connection, request, join, now, out))
    }

    pub fn advance(&mut self, by: Duration) {
        let until = self.now.at + by;
        while let Some(at) = self.live.next_deadline()
            && at <= until
        {
            self.pass(at);
            self.act(|live, now, out| live.tick(now, out));
        }
        self.pass(until);
    }

    fn pass(&mut self, until: Instant) {
        let passed = until.saturating_duration_since(self.now.at);
        self.now = Now {
            at: self.now.at + passed,
            unix_ms: self.now.unix_ms + i64::try_from(passed.as_millis()).unwrap(),
        };
    }

    fn deliver(&mut self, output: &Output, seen_before: &BTreeSet<[u8; 32]>) {
        match output {
            Output::Answer { to, answer, .. } => match answer {
                Answer::Granted(grant) => {
                    let key = grant.key.base_key.0;
                    let client = self
                        .clients
                        .get_mut(to)
                        .expect("a grant goes to who is there");
                    assert!(
                        !client.before_join.contains(&key),
                        "a joiner got a key that was in use before"
                    );
                    assert!(
                        self.sender_indices
                            .insert((grant.channel_id, grant.sender_index)),
                        "a sender index came back"
                    );
                    client.grant = Some(grant.clone());
                    let session = client.session;
                    self.learn(session, grant.channel_id, key, seen_before, true);
                }
                Answer::Refused(failure) => self.refusals.push(failure.kind()),
            },
            Output::Event { to, event } => {
                let distinct: BTreeSet<_> = to.iter().collect();
                assert_eq!(distinct.len(), to.len(), "told once: {event:?}");
                for session in to {
                    if let Event::VoiceRekeyed { channel_id, key } = &**event {
                        self.learn(*session, *channel_id, key.base_key.0, seen_before, false);
                    }
                    // A session that has just ended may still be named.
                    let Some(log) = self.logs.get_mut(session) else {
                        continue;
                    };
                    let seq = log.push(Event::clone(event));
                    if let Some(client) = self
                        .clients
                        .values_mut()
                        .find(|client| client.session == *session)
                    {
                        client.pipe.push((seq, Event::clone(event)));
                    }
                }
            }
            Output::Store(ToStore::StageOver(stage)) => self.ended_stages.push(*stage),
            Output::Store(ToStore::Call(call)) => {
                let ended = self.kept.insert(call.id, CallRecord::clone(call));
                assert!(ended.is_none_or(|before| before.end.is_none()), "over once");
            }
            Output::HangUp(connection, _) => self.hung_up.push(*connection),
            Output::Forget(session) => drop(self.logs.remove(session).expect("was there")),
            Output::Route(RouteChange::Add(route)) => {
                let rights = (route.channel, route.may_speak, route.deafened);
                assert_eq!(self.routes.insert(route.session, rights), None);
            }
            Output::Route(RouteChange::Rights {
                session,
                may_speak,
                deafened,
            }) => {
                let route = self.routes.get_mut(session).unwrap();
                *route = (route.0, *may_speak, *deafened);
            }
            Output::Route(RouteChange::Remove(session)) => {
                self.routes.remove(session).expect("was there");
            }
        }
    }

    /// A base key was told to a session.
    fn learn(
        &mut self,
        to: SessionId,
        channel: ChannelId,
        key: [u8; 32],
        seen_before: &BTreeSet<[u8; 32]>,
        granted: bool,
    ) {
        let Some(session) = self.live.sessions.get(&to) else {
            return;
        };
        // In one list of outputs more may have happened since: the roster is compared where that is not so.
        if let Some(room) = self.live.rooms.get(&channel)
            && let Some(participant) = room.participants.get(&session.user)
            && room.key.as_ref().map(|k| k.base_key.clone()) == Some(BaseKey(key))
        {
            assert_eq!(
                participant.device, session.device,
                "keys go to the device that joined"
            );
        }
        // A key told before may be told again to who comes back on a new connection, never to a joiner.
        assert!(!granted || !seen_before.contains(&key));
        self.known.entry(key).or_default().insert(session.user);
    }

    /// What clients see is the truth, and so are routes, presence and timers.
    pub fn check(&mut self) {
        let connections: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, c)| !c.is_slow)
            .map(|(id, _)| *id)
            .collect();
        for connection in connections {
            self.catch_up(connection);
            let client = &self.clients[&connection];
            let person = &self.live.people[&client.user];
            let truth = View::new(self.live.ready(person, client.device, client.token.clone()));
            assert_eq!(
                client.view.sorted(),
                truth.sorted(),
                "seen by {}",
                client.user
            );
        }
        for person in self.live.people.values() {
            assert_eq!(
                self.live.presence_now(person),
                person.shown,
                "of {}",
                person.record.user.id
            );
        }
        let mut rosters = BTreeMap::new();
        for (channel, room) in &self.live.rooms {
            for (user, participant) in &room.participants {
                let (may_speak, deafened) = participant.routed();
                rosters.insert(participant.session, (*channel, may_speak, deafened));
                let rights = match room.guild {
                    Some(guild) => {
                        let guild = &self.live.guilds[&guild];
                        voice_rights::voice_rights(guild, *user, *channel, self.now)
                    }
                    None if self.live.calls.contains_key(channel) => Some(super::calls::IN_CALL),
                    None => self.live.may_attend(*user, *channel),
                };
                assert_eq!(rights, Some(participant.rights), "{user} in {channel}");
            }
        }
        assert_eq!(self.routes, rosters);
        assert_eq!(
            self.live.voice_sessions.len(),
            rosters.len(),
            "no session is forgotten"
        );
        assert_eq!(self.live.ssrcs.len(), rosters.len(), "no SSRC is forgotten");
        assert_eq!(
            self.live.connections.keys().collect::<Vec<_>>(),
            self.clients.keys().collect::<Vec<_>>()
        );
        let sessions: Vec<_> = self.live.sessions.keys().collect();
        assert_eq!(
            sessions,
            self.logs.keys().collect::<Vec<_>>(),
            "a session has its log, and none is left over"
        );
        self.check_calls();
        self.check_stages();
        assert_eq!(
            self.live.timers,
            self.timers(),
            "each timer is of something, and each once"
        );
    }

    /// All that is to come, as it stands where it belongs.
    fn timers(&self) -> BTreeSet<(Instant, Timer)> {
        let live = &self.live;
        let mut timers = BTreeSet::new();
        for (channel, room) in &live.rooms {
            timers.extend(room.rekey_due.map(|at| (at, Timer::Rekey(*channel))));
            for participant in room.participants.values() {
                let session = participant.session;
                timers.extend(
                    participant
                        .timeout_over
                        .map(|at| (at, Timer::TimeoutOver(session))),
                );
                if let room::Control::LostUntil(at, _) = participant.control {
                    timers.insert((at, Timer::Grace(session)));
                }
            }
        }
        for (id, session) in &live.sessions {
            if let Line::LostUntil(at) = session.line {
                timers.insert((at, Timer::Lost(*id)));
            }
        }
        for (channel, room) in &live.stages {
            timers.extend(room.count_at.map(|at| (at, Timer::StageCount(*channel))));
            let hostless = room.hostless_until;
            timers.extend(hostless.map(|at| (at, Timer::StageHostless(*channel))));
            for (user, guest) in &room.people {
                timers.extend(guest.wait_until.map(|at| (at, Timer::StageWait(*user))));
            }
        }
        for (channel, call) in &live.calls {
            for (user, party) in &call.parties {
                let until = party.stage.waits_until();
                timers.extend(until.map(|at| (at, Timer::CallWait(*channel, *user))));
            }
        }
        for (user, person) in &live.people {
            timers.extend(person.status_over.map(|at| (at, Timer::StatusOver(*user))));
        }
        timers
    }

    /// After the last batch of key changes nobody who is not in a channel knows its key.
    pub fn check_keys(&mut self) {
        self.advance(REKEY_EVERY);
        for (channel, room) in &self.live.rooms {
            let Some(key) = &room.key else { continue };
            for user in self.known.get(&key.base_key.0).into_iter().flatten() {
                assert!(
                    room.participants.is_empty() || room.participants.contains_key(user),
                    "{user} knows the key of {channel}"
                );
            }
        }
    }

    pub fn events_of(&mut self, connection: ConnectionId) -> Vec<Event> {
        std::mem::take(&mut self.clients.get_mut(&connection).unwrap().events)
    }

    pub fn keys_of(&mut self, connection: ConnectionId) -> Vec<EpochKey> {
        let key = |event| match event {
            Event::VoiceRekeyed { key, .. } => Some(key),
            _ => None,
        };
        self.events_of(connection)
            .into_iter()
            .filter_map(key)
            .collect()
    }

    pub fn grant_of(&self, connection: ConnectionId) -> Option<VoiceGrant> {
        self.clients[&connection].grant.clone()
    }

    pub fn in_channel(&self, channel: ChannelId) -> Vec<u64> {
        self.live.rooms[&channel]
            .participants
            .keys()
            .map(|u| u.0)
            .collect()
    }

    /// What someone sees of another in the guild.
    pub fn sees(&self, connection: ConnectionId, other: u64) -> Presence {
        let guild = &self.clients[&connection].view.guilds[&GUILD];
        let member = guild
            .members
            .iter()
            .find(|member| member.user.id == UserId(other));
        member.expect("a member").presence.clone()
    }
}
