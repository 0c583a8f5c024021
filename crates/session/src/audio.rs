//! The seam between an audio device's callbacks and the media workers: lock-free rings and a clock, all 48 kHz stereo.
//!
//! [`DeviceInput::write`] and [`DeviceOutput::read`] are made for audio callbacks: they move samples and store atomics. They never
//! allocate, lock, log, wait or make a system call.

mod clocked;
mod priority;

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
    },
    time::{Duration, Instant},
};

use rtrb::{Consumer, Producer, RingBuffer};

pub use clocked::ClockedDevice;
pub use priority::raise_current_thread;
pub use voxhall_voice::{Stereo, from_mono, to_mono};

/// Samples per second of everything that crosses the seam.
pub const SAMPLE_RATE: u32 = 48_000;
/// Every ring's size: 340 ms, far more than a worker ever leaves in it.
const RING_SAMPLES: usize = 16_384;

/// The capture callback's end.
pub struct DeviceInput {
    ring: Producer<Stereo>,
    clock: Arc<DeviceClock>,
}

impl DeviceInput {
    /// Hands over captured samples, one call a callback. What doesn't fit is dropped and counted: the worker has stalled for longer than the ring is long.
    pub fn write(&mut self, samples: &[Stereo]) {
        let fits = self.ring.slots().min(samples.len());
        if let Ok(chunk) = self.ring.write_chunk_uninit(fits) {
            chunk.fill_from_iter(samples.iter().copied());
        }
        self.clock.capture.tick(samples.len(), samples.len() - fits);
    }
}

/// The playout callback's end.
pub struct DeviceOutput {
    ring: Consumer<Stereo>,
    /// A copy of all that the device was given, for the echo canceller.
    reference: Producer<Stereo>,
    clock: Arc<DeviceClock>,
    /// Last sample given out; an underrun fades from it instead of clicking.
    last: Stereo,
    /// Something was played: silence before that is no underrun.
    started: bool,
}

impl DeviceOutput {
    /// Fills `out`, one call a callback: its length is what the next one is foreseen by. Samples that are not there in time are faded silence, counted as an underrun.
    pub fn read(&mut self, out: &mut [Stereo]) {
        self.read_with(out, |_| ());
    }

    /// As [`read`](Self::read), with what `also` adds for the speakers: the echo canceller has to know of it too.
    pub fn read_with(&mut self, out: &mut [Stereo], also: impl FnOnce(&mut [Stereo])) {
        // Looked at before the ring: who ends the rest has filled that first.
        let rests = self.clock.rests.load(Acquire);
        let ready = self.ring.slots().min(out.len());
        let (filled, missing) = out.split_at_mut(ready);
        if let Ok(chunk) = self.ring.read_chunk(ready) {
            let (a, b) = chunk.as_slices();
            filled[..a.len()].copy_from_slice(a);
            filled[a.len()..].copy_from_slice(b);
            chunk.commit_all();
        }
        if let Some(&last) = filled.last() {
            self.last = last;
            self.started = true;
        }
        for sample in missing.iter_mut() {
            self.last = self.last.map(|side| side * 0.97);
            *sample = self.last;
        }
        let short = match self.started && !rests {
            true => missing.len(),
            false => 0,
        };
        also(out);
        // Nobody takes it where no microphone is open; then it is left out.
        let fits = self.reference.slots().min(out.len());
        if let Ok(chunk) = self.reference.write_chunk_uninit(fits) {
            chunk.fill_from_iter(out.iter().copied());
        }
        self.clock.playout.tick(out.len(), short);
    }
}

/// The workers' end of the capture ring.
pub(crate) struct CaptureEnd {
    pub ring: Consumer<Stereo>,
    /// What the speakers were given, underruns included, in the order of playing. Has room for as much as `ring`; what
    /// came while it was full is missing.
    pub reference: Consumer<Stereo>,
    pub clock: Arc<DeviceClock>,
}

/// The workers' end of the playout ring.
pub(crate) struct PlayoutEnd {
    pub ring: Producer<Stereo>,
    pub clock: Arc<DeviceClock>,
}

