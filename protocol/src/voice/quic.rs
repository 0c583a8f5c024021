//! What both ends of a QUIC connection that carries voice agree on (RFC 9000, RFC 9221). It has no streams.

use std::{any::Any, sync::Arc, time::Instant};

use quinn_proto::{
    MtuDiscoveryConfig, TransportConfig, VarInt,
    congestion::{Controller, ControllerFactory},
};

use super::MAX_DATAGRAM;

/// Milliseconds. A client sends a request every few seconds at least, and the path's own requests notice sooner that nothing passes.
const IDLE_TIMEOUT: VarInt = VarInt::from_u32(20_000);
/// What waits to be sent, or taken; beyond it the oldest is lost, as voice that is late is worth nothing.
const BUFFER_BYTES: usize = 64 * 1024;
/// More than voice ever has on its way.
const WINDOW_BYTES: u64 = 256 * 1024;
/// What every path of QUIC's carries, and the longest datagram in its QUIC packet.
const LEAST_MTU: u16 = 1_200;
const LONGEST_PACKET: u16 = MAX_DATAGRAM as u16 + 40;

/// Of a connection, on either end.
#[must_use]
pub fn quic_transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(IDLE_TIMEOUT.into()))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(Some(BUFFER_BYTES))
        .datagram_send_buffer_size(BUFFER_BYTES)
        .mtu_discovery_config(Some(one_probe()))
        .congestion_controller_factory(Arc::new(Unlimited));
    transport
}

/// Whether the longest datagram passes is all that has to be known. A search for more is a second's worth of a narrow path, at the
/// moment when it has the least to give.
fn one_probe() -> MtuDiscoveryConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery
        .upper_bound(LONGEST_PACKET)
        .minimum_change(LONGEST_PACKET - LEAST_MTU);
    discovery
}

/// No congestion control of QUIC's own: how much voice is sent is decided by the reports of listeners, whatever carries it.
#[derive(Debug, Clone, Copy)]
struct Unlimited;

impl ControllerFactory for Unlimited {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(*self)
    }
}

impl Controller for Unlimited {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        WINDOW_BYTES
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(*self)
    }

    fn initial_window(&self) -> u64 {
        WINDOW_BYTES
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
