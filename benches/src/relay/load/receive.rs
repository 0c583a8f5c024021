//! The listeners: one thread over all UDP sockets keeps the paths open, opens every frame and takes its delay.

use std::{
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

use super::send::{Mark, wall_clock_ns};
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

/// One user's ear.
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
    server: Heard,
    bare: Heard,
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
                ("paths lost at the end".to_owned(), self.paths_lost),
            ])
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    fn of(&mut self, target: Target) -> &mut Heard {
        match target {
            Target::Server => &mut self.server,
            Target::Bare => &mut self.bare,
        }
    }
}

enum Command {
    Add(usize, Box<Listener>),
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
            listeners: Vec::new(),
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

    pub fn add(&self, user: usize, listener: Listener) -> anyhow::Result<()> {
        self.command(Command::Add(user, Box::new(listener)))
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
    listeners: Vec<Option<Box<Listener>>>,
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
                                Command::Add(user, listener) => self.add(user, listener),
                                Command::Opener(user, opener) => {
                                    if let Some(Some(listener)) = self.listeners.get_mut(user) {
                                        listener.opener = *opener;
                                    }
                                }
                                Command::Expect(delays) => {
                                    self.tally.server.delay_ns.reserve(delays);
                                    self.tally.bare.delay_ns.reserve(delays);
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
                for listener in self.listeners.iter_mut().flatten() {
                    listener.keep_up(now, &self.dice);
                }
            }
        }
    }

    fn add(&mut self, user: usize, listener: Box<Listener>) {
        if self.listeners.len() <= user {
            self.listeners.resize_with(user + 1, || None);
        }
        self.listeners[user] = Some(listener);
    }

    fn finish(mut self) -> Tally {
        let open = self
            .listeners
            .iter()
            .flatten()
            .filter(|listener| listener.path.is_open())
            .count();
        self.tally.paths_lost = (self.listeners.len() - open) as u64;
        self.tally
    }

    /// The poll tells of new datagrams only, so everything there is is taken.
    fn drain(&mut self, user: usize, buffer: &mut [u8]) {
        let Some(Some(listener)) = self.listeners.get_mut(user) else {
            return;
        };
        // Anything but "nothing there" is an echo of an earlier send that failed.
        while let Ok((len, stamp_ns)) = receive(&listener.socket, buffer, &mut self.control) {
            let received_ns = stamp_ns.unwrap_or_else(|| {
                self.tally.unstamped += 1;
                wall_clock_ns()
            });
            let datagram = &mut buffer[..len];
            let mut target = None;
            match classify(datagram) {
                DatagramKind::Stun => {
                    if listener.take_stun(Instant::now(), datagram, &self.dice) {
                        self.open_paths.fetch_add(1, Ordering::Relaxed);
                    }
                }
                DatagramKind::Rtp => {
                    target =
                        listener.take_frame(datagram, received_ns, &self.received, &mut self.tally);
                }
                DatagramKind::Bundle => {
                    let whole = Bundle::for_each_mut(datagram, |packet| {
                        target = listener.take_frame(
                            packet,
                            received_ns,
                            &self.received,
                            &mut self.tally,
                        );
                    });
                    self.tally.strange += u64::from(whole.is_err());
                    if let Some(target) = target {
                        self.tally.of(target).bundles += 1;
                    }
                }
                // The server's reports steer an encoder, which is not here.
                DatagramKind::Rtcp => {}
                DatagramKind::Quic | DatagramKind::Unknown => self.tally.strange += 1,
            }
            if let Some(target) = target {
                self.tally.of(target).datagrams += 1;
            }
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

    /// Says to which target it was sent, if it is one to measure.
    fn take_frame(
        &mut self,
        packet: &mut [u8],
        received_ns: u64,
        received: &AtomicUsize,
        tally: &mut Tally,
    ) -> Option<Target> {
        let opened = match self.opener.open(packet) {
            Ok(opened) => opened,
            Err(error) => {
                tally.unopened[error.index()] += 1;
                return None;
            }
        };
        received.fetch_add(1, Ordering::Relaxed);
        let header = opened.header;
        let mark = Mark::read(opened.payload)?;
        let in_order = self.note(header.ssrc, header.sequence);
        let target = mark.target?;
        let heard = tally.of(target);
        heard.frames += 1;
        heard.reordered += u64::from(!in_order);
        if mark.timed {
            let delay_ns = received_ns.saturating_sub(mark.sent_ns);
            heard.delay_ns.push(delay_ns.min(u32::MAX.into()) as u32);
        }
        Some(target)
    }

    /// Whether the frame is newer than all before it of its speaker.
    fn note(&mut self, ssrc: Ssrc, sequence: u16) -> bool {
        let at = self.heard.iter().position(|speaker| speaker.ssrc == ssrc);
        let at = at.unwrap_or_else(|| {
            self.heard.push(Speaker::new(ssrc, sequence));
            self.heard.len() - 1
        });
        self.heard[at].note(sequence)
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
