//! The views by what a person sees and clicks, without a display.

mod common;

use common::{
    BEA, GENERAL, LOUNGE, RAID, Stage,
    view::{click, session, settle, taken, window},
};
use egui::{Key, Modifiers, accesskit::Toggled};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use voxhall::{
    audio::{DeviceError, Port},
    desktop::Reach,
    settings::{ThemeChoice, TransmitChoice},
    ui::{Dialog, Tab, Want},
};
use voxhall_protocol::{GuildId, UserId, control::InvitePreview};
use voxhall_session::{
    Channels, Connection, EchoStats, FrameLength, Identity, Intent, InviteLink, Microphone, Music,
    NoiseSuppression, Notice, NoticeLevel, Problem, Processing, State, VoicePath,
};

fn state(connection: Connection) -> State {
    State {
        connection,
        ..State::default()
    }
}

#[test]
fn the_window_says_what_it_is_and_a_page_what_it_is_about() {
    let (window, _) = window(Stage::new(State::default()));
    let name = window.root().accesskit_node().label();
    assert_eq!(name.as_deref(), Some("Voxhall"));
    window.get_by_role_and_label(egui::Role::Heading, "Come on in");
}

#[test]
fn the_keyboard_is_where_one_begins_and_back_where_it_was_after_a_dialog() {
    let (begin, _) = window(Stage::new(State::default()));
    let has_keyboard = |window: &Harness<'_, Stage>, field: &str| {
        let mut fields = window.query_all_by_role_and_label(egui::Role::TextInput, field);
        fields.any(|field| field.accesskit_node().is_focused())
    };
    assert!(has_keyboard(&begin, "Invite link"));

    let mut stage = Stage::new(common::evening());
    stage.memory.channel = Some(GENERAL);
    let (mut talk, _) = window(stage);
    talk.get_by_label("Message to general").focus();
    settle(&mut talk);
    talk.key_press_modifiers(Modifiers::COMMAND, Key::K);
    settle(&mut talk);
    assert!(has_keyboard(&talk, "Where to"));
    talk.key_press(Key::Escape);
    settle(&mut talk);
    let field = talk.get_by_label("Message to general");
    assert!(field.accesskit_node().is_focused());
}

#[test]
fn a_pasted_link_leads_on_and_a_wrong_one_says_what_is_wrong() {
    let (mut window, wants) = window(Stage::new(State::default()));
    window.get_by_label("Invite link").focus();
    settle(&mut window);
    window
        .get_by_label("Invite link")
        .type_text("http://example.com/CODE");
    settle(&mut window);
    click(&mut window, "Continue");
    window.get_by_label_contains("not a Voxhall link");
    assert_eq!(taken(&wants), []);

    window.state_mut().memory.entry.link_text =
        " voxhall://talk.example:9000/SUNNY-OTTER ".to_owned();
    settle(&mut window);
    click(&mut window, "Continue");
    let link = "voxhall://talk.example:9000/SUNNY-OTTER".parse().unwrap();
    assert_eq!(taken(&wants), [Want::Visit(link)]);
}

#[test]
fn a_server_one_has_been_on_is_one_click_away_and_can_be_forgotten() {
    let mut stage = Stage::new(State::default());
    stage.logins.keep(&common::login());
    let (mut window, wants) = window(stage);
    click(&mut window, "Go to friday.example:9000 as Ann");
    assert_eq!(taken(&wants), [Want::Return(common::login())]);
    click(&mut window, "Forget friday.example:9000");
    assert_eq!(taken(&wants), [Want::Forget(common::login().link)]);
}

fn asked(problem: Option<Problem>) -> Stage {
    let preview = InvitePreview {
        server_name: "friday.example".to_owned(),
        guild_name: "Friday Night".to_owned(),
        members: 9,
        online: 1,
        makes_owner: false,
        guests: true,
    };
    let mut stage = Stage::new(state(Connection::NeedsIdentity {
        preview: Some(preview),
        problem,
    }));
    stage.memory.entry.link = "voxhall://friday.example:9000/SUNNY-OTTER".parse().ok();
    stage
}

