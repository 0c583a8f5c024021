//! The invite link: `voxhall://host:9000/CODE#PIN`.
//!
//! `PIN` is the SHA-256 of the server's certificate (DER), base64url without padding. A link without a pin means
//! that the server has a certificate which the system's roots vouch for. The web form that an invite page shows,
//! `https://host:9000/invite/CODE#PIN`, means the same.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::limits::{DEFAULT_PORT, INVITE_CODE_CHARS};

/// SHA-256 of a server certificate in DER form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificatePin(pub [u8; 32]);

impl fmt::Display for CertificatePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for CertificatePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificatePin({self})")
    }
}

impl FromStr for CertificatePin {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let mut pin = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut pin) {
            Ok(32) => Ok(Self(pin)),
            _ => Err(LinkError::Pin),
        }
    }
}

/// Where a server is, how to know it, and what to redeem there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// Invite or owner code.
    pub code: Option<String>,
    pub pin: Option<CertificatePin>,
}

impl Link {
    /// `host:port` as a socket address or URL authority wants it: IPv6 in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "voxhall://{}", self.authority())?;
        if let Some(code) = &self.code {
            write!(f, "/{code}")?;
        }
        if let Some(pin) = &self.pin {
            write!(f, "#{pin}")?;
        }
        Ok(())
    }
}

/// Why a text is no link. The words are for the person who pasted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("paste an invite link: it looks like voxhall://host:9000/CODE#…")]
    Empty,
    #[error("this is not a Voxhall link: it should start with voxhall://")]
    Scheme,
    #[error("the link names no valid server address; ask for a new one")]
    Host,
    #[error("the port in the link is not a number from 1 to 65535")]
    Port,
    #[error("the invite code in the link is damaged; copy the whole link again")]
    Code,
    #[error("the end of the link (after #) is damaged; copy the whole link again")]
    Pin,
}

impl FromStr for Link {
    type Err = LinkError;

    /// Reads a link as pasted: surrounding space is ignored, and a bare `host` or `host:port` is accepted too.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(LinkError::Empty);
        }
        let (rest, web) = match text.split_once("://") {
            Some(("voxhall", rest)) => (rest, false),
            Some(("https", rest)) => (rest, true),
            Some(_) => return Err(LinkError::Scheme),
            None => (text, false),
        };
        let (rest, pin) = match rest.split_once('#') {
            Some((rest, pin)) => (rest, Some(pin.parse()?)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = parse_authority(authority)?;
        let code = if web {
            path.strip_prefix("invite/").ok_or(LinkError::Scheme)?
        } else {
            path
        };
        let code = match code.trim_end_matches('/') {
            "" => None,
            code if is_code(code) => Some(code.to_owned()),
            _ => return Err(LinkError::Code),
        };
        Ok(Self {
            host,
            port,
            code,
            pin,
        })
    }
}

fn parse_authority(authority: &str) -> Result<(String, u16), LinkError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(LinkError::Host)?;
        host.parse::<std::net::Ipv6Addr>()
            .map_err(|_| LinkError::Host)?;
        (host, port)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(end);
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(valid) {
            return Err(LinkError::Host);
        }
        (host, port)
    };
    let port = match port {
        "" => DEFAULT_PORT,
        port => match port
            .strip_prefix(':')
            .and_then(|digits| digits.parse().ok())
        {
            Some(0) | None => return Err(LinkError::Port),
            Some(port) => port,
        },
    };
    Ok((host.to_owned(), port))
}

fn is_code(code: &str) -> bool {
    INVITE_CODE_CHARS.contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl Serialize for Link {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_people_paste() {
        let pin = CertificatePin([7; 32]);
        let full = Link {
            host: "voice.example.org".into(),
            port: 9000,
            code: Some("k3T-9x".into()),
            pin: Some(pin),
        };
        assert_eq!(
            format!("  voxhall://voice.example.org/k3T-9x#{pin}\n").parse(),
            Ok(full.clone())
        );
        assert_eq!(
            format!("https://voice.example.org:9000/invite/k3T-9x#{pin}").parse(),
            Ok(full)
        );
        let bare = Link {
            host: "localhost".into(),
            port: 9100,
            code: None,
            pin: None,
        };
        assert_eq!("localhost:9100".parse(), Ok(bare));
        let v6: Link = "voxhall://[::1]:1/abcd".parse().unwrap();
        assert_eq!(
            (v6.host.as_str(), v6.port, v6.authority().as_str()),
            ("::1", 1, "[::1]:1")
        );
    }

    #[test]
    fn each_fault_has_its_own_words() {
        let fault = |text: &str| text.parse::<Link>().unwrap_err();
        assert_eq!(fault(" "), LinkError::Empty);
        assert_eq!(fault("mumble://host/"), LinkError::Scheme);
        assert_eq!(fault("https://host/login"), LinkError::Scheme);
        assert_eq!(fault("voxhall:///code"), LinkError::Host);
        assert_eq!(fault("voxhall://a b/code"), LinkError::Host);
        assert_eq!(fault("voxhall://host:0/code"), LinkError::Port);
        assert_eq!(fault("voxhall://host:99999/code"), LinkError::Port);
        assert_eq!(fault("voxhall://host/c"), LinkError::Code);
        assert_eq!(fault("voxhall://host/code/more"), LinkError::Code);
        assert_eq!(fault("voxhall://host/code#short"), LinkError::Pin);
    }

    proptest! {
        #[test]
        fn any_text_is_a_link_or_an_error(text in "\\PC{0,80}") {
            if let Ok(link) = text.parse::<Link>() {
                prop_assert_eq!(link.to_string().parse::<Link>(), Ok(link));
            }
        }

        #[test]
        fn a_link_survives_its_text(host in "[a-z0-9.-]{1,20}|::1|fe80::2", port in 1u16.., code in proptest::option::of("[a-zA-Z0-9-]{4,32}"), pin in proptest::option::of(any::<[u8; 32]>())) {
            let link = Link { host, port, code, pin: pin.map(CertificatePin) };
            prop_assert_eq!(link.to_string().parse::<Link>(), Ok(link));
        }
    }
}
