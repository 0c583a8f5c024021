//! What both ends of Voxhall say to each other: bytes in, values out. No IO, no clock, no threads.
//!
//! - [`control`]: JSON-RPC messages over WebSocket (`docs/protocol/control.md`)
//! - [`voice`]: RTP, SFrame, RTCP and STUN datagrams (`docs/protocol/voice.md`)
//! - [`link`]: the invite link
//! - [`permissions`]: who may do what, and why
//! - [`mentions`]: whom a text mentions
//! - [`limits`]: what both ends enforce
//! - [`time`]: points in time as people read them

pub mod control;
mod ids;
pub mod limits;
pub mod link;
pub mod mentions;
pub mod permissions;
mod secret;
pub mod time;
pub mod voice;

pub use ids::{
    AuditId, CallId, ChannelId, DeviceId, Epoch, FileId, GuildId, MessageId, ParseVoiceSessionId,
    RoleId, SenderIndex, Ssrc, UserId, VoiceSessionId,
};
pub use secret::{BaseKey, SecretText, SessionSecret};
