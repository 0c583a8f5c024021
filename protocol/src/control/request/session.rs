//! Beginning and going on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SecretText, control::Registration};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    pub protocol_min: u32,
    pub protocol_max: u32,
    /// Program and version, for logs and version messages.
    pub client: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelloReply {
    /// The version both will speak.
    pub protocol: u32,
    pub server: String,
    pub server_name: String,
    pub registration: Registration,
    /// Guests are let in where an invite leads.
    #[serde(default)]
    pub guests: bool,
    /// A client that sent nothing for this long sends `session.ping`; after three times this the server hangs up.
    pub heartbeat_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Begin {
    pub access_token: SecretText,
}

/// Fails with `full_sync_needed` where the server no longer has all that was missed: begin anew then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resume {
    pub access_token: SecretText,
    /// From [`Ready`](crate::control::Ready).
    pub session: SecretText,
    /// Number of the last event that arrived.
    pub seq: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// This many events follow, which happened meanwhile.
    pub missed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ping {}
