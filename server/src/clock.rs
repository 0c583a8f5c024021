//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use voxhall_protocol::control::UnixMs;

pub fn unix_ms() -> UnixMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMs::try_from(since.as_millis()).unwrap_or(UnixMs::MAX)
}
