//! What a program's window says to a screen reader, and what one does with it: AT-SPI over D-Bus, by role and name.
//!
//! The session bus is this reader's own, so that a program that was started with [`ScreenReader::environment`] meets a desktop
//! on which somebody reads the screen, and no other program does.

use std::{
    fs::File,
    io,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use atspi::{CacheItem, Interface};
pub use atspi::{Role, State};
use pollster::block_on;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use zbus::{
    Connection,
    connection::Builder,
    zvariant::{DynamicType, OwnedObjectPath, Type, Value},
};

use crate::{
    display::{CONTROL, Display},
    file_window::{self, FileWindow},
};

/// For a window to show what is waited for, on a busy machine with a software renderer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const PACE: Duration = Duration::from_millis(30);
const SELECT_ALL: u32 = 'a' as u32;

const ACCESSIBLE: &str = "org.a11y.atspi.Accessible";
const ROOT: &str = "/org/a11y/atspi/accessible/root";

/// A desktop's accessibility bus, and who listens there.
#[derive(Debug)]
pub struct ScreenReader {
    daemon: Child,
    /// Sockets and logs.
    folder: TempDir,
    session: Connection,
    accessibility: Connection,
    display: Display,
}

impl ScreenReader {
    /// Starts a session bus, and says there that a screen reader runs.
    pub fn start() -> io::Result<Self> {
        let display = Display::connect()?;
        let folder = tempfile::tempdir()?;
        let log = File::create(folder.path().join("log"))?;
        let address = address(folder.path());
        // What it starts in turn keeps its sockets in the folder, and has nothing to show.
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile"])
            .arg(format!("--address={address}"))
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("GSETTINGS_BACKEND", "memory")
            .env_remove("DISPLAY")
            .env_remove("AT_SPI_BUS_ADDRESS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| io::Error::other(format!("dbus-daemon: {error}")))?;
        match block_on(connect(&address)) {
            Ok((session, accessibility)) => Ok(Self {
                daemon,
                folder,
                session,
                accessibility,
                display,
            }),
            Err(error) => {
                let _ = daemon.kill();
                let _ = daemon.wait();
                Err(io::Error::other(format!(
                    "no accessibility bus ({error}); is at-spi2-core installed?"
                )))
            }
        }
    }

    /// What a program has to be started with to be read.
    pub fn environment(&self) -> (&'static str, String) {
        ("DBUS_SESSION_BUS_ADDRESS", address(self.folder.path()))
    }

    /// From now on whoever is asked to choose a file chooses this one.
    pub fn choose(&self, file: &Path) -> io::Result<()> {
        let server = self.session.object_server();
        let window = FileWindow(file.to_owned());
        block_on(async {
            server.at(file_window::PATH, window).await?;
            self.session.request_name(file_window::NAME).await
        })
        .map_err(io::Error::other)
    }

    /// The window of a running program, as soon as it can be read.
    pub fn window(&self, process: u32) -> io::Result<Window<'_>> {
        let program = until(|| {
            let found = self.find_program(process).map_err(io::Error::other)?;
            found.ok_or_else(|| io::Error::other(format!("process {process} has nothing to read")))
        })?;
        Ok(Window {
            reader: self,
            program,
            process,
        })
    }

    fn find_program(&self, process: u32) -> zbus::Result<Option<String>> {
        let registry = "org.a11y.atspi.Registry";
        let programs: Vec<(String, OwnedObjectPath)> =
            self.call(registry, ROOT, ACCESSIBLE, "GetChildren", &())?;
        for (program, _) in programs {
            let bus = "org.freedesktop.DBus";
            let path = "/org/freedesktop/DBus";
            let method = "GetConnectionUnixProcessID";
            let its: u32 = self.call(bus, path, bus, method, &(&program))?;
            if its == process {
                return Ok(Some(program));
            }
        }
        Ok(None)
    }

    fn call<T: DeserializeOwned + Type>(
        &self,
        program: &str,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &(impl serde::Serialize + DynamicType),
    ) -> zbus::Result<T> {
        let call =
            self.accessibility
                .call_method(Some(program), path, Some(interface), method, arguments);
        block_on(call)?.body().deserialize()
    }
}

impl Drop for ScreenReader {
    fn drop(&mut self) {
        // What it has started ends with it.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Looks until it is so, or patience is over: then with what was wrong at last.
fn until<T>(mut look: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Err(_) if Instant::now() < deadline => thread::sleep(PACE),
            done => return done,
        }
    }
}

fn address(folder: &Path) -> String {
    format!("unix:path={}", folder.join("bus").display())
}

/// To the session bus, and to the other one that accessibility has for itself.
async fn connect(address: &str) -> zbus::Result<(Connection, Connection)> {
    let deadline = Instant::now() + PATIENCE;
    let session = loop {
        match Builder::address(address)?.build().await {
            Err(_) if Instant::now() < deadline => thread::sleep(PACE),
            done => break done?,
        }
    };
    let name = Some("org.a11y.Bus");
    let path = "/org/a11y/bus";
    for property in ["IsEnabled", "ScreenReaderEnabled"] {
        let arguments = ("org.a11y.Status", property, Value::from(true));
        let properties = Some("org.freedesktop.DBus.Properties");
        session
            .call_method(name, path, properties, "Set", &arguments)
            .await?;
    }
    let own = session
        .call_method(name, path, name, "GetAddress", &())
        .await?;
    let own: String = own.body().deserialize()?;
    let accessibility = Builder::address(own.as_str())?.build().await?;
    Ok((session, accessibility))
}

/// A program's window, read and used from outside.
#[derive(Clone, Debug)]
pub struct Window<'a> {
    reader: &'a ScreenReader,
    /// Its name on the accessibility bus.
    program: String,
    process: u32,
}

