//! Guilds with their channels, roles and members.

use std::future::Future;

use voxhall_protocol::{
    ChannelId, FileId, GuildId, RoleId, UserId,
    control::{AdminGuild, Channel, ChannelKind, ChannelPlace, GuildInfo, Overwrite, Role, UnixMs},
    permissions::Permissions,
};

use crate::{Act, StoreError};

/// Guilds as a whole. What changes one is written into its audit log.
pub trait Guilds: Send + Sync {
    /// The guild that every server has, with an invite to it. The first call makes it; later ones return what was made then, or
    /// another invite, if that one was revoked.
    fn default_guild(
        &self,
        new: NewGuild,
    ) -> impl Future<Output = Result<DefaultGuild, StoreError>> + Send;

    /// All guilds with all their members.
    fn guilds(&self) -> impl Future<Output = Result<Vec<GuildRecord>, StoreError>> + Send;

    /// All guilds in numbers. May take seconds.
    fn list_guilds(&self) -> impl Future<Output = Result<Vec<AdminGuild>, StoreError>> + Send;

    /// Makes a guild with @everyone and a role for moderators; the owner is its first member.
    ///
    /// # Errors
    /// [`GuildError::NoUser`], [`GuildError::TooManyGuilds`].
    fn create_guild(
        &self,
        new: FoundGuild,
    ) -> impl Future<Output = Result<GuildRecord, GuildError>> + Send;

    /// # Errors
    /// [`GuildError::NoGuild`], [`GuildError::NoPicture`].
    fn update_guild(
        &self,
        guild: GuildId,
        update: GuildUpdate,
        act: Act,
    ) -> impl Future<Output = Result<GuildInfo, GuildError>> + Send;

    /// Deletes a guild with everything in it. Its messages and files are removed later.
    ///
    /// # Errors
    /// [`GuildError::NoGuild`], [`GuildError::IsDefault`].
    fn delete_guild(&self, guild: GuildId) -> impl Future<Output = Result<(), GuildError>> + Send;

    /// Makes a member the owner.
    ///
    /// # Errors
    /// [`GuildError::NoGuild`], [`GuildError::NotAMember`].
    fn transfer_guild(
        &self,
        guild: GuildId,
        to: UserId,
        act: Act,
    ) -> impl Future<Output = Result<GuildInfo, GuildError>> + Send;
}

/// Channels of guilds. What changes one is written into the guild's audit log.
pub trait Channels: Send + Sync {
    /// Makes a channel, the last of its category.
    ///
    /// # Errors
    /// [`ChannelError::NoGuild`], [`ChannelError::NoCategory`], [`ChannelError::Nested`], [`ChannelError::TooMany`].
    fn create_channel(
        &self,
        guild: GuildId,
        new: NewChannel,
        category: Option<ChannelId>,
        act: Act,
    ) -> impl Future<Output = Result<Channel, ChannelError>> + Send;

    /// # Errors
    /// [`ChannelError::NoChannel`].
    fn update_channel(
        &self,
        guild: GuildId,
        channel: ChannelId,
        update: ChannelUpdate,
        act: Act,
    ) -> impl Future<Output = Result<Channel, ChannelError>> + Send;

    /// Deletes a channel; its messages are removed later. What is in a category stays, behind all others, and takes over what the
    /// category denied, so that nobody sees more than before.
    ///
    /// # Errors
    /// [`ChannelError::NoChannel`].
    fn delete_channel(
        &self,
        guild: GuildId,
        channel: ChannelId,
        act: Act,
    ) -> impl Future<Output = Result<(), ChannelError>> + Send;

    /// Puts channels in order. Those that are left out follow in their old order.
    ///
    /// # Errors
    /// [`ChannelError::NoChannel`] for one that isn't there or comes twice, [`ChannelError::NoCategory`], [`ChannelError::Nested`].
    fn reorder_channels(
        &self,
        guild: GuildId,
        places: Vec<ChannelPlace>,
        act: Act,
    ) -> impl Future<Output = Result<(), ChannelError>> + Send;