#[test]
fn an_invited_guest_sees_where_it_leads_and_joins_by_a_name() {
    let (mut window, wants) = window(asked(None));
    window.get_by_label("Friday Night");
    window.get_by_label_contains("1 online, 9 members");
    click(&mut window, "Join");
    assert_eq!(
        session(&wants),
        [Intent::SignIn(Identity::Guest {
            name: "Ann".to_owned()
        })]
    );
}

#[test]
fn without_a_name_one_cannot_join() {
    let mut stage = asked(None);
    stage.settings.name = " ".to_owned();
    let (mut window, wants) = window(stage);
    click(&mut window, "Join");
    assert_eq!(session(&wants), []);
}

#[test]
fn signing_in_needs_a_password_and_forgets_it() {
    let (mut window, wants) = window(asked(None));
    click(&mut window, "Sign in");
    click(&mut window, "Sign in now");
    assert_eq!(session(&wants), [], "no password yet");
    window.get_by_label("Password").focus();
    settle(&mut window);
    window.get_by_label("Password").type_text("correct horse");
    settle(&mut window);
    click(&mut window, "Sign in now");
    let identity = Identity::Login {
        name: "Ann".to_owned(),
        password: "correct horse".into(),
    };
    assert_eq!(session(&wants), [Intent::SignIn(identity)]);
    click(&mut window, "Sign in now");
    assert_eq!(session(&wants), [], "the password is gone");
}

#[test]
fn a_refusal_stands_beside_the_fields() {
    let message = "The name or the password is wrong. Check both, and try again.".to_owned();
    let (window, _) = window(asked(Some(Problem::Refused {
        message: message.clone(),
    })));
    window.get_by_label(&message);
}

#[test]
fn without_an_invite_a_name_alone_is_not_offered() {
    let mut stage = Stage::new(state(Connection::NeedsIdentity {
        preview: None,
        problem: None,
    }));
    stage.memory.entry.link = "voxhall://friday.example:9000".parse().ok();
    let (window, _) = window(stage);
    assert!(window.query_by_label("Just a name").is_none());
    window.get_by_label("Sign in now");
}

#[test]
fn a_failure_says_what_to_do_and_can_be_tried_again() {
    let problem = Problem::Unreachable {
        address: "friday.example:9000".to_owned(),
    };
    let (mut window, wants) = window(Stage::new(state(Connection::Failed(problem.clone()))));
    window.get_by_label(&problem.to_string());
    window.get_by_label(problem.advice());
    click(&mut window, "Try again");
    assert_eq!(session(&wants), [Intent::RetryNow]);
    click(&mut window, "Back to the start");
    assert_eq!(session(&wants), [Intent::Disconnect]);
}

#[test]
fn a_changed_certificate_is_a_full_stop() {
    let problem = Problem::CertificateChanged {
        expected: "AAAA".to_owned(),
        found: "BBBB".to_owned(),
    };
    let (mut window, wants) = window(Stage::new(state(Connection::Failed(problem))));
    window.get_by_label("AAAA");
    window.get_by_label("BBBB");
    for on in ["Try again", "Continue", "Join"] {
        assert!(window.query_by_label(on).is_none(), "{on} would go on");
    }
    click(&mut window, "Leave");
    assert_eq!(session(&wants), [Intent::Disconnect]);
}

#[test]
fn connecting_can_be_cancelled() {
    let (mut window, wants) = window(Stage::new(state(Connection::Connecting)));
    click(&mut window, "Cancel");
    assert_eq!(session(&wants), [Intent::Disconnect]);
}

#[test]
fn channels_show_who_is_inside_and_join_in_one_click() {
    let (mut window, wants) = window(Stage::new(common::evening()));
    window.get_by_label("Bea in lounge, speaking");
    window.get_by_label("Dan in lounge, muted, deafened");
    click(&mut window, "Voice channel raid");
    assert_eq!(session(&wants), [Intent::JoinVoice(RAID)]);
    assert_eq!(window.state().memory.channel, Some(RAID));
    click(&mut window, "Voice channel lounge");
    assert_eq!(session(&wants), [], "one is there already");
}

