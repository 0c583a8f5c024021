//! The app's icon among those that a desktop keeps in a corner, with a menu.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

#[cfg(all(unix, not(target_os = "macos")))]
#[path = "tray/item.rs"]
mod system;
#[cfg(not(all(unix, not(target_os = "macos"))))]
#[path = "tray/none.rs"]
mod system;

/// Presses that the app is behind with; more at once are nobody's wish.
const WAITING: usize = 8;

/// What somebody chose in the menu. A press of the icon itself shows the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    Show,
    /// Or no longer.
    Mute,
    Deafen,
    Quit,
}

/// What icon and menu say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Away,
    InVoice,
    Muted,
    /// And muted.
    Deafened,
}

impl Mood {
    pub fn words(self) -> &'static str {
        match self {
            Self::Away => "Voxhall",
            Self::InVoice => "Voxhall: in voice",
            Self::Muted => "Voxhall: muted",
            Self::Deafened => "Voxhall: deafened",
        }
    }
}

/// The icon, from a thread of its own, as the desktop may take its time.
pub struct Tray {
    mood: Mood,
    moods: SyncSender<Mood>,
    presses: Receiver<Press>,
    there: Arc<AtomicBool>,
}

impl Tray {
    /// `on_change` is called when something was pressed, and when the desktop's tray comes or goes; it must not block.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn start(on_change: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let (moods, changes) = sync_channel(WAITING);
        let (pressed, presses) = sync_channel(WAITING);
        let there = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&there);
        std::thread::Builder::new()
            .name("tray".to_owned())
            .spawn(move || system::run(&changes, pressed, &seen, Box::new(on_change)))?;
        Ok(Self {
            mood: Mood::default(),
            moods,
            presses,
            there,
        })
    }

    /// What it is to show from now on. Where the desktop is behind it is told with the next call.
    pub fn show(&mut self, mood: Mood) {
        if self.mood != mood && self.moods.try_send(mood).is_ok() {
            self.mood = mood;
        }
    }

    /// What was pressed since the last call.
    pub fn next_press(&self) -> Option<Press> {
        self.presses.try_recv().ok()
    }

    /// The desktop has a tray, and the icon is in it.
    pub fn is_there(&self) -> bool {
        self.there.load(Relaxed)
    }
}
