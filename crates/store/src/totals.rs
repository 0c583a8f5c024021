//! How much there is of everything.

use std::future::Future;

use crate::StoreError;

/// How much there is of everything, for who runs the server.
pub trait Figures: Send + Sync {
    /// May take seconds, and delays nobody.
    fn totals(&self) -> impl Future<Output = Result<Totals, StoreError>> + Send;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub accounts: u64,
    pub guests: u64,
    pub guilds: u64,
    pub messages: u64,
    /// Complete ones.
    pub files: u64,
    pub file_bytes: u64,
}
