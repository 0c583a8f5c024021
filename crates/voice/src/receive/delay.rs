//! How long to hold packets back. Why so: `docs/adr/0003-jitter-buffer.md` and `0020-delay-by-cost.md`.
//!
//! A packet's *transit* is its arrival minus its timestamp, in samples; the two clocks have nothing in common,
//! so only differences mean anything. The target is the transit at which more delay would cost more than the
//! concealment that it saves, judged by the last seconds.

use super::stalls::Stalls;
use crate::frame::SAMPLES_PER_MS;

const MS: i64 = SAMPLES_PER_MS as i64;
/// Late packets come in trains, of which only the worst counts; this long is taken for one.
const INTERVAL: i64 = 250 * MS;
/// Intervals with packets that are remembered at most (20 s).
const INTERVALS: usize = 80;
/// The fastest packet is looked for in this many intervals.
const RECENT: i64 = 16;
/// When all of this many intervals were faster than all of those before the ones in between, the path is another one.
const NEW_PATH: i64 = 6;
/// Packets remembered that were overtaken by others.
const OVERTAKEN: usize = 512;
/// What has been seen for less than this says little of how often it happens.
const LEAST_SEEN: i64 = 2_000 * MS;
/// What a gap costs beyond its length: its seams are heard, and concealment is made in steps.
const SEAM: i64 = 5 * MS;
/// The target is so much later than what it is to cover: a share of the spread of delays that was seen, since more of it
/// may not have been seen yet, within bounds.
const GUARD_SHARE: i64 = 24;
const LEAST_GUARD: i64 = MS / 4;
const MOST_GUARD: i64 = MS;
/// Longest delay that is ever aimed at.
const MAX_TARGET: i64 = 1_000 * MS;
/// A burst at the start of a talkspurt is what the speaker said before the detector was sure, no longer than this.
const MAX_PRE_ROLL: i64 = 300 * MS;
/// By so much must a new path be faster before the old one is forgotten.
const CLEARLY: i64 = 2 * MS;

pub(crate) struct DelayEstimator {
    intervals: Box<[Interval; INTERVALS]>,
    len: usize,
    /// Intervals with packets so far, the present one included.
    serial: u64,
    overtaken: Box<[Overtaken; OVERTAKEN]>,
    /// Packets ever put into `overtaken`.
    overtaken_count: u64,
    scratch: Box<[Late; INTERVALS + OVERTAKEN]>,
    /// Newest timestamp.
    newest: i64,
    /// Start of a talkspurt whose packets still come in one burst: (timestamp, least transit).
    burst: Option<(i64, i64)>,
    last: Option<Arrival>,
    /// What was known before the packets that came together with the last one, until it is known whether a
    /// talkspurt begins with them: the first packet of a burst may be overtaken by others.
    before: Before,
    stalls: Stalls,
    /// Seconds of delay that speech without any concealment is worth, beside speech that is nothing else.
    worth: f64,
    /// Intervals that count.
    memory: usize,
    target: i64,
}

/// A stretch of time with packets.
#[derive(Debug, Clone, Copy)]
struct Interval {
    /// Counted from time zero.
    number: i64,
    least: i64,
    most: i64,
    /// The slowest packet that came in its order.
    peak: i64,
}

#[derive(Debug, Clone, Copy)]
struct Overtaken {
    serial: u64,
    transit: i64,
    samples: i64,
}

/// What is late when the delay is less than `transit`.
#[derive(Debug, Clone, Copy)]
struct Late {
    transit: i64,
    /// Samples that are lost whole; nothing for a packet in its order, of which is concealed what it comes too late.
    whole: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: i64,
    timestamp: i64,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    serial: u64,
    peak: i64,
    overtaken_count: u64,
}

impl Arrival {
    fn transit(self) -> i64 {
        self.at - self.timestamp
    }
}

