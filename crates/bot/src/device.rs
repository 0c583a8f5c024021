//! Files in place of a sound card.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use voxhall_protocol::UserId;
use voxhall_session::{
    SpeakerTap, State, Transmit,
    audio::{ClockedDevice, DeviceEnds, SAMPLE_RATE, Stereo, from_mono},
};

/// What is still on its way when a file has been spoken.
const TAIL: Duration = Duration::from_millis(1_500);
/// Chunks of speech a slow disk may be behind.
const TAP_QUEUE: usize = 4_096;
/// The microphone is silent until the bot is told to speak.
const NEVER: u64 = u64::MAX;

/// What is said and kept of a talk, and how long it lasts.
#[derive(Args)]
pub struct FileSound {
    /// WAV file to speak (48 kHz); then the bot leaves, unless --seconds says otherwise.
    #[arg(long, value_name = "WAV")]
    play: Option<PathBuf>,
    /// Speak the file again and again.
    #[arg(long, requires = "play")]
    repeat: bool,
    /// Wait this long before speaking, once it can be heard.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    delay: f32,
    /// Send all the time, not only while the voice detector hears speech.
    #[arg(long)]
    open: bool,
    /// Record everything heard, mixed, into this WAV file.
    #[arg(long, value_name = "WAV")]
    record: Option<PathBuf>,
    /// Stay this long, then leave. Otherwise when the file was spoken, or when the talk is over.
    #[arg(long)]
    seconds: Option<f32>,
    /// Period of the clock that stands in for a sound card, in samples at 48 kHz.
    #[arg(long, value_name = "SAMPLES", default_value_t = 240)]
    period: usize,
}

impl FileSound {
    pub fn transmit(&self) -> Transmit {
        if self.open {
            Transmit::Open
        } else {
            Transmit::VoiceActivity
        }
    }

    fn delay(&self) -> Duration {
        Duration::from_secs_f32(self.delay.max(0.0))
    }

    /// How long to stay, whatever is spoken.
    pub fn seconds(&self) -> Option<Duration> {
        (self.seconds).map(|seconds| Duration::from_secs_f32(seconds.max(0.0)))
    }

    /// Keeps what was heard, if that was wanted. Gives its length in seconds.
    pub fn keep(&self, heard: &[Stereo]) -> anyhow::Result<f32> {
        if let Some(path) = &self.record {
            write_wav(path, 2, heard.iter().flatten().copied())
                .with_context(|| format!("can't write {}", path.display()))?;
        }
        Ok(heard.len() as f32 / SAMPLE_RATE as f32)
    }
}

/// Speaks a file into the session and keeps what it hears.
pub struct FileDevice {
    clock: ClockedDevice,
    heard: Arc<Mutex<Vec<Stereo>>>,
    /// Samples of silence until the file starts; [`NEVER`] until told.
    countdown: Arc<AtomicU64>,
    delay: Duration,
    /// From the word to speak until the file was spoken; none: it has no end.
    lasts: Option<Duration>,
}

impl FileDevice {
    pub fn start(ends: DeviceEnds, sound: &FileSound) -> anyhow::Result<Self> {
        let file = sound.play.as_deref().map(read_wav).transpose()?;
        let spoken = file.as_ref().filter(|_| !sound.repeat);
        let spoken =
            spoken.map(|file| Duration::from_secs_f64(file.len() as f64 / f64::from(SAMPLE_RATE)));
        let keep = sound.record.is_some();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let countdown = Arc::new(AtomicU64::new(NEVER));
        let (record, wait) = (Arc::clone(&heard), Arc::clone(&countdown));
        let (mut next, repeat) = (0, sound.repeat);
        let clock = ClockedDevice::start(
            ends,
            Instant::now(),
            sound.period,
            move |captured, played| {
                if keep {
                    // Only read after the clock has stopped.
                    record
                        .lock()
                        .expect("nothing panics while holding it")
                        .extend_from_slice(played);
                }
                for sample in captured {
                    *sample = [0.0; 2];
                    let Some(file) = file.as_ref().filter(|file| !file.is_empty()) else {
                        continue;
                    };
                    match wait.load(Relaxed) {
                        NEVER => {}
                        0 => {
                            if let Some(spoken) = file.get(next) {
                                *sample = *spoken;
                            }
                            next += 1;
                            if repeat && next >= file.len() {
                                next = 0;
                            }
                        }
                        left => wait.store(left - 1, Relaxed),
                    }
                }
            },
        )?;
        Ok(Self {
            clock,
            heard,
            countdown,
            delay: sound.delay(),
            lasts: spoken.map(|spoken| sound.delay() + spoken + TAIL),
        })
    }

