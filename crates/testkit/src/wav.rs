//! Sound files: any of the usual WAV forms in, 16-bit mono out.

use std::{io, path::Path};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// A sound file in memory; samples are -1 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Wav {
    pub rate_hz: u32,
    /// One vector a channel, all of one length.
    pub channels: Vec<Vec<f32>>,
}

/// Reads integer or float PCM with any number of channels.
pub fn load(path: impl AsRef<Path>) -> io::Result<Wav> {
    let path = path.as_ref();
    read(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

fn read(path: &Path) -> Result<Wav, hound::Error> {
    let mut reader = WavReader::open(path)?;
    let WavSpec {
        channels,
        sample_rate,
        bits_per_sample,
        sample_format,
    } = reader.spec();
    let interleaved = match sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect::<Result<Vec<_>, _>>()?,
        SampleFormat::Int => {
            let full_scale = (1u64 << (bits_per_sample - 1)) as f32;
            reader
                .samples::<i32>()
                .map(|sample| Ok(sample? as f32 / full_scale))
                .collect::<Result<Vec<_>, hound::Error>>()?
        }
    };
    let channels = usize::from(channels);
    let channels = (0..channels)
        .map(|first| {
            interleaved
                .iter()
                .skip(first)
                .step_by(channels)
                .copied()
                .collect()
        })
        .collect();
    Ok(Wav {
        rate_hz: sample_rate,
        channels,
    })
}

/// Writes one channel as 16-bit PCM; samples beyond full scale are clipped.
pub fn save(path: impl AsRef<Path>, rate_hz: u32, samples: &[f32]) -> io::Result<()> {
    let path = path.as_ref();
    let spec = WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let write = || {
        let mut writer = WavWriter::create(path, spec)?;
        for sample in samples {
            writer.write_sample((sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16)?;
        }
        writer.finalize()
    };
    write().map_err(|error: hound::Error| io::Error::other(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let path = tempfile::tempdir().expect("a temporary folder");
        let path = path.path().join("x.wav");
        save(&path, 48_000, &[0.0, 0.5, -1.0, 2.0]).expect("saves");
        let wav = load(&path).expect("loads");
        assert_eq!(
            wav,
            Wav {
                rate_hz: 48_000,
                channels: vec![vec![0.0, 0.5, -1.0, 32767.0 / 32768.0]]
            }
        );
    }

    #[test]
    fn channels_are_taken_apart() {
        let path = tempfile::tempdir().expect("a temporary folder");
        let path = path.path().join("x.wav");
        let spec = WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
        };
        let mut writer = WavWriter::create(&path, spec).expect("creates");
        for sample in [0.1f32, -0.1, 0.2, -0.2] {
            writer.write_sample(sample).expect("writes");
        }
        writer.finalize().expect("closes");
        assert_eq!(
            load(&path).expect("loads").channels,
            [[0.1, 0.2], [-0.1, -0.2]]
        );
    }

    #[test]
    fn an_error_names_the_file() {
        let error = load("/nonexistent/speech.wav").expect_err("no such file");
        assert!(error.to_string().contains("/nonexistent/speech.wav"));
    }
}
