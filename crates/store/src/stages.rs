//! Stage rooms, until they are ended. Who is in them is the live state's.

use std::{collections::BTreeSet, future::Future};

use voxhall_protocol::{
    ChannelId, UserId,
    control::{StageAccess, UnixMs},
};

use crate::StoreError;

pub trait Stages: Send + Sync {
    /// # Errors
    /// [`StageError::TooMany`]: the host has [`MAX_STAGES`] already.
    fn open_stage(
        &self,
        new: NewStage,
    ) -> impl Future<Output = Result<StageRecord, StageError>> + Send;

    /// A scheduled room begins; says whether it does. One that has begun stays as it is.
    fn begin_stage(
        &self,
        stage: ChannelId,
        now: UnixMs,
    ) -> impl Future<Output = Result<bool, StageError>> + Send;

    fn update_stage(
        &self,
        stage: ChannelId,
        topic: String,
    ) -> impl Future<Output = Result<(), StageError>> + Send;

    fn ban_from_stage(
        &self,
        stage: ChannelId,
        user: UserId,
    ) -> impl Future<Output = Result<(), StageError>> + Send;

    /// The room is no more. Without one nothing happens.
    fn end_stage(&self, stage: ChannelId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends those that were to begin more than [`NEVER_BEGUN_MS`] ago.
    fn end_forgotten_stages(
        &self,
        now: UnixMs,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All there are, when a server starts.
    fn stages(&self) -> impl Future<Output = Result<Vec<StageRecord>, StoreError>> + Send;
}

/// Rooms of one host, begun or to come.
pub const MAX_STAGES: u32 = 10;
/// A room that should have begun is waited for so long.
pub const NEVER_BEGUN_MS: UnixMs = 24 * 3_600_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStage {
    pub host: UserId,
    pub topic: String,
    pub access: StageAccess,
    pub code: String,
    /// None: it begins now.
    pub scheduled_at_ms: Option<UnixMs>,
    pub now: UnixMs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRecord {
    pub id: ChannelId,
    pub host: UserId,
    pub topic: String,
    pub access: StageAccess,
    pub code: String,
    pub scheduled_at_ms: Option<UnixMs>,
    pub started_at_ms: Option<UnixMs>,
    pub banned: BTreeSet<UserId>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    #[error("no such room")]
    NoStage,
    #[error("no such user")]
    NoUser,
    #[error("the host has as many as there may be")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}
