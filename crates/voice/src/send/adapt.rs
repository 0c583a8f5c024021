//! What is sent and how it is protected, by what is known of the path. Pure. Why so: `docs/adr/0025-path-adaptation.md`.
//!
//! Loss alone is answered with redundancy. Loss or a round trip that grows together is a queue that fills: less is sent at once, and
//! more is tried step by step.

use std::time::{Duration, Instant};

use voxhall_protocol::voice::ReportBlock;

use crate::frame::{FrameLength, SAMPLE_RATE_HZ, SAMPLES_PER_MS};

/// What travels with every frame: IPv4, UDP, RTP with audio level, SFrame, hop tag.
const OVERHEAD_BYTES: u32 = 80;
/// A STUN request with its headers.
const ASK_BYTES: u32 = 156;
/// Speech sounds no worse with so much than with twice as much, so it is given up before frames of 40 ms, which delay.
const GOOD_BPS: u32 = 32_000;
/// Below this frames of 60 ms leave more for the codec.
const POOR_BPS: u32 = 12_000;
const LEAST_BPS: u32 = 8_000;

/// A round trip so much over its least, our own packets' time on a narrow link aside, has a queue on its way...
const QUEUE: Duration = Duration::from_millis(50);
/// ...or so much while more is being tried...
const SMALL_QUEUE: Duration = Duration::from_millis(30);
/// ...or so much where packets are lost too: a short queue drops what others delay.
const SHORT_QUEUE: Duration = Duration::from_millis(10);
/// A queue stands when it was seen for so long: Wi-Fi stalls for less.
const STANDING: Duration = Duration::from_millis(800);
/// From here on the queue is ours, whoever else is on the link.
const LARGE_QUEUE: Duration = Duration::from_millis(400);
/// Without loss and up to a large queue it is gone below this by small steps, and never below that: the queue may be another's, and
/// would be filled whatever we do.
const FAIR_SHARE_BPS: f32 = 48_000.0;
const SMALL_SHARE_BPS: f32 = 24_000.0;
/// Measured round trips count as the present for so long.
const FRESH: Duration = Duration::from_secs(3);
/// The least round trip is looked for over one to two of these.
const LEAST_OVER: Duration = Duration::from_secs(30);
/// Losses from here on count.
const SOME_LOSS: f32 = 0.02;
/// Losses from here on, over so many reports, could be a queue too short to be seen: less is tried for as many.
const SUSPICIOUS_LOSS: f32 = 0.12;
const SUSPICIOUS_REPORTS: u32 = 6;
/// What gets through in all, a little less for certainty.
const ALL_OF_IT: f32 = 0.95;
/// If no more than that share is left of the losses that a queue would no longer cause, less is right; else they are taken for the path's
/// own for so long, twice as long each time.
const HELPED: f32 = 0.3;
const OWN_LOSS_FOR: Duration = Duration::from_secs(60);
const OWN_LOSS_AT_MOST: Duration = Duration::from_secs(600);
/// What was changed shows in reports from here on...
const FIRST_REPORT: Duration = Duration::from_millis(1_500);
/// ...and nothing is concluded from them before this.
const BLIND: Duration = Duration::from_secs(2);
/// Of what the path was seen to carry so much is used.
const HEADROOM: f32 = 0.75;
/// Less than this share of what was sent is never the first answer: losses of a moment say little of the rate.
const LEAST_SHARE: f32 = 0.4;
/// A queue that gets shorter by so many seconds a second is left to drain.
const DRAINS: f32 = -0.05;
/// What is sent after a trial that failed, of what was before it: the queue has to drain.
const AFTER_FAILURE: f32 = 0.85;
/// By how much more is tried, how long a trial takes, and the pause before the next.
const STEP: f32 = 1.3;
const TRIAL: Duration = Duration::from_secs(3);
const NEXT_STEP: Duration = Duration::from_secs(1);
/// A trial failed when so much more is lost than twice of before.
const MORE_LOSS: f32 = 0.04;
/// Pause before the first trial; twice as long after each that failed.
const FIRST_STEP: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(40);
/// A second with less speech than this proves nothing.
const EVIDENCE: Duration = Duration::from_millis(300);

