//! Speakers who follow their path, on simulated links: narrow ones, lossy ones, and ones they share.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use voxhall_testkit::sim::{Impairment, Jitter, Link, Loss};
use voxhall_voice::{FrameLength, PathAdapter, PathReport, Protection, SAMPLE_RATE_HZ, Wanted};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// IPv4, UDP, RTP with audio level, SFrame and hop tag.
const OVERHEAD_BYTES: usize = 80;
const ASK_BYTES: usize = 156;
const WANTED: Wanted = Wanted {
    bitrate_bps: 64_000,
    frame_length: FrameLength::Ms10,
    fixed_length: false,
};
/// 64 kbit/s in frames of 10 ms, overhead included.
const ALL_BPS: f64 = 128_000.0;

#[derive(Clone, Debug)]
enum Packet {
    Voice { sequence: u64, sent: Instant },
    Ask { sent: Instant },
}

/// One second of one speaker.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    sent_bps: f64,
    bitrate_bps: u32,
    frame_ms: f32,
    deep: bool,
    arrived: u32,
    lost: u64,
    worst_delay_ms: f64,
}

struct Speaker {
    adapter: PathAdapter,
    rng: StdRng,
    next_frame: Instant,
    next_ask: Instant,
    sequence: u64,
    listener: Listener,
    answers: VecDeque<(Instant, Duration)>,
    reports: VecDeque<(Instant, PathReport)>,
    now: Second,
    log: Vec<Second>,
}

/// Counts as a listener does.
#[derive(Default)]
struct Listener {
    next: u64,
    expected: u64,
    lost: u64,
    in_bursts: u64,
    bursts: u64,
    jitter_ms: f64,
    transit_ms: Option<f64>,
}

impl Listener {
    fn hear(&mut self, sequence: u64, transit_ms: f64) -> u64 {
        let missing = sequence - self.next;
        self.next = sequence + 1;
        self.expected += missing + 1;
        self.lost += missing;
        if missing > 1 {
            self.in_bursts += missing;
            self.bursts += 1;
        }
        if let Some(before) = self.transit_ms.replace(transit_ms) {
            self.jitter_ms += ((transit_ms - before).abs() - self.jitter_ms) / 16.0;
        }
        missing
    }

    fn report(&mut self, frame_ms: f32) -> PathReport {
        let share = |part: u64| part as f32 / self.expected.max(1) as f32;
        let report = PathReport {
            loss: share(self.lost),
            beyond_fec: share(self.in_bursts - self.bursts),
            burst_ms: self.in_bursts as f32 / self.bursts.max(1) as f32 * frame_ms,
            jitter_ms: self.jitter_ms as f32,
        };
        *self = Self {
            next: self.next,
            jitter_ms: self.jitter_ms,
            transit_ms: self.transit_ms,
            ..Self::default()
        };
        report
    }
}

impl Speaker {
    /// Begins to talk three seconds after the path is open.
    fn new(now: Instant, wanted: Wanted, seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            adapter: PathAdapter::new(wanted, now),
            next_frame: now + 3 * SECOND,
            next_ask: now,
            sequence: 0,
            listener: Listener::default(),
            answers: VecDeque::new(),
            reports: VecDeque::new(),
            now: Second::default(),
            log: Vec::new(),
        }
    }

    fn send(&mut self, now: Instant, me: usize, link: &mut Link<(usize, Packet)>) {
        if now >= self.next_frame {
            let sending = self.adapter.sending();
            let length = sending.frame_length;
            let seconds = length.samples() as f64 / f64::from(SAMPLE_RATE_HZ);
            // Opus spends more on some frames than on others.
            let share = self.rng.random_range(0.7..=1.3);
            let bytes = f64::from(sending.bitrate_bps) * seconds / 8.0 * share;
            let bytes = OVERHEAD_BYTES + bytes as usize;
            self.next_frame += Duration::from_secs_f64(seconds);
            let sequence = self.sequence;
            self.sequence += 1;
            link.send(
                now,
                bytes,
                (
                    me,
                    Packet::Voice {
                        sequence,
                        sent: now,
                    },
                ),
            );
            self.adapter.sent(now, length);
            self.now.sent_bps += bytes as f64 * 8.0;
        }
        if now >= self.next_ask {
            // Asked again soon until it is answered.
            let jitter = self.rng.random_range(0..30) * MS;
            self.next_ask = now + self.adapter.round_trip_every().min(500 * MS) + jitter;
            link.send(now, ASK_BYTES, (me, Packet::Ask { sent: now }));
        }
    }

    /// The way back takes 20 ms; reports wait for the server's round as well.
    fn arrive(&mut self, at: Instant, packet: &Packet) {
        match packet {
            Packet::Voice { sequence, sent } => {
                let transit_ms = (at - *sent).as_secs_f64() * 1e3;
                self.now.lost += self.listener.hear(*sequence, transit_ms);
                self.now.arrived += 1;
                self.now.worst_delay_ms = self.now.worst_delay_ms.max(transit_ms);
            }
            Packet::Ask { sent } => {
                let back = at + 20 * MS;
                self.answers.push_back((back, back - *sent));
            }
        }
    }

    fn end_second(&mut self, now: Instant) {
        let sending = self.adapter.sending();
        self.now.bitrate_bps = sending.bitrate_bps;
        self.now.frame_ms = sending.frame_length.as_ms();
        self.now.deep = matches!(sending.protection, Protection::Deep { .. });
        let report = self.listener.report(self.now.frame_ms);
        self.reports.push_back((now + 500 * MS, report));
        self.log.push(std::mem::take(&mut self.now));
    }

    fn learn(&mut self, now: Instant) {
        while let Some((at, round_trip)) = self.answers.pop_front_if(|(at, _)| *at <= now) {
            self.adapter.round_trip(at, round_trip);
            self.next_ask = self.next_ask.max(at + self.adapter.round_trip_every());
        }
        while let Some((at, report)) = self.reports.pop_front_if(|(at, _)| *at <= now) {
            self.adapter.report(at, report);
        }
    }
}

