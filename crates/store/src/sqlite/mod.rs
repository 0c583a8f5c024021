//! SQLite: one thread writes, a few read, one tells what was written.
//!
//! The SQL of a concern stands in its own file here and uses these calls of [`SqliteStore`]:
//!
//! - [`SqliteStore::write`] runs a piece of work in a transaction. It is given a [`WriteTx`], which is a [`Connection`] (pass it on
//!   as `&Connection`) on which `tx.changed(Change::…)` says what subscribers are to be told. `Err` undoes what the work did and drops
//!   its changes.
//! - [`SqliteStore::read`] runs a question on a consistent snapshot, beside the writer. Whatever was acknowledged before is in it.
//! - [`SqliteStore::search`] is the same for questions that may take long. They wait for each other and for nobody else.
//! - [`SqliteStore::load`] reads whole tables when a server starts, however long it takes.
//!
//! ```ignore
//! self.write(move |tx| {
//!     tx.prepare_cached("UPDATE guilds SET name = ?2 WHERE id = ?1")?.execute((to_sql(guild.0), &name))?;
//!     let guild = read_guild(tx, guild)?;
//!     tx.changed(Change::GuildUpdated(guild.clone()));
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
mod audit;
mod calls;
mod channels;
mod conversations;
mod devices;
mod errors;
mod files;
mod forget;
mod guilds;
mod invites;
mod keys;
pub mod maintenance;
mod members;
mod messages;
mod migrations;
mod people;
mod readers;
mod reads;
mod roles;
mod search;
mod server_bans;
mod settings;
mod stages;
mod stats;
mod totals;
mod uploads;
mod users;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{Change, StoreError};
use announcer::{Announcer, Subscriber};
use errors::guarded;
use readers::Readers;
pub use stats::WriterStats;
use writer::{Outcome, Work, WriteTx, Writer};

/// Work that may wait for the thread; who comes later waits to be let into the queue.
const QUEUE: usize = 1_024;
/// Threads for questions that are answered soon.
const READERS: usize = 2;
/// A snapshot that stays open longer would keep the write-ahead log from being emptied.
const READ_FOR: Duration = Duration::from_secs(5);
/// How long to wait for another program that has locked the file.
const BUSY: Duration = Duration::from_secs(3);
/// The write-ahead log is cut to this when it is emptied.
const LOG_BYTES: u32 = 16 << 20;

/// A store in one SQLite file, or in memory for tests.
///
/// Cheap to clone; the file is closed by [`SqliteStore::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct SqliteStore {
    /// None for a store in memory.
    file: Option<Arc<Path>>,
    queue: mpsc::Sender<Work>,
    /// None for a store in memory, where there is only the writer's connection.
    readers: Option<Pools>,
    subscriber: Subscriber,
    stats: Arc<WriterStats>,
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
    #[error("another program has locked the database. Stop it, and start again")]
    Locked,
    #[error("the database is damaged ({0}). Restore a backup")]
    Corrupt(#[source] rusqlite::Error),
    #[error(
        "the disk of the database is full or can't be written ({0}). Make room, and start again"
    )]
    Full(#[source] rusqlite::Error),
    #[error("can't open the database: {0}")]
    Open(#[source] rusqlite::Error),
    #[error("the database can't be made durable here: {0}")]
    NotDurable(&'static str),
    #[error("can't keep {} before bringing the database to a new schema: {source}", before.display())]
    KeepBefore {
        before: PathBuf,
        source: maintenance::CopyError,
    },
    #[error("can't bring the database to schema {version}: {source}")]
    Migrate {
        version: u32,
        source: rusqlite::Error,
    },
    #[error("can't bring the database to a new schema: {0}")]
    Dangling(String),
    #[error("can't start the database thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl SqliteStore {
    /// Opens or makes the database file, and brings it to this build's schema.
    ///
    /// # Errors
    /// See [`OpenError`]; the file is left as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = prepare(Connection::open(path)?, Some(path))?;
        let mut threads = Vec::new();
        let pools = Pools {
            quick: Readers::start(path, "store-read", READERS, READ_FOR, &mut threads)?,
            searching: Readers::start(path, "store-search", 1, READ_FOR, &mut threads)?,
        };
        Self::start(Some(path), connection, Some(pools), threads)
    }

    /// A store that is gone when it is closed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn in_memory() -> Result<Self, OpenError> {
        let connection = prepare(Connection::open_in_memory()?, None)?;
        Self::start(None, connection, None, Vec::new())
    }

    fn start(
        file: Option<&Path>,
        connection: Connection,
        readers: Option<Pools>,
        threads: Vec<JoinHandle<()>>,
    ) -> Result<Self, OpenError> {
        let subscriber = Subscriber::default();
        let announcer = Announcer::start(subscriber.clone()).map_err(OpenError::Thread)?;
        let (queue, work) = mpsc::channel(QUEUE);
        let stats = Arc::new(WriterStats::default());
        let writer = Writer {
            connection,
            work,
            announcer,
            stats: Arc::clone(&stats),
            log: file.map(|file| files::with_ending(file, "-wal")),
            readers: threads,
        };
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            file: file.map(Arc::from),
            queue,
            readers,
            subscriber,
            stats,
        })
    }

    /// What the writer has done so far.
    pub fn writer_stats(&self) -> &WriterStats {
        &self.stats
    }

    /// How many writes wait to be done, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        let most = self.queue.max_capacity();
        (most - self.queue.capacity(), most)
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

    /// Reads what a server holds in memory, at its start: without a limit of time, and before there is anything to write.
    async fn load<T, E>(
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

fn prepare(mut connection: Connection, file: Option<&Path>) -> Result<Connection, OpenError> {
    configure(&connection)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if file.is_some() && mode != "wal" {
        return Err(OpenError::NotDurable(
            "its file system has no write-ahead log. Choose a local disk",
        ));
    }
    migrations::migrate(&mut connection, file)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The log is synced before a commit returns. Elsewhere than on macOS a sync is a full one anyway.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

#[cfg(test)]
mod tests;
