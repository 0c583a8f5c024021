//! A port of the delay logic that NetEQ publishes, written from its constants: delay manager, buffer level and decisions, without sound. It is not
//! NetEQ itself. Where NetEQ's success depends on the sound, this port is given it: time-scaling always finds 10 ms to take or add.
//!
//! WebRTC's newest version accelerates later (above the target plus the largest delay of the last 2 s plus 20 ms), so it keeps more
//! delay than this one, which follows the version that decides by the smoothed buffer level.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    tally::Tally,
    trace::{MS, SECOND, Trace},
};

/// NetEQ gives out 10 ms at a time.
const TICK: i64 = 10 * MS;
const START_DELAY: i64 = 80 * MS;
const BUCKETS: usize = 100;
const BUCKET: i64 = 20 * MS;
const QUANTILE: f64 = 0.95;
const FORGET: f64 = 0.983;
const REORDER_FORGET: f64 = 0.9993;
/// A new histogram forgets so much faster at first.
const START_WEIGHT: f64 = 2.0;
/// The largest delay of such an interval is what counts.
const RESAMPLE: i64 = 500 * MS;
/// Arrivals are held against the fastest of this long.
const HISTORY: i64 = 2 * SECOND;
/// Delay that is worth a per cent of packets being in time.
const DELAY_PER_LOSS_PERCENT: i64 = 20 * MS;
/// Ticks between two changes of speed.
const SCALE_INTERVAL: i64 = 5;
/// What one change takes or adds.
const SCALE_STEP: i64 = 10 * MS;
const FAST_STEP: i64 = 20 * MS;
/// Preemptive expand begins this far below the target, if that is higher than 3/4 of it.
const DECELERATION_OFFSET: i64 = 85 * MS;
const WINDOW: i64 = 20 * MS;
/// A packet after a loss is played early when the buffer holds the target and half of 100 ms.
const EARLY: i64 = 50 * MS;
/// Concealment this long is half muted, and then waits for half the target.
const HALF_MUTED: i64 = 100 * MS;

/// `carries_copy`: which packets tell of the one before them.
pub fn run(trace: &Trace, phase: i64, carries_copy: impl Fn(usize) -> bool) -> Tally {
    let mut tally = Tally::new(trace.length);
    let mut neteq = NetEq::new(trace.frame);
    let mut arrivals = trace.arrivals.iter().peekable();
    let mut now = phase;
    while now < trace.length {
        while let Some(&(at, packet)) = arrivals.next_if(|&&(at, _)| at <= now) {
            neteq.insert(at, packet as i64);
            if carries_copy(packet) {
                neteq.insert_copy(at, packet as i64 - 1);
            }
        }
        neteq.tick(now, trace, &mut tally);
        now += TICK;
    }
    neteq.close_gap(&mut tally);
    tally.dropped = neteq.dropped;
    tally
}

struct Histogram {
    buckets: [f64; BUCKETS],
    forget: f64,
    added: f64,
}

impl Histogram {
    fn new(forget: f64) -> Self {
        // NetEQ begins with weights that halve from bucket to bucket.
        let mut weight = 1.0;
        let buckets = std::array::from_fn(|_| {
            weight /= 2.0;
            weight
        });
        Self {
            buckets,
            forget,
            added: 0.0,
        }
    }

    fn add(&mut self, delay: i64) {
        self.added += 1.0;
        let start = 1.0 - START_WEIGHT / (self.added + 1.0);
        let forget = self.forget.min(start.max(0.0));
        for weight in &mut self.buckets {
            *weight *= forget;
        }
        let bucket = (delay / BUCKET) as usize;
        if let Some(weight) = self.buckets.get_mut(bucket) {
            *weight += 1.0 - forget;
        }
    }

    fn quantile(&self, share: f64) -> usize {
        let mut beyond = 1.0;
        for (i, weight) in self.buckets.iter().enumerate() {
            beyond -= weight;
            if beyond <= 1.0 - share {
                return i;
            }
        }
        BUCKETS - 1
    }
}

/// How much delay packets need.
struct DelayManager {
    underrun: Histogram,
    reorder: Histogram,
    interval: Option<(i64, i64)>,
    underrun_target: i64,
    target: i64,
    arrivals: VecDeque<(i64, i64)>,
    newest: i64,
}

impl DelayManager {
    fn new() -> Self {
        Self {
            underrun: Histogram::new(FORGET),
            reorder: Histogram::new(REORDER_FORGET),
            interval: None,
            underrun_target: START_DELAY,
            target: START_DELAY,
            arrivals: VecDeque::new(),
            newest: i64::MIN,
        }
    }

