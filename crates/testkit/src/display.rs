//! The X display that a test runs on: where a program's window stands, and somebody at the keyboard.

use std::{error::Error, io};

use x11rb::{
    CURRENT_TIME,
    connection::Connection as _,
    protocol::{
        xproto::{
            AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask,
            InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MapState, Window,
        },
        xtest::ConnectionExt as _,
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
};

/// Keysyms of what writes nothing.
pub const RETURN: u32 = 0xff0d;
pub const ESCAPE: u32 = 0xff1b;
pub const CONTROL: u32 = 0xffe3;
const SHIFT: u32 = 0xffe1;

/// A connection to the display of the environment.
#[derive(Debug)]
pub struct Display {
    connection: RustConnection,
    root: Window,
    first_keycode: u8,
    /// Of every key, what it writes without shift and with it.
    keys: Vec<(u32, u32)>,
}

impl Display {
    /// The one that the environment names.
    pub fn connect() -> io::Result<Self> {
        Self::open(None)
            .map_err(|error| io::Error::other(format!("no display to test on: {error}")))
    }

    pub fn connect_to(name: &str) -> io::Result<Self> {
        Self::open(Some(name)).map_err(|error| io::Error::other(format!("display {name}: {error}")))
    }

    fn open(name: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let (connection, screen) = RustConnection::connect(name)?;
        let setup = connection.setup();
        let root = setup.roots[screen].root;
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let mapping = connection
            .get_keyboard_mapping(first, last - first + 1)?
            .reply()?;
        let keys = mapping
            .keysyms
            .chunks(mapping.keysyms_per_keycode.into())
            .map(|keysyms| (keysyms[0], keysyms.get(1).copied().unwrap_or_default()))
            .collect();
        Ok(Self {
            connection,
            root,
            first_keycode: first,
            keys,
        })
    }

    /// Gives the window of a process a place and a size. There is no window manager that would.
    pub fn place(&self, process: u32, at: [i32; 2], size: [u32; 2]) -> io::Result<()> {
        let place = ConfigureWindowAux::new()
            .x(at[0])
            .y(at[1])
            .width(size[0])
            .height(size[1]);
        self.with_window(process, |window| {
            self.connection.configure_window(window, &place)?.check()?;
            Ok(())
        })
    }

    /// Gives the window of a process the keyboard.
    pub fn focus(&self, process: u32) -> io::Result<()> {
        self.with_window(process, |window| {
            let focus = InputFocus::POINTER_ROOT;
            self.connection
                .set_input_focus(focus, window, CURRENT_TIME)?
                .check()?;
            Ok(())
        })
    }

    /// What the button in the corner of a window does.
    pub fn close(&self, process: u32) -> io::Result<()> {
        self.with_window(process, |window| {
            let atom = |name: &str| -> Result<_, Box<dyn Error>> {
                Ok(self
                    .connection
                    .intern_atom(false, name.as_bytes())?
                    .reply()?
                    .atom)
            };
            let data = [atom("WM_DELETE_WINDOW")?, CURRENT_TIME, 0, 0, 0];
            let message = ClientMessageEvent::new(32, window, atom("WM_PROTOCOLS")?, data);
            self.connection
                .send_event(false, window, EventMask::NO_EVENT, message)?
                .check()?;
            Ok(())
        })
    }

    /// Whether the window of a process is on the display, and not hidden.
    pub fn shows(&self, process: u32) -> io::Result<bool> {
        let mut shown = false;
        self.with_window(process, |window| {
            let seen = self.connection.get_window_attributes(window)?.reply()?;
            shown = seen.map_state == MapState::VIEWABLE;
            Ok(())
        })?;
        Ok(shown)
    }

    pub fn key(&self, keysym: u32, down: bool) -> io::Result<()> {
        let (keycode, _) = self.find_key(keysym)?;
        self.send(keycode, down)
    }

    /// Presses a key and lets it go, while others are held.
    pub fn press(&self, held: &[u32], keysym: u32) -> io::Result<()> {
        for key in held {
            self.key(*key, true)?;
        }
        self.key(keysym, true)?;
        self.key(keysym, false)?;
        for key in held {
            self.key(*key, false)?;
        }
        Ok(())
    }

    /// Writes Latin text, as somebody at the keyboard does.
    pub fn write(&self, text: &str) -> io::Result<()> {
        for character in text.chars() {
            // The keysyms of Latin-1 are its characters.
            let (keycode, shifted) = self.find_key(character.into())?;
            let (shift, _) = self.find_key(SHIFT)?;
            if shifted {
                self.send(shift, true)?;
            }
            self.send(keycode, true)?;
            self.send(keycode, false)?;
            if shifted {
                self.send(shift, false)?;
            }
        }
        Ok(())
    }

    /// The key that writes `keysym`, and whether it does so with shift.
    fn find_key(&self, keysym: u32) -> io::Result<(u8, bool)> {
        let mut keys = (self.first_keycode..=u8::MAX).zip(&self.keys);
        let found = keys.find_map(|(keycode, (plain, shifted))| {
            (*plain == keysym || *shifted == keysym).then_some((keycode, *plain != keysym))
        });
        found.ok_or_else(|| io::Error::other(format!("the keyboard has no key for {keysym:#x}")))
    }

    fn send(&self, keycode: u8, down: bool) -> io::Result<()> {
        let kind = if down {
            KEY_PRESS_EVENT
        } else {
            KEY_RELEASE_EVENT
        };
        let sent =
            self.connection
                .xtest_fake_input(kind, keycode, CURRENT_TIME, self.root, 0, 0, 0);
        sent.map_err(io::Error::other)?
            .check()
            .map_err(io::Error::other)
    }

    fn with_window(
        &self,
        process: u32,
        act: impl FnOnce(Window) -> Result<(), Box<dyn Error>>,
    ) -> io::Result<()> {
        let act = || {
            let window = self.window_of(process)?.ok_or("it has no window")?;
            act(window)?;
            // What is asked of the display has happened when this returns.
            self.connection.sync()?;
            Ok(())
        };
        act().map_err(|error: Box<dyn Error>| {
            io::Error::other(format!("the window of process {process}: {error}"))
        })
    }

    fn window_of(&self, process: u32) -> Result<Option<Window>, Box<dyn Error>> {
        let name = self
            .connection
            .intern_atom(false, b"_NET_WM_PID")?
            .reply()?
            .atom;
        for window in self.connection.query_tree(self.root)?.reply()?.children {
            let property =
                self.connection
                    .get_property(false, window, name, AtomEnum::CARDINAL, 0, 1)?;
            // Another program's window may be gone by now.
            let Ok(property) = property.reply() else {
                continue;
            };
            if property.value32().and_then(|mut values| values.next()) == Some(process) {
                return Ok(Some(window));
            }
        }
        Ok(None)
    }
}
