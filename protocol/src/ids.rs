//! Newtypes for everything that has an id. Database ids are positive and below 2^53, so that every JSON reader keeps them exact.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// An account, guest or registered.
    UserId(u64);
    /// A signed-in device of an account.
    DeviceId(u64);
    /// A guild: what the screen calls a server.
    GuildId(u64);
    /// A channel of a guild, or a conversation between people: both hold messages.
    ChannelId(u64);
    /// A role of a guild.
    RoleId(u64);
    /// A file that was uploaded.
    FileId(u64);
    /// An entry of a guild's audit log.
    AuditId(u64);
    /// A call; ids grow with time within a server.
    CallId(u64);
    /// A message; ids grow with time within a server.
    MessageId(u64);
    /// RTP synchronisation source (RFC 3550), given by the server for one voice session.
    Ssrc(u32);
    /// Sender index of the SFrame key id (RFC 9605 section 5.2), given by the server for one voice session.
    SenderIndex(u16);
    /// Number of a voice channel's base key.
    Epoch(u32);
}

/// One stay of one device in one voice channel; random, and the STUN USERNAME of its path.
///
/// Text form: 16 lower-case hexadecimal digits, in JSON too (it may exceed 2^53).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct VoiceSessionId(#[schemars(with = "String", regex(pattern = "^[0-9a-f]{16}$"))] pub u64);

impl fmt::Display for VoiceSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for VoiceSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoiceSessionId({self})")
    }
}

impl std::str::FromStr for VoiceSessionId {
    type Err = ParseVoiceSessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(lower_hex) {
            return Err(ParseVoiceSessionId);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ParseVoiceSessionId)
    }
}

/// The text is not 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a voice session id is 16 lower-case hexadecimal digits")]
pub struct ParseVoiceSessionId;

impl Serialize for VoiceSessionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VoiceSessionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voice_session_id_is_fixed_width_lower_hex() {
        let id = VoiceSessionId(0xab);
        assert_eq!(id.to_string(), "00000000000000ab");
        assert_eq!("00000000000000ab".parse(), Ok(id));
        for bad in [
            "ab",
            "00000000000000AB",
            "+0000000000000ab",
            "00000000000000ab0",
        ] {
            assert_eq!(bad.parse::<VoiceSessionId>(), Err(ParseVoiceSessionId));
        }
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"00000000000000ab\"");
    }
}
