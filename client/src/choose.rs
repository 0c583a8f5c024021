//! The system's window to choose files, or a place for one.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use egui::Context;

use voxhall_protocol::{ChannelId, FileId};

use crate::ui::{PictureOf, ServerId};

/// What a file is chosen for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Files of the next message; they may be several.
    Attach(ChannelId),
    /// Where a file of this name goes.
    Download(FileId, String),
    /// Where a report goes.
    Report,
    Ringtone,
    Picture(PictureOf),
}

/// Endings of what the server takes for a picture.
const PICTURES: [&str; 10] = [
    "png", "jpg", "jpeg", "gif", "webp", "PNG", "JPG", "JPEG", "GIF", "WEBP",
];

/// What was chosen, and on which server's page.
type Choice = (ServerId, Purpose, Vec<PathBuf>);

type Chosen = Pin<Box<dyn Future<Output = Vec<rfd::FileHandle>> + Send>>;

fn one(chosen: impl Future<Output = Option<rfd::FileHandle>> + Send + 'static) -> Chosen {
    Box::pin(async { Vec::from_iter(chosen.await) })
}

pub struct Chooser {
    /// One window of the system at a time.
    choosing: bool,
    results: Receiver<Choice>,
    done: SyncSender<Choice>,
    ctx: Context,
}

impl Chooser {
    pub fn new(ctx: &Context) -> Self {
        let (done, results) = sync_channel(1);
        Self {
            choosing: false,
            results,
            done,
            ctx: ctx.clone(),
        }
    }

    /// Lets the person choose for a page of `server`, unless they do already.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn ask(&mut self, server: ServerId, purpose: Purpose) -> io::Result<()> {
        if self.choosing {
            return Ok(());
        }
        let dialog = rfd::AsyncFileDialog::new();
        let (done, ctx) = (self.done.clone(), self.ctx.clone());
        // Made here, for macOS wants it on the main thread; waited for there.
        let chosen: Chosen = match &purpose {
            Purpose::Attach(_) => {
                let files = dialog.pick_files();
                Box::pin(async { files.await.unwrap_or_default() })
            }
            Purpose::Download(_, name) => one(dialog.set_file_name(name).save_file()),
            Purpose::Report => one(dialog.set_file_name("voxhall-report.txt").save_file()),
            Purpose::Ringtone => one(dialog.add_filter("Sounds", &["wav", "WAV"]).pick_file()),
            Purpose::Picture(_) => one(dialog.add_filter("Pictures", &PICTURES).pick_file()),
        };
        let waiting = thread::Builder::new().name("file window".to_owned());
        waiting.spawn(move || {
            let chosen = pollster::block_on(chosen);
            // The window may be closed by now.
            let paths = chosen.iter().map(|file| file.path().to_owned());
            let _ = done.send((server, purpose, paths.collect()));
            ctx.request_repaint();
        })?;
        self.choosing = true;
        Ok(())
    }

    /// What was chosen since the last call; nothing where the person did not want to after all.
    pub fn take(&mut self) -> Option<Choice> {
        let chosen = self.results.try_recv().ok()?;
        self.choosing = false;
        Some(chosen)
    }
}
