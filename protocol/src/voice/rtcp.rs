//! RTCP receiver reports (RFC 3550 section 6.4.2), authenticated as SRTCP is without encryption (RFC 3711 section 3.4).
//!
//! `compound | u32 index, top bit (E) 0 | 10-byte tag`. A compound is receiver reports, and extended ones (RFC 3611) of losses in
//! bursts, only: reduced-size RTCP (RFC 5506).

use rtcp_types::{
    ReceiverReport, RtcpPacket, RtcpPacketParser, Xr,
    utils::parser::{parse_length, parse_packet_type},
};

use crate::Ssrc;

use super::{
    Datagram, DatagramFull, HOP_TAG_LEN, HopKey, ReplayError, ReplayWindow,
    rtcp_xr::{self, BurstLoss, BurstReports},
};

/// How many sources one receiver report tells about. Who hears more reports on them in turn.
pub const MAX_REPORT_BLOCKS: usize = 31;

const BLOCK_LEN: usize = 24;
const ENCRYPTED: u32 = 1 << 31;
const MIN_RTCP_LEN: usize = 8;

/// What one listener says about one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: Ssrc,
    /// Share of packets lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, less duplicates; kept to 24 bits with sign.
    pub cumulative_lost: i32,
    /// Highest sequence number received, rollovers above.
    pub highest_sequence: u32,
    /// Interarrival jitter in RTP clock units.
    pub jitter: u32,
    /// Which of the losses came in a row; in an extended report beside this block.
    pub burst_loss: BurstLoss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    #[error("the RTCP packet is truncated or malformed")]
    Malformed,
    #[error("encrypted RTCP is not used here")]
    Encrypted,
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("the RTCP tag does not match")]
    BadTag,
}

/// Appends one receiver report, and an extended one where losses came in bursts. Writes the first [`MAX_REPORT_BLOCKS`] blocks.
pub fn write_receiver_report(
    reporter: Ssrc,
    blocks: &[ReportBlock],
    out: &mut Datagram,
) -> Result<(), DatagramFull> {
    let blocks = &blocks[..blocks.len().min(MAX_REPORT_BLOCKS)];
    let len = MIN_RTCP_LEN + blocks.len() * BLOCK_LEN;
    let room = out.grow(len)?;
    let (head, body) = room.split_at_mut(MIN_RTCP_LEN);
    head[0] = 2 << 6 | blocks.len() as u8;
    head[1] = ReceiverReport::PACKET_TYPE;
    // In 32-bit words less one.
    head[2..4].copy_from_slice(&((len / 4 - 1) as u16).to_be_bytes());
    head[4..8].copy_from_slice(&reporter.0.to_be_bytes());
    for (room, block) in body.chunks_exact_mut(BLOCK_LEN).zip(blocks) {
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
        room[..4].copy_from_slice(&block.ssrc.0.to_be_bytes());
        room[4..8].copy_from_slice(&lost.to_be_bytes());
        room[4] = block.fraction_lost;
        room[8..12].copy_from_slice(&block.highest_sequence.to_be_bytes());
        room[12..16].copy_from_slice(&block.jitter.to_be_bytes());
        // No sender reports are sent, so there is none to refer to.
        room[16..24].fill(0);
    }
    rtcp_xr::write(reporter, blocks, out)
}

/// Calls `each` with every report block of a verified compound; packets of other types are skipped.
///
/// All or nothing: a malformed compound calls nothing.
pub fn parse_reports(
    compound: &[u8],
    mut each: impl FnMut(Ssrc, ReportBlock),
) -> Result<(), RtcpError> {
    let packets = || Packets { rest: compound };
    let mut bursts = BurstReports::default();
    for packet in packets() {
        let packet = packet?;
        match parse_packet_type(packet) {
            ReceiverReport::PACKET_TYPE => {
                ReceiverReport::parse(packet).map_err(|_| RtcpError::Malformed)?;
            }
            Xr::PACKET_TYPE => bursts.read(packet)?,
            _ => {}
        }
    }
    for report in packets().filter_map(|packet| ReceiverReport::parse(packet.ok()?).ok()) {
        let reporter = Ssrc(report.ssrc());
        for block in report.report_blocks() {
            // 24 bits with sign, moved up and back to spread the sign.
            let cumulative_lost = (block.cumulative_lost() << 8) as i32 >> 8;
            each(
                reporter,
                ReportBlock {
                    ssrc: Ssrc(block.ssrc()),
                    fraction_lost: block.fraction_lost(),
                    cumulative_lost,
                    highest_sequence: block.extended_sequence_number(),
                    jitter: block.interarrival_jitter(),
                    burst_loss: bursts.of(Ssrc(block.ssrc())),
                },
            );
        }
    }
    Ok(())
}

