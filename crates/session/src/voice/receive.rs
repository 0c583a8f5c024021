//! The receive worker: socket -> SFrame -> jitter buffers -> mix -> playout ring; and the path's STUN and RTCP.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Relaxed, Release},
        },
        mpsc::{Receiver, SyncSender, TryRecvError},
    },
    time::{Duration, Instant},
};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::mpsc;
use voxhall_protocol::{
    Epoch, SenderIndex, Ssrc, UserId,
    control::{EpochKey, VoiceGrant, VoiceState},
    voice::{
        self, Bundle, Carrier, Datagram, DatagramKind, MAX_DATAGRAM, MAX_REPORT_BLOCKS, Opener,
        PathEvent, PathState, ReportBlock, RtcpReceiver, RtcpSender, Sealer, SessionKeys, classify,
    },
};
use voxhall_voice::{Loudness, ReceiverConfig, ReceiverError, Stereo, VoiceReceiver};

use super::{
    VoiceEvent,
    bridge::Route,
    choice::CARRIERS,
    links::{Links, Received},
    meters::{Meters, Smoothed},
    pacing::{PlayoutPacer, duration_of},
    send,
    wake::{Waker, Woken},
};
use crate::{
    Latency, SpeakerMeter, SpeakerTap, Voice,
    audio::{PlayoutEnd, raise_current_thread},
};

/// An old key still opens what was on its way when the key changed.
const OLD_KEY_FOR: Duration = Duration::from_secs(10);
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// While somebody talks the path is asked so often at least, so that it is soon noticed when nothing passes any more.
const ASK_WHILE_TALKING: Duration = Duration::from_secs(1);
/// Somebody talks until so long after the last packet.
const TALK_LASTS: Duration = Duration::from_secs(2);
const METER_EVERY: Duration = Duration::from_millis(33);
/// A path that doesn't open for this long counts as lost.
const OPEN_WITHIN: Duration = Duration::from_secs(4);
/// Datagrams taken from the socket before looking at the device again.
const BATCH: usize = 64;
/// People whose loudness is remembered while they are away.
const MAX_REMEMBERED: usize = 1_024;
/// Samples mixed at once.
const CHUNK: usize = 960;
/// How long the worker sleeps at most while nothing is to be heard; datagrams and commands wake it.
const REST: Duration = Duration::from_secs(1);

pub enum Command {
    Attach(Option<PlayoutEnd>),
    Join(Box<Join>),
    Leave,
    Key(EpochKey),
    Add(Speaker),
    Remove(Speaker),
    Configure(Box<Voice>),
    Stop,
}

pub struct Join {
    pub route: Route,
    pub grant: VoiceGrant,
}

/// Someone else in the channel.
#[derive(Debug, Clone, Copy)]
pub struct Speaker {
    user: UserId,
    ssrc: Ssrc,
    index: SenderIndex,
}

impl From<&VoiceState> for Speaker {
    fn from(state: &VoiceState) -> Self {
        Self {
            user: state.user_id,
            ssrc: state.ssrc,
            index: state.sender_index,
        }
    }
}

pub struct Worker {
    commands: Receiver<Command>,
    woken: Woken,
    send: SyncSender<send::Command>,
    events: mpsc::Sender<VoiceEvent>,
    tap: Option<SpeakerTap>,
    meters: Arc<Meters>,
    /// No other carrier may be used.
    only: Option<Carrier>,
    waker: Arc<Waker>,
    receiver: VoiceReceiver,
    settings: Voice,
    /// How loud those who left were, so that they are levelled from their first word when they come back.
    loudness: HashMap<UserId, Loudness>,
    playout: Option<PlayoutEnd>,
    pacer: PlayoutPacer,
    /// The device plays silence by itself.
    resting: bool,
    path: Option<ActivePath>,
    waiting: Smoothed,
    next_meters: Instant,
    random: SystemRandom,
    mix: Box<[Stereo; CHUNK]>,
}

