//! The send worker: capture ring -> voice activity -> Opus -> SFrame and hop tag -> socket.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use voxhall_protocol::{
    Ssrc,
    control::EpochKey,
    voice::{AudioLevel, Datagram, RtpHeader, Sealer},
};
use voxhall_voice::{
    EncodedFrame, PathAdapter, PathReport, SenderConfig, SenderError, TransmitMode, VoiceSender,
    Wanted,
};

use super::{
    meters::{Meters, Smoothed},
    pacing::{self, STALLED},
};
use crate::{
    Microphone, MicrophoneMeter, Transmit, Voice,
    audio::{CaptureEnd, SAMPLE_RATE, raise_current_thread},
};

/// By then every listener has the new key: a sender that switched at once would be unheard by whoever gets it later.
const SWITCH_AFTER: Duration = Duration::from_millis(400);
/// How fast the level meters fall.
const METER_FALL_DB_PER_S: f32 = 40.0;
/// A microphone that was not looked at for this long is caught up with, not sent late.
const MAX_BACKLOG_SAMPLES: usize = 4_800;
/// How often the microphone is looked at for the meters alone. What opens it wakes the worker.
const CLOSED_LOOK: Duration = Duration::from_millis(60);

pub enum Command {
    Attach(Option<CaptureEnd>),
    Path(Option<Box<Path>>),
    /// The same path over a new socket.
    Socket(UdpSocket),
    Key(EpochKey),
    Configure(Box<Voice>),
    Seen(Seen),
    Stop,
}

/// What was seen of the path, and when.
pub struct Seen {
    pub at: Instant,
    pub what: Sign,
}

pub enum Sign {
    /// The listeners' report.
    Report(PathReport),
    /// To the server and back.
    RoundTrip(Duration),
    /// The path leads elsewhere from now on.
    Moved,
}

/// Where sealed frames go.
pub struct Path {
    pub socket: UdpSocket,
    pub ssrc: Ssrc,
    /// With the first key set.
    pub sealer: Sealer,
    /// Random, below 2^15.
    pub first_sequence: u16,
    pub bitrate_bps: u32,
    /// The server has proven the path; before that nothing is sent.
    pub open: Arc<AtomicBool>,
    /// Set when the socket reports that the network changed under it.
    pub broken: Arc<AtomicBool>,
}

struct ActivePath {
    path: Path,
    adapter: PathAdapter,
    sequence: u16,
    /// Keys to switch to, oldest first, with their dates.
    next_keys: Vec<(EpochKey, Instant)>,
}

pub struct Worker {
    commands: Receiver<Command>,
    meters: Arc<Meters>,
    sender: VoiceSender,
    settings: Voice,
    meter: MicrophoneMeter,
    capture: Option<CaptureEnd>,
    /// When the microphone was last seen to deliver something.
    captured_at: Option<Instant>,
    path: Option<ActivePath>,
    datagram: Datagram,
    encode: Smoothed,
}

impl Worker {
    pub fn new(commands: Receiver<Command>, meters: Arc<Meters>) -> Result<Self, SenderError> {
        let config = SenderConfig::default();
        Ok(Self {
            commands,
            meters,
            sender: VoiceSender::new(config)?,
            settings: Voice::default(),
            meter: MicrophoneMeter::default(),
            capture: None,
            captured_at: None,
            path: None,
            datagram: Datagram::new(),
            encode: Smoothed::default(),
        })
    }

    pub fn run(&mut self) {
        raise_current_thread();
        let mut wake = Instant::now();
        loop {
            match self.next_command(wake) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(command) => {
                    self.command(command);
                    wake = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => wake = self.work(),
            }
        }
    }

