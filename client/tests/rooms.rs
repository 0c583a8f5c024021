//! Stage rooms as a person sees and clicks them.

mod common;

use std::sync::Arc;

use common::{
    Stage as Scene, evening, user,
    view::{self, Wants, click, session},
};
use egui_kittest::{Harness, kittest::Queryable};
use voxhall::ui::Dialog;
use voxhall_protocol::{
    ChannelId,
    control::{
        JoinStage, Reply, Request, Stage, StageAccess, StageList, StageRole, StageSpeaker,
        StageStanding, StageView, UserPage,
    },
};
use voxhall_session::{Answer, Intent, StageHere, State};

const ROOM: ChannelId = ChannelId(80);

fn window(state: State, dialog: Option<Dialog>) -> (Harness<'static, Scene>, Wants) {
    let mut scene = Scene::new(state);
    scene.memory.dialog = dialog;
    view::sized(scene, [1100.0, 820.0])
}

/// The methods that were asked for.
fn asked(wants: &Wants) -> Vec<&'static str> {
    let method = |intent: Intent| match intent {
        Intent::Ask { request, .. } => Some(request.method()),
        _ => None,
    };
    session(wants).into_iter().filter_map(method).collect()
}

fn stage() -> Stage {
    Stage {
        id: ROOM,
        topic: "rust and sound".to_owned(),
        access: StageAccess::Public,
        host: user(2),
        scheduled_at_ms: None,
        started_at_ms: Some(1),
        speakers: vec![StageSpeaker {
            user: user(2),
            role: StageRole::Host,
            voice: None,
        }],
        listeners: 7,
    }
}

fn inside(standing: StageStanding) -> State {
    let view = StageView {
        stage: stage(),
        standing,
    };
    State {
        stage: Some(Arc::new(StageHere {
            view,
            voice: Vec::new(),
        })),
        ..evening()
    }
}

#[test]
fn rooms_are_listed_entered_and_opened() {
    let (mut window, wants) = window(evening(), Some(Dialog::Rooms));
    let first = session(&wants);
    let Some(Intent::Ask {
        tag: Some(tag),
        request: Request::ListStages(_),
    }) = first.first()
    else {
        panic!("{first:?}")
    };
    let list = StageList {
        stages: vec![stage()],
    };
    let answers = Arc::make_mut(&mut window.state_mut().state.answers);
    answers.insert(*tag, Answer::Done(Box::new(Reply::ListStages(list))));
    window.run_steps(6);
    window.get_by_label("rust and sound");
    window.get_by_label("Bea on stage, 7 listening");
    click(&mut window, "Listen");
    let by_id = JoinStage::by_id(ROOM);
    assert!(session(&wants).contains(&Intent::JoinStage(by_id)));
    assert!(
        window.query_by_label("Listen").is_none(),
        "the page is closed"
    );
}

/// The list that the page asked for has come.
fn list(window: &mut Harness<'_, Scene>, wants: &Wants, stages: Vec<Stage>) {
    let asked = session(wants);
    let listing = asked.iter().find_map(|intent| match intent {
        Intent::Ask {
            tag: Some(tag),
            request: Request::ListStages(_),
        } => Some(*tag),
        _ => None,
    });
    let answer = Answer::Done(Box::new(Reply::ListStages(StageList { stages })));
    let answers = Arc::make_mut(&mut window.state_mut().state.answers);
    answers.insert(listing.expect("the list is asked for"), answer);
    view::settle(window);
}

#[test]
fn people_are_found_by_name_and_their_profiles_opened() {
    let (mut window, wants) = window(evening(), Some(Dialog::Rooms));
    click(&mut window, "People");
    session(&wants);
    window.get_by_label("Who").focus();
    window.run_steps(2);
    window.get_by_label("Who").type_text("Fre");
    view::settle(&mut window);
    let asked = session(&wants);
    let tag = asked.iter().find_map(|intent| match intent {
        Intent::Ask {
            tag: Some(tag),
            request: Request::FindUsers(find),
        } if find.query == "Fre" => Some(*tag),
        _ => None,
    });
    let freya = user(6);
    let page = UserPage {
        users: vec![freya.clone()],
        more: false,
    };
    let answer = Answer::Done(Box::new(Reply::FindUsers(page)));
    let answers = Arc::make_mut(&mut window.state_mut().state.answers);
    answers.insert(tag.expect("the server is asked"), answer);
    view::settle(&mut window);
    click(&mut window, "Choose Freya");
    let dialog = &window.state().memory.dialog;
    assert_eq!(*dialog, Some(Dialog::Profile(freya.id)));
}

/// Of a day at this hour and minute, where the clocks show UTC.
const AT_23_30_MS: i64 = common::NOW_MS + (2 * 60 + 49) * 60_000;

