//! The real app's window as somebody uses it who sees nothing of it: by what a screen reader says.
//!
//! Who uses this module has `common/real.rs` as `real`.

#![allow(
    dead_code,
    reason = "each user of this module needs another part of it"
)]

use std::{
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use voxhall_testkit::{
    display::{ESCAPE, RETURN},
    screen_reader::{Role, ScreenReader, State, Window},
};

use crate::real::{App, kept};

/// Two windows of the size that the app begins with take a software renderer most of a processor.
const SIZE: [u32; 2] = [980, 600];

/// An app and its window.
pub struct Seat<'a> {
    pub app: App,
    window: Window<'a>,
}

impl<'a> Seat<'a> {
    pub fn open(
        reader: &'a ScreenReader,
        folder: &Rc<tempfile::TempDir>,
        arguments: &[String],
    ) -> Self {
        let app = App::open(folder, arguments, Some(reader.environment()));
        let window = must(reader.window(app.process()));
        must(window.place([0, 0], SIZE));
        Self { app, window }
    }

    /// Who came by the link and made an account.
    pub fn account(
        reader: &'a ScreenReader,
        settings: &str,
        link: &str,
        name: &str,
        more: &[String],
    ) -> Self {
        let arguments = [&[link.to_owned()][..], more].concat();
        let seat = Self::open(reader, &kept(settings), &arguments);
        seat.click("New account");
        seat.write("Your name", name);
        seat.write("Password", "correct horse");
        seat.click("Create account");
        seat.see("Voice channel lounge");
        seat
    }

    /// Becomes the friend of `other`, and looks at the conversation with them.
    #[track_caller]
    pub fn befriend(&self, own: &str, other: &Self, their: &str) {
        self.click("Friends and direct messages");
        self.write("Name of their account", their);
        self.click("Send a request");
        other.click("Friends and direct messages, 1 new");
        other.click("Requests (1)");
        other.click(&format!("Accept {own}"));
        self.click("All");
        self.click(&format!("Message {their}"));
    }

    #[track_caller]
    pub fn see(&self, words: &str) {
        must(self.window.see(words));
    }

    #[track_caller]
    pub fn no_longer_see(&self, words: &str) {
        must(self.window.no_longer_see(words));
    }

    /// How long it takes until `words` are there.
    #[track_caller]
    pub fn time_until(&self, words: &str) -> Duration {
        let start = Instant::now();
        self.see(words);
        start.elapsed()
    }

    #[track_caller]
    pub fn click(&self, name: &str) {
        must(self.window.click(name));
    }

    #[track_caller]
    pub fn write(&self, field: &str, text: &str) {
        must(self.window.write(field, text));
    }

    #[track_caller]
    pub fn read(&self, field: &str) -> String {
        must(self.window.read(field))
    }

    /// Opens a list to choose from, and chooses.
    #[track_caller]
    pub fn choose(&self, list: &str, choice: &str) {
        self.click(list);
        self.click(choice);
        self.is(Role::ComboBox, list);
    }

    /// There is one of that name, and it is said to be of that kind.
    #[track_caller]
    pub fn is(&self, role: Role, name: &str) {
        let what = format!("{} {name:?}", role.name());
        must(
            self.window
                .find(&what, |node| node.role() == role && node.name() == name),
        );
    }

    /// Turns a switch that is on off.
    #[track_caller]
    pub fn turn_off(&self, switch: &str) {
        for on in [true, false] {
            let what = format!("{switch:?} that is {}", if on { "on" } else { "off" });
            must(self.window.find(&what, |node| {
                let of_it = node.role() == Role::ToggleButton && node.name() == switch;
                of_it && node.is(State::Pressed) == on
            }));
            if on {
                self.click(switch);
            }
        }
    }

    #[track_caller]
    pub fn enter(&self) {
        must(self.window.press(&[], RETURN));
    }

    #[track_caller]
    pub fn escape(&self) {
        must(self.window.press(&[], ESCAPE));
    }

    /// Away from the corner, where the others are, so that none hides another.
    #[track_caller]
    pub fn step_aside(&self) {
        must(self.window.place([90, 70], SIZE));
    }

    /// Closes the window, with which the app ends.
    #[track_caller]
    pub fn quit(mut self) {
        must(self.window.close());
        let status = self.app.ended();
        assert!(status.success(), "{status}:\n{}", self.app.log());
    }
}

#[track_caller]
fn must<T>(result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
