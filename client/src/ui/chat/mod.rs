//! A text channel: its messages, and the field to write in; at the side its people, what is pinned, or a search.

mod calendar;
mod complete;
mod composer;
mod emoji;
pub mod files;
pub mod list;
mod markdown;
mod mention;
mod message;
mod pending;
mod pins;
mod plain;
mod search;
mod text;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use egui::{
    CentralPanel, CornerRadius, Frame, Id, Margin, Modal, Panel, Popup, PopupCloseBehavior, Rect,
    RectAlign, Sense, Spinner, Stroke, Ui, pos2, vec2,
};
use jiff::civil::Date;
use voxhall_protocol::{
    ChannelId, FileId, MessageId, UserId,
    control::{Attachment, Channel, ChannelKind, DeleteMessage, Message, Replied},
    limits::EXCERPT_CHARS,
    permissions::Permissions,
};
use voxhall_session::{Connection, Guild, History, Intent, Place, TransferId};

use super::{
    Intents, Memory, Scene, icons, people,
    sidebar::channel_header,
    theme::{self, BODY, SMALL, palette},
    widgets::{self, Kind, at, button, card, heading, hint, icon_button, line, name_dialog},
};
use list::{Item, Target, View};
use message::Editing;
pub use plain::plain;
pub use text::Names;
use text::Texts;

/// Below this width the list at the side gives way to the messages, or takes their place where it is asked for.
const SIDE_FROM_WIDTH: f32 = 620.0;

/// What the text channels remember between frames.
#[derive(Default)]
pub struct Chat {
    rooms: BTreeMap<ChannelId, Room>,
    /// The channel that was drawn last, and in which frame.
    open: Option<(ChannelId, u64)>,
    pub side: Side,
    /// The side was asked for while there was no room beside the messages.
    side_over: bool,
    /// Pictures of messages, as the app has got them.
    pub pictures: files::Pictures,
    /// Downloads of files, by what they are of.
    pub saving: BTreeMap<FileId, TransferId>,
    texts: Texts,
    pins: pins::Pins,
    search: search::SearchForm,
    month: Option<Date>,
}

/// What stands beside the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    #[default]
    People,
    Pins,
    Search,
    /// Nothing.
    Closed,
}

/// What is remembered of one channel.
#[derive(Default)]
struct Room {
    view: View,
    /// The line above what is new: behind this message, or at the beginning.
    unread_after: Option<Option<MessageId>>,
    /// The newest message that the server was told to be read.
    marked: Option<MessageId>,
    reply_to: Option<Replied>,
    editing: Option<Editing>,
    /// The message that is asked about before it is deleted.
    deleting: Option<MessageId>,
    /// The message that one looks for an emoji for.
    picking: Option<MessageId>,
    picker: emoji::Picker,
    /// The tools of a message, and where they are.
    tools: Option<(MessageId, Rect)>,
    /// The picture that is seen large.
    looking: Option<Attachment>,
    /// Files of the next message.
    uploads: Vec<TransferId>,
    /// Files that were chosen and not yet begun.
    chosen: Vec<PathBuf>,
    trouble: Option<String>,
    completion: complete::Completion,
    preview: bool,
    /// The field gets the keyboard in the next frame.
    write_on: bool,
    /// The draft was drawn before, so its cursor is where the person put it.
    draft_shown: bool,
}

/// What a part of the channel may look at.
struct Cx<'a> {
    scene: &'a Scene<'a>,
    guild: &'a Guild,
    channel: &'a Channel,
    history: &'a Arc<History>,
    pictures: &'a files::Pictures,
    saving: &'a BTreeMap<FileId, TransferId>,
    rights: Permissions,
    /// A dialog lies over the channel.
    covered: bool,
    /// Nothing lies over what is written, so that Escape is for it.
    escapes: bool,
}

impl<'a> Cx<'a> {
    fn me(&self) -> Option<UserId> {
        self.scene.state.me.as_ref().map(|me| me.id)
    }

    fn may(&self, right: Permissions) -> bool {
        self.rights.contains(right)
    }

    fn is_conversation(&self) -> bool {
        is_conversation(self.channel)
    }

