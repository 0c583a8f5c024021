//! A bad network between real programs: stands in front of a server on one port, TCP and UDP, as the server does.
//!
//! Datagrams pass through a [`sim::Link`](crate::sim::Link) each way; connections pass unchanged until they are cut.
//! Times are kept to about a millisecond.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker, net::UdpSocket};
use voxhall_protocol::voice::{DatagramKind, classify};

use crate::sim::{Impairment, Link, LinkStats};

/// What to do to the datagrams of each client, from it to the server and back.
#[derive(Clone, Debug, Default)]
pub struct Path {
    pub up: Impairment,
    pub down: Impairment,
}

impl Path {
    pub fn both_ways(impairment: Impairment) -> Self {
        Self {
            up: impairment.clone(),
            down: impairment,
        }
    }
}

/// A running proxy on a free port of 127.0.0.1; stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    commands: SyncSender<Command>,
    waker: Waker,
    udp: Option<JoinHandle<()>>,
    control: Arc<Mutex<Control>>,
}

impl Proxy {
    /// Clients that are told [`Proxy::address`] instead of `server` talk to it through `path`.
    pub fn start(server: SocketAddr, path: Path, seed: u64) -> io::Result<Self> {
        let (listener, inward) = bind_both()?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (commands, orders) = mpsc::sync_channel(16);
        let relay = Relay::new(poll, inward, server, path, seed, orders)?;
        let udp = thread::Builder::new()
            .name("proxy-udp".into())
            .spawn(move || relay.run())?;
        let control = Arc::new(Mutex::new(Control {
            gate: Gate::Open,
            connections: Vec::new(),
            stalled: Arc::default(),
        }));
        let shared = Arc::clone(&control);
        thread::Builder::new()
            .name("proxy-tcp".into())
            .spawn(move || accept(&listener, server, &shared))?;
        Ok(Self {
            address,
            commands,
            waker,
            udp: Some(udp),
            control,
        })
    }

    /// Where clients reach the server through this proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A link to the server, with this proxy's address in place of the server's.
    pub fn through(&self, link: &str) -> String {
        let (scheme, rest) = link.split_once("://").unwrap_or(("voxhall", link));
        let path = rest.find(['/', '#']).map_or("", |start| &rest[start..]);
        format!("{scheme}://{}{path}", self.address)
    }

    /// Changes what happens to datagrams from now on.
    pub fn set(&self, path: Path) {
        self.order(Command::Set(Box::new(path)));
    }

    /// Swallows every datagram while `on`.
    pub fn black_hole(&self, on: bool) {
        self.order(Command::Swallow(match on {
            true => Swallowed::All,
            false => Swallowed::Nothing,
        }));
    }

    /// Swallows every datagram but QUIC's, as a firewall does that lets HTTP/3 pass.
    pub fn only_quic(&self) {
        self.order(Command::Swallow(Swallowed::AllButQuic));
    }

    /// Gives every client a new outside port, as a NAT does after a pause. The old ports hear nothing any more.
    pub fn rebind(&self) {
        self.order(Command::Rebind);
    }

    /// Cuts all connections and refuses new ones while `false`. Datagrams are not concerned.
    pub fn allow_control(&self, open: bool) {
        self.set_gate(if open { Gate::Open } else { Gate::Cut });
    }

    /// Swallows what comes by the connections that are open now, without closing them, as a firewall does that has forgotten them.
    /// New ones pass.
    pub fn stall_connections(&self) {
        let mut control = self.control.lock().expect("no holder panics");
        control.stalled.store(true, Relaxed);
        control.stalled = Arc::default();
    }

    /// What became of the datagrams so far: from clients to the server, and back.
    pub fn stats(&self) -> (LinkStats, LinkStats) {
        let (reply, stats) = mpsc::sync_channel(1);
        self.order(Command::Stats(reply));
        stats.recv().expect("the proxy runs as long as this value")
    }

    fn set_gate(&self, gate: Gate) {
        self.control.lock().expect("no holder panics").set(gate);
    }

    fn order(&self, command: Command) {
        self.commands
            .send(command)
            .expect("the proxy runs as long as this value");
        self.waker
            .wake()
            .expect("waking needs only the descriptor this value holds");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set_gate(Gate::Closed);
        // Wakes the accepting thread, which then sees the gate.
        let _ = TcpStream::connect(self.address);
        let _ = self.commands.send(Command::Stop);
        let _ = self.waker.wake();
        if let Some(udp) = self.udp.take() {
            let _ = udp.join();
        }
    }
}

