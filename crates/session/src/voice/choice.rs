//! Which carriers to have and which to use: pure, told what is seen of each.

use std::time::{Duration, Instant};

use voxhall_protocol::voice::Carrier;

pub const CARRIERS: usize = Carrier::ALL.len();

/// A request that is unanswered for this long, and for twice the round trip, is a sign that nothing passes.
const WORRY: Duration = Duration::from_millis(600);
/// So much later than QUIC a WebSocket is opened: it is the worst, and costs a TCP connection of its own.
const WEBSOCKET_LATER: Duration = Duration::from_millis(400);
/// A connection that is used and lets nothing through for this long, and for five times the round trip, is given up for a new one...
const STALLED: Duration = Duration::from_millis(1_200);
/// ...and one that is only tried after this.
const STALLED_TRIED: Duration = Duration::from_secs(4);
/// What isn't needed any more is kept for so long: a path that failed once may fail again.
const CALM: Duration = Duration::from_secs(10);
/// A better carrier has to answer so often in a row before it is used...
const ANSWERS: u32 = 3;
/// ...and twice as often each time that it failed soon after, up to this.
const MOST_ANSWERS: u32 = 48;
/// A carrier that served for so long did not fail soon.
const STEADY: Duration = Duration::from_secs(60);
/// Between two tries to connect: from one to the other, doubled each time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is seen of a carrier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// There is none.
    Absent,
    /// Being connected.
    Opening,
    /// Takes datagrams.
    Up {
        /// For how long a request has been waiting for its answer.
        silent: Duration,
        /// Of the last answer; zero before it.
        rtt: Duration,
        /// Requests that were answered in a row while it was tried.
        answers: u32,
    },
}

impl Condition {
    /// For how long nothing has passed by far too long; none while all seems well. What isn't there has always been silent.
    pub fn worrying_for(self) -> Option<Duration> {
        match self {
            Self::Absent | Self::Opening => Some(Duration::MAX),
            Self::Up { silent, rtt, .. } => silent.checked_sub(worry(rtt)),
        }
    }
}

/// How long an answer may take.
pub fn worry(rtt: Duration) -> Duration {
    WORRY.max(rtt * 2)
}

