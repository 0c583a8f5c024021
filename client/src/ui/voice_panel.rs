//! Bottom left: the voice channel one is in, how good the path is, and the switches.

use egui::{
    Align2, CornerRadius, Frame, Label, Rect, RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2,
};
use voxhall_protocol::{control::Status, voice::Carrier};
use voxhall_session::{Intent, State, VoiceMeters, VoicePath, audio::Redundancy};

use super::{
    Dialog, Intents, Memory, Scene, Tab, icons, microphone, ms, people, servers,
    theme::{self, BODY, Palette, SMALL, palette},
    widgets::{at, avatar, focus_ring, icon_button, line, meter},
};
use crate::{
    audio::{AudioStatus, Port},
    settings::Settings,
};

pub fn voice_panel_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    ui.spacing_mut().item_spacing.y = 6.0;
    if scene.state.voice.channel().is_some() {
        Frame::new()
            .fill(p.main)
            .corner_radius(CornerRadius::same(12))
            .inner_margin(10)
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                connection_ui(ui, scene, memory, intents);
                microphone::clipping_ui(ui, scene);
                microphone::quick_switches_ui(ui, settings);
            });
    }
    servers::voice_elsewhere_ui(ui, scene, intents);
    Frame::new()
        .fill(p.main)
        .corner_radius(CornerRadius::same(12))
        .inner_margin(8)
        .show(ui, |ui| {
            me_ui(ui, scene, memory, intents);
        });
}

fn connection_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    let voice = &scene.state.voice;
    let (word, icon, ink) = path_words(voice.path, scene.meters, p);
    let id = voice.channel();
    let call = id.and_then(|id| scene.state.conversations.get(&id));
    let shows = match call {
        Some(_) => "Show the conversation of the call",
        None => "Show the voice channel",
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 36.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{shows}: {word}")));
    ui.painter().text(
        pos2(rect.left() + 10.0, rect.top() + 9.0),
        Align2::CENTER_CENTER,
        icon,
        theme::icon(17.0),
        ink,
    );
    let room = rect.width() - 66.0;
    line(
        ui.painter(),
        pos2(rect.left() + 26.0, rect.top() + 9.0),
        word,
        theme::strong(SMALL + 0.5),
        ink,
        room,
    );
    let under = |words: &str| {
        let left = pos2(rect.left() + 26.0, rect.top() + 27.0);
        let font = theme::regular(SMALL + 0.5);
        line(ui.painter(), left, words, font, p.muted, room);
    };
    let guild = id.and_then(|id| scene.state.guild_of(id));
    let channel = guild.and_then(|guild| guild.channel(id?));
    let clicked = response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked();
    if let (Some(guild), Some(channel)) = (guild, channel) {
        under(&channel.name);
        if clicked {
            memory.show_channel(guild.id, channel.id);
        }
    } else if let Some(call) = call {
        under("Call");
        if clicked {
            memory.show_conversation(call.id);
        }
    }
    let place =
        Rect::from_center_size(pos2(rect.right() - 16.0, rect.center().y), vec2(32.0, 32.0));
    let leave = at(ui, place, |ui| {
        icon_button(ui, icons::PHONE_DISCONNECT, "Leave voice", true)
    });
    if leave.clicked() {
        intents.session(Intent::LeaveVoice);
    }
    if !matches!(voice.path, VoicePath::Blocked(_)) {
        figures_ui(ui, scene.meters);
    }
    // A call has a card of its own.
    if scene.state.call_here().is_none() {
        trouble_ui(ui, scene, memory, intents);
    }
    if !voice.muted && scene.audio.input.is_open() {
        let level = if scene.meters.transmitting {
            scene.levels.0
        } else {
            -96.0
        };
        meter(
            ui,
            level,
            vec2(ui.available_width(), 4.0),
            "Level of your microphone while it is sent",
        );
    }
}

/// What is in the way of hearing and being heard, and what to do about it.
pub(super) fn trouble_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    if let VoicePath::Blocked(_) = scene.state.voice.path {
        super::widgets::hint(
            ui,
            "Something between you and the server drops voice. It is tried again by itself. Try another network, or ask for the server's UDP port to be opened.",
        );
    }
    if let Some(words) = silenced_words(scene.state) {
        super::widgets::hint(ui, words);
    }
    device_ui(ui, scene.audio, memory, intents);
}

