//! Finds what was said in what was heard: delay by cross-correlation, likeness, dropouts.
//!
//! For an exact delay both must share one clock, as two channels of one recording do. With recordings that were
//! started apart, the delay contains the unknown offset of their starts; likeness and dropouts still hold.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use realfft::RealFftPlanner;

/// How to search. The defaults fit speech in a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    pub rate_hz: u32,
    /// Length of the pieces of the reference that are looked for; they overlap by half.
    pub window_s: f64,
    /// Delays looked at. A negative one means: heard before it was said, as recordings started apart can have.
    pub min_delay_s: f64,
    pub max_delay_s: f64,
    /// Windows of the reference quieter than this (root mean square) are pauses, and are left out.
    pub quiet_rms: f64,
}

impl Search {
    pub fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            window_s: 1.0,
            min_delay_s: 0.0,
            max_delay_s: 1.0,
            quiet_rms: 0.005,
        }
    }

    /// Where each spoken window of the reference is in the recording.
    pub fn find(&self, reference: &[f32], recording: &[f32]) -> Vec<WindowMatch> {
        let (reference, recording) = (
            self.without_rumble(reference),
            self.without_rumble(recording),
        );
        let window = self.samples(self.window_s) as usize;
        let lags =
            (self.samples(self.max_delay_s) - self.samples(self.min_delay_s)).max(0) as usize + 1;
        let mut correlator = Correlator::new(window, lags);
        let starts = (0..)
            .map(|i| i * (window / 2))
            .take_while(|start| start + window <= reference.len());
        starts
            .filter_map(|start| {
                let said = &reference[start..start + window];
                if energy(said) < self.quiet_rms.powi(2) * window as f64 {
                    return None;
                }
                let first_lag = start as i64 + self.samples(self.min_delay_s);
                let (lag, correlation) = correlator.best(said, &recording, first_lag);
                let delay_s = lag / f64::from(self.rate_hz) + self.min_delay_s;
                let at_s = start as f64 / f64::from(self.rate_hz);
                Some(WindowMatch {
                    at_s,
                    delay_ms: delay_s * 1000.0,
                    correlation,
                })
            })
            .collect()
    }

    /// Stretches of at least `shortest_ms` where the reference speaks and the recording, moved by the delay of the
    /// nearest of `matches`, is silent. Pass the good matches only.
    pub fn dropouts(
        &self,
        reference: &[f32],
        recording: &[f32],
        matches: &[WindowMatch],
        shortest_ms: f64,
    ) -> Vec<Dropout> {
        let (reference, recording) = (
            self.without_rumble(reference),
            self.without_rumble(recording),
        );
        let block = self.samples(BLOCK_S) as usize;
        let loudness: Vec<f64> = reference.chunks_exact(block).map(rms).collect();
        let spoken = spoken_level(&loudness);
        let nearest_delay_s = |at_s: f64| {
            let distance = |found: &&WindowMatch| (found.at_s + self.window_s / 2.0 - at_s).abs();
            matches
                .iter()
                .min_by(|a, b| distance(a).total_cmp(&distance(b)))
                .map(|found| found.delay_ms / 1000.0)
        };

        let mut dropouts = Vec::new();
        let mut silent_blocks = 0;
        for (i, &loud) in loudness.iter().chain([&0.0]).enumerate() {
            let at_s = i as f64 * BLOCK_S;
            let Some(delay_s) = nearest_delay_s(at_s) else {
                break;
            };
            let heard_at = (i * block) as i64 + self.samples(delay_s);
            let heard = slice_at(&recording, heard_at, block);
            if loud > spoken && heard.is_some_and(|heard| rms(heard) < 0.02 * loud) {
                silent_blocks += 1;
                continue;
            }
            let length_ms = f64::from(silent_blocks) * BLOCK_S * 1000.0;
            if silent_blocks > 0 && length_ms >= shortest_ms {
                dropouts.push(Dropout {
                    at_s: at_s - length_ms / 1000.0,
                    length_ms,
                });
            }
            silent_blocks = 0;
        }
        dropouts
    }

    fn samples(&self, seconds: f64) -> i64 {
        (seconds * f64::from(self.rate_hz)).round() as i64
    }

    /// Second-order Butterworth high-pass at 80 Hz: no offset and no hum takes part in the likeness.
    fn without_rumble(&self, samples: &[f32]) -> Vec<f32> {
        let (sin, cos) = (TAU * 80.0 / f64::from(self.rate_hz)).sin_cos();
        let alpha = sin * FRAC_1_SQRT_2;
        let scale = 1.0 / (1.0 + alpha);
        let (b0, a1, a2) = (
            (1.0 + cos) / 2.0 * scale,
            -2.0 * cos * scale,
            (1.0 - alpha) * scale,
        );
        let (mut s1, mut s2) = (0.0, 0.0);
        let step = |&x: &f32| {
            let y = b0 * f64::from(x) + s1;
            s1 = -2.0 * b0 * f64::from(x) - a1 * y + s2;
            s2 = b0 * f64::from(x) - a2 * y;
            y as f32
        };
        samples.iter().map(step).collect()
    }
}

