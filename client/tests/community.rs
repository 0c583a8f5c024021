//! People, guilds and accounts in the whole app, against the real server.

#[path = "common/window.rs"]
mod window;

use std::path::Path;

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use voxhall::app::Start;
use voxhall_testkit::process::ServerProcess;
use window::Window;

/// Someone with an account, who came by the link.
fn account(data: &Path, link: &str, name: &str) -> Window {
    let link = Some(link.parse().expect("a link"));
    let mut window = Window::open(
        data,
        Start {
            link,
            ..Start::default()
        },
    );
    window.click("New account");
    window.write("Your name", name);
    window.write("Password", "correct horse");
    window.click("Create account");
    window.see("Voice channel lounge");
    window
}

impl Window {
    /// Whatever is in the field is replaced.
    fn replace(&mut self, field: &str, text: &str) {
        self.see(field);
        self.0.get_by_label(field).scroll_to_me();
        self.0.run_steps(3);
        self.0.get_by_label(field).focus();
        self.0.run_steps(2);
        self.0.key_press_modifiers(Modifiers::COMMAND, Key::A);
        self.0.run_steps(2);
        self.0.get_by_label(field).type_text(text);
        self.0.run_steps(3);
    }

    fn close(&mut self) {
        self.0.run_steps(2);
        self.0.key_press(Key::Escape);
        self.0.run_steps(4);
    }
}

#[test]
fn an_owner_makes_channels_roles_and_invites_and_moderates() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let owner = server.owner().expect("a fresh server has an owner link");
    let mut ann = account(&folder.path().join("ann"), owner, "Ann");
    let mut bob = Window::join(&folder.path().join("bob"), server.invite(), "Bob");
    bob.see("Bob in lounge");

    ann.click("Server settings");
    ann.replace("Name of the server", "Friday Night");
    ann.find("Save changes");
    bob.see("Server Friday Night");

    ann.click("Channels");
    ann.click("New channel");
    ann.click("Voice");
    ann.write("Name of the channel", "raid");
    ann.click("Create channel");
    bob.see("Voice channel raid");
    ann.see("Channel raid");
    ann.replace("Topic", "Bring a map");
    ann.find("Save changes");
    bob.click("Voice channel raid");
    bob.see("Bob in raid");
    ann.find("Rules for Moderator");
    ann.find("Deny: Speak");
    ann.find("Save changes");
    ann.see("Channel raid, own rules");

    ann.click("Roles");
    ann.click("New role");
    ann.replace("Name of the role", "Raid lead");
    ann.find("Colour e0852f");
    ann.find("Kick members");
    ann.find("Save changes");
    ann.see("Role Raid lead");
    ann.no_longer_see("Undo changes");

    ann.click("Who may what");
    ann.see("Kick members: may, the owner may do everything");

    ann.click("Members");
    ann.click("Member Bob");
    ann.find("Role Raid lead for Bob");
    ann.find("Muted for everyone");
    ann.find("Disconnect");
    bob.no_longer_see("Bob in raid");
    bob.see("A moderator took you out of the voice channel.");
    ann.find("Time out");
    ann.see("Timed out until");

    ann.click("Invites");
    ann.click("Make a link");
    ann.see("used 0 times");

    ann.click("Audit log");
    ann.see("Ann: member timed out Bob");
    ann.see("Ann: role created");

    ann.click("Members");
    ann.click("Member Bob");
    ann.find("Ban Bob");
    ann.click("Ban them");
    bob.see("You are in no server here yet");
    ann.click("Bans");
    ann.see("No reason was given. By Ann");
    ann.click("Unban Bob");
    ann.see("Nobody is banned");
    ann.close();
    ann.see("Text channel general");
}