#[test]
fn the_voice_panel_mutes_deafens_and_leaves() {
    let (mut window, wants) = window(Stage::new(common::evening()));
    window.get_by_label("Ping 18 ms, loss 0.3 %, carrier UDP");
    window.get_by_label("48 kbit/s in 20 ms frames, protected");
    click(&mut window, "Mute (Ctrl+Shift+M)");
    click(&mut window, "Deafen (Ctrl+Shift+D)");
    click(&mut window, "Leave voice");
    assert_eq!(
        session(&wants),
        [
            Intent::SetMuted(true),
            Intent::SetDeafened(true),
            Intent::LeaveVoice
        ]
    );

    window.state_mut().state.voice.deafened = true;
    settle(&mut window);
    click(&mut window, "Unmute (Ctrl+Shift+M)");
    assert_eq!(
        session(&wants),
        [Intent::SetMuted(false)],
        "which also ends being deafened"
    );
}

#[test]
fn the_keyboard_mutes_deafens_and_closes() {
    let (mut window, wants) = window(Stage::new(common::evening()));
    let both = Modifiers::COMMAND | Modifiers::SHIFT;
    window.key_press_modifiers(both, Key::M);
    window.key_press_modifiers(both, Key::D);
    settle(&mut window);
    assert_eq!(
        session(&wants),
        [Intent::SetMuted(true), Intent::SetDeafened(true)]
    );

    click(&mut window, "Settings");
    assert!(window.state().memory.dialog.is_some());
    window.key_press(Key::Escape);
    settle(&mut window);
    assert_eq!(window.state().memory.dialog, None);
}

#[test]
fn the_voice_path_says_how_it_stands() {
    for (path, word) in [
        (VoicePath::Joining(LOUNGE), "Joining…"),
        (VoicePath::Opening(LOUNGE), "Opening the voice path…"),
        (VoicePath::Open(LOUNGE), "Voice connected"),
        (VoicePath::Blocked(LOUNGE), "No voice gets through"),
    ] {
        let mut stage = Stage::new(common::evening());
        stage.state.voice.path = path;
        let (window, _) = window(stage);
        window.get_by_label(&format!("Show the voice channel: {word}"));
    }
    let mut stage = Stage::new(common::evening());
    stage.meters.loss = 0.2;
    let (window, _) = window(stage);
    window.get_by_label_contains("poor network");
}

#[test]
fn without_a_microphone_one_is_told_what_to_do() {
    let mut stage = Stage::new(common::evening());
    stage.audio.input = Port::Failed {
        problem: DeviceError::NoInput,
        lost: false,
    };
    let (mut window, _) = window(stage);
    window.get_by_label("You listen only");
    window.get_by_label_contains("Plug a microphone");
    window.state_mut().audio.input = Port::Failed {
        problem: DeviceError::NoInput,
        lost: true,
    };
    settle(&mut window);
    window.get_by_label("Microphone gone: reconnecting");
    click(&mut window, "Sound settings");
    assert_eq!(
        window.state().memory.dialog,
        Some(Dialog::Preferences(Tab::Audio))
    );
}

/// A screen reader clicks what it read a moment ago.
#[test]
fn a_setting_stays_the_same_control_while_devices_open_and_drop_out() {
    let mut stage = Stage::new(common::evening());
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Audio));
    let (mut window, _) = window(stage);
    let controls = |window: &Harness<'_, Stage>| {
        ["Play a test sound", "Echo cancellation", "Automatic gain"]
            .map(|name| window.get_by_label(name).accesskit_node().id())
    };
    let before = controls(&window);
    let stage = window.state_mut();
    stage.audio.input = Port::Opening;
    stage.audio.output = Port::Failed {
        problem: DeviceError::NoInput,
        lost: true,
    };
    stage.audio.output_xruns = 7;
    stage.meters.microphone.echo = Some(EchoStats {
        delay_ms: Some(12.0),
        ..EchoStats::default()
    });
    settle(&mut window);
    window.get_by_label("Opening…");
    window.get_by_label_contains("Dropouts so far");
    assert_eq!(controls(&window), before);
}

