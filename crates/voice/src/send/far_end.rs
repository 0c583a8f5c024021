//! What the speakers played, kept beside what the microphone hears.
//!
//! Both streams come in pieces from clocks of their own. The echo canceller wants one block of each in turn, and the
//! distance between a sound and its echo constant, or changing slowly. So one sample is taken here for each that is
//! captured. Where none is there, silence is made up, after which there is more in reserve; what is never needed of
//! the reserve is given up again.

use crate::frame::{SAMPLES_PER_MS, Stereo, tame, to_mono};

/// Half a second, the canceller's reach.
const CAPACITY: usize = 500 * SAMPLES_PER_MS;
/// How long the reserve is watched, samples.
const WATCH: usize = 250 * SAMPLES_PER_MS;
/// Clocks drift slowly, and the moment that needs most of the reserve is rare: that is watched for so many spans.
const LONG_WATCH: u32 = 32;
/// What isn't needed beyond this is given up a sample at a time, which the canceller can follow.
const SPARE: usize = 2 * SAMPLES_PER_MS;
/// Beyond this, a device stood still, and it is given up at once: what was played must not come after its echo.
const EXCESS: usize = 20 * SAMPLES_PER_MS;

pub(crate) struct FarEnd {
    ring: Box<[f32; CAPACITY]>,
    first: usize,
    len: usize,
    /// Least that was left since `watched` began.
    least: usize,
    watched: usize,
    /// The same over all of the long watch, and how many spans of it there were.
    least_long: usize,
    spans: u32,
    creeping: bool,
    slipped: u64,
    /// Samples that were missing in a row.
    missing: usize,
    /// Something was played of late: where nothing is, silence is no slip.
    started: bool,
}

impl FarEnd {
    pub(crate) fn new() -> Self {
        Self {
            ring: Box::new([0.0; CAPACITY]),
            first: 0,
            len: 0,
            least: usize::MAX,
            watched: 0,
            least_long: usize::MAX,
            spans: 0,
            creeping: false,
            slipped: 0,
            missing: 0,
            started: false,
        }
    }

    pub(crate) fn push(&mut self, samples: &[Stereo]) {
        self.started |= !samples.is_empty();
        for sample in samples.iter().copied().map(to_mono) {
            if self.len == CAPACITY {
                self.drop_oldest(1);
            }
            self.ring[(self.first + self.len) % CAPACITY] = tame(sample);
            self.len += 1;
        }
    }

    /// Fills `out` with what was played beside as many captured samples.
    pub(crate) fn take(&mut self, out: &mut [f32]) {
        if self.creeping {
            self.drop_oldest(1);
        }
        let ready = self.len.min(out.len());
        for (i, to) in out.iter_mut().enumerate() {
            *to = if i < ready {
                self.ring[(self.first + i) % CAPACITY]
            } else {
                0.0
            };
        }
        self.first = (self.first + ready) % CAPACITY;
        self.len -= ready;
        self.missing = if ready > 0 {
            0
        } else {
            self.missing + out.len()
        };
        if self.missing > WATCH {
            // The speakers were closed.
            self.started = false;
        }
        if self.started {
            self.slipped += (out.len() - ready) as u64;
        }
        self.watch(out.len());
    }

    pub(crate) fn skip(&mut self, samples: usize) {
        let skipped = samples.min(self.len);
        self.first = (self.first + skipped) % CAPACITY;
        self.len -= skipped;
    }

    pub(crate) fn slipped(&self) -> u64 {
        self.slipped
    }

    fn watch(&mut self, samples: usize) {
        self.least = self.least.min(self.len);
        self.watched += samples;
        if self.watched < WATCH {
            return;
        }
        if self.least > EXCESS {
            self.drop_oldest(self.least);
            self.least = 0;
        }
        self.least_long = self.least_long.min(self.least);
        self.least = usize::MAX;
        self.watched = 0;
        self.spans += 1;
        // What isn't there can't be given up.
        if self.spans == LONG_WATCH || self.least_long <= SPARE {
            self.creeping = self.least_long > SPARE;
        }
        if self.spans == LONG_WATCH {
            self.least_long = usize::MAX;
            self.spans = 0;
        }
    }

