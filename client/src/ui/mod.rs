//! The views. Each is a function of what there is ([`Scene`]) that draws it and says what the person wants ([`Intents`]).
//! What only the window knows, such as drafts and which page is open, is in [`Memory`].

mod chat;
mod entry;
mod icons;
mod invite;
mod microphone;
mod notices;
mod person;
mod preferences;
mod sidebar;
mod stage;
pub mod theme;
mod voice_panel;
mod widgets;

use std::collections::{BTreeMap, BTreeSet};

use egui::{CentralPanel, Frame, Key, Margin, Modifiers, Panel, Ui};
use voxhall_protocol::{
    ChannelId, GuildId, UserId,
    control::{Channel, ChannelKind},
    link::Link,
};
use voxhall_session::{Connection, Guild, Intent, Notice, State, StoredLogin, VoiceMeters};

use crate::{
    audio::AudioStatus,
    settings::{Logins, Settings},
};
use theme::palette;

pub use entry::Entry;
pub use preferences::Tab;

/// Everything a view may look at.
pub struct Scene<'a> {
    pub state: &'a State,
    pub meters: &'a VoiceMeters,
    pub audio: &'a AudioStatus,
    /// Peaks of microphone and speakers, dBFS.
    pub levels: (f32, f32),
    pub logins: &'a Logins,
    /// The app's own notices; they stand beside the session's.
    pub notices: &'a [Notice],
    /// How long `state` has been as it is.
    pub state_age_ms: u64,
    pub time_zone: &'a jiff::tz::TimeZone,
    pub now: jiff::Timestamp,
}

/// What a person wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    Session(Intent),
    /// Go to this server, with the login kept for it if there is one.
    Visit(Link),
    Return(StoredLogin),
    /// Forget the login kept for this server.
    Forget(Link),
    RefreshDevices,
    TestSpeakers,
    DismissNotice(u64),
}

#[derive(Debug, Default)]
pub struct Intents(pub Vec<Want>);

impl Intents {
    pub fn session(&mut self, intent: Intent) {
        self.0.push(Want::Session(intent));
    }

    pub fn want(&mut self, want: Want) {
        self.0.push(want);
    }
}

/// What the window remembers between frames.
#[derive(Default)]
pub struct Memory {
    pub guild: Option<GuildId>,
    pub channel: Option<ChannelId>,
    /// Whose volume and delays are shown.
    pub person: Option<UserId>,
    pub dialog: Option<Dialog>,
    pub entry: Entry,
    pub drafts: BTreeMap<ChannelId, String>,
    /// Channels whose history was asked for.
    pub asked: BTreeSet<ChannelId>,
    /// The next key becomes the push-to-talk key.
    pub binding_talk_key: bool,
    /// When the invite link was copied, in the window's time.
    pub copied_at_s: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialog {
    Preferences(Tab),
    Invite(GuildId),
}

/// The whole window.
pub fn root_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    match &scene.state.connection {
        Connection::Online => main_ui(ui, scene, settings, memory, intents),
        Connection::Reconnecting { .. } if !scene.state.guilds.is_empty() => {
            main_ui(ui, scene, settings, memory, intents);
        }
        _ => entry::entry_ui(ui, scene, settings, memory, intents),
    }
    notices::notices_ui(ui, scene, intents);
    match memory.dialog {
        Some(Dialog::Preferences(tab)) => {
            preferences::preferences_ui(ui, scene, tab, settings, memory, intents);
        }
        Some(Dialog::Invite(guild)) => invite::invite_ui(ui, scene, guild, memory, intents),
        None => {}
    }
    keyboard(ui, scene, memory, intents);
}

