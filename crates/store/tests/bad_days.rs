//! A full disk and a locked database: a clear refusal, and going on by itself when it is over.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use voxhall_store::{OpenError, Settings, SqliteStore, StoreError, maintenance};

/// The database that a child of these tests is to lock.
const FILE: &str = "VOXHALL_TEST_LOCK";

#[tokio::test]
async fn a_full_disk_refuses_everyone_and_recovers_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not tried: only root may mount a small disk");
        return;
    };
    let file = disk.path().join(maintenance::DATABASE);
    let store = SqliteStore::open(&file).unwrap();
    let mut stored = Vec::new();
    let mut key = 0;
    for round in 0..3 {
        store_some(&store, &mut key, 5, &mut stored).await.unwrap();
        let filler = disk.fill();
        let refused = store_some(&store, &mut key, 1_000, &mut stored).await;
        assert_eq!(refused, Err(StoreError::Full), "round {round}");
        let together = (0..50).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .setting_or_insert(&format!("t{n}"), vec![0; 9_000])
                    .await
            })
        });
        for one in together.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), Err(StoreError::Full));
        }
        // What is there can be read.
        assert_eq!(
            store.setting_or_insert(&stored[0], vec![]).await,
            Ok(value(&stored[0]))
        );
        fs::remove_file(filler).unwrap();
    }
    store_some(&store, &mut key, 5, &mut stored).await.unwrap();
    store.close().await;
    assert_eq!(maintenance::check(disk.path()).unwrap().problems, [""; 0]);
    let store = SqliteStore::open(&file).unwrap();
    for key in &stored {
        assert_eq!(store.setting_or_insert(key, vec![]).await, Ok(value(key)));
    }
    let lost = store.setting_or_insert("t7", vec![1]).await;
    assert_eq!(lost, Ok(vec![1]), "a refused write was stored");
    store.close().await;
}

async fn store_some(
    store: &SqliteStore,
    key: &mut u32,
    count: u32,
    stored: &mut Vec<String>,
) -> Result<(), StoreError> {
    for _ in 0..count {
        *key += 1;
        let key = format!("k{key}");
        store.setting_or_insert(&key, value(&key)).await?;
        stored.push(key);
    }
    Ok(())
}

fn value(key: &str) -> Vec<u8> {
    key.bytes().cycle().take(5_000).collect()
}

#[tokio::test]
async fn another_process_that_locks_the_database_is_named_in_time_and_outlived() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(maintenance::DATABASE);
    let store = SqliteStore::open(&file).unwrap();
    store.setting_or_insert("k", vec![1]).await.unwrap();
    let mut holder = locked_by_a_child(&file);
    let begun = Instant::now();
    let waiting = (0..300).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.setting_or_insert(&format!("n{n}"), vec![2]).await })
    });
    for one in waiting.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), Err(StoreError::Locked));
    }
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(2) && took < Duration::from_secs(5),
        "{took:?}"
    );
    // Killed: the system takes its lock away.
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(store.setting_or_insert("n7", vec![3]).await, Ok(vec![3]));
    store.close().await;
}

#[test]
fn a_database_that_another_program_keeps_for_itself_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(maintenance::DATABASE);
    drop(SqliteStore::open(&file).unwrap());
    let other = Connection::open(&file).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE other (a)")
        .unwrap();
    let refused = SqliteStore::open(&file).err().unwrap();
    assert!(matches!(refused, OpenError::Locked), "{refused}");
}

#[test]
fn what_is_no_database_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(maintenance::DATABASE);
    fs::write(&file, "a letter, not a database".repeat(100)).unwrap();
    let refused = SqliteStore::open(&file).err().unwrap();
    assert!(matches!(refused, OpenError::Corrupt(_)), "{refused}");
    assert!(refused.to_string().contains("Restore a backup"));
}

#[test]
#[ignore = "run as a child by the test of the lock"]
fn child_that_locks() {
    let file = env::var_os(FILE).expect("only as a child");
    let connection = Connection::open(file).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    println!("\nlocked");
    // Until the parent is gone, if it doesn't kill this first.
    let _ = std::io::stdin().read(&mut [0]);
}

fn locked_by_a_child(file: &Path) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_that_locks", "--ignored", "--nocapture"])
        .env(FILE, file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.map(Result::unwrap).any(|line| line == "locked"));
    child
}

/// A file system of 4 MiB in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[7; 4_096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: in a test that failed, the store has files open.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
