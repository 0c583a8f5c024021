//! A stay's links to the server, one for each carrier that is open: each has a socket, and knows whether datagrams pass.

use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::SyncSender,
    },
    time::{Duration, Instant},
};

use ring::rand::{SecureRandom, SystemRandom};
use voxhall_protocol::{
    VoiceSessionId,
    voice::{
        Carrier, Datagram, PathClient, PathError, PathEvent, PathRole, PathState, StunKey,
        TransactionId,
    },
};

use super::{
    arrivals::{self, Arrivals},
    bridge::{Bridge, BridgeState, Route},
    choice::{CARRIERS, Choice, Condition, Step, worry},
    send,
    wake::Waker,
};

/// The round trip is not asked for more often, whatever is wanted.
const ASK_EVERY_AT_LEAST: Duration = Duration::from_millis(250);
/// A better carrier that is tried and answers is asked again after this: whether to use it is decided by several answers.
const CONFIRM: Duration = Duration::from_millis(500);
/// How often a path that lets nothing through is tried over a fresh socket.
const FRESH_SOCKET_EVERY: Duration = Duration::from_secs(2);
/// A path by UDP that is without an answer for this long, used or tried, gets a fresh socket.
const SILENT: Duration = Duration::from_secs(4);
/// The server tells each second what listeners have of our packets; for this long it says that we are heard.
const REPORT_LASTS: Duration = Duration::from_millis(1_500);
/// Packets. A report of fewer before the last one came late.
const OLD_REPORT: u16 = 2_048;
/// What comes by a link says for so long that the way back is alive...
const HEARD_LASTS: Duration = Duration::from_millis(600);
/// ...which is no word on the way there, and so doesn't make up for unanswered requests for longer than this.
const HEARD_COUNTS: Duration = Duration::from_secs(2);
/// How often to look at what changes by itself, while something does.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub struct Links {
    route: Arc<Route>,
    session: VoiceSessionId,
    key: StunKey,
    waker: Arc<Waker>,
    choice: Choice,
    links: [Option<Link>; CARRIERS],
    arrivals: Arrivals,
    /// Whose socket is read now.
    reading: usize,
    /// The network was seen to change under the UDP socket.
    broken: Arc<AtomicBool>,
    next_socket: Instant,
    /// The send worker doesn't know yet which socket is used.
    untold: bool,
    /// The last of our packets that a listener is known to have.
    reported: Option<u16>,
}

struct Link {
    socket: UdpSocket,
    /// Datagrams may wait in the socket until somebody has to be awake anyway: the system notes when they came.
    stamped: bool,
    /// None for UDP, whose socket leads to the server.
    bridge: Option<Bridge>,
    client: PathClient,
    /// When it was last asked.
    asked: Instant,
    /// Of the last answer while it was tried.
    rtt: Duration,
    /// Answers in a row while it was tried.
    answers: u32,
    /// When listeners last told of packets that went this way: until then it led there, whatever became of requests.
    told_of: Option<Instant>,
    /// When anything last came by it.
    heard: Option<Instant>,
}

/// What came.
pub enum Received {
    Datagram {
        carrier: Carrier,
        len: usize,
        came: Instant,
    },
    /// An error about something sent before; there may be more to read.
    Error,
    Nothing,
}

impl Links {
    /// Begins with UDP, or with the only carrier that is wanted; gives the send worker's socket, too.
    ///
    /// # Errors
    /// The system has no socket left.
    pub fn new(
        now: Instant,
        route: Route,
        (session, key): (VoiceSessionId, StunKey),
        only: Option<Carrier>,
        waker: Arc<Waker>,
        broken: Arc<AtomicBool>,
    ) -> io::Result<(Self, UdpSocket)> {
        let choice = Choice::new(only, now);
        let first = choice.used();
        let mut links = Self {
            route: Arc::new(route),
            session,
            key,
            waker,
            choice,
            links: [const { None }; CARRIERS],
            arrivals: Arrivals::new(),
            reading: 0,
            broken,
            next_socket: now + FRESH_SOCKET_EVERY,
            untold: false,
            reported: None,
        };
        let link = links.open(now, first, PathRole::Used)?;
        let socket = link.socket.try_clone()?;
        links.links[first as usize] = Some(link);
        Ok((links, socket))
    }

    pub fn carrier(&self) -> Carrier {
        self.choice.used()
    }