#[test]
fn who_may_not_speak_or_hear_is_told_and_seen_by_others() {
    let (mut window, _) = window(Stage::new(common::evening()));
    assert!(
        window
            .query_by_label_contains("You can't be heard")
            .is_none()
    );
    let guild = std::sync::Arc::make_mut(&mut window.state_mut().state.guilds[0]);
    let own = guild.voice.get_mut(&common::ME).expect("in the lounge");
    own.suppressed = true;
    let bea = guild.voice.get_mut(&BEA).expect("in the lounge");
    bea.server_deafened = true;
    settle(&mut window);
    window.get_by_label_contains("You can't be heard: a moderator muted you");
    window.get_by_label("Ann in lounge, may not speak");
    window.get_by_label("Bea in lounge, speaking, hears nobody");
}

#[test]
fn a_person_can_be_made_louder_and_muted_for_oneself() {
    let mut stage = Stage::new(common::evening());
    stage.memory.channel = Some(LOUNGE);
    let (mut window, wants) = window(stage);
    click(&mut window, "Volume and delay of Bea");
    assert_eq!(window.state().memory.person, Some(BEA));
    window.get_by_label("Waiting for late packets: 12 ms");
    window.get_by_label("Jitter: 2.3 ms");
    window.get_by_label("Filling a packet: 10 ms");
    window.get_by_label("Together: 43 ms");
    window.get_by_label("Made louder by: 3.2 dB");
    window
        .get_by_label("Volume of Bea")
        .set_value_accesskit(180.0);
    settle(&mut window);
    click(&mut window, "Mute for me");
    assert_eq!(
        session(&wants),
        [
            Intent::SetUserGain {
                user: BEA,
                gain: 1.8
            },
            Intent::SetUserMuted {
                user: BEA,
                muted: true
            }
        ]
    );
    window.key_press(Key::Escape);
    settle(&mut window);
    assert_eq!(window.state().memory.person, None);
}

#[test]
fn an_empty_voice_channel_invites_in() {
    let mut stage = Stage::new(common::evening());
    stage.memory.channel = Some(common::EMPTY);
    let (mut window, wants) = window(stage);
    window.get_by_label("Nobody is in quiet corner yet");
    click(&mut window, "Join voice");
    assert_eq!(session(&wants), [Intent::JoinVoice(common::EMPTY)]);
}

#[test]
fn a_message_is_written_and_sent_by_enter() {
    let (mut window, wants) = window(Stage::new(common::evening()));
    window.get_by_label("Message to general").focus();
    settle(&mut window);
    window
        .get_by_label("Message to general")
        .type_text("hello ");
    settle(&mut window);
    window.key_press_modifiers(Modifiers::SHIFT, Key::Enter);
    settle(&mut window);
    window.get_by_label("Message to general").type_text("there");
    settle(&mut window);
    let written = session(&wants);
    assert!(
        written.iter().all(|it| *it == Intent::Typing(GENERAL)),
        "{written:?}"
    );
    window.key_press(Key::Enter);
    settle(&mut window);
    let text = "hello \nthere".to_owned();
    assert_eq!(
        session(&wants),
        [Intent::SendMessage {
            channel: GENERAL,
            text,
            reply_to: None,
            uploads: vec![],
        }]
    );
    assert_eq!(window.state().memory.drafts[&GENERAL], "");
    click(&mut window, "Send message");
    assert_eq!(session(&wants), [], "there is nothing to send");
}

