//! RTP headers (RFC 3550 section 5.1) of Opus packets (RFC 7587), with the audio level extension (RFC 6464).

use crate::Ssrc;

use super::{Datagram, DatagramFull};

/// Opus' dynamic payload type.
pub const OPUS_PAYLOAD_TYPE: u8 = 111;
/// RTP clock of Opus, whatever the codec's inner rate (RFC 7587 section 4.1).
pub const OPUS_CLOCK_HZ: u32 = 48_000;
/// The longest header accepted: 12 bytes and an extension block of up to 64.
pub const MAX_RTP_HEADER: usize = FIXED_LEN + 4 + 64;

const FIXED_LEN: usize = 12;
const VERSION: u8 = 2 << 6;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const CSRC_COUNT: u8 = 0x0f;
const MARKER: u8 = 0x80;
/// One-byte-header extensions (RFC 8285 section 4.2).
const ONE_BYTE_PROFILE: [u8; 2] = [0xbe, 0xde];
/// Id of the audio level in the one-byte extension block.
const AUDIO_LEVEL_ID: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// First frame after silence.
    pub marker: bool,
    pub sequence: u16,
    /// In units of [`OPUS_CLOCK_HZ`].
    pub timestamp: u32,
    pub ssrc: Ssrc,
    pub audio_level: Option<AudioLevel>,
}

/// Loudness of the frame as its sender states it (RFC 6464).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    pub voice: bool,
    /// 0 is the loudest, 127 is silence; larger values are written as 127.
    pub minus_dbov: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    #[error("the RTP packet is truncated")]
    Truncated,
    #[error("not RTP version 2")]
    Version,
    #[error("RTP padding and contributing sources are not used here")]
    Unsupported,
    #[error("RTP payload type {0} is not Opus")]
    PayloadType(u8),
    #[error("the RTP header is longer than {MAX_RTP_HEADER} bytes")]
    HeaderTooLong,
}

impl RtpHeader {
    /// Parses the header and gives its length. Unknown extension elements are skipped.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), RtpError> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_LEN>() else {
            return Err(RtpError::Truncated);
        };
        let [flags, kind, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
        if flags & 0xc0 != VERSION {
            return Err(RtpError::Version);
        }
        if flags & (PADDING | CSRC_COUNT) != 0 {
            return Err(RtpError::Unsupported);
        }
        let payload_type = kind & !MARKER;
        if payload_type != OPUS_PAYLOAD_TYPE {
            return Err(RtpError::PayloadType(payload_type));
        }
        let mut header = Self {
            marker: kind & MARKER != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([r0, r1, r2, r3])),
            audio_level: None,
        };
        let mut len = FIXED_LEN;
        if flags & EXTENSION != 0 {
            let Some(([p0, p1, w0, w1], rest)) = rest.split_first_chunk() else {
                return Err(RtpError::Truncated);
            };
            let block_len = usize::from(u16::from_be_bytes([*w0, *w1])) * 4;
            len += 4 + block_len;
            if len > MAX_RTP_HEADER {
                return Err(RtpError::HeaderTooLong);
            }
            let block = rest.get(..block_len).ok_or(RtpError::Truncated)?;
            if [*p0, *p1] == ONE_BYTE_PROFILE {
                header.audio_level = find_audio_level(block);
            }
        }
        Ok((header, len))
    }

    /// Appends the header.
    pub fn write(&self, out: &mut Datagram) -> Result<(), DatagramFull> {
        let extension = self.audio_level.map_or(0, |_| EXTENSION);
        let marker = if self.marker { MARKER } else { 0 };
        let fixed = out.grow(FIXED_LEN)?;
        fixed[0] = VERSION | extension;
        fixed[1] = OPUS_PAYLOAD_TYPE | marker;
        fixed[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.0.to_be_bytes());
        if let Some(level) = self.audio_level {
            let voice = if level.voice { 0x80 } else { 0 };
            let [p0, p1] = ONE_BYTE_PROFILE;
            let value = voice | level.minus_dbov.min(127);
            // One 32-bit word: the element (id, length 1), and two bytes of padding.
            out.push(&[p0, p1, 0, 1, AUDIO_LEVEL_ID << 4, value, 0, 0])?;
        }
        Ok(())
    }
}

