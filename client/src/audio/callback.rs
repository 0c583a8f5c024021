//! The bodies of the audio callbacks: convert formats, channels and rates, move samples through a ring, store a peak. They never allocate, lock,
//! log or make a system call; a test proves the first, the types make the others plain.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    mpsc::SyncSender,
};

use cpal::{FromSample, Sample};
use rtrb::Consumer;
use voxhall_voice::{Stereo, from_mono, to_mono};

use super::resample::{FromDevice, RateError, ToDevice};

/// Samples converted at a time: longer than any callback asked for, so that a callback is one call of the session's ends,
/// which learn its length from that.
const SCRATCH: usize = 16_384;

/// What a device's samples look like beside their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFormat {
    pub channels: u16,
    pub rate_hz: u32,
}

/// Something lent to a callback. When the stream is closed, which drops its callback, it goes home.
pub struct Lent<T> {
    value: Option<T>,
    home: SyncSender<T>,
}

impl<T> Lent<T> {
    pub fn new(value: T, home: SyncSender<T>) -> Self {
        Self {
            value: Some(value),
            home,
        }
    }

    pub fn get(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            // Nobody home or no room: the session has moved on to other ends, and these can go.
            let _ = self.home.try_send(value);
        }
    }
}

/// The highest sample since the meter was read last, as bits of a non-negative float: these sort like integers.
#[derive(Debug, Default)]
pub struct Peak(AtomicU32);

impl Peak {
    fn raise(&self, samples: &[Stereo]) {
        let peak = samples
            .as_flattened()
            .iter()
            .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        self.0.fetch_max(peak.to_bits(), Relaxed);
    }

    /// The peak in dBFS, -96 to 0, and begins anew.
    pub fn take_dbfs(&self) -> f32 {
        let peak = f32::from_bits(self.0.swap(0, Relaxed));
        (20.0 * peak.max(1e-6).log10()).clamp(-96.0, 0.0)
    }
}

/// The capture callback: `write` takes what the device recorded.
pub struct Capture<W> {
    write: W,
    channels: usize,
    rate: FromDevice,
    peak: Arc<Peak>,
    scratch: Box<[Stereo]>,
}

impl<W: FnMut(&[Stereo])> Capture<W> {
    /// # Errors
    /// The rate is no audio rate.
    pub fn new(write: W, format: DeviceFormat, peak: Arc<Peak>) -> Result<Self, RateError> {
        Ok(Self {
            write,
            channels: usize::from(format.channels.max(1)),
            rate: FromDevice::new(format.rate_hz, SCRATCH)?,
            peak,
            scratch: vec![[0.0; 2]; SCRATCH].into(),
        })
    }

    /// Takes interleaved frames as the device has them, and hands over stereo at 48 kHz.
    pub fn run<T>(&mut self, frames: &[T])
    where
        T: Sample,
        f32: FromSample<T>,
    {
        for frames in frames.chunks(SCRATCH * self.channels) {
            let samples = &mut self.scratch[..frames.len() / self.channels];
            for (sample, frame) in samples.iter_mut().zip(frames.chunks_exact(self.channels)) {
                *sample = to_stereo(frame);
            }
            self.peak.raise(samples);
            (self.write)(self.rate.run(samples));
        }
    }
}

/// The app's own sounds, as they come.
pub struct Sounds {
    ring: Consumer<f32>,
    /// Samples taken so far.
    taken: usize,
    /// Of all samples ever, those before this one are not to be heard any more.
    skip_to: Arc<AtomicUsize>,
}

impl Sounds {
    pub fn new(ring: Consumer<f32>, skip_to: Arc<AtomicUsize>) -> Self {
        Self {
            ring,
            taken: 0,
            skip_to,
        }
    }

    /// Adds them to these samples, as far as there are some.
    fn mix_in(&mut self, samples: &mut [Stereo]) {
        let unwanted = self.skip_to.load(Relaxed).saturating_sub(self.taken);
        if unwanted > 0
            && let Ok(chunk) = self.ring.read_chunk(unwanted.min(self.ring.slots()))
        {
            self.taken += chunk.len();
            chunk.commit_all();
        }
        let ready = self.ring.slots().min(samples.len());
        if let Ok(chunk) = self.ring.read_chunk(ready) {
            self.taken += ready;
            for (sample, sound) in samples.iter_mut().zip(chunk) {
                *sample = sample.map(|side| (side + sound).clamp(-1.0, 1.0));
            }
        }
    }
}

/// Adds the app's own sounds to what is read.
pub type MixIn<'a> = &'a mut dyn FnMut(&mut [Stereo]);

/// The playout callback: `read` fills what the device shall play, and has the app's own `sounds` mixed in, so that the echo
/// canceller hears of them.
pub struct Playout<R> {
    read: R,
    sounds: Lent<Sounds>,
    channels: usize,
    rate: ToDevice,
    peak: Arc<Peak>,
    scratch: Box<[Stereo]>,
}

