//! What must survive a restart of the server: accounts, guilds, invites, messages and settings.
//!
//! One trait per concern; [`SqliteStore`] implements them all. Whatever a call acknowledges is committed. Time, codes and hashes are
//! arguments: a store rolls no dice and reads no clock.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod accounts;
mod change;
mod error;
mod guilds;
mod invites;
mod messages;
mod people;
mod settings;
mod sqlite;

pub use accounts::*;
pub use change::{Change, Removal};
pub use error::StoreError;
pub use guilds::*;
pub use invites::*;
pub use messages::*;
pub use people::*;
pub use settings::*;
pub use sqlite::{OpenError, SqliteStore, maintenance};

/// All concerns at once: what a server needs.
pub trait Store: Accounts + Guilds + Invites + Messages + Settings {}
impl<T: Accounts + Guilds + Invites + Messages + Settings> Store for T {}

