//! Clients that break the rules, and what others notice of it: nothing.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;
use voxhall_protocol::{
    control::{
        Begin, ChannelKind, Event, FailureKind, Incoming, LeaveVoice, ListMessages, Ping, Presence,
        Request, SendMessage, Status, schema,
    },
    limits::MAX_CONTROL_MESSAGE_BYTES,
};

use crate::{
    client::{Client, tls},
    fixture::Server,
    talking::channel,
};

#[tokio::test]
async fn requests_out_of_order_are_refused() {
    let server = Server::start();
    let mut client = Client::connect(&server).await;
    client.call(&Ping {}).await.unwrap();
    let begin = Begin {
        access_token: "x".into(),
    };
    assert_eq!(client.refused(&begin).await, FailureKind::OutOfOrder);
    assert_eq!(
        client.refused(&LeaveVoice {}).await,
        FailureKind::OutOfOrder
    );
    let mut client = Client::greeted(&server).await;
    assert_eq!(
        client.refused(&LeaveVoice {}).await,
        FailureKind::OutOfOrder
    );
    assert_eq!(client.refused(&begin).await, FailureKind::Unauthorized);
}

#[tokio::test]
async fn nonsense_is_answered_and_the_connection_goes_on() {
    let server = Server::start();
    let mut client = Client::greeted(&server).await;
    for nonsense in ["", "{", "[]", "{\"jsonrpc\":\"2.0\"}", "\u{0}\u{ffff}"] {
        client.send_raw(Message::text(nonsense)).await.unwrap();
    }
    client
        .send_raw(Message::text(
            r#"{"jsonrpc":"2.0","id":77,"method":"guild.conquer"}"#,
        ))
        .await
        .unwrap();
    let mut kinds = Vec::new();
    for _ in 0..6 {
        if let voxhall_protocol::control::Incoming::Failed { failure, .. } = client.incoming().await
        {
            kinds.push(failure.kind());
        }
    }
    assert_eq!(kinds[..5], [FailureKind::Malformed; 5]);
    assert_eq!(kinds[5], FailureKind::UnknownMethod);
    client.call(&Ping {}).await.unwrap();
}

