//! Where people come from: never the address, but what tells whether it is the same.

use ring::hmac;
use voxhall_protocol::UserId;
use voxhall_store::{AddressHash, Members};

use super::Services;
use crate::{clock::unix_ms, rates::Source};

/// Name of the key in the store's settings.
pub const KEY_SETTING: &str = "address_key";

pub struct Addresses {
    key: hmac::Key,
}

impl Addresses {
    pub fn new(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    pub fn hash(&self, source: Source) -> AddressHash {
        let hash = hmac::sign(&self.key, source.to_string().as_bytes());
        AddressHash(*hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

impl Services {
    pub fn address_hash(&self, source: Source) -> AddressHash {
        self.addresses.hash(source)
    }

    /// For bans by address. Nobody waits for it, and nothing depends on it.
    pub(super) async fn saw_address(&self, user: UserId, source: Source) {
        let hash = self.address_hash(source);
        if let Err(error) = self.store.saw_address(user, hash, unix_ms()).await {
            tracing::warn!(%error, "where someone signed in from was not noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_one_hash_and_only_with_the_key() {
        let of = |key: u8, address: &str| {
            Addresses::new(&[key; 32]).hash(Source::of(address.parse().unwrap()))
        };
        assert_eq!(of(1, "2001:db8::1"), of(1, "2001:db8::2"));
        assert_ne!(of(1, "10.0.0.1"), of(1, "10.0.0.2"));
        assert_ne!(of(1, "10.0.0.1"), of(2, "10.0.0.1"));
    }
}
