//! Decoded sound on its way out, and the means to make it shorter or longer without changing its pitch:
//! cut out or repeat what is most alike, by cross-fading, as WSOLA does.

use crate::frame::{MAX_FRAME_SAMPLES, SAMPLES_PER_MS};

/// Played samples that are kept, for repeating.
const HISTORY: usize = MAX_LAG + OVERLAP;
const CAPACITY: usize = 8_192;
/// Cross-fades and comparisons are this long: 5 ms.
pub(crate) const OVERLAP: usize = 5 * SAMPLES_PER_MS;
/// Seams between concealment and speech are hidden over this length: 2.5 ms.
const SEAM: usize = 120;
/// Lags that are tried: 2.5 ms (400 Hz) to 15 ms (67 Hz).
pub(crate) const MIN_LAG: usize = 120;
pub(crate) const MAX_LAG: usize = 15 * SAMPLES_PER_MS;

/// Share of samples after which a hiss crosses zero: of tones, those above 2.9 kHz do.
const HISS: f32 = 0.12;
/// By how much likeness a longer cut may be worse: the longer they are, the fewer seams there are.
const LONGER_CUT: f32 = 0.2 / MAX_LAG as f32;

/// Where the sound resembles itself most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Likeness {
    pub(crate) lag: usize,
    /// Normalised correlation, at most 1.
    pub(crate) correlation: f32,
}

pub(crate) struct Stretcher {
    buffer: Box<[f32; CAPACITY]>,
    start: usize,
    end: usize,
    /// What was rewound, to fade out under what comes instead.
    tail: [f32; SEAM],
    tail_len: usize,
}

impl Stretcher {
    pub(crate) fn new() -> Self {
        Self {
            buffer: Box::new([0.0; CAPACITY]),
            start: HISTORY,
            end: HISTORY,
            tail: [0.0; SEAM],
            tail_len: 0,
        }
    }

    /// Samples ready to be played.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Room for another frame without losing history.
    pub(crate) fn has_room(&self) -> bool {
        self.len() + MAX_FRAME_SAMPLES + HISTORY <= CAPACITY
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.buffer.fill(0.0);
        self.start = HISTORY;
        self.end = HISTORY;
        self.tail_len = 0;
    }

    /// Adds at most one frame; what doesn't fit is dropped.
    pub(crate) fn append(&mut self, samples: &[f32]) {
        if self.end + samples.len() > CAPACITY {
            let from = self.start.saturating_sub(HISTORY);
            self.buffer.copy_within(from..self.end, 0);
            self.start -= from;
            self.end -= from;
        }
        let len = samples.len().min(CAPACITY - self.end);
        let into = &mut self.buffer[self.end..self.end + len];
        into.copy_from_slice(&samples[..len]);
        let fade = self.tail_len.min(len);
        for (i, (new, old)) in into[..fade].iter_mut().zip(&self.tail).enumerate() {
            let gain = (i as f32 + 1.0) / (fade as f32 + 1.0);
            *new = *new * gain + old * (1.0 - gain);
        }
        self.tail_len = 0;
        self.end += len;
    }

    /// Takes back the last `samples`; whatever is appended next fades in over them.
    pub(crate) fn rewind(&mut self, samples: usize) {
        let samples = samples.min(self.len());
        self.end -= samples;
        self.tail_len = samples.min(SEAM);
        self.tail[..self.tail_len].copy_from_slice(&self.buffer[self.end..][..self.tail_len]);
    }

    /// Fades the last `samples` out to nothing.
    pub(crate) fn fade_out(&mut self, samples: usize) {
        let samples = samples.min(self.len());
        for (i, sample) in self.buffer[self.end - samples..self.end]
            .iter_mut()
            .enumerate()
        {
            *sample *= 1.0 - (i as f32 + 1.0) / samples as f32;
        }
    }

    /// Moves samples out; returns how many there were.
    pub(crate) fn take(&mut self, out: &mut [f32]) -> usize {
        let taken = out.len().min(self.len());
        out[..taken].copy_from_slice(&self.buffer[self.start..self.start + taken]);
        self.start += taken;
        taken
    }

