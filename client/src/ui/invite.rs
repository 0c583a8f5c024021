//! The link to send to friends.

use egui::{CornerRadius, Frame, Id, Label, Modal, RichText, Spinner, Ui};
use voxhall_protocol::GuildId;
use voxhall_session::{Intent, InviteLink};

use super::{
    Intents, Memory, Scene, icons,
    theme::{SMALL, palette},
    widgets::{self, Kind, card, heading, hint, icon_button, name_dialog, trouble},
};

pub fn invite_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    guild: GuildId,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let name = scene
        .state
        .guilds
        .iter()
        .find(|it| it.id == guild)
        .map_or("this server", |guild| guild.name.as_str());
    let response = Modal::new(Id::unique("invite"))
        .frame(card(ui))
        .show(ui.ctx(), |ui| {
            let p = palette(ui);
            ui.set_width(460.0);
            name_dialog(ui, "Invite people");
            let mut close = false;
            ui.horizontal(|ui| {
                heading(ui, &format!("Invite people to {name}"));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    close = icon_button(ui, icons::X, "Close", false).clicked();
                });
            });
            hint(ui, "Whoever opens this link picks a name and can talk.");
            ui.add_space(6.0);
            let invite = match &scene.state.invite {
                InviteLink::Made(invite) => invite,
                InviteLink::Failed(reason) => {
                    trouble(ui, reason, "");
                    if widgets::button(ui, Kind::Secondary, "Try again").clicked() {
                        intents.session(Intent::CreateInvite(guild));
                    }
                    return close;
                }
                InviteLink::Making | InviteLink::None => {
                    ui.horizontal(|ui| {
                        ui.add(Spinner::new().size(18.0).color(p.accent));
                        hint(ui, "Making a link…");
                    });
                    return close;
                }
            };
            Frame::new()
                .fill(p.raised)
                .corner_radius(CornerRadius::same(10))
                .inner_margin(12)
                .show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    let text = RichText::new(&invite.link)
                        .font(egui::FontId::monospace(13.0))
                        .color(p.text);
                    ui.add(Label::new(text).wrap().selectable(true))
                        .accessible_name("Invite link");
                });
            ui.add_space(4.0);
            ui.horizontal(|ui| {
                widgets::copy_button(ui, Kind::Primary, "Copy link", &invite.link);
                ui.add(Label::new(
                    RichText::new(terms(invite, scene))
                        .size(SMALL)
                        .color(p.muted),
                ));
            });
            close
        });
    if response.inner || response.should_close() {
        memory.dialog = None;
    }
}

fn terms(invite: &voxhall_protocol::control::Invite, scene: &Scene<'_>) -> String {
    let uses = match invite.max_uses {
        Some(max) => format!("{} of {max} uses left", max.saturating_sub(invite.uses)),
        None => "any number of people".to_owned(),
    };
    let until = invite
        .expires_at_ms
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    match until {
        Some(until) => format!(
            "{uses}, until {}",
            until
                .to_zoned(scene.time_zone.clone())
                .strftime("%-d %B, %H:%M")
        ),
        None => format!("{uses}, does not expire"),
    }
}
