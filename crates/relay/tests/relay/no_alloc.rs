//! After warm-up, no packet makes the relay allocate.

use std::time::Duration;

use assert_no_alloc::assert_no_alloc;
use voxhall_protocol::voice::{BurstLoss, Datagram, ReportBlock, write_receiver_report};
use voxhall_relay::Total;

use crate::world::{LOUNGE, World};

#[test]
fn a_running_relay_does_not_allocate() {
    const PEOPLE: usize = 20;
    let mut world = World::new();
    for client in 0..PEOPLE {
        world.enter(LOUNGE);
        if client % 2 == 0 {
            world.take_bundles(client);
        }
    }
    // Prepared outside the guard: two rounds of everything a client sends.
    let rounds: Vec<Vec<(usize, Vec<u8>)>> = (0..2)
        .map(|_| {
            world.now += Duration::from_secs(2);
            let mut datagrams = Vec::new();
            for client in 0..PEOPLE {
                datagrams.push((client, world.voice(client, &[7; 80])));
                world.clients[client].path.probe(world.now);
                datagrams.push((client, world.path_request(client).unwrap()));
                let mut out = Datagram::new();
                let blocks: Vec<_> = world
                    .clients
                    .iter()
                    .map(|other| ReportBlock {
                        ssrc: other.route.ssrc,
                        fraction_lost: 1,
                        cumulative_lost: 1,
                        highest_sequence: 1,
                        jitter: 1,
                        burst_loss: BurstLoss {
                            expected: 50,
                            lost: 2,
                            bursts: 1,
                            duration_ms: 40,
                        },
                    })
                    .collect();
                write_receiver_report(world.clients[client].route.ssrc, &blocks, &mut out).unwrap();
                world.clients[client].rtcp_up.protect(&mut out).unwrap();
                datagrams.push((client, out.as_slice().to_vec()));
                datagrams.push((client, vec![0x80; 60]));
            }
            datagrams
        })
        .collect();
    let run = |world: &mut World, datagrams: &[(usize, Vec<u8>)]| {
        for (client, bytes) in datagrams {
            // Every third comes from beside the path, and is challenged.
            let mut from = world.clients[*client].address;
            if client % 3 == 0 && bytes[0] == 0x80 {
                from.set_port(9);
            }
            world
                .relay
                .datagram(world.now, from, bytes, &mut world.sends);
        }
        world.now += Duration::from_secs(1);
        world.relay.tick(world.now, &mut world.sends);
        world.relay.finish(&mut world.sends);
        let sent = world.sends.len();
        world.sends.clear();
        while world.relay.poll_event().is_some() {}
        sent
    };
    let warm = run(&mut world, &rounds[0]);
    let sent = assert_no_alloc(|| run(&mut world, &rounds[1]));
    assert_eq!(sent, warm);
    // Else the guard guarded nothing.
    assert!(world.counters.total(Total::BundlesOut) > 0);
    assert!(world.counters.total(Total::Challenges) > 0);
    assert_eq!(
        world.counters.total(Total::FramesOut),
        2 * (PEOPLE * (PEOPLE - 1)) as u64
    );
}
