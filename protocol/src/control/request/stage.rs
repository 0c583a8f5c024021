//! Stage rooms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ChannelId, UserId,
    control::{Stage, StageAccess, StageRole, UnixMs},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenStage {
    pub topic: String,
    pub access: StageAccess,
    /// Begins then, with `stage.begin`; none: now.
    #[serde(default)]
    pub scheduled_at_ms: Option<UnixMs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BeginStage {
    pub channel_id: ChannelId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateStage {
    pub channel_id: ChannelId,
    pub topic: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndStage {
    pub channel_id: ChannelId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListStages {}

/// One's own, and 50 others at most: rooms that go on, those with most people first, then those that are to come, the next first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageList {
    pub stages: Vec<Stage>,
}

/// By its id, or a closed one by its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinStage {
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    #[serde(default)]
    pub code: Option<String>,
}

impl JoinStage {
    pub fn by_id(channel: ChannelId) -> Self {
        Self {
            channel_id: Some(channel),
            code: None,
        }
    }

    pub fn by_code(code: impl Into<String>) -> Self {
        Self {
            channel_id: None,
            code: Some(code.into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaveStage {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RaiseHand {
    /// False: takes it down, or refuses to speak when asked.
    pub raised: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptStage {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetStageRole {
    pub user_id: UserId,
    /// Who is to speak is asked first, unless their hand is raised.
    pub role: StageRole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoveFromStage {
    pub user_id: UserId,
    /// And for good.
    #[serde(default)]
    pub ban: bool,
}
