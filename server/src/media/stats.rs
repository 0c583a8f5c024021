//! What the media thread measures of itself: a few relaxed atomics a batch.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Buckets of powers of two: the first up to 1 us, the last above 2^18 us.
const BUCKETS: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MediaTotal {
    Batches,
    Datagrams,
    /// Time spent on batches, microseconds.
    BusyUs,
    /// Sum of the added delay of all datagrams, microseconds.
    DelayUs,
    /// Dropped because the socket's send buffer was full.
    SendsBlocked,
    /// Dropped because the system refused the send.
    SendErrors,
    ReceiveErrors,
}

impl MediaTotal {
    pub const ALL: [Self; 7] = [
        Self::Batches,
        Self::Datagrams,
        Self::BusyUs,
        Self::DelayUs,
        Self::SendsBlocked,
        Self::SendErrors,
        Self::ReceiveErrors,
    ];

    /// Name for metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Datagrams => "datagrams",
            Self::BusyUs => "busy_us",
            Self::DelayUs => "delay_us",
            Self::SendsBlocked => "sends_blocked",
            Self::SendErrors => "send_errors",
            Self::ReceiveErrors => "receive_errors",
        }
    }
}

/// Counters since the start, and how long datagrams stayed in the thread.
#[derive(Debug, Default)]
pub struct MediaStats {
    totals: [AtomicU64; MediaTotal::ALL.len()],
    /// Datagrams by the time from the wake-up that found them to the last send of their batch.
    delay: [AtomicU64; BUCKETS],
}

impl MediaStats {
    #[must_use]
    pub fn total(&self, total: MediaTotal) -> u64 {
        self.totals[total as usize].load(Relaxed)
    }

    /// Upper bound in microseconds and number of datagrams of each bucket; the last bound stands for "more".
    pub fn added_delay(&self) -> impl Iterator<Item = (u64, u64)> {
        self.delay
            .iter()
            .enumerate()
            .map(|(bucket, count)| (1 << bucket, count.load(Relaxed)))
    }

    pub(super) fn count(&self, total: MediaTotal) {
        self.totals[total as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn batch(&self, datagrams: usize, took: Duration) {
        let us = took.as_micros() as u64;
        let datagrams = datagrams as u64;
        self.totals[MediaTotal::Batches as usize].fetch_add(1, Relaxed);
        self.totals[MediaTotal::Datagrams as usize].fetch_add(datagrams, Relaxed);
        self.totals[MediaTotal::BusyUs as usize].fetch_add(us, Relaxed);
        self.totals[MediaTotal::DelayUs as usize].fetch_add(us * datagrams, Relaxed);
        let bucket = us.max(1).next_power_of_two().trailing_zeros() as usize;
        self.delay[bucket.min(BUCKETS - 1)].fetch_add(datagrams, Relaxed);
    }
}
