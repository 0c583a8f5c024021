//! A client that knows nothing but the protocol's messages.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, protocol::CloseFrame},
};
use voxhall_protocol::{
    SecretText,
    control::{
        Begin, Call, Credentials, Event, Failure, FailureKind, Guest, Hello, HelloReply, Incoming,
        Ready, Resume, Resumed, encode_request, parse_from_server,
    },
    limits::{PROTOCOL_MAX, PROTOCOL_MIN},
    link::Link,
};

use crate::fixture::Server;

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    next_id: u64,
    last_seq: u64,
    events: VecDeque<Event>,
}

impl Client {
    /// Connected, and nothing said.
    pub async fn connect(server: &Server) -> Self {
        Self::over(tls(&server.link("invite"), None).await.unwrap()).await
    }

    /// With a small receive buffer, so that what the client doesn't read piles up at the server.
    pub async fn connect_narrow(server: &Server) -> Self {
        Self::over(tls(&server.link("invite"), Some(4_096)).await.unwrap()).await
    }

    async fn over(stream: TlsStream<TcpStream>) -> Self {
        let (socket, _) = client_async("ws://server/ws", stream).await.unwrap();
        Self {
            socket,
            next_id: 0,
            last_seq: 0,
            events: VecDeque::new(),
        }
    }

    /// Connected and greeted.
    pub async fn greeted(server: &Server) -> Self {
        let mut client = Self::connect(server).await;
        client
            .call(&hello(PROTOCOL_MIN, PROTOCOL_MAX))
            .await
            .unwrap();
        client
    }

    /// A new guest by the server's invite, in the session.
    pub async fn guest(server: &Server, name: &str) -> (Self, Ready) {
        let mut client = Self::greeted(server).await;
        let credentials = client
            .sign_in_guest(name, &server.invite_code())
            .await
            .unwrap();
        let ready = client.begin(&credentials.access_token).await.unwrap();
        (client, ready)
    }

    pub async fn sign_in_guest(&mut self, name: &str, code: &str) -> Result<Credentials, Failure> {
        self.call(&Guest {
            name: name.into(),
            invite: code.into(),
            device: "test".into(),
        })
        .await
    }

    pub async fn begin(&mut self, access_token: &SecretText) -> Result<Ready, Failure> {
        self.call(&Begin {
            access_token: access_token.clone(),
        })
        .await
    }

    /// Number of the last event that arrived.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Goes on with a session behind an event.
    pub async fn resume(&mut self, resume: &Resume) -> Result<Resumed, Failure> {
        self.last_seq = resume.seq;
        self.call(resume).await
    }

    /// All events that have arrived and were not looked at.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Takes what comes within this time.
    pub async fn listen(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while tokio::time::timeout_at(until, self.incoming())
            .await
            .is_ok()
        {}
    }

    /// Sends a request and waits for its answer; events meanwhile are kept.
    pub async fn call<C: Call>(&mut self, call: &C) -> Result<C::Reply, Failure> {
        let id = self.send(call).await;
        match self.answer(id).await {
            Ok(result) => Ok(serde_json::from_value(result).unwrap()),
            Err(failure) => Err(failure),
        }
    }

    /// A request that need not be of any known form.
    pub async fn call_by_name(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        self.next_id += 1;
        let request = serde_json::json!({
            "jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params,
        });
        self.send_raw(Message::text(request.to_string()))
            .await
            .unwrap();
        self.answer(self.next_id).await
    }

    /// What a call is refused with.
    pub async fn refused<C: Call>(&mut self, call: &C) -> FailureKind
    where
        C::Reply: std::fmt::Debug,
    {
        self.call(call).await.unwrap_err().kind()
    }

    /// Sends a request and doesn't wait.
    pub async fn send<C: Call>(&mut self, call: &C) -> u64 {
        self.next_id += 1;
        self.send_raw(Message::text(encode_request(self.next_id, call)))
            .await
            .unwrap();
        self.next_id
    }

    pub async fn send_raw(&mut self, message: Message) -> Result<(), tungstenite::Error> {
        self.socket.send(message).await
    }

