//! The whole app against the real server, without a display: what a person does from the first start on.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use voxhall::{
    app::{App, Start},
    settings::Store,
};
use voxhall_testkit::process::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(20);

struct Window(Harness<'static, App>);

impl Window {
    fn open(data: &Path, start: Start) -> Self {
        let store = Store::open(Some(data.to_owned())).expect("a folder");
        let build = |creation: &mut eframe::CreationContext<'static>| {
            App::new(&creation.egui_ctx, store, start).expect("the app starts")
        };
        Self(
            Harness::builder()
                .with_size([1100.0, 720.0])
                .build_eframe(build),
        )
    }

    fn join(data: &Path, link: &str, name: &str) -> Self {
        let link = Some(link.parse().expect("a link"));
        Self::open(
            data,
            Start {
                link,
                name: Some(name.to_owned()),
                ..Start::default()
            },
        )
    }

    /// Draws until `label` is to be seen.
    fn see(&mut self, label: &str) {
        let start = Instant::now();
        while self.0.query_all_by_label_contains(label).next().is_none() {
            assert!(
                start.elapsed() < PATIENCE,
                "never saw {label:?} but {}",
                self.words()
            );
            thread::sleep(Duration::from_millis(10));
            self.0.step();
        }
    }

    /// Everything that a screen reader would read.
    fn words(&self) -> String {
        let all = self.0.get_all(egui_kittest::kittest::by());
        let words = all.filter_map(|node| {
            node.accesskit_node()
                .label()
                .or_else(|| node.accesskit_node().value())
        });
        words.collect::<Vec<_>>().join(" | ")
    }

    fn no_longer_see(&mut self, label: &str) {
        let start = Instant::now();
        while self.0.query_all_by_label_contains(label).next().is_some() {
            assert!(start.elapsed() < PATIENCE, "still sees {label:?}");
            thread::sleep(Duration::from_millis(10));
            self.0.step();
        }
    }

    fn click(&mut self, label: &str) {
        self.see(label);
        // Until nothing moves any more: a click goes to a place.
        self.0.run_steps(5);
        self.0.get_by_label(label).click();
        self.0.run_steps(3);
    }

    fn write(&mut self, field: &str, text: &str) {
        self.see(field);
        self.0.get_by_label(field).focus();
        self.0.run_steps(2);
        self.0.get_by_label(field).type_text(text);
        self.0.run_steps(2);
    }
}

#[test]
fn a_link_and_a_name_are_enough_to_talk_and_to_write() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let owner = server.owner().expect("a fresh server has an owner link");
    let mut ann = Window::join(&folder.path().join("ann"), owner, "Ann");
    ann.see("Show the voice channel: Voice connected");
    ann.see("Ann in lounge");

    let mut bob = Window::join(&folder.path().join("bob"), server.invite(), "Bob");
    bob.see("Ann in lounge");
    ann.see("Bob in lounge");
    bob.click("Mute (Ctrl+Shift+M)");
    ann.see("Bob in lounge, muted");

    ann.click("Text channel general");
    ann.write("Message to general", "good evening");
    ann.click("Send message");
    bob.click("Text channel general");
    bob.see("good evening");

    bob.click("Voice channel hangout");
    ann.see("Bob in hangout");
    bob.click("Leave voice");
    ann.no_longer_see("Bob in hangout");

    ann.click("Invite people");
    ann.see("Copy link");
}

#[test]
fn whoever_was_there_is_there_again_next_time() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = Window::join(folder.path(), server.invite(), "Ann");
    ann.see("Ann in lounge");
    drop(ann);
    // No link, no name: the login kept on this computer.
    let mut ann = Window::open(folder.path(), Start::default());
    ann.see("Voice channel lounge");
    ann.see("Ann");
    // The invite again: the same Ann, not a second one.
    drop(ann);
    let mut ann = Window::join(folder.path(), server.invite(), "Ann");
    ann.see("Ann in lounge");
    ann.click("Text channel general");
    ann.see("ONLINE (1)");
    ann.0.run_steps(3);
    assert!(ann.0.query_by_label_contains("OFFLINE").is_none());

    ann.click("Settings");
    ann.click("Account");
    ann.click("Sign out on this device");
    ann.see("Invite link");
    assert!(
        ann.0
            .query_by_label_contains("WHERE YOU HAVE BEEN")
            .is_none()
    );
}

#[test]
fn a_newcomer_pastes_picks_a_name_and_is_in() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut guest = Window::open(folder.path(), Start::default());
    guest.write("Invite link", server.invite());
    guest.click("Continue");
    guest.see("You are invited to");
    guest.write("Your name", "Nia");
    guest.click("Join");
    guest.see("Voice channel lounge");
}

#[test]
fn someone_with_a_password_signs_in_on_another_computer() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let link = Some(server.invite().parse().expect("a link"));
    let mut first = Window::open(
        &folder.path().join("one"),
        Start {
            link,
            ..Start::default()
        },
    );
    first.click("New account");
    first.write("Your name", "Carla");
    first.write("Password", "correct horse");
    first.click("Create account");
    first.see("Voice channel lounge");

    let link = Some(server.invite().parse().expect("a link"));
    let mut second = Window::open(
        &folder.path().join("two"),
        Start {
            link,
            ..Start::default()
        },
    );
    second.click("Sign in");
    second.write("Your name", "Carla");
    second.write("Password", "wrong horse");
    second.click("Sign in now");
    second.see("wrong");
    second.write("Password", "correct horse");
    second.click("Sign in now");
    second.see("Voice channel lounge");
}

#[test]
fn what_is_wrong_is_said() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let invite: voxhall_protocol::link::Link = server.invite().parse().expect("a link");

    let mut stranger = invite.clone();
    stranger.code = Some("no-such-code".to_owned());
    let mut window = Window::join(&folder.path().join("a"), &stranger.to_string(), "Ann");
    window.see("invite");
    window.see("Back to the start");

    let mut changed = invite.clone();
    changed.pin = Some(voxhall_protocol::link::CertificatePin([7; 32]));
    let mut window = Window::join(&folder.path().join("b"), &changed.to_string(), "Ann");
    window.see("Stop: this may not be the server you know");
    assert!(window.0.query_by_label("Try again").is_none());
    window.click("Leave");
    window.see("Invite link");

    let mut nobody = invite;
    nobody.port = 9;
    let mut window = Window::join(&folder.path().join("c"), &nobody.to_string(), "Ann");
    window.see("Can't reach the server");
    window.see("Try again");
}

#[test]
fn a_server_that_comes_back_finds_everyone_in_their_channel() {
    let mut server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = Window::join(folder.path(), server.invite(), "Ann");
    ann.see("Show the voice channel: Voice connected");
    server.kill9().expect("the server dies");
    ann.see("Trying again");
    server.restart().expect("the server starts again");
    let restarted = Instant::now();
    ann.no_longer_see("Trying again");
    ann.see("Show the voice channel: Voice connected");
    assert!(
        restarted.elapsed() < Duration::from_secs(5),
        "{:?}",
        restarted.elapsed()
    );
}
