//! Opus as Voxhall uses it: two modes, and when to go from one to the other. Why: `docs/adr/0004-opus-modes.md`.

use crate::frame::{Channels, FrameLength, MAX_PAYLOAD_BYTES, SAMPLE_RATE_HZ};
use crate::libopus::{Application, Encoder, OpusError};
use crate::send::adapt::{PathReport, Protection};

/// A talkspurt that doesn't end must not hold up a change of mode for longer than this, samples.
const MAX_MODE_WAIT: u64 = SAMPLE_RATE_HZ as u64;
/// Reports must show no loss for this long before protection is given up, samples.
const LOSS_MEMORY: u64 = 10 * SAMPLE_RATE_HZ as u64;

/// How the encoder is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpusMode {
    /// Restricted low-delay (2.5 ms lookahead), no protection: for paths without loss.
    LowDelay,
    /// VOIP (6.5 ms lookahead), with in-band FEC where packets are lost: for paths that lose them, or carry little.
    Protected,
}

/// What there is to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Speech,
    /// Never protected: its bits are worth more as sound.
    Music(Channels),
}

/// Below this many bytes a frame, Opus sends frames without content instead.
const MIN_FRAME_BYTES: i32 = 6;

/// With fewer bits low-delay mode sounds worse than VOIP.
const LOW_DELAY_FROM_BPS: i32 = 32_000;
/// Deep redundancy tells of the past in steps of so many ms.
const DRED_STEP_MS: u16 = 10;

pub(crate) struct FrameEncoder {
    encoder: Encoder,
    content: Content,
    bitrate_bps: i32,
    mode: OpusMode,
    /// As told last, but none only once it has lasted.
    protection: Protection,
    /// In use, of the deep redundancy.
    dred_steps: i32,
    /// When loss was last reported, in samples encoded.
    loss_at: Option<u64>,
    /// When the wish for the other mode arose, in samples.
    wanted_since: Option<u64>,
    clock: u64,
}

impl FrameEncoder {
    pub(crate) fn new(
        bitrate_bps: i32,
        complexity: u8,
        length: FrameLength,
        content: Content,
    ) -> Result<Self, OpusError> {
        let mut encoder = match content {
            Content::Speech => Encoder::new(Application::LowDelay, Channels::Mono)?,
            // Whoever wants long frames wants quality more than the 4 ms that it takes.
            Content::Music(channels) if length >= FrameLength::Ms20 => {
                Encoder::new(Application::Audio, channels)?
            }
            Content::Music(channels) => Encoder::new(Application::LowDelay, channels)?,
        };
        encoder.set_complexity(complexity)?;
        match content {
            Content::Speech => encoder.set_voice()?,
            Content::Music(_) => encoder.set_music()?,
        }
        let mut encoder = Self {
            encoder,
            content,
            bitrate_bps,
            mode: OpusMode::LowDelay,
            protection: Protection::None,
            dred_steps: 0,
            loss_at: None,
            wanted_since: None,
            clock: 0,
        };
        encoder.set_bitrate_bps(bitrate_bps, length)?;
        Ok(encoder)
    }

    pub(crate) fn set_bitrate_bps(
        &mut self,
        bitrate_bps: i32,
        length: FrameLength,
    ) -> Result<(), OpusError> {
        self.bitrate_bps = bitrate_bps;
        let frames_per_second = SAMPLE_RATE_HZ as i32 / length.samples() as i32;
        let least_bps = frames_per_second * MIN_FRAME_BYTES * 8;
        self.encoder.set_bitrate_bps(bitrate_bps.max(least_bps))
    }

    /// The bitrate asked for.
    pub(crate) fn bitrate_bps(&self) -> i32 {
        self.bitrate_bps
    }

    pub(crate) fn set_complexity(&mut self, complexity: u8) -> Result<(), OpusError> {
        self.encoder.set_complexity(complexity)
    }

    pub(crate) fn mode(&self) -> OpusMode {
        self.mode
    }

    /// True while Opus' own detector hears nothing worth sending.
    pub(crate) fn in_dtx(&mut self) -> bool {
        self.encoder.in_dtx()
    }