struct ActivePath {
    links: Links,
    opener: Opener,
    rtcp_out: RtcpSender,
    rtcp_in: RtcpReceiver,
    ssrc: Ssrc,
    /// By SSRC: everyone but ourselves.
    speakers: HashMap<Ssrc, Speaker>,
    /// Keys that a newer one replaced, with the end of their grace.
    old_keys: Vec<(Epoch, Instant)>,
    epoch: Epoch,
    open: Arc<AtomicBool>,
    /// The loss was told; told again only after the path was open.
    told_lost: bool,
    /// When the path was last known to be open; before it was, when it was begun.
    last_open: Instant,
    /// When the last packet of somebody else's was taken.
    heard: Option<Instant>,
    next_report: Instant,
    next_reported: usize,
    received_packets: u64,
    refused_packets: u64,
    loss: LossWindow,
}

/// Loss over the last few reports.
#[derive(Default)]
struct LossWindow {
    share: f32,
}

impl Worker {
    pub fn new(
        commands: Receiver<Command>,
        woken: Woken,
        send: SyncSender<send::Command>,
        events: mpsc::Sender<VoiceEvent>,
        tap: Option<SpeakerTap>,
        meters: Arc<Meters>,
        (only, waker): (Option<Carrier>, Arc<Waker>),
    ) -> Result<Self, ReceiverError> {
        Ok(Self {
            commands,
            woken,
            only,
            waker,
            send,
            events,
            tap,
            meters,
            receiver: VoiceReceiver::new(ReceiverConfig::default())?,
            settings: Voice::default(),
            loudness: HashMap::new(),
            playout: None,
            pacer: PlayoutPacer::new(),
            resting: false,
            path: None,
            waiting: Smoothed::default(),
            next_meters: Instant::now(),
            random: SystemRandom::new(),
            mix: Box::new([[0.0; 2]; CHUNK]),
        })
    }

