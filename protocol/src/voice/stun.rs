//! The subset of STUN (RFC 8489) that path messages use, written and read in place.
//!
//! Only attributes before MESSAGE-INTEGRITY-SHA256 are looked at, FINGERPRINT is required, and nothing is logged:
//! strangers can send as much of this as they like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Datagram, DatagramFull, StunKey};

/// Every Binding request has this length, which no answer exceeds.
pub const REQUEST_LEN: usize = 128;

pub(super) const BINDING_REQUEST: u16 = 0x0001;
pub(super) const BINDING_INDICATION: u16 = 0x0011;
pub(super) const BINDING_SUCCESS: u16 = 0x0101;
pub(super) const BINDING_ERROR: u16 = 0x0111;

pub(super) const USERNAME: u16 = 0x0006;
pub(super) const ERROR_CODE: u16 = 0x0009;
pub(super) const NONCE: u16 = 0x0015;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// RFC 5780 section 7.6.
pub(super) const PADDING: u16 = 0x0026;
const FINGERPRINT: u16 = 0x8028;

pub(super) const STALE_NONCE: u16 = 438;

const MAGIC_COOKIE: u32 = 0x2112_a442;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
pub(super) const HEADER_LEN: usize = 20;
/// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, which end every message.
pub(super) const TRAILER_LEN: usize = 4 + 32 + 4 + 4;

/// Ties an answer to its request. Random, so that somebody who can't see the request can't answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    #[error("not a well-formed STUN message")]
    Malformed,
    #[error("the STUN fingerprint does not match")]
    Fingerprint,
    #[error("a STUN method or class that has no meaning here")]
    Unexpected,
    #[error("a required STUN attribute is missing or wrong")]
    Attribute,
    #[error("the STUN message is not authentic")]
    Integrity,
    #[error("the answer would be larger than the request")]
    RequestTooShort,
}

/// A well-formed message with FINGERPRINT; its integrity is not verified yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct StunMessage<'a> {
    bytes: &'a [u8],
    /// Where MESSAGE-INTEGRITY-SHA256 starts, and with it what is not covered.
    integrity_at: usize,
    integrity: &'a [u8; 32],
}

impl<'a> StunMessage<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StunError> {
        let Some(([_, _, l0, l1, cookie @ ..], _)) = bytes.split_first_chunk::<8>() else {
            return Err(StunError::Malformed);
        };
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        if bytes.len() != HEADER_LEN + len
            || len % 4 != 0
            || bytes[0] & 0xc0 != 0
            || u32::from_be_bytes(*cookie) != MAGIC_COOKIE
        {
            return Err(StunError::Malformed);
        }

        let mut at = HEADER_LEN;
        let (integrity_at, integrity) = loop {
            let (kind, value, next) = attribute(bytes, at)?;
            if kind == MESSAGE_INTEGRITY_SHA256 {
                break (at, value.try_into().map_err(|_| StunError::Attribute)?);
            }
            at = next;
        };
        // FINGERPRINT is all that may follow.
        let (kind, value, end) = attribute(bytes, integrity_at + 4 + 32)?;
        if kind != FINGERPRINT || end != bytes.len() {
            return Err(StunError::Malformed);
        }
        let covered = &bytes[..bytes.len() - 8];
        if value != fingerprint(covered) {
            return Err(StunError::Fingerprint);
        }
        Ok(Self {
            bytes,
            integrity_at,
            integrity,
        })
    }

    pub fn kind(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    pub fn transaction(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[8..HEADER_LEN]);
        TransactionId(id)
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn verify(&self, key: &StunKey) -> Result<(), StunError> {
        // The length in the header counts up to and with MESSAGE-INTEGRITY-SHA256 (RFC 8489 section 14.6).
        let len = ((self.integrity_at + 36 - HEADER_LEN) as u16).to_be_bytes();
        let parts = [
            &self.bytes[..2],
            &len[..],
            &self.bytes[4..self.integrity_at],
        ];
        if key.verify(&parts, self.integrity) {
            Ok(())
        } else {
            Err(StunError::Integrity)
        }
    }

    /// Value of the first attribute of this kind that the integrity covers.
    pub fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut at = HEADER_LEN;
        while at < self.integrity_at {
            let (kind, value, next) = attribute(self.bytes, at).ok()?;
            if kind == wanted {
                return Some(value);
            }
            at = next;
        }
        None
    }

    pub fn error_code(&self) -> Option<u16> {
        match self.attribute(ERROR_CODE)? {
            [_, _, class @ 3..=6, number @ 0..=99, ..] => {
                Some(u16::from(*class) * 100 + u16::from(*number))
            }
            _ => None,
        }
    }

    pub fn mapped_address(&self) -> Option<SocketAddr> {
        let (head, address) = self.attribute(XOR_MAPPED_ADDRESS)?.split_first_chunk()?;
        let [_, family, p0, p1] = *head;
        let mask = &self.bytes[4..HEADER_LEN];
        let port = u16::from_be_bytes([p0 ^ mask[0], p1 ^ mask[1]]);
        let ip: IpAddr = match family {
            1 => Ipv4Addr::from(xored::<4>(address.try_into().ok()?, mask)).into(),
            2 => Ipv6Addr::from(xored::<16>(address.try_into().ok()?, mask)).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }
}

