//! Sentences one after another, said to the sender that the app has, and heard from the receiver that it has, on a simulated clock.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use voxhall_protocol::{Ssrc, voice::ReportBlock};
use voxhall_testkit::wav;
use voxhall_voice::{
    FrameLength, MAX_PAYLOAD_BYTES, PathAdapter, PathReport, ReceiverConfig, ReceptionReport,
    SenderConfig, Stereo, TransmitMode, VoiceReceiver, VoiceSender, Wanted, from_mono, to_mono,
};

use super::{FRAME, RATE_HZ, plain};
use crate::jitter::{
    Rng,
    trace::{MS, SECOND},
};

const SSRC: u32 = 1;
/// Speech before the first sentence, in which sender and receiver get to know the path.
const LEAD: usize = 12 * RATE_HZ as usize;
const PAUSE: usize = RATE_HZ as usize / 2;
/// Samples that the device asks for at a time.
const PULL: usize = 240;
/// The network: 20 +- 0.5 ms.
const DELAY: i64 = 20 * MS;
const SPREAD: i64 = MS / 2;
const ROUND_TRIP: Duration = Duration::from_millis(40);
const REPORT_EVERY: i64 = SECOND;

/// What is said.
pub struct Talk {
    pub said: Vec<f32>,
    pub clips: Vec<Clip>,
}

pub struct Clip {
    pub name: String,
    /// Where it is in `said`.
    pub from: usize,
    pub to: usize,
}

/// What happens to each frame of what is said.
pub struct Fate {
    pub lost: Vec<bool>,
    /// Of the delays.
    pub seed: u64,
}

impl Fate {
    pub fn lost(&self, frame: usize) -> bool {
        self.lost.get(frame).copied().unwrap_or(false)
    }
}

pub struct Heard {
    pub sound: Vec<f32>,
    /// Where each clip begins in it.
    pub starts: Vec<usize>,
    pub packets: usize,
    pub sent_samples: usize,
    pub lost: usize,
    pub payload_bytes: usize,
    pub concealed: u64,
    pub played: u64,
    pub delay_ms: f64,
}

impl Heard {
    pub fn payload_kbps(&self) -> f64 {
        let seconds = self.sent_samples as f64 / f64::from(RATE_HZ);
        self.payload_bytes as f64 * 8.0 / 1e3 / seconds.max(1e-9)
    }
}

impl Talk {
    pub fn new(paths: &[PathBuf]) -> anyhow::Result<Self> {
        ensure!(!paths.is_empty(), "there are no clips");
        let mut said = Vec::new();
        let mut clips = Vec::new();
        for path in paths {
            let clip = wav::load(path)?;
            ensure!(
                clip.rate_hz == RATE_HZ,
                "{} has {} Hz",
                path.display(),
                clip.rate_hz
            );
            let samples = clip.channels.first().context("a clip has no channel")?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            clips.push(Clip {
                name: name.into_owned(),
                from: said.len(),
                to: said.len() + samples.len(),
            });
            said.extend(samples);
            said.extend([0.0; PAUSE]);
        }
        let lead: Vec<f32> = said.iter().copied().cycle().take(LEAD).collect();
        for clip in &mut clips {
            clip.from += LEAD;
            clip.to += LEAD;
        }
        said.splice(0..0, lead);
        // What is on its way is heard too.
        said.extend([0.0; RATE_HZ as usize]);
        Ok(Self { said, clips })
    }
}

/// What the sender hears of losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Nothing,
    /// The receiver's reports, once a second, and the round trip.
    Reports,
}

/// From the app's sender to the app's receiver.
pub fn ours(talk: &Talk, fate: &Fate, bitrate_bps: u32, told: Told) -> anyhow::Result<Heard> {
    let sender = VoiceSender::new(SenderConfig {
        mode: TransmitMode::Open,
        frame_length: FrameLength::Ms20,
        bitrate_bps,
        ..SenderConfig::default()
    })
    .context("no encoder")?;
    let wanted = Wanted {
        bitrate_bps,
        frame_length: FrameLength::Ms20,
        fixed_length: false,
    };
    let mut ours = Ours {
        sender,
        wanted,
        adapter: None,
        told,
    };
    call(talk, fate, &mut ours)
}

