//! Calls: as people expect them, and under random interleavings with crashes and lost messages.

use std::collections::BTreeSet;

use proptest::prelude::*;
use voxhall_protocol::control::{
    AnswerCall, CallEnd, CallsFrom, LiveCall, PartyState, RelationKind, RingAgain, StartCall,
    StatusChoice,
};
use voxhall_store::ConversationRecord;

use super::{
    super::calls::{RETURN_WITHIN, RING},
    *,
};

const DIRECT: ChannelId = ChannelId(900);
const GROUP: ChannelId = ChannelId(901);
/// Of 1 and 3.
const OTHER: ChannelId = ChannelId(902);
const S: Duration = Duration::from_secs(1);

fn conversation(id: ChannelId, members: &[u64]) -> ConversationRecord {
    ConversationRecord {
        id,
        kind: if id == GROUP {
            ChannelKind::Group
        } else {
            ChannelKind::Direct
        },
        name: None,
        owner: None,
        members: members.iter().map(|id| UserId(*id)).collect(),
    }
}

fn people() -> Sim {
    Sim::of(World {
        users: (1..=5).map(record).collect(),
        conversations: vec![
            conversation(DIRECT, &[1, 2]),
            conversation(GROUP, &[1, 2, 3, 4]),
            conversation(OTHER, &[1, 3]),
        ],
        guilds: vec![GuildRecord {
            info: info(None),
            roles: vec![role(EVERYONE, 0, Permissions::DEFAULT_EVERYONE)],
            channels: vec![Channel::new(LOUNGE, "c", ChannelKind::Voice)],
            members: (1..=5).map(member).collect(),
        }],
        ..World::default()
    })
}

impl Sim {
    fn start(
        &mut self,
        connection: ConnectionId,
        channel_id: ChannelId,
    ) -> Result<LiveCall, FailureKind> {
        let start = StartCall {
            channel_id,
            end_current: false,
        };
        self.ask(|live, now, out| live.start_call(connection, start, now, out))
    }

    fn answer(
        &mut self,
        connection: ConnectionId,
        call_id: CallId,
        end_current: bool,
    ) -> Result<LiveCall, FailureKind> {
        let answer = AnswerCall {
            call_id,
            end_current,
        };
        self.ask(|live, now, out| live.answer_call(connection, answer, now, out))
    }

    fn hang_up(&mut self, connection: ConnectionId, id: CallId) {
        let left = self.ask(|live, now, out| live.leave_call(connection, id, now, out));
        left.expect("it is signed in");
    }

    fn state(&self, channel: ChannelId, user: u64) -> Option<PartyState> {
        self.live.call_view(channel)?.party(UserId(user))
    }

    /// Why a call ended: as stored, and as everyone was told.
    fn end(&self, id: CallId) -> Option<CallEnd> {
        self.kept.get(&id)?.end
    }

    fn told_end(&self, connection: ConnectionId, id: CallId) -> Option<CallEnd> {
        let events = self.clients[&connection].events.iter();
        let end = |event: &Event| match event {
            Event::CallEnded {
                call_id, reason, ..
            } if *call_id == id => Some(*reason),
            _ => None,
        };
        events.filter_map(end).next_back()
    }

    fn party(&self, id: CallId, user: u64) -> (Option<u64>, bool) {
        let parties = &self.kept[&id].parties;
        let party = parties.iter().find(|party| party.user == UserId(user));
        let party = party.expect("was called");
        (party.duration_ms, party.missed)
    }

    /// Two people talk.
    fn talk(&mut self, one: ConnectionId, other: ConnectionId) -> CallId {
        let id = self.start(one, DIRECT).unwrap().id;
        self.join(one, DIRECT);
        self.advance(2 * S);
        self.answer(other, id, false).unwrap();
        self.join(other, DIRECT);
        self.advance(S);
        assert_eq!(self.state(DIRECT, 1), Some(PartyState::Talking));
        assert_eq!(self.state(DIRECT, 2), Some(PartyState::Talking));
        id
    }

