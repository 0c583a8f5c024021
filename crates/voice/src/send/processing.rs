//! Echo, noise and level of what the microphone hears, by WebRTC's audio processing (`sonora`), in blocks of 10 ms.
//!
//! With everything off nothing passes through here. Figures and what was passed over: `docs/adr/0023-capture-processing.md`.

use serde::{Deserialize, Serialize};
use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, MaxProcessingRate, NoiseSuppressionLevel,
    Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use super::far_end::FarEnd;
use crate::frame::{SAMPLE_RATE_HZ, SAMPLES_PER_MS, Stereo, tame};

/// The library's only block length.
pub(crate) const BLOCK: usize = 10 * SAMPLES_PER_MS;
/// The library's 15 dB would drive a microphone at the usual level into the limiter for seconds.
const INITIAL_GAIN_DB: f32 = 6.0;
/// What was captured comes out this much later with all parts on (15 ms: `tests/room.rs`), rounded up, samples.
const DELAY: usize = 16 * SAMPLES_PER_MS;
const MONO: StreamConfig = StreamConfig::new(SAMPLE_RATE_HZ, 1);

/// What is done to the microphone's sound before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Processing {
    /// Takes out what the speakers play.
    pub echo: bool,
    pub noise: NoiseSuppression,
    /// Brings quiet and loud voices to one level.
    pub gain: bool,
}

impl Default for Processing {
    fn default() -> Self {
        Self {
            echo: true,
            noise: NoiseSuppression::High,
            gain: true,
        }
    }
}

impl Processing {
    /// The sound as it is captured.
    pub const OFF: Self = Self {
        echo: false,
        noise: NoiseSuppression::Off,
        gain: false,
    };
}

/// How much of a steady noise is taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSuppression {
    Off,
    /// Up to 12 dB.
    Low,
    /// Up to 21 dB.
    #[default]
    High,
}

/// What the echo canceller knows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EchoStats {
    /// From the reference to its echo in the microphone, ms: both devices' buffers and the way through the air.
    pub delay_ms: Option<f32>,
    /// How much weaker the echo is made, dB, by the canceller's own estimate.
    pub return_loss_enhancement_db: Option<f32>,
    /// Samples of the reference that were dropped or made up to stay beside the microphone.
    pub slipped_samples: u64,
}

/// The processing of one microphone. It allocates while it works, so it belongs on a worker thread.
pub struct Processor {
    settings: Processing,
    /// None while everything is off.
    engine: Option<Box<AudioProcessing>>,
    far_end: FarEnd,
    captured: [f32; BLOCK],
    filled: usize,
    played: [f32; BLOCK],
    out: [f32; BLOCK],
}

impl Processor {
    #[must_use]
    pub fn new(settings: Processing) -> Self {
        let mut processor = Self {
            settings: Processing::OFF,
            engine: None,
            far_end: FarEnd::new(),
            captured: [0.0; BLOCK],
            filled: 0,
            played: [0.0; BLOCK],
            out: [0.0; BLOCK],
        };
        processor.set(settings);
        processor
    }

    #[must_use]
    pub fn settings(&self) -> Processing {
        self.settings
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.engine.is_some()
    }

    /// How much later what is captured comes out, at most, samples.
    pub(crate) fn delay(&self) -> usize {
        if self.is_on() { DELAY } else { 0 }
    }

    /// Takes effect with the next block. Turning a part on or off makes the echo canceller learn the room anew.
    pub fn set(&mut self, settings: Processing) {
        if settings == self.settings {
            return;
        }
        if settings.echo && !self.settings.echo {
            // What is left there was played long ago.
            self.far_end = FarEnd::new();
        }
        self.settings = settings;
        if settings == Processing::OFF {
            self.engine = None;
            return;
        }
        match &mut self.engine {
            Some(engine) => engine.apply_config(config(settings)),
            None => {
                let engine = AudioProcessing::builder()
                    .config(config(settings))
                    .capture_config(MONO)
                    .render_config(MONO)
                    .build();
                self.engine = Some(Box::new(engine));
            }
        }
    }

    /// Throws an unfinished block away, and what was played beside it. Returns how many samples it had.
    pub(crate) fn drop_unfinished(&mut self) -> usize {
        let dropped = std::mem::take(&mut self.filled);
        self.skip(dropped);
        dropped
    }

    /// Takes what the speakers played, in the pieces in which it was played.
    pub fn played(&mut self, samples: &[Stereo]) {
        if self.settings.echo {
            self.far_end.push(samples);
        }
    }

    /// Captured sound was thrown away: as much of what was played goes too.
    pub fn skip(&mut self, samples: usize) {
        self.far_end.skip(samples);
    }

    /// Another device: what was known of both streams' places is void.
    pub fn restart(&mut self) {
        self.far_end = FarEnd::new();
        self.filled = 0;
    }

    /// Takes from the front of `input`. Whenever a block of 10 ms is complete, returns it, processed.
    pub fn take(&mut self, input: &mut &[f32]) -> Option<&[f32; BLOCK]> {
        let (taken, rest) = input.split_at(input.len().min(BLOCK - self.filled));
        for (to, &from) in self.captured[self.filled..].iter_mut().zip(taken) {
            *to = tame(from);
        }
        self.filled += taken.len();
        *input = rest;
        if self.filled < BLOCK {
            return None;
        }
        self.filled = 0;
        let Some(engine) = &mut self.engine else {
            return Some(&self.captured);
        };
        if self.settings.echo {
            self.far_end.take(&mut self.played);
            // Fails for formats only, and this one is fixed.
            let _ = engine.process_render_f32(&[&self.played], &mut [&mut self.out]);
        }
        match engine.process_capture_f32(&[&self.captured], &mut [&mut self.out]) {
            Ok(()) => Some(&self.out),
            Err(_) => Some(&self.captured),
        }
    }

    /// Samples until the next block is complete; at least one.
    pub(crate) fn missing(&self) -> usize {
        BLOCK - self.filled
    }

    /// None while the echo canceller is off.
    #[must_use]
    pub fn echo(&self) -> Option<EchoStats> {
        let engine = self.engine.as_ref().filter(|_| self.settings.echo)?;
        let stats = engine.statistics();
        Some(EchoStats {
            delay_ms: stats.delay_ms.map(|ms| ms as f32),
            return_loss_enhancement_db: stats.echo_return_loss_enhancement.map(|db| db as f32),
            slipped_samples: self.far_end.slipped(),
        })
    }
}

fn config(settings: Processing) -> Config {
    Config {
        pipeline: Pipeline {
            // By default it cuts off above 16 kHz.
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            ..Pipeline::default()
        },
        echo_canceller: settings.echo.then(EchoCanceller::default),
        noise_suppression: noise_level(settings.noise).map(|level| {
            sonora::config::NoiseSuppression {
                level,
                ..Default::default()
            }
        }),
        gain_controller2: settings.gain.then(|| GainController2 {
            adaptive_digital: Some(AdaptiveDigital {
                initial_gain_db: INITIAL_GAIN_DB,
                ..AdaptiveDigital::default()
            }),
            ..GainController2::default()
        }),
        ..Config::default()
    }
}

fn noise_level(noise: NoiseSuppression) -> Option<NoiseSuppressionLevel> {
    match noise {
        NoiseSuppression::Off => None,
        NoiseSuppression::Low => Some(NoiseSuppressionLevel::Moderate),
        NoiseSuppression::High => Some(NoiseSuppressionLevel::VeryHigh),
    }
}
