//! What a listener got, counted with NetEQ's words.

use super::trace::{MS, SECOND, Trace};

/// Delays are counted in steps of half a millisecond up to here.
const STEPS: usize = 4_000;
const STEP: i64 = MS / 2;
/// Concealment this long is an interruption.
const INTERRUPTION: i64 = 150 * MS;
/// The course of the delay is kept for each so many samples.
const SLOT: i64 = 20 * MS;
/// Within so much of the delay before a spike the listener has recovered...
const NEAR: f64 = 5.0;
/// ...if it stays so for this many slots.
const STAYS: usize = 25;

#[derive(Clone)]
pub struct Tally {
    /// Samples played, made up ones included.
    pub total: i64,
    pub concealed: i64,
    pub concealments: u64,
    pub interruptions: u64,
    pub accelerated: i64,
    pub expanded: i64,
    /// Packets that came and weren't played.
    pub dropped: usize,
    /// Samples that were decoded, and what they waited between arrival and emission, summed.
    pub emitted: i64,
    waited: i128,
    /// The same from sending to emission.
    took: i128,
    steps: Vec<i64>,
    /// Sum and count of the time from sending to emission, by time of emission.
    course: Vec<(i64, i64)>,
}

impl Tally {
    pub fn new(length: i64) -> Self {
        Self {
            total: 0,
            concealed: 0,
            concealments: 0,
            interruptions: 0,
            accelerated: 0,
            expanded: 0,
            dropped: 0,
            emitted: 0,
            waited: 0,
            took: 0,
            steps: vec![0; STEPS],
            course: vec![(0, 0); (length / SLOT) as usize + 1],
        }
    }

    /// `samples` of a packet were played at `at`, when they had waited for `waited` and been on their way for `took`.
    pub fn emit(&mut self, at: i64, samples: i64, waited: i64, took: i64) {
        self.total += samples;
        self.emitted += samples;
        self.waited += i128::from(waited) * i128::from(samples);
        self.took += i128::from(took) * i128::from(samples);
        let step = (waited / STEP).clamp(0, STEPS as i64 - 1);
        self.steps[step as usize] += samples;
        if let Some((sum, count)) = self.course.get_mut((at / SLOT) as usize) {
            *sum += took * samples / SLOT;
            *count += samples;
        }
    }

    /// `samples` in a row were made up.
    pub fn conceal(&mut self, samples: i64) {
        self.total += samples;
        self.concealed += samples;
        self.concealments += 1;
        self.interruptions += u64::from(samples >= INTERRUPTION);
    }

    pub fn mean_delay_ms(&self) -> f64 {
        self.waited as f64 / self.emitted.max(1) as f64 / MS as f64
    }

    pub fn mean_playout_ms(&self) -> f64 {
        self.took as f64 / self.emitted.max(1) as f64 / MS as f64
    }

    pub fn p95_delay_ms(&self) -> f64 {
        let mut beyond = self.emitted / 20;
        for (step, &samples) in self.steps.iter().enumerate().rev() {
            beyond -= samples;
            if beyond < 0 {
                return (step as i64 * STEP) as f64 / MS as f64;
            }
        }
        0.0
    }

    pub fn concealed_ratio(&self) -> f64 {
        self.concealed as f64 / self.total.max(1) as f64
    }

    /// Packets that came too late: those that were never played, or as many as explain the concealment that loss doesn't.
    pub fn late(&self, trace: &Trace) -> usize {
        let lost = trace.lost() as i64 * trace.frame;
        let unexplained = (self.concealed - lost).max(0) / trace.frame;
        (unexplained as usize).max(self.dropped)
    }

    /// After each spike of the trace, how long until the delay was and stayed as before; the mean.
    pub fn recover_s(&self, trace: &Trace) -> Option<f64> {
        let mean = |slots: &[(i64, i64)]| {
            let (sum, count) = slots.iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            (count > 0).then(|| sum as f64 / count as f64 * SLOT as f64 / MS as f64)
        };
        let times: Vec<f64> = trace
            .spikes
            .iter()
            .filter_map(|spike| {
                let slot = |at: i64| (at / SLOT) as usize;
                let before = mean(&self.course[slot(spike.from - 2 * SECOND)..slot(spike.from)])?;
                let after = &self.course[slot(spike.to)..];
                let near = |slots: &[(i64, i64)]| mean(slots).is_none_or(|ms| ms <= before + NEAR);
                let back = after
                    .windows(STAYS)
                    .position(|slots| slots.iter().all(|s| near(&[*s])));
                let slots = back.unwrap_or(after.len()) as i64;
                Some((slots * SLOT) as f64 / SECOND as f64)
            })
            .collect();
        (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
    }
}
