//! Stage rooms: opened, found, attended.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use tokio::time::Instant;
use voxhall_protocol::{
    ChannelId,
    control::{
        AcceptStage, BeginStage, EndStage, Event, JoinStage, ListStages, OpenStage, RaiseHand,
        RemoveFromStage, SetStageRole, Stage, StageAccess, StageGone, StageRole, UnixMs,
    },
};
use voxhall_session::{EventHook, Happening, Intent, NoticeLevel, State, VoicePath};

use crate::{
    client::Client,
    device::{FileDevice, FileSound},
    profile::Profile,
};

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Subcommand)]
pub enum StageCommand {
    /// Opens a room, or schedules one.
    Open {
        topic: String,
        /// For those who have its code, and not listed.
        #[arg(long)]
        closed: bool,
        /// Begins in so many seconds, when the host says so.
        #[arg(long, value_name = "SECONDS")]
        in_seconds: Option<u32>,
    },
    /// Begins a scheduled room.
    Begin { room: u64 },
    /// Rooms that go on, and those to come.
    List,
    /// Ends a room of one's own.
    End { room: u64 },
    /// Comes into a room and stays; speaks and decides as soon as it may.
    Join(Join),
}

#[derive(Args)]
pub struct Join {
    /// The room's id, or the code of a closed one.
    room: String,
    #[command(flatten)]
    sound: FileSound,
    /// Speak at once, whether it may or not.
    #[arg(long)]
    unasked: bool,
    /// Raise the hand after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    raise_hand: Option<f32>,
    /// Say yes when asked to speak.
    #[arg(long)]
    accept: bool,
    /// As a host: let everyone speak who raises a hand.
    #[arg(long)]
    admit: bool,
    /// As a host: take NAME out of the room after so many seconds.
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    remove_after: f32,
    /// With --remove: for good.
    #[arg(long, requires = "remove")]
    ban: bool,
}

/// Why the room was left, once the server has said so.
type Gone = Arc<OnceLock<StageGone>>;

impl StageCommand {
    pub async fn run(self, profile: &Profile, json: bool) -> anyhow::Result<()> {
        if let Self::Join(join) = self {
            let gone = Gone::default();
            let client = Client::speaking(profile, json, Some(note(&gone))).await?;
            return join.attend(client, &gone).await;
        }
        let client = Client::come_back(profile, json, None).await?;
        let done = match self {
            Self::Open {
                topic,
                closed,
                in_seconds,
            } => open(&client, topic, closed, in_seconds).await,
            Self::Begin { room } => {
                let begin = BeginStage {
                    channel_id: ChannelId(room),
                };
                show(&client, &client.ask(begin).await?)
            }
            Self::List => {
                let list = client.ask(ListStages {}).await?;
                list.stages
                    .iter()
                    .try_for_each(|stage| show(&client, stage))
            }
            Self::End { room } => {
                let channel_id = ChannelId(room);
                client.tell(EndStage { channel_id }).await
            }
            Self::Join(_) => unreachable!("handled above"),
        };
        client.session.end().await;
        done
    }
}

async fn open(
    client: &Client,
    topic: String,
    closed: bool,
    in_seconds: Option<u32>,
) -> anyhow::Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = UnixMs::try_from(now.as_millis())?;
    let open = OpenStage {
        topic,
        access: if closed {
            StageAccess::Closed
        } else {
            StageAccess::Public
        },
        scheduled_at_ms: in_seconds.map(|seconds| now + i64::from(seconds) * 1_000),
    };
    show(client, &client.ask(open).await?)
}

fn show(client: &Client, stage: &Stage) -> anyhow::Result<()> {
    let state = match stage.started_at_ms {
        Some(_) => format!("{} speak, {} listen", stage.speakers.len(), stage.listeners),
        None => "to come".to_owned(),
    };
    let host = stage.host.shown_name();
    client.show(
        stage,
        format_args!("{} {}: {} ({state})", stage.id, host, stage.topic),
    )
}

