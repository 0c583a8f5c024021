//! From the microphone to Opus frames.

mod adapt;
mod encoder;
mod gate;
mod preroll;
mod reblock;
mod vad;

use std::time::{Duration, Instant};

use voxhall_protocol::limits::BITRATE_BPS;

pub use adapt::{PathAdapter, PathReport, Protection, Sending, Wanted};
pub use encoder::OpusMode;
pub use gate::TransmitMode;

use crate::frame::{FrameLength, MAX_PAYLOAD_BYTES, SAMPLES_PER_MS, Stereo, to_mono};
use crate::level::Level;
use crate::libopus::OpusError;
use encoder::FrameEncoder;
use gate::Gate;
use preroll::PreRoll;
use reblock::Reblocker;
use vad::VoiceDetector;

/// How a [`VoiceSender`] starts; everything but the timestamp can be changed later.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SenderConfig {
    pub frame_length: FrameLength,
    pub mode: TransmitMode,
    /// Clamped to [`BITRATE_BPS`].
    pub bitrate_bps: u32,
    /// Opus complexity, 0..=10.
    pub complexity: u8,
    /// 0 wants clear speech, 1 opens at almost anything.
    pub vad_sensitivity: f32,
    /// RTP timestamp of the first sample; RFC 3550 wants a random one.
    pub first_timestamp: u32,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            frame_length: FrameLength::default(),
            mode: TransmitMode::default(),
            bitrate_bps: 64_000,
            complexity: 9,
            vad_sensitivity: 0.5,
            first_timestamp: 0,
        }
    }
}

/// Opus could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the Opus encoder could not be set up: {0}; the program lacks memory")]
pub struct SenderError(#[from] OpusError);

/// One packet's worth of sound.
#[derive(Debug, Clone, Copy)]
pub struct EncodedFrame<'a> {
    /// A single byte says that silence follows: the last packet of a talkspurt.
    pub payload: &'a [u8],
    /// RTP timestamp of the first sample; runs on through what isn't sent.
    pub rtp_timestamp: u32,
    pub length: FrameLength,
    /// First packet after silence (RFC 7587).
    pub marker: bool,
    /// Loudness of the frame, for the audio level extension (RFC 6464).
    pub level: Level,
    /// The detector hears speech: the V bit of RFC 6464.
    pub voice: bool,
}

/// Counters since construction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SenderStats {
    pub captured_samples: u64,
    pub frames: u64,
    pub payload_bytes: u64,
    pub talkspurts: u64,
    /// Frames lost because Opus refused them; more than none is a defect.
    pub encode_errors: u64,
    /// Only measured by [`VoiceSender::push_timed`].
    pub encode_time: Duration,
    pub encode_time_max: Duration,
}

/// The send half: samples in, Opus frames out. Allocates nothing after construction.
pub struct VoiceSender {
    reblocker: Reblocker,
    detector: VoiceDetector,
    gate: Gate,
    muted: bool,
    preroll: PreRoll,
    state: State,
    output: Output,
    length: FrameLength,
    /// From the next frame on.
    next_length: Option<FrameLength>,
    timestamp: u32,
    level: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Silent,
    Talking,
    /// The gate is open, but Opus' DTX hears nothing worth sending.
    Dormant,
}

impl VoiceSender {
    /// # Errors
    /// When libopus can't allocate.
    pub fn new(config: SenderConfig) -> Result<Self, SenderError> {
        let encoder = FrameEncoder::new(
            clamp_bitrate(config.bitrate_bps),
            config.complexity.min(10),
            config.frame_length,
        )?;
        Ok(Self {
            reblocker: Reblocker::new(config.frame_length),
            detector: VoiceDetector::new(),
            gate: Gate::new(config.mode, config.vad_sensitivity),
            muted: false,
            preroll: PreRoll::new(config.frame_length),
            state: State::Silent,
            output: Output {
                encoder,
                payload: Box::new([0; MAX_PAYLOAD_BYTES]),
                toc: 0,
                stats: SenderStats::default(),
            },
            length: config.frame_length,
            next_length: None,
            timestamp: config.first_timestamp,
            level: Level::default(),
        })
    }

