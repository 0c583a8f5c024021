//! A network on a simulated clock: what goes in at one time comes out later, changed in order or not at all.
//!
//! Deterministic: the same impairment, seed and sends give the same arrivals.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What a network does to the packets of one direction. The default does nothing.
#[derive(Clone, Debug, Default)]
pub struct Impairment {
    /// Time every packet takes.
    pub delay: Duration,
    pub jitter: Jitter,
    pub loss: Loss,
    /// Share of packets held back by `reorder_by`, so that later ones overtake them. All others stay in order.
    pub reorder_ratio: f64,
    pub reorder_by: Duration,
    /// Share of packets that arrive twice.
    pub duplicate_ratio: f64,
    /// Bottleneck: packets queue for it, and are lost when they would wait longer than `queue_limit`.
    pub rate_bps: Option<u64>,
    pub queue_limit: Duration,
}

impl Impairment {
    pub fn delay(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    pub fn with_jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }
}

/// Random extra delay. A packet is never faster than no delay at all.
#[derive(Clone, Copy, Debug, Default)]
pub enum Jitter {
    #[default]
    None,
    /// Between minus and plus this.
    Uniform(Duration),
    /// Pareto with shape 3, scaled to this standard deviation around the delay: mostly a little early, now and then
    /// very late, as queues are.
    Pareto(Duration),
}

/// Which packets never arrive.
#[derive(Clone, Copy, Debug, Default)]
pub enum Loss {
    #[default]
    None,
    /// Each packet by itself with this probability.
    Random(f64),
    /// Two states: in the bad one everything is lost. The chance per packet to enter it and to leave it.
    Gilbert { enter: f64, leave: f64 },
}

impl Loss {
    /// A Gilbert loss with this share lost over time, in bursts of this mean length in packets.
    pub fn bursty(ratio: f64, mean_burst: f64) -> Self {
        let leave = 1.0 / mean_burst;
        Self::Gilbert {
            enter: ratio * leave / (1.0 - ratio),
            leave,
        }
    }
}

/// What became of the packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    pub sent: u64,
    pub lost: u64,
    /// Lost because the bottleneck's queue was full.
    pub overflowed: u64,
    pub reordered: u64,
    pub duplicated: u64,
    pub delivered: u64,
}

/// One direction of a path. Payloads are whatever the test sends.
#[derive(Debug)]
pub struct Link<P> {
    impairment: Impairment,
    rng: StdRng,
    in_burst: bool,
    bottleneck_free: Option<Instant>,
    latest_arrival: Option<Instant>,
    in_flight: BinaryHeap<Reverse<InFlight<P>>>,
    put_so_far: u64,
    stats: LinkStats,
}