/// What the callbacks tell the workers about their own timing.
pub(crate) struct DeviceClock {
    pub capture: CallbackClock,
    pub playout: CallbackClock,
    /// Nothing is to be heard, so the playout ring is left empty: what is missing in it is silence and no underrun.
    pub rests: AtomicBool,
}

/// One callback's timing, written by it alone.
pub(crate) struct CallbackClock {
    origin: Instant,
    /// Nanoseconds after `origin` at which the callback ran last; 0: never.
    last_ns: AtomicU64,
    /// Length of the last callback, samples.
    period: AtomicU32,
    /// Callbacks that found too little (playout) or too much (capture) in their ring.
    xruns: AtomicU32,
}

impl CallbackClock {
    pub(crate) fn new(origin: Instant) -> Self {
        Self {
            origin,
            last_ns: AtomicU64::new(0),
            period: AtomicU32::new(0),
            xruns: AtomicU32::new(0),
        }
    }

    pub(crate) fn tick(&self, samples: usize, short: usize) {
        self.tick_at(Instant::now(), samples, short);
    }

    pub(crate) fn tick_at(&self, now: Instant, samples: usize, short: usize) {
        let ns = now.saturating_duration_since(self.origin).as_nanos();
        self.last_ns
            .store(u64::try_from(ns).unwrap_or(u64::MAX).max(1), Relaxed);
        self.period
            .store(u32::try_from(samples).unwrap_or(u32::MAX), Relaxed);
        if short > 0 {
            self.xruns.fetch_add(1, Relaxed);
        }
    }

    /// When the callback ran last.
    pub fn last(&self) -> Option<Instant> {
        match self.last_ns.load(Relaxed) {
            0 => None,
            ns => Some(self.origin + Duration::from_nanos(ns)),
        }
    }

    /// Samples of the last callback; 0 before the first.
    pub fn period(&self) -> usize {
        self.period.load(Relaxed) as usize
    }

    pub fn xruns(&self) -> u32 {
        self.xruns.load(Relaxed)
    }
}

/// A device's two ends, made by `Session::attach_audio` and moved into the callbacks.
pub struct DeviceEnds {
    pub input: DeviceInput,
    pub output: DeviceOutput,
}

/// Makes both sides of the seam.
pub(crate) fn seam() -> (DeviceEnds, CaptureEnd, PlayoutEnd) {
    let origin = Instant::now();
    let clock = Arc::new(DeviceClock {
        capture: CallbackClock::new(origin),
        playout: CallbackClock::new(origin),
        rests: AtomicBool::new(false),
    });
    let (capture_in, capture_out) = RingBuffer::new(RING_SAMPLES);
    let (playout_in, playout_out) = RingBuffer::new(RING_SAMPLES);
    let (reference_in, reference_out) = RingBuffer::new(RING_SAMPLES);
    let ends = DeviceEnds {
        input: DeviceInput {
            ring: capture_in,
            clock: Arc::clone(&clock),
        },
        output: DeviceOutput {
            ring: playout_out,
            reference: reference_in,
            clock: Arc::clone(&clock),
            last: [0.0; 2],
            started: false,
        },
    };
    let capture = CaptureEnd {
        ring: capture_out,
        reference: reference_out,
        clock: Arc::clone(&clock),
    };
    let playout = PlayoutEnd {
        ring: playout_in,
        clock,
    };
    (ends, capture, playout)
}

/// Counters of one stay in a voice channel and of the device under it.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct VoiceStatistics {
    pub sent_packets: u64,
    pub received_packets: u64,
    /// Datagrams that were refused: forged, replayed, malformed or of an unknown key.
    pub refused_packets: u64,
    pub capture_xruns: u32,
    pub playout_xruns: u32,
    /// Time from a frame's last sample in the capture ring to the datagram on the socket: wake-up and encoding, ms (mean of the last second).
    pub encode_ms: f32,
    /// Time that mixed samples wait in the playout ring for the callback, ms (mean of the last second).
    pub playout_ms: f32,
    /// What the encoder is set to, as the path allows.
    pub bitrate_bps: u32,
    pub frame_ms: f32,
    pub redundancy: Redundancy,
}

