//! Opus decoding: frames, redundancy, concealment.

use crate::frame::{MAX_FRAME_SAMPLES, SAMPLE_RATE_HZ};
use crate::libopus::{Decoder, Dred, OpusError};

/// Samples in `payload`, if it is an Opus packet of a length that is played here.
pub(crate) fn packet_samples(payload: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(payload, SAMPLE_RATE_HZ).ok()?;
    (samples > 0 && samples <= MAX_FRAME_SAMPLES).then_some(samples as u32)
}

/// Complexity of decoding with which a neural network conceals what is lost.
const DEEP_CONCEALMENT: u8 = 5;
/// And one without.
const PLAIN_CONCEALMENT: u8 = 0;
/// Deep redundancy is looked for so far back at most, samples (400 ms).
const MOST_DRED: i32 = 19_200;

pub(crate) struct FrameDecoder {
    decoder: Decoder,
    dred: Dred,
    /// The packet that `dred` was read from last, and which samples before it that tells of.
    dred_read: Option<(i64, std::ops::Range<i32>)>,
    /// Last packet was pure CELT, which can be concealed in short steps.
    celt: bool,
    /// What is made up next must not cost much.
    thrifty: bool,
    /// How often the neural network made something up or restored it, up to 10 ms each time.
    neural: u32,
    pub(crate) pcm: Box<[f32; MAX_FRAME_SAMPLES]>,
}

impl FrameDecoder {
    pub(crate) fn new() -> Result<Self, OpusError> {
        let mut decoder = Decoder::new()?;
        decoder.set_complexity(DEEP_CONCEALMENT)?;
        Ok(Self {
            decoder,
            dred: Dred::new()?,
            dred_read: None,
            celt: true,
            thrifty: false,
            neural: 0,
            pcm: Box::new([0.0; MAX_FRAME_SAMPLES]),
        })
    }

    pub(crate) fn reset(&mut self) {
        // Only fails on a broken pointer; stale state would be heard, not fatal.
        let _ = self.decoder.reset();
        self.dred_read = None;
    }

    /// Conceals with or without neural network from now on.
    pub(crate) fn be_thrifty(&mut self, thrifty: bool) {
        if self.thrifty == thrifty {
            return;
        }
        let complexity = if thrifty {
            PLAIN_CONCEALMENT
        } else {
            DEEP_CONCEALMENT
        };
        if self.decoder.set_complexity(complexity).is_ok() {
            self.thrifty = thrifty;
        }
    }

    /// How often the neural network was used since the last call.
    pub(crate) fn take_neural(&mut self) -> u32 {
        std::mem::take(&mut self.neural)
    }

    /// Decodes a packet into [`pcm`](Self::pcm). Returns how many samples, or nothing when Opus refuses it.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Option<usize> {
        self.celt = payload.first()? >> 3 >= 16;
        let decoded = self.decoder.decode(payload, &mut self.pcm[..], false);
        self.checked(decoded)
    }

    /// Restores the frame before `payload` from its redundancy.
    pub(crate) fn recover(&mut self, payload: &[u8], samples: usize) -> Option<usize> {
        let samples = samples.min(MAX_FRAME_SAMPLES);
        let decoded = self.decoder.decode(payload, &mut self.pcm[..samples], true);
        self.checked(decoded)
    }

    /// How many samples before packet `sequence` its deep redundancy reaches back.
    pub(crate) fn dred_reach(&mut self, sequence: i64, payload: &[u8]) -> i64 {
        self.read_dred(sequence, payload)
            .map_or(0, |reach| i64::from(reach.end))
    }

    /// Restores about 10 ms from what the packet `sequence` tells of the time `back` samples before it.
    pub(crate) fn recover_deep(
        &mut self,
        sequence: i64,
        payload: &[u8],
        back: i64,
    ) -> Option<usize> {
        let reach = self.read_dred(sequence, payload)?;
        let back = i32::try_from(back)
            .ok()
            .filter(|back| reach.contains(back) || *back == reach.end)?;
        let step = if self.celt {
            480.min(back as usize / 120 * 120)
        } else {
            480
        };
        if step == 0 {
            return None;
        }
        self.neural += 1;
        let decoded = self
            .decoder
            .decode_dred(&self.dred, back, &mut self.pcm[..step]);
        self.checked(decoded)
    }

    fn read_dred(&mut self, sequence: i64, payload: &[u8]) -> Option<std::ops::Range<i32>> {
        if let Some((read, reach)) = &self.dred_read
            && *read == sequence
        {
            return (!reach.is_empty()).then(|| reach.clone());
        }
        let reach = self.dred.read(payload, MOST_DRED);
        self.dred_read = Some((sequence, reach.clone().unwrap_or(0..0)));
        reach
    }

    /// Makes up what comes next, about 10 ms of it. Returns how many samples.
    pub(crate) fn conceal(&mut self, frame: usize) -> usize {
        // Opus fades by steps, so each should be long; SILK can't make less than 10 ms.
        let step = if self.celt {
            frame.clamp(120, 480)
        } else {
            480
        };
        self.neural += u32::from(!self.thrifty);
        let decoded = self.decoder.conceal(&mut self.pcm[..step]);
        if let Some(samples) = self.checked(decoded) {
            return samples;
        }
        self.pcm[..step].fill(0.0);
        step
    }

    fn checked(&mut self, decoded: Result<usize, OpusError>) -> Option<usize> {
        let samples = decoded.ok().filter(|&samples| samples > 0)?;
        // A hostile packet may decode to anything; it must not poison the mix.
        for sample in &mut self.pcm[..samples] {
            *sample = if sample.is_finite() {
                sample.clamp(-2.0, 2.0)
            } else {
                0.0
            };
        }
        Some(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_lengths_come_from_the_first_byte() {
        assert_eq!(packet_samples(&[]), None);
        // CELT fullband 2.5, 5, 10, 20 ms.
        for (config, samples) in [(28, 120), (29, 240), (30, 480), (31, 960)] {
            assert_eq!(packet_samples(&[config << 3, 0]), Some(samples));
        }
        // Three frames of 60 ms are legal Opus, but longer than what is played here.
        assert_eq!(packet_samples(&[11 << 3 | 3, 3, 0, 0]), None);
    }
}