    fn arrived(&mut self, at: i64, media: i64) {
        let transit = at - media;
        self.arrivals.push_back((at, transit));
        while self
            .arrivals
            .front()
            .is_some_and(|&(then, _)| at - then > HISTORY)
        {
            self.arrivals.pop_front();
        }
        let fastest = self.arrivals.iter().map(|&(_, transit)| transit).min();
        let delay = transit - fastest.unwrap_or(transit);
        let reordered = media < self.newest;
        self.newest = self.newest.max(media);
        if self.arrivals.len() < 2 {
            return;
        }
        if !reordered {
            let (since, mut largest) = self.interval.unwrap_or((at, 0));
            let mut since = since;
            if at - since > RESAMPLE {
                self.underrun.add(largest);
                self.underrun_target = (1 + self.underrun.quantile(QUANTILE) as i64) * BUCKET;
                (since, largest) = (at, 0);
            }
            self.interval = Some((since, largest.max(delay)));
        }
        self.reorder.add(if reordered { delay } else { 0 });
        self.target = self.underrun_target.max(self.reorder_target());
    }

    /// The delay beyond the other target that is worth the packets which are then in time.
    fn reorder_target(&self) -> i64 {
        let mut late = 1.0;
        let mut best = (f64::INFINITY, 0);
        for (i, weight) in self.reorder.buckets.iter().enumerate() {
            late -= weight;
            let delay = i as i64 * BUCKET - self.underrun_target;
            let cost = delay.max(0) as f64 + 100.0 * DELAY_PER_LOSS_PERCENT as f64 * late;
            if cost < best.0 {
                best = (cost, i as i64);
            }
        }
        (1 + best.1) * BUCKET
    }
}

struct NetEq {
    frame: i64,
    manager: DelayManager,
    /// Waiting packets, and when they came.
    packets: BTreeMap<i64, i64>,
    next: Option<i64>,
    /// Decoded, not played yet.
    ready: i64,
    /// Smoothed, samples.
    level: f64,
    /// Samples made up in a row.
    run: i64,
    since_scaled: i64,
    /// Played, or known to be late: what comes again is a copy.
    played: BTreeSet<i64>,
    /// Of the waiting packets those that are copies, which others carried.
    copies: BTreeSet<i64>,
    dropped: usize,
}

impl NetEq {
    fn new(frame: i64) -> Self {
        Self {
            frame,
            manager: DelayManager::new(),
            packets: BTreeMap::new(),
            next: None,
            ready: 0,
            level: 0.0,
            run: 0,
            since_scaled: 0,
            played: BTreeSet::new(),
            copies: BTreeSet::new(),
            dropped: 0,
        }
    }

    fn insert(&mut self, at: i64, packet: i64) {
        if self.packets.contains_key(&packet) && !self.copies.remove(&packet) {
            return;
        }
        self.manager.arrived(at, packet * self.frame);
        if self.next.is_none_or(|next| packet >= next) {
            self.packets.insert(packet, at);
        } else if self.played.insert(packet) {
            self.dropped += 1;
        }
    }

    /// What a packet tells of the one before it waits in that one's place, until it comes itself.
    fn insert_copy(&mut self, at: i64, packet: i64) {
        let wanted = packet >= 0 && self.next.is_none_or(|next| packet >= next);
        if wanted && !self.packets.contains_key(&packet) {
            self.packets.insert(packet, at);
            self.copies.insert(packet);
        }
    }

    fn tick(&mut self, now: i64, trace: &Trace, tally: &mut Tally) {
        self.since_scaled += 1;
        let Some((&first, _)) = self.packets.first_key_value() else {
            if self.next.is_some() {
                self.play_ready_or_expand();
            }
            return;
        };
        let next = *self.next.get_or_insert(first);
        let newest = self.packets.last_key_value().map_or(first, |(&i, _)| i);
        let span = (newest - first + 1) * self.frame;
        if self.run == 0 {
            self.smooth(span + self.ready);
        }
        if self.ready >= TICK {
            self.ready -= TICK;
            return;
        }
        let target = self.manager.target;
        if self.run >= HALF_MUTED && span < target / 2 {
            self.expand();
        } else if first == next {
            self.play(now, trace, tally);
        } else {
            let leap = (first - next) * self.frame;
            if leap > self.run && span <= target + EARLY {
                self.expand();
            } else {
                if leap != self.run {
                    self.level = (span + self.ready) as f64;
                }
                self.next = Some(first);
                self.play(now, trace, tally);
            }
        }
    }

