//! Talking: what the person chose, and how far the voice path is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use voxhall_protocol::{ChannelId, UserId};
use voxhall_voice::FrameLength;

/// When the microphone is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transmit {
    /// While somebody speaks into it.
    #[default]
    VoiceActivity,
    /// While a key is held.
    PushToTalk,
    /// Always.
    Open,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    pub path: VoicePath,
    pub muted: bool,
    pub deafened: bool,
    pub transmit: Transmit,
    /// The push-to-talk key is down.
    pub talk_key: bool,
    /// Of voice activity: 0.0 wants clear speech, 1.0 opens at almost anything.
    pub sensitivity: f32,
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
            sensitivity: 0.5,
            frame_length: FrameLength::default(),
            gains: BTreeMap::new(),
            local_mutes: std::collections::BTreeSet::new(),
            stability: 0.3,
            level_voices: true,
        }
    }
}

impl Voice {
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
    /// Round trip to the server, ms.
    pub rtt_ms: Option<f32>,
    /// Share of what others sent that never arrived, 0 to 1, over the last seconds.
    pub loss: f32,
    /// Share of what we sent that never arrived at the listeners, as the server reports it.
    pub reported_loss: f32,
    /// `udp`
    pub carrier: &'static str,
    pub speakers: Vec<SpeakerMeter>,
    pub statistics: crate::audio::VoiceStatistics,
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
