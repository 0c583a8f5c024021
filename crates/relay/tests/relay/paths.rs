//! Opening, keeping, moving and losing the path.

use std::{net::SocketAddr, time::Duration};

use voxhall_protocol::voice::{PathState, REQUEST_LEN};
use voxhall_relay::{DropReason, Event, SESSION_TIMEOUT, Total};

use crate::world::{LOUNGE, World};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The time that an old address has for its answer.
fn ask_in_vain(world: &mut World) {
    for _ in 0..20 {
        world.wait(Duration::from_millis(20));
    }
}

#[test]
fn a_path_opens_by_proof_of_the_address() {
    let mut world = World::new();
    let ann = world.join(LOUNGE);
    let first = world.path_request(ann).unwrap();
    world.deliver(ann, &first);
    world.flush();
    // The first request has no nonce: refused with one, and nothing is bound.
    assert!(!world.clients[ann].path.is_open());
    assert_eq!(world.counters.total(Total::PathsOpened), 0);

    world.now += Duration::from_millis(30);
    let second = world.path_request(ann).unwrap();
    world.now += Duration::from_millis(30);
    world.deliver(ann, &second);
    world.flush();
    let PathState::Open { rtt, outside, .. } = world.clients[ann].path.state() else {
        panic!("not open: {:?}", world.clients[ann].path.state());
    };
    assert_eq!(rtt, Duration::from_millis(30));
    assert_eq!(outside, world.clients[ann].address);
    let opened = Event::PathOpened {
        session: world.clients[ann].route.id,
        address: outside,
    };
    assert_eq!(world.events(), [opened]);
}

#[test]
fn no_answer_is_larger_than_its_request() {
    let mut world = World::new();
    let ann = world.join(LOUNGE);
    for from in [
        world.clients[ann].address,
        address("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535"),
    ] {
        world.clients[ann].address = from;
        for _ in 0..3 {
            world.clients[ann].path.probe(world.now);
            let request = world.path_request(ann).unwrap();
            assert_eq!(request.len(), REQUEST_LEN);
            world.deliver(ann, &request);
            let (datagrams, bytes) = world.flush();
            assert_eq!(datagrams, 1);
            assert!(bytes <= REQUEST_LEN, "{bytes} bytes answered {REQUEST_LEN}");
        }
    }
}

#[test]
fn nothing_is_sent_to_a_listener_without_a_path() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.join(LOUNGE));
    world.say(ann, b"anyone?");
    assert_eq!(world.clients[ben].datagrams, 0);
    world.open_path(ben);
    world.say(ann, b"hello");
    assert_eq!(world.heard(ben), [b"hello"]);
}

#[test]
fn a_roaming_speaker_keeps_talking_and_its_path_follows() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let phone = address("198.51.100.9:40000");
    world.clients[ann].address = phone;
    // Its voice passes at once, as each packet proves itself...
    world.say(ann, &[1; 100]);
    assert_eq!(world.heard(ben), [[1; 100]]);
    assert_eq!(world.counters.total(Total::Challenges), 1);
    // ...but what others say goes to the old address until the new one is proven.
    world.say(ben, b"to the old one");
    assert_eq!(world.heard(ann), [b""; 0]);
    assert_eq!(world.strays.len(), 1);

    let request = world.path_request(ann).expect("the challenge asks for it");
    world.deliver(ann, &request);
    world.flush();
    // The old address is asked, too, and keeps silent.
    world.say(ben, b"still to the old one");
    ask_in_vain(&mut world);
    let moved = Event::PathMoved {
        session: world.clients[ann].route.id,
        address: phone,
    };
    assert!(world.events().contains(&moved));
    world.say(ben, b"to the new one");
    assert_eq!(world.heard(ann), [b"to the new one"]);
}

#[test]
fn challenges_are_rare_and_never_larger_than_what_came() {
    let mut world = World::new();
    let (ann, _) = (world.enter(LOUNGE), world.enter(LOUNGE));
    world.clients[ann].address = address("198.51.100.9:40000");
    let (mut came, mut sent) = (0, 0);
    for _ in 0..500 {
        world.now += Duration::from_millis(2);
        // The new address swallows the challenge: it is a victim, or gone.
        let voice = world.voice(ann, &[]);
        let from = address("198.51.100.7:1");
        came += voice.len();
        world.deliver_from(from, &voice);
        world.flush();
        sent = world
            .strays
            .iter()
            .filter(|(to, _)| *to == from)
            .map(|(_, bytes)| bytes.len())
            .sum();
        assert!(sent <= came, "{sent} bytes sent, {came} came");
    }
    assert!(sent > 0);
    assert!((3..=4).contains(&world.counters.total(Total::Challenges)));
}

