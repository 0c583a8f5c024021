//! What a media thread does: wait, take a batch, send what comes of it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mio::{Interest, Poll, Token};
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{info, warn};
use voxhall_protocol::voice::{DatagramKind, classify};
use voxhall_relay::{Counters, Event, Relay, Total};

use super::{Aside, MediaConfig, MediaStats, MediaTotal, TICK, senders::Senders};

/// How long changes of routes may keep a batch waiting: some thousands of them, so that whoever was muted with ten thousand others is
/// silent within a few batches.
const CHANGES_FOR: Duration = Duration::from_millis(2);
/// Datagrams taken before anything is sent: what arrives together can be bundled, and nobody waits long.
const BATCH: usize = 64;
/// A thread that would be busy for more than this share of the time without bundles gathers what comes (ADR 0037)...
const HIGH_LOAD: f64 = 0.6;
/// ...after each batch of so many sends...
const DEAR: usize = 96;
/// ...for this many times as long as it took, so that several frames go to a listener at the cost of one...
const GATHER: u32 = 2;
/// ...but not longer.
const GATHER_AT_MOST: Duration = Duration::from_millis(2);
/// More than any voice datagram, so that a longer one is seen as too long and not as cut.
const RECEIVE_BUFFER: usize = 2_048;

/// Tokens below are the places of sockets.
pub const STOP: Token = Token(usize::MAX - 1);

pub struct MediaLoop {
    sockets: Vec<Socket>,
    /// Whose turn it is.
    next_socket: usize,
    poll: Poll,
    stop: Arc<AtomicBool>,
    stats: Arc<MediaStats>,
    relay: Relay,
    counters: Arc<Counters>,
    load: Load,
    senders: Senders,
    events: mpsc::Sender<Event>,
    aside: Aside,
    /// Taken from the relay while the channel was full.
    waiting_event: Option<Event>,
    next_tick: Instant,
}

struct Socket {
    io: mio::net::UdpSocket,
    /// Whether there may be datagrams that the poll won't tell of again.
    readable: bool,
}

/// How busy the thread is, from tick to tick.
struct Load {
    since: Instant,
    busy: Duration,
    sends: usize,
    /// Sent in all before.
    frames: u64,
    is_high: bool,
}

impl MediaLoop {
    pub fn new(
        config: MediaConfig,
        poll: Poll,
        stop: Arc<AtomicBool>,
        stats: Arc<MediaStats>,
    ) -> io::Result<Self> {
        let mut others = Vec::new();
        let mut sockets = Vec::new();
        for (place, socket) in config.sockets.into_iter().enumerate() {
            others.push(socket.try_clone()?);
            let mut io = mio::net::UdpSocket::from_std(socket);
            (poll.registry()).register(&mut io, Token(place), Interest::READABLE)?;
            // The poll tells of new datagrams only, so the first look needs no telling.
            sockets.push(Socket { io, readable: true });
        }
        let first = others.remove(0);
        let senders = Senders::spawn(first, others, Arc::clone(&stats))?;
        let now = Instant::now();
        Ok(Self {
            sockets,
            next_socket: 0,
            poll,
            stop,
            stats,
            load: Load::new(now),
            counters: Arc::clone(&config.counters),
            relay: Relay::new(
                &config.nonce_secret,
                config.limits,
                config.counters,
                config.routes,
                now,
            ),
            senders,
            events: config.events,
            aside: config.aside,
            waiting_event: None,
            next_tick: now,
        })
    }

    pub fn run(mut self) {
        let mut ready = mio::Events::with_capacity(16);
        let mut buffer = [0; RECEIVE_BUFFER];
        let mut more_routes = false;
        let mut gather = Duration::ZERO;
        while !self.stop.load(Ordering::Acquire) {
            let mut waiting_since = None;
            if !gather.is_zero() {
                waiting_since = Some(Instant::now());
                thread::sleep(gather);
                self.look_everywhere();
            } else if !self.is_readable() {
                self.wait(&mut ready, more_routes);
            }
            let now = Instant::now();
            more_routes = self.relay.apply(now);
            while more_routes && now.elapsed() < CHANGES_FOR {
                more_routes = self.relay.apply(now);
            }
            let received = self.receive(now, &mut buffer);
            if now >= self.next_tick {
                self.next_tick = now + TICK;
                self.load.look(now, self.counters.total(Total::FramesOut));
                self.relay.tick(now, self.senders.batch());
            }
            self.relay.finish(self.senders.batch());
            let sends = self.senders.batch().len();
            self.senders.send();
            self.aside.tell();
            self.tell_events();
            let took = now.elapsed();
            if received > 0 {
                let delay = waiting_since.map_or(took, |since| since.elapsed());
                self.stats.batch(received, delay);
                self.stats.worked(0, took);
            }
            self.load.busy += took;
            self.load.sends += sends;
            gather = match self.is_readable() {
                true => Duration::ZERO,
                false => self.load.gather(sends, took),
            };
        }
        info!("media thread stopped");
    }

