//! The server's voice core: a datagram in, a list of sends out. No socket, no clock, no thread.
//!
//! - [`Routes`] belongs to the control plane, which publishes changes; each media thread has a [`RouteFeed`] of them.
//! - [`Relay`] belongs to a media thread: it owns its tables and what packets change (paths, replay windows, rates), and takes
//!   published changes in with [`Relay::apply`].
//! - [`Sends`] is what a batch of datagrams gives: bytes written once, however many listeners they go to.
//! - [`Counters`] can be read from anywhere.
//!
//! A batch: [`Relay::datagram`] for each datagram, [`Relay::finish`] once, then send what [`Sends::iter`] gives. After
//! warm-up nothing here allocates per packet, and a datagram that is not proven changes nothing but a counter.

mod batch;
mod counters;
mod loudest;
mod members;
mod rate;
mod relay;
mod reports;
mod routes;
mod sends;
mod session;
mod slab;

pub use counters::{Counters, DropReason, Total};
pub use rate::Limits;
pub use relay::{Event, Relay, SESSION_TIMEOUT, SPEAKING_OFF_AFTER};
pub use routes::{RouteError, RouteFeed, Routes, SessionRoute};
pub use sends::Sends;
