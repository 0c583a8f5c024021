//! Settings: flags win over the environment (`VOXHALL_*`), that over the config file, that over the defaults.

mod settings;
mod show;
mod sources;
mod values;

use std::{
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgAction, builder::ValueParser};
use voxhall_protocol::{
    control::Registration,
    limits::{self, DEFAULT_PORT},
};

use settings::{Kind, SETTINGS};
use sources::{Source, Value, Values, shown};
pub use values::{Age, AnnounceForm, Expected, GuildMakers, LogFormat};
use values::{ByteSize, Choice, Count, Listen, MediaThreads, OrOff, Port, Voices};

/// In the data folder.
pub const CONFIG_FILE: &str = "config.toml";
const ADMIN_SOCKET: &str = "admin.sock";

/// Everything decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub data: PathBuf,
    pub listen: SocketAddr,
    /// Nobody asked for this address: on a system without IPv6 another will do.
    pub listen_is_default: bool,
    pub public_host: Option<String>,
    pub announce: AnnounceForm,
    pub server_name: String,
    pub registration: Registration,
    /// An invite lets in who has only a name.
    pub guests: bool,
    /// Guests who don't come back are forgotten after this; none: never.
    pub guest_retention: Option<Duration>,
    pub create_guilds: GuildMakers,
    pub certificate: Option<CertificateFiles>,
    pub attachments: AttachmentLimits,
    /// For channels that say nothing else; none: messages are kept forever.
    pub message_retention: Option<Duration>,
    pub sign_ins_per_minute: u32,
    pub pending_per_address: u32,
    pub media_threads: usize,
    pub loudest: Option<u8>,
    pub metrics: Option<SocketAddr>,
    /// None: there is none.
    pub admin_socket: Option<PathBuf>,
    pub backup: Option<BackupPlan>,
    pub log: String,
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// What attachments may take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachmentLimits {
    pub each: u64,
    pub per_user: u64,
    pub total: u64,
}

/// Backups that the server makes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPlan {
    pub folder: PathBuf,
    pub every: Duration,
    pub keep: u32,
}

/// The settings' flags, for the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(&'static str, OsString)>);

/// Why the settings can't be used. Each says where, what, and what would do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read the config file {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the config file {} is not TOML: {why}", path.display())]
    Syntax {
        path: PathBuf,
        why: Box<toml::de::Error>,
    },
    #[error("{place}: there is no setting \"{key}\"; {hint}")]
    UnknownKey {
        key: String,
        hint: String,
        place: Source,
    },
    #[error("there is no environment variable {name} for this server; {hint}")]
    UnknownVariable { name: String, hint: String },
    #[error("{place}: \"{key}\" says where the file is and can't be in it; use --{flag}")]
    NotInFile {
        key: &'static str,
        flag: String,
        place: Source,
    },
    #[error("{place}: {key} is {found}; expected a text in quotes, a number, or true or false")]
    WrongType {
        key: &'static str,
        found: &'static str,
        place: Source,
    },
    #[error("{place}: {key} = {value} can't be used: {why}")]
    Value {
        place: String,
        key: &'static str,
        value: String,
        why: String,
    },
    #[error("there is no home folder to keep data in; name a folder with --data DIR")]
    NoDataFolder,
    #[error("a certificate of your own needs both tls_cert and tls_key, and {missing} is not set")]
    HalfACertificate { missing: &'static str },
}

impl Config {
    /// Reads flags, environment and file, and decides.
    ///
    /// # Errors
    /// See [`ConfigError`]; each names what to change.
    pub fn load(flags: Flags) -> Result<Effective, ConfigError> {
        let mut values = Values::of_flags_and_environment(flags.0, std::env::vars_os())?;
        let data = data_folder(&values)?;
        match values.path("config") {
            Some(path) => values.add_file(&path)?,
            None => match data.join(CONFIG_FILE) {
                path if path.exists() => values.add_file(&path)?,
                _ => {}
            },
        }
        Self::decide(data, values)
    }

