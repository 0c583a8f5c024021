//! People in guilds of ten who write as fast as they are answered, and as they may.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{sync::Semaphore, task::JoinSet, time};
use voxhall_protocol::{
    ChannelId, MessageId,
    control::{
        ChannelKind, CreateGuild, CreateInvite, Event, FailureKind, Incoming, Message, SendMessage,
        parse_from_server,
    },
    link::Link,
};

use super::Tally;
use crate::wire::Wire;

const GUILD_OF: usize = 10;
const AT_ONCE: usize = 16;
const CALM: Duration = Duration::from_secs(2);

pub struct Writers(Vec<Writer>);

struct Writer {
    wire: Wire,
    channel: ChannelId,
    number: usize,
}

#[derive(Default)]
pub struct Written {
    pub acknowledged: u64,
    pub rate_limited: u64,
    /// From sending to the answer.
    pub waits: Vec<Duration>,
    pub tally: Tally,
}

/// What one writer saw.
struct Log {
    channel: ChannelId,
    /// The answer's id, and how long it took.
    acknowledged: Vec<(MessageId, Duration)>,
    rate_limited: u64,
    seen: HashMap<MessageId, u32>,
}

impl Writers {
    /// One of every ten makes a guild, where the nine others come.
    pub async fn gather(invite: &Link, users: usize) -> anyhow::Result<Self> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut coming = JoinSet::new();
        for first in (0..users).step_by(GUILD_OF) {
            let (invite, places) = (invite.clone(), Arc::clone(&places));
            let numbers = first..users.min(first + GUILD_OF);
            coming.spawn(async move {
                let _place = places.acquire_owned().await?;
                guild_of(&invite, numbers).await
            });
        }
        let mut writers = Vec::with_capacity(users);
        while let Some(came) = coming.join_next().await {
            writers.extend(came??);
        }
        Ok(Self(writers))
    }

    pub async fn write(self, how_long: Duration) -> anyhow::Result<Written> {
        let until = Instant::now() + how_long;
        let mut writing = JoinSet::new();
        for writer in self.0 {
            writing.spawn(writer.write(until));
        }
        let mut logs = Vec::new();
        while let Some(log) = writing.join_next().await {
            logs.push(log??);
        }
        let mut written = Written::default();
        let mut of_channel: HashMap<ChannelId, Vec<MessageId>> = HashMap::new();
        for log in &logs {
            written.rate_limited += log.rate_limited;
            written.acknowledged += log.acknowledged.len() as u64;
            for (id, wait) in &log.acknowledged {
                written.waits.push(*wait);
                of_channel.entry(log.channel).or_default().push(*id);
            }
        }
        for log in &logs {
            let sent = of_channel.get(&log.channel).map_or(&[][..], Vec::as_slice);
            let counts: Vec<u32> = sent
                .iter()
                .map(|id| log.seen.get(id).copied().unwrap_or(0))
                .collect();
            written.tally.add(Tally::of(&counts, sent.len()));
        }
        Ok(written)
    }
}

async fn guild_of(invite: &Link, numbers: std::ops::Range<usize>) -> anyhow::Result<Vec<Writer>> {
    let (mut wire, number) = (Wire::open(invite).await?, numbers.start);
    let credentials = wire.guest(invite, &format!("writer {number}")).await?;
    wire.begin(credentials.access_token).await?;
    let guild = wire
        .call(&CreateGuild {
            name: format!("bench {number}"),
        })
        .await?;
    let own_invite = wire
        .call(&CreateInvite {
            guild_id: guild.id,
            expires_in_s: None,
            max_uses: None,
        })
        .await?;
    let link: Link = own_invite.link.parse().context("the invite's link")?;
    let channel = guild
        .channels
        .iter()
        .find(|channel| channel.kind == ChannelKind::Text)
        .context("the guild has no text channel")?
        .id;
    let mut writers = vec![Writer {
        wire,
        channel,
        number,
    }];
    for number in numbers.skip(1) {
        let mut wire = Wire::open(&link).await?;
        let credentials = wire.guest(&link, &format!("writer {number}")).await?;
        wire.begin(credentials.access_token).await?;
        writers.push(Writer {
            wire,
            channel,
            number,
        });
    }
    Ok(writers)
}

impl Writer {
    async fn write(mut self, until: Instant) -> anyhow::Result<Log> {
        let mut log = Log {
            channel: self.channel,
            acknowledged: Vec::new(),
            rate_limited: 0,
            seen: HashMap::new(),
        };
        let mut count = 0;
        while Instant::now() < until {
            let text = format!("message {count} of {}", self.number);
            let nonce = format!("{}-{count}", self.number);
            let sent_at = Instant::now();
            let id = self
                .wire
                .send(&SendMessage::new(self.channel, text, nonce))
                .await?;
            let seen = &mut log.seen;
            match self
                .wire
                .answer::<Message>(id, |text| note(text, seen))
                .await?
            {
                Ok(message) => {
                    log.acknowledged.push((message.id, sent_at.elapsed()));
                    count += 1;
                }
                Err(failure) if failure.kind() == FailureKind::RateLimited => {
                    log.rate_limited += 1;
                    let wait = failure.data.retry_after_ms.unwrap_or(100);
                    let go_on = Instant::now() + Duration::from_millis(wait);
                    self.read_until(go_on.min(until), &mut log.seen).await?;
                }
                Err(failure) => anyhow::bail!("a message was refused: {failure}"),
            }
        }
        self.read_until(until + CALM, &mut log.seen).await?;
        Ok(log)
    }

    async fn read_until(
        &mut self,
        until: Instant,
        seen: &mut HashMap<MessageId, u32>,
    ) -> anyhow::Result<()> {
        while let Ok(text) = time::timeout_at(until.into(), self.wire.text()).await {
            note(&text?, seen);
        }
        Ok(())
    }
}

fn note(text: &str, seen: &mut HashMap<MessageId, u32>) {
    if let Ok(Incoming::Event {
        event: Some(Event::MessageCreated { message, .. }),
        ..
    }) = parse_from_server(text)
    {
        *seen.entry(message.id).or_default() += 1;
    }
}
