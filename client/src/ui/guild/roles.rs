//! Roles: their names, colours, order and rights.

use egui::Ui;
use voxhall_protocol::{
    RoleId,
    control::{CreateRole, DeleteRole, ReorderRoles, Reply, Request, Role, UpdateRole},
    limits::clean_name,
    permissions::Permissions,
};
use voxhall_session::Guild;

use super::{
    super::{
        Dialog, Intents, Memory,
        ask::Topic,
        icons, theme,
        widgets::{Kind, button, caption, field, hint, icon_button, rule, swatch, switch},
        window::{
            Confirm, Entered, above_footer, change_ui, column, item_ui, nothing_ui, save_ui,
            scrolled,
        },
    },
    Page, Site, rights, role_ink,
};

/// Colours to choose from, readable on both themes.
const COLORS: [u32; 12] = [
    0x5b8def, 0x3aa6b9, 0x2fa36b, 0x7aa63a, 0xc9a227, 0xe0852f, 0xe06666, 0xd9609a, 0xa66bd9,
    0x7d74e8, 0x8a93a6, 0xb08968,
];
/// Above every colour: the theme's own.
const NO_COLOR: u32 = 0x0100_0000;

#[derive(Default)]
pub struct Form {
    shown: Option<RoleId>,
    draft: Option<Entered<Role>>,
    /// The field for a colour's hex digits.
    hex: String,
}

impl Form {
    pub fn of(role: RoleId) -> Self {
        Self {
            shown: Some(role),
            ..Self::default()
        }
    }
}

pub fn roles_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let done = memory
        .asks
        .take_done(Topic::Change, site.scene.state, intents);
    let form = &mut memory.guild_form.roles;
    match done {
        Some((_, Reply::CreateRole(role))) => form.shown = Some(role.id),
        Some((Request::DeleteRole(_), _)) => form.shown = None,
        _ => {}
    }
    ui.horizontal_top(|ui| {
        column(ui, "role list", 230.0, |ui| list_ui(ui, site, memory, intents));
        let shown = memory.guild_form.roles.shown;
        match shown.and_then(|id| site.guild.role(id)) {
            Some(role) => {
                ui.vertical(|ui| {
                    above_footer(ui, "role detail", |ui| {
                        role_ui(ui, site, role, memory, intents);
                    });
                    footer_ui(ui, site, role, memory, intents);
                });
            }
            None => scrolled(ui, "role detail", |ui| {
                nothing_ui(
                    ui,
                    icons::SHIELD,
                    "Choose a role",
                    "A role gives its members a colour and rights. Higher roles stand above lower ones.",
                );
                change_ui(ui, &memory.asks, site.scene.state);
            }),
        }
    });
}

fn list_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    ui.spacing_mut().item_spacing.y = 2.0;
    if button(ui, Kind::Secondary, "New role").clicked() {
        let create = CreateRole {
            guild_id: site.guild.id,
            name: "New role".to_owned(),
            permissions: Permissions::NONE,
            color: None,
        };
        memory.asks.ask(Topic::Change, create, intents);
    }
    ui.add_space(6.0);
    for role in site.guild.roles.iter().rev() {
        let form = &mut memory.guild_form.roles;
        let selected = form.shown == Some(role.id);
        let icon = (icons::SHIELD, role_ink(ui, Some(role)));
        let note = match role.position {
            0 => String::new(),
            _ => holders(site.guild, role.id).to_string(),
        };
        let name = format!("Role {}", role.name);
        if item_ui(ui, icon, &role.name, &note, selected, &name).clicked() {
            (form.shown, form.draft) = (Some(role.id), None);
            form.hex.clear();
            memory.asks.forget(Topic::Change, intents);
        }
    }
}

fn holders(guild: &Guild, role: RoleId) -> usize {
    let members = guild.members.values();
    members
        .filter(|member| member.roles.contains(&role))
        .count()
}

fn role_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    role: &Role,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let everyone = role.position == 0;
    ui.horizontal(|ui| {
        let words = match holders(site.guild, role.id) {
            _ if everyone => "Everyone here has it.".to_owned(),
            1 => "1 member has it.".to_owned(),
            number => format!("{number} members have it."),
        };
        hint(ui, words);
        if !everyone {
            order_ui(ui, site.guild, role, memory, intents);
        }
        if button(ui, Kind::Quiet, "See as this role").clicked() {
            memory.guild_form.explain.look_as(role.id);
            memory.dialog = Some(Dialog::Guild(site.guild.id, Page::Explain));
        }
    });
    change_ui(ui, &memory.asks, site.scene.state);
    let form = &mut memory.guild_form.roles;
    if form.draft.as_ref().is_some_and(|it| it.get().id != role.id) {
        form.draft = None;
    }
    let draft = Entered::follow(&mut form.draft, role);
    if !everyone {
        field(ui, "Name of the role", &mut draft.name, "", false);
        color_ui(ui, &mut draft.color, &mut form.hex);
        switch(
            ui,
            &mut draft.hoist,
            "List its members apart from the others",
        );
    }
    switch(ui, &mut draft.mentionable, "Anyone may mention it");
    rights::held_ui(ui, &mut draft.permissions, site.may);
    if !everyone {
        rule(ui);
        if button(ui, Kind::Danger, "Delete this role").clicked() {
            memory.confirm = Some(Confirm {
                title: format!("Delete {}?", role.name),
                text: "Its members lose it, and channels their rules for it.".to_owned(),
                verb: "Delete it".to_owned(),
                request: DeleteRole {
                    guild_id: site.guild.id,
                    role_id: role.id,
                }
                .into(),
            });
        }
    }
}

