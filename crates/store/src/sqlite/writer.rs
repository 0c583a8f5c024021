//! The thread that owns the connection.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;

/// Pieces of work that share one commit at most.
const BATCH: usize = 64;

pub(super) enum Work {
    Job(Job),
    /// Answered when the file is closed.
    Close(oneshot::Sender<()>),
}

/// Given why there is no transaction to work in, a job only passes that on.
pub(super) type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Outcome + Send>;

pub(super) struct Outcome {
    /// Whether what the job did is to stay.
    pub keep: bool,
    /// Tells the asker, once it is known whether the commit worked.
    pub answer: Box<dyn FnOnce(Result<(), StoreError>)>,
}

pub(super) fn run(connection: Connection, mut work: mpsc::Receiver<Work>) {
    let mut closing = None;
    let mut batch = Vec::with_capacity(BATCH);
    while closing.is_none() {
        if work.blocking_recv_many(&mut batch, BATCH) == 0 {
            break;
        }
        let mut jobs = Vec::with_capacity(batch.len());
        for item in batch.drain(..) {
            match item {
                Work::Job(job) => jobs.push(job),
                Work::Close(done) => closing = Some(done),
            }
        }
        run_batch(&connection, jobs);
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the database did not close cleanly; nothing stored is lost");
    }
    if let Some(done) = closing {
        // Who closed may be gone.
        let _ = done.send(());
    }
}

fn run_batch(connection: &Connection, jobs: Vec<Job>) {
    let mut waiting = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter();
    while let Some(job) = jobs.next() {
        if connection.is_autocommit()
            && let Err(error) = connection.execute_batch("BEGIN IMMEDIATE")
        {
            tracing::error!(%error, "the database refuses to begin a transaction");
            // It took its time to refuse, and would for each of the others.
            let refused = StoreError::from(error);
            for job in std::iter::once(job).chain(jobs) {
                (job(Err(refused.clone())).answer)(Ok(()));
            }
            return;
        }
        if let Some(outcome) = run_job(connection, job) {
            waiting.push(outcome);
        }
        if connection.is_autocommit() {
            // SQLite itself rolled everything back, as on a full disk.
            let lost = StoreError::Failed("the transaction was lost; is the disk full?".into());
            tracing::error!("{lost}");
            answer_all(&mut waiting, &Err(lost));
        }
    }
    if !connection.is_autocommit() {
        let committed = connection.execute_batch("COMMIT").map_err(|error| {
            tracing::error!(%error, "the database could not commit");
            // An error here means that SQLite rolled back by itself.
            let _ = connection.execute_batch("ROLLBACK");
            StoreError::from(error)
        });
        answer_all(&mut waiting, &committed);
    }
}

fn run_job(connection: &Connection, job: Job) -> Option<Outcome> {
    if let Err(error) = connection.execute_batch("SAVEPOINT job") {
        tracing::error!(%error, "the database refuses to begin a savepoint");
        return Some(job(Err(error.into())));
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| job(Ok(connection)))).ok();
    let end = match &outcome {
        Some(Outcome { keep: true, .. }) => "RELEASE job",
        _ => "ROLLBACK TO job; RELEASE job",
    };
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch(end)
    {
        // The whole batch goes: a half-kept job must not be committed.
        tracing::error!(%error, "the database could not end a savepoint");
        let _ = connection.execute_batch("ROLLBACK");
    }
    outcome
}

fn answer_all(waiting: &mut Vec<Outcome>, result: &Result<(), StoreError>) {
    for outcome in waiting.drain(..) {
        (outcome.answer)(result.clone());
    }
}
