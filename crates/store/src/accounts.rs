//! Who there is, and on which devices they are signed in.

use std::{fmt, future::Future};

use voxhall_protocol::{
    DeviceId, FileId, GuildId, UserId,
    control::{CallsFrom, OwnPresence, UnixMs, User},
};

use crate::{AddressHash, InviteError, Joined, StoreError};

/// Who there is, and on which devices they are signed in.
pub trait Accounts: Send + Sync {
    /// Makes a user with a first device and, by an invite, a first guild: all of it or nothing.
    fn sign_up(&self, new: SignUp) -> impl Future<Output = Result<SignedUp, SignUpError>> + Send;

    /// The account of that name, upper and lower case being the same. Guests are never found.
    fn account_by_name(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<Account>, StoreError>> + Send;

    /// None: a guest, or nobody.
    fn account(
        &self,
        user: UserId,
    ) -> impl Future<Output = Result<Option<Account>, StoreError>> + Send;

    /// Signs out the least recently seen device of a user who has [`MAX_DEVICES`] already.
    fn add_device(
        &self,
        user: UserId,
        device: NewDevice,
    ) -> impl Future<Output = Result<DeviceId, StoreError>> + Send;

    /// Puts a device's next refresh token in the place of the one that was shown. A token that was spent before ends the device, but
    /// for the last one within [`RETRY_WITHIN_MS`]: whose answer was lost gets it again. Notes that the device was seen.
    fn rotate_token(
        &self,
        rotation: Rotation,
    ) -> impl Future<Output = Result<Rotated, StoreError>> + Send;

    /// Who is signed in on that device; none: it was signed out.
    fn device_user(
        &self,
        device: DeviceId,
    ) -> impl Future<Output = Result<Option<UserRecord>, StoreError>> + Send;

    /// The most recently seen first.
    fn devices(
        &self,
        user: UserId,
    ) -> impl Future<Output = Result<Vec<DeviceRecord>, StoreError>> + Send;

    /// Signs out devices of this user, and of nobody else. Those that are gone stay gone.
    fn end_devices(
        &self,
        user: UserId,
        which: Devices,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that these devices and their users are there.
    fn devices_seen(
        &self,
        devices: Vec<DeviceId>,
        now: UnixMs,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Signs out all other devices.
    ///
    /// # Errors
    /// [`PasswordError::Changed`] where the password is no longer the one that was checked.
    fn change_password(
        &self,
        change: PasswordChange,
    ) -> impl Future<Output = Result<(), PasswordError>> + Send;

    /// Makes an account of a guest, who stays who they are.
    ///
    /// # Errors
    /// [`UpgradeError::NotAGuest`] for an account, and for nobody.
    fn upgrade_guest(
        &self,
        user: UserId,
        name: String,
        password_hash: String,
    ) -> impl Future<Output = Result<User, UpgradeError>> + Send;

    fn update_profile(
        &self,
        user: UserId,
        update: ProfileUpdate,
    ) -> impl Future<Output = Result<(), ProfileError>> + Send;

    /// Everyone there is; not those who were deleted.
    fn users(&self) -> impl Future<Output = Result<Vec<UserRecord>, StoreError>> + Send;

    /// Deletes guests who can't or don't come back, `limit` at most, and says how many. What they wrote stays.
    fn forget_guests(
        &self,
        forget: ForgetGuests,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Memberships, relations and devices go. The user stays as the author, without a name, of what they wrote. False: there was
    /// nobody.
    fn delete_user(
        &self,
        user: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// An account without a device.
    fn create_account(
        &self,
        name: String,
        password_hash: String,
        now: UnixMs,
    ) -> impl Future<Output = Result<User, SignUpError>> + Send;

    /// Users whose name has `query` in it, by id.
    fn list_users(
        &self,
        query: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AccountState>, StoreError>> + Send;

    /// None: there is nobody.
    fn account_state(
        &self,
        user: UserId,
    ) -> impl Future<Output = Result<Option<AccountState>, StoreError>> + Send;

    /// What is none stays as it is. A suspended user's devices stay signed in, and can do nothing.
    fn update_user(
        &self,
        user: UserId,
        suspended: Option<bool>,
        is_admin: Option<bool>,
        now: UnixMs,
    ) -> impl Future<Output = Result<Option<AccountState>, StoreError>> + Send;

    /// Signs out all devices. False: there is no such account.
    fn reset_password(
        &self,
        user: UserId,
        password_hash: String,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Devices of one user; one more signs out the least recently seen.
pub const MAX_DEVICES: u32 = 20;
/// A spent refresh token gets the same answer again for this long.
pub const RETRY_WITHIN_MS: UnixMs = 30_000;
/// What stands in the place of a deleted user's name.
pub const DELETED_USER: &str = "Deleted user";

pub struct SignUp {
    pub name: String,
    pub kind: NewUserKind,
    pub device: NewDevice,
    pub joins: FirstGuild,
    /// Whoever is banned from the guild by address doesn't get into it.
    pub from: Option<AddressHash>,
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

/// All refresh tokens that one device ever had.
pub type TokenFamily = [u8; 16];

pub struct NewDevice {
    pub family: TokenFamily,
    /// Of the family's first token, whose generation is 0.
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

/// A refresh token that was shown, and the one after it. The caller vouches that it made the token itself: the store can't tell a spent
/// one from an invented one.
pub struct Rotation {
    /// A token of generation 0 that is older than families begins this one.
    pub family: TokenFamily,
    pub generation: u32,
    pub shown_sha256: [u8; 32],
    pub next_sha256: [u8; 32],
    pub now: UnixMs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// The next token is good now, and the only one.
    Good {
        user: User,
        device: DeviceId,
    },
    /// It had been spent: someone else has a copy. The device is signed out.
    Reused {
        user: UserId,
        device: DeviceId,
    },
    Suspended,
    /// Nobody is signed in with it.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    pub id: DeviceId,
    pub label: String,
    pub created_at_ms: UnixMs,
    pub last_seen_ms: UnixMs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    One(DeviceId),
    AllBut(DeviceId),
    All,
}

pub struct PasswordChange {
    pub user: UserId,
    /// The hash that the old password was checked against.
    pub old_hash: String,
    pub new_hash: String,
    /// Stays signed in.
    pub device: DeviceId,
}

/// What is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileUpdate {
    /// Empty: the account's name.
    pub display_name: Option<String>,
    pub about: Option<String>,
    /// A picture that this user uploaded; 0: none.
    pub picture: Option<FileId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetGuests {
    /// Not seen since.
    pub seen_before: UnixMs,
    /// Signed out everywhere, and not seen since.
    pub signed_out_before: UnixMs,
    pub limit: u32,
    pub now: UnixMs,
}

/// An account with the hash that its password is checked against.
#[derive(Clone)]
pub struct Account {
    pub user: User,
    pub password_hash: String,
    pub suspended: bool,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .field("suspended", &self.suspended)
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
    pub calls_from: CallsFrom,
}

/// A user as administrators see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    pub user: User,
    pub is_admin: bool,
    pub suspended: bool,
    pub created_at_ms: UnixMs,
    pub last_seen_ms: Option<UnixMs>,
    pub devices: u32,
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
pub enum UpgradeError {
    #[error("the name is taken")]
    NameTaken,
    #[error("this is no guest")]
    NotAGuest,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password was changed meanwhile")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("no such user")]
    NoUser,
    #[error("no such picture of this user")]
    NoPicture,
    #[error(transparent)]
    Store(#[from] StoreError),
}
