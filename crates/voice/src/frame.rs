//! Frames of sound: rates, lengths, limits.

use std::fmt;
use std::str::FromStr;

/// The one sample rate of the engine, which is also the RTP clock of Opus (RFC 7587).
pub const SAMPLE_RATE_HZ: u32 = 48_000;
/// Samples in a millisecond.
pub const SAMPLES_PER_MS: usize = SAMPLE_RATE_HZ as usize / 1_000;
/// Longest frame that is sent or accepted, samples (60 ms).
pub const MAX_FRAME_SAMPLES: usize = 60 * SAMPLES_PER_MS;
/// Longest Opus packet that is sent or accepted, bytes: one frame at its largest (RFC 6716, 3.4).
pub const MAX_PAYLOAD_BYTES: usize = 1_275;

/// One instant of sound: left and right, full scale 1.0.
pub type Stereo = [f32; 2];

/// The same on both sides.
#[must_use]
pub const fn from_mono(sample: f32) -> Stereo {
    [sample; 2]
}

/// Both sides' mean, which gives [`from_mono`] its sample back.
#[must_use]
pub fn to_mono([left, right]: Stereo) -> f32 {
    (left + right) * 0.5
}

/// What is sent of both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Their mean.
    #[default]
    Mono,
    Stereo,
}

impl Channels {
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}

/// How much sound travels in one packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameLength {
    Ms2_5,
    Ms5,
    #[default]
    Ms10,
    Ms20,
    Ms40,
    Ms60,
}

impl FrameLength {
    pub const ALL: [Self; 6] = [
        Self::Ms2_5,
        Self::Ms5,
        Self::Ms10,
        Self::Ms20,
        Self::Ms40,
        Self::Ms60,
    ];

    /// Samples at 48 kHz.
    #[must_use]
    pub const fn samples(self) -> usize {
        match self {
            Self::Ms2_5 => 120,
            Self::Ms5 => 240,
            Self::Ms10 => 480,
            Self::Ms20 => 960,
            Self::Ms40 => 1_920,
            Self::Ms60 => 2_880,
        }
    }

    #[must_use]
    pub fn as_ms(self) -> f32 {
        self.samples() as f32 / SAMPLES_PER_MS as f32
    }
}

impl fmt::Display for FrameLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_ms())
    }
}

/// The text isn't one of Opus' frame lengths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a frame has 2.5, 5, 10, 20, 40 or 60 ms")]
pub struct ParseFrameLength;

impl FromStr for FrameLength {
    type Err = ParseFrameLength;

    /// Reads milliseconds, as [`Display`](fmt::Display) writes them.
    fn from_str(text: &str) -> Result<Self, ParseFrameLength> {
        let ms: f32 = text.trim().parse().map_err(|_| ParseFrameLength)?;
        Self::ALL
            .into_iter()
            .find(|length| length.as_ms() == ms)
            .ok_or(ParseFrameLength)
    }
}

/// A sample as sound: devices may deliver anything.
pub(crate) fn tame(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_of_mono_is_mono_again() {
        for sample in [0.0, 0.1, -1.0, f32::MIN_POSITIVE] {
            assert_eq!(to_mono(from_mono(sample)), sample);
        }
        assert_eq!(to_mono([1.0, 0.0]), 0.5);
    }

    #[test]
    fn frame_lengths_read_and_print() {
        for length in FrameLength::ALL {
            assert_eq!(length.to_string().parse(), Ok(length));
        }
        assert_eq!("2.5".parse(), Ok(FrameLength::Ms2_5));
        assert_eq!("15".parse::<FrameLength>(), Err(ParseFrameLength));
        assert_eq!("".parse::<FrameLength>(), Err(ParseFrameLength));
    }
}
