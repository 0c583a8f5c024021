//! Windows' registry, by `reg`, which is on every Windows.

use std::{io, os::windows::process::CommandExt, process::Command};

const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// What it prints, if it does what it is told.
pub fn ask(arguments: &[&str]) -> io::Result<Option<String>> {
    let output = reg(arguments)?;
    Ok((output.status.success()).then(|| words(&output.stdout)))
}

/// # Errors
/// What it says when it fails.
pub fn tell(arguments: &[&str]) -> io::Result<()> {
    let output = reg(arguments)?;
    if output.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(words(&output.stderr)))
    }
}

fn reg(arguments: &[&str]) -> io::Result<std::process::Output> {
    Command::new("reg")
        .args(arguments)
        .creation_flags(CREATE_NO_WINDOW)
        .output()
}

fn words(said: &[u8]) -> String {
    String::from_utf8_lossy(said).trim().to_owned()
}
