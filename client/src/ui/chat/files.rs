//! Files of messages: pictures small and large, and what can be saved.

use std::collections::BTreeMap;

use egui::{
    Color32, CornerRadius, CursorIcon, Frame, Id, Image, Label, Margin, Modal, Rect, RichText,
    Role, Sense, Spinner, TextureHandle, Ui, Vec2, WidgetInfo, load::SizedTexture, vec2,
};
use voxhall_protocol::{
    FileId,
    control::{Attachment, Message, PictureSize},
};
use voxhall_session::{Intent, Transfer, TransferId, TransferProgress};

use super::{
    super::{
        Intents, Want, icons,
        theme::{self, BODY, RADIUS, SMALL, palette},
        widgets::{focus_ring, icon_button, icon_button_sized, line, name_dialog, symbol},
    },
    Cx, Room,
};

/// A picture in a message is at most so large.
const PICTURE: Vec2 = vec2(360.0, 260.0);

/// Pictures of messages, as far as they are here.
#[derive(Default)]
pub struct Pictures(BTreeMap<(FileId, PictureKind), Picture>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PictureKind {
    /// Made by the server.
    Small,
    /// As it was sent.
    Whole,
}

#[derive(Clone)]
pub enum Picture {
    Waiting,
    Ready(TextureHandle),
    Failed,
}

impl Pictures {
    pub fn get(&self, file: FileId, kind: PictureKind) -> Option<&Picture> {
        self.0.get(&(file, kind))
    }

    pub fn put(&mut self, file: FileId, kind: PictureKind, picture: Picture) {
        self.0.insert((file, kind), picture);
    }

    pub fn forget(&mut self, file: FileId, kind: PictureKind) {
        self.0.remove(&(file, kind));
    }

    /// What was not to be had may be now.
    pub fn forget_failures(&mut self) {
        self.0
            .retain(|_, picture| !matches!(picture, Picture::Failed));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

pub(super) fn attachments_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    message: &Message,
    room: &mut Room,
    intents: &mut Intents,
) {
    for attachment in &message.attachments {
        ui.add_space(4.0);
        match attachment.picture {
            Some(picture) if picture.thumbnail => {
                if picture_ui(ui, cx, attachment, picture, intents) {
                    room.looking = Some(attachment.clone());
                }
            }
            _ => file_ui(ui, cx, attachment, intents),
        }
    }
}

/// The size of a picture in a place that is at most so large.
fn fit(picture: PictureSize, place: Vec2) -> Vec2 {
    let size = vec2(picture.width.max(1) as f32, picture.height.max(1) as f32);
    let scale = (place.x / size.x).min(place.y / size.y).min(1.0);
    (size * scale).max(vec2(24.0, 24.0))
}

/// True when it was clicked.
fn picture_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    attachment: &Attachment,
    picture: PictureSize,
    intents: &mut Intents,
) -> bool {
    let p = palette(ui);
    let size = fit(
        picture,
        vec2(PICTURE.x.min(ui.available_width()), PICTURE.y),
    );
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = format!("Picture {}", attachment.name);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    if ui.is_rect_visible(rect) {
        match cx.pictures.get(attachment.id, PictureKind::Small) {
            Some(Picture::Ready(texture)) => paint(ui, texture, rect),
            Some(Picture::Failed) => {
                ui.painter().rect_filled(rect, RADIUS, p.raised);
                ui.painter().text(
                    rect.center(),
                    egui::Align2::CENTER_CENTER,
                    icons::IMAGE,
                    theme::icon(26.0),
                    p.faint,
                );
            }
            waiting => {
                ui.painter().rect_filled(rect, RADIUS, p.raised);
                if waiting.is_none() {
                    intents.want(Want::Picture(attachment.id, PictureKind::Small));
                }
            }
        }
    }
    focus_ring(ui, &response, rect);
    response.on_hover_cursor(CursorIcon::ZoomIn).clicked()
}

fn paint(ui: &Ui, texture: &TextureHandle, rect: Rect) {
    Image::from_texture(SizedTexture::from_handle(texture))
        .corner_radius(CornerRadius::same(RADIUS))
        .paint_at(ui, rect);
}

/// A file that isn't shown: its name, its size, and a button to save it.
fn file_ui(ui: &mut Ui, cx: &Cx<'_>, attachment: &Attachment, intents: &mut Intents) {
    let p = palette(ui);
    Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(RADIUS))
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_width(PICTURE.x.min(ui.available_width()));
            ui.horizontal(|ui| {
                symbol(ui, icons::FILE_TEXT, 24.0, p.faint);
                let (rect, response) =
                    ui.allocate_exact_size(vec2(ui.available_width() - 40.0, 36.0), Sense::hover());
                let about = about(cx, attachment);
                response.widget_info(|| {
                    WidgetInfo::labeled(
                        Role::Label,
                        true,
                        format!("File {}, {about}", attachment.name),
                    )
                });
                let left = rect.left_center();
                let name = theme::strong(BODY - 0.5);
                line(
                    ui.painter(),
                    left - vec2(0.0, 9.0),
                    &attachment.name,
                    name,
                    p.text,
                    rect.width(),
                );
                line(
                    ui.painter(),
                    left + vec2(0.0, 9.0),
                    &about,
                    theme::regular(SMALL),
                    p.muted,
                    rect.width(),
                );
                save_button(ui, cx, attachment, intents);
            });
        });
}

