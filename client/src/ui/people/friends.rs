//! Friends, who asked to be one, and who is blocked.

use egui::{CentralPanel, Frame, Panel, Rect, Ui, pos2, vec2};
use voxhall_protocol::control::{
    AcceptFriend, Relation, RelationKind, RemoveFriend, RequestFriend, UnblockUser, UserKind,
};

use super::{
    super::{
        Dialog, Intents, Memory, Scene,
        ask::Topic,
        icons,
        sidebar::strip_ui,
        theme::{self, BODY, SMALL, palette},
        widgets::{Kind, avatar, button, caption, field, hint, icon_button, line, row, segmented},
        window::{Confirm, needs_server, nothing_ui, status_of_ui},
    },
    presence_of, presence_words, status_dot, write_to,
};

#[derive(Default)]
pub struct Friends {
    show: Show,
    name: String,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Show {
    #[default]
    Online,
    All,
    Requests,
    Blocked,
}

pub fn friends_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    Panel::top("friends header")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.main))
        .show(ui, |ui| strip_ui(ui, icons::USERS, "Friends"));
    CentralPanel::no_frame()
        .frame(Frame::new().fill(p.main).inner_margin(22))
        .show(ui, |ui| {
            needs_server(ui, scene.state);
            let guest = scene.state.me.as_ref().is_some_and(|me| me.kind == UserKind::Guest);
            if guest {
                hint(ui, "Friends find each other by their account. Make yours in the settings under Account: you stay who you are.");
            } else {
                add_ui(ui, scene, memory, intents);
            }
            ui.add_space(8.0);
            let requests = format!("Requests ({})", super::waiting_requests(scene.state));
            segmented(
                ui,
                &mut memory.people.friends.show,
                &[
                    (Show::Online, "Online"),
                    (Show::All, "All"),
                    (Show::Requests, requests.as_str()),
                    (Show::Blocked, "Blocked"),
                ],
            );
            ui.add_space(8.0);
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                list_ui(ui, scene, memory, intents);
            });
        });
}

fn add_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    caption(ui, "ADD A FRIEND");
    let mut sent = false;
    ui.horizontal(|ui| {
        ui.allocate_ui(vec2(320.0, 60.0), |ui| {
            ui.vertical(|ui| {
                let name = &mut memory.people.friends.name;
                let entered = field(ui, "Name of their account", name, "", false).lost_focus();
                sent = entered && ui.input(|input| input.key_pressed(egui::Key::Enter));
            });
        });
        ui.vertical(|ui| {
            ui.add_space(18.0);
            sent |= button(ui, Kind::Primary, "Send a request").clicked();
        });
    });
    let name = memory.people.friends.name.trim().to_owned();
    if sent && !name.is_empty() {
        let request = RequestFriend {
            user_id: None,
            name: Some(name),
        };
        memory.asks.ask(Topic::Friend, request, intents);
    }
    status_of_ui(ui, &memory.asks, Topic::Friend, scene.state);
    if memory
        .asks
        .take_done(Topic::Friend, scene.state, intents)
        .is_some()
    {
        memory.people.friends.name.clear();
    }
}

fn list_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let show = memory.people.friends.show;
    let relations = scene.state.relations.values();
    let online = |relation: &Relation| presence_of(scene.state, relation.user.id).is_online();
    let mut shown: Vec<_> = relations
        .filter(|relation| match show {
            Show::Online => relation.kind == RelationKind::Friend && online(relation),
            Show::All => relation.kind == RelationKind::Friend,
            Show::Requests => {
                matches!(
                    relation.kind,
                    RelationKind::Incoming | RelationKind::Outgoing
                )
            }
            Show::Blocked => relation.kind == RelationKind::Blocked,
        })
        .collect();
    shown.sort_by_cached_key(|it| {
        (
            it.kind == RelationKind::Outgoing,
            it.user.shown_name().to_lowercase(),
        )
    });
    if shown.is_empty() {
        let (what, advice) = match show {
            Show::Online => ("No friend is online", ""),
            Show::All => (
                "No friends yet",
                "Send a request by the name of someone's account, or from their profile.",
            ),
            Show::Requests => ("No requests", ""),
            Show::Blocked => ("Nobody is blocked", ""),
        };
        nothing_ui(ui, icons::USERS, what, advice);
    }
    for relation in shown {
        relation_ui(ui, scene, relation, memory, intents);
    }
}

