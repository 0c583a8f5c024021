//! Who has no session key, or somebody else's: properties 1 to 3 of the wire.

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use voxhall_protocol::{
    Epoch, SenderIndex, SessionSecret,
    voice::{Datagram, RtpHeader, Sealer, SessionKeys},
};
use voxhall_relay::{DropReason, Limits};

use crate::world::{LOUNGE, OFFICE, World, base_key};

fn stranger() -> SocketAddr {
    "203.0.113.66:6666".parse().unwrap()
}

#[test]
fn a_stranger_is_not_heard() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    // Knows everything but the session secret: even the channel's base key.
    let keys = SessionKeys::derive(&SessionSecret([200; 32]));
    let mut sealer = Sealer::new(world.clients[ann].route.sender, keys.hop_up);
    sealer.set_key(Epoch(0), &base_key(LOUNGE));
    for sequence in 0..200 {
        let header = RtpHeader {
            marker: false,
            sequence,
            timestamp: 0,
            ssrc: world.clients[ann].route.ssrc,
            audio_level: None,
        };
        let mut out = Datagram::new();
        sealer.seal(&header, b"boo", &mut out).unwrap();
        world.deliver_from(stranger(), out.as_slice());
        world.deliver(ann, out.as_slice());
    }
    assert_eq!(world.flush(), (0, 0));
    assert_eq!(world.dropped(DropReason::BadTag), 400);

    // And Ann's own packets pass as if nothing had been.
    world.say(ann, b"hello");
    assert_eq!(world.heard(ben), [b"hello"]);
}

#[test]
fn replays_are_dropped_wherever_they_come_from() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let first = world.voice(ann, b"one");
    world.deliver(ann, &first);
    for _ in 0..3 {
        world.deliver(ann, &first);
        world.deliver_from(stranger(), &first);
    }
    world.flush();
    assert_eq!(world.heard(ben), [b"one"]);
    assert_eq!(world.dropped(DropReason::Replayed), 6);
    assert!(world.strays.is_empty());

    for _ in 0..2_000 {
        world.say(ann, b"x");
    }
    world.deliver(ann, &first);
    assert_eq!(world.dropped(DropReason::TooOld), 1);
}

#[test]
fn cut_and_changed_tags_are_dropped() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let good = world.voice(ann, b"whole");
    for len in 0..good.len() {
        world.deliver(ann, &good[..len]);
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        world.deliver(ann, &bad);
    }
    assert_eq!(world.flush(), (0, 0));
    assert_eq!(
        world.counters.dropped_total(),
        2 * good.len() as u64,
        "each is counted once"
    );
    world.deliver(ann, &good);
    world.flush();
    assert_eq!(world.heard(ben), [b"whole"]);
}

#[test]
fn a_member_cannot_speak_as_another() {
    let mut world = World::new();
    let (ann, ben, eve) = (
        world.enter(LOUNGE),
        world.enter(LOUNGE),
        world.enter(LOUNGE),
    );
    let ann_route = world.clients[ann].route.clone();
    let eve_route = world.clients[eve].route.clone();
    let mut forge = |ssrc, sender: SenderIndex, sequence| {
        // Eve's own hop key: the packet is proven to be hers.
        let mut sealer = Sealer::new(sender, eve_route.keys.hop_up.clone());
        sealer.set_key(Epoch(0), &base_key(LOUNGE));
        let header = RtpHeader {
            marker: false,
            sequence,
            timestamp: 0,
            ssrc,
            audio_level: None,
        };
        let mut out = Datagram::new();
        sealer.seal(&header, b"I am Ann", &mut out).unwrap();
        world.deliver(eve, out.as_slice());
        world.flush();
    };
    // Ann's KID under Eve's SSRC: the server's part.
    forge(eve_route.ssrc, ann_route.sender, 1);
    // Ann's SSRC with Eve's tag.
    forge(ann_route.ssrc, ann_route.sender, 2);
    forge(ann_route.ssrc, eve_route.sender, 3);
    assert_eq!(world.dropped(DropReason::ForgedSender), 1);
    assert_eq!(world.dropped(DropReason::BadTag), 2);
    assert!(world.heard(ben).is_empty());
    assert!(world.heard(ann).is_empty());
}

#[test]
fn who_may_not_speak_is_not_heard() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    world
        .routes
        .set_rights(world.clients[ann].route.id, false, false);
    world.publish();
    world.say(ann, b"psst");
    assert!(world.heard(ben).is_empty());
    assert_eq!(world.dropped(DropReason::NotAllowed), 1);
    assert!(
        world
            .events()
            .iter()
            .all(|event| !matches!(event, voxhall_relay::Event::Speaking { .. }))
    );

    world
        .routes
        .set_rights(world.clients[ann].route.id, true, false);
    world.publish();
    world.say(ann, b"now I may");
    assert_eq!(world.heard(ben), [b"now I may"]);
}