    /// What a role or a member may or may not do in a channel; nothing at all takes the rule away.
    ///
    /// # Errors
    /// [`ChannelError::NoChannel`]; [`ChannelError::NoTarget`]: no such role or member; [`ChannelError::TooManyOverwrites`].
    fn set_overwrite(
        &self,
        guild: GuildId,
        channel: ChannelId,
        overwrite: Overwrite,
        act: Act,
    ) -> impl Future<Output = Result<Channel, ChannelError>> + Send;
}

/// Roles of guilds. What changes one is written into the guild's audit log.
pub trait Roles: Send + Sync {
    /// Makes a role, the lowest above @everyone.
    ///
    /// # Errors
    /// [`RoleError::NoGuild`], [`RoleError::TooMany`].
    fn create_role(
        &self,
        guild: GuildId,
        new: NewRole,
        act: Act,
    ) -> impl Future<Output = Result<Role, RoleError>> + Send;

    /// # Errors
    /// [`RoleError::NoRole`]; [`RoleError::Everyone`]: it keeps its name.
    fn update_role(
        &self,
        guild: GuildId,
        role: RoleId,
        update: RoleUpdate,
        act: Act,
    ) -> impl Future<Output = Result<Role, RoleError>> + Send;

    /// # Errors
    /// [`RoleError::NoRole`], [`RoleError::Everyone`].
    fn delete_role(
        &self,
        guild: GuildId,
        role: RoleId,
        act: Act,
    ) -> impl Future<Output = Result<(), RoleError>> + Send;

    /// Puts all roles but @everyone in order, lowest first.
    ///
    /// # Errors
    /// [`RoleError::NotAll`] where one is missing, unknown or twice in the list.
    fn reorder_roles(
        &self,
        guild: GuildId,
        roles: Vec<RoleId>,
        act: Act,
    ) -> impl Future<Output = Result<(), RoleError>> + Send;
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

/// A guild that a user makes.
pub struct FoundGuild {
    pub name: String,
    pub owner: UserId,
    pub channels: Vec<NewChannel>,
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

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuildUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    /// A picture that whoever does it has uploaded for this.
    pub icon: Option<Option<FileId>>,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelUpdate {
    pub name: Option<String>,
    pub topic: Option<String>,
    pub slow_mode_s: Option<u32>,
    pub retention_days: Option<u32>,
    pub user_limit: Option<u32>,
    pub bitrate_bps: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRole {
    pub name: String,
    pub permissions: Permissions,
    pub color: Option<u32>,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleUpdate {
    pub name: Option<String>,
    pub permissions: Option<Permissions>,
    pub color: Option<Option<u32>>,
    pub hoist: Option<bool>,
    pub mentionable: Option<bool>,
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

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuildError {
    #[error("no such guild")]
    NoGuild,
    #[error("not a member")]
    NotAMember,
    #[error("no such user")]
    NoUser,
    #[error("in as many guilds as one may be")]
    TooManyGuilds,
    #[error("the guild that the server began with stays")]
    IsDefault,
    /// Not uploaded by who wants it, not for this, or not a picture.
    #[error("not a picture that can be taken")]
    NoPicture,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    #[error("no such guild")]
    NoGuild,
    #[error("no such channel in this guild")]
    NoChannel,
    #[error("no such category in this guild")]
    NoCategory,
    #[error("a category is in no category")]
    Nested,
    #[error("no such role or member in this guild")]
    NoTarget,
    #[error("as many channels as there may be")]
    TooMany,
    #[error("as many rules as a channel may have")]
    TooManyOverwrites,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    #[error("no such guild")]
    NoGuild,
    #[error("no such role in this guild")]
    NoRole,
    #[error("@everyone can't be renamed, moved or deleted")]
    Everyone,
    #[error("as many roles as there may be")]
    TooMany,
    #[error("not each role of the guild once")]
    NotAll,
    #[error(transparent)]
    Store(#[from] StoreError),
}