fn save_button(ui: &mut Ui, cx: &Cx<'_>, attachment: &Attachment, intents: &mut Intents) {
    match saving(cx, attachment.id) {
        Some((
            id,
            Transfer {
                progress: TransferProgress::Moving { .. } | TransferProgress::Waiting,
                ..
            },
        )) => {
            let name = format!("Stop saving {}", attachment.name);
            if icon_button(ui, icons::X, &name, false).clicked() {
                intents.session(Intent::DropTransfer(id));
            }
        }
        _ => {
            let name = format!("Save {}", attachment.name);
            if icon_button(ui, icons::DOWNLOAD_SIMPLE, &name, false).clicked() {
                intents.want(Want::SaveFile {
                    file: attachment.id,
                    name: attachment.name.clone(),
                });
            }
        }
    }
}

/// How large a file is, or how far it is saved.
fn about(cx: &Cx<'_>, attachment: &Attachment) -> String {
    match saving(cx, attachment.id) {
        Some((_, transfer)) => progress_words(transfer),
        None => size_words(attachment.bytes),
    }
}

fn saving<'a>(cx: &Cx<'a>, file: FileId) -> Option<(TransferId, &'a Transfer)> {
    let id = *cx.saving.get(&file)?;
    Some((id, cx.scene.state.transfers.get(&id)?))
}

/// A picture as large as the window, over everything.
pub(super) fn large_picture_ui(ui: &Ui, cx: &Cx<'_>, room: &mut Room, intents: &mut Intents) {
    let Some(attachment) = &room.looking else {
        return;
    };
    let Some(size) = attachment.picture else {
        return;
    };
    let window = ui.ctx().content_rect().size();
    let place = fit(size, window - vec2(80.0, 140.0)).max(vec2(220.0, 60.0));
    let mut close = false;
    let modal = Modal::new(Id::unique("large picture"))
        .frame(Frame::NONE)
        .backdrop_color(Color32::from_black_alpha(200))
        .show(ui.ctx(), |ui| {
            ui.set_width(place.x.max(320.0));
            name_dialog(ui, &attachment.name);
            ui.visuals_mut().override_text_color = Some(Color32::WHITE);
            ui.horizontal(|ui| {
                let words = format!("{}, {}", attachment.name, about(cx, attachment));
                ui.add(Label::new(RichText::new(words).size(BODY)).truncate());
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    close |= icon_button(ui, icons::X, "Close", false).clicked();
                    save_button(ui, cx, attachment, intents);
                });
            });
            let (rect, _) = ui.allocate_exact_size(place, Sense::hover());
            let whole = cx.pictures.get(attachment.id, PictureKind::Whole);
            let small = cx.pictures.get(attachment.id, PictureKind::Small);
            match (whole, small) {
                (Some(Picture::Ready(texture)), _) => paint(ui, texture, rect),
                (whole, small) => {
                    if let Some(Picture::Ready(texture)) = small {
                        paint(ui, texture, rect);
                    }
                    if whole.is_none() {
                        intents.want(Want::Picture(attachment.id, PictureKind::Whole));
                    }
                    if matches!(whole, Some(Picture::Failed)) {
                        ui.add(Label::new("This picture can't be shown whole; save it to see it in another program."));
                    } else {
                        ui.put(
                            Rect::from_center_size(rect.center(), vec2(28.0, 28.0)),
                            Spinner::new().size(24.0).color(Color32::WHITE),
                        );
                    }
                }
            }
        });
    if close || modal.should_close() {
        let file = attachment.id;
        room.looking = None;
        intents.want(Want::ForgetPicture(file));
    }
}

