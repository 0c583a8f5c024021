//! Stage rooms: who may speak is in the routes, listeners are told of to nobody, and no room outlives its hosts.

use proptest::prelude::*;
use voxhall_protocol::control::{
    JoinStage, RelationKind, RemoveFromStage, SetStageRole, StageAccess, StageGone, StageRole,
    StageView,
};
use voxhall_protocol::limits::{MAX_RAISED_HANDS, PAGE};
use voxhall_store::StageRecord;

use super::{super::stages::HOSTLESS_FOR, *};

const ROOM: ChannelId = ChannelId(800);
const CLOSED: ChannelId = ChannelId(801);
const S: Duration = Duration::from_secs(1);

fn stage(id: ChannelId, host: u64, started: bool) -> StageRecord {
    StageRecord {
        id,
        host: UserId(host),
        topic: "t".into(),
        access: if id == ROOM {
            StageAccess::Public
        } else {
            StageAccess::Closed
        },
        code: format!("code{id}"),
        scheduled_at_ms: None,
        started_at_ms: started.then_some(1),
        banned: BTreeSet::new(),
    }
}

/// User 1 hosts a public room and a closed one.
fn rooms() -> Sim {
    Sim::of(World {
        users: (1..=5).map(record).collect(),
        stages: vec![stage(ROOM, 1, true), stage(CLOSED, 1, true)],
        ..World::default()
    })
}

impl Sim {
    fn enter(
        &mut self,
        connection: ConnectionId,
        join: &JoinStage,
    ) -> Result<StageView, FailureKind> {
        self.ask(|live, now, out| live.join_stage(connection, join, now, out))
    }

    /// Comes in, with voice.
    fn attend(&mut self, connection: ConnectionId, channel: ChannelId) -> StageView {
        let view = self.enter(connection, &JoinStage::by_id(channel)).unwrap();
        self.join(connection, channel);
        self.advance(2 * S);
        view
    }

    fn set_role(
        &mut self,
        by: ConnectionId,
        user: u64,
        role: StageRole,
    ) -> Result<(), FailureKind> {
        let set = SetStageRole {
            user_id: UserId(user),
            role,
        };
        self.ask(|live, now, out| live.set_stage_role(by, set, now, out))
    }

    fn hand(&mut self, connection: ConnectionId, raised: bool) -> Result<(), FailureKind> {
        self.ask(|live, now, out| live.raise_hand(connection, raised, now, out))
    }

    fn take_out(&mut self, by: ConnectionId, user: u64) -> Result<(), FailureKind> {
        let remove = RemoveFromStage {
            user_id: UserId(user),
            ban: false,
        };
        self.ask(|live, now, out| live.remove_from_stage(by, remove, now, out))
    }

    fn standing(&self, connection: ConnectionId) -> Option<&StageView> {
        self.clients[&connection].view.stage.as_ref()
    }

    /// Whether the relay forwards what this user sends.
    fn is_forwarded(&self, user: u64) -> bool {
        let mut rooms = self.live.rooms.values();
        let session = rooms.find_map(|room| Some(room.participants.get(&UserId(user))?.session));
        session.is_some_and(|session| self.routes[&session].1)
    }

    /// What has to hold of stage rooms at any time.
    pub fn check_stages(&self) {
        let live = &self.live;
        let mut here = BTreeMap::new();
        for (channel, room) in &live.stages {
            assert_eq!(
                live.rooms.contains_key(channel),
                room.record.started_at_ms.is_some()
            );
            for (user, guest) in &room.people {
                assert_eq!(here.insert(*user, *channel), None, "in one room");
                assert!(!room.record.banned.contains(user), "{user} is banned");
                let in_voice = live.in_voice.get(user) == Some(channel);
                assert!(in_voice || guest.wait_until.is_some(), "a ghost of {user}");
            }
            if let Some(voice) = live.rooms.get(channel) {
                for (user, participant) in &voice.participants {
                    assert!(room.people.contains_key(user), "{user} is in the room");
                    let speaks = room.role(*user).speaks();
                    assert_eq!(self.routes[&participant.session].1, speaks, "of {user}");
                }
            }
            let hosted = room.people.keys().any(|user| room.role(*user).moderates());
            let begun = room.record.started_at_ms.is_some();
            assert_eq!(room.hostless_until.is_some(), begun && !hosted);
        }
        assert_eq!(live.in_stage, here);
    }
}

