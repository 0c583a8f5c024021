//! Access tokens: JWT, HS256, ten minutes, by a key that the header names. What a device keeps is in [`super::refresh`].

use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Signer, Verifier},
};
use ring::hmac;
use serde::{Deserialize, Serialize};
use voxhall_protocol::{DeviceId, SecretText, UserId, control::UnixMs};
use voxhall_store::SigningKey;

use crate::random;

pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(10 * 60);
/// A key is retired by itself when it is as old as this.
pub const KEY_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);

const ISSUER: &str = "voxhall-server";
const AUDIENCE: &str = "voxhall";

/// A key that was never used.
pub fn fresh_key(now: UnixMs) -> SigningKey {
    SigningKey {
        kid: random::key_name(),
        secret: random::bytes(),
        created_at_ms: now,
        retired_at_ms: None,
    }
}

/// Since when a retired key verifies nothing: all its tokens have expired.
pub fn forget_keys_before(now: UnixMs) -> UnixMs {
    now - life_s() * 1_000
}

/// Signs and checks access tokens.
pub struct AccessTokens {
    keys: ArcSwap<Vec<Key>>,
    validation: Validation,
}

struct Key {
    kid: String,
    sign: EncodingKey,
    verify: DecodingKey,
    created_at_ms: UnixMs,
    retired_at_ms: Option<UnixMs>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The user's id; the standard wants a string.
    sub: String,
    device: u64,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl AccessTokens {
    /// The first key signs.
    pub fn new(keys: &[SigningKey]) -> Self {
        // An error means that it was installed before, which is as well.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Times are compared in `check`, by the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let tokens = Self {
            keys: ArcSwap::default(),
            validation,
        };
        tokens.set_keys(keys);
        tokens
    }

    /// The first of them signs from now on.
    pub fn set_keys(&self, keys: &[SigningKey]) {
        let keys = keys.iter().map(|key| Key {
            kid: key.kid.clone(),
            sign: EncodingKey::from_secret(&key.secret),
            verify: DecodingKey::from_secret(&key.secret),
            created_at_ms: key.created_at_ms,
            retired_at_ms: key.retired_at_ms,
        });
        self.keys.store(keys.collect::<Vec<_>>().into());
    }

    /// Whether the key that signs has served for long enough.
    pub fn is_due(&self, now: UnixMs) -> bool {
        let life_ms = i64::try_from(KEY_LIFE.as_millis()).unwrap_or(i64::MAX);
        let keys = self.keys.load();
        keys.first()
            .is_none_or(|key| now - key.created_at_ms >= life_ms)
    }

    pub fn issue(&self, user: UserId, device: DeviceId, now: UnixMs) -> SecretText {
        let iat = now / 1_000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.to_string(),
            device: device.0,
            iat,
            nbf: iat,
            exp: iat + life_s(),
        };
        let keys = self.keys.load();
        let key = keys.first().expect("the store gives a key to sign with");
        let header = Header {
            kid: Some(key.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims, &key.sign)
            .expect("an HMAC key signs any claims")
            .into()
    }

    /// Whose token it is, unless it is expired, not yet valid, or not ours.
    pub fn check(&self, token: &SecretText, now: UnixMs) -> Option<(UserId, DeviceId)> {
        let header = jsonwebtoken::decode_header(token.expose()).ok()?;
        let kid = header.kid?;
        let keys = self.keys.load();
        // Only ever a name to compare: no path, no address and no key of the sender's is followed.
        let key = keys.iter().find(|key| key.kid == kid)?;
        let claims = jsonwebtoken::decode::<Claims>(token.expose(), &key.verify, &self.validation);
        let claims = claims.ok()?.claims;
        let now_s = now / 1_000;
        let in_time = claims.nbf <= now_s
            && now_s < claims.exp
            && claims.exp <= claims.iat.checked_add(life_s())?;
        // A key that leaked after it was retired signs nothing that counts.
        let in_use = key.retired_at_ms.is_none_or(|at| claims.iat <= at / 1_000);
        let user = claims.sub.parse().ok()?;
        (in_time && in_use).then_some((UserId(user), DeviceId(claims.device)))
    }
}

fn life_s() -> i64 {
    ACCESS_TOKEN_LIFE.as_secs().cast_signed()
}

/// HS256 by ring; nothing else is ever signed or accepted.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(*algorithm, key.try_get_as_bytes()?)?))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(hmac::Key);

