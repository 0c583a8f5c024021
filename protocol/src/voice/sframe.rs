//! SFrame (RFC 9605) with suite AES_256_GCM_SHA512_128, sealed and opened in place with `ring`.
//!
//! The `sframe` crate is the oracle of the tests, not the implementation: it rebuilds the AES key schedule, copies, and
//! allocates for every packet it opens (figures in `docs/adr/0001-wire-format.md`).

use std::fmt;

use ring::{aead, hkdf};

use crate::{BaseKey, Epoch, SenderIndex};

use super::MAX_RTP_HEADER;

/// Length of the AEAD tag.
pub const SFRAME_TAG_LEN: usize = 16;
/// Config byte, KID and CTR of 8 bytes each.
pub(super) const MAX_SFRAME_HEADER: usize = 17;

const CIPHER_SUITE: u16 = 0x0005;
const EPOCH_BITS: u32 = 6;
const EPOCH_MASK: u64 = (1 << EPOCH_BITS) - 1;

/// SFrame key id as RFC 9605 section 5.2 builds it: sender index above, the low 6 bits of the epoch below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(u64);

impl Kid {
    #[must_use]
    pub fn new(sender: SenderIndex, epoch: Epoch) -> Self {
        Self(u64::from(sender.0) << EPOCH_BITS | u64::from(epoch.0) & EPOCH_MASK)
    }

    /// `None` when the id holds more than a sender index and an epoch.
    #[must_use]
    pub fn from_u64(kid: u64) -> Option<Self> {
        u16::try_from(kid >> EPOCH_BITS).ok().map(|_| Self(kid))
    }

    #[must_use]
    pub fn sender(self) -> SenderIndex {
        SenderIndex((self.0 >> EPOCH_BITS) as u16)
    }

    /// The epoch modulo 64.
    #[must_use]
    pub fn epoch_bits(self) -> u8 {
        (self.0 & EPOCH_MASK) as u8
    }
}

/// SFrame header (RFC 9605 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SframeHeader {
    pub kid: Kid,
    pub ctr: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SframeError {
    #[error("the SFrame is truncated")]
    Truncated,
    #[error("the SFrame key id names no sender")]
    UnknownKid,
}

impl SframeHeader {
    /// Parses the header and gives its length. Longer than needed encodings are accepted, as the AEAD covers them.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), SframeError> {
        let (kid, ctr, len) = parse_raw(bytes)?;
        let kid = Kid::from_u64(kid).ok_or(SframeError::UnknownKid)?;
        Ok((Self { kid, ctr }, len))
    }

    /// The encoded header and its length.
    pub(super) fn encode(self) -> ([u8; MAX_SFRAME_HEADER], usize) {
        encode_raw(self.kid.0, self.ctr)
    }
}

/// One sender's AEAD key and salt of one epoch (RFC 9605 section 4.4.2). Derive it once, not per packet.
pub struct SenderKey {
    kid: Kid,
    key: aead::LessSafeKey,
    salt: [u8; aead::NONCE_LEN],
}

impl SenderKey {
    #[must_use]
    pub fn derive(base_key: &BaseKey, kid: Kid) -> Self {
        let (key, salt) = derive_raw(&base_key.0, kid.0);
        Self { kid, key, salt }
    }

    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// Encrypts `text` in place and gives the tag. A `ctr` must never be used twice with a key.
    pub(super) fn seal(
        &self,
        ctr: u64,
        sframe_header: &[u8],
        metadata: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; SFRAME_TAG_LEN]> {
        let (aad, len) = aad(sframe_header, metadata)?;
        let aad = aead::Aad::from(&aad[..len]);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(ctr), aad, text)
            .ok()?;
        let mut out = [0; SFRAME_TAG_LEN];
        out.copy_from_slice(tag.as_ref());
        Some(out)
    }

    /// Decrypts `sealed` (text and tag) in place and gives the text; `None` when it is not genuine.
    pub(super) fn open<'a>(
        &self,
        ctr: u64,
        sframe_header: &[u8],
        metadata: &[u8],
        sealed: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let (aad, len) = aad(sframe_header, metadata)?;
        let aad = aead::Aad::from(&aad[..len]);
        self.key.open_in_place(self.nonce(ctr), aad, sealed).ok()
    }

    /// Salt xor counter (RFC 9605 section 4.4.3).
    fn nonce(&self, ctr: u64) -> aead::Nonce {
        let mut nonce = self.salt;
        for (byte, ctr) in nonce[4..].iter_mut().zip(ctr.to_be_bytes()) {
            *byte ^= ctr;
        }
        aead::Nonce::assume_unique_for_key(nonce)
    }
}

