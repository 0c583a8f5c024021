//! What the media threads measure of themselves: a few relaxed atomics a batch.

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
    /// Sum of the added delay of all datagrams, microseconds.
    DelayUs,
    /// Dropped because the socket's send buffer was full.
    SendsBlocked,
    /// Dropped because the system refused the send.
    SendErrors,
    ReceiveErrors,
    /// QUIC that came faster than it was taken.
    QuicDropped,
}

impl MediaTotal {
    pub const ALL: [Self; 7] = [
        Self::Batches,
        Self::Datagrams,
        Self::DelayUs,
        Self::SendsBlocked,
        Self::SendErrors,
        Self::ReceiveErrors,
        Self::QuicDropped,
    ];

    /// Name for metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Batches => "batches",
            Self::Datagrams => "datagrams",
            Self::DelayUs => "delay_us",
            Self::SendsBlocked => "sends_blocked",
            Self::SendErrors => "send_errors",
            Self::ReceiveErrors => "receive_errors",
            Self::QuicDropped => "quic_dropped",
        }
    }
}

/// Counters since the start, and how long datagrams stayed in the thread.
#[derive(Debug)]
pub struct MediaStats {
    totals: [AtomicU64; MediaTotal::ALL.len()],
    /// Time that each thread spent on batches, microseconds.
    busy_us: Box<[AtomicU64]>,
    /// Datagrams by the time from the wake-up that found them, or from when the thread began to gather them, to the last send of their batch.
    delay: [AtomicU64; BUCKETS],
}

impl MediaStats {
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            totals: Default::default(),
            busy_us: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            delay: Default::default(),
        }
    }

    /// Time that each media thread spent working.
    pub fn busy(&self) -> impl Iterator<Item = Duration> {
        (self.busy_us.iter()).map(|us| Duration::from_micros(us.load(Relaxed)))
    }

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

    pub(super) fn worked(&self, thread: usize, took: Duration) {
        self.busy_us[thread].fetch_add(took.as_micros() as u64, Relaxed);
    }

    pub(super) fn batch(&self, datagrams: usize, took: Duration) {
        let us = took.as_micros() as u64;
        let datagrams = datagrams as u64;
        self.totals[MediaTotal::Batches as usize].fetch_add(1, Relaxed);
        self.totals[MediaTotal::Datagrams as usize].fetch_add(datagrams, Relaxed);
        self.totals[MediaTotal::DelayUs as usize].fetch_add(us * datagrams, Relaxed);
        let bucket = us.max(1).next_power_of_two().trailing_zeros() as usize;
        self.delay[bucket.min(BUCKETS - 1)].fetch_add(datagrams, Relaxed);
    }
}