/// Loss below this needs no redundancy.
const NO_LOSS: f32 = 0.002;
/// Share of packets that in-band FEC can't restore, since the next is lost too: from where on, and up to where deep redundancy is worth it.
const DEEP_FROM: f32 = 0.01;
const DEEP_UNTIL: f32 = 0.003;
/// How far deep redundancy reaches back, as a multiple of the mean burst.
const DEEP_REACH: f32 = 2.0;
const DEEP_MS: std::ops::RangeInclusive<f32> = 100.0..=300.0;
/// Told of less loss libopus gives deep redundancy too few bits, and told of all of it so many that the sound itself is the worse for it.
const DEEP_LOSS_PERCENT: u8 = 12;
const DEEP_LOSS_SHARE: f32 = 0.6;

/// What the person and the channel want. No more is sent, and no shorter frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub bitrate_bps: u32,
    pub frame_length: FrameLength,
    /// Frames keep their length, as music wants it: only the bitrate follows the path.
    pub fixed_length: bool,
}

/// What listeners say of the path, from a receiver report.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PathReport {
    /// Share of packets lost since the last report, 0 to 1.
    pub loss: f32,
    /// Share of packets lost whose successor was lost too, which in-band FEC can't restore.
    pub beyond_fec: f32,
    /// Mean length of bursts of two and more lost packets; 0 when there was none.
    pub burst_ms: f32,
    /// Interarrival jitter.
    pub jitter_ms: f32,
}

impl From<ReportBlock> for PathReport {
    fn from(block: ReportBlock) -> Self {
        let bursts = block.burst_loss;
        let ratio = |part: u32, whole: u32| part as f32 / whole.max(1) as f32;
        let expected = u32::from(bursts.expected);
        // Late packets are in the bursts, but not in the fraction.
        let loss = ratio(block.fraction_lost.into(), 256);
        Self {
            loss: loss.max(ratio(bursts.lost.into(), expected)),
            beyond_fec: ratio(bursts.lost.saturating_sub(bursts.bursts).into(), expected),
            burst_ms: ratio(bursts.duration_ms, bursts.bursts.into()),
            jitter_ms: block.jitter as f32 / SAMPLES_PER_MS as f32,
        }
    }
}

/// Redundancy beside the sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protection {
    #[default]
    None,
    /// Each packet has a coarser copy of the frame before it.
    Fec { loss_percent: u8 },
    /// And tells by deep redundancy (DRED) what was said before that.
    Deep { loss_percent: u8, reach_ms: u16 },
}

impl Protection {
    /// The ladder: what these losses are best answered with. `deep` says whether deep redundancy is in use.
    #[must_use]
    pub fn against(report: &PathReport, deep: bool) -> Self {
        if report.loss < NO_LOSS {
            return Self::None;
        }
        let loss_percent = (report.loss.clamp(0.0, 1.0) * 100.0).ceil() as u8;
        let from = if deep { DEEP_UNTIL } else { DEEP_FROM };
        if report.beyond_fec < from {
            return Self::Fec { loss_percent };
        }
        let reach_ms = (report.burst_ms * DEEP_REACH).clamp(*DEEP_MS.start(), *DEEP_MS.end());
        Self::Deep {
            loss_percent: ((f32::from(loss_percent) * DEEP_LOSS_SHARE) as u8)
                .max(DEEP_LOSS_PERCENT),
            reach_ms: reach_ms as u16,
        }
    }

    fn is_deep(self) -> bool {
        matches!(self, Self::Deep { .. })
    }
}

/// What the encoder is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    pub bitrate_bps: u32,
    pub frame_length: FrameLength,
    pub protection: Protection,
}

