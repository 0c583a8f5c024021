//! The last frames that were not sent: where the first syllable is when the detector becomes sure of it.

use crate::frame::{FrameLength, SAMPLES_PER_MS};
use crate::level::Level;

/// Once it was sure of a vowel, the detector has needed up to three of its 16 ms analyses; of a hiss it isn't sure at
/// all: a long "sh" fits.
const AT_MOST: usize = 160 * SAMPLES_PER_MS;
/// Sent whatever is in it: the faint beginning of the first sound.
const ALWAYS: usize = 20 * SAMPLES_PER_MS;
/// A plosive is silent for this long before the vowel.
const CLOSURE: usize = 40 * SAMPLES_PER_MS;
/// Something is heard from 6 dB above the background on...
const ABOVE_BACKGROUND: f32 = 2.0;
/// ...if it is no fainter than -60 dBFS, and than 40 dB below the sound it leads to.
const AUDIBLE: f32 = 1e-3;
const BELOW_SPEECH: f32 = 1e-2;
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
        if frame.len() != self.frame {
            // Music in stereo, in which nothing is detected.
            return;
        }
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

    /// How many of the last frames belong to what begins now, with a frame of level `rms`. Every one that doesn't
    /// would only be delay to the listener.
    pub(crate) fn worth_sending(&self, rms: f32) -> usize {
        let loudest = self.loudness(0..self.len).fold(rms, f32::max);
        let audible = (self.background * ABOVE_BACKGROUND)
            .max(AUDIBLE)
            .max(loudest * BELOW_SPEECH);
        let closure = CLOSURE / self.frame;
        let mut worth = 0;
        for (back, loudness) in self.loudness((0..self.len).rev()).enumerate() {
            if loudness > audible {
                // One more, for the very beginning of it.
                worth = back + 2;
            } else if back > worth + closure {
                break;
            }
        }
        worth.max(ALWAYS.div_ceil(self.frame)).min(self.len)
    }

    /// The last `count` frames, oldest first.
    pub(crate) fn last(&self, count: usize) -> impl Iterator<Item = &[f32]> {
        (self.len - count.min(self.len)..self.len)
            .map(|i| &self.samples[self.slot(i) * self.frame..][..self.frame])
    }

    fn loudness(&self, frames: impl Iterator<Item = usize>) -> impl Iterator<Item = f32> {
        frames.map(|i| self.loudness[self.slot(i)])
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
        assert_eq!(preroll.worth_sending(0.1), 0);
    }

    /// What of `before`, after a second of quiet, is sent with a loud frame.
    fn worth(before: &[[f32; 480]]) -> usize {
        let mut preroll = PreRoll::new(FrameLength::Ms10);
        for frame in [QUIET; 100].iter().chain(before) {
            preroll.push(frame);
        }
        preroll.worth_sending(0.1)
    }

    #[test]
    fn reaches_back_to_where_the_sound_began() {
        assert_eq!(worth(&[]), 2);
        assert_eq!(worth(&[HISS; 9]), 10);
        assert_eq!(worth(&[HISS; 50]), 16);
        assert_eq!(worth(&[HISS; 400]), 2, "it is the background now");
    }

    #[test]
    fn a_plosive_is_sent_with_its_closure() {
        assert_eq!(worth(&[HISS, QUIET, QUIET, QUIET]), 5);
        let long_before = [&[HISS][..], &[QUIET; 8]].concat();
        assert_eq!(worth(&long_before), 2);
    }

    #[test]
    fn what_is_masked_by_the_speech_it_leads_to_is_left_out() {
        let mut preroll = PreRoll::new(FrameLength::Ms10);
        for level in [0.0; 100].iter().chain(&[0.002; 9]) {
            preroll.push(&[*level; 480]);
        }
        assert_eq!(preroll.worth_sending(0.1), 10);
        assert_eq!(preroll.worth_sending(0.5), 2);
    }
}
