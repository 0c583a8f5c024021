//! Foresees stalls that come at regular intervals: wireless cards look for other networks every so many seconds, and
//! nothing passes meanwhile.

use crate::frame::SAMPLES_PER_MS;

const MS: i64 = SAMPLES_PER_MS as i64;
/// Shorter stalls aren't worth a look ahead.
const LEAST: i64 = 60 * MS;
/// What is in hand for one at most.
const MOST: i64 = 250 * MS;
/// Stalls closer together than this are one.
const APART: i64 = 500 * MS;
/// Stalls in a row, the same time apart, after which another is expected.
const KNOWN: usize = 4;
/// By so much may their intervals differ.
const TOLERANCE: i64 = 150 * MS;
/// Stalls that come more often are remembered anyway; those that come less often differ by more than can be waited for.
const INTERVALS: std::ops::RangeInclusive<i64> = 5_000 * MS..=130_000 * MS;

#[derive(Debug, Clone, Copy, Default)]
struct Stall {
    /// When the first packet came after it.
    ended: i64,
    length: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Stalls {
    /// Oldest first.
    known: [Stall; KNOWN],
    len: usize,
}

impl Stalls {
    /// A packet came `late` samples later than the fastest.
    pub(crate) fn observe(&mut self, now: i64, late: i64) {
        if late < LEAST {
            return;
        }
        if let Some(last) = self.known[..self.len].last_mut()
            && now - last.ended < APART
        {
            last.length = last.length.max(late);
            return;
        }
        if self.len == KNOWN {
            self.known.rotate_left(1);
            self.len -= 1;
        }
        self.known[self.len] = Stall {
            ended: now,
            length: late,
        };
        self.len += 1;
    }

    /// Delay to have in hand at `now` for a stall that comes within `ahead`. Who has a millisecond more for so long pays as
    /// much as a millisecond of gap costs, if `ahead` is what that is worth.
    pub(crate) fn expected(&mut self, now: i64, ahead: i64) -> i64 {
        let [first, .., last] = self.known;
        let interval = (last.ended - first.ended) / (KNOWN as i64 - 1);
        if self.len < KNOWN || !INTERVALS.contains(&interval) {
            return 0;
        }
        let regular = |pair: &[Stall]| {
            let differs = pair[1].ended - pair[0].ended - interval;
            differs.abs() <= TOLERANCE
        };
        if !self.known.windows(2).all(regular) {
            return 0;
        }
        let length = self
            .known
            .iter()
            .map(|stall| stall.length)
            .min()
            .unwrap_or(0);
        let next = last.ended + interval;
        if now > next + TOLERANCE {
            // It didn't come.
            self.len = 0;
            return 0;
        }
        if now < next - length - ahead {
            return 0;
        }
        length.min(MOST)
    }

    pub(crate) fn reset(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000 * MS;
    const AHEAD: i64 = 2 * SECOND;

    fn stalls(ends: &[i64]) -> Stalls {
        let mut stalls = Stalls::default();
        for &end in ends {
            stalls.observe(end, 200 * MS);
            // What comes behind the first packet is the same stall.
            stalls.observe(end + 5 * MS, 180 * MS);
        }
        stalls
    }

    #[test]
    fn the_fifth_of_a_row_is_expected_just_before_it_comes() {
        let mut stalls = stalls(&[20 * SECOND, 40 * SECOND, 60 * SECOND + 50 * MS, 80 * SECOND]);
        assert_eq!(stalls.expected(81 * SECOND, AHEAD), 0);
        assert_eq!(stalls.expected(97 * SECOND, AHEAD), 0);
        assert_eq!(stalls.expected(98 * SECOND, AHEAD), 200 * MS);
        assert_eq!(stalls.expected(100 * SECOND, AHEAD), 200 * MS);
        stalls.observe(100 * SECOND, 210 * MS);
        assert_eq!(stalls.expected(100 * SECOND, AHEAD), 0);
    }

    #[test]
    fn one_that_does_not_come_is_not_waited_for_again() {
        let mut stalls = stalls(&[20 * SECOND, 40 * SECOND, 60 * SECOND, 80 * SECOND]);
        assert_eq!(stalls.expected(101 * SECOND, AHEAD), 0);
        assert_eq!(stalls.expected(120 * SECOND, AHEAD), 0);
    }

    #[test]
    fn what_comes_by_chance_or_often_is_not_expected() {
        for ends in [
            [20, 40, 61, 80].map(|s| s * SECOND),
            [2, 4, 6, 8].map(|s| s * SECOND),
        ] {
            let mut stalls = stalls(&ends);
            let last = ends[3];
            assert!((0..30).all(|s| stalls.expected(last + s * SECOND, AHEAD) == 0));
        }
    }
}
