//! How losses come: RTCP extended reports (RFC 3611) with burst/gap loss blocks (RFC 6958), each after the measurement
//! information (RFC 6776) that tells the interval it is about.

use rtcp_types::{RtcpPacket, RtcpPacketParser, Xr};

use crate::Ssrc;

use super::{Datagram, DatagramFull, ReportBlock, RtcpError};

/// How many sources' bursts are told at once: the blocks fit a datagram beside the longest receiver report.
pub const MAX_BURST_REPORTS: usize = 10;

const HEADER_LEN: usize = 8;
const BLOCK_HEADER_LEN: usize = 4;
const MEASUREMENT: u8 = 14;
const MEASUREMENT_LEN: usize = 32;
const BURSTS: u8 = 20;
const BURSTS_LEN: usize = 24;
/// Interval metric, and what came too late to be played counts as lost.
const INTERVAL_LOST_OR_DISCARDED: u8 = 0b10 << 6 | 1 << 5;
/// Gmin of RFC 3611: one packet that arrives ends a burst. So bursts are runs of two and more, a loss alone is none.
const ONE_ENDS_A_BURST: u8 = 1;

/// Packets lost in a row since the last report, runs of two and more. None is the default, and isn't written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BurstLoss {
    /// Packets that should have come since the last report.
    pub expected: u16,
    /// Packets lost in bursts.
    pub lost: u16,
    /// How many bursts; at most 4,095 on the wire.
    pub bursts: u16,
    /// How long they lasted together, in ms; 24 bits on the wire.
    pub duration_ms: u32,
}

/// Appends what is known of bursts, of the first [`MAX_BURST_REPORTS`] sources that had any. Nothing where there was none.
pub(super) fn write(
    reporter: Ssrc,
    blocks: &[ReportBlock],
    out: &mut Datagram,
) -> Result<(), DatagramFull> {
    let with_bursts = || {
        let with = blocks.iter().filter(|block| block.burst_loss.bursts > 0);
        with.take(MAX_BURST_REPORTS)
    };
    let count = with_bursts().count();
    if count == 0 {
        return Ok(());
    }
    let len = HEADER_LEN + count * (MEASUREMENT_LEN + BURSTS_LEN);
    let room = out.grow(len)?;
    room.fill(0);
    let (head, body) = room.split_at_mut(HEADER_LEN);
    head[0] = 2 << 6;
    head[1] = Xr::PACKET_TYPE;
    // In 32-bit words less one, here and below.
    head[2..4].copy_from_slice(&((len / 4 - 1) as u16).to_be_bytes());
    head[4..8].copy_from_slice(&reporter.0.to_be_bytes());
    for (room, block) in body
        .chunks_exact_mut(MEASUREMENT_LEN + BURSTS_LEN)
        .zip(with_bursts())
    {
        let (measurement, bursts) = room.split_at_mut(MEASUREMENT_LEN);
        write_measurement(block, measurement);
        write_bursts(block, bursts);
    }
    Ok(())
}

/// The interval by its sequence numbers. Its duration in seconds is known to nobody here, and left at 0.
fn write_measurement(block: &ReportBlock, room: &mut [u8]) {
    let expected = u32::from(block.burst_loss.expected);
    let first = block
        .highest_sequence
        .wrapping_sub(expected)
        .wrapping_add(1);
    room[0] = MEASUREMENT;
    room[2..4].copy_from_slice(&((MEASUREMENT_LEN / 4 - 1) as u16).to_be_bytes());
    room[4..8].copy_from_slice(&block.ssrc.0.to_be_bytes());
    room[10..12].copy_from_slice(&(first as u16).to_be_bytes());
    room[12..16].copy_from_slice(&first.to_be_bytes());
    room[16..20].copy_from_slice(&block.highest_sequence.to_be_bytes());
}