/// Follows one path. Told of everything that is seen of it; [`sending`](Self::sending) is the answer.
#[derive(Debug, Clone)]
pub struct PathAdapter {
    wanted: Wanted,
    losses: PathReport,
    protection: Protection,
    round_trips: RoundTrips,
    /// Least jitter of late, ms.
    calm_jitter_ms: f32,
    rate: Rate,
    changed_at: Instant,
    queue_at_change: Duration,
    /// Since when every round trip had a queue in it.
    standing_since: Option<Instant>,
    /// When the path last looked full.
    full_at: Option<Instant>,
    pause: Duration,
    own_loss_until: Option<Instant>,
    own_loss_for: Duration,
    sent_at: Option<Instant>,
    /// Sound sent since the last report, and since the last change.
    spoken: Duration,
    spoken_since_change: Duration,
    reports_since_change: u32,
    lost_since_change: f32,
}

/// What may be sent in all, overhead included.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rate {
    All,
    Held {
        bps: f32,
    },
    /// More than before, to see whether it gets through.
    TryingMore {
        bps: f32,
        before_bps: f32,
        loss: f32,
    },
    /// Less than before (all there was, if nothing), to see whether less gets lost.
    TryingLess {
        bps: f32,
        before_bps: Option<f32>,
        /// Losses up to here show that it helped.
        enough: f32,
    },
}

impl PathAdapter {
    #[must_use]
    pub fn new(wanted: Wanted, now: Instant) -> Self {
        Self {
            wanted,
            losses: PathReport::default(),
            protection: Protection::None,
            round_trips: RoundTrips::default(),
            calm_jitter_ms: f32::MAX,
            rate: Rate::All,
            changed_at: now,
            queue_at_change: Duration::ZERO,
            standing_since: None,
            full_at: None,
            pause: FIRST_STEP,
            own_loss_until: None,
            own_loss_for: OWN_LOSS_FOR,
            sent_at: None,
            spoken: Duration::ZERO,
            spoken_since_change: Duration::ZERO,
            reports_since_change: 0,
            lost_since_change: 0.0,
        }
    }

    pub fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    #[must_use]
    pub fn sending(&self) -> Sending {
        let (bitrate_bps, frame_length) = match self.rate_bps() {
            None => (self.wanted.bitrate_bps, self.shortest()),
            Some(rate_bps) => self.fit(rate_bps as u32),
        };
        // Neither music nor frames this short have any (see `FrameEncoder`).
        let unprotected = self.wanted.fixed_length || frame_length < FrameLength::Ms10;
        Sending {
            bitrate_bps,
            frame_length,
            protection: if unprotected {
                Protection::None
            } else {
                self.protection
            },
        }
    }

    /// How often the round trip should be measured.
    #[must_use]
    pub fn round_trip_every(&self) -> Duration {
        match self.rate {
            Rate::TryingMore { .. } | Rate::TryingLess { .. } => Duration::from_millis(500),
            _ if self.standing_since.is_some() => Duration::from_millis(500),
            Rate::Held { .. } => Duration::from_secs(1),
            Rate::All => Duration::from_secs(2),
        }
    }

    /// A frame went out.
    pub fn sent(&mut self, now: Instant, length: FrameLength) {
        let sound = Duration::from_secs_f64(length.samples() as f64 / f64::from(SAMPLE_RATE_HZ));
        self.sent_at = Some(now);
        self.spoken += sound;
        self.spoken_since_change += sound;
    }

