//! The servers that one is on at once, as they look from the one that is shown.

use egui::{
    Align2, CornerRadius, CursorIcon, Frame, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2,
};
use voxhall_protocol::{ChannelId, GuildId, link::Link};
use voxhall_session::{Connection, Intent, State, VoicePath};

use super::{
    Intents, Memory, Scene, Want, icons,
    people::Home,
    theme::{self, SMALL, palette},
    widgets::{at, focus_ring, icon_button, line},
};

/// What this window calls a server that it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ServerId(pub u64);

/// One of the servers, shown or not.
pub struct ServerView<'a> {
    pub id: ServerId,
    /// Different from that of every other one.
    pub name: String,
    pub link: Option<&'a Link>,
    pub state: &'a State,
}

impl ServerView<'_> {
    /// Nobody has chosen yet where it leads: it stands for the page where one does.
    pub fn is_free(&self) -> bool {
        self.state.connection == Connection::Idle
    }
}

/// What is to be shown of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What was shown last.
    AsItWas,
    Guild(GuildId),
    /// Or a conversation.
    Channel(ChannelId),
    /// Friends and conversations.
    Home,
    /// Where one is in voice.
    Voice,
    /// The words to who called in this conversation, in place of an answer.
    CallMessage(ChannelId),
}

impl Scene<'_> {
    /// All servers but the one that is shown.
    pub fn others(&self) -> impl Iterator<Item = &ServerView<'_>> {
        let shown = self.server;
        self.servers.iter().filter(move |it| it.id != shown)
    }

    /// Whether a word has to be said about which server is meant.
    pub fn has_several(&self) -> bool {
        self.servers.iter().filter(|it| !it.is_free()).count() > 1
    }

    /// The server on which one is in voice, if it isn't the shown one.
    fn voice_elsewhere(&self) -> Option<&ServerView<'_>> {
        // Until one is let in here, one is still heard there.
        let here = !matches!(
            self.state.voice.path,
            VoicePath::Out | VoicePath::Joining(_)
        );
        self.others()
            .find(|it| !here && it.state.voice.channel().is_some())
    }
}

impl Memory {
    /// Shows this place of the server that it is the memory of.
    pub fn go(&mut self, place: Place, state: &State) {
        match place {
            Place::AsItWas => {}
            Place::Guild(guild) => self.show_guild(guild),
            Place::Channel(channel) => self.go_to_channel(channel, state),
            Place::Home => drop(self.home.get_or_insert(Home::Friends)),
            Place::Voice => {
                if let Some(channel) = state.voice.channel() {
                    self.go_to_channel(channel, state);
                }
            }
            Place::CallMessage(conversation) => self.write_to_caller(conversation),
        }
    }

    /// Where there is one of that number still.
    fn go_to_channel(&mut self, channel: ChannelId, state: &State) {
        if let Some(guild) = state.guild_of(channel) {
            self.show_channel(guild.id, channel);
        } else if state.conversations.contains_key(&channel) {
            self.show_conversation(channel);
        }
    }

    pub(super) fn write_to_caller(&mut self, conversation: ChannelId) {
        let words = "I can't talk right now. I'll call you back.".to_owned();
        self.call_message = Some((conversation, words));
    }
}

/// One is in, and may be back soon where the connection is away.
pub fn is_inside(state: &State) -> bool {
    match state.connection {
        Connection::Online => true,
        Connection::Reconnecting { .. } => !state.guilds.is_empty(),
        _ => false,
    }
}

/// What keeps one from being there; nothing where nothing does.
pub fn trouble_words(state: &State) -> Option<&'static str> {
    match state.connection {
        Connection::Online | Connection::Idle => None,
        Connection::Connecting | Connection::SigningIn => Some("connecting"),
        Connection::NeedsIdentity { .. } => Some("asks who you are"),
        Connection::Reconnecting { .. } => Some("trying again"),
        Connection::Failed(_) => Some("not connected"),
    }
}

/// Says that one talks on another server, leads there, and leaves.
pub fn voice_elsewhere_ui(ui: &mut Ui, scene: &Scene<'_>, intents: &mut Intents) {
    let Some(server) = scene.voice_elsewhere() else {
        return;
    };
    let p = palette(ui);
    let place = voice_place(server.state);
    let frame = Frame::new()
        .fill(p.main)
        .corner_radius(CornerRadius::same(12))
        .inner_margin(10);
    frame.show(ui, |ui| {
        let size = vec2(ui.available_width(), 36.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        let head = format!("In voice on {}", server.name);
        let name = format!("{head}: {place}");
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
        let (center, icon) = (rect.left_top() + vec2(10.0, 9.0), icons::SPEAKER_HIGH);
        ui.painter().text(
            center,
            Align2::CENTER_CENTER,
            icon,
            theme::icon(17.0),
            p.live,
        );
        let room = rect.width() - 66.0;
        for (top, words, font, ink) in [
            (9.0, &head, theme::strong(SMALL + 0.5), p.live),
            (27.0, &place, theme::regular(SMALL + 0.5), p.muted),
        ] {
            let left = rect.left_top() + vec2(26.0, top);
            line(ui.painter(), left, words, font, ink, room);
        }
        focus_ring(ui, &response, rect);
        let corner = pos2(rect.right() - 16.0, rect.center().y);
        let leave = at(ui, Rect::from_center_size(corner, vec2(32.0, 32.0)), |ui| {
            let name = format!("Leave voice on {}", server.name);
            icon_button(ui, icons::PHONE_DISCONNECT, &name, true)
        });
        if leave.clicked() {
            intents.want(Want::Elsewhere(server.id, Intent::LeaveVoice));
        } else if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
            intents.want(Want::Show(server.id, Place::Voice));
        }
    });
}

fn voice_place(state: &State) -> String {
    let Some(channel) = state.voice.channel() else {
        return String::new();
    };
    let of_guild = state.guild_of(channel).and_then(|it| it.channel(channel));
    match of_guild {
        Some(channel) => format!("#{}", channel.name),
        None if state.conversations.contains_key(&channel) => "a call".to_owned(),
        None => "a room".to_owned(),
    }
}
