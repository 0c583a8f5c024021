//! The call that this device is in: from the first ring to the end.

use egui::{Sense, Ui, vec2};
use voxhall_protocol::control::{LiveCall, PartyState, User};
use voxhall_session::{CallIntent, Connection, Intent};

use super::{clock, face, hang_up_button, others, title_of};
use crate::ui::{
    Dialog, Intents, Memory, Scene, Tab, Want, icons,
    theme::{self, BODY, SMALL, palette},
    toggle_mute, voice_panel,
    widgets::{Kind, button, heading, hint, icon_button, line, meter},
};

pub fn active_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    call: &LiveCall,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let state = scene.state;
    heading(ui, &title_of(state, call.channel_id));
    match call.answered_at_ms {
        Some(answered) => {
            let now_ms = scene.now.as_millisecond();
            hint(ui, clock(now_ms - answered));
        }
        None => {
            hint(ui, "Calling…");
        }
    }
    for (user, party) in others(state, call) {
        party_ui(ui, scene, call, user, party, intents);
    }
    quality_ui(ui, scene);
    if let Connection::Reconnecting { .. } = state.connection {
        hint(
            ui,
            "You lost the connection to the server. The call waits for you for half a minute.",
        );
    }
    voice_panel::trouble_ui(ui, scene, memory, intents);
    let voice = &state.voice;
    let muted = voice.muted || voice.deafened;
    ui.horizontal(|ui| {
        let (icon, name) = if muted {
            (icons::MICROPHONE_SLASH, "Unmute in the call")
        } else {
            (icons::MICROPHONE, "Mute in the call")
        };
        if icon_button(ui, icon, name, muted).clicked() {
            intents.session(toggle_mute(voice));
        }
        let (icon, name) = if voice.deafened {
            (icons::SPEAKER_SLASH, "Turn the speakers on")
        } else {
            (icons::SPEAKER_HIGH, "Turn the speakers off")
        };
        if icon_button(ui, icon, name, voice.deafened).clicked() {
            intents.session(Intent::SetDeafened(!voice.deafened));
        }
        if icon_button(ui, icons::GEAR_SIX, "Devices of the call", false).clicked() {
            memory.dialog = Some(Dialog::Preferences(Tab::Audio));
            intents.want(Want::RefreshDevices);
        }
        let name = if call.answered_at_ms.is_some() {
            "Hang up"
        } else {
            "Cancel the call"
        };
        hang_up_button(ui, name, intents);
    });
    if !muted {
        let sent = if scene.meters.transmitting {
            scene.levels.0
        } else {
            -96.0
        };
        let size = vec2(ui.available_width(), 4.0);
        meter(ui, sent, size, "Level of your voice in the call");
    }
}

fn party_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    call: &LiveCall,
    user: &User,
    party: PartyState,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let voice = call.voice.iter().find(|voice| voice.user_id == user.id);
    let meter = scene
        .meters
        .speakers
        .iter()
        .find(|speaker| speaker.user == user.id);
    let speaking =
        meter.is_some_and(|speaker| speaker.speaking) || voice.is_some_and(|voice| voice.speaking);
    let word = match party {
        PartyState::Ringing => "ringing…",
        PartyState::Connecting => "connecting…",
        PartyState::Talking if voice.is_some_and(|voice| voice.muted) => "muted",
        PartyState::Talking => "",
        PartyState::Away => "connection lost, waiting for them…",
        PartyState::Left => "left",
        PartyState::Rejected => "rejected the call",
        PartyState::Missed => "did not answer",
    };
    let again = matches!(
        party,
        PartyState::Left | PartyState::Rejected | PartyState::Missed
    );
    ui.horizontal(|ui| {
        face(ui, user, 15.0, speaking);
        let width = if again { 190.0 } else { ui.available_width() };
        let (rect, response) = ui.allocate_exact_size(vec2(width, 34.0), Sense::hover());
        response.widget_info(|| {
            let said = format!("{} {word}", user.shown_name());
            egui::WidgetInfo::labeled(egui::Role::Label, true, said.trim_end())
        });
        let middle = if word.is_empty() { 0.0 } else { 8.0 };
        let name = egui::pos2(rect.left(), rect.center().y - middle);
        let strong = theme::strong(BODY);
        line(
            ui.painter(),
            name,
            user.shown_name(),
            strong,
            p.text,
            rect.width(),
        );
        let under = egui::pos2(rect.left(), rect.center().y + 9.0);
        let small = theme::regular(SMALL);
        line(ui.painter(), under, word, small, p.muted, rect.width());
        if again && button(ui, Kind::Quiet, "Ring again").clicked() {
            intents.session(Intent::Call(CallIntent::RingAgain(user.id)));
        }
    });
    if let Some(level) = meter.map(|speaker| speaker.level_dbfs) {
        let size = vec2(ui.available_width(), 3.0);
        let name = format!("Level of {}", user.shown_name());
        self::meter(ui, level, size, &name);
    }
}

/// How good the way is that voice takes.
fn quality_ui(ui: &mut Ui, scene: &Scene<'_>) {
    let p = palette(ui);
    let (word, icon, ink) = voice_panel::path_words(scene.state.voice.path, scene.meters, p);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("Quality: {word}"))
    });
    let center = egui::pos2(rect.left() + 8.0, rect.center().y);
    ui.painter().text(
        center,
        egui::Align2::CENTER_CENTER,
        icon,
        theme::icon(15.0),
        ink,
    );
    let left = egui::pos2(rect.left() + 22.0, rect.center().y);
    let small = theme::strong(SMALL);
    line(ui.painter(), left, word, small, ink, rect.width() - 22.0);
}
