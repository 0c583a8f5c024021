//! The things that control messages speak about.

use serde::{Deserialize, Serialize};

use crate::{
    BaseKey, ChannelId, DeviceId, Epoch, GuildId, MessageId, SecretText, SenderIndex,
    SessionSecret, Ssrc, UserId, VoiceSessionId,
};

/// Milliseconds since the Unix epoch.
pub type UnixMs = i64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    /// A name only; lives on the device that made it.
    Guest,
    /// A name and a password.
    Account,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub kind: UserKind,
}

/// What a sign-in gives. The access token goes into `session.begin`; the refresh token is kept on the device and gets new access tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub user: User,
    pub device_id: DeviceId,
    pub access_token: SecretText,
    pub access_expires_in_s: u64,
    pub refresh_token: SecretText,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Text,
    Voice,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub id: ChannelId,
    pub name: String,
    pub kind: ChannelKind,
    pub position: u32,
    pub topic: String,
    /// Opus bitrate for this voice channel, bits per second; 0 in a text channel.
    pub bitrate_bps: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub user: User,
    pub online: bool,
}

/// Someone in a voice channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceState {
    pub channel_id: ChannelId,
    pub user_id: UserId,
    pub ssrc: Ssrc,
    pub sender_index: SenderIndex,
    pub muted: bool,
    pub deafened: bool,
    pub speaking: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guild {
    pub id: GuildId,
    pub name: String,
    pub owner_id: Option<UserId>,
    pub channels: Vec<Channel>,
    pub members: Vec<Member>,
    pub voice: Vec<VoiceState>,
}

/// Everything a client needs to draw itself: the answer to `session.begin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub me: User,
    pub device_id: DeviceId,
    pub guilds: Vec<Guild>,
    /// The next event of this connection has `seq + 1`.
    pub seq: u64,
}

/// A base key of a voice channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochKey {
    pub epoch: Epoch,
    pub base_key: BaseKey,
}

/// What opens the voice path: the answer to `voice.join`. Voice goes to the address and port number that control goes to, over UDP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub channel_id: ChannelId,
    pub author: User,
    pub text: String,
    pub sent_at_ms: UnixMs,
    /// The sender's own mark; lets the sending client match what it sent.
    pub nonce: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    pub code: String,
    /// The whole link, with the address and pin the server knows of itself.
    pub link: String,
    pub expires_at_ms: Option<UnixMs>,
    pub max_uses: Option<u32>,
    pub uses: u32,
}

/// What an invite leads to, shown before anyone joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitePreview {
    pub server_name: String,
    pub guild_name: String,
    pub members: u32,
    pub online: u32,
    /// Redeeming it makes its user the guild's owner; works once.
    pub makes_owner: bool,
}
