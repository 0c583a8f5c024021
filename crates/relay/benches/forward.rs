//! What the relay spends on one frame, from datagram to list of sends, without the system calls.
//!
//! `cargo bench -p voxhall-relay`. The argument is the number of listeners.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use divan::{Bencher, counter::ItemsCount};
use voxhall_protocol::{
    BaseKey, ChannelId, Epoch, SenderIndex, SessionSecret, Ssrc, VoiceSessionId,
    voice::{Datagram, PathClient, RtpHeader, Sealer, SessionKeys, TransactionId},
};
use voxhall_relay::{Counters, Limits, Relay, Routes, Sends, SessionRoute};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// A channel with this many members, all paths open.
struct Channel {
    relay: Relay,
    sends: Sends,
    sealers: Vec<Sealer>,
    now: Instant,
    sequence: u16,
}

impl Channel {
    fn new(members: u32, takes_bundles: bool) -> Self {
        let now = Instant::now();
        let unlimited = Limits {
            packets_per_s: u32::MAX,
            packets_burst: u32::MAX,
            bytes_per_s: u32::MAX,
            bytes_burst: u32::MAX,
            loudest: None,
        };
        let (mut routes, feed) = Routes::new();
        let counters = Arc::new(Counters::default());
        let mut relay = Relay::new(&[1; 32], unlimited, counters, feed, now);
        let mut sealers = Vec::new();
        let mut paths = Vec::new();
        for n in 0..members {
            let keys = SessionKeys::derive(&SessionSecret([n as u8; 32]));
            let route = SessionRoute {
                id: VoiceSessionId(n.into()),
                ssrc: Ssrc(n),
                sender: SenderIndex(n as u16),
                keys: keys.clone(),
                channel: ChannelId(1),
                may_speak: true,
                deafened: false,
                takes_bundles,
                bitrate_bps: 1_000_000_000,
            };
            paths.push(PathClient::new(route.id, keys.stun, now));
            let mut sealer = Sealer::new(route.sender, keys.hop_up);
            sealer.set_key(Epoch(0), &BaseKey([0; 32]));
            sealers.push(sealer);
            routes.insert(route).unwrap();
        }
        routes.publish();
        while relay.apply(now) {}
        let mut sends = Sends::new();
        let mut request = Datagram::new();
        for (n, path) in paths.iter_mut().enumerate() {
            while !path.is_open() {
                assert!(path.poll(now, TransactionId([n as u8; 12]), &mut request));
                relay.datagram(now, address(n), request.as_slice(), &mut sends);
                let (_, answer) = sends.iter().next().unwrap();
                path.handle(now, answer).unwrap();
                sends.clear();
            }
        }
        Self {
            relay,
            sends,
            sealers,
            now,
            sequence: 0,
        }
    }

    /// One frame of each of the first `speakers` members.
    fn frames(&mut self, speakers: usize) -> Vec<Datagram> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let frame = |(n, sealer): (usize, &mut Sealer)| {
            let header = RtpHeader {
                marker: false,
                sequence,
                timestamp: 0,
                ssrc: Ssrc(n as u32),
                audio_level: None,
            };
            let mut out = Datagram::new();
            sealer.seal(&header, &[7; 80], &mut out).unwrap();
            out
        };
        self.sealers
            .iter_mut()
            .take(speakers)
            .enumerate()
            .map(frame)
            .collect()
    }

    fn forward(&mut self, frames: &[Datagram]) -> usize {
        self.now += Duration::from_millis(1);
        for (n, frame) in frames.iter().enumerate() {
            self.relay
                .datagram(self.now, address(n), frame.as_slice(), &mut self.sends);
        }
        self.relay.finish(&mut self.sends);
        let sent = self.sends.len();
        self.sends.clear();
        sent
    }
}

fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n as u8], 5_000))
}

fn bench(bencher: Bencher<'_, '_>, listeners: u32, speakers: usize, bundles: bool) {
    let channel = std::cell::RefCell::new(Channel::new(listeners + 1, bundles));
    bencher
        .counter(ItemsCount::new(speakers))
        .with_inputs(|| channel.borrow_mut().frames(speakers))
        .bench_local_refs(|frames| channel.borrow_mut().forward(frames));
}

/// A batch of one frame.
#[divan::bench(args = [1, 10, 50])]
fn one_frame(bencher: Bencher<'_, '_>, listeners: u32) {
    bench(bencher, listeners, 1, false);
}

/// A batch of one frame each of up to five speakers, listeners that read bundles.
#[divan::bench(args = [4, 10, 50])]
fn five_speakers_bundled(bencher: Bencher<'_, '_>, listeners: u32) {
    bench(bencher, listeners, 5, true);
}

/// What a stranger's datagram with a known SSRC costs.
#[divan::bench]
fn refuse_forged(bencher: Bencher<'_, '_>) {
    let mut channel = Channel::new(2, false);
    let mut forged = channel.frames(1);
    if let Some(last) = forged[0].as_mut_slice().last_mut() {
        *last ^= 1;
    }
    bencher.bench_local(|| channel.forward(&forged));
}