    /// Takes captured samples at 48 kHz, full scale 1.0, in chunks of any length, and hands every frame to
    /// be sent to `sink`, in order. The first packets of a talkspurt come several at once: they carry what was
    /// said before the detector was sure.
    pub fn push(&mut self, samples: &[Stereo], sink: impl FnMut(EncodedFrame<'_>)) {
        self.run(samples, || None, sink);
    }

    /// Like [`push`](Self::push), and measures the time spent in Opus by `clock`.
    pub fn push_timed(
        &mut self,
        samples: &[Stereo],
        mut clock: impl FnMut() -> Instant,
        sink: impl FnMut(EncodedFrame<'_>),
    ) {
        self.run(samples, || Some(clock()), sink);
    }

    fn run(
        &mut self,
        samples: &[Stereo],
        mut clock: impl FnMut() -> Option<Instant>,
        mut sink: impl FnMut(EncodedFrame<'_>),
    ) {
        self.output.stats.captured_samples += samples.len() as u64;
        for piece in samples.chunks(MIXED_DOWN_AT_ONCE) {
            let mut mono = [0.0; MIXED_DOWN_AT_ONCE];
            for (mono, &sample) in mono.iter_mut().zip(piece) {
                *mono = to_mono(sample);
            }
            let mut mono = &mono[..piece.len()];
            while self.reblocker.fill(&mut mono) {
                self.frame(&mut clock, &mut sink);
            }
        }
    }

    fn frame(
        &mut self,
        clock: &mut impl FnMut() -> Option<Instant>,
        sink: &mut impl FnMut(EncodedFrame<'_>),
    ) {
        let samples = self.reblocker.frame();
        self.level = Level::of(samples);
        let score = self.detector.push(samples);
        let open = self.gate.update(score, samples.len()) && !self.muted;
        let frame = Frame {
            samples,
            length: self.length,
            timestamp: self.timestamp,
            level: self.level,
            voice: self.gate.speech(),
            dtx: self.gate.leaves_silence_to_dtx(),
        };
        self.timestamp = self.timestamp.wrapping_add(samples.len() as u32);
        self.output.encoder.advance(samples.len());

        self.state = match (self.state, open) {
            (State::Silent, true) => {
                self.output.begin(&self.preroll, &frame, clock, sink);
                self.preroll.clear();
                State::Talking
            }
            (State::Talking, true) => match self.output.encode(&frame, clock) {
                Some(bytes) if bytes <= DTX_BYTES => {
                    self.output.end(&frame, sink);
                    self.preroll.push(samples);
                    State::Dormant
                }
                Some(bytes) => {
                    self.output.emit(bytes, &frame, false, sink);
                    State::Talking
                }
                None => State::Talking,
            },
            (State::Dormant, true) => {
                // Opus refreshes its background noise now and then; in_dtx tells that from somebody speaking.
                let asleep = self
                    .output
                    .encode(&frame, clock)
                    .is_none_or(|bytes| bytes <= DTX_BYTES || self.output.encoder.in_dtx());
                if asleep {
                    self.preroll.push(samples);
                    State::Dormant
                } else {
                    self.output.begin(&self.preroll, &frame, clock, sink);
                    self.preroll.clear();
                    State::Talking
                }
            }
            (before, false) => {
                if before == State::Talking {
                    self.output.end(&frame, sink);
                }
                // Nothing said while muted, or before the key was pressed, may ever be sent.
                if self.gate.mode() == TransmitMode::VoiceActivity && !self.muted {
                    self.preroll.push(samples);
                } else {
                    self.preroll.clear();
                }
                State::Silent
            }
        };
        if let Some(length) = self.next_length.take() {
            self.set_frame_length(length);
        }
    }

    pub fn set_mode(&mut self, mode: TransmitMode) {
        self.gate.set_mode(mode);
        if mode != TransmitMode::VoiceActivity && self.state == State::Silent {
            self.preroll.clear();
        }
    }

    #[must_use]
    pub fn mode(&self) -> TransmitMode {
        self.gate.mode()
    }

    /// Muted, nothing is sent from the next frame on; the meter and the detector keep running.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
        self.preroll.clear();
        self.gate.close();
    }

    #[must_use]
    pub fn muted(&self) -> bool {
        self.muted
    }

    /// 0 wants clear speech, 1 opens at almost anything.
    pub fn set_vad_sensitivity(&mut self, sensitivity: f32) {
        self.gate.set_sensitivity(sensitivity);
    }

    /// Takes effect with the next frame; clamped to [`BITRATE_BPS`]. Frames of 2.5 ms take at least 19.2 kbit/s,
    /// of 5 ms 9.6. What doesn't fit into one packet ([`MAX_PAYLOAD_BYTES`]) isn't used: above 170 kbit/s at 60 ms.
    pub fn set_bitrate_bps(&mut self, bitrate_bps: u32) {
        let bitrate_bps = clamp_bitrate(bitrate_bps);
        let done = self
            .output
            .encoder
            .set_bitrate_bps(bitrate_bps, self.length);
        self.output.count_error(&done);
    }

    /// Opus complexity, 0..=10.
    pub fn set_complexity(&mut self, complexity: u8) {
        let done = self.output.encoder.set_complexity(complexity.min(10));
        self.output.count_error(&done);
    }

    /// Throws away what is captured of an unfinished frame.
    pub fn set_frame_length(&mut self, length: FrameLength) {
        let dropped = self.reblocker.set_length(length);
        self.timestamp = self.timestamp.wrapping_add(dropped as u32);
        self.length = length;
        self.preroll.set_length(length);
        let bitrate_bps = self.output.encoder.bitrate_bps();
        let done = self.output.encoder.set_bitrate_bps(bitrate_bps, length);
        self.output.count_error(&done);
    }

    /// Changes the frame length where one frame ends and the next begins, so that nothing is lost.
    pub fn adapt_frame_length(&mut self, length: FrameLength) {
        self.next_length = (length != self.length).then_some(length);
    }

    /// The length of the frame that is being captured, and how many samples of it are there.
    #[must_use]
    pub fn frame_length(&self) -> (FrameLength, usize) {
        (self.length, self.reblocker.collected())
    }

    /// Redundancy as [`PathAdapter`] wants it; takes effect as [`set_reported_loss`](Self::set_reported_loss) does.
    pub fn protect(&mut self, protection: Protection) {
        let done = self.output.encoder.protect(protection);
        self.output.count_error(&done);
    }

    /// The share of this speaker's packets that listeners miss, 0..1, for who knows no more of the path. Any loss
    /// switches to [`OpusMode::Protected`] at the next talkspurt or after a second, ten seconds without switch back.
    pub fn set_reported_loss(&mut self, fraction: f32) {
        let done = self.output.encoder.set_loss(fraction);
        self.output.count_error(&done);
    }

    #[must_use]
    pub fn opus_mode(&self) -> OpusMode {
        self.output.encoder.mode()
    }

    /// Loudness of the last captured frame, muted or not.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The detector hears speech, even when muted: "you are muted".
    #[must_use]
    pub fn speech(&self) -> bool {
        self.gate.speech()
    }

    #[must_use]
    pub fn transmitting(&self) -> bool {
        self.state == State::Talking
    }

    #[must_use]
    pub fn stats(&self) -> SenderStats {
        self.output.stats
    }
}

const MIXED_DOWN_AT_ONCE: usize = 10 * SAMPLES_PER_MS;
/// Opus' DTX answers with this many bytes or fewer.
const DTX_BYTES: usize = 2;

fn clamp_bitrate(bitrate_bps: u32) -> i32 {
    bitrate_bps.clamp(*BITRATE_BPS.start(), *BITRATE_BPS.end()) as i32
}

#[derive(Clone, Copy)]
struct Frame<'a> {
    samples: &'a [f32],
    length: FrameLength,
    timestamp: u32,
    level: Level,
    voice: bool,
    dtx: bool,
}

/// Encodes frames and hands them out.
struct Output {
    encoder: FrameEncoder,
    payload: Box<[u8; MAX_PAYLOAD_BYTES]>,
    /// Table-of-contents byte of the last frame sent.
    toc: u8,
    stats: SenderStats,
}

impl Output {
    /// Starts a talkspurt: what came before goes out at once with its own timestamps, then `frame`.
    fn begin(
        &mut self,
        preroll: &PreRoll,
        frame: &Frame<'_>,
        clock: &mut impl FnMut() -> Option<Instant>,
        sink: &mut impl FnMut(EncodedFrame<'_>),
    ) {
        let done = self.encoder.begin_talkspurt(frame.length);
        self.count_error(&done);
        self.stats.talkspurts += 1;
        let mut marker = true;
        let count = preroll.worth_sending(frame.level.rms);
        let earlier = preroll.last(count).enumerate().map(|(i, samples)| {
            let age = (count - i) * samples.len();
            Frame {
                samples,
                timestamp: frame.timestamp.wrapping_sub(age as u32),
                level: Level::of(samples),
                dtx: false,
                ..*frame
            }
        });
        let current = Frame {
            dtx: false,
            ..*frame
        };
        for frame in earlier.chain([current]) {
            if let Some(bytes) = self.encode(&frame, clock) {
                self.emit(bytes, &frame, marker, sink);
                marker = false;
            }
        }
    }

    /// Ends a talkspurt: a payload that is only a table-of-contents byte is Opus' DTX frame, and tells the
    /// listener that what follows is silence and not loss.
    fn end(&mut self, frame: &Frame<'_>, sink: &mut impl FnMut(EncodedFrame<'_>)) {
        self.payload[0] = self.toc & 0b1111_1100;
        let silence = Frame {
            level: Level::default(),
            voice: false,
            ..*frame
        };
        self.emit(1, &silence, false, sink);
    }

    fn encode(
        &mut self,
        frame: &Frame<'_>,
        clock: &mut impl FnMut() -> Option<Instant>,
    ) -> Option<usize> {
        let start = clock();
        let bytes = self
            .encoder
            .encode(frame.samples, frame.length, frame.dtx, &mut self.payload);
        if let (Some(start), Some(end)) = (start, clock()) {
            let took = end.saturating_duration_since(start);
            self.stats.encode_time += took;
            self.stats.encode_time_max = self.stats.encode_time_max.max(took);
        }
        match bytes {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                self.stats.encode_errors += 1;
                None
            }
        }
    }

    fn emit(
        &mut self,
        bytes: usize,
        frame: &Frame<'_>,
        marker: bool,
        sink: &mut impl FnMut(EncodedFrame<'_>),
    ) {
        self.toc = self.payload[0];
        self.stats.frames += 1;
        self.stats.payload_bytes += bytes as u64;
        sink(EncodedFrame {
            payload: &self.payload[..bytes],
            rtp_timestamp: frame.timestamp,
            length: frame.length,
            marker,
            level: frame.level,
            voice: frame.voice,
        });
    }

    fn count_error(&mut self, done: &Result<(), OpusError>) {
        if done.is_err() {
            self.stats.encode_errors += 1;
        }
    }
}
