//! A text channel by what a person sees and does, without a display.

mod common;

use std::{sync::Arc, time::Duration};

use common::{
    GENERAL, Stage,
    dropped::Dropped,
    view::{self, Wants, click, session},
};
use egui::{Key, Modifiers, Role};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use voxhall::ui::{Dialog, Tab, Want, chat::Side, people::Home};
use voxhall_protocol::{
    FileId, MessageId,
    control::{
        DeleteMessage, ListPins, MessagePage, PinMessage, ReactToMessage, Reply, Request,
        UnreactToMessage,
    },
};
use voxhall_session::{
    Answer, Connection, Intent, PendingEdit, Place, Problem, Tag, Transfer, TransferId,
    TransferProgress,
};

/// A tall window, for what stands above and below.
fn window(stage: Stage) -> (Harness<'static, Stage>, Wants) {
    view::sized(stage, [1100.0, 1100.0])
}

fn point_at(window: &mut Harness<'_, Stage>, label: &str) {
    window.get_by_label_contains(label).hover();
    window.run_steps(3);
}

fn asked(request: impl Into<Request>) -> Intent {
    Intent::Ask {
        tag: None,
        request: request.into(),
    }
}

fn write(window: &mut Harness<'_, Stage>, text: &str) {
    window.get_by_label("Message to general").focus();
    window.run_steps(2);
    window.get_by_label("Message to general").type_text(text);
    window.run_steps(3);
}

#[test]
fn markdown_is_drawn_as_what_it_means() {
    let (mut window, _) = window(Stage::new(common::talk()));
    window.get_by_label_contains("The long map, not the short one.");
    window.get_by_label("Link https://maps.example/the-long-one");
    window.get_by_label("Answers Dan: @Ann could you look at the microphone page?");
    window.get_by_label_contains("bitrate_kbps = 64");
    window.get_by_label("Message from Dan at 20:08");
    click(&mut window, "Show spoiler");
    assert!(window.query_by_label("Show spoiler").is_none());
}

#[test]
fn what_can_be_done_with_a_message_is_at_the_pointer() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    assert!(window.query_by_label("Reply").is_none());
    point_at(&mut window, "Message from Dan at 20:08");
    window.get_by_label("Pin").click();
    window.run_steps(2);
    let (channel_id, message_id) = (GENERAL, MessageId(22));
    assert_eq!(
        session(&wants),
        [asked(PinMessage {
            channel_id,
            message_id
        })]
    );
    assert!(window.query_by_label("Edit").is_none(), "it is another's");
    click(&mut window, "Reply");
    window.get_by_label("Answering Dan");
    write(&mut window, "yes");
    session(&wants);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert_eq!(
        session(&wants),
        [Intent::SendMessage {
            channel: GENERAL,
            text: "yes".to_owned(),
            reply_to: Some(message_id),
            uploads: vec![],
        }]
    );
    assert!(window.query_by_label("Answering Dan").is_none());

    point_at(&mut window, "Message from Dan at 20:08");
    click(&mut window, "Delete");
    click(&mut window, "Keep it");
    assert_eq!(session(&wants), []);
    point_at(&mut window, "Message from Dan at 20:08");
    click(&mut window, "Delete");
    click(&mut window, "Delete it");
    assert_eq!(
        session(&wants),
        [asked(DeleteMessage {
            channel_id,
            message_id
        })]
    );
}

#[test]
fn the_keyboard_reaches_what_the_pointer_reaches() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    window.get_by_label("Message from Ann at 20:11").focus();
    window.run_steps(3);
    window.key_press(Key::R);
    window.run_steps(3);
    window.get_by_label("Answering Ann");
    window.get_by_label("Message from Ann at 20:11").focus();
    window.run_steps(3);
    window.key_press(Key::Delete);
    window.run_steps(3);
    window.get_by_role_and_label(Role::Dialog, "Delete this message?");
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(window.query_by_label("Delete this message?").is_none());
    assert_eq!(session(&wants), []);
}

#[test]
fn one_reacts_with_an_emoji_and_takes_it_back() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    let (channel_id, message_id) = (GENERAL, MessageId(20));
    click(&mut window, "👍 by you and 2 more");
    click(&mut window, "😂 by 1");
    let (thumb, laugh) = ("👍".to_owned(), "😂".to_owned());
    assert_eq!(
        session(&wants),
        [
            asked(UnreactToMessage {
                channel_id,
                message_id,
                emoji: thumb
            }),
            asked(ReactToMessage {
                channel_id,
                message_id,
                emoji: laugh
            })
        ]
    );
    point_at(&mut window, "Level is right now");
    click(&mut window, "React");
    window.get_by_label("Search emoji").type_text("tada");
    window.run_steps(4);
    click(&mut window, "Emoji tada");
    assert_eq!(
        session(&wants),
        [asked(ReactToMessage {
            channel_id,
            message_id: MessageId(23),
            emoji: "🎉".to_owned()
        })]
    );
    assert!(window.query_by_label("Search emoji").is_none());
}