    /// What the listeners say, about once a second.
    pub fn report(&mut self, now: Instant, report: PathReport) {
        let spoken = std::mem::take(&mut self.spoken);
        if spoken < EVIDENCE {
            return;
        }
        // The first report after a change is of before.
        if now >= self.changed_at + FIRST_REPORT {
            self.reports_since_change += 1;
            self.lost_since_change += report.loss;
        }
        let calm = self.calm_jitter_ms.min(report.jitter_ms);
        self.calm_jitter_ms = calm * 1.02 + 0.01;
        let jitters = report.jitter_ms > 2.0 * calm + 15.0;
        let queued = jitters || self.round_trips.unanswered(now) || self.queue(now) >= SHORT_QUEUE;
        let own = self.own_loss_until.is_some_and(|until| now < until);
        // What a full queue drops is not to be answered with more.
        if !(queued && report.loss >= SOME_LOSS) {
            self.losses.take_in(&report);
            self.protection = Protection::against(&self.losses, self.protection.is_deep());
        }
        match self.rate {
            _ if report.loss >= SOME_LOSS && queued => self.full(now, report.loss, 0.0),
            Rate::TryingMore {
                before_bps, loss, ..
            } => {
                let reports = self.reports_since_change.max(3) as f32;
                if self.lost_since_change / reports > 2.0 * loss + MORE_LOSS {
                    self.take_back(now, before_bps);
                }
            }
            Rate::TryingLess {
                bps,
                before_bps,
                enough,
            } => {
                let mean = self.lost_since_change / self.reports_since_change as f32;
                let done = self.reports_since_change >= SUSPICIOUS_REPORTS;
                if done && mean > enough {
                    // Less didn't help, so it isn't us.
                    self.own_loss_until = Some(now + self.own_loss_for);
                    self.own_loss_for = (self.own_loss_for * 2).min(OWN_LOSS_AT_MOST);
                    let before = before_bps.map_or(Rate::All, |bps| Rate::Held { bps });
                    self.change(now, before);
                } else if done {
                    self.own_loss_for = OWN_LOSS_FOR;
                    self.full_at = Some(now);
                    self.rate = Rate::Held { bps };
                }
            }
            Rate::All | Rate::Held { .. }
                if !own && self.reports_since_change >= SUSPICIOUS_REPORTS =>
            {
                let loss = self.lost_since_change / self.reports_since_change as f32;
                self.lost_since_change = 0.0;
                self.reports_since_change = 0;
                if loss >= SUSPICIOUS_LOSS {
                    self.try_less(now, loss);
                }
            }
            _ => {}
        }
        self.try_more_if_due(now);
    }

    /// The round trip to the server, whenever it was measured.
    pub fn round_trip(&mut self, now: Instant, round_trip: Duration) {
        let before = self.round_trips.last;
        self.round_trips.add(now, round_trip);
        let queue = self.queue(now);
        if queue >= QUEUE {
            self.standing_since.get_or_insert(now);
        } else {
            self.standing_since = None;
        }
        let stands = self
            .standing_since
            .is_some_and(|since| now.saturating_duration_since(since) >= STANDING);
        if let Rate::TryingMore { before_bps, .. } = self.rate
            && queue >= SMALL_QUEUE
        {
            self.take_back(now, before_bps);
        } else if stands {
            let (growth, falls) = before.map_or((0.0, false), |(at, before)| {
                let time = now.saturating_duration_since(at).as_secs_f32().max(0.05);
                let growth = (round_trip.as_secs_f32() - before.as_secs_f32()) / time;
                (growth.max(0.0), growth < DRAINS)
            });
            if falls {
                self.full_at = Some(now);
            } else {
                self.full(now, 0.0, growth);
            }
        }
        self.try_more_if_due(now);
    }

    /// Another path from now on, of which nothing is known but what was sent on the one before.
    pub fn path_changed(&mut self) {
        self.round_trips = RoundTrips::default();
        self.calm_jitter_ms = f32::MAX;
        self.own_loss_until = None;
        self.own_loss_for = OWN_LOSS_FOR;
        self.pause = FIRST_STEP;
        self.full_at = None;
        self.standing_since = None;
        self.reports_since_change = 0;
        self.lost_since_change = 0.0;
    }

    // ---- how much ----

    fn rate_bps(&self) -> Option<f32> {
        match self.rate {
            Rate::All => None,
            Rate::Held { bps } | Rate::TryingMore { bps, .. } | Rate::TryingLess { bps, .. } => {
                Some(bps)
            }
        }
    }

    /// What is sent at most, if less was wanted since it was held.
    fn sent_bps(&self) -> f32 {
        let all = self.all_bps();
        self.rate_bps().map_or(all, |bps| bps.min(all))
    }

    /// What waits on the path beside our own packets: one of them, and the request that measures it.
    fn queue(&self, now: Instant) -> Duration {
        let rate_bps = self.sent_bps();
        let length = self.sending().frame_length.samples() as f32 / SAMPLE_RATE_HZ as f32;
        let own = length + (ASK_BYTES * 8) as f32 / rate_bps;
        let queue = self.round_trips.over_least(now);
        queue.saturating_sub(Duration::from_secs_f32(own))
    }

