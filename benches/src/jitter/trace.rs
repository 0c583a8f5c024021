//! What the network does to each packet, on a seed. Time is counted in samples of the listener's clock at 48 kHz.
//!
//! The profiles' constants are those of RingRTC's `call_sim`, which gives them to Linux' `netem`; so delays are drawn and packets kept
//! or mixed up here as `netem` does it (`sch_netem.c`, and the Pareto table of iproute2).

use std::{fmt, str::FromStr};

use super::{lossgen::Lossgen, rng::Rng};

pub const MS: i64 = 48;
pub const SECOND: i64 = 1_000 * MS;
/// Loss that Opus' model is asked for.
const LOSSGEN_SHARE: f64 = 0.2;
/// Bytes of a packet on the wire where the path has a rate: 80 of Opus, the rest headers and seals.
const WIRE_BYTES: f64 = 150.0;
const DRIFT_PPM: f64 = 200.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Clean,
    Moderate,
    International,
    Spiky,
    /// A clean path that stands still for 200 ms every 20 s.
    Spikes,
    /// Loss in percent.
    Bursty(u8),
    Lossgen,
    Drift,
}

impl Profile {
    pub const ALL: [Self; 12] = [
        Self::Clean,
        Self::Moderate,
        Self::International,
        Self::Spiky,
        Self::Spikes,
        Self::Bursty(10),
        Self::Bursty(20),
        Self::Bursty(30),
        Self::Bursty(40),
        Self::Bursty(50),
        Self::Lossgen,
        Self::Drift,
    ];
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("clean"),
            Self::Moderate => f.write_str("moderate"),
            Self::International => f.write_str("international"),
            Self::Spiky => f.write_str("spiky"),
            Self::Spikes => f.write_str("spikes"),
            Self::Bursty(percent) => write!(f, "bursty{percent}"),
            Self::Lossgen => f.write_str("lossgen"),
            Self::Drift => f.write_str("drift"),
        }
    }
}

/// One profile, or all of them.
#[derive(Debug, Clone)]
pub struct Selection(pub Vec<Profile>);

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(Profile::ALL.to_vec()));
        }
        let names = || Profile::ALL.map(|profile| profile.to_string()).join(", ");
        text.split(',')
            .map(|name| {
                Profile::ALL
                    .into_iter()
                    .find(|profile| profile.to_string() == name)
            })
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| format!("there are {} and all", names()))
    }
}

pub struct Packet {
    pub sent: i64,
    /// When its first copy arrived, if any did.
    pub arrived: Option<i64>,
}

/// A time in which the path is worse, and after which it is as before.
#[derive(Debug, Clone, Copy)]
pub struct Spike {
    pub from: i64,
    pub to: i64,
}

pub struct Trace {
    /// Samples of sound a packet; packet `i` begins with media time `i * frame`.
    pub frame: i64,
    pub packets: Vec<Packet>,
    /// All copies, (time, packet), in the order in which they come.
    pub arrivals: Vec<(i64, usize)>,
    pub spikes: Vec<Spike>,
    pub length: i64,
}

impl Trace {
    pub fn new(profile: Profile, seed: u64, frame: i64, length: i64) -> Self {
        let mut rng = Rng::new(seed ^ 0x7261_6365);
        let drift = match profile {
            Profile::Drift if seed.is_multiple_of(2) => DRIFT_PPM * 1e-6,
            Profile::Drift => -DRIFT_PPM * 1e-6,
            _ => 0.0,
        };
        Self::build(profile, seed, frame, length, drift, &mut rng)
    }

    /// A clean path between clocks that differ by `drift_ppm`.
    pub fn drifting(drift_ppm: f64, seed: u64, frame: i64, length: i64) -> Self {
        let mut rng = Rng::new(seed ^ 0x7261_6365);
        Self::build(
            Profile::Drift,
            seed,
            frame,
            length,
            drift_ppm * 1e-6,
            &mut rng,
        )
    }

