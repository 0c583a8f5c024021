//! How one wants to be seen.

use egui::Ui;
use voxhall_protocol::{
    control::{SetPresence, StatusChoice, UnixMs},
    limits::CUSTOM_STATUS_CHARS,
};

use super::super::{
    Intents, Memory, Scene,
    ask::Topic,
    widgets::{Kind, button, caption, field, hint, segmented},
    window::{change_ui, dialog_ui, labelled_pick, needs_server, now_ms, time_words},
};

#[derive(Default)]
pub struct StatusForm {
    /// None: as it is.
    words: Option<String>,
    /// Minutes until the words go away.
    minutes: Option<u32>,
}

const TIMES: [(Option<u32>, &str); 5] = [
    (None, "Until I take it away"),
    (Some(30), "For 30 minutes"),
    (Some(60), "For an hour"),
    (Some(240), "For 4 hours"),
    (Some(24 * 60), "For a day"),
];

pub fn status_ui(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let presence = &scene.state.presence;
    let close = dialog_ui(ui, "status", "How others see you", 400.0, |ui| {
        needs_server(ui, scene.state);
        if scene.has_several() {
            hint(ui, "On all servers that you are connected to now.");
        }
        let mut choice = presence.choice;
        let choices = [
            (StatusChoice::Online, "Online"),
            (StatusChoice::DoNotDisturb, "Do not disturb"),
            (StatusChoice::Invisible, "Invisible"),
        ];
        if segmented(ui, &mut choice, &choices) {
            let set = SetPresence {
                choice: Some(choice),
                ..SetPresence::default()
            };
            memory.asks.ask(Topic::Change, set, intents);
        }
        hint(
            ui,
            match choice {
                StatusChoice::Online => "Idle by itself, when nothing is touched for ten minutes.",
                StatusChoice::DoNotDisturb => "No sounds and no notifications.",
                StatusChoice::Invisible => "You seem to be offline, and can do everything.",
            },
        );
        ui.add_space(4.0);
        caption(ui, "IN YOUR OWN WORDS");
        let form = &mut memory.people.status;
        let now = presence.custom_status.clone().unwrap_or_default();
        let words = form.words.get_or_insert_with(|| now.clone());
        field(ui, "Status", words, "What are you up to?", false);
        *words = words.chars().take(CUSTOM_STATUS_CHARS).collect();
        let words = words.trim().to_owned();
        let times: Vec<_> = TIMES
            .iter()
            .map(|(time, words)| (*time, (*words).to_owned()))
            .collect();
        labelled_pick(ui, "It stays", &mut form.minutes, &times);
        if let Some(until) = presence.custom_until_ms {
            hint(
                ui,
                format!(
                    "What is said now goes away on {}.",
                    time_words(until, scene)
                ),
            );
        }
        let until_ms = form
            .minutes
            .map(|minutes| now_ms(scene) + UnixMs::from(minutes) * 60_000);
        ui.horizontal(|ui| {
            if button(ui, Kind::Primary, "Say so").clicked() {
                let set = SetPresence {
                    choice: None,
                    custom_until_ms: until_ms.filter(|_| !words.is_empty()),
                    custom_status: Some(words.clone()),
                };
                memory.asks.ask(Topic::Change, set, intents);
            }
            if !now.is_empty() && button(ui, Kind::Secondary, "Take it away").clicked() {
                let set = SetPresence {
                    custom_status: Some(String::new()),
                    ..SetPresence::default()
                };
                memory.people.status.words = Some(String::new());
                memory.asks.ask(Topic::Change, set, intents);
            }
        });
        change_ui(ui, &memory.asks, scene.state);
        false
    });
    memory.asks.take_done(Topic::Change, scene.state, intents);
    if close {
        memory.people.status = StatusForm::default();
        memory.dialog = None;
    }
}
