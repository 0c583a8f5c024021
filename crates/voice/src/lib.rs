//! The voice engine: samples in, Opus frames out, and the other way round.
//!
//! - [`VoiceSender`]: microphone chunks of any length -> echo, noise, gain ([`Processing`]) -> frames -> level meter ->
//!   voice activity or push to talk -> Opus. The caller numbers and seals what comes out.
//! - [`VoiceReceiver`]: opened packets of all speakers -> a jitter buffer each -> decoder -> mixer. It is pulled,
//!   never waits, and always has an answer.
//!
//! Both are pure: time is an argument, there are no threads, no IO and no randomness, so the same input gives
//! the same bytes. After construction nothing allocates but [`Processing`], and no packet can make anything panic. They are meant
//! for a worker thread beside the audio callback, since Opus takes its time.
//!
//! Everything is [`Stereo`] at the rims and mono `f32` within, at 48 kHz with full scale 1.0.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use voxhall_voice::{
//!     ReceiverConfig, SenderConfig, Stereo, TransmitMode, VoiceReceiver, VoiceSender, from_mono,
//! };
//!
//! let mut sender = VoiceSender::new(SenderConfig {
//!     mode: TransmitMode::Open,
//!     ..SenderConfig::default()
//! })?;
//! let mut receiver = VoiceReceiver::new(ReceiverConfig::default())?;
//!
//! let mut now = Instant::now();
//! let mut sequence = 0_u16;
//! let mut heard = [[0.0_f32; 2]; 240];
//! let mut loudest = 0.0_f32;
//! for i in 0..100 {
//!     let microphone: Vec<Stereo> = (0..240)
//!         .map(|k| from_mono(((i * 240 + k) as f32 * 0.06).sin() * 0.3))
//!         .collect();
//!     sender.push(&microphone, |frame| {
//!         receiver.packet(now, 7, sequence, frame.rtp_timestamp, frame.marker, frame.payload);
//!         sequence = sequence.wrapping_add(1);
//!     });
//!     receiver.pull(now, &mut heard);
//!     loudest = heard.iter().fold(loudest, |loudest, sample| loudest.max(sample[0].abs()));
//!     now += Duration::from_millis(5);
//! }
//! assert!(loudest > 0.2);
//! assert_eq!(receiver.stats(7).map(|stats| stats.concealed_samples), Some(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod frame;
mod level;
mod libopus;
mod receive;
mod send;

pub use frame::{
    Channels, FrameLength, MAX_FRAME_SAMPLES, MAX_PAYLOAD_BYTES, ParseFrameLength, SAMPLE_RATE_HZ,
    SAMPLES_PER_MS, Stereo, from_mono, to_mono,
};
pub use level::{Level, SILENCE_DBFS, amplitude, dbfs};
pub use libopus::has_inband_copy;
pub use receive::{
    Loudness, MAX_GAIN, MAX_SPEAKERS, ReceiverConfig, ReceiverError, ReceptionReport, SpeakerState,
    SpeakerStats, VoiceReceiver,
};
pub use send::{
    EchoStats, EncodedFrame, NoiseSuppression, OpusMode, PathAdapter, PathReport, Processing,
    Processor, Protection, SenderConfig, SenderError, SenderStats, Sending, Sound, TransmitMode,
    VoiceSender, Wanted,
};
