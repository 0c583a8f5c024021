//! SQLite behind one thread.
//!
//! All work runs on one named thread, in the order it was asked for. What is waiting together is committed together: each piece of
//! work has its own savepoint, and its answer goes out only after the commit, so a sync to disk is shared without any promise being
//! broken.

mod accounts;
mod guilds;
mod invites;
mod messages;
mod migrations;
mod settings;
mod writer;

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use writer::{Outcome, Work};

/// Work that may wait for the thread; who comes later waits to be let into the queue.
const QUEUE: usize = 1_024;

/// A store in one SQLite file, or in memory for tests.
///
/// Cheap to clone; the file is closed by [`SqliteStore::close`], or when the last clone is dropped.
#[derive(Clone)]
pub struct SqliteStore {
    queue: mpsc::Sender<Work>,
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
        Self::start(Connection::open(path).map_err(OpenError::Open)?)
    }

    /// A store that is gone when it is closed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::start(Connection::open_in_memory().map_err(OpenError::Open)?)
    }

    fn start(mut connection: Connection) -> Result<Self, OpenError> {
        configure(&connection).map_err(OpenError::Open)?;
        migrations::migrate(&mut connection)?;
        let (queue, work) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer::run(connection, work))
            .map_err(OpenError::Thread)?;
        Ok(Self { queue })
    }

    /// Finishes what was asked for so far and closes the file. Later calls fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Work::Close(done)).await.is_ok() {
            // An error means that another call closed it meanwhile.
            let _ = closed.await;
        }
    }

    /// Runs `work` in a transaction of its own; an error undoes what it did.
    async fn run<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Work::Job(Box::new(move |connection| {
            let result = connection.map_err(E::from).and_then(work);
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
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

macro_rules! from_sqlite {
    ($($error:ty),*) => {$(
        impl From<rusqlite::Error> for $error {
            fn from(error: rusqlite::Error) -> Self {
                StoreError::from(error).into()
            }
        }
    )*};
}
from_sqlite!(
    crate::SignUpError,
    crate::InviteError,
    crate::CreateInviteError,
    crate::PostError
);

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
        assert_eq!(panicked, Err(StoreError::Closed));
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
            assert!(
                matches!(&refused, Err(StoreError::Failed(why)) if why.contains("locked")),
                "{refused:?}"
            );
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
