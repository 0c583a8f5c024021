//! Synthetic speech: what a voice does to detectors, codecs and correlation, from a seed and without a file.
//!
//! A source-filter voice: glottal pulses with a moving pitch, or noise, through three formant resonators that glide
//! from vowel to vowel; syllables rise and fall four times a second; phrases of a few seconds end in a pause.

use std::{f64::consts::TAU, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Speech-like sound of one voice, with a peak of about 0.5. Different seeds are different voices saying
/// different things.
pub fn speech(seed: u64, rate_hz: u32, seconds: f64) -> Vec<f32> {
    let mut voice = Voice::new(seed, f64::from(rate_hz));
    let length = (seconds * f64::from(rate_hz)) as usize;
    let mut samples = Vec::with_capacity(length);
    while samples.len() < length {
        voice.phrase(&mut samples);
    }
    samples.truncate(length);
    normalise(&mut samples);
    samples
}

/// White noise with this root mean square.
pub fn noise(seed: u64, length: usize, rms: f32) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let peak = rms * 3f32.sqrt();
    (0..length)
        .map(|_| rng.random_range(-peak..=peak))
        .collect()
}

/// A second of a tone that has no seam when it is repeated.
pub fn tone(rate_hz: u32) -> Vec<f32> {
    (0..rate_hz)
        .map(|n| ((f64::from(n) * 440.0 * TAU / f64::from(rate_hz)).sin() * 0.3) as f32)
        .collect()
}

