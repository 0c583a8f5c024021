//! Settings: flags win over the environment (`VOXHALL_*`), that over the config file, that over the defaults.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Parser, ValueEnum};
use serde::Deserialize;
use voxhall_protocol::{
    control::Registration,
    limits::{self, DEFAULT_PORT},
};

const DEFAULT_NAME: &str = "Voxhall";
const DEFAULT_LOG: &str = "info";
/// Generous for a party behind one address, slow for who tries passwords.
const DEFAULT_SIGN_INS_PER_MINUTE: u32 = 60;
const DEFAULT_PENDING_PER_ADDRESS: u32 = 64;

/// The voice server of Voxhall. Without any flag it makes what it needs, starts, and prints an invite link.
#[derive(Debug, Default, Parser)]
#[command(name = "voxhall-server", version)]
pub struct Args {
    /// Folder where everything is kept: data base, certificate, config file
    #[arg(long, env = "VOXHALL_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Config file (default: config.toml in the data folder, if it is there)
    #[arg(long, env = "VOXHALL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on, with or without a port (default: [::]:9000, which takes IPv4 too)
    #[arg(long, env = "VOXHALL_LISTEN", value_name = "ADDR")]
    pub listen: Option<Listen>,
    /// Port for TCP and UDP; 0 takes a free one
    #[arg(long, env = "VOXHALL_PORT", value_name = "N")]
    pub port: Option<u16>,
    /// Host name or address that goes into links (default: a guess at this machine's address)
    #[arg(long, env = "VOXHALL_PUBLIC_HOST", value_name = "HOST")]
    pub public_host: Option<String>,
    /// How to say that the server is ready: a text for people, or one line of JSON
    #[arg(long, env = "VOXHALL_ANNOUNCE", value_name = "FORM")]
    pub announce: Option<AnnounceForm>,
    /// Name of this server, and of the guild that the first start makes
    #[arg(long, env = "VOXHALL_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<String>,
    /// Who may make an account
    #[arg(long, env = "VOXHALL_REGISTRATION", value_name = "WHO")]
    pub registration: Option<RegistrationArg>,
    /// Certificate chain (PEM) that clients' systems trust; without it the server makes its own and puts its pin into links
    #[arg(long, env = "VOXHALL_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, env = "VOXHALL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// What to log to stderr: error, warn, info, debug, trace, or a filter such as voxhall_server=debug
    #[arg(long, env = "VOXHALL_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Sign-ins and invite codes that one address may try in a minute
    #[arg(long, env = "VOXHALL_SIGN_INS_PER_MINUTE", value_name = "N")]
    pub sign_ins_per_minute: Option<u32>,
    /// Connections that one address may have open without being signed in
    #[arg(long, env = "VOXHALL_PENDING_PER_ADDRESS", value_name = "N")]
    pub pending_per_address: Option<u32>,
}

/// The same settings, as the config file has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<Listen>,
    port: Option<u16>,
    public_host: Option<String>,
    announce: Option<AnnounceForm>,
    server_name: Option<String>,
    registration: Option<RegistrationArg>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    log: Option<String>,
    sign_ins_per_minute: Option<u32>,
    pending_per_address: Option<u32>,
}

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
    pub certificate: Option<CertificateFiles>,
    pub log: String,
    pub sign_ins_per_minute: u32,
    pub pending_per_address: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnounceForm {
    #[default]
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationArg {
    /// Anyone who reaches the server
    Open,
    /// Who holds an invite
    Invite,
    /// Nobody
    Closed,
}

/// An address with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen {
    pub ip: IpAddr,
    pub port: Option<u16>,
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read the config file {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("in the config file {}: {source}", path.display())]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("there is no home folder to keep data in; name a folder with --data DIR")]
    NoDataFolder,
    #[error("a certificate of your own needs both: tls_cert and tls_key")]
    HalfACertificate,
    #[error("the server's name can't be used: {0}")]
    Name(#[from] limits::NameError),
    #[error(
        "public_host is only a host name or an address, without scheme, port or path: {0:?} is not"
    )]
    PublicHost(String),
    #[error("{0} must not be 0")]
    Zero(&'static str),
}

impl Config {
    /// Reads the config file and decides.
    ///
    /// # Errors
    /// See [`ConfigError`]; each names what to change.
    pub fn load(args: Args) -> Result<Self, ConfigError> {
        let data = match args.data.clone() {
            Some(data) => data,
            None => default_data_folder().ok_or(ConfigError::NoDataFolder)?,
        };
        let file = match &args.config {
            Some(path) => read_file(path)?,
            None => match data.join("config.toml") {
                path if path.exists() => read_file(&path)?,
                _ => File::default(),
            },
        };
        Self::decide(data, args, file)
    }

