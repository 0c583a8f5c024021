//! Calls of this device: begun, answered, hung up and lost, with answers that come late or never.

use voxhall_protocol::{
    CallId,
    control::{CallEnd, CallParty, PartyState},
};

use super::*;
use crate::{CallIntent, CallOver};

const DIRECT: ChannelId = ChannelId(50);

fn call(id: u64, me: PartyState, other: PartyState) -> LiveCall {
    LiveCall {
        id: CallId(id),
        channel_id: DIRECT,
        caller_id: UserId(1),
        started_at_ms: 1,
        answered_at_ms: (other == PartyState::Talking).then_some(2),
        parties: vec![
            CallParty {
                user_id: UserId(1),
                state: me,
            },
            CallParty {
                user_id: UserId(2),
                state: other,
            },
        ],
        voice: Vec::new(),
    }
}

fn updated(id: u64, me: PartyState, other: PartyState) -> Event {
    Event::CallUpdated {
        call: call(id, me, other),
    }
}

fn ended(id: u64, reason: CallEnd) -> Event {
    Event::CallEnded {
        call_id: CallId(id),
        channel_id: DIRECT,
        reason,
        by: None,
    }
}

impl Bench {
    fn calls(&self) -> &crate::Calls {
        &self.core.state().calls
    }

    fn start_call(&mut self) -> u64 {
        self.intent(Intent::Call(CallIntent::Start {
            channel: DIRECT,
            end_current: false,
        }));
        let (params, id) = self.expect("call.start");
        assert_eq!(params["channel_id"], 50);
        id
    }

    /// In a call that was answered.
    fn in_call() -> Self {
        let mut bench = Self::online();
        let id = bench.start_call();
        let rings = call(1, PartyState::Connecting, PartyState::Ringing);
        bench.event(&Event::CallUpdated {
            call: rings.clone(),
        });
        bench.result(id, serde_json::to_value(&rings).unwrap());
        let (params, id) = bench.expect("voice.join");
        assert_eq!(params["channel_id"], 50);
        let mut grant = grant();
        grant["channel_id"] = 50.into();
        bench.result(id, grant);
        bench.input(Input::VoiceOpened);
        bench.event(&updated(1, PartyState::Talking, PartyState::Talking));
        bench.out.clear();
        bench
    }

    /// Comes back into the call that runs, without the voice.
    fn enter_again(&mut self) {
        self.intent(Intent::Call(CallIntent::Answer {
            call: CallId(1),
            end_current: false,
        }));
        let (_, id) = self.expect("call.answer");
        let runs = call(1, PartyState::Connecting, PartyState::Talking);
        self.result(id, serde_json::to_value(runs).unwrap());
        self.expect("voice.join");
        assert_eq!(self.calls().here, Some(CallId(1)));
    }

    fn last(&self) -> Option<CallOver> {
        self.calls().last.as_ref().map(|last| last.why.clone())
    }
}

#[test]
fn a_call_is_begun_and_both_sides_learn_why_it_ended() {
    let mut bench = Bench::in_call();
    let state = bench.core.state();
    assert_eq!(state.call_here().map(|call| call.id), Some(CallId(1)));
    assert_eq!(state.voice.path, VoicePath::Open(DIRECT));
    bench.event(&Event::VoiceEnded {
        channel_id: DIRECT,
        reason: control::EndReason::CallOver,
    });
    bench.event(&ended(1, CallEnd::HungUp));
    assert_eq!(bench.done(), [Output::StopVoice]);
    assert!(matches!(
        bench.last(),
        Some(CallOver::Ended {
            reason: CallEnd::HungUp,
            answered_at_ms: Some(2),
            ..
        })
    ));
    assert!(bench.core.state().notices.is_empty());
    bench.intent(Intent::Call(CallIntent::DismissLast));
    assert_eq!(bench.last(), None);
}

#[test]
fn a_call_that_rings_is_answered_or_rejected_and_stops_when_another_device_answers() {
    let mut bench = Bench::online();
    bench.event(&updated(4, PartyState::Ringing, PartyState::Talking));
    let rings = |bench: &Bench| bench.core.state().incoming_call().map(|call| call.id);
    assert_eq!(rings(&bench), Some(CallId(4)));
    bench.out.clear();
    bench.intent(Intent::Call(CallIntent::Reject(CallId(4))));
    bench.expect("call.reject");
    bench.intent(Intent::Call(CallIntent::Answer {
        call: CallId(4),
        end_current: true,
    }));
    let (params, id) = bench.expect("call.answer");
    assert_eq!(
        (&params["call_id"], &params["end_current"]),
        (&4.into(), &true.into())
    );
    bench.failure(id, FailureKind::Conflict);
    assert!(matches!(
        bench.last(),
        Some(CallOver::Refused {
            kind: FailureKind::Conflict,
            ..
        })
    ));
    bench.event(&updated(4, PartyState::Talking, PartyState::Talking));
    assert_eq!(rings(&bench), None);
    assert!(bench.core.state().call_here().is_none());
    assert!(bench.core.state().own_call().is_some());
}

