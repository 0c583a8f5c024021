//! Stage rooms: coming in and going. What is done inside is asked for as anything else is.

use std::{sync::Arc, time::Instant};

use voxhall_protocol::control::{Event, JoinStage, LeaveStage, StageGone, StageView};

use super::{Core, Output, Pending};
use crate::{NoticeLevel, state::StageHere};

impl Core {
    pub(super) fn join_stage(&mut self, now: Instant, join: &JoinStage, out: &mut Vec<Output>) {
        if !self.is_online() {
            let words = "There is no connection to the server right now.";
            return self.notice(NoticeLevel::Warning, words.to_owned());
        }
        self.tell_left_stage(now, out);
        self.stage_wish += 1;
        let pending = Pending::EnterStage(self.stage_wish, join.clone());
        self.call(now, join, pending, out);
    }

    pub(super) fn leave_stage(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.stage_wish += 1;
        self.wanted_stage = None;
        let Some(stage) = self.state.stage.take() else {
            return;
        };
        self.changed = true;
        self.end_voice_in(stage.id(), out);
        if self.is_online() {
            self.call(now, &LeaveStage {}, Pending::Courtesy, out);
        } else {
            self.left_stage = Some(stage.id());
        }
    }

    /// The server let the person into a room.
    pub(super) fn entered_stage(
        &mut self,
        now: Instant,
        wish: u32,
        mut join: JoinStage,
        view: StageView,
        out: &mut Vec<Output>,
    ) {
        let channel = view.stage.id;
        if wish != self.stage_wish {
            // Left, or gone elsewhere, before the answer came. If a room was asked for since then, that one is next.
            if self.wanted_channel != Some(channel) && !self.is_entering_stage() {
                self.call(now, &LeaveStage {}, Pending::Courtesy, out);
            }
            return;
        }
        join.channel_id = Some(channel);
        self.wanted_stage = Some(join);
        self.state.stage = Some(Arc::new(StageHere::new(view)));
        self.want_channel(now, channel, out);
    }

    pub(super) fn stage_refused(&mut self, wish: u32, message: String) {
        if wish == self.stage_wish {
            self.notice(NoticeLevel::Warning, message);
        }
    }

    /// The control connection is lost, and what was asked with it.
    pub(super) fn stage_not_asked(&mut self) {
        if self.is_entering_stage() {
            self.stage_wish += 1;
            let words = "The connection was lost before you were in the room. Try again.";
            self.notice(NoticeLevel::Warning, words.to_owned());
        }
    }

    /// Whether the newest wish waits for the server's answer.
    fn is_entering_stage(&self) -> bool {
        let mut pending = self.pending.values();
        pending.any(|(pending, _)| matches!(pending, Pending::EnterStage(wish, _) if *wish == self.stage_wish))
    }

    /// Back on a connection: the server still has the person in the room that was left without one.
    pub(super) fn tell_left_stage(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(left) = self.left_stage.take() else {
            return;
        };
        // On another device they may be in another room by now.
        let elsewhere = |stage: &Arc<StageHere>| stage.id() != left;
        if !self.state.stage.as_ref().is_some_and(elsewhere) {
            self.state.stage = None;
            self.call(now, &LeaveStage {}, Pending::Courtesy, out);
        }
    }

    /// Back on a connection: the server may have been started anew, and know nobody in the room.
    pub(super) fn come_back_to_stage(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(join) = self.wanted_stage.clone()
            && join.channel_id == self.wanted_channel
        {
            self.call(now, &join, Pending::StageAgain, out);
        }
    }

    pub(super) fn back_in_stage(&mut self, view: StageView) {
        if Some(view.stage.id) == self.wanted_channel {
            self.state.stage = Some(Arc::new(StageHere::new(view)));
            self.changed = true;
        }
    }

    pub(super) fn stage_event(&mut self, event: &Event, out: &mut Vec<Output>) {
        match event {
            Event::StageLeft { channel_id, reason } => {
                if self.left_stage == Some(*channel_id) {
                    self.left_stage = None;
                }
                let wanted = self.wanted_stage.as_ref();
                if wanted.is_none_or(|join| join.channel_id != Some(*channel_id)) {
                    return;
                }
                self.wanted_stage = None;
                self.end_voice_in(*channel_id, out);
                let words = match reason {
                    StageGone::Left => return,
                    StageGone::Ended => "The host has ended the room.",
                    StageGone::HostGone => "The room is over: no host was there any more.",
                    StageGone::Removed => "A host took you out of the room.",
                    StageGone::Banned => {
                        "A host took you out of the room, and you can't come back."
                    }
                    StageGone::Lost => {
                        "Nothing was heard of you for too long, so you left the room."
                    }
                };
                self.notice(NoticeLevel::Info, words.to_owned());
            }
            Event::StageAnnounced { stage } => {
                let host = stage.host.shown_name();
                let words = if stage.started_at_ms.is_some() {
                    format!("{host} has opened a room: {}", stage.topic)
                } else {
                    format!(
                        "{host} is going to open a room: {}. Rooms says when.",
                        stage.topic
                    )
                };
                self.notice(NoticeLevel::Info, words);
            }
            _ => {}
        }
    }
}
