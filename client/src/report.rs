//! What somebody sends who reports a problem: the app, the system, devices, connection, and the end of the log, without secrets.

use std::fmt::Write as _;

use voxhall_session::{
    Connection, InviteLink, Problem, State, StoredLogin, VoiceMeters, VoicePath,
};

use crate::{
    audio::{AudioStatus, Port},
    settings::{Logins, Settings},
};

/// Lines of the log that go with it.
pub const LOG_LINES: usize = 200;
/// A shorter text stands in the log by chance, and tells nothing.
const LEAST_SECRET: usize = 6;
/// Letters and digits in one piece that are this long are a key or a token.
const TOKEN_CHARS: usize = 24;
const LEFT_OUT: &str = "[removed]";

/// What the report is made of.
pub struct Facts<'a> {
    /// Of the server whose voice is heard.
    pub state: &'a State,
    /// How it stands with the other ones.
    pub others: &'a [&'a Connection],
    pub meters: &'a VoiceMeters,
    pub audio: &'a AudioStatus,
    pub settings: &'a Settings,
    pub now: jiff::Timestamp,
    pub log: &'a str,
}

/// The report, in which none of these secrets stands.
pub fn report(facts: &Facts<'_>, secrets: &Secrets) -> String {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    line(format_args!("Voxhall {}", env!("CARGO_PKG_VERSION")));
    line(format_args!("System: {}", system()));
    line(format_args!("Time: {}", facts.now.strftime("%F %T UTC")));
    line(format_args!(
        "Connection: {}",
        connection_words(&facts.state.connection)
    ));
    for other in facts.others {
        let words = connection_words(other);
        line(format_args!("Connection to another server: {words}"));
    }
    line(format_args!("Voice: {}", voice_words(facts)));
    for speaker in &facts.meters.speakers {
        let statistics = &speaker.statistics;
        line(format_args!(
            "  hears one: {} packets, {} lost, {} late, jitter {:.1} ms, held back {:.1} of {:.1} ms",
            statistics.packets,
            statistics.lost,
            statistics.late,
            statistics.jitter_ms,
            statistics.delay_ms,
            statistics.target_delay_ms,
        ));
    }
    let audio = facts.audio;
    line(format_args!("Microphone: {}", port_words(&audio.input)));
    line(format_args!("Speakers: {}", port_words(&audio.output)));
    let workers = &facts.meters.statistics;
    line(format_args!(
        "Dropouts: {} of the microphone, {} of the speakers",
        workers.capture_xruns + audio.input_xruns,
        workers.playout_xruns + audio.output_xruns
    ));
    let settings = facts.settings;
    line(format_args!(
        "Settings: buffer {} frames, {:?}, {} ms a packet, stability {:.2}, {:?}",
        settings.buffer_frames,
        settings.transmit,
        settings.frame_ms,
        settings.stability,
        settings.microphone(),
    ));
    line(format_args!("\nThe end of the log:\n{}", facts.log));
    secrets.left_out_of(&text)
}

fn system() -> String {
    let name = os_name().unwrap_or_else(|| std::env::consts::OS.to_owned());
    let mut words = format!("{name}, {}", std::env::consts::ARCH);
    for variable in ["XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP"] {
        if let Ok(value) = std::env::var(variable) {
            let _ = write!(words, ", {value}");
        }
    }
    words
}

/// As a distribution calls itself.
fn os_name() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let mut lines = release.lines();
    let name = lines.find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// How it stands with the connection; where it leads is nobody else's business.
pub fn connection_words(connection: &Connection) -> String {
    match connection {
        Connection::Idle => "none".to_owned(),
        Connection::Connecting => "connecting".to_owned(),
        Connection::NeedsIdentity { problem: None, .. } => "asked who is there".to_owned(),
        Connection::NeedsIdentity {
            problem: Some(problem),
            ..
        } => format!("asked who is there, {}", problem_words(problem)),
        Connection::SigningIn => "signing in".to_owned(),
        Connection::Online => "online".to_owned(),
        Connection::Reconnecting { problem, .. } => {
            format!("reconnecting, {}", problem_words(problem))
        }
        Connection::Failed(problem) => format!("failed, {}", problem_words(problem)),
    }
}

