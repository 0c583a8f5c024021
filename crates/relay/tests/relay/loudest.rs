//! Who is forwarded when many talk at once.

use std::time::Duration;

use voxhall_protocol::voice::AudioLevel;
use voxhall_relay::{DropReason, Event, Limits};

use crate::world::{LOUNGE, OFFICE, World};

const FRAME: Duration = Duration::from_millis(20);

fn two_at_once() -> World {
    World::with_limits(Limits {
        packets_per_s: 1_000,
        packets_burst: 1_000,
        loudest: Some(2),
        ..Limits::default()
    })
}

fn at(world: &mut World, client: usize, minus_dbov: u8) {
    world.clients[client].level = Some(AudioLevel {
        voice: true,
        minus_dbov,
    });
}

/// Everyone talks for a second; gives how many frames of each were heard by the listener.
fn talk(world: &mut World, speakers: &[usize], listener: usize) -> Vec<usize> {
    for _ in 0..50 {
        for &speaker in speakers {
            world.say(speaker, &[speaker as u8; 40]);
        }
        world.wait(FRAME);
    }
    let heard = world.heard(listener);
    let of = |speaker: &usize| {
        heard
            .iter()
            .filter(|text| text[0] == *speaker as u8)
            .count()
    };
    speakers.iter().map(of).collect()
}

#[test]
fn two_of_four_are_heard_in_each_channel_and_the_louder_one_gets_a_place() {
    let mut world = two_at_once();
    let speakers: Vec<_> = (0..4).map(|_| world.enter(LOUNGE)).collect();
    let listener = world.enter(LOUNGE);
    let (elsewhere, there) = (world.enter(OFFICE), world.enter(OFFICE));
    for &speaker in &speakers {
        at(&mut world, speaker, 40);
    }
    world.events();
    assert_eq!(talk(&mut world, &speakers, listener), [50, 50, 0, 0]);
    assert_eq!(world.dropped(DropReason::NotLoudest), 100);
    let speaking = |event: &Event| matches!(event, Event::Speaking { on: true, .. });
    assert_eq!(world.events().into_iter().filter(speaking).count(), 2);
    assert_eq!(talk(&mut world, &[elsewhere], there), [50]);

    at(&mut world, 3, 20);
    let heard = talk(&mut world, &speakers, listener);
    assert_eq!((heard[2], heard[3]), (0, 50));
    assert!(heard[0] + heard[1] >= 50);
}

#[test]
fn a_place_is_free_when_its_holder_leaves_or_is_muted() {
    let mut world = two_at_once();
    let speakers: Vec<_> = (0..4).map(|_| world.enter(LOUNGE)).collect();
    let listener = world.enter(LOUNGE);
    for &speaker in &speakers {
        at(&mut world, speaker, 40);
    }
    assert_eq!(talk(&mut world, &speakers, listener), [50, 50, 0, 0]);
    world.leave(0);
    let muted = world.clients[1].route.id;
    world.routes.set_rights(muted, false, false);
    world.publish();
    let heard = talk(&mut world, &speakers, listener);
    assert_eq!((heard[0], heard[1], heard[2]), (0, 0, 50));
    // The muted one sends nothing that counts, and has lost its place after 300 ms.
    assert!(heard[3] >= 30, "{}", heard[3]);
}
