//! The talk key while another window has the keyboard, on a real X server: `scripts/test` runs it on a virtual display.
#![cfg(all(unix, not(target_os = "macos")))]

use std::{
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

use egui::Key;
use voxhall::desktop::{Hotkey, Reach};
use voxhall_testkit::display::Display;

const F7: u32 = 0xffc4;
const F8: u32 = 0xffc5;

fn changed(changes: &Receiver<()>) -> bool {
    changes.recv_timeout(Duration::from_secs(2)).is_ok()
}

#[test]
#[ignore = "needs a display"]
fn the_key_is_seen_whoever_has_the_keyboard_and_no_other_key_is() {
    let (tell, changes) = sync_channel(16);
    let mut hotkey = Hotkey::new(move || tell.try_send(()).unwrap());
    assert_eq!(hotkey.reach(), Reach::Everywhere);
    hotkey.set_key(Some(Key::F8));
    let keyboard = Display::connect().unwrap();

    keyboard.key(F8, true).unwrap();
    assert!(changed(&changes));
    assert!(hotkey.is_down());
    keyboard.press(&[], F7).unwrap();
    keyboard.key(F8, false).unwrap();
    assert!(changed(&changes));
    assert!(!hotkey.is_down());
    assert!(changes.try_recv().is_err(), "F7 is nobody's");

    hotkey.set_key(None);
    keyboard.key(F8, true).unwrap();
    keyboard.key(F8, false).unwrap();
    assert!(changes.recv_timeout(Duration::from_millis(300)).is_err());
}