    /// In a conversation everybody may.
    fn may_pin(&self) -> bool {
        self.is_conversation() || self.may(Permissions::MANAGE_MESSAGES)
    }

    fn names(&self) -> Names<'a> {
        Names {
            state: self.scene.state,
            guild: self.guild,
        }
    }
}

fn is_conversation(channel: &Channel) -> bool {
    matches!(channel.kind, ChannelKind::Direct | ChannelKind::Group)
}

fn rights(scene: &Scene<'_>, guild: &Guild, channel: &Channel) -> Permissions {
    if is_conversation(channel) {
        return Permissions::DEFAULT_EVERYONE;
    }
    let now_ms = scene.now.as_millisecond();
    scene.state.permissions(guild.id, Some(channel.id), now_ms)
}

impl Chat {
    /// Files that were chosen for the next message of a channel.
    pub fn attach(&mut self, channel: ChannelId, paths: Vec<PathBuf>) {
        self.rooms.entry(channel).or_default().chosen.extend(paths);
    }

    /// Somebody looks for an emoji to react with.
    pub fn is_picking(&self, ctx: &egui::Context) -> bool {
        self.open.is_some_and(|(channel, frame)| {
            let room = self.rooms.get(&channel);
            let open = ctx.cumulative_frame_nr() - frame <= 1;
            open && room.is_some_and(|room| room.picking.is_some())
        })
    }

    /// Shows a message of a channel that is about to be opened.
    pub fn go(&mut self, channel: ChannelId, message: MessageId, intents: &mut Intents) {
        let room = self.rooms.entry(channel).or_default();
        room.go(channel, Target::Message(message), intents);
    }
}

impl Room {
    fn go(&mut self, channel: ChannelId, target: Target, intents: &mut Intents) {
        self.view.target = Some(target);
        let place = match target {
            Target::Message(id) => Place::Message(id),
            Target::Time(time_ms) => Place::Time(time_ms),
            Target::Newest => Place::Newest,
        };
        intents.session(Intent::JumpTo { channel, place });
    }

    /// To the end, which may not be loaded.
    fn newest(&mut self, cx: &Cx<'_>, intents: &mut Intents) {
        if cx.history.more_after {
            self.go(cx.channel.id, Target::Newest, intents);
        } else {
            self.view.target = Some(Target::Newest);
        }
    }

    fn reply(&mut self, message: &Message) {
        self.reply_to = Some(Replied {
            id: message.id,
            author: Some(message.author.clone()),
            excerpt: message.text.chars().take(EXCERPT_CHARS).collect(),
        });
        self.write_on = true;
    }
}

