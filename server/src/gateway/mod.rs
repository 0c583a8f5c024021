//! The WebSocket: one task for each connection.

mod dispatch;
mod log;
mod outbox;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Extension, Request, State},
    response::Response,
};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Message,
        protocol::{
            CloseFrame, Role, WebSocketConfig,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};
use voxhall_protocol::{
    control::{Event, encode_event},
    limits::MAX_CONTROL_MESSAGE_BYTES,
};

use crate::{
    http::{Peer, websocket},
    places::Place,
    services::Services,
};
use dispatch::Session;
pub use log::{Counted, Log};
pub use outbox::{End, EventText, Next, Outbox};

/// A client that sent nothing for this long sends a ping; after three times this it is taken for gone.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// A person may be typing a password.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(120);
/// For the last words to a client, and whatever waits before them.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// A client that takes nothing of what waits for it for so long keeps it waiting no longer, though it may give signs of life.
const STALLED_AFTER: Duration = Duration::from_secs(30);
const READ_BUFFER: usize = 2 * 1024;
const WRITE_BUFFER: usize = 4 * 1024;

/// Serves a client.
pub async fn upgrade(
    State(services): State<Arc<Services>>,
    Extension(peer): Extension<Peer>,
    Extension(place): Extension<Place>,
    request: Request,
) -> Response {
    websocket::upgrade(request, async move |upgraded| {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(MAX_CONTROL_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_CONTROL_MESSAGE_BYTES));
        let stream = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        serve(socket, &services, peer, place).await;
    })
}

async fn serve<S>(socket: WebSocketStream<S>, services: &Services, peer: Peer, place: Place)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let outbox = Arc::new(Outbox::default());
    let connection = services.hub.open(&outbox);
    tracing::debug!(id = connection.0, address = %peer.address, "connected");
    let (sink, stream) = socket.split();
    let session = Session::new(services, connection, peer.source, &outbox, place);
    // Neither ends the other in the midst of it: what a request has committed is told to the others, whatever became of who asked.
    let reading = async {
        let end = read(stream, session, &outbox).await;
        tracing::debug!(id = connection.0, ?end, "hanging up");
        outbox.end(end);
    };
    let writing = async {
        tokio::select! {
            () = write(sink, &outbox) => {}
            // Whether the last words arrive is the client's matter.
            () = async { outbox.ended().await; sleep(CLOSE_WITHIN).await } => {}
        }
        outbox.end(End::Gone);
    };
    let banned = async {
        services.bans.banned(peer.address.ip()).await;
        outbox.end(End::Banned);
        services
            .hub
            .act(|live, now, out| live.leave_voice(connection, now, out));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = async { tokio::join!(reading, writing) } => {}
        () = banned => {}
    }
    services.hub.close(connection);
    tracing::debug!(id = connection.0, "disconnected");
}

/// Reads and answers requests until there is a reason to hang up.
async fn read(
    mut stream: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    mut session: Session<'_>,
    outbox: &Outbox,
) -> End {
    let sign_in_until = Instant::now() + SIGN_IN_WITHIN;
    loop {
        let silent_at = Instant::now() + HEARTBEAT * 3;
        let (until, end) = if session.has_begun() || silent_at < sign_in_until {
            (silent_at, End::Silent)
        } else {
            (sign_in_until, End::NotSignedIn)
        };
        let message = tokio::select! {
            biased;
            // The reason is known already.
            () = outbox.ended() => return End::Gone,
            message = timeout_at(until, stream.next()) => message,
        };
        let Ok(message) = message else {
            return end;
        };
        let Some(message) = message else {
            return End::Gone;
        };
        match message {
            Ok(Message::Text(text)) => {
                outbox.set_answering(true);
                let end = session.request(&text).await;
                outbox.set_answering(false);
                if let Some(end) = end {
                    return end;
                }
            }
            // Answered by the WebSocket itself; a sign of life.
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Binary(_) | Message::Frame(_)) => {
                return End::Unreadable("control messages are text");
            }
            Ok(Message::Close(_)) => return End::Gone,
            Err(tungstenite::Error::Capacity(_)) => return End::TooLong,
            Err(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)) => {
                return End::Unreadable("what came is no WebSocket message");
            }
            Err(_) => return End::Gone,
        }
    }
}

