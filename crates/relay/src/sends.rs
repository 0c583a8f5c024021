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
        self.sends
            .iter()
            .map(|(to, frame)| (*to, self.frame(*frame)))
    }

    /// To be called once everything was sent.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.sends.clear();
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
