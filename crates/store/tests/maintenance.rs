//! Backups of a store in use, and what becomes of them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use voxhall_store::{
    Settings, SqliteStore,
    maintenance::{
        self, ATTACHMENTS, BackupError, CheckError, DATABASE, LOCK, RestoreError, backup, check,
        restore,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_busy_store_has_all_that_was_acknowledged_and_stops_nobody() {
    let data = Data::new();
    let store = data.open();
    for n in 0..40 {
        store
            .setting_or_insert(&format!("big{n}"), vec![n; 1 << 20])
            .await
            .unwrap();
    }
    let written = Arc::<AtomicU32>::default();
    let stop = Arc::<AtomicBool>::default();
    let writer = tokio::spawn({
        let (store, written, stop) = (store.clone(), Arc::clone(&written), Arc::clone(&stop));
        async move {
            let mut longest = Duration::ZERO;
            while !stop.load(SeqCst) {
                let (number, begun) = (written.load(SeqCst), Instant::now());
                store
                    .setting_or_insert(&format!("n{number}"), vec![1; 100])
                    .await
                    .unwrap();
                longest = longest.max(begun.elapsed());
                written.store(number + 1, SeqCst);
            }
            longest
        }
    });
    while written.load(SeqCst) < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (before, to) = (written.load(SeqCst), data.path("backup"));
    store.backup(&to).await.unwrap();
    let after = written.load(SeqCst);
    stop.store(true, SeqCst);
    let longest = writer.await.unwrap();
    println!(
        "{} writes during the backup, the longest took {longest:?}",
        after - before
    );
    assert!(after > before, "the backup stopped the writer");
    assert!(longest < Duration::from_secs(1), "{longest:?}");

    assert_eq!(
        check(&to).unwrap().to_string(),
        format!("all is well (schema {})", schema(&to))
    );
    let copy = Connection::open(to.join(DATABASE)).unwrap();
    let has: u32 = copy
        .query_row(
            "SELECT count(*) FROM settings WHERE key LIKE 'n%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(has >= before && has <= after + 1, "{before} {has} {after}");
    let big: u32 = copy
        .query_row(
            "SELECT count(*) FROM settings WHERE length(value) = 1 << 20",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(big, 40);
    assert_eq!(
        maintenance::check(&data.folder()).unwrap().problems,
        [""; 0],
        "in use"
    );
    store.close().await;
}

#[tokio::test]
async fn a_backup_has_the_attachments_and_is_for_its_user_alone() {
    let data = Data::new();
    let store = data.open();
    data.attach("ab/one", b"one");
    data.attach("two", b"two");
    let to = data.path("backup");
    store.backup(&to).await.unwrap();
    fs::remove_file(data.folder().join(ATTACHMENTS).join("two")).unwrap();
    assert_eq!(fs::read(to.join("attachments/ab/one")).unwrap(), b"one");
    assert_eq!(fs::read(to.join("attachments/two")).unwrap(), b"two");
    #[cfg(unix)]
    for (path, mode) in [("", 0o700), (DATABASE, 0o600), (ATTACHMENTS, 0o700)] {
        use std::os::unix::fs::PermissionsExt;
        let is = fs::metadata(to.join(path)).unwrap().permissions().mode();
        assert_eq!(is & 0o777, mode, "{path}");
    }
    // Nothing is overwritten, and what an interrupted one left is not taken for one.
    assert!(matches!(
        store.backup(&to).await,
        Err(BackupError::Exists(_))
    ));
    fs::create_dir(data.path("later.partial")).unwrap();
    let left = store.backup(&data.path("later")).await;
    assert!(matches!(left, Err(BackupError::Interrupted(_))));
    store.close().await;
    backup(&data.folder(), &data.path("of a stopped server")).unwrap();
    let nothing = backup(&data.path("nowhere"), &data.path("of nothing"));
    assert!(matches!(nothing, Err(BackupError::Copy(_))), "{nothing:?}");
    assert!(!data.path("of nothing").exists() && !data.path("of nothing.partial").exists());
    let memory = SqliteStore::in_memory().unwrap();
    let refused = memory.backup(&data.path("memory")).await;
    assert!(matches!(refused, Err(BackupError::InMemory)));
}

#[tokio::test]
async fn restoring_brings_back_what_was_and_keeps_what_is() {
    let data = Data::new();
    let store = data.open();
    store.setting_or_insert("early", vec![1]).await.unwrap();
    data.attach("early", b"e");
    let from = data.path("backup");
    store.backup(&from).await.unwrap();
    store.setting_or_insert("late", vec![2]).await.unwrap();
    data.attach("late", b"l");
    // As after a kill: what was committed last is only in the log.
    let log = data.folder().join("voxhall.db-wal");
    let (database, log_bytes) = (fs::read(data.file()).unwrap(), fs::read(&log).unwrap());
    assert!(!log_bytes.is_empty());
    store.close().await;
    fs::write(data.file(), database).unwrap();
    fs::write(&log, log_bytes).unwrap();

    let restored = restore(&from, &data.folder()).unwrap();
    let kept = data.folder().join("voxhall.db.replaced-1");
    assert_eq!(restored.kept, Some(kept.clone()));
    let store = data.open();
    assert_eq!(store.setting_or_insert("early", vec![9]).await, Ok(vec![1]));
    assert_eq!(store.setting_or_insert("late", vec![9]).await, Ok(vec![9]));
    store.close().await;
    let attachments = data.folder().join(ATTACHMENTS);
    assert!(attachments.join("early").exists() && !attachments.join("late").exists());
    let kept = SqliteStore::open(&kept).unwrap();
    assert_eq!(kept.setting_or_insert("late", vec![9]).await, Ok(vec![2]));
    kept.close().await;
    assert!(data.folder().join("attachments.replaced-1/late").exists());

    // A second time, and into a folder that isn't there.
    let again = restore(&from, &data.folder()).unwrap();
    assert_eq!(
        again.kept,
        Some(data.folder().join("voxhall.db.replaced-2"))
    );
    let new = data.path("a new server");
    assert_eq!(restore(&from, &new).unwrap().kept, None);
    assert_eq!(check(&new).unwrap().problems, [""; 0]);
    assert!(new.join("attachments/early").exists());
}

#[tokio::test]
async fn what_is_in_use_damaged_or_too_new_is_not_restored() {
    let data = Data::new();
    let store = data.open();
    for n in 0..200 {
        store
            .setting_or_insert(&format!("{n}"), vec![n; 4_000])
            .await
            .unwrap();
    }
    let from = data.path("backup");
    store.backup(&from).await.unwrap();
    store.close().await;
    let refused = || {
        let before = fs::read(data.file()).unwrap();
        let refused = restore(&from, &data.folder()).unwrap_err();
        assert_eq!(fs::read(data.file()).unwrap(), before);
        assert!(!data.folder().join("voxhall.db.replaced-1").exists());
        refused
    };

    let lock = File::create(data.folder().join(LOCK)).unwrap();
    lock.lock().unwrap();
    assert!(matches!(refused(), RestoreError::InUse(_)));
    drop(lock);

    let copy = from.join(DATABASE);
    let good = fs::read(&copy).unwrap();
    let connection = Connection::open(&copy).unwrap();
    connection
        .pragma_update(None, "user_version", 1_000)
        .unwrap();
    drop(connection);
    assert!(matches!(
        refused(),
        RestoreError::Newer { found: 1_000, .. }
    ));

    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle..middle + 8_192].fill(0x5a);
    fs::write(&copy, bad).unwrap();
    assert!(matches!(refused(), RestoreError::Damaged(_)));
    for no_backup in [
        b"".as_slice(),
        b"not a database at all, but text of some length",
    ] {
        fs::write(&copy, no_backup).unwrap();
        assert!(matches!(refused(), RestoreError::Damaged(_)));
    }
    fs::remove_file(&copy).unwrap();
    assert!(matches!(
        refused(),
        RestoreError::Check(CheckError::Missing(_))
    ));
    fs::write(&copy, good).unwrap();
    restore(&from, &data.folder()).unwrap();
}

#[test]
fn rows_that_point_nowhere_are_found() {
    let data = Data::new();
    drop(data.open());
    let connection = Connection::open(data.file()).unwrap();
    connection
        .pragma_update(None, "foreign_keys", false)
        .unwrap();
    connection
        .execute_batch("INSERT INTO members (guild_id, user_id, joined_at_ms) VALUES (7, 8, 9)")
        .unwrap();
    let problems = check(&data.folder()).unwrap().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("users that are not there"))
    );
}

