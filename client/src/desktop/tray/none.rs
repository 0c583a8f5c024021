//! No tray yet on this system.

use std::sync::{
    Arc,
    atomic::AtomicBool,
    mpsc::{Receiver, SyncSender},
};

use super::{Mood, Press};

pub fn run(
    _: &Receiver<Mood>,
    _: SyncSender<Press>,
    _: &Arc<AtomicBool>,
    _: Box<dyn Fn() + Send + Sync>,
) {
}
