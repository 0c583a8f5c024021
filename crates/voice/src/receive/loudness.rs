//! Makes speakers equally loud: measures each as ITU-R BS.1770 and EBU R 128 do, and moves a bounded gain slowly to
//! where their speech is at [`TARGET_LUFS`]. The design is in `docs/adr/0024-receive-chain.md`.

use crate::frame::{SAMPLE_RATE_HZ, SAMPLES_PER_MS};
use crate::level::amplitude;

/// Speech is brought to this loudness.
pub(crate) const TARGET_LUFS: f32 = -20.0;
/// The gain's bounds for a voice, and for stereo, which is music whose dynamics are meant.
const MOST_DB: f32 = 12.0;
const MOST_STEREO_DB: f32 = 6.0;
/// How fast the gain moves during the first second of speech, and afterwards.
const FAST_DB_PER_S: f32 = 30.0;
const SLOW_DB_PER_S: f32 = 2.0;
const SLOW_STEREO_DB_PER_S: f32 = 0.5;
/// A boost leaves peaks below this.
const HIGHEST_PEAK: f32 = 0.9;
/// How much of a peak is remembered from one block to the next: it is forgotten by 1 dB a second.
const PEAK_MEMORY: f32 = 0.988_55;

/// Loudness is looked at in steps of 100 ms...
const BLOCK: usize = 100 * SAMPLES_PER_MS;
/// ...of which four make a gating block.
const WINDOW: usize = 4;
/// R 128 gates at -70 LUFS. What is below this is no speech at any level that is worth amplifying.
const ABSOLUTE_GATE_LUFS: f32 = -50.0;
/// What is so far below a speaker's own loudness is a pause (R 128's relative gate).
const RELATIVE_GATE_LU: f32 = 10.0;
/// One block counts as at most so much louder than what is known.
const LOUDEST_ABOVE: f32 = 10.0;
/// Blocks until the gain moves slowly, and blocks that the loudness is a mean of at most.
const FAST_BLOCKS: u16 = 10;
const MEMORY_BLOCKS: u16 = 100;
/// After so many blocks of speech below the relative gate and none above, the speaker has become quieter.
const QUIETER_AFTER: u16 = 30;
/// A voice goes up and down from block to block by so much on average; noise and hum don't. Below the second it is
/// noise again.
const LIVELY_DB: f32 = 1.5;
const DULL_DB: f32 = 0.8;
/// One step counts at most so much.
const LARGEST_STEP_DB: f32 = 10.0;
const LIVELY_BLOCKS: f32 = 20.0;

/// What is known of a speaker's loudness; worth remembering while they are away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// K-weighted mean square of their speech.
    energy: f32,
    /// Blocks it is the mean of, up to [`MEMORY_BLOCKS`].
    blocks: u16,
    voice: bool,
}

impl Loudness {
    pub(crate) const UNKNOWN: Self = Self {
        energy: 0.0,
        blocks: 0,
        voice: false,
    };

    /// Nothing before the first speech.
    #[must_use]
    pub fn lufs(self) -> Option<f32> {
        (self.blocks > 0).then(|| lufs(self.energy))
    }
}

/// Measures one speaker and says by how much to amplify them.
#[derive(Debug, Clone)]
pub(crate) struct Leveller {
    mid: KWeighting,
    side: KWeighting,
    stereo: bool,
    block_energy: f64,
    block_samples: usize,
    block_peak: f32,
    /// Mean squares of the last blocks of this talkspurt, the newest last.
    window: [f32; WINDOW],
    window_blocks: usize,
    known: Loudness,
    /// Mean change of loudness from block to block, and of how many.
    lively_db: f32,
    steps: f32,
    /// Blocks in a row between the gates, and the sum of their mean squares.
    quieter: (u16, f32),
    peak: f32,
    /// The last block was speech; otherwise the gain stays as it is.
    speech: bool,
    gain_db: f32,
}

