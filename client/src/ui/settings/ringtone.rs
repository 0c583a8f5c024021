//! What rings when somebody calls.

use egui::Ui;

use super::{
    super::{
        Intents, Memory, Want,
        widgets::{Kind, button, caption, hint, segmented, trouble},
    },
    ComputerWant,
};
use crate::{
    audio::LONGEST_RINGTONE_S,
    settings::{Ringtone, Settings},
};

pub fn ringtone_ui(ui: &mut Ui, settings: &mut Settings, memory: &Memory, intents: &mut Intents) {
    caption(ui, "WHEN SOMEBODY CALLS");
    let ringtones = [
        (Ringtone::Bells, "Bells"),
        (Ringtone::Telephone, "Telephone"),
        (Ringtone::Calm, "Calm"),
        (Ringtone::Own, "A file of my own"),
        (Ringtone::Nothing, "No sound"),
    ];
    segmented(ui, &mut settings.ringtone, &ringtones);
    let own = settings.ringtone == Ringtone::Own;
    ui.horizontal(|ui| {
        ui.add_enabled_ui(settings.ringtone != Ringtone::Nothing, |ui| {
            if button(ui, Kind::Secondary, "Play the ringtone").clicked() {
                intents.want(Want::Computer(ComputerWant::PlayRingtone));
            }
        });
        if own && button(ui, Kind::Secondary, "Choose a sound file").clicked() {
            intents.want(Want::Computer(ComputerWant::ChooseRingtone));
        }
    });
    if let Some(what) = memory.computer.ringtone_trouble.as_ref().filter(|_| own) {
        trouble(ui, what, "Choose another file.");
    }
    if own {
        let rings = match settings.own_ringtone.as_str() {
            "" => "The bells ring until a file is chosen.".to_owned(),
            name => format!("{name} rings."),
        };
        hint(
            ui,
            format!(
                "{rings} A WAV file, of which the first {LONGEST_RINGTONE_S} seconds are played."
            ),
        );
    }
}
