//! Files on their way. Moving them is the shell's; here stands what becomes of them.

use std::{path::PathBuf, time::Instant};

use voxhall_protocol::{FileId, control::UploadPurpose};

use super::{Core, Output};
use crate::{Transfer, TransferId, TransferProgress};

impl Core {
    pub(super) fn upload(
        &mut self,
        transfer: TransferId,
        purpose: UploadPurpose,
        path: PathBuf,
        out: &mut Vec<Output>,
    ) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.begin_transfer(transfer, name.into_owned());
        out.push(Output::Upload {
            transfer,
            purpose,
            path,
        });
    }

    pub(super) fn download(
        &mut self,
        transfer: TransferId,
        file: FileId,
        thumbnail: bool,
        to: PathBuf,
        out: &mut Vec<Output>,
    ) {
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        self.begin_transfer(transfer, name.into_owned());
        out.push(Output::Download {
            transfer,
            file,
            thumbnail,
            to,
        });
    }

    pub(super) fn drop_transfer(&mut self, transfer: TransferId, out: &mut Vec<Output>) {
        if self.state.transfers.remove(&transfer).is_some() {
            out.push(Output::StopTransfer(transfer));
            self.changed = true;
        }
    }

    pub(super) fn transfer_goes_on(
        &mut self,
        now: Instant,
        transfer: TransferId,
        progress: TransferProgress,
        out: &mut Vec<Output>,
    ) {
        // Dropped meanwhile: nobody waits for it any more.
        let Some(known) = self.state.transfers.get_mut(&transfer) else {
            return;
        };
        known.progress = progress;
        self.changed = true;
        self.pump(now, out);
    }

    /// The next server has other files.
    pub(super) fn stop_transfers(&mut self, out: &mut Vec<Output>) {
        let all = std::mem::take(&mut self.state.transfers);
        out.extend(all.into_keys().map(Output::StopTransfer));
    }

    fn begin_transfer(&mut self, transfer: TransferId, name: String) {
        let progress = TransferProgress::Waiting;
        self.state
            .transfers
            .insert(transfer, Transfer { name, progress });
        self.changed = true;
    }
}