/// Sends what comes into the outbox, until the connection ends.
async fn write(mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin, outbox: &Outbox) {
    // What is cut off in the midst of a message can't say why.
    let mut whole = true;
    let end = loop {
        match outbox.next().await {
            Next::Text(text) => {
                for frame in frames(text) {
                    whole = frame.header().is_final;
                    tokio::select! {
                        biased;
                        sent = sink.send(Message::Frame(frame)) => if sent.is_err() { return },
                        () = outbox.cut_off() => break,
                        () = sleep(STALLED_AFTER) => {
                            outbox.end(End::TooSlow);
                            break;
                        }
                    }
                }
            }
            Next::End(End::Gone) => return,
            Next::End(end) => break end,
        }
    };
    let event = Event::SessionClosed {
        reason: end.reason().to_owned(),
        reconnect_after_ms: end.reconnect_after_ms(),
    };
    let close = CloseFrame {
        code: close_code(&end),
        reason: short(end.reason()).into(),
    };
    // Whether they arrive is the client's matter.
    let _ = async {
        if whole {
            // It is no event of the session, which may go on: it counts as the last one did.
            let text = encode_event(outbox.last_seq(), &event);
            sink.feed(Message::text(text)).await?;
        }
        sink.feed(Message::Close(Some(close))).await?;
        sink.flush().await
    }
    .await;
}

/// A long message goes in pieces: what sends it keeps a buffer of the longest that it was ever given.
fn frames(text: String) -> impl Iterator<Item = Frame> {
    let mut rest = Bytes::from(text);
    let mut next = Some(Data::Text);
    std::iter::from_fn(move || {
        let opcode = OpCode::Data(next?);
        let piece = rest.split_to(rest.len().min(WRITE_BUFFER));
        next = (!rest.is_empty()).then_some(Data::Continue);
        Some(Frame::message(piece, opcode, next.is_none()))
    })
}

/// A close frame has room for 123 bytes.
fn short(reason: &str) -> String {
    reason
        .chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= 123).then_some(c)
        })
        .collect()
}

fn close_code(end: &End) -> CloseCode {
    match end {
        End::TooSlow | End::Flood | End::NotSignedIn | End::Silent | End::TooMany | End::Banned => {
            CloseCode::Policy
        }
        End::Unreadable(_) => CloseCode::Unsupported,
        End::TooLong => CloseCode::Size,
        End::SignedOut | End::Suspended | End::AccountDeleted | End::Resumed | End::Gone => {
            CloseCode::Normal
        }
        End::ShuttingDown { .. } => CloseCode::Restart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_though_little_waits() {
        let outbox = Outbox::default();
        let began = Instant::now();
        let nothing_passes =
            futures_util::sink::unfold((), |(), _: Message| std::future::pending());
        let writing = write(Box::pin(nothing_passes), &outbox);
        let ended = async {
            // While nothing waits, nothing stalls.
            sleep(STALLED_AFTER * 10).await;
            outbox.push("ready".into());
            outbox.push("and more".into());
            outbox.ended().await;
        };
        tokio::select! {
            () = writing => panic!("its last words can't be sent either"),
            () = ended => {}
        }
        let waited = began.elapsed().saturating_sub(STALLED_AFTER * 10);
        assert!(
            (STALLED_AFTER..STALLED_AFTER * 2).contains(&waited),
            "{waited:?}"
        );
        assert!(matches!(outbox.next().await, Next::End(End::TooSlow)));
    }

    #[test]
    fn a_long_message_is_the_same_in_pieces() {
        for len in [0, 1, WRITE_BUFFER, WRITE_BUFFER + 1, 3 * WRITE_BUFFER] {
            let text = "ä".repeat(len / 2) + &"x".repeat(len % 2);
            let all: Vec<_> = frames(text.clone()).collect();
            assert_eq!(all.len(), len.div_ceil(WRITE_BUFFER).max(1));
            let bytes: Vec<_> = all
                .iter()
                .flat_map(|frame| frame.payload().to_vec())
                .collect();
            assert_eq!(bytes, text.into_bytes());
            for (n, frame) in all.iter().enumerate() {
                let opcode = OpCode::Data(if n == 0 { Data::Text } else { Data::Continue });
                assert_eq!(frame.header().opcode, opcode);
                assert_eq!(frame.header().is_final, n + 1 == all.len());
            }
        }
    }
}
