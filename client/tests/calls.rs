//! Calls as a person sees and clicks them.

mod common;

use std::sync::Arc;

use common::{
    BEA, NOW_MS, Stage,
    calls::{DIRECT, call, running, with, with_bea},
    user,
    view::{self, Wants, click, session},
};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use voxhall::{
    audio::{DeviceError, Port},
    ui::{Dialog, Tab, people::Home},
};
use voxhall_protocol::{
    CallId, ChannelId, UserId,
    control::{
        CallDirection, CallEnd, CallEntry, CallPage, FailureKind, PartyState, Reply, Request,
        Status,
    },
};
use voxhall_session::{
    Answer, CallIntent, CallOver, Calls, Connection, Intent, LastCall, Problem, State, VoicePath,
};

fn window(state: State) -> (Harness<'static, Stage>, Wants) {
    view::window(Stage::new(state))
}

#[test]
fn a_call_comes_in_and_is_accepted_rejected_or_answered_by_a_message() {
    let rings = || running(call(PartyState::Ringing, PartyState::Talking, false), false);
    let (mut window, wants) = window(rings());
    window.get_by_label("Bea is calling");
    window.get_by_label("Picture of Bea");
    click(&mut window, "Accept");
    let accept = CallIntent::Answer {
        call: CallId(3),
        end_current: false,
    };
    assert_eq!(session(&wants), [Intent::Call(accept)]);
    click(&mut window, "Reject");
    assert_eq!(
        session(&wants),
        [Intent::Call(CallIntent::Reject(CallId(3)))]
    );
    click(&mut window, "Message instead");
    assert_eq!(
        session(&wants),
        [Intent::Call(CallIntent::Reject(CallId(3)))]
    );
    window.get_by_label("Message to Bea");
    click(&mut window, "Send the message");
    let sent = session(&wants);
    assert!(
        matches!(&sent[..], [Intent::SendMessage { channel: DIRECT, text, .. }] if text.contains("call you back")),
        "{sent:?}"
    );
    assert!(window.query_by_label("Send the message").is_none());
}

#[test]
fn while_one_is_in_a_call_the_next_is_accepted_by_ending_it() {
    let mut state = running(call(PartyState::Talking, PartyState::Talking, true), true);
    let mut second = call(PartyState::Ringing, PartyState::Talking, false);
    second.id = CallId(4);
    second.channel_id = ChannelId(71);
    Arc::make_mut(&mut state.calls)
        .running
        .insert(ChannelId(71), second);
    let (mut window, wants) = window(state);
    click(&mut window, "End current and accept");
    let accept = CallIntent::Answer {
        call: CallId(4),
        end_current: true,
    };
    assert_eq!(session(&wants), [Intent::Call(accept)]);
}

#[test]
fn a_call_that_runs_shows_its_time_its_people_and_its_switches() {
    let (mut window, wants) = window(running(
        call(PartyState::Talking, PartyState::Away, true),
        true,
    ));
    window.get_by_label("01:23");
    window.get_by_label("Bea connection lost, waiting for them…");
    window.get_by_label("Level of your voice in the call");
    assert!(
        window
            .query_all_by_label_contains("Quality: Voice connected")
            .next()
            .is_some()
    );
    click(&mut window, "Mute in the call");
    click(&mut window, "Turn the speakers off");
    click(&mut window, "Hang up");
    assert_eq!(
        session(&wants),
        [
            Intent::SetMuted(true),
            Intent::SetDeafened(true),
            Intent::Call(CallIntent::HangUp)
        ]
    );
}

#[test]
fn an_outgoing_call_says_whom_it_rings_and_can_be_cancelled() {
    let (mut window, wants) = window(running(
        call(PartyState::Talking, PartyState::Ringing, false),
        true,
    ));
    window.get_by_label("Calling…");
    window.get_by_label("Bea ringing…");
    click(&mut window, "Cancel the call");
    assert_eq!(session(&wants), [Intent::Call(CallIntent::HangUp)]);
}

