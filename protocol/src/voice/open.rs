//! The listening side: finds the sender's key, checks roster and replay, opens the frame in place.

use std::collections::HashMap;

use crate::{BaseKey, Epoch, SenderIndex, Ssrc};

use super::{
    Kid, ReplayError, ReplayWindow, RtpError, RtpHeader, SFRAME_TAG_LEN, SenderKey, SframeError,
    SframeHeader,
};

/// Opens the frames of everybody in one voice channel.
///
/// Keys are derived when the roster or the epoch changes, never by a packet: a packet of somebody who is not in the
/// roster costs a table look-up and no memory.
#[derive(Debug, Default)]
pub struct Opener {
    base_keys: HashMap<u8, (Epoch, BaseKey)>,
    senders: HashMap<SenderIndex, Sender>,
}

#[derive(Debug)]
struct Sender {
    ssrc: Ssrc,
    /// By the epoch's low 6 bits, as the KID names it.
    keys: HashMap<u8, (Epoch, SenderKey)>,
    /// Over CTR, which runs through all epochs.
    window: ReplayWindow<16>,
}

/// An authentic frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    pub header: RtpHeader,
    pub sender: SenderIndex,
    pub epoch: Epoch,
    /// SFrame counter: rises by one with each frame of this sender.
    pub ctr: u64,
    /// The Opus frame.
    pub payload: &'a [u8],
}

/// Why a packet was dropped. Nothing changed but what the caller counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum OpenError {
    #[error("not an RTP packet of ours")]
    Malformed,
    #[error("the sender is not in the roster")]
    UnknownSender,
    #[error("the SSRC belongs to another sender")]
    WrongSsrc,
    #[error("the epoch's key is not known, or no longer")]
    UnknownEpoch,
    #[error("the packet was received before")]
    Replayed,
    #[error("the packet is older than the replay window")]
    TooOld,
    #[error("the frame is not genuine")]
    BadTag,
}

impl OpenError {
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::UnknownSender,
        Self::WrongSsrc,
        Self::UnknownEpoch,
        Self::Replayed,
        Self::TooOld,
        Self::BadTag,
    ];

    /// Place in [`Self::ALL`], for an array of counters.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

impl Opener {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts frames of this sender, if they carry this SSRC. Derives its keys of all epochs known.
    ///
    /// Calling it again for the same pair changes nothing; a new SSRC for an index forgets the old sender.
    pub fn allow(&mut self, sender: SenderIndex, ssrc: Ssrc) {
        if self.senders.get(&sender).is_some_and(|s| s.ssrc == ssrc) {
            return;
        }
        let keys = self
            .base_keys
            .iter()
            .map(|(bits, (epoch, base_key))| (*bits, (*epoch, derive(sender, *epoch, base_key))))
            .collect();
        let entry = Sender {
            ssrc,
            keys,
            window: ReplayWindow::new(),
        };
        self.senders.insert(sender, entry);
    }

    /// Refuses further frames of this sender.
    pub fn forget(&mut self, sender: SenderIndex) {
        self.senders.remove(&sender);
    }

    /// Accepts frames of this epoch, from everybody in the roster. Replaces an epoch with the same low 6 bits.
    pub fn insert_key(&mut self, epoch: Epoch, base_key: &BaseKey) {
        let bits = epoch_bits(epoch);
        self.base_keys.insert(bits, (epoch, base_key.clone()));
        for (sender, entry) in &mut self.senders {
            let key = derive(*sender, epoch, base_key);
            entry.keys.insert(bits, (epoch, key));
        }
    }

    /// Refuses further frames of this epoch.
    pub fn remove_key(&mut self, epoch: Epoch) {
        let bits = epoch_bits(epoch);
        if self.base_keys.get(&bits).is_some_and(|(e, _)| *e == epoch) {
            self.base_keys.remove(&bits);
            for entry in self.senders.values_mut() {
                entry.keys.remove(&bits);
            }
        }
    }

    /// Opens one RTP packet in place (`datagram` holds garbage afterwards). Doesn't allocate.
    pub fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Result<Opened<'a>, OpenError> {
        let (header, header_len) = RtpHeader::parse(datagram)?;
        let (metadata, frame) = datagram.split_at_mut(header_len);
        let (sframe, sframe_len) = SframeHeader::parse(frame)?;
        let (sframe_header, sealed) = frame.split_at_mut(sframe_len);
        if sealed.len() < SFRAME_TAG_LEN {
            return Err(OpenError::Malformed);
        }

        let sender = sframe.kid.sender();
        let entry = self
            .senders
            .get_mut(&sender)
            .ok_or(OpenError::UnknownSender)?;
        if entry.ssrc != header.ssrc {
            return Err(OpenError::WrongSsrc);
        }
        let (epoch, key) = entry
            .keys
            .get(&sframe.kid.epoch_bits())
            .ok_or(OpenError::UnknownEpoch)?;
        entry.window.check(sframe.ctr)?;
        let payload = key
            .open(sframe.ctr, sframe_header, metadata, sealed)
            .ok_or(OpenError::BadTag)?;
        entry.window.commit(sframe.ctr);
        Ok(Opened {
            header,
            sender,
            epoch: *epoch,
            ctr: sframe.ctr,
            payload,
        })
    }
}

fn derive(sender: SenderIndex, epoch: Epoch, base_key: &BaseKey) -> SenderKey {
    SenderKey::derive(base_key, Kid::new(sender, epoch))
}

fn epoch_bits(epoch: Epoch) -> u8 {
    Kid::new(SenderIndex(0), epoch).epoch_bits()
}

impl From<RtpError> for OpenError {
    fn from(_: RtpError) -> Self {
        Self::Malformed
    }
}

impl From<SframeError> for OpenError {
    fn from(error: SframeError) -> Self {
        match error {
            SframeError::Truncated => Self::Malformed,
            SframeError::UnknownKid => Self::UnknownSender,
        }
    }
}

impl From<ReplayError> for OpenError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Replayed => Self::Replayed,
            ReplayError::TooOld => Self::TooOld,
        }
    }
}
