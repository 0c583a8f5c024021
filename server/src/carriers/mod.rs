//! Voice that comes otherwise than by UDP. Each such connection has a UDP socket of this machine, so that to the media threads it is an
//! address like any other: paths, proofs and replay windows are the same.
//!
//! The relay answers nobody who does not hold a session's key. So the first datagram that comes back on that socket says that who is on
//! this connection does, and until then it counts as a stranger's.

pub mod quic;
pub mod websocket;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{io::ReadBuf, net::UdpSocket, time::Instant};
use voxhall_protocol::voice::{Carrier, DatagramKind, MAX_DATAGRAM, classify};

use crate::{
    places::{Full, Place, Places},
    rates::Source,
};

/// Of everyone together, where the system allows as many files.
pub const MAX_CARRIED: usize = 4_096;
/// Of one address: a hall of people behind one firewall.
const MAX_PER_SOURCE: u32 = 512;
/// QUIC connections of strangers, in all.
const MAX_STRANGERS: usize = MAX_CARRIED / 4;
/// Time and datagrams for a client to show that it holds a session's key.
const PROOF_WITHIN: Duration = Duration::from_secs(5);
const MAX_UNPROVEN: u32 = 64;
/// A client sends a request every few seconds at least.
const SILENT_AFTER: Duration = Duration::from_secs(20);
/// Datagrams up: more than the relay takes of anyone. What is beyond that is lost here.
const EACH: Duration = Duration::from_micros(1_000_000 / 600);
const AT_ONCE: u32 = 300;

/// Who is carried, and how many may be.
pub struct Carriers {
    /// Where media threads are reached from this machine.
    media: SocketAddr,
    carried: OnceLock<Arc<Places>>,
    /// QUIC connections that have shown no key; those of WebSockets are counted with all of their port.
    strangers: Arc<Places>,
    open: [AtomicUsize; Carrier::ALL.len()],
    lost: AtomicU64,
}

/// Why someone is not carried, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum End {
    #[error("too many others are carried")]
    Full,
    #[error("too many of this address are carried")]
    Source,
    #[error("no session's key was shown")]
    Unproven,
    #[error("nothing came for too long")]
    Silent,
    #[error("what came is no datagram")]
    Unreadable,
    #[error("the other side hung up")]
    Gone,
    #[error("no socket: {0}")]
    Socket(#[source] io::Error),
}

impl From<Full> for End {
    fn from(full: Full) -> Self {
        match full {
            Full::Source => Self::Source,
            Full::All => Self::Full,
        }
    }
}

impl Carriers {
    /// `bound`: the address of the UDP socket. There is no room before [`allow`](Self::allow).
    pub fn new(bound: SocketAddr, pending_per_address: u32) -> Self {
        let mut media = bound;
        if bound.ip().is_unspecified() {
            // A socket for both families takes IPv4.
            media.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Self {
            media,
            carried: OnceLock::new(),
            strangers: Places::new(pending_per_address, MAX_STRANGERS),
            open: Default::default(),
            lost: AtomicU64::new(0),
        }
    }

    /// Who came by QUIC and has shown no key yet.
    pub fn strangers(&self) -> &Arc<Places> {
        &self.strangers
    }

    /// So many may be carried from now on.
    pub fn allow(&self, count: usize) {
        self.carried
            .get_or_init(|| Places::new(MAX_PER_SOURCE, count));
    }

    /// How many are carried by each.
    pub fn open(&self) -> impl Iterator<Item = (Carrier, usize)> {
        (Carrier::ALL.into_iter().zip(&self.open))
            .filter(|(carrier, _)| *carrier != Carrier::Udp)
            .map(|(carrier, open)| (carrier, open.load(Relaxed)))
    }

    /// Datagrams that were lost because a client took or sent them too slowly or too fast.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    pub fn count_lost(&self) {
        self.lost.fetch_add(1, Relaxed);
    }

    /// Takes someone in, who gives `place` back on having shown a session's key.
    ///
    /// # Errors
    /// There is no room, or no socket.
    pub async fn take(
        &self,
        carrier: Carrier,
        source: Source,
        place: Place,
    ) -> Result<Passage<'_>, End> {
        let carried = self.carried.get().ok_or(End::Full)?.take(source)?;
        let socket = self.socket().await.map_err(End::Socket)?;
        let now = Instant::now();
        self.open[carrier as usize].fetch_add(1, Relaxed);
        Ok(Passage {
            socket,
            carriers: self,
            carrier,
            proof: Proof::Awaited {
                place,
                until: now + PROOF_WITHIN,
                datagrams: 0,
            },
            heard: now,
            full_at: now,
            _carried: carried,
        })
    }

    async fn socket(&self) -> io::Result<UdpSocket> {
        let any: IpAddr = match self.media {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(self.media).await?;
        Ok(socket)
    }
}

/// Between one connection and the media threads.
pub struct Passage<'a> {
    socket: UdpSocket,
    carriers: &'a Carriers,
    carrier: Carrier,
    proof: Proof,
    /// When the client last sent something.
    heard: Instant,
    /// When its budget is full again.
    full_at: Instant,
    _carried: Place,
}

/// Whether the client has shown a session's key.
enum Proof {
    Awaited {
        place: Place,
        until: Instant,
        datagrams: u32,
    },
    Given,
}

