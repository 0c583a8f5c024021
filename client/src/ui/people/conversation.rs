//! Beginning a conversation, and who is in a group.

use egui::Ui;
use voxhall_protocol::{
    ChannelId, UserId,
    control::{
        AddToConversation, ChannelKind, Conversation, FindUsers, OpenConversation, RelationKind,
        RemoveFromConversation, Reply, Request, UpdateConversation, User,
    },
    limits::MAX_GROUP_MEMBERS,
};

use super::{
    super::{
        Intents, Memory, Scene,
        ask::{Asks, Found, Topic},
        icons,
        theme::palette,
        widgets::{Kind, button, caption, chip, field, hint, icon_button, rule, trouble},
        window::{
            Confirm, at_right, change_ui, dialog_ui, item_ui, needs_server, save_ui, tag_ui, who_ui,
        },
    },
    conversation_name,
};

/// Fewer letters find nobody.
const QUERY_FROM: usize = 2;

#[derive(Default)]
pub struct NewConversation {
    words: String,
    chosen: Vec<User>,
    name: String,
}

#[derive(Default)]
pub struct Group {
    name: Option<(ChannelId, String)>,
    words: String,
}

pub fn new_conversation_ui(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let close = dialog_ui(ui, "new conversation", "New message", 420.0, |ui| {
        needs_server(ui, scene.state);
        let form = &mut memory.people.new_conversation;
        hint(ui, "To one person, or to a few as a group.");
        chosen_ui(ui, &mut form.chosen);
        let full = form.chosen.len() + 1 >= MAX_GROUP_MEMBERS;
        if full {
            hint(
                ui,
                format!("A group has {MAX_GROUP_MEMBERS} members at most, you among them."),
            );
        } else {
            let chosen = &form.chosen;
            let known = |id: UserId| chosen.iter().any(|user| user.id == id);
            let found =
                find_person_ui(ui, scene, &mut form.words, &mut memory.asks, intents, known);
            memory.people.new_conversation.chosen.extend(found);
        }
        let form = &mut memory.people.new_conversation;
        if form.chosen.len() > 1 {
            field(
                ui,
                "Name of the group",
                &mut form.name,
                "May be left out",
                false,
            );
        }
        ui.add_space(4.0);
        let ready = !form.chosen.is_empty();
        let start = ui
            .add_enabled_ui(ready, |ui| button(ui, Kind::Primary, "Start writing"))
            .inner;
        if start.clicked() {
            let name = form.name.trim();
            let open = OpenConversation {
                user_ids: form.chosen.iter().map(|user| user.id).collect(),
                name: (form.chosen.len() > 1 && !name.is_empty()).then(|| name.to_owned()),
            };
            memory.asks.ask(Topic::Change, open, intents);
        }
        change_ui(ui, &memory.asks, scene.state);
        false
    });
    let mut made = false;
    if let Some((_, Reply::OpenConversation(conversation))) =
        memory.asks.take_done(Topic::Change, scene.state, intents)
    {
        memory.show_conversation(conversation.id);
        made = true;
    }
    if close || made {
        memory.people.new_conversation = NewConversation::default();
        memory.dialog = None;
    }
}

/// Those who were chosen; a click takes one out again.
fn chosen_ui(ui: &mut Ui, chosen: &mut Vec<User>) {
    let mut out = None;
    ui.horizontal_wrapped(|ui| {
        for user in chosen.iter() {
            let mut on = true;
            let name = user.shown_name();
            if chip(
                ui,
                &mut on,
                &format!("{name} {}", icons::X),
                &format!("Leave {name} out"),
            )
            .changed()
            {
                out = Some(user.id);
            }
        }
    });
    if let Some(user) = out {
        chosen.retain(|it| it.id != user);
    }
}

/// Friends, and whoever has such a name. The one who was chosen, once.
pub(in crate::ui) fn find_person_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    words: &mut String,
    asks: &mut Asks,
    intents: &mut Intents,
    known: impl Fn(UserId) -> bool,
) -> Option<User> {
    field(ui, "Who", words, "Beginning of a name", false);
    let query = words.trim().to_owned();
    let lower = query.to_lowercase();
    let friends = scene.state.relations.values();
    let friends = friends
        .filter(|it| it.kind == RelationKind::Friend)
        .map(|it| &it.user);
    let named = |user: &&User| {
        user.name.to_lowercase().starts_with(&lower)
            || user.shown_name().to_lowercase().starts_with(&lower)
    };
    let mut people: Vec<&User> = friends.filter(named).collect();
    if query.chars().count() >= QUERY_FROM {
        match asks.keep(Topic::List, FindUsers { query }, scene.state, intents) {
            Found::Done(Reply::FindUsers(page)) => {
                let others = page
                    .users
                    .iter()
                    .filter(|user| people.iter().all(|it| it.id != user.id));
                let others: Vec<_> = others.collect();
                people.extend(others);
            }
            Found::Failed(error) => trouble(ui, &error.to_string(), ""),
            _ => {}
        }
    }
    let me = scene.state.me.as_ref().map(|me| me.id);
    people.retain(|user| Some(user.id) != me && !known(user.id));
    people.truncate(8);
    if people.is_empty() && !lower.is_empty() {
        hint(ui, "Nobody found by this name yet.");
    }
    let mut chosen = None;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for user in people {
            let icon = (icons::USER, palette(ui).faint);
            let name = format!("Choose {}", user.shown_name());
            if item_ui(ui, icon, user.shown_name(), &user.name, false, &name).clicked() {
                chosen = Some(user.clone());
            }
        }
    });
    if chosen.is_some() {
        words.clear();
    }
    chosen
}

