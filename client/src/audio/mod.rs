//! The sound devices: found, opened, watched and reopened by one thread, so that the window never waits for a sound server.
//!
//! [`Audio`] is the handle. What it is told crosses a bounded channel; what it knows is in [`AudioStatus`].

pub mod callback;
pub mod devices;
mod keeper;
mod resample;
mod sounds;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use voxhall_session::audio::{DeviceEnds, DeviceInput, DeviceOutput};
use voxhall_voice::Stereo;

use callback::{Lent, MixIn, Peak};
pub use devices::{DeviceError, DeviceInfo, Direction};
pub use resample::to_mono_48_khz;
pub use sounds::{LONGEST_RINGTONE_S, Sound};

/// What is chosen in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// A device id, or the system's default.
    pub input: Option<String>,
    pub output: Option<String>,
    /// Wished length of a callback, samples at 48 kHz.
    pub buffer_frames: u32,
}

/// Which devices are to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Need {
    #[default]
    None,
    /// Only the speakers: a call rings.
    Speakers,
    Both,
}

/// One direction's device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Port {
    /// Nobody needs it.
    #[default]
    Closed,
    Opening,
    Open {
        name: String,
        /// The device that was chosen, but isn't there.
        instead_of: Option<String>,
    },
    /// It can't be used, or was lost; it is tried again by itself.
    Failed {
        problem: DeviceError,
        lost: bool,
    },
}

impl Port {
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioStatus {
    pub input: Port,
    pub output: Port,
    /// Devices to choose from, as of the last [`Audio::refresh`].
    pub inputs: Vec<DeviceInfo>,
    pub outputs: Vec<DeviceInfo>,
    /// Dropouts that the sound system itself told of since the app started.
    pub input_xruns: u32,
    pub output_xruns: u32,
}

enum Command {
    Choose(Choice),
    /// Where sound comes from and goes to; none: only the meters move.
    Attach(Option<Box<DeviceEnds>>),
    Run(Need),
    Refresh,
    Play(Sound),
    Ring(Arc<[f32]>),
    Hush,
    Broke(Direction, u64, DeviceError),
    Xrun(Direction),
    Stop,
}

pub struct Audio {
    commands: SyncSender<Command>,
    status: Arc<Mutex<Arc<AudioStatus>>>,
    input_peak: Arc<Peak>,
    output_peak: Arc<Peak>,
}

impl Audio {
    /// Starts the thread; opens nothing yet. `on_change` is called when [`Audio::status`] has changed.
    pub fn start(choice: Choice, on_change: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (commands, received) = sync_channel(32);
        let status = Arc::default();
        let (input_peak, output_peak) = (Arc::default(), Arc::default());
        let keeper = keeper::Keeper::new(
            choice,
            commands.clone(),
            Arc::clone(&status),
            (Arc::clone(&input_peak), Arc::clone(&output_peak)),
            Box::new(on_change),
        );
        thread::Builder::new()
            .name("audio-devices".to_owned())
            .spawn(move || keeper.run(&received))?;
        Ok(Self {
            commands,
            status,
            input_peak,
            output_peak,
        })
    }

    pub fn status(&self) -> Arc<AudioStatus> {
        Arc::clone(&self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Peaks since the last call, dBFS: microphone and speakers.
    pub fn take_peaks(&self) -> (f32, f32) {
        (self.input_peak.take_dbfs(), self.output_peak.take_dbfs())
    }

    pub fn choose(&self, choice: Choice) {
        self.tell(Command::Choose(choice));
    }

    pub fn attach(&self, ends: Option<DeviceEnds>) {
        self.tell(Command::Attach(ends.map(Box::new)));
    }

    pub fn run(&self, need: Need) {
        self.tell(Command::Run(need));
    }

    /// Looks again for devices.
    pub fn refresh(&self) {
        self.tell(Command::Refresh);
    }

    /// Plays one of the app's own sounds, if the speakers are open.
    pub fn play(&self, sound: Sound) {
        self.tell(Command::Play(sound));
    }

    /// Plays a ringtone of the person's own, 48 kHz mono.
    pub fn ring(&self, ringtone: Arc<[f32]>) {
        self.tell(Command::Ring(ringtone));
    }

    /// Ends whatever sound of the app is being played.
    pub fn hush(&self) {
        self.tell(Command::Hush);
    }

    fn tell(&self, command: Command) {
        if let Err(TrySendError::Full(_)) = self.commands.try_send(command) {
            tracing::warn!("the sound system does not answer; an audio command was dropped");
        }
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.tell(Command::Stop);
    }
}

/// What the capture callback does with its samples.
pub(crate) fn write_to(
    mut end: Option<Lent<DeviceInput>>,
) -> impl FnMut(&[Stereo]) + Send + 'static {
    move |samples| {
        if let Some(end) = end.as_mut().and_then(Lent::get) {
            end.write(samples);
        }
    }
}

/// Where the playout callback has its samples from.
pub(crate) fn read_from(
    mut end: Option<Lent<DeviceOutput>>,
) -> impl FnMut(&mut [Stereo], MixIn<'_>) + Send + 'static {
    move |samples, also| match end.as_mut().and_then(Lent::get) {
        Some(end) => end.read_with(samples, also),
        None => {
            samples.fill([0.0; 2]);
            also(samples);
        }
    }
}
