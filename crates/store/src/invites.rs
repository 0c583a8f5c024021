//! Invite codes and what became of them.

use std::future::Future;

use voxhall_protocol::{
    GuildId, UserId,
    control::{UnixMs, User},
};

use crate::{Act, AddressHash, StoreError};

/// Invite codes and what became of them.
pub trait Invites: Send + Sync {
    /// Makes an invite, and removes those of its creator that have been over for [`INVITE_KEPT_MS`].
    ///
    /// # Errors
    /// [`CreateInviteError::NotAMember`] unless the creator is in the guild; [`CreateInviteError::TooMany`] if the creator has
    /// [`MAX_OPEN_INVITES`] that still work; [`CreateInviteError::TooManyInGuild`].
    fn create_invite(
        &self,
        new: NewInvite,
    ) -> impl Future<Output = Result<(), CreateInviteError>> + Send;

    /// What a code leads to, without using it.
    fn inspect_invite(
        &self,
        code: &str,
        now: UnixMs,
    ) -> impl Future<Output = Result<InviteRecord, InviteError>> + Send;

    /// Makes the user a member (and the owner, if the invite says so) and counts the use. For whom it would change nothing it uses
    /// nothing up, and works even when it is expired or used up: a retried request gets the answer that was lost.
    ///
    /// # Errors
    /// [`InviteError::Banned`] for who is banned, and for who comes `from` where someone banned came from.
    fn redeem_invite(
        &self,
        code: &str,
        user: UserId,
        from: Option<AddressHash>,
        now: UnixMs,
    ) -> impl Future<Output = Result<Joined, InviteError>> + Send;

    /// A guild's invites that still work, newest first, and who came by each.
    fn guild_invites(
        &self,
        guild: GuildId,
        which: WhichInvites,
        now: UnixMs,
    ) -> impl Future<Output = Result<Vec<ListedInvite>, StoreError>> + Send;

    /// Makes an invite useless. False: there is no such one among these.
    fn revoke_invite(
        &self,
        guild: GuildId,
        code: &str,
        which: WhichInvites,
        act: Act,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Open invites of one creator.
pub const MAX_OPEN_INVITES: u32 = 20;
/// Open invites of one guild.
pub const MAX_GUILD_INVITES: u32 = 1_000;
/// An invite that is over is still known for this long, so that who comes late is told what became of it.
pub const INVITE_KEPT_MS: UnixMs = 60 * 60 * 1_000;
/// Of those who came by an invite, the newest are listed.
pub const LISTED_NEWCOMERS: usize = 50;

/// What redeeming an invite changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    pub guild: GuildId,
    /// False: was a member before.
    pub new_member: bool,
    pub became_owner: bool,
}

pub struct NewInvite {
    pub code: String,
    pub guild: GuildId,
    /// None: the server's administrator.
    pub creator: Option<UserId>,
    pub expires_at: Option<UnixMs>,
    pub max_uses: Option<u32>,
    /// Its user becomes the guild's owner; it works once, whatever `max_uses` says.
    pub makes_owner: bool,
    pub now: UnixMs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    pub guild: GuildId,
    pub guild_name: String,
    pub members: u32,
    pub makes_owner: bool,
}

/// Who asks for invites: an invite that makes an owner is the server administrator's business alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichInvites {
    /// Made by this member.
    Of(UserId),
    /// All that make nobody an owner.
    Guild,
    All,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedInvite {
    pub code: String,
    pub creator: Option<User>,
    pub created_at: UnixMs,
    pub expires_at: Option<UnixMs>,
    pub max_uses: Option<u32>,
    pub uses: u32,
    pub makes_owner: bool,
    /// Members who came by it, newest first; [`LISTED_NEWCOMERS`] at most.
    pub came: Vec<User>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Who would join was deleted meanwhile.
    #[error("no such user")]
    NoUser,
    #[error("no such invite")]
    Unknown,
    #[error("the invite has expired")]
    Expired,
    #[error("the invite is used up")]
    UsedUp,
    #[error("the guild is full")]
    GuildFull,
    #[error("in as many guilds as one may be")]
    TooManyGuilds,
    #[error("banned from the guild")]
    Banned,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateInviteError {
    #[error("only members make invites")]
    NotAMember,
    #[error("the creator has too many open invites")]
    TooMany {
        /// When the first of them expires, if any does.
        next_expires_at: Option<UnixMs>,
    },
    #[error("the guild has {MAX_GUILD_INVITES} open invites")]
    TooManyInGuild,
    #[error(transparent)]
    Store(#[from] StoreError),
}
