//! Listeners' reports, turned into one a speaker.

use voxhall_protocol::voice::ReportBlock;

/// What the listeners said about one speaker since the last time it was told.
///
/// The speaker is told of the worst listener: forward error correction is for who loses packets, and costs the others
/// little. Jitter is the worst as well, of whichever listener.
#[derive(Debug, Default)]
pub(crate) struct SpeakerReport {
    worst: Option<ReportBlock>,
}

impl SpeakerReport {
    /// Says whether this is the first report since the last [`take`](Self::take).
    pub fn add(&mut self, block: ReportBlock) -> bool {
        match &mut self.worst {
            None => {
                self.worst = Some(block);
                true
            }
            Some(worst) => {
                let jitter = worst.jitter.max(block.jitter);
                if block.fraction_lost > worst.fraction_lost {
                    *worst = block;
                }
                worst.jitter = jitter;
                false
            }
        }
    }

    pub fn is_some(&self) -> bool {
        self.worst.is_some()
    }

    pub fn take(&mut self) -> Option<ReportBlock> {
        self.worst.take()
    }
}
