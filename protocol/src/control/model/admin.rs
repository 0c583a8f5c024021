//! What the server's administrators see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Role, UnixMs, User};
use crate::GuildId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerStats {
    pub version: String,
    pub uptime_s: u64,
    /// Voice is forwarded; where it is not, only a new start helps.
    #[serde(default)]
    pub voice_running: bool,
    pub users: u64,
    pub guests: u64,
    pub guilds: u64,
    pub messages: u64,
    pub attachments: u64,
    pub attachment_bytes: u64,
    pub database_bytes: u64,
    pub connections: u32,
    pub online_users: u32,
    pub voice_sessions: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminUser {
    pub user: User,
    pub is_admin: bool,
    pub suspended: bool,
    pub created_at_ms: UnixMs,
    pub last_seen_ms: Option<UnixMs>,
    pub devices: u32,
    pub online: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminGuild {
    pub id: GuildId,
    pub name: String,
    pub owner: Option<User>,
    pub members: u32,
    pub channels: u32,
    pub messages: u64,
    pub created_at_ms: UnixMs,
    #[serde(default)]
    pub roles: Vec<Role>,
}

/// Who may not use this server at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerBan {
    /// An address or a network such as `203.0.113.0/24`.
    pub network: String,
    pub reason: String,
    pub at_ms: UnixMs,
    pub until_ms: Option<UnixMs>,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backup {
    /// Where on the server.
    pub path: String,
    pub bytes: u64,
    pub took_ms: u64,
}
