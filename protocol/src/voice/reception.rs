//! What a listener counts of one source, to report it (RFC 3550 appendices A.3 and A.8).

use crate::Ssrc;

use super::ReportBlock;

/// Counts one source's packets after they were opened.
#[derive(Clone, Debug)]
pub struct ReceptionStats {
    ssrc: Ssrc,
    /// First sequence number and the highest, rollovers above.
    range: Option<(u32, u32)>,
    received: u32,
    expected_before: u32,
    received_before: u32,
    last_transit: Option<u32>,
    /// Times 16.
    jitter: u32,
}

impl ReceptionStats {
    #[must_use]
    pub fn new(ssrc: Ssrc) -> Self {
        Self {
            ssrc,
            range: None,
            received: 0,
            expected_before: 0,
            received_before: 0,
            last_transit: None,
            jitter: 0,
        }
    }

    /// `arrival` is the time of arrival in RTP clock units, from any start.
    pub fn on_packet(&mut self, sequence: u16, timestamp: u32, arrival: u32) {
        self.range = Some(match self.range {
            None => (sequence.into(), sequence.into()),
            Some((first, highest)) => {
                let ahead = sequence.wrapping_sub(highest as u16);
                let newer = ahead < 1 << 15;
                let step = if newer { u32::from(ahead) } else { 0 };
                (first, highest.wrapping_add(step))
            }
        });
        self.received = self.received.wrapping_add(1);

        let transit = arrival.wrapping_sub(timestamp);
        if let Some(last) = self.last_transit {
            let deviation = (transit.wrapping_sub(last) as i32).unsigned_abs();
            let smoothed = i64::from(self.jitter) - i64::from((self.jitter + 8) >> 4);
            let jitter = smoothed + i64::from(deviation.min(1 << 24));
            self.jitter = jitter.clamp(0, 1 << 28) as u32;
        }
        self.last_transit = Some(transit);
    }

    /// What to report since the last call; `None` until there was a packet since then.
    pub fn report(&mut self) -> Option<ReportBlock> {
        let (first, highest) = self.range?;
        let expected = highest.wrapping_sub(first).wrapping_add(1);
        let expected_since = expected.wrapping_sub(self.expected_before);
        let received_since = self.received.wrapping_sub(self.received_before);
        if received_since == 0 {
            return None;
        }
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction_lost = (u64::from(lost_since) << 8)
            .checked_div(expected_since.into())
            .unwrap_or(0);
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction_lost.min(255) as u8,
            cumulative_lost: expected.wrapping_sub(self.received) as i32,
            highest_sequence: highest,
            jitter: self.jitter >> 4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_counted_across_the_rollover() {
        let mut stats = ReceptionStats::new(Ssrc(1));
        assert_eq!(stats.report(), None);
        for i in 0..100u32 {
            if i % 4 != 1 {
                let sequence = 65_500u32.wrapping_add(i) as u16;
                stats.on_packet(sequence, i * 480, i * 480 + 77);
            }
        }
        let block = stats.report().unwrap();
        // 25 of 100: a quarter of 256.
        assert_eq!(block.fraction_lost, 64);
        assert_eq!(block.cumulative_lost, 25);
        assert_eq!(block.highest_sequence, 65_599);
        assert_eq!(block.jitter, 0);
        assert_eq!(stats.report(), None);

        // A clean second: no fraction, the sum stays.
        for i in 100..200u32 {
            let sequence = 65_500u32.wrapping_add(i) as u16;
            stats.on_packet(sequence, i * 480, i * 480 + 77);
        }
        let block = stats.report().unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 25));
    }

    #[test]
    fn duplicates_and_late_packets_do_not_count_as_loss() {
        let mut stats = ReceptionStats::new(Ssrc(1));
        for sequence in [10, 12, 11, 11, 13] {
            stats.on_packet(sequence, 0, 0);
        }
        let block = stats.report().unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, -1));
        assert_eq!(block.highest_sequence, 13);
    }

    #[test]
    fn jitter_settles_at_the_mean_deviation() {
        let mut stats = ReceptionStats::new(Ssrc(1));
        for i in 0..1_000u32 {
            // Every other packet is 5 ms late: each step deviates by 240.
            stats.on_packet(i as u16, i * 480, i * 480 + (i % 2) * 240);
        }
        let jitter = stats.report().unwrap().jitter;
        assert!((230..=240).contains(&jitter), "{jitter}");
    }
}
