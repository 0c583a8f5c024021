//! Guilds with their channels, roles and members.

use std::future::Future;

use voxhall_protocol::{
    GuildId, RoleId, UserId,
    control::{Channel, ChannelKind, GuildInfo, Role, UnixMs},
};

use crate::StoreError;

/// Guilds with their channels and members.
pub trait Guilds: Send + Sync {
    /// The guild that every server has. The first call makes it; later ones return what was made then.
    fn default_guild(
        &self,
        new: NewGuild,
    ) -> impl Future<Output = Result<DefaultGuild, StoreError>> + Send;

    /// All guilds with all their members.
    fn guilds(&self) -> impl Future<Output = Result<Vec<GuildRecord>, StoreError>> + Send;
}

pub struct NewGuild {
    pub name: String,
    pub channels: Vec<NewChannel>,
    /// Never expires.
    pub invite_code: String,
    /// Works once, and makes its user the owner.
    pub owner_code: String,
    pub now: UnixMs,
}

pub struct NewChannel {
    pub name: String,
    pub kind: ChannelKind,
    pub bitrate_bps: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultGuild {
    pub id: GuildId,
    pub invite_code: String,
    /// Absent once it was used.
    pub owner_code: Option<String>,
}

/// A guild with everything that the live state holds of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuildRecord {
    pub info: GuildInfo,
    /// @everyone first, then upwards.
    pub roles: Vec<Role>,
    pub channels: Vec<Channel>,
    pub members: Vec<MemberRecord>,
}

/// A member without their presence, which is not stored. Who they are stands in their [`UserRecord`](crate::UserRecord).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    pub user: UserId,
    pub nick: Option<String>,
    /// Without @everyone.
    pub roles: Vec<RoleId>,
    pub joined_at_ms: UnixMs,
    pub timeout_until_ms: Option<UnixMs>,
    pub server_muted: bool,
    pub server_deafened: bool,
}