    /// What has to hold of calls at any time.
    pub fn check_calls(&self) {
        let live = &self.live;
        let (mut present, mut rung) = (BTreeMap::new(), BTreeMap::new());
        for (channel, call) in &live.calls {
            assert_eq!(live.call_channels[&call.id], *channel);
            assert!(live.rooms.contains_key(channel), "a call has its voice");
            let members = &live.conversations[channel].members;
            for (user, party) in &call.parties {
                if party.stage.is_present() {
                    assert!(members.contains(user), "{user} is in the conversation");
                    assert_eq!(
                        present.insert(*user, *channel),
                        None,
                        "{user} is in one call"
                    );
                }
                if party.stage.is_ringing() {
                    assert!(members.contains(user), "{user} is in the conversation");
                    assert_eq!(
                        rung.insert(*user, *channel),
                        None,
                        "one call rings at {user}"
                    );
                }
                if let Some(until) = party.stage.waits_until() {
                    let left = until.saturating_duration_since(self.now.at);
                    assert!(left <= RING.max(RETURN_WITHIN), "{user}: {left:?}");
                }
                let talks = matches!(party.stage, super::super::calls::Stage::Talking { .. });
                let in_voice = live.in_voice.get(user) == Some(channel);
                assert!(!talks || in_voice, "{user} talks");
                assert!(
                    !in_voice || party.stage.is_present(),
                    "{user} is in the call"
                );
            }
            let here = present.values().filter(|other| *other == channel).count();
            let ringing = rung.values().filter(|other| *other == channel).count();
            assert!(here > 0 && here + ringing > 1, "a ghost call in {channel}");
            assert_eq!(self.kept[&call.id].end, None);
        }
        assert_eq!(live.in_call, present);
        assert_eq!(live.rung, rung);
        assert_eq!(live.call_channels.len(), live.calls.len());
        let of_calls = live
            .rooms
            .iter()
            .filter(|(channel, room)| room.guild.is_none() && !live.stages.contains_key(channel));
        assert_eq!(of_calls.count(), live.calls.len(), "no room is left over");
        let over = self.kept.values().filter(|call| call.end.is_some());
        assert_eq!(over.count() + live.calls.len(), self.kept.len());
    }
}

#[test]
fn a_call_rings_is_answered_and_has_one_end_on_both_sides() {
    let mut sim = people();
    let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
    let tablet = sim.connect(2, 2);
    let call = sim.start(ann, DIRECT).unwrap();
    assert_eq!(call.party(UserId(2)), Some(PartyState::Ringing));
    let again = sim.start(ann, DIRECT).unwrap();
    assert_eq!(again.id, call.id, "a repeated request starts nothing new");
    sim.check();
    // Both of Bob's devices see it ring; the first to answer has it.
    for connection in [bob, tablet] {
        let seen = &sim.clients[&connection].view.calls[&DIRECT];
        assert_eq!(seen.party(UserId(2)), Some(PartyState::Ringing));
    }
    sim.join(ann, DIRECT);
    sim.advance(5 * S);
    sim.join(bob, DIRECT);
    assert_eq!(
        sim.refusals,
        [FailureKind::NotFound],
        "he has to answer first"
    );
    sim.answer(bob, call.id, false).unwrap();
    sim.answer(bob, call.id, false).unwrap();
    assert_eq!(
        sim.answer(tablet, call.id, false).unwrap_err(),
        FailureKind::Conflict
    );
    sim.join(tablet, DIRECT);
    sim.join(bob, DIRECT);
    sim.advance(10 * S);
    assert_eq!(sim.in_channel(DIRECT), [1, 2]);
    sim.check();
    sim.hang_up(bob, call.id);
    sim.hang_up(bob, call.id);
    sim.check();
    assert_eq!(sim.end(call.id), Some(CallEnd::HungUp));
    assert_eq!(sim.told_end(ann, call.id), Some(CallEnd::HungUp));
    assert_eq!(sim.told_end(tablet, call.id), Some(CallEnd::HungUp));
    assert_eq!(
        sim.party(call.id, 1),
        (Some(10_000), false),
        "from the answer on"
    );
    assert_eq!(sim.party(call.id, 2), (Some(10_000), false));
    assert!(sim.routes.is_empty());
}

