//! The desktop app: views over a `voxhall-session`, sound devices, settings.
//!
//! - [`app`]: ties the rest together, once per frame
//! - [`audio`]: devices and their callbacks
//! - [`desktop`]: the app among the others on a desktop
//! - `fetch`: pictures on their way from the server
//! - `numbers`: what transfers and questions are called
//! - `ringer`: when a call rings, and `ringtone`: by which sound
//! - [`log`]: what is written down while it runs, and `report`: what of it is sent to somebody who helps
//! - [`settings`]: what is kept on this computer
//! - [`ui`]: views: functions of the session's state that give back what the person wants

pub mod app;
pub mod audio;
mod choose;
pub mod cli;
pub mod desktop;
mod fetch;
mod files;
mod idle;
pub mod log;
mod news;
mod numbers;
mod pictures;
mod report;
mod ringer;
mod ringtone;
pub mod settings;
pub mod ui;
