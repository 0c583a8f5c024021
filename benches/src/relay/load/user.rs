//! One user's control connection: as a guest into a voice channel, and there until the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    sync::{Mutex, Semaphore, mpsc, watch},
    time,
};
use voxhall_protocol::{
    ChannelId, UserId,
    control::{
        ChannelKind, EpochKey, Event, Incoming, JoinStage, JoinVoice, OpenStage, Ping, RaiseHand,
        Ready, SetStageRole, StageAccess, StageRole, VoiceGrant, parse_from_server,
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
    let stage = plan.stage.then(|| Arc::new(Stage::new(plan.speakers)));
    std::thread::Builder::new()
        .name("load-control".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                for user in 0..users {
                    let person = Person {
                        user,
                        channel: user % channels,
                        stage: stage.clone(),
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

/// The stage room where all of them meet: the first one opens it, and lets the next ones speak.
struct Stage {
    speakers: usize,
    room: watch::Sender<Option<ChannelId>>,
    raise: mpsc::Sender<UserId>,
    raised: Mutex<mpsc::Receiver<UserId>>,
}

impl Stage {
    fn new(speakers: usize) -> Self {
        let (raise, raised) = mpsc::channel(speakers);
        Self {
            speakers,
            room: watch::Sender::new(None),
            raise,
            raised: Mutex::new(raised),
        }
    }

    /// Comes in as host, speaker or listener.
    async fn attend(&self, user: usize, wire: &mut Wire, me: UserId) -> anyhow::Result<ChannelId> {
        if user == 0 {
            let open = OpenStage {
                topic: "Load".to_owned(),
                access: StageAccess::Public,
                scheduled_at_ms: None,
            };
            let room = wire.call(&open).await?.id;
            wire.call(&JoinStage::by_id(room)).await?;
            self.room.send_replace(Some(room));
            let mut raised = self.raised.lock().await;
            for _ in 1..self.speakers {
                let speaker = SetStageRole {
                    user_id: raised.recv().await.context("nobody raises a hand")?,
                    role: StageRole::Speaker,
                };
                wire.call(&speaker).await?;
            }
            return Ok(room);
        }
        let mut room = self.room.subscribe();
        let room = room.wait_for(Option::is_some).await?.context("opened")?;
        wire.call(&JoinStage::by_id(room)).await?;
        if user < self.speakers {
            wire.call(&RaiseHand { raised: true }).await?;
            self.raise.send(me).await?;
        }
        Ok(room)
    }
}

struct Person {
    user: usize,
    /// Which of the guild's voice channels.
    channel: usize,
    /// Where they meet instead.
    stage: Option<Arc<Stage>>,
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
        let channel = match &self.stage {
            Some(stage) => stage.attend(self.user, &mut wire, ready.me.id).await?,
            None => self.guild_channel(&ready)?,
        };
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

    fn guild_channel(&self, ready: &Ready) -> anyhow::Result<ChannelId> {
        let channels = ready.guilds.iter().flat_map(|guild| &guild.channels);
        let mut voice = channels.filter(|channel| channel.kind == ChannelKind::Voice);
        let channel = voice.nth(self.channel);
        Ok(channel.context("the server has too few voice channels")?.id)
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