impl<R: FnMut(&mut [Stereo], MixIn<'_>)> Playout<R> {
    /// # Errors
    /// The rate is no audio rate.
    pub fn new(
        read: R,
        sounds: Lent<Sounds>,
        format: DeviceFormat,
        peak: Arc<Peak>,
    ) -> Result<Self, RateError> {
        Ok(Self {
            read,
            sounds,
            channels: usize::from(format.channels.max(1)),
            rate: ToDevice::new(format.rate_hz, SCRATCH)?,
            peak,
            scratch: vec![[0.0; 2]; SCRATCH].into(),
        })
    }

    /// Fills interleaved frames: the first two channels of more than two.
    pub fn run<T>(&mut self, frames: &mut [T])
    where
        T: Sample + FromSample<f32>,
    {
        for frames in frames.chunks_mut(SCRATCH * self.channels) {
            let samples = &mut self.scratch[..frames.len() / self.channels];
            let (read, sounds) = (&mut self.read, &mut self.sounds);
            self.rate.run(samples, |samples| {
                read(samples, &mut |samples| {
                    if let Some(sounds) = sounds.get() {
                        sounds.mix_in(samples);
                    }
                });
            });
            self.peak.raise(samples);
            for (frame, sample) in frames.chunks_exact_mut(self.channels).zip(samples) {
                from_stereo(*sample, frame);
            }
        }
    }
}

/// One channel is heard on both sides; two are left and right. Of more, the even ones go left and the odd ones right, as in a
/// microphone array or an interface with many inputs, of which only some carry sound: their mean never clips.
fn to_stereo<T>(frame: &[T]) -> Stereo
where
    T: Sample,
    f32: FromSample<T>,
{
    match frame {
        [sample] => from_mono(sample.to_sample()),
        [left, right] => [left.to_sample(), right.to_sample()],
        more => {
            let side = |first: usize| {
                let samples = more.iter().skip(first).step_by(2);
                let count = samples.len() as f32;
                samples.map(|sample| sample.to_sample::<f32>()).sum::<f32>() / count.max(1.0)
            };
            [side(0), side(1)]
        }
    }
}