/// Every method with what no client of ours would send: too deep, twice, of another type. Each is refused, none fails.
#[tokio::test]
async fn wrong_parameters_are_refused_by_every_method() {
    let server = Server::start_with(&["--sign-ins-per-minute", "100000"]);
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    for method in Request::METHODS {
        // Nobody has anything to say there, or it ends the sign-in.
        if ["session.ping", "account.logout"].contains(method) {
            continue;
        }
        let schema = schema();
        let shape = &schema["methods"][*method]["params"]["$ref"];
        let shape = schema.pointer(&shape.as_str().unwrap()[1..]).unwrap();
        let names: Vec<_> = shape["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .collect();
        let mut tries = vec!["7".to_owned(), "\"x\"".to_owned(), "[]".to_owned()];
        for (name, _) in &names {
            tries.push(format!(r#"{{"{name}":{{"a":[null]}}}}"#));
            tries.push(format!(r#"{{"{name}":{deep}}}"#));
            tries.push(format!(r#"{{"{name}":1,"{name}":2}}"#));
            tries.push(format!(r#"{{"{name}":-1e999}}"#));
        }
        if names.is_empty() {
            continue;
        }
        // Somebody new for each, who has used up no budget.
        let (mut ann, _) = Client::guest(&server, "ann").await;
        for params in tries {
            let request =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
            ann.send_raw(Message::text(request)).await.unwrap();
            let Incoming::Failed { failure, .. } = ann.answered().await else {
                panic!("{method} takes {params:.80}");
            };
            assert!(
                [FailureKind::InvalidParams, FailureKind::Malformed].contains(&failure.kind()),
                "{method} with {params:.80}: {failure:?}"
            );
        }
        ann.call(&Ping {}).await.unwrap();
    }
}

#[tokio::test]
async fn random_bytes_at_every_layer_disturb_nobody() {
    let server = Server::start();
    let (mut ann, ready) = Client::guest(&server, "ann").await;
    let mut noise = Noise(0x5eed);
    for round in 0..40 {
        // Instead of TLS.
        let mut raw = TcpStream::connect(("127.0.0.1", server.port()))
            .await
            .unwrap();
        // The server may have hung up already.
        let _ = raw.write_all(&noise.bytes(300)).await;
        // Instead of HTTP.
        let mut http = tls(&server.link("invite"), None).await.unwrap();
        let _ = http.write_all(&noise.bytes(300)).await;
        let _ = http.shutdown().await;
        let mut answer = Vec::new();
        let _ = http.read_to_end(&mut answer).await;
        // Instead of WebSocket frames, after a good handshake.
        let mut socket = tls(&server.link("invite"), None).await.unwrap();
        let upgrade = "GET /ws HTTP/1.1\r\nHost: s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(upgrade.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
        let _ = socket.write_all(&noise.bytes(2_000)).await;
        // Instead of text.
        let mut client = Client::connect(&server).await;
        let _ = client.send_raw(Message::binary(noise.bytes(200))).await;
        let (event, _) = client.until_closed().await;
        assert!(
            matches!(event, Some(Event::SessionClosed { .. })),
            "{event:?}"
        );

        ann.call(&Ping {}).await.unwrap();
        // No more than one user may send.
        if round % 5 == 0 {
            let send = SendMessage::new(
                channel(&ready, ChannelKind::Text),
                format!("still here {round}"),
                round.to_string(),
            );
            ann.call(&send).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_its_own_connection_only() {
    let server = Server::start();
    let (mut ann, _) = Client::guest(&server, "ann").await;
    let mut client = Client::greeted(&server).await;
    // The server may hang up before all of it is sent.
    let _ = client
        .send_raw(Message::text("x".repeat(MAX_CONTROL_MESSAGE_BYTES + 1)))
        .await;
    let (event, close) = client.until_closed().await;
    if let Some(close) = close {
        assert_eq!(u16::from(close.code), 1009);
        assert!(matches!(event, Some(Event::SessionClosed { .. })));
    }
    ann.call(&Ping {}).await.unwrap();
}

#[tokio::test]
async fn too_many_requests_are_refused_until_they_calm_down() {
    let server = Server::start();
    let (mut ann, _) = Client::guest(&server, "ann").await;
    let mut limited = None;
    for _ in 0..300 {
        if let Err(failure) = ann.call(&Ping {}).await {
            limited = Some(failure);
            break;
        }
    }
    let limited = limited.expect("300 requests at once are too many");
    assert_eq!(limited.kind(), FailureKind::RateLimited);
    tokio::time::sleep(Duration::from_millis(
        limited.data.retry_after_ms.unwrap() + 5,
    ))
    .await;
    ann.call(&Ping {}).await.unwrap();
}

#[tokio::test]
async fn who_goes_on_when_all_is_refused_is_hung_up_on() {
    let server = Server::start();
    let (mut ann, _) = Client::guest(&server, "ann").await;
    let mut flood = Client::greeted(&server).await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"session.ping"}"#;
    for _ in 0..20_000 {
        // The server may hang up before all of it is sent.
        if flood.send_raw(Message::text(ping)).await.is_err() {
            break;
        }
    }
    let (event, _) = flood.until_closed().await;
    if let Some(Event::SessionClosed { reason, .. }) = event {
        assert!(reason.contains("more requests than"), "{reason}");
    }
    ann.call(&Ping {}).await.unwrap();
}

#[tokio::test]
async fn sessions_are_not_begun_without_end() {
    let server = Server::start();
    let mut client = Client::greeted(&server).await;
    let ann = client
        .sign_in_guest("ann", &server.invite_code())
        .await
        .unwrap();
    let mut begun = 0;
    let failure = loop {
        let mut client = Client::greeted(&server).await;
        match client.begin(&ann.access_token).await {
            Ok(_) => begun += 1,
            Err(failure) => break failure,
        }
        assert!(begun < 100, "so many sessions at once are too many");
    };
    assert!(begun >= 20, "a burst of {begun} passes");
    assert_eq!(failure.kind(), FailureKind::RateLimited);
    assert!(failure.data.retry_after_ms.is_some());
}

#[tokio::test]
async fn a_flood_of_messages_is_slowed_down_on_all_connections_of_a_user() {
    let server = Server::start();
    let mut first = Client::greeted(&server).await;
    let ann = first
        .sign_in_guest("ann", &server.invite_code())
        .await
        .unwrap();
    let ready = first.begin(&ann.access_token).await.unwrap();
    let mut second = Client::greeted(&server).await;
    second.begin(&ann.access_token).await.unwrap();
    let mut limited = None;
    for n in 0..100 {
        let send = SendMessage::new(channel(&ready, ChannelKind::Text), "spam", n.to_string());
        let client = if n % 2 == 0 { &mut first } else { &mut second };
        if let Err(failure) = client.call(&send).await {
            limited = Some((n, failure));
            break;
        }
    }
    let (sent, failure) = limited.expect("100 messages at once are too many");
    assert!(sent >= 10, "a burst of {sent} passes");
    assert_eq!(failure.kind(), FailureKind::RateLimited);
    assert!(failure.data.retry_after_ms.is_some());
}

#[tokio::test]
async fn the_oldest_of_too_many_connections_of_a_user_is_ended() {
    let server = Server::start();
    let mut first = Client::greeted(&server).await;
    let ann = first
        .sign_in_guest("ann", &server.invite_code())
        .await
        .unwrap();
    first.begin(&ann.access_token).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..8 {
        let mut client = Client::greeted(&server).await;
        client.begin(&ann.access_token).await.unwrap();
        others.push(client);
    }
    let (event, close) = first.until_closed().await;
    assert!(matches!(event, Some(Event::SessionClosed { .. })));
    assert_eq!(u16::from(close.unwrap().code), 1008);
    for client in &mut others {
        client.call(&Ping {}).await.unwrap();
    }
}

#[tokio::test]
async fn connections_that_do_not_sign_in_are_few_for_one_address() {
    let server = Server::start_with(&["--pending-per-address", "3"]);
    let (mut ann, _) = Client::guest(&server, "ann").await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(Client::connect(&server).await);
    }
    assert!(tls(&server.link("invite"), None).await.is_err());
    ann.call(&Ping {}).await.unwrap();
    waiting.pop();
    for _ in 0..100 {
        if tls(&server.link("invite"), None).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_cut_off_and_others_lose_nothing() {
    let server = Server::start_with(&["--sign-ins-per-minute", "200"]);
    let (mut slow, ready) = {
        let mut slow = Client::connect_narrow(&server).await;
        crate::client::greet(&mut slow).await;
        let credentials = slow
            .sign_in_guest("slow", &server.invite_code())
            .await
            .unwrap();
        let ready = slow.begin(&credentials.access_token).await.unwrap();
        (slow, ready)
    };
    let text = channel(&ready, ChannelKind::Text);
    let (mut watcher, _) = Client::guest(&server, "watcher").await;

    // Each message takes 16 kB on the wire, and each sender may send 10 at once.
    let server = std::sync::Arc::new(server);
    let on = std::sync::Arc::clone(&server);
    let senders = tokio::spawn(async move {
        for sender in 0..60 {
            let (mut client, _) = Client::guest(&on, &format!("sender {sender}")).await;
            for n in 0..10 {
                let send = SendMessage::new(text, "🦊".repeat(4_000), n.to_string());
                client.call(&send).await.unwrap();
            }
        }
    });
    let (mut messages, mut cut_off) = (0, false);
    while messages < 600 || !cut_off {
        match watcher.event(|_| true).await {
            Event::MessageCreated { .. } => messages += 1,
            Event::PresenceChanged {
                user_id,
                presence:
                    Presence {
                        status: Status::Offline,
                        ..
                    },
            } => cut_off |= user_id == ready.me.id,
            _ => {}
        }
    }
    senders.await.unwrap();
    // What the system had buffered is still there; then the line is dead.
    slow.until_closed().await;
    watcher.call(&ListMessages::newest(text)).await.unwrap();
}

/// Bytes that look random, the same in every run.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                self.0.to_be_bytes()[3]
            })
            .collect()
    }
}
