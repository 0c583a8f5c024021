//! Ctrl+K: a few letters, and one is there.

use egui::{Id, Key, Modal, Modifiers, TextEdit, Ui};
use voxhall_protocol::{
    ChannelId, GuildId, UserId,
    control::{ChannelKind, RelationKind},
};
use voxhall_session::{Intent, State};

use super::{
    Intents, Memory, Scene, ServerId, Want, icons,
    people::{conversation_name, write_to},
    servers::{Place, ServerView, is_inside},
    theme::palette,
    widgets::{card, hint, name_dialog},
    window::item_ui,
};

/// As many as can be looked over.
const MOST: usize = 9;

#[derive(Default)]
pub struct Switcher {
    words: String,
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Channel(GuildId, ChannelId, bool),
    Guild(GuildId),
    Conversation(ChannelId),
    Person(UserId),
}

/// One line of what was found.
struct Entry {
    /// None: the one that is shown.
    server: Option<ServerId>,
    goal: Goal,
    icon: &'static str,
    name: String,
    note: String,
}

pub fn switcher_ui(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let shown = Modal::new(Id::unique("switcher"))
        .frame(card(ui).inner_margin(14))
        .show(ui.ctx(), |ui| {
            ui.set_width(520.0);
            name_dialog(ui, "Go to");
            let (up, down, enter) = ui.input_mut(|input| {
                (
                    input.consume_key(Modifiers::NONE, Key::ArrowUp),
                    input.consume_key(Modifiers::NONE, Key::ArrowDown),
                    input.consume_key(Modifiers::NONE, Key::Enter),
                )
            });
            let form = &mut memory.switcher;
            let field = ui
                .add(
                    TextEdit::singleline(&mut form.words)
                        .hint_text("Where to?")
                        .desired_width(f32::INFINITY)
                        .margin(egui::Margin::symmetric(12, 12)),
                )
                .accessible_name("Where to");
            field.request_focus();
            if field.changed() {
                form.at = 0;
            }
            let entries = find(scene, &form.words);
            if entries.is_empty() {
                hint(ui, "Nothing by this name.");
                return None;
            }
            if down {
                form.at = (form.at + 1) % entries.len();
            }
            if up {
                form.at = (form.at + entries.len() - 1) % entries.len();
            }
            form.at = form.at.min(entries.len() - 1);
            let mut chosen = enter.then(|| (entries[form.at].server, entries[form.at].goal));
            ui.add_space(4.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            for (i, entry) in entries.iter().enumerate() {
                let icon = (entry.icon, palette(ui).muted);
                let name = format!("Go to {}, {}", entry.name, entry.note);
                let here = i == form.at;
                if item_ui(ui, icon, &entry.name, &entry.note, here, &name).clicked() {
                    chosen = Some((entry.server, entry.goal));
                }
            }
            ui.add_space(4.0);
            hint(
                ui,
                "Up and Down choose, Enter goes, Esc stays. # finds text channels, @ people.",
            );
            chosen
        });
    let close = shown.should_close();
    if let Some((server, goal)) = shown.inner {
        memory.dialog = None;
        match server.zip(place_of(goal)) {
            None => go(goal, scene, memory, intents),
            Some((server, place)) => intents.want(Want::Show(server, place)),
        }
    } else if close {
        memory.dialog = None;
    }
}

fn go(goal: Goal, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    match goal {
        Goal::Channel(guild, channel, voice) => {
            memory.show_channel(guild, channel);
            if voice && scene.state.voice.channel() != Some(channel) {
                intents.session(Intent::JoinVoice(channel));
            }
        }
        Goal::Guild(guild) => memory.show_guild(guild),
        Goal::Conversation(id) => memory.show_conversation(id),
        Goal::Person(user) => write_to(user, scene.state, memory, intents),
    }
}

/// On another server. A voice channel is shown there, not joined; who one has no conversation with is no place.
fn place_of(goal: Goal) -> Option<Place> {
    match goal {
        Goal::Channel(_, channel, _) | Goal::Conversation(channel) => Some(Place::Channel(channel)),
        Goal::Guild(guild) => Some(Place::Guild(guild)),
        Goal::Person(_) => None,
    }
}

/// The best fits for these words. Among equals first what has something unread, and then what is on the shown server.
fn find(scene: &Scene<'_>, words: &str) -> Vec<Entry> {
    let words = words.trim();
    let (only, words) = match words.chars().next() {
        Some(mark @ ('#' | '@')) => (Some(mark), words[1..].trim().to_lowercase()),
        _ => (None, words.to_lowercase()),
    };
    let wanted = |goal: &Goal| match only {
        Some('#') => matches!(goal, Goal::Channel(_, _, false)),
        Some(_) => matches!(goal, Goal::Person(_) | Goal::Conversation(_)),
        None => true,
    };
    let mut fits = Vec::new();
    let mut look = |state: &State, elsewhere: Option<&ServerView<'_>>| {
        for mut entry in all(state).into_iter().filter(|it| wanted(&it.goal)) {
            let Some(fit) = fit(&entry.name, &words) else {
                continue;
            };
            if elsewhere.is_some() && place_of(entry.goal).is_none() {
                continue;
            }
            if let Some(server) = elsewhere {
                entry.server = Some(server.id);
                entry.note = format!("{} on {}", entry.note, server.name);
            }
            let unread = unread(state, entry.goal);
            let rank = (fit, unread > 0, elsewhere.is_none(), unread);
            fits.push((rank, entry));
        }
    };
    look(scene.state, None);
    for server in scene.others().filter(|it| is_inside(it.state)) {
        look(server.state, Some(server));
    }
    fits.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    fits.into_iter()
        .take(MOST)
        .map(|(_, entry)| entry)
        .collect()
}