impl Leveller {
    /// Begins where what is known of the speaker says.
    pub(crate) fn new(known: Loudness) -> Self {
        let mut leveller = Self {
            mid: KWeighting::default(),
            side: KWeighting::default(),
            stereo: false,
            block_energy: 0.0,
            block_samples: 0,
            block_peak: 0.0,
            window: [0.0; WINDOW],
            window_blocks: 0,
            known,
            lively_db: if known.voice { LIVELY_DB } else { 0.0 },
            steps: 0.0,
            quieter: (0, 0.0),
            peak: 0.0,
            speech: false,
            gain_db: 0.0,
        };
        leveller.gain_db = leveller.wanted_db();
        leveller
    }

    pub(crate) fn known(&self) -> Loudness {
        self.known
    }

    pub(crate) fn gain_db(&self) -> f32 {
        self.gain_db
    }

    pub(crate) fn gain(&self) -> f32 {
        amplitude(self.gain_db)
    }

    /// Takes what was played of the speaker: half the sum of left and right, and half their difference unless they
    /// are the same. A stereo signal so counts as loud as its mean over both ears, which makes mono and stereo
    /// comparable.
    pub(crate) fn run(&mut self, mid: &[f32], side: Option<&[f32]>) {
        self.stereo = side.is_some();
        let mut done = 0;
        while done < mid.len() {
            let len = (BLOCK - self.block_samples).min(mid.len() - done);
            let mid = &mid[done..done + len];
            let mut peak = mid.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
            self.block_energy += self.mid.energy(mid);
            if let Some(side) = side.map(|side| &side[done..done + len]) {
                peak += side.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
                self.block_energy += self.side.energy(side);
            }
            self.block_peak = self.block_peak.max(peak);
            self.block_samples += len;
            done += len;
            if self.block_samples == BLOCK {
                self.end_block();
            }
        }
        self.move_gain(mid.len());
    }

    /// The speaker is silent: what comes next is another talkspurt.
    pub(crate) fn pause(&mut self) {
        self.mid = KWeighting::default();
        self.side = KWeighting::default();
        self.block_energy = 0.0;
        self.block_samples = 0;
        self.block_peak = 0.0;
        self.window_blocks = 0;
        self.speech = false;
    }

    fn end_block(&mut self) {
        let energy = (self.block_energy / BLOCK as f64) as f32;
        self.peak = (self.peak * PEAK_MEMORY).max(self.block_peak);
        self.block_energy = 0.0;
        self.block_samples = 0;
        self.block_peak = 0.0;
        let before = (self.window_blocks > 0).then(|| self.window[WINDOW - 1]);
        self.window.copy_within(1.., 0);
        self.window[WINDOW - 1] = energy;
        self.window_blocks = (self.window_blocks + 1).min(WINDOW);

        let recent = &self.window[WINDOW - self.window_blocks..];
        let momentary = recent.iter().sum::<f32>() / recent.len() as f32;
        let gate = self.known.lufs().map_or(ABSOLUTE_GATE_LUFS, |own| {
            (own - RELATIVE_GATE_LU).max(ABSOLUTE_GATE_LUFS)
        });
        self.speech = lufs(momentary) >= gate;
        if lufs(momentary) < ABSOLUTE_GATE_LUFS {
            return;
        }
        let step = before.map(|before| (lufs(energy) - lufs(before)).abs().min(LARGEST_STEP_DB));
        if let Some(step) = step {
            self.steps = (self.steps + 1.0).min(LIVELY_BLOCKS);
            self.lively_db += (step - self.lively_db) / self.steps;
        }
        if !self.speech {
            self.weigh_quieter(momentary);
            return;
        }
        self.quieter = (0, 0.0);
        let known = &mut self.known;
        known.blocks = (known.blocks + 1).min(MEMORY_BLOCKS);
        let most = if known.blocks > FAST_BLOCKS {
            known.energy * LOUDEST_ABOVE
        } else {
            f32::INFINITY
        };
        known.energy += (momentary.min(most) - known.energy) / f32::from(known.blocks);
        known.voice = self.lively_db >= if known.voice { DULL_DB } else { LIVELY_DB };
    }

