//! Why a request was refused: for programs a kind, for people a sentence that says what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `error` of a JSON-RPC response. `data.kind` is the stable part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: i32,
    pub message: String,
    #[serde(default)]
    pub data: FailureData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FailureData {
    #[serde(default)]
    pub kind: FailureKind,
    /// Try again after this time, where waiting helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What went wrong, for programs. JSON-RPC codes from -32768 to -32000 are the standard's own; ours are positive.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum FailureKind {
            $($(#[$doc])* $name,)*
            /// A kind that this build doesn't know.
            #[default]
            #[serde(other)]
            Other,
        }

        impl FailureKind {
            /// All kinds that this build knows.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other => 1,
                }
            }
        }
    };
}

kinds! {
    /// Not JSON, or not JSON-RPC 2.0.
    Malformed = -32600,
    UnknownMethod = -32601,
    InvalidParams = -32602,
    /// The server failed; the request may be tried again.
    Internal = -32603,
    VersionMismatch = 10,
    /// `session.hello` or `session.begin` has to come first.
    OutOfOrder = 11,
    /// The access token is missing, wrong or expired.
    Unauthorized = 12,
    /// The device's sign-in was ended; sign in again.
    SignedOut = 13,
    WrongPassword = 14,
    NameTaken = 15,
    RegistrationClosed = 16,
    InviteUnknown = 17,
    InviteExpired = 18,
    InviteUsedUp = 19,
    Forbidden = 20,
    NotFound = 21,
    RateLimited = 22,
    ChannelFull = 23,
    GuildFull = 24,
    /// The server no longer has all that was missed; begin a new session.
    FullSyncNeeded = 25,
    /// What it should be, it is already, or something else changed meanwhile.
    Conflict = 26,
    /// Slow mode: wait before the next message.
    SlowMode = 27,
    /// One of the two has blocked the other, or takes no messages from strangers.
    Blocked = 28,
    /// Not let into this guild or server any more.
    Banned = 29,
    /// The account is suspended.
    Suspended = 30,
    /// A file or a picture is larger than it may be, or there is no room for it.
    TooLarge = 31,
    /// The bytes are not what they should be.
    BadFile = 32,
    /// There are as many of these as there may be.
    TooMany = 33,
    /// The server can't store anything right now; what was sent was not stored.
    Unavailable = 34,
    /// Who is called is in another call.
    Busy = 35,
    /// Who is called is not there.
    Offline = 36,
    DoNotDisturb = 37,
    /// Only friends may call them.
    FriendsOnly = 38,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            code: kind.code(),
            message: message.into(),
            data: FailureData {
                kind,
                retry_after_ms: None,
            },
        }
    }

    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.data.retry_after_ms = Some(ms);
        self
    }

    pub fn kind(&self) -> FailureKind {
        self.data.kind
    }

    pub fn unknown_method(method: &str) -> Self {
        let shown: String = method.chars().take(64).collect();
        Self::new(
            FailureKind::UnknownMethod,
            format!("this server has no method {shown:?}"),
        )
    }

    pub fn invalid_params(error: &serde_json::Error) -> Self {
        // Serde's words quote the peer's own input at most; they are short but for strings, so they are cut.
        let shown: String = error.to_string().chars().take(200).collect();
        Self::new(FailureKind::InvalidParams, shown)
    }
}
