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
        AudioLevel, BindingRequest, Datagram, DatagramKind, HopError, MAX_DATAGRAM, NonceSecret,
        ReplayError, RtcpError, RtpHeader, SFRAME_TAG_LEN, SframeHeader, StunError, classify,
        parse_reports, write_receiver_report,
    },
};

use crate::{
    batch::Batch,
    counters::{Counters, DropReason, Total},
    members::Members,
    rate::{Limits, Price},
    routes::RouteFeed,
    sends::Sends,
    session::{Moving, Session},
    slab::Slot,
};

/// A session that proved itself by nothing for this long is dropped.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(15);
/// A speaker is silent after this long without a frame.
pub const SPEAKING_OFF_AFTER: Duration = Duration::from_millis(300);

/// Speakers are looked at in turn, not all at each tick.
const LOOK_AT_SPEAKER_EVERY: Duration = Duration::from_millis(40);
/// What listeners report about a speaker is gathered for so long before the speaker is told. A listener reports every second: gathered
/// for as long, each other report would now and then wait for the next one.
const GATHER_REPORTS: Duration = Duration::from_millis(750);
/// More often a listener has no say.
const REPORTS_APART: Duration = Duration::from_millis(500);
/// Before a path moves its old address is asked so often, and given so much time for each answer.
const ASKS: u8 = 3;
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Changes of routes taken in between two batches, so that a storm of joins keeps no packet waiting for long.
const APPLY_AT_ONCE: usize = 64;
/// Speakers and reports at a time that need no allocation.
const RESERVED: usize = 4_096;
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
    feed: RouteFeed,
    members: Members,
    batch: Batch,
    /// Who speaks, and when to look whether they still do.
    speaking: VecDeque<(Instant, Slot)>,
    /// Who is to be told of reports, and when.
    reported: VecDeque<(Instant, Slot)>,
    /// Whose old address was asked, and when to go on.
    asking: VecDeque<(Instant, Slot)>,
    events: VecDeque<Event>,
    scratch: Datagram,
    nonces: NonceSecret,
    limits: Limits,
    counters: Arc<Counters>,
    started: Instant,
}

impl Relay {
    /// `nonce_secret` is random.
    #[must_use]
    pub fn new(
        nonce_secret: &[u8; 32],
        limits: Limits,
        counters: Arc<Counters>,
        feed: RouteFeed,
        now: Instant,
    ) -> Self {
        Self {
            feed,
            members: Members::new(now),
            batch: Batch::new(),
            speaking: VecDeque::with_capacity(RESERVED),
            reported: VecDeque::with_capacity(RESERVED),
            asking: VecDeque::with_capacity(RESERVED),
            events: VecDeque::with_capacity(MAX_EVENTS),
            scratch: Datagram::new(),
            nonces: NonceSecret::new(nonce_secret),
            limits,
            counters,
            started: now,
        }
    }

    /// Takes in what was published, up to a bound; says whether there may be more. Sessions that stay keep their state, others are
    /// forgotten. Call it between batches.
    pub fn apply(&mut self, now: Instant) -> bool {
        for _ in 0..APPLY_AT_ONCE {
            let Some(change) = self.feed.next() else {
                return false;
            };
            self.members.apply(change, &self.limits, now);
        }
        true
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
        let finished = self.batch.finish(&self.members, out);
        self.counters.add(Total::FramesOut, finished.frames);
        self.counters.add(Total::DatagramsOut, finished.datagrams);
        self.counters.add(Total::BytesOut, finished.bytes);
        self.counters.add(Total::BundlesOut, finished.bundles);
    }

    /// Does what time brings: speakers fall silent, sessions time out, reports go out. Call it about every 20 ms.
    pub fn tick(&mut self, now: Instant, out: &mut Sends) {
        self.end_speaking(now);
        self.go_on_asking(now, out);
        let events = &mut self.events;
        self.members.time_out(now, SESSION_TIMEOUT, |session| {
            push_event(events, Event::TimedOut { session })
        });
        self.send_reports(now, out);
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
        let session = self.members.live(slot)?;
        let packet = session.hop.receive(bytes)?;
        let challenge = session.wants_proof(now, from, bytes.len());
        let checked = check_frame(packet, session);
        let price = Price {
            bytes: bytes.len(),
            sound_bytes: checked.as_ref().map_or(0, |frame| frame.sealed_len),
        };
        let within_budget = session.budget.pay(&self.limits, now, price);
        let (channel, may_speak) = (session.channel, session.may_speak);
        self.members.heard(slot, now);
        if challenge {
            self.challenge(now, from, slot, out);
        }
        let frame = checked?;
        if !within_budget {
            return Err(DropReason::RateLimited);
        }
        if !may_speak {
            return Err(DropReason::NotAllowed);
        }
        self.counters.add(Total::FramesIn, 1);
        if !self.members.admits(now, slot, frame.level) {
            return Err(DropReason::NotLoudest);
        }
        if frame.sealed_len > SILENCE_LEN {
            self.note_voice(now, slot);
        }
        self.fan_out(slot, channel, packet, out)
    }

