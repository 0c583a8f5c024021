//! Windows and macOS: a key registered with the system, which then no other program gets.

use egui::Key;
use global_hotkey::{
    GlobalHotKeyEvent, GlobalHotKeyManager, HotKeyState,
    hotkey::{HotKey, HotKeyParseError},
};

use super::{Reach, is_function_key};

pub const REACH: Reach = Reach::FunctionKeys;

pub struct Watch {
    manager: GlobalHotKeyManager,
    key: Option<HotKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    System(#[from] global_hotkey::Error),
    #[error("{0}")]
    Key(#[from] HotKeyParseError),
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Trouble {
    pub fn explanation(&self) -> &'static str {
        "The system doesn't show keys to other programs."
    }
}

impl Watch {
    /// On the thread of the window.
    pub fn start(on_key: impl Fn(bool) + Send + 'static) -> Result<Self, Trouble> {
        let manager = GlobalHotKeyManager::new()?;
        super::spawn(move || {
            while let Ok(event) = GlobalHotKeyEvent::receiver().recv() {
                on_key(event.state == HotKeyState::Pressed);
            }
        })?;
        Ok(Self { manager, key: None })
    }

    /// Only function keys: whoever registers a letter takes it from all other programs.
    pub fn set_key(&mut self, key: Option<Key>) -> Result<(), Trouble> {
        if let Some(old) = self.key.take() {
            self.manager.unregister(old)?;
        }
        if let Some(key) = key.filter(|key| is_function_key(*key)) {
            let key: HotKey = key.name().parse()?;
            self.manager.register(key)?;
            self.key = Some(key);
        }
        Ok(())
    }
}
