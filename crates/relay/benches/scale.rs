//! The relay with up to a million sessions, on a simulated network: no sockets, no threads, the clock is an argument.
//!
//! `cargo bench -p voxhall-relay --bench scale [-- SESSIONS]` (1,000,000 if not said, ten a channel; about 3 GiB and two minutes).
//! Times are of this process on one core; what the system needs to send the datagrams is not in them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::index};
use voxhall_protocol::{
    BaseKey, ChannelId, Epoch, SenderIndex, SessionSecret, Ssrc, VoiceSessionId,
    voice::{Datagram, PathClient, RtpHeader, Sealer, SessionKeys, TransactionId},
};
use voxhall_relay::{Counters, DropReason, Limits, Relay, Routes, Sends, SessionRoute, Total};

const SEED: u64 = 1;
const PER_CHANNEL: u32 = 10;
const STAGE: u32 = 10_000;
/// As the media thread takes them.
const BATCH: usize = 64;
const CHANGES_FOR: Duration = Duration::from_millis(2);
const TICK: Duration = Duration::from_millis(20);
/// Speakers whose packets one thread can send: 50 a second of each, to 9 others.
const HOT: u32 = 600;
/// Frames to time in each setting.
const FRAMES: usize = 100_000;

fn main() {
    // Cargo adds `--bench`.
    let most = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(1_000_000);
    for sessions in [1_000, 10_000, 100_000, 1_000_000] {
        if sessions <= most {
            grow(sessions);
        }
    }
    stage(most.min(100_000));
    storm(most);
}

/// Everybody joins, ten a channel; then one in each of many channels talks.
fn grow(sessions: u32) {
    println!(
        "\n{sessions} sessions in {} channels",
        sessions / PER_CHANNEL
    );
    let [mut derive, mut publish, mut apply, mut open] =
        [(); 4].map(|()| Times::with_room(sessions as usize));
    let before = rss_bytes();
    let mut world = World::new();
    for n in 0..sessions {
        let keys = derive.time(|| keys(n));
        publish.time(|| world.insert(n, keys, ChannelId((n / PER_CHANNEL).into())));
        apply.time(|| world.apply());
    }
    let closed = rss_bytes();
    for n in 0..sessions {
        let keys = keys(n);
        open.time(|| world.open_path(n, keys));
    }
    let opened = rss_bytes();
    let per_session = |bytes: u64| bytes.saturating_sub(before) / u64::from(sessions);
    println!(
        "  memory a session: {} B joined, {} B with its path (routes of the control plane included)",
        per_session(closed),
        per_session(opened)
    );
    derive.print("keys of a join");
    publish.print("publish a join");
    apply.print("apply a join");
    open.print("open a path, both ends");

    // As many as one thread carries: what is needed of them stays in the caches.
    let stride = sessions / HOT.min(sessions);
    let some: Vec<_> = (0..HOT.min(sessions)).map(|n| n * stride).collect();
    talk(&mut world, "a few hundred talk", &some);
    // The worst for caches: everybody talks, one after another, in channels far apart.
    let most = FRAMES.min(sessions as usize);
    let mut rng = StdRng::seed_from_u64(SEED);
    let all = index::sample(&mut rng, sessions as usize, most);
    let all: Vec<_> = all.into_iter().map(|n| n as u32).collect();
    talk(&mut world, "many talk, in no order", &all);
}

fn talk(world: &mut World, what: &str, speakers: &[u32]) {
    let mut sealers: Vec<_> = speakers.iter().map(|n| sealer(*n)).collect();
    // What they say begins later than what was said before.
    world.sequence += 10_000;
    let mut batches = Times::default();
    let (mut sent, mut count) = (0, 0);
    let mut round = Vec::with_capacity(speakers.len());
    while count < FRAMES {
        world.sequence += 1;
        round.clear();
        for (n, sealer) in speakers.iter().zip(&mut sealers) {
            round.push((*n, frame(sealer, *n, world.sequence)));
        }
        for batch in round.chunks(BATCH) {
            sent += batches.time(|| world.forward(batch));
            count += batch.len();
        }
    }
    assert_eq!(world.counters.dropped_total(), 0);
    println!(
        "  {what}: {:.0} ns a frame to {:.1} others, {:.0} ns a listener; batch of {BATCH}: {:.1} us p99, {:.1} us at most",
        batches.sum.as_nanos() as f64 / count as f64,
        sent as f64 / count as f64,
        batches.sum.as_nanos() as f64 / sent as f64,
        us(batches.quantile(0.99)),
        us(batches.max())
    );
    let mut ticks = Times::default();
    for _ in 0..10 {
        ticks.time(|| world.tick());
    }
    ticks.print("a tick while they talk");
}