#[test]
fn nobody_answers_rejects_or_gives_up() {
    let mut sim = people();
    let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
    let call = sim.start(ann, DIRECT).unwrap().id;
    sim.join(ann, DIRECT);
    sim.advance(RING - MS);
    assert!(sim.live.calls.contains_key(&DIRECT));
    sim.advance(MS);
    assert_eq!(sim.end(call), Some(CallEnd::NoAnswer));
    assert_eq!(
        (sim.party(call, 1), sim.party(call, 2)),
        ((None, false), (None, true))
    );

    let call = sim.start(ann, DIRECT).unwrap().id;
    sim.ask(|live, now, out| live.reject_call(bob, call, now, out))
        .unwrap();
    assert_eq!(sim.told_end(ann, call), Some(CallEnd::Rejected));
    assert_eq!(sim.party(call, 2), (None, false));

    let call = sim.start(ann, DIRECT).unwrap().id;
    sim.hang_up(ann, call);
    assert_eq!(sim.told_end(bob, call), Some(CallEnd::Cancelled));
    assert_eq!(sim.party(call, 2), (None, true));
    sim.check();
}

/// If the server stops in the midst of a call, what is stored is all that is known of it.
#[test]
fn whoever_answered_has_not_missed_the_call_whatever_becomes_of_it() {
    let mut sim = people();
    let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
    let id = sim.start(ann, DIRECT).unwrap().id;
    assert!(sim.party(id, 2).1, "it rings");
    sim.answer(bob, id, false).unwrap();
    assert_eq!(sim.end(id), None);
    assert!(!sim.party(id, 2).1);
}

#[test]
fn who_can_not_be_called_is_told_why() {
    let mut sim = people();
    let ann = sim.connect(1, 1);
    let refusal = |sim: &mut Sim| sim.start(ann, DIRECT).unwrap_err();
    let kept = |sim: &Sim| sim.kept.last_key_value().map(|(id, call)| (*id, call.end));
    assert_eq!(refusal(&mut sim), FailureKind::Offline);
    let (id, end) = kept(&sim).unwrap();
    assert_eq!(end, Some(CallEnd::Offline));
    assert_eq!(sim.party(id, 2), (None, true), "he sees it when he is back");

    let bob = sim.connect(2, 1);
    let choose = |sim: &mut Sim, choice| {
        let presence = OwnPresence {
            choice,
            ..OwnPresence::default()
        };
        sim.apply(Change::PresenceChosen {
            user: UserId(2),
            presence,
        });
        sim.start(ann, DIRECT).map(|call| call.id)
    };
    let busy = Err(FailureKind::DoNotDisturb);
    assert_eq!(choose(&mut sim, StatusChoice::DoNotDisturb), busy);
    let unseen = Err(FailureKind::Offline);
    assert_eq!(choose(&mut sim, StatusChoice::Invisible), unseen);
    let id = choose(&mut sim, StatusChoice::Online).unwrap();
    sim.hang_up(ann, id);

    let mut friends_only = record(2);
    friends_only.calls_from = CallsFrom::Friends;
    sim.apply(Change::UserSaved(friends_only));
    assert_eq!(refusal(&mut sim), FailureKind::FriendsOnly);
    let last = sim.kept.len();
    for (user, other) in [(1, 2), (2, 1)] {
        let kind = Some(RelationKind::Friend);
        let (user, other) = (UserId(user), UserId(other));
        sim.apply(Change::Related { user, other, kind });
    }
    let id = sim.start(ann, DIRECT).unwrap().id;
    // Whoever blocks the other ends the call.
    sim.answer(bob, id, false).unwrap();
    sim.apply(Change::Related {
        user: UserId(2),
        other: UserId(1),
        kind: Some(RelationKind::Blocked),
    });
    assert_eq!(sim.told_end(ann, id), Some(CallEnd::NotAllowed));
    assert_eq!(refusal(&mut sim), FailureKind::Blocked);
    assert_eq!(
        sim.kept.len(),
        last + 1,
        "of what is refused nothing is kept"
    );
    sim.check();
}