impl DelayEstimator {
    pub(crate) fn new(stability: f32) -> Self {
        let mut estimator = Self {
            intervals: Box::new(
                [Interval {
                    number: 0,
                    least: 0,
                    most: 0,
                    peak: NONE,
                }; INTERVALS],
            ),
            len: 0,
            serial: 0,
            overtaken: Box::new(
                [Overtaken {
                    serial: 0,
                    transit: 0,
                    samples: 0,
                }; OVERTAKEN],
            ),
            overtaken_count: 0,
            scratch: Box::new(
                [Late {
                    transit: 0,
                    whole: None,
                }; INTERVALS + OVERTAKEN],
            ),
            newest: NONE,
            burst: None,
            last: None,
            before: NOTHING_BEFORE,
            stalls: Stalls::default(),
            worth: 1.0,
            memory: INTERVALS,
            target: 0,
        };
        estimator.set_stability(stability);
        estimator
    }

    /// 0: low delay, now and then a gap. 1: few gaps, more delay.
    pub(crate) fn set_stability(&mut self, stability: f32) {
        let stability = if stability.is_finite() {
            stability.clamp(0.0, 1.0)
        } else {
            0.5
        };
        // 8 ms of delay for 1 % less concealment; 20 ms in the middle, which is NetEQ's exchange rate too; 100 ms.
        let from_middle = 2.0 * f64::from(stability) - 1.0;
        let each_half = if stability < 0.5 { 2.5_f64 } else { 5.0 };
        self.worth = 2.0 * each_half.powf(from_middle);
        self.memory = (24.0 + 56.0 * stability * stability) as usize;
        self.update_target();
    }

    pub(crate) fn reset(&mut self) {
        self.len = 0;
        self.serial = 0;
        self.overtaken_count = 0;
        self.newest = NONE;
        self.burst = None;
        self.last = None;
        self.before = NOTHING_BEFORE;
        self.stalls.reset();
        self.target = 0;
    }

    /// Learns from a packet of `samples` with `timestamp` that arrived `at`. `begins`: it is the first after silence.
    /// `worth`: how many samples would be missed if it came too late; fewer than `samples` where another restores them.
    pub(crate) fn observe(
        &mut self,
        at: i64,
        timestamp: i64,
        samples: i64,
        worth: i64,
        begins: bool,
    ) {
        let transit = at - timestamp;
        let last = self.last.replace(Arrival { at, timestamp });
        let bunched = last.is_some_and(|last| at - last.at < samples / 2);
        let following = timestamp > self.newest;
        self.newest = self.newest.max(timestamp);
        self.note_extremes(at, transit);
        if !bunched {
            self.before = Before {
                serial: self.serial,
                peak: self.present().peak,
                overtaken_count: self.overtaken_count,
            };
        }

        if let Some((start, least)) = self.burst {
            if bunched && (timestamp - start).abs() < MAX_PRE_ROLL {
                self.burst = Some((start, least.min(transit)));
                self.update_target();
                return;
            }
            self.burst = None;
            self.raise_peak(least);
        }
        if begins {
            let least = self.take_back().map_or(transit, |least| least.min(transit));
            self.burst = Some((timestamp, least));
        } else if following {
            // After a stall its packets all arrive at once. That is one event, told by the first of them.
            if !bunched || transit <= self.target {
                self.raise_peak(transit);
                self.stalls.observe(at, transit - self.fastest());
            }
        } else {
            self.note_whole(transit, worth);
        }
        self.update_target();
    }

    /// Learns that `samples` which are lost can be restored if they are played `transit` after they were said.
    pub(crate) fn observe_restorable(&mut self, transit: i64, samples: i64) {
        // What is restored is worth less than what was said.
        self.note_whole(transit, samples / 2);
        self.update_target();
    }

    fn note_whole(&mut self, transit: i64, samples: i64) {
        let place = (self.overtaken_count % OVERTAKEN as u64) as usize;
        self.overtaken[place] = Overtaken {
            serial: self.serial,
            transit,
            samples,
        };
        self.overtaken_count += 1;
    }

    /// Transit of the fastest packet of the last seconds.
    pub(crate) fn fastest(&self) -> i64 {
        let newest = self.present().number;
        self.intervals[..self.len]
            .iter()
            .rev()
            .take_while(|interval| newest - interval.number < RECENT)
            .map(|interval| interval.least)
            .min()
            .unwrap_or(0)
    }

    /// Transit by which packets should have come when they are played.
    pub(crate) fn target(&self) -> i64 {
        self.target
    }

