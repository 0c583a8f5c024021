//! Hop tags: a truncated MAC over each datagram and its rollover counter, as SRTP authenticates (RFC 3711 section 4.2).

use super::{Datagram, DatagramFull, HopKey, ReplayError, ReplayWindow};

/// HMAC-SHA256 cut to 80 bits.
pub const HOP_TAG_LEN: usize = 10;

/// Appends tags to the RTP packets of one sender.
///
/// The first sequence number of a session is to be below 2^15, so that losing the first packets can't hide a rollover
/// from the receiver (RFC 3711 section 3.3.1).
#[derive(Debug)]
pub struct HopSender {
    key: HopKey,
    newest: Option<u64>,
}

impl HopSender {
    #[must_use]
    pub fn new(key: HopKey) -> Self {
        Self { key, newest: None }
    }

    /// Appends the tag of the RTP packet with this sequence number. Fails when the datagram is full.
    pub fn seal(&mut self, sequence: u16, datagram: &mut Datagram) -> Result<(), DatagramFull> {
        let index = estimate_index(self.newest, sequence);
        let rollover = rollover_counter(index).to_be_bytes();
        let tag: [u8; HOP_TAG_LEN] = self.key.tag(&[datagram.as_slice(), &rollover]);
        datagram.push(&tag)?;
        self.newest = self.newest.max(Some(index));
        Ok(())
    }
}

/// Verifies the tags of one sender's RTP packets and lets each packet pass once.
#[derive(Debug)]
pub struct HopReceiver {
    key: HopKey,
    window: ReplayWindow<16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HopError {
    #[error("the datagram is too short to carry RTP and a hop tag")]
    Truncated,
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("the hop tag does not match")]
    BadTag,
}

impl HopReceiver {
    #[must_use]
    pub fn new(key: HopKey) -> Self {
        Self {
            key,
            window: ReplayWindow::new(),
        }
    }

    /// Gives the datagram without its tag. Nothing changes unless the tag is right.
    pub fn receive<'a>(&mut self, datagram: &'a [u8]) -> Result<&'a [u8], HopError> {
        let (packet, tag) = datagram
            .split_last_chunk::<HOP_TAG_LEN>()
            .ok_or(HopError::Truncated)?;
        let [_, _, s0, s1, ..] = packet else {
            return Err(HopError::Truncated);
        };
        let index = estimate_index(self.window.newest(), u16::from_be_bytes([*s0, *s1]));
        self.window.check(index)?;
        let rollover = rollover_counter(index).to_be_bytes();
        if !self.key.verify(&[packet, &rollover], tag) {
            return Err(HopError::BadTag);
        }
        self.window.commit(index);
        Ok(packet)
    }
}

fn rollover_counter(index: u64) -> u32 {
    // 2^48 packets are 3,000 years of voice.
    (index >> 16) as u32
}

/// The index (rollover counter and sequence number) nearest to the newest one seen (RFC 3711 section 3.3.1).
fn estimate_index(newest: Option<u64>, sequence: u16) -> u64 {
    let Some(newest) = newest else {
        return u64::from(sequence);
    };
    let ahead = sequence.wrapping_sub(newest as u16);
    if ahead < 1 << 15 {
        newest + u64::from(ahead)
    } else {
        let behind = u64::from(ahead.wrapping_neg());
        // Before the very first rollover there is nothing older: then it can only be ahead.
        newest
            .checked_sub(behind)
            .unwrap_or(newest + u64::from(ahead))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SessionSecret, voice::SessionKeys};

    fn pair() -> (HopSender, HopReceiver) {
        let key = SessionKeys::derive(&SessionSecret([3; 32])).hop_up;
        (HopSender::new(key.clone()), HopReceiver::new(key))
    }

    fn packet(sender: &mut HopSender, sequence: u16) -> Vec<u8> {
        let mut datagram = Datagram::new();
        let [s0, s1] = sequence.to_be_bytes();
        datagram
            .push(&[0x80, 111, s0, s1, 0, 0, 0, 0, 0, 0, 0, 1, 42])
            .unwrap();
        sender.seal(sequence, &mut datagram).unwrap();
        datagram.as_slice().to_vec()
    }

    #[test]
    fn a_packet_passes_once() {
        let (mut sender, mut receiver) = pair();
        let first = packet(&mut sender, 1);
        assert_eq!(receiver.receive(&first), Ok(&first[..13]));
        assert_eq!(
            receiver.receive(&first),
            Err(HopError::Replay(ReplayError::Replayed))
        );
    }

    #[test]
    fn a_wrong_or_cut_tag_changes_nothing() {
        let (mut sender, mut receiver) = pair();
        let good = packet(&mut sender, 1_000);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(receiver.receive(&bad), Err(HopError::BadTag), "byte {at}");
        }
        for len in 0..good.len() {
            assert!(receiver.receive(&good[..len]).is_err(), "length {len}");
        }
        assert_eq!(receiver.window.newest(), None);
        assert!(receiver.receive(&good).is_ok());
    }

    #[test]
    fn another_key_is_refused() {
        let (mut sender, _) = pair();
        let other = SessionKeys::derive(&SessionSecret([4; 32])).hop_up;
        let good = packet(&mut sender, 7);
        let mut receiver = HopReceiver::new(other);
        assert_eq!(receiver.receive(&good), Err(HopError::BadTag));
    }

    #[test]
    fn the_rollover_is_part_of_the_tag() {
        let (mut sender, mut receiver) = pair();
        let before = packet(&mut sender, 7);
        let mut passed = 0;
        for sequence in (8..=u16::MAX).step_by(1_000).chain([u16::MAX, 3, 6]) {
            let packet = packet(&mut sender, sequence);
            assert!(receiver.receive(&packet).is_ok(), "sequence {sequence}");
            passed += 1;
        }
        assert_eq!(passed, 69);
        assert_eq!(receiver.window.newest(), Some(65_536 + 6));
        // Bytes of 65,536 packets ago have the next sequence number again, and a tag that says when.
        assert_eq!(receiver.receive(&before), Err(HopError::BadTag));
        let next = packet(&mut sender, 7);
        assert!(receiver.receive(&next).is_ok());
    }

    #[test]
    fn late_packets_across_the_rollover_pass() {
        let (mut sender, mut receiver) = pair();
        receiver.receive(&packet(&mut sender, 30_000)).unwrap();
        receiver.receive(&packet(&mut sender, 60_000)).unwrap();
        let late = packet(&mut sender, 65_535);
        receiver.receive(&packet(&mut sender, 0)).unwrap();
        assert!(receiver.receive(&late).is_ok());
        assert!(receiver.receive(&late).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_, mut receiver) = pair();
            prop_assert!(receiver.receive(&bytes).is_err());
            prop_assert_eq!(receiver.window.newest(), None);
        }

        /// Sender and receiver agree on the index for hours, under loss of up to 30,000 packets in a row and reordering.
        #[test]
        fn indexes_agree(steps in prop::collection::vec(1u64..30_000, 1..60), back in 0u64..1_000) {
            let (mut sent, mut received) = (0u64, None);
            for step in steps {
                sent += step;
                let at = estimate_index(received, sent as u16);
                prop_assert_eq!(at, sent);
                received = received.max(Some(at));
                let late = sent.saturating_sub(back);
                prop_assert_eq!(estimate_index(received, late as u16), late);
            }
        }
    }
}
