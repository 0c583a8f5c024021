//! What is said: recorded speech, encoded once and said over and over.

use anyhow::Context;
use voxhall_testkit::{signal, speech, wav};
use voxhall_voice::{
    FrameLength, SenderConfig, Stereo, TransmitMode, VoiceSender, from_mono, has_inband_copy,
};

use super::trace::{MS, SECOND};

const CLIPS: [&str; 5] = ["speech", "ann", "cid", "bob", "dan"];
/// A pause this long ends a talkspurt.
const PAUSE: i64 = 200 * MS;
/// Mean square below which nothing is said (-46 dBFS).
const QUIET: f32 = 2.5e-5;

pub struct Speech {
    pub payloads: Vec<Vec<u8>>,
    /// Frames of the loop that talkspurts begin with.
    starts: Vec<usize>,
    pub source: &'static str,
}

impl Speech {
    /// `reported_loss`: what the encoder is told that listeners miss, for which it sends redundancy.
    pub fn new(length: FrameLength, reported_loss: f32) -> anyhow::Result<Self> {
        let (said, source) = match recorded() {
            Some(said) => (said, "recorded speech"),
            None => (signal::speech(1, 48_000, 30.0), "synthetic speech"),
        };
        Self::of(&said, source, length, reported_loss)
    }

    pub fn of(
        said: &[f32],
        source: &'static str,
        length: FrameLength,
        reported_loss: f32,
    ) -> anyhow::Result<Self> {
        let frame = length.samples();
        let mut sender = VoiceSender::new(SenderConfig {
            mode: TransmitMode::Open,
            frame_length: length,
            ..SenderConfig::default()
        })
        .context("no encoder")?;
        let mut payloads = Vec::new();
        let mut starts = Vec::new();
        let mut silent = SECOND;
        for chunk in said.chunks_exact(frame) {
            // Reports come again and again; an old one is forgotten.
            sender.set_reported_loss(reported_loss);
            let captured: Vec<Stereo> = chunk.iter().copied().map(from_mono).collect();
            sender.push(&captured, |encoded| payloads.push(encoded.payload.to_vec()));
            let energy: f32 = chunk.iter().map(|sample| sample * sample).sum();
            if energy / frame as f32 > QUIET {
                if silent >= PAUSE {
                    starts.push(payloads.len().saturating_sub(1));
                }
                silent = 0;
            } else {
                silent += frame as i64;
            }
        }
        Ok(Self {
            payloads,
            starts,
            source,
        })
    }

    pub fn payload(&self, packet: usize) -> &[u8] {
        &self.payloads[packet % self.payloads.len()]
    }

    /// Whether a packet tells of the one before it, which Opus does where that was loud enough to be voice.
    pub fn carries_copy(&self, packet: usize) -> bool {
        has_inband_copy(self.payload(packet))
    }

    /// The packets that talkspurts begin with, of the first `packets`.
    pub fn starts(&self, packets: usize) -> Vec<usize> {
        (0..packets)
            .step_by(self.payloads.len())
            .flat_map(|first| self.starts.iter().map(move |start| first + start))
            .filter(|&start| start < packets)
            .collect()
    }
}

fn recorded() -> Option<Vec<f32>> {
    let mut said = Vec::new();
    for clip in CLIPS {
        let wav = wav::load(speech::path(clip).ok()?).ok()?;
        if wav.rate_hz != 48_000 {
            return None;
        }
        said.extend(wav.channels.into_iter().next()?);
    }
    Some(said)
}