/// From libopus with in-band FEC to the app's receiver.
pub fn fec_to_ours(
    talk: &Talk,
    fate: &Fate,
    bitrate_bps: u32,
    loss_percent: f64,
) -> anyhow::Result<Heard> {
    let encoder = plain::encoder(bitrate_bps, Some(loss_percent))?;
    call(
        talk,
        fate,
        &mut Fec {
            encoder,
            payload: [0; MAX_PAYLOAD_BYTES],
            at: 0,
        },
    )
}

type Send<'a> = dyn FnMut(u32, usize, bool, &[u8]) + 'a;

/// One end of a call.
trait Mouth {
    /// Takes 20 ms that are full at `now`; hands out packets: timestamp, samples, marker, payload.
    fn say(&mut self, now: Instant, frame: &[f32], send: &mut Send<'_>) -> anyhow::Result<()>;

    fn report(&mut self, now: Instant, report: &ReceptionReport);
}

struct Ours {
    sender: VoiceSender,
    wanted: Wanted,
    /// As in the app: redundancy, bitrate and frame length by what is seen of the path.
    adapter: Option<PathAdapter>,
    told: Told,
}

impl Mouth for Ours {
    fn say(&mut self, now: Instant, frame: &[f32], send: &mut Send<'_>) -> anyhow::Result<()> {
        let adapter = self
            .adapter
            .get_or_insert_with(|| PathAdapter::new(self.wanted, now));
        let captured: Vec<Stereo> = frame.iter().copied().map(from_mono).collect();
        self.sender.push(&captured, |frame| {
            adapter.sent(now, frame.length);
            let samples = frame.length.samples();
            send(frame.rtp_timestamp, samples, frame.marker, frame.payload);
        });
        Ok(())
    }

    fn report(&mut self, now: Instant, report: &ReceptionReport) {
        let Some(adapter) = self.adapter.as_mut().filter(|_| self.told == Told::Reports) else {
            return;
        };
        adapter.round_trip(now, ROUND_TRIP);
        adapter.report(
            now,
            PathReport::from(ReportBlock {
                ssrc: Ssrc(report.ssrc),
                fraction_lost: report.fraction_lost,
                cumulative_lost: report.cumulative_lost,
                highest_sequence: report.extended_highest_sequence,
                jitter: report.jitter,
                burst_loss: report.burst_loss,
            }),
        );
        let sending = adapter.sending();
        self.sender.set_bitrate_bps(sending.bitrate_bps);
        self.sender.adapt_frame_length(sending.frame_length);
        self.sender.protect(sending.protection);
    }
}

struct Fec {
    encoder: opus::Encoder,
    payload: [u8; MAX_PAYLOAD_BYTES],
    at: u32,
}

impl Mouth for Fec {
    fn say(&mut self, _now: Instant, frame: &[f32], send: &mut Send<'_>) -> anyhow::Result<()> {
        let bytes = self.encoder.encode_float(frame, &mut self.payload)?;
        send(self.at, frame.len(), self.at == 0, &self.payload[..bytes]);
        self.at += frame.len() as u32;
        Ok(())
    }

