//! Talking: what the person chose, and how far the voice path is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use voxhall_protocol::{ChannelId, UserId, voice::Carrier};
use voxhall_voice::{Channels, FrameLength, Processing, Sound};

/// When the microphone is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transmit {
    /// While somebody speaks into it.
    #[default]
    VoiceActivity,
    /// While a key is held.
    PushToTalk,
    /// While no key is held.
    PushToMute,
    /// Always.
    Open,
}

/// What the microphone is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Microphone {
    Speech(Processing),
    /// Nothing is done to it, and nothing detected in it.
    Music(Music),
}

/// What a program feeds is clean already; the app turns processing on.
impl Default for Microphone {
    fn default() -> Self {
        Self::Speech(Processing::OFF)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Music {
    pub channels: Channels,
    /// As far as the channel allows it.
    pub bitrate_bps: u32,
    pub frame_length: FrameLength,
}

impl Default for Music {
    fn default() -> Self {
        Self {
            channels: Channels::Stereo,
            bitrate_bps: 256_000,
            frame_length: FrameLength::Ms10,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    pub path: VoicePath,
    pub muted: bool,
    pub deafened: bool,
    pub transmit: Transmit,
    /// The key of push to talk, or of push to mute, is down.
    pub talk_key: bool,
    /// How long push to talk goes on after the key is released.
    pub release_tail_ms: u32,
    /// Of voice activity: 0.0 wants clear speech, 1.0 opens at almost anything.
    pub sensitivity: f32,
    pub microphone: Microphone,
    /// Of speech; music has its own.
    pub frame_length: FrameLength,
    pub gains: BTreeMap<UserId, f32>,
    pub local_mutes: std::collections::BTreeSet<UserId>,
    pub stability: f32,
    /// Everybody is brought to the same loudness, before their own volume.
    pub level_voices: bool,
}

impl Default for Voice {
    fn default() -> Self {
        Self {
            path: VoicePath::Out,
            muted: false,
            deafened: false,
            transmit: Transmit::default(),
            talk_key: false,
            release_tail_ms: 200,
            sensitivity: 0.5,
            microphone: Microphone::default(),
            frame_length: FrameLength::default(),
            gains: BTreeMap::new(),
            local_mutes: std::collections::BTreeSet::new(),
            stability: 0.3,
            level_voices: true,
        }
    }
}

impl Voice {
    pub(crate) fn sound(&self) -> Sound {
        match self.microphone {
            Microphone::Speech(processing) => Sound::Speech(processing),
            Microphone::Music(music) => Sound::Music(music.channels),
        }
    }

    /// Sound per packet.
    pub(crate) fn packet_length(&self) -> FrameLength {
        match self.microphone {
            Microphone::Speech(_) => self.frame_length,
            Microphone::Music(music) => music.frame_length,
        }
    }

    /// What the channel allows, or less.
    pub(crate) fn bitrate_bps(&self, allowed_bps: u32) -> u32 {
        match self.microphone {
            Microphone::Speech(_) => allowed_bps,
            Microphone::Music(music) => music.bitrate_bps.min(allowed_bps),
        }
    }

    /// The channel one is in or going to.
    pub fn channel(&self) -> Option<ChannelId> {
        match self.path {
            VoicePath::Out => None,
            VoicePath::Joining(channel)
            | VoicePath::Opening(channel)
            | VoicePath::Open(channel)
            | VoicePath::Blocked(channel) => Some(channel),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoicePath {
    /// In no voice channel.
    Out,
    /// Asked the server.
    Joining(ChannelId),
    /// In the channel; the first voice datagrams are on their way.
    Opening(ChannelId),
    Open(ChannelId),
    /// In the channel, but no voice datagrams get through.
    Blocked(ChannelId),
}

/// What moves while people talk; read at the speed of the screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VoiceMeters {
    /// The microphone is being sent right now.
    pub transmitting: bool,
    pub microphone: MicrophoneMeter,
    /// Round trip to the server, ms.
    pub rtt_ms: Option<f32>,
    /// Share of what others sent that never arrived, 0 to 1, over the last seconds.
    pub loss: f32,
    /// Share of what we sent that never arrived at the listeners, as the server reports it.
    pub reported_loss: f32,
    /// How voice travels; none before the path has opened.
    pub carrier: Option<Carrier>,
    pub speakers: Vec<SpeakerMeter>,
    pub statistics: crate::audio::VoiceStatistics,
}

/// Of whatever microphone is open, in a channel or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MicrophoneMeter {
    /// Peak of what is captured, and of what is left of it to be sent, dBFS.
    pub captured_dbfs: f32,
    pub processed_dbfs: f32,
    /// The detector hears speech, sent or not.
    pub speech: bool,
    /// It is overdriven, or was within the last seconds.
    pub clipping: bool,
    /// What the echo canceller knows; none while it is off.
    pub echo: Option<voxhall_voice::EchoStats>,
}

impl Default for MicrophoneMeter {
    fn default() -> Self {
        Self {
            captured_dbfs: voxhall_voice::SILENCE_DBFS,
            processed_dbfs: voxhall_voice::SILENCE_DBFS,
            speech: false,
            clipping: false,
            echo: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerMeter {
    pub user: UserId,
    pub speaking: bool,
    pub level_dbfs: f32,
    /// By how much they are amplified to be as loud as the others, dB.
    pub levelled_db: f32,
    pub latency: Latency,
    pub statistics: voxhall_voice::SpeakerStats,
}

/// Where a speaker's voice spends its time on the way to our ear, ms. Not in it, because nobody tells us: their device,
/// their encoder, and their half of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    /// Sound gathered until a packet was full.
    pub capture_ms: f32,
    /// From the server to us: half of our round trip. Unknown before the first answer.
    pub network_ms: Option<f32>,
    /// Held back in the jitter buffer.
    pub jitter_ms: f32,
    /// Mixed, and waiting for the device to ask for it.
    pub playout_ms: f32,
    /// What the device takes at once.
    pub device_ms: f32,
}

impl Latency {
    /// All that is known.
    #[must_use]
    pub fn total_ms(&self) -> f32 {
        self.capture_ms
            + self.network_ms.unwrap_or(0.0)
            + self.jitter_ms
            + self.playout_ms
            + self.device_ms
    }
}