/// A few speakers and ten thousand who only listen, some of whom send voice all the same, while many others are there too.
fn stage(others: u32) {
    const SPEAKERS: u32 = 5;
    const ROUNDS: u16 = 200;
    println!("\na stage of {STAGE} beside {others} sessions");
    let mut world = World::new();
    for n in 0..others {
        world.insert(n, keys(n), ChannelId((n / PER_CHANNEL).into()));
        world.apply();
    }
    let hall = ChannelId(1 << 40);
    let [mut publish, mut apply, mut open] = [(); 3].map(|()| Times::default());
    for n in others..others + STAGE {
        let keys = keys(n);
        let again = keys.clone();
        let may_speak = n < others + SPEAKERS;
        publish.time(|| {
            world.add(n, keys, hall, may_speak);
            world.routes.publish();
        });
        apply.time(|| world.apply());
        open.time(|| world.open_path(n, again));
    }
    publish.print("publish a join");
    apply.print("apply a join");
    open.print("open a path, both ends");
    let (first, listener) = (others, others + STAGE - 1);
    let mut liar = sealer(listener);
    for speakers in [1, 3, 5] {
        let mut sealers: Vec<_> = (first..first + speakers).map(|n| (n, sealer(n))).collect();
        let mut times = Times::default();
        let mut datagrams_of = vec![0_u32; STAGE as usize];
        let frames_before = world.counters.total(Total::FramesOut);
        for round in 0..ROUNDS {
            let sequence = round + 1_000 * speakers as u16;
            let frames: Vec<_> = sealers
                .iter_mut()
                .map(|(n, sealer)| (*n, frame(sealer, *n, sequence)))
                .collect();
            times.time(|| world.relay(&frames));
            world.take_sends(|to| datagrams_of[(number_of(to) - others) as usize] += 1);
            // In the own name, and in the name of a speaker.
            for claimed in [listener, first] {
                let forged = frame(&mut liar, claimed, sequence.wrapping_add(30_000));
                assert_eq!(world.forward(&[(listener, forged)]), 0);
            }
        }
        let frames = world.counters.total(Total::FramesOut) - frames_before;
        let expected = u64::from(speakers * (STAGE - 1) * u32::from(ROUNDS));
        let of_listeners = &datagrams_of[speakers as usize..];
        println!(
            "  {speakers} speakers at once: {:.0} us p50, {:.0} us at most; {:.1} ns a listener's frame; {:.2} % delivered, {} to {} datagrams of {ROUNDS} to each \
             listener",
            us(times.quantile(0.5)),
            us(times.max()),
            times.sum.as_nanos() as f64 / frames as f64,
            frames as f64 / expected as f64 * 100.0,
            of_listeners.iter().min().unwrap(),
            of_listeners.iter().max().unwrap(),
        );
    }
    let refused = |reason| world.counters.dropped(reason);
    println!(
        "  forged, and sent to nobody: {} in the own name, {} in a speaker's",
        refused(DropReason::NotAllowed),
        refused(DropReason::BadTag)
    );
    let (mut left, mut joined) = (Times::default(), Times::default());
    for n in others + 5..others + 1_005 {
        left.time(|| {
            world.routes.remove(id(n));
            world.routes.publish();
            world.apply();
        });
        let keys = keys(n);
        joined.time(|| {
            world.insert(n, keys, hall);
            world.apply();
        });
    }
    left.print("publish and apply a leave");
    joined.print("publish and apply a join");
}

