//! A buffer of fixed length: packets are played so long after the first one came, or not at all.

use super::{tally::Tally, trace::Trace};

/// So many packets in a row late, and the buffer starts over: clocks have drifted, or the path is another one.
const GIVE_UP: usize = 10;

pub fn run(trace: &Trace, delay: i64) -> Tally {
    let mut tally = Tally::new(trace.length);
    let mut playout: Option<i64> = None;
    let mut gap = 0;
    let mut late = 0;
    for (i, packet) in trace.packets.iter().enumerate() {
        let media = i as i64 * trace.frame;
        let transit = packet.arrived.map(|at| at - media);
        let held = match (playout, transit) {
            (None, None) => continue,
            (None, Some(transit)) => transit + delay,
            (Some(_), Some(transit)) if late >= GIVE_UP => transit + delay,
            (Some(held), _) => held,
        };
        playout = Some(held);
        match transit {
            Some(transit) if transit <= held => {
                if gap > 0 {
                    tally.conceal(gap);
                }
                (gap, late) = (0, 0);
                let at = media + held;
                tally.emit(at, trace.frame, held - transit, at - packet.sent);
            }
            Some(_) => {
                gap += trace.frame;
                late += 1;
                tally.dropped += 1;
            }
            None => gap += trace.frame,
        }
    }
    if gap > 0 {
        tally.conceal(gap);
    }
    tally
}
