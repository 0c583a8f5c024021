//! Carries datagrams otherwise than by UDP. The workers see a socket of this machine, whatever is behind it, and the system notes when
//! datagrams came; between that socket and the server stands a thread for as long as the bridge lives.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{Acquire, Release},
        },
    },
    thread::Builder,
    time::Duration,
};

use tokio::sync::oneshot;
use voxhall_protocol::{link::Link, voice::Carrier};

use super::{quic, wake::Waker, websocket};
use crate::audio::raise_current_thread;

/// For what tells the server that a connection ended, which QUIC sends in a task of its own.
const FAREWELL: Duration = Duration::from_millis(20);

/// Where the server is, and who it has to be.
pub struct Route {
    /// Where the control connection went.
    pub server: SocketAddr,
    pub link: Link,
}

impl Route {
    /// A socket from which the server can be reached.
    pub(super) fn bind(&self) -> io::Result<UdpSocket> {
        match self.server {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BridgeState {
    Opening,
    Up,
    Ended,
}

/// Ends when it is dropped.
pub struct Bridge {
    state: Arc<AtomicU8>,
    _stop: oneshot::Sender<()>,
}

impl Bridge {
    /// Begins to connect; `waker` is told of each change. What is sent into the socket before the bridge is up waits for it.
    ///
    /// # Errors
    /// The system has no socket or thread left.
    pub fn open(
        carrier: Carrier,
        route: &Arc<Route>,
        waker: &Arc<Waker>,
    ) -> io::Result<(UdpSocket, Self)> {
        let (near, far) = pair()?;
        let state = Arc::new(AtomicU8::new(BridgeState::Opening as u8));
        let (stop, stopped) = oneshot::channel();
        let (route, waker, told) = (Arc::clone(route), Arc::clone(waker), Arc::clone(&state));
        let tell = move |state: BridgeState| {
            told.store(state as u8, Release);
            waker.wake();
        };
        Builder::new()
            .name(format!("voice-{carrier}"))
            .spawn(move || {
                raise_current_thread();
                if let Err(error) = run(carrier, &route, far, stopped, || tell(BridgeState::Up)) {
                    tracing::debug!(%error, %carrier, "a carrier ended");
                }
                tell(BridgeState::Ended);
            })?;
        Ok((near, Self { state, _stop: stop }))
    }

    pub fn state(&self) -> BridgeState {
        match self.state.load(Acquire) {
            0 => BridgeState::Opening,
            1 => BridgeState::Up,
            _ => BridgeState::Ended,
        }
    }
}

/// Carries datagrams between a socket of this machine and the server, until the connection ends; `up` is called once it is open. For who has
/// a voice path of its own.
///
/// # Errors
/// Why it ended. UDP needs nobody to carry it.
pub async fn carry(
    carrier: Carrier,
    route: &Route,
    socket: &tokio::net::UdpSocket,
    up: impl FnOnce(),
) -> io::Result<()> {
    match carrier {
        Carrier::Udp => Err(io::ErrorKind::Unsupported.into()),
        Carrier::Quic => quic::carry(route, socket, up).await,
        Carrier::WebSocket => websocket::carry(route, socket, up).await,
    }
}

/// Until `stopped`, or the connection ends.
fn run(
    carrier: Carrier,
    route: &Route,
    far: UdpSocket,
    stopped: oneshot::Receiver<()>,
    up: impl FnOnce(),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let carrying = async {
        let socket = tokio::net::UdpSocket::from_std(far)?;
        carry(carrier, route, &socket, up).await
    };
    let ended = runtime.block_on(async {
        let ended = tokio::select! {
            _ = stopped => Ok(()),
            ended = carrying => ended,
        };
        tokio::time::sleep(FAREWELL).await;
        ended
    });
    // A look-up of a name may still be on its way.
    runtime.shutdown_background();
    ended
}

/// Two sockets that hear each other and nobody else.
fn pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    near.connect(far.local_addr()?)?;
    far.connect(near.local_addr()?)?;
    for socket in [&near, &far] {
        socket.set_nonblocking(true)?;
    }
    Ok((near, far))
}
