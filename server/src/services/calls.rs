//! Calls: the live state runs them, the store keeps what was.

use std::sync::Arc;

use tokio::sync::mpsc;
use voxhall_protocol::{
    UserId,
    control::{
        AnswerCall, CallPage, Done, Failure, LeaveCall, ListCalls, LiveCall, MarkCallsSeen,
        RejectCall, RingAgain, SetCallsFrom, StartCall,
    },
    limits::PAGE,
};
use voxhall_store::{Calls, Stages};

use super::{Budget, Caller, Services};
use crate::{live::ToStore, words};

impl Services {
    pub async fn start_call(
        &self,
        caller: &Caller,
        params: StartCall,
    ) -> Result<LiveCall, Failure> {
        self.budgets.take(Budget::Calls, caller.user)?;
        (self.hub).act(|live, now, out| live.start_call(caller.connection, params, now, out))
    }

    pub async fn answer_call(
        &self,
        caller: &Caller,
        params: AnswerCall,
    ) -> Result<LiveCall, Failure> {
        (self.hub).act(|live, now, out| live.answer_call(caller.connection, params, now, out))
    }

    pub async fn reject_call(&self, caller: &Caller, params: RejectCall) -> Result<Done, Failure> {
        let id = params.call_id;
        (self.hub).act(|live, now, out| live.reject_call(caller.connection, id, now, out))?;
        Ok(Done {})
    }

    pub async fn leave_call(&self, caller: &Caller, params: LeaveCall) -> Result<Done, Failure> {
        let id = params.call_id;
        (self.hub).act(|live, now, out| live.leave_call(caller.connection, id, now, out))?;
        Ok(Done {})
    }

    pub async fn ring_again(&self, caller: &Caller, params: RingAgain) -> Result<Done, Failure> {
        self.budgets.take(Budget::Calls, caller.user)?;
        (self.hub).act(|live, now, out| live.ring_again(caller.connection, params, now, out))?;
        Ok(Done {})
    }

    pub async fn list_calls(
        &self,
        caller: &Caller,
        params: ListCalls,
    ) -> Result<CallPage, Failure> {
        let page = self.store.calls(caller.user, params.before, PAGE).await;
        page.map_err(|error| words::store(&error))
    }

    pub async fn mark_calls_seen(
        &self,
        caller: &Caller,
        params: MarkCallsSeen,
    ) -> Result<Done, Failure> {
        let seen = self.store.mark_calls_seen(caller.user, params.up_to).await;
        seen.map_err(|error| words::store(&error))?;
        Ok(Done {})
    }

    pub async fn set_calls_from(
        &self,
        caller: &Caller,
        params: SetCallsFrom,
    ) -> Result<Done, Failure> {
        let set = self.store.set_calls_from(caller.user, params.from).await;
        set.map_err(|error| words::store(&error))?;
        Ok(Done {})
    }

    pub async fn missed_calls(&self, user: UserId) -> Result<u32, Failure> {
        let missed = self.store.missed_calls(user).await;
        missed.map_err(|error| words::store(&error))
    }

    /// Stores what the live state wants stored, one after the other.
    pub async fn keep_live(self: Arc<Self>, mut work: mpsc::Receiver<ToStore>) {
        while let Some(work) = work.recv().await {
            let (what, kept) = match work {
                ToStore::Call(call) => (
                    format!("call {}", call.id),
                    self.store.save_call(*call).await,
                ),
                ToStore::StageOver(stage) => (
                    format!("the end of room {stage}"),
                    self.store.end_stage(stage).await,
                ),
            };
            if let Err(error) = kept {
                tracing::error!(%error, what, "not stored");
            }
        }
    }
}
