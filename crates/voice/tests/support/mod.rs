//! A simulated conversation: synthetic speech, a sender, a network on a seed, a receiver, and one clock for all.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::time::{Duration, Instant};

use voxhall_voice::{
    FrameLength, ReceiverConfig, SenderConfig, SpeakerStats, Stereo, TransmitMode, VoiceReceiver,
    VoiceSender, from_mono, to_mono,
};

pub const SSRC: u32 = 0x5eed;
pub const RATE: f64 = 48_000.0;

/// SplitMix64: small, and the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 <= x < 1
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// As a mono microphone gives it.
pub fn stereo(mono: &[f32]) -> Vec<Stereo> {
    mono.iter().copied().map(from_mono).collect()
}

/// Something with the statistics of speech: voiced syllables (a glottal pulse train with jitter through three
/// formants), fricatives, short gaps, over faint background noise.
pub fn speech(seed: u64, samples: usize) -> Vec<f32> {
    let mut rng = Rng(seed);
    let mut out: Vec<f32> = (0..samples)
        .map(|_| (rng.unit() as f32 - 0.5) * 2e-4)
        .collect();
    let mut at = 0;
    while at < samples {
        let len = 4_800 + rng.below(9_600) as usize;
        let end = (at + len).min(samples);
        match rng.below(10) {
            0 => {}
            1 | 2 => fricative(&mut rng, &mut out[at..end]),
            _ => vowel(&mut rng, &mut out[at..end]),
        }
        at = end;
    }
    out
}

pub fn vowel(rng: &mut Rng, out: &mut [f32]) {
    let formants = [
        300.0 + rng.unit() * 500.0,
        900.0 + rng.unit() * 1_300.0,
        2_400.0 + rng.unit() * 800.0,
    ];
    let mut filters = formants.map(|hz| Resonator::new(hz, 60.0 + hz * 0.05));
    let (from, to) = (100.0 + rng.unit() * 120.0, 90.0 + rng.unit() * 120.0);
    let mut phase = 0.0;
    let len = out.len();
    for (i, sample) in out.iter_mut().enumerate() {
        let t = i as f64 / len as f64;
        phase += (from + (to - from) * t) * (1.0 + 0.01 * (rng.unit() - 0.5)) / RATE;
        let mut x = (rng.unit() - 0.5) * 0.01;
        if phase >= 1.0 {
            phase -= 1.0;
            x += 1.0;
        }
        let y: f64 = filters.iter_mut().map(|f| f.run(x)).sum();
        *sample += (y * envelope(i, len) * 0.2).clamp(-0.9, 0.9) as f32;
    }
}

pub fn fricative(rng: &mut Rng, out: &mut [f32]) {
    let mut filter = Resonator::new(3_500.0 + rng.unit() * 3_000.0, 2_000.0);
    let len = out.len();
    for (i, sample) in out.iter_mut().enumerate() {
        let x = (rng.unit() - 0.5) * 2.0;
        *sample += (filter.run(x) * envelope(i, len) * 0.05) as f32;
    }
}

fn envelope(i: usize, len: usize) -> f64 {
    let edge = 1_440.0_f64.min(len as f64 / 3.0);
    let rise = i as f64 / edge;
    let fall = (len - i) as f64 / edge;
    rise.min(fall).min(1.0)
}

struct Resonator {
    a1: f64,
    a2: f64,
    gain: f64,
    y1: f64,
    y2: f64,
}

impl Resonator {
    fn new(hz: f64, width_hz: f64) -> Self {
        let r = (-std::f64::consts::PI * width_hz / RATE).exp();
        let angle = std::f64::consts::TAU * hz / RATE;
        Self {
            a1: 2.0 * r * angle.cos(),
            a2: -r * r,
            gain: 1.0 - r,
            y1: 0.0,
            y2: 0.0,
        }
    }

