//! Staying: telling what happens, and answering.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Subcommand;
use regex::Regex;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use voxhall_protocol::{
    ChannelId, MessageId,
    control::{Event, Message, Request, SendMessage},
};
use voxhall_session::{Answer, Connection, EventHook, Happening, Intent, Tag};

use super::text::{line, nonce};
use crate::{client::Client, profile::Profile};

/// Messages that may wait for an answer; more at once go unanswered, and that is said.
const QUEUE: usize = 256;

#[derive(Subcommand)]
pub enum Live {
    /// Prints every event as one JSON object a line, until it is ended. Reconnects by itself.
    Listen {
        /// Ends after so many seconds.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Answers messages of others until it is ended: the simplest bot there is.
    Answer {
        /// Regular expression for the messages to answer.
        #[arg(long)]
        when: Regex,
        /// The answer; $0 is what was found, $1 its first group.
        #[arg(long)]
        say: String,
        /// Only here, not everywhere.
        #[arg(long)]
        channel: Option<String>,
        /// Ends after so many answers.
        #[arg(long, value_name = "N")]
        times: Option<u64>,
    },
    /// Any request there is, by its name and its parameters as JSON.
    Ask {
        /// As in docs/protocol/reference.md.
        method: String,
        #[arg(default_value = "{}")]
        params: String,
    },
}

impl Live {
    pub async fn run(self, profile: &Profile, json: bool) -> anyhow::Result<()> {
        match self {
            Self::Listen { seconds } => listen(profile, json, seconds).await,
            Self::Answer {
                when,
                say,
                channel,
                times,
            } => {
                let rule = Rule { when, say };
                answer(profile, json, &rule, channel.as_deref(), times).await
            }
            Self::Ask { method, params } => ask(profile, json, &method, params).await,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    event: &'a str,
    #[serde(flatten)]
    fields: Option<&'a Event>,
}

async fn listen(profile: &Profile, json: bool, seconds: Option<u64>) -> anyhow::Result<()> {
    let on_event: EventHook = Box::new(|happening| {
        let line = match happening {
            Happening::Synced => Line {
                event: "synced",
                fields: None,
            },
            // Keys of voice channels are nobody's but the participants', and their terminals'.
            Happening::Event(Event::VoiceRekeyed { .. }) => return,
            Happening::Event(event) => Line {
                event: event.method(),
                fields: Some(event),
            },
        };
        if let Ok(line) = serde_json::to_string(&line) {
            println!("{line}");
        }
    });
    let client = Client::come_back(profile, json, Some(on_event)).await?;
    let stay = Duration::from_secs(seconds.unwrap_or(365 * 24 * 3600));
    let signed_out = client.session.until(|state| match &state.connection {
        Connection::Failed(problem)
        | Connection::NeedsIdentity {
            problem: Some(problem),
            ..
        } => Some(anyhow!("{problem}")),
        _ => None,
    });
    let ended = tokio::select! {
        problem = signed_out => Err(problem),
        () = tokio::time::sleep(stay) => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.context("can't listen for Ctrl+C"),
    };
    client.session.end().await;
    ended
}

struct Rule {
    when: Regex,
    say: String,
}

impl Rule {
    fn answer_to(&self, text: &str) -> Option<String> {
        let found = self.when.captures(text)?;
        let mut said = String::new();
        found.expand(&self.say, &mut said);
        Some(said)
    }
}

async fn answer(
    profile: &Profile,
    json: bool,
    rule: &Rule,
    channel: Option<&str>,
    times: Option<u64>,
) -> anyhow::Result<()> {
    let (messages, mut queue) = mpsc::channel::<Message>(QUEUE);
    let on_event: EventHook = Box::new(move |happening| {
        if let Happening::Event(Event::MessageCreated { message, .. }) = happening
            && messages.try_send(message.clone()).is_err()
        {
            eprintln!(
                "voxhall-bot: too many messages at once; {} is not answered",
                message.id
            );
        }
    });
    let client = Client::come_back(profile, json, Some(on_event)).await?;
    let only: Option<ChannelId> = match channel {
        Some(name) => Some(client.channel(name).await?),
        None => None,
    };
    let me = client.state().me.as_ref().context("not signed in")?.id;
    let mut left = times.unwrap_or(u64::MAX);
    while left > 0 {
        let message = tokio::select! {
            Some(message) = queue.recv() => message,
            pressed = tokio::signal::ctrl_c() => {
                pressed.context("can't listen for Ctrl+C")?;
                break;
            }
        };
        // Two bots that answer each other never end; so it answers nobody whose message answers one.
        let wanted = message.author.id != me
            && message.reply_to.is_none()
            && only.is_none_or(|channel| channel == message.channel_id);
        let Some(said) = rule.answer_to(&message.text).filter(|_| wanted) else {
            continue;
        };
        let mut send = SendMessage::new(message.channel_id, said, nonce()?);
        send.reply_to = Some(MessageId(message.id.0));
        match client.ask(send).await {
            Ok(sent) => {
                left -= 1;
                client.show(&sent, line(&sent))?;
            }
            Err(error) => eprintln!("voxhall-bot: can't answer {}: {error}", message.id),
        }
    }
    client.session.end().await;
    Ok(())
}

async fn ask(profile: &Profile, json: bool, method: &str, params: String) -> anyhow::Result<()> {
    let params = RawValue::from_string(params).context("the parameters are not JSON")?;
    let request = Request::parse(method, Some(&params))?;
    let client = Client::come_back(profile, json, None).await?;
    let tag = Tag(client.session.fresh_id());
    client.session.send(Intent::Ask {
        tag: Some(tag),
        request,
    });
    let answer = client.session.until(|state| match state.answers.get(&tag) {
        None | Some(Answer::Waiting) => None,
        Some(answer) => Some(answer.clone()),
    });
    let answer = answer.await;
    client.session.end().await;
    match answer {
        Answer::Done(reply) => {
            println!("{}", serde_json::to_string(&reply)?);
            Ok(())
        }
        Answer::Failed(error) => Err(error.into()),
        Answer::Waiting => Err(anyhow!("no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_answers_with_what_it_found() {
        let rule = Rule {
            when: Regex::new(r"(?i)hello,? (\w+)").unwrap(),
            say: "hi, I am $1".to_owned(),
        };
        assert_eq!(
            rule.answer_to("Hello bot!").as_deref(),
            Some("hi, I am bot")
        );
        assert_eq!(rule.answer_to("good night"), None);
    }
}
