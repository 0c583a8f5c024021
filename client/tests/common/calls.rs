//! Calls with Bea, in every state.

use std::sync::Arc;

use voxhall_protocol::{
    CallId, ChannelId,
    control::{
        CallParty, ChannelKind, Conversation, ConversationMember, LiveCall, PartyState, Presence,
        Status,
    },
};
use voxhall_session::{Calls, State, VoicePath};

use super::{BEA, ME, NOW_MS, evening, user};

pub const DIRECT: ChannelId = ChannelId(70);

/// An evening with a conversation with Bea.
pub fn with_bea(status: Status) -> State {
    let member = |id| ConversationMember {
        user: user(id),
        presence: Presence {
            status,
            custom_status: None,
        },
    };
    let conversation = Conversation {
        id: DIRECT,
        kind: ChannelKind::Direct,
        name: None,
        owner_id: None,
        members: vec![member(1), member(2)],
    };
    State {
        conversations: Arc::new([(DIRECT, conversation)].into()),
        ..evening()
    }
}

pub fn call(me: PartyState, bea: PartyState, answered: bool) -> LiveCall {
    let party = |user_id, state| CallParty { user_id, state };
    LiveCall {
        id: CallId(3),
        channel_id: DIRECT,
        caller_id: BEA,
        started_at_ms: NOW_MS - 90_000,
        answered_at_ms: answered.then_some(NOW_MS - 83_000),
        parties: vec![party(ME, me), party(BEA, bea)],
        voice: Vec::new(),
    }
}

pub fn with(state: State, calls: Calls) -> State {
    State {
        calls: Arc::new(calls),
        ..state
    }
}

/// `here`: this device is in it.
pub fn running(call: LiveCall, here: bool) -> State {
    let mut state = with_bea(Status::Online);
    if here {
        state.voice.path = VoicePath::Open(DIRECT);
    }
    with(
        state,
        Calls {
            here: here.then_some(call.id),
            running: [(DIRECT, call)].into(),
            ..Calls::default()
        },
    )
}
