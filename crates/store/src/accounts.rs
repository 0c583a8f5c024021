//! Who there is, and on which devices they are signed in.

use std::{fmt, future::Future};

use voxhall_protocol::{
    DeviceId, GuildId, UserId,
    control::{OwnPresence, UnixMs, User},
};

use crate::{InviteError, Joined, StoreError};

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

    /// Everyone there is.
    fn users(&self) -> impl Future<Output = Result<Vec<UserRecord>, StoreError>> + Send;
}

/// Devices of one user; one more signs out the least recently seen.
pub const MAX_DEVICES: u32 = 20;
pub struct SignUp {
    pub name: String,
    pub kind: NewUserKind,
    pub device: NewDevice,
    pub joins: FirstGuild,
    pub now: UnixMs,
}

pub enum NewUserKind {
    Guest,
    /// The password's hash as a PHC string.
    Account {
        password_hash: String,
    },
}

pub enum FirstGuild {
    None,
    /// Where the server lets anyone in.
    Open(GuildId),
    Invite(String),
}

pub struct NewDevice {
    pub token_sha256: [u8; 32],
    pub label: String,
    pub now: UnixMs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUp {
    pub user: User,
    pub device: DeviceId,
    pub joined: Option<Joined>,
}

/// An account with the hash that its password is checked against.
#[derive(Clone)]
pub struct Account {
    pub user: User,
    pub password_hash: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A user as the live state holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub user: User,
    pub is_admin: bool,
    pub suspended: bool,
    pub presence: OwnPresence,
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
