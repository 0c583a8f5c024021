//! The things that control messages speak about.

mod admin;
mod guild;
mod people;
mod text;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use admin::*;
pub use guild::*;
pub use people::*;
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
    /// The key to send with now. Keys of earlier epochs are not for who joins later.
    pub key: EpochKey,
    /// Everyone in the channel, the receiver included.
    pub participants: Vec<VoiceState>,
}
