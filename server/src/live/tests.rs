use proptest::prelude::*;
use voxhall_protocol::{
    BaseKey,
    control::{
        Channel, ChannelKind, EndReason, FailureKind, Guild, GuildInfo, JoinVoice, LeaveReason, OwnPresence, Presence, Role,
        UpdateVoice, UserKind, VoiceState,
    },
    permissions::Permissions,
    RoleId,
};
use voxhall_store::{GuildRecord, MemberRecord};

use super::*;

const GUILD: GuildId = GuildId(1);
const TEXT: ChannelId = ChannelId(10);
const LOUNGE: ChannelId = ChannelId(11);
const DEN: ChannelId = ChannelId(12);
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_newcomer_sees_the_others_and_they_see_the_newcomer() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    assert_eq!(
        sim.events_of(ann),
        [Event::PresenceChanged {
            user_id: UserId(2),
            presence: Presence::online()
        }]
    );
    assert_eq!(sim.events_of(bob), []);
    assert_eq!(sim.live.online_count(GUILD), 2);
    // A second connection of the same user is no news, and neither is losing it.
    let second = sim.connect(2, 2);
    sim.disconnect(second);
    assert_eq!(sim.events_of(ann), []);
    sim.disconnect(bob);
    assert_eq!(
        sim.events_of(ann),
        [Event::PresenceChanged {
            user_id: UserId(2),
            presence: Presence::default()
        }]
    );
}

#[test]
fn the_oldest_of_too_many_connections_is_ended() {
    let mut sim = Sim::new();
    let other = sim.connect(2, 1);
    let first = sim.connect(1, 1);
    for device in 2..=8 {
        sim.connect(1, device);
    }
    assert_eq!(sim.hung_up, []);
    let second = *sim.clients.keys().nth(2).unwrap();
    sim.connect(1, 9);
    assert_eq!(sim.hung_up, [first]);
    sim.disconnect(first);
    sim.connect(1, 10);
    assert_eq!(sim.hung_up, [first, second]);
    assert!(sim.live.connections.contains_key(&other));
}

#[test]
fn the_first_join_is_answered_at_once_and_a_burst_shares_one_change_of_keys() {
    let mut sim = Sim::new();
    let connections: Vec<_> = (1..=4).map(|user| sim.connect(user, 1)).collect();
    sim.join(connections[0], LOUNGE);
    let first = sim.grant_of(connections[0]).expect("granted at once");
    sim.advance(REKEY_EVERY);
    sim.join(connections[1], LOUNGE);
    let second = sim
        .grant_of(connections[1])
        .expect("keys last changed a while ago");
    assert_eq!(second.participants.len(), 2);
    assert_ne!(second.key.base_key, first.key.base_key);
    assert_eq!(
        sim.keys_of(connections[0]),
        std::slice::from_ref(&second.key)
    );

    sim.join(connections[2], LOUNGE);
    sim.advance(100 * MS);
    sim.join(connections[3], LOUNGE);
    assert!(
        sim.grant_of(connections[2]).is_none(),
        "would get a key in use"
    );
    sim.advance(199 * MS);
    assert!(sim.grant_of(connections[2]).is_none());
    sim.advance(MS);
    let third = sim.grant_of(connections[2]).expect("300 ms are over");
    let fourth = sim.grant_of(connections[3]).expect("300 ms are over");
    assert_eq!(third.key, fourth.key);
    assert_eq!(third.key.epoch.0, second.key.epoch.0 + 1);
    assert_eq!(third.participants.len(), 4);
    assert_eq!(
        sim.keys_of(connections[0]),
        std::slice::from_ref(&third.key)
    );
    assert_eq!(sim.keys_of(connections[1]), [third.key]);
}

#[test]
fn who_leaves_knows_no_key_used_after() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    sim.advance(REKEY_EVERY);
    sim.join(bob, LOUNGE);
    let known = sim.grant_of(bob).unwrap().key;
    sim.advance(REKEY_EVERY);
    let session = sim.live.rooms[&LOUNGE].participants[&UserId(2)].session;
    let out = sim.act(|live, now, out| live.leave_voice(bob, now, out));
    assert!(
        matches!(out[0], Output::Route(RouteChange::Remove(gone)) if gone == session),
        "out of the table first: {out:?}"
    );
    let keys = sim.keys_of(ann);
    assert_eq!(keys.last().unwrap().epoch.0, known.epoch.0 + 1);
    assert_ne!(keys.last().unwrap().base_key, known.base_key);
    assert_eq!(sim.keys_of(bob), []);
}