#[test]
fn who_listens_is_not_forwarded_until_asked_to_speak_or_let() {
    let mut sim = rooms();
    let (ann, bob, cid) = (sim.connect(1, 1), sim.connect(2, 1), sim.connect(3, 1));
    assert_eq!(sim.attend(ann, ROOM).standing.role, StageRole::Host);
    assert_eq!(sim.attend(bob, ROOM).standing.role, StageRole::Listener);
    sim.attend(cid, ROOM);
    assert!(sim.is_forwarded(1) && !sim.is_forwarded(2) && !sim.is_forwarded(3));
    sim.advance(S);
    sim.check();
    let seen = sim.standing(cid).unwrap();
    assert_eq!((seen.stage.speakers.len(), seen.stage.listeners), (1, 2));
    let grant = sim.grant_of(cid).unwrap();
    let named: Vec<_> = grant
        .participants
        .iter()
        .map(|state| state.user_id.0)
        .collect();
    assert_eq!(named, [1, 3], "of listeners one is told of oneself");

    // By a raised hand, or by being asked; never without wanting it.
    assert_eq!(
        sim.set_role(bob, 2, StageRole::Speaker),
        Err(FailureKind::Forbidden)
    );
    sim.hand(bob, true).unwrap();
    assert_eq!(sim.standing(ann).unwrap().standing.hands, [user(2)]);
    sim.set_role(ann, 2, StageRole::Speaker).unwrap();
    assert!(sim.is_forwarded(2));
    sim.set_role(ann, 3, StageRole::Speaker).unwrap();
    assert!(!sim.is_forwarded(3) && sim.standing(cid).unwrap().standing.invited);
    sim.check();
    sim.ask(|live, now, out| live.accept_stage(cid, now, out))
        .unwrap();
    assert!(sim.is_forwarded(3));
    sim.check();
    // A co-host decides about speakers, and only about them.
    sim.set_role(ann, 2, StageRole::CoHost).unwrap();
    assert_eq!(
        sim.set_role(bob, 1, StageRole::Listener),
        Err(FailureKind::Forbidden)
    );
    sim.set_role(bob, 3, StageRole::Listener).unwrap();
    assert!(!sim.is_forwarded(3));
    assert_eq!(sim.take_out(cid, 2), Err(FailureKind::Forbidden));
    sim.take_out(bob, 3).unwrap();
    sim.check();
    assert_eq!(sim.in_channel(ROOM), [1, 2]);
    // Who steps back does so without asking.
    sim.set_role(bob, 2, StageRole::Listener).unwrap();
    assert!(!sim.is_forwarded(2));
    sim.check();
}

#[test]
fn a_closed_room_needs_its_code_and_a_ban_holds() {
    let mut sim = rooms();
    let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
    sim.attend(ann, CLOSED);
    assert_eq!(
        sim.enter(bob, &JoinStage::by_id(CLOSED)).unwrap_err(),
        FailureKind::NotFound
    );
    sim.join(bob, CLOSED);
    assert_eq!(sim.refusals.pop(), Some(FailureKind::NotFound));
    let code = sim.standing(ann).unwrap().standing.code.clone();
    let by_code = JoinStage::by_code(code.unwrap());
    let view = sim.enter(bob, &by_code).unwrap();
    assert_eq!(view.standing.code, None);
    let listed = sim.live.stage_list(UserId(2));
    assert!(listed.iter().all(|stage| stage.id == ROOM));
    sim.join(bob, CLOSED);
    let mut banned = stage(CLOSED, 1, true);
    banned.banned.insert(UserId(2));
    sim.apply(Change::StageSaved(banned));
    sim.check();
    let left = Event::StageLeft {
        channel_id: CLOSED,
        reason: StageGone::Banned,
    };
    assert!(sim.events_of(bob).contains(&left));
    assert_eq!(sim.enter(bob, &by_code).unwrap_err(), FailureKind::Banned);
}

