//! A server and its clients without a network: what the relay sends is handed to the client at that address.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    BaseKey, ChannelId, Epoch, SenderIndex, SessionSecret, Ssrc, VoiceSessionId,
    voice::{
        AudioLevel, Bundle, Datagram, DatagramKind, OpenError, Opener, PathClient, ReportBlock,
        RtcpReceiver, RtcpSender, RtpHeader, Sealer, SessionKeys, TransactionId, classify,
        parse_reports,
    },
};
use voxhall_relay::{Counters, DropReason, Event, Limits, Relay, Routes, Sends, SessionRoute};

pub const LOUNGE: ChannelId = ChannelId(1);
pub const OFFICE: ChannelId = ChannelId(2);

pub struct World {
    pub now: Instant,
    pub relay: Relay,
    pub routes: Routes,
    pub counters: Arc<Counters>,
    pub sends: Sends,
    pub clients: Vec<Client>,
    /// Sent to an address that is no client's.
    pub strays: Vec<(SocketAddr, Vec<u8>)>,
    transactions: u64,
}

pub struct Client {
    pub route: SessionRoute,
    pub address: SocketAddr,
    pub sealer: Sealer,
    pub opener: Opener,
    pub rtcp_up: RtcpSender,
    pub rtcp_down: RtcpReceiver,
    pub path: PathClient,
    pub sequence: u16,
    pub level: Option<AudioLevel>,
    /// Speaker and what was said.
    pub heard: Vec<(Ssrc, Vec<u8>)>,
    pub refused: Vec<OpenError>,
    pub reports: Vec<ReportBlock>,
    pub bundles: usize,
    pub datagrams: usize,
}

impl World {
    pub fn new() -> Self {
        Self::with_limits(Limits {
            packets_per_s: 1_000_000,
            packets_burst: 1_000_000,
            bytes_per_s: u32::MAX,
            bytes_burst: u32::MAX,
            loudest: None,
        })
    }

    pub fn with_limits(limits: Limits) -> Self {
        let now = Instant::now();
        let counters = Arc::new(Counters::default());
        let (routes, feed) = Routes::new();
        Self {
            now,
            relay: Relay::new(&[42; 32], limits, Arc::clone(&counters), feed, now),
            routes,
            counters,
            sends: Sends::new(),
            clients: Vec::new(),
            strays: Vec::new(),
            transactions: 0,
        }
    }

    /// Adds a member without opening its path.
    pub fn join(&mut self, channel: ChannelId) -> usize {
        let n = self.clients.len() as u32;
        let secret = SessionSecret([n as u8 + 1; 32]);
        let keys = SessionKeys::derive(&secret);
        let route = SessionRoute {
            id: VoiceSessionId(0xfeed_0000 + u64::from(n)),
            ssrc: Ssrc(1_000 + n),
            sender: SenderIndex(n as u16),
            keys: keys.clone(),
            channel,
            may_speak: true,
            deafened: false,
            takes_bundles: false,
            bitrate_bps: 1_000_000_000,
        };
        self.routes.insert(route.clone()).unwrap();
        let mut sealer = Sealer::new(route.sender, keys.hop_up.clone());
        sealer.set_key(Epoch(0), &base_key(channel));
        let mut opener = Opener::new();
        opener.insert_key(Epoch(0), &base_key(channel));
        for other in self
            .clients
            .iter_mut()
            .filter(|c| c.route.channel == channel)
        {
            other.opener.allow(route.sender, route.ssrc);
            opener.allow(other.route.sender, other.route.ssrc);
        }
        self.clients.push(Client {
            address: SocketAddr::from(([10, 0, 0, n as u8 + 1], 5_000)),
            sealer,
            opener,
            rtcp_up: RtcpSender::new(keys.hop_up),
            rtcp_down: RtcpReceiver::new(keys.hop_down),
            path: PathClient::new(route.id, keys.stun, self.now),
            sequence: 100,
            level: None,
            heard: Vec::new(),
            refused: Vec::new(),
            reports: Vec::new(),
            bundles: 0,
            datagrams: 0,
            route,
        });
        self.publish();
        n as usize
    }

    /// Adds a member and opens its path.
    pub fn enter(&mut self, channel: ChannelId) -> usize {
        let client = self.join(channel);
        self.open_path(client);
        client
    }

    pub fn publish(&mut self) {
        self.routes.publish();
        while self.relay.apply(self.now) {}
    }

    pub fn take_bundles(&mut self, client: usize) {
        self.come_again(client, |route| route.takes_bundles = true);
    }

