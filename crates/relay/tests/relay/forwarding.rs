//! Who hears what: properties 4 and 6 of the wire, bundles, speaking.

use std::time::Duration;

use voxhall_protocol::voice::{MAX_BUNDLE, MAX_OPUS_FRAME};
use voxhall_relay::{Event, Total};

use crate::world::{LOUNGE, OFFICE, World};

#[test]
fn everybody_in_the_channel_hears_but_the_speaker() {
    let mut world = World::new();
    let people: Vec<_> = (0..4).map(|_| world.enter(LOUNGE)).collect();
    let elsewhere = world.enter(OFFICE);
    for &speaker in &people {
        let text = format!("I am {speaker}");
        world.say(speaker, text.as_bytes());
        for &listener in &people {
            let expected = (listener != speaker).then(|| text.clone().into_bytes());
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(world.heard(listener), expected, "{speaker} to {listener}");
        }
        assert!(world.heard(elsewhere).is_empty());
    }
    assert_eq!(world.counters.total(Total::FramesOut), 12);
    let path_only = world.clients[elsewhere].datagrams;
    assert_eq!(path_only, 2, "nothing but its own path's answers");
}

#[test]
fn who_leaves_or_is_deafened_gets_nothing() {
    let mut world = World::new();
    let (ann, ben, cleo) = (
        world.enter(LOUNGE),
        world.enter(LOUNGE),
        world.enter(LOUNGE),
    );
    world
        .routes
        .set_rights(world.clients[ben].route.id, true, true);
    world.publish();
    world.leave(cleo);
    let before = (world.clients[ben].datagrams, world.clients[cleo].datagrams);
    world.say(ann, b"secret");
    assert_eq!(
        (world.clients[ben].datagrams, world.clients[cleo].datagrams),
        before
    );
    // Who left is not heard either.
    world.say(cleo, b"I am still here");
    assert!(world.heard(ann).is_empty());
    // Deafened is not muted.
    world.say(ben, b"I can't hear you");
    assert_eq!(world.heard(ann), [b"I can't hear you"]);
}

#[test]
fn a_place_in_the_table_is_reused_without_its_past() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let old = world.voice(ben, b"old");
    // Left and joined between two publications: the relay sees the place taken all the time.
    assert!(world.routes.remove(world.clients[ben].route.id));
    let cleo = world.join(LOUNGE);
    world.say(ann, b"hello");
    assert_eq!(world.clients[cleo].datagrams, 0, "no path inherited");
    world.deliver(ben, &old);
    world.flush();
    assert!(world.heard(ann).is_empty());
    world.open_path(cleo);
    world.say(cleo, b"new");
    assert_eq!(world.heard(ann), [b"new"]);
}

#[test]
fn a_new_table_keeps_the_state_of_who_stays() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let first = world.voice(ann, b"one");
    world.deliver(ann, &first);
    world.flush();
    for _ in 0..50 {
        world.join(OFFICE);
    }
    world.deliver(ann, &first);
    world.flush();
    assert_eq!(world.heard(ben), [b"one"], "the replay window is kept");
    world.say(ann, b"two");
    assert_eq!(world.heard(ben), [b"two"], "and so are the paths");
}

#[test]
fn sequence_numbers_roll_over_unheard() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let packets = 3 * 65_536 / 2;
    for i in 0..packets {
        let voice = world.voice(ann, b"x");
        // One in a hundred is lost, the relay counts it as never sent.
        if i % 100 != 50 {
            world.deliver(ann, &voice);
            if i % 64 == 0 {
                world.flush();
            }
        }
    }
    world.flush();
    assert_eq!(world.heard(ben).len(), packets - packets / 100);
    assert_eq!(world.counters.dropped_total(), 0);
    assert!(world.clients[ben].refused.is_empty());
}

