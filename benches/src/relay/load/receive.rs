//! The listeners: one thread over all UDP sockets keeps the paths open, opens every frame and takes its delay.

use std::{
    collections::BTreeMap,
    io::{self, IoSliceMut},
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context;
use mio::{Events, Interest, Poll, Registry, Token, Waker, net::UdpSocket};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use ring::rand::{SecureRandom, SystemRandom};
use voxhall_protocol::{
    Ssrc,
    voice::{
        Bundle, BurstLoss, Datagram, DatagramKind, OpenError, Opener, PathClient, PathEvent,
        ReportBlock, RtcpSender, TransactionId, classify, write_receiver_report,
    },
};

use super::{
    mumble::MumbleEar,
    send::{Mark, wall_clock_ns},
};
use crate::relay::talk::{Quantiles, Target};

const WAKE: Token = Token(usize::MAX);
/// How often keepalives and reports that are due are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// As real clients do.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// For so long nothing came from any speaker: the forwarder has sent all it had.
const REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(10);
const MAX_DATAGRAM: usize = 2_048;
const QUEUE: usize = 1_024;

/// One user's ear, on either server.
pub enum Ear {
    Voxhall(Box<Listener>),
    Mumble(Box<MumbleEar>),
}

impl Ear {
    fn socket(&self) -> &UdpSocket {
        match self {
            Self::Voxhall(listener) => &listener.socket,
            Self::Mumble(ear) => ear.socket(),
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Voxhall(listener) => listener.path.is_open(),
            Self::Mumble(ear) => ear.is_open(),
        }
    }

    /// Whether it opened the path for the first time.
    fn take(
        &mut self,
        datagram: &mut [u8],
        dice: &SystemRandom,
        arrival: &mut Arrival<'_>,
    ) -> bool {
        match self {
            Self::Voxhall(listener) => listener.take(datagram, dice, arrival),
            Self::Mumble(ear) => ear.take(datagram, arrival),
        }
    }

    fn keep_up(&mut self, now: Instant, dice: &SystemRandom) {
        match self {
            Self::Voxhall(listener) => listener.keep_up(now, dice),
            Self::Mumble(ear) => ear.keep_up(now),
        }
    }
}

/// One datagram as it is taken in.
pub struct Arrival<'a> {
    received_ns: u64,
    received: &'a AtomicUsize,
    tally: &'a mut Tally,
    target: Option<Target>,
    frames: u32,
}

impl Arrival<'_> {
    /// An opened frame.
    pub fn frame(&mut self, payload: &[u8], in_order: bool) {
        self.received.fetch_add(1, Ordering::Relaxed);
        let Some(mark) = Mark::read(payload) else {
            return;
        };
        let Some(target) = mark.target else { return };
        self.target = Some(target);
        self.frames += 1;
        let heard = self.tally.of(target);
        heard.frames += 1;
        heard.reordered += u64::from(!in_order);
        if mark.timed {
            let delay_ns = self.received_ns.saturating_sub(mark.sent_ns);
            heard.delay_ns.push(delay_ns.min(u32::MAX.into()) as u32);
        }
    }

    pub fn unopened_mumble(&mut self) {
        self.tally.unopened_mumble += 1;
    }

    pub fn strange(&mut self) {
        self.tally.strange += 1;
    }

    fn end(self) {
        if let Some(target) = self.target {
            let heard = self.tally.of(target);
            heard.datagrams += 1;
            heard.bundles += u64::from(self.frames > 1);
        }
    }
}

/// One user's ear on our own server.
pub struct Listener {
    socket: Arc<UdpSocket>,
    server: SocketAddr,
    ssrc: Ssrc,
    path: PathClient,
    was_open: bool,
    opener: Opener,
    reports: RtcpSender,
    next_report: Instant,
    heard: Vec<Speaker>,
}

/// What is heard of one speaker, to report it.
struct Speaker {
    ssrc: Ssrc,
    first: u32,
    /// With rollovers.
    newest: u32,
    received: u32,
    received_before: u32,
}

