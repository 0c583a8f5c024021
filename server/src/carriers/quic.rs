//! Voice in QUIC's unreliable datagrams (RFC 9221), on the UDP port of voice itself: media threads tell QUIC by the first byte (RFC 9443)
//! and hand it on.

use std::{
    fmt,
    future::poll_fn,
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use quinn::{
    AsyncUdpSocket, Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime,
    UdpPoller, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicServerConfig},
    udp::{RecvMeta, Transmit},
};
use tokio::time::{Instant, sleep_until, timeout};
use voxhall_protocol::voice::{
    Bundle, Carrier, DatagramKind, MAX_DATAGRAM, classify, quic_transport,
};

use super::{End, Passage};
use crate::{media::AsideEnd, places::Place, rates::Source, services::Services};

/// From a proven address to a connection.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// Handshakes that wait to be taken, and bytes that wait with them.
const MAX_INCOMING: usize = 256;
const INCOMING_BYTES: u64 = 8 * 1024;
const ALL_INCOMING_BYTES: u64 = 1024 * 1024;

/// Why there is no QUIC.
#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Cipher(#[from] NoInitialCipherSuite),
}

/// Answers QUIC with `socket`, which media threads read.
///
/// # Errors
/// See [`QuicError`].
pub fn endpoint(
    tls: Arc<rustls::ServerConfig>,
    socket: UdpSocket,
    inbox: AsideEnd,
) -> Result<Endpoint, QuicError> {
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config
        .transport_config(Arc::new(quic_transport()))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(ALL_INCOMING_BYTES);
    let mut endpoint = EndpointConfig::default();
    // The first byte has to say that it is QUIC (RFC 9443).
    endpoint.grease_quic_bit(false);
    let shared = Shared {
        socket,
        inbox: Mutex::new(inbox),
    };
    Ok(Endpoint::new_with_abstract_socket(
        endpoint,
        Some(config),
        Arc::new(shared),
        Arc::new(TokioRuntime),
    )?)
}

/// Takes connections. Never returns.
pub async fn run(endpoint: Endpoint, services: Arc<Services>) {
    while let Some(incoming) = endpoint.accept().await {
        let address = incoming.remote_address();
        if services.bans.is_banned(address.ip()) {
            incoming.ignore();
            continue;
        }
        // Whoever is at an address answers from there before anything is kept for them.
        if !incoming.remote_address_validated() {
            // An address that was proven before is not asked again, so this can't fail.
            let _ = incoming.retry();
            continue;
        }
        let source = Source::of(address.ip());
        let Ok(place) = services.carriers.strangers().take(source) else {
            incoming.refuse();
            continue;
        };
        let services = Arc::clone(&services);
        tokio::spawn(async move {
            let end = serve(incoming, source, &services, place).await;
            tracing::debug!(%address, "QUIC ended: {end}");
        });
    }
}

async fn serve(incoming: Incoming, source: Source, services: &Services, place: Place) -> End {
    let address = incoming.remote_address();
    let taken = services.carriers.take(Carrier::Quic, source, place).await;
    let mut passage = match taken {
        Ok(passage) => passage,
        Err(end) => {
            incoming.refuse();
            return end;
        }
    };
    let Ok(connecting) = incoming.accept() else {
        return End::Gone;
    };
    let Ok(Ok(connection)) = timeout(HANDSHAKE_WITHIN, connecting).await else {
        return End::Gone;
    };
    let end = tokio::select! {
        end = carry(&connection, &mut passage) => end,
        () = services.bans.banned(address.ip()) => End::Gone,
    };
    connection.close(VarInt::from_u32(0), end.to_string().as_bytes());
    end
}

/// Carries what comes, both ways, until there is a reason not to.
async fn carry(connection: &Connection, passage: &mut Passage<'_>) -> End {
    let mut buffer = [0; MAX_DATAGRAM];
    let mut alarm = pin!(sleep_until(passage.deadline().0));
    loop {
        tokio::select! {
            came = connection.read_datagram() => match came {
                Ok(datagram) => if let Err(end) = passage.up(Instant::now(), &datagram).await {
                    return end;
                },
                Err(_) => return End::Gone,
            },
            len = poll_fn(|cx| passage.poll_down(cx, &mut buffer)) => {
                down(connection, passage, &mut buffer[..len]);
            }
            () = alarm.as_mut() => {
                let (at, end) = passage.deadline();
                if Instant::now() >= at {
                    return end;
                }
                alarm.as_mut().reset(at);
            }
        }
    }
}

/// Sends a datagram of the relay's; a bundle that is too long for the path goes packet by packet.
fn down(connection: &Connection, passage: &Passage<'_>, datagram: &mut [u8]) {
    let fits = |bytes: &[u8]| {
        connection
            .max_datagram_size()
            .is_some_and(|most| bytes.len() <= most)
    };
    let send = |bytes: &[u8]| {
        if !fits(bytes) || connection.send_datagram(bytes.to_vec().into()).is_err() {
            passage.count_lost();
        }
    };
    if !fits(datagram) && classify(datagram) == DatagramKind::Bundle {
        // The relay's own are well formed.
        let _ = Bundle::for_each_mut(datagram, |packet| send(packet));
    } else {
        send(datagram);
    }
}

/// What QUIC sends through: the socket of voice. What comes is handed on by media threads.
struct Shared {
    socket: UdpSocket,
    inbox: Mutex<AsideEnd>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.socket).finish()
    }
}

impl AsyncUdpSocket for Shared {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Always)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        // What can't be sent now is lost, as voice is: QUIC repeats what has to arrive.
        let _ = self.socket.send_to(transmit.contents, transmit.destination);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbox = self.inbox.lock().expect("nothing panics with this lock");
        inbox.waker.register(cx.waker());
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some(datagram) = inbox.take() else {
                break;
            };
            let bytes = datagram.bytes();
            let bytes = &bytes[..bytes.len().min(buffer.len())];
            buffer[..bytes.len()].copy_from_slice(bytes);
            *meta = RecvMeta {
                addr: datagram.from,
                len: bytes.len(),
                stride: bytes.len(),
                ecn: None,
                dst_ip: None,
            };
            count += 1;
        }
        match count {
            0 => Poll::Pending,
            count => Poll::Ready(Ok(count)),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The system sets "don't fragment" on UDP where it looks for the longest packet of a path, which is the usual.
    fn may_fragment(&self) -> bool {
        false
    }
}

/// It can always be tried to send.
#[derive(Debug)]
struct Always;

impl UdpPoller for Always {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