/// People come, go and move as fast as they may, while others talk: what does a packet wait for? Over before anyone times out.
fn storm(sessions: u32) {
    const SECONDS: u32 = 3;
    const TICKS_PER_S: u32 = 50;
    const SPEAKERS: u32 = 500;
    let mut world = World::new();
    for n in 0..sessions {
        world.insert(n, keys(n), ChannelId((n / PER_CHANNEL).into()));
        world.apply();
    }
    for n in 0..SPEAKERS * PER_CHANNEL {
        world.open_path(n, keys(n));
    }
    let mut sealers: Vec<_> = (0..SPEAKERS)
        .map(|n| (n * PER_CHANNEL, sealer(n * PER_CHANNEL)))
        .collect();
    println!("\nstorm: {sessions} sessions, {SPEAKERS} talk to 9 each");
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut next = sessions;
    let mut sequence = 0_u16;
    let mut there: Vec<u32> = (SPEAKERS * PER_CHANNEL..sessions).collect();
    for changes_per_s in [0, 1_000, 10_000, 100_000] {
        if there.is_empty() {
            break;
        }
        let [mut control, mut pauses, mut batches] = [(); 3].map(|()| Times::default());
        let sent_before = world.counters.total(Total::FramesOut);
        let mut calls = 0;
        for _ in 0..SECONDS * TICKS_PER_S {
            // Published together as they come within a tick, half of them moves, a quarter joins, a quarter leaves.
            let changes = changes_per_s / TICKS_PER_S;
            let prepared: Vec<_> = (0..changes).map(|n| keys(next + n)).collect();
            control.time(|| {
                for keys in prepared {
                    let channel =
                        ChannelId(rng.random_range(SPEAKERS..sessions / PER_CHANNEL).into());
                    let leaves = rng.random_range(0..4);
                    if leaves > 0 {
                        let at = rng.random_range(0..there.len());
                        assert!(world.routes.remove(id(there.swap_remove(at))));
                    }
                    if leaves != 1 {
                        world.add(next, keys, channel, true);
                        there.push(next);
                        next += 1;
                    }
                    world.routes.publish();
                }
            });
            sequence += 1;
            let frames: Vec<_> = sealers
                .iter_mut()
                .map(|(n, sealer)| (*n, frame(sealer, *n, sequence)))
                .collect();
            for batch in frames.chunks(BATCH) {
                pauses.time(|| world.take_changes());
                batches.time(|| world.forward(batch));
                calls += 1;
            }
            world.tick();
        }
        // What is left is to be counted too.
        while pauses.time(|| world.take_changes()) {}
        let sent = world.counters.total(Total::FramesOut) - sent_before;
        let expected = u64::from(SPEAKERS * 9 * SECONDS * TICKS_PER_S);
        println!(
            "  {changes_per_s} changes/s: pause p50 {:.1}, p99.9 {:.1}, longest {:.1} us; batch p50 {:.1}, p99.9 {:.1} us; thread {:.1} % of a core, \
             control {:.1} %; {:.2} % delivered; {calls} batches",
            us(pauses.quantile(0.5)),
            us(pauses.quantile(0.999)),
            us(pauses.max()),
            us(batches.quantile(0.5)),
            us(batches.quantile(0.999)),
            (pauses.sum + batches.sum).as_secs_f64() / f64::from(SECONDS) * 100.0,
            control.sum.as_secs_f64() / f64::from(SECONDS) * 100.0,
            sent as f64 / expected as f64 * 100.0,
        );
    }
}

struct World {
    now: Instant,
    relay: Relay,
    routes: Routes,
    counters: Arc<Counters>,
    sends: Sends,
    sequence: u16,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let counters = Arc::new(Counters::default());
        let (routes, feed) = Routes::new();
        let limits = Limits {
            packets_per_s: u32::MAX,
            packets_burst: u32::MAX,
            bytes_per_s: u32::MAX,
            bytes_burst: u32::MAX,
            loudest: None,
        };
        Self {
            now,
            relay: Relay::new(&[1; 32], limits, Arc::clone(&counters), feed, now),
            routes,
            counters,
            sends: Sends::new(),
            sequence: 0,
        }
    }

    fn add(&mut self, n: u32, keys: SessionKeys, channel: ChannelId, may_speak: bool) {
        let route = SessionRoute {
            id: id(n),
            ssrc: ssrc(n),
            sender: SenderIndex(n as u16),
            keys,
            channel,
            may_speak,
            deafened: false,
            takes_bundles: true,
            bitrate_bps: 1_000_000_000,
        };
        self.routes.insert(route).expect("ids and SSRCs are unique");
    }

    fn insert(&mut self, n: u32, keys: SessionKeys, channel: ChannelId) {
        self.add(n, keys, channel, true);
        self.routes.publish();
    }

    fn apply(&mut self) {
        while self.relay.apply(self.now) {}
    }

    /// As the media thread does before each batch; says whether there are more.
    fn take_changes(&mut self) -> bool {
        let start = Instant::now();
        loop {
            let more = self.relay.apply(self.now);
            if !more || start.elapsed() >= CHANGES_FOR {
                return more;
            }
        }
    }

    fn open_path(&mut self, n: u32, keys: SessionKeys) {
        let mut path = PathClient::new(id(n), keys.stun, self.now);
        let mut request = Datagram::new();
        while !path.is_open() {
            let transaction = TransactionId([n as u8; 12]);
            assert!(path.poll(self.now, transaction, &mut request));
            self.relay
                .datagram(self.now, address(n), request.as_slice(), &mut self.sends);
            let (_, answer) = self.sends.iter().next().expect("an answer");
            path.handle(self.now, answer).expect("a genuine answer");
            self.sends.clear();
        }
        self.drain();
    }

    fn relay(&mut self, frames: &[(u32, Datagram)]) {
        for (n, frame) in frames {
            self.relay
                .datagram(self.now, address(*n), frame.as_slice(), &mut self.sends);
        }
        self.relay.finish(&mut self.sends);
    }

    /// Tells where each datagram was to be sent.
    fn take_sends(&mut self, each: impl FnMut(SocketAddr)) {
        self.sends.iter().map(|(to, _)| to).for_each(each);
        self.sends.clear();
        self.drain();
    }

    /// Gives how many datagrams were to be sent.
    fn forward(&mut self, frames: &[(u32, Datagram)]) -> usize {
        self.relay(frames);
        let sent = self.sends.len();
        self.sends.clear();
        self.drain();
        sent
    }

    fn tick(&mut self) {
        self.now += TICK;
        self.relay.tick(self.now, &mut self.sends);
        self.relay.finish(&mut self.sends);
        self.sends.clear();
        self.drain();
    }

    fn drain(&mut self) {
        while self.relay.poll_event().is_some() {}
    }
}

