//! What `--stats` prints.

use std::collections::BTreeMap;

use serde::Serialize;
use voxhall_protocol::voice::Carrier;
use voxhall_session::{
    SpeakerStats, State, VoiceMeters,
    audio::{SAMPLE_RATE, VoiceStatistics},
};

/// Collects what was seen during a stay; people who left are kept.
#[derive(Default)]
pub struct Report {
    speakers: BTreeMap<u64, (String, SpeakerStats)>,
    last: VoiceMeters,
    /// Once something was sent.
    least_bitrate_bps: Option<u32>,
    rtt_ms: Vec<f32>,
    carriers: Vec<&'static str>,
}

#[derive(Serialize)]
pub struct Statistics {
    /// Length of the recording, s.
    recorded_s: f32,
    rtt_ms: Option<f32>,
    /// How voice travelled, one after the other.
    carriers: Vec<&'static str>,
    /// Share of our packets that the server says were lost on their way to the listeners.
    reported_loss: f32,
    /// The least that the path allowed for a moment.
    least_bitrate_bps: u32,
    #[serde(flatten)]
    voice: VoiceStatistics,
    speakers: Vec<Speaker>,
}

#[derive(Serialize)]
struct Speaker {
    name: String,
    packets: u64,
    lost: u64,
    late: u64,
    /// Packets that arrived of those that were sent, 0 to 1.
    delivery: f64,
    /// Share of the sound that had to be made up.
    concealed: f64,
    fec_recovered: u64,
    /// Sound restored from deep redundancy.
    dred_recovered_s: f64,
    jitter_ms: f32,
    target_delay_ms: f32,
    delay_ms: f32,
}

impl Report {
    pub fn observe(&mut self, state: &State, meters: &VoiceMeters) {
        for speaker in &meters.speakers {
            let name = state
                .user(speaker.user)
                .map_or_else(|| speaker.user.to_string(), |user| user.name.clone());
            self.speakers
                .insert(speaker.user.0, (name, speaker.statistics));
        }
        let sent = &meters.statistics;
        if sent.bitrate_bps > 0 {
            let least = self.least_bitrate_bps.unwrap_or(u32::MAX);
            self.least_bitrate_bps = Some(least.min(sent.bitrate_bps));
        }
        if let Some(rtt) = meters.rtt_ms {
            self.rtt_ms.push(rtt);
        }
        if let Some(carrier) = meters.carrier.map(Carrier::name)
            && self.carriers.last() != Some(&carrier)
        {
            self.carriers.push(carrier);
        }
        self.last = meters.clone();
    }

    pub fn finish(mut self, recorded_s: f32) -> Statistics {
        self.rtt_ms.sort_by(f32::total_cmp);
        Statistics {
            recorded_s,
            rtt_ms: self.rtt_ms.get(self.rtt_ms.len() / 2).copied(),
            carriers: self.carriers,
            reported_loss: self.last.reported_loss,
            least_bitrate_bps: self.least_bitrate_bps.unwrap_or(0),
            voice: self.last.statistics,
            speakers: self
                .speakers
                .into_values()
                .map(|(name, stats)| Speaker::new(name, &stats))
                .collect(),
        }
    }
}

impl Speaker {
    fn new(name: String, stats: &SpeakerStats) -> Self {
        let share = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        Self {
            name,
            packets: stats.packets,
            lost: stats.lost,
            late: stats.late,
            delivery: share(stats.packets, stats.packets + stats.lost),
            concealed: share(stats.concealed_samples, stats.total_samples),
            fec_recovered: stats.fec_recovered,
            dred_recovered_s: stats.dred_recovered_samples as f64 / f64::from(SAMPLE_RATE),
            jitter_ms: stats.jitter_ms,
            target_delay_ms: stats.target_delay_ms,
            delay_ms: stats.delay_ms,
        }
    }
}
