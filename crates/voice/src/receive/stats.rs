//! What is known about one speaker's stream.

use std::time::Duration;

use voxhall_protocol::voice::BurstLoss;

use crate::frame::{SAMPLE_RATE_HZ, SAMPLES_PER_MS};

/// Counters since the speaker was first heard, and the present delays.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SpeakerStats {
    /// Packets taken into the buffer.
    pub packets: u64,
    /// Packets that never came, or came too late to be played.
    pub lost: u64,
    /// Packets that came after their place had been played.
    pub late: u64,
    pub duplicates: u64,
    /// Packets that aren't Opus, or whose numbers make no sense.
    pub invalid: u64,
    /// Packets thrown away unplayed, because the buffer was too far behind.
    pub skipped: u64,
    /// Samples played while the speaker was talking, concealed ones included.
    pub total_samples: u64,
    /// Samples made up because the packet wasn't there; deliberate silence is none.
    pub concealed_samples: u64,
    /// Lost packets restored from the redundancy in the next one.
    pub fec_recovered: u64,
    /// Samples restored from the deep redundancy (DRED) of a later packet.
    pub dred_recovered_samples: u64,
    /// Samples removed by playing faster or by skipping silence.
    pub accelerated_samples: u64,
    /// Samples added by playing slower.
    pub expanded_samples: u64,
    /// RTP timestamp of the sample that is played next, while the speaker is talking.
    pub playout_timestamp: u32,
    /// How long the fastest packets are to be held back, to give the others time to come.
    pub target_delay_ms: f32,
    /// How long the sample that is played next was held back, beyond the transit of the fastest packets.
    pub delay_ms: f32,
    /// Interarrival jitter (RFC 3550, 6.4.1).
    pub jitter_ms: f32,
    /// Sound in the last packet that was played: its first sample waited so long for the packet to be full.
    pub frame_ms: f32,
    /// Two channels are played.
    pub stereo: bool,
}

/// What an RTCP receiver report says about one source (RFC 3550, 6.4.1), but for the times of sender reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceptionReport {
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Signed 24 bits on the wire; clamped to them.
    pub cumulative_lost: i32,
    /// Cycles of the sequence number in the upper half.
    pub extended_highest_sequence: u32,
    /// In units of the RTP clock.
    pub jitter: u32,
    /// Of what was to be played since the last report: late packets count as lost.
    pub burst_loss: BurstLoss,
}

/// Counts arrivals for [`ReceptionReport`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reception {
    first: i64,
    highest: i64,
    received: i64,
    duplicates: i64,
    /// By the server, which forwards only the loudest.
    withheld: i64,
    expected_reported: i64,
    received_reported: i64,
    /// RFC 3550 keeps the jitter in 1/16 units.
    jitter_q4: i64,
    transit: Option<i64>,
    /// Since the last report.
    burst_lost: i64,
    bursts: i64,
    burst_samples: i64,
}

impl Reception {
    /// Starts anew at the first packet of a stream.
    pub(crate) fn restart(&mut self, sequence: i64) {
        *self = Self {
            first: sequence,
            highest: sequence - 1,
            ..Self::default()
        };
    }

    /// Counts a packet that arrived `transit` samples after its timestamp, late ones too.
    pub(crate) fn count(&mut self, sequence: i64, transit: i64) {
        self.received += 1;
        self.highest = self.highest.max(sequence);
        self.first = self.first.min(sequence);
        if let Some(before) = self.transit.replace(transit) {
            // A pause longer than a minute says nothing about jitter.
            let change = (transit - before).abs().min(60 * i64::from(SAMPLE_RATE_HZ));
            self.jitter_q4 += change - ((self.jitter_q4 + 8) >> 4);
        }
    }

    /// So many packets before the one counted last weren't meant for us.
    pub(crate) fn count_withheld(&mut self, packets: i64) {
        self.withheld += packets;
    }

    /// How many are missing between the highest packet so far and this one.
    pub(crate) fn gap_before(&self, sequence: i64) -> i64 {
        (sequence - self.highest - 1).max(0)
    }

    /// RFC 3550 has duplicates count as received.
    pub(crate) fn count_duplicate(&mut self) {
        self.received += 1;
        self.duplicates += 1;
    }

    /// The first packet after a pause: a burst of earlier speech may follow, which isn't jitter.
    pub(crate) fn forget_transit(&mut self) {
        self.transit = None;
    }

