//! The field to write in, with what belongs to the next message: what it answers, its files, a preview.

use egui::{
    CornerRadius, Event, EventFilter, Frame, Id, Key, KeyboardShortcut, Label, Margin, Modifiers,
    Popup, PopupCloseBehavior, RectAlign, RichText, TextEdit, Ui, vec2,
};
use voxhall_protocol::{
    control::UploadPurpose,
    limits::{MAX_ATTACHMENTS, MESSAGE_CHARS},
    permissions::Permissions,
};
use voxhall_session::{Intent, TransferId};

use super::{
    super::{
        Intents, Want, icons,
        theme::{self, SMALL, palette},
        widgets::{hint, icon_button, icon_button_sized, symbol},
    },
    Cx, Room, complete, emoji, files,
    list::Target,
    mention,
    message::Editing,
    plain::plain_excerpt,
    text::Texts,
};
use crate::numbers::next_transfer;

/// From here on it is said how much room is left.
const NEARLY_FULL: usize = 200;

pub fn composer_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    room: &mut Room,
    draft: &mut String,
    texts: &mut Texts,
    intents: &mut Intents,
) {
    if !cx.may(Permissions::SEND_MESSAGES) {
        Frame::new()
            .fill(palette(ui).raised)
            .corner_radius(CornerRadius::same(12))
            .inner_margin(Margin::symmetric(14, 12))
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                hint(ui, "You may read here, but not write.");
            });
        return;
    }
    take_files(ui, cx, room, intents);
    reply_ui(ui, cx, room);
    uploads_ui(ui, cx, room, intents);
    if room.preview && !draft.trim().is_empty() {
        preview_ui(ui, cx, draft, texts);
    }
    if field_ui(ui, cx, room, draft, intents) {
        send(cx, room, draft, intents);
    }
    room.draft_shown = true;
}

/// Files that were dropped or pasted, or came from the system's window.
fn take_files(ui: &Ui, cx: &Cx<'_>, room: &mut Room, intents: &mut Intents) {
    let mut paths = std::mem::take(&mut room.chosen);
    // What is dropped onto a dialog is for the dialog.
    if cx.may(Permissions::ATTACH_FILES) && !cx.covered {
        ui.input(|input| {
            let dropped = &input.raw.dropped_files;
            paths.extend(dropped.iter().map(|file| file.path().to_owned()));
            for event in &input.events {
                if let Event::PasteImage(image) = event {
                    intents.want(Want::PastePicture(cx.channel.id, image.clone()));
                }
            }
        });
    }
    for path in paths {
        if room.uploads.len() >= MAX_ATTACHMENTS {
            room.trouble = Some(format!("A message takes {MAX_ATTACHMENTS} files at most."));
            break;
        }
        let transfer = next_transfer();
        room.uploads.push(transfer);
        room.write_on = true;
        intents.session(Intent::Upload {
            transfer,
            purpose: UploadPurpose::Message(cx.channel.id),
            path,
        });
    }
}

fn reply_ui(ui: &mut Ui, cx: &Cx<'_>, room: &mut Room) {
    let Some(replied) = &room.reply_to else {
        return;
    };
    let p = palette(ui);
    let name = replied
        .author
        .as_ref()
        .map_or("somebody", |author| author.name.as_str());
    let words = plain_excerpt(&replied.excerpt, cx.names());
    let mut end = false;
    ui.horizontal(|ui| {
        symbol(ui, icons::ARROW_BEND_UP_LEFT, 14.0, p.muted);
        ui.add(Label::new(
            RichText::new(format!("Answering {name}"))
                .font(theme::strong(SMALL))
                .color(p.text),
        ));
        let room_left = (ui.available_width() - 40.0).max(20.0);
        ui.allocate_ui(vec2(room_left, 20.0), |ui| {
            ui.add(Label::new(RichText::new(words).size(SMALL).color(p.muted)).truncate());
        });
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            end = icon_button_sized(ui, icons::X, "Don't answer", false, 24.0).clicked();
        });
    });
    if end {
        room.reply_to = None;
    }
}

