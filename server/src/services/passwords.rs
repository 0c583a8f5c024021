//! Argon2id, away from the async threads and a few at a time: each takes 19 MiB and tens of milliseconds.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use tokio::sync::Semaphore;
use voxhall_protocol::SecretText;

pub struct Passwords {
    workers: Arc<Semaphore>,
    /// Checked against for a name that nobody has, so that the answer takes as long.
    nobodys_hash: String,
}

/// The thread that was hashing panicked, or the server is closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hashing a password failed")]
pub struct HashingFailed;

impl Passwords {
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let nobodys_password = crate::random::bytes::<16>();
        Self {
            workers: Arc::new(Semaphore::new(cores.min(8))),
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
        let permit = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|_| HashingFailed)?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        })
        .await
        .map_err(|_| HashingFailed)
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
        .map_err(|_| HashingFailed)
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
