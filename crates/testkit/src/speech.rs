//! Recorded and spoken sentences, 48 kHz mono, made once by `scripts/speech`.

use std::{
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::workspace;

/// A file of `scripts/speech`: `speech` (about 10 s), or one of the four voices `ann`, `bob`, `cid`, `dan`.
pub fn path(name: &str) -> io::Result<PathBuf> {
    let output = Command::new(workspace().join("scripts/speech"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines()
        .map(PathBuf::from)
        .find(|path| path.file_stem().is_some_and(|stem| stem == name))
        .ok_or_else(|| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            io::Error::other(format!(
                "scripts/speech makes no {name}.wav: {}",
                complaint.trim()
            ))
        })
}