#[test]
fn an_empty_field_and_the_up_key_change_ones_last_message() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    window.get_by_label("Message to general").focus();
    window.run_steps(2);
    window.key_press(Key::ArrowUp);
    window.run_steps(3);
    window
        .get_by_label("Change the message")
        .type_text(" Thanks, @bea!");
    window.run_steps(3);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert_eq!(
        session(&wants),
        [Intent::EditMessage {
            channel: GENERAL,
            message: MessageId(23),
            text: "Looks good. Level is right now. Thanks, <@2>!".to_owned(),
        }]
    );
    assert!(window.query_by_label("Change the message").is_none());
}

#[test]
fn a_change_that_was_refused_can_be_tried_again_or_dropped() {
    let mut stage = Stage::new(common::talk());
    let edit = PendingEdit {
        text: "Other words".to_owned(),
        failed: Some("Too fast.".to_owned()),
    };
    common::history(&mut stage.state)
        .edits
        .insert(MessageId(23), edit);
    let (mut window, wants) = window(stage);
    window.get_by_label("Other words");
    click(&mut window, "Try the change again");
    click(&mut window, "Drop the change");
    let (channel, message) = (GENERAL, MessageId(23));
    let text = "Other words".to_owned();
    assert_eq!(
        session(&wants),
        [
            Intent::EditMessage {
                channel,
                message,
                text
            },
            Intent::DiscardEdit { channel, message }
        ]
    );
}

#[test]
fn names_and_emoji_are_completed() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    write(&mut window, "hi @b");
    window.get_by_label("Complete Bea");
    window.key_press(Key::Tab);
    window.run_steps(3);
    assert_eq!(window.state().memory.drafts[&GENERAL], "hi @Bea ");
    write(&mut window, "and :tad");
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert_eq!(window.state().memory.drafts[&GENERAL], "hi @Bea and 🎉 ");
    write(&mut window, "@zz");
    session(&wants);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert_eq!(
        session(&wants),
        [Intent::SendMessage {
            channel: GENERAL,
            text: "hi <@2> and 🎉 @zz".to_owned(),
            reply_to: None,
            uploads: vec![],
        }]
    );
}

#[test]
fn escape_closes_the_completion_and_keeps_the_word() {
    let (mut window, _) = window(Stage::new(common::talk()));
    write(&mut window, "@be");
    window.get_by_label("Complete Bea");
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(window.query_by_label("Complete Bea").is_none());
    assert_eq!(window.state().memory.drafts[&GENERAL], "@be");
}

#[test]
fn the_preview_shows_what_will_be_seen() {
    let (mut window, _) = window(Stage::new(common::talk()));
    write(&mut window, "so **loud** :tada:");
    click(&mut window, "Preview the message");
    window.get_by_label("so loud 🎉");
}

#[test]
fn what_is_new_is_marked_and_read_when_it_is_seen() {
    let (mut window, wants) = window(Stage::new(common::unread(common::talk())));
    window.get_by_label("New");
    assert_eq!(
        session(&wants),
        [Intent::MarkRead {
            channel: GENERAL,
            message: MessageId(26)
        }]
    );
    let read = common::talk().reading;
    window.state_mut().state.reading = read;
    window.run_steps(3);
    window.get_by_label("New");
    assert_eq!(session(&wants), []);
}

#[test]
fn far_from_the_end_the_newest_is_one_click_away() {
    let (mut window, wants) = window(Stage::new(common::busy(10_000)));
    assert!(window.query_all_by_label("three").next().is_some());
    assert!(window.query_by_label("Jump to newest").is_none());
    window.event(egui::Event::PointerMoved([500.0, 300.0].into()));
    window.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(0.0, 30_000.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    });
    window.run_steps(60);
    click(&mut window, "Jump to newest");
    assert!(window.query_by_label("Jump to newest").is_none());
    assert_eq!(session(&wants), [], "all of it is here");

    let history = common::history(&mut window.state_mut().state);
    history.more_after = true;
    window.run_steps(3);
    let intents = session(&wants);
    assert_eq!(
        intents,
        [Intent::LoadNewer(GENERAL)],
        "near the end of what is here"
    );
    click(&mut window, "Jump to newest");
    let (channel, place) = (GENERAL, Place::Newest);
    assert_eq!(session(&wants), [Intent::JumpTo { channel, place }]);
}

