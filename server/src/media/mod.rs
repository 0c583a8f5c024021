//! The media thread: a plain OS thread between one UDP socket and the [`Relay`]. It waits for datagrams, hands over what
//! is there in batches, sends what comes out, and never blocks on a send, a lock or the control plane.
//!
//! The control plane keeps a [`Routes`](voxhall_relay::Routes), publishes its changes into the thread's [`RouteFeed`], and reads
//! [`Event`]s and counters. A change is in use with the next batch, at the latest [`TICK`] after it was published;
//! of a storm of them, as many as [`CHANGES_FOR`] allows are taken before each batch.

mod report;
mod stats;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mio::{Interest, Poll, Token, Waker};
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{info, warn};
use voxhall_relay::{Counters, Event, Limits, Relay, RouteFeed, Sends};

pub use report::Reporter;
pub use stats::{MediaStats, MediaTotal};

/// How often the relay looks at the time when no datagram comes.
pub const TICK: Duration = Duration::from_millis(20);

/// How long changes of routes may keep a batch waiting: some thousands of them, so that whoever was muted with ten thousand others is
/// silent within a few batches.
const CHANGES_FOR: Duration = Duration::from_millis(2);
/// Datagrams taken before anything is sent: what arrives together can be bundled, and nobody waits long.
const BATCH: usize = 64;
/// More than any voice datagram, so that a longer one is seen as too long and not as cut.
const RECEIVE_BUFFER: usize = 2_048;
/// Asked of the system for each direction: a fifth of a second at 100,000 datagrams a second.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

const SOCKET: Token = Token(0);
const STOP: Token = Token(1);

/// What a media thread works with.
pub struct MediaConfig {
    /// Bound, in any blocking mode.
    pub socket: UdpSocket,
    pub routes: RouteFeed,
    pub counters: Arc<Counters>,
    /// Bounded; while it is full, events wait in the relay.
    pub events: mpsc::Sender<Event>,
    /// Random; makes the nonces of path messages.
    pub nonce_secret: [u8; 32],
    pub limits: Limits,
}

/// A running media thread. Dropping it stops it.
#[derive(Debug)]
pub struct MediaThread {
    stats: Arc<MediaStats>,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl MediaThread {
    /// Starts the thread `media-0`. Fails when the system refuses the poll or the thread.
    pub fn spawn(config: MediaConfig) -> io::Result<Self> {
        config.socket.set_nonblocking(true)?;
        widen_buffers(&config.socket);
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), STOP)?);
        let stop = Arc::new(AtomicBool::new(false));
        let stats = Arc::new(MediaStats::default());
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

    /// Figures of the thread itself; the relay's are in the [`Counters`] it was given.
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

struct MediaLoop {
    socket: mio::net::UdpSocket,
    poll: Poll,
    stop: Arc<AtomicBool>,
    stats: Arc<MediaStats>,
    relay: Relay,
    sends: Sends,
    events: mpsc::Sender<Event>,
    /// Taken from the relay while the channel was full.
    waiting_event: Option<Event>,
    next_tick: Instant,
}

impl MediaLoop {
    fn new(
        config: MediaConfig,
        poll: Poll,
        stop: Arc<AtomicBool>,
        stats: Arc<MediaStats>,
    ) -> io::Result<Self> {
        let mut socket = mio::net::UdpSocket::from_std(config.socket);
        poll.registry()
            .register(&mut socket, SOCKET, Interest::READABLE)?;
        let now = Instant::now();
        Ok(Self {
            socket,
            poll,
            stop,
            stats,
            relay: Relay::new(
                &config.nonce_secret,
                config.limits,
                config.counters,
                config.routes,
                now,
            ),
            sends: Sends::new(),
            events: config.events,
            waiting_event: None,
            next_tick: now,
        })
    }

    fn run(mut self) {
        let mut ready = mio::Events::with_capacity(8);
        let mut buffer = [0; RECEIVE_BUFFER];
        // The poll tells of new datagrams only, so the first look needs no telling.
        let mut readable = true;
        let mut more_routes = false;
        while !self.stop.load(Ordering::Acquire) {
            if !readable {
                let timeout = if more_routes {
                    Duration::ZERO
                } else {
                    self.next_tick.saturating_duration_since(Instant::now())
                };
                match self.poll.poll(&mut ready, Some(timeout)) {
                    Ok(()) => readable = ready.iter().any(|event| event.token() == SOCKET),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        // Never seen; without the poll, ticks still drain the socket.
                        warn!(%error, "waiting for datagrams failed");
                        std::thread::sleep(TICK);
                        readable = true;
                    }
                }
            }
            let now = Instant::now();
            more_routes = self.relay.apply(now);
            while more_routes && now.elapsed() < CHANGES_FOR {
                more_routes = self.relay.apply(now);
            }
            let received;
            (received, readable) = if readable {
                self.receive(now, &mut buffer)
            } else {
                (0, false)
            };
            if now >= self.next_tick {
                self.next_tick = now + TICK;
                self.relay.tick(now, &mut self.sends);
            }
            self.relay.finish(&mut self.sends);
            self.send_all();
            self.tell_events();
            if received > 0 {
                self.stats.batch(received, now.elapsed());
            }
        }
        info!("media thread stopped");
    }

    /// Takes up to a batch; says how many there were and whether there may be more.
    fn receive(&mut self, now: Instant, buffer: &mut [u8]) -> (usize, bool) {
        let mut received = 0;
        for _ in 0..BATCH {
            match self.socket.recv_from(buffer) {
                Ok((len, from)) => {
                    received += 1;
                    self.relay
                        .datagram(now, from, &buffer[..len], &mut self.sends);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (received, false);
                }
                // Some systems report here that an earlier datagram could not be delivered.
                Err(_) => self.stats.count(MediaTotal::ReceiveErrors),
            }
        }
        (received, true)
    }

    fn send_all(&mut self) {
        for (to, bytes) in self.sends.iter() {
            match self.socket.send_to(bytes, to) {
                Ok(_) => {}
                // Voice that waits is worse than voice that is lost.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stats.count(MediaTotal::SendsBlocked);
                }
                Err(_) => self.stats.count(MediaTotal::SendErrors),
            }
        }
        self.sends.clear();
    }

    fn tell_events(&mut self) {
        while let Some(event) = self
            .waiting_event
            .take()
            .or_else(|| self.relay.poll_event())
        {
            if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                self.waiting_event = Some(event);
                return;
            }
        }
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