/// One window of the reference, found in the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowMatch {
    /// Start of the window in the reference.
    pub at_s: f64,
    /// To a fraction of a sample.
    pub delay_ms: f64,
    /// 1 is the same shape at any loudness, 0 unrelated.
    pub correlation: f64,
}

/// A hole in the recording. `at_s` is in the time of the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    pub at_s: f64,
    pub length_ms: f64,
}

/// What the windows say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Windows with speech in the reference.
    pub windows: usize,
    /// Those that correlated well enough; the figures below are theirs.
    pub found: usize,
    pub median_ms: f64,
    pub p95_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
    pub mean_correlation: f64,
}

impl Summary {
    /// `None` when no window reaches `min_correlation`: what was said wasn't heard.
    pub fn of(matches: &[WindowMatch], min_correlation: f64) -> Option<Self> {
        let found: Vec<_> = matches
            .iter()
            .filter(|window| window.correlation >= min_correlation)
            .collect();
        let mut delays_ms: Vec<f64> = found.iter().map(|window| window.delay_ms).collect();
        delays_ms.sort_by(f64::total_cmp);
        Some(Self {
            windows: matches.len(),
            found: found.len(),
            median_ms: quantile(&delays_ms, 0.5)?,
            p95_ms: quantile(&delays_ms, 0.95)?,
            min_ms: *delays_ms.first()?,
            max_ms: *delays_ms.last()?,
            mean_correlation: found.iter().map(|window| window.correlation).sum::<f64>()
                / found.len() as f64,
        })
    }
}

/// The value below which the share `q` of the sorted values lies, between two of them by proportion.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let place = q * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(below + (above - below) * place.fract())
}

const BLOCK_S: f64 = 0.0025;

/// Blocks louder than this count as speech: a tenth of the level that a quarter of the non-silent blocks exceeds.
fn spoken_level(loudness: &[f64]) -> f64 {
    let mut loud: Vec<f64> = loudness.iter().copied().filter(|&rms| rms > 1e-4).collect();
    loud.sort_by(f64::total_cmp);
    quantile(&loud, 0.75).map_or(f64::INFINITY, |level| 0.1 * level)
}

fn slice_at(samples: &[f32], start: i64, length: usize) -> Option<&[f32]> {
    let start = usize::try_from(start).ok()?;
    samples.get(start..start + length)
}

fn energy(samples: &[f32]) -> f64 {
    samples
        .iter()
        .map(|&sample| f64::from(sample).powi(2))
        .sum()
}

fn rms(samples: &[f32]) -> f64 {
    (energy(samples) / samples.len() as f64).sqrt()
}

/// Normalised cross-correlation of one window against `lags` positions, through the FFT.
struct Correlator {
    lags: usize,
    span: usize,
    size: usize,
    planner: RealFftPlanner<f32>,
}

impl Correlator {
    fn new(window: usize, lags: usize) -> Self {
        let span = window + lags - 1;
        Self {
            lags,
            span,
            size: span.next_power_of_two(),
            planner: RealFftPlanner::new(),
        }
    }

