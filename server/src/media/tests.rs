//! The thread on real sockets.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use voxhall_protocol::{
    BaseKey, ChannelId, Epoch, SenderIndex, SessionSecret, Ssrc, VoiceSessionId,
    voice::{
        Datagram, DatagramKind, Opener, PathClient, RtpHeader, Sealer, SessionKeys, TransactionId,
        classify,
    },
};
use voxhall_relay::{Counters, Event, Limits, Routes, SessionRoute};

use super::{MediaConfig, MediaThread, MediaTotal, aside};
use crate::sockets;

const BASE_KEY: BaseKey = BaseKey([9; 32]);
const PATIENCE: Duration = Duration::from_secs(5);

struct Server {
    routes: Routes,
    counters: Arc<Counters>,
    events: mpsc::Receiver<Event>,
    address: SocketAddr,
    thread: MediaThread,
}

impl Server {
    fn start() -> Self {
        Self::with_threads(1)
    }

    fn with_threads(threads: usize) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let sockets::Sockets { udp, address, .. } = sockets::bind(any, false, threads).unwrap();
        let (routes, feed) = Routes::new();
        let counters = Arc::new(Counters::default());
        let (sender, events) = mpsc::channel(16);
        let thread = MediaThread::spawn(MediaConfig {
            sockets: udp,
            aside: aside(Instant::now()).0,
            routes: feed,
            counters: Arc::clone(&counters),
            events: sender,
            nonce_secret: [1; 32],
            limits: Limits::default(),
        })
        .unwrap();
        Self {
            routes,
            counters,
            events,
            address,
            thread,
        }
    }

    fn join(&mut self, n: u8) -> Client {
        let keys = SessionKeys::derive(&SessionSecret([n; 32]));
        let route = SessionRoute {
            id: VoiceSessionId(n.into()),
            ssrc: Ssrc(n.into()),
            sender: SenderIndex(n.into()),
            keys: keys.clone(),
            channel: ChannelId(1),
            may_speak: true,
            deafened: false,
            takes_bundles: false,
            bitrate_bps: 64_000,
        };
        self.routes.insert(route.clone()).unwrap();
        self.routes.publish();
        let mut sealer = Sealer::new(route.sender, keys.hop_up);
        sealer.set_key(Epoch(1), &BASE_KEY);
        let mut opener = Opener::new();
        opener.insert_key(Epoch(1), &BASE_KEY);
        for other in 0..10 {
            opener.allow(SenderIndex(other), Ssrc(other.into()));
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        socket.connect(self.address).unwrap();
        let mut client = Client {
            path: PathClient::new(route.id, keys.stun, Instant::now()),
            route,
            socket,
            sealer,
            opener,
            sequence: 0,
        };
        client.open_path();
        client
    }

    fn event(&mut self) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(event) = self.events.try_recv() {
                return event;
            }
            assert!(Instant::now() < deadline, "no event came");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Client {
    route: SessionRoute,
    socket: UdpSocket,
    sealer: Sealer,
    opener: Opener,
    path: PathClient,
    sequence: u16,
}

impl Client {
    fn open_path(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut out = Datagram::new();
        let mut transaction = 0u8;
        while !self.path.is_open() {
            assert!(Instant::now() < deadline, "the path did not open");
            transaction += 1;
            if self
                .path
                .poll(Instant::now(), TransactionId([transaction; 12]), &mut out)
            {
                self.socket.send(out.as_slice()).unwrap();
            }
            let mut buffer = [0; 2_048];
            if let Ok(len) = self.socket.recv(&mut buffer)
                && classify(&buffer[..len]) == DatagramKind::Stun
            {
                let _ = self.path.handle(Instant::now(), &buffer[..len]);
            }
        }
    }

    fn say(&mut self, text: &[u8]) {
        let header = RtpHeader {
            marker: false,
            sequence: self.sequence,
            timestamp: 0,
            ssrc: self.route.ssrc,
            audio_level: None,
        };
        self.sequence += 1;
        let mut out = Datagram::new();
        self.sealer.seal(&header, text, &mut out).unwrap();
        self.socket.send(out.as_slice()).unwrap();
    }

    fn hear(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2_048];
        let len = self.socket.recv(&mut buffer).ok()?;
        let opened = self.opener.open(&mut buffer[..len]).unwrap();
        Some(opened.payload.to_vec())
    }
}

