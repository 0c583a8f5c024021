//! SQLite: one thread writes, a few read, one tells what was written.
//!
//! The SQL of a concern stands in its own file here and uses three calls of [`SqliteStore`]:
//!
//! - [`SqliteStore::write`] runs a piece of work in a transaction. It is given a [`WriteTx`], which is a [`Connection`] (pass it on
//!   as `&Connection`) on which `tx.changed(Change::…)` says what subscribers are to be told. `Err` undoes what the work did and drops
//!   its changes.
//! - [`SqliteStore::read`] runs a question on a consistent snapshot, beside the writer. Whatever was acknowledged before is in it.
//! - [`SqliteStore::search`] is the same for questions that may take long. They wait for each other and for nobody else.
//!
//! ```ignore
//! self.write(move |tx| {
//!     tx.prepare_cached("UPDATE guilds SET name = ?2 WHERE id = ?1")?.execute((to_sql(guild.0), &name))?;
//!     let guild = read_guild(tx, guild)?;
//!     tx.changed(Change::GuildChanged(guild.clone()));
//!     Ok(guild)
//! })
//! .await
//! ```
//!
//! Writes run in the order in which they were asked for. What is waiting together is committed together: each piece of work has its
//! own savepoint, and its answer goes out only after the commit, so a sync to disk is shared without any promise being broken.
//! After the commit the announcer hands all changes to the subscriber (see [`SqliteStore::announce_to`]) in the order of
//! commits, and only then releases the answers. So who is answered was announced before.
//!
//! What to mind:
//!
//! - `?` turns a [`rusqlite::Error`] into [`StoreError`], and into each error enum that is listed in `errors.rs`. Only what is really
//!   exceptional may come as one: check for it, or use `ON CONFLICT DO NOTHING`, where a caller deserves a better word.
//! - No `DEFERRABLE` constraints: they fail at the commit, which others share.
//! - Use `prepare_cached`. A read that takes longer than 5 s is ended with [`StoreError::TooLong`].
//! - A subscriber must not wait for the store: the announcer that would bring the answer is waiting for the subscriber.

mod accounts;
mod announcer;
mod errors;
mod guilds;
mod invites;
mod messages;
mod migrations;
mod readers;
mod settings;
mod writer;

use std::{path::Path, thread::JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{Change, StoreError};
use announcer::{Announcer, Subscriber};
use errors::guarded;
use readers::Readers;
use writer::{Outcome, Work, WriteTx, Writer};

/// Work that may wait for the thread; who comes later waits to be let into the queue.
const QUEUE: usize = 1_024;
/// Threads for questions that are answered soon.
const READERS: usize = 2;
/// How long to wait for another program that has locked the file.
const BUSY: std::time::Duration = std::time::Duration::from_secs(3);

/// A store in one SQLite file, or in memory for tests.
///
/// Cheap to clone; the file is closed by [`SqliteStore::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct SqliteStore {
    queue: mpsc::Sender<Work>,
    /// None for a store in memory, where there is only the writer's connection.
    readers: Option<Pools>,
    subscriber: Subscriber,
}

#[derive(Clone)]
struct Pools {
    quick: Readers,
    searching: Readers,
}

