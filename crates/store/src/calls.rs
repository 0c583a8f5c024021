//! What is kept of calls.

use std::future::Future;

use voxhall_protocol::{
    CallId, ChannelId, UserId,
    control::{CallEnd, CallPage, CallsFrom, UnixMs},
};

use crate::StoreError;

pub trait Calls: Send + Sync {
    /// When a server starts: ends the calls that ran when it was stopped, of which whoever had not answered missed one. The newest call
    /// there is.
    fn begin_calls(&self) -> impl Future<Output = Result<Option<CallId>, StoreError>> + Send;

    /// Stores a call as it is now, in place of what was stored of it before. Of one that is over, its parties are told.
    fn save_call(&self, call: CallRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Calls of a user that are over, older than `before`, newest first.
    fn calls(
        &self,
        user: UserId,
        before: Option<CallId>,
        limit: u32,
    ) -> impl Future<Output = Result<CallPage, StoreError>> + Send;

    /// Calls that a user missed and has not looked at.
    fn missed_calls(&self, user: UserId) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// A user has looked at the calls up to this one.
    fn mark_calls_seen(
        &self,
        user: UserId,
        up_to: CallId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Who may call a user.
    fn set_calls_from(
        &self,
        user: UserId,
        from: CallsFrom,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Calls are kept for so long.
pub const CALLS_KEPT_MS: UnixMs = 180 * 24 * 3_600_000;

/// A call as the live state tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    pub id: CallId,
    pub channel: ChannelId,
    pub caller: UserId,
    pub started_at_ms: UnixMs,
    /// None: it runs.
    pub end: Option<CallEnd>,
    pub parties: Vec<CallPartyRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPartyRecord {
    pub user: UserId,
    /// None: did not talk.
    pub duration_ms: Option<u64>,
    /// Was called, and did not answer so far.
    pub missed: bool,
}
