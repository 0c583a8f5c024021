//! One message: who wrote it, what it answers, what it says, and what can be done with it.

use egui::{
    Color32, CornerRadius, EventFilter, Frame, Id, Key, KeyboardShortcut, Label, Margin, Modifiers,
    Popup, PopupCloseBehavior, Rect, RectAlign, RichText, Role, Sense, Stroke, TextEdit, Ui,
    UiBuilder, WidgetInfo, pos2, vec2,
};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use voxhall_protocol::{
    MessageId,
    control::{
        Message, PinMessage, ReactToMessage, Reaction, Replied, Request, UnixMs, UnpinMessage,
        UnreactToMessage, User,
    },
    limits::{MAX_REACTIONS, MESSAGE_CHARS},
    permissions::Permissions,
};
use voxhall_session::{Intent, PendingEdit};

use super::{
    super::{
        Intents, Scene, icons,
        theme::{self, BODY, CAPTION, RADIUS, SMALL, palette},
        widgets::{self, Kind, avatar, button, icon_button_sized, line},
    },
    Cx, Room, emoji, files,
    list::{Target, View},
    mention,
    plain::plain_excerpt,
    text::Texts,
};

/// Messages of one author within this time stand under one name.
const TOGETHER_MS: i64 = 5 * 60 * 1000;
/// Left of what a message says: the author's picture.
pub const INDENT: f32 = 60.0;
const LEFT: f32 = 10.0;

/// What is being written in place of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editing {
    pub message: MessageId,
    pub text: String,
    /// The field has the keyboard already.
    begun: bool,
}

impl Editing {
    pub fn of(message: &Message, cx: &Cx<'_>) -> Self {
        Self {
            message: message.id,
            text: mention::shown(&message.text, cx.names()),
            begun: false,
        }
    }
}

/// How a message stands among those before it.
struct Standing {
    /// A new day begins with it.
    day: Option<String>,
    /// It stands under its author's name.
    named: bool,
    time: String,
}

pub fn message_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    index: usize,
    view: &View,
    room: &mut Room,
    texts: &mut Texts,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let message = &cx.history.messages[index];
    let before = index
        .checked_sub(1)
        .map(|before| &cx.history.messages[before]);
    let first_unread = room.unread_after.is_some_and(|read| {
        let behind = match before {
            Some(before) => Some(before.id) <= read,
            None => !cx.history.more,
        };
        behind && Some(message.id) > read
    });
    let standing = standing(cx.scene, message, before, first_unread);
    if let Some(day) = &standing.day {
        day_ui(ui, day);
    }
    if first_unread {
        unread_ui(ui);
    }
    ui.add_space(if standing.named { 8.0 } else { 0.0 });
    let id = ui.scope_id().with("row");
    let light = view.light(message.id, ui.input(|input| input.time));
    let ground = ui.painter().add(egui::Shape::Noop);
    let width = ui.available_width();
    let body = ui.vertical(|ui| {
        ui.set_width(width);
        ui.add_space(2.0);
        if let Some(replied) = &message.reply_to {
            reply_ui(ui, replied, room, cx, intents);
        }
        let top = ui.cursor().top();
        if standing.named {
            author_ui(ui, &message.author, &standing.time, message.pinned);
        }
        indented(ui, |ui| {
            if room
                .editing
                .as_ref()
                .is_some_and(|editing| editing.message == message.id)
            {
                edit_ui(ui, cx, room, intents);
            } else {
                said_ui(ui, cx, message, texts, intents);
            }
            files::attachments_ui(ui, cx, message, room, intents);
            if !message.reactions.is_empty() {
                reactions_ui(ui, cx, message, room, intents);
            }
        });
        ui.add_space(2.0);
        top
    });
    let rect = body.response.rect;
    let row = ui.interact(rect, id, Sense::focusable_noninteractive());
    row.widget_info(|| {
        let words = format!("Message from {} at {}", message.author.name, standing.time);
        WidgetInfo::labeled(Role::ListItem, true, words)
    });
    // The tools reach over the message's edge: whoever is going there stays with them.
    let near = match room
        .tools
        .filter(|(_, tools)| ui.rect_contains_pointer(*tools))
    {
        Some((of, _)) => of == message.id,
        None => ui.rect_contains_pointer(rect),
    } && !ui.input(|input| input.pointer.is_decidedly_dragging());
    let open = room.picking == Some(message.id);
    let lively = near || open || row.has_focus();
    let mentioned = mentions_me(cx, message);
    let fill = if light > 0.0 {
        p.accent_soft.gamma_multiply(light)
    } else if mentioned {
        p.warning_soft
    } else if lively {
        p.sidebar
    } else {
        Color32::TRANSPARENT
    };
    ui.painter().set(
        ground,
        egui::Shape::rect_filled(rect, CornerRadius::same(RADIUS), fill),
    );
    if mentioned {
        let bar = Rect::from_min_max(rect.min, pos2(rect.left() + 3.0, rect.bottom()));
        ui.painter().rect_filled(bar, 2, p.warning);
    }
    widgets::focus_ring(ui, &row, rect.shrink(2.0));
    if !standing.named && lively {
        let at = pos2(rect.left() + LEFT + 20.0, body.inner + 10.0);
        ui.painter().text(
            at,
            egui::Align2::CENTER_CENTER,
            &standing.time,
            theme::regular(CAPTION - 1.0),
            p.faint,
        );
    }
    if row.has_focus() {
        keys(ui, cx, message, room, intents);
    }
    if lively && room.editing.is_none() {
        tools_ui(ui, cx, message, rect, room, intents);
    }
}

