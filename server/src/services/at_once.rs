//! How much of one kind a user may have going on at the same time, all connections together.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use voxhall_protocol::{UserId, control::Failure};

use crate::words;

/// Who has to wait for longer is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);
const COME_BACK_AFTER: Duration = Duration::from_secs(2);

pub struct AtOnce {
    most: usize,
    users: Arc<Mutex<HashMap<UserId, Queue>>>,
}

struct Queue {
    /// What goes on or waits; without any the queue goes.
    places: usize,
    free: Arc<Semaphore>,
}

/// One thing that goes on, until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Running {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

struct Place {
    user: UserId,
    users: Arc<Mutex<HashMap<UserId, Queue>>>,
}

impl AtOnce {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            users: Arc::default(),
        }
    }

    /// Waits a while for its turn.
    ///
    /// # Errors
    /// `rate_limited`: what went on before did not end.
    pub async fn begin(&self, user: UserId) -> Result<Running, Failure> {
        let (place, free) = self.line_up(user);
        match timeout(PATIENCE, free.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Running {
                _permit: permit,
                _place: place,
            }),
            _ => Err(words::rate_limited(COME_BACK_AFTER)),
        }
    }

    fn line_up(&self, user: UserId) -> (Place, Arc<Semaphore>) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = users.entry(user).or_insert_with(|| Queue {
            places: 0,
            free: Arc::new(Semaphore::new(self.most)),
        });
        queue.places += 1;
        let place = Place {
            user,
            users: Arc::clone(&self.users),
        };
        (place, Arc::clone(&queue.free))
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.user).finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut queue) = users.entry(self.user) {
            queue.get_mut().places -= 1;
            if queue.get().places == 0 {
                queue.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use voxhall_protocol::control::FailureKind;

    use super::*;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    #[tokio::test(start_paused = true)]
    async fn each_user_has_so_many_and_who_waits_too_long_is_told() {
        let at_once = AtOnce::new(2);
        let first = at_once.begin(ANN).await.unwrap();
        let second = at_once.begin(ANN).await.unwrap();
        assert_eq!(
            at_once.begin(ANN).await.unwrap_err().kind(),
            FailureKind::RateLimited
        );
        let others = at_once.begin(BOB).await.unwrap();
        assert!(
            at_once.begin(ANN).now_or_never().is_none(),
            "given up while it waits"
        );
        let mut third = std::pin::pin!(at_once.begin(ANN));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        let third = third.await.unwrap();
        drop((second, third, others));
        assert!(at_once.users.lock().unwrap().is_empty());
    }
}
