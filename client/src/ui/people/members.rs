//! Who is in a guild or a conversation, under the roles that are listed apart, and who is away.

use std::{collections::BTreeMap, sync::Arc};

use egui::{Id, ScrollArea, Ui, pos2, vec2};
use voxhall_protocol::{
    RoleId, UserId,
    control::{Member, Role, Status},
};
use voxhall_session::Guild;

use super::{
    super::{
        Dialog, icons,
        theme::{self, BODY, CAPTION, SMALL, palette},
        widgets::{avatar, line, row},
    },
    presence_words, status_dot, status_words,
};

const ROW: f32 = 42.0;

/// A line of the list: all are of one height, so that a thousand members cost no more than those in view.
enum Line {
    Head(String),
    Member(UserId),
}

/// The list as it was made of these members and roles: it is sorted anew only when they change.
#[derive(Clone)]
struct Made {
    members: Arc<BTreeMap<UserId, Member>>,
    roles: Vec<Role>,
    lines: Arc<Vec<Line>>,
}

fn made(ui: &Ui, guild: &Guild) -> Arc<Vec<Line>> {
    let id = Id::unique("lines of members");
    let known = ui.ctx().data(|data| data.get_temp::<Made>(id));
    let known =
        known.filter(|it| Arc::ptr_eq(&it.members, &guild.members) && it.roles == guild.roles);
    if let Some(known) = known {
        return known.lines;
    }
    let lines = Arc::new(lines(guild));
    let made = Made {
        members: Arc::clone(&guild.members),
        roles: guild.roles.clone(),
        lines: Arc::clone(&lines),
    };
    ui.ctx().data_mut(|data| data.insert_temp(id, made));
    lines
}

/// Says by `dialog` whose profile is wanted.
pub fn members_ui(ui: &mut Ui, guild: &Guild, dialog: &mut Option<Dialog>) {
    let lines = made(ui, guild);
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical()
        .auto_shrink(false)
        .show_rows(ui, ROW, lines.len(), |ui, range| {
            for line in &lines[range] {
                match line {
                    Line::Head(words) => head_ui(ui, words),
                    Line::Member(id) => {
                        if let Some(member) = guild.members.get(id) {
                            member_ui(ui, guild, member, dialog);
                        }
                    }
                }
            }
        });
}

/// The highest role that a member is listed under.
fn listed_under<'a>(guild: &'a Guild, member: &Member) -> Option<&'a Role> {
    let mut roles = guild.roles_of(member).into_iter().rev();
    roles.find(|role| role.hoist && role.position > 0)
}

fn lines(guild: &Guild) -> Vec<Line> {
    let mut members: Vec<_> = guild.members.values().collect();
    members.sort_by_cached_key(|member| (member.shown_name().to_lowercase(), member.user.id));
    let hoisted = guild
        .roles
        .iter()
        .rev()
        .filter(|role| role.hoist && role.position > 0);
    let heads = hoisted.map(|role| (Some(role.id), role.name.to_uppercase()));
    let mut lines = Vec::with_capacity(members.len() + 4);
    let mut add = |words: &str, of: &mut dyn FnMut(&Member) -> bool| {
        let begin = lines.len();
        lines.push(Line::Head(String::new()));
        let of_these = members.iter().filter(|it| of(it));
        lines.extend(of_these.map(|it| Line::Member(it.user.id)));
        match lines.len() - begin - 1 {
            0 => drop(lines.pop()),
            some => lines[begin] = Line::Head(format!("{words} ({some})")),
        }
    };
    let under =
        |member: &Member| -> Option<RoleId> { listed_under(guild, member).map(|role| role.id) };
    for (role, words) in heads.chain([(None, "ONLINE".to_owned())]) {
        add(&words, &mut |member| {
            member.presence.is_online() && under(member) == role
        });
    }
    add("OFFLINE", &mut |member| !member.presence.is_online());
    lines
}

fn head_ui(ui: &mut Ui, words: &str) {
    let p = palette(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), ROW), egui::Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, words));
    let left = pos2(rect.left() + 8.0, rect.bottom() - 14.0);
    line(
        ui.painter(),
        left,
        words,
        theme::strong(CAPTION),
        p.faint,
        rect.width() - 12.0,
    );
}