fn standing(
    scene: &Scene<'_>,
    message: &Message,
    before: Option<&Message>,
    apart: bool,
) -> Standing {
    let at = local(message.sent_at_ms, scene.time_zone);
    let before_at = before.and_then(|before| local(before.sent_at_ms, scene.time_zone));
    let new_day = at.as_ref().map(Zoned::date) != before_at.as_ref().map(Zoned::date);
    let together = !new_day
        && !apart
        && message.reply_to.is_none()
        && before.is_some_and(|before| {
            before.author.id == message.author.id
                && message.sent_at_ms - before.sent_at_ms < TOGETHER_MS
        });
    Standing {
        day: at
            .as_ref()
            .filter(|_| new_day)
            .map(|at| day_words(at, scene)),
        named: !together,
        time: at
            .map(|at| at.strftime("%H:%M").to_string())
            .unwrap_or_default(),
    }
}

fn mentions_me(cx: &Cx<'_>, message: &Message) -> bool {
    let Some(me) = cx.me() else { return false };
    let roles = cx
        .guild
        .members
        .get(&me)
        .map_or(&[][..], |member| &member.roles);
    let mentions = &message.mentions;
    message.author.id != me
        && (mentions.everyone
            || mentions.users.contains(&me)
            || mentions.roles.iter().any(|role| roles.contains(role)))
}