#[test]
fn one_call_a_person_and_one_more_may_ring() {
    let mut sim = people();
    let (ann, bob, cid) = (sim.connect(1, 1), sim.connect(2, 1), sim.connect(3, 1));
    let first = sim.start(bob, DIRECT).unwrap().id;
    assert_eq!(
        sim.start(cid, OTHER).unwrap_err(),
        FailureKind::Busy,
        "it rings at Ann"
    );
    sim.answer(ann, first, false).unwrap();
    sim.join(ann, DIRECT);
    sim.join(bob, DIRECT);
    sim.advance(S);
    let second = sim.start(cid, OTHER).unwrap().id;
    sim.check();
    assert_eq!(
        sim.answer(ann, second, false).unwrap_err(),
        FailureKind::Conflict
    );
    sim.answer(ann, second, true).unwrap();
    sim.check();
    assert_eq!(sim.told_end(bob, first), Some(CallEnd::HungUp));
    // Going to a voice channel leaves the call.
    sim.join(ann, OTHER);
    sim.join(cid, OTHER);
    sim.advance(S);
    sim.join(cid, LOUNGE);
    sim.check();
    assert_eq!(sim.told_end(ann, second), Some(CallEnd::HungUp));
    assert_eq!(sim.in_channel(LOUNGE), [3]);
}

#[test]
fn who_vanishes_is_waited_for_and_may_come_back() {
    let mut sim = people();
    let (ann, bob) = (sim.connect(1, 1), sim.connect(2, 1));
    let call = sim.talk(ann, bob);
    // A cut and a resume.
    sim.cut(bob);
    assert_eq!(sim.state(DIRECT, 2), Some(PartyState::Away));
    sim.advance(RETURN_WITHIN - S);
    let client = sim.cut.pop().unwrap();
    let bob = sim.resume(client).unwrap();
    assert_eq!(sim.state(DIRECT, 2), Some(PartyState::Talking));
    sim.check();
    // A crash: another program, the same person.
    sim.disconnect(bob);
    sim.advance(20 * S);
    let bob = sim.connect(2, 1);
    let seen = sim.clients[&bob].view.calls[&DIRECT].party(UserId(2));
    assert_eq!(
        seen,
        Some(PartyState::Talking),
        "the device has its voice again"
    );
    sim.join(bob, DIRECT);
    sim.advance(S);
    sim.check();
    // Only voice is lost, and comes back.
    let voice = sim.live.rooms[&DIRECT].participants[&UserId(2)].session;
    sim.act(|live, now, out| live.timed_out(voice, now, out));
    assert_eq!(sim.state(DIRECT, 2), Some(PartyState::Away));
    sim.check();
    sim.join(bob, DIRECT);
    assert_eq!(sim.state(DIRECT, 2), Some(PartyState::Talking));
    // And not again.
    sim.disconnect(bob);
    sim.advance(RETURN_WITHIN);
    sim.check();
    assert_eq!(sim.told_end(ann, call), Some(CallEnd::Lost));
    assert_eq!(sim.in_channel_or_none(DIRECT), None);
}

impl Sim {
    fn in_channel_or_none(&self, channel: ChannelId) -> Option<Vec<u64>> {
        let room = self.live.rooms.get(&channel)?;
        Some(room.participants.keys().map(|user| user.0).collect())
    }
}

#[test]
fn a_group_goes_on_while_two_are_in_it_and_others_join_or_are_rung_again() {
    let mut sim = people();
    let (ann, bob, cid) = (sim.connect(1, 1), sim.connect(2, 1), sim.connect(3, 1));
    let call = sim.start(ann, GROUP).unwrap();
    assert_eq!(
        call.party(UserId(4)),
        Some(PartyState::Missed),
        "is not there"
    );
    let id = call.id;
    sim.answer(bob, id, false).unwrap();
    for connection in [ann, bob] {
        sim.join(connection, GROUP);
        sim.advance(S);
    }
    sim.ask(|live, now, out| live.reject_call(cid, id, now, out))
        .unwrap();
    assert!(sim.live.calls.contains_key(&GROUP));
    let dan = sim.connect(4, 1);
    // One may come by oneself, or be rung.
    sim.answer(cid, id, false).unwrap();
    sim.join(cid, GROUP);
    let ring = |user| RingAgain {
        call_id: id,
        user_id: UserId(user),
    };
    sim.ask(|live, now, out| live.ring_again(bob, ring(4), now, out))
        .unwrap();
    assert_eq!(sim.state(GROUP, 4), Some(PartyState::Ringing));
    let stranger = sim.ask(|live, now, out| live.ring_again(bob, ring(5), now, out));
    assert_eq!(stranger, Err(FailureKind::NotFound));
    sim.check();
    sim.advance(RING);
    assert_eq!(sim.state(GROUP, 4), Some(PartyState::Missed));
    sim.hang_up(ann, id);
    sim.check();
    // Who is taken out of the group is out of its call.
    sim.apply(Change::ConversationSaved(conversation(
        GROUP,
        &[1, 2, 4, 5],
    )));
    sim.check();
    assert_eq!(sim.told_end(dan, id), Some(CallEnd::NotAllowed));
    assert!(sim.party(id, 4).1 && !sim.party(id, 3).1);
}

