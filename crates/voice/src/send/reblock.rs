//! Cuts capture chunks of any length into frames.

use crate::frame::{Channels, FrameLength, MAX_FRAME_SAMPLES, tame};

pub(crate) struct Reblocker {
    /// Interleaved.
    buffer: Box<[f32; 2 * MAX_FRAME_SAMPLES]>,
    filled: usize,
    frame: usize,
    channels: usize,
}

impl Reblocker {
    pub(crate) fn new(length: FrameLength) -> Self {
        Self {
            buffer: Box::new([0.0; 2 * MAX_FRAME_SAMPLES]),
            filled: 0,
            frame: length.samples(),
            channels: 1,
        }
    }

    /// Changes the frames. Returns how many samples of an unfinished one were thrown away.
    pub(crate) fn set(&mut self, length: FrameLength, channels: Channels) -> usize {
        let dropped = self.collected();
        self.channels = channels.count();
        self.frame = length.samples() * self.channels;
        self.filled = 0;
        dropped
    }

    /// Samples of an unfinished frame.
    pub(crate) fn collected(&self) -> usize {
        // A whole one has been read already.
        self.filled % self.frame / self.channels
    }

    /// Takes from the front of interleaved `input`; true when a frame is complete and can be read by [`frame`](Self::frame).
    ///
    /// Capture devices may deliver anything, so what isn't a finite number becomes silence and the rest is
    /// clamped to full scale here, once, for everything that follows.
    pub(crate) fn fill(&mut self, input: &mut &[f32]) -> bool {
        if self.filled == self.frame {
            self.filled = 0;
        }
        let (taken, rest) = input.split_at(input.len().min(self.frame - self.filled));
        for (to, &from) in self.buffer[self.filled..].iter_mut().zip(taken) {
            *to = tame(from);
        }
        self.filled += taken.len();
        *input = rest;
        self.filled == self.frame
    }

    /// Samples until the next frame is complete; at least one.
    pub(crate) fn missing(&self) -> usize {
        match self.filled {
            whole if whole == self.frame => self.frame / self.channels,
            filled => (self.frame - filled) / self.channels,
        }
    }

    pub(crate) fn frame(&self) -> &[f32] {
        &self.buffer[..self.frame]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_comes_out_once_and_in_order() {
        for chunk in [1, 7, 128, 480, 481, 5_000] {
            let input: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
            let mut reblocker = Reblocker::new(FrameLength::Ms10);
            let mut output = Vec::new();
            for mut piece in input.chunks(chunk) {
                while reblocker.fill(&mut piece) {
                    output.extend_from_slice(reblocker.frame());
                }
                assert!(piece.is_empty());
            }
            assert_eq!(output, input[..9_600]);
        }
    }

    #[test]
    fn broken_samples_become_silence() {
        let mut reblocker = Reblocker::new(FrameLength::Ms2_5);
        let mut input: &[f32] = &[f32::NAN, f32::INFINITY, -3.0, 0.5];
        assert!(!reblocker.fill(&mut input));
        let mut rest: &[f32] = &[0.0; 116];
        assert!(reblocker.fill(&mut rest));
        assert_eq!(reblocker.frame()[..4], [0.0, 0.0, -1.0, 0.5]);
    }
}
