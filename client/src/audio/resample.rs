//! Devices at other rates than 48 kHz. A callback of any length is one call: what it brings is all handed on, and what it
//! wants is all there. Nothing is kept waiting but what the filter looks ahead, and nothing allocates after construction.

use rubato::{
    Async, FixedAsync, Indexing, Resampler as _, Resizable, SincInterpolationParameters,
    WindowFunction, audioadapter_buffers::direct::InterleavedSlice,
};
use voxhall_session::audio::SAMPLE_RATE;
use voxhall_voice::{Stereo, from_mono, to_mono};

/// Length of the filter, samples of the slower side. Half of it is the delay: 0.7 ms at 44.1 and 96 kHz, 2 ms at 16 kHz.
const FILTER: usize = 64;

/// Why a device's rate can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sample rate of {0} Hz can't be converted")]
pub struct RateError(u32);

fn new(from_hz: u32, to_hz: u32, most: usize, fixed: FixedAsync) -> Result<Async<f32>, RateError> {
    let ratio = f64::from(to_hz) / f64::from(from_hz);
    // Where the rate falls, the filter has to be longer by as much, to cut off as steeply.
    let length = (FILTER as f64 * (1.0 / ratio).clamp(1.0, 4.0)) as usize;
    let parameters = SincInterpolationParameters::new(length, WindowFunction::BlackmanHarris2);
    Async::new_sinc(ratio, 1.0, &parameters, most, 2, fixed).map_err(|_| {
        RateError(if from_hz == SAMPLE_RATE {
            to_hz
        } else {
            from_hz
        })
    })
}

/// From a microphone's rate to 48 kHz.
pub struct FromDevice {
    /// None at 48 kHz.
    resampler: Option<Async<f32>>,
    out: Box<[Stereo]>,
}

impl FromDevice {
    /// For up to `most` samples at a time.
    ///
    /// # Errors
    /// The rate is no audio rate.
    pub fn new(rate_hz: u32, most: usize) -> Result<Self, RateError> {
        if rate_hz == SAMPLE_RATE {
            return Ok(Self {
                resampler: None,
                out: Box::default(),
            });
        }
        let resampler = new(rate_hz, SAMPLE_RATE, most, FixedAsync::Input)?;
        let longest = resampler.output_frames_max();
        Ok(Self {
            resampler: Some(resampler),
            out: vec![[0.0; 2]; longest].into(),
        })
    }

    /// The same sound at 48 kHz, the filter's delay later.
    pub fn run<'a>(&'a mut self, samples: &'a [Stereo]) -> &'a [Stereo] {
        let Some(resampler) = &mut self.resampler else {
            return samples;
        };
        if samples.is_empty() || resampler.set_chunk_size(samples.len()).is_err() {
            return &[];
        }
        let made = convert(resampler, samples, &mut self.out);
        &self.out[..made]
    }
}

/// A whole sound, in one go.
///
/// # Errors
/// The rate is no audio rate.
pub fn to_mono_48_khz(samples: &[f32], rate_hz: u32) -> Result<Vec<f32>, RateError> {
    const AT_A_TIME: usize = 4_096;
    let mut rate = FromDevice::new(rate_hz, AT_A_TIME)?;
    let mut made = Vec::new();
    for chunk in samples.chunks(AT_A_TIME) {
        // The last is as long as the others: what is behind the end is cut off below.
        let mut whole = vec![from_mono(0.0); AT_A_TIME];
        whole
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = from_mono(*from));
        made.extend(rate.run(&whole).iter().copied().map(to_mono));
    }
    made.truncate((samples.len() as u64 * u64::from(SAMPLE_RATE) / u64::from(rate_hz)) as usize);
    Ok(made)
}

/// From 48 kHz to a speaker's rate.
pub struct ToDevice {
    /// None at 48 kHz.
    resampler: Option<Async<f32>>,
    input: Box<[Stereo]>,
}

