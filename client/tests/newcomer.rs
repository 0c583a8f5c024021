//! A newcomer's evening in the real window, by what a screen reader says alone, with real sound: `scripts/test` runs this on a
//! virtual sound card and display. Alone: `scripts/sound-card run --clients a,b,c,d cargo test -p voxhall --test newcomer --
//! --ignored --test-threads 1`, with a display.
#![cfg(all(unix, not(target_os = "macos")))]

#[path = "common/reader.rs"]
mod reader;
#[path = "common/real.rs"]
mod real;

use std::{fs, rc::Rc, thread, time::Duration};

use reader::Seat;
use real::{OPEN_MICROPHONE, assert_reaches, devices, kept, loudest, recorded, say};
use voxhall_testkit::{
    process::ServerProcess,
    screen_reader::{Role, ScreenReader},
    sound_card::SoundCard,
};

#[test]
#[ignore = "needs scripts/sound-card and a display"]
fn whoever_comes_by_a_link_finds_everything_by_its_name() {
    let card = SoundCard::from_env().expect("a sound card");
    let reader = ScreenReader::start().expect("a screen reader");
    let server = ServerProcess::start().expect("a server");
    let owner = server.owner().expect("a fresh server has an owner link");
    let (mic_a, speaker_a) = card.channel("a");
    let (mic_b, speaker_b) = card.channel("b");
    let (_, speaker_c) = card.channel("c");

    // Nothing is known yet: no link, no name, whatever devices the system has.
    let folder = Rc::new(tempfile::tempdir().expect("a folder"));
    let mut nia = Seat::open(&reader, &folder, &[]);
    nia.is(Role::Entry, "Invite link");
    nia.write("Invite link", owner);
    nia.click("Continue");
    nia.see("This link makes you the owner of");
    nia.write("Your name", "Nia");
    nia.click("Join");
    nia.click("Voice channel lounge");
    nia.see("Show the voice channel: Voice connected");
    nia.see("Nia in lounge");
    nia.is(Role::Button, "Mute (Ctrl+Shift+M)");

    // What is heard can be compared with what was said only where nothing is done to it.
    nia.click("Settings");
    nia.turn_off("Echo cancellation");
    nia.click("Off");
    nia.turn_off("Automatic gain");
    nia.escape();
    nia.no_longer_see("Automatic gain");

    let [input, output] = devices("b");
    let name = ["--name", "Bob"].map(str::to_owned);
    let link = [server.invite().to_owned()];
    let arguments = [&link[..], &name, &input, &output].concat();
    let bob = Seat::open(&reader, &kept(OPEN_MICROPHONE), &arguments);
    bob.step_aside();
    nia.see("Bob in lounge");
    bob.see("Show the voice channel: Voice connected");
    // The sounds of arriving are over.
    thread::sleep(Duration::from_secs(1));
    let sound = recorded(&card, 13.0, || say(&card, "a"));
    assert_reaches(&sound, mic_a, speaker_b, "the newcomer");

    nia.click("Text channel general");
    nia.write(
        "Message to general",
        "Good evening, is this the lighthouse?",
    );
    nia.enter();
    bob.click("Text channel general");
    bob.see("Good evening, is this the lighthouse?");

    let map = folder.path().join("map.txt");
    fs::write(&map, "Left at the lighthouse.\n").expect("a file");
    reader.choose(&map).expect("a desktop with a file window");
    nia.click("Attach files");
    nia.see("map.txt");
    nia.click("Send message");
    bob.see("File map.txt");

    nia.click("Search in messages");
    nia.write("Search messages", "lighthouse");
    nia.enter();
    nia.click("Go to the message of Nia: Good evening, is this the lighthouse?");
    nia.click("Close the side");

    nia.click("Server settings");
    nia.click("Channels");
    nia.click("New channel");
    nia.click("Voice");
    nia.write("Name of the channel", "garden");
    nia.click("Create channel");
    bob.see("Voice channel garden");
    nia.click("Roles");
    nia.click("New role");
    nia.see("Role New role");
    nia.write("Name of the role", "Gardener");
    nia.click("Save changes");
    nia.see("Role Gardener");
    nia.no_longer_see("Undo changes");

    nia.click("Members");
    nia.click("Member Bob");
    nia.click("Role Gardener for Bob");
    nia.click("Muted for everyone");
    bob.see("Bob in lounge, may not speak");
    bob.see("You can't be heard: a moderator muted you");
    nia.choose("Move to", "garden");
    bob.see("Bob in garden, may not speak");
    nia.turn_off("Muted for everyone");
    bob.no_longer_see("You can't be heard");
    nia.escape();
    nia.click("Voice channel garden");
    nia.see("Nia in garden");

    nia.click("Settings");
    nia.choose("Speakers", "speaker_c");
    nia.app
        .wait_for("direction=Output device=pulseaudio:speaker_c", 1);
    nia.escape();
    nia.no_longer_see("Automatic gain");
    let sound = recorded(&card, 13.0, || say(&card, "b"));
    assert_reaches(&sound, mic_b, speaker_c, "to the newcomer's other speakers");

    nia.click("Deafen (Ctrl+Shift+D)");
    bob.see("deafened");
    let sound = recorded(&card, 6.0, || say(&card, "b"));
    assert!(loudest(&sound[mic_b]) > 0.05, "Bob spoke");
    for speaker in [speaker_a, speaker_c] {
        assert!(loudest(&sound[speaker]) < 1e-3, "nothing is heard");
    }
    nia.click("Undeafen (Ctrl+Shift+D)");
    bob.no_longer_see("deafened");

    nia.quit();
    bob.no_longer_see("Nia in garden");
    let nia = Seat::open(&reader, &folder, &[]);
    nia.click("Text channel general");
    nia.see("Good evening, is this the lighthouse?");
    nia.see("File map.txt");
    nia.click("Voice channel garden");
    nia.see("Show the voice channel: Voice connected");
    bob.see("Nia in garden");
}
