//! A voice channel: everyone in it, large.

use egui::{
    Align2, CentralPanel, Frame, Margin, Panel, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind,
    Ui, WidgetInfo, pos2, vec2,
};
use voxhall_protocol::control::{Channel, User, VoiceState};
use voxhall_session::{Guild, Intent};

use super::{
    Intents, Memory, Scene, icons, person,
    sidebar::{channel_header, is_speaking, state_icons},
    theme::{self, BODY, RADIUS_L, palette},
    widgets::{self, Kind, avatar, button, focus_ring, line},
};
use crate::settings::Settings;

const TILE_GAP: f32 = 14.0;

pub fn stage_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    guild: &Guild,
    channel: &Channel,
    settings: &Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let people = guild.people_in(channel.id);
    let chosen = memory
        .person
        .and_then(|id| people.iter().find(|(user, _)| user.id == id).copied());
    Panel::top("channel header")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.main))
        .show(ui, |ui| channel_header(ui, icons::SPEAKER_HIGH, channel));
    if let Some((user, state)) = chosen {
        Panel::right("person")
            .exact_size(280.0)
            .resizable(false)
            .show_separator_line(false)
            .frame(Frame::new().fill(p.sidebar).inner_margin(18))
            .show(ui, |ui| {
                ScrollArea::vertical().show(ui, |ui| {
                    person::person_ui(ui, scene, user, state, settings, memory, intents);
                });
            });
    }
    CentralPanel::no_frame()
        .frame(Frame::new().fill(p.main).inner_margin(Margin::same(22)))
        .show(ui, |ui| {
            let inside = scene.state.voice.channel() == Some(channel.id);
            if people.is_empty() {
                empty_ui(ui, channel, inside, intents);
                return;
            }
            if !inside {
                ui.vertical_centered(|ui| {
                    if button(ui, Kind::Primary, "Join voice").clicked() {
                        intents.session(Intent::JoinVoice(channel.id));
                    }
                    ui.add_space(12.0);
                });
            }
            ScrollArea::vertical()
                .auto_shrink(false)
                .show(ui, |ui| tiles_ui(ui, scene, &people, memory));
        });
}

fn empty_ui(ui: &mut Ui, channel: &Channel, inside: bool, intents: &mut Intents) {
    let p = palette(ui);
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.5 - 110.0).max(0.0));
        let (rect, _) = ui.allocate_exact_size(vec2(84.0, 84.0), Sense::hover());
        ui.painter()
            .circle_filled(rect.center(), 42.0, p.accent_soft);
        ui.painter().text(
            rect.center(),
            Align2::CENTER_CENTER,
            icons::WAVEFORM,
            theme::icon(40.0),
            p.accent,
        );
        ui.add_space(8.0);
        widgets::heading(ui, &format!("Nobody is in {} yet", channel.name));
        widgets::hint(
            ui,
            if inside {
                "You are on your way in."
            } else {
                "Go first; others see you there and come along."
            },
        );
        ui.add_space(6.0);
        if !inside && button(ui, Kind::Primary, "Join voice").clicked() {
            intents.session(Intent::JoinVoice(channel.id));
        }
    });
}

/// As many columns as keep the tiles large.
fn columns(people: usize, width: f32) -> usize {
    let fit = ((width + TILE_GAP) / (210.0 + TILE_GAP)).floor().max(1.0) as usize;
    let wish = match people {
        0..=1 => 1,
        2..=4 => 2,
        5..=9 => 3,
        _ => 5,
    };
    wish.min(fit)
}

fn tiles_ui(ui: &mut Ui, scene: &Scene<'_>, people: &[(&User, &VoiceState)], memory: &mut Memory) {
    let columns = columns(people.len(), ui.available_width());
    let width = (ui.available_width() - TILE_GAP * (columns - 1) as f32) / columns as f32;
    let height = (width * 0.62).clamp(150.0, 280.0);
    ui.spacing_mut().item_spacing = vec2(TILE_GAP, TILE_GAP);
    for row in people.chunks(columns) {
        ui.horizontal(|ui| {
            for (user, state) in row {
                tile_ui(ui, scene, user, state, vec2(width, height), memory);
            }
        });
    }
}

fn tile_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    user: &User,
    state: &VoiceState,
    size: egui::Vec2,
    memory: &mut Memory,
) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let selected = memory.person == Some(user.id);
    response.widget_info(|| {
        WidgetInfo::selected(
            Role::Button,
            true,
            selected,
            format!("Volume and delay of {}", user.name),
        )
    });
    let speaking = is_speaking(scene, state);
    let fill = if response.hovered() || selected {
        p.hover
    } else {
        p.raised
    };
    ui.painter().rect_filled(rect, RADIUS_L, fill);
    let lit = ui.ctx().animate_bool(response.id, speaking);
    if lit > 0.0 {
        ui.painter().rect_stroke(
            rect,
            RADIUS_L,
            Stroke::new(2.5 * lit, p.live),
            StrokeKind::Inside,
        );
    } else if selected {
        ui.painter().rect_stroke(
            rect,
            RADIUS_L,
            Stroke::new(2.0, p.accent),
            StrokeKind::Inside,
        );
    }
    let center = pos2(rect.center().x, rect.center().y - 10.0);
    avatar(
        ui.painter(),
        ui.ctx(),
        center,
        (size.y * 0.24).min(48.0),
        user,
        speaking,
        false,
    );

    let bottom = rect.bottom() - 22.0;
    let mut right = rect.right() - 20.0;
    for (icon, ink) in state_icons(scene, state) {
        ui.painter()
            .circle_filled(pos2(right, bottom), 13.0, p.sidebar);
        ui.painter().text(
            pos2(right, bottom),
            Align2::CENTER_CENTER,
            icon,
            theme::icon(15.0),
            ink(p),
        );
        right -= 30.0;
    }
    let me = scene.state.me.as_ref().is_some_and(|me| me.id == user.id);
    let name = if me {
        format!("{} (you)", user.name)
    } else {
        user.name.clone()
    };
    line(
        ui.painter(),
        pos2(rect.left() + 16.0, bottom),
        &name,
        theme::strong(BODY),
        p.text,
        right - rect.left() - 24.0,
    );
    level_ui(
        ui,
        scene,
        state,
        me,
        Rect::from_min_max(
            pos2(rect.left() + 16.0, rect.bottom() - 8.0),
            pos2(rect.right() - 16.0, rect.bottom() - 5.0),
        ),
    );
    focus_ring(ui, &response, rect);
    if response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
    {
        memory.person = if selected { None } else { Some(user.id) };
    }
}

/// A thin line as long as the voice is loud.
fn level_ui(ui: &Ui, scene: &Scene<'_>, state: &VoiceState, me: bool, rect: Rect) {
    let level = if me {
        if scene.meters.transmitting {
            scene.levels.0
        } else {
            -96.0
        }
    } else {
        let meter = scene
            .meters
            .speakers
            .iter()
            .find(|speaker| speaker.user == state.user_id);
        meter.map_or(-96.0, |speaker| speaker.level_dbfs)
    };
    let share = ((level + 60.0) / 60.0).clamp(0.0, 1.0);
    if share > 0.02 {
        let filled = Rect::from_min_size(rect.min, vec2(rect.width() * share, rect.height()));
        ui.painter().rect_filled(filled, 2, palette(ui).live);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_stay_large() {
        assert_eq!(columns(1, 900.0), 1);
        assert_eq!(columns(4, 900.0), 2);
        assert_eq!(columns(7, 900.0), 3);
        assert_eq!(columns(7, 300.0), 1);
        assert_eq!(columns(50, 10.0), 1);
    }
}
