//! Stage rooms: come into, come back to, and left.

use voxhall_protocol::control::{
    JoinStage, Stage, StageAccess, StageGone, StageStanding, StageView, User, UserKind,
};

use super::*;

const ROOM: ChannelId = ChannelId(60);
const OTHER_ROOM: ChannelId = ChannelId(61);

fn view(id: ChannelId) -> StageView {
    StageView {
        stage: Stage {
            id,
            topic: "t".to_owned(),
            access: StageAccess::Closed,
            host: User::new(UserId(2), "bob", UserKind::Account),
            scheduled_at_ms: None,
            started_at_ms: Some(1),
            speakers: Vec::new(),
            listeners: 1,
        },
        standing: StageStanding::listener(),
    }
}

impl Bench {
    /// In a closed room, by its code.
    fn in_room() -> Self {
        let mut bench = Self::online();
        bench.intent(Intent::JoinStage(JoinStage::by_code("code".to_owned())));
        let (params, id) = bench.expect("stage.join");
        assert_eq!(params["code"], "code");
        bench.let_in(id, ROOM);
        let (params, id) = bench.expect("voice.join");
        assert_eq!(params["channel_id"], 60);
        let mut grant = grant();
        grant["channel_id"] = 60.into();
        bench.result(id, grant);
        bench.input(Input::VoiceOpened);
        bench.out.clear();
        bench
    }

    fn ask_for_room(&mut self, room: ChannelId) -> u64 {
        self.intent(Intent::JoinStage(JoinStage::by_id(room)));
        let (params, id) = self.expect("stage.join");
        assert_eq!(params["channel_id"], room.0);
        id
    }

    pub(super) fn let_in(&mut self, id: u64, room: ChannelId) {
        self.result(id, serde_json::to_value(view(room)).unwrap());
    }

    fn left(&mut self, reason: StageGone) {
        self.event(&Event::StageLeft {
            channel_id: ROOM,
            reason,
        });
    }
}

#[test]
fn a_room_is_entered_by_its_code_and_left_when_the_host_ends_it() {
    let mut bench = Bench::in_room();
    let state = bench.core.state();
    assert_eq!(state.voice.path, VoicePath::Open(ROOM));
    assert_eq!(state.stage.as_ref().map(|stage| stage.id()), Some(ROOM));
    bench.event(&Event::VoiceEnded {
        channel_id: ROOM,
        reason: control::EndReason::StageOver,
    });
    bench.left(StageGone::Ended);
    assert_eq!(bench.done(), [Output::StopVoice]);
    assert!(bench.core.state().stage.is_none());
    assert_eq!(bench.core.state().notices.len(), 1);
}

