//! What a view draws. The session publishes a new [`State`] whenever something changed; meters, which change all the time, are apart.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use voxhall_protocol::{
    ChannelId, GuildId, SecretText, UserId,
    control::{Channel, ChannelKind, Invite, InvitePreview, Member, Message, User, VoiceState},
    link::Link,
};
use voxhall_voice::FrameLength;

#[derive(Debug, Clone, Default)]
pub struct State {
    pub connection: Connection,
    /// The server as its own settings name it, once it has said hello.
    pub server_name: Option<String>,
    pub me: Option<User>,
    pub guilds: Vec<Guild>,
    /// Shared between versions of the state: it is large, and mostly something else changes.
    pub history: Arc<BTreeMap<ChannelId, History>>,
    pub voice: Voice,
    pub invite: InviteLink,
    /// Things to tell the person, oldest first; at most a handful.
    pub notices: Vec<Notice>,
    /// What to keep on the device for next time; `None` after signing out. Changes are for the owner to save.
    pub login: Option<StoredLogin>,
}

/// The invite asked for last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum InviteLink {
    #[default]
    None,
    Making,
    Made(Invite),
    /// Why there is none.
    Failed(String),
}

/// How to come back without a password. Kept by the owner of the session, readable by this user alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredLogin {
    /// Without an invite code.
    pub link: Link,
    pub user: User,
    pub refresh_token: SecretText,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub enum Connection {
    /// No server chosen.
    #[default]
    Idle,
    Connecting,
    /// The server answers, but who is there? `preview` shows where the link leads.
    NeedsIdentity {
        preview: Option<InvitePreview>,
        problem: Option<Problem>,
    },
    SigningIn,
    Online,
    /// Was online; voice may still be going on. Tries again by itself after `retry_in_ms`.
    Reconnecting {
        retry_in_ms: u64,
        problem: Problem,
    },
    /// Needs the person to do something.
    Failed(Problem),
}

/// Why it doesn't go on, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("Can't reach the server at {address}.")]
    Unreachable { address: String },
    #[error("The server's certificate is not the one in your invite link.")]
    CertificateChanged { expected: String, found: String },
    #[error("The server's certificate is not trusted.")]
    CertificateUntrusted { reason: String },
    #[error("{message}")]
    VersionMismatch { message: String },
    #[error("{message}")]
    Refused { message: String },
    #[error("You were signed out on this device.")]
    SignedOut,
    #[error("The connection to the server was lost.")]
    ConnectionLost,
    #[error("The server went down for a moment: {reason}")]
    ServerClosed { reason: String },
}

impl Problem {
    /// What the person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "Check your network, and that the server is running and its port is open (TCP and UDP)."
            }
            Self::CertificateChanged { .. } => {
                "Someone may be listening in. Don't go on; ask whoever runs the server, over another way, for a new invite link."
            }
            Self::CertificateUntrusted { .. } => {
                "Use the server's full invite link: it carries the certificate's fingerprint after the # sign."
            }
            Self::VersionMismatch { .. } => "Update whichever side is older.",
            Self::Refused { .. } => "Check what you entered, or ask for a new invite link.",
            Self::SignedOut => "Sign in again.",
            Self::ConnectionLost | Self::ServerClosed { .. } => {
                "Nothing to do: the app reconnects by itself."
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Guild {
    pub id: GuildId,
    pub name: String,
    pub owner: Option<UserId>,
    /// In the order to show.
    pub channels: Vec<Channel>,
    pub members: BTreeMap<UserId, Member>,
    /// Who is in which voice channel, by user.
    pub voice: BTreeMap<UserId, VoiceState>,
}

impl Guild {
    pub fn channels_of(&self, kind: ChannelKind) -> impl Iterator<Item = &Channel> {
        self.channels
            .iter()
            .filter(move |channel| channel.kind == kind)
    }

    /// The people in a voice channel, by name.
    pub fn people_in(&self, channel: ChannelId) -> Vec<(&User, &VoiceState)> {
        let mut people: Vec<_> = self
            .voice
            .values()
            .filter(|state| state.channel_id == channel)
            .filter_map(|state| Some((&self.members.get(&state.user_id)?.user, state)))
            .collect();
        people.sort_by(|(a, _), (b, _)| {
            a.name
                .to_lowercase()
                .cmp(&b.name.to_lowercase())
                .then(a.id.cmp(&b.id))
        });
        people
    }
}

/// Messages of one text channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Oldest first, without holes.
    pub messages: Vec<Message>,
    /// Older ones can be loaded.
    pub more: bool,
    pub loading: bool,
    /// Written but not yet confirmed; sent again after a reconnect.
    pub pending: Vec<PendingMessage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMessage {
    pub nonce: String,
    pub text: String,
    /// Refused by the server, with the reason.
    pub failed: Option<String>,
}

/// When the microphone is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transmit {
    /// While somebody speaks into it.
    #[default]
    VoiceActivity,
    /// While a key is held.
    PushToTalk,
    /// Always.
    Open,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    pub path: VoicePath,
    pub muted: bool,
    pub deafened: bool,
    pub transmit: Transmit,
    /// The push-to-talk key is down.
    pub talk_key: bool,
    /// Of voice activity: 0.0 wants clear speech, 1.0 opens at almost anything.
    pub sensitivity: f32,
    pub frame_length: FrameLength,
    pub gains: BTreeMap<UserId, f32>,
    pub local_mutes: std::collections::BTreeSet<UserId>,
    pub stability: f32,
}

impl Default for Voice {
    fn default() -> Self {
        Self {
            path: VoicePath::Out,
            muted: false,
            deafened: false,
            transmit: Transmit::default(),
            talk_key: false,
            sensitivity: 0.5,
            frame_length: FrameLength::default(),
            gains: BTreeMap::new(),
            local_mutes: std::collections::BTreeSet::new(),
            stability: 0.3,
        }
    }
}

impl Voice {
    /// The channel one is in or going to.
    pub fn channel(&self) -> Option<ChannelId> {
        match self.path {
            VoicePath::Out => None,
            VoicePath::Joining(channel)
            | VoicePath::Opening(channel)
            | VoicePath::Open(channel)
            | VoicePath::Blocked(channel) => Some(channel),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoicePath {
    /// In no voice channel.
    Out,
    /// Asked the server.
    Joining(ChannelId),
    /// In the channel; the first voice datagrams are on their way.
    Opening(ChannelId),
    Open(ChannelId),
    /// In the channel, but no voice datagrams get through.
    Blocked(ChannelId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeLevel {
    Info,
    Warning,
}

/// Something that happened, to be shown until dismissed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub id: u64,
    pub level: NoticeLevel,
    pub text: String,
}

/// What moves while people talk; read at the speed of the screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VoiceMeters {
    /// The microphone is being sent right now.
    pub transmitting: bool,
    /// Round trip to the server, ms.
    pub rtt_ms: Option<f32>,
    /// Share of what others sent that never arrived, 0 to 1, over the last seconds.
    pub loss: f32,
    /// Share of what we sent that never arrived at the listeners, as the server reports it.
    pub reported_loss: f32,
    /// `udp`
    pub carrier: &'static str,
    pub speakers: Vec<SpeakerMeter>,
    pub statistics: crate::audio::VoiceStatistics,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerMeter {
    pub user: UserId,
    pub speaking: bool,
    pub level_dbfs: f32,
    pub statistics: voxhall_voice::SpeakerStats,
}