/// Lets `speakers` talk over one link that is `at` each moment as it says.
fn talk<const N: usize>(
    seed: u64,
    seconds: u32,
    wanted: Wanted,
    at: impl Fn(f64) -> Impairment,
) -> [Vec<Second>; N] {
    println!("seed {seed}");
    let start = Instant::now();
    let mut link = Link::new(at(0.0), seed);
    let mut speakers: [Speaker; N] = std::array::from_fn(|i| {
        let joins = start + 4 * SECOND * i as u32;
        Speaker::new(joins, wanted, seed + i as u64)
    });
    for ms in 0..seconds * 1_000 {
        let now = start + ms * MS;
        if ms % 20 == 0 {
            link.set(at(f64::from(ms) / 1e3));
        }
        for (me, speaker) in speakers.iter_mut().enumerate() {
            speaker.send(now, me, &mut link);
        }
        while let Some((at, (whose, packet))) = link.receive(now) {
            speakers[whose].arrive(at, &packet);
        }
        for speaker in &mut speakers {
            if ms % 1_000 == 999 {
                speaker.end_second(now);
            }
            speaker.learn(now);
        }
    }
    let logs = speakers.map(|speaker| speaker.log);
    for (me, log) in logs.iter().enumerate() {
        for (i, second) in log.iter().enumerate() {
            println!(
                "{me} {i:3} s: sent {:3.0} kbit/s ({:2} in {:2} ms{}), lost {:2}, worst delay {:4.0} ms",
                second.sent_bps / 1e3,
                second.bitrate_bps / 1_000,
                second.frame_ms,
                if second.deep { ", deep" } else { "" },
                second.lost,
                second.worst_delay_ms
            );
        }
    }
    logs
}

fn clean() -> Impairment {
    Impairment::delay(20 * MS).with_jitter(Jitter::Uniform(3 * MS))
}

fn narrow(rate_bps: u64, queue_ms: u32) -> Impairment {
    Impairment {
        rate_bps: Some(rate_bps),
        queue_limit: queue_ms * MS,
        ..clean()
    }
}

fn mean(seconds: &[Second], of: impl Fn(&Second) -> f64) -> f64 {
    seconds.iter().map(of).sum::<f64>() / seconds.len() as f64
}

fn changes(seconds: &[Second]) -> usize {
    let what = |second: &Second| (second.bitrate_bps, second.frame_ms as u32);
    seconds
        .windows(2)
        .filter(|pair| what(&pair[0]) != what(&pair[1]))
        .count()
}

#[test]
fn a_wide_path_carries_all_that_is_wanted() {
    for seed in 1..4 {
        let [log] = talk::<1>(seed, 60, WANTED, |_| narrow(300_000, 300));
        assert!(
            log.iter()
                .all(|second| (second.bitrate_bps, second.frame_ms) == (64_000, 10.0))
        );
    }
}

