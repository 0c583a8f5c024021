//! The members of a guild: their roles and nicknames, and what moderators can do.

use egui::{Label, RichText, ScrollArea, Sense, Ui, vec2};
use voxhall_protocol::{
    ChannelId, RoleId, UserId,
    control::{
        BanMember, DisconnectVoice, KickMember, Member, ModerateVoice, MoveVoice, TimeoutMember,
        UpdateMember,
    },
    limits::{NAME_CHARS, REASON_CHARS},
    permissions::Permissions,
};
use voxhall_session::Guild;

use super::{
    super::{
        Dialog, Intents, Memory,
        ask::Topic,
        icons,
        theme::{self, BODY, SMALL, palette},
        widgets::{
            Kind, avatar, button, caption, chip, field, heading, hint, line, row, rule, switch,
        },
        window::{
            Confirm, change_ui, labelled_pick, nothing_ui, now_ms, pick, scrolled, tag_ui,
            time_words,
        },
    },
    Page, Site, find_members, role_ink,
};

const ROW: f32 = 40.0;

const TIMEOUTS: [(u32, &str); 6] = [
    (60, "1 minute"),
    (600, "10 minutes"),
    (3_600, "1 hour"),
    (24 * 3_600, "1 day"),
    (7 * 24 * 3_600, "1 week"),
    (28 * 24 * 3_600, "28 days"),
];
const DELETES: [(u32, &str); 4] = [
    (0, "Keep what they wrote"),
    (3_600, "Delete their last hour"),
    (24 * 3_600, "Delete their last day"),
    (7 * 24 * 3_600, "Delete their last week"),
];

#[derive(Default)]
pub struct Form {
    words: String,
    shown: Option<UserId>,
    act: Act,
}

/// What is being entered about the member shown.
#[derive(Default)]
struct Act {
    nick: Option<String>,
    reason: String,
    timeout_s: Option<u32>,
    delete_s: u32,
    address: bool,
}

impl Form {
    pub fn of(user: UserId) -> Self {
        Self {
            shown: Some(user),
            ..Self::default()
        }
    }
}

pub fn members_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    if memory
        .asks
        .take_done(Topic::Change, site.scene.state, intents)
        .is_some()
    {
        memory.guild_form.members.act = Act::default();
    }
    ui.horizontal_top(|ui| {
        ui.allocate_ui_with_layout(
            vec2(250.0, ui.available_height()),
            egui::Layout::top_down(egui::Align::Min),
            |ui| list_ui(ui, site, memory, intents),
        );
        scrolled(ui, "member detail", |ui| {
            let shown = memory.guild_form.members.shown;
            match shown.and_then(|user| site.guild.members.get(&user)) {
                Some(member) => member_ui(ui, site, member, memory, intents),
                None => nothing_ui(
                    ui,
                    icons::USERS,
                    "Choose a member",
                    "Their roles, their name here, and what can be done about them.",
                ),
            }
        });
    });
}

fn list_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let form = &mut memory.guild_form.members;
    field(
        ui,
        "Find a member",
        &mut form.words,
        "Part of a name",
        false,
    );
    let found = find_members(site.guild, &form.words, usize::MAX);
    if found.is_empty() {
        hint(ui, "Nobody here has such a name.");
    }
    let mut chosen = None;
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical()
        .id_salt("member list")
        .auto_shrink(false)
        .show_rows(ui, ROW, found.len(), |ui, range| {
            for member in &found[range] {
                let selected = form.shown == Some(member.user.id);
                if row_ui(ui, site.guild, member, selected) {
                    chosen = Some(member.user.id);
                }
            }
        });
    if let Some(user) = chosen {
        (form.shown, form.act) = (Some(user), Act::default());
        memory.asks.forget(Topic::Change, intents);
    }
}

fn row_ui(ui: &mut Ui, guild: &Guild, member: &Member, selected: bool) -> bool {
    let p = palette(ui);
    let shown = member.shown_name();
    let (rect, response) = row(ui, ROW, selected, &format!("Member {shown}"));
    let center = rect.left_center() + vec2(22.0, 0.0);
    avatar(
        ui.painter(),
        ui.ctx(),
        center,
        13.0,
        &member.user,
        false,
        false,
    );
    let ink = highest_color(guild, member)
        .map_or(p.text, |color| theme::readable(theme::rgb(color), p.main));
    let left = rect.left_center() + vec2(44.0, 0.0);
    line(
        ui.painter(),
        left,
        shown,
        theme::regular(BODY),
        ink,
        rect.width() - 60.0,
    );
    response.clicked()
}

/// The colour of their highest role that has one.
fn highest_color(guild: &Guild, member: &Member) -> Option<u32> {
    guild
        .roles_of(member)
        .into_iter()
        .rev()
        .find_map(|role| role.color)
}