#[test]
fn after_a_restart_of_the_server_the_room_is_entered_once_more() {
    let mut bench = Bench::in_room();
    bench.input(Input::Closed);
    bench.pass();
    bench.begin_anew(ready());
    let sent: Vec<_> = bench
        .out
        .iter()
        .filter_map(|output| match output {
            Output::Send(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert!(
        sent[0].contains("stage.join")
            && sent[0].contains("code")
            && sent[1].contains("voice.join"),
        "{sent:?}"
    );
}

#[test]
fn leaving_is_told_once_and_going_elsewhere_is_not_disturbed_by_it() {
    let mut bench = Bench::in_room();
    bench.intent(Intent::LeaveStage);
    bench.expect("stage.leave");
    bench.left(StageGone::Left);
    assert!(bench.core.state().notices.is_empty());

    let mut bench = Bench::in_room();
    bench.intent(Intent::JoinVoice(ChannelId(2)));
    bench.expect("voice.join");
    bench.left(StageGone::Left);
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Joining(ChannelId(2))
    );
}

#[test]
fn a_refused_room_says_why() {
    let mut bench = Bench::online();
    let id = bench.ask_for_room(ROOM);
    bench.failure(id, FailureKind::Banned);
    assert_eq!(bench.core.state().notices.len(), 1);
    assert!(bench.core.state().stage.is_none());
}

#[test]
fn another_room_is_gone_to_and_a_refused_one_changes_nothing() {
    let mut bench = Bench::in_room();
    let id = bench.ask_for_room(OTHER_ROOM);
    bench.failure(id, FailureKind::ChannelFull);
    bench.input(Input::Closed);
    bench.pass();
    bench.begin_anew(ready());
    bench.expect("voice.join");

    let mut bench = Bench::in_room();
    let id = bench.ask_for_room(OTHER_ROOM);
    bench.event(&Event::VoiceEnded {
        channel_id: ROOM,
        reason: control::EndReason::StageOver,
    });
    bench.left(StageGone::Left);
    bench.let_in(id, OTHER_ROOM);
    let (params, _) = bench.expect("voice.join");
    assert_eq!(params["channel_id"], OTHER_ROOM.0);
    let stage = bench.core.state().stage.as_ref();
    assert_eq!(stage.map(|stage| stage.id()), Some(OTHER_ROOM));
}

#[test]
fn who_leaves_or_goes_elsewhere_before_the_answer_comes_is_not_in_the_room() {
    let mut bench = Bench::online();
    let id = bench.ask_for_room(ROOM);
    bench.intent(Intent::LeaveStage);
    bench.let_in(id, ROOM);
    bench.expect("stage.leave");
    assert!(bench.core.state().stage.is_none());
    assert_eq!(bench.core.state().voice.path, VoicePath::Out);

    let mut bench = Bench::online();
    let id = bench.ask_for_room(ROOM);
    bench.intent(Intent::JoinVoice(ChannelId(2)));
    bench.let_in(id, ROOM);
    bench.expect("stage.leave");
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Joining(ChannelId(2))
    );

    // What is asked for next is no reason to leave it.
    let mut bench = Bench::online();
    let first = bench.ask_for_room(ROOM);
    bench.intent(Intent::LeaveStage);
    let second = bench.ask_for_room(ROOM);
    bench.let_in(first, ROOM);
    assert!(bench.done().is_empty());
    bench.let_in(second, ROOM);
    bench.expect("voice.join");
}

#[test]
fn a_room_left_while_away_is_left_on_return() {
    let mut bench = Bench::in_room();
    bench.input(Input::Closed);
    bench.intent(Intent::LeaveStage);
    assert!(bench.out.contains(&Output::StopVoice));
    bench.pass();
    bench.resume(0);
    bench.expect("stage.leave");

    let away = || {
        let mut bench = Bench::in_room();
        bench.input(Input::Closed);
        bench.intent(Intent::LeaveStage);
        bench.pass();
        bench
    };
    let in_room = |room| {
        let mut ready = ready();
        ready["stage"] = serde_json::to_value(view(room)).unwrap();
        ready
    };
    let mut bench = away();
    bench.begin_anew(in_room(ROOM));
    bench.expect("stage.leave");
    assert!(bench.core.state().stage.is_none());

    // Another device is in another room by now.
    let mut bench = away();
    bench.begin_anew(in_room(OTHER_ROOM));
    bench.assert_not_sent("stage.leave");

    // The server has had enough of waiting.
    let mut bench = away();
    bench.resume(1);
    bench.left(StageGone::Lost);
    bench.assert_not_sent("stage.leave");
}

#[test]
fn a_room_left_while_away_may_be_entered_again_before_all_that_was_missed_is_told() {
    let mut bench = Bench::in_room();
    bench.input(Input::Closed);
    bench.intent(Intent::LeaveStage);
    bench.pass();
    bench.resume(1);
    let id = bench.ask_for_room(ROOM);
    bench.left(StageGone::Left);
    bench.assert_not_sent("stage.leave");
    bench.let_in(id, ROOM);
    bench.expect("voice.join");
}

#[test]
fn leaving_voice_leaves_the_room() {
    let mut bench = Bench::in_room();
    bench.intent(Intent::LeaveVoice);
    assert!(bench.out.contains(&Output::StopVoice));
    bench.expect("stage.leave");
    assert!(bench.core.state().stage.is_none());
}

#[test]
fn a_room_asked_for_on_a_lost_connection_is_not_waited_for() {
    let mut bench = Bench::online();
    bench.ask_for_room(ROOM);
    bench.input(Input::Closed);
    assert_eq!(bench.core.state().notices.len(), 1);
    bench.pass();
    bench.resume(0);
    assert_eq!(bench.core.state().notices.len(), 1, "it is said once");
}

#[test]
fn a_refused_room_does_not_stop_the_way_to_a_channel() {
    let mut bench = Bench::online();
    bench.intent(Intent::JoinVoice(ChannelId(2)));
    let (_, voice) = bench.expect("voice.join");
    let room = bench.ask_for_room(ROOM);
    bench.result(voice, grant());
    assert!(matches!(bench.out.last(), Some(Output::StartVoice(_))));
    bench.failure(room, FailureKind::Banned);
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Opening(ChannelId(2))
    );
}

#[test]
fn leaving_a_room_on_the_way_elsewhere_does_not_stop_that_way() {
    let mut bench = Bench::in_room();
    bench.intent(Intent::JoinVoice(ChannelId(2)));
    let (_, id) = bench.expect("voice.join");
    bench.intent(Intent::LeaveStage);
    bench.expect("stage.leave");
    bench.result(id, grant());
    assert!(matches!(bench.out.last(), Some(Output::StartVoice(_))));
}
