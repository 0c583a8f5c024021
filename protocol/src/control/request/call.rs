//! Calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CallId, ChannelId, UserId,
    control::{CallEntry, CallsFrom},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartCall {
    /// A conversation.
    pub channel_id: ChannelId,
    /// Leave the call that one is in; otherwise it stands in the way.
    #[serde(default)]
    pub end_current: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerCall {
    pub call_id: CallId,
    /// Leave the call that one is in; otherwise it stands in the way.
    #[serde(default)]
    pub end_current: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectCall {
    pub call_id: CallId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaveCall {
    pub call_id: CallId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingAgain {
    pub call_id: CallId,
    pub user_id: UserId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListCalls {
    /// Older than this one.
    #[serde(default)]
    pub before: Option<CallId>,
}

/// Newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallPage {
    pub calls: Vec<CallEntry>,
    /// There are older ones; ask again with `before` the last of these.
    pub more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkCallsSeen {
    /// The newest call that was on the screen.
    pub up_to: CallId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetCallsFrom {
    pub from: CallsFrom,
}