/// Walks the elements of RFC 8285 section 4.2: a nibble of id, a nibble of length - 1; 0 is padding, id 15 ends.
fn find_audio_level(mut block: &[u8]) -> Option<AudioLevel> {
    while let Some((&element, rest)) = block.split_first() {
        if element == 0 {
            block = rest;
            continue;
        }
        let id = element >> 4;
        let len = usize::from(element & 0x0f) + 1;
        if id == 15 || rest.len() < len {
            return None;
        }
        let (value, rest) = rest.split_at(len);
        if id == AUDIO_LEVEL_ID && len == 1 {
            return Some(AudioLevel {
                voice: value[0] & 0x80 != 0,
                minus_dbov: value[0] & 0x7f,
            });
        }
        block = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        sequence: 0x0102,
        timestamp: 0x0304_0506,
        ssrc: Ssrc(0x0708_090a),
        audio_level: None,
    };

    fn written(header: &RtpHeader) -> Vec<u8> {
        let mut out = Datagram::new();
        header.write(&mut out).unwrap();
        out.as_slice().to_vec()
    }

    #[test]
    fn golden_bytes() {
        let plain = [0x80, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        assert_eq!(written(&HEADER), plain);
        assert_eq!(RtpHeader::parse(&plain), Ok((HEADER, 12)));

        let level = RtpHeader {
            audio_level: Some(AudioLevel {
                voice: true,
                minus_dbov: 30,
            }),
            ..HEADER
        };
        let mut extended = plain.to_vec();
        extended[0] = 0x90;
        extended.extend([0xbe, 0xde, 0, 1, 0x10, 0x80 | 30, 0, 0]);
        assert_eq!(written(&level), extended);
        assert_eq!(RtpHeader::parse(&extended), Ok((level, 20)));
    }

    #[test]
    fn strange_headers_are_refused() {
        let good = written(&HEADER);
        let parse = |change: fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            RtpHeader::parse(&bytes).map(|_| ())
        };
        assert_eq!(parse(|b| b.truncate(11)), Err(RtpError::Truncated));
        assert_eq!(parse(|b| b[0] = 0x40), Err(RtpError::Version));
        assert_eq!(parse(|b| b[0] |= 0x20), Err(RtpError::Unsupported));
        assert_eq!(parse(|b| b[0] |= 1), Err(RtpError::Unsupported));
        assert_eq!(parse(|b| b[1] = 96), Err(RtpError::PayloadType(96)));
        assert_eq!(parse(|b| b[0] |= 0x10), Err(RtpError::Truncated));
        let long = |b: &mut Vec<u8>| {
            b[0] |= 0x10;
            b.extend([0xbe, 0xde, 0, 17]);
            b.extend([0; 68]);
        };
        assert_eq!(parse(long), Err(RtpError::HeaderTooLong));
    }

    #[test]
    fn unknown_extensions_are_skipped() {
        let mut bytes = written(&HEADER);
        bytes[0] |= 0x10;
        // An element of 3 bytes with id 5, padding, then the level.
        bytes.extend([0xbe, 0xde, 0, 2, 0x52, 1, 2, 3, 0, 0x10, 0x05, 0]);
        let (header, len) = RtpHeader::parse(&bytes).unwrap();
        assert_eq!(len, bytes.len());
        let level = AudioLevel {
            voice: false,
            minus_dbov: 5,
        };
        assert_eq!(header.audio_level, Some(level));

        // Another profile is none of our business.
        bytes[12] = 0x10;
        assert_eq!(RtpHeader::parse(&bytes).unwrap().0.audio_level, None);
    }
}
