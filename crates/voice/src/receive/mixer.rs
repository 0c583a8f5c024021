//! Gains without clicks, and a sum that never clips.

use crate::frame::{SAMPLE_RATE_HZ, SAMPLES_PER_MS, Stereo};

/// A gain arrives within this many samples (10 ms), and takes all of them from 0 to 1.
const RAMP: f32 = (10 * SAMPLES_PER_MS) as f32;
/// Up to here (-3 dBFS) the limiter changes nothing.
const KNEE: f32 = 0.7;
/// The limiter looks at this many samples at once.
const BLOCK: usize = 32;
/// A reduced gain comes back to 1 in about this time, seconds.
const RELEASE_S: f32 = 0.25;

/// A gain that moves to where it is set in small steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gain {
    current: f32,
    target: f32,
    /// Change in a sample at most.
    step: f32,
}

impl Gain {
    pub(crate) fn new(gain: f32) -> Self {
        Self {
            current: gain,
            target: gain,
            step: 1.0 / RAMP,
        }
    }

    pub(crate) fn set(&mut self, gain: f32) {
        if gain != self.target {
            self.target = gain;
            self.step = (gain - self.current).abs().max(1.0) / RAMP;
        }
    }

    /// The gain of the next sample.
    fn step(&mut self) -> f32 {
        let change = (self.target - self.current).clamp(-self.step, self.step);
        self.current += change;
        self.current
    }

    /// Adds `samples` to `out`.
    pub(crate) fn mix(&mut self, samples: &[f32], out: &mut [f32]) {
        for (sum, sample) in out.iter_mut().zip(samples) {
            *sum += sample * self.step();
        }
    }

    /// Adds the halves of the sum and of the difference of two channels, each to its own.
    pub(crate) fn mix_stereo(
        &mut self,
        (mid, side): (&[f32], &[f32]),
        out: (&mut [f32], &mut [f32]),
    ) {
        for (i, (mid_sum, side_sum)) in out.0.iter_mut().zip(out.1).enumerate() {
            let gain = self.step();
            *mid_sum += mid[i] * gain;
            *side_sum += side[i] * gain;
        }
    }

    pub(crate) fn apply(&mut self, samples: &mut [Stereo]) {
        for sample in samples {
            let gain = self.step();
            *sample = sample.map(|side| side * gain);
        }
    }
}

/// Keeps a mix within full scale without delaying it: a gain that falls at once and recovers slowly, and a soft
/// knee for the first samples of a peak.
#[derive(Debug)]
pub(crate) struct Limiter {
    gain: f32,
}

impl Limiter {
    pub(crate) fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Both sides get the same gain, so that nothing moves in space.
    pub(crate) fn run(&mut self, samples: &mut [Stereo]) {
        for block in samples.chunks_mut(BLOCK) {
            let peak = block
                .as_flattened()
                .iter()
                .fold(0.0_f32, |peak, s| peak.max(s.abs()));
            let allowed = if peak > 1.0 { 1.0 / peak } else { 1.0 };
            let released = self.gain
                + (1.0 - self.gain) * block.len() as f32 / (RELEASE_S * SAMPLE_RATE_HZ as f32);
            let target = allowed.min(released);
            if self.gain > 0.9999 && target > 0.9999 && peak <= KNEE {
                self.gain = 1.0;
                continue;
            }
            let step = (target - self.gain) / block.len() as f32;
            for sample in block {
                self.gain += step;
                *sample = sample.map(|side| soft_knee(side * self.gain));
            }
        }
    }
}

/// The identity up to [`KNEE`], from there on a bend that stays below 1.
fn soft_knee(sample: f32) -> f32 {
    let over = sample.abs() - KNEE;
    if over <= 0.0 {
        return sample;
    }
    let room = 1.0 - KNEE;
    (KNEE + room * (over / room).tanh()).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::from_mono;

    #[test]
    fn a_gain_arrives_in_steps() {
        let mut gain = Gain::new(1.0);
        gain.set(0.0);
        let mut samples = [from_mono(1.0); 600];
        gain.apply(&mut samples);
        assert!(
            samples
                .windows(2)
                .all(|pair| pair[0][0] - pair[1][0] < 0.003)
        );
        assert_eq!(samples[599], [0.0; 2]);
    }

    #[test]
    fn a_boosted_speaker_is_muted_as_fast_as_others() {
        let mut gain = Gain::new(4.0);
        let mut samples = [from_mono(0.1); 481];
        for chunk in samples.chunks_mut(120) {
            gain.set(0.0);
            gain.apply(chunk);
        }
        assert!(samples[480][0].abs() < 1e-4, "{:?}", samples[480]);
        assert!(samples[240][0] > 0.1, "not at once");
    }

    #[test]
    fn quiet_mixes_pass_untouched() {
        let mut limiter = Limiter::new();
        let input: Vec<Stereo> = (0..480)
            .map(|i| [(i as f32 * 0.1).sin() * 0.69, 0.1])
            .collect();
        let mut output = input.clone();
        limiter.run(&mut output);
        assert_eq!(input, output);
    }

    #[test]
    fn nothing_gets_past_full_scale() {
        let mut limiter = Limiter::new();
        for loudness in [1.0, 4.0, 20.0, 0.5] {
            let mut samples: Vec<Stereo> = (0..4_800)
                .map(|i| [(i as f32 * 0.13).sin() * loudness, loudness * 0.5])
                .collect();
            limiter.run(&mut samples);
            let samples = samples.as_flattened();
            assert!(samples.iter().all(|s| s.abs() <= 1.0), "at {loudness}");
        }
        let mut quiet = [from_mono(0.1); 48_000];
        limiter.run(&mut quiet);
        assert!((quiet[47_999][1] - 0.1).abs() < 0.01, "the gain recovers");
    }

    /// Ten tones at full scale of their own: how much of what comes out is none of them, in dB below them.
    #[test]
    fn ten_loud_speakers_stay_clean() {
        let distortion_db = distortion_db(10, 0.5);
        println!("10 speakers at 0.5: distortion {distortion_db:.1} dB");
        assert!(distortion_db < -20.0, "{distortion_db}");
    }

    /// Sum of tones through the limiter, less the same tones each at the strength it has in the output.
    fn distortion_db(speakers: usize, amplitude: f32) -> f32 {
        const SECONDS: usize = 2;
        let tone = |speaker: usize, i: usize| {
            // Whole hertz: orthogonal over a second.
            let hz = 131.0 + 97.0 * speaker as f64;
            (i as f64 / 48_000.0 * hz * std::f64::consts::TAU).sin_cos()
        };
        let mut samples: Vec<Stereo> = (0..SECONDS * 48_000)
            .map(|i| {
                let sum: f64 = (0..speakers).map(|speaker| tone(speaker, i).0).sum();
                from_mono(sum as f32 * amplitude)
            })
            .collect();
        Limiter::new().run(&mut samples);
        // The last second, after the gain has settled.
        let from = (SECONDS - 1) * 48_000;
        let out: Vec<f64> = samples[from..].iter().map(|s| f64::from(s[0])).collect();
        let total: f64 = out.iter().map(|s| s * s).sum();
        let wanted: f64 = (0..speakers)
            .map(|speaker| {
                let (mut a, mut b) = (0.0, 0.0);
                for (i, sample) in out.iter().enumerate() {
                    let (sin, cos) = tone(speaker, from + i);
                    a += sample * sin;
                    b += sample * cos;
                }
                (a * a + b * b) * 2.0 / 48_000.0
            })
            .sum();
        (10.0 * ((total - wanted).max(1e-12) / wanted).log10()) as f32
    }
}
