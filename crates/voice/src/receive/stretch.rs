//! Decoded sound on its way out, and the means to make it shorter or longer without changing its pitch:
//! cut out or repeat what is most alike, by cross-fading, as WSOLA does.

use crate::frame::{MAX_FRAME_SAMPLES, SAMPLES_PER_MS};

/// Played samples that are kept, for repeating.
const HISTORY: usize = MAX_LAG + OVERLAP;
const CAPACITY: usize = 8_192;
/// Cross-fades and comparisons are this long: 5 ms.
pub(crate) const OVERLAP: usize = 5 * SAMPLES_PER_MS;
/// Seams between concealment and speech are hidden over this length: 2.5 ms.
pub(crate) const SEAM: usize = 120;
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

/// A stretch of sound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sound<'a> {
    /// Half the sum of left and right.
    pub(crate) mid: &'a [f32],
    /// Half their difference, as long; none where they are the same.
    pub(crate) side: Option<&'a [f32]>,
}

/// Places to compare are looked for in the mid alone; the side is cut and repeated at the same places, so that left and
/// right stay together. While a speaker has one channel, the side isn't touched.
pub(crate) struct Stretcher {
    mid: Track,
    side: Track,
    start: usize,
    end: usize,
    /// Samples to append until the side is known to be silent again.
    wide: usize,
    /// What was rewound, to fade out under what comes instead: in the tails of the tracks.
    tail_len: usize,
}

/// One channel's samples.
struct Track {
    buffer: Box<[f32; CAPACITY]>,
    tail: [f32; SEAM],
}

impl Stretcher {
    pub(crate) fn new() -> Self {
        Self {
            mid: Track::new(),
            side: Track::new(),
            start: HISTORY,
            end: HISTORY,
            wide: 0,
            tail_len: 0,
        }
    }

    /// What is played now has, or may have, a side.
    pub(crate) fn is_wide(&self) -> bool {
        self.wide > 0
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
        self.mid.buffer.fill(0.0);
        self.wide = 0;
        self.start = HISTORY;
        self.end = HISTORY;
        self.tail_len = 0;
    }

    /// Adds at most one frame; what doesn't fit is dropped.
    pub(crate) fn append(&mut self, sound: Sound<'_>) {
        if self.end + sound.mid.len() > CAPACITY {
            let from = self.start.saturating_sub(HISTORY);
            self.mid.buffer.copy_within(from..self.end, 0);
            if self.is_wide() {
                self.side.buffer.copy_within(from..self.end, 0);
            }
            self.start -= from;
            self.end -= from;
        }
        let len = sound.mid.len().min(CAPACITY - self.end);
        self.mid
            .append(self.end, Some(&sound.mid[..len]), len, self.tail_len);
        if sound.side.is_some() && !self.is_wide() {
            self.side.buffer.fill(0.0);
            self.side.tail.fill(0.0);
        }
        self.wide = match sound.side {
            // Longer than anything stays in the buffer.
            Some(_) => 2 * CAPACITY,
            None => self.wide.saturating_sub(len),
        };
        if self.is_wide() {
            let side = sound.side.map(|side| &side[..len]);
            self.side.append(self.end, side, len, self.tail_len);
        }
        self.tail_len = 0;
        self.end += len;
    }

    /// Takes back the last `samples`; whatever is appended next fades in over them.
    pub(crate) fn rewind(&mut self, samples: usize) {
        let samples = samples.min(self.len());
        self.end -= samples;
        self.tail_len = samples.min(SEAM);
        let rewound = self.end..self.end + self.tail_len;
        for track in self.tracks() {
            track.tail[..rewound.len()].copy_from_slice(&track.buffer[rewound.clone()]);
        }
    }

    /// Fades the last `samples` out to nothing.
    pub(crate) fn fade_out(&mut self, samples: usize) {
        let samples = samples.min(self.len());
        let last = self.end - samples..self.end;
        for track in self.tracks() {
            for (i, sample) in track.buffer[last.clone()].iter_mut().enumerate() {
                *sample *= 1.0 - (i as f32 + 1.0) / samples as f32;
            }
        }
    }

    /// Moves samples out, those of the side only [if there is one](Self::is_wide); returns how many there were.
    pub(crate) fn take(&mut self, mid: &mut [f32], side: &mut [f32]) -> usize {
        let taken = mid.len().min(self.len());
        let next = self.start..self.start + taken;
        mid[..taken].copy_from_slice(&self.mid.buffer[next.clone()]);
        if self.is_wide() {
            side[..taken].copy_from_slice(&self.side.buffer[next]);
        }
        self.start += taken;
        taken
    }

    /// Mean square of the next `samples`, of both channels together.
    pub(crate) fn energy(&self, samples: usize) -> f32 {
        let samples = samples.min(self.len());
        let next = self.start..self.start + samples;
        let sum = |track: &Track| {
            track.buffer[next.clone()]
                .iter()
                .map(|s| s * s)
                .sum::<f32>()
        };
        let side = if self.is_wide() { sum(&self.side) } else { 0.0 };
        (sum(&self.mid) + side) / samples.max(1) as f32
    }

    /// The next `samples` are noise rather than voice: they cross zero as often as only hisses do.
    pub(crate) fn is_hiss(&self, samples: usize) -> bool {
        let samples = samples.min(self.len());
        let next = &self.mid.buffer[self.start..self.start + samples];
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
        let start = self.start;
        for track in self.tracks() {
            track.fade_over(start, start + lag, fade);
        }
        self.start = (self.start + lag).min(self.end);
    }

