//! Threads that send long batches together with the media thread, each on a socket of its own (ADR 0031).

use std::{
    io,
    net::UdpSocket,
    sync::Arc,
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use rtrb::{Consumer, Producer, RingBuffer};
use voxhall_relay::Sends;

use super::{MediaStats, udp};

/// Sends that are worth waking a thread for: a tenth of a millisecond of work.
const LEAST_PART: usize = 96;
/// Rounds of looking whether the others are ready before the media thread sleeps: some ten microseconds.
const LOOKS: u32 = 1_000;
/// Another look at helpers that never said they were ready.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The sends of one batch, and who sends them.
pub struct Senders {
    batch: Arc<Sends>,
    socket: mio::net::UdpSocket,
    helpers: Vec<Helper>,
    stats: Arc<MediaStats>,
}

struct Helper {
    parts: Producer<Part>,
    thread: JoinHandle<()>,
}

/// What a helper sends of a batch.
struct Part {
    batch: Arc<Sends>,
    index: usize,
    parts: usize,
    /// Waits for it.
    media: Thread,
}

impl Senders {
    /// The media thread sends on the first socket, and starts a thread for each of the others.
    pub fn spawn(
        socket: UdpSocket,
        others: Vec<UdpSocket>,
        stats: Arc<MediaStats>,
    ) -> io::Result<Self> {
        let helpers = (others.into_iter().zip(1..))
            .map(|(socket, number)| {
                let (parts, consumer) = RingBuffer::new(1);
                let socket = mio::net::UdpSocket::from_std(socket);
                let stats = Arc::clone(&stats);
                let thread = thread::Builder::new()
                    .name(format!("media-{number}"))
                    .spawn(move || send_parts(number, consumer, &socket, &stats))?;
                Ok(Helper { parts, thread })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            batch: Arc::new(Sends::new()),
            socket: mio::net::UdpSocket::from_std(socket),
            helpers,
            stats,
        })
    }

    /// To be filled.
    pub fn batch(&mut self) -> &mut Sends {
        Arc::get_mut(&mut self.batch).expect("helpers drop a batch before the next begins")
    }

    /// Sends the batch and clears it. What goes to one listener keeps its order: the next batch begins when all of this one is sent.
    pub fn send(&mut self) {
        self.forget_ended();
        let parts = (self.batch.len() / LEAST_PART).clamp(1, self.helpers.len() + 1);
        for (index, helper) in (1..parts).zip(&mut self.helpers) {
            let part = Part {
                batch: Arc::clone(&self.batch),
                index,
                parts,
                media: thread::current(),
            };
            match helper.parts.push(part) {
                Ok(()) => helper.thread.thread().unpark(),
                // Never: it has sent its part of the batch before.
                Err(_) => udp::send(&self.socket, self.batch.part(index, parts), &self.stats),
            }
        }
        udp::send(&self.socket, self.batch.part(0, parts), &self.stats);
        let mut looks = 0;
        loop {
            if let Some(batch) = Arc::get_mut(&mut self.batch) {
                batch.clear();
                return;
            }
            looks += 1;
            if looks < LOOKS {
                std::hint::spin_loop();
            } else {
                self.forget_ended();
                thread::park_timeout(LOOK_AGAIN);
            }
        }
    }

    /// A helper that ended, which it never should have, would be waited for without end: what it was to send is lost with it.
    fn forget_ended(&mut self) {
        self.helpers.retain(|helper| {
            let ended = helper.parts.is_abandoned();
            if ended {
                tracing::error!(
                    "a thread that sends has ended; restart the server to have it back"
                );
            }
            !ended
        });
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        for Helper { parts, thread } in self.helpers.drain(..) {
            // Without a producer it ends.
            drop(parts);
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::warn!("a thread that sends had panicked");
            }
        }
    }
}

fn send_parts(
    number: usize,
    mut parts: Consumer<Part>,
    socket: &mio::net::UdpSocket,
    stats: &MediaStats,
) {
    while !parts.is_abandoned() {
        let Ok(part) = parts.pop() else {
            thread::park();
            continue;
        };
        let started = Instant::now();
        udp::send(socket, part.batch.part(part.index, part.parts), stats);
        stats.worked(number, started.elapsed());
        drop(part.batch);
        part.media.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A helper that ends after a while without having sent anything.
    fn ending(after: Duration) -> Helper {
        let (parts, consumer) = RingBuffer::<Part>::new(1);
        let thread = thread::Builder::new().spawn(move || {
            thread::sleep(after);
            drop(consumer);
        });
        let thread = thread.unwrap();
        Helper { parts, thread }
    }

    #[test]
    fn helpers_that_ended_are_not_waited_for() {
        let stats = Arc::new(MediaStats::new(2));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = socket.local_addr().unwrap();
        let mut senders = Senders::spawn(socket, Vec::new(), Arc::clone(&stats)).unwrap();
        // One is gone before the batch, one goes while its part is on its way.
        for after in [0, 50] {
            senders.helpers.push(ending(Duration::from_millis(after)));
            if after == 0 {
                thread::sleep(Duration::from_millis(20));
            }
            for _ in 0..3 {
                for _ in 0..2 * LEAST_PART {
                    senders.batch().add(to, b"voice").unwrap();
                }
                senders.send();
                assert!(senders.batch().is_empty());
            }
            assert!(senders.helpers.is_empty());
        }
    }
}