fn keys(n: u32) -> SessionKeys {
    let mut secret = [0; 32];
    secret[..4].copy_from_slice(&n.to_be_bytes());
    SessionKeys::derive(&SessionSecret(secret))
}

/// Spread as random ones are.
fn id(n: u32) -> VoiceSessionId {
    VoiceSessionId(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Odd factors give each number another.
fn ssrc(n: u32) -> Ssrc {
    Ssrc(n.wrapping_mul(0x9e37_79b1))
}

fn address(n: u32) -> SocketAddr {
    let [a, b, c, d] = n.to_be_bytes();
    SocketAddr::from(([10 + a, b, c, d], 5_000))
}

fn number_of(address: SocketAddr) -> u32 {
    match address.ip() {
        IpAddr::V4(ip) => u32::from(ip) - (10 << 24),
        IpAddr::V6(_) => unreachable!("all addresses are made above"),
    }
}

fn sealer(n: u32) -> Sealer {
    let mut sealer = Sealer::new(SenderIndex(n as u16), keys(n).hop_up);
    sealer.set_key(Epoch(0), &BaseKey([0; 32]));
    sealer
}

fn frame(sealer: &mut Sealer, n: u32, sequence: u16) -> Datagram {
    let header = RtpHeader {
        marker: false,
        sequence,
        timestamp: 0,
        ssrc: ssrc(n),
        audio_level: None,
    };
    let mut out = Datagram::new();
    sealer
        .seal(&header, &[7; 80], &mut out)
        .expect("80 bytes fit");
    out
}

/// Quantiles by the wall clock; sum and maximum by this thread's own clock, which stands still while others have the core.
#[derive(Default)]
struct Times {
    all: Vec<Duration>,
    sum: Duration,
    max: Duration,
}

impl Times {
    /// Takes its memory now, so that it isn't counted as somebody else's.
    fn with_room(calls: usize) -> Self {
        let mut all = vec![Duration::MAX; calls];
        all.clear();
        Self {
            all,
            ..Self::default()
        }
    }

    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (cpu, start) = (thread_time(), Instant::now());
        let result = work();
        let took = start.elapsed();
        let worked = thread_time().saturating_sub(cpu);
        self.max = self.max.max(worked);
        self.sum += worked;
        self.all.push(took);
        result
    }

    fn max(&self) -> Duration {
        self.max
    }

    fn quantile(&mut self, part: f64) -> Duration {
        self.all.sort_unstable();
        let at = (self.all.len() as f64 * part) as usize;
        self.all
            .get(at.min(self.all.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }

    fn print(&mut self, what: &str) {
        println!(
            "  {what}: {:.2} us p50, {:.2} us p99.9, {:.1} us at most",
            us(self.quantile(0.5)),
            us(self.quantile(0.999)),
            us(self.max())
        );
    }
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// What this process holds in memory; 0 where the system doesn't say.
fn rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1_024
}
