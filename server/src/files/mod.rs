//! The bytes of uploaded files: on disk while they arrive, looked at when they are complete, served when they are asked for.
//!
//! `uploads` in the data folder has what is incomplete, `attachments` what is complete: a file gets its name there when it is
//! durable, and is never changed after. Names on disk are ids; a user's own words are never part of a path.

mod blobs;
mod names;
mod pictures;
mod sniff;
mod strip;
mod turns;

use std::{io, path::Path};

use voxhall_protocol::{FileId, control::PictureSize};

pub use blobs::{Blobs, Kind};
pub use names::{clean_name, disposition};
use pictures::{Pictures, Shape};
pub use sniff::served_as;
pub use turns::{Turn, Turns};

/// Larger pictures are kept as they are, without a small one.
const MAX_PICTURE_BYTES: u64 = 64 << 20;
/// Room that uploads leave on the disk for everything else.
const KEEP_FREE: u64 = 64 << 20;

pub struct Files {
    pub blobs: Blobs,
    pub turns: Turns,
    pictures: Pictures,
}

/// What a complete file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub bytes: u64,
    pub media_type: String,
    pub picture: Option<PictureSize>,
}

/// Why a complete file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("it is not a picture that can be read")]
    NotAPicture,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Files {
    /// # Errors
    /// The folders can't be made, or the thread not be started.
    pub fn open(data: &Path) -> io::Result<Self> {
        Ok(Self {
            blobs: Blobs::at(data)?,
            turns: Turns::default(),
            pictures: Pictures::start()?,
        })
    }

    /// Looks at a file of which all bytes are there, gives it its last shape and its place among the complete ones. Asked again after a
    /// crash it does what is left to do.
    ///
    /// # Errors
    /// See [`LookError`]. `NotAPicture` comes only where `square` asks for one.
    pub async fn finish(&self, file: FileId, square: bool) -> Result<Looked, LookError> {
        let found = self.blobs.arrived(file).await?;
        let head = found.head().await?;
        let media_type = sniff::media_type(&head).to_owned();
        let format =
            sniff::picture_format(&media_type).filter(|_| found.bytes <= MAX_PICTURE_BYTES);
        let shape = if square { Shape::Square } else { Shape::Whole };
        let seen = match format {
            Some(format) => {
                self.pictures
                    .look(&found.path, format, shape, self.blobs.making(file))
                    .await?
            }
            None => None,
        };
        let picture = match &seen {
            None if square => return Err(LookError::NotAPicture),
            None => {
                self.blobs.keep(&found, file).await?;
                None
            }
            Some(seen) => {
                self.blobs.keep_made(file, seen.size.thumbnail).await?;
                Some(seen.size)
            }
        };
        let media_type = seen.map_or(media_type, |seen| seen.media_type.to_owned());
        let bytes = self
            .blobs
            .open(file, Kind::Whole)
            .await?
            .map_or(0, |blob| blob.bytes);
        Ok(Looked {
            bytes,
            media_type,
            picture,
        })
    }

    /// Whether the disk has room for so many bytes more, and for everything else.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.blobs
            .free_bytes()
            .is_none_or(|free| free >= bytes.saturating_add(KEEP_FREE))
    }
}