/// One step; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Begin {
        user: u64,
        device: u64,
        slow: bool,
    },
    /// Crashes, or the line breaks.
    Crash(usize),
    Cut(usize),
    Resume(usize),
    CatchUp(usize),
    Start(usize, ChannelId, bool),
    Answer(usize, usize, bool),
    Reject(usize, usize),
    Leave(usize, usize),
    RingAgain(usize, usize, u64),
    Join(usize, ChannelId),
    LeaveVoice(usize),
    VoiceLost(usize),
    Presence(u64, u64),
    Relate(u64, u64, u64),
    Members(Vec<u64>),
    DeleteGroup,
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let n = || 0..8_usize;
    let user = || 1..=5_u64;
    let yes = any::<bool>;
    let channel = || prop::sample::select(vec![DIRECT, DIRECT, GROUP, OTHER]);
    let anywhere = || prop::sample::select(vec![DIRECT, GROUP, OTHER, LOUNGE]);
    prop_oneof![
        6 => (user(), 1..=2_u64, prop::bool::weighted(0.2)).prop_map(|(user, device, slow)| Begin { user, device, slow }),
        1 => n().prop_map(Crash),
        2 => n().prop_map(Cut),
        2 => n().prop_map(Resume),
        1 => n().prop_map(CatchUp),
        6 => (n(), channel(), yes()).prop_map(|(n, channel, end)| Start(n, channel, end)),
        6 => (n(), n(), yes()).prop_map(|(n, call, end)| Answer(n, call, end)),
        1 => (n(), n()).prop_map(|(n, call)| Reject(n, call)),
        1 => (n(), n()).prop_map(|(n, call)| Leave(n, call)),
        1 => (n(), n(), user()).prop_map(|(n, call, user)| RingAgain(n, call, user)),
        6 => (n(), anywhere()).prop_map(|(n, channel)| Join(n, channel)),
        1 => n().prop_map(LeaveVoice),
        1 => n().prop_map(VoiceLost),
        1 => (user(), 0..3_u64).prop_map(|(user, choice)| Presence(user, choice)),
        1 => (user(), user(), 0..3_u64).prop_map(|(one, other, kind)| Relate(one, other, kind)),
        1 => prop::collection::btree_set(user(), 1..5).prop_map(|members| Members(members.into_iter().collect())),
        1 => Just(DeleteGroup),
        3 => prop_oneof![0..2_000_u64, Just(15_000), Just(31_000), Just(130_000)].prop_map(Advance),
    ]
}

