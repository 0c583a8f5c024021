//! Stage rooms: opened, listed, attended, ended.

use voxhall_protocol::{
    ChannelId, UserId,
    control::{
        AcceptStage, BeginStage, Done, EndStage, Failure, FailureKind, JoinStage, LeaveStage,
        ListStages, OpenStage, RaiseHand, RemoveFromStage, SetStageRole, Stage, StageAccess,
        StageList, StageView, UpdateStage,
    },
    limits::{MAX_SCHEDULE_AHEAD_MS, STAGE_TOPIC_CHARS},
};
use voxhall_store::{MAX_STAGES, NewStage, People, StageError, Stages};

use super::{Caller, Services, texts};
use crate::{clock::unix_ms, random, words};

/// Followers who are told of a new room are asked for so many at once.
const FOLLOWERS_AT_ONCE: u32 = 500;

impl Services {
    pub async fn open_stage(&self, caller: &Caller, params: OpenStage) -> Result<Stage, Failure> {
        let topic = topic(&params.topic)?;
        let now = unix_ms();
        if params
            .scheduled_at_ms
            .is_some_and(|at| at <= now || at > now + MAX_SCHEDULE_AHEAD_MS)
        {
            return Err(words::invalid(
                "A room is scheduled for a time to come, within a year.",
            ));
        }
        let new = NewStage {
            host: caller.user,
            topic,
            access: params.access,
            code: random::invite_code(),
            scheduled_at_ms: params.scheduled_at_ms,
            now,
        };
        let opened = self.store.open_stage(new).await;
        let stage = opened.map_err(|error| refusal(&error))?.id;
        self.announce_stage(caller.user, stage).await;
        self.stage_shown(stage)
    }

    pub async fn begin_stage(&self, caller: &Caller, params: BeginStage) -> Result<Stage, Failure> {
        let stage = params.channel_id;
        self.own_stage(caller, stage)?;
        let begun = self.store.begin_stage(stage, unix_ms()).await;
        if begun.map_err(|error| refusal(&error))? {
            self.announce_stage(caller.user, stage).await;
        }
        self.stage_shown(stage)
    }

    pub async fn update_stage(
        &self,
        caller: &Caller,
        params: UpdateStage,
    ) -> Result<Stage, Failure> {
        let stage = params.channel_id;
        self.own_stage(caller, stage)?;
        let updated = self.store.update_stage(stage, topic(&params.topic)?).await;
        updated.map_err(|error| refusal(&error))?;
        self.stage_shown(stage)
    }

    pub async fn end_stage(&self, caller: &Caller, params: EndStage) -> Result<Done, Failure> {
        self.own_stage(caller, params.channel_id)?;
        let ended = self.store.end_stage(params.channel_id).await;
        ended.map_err(|error| words::store(&error))?;
        Ok(Done {})
    }

    pub async fn list_stages(&self, caller: &Caller, _: ListStages) -> Result<StageList, Failure> {
        let stages = self.hub.read(|live| live.stage_list(caller.user));
        Ok(StageList { stages })
    }

    pub async fn join_stage(
        &self,
        caller: &Caller,
        params: JoinStage,
    ) -> Result<StageView, Failure> {
        // By a code one may try to guess, as with invites.
        if params.code.is_some() {
            self.try_invite(caller.source)?;
        }
        (self.hub).act(|live, now, out| live.join_stage(caller.connection, &params, now, out))
    }

    pub async fn leave_stage(&self, caller: &Caller, _: LeaveStage) -> Result<Done, Failure> {
        (self.hub).act(|live, now, out| live.leave_stage(caller.connection, now, out));
        Ok(Done {})
    }

    pub async fn raise_hand(&self, caller: &Caller, params: RaiseHand) -> Result<Done, Failure> {
        (self.hub)
            .act(|live, now, out| live.raise_hand(caller.connection, params.raised, now, out))?;
        Ok(Done {})
    }

    pub async fn accept_stage(&self, caller: &Caller, _: AcceptStage) -> Result<Done, Failure> {
        (self.hub).act(|live, now, out| live.accept_stage(caller.connection, now, out))?;
        Ok(Done {})
    }

    pub async fn set_stage_role(
        &self,
        caller: &Caller,
        params: SetStageRole,
    ) -> Result<Done, Failure> {
        (self.hub)
            .act(|live, now, out| live.set_stage_role(caller.connection, params, now, out))?;
        Ok(Done {})
    }

    /// A ban is on disk before anyone is out of the room.
    pub async fn remove_from_stage(
        &self,
        caller: &Caller,
        params: RemoveFromStage,
    ) -> Result<Done, Failure> {
        let connection = caller.connection;
        let stage =
            (self.hub).read(|live| live.may_remove_from_stage(connection, params.user_id))?;
        if params.ban {
            let banned = self.store.ban_from_stage(stage, params.user_id).await;
            banned.map_err(|error| refusal(&error))?;
        } else {
            self.hub
                .act(|live, now, out| live.remove_from_stage(connection, params, now, out))?;
        }
        Ok(Done {})
    }

    /// Tells the host's followers who are there.
    async fn announce_stage(&self, host: UserId, stage: ChannelId) {
        let is_public = self
            .hub
            .read(|live| live.stage_access(stage) == Some(StageAccess::Public));
        if !is_public {
            return;
        }
        let mut after = None;
        loop {
            let page = match self.store.followers(host, after, FOLLOWERS_AT_ONCE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "followers are not told of a room");
                    return;
                }
            };
            let users: Vec<_> = page.users.iter().map(|user| user.id).collect();
            self.hub
                .act(|live, _, out| live.announce_stage(stage, &users, out));
            after = users.last().copied();
            if !page.more || after.is_none() {
                return;
            }
        }
    }

    fn own_stage(&self, caller: &Caller, stage: ChannelId) -> Result<(), Failure> {
        let host = self.hub.read(|live| live.stage_host(caller.user, stage));
        match host {
            Some(host) if host == caller.user => Ok(()),
            Some(_) => Err(Failure::new(
                FailureKind::Forbidden,
                "Only the host of a room does this.",
            )),
            None => Err(words::not_found("room")),
        }
    }

    fn stage_shown(&self, stage: ChannelId) -> Result<Stage, Failure> {
        let shown = self.hub.read(|live| live.stage_shown(stage));
        shown.ok_or_else(|| words::not_found("room"))
    }
}

fn topic(text: &str) -> Result<String, Failure> {
    texts::line(text, STAGE_TOPIC_CHARS, "A topic")
}

fn refusal(error: &StageError) -> Failure {
    match error {
        StageError::NoStage => words::not_found("room"),
        StageError::NoUser => words::not_found("user"),
        StageError::TooMany => Failure::new(
            FailureKind::TooMany,
            format!("You have {MAX_STAGES} rooms, open or to come. End one first."),
        ),
        StageError::Store(error) => words::store(error),
    }
}
