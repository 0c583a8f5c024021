//! Calls: a card over everything else, whatever page is open. It rings, shows who is there, and says why a call ended.

mod active;
mod history;
mod over;
mod ringing;

pub use history::{PastCalls, history_ui};

use egui::{Align2, Ui, vec2};
use voxhall_protocol::{
    ChannelId, UserId,
    control::{
        CallsFrom, ChannelKind, LiveCall, PartyState, RelationKind, SetCallsFrom, Status, User,
    },
};
use voxhall_session::{CallIntent, Connection, Intent, State};

use super::{
    Intents, Memory, Scene, icons,
    widgets::{self, Kind, button, floating_card},
};

/// Above what one is writing.
pub const CORNER: egui::Vec2 = egui::Vec2::new(-18.0, -92.0);

/// What there is to show of calls, if anything; in the corner above what stands there so high already.
pub fn calls_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    memory: &mut Memory,
    height: f32,
    intents: &mut Intents,
) {
    let state = scene.state;
    let corner = CORNER - vec2(0.0, height);
    // One at a time, the shown server's first.
    let shown = scene.servers.iter().filter(|it| it.id == scene.server);
    let servers = shown.chain(scene.others());
    let mut servers = servers.filter(|it| it.state.connection == Connection::Online);
    let incoming = servers.find_map(|server| Some((server, server.state.incoming_call()?)));
    if let Some((server, call)) = incoming {
        floating_card(
            ui,
            "incoming call",
            Align2::CENTER_TOP,
            vec2(0.0, 72.0),
            |ui| {
                ringing::incoming_ui(ui, scene, server, call, memory, intents);
            },
        );
    }
    if memory.call_message.is_some() {
        floating_card(
            ui,
            "call message",
            Align2::CENTER_BOTTOM,
            vec2(0.0, -92.0),
            |ui| {
                ringing::message_ui(ui, scene, memory, intents);
            },
        );
    }
    if let Some(call) = state.call_here() {
        floating_card(ui, "call", Align2::RIGHT_BOTTOM, corner, |ui| {
            active::active_ui(ui, scene, call, memory, intents);
        });
    } else if let Some(channel) = state.calls.entering {
        floating_card(ui, "call", Align2::RIGHT_BOTTOM, corner, |ui| {
            ringing::entering_ui(ui, scene, channel, intents);
        });
    } else if let Some(last) = &state.calls.last {
        floating_card(ui, "call", Align2::RIGHT_BOTTOM, corner, |ui| {
            over::over_ui(ui, scene, last, memory, intents);
        });
    } else if let Some(call) = state.own_call() {
        floating_card(ui, "call", Align2::RIGHT_BOTTOM, corner, |ui| {
            over::elsewhere_ui(ui, scene, call, intents);
        });
    } else if state.calls.missed > 0 && memory.dialog.is_none() {
        floating_card(ui, "call", Align2::RIGHT_BOTTOM, corner, |ui| {
            history::missed_ui(ui, state.calls.missed, memory, intents);
        });
    }
}

/// Calls the people of a conversation, or says why that can't be.
pub fn call_button(ui: &mut Ui, scene: &Scene<'_>, channel: ChannelId, intents: &mut Intents) {
    match why_no_call(scene.state, channel) {
        None => {
            let running = scene.state.calls.running.contains_key(&channel);
            let word = if running { "Join call" } else { "Call" };
            if button(ui, Kind::Secondary, word).clicked() {
                intents.session(Intent::Call(CallIntent::Start {
                    channel,
                    end_current: false,
                }));
            }
        }
        Some(why) => {
            ui.add_enabled_ui(false, |ui| button(ui, Kind::Secondary, "Call"))
                .inner
                .on_disabled_hover_text(&why);
            widgets::hint(ui, why);
        }
    }
}

