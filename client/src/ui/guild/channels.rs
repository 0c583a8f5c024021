//! The channels of a guild: making, naming, ordering, their limits, and what each allows and denies.

use egui::Ui;
use voxhall_protocol::{
    ChannelId, UserId,
    control::{
        Channel, ChannelKind, ChannelPlace, CreateChannel, DeleteChannel, OverwriteTarget,
        ReorderChannels, Reply, Request, SetOverwrite, UpdateChannel,
    },
    limits::{BITRATE_BPS, TOPIC_CHARS, clean_name},
    permissions::Permissions,
};
use voxhall_session::Guild;

use super::{
    super::{
        Intents, Memory,
        ask::Topic,
        icons,
        theme::palette,
        widgets::{
            Kind, button, caption, chip, field, hint, icon_button, labelled, rule, segmented,
            slider,
        },
        window::{
            self, Confirm, Entered, change_ui, column, item_ui, labelled_pick, nothing_ui, save_ui,
            scrolled, text_field,
        },
    },
    Site, find_member_ui, rights,
};

#[derive(Default)]
pub struct Form {
    shown: Shown,
    draft: Option<Entered<Draft>>,
    rule: Option<Rule>,
    member_words: String,
}

impl Form {
    pub fn of(channel: ChannelId) -> Self {
        Self {
            shown: Shown::Channel(channel),
            ..Self::default()
        }
    }
}

#[derive(Default)]
enum Shown {
    #[default]
    Nothing,
    New(New),
    Channel(ChannelId),
}

struct New {
    name: String,
    kind: ChannelKind,
    category: Option<ChannelId>,
}

/// What can be changed of a channel, as it is being entered.
#[derive(Clone, PartialEq)]
struct Draft {
    id: ChannelId,
    name: String,
    topic: String,
    slow_mode_s: u32,
    retention_days: u32,
    user_limit: u32,
    bitrate_bps: u32,
}

impl Draft {
    fn of(channel: &Channel) -> Self {
        Self {
            id: channel.id,
            name: channel.name.clone(),
            topic: channel.topic.clone(),
            slow_mode_s: channel.slow_mode_s,
            retention_days: channel.retention_days,
            user_limit: channel.user_limit,
            bitrate_bps: channel.bitrate_bps,
        }
    }

    fn update(&self, now: &Self) -> UpdateChannel {
        let text = |new: &String, old: &String| (new != old).then(|| new.clone());
        let number = |new: u32, old: u32| (new != old).then_some(new);
        UpdateChannel {
            channel_id: self.id,
            name: text(&self.name, &now.name),
            topic: text(&self.topic, &now.topic),
            slow_mode_s: number(self.slow_mode_s, now.slow_mode_s),
            retention_days: number(self.retention_days, now.retention_days),
            user_limit: number(self.user_limit, now.user_limit),
            bitrate_bps: number(self.bitrate_bps, now.bitrate_bps),
        }
    }
}

/// What the channel says of one role or member, as it is being entered.
#[derive(Clone, Copy, PartialEq)]
struct Rule {
    channel: ChannelId,
    target: OverwriteTarget,
    allow: Permissions,
    deny: Permissions,
}

impl Rule {
    fn of(channel: &Channel, target: OverwriteTarget) -> Self {
        let known = channel.overwrites.iter().find(|it| it.target == target);
        Self {
            channel: channel.id,
            target,
            allow: known.map_or(Permissions::NONE, |rule| rule.allow),
            deny: known.map_or(Permissions::NONE, |rule| rule.deny),
        }
    }
}

