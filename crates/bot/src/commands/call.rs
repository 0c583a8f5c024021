//! Calls: making them, answering them, and what there was.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use voxhall_protocol::{
    CallId, ChannelId,
    control::{CallDirection, CallEntry, CallsFrom, ListCalls, MarkCallsSeen, SetCallsFrom},
};
use voxhall_session::{CallIntent, CallOver, Intent, LastCall, State, VoicePath};

use crate::{
    client::Client,
    device::{FileDevice, FileSound},
    profile::Profile,
    report::{Report, Statistics},
};

/// After hanging up, the server says that the call is over.
const GOODBYE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Subcommand)]
pub enum Calling {
    /// Calls someone, or the group of that name, and talks when they answer.
    Call {
        name: String,
        /// Leave the call that one is in.
        #[arg(long)]
        end_current: bool,
        #[command(flatten)]
        talk: Talk,
    },
    /// Waits for a call and answers it, or comes back to the one it was in.
    PickUp {
        /// Let it ring for so long.
        #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
        after: f32,
        /// Reject it.
        #[arg(long)]
        reject: bool,
        /// Give up when nobody calls within so many seconds.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<f32>,
        #[command(flatten)]
        talk: Talk,
    },
    /// One's calls, newest first; missed ones count as seen then.
    Calls,
    /// Who may call, among those who may write.
    CallsFrom { who: Who },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Who {
    Everyone,
    Friends,
}

#[derive(Args)]
pub struct Talk {
    #[command(flatten)]
    sound: FileSound,
    /// Print statistics of the voice, too.
    #[arg(long)]
    stats: bool,
}

/// What is printed of a call at its end.
#[derive(Serialize)]
struct Ended {
    ended: &'static str,
    /// From its answer on; none: nobody answered.
    talked_s: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Statistics>,
}

impl Calling {
    pub async fn run(self, profile: &Profile, json: bool) -> anyhow::Result<()> {
        match self {
            Self::Call {
                name,
                end_current,
                talk,
            } => {
                let client = Client::speaking(profile, json, None).await?;
                let channel = callee(&client, &name).await?;
                let start = CallIntent::Start {
                    channel,
                    end_current,
                };
                talk.run(client, start).await
            }
            Self::PickUp {
                after,
                reject,
                wait,
                talk,
            } => {
                let client = Client::speaking(profile, json, None).await?;
                let wait = wait.map_or(
                    Duration::from_secs(365 * 24 * 3600),
                    Duration::from_secs_f32,
                );
                let (call, rings) = tokio::select! {
                    found = client.session.until(waiting_call) => found,
                    () = tokio::time::sleep(wait) => bail!("nobody called"),
                };
                if rings {
                    client.show(&serde_json::json!({ "ringing": call }), "it rings")?;
                    tokio::time::sleep(Duration::from_secs_f32(after.max(0.0))).await;
                }
                if reject {
                    client.session.send(Intent::Call(CallIntent::Reject(call)));
                    let over = client
                        .session
                        .until(|state| waiting_call(state).is_none().then_some(()));
                    over.await;
                    client.session.end().await;
                    return Ok(());
                }
                let answer = CallIntent::Answer {
                    call,
                    end_current: true,
                };
                talk.run(client, answer).await
            }
            Self::Calls => list(profile, json).await,
            Self::CallsFrom { who } => {
                let from = match who {
                    Who::Everyone => CallsFrom::Everyone,
                    Who::Friends => CallsFrom::Friends,
                };
                let client = Client::come_back(profile, json, None).await?;
                let told = client.tell(SetCallsFrom { from }).await;
                client.session.end().await;
                told
            }
        }
    }
}

/// One that rings, or one to come back to; and whether it rings.
fn waiting_call(state: &State) -> Option<(CallId, bool)> {
    let rings = state.incoming_call().map(|call| (call.id, true));
    rings.or_else(|| Some((state.own_call()?.id, false)))
}

/// A group by its name, or someone.
async fn callee(client: &Client, name: &str) -> anyhow::Result<ChannelId> {
    let state = client.state();
    let called = |group: &str| group.to_lowercase() == name.to_lowercase();
    let mut groups = state.conversations.values();
    if let Some(group) = groups.find(|it| it.name.as_deref().is_some_and(called)) {
        return Ok(group.id);
    }
    let user = client.user(name).await?;
    client.conversation_with(user).await
}

impl Talk {
    async fn run(self, client: Client, begin: CallIntent) -> anyhow::Result<()> {
        let device = client.attach(&self.sound)?;
        client.session.send(Intent::Call(begin));
        let (last, report) = self.talk(&client, &device).await?;
        let recorded_s = self.sound.keep(&device.stop())?;
        let (ended, talked_s) = match last.map(|last| last.why) {
            None => ("hung_up", None),
            Some(CallOver::Refused { words, .. }) => bail!(words),
            Some(CallOver::Ended { reason, .. }) => (reason.as_str(), report.talked_s),
        };
        let end = Ended {
            ended,
            talked_s,
            stats: self.stats.then(|| report.seen.finish(recorded_s)),
        };
        client.show(&end, format_args!("over: {}", ended.replace('_', " ")))?;
        client.session.end().await;
        if talked_s.is_none() {
            return Err(anyhow!("nobody answered: {}", ended.replace('_', " ")));
        }
        Ok(())
    }

