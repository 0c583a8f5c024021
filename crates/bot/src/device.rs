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
use voxhall_protocol::UserId;
use voxhall_session::{
    SpeakerTap, State,
    audio::{ClockedDevice, DeviceEnds, SAMPLE_RATE, Stereo, from_mono},
};

use crate::join::Join;

/// Chunks of speech a slow disk may be behind.
const TAP_QUEUE: usize = 4_096;
/// The microphone is silent until the bot is told to speak.
const NEVER: u64 = u64::MAX;

/// Speaks a file into the session and keeps what it hears.
pub struct FileDevice {
    clock: ClockedDevice,
    heard: Arc<Mutex<Vec<Stereo>>>,
    /// Samples of silence until the file starts; [`NEVER`] until told.
    countdown: Arc<AtomicU64>,
    file_samples: Option<usize>,
}

impl FileDevice {
    pub fn start(ends: DeviceEnds, join: &Join) -> anyhow::Result<Self> {
        let file = join.play.as_deref().map(read_wav).transpose()?;
        let file_samples = file.as_ref().map(Vec::len);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let countdown = Arc::new(AtomicU64::new(NEVER));
        let (record, keep, wait) = (
            Arc::clone(&heard),
            join.record.is_some(),
            Arc::clone(&countdown),
        );
        let (mut next, repeat) = (0, join.repeat);
        let clock = ClockedDevice::start(
            ends,
            Instant::now(),
            join.period,
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
            file_samples,
        })
    }

    pub fn speak_after(&self, delay: Duration) {
        let samples = (delay.as_secs_f64() * f64::from(SAMPLE_RATE)) as u64;
        self.countdown.store(samples.min(NEVER - 1), Relaxed);
    }

    pub fn file_length(&self) -> Option<Duration> {
        self.file_samples
            .map(|samples| Duration::from_secs_f64(samples as f64 / f64::from(SAMPLE_RATE)))
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
                .guilds
                .iter()
                .find_map(|guild| guild.members.get(&user))
                .map_or_else(
                    || format!("user-{user}"),
                    |member| file_name(&member.user.name),
                );
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
pub fn write_wav(
    path: &Path,
    channels: u16,
    samples: impl Iterator<Item = f32>,
) -> anyhow::Result<()> {
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
    writer.finalize()?;
    Ok(())
}