impl<P: Clone> Link<P> {
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            rng: StdRng::seed_from_u64(seed),
            in_burst: false,
            bottleneck_free: None,
            latest_arrival: None,
            in_flight: BinaryHeap::new(),
            put_so_far: 0,
            stats: LinkStats::default(),
        }
    }

    /// Changes what happens to packets sent from now on.
    pub fn set(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    pub fn stats(&self) -> LinkStats {
        self.stats
    }

    /// Sends a packet of `bytes` (only the rate limit looks at the size).
    pub fn send(&mut self, now: Instant, bytes: usize, payload: P) {
        self.stats.sent += 1;
        if self.is_lost() {
            self.stats.lost += 1;
            return;
        }
        let Some(queued) = self.through_bottleneck(now, bytes) else {
            self.stats.overflowed += 1;
            return;
        };
        let mut arrival = now + queued + self.travel_time();
        if self.chance(self.impairment.reorder_ratio) {
            self.stats.reordered += 1;
            arrival += self.impairment.reorder_by;
        } else {
            arrival = arrival.max(self.latest_arrival.unwrap_or(arrival));
            self.latest_arrival = Some(arrival);
        }
        if self.chance(self.impairment.duplicate_ratio) {
            self.stats.duplicated += 1;
            self.put(arrival, payload.clone());
        }
        self.put(arrival, payload);
    }

    /// When the next packet arrives, if one is under way.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(packet)| packet.arrival)
    }

    /// The next packet that has arrived by `now`, and when it did.
    pub fn receive(&mut self, now: Instant) -> Option<(Instant, P)> {
        if self.next_arrival()? > now {
            return None;
        }
        let Reverse(packet) = self.in_flight.pop()?;
        self.stats.delivered += 1;
        Some((packet.arrival, packet.payload))
    }

    fn put(&mut self, arrival: Instant, payload: P) {
        let order = self.put_so_far;
        self.put_so_far += 1;
        self.in_flight.push(Reverse(InFlight {
            arrival,
            order,
            payload,
        }));
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random::<f64>() < probability
    }

    fn is_lost(&mut self) -> bool {
        match self.impairment.loss {
            Loss::None => false,
            Loss::Random(ratio) => self.chance(ratio),
            Loss::Gilbert { enter, leave } => {
                let flips = if self.in_burst { leave } else { enter };
                self.in_burst ^= self.chance(flips);
                self.in_burst
            }
        }
    }

    /// How long the packet waits for and passes the bottleneck; `None` when the queue is too long.
    fn through_bottleneck(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        let Some(rate_bps) = self.impairment.rate_bps else {
            return Some(Duration::ZERO);
        };
        let starts = self.bottleneck_free.map_or(now, |free| free.max(now));
        if starts - now > self.impairment.queue_limit {
            return None;
        }
        let ends = starts + Duration::from_secs_f64(bytes as f64 * 8.0 / rate_bps as f64);
        self.bottleneck_free = Some(ends);
        Some(ends - now)
    }

    fn travel_time(&mut self) -> Duration {
        let extra_s = match self.impairment.jitter {
            Jitter::None => 0.0,
            Jitter::Uniform(most) => most.as_secs_f64() * self.rng.random_range(-1.0..=1.0),
            Jitter::Pareto(deviation) => {
                // Shape 3 has mean 3/2 and standard deviation sqrt(3)/2.
                let pareto = (1.0 - self.rng.random::<f64>()).powf(-1.0 / 3.0);
                deviation.as_secs_f64() * (pareto - 1.5) / (3f64.sqrt() / 2.0)
            }
        };
        Duration::from_secs_f64((self.impairment.delay.as_secs_f64() + extra_s).max(0.0))
    }
}

#[derive(Debug)]
struct InFlight<P> {
    arrival: Instant,
    /// Among packets of the same instant, the order of sending.
    order: u64,
    payload: P,
}