impl Passage<'_> {
    /// A datagram of the client's, on to the relay. QUIC is not carried: its answers prove nothing, and it would seem to come from here.
    ///
    /// # Errors
    /// It is none, or there were too many.
    pub async fn up(&mut self, now: Instant, datagram: &[u8]) -> Result<(), End> {
        if datagram.is_empty()
            || datagram.len() > MAX_DATAGRAM
            || classify(datagram) == DatagramKind::Quic
        {
            return Err(End::Unreadable);
        }
        self.heard = now;
        if let Proof::Awaited { datagrams, .. } = &mut self.proof {
            *datagrams += 1;
            if *datagrams > MAX_UNPROVEN {
                return Err(End::Unproven);
            }
        }
        let full_at = self.full_at.max(now) + EACH;
        if full_at > now + EACH * AT_ONCE {
            self.carriers.count_lost();
            return Ok(());
        }
        self.full_at = full_at;
        // What the relay has no room for is lost, as it would be in the network.
        let _ = self.socket.send(datagram).await;
        Ok(())
    }

    /// The next datagram of the relay's.
    pub fn poll_down(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        loop {
            let mut taken = ReadBuf::new(buffer);
            // An error is about a datagram that the relay didn't take.
            if ready!(self.socket.poll_recv(cx, &mut taken)).is_ok() {
                let len = taken.filled().len();
                if let Proof::Awaited { place, .. } = &self.proof {
                    place.give_back();
                    self.proof = Proof::Given;
                }
                return Poll::Ready(len);
            }
        }
    }

    /// When to hang up, unless something comes before.
    pub fn deadline(&self) -> (Instant, End) {
        match &self.proof {
            Proof::Awaited { until, .. } => (*until, End::Unproven),
            Proof::Given => (self.heard + SILENT_AFTER, End::Silent),
        }
    }

    /// Had to be left out.
    pub fn count_lost(&self) {
        self.carriers.count_lost();
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.carriers.open[self.carrier as usize].fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// By its first byte.
    const VOICE: &[u8] = &[0x80, 0, 0, 1];

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    /// Carriers, and what stands for the relay.
    async fn rig(room: usize) -> (Carriers, UdpSocket) {
        let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let carriers = Carriers::new(relay.local_addr().unwrap(), 64);
        carriers.allow(room);
        (carriers, relay)
    }

    fn place() -> Place {
        Place::of_nobody()
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_an_address_has_a_limit() {
        let (carriers, _relay) = rig(MAX_PER_SOURCE as usize + 1).await;
        let take = |text: &str| carriers.take(Carrier::WebSocket, source(text), place());
        let mut held = Vec::new();
        for _ in 0..MAX_PER_SOURCE {
            held.push(take("10.0.0.1").await.unwrap());
        }
        assert!(matches!(take("10.0.0.1").await, Err(End::Source)));
        held.push(take("10.0.0.2").await.unwrap());
        assert!(matches!(take("10.0.0.3").await, Err(End::Full)));
        let open: usize = carriers.open().map(|(_, open)| open).sum();
        assert_eq!(open, held.len());
        held.clear();
        assert_eq!(carriers.open().map(|(_, open)| open).sum::<usize>(), 0);
        take("10.0.0.1").await.unwrap();
    }

    #[tokio::test]
    async fn what_the_relay_answers_is_the_proof() {
        let (carriers, relay) = rig(1).await;
        let taken = carriers.take(Carrier::WebSocket, source("10.0.0.1"), place());
        let mut passage = taken.await.unwrap();
        let began = Instant::now();
        assert!(matches!(passage.deadline(), (at, End::Unproven) if at <= began + PROOF_WITHIN));
        passage.up(began, VOICE).await.unwrap();
        let mut buffer = [0; MAX_DATAGRAM];
        let (len, from) = relay.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], VOICE);
        relay.send_to(b"who is it", from).await.unwrap();
        let len = poll_fn(|cx| passage.poll_down(cx, &mut buffer)).await;
        assert_eq!(&buffer[..len], b"who is it");
        assert!(matches!(passage.deadline(), (at, End::Silent) if at == began + SILENT_AFTER));
    }

    #[tokio::test]
    async fn a_stranger_has_a_few_datagrams_and_a_client_as_many_as_anyone() {
        let (carriers, relay) = rig(2).await;
        let taken = carriers.take(Carrier::WebSocket, source("10.0.0.1"), place());
        let mut passage = taken.await.unwrap();
        let now = Instant::now();
        for _ in 0..MAX_UNPROVEN {
            passage.up(now, VOICE).await.unwrap();
        }
        assert!(matches!(passage.up(now, VOICE).await, Err(End::Unproven)));
        passage.proof = Proof::Given;
        // None, too long, and QUIC, whose answers would look like the relay's.
        for datagram in [vec![], vec![0; MAX_DATAGRAM + 1], vec![0x40; 60]] {
            assert!(matches!(
                passage.up(now, &datagram).await,
                Err(End::Unreadable)
            ));
        }
        for _ in 0..1_000 {
            passage.up(now, VOICE).await.unwrap();
        }
        assert_eq!(carriers.lost(), 1_000 - u64::from(AT_ONCE - MAX_UNPROVEN));
        drop(relay);
    }
}
