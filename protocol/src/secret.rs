//! Secrets that travel in control messages: never shown by `Debug`, base64url without padding in JSON.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, JsonSchema)]
        pub struct $name(#[schemars(with = "String", regex(pattern = "^[A-Za-z0-9_-]{43}$"))] pub [u8; 32]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                let mut key = [0; 32];
                match URL_SAFE_NO_PAD.decode_slice(text.as_bytes(), &mut key) {
                    Ok(32) => Ok(Self(key)),
                    _ => Err(serde::de::Error::custom("expected 32 bytes as base64url without padding")),
                }
            }
        }
    )*};
}

secrets! {
    /// What one voice session's hop and path keys are derived from (`docs/protocol/voice.md`).
    SessionSecret;
    /// SFrame base key (RFC 9605) of one voice channel for one epoch.
    BaseKey;
}

/// A token or password in a control message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl SecretText {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_survive_json_and_hide_from_debug() {
        let key = BaseKey([0xab; 32]);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<BaseKey>(&json).unwrap(), key);
        assert_eq!(format!("{key:?}"), "BaseKey(…)");
        assert_eq!(
            format!("{:?}", SecretText::from("hunter2")),
            "SecretText(…)"
        );
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        for bad in ["\"\"", "\"AAAA\"", "\"!!!\"", "3"] {
            assert!(serde_json::from_str::<BaseKey>(bad).is_err(), "{bad}");
        }
        let long = format!("\"{}\"", "A".repeat(100));
        assert!(serde_json::from_str::<BaseKey>(&long).is_err());
    }
}
