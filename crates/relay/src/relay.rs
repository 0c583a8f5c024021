//! The relay itself: who is this, may it speak, who listens?

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    Ssrc, VoiceSessionId,
    voice::{
        BindingRequest, Datagram, DatagramKind, HopError, MAX_DATAGRAM, NonceSecret, ReplayError,
        RtcpError, RtpHeader, SFRAME_TAG_LEN, SframeHeader, StunError, classify, parse_reports,
        write_receiver_report,
    },
};

use crate::{
    batch::Batch,
    counters::{Counters, DropReason, Total},
    rate::Limits,
    routes::{RouteTable, SessionRoute, Slot},
    sends::Sends,
    session::Session,
};

/// A session that proved itself by nothing for this long is dropped.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(15);
/// A speaker is silent after this long without a frame.
pub const SPEAKING_OFF_AFTER: Duration = Duration::from_millis(300);

/// How often speakers are told what their listeners report, and timeouts are looked for.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Opus frames up to this long say "silence" (DTX, RFC 6716 section 2.1.9).
const SILENCE_LEN: usize = 2;
const MAX_EVENTS: usize = 1_024;
/// Reports of the server itself, which has no source.
const SERVER_SSRC: Ssrc = Ssrc(0);

/// Something the control plane wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    PathOpened {
        session: VoiceSessionId,
        address: SocketAddr,
    },
    PathMoved {
        session: VoiceSessionId,
        address: SocketAddr,
    },
    Speaking {
        session: VoiceSessionId,
        ssrc: Ssrc,
        on: bool,
    },
    /// Told once; the session is ignored until it is removed from the table.
    TimedOut { session: VoiceSessionId },
}

/// The server's voice core. See the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Relay {
    table: Arc<RouteTable>,
    /// By slot, as `paths`.
    sessions: Vec<Option<Box<Session>>>,
    /// The proven address of each session: nothing is sent anywhere else but answers and challenges.
    paths: Vec<Option<SocketAddr>>,
    batch: Batch,
    speaking: Vec<Slot>,
    reported: Vec<Slot>,
    events: VecDeque<Event>,
    scratch: Datagram,
    nonces: NonceSecret,
    limits: Limits,
    counters: Arc<Counters>,
    started: Instant,
    next_round: Instant,
}

impl Relay {
    /// `nonce_secret` is random.
    #[must_use]
    pub fn new(
        nonce_secret: &[u8; 32],
        limits: Limits,
        counters: Arc<Counters>,
        now: Instant,
    ) -> Self {
        Self {
            table: Arc::default(),
            sessions: Vec::new(),
            paths: Vec::new(),
            batch: Batch::new(),
            speaking: Vec::new(),
            reported: Vec::new(),
            events: VecDeque::with_capacity(MAX_EVENTS),
            scratch: Datagram::new(),
            nonces: NonceSecret::new(nonce_secret),
            limits,
            counters,
            started: now,
            next_round: now + REPORT_EVERY,
        }
    }

    /// The table in use, to compare with the one published last.
    #[must_use]
    pub fn table(&self) -> &Arc<RouteTable> {
        &self.table
    }

    /// Takes a new table. Sessions that stay keep their state, others are forgotten. Call it between batches.
    pub fn apply(&mut self, table: Arc<RouteTable>, now: Instant) {
        let slots = table.slots();
        self.sessions.resize_with(slots.len(), || None);
        self.paths.resize(slots.len(), None);
        for ((route, session), path) in slots.iter().zip(&mut self.sessions).zip(&mut self.paths) {
            let stays = matches!((&route, &session), (Some(r), Some(s)) if r.id == s.id);
            if !stays {
                *path = None;
                *session = route
                    .as_ref()
                    .map(|route| Box::new(Session::new(route, &self.limits, now)));
            }
        }
        let session = |slot: &Slot| self.sessions.get(*slot as usize)?.as_ref();
        self.speaking
            .retain(|slot| session(slot).is_some_and(|session| session.speaking));
        self.reported
            .retain(|slot| session(slot).is_some_and(|session| session.report.is_some()));
        self.speaking
            .reserve(slots.len().saturating_sub(self.speaking.len()));
        self.reported
            .reserve(slots.len().saturating_sub(self.reported.len()));
        self.batch.reset(slots.len());
        self.table = table;
    }

