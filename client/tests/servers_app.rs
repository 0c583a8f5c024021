//! The whole app on several real servers at once.

#[path = "common/window.rs"]
mod window;

use std::{path::Path, thread, time::Duration};

use egui::Key;
use egui_kittest::kittest::{NodeT, Queryable};
use voxhall::app::Start;
use voxhall_testkit::process::ServerProcess;

use window::Window;

/// Longer than settings and drafts wait before they are written.
const SAVED: Duration = Duration::from_millis(900);

fn server(name: &str) -> ServerProcess {
    ServerProcess::start_with(["--server-name", name]).expect("a server")
}

fn guild(server: &str) -> String {
    format!("Server {server} on {server}")
}

/// On both, in voice on North, which was the first; South is shown.
fn on_both(folder: &Path, north: &ServerProcess, south: &ServerProcess) -> Window {
    let mut ann = Window::join(folder, north.invite(), "Ann");
    ann.see("Ann in lounge");
    assert!(!ann.words().contains("on North"), "{}", ann.words());
    ann.click("Add a server");
    ann.click("Go there");
    ann.see("Back to North");
    ann.write("Invite link", south.invite());
    ann.click("Continue");
    ann.see("You are invited to");
    ann.click("Join");
    ann.see(&guild("South"));
    ann.see(&guild("North"));
    ann
}