/// The message that is answered, in one line; a click goes there.
fn reply_ui(ui: &mut Ui, replied: &Replied, room: &mut Room, cx: &Cx<'_>, intents: &mut Intents) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::click());
    let (name, words) = match &replied.author {
        Some(author) => (
            author.name.as_str(),
            plain_excerpt(&replied.excerpt, cx.names()),
        ),
        None => ("", "This message was deleted.".to_owned()),
    };
    response
        .widget_info(|| WidgetInfo::labeled(Role::Link, true, format!("Answers {name}: {words}")));
    let ink = if response.hovered() { p.text } else { p.muted };
    // From above the author's picture to the line.
    let (x, y) = (rect.left() + LEFT + 20.0, rect.center().y + 1.0);
    let stroke = Stroke::new(1.5, p.pressed);
    ui.painter().vline(x, y..=rect.bottom() + 1.0, stroke);
    ui.painter()
        .hline(x..=rect.left() + INDENT - 6.0, y, stroke);
    let mut left = rect.left() + INDENT;
    if let Some(author) = &replied.author {
        avatar(
            ui.painter(),
            ui.ctx(),
            pos2(left + 7.0, y),
            7.0,
            author,
            false,
            false,
        );
        let font = theme::strong(SMALL);
        left = line(
            ui.painter(),
            pos2(left + 20.0, y),
            name,
            font,
            name_color(ui, author),
            160.0,
        ) + 6.0;
    }
    let font = theme::regular(SMALL);
    line(
        ui.painter(),
        pos2(left, y),
        &words,
        font,
        ink,
        rect.right() - left - 8.0,
    );
    widgets::focus_ring(ui, &response, rect);
    let response = response.on_hover_cursor(egui::CursorIcon::PointingHand);
    if replied.author.is_some() && response.clicked() {
        room.go(cx.channel.id, Target::Message(replied.id), intents);
    }
}

pub fn author_ui(ui: &mut Ui, author: &User, time: &str, pinned: bool) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 21.0), Sense::hover());
    response
        .widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{}, {time}", author.name)));
    let center = pos2(rect.left() + LEFT + 20.0, rect.top() + 20.0);
    avatar(ui.painter(), ui.ctx(), center, 19.0, author, false, false);
    let left = pos2(rect.left() + INDENT, rect.center().y);
    let font = theme::strong(BODY + 0.5);
    let end = line(
        ui.painter(),
        left,
        &author.name,
        font,
        name_color(ui, author),
        rect.width() - 160.0,
    );
    let left = pos2(end + 8.0, rect.center().y + 1.0);
    let end = line(
        ui.painter(),
        left,
        time,
        theme::regular(CAPTION),
        p.faint,
        80.0,
    );
    if pinned {
        ui.painter().text(
            pos2(end + 14.0, rect.center().y),
            egui::Align2::CENTER_CENTER,
            icons::PUSH_PIN,
            theme::icon(12.0),
            p.faint,
        );
    }
}

pub fn name_color(ui: &Ui, user: &User) -> Color32 {
    let ink = widgets::person_color(user.id);
    if ui.visuals().dark_mode {
        ink.lerp_to_gamma(Color32::WHITE, 0.45)
    } else {
        ink
    }
}

/// Beside the author's picture.
pub fn indented<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let mut place = ui.available_rect_before_wrap();
    place.min.x += INDENT;
    place.max.x -= 8.0;
    ui.scope_builder(UiBuilder::new().max_rect(place), |ui| {
        ui.set_width(ui.available_width());
        add(ui)
    })
    .inner
}

fn said_ui(ui: &mut Ui, cx: &Cx<'_>, message: &Message, texts: &mut Texts, intents: &mut Intents) {
    let p = palette(ui);
    let edit = cx.history.edits.get(&message.id);
    let (text, ink) = match edit {
        Some(edit) => (&edit.text, p.faint),
        None => (&message.text, p.text),
    };
    if !text.is_empty() {
        texts.text_ui(
            ui,
            Id::unique(("message", message.id)),
            text,
            ink,
            cx.names(),
        );
    }
    let note = |ui: &mut Ui, words: &str| {
        ui.add(Label::new(
            RichText::new(words).size(CAPTION).color(p.faint),
        ));
    };
    match edit {
        None => {
            if message.edited_at_ms.is_some() {
                note(ui, "edited");
            }
        }
        Some(PendingEdit { failed: None, .. }) => note(ui, "saving the change…"),
        Some(PendingEdit {
            failed: Some(why),
            text,
        }) => {
            let (channel, id) = (cx.channel.id, message.id);
            ui.horizontal(|ui| {
                ui.add(Label::new(RichText::new(why).size(SMALL).color(p.danger)).wrap());
                if button(ui, Kind::Quiet, "Try the change again").clicked() {
                    let text = text.clone();
                    intents.session(Intent::EditMessage {
                        channel,
                        message: id,
                        text,
                    });
                }
                if button(ui, Kind::Quiet, "Drop the change").clicked() {
                    intents.session(Intent::DiscardEdit {
                        channel,
                        message: id,
                    });
                }
            });
        }
    }
}

