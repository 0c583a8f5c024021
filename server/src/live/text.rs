//! What is written, told to who may read it.

use voxhall_protocol::{ChannelId, UserId, control::{Event, Message}};

use super::{ConnectionId, Live, Output, rights::Place, tell};

impl Live {
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

    fn readers(&self, channel: ChannelId) -> Vec<ConnectionId> {
        match self.place(channel) {
            Some(Place::Guild(guild, channel)) => {
                self.guilds.get(&guild).map(|guild| guild.viewers(channel)).unwrap_or_default()
            }
            Some(Place::Conversation(conversation)) => {
                conversation.members.iter().flat_map(|member| self.sessions_of(*member)).collect()
            }
            None => Vec::new(),
        }
    }
}