pub fn chat_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    guild: &Guild,
    channel: &Channel,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let history = scene.state.history.get(&channel.id);
    if history.is_none() && memory.asked.insert(channel.id) {
        intents.session(Intent::LoadMessages(channel.id));
    }
    let nothing = Arc::default();
    let chat = &mut memory.chat;
    let mut room = chat.rooms.remove(&channel.id).unwrap_or_default();
    let covered = memory.dialog.is_some() || memory.confirm.is_some();
    let cx = Cx {
        scene,
        guild,
        channel,
        history: history.unwrap_or(&nothing),
        pictures: &chat.pictures,
        saving: &chat.saving,
        rights: rights(scene, guild, channel),
        covered,
        escapes: !covered && !memory.popup && room.looking.is_none() && room.deleting.is_none(),
    };
    let frame = ui.ctx().cumulative_frame_nr();
    let before = chat.open.replace((channel.id, frame));
    if !before.is_some_and(|(id, at)| id == channel.id && frame - at <= 1) {
        room.draft_shown = false;
        room.picking = None;
        room.unread_after = unread(&cx).then(|| last_read(&cx));
    }
    chat.texts.begin();
    Panel::top("channel header")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.main))
        .show(ui, |ui| {
            let narrow = ui.available_width() <= SIDE_FROM_WIDTH;
            chat.side_over &= narrow;
            if let Some(side) = header_ui(ui, &cx, &mut chat.month, &mut room, intents) {
                let is_shown = chat.side == side && (!narrow || chat.side_over);
                chat.side = if is_shown { Side::Closed } else { side };
                chat.side_over = narrow;
            }
        });
    let mut chosen = None;
    let side = chat.side;
    let over = chat.side_over && side != Side::Closed;
    let side_ui = |ui: &mut Ui| match side {
        Side::People => people::members_ui(ui, guild, &mut memory.dialog),
        Side::Pins => {
            side_head_ui(ui, "Pinned messages", &mut chat.side);
            let (pins, asks) = (&mut chat.pins, &mut memory.asks);
            pins::pins_ui(ui, &cx, pins, asks, &mut room, &mut chat.texts, intents);
        }
        Side::Search => {
            side_head_ui(ui, "Search", &mut chat.side);
            chosen = search::search_ui(ui, &cx, &mut chat.search, intents);
        }
        Side::Closed => {}
    };
    let ground = Frame::new()
        .fill(p.sidebar)
        .inner_margin(Margin::symmetric(10, 14));
    if over {
        CentralPanel::no_frame().frame(ground).show(ui, side_ui);
    } else if side != Side::Closed && ui.available_width() > SIDE_FROM_WIDTH {
        let width = if side == Side::People { 210.0 } else { 320.0 };
        Panel::right(Id::unique(("side", side == Side::People)))
            .exact_size(width)
            .resizable(false)
            .show_separator_line(false)
            .frame(ground)
            .show(ui, side_ui);
    }
    if chat.side != Side::Pins {
        chat.pins.forget(&mut memory.asks, intents);
    }
    if chat.side != Side::Search {
        chat.search.leave(scene.state, intents);
    }
    if !over {
        let draft = memory.drafts.entry(channel.id).or_default();
        messages_ui(
            ui,
            &cx,
            history.is_some(),
            &mut room,
            draft,
            &mut chat.texts,
            intents,
        );
    }
    deleting_ui(ui, &cx, &mut room, intents);
    files::large_picture_ui(ui, &cx, &mut room, intents);
    chat.rooms.insert(channel.id, room);
    if let Some((channel, message)) = chosen {
        chat.side_over = false;
        chat.go(channel, message, intents);
        if guild.channel(channel).is_some() {
            memory.channel = Some(channel);
        }
    }
}

/// What was written, and the field for more.
fn messages_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    has_come: bool,
    room: &mut Room,
    draft: &mut String,
    texts: &mut Texts,
    intents: &mut Intents,
) {
    let p = palette(ui);
    Panel::bottom("composer")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.main).inner_margin(Margin {
            left: 18,
            right: 18,
            top: 4,
            bottom: 6,
        }))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 6.0;
            composer::composer_ui(ui, cx, room, draft, texts, intents);
            typing_ui(ui, cx);
        });
    CentralPanel::no_frame()
        .frame(Frame::new().fill(p.main))
        .show(ui, |ui| {
            if has_come {
                history_ui(ui, cx, room, texts, intents);
            } else {
                waiting_ui(ui, cx);
            }
        });
    read_ui(ui, cx, room, intents);
}

/// Which side is asked for, or no longer.
fn header_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    month: &mut Option<Date>,
    room: &mut Room,
    intents: &mut Intents,
) -> Option<Side> {
    const TOOLS: f32 = 4.0 * 36.0 + 12.0;
    let whole = ui.available_rect_before_wrap();
    let mut head = whole;
    head.max.x -= TOOLS;
    let icon = if cx.is_conversation() {
        icons::AT
    } else {
        icons::HASH
    };
    let drawn = ui.scope_builder(egui::UiBuilder::new().max_rect(head), |ui| {
        channel_header(ui, icon, cx.channel);
    });
    let rect = drawn.response.rect;
    let color = palette(ui).border;
    ui.painter().hline(
        head.right()..=whole.right(),
        rect.bottom() - 0.5,
        Stroke::new(1.0, color),
    );
    let place = Rect::from_min_max(
        pos2(head.right(), rect.top()),
        pos2(whole.right() - 12.0, rect.bottom()),
    );
    let mut pressed = None;
    at(ui, place, |ui| {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            for (of, icon, name) in [
                (Side::Search, icons::MAGNIFYING_GLASS, "Search in messages"),
                (Side::Pins, icons::PUSH_PIN, "Pinned messages"),
                (Side::People, icons::USERS, "People here"),
            ] {
                if icon_button(ui, icon, name, false).clicked() {
                    pressed = Some(of);
                }
            }
            let day = icon_button(ui, icons::CALENDAR_BLANK, "Go to a day", false);
            let chosen = Popup::from_toggle_button_response(&day)
                .align(RectAlign::BOTTOM_END)
                .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
                .show(|ui| calendar::calendar_ui(ui, cx.scene, month));
            if let Some(time_ms) = chosen.and_then(|chosen| chosen.inner) {
                Popup::close_all(ui.ctx());
                room.go(cx.channel.id, Target::Time(time_ms), intents);
            }
        });
    });
    pressed
}