#[test]
fn what_one_reads_stays_where_it_is_when_older_messages_come() {
    let all = common::busy(400);
    let mut stage = Stage::new(all.clone());
    let history = common::history(&mut stage.state);
    history.messages.drain(..300);
    history.more = true;
    let (mut window, wants) = window(stage);
    window.event(egui::Event::PointerMoved([500.0, 300.0].into()));
    window.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(0.0, 4_000.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    });
    window.run_steps(60);
    assert!(session(&wants).contains(&Intent::LoadMessages(GENERAL)));
    let places = |window: &Harness<'_, Stage>| -> Vec<_> {
        let rows = window.query_all_by_label_contains("Message from");
        rows.map(|row| (row.accesskit_node().label(), row.rect()))
            .collect()
    };
    let before = places(&window);
    window.state_mut().state.history = all.history;
    window.run_steps(4);
    let after = places(&window);
    let still = before.iter().filter(|row| after.contains(row)).count();
    assert!(
        still >= before.len() - 2,
        "{:?} {:?}",
        &before[..4],
        &after[..4]
    );
}

#[test]
fn a_jump_waits_for_its_message() {
    let all = common::busy(400);
    let mut stage = Stage::new(all.clone());
    let history = common::history(&mut stage.state);
    history.messages.drain(..380);
    history.more = true;
    let reply = voxhall_protocol::control::Replied {
        id: MessageId(150),
        author: Some(common::user(2)),
        excerpt: "long ago".to_owned(),
    };
    history.messages.last_mut().expect("some").reply_to = Some(reply);
    let (mut window, wants) = window(stage);
    session(&wants);
    click(&mut window, "Answers Bea: long ago");
    let (channel, place) = (GENERAL, Place::Message(MessageId(150)));
    assert!(session(&wants).contains(&Intent::JumpTo { channel, place }));
    window.state_mut().state.history = all.history;
    window.run_steps(4);
    let at = 400 - 50;
    let time = common::NOW_MS - at * 60_000;
    let time = jiff::Timestamp::from_millisecond(time)
        .expect("a time")
        .to_zoned(jiff::tz::TimeZone::UTC);
    let time = time.strftime("%H:%M").to_string();
    window.get_by_label_contains(&format!("at {time}"));
    window.get_by_label("Jump to newest");
}

#[test]
fn pins_are_listed_and_lead_to_their_message() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    click(&mut window, "Pinned messages");
    let intents = session(&wants);
    let [
        Intent::Ask {
            tag: Some(tag),
            request,
        },
    ] = &intents[..]
    else {
        panic!("{intents:?}")
    };
    let list = ListPins {
        channel_id: GENERAL,
    };
    assert_eq!(*request, list.into());
    let page = MessagePage {
        messages: vec![common::message(3, 2, 4_000, "the *rules*")],
        more: false,
        more_after: false,
    };
    answer(&mut window, *tag, Reply::ListPins(page));
    window.get_by_label("the rules");
    click(&mut window, "Show in the channel");
    let (channel, place) = (GENERAL, Place::Message(MessageId(3)));
    assert_eq!(session(&wants), [Intent::JumpTo { channel, place }]);
    click(&mut window, "Close the side");
    assert_eq!(session(&wants), [Intent::DropAnswer(*tag)]);
}

fn answer(window: &mut Harness<'_, Stage>, tag: Tag, reply: Reply) {
    let answers = Arc::make_mut(&mut window.state_mut().state.answers);
    answers.insert(tag, Answer::Done(Box::new(reply)));
    window.run_steps(3);
}

#[test]
fn what_was_found_leads_to_its_message() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    click(&mut window, "Search in messages");
    window.get_by_label("Search messages").type_text("map");
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
    let [Intent::Search(search)] = &session(&wants)[..] else {
        panic!("no search")
    };
    assert_eq!((search.query.as_str(), search.channel_id), ("map", None));
    window.state_mut().state.search = common::searched().search;
    window.run_steps(3);
    click(&mut window, "Find more");
    let [Intent::Search(search)] = &session(&wants)[..] else {
        panic!("no search")
    };
    assert_eq!(search.before, Some(MessageId(1)));
    window
        .get_by_label_contains("Go to the message of Cid: Good")
        .click();
    window.run_steps(3);
    let (channel, place) = (GENERAL, Place::Message(MessageId(1)));
    assert_eq!(session(&wants), [Intent::JumpTo { channel, place }]);
}

