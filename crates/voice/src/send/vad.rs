//! Is somebody speaking? The `earshot` detector, fed at its own rate.

use earshot::Detector;

/// The detector wants 16 kHz.
const DECIMATION: usize = 3;
/// Samples at 16 kHz in one analysis (16 ms).
const ANALYSIS: usize = 256;
const TAPS: usize = 63;

pub(crate) struct VoiceDetector {
    decimator: Decimator,
    analysis: [f32; ANALYSIS],
    filled: usize,
    detector: Box<Detector>,
    score: f32,
}

impl VoiceDetector {
    pub(crate) fn new() -> Self {
        Self {
            decimator: Decimator::new(),
            analysis: [0.0; ANALYSIS],
            filled: 0,
            detector: Box::default(),
            score: 0.0,
        }
    }

    /// Listens to samples in [-1, 1] at 48 kHz. Returns the highest likelihood of speech, 0..1, of the analyses
    /// that these samples completed, or the last known one when they completed none.
    pub(crate) fn push(&mut self, samples: &[f32]) -> f32 {
        let mut best: Option<f32> = None;
        for &sample in samples {
            let Some(low) = self.decimator.push(sample) else {
                continue;
            };
            // The filter may overshoot full scale, which the detector doesn't accept.
            self.analysis[self.filled] = low.clamp(-1.0, 1.0);
            self.filled += 1;
            if self.filled == ANALYSIS {
                self.filled = 0;
                self.score = self.detector.predict_f32(&self.analysis);
                best = Some(best.unwrap_or(0.0).max(self.score));
            }
        }
        best.unwrap_or(self.score)
    }
}

/// 48 kHz to 16 kHz: a windowed-sinc low-pass (-6 dB at 7.2 kHz, below -50 dB from 9 kHz), computed only for
/// the samples that are kept. 0.65 ms of delay.
struct Decimator {
    taps: [f32; TAPS],
    history: [f32; TAPS],
    next: usize,
    phase: usize,
}

impl Decimator {
    fn new() -> Self {
        let cutoff = 7_200.0 / 48_000.0;
        let mut taps = [0.0_f64; TAPS];
        for (i, tap) in taps.iter_mut().enumerate() {
            let x = i as f64 - (TAPS - 1) as f64 / 2.0;
            let sinc = if x == 0.0 {
                2.0 * cutoff
            } else {
                (2.0 * std::f64::consts::PI * cutoff * x).sin() / (std::f64::consts::PI * x)
            };
            let turn = 2.0 * std::f64::consts::PI * i as f64 / (TAPS - 1) as f64;
            let blackman = 0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
            *tap = sinc * blackman;
        }
        let sum: f64 = taps.iter().sum();
        Self {
            taps: taps.map(|tap| (tap / sum) as f32),
            history: [0.0; TAPS],
            next: 0,
            phase: 0,
        }
    }

    fn push(&mut self, sample: f32) -> Option<f32> {
        self.history[self.next] = sample;
        self.next = (self.next + 1) % TAPS;
        self.phase = (self.phase + 1) % DECIMATION;
        if self.phase != 0 {
            return None;
        }
        // The taps are symmetric, so the order in which history meets them doesn't matter but for the seam.
        let (newest, oldest) = self.history.split_at(self.next);
        let samples = oldest.iter().chain(newest);
        Some(samples.zip(&self.taps).map(|(s, t)| s * t).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimated_rms(frequency_hz: f32) -> f32 {
        let mut decimator = Decimator::new();
        let out: Vec<f32> = (0..48_000)
            .filter_map(|i| {
                decimator.push((i as f32 * frequency_hz * std::f32::consts::TAU / 48_000.0).sin())
            })
            .skip(100)
            .collect();
        (out.iter().map(|s| s * s).sum::<f32>() / out.len() as f32).sqrt()
    }

    #[test]
    fn decimator_keeps_speech_and_stops_aliases() {
        let full = std::f32::consts::FRAC_1_SQRT_2;
        for frequency_hz in [100.0, 1_000.0, 3_400.0, 6_000.0] {
            let gain_db = 20.0 * (decimated_rms(frequency_hz) / full).log10();
            assert!(gain_db.abs() < 0.5, "{frequency_hz} Hz: {gain_db} dB");
        }
        for frequency_hz in [9_000.0, 10_500.0, 15_000.0, 22_000.0] {
            let gain_db = 20.0 * (decimated_rms(frequency_hz) / full).log10();
            assert!(gain_db < -50.0, "{frequency_hz} Hz: {gain_db} dB");
        }
    }
}