impl Sim {
    fn call_step(&mut self, step: Step) {
        let nth = |sim: &Self, n: usize| {
            let connections = sim.clients.keys();
            connections.copied().nth(n % sim.clients.len().max(1))
        };
        // Of a call that runs, or of one long over.
        let call = |sim: &Self, n: usize| {
            let running = sim.live.call_channels.keys();
            let known: Vec<_> = running.chain(sim.kept.keys()).copied().collect();
            known.get(n % known.len().max(1)).copied()
        };
        match step {
            Step::Begin { user, device, slow } => {
                if let Some(connection) = self.try_connect(user, device)
                    && let Some(client) = self.clients.get_mut(&connection)
                {
                    client.is_slow = slow;
                }
            }
            Step::Resume(n) => {
                if !self.cut.is_empty() {
                    let client = self.cut.remove(n % self.cut.len());
                    self.resume(client);
                }
            }
            Step::VoiceLost(n) => {
                let sessions = self.routes.keys().copied();
                if let Some(session) = sessions
                    .collect::<Vec<_>>()
                    .get(n % self.routes.len().max(1))
                {
                    self.act(|live, now, out| live.timed_out(*session, now, out));
                }
            }
            Step::Presence(user, choice) => {
                let choice = [
                    StatusChoice::Online,
                    StatusChoice::DoNotDisturb,
                    StatusChoice::Invisible,
                ][choice as usize];
                let presence = OwnPresence {
                    choice,
                    ..OwnPresence::default()
                };
                let user = UserId(user);
                self.apply(Change::PresenceChosen { user, presence });
            }
            Step::Relate(one, other, which) if one != other => {
                let kind = [
                    None,
                    Some(RelationKind::Friend),
                    Some(RelationKind::Blocked),
                ];
                self.apply(Change::Related {
                    user: UserId(one),
                    other: UserId(other),
                    kind: kind[which as usize],
                });
            }
            Step::Relate(..) => {}
            Step::Members(members) => {
                self.apply(Change::ConversationSaved(conversation(GROUP, &members)));
            }
            Step::DeleteGroup => drop(self.apply(Change::ConversationDeleted(GROUP))),
            Step::Advance(ms) => self.advance(Duration::from_millis(ms)),
            Step::Crash(n) => nth(self, n).into_iter().for_each(|c| self.disconnect(c)),
            Step::Cut(n) => nth(self, n).into_iter().for_each(|c| self.cut(c)),
            Step::CatchUp(n) => nth(self, n).into_iter().for_each(|c| self.catch_up(c)),
            Step::Start(n, channel_id, end_current) => {
                if let Some(connection) = nth(self, n) {
                    let start = StartCall {
                        channel_id,
                        end_current,
                    };
                    let _ = self.ask(|live, now, out| live.start_call(connection, start, now, out));
                }
            }
            Step::Answer(n, of, end_current) => {
                if let (Some(connection), Some(id)) = (nth(self, n), call(self, of)) {
                    let _ = self.answer(connection, id, end_current);
                }
            }
            Step::Reject(n, of) => {
                if let (Some(connection), Some(id)) = (nth(self, n), call(self, of)) {
                    let rejected =
                        self.ask(|live, now, out| live.reject_call(connection, id, now, out));
                    rejected.expect("it is signed in");
                }
            }
            Step::Leave(n, of) => {
                if let (Some(connection), Some(id)) = (nth(self, n), call(self, of)) {
                    self.hang_up(connection, id);
                }
            }
            Step::RingAgain(n, of, user) => {
                if let (Some(connection), Some(call_id)) = (nth(self, n), call(self, of)) {
                    let ring = RingAgain {
                        call_id,
                        user_id: UserId(user),
                    };
                    let _ = self.ask(|live, now, out| live.ring_again(connection, ring, now, out));
                }
            }
            Step::Join(n, channel) => {
                nth(self, n)
                    .into_iter()
                    .for_each(|c| drop(self.join(c, channel)));
            }
            Step::LeaveVoice(n) => {
                if let Some(connection) = nth(self, n) {
                    self.act(|live, now, out| live.leave_voice(connection, now, out));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever happens: no ghost call, nobody in two calls, no ring that goes on, and one reason for each end.
    #[test]
    fn calls_survive_whatever_people_and_networks_do(steps in prop::collection::vec(step(), 1..80)) {
        let mut sim = people();
        for step in steps {
            sim.call_step(step);
            sim.check();
        }
        // Everyone is gone: soon there is no call any more.
        for connection in sim.clients.keys().copied().collect::<Vec<_>>() {
            let client = &sim.clients[&connection];
            for event in &client.events {
                if let Event::CallEnded { call_id, reason, .. } = event {
                    assert_eq!(sim.end(*call_id), Some(*reason), "both sides agree, and so does the history");
                }
            }
            sim.disconnect(connection);
        }
        sim.advance(RING.max(RETURN_WITHIN));
        sim.check();
        assert!(sim.live.calls.is_empty(), "a ghost call");
        assert!(sim.kept.values().all(|call| call.end.is_some()));
        let left: BTreeSet<_> = sim.live.rooms.keys().collect();
        assert_eq!(left, BTreeSet::from([&LOUNGE]));
    }
}
