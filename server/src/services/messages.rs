//! Text messages.

use voxhall_protocol::{
    UserId,
    control::{Event, Failure, ListMessages, Message, MessagePage, SendMessage},
    limits::{HISTORY_PAGE, HISTORY_PAGE_BYTES, MESSAGE_CHARS, NONCE_BYTES},
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
                    guild_id: Some(posted.guild),
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
        let page = self
            .store
            .message_page(reader, list.channel_id, list.before, HISTORY_PAGE)
            .await
            .map_err(|error| words::post(&error))?;
        Ok(within(page, HISTORY_PAGE_BYTES))
    }
}

/// The newest messages of a page that take no more bytes than that, and one in any case.
fn within(mut page: MessagePage, limit: usize) -> MessagePage {
    let mut bytes = 0;
    let fitting = (page.messages.iter().rev())
        .take_while(|message| {
            bytes += serde_json::to_string(message).map_or(usize::MAX / 2, |text| text.len());
            bytes <= limit
        })
        .count();
    let left_out = page.messages.len().saturating_sub(fitting.max(1));
    if left_out > 0 {
        page.messages.drain(..left_out);
        page.more = true;
    }
    page
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::{
        ChannelId, MessageId,
        control::{User, UserKind},
    };

    use super::*;

    fn page(count: u64) -> MessagePage {
        let ann = User::new(UserId(1), "ann", UserKind::Guest);
        let text = "x".repeat(1_000);
        let message =
            |id| Message::new(MessageId(id), ChannelId(1), ann.clone(), &text[..], 0, "n");
        MessagePage {
            messages: (0..count).map(message).collect(),
            more: false,
            more_after: false,
        }
    }

    #[test]
    fn a_page_has_the_newest_that_fit_and_one_at_least() {
        let ids = |page: &MessagePage| page.messages.iter().map(|m| m.id.0).collect::<Vec<_>>();
        let cut = within(page(5), 2_500);
        assert_eq!((ids(&cut), cut.more), (vec![3, 4], true));
        let one = within(page(5), 10);
        assert_eq!((ids(&one), one.more), (vec![4], true));
        let all = within(page(2), 2_500);
        assert_eq!((ids(&all), all.more), (vec![0, 1], false));
        assert!(!within(page(0), 10).more);
    }
}