#[test]
fn a_day_is_chosen_from_a_month() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    click(&mut window, "Go to a day");
    click(&mut window, "Month before");
    window.get_by_label("October 2026");
    click(&mut window, "7 October 2026");
    let place = Place::Time(1_791_331_200_000);
    let channel = GENERAL;
    assert_eq!(session(&wants), [Intent::JumpTo { channel, place }]);
}

#[test]
fn who_writes_is_said() {
    let mut stage = Stage::new(common::talk());
    let until = stage.clock + Duration::from_secs(5);
    let writing = [(common::BEA, until), (voxhall_protocol::UserId(4), until)];
    stage.state.typing.insert(GENERAL, writing.into());
    let (mut window, _) = window(stage);
    window.get_by_label("Bea and Dan are writing…");
    window.state_mut().clock = until;
    window.run_steps(2);
    assert!(window.query_by_label_contains("writing…").is_none());
}

#[test]
fn files_are_offered_and_pictures_are_got_when_they_are_seen() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    let taken = std::mem::take(&mut *wants.borrow_mut());
    let small = Want::Picture(FileId(1), voxhall::ui::chat::files::PictureKind::Small);
    assert!(taken.contains(&small));
    click(&mut window, "Save the-long-map-with-all-its-notes.zip");
    let name = "the-long-map-with-all-its-notes.zip".to_owned();
    let file = FileId(2);
    assert!(
        wants.borrow().contains(&Want::SaveFile { file, name }),
        "{:?}",
        wants.borrow()
    );
    click(&mut window, "Attach files");
    assert!(wants.borrow().contains(&Want::ChooseFiles(GENERAL)));
    click(&mut window, "Picture tower.jpg");
    let whole = Want::Picture(FileId(1), voxhall::ui::chat::files::PictureKind::Whole);
    assert!(wants.borrow().contains(&whole));
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(wants.borrow().contains(&Want::ForgetPicture(FileId(1))));
}

#[test]
fn files_that_are_dropped_onto_a_dialog_are_not_for_the_channel() {
    let (mut window, wants) = window(Stage::new(common::talk()));
    let drop_one = |window: &mut Harness<'_, Stage>| {
        let file = Arc::new(Dropped("notes.txt".into()));
        window.input_mut().dropped_files.push(file);
        let picture = egui::ColorImage::filled([2, 2], egui::Color32::RED);
        window.event(egui::Event::PasteImage(Arc::new(picture)));
        window.run_steps(2);
    };
    let taken = |wants: &Wants| {
        let files = |want: &Want| {
            matches!(
                want,
                Want::PastePicture(..) | Want::Session(Intent::Upload { .. })
            )
        };
        view::taken(wants).iter().filter(|it| files(it)).count()
    };
    window.state_mut().memory.dialog = Some(Dialog::Preferences(Tab::Voice));
    window.run_steps(3);
    drop_one(&mut window);
    assert_eq!(taken(&wants), 0);
    window.state_mut().memory.dialog = None;
    window.run_steps(3);
    drop_one(&mut window);
    assert_eq!(taken(&wants), 2);
}

#[test]
fn one_escape_closes_what_lies_on_top_and_no_more() {
    let (mut window, _) = window(Stage::new(common::talk()));
    let escape = |window: &mut Harness<'_, Stage>| {
        window.key_press(Key::Escape);
        window.run_steps(4);
    };
    window.state_mut().memory.person = Some(common::BEA);
    point_at(&mut window, "Message from Dan at 20:08");
    click(&mut window, "Reply");
    window.get_by_label("Message to general").focus();
    window.run_steps(2);
    escape(&mut window);
    assert!(window.query_by_label("Answering Dan").is_none());
    assert!(window.state().memory.person.is_some());

    window.get_by_label("Message to general").focus();
    window.run_steps(2);
    window.key_press(Key::ArrowUp);
    window.run_steps(3);
    click(&mut window, "Picture tower.jpg");
    window.get_by_label("Save tower.jpg");
    escape(&mut window);
    assert!(window.query_by_label("Save tower.jpg").is_none());
    window.get_by_label("Change the message");
    click(&mut window, "Go to a day");
    window.get_by_label("Month before");
    escape(&mut window);
    assert!(window.query_by_label("Month before").is_none());
    window.get_by_label("Change the message");
    escape(&mut window);
    assert!(window.query_by_label("Change the message").is_none());
    assert!(window.state().memory.person.is_some());
    escape(&mut window);
    assert_eq!(window.state().memory.person, None);
}

#[test]
fn what_is_answered_keeps_its_secrets() {
    let mut stage = Stage::new(common::talk());
    let history = common::history(&mut stage.state);
    let answering = history
        .messages
        .iter_mut()
        .find(|it| it.id == MessageId(23));
    let replied = answering.and_then(|it| it.reply_to.as_mut()).expect("one");
    replied.excerpt = "it was ||the cat||, <@2>".to_owned();
    let (window, _) = window(stage);
    window.get_by_label("Answers Dan: it was [spoiler], @Bea");
}