impl Listener {
    pub fn new(
        socket: Arc<UdpSocket>,
        server: SocketAddr,
        ssrc: Ssrc,
        path: PathClient,
        reports: RtcpSender,
    ) -> Self {
        Self {
            socket,
            server,
            ssrc,
            path,
            was_open: false,
            opener: Opener::new(),
            reports,
            next_report: Instant::now() + REPORT_EVERY,
            heard: Vec::new(),
        }
    }
}

/// What all listeners heard of one target in its measured parts.
#[derive(Default)]
pub struct Heard {
    pub frames: u64,
    pub datagrams: u64,
    pub bundles: u64,
    pub reordered: u64,
    delay_ns: Vec<u32>,
}

impl Heard {
    pub fn delay(self) -> Quantiles {
        Quantiles::of(self.delay_ns)
    }
}

#[derive(Default)]
pub struct Tally {
    heard: BTreeMap<Target, Heard>,
    unopened_mumble: u64,
    unopened: [u64; OpenError::ALL.len()],
    strange: u64,
    unstamped: u64,
    paths_lost: u64,
}

impl Tally {
    pub fn take(&mut self, target: Target) -> Heard {
        std::mem::take(self.of(target))
    }

    pub fn oddities(&self) -> Vec<(String, u64)> {
        OpenError::ALL
            .iter()
            .map(|error| {
                (
                    format!("frames not opened: {error}"),
                    self.unopened[error.index()],
                )
            })
            .chain([
                ("datagrams of no known kind".to_owned(), self.strange),
                (
                    "datagrams without the kernel's time, whose delay includes our own".to_owned(),
                    self.unstamped,
                ),
                (
                    "datagrams of Mumble's server not opened".to_owned(),
                    self.unopened_mumble,
                ),
                ("paths lost at the end".to_owned(), self.paths_lost),
            ])
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    fn of(&mut self, target: Target) -> &mut Heard {
        self.heard.entry(target).or_default()
    }
}

enum Command {
    Add(usize, Ear),
    Opener(usize, Box<Opener>),
    /// So many delays are to come for each target.
    Expect(usize),
    Finish,
}

/// The thread `load-receive`.
pub struct Listeners {
    commands: SyncSender<Command>,
    waker: Waker,
    registry: Registry,
    open_paths: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
    thread: JoinHandle<io::Result<Tally>>,
}

impl Listeners {
    pub fn start() -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let registry = poll.registry().try_clone()?;
        let (commands, queue) = sync_channel(QUEUE);
        let open_paths = Arc::new(AtomicUsize::new(0));
        let received = Arc::new(AtomicUsize::new(0));
        let worker = Worker {
            ears: Vec::new(),
            open_paths: Arc::clone(&open_paths),
            received: Arc::clone(&received),
            tally: Tally::default(),
            dice: SystemRandom::new(),
            control: nix::cmsg_space!(nix::sys::time::TimeSpec),
        };
        let thread = std::thread::Builder::new()
            .name("load-receive".to_owned())
            .spawn(move || worker.run(poll, &queue))?;
        Ok(Self {
            commands,
            waker,
            registry,
            open_paths,
            received,
            thread,
        })
    }

    /// A socket that the thread hears of.
    pub fn socket(&self, user: usize) -> anyhow::Result<Arc<UdpSocket>> {
        let mut socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .context("no socket for another user; raise the limit of open files (ulimit -n)")?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        self.registry
            .register(&mut socket, Token(user), Interest::READABLE)?;
        Ok(Arc::new(socket))
    }

    pub fn add(&self, user: usize, ear: Ear) -> anyhow::Result<()> {
        self.command(Command::Add(user, ear))
    }

    pub fn give_opener(&self, user: usize, opener: Opener) -> anyhow::Result<()> {
        self.command(Command::Opener(user, Box::new(opener)))
    }

    pub fn expect(&self, delays: usize) -> anyhow::Result<()> {
        self.command(Command::Expect(delays))
    }

