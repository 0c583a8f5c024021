//! Guilds, their channels, roles, members and what moderators see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Presence, UnixMs, User};
use crate::{
    AuditId, ChannelId, FileId, GuildId, MessageId, RoleId, SenderIndex, Ssrc, UserId,
    permissions::Permissions,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Text,
    Voice,
    /// Few speak, many listen.
    Stage,
    /// Holds other channels, and rights for all of them.
    Category,
    /// Between two people; of no guild.
    Direct,
    /// Between a few people; of no guild.
    Group,
}

impl ChannelKind {
    /// Messages are written there.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Direct | Self::Group)
    }

    /// People speak there.
    pub fn is_voice(self) -> bool {
        matches!(self, Self::Voice | Self::Stage)
    }
}

/// A channel of a guild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    pub id: ChannelId,
    pub name: String,
    pub kind: ChannelKind,
    /// Order within its category, or among what has none.
    pub position: u32,
    #[serde(default)]
    pub category_id: Option<ChannelId>,
    #[serde(default)]
    pub topic: String,
    /// Seconds that a member waits between messages; 0: none.
    #[serde(default)]
    pub slow_mode_s: u32,
    /// Days after which messages are deleted; 0: never.
    #[serde(default)]
    pub retention_days: u32,
    /// How many may be in a voice channel; 0: no limit of its own.
    #[serde(default)]
    pub user_limit: u32,
    /// Opus bitrate for this voice channel, bits per second; 0 where nobody speaks.
    #[serde(default)]
    pub bitrate_bps: u32,
    #[serde(default)]
    pub overwrites: Vec<Overwrite>,
}

impl Channel {
    pub fn new(id: ChannelId, name: impl Into<String>, kind: ChannelKind) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            position: 0,
            category_id: None,
            topic: String::new(),
            slow_mode_s: 0,
            retention_days: 0,
            user_limit: 0,
            bitrate_bps: if kind.is_voice() { 64_000 } else { 0 },
            overwrites: Vec::new(),
        }
    }
}

/// What a channel or category allows or denies to a role or a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overwrite {
    pub target: OverwriteTarget,
    pub allow: Permissions,
    pub deny: Permissions,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OverwriteTarget {
    Role(RoleId),
    Member(UserId),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    pub id: RoleId,
    pub name: String,
    /// 0xRRGGBB; none: the theme's own.
    #[serde(default)]
    pub color: Option<u32>,
    /// Higher stands above lower; 0 is @everyone, which every member has and which can't be given, moved or deleted.
    pub position: u32,
    pub permissions: Permissions,
    /// Its members are listed apart from the others.
    #[serde(default)]
    pub hoist: bool,
    /// Anyone may mention it.
    #[serde(default)]
    pub mentionable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    pub user: User,
    #[serde(default)]
    pub nick: Option<String>,
    /// Without @everyone, which all have.
    #[serde(default)]
    pub roles: Vec<RoleId>,
    #[serde(default)]
    pub joined_at_ms: UnixMs,
    #[serde(default)]
    pub timeout_until_ms: Option<UnixMs>,
    /// Muted by a moderator in every voice channel of the guild.
    #[serde(default)]
    pub server_muted: bool,
    #[serde(default)]
    pub server_deafened: bool,
    #[serde(default)]
    pub presence: Presence,
}

impl Member {
    /// Someone offline, without roles.
    pub fn new(user: User) -> Self {
        Self {
            user,
            nick: None,
            roles: Vec::new(),
            joined_at_ms: 0,
            timeout_until_ms: None,
            server_muted: false,
            server_deafened: false,
            presence: Presence::default(),
        }
    }

    /// What to call someone in this guild.
    pub fn shown_name(&self) -> &str {
        self.nick.as_deref().unwrap_or(self.user.shown_name())
    }
}

