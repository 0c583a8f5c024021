//! Voice datagrams: RTP carrying SFrame carrying Opus, RTCP reports, STUN path messages, bundles.
//!
//! Byte layouts, key derivation and timers are in `docs/protocol/voice.md`; the reasons in
//! `docs/adr/0001-wire-format.md`. Everything here works on caller's buffers, takes time and randomness as
//! arguments, and after set-up neither allocates nor locks.
//!
//! - a client that speaks: [`Sealer`], [`RtcpSender`], [`PathClient`]
//! - a client that listens: [`Opener`], [`RtcpReceiver`], [`Bundle`]
//! - the server: [`classify`], [`HopReceiver`], [`SframeHeader`], [`BindingRequest`], [`NonceSecret`], [`BundleBuilder`]

mod bundle;
mod carrier;
mod datagram;
mod hop;
mod keys;
mod open;
mod path;
mod path_server;
mod quic;
mod replay;
mod rtcp;
mod rtcp_xr;
mod rtp;
mod seal;
mod sframe;
mod stun;

pub use bundle::{Bundle, BundleBuilder, BundleError, BundleFull, MAX_BUNDLE};
pub use carrier::{Carrier, NoCarrier, QUIC_ALPN, WEBSOCKET_PATH};
pub use datagram::{Datagram, DatagramFull, DatagramKind, MAX_DATAGRAM, classify};
pub use hop::{HOP_TAG_LEN, HopError, HopReceiver, HopSender};
pub use keys::{HopKey, SessionKeys, StunKey};
pub use open::{OpenError, Opened, Opener};
pub use path::{PathClient, PathError, PathEvent, PathRole, PathState};
pub use path_server::{BindingRequest, CHALLENGE_LEN, Nonce, NonceSecret};
pub use quic::quic_transport;
pub use replay::{ReplayError, ReplayWindow};
pub use rtcp::{
    MAX_REPORT_BLOCKS, ReportBlock, RtcpError, RtcpReceiver, RtcpSender, parse_reports,
    write_receiver_report,
};
pub use rtcp_xr::{BurstLoss, MAX_BURST_REPORTS};
pub use rtp::{AudioLevel, MAX_RTP_HEADER, OPUS_CLOCK_HZ, OPUS_PAYLOAD_TYPE, RtpError, RtpHeader};
pub use seal::{MAX_OPUS_FRAME, SealError, Sealer};
pub use sframe::{Kid, SFRAME_TAG_LEN, SenderKey, SframeError, SframeHeader};
pub use stun::{REQUEST_LEN, StunError, TransactionId};