    /// Takes one datagram. What is to be sent is complete after [`finish`](Self::finish).
    pub fn datagram(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], out: &mut Sends) {
        self.counters.add(Total::DatagramsIn, 1);
        self.counters.add(Total::BytesIn, bytes.len());
        let from = normalised(from);
        let result = if bytes.len() > MAX_DATAGRAM {
            Err(DropReason::TooLong)
        } else {
            match classify(bytes) {
                DatagramKind::Rtp => self.rtp(now, from, bytes, out),
                DatagramKind::Rtcp => self.rtcp(now, from, bytes, out),
                DatagramKind::Stun => self.stun(now, from, bytes, out),
                DatagramKind::Bundle | DatagramKind::Quic | DatagramKind::Unknown => {
                    Err(DropReason::Unclassified)
                }
            }
        };
        if let Err(reason) = result {
            self.counters.count_drop(reason);
        }
    }

    /// Ends a batch: addresses its frames to the listeners.
    pub fn finish(&mut self, out: &mut Sends) {
        let finished = self.batch.finish(&self.table, &self.paths, out);
        self.counters.add(Total::DatagramsOut, finished.datagrams);
        self.counters.add(Total::BytesOut, finished.bytes);
        self.counters.add(Total::BundlesOut, finished.bundles);
    }

    /// Does what time brings: speakers fall silent, sessions time out, reports go out. Call it about every 20 ms.
    pub fn tick(&mut self, now: Instant, out: &mut Sends) {
        self.end_speaking(now);
        if now >= self.next_round {
            self.next_round = now + REPORT_EVERY;
            self.time_out(now);
            self.send_reports(out);
        }
    }

    /// The next event, if there is one. Undrained events wait, up to a bound; then state changes wait instead.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn rtp(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Sends,
    ) -> Result<(), DropReason> {
        let slot = self.find_by_ssrc(bytes, 8)?;
        let (route, session) = lookup(&self.table, &mut self.sessions, slot)?;
        let packet = session.hop.receive(bytes)?;
        session.last_heard = now;
        let challenge = self.paths[slot as usize] != Some(from)
            && session.heard_beside_path(now, from, bytes.len());

        let checked = check_frame(packet, route);
        let within_budget = session.budget.pay(&self.limits, now, bytes.len());
        if challenge {
            self.challenge(now, from, slot, out);
        }
        let sealed_len = checked?;
        if !within_budget {
            return Err(DropReason::RateLimited);
        }
        if !route_of(&self.table, slot)?.may_speak {
            return Err(DropReason::NotAllowed);
        }
        self.counters.add(Total::FramesIn, 1);
        if sealed_len > SILENCE_LEN {
            self.note_voice(now, slot);
        }
        self.fan_out(slot, packet, out)
    }

    fn fan_out(&mut self, speaker: Slot, packet: &[u8], out: &mut Sends) -> Result<(), DropReason> {
        let channel = route_of(&self.table, speaker)?.channel;
        let listeners = self.table.listeners(channel);
        if !self.batch.has_room_for(listeners.len()) {
            return Err(DropReason::Overload);
        }
        let frame = out.store(packet).ok_or(DropReason::Overload)?;
        let mut count = 0;
        for &listener in listeners {
            if listener != speaker && self.paths[listener as usize].is_some() {
                self.batch.push(listener, frame);
                count += 1;
            }
        }
        self.counters.add(Total::FramesOut, count);
        Ok(())
    }

    fn rtcp(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Sends,
    ) -> Result<(), DropReason> {
        let slot = self.find_by_ssrc(bytes, 4)?;
        let (route, session) = lookup(&self.table, &mut self.sessions, slot)?;
        let compound = session.rtcp_up.receive(bytes)?;
        session.last_heard = now;
        let challenge = self.paths[slot as usize] != Some(from)
            && session.heard_beside_path(now, from, bytes.len());
        let within_budget = session.budget.pay(&self.limits, now, bytes.len());
        let (reporter, channel) = (route.ssrc, route.channel);
        if challenge {
            self.challenge(now, from, slot, out);
        }
        if !within_budget {
            return Err(DropReason::RateLimited);
        }

        let Self {
            table,
            sessions,
            reported,
            ..
        } = self;
        let mut forged = false;
        parse_reports(compound, |says, block| {
            if says != reporter {
                forged = true;
                return;
            }
            // Only who may hear a speaker has a say about it.
            let Some(speaker) = table.by_ssrc(block.ssrc).filter(|speaker| *speaker != slot) else {
                return;
            };
            if let Ok((route, session)) = lookup(table, sessions, speaker)
                && route.channel == channel
                && session.report.add(block)
            {
                reported.push(speaker);
            }
        })?;
        if forged {
            return Err(DropReason::ForgedSender);
        }
        Ok(())
    }

    fn stun(
        &mut self,
        now: Instant,
        from: SocketAddr,
        bytes: &[u8],
        out: &mut Sends,
    ) -> Result<(), DropReason> {
        let request = BindingRequest::parse(bytes)?;
        let slot = self
            .table
            .by_id(request.session())
            .ok_or(DropReason::UnknownSession)?;
        let (route, session) = lookup(&self.table, &mut self.sessions, slot)?;
        let key = &route.keys.stun;
        request.verify(key)?;

        let uptime = now.saturating_duration_since(self.started);
        if request.has_fresh_nonce(&self.nonces, from, session.generation, uptime) {
            request.write_success(from, key, &mut self.scratch)?;
            session.last_heard = now;
            self.bind(slot, from);
        } else {
            let nonce = self
                .nonces
                .issue(route.id, from, session.generation, uptime);
            request.write_stale_nonce(&nonce, key, &mut self.scratch)?;
        }
        self.send_scratch(from, out)
    }

    /// Opens or moves the path of a session that proved it can be reached at `to`.
    fn bind(&mut self, slot: Slot, to: SocketAddr) {
        let path = &mut self.paths[slot as usize];
        let Ok((route, session)) = lookup(&self.table, &mut self.sessions, slot) else {
            return;
        };
        let event = match path.replace(to) {
            Some(old) if old == to => return,
            Some(_) => {
                session.generation = session.generation.wrapping_add(1);
                self.counters.add(Total::PathsMoved, 1);
                Event::PathMoved {
                    session: route.id,
                    address: to,
                }
            }
            None => {
                self.counters.add(Total::PathsOpened, 1);
                Event::PathOpened {
                    session: route.id,
                    address: to,
                }
            }
        };
        // Informative: lost when nobody drains events, while the path itself is as it should be.
        push_event(&mut self.events, event);
    }

    /// Asks a session to prove that it can be reached where it speaks from.
    fn challenge(&mut self, now: Instant, to: SocketAddr, slot: Slot, out: &mut Sends) {
        let Ok((route, session)) = lookup(&self.table, &mut self.sessions, slot) else {
            return;
        };
        let uptime = now.saturating_duration_since(self.started);
        let nonce = self.nonces.issue(route.id, to, session.generation, uptime);
        nonce.write_challenge(&route.keys.stun, &mut self.scratch);
        if self.send_scratch(to, out).is_ok() {
            self.counters.add(Total::Challenges, 1);
        }
    }

    fn send_scratch(&mut self, to: SocketAddr, out: &mut Sends) -> Result<(), DropReason> {
        let frame = out
            .store(self.scratch.as_slice())
            .ok_or(DropReason::Overload)?;
        out.push(to, frame);
        self.counters.add(Total::DatagramsOut, 1);
        self.counters.add(Total::BytesOut, self.scratch.len());
        Ok(())
    }

    fn note_voice(&mut self, now: Instant, slot: Slot) {
        let Ok((route, session)) = lookup(&self.table, &mut self.sessions, slot) else {
            return;
        };
        session.last_voice = now;
        if !session.speaking {
            let event = Event::Speaking {
                session: route.id,
                ssrc: route.ssrc,
                on: true,
            };
            if push_event(&mut self.events, event) {
                session.speaking = true;
                self.speaking.push(slot);
            }
        }
    }

    fn end_speaking(&mut self, now: Instant) {
        let Self {
            table,
            sessions,
            speaking,
            events,
            ..
        } = self;
        speaking.retain(|slot| {
            let Ok((route, session)) = lookup(table, sessions, *slot) else {
                return false;
            };
            let silent = now.saturating_duration_since(session.last_voice) >= SPEAKING_OFF_AFTER;
            let event = Event::Speaking {
                session: route.id,
                ssrc: route.ssrc,
                on: false,
            };
            let ended = silent && push_event(events, event);
            if ended {
                session.speaking = false;
            }
            !ended
        });
    }

    fn time_out(&mut self, now: Instant) {
        for (session, path) in self.sessions.iter_mut().zip(&mut self.paths) {
            let Some(session) = session else { continue };
            if session.timed_out
                || now.saturating_duration_since(session.last_heard) < SESSION_TIMEOUT
            {
                continue;
            }
            let event = Event::TimedOut {
                session: session.id,
            };
            if push_event(&mut self.events, event) {
                session.timed_out = true;
                *path = None;
            }
        }
    }

    fn send_reports(&mut self, out: &mut Sends) {
        let mut reported = std::mem::take(&mut self.reported);
        for slot in reported.drain(..) {
            let Ok((_, session)) = lookup(&self.table, &mut self.sessions, slot) else {
                continue;
            };
            let (Some(block), Some(to)) = (session.report.take(), self.paths[slot as usize]) else {
                continue;
            };
            self.scratch.clear();
            let written = write_receiver_report(SERVER_SSRC, &[block], &mut self.scratch)
                .and_then(|()| session.rtcp_down.protect(&mut self.scratch));
            if written.is_err() || self.send_scratch(to, out).is_err() {
                self.counters.count_drop(DropReason::Overload);
            }
        }
        self.reported = reported;
    }

    fn find_by_ssrc(&self, bytes: &[u8], at: usize) -> Result<Slot, DropReason> {
        let ssrc = bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(DropReason::Malformed)?;
        self.table
            .by_ssrc(Ssrc(u32::from_be_bytes(*ssrc)))
            .ok_or(DropReason::UnknownSession)
    }
}

