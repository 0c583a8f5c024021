//! A value in the registry that Windows starts programs by. `reg` is on every Windows.

use std::{io, process::Command};

use super::Autostart;

const KEY: &str = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run";
const NAME: &str = "Voxhall";

pub fn is_on() -> io::Result<bool> {
    Ok(reg(&["query", KEY, "/v", NAME])?.is_none())
}

pub fn turn_on(autostart: &Autostart) -> io::Result<()> {
    let words: Vec<_> = autostart
        .words()
        .map(|word| format!("\"{word}\""))
        .collect();
    let command = words.join(" ");
    done(reg(&[
        "add", KEY, "/v", NAME, "/t", "REG_SZ", "/d", &command, "/f",
    ])?)
}

pub fn turn_off() -> io::Result<()> {
    if !is_on()? {
        return Ok(());
    }
    done(reg(&["delete", KEY, "/v", NAME, "/f"])?)
}

fn done(trouble: Option<String>) -> io::Result<()> {
    trouble.map_or(Ok(()), |words| Err(io::Error::other(words)))
}

/// What it says when it fails.
fn reg(arguments: &[&str]) -> io::Result<Option<String>> {
    use std::os::windows::process::CommandExt;
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    let output = Command::new("reg")
        .args(arguments)
        .creation_flags(CREATE_NO_WINDOW)
        .output()?;
    let words = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((!output.status.success()).then(words))
}