#[test]
fn the_end_says_why_and_one_may_call_again_where_that_is_possible() {
    let last = |why| LastCall {
        channel: DIRECT,
        why,
    };
    let ended = CallOver::Ended {
        reason: CallEnd::Rejected,
        by: Some(BEA),
        answered_at_ms: None,
    };
    let calls = Calls {
        last: Some(last(ended.clone())),
        ..Calls::default()
    };
    let (mut window, wants) = window(with(with_bea(Status::Online), calls.clone()));
    window.get_by_label("Bea rejected the call.");
    click(&mut window, "Call again");
    click(&mut window, "Close");
    let start = CallIntent::Start {
        channel: DIRECT,
        end_current: false,
    };
    assert_eq!(
        session(&wants),
        [Intent::Call(start), Intent::Call(CallIntent::DismissLast)]
    );
    let (window, _) = self::window(with(with_bea(Status::Offline), calls));
    let again = window.get_by_label("Call again");
    assert!(again.accesskit_node().is_disabled());
}

#[test]
fn calling_someone_is_offered_beside_them_or_says_why_not() {
    let stage = |status| {
        let mut state = with_bea(status);
        state.voice.path = VoicePath::Open(common::LOUNGE);
        state
    };
    let open = |state: State| {
        let (mut window, wants) = window(state);
        window.state_mut().memory.channel = Some(common::LOUNGE);
        window.state_mut().memory.person = Some(UserId(2));
        window.run_steps(6);
        (window, wants)
    };
    let (mut there, wants) = open(stage(Status::Online));
    click(&mut there, "Call");
    assert_eq!(session(&wants).len(), 1);
    let (away, _) = open(stage(Status::Offline));
    assert!(away.get_by_label("Call").accesskit_node().is_disabled());
    away.get_by_label("Bea is not there.");
}

#[test]
fn missed_calls_are_told_listed_and_called_back() {
    let calls = Calls {
        missed: 2,
        ..Calls::default()
    };
    let (mut window, wants) = window(with(with_bea(Status::Online), calls));
    window.get_by_label("You missed 2 calls");
    click(&mut window, "Mark as seen");
    click(&mut window, "Show calls");
    let asked = session(&wants);
    let methods: Vec<_> = asked.iter().filter_map(method).collect();
    assert_eq!(
        methods,
        ["call.mark_seen", "call.list", "call.mark_seen"],
        "{asked:?}"
    );
    let Intent::Ask { tag: Some(tag), .. } = &asked[1] else {
        panic!("{asked:?}")
    };
    let entry = CallEntry {
        id: CallId(3),
        channel_id: DIRECT,
        direction: CallDirection::Incoming,
        others: vec![user(2)],
        started_at_ms: NOW_MS - 3_600_000,
        duration_ms: None,
        reason: CallEnd::NoAnswer,
        missed: true,
    };
    let page = CallPage {
        calls: vec![entry],
        more: false,
    };
    let answers = Arc::make_mut(&mut window.state_mut().state.answers);
    answers.insert(*tag, Answer::Done(Box::new(Reply::ListCalls(page))));
    window.run_steps(6);
    let shown = window
        .query_all_by_label_contains("missed, no answer")
        .next();
    assert!(shown.is_some());
    click(&mut window, "Call back");
    let start = CallIntent::Start {
        channel: DIRECT,
        end_current: false,
    };
    let started = Intent::Call(start);
    assert_eq!(session(&wants), [started, Intent::DropAnswer(*tag)]);
}

#[test]
fn older_calls_come_when_they_are_asked_for() {
    let mut stage = Stage::new(with_bea(Status::Online));
    stage.memory.dialog = Some(Dialog::Calls);
    let (mut window, wants) = view::window(stage);
    let answer = |window: &mut Harness<'_, Stage>, id, who, more| {
        let intents = session(&wants);
        let [
            Intent::Ask {
                tag: Some(tag),
                request: Request::ListCalls(list),
            },
        ] = &intents[..]
        else {
            panic!("{intents:?}")
        };
        let entry = CallEntry {
            id: CallId(id),
            channel_id: DIRECT,
            direction: CallDirection::Outgoing,
            others: vec![user(who)],
            started_at_ms: NOW_MS - 3_600_000,
            duration_ms: Some(1_000),
            reason: CallEnd::HungUp,
            missed: false,
        };
        let calls = vec![entry];
        let reply = Reply::ListCalls(CallPage { calls, more });
        let answers = Arc::make_mut(&mut window.state_mut().state.answers);
        answers.insert(*tag, Answer::Done(Box::new(reply)));
        window.run_steps(6);
        list.before
    };
    assert_eq!(answer(&mut window, 30, 5, true), None);
    window.get_by_label("Émile");
    click(&mut window, "Older calls");
    assert_eq!(answer(&mut window, 20, 7, false), Some(CallId(30)));
    window.get_by_label("Émile");
    window.get_by_label("Goran");
    assert!(window.query_by_label("Older calls").is_none());
}

