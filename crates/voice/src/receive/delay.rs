//! How long to hold packets back. Why so: `docs/adr/0003-jitter-buffer.md`.
//!
//! A packet's *transit* is its arrival minus its timestamp, in samples; the two clocks have nothing in common,
//! so only differences mean anything. The target is a quantile of the transits of the last seconds.

use crate::frame::{SAMPLE_RATE_HZ, SAMPLES_PER_MS};

const BUCKET: i64 = SAMPLES_PER_MS as i64;
/// Longest delay that is ever aimed at, in buckets (and ms).
const BUCKETS: usize = 400;
/// The fastest packet is looked for in this many stretches of time.
const WINDOWS: usize = 8;
const WINDOW: i64 = SAMPLE_RATE_HZ as i64 / 2;
/// A stretch before all others, so that the first packet begins anew.
const LONG_AGO: i64 = i64::MIN / 2;
/// A burst at the start of a talkspurt is what the speaker said before the detector was sure, no longer than this.
const MAX_PRE_ROLL: i64 = 300 * SAMPLES_PER_MS as i64;
/// Packets of one burst that may overtake its first one.
const TOGETHER: usize = 16;

pub(crate) struct DelayEstimator {
    /// Samples of sound whose transit was in `origin + BUCKET * i ..`: of late, and of the time before. Two
    /// generations rather than weights that fade, because a high quantile would see the faded ones for very long.
    histograms: Box<[[u32; BUCKETS]; 2]>,
    /// Samples of sound in the newer histogram; when there are `memory`, it becomes the older one.
    observed: u32,
    origin: i64,
    minima: [i64; WINDOWS],
    maxima: [i64; WINDOWS],
    /// Number of the stretch that `minima` ends with, counted from time zero.
    window: i64,
    /// Start of a talkspurt whose packets still come in one burst: (timestamp, least transit).
    burst: Option<(i64, i64)>,
    last: Option<Arrival>,
    /// Transits counted of packets that came together with the last one, until it is known whether a talkspurt
    /// begins with them: the first packet of a burst may be overtaken by others.
    together: [i64; TOGETHER],
    together_len: usize,
    /// Share of the sound that may come too late.
    allowance: f32,
    memory: u32,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: i64,
    timestamp: i64,
}

impl Arrival {
    fn transit(self) -> i64 {
        self.at - self.timestamp
    }
}