/// For how long the used one has given reason to worry before this one is opened beside it.
fn patience(carrier: Carrier) -> Duration {
    match carrier {
        Carrier::Udp | Carrier::Quic => Duration::ZERO,
        Carrier::WebSocket => WEBSOCKET_LATER,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Open(Carrier),
    Close(Carrier),
    /// Hear and be heard by this one.
    Use(Carrier),
}

/// Chooses among the carriers.
#[derive(Debug)]
pub struct Choice {
    /// No other may be used.
    only: Option<Carrier>,
    used: Carrier,
    used_since: Instant,
    /// The path was open once.
    opened: bool,
    /// When the used one last gave reason to worry.
    worried: Instant,
    tries: [Tries; CARRIERS],
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    /// Not opened again before.
    next: Instant,
    pause: Duration,
    /// Answers in a row that it has to give.
    answers: u32,
}

impl Choice {
    pub fn new(only: Option<Carrier>, now: Instant) -> Self {
        Self {
            only,
            used: only.unwrap_or(Carrier::Udp),
            used_since: now,
            opened: false,
            worried: now,
            tries: [Tries {
                next: now,
                pause: PAUSE,
                answers: ANSWERS,
            }; CARRIERS],
        }
    }

    pub fn used(&self) -> Carrier {
        self.used
    }

    /// The path is open by what is used.
    pub fn opened(&mut self) {
        self.opened = true;
        self.tries[self.used as usize].pause = PAUSE;
    }

    pub fn was_open(&self) -> bool {
        self.opened
    }

    /// What to do next, if anything; ask again after it is done. `seen` is in the order of [`Carrier::ALL`].
    pub fn step(&mut self, now: Instant, seen: &[Condition; CARRIERS]) -> Option<Step> {
        let condition = |carrier: Carrier| seen[carrier as usize];
        for carrier in Carrier::ALL {
            if matches!(condition(carrier), Condition::Up { answers: 1.., .. }) {
                self.tries[carrier as usize].pause = PAUSE;
            }
        }
        let mut all = Carrier::ALL.into_iter();
        if let Some(stalled) = all.find(|carrier| self.is_stalled(*carrier, condition(*carrier))) {
            return Some(Step::Close(stalled));
        }
        if self.only.is_some() {
            return self.open_if_due(now, self.used, condition(self.used));
        }
        let worrying_for = condition(self.used).worrying_for();
        if worrying_for.is_some() {
            self.worried = now;
        }
        for carrier in Carrier::ALL {
            let Condition::Up { answers, .. } = condition(carrier) else {
                continue;
            };
            let enough = match (worrying_for, carrier < self.used) {
                (Some(_), _) => 1,
                (None, true) => self.tries[carrier as usize].answers,
                (None, false) => continue,
            };
            let passes = condition(carrier).worrying_for().is_none();
            if carrier != self.used && answers >= enough && passes {
                return Some(self.go_over(now, carrier));
            }
        }
        for carrier in Carrier::ALL {
            let wanted =
                carrier < self.used || worrying_for.is_some_and(|long| long >= patience(carrier));
            if wanted && let Some(open) = self.open_if_due(now, carrier, condition(carrier)) {
                return Some(open);
            }
        }
        let calm = now.saturating_duration_since(self.worried) >= CALM;
        let mut all = Carrier::ALL.into_iter();
        all.find(|carrier| calm && *carrier > self.used && condition(*carrier) != Condition::Absent)
            .map(Step::Close)
    }

    /// The connection lets nothing through, though it hasn't ended. UDP has none: its socket is replaced.
    fn is_stalled(&self, carrier: Carrier, seen: Condition) -> bool {
        let Condition::Up { silent, rtt, .. } = seen else {
            return false;
        };
        let patience = match carrier == self.used {
            true => STALLED.max(rtt * 5),
            false => STALLED_TRIED,
        };
        carrier != Carrier::Udp && silent >= patience
    }

    fn open_if_due(&mut self, now: Instant, carrier: Carrier, seen: Condition) -> Option<Step> {
        let tries = &mut self.tries[carrier as usize];
        if seen != Condition::Absent || now < tries.next {
            return None;
        }
        tries.next = now + tries.pause;
        tries.pause = (tries.pause * 2).min(LONGEST_PAUSE);
        Some(Step::Open(carrier))
    }

    fn go_over(&mut self, now: Instant, carrier: Carrier) -> Step {
        let served = now.saturating_duration_since(self.used_since);
        if carrier > self.used && self.opened {
            let left = &mut self.tries[self.used as usize];
            left.answers = match served < STEADY {
                true => (left.answers * 2).min(MOST_ANSWERS),
                false => ANSWERS,
            };
        }
        self.used = carrier;
        self.used_since = now;
        Step::Use(carrier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    /// Carriers as a network would let them be, and when each thing was done.
    struct Rig {
        start: Instant,
        now: Instant,
        choice: Choice,
        /// Whether datagrams pass.
        passes: [bool; CARRIERS],
        present: [Option<Presence>; CARRIERS],
        done: Vec<(u128, Step)>,
    }

    #[derive(Clone, Copy)]
    struct Presence {
        /// Lets nothing through any more, whatever passes otherwise.
        stalled: bool,
        up: Instant,
        heard: Instant,
        asked: Instant,
        answers: u32,
    }

    impl Presence {
        fn new(now: Instant, takes: Duration) -> Self {
            Self {
                stalled: false,
                up: now + takes,
                heard: now + takes,
                asked: now,
                answers: 0,
            }
        }
    }

    impl Rig {
        fn new(only: Option<Carrier>, passes: [bool; CARRIERS]) -> Self {
            let now = Instant::now();
            let mut rig = Self {
                start: now,
                now,
                choice: Choice::new(only, now),
                passes,
                present: [None; CARRIERS],
                done: Vec::new(),
            };
            if only.is_none() {
                rig.present[0] = Some(Presence::new(now, Duration::ZERO));
            }
            rig
        }

        fn set(&mut self, carrier: Carrier, passes: bool) {
            self.passes[carrier as usize] = passes;
        }

        /// What is connected by it stays so, and lets nothing through.
        fn stall(&mut self, carrier: Carrier) {
            self.present[carrier as usize].as_mut().unwrap().stalled = true;
        }

        fn end(&mut self, carrier: Carrier) {
            self.present[carrier as usize] = None;
        }

        fn condition(&self, carrier: Carrier) -> Condition {
            match self.present[carrier as usize] {
                None => Condition::Absent,
                Some(present) if self.now < present.up => Condition::Opening,
                Some(present) => Condition::Up {
                    silent: self.now - present.heard.min(self.now),
                    rtt: Duration::from_millis(40),
                    answers: present.answers,
                },
            }
        }

        fn run(&mut self, time: Duration) {
            let until = self.now + time;
            while self.now < until {
                for carrier in Carrier::ALL {
                    let n = carrier as usize;
                    let used = self.choice.used() == carrier;
                    let Some(present) = &mut self.present[n] else {
                        continue;
                    };
                    if self.now < present.up {
                        continue;
                    }
                    // What is used is heard all the time, what is tried each half second.
                    if !self.passes[n] || present.stalled {
                        present.answers = 0;
                    } else if used || self.now >= present.asked + Duration::from_millis(500) {
                        if used {
                            self.choice.opened();
                        } else {
                            present.answers += 1;
                        }
                        present.heard = self.now;
                        present.asked = self.now;
                    } else {
                        present.heard = self.now;
                    }
                }
                let seen = Carrier::ALL.map(|carrier| self.condition(carrier));
                if let Some(step) = self.choice.step(self.now, &seen) {
                    self.done.push(((self.now - self.start).as_millis(), step));
                    match step {
                        Step::Open(carrier) => {
                            let takes = Duration::from_millis(100);
                            self.present[carrier as usize] = Some(Presence::new(self.now, takes));
                        }
                        Step::Close(carrier) => self.present[carrier as usize] = None,
                        Step::Use(carrier) => {
                            let seen = self.present[carrier as usize].as_mut();
                            seen.unwrap().answers = 0;
                        }
                    }
                }
                self.now += STEP;
            }
        }

        fn take(&mut self) -> Vec<(u128, Step)> {
            std::mem::take(&mut self.done)
        }
    }

    fn all_but_udp() -> [bool; CARRIERS] {
        let mut passes = [true; CARRIERS];
        passes[0] = false;
        passes
    }

    #[test]
    fn where_udp_passes_nothing_else_is_ever_opened() {
        let mut rig = Rig::new(None, [true; CARRIERS]);
        rig.run(Duration::from_secs(600));
        assert_eq!(rig.take(), []);
    }

    #[test]
    fn a_join_without_udp_is_heard_within_two_seconds() {
        let mut rig = Rig::new(None, all_but_udp());
        rig.run(Duration::from_secs(2));
        assert_ne!(rig.choice.used(), Carrier::Udp);
        let done = rig.take();
        let opened = done
            .iter()
            .find(|(_, s)| *s == Step::Open(Carrier::WebSocket));
        let patient = (WORRY + WEBSOCKET_LATER).as_millis();
        assert!(opened.is_none_or(|(at, _)| *at >= patient), "{done:?}");
    }

    fn only_websocket() -> [bool; CARRIERS] {
        let mut passes = [false; CARRIERS];
        passes[Carrier::WebSocket as usize] = true;
        passes
    }

    #[test]
    fn what_takes_a_tcp_connection_comes_later_in_an_open_talk_as_well() {
        let mut rig = Rig::new(None, [true; CARRIERS]);
        rig.run(Duration::from_secs(30));
        rig.set(Carrier::Udp, false);
        rig.set(Carrier::Quic, false);
        rig.run(Duration::from_secs(3));
        assert_eq!(rig.choice.used(), Carrier::WebSocket);
        let opened = |carrier| {
            let mut done = rig.done.iter();
            done.find(|(_, step)| *step == Step::Open(carrier))
                .unwrap()
                .0
        };
        let later = opened(Carrier::WebSocket) - opened(Carrier::Quic);
        assert!(later >= WEBSOCKET_LATER.as_millis(), "{later} ms");
    }

    #[test]
    fn a_connection_that_stalls_is_given_up_for_a_new_one() {
        let mut rig = Rig::new(None, only_websocket());
        rig.run(Duration::from_secs(30));
        assert_eq!(rig.choice.used(), Carrier::WebSocket);
        rig.take();
        rig.stall(Carrier::WebSocket);
        rig.run(Duration::from_secs(2));
        let done = rig.take();
        let others = |step: &Step| {
            let (Step::Open(carrier) | Step::Close(carrier) | Step::Use(carrier)) = step;
            *carrier != Carrier::WebSocket
        };
        let steps = done.iter().map(|(_, step)| *step);
        let again: Vec<_> = steps.filter(|step| !others(step)).collect();
        let (close, open) = (
            Step::Close(Carrier::WebSocket),
            Step::Open(Carrier::WebSocket),
        );
        assert_eq!(again, [close, open], "{done:?}");
        assert!(rig.condition(Carrier::WebSocket).worrying_for().is_none());
    }

    #[test]
    fn after_a_used_connection_ended_nothing_is_used_that_does_not_answer() {
        let mut rig = Rig::new(None, only_websocket());
        rig.run(Duration::from_secs(30));
        rig.take();
        rig.end(Carrier::WebSocket);
        rig.run(Duration::from_secs(5));
        let done = rig.take();
        assert!(
            done.iter()
                .any(|(at, step)| *step == Step::Open(Carrier::WebSocket) && *at < 30_050),
            "{done:?}"
        );
        assert!(
            !done.iter().any(|(_, step)| matches!(step, Step::Use(_))),
            "{done:?}"
        );
        assert_eq!(rig.choice.used(), Carrier::WebSocket);
    }

    #[test]
    fn a_talk_goes_over_within_a_second_and_a_half_and_comes_back_within_five() {
        let mut rig = Rig::new(None, [true; CARRIERS]);
        rig.run(Duration::from_secs(30));
        rig.set(Carrier::Udp, false);
        rig.run(Duration::from_millis(1_500));
        assert_ne!(rig.choice.used(), Carrier::Udp);
        rig.run(Duration::from_secs(30));
        assert_ne!(rig.choice.used(), Carrier::Udp);
        rig.set(Carrier::Udp, true);
        rig.run(Duration::from_secs(5));
        assert_eq!(rig.choice.used(), Carrier::Udp);
        rig.run(CALM);
        let worse = &Carrier::ALL[1..];
        assert!(
            worse
                .iter()
                .all(|carrier| rig.condition(*carrier) == Condition::Absent)
        );
    }

    #[test]
    fn a_carrier_that_fails_again_and_again_is_trusted_less() {
        let mut rig = Rig::new(None, [true; CARRIERS]);
        rig.run(Duration::from_secs(1));
        let mut used_s = Vec::new();
        for _ in 0..4 {
            rig.set(Carrier::Udp, false);
            rig.run(Duration::from_secs(5));
            rig.set(Carrier::Udp, true);
            let back = rig.now;
            while rig.choice.used() != Carrier::Udp {
                rig.run(STEP);
                assert!(rig.now < back + Duration::from_secs(60));
            }
            used_s.push((rig.now - back).as_secs_f32());
            rig.run(Duration::from_secs(5));
        }
        assert!(
            used_s.windows(2).all(|pair| pair[1] > pair[0]),
            "{used_s:?}"
        );
        // After it served for long it is trusted as in the beginning.
        rig.run(STEADY);
        rig.set(Carrier::Udp, false);
        rig.run(Duration::from_secs(5));
        rig.set(Carrier::Udp, true);
        rig.run(Duration::from_secs(5));
        assert_eq!(rig.choice.used(), Carrier::Udp);
    }

    #[test]
    fn where_nothing_passes_connections_are_tried_ever_more_seldom() {
        let mut rig = Rig::new(None, [false; CARRIERS]);
        rig.run(Duration::from_secs(300));
        for carrier in &Carrier::ALL[1..] {
            let opened: Vec<_> = rig
                .done
                .iter()
                .filter(|(_, s)| *s == Step::Open(*carrier))
                .collect();
            assert!((8..=20).contains(&opened.len()), "{opened:?}");
        }
        assert_eq!(rig.choice.used(), Carrier::Udp);
    }

    #[test]
    fn a_carrier_that_is_asked_for_is_the_only_one() {
        for only in Carrier::ALL {
            let mut rig = Rig::new(Some(only), all_but_udp());
            rig.run(Duration::from_secs(60));
            assert_eq!(rig.choice.used(), only);
            assert!(rig.take().iter().all(|(_, step)| *step == Step::Open(only)));
        }
    }
}
