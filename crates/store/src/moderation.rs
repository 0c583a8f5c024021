//! Members, what moderators do to them, and what is written down of it.

use std::{fmt, future::Future};

use voxhall_protocol::{
    AuditId, ChannelId, GuildId, MessageId, RoleId, UserId,
    control::{AuditAction, AuditChange, AuditPage, Ban, ServerBan, UnixMs},
};

use crate::{MemberRecord, StoreError};

/// Members of guilds. Each call but [`Members::leave_guild`] and [`Members::saw_address`] is written into the audit log.
pub trait Members: Send + Sync {
    /// # Errors
    /// [`MemberError::NotAMember`]; [`MemberError::IsOwner`]: someone else has to own the guild before.
    fn leave_guild(
        &self,
        guild: GuildId,
        user: UserId,
    ) -> impl Future<Output = Result<(), MemberError>> + Send;

    /// # Errors
    /// [`MemberError::NotAMember`], [`MemberError::NoRole`].
    fn update_member(
        &self,
        guild: GuildId,
        user: UserId,
        update: MemberUpdate,
        act: Act,
    ) -> impl Future<Output = Result<MemberRecord, MemberError>> + Send;

    /// Gives a member one role more, or takes one away. What is so already stays as it is.
    ///
    /// # Errors
    /// [`MemberError::NotAMember`], [`MemberError::NoRole`].
    fn give_role(
        &self,
        guild: GuildId,
        user: UserId,
        role: RoleId,
        given: bool,
        act: Act,
    ) -> impl Future<Output = Result<MemberRecord, MemberError>> + Send;

    /// # Errors
    /// [`MemberError::NotAMember`], [`MemberError::IsOwner`].
    fn kick_member(
        &self,
        guild: GuildId,
        user: UserId,
        act: Act,
    ) -> impl Future<Output = Result<(), MemberError>> + Send;

    /// Members or not, they may not come back. Who is banned already is banned anew.
    ///
    /// # Errors
    /// [`MemberError::NoUser`], [`MemberError::IsOwner`], [`MemberError::TooManyBans`].
    fn ban_member(
        &self,
        guild: GuildId,
        ban: NewBan,
        act: Act,
    ) -> impl Future<Output = Result<(), MemberError>> + Send;

    /// # Errors
    /// [`MemberError::NotBanned`].
    fn unban_member(
        &self,
        guild: GuildId,
        user: UserId,
        act: Act,
    ) -> impl Future<Output = Result<(), MemberError>> + Send;

    /// Silences a member until then, or lets them speak again.
    ///
    /// # Errors
    /// [`MemberError::NotAMember`], [`MemberError::IsOwner`].
    fn time_out_member(
        &self,
        guild: GuildId,
        user: UserId,
        until: Option<UnixMs>,
        act: Act,
    ) -> impl Future<Output = Result<MemberRecord, MemberError>> + Send;

    /// Mutes or deafens a member in all voice channels; None: stays as it is.
    ///
    /// # Errors
    /// [`MemberError::NotAMember`].
    fn moderate_voice(
        &self,
        guild: GuildId,
        user: UserId,
        muted: Option<bool>,
        deafened: Option<bool>,
        act: Act,
    ) -> impl Future<Output = Result<MemberRecord, MemberError>> + Send;

    /// Who may not come back, the last banned first; [`LISTED_BANS`] at most.
    fn guild_bans(
        &self,
        guild: GuildId,
    ) -> impl Future<Output = Result<Vec<Ban>, StoreError>> + Send;