fn member_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    member: &Member,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let (scene, guild, user) = (site.scene, site.guild, member.user.id);
    let me = scene.state.me.as_ref().is_some_and(|me| me.id == user);
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(56.0, 56.0), Sense::hover());
        avatar(
            ui.painter(),
            ui.ctx(),
            rect.center(),
            26.0,
            &member.user,
            false,
            false,
        );
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            heading(ui, member.shown_name());
            let since = time_words(member.joined_at_ms, scene);
            hint(ui, format!("{}, here since {since}", member.user.name));
        });
    });
    ui.horizontal_wrapped(|ui| {
        if guild.owner == Some(user) {
            tag_ui(ui, "Owner", p.warning);
        }
        let out = member
            .timeout_until_ms
            .filter(|until| *until > now_ms(scene));
        if let Some(until) = out {
            tag_ui(
                ui,
                &format!("Timed out until {}", time_words(until, scene)),
                p.danger,
            );
        }
        if button(ui, Kind::Quiet, "Profile").clicked() {
            memory.dialog = Some(Dialog::Profile(user));
        }
        let others = site.may.contains(Permissions::MANAGE_ROLES);
        if let Some(role) = guild
            .roles_of(member)
            .last()
            .filter(|role| others && role.position > 0)
            && button(ui, Kind::Quiet, &format!("Edit {}", role.name)).clicked()
        {
            memory.guild_form.show_role(role.id);
            memory.dialog = Some(Dialog::Guild(guild.id, Page::Roles));
        }
        if (me || others) && button(ui, Kind::Quiet, "What they may do").clicked() {
            memory.guild_form.explain.look_at(user);
            memory.dialog = Some(Dialog::Guild(guild.id, Page::Explain));
        }
    });
    change_ui(ui, &memory.asks, scene.state);
    let renames = if me {
        Permissions::CHANGE_NICKNAME
    } else {
        Permissions::MANAGE_NICKNAMES
    };
    if site.may.contains(renames) {
        nick_ui(ui, guild, member, memory, intents);
    }
    roles_ui(ui, site, member, memory, intents);
    voice_ui(ui, site, member, memory, intents);
    if !me && guild.owner != Some(user) {
        acts_ui(ui, site, member, memory, intents);
    }
}

fn nick_ui(
    ui: &mut Ui,
    guild: &Guild,
    member: &Member,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let now = member.nick.clone().unwrap_or_default();
    let act = &mut memory.guild_form.members.act;
    let nick = act.nick.get_or_insert_with(|| now.clone());
    field(
        ui,
        "Name on this server",
        nick,
        member.user.shown_name(),
        false,
    );
    let fits = nick.trim().chars().count() <= *NAME_CHARS.end();
    let nick = nick.trim().to_owned();
    if nick != now && fits && button(ui, Kind::Secondary, "Save this name").clicked() {
        let update = UpdateMember {
            guild_id: guild.id,
            user_id: member.user.id,
            nick: Some(nick),
            roles: None,
        };
        memory.asks.ask(Topic::Change, update, intents);
    }
}

fn roles_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    member: &Member,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let guild = site.guild;
    let given = guild.roles.iter().rev().filter(|role| role.position > 0);
    let given: Vec<_> = given.collect();
    if given.is_empty() {
        return;
    }
    caption(ui, "ROLES");
    let mut roles: Option<Vec<RoleId>> = None;
    let may = site.may.contains(Permissions::MANAGE_ROLES);
    ui.add_enabled_ui(may, |ui| {
        ui.horizontal_wrapped(|ui| {
            for role in given {
                let mut has = member.roles.contains(&role.id);
                ui.scope(|ui| {
                    let ink = role_ink(ui, Some(role));
                    let dot = ui.allocate_exact_size(vec2(10.0, 20.0), Sense::hover()).0;
                    ui.painter().circle_filled(dot.center(), 4.0, ink);
                    let name = format!("Role {} for {}", role.name, member.shown_name());
                    if chip(ui, &mut has, &role.name, &name).changed() {
                        let mut all = member.roles.clone();
                        all.retain(|id| *id != role.id);
                        all.extend(has.then_some(role.id));
                        roles = Some(all);
                    }
                });
            }
        });
    });
    if let Some(roles) = roles {
        let update = UpdateMember {
            guild_id: guild.id,
            user_id: member.user.id,
            nick: None,
            roles: Some(roles),
        };
        memory.asks.ask(Topic::Change, update, intents);
    }
}