pub fn channels_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    if let Some((request, reply)) = memory
        .asks
        .take_done(Topic::Change, site.scene.state, intents)
    {
        let form = &mut memory.guild_form.channels;
        match (request, reply) {
            (_, Reply::CreateChannel(channel)) => form.shown = Shown::Channel(channel.id),
            (Request::DeleteChannel(_), _) => form.shown = Shown::Nothing,
            _ => {}
        }
    }
    ui.horizontal_top(|ui| {
        column(ui, "channel list", 250.0, |ui| {
            list_ui(ui, site, memory, intents);
        });
        scrolled(ui, "channel detail", |ui| {
            match &memory.guild_form.channels.shown {
                Shown::Nothing => nothing_ui(
                    ui,
                    icons::HASH,
                    "Choose a channel",
                    "Its name, its limits and who may do what in it.",
                ),
                Shown::New(_) => new_ui(ui, site, memory, intents),
                Shown::Channel(id) => match site.guild.channel(*id) {
                    Some(channel) => channel_ui(ui, site, channel, memory, intents),
                    None => drop(hint(ui, "This channel is no longer there.")),
                },
            }
        });
    });
}

pub fn icon_of(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Category => icons::FOLDER_SIMPLE,
        ChannelKind::Voice => icons::SPEAKER_HIGH,
        ChannelKind::Stage => icons::MEGAPHONE,
        ChannelKind::Text | ChannelKind::Direct | ChannelKind::Group => icons::HASH,
    }
}

fn list_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    ui.spacing_mut().item_spacing.y = 2.0;
    if button(ui, Kind::Secondary, "New channel").clicked() {
        memory.asks.forget(Topic::Change, intents);
        memory.guild_form.channels.shown = Shown::New(New {
            name: String::new(),
            kind: ChannelKind::Text,
            category: None,
        });
    }
    ui.add_space(6.0);
    let guild = site.guild;
    for channel in guild.channels_in(None) {
        row_ui(ui, channel, memory, intents);
        if channel.kind == ChannelKind::Category {
            ui.indent(channel.id, |ui| {
                for inside in guild.channels_in(Some(channel.id)) {
                    row_ui(ui, inside, memory, intents);
                }
            });
        }
    }
}

fn row_ui(ui: &mut Ui, channel: &Channel, memory: &mut Memory, intents: &mut Intents) {
    let form = &mut memory.guild_form.channels;
    let selected = matches!(form.shown, Shown::Channel(id) if id == channel.id);
    let icon = (icon_of(channel.kind), palette(ui).faint);
    let (note, name) = match channel.overwrites.is_empty() {
        true => ("", format!("Channel {}", channel.name)),
        false => ("own rules", format!("Channel {}, own rules", channel.name)),
    };
    if item_ui(ui, icon, &channel.name, note, selected, &name).clicked() {
        form.shown = Shown::Channel(channel.id);
        (form.draft, form.rule) = (None, None);
        memory.asks.forget(Topic::Change, intents);
    }
}

/// None and the categories.
fn categories(guild: &Guild) -> Vec<(Option<ChannelId>, String)> {
    let named = guild.channels_of(ChannelKind::Category);
    let named = named.map(|category| (Some(category.id), category.name.clone()));
    std::iter::once((None, "No category".to_owned()))
        .chain(named)
        .collect()
}

fn new_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let Shown::New(new) = &mut memory.guild_form.channels.shown else {
        return;
    };
    caption(ui, "WHAT KIND OF CHANNEL");
    let kinds = [
        (ChannelKind::Text, "Text"),
        (ChannelKind::Voice, "Voice"),
        (ChannelKind::Stage, "Stage"),
        (ChannelKind::Category, "Category"),
    ];
    segmented(ui, &mut new.kind, &kinds);
    hint(
        ui,
        match new.kind {
            ChannelKind::Voice => "Everyone who may enter can talk.",
            ChannelKind::Stage => "A few speak, many listen.",
            ChannelKind::Category => "Holds other channels, and rules for all of them.",
            _ => "People write here.",
        },
    );
    field(ui, "Name of the channel", &mut new.name, "", false);
    if new.kind != ChannelKind::Category {
        labelled_pick(ui, "Category", &mut new.category, &categories(site.guild));
    }
    let ready = clean_name(&new.name).is_ok();
    let made = ui
        .add_enabled_ui(ready, |ui| button(ui, Kind::Primary, "Create channel"))
        .inner;
    if made.clicked() {
        let create = CreateChannel {
            guild_id: site.guild.id,
            name: new.name.trim().to_owned(),
            kind: new.kind,
            category_id: new.category.filter(|_| new.kind != ChannelKind::Category),
        };
        memory.asks.ask(Topic::Change, create, intents);
    }
    change_ui(ui, &memory.asks, site.scene.state);
}