fn main_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let Some(guild) = choose_guild(scene.state, memory) else {
        CentralPanel::default_margins().show(ui, |ui| entry::no_guild_ui(ui, intents));
        return;
    };
    if let Connection::Reconnecting {
        retry_in_ms,
        problem,
    } = &scene.state.connection
    {
        notices::banner_ui(ui, *retry_in_ms, problem, scene.state_age_ms, intents);
    }
    Panel::left("rail")
        .exact_size(72.0)
        .resizable(false)
        .show_separator_line(false)
        .frame(
            Frame::new()
                .fill(p.rail)
                .inner_margin(Margin::symmetric(12, 14)),
        )
        .show(ui, |ui| sidebar::rail_ui(ui, scene, memory));
    Panel::left("sidebar")
        .exact_size(256.0)
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.sidebar))
        .show(ui, |ui| {
            let panel = Panel::bottom("voice panel")
                .resizable(false)
                .show_separator_line(false)
                .frame(Frame::new().fill(p.sidebar).inner_margin(Margin {
                    left: 8,
                    right: 8,
                    top: 4,
                    bottom: 8,
                }))
                .show(ui, |ui| {
                    voice_panel::voice_panel_ui(ui, scene, guild, settings, memory, intents);
                });
            settle_height(ui, "voice panel", panel.response.rect.height());
            CentralPanel::no_frame()
                .frame(Frame::new().fill(p.sidebar))
                .show(ui, |ui| {
                    sidebar::channels_ui(ui, scene, guild, memory, intents);
                });
        });
    let channel = memory
        .channel
        .and_then(|id| guild.channels.iter().find(|channel| channel.id == id));
    match channel {
        Some(channel) if channel.kind == ChannelKind::Voice => {
            stage::stage_ui(ui, scene, guild, channel, settings, memory, intents);
        }
        Some(channel) => chat::chat_ui(ui, scene, guild, channel, memory, intents),
        None => {
            CentralPanel::default_margins().show(ui, |ui| {
                widgets::hint(ui, "This server has no channels yet.");
            });
        }
    }
}

/// What stands by the height it had in the last frame is drawn again at once when that has changed, so that nothing jumps.
fn settle_height(ui: &Ui, what: &str, height: f32) {
    let id = egui::Id::unique(("height", what));
    if ui.ctx().data(|data| data.get_temp::<f32>(id)) != Some(height) {
        ui.ctx().data_mut(|data| data.insert_temp(id, height));
        ui.ctx().request_discard("a height has changed");
    }
}

/// The guild and the channel to show: what was chosen while it exists, else the first ones.
fn choose_guild<'a>(state: &'a State, memory: &mut Memory) -> Option<&'a Guild> {
    let chosen = memory
        .guild
        .and_then(|id| state.guilds.iter().find(|guild| guild.id == id));
    let guild = chosen.or_else(|| state.guilds.first())?;
    memory.guild = Some(guild.id);
    let exists = |id: ChannelId| guild.channels.iter().any(|channel| channel.id == id);
    if !memory.channel.is_some_and(exists) {
        let first: Option<&Channel> = guild
            .channels_of(ChannelKind::Text)
            .next()
            .or_else(|| guild.channels.first());
        memory.channel = first.map(|channel| channel.id);
    }
    Some(guild)
}

fn keyboard(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let ctrl_shift = Modifiers::COMMAND | Modifiers::SHIFT;
    let (mute, deafen, escape) = ui.ctx().input_mut(|input| {
        (
            input.consume_key(ctrl_shift, Key::M),
            input.consume_key(ctrl_shift, Key::D),
            !memory.binding_talk_key && input.consume_key(Modifiers::NONE, Key::Escape),
        )
    });
    if mute {
        intents.session(toggle_mute(&scene.state.voice));
    }
    if deafen {
        intents.session(Intent::SetDeafened(!scene.state.voice.deafened));
    }
    if escape && memory.dialog.take().is_none() {
        memory.person = None;
    }
}

/// Who is deafened is muted too, and hears again when unmuted.
fn toggle_mute(voice: &voxhall_session::Voice) -> Intent {
    Intent::SetMuted(!(voice.muted || voice.deafened))
}

/// `1.5 ms`, `18 ms`
fn ms(value: f32) -> String {
    if value < 9.95 {
        format!("{value:.1} ms")
    } else {
        format!("{value:.0} ms")
    }
}
