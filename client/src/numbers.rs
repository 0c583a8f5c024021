//! What is begun in this window has a number of its own: no two transfers and no two questions share one, on whatever server, nor do two
//! servers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use voxhall_session::{Tag, TransferId};

use crate::ui::ServerId;

static TRANSFERS: AtomicU64 = AtomicU64::new(0);
static TAGS: AtomicU64 = AtomicU64::new(0);
static SERVERS: AtomicU64 = AtomicU64::new(0);

pub fn next_transfer() -> TransferId {
    TransferId(TRANSFERS.fetch_add(1, Relaxed) + 1)
}

pub fn next_tag() -> Tag {
    Tag(TAGS.fetch_add(1, Relaxed) + 1)
}

pub fn next_server() -> ServerId {
    ServerId(SERVERS.fetch_add(1, Relaxed) + 1)
}