    /// Pauses end, and noise isn't lively. What stays below the gate and is, is speech of somebody who has become quieter.
    fn weigh_quieter(&mut self, momentary: f32) {
        self.quieter.0 += 1;
        self.quieter.1 += momentary;
        if self.quieter.0 == QUIETER_AFTER {
            if self.lively_db >= LIVELY_DB {
                self.known.energy = self.quieter.1 / f32::from(QUIETER_AFTER);
                self.known.blocks = FAST_BLOCKS;
            }
            self.quieter = (0, 0.0);
        }
    }

    /// What would bring the speaker to the target, within bounds. What isn't a voice is never made louder.
    fn wanted_db(&self) -> f32 {
        let Some(own) = self.known.lufs() else {
            return 0.0;
        };
        let most = if self.stereo { MOST_STEREO_DB } else { MOST_DB };
        let wanted = (TARGET_LUFS - own).clamp(-most, most);
        if wanted <= 0.0 {
            return wanted;
        }
        if !self.known.voice {
            return 0.0;
        }
        let room = 20.0 * (HIGHEST_PEAK / self.peak.max(1e-3)).log10();
        wanted.min(room.max(0.0))
    }

    fn move_gain(&mut self, samples: usize) {
        if !self.speech {
            return;
        }
        let rate = match self.known.blocks {
            ..FAST_BLOCKS => FAST_DB_PER_S,
            _ if self.stereo => SLOW_STEREO_DB_PER_S,
            _ => SLOW_DB_PER_S,
        };
        let most = rate * samples as f32 / SAMPLE_RATE_HZ as f32;
        self.gain_db += (self.wanted_db() - self.gain_db).clamp(-most, most);
    }
}

/// Loudness of a K-weighted mean square (BS.1770, formula 2).
fn lufs(energy: f32) -> f32 {
    -0.691 + 10.0 * energy.max(1e-12).log10()
}

/// The two filters in a row of BS.1770, annex 1, at 48 kHz: a head's shadow, and less bass.
#[derive(Debug, Clone, Default)]
struct KWeighting {
    shelf: [f64; 2],
    high_pass: [f64; 2],
}

impl KWeighting {
    /// Coefficients of ITU-R BS.1770-5, annex 1, tables 1 and 2.
    const SHELF_B: [f64; 3] = [
        1.535_124_859_586_97,
        -2.691_696_189_406_38,
        1.198_392_810_852_85,
    ];
    const SHELF_A: [f64; 2] = [-1.690_659_293_182_41, 0.732_480_774_215_85];
    const HIGH_PASS_A: [f64; 2] = [-1.990_047_454_833_98, 0.990_072_250_366_21];

