//! When the next audio callback comes, foreseen from the last one: callbacks must not wake anybody.

use std::time::{Duration, Instant};

use crate::audio::{CallbackClock, SAMPLE_RATE};

/// A device that called back this long ago has stopped.
const STALLED: Duration = Duration::from_millis(200);
/// How soon to look again when a callback is overdue.
const OVERDUE_POLL: Duration = Duration::from_micros(250);
/// Least and most time before a playout callback at which its samples are in the ring.
const MIN_LEAD: Duration = Duration::from_micros(1_000);
const MAX_LEAD: Duration = Duration::from_millis(40);
/// The lead shrinks by a twentieth this often while no callback found the ring short.
const RELAX_EVERY: Duration = Duration::from_secs(5);

/// The playing time of so many samples.
pub fn duration_of(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
}

/// When to look into the capture ring again, `missing` samples short of a frame.
pub fn capture_wake(clock: &CallbackClock, now: Instant, missing: usize) -> Instant {
    let Some((last, period)) = running(clock, now) else {
        return now + Duration::from_millis(10);
    };
    let callbacks = missing.div_ceil(period).max(1);
    let due = last + duration_of(period * callbacks) + Duration::from_micros(50);
    due.max(now + OVERDUE_POLL)
}

/// Keeps as little in the playout ring as the device's and this machine's punctuality allow.
#[derive(Debug)]
pub struct PlayoutPacer {
    /// How long before a callback its samples are there: grows when that was too short, shrinks slowly.
    lead: Duration,
    seen_xruns: u32,
    relax_at: Option<Instant>,
    /// Largest callback lately: some systems alternate between lengths.
    period: usize,
}

impl PlayoutPacer {
    pub fn new() -> Self {
        Self {
            lead: MIN_LEAD * 3 / 2,
            seen_xruns: 0,
            relax_at: None,
            period: 0,
        }
    }

    /// How many samples the ring should hold now, and when to ask again.
    pub fn wanted(&mut self, clock: &CallbackClock, now: Instant) -> (usize, Instant) {
        let Some((last, period)) = running(clock, now) else {
            return (0, now + Duration::from_millis(10));
        };
        self.period = self.period.max(period);
        self.adapt(clock.xruns(), now);
        // Callbacks due until `now + lead` take their samples from what is put there now.
        let step = duration_of(period);
        let next = last + step;
        let horizon = now + self.lead;
        let due = if horizon < next {
            0
        } else {
            1 + (horizon - next).as_nanos() / step.as_nanos().max(1)
        };
        let due = usize::try_from(due).unwrap_or(usize::MAX).min(16);
        let wake = next + step * u32::try_from(due).unwrap_or(16) - self.lead;
        let samples = if due == 0 {
            0
        } else {
            self.period + (due - 1) * period
        };
        (samples, wake.max(now + OVERDUE_POLL))
    }

    fn adapt(&mut self, xruns: u32, now: Instant) {
        let relax_at = *self.relax_at.get_or_insert(now + RELAX_EVERY);
        if xruns != self.seen_xruns {
            // The first ones are the device's own start.
            if self.seen_xruns > 0 || xruns > 2 {
                self.lead = (self.lead * 3 / 2).min(MAX_LEAD);
            }
            self.seen_xruns = xruns;
            self.relax_at = Some(now + RELAX_EVERY);
        } else if now >= relax_at {
            self.lead = (self.lead * 19 / 20).max(MIN_LEAD);
            self.period = 0;
            self.relax_at = Some(now + RELAX_EVERY);
        }
    }
}

fn running(clock: &CallbackClock, now: Instant) -> Option<(Instant, usize)> {
    let last = clock.last()?;
    let period = clock.period();
    (period > 0 && now.saturating_duration_since(last) < STALLED).then_some((last, period))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_with(period: usize) -> (CallbackClock, Instant) {
        let clock = CallbackClock::new(Instant::now());
        clock.tick(period, 0);
        let last = clock.last().unwrap();
        (clock, last)
    }

    #[test]
    fn capture_is_looked_at_when_the_callback_that_completes_the_frame_has_run() {
        let (clock, last) = clock_with(240);
        let wake = capture_wake(&clock, last, 480);
        assert_eq!(wake - last, Duration::from_micros(10_050));
        // Overdue: soon, but not in a spin.
        let late = last + Duration::from_millis(30);
        assert_eq!(capture_wake(&clock, late, 1) - late, OVERDUE_POLL);
    }

    #[test]
    fn the_ring_is_filled_just_before_each_callback() {
        let (clock, last) = clock_with(240);
        let mut pacer = PlayoutPacer::new();
        let (samples, wake) = pacer.wanted(&clock, last);
        assert_eq!((samples, wake - last), (0, Duration::from_micros(3_500)));
        let (samples, wake) = pacer.wanted(&clock, last + Duration::from_micros(3_500));
        assert_eq!((samples, wake - last), (240, Duration::from_micros(8_500)));
    }

    #[test]
    fn underruns_widen_the_lead_and_calm_narrows_it() {
        let (clock, last) = clock_with(240);
        let mut pacer = PlayoutPacer::new();
        for _ in 0..40 {
            clock.tick(240, 1);
            pacer.wanted(&clock, clock.last().unwrap());
        }
        assert_eq!(pacer.lead, MAX_LEAD);
        let (samples, _) = pacer.wanted(&clock, clock.last().unwrap());
        assert_eq!(samples, 8 * 240, "40 ms of 5 ms callbacks");
        let mut now = last;
        for _ in 0..200 {
            now += RELAX_EVERY;
            pacer.adapt(clock.xruns(), now);
        }
        assert_eq!(pacer.lead, MIN_LEAD);
    }

    #[test]
    fn a_stopped_device_gets_nothing() {
        let (clock, last) = clock_with(240);
        let (samples, wake) = PlayoutPacer::new().wanted(&clock, last + STALLED);
        assert_eq!(
            (samples, wake - last),
            (0, STALLED + Duration::from_millis(10))
        );
    }
}