fn edit_ui(ui: &mut Ui, cx: &Cx<'_>, room: &mut Room, intents: &mut Intents) {
    let p = palette(ui);
    let Some(editing) = &mut room.editing else {
        return;
    };
    let mut cancel =
        cx.escapes && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
    let mut save = false;
    Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(RADIUS))
        .inner_margin(Margin::symmetric(10, 6))
        .show(ui, |ui| {
            let field = TextEdit::multiline(&mut editing.text)
                .id(Id::unique(("edit", editing.message)))
                .desired_rows(1)
                .desired_width(f32::INFINITY)
                .char_limit(*MESSAGE_CHARS.end())
                .frame(Frame::NONE)
                .event_filter(EventFilter {
                    tab: false,
                    escape: true,
                    horizontal_arrows: true,
                    vertical_arrows: true,
                })
                .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter));
            let response = ui.add(field).accessible_name("Change the message");
            if !editing.begun {
                editing.begun = true;
                response.request_focus();
            }
            save = response.has_focus()
                && ui.input(|input| input.key_pressed(Key::Enter) && !input.modifiers.shift);
        });
    ui.horizontal(|ui| {
        save |= button(ui, Kind::Quiet, "Save").clicked();
        cancel |= button(ui, Kind::Quiet, "Cancel").clicked();
        widgets::hint(ui, "Enter saves, Escape cancels");
    });
    if save {
        let text = mention::sent(editing.text.trim(), cx.names());
        let (message, channel) = (editing.message, cx.channel.id);
        let before = cx.history.messages.iter().find(|it| it.id == message);
        let same = before.is_some_and(|before| before.text == text);
        if !text.is_empty() {
            room.editing = None;
            room.write_on = true;
            if !same {
                intents.session(Intent::EditMessage {
                    channel,
                    message,
                    text,
                });
            }
        }
    } else if cancel {
        room.editing = None;
        room.write_on = true;
    }
}

fn reactions_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    message: &Message,
    room: &mut Room,
    intents: &mut Intents,
) {
    ui.add_space(3.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(5.0, 5.0);
        for reaction in &message.reactions {
            if reaction_ui(ui, reaction) && (reaction.me || cx.may(Permissions::ADD_REACTIONS)) {
                intents.ask(react(cx, message, &reaction.emoji));
            }
        }
        if message.reactions.len() < MAX_REACTIONS && cx.may(Permissions::ADD_REACTIONS) {
            let more = icon_button_sized(ui, icons::SMILEY, "Add a reaction", false, 26.0);
            if more.clicked() {
                room.picking = Some(message.id);
            }
        }
    });
}

/// True when it was clicked.
fn reaction_ui(ui: &mut Ui, reaction: &Reaction) -> bool {
    let p = palette(ui);
    let shown = emoji::shown(&reaction.emoji);
    let ink = if reaction.me { p.accent } else { p.muted };
    let glyph = ui.painter().layout_no_wrap(
        shown,
        theme::regular(15.0),
        if reaction.me { p.accent } else { p.text },
    );
    let count =
        ui.painter()
            .layout_no_wrap(reaction.count.to_string(), theme::strong(SMALL - 0.5), ink);
    let size = vec2(glyph.size().x + count.size().x + 22.0, 26.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = match (reaction.count, reaction.me) {
        (1, true) => format!("{} by you", reaction.emoji),
        (count, true) => format!("{} by you and {} more", reaction.emoji, count - 1),
        (count, false) => format!("{} by {count}", reaction.emoji),
    };
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, reaction.me, &name));
    let fill = match (reaction.me, response.hovered()) {
        (true, _) => p.accent_soft,
        (false, true) => p.hover,
        (false, false) => p.raised,
    };
    let stroke = Stroke::new(1.0, if reaction.me { p.accent } else { p.border });
    ui.painter()
        .rect(rect, 13, fill, stroke, egui::StrokeKind::Inside);
    let y = rect.center().y;
    ui.painter().galley(
        pos2(rect.left() + 8.0, y - glyph.size().y / 2.0),
        glyph.clone(),
        ink,
    );
    ui.painter().galley(
        pos2(
            rect.left() + 13.0 + glyph.size().x,
            y - count.size().y / 2.0,
        ),
        count,
        ink,
    );
    widgets::focus_ring(ui, &response, rect);
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
}

