//! Voice channels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ChannelId, GuildId, UserId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinVoice {
    pub channel_id: ChannelId,
    #[serde(default)]
    pub muted: bool,
    #[serde(default)]
    pub deafened: bool,
    /// The client understands bundles (several voice packets in one datagram).
    #[serde(default)]
    pub bundles: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaveVoice {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateVoice {
    pub muted: bool,
    pub deafened: bool,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModerateVoice {
    pub guild_id: GuildId,
    pub user_id: UserId,
    #[serde(default)]
    pub muted: Option<bool>,
    #[serde(default)]
    pub deafened: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoveVoice {
    pub guild_id: GuildId,
    pub user_id: UserId,
    /// To this voice channel.
    pub channel_id: ChannelId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisconnectVoice {
    pub guild_id: GuildId,
    pub user_id: UserId,
}
