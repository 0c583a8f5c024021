//! Recorded and spoken sentences, 48 kHz mono, made once by `scripts/speech`.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::workspace;

/// A file of `scripts/speech`: `speech` (about 10 s), or one of the four voices `ann`, `bob`, `cid`, `dan`.
pub fn path(name: &str) -> io::Result<PathBuf> {
    made(&[])?
        .into_iter()
        .find(|path| path.file_stem().is_some_and(|stem| stem == name))
        .ok_or_else(|| io::Error::other(format!("scripts/speech makes no {name}.wav")))
}

/// Sentences of several people in several languages, 4 to 12 s each.
pub fn clips() -> io::Result<Vec<PathBuf>> {
    made(&["clips"])
}

fn made(args: &[&str]) -> io::Result<Vec<PathBuf>> {
    let output = Command::new(workspace().join("scripts/speech"))
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "scripts/speech failed: {}",
            complaint.trim()
        )));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().map(PathBuf::from).collect())
}
