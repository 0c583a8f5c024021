//! Every user at once, in one process: they join for real, some speak, all listen.

mod carried;
mod mumble;
mod people;
mod receive;
mod send;
mod user;

use std::io;

use super::talk::{BareAddress, FromLoad, Plan, Report, Seen, Target, read, say};
use people::People;
use receive::Listeners;
use send::Sender;

pub use send::MIN_PAYLOAD;

/// Does what the plan on stdin says.
pub fn run() -> anyhow::Result<()> {
    let mut stdin = io::stdin().lock();
    let plan: Plan = read(&mut stdin)?;
    let listeners = Listeners::start()?;
    let mut people = People::join(&plan, &listeners)?;
    say(&FromLoad::Joined {
        addresses: people.addresses()?,
        joined_s: people.joined_s(),
    })?;
    let BareAddress(bare) = read(&mut stdin)?;

    let mut on_mumble = match &plan.mumble {
        None => None,
        Some(at) => {
            let people = mumble::People::join(&plan, at, &listeners)?;
            say(&FromLoad::JoinedMumble {
                joined_s: people.joined_s(),
            })?;
            let sender = Sender::new(&plan, people.speakers(at.address)?);
            Some((people, sender))
        }
    };

    let mut sender = Sender::new(&plan, people.speakers());
    listeners.expect(sender.expects())?;
    for turn in 0..plan.turns {
        sender.turn(Target::Server, None)?;
        listeners.rest();
        if turn < plan.bare_turns {
            sender.turn(Target::Bare, Some(bare))?;
            listeners.rest();
        }
        if let Some((_, sender)) = &mut on_mumble {
            sender.turn(Target::Mumble, None)?;
            listeners.rest();
        }
    }
    let mut tally = listeners.finish()?;
    let mut oddities = tally.oddities();
    oddities.extend(people.oddities());
    oddities.extend(sender.oddities());
    let mut seen = |sender: &mut Sender, target| {
        let heard = tally.take(target);
        let sent = sender.take(target);
        Seen {
            measured_s: sent.measured.as_secs_f64(),
            sent: sent.packets,
            expected: sent.expected,
            frames: heard.frames,
            datagrams: heard.datagrams,
            bundles: heard.bundles,
            reordered: heard.reordered,
            delay_us: heard.delay(),
            late_us: sent.late(),
        }
    };
    let mumble = on_mumble.as_mut().map(|(people, sender)| {
        oddities.extend(people.oddities());
        oddities.extend(sender.oddities());
        seen(sender, Target::Mumble)
    });
    say(&FromLoad::Done(Box::new(Report {
        server: seen(&mut sender, Target::Server),
        bare: seen(&mut sender, Target::Bare),
        mumble,
        oddities,
    })))
}