    fn drop_oldest(&mut self, samples: usize) {
        let dropped = samples.min(self.len);
        self.skip(dropped);
        self.slipped += dropped as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 480;

    fn numbered(from: usize, count: usize) -> Vec<Stereo> {
        (from..from + count).map(|i| [i as f32 * 1e-6; 2]).collect()
    }

    /// Plays `played` and captures `captured` samples a turn; returns the reserve after each.
    fn run(far: &mut FarEnd, turns: usize, played: usize) -> Vec<usize> {
        let mut out = [0.0; BLOCK];
        (0..turns)
            .map(|_| {
                far.push(&vec![[0.1; 2]; played]);
                far.take(&mut out);
                far.len
            })
            .collect()
    }

    #[test]
    fn unequal_pieces_keep_their_distance_once_it_is_found() {
        let mut far = FarEnd::new();
        let mut out = [0.0; BLOCK];
        let mut next = 0;
        let mut distances = Vec::new();
        for turn in 0..400 {
            // Played in pieces of 30 ms, captured in pieces of 10.
            if turn % 3 == 1 {
                far.push(&numbered(next, 3 * BLOCK));
                next += 3 * BLOCK;
            }
            far.take(&mut out);
            distances.push(i64::from(turn) * BLOCK as i64 - (out[0] * 1e6).round() as i64);
        }
        assert!(distances[10..].iter().all(|d| *d == distances[10]));
        assert!(far.slipped() < 3 * BLOCK as u64);
    }

    #[test]
    fn silence_before_anything_is_played_is_no_slip() {
        let mut far = FarEnd::new();
        let mut out = [1.0; BLOCK];
        far.take(&mut out);
        assert_eq!(out, [0.0; BLOCK]);
        assert_eq!(far.slipped(), 0);
    }

    #[test]
    fn speakers_that_were_closed_are_no_slip() {
        let mut far = FarEnd::new();
        run(&mut far, 10, BLOCK);
        run(&mut far, 1_000, 0);
        assert!(far.slipped() <= WATCH as u64, "{}", far.slipped());
    }

    #[test]
    fn a_slow_microphone_clock_never_fills_the_reserve() {
        let mut far = FarEnd::new();
        // 500 ppm, more than a crystal's.
        let reserve = (0..3_000).map(|_| {
            run(&mut far, 3, BLOCK);
            run(&mut far, 1, BLOCK + 1)[0]
        });
        let most = reserve.max();
        assert!(most < Some(5 * SPARE), "{most:?}");
    }

    #[test]
    fn a_fast_microphone_clock_is_followed_by_silence_a_little_at_a_time() {
        let mut far = FarEnd::new();
        let reserve = run(&mut far, 1_000, BLOCK - 1);
        assert_eq!(reserve.last(), Some(&0));
        assert_eq!(far.slipped(), 1_000);
    }

    #[test]
    fn after_the_microphone_stood_still_its_echo_comes_after_the_sound_again() {
        let mut far = FarEnd::new();
        run(&mut far, 200, BLOCK);
        far.push(&[[0.1; 2]; 300 * SAMPLES_PER_MS]);
        let reserve = run(&mut far, 52, BLOCK);
        assert_eq!(reserve.last(), Some(&0));
        // More than there is room for: the newest is kept.
        far.push(&numbered(0, 2 * CAPACITY));
        let mut out = [0.0; BLOCK];
        far.take(&mut out);
        assert_eq!(out[0], CAPACITY as f32 * 1e-6);
    }

    #[test]
    fn what_is_skipped_of_the_one_is_skipped_of_the_other() {
        let mut far = FarEnd::new();
        far.push(&numbered(0, 2_000));
        far.skip(700);
        let mut out = [0.0; BLOCK];
        far.take(&mut out);
        assert_eq!(out[0], 700.0 * 1e-6);
        far.skip(usize::MAX);
        assert_eq!(far.len, 0);
    }
}
