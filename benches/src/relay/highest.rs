//! The highest rate that each server holds: the speakers send faster from step to step, until too much is lost.

use serde::Serialize;

use super::{Args, measure, most_pps};
use crate::table::{heading, row};

/// Less of what was sent is not held.
const HELD: f64 = 0.999;
/// A rate is lost when so many steps in a row were: one may be the machine's.
const LOST_STEPS: u32 = 2;

/// One server on the way up.
#[derive(Serialize, Default)]
struct Climb {
    /// Frames a second that reached listeners at the highest rate that was held.
    frames_per_s: f64,
    #[serde(skip)]
    lost: u32,
}

impl Climb {
    fn step(&mut self, delivery: f64, frames_per_s: f64) {
        if self.is_over() {
            return;
        }
        if delivery >= HELD {
            self.frames_per_s = self.frames_per_s.max(frames_per_s);
            self.lost = 0;
        } else {
            self.lost += 1;
        }
    }

    fn is_over(&self) -> bool {
        self.lost >= LOST_STEPS
    }
}

#[derive(Serialize)]
struct Highest {
    users: usize,
    channels: usize,
    speakers: usize,
    server: Climb,
    /// Of the server where it was highest; with bundles fewer than frames.
    server_datagrams_per_s: f64,
    bare: Climb,
    mumble: Option<Climb>,
    /// Nothing was lost at the highest rate that a speaker may have: the true highest is higher.
    is_open: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut highest = Highest {
        users: args.users,
        channels: args.channels,
        speakers: args.speakers,
        server: Climb::default(),
        server_datagrams_per_s: 0.0,
        bare: Climb::default(),
        mumble: args.against.map(|_| Climb::default()),
        is_open: false,
    };
    let most = most_pps(args.bytes);
    let mut pps = args.pps;
    loop {
        let (figures, _) = measure(&Args {
            pps,
            ..args.clone()
        })?;
        let before = highest.server.frames_per_s;
        highest
            .server
            .step(figures.delivery, figures.out_frames_per_s);
        if highest.server.frames_per_s > before {
            highest.server_datagrams_per_s = figures.out_datagrams_per_s;
        }
        // It gets the same packets, and sends them one by one.
        let bare = figures.baseline_delivery;
        highest.bare.step(bare, figures.baseline_frames_per_s);
        let mut others = format!("bare forwarder {}", percent(bare));
        if let (Some(climb), Some(mumble)) = (&mut highest.mumble, &figures.mumble) {
            climb.step(mumble.delivery, mumble.out_frames_per_s);
            others += &format!(", Mumble's server {}", percent(mumble.delivery));
        }
        let what = format!("{:.0} frames/s", figures.out_frames_per_s);
        row(
            &format!("{pps} packets/s each"),
            what,
            format!("delivery {}; {others}", percent(figures.delivery)),
        );
        let all_over =
            highest.server.is_over() && highest.mumble.as_ref().is_none_or(Climb::is_over);
        if all_over || pps >= most {
            highest.is_open = highest.server.lost == 0;
            break;
        }
        pps = (pps * 5 / 4).max(pps + 1).min(most);
    }
    print(&highest);
    if args.json {
        println!("{}", serde_json::to_string(&highest)?);
    }
    Ok(())
}

fn print(highest: &Highest) {
    heading(format!(
        "Highest rate with {} % or more delivered: {} users, {} channels, {} speakers in each",
        HELD * 100.0,
        highest.users,
        highest.channels,
        highest.speakers
    ));
    let rate = |climb: &Climb| format!("{:.0} /s", climb.frames_per_s);
    let more = if highest.is_open {
        "; and not yet lost"
    } else {
        ""
    };
    row(
        "frames out",
        rate(&highest.server),
        format!("in {:.0} datagrams/s{more}", highest.server_datagrams_per_s),
    );
    row("bare forwarder", rate(&highest.bare), "a frame a datagram");
    if let Some(mumble) = &highest.mumble {
        let ratio = highest.server.frames_per_s / mumble.frames_per_s;
        row(
            "Mumble's server",
            rate(mumble),
            format!("{ratio:.2} x (goal >= 3 x)"),
        );
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_step_is_not_the_end_and_its_rate_does_not_count() {
        let mut climb = Climb::default();
        for (delivery, frames) in [(1.0, 100.0), (0.9, 180.0), (0.999, 220.0), (0.99, 250.0)] {
            climb.step(delivery, frames);
            assert!(!climb.is_over());
        }
        climb.step(0.5, 200.0);
        assert!(climb.is_over());
        climb.step(1.0, 900.0);
        assert!(climb.is_over(), "it was lost");
        assert_eq!(climb.frames_per_s, 220.0);
    }
}
