//! Many sessions in one guild, who read what one of them writes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{sync::Semaphore, task::JoinSet, time};
use voxhall_protocol::{
    ChannelId,
    control::{ChannelKind, Event, Incoming, Ping, Ready, SendMessage, parse_from_server},
    link::Link,
};

use super::Tally;
use crate::wire::Wire;

/// Who comes in at once.
const AT_ONCE: usize = 32;
/// Below what one user may write for long.
const WRITES_EVERY: Duration = Duration::from_millis(250);
/// After the last coming in or the last message: everything has arrived and settled.
const CALM: Duration = Duration::from_secs(2);

pub struct Crowd {
    readers: Vec<Wire>,
    channel: ChannelId,
}

impl Crowd {
    /// Returns when all are there and have read that the others are.
    pub async fn gather(invite: &Link, readers: usize) -> anyhow::Result<Self> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut coming = JoinSet::new();
        for reader in 0..readers {
            let (invite, places) = (invite.clone(), Arc::clone(&places));
            coming.spawn(async move {
                let _place = places.acquire_owned().await?;
                let mut wire = Wire::open(&invite).await?;
                let credentials = wire.guest(&invite, &format!("reader {reader}")).await?;
                let ready = wire.begin(credentials.access_token).await?;
                // Reads from now on, so that nobody is cut off for reading too slowly while the others come.
                let reading = tokio::spawn(async move {
                    let quiet = read_until_quiet(&mut wire).await;
                    quiet.map(|()| wire)
                });
                anyhow::Ok((reading, ready))
            });
        }
        let mut reading = Vec::with_capacity(readers);
        let mut channel = None;
        while let Some(came) = coming.join_next().await {
            let (task, ready) = came??;
            channel = channel.or_else(|| text_channel(&ready));
            reading.push(task);
        }
        let mut wires = Vec::with_capacity(readers);
        for task in reading {
            wires.push(task.await??);
        }
        Ok(Self {
            readers: wires,
            channel: channel.context("the guild has no text channel")?,
        })
    }

    /// One more comes and writes; returns how long each copy was under way.
    pub async fn read_along(
        self,
        invite: &Link,
        how_long: Duration,
    ) -> anyhow::Result<(Vec<Duration>, Tally)> {
        let mut writer = Wire::open(invite).await?;
        let credentials = writer.guest(invite, "writer").await?;
        writer.begin(credentials.access_token).await?;
        let channel = self.channel;
        let until = Instant::now() + how_long;
        let ends = until + CALM;
        let began = Instant::now();
        let mut readers = JoinSet::new();
        for wire in self.readers {
            readers.spawn(read_numbered(wire, channel, ends));
        }
        let mut sent_at = Vec::new();
        let mut beat = time::interval(WRITES_EVERY);
        while Instant::now() < until {
            beat.tick().await;
            let number = sent_at.len();
            sent_at.push(Instant::now());
            let message =
                SendMessage::new(channel, number.to_string(), format!("fan-out {number}"));
            writer.call(&message).await?;
        }
        let mut waits = Vec::new();
        let mut tally = Tally::default();
        while let Some(read) = readers.join_next().await {
            let arrivals: Vec<(usize, Instant)> = read??;
            let mut counts = vec![0; sent_at.len()];
            for (number, at) in arrivals {
                let (Some(count), Some(sent)) = (counts.get_mut(number), sent_at.get(number))
                else {
                    continue;
                };
                *count += 1;
                waits.push(at - *sent);
            }
            tally.add(Tally::of(&counts, sent_at.len()));
        }
        anyhow::ensure!(began.elapsed() >= how_long, "the clock went backwards");
        Ok((waits, tally))
    }
}

pub fn text_channel(ready: &Ready) -> Option<ChannelId> {
    let mut channels = ready.guilds.iter().flat_map(|guild| &guild.channels);
    channels
        .find(|channel| channel.kind == ChannelKind::Text)
        .map(|channel| channel.id)
}

async fn read_until_quiet(wire: &mut Wire) -> anyhow::Result<()> {
    while let Ok(text) = time::timeout(CALM, wire.text()).await {
        text?;
    }
    Ok(())
}

async fn read_numbered(
    mut wire: Wire,
    channel: ChannelId,
    ends: Instant,
) -> anyhow::Result<Vec<(usize, Instant)>> {
    let mut arrivals = Vec::new();
    let mut beat = time::interval(wire.heartbeat());
    loop {
        let text = tokio::select! {
            text = wire.text() => text?,
            _ = beat.tick() => {
                wire.send(&Ping {}).await?;
                continue;
            }
            () = time::sleep_until(ends.into()) => return Ok(arrivals),
        };
        let at = Instant::now();
        if let Incoming::Event {
            event: Some(Event::MessageCreated { message, .. }),
            ..
        } = parse_from_server(&text)?
            && message.channel_id == channel
            && let Ok(number) = message.text.parse()
        {
            arrivals.push((number, at));
        }
    }
}
