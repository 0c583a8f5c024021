//! Stage rooms: the page where one finds them, and people, and the card of the room that this user is in.

use egui::{Align2, CornerRadius, Frame, Id, Modal, ScrollArea, Ui, vec2};
use voxhall_protocol::{
    UserId,
    control::{
        AcceptStage, BeginStage, EndStage, JoinStage, ListStages, OpenStage, RaiseHand,
        RemoveFromStage, Reply, SetStageRole, Stage, StageAccess, StageRole, StageStanding,
    },
};
use voxhall_session::{Intent, StageHere};

use super::{
    Dialog, Intents, Memory, Scene,
    ask::{Asks, Found, Topic},
    calls::CORNER,
    icons, people,
    schedule::{When, when_ui},
    theme::{BODY, palette},
    toggle_mute,
    widgets::{
        Kind, avatar, button, caption, card, field, floating_card, heading, hint, icon_button,
        name_dialog, segmented, switch, trouble,
    },
};

/// Height of the page but for its list.
const BELOW_LIST: f32 = 530.0;
/// The list is asked for this often while one looks at it.
const ASK_EVERY_S: f64 = 4.0;

/// What the page shows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Explored {
    #[default]
    Rooms,
    People,
}

/// What the page of rooms remembers.
#[derive(Debug, Default)]
pub struct Rooms {
    explored: Explored,
    /// The beginning of the name of whom one looks for.
    who: String,
    asked_at_s: Option<f64>,
    /// As they were when they were listed last.
    listed: Option<Vec<Stage>>,
    topic: String,
    closed: bool,
    when: When,
    code: String,
}

/// The page: what goes on, what is to come, opening one's own, and people by their names.
pub fn rooms_ui(ui: &Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let (rooms, asks) = (&mut memory.rooms, &mut memory.asks);
    let mut found = None;
    let response = Modal::new(Id::unique("rooms"))
        .frame(card(ui))
        .show(ui.ctx(), |ui| {
            ui.set_width(520.0);
            name_dialog(ui, "Explore");
            let mut close = false;
            ui.horizontal(|ui| {
                heading(ui, "Explore");
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    close = icon_button(ui, icons::X, "Close explore", false).clicked();
                });
            });
            let pages = [(Explored::Rooms, "Rooms"), (Explored::People, "People")];
            if segmented(ui, &mut rooms.explored, &pages) {
                rooms.asked_at_s = None;
            }
            if rooms.explored == Explored::People {
                hint(ui, "A profile says what they say of themselves; who follows them is told of their rooms.");
                found = people::find_person_ui(ui, scene, &mut rooms.who, asks, intents, |_| false);
                return close;
            }
            rooms.look(ui, scene, asks, intents);
            hint(
                ui,
                "A few people speak, everyone may listen and raise a hand.",
            );
            if let Found::Failed(error) = asks.look(Topic::List, scene.state) {
                trouble(ui, &error.to_string(), "");
            }
            let pressed = match &rooms.listed {
                Some(stages) => list_ui(ui, scene, stages, intents),
                None => {
                    ui.spinner();
                    Pressed::Nothing
                }
            };
            match pressed {
                Pressed::Nothing => {}
                Pressed::Entered => close = true,
                // What has become of it is seen at once.
                Pressed::Changed => rooms.asked_at_s = None,
            }
            ui.add_space(8.0);
            close |= open_ui(ui, scene, rooms, intents);
            close
        });
    if response.inner || response.should_close() {
        memory.rooms.asked_at_s = None;
        memory.dialog = None;
    }
    if let Some(user) = found {
        memory.dialog = Some(Dialog::Profile(user.id));
    }
}

impl Rooms {
    /// Asks for the list time and again; what was listed stays until the next one is here.
    fn look(&mut self, ui: &Ui, scene: &Scene<'_>, asks: &mut Asks, intents: &mut Intents) {
        let done = asks.take_done(Topic::List, scene.state, intents);
        if let Some((_, Reply::ListStages(list))) = done {
            self.listed = Some(list.stages);
        }
        let now_s = ui.input(|input| input.time);
        let waits = asks.look(Topic::List, scene.state) == Found::Waiting;
        let due = self.asked_at_s.is_none_or(|at| now_s >= at + ASK_EVERY_S);
        if due && !waits {
            self.asked_at_s = Some(now_s);
            asks.ask(Topic::List, ListStages {}, intents);
        }
        let again = std::time::Duration::from_secs_f64(ASK_EVERY_S);
        ui.ctx().request_repaint_after(again);
    }
}

/// What was done about a room of the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pressed {
    Nothing,
    /// One goes into it.
    Entered,
    /// Its host begins or ends it.
    Changed,
}

