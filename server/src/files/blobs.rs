//! Where bytes are on disk.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use tokio::{
    fs::{self, File, OpenOptions},
    io::AsyncReadExt,
};
use voxhall_protocol::FileId;
use voxhall_store::maintenance::{ATTACHMENTS, UPLOADS};

const THUMBNAIL: &str = "thumbnail";
/// A picture in its last shape, on its way to the complete ones.
const MADE: &str = "made";
/// What is enough to see of what type a file is.
const HEAD_BYTES: u64 = 8 * 1024;

pub struct Blobs {
    uploads: PathBuf,
    complete: PathBuf,
}

/// Which bytes of a complete file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Whole,
    Thumbnail,
}

/// An open file.
pub struct Blob {
    pub file: File,
    pub bytes: u64,
}

/// A file of which all bytes have arrived.
pub struct Arrived {
    pub path: PathBuf,
    pub bytes: u64,
    /// A crash came between its being kept and the store's knowing of it.
    kept: bool,
}

/// Where a picture's last shape and its small one are made.
pub struct Making {
    pub whole: PathBuf,
    pub thumbnail: PathBuf,
}

impl Blobs {
    pub fn at(data: &Path) -> io::Result<Self> {
        let folder = |name| -> io::Result<PathBuf> {
            let path = data.join(name);
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&path)?;
            Ok(path)
        };
        Ok(Self {
            uploads: folder(UPLOADS)?,
            complete: folder(ATTACHMENTS)?,
        })
    }

    /// How many bytes of an upload are there.
    pub async fn offset(&self, file: FileId) -> io::Result<u64> {
        Ok(length(&self.partial(file)).await?.unwrap_or(0))
    }

    /// All bytes of the file are there, and it waits for being known as complete.
    pub async fn is_kept(&self, file: FileId) -> io::Result<bool> {
        Ok(length(&self.path(file, Kind::Whole)).await?.is_some())
    }

    /// For writing behind what is there.
    pub async fn append(&self, file: FileId) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        options.mode(0o600);
        options.open(self.partial(file)).await
    }

    pub async fn arrived(&self, file: FileId) -> io::Result<Arrived> {
        let kept = self.path(file, Kind::Whole);
        let (path, bytes, kept) = match length(&kept).await? {
            Some(bytes) => (kept, bytes, true),
            None => {
                let path = self.partial(file);
                let bytes = length(&path).await?.ok_or(ErrorKind::NotFound)?;
                (path, bytes, false)
            }
        };
        Ok(Arrived { path, bytes, kept })
    }

    pub fn making(&self, file: FileId) -> Making {
        Making {
            whole: self.uploads.join(format!("{file}.{MADE}")),
            thumbnail: self.uploads.join(format!("{file}.{THUMBNAIL}")),
        }
    }

    /// Puts what has arrived among the complete files, as it is.
    pub async fn keep(&self, arrived: &Arrived, file: FileId) -> io::Result<()> {
        if !arrived.kept {
            fs::rename(&arrived.path, self.path(file, Kind::Whole)).await?;
            sync_folder(&self.complete).await?;
        }
        Ok(())
    }

    /// Puts what was made of a picture among the complete files, in place of what has arrived.
    pub async fn keep_made(&self, file: FileId, thumbnail: bool) -> io::Result<()> {
        let made = self.making(file);
        if thumbnail {
            fs::rename(made.thumbnail, self.path(file, Kind::Thumbnail)).await?;
        }
        fs::rename(made.whole, self.path(file, Kind::Whole)).await?;
        sync_folder(&self.complete).await?;
        remove(&self.partial(file)).await
    }

    /// A complete file; None: there is none.
    pub async fn open(&self, file: FileId, kind: Kind) -> io::Result<Option<Blob>> {
        let file = match File::open(self.path(file, kind)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let bytes = file.metadata().await?.len();
        Ok(Some(Blob { file, bytes }))
    }

    /// Whatever there is of it, complete or not.
    pub async fn remove(&self, file: FileId) -> io::Result<()> {
        let made = self.making(file);
        for path in [
            self.partial(file),
            made.whole,
            made.thumbnail,
            self.path(file, Kind::Whole),
            self.path(file, Kind::Thumbnail),
        ] {
            remove(&path).await?;
        }
        Ok(())
    }

    /// Of which files there is anything, complete or not.
    pub async fn all(&self) -> io::Result<Vec<FileId>> {
        let mut files = Vec::new();
        for folder in [&self.uploads, &self.complete] {
            let mut entries = fs::read_dir(folder).await?;
            while let Some(entry) = entries.next_entry().await? {
                let name = entry.file_name();
                let id = name
                    .to_str()
                    .and_then(|name| name.split('.').next()?.parse().ok());
                files.extend(id.map(FileId));
            }
        }
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// None where the system doesn't say.
    pub fn free_bytes(&self) -> Option<u64> {
        #[cfg(unix)]
        {
            let disk = rustix::fs::statvfs(&self.complete).ok()?;
            Some(disk.f_bavail.saturating_mul(disk.f_frsize))
        }
        #[cfg(not(unix))]
        None
    }

    fn partial(&self, file: FileId) -> PathBuf {
        self.uploads.join(file.to_string())
    }

    fn path(&self, file: FileId, kind: Kind) -> PathBuf {
        self.complete.join(match kind {
            Kind::Whole => file.to_string(),
            Kind::Thumbnail => format!("{file}.{THUMBNAIL}"),
        })
    }
}

impl Arrived {
    pub async fn head(&self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        File::open(&self.path)
            .await?
            .take(HEAD_BYTES)
            .read_to_end(&mut head)
            .await?;
        Ok(head)
    }
}

async fn length(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path).await {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Elsewhere than on Unix a rename is durable when the file system says so.
async fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path).await?.sync_all().await?;
    }
    Ok(())
}