    /// Notes where a user comes from, for bans by address. Forgotten after [`ADDRESS_KEPT_MS`].
    fn saw_address(
        &self,
        user: UserId,
        address: AddressHash,
        now: UnixMs,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What moderators did.
pub trait Audit: Send + Sync {
    /// The newest entries that fit, at most `limit`.
    fn audit_page(
        &self,
        guild: GuildId,
        filter: AuditFilter,
        limit: u32,
    ) -> impl Future<Output = Result<AuditPage, StoreError>> + Send;

    /// Writes down what changed nothing that is stored, such as moving someone to another voice channel.
    fn record_audit(
        &self,
        guild: GuildId,
        record: AuditRecord,
        act: Act,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Networks that may not use the server at all. Who asks for them at every connection keeps them in memory.
pub trait ServerBans: Send + Sync {
    fn server_bans(&self) -> impl Future<Output = Result<Vec<ServerBan>, StoreError>> + Send;

    /// Takes the place of an earlier ban of the same network.
    fn add_server_ban(&self, ban: ServerBan)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// False: it wasn't banned.
    fn remove_server_ban(
        &self,
        network: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Bans of one guild.
pub const MAX_BANS: u32 = 10_000;
/// Of them the newest are listed.
pub const LISTED_BANS: u32 = 500;
/// Where someone came from is known for this long after they were last there.
pub const ADDRESS_KEPT_MS: UnixMs = 30 * 24 * 60 * 60 * 1_000;
/// Addresses that are known of one user.
pub const MAX_ADDRESSES: u32 = 10;
/// Entries of the audit log are kept for a year, and then go as new ones come.
pub const AUDIT_KEPT_MS: UnixMs = 365 * 24 * 60 * 60 * 1_000;

/// Who does something, when, and what for, as it stands in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// None: the server's administrator.
    pub by: Option<UserId>,
    pub reason: String,
    pub now: UnixMs,
}

impl Act {
    /// Without a reason.
    pub fn new(by: UserId, now: UnixMs) -> Self {
        Self {
            by: Some(by),
            reason: String::new(),
            now,
        }
    }

    pub fn because(by: UserId, reason: impl Into<String>, now: UnixMs) -> Self {
        Self {
            by: Some(by),
            reason: reason.into(),
            now,
        }
    }

    pub fn of_administrator(now: UnixMs) -> Self {
        Self {
            by: None,
            reason: String::new(),
            now,
        }
    }
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberUpdate {
    pub nick: Option<Option<String>>,
    /// All but @everyone.
    pub roles: Option<Vec<RoleId>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBan {
    pub user: UserId,
    /// Nobody who comes from where they came from lately may join either.
    pub address: bool,
    /// What they wrote since then is deleted.
    pub delete_since: Option<UnixMs>,
}

/// Where someone comes from, as a keyed hash of the address or network: enough to know it again, and nothing that anyone could read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressHash(pub [u8; 16]);

impl fmt::Debug for AddressHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressHash(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Only older ones.
    pub before: Option<AuditId>,
    pub action: Option<AuditAction>,
    pub by: Option<UserId>,
}

/// An entry of the audit log, but for who did it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub action: AuditAction,
    /// In words that last: a name, `#general`, an invite's code.
    pub target: String,
    pub user: Option<UserId>,
    pub channel: Option<ChannelId>,
    pub message: Option<MessageId>,
    pub changes: Vec<AuditChange>,
}

impl AuditRecord {
    pub fn new(action: AuditAction, target: impl Into<String>) -> Self {
        Self {
            action,
            target: target.into(),
            user: None,
            channel: None,
            message: None,
            changes: Vec::new(),
        }
    }

    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    #[must_use]
    pub fn channel(mut self, channel: ChannelId) -> Self {
        self.channel = Some(channel);
        self
    }

    #[must_use]
    pub fn message(mut self, message: MessageId) -> Self {
        self.message = Some(message);
        self
    }

    /// Notes a field unless it stayed what it was.
    #[must_use]
    pub fn change(
        mut self,
        field: impl Into<String>,
        before: Option<String>,
        after: Option<String>,
    ) -> Self {
        if before != after {
            self.changes.push(AuditChange {
                field: field.into(),
                before,
                after,
            });
        }
        self
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    #[error("not a member")]
    NotAMember,
    #[error("no such user")]
    NoUser,
    #[error("no such role in this guild, or one that isn't given")]
    NoRole,
    #[error("they own the guild")]
    IsOwner,
    #[error("not banned")]
    NotBanned,
    #[error("there are {MAX_BANS} bans already")]
    TooManyBans,
    #[error(transparent)]
    Store(#[from] StoreError),
}