    /// Plays the last `lag` samples, at most [`MAX_LAG`], once more, fading into them from what would have come.
    /// Returns how many were added.
    pub(crate) fn repeat(&mut self, lag: usize) -> usize {
        let lag = lag.min(MAX_LAG).min(self.start);
        let fade = OVERLAP.min(self.len());
        let start = self.start;
        for track in self.tracks() {
            // Reads run `lag` ahead of writes, so nothing is read after it was written.
            track.fade_over(start, start - lag, fade);
        }
        self.start -= lag;
        lag
    }

    /// Those that hold sound.
    fn tracks(&mut self) -> impl Iterator<Item = &mut Track> {
        let side = (self.wide > 0).then_some(&mut self.side);
        std::iter::once(&mut self.mid).chain(side)
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
        let ours = self.mid.buffer[from..from + OVERLAP].iter();
        let theirs = self.mid.buffer[other..other + OVERLAP].iter();
        let (mut product, mut a, mut b) = (0.0_f32, 1e-9_f32, 1e-9_f32);
        for (x, y) in ours.zip(theirs).step_by(stride) {
            product += x * y;
            a += x * x;
            b += y * y;
        }
        product / (a * b).sqrt()
    }
}

impl Track {
    fn new() -> Self {
        Self {
            buffer: Box::new([0.0; CAPACITY]),
            tail: [0.0; SEAM],
        }
    }

    /// Writes `len` samples at `end`, silence if there are none, under which the first `tail` of what was rewound fade out.
    fn append(&mut self, end: usize, samples: Option<&[f32]>, len: usize, tail: usize) {
        let into = &mut self.buffer[end..end + len];
        match samples {
            Some(samples) => into.copy_from_slice(samples),
            None => into.fill(0.0),
        }
        let fade = tail.min(len);
        for (i, (new, old)) in into[..fade].iter_mut().zip(&self.tail).enumerate() {
            let gain = (i as f32 + 1.0) / (fade as f32 + 1.0);
            *new = *new * gain + old * (1.0 - gain);
        }
    }

    /// Changes `fade` samples at `to` so that they begin as those at `from`.
    fn fade_over(&mut self, from: usize, to: usize, fade: usize) {
        for i in 0..fade {
            let gain = (i as f32 + 1.0) / (fade as f32 + 1.0);
            let old = self.buffer[from + i];
            let new = &mut self.buffer[to + i];
            *new = *new * gain + old * (1.0 - gain);
        }
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

    fn mono(mid: &[f32]) -> Sound<'_> {
        Sound { mid, side: None }
    }

    fn take(stretcher: &mut Stretcher, out: &mut [f32]) -> usize {
        stretcher.take(out, &mut [])
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
            stretcher.append(mono(frame));
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
        assert_eq!(take(&mut stretcher, &mut out), out.len());
        assert_eq!(stretcher.len(), 0);
        assert!(largest_step(&out) < largest_step(&input) * 1.05);
    }

    #[test]
    fn repeating_whole_periods_leaves_the_tone_whole() {
        let input = tone(2_880, 200.0);
        let mut stretcher = loaded(&input);
        let mut out = vec![0.0; 4_000];
        assert_eq!(take(&mut stretcher, &mut out[..960]), 960);
        let best = stretcher.best_repeat(MAX_LAG).expect("long enough");
        assert_eq!(best.lag % 200, 0);
        stretcher.repeat(best.lag);
        let rest = take(&mut stretcher, &mut out[960..]);
        assert_eq!(rest, 1_920 + best.lag);
        assert!(largest_step(&out[..960 + rest]) < largest_step(&input) * 1.05);
    }

    #[test]
    fn rewound_sound_fades_into_what_comes_instead() {
        let mut stretcher = loaded(&[0.5; 480]);
        stretcher.rewind(200);
        stretcher.append(mono(&[-0.5; 480]));
        let mut out = [0.0; 760];
        assert_eq!(take(&mut stretcher, &mut out), 760);
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
            stretcher.append(mono(&[0.1; MAX_FRAME_SAMPLES]));
        }
        let mut out = [0.0; 20_000];
        assert!(take(&mut stretcher, &mut out) <= CAPACITY);
    }

    #[test]
    fn both_channels_are_cut_and_repeated_at_the_same_places() {
        let mid = tone(2_880, 200.0);
        // Left alone: the side is as the mid.
        let mut stretcher = Stretcher::new();
        let (mut left, mut right) = ([0.0; 480], [0.0; 480]);
        let mut played = 0;
        for (i, frame) in mid.chunks(480).enumerate() {
            stretcher.append(Sound {
                mid: frame,
                side: Some(frame),
            });
            match i {
                2 => stretcher.cut(200),
                3 => {
                    stretcher.repeat(300);
                }
                4 => stretcher.rewind(77),
                _ => {}
            }
            let taken = stretcher.take(&mut left, &mut right);
            played += taken;
            assert_eq!(left[..taken], right[..taken]);
        }
        assert!(played > 2_000);
    }

    #[test]
    fn a_side_ends_when_mono_follows_and_begins_from_silence() {
        let mut stretcher = Stretcher::new();
        let (mut mid, mut side) = ([0.0; 480], [9.0; 480]);
        stretcher.append(mono(&[0.5; 480]));
        assert!(!stretcher.is_wide());
        stretcher.append(Sound {
            mid: &[0.5; 480],
            side: Some(&[0.25; 480]),
        });
        assert!(stretcher.is_wide());
        assert_eq!(stretcher.take(&mut mid, &mut side), 480);
        assert_eq!(side, [0.0; 480]);
        assert_eq!(stretcher.take(&mut mid, &mut side), 480);
        assert_eq!(side, [0.25; 480]);
        for _ in 0..40 {
            stretcher.append(mono(&[0.5; 480]));
            stretcher.take(&mut mid, &mut side);
        }
        assert_eq!(side, [0.0; 480]);
        assert!(!stretcher.is_wide(), "what is cheaper is done again");
    }
}