fn channel_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    channel: &Channel,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    place_ui(ui, site.guild, channel, memory, intents);
    let now = Draft::of(channel);
    let form = &mut memory.guild_form.channels;
    if form
        .draft
        .as_ref()
        .is_some_and(|it| it.get().id != channel.id)
    {
        form.draft = None;
    }
    let draft = Entered::follow(&mut form.draft, &now);
    draft_ui(ui, channel.kind, draft);
    let (changed, ready) = (*draft != now, clean_name(&draft.name).is_ok());
    let update = draft.update(&now);
    let mut undo = false;
    if save_ui(ui, changed, ready, || undo = true) {
        memory.asks.ask(Topic::Change, update, intents);
    }
    if undo {
        memory.guild_form.channels.draft = None;
    }
    change_ui(ui, &memory.asks, site.scene.state);
    ui.add_space(4.0);
    rule(ui);
    rules_ui(ui, site, channel, memory, intents);
    rule(ui);
    let what = if channel.kind == ChannelKind::Category {
        "category"
    } else {
        "channel"
    };
    if button(ui, Kind::Danger, &format!("Delete this {what}")).clicked() {
        let text = match channel.kind {
            ChannelKind::Category => "The channels in it stay, without a category.",
            _ => "Its messages and files are deleted for everyone.",
        };
        memory.confirm = Some(Confirm {
            title: format!("Delete {}?", channel.name),
            text: text.to_owned(),
            verb: "Delete it".to_owned(),
            request: DeleteChannel {
                channel_id: channel.id,
            }
            .into(),
        });
    }
}

/// Where the channel stands among the others.
fn place_ui(
    ui: &mut Ui,
    guild: &Guild,
    channel: &Channel,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    ui.horizontal(|ui| {
        caption(ui, "PLACE");
        for (up, icon, name) in [
            (true, icons::ARROW_UP, "Move up"),
            (false, icons::ARROW_DOWN, "Move down"),
        ] {
            let order = moved(guild, channel, up);
            let can = order.is_some();
            let clicked = ui
                .add_enabled_ui(can, |ui| icon_button(ui, icon, name, false))
                .inner
                .clicked();
            if let Some(channels) = order.filter(|_| clicked) {
                let guild_id = guild.id;
                memory.asks.ask(
                    Topic::Change,
                    ReorderChannels { guild_id, channels },
                    intents,
                );
            }
        }
        if channel.kind != ChannelKind::Category {
            let mut category = channel.category_id;
            let choices = categories(guild);
            if window::pick(ui, "Category", &mut category, &choices, 200.0) {
                let mut channels: Vec<_> = guild.channels_in(category).map(place_of).collect();
                channels.push(ChannelPlace {
                    channel_id: channel.id,
                    category_id: category,
                });
                let guild_id = guild.id;
                memory.asks.ask(
                    Topic::Change,
                    ReorderChannels { guild_id, channels },
                    intents,
                );
            }
        }
    });
}

fn place_of(channel: &Channel) -> ChannelPlace {
    ChannelPlace {
        channel_id: channel.id,
        category_id: channel.category_id,
    }
}

/// The channels beside this one, with it one place higher or lower; none if it is the first or the last.
fn moved(guild: &Guild, channel: &Channel, up: bool) -> Option<Vec<ChannelPlace>> {
    let mut beside: Vec<_> = guild
        .channels_in(channel.category_id)
        .map(place_of)
        .collect();
    let at = beside
        .iter()
        .position(|place| place.channel_id == channel.id)?;
    let to = if up { at.checked_sub(1)? } else { at + 1 };
    if to >= beside.len() {
        return None;
    }
    beside.swap(at, to);
    Some(beside)
}

