//! Text messages: writing them, and what people do with them.

use voxhall_protocol::{
    ChannelId, MessageId, UserId,
    control::{
        DeleteMessage, Done, EditMessage, Failure, FailureKind, ListMessages, ListPins, MarkRead,
        Mentions, Message, MessagePage, PinMessage, ReactToMessage, ReadState, SendMessage,
        StartTyping, UnpinMessage, UnreactToMessage,
    },
    limits::{
        EMOJI_BYTES, HISTORY_PAGE, HISTORY_PAGE_BYTES, MAX_ATTACHMENTS, MAX_PINS, MAX_REACTIONS,
        MESSAGE_CHARS, NONCE_BYTES,
    },
    mentions,
    permissions::Permissions,
};
use voxhall_store::{
    DeleteOthers, Deletion, HistoryAt, MessageEdit, MessageError, Messages, NewMessage,
    NewReaction, Pin, PostError, Reader,
};

use super::{Budget, Caller, Services, access::InChannel};
use crate::{clock::unix_ms, words};

impl Services {
    /// Stores a message. A repeated nonce gives what was stored before, and tells nobody.
    pub async fn send_message(
        &self,
        caller: &Caller,
        send: SendMessage,
    ) -> Result<Message, Failure> {
        let needs = match send.attachments.len() {
            0 => Permissions::SEND_MESSAGES,
            1..=MAX_ATTACHMENTS => Permissions::SEND_MESSAGES.with(Permissions::ATTACH_FILES),
            _ => return Err(words::invalid("A message has 10 attachments at most.")),
        };
        if !NONCE_BYTES.contains(&send.nonce.len()) {
            return Err(words::invalid("A nonce has 1 to 64 bytes."));
        }
        let text = text(&send.text, !send.attachments.is_empty())?;
        let place = self.writable(caller, send.channel_id, needs)?;
        let unhurried = Permissions::BYPASS_SLOW_MODE.with(Permissions::MANAGE_MESSAGES);
        let slow_mode_s = if place.permissions.intersects(unhurried) {
            0
        } else {
            place.slow_mode_s
        };
        let new = NewMessage {
            channel: send.channel_id,
            author: caller.user,
            mentions: self.mentions(&text, send.channel_id, &place),
            text,
            nonce: send.nonce,
            reply_to: send.reply_to,
            attachments: send.attachments,
            slow_mode_ms: slow_mode_s.saturating_mul(1_000),
            now: unix_ms(),
        };
        let posted = self
            .store
            .post_message(new)
            .await
            .map_err(|error| not_posted(&error))?;
        Ok(posted.message)
    }

    pub async fn edit_message(
        &self,
        caller: &Caller,
        edit: EditMessage,
    ) -> Result<Message, Failure> {
        self.budgets.take(Budget::Messages, caller.user)?;
        // Whether it may be empty is up to what hangs on it.
        let text = text(&edit.text, true)?;
        let place = self.writable(caller, edit.channel_id, Permissions::SEND_MESSAGES)?;
        let edit = MessageEdit {
            channel: edit.channel_id,
            message: edit.message_id,
            author: caller.user,
            mentions: self.mentions(&text, edit.channel_id, &place),
            text,
            now: unix_ms(),
        };
        self.store
            .edit_message(edit)
            .await
            .map_err(|error| failed(&error))
    }

    /// One's own, or with the right to it anyone's, which is then written down.
    pub async fn delete_message(
        &self,
        caller: &Caller,
        delete: DeleteMessage,
    ) -> Result<Done, Failure> {
        self.budgets.take(Budget::Messages, caller.user)?;
        let place = self.in_channel(caller, delete.channel_id, Permissions::VIEW_CHANNEL)?;
        let manages = place.permissions.contains(Permissions::MANAGE_MESSAGES);
        let deletion = Deletion {
            channel: delete.channel_id,
            message: delete.message_id,
            by: caller.user,
            others: place.guild.filter(|_| manages).map(DeleteOthers::InGuild),
            now: unix_ms(),
        };
        let deleted = self
            .store
            .delete_message(deletion)
            .await
            .map_err(|error| failed(&error))?;
        if deleted.files > 0 {
            self.files_died.notify_one();
        }
        Ok(Done {})
    }

