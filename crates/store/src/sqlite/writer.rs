//! The thread that owns the connection which writes.

use std::{
    cell::RefCell,
    fs,
    ops::Deref,
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    BUSY,
    announcer::{Announcer, Answer, Ended},
    stats::WriterStats,
};
use crate::{Change, StoreError};

/// Pieces of work that share one commit at most.
const BATCH: usize = 64;
/// SQLite empties the write-ahead log about every 4 MiB, unless there is always someone who reads from it.
const LOG_TOO_LONG: u64 = 64 << 20;
/// Transactions between two looks at how long it is.
const LOOK_EVERY: u32 = 256;
/// How long writers may wait for readers when it is too long.
const WAIT_FOR_READERS: Duration = Duration::from_millis(100);

pub(super) enum Work {
    Job(Job),
    /// Answered when the file is closed.
    Close(oneshot::Sender<()>),
}

/// Given why there is no transaction to work in, a job only passes that on.
pub(super) type Job = Box<dyn FnOnce(Result<&WriteTx<'_>, StoreError>) -> Outcome + Send>;

pub(super) struct Outcome {
    /// Whether what the job did is to stay.
    pub keep: bool,
    pub answer: Answer,
}

/// The connection within a transaction, and what is to be told after its commit.
pub(super) struct WriteTx<'c> {
    connection: &'c Connection,
    changes: RefCell<Vec<Change>>,
}

impl WriteTx<'_> {
    /// Has `change` announced if this piece of work is committed.
    pub fn changed(&self, change: Change) {
        self.changes.borrow_mut().push(change);
    }
}

impl Deref for WriteTx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// The database lets nobody write now.
struct Refused {
    why: StoreError,
    jobs: Vec<Job>,
}

pub(super) struct Writer {
    pub connection: Connection,
    pub work: mpsc::Receiver<Work>,
    pub announcer: Announcer,
    pub stats: Arc<WriterStats>,
    /// None for a store in memory.
    pub log: Option<PathBuf>,
    /// They end by themselves; the file is closed after them.
    pub readers: Vec<JoinHandle<()>>,
}

impl Writer {
    pub fn run(mut self) {
        let closing = self.run_until_closed();
        for reader in self.readers {
            if reader.join().is_err() {
                tracing::error!("a reader ended by a fault");
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the database did not close cleanly; nothing stored is lost");
        }
        self.announcer.finish();
        if let Some(done) = closing {
            // Who closed may be gone.
            let _ = done.send(());
        }
    }

    fn run_until_closed(&mut self) -> Option<oneshot::Sender<()>> {
        let mut closing = None;
        let mut batch = Vec::with_capacity(BATCH);
        let mut transactions = 0_u32;
        while closing.is_none() {
            if self.work.blocking_recv_many(&mut batch, BATCH) == 0 {
                break;
            }
            let jobs = take_jobs(&mut batch, &mut closing);
            if let Err(Refused { why, mut jobs }) = self.run_batch(jobs) {
                // It took its time to refuse, and would for each of those that wait. Only then is anyone answered: who asks after
                // hearing of it is tried.
                while let Ok(item) = self.work.try_recv() {
                    batch.push(item);
                }
                jobs.append(&mut take_jobs(&mut batch, &mut closing));
                self.refuse(jobs, &why);
            }
            transactions = transactions.wrapping_add(1);
            if transactions.is_multiple_of(LOOK_EVERY)
                && let Err(error) = self.bound_log()
            {
                tracing::warn!(%error, "the write-ahead log can't be emptied now; nothing stored is lost");
            }
        }
        closing
    }

    fn bound_log(&self) -> rusqlite::Result<()> {
        let length = self.log.as_ref().and_then(|log| fs::metadata(log).ok());
        if length.is_none_or(|log| log.len() < LOG_TOO_LONG) {
            return Ok(());
        }
        self.connection.busy_timeout(WAIT_FOR_READERS)?;
        let emptied = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.connection.busy_timeout(BUSY)?;
        emptied
    }

    /// Fails where the database lets nobody write now.
    fn run_batch(&self, jobs: Vec<Job>) -> Result<(), Refused> {
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(jobs.len());
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            if self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("BEGIN IMMEDIATE")
            {
                tracing::error!(%error, "the database refuses to begin a transaction");
                return Err(Refused {
                    why: error.into(),
                    jobs: std::iter::once(job).chain(jobs).collect(),
                });
            }
            answers.push(self.run_job(job, &mut changes));
            if self.connection.is_autocommit() {
                // SQLite itself rolls everything back where it can't write, in the middle of a statement.
                tracing::error!("a transaction was lost; is the disk full?");
                let lost = StoreError::Full;
                self.tell(Err(lost), &mut changes, &mut answers);
            }
        }
        if !self.connection.is_autocommit() {
            let began = Instant::now();
            let committed = self.connection.execute_batch("COMMIT").map_err(|error| {
                tracing::error!(%error, "the database could not commit");
                // Where SQLite has rolled back by itself, this fails.
                let _ = self.connection.execute_batch("ROLLBACK");
                StoreError::from(error)
            });
            match committed {
                Ok(()) => self.stats.committed(answers.len(), began.elapsed()),
                Err(_) => self.stats.refused(),
            }
            self.tell(committed, &mut changes, &mut answers);
        }
        Ok(())
    }

    fn run_job(&self, job: Job, changes: &mut Vec<Change>) -> Answer {
        let connection = &self.connection;
        if let Err(error) = connection.execute_batch("SAVEPOINT job") {
            tracing::error!(%error, "the database refuses to begin a savepoint");
            return job(Err(error.into())).answer;
        }
        let tx = WriteTx {
            connection,
            changes: RefCell::default(),
        };
        let Outcome { keep, answer } = job(Ok(&tx));
        let end = if keep {
            changes.append(&mut tx.changes.into_inner());
            "RELEASE job"
        } else {
            "ROLLBACK TO job; RELEASE job"
        };
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch(end)
        {
            // The whole batch goes: a half-kept job must not be committed.
            tracing::error!(%error, "the database could not end a savepoint");
            let _ = connection.execute_batch("ROLLBACK");
        }
        answer
    }

    fn refuse(&self, jobs: Vec<Job>, why: &StoreError) {
        let jobs = jobs.into_iter();
        let mut answers = jobs.map(|job| job(Err(why.clone())).answer).collect();
        self.tell(Err(why.clone()), &mut Vec::new(), &mut answers);
    }

    fn tell(
        &self,
        result: Result<(), StoreError>,
        changes: &mut Vec<Change>,
        answers: &mut Vec<Answer>,
    ) {
        let mut changes = std::mem::take(changes);
        if result.is_err() {
            changes.clear();
        }
        self.announcer.tell(Ended {
            result,
            changes,
            answers: std::mem::take(answers),
        });
    }
}

fn take_jobs(batch: &mut Vec<Work>, closing: &mut Option<oneshot::Sender<()>>) -> Vec<Job> {
    let mut jobs = Vec::with_capacity(batch.len());
    for item in batch.drain(..) {
        match item {
            Work::Job(job) => jobs.push(job),
            Work::Close(done) => *closing = Some(done),
        }
    }
    jobs
}