    pub fn was_open(&self) -> bool {
        self.choice.was_open()
    }

    pub fn state(&self) -> PathState {
        self.used()
            .map_or(PathState::Opening, |link| link.client.state())
    }

    /// Each socket notes when its datagrams came.
    pub fn stamped(&self) -> bool {
        self.links.iter().flatten().all(|link| link.stamped)
    }

    pub fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.links.iter().flatten().map(|link| &link.socket)
    }

    /// Sends by the carrier that is used. What can't be sent is lost.
    pub fn send(&self, datagram: &[u8]) {
        if let Some(link) = self.used() {
            let _ = link.socket.send(datagram);
        }
    }

    /// Takes a datagram from one of the sockets.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Received {
        for _ in 0..CARRIERS {
            let carrier = Carrier::ALL[self.reading];
            if let Some(link) = &mut self.links[self.reading] {
                match self.arrivals.receive(&link.socket, buffer) {
                    Ok((len, came)) => {
                        link.heard = Some(came);
                        return Received::Datagram { carrier, len, came };
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => {
                        if send::is_broken(&error) {
                            self.broken.store(true, Relaxed);
                        }
                        return Received::Error;
                    }
                }
            }
            self.reading = (self.reading + 1) % CARRIERS;
        }
        Received::Nothing
    }

    /// Takes a STUN message that came by `carrier`.
    pub fn answer(
        &mut self,
        now: Instant,
        carrier: Carrier,
        datagram: &[u8],
    ) -> Result<PathEvent, PathError> {
        let Some(link) = &mut self.links[carrier as usize] else {
            return Err(PathError::UnknownTransaction);
        };
        let event = link.client.handle(now, datagram)?;
        match event {
            PathEvent::Reachable { rtt } => {
                link.rtt = rtt;
                link.answers = link.answers.saturating_add(1);
            }
            PathEvent::Opened { .. } => self.choice.opened(),
            PathEvent::Alive { .. } | PathEvent::Challenged => {}
        }
        Ok(event)
    }

    /// A listener has our packets up to this one.
    pub fn reported(&mut self, now: Instant, highest_sequence: u32) {
        let newest = highest_sequence as u16;
        // Nobody may have told for long: only what is a little behind, or the same, is old.
        let is_newer = |last: u16| last.wrapping_sub(newest) >= OLD_REPORT;
        if !self.reported.is_none_or(is_newer) {
            return;
        }
        self.reported = Some(newest);
        if let Some(link) = &mut self.links[self.choice.used() as usize] {
            link.told_of = Some(now);
        }
    }

    /// Opens, tries, changes and closes carriers, and sends what requests are due. `ask_every`: how often the round trip is wanted.
    /// Says when to come again.
    pub fn keep_up(
        &mut self,
        now: Instant,
        ask_every: Duration,
        random: &SystemRandom,
        send: &SyncSender<send::Command>,
    ) -> Instant {
        for link in &mut self.links {
            if (link.as_ref()).is_some_and(|link| link.state() == BridgeState::Ended) {
                *link = None;
            }
        }
        // Each step changes what the next one is decided by; there are never many.
        for _ in 0..2 * CARRIERS {
            let seen = Carrier::ALL.map(|carrier| self.condition(now, carrier));
            match self.choice.step(now, &seen) {
                Some(step) => self.take(now, step),
                None => break,
            }
        }
        self.refresh_udp(now);
        if self.untold
            && let Some(socket) = self.used().and_then(|link| link.socket.try_clone().ok())
        {
            self.untold = send.try_send(send::Command::Socket(socket)).is_err();
        }
        for carrier in Carrier::ALL {
            self.ask(now, carrier, ask_every, random);
        }
        self.next_look(now, ask_every)
            .max(now + Duration::from_micros(250))
    }

    fn used(&self) -> Option<&Link> {
        self.links[self.choice.used() as usize].as_ref()
    }

    fn condition(&self, now: Instant, carrier: Carrier) -> Condition {
        match &self.links[carrier as usize] {
            None => Condition::Absent,
            Some(link) if link.state() == BridgeState::Opening => Condition::Opening,
            Some(link) => Condition::Up {
                silent: link.silent(now),
                rtt: link.rtt(),
                answers: link.answers,
            },
        }
    }

    fn take(&mut self, now: Instant, step: Step) {
        match step {
            // What can't be opened is tried again later.
            Step::Open(carrier) => {
                let role = match carrier == self.choice.used() {
                    true => PathRole::Used,
                    false => PathRole::Tried,
                };
                self.links[carrier as usize] = self.open(now, carrier, role).ok();
                self.untold |= role == PathRole::Used;
            }
            Step::Close(carrier) => self.links[carrier as usize] = None,
            Step::Use(used) => {
                for carrier in Carrier::ALL {
                    let Some(link) = &mut self.links[carrier as usize] else {
                        continue;
                    };
                    link.answers = 0;
                    link.told_of = None;
                    let role = match carrier == used {
                        true => PathRole::Used,
                        false => PathRole::Tried,
                    };
                    link.client.set_role(now, role);
                }
                self.untold = true;
            }
        }
    }

    fn open(&self, now: Instant, carrier: Carrier, role: PathRole) -> io::Result<Link> {
        let (socket, bridge) = match carrier {
            Carrier::Udp => (open_udp(&self.route)?, None),
            Carrier::Quic | Carrier::WebSocket => {
                let (socket, bridge) = Bridge::open(carrier, &self.route, &self.waker)?;
                (socket, Some(bridge))
            }
        };
        let mut client = PathClient::new(self.session, self.key.clone(), now);
        client.set_role(now, role);
        client.probe(now);
        Ok(Link {
            stamped: arrivals::stamp(&socket),
            socket,
            bridge,
            client,
            asked: now,
            rtt: Duration::ZERO,
            answers: 0,
            told_of: None,
            heard: None,
        })
    }

    /// The network may have changed: a socket made now takes the route of now.
    fn refresh_udp(&mut self, now: Instant) {
        if now < self.next_socket {
            return;
        }
        let broken = self.broken.swap(false, Relaxed);
        let used = self.choice.used() == Carrier::Udp;
        let Some(link) = &mut self.links[Carrier::Udp as usize] else {
            return;
        };
        if !broken && link.silent(now) < SILENT {
            return;
        }
        self.next_socket = now + FRESH_SOCKET_EVERY;
        let Ok(socket) = open_udp(&self.route) else {
            return;
        };
        link.stamped = arrivals::stamp(&socket);
        link.socket = socket;
        link.client.probe(now);
        self.untold |= used;
    }

    /// Sends the request that is due.
    fn ask(&mut self, now: Instant, carrier: Carrier, ask_every: Duration, random: &SystemRandom) {
        let Some(link) = &mut self.links[carrier as usize] else {
            return;
        };
        if link.state() != BridgeState::Up {
            return;
        }
        if link.silent(now) >= worry(link.rtt) {
            link.answers = 0;
        }
        let better = carrier < self.choice.used();
        if link
            .next_extra(ask_every, better)
            .is_some_and(|at| now >= at)
        {
            link.client.probe(now);
        }
        let mut transaction = [0; 12];
        if now < link.client.next_due() || random.fill(&mut transaction).is_err() {
            return;
        }
        link.asked = now;
        let mut request = Datagram::new();
        if link
            .client
            .poll(now, TransactionId(transaction), &mut request)
            && let Err(error) = link.socket.send(request.as_slice())
            && send::is_broken(&error)
        {
            self.broken.store(true, Relaxed);
        }
    }

    fn next_look(&self, now: Instant, ask_every: Duration) -> Instant {
        let mut next = now + Duration::from_secs(1);
        let used = self.choice.used();
        for (carrier, link) in Carrier::ALL.iter().zip(&self.links) {
            if let Some(link) = link
                && link.state() == BridgeState::Up
            {
                next = next.min(link.client.next_due());
                let extra = link.next_extra(ask_every, *carrier < used);
                next = next.min(extra.unwrap_or(next));
            }
        }
        // From worry on, what to do depends on the time alone.
        let worry_at = match self.used() {
            Some(link) if link.state() == BridgeState::Up => link.worry_at(),
            _ => Some(now),
        };
        match worry_at {
            None => next,
            Some(at) if at > now => next.min(at),
            Some(_) => next.min(now + LOOK_EVERY),
        }
    }
}

