//! All servers of the server: who owns them, how large they are.

use egui::{Label, RichText, Ui};
use voxhall_protocol::control::{AdminDeleteGuild, AdminGuild, AdminListGuilds, Reply};

use super::super::{
    Intents, Memory, Scene,
    ask::Topic,
    icons,
    theme::{self, BODY, palette},
    widgets::{hint, icon_button},
    window::{
        Confirm, at_right, change_ui, count, found_ui, group, nothing_ui, scrolled, time_words,
    },
};

pub fn guilds_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    if memory
        .asks
        .take_done(Topic::Change, scene.state, intents)
        .is_some()
    {
        memory.asks.forget(Topic::List, intents);
    }
    scrolled(ui, "admin guilds", |ui| {
        change_ui(ui, &memory.asks, scene.state);
        let found = memory
            .asks
            .keep(Topic::List, AdminListGuilds {}, scene.state, intents);
        let Some(Reply::AdminListGuilds(list)) = found_ui(ui, found) else {
            return;
        };
        if list.guilds.is_empty() {
            nothing_ui(ui, icons::HOUSE, "There are none", "");
        }
        for guild in &list.guilds {
            guild_ui(ui, scene, guild, memory);
        }
    });
}

fn guild_ui(ui: &mut Ui, scene: &Scene<'_>, guild: &AdminGuild, memory: &mut Memory) {
    let p = palette(ui);
    group(ui, |ui| {
        ui.horizontal(|ui| {
            let name = RichText::new(&guild.name)
                .font(theme::strong(BODY))
                .color(p.text);
            ui.add(Label::new(name));
            at_right(ui, |ui| {
                let name = format!("Delete the server {}", guild.name);
                if icon_button(ui, icons::TRASH, &name, false).clicked() {
                    memory.confirm = Some(Confirm {
                        title: format!("Delete {}?", guild.name),
                        text:
                            "Everything in it is deleted for everyone, and can't be brought back."
                                .to_owned(),
                        verb: "Delete it".to_owned(),
                        request: AdminDeleteGuild { guild_id: guild.id }.into(),
                    });
                }
            });
        });
        let owner = guild
            .owner
            .as_ref()
            .map_or("nobody", |owner| owner.shown_name());
        hint(
            ui,
            format!(
                "Owned by {owner}, {}, {}, {}, since {}.",
                count(guild.members as usize, "member"),
                count(guild.channels as usize, "channel"),
                count(guild.messages as usize, "message"),
                time_words(guild.created_at_ms, scene),
            ),
        );
    });
}