fn member_ui(ui: &mut Ui, guild: &Guild, member: &Member, dialog: &mut Option<Dialog>) {
    let p = palette(ui);
    let online = member.presence.is_online();
    let shown = member.shown_name();
    let said = format!("{shown}, {}", status_words(member.presence.status));
    let (rect, response) = row(ui, ROW, false, &said);
    let center = pos2(rect.left() + 22.0, rect.center().y);
    avatar(
        ui.painter(),
        ui.ctx(),
        center,
        14.0,
        &member.user,
        false,
        !online,
    );
    if online {
        let ground = if response.hovered() {
            p.hover
        } else {
            p.sidebar
        };
        status_dot(
            ui,
            ui.painter(),
            center + vec2(10.0, 10.0),
            member.presence.status,
            ground,
        );
    }
    let color = guild
        .roles_of(member)
        .into_iter()
        .rev()
        .find_map(|role| role.color);
    let ink = match color {
        Some(color) if online => theme::readable(theme::rgb(color), p.sidebar),
        _ if online => p.text,
        _ => p.faint,
    };
    let words = presence_words(&member.presence);
    let says = online
        && (member.presence.status != Status::Online || member.presence.custom_status.is_some());
    let lift = if says { 8.0 } else { 0.0 };
    let left = pos2(rect.left() + 44.0, rect.center().y - lift);
    let end = line(
        ui.painter(),
        left,
        shown,
        theme::regular(BODY - 0.5),
        ink,
        rect.width() - 70.0,
    );
    if says {
        let below = pos2(left.x, rect.center().y + 9.0);
        line(
            ui.painter(),
            below,
            words,
            theme::regular(SMALL - 1.0),
            p.faint,
            rect.width() - 54.0,
        );
    }
    if guild.owner == Some(member.user.id) {
        let at = pos2(end + 12.0, left.y);
        let middle = egui::Align2::CENTER_CENTER;
        ui.painter()
            .text(at, middle, icons::CROWN, theme::icon(13.0), p.warning);
    }
    if response
        .on_hover_text(format!("Profile of {shown}"))
        .clicked()
    {
        *dialog = Some(Dialog::Profile(member.user.id));
    }
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::{
        GuildId,
        control::{Presence, User, UserKind},
        permissions::Permissions,
    };

    use super::*;

    fn member(id: u64, name: &str, online: bool, roles: &[u64]) -> (UserId, Member) {
        let mut member = Member::new(User::new(UserId(id), name, UserKind::Account));
        if online {
            member.presence = Presence::online();
        }
        member.roles = roles.iter().map(|id| RoleId(*id)).collect();
        (UserId(id), member)
    }

    fn role(id: u64, name: &str, hoist: bool) -> Role {
        Role {
            id: RoleId(id),
            name: name.to_owned(),
            color: None,
            position: id as u32,
            permissions: Permissions::NONE,
            hoist,
            mentionable: false,
        }
    }

    #[test]
    fn members_stand_under_their_highest_listed_role_and_the_absent_at_the_end() {
        let guild = Guild {
            id: GuildId(1),
            name: String::new(),
            description: String::new(),
            icon: None,
            owner: None,
            roles: vec![
                role(0, "everyone", false),
                role(1, "Helper", true),
                role(2, "Mod", true),
                role(3, "Blue", false),
            ],
            channels: vec![],
            members: Arc::new(BTreeMap::from([
                member(1, "Zoe", true, &[1, 2]),
                member(2, "bea", true, &[3]),
                member(3, "Ann", true, &[]),
                member(4, "Dan", false, &[2]),
            ])),
            voice: BTreeMap::new(),
        };
        let words: Vec<_> = lines(&guild)
            .into_iter()
            .map(|line| match line {
                Line::Head(words) => words,
                Line::Member(id) => guild.members[&id].user.name.clone(),
            })
            .collect();
        assert_eq!(
            words,
            [
                "MOD (1)",
                "Zoe",
                "ONLINE (2)",
                "Ann",
                "bea",
                "OFFLINE (1)",
                "Dan"
            ]
        );
    }
}
