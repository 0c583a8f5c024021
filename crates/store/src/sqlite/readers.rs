//! Threads that only read, each with a connection of its own, so that nobody's long question delays a write.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::{OpenError, configure, errors::guarded};
use crate::StoreError;

/// Questions that may wait for a thread of their pool; who comes later waits to be let in.
const QUEUE: usize = 256;
/// SQLite's instructions between two looks at the clock: well under a millisecond.
const LOOK_EVERY: i32 = 10_000;

enum Read {
    Job(Job),
    /// Ends the thread that takes it.
    Close,
}

/// Given why there is nothing to read from, a job only passes that on.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

/// Some threads that share a queue.
#[derive(Clone)]
pub(super) struct Readers {
    queue: mpsc::Sender<Read>,
    threads: usize,
    closing: Arc<AtomicBool>,
}

impl Readers {
    pub fn start(
        path: &Path,
        name: &str,
        threads: usize,
        longest: Duration,
        running: &mut Vec<JoinHandle<()>>,
    ) -> Result<Self, OpenError> {
        let (queue, reads) = mpsc::channel(QUEUE);
        let reads = Arc::new(Mutex::new(reads));
        let closing = Arc::<AtomicBool>::default();
        for number in 0..threads {
            let limit = Arc::new(Limit {
                longest,
                until: Mutex::new(Instant::now()),
                closing: Arc::clone(&closing),
            });
            let connection = open(path, Arc::clone(&limit))?;
            let reads = Arc::clone(&reads);
            let thread = Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || run(&connection, &reads, &limit))
                .map_err(OpenError::Thread)?;
            running.push(thread);
        }
        Ok(Self {
            queue,
            threads,
            closing,
        })
    }

    /// Runs `work` on one consistent state of the database.
    pub async fn ask<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = match connection {
                Ok(connection) => guarded(|| work(connection)),
                Err(error) => Err(error.into()),
            };
            // The asker may be gone.
            drop(answer.send(result));
        });
        let closed = |()| E::from(StoreError::Closed);
        let sent = self.queue.send(Read::Job(job)).await;
        sent.map_err(|_| closed(()))?;
        answered.await.map_err(|_| closed(()))?
    }

    /// Ends the threads, and what takes them long. Somebody else joins them.
    pub async fn close(&self) {
        self.closing.store(true, Relaxed);
        for _ in 0..self.threads {
            // An error means that they have ended already.
            drop(self.queue.send(Read::Close).await);
        }
    }
}

fn open(path: &Path, limit: Arc<Limit>) -> rusqlite::Result<Connection> {
    // Not read-only: the last connection to be closed empties the write-ahead log, whichever it is.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.progress_handler(LOOK_EVERY, Some(move || limit.is_over()))?;
    Ok(connection)
}

fn run(connection: &Connection, reads: &Mutex<mpsc::Receiver<Read>>, limit: &Limit) {
    loop {
        let next = {
            let mut reads = reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.blocking_recv()
        };
        let Some(Read::Job(job)) = next else { return };
        limit.restart();
        match connection.execute_batch("BEGIN") {
            Ok(()) => job(Ok(connection)),
            Err(error) => job(Err(error.into())),
        }
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a reader could not let go of its snapshot");
        }
    }
}

/// When a reader has to give up.
struct Limit {
    longest: Duration,
    until: Mutex<Instant>,
    closing: Arc<AtomicBool>,
}

impl Limit {
    fn restart(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + self.longest;
    }

    fn is_over(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        self.closing.load(Relaxed) || Instant::now() > until
    }
}
