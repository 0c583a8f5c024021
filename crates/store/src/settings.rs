//! Small values under a name, such as signing keys.

use std::future::Future;

use crate::StoreError;

/// Small values under a name, such as signing keys.
pub trait Settings: Send + Sync {
    /// The stored value; if there is none, stores the given one.
    fn setting_or_insert(
        &self,
        key: &str,
        value: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;
}