    fn fan_out(
        &mut self,
        speaker: Slot,
        channel: Slot,
        packet: &[u8],
        out: &mut Sends,
    ) -> Result<(), DropReason> {
        let listeners = self.members.listeners(channel).len();
        if !self.batch.has_room_for(listeners) {
            return Err(DropReason::Overload);
        }
        let frame = out.store(packet).ok_or(DropReason::Overload)?;
        self.batch.push(channel, speaker, frame, listeners);
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
        let session = self.members.live(slot)?;
        let compound = session.rtcp_up.receive(bytes)?;
        let challenge = session.wants_proof(now, from, bytes.len());
        let price = Price {
            bytes: bytes.len(),
            sound_bytes: 0,
        };
        let within_budget = session.budget.pay(&self.limits, now, price);
        let (reporter, channel) = (session.ssrc, session.channel);
        self.members.heard(slot, now);
        if challenge {
            self.challenge(now, from, slot, out);
        }
        if !within_budget {
            return Err(DropReason::RateLimited);
        }

        let session = self.members.live(slot)?;
        if now < session.next_report {
            return Err(DropReason::RateLimited);
        }
        session.next_report = now + REPORTS_APART;

        let Self {
            members, reported, ..
        } = self;
        let due = now + GATHER_REPORTS;
        let mut forged = false;
        parse_reports(compound, |says, block| {
            if says != reporter {
                forged = true;
                return;
            }
            // Only who may hear a speaker has a say about it.
            if let Ok(speaker) = members.by_ssrc(block.ssrc)
                && speaker != slot
                && let Ok(session) = members.live(speaker)
                && session.channel == channel
                && session.report.get_or_insert_default().add(slot, block, due)
            {
                reported.push_back((due, speaker));
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
        let slot = self.members.by_id(request.session())?;
        let session = self.members.live(slot)?;
        let key = &session.stun;
        request.verify(key)?;

        let uptime = now.saturating_duration_since(self.started);
        if request.has_fresh_nonce(&self.nonces, from, session.generation, uptime) {
            request.write_success(from, key, &mut self.scratch)?;
            self.members.heard(slot, now);
            self.send_scratch(from, out)?;
            self.bind(now, slot, from);
            Ok(())
        } else {
            let nonce = self
                .nonces
                .issue(session.id, from, session.generation, uptime);
            request.write_stale_nonce(&nonce, key, &mut self.scratch)?;
            self.send_scratch(from, out)
        }
    }

    /// A session proved that it can be reached at `to`. A path opens at once; an open one moves when the old address has been asked
    /// and keeps silent. Who relays a session's proof from elsewhere can't keep it from answering there.
    fn bind(&mut self, now: Instant, slot: Slot, to: SocketAddr) {
        let Ok(session) = self.members.live(slot) else {
            return;
        };
        let Some(path) = session.path else {
            self.counters.add(Total::PathsOpened, 1);
            let event = Event::PathOpened {
                session: session.id,
                address: to,
            };
            self.members.set_path(slot, Some(to));
            // Informative: lost when nobody drains events, while the path itself is as it should be.
            push_event(&mut self.events, event);
            return;
        };
        match session.moving {
            Moving::Asking { .. } if to == path => {
                session.moving = Moving::Settled { before: None };
                self.counters.add(Total::PathsKept, 1);
            }
            Moving::Asking { .. } => {}
            Moving::Settled { .. } if to == path => {}
            Moving::Settled { before } if before == Some(to) => {
                session.generation = session.generation.wrapping_add(1);
                self.move_path(slot, to, None);
            }
            Moving::Settled { .. } => {
                session.generation = session.generation.wrapping_add(1);
                // With the next tick: the datagram that came is answered by one.
                session.moving = Moving::Asking {
                    to,
                    asked: 0,
                    next: now,
                };
                // Before those that are due later.
                self.asking.push_front((now, slot));
            }
        }
    }

    fn move_path(&mut self, slot: Slot, to: SocketAddr, before: Option<SocketAddr>) {
        let Ok(session) = self.members.live(slot) else {
            return;
        };
        session.moving = Moving::Settled { before };
        let event = Event::PathMoved {
            session: session.id,
            address: to,
        };
        self.counters.add(Total::PathsMoved, 1);
        self.members.set_path(slot, Some(to));
        push_event(&mut self.events, event);
    }

    /// Asks old addresses again, and moves the paths of those that keep silent.
    fn go_on_asking(&mut self, now: Instant, out: &mut Sends) {
        while let Some((due, slot)) = self.asking.pop_front_if(|(due, _)| *due <= now) {
            let Ok(session) = self.members.live(slot) else {
                continue;
            };
            let (Moving::Asking { to, asked, next }, Some(path)) = (session.moving, session.path)
            else {
                continue;
            };
            if next != due {
                // An earlier move that was not made; else beginning often would leave no time to answer.
                continue;
            }
            if asked < ASKS {
                let (asked, next) = (asked + 1, now + ASK_EVERY);
                session.moving = Moving::Asking { to, asked, next };
                self.asking.push_back((next, slot));
                self.challenge(now, path, slot, out);
            } else {
                self.move_path(slot, to, Some(path));
            }
        }
    }

    /// Asks a session to prove that it can be reached where it speaks from.
    fn challenge(&mut self, now: Instant, to: SocketAddr, slot: Slot, out: &mut Sends) {
        let Ok(session) = self.members.live(slot) else {
            return;
        };
        let uptime = now.saturating_duration_since(self.started);
        let nonce = self
            .nonces
            .issue(session.id, to, session.generation, uptime);
        nonce.write_challenge(&session.stun, &mut self.scratch);
        if self.send_scratch(to, out).is_ok() {
            self.counters.add(Total::Challenges, 1);
        }
    }

    fn send_scratch(&mut self, to: SocketAddr, out: &mut Sends) -> Result<(), DropReason> {
        out.add(to, self.scratch.as_slice())
            .ok_or(DropReason::Overload)?;
        self.counters.add(Total::DatagramsOut, 1);
        self.counters.add(Total::BytesOut, self.scratch.len());
        Ok(())
    }

    fn note_voice(&mut self, now: Instant, slot: Slot) {
        self.members.spoke(slot, now);
        let Ok(session) = self.members.live(slot) else {
            return;
        };
        if !session.speaking {
            let event = Event::Speaking {
                session: session.id,
                ssrc: session.ssrc,
                on: true,
            };
            if push_event(&mut self.events, event) {
                session.speaking = true;
                self.speaking.push_back((now + LOOK_AT_SPEAKER_EVERY, slot));
            }
        }
    }

    fn end_speaking(&mut self, now: Instant) {
        while let Some((_, slot)) = self.speaking.pop_front_if(|(due, _)| *due <= now) {
            let again = now + LOOK_AT_SPEAKER_EVERY;
            if self.members.silence(slot, now) < SPEAKING_OFF_AFTER {
                self.speaking.push_back((again, slot));
                continue;
            }
            let session = self.members.live(slot).ok();
            // Its slot may have become another's.
            let Some(session) = session.filter(|session| session.speaking) else {
                continue;
            };
            let event = Event::Speaking {
                session: session.id,
                ssrc: session.ssrc,
                on: false,
            };
            if push_event(&mut self.events, event) {
                session.speaking = false;
            } else {
                self.speaking.push_back((again, slot));
            }
        }
    }

    fn send_reports(&mut self, now: Instant, out: &mut Sends) {
        while let Some((due, slot)) = self.reported.pop_front_if(|(due, _)| *due <= now) {
            let Ok(session) = self.members.live(slot) else {
                continue;
            };
            let Some(report) = session.report.as_mut().filter(|report| report.is_due(due)) else {
                continue;
            };
            let (Some(block), Some(to)) = (report.take(), session.path) else {
                continue;
            };
            self.scratch.clear();
            let written = write_receiver_report(SERVER_SSRC, &[block], &mut self.scratch)
                .and_then(|()| session.rtcp_down.protect(&mut self.scratch));
            if written.is_err() || self.send_scratch(to, out).is_err() {
                self.counters.count_drop(DropReason::Overload);
            }
        }
    }

    fn find_by_ssrc(&self, bytes: &[u8], at: usize) -> Result<Slot, DropReason> {
        let ssrc = bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(DropReason::Malformed)?;
        self.members.by_ssrc(Ssrc(u32::from_be_bytes(*ssrc)))
    }
}

struct Frame {
    level: Option<AudioLevel>,
    /// Bytes of Opus.
    sealed_len: usize,
}

/// What a proven packet must be to be forwarded: an SFrame of its session's sender.
fn check_frame(packet: &[u8], session: &Session) -> Result<Frame, DropReason> {
    let malformed = |_| DropReason::Malformed;
    let (header, header_len) = RtpHeader::parse(packet).map_err(malformed)?;
    let malformed = |_| DropReason::Malformed;
    let (sframe, sframe_len) = SframeHeader::parse(&packet[header_len..]).map_err(malformed)?;
    if header.ssrc != session.ssrc || sframe.kid.sender() != session.sender {
        return Err(DropReason::ForgedSender);
    }
    let sealed_len = (packet.len())
        .checked_sub(header_len + sframe_len + SFRAME_TAG_LEN)
        .ok_or(DropReason::Malformed)?;
    Ok(Frame {
        level: header.audio_level,
        sealed_len,
    })
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