    /// The lag (in samples after `first`, to a fraction) where the recording is most like `said`, and how like.
    fn best(&mut self, said: &[f32], recording: &[f32], first: i64) -> (f64, f64) {
        // Before its start and after its end the recording is silent.
        let mut heard = vec![0.0; self.size];
        for (i, sample) in heard[..self.span].iter_mut().enumerate() {
            let place = usize::try_from(first + i as i64).ok();
            *sample = place
                .and_then(|place| recording.get(place))
                .copied()
                .unwrap_or(0.0);
        }
        let mut energies = Vec::with_capacity(self.span + 1);
        energies.push(0.0);
        for &sample in &heard[..self.span] {
            energies.push(energies[energies.len() - 1] + f64::from(sample).powi(2));
        }
        let mut padded = said.to_vec();
        padded.resize(self.size, 0.0);

        let products = self.correlate(&mut padded, &mut heard);
        let said_energy = energy(said);
        let likeness: Vec<f64> = (0..self.lags)
            .map(|lag| {
                let heard_energy = (energies[lag + said.len()] - energies[lag]).max(SILENCE);
                products[lag] / (heard_energy * said_energy).sqrt()
            })
            .collect();
        let peak = (0..self.lags)
            .max_by(|&a, &b| likeness[a].total_cmp(&likeness[b]))
            .expect("there is at least one lag");
        (peak as f64 + vertex(&likeness, peak), likeness[peak])
    }

    /// Sums of `a[i] * b[i + lag]` for each lag that does not wrap round. Uses both as scratch space.
    fn correlate(&mut self, a: &mut [f32], b: &mut [f32]) -> Vec<f64> {
        let forward = self.planner.plan_fft_forward(self.size);
        let inverse = self.planner.plan_fft_inverse(self.size);
        let (mut spectrum_a, mut spectrum_b) =
            (forward.make_output_vec(), forward.make_output_vec());
        forward
            .process(a, &mut spectrum_a)
            .expect("the lengths are the plan's");
        forward
            .process(b, &mut spectrum_b)
            .expect("the lengths are the plan's");
        for (a, b) in spectrum_a.iter_mut().zip(&spectrum_b) {
            *a = a.conj() * b;
        }
        // These two are real in exact arithmetic, and the inverse insists on it.
        let last = spectrum_a.len() - 1;
        (spectrum_a[0].im, spectrum_a[last].im) = (0.0, 0.0);
        inverse
            .process(&mut spectrum_a, a)
            .expect("the lengths are the plan's");
        a[..self.lags]
            .iter()
            .map(|&sum| f64::from(sum) / self.size as f64)
            .collect()
    }
}

/// Energy below which nothing was heard; keeps silence from matching by rounding errors.
const SILENCE: f64 = 1e-6;

