//! Files of messages, where it takes more than a view: the clipboard, and pictures to show.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use egui::{ColorImage, Context, TextureOptions};
use image::RgbaImage;
use tempfile::TempDir;
use voxhall_protocol::{ChannelId, FileId};
use voxhall_session::{Intent, State};

use crate::{
    fetch::{Fetcher, Limits},
    ui::chat::{
        Chat,
        files::{Picture, PictureKind},
    },
};

/// Pictures shown; with more, all are got anew as they are needed.
const MOST_SHOWN: usize = 128;
/// Strangers may send any size.
const LIMITS: Limits = Limits {
    waiting: 6,
    pixels_a_side: 16_384,
    bytes: 512 * 1024 * 1024,
    shown_pixels_a_side: 2_048,
};
/// Results that wait for the next frame.
const RESULTS: usize = 32;

pub struct Files {
    /// Made when it is needed first, gone with the app.
    folder: Option<TempDir>,
    /// Paths given so far.
    given: u64,
    fetcher: Fetcher<(FileId, PictureKind)>,
    shown: usize,
    pasted: Receiver<Pasted>,
    done: SyncSender<Pasted>,
    ctx: Context,
}

/// A picture of the clipboard, as a file for the next message.
type Pasted = (ChannelId, io::Result<PathBuf>);

impl Files {
    pub fn new(ctx: &Context) -> Self {
        let (done, pasted) = sync_channel(RESULTS);
        Self {
            folder: None,
            given: 0,
            fetcher: Fetcher::new(ctx, LIMITS),
            shown: 0,
            pasted,
            done,
            ctx: ctx.clone(),
        }
    }

    /// Another server has other files.
    pub fn leave(&mut self, chat: &mut Chat) {
        self.fetcher.leave();
        self.shown = 0;
        chat.pictures.clear();
        chat.saving.clear();
    }

    pub fn paste(&mut self, channel: ChannelId, picture: Arc<ColorImage>) -> io::Result<()> {
        // The name is what others see.
        let folder = self.next_path()?;
        let (done, ctx) = (self.done.clone(), self.ctx.clone());
        // It takes its time.
        let thread = thread::Builder::new().name("paste".to_owned());
        let spawned = thread.spawn(move || {
            // The window may be closed by now.
            let _ = done.send((channel, write(&picture, &folder)));
            ctx.request_repaint();
        });
        spawned.map(drop)
    }

    pub fn want(
        &mut self,
        chat: &mut Chat,
        file: FileId,
        kind: PictureKind,
    ) -> io::Result<Option<Intent>> {
        if chat.pictures.get(file, kind).is_some() || self.fetcher.is_full() {
            return Ok(None);
        }
        let to = self.next_path()?;
        chat.pictures.put(file, kind, Picture::Waiting);
        let thumbnail = kind == PictureKind::Small;
        Ok(Some(self.fetcher.get((file, kind), file, thumbnail, to)))
    }

    /// Takes what has come since the last frame.
    pub fn tend(
        &mut self,
        chat: &mut Chat,
        state: &State,
        mut send: impl FnMut(Intent),
        mut warn: impl FnMut(String),
    ) {
        for ((file, kind), image) in self.fetcher.tend(state, &mut send) {
            self.show(chat, file, kind, image);
        }
        while let Ok((channel, pasted)) = self.pasted.try_recv() {
            match pasted {
                Ok(path) => chat.attach(channel, vec![path]),
                Err(error) => warn(format!(
                    "Can't keep the picture from the clipboard: {error}."
                )),
            }
        }
    }

    fn show(
        &mut self,
        chat: &mut Chat,
        file: FileId,
        kind: PictureKind,
        image: Option<ColorImage>,
    ) {
        // Left meanwhile, or no longer looked at.
        if chat.pictures.get(file, kind).is_none() {
            return;
        }
        if self.shown >= MOST_SHOWN {
            self.shown = 0;
            chat.pictures.clear();
        }
        self.shown += 1;
        let picture = image.map_or(Picture::Failed, |image| {
            let name = format!("file {file}");
            Picture::Ready(self.ctx.load_texture(name, image, TextureOptions::LINEAR))
        });
        chat.pictures.put(file, kind, picture);
    }

    /// A path that was not used before.
    fn next_path(&mut self) -> io::Result<PathBuf> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => tempfile::Builder::new().prefix("voxhall-").tempdir()?,
        };
        self.given += 1;
        let path = folder.path().join(self.given.to_string());
        self.folder = Some(folder);
        Ok(path)
    }
}

fn write(picture: &ColorImage, folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir(folder)?;
    let path = folder.join("picture.png");
    let bytes: Vec<u8> = picture
        .pixels
        .iter()
        .flat_map(egui::Color32::to_srgba_unmultiplied)
        .collect();
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(0);
    let picture = RgbaImage::from_raw(side(picture.size[0]), side(picture.size[1]), bytes)
        .ok_or_else(|| io::Error::other("it has no sensible size"))?;
    picture.save(&path).map_err(io::Error::other)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use egui::Color32;

    use super::*;

    #[test]
    fn what_was_pasted_is_written_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let pixels = vec![
            Color32::from_rgb(1, 2, 3),
            Color32::TRANSPARENT,
            Color32::WHITE,
            Color32::BLACK,
        ];
        let picture = ColorImage::new([2, 2], pixels);
        let path = write(&picture, &folder.path().join("1")).unwrap();
        assert_eq!(path.file_name().unwrap(), "picture.png");
        let written = image::open(&path).expect("a picture").into_rgba8();
        let written = ColorImage::from_rgba_unmultiplied([2, 2], &written);
        assert_eq!(written.pixels, picture.pixels);
    }
}
