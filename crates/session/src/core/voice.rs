//! Which voice channel the person wants, and how far that is.

use std::time::Instant;

use voxhall_protocol::{
    ChannelId,
    control::{JoinVoice, LeaveVoice, UpdateVoice, VoiceGrant},
};

use super::{Core, Output, Pending};
use crate::VoicePath;

impl Core {
    pub(super) fn join_voice(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(channel_id) = self.wanted_channel else {
            return;
        };
        let already_asked = self
            .pending
            .values()
            .any(|(pending, _)| matches!(pending, Pending::Join(c) if *c == channel_id));
        if self.is_online() && !already_asked {
            let (muted, deafened) = self.voice_flags();
            let join = JoinVoice {
                channel_id,
                muted,
                deafened,
                bundles: true,
            };
            self.call(now, &join, Pending::Join(channel_id), out);
        }
    }

    pub(super) fn granted(
        &mut self,
        now: Instant,
        channel: ChannelId,
        grant: VoiceGrant,
        out: &mut Vec<Output>,
    ) {
        if self.wanted_channel != Some(channel) {
            // Left, or chose another channel, before the answer came; a later join has replaced this one on the server.
            if self.wanted_channel.is_none() {
                self.call(now, &LeaveVoice {}, Pending::Courtesy, out);
            }
            return;
        }
        self.own_ssrc = Some(grant.ssrc);
        self.fold_participants(channel, &grant.participants);
        self.set_path(VoicePath::Opening(channel));
        self.rejoin_at = None;
        out.push(Output::StartVoice(Box::new(grant)));
    }

    pub(super) fn end_voice(&mut self, out: &mut Vec<Output>) {
        self.wanted_channel = None;
        self.rejoin_at = None;
        self.own_ssrc = None;
        if self.state.voice.path != VoicePath::Out {
            self.set_path(VoicePath::Out);
            out.push(Output::StopVoice);
        }
    }

    pub(super) fn set_path(&mut self, path: VoicePath) {
        self.state.voice.path = path;
        self.changed = true;
    }

    /// What the others are told: who is deafened is muted too.
    pub(super) fn voice_flags(&self) -> (bool, bool) {
        let voice = &self.state.voice;
        (voice.muted || voice.deafened, voice.deafened)
    }

    pub(super) fn voice_flags_changed(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.voice_settings_changed(out);
        if self.wanted_channel.is_some() && self.is_online() {
            let (muted, deafened) = self.voice_flags();
            self.call(
                now,
                &UpdateVoice { muted, deafened },
                Pending::Courtesy,
                out,
            );
        }
    }

    pub(super) fn voice_settings_changed(&mut self, out: &mut Vec<Output>) {
        self.changed = true;
        out.push(Output::VoiceSettings);
    }
}
