//! The speaking side: RTP header, SFrame and hop tag into one datagram.

use crate::{BaseKey, Epoch, SenderIndex};

use super::{
    Datagram, HopKey, HopSender, Kid, MAX_RTP_HEADER, RtpHeader, SFRAME_TAG_LEN, SenderKey,
    SframeHeader,
};

/// The largest Opus frame (RFC 6716 section 3.2.1).
pub const MAX_OPUS_FRAME: usize = 1_275;

/// Seals one voice session's Opus frames. Its counter runs through the whole session and is never reset.
///
/// Make one a session: a second one would use the same counters with the same keys, which breaks the cipher.
#[derive(Debug)]
pub struct Sealer {
    sender: SenderIndex,
    key: Option<(Epoch, SenderKey)>,
    ctr: u64,
    hop: HopSender,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("no base key was set yet")]
    NoKey,
    #[error("the Opus frame is longer than {MAX_OPUS_FRAME} bytes")]
    TooLong,
}

impl Sealer {
    #[must_use]
    pub fn new(sender: SenderIndex, hop_up: HopKey) -> Self {
        Self {
            sender,
            key: None,
            ctr: 0,
            hop: HopSender::new(hop_up),
        }
    }

    /// Seals with the base key of this epoch from the next packet on.
    pub fn set_key(&mut self, epoch: Epoch, base_key: &BaseKey) {
        let kid = Kid::new(self.sender, epoch);
        self.key = Some((epoch, SenderKey::derive(base_key, kid)));
    }

    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.key.as_ref().map(|(epoch, _)| *epoch)
    }

    /// Writes the whole datagram into `out`, replacing what was there. Doesn't allocate.
    ///
    /// Sequence numbers are to rise by one a packet and to start below 2^15 (see [`HopSender`]).
    pub fn seal(
        &mut self,
        header: &RtpHeader,
        opus: &[u8],
        out: &mut Datagram,
    ) -> Result<(), SealError> {
        let (_, key) = self.key.as_ref().ok_or(SealError::NoKey)?;
        if opus.len() > MAX_OPUS_FRAME {
            return Err(SealError::TooLong);
        }
        let ctr = self.ctr;
        // Spent even if something below fails: a counter used twice would break the cipher.
        self.ctr += 1;
        let sframe = SframeHeader {
            kid: key.kid(),
            ctr,
        };
        out.clear();
        write(header, sframe, key, opus, out)
            .and_then(|()| self.hop.seal(header.sequence, out).ok())
            .ok_or(SealError::TooLong)
    }
}

fn write(
    header: &RtpHeader,
    sframe: SframeHeader,
    key: &SenderKey,
    opus: &[u8],
    out: &mut Datagram,
) -> Option<()> {
    header.write(out).ok()?;
    let mut metadata = [0; MAX_RTP_HEADER];
    let metadata = metadata.get_mut(..out.len())?;
    metadata.copy_from_slice(out.as_slice());
    let (sframe_header, len) = sframe.encode();
    let sframe_header = &sframe_header[..len];
    out.push(sframe_header).ok()?;
    let text = out.grow(opus.len()).ok()?;
    text.copy_from_slice(opus);
    let tag: [u8; SFRAME_TAG_LEN] = key.seal(sframe.ctr, sframe_header, metadata, text)?;
    out.push(&tag).ok()
}
