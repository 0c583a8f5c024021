use std::{
    pin::Pin,
    sync::{Mutex, mpsc as std_mpsc},
    task::Poll,
    time::Instant,
};

use voxhall_protocol::{UserId, limits::MAX_GUILD_MEMBERS};

use super::*;
use crate::{Accounts, Guilds, InviteError, Invites, Settings, SignUpError, conformance};

#[tokio::test]
async fn a_file_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::run_all(|| {
        count.set(count.get() + 1);
        SqliteStore::open(&folder.path().join(format!("{}.db", count.get()))).unwrap()
    })
    .await;
}

#[tokio::test]
async fn memory_conforms() {
    conformance::run_all(|| SqliteStore::in_memory().unwrap()).await;
}

#[tokio::test]
async fn what_was_stored_is_there_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.db");
    let store = SqliteStore::open(&path).unwrap();
    store.setting_or_insert("k", vec![1]).await.unwrap();
    store.close().await;
    assert_eq!(
        store.setting_or_insert("k", vec![2]).await,
        Err(StoreError::Closed)
    );
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.setting_or_insert("k", vec![2]).await, Ok(vec![1]));
}

#[tokio::test]
async fn work_that_fails_or_panics_leaves_nothing_and_harms_nobody() {
    let store = SqliteStore::in_memory().unwrap();
    let insert = "INSERT INTO settings VALUES ('x', x'01')";
    let failed: Result<(), StoreError> = store
        .write(move |c| {
            c.execute(insert, [])?;
            Err(StoreError::Failed("on purpose".into()))
        })
        .await;
    assert!(failed.is_err());
    let panicked: Result<(), StoreError> = store
        .write(move |c| {
            c.execute(insert, [])?;
            panic!("on purpose")
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::Failed(_))));
    assert_eq!(store.setting_or_insert("x", vec![7]).await, Ok(vec![7]));
}

#[tokio::test]
async fn who_asks_a_locked_database_is_told_so_and_once_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.db");
    let store = SqliteStore::open(&path).unwrap();
    let wait = "PRAGMA busy_timeout = 50";
    store
        .write(move |c| Ok::<_, StoreError>(c.query_row(wait, [], |_| Ok(()))?))
        .await
        .unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (first, second) = tokio::join!(
        store.setting_or_insert("a", vec![1]),
        store.setting_or_insert("b", vec![1]),
    );
    for refused in [first, second] {
        assert_eq!(refused, Err(StoreError::Locked));
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.setting_or_insert("a", vec![2]).await, Ok(vec![2]));
}

#[tokio::test]
async fn when_no_page_is_left_nobody_is_promised_anything_and_room_is_used_at_once() {
    let (_folder, store) = file_store();
    let limit = |pages: &'static str| {
        let set = format!("PRAGMA max_page_count = {pages}");
        store.write(move |tx| Ok::<_, StoreError>(tx.query_row(&set, [], |_| Ok(()))?))
    };
    count_up(&store, true).await.unwrap();
    // As many as there are.
    limit("1").await.unwrap();
    let big = |key: &'static str| store.setting_or_insert(key, vec![1; 100_000]);
    assert_eq!(big("a").await, Err(StoreError::Full));
    // Who shares the transaction with such a one isn't told otherwise than it is.
    let (small, big_one, late) =
        tokio::join!(count_up(&store, true), big("b"), count_up(&store, true));
    assert_eq!(big_one, Err(StoreError::Full));
    for one in [&small, &late] {
        assert!(matches!(one, Ok(_) | Err(StoreError::Full)), "{one:?}");
    }
    let stored = u32::from(small.is_ok()) + u32::from(late.is_ok());
    assert_eq!(store.read(count).await, Ok(1 + stored));
    limit("1000000").await.unwrap();
    assert!(big("a").await.is_ok());
}

#[tokio::test]
async fn a_full_guild_takes_nobody_and_is_left_as_it_was() {
    let store = SqliteStore::in_memory().unwrap();
    let guild = store.default_guild(conformance::new_guild("g")).await;
    let guild = guild.unwrap().id.0;
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 98 + {MAX_GUILD_MEMBERS})
         INSERT INTO users (id, name, name_key, kind, created_at_ms) SELECT i, 'x', 'x', 'guest', 0 FROM n;
         INSERT INTO members (guild_id, user_id, joined_at_ms) SELECT {guild}, id, 0 FROM users;"
    );
    store
        .write(move |c| Ok::<_, StoreError>(c.execute_batch(&fill)?))
        .await
        .unwrap();
    let sign_up = |name, token| {
        let new = conformance::guest(name, token);
        store.sign_up(conformance::by_invite(new, "g-invite"))
    };
    let last = sign_up("last", 1).await.unwrap();
    let refused = SignUpError::Invite(InviteError::GuildFull);
    assert_eq!(sign_up("late", 2).await, Err(refused));
    let late = "SELECT count(*) FROM users WHERE name = 'late'";
    let users =
        store.read(move |c| Ok::<u32, StoreError>(c.query_row(late, [], |row| row.get(0))?));
    assert_eq!(users.await, Ok(0));
    // Who is a member already is let through.
    let again = store.redeem_invite("g-invite", last.user.id, None, 0).await;
    assert!(!again.unwrap().new_member);
}