#[derive(Debug)]
enum Command {
    Set(Box<Path>),
    Swallow(Swallowed),
    Rebind,
    Stats(SyncSender<(LinkStats, LinkStats)>),
    Stop,
}

/// Datagrams that don't pass.
#[derive(Clone, Copy, Debug)]
enum Swallowed {
    Nothing,
    AllButQuic,
    All,
}

impl Swallowed {
    fn has(self, datagram: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::AllButQuic => classify(datagram) != DatagramKind::Quic,
            Self::All => true,
        }
    }
}

const WAKE: Token = Token(0);
const INWARD: Token = Token(1);
const FIRST_CLIENT: usize = 2;

/// The datagram side, on its own thread.
struct Relay {
    poll: Poll,
    inward: UdpSocket,
    server: SocketAddr,
    path: Path,
    seed: u64,
    orders: Receiver<Command>,
    swallowed: Swallowed,
    clients: Vec<Client>,
    by_address: HashMap<SocketAddr, usize>,
}

struct Client {
    address: SocketAddr,
    outward: UdpSocket,
    up: Link<Vec<u8>>,
    down: Link<Vec<u8>>,
}

impl Relay {
    fn new(
        poll: Poll,
        mut inward: UdpSocket,
        server: SocketAddr,
        path: Path,
        seed: u64,
        orders: Receiver<Command>,
    ) -> io::Result<Self> {
        poll.registry()
            .register(&mut inward, INWARD, Interest::READABLE)?;
        Ok(Self {
            poll,
            inward,
            server,
            path,
            seed,
            orders,
            swallowed: Swallowed::Nothing,
            clients: Vec::new(),
            by_address: HashMap::new(),
        })
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        let mut buffer = [0; 65_536];
        loop {
            let arrivals = self
                .clients
                .iter()
                .flat_map(|client| [client.up.next_arrival(), client.down.next_arrival()]);
            let wait = arrivals
                .flatten()
                .min()
                .map(|at| at.saturating_duration_since(Instant::now()));
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                panic!("the proxy cannot wait for its sockets: {error}");
            }
            while let Ok(command) = self.orders.try_recv() {
                if matches!(command, Command::Stop) {
                    return;
                }
                self.obey(command);
            }
            self.take_from_clients(&mut buffer);
            self.take_from_server(&mut buffer);
            self.deliver();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Set(path) => {
                for client in &mut self.clients {
                    client.up.set(path.up.clone());
                    client.down.set(path.down.clone());
                }
                self.path = *path;
            }
            Command::Swallow(what) => self.swallowed = what,
            Command::Rebind => {
                for i in 0..self.clients.len() {
                    let fresh = self
                        .outward_socket(i)
                        .expect("a free port for the new outside address");
                    let mut old = std::mem::replace(&mut self.clients[i].outward, fresh);
                    let _ = self.poll.registry().deregister(&mut old);
                }
            }
            Command::Stats(reply) => {
                let total = |side: fn(&Client) -> LinkStats| {
                    self.clients
                        .iter()
                        .map(side)
                        .fold(LinkStats::default(), add)
                };
                let _ = reply.send((
                    total(|client| client.up.stats()),
                    total(|client| client.down.stats()),
                ));
            }
            Command::Stop => {}
        }
    }

    fn take_from_clients(&mut self, buffer: &mut [u8]) {
        while let Ok((length, from)) = self.inward.recv_from(buffer) {
            let Some(i) = self.client(from) else { continue };
            if !self.swallowed.has(&buffer[..length]) {
                self.clients[i]
                    .up
                    .send(Instant::now(), length, buffer[..length].to_vec());
            }
        }
    }

    fn take_from_server(&mut self, buffer: &mut [u8]) {
        for client in &mut self.clients {
            // An error here is the server being away (port unreachable): the same as nothing.
            while let Ok(length) = client.outward.recv(buffer) {
                if !self.swallowed.has(&buffer[..length]) {
                    client
                        .down
                        .send(Instant::now(), length, buffer[..length].to_vec());
                }
            }
        }
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        for client in &mut self.clients {
            while let Some((_, datagram)) = client.up.receive(now) {
                let _ = client.outward.send(&datagram);
            }
            while let Some((_, datagram)) = client.down.receive(now) {
                let _ = self.inward.send_to(&datagram, client.address);
            }
        }
    }

    /// The place of a client, known or new; `None` when there are too many.
    fn client(&mut self, address: SocketAddr) -> Option<usize> {
        const MOST_CLIENTS: usize = 256;
        if let Some(&known) = self.by_address.get(&address) {
            return Some(known);
        }
        let i = self.clients.len();
        if i == MOST_CLIENTS {
            return None;
        }
        let outward = self.outward_socket(i).ok()?;
        let seed = self.seed.wrapping_add(2 * i as u64);
        let up = Link::new(self.path.up.clone(), seed);
        let down = Link::new(self.path.down.clone(), seed.wrapping_add(1));
        self.clients.push(Client {
            address,
            outward,
            up,
            down,
        });
        self.by_address.insert(address, i);
        Some(i)
    }

    fn outward_socket(&self, client: usize) -> io::Result<UdpSocket> {
        let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.connect(self.server)?;
        self.poll.registry().register(
            &mut socket,
            Token(FIRST_CLIENT + client),
            Interest::READABLE,
        )?;
        Ok(socket)
    }
}

