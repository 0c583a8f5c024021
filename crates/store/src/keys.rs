//! Keys that access tokens are signed with.

use std::{fmt, future::Future};

use voxhall_protocol::control::UnixMs;

use crate::StoreError;

/// Keys that access tokens are signed with. One is in use; those that are retired only verify.
pub trait SigningKeys: Send + Sync {
    /// All keys, the one in use first. If none is in use, `fresh` is from now on. Keys that were retired before `forget_before` are
    /// forgotten.
    fn signing_keys(
        &self,
        fresh: SigningKey,
        forget_before: UnixMs,
    ) -> impl Future<Output = Result<Vec<SigningKey>, StoreError>> + Send;

    /// Puts `fresh` into use and retires the one before, or forgets all others at once. All keys, the one in use first.
    fn rotate_signing_keys(
        &self,
        fresh: SigningKey,
        at_once: bool,
    ) -> impl Future<Output = Result<Vec<SigningKey>, StoreError>> + Send;
}

#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Names it in the header of a token.
    pub kid: String,
    pub secret: [u8; 32],
    pub created_at_ms: UnixMs,
    pub retired_at_ms: Option<UnixMs>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("retired_at_ms", &self.retired_at_ms)
            .finish_non_exhaustive()
    }
}