#[test]
fn one_batch_is_bundled_for_who_reads_bundles() {
    let mut world = World::new();
    let people: Vec<_> = (0..5).map(|_| world.enter(LOUNGE)).collect();
    let (plain, bundled) = (people[3], people[4]);
    world.take_bundles(bundled);
    let before = world.clients[plain].datagrams;
    for speaker in 0..3 {
        let voice = world.voice(speaker, format!("{speaker}").as_bytes());
        world.deliver(speaker, &voice);
    }
    world.flush();
    assert_eq!(world.heard(bundled), [b"0", b"1", b"2"]);
    assert_eq!(world.clients[bundled].bundles, 1);
    assert_eq!(world.heard(plain), [b"0", b"1", b"2"]);
    assert_eq!(world.clients[plain].bundles, 0);
    assert_eq!(world.clients[plain].datagrams - before, 3);

    // A single frame travels as it is.
    world.say(0, b"alone");
    assert_eq!(world.heard(bundled), [b"alone"]);
    assert_eq!(world.clients[bundled].bundles, 1);
}

#[test]
fn bundles_stay_within_their_limit_and_lose_nothing() {
    let mut world = World::new();
    let people: Vec<_> = (0..20).map(|_| world.enter(LOUNGE)).collect();
    for &client in &people {
        world.take_bundles(client);
    }
    for round in 0..4 {
        for &speaker in &people {
            // From frames that fit by the dozen to one that fits no bundle.
            let len = match (round, speaker) {
                (3, 7) => MAX_OPUS_FRAME,
                (round, speaker) => 10 + 150 * round + speaker,
            };
            let voice = world.voice(speaker, &vec![speaker as u8; len]);
            world.deliver(speaker, &voice);
        }
        world.relay.finish(&mut world.sends);
        let too_long = world
            .sends
            .iter()
            .filter(|(_, bytes)| bytes[0] == 4 && bytes.len() > MAX_BUNDLE)
            .count();
        assert_eq!(too_long, 0);
        let frames = people.len() * (people.len() - 1);
        assert!(round == 3 || world.sends.len() < frames);
        world.flush();
        for &listener in &people {
            let heard = world.heard(listener);
            let speakers: Vec<_> = heard.iter().map(|text| usize::from(text[0])).collect();
            let expected: Vec<_> = people
                .iter()
                .copied()
                .filter(|speaker| *speaker != listener)
                .collect();
            assert_eq!(speakers, expected, "listener {listener}, round {round}");
        }
    }
}

#[test]
fn listeners_share_the_bytes() {
    let mut world = World::new();
    for _ in 0..10 {
        world.enter(LOUNGE);
    }
    let voice = world.voice(0, &[7; 80]);
    world.deliver(0, &voice);
    world.relay.finish(&mut world.sends);
    let starts: Vec<_> = world
        .sends
        .iter()
        .map(|(_, bytes)| bytes.as_ptr())
        .collect();
    assert_eq!(starts.len(), 9);
    assert!(starts.iter().all(|start| *start == starts[0]));
}

#[test]
fn speaking_is_told_once_and_ends_with_silence() {
    let mut world = World::new();
    let ann = world.enter(LOUNGE);
    world.enter(LOUNGE);
    world.events();
    let speaking = |on| Event::Speaking {
        session: world.clients[ann].route.id,
        ssrc: world.clients[ann].route.ssrc,
        on,
    };
    let (started, ended) = (speaking(true), speaking(false));
    // Comfort noise of a silent speaker is forwarded, and is not speaking.
    world.say(ann, &[0xf8]);
    assert_eq!(world.events(), []);
    for _ in 0..10 {
        world.say(ann, b"talking");
        world.wait(Duration::from_millis(20));
    }
    assert_eq!(world.events(), [started]);
    for _ in 0..20 {
        world.say(ann, &[0xf8]);
        world.wait(Duration::from_millis(20));
    }
    assert_eq!(world.events(), [ended]);
}

#[test]
fn undrained_events_are_bounded_and_speaking_ends_right() {
    let mut world = World::new();
    let ann = world.enter(LOUNGE);
    for _ in 0..3_000 {
        world.say(ann, b"talking");
        world.wait(Duration::from_millis(400));
    }
    let events = world.events();
    assert_eq!(events.len(), 1_024);
    // Drained again, on and off still alternate.
    world.say(ann, b"talking");
    world.wait(Duration::from_millis(400));
    let states: Vec<_> = events
        .into_iter()
        .chain(world.events())
        .filter_map(|event| match event {
            Event::Speaking { on, .. } => Some(on),
            _ => None,
        })
        .collect();
    assert!(
        states
            .chunks(2)
            .all(|pair| pair == [true, false] || pair == [true])
    );
}