fn side_head_ui(ui: &mut Ui, title: &str, side: &mut Side) {
    ui.horizontal(|ui| {
        heading(ui, title);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if icon_button(ui, icons::X, "Close the side", false).clicked() {
                *side = Side::Closed;
            }
        });
    });
}

fn waiting_ui(ui: &mut Ui, cx: &Cx<'_>) {
    if cx.scene.state.connection == Connection::Online {
        ui.centered_and_justified(|ui| ui.add(Spinner::new().size(22.0).color(palette(ui).faint)));
    } else {
        ui.vertical_centered(|ui| {
            ui.add_space(40.0);
            hint(
                ui,
                "The messages come when the server is back. What you write now is sent then.",
            );
        });
    }
}

fn history_ui(ui: &mut Ui, cx: &Cx<'_>, room: &mut Room, texts: &mut Texts, intents: &mut Intents) {
    let history = cx.history;
    if history.messages.is_empty()
        && history.pending.is_empty()
        && (history.loading || history.more)
    {
        waiting_ui(ui, cx);
        return;
    }
    let place = ui.available_rect_before_wrap();
    let mut view = std::mem::take(&mut room.view);
    let id = Id::unique(("messages", cx.scene.server, cx.channel.id));
    let wish = view.show(ui, id, history, |ui, item, view| match item {
        Item::Top if history.more => older_ui(ui, cx),
        Item::Top => beginning_ui(ui, cx.channel),
        Item::Message(index) => message::message_ui(ui, cx, index, view, room, texts, intents),
        Item::Pending(index) => {
            pending::pending_ui(ui, cx, &history.pending[index], texts, intents);
        }
    });
    // A jump that was wished for meanwhile counts.
    view.target = room.view.target.take().or(view.target);
    room.view = view;
    let online = cx.scene.state.connection == Connection::Online;
    if wish.older && online {
        intents.session(Intent::LoadMessages(cx.channel.id));
    }
    if wish.newer && online {
        intents.session(Intent::LoadNewer(cx.channel.id));
    }
    unread_bar_ui(ui, cx, place, room, intents);
    newest_ui(ui, cx, place, room, intents);
}

/// Older messages come by themselves as one nears them.
fn older_ui(ui: &mut Ui, cx: &Cx<'_>) {
    ui.set_height(36.0);
    ui.vertical_centered(|ui| {
        ui.add_space(8.0);
        if cx.history.loading {
            ui.add(Spinner::new().size(18.0).color(palette(ui).faint));
        } else if cx.scene.state.connection != Connection::Online {
            hint(ui, "Older messages come when the server is back.");
        }
    });
}

fn beginning_ui(ui: &mut Ui, channel: &Channel) {
    let p = palette(ui);
    ui.add_space(28.0);
    ui.horizontal(|ui| {
        ui.add_space(10.0);
        ui.vertical(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(56.0, 56.0), Sense::hover());
            ui.painter()
                .circle_filled(rect.center(), 28.0, p.accent_soft);
            let icon = if is_conversation(channel) {
                icons::AT
            } else {
                icons::HASH
            };
            ui.painter().text(
                rect.center(),
                egui::Align2::CENTER_CENTER,
                icon,
                theme::icon(28.0),
                p.accent,
            );
            ui.add_space(8.0);
            if is_conversation(channel) {
                widgets::title(ui, &channel.name);
                hint(ui, "This is where your conversation begins.");
            } else {
                widgets::title(ui, &format!("Welcome to #{}", channel.name));
                hint(ui, "This is where the channel begins. Say hello.");
            }
        });
    });
    ui.add_space(14.0);
}

