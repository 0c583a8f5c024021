//! One user's control connection: as a guest into a voice channel, and there until the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    sync::{Semaphore, mpsc},
    time,
};
use tokio_tungstenite::tungstenite::Message;
use voxhall_protocol::{
    control::{
        Begin, Call, ChannelKind, EpochKey, Event, Guest, Hello, HelloReply, Incoming, JoinVoice,
        Ping, VoiceGrant, encode_request, parse_from_server,
    },
    limits::{PROTOCOL_MAX, PROTOCOL_MIN},
    link::Link,
};
use voxhall_session::control::{self, Socket};

use crate::relay::talk::Plan;

/// Who joins at once. The server gives keys in batches of 300 ms, so one after the other would take long.
const AT_ONCE: usize = 32;
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

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
        let (socket, server) = control::open(self.link.clone()).await?;
        let mut wire = Wire { socket, next_id: 1 };
        let hello: HelloReply = wire
            .call(&Hello {
                protocol_min: PROTOCOL_MIN,
                protocol_max: PROTOCOL_MAX,
                client: concat!("voxhall-bench/", env!("CARGO_PKG_VERSION")).to_owned(),
            })
            .await?;
        let credentials = wire
            .call(&Guest {
                name: format!("load {}", self.user),
                invite: self.link.code.clone().context("the link has no invite")?,
                device: "voxhall-bench".to_owned(),
            })
            .await?;
        let ready = wire
            .call(&Begin {
                access_token: credentials.access_token,
            })
            .await?;
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
            server,
            grant: Box::new(grant),
        };
        self.tell.send(joined).await?;
        drop(place);
        let heartbeat = Duration::from_millis(hello.heartbeat_ms.into());
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

struct Wire {
    socket: Socket,
    next_id: u64,
}

impl Wire {
    /// Waits for the answer; events before it are of no interest.
    async fn call<C: Call>(&mut self, call: &C) -> anyhow::Result<C::Reply> {
        let id = self.send(call).await?;
        time::timeout(ANSWER_WITHIN, self.answer(id))
            .await
            .with_context(|| format!("{} was not answered", C::METHOD))?
            .with_context(|| format!("{} failed", C::METHOD))
    }

    async fn answer<T: serde::de::DeserializeOwned>(&mut self, wanted: u64) -> anyhow::Result<T> {
        loop {
            match parse_from_server(&self.text().await?)? {
                Incoming::Result { id, result } if id == wanted => {
                    return Ok(serde_json::from_str(result.get())?);
                }
                Incoming::Failed { failure, .. } => bail!("{}", failure.message),
                _ => {}
            }
        }
    }

    async fn send<C: Call>(&mut self, call: &C) -> anyhow::Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let text = encode_request(id, call);
        self.socket.send(Message::text(text)).await?;
        Ok(id)
    }

    async fn text(&mut self) -> anyhow::Result<String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(_))) | None => bail!("the server hung up"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}
