//! What the writer does, in numbers.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds of commits, microseconds.
const BOUNDS_US: [u64; 9] = [
    250, 1_000, 4_000, 16_000, 64_000, 256_000, 1_024_000, 4_096_000, 16_384_000,
];

/// Counters since the start, read at any time.
#[derive(Debug, Default)]
pub struct WriterStats {
    /// Of commits, by how long they took; the last is for what takes longer.
    commits: [AtomicU64; BOUNDS_US.len() + 1],
    commits_us: AtomicU64,
    failed: AtomicU64,
    writes: AtomicU64,
}

impl WriterStats {
    /// Upper bound in seconds and number of commits of each bucket alone; the last has no bound.
    pub fn commits(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
        let counts = self.commits.iter().map(|count| count.load(Relaxed));
        bounds.chain([f64::INFINITY]).zip(counts)
    }

    /// All commits together.
    pub fn commits_s(&self) -> f64 {
        self.commits_us.load(Relaxed) as f64 / 1e6
    }

    /// Commits that the database refused.
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Pieces of work in the commits.
    pub fn writes(&self) -> u64 {
        self.writes.load(Relaxed)
    }

    pub(super) fn committed(&self, writes: usize, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commits[BOUNDS_US.partition_point(|bound| *bound < us)].fetch_add(1, Relaxed);
        self.commits_us.fetch_add(us, Relaxed);
        self.writes.fetch_add(writes as u64, Relaxed);
    }

    pub(super) fn refused(&self) {
        self.failed.fetch_add(1, Relaxed);
    }
}