    pub fn open_paths(&self) -> usize {
        self.open_paths.load(Ordering::Relaxed)
    }

    /// Returns when no frame comes any more: what an overloaded forwarder still sends is not to disturb the next.
    pub fn rest(&self) {
        let deadline = Instant::now() + LONGEST_REST;
        let mut before = usize::MAX;
        while Instant::now() < deadline {
            std::thread::sleep(REST);
            let now = self.received.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }

    pub fn finish(self) -> anyhow::Result<Tally> {
        self.command(Command::Finish)?;
        match self.thread.join() {
            Ok(tally) => Ok(tally?),
            Err(_) => anyhow::bail!("the receiving thread panicked"),
        }
    }

    fn command(&self, command: Command) -> anyhow::Result<()> {
        self.commands
            .send(command)
            .context("the receiving thread is gone")?;
        Ok(self.waker.wake()?)
    }
}

struct Worker {
    /// By user.
    ears: Vec<Option<Ear>>,
    open_paths: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
    tally: Tally,
    dice: SystemRandom,
    /// For the kernel's time of each datagram.
    control: Vec<u8>,
}

impl Worker {
    fn run(mut self, mut poll: Poll, commands: &Receiver<Command>) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = [0; MAX_DATAGRAM];
        let mut next_look = Instant::now();
        loop {
            let timeout = next_look.saturating_duration_since(Instant::now());
            match poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKE => {
                        while let Ok(command) = commands.try_recv() {
                            match command {
                                Command::Add(user, ear) => self.add(user, ear),
                                Command::Opener(user, opener) => {
                                    if let Some(Some(Ear::Voxhall(listener))) =
                                        self.ears.get_mut(user)
                                    {
                                        listener.opener = *opener;
                                    }
                                }
                                Command::Expect(delays) => {
                                    for target in Target::ALL {
                                        self.tally.of(target).delay_ns.reserve(delays);
                                    }
                                }
                                Command::Finish => return Ok(self.finish()),
                            }
                        }
                        next_look = Instant::now();
                    }
                    Token(user) => self.drain(user, &mut buffer),
                }
            }
            let now = Instant::now();
            if now >= next_look {
                next_look = now + LOOK_EVERY;
                for ear in self.ears.iter_mut().flatten() {
                    ear.keep_up(now, &self.dice);
                }
            }
        }
    }

    fn add(&mut self, user: usize, ear: Ear) {
        if self.ears.len() <= user {
            self.ears.resize_with(user + 1, || None);
        }
        self.ears[user] = Some(ear);
    }

    fn finish(mut self) -> Tally {
        let ears = self.ears.iter().flatten();
        self.tally.paths_lost = ears.filter(|ear| !ear.is_open()).count() as u64;
        self.tally
    }

    /// The poll tells of new datagrams only, so everything there is is taken.
    fn drain(&mut self, user: usize, buffer: &mut [u8]) {
        let Some(Some(ear)) = self.ears.get_mut(user) else {
            return;
        };
        // Anything but "nothing there" is an echo of an earlier send that failed.
        while let Ok((len, stamp_ns)) = receive(ear.socket(), buffer, &mut self.control) {
            let received_ns = stamp_ns.unwrap_or_else(|| {
                self.tally.unstamped += 1;
                wall_clock_ns()
            });
            let mut arrival = Arrival {
                received_ns,
                received: &self.received,
                tally: &mut self.tally,
                target: None,
                frames: 0,
            };
            if ear.take(&mut buffer[..len], &self.dice, &mut arrival) {
                self.open_paths.fetch_add(1, Ordering::Relaxed);
            }
            arrival.end();
        }
    }
}

/// Length of the next datagram, and when the kernel received it: so that a delay ends where the network does, and not with the
/// one thread that reads for everybody.
fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    control: &mut [u8],
) -> nix::Result<(usize, Option<u64>)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut parts,
        Some(control),
        MsgFlags::empty(),
    )?;
    let stamp_ns = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmTimestampns(at) => {
            let at = Duration::from(at);
            Some(at.as_nanos() as u64)
        }
        _ => None,
    });
    Ok((message.bytes, stamp_ns))
}