#[test]
fn what_was_found_elsewhere_is_not_for_here_and_is_let_go() {
    let mut stage = Stage::new(common::village::village());
    stage.state.search = common::searched().search;
    stage.memory.chat.side = Side::Search;
    stage.memory.home = Some(Home::Conversation(common::village::WITH_BEA));
    let (mut window, wants) = window(stage);
    assert!(
        window
            .query_by_label_contains("Go to the message of")
            .is_none()
    );
    let ends = |wants: &Wants| {
        let intents = session(wants).into_iter();
        intents.filter(|it| *it == Intent::EndSearch).count()
    };
    assert_eq!(ends(&wants), 1);
    window.state_mut().memory.home = None;
    window.run_steps(3);
    window.get_by_label_contains("Go to the message of Cid: Good");
    click(&mut window, "Close the side");
    assert_eq!(ends(&wants), 1);
}

#[test]
fn how_far_a_picture_is_saved_is_said_where_it_is_seen_large() {
    let mut stage = Stage::new(common::talk());
    let transfer = TransferId(7);
    stage.memory.chat.saving.insert(FileId(1), transfer);
    let progress = TransferProgress::Moving {
        bytes: 1_000_000,
        of: 2_000_000,
    };
    let name = "tower.jpg".to_owned();
    let transfers = &mut stage.state.transfers;
    transfers.insert(transfer, Transfer { name, progress });
    let (mut window, _) = window(stage);
    click(&mut window, "Picture tower.jpg");
    window.get_by_label("tower.jpg, 1.0 MB of 2.0 MB");
    window.get_by_label("Stop saving tower.jpg");
}

#[test]
fn while_the_server_is_away_what_is_written_waits() {
    let mut stage = Stage::new(common::with_failed_message());
    stage.state.connection = Connection::Reconnecting {
        retry_in_ms: 900,
        problem: Problem::ConnectionLost,
    };
    let (window, wants) = window(stage);
    window.get_by_label("Ann, will be sent when the server is back");
    assert_eq!(session(&wants), [], "nothing is asked of who isn't there");
}

#[test]
fn sides_are_drawn_on_any_ground_where_there_is_room() {
    for (side, shows) in [
        (Side::People, Some("Bea, online")),
        (Side::Pins, Some("Unpin")),
        (Side::Search, Some("Search messages")),
        (Side::Closed, None),
    ] {
        for dark in [true, false] {
            let mut stage = Stage::new(common::unread(common::searched()));
            stage.memory.chat.side = side;
            let (mut window, wants) = window(stage);
            for intent in session(&wants) {
                if let Intent::Ask { tag: Some(tag), .. } = intent {
                    answer(&mut window, tag, Reply::ListPins(common::pins()));
                }
            }
            let is_shown = |window: &Harness<'_, Stage>, words: &str| {
                window.query_all_by_label(words).next().is_some()
            };
            if let Some(words) = shows {
                assert!(is_shown(&window, words), "{side:?}");
            }
            window.ctx.set_theme(if dark {
                egui::Theme::Dark
            } else {
                egui::Theme::Light
            });
            window.run_steps(4);
            window.set_size([700.0, 480.0].into());
            window.run_steps(4);
            window.get_by_label("Message to general");
            if let Some(words) = shows {
                assert!(!is_shown(&window, words), "{side:?}");
            }
        }
    }
}

#[test]
fn a_side_that_is_asked_for_in_a_narrow_window_takes_the_place_of_the_messages() {
    let (mut window, _) = view::sized(Stage::new(common::searched()), [700.0, 480.0]);
    for (button, shows) in [
        ("Search in messages", "Search messages"),
        ("People here", "Bea, online"),
    ] {
        window.get_by_label("Message to general");
        click(&mut window, button);
        window.get_by_label(shows);
        assert!(window.query_by_label("Message to general").is_none());
        click(&mut window, button);
        assert!(window.query_by_label(shows).is_none());
    }
    // With room for both it is beside them.
    click(&mut window, "People here");
    window.set_size([1100.0, 720.0].into());
    window.run_steps(4);
    window.get_by_label("Bea, online");
    window.get_by_label("Message to general");
}

#[test]
fn a_channel_of_few_messages_comes_to_rest() {
    let (mut window, _) = window(Stage::new(common::evening()));
    window.get_by_label("Message to general");
    window.try_run().expect("there is nothing left to draw");
}
