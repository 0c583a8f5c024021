//! What is written, told to who may read it.

use std::time::Duration;

use voxhall_protocol::{
    ChannelId, UserId,
    control::{Event, Message},
};

use super::{Live, Now, Output, SessionId, rights::Place, tell};

/// Who goes on typing is told again after this time at the earliest.
const TYPING_EVERY: Duration = Duration::from_secs(3);

impl Live {
    /// Someone, who may do so, is writing.
    pub fn typing(
        &mut self,
        user_id: UserId,
        channel_id: ChannelId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(person) = self.people.get_mut(&user_id) else {
            return;
        };
        if person
            .typed
            .is_some_and(|(channel, at)| channel == channel_id && now.at < at + TYPING_EVERY)
        {
            return;
        }
        person.typed = Some((channel_id, now.at));
        let own = &self.people[&user_id].sessions;
        let others = self
            .readers(channel_id)
            .into_iter()
            .filter(|session| !own.contains(session));
        self.tell_who_is_there(
            others,
            Event::TypingStarted {
                channel_id,
                user_id,
            },
            out,
        );
    }

    pub(super) fn message_created(&self, message: Message, out: &mut Vec<Output>) {
        let to = self.readers(message.channel_id);
        let guild_id = self.guild_of.get(&message.channel_id).copied();
        tell(out, to, Event::MessageCreated { guild_id, message });
    }

    /// To everyone who may read a channel or conversation.
    pub(super) fn tell_readers(&self, channel: ChannelId, event: Event, out: &mut Vec<Output>) {
        tell(out, self.readers(channel), event);
    }

    pub(super) fn tell_user(&self, user: UserId, event: Event, out: &mut Vec<Output>) {
        tell(out, self.sessions_of(user), event);
    }

    pub(super) fn readers(&self, channel: ChannelId) -> Vec<SessionId> {
        match self.place(channel) {
            Some(Place::Guild(guild, channel)) => self
                .guilds
                .get(&guild)
                .map(|guild| guild.viewers(channel))
                .unwrap_or_default(),
            Some(Place::Conversation(conversation)) => conversation
                .members
                .iter()
                .flat_map(|member| self.sessions_of(*member))
                .collect(),
            None => self.audience(channel),
        }
    }
}
