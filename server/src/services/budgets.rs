//! What one user may do in a while, all connections together.

use std::time::{Duration, Instant};

use voxhall_protocol::{
    UserId,
    control::{Failure, Request},
};

use crate::{rates::RateLimit, words};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Any request at all.
    Requests,
    /// Beginning sessions and going on with them: each gathers everything that its user sees.
    Sessions,
    /// Entering and leaving voice channels: each changes keys for everyone there.
    VoiceJoins,
    /// Each is told to a whole guild, as a message is.
    VoiceUpdates,
    Messages,
    History,
    Invites,
    /// Finding others, asking them to be friends, opening conversations: each looks around in the store, or writes to it.
    People,
    /// Each is told to all who read the channel.
    Reactions,
    /// How far one has read.
    Reading,
    /// Each may keep a thread busy for seconds.
    Searches,
    /// Files that are announced.
    Uploads,
    /// Files that are sent or fetched, each in one request or several.
    Transfers,
    /// That one is writing: the client says so every few seconds.
    Typing,
    /// Each is told to everyone who knows this user.
    Presence,
    /// Each rings at somebody, or tells all who follow somebody.
    Calls,
    /// What managers and moderators do: each may change what a whole guild sees.
    Structure,
}

impl Budget {
    /// Of what a request asks for, where the service doesn't take it itself.
    pub fn of(request: &Request) -> Option<Self> {
        use Request as R;
        match request {
            R::StartTyping(_) => Some(Self::Typing),
            R::SetPresence(_) | R::SetIdle(_) | R::UpdateAccount(_) | R::SetCallsFrom(_) => {
                Some(Self::Presence)
            }
            R::OpenStage(_) | R::BeginStage(_) => Some(Self::Calls),
            R::RaiseHand(_)
            | R::AcceptStage(_)
            | R::SetStageRole(_)
            | R::RemoveFromStage(_)
            | R::UpdateStage(_)
            | R::EndStage(_) => Some(Self::VoiceUpdates),
            R::ListStages(_) => Some(Self::History),
            R::JoinStage(_)
            | R::LeaveStage(_)
            | R::JoinVoice(_)
            | R::LeaveVoice(_)
            | R::AnswerCall(_)
            | R::RejectCall(_)
            | R::LeaveCall(_) => Some(Self::VoiceJoins),
            R::UpdateVoice(_) => Some(Self::VoiceUpdates),
            R::CreateInvite(_) => Some(Self::Invites),
            R::MarkCallsSeen(_) => Some(Self::Reading),
            R::SendMessage(_) => Some(Self::Messages),
            R::ListMessages(_) | R::ListCalls(_) => Some(Self::History),
            R::CreateGuild(_)
            | R::UpdateGuild(_)
            | R::DeleteGuild(_)
            | R::LeaveGuild(_)
            | R::TransferGuild(_)
            | R::CreateChannel(_)
            | R::UpdateChannel(_)
            | R::DeleteChannel(_)
            | R::ReorderChannels(_)
            | R::SetOverwrite(_)
            | R::CreateRole(_)
            | R::UpdateRole(_)
            | R::DeleteRole(_)
            | R::ReorderRoles(_)
            | R::UpdateMember(_)
            | R::KickMember(_)
            | R::BanMember(_)
            | R::UnbanMember(_)
            | R::TimeoutMember(_)
            | R::ModerateVoice(_)
            | R::MoveVoice(_)
            | R::DisconnectVoice(_) => Some(Self::Structure),
            _ => None,
        }
    }

    const ALL: [Self; 17] = [
        Self::Requests,
        Self::Sessions,
        Self::VoiceJoins,
        Self::VoiceUpdates,
        Self::Messages,
        Self::History,
        Self::Invites,
        Self::People,
        Self::Reactions,
        Self::Reading,
        Self::Searches,
        Self::Uploads,
        Self::Transfers,
        Self::Typing,
        Self::Presence,
        Self::Calls,
        Self::Structure,
    ];

    /// For long, and at once.
    fn rate(self) -> (Duration, u32) {
        let per_s = |count: u32| Duration::from_secs(1) / count;
        match self {
            Self::Requests => (per_s(30), 120),
            Self::Sessions => (Duration::from_secs(2), 20),
            Self::VoiceJoins => (per_s(2), 20),
            Self::People => (per_s(2), 30),
            Self::VoiceUpdates => (per_s(10), 30),
            Self::Invites => (Duration::from_secs(60), 10),
            Self::Messages | Self::History => (per_s(5), 10),
            Self::Reactions | Self::Reading => (per_s(10), 40),
            Self::Searches | Self::Uploads => (per_s(1), 20),
            Self::Transfers => (per_s(20), 200),
            Self::Typing => (per_s(1), 10),
            Self::Presence => (Duration::from_secs(2), 10),
            Self::Calls => (Duration::from_secs(5), 10),
            Self::Structure => (per_s(4), 60),
        }
    }
}

pub struct Budgets([RateLimit<UserId>; Budget::ALL.len()]);

impl Budgets {
    pub fn new(now: Instant) -> Self {
        Self(Budget::ALL.map(|budget| {
            let (each, burst) = budget.rate();
            RateLimit::new(each, burst, now)
        }))
    }

    /// # Errors
    /// Says how long to wait.
    pub fn take(&self, budget: Budget, user: UserId) -> Result<(), Failure> {
        self.0[budget as usize]
            .take(user, Instant::now())
            .map_err(words::rate_limited)
    }
}
