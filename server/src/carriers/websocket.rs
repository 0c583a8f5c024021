//! Voice datagrams as binary messages of a WebSocket on the port of everything else.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{Extension, Request, State},
    response::Response,
};
use futures_util::{Sink, Stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message,
        protocol::{Role, WebSocketConfig},
    },
};
use voxhall_protocol::voice::{Carrier, MAX_DATAGRAM};

use super::{End, Passage};
use crate::{
    http::{Peer, websocket},
    places::Place,
    services::Services,
};

/// What the system may hold that is not on its way yet, and TLS before it: what waits there can't be left out any more.
const UNSENT_BYTES: u32 = 8_192;
/// Datagrams that wait while the client takes nothing; the oldest are lost, as voice that is late is worth nothing.
const QUEUE: usize = 64;
/// Datagrams that are sent together.
const AT_ONCE: usize = 16;
const READ_BUFFER: usize = 2 * 1024;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Carries voice.
pub async fn upgrade(
    State(services): State<Arc<Services>>,
    Extension(peer): Extension<Peer>,
    Extension(place): Extension<Place>,
    request: Request,
) -> Response {
    websocket::upgrade(request, async move |upgraded| {
        let address = peer.address;
        match socket(upgraded).await {
            Ok(socket) => {
                let end = serve(socket, &services, &peer, place).await;
                tracing::debug!(%address, "a WebSocket for voice ended: {end}");
            }
            Err(error) => tracing::debug!(%address, %error, "a WebSocket for voice failed"),
        }
    })
}

/// What a connection becomes that shall hold back as little as can be.
async fn socket(upgraded: Upgraded) -> io::Result<Socket> {
    let parts = upgraded
        .downcast::<TokioIo<TlsStream<TcpStream>>>()
        .map_err(|_| io::Error::other("it is no TLS over TCP"))?;
    let mut stream = parts.io.into_inner();
    let (tcp, tls) = stream.get_mut();
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(&*tcp).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = tcp;
    tls.set_buffer_limit(Some(UNSENT_BYTES as usize));
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_DATAGRAM))
        .max_frame_size(Some(MAX_DATAGRAM));
    let read = parts.read_buf.to_vec();
    Ok(WebSocketStream::from_partially_read(stream, read, Role::Server, Some(limits)).await)
}

async fn serve(socket: Socket, services: &Services, peer: &Peer, place: Place) -> End {
    let taken = services
        .carriers
        .take(Carrier::WebSocket, peer.source, place)
        .await;
    let passage = match taken {
        Ok(passage) => passage,
        Err(end) => return end,
    };
    tokio::select! {
        end = carry(socket, passage) => end,
        () = services.bans.banned(peer.address.ip()) => End::Gone,
    }
}

/// Carries what comes, both ways, until there is a reason not to.
async fn carry(mut socket: Socket, mut passage: Passage<'_>) -> End {
    let mut waiting: VecDeque<Bytes> = VecDeque::with_capacity(QUEUE);
    let mut sending = false;
    let mut buffer = [0; MAX_DATAGRAM];
    let mut alarm = pin!(sleep_until(passage.deadline().0));
    loop {
        if !sending {
            for datagram in waiting.drain(..AT_ONCE.min(waiting.len())) {
                let sent = Pin::new(&mut socket).start_send(Message::Binary(datagram));
                if let Err(error) = sent {
                    return ended(&error);
                }
                sending = true;
            }
        }
        let next = poll_fn(|cx| {
            let alarm = alarm.as_mut();
            poll_next(cx, &mut socket, &mut passage, alarm, sending, &mut buffer)
        });
        match next.await {
            Next::Sent => sending = false,
            Next::Came(Message::Binary(datagram)) => {
                if let Err(end) = passage.up(Instant::now(), &datagram).await {
                    return end;
                }
            }
            // Answered by the WebSocket itself; no sign of life, which only voice's own requests are.
            Next::Came(Message::Ping(_) | Message::Pong(_)) => {}
            Next::Came(Message::Close(_)) => return End::Gone,
            Next::Came(Message::Text(_) | Message::Frame(_)) => return End::Unreadable,
            Next::Down(len) => {
                if waiting.len() == QUEUE {
                    waiting.pop_front();
                    passage.count_lost();
                }
                waiting.push_back(Bytes::copy_from_slice(&buffer[..len]));
            }
            Next::Alarm => {
                let (at, end) = passage.deadline();
                if Instant::now() >= at {
                    return end;
                }
                alarm.as_mut().reset(at);
            }
            Next::Ended(end) => return end,
        }
    }
}

enum Next {
    /// All that was handed over has left.
    Sent,
    Came(Message),
    /// A datagram of the relay's.
    Down(usize),
    Alarm,
    Ended(End),
}

fn poll_next(
    cx: &mut Context<'_>,
    socket: &mut Socket,
    passage: &mut Passage<'_>,
    alarm: Pin<&mut Sleep>,
    sending: bool,
    buffer: &mut [u8],
) -> Poll<Next> {
    if sending && let Poll::Ready(sent) = Pin::new(&mut *socket).poll_flush(cx) {
        return Poll::Ready(match sent {
            Ok(()) => Next::Sent,
            Err(error) => Next::Ended(ended(&error)),
        });
    }
    if let Poll::Ready(came) = Pin::new(socket).poll_next(cx) {
        return Poll::Ready(match came {
            Some(Ok(message)) => Next::Came(message),
            Some(Err(error)) => Next::Ended(ended(&error)),
            None => Next::Ended(End::Gone),
        });
    }
    if let Poll::Ready(len) = passage.poll_down(cx, buffer) {
        return Poll::Ready(Next::Down(len));
    }
    alarm.poll(cx).map(|()| Next::Alarm)
}

fn ended(error: &Error) -> End {
    match error {
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => End::Unreadable,
        _ => End::Gone,
    }
}
