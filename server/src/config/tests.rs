use super::*;

const FILE: &str = "/etc/voxhall/config.toml";

fn decide(flags: &[&str], environment: &[(&str, &str)], file: &str) -> Result<Effective, String> {
    let command = <Flags as clap::Args>::augment_args(clap::Command::new("voxhall-server"));
    let matches = command.try_get_matches_from([&["voxhall-server"], flags].concat());
    let flags = <Flags as clap::FromArgMatches>::from_arg_matches(&matches.unwrap()).unwrap();
    let environment = environment.iter();
    let environment = environment.map(|(name, text)| ((*name).into(), (*text).into()));
    let decided = || {
        let mut values = Values::of_flags_and_environment(flags.0, environment)?;
        values.add_text(Path::new(FILE), file)?;
        Config::decide("/data".into(), values)
    };
    decided().map_err(|error: ConfigError| error.to_string())
}

fn config(flags: &[&str], environment: &[(&str, &str)], file: &str) -> Config {
    decide(flags, environment, file).unwrap().config
}

#[test]
fn nothing_said_means_defaults() {
    let config = config(&[], &[("HOME", "/x")], "");
    assert_eq!(config.listen.to_string(), "[::]:9000");
    assert!(config.listen_is_default);
    assert_eq!(config.server_name, "Voxhall");
    assert_eq!(config.registration, Registration::Invite);
    assert_eq!(config.announce, AnnounceForm::Human);
    assert_eq!(config.attachments.each, 25 << 20);
    assert_eq!(config.message_retention, None);
    assert_eq!(config.metrics, None);
    assert_eq!(config.backup, None);
    assert_eq!(config.admin_socket, Some("/data/admin.sock".into()));
    assert!(config.guests);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "port = 1000\nserver_name = \"File\"\nregistration = \"open\"\nguests = false";
    let environment = [
        ("VOXHALL_SERVER_NAME", "Environment"),
        ("VOXHALL_REGISTRATION", "closed"),
    ];
    let said = config(
        &["--port", "2000", "--registration", "invite"],
        &environment,
        file,
    );
    assert_eq!(said.listen.port(), 2000);
    assert_eq!(said.server_name, "Environment");
    assert_eq!(said.registration, Registration::Invite);
    assert!(!said.guests);
}

#[test]
fn a_port_counts_as_much_as_where_it_was_said() {
    let file = "port = 1000";
    for (flags, environment, file, address) in [
        (
            &["--listen", "127.0.0.1:3000"][..],
            &[][..],
            file,
            "127.0.0.1:3000",
        ),
        (&["--listen", "[::1]"], &[], file, "[::1]:1000"),
        (
            &[],
            &[("VOXHALL_PORT", "5")],
            "listen = \"[::1]:7\"",
            "[::1]:5",
        ),
        (&[], &[], "listen = \"[::1]:7\"", "[::1]:7"),
        (&[], &[], "listen = \"[::1]:7\"\nport = 8", "[::1]:8"),
        (&[], &[], "port = 8\nlisten = \"[::1]:7\"", "[::1]:8"),
    ] {
        assert_eq!(config(flags, environment, file).listen.to_string(), address);
    }
}

#[test]
fn an_empty_variable_says_nothing() {
    assert_eq!(
        config(&[], &[("VOXHALL_PORT", "")], "port = 7")
            .listen
            .port(),
        7
    );
}

#[test]
fn errors_name_the_place_the_key_and_what_to_do() {
    for (flags, environment, file, words) in [
        (
            &[][..],
            &[][..],
            "\npotr = 1",
            &["config.toml, line 2", "\"potr\"", "did you mean port?"][..],
        ),
        (&[], &[], "data = \"/x\"", &["line 1", "--data"]),
        (&[], &[], "a.b = 1", &["line 1", "\"a\""]),
        (&[], &[], "# x\n\nport = [1]", &["line 3", "port is array"]),
        (
            &[],
            &[],
            "port = 99999",
            &["line 1", "port = \"99999\"", "0 to 65535"],
        ),
        (
            &[],
            &[],
            "port = 1\nport = 2",
            &["config.toml", "duplicate key"],
        ),
        (
            &[],
            &[],
            "metrics = \"9091\"",
            &["line 1", "127.0.0.1:9091", "off"],
        ),
        (&[], &[], "guests = \"perhaps\"", &["true or false"]),
        (
            &[],
            &[],
            "log = \"x=y=z\"",
            &["line 1", "log", "voxhall_server=debug"],
        ),
        (
            &[],
            &[("VOXHALL_REGISTRTION", "closed")],
            "",
            &["VOXHALL_REGISTRTION", "VOXHALL_REGISTRATION?"],
        ),
        (
            &[],
            &[("VOXHALL_PORT", "tcp://10.0.0.1")],
            "",
            &["VOXHALL_PORT:", "0 to 65535"],
        ),
        (&["--tls-cert", "a.pem"], &[], "", &["tls_key is not set"]),
        (
            &["--public-host", "https://a/"],
            &[],
            "",
            &["--public-host:", "without scheme"],
        ),
        (
            &["--server-name", "  "],
            &[],
            "",
            &["--server-name:", "name"],
        ),
        (
            &["--sign-ins-per-minute", "0"],
            &[],
            "",
            &["--sign-ins-per-minute", "1"],
        ),
        (
            &["--attachment-max", "25 MX"],
            &[],
            "",
            &["--attachment-max", "25 MiB"],
        ),
        (&["--message-retention", "90"], &[], "", &["90 days"]),
    ] {
        let error = decide(flags, environment, file).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{word} in {error}");
        }
    }
}

