//! Voice that comes by a WebSocket or by QUIC, and who is not let in that way.

use std::{
    net::UdpSocket,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Bytes, Message},
};
use voxhall_protocol::{
    control::{ChannelKind, JoinVoice, VoiceGrant},
    voice::{
        Datagram, MAX_DATAGRAM, PathClient, QUIC_ALPN, SessionKeys, TransactionId, WEBSOCKET_PATH,
    },
};

use crate::{
    client::{Client, tls, tls_config},
    fixture::Server,
    talking::channel,
};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

async fn open(server: &Server) -> Option<Socket> {
    let stream = tls(&server.link("invite"), None).await.ok()?;
    let url = format!("ws://server{WEBSOCKET_PATH}");
    let (socket, _) = client_async(url, stream).await.ok()?;
    Some(socket)
}

/// Waits until the server has hung up; how long that took.
async fn hung_up(socket: &mut Socket) -> Duration {
    let began = Instant::now();
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    let waited = timeout(Duration::from_secs(20), ended).await;
    waited.expect("the server hangs up");
    began.elapsed()
}

async fn grant(server: &Server) -> (Client, VoiceGrant) {
    let (mut client, ready) = Client::guest(server, "ann").await;
    let join = JoinVoice {
        channel_id: channel(&ready, ChannelKind::Voice),
        muted: false,
        deafened: false,
        bundles: false,
    };
    let grant = client.call(&join).await.unwrap();
    (client, grant)
}

/// Opens the path of `grant` over the WebSocket.
async fn prove(socket: &mut Socket, grant: &VoiceGrant) {
    let keys = SessionKeys::derive(&grant.secret);
    let mut path = PathClient::new(grant.voice_session, keys.stun, Instant::now());
    let mut number = 0;
    while !path.is_open() {
        number += 1;
        let mut request = Datagram::new();
        if path.poll(Instant::now(), TransactionId([number; 12]), &mut request) {
            let bytes = Bytes::copy_from_slice(request.as_slice());
            socket.send(Message::Binary(bytes)).await.unwrap();
        }
        let answer = timeout(Duration::from_millis(250), socket.next()).await;
        if let Ok(answer) = answer {
            let answer = answer.expect("it goes on").unwrap().into_data();
            path.handle(Instant::now(), &answer).unwrap();
        }
    }
}

#[tokio::test]
async fn who_shows_no_sessions_key_is_hung_up_on_and_who_does_may_stay() {
    let server = Server::start();
    let (_client, grant) = grant(&server).await;
    let mut proven = open(&server).await.unwrap();
    prove(&mut proven, &grant).await;
    let mut stranger = open(&server).await.unwrap();
    for n in 0..20 {
        let noise = Bytes::from(vec![n; 100]);
        stranger.send(Message::Binary(noise)).await.unwrap();
    }
    let took = hung_up(&mut stranger).await;
    assert!(took > Duration::from_secs(3), "{took:?}");
    prove(&mut proven, &grant).await;
}

#[tokio::test]
async fn what_is_no_datagram_ends_the_connection() {
    let server = Server::start();
    for message in [
        Message::text("hello"),
        Message::Binary(Bytes::new()),
        Message::Binary(Bytes::from(vec![1; MAX_DATAGRAM + 1])),
        Message::Binary(Bytes::from(vec![1; 1 << 20])),
    ] {
        let mut socket = open(&server).await.unwrap();
        // It may hang up in the midst of a long one.
        let _ = socket.send(message).await;
        assert!(hung_up(&mut socket).await < Duration::from_secs(2));
    }
}

/// Connections that show nothing are counted by their address, and those that do are not.
#[tokio::test]
async fn an_address_has_so_many_that_show_nothing() {
    let server = Server::start_with(&["--pending-per-address", "8"]);
    let (_client, grant) = grant(&server).await;
    let mut proven = Vec::new();
    for _ in 0..12 {
        let mut socket = open(&server)
            .await
            .expect("the others have proven themselves");
        prove(&mut socket, &grant).await;
        proven.push(socket);
    }
    let mut strangers = Vec::new();
    for _ in 0..40 {
        strangers.extend(open(&server).await);
    }
    assert_eq!(strangers.len(), 8);
    for stranger in &mut strangers {
        hung_up(stranger).await;
    }
    assert!(open(&server).await.is_some());
}

/// Another endpoint for each, as the connections of a whole hall would be.
async fn quic(server: &Server) -> Option<(quinn::Endpoint, quinn::Connection)> {
    let mut tls = tls_config(&server.link("invite"));
    tls.alpn_protocols = vec![QUIC_ALPN.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let address = ([127, 0, 0, 1], server.port()).into();
    let connecting = endpoint.connect_with(config, address, "voxhall.invalid");
    let connection = connecting.unwrap().await.ok()?;
    Some((endpoint, connection))
}

#[tokio::test]
async fn an_address_has_so_many_quic_connections_that_show_nothing_and_they_end() {
    let server = Server::start_with(&["--pending-per-address", "8"]);
    let mut strangers = Vec::new();
    for n in 0..20 {
        let stranger = quic(&server).await;
        assert_eq!(stranger.is_some(), n < 8, "the {n}th");
        strangers.extend(stranger);
    }
    for (_, stranger) in &strangers {
        let _ = stranger.send_datagram(vec![7; 100].into());
        let closed = timeout(Duration::from_secs(10), stranger.closed()).await;
        assert!(closed.is_ok(), "it is never hung up on");
    }
    assert!(quic(&server).await.is_some());
}

#[tokio::test]
async fn quic_with_another_purpose_is_refused() {
    let server = Server::start();
    let mut tls = tls_config(&server.link("invite"));
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let address = ([127, 0, 0, 1], server.port()).into();
    let connecting = endpoint.connect_with(config, address, "voxhall.invalid");
    assert!(connecting.unwrap().await.is_err());
}

/// Whatever has the first byte of QUIC: what comes back is never more than what was sent, so nobody is flooded with answers by a forged
/// address.
#[test]
fn noise_that_looks_like_quic_is_answered_with_less() {
    let server = Server::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", server.port())).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(3)))
        .unwrap();
    let mut seed = 1_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as u8
    };
    let mut answers = 0;
    for n in 0..1_500 {
        let len = [1, 20, 21, 22, 40, 100, 600, 1_199, 1_200, 1_472][n % 10];
        let mut datagram: Vec<u8> = (0..len).map(|_| random()).collect();
        datagram[0] = if n % 3 == 0 { 0x40 } else { 0xc0 } | (datagram[0] & 0x3f);
        if n % 3 == 1 && len > 30 {
            // Version 1, and connection ids of eight bytes: an Initial but for its tag.
            datagram[1..5].copy_from_slice(&[0, 0, 0, 1]);
            datagram[0] &= 0xcf;
            datagram[5] = 8;
            datagram[14] = 8;
            datagram[23] = 0;
        }
        socket.send(&datagram).unwrap();
        let mut answered = 0;
        let mut buffer = [0; 2_048];
        while let Ok(len) = socket.recv(&mut buffer) {
            answered += len;
            answers += 1;
        }
        assert!(answered <= len, "{answered} bytes for {len}");
    }
    // Another version was asked for, or a connection that is no more.
    assert!(answers > 0, "nothing of it was QUIC");
}