#[test]
fn what_was_not_sent_stays_to_be_seen() {
    let (mut window, wants) = window(Stage::new(common::with_failed_message()));
    assert_eq!(
        session(&wants),
        [Intent::LoadMessages(GENERAL)],
        "older ones come by themselves"
    );
    window.get_by_label("still under way");
    window.get_by_label("Ann, sending…");
    window.get_by_label_contains("sending too fast");
    click(&mut window, "Send again");
    click(&mut window, "Discard");
    let (channel, nonce) = (GENERAL, "b".to_owned());
    let mut wanted = session(&wants);
    wanted.retain(|intent| *intent != Intent::LoadMessages(GENERAL));
    assert_eq!(
        wanted,
        [
            Intent::RetryMessage {
                channel,
                nonce: nonce.clone()
            },
            Intent::DiscardMessage { channel, nonce },
        ]
    );
}

#[test]
fn a_channel_never_seen_asks_for_its_messages_once() {
    let mut stage = Stage::new(common::evening());
    stage.state.history = std::sync::Arc::default();
    let (mut window, wants) = window(stage);
    settle(&mut window);
    assert_eq!(session(&wants), [Intent::LoadMessages(GENERAL)]);
}

#[test]
fn the_invite_dialog_shows_the_link_and_copies_it() {
    let (mut window, wants) = window(Stage::new(common::evening()));
    click(&mut window, "Invite people");
    assert_eq!(session(&wants), [Intent::CreateInvite(GuildId(1))]);
    window.get_by_label("Making a link…");
    window.state_mut().state.invite =
        InviteLink::Failed("You may not invite anyone here.".to_owned());
    settle(&mut window);
    window.get_by_label("You may not invite anyone here.");
    click(&mut window, "Try again");
    assert_eq!(session(&wants), [Intent::CreateInvite(GuildId(1))]);
    let with_link = common::invited(common::evening());
    let InviteLink::Made(invite) = &with_link.invite else {
        panic!("no invite")
    };
    let link = invite.link.clone();
    window.state_mut().state = with_link;
    settle(&mut window);
    window.get_by_label("Copy link").click();
    let mut copied = None;
    for _ in 0..4 {
        window.step();
        let commands = &window.output().platform_output.commands;
        copied = copied.or_else(|| {
            commands.iter().find_map(|command| match command {
                egui::OutputCommand::CopyText(text) => Some(text.clone()),
                _ => None,
            })
        });
    }
    assert_eq!(copied, Some(link));
    window.get_by_label("Copied");
    click(&mut window, "Close");
    assert_eq!(window.state().memory.dialog, None);
}

#[test]
fn settings_change_what_they_say() {
    let mut stage = Stage::new(common::evening());
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Voice));
    let (mut window, wants) = window(stage);
    click(&mut window, "While I hold a key");
    assert_eq!(window.state().settings.transmit, TransmitChoice::PushToTalk);
    click(&mut window, "F8 (change)");
    window.key_press(Key::CapsLock);
    window.key_press(Key::V);
    settle(&mut window);
    assert_eq!(window.state().settings.talk_key, Key::CapsLock.name());
    window
        .get_by_label("When the network is uneven")
        .set_value_accesskit(0.8);
    settle(&mut window);
    assert_eq!(window.state().settings.stability, 0.8);
    click(&mut window, "Notifications");
    let sounds = window.get_by_label("Sounds when people come and go");
    assert_eq!(sounds.accesskit_node().toggled(), Some(Toggled::True));
    sounds.scroll_to_me();
    settle(&mut window);
    click(&mut window, "Sounds when people come and go");
    assert!(!window.state().settings.sounds);

    click(&mut window, "Appearance");
    click(&mut window, "Light");
    click(&mut window, "Larger");
    assert_eq!(
        (
            window.state().settings.theme,
            window.state().settings.text_scale
        ),
        (ThemeChoice::Light, 1.3)
    );

    click(&mut window, "Sound devices");
    assert_eq!(taken(&wants), [Want::RefreshDevices]);
    click(&mut window, "Play a test sound");
    assert_eq!(taken(&wants), [Want::TestSpeakers]);
    click(&mut window, "Close settings");
    assert_eq!(window.state().memory.dialog, None);
}