#[test]
fn a_join_from_another_device_ends_the_first() {
    let mut sim = Sim::new();
    let phone = sim.connect(1, 1);
    let laptop = sim.connect(1, 2);
    sim.join(phone, LOUNGE);
    sim.events_of(phone);
    sim.join(laptop, DEN);
    assert!(sim.events_of(phone).contains(&Event::VoiceEnded {
        channel_id: LOUNGE,
        reason: EndReason::OtherDevice
    }));
    assert_eq!(sim.grant_of(laptop).unwrap().participants.len(), 1);
    // The phone can't end what the laptop has.
    sim.act(|live, now, out| live.leave_voice(phone, now, out));
    assert_eq!(sim.in_channel(DEN), [1]);
    // The same device switches without being told that it ended.
    sim.events_of(laptop);
    sim.join(laptop, LOUNGE);
    let events = sim.events_of(laptop);
    assert!(events.contains(&Event::VoiceLeft {
        guild_id: GUILD,
        channel_id: DEN,
        user_id: UserId(1),
        reason: LeaveReason::Switched
    }));
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::VoiceEnded { .. }))
    );
}

#[test]
fn voice_outlives_its_control_connection_for_a_while() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    sim.advance(REKEY_EVERY);
    sim.join(bob, LOUNGE);
    sim.disconnect(ann);
    sim.advance(VOICE_GRACE - MS);
    assert_eq!(sim.in_channel(LOUNGE), [1, 2]);
    // Bob goes meanwhile, so the key that Ann has is old.
    sim.act(|live, now, out| live.leave_voice(bob, now, out));
    let back = sim.connect(1, 1);
    let key = sim.live.rooms[&LOUNGE].key.clone().unwrap();
    assert_eq!(sim.keys_of(back), [key]);
    sim.advance(VOICE_GRACE);
    assert_eq!(sim.in_channel(LOUNGE), [1]);

    sim.events_of(bob);
    sim.disconnect(back);
    sim.advance(VOICE_GRACE);
    assert!(sim.in_channel(LOUNGE).is_empty());
    assert!(sim.events_of(bob).contains(&Event::VoiceLeft {
        guild_id: GUILD,
        channel_id: LOUNGE,
        user_id: UserId(1),
        reason: LeaveReason::Disconnected
    }));
    assert_eq!(sim.live.next_deadline(), None);
}

#[test]
fn a_half_open_connection_gives_way_to_the_new_one() {
    let mut sim = Sim::new();
    let stale = sim.connect(1, 1);
    sim.join(stale, LOUNGE);
    let fresh = sim.connect(1, 1);
    sim.disconnect(stale);
    sim.advance(VOICE_GRACE * 2);
    assert_eq!(sim.in_channel(LOUNGE), [1]);
    assert_eq!(
        sim.keys_of(fresh).len(),
        1,
        "the new connection knows the key"
    );
}

#[test]
fn silence_on_the_path_ends_the_session_and_says_so() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    sim.join(ann, LOUNGE);
    let session = sim.grant_of(ann).unwrap().voice_session;
    sim.act(|live, now, out| live.timed_out(session, now, out));
    let events = sim.events_of(ann);
    assert!(events.contains(&Event::VoiceEnded {
        channel_id: LOUNGE,
        reason: EndReason::TimedOut
    }));
    assert!(sim.in_channel(LOUNGE).is_empty());
    // The media thread may tell of a session that has gone meanwhile.
    assert!(
        sim.act(|live, now, out| {
            live.timed_out(session, now, out);
            live.speaking(session, true, out);
        })
        .is_empty()
    );
}

