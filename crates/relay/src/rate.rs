//! What one speaker may send.

use std::time::Instant;

/// Per session, both over a sliding budget that fills at the rate and holds the burst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub packets_per_s: u32,
    pub packets_burst: u32,
    pub bytes_per_s: u32,
    pub bytes_burst: u32,
}

impl Default for Limits {
    /// Opus at its most: 400 packets a second of 2.5 ms, 510 kbit/s and headers, and half a second caught up at once.
    fn default() -> Self {
        Self {
            packets_per_s: 420,
            packets_burst: 210,
            bytes_per_s: 90_000,
            bytes_burst: 45_000,
        }
    }
}

#[derive(Debug)]
pub(crate) struct SpeakerBudget {
    packets: f64,
    bytes: f64,
    filled_at: Instant,
}

impl SpeakerBudget {
    pub fn full(limits: &Limits, now: Instant) -> Self {
        Self {
            packets: limits.packets_burst.into(),
            bytes: limits.bytes_burst.into(),
            filled_at: now,
        }
    }

    /// Pays for one packet of `len` bytes, or says that the budget is spent.
    pub fn pay(&mut self, limits: &Limits, now: Instant, len: usize) -> bool {
        let elapsed_s = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = self.filled_at.max(now);
        let fill = |level: f64, per_s: u32, burst: u32| {
            (level + elapsed_s * f64::from(per_s)).min(burst.into())
        };
        self.packets = fill(self.packets, limits.packets_per_s, limits.packets_burst);
        self.bytes = fill(self.bytes, limits.bytes_per_s, limits.bytes_burst);
        if self.packets < 1.0 || self.bytes < len as f64 {
            return false;
        }
        self.packets -= 1.0;
        self.bytes -= len as f64;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limits = Limits {
            packets_per_s: 100,
            packets_burst: 10,
            bytes_per_s: 1_000_000,
            bytes_burst: 1_000_000,
        };
        let start = Instant::now();
        let mut budget = SpeakerBudget::full(&limits, start);
        let mut passed = 0;
        for ms in 0..1_000 {
            passed += u32::from(budget.pay(&limits, start + Duration::from_millis(ms), 100));
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
        let mut budget = SpeakerBudget::full(&limits, start);
        assert!(budget.pay(&limits, start, 400));
        assert!(!budget.pay(&limits, start, 400));
        assert!(budget.pay(&limits, start + Duration::from_millis(300), 400));
    }
}