/// Why nobody in this conversation can be called now, as far as one can know.
pub fn why_no_call(state: &State, channel: ChannelId) -> Option<String> {
    let me = state.me.as_ref()?.id;
    if state.connection != Connection::Online {
        return Some("There is no connection to the server.".to_owned());
    }
    if state
        .call_here()
        .is_some_and(|call| call.channel_id != channel)
    {
        return Some("You are in another call.".to_owned());
    }
    if state.calls.running.contains_key(&channel) {
        return None;
    }
    let conversation = state.conversations.get(&channel)?;
    let mut others = conversation
        .members
        .iter()
        .filter(|member| member.user.id != me);
    if conversation.kind != ChannelKind::Direct {
        let reachable = others.any(|member| can_ring(member.presence.status));
        return (!reachable).then(|| "Nobody in this group is there.".to_owned());
    }
    let other = others.next()?;
    let name = other.user.shown_name();
    if state
        .relations
        .get(&other.user.id)
        .is_some_and(|relation| relation.kind == RelationKind::Blocked)
    {
        return Some(format!("You have blocked {name}."));
    }
    match other.presence.status {
        Status::Offline => Some(format!("{name} is not there.")),
        Status::DoNotDisturb => Some(format!("{name} does not want to be disturbed.")),
        Status::Online | Status::Idle => None,
    }
}

/// Who may call, for the settings.
pub fn calls_from_ui(ui: &mut Ui, state: &State, memory: &mut Memory, intents: &mut Intents) {
    let mut from = state.calls.from;
    let choices = [
        (CallsFrom::Everyone, "Everyone who may write"),
        (CallsFrom::Friends, "Friends"),
    ];
    widgets::caption(ui, "WHO MAY CALL YOU");
    if widgets::segmented(ui, &mut from, &choices) {
        intents.ask(SetCallsFrom { from });
    }
    if button(ui, Kind::Secondary, "Call history").clicked() {
        memory.dialog = Some(super::Dialog::Calls);
    }
}

fn can_ring(status: Status) -> bool {
    matches!(status, Status::Online | Status::Idle)
}

/// Everyone else in a call.
fn others<'a>(
    state: &'a State,
    call: &'a LiveCall,
) -> impl Iterator<Item = (&'a User, PartyState)> {
    let me = state.me.as_ref().map(|me| me.id);
    call.parties
        .iter()
        .filter(move |party| Some(party.user_id) != me)
        .filter_map(|party| Some((state.user(party.user_id)?, party.state)))
}

/// A group by its name, or the others by theirs.
fn title_of(state: &State, channel: ChannelId) -> String {
    let Some(conversation) = state.conversations.get(&channel) else {
        return "Call".to_owned();
    };
    if let Some(name) = &conversation.name {
        return name.clone();
    }
    let me = state.me.as_ref().map(|me| me.id);
    let names: Vec<_> = conversation
        .members
        .iter()
        .filter(|member| Some(member.user.id) != me)
        .map(|member| member.user.shown_name())
        .collect();
    names.join(", ")
}

fn name_of(state: &State, user: UserId) -> String {
    let user = state.user(user);
    user.map_or_else(|| "Someone".to_owned(), |user| user.shown_name().to_owned())
}

/// A person's circle with room around it.
fn face(ui: &mut Ui, user: &User, radius: f32, speaking: bool) {
    let size = egui::Vec2::splat(radius * 2.0 + 10.0);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(
            egui::Role::Image,
            true,
            format!("Picture of {}", user.shown_name()),
        )
    });
    widgets::avatar(
        ui.painter(),
        ui.ctx(),
        rect.center(),
        radius,
        user,
        speaking,
        false,
    );
}

/// `00:07`, `61:02`
fn clock(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// Hangs up, or gives up calling.
fn hang_up_button(ui: &mut Ui, name: &str, intents: &mut Intents) {
    if widgets::icon_button(ui, icons::PHONE_DISCONNECT, name, true).clicked() {
        intents.session(Intent::Call(CallIntent::HangUp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_go_on_past_the_hour() {
        assert_eq!(clock(-5), "00:00");
        assert_eq!(clock(7_999), "00:07");
        assert_eq!(clock(3_662_000), "61:02");
    }
}
