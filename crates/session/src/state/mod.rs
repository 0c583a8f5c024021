//! What a view draws. The session publishes a new [`State`] whenever something changed; meters, which change all the time, are apart.

mod ask;
mod calls;
mod fold;
#[cfg(test)]
mod fold_tests;
mod guild;
mod stage;
mod text;
mod voice;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use serde::{Deserialize, Serialize};
use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, SecretText, UserId,
    control::{
        Conversation, Device, Invite, InvitePreview, OwnPresence, Profile, Registration, Relation,
        UnixMs, User, VoiceState,
    },
    link::Link,
    permissions::Permissions,
};

pub use ask::{Answer, AskError, Tag, Transfer, TransferId, TransferProgress};
pub use calls::{CallOver, Calls, LastCall};
pub use guild::Guild;
pub use stage::StageHere;
pub use text::{History, PendingEdit, PendingMessage, Reading, Search};
pub(crate) use text::{MAX_WINDOW, Merge};
pub use voice::{
    Latency, Microphone, MicrophoneMeter, Music, SpeakerMeter, Transmit, Voice, VoiceMeters,
    VoicePath,
};

/// Large parts are shared between versions of the state: mostly something else changes.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub connection: Connection,
    /// The server as its own settings name it, once it has said hello.
    pub server_name: Option<String>,
    /// Whom the server lets in, once it has said hello.
    pub terms: Option<Terms>,
    pub me: Option<User>,
    pub device: Option<DeviceId>,
    /// Administers the whole server: `admin.*` requests are answered.
    pub is_admin: bool,
    /// As chosen by the person, on whatever device.
    pub presence: OwnPresence,
    /// By id, which is the order in which they were made.
    pub guilds: Vec<Arc<Guild>>,
    /// Direct messages and groups.
    pub conversations: Arc<BTreeMap<ChannelId, Conversation>>,
    /// Friends, requests, and who is blocked.
    pub relations: Arc<BTreeMap<UserId, Relation>>,
    /// How far every channel and conversation with messages was read.
    pub reading: Arc<BTreeMap<ChannelId, Reading>>,
    /// Who is writing where, and until when that holds.
    pub typing: BTreeMap<ChannelId, BTreeMap<UserId, Instant>>,
    /// Messages of the channels that were looked at.
    pub history: Arc<BTreeMap<ChannelId, Arc<History>>>,
    pub search: Option<Arc<Search>>,
    /// Profiles that were looked at; a few at most.
    pub profiles: Arc<BTreeMap<UserId, Profile>>,
    /// Where this account is signed in, as listed last.
    pub devices: Option<Arc<Vec<Device>>>,
    /// What was answered to [`Intent::Ask`](crate::Intent::Ask); the newest 64.
    pub answers: Arc<BTreeMap<Tag, Answer>>,
    /// Uploads and downloads, until they are dismissed or their message is sent.
    pub transfers: BTreeMap<TransferId, Transfer>,
    pub voice: Voice,
    pub calls: Arc<Calls>,
    /// The stage room that this user is in.
    pub stage: Option<Arc<StageHere>>,
    pub invite: InviteLink,
    /// Things to tell the person, oldest first; at most a handful.
    pub notices: Vec<Notice>,
    /// What to keep on the device for next time; `None` after signing out. Changes are for the owner to save.
    pub login: Option<StoredLogin>,
}

/// Whom a server lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub registration: Registration,
    /// A name alone is enough where an invite leads.
    pub guests: bool,
}

impl State {
    pub fn guild(&self, id: GuildId) -> Option<&Guild> {
        self.guilds
            .iter()
            .find(|guild| guild.id == id)
            .map(|guild| &**guild)
    }

    /// The guild that a channel belongs to; conversations belong to none.
    pub fn guild_of(&self, channel: ChannelId) -> Option<&Guild> {
        self.guilds
            .iter()
            .find(|guild| guild.channel(channel).is_some())
            .map(|guild| &**guild)
    }

    /// What this user may do in a channel, or without one in the guild as a whole. `now_ms` decides whether a timeout is over.
    pub fn permissions(
        &self,
        guild: GuildId,
        channel: Option<ChannelId>,
        now_ms: UnixMs,
    ) -> Permissions {
        match (self.guild(guild), &self.me) {
            (Some(guild), Some(me)) => guild.permissions(me.id, channel, now_ms),
            _ => Permissions::NONE,
        }
    }

    /// The conversation with one other person, if there is one yet.
    pub fn direct_with(&self, user: UserId) -> Option<&Conversation> {
        self.conversations.values().find(|conversation| {
            conversation.kind == voxhall_protocol::control::ChannelKind::Direct
                && conversation
                    .members
                    .iter()
                    .any(|member| member.user.id == user)
                && self.me.as_ref().is_some_and(|me| me.id != user)
        })
    }

    /// How the others in voice see this user: who is `suppressed` or `server_deafened` there was made so by a moderator, or may not speak.
    pub fn own_voice(&self) -> Option<&VoiceState> {
        let me = self.me.as_ref()?.id;
        self.voice_states().find(|state| state.user_id == me)
    }

    /// Who is known by this id, from wherever.
    pub fn user(&self, id: UserId) -> Option<&User> {
        let member = || {
            self.guilds
                .iter()
                .find_map(|guild| guild.members.get(&id))
                .map(|member| &member.user)
        };
        let relation = || self.relations.get(&id).map(|relation| &relation.user);
        let partner = || {
            let mut people = self
                .conversations
                .values()
                .flat_map(|conversation| &conversation.members);
            people
                .find(|member| member.user.id == id)
                .map(|member| &member.user)
        };
        self.me
            .as_ref()
            .filter(|me| me.id == id)
            .or_else(member)
            .or_else(relation)
            .or_else(partner)
    }

    /// Unread messages that mention this user, in a guild's channels.
    pub fn mentions_in(&self, guild: &Guild) -> u32 {
        let of = |id| {
            self.reading
                .get(&id)
                .map_or(0, |reading: &Reading| reading.mentions)
        };
        guild.channels.iter().map(|channel| of(channel.id)).sum()
    }

    /// Everyone who is writing in a channel now, but this user.
    pub fn typing_in(&self, channel: ChannelId, now: Instant) -> BTreeSet<UserId> {
        let people = self.typing.get(&channel).into_iter().flatten();
        people
            .filter(|(_, until)| **until > now)
            .map(|(user, _)| *user)
            .collect()
    }
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
    /// What happened and what to do about it.
    pub fn in_full(&self) -> String {
        format!("{self} {}", self.advice()).trim_end().to_owned()
    }

    /// What the person can do about it; empty where the problem says it itself.
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
            // The server's words say it.
            Self::Refused { .. } => "",
            Self::SignedOut => "Sign in again.",
            Self::ConnectionLost | Self::ServerClosed { .. } => {
                "Nothing to do: the app reconnects by itself."
            }
        }
    }
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
