//! A voice path of the test's own: a UDP socket, and nothing but the protocol's messages on it.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    control::VoiceGrant,
    voice::{
        Datagram, DatagramKind, PathClient, RtpHeader, Sealer, SessionKeys, TransactionId, classify,
    },
};

use crate::fixture::Server;

const PATIENCE: Duration = Duration::from_secs(10);

pub struct VoicePath {
    socket: UdpSocket,
    path: PathClient,
    sealer: Sealer,
    ssrc: voxhall_protocol::Ssrc,
    sequence: u16,
}

impl VoicePath {
    /// Opened, and ready to speak with the grant's key.
    pub fn open(server: &Server, grant: &VoiceGrant) -> Self {
        let keys = SessionKeys::derive(&grant.secret);
        let mut sealer = Sealer::new(grant.sender_index, keys.hop_up);
        sealer.set_key(grant.key.epoch, &grant.key.base_key);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = Some(Duration::from_millis(20));
        socket.set_read_timeout(wait).unwrap();
        socket.connect(("127.0.0.1", server.port())).unwrap();
        let mut path = Self {
            socket,
            path: PathClient::new(grant.voice_session, keys.stun, Instant::now()),
            sealer,
            ssrc: grant.ssrc,
            sequence: 0,
        };
        let deadline = Instant::now() + PATIENCE;
        while !path.path.is_open() {
            assert!(Instant::now() < deadline, "the path did not open");
            path.hears(Duration::from_millis(20));
        }
        path
    }

    /// One packet of 20 ms.
    pub fn speak(&mut self) {
        let header = RtpHeader {
            marker: self.sequence == 0,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 960,
            ssrc: self.ssrc,
            audio_level: None,
        };
        self.sequence += 1;
        let mut out = Datagram::new();
        self.sealer.seal(&header, b"a frame", &mut out).unwrap();
        self.socket.send(out.as_slice()).unwrap();
    }

    /// Voice packets that come within this time. Keeps the path open meanwhile.
    pub fn hears(&mut self, time: Duration) -> usize {
        let until = Instant::now() + time;
        let mut heard = 0;
        let mut buffer = [0; 2_048];
        let mut out = Datagram::new();
        while Instant::now() < until {
            let transaction: [u8; 12] = rand_bytes();
            out.clear();
            let now = Instant::now();
            if self.path.poll(now, TransactionId(transaction), &mut out) {
                self.socket.send(out.as_slice()).unwrap();
            }
            let Ok(len) = self.socket.recv(&mut buffer) else {
                continue;
            };
            match classify(&buffer[..len]) {
                DatagramKind::Stun => {
                    // A late answer is no news.
                    let _ = self.path.handle(Instant::now(), &buffer[..len]);
                }
                DatagramKind::Rtp => heard += 1,
                _ => {}
            }
        }
        heard
    }
}

fn rand_bytes() -> [u8; 12] {
    use ring::rand::SecureRandom;
    let mut bytes = [0; 12];
    ring::rand::SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}
