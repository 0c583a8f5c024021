//! What the keyboard does everywhere in the window, and the list of it.

use egui::{Key, KeyboardShortcut, Label, Modifiers, RichText, Ui};

use super::{
    Dialog, Intents, Memory, Place, Scene, Want, is_inside,
    people::{Home, newest_first},
    theme::palette,
    widgets::{hint, labelled},
};
use voxhall_protocol::{ChannelId, control::ChannelKind};
use voxhall_session::{Guild, Intent};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Switch,
    Mute,
    Deafen,
    Channel { up: bool },
    Guild { up: bool },
    Home,
    Settings,
    List,
}

const CTRL: Modifiers = Modifiers::COMMAND;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
const CTRL_ALT: Modifiers = Modifiers::COMMAND.plus(Modifiers::ALT);

/// Those with more modifiers first: a key is taken by the first that fits.
const MAP: [(Deed, Modifiers, Key, &str); 10] = [
    (Deed::Mute, CTRL_SHIFT, Key::M, "Mute or unmute"),
    (Deed::Deafen, CTRL_SHIFT, Key::D, "Deafen or hear again"),
    (
        Deed::Switch,
        CTRL,
        Key::K,
        "Go to a channel, a server or a person",
    ),
    (
        Deed::Guild { up: true },
        CTRL_ALT,
        Key::ArrowUp,
        "Server above",
    ),
    (
        Deed::Guild { up: false },
        CTRL_ALT,
        Key::ArrowDown,
        "Server below",
    ),
    (
        Deed::Channel { up: true },
        Modifiers::ALT,
        Key::ArrowUp,
        "Channel above",
    ),
    (
        Deed::Channel { up: false },
        Modifiers::ALT,
        Key::ArrowDown,
        "Channel below",
    ),
    (
        Deed::Home,
        Modifiers::ALT,
        Key::Home,
        "Friends and direct messages",
    ),
    (Deed::Settings, CTRL, Key::Comma, "Settings"),
    (Deed::List, CTRL, Key::Slash, "This list"),
];

pub fn keyboard(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let pressed = |deed: &(Deed, Modifiers, Key, &str)| {
        ui.input_mut(|input| input.consume_key(deed.1, deed.2))
    };
    let deeds: Vec<_> = MAP
        .iter()
        .filter(|deed| pressed(deed))
        .map(|deed| deed.0)
        .collect();
    for deed in deeds {
        do_it(deed, scene, memory, intents);
    }
    // A popup that was open closes by itself.
    let escape = !memory.binding_talk_key
        && !memory.popup
        && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
    if escape && memory.confirm.take().is_none() && memory.dialog.take().is_none() {
        memory.person = None;
    }
}

fn do_it(deed: Deed, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let inside = scene.state.me.is_some();
    match deed {
        Deed::Mute => intents.session(super::toggle_mute(&scene.state.voice)),
        Deed::Deafen => intents.session(Intent::SetDeafened(!scene.state.voice.deafened)),
        Deed::Switch if inside => {
            memory.switcher = super::switcher::Switcher::default();
            memory.dialog = match memory.dialog {
                Some(Dialog::Switcher) => None,
                _ => Some(Dialog::Switcher),
            };
        }
        Deed::Settings => memory.dialog = Some(Dialog::Preferences(super::Tab::Voice)),
        Deed::List => memory.dialog = Some(Dialog::Preferences(super::Tab::Keyboard)),
        // What moves behind a dialog would not be seen.
        _ if memory.dialog.is_some() || !inside => {}
        Deed::Home => memory.home = Some(Home::Friends),
        Deed::Channel { up } => channel_step(scene, memory, up),
        Deed::Guild { up } => {
            let all = scene.servers.iter().filter(|it| is_inside(it.state));
            let all: Vec<_> = all
                .flat_map(|server| (server.state.guilds.iter()).map(|it| (server.id, it.id)))
                .collect();
            let now = memory.guild.filter(|_| memory.home.is_none());
            let now = now.map(|guild| (scene.server, guild));
            let of_shown: Vec<_> = (all.iter().copied())
                .filter(|it| it.0 == scene.server)
                .collect();
            // From home the way leads to a guild of the same server.
            let among = if now.is_none() && !of_shown.is_empty() {
                &of_shown
            } else {
                &all
            };
            match step(among, now, up) {
                Some((server, guild)) if server == scene.server => memory.show_guild(guild),
                Some((server, guild)) => intents.want(Want::Show(server, Place::Guild(guild))),
                None => {}
            }
        }
        Deed::Switch => {}
    }
}

