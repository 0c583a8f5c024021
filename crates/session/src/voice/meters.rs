//! What the workers publish for the screen. They never wait here: atomics, and one table that they skip when it is being read.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use crate::{SpeakerMeter, VoiceMeters, audio::VoiceStatistics};

#[derive(Default)]
pub struct Meters {
    pub transmitting: AtomicBool,
    pub reported_loss: AtomicF32,
    pub sent_packets: AtomicU64,
    pub capture_xruns: AtomicU32,
    pub encode_ms: AtomicF32,
    received: Mutex<Received>,
}

/// What the receive worker knows.
#[derive(Debug, Clone, Default)]
pub struct Received {
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
            rtt_ms: received.rtt_ms,
            loss: received.loss,
            reported_loss: self.reported_loss.load(),
            carrier: "udp",
            speakers: received.speakers,
            statistics: VoiceStatistics {
                sent_packets: self.sent_packets.load(Relaxed),
                received_packets: received.received_packets,
                refused_packets: received.refused_packets,
                capture_xruns: self.capture_xruns.load(Relaxed),
                playout_xruns: received.playout_xruns,
                encode_ms: self.encode_ms.load(),
                playout_ms: received.playout_ms,
            },
        }
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
