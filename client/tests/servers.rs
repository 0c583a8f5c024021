//! Several servers at once as a person sees and clicks them, on made-up states.

mod common;

use std::sync::Arc;

use common::{
    GENERAL, LOUNGE, Stage, evening,
    view::{self, Wants, click, settle, taken},
};
use egui_kittest::{Harness, kittest::Queryable};
use voxhall::ui::{Dialog, Place, ServerId, Tab, Want};
use voxhall_protocol::{
    CallId, ChannelId, GuildId, UserId,
    control::{
        CallParty, ChannelKind, Conversation, LiveCall, PartyState, ReadState, StatusChoice,
    },
};
use voxhall_session::{
    CallIntent, Calls, Connection, Intent, Notice, NoticeLevel, Problem, Reading, State, VoicePath,
};

const WORK: ServerId = ServerId(7);
const DIRECT: ChannelId = ChannelId(70);

/// The evening, and another server with the same numbers for everything.
fn window(work: State) -> (Harness<'static, Stage>, Wants) {
    let mut here = evening();
    here.voice.path = VoicePath::Out;
    let mut stage = Stage::new(here);
    stage.elsewhere = vec![(WORK, "work.example".to_owned(), work)];
    view::window(stage)
}

fn work() -> State {
    let mut state = evening();
    state.voice.path = VoicePath::Out;
    state.guilds.truncate(1);
    Arc::make_mut(&mut state.guilds[0]).name = "Office".to_owned();
    state
}

fn unread(state: &mut State, channel: ChannelId, unread: u32, mentions: u32) {
    let read = ReadState {
        channel_id: channel,
        last_read: None,
        last_message: None,
        unread,
        mentions,
    };
    Arc::make_mut(&mut state.reading).insert(channel, Reading::from(read));
}

fn called() -> State {
    let party = |id, state| CallParty {
        user_id: UserId(id),
        state,
    };
    let call = LiveCall {
        id: CallId(3),
        channel_id: DIRECT,
        caller_id: UserId(2),
        started_at_ms: 0,
        answered_at_ms: None,
        parties: vec![party(1, PartyState::Ringing), party(2, PartyState::Talking)],
        voice: Vec::new(),
    };
    let conversation = Conversation {
        id: DIRECT,
        kind: ChannelKind::Direct,
        name: None,
        owner_id: None,
        members: vec![],
    };
    State {
        conversations: Arc::new([(DIRECT, conversation)].into()),
        calls: Arc::new(Calls {
            running: [(DIRECT, call)].into(),
            ..Calls::default()
        }),
        ..work()
    }
}

#[test]
fn the_rail_has_the_guilds_of_all_servers_and_what_is_new_there() {
    let mut state = work();
    unread(&mut state, GENERAL, 3, 0);
    let (mut window, wants) = window(state);
    window.get_by_label("Server Friday Night on friday.example");
    window.get_by_label("Voxhall server friday.example");
    click(&mut window, "Server Office on work.example, unread");
    let office = Place::Guild(GuildId(1));
    assert_eq!(taken(&wants), [Want::Show(WORK, office)]);
    click(&mut window, "Voxhall server work.example");
    assert_eq!(taken(&wants), [Want::Show(WORK, Place::AsItWas)]);

    let state = &mut window.state_mut().elsewhere[0].2;
    unread(state, GENERAL, 3, 2);
    unread(state, DIRECT, 1, 0);
    let direct = called().conversations;
    state.conversations = direct;
    settle(&mut window);
    window.get_by_label("Server Office on work.example, 2 mentions");
    let news = "Friends and direct messages on work.example, 1 new";
    click(&mut window, news);
    assert_eq!(taken(&wants), [Want::Show(WORK, Place::Home)]);

    window.key_press_modifiers(
        egui::Modifiers::COMMAND | egui::Modifiers::ALT,
        egui::Key::ArrowUp,
    );
    settle(&mut window);
    assert_eq!(taken(&wants), [Want::Show(WORK, office)]);
}

#[test]
fn a_server_alone_needs_no_more_words_than_before() {
    let (mut window, wants) = window(State::default());
    window.get_by_label("Server Friday Night");
    assert!(window.query_by_label_contains("Voxhall server").is_none());
    assert!(window.query_by_label_contains("example, ").is_none());
    window.state_mut().memory.dialog = Some(Dialog::NewGuild);
    settle(&mut window);
    click(&mut window, "Go there");
    assert_eq!(taken(&wants), [Want::AddServer]);
}

#[test]
fn a_server_that_wants_something_says_what() {
    let problem = || Problem::ConnectionLost;
    for (connection, words) in [
        (Connection::Connecting, "connecting"),
        (
            Connection::NeedsIdentity {
                preview: None,
                problem: Some(Problem::SignedOut),
            },
            "asks who you are",
        ),
        (Connection::Failed(problem()), "not connected"),
    ] {
        let state = State {
            connection,
            ..State::default()
        };
        let (mut window, wants) = window(state);
        window.get_by_label(&format!("Voxhall server work.example, {words}"));
        let tile = format!("work.example, {words}");
        click(&mut window, &tile);
        assert_eq!(taken(&wants), [Want::Show(WORK, Place::AsItWas)]);
    }
    let reconnecting = State {
        connection: Connection::Reconnecting {
            retry_in_ms: 900,
            problem: problem(),
        },
        ..work()
    };
    let (window, _) = window(reconnecting);
    window.get_by_label("Server Office on work.example, trying again");
}