/// Front left and front right come first in every usual order of channels; the others stay silent.
fn from_stereo<T: Sample + FromSample<f32>>(sample: Stereo, frame: &mut [T]) {
    match frame {
        [mono] => *mono = T::from_sample(to_mono(sample)),
        [left, right, more @ ..] => {
            *left = T::from_sample(sample[0]);
            *right = T::from_sample(sample[1]);
            more.fill(T::EQUILIBRIUM);
        }
        [] => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use assert_no_alloc::assert_no_alloc;
    use rtrb::{Producer, RingBuffer};
    use voxhall_session::{Options, Session};

    use super::*;

    // Without this allocator `assert_no_alloc` sees nothing. With it, an allocation inside aborts the test program.
    #[global_allocator]
    static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

    const MONO: DeviceFormat = DeviceFormat {
        channels: 1,
        rate_hz: 48_000,
    };
    const STEREO: DeviceFormat = DeviceFormat {
        channels: 2,
        rate_hz: 48_000,
    };

    fn sounds() -> (Producer<f32>, Lent<Sounds>, Receiver<Sounds>) {
        let (producer, consumer) = RingBuffer::new(4096);
        let (home, returned) = sync_channel(1);
        let sounds = Sounds::new(consumer, Arc::default());
        (producer, Lent::new(sounds, home), returned)
    }

    #[test]
    fn what_was_hushed_is_not_heard_and_what_comes_after_it_is() {
        let (mut producer, consumer) = RingBuffer::new(16);
        let skip_to = Arc::new(AtomicUsize::new(0));
        let mut sounds = Sounds::new(consumer, Arc::clone(&skip_to));
        let mut heard = |count| {
            let mut samples = vec![[0.0; 2]; count];
            sounds.mix_in(&mut samples);
            samples
                .into_iter()
                .map(|[left, _]| left)
                .collect::<Vec<_>>()
        };
        (0..6).for_each(|_| producer.push(0.5).unwrap());
        assert_eq!(heard(2), [0.5, 0.5]);
        skip_to.store(6, Relaxed);
        (0..3).for_each(|_| producer.push(0.25).unwrap());
        assert_eq!(heard(4), [0.25, 0.25, 0.25, 0.0]);
        skip_to.store(9, Relaxed);
        producer.push(0.125).unwrap();
        assert_eq!(heard(2), [0.125, 0.0], "nothing was left to hush");
    }

    #[test]
    fn what_is_captured_becomes_stereo_and_is_measured() {
        let mut heard = Vec::new();
        let peak = Arc::new(Peak::default());
        let mut capture = Capture::new(
            |samples: &[Stereo]| heard.extend_from_slice(samples),
            STEREO,
            Arc::clone(&peak),
        )
        .unwrap();
        capture.run(&[0.5_f32, -0.5, 0.25, 0.0]);
        capture.run(&[i16::MIN, 0]);
        assert_eq!(heard, [[0.5, -0.5], [0.25, 0.0], [-1.0, 0.0]]);
        assert_eq!(peak.take_dbfs(), 0.0);
        assert_eq!(peak.take_dbfs(), -96.0, "reading begins anew");
    }

    #[test]
    fn one_channel_is_heard_on_both_sides_and_many_are_mixed_down() {
        assert_eq!(to_stereo(&[0.5_f32]), [0.5, 0.5]);
        assert_eq!(to_stereo(&[0.5_f32, 0.25, 0.0]), [0.25, 0.25]);
        assert_eq!(to_stereo(&[1.0_f32, -1.0, 1.0, -1.0]), [1.0, -1.0]);
        let mut played = [9.0_f32; 6];
        from_stereo([0.5, -0.25], &mut played);
        assert_eq!(played, [0.5, -0.25, 0.0, 0.0, 0.0, 0.0]);
        let mut played = [9.0_f32];
        from_stereo([0.5, -0.25], &mut played);
        assert_eq!(played, [0.125]);
        let mut played = [7_u8; 3];
        from_stereo([0.0, 0.0], &mut played);
        assert_eq!(played, [128; 3], "silence of unsigned samples");
    }

    #[test]
    fn a_callback_longer_than_the_scratch_loses_nothing() {
        let mut heard = Vec::new();
        let recorded: Vec<f32> = (0..40_000).flat_map(|i| [i as f32 / 40_000.0; 2]).collect();
        Capture::new(
            |samples: &[Stereo]| heard.extend_from_slice(samples),
            STEREO,
            Arc::default(),
        )
        .unwrap()
        .run(&recorded);
        assert_eq!(heard.as_flattened(), recorded);

        let mut next = 0.0;
        let read = |samples: &mut [Stereo], _: MixIn<'_>| {
            for sample in samples {
                *sample = from_mono(next / 40_000.0);
                next += 1.0;
            }
        };
        let mut played = vec![9.0_f32; 80_000];
        Playout::new(read, sounds().1, STEREO, Arc::default())
            .unwrap()
            .run(&mut played);
        assert_eq!(played, recorded);
    }

    #[test]
    fn the_apps_sounds_are_mixed_in_without_overflow() {
        let (mut producer, sounds, _returned) = sounds();
        for sound in [0.25, 0.9] {
            producer.push(sound).unwrap();
        }
        let mut played = [0.0_f32; 3];
        Playout::new(
            |samples: &mut [Stereo], also: MixIn<'_>| {
                samples.fill([0.5; 2]);
                also(samples);
            },
            sounds,
            MONO,
            Arc::default(),
        )
        .unwrap()
        .run(&mut played);
        assert_eq!(played, [0.75, 1.0, 0.5]);
    }

    #[test]
    fn what_was_lent_comes_home() {
        let (_producer, sounds, returned) = sounds();
        drop(Playout::new(
            |_: &mut [Stereo], _: MixIn<'_>| (),
            sounds,
            MONO,
            Arc::default(),
        ));
        assert!(returned.try_recv().is_ok());
    }

    /// The very bodies that the devices call, with a real session's ends behind them.
    #[test]
    fn callbacks_allocate_nothing() {
        let options = Options::new("test", "test");
        let session = Session::start(options).unwrap();
        let ends = session.attach_audio();
        let (input_home, _input_returned) = sync_channel(1);
        let (output_home, _output_returned) = sync_channel(1);
        let (mut producer, sounds, _sounds_returned) = sounds();
        producer.push(0.5).unwrap();
        let mut capture = Capture::new(
            super::super::write_to(Some(Lent::new(ends.input, input_home))),
            STEREO,
            Arc::default(),
        )
        .unwrap();
        let mut playout = Playout::new(
            super::super::read_from(Some(Lent::new(ends.output, output_home))),
            sounds,
            STEREO,
            Arc::default(),
        )
        .unwrap();
        let recorded = [0.25_f32; 4096];
        let recorded_i16 = [i16::MAX; 512];
        let mut played = [0.0_f32; 4096];
        let mut played_i32 = [0_i32; 512];
        assert_no_alloc(|| {
            for _ in 0..100 {
                capture.run(&recorded);
                capture.run(&recorded_i16);
                playout.run(&mut played);
                playout.run(&mut played_i32);
            }
        });
        assert!(capture.peak.take_dbfs() > -1.0);
    }
}