fn uploads_ui(ui: &mut Ui, cx: &Cx<'_>, room: &mut Room, intents: &mut Intents) {
    let state = cx.scene.state;
    // On another server, or cleared away elsewhere. One begun in this frame isn't known yet.
    if !room.uploads.is_empty() {
        let mut dropped = None;
        ui.horizontal_wrapped(|ui| {
            for id in &room.uploads {
                if let Some(transfer) = state.transfers.get(id)
                    && files::upload_ui(ui, transfer)
                {
                    dropped = Some(*id);
                }
            }
        });
        if let Some(dropped) = dropped {
            room.uploads.retain(|it| *it != dropped);
            room.trouble = None;
            intents.session(Intent::DropTransfer(dropped));
        }
    }
    if let Some(trouble) = &room.trouble {
        let ink = palette(ui).danger;
        ui.add(Label::new(RichText::new(trouble).size(SMALL).color(ink)).wrap());
    }
}

/// How the message will look.
fn preview_ui(ui: &mut Ui, cx: &Cx<'_>, draft: &str, texts: &mut Texts) {
    let p = palette(ui);
    Frame::new()
        .stroke(egui::Stroke::new(1.0, p.border))
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(14, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            egui::ScrollArea::vertical()
                .max_height(180.0)
                .show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    let text = mention::sent(draft, cx.names());
                    texts.text_ui(
                        ui,
                        Id::unique("preview of the draft"),
                        &text,
                        p.text,
                        cx.names(),
                    );
                });
        });
}

/// True when the message is to be sent.
fn field_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    room: &mut Room,
    draft: &mut String,
    intents: &mut Intents,
) -> bool {
    let p = palette(ui);
    let id = Id::unique(("draft", cx.channel.id));
    let focused = ui.memory(|memory| memory.has_focus(id));
    if focused && room.completion.keys(ui) {
        room.completion.choose(ui, id, draft);
    }
    if !room.draft_shown {
        complete::put_cursor(ui, id, draft.chars().count());
    }
    let mut send = false;
    let frame = Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin::symmetric(8, 7));
    let place = frame.show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            if cx.may(Permissions::ATTACH_FILES)
                && icon_button(ui, icons::PAPERCLIP, "Attach files", false).clicked()
            {
                intents.want(Want::ChooseFiles(cx.channel.id));
            }
            let lines = draft.lines().count().clamp(1, 12);
            let width = ui.available_width() - 112.0;
            egui::ScrollArea::vertical()
                .id_salt("draft")
                .max_height(220.0)
                .max_width(width)
                .min_scrolled_height((lines as f32 * 18.0 + 12.0).min(220.0))
                .auto_shrink([false, true])
                .show(ui, |ui| {
                    let field = TextEdit::multiline(draft)
                        .id(id)
                        .hint_text(RichText::new(room_name(cx)).color(p.faint))
                        .desired_rows(1)
                        .desired_width(width)
                        .char_limit(*MESSAGE_CHARS.end())
                        .frame(Frame::new().inner_margin(Margin::symmetric(4, 6)))
                        .event_filter(EventFilter {
                            tab: room.completion.is_open(),
                            escape: room.completion.is_open() || room.reply_to.is_some(),
                            horizontal_arrows: true,
                            vertical_arrows: true,
                        })
                        .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter));
                    let response = ui
                        .add(field)
                        .accessible_name(format!("Message to {}", cx.channel.name));
                    if std::mem::take(&mut room.write_on) {
                        response.request_focus();
                    }
                    if response.changed() && !draft.trim().is_empty() {
                        intents.session(Intent::Typing(cx.channel.id));
                    }
                    if response.has_focus() {
                        let (enter, up) = ui.input(|input| {
                            (
                                input.key_pressed(Key::Enter) && !input.modifiers.shift,
                                input.key_pressed(Key::ArrowUp),
                            )
                        });
                        send |= enter;
                        if room.reply_to.is_some()
                            && cx.escapes
                            && ui.input_mut(|it| it.consume_key(Modifiers::NONE, Key::Escape))
                        {
                            room.reply_to = None;
                        }
                        if up && draft.is_empty() {
                            edit_last(cx, room);
                        }
                        room.completion.look(ui, cx, id, draft);
                    } else {
                        room.completion = complete::Completion::default();
                    }
                });
            emoji_button(ui, room, draft, id);
            let words = if room.preview {
                "Hide the preview"
            } else {
                "Preview the message"
            };
            if icon_button(ui, icons::TEXT_AA, words, false).clicked() {
                room.preview = !room.preview;
            }
            send |= icon_button(ui, icons::PAPER_PLANE_RIGHT, "Send message", false).clicked();
        });
    });
    let left = MESSAGE_CHARS.end().saturating_sub(draft.chars().count());
    if left <= NEARLY_FULL {
        hint(ui, format!("{left} characters left"));
    }
    if room.completion.is_open()
        && room
            .completion
            .list_ui(ui, place.response.rect.left_top() - vec2(0.0, 6.0))
    {
        room.completion.choose(ui, id, draft);
        room.write_on = true;
    }
    send
}

