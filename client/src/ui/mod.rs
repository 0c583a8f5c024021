//! The views. Each is a function of what there is ([`Scene`]) that draws it and says what the person wants ([`Intents`]).
//! What only the window knows, such as drafts and which page is open, is in [`Memory`].

pub mod admin;
mod ask;
mod calls;
pub mod chat;
mod entry;
mod fonts;
pub mod guild;
mod icons;
mod invite;
mod keys;
mod microphone;
mod notices;
pub mod people;
mod person;
mod picture;
pub(crate) mod pictures;
mod preferences;
mod rail;
mod rooms;
mod schedule;
mod servers;
mod settings;
mod sidebar;
mod stage;
mod switcher;
pub mod theme;
mod voice_panel;
mod widgets;
mod window;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use egui::{CentralPanel, Frame, Margin, Panel, Popup, Ui};
use voxhall_protocol::{
    ChannelId, FileId, GuildId, UserId,
    control::{Channel, ChannelKind, Request},
    link::Link,
};
use voxhall_session::{Connection, Guild, Intent, Notice, State, StoredLogin, VoiceMeters};

use crate::{
    audio::AudioStatus,
    desktop::Reach,
    settings::{Logins, Settings},
};
use chat::files::PictureKind;
use theme::palette;

pub use entry::Entry;
pub use picture::PictureOf;
pub use preferences::Tab;
pub use rooms::Rooms;
pub(crate) use servers::is_inside;
pub use servers::{Place, ServerId, ServerView};
pub use settings::{Closing, Computer, ComputerWant};

/// Everything a view may look at.
pub struct Scene<'a> {
    /// All servers that one is on, as they stand in the rail.
    pub servers: &'a [ServerView<'a>],
    /// The one that is shown; what follows is of it.
    pub server: ServerId,
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
    /// The same moment, as timers of the state have it.
    pub clock: std::time::Instant,
}

/// What a person wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    Session(Intent),
    /// Of a server that isn't shown.
    Elsewhere(ServerId, Intent),
    Show(ServerId, Place),
    /// Show the page where one says where to go, and stay on the servers one is on.
    AddServer,
    /// Go to this server, with the login kept for it if there is one, and stay on the others.
    Visit(Link),
    Return(StoredLogin),
    /// Forget the login kept for this server.
    Forget(Link),
    RefreshDevices,
    TestSpeakers,
    DismissNotice(u64),
    /// Let the person choose files for the next message of a channel.
    ChooseFiles(ChannelId),
    /// A picture from the clipboard is to go with the next message of a channel.
    PastePicture(ChannelId, Arc<egui::ColorImage>),
    /// Let the person choose where a file goes, and get it.
    SaveFile {
        file: FileId,
        name: String,
    },
    /// Get a picture of a message.
    Picture(FileId, PictureKind),
    /// The whole picture isn't looked at any more.
    ForgetPicture(FileId),
    Computer(ComputerWant),
}

#[derive(Debug, Default)]
pub struct Intents(pub Vec<Want>);

impl Intents {
    pub fn session(&mut self, intent: Intent) {
        self.0.push(Want::Session(intent));
    }

    /// Of the server, where only a failure is to be told.
    pub fn ask(&mut self, request: impl Into<Request>) {
        let request = request.into();
        self.session(Intent::Ask { tag: None, request });
    }

    pub fn want(&mut self, want: Want) {
        self.0.push(want);
    }
}

/// What the window remembers between frames.
#[derive(Default)]
pub struct Memory {
    /// Friends and conversations are shown in place of a guild.
    pub home: Option<people::Home>,
    pub guild: Option<GuildId>,
    pub channel: Option<ChannelId>,
    /// Whose volume and delays are shown.
    pub person: Option<UserId>,
    pub dialog: Option<Dialog>,
    /// The dialog that was drawn last.
    pub drawn: Option<Dialog>,
    /// What had the keyboard before it came.
    pub had_keyboard: Option<egui::Id>,
    pub confirm: Option<window::Confirm>,
    pub asks: ask::Asks,
    pub guild_form: guild::Form,
    pub new_guild: guild::NewGuild,
    pub people: people::Form,
    pub settings: settings::Form,
    pub computer: Computer,
    pub switcher: switcher::Switcher,
    pub admin: admin::Form,
    pub entry: Entry,
    pub drafts: BTreeMap<ChannelId, String>,
    pub chat: chat::Chat,
    /// Channels whose history was asked for.
    pub asked: BTreeSet<ChannelId>,
    /// A popup was open when this frame began.
    pub popup: bool,
    /// The next key becomes the push-to-talk key.
    pub binding_talk_key: bool,
    pub talk_key_reach: Reach,
    /// What is written to whoever called, in place of an answer.
    pub call_message: Option<(ChannelId, String)>,
    pub rooms: rooms::Rooms,
    pub calls: calls::PastCalls,
}

impl Memory {
    pub fn show_guild(&mut self, guild: GuildId) {
        if self.guild != Some(guild) {
            self.channel = None;
        }
        self.home = None;
        self.guild = Some(guild);
    }

    pub fn show_channel(&mut self, guild: GuildId, channel: ChannelId) {
        self.show_guild(guild);
        self.channel = Some(channel);
    }

    pub fn show_conversation(&mut self, conversation: ChannelId) {
        self.home = Some(people::Home::Conversation(conversation));
    }

    /// On another server nothing of this one is left to be seen.
    pub fn leave_server(&mut self) {
        let entry = std::mem::take(&mut self.entry);
        *self = Self {
            entry,
            talk_key_reach: self.talk_key_reach,
            dialog: self
                .dialog
                .filter(|it| matches!(it, Dialog::Preferences(_))),
            computer: std::mem::take(&mut self.computer),
            ..Self::default()
        };
    }
}