#[test]
fn only_members_join_and_only_voice_channels() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let stranger = sim.connect(9, 1);
    sim.join(stranger, LOUNGE);
    sim.join(ann, TEXT);
    sim.join(ann, ChannelId(99));
    assert_eq!(sim.refusals, [FailureKind::NotFound; 3]);
    assert!(sim.events_of(stranger).is_empty());
    assert!(sim.in_channel(LOUNGE).is_empty());
}

#[test]
fn a_join_that_is_taken_back_is_answered_all_the_same() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    sim.join(bob, LOUNGE);
    assert!(sim.grant_of(bob).is_none());
    sim.act(|live, now, out| live.leave_voice(bob, now, out));
    assert_eq!(sim.refusals, [FailureKind::OutOfOrder]);
    sim.advance(REKEY_EVERY);
    assert!(sim.grant_of(bob).is_none());
}

#[test]
fn a_new_member_is_told_of_the_guild_and_the_guild_of_the_member() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let nine = sim.connect(9, 1);
    sim.join(ann, LOUNGE);
    sim.apply(joined(9));
    let told = sim.events_of(nine);
    let [Event::GuildJoined { guild }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(guild.voice.len(), 1);
    assert_eq!(guild.members.len(), 5);
    sim.join(nine, LOUNGE);
    assert_eq!(sim.in_channel(LOUNGE), [1, 9]);
}

#[test]
fn a_deafened_listener_is_taken_from_the_routes() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    sim.join(ann, LOUNGE);
    let session = sim.grant_of(ann).unwrap().voice_session;
    let update = |muted, deafened| UpdateVoice { muted, deafened };
    let out = sim.act(|live, _, out| live.update_voice(ann, update(true, true), out));
    assert!(
        matches!(out[0], Output::Route(RouteChange::Deafen { session: s, deafened: true }) if s == session)
    );
    assert!(
        sim.act(|live, _, out| live.update_voice(ann, update(true, true), out))
            .is_empty(),
        "no news"
    );
}

/// One step of a random history; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Connect { user: u64, device: u64 },
    Disconnect(usize),
    Join(usize, ChannelId),
    Leave(usize),
    Update(usize, bool, bool),
    Speaking(usize, bool),
    TimedOut(usize),
    NewMember,
    NewOwner(u64),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let any_one = 0..8_usize;
    let channel = prop_oneof![4 => Just(LOUNGE), 1 => Just(DEN), 1 => Just(TEXT)];
    prop_oneof![
        3 => (prop_oneof![1..=4_u64, Just(9)], 1..=2_u64).prop_map(|(user, device)| Step::Connect { user, device }),
        1 => any_one.clone().prop_map(Step::Disconnect),
        5 => (any_one.clone(), channel).prop_map(|(n, channel)| Step::Join(n, channel)),
        2 => any_one.clone().prop_map(Step::Leave),
        1 => (any_one.clone(), any::<bool>(), any::<bool>()).prop_map(|(n, m, d)| Step::Update(n, m, d)),
        1 => (any_one.clone(), any::<bool>()).prop_map(|(n, on)| Step::Speaking(n, on)),
        1 => any_one.prop_map(Step::TimedOut),
        1 => Just(Step::NewMember),
        1 => (1..=4_u64).prop_map(Step::NewOwner),
        4 => prop_oneof![0..400_u64, Just(31_000)].prop_map(Step::Advance),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens in whatever order: each client's picture, folded from its events, is the truth; the routes are the rosters;
    /// and keys go to whom they belong.
    #[test]
    fn every_client_sees_the_truth(steps in proptest::collection::vec(step(), 1..60)) {
        let mut sim = Sim::new();
        for step in steps {
            sim.step(&step);
            sim.check();
        }
        // After the last batch of key changes nobody who is not in a channel knows its key.
        sim.advance(REKEY_EVERY);
        for (channel, room) in &sim.live.rooms {
            let Some(key) = &room.key else { continue };
            for user in sim.known.get(&key.base_key.0).into_iter().flatten() {
                prop_assert!(room.participants.is_empty() || room.participants.contains_key(user), "{user} knows the key of {channel}");
            }
        }
    }
}