/// Someone in a voice channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoiceState {
    pub channel_id: ChannelId,
    pub user_id: UserId,
    pub ssrc: Ssrc,
    pub sender_index: SenderIndex,
    /// By themselves.
    pub muted: bool,
    pub deafened: bool,
    /// By a moderator, or because they may not speak here.
    #[serde(default)]
    pub suppressed: bool,
    #[serde(default)]
    pub server_deafened: bool,
    pub speaking: bool,
}

/// A guild as one member sees it: channels that they may not view are not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guild {
    pub id: GuildId,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub icon: Option<FileId>,
    pub owner_id: Option<UserId>,
    /// @everyone first, then upwards.
    #[serde(default)]
    pub roles: Vec<Role>,
    pub channels: Vec<Channel>,
    pub members: Vec<Member>,
    pub voice: Vec<VoiceState>,
}

/// What can be changed of a guild itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuildInfo {
    pub id: GuildId,
    pub name: String,
    pub description: String,
    pub icon: Option<FileId>,
    pub owner_id: Option<UserId>,
}

/// Someone who may not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ban {
    pub user: User,
    pub by: Option<User>,
    pub reason: String,
    pub at_ms: UnixMs,
    /// Whoever comes from the addresses that this user came from is refused too.
    pub address: bool,
}

/// What a moderator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at_ms: UnixMs,
    /// None: the server's administrator, or someone who is gone.
    pub by: Option<User>,
    pub action: AuditAction,
    /// To whom or what, in words that last: a name, `#general`, an invite's code.
    pub target: String,
    #[serde(default)]
    pub target_user_id: Option<UserId>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    #[serde(default)]
    pub message_id: Option<MessageId>,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub changes: Vec<AuditChange>,
}

/// One field, before and after, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditChange {
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

named_enum! {
    pub enum AuditAction {
        GuildCreated = "guild_created",
        GuildUpdated = "guild_updated",
        OwnerChanged = "owner_changed",
        ChannelCreated = "channel_created",
        ChannelUpdated = "channel_updated",
        ChannelDeleted = "channel_deleted",
        OverwriteChanged = "overwrite_changed",
        RoleCreated = "role_created",
        RoleUpdated = "role_updated",
        RoleDeleted = "role_deleted",
        MemberUpdated = "member_updated",
        MemberRolesChanged = "member_roles_changed",
        MemberKicked = "member_kicked",
        MemberBanned = "member_banned",
        MemberUnbanned = "member_unbanned",
        MemberTimedOut = "member_timed_out",
        VoiceMuted = "voice_muted",
        VoiceDeafened = "voice_deafened",
        VoiceMoved = "voice_moved",
        VoiceDisconnected = "voice_disconnected",
        MessageDeleted = "message_deleted",
        MessagePinned = "message_pinned",
        MessageUnpinned = "message_unpinned",
        InviteCreated = "invite_created",
        InviteRevoked = "invite_revoked",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invite {
    pub code: String,
    /// The whole link, with the address and pin the server knows of itself.
    pub link: String,
    pub expires_at_ms: Option<UnixMs>,
    pub max_uses: Option<u32>,
    pub uses: u32,
    #[serde(default)]
    pub created_by: Option<User>,
    #[serde(default)]
    pub created_at_ms: UnixMs,
    /// Members who came by it, newest first; where the list was asked for.
    #[serde(default)]
    pub came: Vec<User>,
}

/// What an invite leads to, shown before anyone joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvitePreview {
    pub server_name: String,
    pub guild_name: String,
    pub members: u32,
    pub online: u32,
    /// Redeeming it makes its user the guild's owner; works once.
    pub makes_owner: bool,
    /// Guests are let in.
    #[serde(default = "yes")]
    pub guests: bool,
}

fn yes() -> bool {
    true
}

/// Why a member may or may not do one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    pub permission: Permissions,
    pub allowed: bool,
    /// Every rule that speaks of it, in the order in which they count; the last one decided.
    pub because: Vec<String>,
}
