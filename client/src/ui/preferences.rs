//! The settings window.

use egui::{ComboBox, Key, Label, RichText, Ui, vec2};
use voxhall_session::FrameLength;

use super::{
    Intents, Memory, Scene, Want,
    calls::calls_from_ui,
    icons, keys, microphone,
    settings::{account_ui, help_ui, notifications_ui, profile_ui, this_computer_ui},
    theme::{self, SMALL, palette},
    widgets::{
        Kind, button, caption, hint, labelled, meter, rule, segmented, swatch, switch, trouble,
    },
    window::{TabOf, Turn, pages_ui, scrolled},
};
use crate::{
    audio::{DeviceInfo, Port},
    desktop::{Reach, is_function_key},
    settings::{Accent, Settings, ThemeChoice, TransmitChoice},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Audio,
    Voice,
    Appearance,
    Notifications,
    Keyboard,
    Computer,
    Profile,
    Account,
    Help,
}

const TABS: [TabOf<Tab>; 9] = [
    (Tab::Audio, icons::HEADPHONES, "Sound devices"),
    (Tab::Voice, icons::MICROPHONE, "Voice"),
    (Tab::Appearance, icons::PALETTE, "Appearance"),
    (Tab::Notifications, icons::BELL, "Notifications"),
    (Tab::Keyboard, icons::KEYBOARD, "Keyboard"),
    (Tab::Computer, icons::DESKTOP, "This computer"),
    (Tab::Profile, icons::USER_CIRCLE, "Profile"),
    (Tab::Account, icons::USER, "Account"),
    (Tab::Help, icons::QUESTION, "Help"),
];

pub fn preferences_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    tab: Tab,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let turn = pages_ui(
        ui,
        "preferences",
        "SETTINGS",
        &TABS,
        tab,
        vec2(740.0, 540.0),
        |ui| {
            scrolled(ui, "preferences", |ui| match tab {
                Tab::Audio => audio_ui(ui, scene, settings, intents),
                Tab::Voice => voice_ui(ui, scene, settings, memory),
                Tab::Appearance => appearance_ui(ui, settings),
                Tab::Notifications => notifications_ui(ui, settings, memory, intents),
                Tab::Keyboard => {
                    let held = [TransmitChoice::PushToTalk, TransmitChoice::PushToMute];
                    let talk_key = held
                        .contains(&settings.transmit)
                        .then_some(settings.talk_key.as_str());
                    keys::list_ui(ui, talk_key);
                }
                Tab::Computer => this_computer_ui(ui, settings, memory, intents),
                Tab::Profile => profile_ui(ui, scene, memory, intents),
                Tab::Account => {
                    account_ui(ui, scene, memory, intents);
                    calls_from_ui(ui, scene.state, memory, intents);
                }
                Tab::Help => help_ui(ui, memory, intents),
            });
        },
    );
    match turn {
        // A last question stands above this dialog.
        _ if memory.confirm.is_some() => {}
        Turn::Stay => {}
        Turn::To(other) => {
            memory.dialog = Some(super::Dialog::Preferences(other));
            memory.binding_talk_key = false;
            if other == Tab::Audio {
                intents.want(Want::RefreshDevices);
            }
        }
        Turn::Close => {
            memory.dialog = None;
            memory.binding_talk_key = false;
        }
    }
}

/// How often a device had nothing to play, or nowhere to put what it recorded; nothing if it never happened.
fn dropout_words(scene: &Scene<'_>) -> Option<String> {
    let workers = &scene.meters.statistics;
    let microphone = workers.capture_xruns + scene.audio.input_xruns;
    let speakers = workers.playout_xruns + scene.audio.output_xruns;
    (microphone + speakers > 0).then(|| {
        format!("Dropouts so far: {microphone} of the microphone, {speakers} of the speakers.")
    })
}

