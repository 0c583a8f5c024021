//! Voice datagrams in QUIC's unreliable datagrams (RFC 9221), for where UDP passes only if it is QUIC.

use std::{io, sync::Arc, time::Duration};

use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, TokioRuntime,
    crypto::rustls::QuicClientConfig,
};
use tokio::{net::UdpSocket, time};
use voxhall_protocol::voice::{MAX_DATAGRAM, quic_transport};

use super::bridge::Route;
use crate::tls;

/// To a connection.
const OPEN_TIMEOUT: Duration = Duration::from_secs(4);

/// Carries what comes, both ways, until the connection ends; `up` is called once it is open.
pub async fn carry(route: &Route, socket: &UdpSocket, up: impl FnOnce()) -> io::Result<()> {
    let opening = time::timeout(OPEN_TIMEOUT, open(route)).await;
    let connection = opening.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    up();
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        tokio::select! {
            came = connection.read_datagram() => {
                // What the worker has no room for is lost.
                let _ = socket.send(&came?).await;
            }
            taken = socket.recv(&mut buffer) => {
                let datagram = buffer[..taken?].to_vec();
                // What is too long for the path is lost; that the connection ended is seen above.
                let _ = connection.send_datagram(datagram.into());
            }
        }
    }
}

async fn open(route: &Route) -> io::Result<Connection> {
    let tls = tls::voice_config(route.link.pin).map_err(io::Error::other)?;
    let crypto = QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(quic_transport()));
    let mut own = EndpointConfig::default();
    // The server knows QUIC by the first byte (RFC 9443).
    own.grease_quic_bit(false);
    let endpoint = Endpoint::new(own, None, route.bind()?, Arc::new(TokioRuntime))?;
    let connecting = endpoint
        .connect_with(config, route.server, &route.link.host)
        .map_err(io::Error::other)?;
    Ok(connecting.await?)
}