    /// Transit by which they come if a stall that is expected at `now` comes.
    pub(crate) fn foreseen(&mut self, now: i64) -> i64 {
        let worth = self.worth * 1_000.0 * MS as f64;
        self.fastest() + self.stalls.expected(now, worth as i64)
    }

    /// Transit of the newest packet.
    pub(crate) fn newest(&self) -> i64 {
        self.last.map_or(i64::MIN, Arrival::transit)
    }

    /// The delay whose cost is least: itself, and the concealment that it doesn't prevent.
    fn update_target(&mut self) {
        if self.len == 0 {
            return;
        }
        let fastest = self.fastest();
        let seen = self.len.min(self.memory);
        let oldest = self.serial.saturating_sub(self.memory as u64);
        let mut count = 0;
        for interval in &self.intervals[self.len - seen..self.len] {
            if interval.peak > fastest {
                self.scratch[count] = Late {
                    transit: interval.peak,
                    whole: None,
                };
                count += 1;
            }
        }
        let kept = self.overtaken_count.min(OVERTAKEN as u64);
        let mut overtaken_since = self.serial;
        for i in 1..=kept {
            let entry = &self.overtaken[((self.overtaken_count - i) % OVERTAKEN as u64) as usize];
            if entry.serial <= oldest {
                break;
            }
            overtaken_since = entry.serial;
            if entry.transit > fastest {
                self.scratch[count] = Late {
                    transit: entry.transit,
                    whole: Some(entry.samples),
                };
                count += 1;
            }
        }
        // Where more was overtaken than is remembered, what is known is of a shorter time.
        let whole_seen = if kept == OVERTAKEN as u64 {
            (self.serial + 1 - overtaken_since) as i64
        } else {
            seen as i64
        };
        let value = |intervals: i64| {
            let seen = (intervals * INTERVAL).max(LEAST_SEEN);
            self.worth * 1_000.0 * MS as f64 / seen as f64
        };
        let (cut, whole) = (value(seen as i64), value(whole_seen));

        let late = &mut self.scratch[..count];
        late.sort_unstable_by_key(|late| std::cmp::Reverse(late.transit));
        let (mut lost, mut pieces, mut latest) = (0, 0, 0);
        let mut best = (f64::INFINITY, fastest);
        // From the longest delay down to none; of equals the shorter one.
        for late in late.iter().chain([&Late {
            transit: fastest,
            whole: None,
        }]) {
            let transit = late.transit;
            let cost = (transit - fastest) as f64
                + whole * lost as f64
                + cut * (latest - pieces * (transit - SEAM)) as f64;
            if cost <= best.0 {
                best = (cost, transit);
            }
            match late.whole {
                Some(samples) => lost += samples,
                None => {
                    pieces += 1;
                    latest += transit;
                }
            }
        }
        // A path that has become slower is no accident that could be left out.
        let path = self.intervals[self.len.saturating_sub(2)..self.len]
            .iter()
            .map(|interval| interval.least)
            .min();
        let covered = best.1.max(path.unwrap_or(fastest));
        let guard = ((covered - fastest) / GUARD_SHARE).clamp(LEAST_GUARD, MOST_GUARD);
        self.target = (covered + guard).clamp(fastest + LEAST_GUARD, fastest + MAX_TARGET);
    }

    /// The interval of now; something harmless when nothing has come yet.
    fn present(&self) -> Interval {
        match self.len {
            0 => Interval {
                number: LONG_AGO,
                least: 0,
                most: 0,
                peak: NONE,
            },
            len => self.intervals[len - 1],
        }
    }

    fn raise_peak(&mut self, transit: i64) {
        if self.len > 0 {
            let peak = &mut self.intervals[self.len - 1].peak;
            *peak = transit.max(*peak);
        }
    }

    /// Forgets what was learnt since packets come in a bunch. Returns the least transit of them, if it was anything.
    fn take_back(&mut self) -> Option<i64> {
        let mut least = None;
        if self.len > 0 {
            let present = &mut self.intervals[self.len - 1];
            let before = if self.before.serial == self.serial {
                self.before.peak
            } else {
                NONE
            };
            if present.peak != before {
                least = Some(present.least.min(present.peak));
                present.peak = before;
            }
        }
        self.overtaken_count = self.overtaken_count.min(self.before.overtaken_count);
        least
    }