/// A live state with clients that fold what they are told.
struct Sim {
    live: Live,
    now: Now,
    next_connection: u64,
    next_request: u64,
    clients: BTreeMap<ConnectionId, Client>,
    refusals: Vec<FailureKind>,
    hung_up: Vec<ConnectionId>,
    routes: BTreeMap<VoiceSessionId, (ChannelId, bool)>,
    /// Who was given each base key.
    known: BTreeMap<[u8; 32], BTreeSet<UserId>>,
    sender_indices: BTreeSet<(ChannelId, SenderIndex)>,
}

struct Client {
    user: UserId,
    device: DeviceId,
    guilds: BTreeMap<GuildId, Guild>,
    events: Vec<Event>,
    grant: Option<VoiceGrant>,
    /// Base keys that were in use when this client asked to join.
    before_join: BTreeSet<[u8; 32]>,
}

fn user(id: u64) -> User {
    User::new(UserId(id), format!("user {id}"), UserKind::Guest)
}

fn info(owner: Option<u64>) -> GuildInfo {
    GuildInfo {
        id: GUILD,
        name: "g".into(),
        description: String::new(),
        icon: None,
        owner_id: owner.map(UserId),
    }
}

fn everyone() -> Role {
    Role {
        id: RoleId(1),
        name: "@everyone".into(),
        color: None,
        position: 0,
        permissions: Permissions::DEFAULT_EVERYONE,
        hoist: false,
        mentionable: false,
    }
}