fn add(a: LinkStats, b: LinkStats) -> LinkStats {
    LinkStats {
        sent: a.sent + b.sent,
        lost: a.lost + b.lost,
        overflowed: a.overflowed + b.overflowed,
        reordered: a.reordered + b.reordered,
        duplicated: a.duplicated + b.duplicated,
        delivered: a.delivered + b.delivered,
    }
}

/// TCP and UDP on one free port number.
fn bind_both() -> io::Result<(TcpListener, UdpSocket)> {
    let mut last = None;
    for _ in 0..20 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        match UdpSocket::bind(listener.local_addr()?) {
            Ok(socket) => return Ok((listener, socket)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("each round that fails leaves an error"))
}

/// The connections that pass, and whether new ones may.
#[derive(Debug)]
struct Control {
    gate: Gate,
    connections: Vec<TcpStream>,
    /// Of all connections since the last time that they were stalled.
    stalled: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Gate {
    Open,
    /// Nothing passes for now.
    Cut,
    /// For good.
    Closed,
}

impl Control {
    fn set(&mut self, gate: Gate) {
        self.gate = gate;
        if gate != Gate::Open {
            for connection in self.connections.drain(..) {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, control: &Mutex<Control>) {
    for inward in listener.incoming().flatten() {
        let mut control = control.lock().expect("no holder panics");
        match control.gate {
            Gate::Open => {}
            Gate::Cut => continue,
            Gate::Closed => return,
        }
        let Ok(outward) = TcpStream::connect_timeout(&server, Duration::from_secs(2)) else {
            continue;
        };
        for stream in [&inward, &outward] {
            let _ = stream.set_nodelay(true);
            control.connections.extend(stream.try_clone());
        }
        let (Ok(inward_read), Ok(outward_read)) = (inward.try_clone(), outward.try_clone()) else {
            continue;
        };
        let stalled = &control.stalled;
        spawn_copy("proxy-tcp-up", inward_read, outward, stalled);
        spawn_copy("proxy-tcp-down", outward_read, inward, stalled);
    }
}

fn spawn_copy(name: &str, mut from: TcpStream, mut to: TcpStream, stalled: &Arc<AtomicBool>) {
    let stalled = Arc::clone(stalled);
    let copy = move || {
        let mut buffer = [0; 16_384];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if stalled.load(Relaxed) {
                continue;
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Read);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::Builder::new()
        .name(name.into())
        .spawn(copy)
        .expect("the system gives a test a thread");
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::sim::Loss;

    /// A UDP server on the same port as a TCP listener, both under the test's hands, and a client of the proxy.
    struct Fixture {
        server: UdpSocket,
        listener: TcpListener,
        proxy: Proxy,
        client: UdpSocket,
    }

    fn fixture(path: Path) -> Fixture {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server =
            UdpSocket::bind(listener.local_addr().expect("bound")).expect("the same port for UDP");
        let proxy = Proxy::start(server.local_addr().expect("bound"), path, 1).expect("starts");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        client.connect(proxy.address()).expect("connects");
        for socket in [&server, &client] {
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .expect("sets");
        }
        Fixture {
            server,
            listener,
            proxy,
            client,
        }
    }

    impl Fixture {
        /// A datagram from the client as the server gets it, and from where.
        fn up(&self, text: &str) -> io::Result<(String, SocketAddr)> {
            self.client.send(text.as_bytes())?;
            let mut buffer = [0; 100];
            let (length, from) = self.server.recv_from(&mut buffer)?;
            Ok((
                String::from_utf8_lossy(&buffer[..length]).into_owned(),
                from,
            ))
        }

        fn down(&self, text: &str, to: SocketAddr) -> io::Result<String> {
            self.server.send_to(text.as_bytes(), to)?;
            let mut buffer = [0; 100];
            let length = self.client.recv(&mut buffer)?;
            Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
        }
    }

    #[test]
    fn datagrams_pass_both_ways_with_their_delay() {
        let f = fixture(Path::both_ways(Impairment::delay(Duration::from_millis(
            30,
        ))));
        let start = Instant::now();
        let (text, from) = f.up("hello").expect("passes");
        assert_eq!(text, "hello");
        assert!(start.elapsed() >= Duration::from_millis(30));
        assert_eq!(f.down("you too", from).expect("passes"), "you too");
        assert!(start.elapsed() >= Duration::from_millis(60));
        let (up, down) = f.proxy.stats();
        assert_eq!((up.delivered, down.delivered), (1, 1));
    }

    #[test]
    fn rebinding_changes_the_outside_port_and_closes_the_old_one() {
        let f = fixture(Path::default());
        let (_, before) = f.up("a").expect("passes");
        f.proxy.rebind();
        let (_, after) = f.up("b").expect("passes");
        assert_ne!(before, after);
        assert!(f.down("to the old port", before).is_err());
        assert_eq!(
            f.down("to the new port", after).expect("passes"),
            "to the new port"
        );
    }

    #[test]
    fn a_black_hole_swallows_everything_until_it_is_closed() {
        let f = fixture(Path::default());
        f.proxy.black_hole(true);
        assert!(f.up("a").is_err());
        f.proxy.black_hole(false);
        assert_eq!(f.up("b").expect("passes").0, "b");
    }

    #[test]
    fn loss_can_be_set_while_it_runs() {
        let f = fixture(Path::default());
        f.up("a").expect("passes");
        f.proxy.set(Path {
            up: Impairment::default().with_loss(Loss::Random(1.0)),
            ..Path::default()
        });
        assert!(f.up("b").is_err());
        assert_eq!(f.proxy.stats().0.lost, 1);
    }

    #[test]
    fn connections_pass_are_cut_and_come_back() {
        let f = fixture(Path::default());
        let connect = || {
            let mut stream = TcpStream::connect(f.proxy.address()).expect("connects");
            stream.write_all(b"hi").expect("writes");
            stream
        };
        let mut client = connect();
        let (mut server, _) = f.listener.accept().expect("the proxy connects");
        let mut buffer = [0; 2];
        server.read_exact(&mut buffer).expect("passes");
        assert_eq!(&buffer, b"hi");

        f.proxy.allow_control(false);
        assert!(matches!(client.read(&mut buffer), Ok(0) | Err(_)));
        assert!(matches!(server.read(&mut buffer), Ok(0) | Err(_)));
        f.proxy.allow_control(true);
        connect();
        f.listener.accept().expect("the proxy connects again");
    }

    #[test]
    fn connections_that_stall_stay_open_and_new_ones_pass() {
        let f = fixture(Path::default());
        let connect = || {
            let client = TcpStream::connect(f.proxy.address()).expect("connects");
            let (server, _) = f.listener.accept().expect("the proxy connects");
            for stream in [&client, &server] {
                stream
                    .set_read_timeout(Some(Duration::from_millis(300)))
                    .expect("sets");
            }
            (client, server)
        };
        let mut buffer = [0; 2];
        let (mut client, mut server) = connect();
        f.proxy.stall_connections();
        client.write_all(b"hi").expect("writes");
        let stalled = server.read(&mut buffer).expect_err("nothing passes");
        assert_eq!(stalled.kind(), io::ErrorKind::WouldBlock);
        let (mut client, mut server) = connect();
        client.write_all(b"hi").expect("writes");
        server.read_exact(&mut buffer).expect("passes");
    }

    #[test]
    fn a_link_is_turned_to_the_proxy() {
        let f = fixture(Path::default());
        let address = f.proxy.address();
        assert_eq!(
            f.proxy.through("voxhall://127.0.0.1:9000/CODE#pin"),
            format!("voxhall://{address}/CODE#pin")
        );
    }
}