/// What was said there and not read.
fn unread(state: &State, goal: Goal) -> u32 {
    match goal {
        Goal::Channel(_, channel, _) | Goal::Conversation(channel) => state
            .reading
            .get(&channel)
            .map_or(0, |reading| reading.unread),
        Goal::Guild(_) | Goal::Person(_) => 0,
    }
}

fn all(state: &State) -> Vec<Entry> {
    let mut all = Vec::new();
    for guild in &state.guilds {
        all.push(Entry {
            server: None,
            goal: Goal::Guild(guild.id),
            icon: icons::HOUSE,
            name: guild.name.clone(),
            note: "server".to_owned(),
        });
        for channel in &guild.channels {
            let (icon, voice) = match channel.kind {
                ChannelKind::Category => continue,
                ChannelKind::Stage => (icons::MEGAPHONE, true),
                kind if kind.is_voice() => (icons::SPEAKER_HIGH, true),
                _ => (icons::HASH, false),
            };
            all.push(Entry {
                server: None,
                goal: Goal::Channel(guild.id, channel.id, voice),
                icon,
                name: channel.name.clone(),
                note: guild.name.clone(),
            });
        }
    }
    for conversation in state.conversations.values() {
        all.push(Entry {
            server: None,
            goal: Goal::Conversation(conversation.id),
            icon: icons::CHAT_CIRCLE,
            name: conversation_name(state, conversation),
            note: "direct messages".to_owned(),
        });
    }
    let friends = state.relations.values();
    let friends = friends.filter(|it| it.kind == RelationKind::Friend);
    for friend in friends.filter(|it| state.direct_with(it.user.id).is_none()) {
        all.push(Entry {
            server: None,
            goal: Goal::Person(friend.user.id),
            icon: icons::USER,
            name: friend.user.shown_name().to_owned(),
            note: "friend".to_owned(),
        });
    }
    all
}

/// How well a name fits: its beginning, the beginning of a word in it, somewhere in it, its letters in order; none: not at all.
fn fit(name: &str, words: &str) -> Option<u8> {
    let name = name.to_lowercase();
    if name.starts_with(words) {
        return Some(3);
    }
    if name
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.starts_with(words))
    {
        return Some(2);
    }
    if name.contains(words) {
        return Some(1);
    }
    let mut letters = name.chars();
    words
        .chars()
        .filter(|c| !c.is_whitespace())
        .all(|wanted| letters.any(|c| c == wanted))
        .then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_fits_better_than_the_middle() {
        assert_eq!(fit("general", "gen"), Some(3));
        assert_eq!(fit("very-general", "gen"), Some(2));
        assert_eq!(fit("regenerate", "gen"), Some(1));
        assert_eq!(fit("green open", "gno"), Some(0));
        assert_eq!(fit("general", "xyz"), None);
        assert_eq!(fit("general", ""), Some(3));
    }
}
