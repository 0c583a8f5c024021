//! The thread that keeps the devices open.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use rtrb::{Producer, RingBuffer};
use voxhall_session::audio::{DeviceEnds, DeviceInput, DeviceOutput};

use super::{
    AudioStatus, Choice, Command, DeviceError, Direction, Need, Port,
    callback::{Lent, Peak, Playout, Sounds},
    devices, read_from, sounds, write_to,
};

/// First wait before a device that failed is tried again; doubled each time.
const RETRY_FIRST: Duration = Duration::from_millis(300);
const RETRY_LAST: Duration = Duration::from_secs(4);
/// How often it is looked for a better device, so that a headset just plugged in is used.
const WATCH: Duration = Duration::from_millis(400);
/// How long a closed stream may keep what was lent to it.
const HOMECOMING: Duration = Duration::from_millis(500);

type OnChange = Box<dyn Fn() + Send>;

pub(super) struct Keeper {
    buffer_frames: u32,
    need: Need,
    commands: SyncSender<Command>,
    shared: Arc<Mutex<Arc<AudioStatus>>>,
    status: AudioStatus,
    on_change: OnChange,
    input: Side<DeviceInput>,
    output: Side<DeviceOutput>,
    sounds: Producer<f32>,
    /// Samples of sounds ever, and those of them that are not to be heard any more.
    sound_samples: usize,
    hushed: Arc<AtomicUsize>,
    sounds_home: (SyncSender<Sounds>, Receiver<Sounds>),
    /// Counts openings, so that a late complaint of a closed stream is told apart.
    openings: u64,
    next_watch: Instant,
    /// Kept to look for devices without connecting anew each time.
    host: Option<cpal::Host>,
}

impl Keeper {
    pub(super) fn new(
        choice: Choice,
        commands: SyncSender<Command>,
        shared: Arc<Mutex<Arc<AudioStatus>>>,
        (input_peak, output_peak): (Arc<Peak>, Arc<Peak>),
        on_change: OnChange,
    ) -> Self {
        let (producer, consumer) = RingBuffer::new(sounds::MOST_SAMPLES);
        let hushed = Arc::default();
        let sounds_home = sync_channel(1);
        let _ = (sounds_home.0).try_send(Sounds::new(consumer, Arc::clone(&hushed)));
        Self {
            buffer_frames: choice.buffer_frames,
            need: Need::None,
            commands,
            shared,
            status: AudioStatus::default(),
            on_change,
            input: Side::new(Direction::Input, choice.input, input_peak),
            output: Side::new(Direction::Output, choice.output, output_peak),
            sounds: producer,
            sound_samples: 0,
            hushed,
            sounds_home,
            openings: 0,
            next_watch: Instant::now() + WATCH,
            host: None,
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        // The sound system's own threads, which call back, are started from this one and on Linux inherit its priority.
        voxhall_session::audio::raise_current_thread();
        loop {
            match commands.recv_timeout(self.until_next()) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.need != Need::None {
                self.watch();
                if self.output.is_due() {
                    self.open_output();
                }
                if self.need == Need::Both && self.input.is_due() {
                    self.open_input();
                }
            }
            self.publish();
        }
    }

    fn until_next(&self) -> Duration {
        if self.need == Need::None {
            return Duration::from_secs(3600);
        }
        let input = self.input.next_try().filter(|_| self.need == Need::Both);
        let retries = [input, self.output.next_try()];
        let next = retries
            .into_iter()
            .flatten()
            .fold(self.next_watch, Instant::min);
        next.saturating_duration_since(Instant::now())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Choose(choice) => {
                let anew = choice.buffer_frames != self.buffer_frames;
                self.buffer_frames = choice.buffer_frames;
                self.input.choose(choice.input, anew);
                self.output.choose(choice.output, anew);
            }
            Command::Attach(ends) => {
                let (input, output) = ends.map_or((None, None), |ends| {
                    let DeviceEnds { input, output } = *ends;
                    (Some(input), Some(output))
                });
                self.input.attach(input);
                self.output.attach(output);
            }
            Command::Run(need) => {
                self.need = need;
                if need != Need::Both {
                    self.input.rest();
                }
                if need == Need::None {
                    self.output.rest();
                    self.host = None;
                }
            }
            Command::Refresh => {
                self.status.inputs = devices::list(Direction::Input);
                self.status.outputs = devices::list(Direction::Output);
            }
            Command::Play(sound) => self.play(&sound.samples()),
            Command::Ring(ringtone) => self.play(&ringtone),
            Command::Hush => self.hushed.store(self.sound_samples, Relaxed),
            Command::Broke(Direction::Input, number, problem) => self.input.broke(number, problem),
            Command::Broke(Direction::Output, number, problem) => {
                self.output.broke(number, problem);
            }
            Command::Xrun(Direction::Input) => self.status.input_xruns += 1,
            Command::Xrun(Direction::Output) => self.status.output_xruns += 1,
            Command::Stop => {}
        }
    }

