//! A key that is seen while another window is in front.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use egui::Key;

#[cfg(all(unix, not(target_os = "macos")))]
#[path = "hotkey/x11.rs"]
mod system;
#[cfg(not(all(unix, not(target_os = "macos"))))]
#[path = "hotkey/registered.rs"]
mod system;

/// Where the key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    #[default]
    Everywhere,
    /// A function key does; any other while the app's window is in front.
    FunctionKeys,
    /// While the app's window is in front; and why only then.
    Window(&'static str),
}

/// The key to be watched, and whether it is down.
pub struct Hotkey {
    watch: Result<system::Watch, &'static str>,
    down: Arc<AtomicBool>,
    key: Option<Key>,
    /// The system did not give the key.
    refused: bool,
}

impl Hotkey {
    /// `on_change` is called when the key goes down or up, on a thread of its own; it must not block.
    pub fn new(on_change: impl Fn() + Send + Sync + 'static) -> Self {
        let down = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&down);
        let watch = system::Watch::start(move |is_down| {
            if state.swap(is_down, Relaxed) != is_down {
                on_change();
            }
        });
        Self {
            watch: watch.map_err(|error: system::Trouble| {
                tracing::info!("no key beyond the window: {error}");
                error.explanation()
            }),
            down,
            key: None,
            refused: false,
        }
    }

    /// Watches this key, or none.
    pub fn set_key(&mut self, key: Option<Key>) {
        if self.key == key {
            return;
        }
        self.key = key;
        self.down.store(false, Relaxed);
        self.refused = false;
        if let Ok(watch) = &mut self.watch
            && let Err(error) = watch.set_key(key)
        {
            tracing::warn!("can't watch the key: {error}");
            self.refused = true;
        }
    }

    pub fn is_down(&self) -> bool {
        self.down.load(Relaxed)
    }

    pub fn reach(&self) -> Reach {
        match self.watch {
            Ok(_) if self.refused => Reach::Window("The system doesn't give this key."),
            Ok(_) => system::REACH,
            Err(why) => Reach::Window(why),
        }
    }
}

pub fn is_function_key(key: Key) -> bool {
    (Key::F1..=Key::F35).contains(&key)
}

/// A thread for a key.
fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name("hotkey".to_owned());
    builder.spawn(work).map(drop)
}
