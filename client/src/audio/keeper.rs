//! The thread that keeps the devices open.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use rtrb::{Consumer, Producer, RingBuffer};
use voxhall_session::audio::{DeviceEnds, DeviceInput, DeviceOutput};

use super::{
    AudioStatus, Choice, Command, DeviceError, Direction, Port, Sound,
    callback::{Lent, Peak, Playout},
    devices, read_from, sounds, write_to,
};

/// First wait before a device that failed is tried again; doubled each time.
const RETRY_FIRST: Duration = Duration::from_millis(300);
const RETRY_LAST: Duration = Duration::from_secs(4);
/// How often a default device is looked for anew, so that a headset just plugged in is used.
const WATCH: Duration = Duration::from_secs(2);
/// How long a closed stream may keep what was lent to it.
const HOMECOMING: Duration = Duration::from_millis(500);

type OnChange = Box<dyn Fn() + Send>;

pub(super) struct Keeper {
    choice: Choice,
    running: bool,
    commands: SyncSender<Command>,
    shared: Arc<Mutex<Arc<AudioStatus>>>,
    status: AudioStatus,
    on_change: OnChange,
    input: Side<DeviceInput>,
    output: Side<DeviceOutput>,
    sounds: Producer<f32>,
    sounds_home: (SyncSender<Consumer<f32>>, Receiver<Consumer<f32>>),
    /// Counts openings, so that a late complaint of a closed stream is told apart.
    openings: u64,
    next_watch: Instant,
}

/// One direction.
struct Side<T> {
    direction: Direction,
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

impl<T> Side<T> {
    fn new(direction: Direction, peak: Arc<Peak>) -> Self {
        let home = sync_channel(1);
        Self {
            direction,
            stream: None,
            end: None,
            lent: false,
            home,
            peak,
            worked: false,
            retry: Retry::now(),
        }
    }

    /// Closes the stream; what was lent to it comes home.
    fn close(&mut self) {
        self.stream = None;
        if self.lent {
            self.end = self.home.1.recv_timeout(HOMECOMING).ok();
            self.lent = false;
        }
    }

    fn attach(&mut self, end: Option<T>) {
        self.close();
        // An old end that comes home late finds a channel that nobody reads, and goes.
        self.home = sync_channel(1);
        self.end = end;
        self.retry = Retry::now();
    }

    fn lend(&mut self) -> Option<Lent<T>> {
        let end = self.end.take()?;
        self.lent = true;
        Some(Lent::new(end, self.home.0.clone()))
    }
}

impl Keeper {
    pub(super) fn new(
        choice: Choice,
        commands: SyncSender<Command>,
        shared: Arc<Mutex<Arc<AudioStatus>>>,
        (input_peak, output_peak): (Arc<Peak>, Arc<Peak>),
        on_change: OnChange,
    ) -> Self {
        let (producer, consumer) = RingBuffer::new(sounds::LONGEST_SAMPLES);
        let sounds_home = sync_channel(1);
        let _ = sounds_home.0.try_send(consumer);
        Self {
            choice,
            running: false,
            commands,
            shared,
            status: AudioStatus::default(),
            on_change,
            input: Side::new(Direction::Input, input_peak),
            output: Side::new(Direction::Output, output_peak),
            sounds: producer,
            sounds_home,
            openings: 0,
            next_watch: Instant::now() + WATCH,
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            match commands.recv_timeout(self.until_next()) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.running {
                self.watch();
                self.open_output();
                self.open_input();
            }
            self.publish();
        }
    }

    fn until_next(&self) -> Duration {
        if !self.running {
            return Duration::from_secs(3600);
        }
        let now = Instant::now();
        let mut next = self.next_watch;
        if self.input.stream.is_none() {
            next = next.min(self.input.retry.at);
        }
        if self.output.stream.is_none() {
            next = next.min(self.output.retry.at);
        }
        next.saturating_duration_since(now)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Choose(choice) => {
                let buffer_changed = choice.buffer_frames != self.choice.buffer_frames;
                if buffer_changed || choice.input != self.choice.input {
                    self.input.close();
                    self.input.worked = false;
                    self.input.retry = Retry::now();
                }
                if buffer_changed || choice.output != self.choice.output {
                    self.output.close();
                    self.output.worked = false;
                    self.output.retry = Retry::now();
                }
                self.choice = choice;
            }
            Command::Attach(ends) => {
                let (input, output) = ends.map_or((None, None), |ends| {
                    let DeviceEnds { input, output } = *ends;
                    (Some(input), Some(output))
                });
                self.input.attach(input);
                self.output.attach(output);
            }
            Command::Run(true) => self.running = true,
            Command::Run(false) => {
                self.running = false;
                self.input.close();
                self.output.close();
                self.input.worked = false;
                self.output.worked = false;
                self.input.retry = Retry::now();
                self.output.retry = Retry::now();
                (self.status.input, self.status.output) = (Port::Closed, Port::Closed);
            }
            Command::Refresh => {
                self.status.inputs = devices::list(Direction::Input);
                self.status.outputs = devices::list(Direction::Output);
            }
            Command::Play(sound) => self.play(sound),
            Command::Broke(direction, number, problem) => self.broke(direction, number, problem),
            Command::Stop => {}
        }
    }

