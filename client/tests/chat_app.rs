//! Text channels of the whole app against the real server.

#[path = "common/dropped.rs"]
mod dropped;
#[path = "common/window.rs"]
mod window;

use std::{path::Path, sync::Arc};

use dropped::Dropped;
use egui::{Event, Key};
use egui_kittest::kittest::Queryable;
use voxhall::app::Start;
use voxhall_testkit::process::ServerProcess;
use window::Window;

fn say(window: &mut Window, text: &str) {
    window.write("Message to general", text);
    window.0.key_press(Key::Enter);
    window.0.run_steps(3);
}

fn point_at(window: &mut Window, label: &str) {
    window.see(label);
    window.0.run_steps(5);
    window.0.get_by_label(label).hover();
    window.0.run_steps(3);
}

fn pair(server: &ServerProcess, folder: &Path) -> (Window, Window) {
    let owner = server.owner().expect("a fresh server has an owner link");
    let mut ann = Window::join(&folder.join("ann"), owner, "Ann");
    let mut bob = Window::join(&folder.join("bob"), server.invite(), "Bob");
    for window in [&mut ann, &mut bob] {
        window.click("Text channel general");
        window.see("Welcome to #general");
    }
    (ann, bob)
}

#[test]
fn two_people_write_answer_react_change_and_delete() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut ann, mut bob) = pair(&server, folder.path());
    say(&mut ann, "the **first** word");
    bob.see("the first word");
    point_at(&mut bob, "the first word");
    bob.click("Reply");
    bob.see("Answering Ann");
    say(&mut bob, "and @ann the second");
    ann.see("Answers Ann: the first word");
    ann.see("and @Ann the second");

    point_at(&mut ann, "the first word");
    ann.click("React");
    ann.write("Search emoji", "tada");
    ann.click("Emoji tada");
    bob.see("🎉 by 1");
    bob.click("🎉 by 1");
    ann.see("🎉 by you and 1 more");

    point_at(&mut ann, "the first word");
    ann.click("Pin");
    bob.click("Pinned messages");
    bob.see("Show in the channel");
    bob.click("Close the side");

    point_at(&mut ann, "the first word");
    ann.click("Edit");
    ann.write("Change the message", ", changed");
    ann.0.key_press(Key::Enter);
    ann.0.run_steps(2);
    bob.see("the first word, changed");
    bob.see("edited");

    point_at(&mut ann, "the first word, changed");
    ann.click("Delete");
    ann.click("Delete it");
    bob.see("This message was deleted.");
    bob.no_longer_see("the first word, changed");
}

#[test]
fn what_is_new_is_counted_until_it_is_seen_and_writing_is_said() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut ann, mut bob) = pair(&server, folder.path());
    ann.write("Message to general", "half a thou");
    bob.see("Ann is writing…");
    bob.click("Voice channel hangout");
    ann.write("Message to general", "ght");
    ann.0.key_press(Key::Enter);
    ann.0.run_steps(3);
    ann.see("half a thought");
    for i in 0..40 {
        say(&mut ann, &format!("line {i}"));
    }
    ann.see("line 39");
    bob.click("Text channel general");
    bob.see("line 39");
    bob.see("41 new messages");
    bob.click("Go to the first");
    bob.see("half a thought");
    bob.see("New");
    bob.click("Jump to newest");
    bob.see("line 39");
    bob.no_longer_see("Jump to newest");
}

#[test]
fn a_search_leads_to_the_message() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut ann, _bob) = pair(&server, folder.path());
    say(&mut ann, "where is the lighthouse");
    for i in 0..40 {
        say(&mut ann, &format!("noise {i}"));
    }
    ann.see("noise 39");
    ann.click("Search in messages");
    ann.write("Search messages", "lighthouse");
    ann.0.key_press(Key::Enter);
    ann.0.run_steps(2);
    ann.click("Go to the message of Ann: where is the lighthouse");
    ann.see("Jump to newest");
    ann.click("Close the side");
    ann.see("where is the lighthouse");
}

#[test]
fn files_are_dropped_and_pasted_and_seen_by_the_other() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let (mut ann, mut bob) = pair(&server, folder.path());
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "no wind, one dog").expect("a file");
    ann.0
        .input_mut()
        .dropped_files
        .push(Arc::new(Dropped(notes)));
    ann.0.run_steps(2);
    ann.see("File notes.txt, ready");
    let pixels = vec![egui::Color32::from_rgb(200, 80, 40); 64 * 32];
    let picture = egui::ColorImage::new([64, 32], pixels);
    ann.0.event(Event::PasteImage(Arc::new(picture)));
    ann.0.run_steps(2);
    ann.see("File picture.png, ready");
    say(&mut ann, "look");
    bob.see("File notes.txt, 16 bytes");
    bob.see("Picture picture.png");
    ann.no_longer_see("ready");
    bob.click("Picture picture.png");
    bob.see("Save picture.png");
    bob.click("Close");
    bob.no_longer_see("Save picture.png");
}

#[test]
fn a_draft_is_there_again_for_whoever_looked_at_the_way_to_another_server() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = Window::join(folder.path(), server.invite(), "Ann");
    ann.click("Text channel general");
    ann.write("Message to general", "half a letter");
    ann.click("Settings");
    ann.click("Account");
    // The list of devices above it has arrived by then.
    ann.see("connected now");
    ann.find("Go to another server");
    ann.see("Invite link");
    ann.0.run_steps(5);
    ann.0.get_by_label_contains("Back to ").click();
    ann.0.run_steps(3);
    ann.see("Welcome to #general");
    assert!(ann.0.query_all_by_value("half a letter").next().is_some());
}

#[test]
fn a_draft_is_there_next_time_and_what_was_written_while_away_is_sent() {
    let mut server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = Window::join(folder.path(), server.invite(), "Ann");
    ann.click("Text channel general");
    ann.write("Message to general", "not yet done");
    std::thread::sleep(std::time::Duration::from_millis(900));
    ann.0.run_steps(3);
    drop(ann);
    let mut ann = Window::open(folder.path(), Start::default());
    ann.click("Text channel general");
    ann.see("Welcome to #general");
    assert!(ann.0.query_all_by_value("not yet done").next().is_some());

    server.kill9().expect("the server dies");
    ann.see("Trying again");
    ann.write("Message to general", " but now");
    ann.0.key_press(Key::Enter);
    ann.0.run_steps(3);
    ann.see("will be sent when the server is back");
    server.restart().expect("the server starts again");
    ann.no_longer_see("will be sent");
    ann.see("not yet done but now");
}