impl Window<'_> {
    /// Everything that can be read now, from top to bottom.
    pub fn nodes(&self) -> io::Result<Vec<Node>> {
        let (path, interface) = ("/org/a11y/atspi/cache", "org.a11y.atspi.Cache");
        let items: Vec<CacheItem> = self
            .reader
            .call(&self.program, path, interface, "GetItems", &())
            .map_err(io::Error::other)?;
        Ok(items.into_iter().map(Node).collect())
    }

    /// Waits for a node that `is` what is looked for, and only one.
    pub fn find(&self, what: &str, is: impl Fn(&Node) -> bool) -> io::Result<Node> {
        until(|| {
            let nodes = self.nodes()?;
            let mut found = nodes.iter().filter(|node| is(node));
            let how = match (found.next(), found.next()) {
                (Some(node), None) => return Ok(node.clone()),
                (Some(_), Some(_)) => "more than one",
                (None, _) => "no",
            };
            let words = format!("there is {how} {what}, but {}", words(&nodes));
            Err(io::Error::other(words))
        })
    }

    /// Waits until something is called so, or has this in its name.
    pub fn see(&self, words: &str) -> io::Result<()> {
        self.wait(&format!("nothing says {words:?}"), |nodes| {
            nodes.iter().any(|node| node.name().contains(words))
        })
    }

    pub fn no_longer_see(&self, words: &str) -> io::Result<()> {
        self.wait(&format!("something still says {words:?}"), |nodes| {
            !nodes.iter().any(|node| node.name().contains(words))
        })
    }

    /// Does what the node of that name is there for.
    pub fn click(&self, name: &str) -> io::Result<()> {
        let what = format!("{name:?} to click");
        let button = |node: &Node| {
            node.name() == name && node.has(Interface::Action) && node.is(State::Enabled)
        };
        self.act(&what, button, "org.a11y.atspi.Action", "DoAction", &0i32)
    }

    /// Replaces what stands in a field, by the keyboard.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let what = format!("field {name:?}");
        let field = |node: &Node| node.name() == name && node.has(Interface::EditableText);
        let component = "org.a11y.atspi.Component";
        self.reader.display.focus(self.process)?;
        self.act(&what, field, component, "GrabFocus", &())?;
        self.find(&format!("{what} with the keyboard"), |node| {
            field(node) && node.is(State::Focused)
        })?;
        self.press(&[CONTROL], SELECT_ALL)?;
        self.reader.display.write(text)?;
        let count = i32::try_from(text.chars().count()).map_err(io::Error::other)?;
        until(|| {
            let there = self.characters(&self.find(&what, field)?);
            if there.as_ref().is_ok_and(|there| *there == count) {
                return Ok(());
            }
            let words = format!("{what} has {there:?} characters in place of {count}");
            Err(io::Error::other(words))
        })
    }

    fn characters(&self, node: &Node) -> zbus::Result<i32> {
        let arguments = ("org.a11y.atspi.Text", "CharacterCount");
        let properties = "org.freedesktop.DBus.Properties";
        let count: zbus::zvariant::OwnedValue =
            self.reader
                .call(&self.program, node.path(), properties, "Get", &arguments)?;
        Ok(i32::try_from(count)?)
    }

    /// What stands in a field.
    pub fn read(&self, name: &str) -> io::Result<String> {
        let node = self.find(&format!("field {name:?}"), |node| {
            node.name() == name && node.has(Interface::Text)
        })?;
        let interface = "org.a11y.atspi.Text";
        self.reader
            .call(
                &self.program,
                node.path(),
                interface,
                "GetText",
                &(0i32, -1i32),
            )
            .map_err(io::Error::other)
    }

    /// Presses a key in this window.
    pub fn press(&self, held: &[u32], keysym: u32) -> io::Result<()> {
        self.reader.display.focus(self.process)?;
        self.reader.display.press(held, keysym)
    }

    /// Gives it a place and a size. Where it hides another window whole, that one need not be drawn, and can't be read.
    pub fn place(&self, at: [i32; 2], size: [u32; 2]) -> io::Result<()> {
        self.reader.display.place(self.process, at, size)
    }

    pub fn close(&self) -> io::Result<()> {
        self.reader.display.close(self.process)
    }

    fn act(
        &self,
        what: &str,
        is: impl Fn(&Node) -> bool,
        interface: &str,
        method: &str,
        arguments: &(impl serde::Serialize + DynamicType),
    ) -> io::Result<()> {
        // It may go between being read and being used.
        until(|| {
            let node = self.find(what, &is)?;
            let done: zbus::Result<bool> =
                self.reader
                    .call(&self.program, node.path(), interface, method, arguments);
            match done {
                Ok(true) => Ok(()),
                done => Err(io::Error::other(format!("{what}: {method} gave {done:?}"))),
            }
        })
    }

    fn wait(&self, trouble: &str, is: impl Fn(&[Node]) -> bool) -> io::Result<()> {
        until(|| {
            let nodes = self.nodes()?;
            let words = || io::Error::other(format!("{trouble}, but {}", words(&nodes)));
            is(&nodes).then_some(()).ok_or_else(words)
        })
    }
}

/// Something in a window, as it was when it was read.
#[derive(Clone, Debug)]
pub struct Node(CacheItem);

impl Node {
    /// AT-SPI has it as the short name; what it has as the name is the description.
    #[expect(clippy::misnamed_getters, reason = "the field's own name says less")]
    pub fn name(&self) -> &str {
        &self.0.short_name
    }

    pub fn role(&self) -> Role {
        self.0.role
    }

    pub fn is(&self, state: State) -> bool {
        self.0.states.contains(state)
    }

    fn has(&self, interface: Interface) -> bool {
        self.0.ifaces.contains(interface)
    }

    fn path(&self) -> &str {
        self.0.object.path_as_str()
    }
}

/// Roles and names, for who looks for something else.
fn words(nodes: &[Node]) -> String {
    let named = nodes.iter().filter(|node| !node.name().is_empty());
    let named = named.map(|node| format!("{} {:?}", node.role().name(), node.name()));
    named.collect::<Vec<_>>().join(", ")
}
