//! Mumble's voice datagrams: OCB2-AES128 with a counter of which one byte travels, and three bytes of tag.

use aes::{
    Aes128,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};

const BLOCK: usize = 16;
/// The counter's lowest byte and the tag.
pub const OVERHEAD: usize = 4;

pub struct Encryptor {
    cipher: Aes128,
    counter: u128,
}

impl Encryptor {
    pub fn new(key: &[u8; 16], nonce: [u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(&(*key).into()),
            counter: u128::from_le_bytes(nonce),
        }
    }

    /// Appends what is to be sent for `plain`.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.counter = self.counter.wrapping_add(1);
        let nonce = self.counter.to_le_bytes();
        let at = out.len();
        out.extend_from_slice(&[nonce[0], 0, 0, 0]);
        let mut text = [0; BLOCK];
        let mut delta = self.encrypt(u128::from_be_bytes(nonce));
        let mut checksum = 0;
        let (whole, last) = split(plain);
        for block in whole.chunks_exact(BLOCK) {
            delta = times2(delta);
            text.copy_from_slice(block);
            let block = u128::from_be_bytes(text);
            let sealed = delta ^ self.encrypt(delta ^ block);
            out.extend_from_slice(&sealed.to_be_bytes());
            checksum ^= block;
        }
        delta = times2(delta);
        let pad = self.encrypt(delta ^ (last.len() as u128 * 8));
        let mut padded = pad.to_be_bytes();
        padded[..last.len()].copy_from_slice(last);
        let padded = u128::from_be_bytes(padded);
        checksum ^= padded;
        out.extend_from_slice(&(padded ^ pad).to_be_bytes()[..last.len()]);
        let tag = self.encrypt(delta ^ times2(delta) ^ checksum).to_be_bytes();
        out[at + 1..at + OVERHEAD].copy_from_slice(&tag[..3]);
    }

    fn encrypt(&self, block: u128) -> u128 {
        let mut block = block.to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }
}

pub struct Decryptor {
    /// Its counter is that of the newest datagram.
    inner: Encryptor,
}

impl Decryptor {
    pub fn new(key: &[u8; 16], nonce: [u8; 16]) -> Self {
        Self {
            inner: Encryptor::new(key, nonce),
        }
    }

    /// Opens in place; `None` where the tag does not match. Up to 127 datagrams may be lost in a row.
    pub fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        let (&mut [low, t0, t1, t2], text) = datagram.split_first_chunk_mut()?;
        let cipher = &self.inner;
        let step = low.wrapping_sub(cipher.counter as u8) as i8;
        let counter = cipher.counter.wrapping_add_signed(step.into());
        let mut delta = cipher.encrypt(u128::from_be_bytes(counter.to_le_bytes()));
        let mut checksum = 0;
        let whole = split(text).0.len();
        let mut bytes = [0; BLOCK];
        for block in text[..whole].chunks_exact_mut(BLOCK) {
            delta = times2(delta);
            bytes.copy_from_slice(block);
            let plain = delta ^ self.decrypt(delta ^ u128::from_be_bytes(bytes));
            block.copy_from_slice(&plain.to_be_bytes());
            checksum ^= plain;
        }
        let last = &mut text[whole..];
        delta = times2(delta);
        let pad = cipher.encrypt(delta ^ (last.len() as u128 * 8));
        let mut padded = [0; BLOCK];
        padded[..last.len()].copy_from_slice(last);
        let padded = u128::from_be_bytes(padded) ^ pad;
        checksum ^= padded;
        last.copy_from_slice(&padded.to_be_bytes()[..last.len()]);
        let tag = cipher
            .encrypt(delta ^ times2(delta) ^ checksum)
            .to_be_bytes();
        if tag[..3] != [t0, t1, t2] {
            return None;
        }
        if step > 0 {
            self.inner.counter = counter;
        }
        Some(text)
    }

    fn decrypt(&self, block: u128) -> u128 {
        let mut block = block.to_be_bytes().into();
        self.inner.cipher.decrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }
}

/// All but the last block, which may be whole and is only empty where all is.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.len().saturating_sub(1) / BLOCK * BLOCK)
}

/// In GF(2^128).
fn times2(block: u128) -> u128 {
    (block << 1) ^ ((block >> 127) * 0x87)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// The first two vectors of OCB 2.0 (draft-krovetz-ocb-00); the counter is stepped before use.
    #[test]
    fn the_published_vectors_come_out() {
        let before = u128::from_le_bytes(KEY) - 1;
        let tag_of = |plain: &[u8]| {
            let mut sealer = Encryptor::new(&KEY, before.to_le_bytes());
            let mut out = Vec::new();
            sealer.seal(plain, &mut out);
            (out[1..4].to_vec(), out[4..].to_vec())
        };
        assert_eq!(tag_of(&[]).0, [0xbf, 0x31, 0x08]);
        let (tag, text) = tag_of(&[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(text, [0xc6, 0x36, 0xb3, 0xa8, 0x68, 0xf4, 0x29, 0xbb]);
        assert_eq!(tag, [0xa4, 0x5f, 0x5f]);
    }

    #[test]
    fn what_was_sealed_is_opened_in_any_order_and_nothing_else() {
        let mut sealer = Encryptor::new(&KEY, [250; 16]);
        let mut opener = Decryptor::new(&KEY, [250; 16]);
        let mut sealed: Vec<_> = (0..600_usize)
            .map(|n| {
                let plain: Vec<_> = (0..n % 100).map(|at| at as u8).collect();
                let mut out = Vec::new();
                sealer.seal(&plain, &mut out);
                (plain, out)
            })
            .collect();
        sealed.swap(10, 12);
        sealed[350].1[5] ^= 1;
        for (at, (plain, out)) in sealed.iter_mut().enumerate() {
            let opened = opener.open(out);
            if at == 350 {
                assert_eq!(opened, None);
            } else {
                assert_eq!(opened, Some(&plain[..]), "{at}");
            }
        }
    }
}
