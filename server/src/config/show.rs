//! The settings in force, as a config file that says where each comes from.

use std::fmt;

use super::{
    Effective,
    settings::{Kind, SETTINGS, Setting},
    sources::{Source, Value},
};

/// Where the comment begins, if the value leaves room.
const COMMENT_COLUMN: usize = 44;

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in SETTINGS {
            let value = self.values.get(setting.key);
            let line = match (setting.kind, value) {
                (Kind::Place, _) => continue,
                (_, None) => format!("# {}", setting.key),
                (_, Some(value)) => format!("{} = {}", setting.key, toml(setting, value)),
            };
            writeln!(
                f,
                "{line:COMMENT_COLUMN$} # {}",
                self.source(setting, value)
            )?;
        }
        Ok(())
    }
}

impl Effective {
    /// Where the data is and which file was read: what can't be in the file.
    pub fn places(&self) -> String {
        let data = self.config.data.display();
        let file = match self.values.path("config") {
            Some(path) => path.display().to_string(),
            None => match self.config.data.join(super::CONFIG_FILE) {
                path if path.exists() => path.display().to_string(),
                path => format!("none (there is no {})", path.display()),
            },
        };
        format!("# data folder: {data}\n# config file: {file}\n")
    }

    fn source(&self, setting: &Setting, value: Option<&Value>) -> String {
        match (setting.key, value) {
            ("admin_socket", None) => {
                let path = self.config.admin_socket.as_deref();
                format!(
                    "default: {}",
                    path.map_or("off".into(), |path| path.to_string_lossy())
                )
            }
            (_, None) => "not set".to_owned(),
            (key, Some(value)) => match &value.source {
                Source::Flag | Source::Environment => value.source.of(key),
                source => source.to_string(),
            },
        }
    }
}

fn toml(setting: &Setting, value: &Value) -> String {
    let text = value.text.to_string_lossy();
    match setting.kind {
        Kind::Number | Kind::Bool => text.into_owned(),
        Kind::Text | Kind::Path | Kind::Place => toml::Value::from(text.as_ref()).to_string(),
    }
}