/// Reacts, or takes that back.
fn react(cx: &Cx<'_>, message: &Message, emoji: &str) -> Request {
    let (channel_id, message_id) = (cx.channel.id, message.id);
    let emoji = emoji.to_owned();
    let mine = message
        .reactions
        .iter()
        .any(|it| it.me && it.emoji == emoji);
    if mine {
        UnreactToMessage {
            channel_id,
            message_id,
            emoji,
        }
        .into()
    } else {
        ReactToMessage {
            channel_id,
            message_id,
            emoji,
        }
        .into()
    }
}

/// Pins it, or takes it down.
pub fn pin(cx: &Cx<'_>, message: &Message) -> Request {
    let (channel_id, message_id) = (cx.channel.id, message.id);
    if message.pinned {
        UnpinMessage {
            channel_id,
            message_id,
        }
        .into()
    } else {
        PinMessage {
            channel_id,
            message_id,
        }
        .into()
    }
}

/// What may be done with a message.
#[derive(Debug, Clone, Copy)]
struct Deeds {
    react: bool,
    reply: bool,
    edit: bool,
    pin: bool,
    delete: bool,
}

fn deeds(cx: &Cx<'_>, message: &Message) -> Deeds {
    let mine = Some(message.author.id) == cx.me();
    Deeds {
        react: cx.may(Permissions::ADD_REACTIONS) && message.reactions.len() < MAX_REACTIONS,
        reply: cx.may(Permissions::SEND_MESSAGES),
        edit: mine,
        pin: cx.may_pin(),
        delete: mine || cx.may(Permissions::MANAGE_MESSAGES),
    }
}

/// The strip at the upper right of the message under the pointer.
fn tools_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    message: &Message,
    row: Rect,
    room: &mut Room,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let deeds = deeds(cx, message);
    let count = [
        deeds.react,
        deeds.reply,
        deeds.edit,
        deeds.pin,
        deeds.delete,
    ]
    .into_iter()
    .filter(|it| *it)
    .count();
    if count == 0 {
        return;
    }
    let size = vec2(count as f32 * 30.0 + 6.0, 34.0);
    let place = Rect::from_min_size(pos2(row.right() - size.x - 8.0, row.top() - 12.0), size);
    room.tools = Some((message.id, place));
    let id = ui.scope_id().with("tools");
    let mut strip = ui.new_child(UiBuilder::new().max_rect(place).scope_id(id));
    strip.painter().rect(
        place,
        RADIUS,
        p.main,
        Stroke::new(1.0, p.border),
        egui::StrokeKind::Inside,
    );
    strip.spacing_mut().item_spacing.x = 2.0;
    let ui = &mut strip.new_child(
        UiBuilder::new()
            .max_rect(place.shrink(3.0))
            .scope_id(id.with("row"))
            .layout(egui::Layout::left_to_right(egui::Align::Center)),
    );
    let tool = |ui: &mut Ui, icon: &str, name: &str| icon_button_sized(ui, icon, name, false, 28.0);
    if deeds.react {
        let response = tool(ui, icons::SMILEY, "React");
        if response.clicked() {
            room.picking = if room.picking == Some(message.id) {
                None
            } else {
                Some(message.id)
            };
        }
        if room.picking == Some(message.id) {
            let mut open = true;
            let picked = Popup::from_response(&response)
                .open_bool(&mut open)
                .align(RectAlign::BOTTOM_END)
                .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
                .show(|ui| emoji::picker_ui(ui, &mut room.picker));
            if let Some(emoji) = picked.and_then(|picked| picked.inner) {
                intents.ask(react(cx, message, emoji));
                open = false;
            }
            if !open && !response.clicked() {
                room.picking = None;
            }
        }
    }
    if deeds.reply && tool(ui, icons::ARROW_BEND_UP_LEFT, "Reply").clicked() {
        room.reply(message);
    }
    if deeds.edit && tool(ui, icons::PENCIL_SIMPLE, "Edit").clicked() {
        room.editing = Some(Editing::of(message, cx));
    }
    if deeds.pin {
        let (icon, name) = if message.pinned {
            (icons::PUSH_PIN_SLASH, "Unpin")
        } else {
            (icons::PUSH_PIN, "Pin")
        };
        if tool(ui, icon, name).clicked() {
            intents.ask(pin(cx, message));
        }
    }
    if deeds.delete && tool(ui, icons::TRASH, "Delete").clicked() {
        room.deleting = Some(message.id);
    }
}