/// Scrolled to, then clicked.
fn find_and_click(harness: &mut Harness<'_, Stage>, label: &str) {
    harness.get_by_label(label).scroll_to_me();
    settle(harness);
    click(harness, label);
}

#[test]
fn what_is_done_to_the_microphone_is_set_in_the_settings() {
    let mut stage = Stage::new(common::evening());
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Audio));
    let (mut window, _) = window(stage);
    assert_eq!(
        window.state().settings.microphone(),
        Microphone::Speech(Processing::default())
    );
    find_and_click(&mut window, "Echo cancellation");
    find_and_click(&mut window, "Low");
    find_and_click(&mut window, "Automatic gain");
    let processing = Processing {
        echo: false,
        noise: NoiseSuppression::Low,
        gain: false,
    };
    assert_eq!(
        window.state().settings.microphone(),
        Microphone::Speech(processing)
    );

    find_and_click(&mut window, "Music mode");
    find_and_click(&mut window, "Mono");
    find_and_click(&mut window, "510");
    find_and_click(&mut window, "2.5");
    assert_eq!(
        window.state().settings.microphone(),
        Microphone::Music(Music {
            channels: Channels::Mono,
            bitrate_bps: 510_000,
            frame_length: FrameLength::Ms2_5,
        })
    );
    // What was chosen for speech is kept.
    find_and_click(&mut window, "Music mode");
    assert_eq!(
        window.state().settings.microphone(),
        Microphone::Speech(processing)
    );
}

#[test]
fn in_a_channel_each_part_is_one_click_away() {
    let (mut window, _) = window(Stage::new(common::evening()));
    let state = |window: &Harness<'_, Stage>| window.state().settings.processing;
    click(&mut window, "Suppress noise");
    assert_eq!(state(&window).noise, NoiseSuppression::Off);
    click(&mut window, "Suppress noise");
    assert_eq!(state(&window).noise, NoiseSuppression::High);
    click(&mut window, "Cancel echoes");
    click(&mut window, "Set the gain by itself");
    assert!(!state(&window).echo && !state(&window).gain);
    click(&mut window, "Send music as it is");
    assert!(window.state().settings.music.on);
}

#[test]
fn an_overdriven_microphone_says_what_to_do() {
    let advice = "Your microphone is too loud: lower its level in the system settings.";
    let mut stage = Stage::new(common::evening());
    assert!(
        window(Stage::new(common::evening()))
            .0
            .query_by_label(advice)
            .is_none()
    );
    stage.meters.microphone.clipping = true;
    let (window, _) = window(stage);
    window.get_by_label(advice);
}

#[test]
fn push_to_talk_goes_on_for_as_long_as_is_set_and_a_key_can_mute() {
    let mut stage = Stage::new(common::evening());
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Voice));
    stage.meters.microphone.speech = true;
    let (mut window, _) = window(stage);
    window.get_by_label("Speech is heard now.");
    click(&mut window, "While I hold a key");
    click(&mut window, "400");
    assert_eq!(window.state().settings.release_tail_ms, 400);
    click(&mut window, "Unless I hold a key");
    assert_eq!(window.state().settings.transmit, TransmitChoice::PushToMute);
    window.get_by_label("F8 (change)");
}

#[test]
fn escape_keeps_the_old_talk_key_and_the_window() {
    let mut stage = Stage::new(common::evening());
    stage.settings.transmit = TransmitChoice::PushToTalk;
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Voice));
    let (mut window, _) = window(stage);
    click(&mut window, "F8 (change)");
    window.key_press(Key::Escape);
    settle(&mut window);
    assert_eq!(window.state().settings.talk_key, "F8");
    assert!(!window.state().memory.binding_talk_key);
    assert!(window.state().memory.dialog.is_some());
}