fn list_ui(ui: &mut Ui, scene: &Scene<'_>, stages: &[Stage], intents: &mut Intents) -> Pressed {
    if stages.is_empty() {
        hint(ui, "There is no public room right now. Open one.");
    }
    let mut pressed = Pressed::Nothing;
    // What is below it has to stay in view.
    let most = (ui.ctx().content_rect().height() - BELOW_LIST).clamp(90.0, 260.0);
    ScrollArea::vertical().max_height(most).show(ui, |ui| {
        let mut to_come = false;
        for stage in stages {
            // Those that go on come first.
            if stage.started_at_ms.is_none() && !std::mem::replace(&mut to_come, true) {
                caption(ui, "TO COME");
            }
            stage_row_ui(ui, scene, stage, &mut pressed, intents);
        }
    });
    pressed
}

fn stage_row_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    stage: &Stage,
    pressed: &mut Pressed,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let mine = scene
        .state
        .me
        .as_ref()
        .is_some_and(|me| me.id == stage.host.id);
    Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(12))
        .inner_margin(12)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(egui::RichText::new(&stage.topic).size(BODY).strong());
            hint(ui, words(stage, scene));
            ui.horizontal(|ui| {
                if stage.started_at_ms.is_some() {
                    let word = if mine { "Host the room" } else { "Listen" };
                    if button(ui, Kind::Primary, word).clicked() {
                        intents.session(Intent::JoinStage(JoinStage::by_id(stage.id)));
                        *pressed = Pressed::Entered;
                    }
                } else if mine && button(ui, Kind::Primary, "Begin the room").clicked() {
                    intents.ask(BeginStage {
                        channel_id: stage.id,
                    });
                    *pressed = Pressed::Changed;
                }
                let end = match stage.started_at_ms {
                    Some(_) => "End it",
                    None => "Call it off",
                };
                if mine && button(ui, Kind::Quiet, end).clicked() {
                    let channel_id = stage.id;
                    intents.ask(EndStage { channel_id });
                    *pressed = Pressed::Changed;
                }
            });
        });
}

/// Who speaks, and how many listen; or when it begins.
fn words(stage: &Stage, scene: &Scene<'_>) -> String {
    let host = stage.host.shown_name();
    if stage.started_at_ms.is_some() {
        let names: Vec<_> = stage
            .speakers
            .iter()
            .map(|speaker| speaker.user.shown_name())
            .collect();
        let speak = match &names[..] {
            [] => format!("{host}'s room, nobody speaks"),
            names => format!("{} on stage", names.join(", ")),
        };
        return format!("{speak}, {} listening", stage.listeners);
    }
    let at = stage
        .scheduled_at_ms
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    match at {
        Some(at) => {
            let begins = match at > scene.now {
                true => "begins",
                false => "was to begin",
            };
            let at = at.to_zoned(scene.time_zone.clone());
            format!("by {host}, {begins} {}", at.strftime("%a %-d %b, %H:%M"))
        }
        None => format!("by {host}"),
    }
}

/// True: one goes into a closed room.
fn open_ui(ui: &mut Ui, scene: &Scene<'_>, rooms: &mut Rooms, intents: &mut Intents) -> bool {
    caption(ui, "OPEN A ROOM");
    field(ui, "Topic", &mut rooms.topic, "What is it about?", false);
    switch(
        ui,
        &mut rooms.closed,
        "Closed: only for those who have its code",
    );
    let at_ms = when_ui(ui, scene, &mut rooms.when);
    let topic = rooms.topic.trim().to_owned();
    let word = match rooms.when {
        When::Now => "Open the room",
        When::Later(_) => "Schedule the room",
    };
    let ready = ui.add_enabled_ui(!topic.is_empty() && at_ms.is_ok(), |ui| {
        button(ui, Kind::Secondary, word).clicked()
    });
    if ready.inner {
        let access = if rooms.closed {
            StageAccess::Closed
        } else {
            StageAccess::Public
        };
        rooms.topic.clear();
        rooms.when = When::Now;
        rooms.asked_at_s = None;
        intents.ask(OpenStage {
            topic,
            access,
            scheduled_at_ms: at_ms.unwrap_or_default(),
        });
    }
    ui.add_space(8.0);
    field(
        ui,
        "Code of a closed room",
        &mut rooms.code,
        "k3t9xab2mnpq",
        false,
    );
    let code = rooms.code.trim().to_owned();
    let enter = ui.add_enabled_ui(!code.is_empty(), |ui| {
        button(ui, Kind::Secondary, "Enter").clicked()
    });
    if enter.inner {
        rooms.code.clear();
        intents.session(Intent::JoinStage(JoinStage::by_code(code)));
    }
    enter.inner
}