    pub fn grant(&mut self, client: usize, bitrate_bps: u32) {
        self.come_again(client, |route| route.bitrate_bps = bitrate_bps);
    }

    fn come_again(&mut self, client: usize, change: impl FnOnce(&mut SessionRoute)) {
        let route = &mut self.clients[client].route;
        change(route);
        self.routes.remove(route.id);
        self.routes.insert(route.clone()).unwrap();
        self.publish();
        self.open_path(client);
    }

    pub fn leave(&mut self, client: usize) {
        assert!(self.routes.remove(self.clients[client].route.id));
        self.publish();
    }

    pub fn open_path(&mut self, client: usize) {
        self.clients[client].path = PathClient::new(
            self.clients[client].route.id,
            self.clients[client].route.keys.stun.clone(),
            self.now,
        );
        for _ in 0..2 {
            let request = self.path_request(client).expect("a request is due");
            self.deliver(client, &request);
            self.flush();
        }
        assert!(self.clients[client].path.is_open());
    }

    pub fn path_request(&mut self, client: usize) -> Option<Vec<u8>> {
        self.transactions += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.transactions.to_be_bytes());
        let mut out = Datagram::new();
        self.clients[client]
            .path
            .poll(self.now, TransactionId(id), &mut out)
            .then(|| out.as_slice().to_vec())
    }

    /// The next voice datagram of a client.
    pub fn voice(&mut self, client: usize, text: &[u8]) -> Vec<u8> {
        let client = &mut self.clients[client];
        let header = RtpHeader {
            marker: false,
            sequence: client.sequence,
            timestamp: u32::from(client.sequence) * 480,
            ssrc: client.route.ssrc,
            audio_level: client.level,
        };
        client.sequence = client.sequence.wrapping_add(1);
        let mut out = Datagram::new();
        client.sealer.seal(&header, text, &mut out).unwrap();
        out.as_slice().to_vec()
    }

    /// Hands a datagram to the relay as coming from this client's address.
    pub fn deliver(&mut self, client: usize, bytes: &[u8]) {
        self.deliver_from(self.clients[client].address, bytes);
    }

    pub fn deliver_from(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.relay.datagram(self.now, from, bytes, &mut self.sends);
    }

    /// A client says something, and everybody gets what the relay sends.
    pub fn say(&mut self, client: usize, text: &[u8]) {
        let datagram = self.voice(client, text);
        self.deliver(client, &datagram);
        self.flush();
    }

    /// Ends the batch; gives how many datagrams and bytes went out.
    pub fn flush(&mut self) -> (usize, usize) {
        self.relay.finish(&mut self.sends);
        let mut total = (0, 0);
        for (to, bytes) in self.sends.iter() {
            total.0 += 1;
            total.1 += bytes.len();
            match self.clients.iter_mut().find(|c| c.address == to) {
                Some(client) => client.receive(self.now, bytes),
                None => self.strays.push((to, bytes.to_vec())),
            }
        }
        self.sends.clear();
        total
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.relay.tick(self.now, &mut self.sends);
        self.flush();
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.relay.poll_event()).collect()
    }

    /// Everything this client heard since the last call, in order.
    pub fn heard(&mut self, client: usize) -> Vec<Vec<u8>> {
        let heard = std::mem::take(&mut self.clients[client].heard);
        heard.into_iter().map(|(_, text)| text).collect()
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.counters.dropped(reason)
    }
}

impl Client {
    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        self.datagrams += 1;
        match classify(bytes) {
            DatagramKind::Rtp => self.open(bytes),
            DatagramKind::Bundle => {
                self.bundles += 1;
                for packet in Bundle::parse(bytes).unwrap() {
                    self.open(packet.unwrap());
                }
            }
            DatagramKind::Stun => {
                let _ = self.path.handle(now, bytes);
            }
            DatagramKind::Rtcp => {
                let compound = self.rtcp_down.receive(bytes).expect("a genuine report");
                parse_reports(compound, |_, block| self.reports.push(block)).unwrap();
            }
            kind => panic!("the relay sent {kind:?}"),
        }
    }

    fn open(&mut self, packet: &[u8]) {
        let mut packet = packet.to_vec();
        match self.opener.open(&mut packet) {
            Ok(opened) => self
                .heard
                .push((opened.header.ssrc, opened.payload.to_vec())),
            Err(error) => self.refused.push(error),
        }
    }
}

pub fn base_key(channel: ChannelId) -> BaseKey {
    BaseKey([channel.0 as u8; 32])
}