    fn decide(data: PathBuf, args: Args, file: File) -> Result<Self, ConfigError> {
        let listen = args.listen.or(file.listen);
        // A port said on its own wins over one in an address said in the same place.
        let port = (args.port)
            .or(args.listen.and_then(|listen| listen.port))
            .or(file.port)
            .or(file.listen.and_then(|listen| listen.port));
        let ip = listen.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |listen| listen.ip);

        let certificate = match (
            args.tls_cert.or(file.tls_cert),
            args.tls_key.or(file.tls_key),
        ) {
            (Some(chain), Some(key)) => Some(CertificateFiles { chain, key }),
            (None, None) => None,
            _ => return Err(ConfigError::HalfACertificate),
        };
        let public_host = args.public_host.or(file.public_host);
        if let Some(host) = &public_host
            && !is_host(host)
        {
            return Err(ConfigError::PublicHost(host.clone()));
        }
        let not_zero = |name, number: u32| match number {
            0 => Err(ConfigError::Zero(name)),
            number => Ok(number),
        };
        let name = args.server_name.or(file.server_name);
        Ok(Self {
            data,
            listen: SocketAddr::new(ip, port.unwrap_or(DEFAULT_PORT)),
            listen_is_default: listen.is_none(),
            public_host,
            announce: args.announce.or(file.announce).unwrap_or_default(),
            server_name: limits::clean_name(name.as_deref().unwrap_or(DEFAULT_NAME))?,
            registration: args
                .registration
                .or(file.registration)
                .map_or(Registration::default(), Registration::from),
            certificate,
            log: (args.log.or(file.log)).unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            sign_ins_per_minute: not_zero(
                "sign_ins_per_minute",
                (args.sign_ins_per_minute.or(file.sign_ins_per_minute))
                    .unwrap_or(DEFAULT_SIGN_INS_PER_MINUTE),
            )?,
            pending_per_address: not_zero(
                "pending_per_address",
                (args.pending_per_address.or(file.pending_per_address))
                    .unwrap_or(DEFAULT_PENDING_PER_ADDRESS),
            )?,
        })
    }
}

fn default_data_folder() -> Option<PathBuf> {
    Some(
        directories::BaseDirs::new()?
            .data_dir()
            .join("voxhall-server"),
    )
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Whether a link with this host can be read again.
fn is_host(host: &str) -> bool {
    let link = voxhall_protocol::link::Link {
        host: host.to_owned(),
        port: DEFAULT_PORT,
        code: None,
        pin: None,
    };
    link.to_string().parse() == Ok(link)
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                ip: address.ip(),
                port: Some(address.port()),
            });
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(ip) => Ok(Self { ip, port: None }),
            Err(_) => Err(ListenError),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenError;

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an address such as 0.0.0.0, 192.168.1.5:9000 or [::]:9000")
    }
}

impl std::error::Error for ListenError {}

impl From<RegistrationArg> for Registration {
    fn from(arg: RegistrationArg) -> Self {
        match arg {
            RegistrationArg::Open => Self::Open,
            RegistrationArg::Invite => Self::Invite,
            RegistrationArg::Closed => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(args: &[&str], file: &str) -> Result<Config, ConfigError> {
        let args = Args::try_parse_from([&["voxhall-server"], args].concat()).unwrap();
        Config::decide("/data".into(), args, toml::from_str(file).unwrap())
    }

    #[test]
    fn nothing_said_means_defaults() {
        let config = decide(&[], "").unwrap();
        assert_eq!(config.listen.to_string(), "[::]:9000");
        assert!(config.listen_is_default);
        assert_eq!(config.server_name, "Voxhall");
        assert_eq!(config.registration, Registration::Invite);
        assert_eq!(config.announce, AnnounceForm::Human);
    }

    #[test]
    fn flags_win_over_the_file() {
        let file =
            "port = 1000\nserver_name = \"File\"\nregistration = \"open\"\nannounce = \"json\"";
        let config = decide(&["--port", "2000", "--registration", "closed"], file).unwrap();
        assert_eq!(config.listen.port(), 2000);
        assert_eq!(config.server_name, "File");
        assert_eq!(config.registration, Registration::Closed);
        assert_eq!(config.announce, AnnounceForm::Json);
        let config = decide(&["--listen", "127.0.0.1:3000"], file).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        let config = decide(&["--listen", "[::1]"], file).unwrap();
        assert_eq!(config.listen.to_string(), "[::1]:1000");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = toml::from_str::<File>("potr = 9000").unwrap_err();
        assert!(error.to_string().contains("potr"), "{error}");
        assert!(error.to_string().contains("port"), "{error}");
    }

    #[test]
    fn what_can_not_work_is_refused() {
        for (args, word) in [
            (&["--tls-cert", "a.pem"][..], "tls_key"),
            (&["--public-host", "https://a/"], "public_host"),
            (&["--server-name", "  "], "name"),
            (&["--sign-ins-per-minute", "0"], "sign_ins_per_minute"),
        ] {
            let error = decide(args, "").unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
