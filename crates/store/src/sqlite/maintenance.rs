//! Backups, checks and restoring. What a server has to keep is a database and a folder of attachments; a backup is a folder with both.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    thread,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

pub use super::files::FileError;
use super::{BUSY, SqliteStore, files, migrations};
use crate::StoreError;

/// The database in a data folder and in a backup.
pub const DATABASE: &str = "voxhall.db";
/// The folder of attachments in a data folder and in a backup. A file there is named by its id, is complete when it gets its name, and is
/// never changed.
pub const ATTACHMENTS: &str = "attachments";
/// What is being uploaded to a data folder; no backup has it.
pub const UPLOADS: &str = "uploads";
/// Locked by a server, or by [`restore`], for as long as it uses the data folder.
pub const LOCK: &str = "lock";

/// Problems beyond this many are not listed.
const LISTED: usize = 50;

/// Why there is no backup. Nothing has its name.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is there already. Choose another name for the backup", .0.display())]
    Exists(PathBuf),
    #[error(
        "{} is left of a backup that was interrupted. Remove it, or choose another name", .0.display()
    )]
    Interrupted(PathBuf),
    #[error("a database in memory has no backup")]
    InMemory,
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Why there is no copy of a database.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("can't copy the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why a folder can't be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    #[error("can't look into {}: {why}", path.display())]
    Database { path: PathBuf, why: String },
}

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error("the backup is damaged, so nothing was restored: {0}")]
    Damaged(Checked),
    #[error(
        "the backup was made by a newer Voxhall (its schema is {found}, this program knows up to {known}), so nothing was restored"
    )]
    Newer { found: u32, known: u32 },
    #[error("a server uses the data folder {}, so nothing was restored. Stop it first", .0.display())]
    InUse(PathBuf),
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub schema: u32,
    /// Damage to the database.
    pub problems: Vec<String>,
    /// Attachments that are not there, or not as long as they were.
    pub missing: Vec<String>,
}

impl Checked {
    pub fn all_is_well(&self) -> bool {
        self.problems.is_empty() && self.missing.is_empty()
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all_is_well() {
            return write!(f, "all is well (schema {})", self.schema);
        }
        let found = [self.problems.as_slice(), &self.missing].concat();
        f.write_str(&found.join("; "))
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub schema: u32,
    /// Where the database is now that was there before; attachments and uploads are beside it under the same ending.
    pub kept: Option<PathBuf>,
}

impl SqliteStore {
    /// [`backup`] of this store while it is in use. It takes the attachments that are beside the database.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub async fn backup(&self, to: &Path) -> Result<(), BackupError> {
        let file = self.file.clone().ok_or(BackupError::InMemory)?;
        let to = to.to_owned();
        let (done, made) = oneshot::channel();
        let failed = |source| {
            let path = DATABASE.into();
            CopyError::File(FileError { path, source })
        };
        thread::Builder::new()
            .name("store-backup".into())
            .spawn(move || done.send(back_up(&file, &to)))
            .map_err(failed)?;
        made.await
            .unwrap_or_else(|_| Err(failed(io::Error::other("a fault of the program")).into()))
    }
}

/// Copies database and attachments of a data folder into the new folder `to`, whether a server uses them or not. Writers go on
/// meanwhile; the backup has what was committed when its copy of the database began. A backup that has its name is whole and on disk.
///
/// # Errors
/// See [`BackupError`].
pub fn backup(data: &Path, to: &Path) -> Result<(), BackupError> {
    back_up(&data.join(DATABASE), to)
}

fn back_up(file: &Path, to: &Path) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let partial = files::with_ending(to, ".partial");
    if partial.exists() {
        return Err(BackupError::Interrupted(partial));
    }
    let made = fill(file, &partial).and_then(|()| Ok(files::rename_durably(&partial, to)?));
    if made.is_err() {
        // What is left of it says so by its name.
        drop(std::fs::remove_dir_all(&partial));
    }
    Ok(made?)
}

fn fill(file: &Path, partial: &Path) -> Result<(), CopyError> {
    files::private_folder(partial)?;
    let attachments = file.with_file_name(ATTACHMENTS);
    let copies = partial.join(ATTACHMENTS);
    // First what is there, so that it stays even if it is removed while the database is copied; then what was added until then.
    files::gather(&attachments, &copies)?;
    copy(&open(file)?, &partial.join(DATABASE))?;
    files::gather(&attachments, &copies)?;
    Ok(files::sync_folder(partial)?)
}

/// Looks for damage in a data folder, in use or not, or in a backup.
///
/// # Errors
/// [`CheckError`] where there is nothing to look at.
pub fn check(folder: &Path) -> Result<Checked, CheckError> {
    let path = folder.join(DATABASE);
    if !path.exists() {
        return Err(CheckError::Missing(path));
    }
    let looked = open(&path).and_then(|connection| look(&connection, &folder.join(ATTACHMENTS)));
    looked.or_else(|source| {
        let text = source.to_string();
        match StoreError::from(source) {
            StoreError::Corrupt => Ok(Checked {
                schema: 0,
                problems: vec![text],
                missing: Vec::new(),
            }),
            _ => Err(CheckError::Database { path, why: text }),
        }
    })
}