fn problem_words(problem: &Problem) -> String {
    match problem {
        Problem::Unreachable { .. } => "the server can't be reached".to_owned(),
        Problem::CertificateChanged { .. } => "another certificate than expected".to_owned(),
        other => other.to_string(),
    }
}

fn voice_words(facts: &Facts<'_>) -> String {
    let meters = facts.meters;
    let path = match facts.state.voice.path {
        VoicePath::Out => return "in no channel".to_owned(),
        VoicePath::Joining(_) => "joining",
        VoicePath::Opening(_) => "opening",
        VoicePath::Open(_) => "open",
        VoicePath::Blocked(_) => "no datagrams get through",
    };
    let carrier = (meters.carrier).map_or_else(|| "no carrier yet".to_owned(), |it| it.to_string());
    let round_trip = meters
        .rtt_ms
        .map_or_else(|| "unknown".to_owned(), |ms| format!("{ms:.1} ms"));
    let workers = &meters.statistics;
    format!(
        "{path}, {carrier}, round trip {round_trip}, {:.2} % lost here, {:.2} % lost there, {} packets sent, {} received, {} refused, {} bit/s in {} ms, {:?}",
        meters.loss * 100.0,
        meters.reported_loss * 100.0,
        workers.sent_packets,
        workers.received_packets,
        workers.refused_packets,
        workers.bitrate_bps,
        workers.frame_ms,
        workers.redundancy,
    )
}

fn port_words(port: &Port) -> String {
    match port {
        Port::Closed => "not in use".to_owned(),
        Port::Opening => "opening".to_owned(),
        Port::Open {
            name,
            instead_of: None,
        } => format!("{name}, open"),
        Port::Open {
            name,
            instead_of: Some(away),
        } => format!("{name}, open in place of {away}"),
        Port::Failed { problem, lost } => {
            format!("{problem} ({})", if *lost { "lost" } else { "not opened" })
        }
    }
}

/// What must not be in a report.
#[derive(Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// All that the app keeps and nobody else is to know.
    pub fn of(logins: &Logins) -> Self {
        let mut secrets = Self::default();
        for login in logins.iter() {
            secrets.add_login(login);
        }
        secrets
    }

    /// And all that it knows of a server.
    pub fn add_state(&mut self, state: &State) {
        if let Some(login) = &state.login {
            self.add_login(login);
        }
        if let InviteLink::Made(invite) = &state.invite {
            self.add(&invite.link);
            self.add(&invite.code);
        }
        if let Some(code) = (state.stage.as_ref()).and_then(|here| here.view.standing.code.as_ref())
        {
            self.add(code);
        }
        for history in state.history.values() {
            for message in &history.messages {
                self.add(&message.text);
            }
            for message in &history.pending {
                self.add(&message.text);
            }
        }
    }

    fn add_login(&mut self, login: &StoredLogin) {
        self.add(login.refresh_token.expose());
        self.add(&login.link.authority());
    }

    pub fn add(&mut self, secret: &str) {
        if secret.len() >= LEAST_SECRET {
            self.0.push(secret.to_owned());
        }
    }

    /// The text without them, and without what looks like one.
    fn left_out_of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The longest first: else what is part of another would leave the rest of that one.
        let mut secrets: Vec<_> = self.0.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets {
            if text.contains(secret) {
                text = text.replace(secret, LEFT_OUT);
            }
        }
        let lines = text.split('\n').map(line_without_secrets);
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn line_without_secrets(line: &str) -> String {
    let (mut named, mut quoted) = (false, false);
    let words = line.split(' ').filter_map(|word| {
        if quoted {
            // Of one value still, up to where its quotes end.
            quoted = !word.contains('"');
            return None;
        }
        // After a name that stands by itself comes what it names.
        let after_name = std::mem::replace(&mut named, names_secret(word));
        if after_name && !word.is_empty() {
            quoted = opens_quotes(word);
            return Some(LEFT_OUT.to_owned());
        }
        quoted = named_value(word).is_some_and(|(_, _, value)| opens_quotes(value));
        Some(word_without_secrets(word))
    });
    words.collect::<Vec<_>>().join(" ")
}