pub fn group_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    id: ChannelId,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let left = matches!(
        memory.asks.take_done(Topic::Change, scene.state, intents),
        Some((Request::RemoveFromConversation(gone), _)) if Some(gone.user_id) == scene.state.me.as_ref().map(|me| me.id)
    );
    let group = scene.state.conversations.get(&id);
    let Some(group) = group.filter(|it| it.kind == ChannelKind::Group && !left) else {
        memory.dialog = None;
        return;
    };
    let title = conversation_name(scene.state, group);
    let close = dialog_ui(ui, "group", &title, 420.0, |ui| {
        needs_server(ui, scene.state);
        name_ui(ui, group, memory, intents);
        caption(ui, "WHO IS IN IT");
        members_ui(ui, scene, group, memory);
        if group.members.len() < MAX_GROUP_MEMBERS {
            let form = &mut memory.people.group;
            let known = |id: UserId| group.members.iter().any(|it| it.user.id == id);
            let found =
                find_person_ui(ui, scene, &mut form.words, &mut memory.asks, intents, known);
            if let Some(user) = found {
                let add = AddToConversation {
                    channel_id: id,
                    user_id: user.id,
                };
                memory.asks.ask(Topic::Change, add, intents);
            }
        }
        change_ui(ui, &memory.asks, scene.state);
        rule(ui);
        if let Some(me) = &scene.state.me
            && button(ui, Kind::Danger, "Leave this group").clicked()
        {
            memory.confirm = Some(Confirm {
                title: format!("Leave {title}?"),
                text: "What you wrote stays. Someone in it can bring you back.".to_owned(),
                verb: "Leave it".to_owned(),
                request: RemoveFromConversation {
                    channel_id: id,
                    user_id: me.id,
                }
                .into(),
            });
        }
        false
    });
    if close && memory.confirm.is_none() {
        memory.people.group = Group::default();
        memory.dialog = None;
    }
}

fn name_ui(ui: &mut Ui, group: &Conversation, memory: &mut Memory, intents: &mut Intents) {
    let now = group.name.clone().unwrap_or_default();
    let form = &mut memory.people.group;
    if form.name.as_ref().is_none_or(|(of, _)| *of != group.id) {
        form.name = Some((group.id, now.clone()));
    }
    let Some((_, name)) = &mut form.name else {
        return;
    };
    field(ui, "Name of the group", name, "Who is in it", false);
    let mut undo = false;
    if save_ui(ui, name.trim() != now, true, || undo = true) {
        let update = UpdateConversation {
            channel_id: group.id,
            name: name.trim().to_owned(),
        };
        memory.asks.ask(Topic::Change, update, intents);
    }
    if undo {
        memory.people.group.name = None;
    }
}

fn members_ui(ui: &mut Ui, scene: &Scene<'_>, group: &Conversation, memory: &mut Memory) {
    let me = scene.state.me.as_ref().map(|me| me.id);
    let owns = me.is_some() && group.owner_id == me;
    for member in &group.members {
        let user = &member.user;
        ui.horizontal(|ui| {
            who_ui(ui, user, 26.0);
            if group.owner_id == Some(user.id) {
                tag_ui(ui, "Owner", palette(ui).warning);
            }
            if owns && Some(user.id) != me {
                at_right(ui, |ui| {
                    let name = format!("Take {} out", user.shown_name());
                    if icon_button(ui, icons::X, &name, false).clicked() {
                        memory.confirm = Some(Confirm {
                            title: format!("Take {} out?", user.shown_name()),
                            text: "They no longer see what is written here.".to_owned(),
                            verb: "Take them out".to_owned(),
                            request: RemoveFromConversation {
                                channel_id: group.id,
                                user_id: user.id,
                            }
                            .into(),
                        });
                    }
                });
            }
        });
    }
}
