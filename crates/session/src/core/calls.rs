//! Calls: asked for, answered, hung up. Their voice is that of any channel.

use std::{sync::Arc, time::Instant};

use voxhall_protocol::{
    ChannelId,
    control::{
        AnswerCall, CallEnd, Event, Failure, FailureKind, LeaveCall, LiveCall, PartyState,
        RejectCall, RingAgain, StartCall,
    },
};

use super::{Core, Output, Pending};
use crate::{CallIntent, CallOver, Calls, LastCall};

impl Core {
    pub(super) fn call_intent(&mut self, now: Instant, intent: CallIntent, out: &mut Vec<Output>) {
        self.changed = true;
        match intent {
            CallIntent::Start {
                channel,
                end_current,
            } => {
                let start = StartCall {
                    channel_id: channel,
                    end_current,
                };
                if let Some(pending) = self.enter_call(channel) {
                    self.call(now, &start, pending, out);
                }
            }
            CallIntent::Answer { call, end_current } => {
                let running = self.state.calls.running.values();
                let channel = running
                    .filter(|running| running.id == call)
                    .map(|running| running.channel_id)
                    .next();
                let answer = AnswerCall {
                    call_id: call,
                    end_current,
                };
                if let Some(channel) = channel
                    && let Some(pending) = self.enter_call(channel)
                {
                    self.call(now, &answer, pending, out);
                }
            }
            CallIntent::Reject(call_id) => {
                if self.is_online() {
                    self.call(now, &RejectCall { call_id }, Pending::Courtesy, out);
                }
            }
            CallIntent::HangUp => self.hang_up(now, out),
            CallIntent::RingAgain(user_id) => {
                if let (true, Some(call_id)) = (self.is_online(), self.state.calls.here) {
                    let ring = RingAgain { call_id, user_id };
                    self.ask(now, super::Asker::Nobody, ring.into(), out);
                }
            }
            CallIntent::DismissLast => self.calls().last = None,
        }
    }

    /// The server let this device into a call.
    pub(super) fn entered_call(
        &mut self,
        now: Instant,
        wish: u32,
        call: &LiveCall,
        out: &mut Vec<Output>,
    ) {
        let channel = call.channel_id;
        if wish != self.call_wish {
            // Hung up before the answer came. Asked for once more since then, it is the call that the next answer is about.
            let calls = &self.state.calls;
            if calls.entering != Some(channel) && calls.here != Some(call.id) {
                let call_id = call.id;
                self.call(now, &LeaveCall { call_id }, Pending::Courtesy, out);
            }
            return;
        }
        let calls = self.calls();
        calls.entering = None;
        // It may be over again by now: then an event says so.
        let runs = calls.running.get(&channel);
        if runs.is_none_or(|running| running.id != call.id) {
            return;
        }
        calls.here = Some(call.id);
        self.want_channel(now, channel, out);
    }

    pub(super) fn call_refused(&mut self, wish: u32, channel: ChannelId, failure: &Failure) {
        if wish == self.call_wish {
            let words = failure.message.clone();
            self.no_call(channel, failure.kind(), words);
        }
    }

    /// The control connection is lost, and what was asked with it.
    pub(super) fn call_not_asked(&mut self) {
        if let Some(channel) = self.state.calls.entering {
            let words = "The connection was lost before the call began. Try again.".to_owned();
            self.no_call(channel, FailureKind::Unavailable, words);
        }
    }

    /// After an event was folded: another device hung up, or the call is over.
    pub(super) fn call_event(&mut self, event: &Event, out: &mut Vec<Output>) {
        match event {
            Event::CallUpdated { call } if self.state.calls.here == Some(call.id) => {
                let me = self.state.my_id().and_then(|me| call.party(me));
                if !me.is_some_and(PartyState::is_present) {
                    self.calls().over(CallEnd::HungUp, None);
                    self.end_voice_in(call.channel_id, out);
                }
            }
            Event::CallEnded { channel_id, .. } => self.end_voice_in(*channel_id, out),
            _ => {}
        }
    }

    /// Back on a connection.
    pub(super) fn tell_hung_up(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(call_id) = self.hung_up.take()
            && self.state.own_call().is_some_and(|call| call.id == call_id)
        {
            self.call(now, &LeaveCall { call_id }, Pending::Courtesy, out);
        }
    }

    /// After everything was asked for anew: is this device's call, which was in `channel`, still there?
    pub(super) fn take_up_call(&mut self, channel: ChannelId, out: &mut Vec<Output>) {
        let own = self.state.own_call().map(|call| call.id);
        if own == self.state.calls.here {
            return;
        }
        let calls = self.calls();
        calls.here = None;
        calls.last = Some(LastCall {
            channel,
            why: CallOver::Ended {
                reason: CallEnd::Lost,
                by: None,
                answered_at_ms: None,
            },
        });
        self.end_voice_in(channel, out);
    }

    /// The server let the person into the voice of `channel`: that hangs up a call elsewhere.
    pub(super) fn call_left_for(&mut self, channel: ChannelId) {
        let call = self.state.call_here();
        if call.is_some_and(|call| call.channel_id != channel) {
            self.calls().over(CallEnd::HungUp, None);
        }
    }

    pub(super) fn hang_up(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.enter_no_call();
        let Some(call_id) = self.state.calls.here else {
            return;
        };
        let call = self.state.call_here();
        let channel = call.map(|call| call.channel_id);
        let reason = match call.and_then(|call| call.answered_at_ms) {
            Some(_) => CallEnd::HungUp,
            None => CallEnd::Cancelled,
        };
        let me = self.state.my_id();
        self.calls().over(reason, me);
        if let Some(channel) = channel {
            self.end_voice_in(channel, out);
        }
        if self.is_online() {
            self.call(now, &LeaveCall { call_id }, Pending::Courtesy, out);
        } else {
            self.hung_up = Some(call_id);
        }
    }

    /// None: it is asked for already, or can't be now, which is told.
    fn enter_call(&mut self, channel: ChannelId) -> Option<Pending> {
        if self.state.calls.entering == Some(channel) {
            return None;
        }
        self.call_wish += 1;
        if !self.is_online() {
            let words = "There is no connection to the server right now.".to_owned();
            self.no_call(channel, FailureKind::Unavailable, words);
            return None;
        }
        // It may be the very call that was hung up.
        self.hung_up = None;
        let calls = self.calls();
        calls.entering = Some(channel);
        calls.last = None;
        Some(Pending::EnterCall(self.call_wish, channel))
    }

    /// The call that was asked for is wanted no more.
    pub(super) fn enter_no_call(&mut self) {
        self.call_wish += 1;
        if self.state.calls.entering.is_some() {
            self.calls().entering = None;
            self.changed = true;
        }
    }

    fn no_call(&mut self, channel: ChannelId, kind: FailureKind, words: String) {
        let calls = self.calls();
        calls.entering = None;
        calls.last = Some(LastCall {
            channel,
            why: CallOver::Refused { kind, words },
        });
        self.changed = true;
    }

    fn calls(&mut self) -> &mut Calls {
        Arc::make_mut(&mut self.state.calls)
    }
}
