//! One user's control connection: as a guest into a voice channel, and there until the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    sync::{Semaphore, mpsc},
    time,
};
use voxhall_protocol::{
    control::{
        ChannelKind, EpochKey, Event, Incoming, JoinVoice, Ping, VoiceGrant, parse_from_server,
    },
    link::Link,
};

use crate::{relay::talk::Plan, wire::Wire};

/// Who joins at once. The server gives keys in batches of 300 ms, so one after the other would take long.
const AT_ONCE: usize = 32;

/// What a user's connection tells.
pub enum Told {
    Joined {
        user: usize,
        /// Voice has the same port number as control.
        server: SocketAddr,
        grant: Box<VoiceGrant>,
    },
    Rekeyed {
        user: usize,
        key: EpochKey,
    },
    Lost {
        user: usize,
        why: String,
    },
}

/// Starts all of them on a thread of their own.
pub fn start_all(plan: &Plan) -> anyhow::Result<mpsc::Receiver<Told>> {
    let link: Link = plan.link.parse()?;
    let (tell, told) = mpsc::channel(plan.users * 8);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (users, channels, bundles) = (plan.users, plan.channels, plan.bundles);
    std::thread::Builder::new()
        .name("load-control".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                for user in 0..users {
                    let person = Person {
                        user,
                        channel: user % channels,
                        bundles,
                        link: link.clone(),
                        tell: tell.clone(),
                        places: Arc::clone(&places),
                    };
                    tokio::spawn(person.live());
                }
                drop(tell);
                std::future::pending::<()>().await;
            });
        })?;
    Ok(told)
}

struct Person {
    user: usize,
    /// Which of the guild's voice channels.
    channel: usize,
    bundles: bool,
    link: Link,
    tell: mpsc::Sender<Told>,
    places: Arc<Semaphore>,
}

impl Person {
    async fn live(self) {
        let Err(why) = self.join_and_stay().await;
        let lost = Told::Lost {
            user: self.user,
            why: format!("{why:#}"),
        };
        let _ = self.tell.send(lost).await;
    }

    async fn join_and_stay(&self) -> anyhow::Result<std::convert::Infallible> {
        let place = self.places.acquire().await?;
        let mut wire = Wire::open(&self.link).await?;
        let credentials = wire
            .guest(&self.link, &format!("load {}", self.user))
            .await?;
        let ready = wire.begin(credentials.access_token).await?;
        let channel = ready
            .guilds
            .iter()
            .flat_map(|guild| &guild.channels)
            .filter(|channel| channel.kind == ChannelKind::Voice)
            .nth(self.channel)
            .context("the server has too few voice channels")?
            .id;
        let grant = wire
            .call(&JoinVoice {
                channel_id: channel,
                muted: false,
                deafened: false,
                bundles: self.bundles,
            })
            .await?;
        let joined = Told::Joined {
            user: self.user,
            server: wire.server(),
            grant: Box::new(grant),
        };
        self.tell.send(joined).await?;
        drop(place);
        let heartbeat = wire.heartbeat();
        self.stay(wire, heartbeat).await
    }

    async fn stay(
        &self,
        mut wire: Wire,
        heartbeat: Duration,
    ) -> anyhow::Result<std::convert::Infallible> {
        let mut beat = time::interval(heartbeat);
        loop {
            let text = tokio::select! {
                text = wire.text() => text?,
                _ = beat.tick() => {
                    wire.send(&Ping {}).await?;
                    continue;
                }
            };
            // Of hundreds of users each hears of all others: only what concerns this one is read at all.
            if !text.contains("voice.rekeyed") && !text.contains("voice.ended") {
                continue;
            }
            match parse_from_server(&text)? {
                Incoming::Event {
                    event: Some(Event::VoiceRekeyed { key, .. }),
                    ..
                } => {
                    let user = self.user;
                    self.tell.send(Told::Rekeyed { user, key }).await?;
                }
                Incoming::Event {
                    event: Some(Event::VoiceEnded { reason, .. }),
                    ..
                } => bail!("the server ended the voice session: {reason:?}"),
                _ => {}
            }
        }
    }
}
