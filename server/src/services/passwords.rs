//! Argon2id, away from the async threads and a few at a time: each takes 19 MiB and tens of milliseconds.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use tokio::sync::Semaphore;
use voxhall_protocol::SecretText;

/// Passwords that may wait for a worker: a second or two of work.
const QUEUE: usize = 32;

pub struct Passwords {
    workers: Arc<Semaphore>,
    /// One for each that is worked on or waits.
    places: Arc<Semaphore>,
    /// Checked against for a name that nobody has, so that the answer takes as long.
    nobodys_hash: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashingFailed {
    /// The thread that was hashing panicked, or the server is closing.
    #[error("hashing a password failed")]
    Broken,
    #[error("too many passwords wait to be hashed")]
    Busy,
}

impl Passwords {
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // One core is for voice.
        Self::with_workers((cores - 1).clamp(1, 8))
    }

    fn with_workers(workers: usize) -> Self {
        let nobodys_password = crate::random::bytes::<16>();
        Self {
            workers: Arc::new(Semaphore::new(workers)),
            places: Arc::new(Semaphore::new(workers + QUEUE)),
            nobodys_hash: hash(&nobodys_password).expect("fixed parameters, short password"),
        }
    }

    /// The PHC string to store.
    pub async fn hash(&self, password: SecretText) -> Result<String, HashingFailed> {
        self.work(move || hash(password.expose().as_bytes()))
            .await?
    }

    /// Whether the password is right. Without a stored hash it is not, after the same time.
    pub async fn verify(
        &self,
        password: SecretText,
        stored: Option<String>,
    ) -> Result<bool, HashingFailed> {
        let exists = stored.is_some();
        let against = stored.unwrap_or_else(|| self.nobodys_hash.clone());
        let fits = self
            .work(move || {
                argon2()
                    .verify_password(password.expose().as_bytes(), against.as_str())
                    .is_ok()
            })
            .await?;
        Ok(fits && exists)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingFailed> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| HashingFailed::Busy)?;
        let permit = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|_| HashingFailed::Broken)?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop((permit, place));
            done
        })
        .await
        .map_err(|_| HashingFailed::Broken)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

fn hash(password: &[u8]) -> Result<String, HashingFailed> {
    argon2()
        .hash_password(password)
        .map(|hash| hash.to_string())
        .map_err(|_| HashingFailed::Broken)
}

/// OWASP's smallest recommended parameters; the hash itself says with which it was made.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, None).expect("within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn few_wait_and_the_rest_is_turned_away_at_once() {
        let passwords = Passwords::with_workers(1);
        let asked = (0..QUEUE + 3).map(|_| passwords.work(|| ()));
        let done = futures_util::future::join_all(asked).await;
        let busy = |result: &&Result<(), HashingFailed>| **result == Err(HashingFailed::Busy);
        assert_eq!(done.iter().filter(busy).count(), 2);
        assert_eq!(passwords.work(|| ()).await, Ok(()));
    }

    #[tokio::test]
    async fn only_the_right_password_fits_and_nobodys_never_does() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let fits = async |password: &str, stored: Option<&str>| {
            passwords
                .verify(password.into(), stored.map(str::to_owned))
                .await
                .unwrap()
        };
        assert!(fits("correct horse", Some(&hash)).await);
        assert!(!fits("battery staple", Some(&hash)).await);
        assert!(!fits("correct horse", None).await);
        assert!(!fits("correct horse", Some("damaged")).await);
    }
}