#[test]
fn friends_find_each_other_write_and_see_how_they_are() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = account(&folder.path().join("ann"), server.invite(), "Ann");
    let mut bea = account(&folder.path().join("bea"), server.invite(), "Bea");

    ann.click("Friends and direct messages");
    ann.write("Name of their account", "Bea");
    ann.click("Send a request");
    bea.click("Friends and direct messages, 1 new");
    bea.click("Requests (1)");
    bea.click("Accept Ann");
    bea.click("All");
    bea.see("Profile of Ann");
    ann.click("All");
    ann.see("Profile of Bea");

    bea.click("Bea, online: choose how others see you");
    bea.write("Status", "baking bread");
    bea.click("Say so");
    bea.see("Take it away");
    bea.close();

    ann.click("Message Bea");
    ann.see("Conversation with Bea");
    ann.write("Message to Bea", "is there any left?");
    ann.click("Send message");
    bea.see("Conversation with Ann, 1 unread");
    bea.click("Conversation with Ann, 1 unread");
    bea.see("is there any left?");

    ann.click("New message");
    ann.write("Who", "Be");
    ann.click("Choose Bea");
    ann.see("Leave Bea out");
    ann.close();

    ann.click("Friends");
    ann.click("Profile of Bea");
    ann.see("baking bread");
    ann.click("Follow");
    ann.see("1 follower");
    ann.click("Block");
    ann.click("Block them");
    ann.see("Unblock");
    ann.click("Close");
    ann.click("Blocked");
    ann.see("Unblock Bea");
}

#[test]
fn a_guest_becomes_an_account_changes_the_password_and_ends_another_device() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut nia = Window::join(&folder.path().join("one"), server.invite(), "Nia");
    nia.see("Nia in lounge");
    nia.click("Settings");
    nia.click("Account");
    nia.write("Password", "correct horse");
    nia.write("The password once more", "correct horse");
    nia.find("Make an account");
    nia.see("You have an account now.");

    let link = Some(server.invite().parse().expect("a link"));
    let mut other = Window::open(
        &folder.path().join("two"),
        Start {
            link,
            ..Start::default()
        },
    );
    other.click("Sign in");
    other.write("Your name", "Nia");
    other.write("Password", "correct horse");
    other.click("Sign in now");
    other.see("Voice channel lounge");

    nia.replace("The password you have", "wrong horse");
    nia.replace("A new password", "battery staple");
    nia.replace("The new one once more", "battery staple");
    nia.find("Change the password");
    nia.see("wrong");
    nia.replace("The password you have", "correct horse");
    nia.find("Change the password");
    nia.see("The password is changed.");
    other.see("You were signed out");

    nia.click("Profile");
    nia.replace("Display name", "Nia of the north");
    nia.find("Save changes");
    nia.close();
    nia.see("Nia of the north");
}

#[test]
fn the_keyboard_goes_everywhere() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let mut ann = account(folder.path(), server.invite(), "Ann");
    ann.click("Text channel general");
    ann.0.key_press_modifiers(Modifiers::COMMAND, Key::K);
    ann.write("Where to", "loun");
    ann.see("Go to lounge");
    ann.0.key_press(Key::Enter);
    ann.see("Ann in lounge");
    ann.0.key_press_modifiers(Modifiers::ALT, Key::ArrowUp);
    ann.see("Message to general");
    ann.0.key_press_modifiers(Modifiers::ALT, Key::Home);
    ann.see("Send a request");
    ann.0.key_press_modifiers(Modifiers::COMMAND, Key::Slash);
    ann.see("Mute or unmute");
    ann.close();
    ann.no_longer_see("Mute or unmute");
}

#[test]
fn someone_without_a_server_makes_one_and_the_owner_administers() {
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    let owner = server.owner().expect("a fresh server has an owner link");
    let mut ann = account(&folder.path().join("ann"), owner, "Ann");
    let mut bea = account(&folder.path().join("bea"), server.invite(), "Bea");
    bea.click("Add a server");
    bea.write("Its name", "Choir");
    bea.click("Make it");
    bea.no_longer_see("Join it");
    bea.see("Server Choir");
    bea.click("Server settings");
    bea.find("Delete this server");
    bea.click("Delete it");
    bea.no_longer_see("Server Choir");

    ann.click("Administration");
    ann.see("online: 2");
    ann.click("Users");
    ann.click("User Bea");
    ann.find("Suspended: can't sign in, and is signed out");
    ann.see("suspended");
    bea.see("This account is suspended.");
    ann.click("Address bans");
    ann.write("Address or network", "203.0.113.0/24");
    ann.click("Ban it");
    ann.see("Unban 203.0.113.0/24");
}
