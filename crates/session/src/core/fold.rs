//! Events: folded into the state, and what they mean for the session itself.

use std::time::{Duration, Instant};

use voxhall_protocol::{
    ChannelId, MessageId,
    control::{EndReason, Event, MarkRead, ReadState, Ready, VoiceState},
};

use super::{Core, Output, Pending};
use crate::{NoticeLevel, Problem, VoicePath};

impl Core {
    pub(super) fn fold_ready(&mut self, ready: Ready, out: &mut Vec<Output>) {
        let before = self.people_around();
        let call_in = self.state.call_here().map(|call| call.channel_id);
        self.state.begin(ready);
        // Voice may have gone on while control was away: who came and went meanwhile?
        let after = self.people_around();
        let is_in = |people: &[VoiceState], state: &VoiceState| {
            people.iter().any(|other| other.ssrc == state.ssrc)
        };
        for state in before.iter().filter(|state| !is_in(&after, state)) {
            self.tell_voice(state.channel_id, Output::VoiceLeft(state.clone()), out);
        }
        for state in after.iter().filter(|state| !is_in(&before, state)) {
            self.tell_voice(state.channel_id, Output::VoiceJoined(state.clone()), out);
        }
        if let Some(channel) = call_in {
            self.take_up_call(channel, out);
        }
        self.changed = true;
    }

