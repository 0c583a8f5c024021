//! The last frames that were not sent: where the first syllable is when the detector becomes sure of it.

use crate::frame::{FrameLength, SAMPLES_PER_MS};
use crate::level::Level;

/// The detector needs up to three of its 16 ms analyses to be sure of a vowel.
const ALWAYS: usize = 60 * SAMPLES_PER_MS;
/// It isn't sure of a hiss at all, so as long as something is heard, this much: a long "sh".
const AT_MOST: usize = 160 * SAMPLES_PER_MS;
/// Something is heard from 6 dB above the background on.
const ABOVE_BACKGROUND: f32 = 2.0;
/// How fast the estimate of the background rises, a second (9 dB); it falls at once.
const BACKGROUND_RISE: f32 = 2.8;
/// Frames of the shortest length that fit.
const MAX_FRAMES: usize = AT_MOST / FrameLength::Ms2_5.samples();

pub(crate) struct PreRoll {
    samples: Box<[f32; AT_MOST]>,
    /// RMS of each frame.
    loudness: [f32; MAX_FRAMES],
    frame: usize,
    oldest: usize,
    len: usize,
    background: f32,
}

impl PreRoll {
    pub(crate) fn new(length: FrameLength) -> Self {
        Self {
            samples: Box::new([0.0; AT_MOST]),
            loudness: [0.0; MAX_FRAMES],
            frame: length.samples(),
            oldest: 0,
            len: 0,
            background: 1.0,
        }
    }

    /// Empties it for frames of another length.
    pub(crate) fn set_length(&mut self, length: FrameLength) {
        self.frame = length.samples();
        self.clear();
    }

    pub(crate) fn clear(&mut self) {
        self.oldest = 0;
        self.len = 0;
    }

    /// Remembers a frame, and forgets the oldest when full.
    pub(crate) fn push(&mut self, frame: &[f32]) {
        let capacity = self.capacity();
        let slot = self.slot(self.len);
        self.samples[slot * self.frame..][..self.frame].copy_from_slice(frame);
        let rms = Level::of(frame).rms;
        self.loudness[slot] = rms;
        let seconds = self.frame as f32 / (1_000 * SAMPLES_PER_MS) as f32;
        let risen = self.background.max(1e-6) * BACKGROUND_RISE.powf(seconds);
        self.background = rms.min(risen);
        if self.len < capacity {
            self.len += 1;
        } else {
            self.oldest = (self.oldest + 1) % capacity;
        }
    }

    /// How many of the last frames belong to what begins now.
    pub(crate) fn worth_sending(&self) -> usize {
        let always = (ALWAYS / self.frame).max(1).min(self.len);
        let audible = (0..self.len)
            .rev()
            .take_while(|&i| self.loudness[self.slot(i)] > self.background * ABOVE_BACKGROUND)
            .count();
        // One more, for the very beginning of it.
        always.max(audible + 1).min(self.len)
    }

    /// The last `count` frames, oldest first.
    pub(crate) fn last(&self, count: usize) -> impl Iterator<Item = &[f32]> {
        (self.len - count.min(self.len)..self.len)
            .map(|i| &self.samples[self.slot(i) * self.frame..][..self.frame])
    }

    fn slot(&self, i: usize) -> usize {
        (self.oldest + i) % self.capacity()
    }

    fn capacity(&self) -> usize {
        AT_MOST / self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: [f32; 480] = [0.001; 480];
    const HISS: [f32; 480] = [0.01; 480];

    #[test]
    fn holds_the_last_frames_in_order() {
        let mut preroll = PreRoll::new(FrameLength::Ms20);
        for i in 0..17 {
            preroll.push(&[i as f32; 960]);
        }
        let first: Vec<f32> = preroll.last(3).map(|frame| frame[0]).collect();
        assert_eq!(first, [14.0, 15.0, 16.0]);
        assert_eq!(preroll.last(100).count(), 8);
        preroll.clear();
        assert_eq!(preroll.last(3).count(), 0);
        assert_eq!(preroll.worth_sending(), 0);
    }

    #[test]
    fn reaches_back_to_where_the_sound_began() {
        let mut preroll = PreRoll::new(FrameLength::Ms10);
        for _ in 0..100 {
            preroll.push(&QUIET);
        }
        assert_eq!(preroll.worth_sending(), 6);
        for _ in 0..9 {
            preroll.push(&HISS);
        }
        assert_eq!(preroll.worth_sending(), 10);
        for _ in 0..50 {
            preroll.push(&HISS);
        }
        assert_eq!(preroll.worth_sending(), 16);
        for _ in 0..300 {
            preroll.push(&HISS);
        }
        assert_eq!(preroll.worth_sending(), 6, "it is the background now");
    }
}