#[test]
fn attachments_that_are_lost_are_named_and_stop_no_restore() {
    let data = Data::new();
    drop(data.open());
    let connection = Connection::open(data.file()).unwrap();
    let files = "INSERT INTO users (id, name, name_key, kind, created_at_ms) VALUES (1, 'x', 'x', 'guest', 0);
         INSERT INTO files (id, uploader_id, name, announced, bytes, begun_at_ms, completed_at_ms, media_type) VALUES
             (5, 1, 'whole', 3, 3, 0, 0, 'text/plain'), (6, 1, 'lost', 3, 3, 0, 0, 'text/plain'),
             (7, 1, 'cut off', 3, 3, 0, 0, 'text/plain'), (8, 1, 'being uploaded', 3, 3, 0, NULL, NULL);";
    connection.execute_batch(files).unwrap();
    data.attach("5", b"abc");
    data.attach("7", b"a");
    let checked = check(&data.folder()).unwrap();
    assert_eq!(checked.problems, [""; 0]);
    let lost = "attachment 6 is missing or cut off; attachment 7 is missing or cut off";
    assert_eq!(checked.to_string(), lost);
    drop(connection);
    let from = data.path("backup");
    backup(&data.folder(), &from).unwrap();
    restore(&from, &data.folder()).unwrap();
    assert!(data.folder().join("attachments/5").exists());
}

/// A data folder, with room for others beside it.
struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        fs::create_dir(all.path().join("data")).unwrap();
        Self(all)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn folder(&self) -> PathBuf {
        self.path("data")
    }

    fn file(&self) -> PathBuf {
        self.folder().join(DATABASE)
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.file()).unwrap()
    }

    fn attach(&self, name: &str, bytes: &[u8]) {
        let path = self.folder().join(ATTACHMENTS).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn schema(folder: &Path) -> u32 {
    check(folder).unwrap().schema
}
