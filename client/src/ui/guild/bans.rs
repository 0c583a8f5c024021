//! Who may not come back.

use egui::{Label, RichText, Ui};
use voxhall_protocol::control::{ListBans, Reply, UnbanMember};

use super::{
    super::{
        Intents, Memory,
        ask::Topic,
        icons,
        theme::{SMALL, palette},
        widgets::{Kind, button},
        window::{
            at_right, change_ui, found_ui, group, nothing_ui, scrolled, tag_ui, time_words, who_ui,
        },
    },
    Site,
};

pub fn bans_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let state = site.scene.state;
    let guild_id = site.guild.id;
    memory.asks.renew_list(state, intents);
    scrolled(ui, "bans", |ui| {
        change_ui(ui, &memory.asks, state);
        let found = memory
            .asks
            .keep(Topic::List, ListBans { guild_id }, state, intents);
        let Some(Reply::ListBans(list)) = found_ui(ui, found) else {
            return;
        };
        if list.bans.is_empty() {
            let advice = "Whoever is banned stands here, and can be let back in.";
            nothing_ui(ui, icons::PROHIBIT, "Nobody is banned", advice);
        }
        for ban in &list.bans {
            let p = palette(ui);
            group(ui, |ui| {
                ui.horizontal(|ui| {
                    who_ui(ui, &ban.user, 30.0);
                    if ban.address {
                        tag_ui(ui, "addresses too", p.warning);
                    }
                    at_right(ui, |ui| {
                        if button(ui, Kind::Secondary, &format!("Unban {}", ban.user.name))
                            .clicked()
                        {
                            let user_id = ban.user.id;
                            memory.asks.ask(
                                Topic::Change,
                                UnbanMember { guild_id, user_id },
                                intents,
                            );
                        }
                    });
                });
                let by = ban.by.as_ref().map_or("the server", |by| by.shown_name());
                let reason = match ban.reason.as_str() {
                    "" => "No reason was given.".to_owned(),
                    reason => format!("“{reason}”"),
                };
                let words = format!("{reason} By {by}, {}", time_words(ban.at_ms, site.scene));
                ui.add(Label::new(RichText::new(words).size(SMALL).color(p.muted)).wrap());
            });
        }
    });
}
