//! Signing up, in and out; one's own account and devices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeviceId, FileId, SecretText, control::Device};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Register {
    pub name: String,
    pub password: SecretText,
    /// Invite or owner code.
    #[serde(default)]
    pub invite: Option<String>,
    /// How the list of signed-in devices names this one.
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Login {
    pub name: String,
    pub password: SecretText,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guest {
    pub name: String,
    /// Invite or owner code.
    pub invite: String,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refresh {
    pub refresh_token: SecretText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Logout {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradeAccount {
    /// None: the guest's own name.
    #[serde(default)]
    pub name: Option<String>,
    pub password: SecretText,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangePassword {
    pub old: SecretText,
    pub new: SecretText,
}

/// What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct UpdateAccount {
    /// Empty: the account's name.
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub about: Option<String>,
    /// An uploaded picture; 0: none.
    #[serde(default)]
    pub picture: Option<FileId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDevices {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceList {
    pub devices: Vec<Device>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndDevice {
    pub device_id: DeviceId,
}
