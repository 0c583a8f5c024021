//! The client without a window: connect, sign in, keep up with the server, talk.
//!
//! [`Session`] runs one connection to one server. A view sends [`Intent`]s, draws [`State`], and lends its audio
//! device through [`Session::attach_audio`]. The desktop app, `voxhall-bot`, the benches and the tests all use it alike.
//!
//! Inside, [`core`] is a pure state machine (`Input -> Output`, time as an argument); `shell` gives it sockets, and `voice` runs the
//! two media workers.

pub mod audio;
pub mod control;
pub mod core;
mod files;
mod intent;
mod shell;
mod state;
mod tls;
mod voice;

pub use intent::{Identity, Intent, Place};
pub use shell::{EventHook, Happening, LoginKeeper, Options, Session, SpeakerTap};
pub use state::{
    Answer, AskError, Connection, Guild, History, InviteLink, Notice, NoticeLevel, PendingEdit,
    PendingMessage, Problem, Reading, Search, SpeakerMeter, State, StoredLogin, Tag, Terms,
    Transfer, TransferId, TransferProgress, Transmit, Voice, VoiceMeters, VoicePath,
};
pub use voxhall_voice::{FrameLength, SpeakerStats};

/// Makes the tests' "doesn't allocate" claims fail when they are wrong.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
