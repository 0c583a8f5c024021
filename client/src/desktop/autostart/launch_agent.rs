//! A launch agent, which macOS starts when its person logs in.

use std::{fs, io, path::PathBuf};

use super::Autostart;

const NAME: &str = "org.voxhall.voxhall";

fn file() -> io::Result<PathBuf> {
    let folders = directories::BaseDirs::new()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no home folder"))?;
    let agents = folders.home_dir().join("Library/LaunchAgents");
    Ok(agents.join(format!("{NAME}.plist")))
}

pub fn is_on() -> io::Result<bool> {
    file()?.try_exists()
}

pub fn turn_on(autostart: &Autostart) -> io::Result<()> {
    let file = file()?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let words: String = (autostart.words())
        .map(|word| format!("<string>{}</string>", escaped(&word)))
        .collect();
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict><key>Label</key><string>{NAME}</string>\
         <key>ProgramArguments</key><array>{words}</array><key>RunAtLoad</key><true/></dict></plist>\n"
    );
    fs::write(file, text)
}

pub fn turn_off() -> io::Result<()> {
    match fs::remove_file(file()?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn escaped(word: &str) -> String {
    word.replace('&', "&amp;").replace('<', "&lt;")
}
