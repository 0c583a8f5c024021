//! Bundles: several RTP packets for one listener in one datagram.
//!
//! `4`, then for each packet its length (u16, big-endian) and its bytes, up to [`MAX_BUNDLE`] bytes in all.

use super::Datagram;

/// The longest bundle: passes where the path's MTU is IPv6's minimum of 1,280 bytes.
pub const MAX_BUNDLE: usize = 1_200;

const FIRST_BYTE: u8 = 4;

/// Iterates over the packets of a received bundle. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    rest: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("not a bundle")]
    NotABundle,
    #[error("the bundle is longer than {MAX_BUNDLE} bytes")]
    TooLong,
    #[error("the bundle ends within a packet")]
    Truncated,
    #[error("the bundle holds an empty packet")]
    EmptyPacket,
}

impl<'a> Bundle<'a> {
    pub fn parse(datagram: &'a [u8]) -> Result<Self, BundleError> {
        match datagram {
            [FIRST_BYTE, ..] if datagram.len() > MAX_BUNDLE => Err(BundleError::TooLong),
            [FIRST_BYTE, rest @ ..] => Ok(Self { rest }),
            _ => Err(BundleError::NotABundle),
        }
    }

    /// Calls `packet` with each packet, mutable so that it can be opened in place.
    pub fn for_each_mut(
        datagram: &mut [u8],
        mut packet: impl FnMut(&mut [u8]),
    ) -> Result<(), BundleError> {
        let mut at = datagram.len() - Bundle::parse(datagram)?.rest.len();
        while at < datagram.len() {
            let (len, _) = split_packet(&datagram[at..])?;
            at += 2;
            packet(&mut datagram[at..at + len]);
            at += len;
        }
        Ok(())
    }
}

impl<'a> Iterator for Bundle<'a> {
    type Item = Result<&'a [u8], BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match split_packet(self.rest) {
            Ok((len, packet)) => {
                self.rest = &self.rest[2 + len..];
                Some(Ok(packet))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

fn split_packet(bytes: &[u8]) -> Result<(usize, &[u8]), BundleError> {
    let ([l0, l1], rest) = bytes.split_first_chunk().ok_or(BundleError::Truncated)?;
    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
    if len == 0 {
        return Err(BundleError::EmptyPacket);
    }
    let packet = rest.get(..len).ok_or(BundleError::Truncated)?;
    Ok((len, packet))
}

/// Fills a datagram with packets.
#[derive(Debug)]
pub struct BundleBuilder<'a> {
    out: &'a mut Datagram,
}

/// The packet doesn't fit (or is empty): the bundle is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet does not fit into the bundle")]
pub struct BundleFull;

impl<'a> BundleBuilder<'a> {
    /// Starts anew in `out`.
    pub fn new(out: &'a mut Datagram) -> Self {
        out.clear();
        out.push(&[FIRST_BYTE])
            .expect("one byte fits an empty datagram");
        Self { out }
    }

    pub fn push(&mut self, packet: &[u8]) -> Result<(), BundleFull> {
        let len = u16::try_from(packet.len()).map_err(|_| BundleFull)?;
        if len == 0 || self.out.len() + 2 + packet.len() > MAX_BUNDLE {
            return Err(BundleFull);
        }
        self.out
            .push(&len.to_be_bytes())
            .and_then(|()| self.out.push(packet))
            .map_err(|_| BundleFull)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let mut out = Datagram::new();
        let mut builder = BundleBuilder::new(&mut out);
        builder.push(b"abc").unwrap();
        builder.push(b"d").unwrap();
        assert_eq!(builder.push(b""), Err(BundleFull));
        assert_eq!(out.as_slice(), b"\x04\x00\x03abc\x00\x01d");
        let packets: Vec<_> = Bundle::parse(out.as_slice()).unwrap().collect();
        assert_eq!(packets, [Ok(&b"abc"[..]), Ok(&b"d"[..])]);
    }

    #[test]
    fn a_bundle_stays_below_its_limit() {
        let mut out = Datagram::new();
        let mut builder = BundleBuilder::new(&mut out);
        let packet = [7; 100];
        let packed = std::iter::repeat_with(|| builder.push(&packet))
            .take_while(Result::is_ok)
            .count();
        assert_eq!(packed, 11);
        assert_eq!(out.len(), 1 + 11 * 102);
    }

    #[test]
    fn malformed_bundles_end_with_an_error() {
        let all = |bytes: &'static [u8]| Bundle::parse(bytes).map(|b| b.last());
        assert_eq!(all(b"\x05").err(), Some(BundleError::NotABundle));
        assert_eq!(all(b"").err(), Some(BundleError::NotABundle));
        assert_eq!(all(b"\x04"), Ok(None));
        assert_eq!(all(b"\x04\x00"), Ok(Some(Err(BundleError::Truncated))));
        assert_eq!(all(b"\x04\x00\x02a"), Ok(Some(Err(BundleError::Truncated))));
        assert_eq!(
            all(b"\x04\x00\x00\x00\x01a"),
            Ok(Some(Err(BundleError::EmptyPacket)))
        );
        let long = [4; MAX_BUNDLE + 1];
        assert_eq!(Bundle::parse(&long).err(), Some(BundleError::TooLong));
    }

    proptest! {
        #[test]
        fn packets_round_trip(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 0..10)) {
            let mut out = Datagram::new();
            let mut builder = BundleBuilder::new(&mut out);
            for packet in &packets {
                builder.push(packet).unwrap();
            }
            let back: Result<Vec<_>, _> = Bundle::parse(out.as_slice()).unwrap().collect();
            prop_assert_eq!(back.unwrap(), packets.clone());
            let mut opened = Vec::new();
            Bundle::for_each_mut(out.as_mut_slice(), |packet| opened.push(packet.to_vec())).unwrap();
            prop_assert_eq!(opened, packets);
        }

        #[test]
        fn both_readers_agree_on_any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            bytes.insert(0, FIRST_BYTE);
            let mut read = Vec::new();
            let mut error = None;
            for packet in Bundle::parse(&bytes).unwrap() {
                match packet {
                    Ok(packet) => read.push(packet.to_vec()),
                    Err(e) => error = Some(e),
                }
            }
            let mut opened = Vec::new();
            let result = Bundle::for_each_mut(&mut bytes, |packet| opened.push(packet.to_vec()));
            prop_assert_eq!(result.err(), error);
            prop_assert_eq!(opened, read);
        }
    }
}
