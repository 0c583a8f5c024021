//! Is the microphone overdriven? Judged before anything is done to its sound.

use crate::frame::{SAMPLES_PER_MS, Stereo};

/// Full scale, but for the rounding of 8 bits.
const FULL_SCALE: f32 = 0.99;
/// A wave that only touches full scale is not there for longer.
const IN_A_ROW: usize = 4;
/// One slip is a knock at the table; this many within [`MEMORY`] is a level.
const TIMES: usize = 3;
const MEMORY: usize = 2_000 * SAMPLES_PER_MS;
/// Long enough to be read.
const SHOWN: usize = 5_000 * SAMPLES_PER_MS;

#[derive(Default)]
pub(crate) struct ClippingDetector {
    in_a_row: [usize; 2],
    times: usize,
    since_last: usize,
    shown: usize,
}

impl ClippingDetector {
    pub(crate) fn push(&mut self, samples: &[Stereo]) {
        for sample in samples {
            let mut clipped = false;
            for (side, in_a_row) in sample.iter().zip(&mut self.in_a_row) {
                *in_a_row = if side.abs() >= FULL_SCALE {
                    *in_a_row + 1
                } else {
                    0
                };
                clipped |= *in_a_row == IN_A_ROW;
            }
            self.since_last += 1;
            self.shown = self.shown.saturating_sub(1);
            if clipped {
                self.times += 1;
                self.since_last = 0;
            } else if self.since_last > MEMORY {
                self.times = 0;
            }
            if self.times >= TIMES && clipped {
                self.shown = SHOWN;
            }
        }
    }

    /// It is overdriven, or was a moment ago.
    pub(crate) fn clipping(&self) -> bool {
        self.shown > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f32, seconds: usize) -> Vec<Stereo> {
        (0..seconds * 48_000)
            .map(|i| [(amplitude * (i as f32 * 0.02).sin()).clamp(-1.0, 1.0); 2])
            .collect()
    }

    #[test]
    fn an_overdriven_microphone_is_told_for_a_while() {
        let mut detector = ClippingDetector::default();
        detector.push(&tone(0.95, 1));
        assert!(!detector.clipping(), "loud is not clipped");
        detector.push(&tone(1.5, 1));
        assert!(detector.clipping());
        detector.push(&tone(0.2, 4));
        assert!(detector.clipping(), "still to be read");
        detector.push(&tone(0.2, 2));
        assert!(!detector.clipping());
    }

    #[test]
    fn single_knocks_and_broken_samples_are_nothing() {
        let mut detector = ClippingDetector::default();
        for _ in 0..10 {
            detector.push(&[[1.0; 2]; 40]);
            detector.push(&tone(0.1, 3));
        }
        detector.push(&[[f32::NAN; 2]; 40]);
        assert!(!detector.clipping());
    }

    #[test]
    fn either_side_counts() {
        let mut detector = ClippingDetector::default();
        for _ in 0..3 {
            detector.push(&[[0.0, -1.0]; 10]);
            detector.push(&[[0.0; 2]; 10]);
        }
        assert!(detector.clipping());
    }
}
