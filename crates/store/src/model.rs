//! What goes into a store and comes out of it, where the protocol has no type for it.

use std::fmt;

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, UserId,
    control::{Channel, ChannelKind, UnixMs, User},
};

/// Devices of one user; one more signs out the least recently seen.
pub const MAX_DEVICES: u32 = 20;
/// Open invites of one creator.
pub const MAX_OPEN_INVITES: u32 = 20;
/// An invite that is over is still known for this long, so that who comes late is told what became of it.
pub const INVITE_KEPT_MS: UnixMs = 60 * 60 * 1_000;

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

/// What redeeming an invite changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    pub guild: GuildId,
    /// False: was a member before.
    pub new_member: bool,
    pub became_owner: bool,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuildRecord {
    pub id: GuildId,
    pub name: String,
    pub owner: Option<UserId>,
    pub channels: Vec<Channel>,
    pub members: Vec<User>,
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

pub struct NewMessage {
    pub channel: ChannelId,
    pub author: UserId,
    pub text: String,
    pub nonce: String,
    pub now: UnixMs,
}
