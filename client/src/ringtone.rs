//! What rings when somebody calls: one of the app's own sounds, or a file of the person's, which is kept as it is played.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use voxhall_session::audio::SAMPLE_RATE;

use crate::audio::{LONGEST_RINGTONE_S, to_mono_48_khz};

/// A larger file is none to ring with.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Full scale would startle.
const PEAK: f32 = 0.4;
/// What is cut off at the end is faded out before.
const FADE_S: f32 = 0.4;
const NAME: &str = "ringtone.wav";

/// Why a file can't ring.
#[derive(Debug, thiserror::Error)]
pub enum RingtoneError {
    #[error("it can't be read: {0}")]
    Read(#[from] io::Error),
    #[error("it is larger than 64 MB")]
    TooLarge,
    #[error("it is no WAV file that can be played ({0}); other kinds have to be converted first")]
    Wav(hound::Error),
    #[error("it can't be kept in Voxhall's folder: {0}")]
    Keep(hound::Error),
    #[error(
        "it has {channels} channels at {rate_hz} Hz, and only 1 to 8 at 8 to 192 kHz can be played"
    )]
    Format { channels: u16, rate_hz: u32 },
    #[error("there is nothing to be heard in it")]
    Silent,
}

/// Reads a file and keeps what of it is played in this folder.
///
/// # Errors
/// It is no sound, or can't be read or kept. What was kept before stays.
pub fn import(path: &Path, folder: &Path) -> Result<Arc<[f32]>, RingtoneError> {
    let samples = read(path)?;
    keep(&samples, folder).map_err(RingtoneError::Keep)?;
    Ok(samples.into())
}

fn keep(samples: &[f32], folder: &Path) -> Result<(), hound::Error> {
    let new = folder.join(format!(".{NAME}.new"));
    let spec = WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(&new, spec)?;
    for sample in samples {
        writer.write_sample((sample * f32::from(i16::MAX)) as i16)?;
    }
    writer.finalize()?;
    fs::rename(&new, kept_in(folder))?;
    Ok(())
}

impl From<hound::Error> for RingtoneError {
    fn from(error: hound::Error) -> Self {
        match error {
            // hound's own ones, as where a file ends too soon, come from no system.
            hound::Error::IoError(error) if error.raw_os_error().is_some() => Self::Read(error),
            error => Self::Wav(error),
        }
    }
}

/// What is kept in this folder.
///
/// # Errors
/// It isn't there any more, or damaged.
pub fn load(folder: &Path) -> Result<Arc<[f32]>, RingtoneError> {
    read(&kept_in(folder)).map(Into::into)
}

pub fn length(samples: &[f32]) -> Duration {
    Duration::from_secs_f32(samples.len() as f32 / SAMPLE_RATE as f32)
}