    /// The path carries no more: some of it was lost, or its queue grows by so many seconds a second.
    fn full(&mut self, now: Instant, loss: f32, growth: f32) {
        self.full_at = Some(now);
        if let Rate::TryingMore { before_bps, .. } = self.rate {
            return self.take_back(now, before_bps);
        }
        let silent = self
            .sent_at
            .is_none_or(|at| now.saturating_duration_since(at) > EVIDENCE);
        if silent || now < self.changed_at + BLIND + self.queue_at_change && self.rate != Rate::All
        {
            return;
        }
        let sent = self.sent_bps();
        let carried = sent * (1.0 - loss) / (1.0 + growth);
        let bps = (carried * HEADROOM).max(sent * LEAST_SHARE);
        let least = if loss < SOME_LOSS && self.queue(now) < LARGE_QUEUE {
            let gently = (sent * AFTER_FAILURE).max(SMALL_SHARE_BPS);
            gently.min(FAIR_SHARE_BPS)
        } else {
            (LEAST_BPS + overhead_bps(FrameLength::Ms60)) as f32
        };
        self.change(
            now,
            Rate::Held {
                bps: bps.max(least).min(sent),
            },
        );
    }

    /// No less than what gets through, and no longer frames where that can be helped: it is a question, not an answer.
    fn try_less(&mut self, now: Instant, loss: f32) {
        let before_bps = self.rate_bps();
        let sent = self.sent_bps();
        let carried = sent * (1.0 - loss);
        let shortest = self.shortest().max(FrameLength::Ms20);
        let good = (GOOD_BPS.min(self.wanted.bitrate_bps) + overhead_bps(shortest)) as f32;
        let least = (LEAST_BPS + overhead_bps(FrameLength::Ms60)) as f32;
        let least = if sent > good { good } else { least };
        let bps = (carried * ALL_OF_IT).max(least);
        if bps < sent {
            let hoped = (1.0 - carried / bps).max(0.0);
            let enough = hoped + (loss - hoped) * HELPED;
            self.change(
                now,
                Rate::TryingLess {
                    bps,
                    before_bps,
                    enough,
                },
            );
        }
    }

    fn take_back(&mut self, now: Instant, before_bps: f32) {
        self.full_at = Some(now);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let least = (LEAST_BPS + overhead_bps(FrameLength::Ms60)) as f32;
        let bps = (before_bps.min(self.all_bps()) * AFTER_FAILURE).max(least);
        self.change(now, Rate::Held { bps });
    }

    fn try_more_if_due(&mut self, now: Instant) {
        let since_change = now.saturating_duration_since(self.changed_at);
        match self.rate {
            Rate::TryingMore { bps, .. } => {
                let proven = self.reports_since_change > 1 && self.spoken_since_change >= TRIAL / 2;
                if since_change >= TRIAL && proven {
                    self.full_at = None;
                    if bps >= self.all_bps() {
                        self.pause = FIRST_STEP;
                        self.change(now, Rate::All);
                    } else {
                        self.change(now, Rate::Held { bps });
                    }
                }
            }
            Rate::Held { bps } => {
                // After a trial that went well the next one follows soon.
                let (since, pause) = match self.full_at {
                    Some(at) => (
                        now.saturating_duration_since(at.max(self.changed_at)),
                        self.pause,
                    ),
                    None => (since_change, NEXT_STEP),
                };
                let drained = self.queue(now) < SMALL_QUEUE;
                if drained && since >= pause && self.spoken_since_change >= pause / 3 {
                    let trying = Rate::TryingMore {
                        bps: (bps * STEP).min(self.all_bps()),
                        before_bps: self.sent_bps(),
                        loss: self.losses.loss,
                    };
                    self.change(now, trying);
                }
            }
            Rate::All | Rate::TryingLess { .. } => {}
        }
    }