#[test]
fn a_stolen_request_cannot_move_a_path() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    world.clients[ann].path.probe(world.now);
    let genuine = world.path_request(ann).unwrap();
    let thief = address("203.0.113.66:6666");
    // The nonce was made for Ann's address: from elsewhere the request only earns a refusal.
    world.deliver_from(thief, &genuine);
    world.flush();
    assert_eq!(world.counters.total(Total::PathsMoved), 0);
    assert_eq!(world.strays.len(), 1);
    assert!(world.strays[0].1.len() <= genuine.len());
    world.say(ben, b"to Ann");
    assert_eq!(world.heard(ann), [b"to Ann"]);

    // Changed in any byte it earns nothing at all.
    for at in 0..genuine.len() {
        let mut bad = genuine.clone();
        bad[at] ^= 1;
        world.deliver(ann, &bad);
        assert_eq!(world.flush(), (0, 0), "byte {at}");
    }
}

#[test]
fn an_old_nonce_cannot_move_a_path_back() {
    let mut world = World::new();
    let ann = world.enter(LOUNGE);
    let ben = world.enter(LOUNGE);
    let (home, phone) = (world.clients[ann].address, address("198.51.100.9:40000"));
    world.clients[ann].path.probe(world.now);
    let at_home = world.path_request(ann).unwrap();
    world.deliver(ann, &at_home);
    world.flush();

    world.clients[ann].address = phone;
    world.clients[ann].path.probe(world.now);
    for _ in 0..2 {
        let request = world.path_request(ann).unwrap();
        world.deliver(ann, &request);
        world.flush();
    }
    ask_in_vain(&mut world);
    assert_eq!(world.counters.total(Total::PathsMoved), 1);

    // Valid, from the right address, within a minute: and still it was made before the move.
    world.deliver_from(home, &at_home);
    world.flush();
    assert_eq!(world.counters.total(Total::PathsMoved), 1);
    world.say(ben, b"hello");
    assert_eq!(world.heard(ann), [b"hello"]);

    // Ann herself may move back, by proving it anew.
    world.clients[ann].address = home;
    for _ in 0..2 {
        world.clients[ann].path.probe(world.now);
        let request = world.path_request(ann).unwrap();
        world.deliver(ann, &request);
        world.flush();
    }
    assert_eq!(world.counters.total(Total::PathsMoved), 2);
}

/// Somebody who reads Ann's packets, is faster than she is, and can send in the server's name has her prove that she is at `thief`.
fn relay_a_proof(world: &mut World, ann: usize, thief: SocketAddr) {
    world.now += Duration::from_millis(260);
    let before = world.strays.len();
    let voice = world.voice(ann, &[1; 100]);
    world.deliver_from(thief, &voice);
    world.deliver(ann, &voice);
    world.flush();
    let (_, challenge) = world.strays[before..]
        .iter()
        .find(|(to, _)| *to == thief)
        .expect("whoever speaks from a new address is challenged")
        .clone();
    let now = world.now;
    world.clients[ann].path.handle(now, &challenge).unwrap();
    let proof = world.path_request(ann).expect("Ann can't know better");
    world.deliver_from(thief, &proof);
    world.flush();
}

#[test]
fn a_relayed_proof_moves_no_path_while_its_owner_answers() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let thief = address("203.0.113.66:6666");
    // As often as he likes: answers to earlier questions don't wear the later ones out.
    for attempt in 1..=8 {
        relay_a_proof(&mut world, ann, thief);
        world.wait(Duration::from_millis(20));
        let strays = world.strays.len();
        world.say(ben, b"to Ann");
        let answer = world.path_request(ann).expect("she was asked where she is");
        world.deliver(ann, &answer);
        world.flush();
        assert_eq!(world.counters.total(Total::PathsKept), attempt);
        world.say(ben, b"to Ann");
        assert_eq!(world.heard(ann), [b"to Ann", b"to Ann"]);
        assert_eq!(world.strays.len(), strays, "nothing goes to the thief");
    }
    ask_in_vain(&mut world);
    assert_eq!(world.counters.total(Total::PathsMoved), 0);
}