    fn play(&mut self, samples: &[f32]) {
        if !self.output.port.is_open() {
            return;
        }
        // Sounds that don't fit behind those still playing are left out.
        if let Ok(chunk) = self.sounds.write_chunk_uninit(samples.len()) {
            self.sound_samples += chunk.fill_from_iter(samples.iter().copied());
        }
    }

    /// Moves to a better device where there is one now.
    fn watch(&mut self) {
        if Instant::now() < self.next_watch {
            return;
        }
        self.next_watch = Instant::now() + WATCH;
        let host = self.host.take().or_else(devices::default_host);
        let seen = self.input.watch(host.as_ref()) | self.output.watch(host.as_ref());
        // Where nothing is seen the sound server may have gone; then the next look connects anew.
        self.host = host.filter(|_| seen);
    }

    fn open_input(&mut self) {
        self.input.opening();
        self.publish();
        self.openings += 1;
        let (number, frames) = (self.openings, self.buffer_frames);
        let on_error = complain(Direction::Input, number, self.commands.clone());
        let side = &mut self.input;
        let opened = side.find().and_then(|found| {
            let write = write_to(side.lend());
            let stream = found.capture(frames, Arc::clone(&side.peak), write, on_error)?;
            Ok((found, stream))
        });
        side.settle(opened, number);
    }

    fn open_output(&mut self) {
        self.output.opening();
        self.publish();
        let Ok(own_sounds) = self.sounds_home.1.recv_timeout(HOMECOMING) else {
            self.output.retry.later();
            return;
        };
        self.openings += 1;
        let (number, frames) = (self.openings, self.buffer_frames);
        let on_error = complain(Direction::Output, number, self.commands.clone());
        let own_sounds = Lent::new(own_sounds, self.sounds_home.0.clone());
        let side = &mut self.output;
        let opened = side.find().and_then(|found| {
            let read = read_from(side.lend());
            let peak = Arc::clone(&side.peak);
            let playout = |format| Playout::new(read, own_sounds, format, peak);
            let stream = found.playout(frames, playout, on_error)?;
            Ok((found, stream))
        });
        side.settle(opened, number);
    }

    fn publish(&mut self) {
        self.status.input.clone_from(&self.input.port);
        self.status.output.clone_from(&self.output.port);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if **shared != self.status {
            *shared = Arc::new(self.status.clone());
            drop(shared);
            (self.on_change)();
        }
    }
}

/// One direction.
struct Side<T> {
    direction: Direction,
    chosen: Option<String>,
    port: Port,
    stream: Option<Opened>,
    /// The session's end while it is not lent.
    end: Option<T>,
    lent: bool,
    home: (SyncSender<T>, Receiver<T>),
    peak: Arc<Peak>,
    /// Had worked before it failed.
    worked: bool,
    retry: Retry,
}

struct Opened {
    /// Held to keep the device open.
    _stream: cpal::Stream,
    number: u64,
    id: String,
}

impl<T> Side<T> {
    fn new(direction: Direction, chosen: Option<String>, peak: Arc<Peak>) -> Self {
        Self {
            direction,
            chosen,
            port: Port::Closed,
            stream: None,
            end: None,
            lent: false,
            home: sync_channel(1),
            peak,
            worked: false,
            retry: Retry::now(),
        }
    }

    fn choose(&mut self, chosen: Option<String>, anew: bool) {
        if anew || chosen != self.chosen {
            self.chosen = chosen;
            self.rest();
        }
    }

    fn attach(&mut self, end: Option<T>) {
        self.close();
        // An old end that comes home late finds a channel that nobody reads, and goes.
        self.home = sync_channel(1);
        self.end = end;
        self.retry = Retry::now();
    }

    fn rest(&mut self) {
        self.close();
        self.worked = false;
        self.retry = Retry::now();
        self.port = Port::Closed;
    }