fn audio_ui(ui: &mut Ui, scene: &Scene<'_>, settings: &mut Settings, intents: &mut Intents) {
    let audio = scene.audio;
    device_ui(
        ui,
        "Microphone",
        &mut settings.input_device,
        &audio.inputs,
        &audio.input,
    );
    let width = ui.available_width();
    meter(ui, scene.levels.0, vec2(width, 8.0), "Microphone level");
    ui.add_space(10.0);
    device_ui(
        ui,
        "Speakers",
        &mut settings.output_device,
        &audio.outputs,
        &audio.output,
    );
    meter(ui, scene.levels.1, vec2(width, 8.0), "Speaker level");
    ui.horizontal(|ui| {
        if button(ui, Kind::Secondary, "Play a test sound").clicked() {
            intents.want(Want::TestSpeakers);
        }
        if button(ui, Kind::Quiet, "Look for devices again").clicked() {
            intents.want(Want::RefreshDevices);
        }
    });
    ui.add_space(6.0);
    rule(ui);
    labelled(ui, "Device buffer", |ui| {
        let choices = [
            (128, "2.7 ms"),
            (256, "5.3 ms"),
            (480, "10 ms"),
            (960, "20 ms"),
        ];
        segmented(ui, &mut settings.buffer_frames, &choices);
    });
    hint(
        ui,
        "Shorter is sooner. Choose a longer one if voices crackle.",
    );
    if let Some(words) = dropout_words(scene) {
        hint(ui, words);
    }
    rule(ui);
    microphone::microphone_ui(ui, scene, settings);
}

fn device_ui(
    ui: &mut Ui,
    what: &str,
    chosen: &mut Option<String>,
    devices: &[DeviceInfo],
    port: &Port,
) {
    let default = devices
        .iter()
        .find(|device| device.default)
        .map(|device| device.name.as_str());
    let default_name = default.map_or_else(
        || "System default".to_owned(),
        |name| format!("System default ({name})"),
    );
    let name_of = |id: &String| {
        devices
            .iter()
            .find(|device| device.id == *id)
            .map_or(id, |device| &device.name)
            .clone()
    };
    let current = chosen
        .as_ref()
        .map_or_else(|| default_name.clone(), name_of);
    caption(ui, &what.to_uppercase());
    let width = ui.available_width();
    ui.scope(|ui| {
        ui.name_inputs(what, |ui| {
            ComboBox::from_id_salt(what)
                .width(width)
                .truncate()
                .selected_text(current)
                .show_ui(ui, |ui| {
                    let mut clicked = ui.selectable_value(chosen, None, default_name).clicked();
                    for device in devices {
                        let id = Some(device.id.clone());
                        clicked |= ui.selectable_value(chosen, id, &device.name).clicked();
                    }
                    // A screen reader's click is none of the pointer's, which would close the list.
                    if clicked {
                        ui.close();
                    }
                });
        });
    });
    match port {
        Port::Failed { problem, .. } => trouble(ui, &problem.to_string(), problem.advice()),
        Port::Opening => drop(hint(ui, "Opening…")),
        Port::Open {
            name,
            instead_of: Some(away),
        } => drop(hint(
            ui,
            format!("{away} is not connected. {name} is used until it is back."),
        )),
        Port::Closed | Port::Open { .. } => {}
    }
}

fn voice_ui(ui: &mut Ui, scene: &Scene<'_>, settings: &mut Settings, memory: &mut Memory) {
    caption(ui, "WHEN YOUR MICROPHONE IS SENT");
    let ways = [
        (TransmitChoice::VoiceActivity, "While I speak"),
        (TransmitChoice::PushToTalk, "While I hold a key"),
        (TransmitChoice::PushToMute, "Unless I hold a key"),
        (TransmitChoice::Open, "Always"),
    ];
    segmented(ui, &mut settings.transmit, &ways);
    match settings.transmit {
        TransmitChoice::VoiceActivity => {
            slider(
                ui,
                "Sensitivity",
                &mut settings.sensitivity,
                ("Clear speech only", "Everything"),
            );
            hint(
                ui,
                "A speech detector decides, not loudness: keys and fans stay out.",
            );
        }
        TransmitChoice::PushToTalk => {
            talk_key_ui(ui, settings, memory);
            labelled(ui, "Go on after the key is released", |ui| {
                let tails = [
                    (0, "0"),
                    (100, "100"),
                    (200, "200"),
                    (400, "400"),
                    (800, "800 ms"),
                ];
                segmented(ui, &mut settings.release_tail_ms, &tails);
            });
            hint(ui, "So that the end of your last word is not cut.");
        }
        TransmitChoice::PushToMute => talk_key_ui(ui, settings, memory),
        TransmitChoice::Open => drop(hint(
            ui,
            "Everyone hears everything around you. Best with a good headset in a quiet room.",
        )),
    }
    let width = ui.available_width();
    meter(ui, scene.levels.0, vec2(width, 8.0), "Microphone level");
    if settings.music.on {
        hint(
            ui,
            "In music mode nothing is detected: without a key, everything is sent.",
        );
    } else if settings.transmit == TransmitChoice::VoiceActivity {
        let heard = if scene.meters.microphone.speech {
            "Speech is heard now."
        } else {
            "No speech is heard now."
        };
        hint(ui, heard);
    }
    ui.add_space(8.0);
    rule(ui);
    slider(
        ui,
        "When the network is uneven",
        &mut settings.stability,
        ("Least delay", "Fewest gaps"),
    );
    hint(
        ui,
        "How long others' packets are waited for. It changes at once, and for everyone you hear.",
    );
    ui.add_space(4.0);
    labelled(ui, "Sound per packet", |ui| {
        let mut length = settings.frame_length();
        let choices = [
            (FrameLength::Ms2_5, "2.5"),
            (FrameLength::Ms5, "5"),
            (FrameLength::Ms10, "10"),
            (FrameLength::Ms20, "20"),
            (FrameLength::Ms40, "40 ms"),
        ];
        if segmented(ui, &mut length, &choices) {
            settings.frame_ms = length.as_ms();
        }
    });
    hint(
        ui,
        "Shorter packets arrive sooner and use more of your network.",
    );
    rule(ui);
    switch(
        ui,
        &mut settings.level_voices,
        "Make everybody equally loud",
    );
}