#[test]
fn variables_of_the_scripts_are_no_settings() {
    config(
        &[],
        &[("VOXHALL_BIN_DIR", "/x"), ("VOXHALL_SOUND_DIR", "/y")],
        "",
    );
}

#[test]
fn paths_in_the_file_begin_at_the_file() {
    let file = "tls_cert = \"tls/chain.pem\"\ntls_key = \"/abs/key.pem\"\nadmin_socket = \"off\"";
    let config = config(&[], &[], file);
    let certificate = config.certificate.unwrap();
    assert_eq!(certificate.chain, Path::new("/etc/voxhall/tls/chain.pem"));
    assert_eq!(certificate.key, Path::new("/abs/key.pem"));
    assert_eq!(config.admin_socket, None);
}

#[test]
fn backups_need_a_folder_and_a_time() {
    let plan = |file| config(&[], &[], file).backup;
    assert_eq!(
        plan("backup_folder = \"/b\"\nbackup_every = \"6 hours\"\nbackup_keep = 3"),
        Some(BackupPlan {
            folder: "/b".into(),
            every: Duration::from_secs(6 * 60 * 60),
            keep: 3,
        })
    );
    assert_eq!(
        plan("backup_folder = \"/b\"\nbackup_every = \"forever\""),
        None
    );
    assert_eq!(plan("backup_keep = 3"), None);
}

#[test]
fn what_is_shown_says_where_from_and_can_be_read_again() {
    let file =
        "listen = \"[::1]:7\"\nserver_name = \"A \\\"B\\\"\"\ntls_cert = \"c\"\ntls_key = \"k\"";
    let effective = decide(&["--log", "debug"], &[("VOXHALL_GUESTS", "false")], file).unwrap();
    let shown = effective.to_string();
    for (line, source) in [
        ("listen = \"[::1]:7\"", "/etc/voxhall/config.toml, line 1"),
        ("port = 7", "/etc/voxhall/config.toml, line 1"),
        ("log = \"debug\"", "--log"),
        ("guests = false", "VOXHALL_GUESTS"),
        ("registration = \"invite\"", "default"),
        ("# public_host", "not set"),
        ("# admin_socket", "default: /data/admin.sock"),
    ] {
        let found = shown.lines().find(|shown| shown.starts_with(line));
        let found = found.unwrap_or_else(|| panic!("{line} in {shown}"));
        assert!(found.ends_with(&format!("# {source}")), "{found}");
    }
    let again = config(&[], &[], &shown);
    assert_eq!(
        again,
        Config {
            listen_is_default: false,
            ..effective.config
        }
    );
}

/// The example in the packaging lists every key with its default, and what it says in comments would work.
#[test]
fn the_example_file_is_whole_and_works() {
    let example = include_str!("../../packaging/config.example.toml");
    assert_eq!(config(&[], &[], example), config(&[], &[], ""));
    let uncommented: String = (example.lines())
        .map(|line| {
            line.strip_prefix("#")
                .filter(|line| !line.starts_with([' ', '#']))
                .unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let effective = decide(&[], &[], &uncommented).unwrap();
    for setting in SETTINGS.iter().filter(|setting| setting.in_file()) {
        let value = effective.values.get(setting.key);
        let value = value.unwrap_or_else(|| panic!("{} is not in the example", setting.key));
        assert!(
            matches!(value.source, Source::File { .. }),
            "{} is not in the example",
            setting.key
        );
        if let Some(default) = setting.default {
            assert_eq!(value.text.to_str(), Some(default), "{}", setting.key);
        }
    }
}
