//! What both ends of Voxhall say to each other: bytes in, values out. No IO, no clock, no threads.
//!
//! - [`control`]: JSON-RPC messages over WebSocket (`docs/protocol/control.md`)
//! - [`voice`]: RTP, SFrame, RTCP and STUN datagrams (`docs/protocol/voice.md`)
//! - [`link`]: the invite link
//! - [`limits`]: what both ends enforce

pub mod control;
mod ids;
pub mod limits;
pub mod link;
mod secret;
pub mod voice;

pub use ids::{
    ChannelId, DeviceId, Epoch, GuildId, MessageId, ParseVoiceSessionId, SenderIndex, Ssrc, UserId,
    VoiceSessionId,
};
pub use secret::{BaseKey, SecretText, SessionSecret};