    fn note_extremes(&mut self, at: i64, transit: i64) {
        let number = at.div_euclid(INTERVAL);
        let present = self.present();
        if self.len > 0 && number - present.number >= RECENT {
            // A long silence: the clocks have drifted apart unseen. Take this packet for a fast one, and the
            // spread of delays for what it was.
            let moved = transit - self.fastest();
            for interval in &mut self.intervals[..self.len] {
                interval.least += moved;
                interval.most += moved;
                interval.peak = interval.peak.saturating_add(moved);
            }
            for overtaken in self.overtaken.iter_mut() {
                overtaken.transit = overtaken.transit.saturating_add(moved);
            }
        }
        if self.len > 0 && number <= present.number {
            let present = &mut self.intervals[self.len - 1];
            present.least = present.least.min(transit);
            present.most = present.most.max(transit);
            return;
        }
        self.forget_slower_path();
        if self.len == INTERVALS {
            self.intervals.copy_within(1.., 0);
            self.len -= 1;
        }
        self.intervals[self.len] = Interval {
            number,
            least: transit,
            most: transit,
            peak: NONE,
        };
        self.len += 1;
        self.serial += 1;
    }

    /// When every packet of the newest intervals was faster than any of the older ones, the path is another one, and
    /// what it was like before says nothing.
    fn forget_slower_path(&mut self) {
        let present = self.present().number;
        let known = &self.intervals[..self.len];
        let newer = known.partition_point(|i| present - i.number >= NEW_PATH);
        // The intervals between them may have seen both.
        let between = known.partition_point(|i| present - i.number >= NEW_PATH + 2);
        let older = known.partition_point(|i| present - i.number >= RECENT);
        let (newer, older) = (newer..self.len, older..between);
        if newer.len() < NEW_PATH as usize || older.is_empty() {
            return;
        }
        let most = known[newer.clone()].iter().map(|i| i.most).max();
        let least = known[older].iter().map(|i| i.least).min();
        if most
            .zip(least)
            .is_none_or(|(most, least)| most + CLEARLY >= least)
        {
            return;
        }
        self.intervals.copy_within(newer.clone(), 0);
        self.len = newer.len();
        // What was overtaken is of the old path too, but for a little.
        self.overtaken_count = 0;
    }
}

