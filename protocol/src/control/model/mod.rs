//! The things that control messages speak about.

/// An enum whose values are words, the same in JSON and in the store.
macro_rules! named_enum {
    ($(#[$outer:meta])* pub enum $enum:ident { $($(#[$inner:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $enum { $($(#[$inner])* #[serde(rename = $text)] $name,)* }

        impl $enum {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// None: a word of a newer Voxhall.
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text)
            }
        }
    };
}

mod admin;
mod call;
mod guild;
mod people;
mod stage;
mod text;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use admin::*;
pub use call::*;
pub use guild::*;
pub use people::*;
pub use stage::*;
pub use text::*;

use crate::{
    BaseKey, ChannelId, DeviceId, Epoch, SecretText, SenderIndex, SessionSecret, Ssrc,
    VoiceSessionId,
};

/// Milliseconds since the Unix epoch.
pub type UnixMs = i64;

/// Everything a client needs to draw itself: the answer to `session.begin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// With which `session.resume` comes back after a lost connection.
    pub session: SecretText,
    pub me: User,
    pub device_id: DeviceId,
    /// Administers the whole server: `admin.*` methods are open.
    #[serde(default)]
    pub is_admin: bool,
    pub guilds: Vec<Guild>,
    #[serde(default)]
    pub conversations: Vec<Conversation>,
    #[serde(default)]
    pub relations: Vec<Relation>,
    /// In one's conversations.
    #[serde(default)]
    pub calls: Vec<LiveCall>,
    /// That were not looked at yet.
    #[serde(default)]
    pub missed_calls: u32,
    #[serde(default)]
    pub calls_from: CallsFrom,
    /// The stage room that this user is in, on whatever device.
    #[serde(default)]
    pub stage: Option<StageView>,
    /// Of every channel and conversation that has messages.
    #[serde(default)]
    pub read_states: Vec<ReadState>,
    #[serde(default)]
    pub presence: OwnPresence,
    /// The next event of this session has `seq + 1`.
    pub seq: u64,
}

/// A base key of a voice channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EpochKey {
    pub epoch: Epoch,
    pub base_key: BaseKey,
}

/// What opens the voice path: the answer to `voice.join`. Voice goes to the address and port number that control goes to, over UDP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoiceGrant {
    pub channel_id: ChannelId,
    pub voice_session: VoiceSessionId,
    pub secret: SessionSecret,
    pub ssrc: Ssrc,
    pub sender_index: SenderIndex,
    pub bitrate_bps: u32,
    /// The server forwards so many voices at once, the loudest; none: all. With a number, a gap of 150 ms or more in a speaker's sequence
    /// numbers is no loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudest: Option<u8>,
    /// The key to send with now. Keys of earlier epochs are not for who joins later.
    pub key: EpochKey,
    /// Everyone in the channel, the receiver included.
    pub participants: Vec<VoiceState>,
}