    /// So many packets in a row, of `frame` samples each, weren't there when they were to be played.
    pub(crate) fn count_missed(&mut self, packets: i64, frame: i64) {
        if packets > 1 {
            self.bursts += 1;
            self.burst_lost += packets;
            self.burst_samples += packets * frame;
        }
    }

    pub(crate) fn jitter_samples(&self) -> f32 {
        self.jitter_q4 as f32 / 16.0
    }

    /// Packets that never came.
    pub(crate) fn missing(&self) -> i64 {
        self.expected() - (self.received - self.duplicates)
    }

    /// Closes the interval since the last report.
    pub(crate) fn report(&mut self, ssrc: u32) -> ReceptionReport {
        let expected = self.expected() - self.expected_reported;
        let lost = expected - (self.received - self.received_reported);
        self.expected_reported = self.expected();
        self.received_reported = self.received;
        let fraction_lost = if expected > 0 && lost > 0 {
            ((lost << 8) / expected).min(255) as u8
        } else {
            0
        };
        ReceptionReport {
            ssrc,
            fraction_lost,
            cumulative_lost: (self.expected() - self.received).clamp(-0x80_0000, 0x7f_ffff) as i32,
            // The extension counts from an arbitrary cycle, so truncation is what is meant.
            extended_highest_sequence: self.highest as u32,
            jitter: (self.jitter_q4 >> 4).clamp(0, i64::from(u32::MAX)) as u32,
            burst_loss: self.take_burst_loss(expected),
        }
    }

    fn take_burst_loss(&mut self, expected: i64) -> BurstLoss {
        // Playing runs behind arriving, so at the edges of an interval there can be more missed than expected.
        let expected = expected.clamp(0, i64::from(u16::MAX));
        let lost = std::mem::take(&mut self.burst_lost).min(expected);
        let bursts = std::mem::take(&mut self.bursts).min(lost / 2);
        let samples = std::mem::take(&mut self.burst_samples);
        if bursts == 0 {
            return BurstLoss::default();
        }
        BurstLoss {
            expected: expected as u16,
            lost: lost as u16,
            bursts: bursts as u16,
            duration_ms: (samples / SAMPLES_PER_MS as i64).clamp(0, 0xff_ffff) as u32,
        }
    }

    fn expected(&self) -> i64 {
        self.highest - self.first + 1 - self.withheld
    }
}

/// A duration in samples, the engine's unit of time.
pub(crate) fn samples_in(duration: Duration) -> i64 {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 96_000);
    seconds.min(i64::MAX / 96_000) * i64::from(SAMPLE_RATE_HZ)
        + i64::from(duration.subsec_nanos()) * 48 / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_follow_rfc_3550() {
        let mut reception = Reception::default();
        reception.restart(100);
        for sequence in [100, 101, 103, 104] {
            reception.count(sequence, 0);
        }
        let report = reception.report(7);
        assert_eq!((report.fraction_lost, report.cumulative_lost), (51, 1));
        assert_eq!(report.extended_highest_sequence, 104);
        assert_eq!(report.jitter, 0);

        reception.count(102, 0);
        reception.count(105, 160);
        let report = reception.report(7);
        assert_eq!((report.fraction_lost, report.cumulative_lost), (0, 0));
        assert_eq!(report.jitter, 10);
        // Nothing arrived since.
        assert_eq!(reception.report(7).fraction_lost, 0);
    }

    #[test]
    fn losses_in_a_row_are_told_once_and_never_more_of_them_than_packets() {
        let mut reception = Reception::default();
        reception.restart(0);
        for sequence in (0..20).filter(|sequence| ![3, 7, 8, 12, 13, 14].contains(sequence)) {
            reception.count(sequence, 0);
        }
        for missed in [1, 2, 3] {
            reception.count_missed(missed, 960);
        }
        let expected = BurstLoss {
            expected: 20,
            lost: 5,
            bursts: 2,
            duration_ms: 100,
        };
        assert_eq!(reception.report(7).burst_loss, expected);
        assert_eq!(reception.report(7).burst_loss, BurstLoss::default());

        reception.count(20, 0);
        reception.count(21, 0);
        reception.count(22, 0);
        reception.count_missed(9, 960);
        let burst_loss = reception.report(7).burst_loss;
        assert_eq!((burst_loss.expected, burst_loss.lost), (3, 3));
    }

    #[test]
    fn durations_become_samples() {
        assert_eq!(samples_in(Duration::from_micros(2_500)), 120);
        assert_eq!(samples_in(Duration::from_secs(86_400)), 86_400 * 48_000);
        assert!(samples_in(Duration::MAX) > 0);
    }
}
