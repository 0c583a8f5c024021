//! Calls: those that run in one's conversations, and how this device stands to them.

use std::collections::BTreeMap;

use voxhall_protocol::{
    CallId, ChannelId, UserId,
    control::{
        CallEnd, CallsFrom, Event, FailureKind, LiveCall, PartyState, Ready, UnixMs, VoiceState,
    },
};

use super::State;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calls {
    /// By conversation.
    pub running: BTreeMap<ChannelId, LiveCall>,
    /// Calls that were missed and not looked at.
    pub missed: u32,
    /// Who may call this user.
    pub from: CallsFrom,
    /// The conversation whose call this device asked to begin or to answer; the server has not said yes yet.
    pub entering: Option<ChannelId>,
    /// The call that this device is in.
    pub here: Option<CallId>,
    /// How the last call of this device ended, until that was seen.
    pub last: Option<LastCall>,
}

/// What is left to be said of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct LastCall {
    pub channel: ChannelId,
    pub why: CallOver,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CallOver {
    /// It was, and is over.
    Ended {
        reason: CallEnd,
        by: Option<UserId>,
        /// None: nobody had answered.
        answered_at_ms: Option<UnixMs>,
    },
    /// It could not be made or answered.
    Refused { kind: FailureKind, words: String },
}

impl Calls {
    fn by_id(&self, id: CallId) -> Option<&LiveCall> {
        self.running.values().find(|call| call.id == id)
    }

    pub(crate) fn begin(&mut self, ready: &mut Ready) {
        let calls = std::mem::take(&mut ready.calls);
        self.running = calls
            .into_iter()
            .map(|call| (call.channel_id, call))
            .collect();
        self.missed = ready.missed_calls;
        self.from = ready.calls_from;
    }

    pub(crate) fn fold(&mut self, event: &Event) {
        match event {
            Event::CallUpdated { call } => {
                self.running.insert(call.channel_id, call.clone());
            }
            Event::CallEnded {
                call_id,
                channel_id,
                reason,
                by,
            } => {
                if self.here == Some(*call_id) {
                    self.over(*reason, *by);
                }
                let is_it = |call: &LiveCall| call.id == *call_id;
                if self.running.get(channel_id).is_some_and(is_it) {
                    self.running.remove(channel_id);
                }
            }
            Event::CallLogged { missed, .. } | Event::CallsSeen { missed } => self.missed = *missed,
            Event::CallsFromSet { from } => self.from = *from,
            Event::ConversationLeft { channel_id } => {
                self.running.remove(channel_id);
            }
            _ => {}
        }
    }

    /// This device is no longer in its call.
    pub(crate) fn over(&mut self, reason: CallEnd, by: Option<UserId>) {
        let Some(call) = self.here.take().and_then(|id| self.by_id(id)) else {
            return;
        };
        self.last = Some(LastCall {
            channel: call.channel_id,
            why: CallOver::Ended {
                reason,
                by,
                answered_at_ms: call.answered_at_ms,
            },
        });
    }

    /// The voice of one call.
    pub(crate) fn voice_mut(&mut self, channel: ChannelId) -> Option<&mut Vec<VoiceState>> {
        Some(&mut self.running.get_mut(&channel)?.voice)
    }
}

impl State {
    /// The call that rings at this user.
    pub fn incoming_call(&self) -> Option<&LiveCall> {
        let me = self.me.as_ref()?.id;
        let rings = |call: &&LiveCall| call.party(me) == Some(PartyState::Ringing);
        self.calls.running.values().find(rings)
    }

    /// Whether this call rings at this user.
    pub fn rings(&self, call: CallId) -> bool {
        let call = self.calls.by_id(call);
        let me = self.me.as_ref();
        call.zip(me)
            .is_some_and(|(call, me)| call.party(me.id) == Some(PartyState::Ringing))
    }

    /// The call that this device is in.
    pub fn call_here(&self) -> Option<&LiveCall> {
        self.calls.by_id(self.calls.here?)
    }

    /// The call that this user is in, on this device or another, or to which they may come back.
    pub fn own_call(&self) -> Option<&LiveCall> {
        let me = self.me.as_ref()?.id;
        let present = |call: &&LiveCall| call.party(me).is_some_and(PartyState::is_present);
        self.calls.running.values().find(present)
    }

    /// Everyone in voice anywhere.
    pub fn voice_states(&self) -> impl Iterator<Item = &VoiceState> {
        let of_guilds = self.guilds.iter().flat_map(|guild| guild.voice.values());
        let of_calls = self.calls.running.values().flat_map(|call| &call.voice);
        let of_stage = self.stage.iter().flat_map(|stage| &stage.voice);
        of_guilds.chain(of_calls).chain(of_stage)
    }
}