/// Save and take back, always in view: the list of rights is long.
fn footer_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    role: &Role,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let Some(draft) = memory.guild_form.roles.draft.as_ref().map(Entered::get) else {
        return;
    };
    ui.add_space(6.0);
    let changed = UpdateRole {
        guild_id: site.guild.id,
        role_id: role.id,
        name: (draft.name != role.name).then(|| draft.name.clone()),
        permissions: (draft.permissions != role.permissions).then_some(draft.permissions),
        color: (draft.color != role.color).then_some(draft.color.unwrap_or(NO_COLOR)),
        hoist: (draft.hoist != role.hoist).then_some(draft.hoist),
        mentionable: (draft.mentionable != role.mentionable).then_some(draft.mentionable),
    };
    let (differs, ready) = (
        has_changes(&changed),
        role.position == 0 || clean_name(&draft.name).is_ok(),
    );
    let mut undo = false;
    if save_ui(ui, differs, ready, || undo = true) {
        memory.asks.ask(Topic::Change, changed, intents);
    }
    if undo {
        memory.guild_form.roles.draft = None;
    }
}

fn has_changes(update: &UpdateRole) -> bool {
    update.name.is_some()
        || update.permissions.is_some()
        || update.color.is_some()
        || update.hoist.is_some()
        || update.mentionable.is_some()
}

fn order_ui(ui: &mut Ui, guild: &Guild, role: &Role, memory: &mut Memory, intents: &mut Intents) {
    for (up, icon, name) in [
        (true, icons::ARROW_UP, "Move up"),
        (false, icons::ARROW_DOWN, "Move down"),
    ] {
        let order = moved(guild, role.id, up);
        let clicked = ui
            .add_enabled_ui(order.is_some(), |ui| icon_button(ui, icon, name, false))
            .inner
            .clicked();
        if let Some(roles) = order.filter(|_| clicked) {
            let guild_id = guild.id;
            memory
                .asks
                .ask(Topic::Change, ReorderRoles { guild_id, roles }, intents);
        }
    }
}

/// All roles but @everyone, lowest first, with this one a step higher or lower; none where there is no further step.
fn moved(guild: &Guild, role: RoleId, up: bool) -> Option<Vec<RoleId>> {
    let others = guild.roles.iter().filter(|role| role.position > 0);
    let mut order: Vec<_> = others.map(|role| role.id).collect();
    let at = order.iter().position(|id| *id == role)?;
    let to = if up { at + 1 } else { at.checked_sub(1)? };
    if to >= order.len() {
        return None;
    }
    order.swap(at, to);
    Some(order)
}

fn color_ui(ui: &mut Ui, color: &mut Option<u32>, hex: &mut String) {
    caption(ui, "COLOUR");
    ui.horizontal_wrapped(|ui| {
        if swatch(ui, None, color.is_none(), "No colour of its own") {
            *color = None;
        }
        for each in COLORS {
            let name = format!("Colour {each:06x}");
            if swatch(ui, Some(theme::rgb(each)), *color == Some(each), &name) {
                *color = Some(each);
            }
        }
    });
    ui.scope(|ui| {
        ui.set_max_width(160.0);
        let shown = color.map_or_else(|| "as the theme".to_owned(), |color| format!("{color:06x}"));
        let entered = field(ui, "Or six hex digits", hex, &shown, false);
        if entered.changed()
            && let Some(read) = read_hex(hex)
        {
            *color = Some(read);
        }
    });
}

fn read_hex(text: &str) -> Option<u32> {
    let digits = text.trim().trim_start_matches('#');
    let hex = digits.len() == 6 && digits.chars().all(|c| c.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_six_hex_digits() {
        assert_eq!(read_hex("#FF8000"), Some(0xff_8000));
        assert_eq!(read_hex(" 00ff00 "), Some(0x00_ff00));
        for wrong in ["", "fff", "ff80001", "gg8000", "+f8000"] {
            assert_eq!(read_hex(wrong), None, "{wrong:?}");
        }
    }
}