impl Speaker {
    fn new(ssrc: Ssrc, sequence: u16) -> Self {
        Self {
            ssrc,
            first: sequence.into(),
            newest: sequence.into(),
            received: 0,
            received_before: 0,
        }
    }

    fn note(&mut self, sequence: u16) -> bool {
        self.received += 1;
        let ahead = sequence.wrapping_sub(self.newest as u16);
        let in_order = ahead < 1 << 15;
        if in_order {
            self.newest += u32::from(ahead);
        }
        in_order
    }

    /// `None` when nothing came since the last one. Nobody plays here, so jitter is not looked at.
    fn report(&mut self) -> Option<ReportBlock> {
        if self.received == self.received_before {
            return None;
        }
        self.received_before = self.received;
        let lost = (self.newest - self.first + 1).saturating_sub(self.received);
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: 0,
            cumulative_lost: lost as i32,
            highest_sequence: self.newest,
            jitter: 0,
            burst_loss: BurstLoss::default(),
        })
    }
}

impl Listener {
    fn take(
        &mut self,
        datagram: &mut [u8],
        dice: &SystemRandom,
        arrival: &mut Arrival<'_>,
    ) -> bool {
        match classify(datagram) {
            DatagramKind::Stun => return self.take_stun(Instant::now(), datagram, dice),
            DatagramKind::Rtp => self.take_frame(datagram, arrival),
            DatagramKind::Bundle => {
                if Bundle::for_each_mut(datagram, |packet| self.take_frame(packet, arrival))
                    .is_err()
                {
                    arrival.strange();
                }
            }
            // The server's reports steer an encoder, which is not here.
            DatagramKind::Rtcp => {}
            DatagramKind::Quic | DatagramKind::Unknown => arrival.strange(),
        }
        false
    }

    /// Whether the path opened for the first time.
    fn take_stun(&mut self, now: Instant, datagram: &[u8], dice: &SystemRandom) -> bool {
        let event = self.path.handle(now, datagram);
        if event == Ok(PathEvent::Challenged) {
            self.keep_up(now, dice);
        }
        let opened = self.path.is_open() && !self.was_open;
        self.was_open |= opened;
        opened
    }

    fn take_frame(&mut self, packet: &mut [u8], arrival: &mut Arrival<'_>) {
        let (header, payload) = match self.opener.open(packet) {
            Ok(opened) => (opened.header, opened.payload),
            Err(error) => {
                arrival.tally.unopened[error.index()] += 1;
                return;
            }
        };
        let at = self
            .heard
            .iter()
            .position(|speaker| speaker.ssrc == header.ssrc);
        let at = at.unwrap_or_else(|| {
            self.heard.push(Speaker::new(header.ssrc, header.sequence));
            self.heard.len() - 1
        });
        let in_order = self.heard[at].note(header.sequence);
        arrival.frame(payload, in_order);
    }

    /// Sends the keepalive and the report, where due. What is not sent is due again soon.
    fn keep_up(&mut self, now: Instant, dice: &SystemRandom) {
        let mut datagram = Datagram::new();
        if self.path.next_due() <= now {
            let mut transaction = [0; 12];
            if dice.fill(&mut transaction).is_ok()
                && self
                    .path
                    .poll(now, TransactionId(transaction), &mut datagram)
            {
                let _ = self.socket.send_to(datagram.as_slice(), self.server);
            }
        }
        if self.next_report <= now {
            self.next_report = now + REPORT_EVERY;
            let blocks: Vec<_> = self.heard.iter_mut().filter_map(Speaker::report).collect();
            datagram.clear();
            let written = write_receiver_report(self.ssrc, &blocks, &mut datagram)
                .and_then(|()| self.reports.protect(&mut datagram));
            if !blocks.is_empty() && written.is_ok() {
                let _ = self.socket.send_to(datagram.as_slice(), self.server);
            }
        }
    }
}
