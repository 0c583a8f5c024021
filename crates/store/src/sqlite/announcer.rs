//! The thread that tells of what was committed, while the writer is already at the next transaction.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{Builder, JoinHandle},
};

use super::errors::panic_text;
use crate::{Change, StoreError};

/// Transactions that may wait to be told of; the writer waits for room.
const QUEUE: usize = 16;

/// Tells who asked, once it is known whether the commit worked.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What is to be said after a transaction.
pub(super) struct Ended {
    pub result: Result<(), StoreError>,
    /// In the order in which they were made. None where the transaction failed.
    pub changes: Vec<Change>,
    pub answers: Vec<Answer>,
}

type Told = Box<dyn FnMut(Vec<Change>) + Send>;

/// Who is told of changes, if anyone.
#[derive(Clone, Default)]
pub(super) struct Subscriber(Arc<Mutex<Option<Told>>>);

impl Subscriber {
    pub fn set(&self, told: impl FnMut(Vec<Change>) + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(told));
    }

    fn tell(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = told.as_mut() else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| told(changes))) {
            // What is stored is stored: who asked is answered all the same.
            tracing::error!(
                panic = panic_text(&*panic),
                "a fault where committed changes are told"
            );
        }
    }

    fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

pub(super) struct Announcer {
    queue: mpsc::SyncSender<Ended>,
    thread: JoinHandle<()>,
}

impl Announcer {
    pub fn start(subscriber: Subscriber) -> std::io::Result<Self> {
        let (queue, ended) = mpsc::sync_channel(QUEUE);
        let thread = Builder::new()
            .name("store-announce".into())
            .spawn(move || {
                for ended in ended {
                    say(&subscriber, ended);
                }
                subscriber.clear();
            })?;
        Ok(Self { queue, thread })
    }

    pub fn tell(&self, ended: Ended) {
        self.queue
            .send(ended)
            .expect("the announcer catches every panic and ends after the writer");
    }

    /// Returns when everything was told.
    pub fn finish(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the announcer ended by a fault");
        }
    }
}

fn say(subscriber: &Subscriber, ended: Ended) {
    subscriber.tell(ended.changes);
    for answer in ended.answers {
        answer(ended.result.clone());
    }
}