#[test]
fn the_voice_panel_leads_to_the_conversation_of_the_call() {
    let talking = call(PartyState::Talking, PartyState::Talking, true);
    let (mut window, _) = window(running(talking, true));
    click(
        &mut window,
        "Show the conversation of the call: Voice connected",
    );
    let home = window.state().memory.home;
    assert_eq!(home, Some(Home::Conversation(DIRECT)));
}

fn method(intent: &Intent) -> Option<&'static str> {
    match intent {
        Intent::Ask { request, .. } => Some(request.method()),
        _ => None,
    }
}

#[test]
fn who_fell_out_of_a_call_may_return() {
    let (mut window, wants) = window(running(
        call(PartyState::Away, PartyState::Talking, true),
        false,
    ));
    click(&mut window, "Return to the call");
    let answer = CallIntent::Answer {
        call: CallId(3),
        end_current: false,
    };
    assert_eq!(session(&wants), [Intent::Call(answer)]);
}

/// Everything that fails in a call says so in its card, with the next step.
#[test]
fn what_fails_in_a_call_says_what_happened_and_what_to_do_next() {
    let talking = || running(call(PartyState::Talking, PartyState::Talking, true), true);
    let name = || "Studio microphone".to_owned();
    let input = |problem, lost| Port::Failed { problem, lost };
    let [refused, taken] = [
        DeviceError::Permission { name: name() },
        DeviceError::NotFound { id: name() },
    ];
    for (input, word, advice) in [
        (input(refused, false), "You listen only", "privacy settings"),
        (
            input(taken, true),
            "Microphone gone: reconnecting",
            "Plug it in again",
        ),
    ] {
        let mut stage = Stage::new(talking());
        stage.audio.input = input;
        let (mut window, _) = view::window(stage);
        window.get_by_label(word);
        window.get_by_label_contains(advice);
        click(&mut window, "Sound settings");
        let dialog = &window.state().memory.dialog;
        assert_eq!(*dialog, Some(Dialog::Preferences(Tab::Audio)));
    }

    let mut blocked = talking();
    blocked.voice.path = VoicePath::Blocked(DIRECT);
    let (window, _) = self::window(blocked);
    window.get_by_label("Quality: No voice gets through");
    window.get_by_label_contains("Try another network");

    let mut cut = talking();
    cut.connection = Connection::Reconnecting {
        retry_in_ms: 3_200,
        problem: Problem::ConnectionLost,
    };
    let (mut window, wants) = self::window(cut);
    window.get_by_label_contains("The call waits for you");
    click(&mut window, "Try now");
    assert_eq!(session(&wants), [Intent::RetryNow]);
}

#[test]
fn who_does_not_come_to_a_call_can_be_written_to() {
    let ended = CallOver::Ended {
        reason: CallEnd::Lost,
        by: Some(BEA),
        answered_at_ms: Some(NOW_MS - 60_000),
    };
    let refused = CallOver::Refused {
        kind: FailureKind::DoNotDisturb,
        words: "Bea does not want to be disturbed.".to_owned(),
    };
    for (why, words) in [
        (ended, "Bea lost the connection and did not come back."),
        (refused, "Bea does not want to be disturbed."),
    ] {
        let last = LastCall {
            channel: DIRECT,
            why,
        };
        let calls = Calls {
            last: Some(last),
            ..Calls::default()
        };
        let (mut window, wants) = window(with(with_bea(Status::Offline), calls));
        assert!(window.query_all_by_label(words).next().is_some());
        click(&mut window, "Write instead");
        let home = window.state().memory.home;
        assert_eq!(home, Some(Home::Conversation(DIRECT)));
        let closed = Intent::Call(CallIntent::DismissLast);
        assert!(session(&wants).contains(&closed));
    }
}
