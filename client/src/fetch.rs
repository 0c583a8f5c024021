//! Gets pictures from the server and reads them on threads of their own, for whoever shows them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use egui::{ColorImage, Context};
use image::{DynamicImage, ImageReader};
use voxhall_protocol::FileId;
use voxhall_session::{Intent, State, TransferId, TransferProgress};

use crate::numbers::next_transfer;

/// Pictures that wait for the next frame.
const RESULTS: usize = 32;

/// What is got and shown at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// On their way at once.
    pub waiting: usize,
    /// A picture that claims to be larger is not looked at.
    pub pixels_a_side: u32,
    pub bytes: u64,
    /// What is larger is shown in this size.
    pub shown_pixels_a_side: u32,
}

/// The pictures that are on their way, each with what it is for.
pub struct Fetcher<K> {
    limits: Limits,
    waiting: BTreeMap<TransferId, (K, Step)>,
    results: Receiver<(TransferId, Option<ColorImage>)>,
    done: SyncSender<(TransferId, Option<ColorImage>)>,
    ctx: Context,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The session may not know of it yet.
    Asked,
    Moving,
    Reading,
}

impl<K: Copy + PartialEq> Fetcher<K> {
    pub fn new(ctx: &Context, limits: Limits) -> Self {
        let (done, results) = sync_channel(RESULTS);
        Self {
            limits,
            waiting: BTreeMap::new(),
            results,
            done,
            ctx: ctx.clone(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.waiting
    }

    pub fn is_getting(&self, key: K) -> bool {
        self.waiting.values().any(|(it, _)| *it == key)
    }

    /// What the session is to do; `to` is gone when the picture was read.
    pub fn get(&mut self, key: K, file: FileId, thumbnail: bool, to: PathBuf) -> Intent {
        let transfer = next_transfer();
        self.waiting.insert(transfer, (key, Step::Asked));
        Intent::Download {
            transfer,
            file,
            thumbnail,
            to,
        }
    }

    /// What has come since the last time; none: it is not to be had.
    pub fn tend(
        &mut self,
        state: &State,
        mut send: impl FnMut(Intent),
    ) -> Vec<(K, Option<ColorImage>)> {
        let mut ended = Vec::new();
        for (transfer, (_, step)) in &mut self.waiting {
            let progress = state.transfers.get(transfer).map(|it| &it.progress);
            match (progress, *step) {
                (_, Step::Reading) | (None, Step::Asked) => {}
                (Some(TransferProgress::Saved(path)), _) => {
                    *step = Step::Reading;
                    ended.push((*transfer, Some(path.clone())));
                }
                // Whoever leaves a server stops its transfers.
                (Some(TransferProgress::Failed(_)) | None, _) => ended.push((*transfer, None)),
                (Some(_), _) => *step = Step::Moving,
            }
        }
        let mut come = Vec::new();
        for (transfer, path) in ended {
            send(Intent::DropTransfer(transfer));
            if !path.is_some_and(|path| self.read(transfer, path))
                && let Some((key, _)) = self.waiting.remove(&transfer)
            {
                come.push((key, None));
            }
        }
        while let Ok((transfer, image)) = self.results.try_recv() {
            if let Some((key, _)) = self.waiting.remove(&transfer) {
                come.push((key, image));
            }
        }
        come
    }

    /// Another server has others.
    pub fn leave(&mut self) {
        self.waiting.clear();
    }

    /// True if it will come.
    fn read(&self, transfer: TransferId, path: PathBuf) -> bool {
        let (done, ctx, limits) = (self.done.clone(), self.ctx.clone(), self.limits);
        let reading = thread::Builder::new().name("picture".to_owned());
        let reading = reading.spawn(move || {
            // The window may be closed by now.
            let _ = done.send((transfer, read_and_remove(&path, limits)));
            ctx.request_repaint();
        });
        if let Err(error) = &reading {
            tracing::warn!("no thread to read a picture: {error}");
        }
        reading.is_ok()
    }
}

fn read_and_remove(path: &Path, limits: Limits) -> Option<ColorImage> {
    let image = read(path, limits);
    if let Err(error) = &image {
        tracing::debug!(%error, "a picture can't be shown");
    }
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, "a picture can't be cleared away");
    }
    image.ok()
}