fn relation_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    relation: &Relation,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let (user, user_id) = (&relation.user, relation.user.id);
    let presence = presence_of(scene.state, user_id);
    let (rect, response) = row(
        ui,
        54.0,
        false,
        &format!("Profile of {}", user.shown_name()),
    );
    let center = rect.left_center() + vec2(28.0, 0.0);
    let friend = relation.kind == RelationKind::Friend;
    avatar(
        ui.painter(),
        ui.ctx(),
        center,
        17.0,
        user,
        false,
        friend && !presence.is_online(),
    );
    if friend {
        let ground = if response.hovered() { p.hover } else { p.main };
        status_dot(
            ui,
            ui.painter(),
            center + vec2(12.0, 12.0),
            presence.status,
            ground,
        );
    }
    let words = match relation.kind {
        RelationKind::Friend => presence_words(&presence),
        RelationKind::Incoming => "wants to be your friend",
        RelationKind::Outgoing => "was asked by you",
        RelationKind::Blocked => "blocked",
    };
    let left = rect.left() + 58.0;
    let room = rect.width() - 58.0 - 110.0;
    let name = pos2(left, rect.center().y - 9.0);
    line(
        ui.painter(),
        name,
        user.shown_name(),
        theme::strong(BODY),
        p.text,
        room,
    );
    let below = pos2(left, rect.center().y + 10.0);
    line(
        ui.painter(),
        below,
        words,
        theme::regular(SMALL),
        p.muted,
        room,
    );
    if response.clicked() {
        memory.dialog = Some(Dialog::Profile(user_id));
    }
    let mut place =
        Rect::from_center_size(pos2(rect.right() - 26.0, rect.center().y), vec2(32.0, 32.0));
    let shown = user.shown_name();
    let mut act = |ui: &mut Ui, icon: &str, name: String| {
        let pressed =
            super::super::widgets::at(ui, place, |ui| icon_button(ui, icon, &name, false));
        place = place.translate(vec2(-38.0, 0.0));
        pressed.clicked()
    };
    match relation.kind {
        RelationKind::Friend => {
            if act(ui, icons::USER_MINUS, format!("Remove {shown}")) {
                memory.confirm = Some(Confirm {
                    title: format!("No longer be friends with {shown}?"),
                    text: "They are not told, but they see that you are gone from their list."
                        .to_owned(),
                    verb: "End it".to_owned(),
                    request: RemoveFriend { user_id }.into(),
                });
            }
            if act(ui, icons::CHAT_CIRCLE, format!("Message {shown}")) {
                write_to(user_id, scene.state, memory, intents);
            }
        }
        RelationKind::Incoming => {
            if act(ui, icons::X, format!("Refuse {shown}")) {
                memory
                    .asks
                    .ask(Topic::Friend, RemoveFriend { user_id }, intents);
            }
            if act(ui, icons::CHECK, format!("Accept {shown}")) {
                memory
                    .asks
                    .ask(Topic::Friend, AcceptFriend { user_id }, intents);
            }
        }
        RelationKind::Outgoing => {
            if act(ui, icons::X, format!("Take the request to {shown} back")) {
                memory
                    .asks
                    .ask(Topic::Friend, RemoveFriend { user_id }, intents);
            }
        }
        RelationKind::Blocked => {
            if act(ui, icons::X, format!("Unblock {shown}")) {
                memory
                    .asks
                    .ask(Topic::Friend, UnblockUser { user_id }, intents);
            }
        }
    }
}
