//! Messages, reading, files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ChannelId, FileId, GuildId, MessageId,
    control::{Attachment, Found, Message, UnixMs},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SendMessage {
    pub channel_id: ChannelId,
    /// May be empty if there are attachments.
    pub text: String,
    /// Unique to this message among all of its author's, on whatever device; a retry with the same nonce is stored once.
    pub nonce: String,
    #[serde(default)]
    pub reply_to: Option<MessageId>,
    /// Uploaded by the sender, and not sent before.
    #[serde(default)]
    pub attachments: Vec<FileId>,
}

impl SendMessage {
    pub fn new(channel_id: ChannelId, text: impl Into<String>, nonce: impl Into<String>) -> Self {
        Self {
            channel_id,
            text: text.into(),
            nonce: nonce.into(),
            reply_to: None,
            attachments: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditMessage {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteMessage {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
}

/// The newest page, or the one that one of the options says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListMessages {
    pub channel_id: ChannelId,
    /// Only messages older than this one.
    #[serde(default)]
    pub before: Option<MessageId>,
    /// Only messages newer than this one, the oldest of them.
    #[serde(default)]
    pub after: Option<MessageId>,
    /// This message with some before and behind.
    #[serde(default)]
    pub around: Option<MessageId>,
    /// The first messages sent at that time or later, with some before.
    #[serde(default)]
    pub at_ms: Option<UnixMs>,
}

impl ListMessages {
    /// The newest page.
    pub fn newest(channel_id: ChannelId) -> Self {
        Self {
            channel_id,
            before: None,
            after: None,
            around: None,
            at_ms: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessagePage {
    pub messages: Vec<Message>,
    /// There are older ones.
    pub more: bool,
    /// There are newer ones.
    #[serde(default)]
    pub more_after: bool,
}

/// Words and filters: `from:NAME in:CHANNEL before:2026-11-20 after:2026-11-01 has:file|picture|link`; "quoted words" stand together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchMessages {
    /// In this guild; none: in all conversations.
    #[serde(default)]
    pub guild_id: Option<GuildId>,
    /// Only here.
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    pub query: String,
    /// Only older ones than this: the next page.
    #[serde(default)]
    pub before: Option<MessageId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchPage {
    /// Newest first.
    pub found: Vec<Found>,
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactToMessage {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    /// One emoji.
    pub emoji: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreactToMessage {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub emoji: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinMessage {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnpinMessage {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPins {
    pub channel_id: ChannelId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkRead {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartTyping {
    pub channel_id: ChannelId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BeginUpload {
    pub name: String,
    pub bytes: u64,
    pub purpose: UploadPurpose,
}

/// What a file is for; decides its limits and who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UploadPurpose {
    /// Belongs to a message that is about to be sent there.
    Message(ChannelId),
    /// A profile picture or a guild's icon: a picture, seen by everyone on the server.
    Picture,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upload {
    pub file_id: FileId,
    /// Where the bytes go, from the server's root: `PATCH` with `Upload-Offset`, as in tus 1.0.0.
    pub path: String,
    /// Bytes that the server has by now.
    pub offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadStatus {
    pub file_id: FileId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Uploaded {
    pub offset: u64,
    /// Once all bytes are there and were looked at.
    pub attachment: Option<Attachment>,
}