    /// Once it can be heard.
    pub fn speak(&self) {
        let samples = (self.delay.as_secs_f64() * f64::from(SAMPLE_RATE)) as u64;
        self.countdown.store(samples.min(NEVER - 1), Relaxed);
    }

    /// From [`Self::speak`] until all of the file has arrived; none: it has no end.
    pub fn lasts(&self) -> Option<Duration> {
        self.lasts
    }

    /// Everything heard since the start.
    pub fn stop(self) -> Vec<Stereo> {
        drop(self.clock);
        std::mem::take(&mut *self.heard.lock().expect("nothing panics while holding it"))
    }
}

/// Writes each speaker's sound into a file of its own, on a thread of its own.
pub struct EachRecorder {
    directory: PathBuf,
    chunks: SyncSender<(UserId, Vec<f32>)>,
    thread: JoinHandle<HashMap<UserId, Vec<f32>>>,
}

impl EachRecorder {
    pub fn start(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("can't make {}", directory.display()))?;
        let (chunks, queue) = sync_channel(TAP_QUEUE);
        let thread = std::thread::Builder::new()
            .name("record-each".to_owned())
            .spawn(move || collect(&queue))?;
        Ok(Self {
            directory: directory.to_owned(),
            chunks,
            thread,
        })
    }

    pub fn tap(&self) -> SpeakerTap {
        let chunks = self.chunks.clone();
        Box::new(move |user, samples| {
            // Behind by thousands of chunks: a gap in the recording is better than a gap in the talk.
            let _ = chunks.try_send((user, samples.to_vec()));
        })
    }

    /// Call after the session has ended.
    pub fn finish(self, state: &State) -> anyhow::Result<()> {
        drop(self.chunks);
        let Ok(speakers) = self.thread.join() else {
            bail!("recording each speaker failed")
        };
        for (user, samples) in speakers {
            let name = state
                .user(user)
                .map_or_else(|| format!("user-{user}"), |user| file_name(&user.name));
            let path = self.directory.join(format!("{name}.wav"));
            write_wav(&path, 1, samples.into_iter())
                .with_context(|| format!("can't write {}", path.display()))?;
        }
        Ok(())
    }
}

fn collect(queue: &Receiver<(UserId, Vec<f32>)>) -> HashMap<UserId, Vec<f32>> {
    let mut speakers: HashMap<UserId, Vec<f32>> = HashMap::new();
    while let Ok((user, samples)) = queue.recv() {
        speakers
            .entry(user)
            .or_default()
            .extend_from_slice(&samples);
    }
    speakers
}

/// A person's name without what a file name can't have.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '-' | '_' | ' ') {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// One channel is heard on both sides, of more than two the first two are.
fn read_wav(path: &Path) -> anyhow::Result<Vec<Stereo>> {
    let mut reader =
        hound::WavReader::open(path).with_context(|| format!("can't read {}", path.display()))?;
    let spec = reader.spec();
    if spec.sample_rate != SAMPLE_RATE {
        bail!(
            "{} has {} Hz; convert it first: sox {0} -r 48000 speech.wav",
            path.display(),
            spec.sample_rate
        );
    }
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            let full = (1_i64 << (spec.bits_per_sample - 1)) as f32;
            reader
                .samples::<i32>()
                .map(|sample| sample.map(|s| s as f32 / full))
                .collect::<Result<_, _>>()?
        }
    };
    let channels = usize::from(spec.channels.max(1));
    Ok(samples
        .chunks(channels)
        .map(|frame| match *frame {
            [left, right, ..] => [left, right],
            [sample] => from_mono(sample),
            [] => [0.0; 2],
        })
        .collect())
}

/// Writes interleaved `samples`.
fn write_wav(path: &Path, channels: u16, samples: impl Iterator<Item = f32>) -> hound::Result<()> {
    let spec = hound::WavSpec {
        channels,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16)?;
    }
    writer.finalize()
}