fn write_bursts(block: &ReportBlock, room: &mut [u8]) {
    let BurstLoss {
        lost,
        bursts,
        duration_ms,
        ..
    } = block.burst_loss;
    let duration_ms = duration_ms.min(0xff_ffff);
    // 12 bits, then the 4 highest of the sum of squares, which is not measured.
    let bursts = bursts.min(0xfff) << 4;
    room[0] = BURSTS;
    room[1] = INTERVAL_LOST_OR_DISCARDED;
    room[2..4].copy_from_slice(&((BURSTS_LEN / 4 - 1) as u16).to_be_bytes());
    room[4..8].copy_from_slice(&block.ssrc.0.to_be_bytes());
    room[8..12].copy_from_slice(&duration_ms.to_be_bytes());
    room[8] = ONE_ENDS_A_BURST;
    // 24 bits each: lost in bursts, and expected in bursts, which is the same where one packet ends them.
    room[13..15].copy_from_slice(&lost.to_be_bytes());
    room[16..18].copy_from_slice(&lost.to_be_bytes());
    room[18..20].copy_from_slice(&bursts.to_be_bytes());
}

/// What a compound's extended reports say of bursts. Bounded: what is more than [`MAX_BURST_REPORTS`] is left out.
#[derive(Debug, Default)]
pub(super) struct BurstReports {
    reports: [Option<(Ssrc, BurstLoss)>; MAX_BURST_REPORTS],
}

impl BurstReports {
    /// Takes in one packet of type [`Xr`]. Blocks of other types, and those that count otherwise than ours, are skipped.
    pub fn read(&mut self, packet: &[u8]) -> Result<(), RtcpError> {
        // The library checks that the packet is whole, and that its blocks are.
        Xr::parse(packet).map_err(|_| RtcpError::Malformed)?;
        let mut rest = packet.get(HEADER_LEN..).unwrap_or_default();
        let mut interval = None;
        while rest.len() >= BLOCK_HEADER_LEN {
            let len = BLOCK_HEADER_LEN * (1 + usize::from(u16::from_be_bytes([rest[2], rest[3]])));
            let (block, after) = rest.split_at_checked(len).ok_or(RtcpError::Malformed)?;
            rest = after;
            if let Some(block) = block.first_chunk().filter(|_| block[0] == MEASUREMENT) {
                interval = read_measurement(block);
            } else if let Some(block) = block.first_chunk().filter(|_| block[0] == BURSTS)
                && let Some((ssrc, expected)) = interval
                && let Some(loss) = read_bursts(block, ssrc, expected)
                && let Some(room) = self.reports.iter_mut().find(|room| room.is_none())
            {
                *room = Some((ssrc, loss));
            }
        }
        Ok(())
    }

    pub fn of(&self, ssrc: Ssrc) -> BurstLoss {
        self.reports
            .iter()
            .flatten()
            .find(|(of, _)| *of == ssrc)
            .map_or_else(BurstLoss::default, |(_, loss)| *loss)
    }
}

/// The source, and how many packets the interval had.
fn read_measurement(block: &[u8; MEASUREMENT_LEN]) -> Option<(Ssrc, u16)> {
    let word = |at: usize| block[at..].first_chunk().copied().map(u32::from_be_bytes);
    let expected = word(16)?.wrapping_sub(word(12)?).wrapping_add(1);
    Some((Ssrc(word(4)?), u16::try_from(expected).ok()?))
}

