//! The app among the others on a desktop: one of it for a person, a key that works while another window is in front, notifications, its icon in the
//! tray, and whether it starts by itself.

mod autostart;
mod hotkey;
pub mod icon;
mod instance;
#[cfg(windows)]
pub mod links;
mod notify;
#[cfg(windows)]
mod registry;
mod tray;

pub use autostart::Autostart;
pub use hotkey::{Hotkey, Reach, is_function_key};
pub use instance::{Claim, Instance};
pub use notify::{About, Answer, Answered, News, Notifier};
pub use tray::{Mood, Press, Tray};

/// The window is on Wayland wherever that is there.
pub fn is_wayland() -> bool {
    std::env::var_os("WAYLAND_DISPLAY").is_some_and(|display| !display.is_empty())
}
