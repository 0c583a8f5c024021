//! Backups that the server makes of itself: what the store has, its certificate and its config file, in a folder by the time.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use voxhall_protocol::control::Backup;
use voxhall_store::maintenance::{self, BackupError};

use crate::{
    config::{BackupPlan, CONFIG_FILE},
    services::Services,
    tls,
};

/// Where they go if nobody says where.
const FOLDER: &str = "backups";
const NAME: &str = "voxhall-%Y%m%d-%H%M%S-%3f";
/// How often to look whether one is due, and the pause after a failure.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Where backups are made from, and where to.
#[derive(Debug, Clone)]
pub struct Backups {
    data: PathBuf,
    folder: PathBuf,
}

/// Why there is no new backup.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error(transparent)]
    Store(#[from] BackupError),
    #[error("can't write {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("a fault of the program")]
    Broken,
}

impl Backups {
    pub fn new(data: &Path, plan: Option<&BackupPlan>) -> Self {
        Self {
            data: data.to_owned(),
            folder: plan.map_or_else(|| data.join(FOLDER), |plan| plan.folder.clone()),
        }
    }

    /// The write-ahead log included.
    pub fn database_bytes(&self) -> u64 {
        let bytes = |name: String| fs::metadata(self.data.join(name)).map_or(0, |file| file.len());
        let database = maintenance::DATABASE;
        bytes(database.to_owned()) + bytes(format!("{database}-wal"))
    }

    /// Makes one now, named by the time.
    ///
    /// # Errors
    /// See [`MakeError`].
    pub fn make(&self) -> Result<Backup, MakeError> {
        make_private_folder(&self.folder)?;
        let name = Timestamp::now().strftime(NAME).to_string();
        make(&self.data, &self.folder.join(name))
    }

    /// Makes one whenever the newest is older than the plan allows, and removes those beyond how many are kept. Never returns.
    pub async fn run(plan: BackupPlan, services: Arc<Services>) {
        let newest = services.backups.list().unwrap_or_default();
        if let Some((at, _)) = newest.first() {
            services.metrics.backup_seen(at.as_millisecond());
        }
        loop {
            if services.backups.is_due(plan.every) {
                match services.back_up().await {
                    Ok(backup) => {
                        tracing::info!(
                            path = backup.path,
                            bytes = backup.bytes,
                            took_ms = backup.took_ms,
                            "backup made"
                        );
                        services.backups.prune(plan.keep as usize);
                    }
                    Err(error) => tracing::error!("no backup: {error}"),
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_due(&self, every: Duration) -> bool {
        let newest = self.list().unwrap_or_default();
        newest.first().is_none_or(|(at, _)| {
            let age = Timestamp::now().duration_since(*at);
            Duration::try_from(age).is_ok_and(|age| age >= every)
        })
    }

    /// Whole ones, newest first. What has another name is somebody else's.
    fn list(&self) -> io::Result<Vec<(Timestamp, PathBuf)>> {
        let mut made: Vec<_> = fs::read_dir(&self.folder)?
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                Some((made_at(path.file_name()?.to_str()?)?, path))
            })
            .collect();
        made.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(made)
    }

    fn prune(&self, keep: usize) {
        for (_, old) in self.list().unwrap_or_default().into_iter().skip(keep) {
            match fs::remove_dir_all(&old) {
                Ok(()) => tracing::info!(path = %old.display(), "old backup removed"),
                Err(error) => {
                    tracing::warn!(path = %old.display(), %error, "can't remove an old backup");
                }
            }
        }
    }
}

fn made_at(name: &str) -> Option<Timestamp> {
    let at = jiff::civil::DateTime::strptime(NAME, name).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Makes a backup of a data folder, whether a server uses it or not. What has its name is whole.
///
/// # Errors
/// See [`MakeError`].
pub fn make(data: &Path, to: &Path) -> Result<Backup, MakeError> {
    let began = Instant::now();
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()).into());
    }
    let mut unfinished = to.to_owned().into_os_string();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let made = fill(data, &unfinished).and_then(|()| {
        let named = fs::rename(&unfinished, to);
        named.map_err(|source| MakeError::File {
            path: to.to_owned(),
            source,
        })
    });
    if made.is_err() {
        // What is left of it says so by its name.
        drop(fs::remove_dir_all(&unfinished));
    }
    made?;
    Ok(Backup {
        path: to.display().to_string(),
        bytes: size(to),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn fill(data: &Path, unfinished: &Path) -> Result<(), MakeError> {
    maintenance::backup(data, unfinished)?;
    for name in OWN_FILES {
        copy_if_there(&data.join(name), &unfinished.join(name))?;
    }
    Ok(())
}

/// What belongs to a server beside what the store keeps.
const OWN_FILES: [&str; 2] = [tls::OWN_FILE, CONFIG_FILE];

/// Puts the certificate and the config file of a backup where there are none.
///
/// # Errors
/// A file can't be written.
pub fn restore_files(from: &Path, data: &Path) -> Result<(), MakeError> {
    for name in OWN_FILES {
        let to = data.join(name);
        if !to.exists() {
            copy_if_there(&from.join(name), &to)?;
        }
    }
    Ok(())
}

fn copy_if_there(from: &Path, to: &Path) -> Result<(), MakeError> {
    let copied = fs::copy(from, to).and_then(|_| fs::File::open(to)?.sync_all());
    match copied {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(MakeError::File {
            path: to.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn make_private_folder(path: &Path) -> Result<(), MakeError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| MakeError::File {
        path: path.to_owned(),
        source,
    })
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_found_by_name_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let plan = BackupPlan {
            folder: folder.path().join("b"),
            every: Duration::from_secs(60),
            keep: 2,
        };
        let backups = Backups::new(Path::new("/nowhere"), Some(&plan));
        assert!(backups.is_due(plan.every), "there is none");
        let now = Timestamp::now().strftime(NAME).to_string();
        for name in [
            "voxhall-20200101-000000-000",
            "voxhall-20210101-000000-007",
            &now,
            "mine",
            "voxhall-20220101-000000-000.unfinished",
        ] {
            fs::create_dir_all(plan.folder.join(name)).unwrap();
        }
        assert!(!backups.is_due(plan.every));
        assert!(backups.is_due(Duration::ZERO));
        backups.prune(2);
        let mut left: Vec<_> = fs::read_dir(&plan.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "mine",
                "voxhall-20210101-000000-007",
                "voxhall-20220101-000000-000.unfinished",
                &now
            ]
        );
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("backup");
        let error = make(&folder.path().join("data"), &to).unwrap_err();
        assert!(error.to_string().contains("database"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::create_dir(&to).unwrap();
        let error = make(&folder.path().join("data"), &to).unwrap_err();
        assert!(error.to_string().contains("there already"), "{error}");
    }
}
