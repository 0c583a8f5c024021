//! Which voice channel the person wants, and how far that is.

use std::time::Instant;

use voxhall_protocol::{
    ChannelId,
    control::{JoinVoice, LeaveVoice, UpdateVoice, VoiceGrant},
};

use super::{Core, Output, Pending};
use crate::{NoticeLevel, VoicePath};

impl Core {
    /// The person chose a channel. The call or the room they are in goes on until the server lets them in there.
    pub(super) fn go_to(&mut self, now: Instant, channel: ChannelId, out: &mut Vec<Output>) {
        if self.state.voice.channel() != Some(channel) {
            self.stage_wish += 1;
            self.enter_no_call();
            self.want_channel(now, channel, out);
        }
    }

    /// The person wants to talk nowhere.
    pub(super) fn go_out(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.stage_wish += 1;
        if self.wanted_stage.is_some() {
            self.leave_stage(now, out);
        }
        self.hang_up(now, out);
        self.leave_voice(now, out);
    }

    pub(super) fn join_voice(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(channel_id) = self.wanted_channel else {
            return;
        };
        let wish = self.wish;
        let already_asked = self
            .pending
            .values()
            .any(|(pending, _)| matches!(pending, Pending::Join(asked) if *asked == wish));
        if self.is_online() && !already_asked {
            let (muted, deafened) = self.voice_flags();
            let join = JoinVoice {
                channel_id,
                muted,
                deafened,
                bundles: true,
            };
            self.call(now, &join, Pending::Join(wish), out);
        }
    }

    /// The person, or a moderator, wants us there.
    pub(super) fn want_channel(&mut self, now: Instant, channel: ChannelId, out: &mut Vec<Output>) {
        self.wanted_channel = Some(channel);
        self.wish += 1;
        self.set_path(VoicePath::Joining(channel));
        self.join_voice(now, out);
    }

    pub(super) fn granted(&mut self, wish: u32, grant: VoiceGrant, out: &mut Vec<Output>) {
        // Left, or chose another channel, before the answer came: the server has been told that too.
        let Some(channel) = self.wanted_channel.filter(|_| wish == self.wish) else {
            return;
        };
        self.call_left_for(channel);
        self.granted = Some((channel, grant.ssrc));
        self.state.fold_participants(channel, &grant.participants);
        self.set_path(VoicePath::Opening(channel));
        self.rejoin_at = None;
        out.push(Output::StartVoice(Box::new(grant)));
    }

    /// The channel can't be joined; one stays where one was.
    pub(super) fn join_refused(
        &mut self,
        now: Instant,
        wish: u32,
        message: String,
        out: &mut Vec<Output>,
    ) {
        if wish != self.wish || self.wanted_channel.is_none() {
            return;
        }
        self.notice(NoticeLevel::Warning, message);
        match self.granted {
            Some((before, _)) if Some(before) != self.wanted_channel => {
                self.wanted_channel = Some(before);
                self.set_path(VoicePath::Open(before));
            }
            _ => self.leave_voice(now, out),
        }
    }

    pub(super) fn leave_voice(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.wanted_channel.is_some() && self.is_online() {
            self.call(now, &LeaveVoice {}, Pending::Courtesy, out);
        }
        self.end_voice(out);
    }

    /// The channel whose voice path runs, if it is the one that is wanted.
    pub(super) fn running_channel(&self) -> Option<ChannelId> {
        let (channel, _) = self.granted?;
        (self.wanted_channel == Some(channel)).then_some(channel)
    }

    pub(super) fn end_voice(&mut self, out: &mut Vec<Output>) {
        self.wanted_channel = None;
        self.wish += 1;
        self.rejoin_at = None;
        self.granted = None;
        if self.state.voice.path != VoicePath::Out {
            self.set_path(VoicePath::Out);
            out.push(Output::StopVoice);
        }
    }

    /// The voice of this channel is over. Who is on the way to another one goes on, but can't come back if refused.
    pub(super) fn end_voice_in(&mut self, channel: ChannelId, out: &mut Vec<Output>) {
        if self.wanted_channel == Some(channel) {
            self.end_voice(out);
        } else if self.granted.is_some_and(|(granted, _)| granted == channel) {
            self.granted = None;
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
