//! Invites: making them, who came by which, and ending them.

use egui::{Label, RichText, Ui};
use voxhall_protocol::control::{CreateInvite, Invite, ListInvites, Reply, RevokeInvite};

use super::{
    super::{
        Intents, Memory, Scene,
        ask::Topic,
        icons,
        theme::{self, BODY, SMALL, palette},
        widgets::{Kind, button, caption, copy_icon, hint, icon_button},
        window::{
            Confirm, at_right, change_ui, found_ui, group, labelled_pick, nothing_ui, now_ms,
            scrolled, time_words,
        },
    },
    Site,
};

const LIFETIMES: [(Option<u64>, &str); 6] = [
    (Some(1_800), "30 minutes"),
    (Some(3_600), "1 hour"),
    (Some(12 * 3_600), "12 hours"),
    (Some(24 * 3_600), "1 day"),
    (Some(7 * 24 * 3_600), "7 days"),
    (None, "For ever"),
];
const USES: [(Option<u32>, &str); 6] = [
    (Some(1), "1 person"),
    (Some(5), "5 people"),
    (Some(10), "10 people"),
    (Some(25), "25 people"),
    (Some(100), "100 people"),
    (None, "Any number"),
];

pub struct Form {
    expires_in_s: Option<u64>,
    max_uses: Option<u32>,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            expires_in_s: Some(7 * 24 * 3_600),
            max_uses: None,
        }
    }
}

pub fn invites_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let state = site.scene.state;
    let guild_id = site.guild.id;
    memory.asks.renew_list(state, intents);
    scrolled(ui, "invites", |ui| {
        new_ui(ui, site, memory, intents);
        change_ui(ui, &memory.asks, state);
        ui.add_space(6.0);
        let found = memory
            .asks
            .keep(Topic::List, ListInvites { guild_id }, state, intents);
        let Some(Reply::ListInvites(list)) = found_ui(ui, found) else {
            return;
        };
        if list.invites.is_empty() {
            nothing_ui(
                ui,
                icons::LINK,
                "No invites",
                "Make a link above, and send it to friends.",
            );
        }
        for invite in &list.invites {
            invite_ui(ui, site, invite, memory);
        }
    });
}

fn words<T: Clone>(choices: &[(T, &str)]) -> Vec<(T, String)> {
    choices
        .iter()
        .map(|(value, words)| (value.clone(), (*words).to_owned()))
        .collect()
}

fn new_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    caption(ui, "NEW INVITE");
    group(ui, |ui| {
        let form = &mut memory.guild_form.invites;
        ui.columns(3, |columns| {
            labelled_pick(
                &mut columns[0],
                "It is good for",
                &mut form.expires_in_s,
                &words(&LIFETIMES),
            );
            labelled_pick(
                &mut columns[1],
                "It lets in",
                &mut form.max_uses,
                &words(&USES),
            );
            columns[2].add_space(18.0);
            if button(&mut columns[2], Kind::Primary, "Make a link").clicked() {
                let create = CreateInvite {
                    guild_id: site.guild.id,
                    expires_in_s: form.expires_in_s,
                    max_uses: form.max_uses,
                };
                memory.asks.ask(Topic::Change, create, intents);
            }
        });
    });
}

fn invite_ui(ui: &mut Ui, site: &Site<'_, '_>, invite: &Invite, memory: &mut Memory) {
    let p = palette(ui);
    group(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.horizontal(|ui| {
            let code = RichText::new(&invite.code)
                .font(theme::strong(BODY))
                .color(p.text);
            ui.add(Label::new(code));
            hint(ui, terms(invite, site.scene));
            at_right(ui, |ui| {
                let name = format!("Revoke {}", invite.code);
                if icon_button(ui, icons::TRASH, &name, false).clicked() {
                    memory.confirm = Some(Confirm {
                        title: format!("Revoke {}?", invite.code),
                        text: "Nobody can come by it any more. Who came already stays.".to_owned(),
                        verb: "Revoke it".to_owned(),
                        request: RevokeInvite {
                            guild_id: site.guild.id,
                            code: invite.code.clone(),
                        }
                        .into(),
                    });
                }
                copy_icon(ui, &format!("Copy the link {}", invite.code), &invite.link);
            });
        });
        if let Some(by) = &invite.created_by {
            let at = time_words(invite.created_at_ms, site.scene);
            small(ui, &format!("Made by {}, {at}", by.shown_name()));
        }
        if !invite.came.is_empty() {
            let names: Vec<_> = invite.came.iter().map(|user| user.shown_name()).collect();
            small(ui, &format!("Came by it: {}", names.join(", ")));
        }
    });
}

fn small(ui: &mut Ui, text: &str) {
    let ink = palette(ui).muted;
    ui.add(Label::new(RichText::new(text).size(SMALL).color(ink)).wrap());
}

/// How much of it is left.
fn terms(invite: &Invite, scene: &Scene<'_>) -> String {
    let uses = match invite.max_uses {
        Some(max) => format!("{} of {max} used", invite.uses),
        None => format!("used {} times", invite.uses),
    };
    match invite.expires_at_ms {
        Some(at) if at <= now_ms(scene) => format!("{uses}, expired"),
        Some(at) => format!("{uses}, until {}", time_words(at, scene)),
        None => format!("{uses}, does not expire"),
    }
}