fn voice_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    member: &Member,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let (guild, user_id) = (site.guild, member.user.id);
    let guild_id = guild.id;
    let may = |right| site.may.contains(right);
    let inside = guild.voice.get(&user_id).map(|state| state.channel_id);
    let moves = may(Permissions::MOVE_MEMBERS) && inside.is_some();
    if !may(Permissions::MUTE_MEMBERS) && !may(Permissions::DEAFEN_MEMBERS) && !moves {
        return;
    }
    caption(ui, "VOICE");
    let none = ModerateVoice {
        guild_id,
        user_id,
        muted: None,
        deafened: None,
    };
    let mut muted = member.server_muted;
    if may(Permissions::MUTE_MEMBERS) && switch(ui, &mut muted, "Muted for everyone").changed() {
        let muted = Some(muted);
        memory
            .asks
            .ask(Topic::Change, ModerateVoice { muted, ..none }, intents);
    }
    let mut deafened = member.server_deafened;
    if may(Permissions::DEAFEN_MEMBERS) && switch(ui, &mut deafened, "Hears nobody").changed() {
        let deafened = Some(deafened);
        memory
            .asks
            .ask(Topic::Change, ModerateVoice { deafened, ..none }, intents);
    }
    let Some(mut channel_id) = inside.filter(|_| moves) else {
        return;
    };
    ui.horizontal(|ui| {
        let ink = palette(ui).text;
        ui.add(Label::new(RichText::new("In voice").size(BODY).color(ink)));
        if pick(
            ui,
            "Move to",
            &mut channel_id,
            &voice_channels(guild),
            200.0,
        ) {
            let to = MoveVoice {
                guild_id,
                user_id,
                channel_id,
            };
            memory.asks.ask(Topic::Change, to, intents);
        }
        if button(ui, Kind::Secondary, "Disconnect").clicked() {
            memory.asks.ask(
                Topic::Change,
                DisconnectVoice { guild_id, user_id },
                intents,
            );
        }
    });
}

fn voice_channels(guild: &Guild) -> Vec<(ChannelId, String)> {
    let channels = guild
        .channels
        .iter()
        .filter(|channel| channel.kind.is_voice());
    channels
        .map(|channel| (channel.id, channel.name.clone()))
        .collect()
}

fn acts_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    member: &Member,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let may = |right| site.may.contains(right);
    let (times_out, kicks, bans) = (
        may(Permissions::TIMEOUT_MEMBERS),
        may(Permissions::KICK_MEMBERS),
        may(Permissions::BAN_MEMBERS),
    );
    if !times_out && !kicks && !bans {
        return;
    }
    rule(ui);
    caption(ui, "MODERATION");
    let (guild_id, user_id) = (site.guild.id, member.user.id);
    let name = member.shown_name();
    let act = &mut memory.guild_form.members.act;
    field(
        ui,
        "Reason, for them and the audit log",
        &mut act.reason,
        "May be left out",
        false,
    );
    act.reason = act.reason.chars().take(REASON_CHARS).collect();
    let reason = act.reason.trim().to_owned();
    if times_out {
        timeout_ui(ui, site, member, &reason, memory, intents);
    }
    let act = &mut memory.guild_form.members.act;
    if bans {
        let choices: Vec<_> = DELETES
            .iter()
            .map(|(s, words)| (*s, (*words).to_owned()))
            .collect();
        labelled_pick(ui, "If banned", &mut act.delete_s, &choices);
        switch(
            ui,
            &mut act.address,
            "If banned, refuse the addresses they came from too",
        );
    }
    let (delete_messages_s, address) = (act.delete_s, act.address);
    ui.horizontal(|ui| {
        if kicks && button(ui, Kind::Secondary, &format!("Kick {name}")).clicked() {
            memory.confirm = Some(Confirm {
                title: format!("Kick {name}?"),
                text: "They leave now, and can come back by an invite.".to_owned(),
                verb: "Kick them".to_owned(),
                request: KickMember {
                    guild_id,
                    user_id,
                    reason: reason.clone(),
                }
                .into(),
            });
        }
        if bans && button(ui, Kind::Danger, &format!("Ban {name}")).clicked() {
            memory.confirm = Some(Confirm {
                title: format!("Ban {name}?"),
                text: "They leave now, and no invite brings them back until they are unbanned."
                    .to_owned(),
                verb: "Ban them".to_owned(),
                request: BanMember {
                    guild_id,
                    user_id,
                    reason: reason.clone(),
                    delete_messages_s,
                    address,
                }
                .into(),
            });
        }
    });
    ui.add(Label::new(
        RichText::new("What is done here is in the audit log.")
            .size(SMALL)
            .color(palette(ui).faint),
    ));
}

fn timeout_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    member: &Member,
    reason: &str,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let act = &mut memory.guild_form.members.act;
    let mut duration_s = act.timeout_s.unwrap_or(600);
    let choices: Vec<_> = TIMEOUTS
        .iter()
        .map(|(s, words)| (*s, (*words).to_owned()))
        .collect();
    let now = now_ms(site.scene);
    let out = member.timeout_until_ms.is_some_and(|until| until > now);
    ui.horizontal(|ui| {
        let ink = palette(ui).text;
        ui.add(Label::new(
            RichText::new("Neither write nor speak for")
                .size(BODY)
                .color(ink),
        ));
        pick(ui, "Time out for", &mut duration_s, &choices, 130.0);
        act.timeout_s = Some(duration_s);
        let verb = if out { "Time out anew" } else { "Time out" };
        let begin = button(ui, Kind::Secondary, verb).clicked();
        let end = out && button(ui, Kind::Quiet, "End the timeout").clicked();
        if begin || end {
            let timeout = TimeoutMember {
                guild_id: site.guild.id,
                user_id: member.user.id,
                duration_s: if end { 0 } else { duration_s },
                reason: reason.to_owned(),
            };
            memory.asks.ask(Topic::Change, timeout, intents);
        }
    });
}
