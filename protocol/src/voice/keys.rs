//! Keys of one voice session, derived from its secret by HKDF-SHA256 (RFC 5869).

use std::fmt;

use ring::{hkdf, hmac};
use subtle::ConstantTimeEq;

use crate::SessionSecret;

const LABEL_HOP_UP: &[u8] = b"voxhall hop up";
const LABEL_HOP_DOWN: &[u8] = b"voxhall hop down";
const LABEL_STUN: &[u8] = b"voxhall stun";

/// Keys of the hop between one client and its server. They prove who sent a datagram; they hide nothing.
#[derive(Clone, Debug)]
pub struct SessionKeys {
    /// Authenticates RTP and RTCP from the client to the server.
    pub hop_up: HopKey,
    /// Authenticates RTCP from the server to the client.
    pub hop_down: HopKey,
    /// Authenticates STUN path messages both ways.
    pub stun: StunKey,
}

impl SessionKeys {
    #[must_use]
    pub fn derive(secret: &SessionSecret) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&secret.0);
        Self {
            hop_up: HopKey(expand(&prk, LABEL_HOP_UP)),
            hop_down: HopKey(expand(&prk, LABEL_HOP_DOWN)),
            stun: StunKey(expand(&prk, LABEL_STUN)),
        }
    }
}

fn expand(prk: &hkdf::Prk, label: &[u8]) -> hmac::Key {
    prk.expand(&[label], hmac::HMAC_SHA256)
        .expect("a 32-byte key is within HKDF's 255 blocks")
        .into()
}

/// HMAC-SHA256 key of hop tags and RTCP tags of one direction.
#[derive(Clone)]
pub struct HopKey(hmac::Key);

impl HopKey {
    /// First `N` bytes of the MAC over the concatenated `parts`.
    pub(super) fn tag<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        truncated_mac(&self.0, parts)
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, parts: &[&[u8]], tag: &[u8; 10]) -> bool {
        self.tag::<10>(parts).ct_eq(tag).into()
    }
}

impl fmt::Debug for HopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HopKey(…)")
    }
}

/// HMAC-SHA256 key of MESSAGE-INTEGRITY-SHA256 of one session's path messages.
#[derive(Clone)]
pub struct StunKey(hmac::Key);

impl StunKey {
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        truncated_mac(&self.0, parts)
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, parts: &[&[u8]], mac: &[u8; 32]) -> bool {
        self.mac(parts).ct_eq(mac).into()
    }

    #[cfg(test)]
    pub(super) fn from_bytes(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

impl fmt::Debug for StunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StunKey(…)")
    }
}

/// First `N <= 32` bytes of HMAC-SHA256 over the concatenated `parts`.
pub(super) fn truncated_mac<const N: usize>(key: &hmac::Key, parts: &[&[u8]]) -> [u8; N] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; N];
    out.copy_from_slice(&context.sign().as_ref()[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_and_each_secret_has_its_own_key() {
        let a = SessionKeys::derive(&SessionSecret([1; 32]));
        let b = SessionKeys::derive(&SessionSecret([2; 32]));
        let macs = [
            a.hop_up.tag::<32>(&[b"x"]),
            a.hop_down.tag(&[b"x"]),
            a.stun.mac(&[b"x"]),
            b.hop_up.tag(&[b"x"]),
            b.hop_down.tag(&[b"x"]),
            b.stun.mac(&[b"x"]),
        ];
        for (i, left) in macs.iter().enumerate() {
            for right in &macs[i + 1..] {
                assert_ne!(left, right);
            }
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = SessionKeys::derive(&SessionSecret([1; 32]));
        assert_eq!(
            format!("{keys:?}"),
            "SessionKeys { hop_up: HopKey(…), hop_down: HopKey(…), stun: StunKey(…) }"
        );
    }
}
