//! A value in the registry that Windows starts programs by.

use std::io;

use super::Autostart;
use crate::desktop::registry;

const KEY: &str = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run";
const NAME: &str = "Voxhall";

pub fn is_on() -> io::Result<bool> {
    Ok(registry::ask(&["query", KEY, "/v", NAME])?.is_some())
}

pub fn turn_on(autostart: &Autostart) -> io::Result<()> {
    let words: Vec<_> = autostart
        .words()
        .map(|word| format!("\"{word}\""))
        .collect();
    let command = words.join(" ");
    registry::tell(&["add", KEY, "/v", NAME, "/t", "REG_SZ", "/d", &command, "/f"])
}

pub fn turn_off() -> io::Result<()> {
    if !is_on()? {
        return Ok(());
    }
    registry::tell(&["delete", KEY, "/v", NAME, "/f"])
}
