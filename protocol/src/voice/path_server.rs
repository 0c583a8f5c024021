//! The server's side of a path: verifies Binding requests and answers them without keeping anything for strangers.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ring::hmac;
use subtle::ConstantTimeEq;

use crate::VoiceSessionId;

use super::{
    Datagram, DatagramFull, StunError, StunKey, TransactionId,
    keys::truncated_mac,
    stun::{
        BINDING_ERROR, BINDING_INDICATION, BINDING_REQUEST, BINDING_SUCCESS, ERROR_CODE,
        HEADER_LEN, NONCE, STALE_NONCE, StunMessage, StunWriter, TRAILER_LEN, USERNAME,
    },
};

/// How long a nonce proves that its receiver can be reached at an address.
const NONCE_LIFETIME: Duration = Duration::from_secs(60);
const NONCE_MAC_LEN: usize = 12;
/// Time and MAC in hexadecimal.
const NONCE_LEN: usize = 2 * (4 + NONCE_MAC_LEN);
const STALE_NONCE_REASON: &[u8] = b"Stale Nonce";

/// Length of the indication that [`Nonce::write_challenge`] writes.
pub const CHALLENGE_LEN: usize = HEADER_LEN + 4 + NONCE_LEN + TRAILER_LEN;

/// A well-formed Binding request that names a voice session. Not proven until [`verify`](Self::verify) says so.
#[derive(Clone, Copy, Debug)]
pub struct BindingRequest<'a> {
    message: StunMessage<'a>,
    session: VoiceSessionId,
}

impl<'a> BindingRequest<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StunError> {
        let message = StunMessage::parse(bytes)?;
        if message.kind() != BINDING_REQUEST {
            return Err(StunError::Unexpected);
        }
        let session = message
            .attribute(USERNAME)
            .and_then(|name| std::str::from_utf8(name).ok()?.parse().ok())
            .ok_or(StunError::Attribute)?;
        Ok(Self { message, session })
    }

    #[must_use]
    pub fn session(&self) -> VoiceSessionId {
        self.session
    }

    pub fn verify(&self, key: &StunKey) -> Result<(), StunError> {
        self.message.verify(key)
    }

    /// Whether the request carries a nonce that was made for these circumstances less than a minute ago.
    ///
    /// `uptime` is time since a fixed point, the same for making and checking.
    #[must_use]
    pub fn has_fresh_nonce(
        &self,
        secret: &NonceSecret,
        from: SocketAddr,
        generation: u32,
        uptime: Duration,
    ) -> bool {
        self.message
            .attribute(NONCE)
            .is_some_and(|nonce| secret.check(nonce, self.session, from, generation, uptime))
    }

    /// Writes the success answer, which tells the client its outside address.
    pub fn write_success(
        &self,
        from: SocketAddr,
        key: &StunKey,
        out: &mut Datagram,
    ) -> Result<(), StunError> {
        let mut writer = StunWriter::new(BINDING_SUCCESS, self.message.transaction(), out);
        writer
            .mapped_address(from)
            .and_then(|()| writer.finish(key))
            .map_err(|DatagramFull| StunError::RequestTooShort)?;
        self.refuse_amplification(out)
    }

    /// Writes the 438 answer, which hands the client a nonce for the address it is heard from.
    pub fn write_stale_nonce(
        &self,
        nonce: &Nonce,
        key: &StunKey,
        out: &mut Datagram,
    ) -> Result<(), StunError> {
        let mut writer = StunWriter::new(BINDING_ERROR, self.message.transaction(), out);
        let mut error = [0; 4 + STALE_NONCE_REASON.len()];
        error[2] = (STALE_NONCE / 100) as u8;
        error[3] = (STALE_NONCE % 100) as u8;
        error[4..].copy_from_slice(STALE_NONCE_REASON);
        writer
            .attribute(ERROR_CODE, &error)
            .and_then(|()| writer.attribute(NONCE, &nonce.0))
            .and_then(|()| writer.finish(key))
            .map_err(|DatagramFull| StunError::RequestTooShort)?;
        self.refuse_amplification(out)
    }

    fn refuse_amplification(&self, out: &mut Datagram) -> Result<(), StunError> {
        if out.len() > self.message.len() {
            out.clear();
            return Err(StunError::RequestTooShort);
        }
        Ok(())
    }
}

/// Makes and checks nonces without remembering them: each is a MAC over what it is good for.
#[derive(Clone)]
pub struct NonceSecret(hmac::Key);

impl NonceSecret {
    /// `secret` is random and lives as long as the server's process.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A nonce that proves, once it comes back, that `session` can be reached at `to` while the path's `generation` lasts.
    #[must_use]
    pub fn issue(
        &self,
        session: VoiceSessionId,
        to: SocketAddr,
        generation: u32,
        uptime: Duration,
    ) -> Nonce {
        let seconds = uptime.as_secs() as u32;
        let mac = self.mac(session, to, generation, seconds);
        let mut nonce = [0; NONCE_LEN];
        let bytes = seconds.to_be_bytes().into_iter().chain(mac);
        for (hex, byte) in nonce.chunks_exact_mut(2).zip(bytes) {
            hex.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
        Nonce(nonce)
    }

    fn check(
        &self,
        nonce: &[u8],
        session: VoiceSessionId,
        from: SocketAddr,
        generation: u32,
        uptime: Duration,
    ) -> bool {
        let Some(seconds) = nonce
            .get(..8)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        else {
            return false;
        };
        let issued = Duration::from_secs(u64::from(seconds));
        let now = Duration::from_secs(uptime.as_secs());
        let fresh = now
            .checked_sub(issued)
            .is_some_and(|age| age <= NONCE_LIFETIME);
        // Made anew and compared as a whole, so that no second spelling of a nonce is good.
        let expected = self.issue(session, from, generation, issued);
        fresh && bool::from(expected.0[..].ct_eq(nonce))
    }

    fn mac(
        &self,
        session: VoiceSessionId,
        address: SocketAddr,
        generation: u32,
        seconds: u32,
    ) -> [u8; NONCE_MAC_LEN] {
        let ip = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        truncated_mac(
            &self.0,
            &[
                &session.0.to_be_bytes(),
                &ip.octets(),
                &address.port().to_be_bytes(),
                &generation.to_be_bytes(),
                &seconds.to_be_bytes(),
            ],
        )
    }
}

impl fmt::Debug for NonceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceSecret(…)")
    }
}

