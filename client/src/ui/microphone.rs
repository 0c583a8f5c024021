//! What is done to the microphone's sound: in the settings at length, in the voice panel as one row.

use egui::{CornerRadius, Frame, Label, RichText, Ui, vec2};
use voxhall_session::{FrameLength, NoiseSuppression, Processing};

use super::{
    Scene,
    theme::{self, SMALL, palette},
    widgets::{caption, chip, hint, labelled, meter, segmented, switch},
};
use crate::settings::Settings;

pub fn microphone_ui(ui: &mut Ui, scene: &Scene<'_>, settings: &mut Settings) {
    caption(ui, "SOUND OF YOUR MICROPHONE");
    ui.add_enabled_ui(!settings.music.on, |ui| {
        let processing = &mut settings.processing;
        switch(ui, &mut processing.echo, "Echo cancellation");
        hint(ui, "Others don't hear themselves out of your speakers.");
        if let Some(delay_ms) = scene.meters.microphone.echo.and_then(|echo| echo.delay_ms) {
            let text = format!(
                "From your speakers to your microphone: {}",
                super::ms(delay_ms)
            );
            hint(ui, text);
        }
        labelled(ui, "Noise suppression", |ui| {
            let levels = [
                (NoiseSuppression::Off, "Off"),
                (NoiseSuppression::Low, "Low"),
                (NoiseSuppression::High, "High"),
            ];
            segmented(ui, &mut processing.noise, &levels);
        });
        switch(ui, &mut processing.gain, "Automatic gain");
        hint(
            ui,
            "A quiet voice is made louder, and a loud one kept in bounds.",
        );
        if *processing != Processing::OFF {
            let width = ui.available_width();
            meter(
                ui,
                scene.meters.microphone.processed_dbfs,
                vec2(width, 8.0),
                "Level after processing",
            );
            hint(
                ui,
                "What is left of your microphone's level when all this is done.",
            );
        }
    });
    clipping_ui(ui, scene);
    ui.add_space(6.0);
    switch(ui, &mut settings.music.on, "Music mode");
    hint(
        ui,
        "Everything is sent as your microphone hears it, in high quality. Wear headphones: echoes stay in.",
    );
    if settings.music.on {
        let music = &mut settings.music;
        labelled(ui, "Channels", |ui| {
            segmented(ui, &mut music.stereo, &[(false, "Mono"), (true, "Stereo")]);
        });
        labelled(ui, "Quality, kbit/s", |ui| {
            let rates = [
                (128, "128"),
                (192, "192"),
                (256, "256"),
                (320, "320"),
                (510, "510"),
            ];
            segmented(ui, &mut music.kbps, &rates);
        });
        hint(ui, "A channel may allow less.");
        labelled(ui, "Music per packet", |ui| {
            let mut length = music.frame_length();
            let lengths = [
                (FrameLength::Ms2_5, "2.5"),
                (FrameLength::Ms5, "5"),
                (FrameLength::Ms10, "10"),
                (FrameLength::Ms20, "20 ms"),
            ];
            if segmented(ui, &mut length, &lengths) {
                music.frame_ms = length.as_ms();
            }
        });
    }
}

/// The same in one row, one click each.
pub fn quick_switches_ui(ui: &mut Ui, settings: &mut Settings) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let (processing, music) = (&mut settings.processing, &mut settings.music.on);
        let noise_when_on = &mut settings.noise_when_on;
        ui.add_enabled_ui(!*music, |ui| {
            chip(ui, &mut processing.echo, "Echo", "Cancel echoes");
            let mut quiet = processing.noise != NoiseSuppression::Off;
            if chip(ui, &mut quiet, "Noise", "Suppress noise").changed() {
                if quiet {
                    processing.noise = *noise_when_on;
                } else {
                    *noise_when_on =
                        std::mem::replace(&mut processing.noise, NoiseSuppression::Off);
                }
            }
            chip(ui, &mut processing.gain, "Gain", "Set the gain by itself");
        });
        chip(ui, music, "Music", "Send music as it is");
    });
}

/// Says what to do about an overdriven microphone.
pub fn clipping_ui(ui: &mut Ui, scene: &Scene<'_>) {
    if !scene.meters.microphone.clipping {
        return;
    }
    let p = palette(ui);
    Frame::new()
        .fill(p.warning_soft)
        .corner_radius(CornerRadius::same(8))
        .inner_margin(8)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            let text = "Your microphone is too loud: lower its level in the system settings.";
            ui.add(
                Label::new(
                    RichText::new(text)
                        .font(theme::strong(SMALL))
                        .color(p.warning),
                )
                .wrap(),
            );
        });
}