const SLOW_MODES: [(u32, &str); 8] = [
    (0, "Off"),
    (5, "5 seconds"),
    (15, "15 seconds"),
    (60, "1 minute"),
    (300, "5 minutes"),
    (900, "15 minutes"),
    (3_600, "1 hour"),
    (21_600, "6 hours"),
];
const RETENTIONS: [(u32, &str); 6] = [
    (0, "For ever"),
    (1, "1 day"),
    (7, "7 days"),
    (30, "30 days"),
    (90, "90 days"),
    (365, "1 year"),
];
const LIMITS: [(u32, &str); 8] = [
    (0, "No limit"),
    (2, "2 people"),
    (5, "5 people"),
    (10, "10 people"),
    (20, "20 people"),
    (50, "50 people"),
    (100, "100 people"),
    (500, "500 people"),
];

/// The usual choices, and what it is now if it is none of them.
fn choices(usual: &[(u32, &str)], now: u32, unit: &str) -> Vec<(u32, String)> {
    let mut all: Vec<_> = usual
        .iter()
        .map(|(value, words)| (*value, (*words).to_owned()))
        .collect();
    if all.iter().all(|(value, _)| *value != now) {
        all.push((now, format!("{now} {unit}")));
    }
    all
}

fn draft_ui(ui: &mut Ui, kind: ChannelKind, draft: &mut Draft) {
    field(ui, "Name of the channel", &mut draft.name, "", false);
    if kind == ChannelKind::Category {
        return;
    }
    text_field(ui, "Topic", &mut draft.topic, TOPIC_CHARS, 2);
    if kind.is_text() {
        let slow = choices(&SLOW_MODES, draft.slow_mode_s, "seconds");
        labelled_pick(
            ui,
            "Wait between two messages of a member",
            &mut draft.slow_mode_s,
            &slow,
        );
        let kept = choices(&RETENTIONS, draft.retention_days, "days");
        labelled_pick(ui, "Messages are kept", &mut draft.retention_days, &kept);
        return;
    }
    let limits = choices(&LIMITS, draft.user_limit, "people");
    labelled_pick(ui, "How many may be in it", &mut draft.user_limit, &limits);
    let mut kbps = draft.bitrate_bps as f32 / 1_000.0;
    labelled(ui, "Bitrate", |ui| {
        hint(ui, format!("{kbps:.0} kbit/s"));
    });
    let range = *BITRATE_BPS.start() as f32 / 1_000.0..=*BITRATE_BPS.end() as f32 / 1_000.0;
    if slider(ui, &mut kbps, range, "Bitrate, kbit/s").changed() {
        draft.bitrate_bps = kbps.round() as u32 * 1_000;
    }
    hint(
        ui,
        "64 is good for speech, 128 and more is for music. Every listener needs as much of their network for each speaker.",
    );
}

fn rules_ui(
    ui: &mut Ui,
    site: &Site<'_, '_>,
    channel: &Channel,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    caption(ui, "WHO MAY WHAT HERE");
    if !site.may.contains(Permissions::MANAGE_ROLES) {
        hint(ui, "Only who may manage roles can change these rules.");
        return;
    }
    hint(ui, "What isn't said here is as the roles say.");
    let guild = site.guild;
    let mut chosen = None;
    ui.horizontal_wrapped(|ui| {
        for target in targets(guild, channel, memory.guild_form.channels.rule.as_ref()) {
            let word = target_words(guild, target);
            let rule = memory.guild_form.channels.rule;
            let mut on = rule.is_some_and(|rule| rule.target == target);
            let own = channel.overwrites.iter().any(|it| it.target == target);
            let text = if own {
                format!("{word} •")
            } else {
                word.clone()
            };
            if chip(ui, &mut on, &text, &format!("Rules for {word}")).changed() {
                chosen = Some(target);
            }
        }
    });
    let words = &mut memory.guild_form.channels.member_words;
    if let Some(user) = find_member_ui(ui, guild, "Rules for one member", words) {
        chosen = Some(OverwriteTarget::Member(user));
    }
    if let Some(target) = chosen {
        memory.guild_form.channels.rule = Some(Rule::of(channel, target));
    }
    let Some(mut rule) = memory
        .guild_form
        .channels
        .rule
        .filter(|it| it.channel == channel.id)
    else {
        return;
    };
    let shown = Permissions::of_kind(channel.kind);
    rights::rule_ui(ui, &mut rule.allow, &mut rule.deny, shown);
    let now = Rule::of(channel, rule.target);
    let mut undo = false;
    if save_ui(ui, rule != now, true, || undo = true) {
        let set = SetOverwrite {
            channel_id: channel.id,
            target: rule.target,
            allow: rule.allow,
            deny: rule.deny,
        };
        memory.asks.ask(Topic::Change, set, intents);
    }
    memory.guild_form.channels.rule = Some(if undo { now } else { rule });
}

