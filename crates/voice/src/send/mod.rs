//! From the microphone to Opus frames.

mod adapt;
mod clipping;
mod encoder;
mod far_end;
mod gate;
mod preroll;
mod processing;
mod reblock;
mod vad;

use std::time::{Duration, Instant};

use voxhall_protocol::limits::BITRATE_BPS;

pub use adapt::{PathAdapter, PathReport, Protection, Sending, Wanted};
pub use encoder::OpusMode;
pub use gate::TransmitMode;
pub use processing::{EchoStats, NoiseSuppression, Processing, Processor};

use crate::frame::{Channels, FrameLength, MAX_PAYLOAD_BYTES, Stereo, to_mono};
use crate::level::Level;
use crate::libopus::OpusError;
use clipping::ClippingDetector;
use encoder::{Content, FrameEncoder};
use gate::{Gate, RELEASE_TAIL_MS};
use preroll::PreRoll;
use reblock::Reblocker;
use vad::VoiceDetector;

/// What the microphone is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sound {
    /// Somebody speaks: one channel, cleaned as told.
    Speech(Processing),
    /// All of it as it is captured. Nothing is detected in it: [`TransmitMode::VoiceActivity`] is as [`TransmitMode::Open`].
    Music(Channels),
}

impl Sound {
    fn processing(self) -> Processing {
        match self {
            Self::Speech(processing) => processing,
            Self::Music(_) => Processing::OFF,
        }
    }

    fn content(self) -> Content {
        match self {
            Self::Speech(_) => Content::Speech,
            Self::Music(channels) => Content::Music(channels),
        }
    }

    fn channels(self) -> Channels {
        match self {
            Self::Speech(_) => Channels::Mono,
            Self::Music(channels) => channels,
        }
    }
}

/// How a [`VoiceSender`] starts; everything but the timestamp can be changed later.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SenderConfig {
    pub frame_length: FrameLength,
    pub sound: Sound,
    pub mode: TransmitMode,
    /// How long push to talk goes on after the key is released.
    pub release_tail_ms: u32,
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
            sound: Sound::Speech(Processing::OFF),
            mode: TransmitMode::default(),
            release_tail_ms: RELEASE_TAIL_MS,
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

/// The send half: samples in, Opus frames out. Allocates nothing after construction but for [`Processing`], and where
/// [`Sound`] changes.
pub struct VoiceSender {
    sound: Sound,
    clipping: ClippingDetector,
    captured: Level,
    processor: Processor,
    reblocker: Reblocker,
    detector: VoiceDetector,
    gate: Gate,
    muted: bool,
    /// Samples that were captured while nothing was to be sent, and are still on their way through the processing.
    withheld: usize,
    preroll: PreRoll,
    state: State,
    output: Output,
    length: FrameLength,
    /// From the next frame on.
    next_length: Option<FrameLength>,
    timestamp: u32,
    level: Level,
    complexity: u8,
    told: Told,
}