/// The session in this slot, unless it timed out.
fn lookup<'a>(
    table: &'a RouteTable,
    sessions: &'a mut [Option<Box<Session>>],
    slot: Slot,
) -> Result<(&'a SessionRoute, &'a mut Session), DropReason> {
    let route = route_of(table, slot)?;
    match sessions.get_mut(slot as usize) {
        Some(Some(session)) if session.timed_out => Err(DropReason::TimedOut),
        Some(Some(session)) => Ok((route, session)),
        _ => Err(DropReason::UnknownSession),
    }
}

fn route_of(table: &RouteTable, slot: Slot) -> Result<&SessionRoute, DropReason> {
    table.route(slot).ok_or(DropReason::UnknownSession)
}

/// What a proven packet must be to be forwarded: an SFrame of its session's sender. Gives the length of its text.
fn check_frame(packet: &[u8], route: &SessionRoute) -> Result<usize, DropReason> {
    let malformed = |_| DropReason::Malformed;
    let (header, header_len) = RtpHeader::parse(packet).map_err(malformed)?;
    let malformed = |_| DropReason::Malformed;
    let (sframe, sframe_len) = SframeHeader::parse(&packet[header_len..]).map_err(malformed)?;
    if header.ssrc != route.ssrc || sframe.kid.sender() != route.sender {
        return Err(DropReason::ForgedSender);
    }
    packet
        .len()
        .checked_sub(header_len + sframe_len + SFRAME_TAG_LEN)
        .ok_or(DropReason::Malformed)
}

