//! Writing and reading.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Subcommand;
use voxhall_protocol::{
    FileId, MessageId,
    control::{
        Attachment, DeleteMessage, EditMessage, ListMessages, ListPins, MarkRead, Message,
        PinMessage, ReactToMessage, SearchMessages, SendMessage, UnpinMessage, UnreactToMessage,
        UploadPurpose,
    },
};
use voxhall_session::{Intent, TransferId, TransferProgress};

use crate::client::Client;

#[derive(Subcommand)]
pub enum Text {
    /// Writes a message.
    Say {
        channel: String,
        #[arg(default_value = "")]
        text: String,
        /// Id of the message that this answers.
        #[arg(long, value_name = "ID")]
        reply: Option<u64>,
        /// Sends a file along; may be given several times.
        #[arg(long, value_name = "FILE")]
        attach: Vec<PathBuf>,
    },
    /// Writes to someone directly.
    Dm {
        name: String,
        text: String,
    },
    /// Prints a page of messages, oldest first, or what a search finds.
    Read {
        channel: String,
        /// Only messages older than this one.
        #[arg(long, value_name = "ID")]
        before: Option<u64>,
        /// Only messages newer than this one.
        #[arg(long, value_name = "ID", conflicts_with = "before")]
        after: Option<u64>,
        /// This message with some around it.
        #[arg(long, value_name = "ID", conflicts_with_all = ["before", "after"])]
        around: Option<u64>,
        /// Words and filters: from:NAME before:2026-11-20 has:file "words together".
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
        /// Marks it all as read.
        #[arg(long)]
        mark: bool,
    },
    /// Changes a message of one's own.
    Edit {
        channel: String,
        message: u64,
        text: String,
    },
    Delete {
        channel: String,
        message: u64,
    },
    React {
        channel: String,
        message: u64,
        emoji: String,
        /// Takes the reaction back.
        #[arg(long)]
        remove: bool,
    },
    /// Pins a message, or lists the pinned ones.
    Pin {
        channel: String,
        message: Option<u64>,
        #[arg(long)]
        remove: bool,
    },
    /// Gets an attachment by its id.
    Download {
        file: u64,
        to: PathBuf,
        #[arg(long)]
        thumbnail: bool,
    },
}