    pub async fn list_messages(
        &self,
        caller: &Caller,
        list: ListMessages,
    ) -> Result<MessagePage, Failure> {
        self.readable_channel(caller, list.channel_id)?;
        let at = match (list.before, list.after, list.around, list.at_ms) {
            (None, None, None, None) => HistoryAt::Newest,
            (Some(message), None, None, None) => HistoryAt::Before(message),
            (None, Some(message), None, None) => HistoryAt::After(message),
            (None, None, Some(message), None) => HistoryAt::Around(message),
            (None, None, None, Some(ms)) => HistoryAt::Time(ms),
            _ => {
                return Err(words::invalid(
                    "Ask for before, after, around or at_ms, and for one of them only.",
                ));
            }
        };
        let page = self
            .store
            .history(caller.user, list.channel_id, at, HISTORY_PAGE)
            .await;
        let page = page.map_err(|error| words::store(&error))?;
        // The right to read may have gone while the store was read.
        self.readable_channel(caller, list.channel_id)?;
        let kept = first_kept(&page.messages, at);
        Ok(within(page, kept, HISTORY_PAGE_BYTES))
    }

    pub async fn react_to_message(
        &self,
        caller: &Caller,
        react: ReactToMessage,
    ) -> Result<Done, Failure> {
        self.budgets.take(Budget::Reactions, caller.user)?;
        self.writable(caller, react.channel_id, Permissions::ADD_REACTIONS)?;
        let reaction = NewReaction {
            channel: react.channel_id,
            message: react.message_id,
            user: caller.user,
            emoji: emoji(&react.emoji)?.to_owned(),
            max_kinds: MAX_REACTIONS,
            now: unix_ms(),
        };
        self.store
            .add_reaction(reaction)
            .await
            .map_err(|error| failed(&error))?;
        Ok(Done {})
    }

    pub async fn unreact_to_message(
        &self,
        caller: &Caller,
        unreact: UnreactToMessage,
    ) -> Result<Done, Failure> {
        self.budgets.take(Budget::Reactions, caller.user)?;
        self.readable_channel(caller, unreact.channel_id)?;
        let emoji = emoji(&unreact.emoji)?.to_owned();
        let removed =
            self.store
                .remove_reaction(unreact.channel_id, unreact.message_id, caller.user, emoji);
        removed.await.map_err(|error| failed(&error))?;
        Ok(Done {})
    }

    pub async fn pin_message(&self, caller: &Caller, pin: PinMessage) -> Result<Done, Failure> {
        self.set_pinned(caller, pin.channel_id, pin.message_id, true)
            .await
    }

    pub async fn unpin_message(&self, caller: &Caller, pin: UnpinMessage) -> Result<Done, Failure> {
        self.set_pinned(caller, pin.channel_id, pin.message_id, false)
            .await
    }

    async fn set_pinned(
        &self,
        caller: &Caller,
        channel: ChannelId,
        message: MessageId,
        pinned: bool,
    ) -> Result<Done, Failure> {
        self.budgets.take(Budget::Messages, caller.user)?;
        let place = self.readable_channel(caller, channel)?;
        if place.guild.is_some() {
            self.in_channel(caller, channel, Permissions::MANAGE_MESSAGES)?;
        } else {
            refuse_if_blocked(&place)?;
        }
        let pin = Pin {
            channel,
            message,
            pinned,
            by: caller.user,
            guild: place.guild,
            max: MAX_PINS,
            now: unix_ms(),
        };
        let pinned = self.store.pin_message(pin).await;
        pinned.map_err(|error| match error {
            MessageError::TooMany(count) => Failure::new(
                FailureKind::TooMany,
                format!(
                    "{count} messages are pinned here, and there can't be more. Unpin one first."
                ),
            ),
            error => failed(&error),
        })?;
        Ok(Done {})
    }

    pub async fn list_pins(&self, caller: &Caller, list: ListPins) -> Result<MessagePage, Failure> {
        self.budgets.take(Budget::History, caller.user)?;
        self.readable_channel(caller, list.channel_id)?;
        let messages = self.store.pins(caller.user, list.channel_id).await;
        let page = MessagePage {
            messages: messages.map_err(|error| words::store(&error))?,
            more: false,
            more_after: false,
        };
        // As for history.
        self.readable_channel(caller, list.channel_id)?;
        Ok(within(page, Kept::First, HISTORY_PAGE_BYTES))
    }

    pub async fn mark_read(&self, caller: &Caller, mark: MarkRead) -> Result<ReadState, Failure> {
        self.budgets.take(Budget::Reading, caller.user)?;
        self.readable_channel(caller, mark.channel_id)?;
        let marked = self
            .store
            .mark_read(self.reader(caller.user), mark.channel_id, mark.message_id)
            .await;
        marked.map_err(|error| words::store(&error))
    }

