//! Whether anyone is there: nothing touched for a while is idle.

use std::time::{Duration, Instant};

/// Untouched for this long is idle.
pub const IDLE_AFTER: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
pub struct Idle {
    touched: Instant,
    idle: bool,
}

impl Idle {
    pub fn new(now: Instant) -> Self {
        Self {
            touched: now,
            idle: false,
        }
    }

    /// What is to be told, if that has changed.
    pub fn look(&mut self, now: Instant, touched: bool) -> Option<bool> {
        if touched {
            self.touched = now;
        }
        let idle = now.saturating_duration_since(self.touched) >= IDLE_AFTER;
        let changed = idle != self.idle;
        self.idle = idle;
        changed.then_some(idle)
    }

    /// When to look again without being touched; none: only a touch changes anything.
    pub fn next(&self, now: Instant) -> Option<Duration> {
        let since = now.saturating_duration_since(self.touched);
        (!self.idle).then(|| IDLE_AFTER.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_untouched_minutes_are_idle_and_a_touch_ends_that() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut idle = Idle::new(start);
        assert_eq!(idle.look(at(599), false), None);
        assert_eq!(idle.next(at(599)), Some(Duration::from_secs(1)));
        assert_eq!(idle.look(at(600), false), Some(true));
        assert_eq!(idle.look(at(700), false), None, "told once");
        assert_eq!(idle.next(at(700)), None);
        assert_eq!(idle.look(at(701), true), Some(false));
        assert_eq!(idle.look(at(1_300), true), None);
        assert_eq!(idle.look(at(1_899), false), None);
    }
}