/// The room one is in, whatever page is open. Says how high it stands, so that other cards stand above it.
pub fn room_ui(ui: &Ui, scene: &Scene<'_>, intents: &mut Intents) -> f32 {
    const BETWEEN: f32 = 10.0;
    let Some(here) = &scene.state.stage else {
        return 0.0;
    };
    let drawn = floating_card(ui, "room", Align2::RIGHT_BOTTOM, CORNER, |ui| {
        inside_ui(ui, scene, here, intents);
    });
    drawn.height() + BETWEEN
}

fn inside_ui(ui: &mut Ui, scene: &Scene<'_>, here: &StageHere, intents: &mut Intents) {
    let (stage, standing) = (&here.view.stage, &here.view.standing);
    heading(ui, &stage.topic);
    let listeners = match stage.listeners {
        1 => "1 person listens".to_owned(),
        many => format!("{many} people listen"),
    };
    hint(ui, format!("{}. {listeners}.", role_words(standing.role)));
    for speaker in &stage.speakers {
        let user = &speaker.user;
        let voice = here.voice.iter().find(|voice| voice.user_id == user.id);
        let speaking = voice.is_some_and(|voice| voice.speaking);
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(36.0, 36.0), egui::Sense::hover());
            let (painter, ctx) = (ui.painter(), ui.ctx());
            avatar(painter, ctx, rect.center(), 14.0, user, speaking, false);
            let muted = voice.is_some_and(|voice| voice.muted);
            let state = if muted { ", muted" } else { "" };
            let role = match speaker.role {
                StageRole::Host => " (host)",
                StageRole::CoHost => " (co-host)",
                StageRole::Speaker | StageRole::Listener => "",
            };
            ui.label(format!("{}{role}{state}", user.shown_name()));
            if standing.role > speaker.role && standing.role.moderates() {
                host_ui(ui, user.id, intents);
            }
        });
    }
    hands_ui(ui, standing, intents);
    own_ui(ui, scene, here, intents);
}

fn host_ui(ui: &mut Ui, user_id: UserId, intents: &mut Intents) {
    if button(ui, Kind::Quiet, "Move back").clicked() {
        let role = StageRole::Listener;
        intents.ask(SetStageRole { user_id, role });
    }
    if button(ui, Kind::Quiet, "Remove").clicked() {
        let ban = false;
        intents.ask(RemoveFromStage { user_id, ban });
    }
}

/// For hosts: who wants to speak.
fn hands_ui(ui: &mut Ui, standing: &StageStanding, intents: &mut Intents) {
    for user in &standing.hands {
        ui.horizontal(|ui| {
            ui.label(format!("{} raises a hand", user.shown_name()));
            if button(ui, Kind::Quiet, "Let speak").clicked() {
                let role = StageRole::Speaker;
                let user_id = user.id;
                intents.ask(SetStageRole { user_id, role });
            }
            if button(ui, Kind::Quiet, "Ban").clicked() {
                let (user_id, ban) = (user.id, true);
                intents.ask(RemoveFromStage { user_id, ban });
            }
        });
    }
    if let Some(code) = &standing.code {
        hint(ui, format!("Code for others: {code}"));
    }
}

fn own_ui(ui: &mut Ui, scene: &Scene<'_>, here: &StageHere, intents: &mut Intents) {
    let standing = &here.view.standing;
    ui.horizontal_wrapped(|ui| {
        if standing.role.speaks() {
            let voice = &scene.state.voice;
            let muted = voice.muted || voice.deafened;
            let (icon, name) = if muted {
                (icons::MICROPHONE_SLASH, "Unmute in the room")
            } else {
                (icons::MICROPHONE, "Mute in the room")
            };
            if icon_button(ui, icon, name, muted).clicked() {
                intents.session(toggle_mute(voice));
            }
        } else if standing.invited {
            if button(ui, Kind::Primary, "Speak").clicked() {
                intents.ask(AcceptStage {});
            }
            if button(ui, Kind::Quiet, "Just listen").clicked() {
                intents.ask(RaiseHand { raised: false });
            }
        } else {
            let raised = standing.hand_raised;
            let word = if raised {
                "Take hand down"
            } else {
                "Raise hand"
            };
            if button(ui, Kind::Secondary, word).clicked() {
                intents.ask(RaiseHand { raised: !raised });
            }
        }
        if button(ui, Kind::Quiet, "Leave quietly").clicked() {
            intents.session(Intent::LeaveStage);
        }
        if standing.role == StageRole::Host && button(ui, Kind::Danger, "End the room").clicked() {
            let channel_id = here.id();
            intents.ask(EndStage { channel_id });
        }
    });
    if standing.invited && !standing.role.speaks() {
        hint(ui, "A host asks you to speak.");
    }
}

fn role_words(role: StageRole) -> &'static str {
    match role {
        StageRole::Host => "You are the host",
        StageRole::CoHost => "You are a co-host",
        StageRole::Speaker => "You are on stage",
        StageRole::Listener => "You listen",
    }
}