fn unread(cx: &Cx<'_>) -> bool {
    let reading = cx.scene.state.reading.get(&cx.channel.id);
    reading.is_some_and(|reading| reading.unread > 0)
}

fn last_read(cx: &Cx<'_>) -> Option<MessageId> {
    cx.scene.state.reading.get(&cx.channel.id)?.last_read
}

/// What is seen is read, while somebody looks.
fn read_ui(ui: &Ui, cx: &Cx<'_>, room: &mut Room, intents: &mut Intents) {
    let looks = ui.input(|input| input.viewport().focused != Some(false));
    let seen = looks && room.view.at_end(cx.history) && !cx.history.loading;
    if !unread(cx) {
        return;
    }
    if !seen && room.unread_after.is_none() {
        room.unread_after = Some(last_read(cx));
    }
    let last = cx.history.messages.last().map(|message| message.id);
    if seen && last > room.marked {
        mark_read(cx, room, intents);
    }
}

fn mark_read(cx: &Cx<'_>, room: &mut Room, intents: &mut Intents) {
    let known = cx
        .scene
        .state
        .reading
        .get(&cx.channel.id)
        .and_then(|reading| reading.last_message);
    let last = cx.history.messages.last().map(|message| message.id);
    if let Some(message) = known.max(last) {
        room.marked = Some(message);
        intents.session(Intent::MarkRead {
            channel: cx.channel.id,
            message,
        });
    }
}

/// Over the messages: there are unread ones further up.
fn unread_bar_ui(ui: &mut Ui, cx: &Cx<'_>, place: Rect, room: &mut Room, intents: &mut Intents) {
    let Some(read) = room.unread_after else {
        return;
    };
    let first = read.unwrap_or(MessageId(0));
    let at_first = cx
        .history
        .messages
        .partition_point(|message| message.id <= first);
    let Some(next) = cx.history.messages.get(at_first) else {
        return;
    };
    let loaded = at_first > 0 || !cx.history.more;
    if loaded && !room.view.is_above(cx.history, next.id) {
        return;
    }
    let p = palette(ui);
    let strip = Rect::from_min_size(
        place.min + vec2(14.0, 8.0),
        vec2(place.width() - 44.0, 36.0),
    );
    ui.painter().rect(
        strip,
        10,
        p.accent_soft,
        Stroke::new(1.0, p.border),
        egui::StrokeKind::Inside,
    );
    at(ui, strip.shrink2(vec2(12.0, 2.0)), |ui| {
        ui.horizontal_centered(|ui| {
            let new = &cx.history.messages[at_first..];
            let count = if loaded {
                new.iter()
                    .filter(|message| Some(message.author.id) != cx.me())
                    .count()
            } else {
                let reading = cx.scene.state.reading.get(&cx.channel.id);
                reading.map_or(0, |reading| reading.unread as usize)
            };
            let when = message::local(next.sent_at_ms, cx.scene.time_zone);
            let since = when.filter(|_| loaded).map_or_else(String::new, |at| {
                format!(
                    " since {}, {}",
                    message::day_words(&at, cx.scene),
                    at.strftime("%H:%M")
                )
            });
            let words = match count {
                0 => format!("New messages{since}"),
                1 => format!("1 new message{since}"),
                1000.. => format!("More than 1000 new messages{since}"),
                count => format!("{count} new messages{since}"),
            };
            ui.label(egui::RichText::new(words).size(SMALL + 0.5).color(p.text));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if button(ui, Kind::Quiet, "Mark as read").clicked() {
                    room.unread_after = None;
                    mark_read(cx, room, intents);
                }
                if button(ui, Kind::Quiet, "Go to the first").clicked() {
                    let first = if loaded { next.id } else { first };
                    room.go(cx.channel.id, Target::Message(first), intents);
                }
            });
        });
    });
}