#[test]
fn a_room_waits_for_its_host_and_ends_without() {
    let mut sim = rooms();
    let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
    sim.attend(ann, ROOM);
    sim.attend(bob, ROOM);
    sim.cut(ann);
    sim.advance(20 * S);
    let client = sim.cut.pop().unwrap();
    let ann = sim.resume(client).unwrap();
    sim.check();
    assert!(sim.is_forwarded(1), "back, and the host still");
    sim.disconnect(ann);
    sim.advance(HOSTLESS_FOR + 60 * S);
    sim.check();
    let left = Event::StageLeft {
        channel_id: ROOM,
        reason: StageGone::HostGone,
    };
    assert!(sim.events_of(bob).contains(&left));
    assert!(sim.ended_stages.contains(&ROOM));
    assert!(!sim.live.stages.contains_key(&ROOM));
}

#[test]
fn a_room_whose_last_host_steps_back_waits_for_one_too() {
    let mut sim = rooms();
    let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
    sim.attend(ann, ROOM);
    sim.attend(bob, ROOM);
    sim.hand(bob, true).unwrap();
    sim.set_role(ann, 2, StageRole::CoHost).unwrap();
    sim.ask(|live, now, out| {
        live.leave_stage(ann, now, out);
        Ok(())
    })
    .unwrap();
    sim.check();
    assert!(sim.live.stages[&ROOM].hostless_until.is_none());
    sim.set_role(bob, 2, StageRole::Listener).unwrap();
    sim.check();
    sim.advance(HOSTLESS_FOR + S);
    assert!(!sim.live.stages.contains_key(&ROOM));
}

#[test]
fn hosts_are_told_of_hands_once_a_second_and_of_so_many() {
    let mut sim = Sim::of(World {
        users: (1..=60).map(record).collect(),
        stages: vec![stage(ROOM, 1, true)],
        ..World::default()
    });
    let ann = sim.connect(1, 1);
    sim.attend(ann, ROOM);
    let others: Vec<_> = (2..=60).map(|id| sim.connect(id, 1)).collect();
    for other in &others {
        sim.enter(*other, &JoinStage::by_id(ROOM)).unwrap();
    }
    sim.advance(2 * S);
    let told = |sim: &mut Sim| {
        let stood = |event: &&Event| matches!(event, Event::StageStood { .. });
        sim.events_of(ann).iter().filter(stood).count()
    };
    told(&mut sim);
    let raised: Vec<_> = others.iter().map(|other| sim.hand(*other, true)).collect();
    assert!(raised[..MAX_RAISED_HANDS].iter().all(Result::is_ok));
    let refused = Err(FailureKind::TooMany);
    assert!(raised[MAX_RAISED_HANDS..].iter().all(|it| *it == refused));
    assert_eq!(told(&mut sim), 1);
    sim.advance(2 * S);
    assert_eq!(told(&mut sim), 1);
    let hands = &sim.standing(ann).unwrap().standing.hands;
    assert_eq!(hands.len(), MAX_RAISED_HANDS);
    sim.check();
}

#[test]
fn who_is_blocked_by_a_host_is_told_of_none_of_their_rooms() {
    let mut sim = rooms();
    let (ann, bob, cid) = (sim.connect(1, 1), sim.connect(2, 1), sim.connect(3, 1));
    sim.attend(ann, ROOM);
    sim.apply(Change::Related {
        user: UserId(1),
        other: UserId(2),
        kind: Some(RelationKind::Blocked),
    });
    assert!(sim.live.stage_list(UserId(2)).is_empty());
    assert_eq!(sim.live.stage_list(UserId(3)).len(), 1);
    let refused = sim.enter(bob, &JoinStage::by_id(ROOM)).unwrap_err();
    assert_eq!(refused, FailureKind::NotFound);
    assert_eq!(sim.live.stage_host(UserId(2), ROOM), None);
    sim.act(|live, _, out| live.announce_stage(ROOM, &[UserId(2), UserId(3)], out));
    for (to, told) in [(cid, true), (bob, false)] {
        let is = |event: &Event| matches!(event, Event::StageAnnounced { .. });
        assert_eq!(sim.events_of(to).iter().any(is), told);
    }
    assert_eq!(sim.live.stage_host(UserId(3), CLOSED), None, "a closed one");
}

