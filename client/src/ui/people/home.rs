//! Direct messages in the sidebar, and what is chosen there.

use std::collections::BTreeMap;
use std::sync::Arc;

use egui::{Margin, Rect, ScrollArea, Ui, pos2, vec2};
use voxhall_protocol::{
    GuildId, MessageId,
    control::{Channel, ChannelKind, Conversation, Member, RelationKind, Reply},
};
use voxhall_session::{CallIntent, Guild, Intent, State};

use super::{
    super::{
        Dialog, Intents, Memory, Scene,
        ask::Topic,
        calls, chat, icons,
        sidebar::strip_ui,
        theme::{self, BODY, SMALL, palette},
        widgets::{
            Kind, at, avatar, badge, button, caption, hint, icon_button_sized, line, row, rule,
        },
        window::count,
    },
    Home, conversation_name,
    friends::friends_ui,
    partner, presence_words, status_dot,
};

/// Who asked to be a friend, and has no answer yet.
pub fn waiting_requests(state: &State) -> usize {
    let relations = state.relations.values();
    relations
        .filter(|relation| relation.kind == RelationKind::Incoming)
        .count()
}

pub fn home_sidebar_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    if let Some((_, Reply::OpenConversation(made))) =
        memory.asks.take_done(Topic::Open, scene.state, intents)
    {
        memory.show_conversation(made.id);
    }
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        strip_ui(ui, icons::CHATS, "Direct messages");
        rule(ui);
    });
    ScrollArea::vertical()
        .auto_shrink(false)
        .content_margin(Margin::symmetric(8, 8))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            friends_row_ui(ui, scene, memory);
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                ui.set_height(24.0);
                ui.add_space(8.0);
                caption(ui, "CONVERSATIONS");
                super::super::window::at_right(ui, |ui| {
                    if icon_button_sized(ui, icons::PLUS, "New message", false, 24.0).clicked() {
                        memory.dialog = Some(Dialog::NewConversation);
                    }
                });
            });
            let conversations = newest_first(scene.state);
            if conversations.is_empty() {
                hint(
                    ui,
                    "Write to someone: from their profile, or with the plus above.",
                );
            }
            for conversation in conversations {
                row_ui(ui, scene, conversation, memory, intents);
            }
            if scene.state.guilds.is_empty() {
                ui.add_space(16.0);
                hint(
                    ui,
                    "You are in no server here yet. Ask a friend for an invite, or make your own.",
                );
                if button(ui, Kind::Secondary, "Join or make a server").clicked() {
                    memory.dialog = Some(Dialog::NewGuild);
                }
            }
        });
}

fn friends_row_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory) {
    let p = palette(ui);
    let selected = memory.home == Some(Home::Friends);
    let waiting = waiting_requests(scene.state);
    let name = match waiting {
        0 => "Friends".to_owned(),
        _ => format!("Friends, {}", count(waiting, "request")),
    };
    let (rect, response) = row(ui, 40.0, selected, &name);
    let center = egui::Align2::CENTER_CENTER;
    let at = rect.left_center() + vec2(24.0, 0.0);
    ui.painter()
        .text(at, center, icons::USERS, theme::icon(18.0), p.muted);
    let left = rect.left_center() + vec2(48.0, 0.0);
    line(
        ui.painter(),
        left,
        "Friends",
        theme::regular(BODY),
        p.text,
        120.0,
    );
    badge(ui, rect.right_center() - vec2(18.0, 0.0), waiting);
    if response.clicked() {
        memory.home = Some(Home::Friends);
    }
}

/// By their newest message.
pub fn newest_first(state: &State) -> Vec<&Conversation> {
    let newest = |conversation: &Conversation| {
        let reading = state.reading.get(&conversation.id);
        reading
            .and_then(|reading| reading.last_message)
            .unwrap_or(MessageId(0))
    };
    let mut all: Vec<_> = state.conversations.values().collect();
    all.sort_by_key(|conversation| std::cmp::Reverse((newest(conversation), conversation.id)));
    all
}