#[test]
fn who_sends_more_sound_than_was_granted_is_cut_down_to_it() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    world.grant(ann, 64_000);
    let mut heard = |bytes: usize| {
        for _ in 0..300 {
            world.say(ann, &[1; 320][..bytes]);
            world.wait(Duration::from_millis(10));
        }
        world.heard(ben).len()
    };
    assert_eq!(heard(80), 300, "10 ms frames of 64 kbit/s");
    let cut = heard(320);
    // Half as much again, and the burst: in 3 s 48,000 bytes.
    assert!((145..=155).contains(&cut), "{cut} of four times as much");
}

#[test]
fn a_loud_member_is_held_to_the_limits() {
    let mut world = World::with_limits(Limits::default());
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    for _ in 0..10_000 {
        let voice = world.voice(ann, &[7; 100]);
        world.deliver(ann, &voice);
    }
    world.flush();
    let heard = world.heard(ben).len();
    assert_eq!(heard, 210, "the burst of packets");
    assert_eq!(world.dropped(DropReason::RateLimited), 10_000 - 210);

    // Talk at a normal pace passes in full right after.
    for _ in 0..100 {
        world.wait(Duration::from_millis(10));
        world.say(ann, &[7; 80]);
    }
    assert_eq!(world.heard(ben).len(), 100);
}

/// Random datagrams, half of them shaped like something real, while two people talk.
#[test]
fn a_flood_of_random_datagrams_changes_nothing() {
    let datagrams = 1_000_000;
    let seed = 7;
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new();
    let (ann, ben, other) = (
        world.enter(LOUNGE),
        world.enter(LOUNGE),
        world.enter(OFFICE),
    );
    world.events();
    let templates = [
        world.voice(other, b"captured"),
        world.path_request(other).unwrap_or_else(|| vec![0; 128]),
        vec![0x81, 201, 0, 7, 0, 0, 3, 0xe8],
    ];
    let dropped_before = world.counters.dropped_total();
    let mut said = 0;
    let mut buffer = [0; 1_600];
    for i in 0..datagrams {
        let len = rng.random_range(0..200);
        let bytes = &mut buffer[..if i % 997 == 0 { 1_500 } else { len }];
        rng.fill_bytes(bytes);
        if i % 2 == 0 {
            let template = &templates[i % templates.len()];
            let shared = template.len().min(bytes.len());
            bytes[..shared].copy_from_slice(&template[..shared]);
            if shared > 0 {
                let at = rng.random_range(0..shared);
                bytes[at] ^= rng.random_range(1..=255u8);
            }
        }
        let from = SocketAddr::from(([203, 0, 113, rng.random()], rng.random()));
        world.deliver_from(from, bytes);
        if i % 1_000 == 0 {
            world.say(ann, b"still here");
            said += 1;
        }
    }
    assert_eq!(world.heard(ben).len(), said);
    assert!(world.strays.is_empty(), "strangers were answered");
    assert_eq!(
        world.counters.dropped_total() - dropped_before,
        datagrams as u64
    );
    assert_eq!(world.heard(other).len(), 0);
}

proptest! {
    #[test]
    fn any_datagram_is_safe(bytes in prop::collection::vec(any::<u8>(), 0..300), first: u8) {
        let mut world = World::new();
        world.enter(LOUNGE);
        let before = world.counters.dropped_total();
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        world.deliver_from(stranger(), &bytes);
        prop_assert_eq!(world.flush(), (0, 0));
        prop_assert_eq!(world.counters.dropped_total(), before + 1);
    }

    /// A member's own tag in front of any content: proven, and still harmless.
    #[test]
    fn any_proven_content_is_safe(content in prop::collection::vec(any::<u8>(), 0..300), sequence: u16) {
        let mut world = World::new();
        let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
        let route = &world.clients[ann].route;
        let mut out = Datagram::new();
        let [s0, s1] = sequence.to_be_bytes();
        out.push(&[0x80, 111, s0, s1, 0, 0, 0, 0]).unwrap();
        out.push(&route.ssrc.0.to_be_bytes()).unwrap();
        out.push(&content).unwrap();
        let mut hop = voxhall_protocol::voice::HopSender::new(route.keys.hop_up.clone());
        hop.seal(sequence, &mut out).unwrap();
        let bytes = out.as_slice().to_vec();
        world.deliver(ann, &bytes);
        world.flush();
        prop_assert!(world.heard(ben).is_empty());
    }
}
