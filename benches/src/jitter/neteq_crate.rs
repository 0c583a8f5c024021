//! The `neteq` crate on the same traces. It asks the wall clock when a packet comes, so it is played to in real time: many traces at once,
//! for a shorter stretch. What it decodes, and when, its decoder tells; so its delay is counted as that of the others.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use neteq::{AudioPacket, NetEq, NetEqConfig, RtpHeader, codec::AudioDecoder, neteq::SpeechType};

use super::{
    Figures, figures,
    speech::Speech,
    tally::Tally,
    trace::{MS, Profile, SECOND, Trace},
};

const RATE_HZ: u32 = 48_000;
const PAYLOAD_TYPE: u8 = 111;
/// It gives out 10 ms at a time.
const PULL: i64 = 10 * MS;

pub struct Covered {
    /// In the order of the profiles asked for.
    pub figures: Vec<Vec<Figures>>,
    /// How late the machine was, that 99 % of all calls were no later, ms.
    pub late_ms: f64,
}

/// Plays `seeds` traces of each profile for `seconds`, all at once.
pub fn run(
    profiles: &[Profile],
    seeds: u64,
    seconds: u64,
    frame: i64,
    speech: &Speech,
) -> anyhow::Result<Covered> {
    let sounds = sounds(speech, frame as usize)?;
    let length = seconds as i64 * SECOND;
    let mut listeners = profiles
        .iter()
        .flat_map(|&profile| (0..seeds).map(move |seed| (profile, seed)))
        .map(|(profile, seed)| Listener::new(Trace::new(profile, seed, frame, length), &sounds))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let share = listeners.len().div_ceil(2).max(1);
    let lateness: Vec<Vec<i64>> = thread::scope(|scope| {
        let threads: Vec<_> = listeners
            .chunks_mut(share)
            .map(|some| scope.spawn(|| play(some, length)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a panic of a worker ends the run"))
            .collect()
    });
    let mut lateness = lateness.concat();
    lateness.sort_unstable();
    let late = lateness.get(lateness.len() * 99 / 100).copied();
    let figures: Vec<Figures> = listeners
        .into_iter()
        .map(|listener| figures(&listener.tally, &listener.trace))
        .collect();
    Ok(Covered {
        figures: figures
            .chunks(seeds.max(1) as usize)
            .map(<[_]>::to_vec)
            .collect(),
        late_ms: late.unwrap_or(0) as f64 / MS as f64,
    })
}

/// Whatever is due is done, then all wait for what comes next. Returns how late each call was.
fn play(listeners: &mut [Listener], length: i64) -> Vec<i64> {
    let mut lateness = Vec::new();
    let start = Instant::now();
    loop {
        let now = (start.elapsed().as_nanos() as i64 * 6) / 125_000;
        let mut next = i64::MAX;
        for listener in &mut *listeners {
            while let Some(due) = listener.due().filter(|&due| due <= now && due < length) {
                lateness.push(now - due);
                listener.step();
            }
            next = next.min(listener.due().unwrap_or(i64::MAX));
        }
        if next >= length {
            for listener in listeners {
                listener.close_gap();
            }
            return lateness;
        }
        let wait = (next - now).max(0) as u64 * 1_000_000 / 48;
        thread::sleep(Duration::from_nanos(wait));
    }
}

struct Listener {
    trace: Trace,
    neteq: NetEq,
    tally: Tally,
    next_arrival: usize,
    next_pull: i64,
    /// The packets decoded since the last look.
    decoded: Arc<Mutex<Vec<usize>>>,
    /// Samples made up in a row.
    gap: i64,
    /// The first packet was decoded.
    began: bool,
}

impl Listener {
    fn new(trace: Trace, sounds: &Arc<[Vec<f32>]>) -> anyhow::Result<Self> {
        let mut neteq = NetEq::new(NetEqConfig {
            sample_rate: RATE_HZ,
            ..NetEqConfig::default()
        })
        .context("no NetEQ")?;
        let decoded = Arc::new(Mutex::new(Vec::new()));
        neteq.register_decoder(
            PAYLOAD_TYPE,
            Box::new(Decoder {
                sounds: Arc::clone(sounds),
                decoded: Arc::clone(&decoded),
            }),
        );
        Ok(Self {
            tally: Tally::new(trace.length),
            trace,
            neteq,
            next_arrival: 0,
            next_pull: 0,
            decoded,
            gap: 0,
            began: false,
        })
    }

    fn due(&self) -> Option<i64> {
        let arrival = self.trace.arrivals.get(self.next_arrival);
        Some(arrival.map_or(self.next_pull, |&(at, _)| at.min(self.next_pull)))
    }

    fn step(&mut self) {
        match self.trace.arrivals.get(self.next_arrival) {
            Some(&(at, packet)) if at <= self.next_pull => {
                self.next_arrival += 1;
                self.insert(packet);
            }
            _ => {
                self.pull(self.next_pull);
                self.next_pull += PULL;
            }
        }
    }

    fn insert(&mut self, packet: usize) {
        let frame = self.trace.frame;
        let header = RtpHeader::new(
            packet as u16,
            (packet as i64 * frame) as u32,
            1,
            PAYLOAD_TYPE,
            packet == 0,
        );
        let packet = AudioPacket::new(
            header,
            (packet as u64).to_le_bytes().to_vec(),
            RATE_HZ,
            1,
            (frame / MS) as u32,
        );
        // What it refuses isn't played.
        let _ = self.neteq.insert_packet(packet);
    }

    fn pull(&mut self, now: i64) {
        let Ok(sound) = self.neteq.get_audio() else {
            return;
        };
        let frame = self.trace.frame;
        for packet in self.decoded.lock().expect("one thread").drain(..) {
            let packet = &self.trace.packets[packet];
            if let Some(arrived) = packet.arrived {
                self.began = true;
                self.tally
                    .emit(now, frame, (now - arrived).max(0), now - packet.sent);
            }
        }
        if !self.began {
            return;
        }
        match sound.speech_type {
            SpeechType::Expand => self.gap += PULL,
            _ => self.close_gap(),
        }
    }

    fn close_gap(&mut self) {
        if self.gap > 0 {
            self.tally.conceal(self.gap);
            self.gap = 0;
        }
        let stats = self.neteq.get_statistics().lifetime;
        self.tally.accelerated = stats.removed_samples_for_acceleration as i64;
        self.tally.expanded = stats.inserted_samples_for_deceleration as i64;
    }
}

struct Decoder {
    sounds: Arc<[Vec<f32>]>,
    decoded: Arc<Mutex<Vec<usize>>>,
}

impl AudioDecoder for Decoder {
    fn sample_rate(&self) -> u32 {
        RATE_HZ
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        let packet = encoded.first_chunk().copied().map_or(0, u64::from_le_bytes) as usize;
        self.decoded.lock().expect("one thread").push(packet);
        Ok(self.sounds[packet % self.sounds.len()].clone())
    }
}

/// What the packets of the loop sound like, so that time-scaling has speech to work with.
fn sounds(speech: &Speech, frame: usize) -> anyhow::Result<Arc<[Vec<f32>]>> {
    let mut decoder = opus::Decoder::new(RATE_HZ, opus::Channels::Mono)?;
    speech
        .payloads
        .iter()
        .map(|payload| {
            let mut pcm = vec![0.0; frame];
            let payload = if payload.len() > 2 { &payload[..] } else { &[] };
            decoder.decode_float(payload, &mut pcm, false)?;
            Ok(pcm)
        })
        .collect()
}