fn room_name(cx: &Cx<'_>) -> String {
    if cx.is_conversation() {
        format!("Message {}", cx.channel.name)
    } else {
        format!("Message #{}", cx.channel.name)
    }
}

fn emoji_button(ui: &mut Ui, room: &mut Room, draft: &mut String, field: Id) {
    let response = icon_button(ui, icons::SMILEY, "Emoji", false);
    let picked = Popup::from_toggle_button_response(&response)
        .align(RectAlign::TOP_END)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| emoji::picker_ui(ui, &mut room.picker));
    if let Some(emoji) = picked.and_then(|picked| picked.inner) {
        let state = egui::text_edit::TextEditState::load(ui.ctx(), field).unwrap_or_default();
        let count = draft.chars().count();
        let cursor = state
            .cursor
            .char_range()
            .map_or(count, |range| range.primary.index.0.min(count));
        let at = draft
            .char_indices()
            .nth(cursor)
            .map_or(draft.len(), |(at, _)| at);
        draft.insert_str(at, emoji);
        complete::put_cursor(ui, field, cursor + emoji.chars().count());
        Popup::close_all(ui.ctx());
        room.write_on = true;
    }
}

/// The last message of one's own that is on the screen, or near it.
fn edit_last(cx: &Cx<'_>, room: &mut Room) {
    let me = cx.me();
    let mine = cx
        .history
        .messages
        .iter()
        .rev()
        .find(|message| Some(message.author.id) == me);
    if let Some(mine) = mine {
        room.editing = Some(Editing::of(mine, cx));
        room.view.target = Some(Target::Message(mine.id));
    }
}

fn send(cx: &Cx<'_>, room: &mut Room, draft: &mut String, intents: &mut Intents) {
    // What could not be sent stays, to be taken off.
    let failed = |id: &TransferId| {
        let transfer = cx.scene.state.transfers.get(id);
        transfer
            .is_some_and(|it| matches!(it.progress, voxhall_session::TransferProgress::Failed(_)))
    };
    if draft.trim().is_empty() && room.uploads.is_empty() {
        return;
    }
    if room.uploads.iter().any(failed) {
        room.trouble = Some("A file could not be sent. Remove it, or add it again.".to_owned());
        return;
    }
    let text = mention::sent(std::mem::take(draft).trim(), cx.names());
    intents.session(Intent::SendMessage {
        channel: cx.channel.id,
        text,
        reply_to: room.reply_to.take().map(|replied| replied.id),
        uploads: std::mem::take(&mut room.uploads),
    });
    room.trouble = None;
    room.unread_after = None;
    room.write_on = true;
    room.newest(cx, intents);
}
