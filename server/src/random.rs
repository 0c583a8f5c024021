//! Random bytes of the operating system, and codes made of them.

use ring::rand::{SecureRandom, SystemRandom};

/// Without the letters that are easily taken for others. 32 of them, so that each stands for 5 bits without bias.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";

pub fn fill(bytes: &mut [u8]) {
    SystemRandom::new()
        .fill(bytes)
        .expect("the operating system has random bytes");
}

pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// 60 bits: too many to guess through the rate limit.
pub fn invite_code() -> String {
    code::<12>()
}

/// 100 bits.
pub fn owner_code() -> String {
    code::<20>()
}

/// 40 bits: only has to differ from the few others.
pub fn key_name() -> String {
    code::<8>()
}

fn code<const N: usize>() -> String {
    bytes::<N>()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fit_into_links_and_differ() {
        let code = invite_code();
        let link: voxhall_protocol::link::Link = format!("voxhall://h/{code}").parse().unwrap();
        assert_eq!(link.code, Some(code.clone()));
        assert_ne!(code, invite_code());
        let mut letters = ALPHABET.to_vec();
        letters.dedup();
        assert_eq!(letters.len(), 32);
    }
}