    fn play(&mut self, sound: Sound) {
        if !self.status.output.is_open() {
            return;
        }
        let samples = sound.samples();
        // Sounds that don't fit behind those still playing are left out.
        if let Ok(chunk) = self.sounds.write_chunk_uninit(samples.len()) {
            chunk.fill_from_iter(samples);
        }
    }

    fn broke(&mut self, direction: Direction, number: u64, problem: DeviceError) {
        let is_this = |opened: &Option<Opened>| {
            opened
                .as_ref()
                .is_some_and(|opened| opened.number == number)
        };
        tracing::info!(?direction, %problem, "a sound device stopped");
        match direction {
            Direction::Input if is_this(&self.input.stream) => {
                self.input.close();
                self.input.retry.later();
                self.status.input = Port::Failed {
                    problem,
                    lost: true,
                };
            }
            Direction::Output if is_this(&self.output.stream) => {
                self.output.close();
                self.output.retry.later();
                self.status.output = Port::Failed {
                    problem,
                    lost: true,
                };
            }
            _ => {}
        }
    }

    /// Follows the default device where that is what was chosen.
    fn watch(&mut self) {
        if Instant::now() < self.next_watch {
            return;
        }
        self.next_watch = Instant::now() + WATCH;
        let follows =
            |chosen: &Option<String>, opened: &Option<Opened>| chosen.is_none() && opened.is_some();
        let input = follows(&self.choice.input, &self.input.stream);
        let output = follows(&self.choice.output, &self.output.stream);
        if !input && !output {
            return;
        }
        let Some(host) = devices::default_host() else {
            return;
        };
        let moved = |opened: &Option<Opened>, now: Option<String>| match (opened, now) {
            (Some(opened), Some(now)) => opened.id != now,
            _ => false,
        };
        if input
            && moved(
                &self.input.stream,
                devices::default_id(&host, Direction::Input),
            )
        {
            self.input.close();
            self.input.retry = Retry::now();
        }
        if output
            && moved(
                &self.output.stream,
                devices::default_id(&host, Direction::Output),
            )
        {
            self.output.close();
            self.output.retry = Retry::now();
        }
    }

    fn open_input(&mut self) {
        if self.input.stream.is_some() || Instant::now() < self.input.retry.at {
            return;
        }
        if !self.input.worked && self.status.input == Port::Closed {
            self.status.input = Port::Opening;
            self.publish();
        }
        self.openings += 1;
        let number = self.openings;
        let on_error = complain(Direction::Input, number, self.commands.clone());
        let side = &mut self.input;
        let opened =
            devices::find(side.direction, self.choice.input.as_deref()).and_then(|found| {
                let stream = found.capture(
                    self.choice.buffer_frames,
                    Arc::clone(&side.peak),
                    write_to(side.lend()),
                    on_error,
                )?;
                Ok((found, stream))
            });
        self.status.input = side.settle(opened, number);
    }

    fn open_output(&mut self) {
        if self.output.stream.is_some() || Instant::now() < self.output.retry.at {
            return;
        }
        if !self.output.worked && self.status.output == Port::Closed {
            self.status.output = Port::Opening;
            self.publish();
        }
        let Ok(own_sounds) = self.sounds_home.1.recv_timeout(HOMECOMING) else {
            self.output.retry.later();
            return;
        };
        self.openings += 1;
        let number = self.openings;
        let on_error = complain(Direction::Output, number, self.commands.clone());
        let own_sounds = Lent::new(own_sounds, self.sounds_home.0.clone());
        let side = &mut self.output;
        let opened =
            devices::find(side.direction, self.choice.output.as_deref()).and_then(|found| {
                let read = read_from(side.lend());
                let peak = Arc::clone(&side.peak);
                let playout = |channels| Playout::new(read, own_sounds, channels, peak);
                let stream = found.playout(self.choice.buffer_frames, playout, on_error)?;
                Ok((found, stream))
            });
        self.status.output = side.settle(opened, number);
    }

    fn publish(&self) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if **shared != self.status {
            *shared = Arc::new(self.status.clone());
            drop(shared);
            (self.on_change)();
        }
    }
}

impl<T> Side<T> {
    /// Keeps what was opened, or plans the next try.
    fn settle(
        &mut self,
        opened: Result<(devices::Found, cpal::Stream), DeviceError>,
        number: u64,
    ) -> Port {
        match opened {
            Ok((found, stream)) => {
                tracing::info!(direction = ?self.direction, device = %found.id, "opened a sound device");
                self.stream = Some(Opened {
                    _stream: stream,
                    number,
                    id: found.id,
                });
                self.worked = true;
                self.retry = Retry::now();
                Port::Open { name: found.name }
            }
            Err(problem) => {
                self.close();
                self.retry.later();
                tracing::debug!(direction = ?self.direction, %problem, "could not open a sound device");
                Port::Failed {
                    problem,
                    lost: self.worked,
                }
            }
        }
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
        if matches!(error.kind(), Xrun | DeviceChanged | RealtimeDenied) {
            return;
        }
        let name = if direction == Direction::Input {
            "The microphone"
        } else {
            "The speakers"
        }
        .to_owned();
        let problem = DeviceError::Other {
            name,
            reason: error.to_string(),
        };
        let _ = commands.try_send(Command::Broke(direction, number, problem));
    }
}
