//! A file in the folder that desktops start programs from (the Desktop Application Autostart Specification).

use std::{fs, io, path::PathBuf};

use super::Autostart;

const NAME: &str = "voxhall.desktop";

fn file() -> io::Result<PathBuf> {
    let folders = directories::BaseDirs::new()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no home folder"))?;
    Ok(folders.config_dir().join("autostart").join(NAME))
}

/// Desktops turn such a file off by a line in it.
pub fn is_on() -> io::Result<bool> {
    match fs::read_to_string(file()?) {
        Ok(text) => Ok(!text.lines().any(|line| {
            matches!(
                line.trim(),
                "Hidden=true" | "X-GNOME-Autostart-enabled=false"
            )
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub fn turn_on(autostart: &Autostart) -> io::Result<()> {
    let file = file()?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let command: Vec<_> = autostart.words().map(|word| quoted(&word)).collect();
    let text = format!(
        "[Desktop Entry]\nType=Application\nVersion=1.0\nName=Voxhall\nComment=Talk with friends\nIcon=voxhall\nExec={}\nTerminal=false\n",
        command.join(" ")
    );
    fs::write(file, text)
}

pub fn turn_off() -> io::Result<()> {
    match fs::remove_file(file()?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// As the Desktop Entry Specification quotes an argument, and then a value: a backslash is doubled twice, and `%` begins a code.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '`' | '$' => text.extend(["\\\\", &c.to_string()]),
            '\\' => text.push_str("\\\\\\\\"),
            '%' => text.push_str("%%"),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_to_a_desktop_file_is_quoted() {
        assert_eq!(quoted("/opt/a b/voxhall"), "\"/opt/a b/voxhall\"");
        assert_eq!(quoted(r#"50% "$x" \"#), r#""50%% \\"\\$x\\" \\\\""#);
        assert_eq!(quoted("a\nExec=evil"), "\"aExec=evil\"");
    }
}