impl Link {
    fn state(&self) -> BridgeState {
        self.bridge.as_ref().map_or(BridgeState::Up, Bridge::state)
    }

    /// Since when requests are unanswered without a sign of life all the same: where much is lost, requests and answers are lost like
    /// everything else. Where there was one, worry begins when it is over, and not with all that it made up for.
    fn silent_since(&self) -> Option<Instant> {
        let since = self.client.unanswered_since()?;
        let made_up = self.alive_until(since).saturating_duration_since(since);
        Some(since + made_up.saturating_sub(worry(self.rtt())))
    }

    fn silent(&self, now: Instant) -> Duration {
        (self.silent_since()).map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// From when on it gives reason to worry, if nothing comes until then.
    fn worry_at(&self) -> Option<Instant> {
        Some(self.silent_since()? + worry(self.rtt()))
    }

    /// Until when what was told of and what came make up for requests that are unanswered since then.
    fn alive_until(&self, since: Instant) -> Instant {
        let told = self.told_of.map_or(since, |at| at + REPORT_LASTS);
        let heard = (self.heard).map_or(since, |at| (at + HEARD_LASTS).min(since + HEARD_COUNTS));
        told.max(heard)
    }

    fn rtt(&self) -> Duration {
        match self.client.state() {
            PathState::Open { rtt, .. } => rtt,
            _ => self.rtt,
        }
    }

    /// When to ask though nothing is due. `better`: than what is used.
    fn next_extra(&self, ask_every: Duration, better: bool) -> Option<Instant> {
        match self.client.is_open() {
            true => Some(self.asked + ask_every.max(ASK_EVERY_AT_LEAST)),
            false => (better && self.answers > 0).then(|| self.asked + CONFIRM),
        }
    }
}

fn open_udp(route: &Route) -> io::Result<UdpSocket> {
    let socket = route.bind()?;
    socket.connect(route.server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::{SessionSecret, voice::SessionKeys};

    use super::{super::wake, *};

    /// A path by UDP to a server that answers nothing, whose first request is sent at `now`.
    fn unanswered(now: Instant) -> Links {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let route = Route {
            server: server.local_addr().unwrap(),
            link: "127.0.0.1".parse().unwrap(),
        };
        let (waker, _) = wake::waker().unwrap();
        let key = SessionKeys::derive(&SessionSecret([1; 32])).stun;
        let session = (VoiceSessionId(1), key);
        let (mut links, _) =
            Links::new(now, route, session, None, Arc::new(waker), Arc::default()).unwrap();
        let (send, _) = std::sync::mpsc::sync_channel(1);
        links.keep_up(now, Duration::from_secs(1), &SystemRandom::new(), &send);
        links
    }

    #[test]
    fn lost_requests_are_no_worry_while_listeners_tell_of_new_packets() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut links = unanswered(start);
        let worries = |links: &Links, ms| {
            let seen = links.condition(at(ms), Carrier::Udp);
            seen.worrying_for().is_some()
        };
        assert!(!worries(&links, 599));
        assert!(worries(&links, 600));
        links.reported(at(600), 65_530);
        assert!(!worries(&links, 2_099));
        // Worry has just begun: it isn't of all the time that the report made up for.
        let seen = links.condition(at(2_100), Carrier::Udp);
        assert_eq!(seen.worrying_for(), Some(Duration::ZERO));
        // The same again, or less, says nothing of now.
        links.reported(at(1_600), 65_530);
        links.reported(at(1_600), 65_400);
        assert!(worries(&links, 2_100));
        // Sequence numbers of 16 bits begin again.
        links.reported(at(2_200), 65_536 + 3);
        assert!(!worries(&links, 2_200));
        // Nobody was there to tell of half of them.
        links.reported(at(4_000), 65_536 + 40_000);
        assert!(!worries(&links, 4_000));
    }

    /// Who doesn't talk is told of by nobody.
    #[test]
    fn lost_requests_are_no_worry_for_two_seconds_while_anything_comes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut links = unanswered(start);
        let hear = |links: &mut Links, ms| {
            links.links[0].as_mut().unwrap().heard = Some(at(ms));
        };
        let worries = |links: &Links, ms| {
            let seen = links.condition(at(ms), Carrier::Udp);
            seen.worrying_for().is_some()
        };
        hear(&mut links, 400);
        assert!(!worries(&links, 999));
        assert!(worries(&links, 1_000));
        hear(&mut links, 1_900);
        assert!(!worries(&links, 1_999));
        // What comes may come by a path on which nothing leads to the server any more.
        assert!(worries(&links, 2_000));
        assert_eq!(links.links[0].as_ref().unwrap().worry_at(), Some(at(2_000)));
    }
}
