//! From the listeners' reports to what a speaker is told.

use std::time::Duration;

use voxhall_protocol::{
    Ssrc,
    voice::{BurstLoss, Datagram, ReportBlock, write_receiver_report},
};
use voxhall_relay::DropReason;

use crate::world::{LOUNGE, OFFICE, World};

fn report(world: &mut World, client: usize, reporter: Ssrc, blocks: &[ReportBlock]) -> Vec<u8> {
    let mut out = Datagram::new();
    write_receiver_report(reporter, blocks, &mut out).unwrap();
    world.clients[client].rtcp_up.protect(&mut out).unwrap();
    out.as_slice().to_vec()
}

fn block(ssrc: Ssrc, fraction_lost: u8, jitter: u32) -> ReportBlock {
    ReportBlock {
        ssrc,
        fraction_lost,
        cumulative_lost: 5,
        highest_sequence: 77,
        jitter,
        // As many as there are losses at all, at most.
        burst_loss: BurstLoss {
            expected: 256,
            lost: u16::from(fraction_lost),
            bursts: u16::from(fraction_lost / 3),
            duration_ms: 20 * u32::from(fraction_lost),
        },
    }
}

#[test]
fn a_speaker_is_told_of_its_worst_listener_once() {
    let mut world = World::new();
    let (ann, ben, cleo) = (
        world.enter(LOUNGE),
        world.enter(LOUNGE),
        world.enter(LOUNGE),
    );
    let speaker = world.clients[ann].route.ssrc;
    for (listener, lost, jitter) in [(ben, 3, 900), (cleo, 40, 100)] {
        let reporter = world.clients[listener].route.ssrc;
        let bytes = report(
            &mut world,
            listener,
            reporter,
            &[block(speaker, lost, jitter)],
        );
        world.deliver(listener, &bytes);
        // Again: a replay counts for nothing.
        world.deliver(listener, &bytes);
    }
    assert_eq!(world.dropped(DropReason::Replayed), 2);
    for _ in 0..100 {
        world.wait(Duration::from_millis(20));
    }
    assert_eq!(world.clients[ann].reports, [block(speaker, 40, 900)]);
    assert!(world.clients[ben].reports.is_empty());
}

/// Reports come each second, but not to the millisecond.
#[test]
fn each_report_of_a_listener_is_sent_on_before_its_next() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let (speaker, reporter) = (world.clients[ann].route.ssrc, world.clients[ben].route.ssrc);
    for (round, late_ms) in [0, 0, 60, 0, 40, 80, 20, 0].into_iter().enumerate() {
        assert_eq!(world.clients[ann].reports.len(), round);
        world.wait(Duration::from_millis(late_ms));
        let bytes = report(&mut world, ben, reporter, &[block(speaker, 3, 1)]);
        world.deliver(ben, &bytes);
        for _ in 0..(1_000 - late_ms) / 20 {
            world.wait(Duration::from_millis(20));
        }
    }
}

#[test]
fn forged_reports_and_those_from_elsewhere_are_worth_nothing() {
    let mut world = World::new();
    let (ann, ben, far) = (
        world.enter(LOUNGE),
        world.enter(LOUNGE),
        world.enter(OFFICE),
    );
    let ssrc = |world: &World, client: usize| world.clients[client].route.ssrc;
    let lies = [block(ssrc(&world, ann), 255, 1)];

    // In another channel.
    let reporter = ssrc(&world, far);
    let bytes = report(&mut world, far, reporter, &lies);
    world.deliver(far, &bytes);
    // About oneself.
    let reporter = ssrc(&world, ann);
    let bytes = report(&mut world, ann, reporter, &lies);
    world.deliver(ann, &bytes);
    let dropped = world.counters.dropped_total();
    // In somebody else's name: found by that name's key, it does not verify.
    let reporter = ssrc(&world, far);
    let bytes = report(&mut world, ben, reporter, &lies);
    world.deliver(ben, &bytes);
    assert_eq!(world.counters.dropped_total(), dropped + 1);
    // Its own name first, another's behind.
    let mut out = Datagram::new();
    write_receiver_report(ssrc(&world, ben), &[], &mut out).unwrap();
    write_receiver_report(ssrc(&world, far), &lies, &mut out).unwrap();
    world.clients[ben].rtcp_up.protect(&mut out).unwrap();
    world.deliver(ben, out.as_slice());
    assert_eq!(world.dropped(DropReason::ForgedSender), 1);
    // About nobody.
    let reporter = ssrc(&world, ben);
    let bytes = report(&mut world, ben, reporter, &[block(Ssrc(12345), 9, 9)]);
    world.deliver(ben, &bytes);

    world.wait(Duration::from_secs(2));
    assert!(world.clients.iter().all(|client| client.reports.is_empty()));
}

#[test]
fn who_reports_more_often_than_listeners_do_is_not_heard_more() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let (speaker, reporter) = (world.clients[ann].route.ssrc, world.clients[ben].route.ssrc);
    for lost in [0, 200, 200] {
        // And one report that says the same thing many times.
        let blocks = [block(speaker, lost, 1); 31];
        let bytes = report(&mut world, ben, reporter, &blocks);
        world.deliver(ben, &bytes);
        world.wait(Duration::from_millis(100));
    }
    assert_eq!(world.dropped(DropReason::RateLimited), 2);
    world.wait(Duration::from_secs(2));
    let told: Vec<_> = world.clients[ann]
        .reports
        .iter()
        .map(|block| block.fraction_lost)
        .collect();
    assert_eq!(told, [0]);
}

#[test]
fn whoever_takes_the_place_of_someone_who_left_is_told_once_a_second() {
    let mut world = World::new();
    let (ann, ben) = (world.enter(LOUNGE), world.enter(LOUNGE));
    let reporter = world.clients[ben].route.ssrc;
    let old = world.clients[ann].route.ssrc;
    let bytes = report(&mut world, ben, reporter, &[block(old, 3, 1)]);
    world.deliver(ben, &bytes);
    world.leave(ann);
    let cleo = world.enter(LOUNGE);
    let speaker = world.clients[cleo].route.ssrc;
    // Between the appointment of who left and the own one.
    world.wait(Duration::from_millis(600));
    for _ in 0..4 {
        let bytes = report(&mut world, ben, reporter, &[block(speaker, 3, 1)]);
        world.deliver(ben, &bytes);
        world.wait(Duration::from_millis(500));
        // The first of two reports of a second waits for the other.
        let bytes = report(&mut world, ben, reporter, &[block(speaker, 3, 1)]);
        world.deliver(ben, &bytes);
        world.wait(Duration::from_millis(500));
    }
    world.wait(Duration::from_secs(2));
    let told = world.clients[cleo].reports.len();
    assert!((4..=5).contains(&told), "told {told} times in 4 s");
}