/// All roles, and the members for whom there are rules or will be.
fn targets(guild: &Guild, channel: &Channel, entered: Option<&Rule>) -> Vec<OverwriteTarget> {
    let roles = guild
        .roles
        .iter()
        .map(|role| OverwriteTarget::Role(role.id));
    let ruled = channel.overwrites.iter().map(|rule| rule.target);
    let entered = entered
        .filter(|rule| rule.channel == channel.id)
        .map(|rule| rule.target);
    let mut all: Vec<_> = roles.collect();
    for target in ruled.chain(entered) {
        if matches!(target, OverwriteTarget::Member(_)) && !all.contains(&target) {
            all.push(target);
        }
    }
    all
}

fn target_words(guild: &Guild, target: OverwriteTarget) -> String {
    match target {
        OverwriteTarget::Role(id) => guild
            .role(id)
            .map_or_else(|| "a role".to_owned(), |role| role.name.clone()),
        OverwriteTarget::Member(user) => member_words(guild, user),
    }
}

fn member_words(guild: &Guild, user: UserId) -> String {
    guild.members.get(&user).map_or_else(
        || "someone who left".to_owned(),
        |member| member.shown_name().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guild(channels: Vec<Channel>) -> Guild {
        Guild::from(voxhall_protocol::control::Guild {
            id: voxhall_protocol::GuildId(1),
            name: "G".to_owned(),
            description: String::new(),
            icon: None,
            owner_id: None,
            roles: vec![],
            channels,
            members: vec![],
            voice: vec![],
        })
    }

    #[test]
    fn a_channel_moves_among_those_beside_it() {
        let channel = |id: u64, category: Option<u64>| Channel {
            category_id: category.map(ChannelId),
            position: id as u32,
            ..Channel::new(ChannelId(id), "c", ChannelKind::Text)
        };
        let mut category = channel(9, None);
        category.kind = ChannelKind::Category;
        let guild = guild(vec![
            channel(1, None),
            channel(2, Some(9)),
            channel(3, None),
            channel(4, Some(9)),
            category,
        ]);
        let ids = |up, id| {
            let order = moved(&guild, guild.channel(ChannelId(id)).unwrap(), up)?;
            Some(
                order
                    .iter()
                    .map(|place| place.channel_id.0)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(ids(true, 3), Some(vec![3, 1, 9]));
        assert_eq!(ids(true, 1), None);
        assert_eq!(ids(false, 2), Some(vec![4, 2]));
        assert_eq!(ids(false, 4), None);
    }

    #[test]
    fn only_what_was_changed_is_sent() {
        let now = Draft::of(&Channel::new(ChannelId(1), "lounge", ChannelKind::Voice));
        let mut draft = now.clone();
        draft.user_limit = 5;
        let update = draft.update(&now);
        assert_eq!(
            (update.user_limit, update.name, update.bitrate_bps),
            (Some(5), None, None)
        );
    }

    #[test]
    fn an_unusual_value_is_among_the_choices() {
        assert_eq!(
            choices(&SLOW_MODES, 42, "seconds").last(),
            Some(&(42, "42 seconds".to_owned()))
        );
        assert_eq!(choices(&SLOW_MODES, 5, "seconds").len(), SLOW_MODES.len());
    }
}
