//! How values are written: addresses, sizes, times, choices.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use voxhall_protocol::control::Registration;

/// What would have been a value, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(pub &'static str);

/// An address with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    pub ip: IpAddr,
    pub port: Option<u16>,
}

impl FromStr for Listen {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                ip: address.ip(),
                port: Some(address.port()),
            });
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(ip) => Ok(Self { ip, port: None }),
            Err(_) => Err(Expected(
                "an address such as 0.0.0.0, 192.168.1.5:9000 or [::]:9000",
            )),
        }
    }
}

/// A number of bytes, such as `25 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let text = text.to_ascii_lowercase();
        let size = number_and_unit(&text).and_then(|(number, unit)| {
            let unit = match unit {
                "" | "b" => 1,
                "kb" => 1_000,
                "mb" => 1_000_000,
                "gb" => 1_000_000_000,
                "kib" => 1 << 10,
                "mib" => 1 << 20,
                "gib" => 1 << 30,
                _ => return None,
            };
            number.checked_mul(unit)
        });
        size.map(Self)
            .ok_or(Expected("a size such as 500 kB, 25 MiB or 2 GiB"))
    }
}

/// A time such as `12 hours`; none: `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub Option<Duration>);

impl FromStr for Age {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        if text == "forever" {
            return Ok(Self(None));
        }
        let text = text.to_ascii_lowercase();
        let age = number_and_unit(&text).and_then(|(number, unit)| {
            let unit_s = match unit {
                "s" | "second" | "seconds" => 1,
                "min" | "minute" | "minutes" => 60,
                "h" | "hour" | "hours" => 60 * 60,
                "d" | "day" | "days" => 24 * 60 * 60,
                "week" | "weeks" => 7 * 24 * 60 * 60,
                _ => return None,
            };
            number.checked_mul(unit_s)
        });
        // Beyond that, sums with the time of day could overflow.
        match age {
            Some(1..=MAX_AGE_S) => Ok(Self(age.map(Duration::from_secs))),
            _ => Err(Expected("a time such as 12 hours or 90 days, or forever")),
        }
    }
}

const MAX_AGE_S: u64 = 1_000 * 366 * 24 * 60 * 60;

/// Splits what is in lower case already.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &text[..text.len() - unit.len()];
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Something, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrOff<T>(pub Option<T>);

impl FromStr for OrOff<SocketAddr> {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse().map_err(|_| {
            Expected("an address with a port, such as 127.0.0.1:9091 or [::1]:9091, or off")
        })?;
        Ok(Self(Some(address)))
    }
}

/// How many voices are forwarded at once; clients play 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voices(pub u8);

impl FromStr for OrOff<Voices> {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        match text.parse() {
            Ok(voices) if (1..=32).contains(&voices) => Ok(Self(Some(Voices(voices)))),
            _ if text == "off" => Ok(Self(None)),
            _ => Err(Expected("a whole number from 1 to 32, or off")),
        }
    }
}

/// A count of what there has to be at least one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl FromStr for Count {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        match text.parse() {
            Ok(0) | Err(_) => Err(Expected("a whole number from 1 to 4294967295")),
            Ok(count) => Ok(Self(count)),
        }
    }
}

/// How many threads send voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaThreads(pub usize);

impl MediaThreads {
    const MOST: usize = 16;
    const MOST_BY_ITSELF: usize = 4;
}

impl Default for MediaThreads {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self((cores / 2).clamp(1, Self::MOST_BY_ITSELF))
    }
}

impl FromStr for MediaThreads {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        match text.parse() {
            Ok(threads) if (1..=Self::MOST).contains(&threads) => Ok(Self(threads)),
            _ => Err(Expected("a whole number from 1 to 16")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(pub u16);

impl FromStr for Port {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let port = text.parse();
        port.map(Self)
            .map_err(|_| Expected("a port number from 0 to 65535"))
    }
}

macro_rules! choices {
    ($($type:ty: $expected:literal { $($word:literal => $value:expr,)* })*) => {$(
        impl FromStr for Choice<$type> {
            type Err = Expected;

            fn from_str(text: &str) -> Result<Self, Expected> {
                match text {
                    $($word => Ok(Self($value)),)*
                    _ => Err(Expected($expected)),
                }
            }
        }
    )*};
}

/// One of a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<T>(pub T);

/// Who may make guilds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuildMakers {
    /// Everyone who is let in.
    Everyone,
    /// Admins of the server.
    Admins,
}

/// How the server says that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnounceForm {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

choices! {
    Registration: "open, invite or closed" {
        "open" => Registration::Open,
        "invite" => Registration::Invite,
        "closed" => Registration::Closed,
    }
    GuildMakers: "everyone or admins" {
        "everyone" => GuildMakers::Everyone,
        "admins" => GuildMakers::Admins,
    }
    AnnounceForm: "human or json" {
        "human" => AnnounceForm::Human,
        "json" => AnnounceForm::Json,
    }
    LogFormat: "text or json" {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
    }
    bool: "true or false" {
        "true" => true,
        "false" => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_not() {
        for (text, bytes) in [
            ("25 MiB", 25 << 20),
            ("25mib", 25 << 20),
            ("2 GB", 2_000_000_000),
            ("1024", 1_024),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in [
            "",
            "MiB",
            "25 MX",
            "-1",
            "1.5 GiB",
            "99999999999999999999",
            "99999999999 GiB",
            "3 days",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units_and_an_end_or_none() {
        for (text, s) in [
            ("90 days", Some(90 * 86_400)),
            ("1 day", Some(86_400)),
            ("12h", Some(43_200)),
            ("2 weeks", Some(14 * 86_400)),
            ("forever", None),
        ] {
            assert_eq!(text.parse(), Ok(Age(s.map(Duration::from_secs))), "{text}");
        }
        for text in [
            "",
            "90",
            "0 days",
            "never",
            "18446744073709551615 days",
            "5 MiB",
        ] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_have_a_port_where_they_need_one() {
        assert_eq!("off".parse(), Ok(OrOff::<SocketAddr>(None)));
        assert!("127.0.0.1".parse::<OrOff<SocketAddr>>().is_err());
        assert!("127.0.0.1:9091".parse::<OrOff<SocketAddr>>().is_ok());
        assert_eq!("[::1]".parse::<Listen>().unwrap().port, None);
        assert_eq!("[::1]:7".parse::<Listen>().unwrap().port, Some(7));
    }
}
