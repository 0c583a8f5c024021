//! Listeners' reports, turned into one a speaker.

use std::time::Instant;

use voxhall_protocol::voice::ReportBlock;

use crate::slab::Slot;

/// Of so many listeners one may lose more than the speaker is told of: what protects it costs all the others bits and delay.
const LISTENERS_FOR_ONE_PASSED_OVER: u32 = 10;
/// Where the classes of loss begin, in 256ths: 0, 0.4, 2, 5, 10, 20, 35 and 60 %.
const CLASSES: [u8; 8] = [0, 1, 5, 13, 26, 51, 90, 154];

/// What the listeners said about one speaker since the last time it was told.
///
/// The speaker is told of one listener: the worst of up to nine, the second worst of ten to nineteen, and so on, to within a class
/// of loss. So whoever is alone among few is protected, and one or two with a terrible path among fifty don't make the speaker
/// sound worse to the others. Costs the same memory for any number of listeners.
#[derive(Debug, Default)]
pub(crate) struct SpeakerReport {
    classes: [Class; CLASSES.len()],
    reports: u32,
    /// Who reported last: a compound tells of a speaker once, however often it repeats itself.
    last_by: Option<Slot>,
    /// When the speaker is to be told.
    due: Option<Instant>,
}

#[derive(Debug, Default)]
struct Class {
    reports: u32,
    worst: Option<ReportBlock>,
}

impl SpeakerReport {
    /// Takes what one listener says. Says whether it is the first since the last [`take`](Self::take): then the speaker is to be told
    /// at `due`.
    pub fn add(&mut self, by: Slot, block: ReportBlock, due: Instant) -> bool {
        if self.last_by.replace(by) == Some(by) {
            return false;
        }
        let class = CLASSES.partition_point(|from| *from <= loss(&block)) - 1;
        self.classes[class].add(block);
        self.reports += 1;
        let first = self.reports == 1;
        if first {
            self.due = Some(due);
        }
        first
    }

    /// Whether the speaker is to be told just then: an appointment may be that of who had the same place before.
    pub fn is_due(&self, due: Instant) -> bool {
        self.due == Some(due)
    }

    /// Jitter is the worst of all who lose no more than the listener told of.
    pub fn take(&mut self) -> Option<ReportBlock> {
        let report = std::mem::take(self);
        let mut passed_over = report.reports / LISTENERS_FOR_ONE_PASSED_OVER;
        let mut told: Option<ReportBlock> = None;
        for class in report.classes.iter().rev() {
            match (&mut told, class.worst) {
                (Some(told), Some(better)) => told.jitter = told.jitter.max(better.jitter),
                (None, worst) if class.reports > passed_over => told = worst,
                (None, _) => passed_over -= class.reports,
                (Some(_), None) => {}
            }
        }
        told
    }
}

/// What a listener misses, in 256ths: `fraction_lost` knows nothing of what came too late, which is told of with the bursts.
fn loss(block: &ReportBlock) -> u8 {
    let bursts = block.burst_loss;
    let missed = u32::from(bursts.lost) * 256 / u32::from(bursts.expected).max(1);
    block.fraction_lost.max(missed.min(255) as u8)
}

impl Class {
    fn add(&mut self, block: ReportBlock) {
        self.reports += 1;
        let badness = |block: &ReportBlock| (loss(block), block.burst_loss.lost);
        match &mut self.worst {
            None => self.worst = Some(block),
            Some(worst) => {
                let jitter = worst.jitter.max(block.jitter);
                if badness(&block) > badness(worst) {
                    *worst = block;
                }
                worst.jitter = jitter;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::{Ssrc, voice::BurstLoss};

    use super::*;

    /// Each block from a listener of its own.
    fn add(report: &mut SpeakerReport, block: ReportBlock) -> bool {
        let by = report.last_by.map_or(0, |by| by + 1);
        report.add(by, block, Instant::now())
    }

    fn block(percent: u32, jitter: u32) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(1),
            fraction_lost: (percent * 256 / 100) as u8,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter,
            burst_loss: BurstLoss::default(),
        }
    }

    fn told(percents: impl IntoIterator<Item = u32>) -> u32 {
        let mut report = SpeakerReport::default();
        for percent in percents {
            add(&mut report, block(percent, 0));
        }
        let told = report.take().expect("somebody reported");
        (u32::from(told.fraction_lost) * 100).div_ceil(256)
    }

    #[test]
    fn of_few_the_worst_is_told_of() {
        assert_eq!(told([0]), 0);
        assert_eq!(told([3, 0, 60]), 60);
        assert_eq!(told([30, 0, 0, 0, 0, 0, 0, 0, 0]), 30);
    }

    #[test]
    fn of_many_a_tenth_is_passed_over() {
        let others = |count| std::iter::repeat_n(0, count);
        assert_eq!(told([30].into_iter().chain(others(9))), 0);
        assert_eq!(told([50, 50, 50, 50, 50].into_iter().chain(others(45))), 0);
        assert_eq!(told([50; 6].into_iter().chain(others(44))), 50);
        // Those in between are told of, not the terrible ones.
        assert_eq!(
            told([90, 90].into_iter().chain([8; 8]).chain(others(40))),
            8
        );
        assert_eq!(told([90; 5_000]), 90);
    }

    #[test]
    fn the_one_told_of_is_told_of_whole() {
        let mut report = SpeakerReport::default();
        let bursts = BurstLoss {
            expected: 50,
            lost: 6,
            bursts: 2,
            duration_ms: 120,
        };
        let with_bursts = ReportBlock {
            burst_loss: bursts,
            ..block(12, 5)
        };
        assert!(add(&mut report, block(12, 70)));
        assert!(!add(&mut report, with_bursts));
        assert!(!add(&mut report, block(0, 90)));
        let told = report.take().expect("three reported");
        assert_eq!((told.burst_loss, told.jitter), (bursts, 90));
        // Among ten, the jitter of who is passed over doesn't count either.
        for block in [block(80, 9_000)].into_iter().chain([block(0, 3); 9]) {
            add(&mut report, block);
        }
        assert_eq!(report.take().expect("ten reported").jitter, 3);
        assert_eq!(report.take(), None);
    }

    #[test]
    fn one_listener_has_one_voice_however_often_it_speaks() {
        let mut report = SpeakerReport::default();
        let due = Instant::now();
        for _ in 0..31 {
            report.add(7, block(90, 0), due);
        }
        for by in 10..19 {
            report.add(by, block(0, 0), due);
        }
        assert_eq!(report.take().expect("ten reported").fraction_lost, 0);
    }

    #[test]
    fn who_hears_everything_too_late_is_passed_over_among_many_as_well() {
        let late = ReportBlock {
            burst_loss: BurstLoss {
                expected: 50,
                lost: 15,
                bursts: 3,
                duration_ms: 300,
            },
            ..block(0, 0)
        };
        let mut report = SpeakerReport::default();
        add(&mut report, late);
        assert_eq!(report.take(), Some(late), "alone it counts");
        for block in [late].into_iter().chain([block(0, 0); 49]) {
            add(&mut report, block);
        }
        let told = report.take().expect("fifty reported");
        assert_eq!(told.burst_loss, BurstLoss::default());
    }
}
