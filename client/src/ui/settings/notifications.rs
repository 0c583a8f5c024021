//! What makes itself heard or seen.

use egui::Ui;

use super::{
    super::{
        Intents, Memory,
        widgets::{caption, hint, segmented, switch},
    },
    ringtone::ringtone_ui,
};
use crate::settings::{Notify, Settings};

pub fn notifications_ui(
    ui: &mut Ui,
    settings: &mut Settings,
    memory: &Memory,
    intents: &mut Intents,
) {
    caption(ui, "TELL ME OF NEW MESSAGES");
    segmented(
        ui,
        &mut settings.notify,
        &[
            (Notify::All, "All of them"),
            (Notify::Mentions, "Mentions and direct messages"),
            (Notify::Nothing, "None"),
        ],
    );
    hint(
        ui,
        "The window's mark in the task bar says so while it is not in front. Not while you are on do not disturb.",
    );
    ui.add_space(8.0);
    caption(ui, "SOUNDS");
    switch(ui, &mut settings.sounds, "Sounds when people come and go");
    switch(
        ui,
        &mut settings.message_sound,
        "A sound for such messages, while I am in voice",
    );
    ui.add_space(8.0);
    ringtone_ui(ui, settings, memory, intents);
}