fn row_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    conversation: &Conversation,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let selected = memory.home == Some(Home::Conversation(conversation.id));
    let unread = scene
        .state
        .reading
        .get(&conversation.id)
        .map_or(0, |it| it.unread);
    let name = conversation_name(scene.state, conversation);
    let said = match unread {
        0 => format!("Conversation with {name}"),
        _ => format!("Conversation with {name}, {unread} unread"),
    };
    let (rect, response) = row(ui, 46.0, selected, &said);
    let center = rect.left_center() + vec2(24.0, 0.0);
    let below = match partner(scene.state, conversation) {
        Some(other) => {
            let away = !other.presence.is_online();
            avatar(
                ui.painter(),
                ui.ctx(),
                center,
                15.0,
                &other.user,
                false,
                away,
            );
            let ground = if selected { p.accent_soft } else { p.sidebar };
            let dot = center + vec2(11.0, 11.0);
            status_dot(ui, ui.painter(), dot, other.presence.status, ground);
            presence_words(&other.presence).to_owned()
        }
        None => {
            ui.painter().circle_filled(center, 15.0, p.raised);
            let middle = egui::Align2::CENTER_CENTER;
            ui.painter().text(
                center,
                middle,
                icons::USERS_THREE,
                theme::icon(16.0),
                p.muted,
            );
            count(conversation.members.len(), "member")
        }
    };
    let group = conversation.kind == ChannelKind::Group;
    let room = rect.width() - 48.0 - if unread > 0 || selected { 66.0 } else { 12.0 };
    let strong = unread > 0 || selected;
    let font = if strong {
        theme::strong(BODY)
    } else {
        theme::regular(BODY)
    };
    let ink = if strong || response.hovered() {
        p.text
    } else {
        p.muted
    };
    let left = rect.left() + 48.0;
    line(
        ui.painter(),
        pos2(left, rect.center().y - 8.0),
        &name,
        font,
        ink,
        room,
    );
    let small = theme::regular(SMALL - 0.5);
    line(
        ui.painter(),
        pos2(left, rect.center().y + 9.0),
        &below,
        small,
        p.faint,
        room,
    );
    let mut end = rect.right_center() - vec2(20.0, 0.0);
    if !selected {
        badge(ui, end, unread as usize);
    } else if group {
        let place = Rect::from_center_size(end, vec2(28.0, 28.0));
        let name = format!("Settings of {name}");
        if small_button(ui, place, icons::GEAR_SIX, &name) {
            memory.dialog = Some(Dialog::Group(conversation.id));
        }
        end.x -= 30.0;
    }
    if selected && calls::why_no_call(scene.state, conversation.id).is_none() {
        let place = Rect::from_center_size(end, vec2(28.0, 28.0));
        if small_button(ui, place, icons::PHONE, &format!("Call {name}")) {
            intents.session(Intent::Call(CallIntent::Start {
                channel: conversation.id,
                end_current: false,
            }));
        }
    }
    if response.clicked() {
        memory.show_conversation(conversation.id);
    }
}

fn small_button(ui: &mut Ui, place: Rect, icon: &str, name: &str) -> bool {
    at(ui, place, |ui| {
        icon_button_sized(ui, icon, name, false, 28.0)
    })
    .clicked()
}

pub fn main_home_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    home: Home,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    match home {
        Home::Friends => friends_ui(ui, scene, memory, intents),
        Home::Conversation(id) => {
            if let Some(conversation) = scene.state.conversations.get(&id) {
                conversation_ui(ui, scene, conversation, memory, intents);
            }
        }
    }
}

fn conversation_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    conversation: &Conversation,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let guild = as_guild(scene.state, conversation);
    if let Some(channel) = guild.channel(conversation.id) {
        chat::chat_ui(ui, scene, &guild, channel, memory, intents);
    }
}

/// A conversation as the only channel of a guild of those who are in it.
pub fn as_guild(state: &State, conversation: &Conversation) -> Guild {
    let name = conversation_name(state, conversation);
    let channel = Channel::new(conversation.id, name, conversation.kind);
    let members: BTreeMap<_, _> = conversation
        .members
        .iter()
        .map(|it| {
            let mut member = Member::new(it.user.clone());
            member.presence = it.presence.clone();
            (it.user.id, member)
        })
        .collect();
    Guild {
        id: GuildId(0),
        name: channel.name.clone(),
        description: String::new(),
        icon: None,
        owner: conversation.owner_id,
        roles: Vec::new(),
        channels: vec![channel],
        members: Arc::new(members),
        voice: BTreeMap::new(),
    }
}
