//! A guild's settings, and making or joining one.

mod audit;
mod bans;
mod channels;
mod create;
mod explain;
mod invites;
mod members;
mod overview;
mod rights;
mod roles;

use egui::{Ui, vec2};
use voxhall_protocol::{GuildId, permissions::Permissions};
use voxhall_session::Guild;

pub use create::{NewGuild, new_guild_ui};

use super::{
    Dialog, Intents, Memory, Scene, icons,
    theme::palette,
    widgets::hint,
    window::{TabOf, Turn, needs_server, now_ms, pages_ui},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Overview,
    Channels,
    Roles,
    Explain,
    Members,
    Invites,
    Bans,
    Audit,
}

const TABS: [TabOf<Page>; 8] = [
    (Page::Overview, icons::HOUSE, "Overview"),
    (Page::Channels, icons::HASH, "Channels"),
    (Page::Roles, icons::SHIELD, "Roles"),
    (Page::Explain, icons::QUESTION, "Who may what"),
    (Page::Members, icons::USERS, "Members"),
    (Page::Invites, icons::LINK, "Invites"),
    (Page::Bans, icons::PROHIBIT, "Bans"),
    (Page::Audit, icons::SCROLL, "Audit log"),
];

/// What is being entered on the pages.
#[derive(Default)]
pub struct Form {
    overview: overview::Form,
    channels: channels::Form,
    roles: roles::Form,
    explain: explain::Form,
    members: members::Form,
    invites: invites::Form,
    audit: audit::Form,
}

impl Form {
    pub fn show_channel(&mut self, channel: voxhall_protocol::ChannelId) {
        self.channels = channels::Form::of(channel);
    }

    /// The file of an icon was chosen.
    pub fn choose_icon(&mut self, file: std::path::PathBuf) {
        self.overview.choose_icon(file);
    }

    pub fn show_role(&mut self, role: voxhall_protocol::RoleId) {
        self.roles = roles::Form::of(role);
    }

    /// The pages open at this member.
    pub fn show_member(&mut self, user: voxhall_protocol::UserId) {
        self.members = members::Form::of(user);
    }
}

/// What a page is drawn from.
struct Site<'a, 'b> {
    scene: &'b Scene<'a>,
    guild: &'b Guild,
    /// What this user may do in the guild as a whole.
    may: Permissions,
}

pub fn guild_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    id: GuildId,
    page: Page,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let Some(guild) = scene.state.guild(id) else {
        memory.dialog = None;
        return;
    };
    let may = scene.state.permissions(id, None, now_ms(scene));
    let tabs: Vec<_> = TABS.into_iter().filter(|tab| opens(tab.0, may)).collect();
    let page = if opens(page, may) {
        page
    } else {
        Page::Overview
    };
    let site = Site { scene, guild, may };
    let about = guild.name.to_uppercase();
    let turn = pages_ui(
        ui,
        "guild settings",
        &about,
        &tabs,
        page,
        vec2(960.0, 640.0),
        |ui| {
            needs_server(ui, scene.state);
            match page {
                Page::Overview => overview::overview_ui(ui, &site, memory, intents),
                Page::Channels => channels::channels_ui(ui, &site, memory, intents),
                Page::Roles => roles::roles_ui(ui, &site, memory, intents),
                Page::Explain => explain::explain_ui(ui, &site, memory, intents),
                Page::Members => members::members_ui(ui, &site, memory, intents),
                Page::Invites => invites::invites_ui(ui, &site, memory, intents),
                Page::Bans => bans::bans_ui(ui, &site, memory, intents),
                Page::Audit => audit::audit_ui(ui, &site, memory, intents),
            }
        },
    );
    match turn {
        // A last question stands above this dialog.
        _ if memory.confirm.is_some() => {}
        Turn::Stay => {}
        Turn::To(page) => memory.dialog = Some(Dialog::Guild(id, page)),
        Turn::Close => memory.dialog = None,
    }
}

/// Whether a page makes sense to who may do that.
fn opens(page: Page, may: Permissions) -> bool {
    let needed = match page {
        Page::Overview | Page::Members | Page::Explain => return true,
        Page::Channels => Permissions::MANAGE_CHANNELS,
        Page::Roles => Permissions::MANAGE_ROLES,
        Page::Invites => Permissions::CREATE_INVITES.with(Permissions::MANAGE_GUILD),
        Page::Bans => Permissions::BAN_MEMBERS,
        Page::Audit => Permissions::VIEW_AUDIT_LOG,
    };
    may.intersects(needed)
}

/// Members whose name has these words in it, by name; a few of them.
fn find_members<'a>(
    guild: &'a Guild,
    words: &str,
    most: usize,
) -> Vec<&'a voxhall_protocol::control::Member> {
    let words = words.trim().to_lowercase();
    let mut found: Vec<_> = guild
        .members
        .values()
        .filter(|member| {
            member.shown_name().to_lowercase().contains(&words)
                || member.user.name.to_lowercase().contains(&words)
        })
        .collect();
    found.sort_by_cached_key(|member| (member.shown_name().to_lowercase(), member.user.id));
    found.truncate(most);
    found
}

/// A field that finds a member. The one who was chosen, once.
fn find_member_ui(
    ui: &mut Ui,
    guild: &Guild,
    label: &str,
    words: &mut String,
) -> Option<voxhall_protocol::UserId> {
    super::widgets::field(ui, label, words, "Part of a name", false);
    if words.trim().is_empty() {
        return None;
    }
    let found = find_members(guild, words, 6);
    if found.is_empty() {
        hint(ui, "Nobody here has such a name.");
    }
    let mut chosen = None;
    for member in found {
        let name = format!("Choose {}", member.shown_name());
        let icon = (icons::USER, palette(ui).faint);
        let note = &member.user.name;
        if super::window::item_ui(ui, icon, member.shown_name(), note, false, &name).clicked() {
            chosen = Some(member.user.id);
        }
    }
    if chosen.is_some() {
        words.clear();
    }
    chosen
}

/// The colour of a role, or of someone by their highest coloured role.
fn role_ink(ui: &Ui, role: Option<&voxhall_protocol::control::Role>) -> egui::Color32 {
    let color = role.and_then(|role| role.color);
    color.map_or(palette(ui).faint, super::theme::rgb)
}