    fn report(&mut self, _now: Instant, _report: &ReceptionReport) {}
}

struct Packet {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// Everything by when it happens, in samples: frames are full, packets arrive, the device asks, reports are due.
fn call(talk: &Talk, fate: &Fate, mouth: &mut dyn Mouth) -> anyhow::Result<Heard> {
    let mut receiver = VoiceReceiver::new(ReceiverConfig {
        max_speakers: 1,
        ..ReceiverConfig::default()
    })
    .context("no decoder")?;
    let mut rng = Rng::new(fate.seed);
    let phase = (rng.unit() * FRAME as f64) as i64;
    let start = Instant::now();
    let mut pulled = [[0.0; 2]; PULL];
    let mut heard = Heard {
        sound: vec![0.0; talk.said.len()],
        starts: Vec::new(),
        packets: 0,
        sent_samples: 0,
        lost: 0,
        payload_bytes: 0,
        concealed: 0,
        played: 0,
        delay_ms: 0.0,
    };
    let mut flying: BTreeMap<(i64, u64), Packet> = BTreeMap::new();
    let (mut sent, mut sequence) = (0_u64, 0_u16);
    let mut frames = talk.said.chunks_exact(FRAME).enumerate();
    let mut next_frame = FRAME as i64;
    let mut next_pull = phase;
    let mut next_report = REPORT_EVERY;
    let mut offset = Offset::default();
    while next_pull + PULL as i64 <= talk.said.len() as i64 {
        let arrival = flying.keys().next().map_or(i64::MAX, |&(at, _)| at);
        let now = next_frame.min(next_pull).min(arrival);
        if arrival == now {
            let (_, packet) = flying.pop_first().expect("it was just looked at");
            receiver.packet(
                instant(start, now),
                SSRC,
                packet.sequence,
                packet.timestamp,
                packet.marker,
                &packet.payload,
            );
        } else if next_frame == now {
            next_frame += FRAME as i64;
            let Some((_, frame)) = frames.next() else {
                next_frame = i64::MAX;
                continue;
            };
            mouth.say(
                instant(start, now),
                frame,
                &mut |timestamp, samples, marker, payload| {
                    heard.packets += 1;
                    heard.sent_samples += samples;
                    heard.payload_bytes += payload.len();
                    sequence = sequence.wrapping_add(1);
                    if fate.lost(timestamp as usize / FRAME) {
                        heard.lost += 1;
                        return;
                    }
                    let delay = DELAY + (rng.unit() * 2.0 * SPREAD as f64) as i64 - SPREAD;
                    sent += 1;
                    flying.insert(
                        (now + delay, sent),
                        Packet {
                            sequence,
                            timestamp,
                            marker,
                            payload: payload.to_vec(),
                        },
                    );
                },
            )?;
        } else {
            let at = next_pull as usize;
            receiver.pull(instant(start, now), &mut pulled);
            for (mono, stereo) in heard.sound[at..at + PULL].iter_mut().zip(&pulled) {
                *mono = to_mono(*stereo);
            }
            next_pull += PULL as i64;
            if let Some(stats) = receiver.stats(SSRC) {
                offset.note(next_pull, stats.playout_timestamp, stats.total_samples);
            }
            if now >= next_report {
                next_report += REPORT_EVERY;
                if let Some(report) = receiver.report(SSRC) {
                    mouth.report(instant(start, now), &report);
                }
            }
            if let Some(clip) = talk.clips.get(heard.starts.len())
                && offset.media() >= clip.from as i64
            {
                heard
                    .starts
                    .push((clip.from as i64 + offset.samples) as usize);
            }
        }
    }
    ensure!(
        heard.starts.len() == talk.clips.len(),
        "of {} sentences {} were heard",
        talk.clips.len(),
        heard.starts.len()
    );
    let stats = receiver.stats(SSRC).context("nobody was heard")?;
    heard.concealed = stats.concealed_samples;
    heard.played = stats.total_samples;
    heard.delay_ms = offset.mean_ms() - DELAY as f64 / MS as f64;
    Ok(heard)
}

/// How far what is heard is behind what is said.
#[derive(Default)]
struct Offset {
    samples: i64,
    media: i64,
    played: u64,
    sum: f64,
    count: f64,
}

impl Offset {
    /// `position` is played next at `now`; `played` samples were till then.
    fn note(&mut self, now: i64, position: u32, played: u64) {
        if played > self.played {
            self.samples = now - i64::from(position);
            self.sum += self.samples as f64;
            self.count += 1.0;
        }
        self.played = played;
        // During pauses media time goes on all the same.
        self.media = now - self.samples;
    }

    fn media(&self) -> i64 {
        self.media
    }

    fn mean_ms(&self) -> f64 {
        self.sum / self.count.max(1.0) / MS as f64
    }
}

/// The time of a sample, rounded so that it is the same sample again when counted in samples.
fn instant(start: Instant, sample: i64) -> Instant {
    start + Duration::from_nanos((sample as u64 * 1_000_000).div_ceil(48))
}