fn read_bursts(block: &[u8; BURSTS_LEN], source: Ssrc, expected: u16) -> Option<BurstLoss> {
    let word = |at: usize| block[at..].first_chunk().copied().map(u32::from_be_bytes);
    let ours = block[1] & 0b1110_0000 == INTERVAL_LOST_OR_DISCARDED && block[8] == ONE_ENDS_A_BURST;
    if !ours || word(4)? != source.0 {
        return None;
    }
    let loss = BurstLoss {
        expected,
        lost: u16::try_from(word(12)? >> 8).ok()?,
        bursts: u16::from_be_bytes([block[18], block[19]]) >> 4,
        duration_ms: word(8)? & 0xff_ffff,
    };
    // More bursts than two losses each, or more lost than sent, is nonsense that nobody should reckon with.
    let sane = loss.lost <= expected && loss.bursts <= loss.lost / 2;
    sane.then_some(loss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::{parse_reports, write_receiver_report};

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: Ssrc(0x0102_0304),
        fraction_lost: 51,
        cumulative_lost: 10,
        highest_sequence: 0x0001_0005,
        jitter: 480,
        burst_loss: BurstLoss {
            expected: 50,
            lost: 7,
            bursts: 3,
            duration_ms: 140,
        },
    };

    fn parsed(bytes: &[u8]) -> Result<Vec<ReportBlock>, RtcpError> {
        let mut blocks = Vec::new();
        parse_reports(bytes, |_, block| blocks.push(block))?;
        Ok(blocks)
    }

    fn report(blocks: &[ReportBlock]) -> Datagram {
        let mut out = Datagram::new();
        write_receiver_report(Ssrc(9), blocks, &mut out).expect("fits");
        out
    }

    #[test]
    fn golden_bytes() {
        let out = report(&[BLOCK]);
        let expected = [
            0x80, 207, 0, 15, 0, 0, 0, 9, // extended report, 16 words, reporter 9
            14, 0, 0, 7, 1, 2, 3, 4, // measurement information, 8 words, source
            0, 0, 0xff, 0xd4, 0, 0, 0xff, 0xd4, 0, 1, 0, 5, // the last 50 packets
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // durations: not told
            20, 0xa0, 0, 5, 1, 2, 3,
            4, // burst loss, interval, lost or discarded, 6 words, source
            1, 0, 0, 140, 0, 0, 7, 0, // Gmin 1, 140 ms, 7 lost in bursts
            0, 7, 0, 0x30, 0, 0, 0, 0, // 7 expected in bursts, 3 bursts
        ];
        assert_eq!(&out.as_slice()[32..], expected);
        assert_eq!(parsed(out.as_slice()), Ok(vec![BLOCK]));
    }

    #[test]
    fn only_who_lost_in_bursts_is_told_of_and_no_more_than_fit() {
        let none = ReportBlock {
            burst_loss: BurstLoss::default(),
            ..BLOCK
        };
        assert_eq!(report(&[none]).len(), 32);
        let all: Vec<_> = (0..40)
            .map(|i| ReportBlock {
                ssrc: Ssrc(i),
                ..BLOCK
            })
            .collect();
        let read = parsed(report(&all).as_slice()).expect("well formed");
        let told = read.iter().filter(|block| block.burst_loss.bursts > 0);
        assert_eq!((read.len(), told.count()), (31, MAX_BURST_REPORTS));
    }

    #[test]
    fn what_counts_otherwise_is_no_burst_loss_of_ours() {
        let bytes = report(&[BLOCK]);
        for (at, value) in [
            (32 + 40 + 1, 0xe0),  // since the beginning
            (32 + 40 + 1, 0x80),  // late ones are not counted
            (32 + 40 + 8, 16),    // Gmin 16
            (32 + 40 + 7, 5),     // another source than the measurement's
            (32 + 40 + 14, 51),   // more lost than sent
            (32 + 40 + 19, 0x40), // more bursts than losses allow
            (32 + 8, 15),         // no measurement information before it
        ] {
            let mut bytes = bytes.as_slice().to_vec();
            bytes[at] = value;
            let read = parsed(&bytes).expect("well formed");
            assert_eq!(read[0].burst_loss, BurstLoss::default(), "byte {at}");
            assert_eq!(read[0].fraction_lost, 51);
        }
        // A block that is longer than its packet refuses all.
        let mut bytes = bytes.as_slice().to_vec();
        bytes[32 + 40 + 3] = 6;
        assert_eq!(parsed(&bytes), Err(RtcpError::Malformed));
    }
}