    fn run(&mut self, x: f64) -> f64 {
        let y = self.gain * x * 8.0 + self.a1 * self.y1 + self.a2 * self.y2;
        self.y2 = self.y1;
        self.y1 = y;
        y
    }
}

/// What happens to one packet: the delays in ms with which copies of it arrive, none when it is lost.
pub type Fate = Vec<f64>;

pub struct Call {
    pub seed: u64,
    pub seconds: f64,
    pub frame: FrameLength,
    pub mode: TransmitMode,
    pub stability: f32,
    /// Samples that the speaker's device hands over at a time.
    pub capture: usize,
    /// Samples a pull.
    pub pull: usize,
    /// How much the speaker's clock is ahead of the listener's.
    pub drift_ppm: f64,
    /// When the listener's device starts, ms after the speaker's.
    pub pull_phase_ms: f64,
    /// Loss told to the sender.
    pub reported_loss: f32,
    pub said: Vec<f32>,
}

impl Call {
    pub fn new(seed: u64, seconds: f64) -> Self {
        Self {
            seed,
            seconds,
            frame: FrameLength::Ms10,
            mode: TransmitMode::Open,
            stability: 0.5,
            capture: 120,
            pull: 120,
            drift_ppm: 0.0,
            pull_phase_ms: 0.3,
            reported_loss: 0.0,
            said: speech(seed, (seconds * RATE) as usize),
        }
    }

    /// Runs the call. `network` gets the packet's number, the time it was sent in ms, and randomness.
    pub fn run(&self, mut network: impl FnMut(u64, f64, &mut Rng) -> Fate) -> Heard {
        let mut rng = Rng(self.seed ^ 0xfeed);
        let first_timestamp = rng.next() as u32;
        let mut sender = VoiceSender::new(SenderConfig {
            frame_length: self.frame,
            mode: self.mode,
            first_timestamp,
            ..SenderConfig::default()
        })
        .expect("an encoder");
        let mut receiver = VoiceReceiver::new(ReceiverConfig {
            max_speakers: 2,
            stability: self.stability,
        })
        .expect("a decoder");

        // Packets on their way, by arrival.
        let mut flying: Vec<(f64, u16, u32, bool, Vec<u8>)> = Vec::new();
        let mut sequence = rng.next() as u16;
        let mut packets = 0;
        let start = Instant::now();
        let at = |ms: f64| start + Duration::from_nanos((ms * 1e6) as u64);

        let chunk = self.capture;
        let sender_ms = 1_000.0 / RATE / (1.0 + self.drift_ppm * 1e-6);
        let mut captured = 0;
        let mut pulled = 0;
        let mut heard = Heard {
            sound: Vec::new(),
            delays_ms: Vec::new(),
            concealed_at_ms: Vec::new(),
            stats: SpeakerStats::default(),
            packets: 0,
            payloads: Vec::new(),
            onsets: Vec::new(),
        };
        let mut out = vec![[0.0; 2]; self.pull];
        let mut concealed = 0;
        loop {
            let capture_ms = (captured + chunk) as f64 * sender_ms;
            let pull_ms = self.pull_phase_ms + pulled as f64 * 1_000.0 / RATE;
            let arrival_ms = flying.first().map_or(f64::INFINITY, |packet| packet.0);
            if pull_ms > self.seconds * 1_000.0 {
                break;
            }
            if arrival_ms <= capture_ms && arrival_ms <= pull_ms {
                let (ms, sequence, timestamp, marker, payload) = flying.remove(0);
                receiver.packet(at(ms), SSRC, sequence, timestamp, marker, &payload);
            } else if capture_ms <= pull_ms && captured + chunk <= self.said.len() {
                // Reports come again and again.
                sender.set_reported_loss(self.reported_loss);
                sender.push(&stereo(&self.said[captured..captured + chunk]), |frame| {
                    for delay_ms in network(packets, capture_ms, &mut rng) {
                        flying.push((
                            capture_ms + delay_ms,
                            sequence,
                            frame.rtp_timestamp,
                            frame.marker,
                            frame.payload.to_vec(),
                        ));
                    }
                    if frame.marker {
                        let from = frame.rtp_timestamp.wrapping_sub(first_timestamp) as usize;
                        heard.onsets.push(Onset {
                            at_ms: capture_ms,
                            from,
                        });
                    }
                    heard.payloads.push(frame.payload.to_vec());
                    sequence = sequence.wrapping_add(1);
                    packets += 1;
                });
                // Stable, so what is sent first arrives first unless it was delayed.
                flying.sort_by(|a, b| a.0.total_cmp(&b.0));
                captured += chunk;
            } else {
                receiver.pull(at(pull_ms), &mut out);
                heard.sound.extend(out.iter().copied().map(to_mono));
                if let Some(stats) = receiver.stats(SSRC) {
                    if stats.concealed_samples > concealed {
                        concealed = stats.concealed_samples;
                        heard.concealed_at_ms.push(pull_ms);
                    }
                    heard.delays_ms.push((pull_ms, f64::from(stats.delay_ms)));
                    heard.stats = stats;
                }
                pulled += self.pull;
            }
        }
        heard.packets = packets;
        heard
    }
}

