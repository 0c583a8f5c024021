//! The real app and the notifications of a desktop: a service on the desktop's bus that shows none, and presses them. `scripts/test` runs it on a
//! virtual display.
#![cfg(all(unix, not(target_os = "macos")))]

#[path = "common/reader.rs"]
mod reader;
#[path = "common/real.rs"]
mod real;

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use reader::Seat;
use voxhall_testkit::{display::Display, process::ServerProcess, screen_reader::ScreenReader};
use zbus::{
    blocking::{Connection, connection::Builder},
    zvariant::OwnedValue,
};

const PATIENCE: Duration = Duration::from_secs(20);
const PATH: &str = "/org/freedesktop/Notifications";
const NAME: &str = "org.freedesktop.Notifications";

#[derive(Debug)]
struct Shown {
    id: u32,
    title: String,
    text: String,
    /// In turn what a button is called by programs and by people.
    actions: Vec<String>,
}

/// As <https://specifications.freedesktop.org/notification-spec/> has it.
struct Service {
    shown: SyncSender<Shown>,
    last: u32,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
    fn notify(
        &mut self,
        _app: String,
        _replaces: u32,
        _icon: String,
        title: String,
        text: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expires_ms: i32,
    ) -> u32 {
        self.last += 1;
        let id = self.last;
        self.shown
            .try_send(Shown {
                id,
                title,
                text,
                actions,
            })
            .expect("the test looks at each");
        id
    }

    fn get_capabilities(&self) -> Vec<String> {
        vec!["actions".to_owned(), "body".to_owned()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        let [name, vendor, version, spec] = ["test", "voxhall", "1", "1.2"].map(str::to_owned);
        (name, vendor, version, spec)
    }

    fn close_notification(&self, _id: u32) {}
}

struct Desktop {
    bus: Connection,
    shown: Receiver<Shown>,
}

impl Desktop {
    fn start(address: &str) -> Self {
        let (shown, seen) = sync_channel(8);
        let bus = Builder::address(address)
            .and_then(|it| it.name(NAME))
            .and_then(|it| it.serve_at(PATH, Service { shown, last: 0 }))
            .and_then(Builder::build)
            .expect("the bus takes it");
        Self { bus, shown: seen }
    }

    fn next(&self) -> Shown {
        let shown = self.shown.recv_timeout(PATIENCE);
        shown.expect("a notification comes")
    }

    fn press(&self, shown: &Shown, button: &str) {
        assert!(shown.actions.iter().any(|it| it == button), "{shown:?}");
        // Nobody is as quick as the app's thread that listens for it.
        thread::sleep(Duration::from_millis(500));
        let pressed = (shown.id, button);
        self.bus
            .emit_signal(None::<&str>, PATH, NAME, "ActionInvoked", &pressed)
            .unwrap();
    }
}

#[test]
#[ignore = "needs a display"]
fn calls_are_accepted_and_rejected_and_messages_read_and_opened_by_their_notifications() {
    let reader = ScreenReader::start().expect("a screen reader");
    let desktop = Desktop::start(&reader.environment().1);
    let display = Display::connect().expect("a display");
    let server = ServerProcess::start().expect("a server");
    let ann = Seat::account(&reader, "{}", server.invite(), "Ann", &[]);
    let bea = Seat::account(&reader, "{}", server.invite(), "Bea", &[]);
    bea.step_aside();
    ann.befriend("Ann", &bea, "Bea");
    bea.click("All");
    // Bea looks at something else.
    display.focus(ann.app.process()).unwrap();

    ann.click("Call Bea");
    let call = desktop.next();
    assert_eq!((&*call.title, &*call.text), ("Ann", "Calls you"));
    desktop.press(&call, "Reject");
    ann.see("Bea rejected the call.");
    bea.no_longer_see("Ann is calling");

    ann.click("Call again");
    let call = desktop.next();
    desktop.press(&call, "Accept");
    ann.see("Hang up");
    bea.see("Hang up");
    ann.click("Hang up");
    bea.see("Ann hung up.");
    bea.click("Close");
    ann.click("Close");
    bea.click("Friends and direct messages");
    bea.click("Friends");

    display.focus(ann.app.process()).unwrap();
    ann.write("Message to Bea", "are you there");
    ann.enter();
    let message = desktop.next();
    assert_eq!(message.title, "Ann");
    bea.see("Friends and direct messages, 1 new");
    desktop.press(&message, "Mark as read");
    bea.no_longer_see("Friends and direct messages, 1 new");
    // Read, but not gone to.
    bea.see("Name of their account");

    ann.write("Message to Bea", "then later");
    ann.enter();
    let message = desktop.next();
    desktop.press(&message, "default");
    bea.see("then later");
    bea.see("are you there");
}