/// What others decided about oneself here.
fn silenced_words(state: &State) -> Option<&'static str> {
    let own = state.own_voice()?;
    match (own.suppressed, own.server_deafened) {
        (true, true) => Some("A moderator made that you hear nobody here, and nobody hears you."),
        (true, false) => {
            Some("You can't be heard: a moderator muted you, or you may not speak here.")
        }
        (false, true) => Some("A moderator made that you hear nobody here."),
        (false, false) => None,
    }
}

pub(super) fn path_words(
    path: VoicePath,
    meters: &VoiceMeters,
    p: &Palette,
) -> (&'static str, &'static str, egui::Color32) {
    match path {
        VoicePath::Out => ("Not in voice", icons::CELL_SIGNAL_SLASH, p.faint),
        VoicePath::Joining(_) => ("Joining…", icons::CELL_SIGNAL_LOW, p.warning),
        VoicePath::Opening(_) => ("Opening the voice path…", icons::CELL_SIGNAL_LOW, p.warning),
        VoicePath::Blocked(_) => ("No voice gets through", icons::CELL_SIGNAL_SLASH, p.danger),
        VoicePath::Open(_) => {
            let rtt_ms = meters.rtt_ms.unwrap_or(0.0);
            let loss = meters.loss.max(meters.reported_loss);
            if rtt_ms > 250.0 || loss > 0.08 {
                (
                    "Voice connected, poor network",
                    icons::CELL_SIGNAL_LOW,
                    p.danger,
                )
            } else if rtt_ms > 120.0 || loss > 0.02 {
                (
                    "Voice connected, fair network",
                    icons::CELL_SIGNAL_MEDIUM,
                    p.warning,
                )
            } else {
                ("Voice connected", icons::CELL_SIGNAL_FULL, p.live)
            }
        }
    }
}

/// Ping, loss, carrier.
fn figures_ui(ui: &mut Ui, meters: &VoiceMeters) {
    let p = palette(ui);
    let ping = meters.rtt_ms.map_or_else(|| "…".to_owned(), ms);
    let loss = format!("{:.1} %", 100.0 * meters.loss.max(meters.reported_loss));
    let carrier = (meters.carrier).map_or_else(|| "…".to_owned(), |by| by.name().to_uppercase());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 32.0), Sense::hover());
    let said = format!("Ping {ping}, loss {loss}, carrier {carrier}");
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &said));
    let column = rect.width() / 3.0;
    for (i, (label, value)) in [("PING", ping), ("LOSS", loss), ("CARRIER", carrier)]
        .into_iter()
        .enumerate()
    {
        let x = rect.left() + column * i as f32;
        line(
            ui.painter(),
            pos2(x, rect.top() + 7.0),
            label,
            theme::strong(9.5),
            p.faint,
            column,
        );
        line(
            ui.painter(),
            pos2(x, rect.top() + 22.0),
            &value,
            theme::strong(SMALL + 0.5),
            p.text,
            column,
        );
    }
    response.on_hover_text(match meters.carrier {
        Some(Carrier::Quic) => {
            "Round trip to the server; share of voice packets lost on either way; how they travel: \
             between here and the server UDP passes as QUIC alone"
        }
        Some(Carrier::WebSocket) => {
            "Round trip to the server; share of voice packets lost on either way; how they travel: \
             no UDP passes between here and the server, so voice goes through the same connection as everything else, and may stutter"
        }
        Some(Carrier::Udp) | None => {
            "Round trip to the server; share of voice packets lost on either way; how they travel"
        }
    });
    if let Some(sending) = sending_words(meters) {
        ui.add(Label::new(
            RichText::new(sending).font(theme::regular(SMALL)).color(p.faint),
        ))
        .on_hover_text(
            "What your voice is sent as. It follows the network: less where it is narrow, redundancy where packets get lost",
        );
    }
}

/// What one's voice is sent as; nothing before that is known.
fn sending_words(meters: &VoiceMeters) -> Option<String> {
    let sent = &meters.statistics;
    let redundancy = match sent.redundancy {
        Redundancy::None => "",
        Redundancy::Fec => ", protected",
        Redundancy::Deep => ", strongly protected",
    };
    let kbps = sent.bitrate_bps / 1_000;
    (kbps > 0).then(|| format!("{kbps} kbit/s in {} ms frames{redundancy}", sent.frame_ms))
}