fn channel_step(scene: &Scene<'_>, memory: &mut Memory, up: bool) {
    if let Some(home) = memory.home {
        let conversations = newest_first(scene.state).into_iter();
        let ids = conversations.map(|it| Home::Conversation(it.id));
        let all: Vec<_> = std::iter::once(Home::Friends).chain(ids).collect();
        memory.home = step(&all, Some(home), up);
        return;
    }
    let guild = memory.guild.and_then(|id| scene.state.guild(id));
    let Some(guild) = guild else { return };
    memory.channel = step(&in_order(guild), memory.channel, up);
    memory.person = None;
}

/// The channels as they stand in the sidebar.
pub fn in_order(guild: &Guild) -> Vec<ChannelId> {
    let mut order = Vec::new();
    let of = |category, text: bool| {
        let channels = guild.channels_in(category);
        channels
            .filter(move |it| it.kind != ChannelKind::Category && it.kind.is_text() == text)
            .map(|channel| channel.id)
            .collect::<Vec<_>>()
    };
    order.extend(of(None, true));
    order.extend(of(None, false));
    for category in guild.channels_of(ChannelKind::Category) {
        let inside = guild.channels_in(Some(category.id));
        order.extend(inside.map(|channel| channel.id));
    }
    order
}

/// The one before or behind, round and round.
fn step<T: Copy + PartialEq>(all: &[T], now: Option<T>, up: bool) -> Option<T> {
    let last = all.len().checked_sub(1)?;
    let at = now.and_then(|now| all.iter().position(|it| *it == now));
    let to = match (at, up) {
        (None, false) => 0,
        (None, true) | (Some(0), true) => last,
        (Some(at), true) => at - 1,
        (Some(at), false) => (at + 1) % all.len(),
    };
    Some(all[to])
}

/// Every key there is, for reading.
pub fn list_ui(ui: &mut Ui, talk_key: Option<&str>) {
    let p = palette(ui);
    ui.spacing_mut().interact_size.y = 24.0;
    let row = |ui: &mut Ui, words: &str, keys: &str| {
        labelled(ui, words, |ui| {
            let keys = RichText::new(keys)
                .font(egui::FontId::monospace(13.0))
                .color(p.muted);
            ui.add(Label::new(keys));
        });
    };
    ui.spacing_mut().item_spacing.y = 4.0;
    for (_, modifiers, key, words) in MAP {
        let keys = ui
            .ctx()
            .format_shortcut(&KeyboardShortcut::new(modifiers, key));
        // What keys print says more than their names.
        let keys = keys.replace("Comma", ",").replace("Slash", "/");
        row(ui, words, &keys);
    }
    row(ui, "Close what is open", "Esc");
    row(ui, "To the next or the previous control", "Tab, Shift+Tab");
    row(ui, "Press the control that has the focus", "Space, Enter");
    if let Some(key) = talk_key {
        row(ui, "Push to talk, or to mute", key);
    }
    ui.add_space(6.0);
    hint(ui, "On a Mac, Ctrl is the command key.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_round() {
        let all = [1, 2, 3];
        assert_eq!(step(&all, Some(1), false), Some(2));
        assert_eq!(step(&all, Some(3), false), Some(1));
        assert_eq!(step(&all, Some(1), true), Some(3));
        assert_eq!(step(&all, None, false), Some(1));
        assert_eq!(step(&[], Some(1), true), None);
    }

    #[test]
    fn no_key_means_two_things() {
        for (i, one) in MAP.iter().enumerate() {
            for other in &MAP[i + 1..] {
                assert!((one.1, one.2) != (other.1, other.2), "{one:?} {other:?}");
            }
        }
    }
}
