//! Guilds, channels, roles, members, moderation, invites.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AuditId, ChannelId, FileId, GuildId, RoleId, UserId,
    control::{AuditAction, AuditEntry, Ban, ChannelKind, Explanation, Invite, OverwriteTarget},
    permissions::Permissions,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateGuild {
    pub name: String,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateGuild {
    pub guild_id: GuildId,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    /// An uploaded picture; 0: none.
    #[serde(default)]
    pub icon: Option<FileId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteGuild {
    pub guild_id: GuildId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaveGuild {
    pub guild_id: GuildId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransferGuild {
    pub guild_id: GuildId,
    pub user_id: UserId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateChannel {
    pub guild_id: GuildId,
    pub name: String,
    /// Text, voice, stage or category.
    pub kind: ChannelKind,
    #[serde(default)]
    pub category_id: Option<ChannelId>,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateChannel {
    pub channel_id: ChannelId,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub topic: Option<String>,
    #[serde(default)]
    pub slow_mode_s: Option<u32>,
    #[serde(default)]
    pub retention_days: Option<u32>,
    #[serde(default)]
    pub user_limit: Option<u32>,
    #[serde(default)]
    pub bitrate_bps: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteChannel {
    pub channel_id: ChannelId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReorderChannels {
    pub guild_id: GuildId,
    /// Channels in their new order, each with the category that it goes into; those that are left out keep their places behind.
    pub channels: Vec<ChannelPlace>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelPlace {
    pub channel_id: ChannelId,
    #[serde(default)]
    pub category_id: Option<ChannelId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetOverwrite {
    pub channel_id: ChannelId,
    pub target: OverwriteTarget,
    pub allow: Permissions,
    pub deny: Permissions,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateRole {
    pub guild_id: GuildId,
    pub name: String,
    #[serde(default)]
    pub permissions: Permissions,
    #[serde(default)]
    pub color: Option<u32>,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateRole {
    pub guild_id: GuildId,
    pub role_id: RoleId,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub permissions: Option<Permissions>,
    /// 0xRRGGBB; anything above: the theme's own.
    #[serde(default)]
    pub color: Option<u32>,
    #[serde(default)]
    pub hoist: Option<bool>,
    #[serde(default)]
    pub mentionable: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteRole {
    pub guild_id: GuildId,
    pub role_id: RoleId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReorderRoles {
    pub guild_id: GuildId,
    /// All roles but @everyone, lowest first.
    pub roles: Vec<RoleId>,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateMember {
    pub guild_id: GuildId,
    pub user_id: UserId,
    /// Empty: none.
    #[serde(default)]
    pub nick: Option<String>,
    /// All roles that the member is to have.
    #[serde(default)]
    pub roles: Option<Vec<RoleId>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KickMember {
    pub guild_id: GuildId,
    pub user_id: UserId,
    #[serde(default)]
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BanMember {
    pub guild_id: GuildId,
    pub user_id: UserId,
    #[serde(default)]
    pub reason: String,
    /// Deletes what they wrote in the last so many seconds.
    #[serde(default)]
    pub delete_messages_s: u32,
    /// Refuses whoever comes from the addresses that they came from, too.
    #[serde(default)]
    pub address: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnbanMember {
    pub guild_id: GuildId,
    pub user_id: UserId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeoutMember {
    pub guild_id: GuildId,
    pub user_id: UserId,
    /// Seconds from now, 28 days at most; 0 ends it.
    pub duration_s: u32,
    #[serde(default)]
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListBans {
    pub guild_id: GuildId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BanList {
    pub bans: Vec<Ban>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListAudit {
    pub guild_id: GuildId,
    /// Only entries older than this one.
    #[serde(default)]
    pub before: Option<AuditId>,
    #[serde(default)]
    pub action: Option<AuditAction>,
    /// Only what this user did.
    #[serde(default)]
    pub by: Option<UserId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    pub more: bool,
}

/// About oneself anyone may ask; about others and about roles, who manages roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainPermissions {
    pub guild_id: GuildId,
    /// None: in the guild as a whole.
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    #[serde(flatten)]
    pub of: ExplainFor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExplainFor {
    #[serde(rename = "user_id")]
    User(UserId),
    /// Someone who has this role and no other.
    #[serde(rename = "role_id")]
    Role(RoleId),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    pub permissions: Permissions,
    /// One for each right that makes sense there.
    pub explanations: Vec<Explanation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectInvite {
    pub code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateInvite {
    pub guild_id: GuildId,
    /// Seconds until it expires; none: never.
    #[serde(default)]
    pub expires_in_s: Option<u64>,
    #[serde(default)]
    pub max_uses: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListInvites {
    pub guild_id: GuildId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteList {
    pub invites: Vec<Invite>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokeInvite {
    pub guild_id: GuildId,
    pub code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedeemInvite {
    pub code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redeemed {
    pub guild_id: GuildId,
}