#[test]
fn the_list_has_an_end_and_all_of_ones_own() {
    let room = |n: u64| {
        let mut room = stage(ChannelId(1_000 + n), 1 + n % 2, n < 60);
        room.access = StageAccess::Public;
        room.scheduled_at_ms = (n >= 60).then_some(5);
        room
    };
    let sim = Sim::of(World {
        users: (1..=3).map(record).collect(),
        stages: (0..130).map(room).collect(),
        ..World::default()
    });
    let listed = |reader, host| {
        let list = sim.live.stage_list(UserId(reader));
        list.iter().filter(|it| it.host.id == UserId(host)).count()
    };
    assert_eq!((listed(1, 1), listed(1, 2)), (65, PAGE as usize));
    assert_eq!(listed(3, 1) + listed(3, 2), PAGE as usize);
}

#[test]
fn a_block_parts_guest_and_host() {
    for by_host in [true, false] {
        let mut sim = rooms();
        let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
        sim.attend(ann, ROOM);
        sim.attend(bob, ROOM);
        let (by, other) = if by_host { (1, 2) } else { (2, 1) };
        sim.apply(Change::Related {
            user: UserId(by),
            other: UserId(other),
            kind: Some(RelationKind::Blocked),
        });
        sim.check();
        assert!(sim.standing(bob).is_none() && sim.standing(ann).is_some());
        assert!(!sim.live.stages[&ROOM].people.contains_key(&UserId(2)));
    }
}

#[test]
fn a_scheduled_room_is_entered_when_it_has_begun() {
    let mut sim = rooms();
    let ann = sim.connect(2, 1);
    let later = ChannelId(810);
    let mut scheduled = stage(later, 2, false);
    scheduled.access = StageAccess::Public;
    scheduled.scheduled_at_ms = Some(5);
    sim.apply(Change::StageSaved(scheduled.clone()));
    assert_eq!(
        sim.enter(ann, &JoinStage::by_id(later)).unwrap_err(),
        FailureKind::OutOfOrder
    );
    assert_eq!(
        sim.live.stage_list(UserId(3)).last().map(|stage| stage.id),
        Some(later)
    );
    scheduled.started_at_ms = Some(6);
    sim.apply(Change::StageSaved(scheduled));
    sim.attend(ann, later);
    sim.apply(Change::StageEnded(later));
    sim.check();
    assert!(!sim.live.rooms.contains_key(&later));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(u64, u64),
    Crash(usize),
    Cut(usize),
    Resume(usize),
    Enter(usize, bool),
    Join(usize, bool),
    Leave(usize),
    LeaveVoice(usize),
    VoiceLost(usize),
    Hand(usize, bool),
    Accept(usize),
    Role(usize, u64, u64),
    Remove(usize, u64),
    Ban(u64),
    End(bool),
    Open(bool),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let n = || 0..8_usize;
    let user = || 1..=5_u64;
    let yes = any::<bool>;
    prop_oneof![
        6 => (user(), 1..=2_u64).prop_map(|(user, device)| Begin(user, device)),
        1 => n().prop_map(Crash),
        2 => n().prop_map(Cut),
        2 => n().prop_map(Resume),
        8 => (n(), yes()).prop_map(|(n, closed)| Enter(n, closed)),
        8 => (n(), yes()).prop_map(|(n, closed)| Join(n, closed)),
        1 => n().prop_map(Leave),
        1 => n().prop_map(LeaveVoice),
        1 => n().prop_map(VoiceLost),
        4 => (n(), yes()).prop_map(|(n, raised)| Hand(n, raised)),
        3 => n().prop_map(Accept),
        8 => (n(), user(), 0..4_u64).prop_map(|(n, user, role)| Role(n, user, role)),
        1 => (n(), user()).prop_map(|(n, user)| Remove(n, user)),
        1 => user().prop_map(Ban),
        1 => yes().prop_map(End),
        2 => yes().prop_map(Open),
        3 => prop_oneof![0..2_000_u64, Just(31_000), Just(130_000)].prop_map(Advance),
    ]
}

