//! What is pinned in a channel.

use std::collections::BTreeSet;

use egui::{Frame, Id, Label, Margin, RichText, ScrollArea, Spinner, Ui};
use voxhall_protocol::{
    ChannelId, MessageId,
    control::{ListPins, Message, Reply},
};

use super::{
    super::{
        Intents, Scene,
        ask::{Asks, Found, Topic},
        icons,
        theme::{self, CAPTION, SMALL, palette},
        widgets::{Kind, button, hint, icon_button_sized},
    },
    Cx, Room,
    list::Target,
    message,
    text::Texts,
};

#[derive(Default)]
pub struct Pins {
    /// The channel whose list was asked for, and its messages at hand that are pinned: when they change, the list has.
    of: Option<(ChannelId, Vec<MessageId>)>,
    /// Taken down here since they were listed.
    gone: BTreeSet<MessageId>,
}

pub fn pins_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    pins: &mut Pins,
    asks: &mut Asks,
    room: &mut Room,
    texts: &mut Texts,
    intents: &mut Intents,
) {
    match pins.list(cx, asks, intents) {
        Found::Done(Reply::ListPins(page)) => {
            let shown: Vec<_> = page
                .messages
                .iter()
                .filter(|it| !pins.gone.contains(&it.id))
                .collect();
            if shown.is_empty() {
                ui.add_space(12.0);
                hint(
                    ui,
                    "Nothing is pinned here yet. Pin what people should find again: point at a message, and take the pin.",
                );
            }
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 8.0;
                for message in shown.into_iter().rev() {
                    if pinned_ui(ui, cx, message, room, texts, intents) {
                        pins.gone.insert(message.id);
                    }
                }
            });
        }
        Found::Failed(error) => {
            hint(ui, error.to_string());
            if button(ui, Kind::Secondary, "Try again").clicked() {
                pins.forget(asks, intents);
            }
        }
        Found::Waiting | Found::Nothing | Found::Done(_) => {
            ui.vertical_centered(|ui| ui.add(Spinner::new().size(20.0).color(palette(ui).faint)));
        }
    }
}

/// True when it was taken down.
fn pinned_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    message: &Message,
    room: &mut Room,
    texts: &mut Texts,
    intents: &mut Intents,
) -> bool {
    let p = palette(ui);
    let mut gone = false;
    card(ui, |ui| {
        head_ui(ui, cx.scene, message, "", |ui| {
            if cx.may_pin()
                && icon_button_sized(ui, icons::PUSH_PIN_SLASH, "Unpin", false, 24.0).clicked()
            {
                let pinned = Message {
                    pinned: true,
                    ..message.clone()
                };
                intents.ask(message::pin(cx, &pinned));
                gone = true;
            }
        });
        texts.text_ui(
            ui,
            Id::unique(("pinned", message.id)),
            &message.text,
            p.text,
            cx.names(),
        );
        for attachment in &message.attachments {
            ui.add(
                Label::new(RichText::new(&attachment.name).size(SMALL).color(p.muted)).truncate(),
            );
        }
        if button(ui, Kind::Quiet, "Show in the channel").clicked() {
            room.go(cx.channel.id, Target::Message(message.id), intents);
        }
    });
    gone
}

/// A message in a list at the side.
pub fn card(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let p = palette(ui);
    Frame::new()
        .fill(p.main)
        .corner_radius(10)
        .inner_margin(Margin::symmetric(10, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 4.0;
            add(ui);
        });
}

/// Who, when, and where.
pub fn head_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    message: &Message,
    place: &str,
    add: impl FnOnce(&mut Ui),
) {
    let p = palette(ui);
    let ink = message::name_color(ui, &message.author);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.spacing_mut().interact_size.y = 20.0;
        ui.add(Label::new(
            RichText::new(&message.author.name)
                .font(theme::strong(SMALL + 0.5))
                .color(ink),
        ));
        let when = message::local(message.sent_at_ms, scene.time_zone).map(|at| {
            format!(
                "{}, {}",
                message::day_words(&at, scene),
                at.strftime("%H:%M")
            )
        });
        let words = when.unwrap_or_default() + place;
        ui.add(Label::new(RichText::new(words).size(CAPTION).color(p.faint)).truncate());
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), add);
    });
}

impl Pins {
    /// The list, which is asked for again when it has changed.
    fn list<'a>(&mut self, cx: &Cx<'a>, asks: &mut Asks, intents: &mut Intents) -> Found<'a> {
        let pinned = cx.history.messages.iter().filter(|message| message.pinned);
        let channel_id = cx.channel.id;
        let of = (channel_id, pinned.map(|message| message.id).collect());
        if self.of.as_ref() != Some(&of) {
            self.forget(asks, intents);
            self.of = Some(of);
        }
        asks.keep(
            Topic::Pins,
            ListPins { channel_id },
            cx.scene.state,
            intents,
        )
    }

    /// They are no longer looked at.
    pub fn forget(&mut self, asks: &mut Asks, intents: &mut Intents) {
        *self = Self::default();
        asks.forget(Topic::Pins, intents);
    }
}