    /// Tells the others that the caller is writing.
    pub async fn start_typing(
        &self,
        caller: &Caller,
        params: StartTyping,
    ) -> Result<Done, Failure> {
        self.writable(caller, params.channel_id, Permissions::SEND_MESSAGES)?;
        self.hub
            .act(|live, now, out| live.typing(caller.user, params.channel_id, now, out));
        Ok(Done {})
    }

    fn reader(&self, user: UserId) -> Reader {
        let roles = self.hub.read(|live| live.roles_of(user));
        Reader { user, roles }
    }

    /// Where messages are, for who may read them.
    fn readable_channel(&self, caller: &Caller, channel: ChannelId) -> Result<InChannel, Failure> {
        let place = self.in_channel(caller, channel, Permissions::VIEW_CHANNEL)?;
        if !place.kind.is_text() {
            return Err(words::invalid("This is not a text channel."));
        }
        Ok(place)
    }

    /// Where messages are, for who may do something there that others are told.
    pub(super) fn writable(
        &self,
        caller: &Caller,
        channel: ChannelId,
        needs: Permissions,
    ) -> Result<InChannel, Failure> {
        self.readable_channel(caller, channel)?;
        let place = self.in_channel(caller, channel, needs)?;
        refuse_if_blocked(&place)?;
        Ok(place)
    }

    /// Whom a text mentions, as far as its author may.
    fn mentions(&self, text: &str, channel: ChannelId, place: &InChannel) -> Mentions {
        let found = mentions::read(text);
        if found.is_empty() {
            return found;
        }
        self.hub
            .read(|live| live.mentionable(channel, place.permissions, found))
    }
}

fn refuse_if_blocked(place: &InChannel) -> Result<(), Failure> {
    if place.blocked {
        return Err(Failure::new(
            FailureKind::Blocked,
            "You can't write to each other. One of you has blocked the other.",
        ));
    }
    Ok(())
}

/// As it is stored: without characters that nobody sees.
fn text(text: &str, may_be_empty: bool) -> Result<String, Failure> {
    let seen: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    let is_empty = seen.trim().is_empty();
    if seen.chars().count() > *MESSAGE_CHARS.end() || (is_empty && !may_be_empty) {
        return Err(words::invalid("A message has 1 to 4,000 characters."));
    }
    Ok(if is_empty { String::new() } else { seen })
}

/// One emoji, as Unicode writes it.
fn emoji(text: &str) -> Result<&'static str, Failure> {
    let known = (text.len() <= EMOJI_BYTES)
        .then(|| emojis::get(text))
        .flatten();
    known
        .map(emojis::Emoji::as_str)
        .ok_or_else(|| words::invalid("A reaction is one emoji."))
}

fn not_posted(error: &PostError) -> Failure {
    match error {
        PostError::NoUser => words::not_found("user"),
        PostError::NonceReused => words::invalid(
            "This nonce belongs to another message of yours; each message needs its own.",
        ),
        PostError::Deleted => Failure::new(
            FailureKind::Conflict,
            "This message was sent before, and has been deleted.",
        ),
        PostError::SlowMode { wait_ms } => {
            let seconds = wait_ms.div_ceil(1_000);
            Failure::new(
                FailureKind::SlowMode,
                format!("Slow mode is on here. You can write again in {seconds} s."),
            )
            .retry_after_ms(u64::from(*wait_ms))
        }
        PostError::NoReply => Failure::new(
            FailureKind::NotFound,
            "The message you reply to is not here; it may have been deleted.",
        ),
        PostError::NoFile(_) => Failure::new(
            FailureKind::NotFound,
            "A file is not there for this message: it was not uploaded whole, was meant for another channel, or was sent before. Attach it again.",
        ),
        PostError::Store(error) => words::store(error),
    }
}

fn failed(error: &MessageError) -> Failure {
    match error {
        MessageError::NoUser => words::not_found("user"),
        MessageError::NoMessage => words::not_found("message"),
        MessageError::NotTheAuthor => Failure::new(
            FailureKind::Forbidden,
            "This message is somebody else's. Only who wrote it may do that.",
        ),
        MessageError::Empty => words::invalid(
            "A message has 1 to 4,000 characters. Delete it, if nothing is to be left of it.",
        ),
        MessageError::TooMany(count) => Failure::new(
            FailureKind::TooMany,
            format!(
                "There are {count} different reactions on this message, and there can't be more. Choose one of those."
            ),
        ),
        MessageError::Store(error) => words::store(error),
    }
}