pub fn rms(samples: &[f32]) -> f64 {
    let energy: f64 = samples
        .iter()
        .map(|sample| f64::from(*sample).powi(2))
        .sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// The longest stretch of silence between the first and the last sound, and the silence at the end; `None` where nothing is heard
/// at all. In steps of 50 ms.
pub fn silences(samples: &[f32], rate_hz: u32) -> Option<(Duration, Duration)> {
    const PIECE_MS: u64 = 50;
    let pieces: Vec<_> = samples
        .chunks(rate_hz as usize * PIECE_MS as usize / 1_000)
        .map(|piece| rms(piece) > 1e-4)
        .collect();
    let first = pieces.iter().position(|loud| *loud)?;
    let last = pieces.iter().rposition(|loud| *loud)?;
    let longest = pieces[first..=last]
        .split(|loud| *loud)
        .map(<[bool]>::len)
        .max();
    let of = |pieces: usize| Duration::from_millis(pieces as u64 * PIECE_MS);
    Some((of(longest.unwrap_or(0)), of(pieces.len() - 1 - last)))
}

/// First three formants in Hz of a, e, i, o, u.
const VOWELS: [[f64; 3]; 5] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [270.0, 2290.0, 3010.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
];
const BANDWIDTHS_HZ: [f64; 3] = [80.0, 100.0, 140.0];

struct Voice {
    rng: StdRng,
    rate_hz: f64,
    pitch_hz: f64,
    /// Longer and shorter throats shift every formant.
    formant_scale: f64,
    phase: f64,
    formants: [f64; 3],
    resonators: [Resonator; 3],
}

impl Voice {
    fn new(seed: u64, rate_hz: f64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let pitch_hz = rng.random_range(90.0..220.0);
        let formant_scale = rng.random_range(0.9..1.15);
        Self {
            rng,
            rate_hz,
            pitch_hz,
            formant_scale,
            phase: 0.0,
            formants: VOWELS[0],
            resonators: Default::default(),
        }
    }

    /// Six to fourteen syllables and the pause after them.
    fn phrase(&mut self, out: &mut Vec<f32>) {
        let syllables = self.rng.random_range(6..=14);
        for place in 0..syllables {
            let falling = 1.1 - 0.25 * f64::from(place) / f64::from(syllables);
            self.consonant(out);
            self.vowel(out, falling);
        }
        let pause_s = self.rng.random_range(0.25..0.7);
        out.resize(out.len() + (pause_s * self.rate_hz) as usize, 0.0);
    }

    fn consonant(&mut self, out: &mut Vec<f32>) {
        let length = (self.rng.random_range(0.02..0.07) * self.rate_hz) as usize;
        let loudness = self.rng.random_range(0.02..0.12);
        let mut before = 0.0;
        for i in 0..length {
            let white: f64 = self.rng.random_range(-1.0..1.0);
            let hiss = white - before; // consonants live in the treble
            before = white;
            out.push((hiss * loudness * swell(i, length)) as f32);
        }
    }

    fn vowel(&mut self, out: &mut Vec<f32>, pitch_factor: f64) {
        let length = (self.rng.random_range(0.12..0.26) * self.rate_hz) as usize;
        let target =
            VOWELS[self.rng.random_range(0..VOWELS.len())].map(|hz| hz * self.formant_scale);
        let loudness = self.rng.random_range(0.6..1.0);
        let pitch_hz = self.pitch_hz * pitch_factor * self.rng.random_range(0.92..1.08);
        let glide = 1.0 - (-1.0 / (0.03 * self.rate_hz)).exp();
        for i in 0..length {
            for (formant, target) in self.formants.iter_mut().zip(target) {
                *formant += (target - *formant) * glide;
            }
            self.phase += pitch_hz / self.rate_hz * (1.0 + 0.01 * self.rng.random_range(-1.0..1.0));
            self.phase -= self.phase.floor();
            // An opening and a quicker closing of the glottis, with a little breath.
            let pulse = if self.phase < 0.6 {
                (self.phase / 0.6 * TAU / 2.0).sin().powi(2)
            } else {
                0.0
            };
            let source = pulse - 0.3 + 0.02 * self.rng.random_range(-1.0..1.0);
            let mut sound = 0.0;
            for ((resonator, hz), bandwidth_hz) in self
                .resonators
                .iter_mut()
                .zip(self.formants)
                .zip(BANDWIDTHS_HZ)
            {
                sound += resonator.step(source, hz / self.rate_hz, bandwidth_hz / self.rate_hz);
            }
            out.push((sound * loudness * swell(i, length)) as f32);
        }
    }
}

/// A band around one formant: two poles, zeros at 0 Hz and half the sample rate, gain 1 at the middle.
#[derive(Default)]
struct Resonator {
    x: [f64; 2],
    y: [f64; 2],
}

impl Resonator {
    /// Frequencies in cycles per sample.
    fn step(&mut self, x: f64, frequency: f64, bandwidth: f64) -> f64 {
        let radius = (-TAU / 2.0 * bandwidth).exp();
        let gain = (1.0 - radius * radius) / 2.0;
        let y = gain * (x - self.x[1]) + 2.0 * radius * (TAU * frequency).cos() * self.y[0]
            - radius * radius * self.y[1];
        self.x = [x, self.x[0]];
        self.y = [y, self.y[0]];
        y
    }
}

/// 0 to 1 to 0 over `length`, quick at both ends.
fn swell(i: usize, length: usize) -> f64 {
    (TAU / 2.0 * (i as f64 + 0.5) / length as f64).sin().sqrt()
}

fn normalise(samples: &mut [f32]) {
    let peak = samples
        .iter()
        .fold(0f32, |peak, sample| peak.max(sample.abs()));
    if peak > 0.0 {
        for sample in samples {
            *sample *= 0.5 / peak;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_says_the_same() {
        assert_eq!(speech(3, 48_000, 1.0), speech(3, 48_000, 1.0));
        assert_ne!(speech(3, 48_000, 1.0), speech(4, 48_000, 1.0));
        assert_eq!(speech(3, 48_000, 1.5).len(), 72_000);
    }

    #[test]
    fn it_is_as_loud_as_a_voice_and_has_pauses() {
        let samples = speech(1, 48_000, 20.0);
        let peak = samples
            .iter()
            .fold(0f32, |peak, sample| peak.max(sample.abs()));
        assert_eq!(peak, 0.5);
        let blocks = samples
            .chunks_exact(480)
            .map(|block| (block.iter().map(|s| s * s).sum::<f32>() / 480.0).sqrt());
        let (mut quiet, mut loud) = (0, 0);
        for rms in blocks {
            quiet += i32::from(rms < 0.001);
            loud += i32::from(rms > 0.02);
        }
        assert!(
            (100..800).contains(&quiet),
            "{quiet} of 2000 blocks are quiet"
        );
        assert!(loud > 1000, "{loud} of 2000 blocks are loud");
    }

    #[test]
    fn a_voice_detector_takes_it_for_speech_and_noise_for_none() {
        let heard = |samples: &[f32]| {
            let mut detector = earshot::Detector::default();
            let frames = samples.chunks_exact(256);
            let count = frames.len() as f64;
            frames
                .filter(|frame| detector.predict_f32(frame) > 0.5)
                .count() as f64
                / count
        };
        for seed in 0..5 {
            let share = heard(&speech(seed, 16_000, 20.0));
            assert!(share > 0.5, "seed {seed}: only {share} heard as speech");
        }
        let share = heard(&noise(1, 16_000 * 20, 0.05));
        assert!(share < 0.1, "{share} of noise heard as speech");
    }
}