    /// From the first ring to the end; gives how it ended.
    async fn talk(
        &self,
        client: &Client,
        device: &FileDevice,
    ) -> anyhow::Result<(Option<LastCall>, Seen)> {
        let session = &client.session;
        let mut seen = Seen::default();
        let mut told_ringing = false;
        let mut answered: Option<Instant> = None;
        let mut speaking = false;
        let mut hung_up: Option<Instant> = None;
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                pressed = tokio::signal::ctrl_c() => {
                    pressed.context("can't listen for Ctrl+C")?;
                    session.send(Intent::Call(CallIntent::HangUp));
                    hung_up = Some(Instant::now());
                }
            }
            let state = session.state();
            seen.seen.observe(&state, &session.meters());
            if let Some(answered) = answered {
                seen.talked_s = Some(answered.elapsed().as_secs_f32());
            }
            if let Some(last) = &state.calls.last {
                return Ok((Some(last.clone()), seen));
            }
            if hung_up.is_some_and(|at| at.elapsed() > GOODBYE) {
                return Ok((None, seen));
            }
            let Some(call) = state.call_here() else {
                continue;
            };
            if !told_ringing {
                told_ringing = true;
                client.show(&serde_json::json!({ "in_call": call.id }), "calling")?;
            }
            if answered.is_none() && call.answered_at_ms.is_some() {
                answered = Some(Instant::now());
                client.show(&serde_json::json!({ "answered": call.id }), "answered")?;
            }
            let open = matches!(state.voice.path, VoicePath::Open(_));
            if answered.is_some() && open && !speaking {
                speaking = true;
                device.speak();
            }
            let stay = self.sound.seconds().or(device.lasts());
            if hung_up.is_none()
                && let (Some(answered), Some(stay)) = (answered, stay)
                && answered.elapsed() >= stay
            {
                session.send(Intent::Call(CallIntent::HangUp));
                hung_up = Some(Instant::now());
            }
        }
    }
}

#[derive(Default)]
struct Seen {
    seen: Report,
    talked_s: Option<f32>,
}

async fn list(profile: &Profile, json: bool) -> anyhow::Result<()> {
    let client = Client::come_back(profile, json, None).await?;
    let page = client.ask(ListCalls { before: None }).await?;
    for entry in &page.calls {
        client.show(entry, line(entry))?;
    }
    if let Some(newest) = page.calls.first() {
        client.ask(MarkCallsSeen { up_to: newest.id }).await?;
    }
    client.session.end().await;
    Ok(())
}

fn line(entry: &CallEntry) -> String {
    let names: Vec<_> = entry.others.iter().map(|user| user.shown_name()).collect();
    let way = match entry.direction {
        CallDirection::Incoming if entry.missed => "missed from",
        CallDirection::Incoming => "from",
        CallDirection::Outgoing => "to",
    };
    let length = match entry.duration_ms {
        Some(ms) => format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60),
        None => entry.reason.as_str().replace('_', " "),
    };
    format!("{} {way} {}: {length}", entry.id, names.join(", "))
}
