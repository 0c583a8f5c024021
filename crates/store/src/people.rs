//! How people stand to each other, and their conversations.

use voxhall_protocol::{ChannelId, UserId, control::ChannelKind};

/// A conversation as the live state holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRecord {
    pub id: ChannelId,
    /// Direct or group.
    pub kind: ChannelKind,
    pub name: Option<String>,
    pub owner: Option<UserId>,
    pub members: Vec<UserId>,
}