#[test]
fn two_clients_talk_over_loopback_and_the_thread_stops() {
    let mut server = Server::start();
    let mut ann = server.join(1);
    let mut ben = server.join(2);
    for client in [&ann, &ben] {
        let opened = Event::PathOpened {
            session: client.route.id,
            address: client.socket.local_addr().unwrap(),
        };
        assert_eq!(server.event(), opened);
    }

    for round in 0..100u8 {
        ann.say(&[round; 80]);
        assert_eq!(ben.hear().as_deref(), Some(&[round; 80][..]));
    }
    let speaking = |on| Event::Speaking {
        session: ann.route.id,
        ssrc: ann.route.ssrc,
        on,
    };
    assert_eq!(server.event(), speaking(true));
    assert_eq!(server.event(), speaking(false));

    // A burst of noise from a stranger, and the talk goes on.
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for i in 0..500u32 {
        stranger
            .send_to(&i.to_be_bytes().repeat(30), server.address)
            .unwrap();
    }
    ben.say(b"still here");
    assert_eq!(ann.hear().as_deref(), Some(&b"still here"[..]));
    assert!(server.counters.dropped_total() > 0);

    // Who was removed from the table hears no more.
    assert!(server.routes.remove(ben.route.id));
    server.routes.publish();
    std::thread::sleep(super::TICK * 3);
    ann.say(b"gone?");
    assert_eq!(ben.hear(), None);

    let stats = Arc::clone(server.thread.stats());
    assert!(server.thread.is_running());
    let before = Instant::now();
    server.thread.stop();
    assert!(before.elapsed() < Duration::from_secs(1));
    let datagrams = stats.total(MediaTotal::Datagrams);
    assert!(datagrams >= 606, "{datagrams}");
    let measured: u64 = stats.added_delay().map(|(_, count)| count).sum();
    assert_eq!(measured, datagrams);
    assert_eq!(stats.total(MediaTotal::SendErrors), 0);
}

#[test]
fn a_full_event_channel_delays_events_and_nothing_else() {
    let mut server = Server::start();
    let mut clients: Vec<_> = (1..=9).map(|n| server.join(n)).collect();
    // Nobody reads events: 9 paths and 9 starts of speaking are more than the channel's 16.
    for client in &mut clients {
        client.say(b"hello");
    }
    for listener in &mut clients {
        for _ in 0..8 {
            assert_eq!(listener.hear().as_deref(), Some(&b"hello"[..]));
        }
    }
    let mut starts = 0;
    while starts < 9 {
        starts += u32::from(matches!(server.event(), Event::Speaking { on: true, .. }));
    }
    server.thread.stop();
}

#[test]
fn several_threads_send_to_a_crowd_and_everyone_hears_all_in_order() {
    let mut server = Server::with_threads(2);
    let mut clients: Vec<_> = (1..=250).map(|n| server.join(n)).collect();
    let (speaker, listeners) = clients.split_first_mut().unwrap();
    for round in 0..40u8 {
        speaker.say(&[round; 80]);
        speaker.say(&[round; 81]);
        for listener in &mut *listeners {
            assert_eq!(listener.hear().as_deref(), Some(&[round; 80][..]));
            assert_eq!(listener.hear().as_deref(), Some(&[round; 81][..]));
        }
    }
    let stats = Arc::clone(server.thread.stats());
    assert!(stats.busy().all(|busy| busy > Duration::ZERO));
    assert_eq!(stats.total(MediaTotal::SendErrors), 0);
    server.thread.stop();
}

#[test]
fn who_is_muted_is_silent_from_the_next_packet_on() {
    let mut server = Server::start();
    let (mut ann, mut ben) = (server.join(1), server.join(2));
    for _ in 0..20 {
        ann.say(b"on");
        assert_eq!(ben.hear().as_deref(), Some(&b"on"[..]));
        server.routes.set_rights(ann.route.id, false, false);
        server.routes.publish();
        // One packet may have been in the batch that was being taken just then.
        ann.say(b"maybe");
        std::thread::sleep(Duration::from_millis(1));
        for _ in 0..5 {
            ann.say(b"off");
        }
        server.routes.set_rights(ann.route.id, true, false);
        std::thread::sleep(Duration::from_millis(1));
        server.routes.publish();
        std::thread::sleep(super::TICK * 2);
        ann.say(b"on");
        let heard = std::iter::from_fn(|| ben.hear()).take_while(|text| text != b"on");
        assert!(heard.into_iter().all(|text| text == b"maybe"));
    }
    server.thread.stop();
}
