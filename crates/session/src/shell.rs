//! Sockets and threads around the core: one thread that runs the control connection, and the media workers it owns.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::{SinkExt, StreamExt};
use tokio::{sync::mpsc, time};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use voxhall_protocol::UserId;

use crate::{
    Intent, Problem, State, VoiceMeters,
    audio::{self, DeviceEnds},
    control::{self, Socket},
    core::{Core, Input, Output},
    voice::{VoiceEngine, VoiceEvent},
};

/// Intents a person can be ahead of the session; beyond it they are dropped.
const INTENT_QUEUE: usize = 256;
/// A server that takes nothing for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a last message (leave, sign out) to go out when the session ends.
const FAREWELL: Duration = Duration::from_millis(300);

/// Receives each speaker's decoded sound apart from the others, on the receive worker: 48 kHz mono, in order, gaps filled.
pub type SpeakerTap = Box<dyn FnMut(UserId, &[f32]) + Send>;

pub struct Options {
    /// Program and version, as told to the server.
    pub client: String,
    /// How the list of signed-in devices names this one.
    pub device: String,
    /// Called from the session's thread after each change of state; must not block.
    pub on_change: Box<dyn Fn() + Send + Sync>,
    pub tap: Option<SpeakerTap>,
}

/// One connection to one server. Dropping it leaves voice and the server.
pub struct Session {
    intents: mpsc::Sender<Intent>,
    state: Arc<ArcSwap<State>>,
    voice: VoiceEngine,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    /// Starts the session's threads; nothing is connected until [`Intent::Connect`].
    ///
    /// # Errors
    /// The system refused a thread or the runtime's resources.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let (intents, intent_queue) = mpsc::channel(INTENT_QUEUE);
        let (voice_events, voice_event_queue) = mpsc::channel(64);
        let voice = VoiceEngine::start(voice_events, options.tap)?;
        let mut seed = [0; 8];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed)
            .map_err(|_| std::io::Error::other("the system has no randomness"))?;
        let core = Core::new(
            options.client,
            options.device,
            u64::from_le_bytes(seed),
            Instant::now(),
        );
        let state = Arc::new(ArcSwap::from_pointee(State::default()));
        let shell = Shell {
            core,
            state: Arc::clone(&state),
            on_change: options.on_change,
            voice: voice.clone(),
            server_address: None,
            patience: SEND_TIMEOUT,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("session".to_owned())
            .spawn(move || {
                runtime.block_on(shell.run(intent_queue, voice_event_queue));
                // A look-up of a name that takes its time must not hold up the quitting.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            intents,
            state,
            voice,
            thread: Some(thread),
        })
    }

    /// Never blocks. With hundreds of intents still waiting, new ones are dropped: nobody clicks that fast.
    pub fn send(&self, intent: Intent) {
        let _ = self.intents.try_send(intent);
    }

    /// The state as of now.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// What moves while people talk.
    pub fn meters(&self) -> VoiceMeters {
        self.voice.meters()
    }

    /// Makes the ends for a device's callbacks. Ends made before fall silent: a device is swapped by attaching the next.
    pub fn attach_audio(&self) -> DeviceEnds {
        let (ends, capture, playout) = audio::seam();
        self.voice.attach(capture, playout);
        ends
    }

    /// Lets the media workers rest; the device's ends fall silent.
    pub fn detach_audio(&self) {
        self.voice.detach();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The queue's end tells the thread to leave.
        let (closed, _) = mpsc::channel(1);
        self.intents = closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Opening =
    std::pin::Pin<Box<dyn Future<Output = Result<(Socket, SocketAddr), Problem>> + Send>>;

/// The control connection in its three conditions.
enum Wire {
    Down,
    Opening(Opening),
    Up(Box<Socket>),
}

/// Whether the server takes what it is sent.
#[derive(PartialEq, Eq)]
enum Sent {
    All,
    Stuck,
}

struct Shell {
    core: Core,
    state: Arc<ArcSwap<State>>,
    on_change: Box<dyn Fn() + Send + Sync>,
    voice: VoiceEngine,
    /// Where the control connection went.
    server_address: Option<SocketAddr>,
    /// How long the server may take to take a message.
    patience: Duration,
}

impl Shell {
    async fn run(
        mut self,
        mut intents: mpsc::Receiver<Intent>,
        mut voice: mpsc::Receiver<VoiceEvent>,
    ) {
        let mut wire = Wire::Down;
        let mut outputs = Vec::new();
        loop {
            let timeout = self.core.next_timeout();
            let input = tokio::select! {
                intent = intents.recv() => match intent {
                    Some(intent) => Input::Intent(intent),
                    None => break,
                },
                Some(event) = voice.recv() => match event {
                    VoiceEvent::PathOpened => Input::VoiceOpened,
                    VoiceEvent::PathLost => Input::VoiceLost,
                },
                input = self.next_from(&mut wire) => input,
                () = sleep_until(timeout) => Input::Tick,
            };
            self.core.handle(Instant::now(), input, &mut outputs);
            if self.perform(&mut outputs, &mut wire).await == Sent::Stuck {
                wire = Wire::Down;
                self.core
                    .handle(Instant::now(), Input::Closed, &mut outputs);
                self.perform(&mut outputs, &mut wire).await;
            }
            self.publish();
        }
        self.patience = FAREWELL;
        let leave = Input::Intent(Intent::Disconnect);
        self.core.handle(Instant::now(), leave, &mut outputs);
        self.perform(&mut outputs, &mut wire).await;
        self.voice.shut_down();
    }

    async fn next_from(&mut self, wire: &mut Wire) -> Input {
        match wire {
            Wire::Down => std::future::pending().await,
            Wire::Opening(opening) => match opening.await {
                Ok((socket, address)) => {
                    self.server_address = Some(address);
                    *wire = Wire::Up(Box::new(socket));
                    Input::Opened
                }
                Err(problem) => {
                    *wire = Wire::Down;
                    Input::OpenFailed(problem)
                }
            },
            Wire::Up(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => return Input::Text(text.to_string()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => {
                        *wire = Wire::Down;
                        return Input::Closed;
                    }
                    // Pings are answered by the library.
                    Some(Ok(_)) => {}
                }
            },
        }
    }

    async fn perform(&mut self, outputs: &mut Vec<Output>, wire: &mut Wire) -> Sent {
        let mut sent = Sent::All;
        for output in outputs.drain(..) {
            match output {
                Output::Open(link) => *wire = Wire::Opening(Box::pin(control::open(link))),
                Output::Send(text) => {
                    if let Wire::Up(socket) = wire {
                        // A failed send shows as a closed connection at the next read.
                        if time::timeout(self.patience, socket.send(Message::text(text)))
                            .await
                            .is_err()
                        {
                            sent = Sent::Stuck;
                        }
                    }
                }
                Output::Close => {
                    if let Wire::Up(mut socket) = std::mem::replace(wire, Wire::Down) {
                        let closing = WebSocketStream::close(&mut socket, None);
                        let _ = time::timeout(FAREWELL, closing).await;
                    }
                }
                Output::StartVoice(grant) => match self.server_address {
                    // Voice has the same port number, over UDP.
                    Some(server) => {
                        self.voice
                            .join(server, *grant, self.core.state().voice.clone());
                    }
                    None => unreachable!("a grant comes over a connection, which has an address"),
                },
                Output::StopVoice => self.voice.leave(),
                Output::VoiceKey(key) => self.voice.rekey(key),
                Output::VoiceJoined(state) => self.voice.add_speaker(&state),
                Output::VoiceLeft(state) => self.voice.remove_speaker(&state),
                Output::VoiceSettings => self.voice.configure(self.core.state().voice.clone()),
            }
        }
        sent
    }

    fn publish(&mut self) {
        if self.core.take_changed() {
            self.state.store(Arc::new(self.core.state().clone()));
            (self.on_change)();
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