    /// Until `wake`; without a microphone there is nothing to do but to wait for a command.
    fn next_command(&self, wake: Instant) -> Result<Command, RecvTimeoutError> {
        match &self.capture {
            None => Ok(self.commands.recv()?),
            Some(_) => {
                let timeout = wake.saturating_duration_since(Instant::now());
                self.commands.recv_timeout(timeout)
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Attach(capture) => {
                if capture.is_none() {
                    self.meters.transmitting.store(false, Relaxed);
                    self.meter = MicrophoneMeter::default();
                    self.meters.publish_microphone(self.meter);
                }
                self.sender.device_changed();
                self.capture = capture;
                self.captured_at = None;
            }
            Command::Path(path) => {
                // What was said so far is for those who heard it until now.
                self.work();
                self.sender.interrupt();
                if path.is_none() {
                    self.meters.stopped_sending();
                }
                self.path = path.map(|path| ActivePath {
                    adapter: PathAdapter::new(
                        wanted(path.bitrate_bps, &self.settings),
                        Instant::now(),
                    ),
                    sequence: path.first_sequence,
                    path: *path,
                    next_keys: Vec::new(),
                });
                self.adapt();
            }
            Command::Socket(socket) => {
                if let Some(active) = &mut self.path {
                    active.path.socket = socket;
                }
            }
            Command::Key(key) => {
                if let Some(active) = &mut self.path {
                    active.next_keys.push((key, Instant::now() + SWITCH_AFTER));
                }
            }
            Command::Configure(settings) => self.configure(&settings),
            Command::Seen(Seen { at, what }) => {
                if let Some(ActivePath { adapter, .. }) = &mut self.path {
                    match what {
                        Sign::Report(report) => adapter.report(at, report),
                        Sign::RoundTrip(round_trip) => adapter.round_trip(at, round_trip),
                        Sign::Moved => adapter.path_changed(),
                    }
                    self.adapt();
                }
            }
            Command::Stop => unreachable!("handled where commands are received"),
        }
    }

    fn configure(&mut self, settings: &Voice) {
        let held = settings.talk_key;
        let mode = match settings.transmit {
            Transmit::VoiceActivity => TransmitMode::VoiceActivity,
            Transmit::PushToTalk => TransmitMode::PushToTalk { held },
            Transmit::PushToMute => TransmitMode::PushToMute { held },
            Transmit::Open => TransmitMode::Open,
        };
        let muted = settings.muted || settings.deafened;
        let changes = self.sender.mode() != mode || self.sender.muted() != muted;
        let closed = matches!(
            mode,
            TransmitMode::PushToTalk { held: false } | TransmitMode::PushToMute { held: true }
        );
        if changes && !muted && !closed {
            // What waits in the ring was captured before the microphone was opened.
            self.work();
        }
        if self.sender.mode() != mode {
            self.sender.set_mode(mode);
        }
        if self.sender.muted() != muted {
            self.sender.set_muted(muted);
        }
        self.sender.set_vad_sensitivity(settings.sensitivity);
        self.sender.set_release_tail_ms(settings.release_tail_ms);
        self.sender.set_sound(settings.sound());
        self.settings = settings.clone();
        match &mut self.path {
            Some(active) => {
                active
                    .adapter
                    .want(wanted(active.path.bitrate_bps, settings));
                self.adapt();
            }
            None => self.sender.adapt_frame_length(settings.packet_length()),
        }
    }

    /// Has the encoder do what the path wants.
    fn adapt(&mut self) {
        let Some(active) = &self.path else { return };
        let sending = active.adapter.sending();
        self.sender.set_bitrate_bps(sending.bitrate_bps);
        self.sender.adapt_frame_length(sending.frame_length);
        self.sender.protect(sending.protection);
        self.meters.sending(&sending);
        self.meters
            .round_trip_every
            .store(active.adapter.round_trip_every());
    }

    /// Encodes and sends what the microphone has, and says when to look again.
    fn work(&mut self) -> Instant {
        let now = Instant::now();
        let Some(capture) = &mut self.capture else {
            return now;
        };
        if let Some(active) = &mut self.path {
            active.switch_key_if_due(now);
        }

        let last = capture.clock.capture.last();
        if let (Some(before), Some(last)) = (self.captured_at, last)
            && last.saturating_duration_since(before) >= STALLED
            && capture.ring.slots() < MAX_BACKLOG_SAMPLES
        {
            // It stood still, rather than this worker: another device may be behind the same end now.
            self.sender.device_changed();
        }
        self.captured_at = last;
        let stands = last.is_none_or(|last| now.saturating_duration_since(last) >= STALLED);

        let stale = capture.ring.slots().saturating_sub(MAX_BACKLOG_SAMPLES);
        if let Ok(chunk) = capture.ring.read_chunk(stale) {
            chunk.commit_all();
        }
        let played = capture.reference.slots();
        if let Ok(chunk) = capture.reference.read_chunk(played) {
            let (first, second) = chunk.as_slices();
            if !stands {
                self.sender.played(first);
                self.sender.played(second);
            }
            chunk.commit_all();
        }
        self.sender.skipped(stale);
        let ready = capture.ring.slots();
        if let Ok(chunk) = capture.ring.read_chunk(ready) {
            let arrived = capture.clock.capture.last().unwrap_or(now);
            let (first, second) = chunk.as_slices();
            for samples in [first, second] {
                let (path, datagram, meters, encode) = (
                    &mut self.path,
                    &mut self.datagram,
                    &self.meters,
                    &mut self.encode,
                );
                self.sender.push(samples, |frame| {
                    let Some(active) = path else { return };
                    if active.send(&frame, datagram) {
                        active.adapter.sent(now, frame.length);
                        meters.sent_packets.fetch_add(1, Relaxed);
                        meters
                            .encode_ms
                            .store(encode.add(arrived.elapsed().as_secs_f32() * 1e3));
                    }
                });
            }
            chunk.commit_all();
        }
        self.meter.take(&self.sender, ready);
        self.meters.publish_microphone(self.meter);
        self.meters
            .transmitting
            .store(self.path.is_some() && self.sender.transmitting(), Relaxed);
        self.meters
            .capture_xruns
            .store(capture.clock.capture.xruns(), Relaxed);
        let now = Instant::now();
        if self.sender.is_closed() {
            return now + CLOSED_LOOK;
        }
        pacing::capture_wake(&capture.clock.capture, now, self.sender.missing_samples())
    }
}

fn wanted(allowed_bps: u32, settings: &Voice) -> Wanted {
    Wanted {
        bitrate_bps: settings.bitrate_bps(allowed_bps),
        frame_length: settings.packet_length(),
        fixed_length: matches!(settings.microphone, Microphone::Music(_)),
    }
}

impl MicrophoneMeter {
    /// After `samples` more were taken by `sender`.
    fn take(&mut self, sender: &VoiceSender, samples: usize) {
        let fall = METER_FALL_DB_PER_S * samples as f32 / SAMPLE_RATE as f32;
        let fallen = |dbfs: f32, now: f32| now.max(dbfs - fall);
        self.captured_dbfs = fallen(self.captured_dbfs, sender.captured_level().peak_dbfs());
        self.processed_dbfs = fallen(self.processed_dbfs, sender.level().peak_dbfs());
        self.speech = sender.speech();
        self.clipping = sender.clipping();
        self.echo = sender.echo();
    }
}

impl ActivePath {
    fn switch_key_if_due(&mut self, now: Instant) {
        let due = self
            .next_keys
            .iter()
            .take_while(|(_, at)| *at <= now)
            .count();
        if let Some((key, _)) = self.next_keys.drain(..due).next_back() {
            self.path.sealer.set_key(key.epoch, &key.base_key);
        }
    }

