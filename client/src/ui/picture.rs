//! Choosing a picture: in the system's window, dropped onto this one, or by its path.

use std::path::PathBuf;

use egui::Ui;
use voxhall_protocol::{FileId, GuildId, control::UploadPurpose};
use voxhall_session::{Intent, State, TransferId, TransferProgress};

use super::{
    ComputerWant, Intents, Want,
    widgets::{Kind, button, field, hint, trouble},
};
use crate::numbers::next_transfer;

/// Whose picture it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureOf {
    Me,
    Guild(GuildId),
}

#[derive(Default)]
pub struct Picture {
    path: String,
    /// In the system's window.
    chosen: Option<PathBuf>,
    transfer: Option<TransferId>,
}

impl Picture {
    /// This file is to be it.
    pub fn choose(&mut self, file: PathBuf) {
        self.chosen = Some(file);
    }
}

/// The file of a picture that was chosen and has arrived on the server, once.
pub fn picture_ui(
    ui: &mut Ui,
    (what, of): (&str, PictureOf),
    form: &mut Picture,
    state: &State,
    intents: &mut Intents,
) -> Option<FileId> {
    let dropped = ui.input(|input| {
        let files = &input.raw.dropped_files;
        files.first().map(|file| file.path().to_owned())
    });
    if button(ui, Kind::Secondary, "Choose a picture").clicked() {
        intents.want(Want::Computer(ComputerWant::ChoosePicture(of)));
    }
    let label = format!("{what}: drop a picture here, or name its file");
    ui.scope(|ui| {
        ui.set_max_width(340.0);
        field(ui, &label, &mut form.path, "/home/me/picture.png", false);
    });
    let named = !form.path.trim().is_empty() && button(ui, Kind::Secondary, "Use it").clicked();
    let chosen = dropped.or_else(|| form.chosen.take());
    let path = chosen.or_else(|| named.then(|| PathBuf::from(form.path.trim())));
    if let Some(path) = path {
        let transfer = next_transfer();
        form.transfer = Some(transfer);
        intents.session(Intent::Upload {
            transfer,
            purpose: UploadPurpose::Picture,
            path,
        });
    }
    let transfer = form.transfer?;
    match &state.transfers.get(&transfer)?.progress {
        TransferProgress::Uploaded(attachment) => {
            *form = Picture::default();
            intents.session(Intent::DropTransfer(transfer));
            return Some(attachment.id);
        }
        TransferProgress::Failed(why) => trouble(ui, why, ""),
        TransferProgress::Moving { bytes, of } => {
            let percent = 100 * bytes / (*of).max(1);
            hint(ui, format!("Sending the picture, {percent} %"));
        }
        TransferProgress::Waiting | TransferProgress::Saved(_) => {
            drop(hint(ui, "Sending the picture…"));
        }
    }
    None
}