    /// Mean square of the next `samples`.
    pub(crate) fn energy(&self, samples: usize) -> f32 {
        let samples = samples.min(self.len());
        let next = &self.buffer[self.start..self.start + samples];
        next.iter().map(|s| s * s).sum::<f32>() / samples.max(1) as f32
    }

    /// The next `samples` are noise rather than voice: they cross zero as often as only hisses do.
    pub(crate) fn is_hiss(&self, samples: usize) -> bool {
        let samples = samples.min(self.len());
        let next = &self.buffer[self.start..self.start + samples];
        let crossings = next
            .windows(2)
            .filter(|pair| (pair[0] < 0.0) != (pair[1] < 0.0));
        samples > OVERLAP && crossings.count() as f32 > HISS * samples as f32
    }

    /// The best length to cut out, at most `longest`.
    pub(crate) fn best_cut(&self, longest: usize) -> Option<Likeness> {
        let longest = longest.min(self.len().checked_sub(OVERLAP)?).min(MAX_LAG);
        self.best(longest, LONGER_CUT, self.start, |lag| self.start + lag)
    }

    /// The best length to repeat, at most `longest`. Compares what was played last, for little may lie ahead.
    pub(crate) fn best_repeat(&self, longest: usize) -> Option<Likeness> {
        let longest = longest.min(MAX_LAG).min(self.start.checked_sub(OVERLAP)?);
        if self.len() < SEAM / 2 {
            return None;
        }
        let last = self.start - OVERLAP;
        self.best(longest, 0.0, last, |lag| last - lag)
    }

    /// Removes `lag` samples from the front, fading from what would have come to what comes after them.
    pub(crate) fn cut(&mut self, lag: usize) {
        let fade = OVERLAP.min(lag).min(self.len().saturating_sub(lag));
        for i in 0..fade {
            let gain = (i as f32 + 1.0) / (fade as f32 + 1.0);
            let old = self.buffer[self.start + i];
            let new = &mut self.buffer[self.start + lag + i];
            *new = *new * gain + old * (1.0 - gain);
        }
        self.start = (self.start + lag).min(self.end);
    }

    /// Plays the last `lag` samples, at most [`MAX_LAG`], once more, fading into them from what would have come.
    /// Returns how many were added.
    pub(crate) fn repeat(&mut self, lag: usize) -> usize {
        let lag = lag.min(MAX_LAG).min(self.start);
        let fade = OVERLAP.min(self.len());
        // Reads run `lag` ahead of writes, so nothing is read after it was written.
        for i in 0..fade {
            let gain = (i as f32 + 1.0) / (fade as f32 + 1.0);
            let old = self.buffer[self.start + i];
            let new = &mut self.buffer[self.start - lag + i];
            *new = *new * gain + old * (1.0 - gain);
        }
        self.start -= lag;
        lag
    }