#[test]
fn a_room_is_scheduled_by_day_and_time_and_not_for_the_past() {
    let (mut window, wants) = window(evening(), Some(Dialog::Rooms));
    list(&mut window, &wants, vec![]);
    window.get_by_label("Topic").focus();
    window.run_steps(2);
    window.get_by_label("Topic").type_text("a reading");
    click(&mut window, "Later");
    assert!(window.query_by_label("Open the room").is_none());
    let choose = |window: &mut Harness<'static, Scene>, what: &str, word: &str| {
        click(window, what);
        window.get_by_label(word).scroll_to_me();
        window.run_steps(4);
        click(window, word);
    };
    // It is 20:41.
    choose(&mut window, "Hour", "19");
    window.get_by_label("That time is over. Choose a later one.");
    session(&wants);
    click(&mut window, "Schedule the room");
    assert_eq!(asked(&wants), Vec::<&str>::new());
    choose(&mut window, "Hour", "23");
    choose(&mut window, "Minute", "30");
    click(&mut window, "Schedule the room");
    let opened = session(&wants).into_iter().find_map(|intent| match intent {
        Intent::Ask {
            request: Request::OpenStage(open),
            ..
        } => Some(open),
        _ => None,
    });
    let opened = opened.expect("a room is opened");
    assert_eq!(opened.topic, "a reading");
    assert_eq!(opened.scheduled_at_ms, Some(AT_23_30_MS));
    window.get_by_label("Open the room");
}

#[test]
fn rooms_to_come_say_when_and_their_host_begins_them_or_calls_them_off() {
    let later = |host, id| Stage {
        id: ChannelId(id),
        topic: format!("room of {host}"),
        host: user(host),
        scheduled_at_ms: Some(AT_23_30_MS),
        started_at_ms: None,
        speakers: Vec::new(),
        listeners: 0,
        ..stage()
    };
    let (mut window, wants) = window(evening(), Some(Dialog::Rooms));
    list(&mut window, &wants, vec![stage(), later(2, 81)]);
    window.get_by_label("TO COME");
    window.get_by_label_contains("by Bea, begins Fri 20 Nov, 23:30");
    assert!(window.query_by_label("Begin the room").is_none());
    assert!(window.query_by_label("Call it off").is_none());

    let (mut window, wants) = self::window(evening(), Some(Dialog::Rooms));
    list(&mut window, &wants, vec![later(1, 82)]);
    click(&mut window, "Begin the room");
    click(&mut window, "Call it off");
    let asked = asked(&wants);
    assert!(
        asked.contains(&"stage.begin") && asked.contains(&"stage.end"),
        "{asked:?}"
    );
}

#[test]
fn the_list_stays_while_it_is_asked_for_again() {
    let (mut window, wants) = window(evening(), Some(Dialog::Rooms));
    let answer = |window: &mut Harness<'static, Scene>, answer: Answer| {
        let mut asked = 0;
        for intent in session(&wants) {
            if let Intent::Ask { tag: Some(tag), .. } = intent {
                let answers = Arc::make_mut(&mut window.state_mut().state.answers);
                answers.insert(tag, answer.clone());
                asked += 1;
            }
        }
        window.run_steps(2);
        asked
    };
    let list = StageList {
        stages: vec![stage()],
    };
    let listed = Answer::Done(Box::new(Reply::ListStages(list)));
    assert_eq!(answer(&mut window, listed), 1);
    window.get_by_label("rust and sound");
    // Over four seconds.
    window.run_steps(20);
    assert_eq!(answer(&mut window, Answer::Waiting), 1);
    window.get_by_label("rust and sound");
}

#[test]
fn the_card_of_a_room_and_one_of_calls_stand_one_above_the_other() {
    let mut state = inside(StageStanding::listener());
    Arc::make_mut(&mut state.calls).missed = 1;
    let (window, _) = window(state, None);
    let above = window.get_by_label("Show calls").rect();
    let below = window.get_by_label("rust and sound").rect();
    assert!(above.bottom() < below.top(), "{above} {below}");
}

#[test]
fn a_listener_raises_a_hand_and_says_yes_when_asked() {
    let (mut window, wants) = window(inside(StageStanding::listener()), None);
    window.get_by_label("You listen. 7 people listen.");
    window.get_by_label("Bea (host)");
    click(&mut window, "Raise hand");
    assert_eq!(asked(&wants), ["stage.raise_hand"]);
    click(&mut window, "Leave quietly");
    assert_eq!(session(&wants), [Intent::LeaveStage]);
    assert!(window.query_by_label("End the room").is_none());
    let invited = StageStanding {
        invited: true,
        ..StageStanding::listener()
    };
    let (mut window, wants) = self::window(inside(invited), None);
    window.get_by_label("A host asks you to speak.");
    click(&mut window, "Speak");
    click(&mut window, "Just listen");
    assert_eq!(asked(&wants), ["stage.accept", "stage.raise_hand"]);
}

#[test]
fn a_host_lets_people_speak_and_ends_the_room() {
    let host = StageStanding {
        role: StageRole::Host,
        hands: vec![user(3)],
        code: Some("k3t9xab2mnpq".to_owned()),
        ..StageStanding::listener()
    };
    let mut state = inside(host);
    let here = Arc::make_mut(state.stage.as_mut().unwrap());
    here.view.stage.speakers.push(StageSpeaker {
        user: user(4),
        role: StageRole::Speaker,
        voice: None,
    });
    let (mut window, wants) = window(state, None);
    window.get_by_label("Cid raises a hand");
    window.get_by_label("Code for others: k3t9xab2mnpq");
    click(&mut window, "Let speak");
    click(&mut window, "Move back");
    click(&mut window, "Remove");
    click(&mut window, "Ban");
    click(&mut window, "Mute in the room");
    click(&mut window, "End the room");
    assert_eq!(
        asked(&wants),
        [
            "stage.set_role",
            "stage.set_role",
            "stage.remove",
            "stage.remove",
            "stage.end"
        ]
    );
}
