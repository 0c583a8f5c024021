//! What is left of a call: why it ended, or where it goes on without this device.

use egui::Ui;
use voxhall_protocol::{
    UserId,
    control::{CallEnd, LiveCall, PartyState},
};
use voxhall_session::{CallIntent, CallOver, Intent, LastCall, State};

use super::{name_of, title_of, why_no_call};
use crate::ui::{
    Intents, Memory, Scene,
    people::Home,
    widgets::{Kind, button, heading, hint},
};

pub fn over_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    last: &LastCall,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let state = scene.state;
    heading(ui, &title_of(state, last.channel));
    let why_not_again = why_no_call(state, last.channel);
    match &last.why {
        CallOver::Refused { words, .. } => {
            hint(ui, words.clone());
        }
        CallOver::Ended { reason, by, .. } => {
            hint(ui, words(state, *reason, *by));
            if let Some(why) = &why_not_again {
                hint(ui, why.clone());
            }
        }
    }
    ui.horizontal(|ui| {
        if button(ui, Kind::Secondary, "Close").clicked() {
            intents.session(Intent::Call(CallIntent::DismissLast));
        }
        let shown = memory.home == Some(Home::Conversation(last.channel));
        if !shown && button(ui, Kind::Secondary, "Write instead").clicked() {
            memory.show_conversation(last.channel);
            intents.session(Intent::Call(CallIntent::DismissLast));
        }
        let again = ui.add_enabled_ui(why_not_again.is_none(), |ui| {
            button(ui, Kind::Primary, "Call again").clicked()
        });
        if again.inner {
            intents.session(Intent::Call(CallIntent::Start {
                channel: last.channel,
                end_current: false,
            }));
        }
    });
}

/// The call of this user, in which another device is, or from which this one fell out.
pub fn elsewhere_ui(ui: &mut Ui, scene: &Scene<'_>, call: &LiveCall, intents: &mut Intents) {
    let state = scene.state;
    heading(ui, &title_of(state, call.channel_id));
    let mine = state.me.as_ref().and_then(|me| call.party(me.id));
    let words = if mine == Some(PartyState::Away) {
        "You are missing in this call. It waits for you a little longer."
    } else {
        "You are in this call on another device, or were until a moment ago."
    };
    hint(ui, words);
    if button(ui, Kind::Primary, "Return to the call").clicked() {
        intents.session(Intent::Call(CallIntent::Answer {
            call: call.id,
            end_current: false,
        }));
    }
}

/// Why, as one who was in it is told.
fn words(state: &State, reason: CallEnd, by: Option<UserId>) -> String {
    let me = state.me.as_ref().map(|me| me.id);
    let who = by.map(|by| (Some(by) == me, name_of(state, by)));
    match (reason, who) {
        (CallEnd::HungUp, Some((true, _))) => "You hung up.".to_owned(),
        (CallEnd::HungUp, Some((false, name))) => format!("{name} hung up."),
        (CallEnd::HungUp, None) => "The call is over.".to_owned(),
        (CallEnd::Rejected, Some((false, name))) => format!("{name} rejected the call."),
        (CallEnd::Rejected, _) => "The call was rejected.".to_owned(),
        (CallEnd::Cancelled, _) => "The call was cancelled.".to_owned(),
        (CallEnd::NoAnswer, Some((false, name))) => format!("{name} did not answer."),
        (CallEnd::NoAnswer, _) => "Nobody answered.".to_owned(),
        (CallEnd::Lost, Some((false, name))) => {
            format!("{name} lost the connection and did not come back.")
        }
        (CallEnd::Lost, _) => "The call ended while the connection was lost.".to_owned(),
        (CallEnd::Busy, _) => "They are in another call.".to_owned(),
        (CallEnd::Offline, _) => "They are not there.".to_owned(),
        (CallEnd::DoNotDisturb, _) => "They do not want to be disturbed.".to_owned(),
        (CallEnd::NotAllowed, _) => "This call is no longer possible.".to_owned(),
        (CallEnd::ServerStopped, _) => "The server was started anew.".to_owned(),
    }
}