    /// Compares [`OVERLAP`] samples at `from` with those at `place(lag)`: roughly at first, then exactly. `longer` is
    /// what another sample of lag is worth.
    fn best(
        &self,
        longest: usize,
        longer: f32,
        from: usize,
        place: impl Fn(usize) -> usize,
    ) -> Option<Likeness> {
        const STRIDE: usize = 6;
        if longest < MIN_LAG {
            return None;
        }
        let rough = (MIN_LAG..=longest)
            .step_by(STRIDE)
            .map(|lag| {
                let worth = longer * lag as f32;
                (lag, self.correlation(from, place(lag), 3) + worth)
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let near = rough.0.saturating_sub(STRIDE).max(MIN_LAG)..=(rough.0 + STRIDE).min(longest);
        let (lag, correlation) = near
            .map(|lag| (lag, self.correlation(from, place(lag), 1)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Likeness { lag, correlation })
    }

    fn correlation(&self, from: usize, other: usize, stride: usize) -> f32 {
        let ours = self.buffer[from..from + OVERLAP].iter();
        let theirs = self.buffer[other..other + OVERLAP].iter();
        let (mut product, mut a, mut b) = (0.0_f32, 1e-9_f32, 1e-9_f32);
        for (x, y) in ours.zip(theirs).step_by(stride) {
            product += x * y;
            a += x * x;
            b += y * y;
        }
        product / (a * b).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(samples: usize, period: f32) -> Vec<f32> {
        (0..samples)
            .map(|i| (i as f32 * std::f32::consts::TAU / period).sin() * 0.5)
            .collect()
    }

    /// The largest step between neighbours: a click shows as a step that the tone itself doesn't have.
    fn largest_step(samples: &[f32]) -> f32 {
        samples
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).abs())
            .fold(0.0, f32::max)
    }

    fn loaded(samples: &[f32]) -> Stretcher {
        let mut stretcher = Stretcher::new();
        for frame in samples.chunks(480) {
            stretcher.append(frame);
        }
        stretcher
    }

    #[test]
    fn cutting_whole_periods_leaves_the_tone_whole() {
        let input = tone(1_920, 200.0);
        let mut stretcher = loaded(&input);
        let best = stretcher.best_cut(MAX_LAG).expect("long enough");
        assert_eq!(best.lag % 200, 0);
        assert!(best.correlation > 0.99);
        stretcher.cut(best.lag);
        let mut out = vec![0.0; 1_920 - best.lag];
        assert_eq!(stretcher.take(&mut out), out.len());
        assert_eq!(stretcher.len(), 0);
        assert!(largest_step(&out) < largest_step(&input) * 1.05);
    }

    #[test]
    fn repeating_whole_periods_leaves_the_tone_whole() {
        let input = tone(2_880, 200.0);
        let mut stretcher = loaded(&input);
        let mut out = vec![0.0; 4_000];
        assert_eq!(stretcher.take(&mut out[..960]), 960);
        let best = stretcher.best_repeat(MAX_LAG).expect("long enough");
        assert_eq!(best.lag % 200, 0);
        stretcher.repeat(best.lag);
        let rest = stretcher.take(&mut out[960..]);
        assert_eq!(rest, 1_920 + best.lag);
        assert!(largest_step(&out[..960 + rest]) < largest_step(&input) * 1.05);
    }

    #[test]
    fn rewound_sound_fades_into_what_comes_instead() {
        let mut stretcher = loaded(&[0.5; 480]);
        stretcher.rewind(200);
        stretcher.append(&[-0.5; 480]);
        let mut out = [0.0; 760];
        assert_eq!(stretcher.take(&mut out), 760);
        assert!(largest_step(&out) < 0.02);
        assert_eq!((out[279], out[500]), (0.5, -0.5));
    }

    #[test]
    fn a_hiss_is_told_from_a_voice() {
        let mut state = 1_u32;
        let noise: Vec<f32> = (0..1_440)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        assert!(loaded(&noise).is_hiss(1_440));
        // 240 Hz, and 2 kHz on top of it.
        let low = tone(1_440, 200.0);
        let both: Vec<f32> = low
            .iter()
            .zip(tone(1_440, 24.0))
            .map(|(a, b)| a + b)
            .collect();
        assert!(!loaded(&low).is_hiss(1_440));
        assert!(!loaded(&both).is_hiss(1_440));
        assert!(!Stretcher::new().is_hiss(1_440));
    }

    #[test]
    fn anything_goes_at_any_length() {
        let mut stretcher = Stretcher::new();
        assert_eq!(stretcher.best_cut(MAX_LAG), None);
        assert_eq!(stretcher.best_repeat(MAX_LAG), None);
        stretcher.cut(500);
        stretcher.repeat(5_000);
        stretcher.rewind(10_000);
        stretcher.fade_out(10);
        for _ in 0..100 {
            stretcher.append(&[0.1; MAX_FRAME_SAMPLES]);
        }
        let mut out = [0.0; 20_000];
        assert!(stretcher.take(&mut out) <= CAPACITY);
    }
}