fn look(connection: &Connection, attachments: &Path) -> rusqlite::Result<Checked> {
    connection.pragma_update(None, "query_only", true)?;
    let schema = migrations::version(connection)?;
    let mut problems = dangling(connection)?;
    if schema == 0 {
        problems.push("there is no Voxhall database in it".into());
    }
    let mut integrity = connection.prepare(&format!("PRAGMA integrity_check({LISTED})"))?;
    for said in integrity.query_map([], |row| row.get::<_, String>(0))? {
        problems.extend(Some(said?).filter(|said| said != "ok"));
    }
    Ok(Checked {
        schema,
        problems,
        missing: missing(connection, attachments)?,
    })
}

fn missing(connection: &Connection, attachments: &Path) -> rusqlite::Result<Vec<String>> {
    // Schemas before attachments have no such table.
    if !connection.table_exists(None, "files")? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut files =
        connection.prepare("SELECT id, bytes FROM files WHERE completed_at_ms IS NOT NULL")?;
    let mut is_still =
        connection.prepare("SELECT 1 FROM files WHERE id = ?1 AND completed_at_ms IS NOT NULL")?;
    let files = files.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    for file in files.collect::<Result<Vec<_>, _>>()? {
        let (id, bytes) = file;
        let length = std::fs::metadata(attachments.join(id.to_string())).map(|file| file.len());
        let is_whole = length.is_ok_and(|length| i64::try_from(length) == Ok(bytes));
        // In a data folder that is in use, it may have been deleted meanwhile.
        if !is_whole && is_still.exists([id])? {
            found.push(format!("attachment {id} is missing or cut off"));
        }
        if found.len() == LISTED {
            break;
        }
    }
    Ok(found)
}

/// Rows that refer to others which are not there.
pub(super) fn dangling(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found = connection.prepare("PRAGMA foreign_key_check")?;
    let found = found.query_map([], |row| {
        let (table, row_id, parent) = (row.get::<_, String>(0)?, row.get(1)?, row.get(2)?);
        let (row_id, parent): (Option<i64>, String) = (row_id, parent);
        let row_id = row_id.map_or(String::new(), |id| format!(" {id}"));
        Ok(format!(
            "{table}{row_id} refers to {parent} that are not there"
        ))
    })?;
    found.take(LISTED).collect()
}

/// Puts a backup in the place of what is in the data folder, which is kept under other names. Missing attachments don't stop it.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore(from: &Path, data: &Path) -> Result<Restored, RestoreError> {
    let checked = check(from)?;
    if !checked.problems.is_empty() {
        return Err(RestoreError::Damaged(checked));
    }
    let (found, known) = (checked.schema, migrations::known());
    if found > known {
        return Err(RestoreError::Newer { found, known });
    }
    files::private_folder(data).map_err(CopyError::from)?;
    let _lock = files::lock(&data.join(LOCK))
        .map_err(CopyError::from)?
        .ok_or_else(|| RestoreError::InUse(data.to_owned()))?;
    Ok(Restored {
        schema: found,
        kept: replace(from, data)?,
    })
}

fn replace(from: &Path, data: &Path) -> Result<Option<PathBuf>, CopyError> {
    let (database, attachments) = (data.join(DATABASE), data.join(ATTACHMENTS));
    let new_database = files::with_ending(&database, ".restoring");
    let new_attachments = files::with_ending(&attachments, ".restoring");
    files::remove_folder(&new_attachments)?;
    files::gather(&from.join(ATTACHMENTS), &new_attachments)?;
    copy(&open(&from.join(DATABASE))?, &new_database)?;

    // From here on it is names only. The database comes last, and what it replaces has its second name by then.
    let ending = (1_u32..)
        .map(|n| format!(".replaced-{n}"))
        .find(|ending| {
            [DATABASE, ATTACHMENTS, UPLOADS]
                .iter()
                .all(|name| !data.join(format!("{name}{ending}")).exists())
        })
        .expect("a name is free");
    let kept = files::with_ending(&database, &ending);
    let had_one = files::second_name(&database, &kept)?;
    let log = files::with_ending(&database, "-wal");
    files::rename_if_there(&log, &files::with_ending(&kept, "-wal"))?;
    files::remove_file(&files::with_ending(&database, "-shm"))?;
    for folder in [&attachments, &data.join(UPLOADS)] {
        files::rename_if_there(folder, &files::with_ending(folder, &ending))?;
    }
    files::rename_if_there(&new_attachments, &attachments)?;
    files::rename_durably(&new_database, &database)?;
    Ok(had_one.then_some(kept))
}

/// A copy of the database as of now, in one file of its own that is on disk when it gets its name. Takes the place of a file of that name.
pub(super) fn copy(connection: &Connection, to: &Path) -> Result<(), CopyError> {
    let partial = files::with_ending(to, ".partial");
    // SQLite takes an empty file as it is, with the rights it has.
    files::empty_private_file(&partial)?;
    let copied = connection
        .execute("VACUUM INTO ?1", [partial.to_string_lossy()])
        .map_err(CopyError::from)
        .and_then(|_| Ok(files::sync_file(&partial)?))
        .and_then(|()| Ok(files::rename_durably(&partial, to)?));
    if copied.is_err() {
        drop(std::fs::remove_file(&partial));
    }
    copied
}

/// Not read-only: where a server was killed, its log is played back first.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}
