//! One writer an upload. Who comes later takes the place of who was before: after a cut the client is back sooner than the server
//! notices that the old connection is dead.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use voxhall_protocol::FileId;

#[derive(Default)]
pub struct Turns(Arc<Mutex<Queues>>);

type Queues = HashMap<FileId, Queue>;

struct Queue {
    /// Those that write or wait; without any the queue goes.
    places: usize,
    /// Number of who came last.
    newest: watch::Sender<u64>,
    writing: Arc<AsyncMutex<()>>,
}

/// The only one to write to an upload, until somebody else comes.
pub struct Turn {
    // Given up before the place, with which the queue may go.
    _writing: OwnedMutexGuard<()>,
    place: Place,
}

/// Somebody in a queue, who writes or waits.
struct Place {
    mine: u64,
    newest: watch::Receiver<u64>,
    queues: Arc<Mutex<Queues>>,
    file: FileId,
}

impl Turns {
    /// Waits until who was before has stopped. None: somebody else came meanwhile.
    pub async fn take(&self, file: FileId) -> Option<Turn> {
        let (place, writing) = self.line_up(file);
        let turn = Turn {
            _writing: writing.lock_owned().await,
            place,
        };
        (!turn.is_over()).then_some(turn)
    }

    fn line_up(&self, file: FileId) -> (Place, Arc<AsyncMutex<()>>) {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(file).or_insert_with(|| Queue {
            places: 0,
            newest: watch::Sender::new(0),
            writing: Arc::default(),
        });
        queue.places += 1;
        queue.newest.send_modify(|number| *number += 1);
        let place = Place {
            mine: *queue.newest.borrow(),
            newest: queue.newest.subscribe(),
            queues: Arc::clone(&self.0),
            file,
        };
        (place, Arc::clone(&queue.writing))
    }
}

impl Turn {
    pub fn is_over(&self) -> bool {
        *self.place.newest.borrow() != self.place.mine
    }

    /// Returns when somebody else wants to write.
    pub async fn over(&mut self) {
        let mine = self.place.mine;
        // An error would mean that the queue is gone, and nobody can want anything.
        if self
            .place
            .newest
            .wait_for(|newest| *newest != mine)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut queue) = queues.entry(self.file) {
            queue.get_mut().places -= 1;
            if queue.get().places == 0 {
                queue.remove();
            }
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

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        use futures_util::FutureExt;

        let turns = Turns::default();
        let file = FileId(1);
        let writer = turns.take(file).await.unwrap();
        assert!(turns.take(file).now_or_never().is_none());
        assert!(writer.is_over());
        drop(writer);
        assert!(turns.0.lock().unwrap().is_empty());
        assert!(turns.take(file).await.is_some());
    }
}
