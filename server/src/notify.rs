//! Tells systemd how the server is, where that is who started it. Elsewhere nothing happens.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ready,
    /// Reading the certificate again; [`State::Ready`] follows.
    Reloading,
    Stopping,
    /// Still well.
    Alive,
}

#[cfg(target_os = "linux")]
pub fn tell(state: State) {
    use sd_notify::NotifyState;
    let told = match state {
        State::Ready => sd_notify::notify(&[NotifyState::Ready]),
        State::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        State::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        State::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, ?state, "can't tell systemd");
    }
}

/// How often it wants to hear that all is well; none: it doesn't.
#[cfg(target_os = "linux")]
pub fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|within| within / 3)
}

#[cfg(not(target_os = "linux"))]
pub fn tell(_: State) {}

#[cfg(not(target_os = "linux"))]
pub fn alive_every() -> Option<Duration> {
    None
}