    /// An event with its number in the session. One that was there already is not folded again; where one is missing, everything is
    /// asked for anew.
    pub(super) fn numbered(
        &mut self,
        now: Instant,
        seq: u64,
        event: Option<Event>,
        out: &mut Vec<Output>,
    ) {
        // The last word of a connection is no event of the session, and has the number of the one before.
        if let Some(last @ Event::SessionClosed { .. }) = event {
            return self.event(now, last, out);
        }
        if let Some(thread) = &mut self.thread {
            if seq <= thread.seq {
                return;
            }
            if seq > thread.seq + 1 {
                self.thread = None;
                out.push(Output::Close);
                return self.closed(now, Problem::ConnectionLost, out);
            }
            thread.seq = seq;
        }
        if let Some(event) = event {
            self.event(now, event, out);
        }
        if self.catching_up > 0 {
            self.catching_up -= 1;
            if self.catching_up == 0 && self.is_online() {
                self.caught_up(now, out);
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event, out: &mut Vec<Output>) {
        self.changed = true;
        if let Some(channel) = channel_of(&event)
            && let Some(meanwhile) = self.meanwhile.get_mut(&channel)
        {
            meanwhile.push(event.clone());
        }
        if let Event::MessageCreated { message, .. } = &event
            && Some(message.author.id) == self.state.my_id()
        {
            self.sent(message.channel_id, &message.nonce, out);
        }
        let replaced = self.replaced_voice(&event);
        self.state.fold(&event, now);
        for state in replaced {
            self.tell_voice(state.channel_id, Output::VoiceLeft(state), out);
        }
        match &event {
            Event::SessionClosed {
                reason,
                reconnect_after_ms,
            } => {
                out.push(Output::Close);
                let wait = Duration::from_millis(u64::from(*reconnect_after_ms).min(60_000));
                let reason = reason.clone();
                self.wire_down(out);
                self.wait_and_retry(now, wait, Problem::ServerClosed { reason });
            }
            Event::MessageDeleted { channel_id, .. } | Event::MessageUpdated { channel_id, .. } => {
                if self.is_counting(*channel_id) {
                    // The count on its way may be from before this, or from after.
                    self.state.reading_mut(*channel_id).uncertain = true;
                }
                self.recount(now, *channel_id, out);
            }
            Event::VoiceJoined { state, .. } => {
                let joined = Output::VoiceJoined(state.clone());
                self.tell_voice(state.channel_id, joined, out);
            }
            Event::VoiceRekeyed { channel_id, key } => {
                self.tell_voice(*channel_id, Output::VoiceKey(key.clone()), out);
            }
            Event::VoiceEnded { channel_id, reason } => {
                if self.state.voice.channel() == Some(*channel_id) {
                    self.voice_ended(now, *reason, out);
                } else if *reason != EndReason::TimedOut {
                    self.end_voice_in(*channel_id, out);
                }
            }
            _ => {}
        }
        self.call_event(&event, out);
        self.stage_event(&event, out);
        out.push(Output::Event(Box::new(event)));
    }

    /// This client's own voice session is over.
    fn voice_ended(&mut self, now: Instant, reason: EndReason, out: &mut Vec<Output>) {
        let words = match reason {
            // The server heard nothing of us; the path may be back by now.
            EndReason::TimedOut => return self.join_voice(now, out),
            EndReason::MovedTo(channel) => {
                let name = self
                    .state
                    .guild_of(channel)
                    .and_then(|guild| guild.channel(channel));
                let name = name.map_or_else(String::new, |channel| format!(" to {}", channel.name));
                self.notice(NoticeLevel::Info, format!("A moderator moved you{name}."));
                self.want_channel(now, channel, out);
                return;
            }
            EndReason::OtherDevice => {
                "You joined voice on another device, so this one left the channel."
            }
            EndReason::Disconnected => "A moderator took you out of the voice channel.",
            EndReason::NotAllowed => "You may no longer be in that voice channel.",
            // What there is to say comes with the end of the call.
            EndReason::CallOver | EndReason::StageOver => return self.end_voice(out),
            EndReason::ChannelDeleted => "The voice channel you were in is gone.",
        };
        self.end_voice(out);
        self.notice(NoticeLevel::Info, words.to_owned());
    }

    /// Whose voice ends by an event, before it is folded.
    fn replaced_voice(&self, event: &Event) -> Vec<VoiceState> {
        let guild_of = |state: &VoiceState| {
            let guild = self.state.guild_of(state.channel_id);
            guild.map(|guild| guild.id)
        };
        let gone = |state: &&VoiceState| match event {
            Event::VoiceJoined {
                guild_id,
                state: new,
            } => {
                new.user_id == state.user_id
                    && new.ssrc != state.ssrc
                    && *guild_id == guild_of(state)
            }
            Event::VoiceLeft {
                channel_id,
                user_id,
                ..
            } => *user_id == state.user_id && *channel_id == state.channel_id,
            Event::MemberLeft {
                guild_id, user_id, ..
            } => *user_id == state.user_id && Some(*guild_id) == guild_of(state),
            _ => false,
        };
        self.state.voice_states().filter(gone).cloned().collect()
    }

    /// Asks the server for a count that nobody here can know: marking as read what is read already changes nothing.
    pub(super) fn recount(&mut self, now: Instant, channel_id: ChannelId, out: &mut Vec<Output>) {
        let uncertain = self
            .state
            .reading
            .get(&channel_id)
            .filter(|reading| reading.uncertain);
        let Some(reading) = uncertain else { return };
        let message_id = reading.last_read.unwrap_or(MessageId(0));
        if self.is_online() && !self.is_counting(channel_id) {
            self.state.reading_mut(channel_id).uncertain = false;
            let mark = MarkRead {
                channel_id,
                message_id,
            };
            self.call(now, &mark, Pending::Recount(channel_id), out);
        }
    }

    pub(super) fn recounted(
        &mut self,
        now: Instant,
        channel: ChannelId,
        state: ReadState,
        out: &mut Vec<Output>,
    ) {
        let reading = self.state.reading_mut(channel);
        let again = reading.uncertain;
        reading.set_answered(state);
        reading.uncertain = again;
        self.changed = true;
        self.recount(now, channel, out);
    }

    fn is_counting(&self, channel: ChannelId) -> bool {
        let counts = |(pending, _): &(Pending, Instant)| matches!(pending, Pending::Recount(of) if *of == channel);
        self.pending.values().any(counts)
    }

    pub(super) fn count_what_waited(&mut self, now: Instant, out: &mut Vec<Output>) {
        let due = |(channel, at): (&ChannelId, &Instant)| (*at <= now).then_some(*channel);
        let due: Vec<_> = self.recounts_later.iter().filter_map(due).collect();
        for channel in due {
            self.recounts_later.remove(&channel);
            self.recount(now, channel, out);
        }
    }

    /// Everyone in the voice channel we are in.
    fn people_around(&self) -> Vec<VoiceState> {
        let channel = self.state.voice.channel();
        self.state
            .voice_states()
            .filter(|state| Some(state.channel_id) == channel)
            .cloned()
            .collect()
    }

    /// Passes on what concerns the channel we are in. While joining there is no path yet: the grant brings the roster.
    fn tell_voice(&self, channel: ChannelId, output: Output, out: &mut Vec<Output>) {
        let joining = matches!(self.state.voice.path, VoicePath::Joining(_));
        if self.state.voice.channel() == Some(channel) && !joining {
            out.push(output);
        }
    }
}

/// The channel whose messages an event is about.
fn channel_of(event: &Event) -> Option<ChannelId> {
    match event {
        Event::MessageCreated { message, .. } => Some(message.channel_id),
        Event::MessageUpdated { channel_id, .. }
        | Event::MessageDeleted { channel_id, .. }
        | Event::MessagePinned { channel_id, .. }
        | Event::ReactionAdded { channel_id, .. }
        | Event::ReactionRemoved { channel_id, .. } => Some(*channel_id),
        _ => None,
    }
}