/// The same by keys, for the message that has the keyboard.
fn keys(ui: &Ui, cx: &Cx<'_>, message: &Message, room: &mut Room, intents: &mut Intents) {
    let deeds = deeds(cx, message);
    let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if deeds.react && pressed(Key::Plus) {
        room.picking = Some(message.id);
    }
    if deeds.reply && pressed(Key::R) {
        room.reply(message);
    }
    if deeds.edit && pressed(Key::E) {
        room.editing = Some(Editing::of(message, cx));
    }
    if deeds.pin && pressed(Key::P) {
        intents.ask(pin(cx, message));
    }
    if deeds.delete && pressed(Key::Delete) {
        room.deleting = Some(message.id);
    }
}

fn day_ui(ui: &mut Ui, day: &str) {
    let p = palette(ui);
    ui.add_space(12.0);
    line_with_words(ui, day, p.border, p.faint);
}

/// Above the first message that wasn't read when one came.
fn unread_ui(ui: &mut Ui) {
    let p = palette(ui);
    ui.add_space(6.0);
    line_with_words(ui, "New", p.danger, p.danger);
}

fn line_with_words(ui: &mut Ui, words: &str, line: Color32, ink: Color32) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, words));
    let galley = ui
        .painter()
        .layout_no_wrap(words.to_owned(), theme::strong(CAPTION), ink);
    let half = galley.size().x / 2.0 + 12.0;
    let (left, right) = (rect.left() + LEFT, rect.right() - LEFT);
    let (center, stroke) = (rect.center(), Stroke::new(1.0, line));
    ui.painter()
        .hline(left..=(center.x - half), center.y, stroke);
    ui.painter()
        .hline((center.x + half)..=right, center.y, stroke);
    ui.painter()
        .galley(center - galley.size() / 2.0, galley, ink);
}

pub fn local(unix_ms: UnixMs, zone: &TimeZone) -> Option<Zoned> {
    Some(
        Timestamp::from_millisecond(unix_ms)
            .ok()?
            .to_zoned(zone.clone()),
    )
}

pub fn day_words(at: &Zoned, scene: &Scene<'_>) -> String {
    let today = scene.now.to_zoned(scene.time_zone.clone()).date();
    if at.date() == today {
        "Today".to_owned()
    } else if today
        .yesterday()
        .is_ok_and(|yesterday| at.date() == yesterday)
    {
        "Yesterday".to_owned()
    } else {
        at.strftime("%A, %-d %B %Y").to_string()
    }
}
