//! Written, but not yet on the server.

use egui::{Label, RichText, Ui};
use voxhall_session::{Connection, Intent, PendingMessage};

use super::{
    super::{
        Intents, icons,
        theme::{SMALL, palette},
        widgets::{Kind, button, symbol},
    },
    Cx, files,
    message::{author_ui, indented},
    text::Texts,
};

pub fn pending_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    pending: &PendingMessage,
    texts: &mut Texts,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let (channel, nonce) = (cx.channel.id, &pending.nonce);
    let online = cx.scene.state.connection == Connection::Online;
    let words = match (&pending.failed, online) {
        (Some(_), _) => "not sent",
        (None, true) => "sending…",
        (None, false) => "will be sent when the server is back",
    };
    ui.add_space(8.0);
    if let Some(me) = &cx.scene.state.me {
        author_ui(ui, me, words, false);
    }
    let discard = || Intent::DiscardMessage {
        channel,
        nonce: nonce.clone(),
    };
    indented(ui, |ui| {
        let ink = if pending.failed.is_some() {
            p.danger
        } else {
            p.faint
        };
        if !pending.text.is_empty() {
            texts.text_ui(
                ui,
                egui::Id::unique(("pending", nonce)),
                &pending.text,
                ink,
                cx.names(),
            );
        }
        for upload in &pending.uploads {
            if let Some(transfer) = cx.scene.state.transfers.get(upload)
                && files::upload_ui(ui, transfer)
            {
                intents.session(discard());
                intents.session(Intent::DropTransfer(*upload));
            }
        }
        match &pending.failed {
            Some(reason) => {
                ui.horizontal(|ui| {
                    symbol(ui, icons::WARNING, 14.0, p.danger);
                    ui.add(Label::new(RichText::new(reason).size(SMALL).color(p.danger)).wrap());
                    if button(ui, Kind::Quiet, "Send again").clicked() {
                        intents.session(Intent::RetryMessage {
                            channel,
                            nonce: nonce.clone(),
                        });
                    }
                    if button(ui, Kind::Quiet, "Discard").clicked() {
                        intents.session(discard());
                    }
                });
            }
            None if !online && button(ui, Kind::Quiet, "Discard").clicked() => {
                intents.session(discard());
            }
            None => {}
        }
    });
}