#[test]
fn hanging_up_before_the_answer_comes_leaves_no_call_behind() {
    let mut bench = Bench::online();
    let id = bench.start_call();
    bench.intent(Intent::Call(CallIntent::HangUp));
    assert!(bench.done().is_empty(), "there is nothing to leave yet");
    let rings = call(1, PartyState::Connecting, PartyState::Ringing);
    bench.event(&Event::CallUpdated {
        call: rings.clone(),
    });
    bench.out.clear();
    bench.result(id, serde_json::to_value(&rings).unwrap());
    let (params, _) = bench.expect("call.leave");
    assert_eq!(params["call_id"], 1);
    assert_eq!(bench.calls().here, None);
    assert_eq!(bench.core.state().voice.path, VoicePath::Out);
}

#[test]
fn what_was_asked_on_a_lost_connection_is_not_left_open() {
    let mut bench = Bench::online();
    bench.start_call();
    bench.input(Input::Closed);
    assert_eq!(bench.calls().entering, None);
    assert!(matches!(bench.last(), Some(CallOver::Refused { .. })));
}

#[test]
fn who_hangs_up_while_away_is_out_when_they_are_back() {
    let mut bench = Bench::in_call();
    bench.input(Input::Closed);
    bench.intent(Intent::Call(CallIntent::HangUp));
    assert!(bench.out.contains(&Output::StopVoice));
    bench.pass();
    bench.out.clear();
    bench.resume(0);
    let (params, _) = bench.expect("call.leave");
    assert_eq!(params["call_id"], 1);
}

#[test]
fn a_call_goes_on_after_a_cut_and_is_over_if_the_server_says_so() {
    let mut bench = Bench::in_call();
    bench.input(Input::Closed);
    bench.pass();
    let mut with_call = ready();
    let away = call(1, PartyState::Away, PartyState::Talking);
    with_call["calls"] = serde_json::to_value([away]).unwrap();
    bench.begin_anew(with_call);
    bench.expect("voice.join");
    assert_eq!(bench.calls().here, Some(CallId(1)));

    bench.input(Input::Closed);
    bench.pass();
    bench.begin_anew(ready());
    assert!(bench.out.contains(&Output::StopVoice), "{:?}", bench.out);
    assert_eq!(bench.calls().here, None);
    assert!(matches!(
        bench.last(),
        Some(CallOver::Ended {
            reason: CallEnd::Lost,
            ..
        })
    ));
}

#[test]
fn a_program_that_is_started_anew_finds_its_call_and_may_return() {
    let mut bench = Bench::online();
    bench.input(Input::Closed);
    bench.pass();
    let mut with_call = ready();
    let mut away = call(1, PartyState::Talking, PartyState::Talking);
    let mut own: VoiceState = serde_json::from_value(voice_state(1)).unwrap();
    own.channel_id = DIRECT;
    away.voice.push(own);
    with_call["calls"] = serde_json::to_value([away]).unwrap();
    bench.begin_anew(with_call);
    let sent = bench
        .out
        .iter()
        .any(|output| matches!(output, Output::Send(_)));
    assert!(!sent, "its own voice is not left: {:?}", bench.out);
    assert!(bench.core.state().own_call().is_some());
}

#[test]
fn going_elsewhere_hangs_up_once_the_server_lets_one_in_there() {
    let mut bench = Bench::in_call();
    bench.intent(Intent::JoinVoice(ChannelId(2)));
    let (_, id) = bench.expect("voice.join");
    assert_eq!(bench.calls().here, Some(CallId(1)), "nobody said yes yet");
    bench.failure(id, FailureKind::ChannelFull);
    assert_eq!(bench.calls().here, Some(CallId(1)));
    assert_eq!(bench.last(), None);
    assert_eq!(bench.core.state().voice.path, VoicePath::Open(DIRECT));
    assert!(!bench.out.contains(&Output::StopVoice));

    bench.intent(Intent::JoinVoice(ChannelId(2)));
    let (_, id) = bench.expect("voice.join");
    bench.result(id, grant());
    assert_eq!(bench.calls().here, None);
    assert!(matches!(bench.last(), Some(CallOver::Ended { .. })));
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Opening(ChannelId(2))
    );
}

#[test]
fn a_refused_room_leaves_the_call_as_it_is() {
    let mut bench = Bench::in_call();
    bench.intent(Intent::JoinStage(control::JoinStage::by_id(ChannelId(60))));
    let (_, id) = bench.expect("stage.join");
    bench.failure(id, FailureKind::Banned);
    assert_eq!(bench.calls().here, Some(CallId(1)));
    assert_eq!(bench.core.state().voice.path, VoicePath::Open(DIRECT));
}