impl DelayEstimator {
    pub(crate) fn new(stability: f32) -> Self {
        let mut estimator = Self {
            histograms: Box::new([[0; BUCKETS]; 2]),
            observed: 0,
            origin: 0,
            minima: [i64::MAX; WINDOWS],
            maxima: [i64::MIN; WINDOWS],
            window: LONG_AGO,
            burst: None,
            last: None,
            together: [0; TOGETHER],
            together_len: 0,
            allowance: 0.0,
            memory: 1,
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
        self.allowance = 0.025 - 0.02 * stability;
        self.memory = ((3.0 + 4.0 * stability) * SAMPLE_RATE_HZ as f32) as u32;
    }

    pub(crate) fn reset(&mut self) {
        *self.histograms = [[0; BUCKETS]; 2];
        self.observed = 0;
        self.window = LONG_AGO;
        self.burst = None;
        self.last = None;
        self.together_len = 0;
    }

    /// Learns from a packet of `samples` with `timestamp` that arrived `at`. `begins`: it is the first after silence.
    pub(crate) fn observe(&mut self, at: i64, timestamp: i64, samples: i64, begins: bool) {
        let transit = at - timestamp;
        self.note_extremes(at, transit);
        let last = self.last.replace(Arrival { at, timestamp });
        let bunched = last.is_some_and(|last| at - last.at < samples / 2);
        let following = last.is_some_and(|last| timestamp > last.timestamp);

        if let Some((start, least)) = self.burst {
            if bunched && (timestamp - start).abs() < MAX_PRE_ROLL {
                self.burst = Some((start, least.min(transit)));
                return;
            }
            self.burst = None;
            self.add(least, samples);
        }
        if !bunched {
            self.together_len = 0;
        }
        if begins {
            let mut least = transit;
            for i in 0..self.together_len {
                least = least.min(self.together[i]);
                self.take_back(self.together[i], samples);
            }
            self.together_len = 0;
            self.burst = Some((timestamp, least));
            return;
        }
        // After a stall its packets all arrive at once. That is one event, told by the first of them, and not
        // as many slow packets as the stall was long.
        if bunched && following && transit > self.target() {
            return;
        }
        self.add(transit, samples);
        if self.together_len < TOGETHER {
            self.together[self.together_len] = transit;
            self.together_len += 1;
        }
    }

    /// Transit of the fastest packet of the last seconds.
    pub(crate) fn fastest(&self) -> i64 {
        let fastest = self.minima.iter().copied().min().unwrap_or(i64::MAX);
        if fastest == i64::MAX {
            self.origin
        } else {
            fastest
        }
    }

    /// Transit by which the chosen share of packets arrives, never less than a bucket after the fastest.
    pub(crate) fn target(&self) -> i64 {
        let least = self.fastest() + BUCKET;
        let [newer, older] = &*self.histograms;
        let weights = newer.iter().zip(older).map(|(n, o)| u64::from(n + o));
        let total: u64 = weights.clone().sum();
        let allowed = (total as f32 * self.allowance) as u64;
        let mut beyond = 0;
        for (i, weight) in weights.enumerate().rev() {
            beyond += weight;
            if beyond > allowed {
                return least.max(self.origin + BUCKET * (i as i64 + 1));
            }
        }
        least
    }

    /// Transit of the newest packet.
    pub(crate) fn newest(&self) -> i64 {
        self.last.map_or(i64::MIN, Arrival::transit)
    }

    fn add(&mut self, transit: i64, samples: i64) {
        if self.observed >= self.memory {
            self.observed = 0;
            self.histograms.swap(0, 1);
            self.histograms[0].fill(0);
        }
        let bucket = self.bucket(transit);
        self.histograms[0][bucket] += samples as u32;
        self.observed += samples as u32;
    }

    fn take_back(&mut self, transit: i64, samples: i64) {
        let weight = &mut self.histograms[0][self.bucket(transit)];
        *weight = weight.saturating_sub(samples as u32);
    }

    fn bucket(&self, transit: i64) -> usize {
        let bucket = (transit - self.origin).div_euclid(BUCKET);
        bucket.clamp(0, BUCKETS as i64 - 1) as usize
    }

    fn note_extremes(&mut self, at: i64, transit: i64) {
        let window = at.div_euclid(WINDOW);
        let passed = window - self.window;
        self.window = window;
        if passed >= WINDOWS as i64 {
            // A long silence: the clocks have drifted apart unseen. Take this packet for a fast one, and the
            // spread of delays for what it was.
            self.minima = [i64::MAX; WINDOWS];
            self.maxima = [i64::MIN; WINDOWS];
            self.minima[WINDOWS - 1] = transit;
            self.maxima[WINDOWS - 1] = transit;
            self.origin = transit;
            return;
        }
        if passed > 0 {
            self.forget_slower_path();
            let passed = passed as usize;
            self.minima.rotate_left(passed);
            self.minima[WINDOWS - passed..].fill(i64::MAX);
            self.maxima.rotate_left(passed);
            self.maxima[WINDOWS - passed..].fill(i64::MIN);
        }
        let [.., least] = &mut self.minima;
        *least = (*least).min(transit);
        let [.., most] = &mut self.maxima;
        *most = (*most).max(transit);
        self.follow(self.fastest());
    }

    /// When every packet of the newer stretches was faster than any of the older ones, the path is another one, and
    /// what it was like before says nothing.
    fn forget_slower_path(&mut self) {
        // The stretch between them may have seen both.
        let newer = &self.maxima[WINDOWS / 2 + 1..];
        let older = &self.minima[..WINDOWS / 2];
        let most = newer.iter().copied().max().unwrap_or(i64::MIN);
        let least = older.iter().copied().min().unwrap_or(i64::MAX);
        if newer.contains(&i64::MIN) || least == i64::MAX || most + 2 * BUCKET >= least {
            return;
        }
        let from = self.bucket(most) + 1;
        for histogram in self.histograms.iter_mut() {
            histogram[from..].fill(0);
        }
    }

    /// Moves the histograms so that their first bucket holds the fastest packet; what they know stays at its place.
    fn follow(&mut self, fastest: i64) {
        let shift = (fastest - self.origin).div_euclid(BUCKET);
        if shift == 0 {
            return;
        }
        self.origin += shift * BUCKET;
        let by = usize::try_from(shift.unsigned_abs()).map_or(BUCKETS, |by| by.min(BUCKETS));
        for histogram in self.histograms.iter_mut() {
            if shift > 0 {
                let below: u32 = histogram[..by].iter().sum();
                histogram.copy_within(by.., 0);
                histogram[BUCKETS - by..].fill(0);
                histogram[0] += below;
            } else {
                let above: u32 = histogram[BUCKETS - by..].iter().sum();
                histogram.copy_within(..BUCKETS - by, by);
                histogram[..by].fill(0);
                histogram[BUCKETS - 1] += above;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 480;
    const CLOCKS: i64 = -123_456_789;

    fn target_ms(estimator: &DelayEstimator) -> f64 {
        (estimator.target() - estimator.fastest()) as f64 / BUCKET as f64
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
            estimator.observe(latest, i * FRAME + CLOCKS, FRAME, i == 0);
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
            estimator.observe(at, i * FRAME + CLOCKS, FRAME, false);
        }
        assert!(target_ms(&estimator) >= 11.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn a_slower_path_is_followed_and_then_is_the_base() {
        let mut estimator = DelayEstimator::new(0.5);
        feed(&mut estimator, 0..500, |_| 0);
        feed(&mut estimator, 500..520, |_| 2_400);
        assert!(target_ms(&estimator) >= 50.0, "{}", target_ms(&estimator));
        feed(&mut estimator, 520..1_100, |_| 2_400);
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn a_slower_path_is_forgotten_once_it_has_become_faster_again() {
        let mut estimator = DelayEstimator::new(0.5);
        feed(&mut estimator, 0..500, |_| 2_400);
        for i in 500..800 {
            estimator.observe(i * FRAME, i * FRAME + CLOCKS, FRAME, false);
        }
        assert!(target_ms(&estimator) <= 2.0, "{}", target_ms(&estimator));
    }

    #[test]
    fn a_preroll_burst_is_not_jitter() {
        let mut estimator = DelayEstimator::new(0.5);
        for i in 0..7 {
            estimator.observe(6 * FRAME, i * FRAME + CLOCKS, FRAME, i == 0);
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
            estimator.observe(106 * FRAME, i * FRAME + CLOCKS, FRAME, i == 100);
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
            estimator.observe(i as i64 * 100, timestamp, 120, i % 7 == 0);
            assert!(target_ms(&estimator) <= BUCKETS as f64 + 1.0);
        }
    }
}