impl ToDevice {
    /// For up to `most` samples of the device at a time.
    ///
    /// # Errors
    /// The rate is no audio rate.
    pub fn new(rate_hz: u32, most: usize) -> Result<Self, RateError> {
        if rate_hz == SAMPLE_RATE {
            return Ok(Self {
                resampler: None,
                input: Box::default(),
            });
        }
        let resampler = new(SAMPLE_RATE, rate_hz, most, FixedAsync::Output)?;
        let longest = resampler.input_frames_max();
        Ok(Self {
            resampler: Some(resampler),
            input: vec![[0.0; 2]; longest].into(),
        })
    }

    /// Fills `out` from what `read` gives at 48 kHz, asking it once.
    pub fn run(&mut self, out: &mut [Stereo], read: impl FnOnce(&mut [Stereo])) {
        let Some(resampler) = &mut self.resampler else {
            return read(out);
        };
        if out.is_empty() || resampler.set_chunk_size(out.len()).is_err() {
            return out.fill([0.0; 2]);
        }
        let wanted = resampler.input_frames_next();
        let input = &mut self.input[..wanted];
        read(input);
        let made = convert(resampler, input, out);
        out[made..].fill([0.0; 2]);
    }
}

/// How many samples came out. The lengths are what the resampler asked for, so it doesn't fail; if it did, it were silence.
fn convert(resampler: &mut Async<f32>, input: &[Stereo], out: &mut [Stereo]) -> usize {
    let (frames_in, frames_out) = (input.len(), out.len());
    let input = InterleavedSlice::new(input.as_flattened(), 2, frames_in);
    let output = InterleavedSlice::new_mut(out.as_flattened_mut(), 2, frames_out);
    let (Ok(input), Ok(mut output)) = (input, output) else {
        return 0;
    };
    resampler
        .process_into_buffer(&input, &mut output, None::<&Indexing>)
        .map_or(0, |(_, made)| made)
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use assert_no_alloc::assert_no_alloc;

    use super::*;

    const RATES: [u32; 7] = [8_000, 16_000, 32_000, 44_100, 88_200, 96_000, 192_000];

    fn tone(hz: f32, rate_hz: u32, samples: usize) -> Vec<Stereo> {
        (0..samples)
            .map(|i| [(TAU * hz * i as f32 / rate_hz as f32).sin() * 0.5; 2])
            .collect()
    }

    /// In callbacks of changing length, as some devices have them.
    fn from_device(rate_hz: u32, sound: &[Stereo]) -> Vec<Stereo> {
        let mut converter = FromDevice::new(rate_hz, 1_024).unwrap();
        let mut heard = Vec::new();
        let mut rest = sound;
        for length in [128, 441, 480, 1, 1_024].into_iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(length));
            heard.extend_from_slice(converter.run(now));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        heard
    }

    fn to_device(rate_hz: u32, sound: &[Stereo]) -> Vec<Stereo> {
        let mut converter = ToDevice::new(rate_hz, 1_024).unwrap();
        let mut played = Vec::new();
        let mut next = sound.iter().copied();
        for length in [128, 441, 480, 1, 1_024].into_iter().cycle() {
            let mut out = vec![[9.0; 2]; length];
            converter.run(&mut out, |input| {
                for sample in input {
                    *sample = next.next().unwrap_or_default();
                }
            });
            played.extend(out);
            if next.len() == 0 {
                return played;
            }
        }
        unreachable!("the lengths go round")
    }

    /// Level of `hz` in dB of the tone that went in, by correlation with a sine and a cosine.
    fn level_db(sound: &[Stereo], hz: f32, rate_hz: u32) -> f32 {
        // The start is the filter's.
        let sound = &sound[sound.len() / 4..sound.len() / 4 * 3];
        let (mut re, mut im) = (0.0_f64, 0.0_f64);
        for (i, [left, _]) in sound.iter().enumerate() {
            let phase = f64::from(TAU) * f64::from(hz) * i as f64 / f64::from(rate_hz);
            re += f64::from(*left) * phase.cos();
            im += f64::from(*left) * phase.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / sound.len() as f64;
        (20.0 * (amplitude / 0.5).log10()) as f32
    }

    fn rms(sound: &[Stereo]) -> f32 {
        let sound = &sound[sound.len() / 4..sound.len() / 4 * 3];
        (sound.iter().map(|s| s[0] * s[0]).sum::<f32>() / sound.len() as f32).sqrt()
    }

    #[test]
    fn tones_keep_their_pitch_and_level() {
        for rate_hz in RATES {
            for hz in [0.02, 0.1, 0.3].map(|part| part * rate_hz.min(SAMPLE_RATE) as f32) {
                let heard = from_device(rate_hz, &tone(hz, rate_hz, rate_hz as usize));
                let played = to_device(rate_hz, &tone(hz, SAMPLE_RATE, SAMPLE_RATE as usize));
                for (sound, rate) in [(&heard, SAMPLE_RATE), (&played, rate_hz)] {
                    let level = level_db(sound, hz, rate);
                    assert!(
                        level.abs() < 0.5,
                        "{hz} Hz, device at {rate_hz}: {level} dB"
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_is_heard_that_was_not_there() {
        // Above what the other side can have: an alias otherwise.
        for (rate_hz, hz) in [(96_000, 30_000.0), (192_000, 40_000.0), (88_200, 28_000.0)] {
            let heard = from_device(rate_hz, &tone(hz, rate_hz, rate_hz as usize));
            let level = 20.0 * (rms(&heard) / 0.354).log10();
            assert!(level < -50.0, "{hz} Hz at {rate_hz}: {level} dB");
        }
        for (rate_hz, hz) in [(16_000, 11_000.0), (8_000, 6_000.0)] {
            let played = to_device(rate_hz, &tone(hz, SAMPLE_RATE, SAMPLE_RATE as usize));
            let level = 20.0 * (rms(&played) / 0.354).log10();
            assert!(level < -50.0, "{hz} Hz to {rate_hz}: {level} dB");
        }
    }

    #[test]
    fn as_much_comes_out_as_time_passes_and_soon() {
        for rate_hz in RATES {
            let mut click = vec![[0.0; 2]; rate_hz as usize];
            let at = rate_hz as usize / 2;
            click[at] = [1.0; 2];
            let heard = from_device(rate_hz, &click);
            assert!(
                heard.len().abs_diff(SAMPLE_RATE as usize) < 16,
                "{rate_hz}: {}",
                heard.len()
            );
            let loudest = (0..heard.len())
                .max_by(|&a, &b| heard[a][0].abs().total_cmp(&heard[b][0].abs()))
                .unwrap();
            let delay_ms = (loudest as f64 / f64::from(SAMPLE_RATE) - 0.5) * 1e3;
            let allowed = 34.0 / f64::from(rate_hz.min(SAMPLE_RATE)) * 1e3;
            println!("{rate_hz} Hz: {delay_ms:.2} ms");
            assert!(
                (0.0..allowed).contains(&delay_ms),
                "{rate_hz} Hz: {delay_ms} ms"
            );
        }
    }

    #[test]
    fn callbacks_of_any_length_allocate_nothing() {
        let mut from = FromDevice::new(44_100, 4_096).unwrap();
        let mut to = ToDevice::new(44_100, 4_096).unwrap();
        let sound = [[0.1; 2]; 4_096];
        let mut out = [[0.0; 2]; 4_096];
        assert_no_alloc(|| {
            for length in [441, 1, 4_096, 0, 128] {
                let made = from.run(&sound[..length]).len();
                assert!(made <= 4_096 * 48_000 / 44_100 + 2);
                to.run(&mut out[..length], |input| input.fill([0.1; 2]));
            }
        });
    }

    #[test]
    fn at_48_khz_nothing_is_touched() {
        let sound = tone(440.0, SAMPLE_RATE, 480);
        let mut from = FromDevice::new(SAMPLE_RATE, 480).unwrap();
        assert_eq!(from.run(&sound), sound);
        let mut out = vec![[0.0; 2]; 480];
        let mut to = ToDevice::new(SAMPLE_RATE, 480).unwrap();
        to.run(&mut out, |input| input.copy_from_slice(&sound));
        assert_eq!(out, sound);
        assert!(FromDevice::new(0, 480).is_err());
    }
}
