//! The app's icon among those that a desktop keeps in a corner, with a menu.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use super::icon::Badge;

#[cfg(all(unix, not(target_os = "macos")))]
#[path = "tray/item.rs"]
mod system;
#[cfg(not(all(unix, not(target_os = "macos"))))]
#[path = "tray/native.rs"]
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

    fn badge(self) -> Badge {
        match self {
            Self::Away => Badge::None,
            Self::InVoice => Badge::Live,
            Self::Muted => Badge::Minus,
            Self::Deafened => Badge::Cross,
        }
    }

    /// Who hears nobody is muted, too.
    fn is_muted(self) -> bool {
        matches!(self, Self::Muted | Self::Deafened)
    }
}

/// What the system's side tells the app.
struct Ear {
    pressed: SyncSender<Press>,
    there: Arc<AtomicBool>,
    on_change: Box<dyn Fn() + Send + Sync>,
}

impl Ear {
    fn press(&self, press: Press) {
        // An app that is behind has enough to do.
        let _ = self.pressed.try_send(press);
        (self.on_change)();
    }

    fn is_there(&self, there: bool) {
        self.there.store(there, Relaxed);
        (self.on_change)();
    }
}

/// The icon.
pub struct Tray {
    /// What it shows, if that is known.
    mood: Option<Mood>,
    icon: system::Icon,
    presses: Receiver<Press>,
    there: Arc<AtomicBool>,
}

impl Tray {
    /// On the thread of the window. `on_change` is called when something was pressed, and when the desktop's tray comes or goes; it must not block.
    ///
    /// # Errors
    /// The system refused a thread.
    pub fn start(on_change: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        let (pressed, presses) = sync_channel(WAITING);
        let there = Arc::new(AtomicBool::new(false));
        let ear = Ear {
            pressed,
            there: Arc::clone(&there),
            on_change: Box::new(on_change),
        };
        Ok(Self {
            mood: None,
            icon: system::Icon::start(ear)?,
            presses,
            there,
        })
    }

    /// What it is to show from now on. Where the desktop is behind it is told with the next call.
    pub fn show(&mut self, mood: Mood) {
        if self.mood != Some(mood) && self.icon.show(mood) {
            self.mood = Some(mood);
        }
    }

    /// What was pressed since the last call.
    pub fn next_press(&mut self) -> Option<Press> {
        let press = self.presses.try_recv().ok()?;
        // Windows and macOS turn the mark of what is pressed by themselves.
        self.mood = None;
        Some(press)
    }

    /// The desktop has a tray, and the icon is in it.
    pub fn is_there(&self) -> bool {
        self.there.load(Relaxed)
    }
}
