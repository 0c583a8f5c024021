//! Sockets, threads and tasks around the core: who runs the control connection, and the media workers it owns.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    task, time,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use voxhall_protocol::{
    SecretText, UserId,
    control::{Call, Event, Reply, Request},
    link::Link,
    voice::Carrier,
};

use crate::{
    AskError, Intent, Problem, State, StoredLogin, Tag, TransferId, TransferProgress, VoiceMeters,
    audio::{self, DeviceEnds},
    control::{self, Socket},
    core::{Core, Input, Output},
    files::{self, Site},
    voice::{Route, VoiceEngine, VoiceEvent},
};

/// Intents a person can be ahead of the session; beyond it they are dropped.
const INTENT_QUEUE: usize = 256;
/// Questions of a program beyond which it waits.
const QUESTION_QUEUE: usize = 64;
/// A server that takes nothing for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a last message (leave, sign out) to go out when the session ends.
const FAREWELL: Duration = Duration::from_millis(300);
/// With more to do waiting, the state is shown after this many inputs all the same.
const MOST_UNSEEN: usize = 64;

/// Receives each speaker's decoded sound apart from the others, on the receive worker: 48 kHz mono, in order, gaps filled.
pub type SpeakerTap = Box<dyn FnMut(UserId, &[f32]) + Send>;