#[test]
fn a_call_that_ends_on_the_way_elsewhere_is_not_come_back_to() {
    for hangs_up_here in [true, false] {
        let mut bench = Bench::in_call();
        bench.intent(Intent::JoinVoice(ChannelId(2)));
        let (_, id) = bench.expect("voice.join");
        if hangs_up_here {
            bench.intent(Intent::Call(CallIntent::HangUp));
        } else {
            bench.event(&updated(1, PartyState::Left, PartyState::Talking));
        }
        assert!(
            bench.out.contains(&Output::StopVoice),
            "nobody is heard of in a call that was left: {:?}",
            bench.out
        );
        assert_eq!(bench.calls().here, None);
        assert_eq!(
            bench.core.state().voice.path,
            VoicePath::Joining(ChannelId(2))
        );
        bench.failure(id, FailureKind::ChannelFull);
        assert_eq!(bench.core.state().voice.path, VoicePath::Out);
    }
}

#[test]
fn a_call_that_was_left_and_entered_again_goes_on_after_a_cut() {
    let mut bench = Bench::in_call();
    bench.input(Input::Closed);
    bench.intent(Intent::Call(CallIntent::HangUp));
    bench.pass();
    bench.hello();
    let (_, id) = bench.expect("session.resume");
    // Of what was missed, one event is still to come, before the answer.
    bench.result(id, json!({ "missed": 1 }));
    bench.intent(Intent::Call(CallIntent::Answer {
        call: CallId(1),
        end_current: false,
    }));
    bench.event(&updated(1, PartyState::Away, PartyState::Talking));
    bench.assert_not_sent("call.leave");

    let mut bench = Bench::in_call();
    bench.intent(Intent::JoinVoice(ChannelId(2)));
    let (_, id) = bench.expect("voice.join");
    bench.event(&updated(1, PartyState::Left, PartyState::Talking));
    bench.result(id, grant());
    bench.enter_again();
    bench.event(&updated(1, PartyState::Talking, PartyState::Talking));
    bench.input(Input::Closed);
    bench.pass();
    bench.resume(0);
    bench.assert_not_sent("call.leave");
}

#[test]
fn a_call_asked_for_twice_is_entered_once_and_stays() {
    let mut bench = Bench::online();
    let first = bench.start_call();
    bench.intent(Intent::Call(CallIntent::Start {
        channel: DIRECT,
        end_current: false,
    }));
    bench.assert_not_sent("call.start");
    let rings = call(1, PartyState::Connecting, PartyState::Ringing);
    bench.event(&Event::CallUpdated {
        call: rings.clone(),
    });
    bench.result(first, serde_json::to_value(&rings).unwrap());
    bench.expect("voice.join");
    assert_eq!(bench.calls().here, Some(CallId(1)));

    // Hung up in between: both answers are about the same call.
    let mut bench = Bench::online();
    let first = bench.start_call();
    bench.intent(Intent::Call(CallIntent::HangUp));
    let second = bench.start_call();
    bench.event(&Event::CallUpdated {
        call: rings.clone(),
    });
    for id in [first, second] {
        bench.result(id, serde_json::to_value(&rings).unwrap());
        bench.assert_not_sent("call.leave");
    }
    assert_eq!(bench.calls().here, Some(CallId(1)));
}

#[test]
fn hanging_up_on_another_device_ends_it_here() {
    let mut bench = Bench::in_call();
    bench.event(&updated(1, PartyState::Left, PartyState::Talking));
    assert_eq!(bench.done(), [Output::StopVoice]);
    assert_eq!(bench.calls().here, None);
}

#[test]
fn leaving_voice_hangs_up() {
    let mut bench = Bench::in_call();
    bench.intent(Intent::LeaveVoice);
    assert!(bench.out.contains(&Output::StopVoice));
    bench.expect("call.leave");
    assert_eq!(bench.calls().here, None);
}

#[test]
fn who_goes_elsewhere_or_out_before_the_answer_comes_is_not_in_the_call() {
    for elsewhere in [true, false] {
        let mut bench = Bench::online();
        let id = bench.start_call();
        bench.intent(if elsewhere {
            Intent::JoinVoice(ChannelId(2))
        } else {
            Intent::LeaveVoice
        });
        let path = bench.core.state().voice.path;
        assert_eq!(bench.calls().entering, None);
        let rings = call(1, PartyState::Connecting, PartyState::Ringing);
        bench.event(&Event::CallUpdated {
            call: rings.clone(),
        });
        bench.result(id, serde_json::to_value(&rings).unwrap());
        bench.expect("call.leave");
        assert_eq!(bench.calls().here, None);
        assert_eq!(bench.core.state().voice.path, path);
    }
}

#[test]
fn of_a_call_and_a_room_asked_for_together_the_later_one_is_gone_to() {
    let mut bench = Bench::online();
    let ring = bench.start_call();
    bench.intent(Intent::JoinStage(control::JoinStage::by_id(ChannelId(60))));
    let (_, room) = bench.expect("stage.join");
    let rings = call(1, PartyState::Connecting, PartyState::Ringing);
    bench.event(&Event::CallUpdated {
        call: rings.clone(),
    });
    bench.result(ring, serde_json::to_value(&rings).unwrap());
    bench.let_in(room, ChannelId(60));
    bench.assert_not_sent("stage.leave");
    let (params, _) = bench.expect("voice.join");
    assert_eq!(params["channel_id"], 60);
}
