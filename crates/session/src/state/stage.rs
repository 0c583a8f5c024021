//! The stage room that this user is in.

use voxhall_protocol::{
    ChannelId,
    control::{Event, StageView, VoiceState},
};

#[derive(Debug, Clone, PartialEq)]
pub struct StageHere {
    pub view: StageView,
    /// Of the speakers, and one's own.
    pub voice: Vec<VoiceState>,
}

impl StageHere {
    pub(crate) fn new(view: StageView) -> Self {
        let speakers = view.stage.speakers.iter();
        let voice = speakers
            .filter_map(|speaker| speaker.voice.clone())
            .collect();
        Self { view, voice }
    }

    pub fn id(&self) -> ChannelId {
        self.view.stage.id
    }

    /// What happens to the room one is in. False: one is in it no longer.
    pub(crate) fn fold(&mut self, event: &Event) -> bool {
        match event {
            Event::StageUpdated { stage } if stage.id == self.id() => {
                self.view.stage = stage.clone();
            }
            Event::StageStood {
                channel_id,
                standing,
            } if *channel_id == self.id() => self.view.standing = standing.clone(),
            Event::StageLeft { channel_id, .. } if *channel_id == self.id() => return false,
            _ => {}
        }
        true
    }
}