fn member(id: u64) -> MemberRecord {
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

fn joined(id: u64) -> Change {
    Change::MemberSaved {
        guild: GUILD,
        member: member(id),
    }
}

fn record(id: u64) -> UserRecord {
    UserRecord {
        user: user(id),
        is_admin: false,
        suspended: false,
        presence: OwnPresence::default(),
    }
}

impl Sim {
    /// Users 1 to 4 are members; 9 is not.
    fn new() -> Self {
        let channel = |id, kind| Channel::new(id, "c", kind);
        let guild = GuildRecord {
            info: info(None),
            roles: vec![everyone()],
            channels: vec![
                channel(TEXT, ChannelKind::Text),
                channel(LOUNGE, ChannelKind::Voice),
                channel(DEN, ChannelKind::Voice),
            ],
            members: (1..=4).map(member).collect(),
        };
        let mut state = 1_u64;
        let entropy = move |bytes: &mut [u8]| {
            for byte in bytes {
                // Knuth's MMIX generator: any numbers will do, as long as they don't repeat.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = state.to_be_bytes()[0];
            }
        };
        Self {
            live: Live::new(
                World {
                    users: [1, 2, 3, 4, 9].map(record).into(),
                    guilds: vec![guild],
                    ..World::default()
                },
                Box::new(entropy),
            ),
            now: Now {
                at: Instant::now(),
                unix_ms: 1_700_000_000_000,
            },
            next_connection: 0,
            next_request: 0,
            clients: BTreeMap::new(),
            refusals: Vec::new(),
            hung_up: Vec::new(),
            routes: BTreeMap::new(),
            known: BTreeMap::new(),
            sender_indices: BTreeSet::new(),
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Live, Now, &mut Vec<Output>)) -> Vec<Output> {
        let mut out = Vec::new();
        act(&mut self.live, self.now, &mut out);
        // A key is fresh when it is first told; in one list of outputs it goes to many.
        let seen_before: BTreeSet<_> = self.known.keys().copied().collect();
        for output in &out {
            self.deliver(output, &seen_before);
        }
        out
    }

    fn apply(&mut self, change: Change) -> Vec<Output> {
        self.act(|live, now, out| live.apply(change, now, out))
    }

    fn connect(&mut self, user_id: u64, device: u64) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        let device = DeviceId(user_id * 10 + device);
        self.clients.insert(
            connection,
            Client {
                user: UserId(user_id),
                device,
                guilds: BTreeMap::new(),
                events: Vec::new(),
                grant: None,
                before_join: BTreeSet::new(),
            },
        );
        self.act(|live, now, out| live.connect(connection, 1, user(user_id), device, now, out));
        connection
    }

    fn disconnect(&mut self, connection: ConnectionId) {
        self.clients.remove(&connection);
        self.act(|live, now, out| live.disconnect(connection, now, out));
    }

    fn join(&mut self, connection: ConnectionId, channel_id: ChannelId) {
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
        self.act(|live, now, out| live.join_voice(connection, request, join, now, out));
    }

    fn advance(&mut self, by: Duration) {
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

    fn step(&mut self, step: &Step) {
        let nth = |n: usize| {
            self.clients
                .keys()
                .nth(n % self.clients.len().max(1))
                .copied()
        };
        let session = |n: usize| {
            self.routes
                .keys()
                .nth(n % self.routes.len().max(1))
                .copied()
        };
        match *step {
            Step::Connect { user, device } => drop(self.connect(user, device)),
            Step::Advance(ms) => self.advance(Duration::from_millis(ms)),
            Step::NewMember => {
                drop(self.apply(joined(9)));
            }
            Step::NewOwner(owner) => {
                drop(self.apply(Change::GuildUpdated(info(Some(owner)))));
            }
            Step::Disconnect(n) => {
                if let Some(connection) = nth(n) {
                    self.disconnect(connection);
                }
            }
            Step::Join(n, channel) => {
                if let Some(connection) = nth(n) {
                    self.join(connection, channel);
                }
            }
            Step::Leave(n) => {
                if let Some(connection) = nth(n) {
                    self.act(|live, now, out| live.leave_voice(connection, now, out));
                }
            }
            Step::Update(n, muted, deafened) => {
                if let Some(connection) = nth(n) {
                    let update = UpdateVoice { muted, deafened };
                    self.act(|live, _, out| live.update_voice(connection, update, out));
                }
            }
            Step::Speaking(n, on) => {
                if let Some(session) = session(n) {
                    self.act(|live, _, out| live.speaking(session, on, out));
                }
            }
            Step::TimedOut(n) => {
                if let Some(session) = session(n) {
                    self.act(|live, now, out| live.timed_out(session, now, out));
                }
            }
        }
    }

    fn deliver(&mut self, output: &Output, seen_before: &BTreeSet<[u8; 32]>) {
        match output {
            Output::Answer { to, answer, .. } => match answer {
                Answer::Ready(ready) => {
                    let guilds = ready.guilds.iter().map(|g| (g.id, g.clone())).collect();
                    self.clients.get_mut(to).unwrap().guilds = guilds;
                }
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
                    self.learn(*to, grant.channel_id, key, seen_before, true);
                }
                Answer::Refused(failure) => self.refusals.push(failure.kind()),
            },
            Output::Event { to, event } => {
                for connection in to {
                    if let Event::VoiceRekeyed { channel_id, key } = event {
                        self.learn(*connection, *channel_id, key.base_key.0, seen_before, false);
                    }
                    let client = self
                        .clients
                        .get_mut(connection)
                        .expect("told after it was gone");
                    client.fold(event);
                    client.events.push(event.clone());
                }
            }
            // The gateway hangs up, and tells of it as of any lost connection.
            Output::HangUp(connection, _) => self.hung_up.push(*connection),
            Output::Route(RouteChange::Add(route)) => {
                let added = self
                    .routes
                    .insert(route.session, (route.channel, route.deafened));
                assert_eq!(added, None);
            }
            Output::Route(RouteChange::Deafen { session, deafened }) => {
                self.routes.get_mut(session).unwrap().1 = *deafened;
            }
            Output::Route(RouteChange::Remove(session)) => {
                self.routes.remove(session).expect("was there");
            }
        }
    }

    /// A base key was told to a connection.
    fn learn(
        &mut self,
        to: ConnectionId,
        channel: ChannelId,
        key: [u8; 32],
        seen_before: &BTreeSet<[u8; 32]>,
        granted: bool,
    ) {
        let client = &self.clients[&to];
        let room = &self.live.rooms[&channel];
        let participant = room
            .participants
            .get(&client.user)
            .expect("keys go to participants only");
        assert_eq!(
            participant.device, client.device,
            "keys go to the device that joined"
        );
        assert_eq!(
            room.key.as_ref().map(|k| k.base_key.clone()),
            Some(BaseKey(key))
        );
        // A key told before may be told again to who comes back on a new connection, never to a joiner.
        assert!(!granted || !seen_before.contains(&key));
        self.known.entry(key).or_default().insert(client.user);
    }

    fn check(&self) {
        for client in self.clients.values() {
            let truth: BTreeMap<_, _> = self
                .live
                .guilds
                .keys()
                .filter_map(|guild| self.live.guild_view(*guild, client.user))
                .map(|g| (g.id, sorted(g)))
                .collect();
            let seen: BTreeMap<_, _> = client
                .guilds
                .iter()
                .map(|(id, g)| (*id, sorted(g.clone())))
                .collect();
            assert_eq!(seen, truth, "seen by {}", client.user);
        }
        let rosters: BTreeMap<_, _> = self
            .live
            .rooms
            .iter()
            .flat_map(|(channel, room)| {
                room.participants
                    .values()
                    .map(|p| (p.session, (*channel, p.deafened)))
            })
            .collect();
        assert_eq!(self.routes, rosters);
        assert_eq!(
            self.live.voice_sessions.len(),
            rosters.len(),
            "no session is forgotten"
        );
        assert_eq!(self.live.ssrcs.len(), rosters.len(), "no SSRC is forgotten");
        assert!(
            self.live.timers.len() <= rosters.len() + self.live.rooms.len(),
            "timers don't pile up"
        );
    }

    fn events_of(&mut self, connection: ConnectionId) -> Vec<Event> {
        std::mem::take(&mut self.clients.get_mut(&connection).unwrap().events)
    }

    fn keys_of(&mut self, connection: ConnectionId) -> Vec<voxhall_protocol::control::EpochKey> {
        self.events_of(connection)
            .into_iter()
            .filter_map(|event| match event {
                Event::VoiceRekeyed { key, .. } => Some(key),
                _ => None,
            })
            .collect()
    }

    fn grant_of(&self, connection: ConnectionId) -> Option<VoiceGrant> {
        self.clients[&connection].grant.clone()
    }

    fn in_channel(&self, channel: ChannelId) -> Vec<u64> {
        self.live.rooms[&channel]
            .participants
            .keys()
            .map(|u| u.0)
            .collect()
    }
}

