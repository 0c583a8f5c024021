//! Opus as Voxhall uses it: two modes, and when to go from one to the other. Why: `docs/adr/0004-opus-modes.md`.

use crate::frame::{FrameLength, MAX_PAYLOAD_BYTES, SAMPLE_RATE_HZ};
use crate::libopus::{Application, Encoder, OpusError};

/// A talkspurt that doesn't end must not hold up a change of mode for longer than this, samples.
const MAX_MODE_WAIT: u64 = SAMPLE_RATE_HZ as u64;
/// Reports must show no loss for this long before protection is given up, samples.
const LOSS_MEMORY: u64 = 10 * SAMPLE_RATE_HZ as u64;

/// How the encoder is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpusMode {
    /// Restricted low-delay (2.5 ms lookahead), no protection: for paths without loss.
    LowDelay,
    /// VOIP with in-band FEC (6.5 ms lookahead): for paths that lose packets.
    Protected,
}

/// Below this many bytes a frame, Opus sends frames without content instead.
const MIN_FRAME_BYTES: i32 = 6;

/// From this much loss on, frames of 20 ms and more are sent with deep redundancy too. Shorter ones would need twice the bits for it.
const DRED_FROM_PERCENT: i32 = 5;
/// How far back it reaches, in steps of 10 ms.
const DRED_STEPS: i32 = 20;

pub(crate) struct FrameEncoder {
    encoder: Encoder,
    bitrate_bps: i32,
    mode: OpusMode,
    loss_percent: i32,
    dred: bool,
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
    ) -> Result<Self, OpusError> {
        let mut encoder = Encoder::new(Application::LowDelay)?;
        encoder.set_complexity(complexity)?;
        encoder.set_voice()?;
        let mut encoder = Self {
            encoder,
            bitrate_bps,
            mode: OpusMode::LowDelay,
            loss_percent: 0,
            dred: false,
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

    /// Takes the share of packets that listeners miss. Zero only counts once it has lasted.
    pub(crate) fn set_loss(&mut self, fraction: f32) -> Result<(), OpusError> {
        let percent = (fraction.clamp(0.0, 1.0) * 100.0).ceil() as i32;
        if percent > 0 {
            self.loss_at = Some(self.clock);
            self.loss_percent = percent;
        }
        if self.mode == OpusMode::Protected {
            self.encoder.set_packet_loss_percent(self.loss_percent)?;
        }
        Ok(())
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
        let lossy = self.loss_at.is_some_and(|at| self.clock - at < LOSS_MEMORY);
        // In-band FEC is SILK's, which has no frames below 10 ms.
        if lossy && length >= FrameLength::Ms10 {
            OpusMode::Protected
        } else {
            OpusMode::LowDelay
        }
    }

    /// libopus only takes another application before the first frame, so every change is a reset.
    fn restart(&mut self, mode: OpusMode) -> Result<(), OpusError> {
        self.wanted_since = None;
        self.encoder.reset()?;
        if mode == self.mode {
            return Ok(());
        }
        let (application, fec, loss_percent) = match mode {
            OpusMode::LowDelay => (Application::LowDelay, false, 0),
            OpusMode::Protected => (Application::Voip, true, self.loss_percent),
        };
        self.encoder.set_application(application)?;
        self.encoder.set_inband_fec(fec)?;
        self.encoder.set_packet_loss_percent(loss_percent)?;
        self.mode = mode;
        Ok(())
    }

    /// Deep redundancy is sent where it is worth its bits.
    fn choose_dred(&mut self, length: FrameLength) -> Result<(), OpusError> {
        let wanted = self.mode == OpusMode::Protected
            && self.loss_percent >= DRED_FROM_PERCENT
            && length >= FrameLength::Ms20;
        if wanted != self.dred {
            self.encoder
                .set_dred_duration(if wanted { DRED_STEPS } else { 0 })?;
            self.dred = wanted;
        }
        Ok(())
    }
}