    /// Closes the stream; what was lent to it comes home.
    fn close(&mut self) {
        self.stream = None;
        if self.lent {
            self.end = self.home.1.recv_timeout(HOMECOMING).ok();
            self.lent = false;
        }
    }

    fn lend(&mut self) -> Option<Lent<T>> {
        let end = self.end.take()?;
        self.lent = true;
        Some(Lent::new(end, self.home.0.clone()))
    }

    fn next_try(&self) -> Option<Instant> {
        self.stream.is_none().then_some(self.retry.at)
    }

    fn is_due(&self) -> bool {
        self.next_try().is_some_and(|at| Instant::now() >= at)
    }

    fn opening(&mut self) {
        if self.port == Port::Closed {
            self.port = Port::Opening;
        }
    }

    /// The chosen device; while it is away, the system's default.
    fn find(&self) -> Result<devices::Found, DeviceError> {
        match devices::find(self.direction, self.chosen.as_deref()) {
            Err(gone @ DeviceError::NotFound { .. }) if self.chosen.is_some() => {
                devices::find(self.direction, None).map_err(|_| gone)
            }
            found => found,
        }
    }

    /// Keeps what was opened, or plans the next try.
    fn settle(&mut self, opened: Result<(devices::Found, cpal::Stream), DeviceError>, number: u64) {
        match opened {
            Ok((found, stream)) => {
                tracing::info!(direction = ?self.direction, device = %found.id, "opened a sound device");
                let away = self.chosen.clone().filter(|chosen| *chosen != found.id);
                self.port = Port::Open {
                    name: found.name,
                    instead_of: away,
                };
                self.stream = Some(Opened {
                    _stream: stream,
                    number,
                    id: found.id,
                });
                self.worked = true;
                self.retry = Retry::now();
            }
            Err(problem) => {
                tracing::debug!(direction = ?self.direction, %problem, "could not open a sound device");
                self.fail(problem);
            }
        }
    }

    fn broke(&mut self, number: u64, problem: DeviceError) {
        if self
            .stream
            .as_ref()
            .is_some_and(|opened| opened.number == number)
        {
            tracing::info!(direction = ?self.direction, %problem, "a sound device stopped");
            self.fail(problem);
            // Another one may be there already.
            self.retry = Retry::now();
        }
    }

    fn fail(&mut self, problem: DeviceError) {
        self.close();
        self.retry.later();
        self.port = Port::Failed {
            problem,
            lost: self.worked,
        };
    }

    /// Leaves a device that has gone (the sound server may play on another one meanwhile, without a word), one that only stood in
    /// for the chosen one when that is back, and a default that is no longer it. False if there was nothing to be seen.
    fn watch(&mut self, host: Option<&cpal::Host>) -> bool {
        let Some(opened) = &self.stream else {
            return true;
        };
        let default = host.and_then(|host| devices::default_id(host, self.direction));
        let stay = match &self.chosen {
            Some(chosen) if opened.id == *chosen => devices::is_there(host, chosen),
            Some(chosen) => !devices::is_there(host, chosen),
            None => default.as_ref().is_none_or(|default| opened.id == *default),
        };
        if !stay {
            self.close();
            self.retry = Retry::now();
        }
        default.is_some()
    }
}

#[derive(Clone, Copy)]
struct Retry {
    at: Instant,
    wait: Duration,
}

impl Retry {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            wait: RETRY_FIRST,
        }
    }

    fn later(&mut self) {
        self.at = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(RETRY_LAST);
    }
}

/// The stream's error callback. It may run on the audio thread, so what is harmless returns at once.
fn complain(
    direction: Direction,
    number: u64,
    commands: SyncSender<Command>,
) -> impl FnMut(cpal::Error) + Send {
    move |error| {
        use cpal::ErrorKind::{DeviceChanged, RealtimeDenied, Xrun};
        match error.kind() {
            // What doesn't fit the queue isn't counted: the keeper is busy enough then.
            Xrun => return drop(commands.try_send(Command::Xrun(direction))),
            DeviceChanged | RealtimeDenied => return,
            _ => {}
        }
        let name = match direction {
            Direction::Input => "The microphone",
            Direction::Output => "The speakers",
        };
        let problem = DeviceError::Other {
            name: name.to_owned(),
            reason: error.to_string(),
        };
        let _ = commands.try_send(Command::Broke(direction, number, problem));
    }
}
