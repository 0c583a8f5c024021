//! What must survive a restart of the server: accounts, guilds, invites, messages and settings.
//!
//! One trait per concern; [`SqliteStore`] implements them all. Whatever a call acknowledges is committed. Time, codes and hashes are
//! arguments: a store rolls no dice and reads no clock.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod change;
mod error;
mod model;
mod sqlite;

use std::future::Future;

pub use change::Change;
pub use error::StoreError;
pub use model::*;
pub use sqlite::{OpenError, SqliteStore};
use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, MessageId, UserId,
    control::{Message, MessagePage, UnixMs, User},
};

/// All concerns at once: what a server needs.
pub trait Store: Accounts + Guilds + Invites + Messages + Settings {}
impl<T: Accounts + Guilds + Invites + Messages + Settings> Store for T {}

/// Who there is, and on which devices they are signed in.
pub trait Accounts: Send + Sync {
    /// Makes a user with a first device and, by an invite, a first guild: all of it or nothing.
    fn sign_up(&self, new: SignUp) -> impl Future<Output = Result<SignedUp, SignUpError>> + Send;

    /// The account of that name, upper and lower case being the same. Guests are never found.
    fn account_by_name(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<Account>, StoreError>> + Send;

    /// Signs out the least recently seen device of a user who has [`MAX_DEVICES`] already.
    fn add_device(
        &self,
        user: UserId,
        device: NewDevice,
    ) -> impl Future<Output = Result<DeviceId, StoreError>> + Send;

    /// Whose refresh token it is, by its SHA-256; notes that the device was seen.
    fn device_by_token(
        &self,
        token_sha256: [u8; 32],
        now: UnixMs,
    ) -> impl Future<Output = Result<Option<(User, DeviceId)>, StoreError>> + Send;

    /// Who is signed in on that device; none: it was signed out.
    fn device_user(
        &self,
        device: DeviceId,
    ) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;

    fn remove_device(
        &self,
        device: DeviceId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

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

/// Text messages.
pub trait Messages: Send + Sync {
    /// Stores a message once: a nonce that its author has used before gives the message stored then.
    ///
    /// # Errors
    /// [`PostError::NonceReused`] where that one is another message.
    fn post_message(
        &self,
        new: NewMessage,
    ) -> impl Future<Output = Result<Posted, PostError>> + Send;

    /// The newest messages older than `before`, at most `limit`, oldest of them first.
    fn message_page(
        &self,
        reader: UserId,
        channel: ChannelId,
        before: Option<MessageId>,
        limit: u32,
    ) -> impl Future<Output = Result<MessagePage, PostError>> + Send;
}

/// Small values under a name, such as signing keys.
pub trait Settings: Send + Sync {
    /// The stored value; if there is none, stores the given one.
    fn setting_or_insert(
        &self,
        key: &str,
        value: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignUpError {
    #[error("the name is taken")]
    NameTaken,
    #[error(transparent)]
    Invite(#[from] InviteError),
    #[error(transparent)]
    Store(#[from] StoreError),
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

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// There is no such channel, or none that this user may see.
    #[error("no such channel")]
    NoChannel,
    #[error("not a text channel")]
    NotText,
    /// Its author has used the nonce for another text or channel.
    #[error("the nonce belongs to another message")]
    NonceReused,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The message as sent back to its author, or told to the others.
pub struct Posted {
    pub guild: GuildId,
    pub message: Message,
    /// False where the nonce was known: nobody needs to be told again.
    pub is_new: bool,
}