/// What goes with one's voice so that losses can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Redundancy {
    #[default]
    None,
    /// A coarser copy of the frame before.
    Fec,
    /// And deep redundancy (DRED), which tells of what was said before that.
    Deep,
}

#[cfg(test)]
mod tests {
    use assert_no_alloc::assert_no_alloc;

    use super::*;

    #[test]
    fn what_is_played_besides_is_in_the_reference_and_not_in_an_underrun() {
        let (mut ends, mut capture, _playout) = seam();
        let mut out = [[0.0; 2]; 4];
        ends.output.read_with(&mut out, |out| out.fill([0.5; 2]));
        assert_eq!(out, [[0.5; 2]; 4]);
        assert_eq!(capture.reference.pop(), Ok([0.5; 2]));
        ends.output.read(&mut out);
        assert_eq!(out, [[0.0; 2]; 4]);
    }

    #[test]
    fn callbacks_move_samples_without_allocating() {
        let (mut ends, mut capture, mut playout) = seam();
        let spoken: Vec<Stereo> = (0..480).map(|i| [i as f32, -(i as f32)]).collect();
        playout
            .ring
            .write_chunk_uninit(480)
            .unwrap()
            .fill_from_iter(spoken.iter().copied());
        let mut heard = [[9.0; 2]; 480];
        assert_no_alloc(|| {
            ends.input.write(&spoken);
            ends.output.read(&mut heard);
        });
        assert_eq!(heard, spoken.as_slice());
        assert_eq!(capture.ring.slots(), 480);
        assert_eq!(capture.ring.pop(), Ok([0.0, 0.0]));
        assert_eq!(capture.ring.pop(), Ok([1.0, -1.0]));
        assert_eq!(
            (
                capture.clock.capture.period(),
                capture.clock.capture.xruns()
            ),
            (480, 0)
        );
        assert!(playout.clock.playout.last().is_some());
    }

    #[test]
    fn a_full_capture_ring_drops_and_an_empty_playout_ring_fades_both_counted() {
        let (mut ends, capture, mut playout) = seam();
        ends.input.write(&[[0.5; 2]; RING_SAMPLES]);
        ends.input.write(&[[0.5; 2]; 10]);
        assert_eq!(
            (capture.ring.slots(), capture.clock.capture.xruns()),
            (RING_SAMPLES, 1)
        );
        playout.ring.push([1.0, -0.5]).unwrap();
        let mut heard = [[9.0; 2]; 64];
        ends.output.read(&mut heard);
        assert_eq!(heard[0], [1.0, -0.5]);
        assert!(
            heard
                .windows(2)
                .all(|pair| pair[1][0] < pair[0][0] && pair[1][1] > pair[0][1]),
            "{heard:?}"
        );
        assert_eq!(capture.clock.playout.xruns(), 1);
    }

    #[test]
    fn an_empty_ring_is_no_underrun_while_nothing_is_to_be_heard() {
        let (mut ends, _capture, mut playout) = seam();
        playout.ring.push([0.5; 2]).unwrap();
        let mut heard = [[0.0; 2]; 64];
        ends.output.read(&mut heard);
        assert_eq!(playout.clock.playout.xruns(), 1);
        playout.clock.rests.store(true, Relaxed);
        ends.output.read(&mut heard);
        assert_eq!(playout.clock.playout.xruns(), 1);
        playout.clock.rests.store(false, Relaxed);
        ends.output.read(&mut heard);
        assert_eq!(playout.clock.playout.xruns(), 2);
    }

    #[test]
    fn the_reference_is_what_the_device_was_given() {
        let (mut ends, mut capture, mut playout) = seam();
        playout.ring.push([1.0, -0.5]).unwrap();
        let mut heard = [[9.0; 2]; 64];
        assert_no_alloc(|| ends.output.read(&mut heard));
        for sample in heard {
            assert_eq!(capture.reference.pop(), Ok(sample));
        }
        assert!(capture.reference.is_empty());
        // With nobody to take it, it fills up and nothing else happens.
        assert_no_alloc(|| {
            for _ in 0..=RING_SAMPLES / heard.len() {
                ends.output.read(&mut heard);
            }
        });
        assert_eq!(capture.reference.slots(), RING_SAMPLES);
    }
}
