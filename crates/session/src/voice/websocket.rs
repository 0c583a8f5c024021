//! Voice datagrams as binary messages of a WebSocket, for where no UDP passes.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Sink, Stream};
use tokio::{
    io::ReadBuf,
    net::{TcpStream, UdpSocket},
    time,
};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Bytes, Error, Message, protocol::WebSocketConfig},
};
use voxhall_protocol::voice::{MAX_DATAGRAM, WEBSOCKET_PATH};

use super::bridge::Route;
use crate::control;

/// TCP, TLS and WebSocket together.
const OPEN_TIMEOUT: Duration = Duration::from_secs(4);
/// What the system may hold that is not on its way yet, and TLS before it: a tenth of a second of one voice.
const UNSENT_BYTES: u32 = 4_096;
/// Datagrams that wait while the connection takes nothing; the oldest are lost, as voice that is late is worth nothing.
const QUEUE: usize = 32;
/// Datagrams that are sent together.
const AT_ONCE: usize = 16;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Carries what comes, both ways, until the connection ends; `up` is called once it is open.
pub async fn carry(route: &Route, socket: &UdpSocket, up: impl FnOnce()) -> io::Result<()> {
    let opening = time::timeout(OPEN_TIMEOUT, open(route)).await;
    let mut stream = opening.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    up();
    let mut waiting = VecDeque::with_capacity(QUEUE);
    let mut sending = false;
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        if !sending {
            for datagram in waiting.drain(..AT_ONCE.min(waiting.len())) {
                let message = Message::Binary(datagram);
                Pin::new(&mut stream).start_send(message).map_err(ended)?;
                sending = true;
            }
        }
        let next = poll_fn(|cx| poll_next(cx, &mut stream, socket, sending, &mut buffer));
        match next.await {
            Next::Sent(sent) => {
                sent.map_err(ended)?;
                sending = false;
            }
            Next::Came(Message::Binary(datagram)) if datagram.len() <= MAX_DATAGRAM => {
                // What the worker has no room for is lost.
                let _ = socket.send(&datagram).await;
            }
            // Pings are answered by the library.
            Next::Came(Message::Ping(_) | Message::Pong(_)) => {}
            Next::Came(_) => return Err(io::Error::other("the server sent no datagram")),
            Next::Taken(len) => {
                if waiting.len() == QUEUE {
                    waiting.pop_front();
                }
                waiting.push_back(Bytes::copy_from_slice(&buffer[..len]));
            }
            Next::Ended(error) => return Err(error),
        }
    }
}

enum Next {
    /// All that was handed over has left.
    Sent(Result<(), Error>),
    Came(Message),
    /// A datagram of the worker's.
    Taken(usize),
    Ended(io::Error),
}

fn poll_next(
    cx: &mut Context<'_>,
    stream: &mut Socket,
    socket: &UdpSocket,
    sending: bool,
    buffer: &mut [u8],
) -> Poll<Next> {
    if sending && let Poll::Ready(sent) = Pin::new(&mut *stream).poll_flush(cx) {
        return Poll::Ready(Next::Sent(sent));
    }
    if let Poll::Ready(came) = Pin::new(stream).poll_next(cx) {
        return Poll::Ready(match came {
            Some(Ok(message)) => Next::Came(message),
            Some(Err(error)) => Next::Ended(ended(error)),
            None => Next::Ended(io::ErrorKind::UnexpectedEof.into()),
        });
    }
    let mut taken = ReadBuf::new(buffer);
    Poll::Ready(match ready!(socket.poll_recv(cx, &mut taken)) {
        Ok(()) => Next::Taken(taken.filled().len()),
        Err(error) => Next::Ended(error),
    })
}

async fn open(route: &Route) -> io::Result<Socket> {
    let stream = TcpStream::connect(route.server).await?;
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    let mut stream = control::secure(&route.link, stream)
        .await
        .map_err(|problem| io::Error::other(problem.to_string()))?;
    stream
        .get_mut()
        .1
        .set_buffer_limit(Some(UNSENT_BYTES as usize));
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_DATAGRAM))
        .max_frame_size(Some(MAX_DATAGRAM));
    let url = format!("wss://{}{WEBSOCKET_PATH}", route.link.authority());
    let (socket, _) = client_async_with_config(url, stream, Some(limits))
        .await
        .map_err(ended)?;
    Ok(socket)
}

fn ended(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
