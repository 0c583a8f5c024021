//! One person in a voice channel: their volume, and where the delay to them comes from.

use egui::{Color32, Label, Rect, RichText, Sense, Ui, pos2, vec2};
use voxhall_protocol::control::{User, VoiceState};
use voxhall_session::{Intent, SpeakerMeter, SpeakerStats};

use super::{
    Intents, Memory, Scene,
    calls::call_button,
    icons, ms,
    sidebar::is_speaking,
    theme::{self, BODY, SMALL, palette},
    widgets::{avatar, caption, heading, hint, icon_button, line, slider, switch},
};
use crate::settings::Settings;

pub fn person_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    user: &User,
    state: &VoiceState,
    settings: &Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let me = scene.state.me.as_ref().is_some_and(|me| me.id == user.id);
    ui.horizontal(|ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if icon_button(ui, icons::X, "Close", false).clicked() {
                memory.person = None;
            }
        });
    });
    ui.vertical_centered(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(96.0, 88.0), Sense::hover());
        avatar(
            ui.painter(),
            ui.ctx(),
            rect.center(),
            38.0,
            user,
            is_speaking(scene, state),
            false,
        );
        heading(ui, &user.name);
    });
    if let Some(direct) = scene.state.direct_with(user.id).filter(|_| !me) {
        ui.vertical_centered(|ui| call_button(ui, scene, direct.id, intents));
    }
    ui.add_space(14.0);
    if me {
        caption(ui, "YOUR VOICE ON ITS WAY TO THE SERVER");
        budget_ui(ui, &own_budget(scene, settings));
        hint(ui, "Each listener's network and buffer add to this.");
        return;
    }
    volume_ui(ui, scene, user, intents);
    let Some(meter) = scene
        .meters
        .speakers
        .iter()
        .find(|speaker| speaker.user == user.id)
    else {
        hint(ui, "Delays are shown once you have heard them speak.");
        return;
    };
    ui.add_space(14.0);
    caption(ui, "DELAY FROM THEIR MOUTH TO YOUR EAR");
    budget_ui(ui, &budget(meter));
    let unknown = match meter.latency.network_ms {
        Some(_) => {
            "Their device, their encoder and their way to the server aren't known here and come on top."
        }
        None => "Their device, their encoder and the network aren't known here and come on top.",
    };
    hint(ui, unknown);
    ui.add_space(14.0);
    caption(ui, "NETWORK");
    network_ui(ui, &meter.statistics);
    ui.add_space(14.0);
    caption(ui, "SOUND");
    sound_ui(ui, scene, meter);
}

fn volume_ui(ui: &mut Ui, scene: &Scene<'_>, user: &User, intents: &mut Intents) {
    let voice = &scene.state.voice;
    let gain = voice.gains.get(&user.id).copied().unwrap_or(1.0);
    let mut percent = (gain * 100.0).round();
    ui.horizontal(|ui| {
        caption(ui, "VOLUME FOR YOU");
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let ink = palette(ui).text;
            ui.add(Label::new(
                RichText::new(format!("{percent:.0} %"))
                    .font(theme::strong(SMALL + 0.5))
                    .color(ink),
            ));
        });
    });
    let name = format!("Volume of {}", user.name);
    let response = slider(ui, &mut percent, 0.0..=200.0, &name);
    let doubled = response.double_clicked();
    if response.changed() || doubled {
        let gain = if doubled {
            1.0
        } else {
            (percent / 5.0).round() / 20.0
        };
        intents.session(Intent::SetUserGain {
            user: user.id,
            gain,
        });
    }
    response.on_hover_text("Double-click for 100 %");
    let mut muted = voice.local_mutes.contains(&user.id);
    if switch(ui, &mut muted, "Mute for me").changed() {
        intents.session(Intent::SetUserMuted {
            user: user.id,
            muted,
        });
    }
}