impl Client {
    /// As a client does it.
    fn fold(&mut self, event: &Event) {
        let put = |guild: &mut Guild, state: &VoiceState| {
            guild.voice.retain(|s| s.user_id != state.user_id);
            guild.voice.push(state.clone());
        };
        match event {
            Event::GuildJoined { guild } => {
                self.guilds.insert(guild.id, guild.clone());
            }
            Event::MemberJoined { guild_id, member } => {
                let guild = self.guilds.get_mut(guild_id).unwrap();
                guild.members.retain(|m| m.user.id != member.user.id);
                guild.members.push(member.clone());
            }
            Event::PresenceChanged { user_id, presence } => {
                for member in self.guilds.values_mut().flat_map(|g| &mut g.members) {
                    if member.user.id == *user_id {
                        member.presence = presence.clone();
                    }
                }
            }
            Event::GuildUpdated { guild } => {
                self.guilds.get_mut(&guild.id).unwrap().owner_id = guild.owner_id;
            }
            Event::VoiceJoined { guild_id, state } | Event::VoiceUpdated { guild_id, state } => {
                put(self.guilds.get_mut(guild_id).unwrap(), state);
            }
            Event::VoiceSpeaking {
                guild_id,
                user_id,
                speaking,
                ..
            } => {
                let guild = self.guilds.get_mut(guild_id).unwrap();
                let state = guild.voice.iter_mut().find(|s| s.user_id == *user_id);
                state.expect("only who is there speaks").speaking = *speaking;
            }
            Event::VoiceLeft {
                guild_id, user_id, ..
            } => {
                let guild = self.guilds.get_mut(guild_id).unwrap();
                guild.voice.retain(|s| s.user_id != *user_id);
            }
            _ => {}
        }
    }
}

fn sorted(mut guild: Guild) -> Guild {
    guild.members.sort_by_key(|m| m.user.id);
    guild.voice.sort_by_key(|s| s.user_id);
    guild
}