fn kept_in(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// At 48 kHz in one channel, as loud as it may be, and no longer.
fn read(path: &Path) -> Result<Vec<f32>, RingtoneError> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MAX_BYTES {
        return Err(RingtoneError::TooLarge);
    }
    let mut reader = WavReader::new(BufReader::new(file))?;
    let spec = reader.spec();
    let (channels, rate_hz) = (spec.channels, spec.sample_rate);
    if !(1..=8).contains(&channels) || !(8_000..=192_000).contains(&rate_hz) {
        return Err(RingtoneError::Format { channels, rate_hz });
    }
    // Somewhat more than is played, so that it is known whether something is cut off.
    let most = (LONGEST_RINGTONE_S + 1) * rate_hz as usize * usize::from(channels);
    let interleaved: Vec<f32> = match spec.sample_format {
        SampleFormat::Float => (reader.samples::<f32>())
            .take(most)
            .collect::<Result<_, _>>()?,
        SampleFormat::Int => {
            let scale = 1.0 / (1_u64 << (spec.bits_per_sample - 1)) as f32;
            (reader.samples::<i32>())
                .take(most)
                .map(|sample| sample.map(|sample| sample as f32 * scale))
                .collect::<Result<_, _>>()?
        }
    };
    let mono: Vec<f32> = (interleaved.chunks_exact(channels.into()))
        .map(|frame| frame.iter().sum::<f32>() / f32::from(channels))
        .map(|sample| if sample.is_finite() { sample } else { 0.0 })
        .collect();
    let mut samples =
        to_mono_48_khz(&mono, rate_hz).map_err(|_| RingtoneError::Format { channels, rate_hz })?;
    let longest = LONGEST_RINGTONE_S * SAMPLE_RATE as usize;
    if samples.len() > longest {
        samples.truncate(longest);
        let fade = (FADE_S * SAMPLE_RATE as f32) as usize;
        for (i, sample) in samples.iter_mut().rev().take(fade).enumerate() {
            *sample *= i as f32 / fade as f32;
        }
    }
    let peak = samples.iter().fold(0.0_f32, |peak, it| peak.max(it.abs()));
    if peak < 1e-4 {
        return Err(RingtoneError::Silent);
    }
    let gain = (PEAK / peak).min(1.0);
    samples.iter_mut().for_each(|sample| *sample *= gain);
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(path: &Path, spec: WavSpec, seconds: f32, amplitude: f32) {
        let mut writer = WavWriter::create(path, spec).unwrap();
        for i in 0..(seconds * spec.sample_rate as f32) as usize {
            let t = i as f32 / spec.sample_rate as f32;
            let sample = amplitude * (std::f32::consts::TAU * 440.0 * t).sin();
            for _ in 0..spec.channels {
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(sample).unwrap(),
                    SampleFormat::Int => {
                        let scale = (1_i64 << (spec.bits_per_sample - 1)) as f32 - 1.0;
                        writer.write_sample((sample * scale) as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
    }

    const CD: WavSpec = WavSpec {
        channels: 2,
        sample_rate: 44_100,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };

    /// How often it swings upwards a second.
    fn pitch_hz(samples: &[f32]) -> f32 {
        let (mut ups, mut below) = (0, false);
        for sample in samples {
            if *sample < -0.1 {
                below = true;
            } else if *sample > 0.1 && below {
                (ups, below) = (ups + 1, false);
            }
        }
        ups as f32 / length(samples).as_secs_f32()
    }

    #[test]
    fn files_of_all_kinds_sound_as_they_did_and_are_there_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tone.wav");
        let wide = WavSpec {
            channels: 6,
            sample_rate: 96_000,
            bits_per_sample: 24,
            ..CD
        };
        let float = WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
        };
        for spec in [CD, wide, float] {
            tone(&file, spec, 2.0, 0.9);
            let samples = import(&file, folder.path()).unwrap();
            assert!(
                (length(&samples).as_secs_f32() - 2.0).abs() < 0.05,
                "{spec:?}"
            );
            let pitch = pitch_hz(&samples);
            assert!((pitch - 440.0).abs() < 5.0, "{pitch} Hz from {spec:?}");
            let peak = samples.iter().fold(0.0_f32, |peak, it| peak.max(it.abs()));
            assert!((peak - PEAK).abs() < 0.01, "{peak}");
            let kept = load(folder.path()).unwrap();
            assert!(
                kept.iter()
                    .zip(&*samples)
                    .all(|(a, b)| (a - b).abs() < 1e-3)
            );
        }
    }

    #[test]
    fn a_long_one_is_faded_out_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("long.wav");
        tone(&file, CD, 20.0, 0.9);
        let samples = import(&file, folder.path()).unwrap();
        assert_eq!(samples.len(), LONGEST_RINGTONE_S * SAMPLE_RATE as usize);
        let end = &samples[samples.len() - 480..];
        assert!(end.iter().all(|sample| sample.abs() < 0.02));
    }

    #[test]
    fn what_cannot_ring_is_said_and_what_was_kept_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wav");
        tone(&file, CD, 0.5, 0.5);
        import(&file, folder.path()).unwrap();
        let refused = |path: &Path| import(path, folder.path()).unwrap_err().to_string();
        fs::write(&file, b"OggS\0\0no wave at all").unwrap();
        assert!(refused(&file).contains("no WAV file"), "{}", refused(&file));
        tone(&file, CD, 0.5, 0.0);
        assert!(refused(&file).contains("nothing to be heard"));
        let odd = WavSpec {
            sample_rate: 1_000,
            ..CD
        };
        tone(&file, odd, 0.5, 0.5);
        assert!(refused(&file).contains("1000 Hz"), "{}", refused(&file));
        // As it is after a crash in the midst of a copy: its head says more than there is.
        tone(&file, CD, 0.5, 0.5);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert!(refused(&file).contains("no WAV file"), "{}", refused(&file));
        File::create(&file).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(refused(&file).contains("64 MB"));
        assert!(refused(&folder.path().join("gone.wav")).contains("can't be read"));
        assert!(load(folder.path()).is_ok());
    }
}