/// Why a database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the database was last used by a newer Voxhall (its schema is {found}, this program knows up to {known}). \
         Start the newer program, or restore the backup from before the upgrade"
    )]
    Newer { found: u32, known: u32 },
    #[error("can't open the database: {0}")]
    Open(#[source] rusqlite::Error),
    #[error("can't bring the database to schema {version}: {source}")]
    Migrate {
        version: u32,
        source: rusqlite::Error,
    },
    #[error("can't start the database thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl SqliteStore {
    /// Opens or makes the database file, and brings it to this build's schema.
    ///
    /// # Errors
    /// See [`OpenError`]; the file is left as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = prepare(Connection::open(path).map_err(OpenError::Open)?)?;
        let mut threads = Vec::new();
        let pools = Pools {
            quick: Readers::start(path, "store-read", READERS, &mut threads)?,
            searching: Readers::start(path, "store-search", 1, &mut threads)?,
        };
        Self::start(connection, Some(pools), threads)
    }

    /// A store that is gone when it is closed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn in_memory() -> Result<Self, OpenError> {
        let connection = prepare(Connection::open_in_memory().map_err(OpenError::Open)?)?;
        Self::start(connection, None, Vec::new())
    }

    fn start(
        connection: Connection,
        readers: Option<Pools>,
        threads: Vec<JoinHandle<()>>,
    ) -> Result<Self, OpenError> {
        let subscriber = Subscriber::default();
        let announcer = Announcer::start(subscriber.clone()).map_err(OpenError::Thread)?;
        let (queue, work) = mpsc::channel(QUEUE);
        let writer = Writer {
            connection,
            work,
            announcer,
            readers: threads,
        };
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            queue,
            readers,
            subscriber,
        })
    }

    /// Has `told` called with the changes of every write that is committed from now on, in the order of commits, before the callers
    /// of these writes are answered. It runs on a thread of the store, must not wait for the store, and takes the place of the
    /// one before it.
    pub fn announce_to(&self, told: impl FnMut(Vec<Change>) + Send + 'static) {
        self.subscriber.set(told);
    }

    /// Finishes the writes asked for so far, tells of them, and closes the file. Later calls fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.quick.close().await;
            readers.searching.close().await;
        }
        let (done, closed) = oneshot::channel();
        if self.queue.send(Work::Close(done)).await.is_ok() {
            // An error means that another call closed it meanwhile.
            let _ = closed.await;
        }
    }

    /// Runs `work` in a transaction of its own; an error undoes what it did.
    async fn write<T, E>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Work::Job(Box::new(move |tx| {
            let result = match tx {
                Ok(tx) => guarded(|| work(tx)),
                Err(error) => Err(error.into()),
            };
            Outcome {
                keep: result.is_ok(),
                // The asker may be gone; its work is done all the same.
                answer: Box::new(move |commit| {
                    drop(answer.send(commit.map_err(E::from).and(result)));
                }),
            }
        }));
        let closed = |()| E::from(StoreError::Closed);
        self.queue.send(job).await.map_err(|_| closed(()))?;
        answered.await.map_err(|_| closed(()))?
    }

    /// Answers a question that takes milliseconds.
    async fn read<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.readers {
            Some(pools) => pools.quick.ask(work).await,
            None => self.write(move |tx| work(tx)).await,
        }
    }

    /// Answers a question that may take seconds.
    async fn search<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.readers {
            Some(pools) => pools.searching.ask(work).await,
            None => self.write(move |tx| work(tx)).await,
        }
    }

    /// [`SqliteStore::write`] without changes.
    async fn run<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write(move |tx| work(tx)).await
    }
}

fn prepare(mut connection: Connection) -> Result<Connection, OpenError> {
    configure(&connection).map_err(OpenError::Open)?;
    migrations::migrate(&mut connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxhall_protocol::limits::MAX_GUILD_MEMBERS;

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
            .run(move |c| {
                c.execute(insert, [])?;
                Err(StoreError::Failed("on purpose".into()))
            })
            .await;
        assert!(failed.is_err());
        let panicked: Result<(), StoreError> = store
            .run(move |c| {
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
            .run(move |c| Ok::<_, StoreError>(c.query_row(wait, [], |_| Ok(()))?))
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
            .run(move |c| Ok::<_, StoreError>(c.execute_batch(&fill)?))
            .await
            .unwrap();
        let sign_up = |name, token| {
            let new = conformance::guest(name, token);
            store.sign_up(conformance::by_invite(new, "g-invite"))
        };
        let last = sign_up("last", 1).await.unwrap();
        let refused = SignUpError::Invite(InviteError::GuildFull);
        assert_eq!(sign_up("late", 2).await, Err(refused));
        assert_eq!(store.device_by_token([2; 32], 0).await, Ok(None));
        // Who is a member already is let through.
        let again = store.redeem_invite("g-invite", last.user.id, 0).await;
        assert!(!again.unwrap().new_member);
    }

    #[tokio::test]
    async fn a_lost_transaction_is_never_acknowledged() {
        let store = SqliteStore::in_memory().unwrap();
        // What SQLite does by itself when the disk is full: the whole transaction is gone.
        let (first, lost, after) = tokio::join!(
            store.setting_or_insert("a", vec![1]),
            store.run(|c| {
                c.execute_batch("ROLLBACK")?;
                Ok::<(), StoreError>(())
            }),
            store.setting_or_insert("b", vec![2]),
        );
        assert!(lost.is_err());
        let stored = |key: &'static str| {
            store.run(move |c| {
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
}