/// Cuts a compound into its packets, so that only those of use are parsed.
struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<&'a [u8], RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let well_formed = self.rest.len() >= 4 && self.rest[0] >> 6 == 2;
        let split = well_formed
            .then(|| self.rest.split_at_checked(parse_length(self.rest)))
            .flatten();
        match split {
            Some((packet, rest)) => {
                self.rest = rest;
                Some(Ok(packet))
            }
            None => {
                self.rest = &[];
                Some(Err(RtcpError::Malformed))
            }
        }
    }
}

/// Protects the RTCP of one direction.
#[derive(Debug)]
pub struct RtcpSender {
    key: HopKey,
    next_index: u32,
}

impl RtcpSender {
    #[must_use]
    pub fn new(key: HopKey) -> Self {
        Self { key, next_index: 0 }
    }

    /// Appends index and tag to a written compound.
    pub fn protect(&mut self, compound: &mut Datagram) -> Result<(), DatagramFull> {
        // 2^31 reports are 68 years of one a second.
        let index = self.next_index & !ENCRYPTED;
        compound.push(&index.to_be_bytes())?;
        let tag: [u8; HOP_TAG_LEN] = self.key.tag(&[compound.as_slice()]);
        compound.push(&tag)?;
        self.next_index = index + 1;
        Ok(())
    }
}

/// Verifies the RTCP of one direction and lets each packet pass once.
#[derive(Debug)]
pub struct RtcpReceiver {
    key: HopKey,
    window: ReplayWindow<2>,
}

impl RtcpReceiver {
    #[must_use]
    pub fn new(key: HopKey) -> Self {
        Self {
            key,
            window: ReplayWindow::new(),
        }
    }