/// For a minute the path carries less than what is sent.
#[test]
fn a_narrow_path_is_filled_no_more_after_seconds_and_all_is_sent_again_when_it_is_wide() {
    for (seed, rate_bps, queue_ms) in [
        (1, 96_000, 300),
        (2, 60_000, 300),
        (3, 60_000, 1_000),
        (4, 60_000, 60),
        (5, 40_000, 300),
        (6, 40_000, 1_000),
        (7, 24_000, 300),
        (8, 24_000, 1_000),
    ] {
        println!("{rate_bps} bit/s, queue of {queue_ms} ms");
        let [log] = talk::<1>(seed, 180, WANTED, |second| {
            if (10.0..70.0).contains(&second) {
                narrow(rate_bps, queue_ms)
            } else {
                clean()
            }
        });
        let squeezed = &log[20..70];
        let sent_bps = mean(squeezed, |second| second.sent_bps);
        assert!(sent_bps < rate_bps as f64 * 1.02, "{sent_bps} bit/s sent");
        assert!(sent_bps > rate_bps as f64 * 0.5, "{sent_bps} bit/s used");
        let lost = mean(squeezed, |second| {
            second.lost as f64 / f64::from(second.arrived.max(1))
        });
        assert!(lost < 0.03, "{lost} lost");
        let calm = squeezed
            .iter()
            .filter(|second| second.worst_delay_ms < 200.0)
            .count();
        // Each trial that fails fills the queue for a few seconds.
        assert!(calm >= 35, "delayed in {} of 50 s", 50 - calm);
        assert!(changes(squeezed) <= 16, "{} changes", changes(squeezed));
        let back = log[70..]
            .iter()
            .position(|second| second.sent_bps > ALL_BPS * 0.95);
        println!("all again after {back:?} s");
        assert!(
            back.is_some_and(|seconds| seconds <= 80),
            "not back: {back:?}"
        );
        assert_eq!(changes(&log[155..]), 0);
    }
}

#[test]
fn loss_without_a_queue_is_answered_with_redundancy_and_not_with_less() {
    for (seed, loss, deep) in [
        (1, Loss::Random(0.03), false),
        (2, Loss::Random(0.2), true),
        (3, Loss::bursty(0.05, 2.0), true),
        (4, Loss::bursty(0.2, 2.0), true),
        (5, Loss::bursty(0.2, 4.0), true),
        (6, Loss::bursty(0.3, 3.0), true),
    ] {
        println!("{loss:?}");
        let [log] = talk::<1>(seed, 120, WANTED, |second| {
            if second > 10.0 {
                clean().with_loss(loss)
            } else {
                clean()
            }
        });
        let all = log[20..]
            .iter()
            .filter(|second| second.bitrate_bps == 64_000);
        // Half a minute of a hundred seconds may go into finding out that less doesn't help.
        let all = all.count();
        assert!(all >= 70, "all was sent in {all} of 100 s");
        let protected = log[20..].iter().filter(|second| second.deep == deep);
        assert!(protected.count() >= 95, "deep redundancy {deep} expected");
        let frame_ms = if deep { 20.0 } else { 10.0 };
        assert!(
            log[20..]
                .iter()
                .filter(|second| second.frame_ms == frame_ms)
                .count()
                >= 70
        );
    }
}

#[test]
fn a_path_that_stalls_now_and_then_is_not_taken_for_a_full_one() {
    for seed in 1..4 {
        let [log] = talk::<1>(seed, 120, WANTED, |second| {
            let stalls = second % 10.0 < 0.4 && second > 5.0;
            Impairment {
                delay: if stalls { 300 * MS } else { 20 * MS },
                ..clean()
            }
        });
        assert!(log.iter().all(|second| second.bitrate_bps == 64_000));
    }
}

/// Each gets a fair part, and the queue doesn't stand.
#[test]
fn two_speakers_share_a_link() {
    for (seed, rate_bps) in [(1, 150_000), (2, 100_000), (3, 200_000)] {
        println!("{rate_bps} bit/s");
        let [one, other] = talk::<2>(seed, 180, WANTED, |_| narrow(rate_bps, 400));
        let sent = [&one, &other].map(|log| mean(&log[30..], |second| second.sent_bps));
        println!("{sent:?} bit/s");
        let all = sent[0] + sent[1];
        assert!(all < rate_bps as f64 && all > 0.5 * rate_bps as f64);
        assert!(sent.iter().all(|sent| *sent > 0.25 * all));
        let calm = one[30..]
            .iter()
            .filter(|second| second.worst_delay_ms < 250.0);
        assert!(calm.count() >= 125);
    }
}

#[test]
fn music_keeps_its_frames() {
    let wanted = Wanted {
        bitrate_bps: 128_000,
        frame_length: FrameLength::Ms5,
        fixed_length: true,
    };
    let [log] = talk::<1>(1, 60, wanted, |_| {
        narrow(200_000, 300).with_loss(Loss::bursty(0.02, 2.0))
    });
    assert!(log.iter().all(|second| second.frame_ms == 5.0));
    assert!(mean(&log[20..], |second| second.sent_bps) < 200_000.0);
}

#[test]
fn silence_proves_nothing() {
    let now = Instant::now();
    let mut adapter = PathAdapter::new(WANTED, now);
    let before = adapter.sending();
    for second in 0..60 {
        let now = now + second * SECOND;
        // Somebody else fills the queue, and nothing is said.
        adapter.round_trip(now, Duration::from_millis(20 + u64::from(second % 2) * 400));
        adapter.report(
            now,
            PathReport {
                loss: 0.5,
                ..PathReport::default()
            },
        );
    }
    assert_eq!(adapter.sending(), before);
}