/// A nonce as it travels: hexadecimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_LEN]);

impl Nonce {
    /// Writes the indication that asks a client to prove a new path: [`CHALLENGE_LEN`] bytes.
    pub fn write_challenge(&self, key: &StunKey, out: &mut Datagram) {
        // The nonce's MAC is as good as random for who doesn't know the secret.
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&self.0[NONCE_LEN - 12..]);
        let transaction = TransactionId(transaction);
        let mut writer = StunWriter::new(BINDING_INDICATION, transaction, out);
        writer
            .attribute(NONCE, &self.0)
            .and_then(|()| writer.finish(key))
            .expect("a challenge of 100 bytes fits a datagram");
    }
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SessionSecret,
        voice::{SessionKeys, stun::PADDING},
    };

    const SESSION: VoiceSessionId = VoiceSessionId(0xabc);

    /// A genuine request of a client that doesn't fill it up.
    fn request(padding: usize, key: &StunKey) -> Datagram {
        let mut out = Datagram::new();
        let mut writer = StunWriter::new(BINDING_REQUEST, TransactionId([1; 12]), &mut out);
        writer
            .attribute(USERNAME, SESSION.to_string().as_bytes())
            .unwrap();
        if padding > 0 {
            writer.attribute(PADDING, &[0; 100][..padding]).unwrap();
        }
        writer.finish(key).unwrap();
        out
    }

    #[test]
    fn a_request_shorter_than_its_answer_is_not_answered() {
        let key = SessionKeys::derive(&SessionSecret([1; 32])).stun;
        let nonces = NonceSecret::new(&[2; 32]);
        let v6: SocketAddr = "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535"
            .parse()
            .unwrap();
        let nonce = nonces.issue(SESSION, v6, 0, Duration::ZERO);
        let mut answered = 0;
        for padding in 0..60 {
            let bytes = request(padding, &key);
            let parsed = BindingRequest::parse(bytes.as_slice()).unwrap();
            assert_eq!(parsed.verify(&key), Ok(()));
            let (mut success, mut stale) = (Datagram::new(), Datagram::new());
            for result in [
                parsed
                    .write_success(v6, &key, &mut success)
                    .map(|()| success.len()),
                parsed
                    .write_stale_nonce(&nonce, &key, &mut stale)
                    .map(|()| stale.len()),
            ] {
                match result {
                    Ok(len) => {
                        answered += 1;
                        assert!(len <= bytes.len(), "{len} for {}", bytes.len());
                    }
                    Err(error) => assert_eq!(error, StunError::RequestTooShort),
                }
            }
        }
        assert!(answered > 0);
    }

    #[test]
    fn a_nonce_has_one_spelling_and_one_purpose() {
        let nonces = NonceSecret::new(&[2; 32]);
        let home: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let at = Duration::from_millis(100_900);
        let nonce = nonces.issue(SESSION, home, 1, at).0;
        let check = |nonce: &[u8], session, from, generation, uptime| {
            nonces.check(nonce, session, from, generation, uptime)
        };
        assert!(check(&nonce, SESSION, home, 1, at));
        let mapped = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        assert!(check(&nonce, SESSION, mapped, 1, at), "the same address");
        assert!(check(&nonce, SESSION, home, 1, Duration::from_secs(160)));
        assert!(!check(&nonce, SESSION, home, 1, Duration::from_secs(161)));
        assert!(
            !check(&nonce, SESSION, home, 1, Duration::from_secs(99)),
            "from the future"
        );
        assert!(!check(&nonce, SESSION, home, 2, at));
        assert!(!check(&nonce, VoiceSessionId(1), home, 1, at));
        assert!(!check(&nonce.to_ascii_uppercase(), SESSION, home, 1, at));
        assert!(!check(&nonce[..31], SESSION, home, 1, at));
        assert!(!check(b"", SESSION, home, 1, at));
        assert!(!check("é".repeat(16).as_bytes(), SESSION, home, 1, at));
        for place in 0..nonce.len() {
            let mut bad = nonce;
            bad[place] = if bad[place] == b'0' { b'1' } else { b'0' };
            assert!(!check(&bad, SESSION, home, 1, at), "digit {place}");
        }
    }

    #[test]
    fn a_challenge_is_as_long_as_it_says() {
        let key = SessionKeys::derive(&SessionSecret([1; 32])).stun;
        let nonces = NonceSecret::new(&[2; 32]);
        let mut out = Datagram::new();
        nonces
            .issue(SESSION, "192.0.2.1:1".parse().unwrap(), 0, Duration::ZERO)
            .write_challenge(&key, &mut out);
        assert_eq!(out.len(), CHALLENGE_LEN);
    }
}
