//! What one speaker may send, and how many are forwarded.

use std::time::Instant;

/// Packets and bytes are per session, over a sliding budget that fills at the rate and holds the burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub packets_per_s: u32,
    pub packets_burst: u32,
    pub bytes_per_s: u32,
    pub bytes_burst: u32,
    /// Voices of a channel that are forwarded at once, the loudest; none: all.
    pub loudest: Option<u8>,
}

impl Default for Limits {
    /// Opus at its most: 400 packets a second of 2.5 ms, 510 kbit/s and headers, and half a second caught up at once.
    fn default() -> Self {
        Self {
            packets_per_s: 420,
            packets_burst: 210,
            bytes_per_s: 90_000,
            bytes_burst: 45_000,
            loudest: None,
        }
    }
}

/// Opus keeps its bitrate on average; what it sends more for a while is within this...
const SOUND_HEADROOM: f64 = 1.5;
/// ...and what waits for so long, s.
const SOUND_BURST_S: f64 = 1.0;
/// Frames of 2.5 ms have at least 6 bytes, whatever bitrate they were granted.
const LEAST_SOUND_BPS: u32 = 19_200;

#[derive(Debug)]
pub(crate) struct SpeakerBudget {
    packets: f64,
    bytes: f64,
    /// Bytes of sound, which the channel's bitrate limits.
    sound: f64,
    sound_per_s: f64,
    filled_at: Instant,
}

/// What a datagram costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    pub bytes: usize,
    pub sound_bytes: usize,
}

impl SpeakerBudget {
    pub fn full(limits: &Limits, bitrate_bps: u32, now: Instant) -> Self {
        let sound_per_s = f64::from(bitrate_bps.max(LEAST_SOUND_BPS)) / 8.0 * SOUND_HEADROOM;
        Self {
            packets: limits.packets_burst.into(),
            bytes: limits.bytes_burst.into(),
            sound: sound_per_s * SOUND_BURST_S,
            sound_per_s,
            filled_at: now,
        }
    }

    /// Pays for one datagram, or says that the budget is spent.
    pub fn pay(&mut self, limits: &Limits, now: Instant, price: Price) -> bool {
        let elapsed_s = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = self.filled_at.max(now);
        let fill = |level: f64, per_s: u32, burst: u32| {
            (level + elapsed_s * f64::from(per_s)).min(burst.into())
        };
        self.packets = fill(self.packets, limits.packets_per_s, limits.packets_burst);
        self.bytes = fill(self.bytes, limits.bytes_per_s, limits.bytes_burst);
        self.sound =
            (self.sound + elapsed_s * self.sound_per_s).min(self.sound_per_s * SOUND_BURST_S);
        let (bytes, sound) = (price.bytes as f64, price.sound_bytes as f64);
        if self.packets < 1.0 || self.bytes < bytes || self.sound < sound {
            return false;
        }
        self.packets -= 1.0;
        self.bytes -= bytes;
        self.sound -= sound;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Of which nothing is sound.
    fn headers(bytes: usize) -> Price {
        Price {
            bytes,
            sound_bytes: 0,
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limits = Limits {
            packets_per_s: 100,
            packets_burst: 10,
            bytes_per_s: 1_000_000,
            bytes_burst: 1_000_000,
            loudest: None,
        };
        let start = Instant::now();
        let mut budget = SpeakerBudget::full(&limits, 64_000, start);
        let mut passed = 0;
        for ms in 0..1_000 {
            passed +=
                u32::from(budget.pay(&limits, start + Duration::from_millis(ms), headers(100)));
        }
        assert!((108..=110).contains(&passed), "{passed}");
    }

    #[test]
    fn bytes_are_limited_too() {
        let limits = Limits {
            bytes_per_s: 1_000,
            bytes_burst: 500,
            ..Limits::default()
        };
        let start = Instant::now();
        let mut budget = SpeakerBudget::full(&limits, 64_000, start);
        assert!(budget.pay(&limits, start, headers(400)));
        assert!(!budget.pay(&limits, start, headers(400)));
        assert!(budget.pay(&limits, start + Duration::from_millis(300), headers(400)));
    }
    #[test]
    fn sound_keeps_to_the_channels_bitrate_whatever_the_headers_take() {
        let limits = Limits::default();
        let start = Instant::now();
        // 10 ms frames for 20 s, at the bitrate, and at four times as much.
        for (bytes, most) in [(80, 2_000), (320, 820)] {
            let mut budget = SpeakerBudget::full(&limits, 64_000, start);
            let price = Price {
                bytes: bytes + 60,
                sound_bytes: bytes,
            };
            let at = |n: u64| start + Duration::from_millis(10 * n);
            let passed = (0..2_000)
                .filter(|n| budget.pay(&limits, at(*n), price))
                .count();
            assert!(
                passed <= most && passed * 10 >= most * 9,
                "{passed} of {bytes} bytes"
            );
        }
    }
}
