//! The least mean playout delay that any algorithm could have had which changes its delay between talkspurts only, knows the whole
//! trace, and plays as many packets too late: Moon, Kurose, Towsley, "Packet audio playout delay adjustment: performance bounds and
//! algorithms", Multimedia Systems 6 (1998). Found by dynamic programming over talkspurts and late packets.

use super::trace::{MS, Trace};

/// The bound in both of the measures that algorithms are held against it with, ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// From arrival to emission.
    pub delay_ms: f64,
    /// From sending to emission.
    pub playout_ms: f64,
}

/// `starts`: the packets that talkspurts begin with.
pub fn bound(trace: &Trace, starts: &[usize], late: usize) -> Bound {
    let mut spurts: Vec<Vec<i64>> = Vec::new();
    for (i, packet) in trace.packets.iter().enumerate() {
        if spurts.is_empty() || starts.binary_search(&i).is_ok() {
            spurts.push(Vec::new());
        }
        let transit = packet.arrived.map(|at| at - packet.sent);
        spurts.last_mut().expect("one was pushed").extend(transit);
    }
    for spurt in &mut spurts {
        spurt.sort_unstable();
    }
    let played: usize = spurts
        .iter()
        .map(Vec::len)
        .sum::<usize>()
        .saturating_sub(late);
    let mean_ms = |sum: i64| sum as f64 / played.max(1) as f64 / MS as f64;
    Bound {
        delay_ms: mean_ms(least(&spurts, late, |spurt, kept, held| {
            held * kept as i64 - spurt[..kept].iter().sum::<i64>()
        })),
        playout_ms: mean_ms(least(&spurts, late, |_, kept, held| held * kept as i64)),
    }
}

/// The least sum of costs over all talkspurts with `late` late packets in all. The cost of one is told by its transits in order, how
/// many are kept, and the delay with which these are played.
fn least(spurts: &[Vec<i64>], late: usize, cost: impl Fn(&[i64], usize, i64) -> i64) -> i64 {
    let mut best = vec![i64::MAX; late + 1];
    best[0] = 0;
    let mut before = 0;
    for spurt in spurts {
        let costs: Vec<i64> = (0..=spurt.len().min(late))
            .map(|dropped| match spurt.len() - dropped {
                0 => 0,
                kept => cost(spurt, kept, spurt[kept - 1]),
            })
            .collect();
        let mut next = vec![i64::MAX; late + 1];
        for (used, &sum) in best.iter().enumerate().take(before + 1) {
            if sum == i64::MAX {
                continue;
            }
            for (dropped, cost) in costs.iter().enumerate().take(late - used + 1) {
                let entry = &mut next[used + dropped];
                *entry = (*entry).min(sum + cost);
            }
        }
        before = (before + spurt.len()).min(late);
        best = next;
    }
    best.into_iter().min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::trace::Packet;
    use super::*;

    fn trace(transits_ms: &[i64]) -> Trace {
        let packets: Vec<Packet> = transits_ms
            .iter()
            .enumerate()
            .map(|(i, ms)| Packet {
                sent: i as i64 * 960,
                arrived: (*ms >= 0).then_some(i as i64 * 960 + ms * MS),
            })
            .collect();
        Trace {
            frame: 960,
            length: packets.len() as i64 * 960,
            packets,
            arrivals: Vec::new(),
            spikes: Vec::new(),
        }
    }

    #[test]
    fn it_is_what_can_be_counted_by_hand() {
        let trace = trace(&[10, 12, 50, 11, 20, -1, 22, 30]);
        let starts = [0, 4];
        // No packet late: 50 ms for four packets, 30 ms for three.
        let none = bound(&trace, &starts, 0);
        assert!((none.playout_ms - (4.0 * 50.0 + 3.0 * 30.0) / 7.0).abs() < 1e-9);
        assert!((none.delay_ms - (40.0 + 38.0 + 39.0 + 10.0 + 8.0) / 7.0).abs() < 1e-9);
        // One: the slowest of the first talkspurt.
        let one = bound(&trace, &starts, 1);
        assert!((one.playout_ms - (3.0 * 12.0 + 3.0 * 30.0) / 6.0).abs() < 1e-9);
        // Two: that of the second as well.
        let two = bound(&trace, &starts, 2);
        assert!((two.playout_ms - (3.0 * 12.0 + 2.0 * 22.0) / 5.0).abs() < 1e-9);
    }

    #[test]
    fn no_choice_of_one_delay_for_all_is_better() {
        use super::super::trace::{Profile, SECOND};
        let trace = Trace::new(Profile::Moderate, 1, 960, 60 * SECOND);
        let starts: Vec<usize> = (0..trace.packets.len()).step_by(100).collect();
        let mut transits: Vec<i64> = trace
            .packets
            .iter()
            .filter_map(|packet| Some(packet.arrived? - packet.sent))
            .collect();
        transits.sort_unstable();
        for late in [0, 10, 100] {
            let one_for_all = transits[transits.len() - 1 - late] as f64 / MS as f64;
            let bound = bound(&trace, &starts, late);
            println!("{late} late: {bound:?}, one for all {one_for_all}");
            assert!(bound.playout_ms <= one_for_all);
            assert!(bound.playout_ms > 0.5 * one_for_all);
        }
    }
}
