//! Calls that were: missed ones are told, all are listed.

use egui::{Id, Modal, ScrollArea, Ui};
use voxhall_protocol::{
    CallId,
    control::{CallDirection, CallEntry, CallPage, ListCalls, MarkCallsSeen, Reply},
};
use voxhall_session::{CallIntent, Intent};

use super::{clock, why_no_call};
use crate::ui::{
    Dialog, Intents, Memory, Scene,
    ask::{Behind, Topic},
    icons,
    theme::{BODY, palette},
    widgets::{Kind, button, card, heading, hint, icon_button, name_dialog},
    window::{found_ui, more_ui},
};

/// What the history remembers while it is open.
#[derive(Debug, Default)]
pub struct PastCalls {
    /// The server was told that the missed ones are seen.
    seen: bool,
    older: Behind<(), CallEntry>,
}

/// Up to whatever call there is.
const ALL: CallId = CallId((1 << 53) - 1);

/// How many calls were missed, until it was seen.
pub fn missed_ui(ui: &mut Ui, missed: u32, memory: &mut Memory, intents: &mut Intents) {
    let words = match missed {
        1 => "You missed a call".to_owned(),
        many => format!("You missed {many} calls"),
    };
    heading(ui, &words);
    ui.horizontal(|ui| {
        if button(ui, Kind::Primary, "Show calls").clicked() {
            memory.dialog = Some(Dialog::Calls);
        }
        if button(ui, Kind::Quiet, "Mark as seen").clicked() {
            intents.ask(MarkCallsSeen { up_to: ALL });
        }
    });
}

/// The history, newest first.
pub fn history_ui(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let state = scene.state;
    if let Some((_, Reply::ListCalls(page))) = memory.asks.take_done(Topic::More, state, intents) {
        memory.calls.older.add((), page.calls, page.more);
    }
    let all = ListCalls { before: None };
    let found = memory.asks.keep(Topic::List, all, state, intents);
    if !std::mem::replace(&mut memory.calls.seen, true) && state.calls.missed > 0 {
        intents.ask(MarkCallsSeen { up_to: ALL });
    }
    let response = Modal::new(Id::unique("call history"))
        .frame(card(ui))
        .show(ui.ctx(), |ui| {
            ui.set_width(520.0);
            name_dialog(ui, "Calls");
            let mut close = false;
            ui.horizontal(|ui| {
                heading(ui, "Calls");
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    close = icon_button(ui, icons::X, "Close calls", false).clicked();
                });
            });
            if let Some(Reply::ListCalls(first)) = found_ui(ui, found) {
                close |= entries_ui(ui, scene, first, memory, intents);
            }
            close
        });
    if response.inner || response.should_close() {
        memory.dialog = None;
    }
}

/// True: one calls back.
fn entries_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    first: &CallPage,
    memory: &mut Memory,
    intents: &mut Intents,
) -> bool {
    if first.calls.is_empty() {
        hint(ui, "There were no calls yet.");
    }
    let p = palette(ui);
    let mut called = false;
    ScrollArea::vertical().max_height(420.0).show(ui, |ui| {
        let older = &memory.calls.older;
        for entry in first.calls.iter().chain(older.all()) {
            ui.horizontal(|ui| {
                let ink = if entry.missed { p.danger } else { p.text };
                let names: Vec<_> = entry.others.iter().map(|user| user.shown_name()).collect();
                let text = egui::RichText::new(names.join(", ")).size(BODY).color(ink);
                ui.label(text.strong());
                hint(ui, words(entry, scene.time_zone));
                let known = scene.state.conversations.contains_key(&entry.channel_id);
                let may = known && why_no_call(scene.state, entry.channel_id).is_none();
                let back = ui.add_enabled_ui(may, |ui| button(ui, Kind::Quiet, "Call back"));
                if back.inner.clicked() {
                    let channel = entry.channel_id;
                    intents.session(Intent::Call(CallIntent::Start {
                        channel,
                        end_current: false,
                    }));
                    called = true;
                }
            });
        }
        let oldest = older.all().last().or(first.calls.last());
        let before = oldest.map(|entry| entry.id);
        let more = older.more(first.more);
        if more_ui(ui, more, "Older calls", &memory.asks, scene.state) {
            memory.asks.ask(Topic::More, ListCalls { before }, intents);
        }
    });
    called
}

/// `missed, Fri 27 Nov 20:41`, `from them, 01:23, …`
fn words(entry: &CallEntry, zone: &jiff::tz::TimeZone) -> String {
    let way = match entry.direction {
        CallDirection::Incoming if entry.missed => "missed",
        CallDirection::Incoming => "incoming",
        CallDirection::Outgoing => "outgoing",
    };
    let length = match entry.duration_ms {
        Some(ms) => clock(i64::try_from(ms).unwrap_or(i64::MAX)),
        None => entry.reason.as_str().replace('_', " "),
    };
    let at = jiff::Timestamp::from_millisecond(entry.started_at_ms).ok();
    let at = at.map_or_else(String::new, |at| {
        at.to_zoned(zone.clone())
            .strftime(", %a %d %b %H:%M")
            .to_string()
    });
    format!("{way}, {length}{at}")
}
