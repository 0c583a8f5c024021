//! The pages of the settings about this computer, on a made-up state.

mod common;

use common::{
    Stage, evening,
    view::{self, Wants, click, taken},
    village,
};
use egui::{Key, OutputCommand};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use voxhall::{
    settings::Ringtone,
    ui::{Closing, ComputerWant, Dialog, Intents, PictureOf, Tab, Want, guild::Page},
};

fn window(tab: Tab) -> (Harness<'static, Stage>, Wants) {
    let mut stage = Stage::new(evening());
    stage.memory.dialog = Some(Dialog::Preferences(tab));
    view::window(stage)
}

/// What was wanted of the computer.
fn wanted(wants: &Wants) -> Vec<ComputerWant> {
    let computer = |want| match want {
        Want::Computer(want) => Some(want),
        _ => None,
    };
    taken(wants).into_iter().filter_map(computer).collect()
}

#[test]
fn closing_to_the_tray_is_offered_where_there_is_one() {
    let (mut window, wants) = window(Tab::Computer);
    window.get_by_label("Voxhall ends. There is no tray here to stay in.");
    assert!(window.query_by_label("Close to the tray").is_none());
    window.state_mut().memory.computer.closing = Closing::MayHide;
    window.state_mut().memory.computer.autostart = Some(Ok(true));
    view::settle(&mut window);
    assert!(!window.state().settings.close_to_tray, "off at first");
    click(&mut window, "Close to the tray");
    assert!(window.state().settings.close_to_tray);
    assert_eq!(wanted(&wants), []);
    window.get_by_label("Start Voxhall when I log in").click();
    window.step();
    window.step();
    assert_eq!(wanted(&wants), [ComputerWant::Autostart(false)]);
}

#[test]
fn a_report_is_made_read_copied_and_saved() {
    let (mut window, wants) = window(Tab::Help);
    assert!(window.query_by_label("Copy the report").is_none());
    click(&mut window, "Report a problem");
    click(&mut window, "Open the folder of logs");
    assert_eq!(
        wanted(&wants),
        [ComputerWant::MakeReport, ComputerWant::OpenLogs]
    );
    window.state_mut().memory.computer.report = Some("Voxhall\nall is well\n".to_owned());
    view::settle(&mut window);
    let shown = window.get_by_label("Report").accesskit_node().value();
    assert_eq!(shown.as_deref(), Some("Voxhall\nall is well\n"));
    window.get_by_label("Copy the report").click();
    let mut copied = None;
    for _ in 0..3 {
        window.step();
        for command in &window.output().platform_output.commands {
            if let OutputCommand::CopyText(text) = command {
                copied = Some(text.clone());
            }
        }
    }
    assert_eq!(copied.as_deref(), Some("Voxhall\nall is well\n"));
    window.get_by_label("Copied");
    click(&mut window, "Save it as a file");
    assert_eq!(wanted(&wants), [ComputerWant::SaveReport]);
}

#[test]
fn a_ringtone_is_chosen_tried_and_complained_of() {
    let (mut window, wants) = window(Tab::Notifications);
    click(&mut window, "Telephone");
    assert_eq!(window.state().settings.ringtone, Ringtone::Telephone);
    assert!(window.query_by_label("Choose a sound file").is_none());
    click(&mut window, "Play the ringtone");
    click(&mut window, "A file of my own");
    window.get_by_label_contains("The bells ring until a file is chosen.");
    click(&mut window, "Choose a sound file");
    assert_eq!(
        wanted(&wants),
        [ComputerWant::PlayRingtone, ComputerWant::ChooseRingtone]
    );
    let stage = window.state_mut();
    stage.memory.computer.ringtone_trouble = Some("song.mp3 can't ring: it is no WAV.".to_owned());
    stage.settings.own_ringtone = "gong.wav".to_owned();
    view::settle(&mut window);
    window.get_by_label_contains("song.mp3 can't ring");
    window.get_by_label_contains("gong.wav rings.");
    click(&mut window, "No sound");
    click(&mut window, "Play the ringtone");
    assert_eq!(wanted(&wants), [], "there is nothing to play");
}

/// Goes there by the Tab key alone.
fn tab_to(window: &mut Harness<'_, Stage>, label: &str) {
    for _ in 0..60 {
        window.key_press(Key::Tab);
        window.run_steps(2);
        let found = window.query_by_label(label);
        if found.is_some_and(|node| node.accesskit_node().is_focused()) {
            return;
        }
    }
    panic!("{label:?} is not reached");
}

#[test]
fn pictures_are_chosen_by_a_button_that_the_keyboard_reaches() {
    let pages = [
        (Dialog::Preferences(Tab::Profile), PictureOf::Me),
        (
            Dialog::Guild(village::GUILD, Page::Overview),
            PictureOf::Guild(village::GUILD),
        ),
    ];
    for (dialog, of) in pages {
        let mut stage = Stage::new(village::village());
        stage.memory.dialog = Some(dialog);
        let wants = Wants::default();
        let kept = std::rc::Rc::clone(&wants);
        let draw = move |ui: &mut egui::Ui, stage: &mut Stage| {
            let mut intents = Intents::default();
            stage.draw(ui, &mut intents);
            stage.respond(&intents);
            kept.borrow_mut().extend(intents.0);
        };
        let mut window = view::drawn(draw, stage, view::SIZE);
        tab_to(&mut window, "Choose a picture");
        window.key_press(Key::Enter);
        view::settle(&mut window);
        assert_eq!(wanted(&wants), [ComputerWant::ChoosePicture(of)]);

        let file = std::path::PathBuf::from("/home/ann/face.png");
        let memory = &mut window.state_mut().memory;
        match of {
            PictureOf::Me => memory.settings.profile.choose_picture(file.clone()),
            PictureOf::Guild(_) => memory.guild_form.choose_icon(file.clone()),
        }
        view::settle(&mut window);
        let uploads: Vec<_> = (view::session(&wants).into_iter())
            .filter_map(|intent| match intent {
                voxhall_session::Intent::Upload { path, .. } => Some(path),
                _ => None,
            })
            .collect();
        assert_eq!(uploads, [file], "{of:?}");
    }
}
