//! What a person can want of a session.

use voxhall_protocol::{ChannelId, GuildId, SecretText, UserId, link::Link};
use voxhall_voice::FrameLength;

use crate::{StoredLogin, Transmit};

/// How to prove who is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Identity {
    /// Nothing yet: connect, look the invite up, and ask (`Connection::NeedsIdentity`).
    Ask,
    /// A name only; needs a link with an invite code.
    Guest {
        name: String,
    },
    Login {
        name: String,
        password: SecretText,
    },
    /// A new account; uses the link's invite code where the server wants one.
    Register {
        name: String,
        password: SecretText,
    },
    /// This device signed in before.
    Stored(StoredLogin),
}

/// Something the person did. Sending one never blocks.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// Leaves whatever server there is and goes to this one.
    Connect {
        link: Link,
        identity: Identity,
    },
    /// Answers `Connection::NeedsIdentity`.
    SignIn(Identity),
    /// Ends the sign-in of this device and disconnects.
    SignOut,
    Disconnect,
    /// Tries to reconnect now instead of after the wait.
    RetryNow,

    JoinVoice(ChannelId),
    LeaveVoice,
    SetMuted(bool),
    /// Deafened people are muted too.
    SetDeafened(bool),
    SetTransmit(Transmit),
    /// The push-to-talk key went down or up.
    SetTalkKey(bool),
    /// Of voice activity: 0.0 wants clear speech, 1.0 opens at almost anything.
    SetSensitivity(f32),
    /// Sound per packet: shorter is sooner, and costs more bits.
    SetFrameLength(FrameLength),
    /// 1.0 is as received; 0.0 to 2.0.
    SetUserGain {
        user: UserId,
        gain: f32,
    },
    /// Only for oneself.
    SetUserMuted {
        user: UserId,
        muted: bool,
    },
    /// 0.0: least delay, 1.0: fewest gaps.
    SetStability(f32),

    SendMessage {
        channel: ChannelId,
        text: String,
    },
    /// Sends a message that the server refused once more, as the same message.
    RetryMessage {
        channel: ChannelId,
        nonce: String,
    },
    /// Drops a message that the server refused.
    DiscardMessage {
        channel: ChannelId,
        nonce: String,
    },
    /// Loads the newest page, or the next older one if there is already one.
    LoadMessages(ChannelId),
    /// The answer appears in `State::invite`.
    CreateInvite(GuildId),
    DismissNotice(u64),
}