#[test]
fn the_page_to_add_a_server_leaves_out_those_that_are_open_and_leads_back() {
    let mut stage = Stage::new(State::default());
    stage.logins.keep(&common::login());
    stage.elsewhere = vec![(WORK, "work.example".to_owned(), work())];
    let (mut window, wants) = view::window(stage);
    window.get_by_label("Go to friday.example:9000 as Ann");
    click(&mut window, "Back to work.example");
    assert_eq!(taken(&wants), [Want::Show(WORK, Place::AsItWas)]);
    click(&mut window, "Server Office");
    assert_eq!(taken(&wants), [Want::Show(WORK, Place::Guild(GuildId(1)))]);
    window.state_mut().elsewhere[0].2.voice.path = VoicePath::Open(LOUNGE);
    settle(&mut window);
    click(&mut window, "In voice on work.example: #lounge");
    assert_eq!(taken(&wants), [Want::Show(WORK, Place::Voice)]);
}

#[test]
fn voice_on_another_server_is_said_shown_and_left() {
    let mut state = work();
    state.voice.path = VoicePath::Open(LOUNGE);
    let (mut window, wants) = window(state);
    click(&mut window, "In voice on work.example: #lounge");
    assert_eq!(taken(&wants), [Want::Show(WORK, Place::Voice)]);
    click(&mut window, "Leave voice on work.example");
    let leave = Want::Elsewhere(WORK, Intent::LeaveVoice);
    assert_eq!(taken(&wants), [leave]);
    window.state_mut().state.voice.path = VoicePath::Open(LOUNGE);
    settle(&mut window);
    assert!(window.query_by_label_contains("In voice on").is_none());
}

#[test]
fn a_call_on_another_server_is_answered_there() {
    let (mut window, wants) = window(called());
    window.get_by_label("Bea is calling");
    window.get_by_label("On work.example");
    let call = |intent| Want::Elsewhere(WORK, Intent::Call(intent));
    let answer = |end_current| CallIntent::Answer {
        call: CallId(3),
        end_current,
    };
    let show = |place| Want::Show(WORK, place);
    click(&mut window, "Accept");
    assert_eq!(taken(&wants), [call(answer(false)), show(Place::AsItWas)]);
    click(&mut window, "Reject");
    assert_eq!(taken(&wants), [call(CallIntent::Reject(CallId(3)))]);
    click(&mut window, "Message instead");
    let words = show(Place::CallMessage(DIRECT));
    assert_eq!(taken(&wants), [call(CallIntent::Reject(CallId(3))), words]);
    assert!(window.state().memory.call_message.is_none());

    // The call one is in is on this server: nothing is to be ended on the other.
    let mut calls = Calls::clone(&window.state().elsewhere[0].2.calls);
    let talk = calls.running.get_mut(&DIRECT).unwrap();
    talk.parties[0].state = PartyState::Talking;
    calls.here = Some(CallId(3));
    window.state_mut().state.calls = Arc::new(calls);
    settle(&mut window);
    click(&mut window, "End current and accept");
    assert_eq!(taken(&wants)[0], call(answer(false)));
}

#[test]
fn a_call_is_seen_on_whatever_page_and_by_who_is_not_to_be_disturbed() {
    let mut state = called();
    state.presence.choice = StatusChoice::DoNotDisturb;
    let mut stage = Stage::new(State::default());
    stage.elsewhere = vec![(WORK, "work.example".to_owned(), state)];
    let (window, _) = view::window(stage);
    window.get_by_label("Bea is calling");
}

#[test]
fn what_another_server_says_is_said_with_its_name() {
    let mut state = work();
    state.notices = vec![Notice {
        id: 4,
        level: NoticeLevel::Warning,
        text: "You were moved.".to_owned(),
    }];
    let (mut window, wants) = window(state);
    window.get_by_label("work.example: You were moved.");
    click(&mut window, "Dismiss");
    let seen = Want::Elsewhere(WORK, Intent::DismissNotice(4));
    assert_eq!(taken(&wants), [seen]);
}

#[test]
fn one_of_several_is_left_by_itself() {
    let (mut window, wants) = window(work());
    window.state_mut().memory.dialog = Some(Dialog::Preferences(Tab::Account));
    settle(&mut window);
    taken(&wants);
    window.get_by_label("Disconnect").scroll_to_me();
    settle(&mut window);
    click(&mut window, "Disconnect");
    assert!(taken(&wants).contains(&Want::Session(Intent::Disconnect)));
}

/// What rang there may be over, and can't be answered.
#[test]
fn a_server_that_is_away_does_not_ring_and_can_be_left() {
    let mut state = called();
    state.connection = Connection::Reconnecting {
        retry_in_ms: 3_000,
        problem: Problem::ConnectionLost,
    };
    let mut stage = Stage::new(state);
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Account));
    let (mut window, wants) = view::window(stage);
    assert!(window.query_by_label("Reject").is_none());
    assert!(window.query_by_label("Sign out on this device").is_none());
    click(&mut window, "Disconnect");
    assert!(taken(&wants).contains(&Want::Session(Intent::Disconnect)));
}

#[test]
fn the_switcher_goes_to_any_server_and_names_those_that_are_not_shown() {
    let (mut window, wants) = window(work());
    let mut go = |label: &str| {
        window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
        settle(&mut window);
        window.get_by_label("Where to").type_text("gen");
        settle(&mut window);
        click(&mut window, label);
        (window.state().memory.dialog, window.state().memory.channel)
    };
    // The shown server's own comes first, and is gone to at once.
    let here = go("Go to general, Friday Night");
    assert_eq!((here, taken(&wants)), ((None, Some(GENERAL)), vec![]));
    let there = go("Go to general, Office on work.example");
    assert_eq!(there.0, None);
    let place = Place::Channel(GENERAL);
    assert_eq!(taken(&wants), [Want::Show(WORK, place)]);
}