impl Text {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::Say {
                channel,
                text,
                reply,
                attach,
            } => {
                let channel_id = client.channel(&channel).await?;
                let mut send = SendMessage::new(channel_id, text, nonce()?);
                send.reply_to = reply.map(MessageId);
                for path in attach {
                    let purpose = UploadPurpose::Message(channel_id);
                    send.attachments
                        .push(upload(client, &path, purpose).await?.id);
                }
                let message = client.ask(send).await?;
                client.show(&message, format!("sent as {}", message.id))
            }
            Self::Dm { name, text } => {
                let user = client.user(&name).await?;
                let channel_id = client.conversation_with(user).await?;
                let message = client
                    .ask(SendMessage::new(channel_id, text, nonce()?))
                    .await?;
                client.show(&message, format!("sent as {}", message.id))
            }
            Self::Read {
                channel,
                search: Some(query),
                before,
                ..
            } => {
                let channel_id = client.channel(&channel).await?;
                let search = SearchMessages {
                    guild_id: client.state().guild_of(channel_id).map(|guild| guild.id),
                    channel_id: Some(channel_id),
                    query,
                    before: before.map(MessageId),
                };
                for found in client.ask(search).await?.found {
                    client.show(&found, line(&found.message))?;
                }
                Ok(())
            }
            Self::Read {
                channel,
                before,
                after,
                around,
                mark,
                ..
            } => {
                let channel_id = client.channel(&channel).await?;
                let list = ListMessages {
                    before: before.map(MessageId),
                    after: after.map(MessageId),
                    around: around.map(MessageId),
                    ..ListMessages::newest(channel_id)
                };
                let messages = client.ask(list).await?.messages;
                for message in &messages {
                    client.show(message, line(message))?;
                }
                if let Some(newest) = messages.last().filter(|_| mark) {
                    let message_id = newest.id;
                    client
                        .ask(MarkRead {
                            channel_id,
                            message_id,
                        })
                        .await?;
                }
                Ok(())
            }
            Self::Edit {
                channel,
                message,
                text,
            } => {
                let channel_id = client.channel(&channel).await?;
                let message_id = MessageId(message);
                client
                    .tell(EditMessage {
                        channel_id,
                        message_id,
                        text,
                    })
                    .await
            }
            Self::Delete { channel, message } => {
                let channel_id = client.channel(&channel).await?;
                let message_id = MessageId(message);
                client
                    .tell(DeleteMessage {
                        channel_id,
                        message_id,
                    })
                    .await
            }
            Self::React {
                channel,
                message,
                emoji,
                remove,
            } => {
                let channel_id = client.channel(&channel).await?;
                let message_id = MessageId(message);
                if remove {
                    client
                        .tell(UnreactToMessage {
                            channel_id,
                            message_id,
                            emoji,
                        })
                        .await
                } else {
                    client
                        .tell(ReactToMessage {
                            channel_id,
                            message_id,
                            emoji,
                        })
                        .await
                }
            }
            Self::Pin {
                channel,
                message: None,
                ..
            } => {
                let channel_id = client.channel(&channel).await?;
                for message in client.ask(ListPins { channel_id }).await?.messages {
                    client.show(&message, line(&message))?;
                }
                Ok(())
            }
            Self::Pin {
                channel,
                message: Some(message),
                remove,
            } => {
                let channel_id = client.channel(&channel).await?;
                let message_id = MessageId(message);
                if remove {
                    client
                        .tell(UnpinMessage {
                            channel_id,
                            message_id,
                        })
                        .await
                } else {
                    client
                        .tell(PinMessage {
                            channel_id,
                            message_id,
                        })
                        .await
                }
            }
            Self::Download {
                file,
                to,
                thumbnail,
            } => {
                let transfer = TransferId(client.session.fresh_id());
                client.session.send(Intent::Download {
                    transfer,
                    file: FileId(file),
                    thumbnail,
                    to: to.clone(),
                });
                match finished(client, transfer).await {
                    TransferProgress::Failed(why) => bail!(why),
                    _ => client.show(
                        &serde_json::json!({"saved": to}),
                        format!("saved {}", to.display()),
                    ),
                }
            }
        }
    }
}

/// Sends a file, for whatever is to be done with it then.
pub async fn upload(
    client: &Client,
    path: &Path,
    purpose: UploadPurpose,
) -> anyhow::Result<Attachment> {
    let transfer = TransferId(client.session.fresh_id());
    client.session.send(Intent::Upload {
        transfer,
        purpose,
        path: path.to_owned(),
    });
    match finished(client, transfer).await {
        TransferProgress::Uploaded(attachment) => Ok(attachment),
        TransferProgress::Failed(why) => bail!("{}: {why}", path.display()),
        _ => Err(anyhow!("{} did not go up", path.display())),
    }
}

async fn finished(client: &Client, transfer: TransferId) -> TransferProgress {
    let ended = |progress: &TransferProgress| {
        !matches!(
            progress,
            TransferProgress::Waiting | TransferProgress::Moving { .. }
        )
    };
    let look = |state: &voxhall_session::State| {
        let progress = &state.transfers.get(&transfer)?.progress;
        ended(progress).then(|| progress.clone())
    };
    client.session.until(look).await
}

/// Unique among all that this user ever sends.
pub fn nonce() -> anyhow::Result<String> {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let process = std::process::id();
    Ok(format!(
        "bot-{:x}-{process:x}-{}",
        now.as_nanos(),
        NEXT.fetch_add(1, Relaxed)
    ))
}

pub fn line(message: &Message) -> String {
    let reactions: String = message
        .reactions
        .iter()
        .map(|it| format!(" {}{}", it.emoji, it.count))
        .collect();
    let files: String = message
        .attachments
        .iter()
        .map(|it| format!(" [{} {}]", it.id, it.name))
        .collect();
    let edited = if message.edited_at_ms.is_some() {
        " (edited)"
    } else {
        ""
    };
    format!(
        "{} {}: {}{edited}{files}{reactions}",
        message.id, message.author.name, message.text
    )
}