    fn build(
        profile: Profile,
        seed: u64,
        frame: i64,
        length: i64,
        drift: f64,
        rng: &mut Rng,
    ) -> Self {
        let mut path = Path::new(profile, seed, rng);
        let mut packets = Vec::new();
        let mut arrivals = Vec::new();
        for i in 0_i64.. {
            let sent = ((i * frame) as f64 * (1.0 - drift)).round() as i64;
            if sent >= length {
                break;
            }
            let copies = path.send(sent, rng);
            arrivals.extend(copies.iter().map(|&at| (at, i as usize)));
            packets.push(Packet {
                sent,
                arrived: copies.iter().copied().min(),
            });
        }
        arrivals.sort_by_key(|&(at, _)| at);
        let cycles = |cycle: i64, from: i64, to: i64| {
            (0..length / cycle)
                .map(|n| Spike {
                    from: n * cycle + from,
                    to: n * cycle + to,
                })
                .filter(|spike| spike.to + 6 * SECOND < length)
                .collect()
        };
        let spikes = match profile {
            Profile::Spiky => cycles(30 * SECOND, 10 * SECOND, 20 * SECOND),
            Profile::Spikes => cycles(20 * SECOND, 10 * SECOND, 10 * SECOND + 200 * MS),
            _ => Vec::new(),
        };
        Self {
            frame,
            packets,
            arrivals,
            spikes,
            length,
        }
    }

    pub fn lost(&self) -> usize {
        let lost = |packet: &&Packet| packet.arrived.is_none();
        self.packets.iter().filter(lost).count()
    }
}

/// How long one packet takes, ms, before rate and order are seen to.
enum Delay {
    /// Evenly between `mean - spread` and `mean + spread`; a share of the last draw is kept.
    Uniform {
        mean: f64,
        spread: f64,
        correlation: f64,
        last: f64,
    },
    Pareto {
        mean: f64,
        spread: f64,
    },
}

impl Delay {
    const fn uniform(mean: f64, spread: f64, correlation: f64) -> Self {
        Self::Uniform {
            mean,
            spread,
            correlation,
            last: 0.5,
        }
    }

    fn draw(&mut self, rng: &mut Rng) -> f64 {
        match self {
            Self::Uniform {
                mean,
                spread,
                correlation,
                last,
            } => {
                *last = *last * *correlation + rng.unit() * (1.0 - *correlation);
                *mean + *spread * (2.0 * *last - 1.0)
            }
            Self::Pareto { mean, spread } => {
                // iproute2's table: shape 3, moved to a mean of 0, and cut off where its 16 bits end.
                let x = ((1.0 - rng.unit()).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0;
                *mean + *spread * x.min(4.0)
            }
        }
    }
}

/// Which packets are lost.
pub enum Loss {
    None,
    Random(f64),
    /// Everything is lost in the bad state.
    Gilbert {
        p: f64,
        r: f64,
        bad: bool,
    },
    Model(Box<Lossgen>),
}

impl Loss {
    pub const fn gilbert(p: f64, r: f64) -> Self {
        Self::Gilbert { p, r, bad: false }
    }

    pub fn draw(&mut self, rng: &mut Rng) -> bool {
        match self {
            Self::None => false,
            Self::Random(share) => rng.chance(*share),
            Self::Gilbert { p, r, bad } => {
                *bad = if *bad {
                    !rng.chance(*r)
                } else {
                    rng.chance(*p)
                };
                *bad
            }
            Self::Model(model) => model.draw(rng),
        }
    }
}

struct Path {
    profile: Profile,
    delay: Delay,
    loss: Loss,
    /// In `Spiky`, from 10 to 20 s.
    worse: (Delay, Loss),
    duplication: f64,
    /// Share of packets that aren't delayed at all, and so overtake others.
    reorder: f64,
    rate_kbps: Option<f64>,
    /// When the newest packet in the queue leaves it; only a path with a rate, or one that stands still, keeps the order.
    queue_end: i64,
}

impl Path {
    fn new(profile: Profile, seed: u64, rng: &mut Rng) -> Self {
        let clean = Delay::uniform(20.0, 0.5, 0.0);
        let (delay, loss) = match profile {
            Profile::Clean | Profile::Drift | Profile::Spikes => (clean, Loss::None),
            Profile::Moderate => (
                Delay::Pareto {
                    mean: 100.0,
                    spread: 25.0,
                },
                Loss::Random(0.05),
            ),
            Profile::International => (
                Delay::Pareto {
                    mean: 250.0,
                    spread: 100.0,
                },
                Loss::gilbert(0.03, 0.25),
            ),
            Profile::Spiky => (Delay::uniform(50.0, 10.0, 0.5), Loss::None),
            Profile::Bursty(percent) => {
                let mean_burst = [1.5, 2.0, 3.0, 4.0][(seed % 4) as usize];
                let share = f64::from(percent) / 100.0;
                let r = 1.0 / mean_burst;
                (clean, Loss::gilbert(share * r / (1.0 - share), r))
            }
            Profile::Lossgen => (
                clean,
                Loss::Model(Box::new(Lossgen::new(LOSSGEN_SHARE, rng))),
            ),
        };
        let international = profile == Profile::International;
        Self {
            profile,
            delay,
            loss,
            worse: (Delay::uniform(100.0, 20.0, 0.5), Loss::gilbert(0.11, 0.25)),
            duplication: if international { 0.02 } else { 0.0 },
            reorder: if international { 0.05 } else { 0.0 },
            rate_kbps: international.then_some(300.0),
            queue_end: 0,
        }
    }