    /// Where everything is kept, and where the server listens for commands, without looking at the rest: commands work on a server
    /// whose config file can't be used.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn data_folder(flags: Flags) -> Result<PathBuf, ConfigError> {
        data_folder(&Values::of_flags_and_environment(
            flags.0,
            std::env::vars_os(),
        )?)
    }

    fn decide(data: PathBuf, mut values: Values) -> Result<Effective, ConfigError> {
        let listen_said = values.get("listen").expect("it has a default").clone();
        let listen: Listen = values.required("listen")?;
        let mut port = values.required::<Port>("port")?.0;
        // A port said on its own wins over one in an address said in the same place.
        if let Some(with_address) = listen.port
            && values.weight("port") < listen_said.source.weight()
        {
            port = with_address;
            values.replace("port", &port.to_string(), listen_said.source.clone());
        }

        let certificate = match (values.path("tls_cert"), values.path("tls_key")) {
            (Some(chain), Some(key)) => Some(CertificateFiles { chain, key }),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::HalfACertificate { missing: "tls_key" }),
            (None, Some(_)) => {
                return Err(ConfigError::HalfACertificate {
                    missing: "tls_cert",
                });
            }
        };
        let every = values.required::<Age>("backup_every")?.0;
        let keep = values.required::<Count>("backup_keep")?.0;
        let backup = values
            .path("backup_folder")
            .zip(every)
            .map(|(folder, every)| BackupPlan {
                folder,
                every,
                keep,
            });
        let admin_socket = match values.path("admin_socket") {
            Some(path) if path == Path::new("off") => None,
            Some(path) => Some(path),
            None => Some(data.join(ADMIN_SOCKET)),
        };
        let config = Self {
            listen: SocketAddr::new(listen.ip, port),
            listen_is_default: listen_said.source == Source::Default,
            public_host: values.parse::<Host>("public_host")?.map(|host| host.0),
            announce: values.required::<Choice<_>>("announce")?.0,
            server_name: values.required::<Name>("server_name")?.0,
            registration: values.required::<Choice<_>>("registration")?.0,
            guests: values.required::<Choice<_>>("guests")?.0,
            guest_retention: values.required::<Age>("guest_retention")?.0,
            create_guilds: values.required::<Choice<_>>("create_guilds")?.0,
            certificate,
            attachments: AttachmentLimits {
                each: values.required::<ByteSize>("attachment_max")?.0,
                per_user: values.required::<ByteSize>("attachments_per_user")?.0,
                total: values.required::<ByteSize>("attachments_total")?.0,
            },
            message_retention: values.required::<Age>("message_retention")?.0,
            sign_ins_per_minute: values.required::<Count>("sign_ins_per_minute")?.0,
            pending_per_address: values.required::<Count>("pending_per_address")?.0,
            media_threads: (values.parse::<MediaThreads>("media_threads")?)
                .unwrap_or_default()
                .0,
            loudest: values
                .required::<OrOff<Voices>>("loudest")?
                .0
                .map(|voices| voices.0),
            metrics: values.required::<OrOff<_>>("metrics")?.0,
            admin_socket,
            backup,
            log: values.required::<LogFilter>("log")?.0,
            log_format: values.required::<Choice<_>>("log_format")?.0,
            data,
        };
        Ok(Effective { config, values })
    }
}

/// What is in force, and why.
#[derive(Debug, Clone)]
pub struct Effective {
    pub config: Config,
    values: Values,
}

fn data_folder(values: &Values) -> Result<PathBuf, ConfigError> {
    let said = values.path("data");
    let in_home = || {
        Some(
            directories::BaseDirs::new()?
                .data_dir()
                .join("voxhall-server"),
        )
    };
    said.or_else(in_home).ok_or(ConfigError::NoDataFolder)
}

impl ConfigError {
    fn value(key: &'static str, value: &Value, why: &dyn std::fmt::Display) -> Self {
        Self::Value {
            place: value.source.of(key),
            key,
            value: shown(&value.text),
            why: why.to_string(),
        }
    }
}

struct Host(String);

impl std::str::FromStr for Host {
    type Err = Expected;

    /// Takes what a link can hold and give back.
    fn from_str(text: &str) -> Result<Self, Expected> {
        let link = voxhall_protocol::link::Link {
            host: text.to_owned(),
            port: DEFAULT_PORT,
            code: None,
            pin: None,
        };
        if link.to_string().parse() == Ok(link) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Expected(
                "only a host name or an address, without scheme, port or path",
            ))
        }
    }
}

struct Name(String);

impl std::str::FromStr for Name {
    type Err = limits::NameError;

    fn from_str(text: &str) -> Result<Self, limits::NameError> {
        limits::clean_name(text).map(Self)
    }
}

struct LogFilter(String);

impl std::str::FromStr for LogFilter {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        match tracing_subscriber::EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(Expected(
                "error, warn, info, debug, trace, or a filter such as voxhall_server=debug",
            )),
        }
    }
}

impl clap::Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        SETTINGS.iter().fold(command, |command, setting| {
            let mut arg = clap::Arg::new(setting.key)
                .long(setting.flag())
                .value_name(setting.value_name)
                .help(match setting.default {
                    Some(default) => format!("{} [default: {default}]", setting.help),
                    None => setting.help.to_owned(),
                })
                .value_parser(ValueParser::os_string())
                .action(ArgAction::Set);
            // Commands need to know where the server is, too.
            if setting.kind == Kind::Place {
                arg = arg.global(true);
            }
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<OsString>(setting.key) {
                self.0.push((setting.key, value.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
