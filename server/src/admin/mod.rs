//! `voxhall-server admin`: commands for the server that runs, through a socket that only its user can open.

mod backups;
pub mod cli;
mod client;
#[cfg(unix)]
mod socket;
mod table;

pub use backups::{Backups, MakeError, make as back_up, restore_files};
#[cfg(unix)]
pub use socket::{AdminSocket, SocketFile};
