//! When the next audio callback comes, foreseen from the last one: callbacks must not wake anybody.

use std::time::{Duration, Instant};

use crate::audio::{CallbackClock, SAMPLE_RATE};

/// A device that called back this long ago has stopped.
pub const STALLED: Duration = Duration::from_millis(200);
/// How soon to look again when a callback is overdue.
const OVERDUE_POLL: Duration = Duration::from_micros(250);
/// Least and most time before a playout callback at which its samples are in the ring.
const MIN_LEAD: Duration = Duration::from_micros(600);
const MAX_LEAD: Duration = Duration::from_millis(40);
/// Kept on top of the worst lateness seen of late.
const MARGIN: Duration = Duration::from_micros(400);
/// What was late longer ago than one to two of these is forgotten.
const MEMORY: Duration = Duration::from_secs(5);

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
///
/// It learns from every callback how much of its lead was used up by late wake-ups, mixing and early callbacks, and
/// keeps the worst of the last seconds in hand.
#[derive(Debug)]
pub struct PlayoutPacer {
    /// How long before a callback its samples are to be there.
    lead: Duration,
    /// Worst lateness in this and in the last span of [`MEMORY`].
    worst: [Duration; 2],
    /// Longest callback in the same spans: some devices alternate between lengths.
    longest: [usize; 2],
    span_ends: Option<Instant>,
    /// When the samples for the next callback were there.
    filled: Option<Instant>,
    seen: Option<Instant>,
    seen_xruns: u32,
}

impl PlayoutPacer {
    pub fn new() -> Self {
        Self {
            lead: Duration::from_millis(2),
            worst: [Duration::from_millis(1); 2],
            longest: [0; 2],
            span_ends: None,
            filled: None,
            seen: None,
            seen_xruns: 0,
        }
    }

    /// How many samples the ring should hold now, and when to ask again.
    pub fn wanted(&mut self, clock: &CallbackClock, now: Instant) -> (usize, Instant) {
        let Some((last, period)) = running(clock, now) else {
            // A device that just started is looked at more often than one that stopped.
            let wait = if clock.last().is_none() { 1 } else { 10 };
            return (0, now + Duration::from_millis(wait));
        };
        self.longest[0] = self.longest[0].max(period);
        self.learn(last, clock.xruns(), now);
        // Callbacks due until `now + lead` take their samples from what is put there now.
        let step = duration_of(period);
        let next = last + step;
        let horizon = now + self.lead;
        let due = if horizon < next {
            0
        } else {
            1 + (horizon - next).as_nanos() / step.as_nanos().max(1)
        };
        let due = u32::try_from(due).unwrap_or(u32::MAX).min(16);
        let wake = next + step * due - self.lead;
        let longest = self.longest[0].max(self.longest[1]);
        (due as usize * longest, wake.max(now + OVERDUE_POLL))
    }

    /// The samples wanted are in the ring at `now`.
    pub fn filled(&mut self, now: Instant) {
        self.filled = Some(now);
    }

    fn learn(&mut self, last: Instant, xruns: u32, now: Instant) {
        if self.seen.replace(last) != Some(last)
            && let Some(filled) = self.filled.take()
        {
            // Of the lead, so much was left when the callback came.
            let left = last.saturating_duration_since(filled);
            self.note(self.lead.saturating_sub(left));
        }
        if xruns != self.seen_xruns {
            self.seen_xruns = xruns;
            self.note(self.lead + self.lead / 2);
        }
        let span_ends = *self.span_ends.get_or_insert(now + MEMORY);
        if now >= span_ends {
            self.worst = [Duration::ZERO, self.worst[0]];
            self.longest = [0, self.longest[0]];
            self.span_ends = Some(now + MEMORY);
        }
        let worst = self.worst[0].max(self.worst[1]);
        self.lead = (worst + MARGIN).clamp(MIN_LEAD, MAX_LEAD);
    }

    fn note(&mut self, late: Duration) {
        self.worst[0] = self.worst[0].max(late);
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
        assert_eq!((samples, wake - last), (0, Duration::from_micros(3_600)));
        let (samples, wake) = pacer.wanted(&clock, last + Duration::from_micros(3_600));
        assert_eq!((samples, wake - last), (240, Duration::from_micros(8_600)));
    }

    #[test]
    fn lateness_widens_the_lead_before_it_is_heard_and_calm_narrows_it() {
        let origin = Instant::now();
        let clock = CallbackClock::new(origin);
        let mut pacer = PlayoutPacer::new();
        let step = duration_of(240);
        let run = |pacer: &mut PlayoutPacer, from: u32, callbacks: u32, late: Duration| {
            for k in from..from + callbacks {
                let at = origin + step * k;
                clock.tick_at(at, 240, 0);
                let (_, wake) = pacer.wanted(&clock, at);
                let filled = wake + late;
                pacer.wanted(&clock, filled);
                pacer.filled(filled);
            }
        };
        run(&mut pacer, 1, 3_000, Duration::from_micros(100));
        assert_eq!(pacer.lead, MIN_LEAD, "a punctual machine");
        run(&mut pacer, 3_001, 10, Duration::from_micros(500));
        assert!(pacer.lead > Duration::from_micros(850), "{:?}", pacer.lead);
        run(&mut pacer, 3_011, 3_000, Duration::from_micros(100));
        assert_eq!(pacer.lead, MIN_LEAD);
    }

    #[test]
    fn underruns_widen_the_lead_up_to_its_limit() {
        let (clock, _) = clock_with(240);
        let mut pacer = PlayoutPacer::new();
        for _ in 0..40 {
            clock.tick(240, 1);
            pacer.wanted(&clock, clock.last().unwrap());
        }
        assert_eq!(pacer.lead, MAX_LEAD);
        let (samples, _) = pacer.wanted(&clock, clock.last().unwrap());
        assert_eq!(samples, 8 * 240, "40 ms of 5 ms callbacks");
    }

    #[test]
    fn a_device_that_alternates_between_lengths_finds_enough_for_the_longer() {
        let origin = Instant::now();
        let clock = CallbackClock::new(origin);
        let mut pacer = PlayoutPacer::new();
        let mut at = origin + Duration::from_secs(1);
        for samples in [480, 10, 480, 10] {
            clock.tick_at(at, samples, 0);
            let (_, wake) = pacer.wanted(&clock, at);
            let (wanted, _) = pacer.wanted(&clock, wake);
            assert!(wanted >= 480, "{wanted} after a callback of {samples}");
            at += duration_of(samples);
        }
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
