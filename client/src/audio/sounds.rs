//! The app's own short sounds, synthesised.

use std::f32::consts::TAU;

use voxhall_session::audio::SAMPLE_RATE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sound {
    /// Someone came into the channel.
    Joined,
    /// Someone left it.
    Left,
    /// To try the speakers out.
    Test,
}

/// Room for every sound there is.
pub const LONGEST_SAMPLES: usize = SAMPLE_RATE as usize;

impl Sound {
    /// 48 kHz mono.
    pub fn samples(self) -> Vec<f32> {
        let notes: &[(f32, f32)] = match self {
            Self::Joined => &[(523.25, 0.09), (783.99, 0.16)],
            Self::Left => &[(659.25, 0.09), (392.0, 0.16)],
            Self::Test => &[
                (523.25, 0.15),
                (659.25, 0.15),
                (783.99, 0.15),
                (1046.5, 0.35),
            ],
        };
        notes
            .iter()
            .flat_map(|&(pitch_hz, seconds)| note(pitch_hz, seconds))
            .collect()
    }
}

/// A soft bell: a fundamental and a little of its octave, fading, without a click at either end.
fn note(pitch_hz: f32, seconds: f32) -> impl Iterator<Item = f32> {
    let rate = SAMPLE_RATE as f32;
    let length = (seconds * rate) as usize;
    (0..length).map(move |i| {
        let t = i as f32 / rate;
        let attack = (t / 0.006).min(1.0);
        let release = ((seconds - t) / 0.02).min(1.0);
        let wave = (TAU * pitch_hz * t).sin() + 0.25 * (2.0 * TAU * pitch_hz * t).sin();
        0.11 * wave * attack * release * (-t * 9.0).exp()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_are_short_soft_and_without_clicks() {
        for sound in [Sound::Joined, Sound::Left, Sound::Test] {
            let samples = sound.samples();
            assert!(samples.len() <= LONGEST_SAMPLES, "{sound:?}");
            assert!(samples.iter().all(|sample| sample.abs() < 0.2), "{sound:?}");
            let step = samples
                .windows(2)
                .map(|pair| (pair[1] - pair[0]).abs())
                .fold(0.0, f32::max);
            assert!(step < 0.03, "{sound:?} jumps by {step}");
            assert!(
                samples.iter().any(|sample| sample.abs() > 0.03),
                "{sound:?} is silent"
            );
        }
    }
}