    /// Whether the frame went onto the socket.
    fn send(&mut self, frame: &EncodedFrame<'_>, datagram: &mut Datagram) -> bool {
        if !self.path.open.load(Relaxed) {
            return false;
        }
        let header = RtpHeader {
            marker: frame.marker,
            sequence: self.sequence,
            timestamp: frame.rtp_timestamp,
            ssrc: self.path.ssrc,
            audio_level: Some(AudioLevel {
                voice: frame.voice,
                minus_dbov: frame.level.rtp_level(),
            }),
        };
        self.sequence = self.sequence.wrapping_add(1);
        if self
            .path
            .sealer
            .seal(&header, frame.payload, datagram)
            .is_err()
        {
            return false;
        }
        match self.path.socket.send(datagram.as_slice()) {
            Ok(_) => true,
            Err(error) => {
                if is_broken(&error) {
                    self.path.broken.store(true, Relaxed);
                }
                false
            }
        }
    }
}

/// The network under the socket is gone, as after a change from one to another; a new socket may find the new one.
pub fn is_broken(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable};
    matches!(
        error.kind(),
        AddrNotAvailable | HostUnreachable | NetworkDown | NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{DeviceEnds, seam};

    fn worker() -> (Worker, DeviceEnds) {
        let (_, commands) = std::sync::mpsc::sync_channel(1);
        let mut worker = Worker::new(commands, Arc::new(Meters::default())).expect("an encoder");
        let (ends, capture, _) = seam();
        worker.command(Command::Attach(Some(capture)));
        (worker, ends)
    }

    fn configured(transmit: Transmit, muted: bool, talk_key: bool) -> Command {
        Command::Configure(Box::new(Voice {
            transmit,
            muted,
            talk_key,
            ..Voice::default()
        }))
    }

    #[test]
    fn what_waits_in_the_ring_when_the_microphone_is_opened_is_not_sent() {
        for (closed, open) in [
            (
                configured(Transmit::Open, true, false),
                configured(Transmit::Open, false, false),
            ),
            (
                configured(Transmit::PushToTalk, false, false),
                configured(Transmit::PushToTalk, false, true),
            ),
            (
                configured(Transmit::PushToMute, false, true),
                configured(Transmit::PushToMute, false, false),
            ),
        ] {
            let (mut worker, mut ends) = worker();
            worker.command(closed);
            ends.input.write(&[[0.3; 2]; 2_000]);
            worker.command(open);
            worker.work();
            assert_eq!(worker.sender.stats().frames, 0);
            ends.input.write(&[[0.3; 2]; 1_920]);
            worker.work();
            assert!(worker.sender.stats().frames > 0);
        }
    }

    #[test]
    fn what_waits_in_the_ring_when_the_channel_is_left_is_not_for_the_next() {
        let (mut worker, mut ends) = worker();
        worker.command(configured(Transmit::Open, false, false));
        ends.input.write(&[[0.3; 2]; 2_000]);
        worker.command(Command::Path(None));
        let sent = worker.sender.stats().frames;
        worker.work();
        assert_eq!(worker.sender.stats().frames, sent);
        assert_eq!(worker.sender.frame_length().1, 0, "no unfinished frame");
        assert!(!worker.sender.transmitting());
    }
}