type Part = (&'static str, f32, Color32);

/// Where one's own voice spends its time.
fn own_budget(scene: &Scene<'_>, settings: &Settings) -> Vec<Part> {
    vec![
        ("Microphone buffer", buffer_ms(settings), theme::PEOPLE[0]),
        (
            "Filling a packet",
            // What the path makes of the setting, once it is known.
            settings
                .packet_length()
                .as_ms()
                .max(scene.meters.statistics.frame_ms),
            theme::PEOPLE[1],
        ),
        (
            "Encoding",
            scene.meters.statistics.encode_ms,
            theme::PEOPLE[2],
        ),
        (
            "Network",
            scene.meters.rtt_ms.unwrap_or(0.0) / 2.0,
            theme::PEOPLE[3],
        ),
    ]
}

/// Where another's voice spends its time, as far as it is known here.
fn budget(speaker: &SpeakerMeter) -> Vec<Part> {
    let latency = &speaker.latency;
    let mut parts = vec![("Filling a packet", latency.capture_ms, theme::PEOPLE[1])];
    if let Some(network_ms) = latency.network_ms {
        parts.push(("Network, server to you", network_ms, theme::PEOPLE[3]));
    }
    parts.extend([
        (
            "Waiting for late packets",
            latency.jitter_ms,
            theme::PEOPLE[4],
        ),
        ("Mixing", latency.playout_ms, theme::PEOPLE[5]),
        ("Speaker buffer", latency.device_ms, theme::PEOPLE[0]),
    ]);
    parts
}

fn buffer_ms(settings: &Settings) -> f32 {
    settings.buffer_frames as f32 / 48.0
}

/// A bar of parts, and what they are.
fn budget_ui(ui: &mut Ui, parts: &[Part]) {
    let total: f32 = parts.iter().map(|part| part.1).sum();
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 14.0), Sense::hover());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("Together {}", ms(total)))
    });
    let mut x = rect.left();
    for (_, value, color) in parts {
        let width = rect.width() * value / total.max(0.1);
        let part = Rect::from_min_max(
            pos2(x, rect.top()),
            pos2((x + width - 1.5).max(x), rect.bottom()),
        );
        ui.painter().rect_filled(part, 3, *color);
        x += width;
    }
    ui.spacing_mut().item_spacing.y = 2.0;
    for (name, value, color) in parts {
        row_ui(ui, Some(*color), name, &ms(*value), false);
    }
    row_ui(ui, None, "Together", &ms(total), true);
}

fn network_ui(ui: &mut Ui, speaker: &SpeakerStats) {
    let made_up = 100.0 * speaker.concealed_samples as f32 / speaker.total_samples.max(1) as f32;
    let lost = 100.0 * speaker.lost as f32 / (speaker.packets + speaker.lost).max(1) as f32;
    ui.spacing_mut().item_spacing.y = 2.0;
    row_ui(ui, None, "Jitter", &ms(speaker.jitter_ms), false);
    row_ui(ui, None, "Packets lost", &format!("{lost:.1} %"), false);
    row_ui(ui, None, "Sound made up", &format!("{made_up:.1} %"), false);
}

fn sound_ui(ui: &mut Ui, scene: &Scene<'_>, speaker: &SpeakerMeter) {
    let channels = if speaker.statistics.stereo {
        "Stereo"
    } else {
        "Mono"
    };
    row_ui(ui, None, "Channels", channels, false);
    if scene.state.voice.level_voices {
        let (name, db) = match speaker.levelled_db {
            db if db < 0.0 => ("Made softer by", -db),
            db => ("Made louder by", db),
        };
        row_ui(ui, None, name, &format!("{db:.1} dB"), false);
    }
}

fn row_ui(ui: &mut Ui, dot: Option<Color32>, name: &str, value: &str, strong: bool) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{name}: {value}"))
    });
    let mut left = rect.left();
    if let Some(color) = dot {
        ui.painter()
            .circle_filled(pos2(left + 5.0, rect.center().y), 4.5, color);
        left += 18.0;
    }
    let font = if strong {
        theme::strong(SMALL + 0.5)
    } else {
        theme::regular(SMALL + 0.5)
    };
    let ink = if strong { p.text } else { p.muted };
    line(
        ui.painter(),
        pos2(left, rect.center().y),
        name,
        font,
        ink,
        rect.width() - 70.0,
    );
    let galley = ui
        .painter()
        .layout_no_wrap(value.to_owned(), theme::strong(BODY - 1.0), p.text);
    ui.painter().galley(
        pos2(
            rect.right() - galley.size().x,
            rect.center().y - galley.size().y / 2.0,
        ),
        galley,
        p.text,
    );
}