impl fmt::Debug for SenderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SenderKey({:?}, …)", self.kid)
    }
}

const MAX_AAD: usize = MAX_SFRAME_HEADER + MAX_RTP_HEADER;

/// SFrame header, then metadata (RFC 9605 section 4.4.3): the other way round than they travel.
fn aad(sframe_header: &[u8], metadata: &[u8]) -> Option<([u8; MAX_AAD], usize)> {
    let mut out = [0; MAX_AAD];
    let len = sframe_header.len() + metadata.len();
    let (first, second) = out
        .get_mut(..len)?
        .split_at_mut_checked(sframe_header.len())?;
    first.copy_from_slice(sframe_header);
    second.copy_from_slice(metadata);
    Some((out, len))
}

fn derive_raw(base_key: &[u8], kid: u64) -> (aead::LessSafeKey, [u8; aead::NONCE_LEN]) {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, &[]).extract(base_key);
    let kid = kid.to_be_bytes();
    let suite = CIPHER_SUITE.to_be_bytes();
    let key: aead::UnboundKey = prk
        .expand(
            &[b"SFrame 1.0 Secret key ", &kid, &suite],
            &aead::AES_256_GCM,
        )
        .expect("a 32-byte key is within HKDF's 255 blocks")
        .into();
    let mut salt = [0; aead::NONCE_LEN];
    prk.expand(&[b"SFrame 1.0 Secret salt ", &kid, &suite], SaltLen)
        .and_then(|okm| okm.fill(&mut salt))
        .expect("a 12-byte salt is within HKDF's 255 blocks");
    (aead::LessSafeKey::new(key), salt)
}

struct SaltLen;

impl hkdf::KeyType for SaltLen {
    fn len(&self) -> usize {
        aead::NONCE_LEN
    }
}

/// KID, CTR and length of the header. A field below 8 sits in the config byte; else its length - 1 does.
fn parse_raw(bytes: &[u8]) -> Result<(u64, u64, usize), SframeError> {
    let (&config, rest) = bytes.split_first().ok_or(SframeError::Truncated)?;
    let (kid, rest) = parse_field(config >> 4, rest)?;
    let (ctr, rest) = parse_field(config & 0x0f, rest)?;
    Ok((kid, ctr, bytes.len() - rest.len()))
}

fn parse_field(nibble: u8, bytes: &[u8]) -> Result<(u64, &[u8]), SframeError> {
    let value = nibble & 7;
    if nibble & 8 == 0 {
        return Ok((u64::from(value), bytes));
    }
    let (field, rest) = bytes
        .split_at_checked(usize::from(value) + 1)
        .ok_or(SframeError::Truncated)?;
    let value = field
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    Ok((value, rest))
}

fn encode_raw(kid: u64, ctr: u64) -> ([u8; MAX_SFRAME_HEADER], usize) {
    let mut out = [0; MAX_SFRAME_HEADER];
    let (kid_nibble, len) = encode_field(kid, 1, &mut out);
    let (ctr_nibble, len) = encode_field(ctr, len, &mut out);
    out[0] = kid_nibble << 4 | ctr_nibble;
    (out, len)
}

/// Writes the field at `at` unless it fits its nibble; gives the nibble and where the next field starts.
fn encode_field(value: u64, at: usize, out: &mut [u8; MAX_SFRAME_HEADER]) -> (u8, usize) {
    if value < 8 {
        return (value as u8, at);
    }
    let skip = value.leading_zeros() as usize / 8;
    let len = 8 - skip;
    out[at..at + len].copy_from_slice(&value.to_be_bytes()[skip..]);
    (8 | (len - 1) as u8, at + len)
}