fn talk_key_ui(ui: &mut Ui, settings: &mut Settings, memory: &mut Memory) {
    labelled(ui, "Key to hold", |ui| {
        let text = if memory.binding_talk_key {
            "Press a key, Esc to keep".to_owned()
        } else {
            format!("{} (change)", settings.talk_key)
        };
        if button(ui, Kind::Secondary, &text).clicked() {
            memory.binding_talk_key = true;
        }
    });
    if memory.binding_talk_key {
        let pressed = ui.input_mut(|input| {
            let pressed = input.events.iter().find_map(|event| match event {
                egui::Event::Key {
                    key,
                    pressed: true,
                    repeat: false,
                    ..
                } => Some(*key),
                _ => None,
            });
            // This Escape is not meant for the window.
            input.consume_key(egui::Modifiers::NONE, Key::Escape);
            pressed
        });
        if let Some(key) = pressed {
            if key != Key::Escape {
                settings.talk_key = key.name().to_owned();
            }
            memory.binding_talk_key = false;
        }
    }
    let key = Key::from_name(&settings.talk_key);
    let reach = match memory.talk_key_reach {
        Reach::Everywhere => "It works while other windows are in front, too.",
        Reach::FunctionKeys if key.is_some_and(is_function_key) => {
            "It works while other windows are in front, too, and then no other program gets it."
        }
        Reach::FunctionKeys => {
            "It works while this window is in front. A function key works in front of others, too."
        }
        Reach::Window(why) => &format!("It works while this window is in front. {why}"),
    };
    hint(
        ui,
        format!("{reach} Letters work while you are not writing here."),
    );
}

fn appearance_ui(ui: &mut Ui, settings: &mut Settings) {
    caption(ui, "THEME");
    let themes = [
        (ThemeChoice::System, "As the system"),
        (ThemeChoice::Light, "Light"),
        (ThemeChoice::Dark, "Dark"),
    ];
    segmented(ui, &mut settings.theme, &themes);
    ui.add_space(10.0);
    caption(ui, "ACCENT COLOUR");
    ui.horizontal(|ui| {
        for (accent, name) in Accent::ALL {
            let dark = ui.visuals().dark_mode;
            let ink = theme::palette_of(dark, accent).accent;
            if swatch(ui, Some(ink), settings.accent == accent, name) {
                settings.accent = accent;
            }
        }
    });
    ui.add_space(10.0);
    caption(ui, "TEXT SIZE");
    let sizes = [
        (0.9, "Small"),
        (1.0, "Normal"),
        (1.15, "Large"),
        (1.3, "Larger"),
        (1.5, "Largest"),
    ];
    segmented(ui, &mut settings.text_scale, &sizes);
    ui.add_space(10.0);
    caption(ui, "MOVEMENT");
    switch(ui, &mut settings.still, "Reduce motion");
    hint(ui, "Nothing slides, fades or scrolls by itself.");
}

/// A slider from 0 to 1 with a word at either end.
fn slider(ui: &mut Ui, name: &str, value: &mut f32, (low, high): (&str, &str)) {
    let p = palette(ui);
    ui.add_space(4.0);
    caption(ui, &name.to_uppercase());
    super::widgets::slider(ui, value, 0.0..=1.0, name);
    ui.add_space(-6.0);
    ui.horizontal(|ui| {
        ui.add(Label::new(RichText::new(low).size(SMALL).color(p.muted)));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.add(Label::new(RichText::new(high).size(SMALL).color(p.muted)));
        });
    });
}