    /// Gives the compound without index and tag. Nothing changes unless the tag is right.
    pub fn receive<'a>(&mut self, datagram: &'a [u8]) -> Result<&'a [u8], RtcpError> {
        let (covered, tag) = datagram
            .split_last_chunk::<HOP_TAG_LEN>()
            .ok_or(RtcpError::Malformed)?;
        let (compound, index) = covered.split_last_chunk().ok_or(RtcpError::Malformed)?;
        if compound.len() < MIN_RTCP_LEN {
            return Err(RtcpError::Malformed);
        }
        let index = u32::from_be_bytes(*index);
        if index & ENCRYPTED != 0 {
            return Err(RtcpError::Encrypted);
        }
        self.window.check(index.into())?;
        if !self.key.verify(&[covered], tag) {
            return Err(RtcpError::BadTag);
        }
        self.window.commit(index.into());
        Ok(compound)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtcp_types::prelude::*;

    use super::*;
    use crate::{SessionSecret, voice::SessionKeys};

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: Ssrc(0x0102_0304),
        fraction_lost: 26,
        cumulative_lost: -2,
        highest_sequence: 0x0001_0005,
        jitter: 480,
        burst_loss: BurstLoss {
            expected: 0,
            lost: 0,
            bursts: 0,
            duration_ms: 0,
        },
    };

    fn report(blocks: &[ReportBlock]) -> Datagram {
        let mut out = Datagram::new();
        write_receiver_report(Ssrc(9), blocks, &mut out).unwrap();
        out
    }

    fn parsed(bytes: &[u8]) -> Result<Vec<(Ssrc, ReportBlock)>, RtcpError> {
        let mut blocks = Vec::new();
        parse_reports(bytes, |reporter, block| blocks.push((reporter, block)))?;
        Ok(blocks)
    }

    #[test]
    fn golden_bytes() {
        let out = report(&[BLOCK]);
        let expected = [
            0x81, 201, 0, 7, 0, 0, 0, 9, // one block, 8 words, reporter 9
            1, 2, 3, 4, 26, 0xff, 0xff, 0xfe, // source, fraction, -2 lost
            0, 1, 0, 5, 0, 0, 1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(out.as_slice(), expected);
        assert_eq!(parsed(&expected), Ok(vec![(Ssrc(9), BLOCK)]));
    }

    #[test]
    fn our_report_equals_the_one_rtcp_types_builds() {
        let block = ReportBlock {
            cumulative_lost: 3,
            ..BLOCK
        };
        let theirs = ReceiverReport::builder(9).add_report_block(
            rtcp_types::ReportBlock::builder(block.ssrc.0)
                .fraction_lost(block.fraction_lost)
                .cumulative_lost(3)
                .extended_sequence_number(block.highest_sequence)
                .interarrival_jitter(block.jitter),
        );
        let mut bytes = [0; 32];
        theirs.write_into(&mut bytes).unwrap();
        assert_eq!(report(&[block]).as_slice(), bytes);
    }

    #[test]
    fn other_packets_are_skipped_and_broken_ones_refuse_all() {
        let one = report(&[BLOCK]);
        // A BYE of one source, then the report twice.
        let mut bytes = vec![0x81, 203, 0, 1, 0, 0, 0, 9];
        bytes.extend(one.as_slice());
        bytes.extend(one.as_slice());
        assert_eq!(parsed(&bytes).unwrap().len(), 2);
        bytes.pop();
        assert_eq!(parsed(&bytes), Err(RtcpError::Malformed));
        bytes.push(0);
        // A report that claims more blocks than it has.
        bytes[8] |= 2;
        assert_eq!(parsed(&bytes), Err(RtcpError::Malformed));
    }

    #[test]
    fn more_blocks_than_fit_are_left_out() {
        let out = report(&[BLOCK; 40]);
        assert_eq!(parsed(out.as_slice()).unwrap().len(), MAX_REPORT_BLOCKS);
    }

    #[test]
    fn protected_reports_pass_once_and_only_in_their_direction() {
        let keys = SessionKeys::derive(&SessionSecret([5; 32]));
        let mut sender = RtcpSender::new(keys.hop_up.clone());
        let mut receiver = RtcpReceiver::new(keys.hop_up);
        let mut wrong_way = RtcpReceiver::new(keys.hop_down);
        for _ in 0..3 {
            let plain = report(&[BLOCK]);
            let mut sealed = plain.clone();
            sender.protect(&mut sealed).unwrap();
            let sealed = sealed.as_slice();
            assert_eq!(sealed.len(), plain.len() + 14);
            for at in 0..sealed.len() {
                let mut bad = sealed.to_vec();
                bad[at] ^= 1;
                assert!(receiver.receive(&bad).is_err(), "byte {at}");
            }
            assert_eq!(wrong_way.receive(sealed), Err(RtcpError::BadTag));
            assert_eq!(receiver.receive(sealed), Ok(plain.as_slice()));
            let replayed = Err(RtcpError::Replay(ReplayError::Replayed));
            assert_eq!(receiver.receive(sealed), replayed);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parsed(&bytes);
            let keys = SessionKeys::derive(&SessionSecret([5; 32]));
            prop_assert!(RtcpReceiver::new(keys.hop_up).receive(&bytes).is_err());
        }

        #[test]
        fn any_extended_report_body_is_safe(blocks in prop::collection::vec((any::<u8>(), any::<u8>(), 0u16..9, prop::collection::vec(any::<u8>(), 32)), 0..9), cut in 0usize..3) {
            let mut bytes = report(&[BLOCK]).as_slice().to_vec();
            let start = bytes.len();
            bytes.extend([0x80, 207, 0, 0, 0, 0, 0, 9]);
            for (kind, flags, words, body) in blocks {
                let kind = [14, 20, kind][usize::from(kind % 3)];
                bytes.extend([kind, flags, 0, words as u8]);
                bytes.extend(&body[..usize::from(words) * 4]);
            }
            bytes.truncate(bytes.len() - (4 * cut).min(bytes.len() - start - 8));
            let words = ((bytes.len() - start) / 4 - 1) as u16;
            bytes[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
            if let Ok(read) = parsed(&bytes) {
                prop_assert_eq!(read.len(), 1);
                let bursts = read[0].1.burst_loss;
                prop_assert!(bursts.lost <= bursts.expected && bursts.bursts * 2 <= bursts.lost);
            }
        }

        #[test]
        fn any_report_body_is_safe(mut bytes in prop::collection::vec(any::<u8>(), 8..200), count in 0u8..32) {
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[0] = 0x80 | count;
            bytes[1] = 201;
            let words = (bytes.len() / 4 - 1) as u16;
            bytes[2..4].copy_from_slice(&words.to_be_bytes());
            let fits = bytes.len() >= 8 + 24 * usize::from(count);
            prop_assert_eq!(parsed(&bytes).is_ok(), fits);
        }
    }
}
