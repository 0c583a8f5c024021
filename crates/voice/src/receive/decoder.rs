//! Opus decoding: frames, redundancy, concealment.

use opus::{Channels, Decoder};

use crate::frame::{MAX_FRAME_SAMPLES, SAMPLE_RATE_HZ};

/// Samples in `payload`, if it is an Opus packet of a length that is played here.
pub(crate) fn packet_samples(payload: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(payload, SAMPLE_RATE_HZ).ok()?;
    (samples > 0 && samples <= MAX_FRAME_SAMPLES).then_some(samples as u32)
}

/// True when the packet carries a copy of the frame before it (RFC 6716, 4.2.3 and 4.2.4).
pub(crate) fn has_redundancy(payload: &[u8]) -> bool {
    let [toc, first, ..] = payload else {
        return false;
    };
    let config = toc >> 3;
    // CELT has none; of the packets with several frames only those without a length in between are looked at.
    if config >= 16 || toc & 0b11 != 0 {
        return false;
    }
    let silk_frames = match config {
        12.. => 1,
        config => match config & 0b11 {
            2 => 2,
            3 => 3,
            _ => 1,
        },
    };
    // One voice activity bit a SILK frame, then the flag.
    first >> (7 - silk_frames) & 1 == 1
}

pub(crate) struct FrameDecoder {
    decoder: Decoder,
    /// Last packet was pure CELT, which can be concealed in short steps.
    celt: bool,
    pub(crate) pcm: Box<[f32; MAX_FRAME_SAMPLES]>,
}

impl FrameDecoder {
    pub(crate) fn new() -> Result<Self, opus::Error> {
        Ok(Self {
            decoder: Decoder::new(SAMPLE_RATE_HZ, Channels::Mono)?,
            celt: true,
            pcm: Box::new([0.0; MAX_FRAME_SAMPLES]),
        })
    }

    pub(crate) fn reset(&mut self) {
        // Only fails on a broken pointer; stale state would be heard, not fatal.
        let _ = self.decoder.reset_state();
    }

    /// Decodes a packet into [`pcm`](Self::pcm). Returns how many samples, or nothing when Opus refuses it.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Option<usize> {
        self.celt = payload.first()? >> 3 >= 16;
        let decoded = self.decoder.decode_float(payload, &mut self.pcm[..], false);
        self.checked(decoded)
    }

    /// Restores the frame before `payload` from its redundancy.
    pub(crate) fn recover(&mut self, payload: &[u8], samples: usize) -> Option<usize> {
        let samples = samples.min(MAX_FRAME_SAMPLES);
        let decoded = self
            .decoder
            .decode_float(payload, &mut self.pcm[..samples], true);
        self.checked(decoded)
    }

    /// Makes up what comes next, about 10 ms of it. Returns how many samples.
    pub(crate) fn conceal(&mut self, frame: usize) -> usize {
        // Opus fades by steps, so each should be long; SILK can't make less than 10 ms.
        let step = if self.celt {
            frame.clamp(120, 480)
        } else {
            480
        };
        let decoded = self.decoder.decode_float(&[], &mut self.pcm[..step], false);
        if let Some(samples) = self.checked(decoded) {
            return samples;
        }
        self.pcm[..step].fill(0.0);
        step
    }

    fn checked(&mut self, decoded: Result<usize, opus::Error>) -> Option<usize> {
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

    #[test]
    fn redundancy_is_only_in_silk() {
        assert!(!has_redundancy(&[31 << 3, 0xff]));
        assert!(!has_redundancy(&[]));
        assert!(!has_redundancy(&[0]));
        assert!(has_redundancy(&[9 << 3, 0b0100_0000]));
        assert!(!has_redundancy(&[9 << 3, 0b1000_0000]));
        assert!(has_redundancy(&[11 << 3, 0b0001_0000]));
    }
}