/// Kind and value of the attribute at `at`, and where the next one starts.
fn attribute(bytes: &[u8], at: usize) -> Result<(u16, &[u8], usize), StunError> {
    let Some(([k0, k1, l0, l1], rest)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk) else {
        return Err(StunError::Malformed);
    };
    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
    let padded = len.next_multiple_of(4);
    if rest.len() < padded {
        return Err(StunError::Malformed);
    }
    let kind = u16::from_be_bytes([*k0, *k1]);
    Ok((kind, &rest[..len], at + 4 + padded))
}

fn xored<const N: usize>(mut address: [u8; N], mask: &[u8]) -> [u8; N] {
    for (byte, mask) in address.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    address
}

/// CRC-32 of all before the attribute, the length in the header already counting it (RFC 8489 section 14.7).
fn fingerprint(covered: &[u8]) -> [u8; 4] {
    (crc32fast::hash(covered) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// Writes one message: attributes in order, then [`finish`](Self::finish).
pub(super) struct StunWriter<'a> {
    out: &'a mut Datagram,
}

impl<'a> StunWriter<'a> {
    pub fn new(kind: u16, transaction: TransactionId, out: &'a mut Datagram) -> Self {
        out.clear();
        let mut header = [0; HEADER_LEN];
        header[..2].copy_from_slice(&kind.to_be_bytes());
        header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        header[8..].copy_from_slice(&transaction.0);
        out.push(&header).expect("a header fits an empty datagram");
        Self { out }
    }

    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> Result<(), DatagramFull> {
        let padded = value.len().next_multiple_of(4);
        let len = u16::try_from(value.len()).map_err(|_| DatagramFull)?;
        let room = self.out.grow(4 + padded)?;
        room.fill(0);
        room[..2].copy_from_slice(&kind.to_be_bytes());
        room[2..4].copy_from_slice(&len.to_be_bytes());
        room[4..4 + value.len()].copy_from_slice(value);
        Ok(())
    }

    /// An IPv4 address inside IPv6, as dual-stack sockets report it, is written as IPv4.
    pub fn mapped_address(&mut self, address: SocketAddr) -> Result<(), DatagramFull> {
        let mut mask = [0; 16];
        mask.copy_from_slice(&self.out.as_slice()[4..HEADER_LEN]);
        let [p0, p1] = address.port().to_be_bytes();
        let head = |family| [0, family, p0 ^ mask[0], p1 ^ mask[1]];
        let mut value = [0; 20];
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                value[..4].copy_from_slice(&head(1));
                value[4..8].copy_from_slice(&xored(ip.octets(), &mask));
                self.attribute(XOR_MAPPED_ADDRESS, &value[..8])
            }
            IpAddr::V6(ip) => {
                value[..4].copy_from_slice(&head(2));
                value[4..].copy_from_slice(&xored(ip.octets(), &mask));
                self.attribute(XOR_MAPPED_ADDRESS, &value)
            }
        }
    }

    pub fn finish(mut self, key: &StunKey) -> Result<(), DatagramFull> {
        self.set_len(self.len() + 36);
        let mac = key.mac(&[self.out.as_slice()]);
        self.attribute(MESSAGE_INTEGRITY_SHA256, &mac)?;
        self.set_len(self.len() + 8);
        let crc = fingerprint(self.out.as_slice());
        self.attribute(FINGERPRINT, &crc)
    }

    fn set_len(&mut self, total: usize) {
        let len = ((total - HEADER_LEN) as u16).to_be_bytes();
        self.out.as_mut_slice()[2..4].copy_from_slice(&len);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use stun_types::{
        attribute::{Attribute, Nonce, Username, XorMappedAddress},
        message::{
            BINDING, IntegrityAlgorithm, Message, MessageWrite, MessageWriteExt, MessageWriteVec,
            ShortTermCredentials,
        },
    };

    use super::*;

    /// RFC 8489 appendix B.1 as erratum 6268 has it. It ends without FINGERPRINT, which is added here.
    #[test]
    fn rfc_8489_message_integrity_sha256() {
        let mut bytes = hex(concat!(
            "000100902112a44278ad3433c6ad72c029da412e",
            "001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704",
            "001500296f624d61744a6f7332414141",
            "43662f2f3439396b39353464364f4c33346f4c394653547679363473410000000014000b",
            "6578616d706c652e6f726700001d000400020000001c0020",
            "b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65",
        ));
        assert_eq!(bytes.len(), 20 + 0x90);
        bytes[3] += 8;
        let crc = fingerprint(&bytes);
        bytes.extend([0x80, 0x28, 0, 4]);
        bytes.extend(crc);
        let message = StunMessage::parse(&bytes).unwrap();
        // SHA-256 of user name, realm and password, joined by colons.
        let key = hex("dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1");
        assert_eq!(message.verify(&StunKey::from_bytes(&key)), Ok(()));
        assert_eq!(
            message.attribute(NONCE),
            Some(&b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"[..])
        );
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    /// RFC 5769 sections 2.2 and 2.3, of which only the mapped addresses apply: their integrity is SHA-1.
    #[test]
    fn rfc_5769_mapped_addresses() {
        let transaction = TransactionId([
            0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
        ]);
        let vectors: [(&str, &[u8]); 2] = [
            (
                "192.0.2.1:32853",
                &[0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43],
            ),
            (
                "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
                &[
                    0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc,
                    0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
                ],
            ),
        ];
        for (address, value) in vectors {
            let key = StunKey::from_bytes(b"key");
            let mut out = Datagram::new();
            let mut writer = StunWriter::new(BINDING_SUCCESS, transaction, &mut out);
            writer.mapped_address(address.parse().unwrap()).unwrap();
            writer.finish(&key).unwrap();
            let message = StunMessage::parse(out.as_slice()).unwrap();
            assert_eq!(message.attribute(XOR_MAPPED_ADDRESS), Some(value));
            assert_eq!(message.mapped_address(), Some(address.parse().unwrap()));
        }
    }

    #[test]
    fn ipv4_in_ipv6_is_told_as_ipv4() {
        let key = StunKey::from_bytes(b"key");
        let mut out = Datagram::new();
        let mut writer = StunWriter::new(BINDING_SUCCESS, TransactionId([1; 12]), &mut out);
        writer
            .mapped_address("[::ffff:192.0.2.7]:9".parse().unwrap())
            .unwrap();
        writer.finish(&key).unwrap();
        let message = StunMessage::parse(out.as_slice()).unwrap();
        assert_eq!(
            message.mapped_address(),
            Some("192.0.2.7:9".parse().unwrap())
        );
    }

    /// An independent implementation reads what we write, and writes what we read.
    #[test]
    fn agrees_with_stun_types() {
        let key = StunKey::from_bytes(b"a shared password");
        let credentials = ShortTermCredentials::new("a shared password".to_owned()).into();

        let mut out = Datagram::new();
        let mut writer = StunWriter::new(BINDING_REQUEST, TransactionId([9; 12]), &mut out);
        writer.attribute(USERNAME, b"0123456789abcdef").unwrap();
        writer.attribute(NONCE, b"nonce").unwrap();
        writer
            .mapped_address("198.51.100.3:4000".parse().unwrap())
            .unwrap();
        writer.finish(&key).unwrap();
        let theirs = Message::from_bytes(out.as_slice()).unwrap();
        assert_eq!(
            theirs.validate_integrity(&credentials).unwrap(),
            IntegrityAlgorithm::Sha256
        );
        assert_eq!(
            theirs.attribute::<Username>().unwrap().username(),
            "0123456789abcdef"
        );
        let mapped = theirs.attribute::<XorMappedAddress>().unwrap();
        assert_eq!(
            mapped.addr(theirs.transaction_id()),
            "198.51.100.3:4000".parse().unwrap()
        );

        let mut builder = Message::builder_request(BINDING, MessageWriteVec::new());
        builder
            .add_attribute(&Nonce::new("hello").unwrap())
            .unwrap();
        builder
            .add_message_integrity(&credentials, IntegrityAlgorithm::Sha256)
            .unwrap();
        builder.add_fingerprint().unwrap();
        let bytes = builder.finish();
        let ours = StunMessage::parse(&bytes).unwrap();
        assert_eq!(ours.kind(), BINDING_REQUEST);
        assert_eq!(ours.verify(&key), Ok(()));
        assert_eq!(ours.attribute(NONCE), Some(&b"hello"[..]));
        assert_eq!(
            Nonce::new("hello").unwrap().length(),
            5,
            "padding is not part of the value"
        );
        let other = StunKey::from_bytes(b"another password");
        assert_eq!(ours.verify(&other), Err(StunError::Integrity));
    }

    #[test]
    fn changed_or_cut_messages_are_refused() {
        let key = StunKey::from_bytes(b"key");
        let mut out = Datagram::new();
        let mut writer = StunWriter::new(BINDING_REQUEST, TransactionId([9; 12]), &mut out);
        writer.attribute(USERNAME, b"name").unwrap();
        writer.finish(&key).unwrap();
        let good = out.as_slice();
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 0x10;
            assert!(StunMessage::parse(&bad).is_err(), "byte {at}");
        }
        for len in 0..good.len() {
            assert!(StunMessage::parse(&good[..len]).is_err(), "length {len}");
        }
        // Attributes behind the integrity are not covered by it: such a message is refused as a whole.
        let mut longer = good[..good.len() - 8].to_vec();
        longer.extend([0x00, 0x15, 0, 4, b'e', b'v', b'i', b'l']);
        longer.extend(&good[good.len() - 8..]);
        longer[3] += 8;
        assert!(StunMessage::parse(&longer).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = StunMessage::parse(&bytes);
        }

        /// Random attributes in a frame that is right: reaches the attribute walk.
        #[test]
        fn any_attributes_are_safe(body in prop::collection::vec(any::<u8>(), 0..100), kind: u16) {
            let body = Arc::new(body);
            let len = body.len() / 4 * 4;
            let mut bytes = vec![0, 1];
            bytes.extend((len as u16).to_be_bytes());
            bytes.extend(MAGIC_COOKIE.to_be_bytes());
            bytes.extend([7; 12]);
            bytes.extend(&body[..len]);
            if let Ok(message) = StunMessage::parse(&bytes) {
                message.attribute(kind);
                message.error_code();
                message.mapped_address();
            }
        }
    }
}