    /// When copies of a packet arrive.
    fn send(&mut self, at: i64, rng: &mut Rng) -> Vec<i64> {
        let worse = self.profile == Profile::Spiky
            && (10 * SECOND..20 * SECOND).contains(&at.rem_euclid(30 * SECOND));
        let loss = if worse {
            &mut self.worse.1
        } else {
            &mut self.loss
        };
        if loss.draw(rng) {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.duplication > 0.0 && rng.chance(self.duplication));
        (0..copies).map(|_| self.transmit(at, worse, rng)).collect()
    }

    fn transmit(&mut self, at: i64, worse: bool, rng: &mut Rng) -> i64 {
        if self.reorder > 0.0 && rng.chance(self.reorder) {
            return at;
        }
        let delay = if worse {
            &mut self.worse.0
        } else {
            &mut self.delay
        };
        let delay = (delay.draw(rng).max(0.0) * MS as f64).round() as i64;
        if let Some(rate_kbps) = self.rate_kbps {
            let wire = (WIRE_BYTES * 8.0 / rate_kbps * MS as f64).round() as i64;
            self.queue_end = self.queue_end.max(at + delay) + wire;
            return self.queue_end;
        }
        if self.profile == Profile::Spikes {
            let within = at.rem_euclid(20 * SECOND) - 10 * SECOND;
            if (0..200 * MS).contains(&within) {
                // Everything arrives when the path moves again, in its order.
                self.queue_end = self.queue_end.max(at - within + 200 * MS + delay);
                return self.queue_end;
            }
        }
        at + delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transits_ms(profile: Profile) -> Vec<f64> {
        let trace = Trace::new(profile, 3, 960, 300 * SECOND);
        let transit = |packet: &Packet| Some((packet.arrived? - packet.sent) as f64 / MS as f64);
        trace.packets.iter().filter_map(transit).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn delays_have_the_moments_of_their_profile() {
        let moderate = transits_ms(Profile::Moderate);
        assert!((mean(&moderate) - 100.0).abs() < 1.0, "{}", mean(&moderate));
        let least = moderate.iter().copied().fold(f64::INFINITY, f64::min);
        let most = moderate.iter().copied().fold(0.0, f64::max);
        assert!((least - 83.3).abs() < 0.2 && (most - 200.0).abs() < 0.2);
        let clean = transits_ms(Profile::Clean);
        assert!(clean.iter().all(|ms| (19.4..20.6).contains(ms)));
    }

    #[test]
    fn losses_have_their_share_and_bursts() {
        for percent in [10, 20, 30, 40, 50] {
            for seed in 0..4 {
                let trace = Trace::new(Profile::Bursty(percent), seed, 960, 3_000 * SECOND);
                let lost = trace.lost() as f64;
                let share = lost / trace.packets.len() as f64;
                assert!(
                    (share - f64::from(percent) / 100.0).abs() < 0.01,
                    "{percent} %, {share}"
                );
                let bursts = trace
                    .packets
                    .windows(2)
                    .filter(|pair| pair[0].arrived.is_some() && pair[1].arrived.is_none())
                    .count() as f64;
                let wanted = [1.5, 2.0, 3.0, 4.0][seed as usize];
                assert!((lost / bursts / wanted - 1.0).abs() < 0.05);
            }
        }
    }

    #[test]
    fn a_path_with_a_rate_keeps_the_order_but_for_those_that_overtake() {
        let trace = Trace::new(Profile::International, 1, 960, 300 * SECOND);
        let overtaking = |&&(at, packet): &&(i64, usize)| at == trace.packets[packet].sent;
        let early = trace.arrivals.iter().filter(overtaking).count() as f64;
        assert!((early / trace.arrivals.len() as f64 - 0.05).abs() < 0.01);
        let queued: Vec<_> = trace.arrivals.iter().filter(|a| !overtaking(a)).collect();
        assert!(queued.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }

    #[test]
    fn the_same_seed_gives_the_same_trace() {
        for profile in Profile::ALL {
            let run = |seed| Trace::new(profile, seed, 960, 15 * SECOND).arrivals;
            assert_eq!(run(5), run(5));
            assert_ne!(run(5), run(6));
        }
    }
}
