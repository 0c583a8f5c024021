//! The desktop app: views over a `voxhall-session`, sound devices, settings.
//!
//! - [`app`]: ties the rest together, once per frame
//! - [`audio`]: devices and their callbacks
//! - [`settings`]: what is kept on this computer
//! - [`ui`]: views: functions of the session's state that give back what the person wants

pub mod app;
pub mod audio;
pub mod cli;
pub mod settings;
pub mod ui;
