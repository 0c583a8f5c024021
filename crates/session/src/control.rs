//! The control connection's way to the server: TCP, TLS, WebSocket.

use std::{net::SocketAddr, time::Duration};

use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, protocol::WebSocketConfig},
};
use voxhall_protocol::{
    limits::{MAX_BACKLOG_BYTES, MAX_SYNC_MESSAGE_BYTES},
    link::Link,
};

use crate::{Problem, tls};

/// TCP, TLS and WebSocket together.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Opens the connection that a link leads to, and says which address it went to. Nothing has been said on it yet.
///
/// # Errors
/// Nobody answers in time, or who answers is not the server of the link.
pub async fn open(link: Link) -> Result<(Socket, SocketAddr), Problem> {
    let address = link.authority();
    let unreachable = || Problem::Unreachable {
        address: address.clone(),
    };
    time::timeout(OPEN_TIMEOUT, open_unhurried(&link, &address))
        .await
        .unwrap_or_else(|_| Err(unreachable()))
}

/// A TLS connection to the server of a link, and to nobody else.
pub(crate) async fn connect(link: &Link) -> Result<(TlsStream<TcpStream>, SocketAddr), Problem> {
    let unreachable = || Problem::Unreachable {
        address: link.authority(),
    };
    let stream = TcpStream::connect((link.host.as_str(), link.port))
        .await
        .map_err(|_| unreachable())?;
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().map_err(|_| unreachable())?;
    Ok((secure(link, stream).await?, peer))
}

/// TLS on a connection, with the server of the link and nobody else.
pub(crate) async fn secure(
    link: &Link,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Problem> {
    let untrusted = |error: &dyn std::fmt::Display| Problem::CertificateUntrusted {
        reason: error.to_string(),
    };
    let config = tls::client_config(link.pin).map_err(|error| untrusted(&error))?;
    let name = ServerName::try_from(link.host.clone()).map_err(|error| untrusted(&error))?;
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| tls::problem_of(&error, &link.authority()))
}

async fn open_unhurried(link: &Link, address: &str) -> Result<(Socket, SocketAddr), Problem> {
    let (stream, peer) = connect(link).await?;
    let unreachable = || Problem::Unreachable {
        address: address.to_owned(),
    };
    let mut limits = WebSocketConfig::default();
    limits.max_message_size = Some(MAX_SYNC_MESSAGE_BYTES);
    limits.max_frame_size = Some(MAX_SYNC_MESSAGE_BYTES);
    limits.max_write_buffer_size = MAX_BACKLOG_BYTES;
    let (socket, _) = client_async_with_config(format!("wss://{address}/ws"), stream, Some(limits))
        .await
        .map_err(|error| match error {
            // A proxy in front of a server that is just starting answers so.
            tungstenite::Error::Http(response)
                if response.status().is_server_error() || response.status().as_u16() == 429 =>
            {
                unreachable()
            }
            tungstenite::Error::Http(response) => Problem::VersionMismatch {
                message: format!(
                    "What answers at {address} is no Voxhall server (HTTP {}).",
                    response.status()
                ),
            },
            _ => unreachable(),
        })?;
    Ok((socket, peer))
}
