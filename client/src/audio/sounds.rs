//! The app's own short sounds, synthesised.

use std::f32::consts::TAU;

use voxhall_session::audio::SAMPLE_RATE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sound {
    /// Someone came into the channel.
    Joined,
    /// Someone left it.
    Left,
    /// Somebody wrote what one is told of.
    Message,
    /// Somebody calls.
    Ring,
    /// The same, as a telephone with a bell does it, and as one may hear it the whole day.
    RingTelephone,
    RingCalm,
    /// It rings at somebody.
    RingBack,
    /// The call is over.
    CallOver,
    /// To try the speakers out.
    Test,
}

/// What of the person's own ringtone is played at most.
pub const LONGEST_RINGTONE_S: usize = 10;

/// Room for the longest sound behind another one: what was hushed is there until the callback has skipped it.
pub const MOST_SAMPLES: usize = 2 * LONGEST_RINGTONE_S * SAMPLE_RATE as usize;

impl Sound {
    /// 48 kHz mono.
    pub fn samples(self) -> Vec<f32> {
        let notes: &[(f32, f32)] = match self {
            Self::Joined => &[(523.25, 0.09), (783.99, 0.16)],
            Self::Left => &[(659.25, 0.09), (392.0, 0.16)],
            Self::Message => &[(880.0, 0.07), (1174.66, 0.14)],
            Self::Ring => &[
                (659.25, 0.14),
                (783.99, 0.14),
                (987.77, 0.14),
                (783.99, 0.14),
                (987.77, 0.3),
            ],
            // Two bells in turn, fourteen times a second.
            Self::RingTelephone => return warble([1_046.5, 1_318.5], 14).collect(),
            Self::RingCalm => &[(392.0, 0.3), (523.25, 0.3), (659.25, 0.4)],
            Self::RingBack => &[(440.0, 0.45), (440.0, 0.45)],
            Self::CallOver => &[(523.25, 0.1), (392.0, 0.1), (261.63, 0.2)],
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

/// As many beats on two bells in turn.
fn warble(bells_hz: [f32; 2], beats: usize) -> impl Iterator<Item = f32> {
    (0..beats).flat_map(move |beat| note(bells_hz[beat % 2], 1.0 / 14.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_are_short_soft_and_without_clicks() {
        for sound in [
            Sound::Joined,
            Sound::Left,
            Sound::Message,
            Sound::Ring,
            Sound::RingTelephone,
            Sound::RingCalm,
            Sound::RingBack,
            Sound::CallOver,
            Sound::Test,
        ] {
            let samples = sound.samples();
            assert!(samples.len() <= SAMPLE_RATE as usize, "{sound:?}");
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
