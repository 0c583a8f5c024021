//! What a batch sends: bytes stored once, addressed as often as needed.

use std::net::SocketAddr;

/// Bytes of frames and bundles of one batch. A batch that would need more is sent without bundles or dropped.
const MAX_BYTES: usize = 4 << 20;
/// What is reserved at the start, enough for 64 datagrams of any length.
const RESERVED_BYTES: usize = 128 << 10;
const RESERVED_SENDS: usize = 4_096;

/// Datagrams to send, in order. Reuse it: after warm-up it doesn't allocate.
#[derive(Debug)]
pub struct Sends {
    bytes: Vec<u8>,
    frames: Vec<(usize, usize)>,
    sends: Vec<(SocketAddr, FrameIndex)>,
}

/// Place of a datagram's bytes in [`Sends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrameIndex(u32);

impl Sends {
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(RESERVED_BYTES),
            frames: Vec::with_capacity(RESERVED_SENDS),
            sends: Vec::with_capacity(RESERVED_SENDS),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.sends.len()
    }

    /// Where to send what. Neighbours often share the same bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SocketAddr, &[u8])> {
        self.part(0, 1)
    }

    /// The part `index` of `parts` about equal ones. What goes to one listener is all in one part.
    pub fn part(
        &self,
        index: usize,
        parts: usize,
    ) -> impl ExactSizeIterator<Item = (SocketAddr, &[u8])> {
        (self.sends[self.bound(index, parts)..self.bound(index + 1, parts)].iter())
            .map(|(to, frame)| (*to, self.frame(*frame)))
    }

    /// Where a part begins.
    fn bound(&self, index: usize, parts: usize) -> usize {
        let even = self.sends.len() * index / parts;
        let Some((before, _)) = even.checked_sub(1).map(|last| self.sends[last]) else {
            return 0;
        };
        let same = self.sends[even..]
            .iter()
            .take_while(|(to, _)| *to == before);
        even + same.count()
    }

    /// To be called once everything was sent.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.sends.clear();
    }

    /// One datagram to one address; `None` when the batch is full.
    pub fn add(&mut self, to: SocketAddr, bytes: &[u8]) -> Option<()> {
        let frame = self.store(bytes)?;
        self.push(to, frame);
        Some(())
    }

    pub(crate) fn frame(&self, frame: FrameIndex) -> &[u8] {
        let (start, end) = self.frames[frame.0 as usize];
        &self.bytes[start..end]
    }

    /// Stores bytes to send; `None` when the batch is full.
    pub(crate) fn store(&mut self, bytes: &[u8]) -> Option<FrameIndex> {
        let start = self.bytes.len();
        let end = start + bytes.len();
        if end > MAX_BYTES {
            return None;
        }
        let index = FrameIndex(u32::try_from(self.frames.len()).ok()?);
        self.bytes.extend_from_slice(bytes);
        self.frames.push((start, end));
        Some(index)
    }

    pub(crate) fn push(&mut self, to: SocketAddr, frame: FrameIndex) {
        self.sends.push((to, frame));
    }
}

impl Default for Sends {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the parts, together they are the whole, and nobody's are in two of them.
        #[test]
        fn parts_are_the_whole_and_split_nobody(
            runs in proptest::collection::vec(1..5usize, 0..60),
            parts in 1..6usize,
        ) {
            let mut sends = Sends::new();
            for (port, count) in (1..).zip(&runs) {
                for n in 0..*count {
                    sends.add((Ipv4Addr::LOCALHOST, port).into(), &[n as u8]).unwrap();
                }
            }
            let split: Vec<Vec<_>> = (0..parts).map(|n| sends.part(n, parts).collect()).collect();
            let whole: Vec<_> = sends.iter().collect();
            prop_assert_eq!(split.concat(), whole);
            for (n, part) in split.iter().enumerate() {
                for (to, _) in part {
                    prop_assert!(split[n + 1..].iter().flatten().all(|(other, _)| other != to));
                }
            }
        }
    }
}