    pub fn run(&mut self) {
        raise_current_thread();
        loop {
            let idle = self.path.is_none() && self.playout.is_none();
            let command = if idle {
                self.commands.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.commands.try_recv()
            };
            match command {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return,
                Ok(command) => {
                    self.command(command);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
            }
            // What has come is heard with the samples that are made now.
            let more = self.path.as_mut().is_some_and(|path| {
                path.receive_all(&mut self.receiver, &self.meters, &self.send, &self.events)
            });
            let now = Instant::now();
            let mut wake = if self.nothing_to_hear() {
                self.rest(now)
            } else {
                self.play(now)
            };
            if more {
                wake = now;
            }
            if let Some(path) = &mut self.path {
                let talks = self.meters.transmitting.load(Relaxed) || path.hears(now);
                let mut ask_every = self.meters.round_trip_every.load();
                if talks {
                    ask_every = ask_every.min(ASK_WHILE_TALKING);
                }
                let next = path.keep_up(now, ask_every, &self.random, &self.send, &self.events);
                path.report_if_due(now, &mut self.receiver);
                wake = wake.min(next);
            }
            self.publish_if_due(now);
            self.wait(wake);
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Attach(playout) => {
                self.playout = playout;
                self.pacer = PlayoutPacer::new();
            }
            Command::Join(join) => self.join(now, *join),
            Command::Leave => {
                let _ = self.send.send(send::Command::Path(None));
                if let Some(path) = self.path.take() {
                    for speaker in path.speakers.values() {
                        self.forget(*speaker);
                    }
                }
                self.meters.publish(|received| received.speakers.clear());
            }
            Command::Key(key) => {
                if let Some(path) = &mut self.path {
                    path.add_key(now, &key);
                    let _ = self.send.send(send::Command::Key(key));
                }
            }
            Command::Add(speaker) => {
                if let Some(path) = &mut self.path {
                    path.add(speaker);
                    self.greet(speaker);
                }
            }
            Command::Remove(speaker) => {
                if let Some(path) = &mut self.path {
                    path.remove(speaker);
                    self.forget(speaker);
                }
            }
            Command::Configure(settings) => {
                self.settings = *settings;
                self.receiver.set_deafened(self.settings.deafened);
                self.receiver.set_stability(self.settings.stability);
                self.receiver.set_levelling(self.settings.level_voices);
                if let Some(path) = &self.path {
                    for speaker in path.speakers.values() {
                        apply_gain(&mut self.receiver, &self.settings, *speaker);
                    }
                }
            }
            Command::Stop => unreachable!("handled where commands are received"),
        }
    }

    fn join(&mut self, now: Instant, Join { route, grant }: Join) {
        self.command(Command::Leave);
        let keys = SessionKeys::derive(&grant.secret);
        self.receiver.set_withholds(grant.loudest.is_some());
        let open = Arc::new(AtomicBool::new(false));
        let broken = Arc::new(AtomicBool::new(false));
        let links = Links::new(
            now,
            route,
            (grant.voice_session, keys.stun),
            self.only,
            Arc::clone(&self.waker),
            Arc::clone(&broken),
        );
        // Without a socket there is no voice; the person sees the path as blocked, and it is asked for again.
        let Ok((links, send_socket)) = links else {
            let _ = self.events.try_send(VoiceEvent::Failed);
            return;
        };
        let mut sealer = Sealer::new(grant.sender_index, keys.hop_up.clone());
        sealer.set_key(grant.key.epoch, &grant.key.base_key);
        let mut first_sequence = [0; 2];
        let _ = self.random.fill(&mut first_sequence);
        let _ = self
            .send
            .send(send::Command::Path(Some(Box::new(send::Path {
                socket: send_socket,
                ssrc: grant.ssrc,
                sealer,
                first_sequence: u16::from_be_bytes(first_sequence) >> 1,
                bitrate_bps: grant.bitrate_bps,
                open: Arc::clone(&open),
                broken,
            }))));
        let mut path = ActivePath {
            links,
            opener: Opener::new(),
            rtcp_out: RtcpSender::new(keys.hop_up),
            rtcp_in: RtcpReceiver::new(keys.hop_down),
            ssrc: grant.ssrc,
            speakers: HashMap::new(),
            old_keys: Vec::new(),
            epoch: grant.key.epoch,
            open,
            told_lost: false,
            last_open: now,
            heard: None,
            next_report: now + REPORT_EVERY,
            next_reported: 0,
            received_packets: 0,
            refused_packets: 0,
            loss: LossWindow::default(),
        };
        path.opener.insert_key(grant.key.epoch, &grant.key.base_key);
        for speaker in grant.participants.iter().map(Speaker::from) {
            path.add(speaker);
            self.greet(speaker);
        }
        self.path = Some(path);
    }

    /// Someone came: sets their volume, and what is known of their loudness.
    fn greet(&mut self, speaker: Speaker) {
        apply_gain(&mut self.receiver, &self.settings, speaker);
        if let Some(loudness) = self.loudness.get(&speaker.user) {
            self.receiver.set_loudness(speaker.ssrc.0, *loudness);
        }
    }

    /// Someone left.
    fn forget(&mut self, speaker: Speaker) {
        let loudness = self.receiver.loudness(speaker.ssrc.0);
        if loudness.lufs().is_some() {
            if self.loudness.len() >= MAX_REMEMBERED
                && !self.loudness.contains_key(&speaker.user)
                && let Some(&other) = self.loudness.keys().next()
            {
                self.loudness.remove(&other);
            }
            self.loudness.insert(speaker.user, loudness);
        }
        self.receiver.remove(speaker.ssrc.0);
    }

    /// Until the next packet; and nobody listens to each speaker's silence.
    fn nothing_to_hear(&self) -> bool {
        self.tap.is_none() && self.receiver.rests()
    }

    /// Lets the device play silence by itself.
    fn rest(&mut self, now: Instant) -> Instant {
        if !std::mem::replace(&mut self.resting, true) {
            // Nobody is seen speaking meanwhile.
            self.next_meters = now;
        }
        if let Some(playout) = &self.playout {
            playout.clock.rests.store(true, Relaxed);
        }
        now + REST
    }

    /// Puts into the ring what the next callbacks will take, and says when to do so again.
    fn play(&mut self, now: Instant) -> Instant {
        self.resting = false;
        let Some(playout) = &mut self.playout else {
            return now + Duration::from_millis(10);
        };
        let (wanted, wake) = self.pacer.wanted(&playout.clock.playout, now);
        let held = playout.ring.buffer().capacity() - playout.ring.slots();
        let mut missing = wanted.saturating_sub(held);
        while missing > 0 {
            let samples = &mut self.mix[..missing.min(CHUNK)];
            match (&mut self.tap, &self.path) {
                (Some(tap), Some(path)) => self.receiver.pull_each(now, samples, |ssrc, own| {
                    if let Some(speaker) = path.speakers.get(&Ssrc(ssrc)) {
                        tap(speaker.user, own);
                    }
                }),
                _ => self.receiver.pull(now, samples),
            }
            if let Ok(chunk) = playout.ring.write_chunk_uninit(samples.len()) {
                chunk.fill_from_iter(samples.iter().copied());
            }
            missing -= samples.len();
            playout.clock.rests.store(false, Release);
        }
        if wanted > held {
            let filled = Instant::now();
            self.pacer.filled(filled);
            // A sample waits for the callback, and for the samples before it.
            let callback = playout.clock.playout.last().map_or(Duration::ZERO, |last| {
                let next = last + duration_of(playout.clock.playout.period());
                next.saturating_duration_since(filled)
            });
            self.waiting
                .add((callback + duration_of(held)).as_secs_f32() * 1e3);
        }
        wake
    }

    fn publish_if_due(&mut self, now: Instant) {
        if now < self.next_meters {
            return;
        }
        self.next_meters = now + METER_EVERY;
        let (receiver, path, playout, waiting) =
            (&self.receiver, &self.path, &self.playout, self.waiting);
        self.meters.publish(|received| {
            received.playout_xruns = playout
                .as_ref()
                .map_or(0, |playout| playout.clock.playout.xruns());
            received.playout_ms = waiting.value();
            received.speakers.clear();
            let Some(path) = path else { return };
            received.carrier = path.links.was_open().then(|| path.links.carrier());
            received.rtt_ms = match path.links.state() {
                PathState::Open { rtt, .. } => Some(rtt.as_secs_f32() * 1e3),
                _ => None,
            };
            received.loss = path.loss.share;
            received.received_packets = path.received_packets;
            received.refused_packets = path.refused_packets;
            for heard in receiver.speakers() {
                let known = path.speakers.get(&Ssrc(heard.ssrc));
                if let (Some(speaker), Some(statistics)) = (known, receiver.stats(heard.ssrc)) {
                    let device_ms = playout.as_ref().map_or(0.0, |playout| {
                        duration_of(playout.clock.playout.period()).as_secs_f32() * 1e3
                    });
                    received.speakers.push(SpeakerMeter {
                        user: speaker.user,
                        speaking: heard.speaking,
                        level_dbfs: heard.level.peak_dbfs(),
                        levelled_db: heard.levelled_db,
                        latency: Latency {
                            capture_ms: statistics.frame_ms,
                            network_ms: received.rtt_ms.map(|rtt| rtt / 2.0),
                            jitter_ms: statistics.delay_ms,
                            playout_ms: received.playout_ms,
                            device_ms,
                        },
                        statistics,
                    });
                }
            }
        });
    }

    /// Until `wake` or a command; and until a datagram comes, where that can't wait for `wake`.
    fn wait(&self, wake: Instant) {
        let timeout = wake.saturating_duration_since(Instant::now());
        // Within a second or so, which every system's kind of time can say.
        let timeout = Timespec::try_from(timeout).unwrap_or_default();
        let woken = PollFd::new(self.woken.socket(), PollFlags::IN);
        let plays = self.playout.is_some() && !self.resting;
        // Interrupted or not: the loop looks at everything again.
        let mut count = 1;
        let mut waited: [PollFd<'_>; 1 + CARRIERS] = std::array::from_fn(|_| woken.clone());
        if let Some(path) = &self.path
            && !(plays && path.links.stamped())
        {
            for socket in path.links.sockets() {
                waited[count] = PollFd::new(socket, PollFlags::IN);
                count += 1;
            }
        }
        let _ = rustix::event::poll(&mut waited[..count], Some(&timeout));
        // Windows knows two kinds of what can be read, and says which it is.
        let woken = waited[0].revents();
        if woken.intersects(PollFlags::IN) {
            self.woken.clear();
        }
    }
}

impl ActivePath {
    fn add(&mut self, speaker: Speaker) {
        if speaker.ssrc != self.ssrc {
            self.opener.allow(speaker.index, speaker.ssrc);
            self.speakers.insert(speaker.ssrc, speaker);
        }
    }

    fn remove(&mut self, speaker: Speaker) {
        if self.speakers.remove(&speaker.ssrc).is_some() {
            self.opener.forget(speaker.index);
        }
    }

    fn add_key(&mut self, now: Instant, key: &EpochKey) {
        self.opener.insert_key(key.epoch, &key.base_key);
        if key.epoch != self.epoch {
            self.old_keys.push((self.epoch, now + OLD_KEY_FOR));
            self.epoch = key.epoch;
        }
    }

    /// Takes a batch from the socket; says whether there may be more.
    fn receive_all(
        &mut self,
        receiver: &mut VoiceReceiver,
        meters: &Meters,
        send: &SyncSender<send::Command>,
        events: &mpsc::Sender<VoiceEvent>,
    ) -> bool {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..BATCH {
            let (carrier, len, now) = match self.links.receive(&mut buffer) {
                Received::Datagram { carrier, len, came } => (carrier, len, came),
                Received::Error => continue,
                Received::Nothing => return false,
            };
            let datagram = &mut buffer[..len];
            match classify(datagram) {
                DatagramKind::Rtp => self.open_packet(now, datagram, receiver),
                DatagramKind::Bundle => {
                    let whole = Bundle::for_each_mut(datagram, |packet| {
                        self.open_packet(now, packet, receiver);
                    });
                    self.refused_packets += u64::from(whole.is_err());
                }
                DatagramKind::Rtcp => self.take_report(now, datagram, meters, send),
                DatagramKind::Stun => self.take_answer(now, carrier, datagram, send, events),
                DatagramKind::Quic | DatagramKind::Unknown => self.refused_packets += 1,
            }
        }
        true
    }

    fn open_packet(&mut self, now: Instant, packet: &mut [u8], receiver: &mut VoiceReceiver) {
        match self.opener.open(packet) {
            Ok(opened) => {
                self.received_packets += 1;
                self.heard = Some(now);
                let header = opened.header;
                receiver.packet(
                    now,
                    header.ssrc.0,
                    header.sequence,
                    header.timestamp,
                    header.marker,
                    opened.payload,
                );
            }
            Err(_) => self.refused_packets += 1,
        }
    }

    /// The server says how much of ours was lost on its way to the listeners.
    fn take_report(
        &mut self,
        now: Instant,
        datagram: &[u8],
        meters: &Meters,
        send: &SyncSender<send::Command>,
    ) {
        let (own, links) = (self.ssrc, &mut self.links);
        let read = self.rtcp_in.receive(datagram).and_then(|compound| {
            voice::parse_reports(compound, |_, block| {
                if block.ssrc == own {
                    meters
                        .reported_loss
                        .store(f32::from(block.fraction_lost) / 256.0);
                    links.reported(now, block.highest_sequence);
                    tell(send, now, send::Sign::Report(block.into()));
                }
            })
        });
        self.refused_packets += u64::from(read.is_err());
    }

    fn take_answer(
        &mut self,
        now: Instant,
        carrier: Carrier,
        datagram: &[u8],
        send: &SyncSender<send::Command>,
        events: &mpsc::Sender<VoiceEvent>,
    ) {
        match self.links.answer(now, carrier, datagram) {
            Ok(PathEvent::Opened { rtt, .. }) => {
                tell(send, now, send::Sign::Moved);
                tell(send, now, send::Sign::RoundTrip(rtt));
                self.open.store(true, Relaxed);
                self.told_lost = false;
                let _ = events.try_send(VoiceEvent::Opened);
            }
            Ok(PathEvent::Alive { rtt }) => tell(send, now, send::Sign::RoundTrip(rtt)),
            Ok(PathEvent::Challenged | PathEvent::Reachable { .. }) => {}
            Err(_) => self.refused_packets += 1,
        }
    }

    /// Keeps the links, and retires keys. Says when to come again.
    fn keep_up(
        &mut self,
        now: Instant,
        ask_every: Duration,
        random: &SystemRandom,
        send: &SyncSender<send::Command>,
        events: &mpsc::Sender<VoiceEvent>,
    ) -> Instant {
        let opener = &mut self.opener;
        self.old_keys.retain(|(epoch, until)| {
            let keep = now < *until;
            if !keep {
                opener.remove_key(*epoch);
            }
            keep
        });

        let lost = match self.links.state() {
            PathState::Open { .. } => {
                self.last_open = now;
                false
            }
            PathState::Opening => now >= self.last_open + OPEN_WITHIN,
            PathState::Lost => true,
        };
        if lost && !self.told_lost {
            self.told_lost = true;
            let _ = events.try_send(VoiceEvent::Lost);
        }
        self.links
            .keep_up(now, ask_every, random, send)
            .min(self.next_report)
    }

    fn hears(&self, now: Instant) -> bool {
        (self.heard).is_some_and(|heard| now.saturating_duration_since(heard) < TALK_LASTS)
    }

    fn report_if_due(&mut self, now: Instant, receiver: &mut VoiceReceiver) {
        if now < self.next_report {
            return;
        }
        self.next_report = now + REPORT_EVERY;
        let mut blocks: Vec<ReportBlock> = Vec::with_capacity(MAX_REPORT_BLOCKS);
        let mut worst: u8 = 0;
        // More speakers than fit are reported on in turn.
        let known = self.speakers.len().max(1);
        for speaker in self
            .speakers
            .values()
            .cycle()
            .skip(self.next_reported % known)
            .take(self.speakers.len())
        {
            if blocks.len() == MAX_REPORT_BLOCKS {
                break;
            }
            self.next_reported += 1;
            if let Some(report) = receiver.report(speaker.ssrc.0) {
                worst = worst.max(report.fraction_lost);
                blocks.push(ReportBlock {
                    ssrc: speaker.ssrc,
                    fraction_lost: report.fraction_lost,
                    cumulative_lost: report.cumulative_lost,
                    highest_sequence: report.extended_highest_sequence,
                    jitter: report.jitter,
                    burst_loss: report.burst_loss,
                });
            }
        }
        self.loss.add(f32::from(worst) / 256.0);
        if blocks.is_empty() {
            return;
        }
        let mut datagram = Datagram::new();
        let protected = voice::write_receiver_report(self.ssrc, &blocks, &mut datagram)
            .and_then(|()| self.rtcp_out.protect(&mut datagram));
        if protected.is_ok() {
            // A lost report is followed by the next.
            self.links.send(datagram.as_slice());
        }
    }
}

impl LossWindow {
    fn add(&mut self, share: f32) {
        self.share += (share - self.share) * 0.3;
    }
}

/// A sign that finds no room is followed by the next.
fn tell(send: &SyncSender<send::Command>, at: Instant, what: send::Sign) {
    let _ = send.try_send(send::Command::Seen(send::Seen { at, what }));
}

fn apply_gain(receiver: &mut VoiceReceiver, settings: &Voice, speaker: Speaker) {
    let gain = settings.gains.get(&speaker.user).copied().unwrap_or(1.0);
    let muted = settings.local_mutes.contains(&speaker.user);
    receiver.set_gain(speaker.ssrc.0, gain);
    receiver.set_muted(speaker.ssrc.0, muted);
}