fn read(path: &Path, limits: Limits) -> Result<ColorImage, image::ImageError> {
    let mut reader = ImageReader::new(BufReader::new(File::open(path)?)).with_guessed_format()?;
    let mut most = image::Limits::default();
    most.max_image_width = Some(limits.pixels_a_side);
    most.max_image_height = Some(limits.pixels_a_side);
    most.max_alloc = Some(limits.bytes);
    reader.limits(most);
    let mut image = reader.decode()?;
    let shown = limits.shown_pixels_a_side;
    if image.width().max(image.height()) > shown {
        image = DynamicImage::thumbnail(&image, shown, shown);
    }
    let rgba = image.into_rgba8();
    let size = [rgba.width() as usize, rgba.height() as usize];
    Ok(ColorImage::from_rgba_unmultiplied(size, &rgba))
}

#[cfg(test)]
mod tests {
    use voxhall_session::Transfer;

    use super::*;

    const LIMITS: Limits = Limits {
        waiting: 1,
        pixels_a_side: 64,
        bytes: 1 << 20,
        shown_pixels_a_side: 16,
    };

    fn fetcher() -> Fetcher<u8> {
        Fetcher::new(&Context::default(), LIMITS)
    }

    fn ask(fetcher: &mut Fetcher<u8>, key: u8) -> TransferId {
        match fetcher.get(key, FileId(1), false, PathBuf::new()) {
            Intent::Download { transfer, .. } => transfer,
            other => panic!("{other:?}"),
        }
    }

    fn moving(transfer: TransferId, progress: TransferProgress) -> State {
        let name = String::new();
        State {
            transfers: [(transfer, Transfer { name, progress })].into(),
            ..State::default()
        }
    }

    #[test]
    fn a_transfer_that_is_gone_makes_room_for_others() {
        let mut fetcher = fetcher();
        let transfer = ask(&mut fetcher, 7);
        let nothing = State::default();
        assert!(fetcher.tend(&nothing, |_| {}).is_empty());
        assert!(fetcher.is_full(), "the session may not know of it yet");
        let state = moving(transfer, TransferProgress::Waiting);
        assert!(fetcher.tend(&state, |_| {}).is_empty());
        let come = fetcher.tend(&nothing, |_| {});
        assert!(matches!(come[..], [(7, None)]), "{come:?}");
        assert!(!fetcher.is_full());
    }

    #[test]
    fn what_has_come_is_read_on_a_thread_and_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        let picture = image::GrayImage::new(3, 2);
        picture
            .save_with_format(&path, image::ImageFormat::Png)
            .unwrap();
        let mut fetcher = fetcher();
        let transfer = ask(&mut fetcher, 7);
        let state = moving(transfer, TransferProgress::Saved(path.clone()));
        let mut come = fetcher.tend(&state, |_| {});
        let start = std::time::Instant::now();
        while come.is_empty() {
            assert!(start.elapsed() < std::time::Duration::from_secs(20));
            thread::sleep(std::time::Duration::from_millis(1));
            come = fetcher.tend(&state, |_| {});
        }
        let [(7, Some(image))] = &come[..] else {
            panic!("{come:?}")
        };
        assert_eq!(image.size, [3, 2]);
        assert!(!path.exists());
        assert!(!fetcher.is_getting(7));
    }

    #[test]
    fn large_pictures_are_shown_smaller_and_others_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture");
        let save = |width, height| {
            let picture = image::GrayImage::new(width, height);
            picture
                .save_with_format(&path, image::ImageFormat::Png)
                .unwrap();
        };
        save(LIMITS.shown_pixels_a_side * 2, 8);
        let image = read_and_remove(&path, LIMITS).expect("a picture");
        assert_eq!(image.size, [16, 4]);
        save(LIMITS.pixels_a_side + 1, 1);
        assert!(read_and_remove(&path, LIMITS).is_none());
        fs::write(&path, b"no picture").unwrap();
        assert!(read_and_remove(&path, LIMITS).is_none());
    }
}
