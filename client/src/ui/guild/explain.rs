//! Why someone may or may not do a thing, and what a role sees.

use egui::{Label, RichText, Ui};
use voxhall_protocol::{
    ChannelId, RoleId, UserId,
    control::{ChannelKind, ExplainFor, ExplainPermissions, Explanation, Reply},
    permissions::Permissions,
};

use super::{
    super::{
        Intents, Memory,
        ask::Topic,
        icons,
        theme::{self, BODY, SMALL, palette},
        widgets::{Kind, button, hint, segmented, symbol},
        window::{capital, found_ui, labelled_pick, pick, scrolled},
    },
    Site, find_member_ui,
};

#[derive(Default)]
pub struct Form {
    of: Option<ExplainFor>,
    channel: Option<ChannelId>,
    words: String,
    show: Show,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Show {
    #[default]
    All,
    Allowed,
    Denied,
}

impl Form {
    pub fn look_as(&mut self, role: RoleId) {
        self.of = Some(ExplainFor::Role(role));
    }

    pub fn look_at(&mut self, user: UserId) {
        self.of = Some(ExplainFor::User(user));
    }
}

pub fn explain_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let guild = site.guild;
    let Some(me) = site.scene.state.me.as_ref().map(|me| me.id) else {
        return;
    };
    let others = site.may.contains(Permissions::MANAGE_ROLES);
    let form = &mut memory.guild_form.explain;
    let of = match form.of.filter(|of| others || *of == ExplainFor::User(me)) {
        Some(of) => of,
        None => ExplainFor::User(me),
    };
    scrolled(ui, "explain", |ui| {
        ui.horizontal(|ui| {
            let who = match of {
                ExplainFor::User(user) if user == me => "You".to_owned(),
                ExplainFor::User(user) => guild
                    .members
                    .get(&user)
                    .map_or("Someone who left".to_owned(), |it| {
                        it.shown_name().to_owned()
                    }),
                ExplainFor::Role(role) => format!(
                    "Someone with only {}",
                    guild.role(role).map_or("a role", |role| &role.name)
                ),
            };
            let who = RichText::new(who)
                .font(theme::strong(BODY + 1.5))
                .color(palette(ui).text);
            ui.add(Label::new(who));
            hint(ui, "in");
            pick(ui, "Where", &mut form.channel, &places(site), 240.0);
            if of != ExplainFor::User(me) && button(ui, Kind::Quiet, "Look at yourself").clicked() {
                form.of = None;
            }
        });
        if others {
            ui.columns(2, |columns| {
                let chosen = find_member_ui(&mut columns[0], guild, "As a member", &mut form.words);
                if let Some(user) = chosen {
                    form.look_at(user);
                }
                let mut role = match of {
                    ExplainFor::Role(role) => Some(role),
                    ExplainFor::User(_) => None,
                };
                let roles = guild
                    .roles
                    .iter()
                    .map(|role| (Some(role.id), role.name.clone()));
                let roles: Vec<_> = std::iter::once((None, "No role".to_owned()))
                    .chain(roles)
                    .collect();
                if labelled_pick(
                    &mut columns[1],
                    "As someone with only this role",
                    &mut role,
                    &roles,
                ) {
                    form.of = role.map(ExplainFor::Role);
                }
            });
        } else {
            hint(ui, "Only who may manage roles can look as others.");
        }
        segmented(
            ui,
            &mut form.show,
            &[
                (Show::All, "All rights"),
                (Show::Allowed, "What they may"),
                (Show::Denied, "What they may not"),
            ],
        );
        let (show, channel_id) = (form.show, form.channel);
        let question = ExplainPermissions {
            guild_id: guild.id,
            channel_id,
            of,
        };
        let found = memory
            .asks
            .keep(Topic::List, question, site.scene.state, intents);
        if let Some(Reply::ExplainPermissions(explained)) = found_ui(ui, found) {
            let shown = explained.explanations.iter().filter(|it| match show {
                Show::All => true,
                Show::Allowed => it.allowed,
                Show::Denied => !it.allowed,
            });
            ui.spacing_mut().item_spacing.y = 3.0;
            for explanation in shown {
                explanation_ui(ui, explanation);
            }
        }
    });
}

/// The guild as a whole, and its channels.
fn places(site: &Site<'_, '_>) -> Vec<(Option<ChannelId>, String)> {
    let channels = site.guild.channels.iter().map(|channel| {
        let mark = match channel.kind {
            ChannelKind::Category => "category ",
            kind if kind.is_voice() => "",
            _ => "#",
        };
        (Some(channel.id), format!("{mark}{}", channel.name))
    });
    let whole = (None, "the whole server".to_owned());
    std::iter::once(whole).chain(channels).collect()
}

fn explanation_ui(ui: &mut Ui, explanation: &Explanation) {
    let p = palette(ui);
    let (icon, ink, word) = match explanation.allowed {
        true => (icons::CHECK, p.live, "may"),
        false => (icons::X, p.danger, "may not"),
    };
    let words = capital(&explanation.permission.words());
    let why = explanation.because.join("; ");
    let shown = ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 10.0;
        symbol(ui, icon, 15.0, ink);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.add(Label::new(
                RichText::new(&words)
                    .font(theme::strong(BODY))
                    .color(p.text),
            ));
            ui.add(Label::new(RichText::new(&why).size(SMALL).color(p.muted)).wrap());
            ui.add_space(4.0);
        });
    });
    let said = format!("{words}: {word}, {why}");
    let line = shown.response.interact(egui::Sense::hover());
    line.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &said));
}
