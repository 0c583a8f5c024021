//! What maintenance does with files: private, durable, and named when complete.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// What the system said about a file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    pub path: PathBuf,
    pub source: io::Error,
}

type Done<T = ()> = Result<T, FileError>;

trait About<T> {
    fn about(self, path: &Path) -> Done<T>;
}

impl<T> About<T> for io::Result<T> {
    fn about(self, path: &Path) -> Done<T> {
        self.map_err(|source| FileError {
            path: path.to_owned(),
            source,
        })
    }
}

pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the folder for this user alone, unless it is there.
pub(super) fn private_folder(path: &Path) -> Done {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).about(path)
}

/// Makes or empties a file for this user alone.
pub(super) fn empty_private_file(path: &Path) -> Done<File> {
    remove_file(path)?;
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).about(path)
}

/// The lock while the file lives; none where somebody else has it.
pub(super) fn lock(path: &Path) -> Done<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(path).about(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(source).about(path),
    }
}

/// Gives every file below `from` a second name below `to`, or copies it where the disk is another. What is there already stays, what
/// vanishes meanwhile is left out, and nothing is done where there is no `from`.
pub(super) fn gather(from: &Path, to: &Path) -> Done {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.about(from)?,
    };
    private_folder(to)?;
    for entry in entries {
        let entry = entry.about(from)?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().about(&path)?;
        if kind.is_dir() {
            gather(&path, &copy)?;
        } else if kind.is_file() {
            link_or_copy(&path, &copy)?;
        }
    }
    sync_folder(to)
}

fn link_or_copy(from: &Path, to: &Path) -> Done {
    match fs::hard_link(from, to) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    let mut source = match File::open(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        source => source.about(from)?,
    };
    let mut copy = empty_private_file(to)?;
    io::copy(&mut source, &mut copy).about(to)?;
    copy.sync_all().about(to)
}

/// A second name for a file; false where there is none.
pub(super) fn second_name(path: &Path, second: &Path) -> Done<bool> {
    if !path.exists() {
        return Ok(false);
    }
    link_or_copy(path, second)?;
    Ok(true)
}

pub(super) fn rename_if_there(from: &Path, to: &Path) -> Done {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        renamed => renamed.about(from),
    }
}

pub(super) fn rename_durably(from: &Path, to: &Path) -> Done {
    fs::rename(from, to).about(to)?;
    let folder = to.parent().filter(|folder| *folder != Path::new(""));
    sync_folder(folder.unwrap_or(Path::new(".")))
}

pub(super) fn remove_file(path: &Path) -> Done {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.about(path),
    }
}

pub(super) fn remove_folder(path: &Path) -> Done {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.about(path),
    }
}

pub(super) fn sync_file(path: &Path) -> Done {
    let file = OpenOptions::new().write(true).open(path).about(path)?;
    file.sync_all().about(path)
}

/// Elsewhere than on Unix a folder can't be synced, and a rename is durable when the file system says so.
pub(super) fn sync_folder(path: &Path) -> Done {
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .about(path)?;
    }
    Ok(())
}