/// A word about the devices, when something is wrong with them: one box, and a click on it leads to the settings.
fn device_ui(ui: &mut Ui, audio: &AudioStatus, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    let (word, problem) = match (&audio.input, &audio.output) {
        (Port::Failed { .. }, Port::Failed { problem, .. }) => {
            ("You can't hear or be heard", problem)
        }
        (
            Port::Failed {
                lost: true,
                problem,
            },
            _,
        ) => ("Microphone gone: reconnecting", problem),
        (Port::Failed { problem, .. }, _) => ("You listen only", problem),
        (
            _,
            Port::Failed {
                lost: true,
                problem,
            },
        ) => ("Speakers gone: reconnecting", problem),
        (_, Port::Failed { problem, .. }) => ("You can't hear anyone", problem),
        _ => return,
    };
    let frame = Frame::new()
        .fill(p.warning_soft)
        .corner_radius(CornerRadius::same(8))
        .inner_margin(8);
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 3.0;
        ui.add(Label::new(
            RichText::new(word)
                .font(theme::strong(SMALL))
                .color(p.warning),
        ));
        let text = format!("{problem} {}", problem.advice());
        ui.add(Label::new(RichText::new(text).size(SMALL - 0.5).color(p.text)).wrap());
    });
    let response = shown.response.interact(Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Sound settings"));
    if response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
    {
        memory.dialog = Some(Dialog::Preferences(Tab::Audio));
        intents.want(super::Want::RefreshDevices);
    }
}

/// Oneself, and the three switches that are always there.
fn me_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    let voice = &scene.state.voice;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 36.0), Sense::hover());
    let mut place =
        Rect::from_center_size(pos2(rect.right() - 16.0, rect.center().y), vec2(32.0, 32.0));
    let mut switch = |ui: &mut Ui, icon: &str, name: &str, alert: bool| {
        let response = at(ui, place, |ui| icon_button(ui, icon, name, alert));
        place = place.translate(vec2(-34.0, 0.0));
        response.clicked()
    };
    if switch(ui, icons::GEAR_SIX, "Settings", false) {
        memory.dialog = Some(Dialog::Preferences(Tab::Audio));
        intents.want(super::Want::RefreshDevices);
    }
    let (icon, name) = if voice.deafened {
        (icons::SPEAKER_SLASH, "Undeafen (Ctrl+Shift+D)")
    } else {
        (icons::HEADPHONES, "Deafen (Ctrl+Shift+D)")
    };
    if switch(ui, icon, name, voice.deafened) {
        intents.session(Intent::SetDeafened(!voice.deafened));
    }
    let muted = voice.muted || voice.deafened;
    let (icon, name) = if muted {
        (icons::MICROPHONE_SLASH, "Unmute (Ctrl+Shift+M)")
    } else {
        (icons::MICROPHONE, "Mute (Ctrl+Shift+M)")
    };
    if switch(ui, icon, name, muted) {
        intents.session(super::toggle_mute(voice));
    }
    let Some(me) = &scene.state.me else { return };
    let place = Rect::from_min_max(rect.min, pos2(rect.right() - 106.0, rect.bottom()));
    let response = ui.interact(place, ui.scope_id().with("me"), Sense::click());
    let presence = people::presence_of(scene.state, me.id);
    let away = matches!(
        scene.state.connection,
        voxhall_session::Connection::Reconnecting { .. }
    );
    let (words, ink) = match voice.channel() {
        _ if away => ("offline", p.warning),
        Some(_) if presence.custom_status.is_none() => ("in voice", p.live),
        _ => (people::presence_words(&presence), p.muted),
    };
    let said = format!("{}, {words}: choose how others see you", me.shown_name());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
    if response.hovered() {
        ui.painter()
            .rect_filled(place, super::theme::RADIUS, p.hover);
    }
    let center = pos2(rect.left() + 18.0, rect.center().y);
    avatar(
        ui.painter(),
        ui.ctx(),
        center,
        15.0,
        me,
        scene.meters.transmitting,
        false,
    );
    let status = if away {
        Status::Offline
    } else {
        presence.status
    };
    let ground = if response.hovered() { p.hover } else { p.main };
    people::status_dot(ui, ui.painter(), center + vec2(11.0, 11.0), status, ground);
    let room = place.width() - 44.0;
    let left = rect.left() + 42.0;
    let name = theme::strong(BODY - 0.5);
    line(
        ui.painter(),
        pos2(left, rect.top() + 10.0),
        me.shown_name(),
        name,
        p.text,
        room,
    );
    let small = theme::regular(SMALL - 0.5);
    line(
        ui.painter(),
        pos2(left, rect.top() + 27.0),
        words,
        small,
        ink,
        room,
    );
    focus_ring(ui, &response, place);
    if response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
    {
        memory.dialog = Some(Dialog::Status);
    }
}