fn opens_quotes(value: &str) -> bool {
    (value.strip_prefix('"')).is_some_and(|rest| !rest.contains('"'))
}

/// `name=value` or `name:value` of a secret.
fn named_value(word: &str) -> Option<(&str, char, &str)> {
    ['=', ':'].into_iter().find_map(|sign| {
        let (name, value) = word.split_once(sign)?;
        (is_secret_name(name) && !value.is_empty()).then_some((name, sign, value))
    })
}

/// `token:`, `Bearer`
fn names_secret(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != ':');
    word.eq_ignore_ascii_case("bearer") || word.strip_suffix(':').is_some_and(is_secret_name)
}

fn is_secret_name(name: &str) -> bool {
    let name = name.trim_matches(|c: char| !c.is_alphanumeric());
    let name = name.to_ascii_lowercase();
    ["token", "password", "secret", "code", "authorization"]
        .into_iter()
        .any(|secret| name == secret || name.ends_with(&format!("_{secret}")))
}

fn word_without_secrets(word: &str) -> String {
    // Links carry invites, and lead to a server.
    if let Some((scheme, _)) = word.split_once("://") {
        return format!("{scheme}://{LEFT_OUT}");
    }
    if let Some((name, sign, _)) = named_value(word) {
        return format!("{name}{sign}{LEFT_OUT}");
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut clean = String::new();
    for piece in word.split_inclusive(|c| !is_part(c)) {
        let (piece, end) = match piece.char_indices().last() {
            Some((at, last)) if !is_part(last) => piece.split_at(at),
            _ => (piece, ""),
        };
        let mixed = piece.contains(|c: char| c.is_ascii_digit())
            && piece.contains(|c: char| c.is_ascii_alphabetic());
        clean.push_str(if piece.len() >= TOKEN_CHARS && mixed {
            LEFT_OUT
        } else {
            piece
        });
        clean.push_str(end);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_left_out_and_the_rest_is_not() {
        for (line, clean) in [
            (
                "can't open voxhall://host:9000/SUNNY-OTTER-42#k7Jm3v9XQ2m0cSb4T1rY: no route",
                "can't open voxhall://[removed] no route",
            ),
            ("GET (https://host/x?y=z)", "GET (https://[removed]"),
            ("refresh_token=abc", "refresh_token=[removed]"),
            ("\"password\":\"hunter22\"}", "\"password\":[removed]"),
            ("password: hunter22 refused", "password: [removed] refused"),
            (
                "password=\"two or more\" refused",
                "password=[removed] refused",
            ),
            (
                "secret: \"two words\" code: \"one\" it",
                "secret: [removed] code: [removed] it",
            ),
            (
                "Authorization: Bearer eyJhbGciOi.J9 x",
                "Authorization: [removed] [removed] x",
            ),
            (
                "key k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaG, next",
                "key [removed], next",
            ),
            (
                "sent k3t9xab2mnpq by code=k3t9xab2mnpq",
                "sent k3t9xab2mnpq by code=[removed]",
            ),
        ] {
            assert_eq!(line_without_secrets(line), clean);
        }
        for plain in [
            "2026-11-28T03:15:00.123456Z  INFO voxhall_session::voice::bridge: a carrier ended carrier=quic error=timed out",
            "opened a sound device direction=Input device=pulseaudio:alsa_input.pci-0000_00_1f.3.analog-stereo",
            "  connection: reconnecting, The connection to the server was lost.",
        ] {
            assert_eq!(line_without_secrets(plain), plain);
        }
    }

    #[test]
    fn what_the_app_knows_is_left_out_wherever_it_stands() {
        let mut secrets = Secrets::default();
        secrets.add("k3t9xab2mnpq");
        secrets.add("see you at");
        secrets.add("see you at the old mill");
        secrets.add("ok");
        assert_eq!(
            secrets.left_out_of("ok: 'see you at the old mill' (k3t9xab2mnpq)\nok"),
            "ok: '[removed]' ([removed])\nok"
        );
    }
}