pub struct Heard {
    pub sound: Vec<f32>,
    /// (time in ms, playout delay in ms) at each pull.
    pub delays_ms: Vec<(f64, f64)>,
    pub concealed_at_ms: Vec<f64>,
    pub stats: SpeakerStats,
    pub packets: u64,
    pub payloads: Vec<Vec<u8>>,
    pub onsets: Vec<Onset>,
}

/// The start of a talkspurt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Onset {
    /// When it was sent.
    pub at_ms: f64,
    /// First sample of what was said that belongs to it.
    pub from: usize,
}

impl Heard {
    pub fn mean_delay_ms(&self, from_ms: f64, to_ms: f64) -> f64 {
        let during: Vec<f64> = self
            .delays_ms
            .iter()
            .filter(|(at, _)| (from_ms..to_ms).contains(at))
            .map(|&(_, delay)| delay)
            .collect();
        during.iter().sum::<f64>() / during.len().max(1) as f64
    }

    pub fn concealed_share(&self) -> f64 {
        self.stats.concealed_samples as f64 / self.stats.total_samples.max(1) as f64
    }
}

/// The delay in samples, up to `most`, at which `heard` resembles `said` best, and how well (at most 1), looking
/// at `len` samples of `said` from `from` on.
pub fn align(said: &[f32], heard: &[f32], from: usize, len: usize, most: usize) -> (usize, f64) {
    let score = |lag: usize, stride: usize| {
        let (mut product, mut a, mut b) = (0.0_f64, 1e-12_f64, 1e-12_f64);
        for i in (from..from + len).step_by(stride) {
            let (x, y) = (
                f64::from(said[i]),
                heard.get(i + lag).copied().map_or(0.0, f64::from),
            );
            product += x * y;
            a += x * x;
            b += y * y;
        }
        product / (a * b).sqrt()
    };
    let best = |lags: &mut dyn Iterator<Item = usize>, stride: usize| {
        lags.map(|lag| (lag, score(lag, stride)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .expect("lags")
    };
    let (rough, _) = best(&mut (0..most).step_by(3), 5);
    best(&mut (rough.saturating_sub(6)..rough + 7), 1)
}

/// The samples of a recording of 16 bit, 48 kHz, mono.
pub fn wav(bytes: &[u8]) -> Vec<f32> {
    let mut chunk = 12;
    loop {
        let len = u32::from_le_bytes(bytes[chunk + 4..chunk + 8].try_into().expect("4 bytes"));
        if &bytes[chunk..chunk + 4] == b"data" {
            let data = &bytes[chunk + 8..chunk + 8 + len as usize];
            return data
                .chunks_exact(2)
                .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0)
                .collect();
        }
        chunk += 8 + len as usize + (len & 1) as usize;
    }
}
