//! Text messages.

use voxhall_protocol::{
    UserId,
    control::{Event, Failure, ListMessages, Message, MessagePage, SendMessage},
    limits::{HISTORY_PAGE, MESSAGE_CHARS, NONCE_BYTES},
};
use voxhall_store::{Messages, NewMessage};

use super::Services;
use crate::{clock::unix_ms, words};

impl Services {
    /// Stores a message, then tells the guild. A repeated nonce gives what was stored before, and tells nobody.
    pub async fn send_message(
        &self,
        author: UserId,
        send: SendMessage,
    ) -> Result<Message, Failure> {
        if !MESSAGE_CHARS.contains(&send.text.chars().count()) || send.text.trim().is_empty() {
            return Err(words::invalid("A message has 1 to 4,000 characters."));
        }
        if !NONCE_BYTES.contains(&send.nonce.len()) {
            return Err(words::invalid("A nonce has 1 to 64 bytes."));
        }
        let new = NewMessage {
            channel: send.channel_id,
            author,
            text: send.text,
            nonce: send.nonce,
            now: unix_ms(),
        };
        let posted = self
            .store
            .post_message(new)
            .await
            .map_err(|error| words::post(&error))?;
        if posted.is_new {
            self.tell_guild(
                posted.guild,
                Event::MessageCreated {
                    guild_id: posted.guild,
                    message: posted.message.clone(),
                },
            );
        }
        Ok(posted.message)
    }

    pub async fn list_messages(
        &self,
        reader: UserId,
        list: ListMessages,
    ) -> Result<MessagePage, Failure> {
        self.store
            .message_page(reader, list.channel_id, list.before, HISTORY_PAGE)
            .await
            .map_err(|error| words::post(&error))
    }
}
