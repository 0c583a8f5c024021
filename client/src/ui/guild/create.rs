//! Another guild: a new one, or one that an invite leads to.

use egui::Ui;
use voxhall_protocol::{
    control::{CreateGuild, RedeemInvite, Reply},
    limits::{INVITE_CODE_CHARS, clean_name},
    link::Link,
};

use super::super::{
    Intents, Memory, Scene, Want,
    ask::Topic,
    widgets::{Kind, caption, field, hint, rule, wide_button},
    window::{change_ui, dialog_ui, needs_server},
};
use crate::settings::is_same_server;

#[derive(Default)]
pub struct NewGuild {
    name: String,
    /// A link or its code.
    pub invite: String,
}

pub fn new_guild_ui(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let close = dialog_ui(ui, "new guild", "Add a server", 400.0, |ui| {
        needs_server(ui, scene.state);
        caption(ui, "JOIN ONE");
        field(
            ui,
            "Invite link or code",
            &mut memory.new_guild.invite,
            "voxhall://…",
            false,
        );
        let way = way_in(&memory.new_guild.invite, memory.entry.link.as_ref());
        let width = ui.available_width();
        let join = ui
            .add_enabled_ui(way.is_some(), |ui| {
                wide_button(ui, Kind::Primary, "Join it", width)
            })
            .inner;
        let mut left = false;
        if join.clicked() {
            match way {
                Some(WayIn::Here(code)) => {
                    memory
                        .asks
                        .ask(Topic::Change, RedeemInvite { code }, intents);
                }
                Some(WayIn::Elsewhere(link)) => {
                    intents.want(Want::Visit(*link));
                    left = true;
                }
                None => {}
            }
        }
        ui.add_space(4.0);
        rule(ui);
        caption(ui, "OR MAKE YOUR OWN");
        hint(ui, "You own it: you say who comes in, and who may do what.");
        field(
            ui,
            "Its name",
            &mut memory.new_guild.name,
            "Friday Night",
            false,
        );
        let ready = clean_name(&memory.new_guild.name).is_ok();
        let width = ui.available_width();
        let make = ui
            .add_enabled_ui(ready, |ui| {
                wide_button(ui, Kind::Secondary, "Make it", width)
            })
            .inner;
        if make.clicked() {
            let name = memory.new_guild.name.trim().to_owned();
            memory
                .asks
                .ask(Topic::Change, CreateGuild { name }, intents);
        }
        change_ui(ui, &memory.asks, scene.state);
        ui.add_space(4.0);
        rule(ui);
        caption(ui, "OR BE ON ANOTHER VOXHALL SERVER TOO");
        if wide_button(ui, Kind::Secondary, "Go there", width).clicked() {
            intents.want(Want::AddServer);
            left = true;
        }
        left
    });
    let arrived = match memory.asks.take_done(Topic::Change, scene.state, intents) {
        Some((_, Reply::CreateGuild(guild))) => Some(guild.id),
        Some((_, Reply::RedeemInvite(redeemed))) => Some(redeemed.guild_id),
        _ => None,
    };
    if let Some(guild) = arrived {
        memory.new_guild = NewGuild::default();
        memory.show_guild(guild);
    }
    if close || arrived.is_some() {
        memory.dialog = None;
    }
}

/// Where an invite leads.
#[derive(Debug, PartialEq)]
enum WayIn {
    /// To another guild of this Voxhall server.
    Here(String),
    Elsewhere(Box<Link>),
}

fn way_in(text: &str, here: Option<&Link>) -> Option<WayIn> {
    let text = text.trim();
    if text.contains("://") {
        let link: Link = text.parse().ok()?;
        let same = here.is_some_and(|here| is_same_server(here, &link));
        return match (same, &link.code) {
            (true, Some(code)) => Some(WayIn::Here(code.clone())),
            (true, None) => None,
            (false, _) => Some(WayIn::Elsewhere(Box::new(link))),
        };
    }
    let code =
        INVITE_CODE_CHARS.contains(&text.chars().count()) && !text.contains(char::is_whitespace);
    code.then(|| WayIn::Here(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_leads_here_or_elsewhere() {
        let here: Link = "voxhall://talk.example:9000".parse().unwrap();
        let way = |text| way_in(text, Some(&here));
        let code = || Some(WayIn::Here("SUNNY-OTTER".to_owned()));
        assert_eq!(way(" SUNNY-OTTER "), code());
        assert_eq!(way("voxhall://talk.example:9000/SUNNY-OTTER"), code());
        assert!(matches!(
            way("voxhall://other.example:9000/X1Y2Z3"),
            Some(WayIn::Elsewhere(_))
        ));
        for nothing in [
            "",
            "a",
            "two words",
            "voxhall://talk.example:9000",
            "http://x",
        ] {
            assert_eq!(way(nothing), None, "{nothing:?}");
        }
    }
}