impl Sim {
    fn stage_step(&mut self, step: Step) {
        let nth = |sim: &Self, n: usize| {
            let connections = sim.clients.keys();
            connections.copied().nth(n % sim.clients.len().max(1))
        };
        let which = |closed: bool| if closed { CLOSED } else { ROOM };
        match step {
            Step::Begin(user, device) => drop(self.try_connect(user, device)),
            Step::Crash(n) => nth(self, n).into_iter().for_each(|c| self.disconnect(c)),
            Step::Cut(n) => nth(self, n).into_iter().for_each(|c| self.cut(c)),
            Step::Resume(n) => {
                if !self.cut.is_empty() {
                    let client = self.cut.remove(n % self.cut.len());
                    self.resume(client);
                }
            }
            Step::Enter(n, closed) => {
                if let Some(connection) = nth(self, n) {
                    let mut join = JoinStage::by_id(which(closed));
                    join.code = closed.then(|| format!("code{CLOSED}"));
                    let _ = self.enter(connection, &join);
                }
            }
            Step::Join(n, closed) => {
                if let Some(connection) = nth(self, n) {
                    self.join(connection, which(closed));
                }
            }
            Step::Leave(n) => {
                if let Some(connection) = nth(self, n) {
                    self.act(|live, now, out| live.leave_stage(connection, now, out));
                }
            }
            Step::LeaveVoice(n) => {
                if let Some(connection) = nth(self, n) {
                    self.act(|live, now, out| live.leave_voice(connection, now, out));
                }
            }
            Step::VoiceLost(n) => {
                let sessions: Vec<_> = self.routes.keys().copied().collect();
                if let Some(session) = sessions.get(n % sessions.len().max(1)) {
                    self.act(|live, now, out| live.timed_out(*session, now, out));
                }
            }
            Step::Hand(n, raised) => {
                if let Some(connection) = nth(self, n) {
                    let _ = self.hand(connection, raised);
                }
            }
            Step::Accept(n) => {
                if let Some(connection) = nth(self, n) {
                    let _ = self.ask(|live, now, out| live.accept_stage(connection, now, out));
                }
            }
            Step::Role(n, user, role) => {
                let roles = [
                    StageRole::Listener,
                    StageRole::Speaker,
                    StageRole::CoHost,
                    StageRole::Host,
                ];
                if let Some(connection) = nth(self, n) {
                    let _ = self.set_role(connection, user, roles[role as usize]);
                }
            }
            Step::Remove(n, user) => {
                if let Some(connection) = nth(self, n) {
                    let _ = self.take_out(connection, user);
                }
            }
            Step::Ban(user) if user != 1 => {
                if let Some(room) = self.live.stages.get(&ROOM) {
                    let mut record = room.record.clone();
                    record.banned.insert(UserId(user));
                    self.apply(Change::StageSaved(record));
                }
            }
            Step::Ban(_) => {}
            Step::End(closed) => drop(self.apply(Change::StageEnded(which(closed)))),
            Step::Open(closed) => {
                let channel = which(closed);
                if !self.live.stages.contains_key(&channel) {
                    self.apply(Change::StageSaved(stage(channel, 1, true)));
                }
            }
            Step::Advance(ms) => self.advance(Duration::from_millis(ms)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever happens: nobody is forwarded who only listens, nobody is in two rooms, and no room is left without a host for long.
    #[test]
    fn stage_rooms_survive_whatever_people_and_networks_do(steps in prop::collection::vec(step(), 1..80)) {
        let mut sim = rooms();
        for step in steps {
            sim.stage_step(step);
            sim.check();
        }
        for connection in sim.clients.keys().copied().collect::<Vec<_>>() {
            sim.disconnect(connection);
        }
        sim.advance(HOSTLESS_FOR + VOICE_GRACE * 2);
        sim.check();
        assert!(sim.live.stages.is_empty(), "a room without anyone");
    }
}
