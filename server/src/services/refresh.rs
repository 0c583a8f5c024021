//! Refresh tokens: what a device keeps, and gives for new access tokens. Each is good once.
//!
//! All tokens of a device are a family. Each holds a secret, from which the next one follows by HMAC with a key that only the server has:
//! so whose answer was lost gets the very same token again, though the store keeps nothing but the hash of the one that is good now. A tag
//! tells the server's own tokens, spent ones too, from invented ones; so a spent one, which someone must have copied, gives the copy away
//! however old it is, and nobody can have a family ended by making something up.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{digest, hmac};
use voxhall_protocol::SecretText;
use voxhall_store::TokenFamily;

use crate::random;

/// Name of the key in the store's settings.
pub const KEY_SETTING: &str = "refresh_token_key";

const FAMILY_BYTES: usize = 16;
const GENERATION_BYTES: usize = 4;
const SECRET_BYTES: usize = 32;
const TAG_BYTES: usize = 32;
const BODY_BYTES: usize = FAMILY_BYTES + GENERATION_BYTES + SECRET_BYTES;

/// One of the server's own, spent or not.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    pub family: TokenFamily,
    pub generation: u32,
    secret: [u8; SECRET_BYTES],
}

/// Makes and reads refresh tokens.
pub struct RefreshTokens {
    key: hmac::Key,
}

impl RefreshTokens {
    pub fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The first of a new family.
    pub fn first(&self) -> RefreshToken {
        RefreshToken {
            family: random::bytes(),
            generation: 0,
            secret: random::bytes(),
        }
    }

    /// The one that takes its place, the same each time.
    pub fn next(&self, token: &RefreshToken) -> RefreshToken {
        RefreshToken {
            family: token.family,
            generation: token.generation.saturating_add(1),
            secret: self.derive(b"next", &body(token)),
        }
    }

    pub fn write(&self, token: &RefreshToken) -> SecretText {
        let body = body(token);
        let tag: [u8; TAG_BYTES] = self.derive(b"tag", &body);
        URL_SAFE_NO_PAD.encode([&body[..], &tag].concat()).into()
    }

    /// None: never one of ours. A token from before there were families is 32 random bytes, from which its family follows; whether it was
    /// ours only the store knows.
    pub fn read(&self, text: &SecretText) -> Option<RefreshToken> {
        let mut bytes = [0; BODY_BYTES + TAG_BYTES];
        let text = text.expose().as_bytes();
        // Longer ones don't fit, and are refused.
        let count = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        if count == SECRET_BYTES {
            let secret = *bytes.first_chunk()?;
            return Some(RefreshToken {
                family: self.derive(b"family", &secret),
                generation: 0,
                secret,
            });
        }
        let (body, tag) = bytes.get(..count)?.split_at_checked(BODY_BYTES)?;
        hmac::verify(&self.key, &[b"tag\0", body].concat(), tag).ok()?;
        let (family, rest) = body.split_first_chunk()?;
        let (generation, secret) = rest.split_first_chunk()?;
        Some(RefreshToken {
            family: *family,
            generation: u32::from_be_bytes(*generation),
            secret: *secret.first_chunk()?,
        })
    }

    fn derive<const N: usize>(&self, what: &[u8], from: &[u8]) -> [u8; N] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(what);
        context.update(&[0]);
        context.update(from);
        *context
            .sign()
            .as_ref()
            .first_chunk()
            .expect("no more than 32 bytes are asked for")
    }
}

/// What the store keeps of it.
pub fn sha256(text: &SecretText) -> [u8; 32] {
    digest::digest(&digest::SHA256, text.expose().as_bytes())
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

fn body(token: &RefreshToken) -> [u8; BODY_BYTES] {
    let mut body = [0; BODY_BYTES];
    let (family, rest) = body.split_at_mut(FAMILY_BYTES);
    let (generation, secret) = rest.split_at_mut(GENERATION_BYTES);
    family.copy_from_slice(&token.family);
    generation.copy_from_slice(&token.generation.to_be_bytes());
    secret.copy_from_slice(&token.secret);
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(key: u8) -> RefreshTokens {
        RefreshTokens::new(&[key; 32])
    }

    #[test]
    fn the_next_token_is_the_same_each_time_and_nobody_elses() {
        let ours = tokens(1);
        let first = ours.first();
        let next = ours.next(&first);
        assert!(next == ours.next(&first));
        assert_eq!((next.family, next.generation), (first.family, 1));
        assert_ne!(next.secret, tokens(2).next(&first).secret);
        let text = ours.write(&next);
        assert!(ours.read(&text) == Some(next));
        assert!(tokens(2).read(&text).is_none());
        assert_ne!(sha256(&text), sha256(&ours.write(&first)));
    }

    #[test]
    fn a_token_of_32_random_bytes_has_a_family_that_only_it_leads_to() {
        let ours = tokens(1);
        let old: SecretText = URL_SAFE_NO_PAD.encode([7; 32]).into();
        let read = ours.read(&old).unwrap();
        assert_eq!(read.generation, 0);
        assert!(read == ours.read(&old).unwrap());
        let other: SecretText = URL_SAFE_NO_PAD.encode([8; 32]).into();
        assert_ne!(read.family, ours.read(&other).unwrap().family);
        assert_ne!(read.family, tokens(2).read(&old).unwrap().family);
        // Its bytes in another form are not it.
        let padded: SecretText = format!("{}=", old.expose()).into();
        assert!(ours.read(&padded).is_none());
    }

    proptest! {
        #[test]
        fn a_changed_token_is_none_of_ours(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]", steps in 0..5) {
            let ours = tokens(1);
            let mut token = ours.first();
            for _ in 0..steps {
                token = ours.next(&token);
            }
            let text = ours.write(&token);
            let mut changed = text.expose().to_owned();
            let at = at.index(changed.len());
            changed.replace_range(at..=at, &to);
            let read = ours.read(&changed.clone().into());
            prop_assert!(read.is_none() || changed == text.expose());
            prop_assert!(ours.read(&text) == Some(token));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = tokens(1).read(&text.into());
        }

        #[test]
        fn any_bytes_but_32_are_none_of_ours(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let read = tokens(1).read(&URL_SAFE_NO_PAD.encode(&bytes).into());
            prop_assert_eq!(read.is_some(), bytes.len() == 32);
        }
    }
}
