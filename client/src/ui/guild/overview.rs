//! What the guild is called and looks like; leaving it, handing it over, deleting it.

use std::path::PathBuf;

use egui::{Sense, Ui, vec2};
use voxhall_protocol::{
    FileId, GuildId, UserId,
    control::{DeleteGuild, LeaveGuild, TransferGuild, UpdateGuild},
    limits::{ABOUT_CHARS, clean_name},
    permissions::Permissions,
};
use voxhall_session::Guild;

use super::{
    super::{
        Intents, Memory,
        ask::Topic,
        picture::{self, Picture, PictureOf},
        widgets::{self, Kind, button, caption, field, hint, rule},
        window::{self, Confirm, Entered, change_ui, count, save_ui, scrolled, text_field, who_ui},
    },
    Site, find_member_ui,
};

#[derive(Default)]
pub struct Form {
    draft: Option<Entered<Draft>>,
    icon: Picture,
    heir_words: String,
    heir: Option<UserId>,
}

impl Form {
    pub fn choose_icon(&mut self, file: PathBuf) {
        self.icon.choose(file);
    }
}

#[derive(Clone, PartialEq)]
struct Draft {
    guild: GuildId,
    name: String,
    description: String,
}

impl Draft {
    fn of(guild: &Guild) -> Self {
        Self {
            guild: guild.id,
            name: guild.name.clone(),
            description: guild.description.clone(),
        }
    }
}

pub fn overview_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let guild = site.guild;
    scrolled(ui, "overview", |ui| {
        if site.may.contains(Permissions::MANAGE_GUILD) {
            identity_ui(ui, site, memory, intents);
        } else {
            hint(ui, &guild.description);
        }
        change_ui(ui, &memory.asks, site.scene.state);
        hint(
            ui,
            format!(
                "{}, {}, {}.",
                count(guild.members.len(), "member"),
                count(guild.channels.len(), "channel"),
                count(guild.roles.len(), "role"),
            ),
        );
        ui.add_space(6.0);
        rule(ui);
        ending_ui(ui, site, memory);
    });
    memory
        .asks
        .take_done(Topic::Change, site.scene.state, intents);
}

fn identity_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let guild = site.guild;
    let form = &mut memory.guild_form.overview;
    let now = Draft::of(guild);
    let other = |draft: &Entered<Draft>| draft.get().guild != guild.id;
    if form.draft.as_ref().is_some_and(other) {
        form.draft = None;
    }
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(64.0, 64.0), Sense::hover());
        widgets::guild_icon(ui, rect, guild, true, 18);
        ui.vertical(|ui| {
            if let Some(icon) = picture::picture_ui(
                ui,
                ("Icon", PictureOf::Guild(guild.id)),
                &mut form.icon,
                site.scene.state,
                intents,
            ) {
                let update = icon_update(guild.id, icon);
                memory.asks.ask(Topic::Change, update, intents);
            }
            if guild.icon.is_some() && button(ui, Kind::Quiet, "Remove the icon").clicked() {
                let update = icon_update(guild.id, FileId(0));
                memory.asks.ask(Topic::Change, update, intents);
            }
        });
    });
    let draft = Entered::follow(&mut memory.guild_form.overview.draft, &now);
    field(ui, "Name of the server", &mut draft.name, "", false);
    text_field(ui, "Description", &mut draft.description, ABOUT_CHARS, 3);
    let wrong = clean_name(&draft.name).err();
    if let Some(wrong) = wrong {
        hint(ui, window::capital(&wrong.to_string()));
    }
    let mut undo = false;
    if save_ui(ui, *draft != now, wrong.is_none(), || undo = true) {
        let update = UpdateGuild {
            guild_id: guild.id,
            name: (draft.name != now.name).then(|| draft.name.clone()),
            description: (draft.description != now.description).then(|| draft.description.clone()),
            icon: None,
        };
        memory.asks.ask(Topic::Change, update, intents);
    }
    if undo {
        memory.guild_form.overview.draft = None;
    }
}

fn icon_update(guild_id: GuildId, icon: FileId) -> UpdateGuild {
    UpdateGuild {
        guild_id,
        name: None,
        description: None,
        icon: Some(icon),
    }
}

/// The ways out. An owner hands over before leaving.
fn ending_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory) {
    let guild = site.guild;
    let owner =
        guild.owner.is_some() && guild.owner == site.scene.state.me.as_ref().map(|me| me.id);
    if !owner {
        hint(ui, "Who leaves needs another invite to come back.");
        if button(ui, Kind::Danger, "Leave this server").clicked() {
            memory.confirm = Some(Confirm {
                title: format!("Leave {}?", guild.name),
                text: "What you wrote stays. To come back you need an invite.".to_owned(),
                verb: "Leave it".to_owned(),
                request: LeaveGuild { guild_id: guild.id }.into(),
            });
        }
        return;
    }
    let form = &mut memory.guild_form.overview;
    caption(ui, "HAND OVER");
    hint(
        ui,
        "Another member becomes the owner. You stay a member, with the roles you have.",
    );
    if let Some(user) = find_member_ui(ui, guild, "New owner", &mut form.heir_words) {
        form.heir = Some(user);
    }
    let heir = form.heir.and_then(|user| guild.members.get(&user));
    if let Some(member) = heir.filter(|member| guild.owner != Some(member.user.id)) {
        let mut asked = false;
        ui.horizontal(|ui| {
            who_ui(ui, &member.user, 28.0);
            asked = button(ui, Kind::Danger, "Hand over").clicked();
        });
        if asked {
            memory.confirm = Some(Confirm {
                title: format!("Hand {} over?", guild.name),
                text: format!(
                    "{} will own it: only they can hand it back or delete it.",
                    member.shown_name()
                ),
                verb: "Hand it over".to_owned(),
                request: TransferGuild {
                    guild_id: guild.id,
                    user_id: member.user.id,
                }
                .into(),
            });
        }
    }
    ui.add_space(6.0);
    rule(ui);
    caption(ui, "DELETE");
    hint(
        ui,
        "Its channels, messages and files are deleted for everyone.",
    );
    if button(ui, Kind::Danger, "Delete this server").clicked() {
        memory.confirm = Some(Confirm {
            title: format!("Delete {}?", guild.name),
            text: "Everything in it is deleted for everyone, and can't be brought back.".to_owned(),
            verb: "Delete it".to_owned(),
            request: DeleteGuild { guild_id: guild.id }.into(),
        });
    }
}