    /// Whether there may be datagrams.
    fn is_readable(&self) -> bool {
        self.sockets.iter().any(|socket| socket.readable)
    }

    fn look_everywhere(&mut self) {
        for socket in &mut self.sockets {
            socket.readable = true;
        }
    }

    /// Until there are datagrams, or it is time for the next tick.
    fn wait(&mut self, ready: &mut mio::Events, more_routes: bool) {
        let timeout = if more_routes {
            Duration::ZERO
        } else {
            self.next_tick.saturating_duration_since(Instant::now())
        };
        match self.poll.poll(ready, Some(timeout)) {
            Ok(()) => {
                for event in &*ready {
                    if let Some(socket) = self.sockets.get_mut(event.token().0) {
                        socket.readable = true;
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // Never seen; without the poll, ticks still drain the sockets.
                warn!(%error, "waiting for datagrams failed");
                thread::sleep(TICK);
                self.look_everywhere();
            }
        }
    }

    /// Takes up to a batch, from the sockets in turn; says how many there were.
    fn receive(&mut self, now: Instant, buffer: &mut [u8]) -> usize {
        let out = self.senders.batch();
        let mut received = 0;
        for _ in 0..self.sockets.len() {
            let socket = &mut self.sockets[self.next_socket];
            while socket.readable {
                if received == BATCH {
                    return received;
                }
                match socket.io.recv_from(buffer) {
                    Ok((len, from)) => {
                        received += 1;
                        let datagram = &buffer[..len];
                        if classify(datagram) != DatagramKind::Quic {
                            self.relay.datagram(now, from, datagram, out);
                        } else if !self.aside.put(now, from, datagram) {
                            self.stats.count(MediaTotal::QuicDropped);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        socket.readable = false;
                    }
                    // Some systems report here that an earlier datagram could not be delivered.
                    Err(_) => self.stats.count(MediaTotal::ReceiveErrors),
                }
            }
            self.next_socket = (self.next_socket + 1) % self.sockets.len();
        }
        received
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

impl Load {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            busy: Duration::ZERO,
            sends: 0,
            frames: 0,
            is_high: false,
        }
    }

    /// `frames`: sent since the thread began. With bundles they are more than the sends, and would take as much longer without: bundles alone are no
    /// reason to make fewer of them.
    fn look(&mut self, now: Instant, frames: u64) {
        let bundled = (frames - self.frames) as f64 / self.sends.max(1) as f64;
        let unbundled = self.busy.mul_f64(bundled.max(1.0));
        self.is_high = unbundled > (now - self.since).mul_f64(HIGH_LOAD);
        *self = Self {
            since: now,
            busy: Duration::ZERO,
            sends: 0,
            frames,
            is_high: self.is_high,
        };
    }

    /// How long to gather the next batch after one of so many sends.
    fn gather(&self, sends: usize, took: Duration) -> Duration {
        match self.is_high && sends >= DEAR {
            true => (took * GATHER).min(GATHER_AT_MOST),
            false => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_micros(300);

    /// After a tick in which so much was done.
    fn load(busy_ms: u64, sends: usize, frames: u64) -> Load {
        let now = Instant::now();
        let mut load = Load::new(now);
        load.busy = Duration::from_millis(busy_ms);
        load.sends = sends;
        load.look(now + TICK, frames);
        load
    }

    #[test]
    fn only_what_many_hear_is_gathered_and_never_for_long() {
        let load = load(15, 10_000, 10_000);
        assert_eq!(load.gather(DEAR - 1, TOOK), Duration::ZERO);
        assert_eq!(load.gather(DEAR, TOOK), TOOK * GATHER);
        let long = Duration::from_millis(15);
        assert_eq!(load.gather(10_000, long), GATHER_AT_MOST);
    }

    #[test]
    fn nobody_waits_while_there_is_time_to_send_each_frame_by_itself() {
        assert_eq!(load(9, 9_000, 9_000).gather(500, TOOK), Duration::ZERO);
        // Four frames a datagram: without them it would have been busy for longer than there is time.
        assert_eq!(load(6, 2_000, 8_000).gather(500, TOOK), TOOK * GATHER);
        assert_eq!(load(0, 0, 0).gather(0, TOOK), Duration::ZERO);
    }
}
