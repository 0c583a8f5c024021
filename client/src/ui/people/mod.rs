//! People: friends, conversations, profiles, how one is seen.

mod conversation;
mod friends;
mod home;
mod members;
mod profile;
mod status;

use egui::{Color32, Painter, Pos2, Ui};
use voxhall_protocol::{
    ChannelId, UserId,
    control::{ChannelKind, Conversation, OpenConversation, Presence, Status},
};
use voxhall_session::State;

pub(super) use conversation::find_person_ui;
pub use conversation::{Group, NewConversation, group_ui, new_conversation_ui};
pub use friends::Friends;
pub use home::{as_guild, home_sidebar_ui, main_home_ui, newest_first, waiting_requests};
pub use members::members_ui;
pub use profile::{ProfilePage, profile_ui};
pub use status::{StatusForm, status_ui};

use super::{
    Intents, Memory,
    ask::Topic,
    theme::{Palette, palette},
};

/// What is shown in place of a guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    Friends,
    Conversation(ChannelId),
}

/// What is being entered.
#[derive(Default)]
pub struct Form {
    pub friends: Friends,
    pub new_conversation: NewConversation,
    pub group: Group,
    pub profile: ProfilePage,
    pub status: StatusForm,
}

/// What a conversation is called: its own name, or who is in it beside oneself.
pub fn conversation_name(state: &State, conversation: &Conversation) -> String {
    if let Some(name) = conversation.name.as_ref().filter(|name| !name.is_empty()) {
        return name.clone();
    }
    let me = state.me.as_ref().map(|me| me.id);
    let others = conversation
        .members
        .iter()
        .filter(|member| Some(member.user.id) != me);
    let names: Vec<_> = others.map(|member| member.user.shown_name()).collect();
    match names.len() {
        0 => "Only you".to_owned(),
        _ => names.join(", "),
    }
}

/// The other one of a conversation between two.
fn partner<'a>(
    state: &State,
    conversation: &'a Conversation,
) -> Option<&'a voxhall_protocol::control::ConversationMember> {
    let me = state.me.as_ref().map(|me| me.id);
    let mut others = conversation
        .members
        .iter()
        .filter(|member| Some(member.user.id) != me);
    others
        .next()
        .filter(|_| conversation.kind == ChannelKind::Direct)
}

/// Goes to the conversation with someone, which is made if there is none yet.
pub fn write_to(user: UserId, state: &State, memory: &mut Memory, intents: &mut Intents) {
    match state.direct_with(user) {
        Some(conversation) => memory.show_conversation(conversation.id),
        None => {
            let open = OpenConversation {
                user_ids: vec![user],
                name: None,
            };
            memory.asks.ask(Topic::Open, open, intents);
        }
    }
    memory.dialog = None;
}

/// What is known of someone's being there, from wherever.
pub fn presence_of(state: &State, user: UserId) -> Presence {
    let me = state.me.as_ref().is_some_and(|me| me.id == user);
    if me {
        return own_presence(state);
    }
    let member = state
        .guilds
        .iter()
        .find_map(|guild| guild.members.get(&user));
    let friend = || {
        state
            .relations
            .get(&user)
            .map(|relation| &relation.presence)
    };
    let partner = || {
        let mut people = state.conversations.values().flat_map(|it| &it.members);
        people.find(|it| it.user.id == user).map(|it| &it.presence)
    };
    let known = member
        .map(|member| &member.presence)
        .or_else(friend)
        .or_else(partner);
    known.cloned().unwrap_or_default()
}

/// As others see oneself.
fn own_presence(state: &State) -> Presence {
    use voxhall_protocol::control::StatusChoice;
    let me = state.me.as_ref().map(|me| me.id);
    let idle = state.guilds.iter().any(|guild| {
        let member = me.and_then(|me| guild.members.get(&me));
        member.is_some_and(|member| member.presence.status == Status::Idle)
    });
    Presence {
        status: match state.presence.choice {
            StatusChoice::Online if idle => Status::Idle,
            StatusChoice::Online => Status::Online,
            StatusChoice::DoNotDisturb => Status::DoNotDisturb,
            StatusChoice::Invisible => Status::Offline,
        },
        custom_status: state.presence.custom_status.clone(),
    }
}

/// What someone's presence says in a line: their own words, or the state.
pub fn presence_words(presence: &Presence) -> &str {
    match presence
        .custom_status
        .as_deref()
        .filter(|words| !words.is_empty())
    {
        Some(words) if presence.is_online() => words,
        _ => status_words(presence.status),
    }
}

pub fn status_words(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Idle => "idle",
        Status::DoNotDisturb => "do not disturb",
        Status::Offline => "offline",
    }
}

fn status_ink(status: Status, p: &Palette) -> Color32 {
    match status {
        Status::Online => p.live,
        Status::Idle => p.warning,
        Status::DoNotDisturb => p.danger,
        Status::Offline => p.faint,
    }
}

/// The mark beside a picture: it differs in shape too, not in colour alone.
pub fn status_dot(ui: &Ui, painter: &Painter, at: Pos2, status: Status, ground: Color32) {
    let p = palette(ui);
    let ink = status_ink(status, p);
    painter.circle_filled(at, 6.5, ground);
    match status {
        Status::Online => {
            painter.circle_filled(at, 4.5, ink);
        }
        Status::Idle => {
            painter.circle_filled(at, 4.5, ink);
            painter.circle_filled(at - egui::vec2(2.0, 2.0), 3.4, ground);
        }
        Status::DoNotDisturb => {
            painter.circle_filled(at, 4.5, ink);
            let stroke = egui::Stroke::new(1.8, ground);
            painter.hline((at.x - 2.4)..=(at.x + 2.4), at.y, stroke);
        }
        Status::Offline => {
            painter.circle_stroke(at, 3.6, egui::Stroke::new(1.8, ink));
        }
    }
}
