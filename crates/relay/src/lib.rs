//! The server's voice core: a datagram in, a list of sends out. No socket, no clock, no thread.
//!
//! - [`Routes`] belongs to the control plane, which publishes an immutable [`RouteTable`] after each change.
//! - [`Relay`] belongs to the media thread: it owns what packets change (paths, replay windows, rates) and takes a new
//!   table with [`Relay::apply`].
//! - [`Sends`] is what a batch of datagrams gives: bytes written once, however many listeners they go to.
//! - [`Counters`] can be read from anywhere.
//!
//! A batch: [`Relay::datagram`] for each datagram, [`Relay::finish`] once, then send what [`Sends::iter`] gives. After
//! warm-up nothing here allocates per packet, and a datagram that is not proven changes nothing but a counter.

mod batch;
mod counters;
mod rate;
mod relay;
mod reports;
mod routes;
mod sends;
mod session;

pub use counters::{Counters, DropReason, Total};
pub use rate::Limits;
pub use relay::{Event, Relay, SESSION_TIMEOUT, SPEAKING_OFF_AFTER};
pub use routes::{RouteError, RouteTable, Routes, SessionRoute};
pub use sends::Sends;