#[test]
fn where_the_talk_key_works_is_said_of_this_key() {
    let mut stage = Stage::new(common::evening());
    stage.settings.transmit = TransmitChoice::PushToTalk;
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Voice));
    stage.memory.talk_key_reach = Reach::FunctionKeys;
    let (mut window, _) = window(stage);
    window.get_by_label_contains("It works while other windows are in front, too");
    window.state_mut().settings.talk_key = Key::V.name().to_owned();
    settle(&mut window);
    window.get_by_label_contains("It works while this window is in front. A function key");
}

#[test]
fn escape_closes_an_open_list_and_then_the_window_with_it() {
    let mut stage = Stage::new(common::evening());
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Audio));
    let (mut window, _) = window(stage);
    click(&mut window, "Speakers");
    window.get_by_label("Screen");
    window.key_press(Key::Escape);
    settle(&mut window);
    assert!(window.query_by_label("Screen").is_none());
    assert!(window.state().memory.dialog.is_some());
    window.key_press(Key::Escape);
    settle(&mut window);
    assert_eq!(window.state().memory.dialog, None);
}

#[test]
fn a_device_is_chosen_by_its_name() {
    let mut stage = Stage::new(common::evening());
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Audio));
    let (mut window, _) = window(stage);
    assert_eq!(
        window.get_by_label("Speakers").value().as_deref(),
        Some("System default (Headphones)")
    );
    click(&mut window, "Speakers");
    click(&mut window, "Screen");
    assert_eq!(
        window.state().settings.output_device.as_deref(),
        Some("pulseaudio:hdmi")
    );
}

#[test]
fn while_the_server_is_away_the_talk_stays_and_one_can_try_now() {
    let mut stage = Stage::new(common::evening());
    stage.state.connection = Connection::Reconnecting {
        retry_in_ms: 2_400,
        problem: Problem::ConnectionLost,
    };
    let (mut window, wants) = window(stage);
    window.get_by_label("Trying again in 3 s.");
    window.get_by_label("Bea in lounge, speaking");
    click(&mut window, "Try now");
    assert_eq!(session(&wants), [Intent::RetryNow]);
}

#[test]
fn signed_in_but_never_synced_is_not_called_empty() {
    let connection = Connection::Reconnecting {
        retry_in_ms: 900,
        problem: Problem::ConnectionLost,
    };
    let (window, _) = window(Stage::new(state(connection)));
    window.get_by_label("Trying again in 1 s.");
    assert!(window.query_by_label_contains("no server").is_none());
}

#[test]
fn notices_stay_until_dismissed() {
    let mut stage = Stage::new(common::evening());
    stage.state.notices = vec![Notice {
        id: 9,
        level: NoticeLevel::Warning,
        text: "Something happened.".to_owned(),
    }];
    let (mut window, wants) = window(stage);
    window.get_by_label("Something happened.");
    click(&mut window, "Dismiss");
    assert_eq!(session(&wants), [Intent::DismissNotice(9)]);
}

/// The harness panics on controls without a name and on glyphs without a font.
#[test]
fn every_page_can_be_read_aloud_and_drawn_in_both_themes_and_sizes() {
    let pages: [fn() -> Stage; 6] = [
        || Stage::new(State::default()),
        || asked(Some(Problem::SignedOut)),
        || Stage::new(common::evening()),
        || Stage::new(common::with_failed_message()),
        || {
            let mut stage = Stage::new(common::evening());
            (stage.memory.channel, stage.memory.person) = (Some(LOUNGE), Some(UserId(1)));
            stage
        },
        || {
            let mut stage = Stage::new(common::evening());
            stage.memory.dialog = Some(Dialog::Preferences(Tab::Account));
            stage
        },
    ];
    for page in pages {
        for dark in [true, false] {
            for size in [[760.0, 500.0], [1920.0, 1080.0]] {
                let (mut window, _) = window(page());
                window.set_size(size.into());
                window.ctx.set_theme(if dark {
                    egui::Theme::Dark
                } else {
                    egui::Theme::Light
                });
                settle(&mut window);
            }
        }
    }
}