/// The same address compares equal whatever flow label its packets carried.
fn normalised(mut address: SocketAddr) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_flowinfo(0);
    }
    address
}

/// `false` when the queue is full: nothing grows while nobody listens.
fn push_event(events: &mut VecDeque<Event>, event: Event) -> bool {
    let room = events.len() < MAX_EVENTS;
    if room {
        events.push_back(event);
    }
    room
}

impl From<ReplayError> for DropReason {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Replayed => Self::Replayed,
            ReplayError::TooOld => Self::TooOld,
        }
    }
}

impl From<HopError> for DropReason {
    fn from(error: HopError) -> Self {
        match error {
            HopError::Truncated => Self::Malformed,
            HopError::Replay(replay) => replay.into(),
            HopError::BadTag => Self::BadTag,
        }
    }
}

impl From<RtcpError> for DropReason {
    fn from(error: RtcpError) -> Self {
        match error {
            RtcpError::Malformed | RtcpError::Encrypted => Self::Malformed,
            RtcpError::Replay(replay) => replay.into(),
            RtcpError::BadTag => Self::BadTag,
        }
    }
}

impl From<StunError> for DropReason {
    fn from(error: StunError) -> Self {
        match error {
            StunError::Malformed | StunError::Fingerprint | StunError::Attribute => Self::Malformed,
            StunError::Unexpected => Self::Unclassified,
            StunError::Integrity => Self::BadTag,
            StunError::RequestTooShort => Self::NoAnswer,
        }
    }
}
