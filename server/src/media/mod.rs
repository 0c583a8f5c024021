//! The media thread: a plain OS thread between UDP sockets and the [`Relay`]. It waits for datagrams, hands over what
//! is there in batches, sends what comes out, and never blocks on a send, a lock or the control plane. Of long batches other threads
//! send a part, each on a socket of its own with the same port; all sockets are read by the media thread.
//!
//! The control plane keeps a [`Routes`](voxhall_relay::Routes), publishes its changes into the thread's [`RouteFeed`], and reads
//! [`Event`]s and counters. A change is in use with the next batch, at the latest [`TICK`] after it was published;
//! of a storm of them, as many as fit into two milliseconds are taken before each batch.

mod aside;
mod report;
mod senders;
mod stats;
#[cfg(test)]
mod tests;
mod thread;
mod udp;

use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use mio::{Poll, Waker};
use tokio::sync::mpsc;
use tracing::warn;
use voxhall_relay::{Counters, Event, Limits, RouteFeed};

pub use aside::{Aside, AsideEnd, aside};
pub use report::Reporter;
pub use stats::{MediaStats, MediaTotal};
use thread::{MediaLoop, STOP};

/// How often the relay looks at the time when no datagram comes.
pub const TICK: Duration = Duration::from_millis(20);

/// Asked of the system for each direction: a fifth of a second at 100,000 datagrams a second.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// What a media thread works with.
pub struct MediaConfig {
    /// Bound to one port, in any blocking mode; at least one. Each is sent on by a thread of its own.
    pub sockets: Vec<UdpSocket>,
    pub routes: RouteFeed,
    pub counters: Arc<Counters>,
    /// Bounded; while it is full, events wait in the relay.
    pub events: mpsc::Sender<Event>,
    /// Random; makes the nonces of path messages.
    pub nonce_secret: [u8; 32],
    pub limits: Limits,
    /// Takes QUIC.
    pub aside: Aside,
}

/// A running media thread, with those that send for it. Dropping it stops them.
#[derive(Debug)]
pub struct MediaThread {
    stats: Arc<MediaStats>,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl MediaThread {
    /// Starts the thread `media-0`, and `media-1` and so on for the other sockets. Fails when the system refuses the poll or a thread.
    pub fn spawn(config: MediaConfig) -> io::Result<Self> {
        for socket in &config.sockets {
            socket.set_nonblocking(true)?;
            widen_buffers(socket);
        }
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), STOP)?);
        let stop = Arc::new(AtomicBool::new(false));
        let stats = Arc::new(MediaStats::new(config.sockets.len()));
        let media = MediaLoop::new(config, poll, Arc::clone(&stop), Arc::clone(&stats))?;
        let thread = std::thread::Builder::new()
            .name("media-0".to_owned())
            .spawn(move || media.run())?;
        Ok(Self {
            stats,
            stop,
            waker,
            thread: Some(thread),
        })
    }

    /// Figures of the threads themselves; the relay's are in the [`Counters`] it was given.
    #[must_use]
    pub fn stats(&self) -> &Arc<MediaStats> {
        &self.stats
    }

    /// `false` when the thread ended by itself: no voice passes, and the server is to be restarted.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Ends the thread and waits for it; what it had received is sent first.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            // It still ends, with its next tick.
            warn!(%error, "the media thread can't be woken");
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the media thread had panicked");
        }
    }
}

impl Drop for MediaThread {
    fn drop(&mut self) {
        self.end();
    }
}

/// As far as the system allows; a smaller buffer is no error, it drops under bursts.
fn widen_buffers(socket: &UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    for result in [
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES),
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = result {
            warn!(%error, "the UDP socket keeps its small buffers");
        }
    }
}