    /// The next answer, whatever was asked.
    pub async fn answered(&mut self) -> Incoming {
        loop {
            let incoming = self.incoming().await;
            if !matches!(incoming, Incoming::Event { .. }) {
                return incoming;
            }
        }
    }

    async fn answer(&mut self, wanted: u64) -> Result<Value, Failure> {
        loop {
            match self.incoming().await {
                Incoming::Result { id, result } if id == wanted => {
                    return Ok(serde_json::from_str(result.get()).unwrap());
                }
                Incoming::Failed { id, failure } if id.is_none_or(|id| id == wanted) => {
                    return Err(failure);
                }
                _ => {}
            }
        }
    }

    /// The next event that fits; others are dropped.
    pub async fn event(&mut self, fits: impl Fn(&Event) -> bool) -> Event {
        loop {
            while let Some(event) = self.events.pop_front() {
                if fits(&event) {
                    return event;
                }
            }
            self.incoming().await;
        }
    }

    /// The next message; an event is kept, and its number checked.
    pub async fn incoming(&mut self) -> Incoming {
        let message = self.message().await.expect("the connection is open");
        let incoming = parse_from_server(message.to_text().unwrap()).unwrap();
        if let Incoming::Event { seq, event } = &incoming {
            // The last word is no event of the session.
            let is_last = matches!(event, Some(Event::SessionClosed { .. }));
            let expected = self.last_seq + u64::from(!is_last);
            assert_eq!(*seq, expected, "events are numbered without gaps");
            self.last_seq = *seq;
            self.events.push_back(event.clone().expect("a known event"));
        }
        incoming
    }

    /// Reads one more message, where there is one; an event is kept.
    pub async fn next_event(&mut self) -> Option<()> {
        let message = self.message().await?;
        let Message::Text(text) = message else {
            return None;
        };
        if let Ok(Incoming::Event {
            seq,
            event: Some(event),
        }) = parse_from_server(&text)
            && !matches!(event, Event::SessionClosed { .. })
        {
            self.last_seq = seq;
            self.events.push_back(event);
        }
        Some(())
    }

    async fn message(&mut self) -> Option<Message> {
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .expect("the server says something");
            match message {
                Some(Ok(message)) if message.is_ping() || message.is_pong() => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Reads until the server hangs up: its last event and the close frame, where they arrived.
    pub async fn until_closed(&mut self) -> (Option<Event>, Option<CloseFrame>) {
        let (mut last, mut frame) = (None, None);
        while let Some(message) = self.message().await {
            match message {
                Message::Text(text) => {
                    if let Ok(Incoming::Event { event, .. }) = parse_from_server(&text) {
                        last = event;
                    }
                }
                Message::Close(close) => frame = close,
                _ => {}
            }
        }
        (last, frame)
    }
}

pub fn hello(protocol_min: u32, protocol_max: u32) -> Hello {
    Hello {
        protocol_min,
        protocol_max,
        client: "test 0".into(),
    }
}

pub async fn greet(client: &mut Client) -> HelloReply {
    client
        .call(&hello(PROTOCOL_MIN, PROTOCOL_MAX))
        .await
        .unwrap()
}

/// A TLS connection to the server that the link pins.
pub async fn tls(
    link: &Link,
    receive_buffer: Option<u32>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let address: SocketAddr = link.authority().parse().unwrap();
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::new(tls_config(link)))
        .connect(ServerName::try_from("voxhall.invalid").unwrap(), stream)
        .await
}

/// Trusts the server of the link.
pub fn tls_config(link: &Link) -> ClientConfig {
    let pin = link.pin.expect("the server made its own certificate").0;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin)))
        .with_no_client_auth()
}

/// One HTTP request; status and the whole answer.
pub async fn http(server: &Server, path: &str) -> (u16, String) {
    let mut stream = tls(&server.link("invite"), None).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap();
    (status, answer)
}

#[derive(Debug)]
struct Pinned([u8; 32]);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if digest.as_ref() == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
