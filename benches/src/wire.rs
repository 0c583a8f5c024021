//! A control connection without a session behind it: hundreds of them fit into one process.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use tokio::time;
use tokio_tungstenite::tungstenite::Message;
use voxhall_protocol::{
    SecretText,
    control::{
        Begin, Call, Credentials, Failure, FailureKind, Guest, Hello, Incoming, Ready,
        encode_request, parse_from_server,
    },
    limits::{PROTOCOL_MAX, PROTOCOL_MIN},
    link::Link,
};
use voxhall_session::control::{self, Socket};

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const DEVICE: &str = "voxhall-bench";

pub struct Wire {
    socket: Socket,
    server: SocketAddr,
    heartbeat: Duration,
    next_id: u64,
}

impl Wire {
    /// Connects and says hello.
    pub async fn open(link: &Link) -> anyhow::Result<Self> {
        let (socket, server) = control::open(link.clone()).await?;
        let mut wire = Self {
            socket,
            server,
            heartbeat: Duration::from_secs(10),
            next_id: 1,
        };
        let hello = wire
            .call(&Hello {
                protocol_min: PROTOCOL_MIN,
                protocol_max: PROTOCOL_MAX,
                client: concat!("voxhall-bench/", env!("CARGO_PKG_VERSION")).to_owned(),
            })
            .await?;
        wire.heartbeat = Duration::from_millis(hello.heartbeat_ms.into());
        Ok(wire)
    }

    /// Where the server is; voice has the same port number.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    pub async fn guest(&mut self, link: &Link, name: &str) -> anyhow::Result<Credentials> {
        self.call(&Guest {
            name: name.to_owned(),
            invite: link.code.clone().context("the link has no invite")?,
            device: DEVICE.to_owned(),
        })
        .await
    }

    pub async fn begin(&mut self, access_token: SecretText) -> anyhow::Result<Ready> {
        self.call(&Begin { access_token }).await
    }

    /// Waits for the answer, and longer where the server says that waiting helps; events before it are of no interest.
    pub async fn call<C: Call>(&mut self, call: &C) -> anyhow::Result<C::Reply> {
        loop {
            let id = self.send(call).await?;
            let answer = time::timeout(ANSWER_WITHIN, self.answer(id, |_| ()))
                .await
                .with_context(|| format!("{} was not answered", C::METHOD))?
                .with_context(|| format!("{} failed", C::METHOD))?;
            match answer {
                Ok(reply) => return Ok(reply),
                Err(failure) if failure.kind() == FailureKind::RateLimited => {
                    let wait = failure.data.retry_after_ms.unwrap_or(100);
                    time::sleep(Duration::from_millis(wait)).await;
                }
                Err(failure) => bail!("{} was refused: {}", C::METHOD, failure.message),
            }
        }
    }

    /// Waits for the answer to that request, and shows every other text that comes before it.
    pub async fn answer<T: DeserializeOwned>(
        &mut self,
        wanted: u64,
        mut other: impl FnMut(&str),
    ) -> anyhow::Result<Result<T, Failure>> {
        loop {
            let text = self.text().await?;
            match parse_from_server(&text)? {
                Incoming::Result { id, result } if id == wanted => {
                    return Ok(Ok(serde_json::from_str(result.get())?));
                }
                Incoming::Failed { failure, .. } => return Ok(Err(failure)),
                _ => other(&text),
            }
        }
    }

    pub async fn send<C: Call>(&mut self, call: &C) -> anyhow::Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let text = encode_request(id, call);
        self.socket.send(Message::text(text)).await?;
        Ok(id)
    }

    pub async fn text(&mut self) -> anyhow::Result<String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(_))) | None => bail!("the server hung up"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}