/// A file on its way to the server, above the field that it will be sent from. True when it is taken back.
pub(super) fn upload_ui(ui: &mut Ui, transfer: &Transfer) -> bool {
    let p = palette(ui);
    let failed = matches!(transfer.progress, TransferProgress::Failed(_));
    Frame::new()
        .fill(if failed { p.danger_soft } else { p.hover })
        .corner_radius(CornerRadius::same(RADIUS))
        .inner_margin(Margin {
            left: 10,
            right: 4,
            top: 4,
            bottom: 4,
        })
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                let icon = if failed {
                    icons::WARNING
                } else {
                    icons::PAPERCLIP
                };
                let ink = if failed { p.danger } else { p.muted };
                symbol(ui, icon, 16.0, ink);
                let (rect, response) = ui.allocate_exact_size(vec2(170.0, 34.0), Sense::hover());
                let about = progress_words(transfer);
                response.widget_info(|| {
                    WidgetInfo::labeled(
                        Role::Label,
                        true,
                        format!("File {}, {about}", transfer.name),
                    )
                });
                let left = rect.left_center();
                let font = theme::strong(SMALL);
                line(
                    ui.painter(),
                    left - vec2(0.0, 8.0),
                    &transfer.name,
                    font,
                    p.text,
                    rect.width(),
                );
                let font = theme::regular(SMALL - 1.0);
                line(
                    ui.painter(),
                    left + vec2(0.0, 7.0),
                    &about,
                    font,
                    ink,
                    rect.width(),
                );
                if let TransferProgress::Moving { bytes, of } = transfer.progress {
                    let share = bytes as f32 / of.max(1) as f32;
                    let track = Rect::from_min_size(
                        rect.left_bottom() - vec2(0.0, 3.0),
                        vec2(rect.width(), 3.0),
                    );
                    ui.painter().rect_filled(track, 1, p.pressed);
                    let done = Rect::from_min_size(track.min, vec2(track.width() * share, 3.0));
                    ui.painter().rect_filled(done, 1, p.accent);
                }
                response.on_hover_text(&about);
                icon_button_sized(
                    ui,
                    icons::X,
                    &format!("Remove {}", transfer.name),
                    false,
                    26.0,
                )
                .clicked()
            })
            .inner
        })
        .inner
}

fn progress_words(transfer: &Transfer) -> String {
    match &transfer.progress {
        TransferProgress::Waiting => "waiting…".to_owned(),
        TransferProgress::Moving { bytes, of } => {
            format!("{} of {}", size_words(*bytes), size_words(*of))
        }
        TransferProgress::Uploaded(attachment) => {
            format!("ready, {}", size_words(attachment.bytes))
        }
        TransferProgress::Saved(path) => {
            format!("saved in {}", path.parent().unwrap_or(path).display())
        }
        TransferProgress::Failed(why) => why.clone(),
    }
}

/// `340 bytes`, `1.5 MB`
fn size_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape_and_are_never_made_larger() {
        let fit = |width, height| {
            fit(
                PictureSize {
                    width,
                    height,
                    thumbnail: true,
                },
                PICTURE,
            )
        };
        assert_eq!(fit(100, 50), vec2(100.0, 50.0));
        assert_eq!(fit(3600, 1800), vec2(360.0, 180.0));
        assert_eq!(fit(520, 1040), vec2(130.0, 260.0));
        assert_eq!(fit(0, 0), vec2(24.0, 24.0));
    }

    #[test]
    fn sizes_are_said_in_words_one_knows() {
        assert_eq!(size_words(12), "12 bytes");
        assert_eq!(size_words(64_200), "64 kB");
        assert_eq!(size_words(2_350_000), "2.4 MB");
    }
}