#[test]
fn one_is_on_two_servers_and_each_keeps_its_own() {
    let (north, south) = (server("North"), server("South"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = on_both(&folder.path().join("ann"), &north, &south);
    ann.see("Voxhall server North");
    ann.see("Voxhall server South");

    // The same channel by its number, and two drafts.
    ann.click("Text channel general");
    ann.write("Message to general", "for the south");
    ann.click(&guild("North"));
    ann.click("Text channel general");
    ann.see("Welcome to #general");
    assert!(ann.0.query_all_by_value("for the south").next().is_none());
    ann.write("Message to general", "for the north");
    ann.0.key_press_modifiers(egui::Modifiers::COMMAND, Key::Z);
    ann.0.run_steps(3);
    assert!(ann.0.query_all_by_value("for the south").next().is_none());
    ann.click(&guild("South"));
    ann.see("Message to general");
    ann.0.run_steps(3);
    assert!(ann.0.query_all_by_value("for the south").next().is_some());
    assert!(ann.0.query_all_by_value("for the north").next().is_none());

    // What is written there is marked here.
    let mut bob = Window::join(&folder.path().join("bob"), north.invite(), "Bob");
    bob.click("Text channel general");
    bob.write("Message to general", "is anybody there");
    bob.0.key_press(Key::Enter);
    bob.0.run_steps(3);
    ann.see("Server North on North, unread");
    bob.write("Message to general", "wake up @ann please");
    bob.0.key_press(Key::Enter);
    bob.0.run_steps(3);
    ann.see("Server North on North, 1 mention");
    ann.0.run_steps(5);
    ann.0.get_by_label_contains("Server North on North").click();
    ann.0.run_steps(3);
    ann.see("is anybody there");
    ann.see(&guild("North"));
}

#[test]
fn voice_is_on_one_server_at_a_time_and_switches_are_for_all() {
    let (north, south) = (server("North"), server("South"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut bob = Window::join(&folder.path().join("bob"), north.invite(), "Bob");
    let mut cid = Window::join(&folder.path().join("cid"), south.invite(), "Cid");
    let mut ann = on_both(&folder.path().join("ann"), &north, &south);
    bob.see("Ann in lounge");

    // Seen from the other one: where it is, muted from there, and the way there.
    ann.see("In voice on North: #lounge");
    ann.click("Mute (Ctrl+Shift+M)");
    bob.see("Ann in lounge, muted");
    ann.click("In voice on North: #lounge");
    ann.see("Show the voice channel: Voice connected");
    ann.no_longer_see("In voice on North");
    ann.see("Unmute (Ctrl+Shift+M)");

    // It goes over.
    ann.click(&guild("South"));
    ann.click("Voice channel lounge");
    cid.see("Ann in lounge, muted");
    // The app leaves the one when it sees that the other let it in.
    ann.see("Show the voice channel: Voice connected");
    bob.no_longer_see("Ann in lounge");
    ann.click("Unmute (Ctrl+Shift+M)");
    cid.no_longer_see("Ann in lounge, muted");

    // Left from afar.
    ann.click(&guild("North"));
    ann.see("In voice on South: #lounge");
    ann.click("Leave voice on South");
    cid.no_longer_see("Ann in lounge");
    ann.no_longer_see("In voice on South");
}

#[test]
fn what_was_open_is_open_next_time_and_one_is_closed_without_the_other() {
    let (north, south) = (server("North"), server("South"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = on_both(folder.path(), &north, &south);
    ann.click("Text channel general");
    ann.write("Message to general", "half a letter");
    thread::sleep(SAVED);
    ann.0.run_steps(3);
    drop(ann);

    let mut ann = Window::open(folder.path(), Start::default());
    ann.see(&guild("North"));
    ann.see(&guild("South"));
    // It is shown as it was last.
    ann.click("Text channel general");
    ann.see("Welcome to #general");
    assert!(ann.0.query_all_by_value("half a letter").next().is_some());

    let account = |ann: &mut Window| {
        ann.click("Settings");
        ann.click("Account");
        // The list of devices above it has arrived by then.
        ann.see("connected now");
    };
    account(&mut ann);
    ann.see("on South.");
    ann.find("Disconnect");
    ann.no_longer_see("South");
    ann.see("Server North");
    assert!(!ann.words().contains("on North"), "{}", ann.words());

    // It is one of the places where one has been, and its draft is kept.
    account(&mut ann);
    ann.find("Go to another server");
    ann.see("Back to North");
    ann.0.run_steps(5);
    ann.0.get_by_label_contains(" as Ann").click();
    ann.0.run_steps(3);
    ann.see(&guild("South"));
    ann.click("Text channel general");
    ann.see("Welcome to #general");
    assert!(ann.0.query_all_by_value("half a letter").next().is_some());

    account(&mut ann);
    ann.find("Sign out on this device");
    ann.no_longer_see("South");
    account(&mut ann);
    ann.see("on North.");
    ann.find("Sign out on this device");
    ann.see("Come on in");
    thread::sleep(SAVED);
    ann.0.run_steps(3);
    drop(ann);
    let mut ann = Window::open(folder.path(), Start::default());
    ann.see("Come on in");
}

#[test]
fn a_server_that_is_away_is_marked_and_the_others_go_on() {
    let north = server("North");
    let mut south = server("South");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = on_both(folder.path(), &north, &south);
    ann.click(&guild("North"));
    ann.see("Voice channel lounge");
    south.kill9().expect("the server dies");
    ann.see("Voxhall server South, trying again");
    ann.see("Server South on South, trying again");
    assert!(!ann.words().contains("Trying again in"));
    ann.click("Voxhall server South, trying again");
    ann.see("Trying again");
    ann.see("In voice on North: #lounge");
    south.restart().expect("the server starts again");
    ann.no_longer_see("rying again");
    ann.see(&guild("South"));
}

#[test]
fn a_link_adds_its_server_or_shows_it() {
    let (north, south) = (server("North"), server("South"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = on_both(folder.path(), &north, &south);
    thread::sleep(SAVED);
    ann.0.run_steps(3);
    drop(ann);

    // By the link of one that is open: there, and the other is open as well.
    let mut ann = Window::join(folder.path(), north.invite(), "Ann");
    ann.see("Ann in lounge");
    ann.see(&guild("South"));

    // As pasted on the page where one adds a server.
    ann.click("Add a server");
    ann.click("Go there");
    ann.write("Invite link", &plain(south.invite()));
    ann.click("Continue");
    ann.see("In voice on North: #lounge");
    ann.no_longer_see("Invite link");
    assert_eq!(ann.words().matches("Voxhall server ").count(), 2);
}

/// Without the invite.
fn plain(link: &str) -> String {
    let link: voxhall_protocol::link::Link = link.parse().expect("a link");
    let link = voxhall_protocol::link::Link { code: None, ..link };
    link.to_string()
}

#[test]
fn a_report_tells_how_it_stands_with_all_servers_and_names_none() {
    let (north, south) = (server("North"), server("South"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = on_both(folder.path(), &north, &south);
    ann.click("Settings");
    ann.click("Help");
    ann.click("Report a problem");
    ann.see("Copy the report");
    let shown = ann.0.get_by_label("Report");
    let report = shown.accesskit_node().value().expect("the report");
    for told in ["Connection: online", "Connection to another server: online"] {
        assert!(report.contains(told), "no {told:?} in {report}");
    }
    let addresses = [&north, &south].map(|it| it.address().port().to_string());
    let names = ["North", "South"].map(str::to_owned);
    for named in names.iter().chain(&addresses) {
        assert!(!report.contains(named), "{named:?} in {report}");
    }
}
