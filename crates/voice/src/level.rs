//! Loudness of a stretch of samples, shared by the microphone meter, the RTP audio level and the speaking rings.

use crate::frame::{Stereo, tame};

/// What a meter shows for complete silence, dBFS.
pub const SILENCE_DBFS: f32 = -127.0;

/// Peak and RMS amplitude of a stretch of samples; full scale is 1.0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Level {
    pub peak: f32,
    pub rms: f32,
}

impl Level {
    /// Measures `samples`; an empty slice is silence.
    #[must_use]
    pub fn of(samples: &[f32]) -> Self {
        Self::measure(samples.iter().copied())
    }

    /// Of what a device delivers, which may be anything.
    pub(crate) fn of_captured(samples: &[Stereo]) -> Self {
        Self::measure(samples.as_flattened().iter().copied().map(tame))
    }

    fn measure(samples: impl ExactSizeIterator<Item = f32>) -> Self {
        let count = samples.len().max(1);
        let mut peak = 0.0_f32;
        let mut energy = 0.0_f32;
        for sample in samples {
            peak = peak.max(sample.abs());
            energy += sample * sample;
        }
        Self {
            peak,
            rms: (energy / count as f32).sqrt(),
        }
    }

    #[must_use]
    pub fn peak_dbfs(self) -> f32 {
        dbfs(self.peak)
    }

    #[must_use]
    pub fn rms_dbfs(self) -> f32 {
        dbfs(self.rms)
    }

    /// The audio level of RFC 6464: 0 (overload) to 127 (silence), in -dBov.
    #[must_use]
    pub fn rtp_level(self) -> u8 {
        (-self.rms_dbfs()).round().clamp(0.0, 127.0) as u8
    }
}

/// Linear amplitude to dBFS, never below [`SILENCE_DBFS`].
#[must_use]
pub fn dbfs(amplitude: f32) -> f32 {
    (20.0 * amplitude.log10()).max(SILENCE_DBFS)
}

/// dBFS to linear amplitude.
#[must_use]
pub fn amplitude(dbfs: f32) -> f32 {
    10.0_f32.powf(dbfs / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_match_their_definitions() {
        let square = [0.5, -0.5, 0.5, -0.5];
        let level = Level::of(&square);
        assert_eq!((level.peak, level.rms), (0.5, 0.5));
        assert!((level.peak_dbfs() + 6.02).abs() < 0.01);
        assert_eq!(level.rtp_level(), 6);
        assert_eq!(Level::of(&[]).rtp_level(), 127);
        assert_eq!(Level::of(&[1.0, -1.0]).rtp_level(), 0);
        assert_eq!(Level::of(&[2.0]).rtp_level(), 0);
        assert!((amplitude(dbfs(0.1)) - 0.1).abs() < 1e-6);
    }
}
