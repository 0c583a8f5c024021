//! One writer an upload. Who comes later takes the place of who was before: after a cut the client is back sooner than the server
//! notices that the old connection is dead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use voxhall_protocol::FileId;

#[derive(Default)]
pub struct Turns(Arc<Mutex<HashMap<FileId, Arc<Queue>>>>);

struct Queue {
    /// Number of who came last.
    newest: watch::Sender<u64>,
    writing: Arc<AsyncMutex<()>>,
}

/// The only one to write to an upload, until somebody else comes.
pub struct Turn {
    mine: u64,
    newest: watch::Receiver<u64>,
    turns: Arc<Mutex<HashMap<FileId, Arc<Queue>>>>,
    file: FileId,
    _writing: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits until who was before has stopped. None: somebody else came meanwhile.
    pub async fn take(&self, file: FileId) -> Option<Turn> {
        let (queue, mine) = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = queues.entry(file).or_insert_with(|| {
                Arc::new(Queue {
                    newest: watch::Sender::new(0),
                    writing: Arc::default(),
                })
            });
            queue.newest.send_modify(|number| *number += 1);
            let mine = *queue.newest.borrow();
            (Arc::clone(queue), mine)
        };
        let writing = Arc::clone(&queue.writing).lock_owned().await;
        let turn = Turn {
            mine,
            newest: queue.newest.subscribe(),
            turns: Arc::clone(&self.0),
            file,
            _writing: writing,
        };
        (!turn.is_over()).then_some(turn)
    }
}

impl Turn {
    pub fn is_over(&self) -> bool {
        *self.newest.borrow() != self.mine
    }

    /// Returns when somebody else wants to write.
    pub async fn over(&mut self) {
        let mine = self.mine;
        // An error would mean that the queue is gone, and nobody can want anything.
        if self
            .newest
            .wait_for(|newest| *newest != mine)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queues = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Who came later still holds the queue.
        if !self.is_over() {
            queues.remove(&self.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_to_come_writes_and_nothing_is_left_behind() {
        let turns = Arc::new(Turns::default());
        let file = FileId(1);
        let mut first = turns.take(file).await.unwrap();
        assert!(!first.is_over());
        let others: Vec<_> = (0..5)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move { turns.take(file).await.is_some() })
            })
            .collect();
        first.over().await;
        let elsewhere = turns.take(FileId(2)).await;
        assert!(elsewhere.is_some(), "another upload is another matter");
        drop(first);
        let mut wrote = 0;
        for other in others {
            wrote += u32::from(other.await.unwrap());
        }
        assert!(wrote >= 1);
        drop(elsewhere);
        assert!(turns.take(file).await.is_some());
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
