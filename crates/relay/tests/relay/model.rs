//! Whatever happens in whatever order, who hears whom is what a naive model says.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use voxhall_protocol::{
    ChannelId,
    voice::{Bundle, DatagramKind, classify},
};

use crate::world::World;

const SEEDS: u64 = 60;
const STEPS: usize = 150;
const MOST: usize = 200;
const CHANNELS: u64 = 3;
/// Each takes 400 ms, and nobody must time out.
const MOST_ROAMED: u16 = 30;

/// What the control plane wants of one member, and where its path is.
#[derive(Clone, Copy)]
struct Member {
    client: usize,
    channel: ChannelId,
    may_speak: bool,
    deafened: bool,
    path: Option<SocketAddr>,
}

struct Sim {
    world: World,
    members: Vec<Member>,
    rng: StdRng,
    roamed: u16,
}

impl Sim {
    fn any(&mut self) -> Option<usize> {
        (!self.members.is_empty()).then(|| self.rng.random_range(0..self.members.len()))
    }

    fn join(&mut self) {
        if self.world.clients.len() == MOST {
            return;
        }
        let channel = ChannelId(self.rng.random_range(0..CHANNELS));
        let client = self.world.join(channel);
        if self.rng.random_bool(0.5) {
            self.world.take_bundles(client);
        }
        self.members.push(Member {
            client,
            channel,
            may_speak: true,
            deafened: false,
            // Who was made to read bundles was put in anew, with a path.
            path: (self.world.clients[client].route.takes_bundles)
                .then(|| self.world.clients[client].address),
        });
    }

    fn leave(&mut self) {
        if let Some(at) = self.any() {
            let member = self.members.swap_remove(at);
            let id = self.world.clients[member.client].route.id;
            assert!(self.world.routes.remove(id));
        }
    }

    /// Another session in another channel: all that a move is to the relay, in one publication.
    fn move_on(&mut self) {
        self.leave();
        self.join();
    }

    fn change_rights(&mut self) {
        let Some(at) = self.any() else { return };
        let (may_speak, deafened) = (self.rng.random_bool(0.7), self.rng.random_bool(0.3));
        let member = &mut self.members[at];
        (member.may_speak, member.deafened) = (may_speak, deafened);
        let id = self.world.clients[member.client].route.id;
        assert!(self.world.routes.set_rights(id, may_speak, deafened));
    }

    fn open_path(&mut self) {
        let Some(at) = self.any() else { return };
        let member = &mut self.members[at];
        if member.path.is_none() {
            self.world.open_path(member.client);
            member.path = Some(self.world.clients[member.client].address);
        }
    }

    /// To another address, which is proven before anyone talks.
    fn roam(&mut self) {
        let Some(at) = self.any() else { return };
        let member = &mut self.members[at];
        if member.path.is_some() && self.roamed < MOST_ROAMED {
            self.roamed += 1;
            let client = &mut self.world.clients[member.client];
            client.address.set_port(20_000 + self.roamed);
            self.world.open_path(member.client);
            // The old address is asked in vain.
            for _ in 0..4 {
                self.world.wait(Duration::from_millis(100));
            }
            member.path = Some(self.world.clients[member.client].address);
        }
    }

    /// Several talk in one batch; each frame must come to exactly those who may hear it.
    fn talk(&mut self, seed: u64, step: usize) {
        let mut expected = BTreeMap::<(SocketAddr, Vec<u8>), usize>::new();
        for _ in 0..self.rng.random_range(1..6) {
            let Some(at) = self.any() else { return };
            let speaker = self.members[at];
            let datagram = self.world.voice(speaker.client, &[7; 60]);
            self.world.deliver(speaker.client, &datagram);
            // The hop tag is cut off.
            let frame = &datagram[..datagram.len() - 10];
            let hears = |member: &&Member| {
                speaker.may_speak
                    && member.channel == speaker.channel
                    && member.client != speaker.client
                    && !member.deafened
            };
            for address in self.members.iter().filter(hears).filter_map(|m| m.path) {
                *expected.entry((address, frame.to_vec())).or_default() += 1;
            }
        }
        self.world.relay.finish(&mut self.world.sends);
        let mut sent = BTreeMap::<(SocketAddr, Vec<u8>), usize>::new();
        for (to, bytes) in self.world.sends.iter() {
            match classify(bytes) {
                DatagramKind::Rtp => *sent.entry((to, bytes.to_vec())).or_default() += 1,
                DatagramKind::Bundle => {
                    for packet in Bundle::parse(bytes).unwrap() {
                        *sent.entry((to, packet.unwrap().to_vec())).or_default() += 1;
                    }
                }
                // A speaker without a path is asked to prove where it is.
                DatagramKind::Stun => {}
                kind => panic!("seed {seed}, step {step}: the relay sent {kind:?}"),
            }
        }
        self.world.sends.clear();
        assert!(
            sent == expected,
            "seed {seed}, step {step}: {} frames sent, {} expected",
            sent.len(),
            expected.len()
        );
    }
}

#[test]
fn after_any_sequence_of_changes_each_frame_reaches_exactly_who_may_hear_it() {
    let mut frames = 0;
    for seed in 0..SEEDS {
        let mut sim = Sim {
            world: World::new(),
            members: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            roamed: 0,
        };
        for step in 0..STEPS {
            for _ in 0..sim.rng.random_range(1..4) {
                match sim.rng.random_range(0..10) {
                    0..3 => sim.join(),
                    3 => sim.leave(),
                    4 => sim.move_on(),
                    5..7 => sim.change_rights(),
                    7 => sim.roam(),
                    _ => sim.open_path(),
                }
            }
            sim.world.publish();
            sim.talk(seed, step);
        }
        frames += sim.world.counters.total(voxhall_relay::Total::FramesOut);
    }
    // Else nobody heard anybody, and nothing was shown.
    assert!(frames > 20_000, "{frames}");
}
