//! Messages and what belongs to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{UnixMs, User};
use crate::{ChannelId, FileId, MessageId, RoleId, UserId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub id: MessageId,
    pub channel_id: ChannelId,
    pub author: User,
    /// Markdown. Mentions stand in it as `<@12>` (user), `<@&5>` (role) and `@everyone`.
    pub text: String,
    pub sent_at_ms: UnixMs,
    /// The sender's own mark; lets the sending client match what it sent.
    pub nonce: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at_ms: Option<UnixMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Replied>,
    /// Whom it mentions, as the server read it.
    #[serde(default, skip_serializing_if = "Mentions::is_empty")]
    pub mentions: Mentions,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

impl Message {
    pub fn new(
        id: MessageId,
        channel_id: ChannelId,
        author: User,
        text: impl Into<String>,
        sent_at_ms: UnixMs,
        nonce: impl Into<String>,
    ) -> Self {
        Self {
            id,
            channel_id,
            author,
            text: text.into(),
            sent_at_ms,
            nonce: nonce.into(),
            edited_at_ms: None,
            reply_to: None,
            mentions: Mentions::default(),
            attachments: Vec::new(),
            reactions: Vec::new(),
            pinned: false,
        }
    }
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replied {
    pub id: MessageId,
    /// None: it was deleted.
    pub author: Option<User>,
    /// Its beginning.
    pub excerpt: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Mentions {
    #[serde(default)]
    pub users: Vec<UserId>,
    #[serde(default)]
    pub roles: Vec<RoleId>,
    #[serde(default)]
    pub everyone: bool,
}

impl Mentions {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    pub emoji: String,
    pub count: u32,
    /// Whoever asked reacted so too.
    pub me: bool,
}

/// An uploaded file. Its bytes are at `/files/ID` and the small picture at `/files/ID/thumbnail`, for who may see the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    pub id: FileId,
    pub name: String,
    pub bytes: u64,
    /// As the server found it in the bytes themselves.
    pub media_type: String,
    /// Of a picture that the server could read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PictureSize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PictureSize {
    pub width: u32,
    pub height: u32,
    /// A thumbnail was made.
    pub thumbnail: bool,
}

/// How far someone has read a channel, the same on all their devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadState {
    pub channel_id: ChannelId,
    /// The newest message they have read; none: nothing.
    pub last_read: Option<MessageId>,
    /// The newest message there is.
    pub last_message: Option<MessageId>,
    /// Messages behind `last_read`, by others; counted up to 1,000.
    pub unread: u32,
    /// Those of them that mention the reader.
    pub mentions: u32,
}

/// A conversation between people: [`Direct`](super::ChannelKind::Direct) with one other, or a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversation {
    pub id: ChannelId,
    pub kind: super::ChannelKind,
    /// A group may have a name.
    #[serde(default)]
    pub name: Option<String>,
    /// Who may take people out of a group.
    #[serde(default)]
    pub owner_id: Option<UserId>,
    /// Everyone in it, the reader included.
    pub members: Vec<ConversationMember>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationMember {
    pub user: User,
    pub presence: super::Presence,
}

/// A message that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    pub message: Message,
    /// Where in the text the words stand: from and up to, in characters.
    pub highlights: Vec<(u32, u32)>,
}
