//! Addresses from which nobody may use the server.

use egui::{Label, RichText, Ui};
use voxhall_protocol::{
    control::{AdminBan, AdminListBans, AdminUnban, Reply},
    limits::REASON_CHARS,
};

use super::super::{
    Intents, Memory, Scene,
    ask::Topic,
    icons,
    theme::{self, BODY, palette},
    widgets::{Kind, button, caption, field, hint},
    window::{
        at_right, change_ui, found_ui, group, labelled_pick, nothing_ui, scrolled, time_words,
    },
};

#[derive(Default)]
pub struct Form {
    network: String,
    reason: String,
    duration_s: Option<u64>,
}

const DURATIONS: [(Option<u64>, &str); 5] = [
    (None, "For ever"),
    (Some(3_600), "1 hour"),
    (Some(24 * 3_600), "1 day"),
    (Some(7 * 24 * 3_600), "7 days"),
    (Some(30 * 24 * 3_600), "30 days"),
];

pub fn bans_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    if memory
        .asks
        .take_done(Topic::Change, scene.state, intents)
        .is_some()
    {
        memory.asks.forget(Topic::List, intents);
        memory.admin.bans = Form::default();
    }
    scrolled(ui, "admin bans", |ui| {
        new_ui(ui, memory, intents);
        change_ui(ui, &memory.asks, scene.state);
        let found = memory
            .asks
            .keep(Topic::List, AdminListBans {}, scene.state, intents);
        let Some(Reply::AdminListBans(list)) = found_ui(ui, found) else {
            return;
        };
        if list.bans.is_empty() {
            nothing_ui(ui, icons::PROHIBIT, "No address is banned", "");
        }
        for ban in &list.bans {
            let p = palette(ui);
            group(ui, |ui| {
                ui.horizontal(|ui| {
                    let network = RichText::new(&ban.network)
                        .font(theme::strong(BODY))
                        .color(p.text);
                    ui.add(Label::new(network));
                    at_right(ui, |ui| {
                        if button(ui, Kind::Secondary, &format!("Unban {}", ban.network)).clicked()
                        {
                            let network = ban.network.clone();
                            memory
                                .asks
                                .ask(Topic::Change, AdminUnban { network }, intents);
                        }
                    });
                });
                let until = ban.until_ms.map_or_else(
                    || "for ever".to_owned(),
                    |until| format!("until {}", time_words(until, scene)),
                );
                let since = time_words(ban.at_ms, scene);
                hint(ui, format!("{} Since {since}, {until}.", ban.reason));
            });
        }
    });
}

fn new_ui(ui: &mut Ui, memory: &mut Memory, intents: &mut Intents) {
    caption(ui, "BAN AN ADDRESS");
    let form = &mut memory.admin.bans;
    group(ui, |ui| {
        ui.columns(3, |columns| {
            let example = "203.0.113.0/24";
            field(
                &mut columns[0],
                "Address or network",
                &mut form.network,
                example,
                false,
            );
            field(&mut columns[1], "Why", &mut form.reason, "", false);
            let choices: Vec<_> = DURATIONS
                .iter()
                .map(|(s, words)| (*s, (*words).to_owned()))
                .collect();
            labelled_pick(&mut columns[2], "How long", &mut form.duration_s, &choices);
        });
        form.reason = form.reason.chars().take(REASON_CHARS).collect();
        let ready = !form.network.trim().is_empty();
        let ban = ui
            .add_enabled_ui(ready, |ui| button(ui, Kind::Danger, "Ban it"))
            .inner;
        if ban.clicked() {
            let ban = AdminBan {
                network: form.network.trim().to_owned(),
                reason: form.reason.trim().to_owned(),
                duration_s: form.duration_s,
            };
            memory.asks.ask(Topic::Change, ban, intents);
        }
    });
}
