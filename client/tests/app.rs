//! The whole app against the real server, without a display: what a person does from the first start on.

#[path = "common/window.rs"]
mod window;

use std::time::{Duration, Instant};

use egui_kittest::kittest::Queryable;
use voxhall::app::Start;
use voxhall_testkit::process::ServerProcess;

use window::Window;

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
    // The list of devices above it has arrived by then.
    ann.see("connected now");
    ann.find("Sign out on this device");
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

#[test]
fn who_wants_a_ringtone_of_their_own_and_has_chosen_none_is_not_warned() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, is_trouble) in [("", false), ("gong.wav", true)] {
        let settings = format!(r#"{{ "ringtone": "own", "own_ringtone": "{name}" }}"#);
        std::fs::write(folder.path().join("settings.json"), settings).expect("settings");
        let mut app = Window::open(folder.path(), Start::default());
        app.see("Come on in");
        let words = app.words();
        assert_eq!(
            words.contains("ringtone can't be played"),
            is_trouble,
            "{words}"
        );
    }
}
