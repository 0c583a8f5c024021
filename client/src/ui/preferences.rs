//! The settings window.

use egui::{ComboBox, Id, Key, Label, Modal, RichText, ScrollArea, Ui, vec2};
use voxhall_session::{Connection, FrameLength, Intent};

use super::{
    Intents, Memory, Scene, Want, icons, microphone,
    theme::{self, BODY, SMALL, palette},
    widgets::{
        Kind, button, caption, card, heading, hint, icon_button, labelled, line, meter, row, rule,
        segmented, switch, trouble,
    },
};
use crate::{
    audio::{DeviceInfo, Port},
    settings::{Settings, ThemeChoice, TransmitChoice},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Audio,
    Voice,
    Appearance,
    Account,
}

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Audio, icons::HEADPHONES, "Sound devices"),
    (Tab::Voice, icons::MICROPHONE, "Voice"),
    (Tab::Appearance, icons::PALETTE, "Appearance"),
    (Tab::Account, icons::USER, "Account"),
];

pub fn preferences_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    tab: Tab,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let room = ui.ctx().content_rect().size();
    let size = vec2(740.0, 540.0).min(room - vec2(40.0, 40.0));
    let frame = card(ui).inner_margin(0);
    let response = Modal::new(Id::unique("preferences"))
        .frame(frame)
        .show(ui.ctx(), |ui| {
            ui.set_min_size(size);
            ui.set_max_size(size);
            let mut close = false;
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 0.0;
                egui::Frame::new()
                    .fill(p.sidebar)
                    .corner_radius(egui::CornerRadius {
                        nw: theme::RADIUS_L,
                        sw: theme::RADIUS_L,
                        ne: 0,
                        se: 0,
                    })
                    .inner_margin(14)
                    .show(ui, |ui| {
                        ui.vertical(|ui| {
                            ui.set_width(172.0);
                            ui.set_min_height(size.y - 28.0);
                            tabs_ui(ui, tab, memory, intents);
                        });
                    });
                egui::Frame::new().inner_margin(22).show(ui, |ui| {
                    ui.vertical(|ui| {
                        ui.horizontal(|ui| {
                            heading(ui, TABS.iter().find(|it| it.0 == tab).map_or("", |it| it.2));
                            ui.with_layout(
                                egui::Layout::right_to_left(egui::Align::Center),
                                |ui| {
                                    close = icon_button(ui, icons::X, "Close settings", false)
                                        .clicked();
                                },
                            );
                        });
                        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                            ui.set_width(ui.available_width() - 8.0);
                            ui.spacing_mut().item_spacing.y = 8.0;
                            match tab {
                                Tab::Audio => audio_ui(ui, scene, settings, intents),
                                Tab::Voice => voice_ui(ui, scene, settings, memory),
                                Tab::Appearance => appearance_ui(ui, settings),
                                Tab::Account => account_ui(ui, scene, memory, intents),
                            }
                        });
                    });
                });
            });
            close
        });
    if response.inner || response.should_close() {
        memory.dialog = None;
        memory.binding_talk_key = false;
    }
}

fn tabs_ui(ui: &mut Ui, tab: Tab, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    ui.spacing_mut().item_spacing.y = 4.0;
    caption(ui, "SETTINGS");
    ui.add_space(6.0);
    for (each, icon, name) in TABS {
        let (rect, response) = row(ui, 38.0, each == tab, name);
        let ink = if each == tab { p.text } else { p.muted };
        let at = rect.left_center() + vec2(20.0, 0.0);
        ui.painter().text(
            at,
            egui::Align2::CENTER_CENTER,
            icon,
            theme::icon(17.0),
            ink,
        );
        let font = if each == tab {
            theme::strong(BODY)
        } else {
            theme::regular(BODY)
        };
        line(
            ui.painter(),
            rect.left_center() + vec2(40.0, 0.0),
            name,
            font,
            ink,
            rect.width() - 48.0,
        );
        if response.clicked() {
            memory.dialog = Some(super::Dialog::Preferences(each));
            memory.binding_talk_key = false;
            if each == Tab::Audio {
                intents.want(Want::RefreshDevices);
            }
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
                    ui.selectable_value(chosen, None, default_name);
                    for device in devices {
                        ui.selectable_value(chosen, Some(device.id.clone()), &device.name);
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
    switch(ui, &mut settings.sounds, "Sounds when people come and go");
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
    hint(
        ui,
        "It works while this window is in front. Letters work while you are not writing.",
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
    caption(ui, "TEXT SIZE");
    let sizes = [
        (0.9, "Small"),
        (1.0, "Normal"),
        (1.15, "Large"),
        (1.3, "Larger"),
        (1.5, "Largest"),
    ];
    segmented(ui, &mut settings.text_scale, &sizes);
}

fn account_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    if let Some(me) = scene
        .state
        .me
        .as_ref()
        .filter(|_| scene.state.connection == Connection::Online)
    {
        let server = scene.state.server_name.as_deref().unwrap_or("this server");
        hint(ui, format!("You are {} on {server}.", me.name));
        if let voxhall_protocol::control::UserKind::Guest = me.kind {
            hint(
                ui,
                "As a guest, your name lives on this computer only. Signing out gives it up.",
            );
        }
        ui.horizontal(|ui| {
            if button(ui, Kind::Secondary, "Go to another server").clicked() {
                memory.dialog = None;
                intents.session(Intent::Disconnect);
            }
            if button(ui, Kind::Danger, "Sign out on this device").clicked() {
                memory.dialog = None;
                intents.session(Intent::SignOut);
            }
        });
    } else {
        hint(ui, "You are not signed in.");
    }
    ui.add_space(12.0);
    rule(ui);
    let about = format!(
        "Voxhall {}. What you say and write is encrypted on its way.",
        env!("CARGO_PKG_VERSION")
    );
    ui.add(Label::new(RichText::new(about).size(SMALL).color(p.faint)).wrap());
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
