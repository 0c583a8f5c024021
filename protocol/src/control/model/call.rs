//! Calls between people: one that runs, and what is kept of those that are over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{UnixMs, User, VoiceState};
use crate::{CallId, ChannelId, UserId};

/// A call that runs in a conversation, of which there is one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveCall {
    pub id: CallId,
    /// The conversation; voice is joined there.
    pub channel_id: ChannelId,
    pub caller_id: UserId,
    pub started_at_ms: UnixMs,
    /// When the first of those who were called came; none: it still rings.
    #[serde(default)]
    pub answered_at_ms: Option<UnixMs>,
    /// Everyone who was called or came, by id.
    pub parties: Vec<CallParty>,
    pub voice: Vec<VoiceState>,
}

impl LiveCall {
    pub fn party(&self, user: UserId) -> Option<PartyState> {
        let party = self.parties.iter().find(|party| party.user_id == user)?;
        Some(party.state)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallParty {
    pub user_id: UserId,
    pub state: PartyState,
}

/// How far someone is in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartyState {
    /// All their devices ring.
    Ringing,
    /// They began or answered the call, and their voice is on its way.
    Connecting,
    Talking,
    /// Their connection is lost; the call waits for them for a while.
    Away,
    Left,
    Rejected,
    /// They did not answer, or could not be reached.
    Missed,
}

impl PartyState {
    /// In the call, as far as there is nothing else to be told.
    pub fn is_present(self) -> bool {
        matches!(self, Self::Connecting | Self::Talking | Self::Away)
    }
}

named_enum! {
    /// Why a call is over. Everyone who was in it is told the same.
    pub enum CallEnd {
        HungUp = "hung_up",
        Rejected = "rejected",
        /// The caller gave up before anyone answered.
        Cancelled = "cancelled",
        NoAnswer = "no_answer",
        /// Someone lost their connection and did not come back.
        Lost = "lost",
        /// Who was called was in another call.
        Busy = "busy",
        /// Who was called was not there, or not to be seen.
        Offline = "offline",
        DoNotDisturb = "do_not_disturb",
        /// One of the two blocked the other, or the conversation is no more.
        NotAllowed = "not_allowed",
        /// The server was stopped.
        ServerStopped = "server_stopped",
    }
}

/// Who may call someone, among those who may write to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallsFrom {
    #[default]
    Everyone,
    Friends,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    Incoming,
    Outgoing,
}

/// A call that is over, as one of those who were called, or who called, has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallEntry {
    pub id: CallId,
    pub channel_id: ChannelId,
    pub direction: CallDirection,
    /// Everyone else who was called or called.
    pub others: Vec<User>,
    pub started_at_ms: UnixMs,
    /// How long the reader talked; none: not at all.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    pub reason: CallEnd,
    /// The reader was called and did not answer.
    pub missed: bool,
}