#[cfg(test)]
mod tests {
    use ::sframe::{CipherSuite, frame::MediaFrameView, frame::MonotonicCounter, key};
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn rfc_9605_header_vectors() {
        let mut vectors = 0;
        let text = include_str!("../../tests/data/rfc9605-headers.txt");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let [kid, ctr, encoded] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("not three fields: {line}");
            };
            let (kid, ctr) = (kid.parse().unwrap(), ctr.parse().unwrap());
            let encoded = hex(encoded);
            let (bytes, len) = encode_raw(kid, ctr);
            assert_eq!(bytes[..len], encoded, "KID {kid} CTR {ctr}");
            assert_eq!(parse_raw(&encoded), Ok((kid, ctr, encoded.len())));
            assert_eq!(
                parse_raw(&encoded[..encoded.len() - 1]),
                Err(SframeError::Truncated)
            );
            vectors += 1;
        }
        assert_eq!(vectors, 289);
    }

    /// RFC 9605 appendix C.3.5, AES_256_GCM_SHA512_128.
    #[test]
    fn rfc_9605_suite_vector() {
        let (kid, ctr) = (0x123, 17_767);
        let (key, salt) = derive_raw(&hex("000102030405060708090a0b0c0d0e0f"), kid);
        assert_eq!(salt[..], hex("84991c167b8cd23c93708ec7"));
        let kid = Kid::from_u64(kid).unwrap();
        let key = SenderKey { kid, key, salt };
        assert_eq!(key.nonce(ctr).as_ref()[..], hex("84991c167b8cd23c9370cba0"));

        let metadata = hex("4945544620534672616d65205747");
        let (header, len) = SframeHeader { kid, ctr }.encode();
        let header = &header[..len];
        let mut text = hex("64726166742d696574662d736672616d652d656e63");
        let plain = text.clone();
        let tag = key.seal(ctr, header, &metadata, &mut text).unwrap();
        let frame = [header, &text, &tag].concat();
        assert_eq!(
            frame,
            hex(
                "990123456794f509d36e9beacb0e261d99c7d1e972f1fed787d4049f17ca21353c1cc24d56ceabced279"
            )
        );

        let (parsed, len) = SframeHeader::parse(&frame).unwrap();
        assert_eq!(parsed, SframeHeader { kid, ctr });
        let mut sealed = frame[len..].to_vec();
        assert_eq!(
            key.open(ctr, header, &metadata, &mut sealed),
            Some(&mut plain.clone()[..])
        );
        let mut sealed = frame[len..].to_vec();
        assert_eq!(key.open(ctr, header, b"other", &mut sealed), None);
    }

    #[test]
    fn key_ids_hold_sender_and_epoch() {
        let kid = Kid::new(SenderIndex(u16::MAX), Epoch(0x1_0041));
        assert_eq!((kid.sender(), kid.epoch_bits()), (SenderIndex(u16::MAX), 1));
        assert_eq!(Kid::from_u64(1 << 22), None);
        let (bytes, len) = encode_raw(1 << 22, 0);
        assert_eq!(
            SframeHeader::parse(&bytes[..len]),
            Err(SframeError::UnknownKid)
        );
    }

    proptest! {
        #[test]
        fn headers_round_trip(kid: u64, ctr: u64, shift_kid in 0u32..64, shift_ctr in 0u32..64) {
            let (kid, ctr) = (kid >> shift_kid, ctr >> shift_ctr);
            let (bytes, len) = encode_raw(kid, ctr);
            prop_assert_eq!(parse_raw(&bytes[..len]), Ok((kid, ctr, len)));
            let theirs = ::sframe::header::SframeHeader::new(kid, ctr);
            prop_assert_eq!(&bytes[..len], &Vec::from(&theirs)[..]);
        }

        /// What we seal, the `sframe` crate opens, byte for byte the same.
        #[test]
        fn agrees_with_the_sframe_crate(
            base: [u8; 32], sender: u16, epoch: u32, ctr in 0u64..1 << 40,
            metadata in prop::collection::vec(any::<u8>(), 0..MAX_RTP_HEADER),
            text in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let kid = Kid::new(SenderIndex(sender), Epoch(epoch));
            let ours = SenderKey::derive(&BaseKey(base), kid);
            let (header, len) = SframeHeader { kid, ctr }.encode();
            let mut sealed = text.clone();
            let tag = ours.seal(ctr, &header[..len], &metadata, &mut sealed).unwrap();
            let frame = [&header[..len], &sealed, &tag].concat();

            let suite = CipherSuite::AesGcm256Sha512;
            let theirs = key::EncryptionKey::derive_from(suite, kid.0, base).unwrap();
            let mut counter = MonotonicCounter::with_start_value(ctr, u64::MAX);
            let view = MediaFrameView::try_with_meta_data(&mut counter, &text, &metadata).unwrap();
            let mut buffer = Vec::new();
            let encrypted = view.encrypt_into(&theirs, &mut buffer).unwrap();
            prop_assert_eq!(encrypted.sframe_cipher_text(), &frame[..]);
        }
    }
}
