//! What the control plane spends on a crowd in one channel. Prints figures:
//! `cargo test --release -p voxhall-server --lib live::tests::crowd -- --ignored --nocapture`

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use voxhall_relay::Routes;

use super::*;
use crate::{
    gateway::{Next, Outbox},
    hub::Hub,
};

const MEASURED: u64 = 20;

#[test]
#[ignore = "prints figures, takes a minute in a release build"]
fn a_join_where_many_are() {
    for people in [100, 1_000, 10_000] {
        let guild = GuildRecord {
            info: info(None),
            roles: vec![role(EVERYONE, 0, Permissions::DEFAULT_EVERYONE)],
            channels: vec![Channel::new(LOUNGE, "c", ChannelKind::Voice)],
            members: (1..=people + MEASURED).map(member).collect(),
        };
        let world = World {
            users: (1..=people + MEASURED).map(record).collect(),
            guilds: vec![guild],
            ..World::default()
        };
        let hub = Hub::new(
            world,
            Routes::new().0,
            None,
            tokio::sync::mpsc::channel(1).0,
        );
        let outboxes: Vec<_> = (1..=people + MEASURED)
            .map(|id| {
                let outbox = Arc::new(Outbox::default());
                let connection = hub.open(&outbox);
                let ready = hub.begin(connection, UserId(id), DeviceId(id)).unwrap();
                hub.ready(connection, 1, &ready).unwrap();
                (connection, outbox)
            })
            .collect();
        for (n, (connection, _)) in outboxes[..people as usize].iter().enumerate() {
            join(&hub, *connection);
            if n % 20 == 0 {
                drain(&outboxes);
            }
        }
        let [mut joining, mut rekeying] = [Duration::ZERO; 2];
        let [mut joins, mut keys] = [Told::default(); 2];
        for (connection, _) in &outboxes[people as usize..] {
            std::thread::sleep(REKEY_EVERY);
            drain(&outboxes);
            // The one before has left its key due.
            let start = Instant::now();
            hub.act(|live, now, out| live.tick(now, out));
            rekeying += start.elapsed();
            keys.add(drain(&outboxes));
            let start = Instant::now();
            join(&hub, *connection);
            joining += start.elapsed();
            joins.add(drain(&outboxes));
        }
        let each = |time: Duration| time.as_secs_f64() * 1e3 / MEASURED as f64;
        println!(
            "{people} people: a join {:.2} ms, {} texts, {} KiB; its keys {:.2} ms, {} texts, {} KiB",
            each(joining),
            joins.texts / MEASURED,
            joins.bytes / MEASURED / 1_024,
            each(rekeying),
            keys.texts / MEASURED,
            keys.bytes / MEASURED / 1_024
        );
    }
}

fn join(hub: &Hub, connection: ConnectionId) {
    let join = JoinVoice {
        channel_id: LOUNGE,
        muted: false,
        deafened: false,
        bundles: true,
    };
    hub.act(|live, now, out| live.join_voice(connection, 2, join, now, out));
}

/// How much all were told.
#[derive(Clone, Copy, Default)]
struct Told {
    texts: u64,
    bytes: u64,
}

impl Told {
    fn add(&mut self, more: Self) {
        self.texts += more.texts;
        self.bytes += more.bytes;
    }
}

/// As the connections' tasks do.
fn drain(outboxes: &[(ConnectionId, Arc<Outbox>)]) -> Told {
    let mut context = Context::from_waker(Waker::noop());
    let mut told = Told::default();
    for (_, outbox) in outboxes {
        while let Poll::Ready(next) = pin!(outbox.next()).poll(&mut context) {
            match next {
                Next::Text(text) => {
                    told.texts += 1;
                    told.bytes += text.len() as u64;
                }
                Next::End(end) => panic!("a connection was ended: {end:?}"),
            }
        }
    }
    told
}
