//! Rights as switches: held or not by a role, allowed, denied or left alone by a channel.

use egui::{Align2, Role, Sense, Ui, WidgetInfo, vec2};
use voxhall_protocol::permissions::Permissions;

use super::super::{
    icons,
    theme::{self, BODY, RADIUS, palette},
    widgets::{caption, focus_ring, line, switch},
    window::capital,
};

/// Rights that belong together.
const GROUPS: [(&str, Permissions); 4] = [
    (
        "TEXT",
        Permissions::VIEW_CHANNEL
            .with(Permissions::OF_WRITING)
            .with(Permissions::ADD_REACTIONS)
            .with(Permissions::MANAGE_MESSAGES),
    ),
    (
        "VOICE",
        Permissions::OF_VOICE
            .with(Permissions::MUTE_MEMBERS)
            .with(Permissions::DEAFEN_MEMBERS)
            .with(Permissions::MOVE_MEMBERS)
            .with(Permissions::MODERATE_STAGE),
    ),
    (
        "MEMBERS",
        Permissions::CREATE_INVITES
            .with(Permissions::CHANGE_NICKNAME)
            .with(Permissions::MANAGE_NICKNAMES)
            .with(Permissions::KICK_MEMBERS)
            .with(Permissions::BAN_MEMBERS)
            .with(Permissions::TIMEOUT_MEMBERS),
    ),
    (
        "SERVER",
        Permissions::MANAGE_CHANNELS
            .with(Permissions::MANAGE_ROLES)
            .with(Permissions::MANAGE_GUILD)
            .with(Permissions::VIEW_AUDIT_LOG)
            .with(Permissions::ADMINISTRATOR),
    ),
];

fn of_group(ui: &mut Ui, shown: Permissions, mut add: impl FnMut(&mut Ui, Permissions, &str)) {
    for (name, group) in GROUPS {
        let group = group.and(shown);
        if group == Permissions::NONE {
            continue;
        }
        ui.add_space(6.0);
        caption(ui, name);
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for (right, _, words) in Permissions::EACH {
                if group.contains(*right) {
                    add(ui, *right, &capital(words));
                }
            }
        });
    }
}

/// What a role may do. Rights that this user lacks can be seen, and not given.
pub fn held_ui(ui: &mut Ui, held: &mut Permissions, may_give: Permissions) {
    of_group(ui, Permissions::ALL, |ui, right, words| {
        let mut on = held.contains(right);
        let given = ui
            .add_enabled_ui(may_give.contains(right), |ui| switch(ui, &mut on, words))
            .inner;
        if given.changed() {
            *held = if on {
                held.with(right)
            } else {
                held.without(right)
            };
        }
    });
}

/// What a channel denies, leaves alone or allows.
pub fn rule_ui(ui: &mut Ui, allow: &mut Permissions, deny: &mut Permissions, shown: Permissions) {
    of_group(ui, shown, |ui, right, words| {
        let p = palette(ui);
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 32.0), Sense::hover());
        let room = rect.width() - 120.0;
        line(
            ui.painter(),
            rect.left_center(),
            words,
            theme::regular(BODY),
            p.text,
            room,
        );
        let states = [
            (icons::X, "Deny", p.danger, deny.contains(right)),
            (
                icons::MINUS,
                "Leave as it is",
                p.muted,
                !deny.contains(right) && !allow.contains(right),
            ),
            (icons::CHECK, "Allow", p.live, allow.contains(right)),
        ];
        let size = vec2(32.0, 26.0);
        for (i, (icon, word, ink, on)) in states.into_iter().enumerate() {
            let left = rect.right() - size.x * (3 - i) as f32 - 2.0 * (2 - i) as f32;
            let place =
                egui::Rect::from_min_size(egui::pos2(left, rect.center().y - size.y / 2.0), size);
            let id = ui.scope_id().with((right.0, i));
            let response = ui.interact(place, id, Sense::click());
            let (name, enabled) = (format!("{word}: {words}"), ui.is_enabled());
            response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, on, &name));
            let fill = match (on, response.hovered()) {
                (true, _) => p.pressed,
                (false, true) => p.hover,
                (false, false) => p.raised,
            };
            ui.painter().rect_filled(place, RADIUS, fill);
            let ink = if on { ink } else { p.faint.gamma_multiply(0.8) };
            let center = Align2::CENTER_CENTER;
            ui.painter()
                .text(place.center(), center, icon, theme::icon(14.0), ink);
            focus_ring(ui, &response, place);
            if response.on_hover_text(word).clicked() {
                *deny = if i == 0 {
                    deny.with(right)
                } else {
                    deny.without(right)
                };
                *allow = if i == 2 {
                    allow.with(right)
                } else {
                    allow.without(right)
                };
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_is_in_one_group() {
        for (right, name, _) in Permissions::EACH {
            let groups = GROUPS.iter().filter(|(_, group)| group.contains(*right));
            assert_eq!(groups.count(), 1, "{name}");
        }
    }
}