impl Memory {
    /// Another dialog, or another page of it: what was asked on the last one is not for it, and secrets are not kept.
    fn turn_page(&mut self, intents: &mut Intents) {
        self.drawn = self.dialog;
        self.asks.forget_page(intents);
        self.settings.account = settings::AccountForm::default();
        self.admin.forget_secrets();
        self.calls = calls::PastCalls::default();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialog {
    Preferences(Tab),
    Invite(GuildId),
    Guild(GuildId, guild::Page),
    NewGuild,
    Profile(UserId),
    Status,
    NewConversation,
    Group(ChannelId),
    Switcher,
    Admin(admin::Page),
    /// Stage rooms.
    Rooms,
    /// Calls that were.
    Calls,
}

/// The whole window.
pub fn root_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    memory.popup = Popup::is_any_open(ui.ctx()) || memory.chat.is_picking(ui.ctx());
    pictures::of(ui.ctx(), scene.server);
    ui.ctx()
        .accesskit_node_builder(egui::accesskit_root_id(), |node| {
            node.set_label("Voxhall");
        });
    if is_inside(scene.state) {
        main_ui(ui, scene, settings, memory, intents);
    } else {
        if scene.others().next().is_some() {
            rail::rail_ui(ui, scene, memory, intents);
        }
        entry::entry_ui(ui, scene, settings, memory, intents);
    }
    let room_height = rooms::room_ui(ui, scene, intents);
    calls::calls_ui(ui, scene, memory, room_height, intents);
    notices::notices_ui(ui, scene, intents);
    dialogs_ui(ui, scene, settings, memory, intents);
    keys::keyboard(ui, scene, memory, intents);
}

fn dialogs_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    if memory.dialog != memory.drawn {
        ui.memory_mut(|egui| match (memory.drawn, memory.dialog) {
            (None, Some(_)) => memory.had_keyboard = egui.focused(),
            (Some(_), None) => {
                // What is gone by now does not get it.
                if let Some(before) = memory.had_keyboard.take() {
                    egui.request_focus(before);
                }
            }
            _ => {}
        });
        memory.turn_page(intents);
    }
    match memory.dialog {
        Some(Dialog::Preferences(tab)) => {
            preferences::preferences_ui(ui, scene, tab, settings, memory, intents);
        }
        Some(Dialog::Calls) => calls::history_ui(ui, scene, memory, intents),
        Some(Dialog::Rooms) => rooms::rooms_ui(ui, scene, memory, intents),
        Some(Dialog::Invite(guild)) => invite::invite_ui(ui, scene, guild, memory, intents),
        Some(Dialog::Guild(id, page)) => guild::guild_ui(ui, scene, id, page, memory, intents),
        Some(Dialog::NewGuild) => guild::new_guild_ui(ui, scene, memory, intents),
        Some(Dialog::Profile(user)) => people::profile_ui(ui, scene, user, memory, intents),
        Some(Dialog::Status) => people::status_ui(ui, scene, memory, intents),
        Some(Dialog::NewConversation) => {
            people::new_conversation_ui(ui, scene, memory, intents);
        }
        Some(Dialog::Group(id)) => people::group_ui(ui, scene, id, memory, intents),
        Some(Dialog::Admin(page)) => admin::admin_ui(ui, scene, page, memory, intents),
        Some(Dialog::Switcher) => switcher::switcher_ui(ui, scene, memory, intents),
        None => {}
    }
    window::confirm_ui(ui, memory, intents);
}

fn main_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let guild = choose_guild(scene.state, memory);
    let home = choose_home(scene.state, guild, memory);
    if let Connection::Reconnecting {
        retry_in_ms,
        problem,
    } = &scene.state.connection
    {
        notices::banner_ui(ui, *retry_in_ms, problem, scene.state_age_ms, intents);
    }
    rail::rail_ui(ui, scene, memory, intents);
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
                    voice_panel::voice_panel_ui(ui, scene, settings, memory, intents);
                });
            settle_height(ui, "voice panel", panel.response.rect.height());
            CentralPanel::no_frame()
                .frame(Frame::new().fill(p.sidebar))
                .show(ui, |ui| match (home, guild) {
                    (None, Some(guild)) => {
                        sidebar::channels_ui(ui, scene, guild, memory, intents);
                    }
                    _ => people::home_sidebar_ui(ui, scene, memory, intents),
                });
        });
    let guild = match (home, guild) {
        (None, Some(guild)) => guild,
        _ => {
            let home = home.unwrap_or(people::Home::Friends);
            return people::main_home_ui(ui, scene, home, memory, intents);
        }
    };
    let channel = memory
        .channel
        .and_then(|id| guild.channels.iter().find(|channel| channel.id == id));
    match channel {
        Some(channel) if channel.kind.is_voice() => {
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

/// What is shown in place of a guild: what was chosen while it is there, and friends where there is no guild.
fn choose_home(state: &State, guild: Option<&Guild>, memory: &mut Memory) -> Option<people::Home> {
    let there = |home: &people::Home| match home {
        people::Home::Friends => true,
        people::Home::Conversation(id) => state.conversations.contains_key(id),
    };
    let fallback = || people::Home::Friends;
    memory.home = match memory.home {
        Some(home) if there(&home) => Some(home),
        Some(_) => Some(fallback()),
        None => guild.is_none().then(fallback),
    };
    memory.home
}

/// Who is deafened is muted too, and hears again when unmuted.
pub(crate) fn toggle_mute(voice: &voxhall_session::Voice) -> Intent {
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
