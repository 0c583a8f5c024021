//! Pictures of people and guilds: which of them views missed, and those that are here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use egui::{ColorImage, Context, TextureHandle, TextureOptions};
use voxhall_protocol::FileId;
use voxhall_session::{Intent, State};

use crate::{
    fetch::{Fetcher, Limits},
    ui::{ServerId, pictures},
};

/// Kept at once; with more, all are got anew as they are needed.
const MOST: usize = 512;
/// The server makes them squares of 512 pixels at most.
const LIMITS: Limits = Limits {
    waiting: 4,
    pixels_a_side: 1_024,
    bytes: 64 * 1024 * 1024,
    shown_pixels_a_side: 1_024,
};

pub struct Pictures {
    server: ServerId,
    folder: PathBuf,
    shown: Arc<BTreeMap<FileId, TextureHandle>>,
    wanted: BTreeSet<FileId>,
    fetcher: Fetcher<FileId>,
    /// Not to be had.
    failed: BTreeSet<FileId>,
}

impl Pictures {
    /// Those of a server; they are put down in `folder` on their way.
    pub fn new(ctx: &Context, server: ServerId, folder: PathBuf) -> Self {
        Self {
            server,
            folder,
            shown: Arc::default(),
            wanted: BTreeSet::new(),
            fetcher: Fetcher::new(ctx, LIMITS),
            failed: BTreeSet::new(),
        }
    }

    /// Who is there next sees others.
    pub fn clear(&mut self, ctx: &Context) {
        *self = Self::new(ctx, self.server, std::mem::take(&mut self.folder));
        pictures::show(ctx, self.server, Arc::clone(&self.shown));
    }

    /// What was not to be had may be now.
    pub fn forget_failures(&mut self) {
        self.failed.clear();
    }

    /// Asks for what views missed, and shows what has come.
    pub fn tend(&mut self, ctx: &Context, state: &State, mut send: impl FnMut(Intent)) {
        let missed = pictures::take_missed(ctx, self.server);
        let new = missed.iter().copied();
        let new = new.filter(|it| !self.failed.contains(it) && !self.fetcher.is_getting(*it));
        self.wanted.extend(new);
        while !self.fetcher.is_full()
            && let Some(file) = self.wanted.pop_first()
        {
            let name = format!("picture-{}-{file}", self.server.0);
            let to = self.folder.join(name);
            send(self.fetcher.get(file, file, false, to));
        }
        for (file, image) in self.fetcher.tend(state, send) {
            match image {
                Some(image) => self.put(ctx, file, image),
                None => {
                    self.failed.insert(file);
                }
            }
        }
    }

    fn put(&mut self, ctx: &Context, file: FileId, image: ColorImage) {
        let shown = Arc::make_mut(&mut self.shown);
        if shown.len() >= MOST {
            shown.clear();
        }
        let name = format!("picture {file}");
        shown.insert(file, ctx.load_texture(name, image, TextureOptions::LINEAR));
        pictures::show(ctx, self.server, Arc::clone(&self.shown));
        ctx.request_repaint();
    }
}

#[cfg(test)]
mod tests {
    use voxhall_session::{Transfer, TransferProgress};

    use super::*;

    #[test]
    fn what_was_not_to_be_had_is_asked_for_once_and_again_after_the_connection_is_back() {
        let ctx = Context::default();
        let mut here = Pictures::new(&ctx, ServerId::default(), PathBuf::new());
        let ask = |here: &mut Pictures, state: &State| {
            pictures::shown(&ctx, FileId(3));
            let mut asked = None;
            here.tend(&ctx, state, |intent| {
                if let Intent::Download { transfer, .. } = intent {
                    asked = Some(transfer);
                }
            });
            asked
        };
        let transfer = ask(&mut here, &State::default()).expect("a question");
        let progress = TransferProgress::Failed("No connection.".to_owned());
        let name = String::new();
        let state = State {
            transfers: [(transfer, Transfer { name, progress })].into(),
            ..State::default()
        };
        assert_eq!(ask(&mut here, &state), None);
        assert_eq!(ask(&mut here, &state), None);
        here.forget_failures();
        assert!(ask(&mut here, &state).is_some());
    }
}