    fn change(&mut self, now: Instant, rate: Rate) {
        self.rate = rate;
        self.changed_at = now;
        self.spoken_since_change = Duration::ZERO;
        self.reports_since_change = 0;
        self.lost_since_change = 0.0;
        self.standing_since = None;
        self.queue_at_change = self.round_trips.over_least(now);
    }

    // ---- in which frames ----

    fn shortest(&self) -> FrameLength {
        // Each frame of deep redundancy costs the same, however short.
        if self.protection.is_deep() && !self.wanted.fixed_length {
            self.wanted.frame_length.max(FrameLength::Ms20)
        } else {
            self.wanted.frame_length
        }
    }

    /// All that is wanted, as it goes over the wire.
    fn all_bps(&self) -> f32 {
        (self.wanted.bitrate_bps + overhead_bps(self.shortest())) as f32
    }

    /// The best that fits: first longer frames up to 20 ms, then fewer bits, then frames of 40 ms, then fewer bits.
    fn fit(&self, rate_bps: u32) -> (u32, FrameLength) {
        let wanted = self.wanted.bitrate_bps;
        let shortest = self.shortest();
        let left = |length| rate_bps.saturating_sub(overhead_bps(length)).min(wanted);
        if self.wanted.fixed_length {
            return (left(shortest).max(LEAST_BPS), shortest);
        }
        if left(shortest) == wanted {
            return (wanted, shortest);
        }
        let lengths = [FrameLength::Ms20, FrameLength::Ms40, FrameLength::Ms60];
        let worth = [GOOD_BPS.min(wanted), POOR_BPS, 0];
        lengths
            .into_iter()
            .zip(worth)
            .filter(|(length, _)| *length >= shortest)
            .map(|(length, worth)| (left(length), length, worth))
            .find(|(bps, _, worth)| bps >= worth)
            .map_or((LEAST_BPS, FrameLength::Ms60), |(bps, length, _)| {
                (bps.max(LEAST_BPS), length)
            })
    }
}

impl PathReport {
    /// Fast to see that it got worse, slow to believe that it got better.
    fn take_in(&mut self, new: &Self) {
        let follow = |old: &mut f32, new: f32, rise: f32| {
            let weight = if new > *old { rise } else { 0.1 };
            *old += (new - *old) * weight;
        };
        let first = self.loss < NO_LOSS;
        follow(&mut self.loss, new.loss, if first { 1.0 } else { 0.5 });
        // One burst in a second is no habit yet.
        follow(&mut self.beyond_fec, new.beyond_fec, 0.3);
        if new.burst_ms > 0.0 {
            follow(&mut self.burst_ms, new.burst_ms, 0.3);
        }
        self.jitter_ms = new.jitter_ms;
    }
}

/// The round trip of late and its least: what is between them is a queue.
#[derive(Debug, Clone, Default)]
struct RoundTrips {
    last: Option<(Instant, Duration)>,
    /// Least since the instant, and in the time before that.
    least: Option<(Instant, Duration)>,
    least_before: Option<Duration>,
}

impl RoundTrips {
    fn add(&mut self, now: Instant, round_trip: Duration) {
        self.last = Some((now, round_trip));
        match &mut self.least {
            Some((since, least)) if now.saturating_duration_since(*since) < LEAST_OVER => {
                *least = round_trip.min(*least);
            }
            least => {
                self.least_before = least.map(|(_, least)| least);
                *least = Some((now, round_trip));
            }
        }
    }

    /// Measured before, but not of late: what measures it gets lost.
    fn unanswered(&self, now: Instant) -> bool {
        self.last
            .is_some_and(|(at, _)| now.saturating_duration_since(at) > 2 * FRESH)
    }

    fn over_least(&self, now: Instant) -> Duration {
        let Some((_, last)) = self
            .last
            .filter(|(at, _)| now.saturating_duration_since(*at) < FRESH)
        else {
            return Duration::ZERO;
        };
        let least = self.least.map_or(last, |(_, least)| least);
        last.saturating_sub(self.least_before.map_or(least, |before| before.min(least)))
    }
}

fn overhead_bps(length: FrameLength) -> u32 {
    OVERHEAD_BYTES * 8 * SAMPLE_RATE_HZ / length.samples() as u32
}
