//! Where settings come from: flags, environment, file.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use toml::de::{DeTable, DeValue};

use super::{
    ConfigError,
    settings::{self, Kind, OTHERS_VARIABLES, PREFIX, SETTINGS, Setting},
};

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Environment,
    Flag,
}

/// A value as it was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub text: OsString,
    pub source: Source,
}

/// What was said of each setting, by key. What nobody said has its default, or is not there.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Without what the file says, which may be told by these where it is.
    ///
    /// # Errors
    /// [`ConfigError::UnknownVariable`].
    pub fn of_flags_and_environment(
        flags: impl IntoIterator<Item = (&'static str, OsString)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut values = Self::default();
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                values.say(setting.key, default.into(), Source::Default);
            }
        }
        for (name, text) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
                // Container files pass on what may be empty.
                if !text.is_empty() {
                    values.say(setting.key, text, Source::Environment);
                }
            } else if !OTHERS_VARIABLES.iter().any(|known| name.starts_with(known)) {
                let variables = SETTINGS.iter().map(Setting::variable);
                return Err(ConfigError::UnknownVariable {
                    hint: did_you_mean(name, variables),
                    name: name.to_owned(),
                });
            }
        }
        for (key, text) in flags {
            values.say(key, text, Source::Flag);
        }
        Ok(values)
    }

    /// Adds what the file says and nothing with more weight says otherwise.
    ///
    /// # Errors
    /// The file can't be read, or says what it can't.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        self.add_text(path, &text)
    }

    pub(super) fn add_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table = DeTable::parse(text).map_err(|why| ConfigError::Syntax {
            path: path.to_owned(),
            why: Box::new(why),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = 1 + text[..key.span().start].matches('\n').count();
            let source = Source::File {
                path: path.to_owned(),
                line,
            };
            let key = key.get_ref().as_ref();
            let Some(setting) = settings::find(key) else {
                let keys = SETTINGS.iter().filter(|setting| setting.in_file());
                return Err(ConfigError::UnknownKey {
                    hint: did_you_mean(key, keys.map(|setting| setting.key.to_owned())),
                    key: key.to_owned(),
                    place: source,
                });
            };
            if !setting.in_file() {
                return Err(ConfigError::NotInFile {
                    key: setting.key,
                    flag: setting.flag(),
                    place: source,
                });
            }
            let text = match value.get_ref() {
                DeValue::String(text) if setting.kind == Kind::Path && text != "off" => {
                    folder.join(text.as_ref()).into()
                }
                DeValue::String(text) => OsString::from(text.as_ref()),
                DeValue::Integer(number) => number.to_string().into(),
                DeValue::Boolean(yes) => yes.to_string().into(),
                other => {
                    return Err(ConfigError::WrongType {
                        key: setting.key,
                        found: other.type_str(),
                        place: source,
                    });
                }
            };
            self.say(setting.key, text, source);
        }
        Ok(())
    }

    /// Keeps what has more weight.
    fn say(&mut self, key: &'static str, text: OsString, source: Source) {
        let heavier = |value: &Value| value.source.weight() > source.weight();
        if !self.0.get(key).is_some_and(heavier) {
            self.0.insert(key, Value { text, source });
        }
    }

    /// What is in force instead of what was said, and for whose sake.
    pub fn replace(&mut self, key: &'static str, text: &str, source: Source) {
        let text = text.into();
        self.0.insert(key, Value { text, source });
    }

    pub fn get(&self, key: &'static str) -> Option<&Value> {
        debug_assert!(settings::find(key).is_some(), "{key} is in the table");
        self.0.get(key)
    }

    pub fn weight(&self, key: &'static str) -> u8 {
        self.get(key).map_or(0, |value| value.source.weight())
    }

    pub fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.get(key).map(|value| PathBuf::from(&value.text))
    }

    /// # Errors
    /// [`ConfigError::Value`].
    pub fn parse<T: FromStr<Err: fmt::Display>>(
        &self,
        key: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let text = value.text.to_str();
        let text = text.ok_or_else(|| ConfigError::value(key, value, &"it is not UTF-8"))?;
        match text.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(why) => Err(ConfigError::value(key, value, &why)),
        }
    }

    /// For a setting that has a default.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn required<T: FromStr<Err: fmt::Display>>(
        &self,
        key: &'static str,
    ) -> Result<T, ConfigError> {
        let parsed = self.parse(key)?;
        Ok(parsed.expect("the table has a default for it"))
    }
}

impl Source {
    /// More wins.
    pub fn weight(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment => 2,
            Self::Flag => 3,
        }
    }

    /// Where to look for a setting, in words.
    pub fn of(&self, key: &str) -> String {
        let setting = settings::find(key);
        match self {
            Self::Flag => {
                setting.map_or_else(String::new, |setting| format!("--{}", setting.flag()))
            }
            Self::Environment => setting.map_or_else(String::new, Setting::variable),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// The known name that is most like it, if one is.
fn did_you_mean(name: &str, known: impl Iterator<Item = String>) -> String {
    let likeness = |known: &String| strsim::jaro_winkler(name, known);
    let best = known
        .map(|known| (likeness(&known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map_or_else(
        || "see voxhall-server --help for what there is".to_owned(),
        |(_, known)| format!("did you mean {known}?"),
    )
}

/// The text of a value for people, as it was written.
pub fn shown(text: &OsStr) -> String {
    format!("\"{}\"", text.to_string_lossy().escape_debug())
}
