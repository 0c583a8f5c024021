//! Folding what the server says into the state.

use std::{sync::Arc, time::Instant};

use voxhall_protocol::{
    ChannelId, GuildId,
    control::{self, EndReason, Event, Message, MessagePage, Ready, VoiceState},
};

use super::{Core, Output};
use crate::{Guild, NoticeLevel, Problem, VoicePath};

impl Core {
    pub(super) fn fold_ready(&mut self, ready: Ready, out: &mut Vec<Output>) {
        let before = self.people_around();
        self.state.me = Some(ready.me);
        self.state.guilds = ready.guilds.into_iter().map(Guild::from).collect();
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
        for history in Arc::make_mut(&mut self.state.history).values_mut() {
            history.messages.clear();
            history.more = true;
            history.loading = false;
        }
        self.changed = true;
    }

    pub(super) fn event(&mut self, now: Instant, event: Event, out: &mut Vec<Output>) {
        self.changed = true;
        match event {
            Event::SessionClosed {
                reason,
                reconnect_after_ms,
            } => {
                out.push(Output::Close);
                let wait =
                    std::time::Duration::from_millis(u64::from(reconnect_after_ms.min(60_000)));
                self.wire = super::Wire::Down;
                self.pending.clear();
                self.wait_and_retry(now, wait, Problem::ServerClosed { reason });
            }
            Event::GuildJoined { guild } => {
                let guild = Guild::from(guild);
                match self.guild(guild.id) {
                    Some(known) => *known = guild,
                    None => self.state.guilds.push(guild),
                }
            }
            Event::MemberJoined { guild_id, member } => {
                if let Some(guild) = self.guild(guild_id) {
                    guild.members.insert(member.user.id, member);
                }
            }
            Event::PresenceChanged { user_id, presence } => {
                for guild in &mut self.state.guilds {
                    if let Some(member) = guild.members.get_mut(&user_id) {
                        member.presence = presence.clone();
                    }
                }
            }
            Event::GuildUpdated { guild: info } => {
                if let Some(guild) = self.guild(info.id) {
                    guild.name = info.name;
                    guild.owner = info.owner_id;
                }
            }
            Event::MessageCreated { message, .. } => self.add_message(message),
            Event::VoiceJoined { guild_id, state } => {
                let before = self
                    .guild(guild_id)
                    .and_then(|guild| guild.voice.insert(state.user_id, state.clone()));
                if let Some(before) = before.filter(|before| before.ssrc != state.ssrc) {
                    self.tell_voice(before.channel_id, Output::VoiceLeft(before), out);
                }
                self.tell_voice(state.channel_id, Output::VoiceJoined(state), out);
            }
            Event::VoiceUpdated { guild_id, state } => {
                if let Some(guild) = self.guild(guild_id) {
                    guild.voice.insert(state.user_id, state);
                }
            }
            Event::VoiceSpeaking {
                guild_id,
                user_id,
                speaking,
                ..
            } => {
                if let Some(state) = self
                    .guild(guild_id)
                    .and_then(|guild| guild.voice.get_mut(&user_id))
                {
                    state.speaking = speaking;
                }
            }
            Event::VoiceLeft {
                guild_id,
                channel_id,
                user_id,
                ..
            } => {
                let left = self.guild(guild_id).and_then(|guild| {
                    // A switch may have been told before the leaving of the channel before.
                    let here = guild
                        .voice
                        .get(&user_id)
                        .is_some_and(|state| state.channel_id == channel_id);
                    if here {
                        guild.voice.remove(&user_id)
                    } else {
                        None
                    }
                });
                if let Some(state) = left {
                    self.tell_voice(channel_id, Output::VoiceLeft(state), out);
                }
            }
            Event::VoiceRekeyed { channel_id, key } => {
                self.tell_voice(channel_id, Output::VoiceKey(key), out);
            }
            Event::VoiceEnded { channel_id, reason } => {
                if self.state.voice.channel() == Some(channel_id) {
                    match reason {
                        EndReason::OtherDevice => {
                            self.end_voice(out);
                            let text =
                                "You joined voice on another device, so this one left the channel.";
                            self.notice(NoticeLevel::Info, text.to_owned());
                        }
                        // The server heard nothing of us; the path may be back by now.
                        EndReason::TimedOut => self.join_voice(now, out),
                        _ => self.end_voice(out),
                    }
                }
            }
            _ => {}
        }
    }

    /// Everyone in `channel`, as its grant says.
    pub(super) fn fold_participants(&mut self, channel: ChannelId, participants: &[VoiceState]) {
        let guild = self
            .state
            .guilds
            .iter_mut()
            .find(|guild| guild.channels.iter().any(|c| c.id == channel));
        if let Some(guild) = guild {
            guild.voice.retain(|_, state| state.channel_id != channel);
            guild.voice.extend(
                participants
                    .iter()
                    .map(|state| (state.user_id, state.clone())),
            );
        }
        self.changed = true;
    }

    pub(super) fn add_message(&mut self, message: Message) {
        let me = self.state.me.as_ref().map(|me| me.id);
        let Some(history) = Arc::make_mut(&mut self.state.history).get_mut(&message.channel_id)
        else {
            // Nobody looked at this channel yet; its history is loaded when somebody does.
            return;
        };
        if Some(message.author.id) == me {
            history
                .pending
                .retain(|pending| pending.nonce != message.nonce);
        }
        if let Err(place) = history
            .messages
            .binary_search_by_key(&message.id, |known| known.id)
        {
            history.messages.insert(place, message);
        }
        self.changed = true;
    }

    pub(super) fn add_page(&mut self, channel: ChannelId, page: MessagePage) {
        for message in page.messages {
            self.add_message(message);
        }
        let history = Arc::make_mut(&mut self.state.history)
            .entry(channel)
            .or_default();
        history.loading = false;
        history.more = page.more;
        self.changed = true;
    }

    fn guild(&mut self, id: GuildId) -> Option<&mut Guild> {
        self.state.guilds.iter_mut().find(|guild| guild.id == id)
    }

    /// Everyone in the voice channel we are in.
    fn people_around(&self) -> Vec<VoiceState> {
        let channel = self.state.voice.channel();
        let everyone = self
            .state
            .guilds
            .iter()
            .flat_map(|guild| guild.voice.values());
        everyone
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

impl From<control::Guild> for Guild {
    fn from(guild: control::Guild) -> Self {
        let mut channels = guild.channels;
        channels.sort_by_key(|channel| (channel.position, channel.id));
        Self {
            id: guild.id,
            name: guild.name,
            owner: guild.owner_id,
            channels,
            members: guild
                .members
                .into_iter()
                .map(|member| (member.user.id, member))
                .collect(),
            voice: guild
                .voice
                .into_iter()
                .map(|state| (state.user_id, state))
                .collect(),
        }
    }
}