    /// Sum of squares of the weighted `samples`.
    fn energy(&mut self, samples: &[f32]) -> f64 {
        let ([mut s1, mut s2], [mut h1, mut h2]) = (self.shelf, self.high_pass);
        let mut energy = 0.0;
        for &sample in samples {
            // Transposed direct form II.
            let x = f64::from(sample);
            let y = Self::SHELF_B[0] * x + s1;
            s1 = Self::SHELF_B[1] * x - Self::SHELF_A[0] * y + s2;
            s2 = Self::SHELF_B[2] * x - Self::SHELF_A[1] * y;
            let z = y + h1;
            h1 = -2.0 * y - Self::HIGH_PASS_A[0] * z + h2;
            h2 = y - Self::HIGH_PASS_A[1] * z;
            energy += z * z;
        }
        // Zeros for minutes must not end in denormal numbers, which are slow.
        let settled = |state: f64| if state.abs() < 1e-30 { 0.0 } else { state };
        self.shelf = [s1, s2].map(settled);
        self.high_pass = [h1, h2].map(settled);
        energy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PULL: usize = 240;

    fn noise(seed: u32, samples: usize, amplitude: f32) -> Vec<f32> {
        let mut state = seed;
        (0..samples)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * amplitude
            })
            .collect()
    }

    /// Syllables of 150 ms that differ by up to 10 dB, every sixth of them silence.
    fn speech(seed: u32, seconds: usize, amplitude: f32) -> Vec<f32> {
        let syllable = 150 * SAMPLES_PER_MS;
        let mut samples = noise(seed, seconds * SAMPLE_RATE_HZ as usize, amplitude);
        let loudness = noise(seed + 1, samples.len() / syllable + 1, 5.0);
        for (i, piece) in samples.chunks_mut(syllable).enumerate() {
            let gain = if i % 6 == 5 { 0.0 } else { db(loudness[i]) };
            let len = piece.len() as f32;
            for (k, sample) in piece.iter_mut().enumerate() {
                *sample *= gain * (k as f32 / len * std::f32::consts::PI).sin();
            }
        }
        samples
    }

    fn db(db: f32) -> f32 {
        amplitude(db)
    }

    /// Loudness of everything that isn't a pause, as R 128 gates it.
    fn measure(samples: &[f32]) -> f32 {
        let mut filter = KWeighting::default();
        let blocks: Vec<f32> = samples
            .chunks_exact(BLOCK)
            .map(|block| (filter.energy(block) / BLOCK as f64) as f32)
            .collect();
        let windows: Vec<f32> = blocks
            .windows(WINDOW)
            .map(|window| window.iter().sum::<f32>() / WINDOW as f32)
            .collect();
        let mean = |gate: f32| {
            let kept: Vec<f32> = windows
                .iter()
                .copied()
                .filter(|w| lufs(*w) >= gate)
                .collect();
            kept.iter().sum::<f32>() / kept.len().max(1) as f32
        };
        lufs(mean(lufs(mean(-70.0)) - RELATIVE_GATE_LU))
    }

    /// Runs all, and returns the gain after each pull in dB.
    fn run(leveller: &mut Leveller, samples: &[f32]) -> Vec<f32> {
        samples
            .chunks(PULL)
            .map(|chunk| {
                leveller.run(chunk, None);
                leveller.gain_db()
            })
            .collect()
    }

    fn levelled(samples: &[f32], gains: &[f32]) -> Vec<f32> {
        let gain = |i: usize| amplitude(gains[i / PULL]);
        samples
            .iter()
            .enumerate()
            .map(|(i, s)| s * gain(i))
            .collect()
    }

    fn unknown() -> Leveller {
        Leveller::new(Loudness::UNKNOWN)
    }

    #[test]
    fn a_tone_measures_as_the_standard_says() {
        // BS.1770: 997 Hz at full scale in one channel reads -3.01.
        let tone: Vec<f32> = (0..96_000)
            .map(|i| (i as f32 * 997.0 / 48_000.0 * std::f32::consts::TAU).sin())
            .collect();
        assert!((measure(&tone) + 3.01).abs() < 0.02, "{}", measure(&tone));
        // Twice as loud is twice as loud, and bass counts less.
        let bass: Vec<f32> = (0..96_000)
            .map(|i| (i as f32 * 40.0 / 48_000.0 * std::f32::consts::TAU).sin())
            .collect();
        assert!(measure(&bass) < -8.0);
    }

    #[test]
    fn speakers_20_db_apart_end_equally_loud() {
        for seed in 1..=10 {
            let heard = [0.05, 0.5].map(|amplitude| {
                let said = speech(seed, 12, amplitude);
                let gains = run(&mut unknown(), &said);
                let heard = levelled(&said, &gains);
                let last = *gains.last().expect("some");
                let there = gains.iter().rposition(|g| (g - last).abs() > 2.0);
                let reached_ms = there.map_or(0, |at| (at + 1) * 5);
                println!(
                    "seed {seed}: said at {:.1}, heard at {:.1} LUFS; within 2 dB of the end after {reached_ms} ms",
                    measure(&said),
                    measure(&heard[96_000..]),
                );
                assert!(reached_ms <= 1_500, "seed {seed}: {reached_ms} ms");
                measure(&heard[96_000..])
            });
            assert!((heard[0] - heard[1]).abs() < 2.0, "seed {seed}: {heard:?}");
            assert!(
                heard.iter().all(|lufs| (lufs - TARGET_LUFS).abs() < 2.0),
                "seed {seed}: {heard:?}"
            );
        }
    }

    #[test]
    fn after_the_first_second_the_gain_moves_slowly() {
        for seed in 1..=10 {
            let mut said = speech(seed, 6, 0.05);
            said.extend(speech(seed + 50, 6, 0.5));
            said.extend(speech(seed + 99, 12, 0.05));
            let gains = run(&mut unknown(), &said);
            // 20 pulls are 100 ms.
            for pair in gains[400..].windows(21) {
                let change = (pair[20] - pair[0]).abs();
                assert!(
                    change <= SLOW_DB_PER_S * 0.1 + 1e-3,
                    "seed {seed}: {change} dB"
                );
            }
            let (loud, quiet) = (gains[2_399], gains[gains.len() - 1]);
            assert!(
                quiet > loud + 4.0,
                "seed {seed}: follows from {loud} to {quiet}"
            );
        }
    }

    #[test]
    fn pauses_and_noise_are_not_raised() {
        let mut leveller = unknown();
        let gains = run(&mut leveller, &noise(3, 48_000 * 20, 0.02));
        assert!(gains.iter().all(|gain| *gain <= 0.01), "noise alone");

        let mut leveller = unknown();
        let before = *run(&mut leveller, &speech(4, 10, 0.05))
            .last()
            .expect("some");
        assert!(before > 3.0);
        // Quieter by more than the relative gate, above and below the absolute one.
        for amplitude in [0.01, 0.002] {
            let gains = run(&mut leveller, &noise(5, 48_000 * 10, amplitude));
            // The window that the speech ends in still counts.
            assert!(
                gains[80..].iter().all(|gain| *gain <= before + 0.5),
                "{amplitude}"
            );
        }
    }

    #[test]
    fn who_is_known_is_levelled_from_the_first_word_on() {
        let mut leveller = unknown();
        let learnt = *run(&mut leveller, &speech(6, 10, 0.04))
            .last()
            .expect("some");
        let mut back = Leveller::new(leveller.known());
        assert!(
            (back.gain_db() - learnt).abs() < 1.0,
            "{} {learnt}",
            back.gain_db()
        );
        back.pause();
        let gains = run(&mut back, &speech(7, 2, 0.04));
        assert!(gains.iter().all(|gain| (gain - learnt).abs() < 1.5));
    }

    #[test]
    fn gains_are_bounded_and_stereo_is_left_its_dynamics() {
        for (amplitude, side) in [(0.008, false), (3.0, false), (0.02, true), (3.0, true)] {
            let said = speech(8, 10, amplitude);
            let mut leveller = unknown();
            for chunk in said.chunks(PULL) {
                leveller.run(chunk, side.then_some(chunk));
            }
            let most = if side { MOST_STEREO_DB } else { MOST_DB };
            assert!(leveller.gain_db().abs() <= most, "{amplitude}");
        }
    }

    #[test]
    fn a_boost_leaves_room_for_peaks() {
        // Quiet speech with clicks at full scale.
        let mut said = speech(9, 10, 0.04);
        for click in said.chunks_mut(24_000) {
            click[12_000] = 0.85;
        }
        let gains = run(&mut unknown(), &said);
        assert!(gains[400..].iter().all(|gain| *gain < 1.6));
    }
}