/// Over the messages: the way back to the end.
fn newest_ui(ui: &mut Ui, cx: &Cx<'_>, place: Rect, room: &mut Room, intents: &mut Intents) {
    if room.view.at_end(cx.history) {
        return;
    }
    let p = palette(ui);
    let new = cx
        .scene
        .state
        .reading
        .get(&cx.channel.id)
        .map_or(0, |reading| reading.unread);
    let words = match new {
        0 => "Jump to newest".to_owned(),
        new => format!("Jump to newest, {new} new"),
    };
    let galley = ui
        .painter()
        .layout_no_wrap(words.clone(), theme::strong(SMALL + 0.5), p.text);
    let size = galley.size() + vec2(44.0, 16.0);
    let rect = Rect::from_min_size(place.right_bottom() - size - vec2(28.0, 10.0), size);
    let response = ui.interact(rect, Id::unique("jump to newest"), Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &words));
    let fill = if response.hovered() {
        p.hover
    } else {
        p.raised
    };
    let radius = CornerRadius::same(17);
    ui.painter()
        .add(ui.visuals().popup_shadow.as_shape(rect, radius));
    ui.painter().rect(
        rect,
        radius,
        fill,
        Stroke::new(1.0, p.border),
        egui::StrokeKind::Inside,
    );
    let y = rect.center().y;
    ui.painter().text(
        pos2(rect.left() + 18.0, y),
        egui::Align2::CENTER_CENTER,
        icons::ARROW_DOWN,
        theme::icon(15.0),
        if new > 0 { p.accent } else { p.muted },
    );
    ui.painter().galley(
        pos2(rect.left() + 31.0, y - galley.size().y / 2.0),
        galley,
        p.text,
    );
    widgets::focus_ring(ui, &response, rect);
    if response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
    {
        room.newest(cx, intents);
    }
}

/// Who is writing; the line keeps its height, so that nothing jumps.
fn typing_ui(ui: &mut Ui, cx: &Cx<'_>) {
    let p = palette(ui);
    let people = cx.scene.state.typing_in(cx.channel.id, cx.scene.clock);
    let names: Vec<_> = people
        .iter()
        .filter(|user| Some(**user) != cx.me())
        .map(|user| cx.names().user(*user).split_off(1))
        .collect();
    let words = match &names[..] {
        [] => String::new(),
        [one] => format!("{one} is writing…"),
        [one, two] => format!("{one} and {two} are writing…"),
        [one, two, three] => format!("{one}, {two} and {three} are writing…"),
        more => format!("{} people are writing…", more.len()),
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 14.0), Sense::hover());
    if words.is_empty() {
        return;
    }
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &words));
    let left = rect.left_center() + vec2(6.0, 0.0);
    line(
        ui.painter(),
        left,
        &words,
        theme::regular(SMALL - 0.5),
        p.muted,
        rect.width() - 12.0,
    );
}

fn deleting_ui(ui: &Ui, cx: &Cx<'_>, room: &mut Room, intents: &mut Intents) {
    let Some(id) = room.deleting else { return };
    let Some(message) = cx.history.messages.iter().find(|message| message.id == id) else {
        room.deleting = None;
        return;
    };
    let mut close = false;
    let modal = Modal::new(Id::unique("delete a message"))
        .frame(card(ui))
        .show(ui.ctx(), |ui| {
            ui.set_width(380.0);
            name_dialog(ui, "Delete this message?");
            heading(ui, "Delete this message?");
            let words = plain(&message.text, cx.names());
            let shown: String = words.chars().take(EXCERPT_CHARS).collect();
            ui.add(
                egui::Label::new(
                    egui::RichText::new(format!("{}: {shown}", message.author.name))
                        .size(BODY)
                        .color(palette(ui).muted),
                )
                .wrap(),
            );
            hint(ui, "It can't be brought back.");
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                let delete = button(ui, Kind::Danger, "Delete it");
                if ui.memory(|memory| memory.focused()).is_none() {
                    delete.request_focus();
                }
                if delete.clicked() {
                    intents.ask(DeleteMessage {
                        channel_id: cx.channel.id,
                        message_id: id,
                    });
                    close = true;
                }
                close |= button(ui, Kind::Secondary, "Keep it").clicked();
            });
        });
    if close || modal.should_close() {
        room.deleting = None;
    }
}
