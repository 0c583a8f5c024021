//! What must survive a restart of the server: accounts, guilds, invites, messages and settings.
//!
//! One trait per concern; [`SqliteStore`] implements them all. Whatever a call acknowledges is committed. Time, codes and hashes are
//! arguments: a store rolls no dice and reads no clock.

mod accounts;
mod calls;
mod change;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod files;
mod guilds;
mod invites;
mod keys;
mod messages;
mod moderation;
mod people;
mod settings;
mod sqlite;
mod stages;
mod totals;

pub use accounts::*;
pub use calls::*;
pub use change::{Change, Removal};
pub use error::StoreError;
pub use files::*;
pub use guilds::*;
pub use invites::*;
pub use keys::*;
pub use messages::*;
pub use moderation::*;
pub use people::*;
pub use settings::*;
pub use sqlite::{OpenError, SqliteStore, WriterStats, maintenance};
pub use stages::*;
pub use totals::*;

/// All concerns at once: what a server needs.
pub trait Store:
    Accounts
    + SigningKeys
    + People
    + Conversations
    + Calls
    + Stages
    + Guilds
    + Channels
    + Roles
    + Members
    + Audit
    + ServerBans
    + Figures
    + Invites
    + Messages
    + Files
    + Settings
{
}
impl<
    T: Accounts
        + SigningKeys
        + People
        + Conversations
        + Calls
        + Stages
        + Guilds
        + Channels
        + Roles
        + Members
        + Audit
        + ServerBans
        + Figures
        + Invites
        + Messages
        + Files
        + Settings,
> Store for T
{
}
