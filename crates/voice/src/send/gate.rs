//! When the microphone is open.

use crate::frame::SAMPLES_PER_MS;

/// The gate stays open this long after the last speech: longer than the pauses within a sentence, since each onset
/// costs the listener some delay and each close some of a faint ending.
const HANGOVER: usize = 700 * SAMPLES_PER_MS;
/// The gate stays open this long after the key is released, if nothing else is set: people let go on their last syllable.
pub(crate) const RELEASE_TAIL_MS: u32 = 200;
/// Longer than this nobody means.
const MAX_RELEASE_TAIL_MS: u32 = 2_000;
/// Speech that has begun is believed at a lower likelihood than speech that begins.
const HYSTERESIS: f32 = 0.15;

/// What opens the microphone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TransmitMode {
    /// Speech opens it.
    #[default]
    VoiceActivity,
    /// A key opens it while `held`, and for the release tail.
    PushToTalk { held: bool },
    /// It is open but while a key is `held`.
    PushToMute { held: bool },
    /// It is always open.
    Open,
}

pub(crate) struct Gate {
    mode: TransmitMode,
    threshold: f32,
    /// Samples.
    release_tail: usize,
    /// Samples for which the gate stays open without a further reason.
    hold: usize,
    speech: bool,
}

impl Gate {
    pub(crate) fn new(mode: TransmitMode, sensitivity: f32) -> Self {
        let mut gate = Self {
            mode,
            threshold: 0.5,
            release_tail: RELEASE_TAIL_MS as usize * SAMPLES_PER_MS,
            hold: 0,
            speech: false,
        };
        gate.set_sensitivity(sensitivity);
        gate
    }

    pub(crate) fn mode(&self) -> TransmitMode {
        self.mode
    }

    pub(crate) fn set_mode(&mut self, mode: TransmitMode) {
        let key_moves = matches!(
            (self.mode, mode),
            (
                TransmitMode::PushToTalk { .. },
                TransmitMode::PushToTalk { .. }
            )
        );
        if !key_moves {
            self.hold = 0;
        }
        self.mode = mode;
    }

    pub(crate) fn set_release_tail_ms(&mut self, ms: u32) {
        self.release_tail = ms.min(MAX_RELEASE_TAIL_MS) as usize * SAMPLES_PER_MS;
    }

    pub(crate) fn close(&mut self) {
        self.hold = 0;
    }

    /// What is captured just now is sent.
    pub(crate) fn is_open(&self) -> bool {
        match self.mode {
            TransmitMode::VoiceActivity => self.hold > 0,
            TransmitMode::PushToTalk { held } => held || self.hold > 0,
            TransmitMode::PushToMute { held } => !held,
            TransmitMode::Open => true,
        }
    }

    /// It is open, or speech opens it.
    pub(crate) fn may_open(&self) -> bool {
        self.is_open() || self.mode == TransmitMode::VoiceActivity
    }

    /// 0 wants clear speech, 1 opens at almost anything; 0.5 is the detector's own advice.
    pub(crate) fn set_sensitivity(&mut self, sensitivity: f32) {
        self.threshold = 0.95 - 0.9 * sensitivity.clamp(0.0, 1.0);
    }

    /// The detector hears speech just now, whatever the mode.
    pub(crate) fn speech(&self) -> bool {
        self.speech
    }

    /// Opus' DTX may close the talkspurt while the gate is open: a held key says nothing about speech. The hangover
    /// of voice activity is meant to be sent, and so is everything in the open mode.
    pub(crate) fn leaves_silence_to_dtx(&self) -> bool {
        matches!(self.mode, TransmitMode::PushToTalk { .. }) && !self.speech
    }

    /// Judges the next `samples`, whose likelihood of speech is `score`. Returns whether they are to be sent.
    pub(crate) fn update(&mut self, score: f32, samples: usize) -> bool {
        let threshold = if self.speech {
            self.threshold - HYSTERESIS
        } else {
            self.threshold
        };
        self.speech = score >= threshold.max(0.02);
        let (reason, hold) = match self.mode {
            TransmitMode::VoiceActivity => (self.speech, HANGOVER),
            TransmitMode::PushToTalk { held } => (held, self.release_tail),
            TransmitMode::PushToMute { held } => (!held, 0),
            TransmitMode::Open => (true, 0),
        };
        if reason {
            self.hold = hold;
            return true;
        }
        let open = self.hold > 0;
        self.hold = self.hold.saturating_sub(samples);
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 480;

    fn open_frames(gate: &mut Gate, score: f32) -> usize {
        (0..1_000).take_while(|_| gate.update(score, FRAME)).count()
    }

    #[test]
    fn speech_opens_and_hangs_over() {
        let mut gate = Gate::new(TransmitMode::VoiceActivity, 0.5);
        assert!(!gate.update(0.4, FRAME));
        assert!(gate.update(0.6, FRAME));
        assert!(gate.update(0.4, FRAME), "hysteresis");
        assert_eq!(open_frames(&mut gate, 0.1), 70);
    }

    #[test]
    fn sensitivity_moves_the_threshold() {
        assert!(!Gate::new(TransmitMode::VoiceActivity, 0.0).update(0.9, FRAME));
        assert!(Gate::new(TransmitMode::VoiceActivity, 1.0).update(0.1, FRAME));
        assert!(!Gate::new(TransmitMode::VoiceActivity, f32::NAN).update(0.0, FRAME));
    }

    #[test]
    fn a_released_key_leaves_a_tail() {
        let mut gate = Gate::new(TransmitMode::PushToTalk { held: true }, 0.5);
        assert!(gate.update(0.0, FRAME));
        gate.set_mode(TransmitMode::PushToTalk { held: false });
        assert_eq!(open_frames(&mut gate, 1.0), 20);
        gate.set_mode(TransmitMode::Open);
        assert!(gate.update(0.0, FRAME));
        gate.set_mode(TransmitMode::PushToTalk { held: false });
        assert!(!gate.update(1.0, FRAME), "no tail without a key");
        for (ms, frames) in [(0, 0), (350, 35), (u32::MAX, 200)] {
            gate.set_release_tail_ms(ms);
            gate.set_mode(TransmitMode::PushToTalk { held: true });
            assert!(gate.update(0.0, FRAME));
            gate.set_mode(TransmitMode::PushToTalk { held: false });
            assert_eq!(open_frames(&mut gate, 1.0), frames);
        }
    }

    #[test]
    fn a_held_key_mutes_at_once() {
        let mut gate = Gate::new(TransmitMode::PushToMute { held: false }, 0.5);
        assert!(gate.update(0.0, FRAME));
        gate.set_mode(TransmitMode::PushToMute { held: true });
        assert!(!gate.update(1.0, FRAME));
        gate.set_mode(TransmitMode::PushToMute { held: false });
        assert!(gate.update(0.0, FRAME));
    }
}
