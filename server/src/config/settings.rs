//! The table of all settings: what can be said as a flag, in the environment and in the config file.

/// One thing that can be set, under one name everywhere: `port`, `--port`, `VOXHALL_PORT`.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    /// What stands for the value in help.
    pub value_name: &'static str,
    pub kind: Kind,
    /// As it would be written; none: not set, or found out at the start.
    pub default: Option<&'static str>,
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Written without quotes in the file.
    Number,
    Bool,
    /// In the file it may be relative to the file's folder.
    Path,
    /// Says where the file is, so it can't be in it.
    Place,
}

impl Setting {
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_ascii_uppercase())
    }

    pub fn in_file(&self) -> bool {
        self.kind != Kind::Place
    }
}

pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// What all environment variables of the server begin with.
pub const PREFIX: &str = "VOXHALL_";

/// Variables with the same beginning that are for the scripts and tests of this project. Those of tests may begin as `VOXHALL_TEST_`.
pub const OTHERS_VARIABLES: &[&str] = &[
    "VOXHALL_BIN_DIR",
    "VOXHALL_CUT_S",
    "VOXHALL_KILLS",
    "VOXHALL_SEED",
    "VOXHALL_SOUND_",
    "VOXHALL_TEST_",
    "VOXHALL_WRITE_DOCS",
];

macro_rules! settings {
    ($($key:literal $value_name:literal $kind:ident $default:expr, $help:literal;)*) => {
        pub const SETTINGS: &[Setting] = &[
            $(Setting { key: $key, value_name: $value_name, kind: Kind::$kind, default: $default, help: $help },)*
        ];
    };
}

settings! {
    "data" "DIR" Place None,
        "Folder where everything is kept: data base, certificate, attachments, config file";
    "config" "FILE" Place None,
        "Config file [default: config.toml in the data folder, if it is there]";
    "listen" "ADDR" Text Some("[::]"),
        "Address to listen on, with or without a port; [::] takes IPv4 too";
    "port" "N" Number Some("9000"),
        "Port for TCP and UDP; 0 takes a free one";
    "public_host" "HOST" Text None,
        "Host name or address that goes into links [default: a guess at this machine's address]";
    "server_name" "NAME" Text Some("Voxhall"),
        "Name of this server, and of the guild that the first start makes";
    "registration" "WHO" Text Some("invite"),
        "Who may make an account: open (anyone), invite (who holds one), closed (nobody)";
    "guests" "BOOL" Bool Some("true"),
        "Whether an invite lets people in with a name only";
    "guest_retention" "TIME" Text Some("30 days"),
        "How long guests who don't come back are kept; what they wrote stays";
    "create_guilds" "WHO" Text Some("everyone"),
        "Who may make guilds: everyone (with an account), admins (of this server)";
    "tls_cert" "FILE" Path None,
        "Certificate chain (PEM) that clients' systems trust; without it the server makes its own and puts its pin into links";
    "tls_key" "FILE" Path None,
        "Private key (PEM) of the certificate";
    "attachment_max" "SIZE" Text Some("25 MiB"),
        "Largest file that can be attached to a message";
    "attachments_per_user" "SIZE" Text Some("1 GiB"),
        "What the attachments of one user may take together";
    "attachments_total" "SIZE" Text Some("20 GiB"),
        "What all attachments may take together";
    "message_retention" "TIME" Text Some("forever"),
        "How long messages are kept in channels that say nothing else, such as 90 days";
    "sign_ins_per_minute" "N" Number Some("60"),
        "Sign-ins, and apart from them looks at invites, that one address may try in a minute";
    "pending_per_address" "N" Number Some("64"),
        "Connections that one address may have open without being signed in";
    "media_threads" "N" Number None,
        "Threads that send voice; more than one helps where hundreds listen at once [default: one for two cores, at most 4]";
    "loudest" "N" Text Some("8"),
        "Voices of a channel that are forwarded at once, the loudest; or off, for all";
    "metrics" "ADDR" Text Some("off"),
        "Address and port for Prometheus, such as 127.0.0.1:9091; plain HTTP, so keep it private; or off";
    "admin_socket" "FILE" Path None,
        "Socket for voxhall-server admin, or off [default: admin.sock in the data folder]";
    "backup_folder" "DIR" Path None,
        "Folder for backups that the server makes by itself [default: it makes none]";
    "backup_every" "TIME" Text Some("1 day"),
        "How old the newest backup may become";
    "backup_keep" "N" Number Some("7"),
        "How many backups are kept";
    "announce" "FORM" Text Some("human"),
        "How to say that the server is ready: human (a text), json (one line)";
    "log" "FILTER" Text Some("info"),
        "What to log to stderr: error, warn, info, debug, trace, or a filter such as voxhall_server=debug";
    "log_format" "FORM" Text Some("text"),
        "How log lines look: text, json";
}
