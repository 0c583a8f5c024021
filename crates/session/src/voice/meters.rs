//! What the workers publish for the screen. They never wait here: atomics, and one table that they skip when it is being read.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
};
use std::time::Duration;

use voxhall_protocol::voice::Carrier;
use voxhall_voice::{Protection, Sending};

use crate::{
    MicrophoneMeter, SpeakerMeter, VoiceMeters,
    audio::{Redundancy, VoiceStatistics},
};

#[derive(Default)]
pub struct Meters {
    pub transmitting: AtomicBool,
    pub reported_loss: AtomicF32,
    pub sent_packets: AtomicU64,
    pub capture_xruns: AtomicU32,
    pub encode_ms: AtomicF32,
    bitrate_bps: AtomicU32,
    frame_ms: AtomicF32,
    redundancy: AtomicU8,
    /// How often the send worker wants the round trip to be measured.
    pub round_trip_every: AtomicMs,
    microphone: Mutex<MicrophoneMeter>,
    received: Mutex<Received>,
}

/// What the receive worker knows.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// None before the path has opened.
    pub carrier: Option<Carrier>,
    pub rtt_ms: Option<f32>,
    pub loss: f32,
    pub received_packets: u64,
    pub refused_packets: u64,
    pub playout_xruns: u32,
    pub playout_ms: f32,
    pub speakers: Vec<SpeakerMeter>,
}

impl Meters {
    /// Lets the receive worker write; skipped when a view is reading at this moment.
    pub fn publish(&self, write: impl FnOnce(&mut Received)) {
        if let Ok(mut received) = self.received.try_lock() {
            write(&mut received);
        }
    }

    /// What is sent from now on.
    pub fn sending(&self, sending: &Sending) {
        self.bitrate_bps.store(sending.bitrate_bps, Relaxed);
        self.frame_ms.store(sending.frame_length.as_ms());
        let redundancy = match sending.protection {
            Protection::None => Redundancy::None,
            Protection::Fec { .. } => Redundancy::Fec,
            Protection::Deep { .. } => Redundancy::Deep,
        };
        self.redundancy.store(redundancy as u8, Relaxed);
    }

    /// Nothing is sent any more.
    pub fn stopped_sending(&self) {
        self.bitrate_bps.store(0, Relaxed);
        self.frame_ms.store(0.0);
        self.redundancy.store(Redundancy::None as u8, Relaxed);
    }

    /// As [`publish`](Self::publish), for the send worker.
    pub fn publish_microphone(&self, meter: MicrophoneMeter) {
        if let Ok(mut microphone) = self.microphone.try_lock() {
            *microphone = meter;
        }
    }

    /// A new stay in a channel counts from zero.
    pub fn reset(&self) {
        self.reported_loss.store(0.0);
        self.sent_packets.store(0, Relaxed);
        *self
            .received
            .lock()
            .expect("nothing panics while holding it") = Received::default();
    }

    pub fn read(&self) -> VoiceMeters {
        let received = self
            .received
            .lock()
            .expect("nothing panics while holding it")
            .clone();
        VoiceMeters {
            transmitting: self.transmitting.load(Relaxed),
            microphone: *self
                .microphone
                .lock()
                .expect("nothing panics while holding it"),
            rtt_ms: received.rtt_ms,
            loss: received.loss,
            reported_loss: self.reported_loss.load(),
            carrier: received.carrier,
            speakers: received.speakers,
            statistics: VoiceStatistics {
                sent_packets: self.sent_packets.load(Relaxed),
                received_packets: received.received_packets,
                refused_packets: received.refused_packets,
                capture_xruns: self.capture_xruns.load(Relaxed),
                playout_xruns: received.playout_xruns,
                encode_ms: self.encode_ms.load(),
                bitrate_bps: self.bitrate_bps.load(Relaxed),
                frame_ms: self.frame_ms.load(),
                redundancy: match self.redundancy.load(Relaxed) {
                    0 => Redundancy::None,
                    1 => Redundancy::Fec,
                    _ => Redundancy::Deep,
                },
                playout_ms: received.playout_ms,
            },
        }
    }
}

/// A time, to the millisecond.
#[derive(Default)]
pub struct AtomicMs(AtomicU32);

impl AtomicMs {
    pub fn load(&self) -> Duration {
        Duration::from_millis(self.0.load(Relaxed).into())
    }

    pub fn store(&self, value: Duration) {
        let ms = u32::try_from(value.as_millis()).unwrap_or(u32::MAX);
        self.0.store(ms, Relaxed);
    }
}

/// An `f32` in an atomic's bits.
#[derive(Default)]
pub struct AtomicF32(AtomicU32);

impl AtomicF32 {
    pub fn load(&self) -> f32 {
        f32::from_bits(self.0.load(Relaxed))
    }

    pub fn store(&self, value: f32) {
        self.0.store(value.to_bits(), Relaxed);
    }
}

/// A running mean that forgets over about a hundred values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Smoothed(Option<f32>);

impl Smoothed {
    pub fn value(self) -> f32 {
        self.0.unwrap_or(0.0)
    }

    pub fn add(&mut self, value: f32) -> f32 {
        let mean = self.0.map_or(value, |mean| mean + (value - mean) * 0.01);
        self.0 = Some(mean);
        mean
    }
}
