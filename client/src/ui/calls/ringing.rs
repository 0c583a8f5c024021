//! A call that rings, here or at the others'.

use egui::Ui;
use voxhall_protocol::{ChannelId, control::LiveCall};
use voxhall_session::{CallIntent, Intent};

use super::{face, hang_up_button, name_of, title_of};
use crate::ui::{
    Intents, Memory, Place, Scene, ServerView, Want, pictures,
    widgets::{Kind, button, field, heading, hint},
};

/// A call at the person on `server`, which may be another one than what is shown.
pub fn incoming_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    server: &ServerView<'_>,
    call: &LiveCall,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let state = server.state;
    let is_shown = server.id == scene.server;
    let name = name_of(state, call.caller_id);
    pictures::of(ui.ctx(), server.id);
    ui.vertical_centered(|ui| {
        if let Some(caller) = state.user(call.caller_id) {
            face(ui, caller, 34.0, true);
        }
        heading(ui, &format!("{name} is calling"));
        if call.parties.len() > 2 {
            hint(
                ui,
                format!("Group call: {}", title_of(state, call.channel_id)),
            );
        }
        if !is_shown {
            hint(ui, format!("On {}", server.name));
        }
    });
    pictures::of(ui.ctx(), scene.server);
    // The call that one is in stands in the way, on whatever device, or on this one on another server.
    let busy = state.own_call().is_some();
    let mut others = scene.servers.iter().filter(|it| it.id != server.id);
    let busy_elsewhere = others.any(|it| it.state.call_here().is_some());
    let send = |intents: &mut Intents, intent| {
        let intent = Intent::Call(intent);
        intents.want(match is_shown {
            true => Want::Session(intent),
            false => Want::Elsewhere(server.id, intent),
        });
    };
    let answer = if busy || busy_elsewhere {
        "End current and accept"
    } else {
        "Accept"
    };
    ui.horizontal_wrapped(|ui| {
        if button(ui, Kind::Primary, answer).clicked() {
            let answer = CallIntent::Answer {
                call: call.id,
                end_current: busy,
            };
            send(intents, answer);
            if !is_shown {
                intents.want(Want::Show(server.id, Place::AsItWas));
            }
        }
        if button(ui, Kind::Danger, "Reject").clicked() {
            send(intents, CallIntent::Reject(call.id));
        }
        if button(ui, Kind::Quiet, "Message instead").clicked() {
            send(intents, CallIntent::Reject(call.id));
            match is_shown {
                true => memory.write_to_caller(call.channel_id),
                false => {
                    let words = Place::CallMessage(call.channel_id);
                    intents.want(Want::Show(server.id, words));
                }
            }
        }
    });
}

/// A few words in place of an answer.
pub fn message_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let Some((channel, mut words)) = memory.call_message.take() else {
        return;
    };
    let label = format!("Message to {}", title_of(scene.state, channel));
    field(ui, &label, &mut words, "What you want to say", false);
    let mut open = true;
    ui.horizontal(|ui| {
        let empty = words.trim().is_empty();
        let send = ui.add_enabled_ui(!empty, |ui| button(ui, Kind::Primary, "Send the message"));
        if send.inner.clicked() {
            intents.session(Intent::SendMessage {
                channel,
                text: words.trim().to_owned(),
                reply_to: None,
                uploads: Vec::new(),
            });
            open = false;
        }
        open &= !button(ui, Kind::Quiet, "Don't send").clicked();
    });
    if open {
        memory.call_message = Some((channel, words));
    }
}

/// The server was asked, and has not said yes yet.
pub fn entering_ui(ui: &mut Ui, scene: &Scene<'_>, channel: ChannelId, intents: &mut Intents) {
    ui.horizontal(|ui| {
        ui.spinner();
        heading(ui, &title_of(scene.state, channel));
    });
    hint(ui, "Connecting the call…");
    hang_up_button(ui, "Cancel the call", intents);
}
