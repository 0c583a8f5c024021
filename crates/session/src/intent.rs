//! What a person can want of a session.

use std::path::PathBuf;

use voxhall_protocol::{
    CallId, ChannelId, FileId, GuildId, MessageId, SecretText, UserId,
    control::{JoinStage, Request, SearchMessages, UnixMs, UploadPurpose},
    link::Link,
};
use voxhall_voice::FrameLength;

use crate::{Microphone, StoredLogin, Tag, TransferId, Transmit};

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

/// Which messages to show of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Newest,
    /// This message with some around it.
    Message(MessageId),
    /// What was said at that time.
    Time(UnixMs),
}

/// What a person does with calls. What comes of it appears in `State::calls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallIntent {
    /// Calls everyone else in a conversation, or comes into its call.
    Start {
        channel: ChannelId,
        /// Leaves the call one is in.
        end_current: bool,
    },
    /// Answers a call, comes into one that runs, or back to it.
    Answer {
        call: CallId,
        end_current: bool,
    },
    Reject(CallId),
    /// Leaves the call of this device, or gives up calling.
    HangUp,
    /// Rings someone of the conversation once more.
    RingAgain(UserId),
    /// How the last call ended was seen.
    DismissLast,
}

/// Something the person did. Sending one never blocks.
///
/// What the session itself keeps or repeats has an intent of its own: connections, voice, histories, and what is written while offline.
/// Everything else that can be asked of a server is [`Intent::Ask`].
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
    Call(CallIntent),
    /// Comes into a stage room, and hears it.
    JoinStage(JoinStage),
    LeaveStage,
    SetMuted(bool),
    /// Deafened people are muted too.
    SetDeafened(bool),
    SetTransmit(Transmit),
    /// The key of push to talk, or of push to mute, went down or up.
    SetTalkKey(bool),
    /// How long push to talk goes on after the key is released; at most 2 s.
    SetReleaseTail {
        ms: u32,
    },
    /// Of voice activity: 0.0 wants clear speech, 1.0 opens at almost anything.
    SetSensitivity(f32),
    /// Speech or music, and what is done to it.
    SetMicrophone(Microphone),
    /// Sound per packet of speech: shorter is sooner, and costs more bits.
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
    /// Whether everybody is brought to the same loudness.
    SetLevelling(bool),

    /// Sent as soon as there is a connection and its uploads are complete, in order and once.
    SendMessage {
        channel: ChannelId,
        text: String,
        reply_to: Option<MessageId>,
        uploads: Vec<TransferId>,
    },
    /// Sends a message that the server refused once more, as the same message.
    RetryMessage {
        channel: ChannelId,
        nonce: String,
    },
    /// Drops a message that the server refused, or that is still waiting for a connection.
    DiscardMessage {
        channel: ChannelId,
        nonce: String,
    },
    /// Waits for a connection like a message.
    EditMessage {
        channel: ChannelId,
        message: MessageId,
        text: String,
    },
    /// Drops an edit that the server refused.
    DiscardEdit {
        channel: ChannelId,
        message: MessageId,
    },
    /// Everything up to this message was on the screen. Waits for a connection like a message.
    MarkRead {
        channel: ChannelId,
        message: MessageId,
    },
    /// Loads the newest page, or the next older one if there is already one.
    LoadMessages(ChannelId),
    /// Loads the next newer page of a window that is in the past.
    LoadNewer(ChannelId),
    JumpTo {
        channel: ChannelId,
        place: Place,
    },
    /// The result appears in `State::search`. With `before`, it is added to what was found.
    Search(SearchMessages),
    EndSearch,
    /// A key was pressed in the channel's input; may be sent with every key.
    Typing(ChannelId),
    /// Nothing was touched for a while, or something is again.
    SetIdle(bool),

    /// Sends a file; the progress appears in `State::transfers`.
    Upload {
        transfer: TransferId,
        purpose: UploadPurpose,
        path: PathBuf,
    },
    /// Gets an attachment or a picture, or its thumbnail.
    Download {
        transfer: TransferId,
        file: FileId,
        thumbnail: bool,
        to: PathBuf,
    },
    /// Stops a transfer, or clears away a finished one.
    DropTransfer(TransferId),

    /// Any other request. With a tag, the answer appears in `State::answers`; without one, a failure becomes a notice.
    Ask {
        tag: Option<Tag>,
        request: Request,
    },
    /// The answer in `State::answers` was seen.
    DropAnswer(Tag),
    /// The answer appears in `State::invite`.
    CreateInvite(GuildId),
    DismissNotice(u64),
}
