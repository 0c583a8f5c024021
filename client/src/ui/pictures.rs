//! Pictures of people and guilds: the window has them, views name them. Each server has its own: the same number may be another
//! picture elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use egui::{Color32, Context, CornerRadius, Id, Painter, Rect, TextureHandle, TextureId, pos2};
use voxhall_protocol::FileId;

use super::ServerId;

/// Those that are here.
type Here = Arc<BTreeMap<FileId, TextureHandle>>;
/// Those that a view would have shown.
type Missed = Arc<BTreeSet<FileId>>;

fn here(server: ServerId) -> Id {
    Id::unique(("pictures here", server))
}

fn missed(server: ServerId) -> Id {
    Id::unique(("pictures missed", server))
}

fn drawn() -> Id {
    Id::unique("server whose pictures are drawn")
}

/// What is drawn from here on is of this server.
pub fn of(ctx: &Context, server: ServerId) {
    ctx.data_mut(|data| data.insert_temp(drawn(), server));
}

/// The picture, if it is here; else it is remembered that it was wanted.
pub fn shown(ctx: &Context, file: FileId) -> Option<TextureId> {
    let server = ctx.data(|data| data.get_temp(drawn())).unwrap_or_default();
    let found = ctx.data(|data| {
        let all = data.get_temp::<Here>(here(server))?;
        all.get(&file).map(TextureHandle::id)
    });
    if found.is_none() {
        ctx.data_mut(|data| {
            let all: &mut Missed = data.get_temp_mut_or_default(missed(server));
            if !all.contains(&file) {
                Arc::make_mut(all).insert(file);
            }
        });
    }
    found
}

/// What views missed of a server since this was asked last.
pub fn take_missed(ctx: &Context, server: ServerId) -> Missed {
    ctx.data_mut(|data| data.remove_temp(missed(server)))
        .unwrap_or_default()
}

/// From here on, these of a server can be shown.
pub fn show(ctx: &Context, server: ServerId, pictures: Here) {
    ctx.data_mut(|data| data.insert_temp(here(server), pictures));
}

/// The server is closed.
pub fn forget(ctx: &Context, server: ServerId) {
    ctx.data_mut(|data| {
        data.remove_temp::<Here>(here(server));
        data.remove_temp::<Missed>(missed(server));
    });
}

/// Fills a rectangle with round corners, a circle for one.
pub fn paint(painter: &Painter, picture: TextureId, rect: Rect, radius: u8, tint: Color32) {
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    let shape = egui::epaint::RectShape::filled(rect, CornerRadius::same(radius), tint);
    painter.add(shape.with_texture(picture, whole));
}