impl Hs256 {
    fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        match algorithm {
            Algorithm::HS256 => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key))),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        }
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, tag).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: UnixMs = 1_800_000_000_000;
    const USER: UserId = UserId(7);
    const DEVICE: DeviceId = DeviceId(9);

    fn key(kid: &str, byte: u8, retired_at_ms: Option<UnixMs>) -> SigningKey {
        SigningKey {
            kid: kid.into(),
            secret: [byte; 32],
            created_at_ms: NOW,
            retired_at_ms,
        }
    }

    fn tokens() -> AccessTokens {
        AccessTokens::new(&[key("a", 1, None)])
    }

    /// Signed by HMAC-SHA-256 with these bytes, whatever the header says.
    fn signed(header: &Value, claims: &Value, secret: &[u8]) -> SecretText {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag)).into()
    }

    fn header() -> Value {
        json!({"alg": "HS256", "typ": "JWT", "kid": "a"})
    }

    fn claims() -> Value {
        let iat = NOW / 1_000;
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "7", "device": 9, "iat": iat, "nbf": iat, "exp": iat + 600})
    }

    fn with(mut object: Value, name: &str, value: Value) -> Value {
        object[name] = value;
        object
    }

    #[test]
    fn a_token_names_its_device_until_it_expires() {
        let tokens = tokens();
        let token = tokens.issue(USER, DEVICE, NOW);
        let last = NOW + life_s() * 1_000 - 1;
        for now in [NOW, last] {
            assert_eq!(tokens.check(&token, now), Some((USER, DEVICE)), "{now}");
        }
        for now in [NOW - 1_000, last + 1, NOW + 1_000 * life_s() * 100] {
            assert_eq!(tokens.check(&token, now), None, "{now}");
        }
        assert_eq!(
            tokens.check(&signed(&header(), &claims(), &[1; 32]), NOW),
            Some((USER, DEVICE))
        );
    }

    #[test]
    fn every_claim_has_to_be_there_and_right() {
        let tokens = tokens();
        let iat = NOW / 1_000;
        let wrong = [
            ("iss", json!("other")),
            ("aud", json!("other")),
            ("sub", json!("admin")),
            ("sub", json!(7)),
            ("nbf", json!(iat + 60)),
            ("exp", json!(iat)),
            ("exp", json!("never")),
            // Good for longer than we give.
            ("exp", json!(iat + 601)),
            ("iat", json!(i64::MAX)),
            ("device", json!(-1)),
        ];
        for (name, value) in wrong {
            let token = signed(&header(), &with(claims(), name, value.clone()), &[1; 32]);
            assert_eq!(tokens.check(&token, NOW), None, "{name}: {value}");
        }
        for name in ["iss", "aud", "sub", "nbf", "exp", "iat", "device"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(
                tokens.check(&signed(&header(), &claims, &[1; 32]), NOW),
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn a_header_chooses_neither_algorithm_nor_key() {
        let tokens = tokens();
        let secret: &[u8] = &[1; 32];
        let headers = [
            with(header(), "alg", json!("none")),
            with(header(), "alg", json!("NONE")),
            with(header(), "alg", json!("HS384")),
            with(header(), "alg", json!("HS512")),
            // Of old, a server that verifies by a public key could be given that key's text as an HMAC secret.
            with(header(), "alg", json!("RS256")),
            with(header(), "alg", json!("ES256")),
            with(header(), "alg", json!("EdDSA")),
            with(header(), "kid", json!("b")),
            with(header(), "kid", json!("")),
            with(header(), "kid", json!("../../../dev/null")),
            with(header(), "kid", json!("a' UNION SELECT 'AA")),
            with(header(), "kid", json!("A")),
            with(header(), "kid", Value::Null),
            with(header(), "kid", json!(["a"])),
        ];
        for header in headers {
            for secret in [secret, b"", b"-----BEGIN PUBLIC KEY-----"] {
                let token = signed(&header, &claims(), secret);
                assert_eq!(tokens.check(&token, NOW), None, "{header}");
            }
            let token = signed(&header, &claims(), secret);
            let unsigned = token.expose().rsplit_once('.').unwrap().0;
            assert_eq!(
                tokens.check(&format!("{unsigned}.").into(), NOW),
                None,
                "{header}"
            );
        }
        // Keys that the sender brings along are not looked at.
        let own = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([5; 32])});
        let brings = with(
            with(header(), "jwk", own),
            "jku",
            json!("https://evil.example/keys"),
        );
        assert_eq!(
            tokens.check(&signed(&brings, &claims(), &[5; 32]), NOW),
            None
        );
    }

    #[test]
    fn a_retired_key_verifies_what_it_signed_and_nothing_later() {
        let old = tokens();
        let token = old.issue(USER, DEVICE, NOW);
        let retired = [key("b", 2, None), key("a", 1, Some(NOW + 5_000))];
        old.set_keys(&retired);
        assert_eq!(old.check(&token, NOW + 60_000), Some((USER, DEVICE)));
        let new = old.issue(USER, DEVICE, NOW + 6_000);
        assert_eq!(old.check(&new, NOW + 6_000), Some((USER, DEVICE)));
        let late = AccessTokens::new(&[key("a", 1, None)]).issue(USER, DEVICE, NOW + 6_000);
        assert_eq!(old.check(&late, NOW + 6_000), None);
        // At once: the old one is gone.
        old.set_keys(&retired[..1]);
        assert_eq!(old.check(&token, NOW), None);
        assert_eq!(old.check(&new, NOW + 6_000), Some((USER, DEVICE)));
        // The same name with another secret.
        old.set_keys(&[key("b", 3, None)]);
        assert_eq!(old.check(&new, NOW + 6_000), None);
    }

    #[test]
    fn a_key_is_due_after_its_life() {
        let tokens = tokens();
        let life = i64::try_from(KEY_LIFE.as_millis()).unwrap();
        assert!(!tokens.is_due(NOW + life - 1));
        assert!(tokens.is_due(NOW + life));
    }

    proptest! {
        #[test]
        fn whoever_has_a_token_has_only_that(user in 0..1_u64 << 53, device in 0..1_u64 << 53, at in 0..1_000_000_i64) {
            let tokens = tokens();
            let token = tokens.issue(UserId(user), DeviceId(device), NOW + at);
            prop_assert_eq!(tokens.check(&token, NOW + at), Some((UserId(user), DeviceId(device))));
            let shown = format!("{token:?}");
            prop_assert!(!shown.contains("ey"), "{}", shown);
        }

        #[test]
        fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
            let tokens = tokens();
            let token = tokens.issue(USER, DEVICE, NOW);
            let mut changed = token.expose().to_owned();
            let at = at.index(changed.len());
            changed.replace_range(at..=at, &to);
            // The last character carries bits that base64 does not count: whatever reads as the same token is the same.
            let accepted = tokens.check(&changed.clone().into(), NOW).is_some();
            prop_assert!(!accepted || changed == token.expose());
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,300}") {
            prop_assert_eq!(tokens().check(&text.into(), NOW), None);
        }
    }
}
