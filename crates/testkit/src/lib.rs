//! What Voxhall's tests and benchmarks are made of. Development only.
//!
//! - [`sim`]: a network on a simulated clock: delay, jitter, loss, reordering, duplication, a rate limit, from a seed;
//! - [`proxy`]: the same between real sockets, in front of a real server, with NAT rebinding and black holes;
//! - [`signal`], [`wav`], [`speech`]: something to say, synthetic or recorded;
//! - [`correlate`]: finds what was said in what was heard: delay, likeness, dropouts;
//! - [`people`]: real sessions by the hundred in one process, for whatever is not about sound;
//! - [`process`]: the real server and bot programs as test fixtures;
//! - [`sound_card`]: the virtual sound card of `scripts/sound-card`;
//! - `screen_reader`, `display`: a program's window as a screen reader has it, and a keyboard, on Linux.
//!
//! Fixtures answer with `io::Error` whose text says what went wrong, the program's log included.

pub mod correlate;
#[cfg(all(unix, not(target_os = "macos")))]
pub mod display;
#[cfg(all(unix, not(target_os = "macos")))]
mod file_window;
pub mod people;
pub mod process;
pub mod proxy;
#[cfg(all(unix, not(target_os = "macos")))]
pub mod screen_reader;
pub mod signal;
pub mod sim;
pub mod sound_card;
pub mod speech;
pub mod wav;

use std::path::{Path, PathBuf};

/// The top of the source tree.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
