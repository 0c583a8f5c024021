//! The real app and the tray of a desktop: a bus, and a watcher on it that presses menu items. `scripts/test` runs it on a virtual display.
#![cfg(all(unix, not(target_os = "macos")))]

#[path = "common/window.rs"]
mod window;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use voxhall_testkit::{display::Display, process::ServerProcess};
use zbus::{
    blocking::{Connection, Proxy, connection::Builder, proxy::Builder as ProxyBuilder},
    proxy::CacheProperties,
    zvariant::{OwnedValue, Value},
};

use window::Window;

const PATIENCE: Duration = Duration::from_secs(20);

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Killed {
    fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A bus of its own.
struct Bus {
    _daemon: Killed,
    address: String,
}

impl Bus {
    fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon");
        let mut address = String::new();
        let out = daemon.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut address).unwrap();
        Self {
            _daemon: Killed(daemon),
            address: address.trim().to_owned(),
        }
    }
}

struct Watcher(SyncSender<String>);

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, service: &str) {
        self.0.try_send(service.to_owned()).unwrap();
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }
}

/// The tray of a desktop.
struct Tray {
    bus: Connection,
    items: Receiver<String>,
}

impl Tray {
    fn start(bus: &Bus) -> Self {
        let (sender, items) = sync_channel(4);
        let bus = Builder::address(bus.address.as_str())
            .and_then(|it| it.name("org.kde.StatusNotifierWatcher"))
            .and_then(|it| it.serve_at("/StatusNotifierWatcher", Watcher(sender)))
            .and_then(Builder::build)
            .expect("the bus takes it");
        Self { bus, items }
    }

    fn next_item(&self) -> Item<'_> {
        let name = self.items.recv_timeout(PATIENCE).expect("an item comes");
        let proxy = |path: &'static str, interface: &'static str| {
            ProxyBuilder::new(&self.bus)
                .destination(name.clone())
                .and_then(|it| it.path(path))
                .and_then(|it| it.interface(interface))
                .and_then(|it| it.cache_properties(CacheProperties::No).build())
                .unwrap()
        };
        Item {
            item: proxy("/StatusNotifierItem", "org.kde.StatusNotifierItem"),
            menu: proxy("/MenuBar", "com.canonical.dbusmenu"),
        }
    }
}

struct Item<'a> {
    item: Proxy<'a>,
    menu: Proxy<'a>,
}

type Icons = Vec<(i32, i32, Vec<u8>)>;

impl Item<'_> {
    fn shows(&self, title: &str) {
        let start = Instant::now();
        loop {
            let shown: String = self.item.get_property("Title").unwrap();
            if shown == title {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "shows {shown:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn icons(&self) -> Icons {
        self.item.get_property("IconPixmap").unwrap()
    }

    /// The menu as it is now: id, words, and whether there is a mark before them.
    fn menu(&self) -> Vec<(i32, String, bool)> {
        let names = vec!["label", "toggle-state"];
        let all: Vec<(i32, HashMap<String, OwnedValue>)> = self
            .menu
            .call("GetGroupProperties", &(Vec::<i32>::new(), names))
            .unwrap();
        let words = |(id, mut properties): (i32, HashMap<String, OwnedValue>)| {
            let label = String::try_from(properties.remove("label")?).ok()?;
            let marked = properties.remove("toggle-state");
            let marked = marked.and_then(|state| i32::try_from(state).ok()) == Some(1);
            Some((id, label, marked))
        };
        all.into_iter().filter_map(words).collect()
    }

    fn press(&self, label: &str) {
        let menu = self.menu();
        let found = menu.iter().find(|(_, words, _)| words == label);
        let (id, ..) = found.unwrap_or_else(|| panic!("no {label:?} in {menu:?}"));
        let event = (*id, "clicked", Value::from(0_i32), 0_u32);
        self.menu.call::<_, _, ()>("Event", &event).unwrap();
    }
}

/// Waits until the app's window is to be seen, or no longer.
fn becomes(display: &Display, app: &Killed, shown: bool) {
    let start = Instant::now();
    // There is none before it is made.
    while display.shows(app.0.id()).ok() != Some(shown) {
        assert!(start.elapsed() < PATIENCE, "shown: {}", !shown);
        thread::sleep(Duration::from_millis(20));
    }
}

fn start(bus: &str, data: &Path, link: &str) -> Killed {
    fs::create_dir_all(data).unwrap();
    let settings = r#"{ "close_to_tray": true }"#;
    fs::write(data.join("settings.json"), settings).unwrap();
    let app = Command::new(env!("CARGO_BIN_EXE_voxhall"))
        .args([link, "--name", "Ann", "--data"])
        .arg(data)
        .env("DBUS_SESSION_BUS_ADDRESS", bus)
        .env_remove("WAYLAND_DISPLAY")
        .spawn();
    Killed(app.expect("the app"))
}

#[test]
#[ignore = "needs a display"]
fn the_tray_shows_how_it_stands_mutes_hides_shows_and_ends_the_app() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start();
    let tray = Tray::start(&bus);
    let mut ann = start(&bus.address, &folder.path().join("ann"), server.invite());
    let item = tray.next_item();
    let mut bob = Window::join(&folder.path().join("bob"), server.invite(), "Bob");
    bob.see("Ann in lounge");
    item.shows("Voxhall: in voice");
    let talking = item.icons();

    item.press("Mute");
    bob.see("Ann in lounge, muted");
    item.shows("Voxhall: muted");
    let muted = item.icons();
    assert!(talking != muted, "the icon says so");
    let marked = |item: &Item<'_>| -> Vec<String> {
        let menu = item.menu().into_iter();
        menu.filter(|it| it.2).map(|it| it.1).collect()
    };
    assert_eq!(marked(&item), ["Mute"]);
    item.press("Deafen");
    bob.see("Ann in lounge, muted, deafened");
    item.shows("Voxhall: deafened");
    assert!(muted != item.icons());
    assert_eq!(marked(&item), ["Mute", "Deafen"]);
    item.press("Mute");
    item.shows("Voxhall: in voice");

    let display = Display::connect().expect("a display");
    becomes(&display, &ann, true);
    display.close(ann.0.id()).unwrap();
    becomes(&display, &ann, false);
    // What is pressed while nothing is to be seen is done all the same.
    item.press("Mute");
    bob.see("Ann in lounge, muted");
    item.press("Show window");
    becomes(&display, &ann, true);
    display.close(ann.0.id()).unwrap();
    becomes(&display, &ann, false);
    item.press("Quit Voxhall");
    assert!(ann.ended().success());
    bob.no_longer_see("Ann in lounge");
}

#[test]
#[ignore = "needs a display"]
fn a_tray_that_comes_later_is_found_and_without_one_closing_ends_the_app() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().unwrap();
    let bus = Bus::start();
    let mut ann = start(&bus.address, &folder.path().join("ann"), server.invite());
    let display = Display::connect().expect("a display");
    becomes(&display, &ann, true);
    let tray = Tray::start(&bus);
    let item = tray.next_item();
    item.shows("Voxhall: in voice");
    display.close(ann.0.id()).unwrap();
    becomes(&display, &ann, false);

    // What shows the tray has crashed: the window would be lost.
    drop(item);
    drop(tray);
    becomes(&display, &ann, true);
    display.close(ann.0.id()).unwrap();
    assert!(ann.ended().success());

    // No bus at all.
    let nowhere = format!("unix:path={}", folder.path().join("nothing").display());
    let mut ann = start(&nowhere, &folder.path().join("other"), server.invite());
    becomes(&display, &ann, true);
    display.close(ann.0.id()).unwrap();
    assert!(ann.ended().success());
}