fn note(gone: &Gone) -> EventHook {
    let gone = Arc::clone(gone);
    Box::new(move |happening| {
        if let Happening::Event(Event::StageLeft { reason, .. }) = happening {
            // The first is of the room that this is about.
            let _ = gone.set(*reason);
        }
    })
}

/// What the server has against it, or the way there.
fn refusal(state: &State) -> Option<&str> {
    let mut notices = state.notices.iter();
    let warning = notices.find(|notice| notice.level == NoticeLevel::Warning)?;
    Some(&warning.text)
}

impl Join {
    async fn attend(self, client: Client, gone: &Gone) -> anyhow::Result<()> {
        let session = &client.session;
        let device = client.attach(&self.sound)?;
        let join = match self.room.parse() {
            Ok(id) => JoinStage::by_id(ChannelId(id)),
            Err(_) => JoinStage::by_code(&self.room),
        };
        session.send(Intent::JoinStage(join));
        let arrived = session.until(|state| {
            if let Some(words) = refusal(state) {
                return Some(Err(anyhow!(words.to_owned())));
            }
            matches!(state.voice.path, VoicePath::Open(_)).then_some(Ok(()))
        });
        tokio::time::timeout(PATIENCE, arrived)
            .await
            .context("no voice path to the room")??;
        let taken_out = self.stay(&client, &device).await?;
        let recorded_s = self.sound.keep(&device.stop())?;
        // The server's word comes before the room is gone; without it, the server does not know of the room any more.
        let gone = taken_out.then(|| gone.get().copied().unwrap_or(StageGone::Lost));
        client.show(
            &serde_json::json!({ "gone": gone, "recorded_s": recorded_s }),
            format_args!("over: {:?}", gone.unwrap_or(StageGone::Left)),
        )?;
        client.session.end().await;
        Ok(())
    }

    /// Until it is time to leave, or until one is no longer in the room, which it tells.
    async fn stay(&self, client: &Client, device: &FileDevice) -> anyhow::Result<bool> {
        let session = &client.session;
        let began = Instant::now();
        let after = |seconds: f32| began.elapsed() >= Duration::from_secs_f32(seconds.max(0.0));
        let (mut raised, mut removed) = (false, false);
        let mut speaks_since = None;
        let mut told = None;
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                pressed = tokio::signal::ctrl_c() => {
                    pressed.context("can't listen for Ctrl+C")?;
                    return Ok(false);
                }
            }
            let state = session.state();
            let Some(stage) = state.stage.clone() else {
                return Ok(true);
            };
            let standing = &stage.view.standing;
            let shown = (standing.role, stage.view.stage.listeners);
            if told != Some(shown) {
                told = Some(shown);
                client.show(&stage.view, format_args!("{:?}", standing.role))?;
            }
            if speaks_since.is_none() && (self.unasked || standing.role.speaks()) {
                speaks_since = Some(Instant::now());
                device.speak();
            }
            if self.raise_hand.is_some_and(&after) && !raised {
                raised = true;
                client.ask(RaiseHand { raised: true }).await?;
            }
            if self.accept && standing.invited {
                client.ask(AcceptStage {}).await?;
            }
            for user in standing.hands.iter().filter(|_| self.admit) {
                let role = StageRole::Speaker;
                let user_id = user.id;
                client.ask(SetStageRole { user_id, role }).await?;
            }
            if let Some(name) = self
                .remove
                .as_deref()
                .filter(|_| !removed && after(self.remove_after))
            {
                removed = true;
                let user_id = client.user(name).await?;
                let ban = self.ban;
                client.ask(RemoveFromStage { user_id, ban }).await?;
            }
            let over = match self.sound.seconds() {
                Some(stay) => began.elapsed() >= stay,
                None => speaks_since
                    .zip(device.lasts())
                    .is_some_and(|(since, lasts)| since.elapsed() >= lasts),
            };
            if over {
                return Ok(false);
            }
        }
    }
}