impl<P> PartialEq for InFlight<P> {
    fn eq(&self, other: &Self) -> bool {
        (self.arrival, self.order) == (other.arrival, other.order)
    }
}
impl<P> Eq for InFlight<P> {}
impl<P> PartialOrd for InFlight<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<P> Ord for InFlight<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrival, self.order).cmp(&(other.arrival, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);
    const COUNT: u32 = 50_000;

    /// Sends a packet every 20 ms; gives (number, delay in ms) in order of arrival, and the statistics.
    fn run(impairment: Impairment, seed: u64) -> (Vec<(u32, f64)>, LinkStats) {
        let start = Instant::now();
        let mut link = Link::new(impairment, seed);
        for number in 0..COUNT {
            link.send(start + FRAME * number, 100, number);
        }
        let end = start + Duration::from_secs(1_000_000);
        let arrivals = std::iter::from_fn(|| link.receive(end))
            .map(|(at, number)| (number, (at - start - FRAME * number).as_secs_f64() * 1000.0))
            .collect();
        (arrivals, link.stats())
    }

    fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = values.len() as f64;
        values.sum::<f64>() / count
    }

    #[test]
    fn nothing_is_changed_by_default() {
        let (arrivals, stats) = run(Impairment::default(), 1);
        assert!(
            arrivals
                .iter()
                .enumerate()
                .all(|(i, &(number, delay_ms))| i as u32 == number && delay_ms == 0.0)
        );
        assert_eq!(stats.delivered, u64::from(COUNT));
    }

    #[test]
    fn the_same_seed_gives_the_same_network() {
        let impairment = Impairment::delay(FRAME)
            .with_jitter(Jitter::Pareto(FRAME))
            .with_loss(Loss::bursty(0.1, 3.0));
        assert_eq!(run(impairment.clone(), 7), run(impairment.clone(), 7));
        assert_ne!(run(impairment.clone(), 7), run(impairment, 8));
    }

    #[test]
    fn a_packet_comes_only_when_its_time_has_come() {
        let start = Instant::now();
        let mut link = Link::new(Impairment::delay(FRAME), 1);
        link.send(start, 1, "hello");
        assert_eq!(link.next_arrival(), Some(start + FRAME));
        assert_eq!(link.receive(start + FRAME - Duration::from_nanos(1)), None);
        assert_eq!(link.receive(start + FRAME), Some((start + FRAME, "hello")));
        assert_eq!(link.next_arrival(), None);
    }

    #[test]
    fn loss_has_the_share_and_the_burst_length_asked_for() {
        for (loss, ratio, burst) in [
            (Loss::Random(0.05), 0.05, 1.0 / 0.95),
            (Loss::bursty(0.2, 4.0), 0.2, 4.0),
            (Loss::bursty(0.3, 2.0), 0.3, 2.0),
        ] {
            let (arrivals, stats) = run(Impairment::default().with_loss(loss), 3);
            let share = stats.lost as f64 / f64::from(COUNT);
            assert!((share - ratio).abs() < 0.015, "{loss:?}: {share} lost");
            let gaps = arrivals
                .windows(2)
                .filter(|pair| pair[1].0 > pair[0].0 + 1)
                .count();
            let mean_burst = stats.lost as f64 / gaps as f64;
            assert!(
                (mean_burst / burst - 1.0).abs() < 0.1,
                "{loss:?}: bursts of {mean_burst}"
            );
        }
    }

    #[test]
    fn uniform_jitter_keeps_its_bounds_and_the_order() {
        let jitter = Jitter::Uniform(Duration::from_millis(5));
        let (arrivals, _) = run(
            Impairment::delay(Duration::from_millis(30)).with_jitter(jitter),
            4,
        );
        assert!(
            arrivals
                .iter()
                .all(|&(_, delay_ms)| (25.0..=35.0).contains(&delay_ms))
        );
        assert!(arrivals.is_sorted_by_key(|&(number, _)| number));
        let mean_ms = mean(arrivals.iter().map(|a| a.1));
        assert!((mean_ms - 30.0).abs() < 0.1, "{mean_ms}");
    }

    #[test]
    fn pareto_jitter_is_mostly_early_and_sometimes_very_late() {
        let jitter = Jitter::Pareto(Duration::from_millis(5));
        let (arrivals, _) = run(
            Impairment::delay(Duration::from_millis(100)).with_jitter(jitter),
            5,
        );
        let mean_ms = mean(arrivals.iter().map(|a| a.1));
        assert!((mean_ms - 100.0).abs() < 1.0, "{mean_ms}");
        let early = arrivals.iter().filter(|a| a.1 < 100.0).count() as f64 / arrivals.len() as f64;
        assert!(early > 0.6, "{early}");
        assert!(arrivals.iter().any(|a| a.1 > 130.0));
    }

    #[test]
    fn held_back_packets_are_overtaken_and_the_others_stay_in_order() {
        let impairment = Impairment {
            reorder_ratio: 0.05,
            reorder_by: Duration::from_millis(50),
            ..Impairment::default()
        };
        let (arrivals, stats) = run(impairment, 6);
        let late: Vec<_> = arrivals.iter().filter(|a| a.1 > 0.0).collect();
        assert_eq!(late.len() as u64, stats.reordered);
        assert!((stats.reordered as f64 / f64::from(COUNT) - 0.05).abs() < 0.005);
        assert!(
            arrivals
                .iter()
                .filter(|a| a.1 == 0.0)
                .is_sorted_by_key(|a| a.0)
        );
        assert!(!arrivals.is_sorted_by_key(|a| a.0));
    }

    #[test]
    fn duplicates_arrive_twice() {
        let (arrivals, stats) = run(
            Impairment {
                duplicate_ratio: 0.02,
                ..Impairment::default()
            },
            7,
        );
        assert!((stats.duplicated as f64 / f64::from(COUNT) - 0.02).abs() < 0.005);
        assert_eq!(
            arrivals
                .windows(2)
                .filter(|pair| pair[0].0 == pair[1].0)
                .count() as u64,
            stats.duplicated
        );
    }

    #[test]
    fn a_bottleneck_delays_then_drops() {
        // 100 bytes every 20 ms are 40 kbit/s; the path carries half of that, with 200 ms of queue.
        let impairment = Impairment {
            rate_bps: Some(20_000),
            queue_limit: Duration::from_millis(200),
            ..Impairment::default()
        };
        let (arrivals, stats) = run(impairment, 8);
        assert!(arrivals.iter().all(|a| a.1 <= 240.0 + 1e-6));
        let dropped = stats.overflowed as f64 / f64::from(COUNT);
        assert!((dropped - 0.5).abs() < 0.01, "{dropped}");
    }
}
