//! The headless server of Voxhall: what `voxhall-server` runs.
//!
//! - [`config`]: flags, environment, file
//! - [`server`]: starts everything, and ends it in order
//! - `http`, `gateway`: TLS, pages, the WebSocket of each client
//! - [`admin`]: commands for the server that runs, and backups
//! - `metrics`, [`logging`], `notify`: what it tells who watches over it
//! - `services`: what is done for a request
//! - `files`: the bytes of uploaded files
//! - `live`, `hub`: who is online and in voice; a pure state machine, and what ties it to connections and voice
//! - `media`: the thread that forwards voice; `carriers`: voice that doesn't come by UDP

pub mod admin;
mod announce;
mod bans;
mod carriers;
mod clock;
pub mod config;
mod files;
mod gateway;
mod http;
mod hub;
mod live;
pub mod logging;
pub mod media;
mod metrics;
mod notify;
mod places;
mod random;
mod rates;
pub mod server;
mod services;
mod sockets;
mod tls;
mod words;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
