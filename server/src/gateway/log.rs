//! The newest events of a session, for a client that comes back.

use std::collections::VecDeque;

use voxhall_protocol::limits::{MAX_BACKLOG_BYTES, RESUME_EVENTS};

/// Of one session. A reader that was cut off for its backlog finds what it missed here.
const RESUME_BYTES: usize = 2 * MAX_BACKLOG_BYTES;
/// Room for so many is kept where little happens.
const IDLE_EVENTS: usize = 8;

/// What counts against the bytes of a log.
pub trait Counted {
    fn bytes(&self) -> usize;
}

/// Numbers events, and keeps so many of the newest.
pub struct Log<T> {
    kept: VecDeque<T>,
    bytes: usize,
    last_seq: u64,
    /// Number of the last event when the log was last [aged](Log::age).
    aged_at: u64,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            bytes: 0,
            last_seq: 0,
            aged_at: 0,
        }
    }
}

impl<T: Counted> Log<T> {
    /// Gives the event its number; the oldest make room.
    pub fn push(&mut self, event: T) -> u64 {
        self.last_seq += 1;
        self.bytes += event.bytes();
        self.kept.push_back(event);
        while self.kept.len() > RESUME_EVENTS || self.bytes > RESUME_BYTES {
            self.drop_oldest();
        }
        self.last_seq
    }

    /// Everything after that number, each with its own. None: some of it is no longer here, or it was never given.
    pub fn after(&self, seq: u64) -> Option<impl ExactSizeIterator<Item = (u64, &T)>> {
        let missed = usize::try_from(self.last_seq.checked_sub(seq)?).ok()?;
        let known = self.kept.len().checked_sub(missed)?;
        let first = seq + 1;
        Some(
            (self.kept.iter().skip(known).enumerate())
                .map(move |(n, event)| (first + n as u64, event)),
        )
    }

    /// Frees the older half, where memory is short.
    pub fn halve(&mut self) {
        for _ in 0..self.kept.len().div_ceil(2) {
            self.drop_oldest();
        }
        self.kept.shrink_to_fit();
    }

    /// Frees what was there already at the call before: a client that is connected has it by then.
    pub fn age(&mut self) {
        let old = self
            .kept
            .len()
            .saturating_sub(usize::try_from(self.last_seq - self.aged_at).unwrap_or(usize::MAX));
        for _ in 0..old {
            self.drop_oldest();
        }
        self.aged_at = self.last_seq;
        if self.kept.capacity() > 2 * self.kept.len().max(IDLE_EVENTS) {
            self.kept.shrink_to(IDLE_EVENTS);
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(event) = self.kept.pop_front() {
            self.bytes -= event.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, and bytes.
    struct Named(u64, usize);

    impl Counted for Named {
        fn bytes(&self) -> usize {
            self.1
        }
    }

    fn after(log: &Log<Named>, seq: u64) -> Option<Vec<(u64, u64)>> {
        log.after(seq)
            .map(|events| events.map(|(seq, event)| (seq, event.0)).collect())
    }

    #[test]
    fn what_is_kept_comes_again_with_its_numbers_and_nothing_else() {
        let mut log = Log::default();
        assert_eq!(after(&log, 0), Some(vec![]));
        assert_eq!(after(&log, 1), None, "never given");
        for event in 1..=4 {
            assert_eq!(log.push(Named(event * 10, 5)), event);
        }
        assert_eq!(after(&log, 4), Some(vec![]));
        assert_eq!(after(&log, 2), Some(vec![(3, 30), (4, 40)]));
        assert_eq!(after(&log, 5), None);
        log.halve();
        assert_eq!(after(&log, 2), Some(vec![(3, 30), (4, 40)]));
        assert_eq!(after(&log, 1), None, "given up");
    }

    #[test]
    fn it_is_bounded_in_events_and_in_bytes() {
        let mut log = Log::default();
        for event in 0..RESUME_EVENTS as u64 + 10 {
            log.push(Named(event, 1));
        }
        assert_eq!(after(&log, 10).unwrap().len(), RESUME_EVENTS);
        assert_eq!(after(&log, 9), None);
        let last = log.push(Named(0, RESUME_BYTES));
        assert_eq!(after(&log, last - 1).unwrap().len(), 1);
        assert_eq!(after(&log, last - 2), None);
        assert_eq!(log.bytes, RESUME_BYTES);
        let last = log.push(Named(0, RESUME_BYTES + 1));
        assert_eq!(
            after(&log, last - 1),
            None,
            "longer than all that may be kept"
        );
        assert_eq!((log.bytes, log.kept.len()), (0, 0));
    }

    #[test]
    fn what_is_old_goes_at_the_second_call() {
        let mut log = Log::default();
        for event in 1..=1_000 {
            log.push(Named(event, 1));
        }
        log.age();
        log.push(Named(0, 1));
        assert_eq!(after(&log, 0).unwrap().len(), 1_001);
        log.age();
        assert_eq!(after(&log, 1_000).unwrap().len(), 1);
        assert_eq!(after(&log, 999), None);
        assert!(log.kept.capacity() <= 16, "{}", log.kept.capacity());
        log.age();
        assert_eq!(after(&log, 1_001), Some(vec![]));
        assert_eq!(log.bytes, 0);
    }
}