    /// Takes the share of packets that listeners miss, each by itself as far as is known.
    pub(crate) fn set_loss(&mut self, fraction: f32) -> Result<(), OpusError> {
        let loss = fraction.clamp(0.0, 1.0);
        let report = PathReport {
            loss,
            beyond_fec: loss * loss,
            ..PathReport::default()
        };
        let deep = matches!(self.protection, Protection::Deep { .. });
        self.protect(Protection::against(&report, deep))
    }

    /// None only counts once it has lasted.
    pub(crate) fn protect(&mut self, protection: Protection) -> Result<(), OpusError> {
        if protection != Protection::None {
            self.loss_at = Some(self.clock);
            self.protection = protection;
        }
        self.use_protection()
    }

    fn use_protection(&mut self) -> Result<(), OpusError> {
        let loss_percent = match self.protection {
            _ if self.mode == OpusMode::LowDelay || !self.lossy() => 0,
            Protection::None => 0,
            Protection::Fec { loss_percent } | Protection::Deep { loss_percent, .. } => {
                loss_percent
            }
        };
        self.encoder.set_inband_fec(loss_percent > 0)?;
        self.encoder.set_packet_loss_percent(loss_percent.into())
    }

    /// Tells that `samples` of time have passed, sent or not.
    pub(crate) fn advance(&mut self, samples: usize) {
        self.clock += samples as u64;
    }

    /// Starts from a fresh state, as the listener's decoder does after a pause, and in the mode the path asks for.
    pub(crate) fn begin_talkspurt(&mut self, length: FrameLength) -> Result<(), OpusError> {
        self.restart(self.wanted_mode(length))
    }

    /// Encodes one frame into `payload`. With `dtx`, one or two bytes mean that Opus hears nothing worth sending.
    pub(crate) fn encode(
        &mut self,
        frame: &[f32],
        length: FrameLength,
        dtx: bool,
        payload: &mut [u8; MAX_PAYLOAD_BYTES],
    ) -> Result<usize, OpusError> {
        let wanted = self.wanted_mode(length);
        if wanted == self.mode {
            self.wanted_since = None;
        } else {
            let since = *self.wanted_since.get_or_insert(self.clock);
            if self.clock - since >= MAX_MODE_WAIT {
                self.restart(wanted)?;
            }
        }
        self.choose_dred(length)?;
        self.encoder.set_dtx(dtx)?;
        self.encoder.encode(frame, payload)
    }

    fn wanted_mode(&self, length: FrameLength) -> OpusMode {
        let strained = self.lossy() || self.bitrate_bps < LOW_DELAY_FROM_BPS;
        // In-band FEC is SILK's, which has no frames below 10 ms.
        if strained && length >= FrameLength::Ms10 && self.content == Content::Speech {
            OpusMode::Protected
        } else {
            OpusMode::LowDelay
        }
    }

    fn lossy(&self) -> bool {
        self.loss_at.is_some_and(|at| self.clock - at < LOSS_MEMORY)
    }

    /// libopus only takes another application before the first frame, so every change is a reset.
    fn restart(&mut self, mode: OpusMode) -> Result<(), OpusError> {
        self.wanted_since = None;
        self.encoder.reset()?;
        if mode == self.mode {
            return Ok(());
        }
        self.encoder.set_application(match mode {
            OpusMode::LowDelay => Application::LowDelay,
            OpusMode::Protected => Application::Voip,
        })?;
        self.mode = mode;
        self.use_protection()
    }

    /// Deep redundancy is sent where it is worth its bits.
    fn choose_dred(&mut self, length: FrameLength) -> Result<(), OpusError> {
        let steps = match self.protection {
            // Shorter frames would need twice the bits for it.
            Protection::Deep { reach_ms, .. }
                if self.mode == OpusMode::Protected
                    && self.lossy()
                    && length >= FrameLength::Ms20 =>
            {
                i32::from(reach_ms / DRED_STEP_MS)
            }
            _ => 0,
        };
        if steps != self.dred_steps {
            self.encoder.set_dred_duration(steps)?;
            self.dred_steps = steps;
        }
        Ok(())
    }
}