/// Which messages of a page stay where not all fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    First,
    Last,
    /// This one and its neighbours.
    Around(usize),
}

fn first_kept(messages: &[Message], at: HistoryAt) -> Kept {
    let middle = |fits: &dyn Fn(&Message) -> bool| {
        Kept::Around(
            messages
                .iter()
                .position(fits)
                .unwrap_or(messages.len().saturating_sub(1)),
        )
    };
    match at {
        HistoryAt::Newest | HistoryAt::Before(_) => Kept::Last,
        HistoryAt::After(_) => Kept::First,
        HistoryAt::Around(id) => middle(&|message| message.id >= id),
        HistoryAt::Time(ms) => middle(&|message| message.sent_at_ms >= ms),
    }
}

/// What takes no more bytes than that, and one message in any case.
fn within(mut page: MessagePage, kept: Kept, limit: usize) -> MessagePage {
    let sizes: Vec<usize> = page.messages.iter().map(json_bytes).collect();
    let (mut from, mut up_to) = match kept {
        Kept::First => (0, 0),
        Kept::Last => (sizes.len(), sizes.len()),
        Kept::Around(index) => (index, index),
    };
    let mut left = limit;
    // Grows to both sides by turns, for as long as the next one fits.
    let mut grown = true;
    while grown {
        grown = false;
        for behind in [true, false] {
            let next = if behind {
                (up_to < sizes.len()).then_some(up_to)
            } else {
                from.checked_sub(1)
            };
            let Some(next) = next.filter(|next| sizes[*next] <= left || from == up_to) else {
                continue;
            };
            left = left.saturating_sub(sizes[next]);
            (from, up_to) = (from.min(next), up_to.max(next + 1));
            grown = true;
        }
    }
    page.more |= from > 0;
    page.more_after |= up_to < sizes.len();
    page.messages.truncate(up_to);
    page.messages.drain(..from);
    page
}

pub(super) fn json_bytes(message: &Message) -> usize {
    serde_json::to_string(message).map_or(usize::MAX / 2, |text| text.len())
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::control::{User, UserKind};

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
    fn a_page_has_those_that_fit_and_one_at_least() {
        let ids = |page: &MessagePage| page.messages.iter().map(|m| m.id.0).collect::<Vec<_>>();
        for (kept, limit, left, more, more_after) in [
            (Kept::Last, 2_500, vec![3, 4], true, false),
            (Kept::Last, 10, vec![4], true, false),
            (Kept::First, 2_500, vec![0, 1], false, true),
            (Kept::Around(2), 3_600, vec![1, 2, 3], true, true),
            (Kept::Around(2), 10, vec![2], true, true),
            (Kept::Around(0), 3_600, vec![0, 1, 2], false, true),
            (Kept::Around(4), 100_000, vec![0, 1, 2, 3, 4], false, false),
        ] {
            let cut = within(page(5), kept, limit);
            assert_eq!(
                (ids(&cut), cut.more, cut.more_after),
                (left, more, more_after),
                "{kept:?}, {limit}"
            );
        }
        for kept in [Kept::First, Kept::Last, Kept::Around(0)] {
            let none = within(page(0), kept, 10);
            assert!(none.messages.is_empty() && !none.more && !none.more_after);
        }
    }

    #[test]
    fn texts_have_something_to_see_in_them() {
        assert_eq!(text("a\u{1}\u{1b}[0mb\n\tc", false).unwrap(), "a[0mb\n\tc");
        assert_eq!(text(" \n ", true).unwrap(), "");
        for bad in ["", " \n", "\u{1}", &"x".repeat(4_001)] {
            assert!(text(bad, false).is_err());
        }
        assert!(text(&"é".repeat(4_000), false).is_ok());
    }

    #[test]
    fn a_reaction_is_one_emoji() {
        for good in ["🎉", "👍🏽", "❤️", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪"]
        {
            assert_eq!(emoji(good).unwrap(), good);
        }
        // Without the mark that makes it an emoji it is the same one.
        assert_eq!(emoji("❤").unwrap(), "❤️");
        for bad in [
            "",
            "a",
            "🎉🎉",
            "+1",
            ":tada:",
            "1",
            "\u{200d}",
            &"🎉".repeat(100),
        ] {
            assert!(emoji(bad).is_err(), "{bad}");
        }
    }
}
