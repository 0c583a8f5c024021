//! How many messages a second are stored and acknowledged, each on disk by then, and how long a page of history takes.
//! `cargo bench -p voxhall-store`. The disk that counts is the one of TMPDIR.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use divan::{Bencher, counter::ItemsCount};
use tokio::{runtime::Runtime, task::JoinSet};
use voxhall_store::{HistoryAt, Messages, SqliteStore, maintenance};

#[path = "../tests/support/mod.rs"]
mod support;
use support::Room;

/// Messages that each writer stores one after the other, so that the start of the tasks doesn't count.
const EACH: usize = 16;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 16, 256], sample_count = 20, sample_size = 1)]
fn post(bencher: Bencher<'_, '_>, writers: usize) {
    let place = Place::new();
    place.post(writers, EACH);
    bencher
        .counter(ItemsCount::new(writers * EACH))
        .bench_local(|| place.post(writers, EACH));
}

/// A page of 50 messages from a channel of 20,000, while so many writers store more.
#[divan::bench(args = [0, 16], sample_count = 500, sample_size = 1)]
fn page(bencher: Bencher<'_, '_>, writers: usize) {
    let place = Place::new();
    place.post(200, 100);
    let mut busy = JoinSet::new();
    for _ in 0..writers {
        let (store, room) = (place.store.clone(), place.room);
        let writing = async move {
            loop {
                room.post(&store, nonce()).await;
            }
        };
        busy.spawn_on(writing, place.runtime.handle());
    }
    let Room { author, channel } = place.room;
    bencher.bench_local(|| {
        let page = place.store.history(author, channel, HistoryAt::Newest, 50);
        place.runtime.block_on(page).expect("a member reads")
    });
}

struct Place {
    runtime: Runtime,
    room: Room,
    store: SqliteStore,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(maintenance::DATABASE);
        let runtime = Runtime::new().expect("a runtime");
        Self {
            room: runtime.block_on(Room::furnish(&file)),
            store: SqliteStore::open(&file).expect("a store"),
            runtime,
            _folder: folder,
        }
    }

    /// As many tasks as there are writers, which each store messages one after the other.
    fn post(&self, writers: usize, each: usize) {
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let (store, room) = (self.store.clone(), self.room);
            let writing = async move {
                for _ in 0..each {
                    room.post(&store, nonce()).await;
                }
            };
            tasks.spawn_on(writing, self.runtime.handle());
        }
        self.runtime.block_on(tasks.join_all());
    }
}

fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed).to_string()
}