#[test]
fn proofs_relayed_in_a_row_leave_the_owner_her_time() {
    let mut world = World::new();
    let (ann, _) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let (one, other) = (address("203.0.113.66:1"), address("203.0.113.66:2"));
    for _ in 0..4 {
        relay_a_proof(&mut world, ann, one);
        // Ann asks by herself before she is asked: refused, and then answered.
        for _ in 0..2 {
            world.clients[ann].path.probe(world.now);
            let request = world.path_request(ann).unwrap();
            world.deliver(ann, &request);
            world.flush();
        }
    }
    assert_eq!(world.counters.total(Total::PathsKept), 4);
    relay_a_proof(&mut world, ann, other);
    world.wait(Duration::from_millis(250));
    assert_eq!(world.counters.total(Total::PathsMoved), 0);
    let answer = world.path_request(ann).unwrap();
    world.deliver(ann, &answer);
    ask_in_vain(&mut world);
    assert_eq!(world.counters.total(Total::PathsMoved), 0);
}

#[test]
fn a_path_stolen_while_every_question_was_lost_is_back_with_the_next_request() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let (home, thief) = (world.clients[ann].address, address("203.0.113.66:6666"));
    relay_a_proof(&mut world, ann, thief);
    // The questions come nowhere.
    world.clients[ann].address = address("192.0.2.1:1");
    ask_in_vain(&mut world);
    world.clients[ann].address = home;
    assert_eq!(world.counters.total(Total::PathsMoved), 1);
    for _ in 0..2 {
        world.clients[ann].path.probe(world.now);
        let request = world.path_request(ann).unwrap();
        world.deliver(ann, &request);
        world.flush();
    }
    // The thief was not asked, so he can't have her answer for him.
    assert_eq!(world.counters.total(Total::PathsMoved), 2);
    world.say(ben, b"welcome back");
    assert_eq!(world.heard(ann), [b"welcome back"]);
    // And he begins anew.
    relay_a_proof(&mut world, ann, thief);
    world.wait(Duration::from_millis(20));
    world.say(ben, b"to Ann");
    assert_eq!(world.heard(ann), [b"to Ann"]);
}

#[test]
fn a_nonce_goes_stale_and_is_renewed_without_a_gap() {
    let mut world = World::new();
    let ann = world.enter(LOUNGE);
    let mut requests = 0;
    for _ in 0..1_300 {
        world.wait(Duration::from_millis(100));
        while let Some(request) = world.path_request(ann) {
            requests += 1;
            world.deliver(ann, &request);
            world.flush();
        }
        assert!(world.clients[ann].path.is_open());
    }
    // 130 s: one every 2 s, and two more for the nonces that went stale.
    assert!((65..=69).contains(&requests), "{requests}");
    assert!(
        world
            .events()
            .iter()
            .all(|event| matches!(event, Event::PathOpened { .. }))
    );
}

#[test]
fn a_silent_session_times_out_once_and_replays_do_not_keep_it() {
    let mut world = World::new();
    let ann = world.join(LOUNGE);
    let first_request = world.path_request(ann).unwrap();
    world.open_path(ann);
    let ben = world.enter(LOUNGE);
    let last = world.voice(ann, b"bye");
    world.deliver(ann, &last);
    world.flush();
    world.events();
    for _ in 0..SESSION_TIMEOUT.as_millis() / 500 + 4 {
        world.deliver(ann, &last);
        world.deliver(ann, &first_request);
        world.flush();
        world.say(ben, b"are you there?");
        world.wait(Duration::from_millis(500));
    }
    let timed_out = Event::TimedOut {
        session: world.clients[ann].route.id,
    };
    let events = world.events();
    assert_eq!(
        events.iter().filter(|event| **event == timed_out).count(),
        1
    );

    // Nothing goes there any more, and the session is deaf until the control plane removes it.
    world.heard(ann);
    world.say(ben, b"hello?");
    assert!(world.heard(ann).is_empty());
    world.heard(ben);
    let before = world.dropped(DropReason::TimedOut);
    world.say(ann, b"I am back");
    assert!(world.heard(ben).is_empty());
    assert_eq!(world.dropped(DropReason::TimedOut), before + 1);
}

#[test]
fn a_dead_path_is_told_as_lost_and_found_again() {
    let mut world = World::new();
    let ann = world.enter(LOUNGE);
    for _ in 0..70 {
        world.now += Duration::from_millis(100);
        world.path_request(ann);
    }
    assert_eq!(world.clients[ann].path.state(), PathState::Lost);
    world.clients[ann].path.probe(world.now);
    let request = world.path_request(ann).unwrap();
    world.deliver(ann, &request);
    world.flush();
    assert!(world.clients[ann].path.is_open());
}
