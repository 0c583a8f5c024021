//! Everything the server tells a client unasked. Names are past tense.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{EpochKey, Guild, Member, Message, VoiceState};
use crate::{ChannelId, GuildId, UserId};

/// Why someone is no longer in a voice channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    Left,
    /// Went to another voice channel.
    Switched,
    /// Nothing was heard from the client for too long.
    TimedOut,
    /// The control connection stayed away for too long.
    Disconnected,
}

/// Why this client's own voice session ended without its asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The same account joined voice on another device.
    OtherDevice,
    TimedOut,
}

macro_rules! events {
    ($($(#[$doc:meta])* $method:literal $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type),* },)*
        }

        impl Event {
            /// All event names, in order of declaration.
            pub const METHODS: &[&str] = &[$($method),*];

            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $method,)*
                }
            }

            /// Reads an event; `None` if a newer server says something this build doesn't know.
            pub(super) fn parse(method: &str, params: &RawValue) -> serde_json::Result<Option<Self>> {
                match method {
                    $($method => {
                        #[derive(Deserialize)]
                        struct Params { $($field: $type),* }
                        let Params { $($field),* } = serde_json::from_str(params.get())?;
                        Ok(Some(Self::$name { $($field),* }))
                    })*
                    _ => Ok(None),
                }
            }
        }
    };
}

events! {
    /// The server is about to hang up; come back after the given time.
    "session.closed" SessionClosed { reason: String, reconnect_after_ms: u32 }
    /// This account is now a member, by an invite redeemed on this or another of its devices.
    "guild.joined" GuildJoined { guild: Guild }
    "member.joined" MemberJoined { guild_id: GuildId, member: Member }
    "presence.changed" PresenceChanged { user_id: UserId, online: bool }
    "guild.owner_changed" OwnerChanged { guild_id: GuildId, owner_id: UserId }
    "message.created" MessageCreated { guild_id: GuildId, message: Message }
    "voice.joined" VoiceJoined { guild_id: GuildId, state: VoiceState }
    "voice.updated" VoiceUpdated { guild_id: GuildId, state: VoiceState }
    "voice.speaking" VoiceSpeaking { guild_id: GuildId, channel_id: ChannelId, user_id: UserId, speaking: bool }
    "voice.left" VoiceLeft { guild_id: GuildId, channel_id: ChannelId, user_id: UserId, reason: LeaveReason }
    /// A new base key, to everyone in the channel and to nobody else.
    "voice.rekeyed" VoiceRekeyed { channel_id: ChannelId, key: EpochKey }
    /// This client's own voice session is over.
    "voice.ended" VoiceEnded { channel_id: ChannelId, reason: EndReason }
}
