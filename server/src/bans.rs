//! Networks that may not use the server: looked at when a connection comes, and when the list changes.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use tokio::sync::watch;
use voxhall_protocol::control::{ServerBan, UnixMs};

use crate::clock::unix_ms;

/// More than anyone writes by hand. All are looked at for each connection.
pub const MAX_BANS: usize = 10_000;

/// An address, or all that begin as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error(
        "Expected an address such as 203.0.113.7, or a network such as 203.0.113.0/24 or 2001:db8::/48."
    )]
    Form,
    #[error(
        "A ban of less than /8 (IPv4) or /16 (IPv6) would keep out a good part of the world. Ban smaller networks."
    )]
    TooWide,
}

/// All bans in force.
pub struct Bans(watch::Sender<Vec<(Network, Option<UnixMs>)>>);

impl Bans {
    pub fn new(bans: &[ServerBan]) -> Self {
        Self(watch::Sender::new(read(bans)))
    }

    /// These, and no others.
    pub fn set(&self, bans: &[ServerBan]) {
        self.0.send_replace(read(bans));
    }

    pub fn is_banned(&self, address: IpAddr) -> bool {
        is_banned(&self.0.borrow(), address)
    }

    /// Returns once this address is banned.
    pub async fn banned(&self, address: IpAddr) {
        let mut changes = self.0.subscribe();
        // The sender lives as long as this does.
        let _ = changes.wait_for(|bans| is_banned(bans, address)).await;
    }
}

fn is_banned(bans: &[(Network, Option<UnixMs>)], address: IpAddr) -> bool {
    if bans.is_empty() {
        return false;
    }
    let (address, now) = (address.to_canonical(), unix_ms());
    let mut bans = bans.iter();
    bans.any(|(network, until)| network.contains(address) && until.is_none_or(|until| now < until))
}

fn read(bans: &[ServerBan]) -> Vec<(Network, Option<UnixMs>)> {
    let network = |ban: &ServerBan| match ban.network.parse() {
        Ok(network) => Some((network, ban.until_ms)),
        Err(error) => {
            tracing::warn!(network = ban.network, %error, "a ban that can't be read");
            None
        }
    };
    bans.iter().filter_map(network).collect()
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                cut(address, self.prefix_len) == self.address
            }
            _ => false,
        }
    }
}

fn cut(address: IpAddr, prefix_len: u8) -> IpAddr {
    let len = u32::from(prefix_len);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix_len) = match text.trim().split_once('/') {
            Some((address, prefix_len)) => (address, Some(prefix_len)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let address = address.to_canonical();
        let (bits, least) = if address.is_ipv4() {
            (32, 8)
        } else {
            (128, 16)
        };
        let prefix_len = match prefix_len {
            Some(prefix_len) => prefix_len.parse().map_err(|_| NetworkError::Form)?,
            None => bits,
        };
        match prefix_len {
            len if len > bits => Err(NetworkError::Form),
            len if len < least => Err(NetworkError::TooWide),
            prefix_len => Ok(Self {
                address: cut(address, prefix_len),
                prefix_len,
            }),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix_len == bits {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix_len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(network: &str, until_ms: Option<UnixMs>) -> ServerBan {
        ServerBan {
            network: network.to_owned(),
            reason: String::new(),
            at_ms: 0,
            until_ms,
        }
    }

    #[test]
    fn a_network_is_written_one_way() {
        for (text, shown) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:DB8::1/48", "2001:db8::/48"),
            (" 10.0.0.0/8 ", "10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "203.0.113",
            "203.0.113.7/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "::1/129",
            "x/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Form), "{text}");
        }
        for text in ["0.0.0.0/0", "10.0.0.0/7", "::/0"] {
            assert_eq!(
                text.parse::<Network>(),
                Err(NetworkError::TooWide),
                "{text}"
            );
        }
    }

    #[test]
    fn who_is_in_a_banned_network_is_banned_while_it_lasts() {
        let now = unix_ms();
        let bans = Bans::new(&[
            ban("203.0.113.0/24", None),
            ban("2001:db8::/48", Some(now + 60_000)),
            ban("198.51.100.1", Some(now - 1)),
            ban("nonsense", None),
        ]);
        let banned = |text: &str| bans.is_banned(text.parse().unwrap());
        assert!(
            banned("203.0.113.255") && banned("::ffff:203.0.113.1") && banned("2001:db8:0:9::1")
        );
        assert!(!banned("203.0.114.1") && !banned("2001:db8:1::1") && !banned("198.51.100.1"));
        bans.set(&[]);
        assert!(!banned("203.0.113.255"));
    }

    #[tokio::test]
    async fn who_waits_is_told_when_the_ban_comes() {
        use futures_util::FutureExt;

        let bans = Bans::new(&[]);
        let address: IpAddr = "203.0.113.7".parse().unwrap();
        let told = bans.banned(address);
        tokio::pin!(told);
        assert_eq!(told.as_mut().now_or_never(), None);
        bans.set(&[ban("198.51.100.1", None)]);
        assert_eq!(told.as_mut().now_or_never(), None);
        bans.set(&[ban("203.0.113.0/24", None)]);
        assert_eq!(told.as_mut().now_or_never(), Some(()));
    }
}