/// What was last said of the path's losses, for an encoder that is made anew.
#[derive(Debug, Clone, Copy)]
enum Told {
    Loss(f32),
    Protection(Protection),
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
            config.sound.content(),
        )?;
        let mut reblocker = Reblocker::new(config.frame_length);
        reblocker.set(config.frame_length, config.sound.channels());
        let mut gate = Gate::new(config.mode, config.vad_sensitivity);
        gate.set_release_tail_ms(config.release_tail_ms);
        Ok(Self {
            sound: config.sound,
            clipping: ClippingDetector::default(),
            captured: Level::default(),
            processor: Processor::new(config.sound.processing()),
            reblocker,
            detector: VoiceDetector::new(),
            gate,
            muted: false,
            withheld: 0,
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
            complexity: config.complexity.min(10),
            told: Told::Loss(0.0),
        })
    }

    /// Takes what the speakers played since the last call, for the echo canceller; before the sound captured meanwhile.
    pub fn played(&mut self, samples: &[Stereo]) {
        self.processor.played(samples);
    }

    /// Captured sound was thrown away instead of being pushed.
    pub fn skipped(&mut self, samples: usize) {
        self.processor.skip(samples);
        self.timestamp = self.timestamp.wrapping_add(samples as u32);
    }

    /// What is pushed from here on goes to others: nothing of what was pushed before may be heard by them. A talkspurt
    /// is broken off.
    pub fn interrupt(&mut self) {
        self.withhold();
        self.preroll.clear();
        self.gate.close();
        self.state = State::Silent;
    }

    /// What is pushed from here on comes from another device.
    pub fn device_changed(&mut self) {
        self.interrupt();
        self.processor.restart();
        self.clipping = ClippingDetector::default();
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
        self.clipping.push(samples);
        if !samples.is_empty() {
            self.captured = Level::of_captured(samples);
        }
        if self.sound.channels() == Channels::Stereo {
            let mut interleaved = samples.as_flattened();
            while self.reblocker.fill(&mut interleaved) {
                self.frame(&mut clock, &mut sink);
            }
            return;
        }
        for piece in samples.chunks(processing::BLOCK) {
            let mut mono = [0.0; processing::BLOCK];
            for (mono, &sample) in mono.iter_mut().zip(piece) {
                *mono = to_mono(sample);
            }
            let mut mono = &mono[..piece.len()];
            if self.processes() {
                while let Some(&block) = self.processor.take(&mut mono) {
                    let mut block = &block[..];
                    while self.reblocker.fill(&mut block) {
                        self.frame(&mut clock, &mut sink);
                    }
                }
            } else {
                self.processor.skip(piece.len());
                while self.reblocker.fill(&mut mono) {
                    self.frame(&mut clock, &mut sink);
                }
            }
        }
    }

    fn frame(
        &mut self,
        clock: &mut impl FnMut() -> Option<Instant>,
        sink: &mut impl FnMut(EncodedFrame<'_>),
    ) {
        let samples = self.reblocker.frame();
        let count = self.length.samples();
        self.level = Level::of(samples);
        let score = match self.sound {
            Sound::Speech(_) if self.is_closed() && self.level.rms_dbfs() < SILENT_DBFS => 0.0,
            Sound::Speech(_) => self.detector.push(samples),
            Sound::Music(_) => 1.0,
        };
        let open = self.gate.update(score, count);
        let detects = self.gate.mode() == TransmitMode::VoiceActivity;
        // Nothing said while muted, or before the key was pressed, may ever be sent.
        let secret = self.withheld > 0;
        if self.muted || (!open && !detects) {
            self.withheld = self.processor.delay();
        } else {
            self.withheld = self.withheld.saturating_sub(count);
        }
        let secret = self.muted || secret;
        let open = open && !secret;
        let frame = Frame {
            samples,
            length: self.length,
            timestamp: self.timestamp,
            level: self.level,
            voice: self.speech(),
            dtx: self.gate.leaves_silence_to_dtx(),
        };
        self.timestamp = self.timestamp.wrapping_add(count as u32);
        self.output.encoder.advance(count);

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
                if detects && !secret {
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
        let was_open = self.gate.is_open();
        self.gate.set_mode(mode);
        if !was_open && self.gate.may_open() {
            self.withhold();
        }
        if mode != TransmitMode::VoiceActivity && self.state == State::Silent {
            self.preroll.clear();
        }
    }

    #[must_use]
    pub fn mode(&self) -> TransmitMode {
        self.gate.mode()
    }

    /// How many more captured samples complete the next frame.
    #[must_use]
    pub fn missing_samples(&self) -> usize {
        let missing = self.reblocker.missing();
        if self.processes() {
            let blocks = missing.div_ceil(processing::BLOCK);
            (blocks - 1) * processing::BLOCK + self.processor.missing()
        } else {
            missing
        }
    }

    /// What was captured of an unfinished frame is thrown away where the channels change.
    pub fn set_sound(&mut self, sound: Sound) {
        if sound == self.sound {
            return;
        }
        let before = std::mem::replace(&mut self.sound, sound);
        self.processor.set(sound.processing());
        self.drop_unfinished();
        if before.content() != sound.content() {
            self.new_encoder();
        }
    }

    #[must_use]
    pub fn sound(&self) -> Sound {
        self.sound
    }

    /// Whoever is muted is only listened to for the meter, which costs a tenth.
    fn processes(&self) -> bool {
        self.processor.is_on() && !self.muted
    }

    /// So that frames end where blocks do: what is left of either would stay behind for good.
    fn drop_unfinished(&mut self) {
        let dropped = self.reblocker.set(self.length, self.sound.channels())
            + self.processor.drop_unfinished();
        self.timestamp = self.timestamp.wrapping_add(dropped as u32);
    }

    /// Nothing captured so far is sent from here on, wherever on its way it is.
    fn withhold(&mut self) {
        self.drop_unfinished();
        self.withheld = self.processor.delay();
    }

    /// The next frame starts a talkspurt of its own.
    fn new_encoder(&mut self) {
        self.preroll.clear();
        self.state = State::Silent;
        let bitrate_bps = self.output.encoder.bitrate_bps();
        let made = FrameEncoder::new(
            bitrate_bps,
            self.complexity,
            self.length,
            self.sound.content(),
        );
        let done = made.and_then(|encoder| {
            self.output.encoder = encoder;
            match self.told {
                Told::Loss(fraction) => self.output.encoder.set_loss(fraction),
                Told::Protection(protection) => self.output.encoder.protect(protection),
            }
        });
        self.output.count_error(&done);
    }

    /// Muted, nothing is sent from here on; the meter and the detector keep running.
    pub fn set_muted(&mut self, muted: bool) {
        if muted != self.muted {
            self.drop_unfinished();
        }
        self.muted = muted;
        self.preroll.clear();
        self.gate.close();
    }

    #[must_use]
    pub fn muted(&self) -> bool {
        self.muted
    }

    /// Nothing is being sent, and nothing captured can change that: it is muted, or waits for a key.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Silent && (self.muted || !self.gate.may_open())
    }

    /// How long push to talk goes on after the key is released; at most 2 s.
    pub fn set_release_tail_ms(&mut self, ms: u32) {
        self.gate.set_release_tail_ms(ms);
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
        self.complexity = complexity.min(10);
        let done = self.output.encoder.set_complexity(self.complexity);
        self.output.count_error(&done);
    }

    /// Throws away what is captured of an unfinished frame.
    pub fn set_frame_length(&mut self, length: FrameLength) {
        self.length = length;
        self.drop_unfinished();
        self.preroll.set_length(length);
        let bitrate_bps = self.output.encoder.bitrate_bps();
        let done = self.output.encoder.set_bitrate_bps(bitrate_bps, length);
        self.output.count_error(&done);
        if let Sound::Music(_) = self.sound {
            self.new_encoder();
        }
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
        self.told = Told::Protection(protection);
        let done = self.output.encoder.protect(protection);
        self.output.count_error(&done);
    }

    /// The share of this speaker's packets that listeners miss, 0..1, for who knows no more of the path. Any loss
    /// switches to [`OpusMode::Protected`] at the next talkspurt or after a second, ten seconds without switch back.
    pub fn set_reported_loss(&mut self, fraction: f32) {
        self.told = Told::Loss(fraction);
        let done = self.output.encoder.set_loss(fraction);
        self.output.count_error(&done);
    }

    #[must_use]
    pub fn opus_mode(&self) -> OpusMode {
        self.output.encoder.mode()
    }

    /// Loudness of what was pushed last, before anything is done to it.
    #[must_use]
    pub fn captured_level(&self) -> Level {
        self.captured
    }

    /// Loudness of the last frame, processed, muted or not.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The microphone is overdriven, or was within the last seconds.
    #[must_use]
    pub fn clipping(&self) -> bool {
        self.clipping.clipping()
    }

    /// None while the echo canceller is off.
    #[must_use]
    pub fn echo(&self) -> Option<EchoStats> {
        self.processor.echo()
    }

    /// The detector hears speech, even when muted: "you are muted". It doesn't listen to music.
    #[must_use]
    pub fn speech(&self) -> bool {
        matches!(self.sound, Sound::Speech(_)) && self.gate.speech()
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

/// Below this nobody asks a closed microphone whether it hears speech.
const SILENT_DBFS: f32 = -60.0;
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
            let age = (count - i) * frame.length.samples();
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