#[tokio::test]
async fn a_lost_transaction_is_never_acknowledged() {
    let store = SqliteStore::in_memory().unwrap();
    // What SQLite does by itself when the disk is full: the whole transaction is gone.
    let (first, lost, after) = tokio::join!(
        store.setting_or_insert("a", vec![1]),
        store.write(|c| {
            c.execute_batch("ROLLBACK")?;
            Ok::<(), StoreError>(())
        }),
        store.setting_or_insert("b", vec![2]),
    );
    assert!(lost.is_err());
    let stored = |key: &'static str| {
        store.write(move |c| {
            Ok::<bool, StoreError>(c.query_row(
                "SELECT EXISTS (SELECT 1 FROM settings WHERE key = ?1)",
                [key],
                |r| r.get(0),
            )?)
        })
    };
    assert_eq!(stored("a").await.unwrap(), first.is_ok());
    assert_eq!(stored("b").await.unwrap(), after.is_ok());
    assert!(after.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_was_told_in_the_order_of_commits_before_it_was_acknowledged() {
    let (_folder, store) = file_store();
    let heard = listen(&store);
    let writers: Vec<_> = (0..300)
        .map(|task| {
            let (store, heard) = (store.clone(), Arc::clone(&heard));
            tokio::spawn(async move {
                let stored = count_up(&store, task % 7 != 0).await;
                if let Ok(number) = stored {
                    assert!(heard.lock().unwrap().contains(&number.into()));
                }
                stored.is_ok()
            })
        })
        .collect();
    let mut stored = 0_u32;
    for writer in writers {
        stored += u32::from(writer.await.unwrap());
    }
    // Each took the number after the one before: a change of work that was undone would stand out.
    assert_eq!(
        *heard.lock().unwrap(),
        (0..stored.into()).collect::<Vec<_>>()
    );
    assert_eq!(store.read(count).await, Ok(stored));
}

#[tokio::test]
async fn nobody_is_answered_before_the_subscriber_returns_and_the_writer_goes_on_meanwhile() {
    let (_folder, store) = file_store();
    let (returns, returned) = std_mpsc::sync_channel(1);
    store.announce_to(move |_| returned.recv().unwrap());
    let first = count_up(&store, true);
    let mut first = std::pin::pin!(first);
    assert!(poll_once(first.as_mut()).await.is_none());
    let (ran, wait) = oneshot::channel();
    let second = store.write(move |tx| {
        ran.send(count(tx)).unwrap();
        Ok::<_, StoreError>(())
    });
    let mut second = std::pin::pin!(second);
    assert!(poll_once(second.as_mut()).await.is_none());
    assert_eq!(wait.await.unwrap(), Ok(1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(poll_once(first.as_mut()).await.is_none());
    assert!(poll_once(second.as_mut()).await.is_none());
    returns.send(()).unwrap();
    assert_eq!(first.await, Ok(0));
    assert_eq!(second.await, Ok(()));
}

#[tokio::test]
async fn a_subscriber_that_panics_keeps_nobody_waiting() {
    let (_folder, store) = file_store();
    let mut calls = 0;
    store.announce_to(move |_| {
        calls += 1;
        assert!(calls != 2, "on purpose");
    });
    for number in 0..3 {
        assert_eq!(count_up(&store, true).await, Ok(number));
    }
    store.close().await;
}

#[tokio::test]
async fn a_long_search_delays_neither_writes_nor_reads_and_sees_one_state() {
    let (_folder, store) = file_store();
    count_up(&store, true).await.unwrap();
    let (began, searching) = oneshot::channel();
    let (end, ends) = std_mpsc::sync_channel(1);
    let search = store.search(move |c| {
        let before = count(c)?;
        began.send(()).unwrap();
        ends.recv().unwrap();
        Ok::<_, StoreError>((before, count(c)?))
    });
    let mut search = std::pin::pin!(search);
    assert!(poll_once(search.as_mut()).await.is_none());
    searching.await.unwrap();
    for number in 1..20 {
        assert_eq!(count_up(&store, true).await, Ok(number));
        assert_eq!(store.read(count).await, Ok(number + 1));
    }
    end.send(()).unwrap();
    assert_eq!(search.await, Ok((1, 1)));
}

/// Runs for as long as it is let.
fn endless(c: &Connection) -> Result<u32, StoreError> {
    let sql =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    Ok(c.query_row(sql, [], |row| row.get(0))?)
}

#[tokio::test]
async fn a_read_that_takes_too_long_panics_or_writes_is_refused_and_harms_nobody() {
    let (folder, store) = file_store();
    let file = folder.path().join(maintenance::DATABASE);
    let mut threads = Vec::new();
    let limit = Duration::from_millis(50);
    let reader = Readers::start(&file, "test", 1, limit, &mut threads).unwrap();
    assert_eq!(reader.ask(endless).await, Err(StoreError::TooLong));
    let panicked = reader.ask(|_| -> Result<(), StoreError> { panic!("on purpose") });
    assert!(matches!(panicked.await, Err(StoreError::Failed(_))));
    let wrote = reader.ask(|c| Ok::<_, StoreError>(c.execute(INSERT, [7])?));
    assert!(matches!(wrote.await, Err(StoreError::Failed(_))));
    assert_eq!(reader.ask(count).await, Ok(0));
    count_up(&store, true).await.unwrap();
    assert_eq!(reader.ask(count).await, Ok(1));
    reader.close().await;
    assert_eq!(reader.ask(count).await, Err(StoreError::Closed));
}

#[tokio::test]
async fn closing_waits_for_no_search_and_leaves_one_file() {
    let (folder, store) = file_store();
    count_up(&store, true).await.unwrap();
    let search = tokio::spawn({
        let store = store.clone();
        async move { store.search(endless).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    store.close().await;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert!(search.await.unwrap().is_err());
    assert_eq!(store.read(count).await, Err(StoreError::Closed));
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(files, [maintenance::DATABASE]);
}

#[tokio::test]
async fn a_commit_is_on_disk_when_it_is_acknowledged() {
    let (_folder, store) = file_store();
    let pragmas = store.write(|tx| {
        let get = |name| tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let mode: String = tx.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let full = (
            get("synchronous")?,
            get("fullfsync")?,
            get("checkpoint_fullfsync")?,
        );
        Ok::<_, StoreError>((mode, full, get("foreign_keys")?))
    });
    assert_eq!(pragmas.await.unwrap(), ("wal".into(), (2, 1, 1), 1));
}

#[tokio::test]
async fn the_log_is_cut_when_readers_kept_it_from_being_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(maintenance::DATABASE);
    let store = SqliteStore::open(&file).unwrap();
    let log = files::with_ending(&file, "-wal");
    let log_bytes = || std::fs::metadata(&log).unwrap().len();
    let other = Connection::open(&file).unwrap();
    other
        .execute_batch("BEGIN; SELECT * FROM settings")
        .unwrap();
    let fill = |bytes: u32| {
        let sql = "INSERT INTO settings (key, value) VALUES ('k', randomblob(?1)) ON CONFLICT DO UPDATE SET value = excluded.value";
        store.write(move |tx| Ok::<_, StoreError>(tx.execute(sql, [bytes])?))
    };
    for _ in 0..3 {
        fill(30 << 20).await.unwrap();
    }
    assert!(log_bytes() > 64 << 20);
    other.execute_batch("ROLLBACK").unwrap();
    for _ in 0..256 {
        fill(1).await.unwrap();
    }
    assert!(log_bytes() <= u64::from(LOG_BYTES), "{}", log_bytes());
}

fn file_store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join(maintenance::DATABASE)).unwrap();
    (folder, store)
}

/// Collects what is told from now on.
fn listen(store: &SqliteStore) -> Arc<Mutex<Vec<u64>>> {
    let heard = Arc::<Mutex<Vec<u64>>>::default();
    let told = Arc::clone(&heard);
    store.announce_to(move |changes| {
        told.lock()
            .unwrap()
            .extend(changes.iter().map(|change| match change {
                Change::UserDeleted(number) => number.0,
                other => panic!("{other:?}"),
            }));
    });
    heard
}

const INSERT: &str = "INSERT INTO settings (key, value) VALUES (?1, x'')";

/// Stores one setting more and tells how many there were, unless it fails at the end.
async fn count_up(store: &SqliteStore, succeeds: bool) -> Result<u32, StoreError> {
    let write = store.write(move |tx| {
        let number = count(tx)?;
        tx.prepare_cached(INSERT)?.execute([number.to_string()])?;
        // Anything that has a number in it.
        tx.changed(Change::UserDeleted(UserId(number.into())));
        succeeds
            .then_some(number)
            .ok_or(StoreError::Failed("on purpose".into()))
    });
    write.await
}

fn count(c: &Connection) -> Result<u32, StoreError> {
    Ok(c.query_row("SELECT count(*) FROM settings", [], |row| row.get(0))?)
}

async fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    let mut future = Some(future);
    std::future::poll_fn(move |cx| {
        let polled = future.take().expect("polled once").poll(cx);
        Poll::Ready(match polled {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}
