//! One UDP datagram: a buffer of fixed capacity, and what kind of message it carries.

use std::fmt;

/// The most a voice datagram may hold: Opus' largest frame (1,275 B) with every header, within an Ethernet MTU over IPv6.
pub const MAX_DATAGRAM: usize = 1_400;

/// What a datagram is, told by its first two bytes (RFC 9443, RFC 5761). Says nothing about its validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramKind {
    /// RFC 8489.
    Stun,
    /// RFC 3550.
    Rtp,
    /// RFC 3550, multiplexed with RTP as RFC 5761 has it.
    Rtcp,
    /// Several RTP packets in one datagram, server to client only.
    Bundle,
    /// RFC 9000.
    Quic,
    Unknown,
}

/// Tells kinds apart by the first byte (RFC 9443), and RTP from RTCP by the second (RFC 5761 section 4).
#[must_use]
pub fn classify(bytes: &[u8]) -> DatagramKind {
    match bytes {
        [0..=3, ..] => DatagramKind::Stun,
        [4, ..] => DatagramKind::Bundle,
        [128..=191, 192..=223, ..] => DatagramKind::Rtcp,
        [128..=191, ..] => DatagramKind::Rtp,
        [64..=127 | 192..=255, ..] => DatagramKind::Quic,
        _ => DatagramKind::Unknown,
    }
}

/// A datagram being written: at most [`MAX_DATAGRAM`] bytes, never reallocated.
#[derive(Clone)]
pub struct Datagram {
    bytes: [u8; MAX_DATAGRAM],
    len: usize,
}

impl Datagram {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; MAX_DATAGRAM],
            len: 0,
        }
    }

    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends `bytes`, or leaves the datagram as it was when they don't fit.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DatagramFull> {
        self.grow(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends `len` bytes, whose content is whatever was there before, and gives them to be written.
    pub fn grow(&mut self, len: usize) -> Result<&mut [u8], DatagramFull> {
        let start = self.len;
        let end = start
            .checked_add(len)
            .filter(|end| *end <= MAX_DATAGRAM)
            .ok_or(DatagramFull)?;
        self.len = end;
        Ok(&mut self.bytes[start..end])
    }
}

impl Default for Datagram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagram({} bytes)", self.len)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message does not fit into a datagram of {MAX_DATAGRAM} bytes")]
pub struct DatagramFull;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_rfc_9443() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => DatagramKind::Stun,
                4 => DatagramKind::Bundle,
                64..=127 | 192..=255 => DatagramKind::Quic,
                128..=191 => DatagramKind::Rtp,
                _ => DatagramKind::Unknown,
            };
            assert_eq!(classify(&[first, 111]), expected, "first byte {first}");
        }
        assert_eq!(classify(&[]), DatagramKind::Unknown);
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_packet_type() {
        assert_eq!(classify(&[0x80, 191]), DatagramKind::Rtp);
        assert_eq!(classify(&[0x80, 192]), DatagramKind::Rtcp);
        assert_eq!(classify(&[0x81, 201]), DatagramKind::Rtcp);
        assert_eq!(classify(&[0x80, 223]), DatagramKind::Rtcp);
        assert_eq!(classify(&[0x80, 224]), DatagramKind::Rtp);
        // PT 111 with the marker bit.
        assert_eq!(classify(&[0x80, 111 | 0x80]), DatagramKind::Rtp);
    }

    #[test]
    fn a_full_datagram_refuses_more_and_stays_as_it_was() {
        let mut datagram = Datagram::new();
        datagram.push(&[7; MAX_DATAGRAM - 1]).unwrap();
        assert_eq!(datagram.push(&[1, 2]), Err(DatagramFull));
        assert_eq!(datagram.len(), MAX_DATAGRAM - 1);
        assert_eq!(datagram.grow(usize::MAX).map(|_| ()), Err(DatagramFull));
        datagram.push(&[9]).unwrap();
        assert_eq!(datagram.as_slice()[MAX_DATAGRAM - 1], 9);
    }
}
