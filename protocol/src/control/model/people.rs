//! People, their accounts and devices, and how they stand to each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UnixMs;
use crate::{DeviceId, FileId, SecretText, UserId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    /// A name only; lives on the device that made it.
    Guest,
    /// A name and a password.
    Account,
}

/// What everyone who meets someone sees of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    /// By which an account signs in and is found; two guests may have the same.
    pub name: String,
    pub kind: UserKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<FileId>,
}

impl User {
    pub fn new(id: UserId, name: impl Into<String>, kind: UserKind) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            display_name: None,
            picture: None,
        }
    }

    pub fn shown_name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.name)
    }
}

/// A user's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    pub user: User,
    pub about: String,
    pub created_at_ms: UnixMs,
    pub followers: u32,
    pub following: u32,
    /// The reader follows this user.
    pub followed: bool,
    /// This user follows the reader.
    pub follows_you: bool,
    #[serde(default)]
    pub relation: Option<RelationKind>,
}

/// What a sign-in gives. The access token goes into `session.begin`; the refresh token is kept on the device and gets new access tokens,
/// and a new refresh token each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credentials {
    pub user: User,
    pub device_id: DeviceId,
    pub access_token: SecretText,
    pub access_expires_in_s: u64,
    pub refresh_token: SecretText,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Anyone who reaches the server.
    Open,
    /// Who holds a valid invite.
    #[default]
    Invite,
    /// Nobody; accounts are made by the server's owner.
    Closed,
}

/// A device that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    pub id: DeviceId,
    pub label: String,
    pub created_at_ms: UnixMs,
    pub last_seen_ms: UnixMs,
    /// Connected right now.
    pub online: bool,
    /// The one that asks.
    pub this: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Online,
    /// Nothing was touched for a while.
    Idle,
    DoNotDisturb,
    /// Or invisible.
    #[default]
    Offline,
}

/// What others see of someone being there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_status: Option<String>,
}

impl Presence {
    pub fn online() -> Self {
        Self {
            status: Status::Online,
            custom_status: None,
        }
    }

    pub fn is_online(&self) -> bool {
        self.status != Status::Offline
    }
}

/// How someone wants to be seen; kept by the server for all devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusChoice {
    /// Online, and idle by itself.
    #[default]
    Online,
    DoNotDisturb,
    Invisible,
}

/// One's own presence, as chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OwnPresence {
    pub choice: StatusChoice,
    #[serde(default)]
    pub custom_status: Option<String>,
    /// When the custom status goes away.
    #[serde(default)]
    pub custom_until_ms: Option<UnixMs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    Friend,
    /// They asked to be friends.
    Incoming,
    /// They were asked.
    Outgoing,
    /// By the reader. Who is blocked isn't told.
    Blocked,
}

/// How the reader stands to another user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Relation {
    pub user: User,
    pub kind: RelationKind,
    /// Of friends; offline for all others.
    #[serde(default)]
    pub presence: Presence,
}
