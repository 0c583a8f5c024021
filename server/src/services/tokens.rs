//! Access tokens (JWT, ten minutes) and refresh tokens (random, kept by the device).

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Signer, Verifier},
};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use voxhall_protocol::{DeviceId, SecretText, UserId, control::UnixMs};

use crate::random;

pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(10 * 60);
/// Name of the signing key in the store's settings.
pub const KEY_SETTING: &str = "access_token_key";
pub const KEY_BYTES: usize = 32;

const ISSUER: &str = "voxhall-server";
const AUDIENCE: &str = "voxhall";

/// Signs and checks access tokens.
pub struct AccessTokens {
    sign: EncodingKey,
    verify: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The user's id; the standard wants a string.
    sub: String,
    device: u64,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    pub fn new(key: &[u8]) -> Self {
        // An error means that it was installed before, which is as well.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        Self {
            sign: EncodingKey::from_secret(key),
            verify: DecodingKey::from_secret(key),
            validation,
        }
    }

    pub fn issue(&self, user: UserId, device: DeviceId, now: UnixMs) -> SecretText {
        let iat = now / 1_000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.to_string(),
            device: device.0,
            iat,
            exp: iat + ACCESS_TOKEN_LIFE.as_secs().cast_signed(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .expect("an HMAC key signs any claims")
            .into()
    }

    /// Whose token it is, unless it is expired or not ours.
    pub fn check(&self, token: &SecretText) -> Option<(UserId, DeviceId)> {
        let claims =
            jsonwebtoken::decode::<Claims>(token.expose(), &self.verify, &self.validation).ok()?;
        let user = claims.claims.sub.parse().ok()?;
        Some((UserId(user), DeviceId(claims.claims.device)))
    }
}

/// A new refresh token, and what the store keeps of it.
pub fn new_refresh_token() -> (SecretText, [u8; 32]) {
    let token = URL_SAFE_NO_PAD.encode(random::bytes::<32>());
    let hash = hash_refresh_token(&token);
    (token.into(), hash)
}

pub fn hash_refresh_token(token: &str) -> [u8; 32] {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
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
    use super::*;

    fn now() -> UnixMs {
        crate::clock::unix_ms()
    }

    #[test]
    fn a_token_names_its_device_until_it_expires() {
        let tokens = AccessTokens::new(&[1; 32]);
        let (user, device) = (UserId(7), DeviceId(9));
        let token = tokens.issue(user, device, now());
        assert_eq!(tokens.check(&token), Some((user, device)));
        let life = i64::try_from(ACCESS_TOKEN_LIFE.as_millis()).unwrap();
        let old = tokens.issue(user, device, now() - life - 1_000);
        assert_eq!(tokens.check(&old), None);
    }

    #[test]
    fn what_we_did_not_sign_is_refused() {
        let tokens = AccessTokens::new(&[1; 32]);
        let token = tokens.issue(UserId(7), DeviceId(9), now());
        assert_eq!(AccessTokens::new(&[2; 32]).check(&token), None);
        let (rest, _) = token.expose().rsplit_once('.').unwrap();
        let (_, claims) = rest.split_once('.').unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let hs512 = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS512","typ":"JWT"}"#);
        for forged in [
            format!("{none}.{claims}."),
            format!("{hs512}.{claims}.AAAA"),
            format!("{rest}."),
            String::new(),
            "a.b.c".to_owned(),
        ] {
            assert_eq!(tokens.check(&forged.into()), None);
        }
    }

    #[test]
    fn a_token_for_someone_else_is_refused() {
        let tokens = AccessTokens::new(&[1; 32]);
        let iat = now() / 1_000;
        for (iss, aud) in [("other", AUDIENCE), (ISSUER, "other")] {
            let claims = Claims {
                iss: iss.into(),
                aud: aud.into(),
                sub: "7".into(),
                device: 1,
                iat,
                exp: iat + 60,
            };
            let header = Header::new(Algorithm::HS256);
            let token = jsonwebtoken::encode(&header, &claims, &tokens.sign).unwrap();
            assert_eq!(tokens.check(&token.into()), None);
        }
    }
}