/// Is told of everything that happens.
pub type EventHook = Box<dyn FnMut(Happening<'_>) + Send>;

/// Keeps the login for next time; `None` after signing out.
pub type LoginKeeper = Box<dyn FnMut(Option<&StoredLogin>) + Send>;

/// What a program is told of as it happens.
#[derive(Debug)]
pub enum Happening<'a> {
    /// The picture is whole, and may have changed in any way.
    Synced,
    /// Was folded into the picture just now.
    Event(&'a Event),
}

pub struct Options {
    /// Program and version, as told to the server.
    pub client: String,
    /// How the list of signed-in devices names this one.
    pub device: String,
    /// Called on the session's thread after each change of state; must not block.
    pub on_change: Box<dyn Fn() + Send + Sync>,
    /// Called on the session's thread for everything that happens. While it blocks, nothing else is read from the server.
    pub on_event: Option<EventHook>,
    /// Called on the session's thread with each new login, before the one it replaces is forgotten, and with `None` after signing out. Keep
    /// it where only this user can read it: the refresh token in it is spent by its use, so an older one is worth nothing.
    pub keep_login: Option<LoginKeeper>,
    pub tap: Option<SpeakerTap>,
    /// The only way that voice may travel; otherwise the best that passes.
    pub carrier: Option<Carrier>,
}

impl Options {
    pub fn new(client: impl Into<String>, device: impl Into<String>) -> Self {
        Self {
            client: client.into(),
            device: device.into(),
            on_change: Box::new(|| {}),
            on_event: None,
            keep_login: None,
            tap: None,
            carrier: None,
        }
    }
}

/// One connection to one server. Dropping it leaves voice and the server.
pub struct Session {
    intents: mpsc::Sender<Intent>,
    questions: Questions,
    state: Arc<ArcSwap<State>>,
    changes: watch::Receiver<()>,
    voice: Option<VoiceEngine>,
    next_id: AtomicU64,
    life: Option<Life>,
}

enum Life {
    Thread(JoinHandle<()>),
    Task(task::JoinHandle<()>),
}

impl Session {
    /// Starts the session's threads; nothing is connected until [`Intent::Connect`].
    ///
    /// # Errors
    /// The system refused a thread or the runtime's resources.
    pub fn start(mut options: Options) -> std::io::Result<Self> {
        let (voice_events, voice_event_queue) = mpsc::channel(64);
        let voice = VoiceEngine::start(voice_events, options.tap.take(), options.carrier)?;
        let (mut session, shell) = Self::make(options, Some(voice))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("session".to_owned())
            .spawn(move || {
                runtime.block_on(shell.run(voice_event_queue));
                // A look-up of a name that takes its time must not hold up the quitting.
                runtime.shutdown_background();
            })?;
        session.life = Some(Life::Thread(thread));
        Ok(session)
    }

    /// A session for who only reads and writes: a task of `runtime` without media workers. In a voice channel it is seen, but neither
    /// hears nor speaks, and the server ends the stay after its path was silent for a while.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn start_silent(options: Options, runtime: &Handle) -> std::io::Result<Self> {
        let (mut session, shell) = Self::make(options, None)?;
        // Nobody sends into this one.
        let (_, no_voice) = mpsc::channel(1);
        session.life = Some(Life::Task(runtime.spawn(shell.run(no_voice))));
        Ok(session)
    }

    fn make(options: Options, voice: Option<VoiceEngine>) -> std::io::Result<(Self, Shell)> {
        let (intents, intent_queue) = mpsc::channel(INTENT_QUEUE);
        let (questions, question_queue) = mpsc::channel(QUESTION_QUEUE);
        let questions = Questions(questions);
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
        let (reports, report_queue) = mpsc::channel(64);
        let (changes, changed) = watch::channel(());
        let shell = Shell {
            core,
            state: Arc::clone(&state),
            changes,
            on_change: options.on_change,
            on_event: options.on_event,
            keep_login: options.keep_login,
            voice: voice.clone(),
            server: None,
            link: None,
            patience: SEND_TIMEOUT,
            intents: intent_queue,
            questions: question_queue,
            asked: HashMap::new(),
            next_tag: 0,
            token: watch::Sender::new(None),
            asks: questions.clone(),
            reports,
            report_queue,
            transfers: HashMap::new(),
        };
        let session = Self {
            intents,
            questions,
            state,
            changes: changed,
            voice,
            next_id: AtomicU64::new(1),
            life: None,
        };
        Ok((session, shell))
    }

    /// Never blocks. With hundreds of intents still waiting, new ones are dropped: nobody clicks that fast.
    pub fn send(&self, intent: Intent) {
        let _ = self.intents.try_send(intent);
    }

    /// Asks the server, and waits for its answer. By then the state shows what the answer says.
    ///
    /// # Errors
    /// The server refused, or there is no connection.
    pub async fn ask<C: Call>(&self, call: C) -> Result<C::Reply, AskError> {
        self.questions.ask(call).await
    }

    /// A number for a [`Tag`] or a [`TransferId`] that this session has not used yet.
    pub fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    /// The state as of now.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Waits until the state has what is looked for.
    pub async fn until<T>(&self, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.changes.clone();
        loop {
            changes.mark_unchanged();
            if let Some(found) = look(&self.state()) {
                return found;
            }
            if changes.changed().await.is_err() {
                // The session has ended, and its state changes no more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What moves while people talk.
    pub fn meters(&self) -> VoiceMeters {
        self.voice
            .as_ref()
            .map(VoiceEngine::meters)
            .unwrap_or_default()
    }

    /// Makes the ends for a device's callbacks. Ends made before fall silent: a device is swapped by attaching the next.
    pub fn attach_audio(&self) -> DeviceEnds {
        let (ends, capture, playout) = audio::seam();
        if let Some(voice) = &self.voice {
            voice.attach(capture, playout);
        }
        ends
    }

    /// Lets the media workers rest; the device's ends fall silent.
    pub fn detach_audio(&self) {
        if let Some(voice) = &self.voice {
            voice.detach();
        }
    }

    /// Leaves, and waits until the server was told. For a session that is a task: dropping one doesn't wait.
    pub async fn end(mut self) {
        self.close();
        if let Some(Life::Task(task)) = self.life.take() {
            let _ = task.await;
        }
    }

    /// The queue's end tells the thread or task to leave.
    fn close(&mut self) {
        let (closed, _) = mpsc::channel(1);
        self.intents = closed;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
        if let Some(Life::Thread(thread)) = self.life.take() {
            let _ = thread.join();
        }
    }
}

/// Whom to ask for what the server has to say.
#[derive(Clone)]
pub struct Questions(mpsc::Sender<Question>);

struct Question {
    request: Request,
    answer: oneshot::Sender<Result<Box<Reply>, AskError>>,
}

impl Questions {
    pub async fn ask<C: Call>(&self, call: C) -> Result<C::Reply, AskError> {
        let (answer, answered) = oneshot::channel();
        let request = call.into();
        // A session that has ended is as good as none.
        self.0
            .send(Question { request, answer })
            .await
            .map_err(|_| AskError::Offline)?;
        let reply = answered.await.map_err(|_| AskError::Lost)??;
        C::of_reply(*reply).ok_or(AskError::Unreadable)
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

/// What the loop does next.
enum Next {
    Handle(Input),
    Ask(Question),
    Show,
    End,
}

struct Shell {
    core: Core,
    state: Arc<ArcSwap<State>>,
    changes: watch::Sender<()>,
    on_change: Box<dyn Fn() + Send + Sync>,
    on_event: Option<EventHook>,
    keep_login: Option<LoginKeeper>,
    voice: Option<VoiceEngine>,
    /// Where the control connection went.
    server: Option<SocketAddr>,
    link: Option<Link>,
    /// How long the server may take to take a message.
    patience: Duration,
    intents: mpsc::Receiver<Intent>,
    questions: mpsc::Receiver<Question>,
    asked: HashMap<Tag, oneshot::Sender<Result<Box<Reply>, AskError>>>,
    next_tag: u64,
    /// For transfers, which outlive a token.
    token: watch::Sender<Option<SecretText>>,
    asks: Questions,
    reports: mpsc::Sender<(TransferId, TransferProgress)>,
    report_queue: mpsc::Receiver<(TransferId, TransferProgress)>,
    transfers: HashMap<TransferId, task::AbortHandle>,
}

impl Shell {
    async fn run(mut self, mut voice: mpsc::Receiver<VoiceEvent>) {
        let mut wire = Wire::Down;
        let mut outputs = Vec::new();
        let mut unseen = 0;
        loop {
            let input = match self.next(&mut wire, &mut voice).await {
                Next::Handle(input) => input,
                Next::Ask(question) => {
                    self.next_tag += 1;
                    let tag = Tag(self.next_tag);
                    self.asked.insert(tag, question.answer);
                    let request = question.request;
                    Input::Ask { tag, request }
                }
                Next::Show => {
                    unseen = 0;
                    self.publish();
                    continue;
                }
                Next::End => break,
            };
            self.core.handle(Instant::now(), input, &mut outputs);
            if self.perform(&mut outputs, &mut wire).await == Sent::Stuck {
                wire = Wire::Down;
                self.core
                    .handle(Instant::now(), Input::Closed, &mut outputs);
                self.perform(&mut outputs, &mut wire).await;
            }
            unseen += 1;
            if unseen >= MOST_UNSEEN {
                unseen = 0;
                self.publish();
            }
        }
        self.patience = FAREWELL;
        let leave = Input::Intent(Intent::Disconnect);
        self.core.handle(Instant::now(), leave, &mut outputs);
        self.perform(&mut outputs, &mut wire).await;
        if let Some(voice) = &self.voice {
            voice.shut_down();
        }
    }

    /// The next thing to do. The state is shown when there is nothing else: a burst of events is drawn once.
    async fn next(&mut self, wire: &mut Wire, voice: &mut mpsc::Receiver<VoiceEvent>) -> Next {
        let timeout = self.core.next_timeout();
        let changed = self.core.has_changed();
        tokio::select! {
            biased;
            intent = self.intents.recv() => match intent {
                Some(intent) => Next::Handle(Input::Intent(intent)),
                None => Next::End,
            },
            Some(question) = self.questions.recv() => Next::Ask(question),
            Some(event) = voice.recv() => Next::Handle(match event {
                VoiceEvent::Opened => Input::VoiceOpened,
                VoiceEvent::Lost => Input::VoiceLost,
                VoiceEvent::Failed => Input::VoiceFailed,
            }),
            Some((transfer, progress)) = self.report_queue.recv() => Next::Handle(Input::Transfer(transfer, progress)),
            () = sleep_until(timeout) => Next::Handle(Input::Tick),
            input = next_from(wire, &mut self.server) => Next::Handle(input),
            () = std::future::ready(()), if changed => Next::Show,
        }
    }

    async fn perform(&mut self, outputs: &mut Vec<Output>, wire: &mut Wire) -> Sent {
        let mut sent = Sent::All;
        for output in outputs.drain(..) {
            match output {
                Output::Open(link) => {
                    self.link = Some(link.clone());
                    *wire = Wire::Opening(Box::pin(control::open(link)));
                }
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
                Output::Credentials(login) => {
                    let token = self.core.access_token().cloned();
                    self.token.send_replace(token);
                    if let Some(keep) = &mut self.keep_login {
                        keep(login.as_deref());
                    }
                }
                Output::Answered(tag, answer) => {
                    // Who reads the answer reads what it changed.
                    self.publish();
                    if let Some(asker) = self.asked.remove(&tag) {
                        let _ = asker.send(answer);
                    }
                }
                Output::Synced => self.happened(Happening::Synced),
                Output::Event(event) => self.happened(Happening::Event(&event)),
                Output::Upload {
                    transfer,
                    purpose,
                    path,
                } => self.spawn(transfer, |site| {
                    files::upload(site, transfer, purpose, path)
                }),
                Output::Download {
                    transfer,
                    file,
                    thumbnail,
                    to,
                } => self.spawn(transfer, |site| {
                    files::download(site, transfer, file, thumbnail, to)
                }),
                Output::StopTransfer(transfer) => {
                    if let Some(task) = self.transfers.remove(&transfer) {
                        task.abort();
                    }
                }
                Output::StartVoice(_)
                | Output::StopVoice
                | Output::VoiceKey(_)
                | Output::VoiceJoined(_)
                | Output::VoiceLeft(_)
                | Output::VoiceSettings => self.perform_voice(output),
            }
        }
        sent
    }

    fn perform_voice(&self, output: Output) {
        let Some(voice) = &self.voice else { return };
        let settings = || self.core.state().voice.clone();
        match output {
            Output::StartVoice(grant) => match (self.server, self.link.clone()) {
                // Voice has the same port number, over UDP and over TCP.
                (Some(server), Some(link)) => {
                    voice.join(Route { server, link }, *grant, settings());
                }
                _ => unreachable!("a grant comes over a connection, which has an address"),
            },
            Output::StopVoice => voice.leave(),
            Output::VoiceKey(key) => voice.rekey(key),
            Output::VoiceJoined(state) => voice.add_speaker(&state),
            Output::VoiceLeft(state) => voice.remove_speaker(&state),
            Output::VoiceSettings => voice.configure(settings()),
            _ => {}
        }
    }

    fn happened(&mut self, happening: Happening<'_>) {
        if let Some(tell) = &mut self.on_event {
            tell(happening);
        }
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        transfer: TransferId,
        run: impl FnOnce(Site) -> F,
    ) {
        let Some(link) = self.link.clone() else {
            return;
        };
        let site = Site {
            link,
            token: self.token.subscribe(),
            questions: self.asks.clone(),
            reports: self.reports.clone(),
        };
        let task = tokio::spawn(run(site));
        self.transfers.retain(|_, task| !task.is_finished());
        self.transfers.insert(transfer, task.abort_handle());
    }

    fn publish(&mut self) {
        if self.core.take_changed() {
            self.state.store(Arc::new(self.core.state().clone()));
            self.changes.send_replace(());
            (self.on_change)();
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for task in self.transfers.values() {
            task.abort();
        }
    }
}

async fn next_from(wire: &mut Wire, server: &mut Option<SocketAddr>) -> Input {
    match wire {
        Wire::Down => std::future::pending().await,
        Wire::Opening(opening) => match opening.await {
            Ok((socket, address)) => {
                *server = Some(address);
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

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
