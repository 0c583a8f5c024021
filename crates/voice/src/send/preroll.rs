//! The last frames that were not sent: where the first syllable is when the detector becomes sure of it.

use crate::frame::{FrameLength, MAX_FRAME_SAMPLES};

/// 60 ms, or as many whole frames as fit: the detector needs up to two of its 16 ms analyses, and quiet
/// consonants before a vowel are longer than that.
const PRE_ROLL_SAMPLES: usize = MAX_FRAME_SAMPLES;

pub(crate) struct PreRoll {
    samples: Box<[f32; PRE_ROLL_SAMPLES]>,
    frame: usize,
    oldest: usize,
    len: usize,
}

impl PreRoll {
    pub(crate) fn new(length: FrameLength) -> Self {
        Self {
            samples: Box::new([0.0; PRE_ROLL_SAMPLES]),
            frame: length.samples(),
            oldest: 0,
            len: 0,
        }
    }

    /// Empties it for frames of another length.
    pub(crate) fn set_length(&mut self, length: FrameLength) {
        self.frame = length.samples();
        self.clear();
    }

    /// Frames held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.oldest = 0;
        self.len = 0;
    }

    /// Remembers a frame, and forgets the oldest when full.
    pub(crate) fn push(&mut self, frame: &[f32]) {
        let capacity = self.capacity();
        let slot = (self.oldest + self.len) % capacity;
        self.samples[slot * self.frame..][..self.frame].copy_from_slice(frame);
        if self.len < capacity {
            self.len += 1;
        } else {
            self.oldest = (self.oldest + 1) % capacity;
        }
    }

    /// Oldest first.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[f32]> {
        (0..self.len).map(|i| {
            let slot = (self.oldest + i) % self.capacity();
            &self.samples[slot * self.frame..][..self.frame]
        })
    }

    fn capacity(&self) -> usize {
        PRE_ROLL_SAMPLES / self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_last_60_ms_in_order() {
        let mut preroll = PreRoll::new(FrameLength::Ms20);
        for i in 0..7 {
            preroll.push(&[i as f32; 960]);
        }
        let first: Vec<f32> = preroll.frames().map(|frame| frame[0]).collect();
        assert_eq!(first, [4.0, 5.0, 6.0]);
        preroll.clear();
        assert_eq!(preroll.frames().count(), 0);
    }
}
