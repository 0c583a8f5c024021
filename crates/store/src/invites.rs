//! Invite codes and what became of them.

use std::future::Future;

use voxhall_protocol::{GuildId, UserId, control::UnixMs};

use crate::StoreError;

/// Invite codes and what became of them.
pub trait Invites: Send + Sync {
    /// Makes an invite, and removes those of its creator that have been over for [`INVITE_KEPT_MS`].
    ///
    /// # Errors
    /// [`CreateInviteError::NotAMember`] unless the creator is in the guild; [`CreateInviteError::TooMany`] if the creator has
    /// [`MAX_OPEN_INVITES`] that still work.
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
    fn redeem_invite(
        &self,
        code: &str,
        user: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<Joined, InviteError>> + Send;
}

/// Open invites of one creator.
pub const MAX_OPEN_INVITES: u32 = 20;
/// An invite that is over is still known for this long, so that who comes late is told what became of it.
pub const INVITE_KEPT_MS: UnixMs = 60 * 60 * 1_000;

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
    pub creator: UserId,
    pub expires_at: Option<UnixMs>,
    pub max_uses: Option<u32>,
    pub now: UnixMs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    pub guild: GuildId,
    pub guild_name: String,
    pub members: u32,
    pub makes_owner: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    #[error("no such invite")]
    Unknown,
    #[error("the invite has expired")]
    Expired,
    #[error("the invite is used up")]
    UsedUp,
    #[error("the guild is full")]
    GuildFull,
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
    #[error(transparent)]
    Store(#[from] StoreError),
}
