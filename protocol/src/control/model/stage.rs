//! Stage rooms: few speak, many listen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{UnixMs, User, VoiceState};
use crate::ChannelId;

named_enum! {
    /// Who may come into a stage room.
    pub enum StageAccess {
        /// Everyone who is signed in; the room is listed.
        Public = "public",
        /// Whoever has its code.
        Closed = "closed",
    }
}

/// What someone is in a stage room.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StageRole {
    Listener,
    Speaker,
    /// Speaks, and decides who else does.
    CoHost,
    /// Whose room it is.
    Host,
}

impl StageRole {
    pub fn speaks(self) -> bool {
        self >= Self::Speaker
    }

    /// Decides who speaks and who is here.
    pub fn moderates(self) -> bool {
        self >= Self::CoHost
    }
}

/// A room as everyone sees it who may come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Voice is joined there.
    pub id: ChannelId,
    pub topic: String,
    pub access: StageAccess,
    pub host: User,
    /// When it is to begin, if it has not yet.
    #[serde(default)]
    pub scheduled_at_ms: Option<UnixMs>,
    /// None: it has not begun.
    #[serde(default)]
    pub started_at_ms: Option<UnixMs>,
    /// Those who are there now.
    pub speakers: Vec<StageSpeaker>,
    pub listeners: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageSpeaker {
    pub user: User,
    pub role: StageRole,
    /// None: their voice is on its way.
    #[serde(default)]
    pub voice: Option<VoiceState>,
}

/// How one person stands in the room they are in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageStanding {
    pub role: StageRole,
    /// They want to speak.
    pub hand_raised: bool,
    /// A host asks them to speak; `stage.accept` says yes.
    pub invited: bool,
    /// For hosts: who wants to speak, the first first.
    #[serde(default)]
    pub hands: Vec<User>,
    /// For hosts: with which others come in, where the room is closed.
    #[serde(default)]
    pub code: Option<String>,
}

impl StageStanding {
    /// Of who has just come.
    pub fn listener() -> Self {
        Self {
            role: StageRole::Listener,
            hand_raised: false,
            invited: false,
            hands: Vec::new(),
            code: None,
        }
    }
}

/// The room that a user is in, and how they stand there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageView {
    pub stage: Stage,
    pub standing: StageStanding,
}

/// Why someone is no longer in a stage room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageGone {
    /// They left, on whatever device.
    Left,
    /// A host ended the room.
    Ended,
    /// No host was there for too long.
    HostGone,
    /// A host took them out of the room.
    Removed,
    /// And they may not come back.
    Banned,
    /// Nothing was heard of them for too long.
    Lost,
}