/// Where the parabola through a maximum and its neighbours has its top, from -1/2 to 1/2.
fn vertex(values: &[f64], peak: usize) -> f64 {
    if peak == 0 || peak + 1 >= values.len() {
        return 0.0;
    }
    let (before, top, after) = (values[peak - 1], values[peak], values[peak + 1]);
    let curvature = before - 2.0 * top + after;
    if curvature == 0.0 {
        0.0
    } else {
        0.5 * (before - after) / curvature
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{noise, speech};

    const RATE: u32 = 48_000;

    /// `samples` after `delay` of silence, at `gain`, with some noise.
    fn heard(samples: &[f32], delay: usize, gain: f32) -> Vec<f32> {
        let mut out = noise(99, samples.len() + delay, 0.001);
        for (out, sample) in out[delay..].iter_mut().zip(samples) {
            *out += sample * gain;
        }
        out
    }

    #[test]
    fn a_known_delay_is_found_at_any_loudness() {
        let said = speech(1, RATE, 6.0);
        for (delay, gain) in [(0, 1.0), (1_111, 0.2), (47_000, 2.0)] {
            let matches = Search::new(RATE).find(&said, &heard(&said, delay, gain));
            let summary = Summary::of(&matches, 0.9).expect("found");
            let expected_ms = delay as f64 / 48.0;
            assert!(
                summary.windows >= 8 && summary.found == summary.windows,
                "{summary:?}"
            );
            assert!(
                (summary.min_ms - expected_ms).abs() < 0.02,
                "{expected_ms}: {summary:?}"
            );
            assert!(
                (summary.max_ms - expected_ms).abs() < 0.02,
                "{expected_ms}: {summary:?}"
            );
        }
    }

    #[test]
    fn a_delay_is_found_to_a_fraction_of_a_sample() {
        // Average of two neighbouring samples: half a sample late, and a little dull.
        let said = speech(2, RATE, 4.0);
        let late: Vec<f32> = said
            .windows(2)
            .map(|pair| (pair[0] + pair[1]) / 2.0)
            .collect();
        let matches = Search::new(RATE).find(&said, &heard(&late, 480, 1.0));
        let summary = Summary::of(&matches, 0.9).expect("found");
        // `late[i]` lies between samples i and i + 1, so it is heard half a sample early.
        assert!(
            (summary.median_ms - 479.5 / 48.0).abs() < 0.003,
            "{summary:?}"
        );
    }

    #[test]
    fn a_recording_that_started_later_has_a_negative_delay() {
        let said = speech(3, RATE, 6.0);
        let search = Search {
            min_delay_s: -1.0,
            ..Search::new(RATE)
        };
        let matches = search.find(&said, &said[24_000..]);
        let summary = Summary::of(&matches, 0.9).expect("found");
        assert!((summary.median_ms + 500.0).abs() < 0.02, "{summary:?}");
    }

    #[test]
    fn another_voice_noise_and_silence_are_not_found() {
        let said = speech(4, RATE, 6.0);
        for heard in [
            speech(5, RATE, 7.0),
            noise(6, 7 * 48_000, 0.1),
            vec![0.0; 7 * 48_000],
            Vec::new(),
        ] {
            let matches = Search::new(RATE).find(&said, &heard);
            assert!(!matches.is_empty());
            assert_eq!(Summary::of(&matches, 0.6), None, "{matches:?}");
        }
    }

    #[test]
    fn one_voice_is_found_in_a_mix() {
        let voices: Vec<_> = (10..13).map(|seed| speech(seed, RATE, 6.0)).collect();
        let mix: Vec<f32> = (0..voices[0].len())
            .map(|i| voices.iter().map(|voice| voice[i]).sum())
            .collect();
        for voice in &voices {
            let summary = Summary::of(&Search::new(RATE).find(voice, &heard(&mix, 960, 1.0)), 0.3)
                .expect("found");
            assert!((summary.median_ms - 20.0).abs() < 0.05, "{summary:?}");
        }
        let absent = speech(13, RATE, 6.0);
        assert_eq!(
            Summary::of(
                &Search::new(RATE).find(&absent, &heard(&mix, 960, 1.0)),
                0.3
            ),
            None
        );
    }

    #[test]
    fn holes_in_speech_are_dropouts_and_pauses_are_not() {
        let said = speech(7, RATE, 8.0);
        let mut recording = heard(&said, 2_400, 0.8);
        let search = Search::new(RATE);
        let matches = search.find(&said, &recording);
        assert_eq!(search.dropouts(&said, &recording, &matches, 10.0), []);

        // The loudest stretch, where there is no pause.
        let at = (0..said.len() - 4_800)
            .step_by(480)
            .max_by(|&a, &b| energy(&said[a..a + 4_800]).total_cmp(&energy(&said[b..b + 4_800])));
        let at = at.expect("there is speech") + 1_200;
        recording[at + 2_400..at + 2_400 + 1_920].fill(0.0);
        let dropouts = search.dropouts(&said, &recording, &matches, 10.0);
        assert_eq!(dropouts.len(), 1, "{dropouts:?}");
        assert!(
            (dropouts[0].at_s - at as f64 / 48_000.0).abs() < 0.006,
            "{dropouts:?} is not at {at}"
        );
        assert!((dropouts[0].length_ms - 40.0).abs() < 6.0, "{dropouts:?}");
    }

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.95), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
    }
}