/// No packet.
const NONE: i64 = i64::MIN / 4;
/// An interval before all others.
const LONG_AGO: i64 = i64::MIN / 2;
const NOTHING_BEFORE: Before = Before {
    serial: 0,
    peak: NONE,
    overtaken_count: 0,
};

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 480;
    const CLOCKS: i64 = -123_456_789;

    fn target_ms(estimator: &DelayEstimator) -> f64 {
        (estimator.target() - estimator.fastest()) as f64 / MS as f64
    }

    /// Feeds frames from `first` on whose delay in samples `delay` gives.
    fn feed(
        estimator: &mut DelayEstimator,
        frames: std::ops::Range<i64>,
        delay: impl Fn(i64) -> i64,
    ) {
        let mut latest = i64::MIN;
        for i in frames {
            latest = latest.max(i * FRAME + delay(i));
            estimator.observe(latest, i * FRAME + CLOCKS, FRAME, FRAME, i == 0);
        }
    }

    #[test]
    fn a_clean_path_needs_no_warming_up() {
        let mut estimator = DelayEstimator::new(0.5);
        feed(&mut estimator, 0..3, |i| i * 17 % 40);
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
        feed(&mut estimator, 3..500, |i| i * 17 % 40);
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn a_spike_is_one_event() {
        let mut estimator = DelayEstimator::new(0.5);
        feed(&mut estimator, 0..500, |_| 0);
        feed(&mut estimator, 500..520, |i| (520 - i) * FRAME);
        feed(&mut estimator, 520..530, |_| 0);
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn disorder_counts() {
        let mut estimator = DelayEstimator::new(0.5);
        for i in (1..500).flat_map(|i| [2 * i + 1, 2 * i]) {
            // Every second packet comes just after the one that should have followed it.
            let at = (i | 1) * FRAME + (i & 1 ^ 1) * 48;
            estimator.observe(at, i * FRAME + CLOCKS, FRAME, FRAME, false);
        }
        assert!(target_ms(&estimator) >= 11.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn a_slower_path_is_followed_and_then_is_the_base() {
        let mut estimator = DelayEstimator::new(0.5);
        feed(&mut estimator, 0..500, |_| 0);
        feed(&mut estimator, 500..560, |_| 2_400);
        assert!(target_ms(&estimator) >= 50.0, "{}", target_ms(&estimator));
        feed(&mut estimator, 560..1_100, |_| 2_400);
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn a_slower_path_is_forgotten_once_it_has_become_faster_again() {
        let mut estimator = DelayEstimator::new(0.5);
        feed(&mut estimator, 0..500, |_| 2_400);
        for i in 500..800 {
            estimator.observe(i * FRAME, i * FRAME + CLOCKS, FRAME, FRAME, false);
        }
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    /// Frames of 20 ms for 12 s on a path that stands still for 100 ms, once in so many frames.
    fn standing_still_every(frames: i64, stability: f32) -> f64 {
        let mut estimator = DelayEstimator::new(stability);
        for i in 0..600 {
            let still = (5 - i % frames).max(0) * 2 * FRAME;
            let at = i * 2 * FRAME + if i > 20 { still } else { 0 };
            estimator.observe(at, i * 2 * FRAME + CLOCKS, 2 * FRAME, 2 * FRAME, i == 0);
        }
        target_ms(&estimator)
    }

    #[test]
    fn what_is_rare_is_worth_its_delay_only_to_those_who_want_it() {
        // Every 5 s: 2 % of the sound for 100 ms. Every 1.5 s: 7 %.
        assert!(standing_still_every(250, 0.5) < 5.0);
        assert!(standing_still_every(250, 1.0) > 95.0);
        assert!(standing_still_every(75, 0.5) > 95.0);
        assert!(standing_still_every(75, 0.0) < 5.0);
    }

    #[test]
    fn of_packets_that_are_overtaken_so_many_are_waited_for_as_are_worth_it() {
        // One in five is overtaken by the next: worth any 20 ms. One in 200 is overtaken by ten: not worth 200 ms.
        let target_after = |one_in: i64, by: i64| {
            let mut estimator = DelayEstimator::new(0.5);
            let mut arrivals: Vec<(i64, i64)> = (0..1_000)
                .map(|i| (i * 960 + if i % one_in == 0 { by * 960 + 10 } else { 0 }, i))
                .collect();
            arrivals.sort_unstable();
            for (at, i) in arrivals {
                estimator.observe(at, i * 960 + CLOCKS, 960, 960, false);
            }
            target_ms(&estimator)
        };
        let (often, seldom) = (target_after(5, 1), target_after(200, 10));
        assert!((20.0..22.0).contains(&often), "{often}");
        assert!(seldom < 2.0, "{seldom}");
    }

    #[test]
    fn a_preroll_burst_is_not_jitter() {
        let mut estimator = DelayEstimator::new(0.5);
        for i in 0..7 {
            estimator.observe(6 * FRAME, i * FRAME + CLOCKS, FRAME, FRAME, i == 0);
        }
        feed(&mut estimator, 7..20, |_| 0);
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn nor_is_it_when_the_marker_is_overtaken() {
        // The background before a word may follow the last talkspurt without a gap, so that only the marker tells.
        let mut estimator = DelayEstimator::new(0.5);
        feed(&mut estimator, 0..100, |_| 0);
        for i in [103, 101, 105, 100, 102, 104, 106] {
            estimator.observe(106 * FRAME, i * FRAME + CLOCKS, FRAME, FRAME, i == 100);
        }
        feed(&mut estimator, 107..120, |_| 0);
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn hostile_times_stay_within_bounds() {
        let mut estimator = DelayEstimator::new(0.5);
        for (i, timestamp) in [0, i64::from(u32::MAX), -1, 1 << 40, -(1 << 40), 5]
            .into_iter()
            .cycle()
            .take(1_000)
            .enumerate()
        {
            estimator.observe(i as i64 * 100, timestamp, 120, 120, i % 7 == 0);
            assert!(target_ms(&estimator) <= (MAX_TARGET / MS) as f64 + 1.0);
        }
    }
}