    fn smooth(&mut self, level: i64) {
        let factor = match self.manager.target / MS {
            ..=20 => 251.0,
            21..=60 => 252.0,
            61..=140 => 253.0,
            _ => 254.0,
        } / 256.0;
        self.level = factor * self.level + (1.0 - factor) * level as f64;
    }

    /// Plays the next packet, faster or slower if the level asks for it.
    fn play(&mut self, now: i64, trace: &Trace, tally: &mut Tally) {
        let concealing = self.run > 0;
        self.close_gap(tally);
        self.decode(now, trace, tally);
        let target = self.manager.target;
        let low = (target * 3 / 4).max(target - DECELERATION_OFFSET);
        let high = target.max(low + WINDOW) as f64;
        let scalable = !concealing && self.since_scaled >= SCALE_INTERVAL;
        let change = if !concealing && self.level >= 4.0 * high {
            -FAST_STEP
        } else if scalable && self.level >= high {
            -SCALE_STEP
        } else if scalable && self.level < low as f64 {
            SCALE_STEP
        } else {
            0
        };
        if change < 0 {
            while self.ready < TICK - change {
                match self.packets.first_key_value() {
                    Some((&first, _)) if Some(first) == self.next => {
                        self.decode(now, trace, tally);
                    }
                    _ => break,
                }
            }
        }
        if change != 0 && self.ready + change >= TICK {
            self.ready += change;
            self.level += change as f64;
            self.since_scaled = 0;
            tally.accelerated += (-change).max(0);
            tally.expanded += change.max(0);
        }
        self.ready -= TICK;
    }

    fn decode(&mut self, now: i64, trace: &Trace, tally: &mut Tally) {
        let Some((packet, arrived)) = self.packets.pop_first() else {
            return;
        };
        let at = now + self.ready;
        let sent = trace.packets[packet as usize].sent;
        tally.emit(at, self.frame, at - arrived, at - sent);
        self.ready += self.frame;
        self.next = Some(packet + 1);
        self.played.insert(packet);
    }

    fn play_ready_or_expand(&mut self) {
        if self.ready >= TICK {
            self.ready -= TICK;
        } else {
            self.expand();
        }
    }

    fn expand(&mut self) {
        self.run += TICK;
    }

    fn close_gap(&mut self, tally: &mut Tally) {
        if self.run > 0 {
            tally.conceal(self.run);
            self.run = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::Profile;
    use super::*;

    #[test]
    fn the_target_is_what_the_published_logic_gives() {
        let mut manager = DelayManager::new();
        assert_eq!(manager.target, 80 * MS);
        // Half a second without jitter: the least there is.
        for i in 0..100 {
            manager.arrived(i * 960, i * 960);
        }
        assert_eq!(manager.target, 20 * MS);
        // Delays of 70 ms in every half second are in the fourth bucket.
        for i in 100..1_000 {
            let late = if i % 20 == 0 { 70 * MS } else { 0 };
            manager.arrived((i * 960 + late).max((i / 20 * 20) * 960 + late), i * 960);
        }
        assert_eq!(manager.target, 80 * MS);
    }

    #[test]
    fn a_clean_path_keeps_about_its_least_target() {
        let trace = Trace::new(Profile::Clean, 1, 960, 120 * SECOND);
        let tally = run(&trace, 100, |_| false);
        assert_eq!(tally.concealed, 0);
        let delay_ms = tally.mean_delay_ms();
        assert!((10.0..40.0).contains(&delay_ms), "{delay_ms}");
    }

    #[test]
    fn copies_stand_in_for_what_is_lost() {
        let trace = Trace::new(Profile::Moderate, 1, 960, 120 * SECOND);
        let without = run(&trace, 100, |_| false);
        let with = run(&trace, 100, |_| true);
        assert!(with.concealed_ratio() < 0.3 * without.concealed_ratio());
    }

    #[test]
    fn what_is_lost_is_concealed_and_little_else() {
        let trace = Trace::new(Profile::Bursty(20), 1, 960, 120 * SECOND);
        let tally = run(&trace, 100, |_| false);
        let lost = trace.lost() as f64 / trace.packets.len() as f64;
        let ratio = tally.concealed_ratio();
        assert!((ratio - lost).abs() < 0.02, "{ratio} of {lost}");
    }
}
