//! The ways on which a datagram reaches the server and comes back.

use std::{fmt, str::FromStr};

/// Where a WebSocket that carries voice is opened: each binary message on it is one datagram.
pub const WEBSOCKET_PATH: &str = "/voice";

/// What a QUIC connection that carries voice is for (ALPN, RFC 7301): each of its datagrams (RFC 9221) is one of voice.
pub const QUIC_ALPN: &[u8] = b"voxhall-voice/1";

/// How voice datagrams travel. The better comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// As they are.
    Udp,
    /// In the unreliable datagrams of a QUIC connection to the same port.
    Quic,
    /// As binary messages of a WebSocket over TLS and TCP, where nothing else passes.
    WebSocket,
}

impl Carrier {
    pub const ALL: [Self; 3] = [Self::Udp, Self::Quic, Self::WebSocket];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Quic => "quic",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a carrier is one of udp, quic and websocket")]
pub struct NoCarrier;

impl FromStr for Carrier {
    type Err = NoCarrier;

    fn from_str(name: &str) -> Result<Self, NoCarrier> {
        let mut all = Self::ALL.into_iter();
        all.find(|carrier| carrier.name() == name).ok_or(NoCarrier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_is_read_by_the_name_it_is_shown_by() {
        for carrier in Carrier::ALL {
            assert_eq!(carrier.to_string().parse(), Ok(carrier));
        }
        assert_eq!("UDP".parse::<Carrier>(), Err(NoCarrier));
        assert!(Carrier::ALL.is_sorted());
    }
}
