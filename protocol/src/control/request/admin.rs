//! The whole server, for its administrators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    GuildId, RoleId, SecretText, UserId,
    control::{AdminGuild, AdminUser, ServerBan},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminStats {}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct AdminListUsers {
    /// Part of a name; empty: everyone.
    #[serde(default)]
    pub query: String,
    #[serde(default)]
    pub after: Option<UserId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminUserPage {
    pub users: Vec<AdminUser>,
    pub more: bool,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminUpdateUser {
    pub user_id: UserId,
    #[serde(default)]
    pub suspended: Option<bool>,
    #[serde(default)]
    pub is_admin: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminCreateUser {
    pub name: String,
    pub password: SecretText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminDeleteUser {
    pub user_id: UserId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminSignOut {
    pub user_id: UserId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminResetPassword {
    pub user_id: UserId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewPassword {
    pub password: SecretText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminListGuilds {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminGuildList {
    pub guilds: Vec<AdminGuild>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminDeleteGuild {
    pub guild_id: GuildId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminSetGuildOwner {
    pub guild_id: GuildId,
    pub user_id: UserId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminGiveRole {
    pub guild_id: GuildId,
    pub user_id: UserId,
    pub role_id: RoleId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminTakeRole {
    pub guild_id: GuildId,
    pub user_id: UserId,
    pub role_id: RoleId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminListInvites {
    pub guild_id: GuildId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminCreateInvite {
    pub guild_id: GuildId,
    #[serde(default)]
    pub expires_in_s: Option<u64>,
    #[serde(default)]
    pub max_uses: Option<u32>,
    /// Its user becomes the guild's owner; works once.
    #[serde(default)]
    pub makes_owner: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminRevokeInvite {
    pub guild_id: GuildId,
    pub code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminListBans {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerBanList {
    pub bans: Vec<ServerBan>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminBan {
    /// An address or a network such as `203.0.113.0/24`.
    pub network: String,
    #[serde(default)]
    pub reason: String,
    /// Seconds until it ends; none: never.
    #[serde(default)]
    pub duration_s: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminUnban {
    pub network: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminBackup {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminRotateKeys {
    /// Access tokens signed with the old key end now, not when they expire.
    #[serde(default)]
    pub at_once: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdminDrain {
    /// For who is connected.
    #[serde(default)]
    pub reason: String,
}
