//! X11 tells of every key by XInput 2 raw events, whichever window is in front, and nothing is taken from other programs. Blocks
//! until a key comes, where the crates for this look each 50 ms.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use egui::Key;
use x11rb::{
    connection::Connection as _,
    errors::{ConnectError, ConnectionError, ReplyError},
    protocol::{
        Event,
        xinput::{ConnectionExt as _, Device, EventMask, XIEventMask},
        xproto::ConnectionExt as _,
    },
    rust_connection::RustConnection,
};

use crate::desktop::is_wayland;

pub const REACH: super::Reach = super::Reach::Everywhere;

/// No keycode.
const NONE: u32 = 0;

pub struct Watch {
    connection: Arc<RustConnection>,
    keycode: Arc<AtomicU32>,
}

#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("this is Wayland, which shows keys to the window in front alone")]
    Wayland,
    #[error("no X server: {0}")]
    Connect(#[from] ConnectError),
    #[error("the X server: {0}")]
    Connection(#[from] ConnectionError),
    #[error("the X server has no XInput 2: {0}")]
    Reply(#[from] ReplyError),
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Trouble {
    pub fn explanation(&self) -> &'static str {
        match self {
            Self::Wayland => "Wayland shows keys only to the window in front.",
            _ => "The X server doesn't show keys to other programs.",
        }
    }
}

impl Watch {
    pub fn start(on_key: impl Fn(bool) + Send + 'static) -> Result<Self, Trouble> {
        // X11 beside Wayland sees the keys of its own windows only.
        if is_wayland() {
            return Err(Trouble::Wayland);
        }
        let (connection, screen) = RustConnection::connect(None)?;
        let root = connection.setup().roots[screen].root;
        connection.xinput_xi_query_version(2, 2)?.reply()?;
        let keys = EventMask {
            deviceid: Device::ALL_MASTER.into(),
            mask: vec![XIEventMask::RAW_KEY_PRESS | XIEventMask::RAW_KEY_RELEASE],
        };
        connection.xinput_xi_select_events(root, &[keys])?.check()?;
        let connection = Arc::new(connection);
        let keycode = Arc::new(AtomicU32::new(NONE));
        let watch = Self {
            connection: Arc::clone(&connection),
            keycode: Arc::clone(&keycode),
        };
        super::spawn(move || {
            while let Ok(event) = connection.wait_for_event() {
                match event {
                    Event::XinputRawKeyPress(key) if key.detail == keycode.load(Relaxed) => {
                        on_key(true);
                    }
                    Event::XinputRawKeyRelease(key) if key.detail == keycode.load(Relaxed) => {
                        on_key(false);
                    }
                    _ => {}
                }
            }
        })?;
        Ok(watch)
    }

    pub fn set_key(&mut self, key: Option<Key>) -> Result<(), Trouble> {
        let code = match key.and_then(keysym) {
            Some(keysym) => self.keycode_of(keysym)?,
            None => None,
        };
        self.keycode.store(code.unwrap_or(NONE), Relaxed);
        Ok(())
    }

    fn keycode_of(&self, keysym: u32) -> Result<Option<u32>, Trouble> {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let mapping = self
            .connection
            .get_keyboard_mapping(first, last - first + 1)?;
        let mapping = mapping.reply()?;
        let of_each = usize::from(mapping.keysyms_per_keycode).max(1);
        let place = (mapping.keysyms.chunks(of_each)).position(|keysyms| keysyms.contains(&keysym));
        Ok(place.map(|place| u32::from(first) + place as u32))
    }
}

/// As X names it; none for keys that are no single one there.
fn keysym(key: Key) -> Option<u32> {
    const F1: u32 = 0xffbe;
    let function = (key as u32).checked_sub(Key::F1 as u32);
    if let Some(number) = function.filter(|number| *number <= Key::F35 as u32 - Key::F1 as u32) {
        return Some(F1 + number);
    }
    Some(match key {
        Key::Space => 0x20,
        Key::Tab => 0xff09,
        Key::Enter => 0xff0d,
        Key::Backspace => 0xff08,
        Key::Insert => 0xff63,
        Key::Delete => 0xffff,
        Key::Home => 0xff50,
        Key::End => 0xff57,
        Key::PageUp => 0xff55,
        Key::PageDown => 0xff56,
        Key::ArrowLeft => 0xff51,
        Key::ArrowUp => 0xff52,
        Key::ArrowRight => 0xff53,
        Key::ArrowDown => 0xff54,
        _ => {
            // Letters, digits and signs are their own keysyms.
            let mut symbol = key.symbol_or_name().chars();
            match (symbol.next(), symbol.next()) {
                (Some(symbol), None) if symbol.is_ascii() => symbol.to_ascii_lowercase().into(),
                _ => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_keysyms() {
        for (key, expected) in [
            (Key::F1, 0xffbe),
            (Key::F8, 0xffc5),
            (Key::F12, 0xffc9),
            (Key::A, 0x61),
            (Key::Num0, 0x30),
            (Key::Backtick, 0x60),
            (Key::Space, 0x20),
        ] {
            assert_eq!(keysym(key), Some(expected), "{key:?}");
        }
    }
}
