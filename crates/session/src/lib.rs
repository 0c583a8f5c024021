//! The client without a window: connect, sign in, keep up with the server, talk.
//!
//! [`Session`] runs one connection to one server. A view sends [`Intent`]s, draws [`State`], and lends its audio
//! device through [`Session::attach_audio`]. The desktop app, `voxhall-bot`, the benches and the tests all use it alike.
//!
//! # Write a bot
//!
//! A bot that only reads and writes needs no threads of its own: [`Session::start_silent`] makes it a task. It hears of everything by
//! [`Options::on_event`], asks the server anything by [`Session::ask`], and looks things up in [`Session::state`]. Reconnecting, resuming
//! and renewing tokens happen by themselves.
//!
//! ```no_run
//! use voxhall_protocol::control::{Event, SendMessage};
//! use voxhall_session::{Happening, Identity, Intent, Options, Session};
//!
//! # async fn bot() -> Result<(), Box<dyn std::error::Error>> {
//! let (told, mut messages) = tokio::sync::mpsc::channel(100);
//! let options = Options {
//!     on_event: Some(Box::new(move |happening| {
//!         if let Happening::Event(Event::MessageCreated { message, .. }) = happening {
//!             let _ = told.try_send(message.clone());
//!         }
//!     })),
//!     keep_login: Some(Box::new(|login| { /* into a file that nobody else can read */ })),
//!     ..Options::new("echo-bot/1.0", "my machine")
//! };
//! let session = Session::start_silent(options, &tokio::runtime::Handle::current())?;
//! session.send(Intent::Connect {
//!     link: "voxhall://talk.example:9000/k3t9xab2mnpq#…".parse()?,
//!     identity: Identity::Guest { name: "echo".into() },
//! });
//! let me = session.until(|state| state.me.as_ref().map(|me| me.id)).await;
//! while let Some(message) = messages.recv().await {
//!     if message.author.id != me && message.text.starts_with("echo ") {
//!         let nonce = format!("echo-of-{}", message.id);
//!         session.ask(SendMessage::new(message.channel_id, &message.text[5..], nonce)).await?;
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! `voxhall-bot answer` (`crates/bot/src/commands/live.rs`) is such a bot, whole.
//!
//! # Inside
//!
//! [`core`] is a pure state machine (`Input -> Output`, time as an argument); `state` is what it knows, and folds events without knowing
//! of connections; `shell` gives the core sockets, `files` moves uploads and downloads, and `voice` runs the two media workers.

pub mod audio;
pub mod control;
pub mod core;
mod files;
mod intent;
mod shell;
mod state;
mod tls;
mod voice;

pub use intent::{CallIntent, Identity, Intent, Place};
pub use shell::{EventHook, Happening, LoginKeeper, Options, Session, SpeakerTap};
pub use state::{
    Answer, AskError, CallOver, Calls, Connection, Guild, History, InviteLink, LastCall, Latency,
    Microphone, MicrophoneMeter, Music, Notice, NoticeLevel, PendingEdit, PendingMessage, Problem,
    Reading, Search, SpeakerMeter, StageHere, State, StoredLogin, Tag, Terms, Transfer, TransferId,
    TransferProgress, Transmit, Voice, VoiceMeters, VoicePath,
};
pub use voice::{Route, carry};
pub use voxhall_voice::{
    Channels, EchoStats, FrameLength, NoiseSuppression, Processing, SpeakerStats,
};

/// Makes the tests' "doesn't allocate" claims fail when they are wrong.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
