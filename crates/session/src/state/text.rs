//! Messages on screen, what was read, and what is still to be sent.

use std::collections::BTreeMap;

use voxhall_protocol::{
    MessageId, UserId,
    control::{Event, Found, Message, MessagePage, Reaction, ReadState, SearchMessages},
};

use super::TransferId;

/// Messages one window of history holds. Who reads on loses them at the other end.
pub(crate) const MAX_WINDOW: usize = 2_000;
/// Beyond this unread messages are no longer counted.
const MOST_UNREAD: u32 = 1_000;

/// A window on the messages of one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Oldest first, without holes.
    pub messages: Vec<Message>,
    /// Older ones can be loaded.
    pub more: bool,
    /// Newer ones can be loaded: the window is somewhere in the past.
    pub more_after: bool,
    pub loading: bool,
    /// The message that was jumped to.
    pub jumped_to: Option<MessageId>,
    /// Written but not yet confirmed, in the order in which they will be sent.
    pub pending: Vec<PendingMessage>,
    /// Edits not yet confirmed.
    pub edits: BTreeMap<MessageId, PendingEdit>,
}

impl Default for History {
    /// Nothing loaded yet.
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            more: true,
            more_after: false,
            loading: false,
            jumped_to: None,
            pending: Vec::new(),
            edits: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingMessage {
    pub nonce: String,
    pub text: String,
    pub reply_to: Option<MessageId>,
    /// Sent once these are there.
    pub uploads: Vec<TransferId>,
    /// Refused by the server, with the reason.
    pub failed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEdit {
    pub text: String,
    /// Refused by the server, with the reason.
    pub failed: Option<String>,
}

/// What a search found so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    pub request: SearchMessages,
    /// Newest first.
    pub found: Vec<Found>,
    /// Searching again with `before` the last of these finds more.
    pub more: bool,
    pub loading: bool,
    pub failed: Option<String>,
}

/// How far a channel was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub last_read: Option<MessageId>,
    /// The newest message that was ever heard of.
    pub last_message: Option<MessageId>,
    pub unread: u32,
    pub mentions: u32,
    /// Unread messages that came while we listened, oldest first, and whether they mention this user.
    pub(crate) seen: Vec<(MessageId, bool)>,
    /// A message went that nobody here knew: only the server can count again.
    pub(crate) uncertain: bool,
}

impl From<ReadState> for Reading {
    fn from(state: ReadState) -> Self {
        Self {
            last_read: state.last_read,
            last_message: state.last_message,
            unread: state.unread,
            mentions: state.mentions,
            seen: Vec::new(),
            uncertain: false,
        }
    }
}

impl Reading {
    pub(crate) fn none() -> Self {
        Self {
            last_read: None,
            last_message: None,
            unread: 0,
            mentions: 0,
            seen: Vec::new(),
            uncertain: false,
        }
    }

    /// The server's count.
    pub(crate) fn set(&mut self, state: ReadState) {
        let seen = std::mem::take(&mut self.seen);
        let last_message = self.last_message.max(state.last_message);
        *self = Self::from(state);
        self.last_message = last_message;
        self.seen = seen;
        self.seen.retain(|(id, _)| Some(*id) > state.last_read);
    }

    /// The server's count from before what it didn't know yet: an answer, unlike an event, has no place among the events.
    pub(crate) fn set_answered(&mut self, state: ReadState) {
        if state.last_read < self.last_read {
            return;
        }
        self.set(state);
        let newer = || {
            self.seen
                .iter()
                .filter(|(id, _)| Some(*id) > state.last_message)
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(MOST_UNREAD);
        let (unread, mentions) = (
            count(newer().count()),
            count(newer().filter(|(_, it)| *it).count()),
        );
        self.unread = (self.unread + unread).min(MOST_UNREAD);
        self.mentions = (self.mentions + mentions).min(MOST_UNREAD);
    }

    /// A message came. `mine` ones count as read.
    pub(super) fn created(&mut self, id: MessageId, mine: bool, mentions_me: bool) {
        if Some(id) <= self.last_message {
            return;
        }
        self.last_message = Some(id);
        if mine || Some(id) <= self.last_read || self.unread >= MOST_UNREAD {
            return;
        }
        self.unread += 1;
        self.mentions += u32::from(mentions_me);
        self.seen.push((id, mentions_me));
    }

    /// A message went. `known` says, where its author is known, whether it is by another and mentions this user.
    pub(super) fn deleted(&mut self, id: MessageId, known: Option<(bool, bool)>) {
        if Some(id) <= self.last_read || self.unread == 0 {
            return;
        }
        let seen = self.seen.iter().position(|(seen, _)| *seen == id);
        let counted = seen.map(|at| self.seen.remove(at).1);
        let mentions_me = match (counted, known) {
            _ if self.unread >= MOST_UNREAD => return self.uncertain = true,
            (Some(mentions_me), _) => mentions_me,
            (None, Some((false, _))) => return,
            (None, Some((true, mentions_me))) => mentions_me,
            (None, None) => return self.uncertain = true,
        };
        self.unread -= 1;
        self.mentions = self.mentions.saturating_sub(u32::from(mentions_me));
    }

    /// A message that came while we listened was changed, and mentions this user now, or no longer.
    pub(super) fn edited(&mut self, id: MessageId, mentions_me: bool) {
        let Some((_, mentioned)) = self.seen.iter_mut().find(|(seen, _)| *seen == id) else {
            if Some(id) > self.last_read && self.unread > 0 {
                self.uncertain = true;
            }
            return;
        };
        match (std::mem::replace(mentioned, mentions_me), mentions_me) {
            (false, true) => self.mentions += 1,
            (true, false) => self.mentions = self.mentions.saturating_sub(1),
            _ => {}
        }
    }

    /// The person has read up to here. Where nobody here can know how many are left, the server's answer tells.
    pub(crate) fn read_to(&mut self, id: MessageId) {
        if Some(id) <= self.last_read {
            return;
        }
        self.last_read = Some(id);
        let heard_all_behind = self.seen.first().is_some_and(|(first, _)| *first <= id);
        self.seen.retain(|(seen, _)| *seen > id);
        if Some(id) >= self.last_message {
            (self.unread, self.mentions) = (0, 0);
        } else if heard_all_behind {
            let count = |n: usize| u32::try_from(n).unwrap_or(MOST_UNREAD);
            self.unread = count(self.seen.len());
            self.mentions = count(
                self.seen
                    .iter()
                    .filter(|(_, mentions_me)| *mentions_me)
                    .count(),
            );
        }
    }
}

impl History {
    pub(crate) fn message(&self, id: MessageId) -> Option<&Message> {
        let at = self
            .messages
            .binary_search_by_key(&id, |message| message.id)
            .ok()?;
        self.messages.get(at)
    }

    fn message_mut(&mut self, id: MessageId) -> Option<&mut Message> {
        let at = self
            .messages
            .binary_search_by_key(&id, |message| message.id)
            .ok()?;
        self.messages.get_mut(at)
    }

    /// Whether an event changes anything here; asked before the history is cloned for the change.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::MessageCreated { .. } => !self.more_after,
            Event::MessageUpdated { message_id, .. }
            | Event::MessagePinned { message_id, .. }
            | Event::ReactionAdded { message_id, .. }
            | Event::ReactionRemoved { message_id, .. } => self.message(*message_id).is_some(),
            Event::MessageDeleted { message_ids, .. } => {
                let answers = |message: &Message| {
                    message
                        .reply_to
                        .as_ref()
                        .is_some_and(|replied| message_ids.contains(&replied.id))
                };
                message_ids.iter().any(|id| self.message(*id).is_some())
                    || self.messages.iter().any(answers)
            }
            _ => false,
        }
    }

    /// Folds what happens to messages. Folding twice does no harm.
    pub(crate) fn fold(&mut self, event: &Event, me: Option<UserId>) {
        match event {
            Event::MessageCreated { message, .. } if !self.more_after => {
                self.put(message.clone());
                let over = self.messages.len().saturating_sub(MAX_WINDOW);
                self.messages.drain(..over);
                self.more |= over > 0;
            }
            Event::MessageUpdated {
                message_id,
                text,
                mentions,
                edited_at_ms,
                ..
            } => {
                if let Some(message) = self.message_mut(*message_id) {
                    message.text.clone_from(text);
                    message.mentions.clone_from(mentions);
                    message.edited_at_ms = Some(*edited_at_ms);
                }
            }
            Event::MessageDeleted { message_ids, .. } => {
                self.messages
                    .retain(|message| !message_ids.contains(&message.id));
                for message in &mut self.messages {
                    if let Some(replied) = &mut message.reply_to
                        && message_ids.contains(&replied.id)
                    {
                        replied.author = None;
                        replied.excerpt.clear();
                    }
                }
                for id in message_ids {
                    self.edits.remove(id);
                }
            }
            Event::MessagePinned {
                message_id, pinned, ..
            } => {
                if let Some(message) = self.message_mut(*message_id) {
                    message.pinned = *pinned;
                }
            }
            Event::ReactionAdded {
                message_id,
                user_id,
                emoji,
                count,
                ..
            } => {
                let mine = (Some(*user_id) == me).then_some(true);
                self.react(*message_id, emoji, *count, mine);
            }
            Event::ReactionRemoved {
                message_id,
                user_id,
                emoji,
                count,
                ..
            } => {
                let mine = (Some(*user_id) == me).then_some(false);
                self.react(*message_id, emoji, *count, mine);
            }
            _ => {}
        }
    }

    fn react(&mut self, id: MessageId, emoji: &str, count: u32, mine: Option<bool>) {
        let Some(message) = self.message_mut(id) else {
            return;
        };
        let known = message
            .reactions
            .iter()
            .position(|reaction| reaction.emoji == emoji);
        match (known, count) {
            (Some(at), 0) => drop(message.reactions.remove(at)),
            (Some(at), _) => {
                let reaction = &mut message.reactions[at];
                reaction.count = count;
                reaction.me = mine.unwrap_or(reaction.me);
            }
            (None, 0) => {}
            (None, _) => message.reactions.push(Reaction {
                emoji: emoji.to_owned(),
                count,
                me: mine.unwrap_or(false),
            }),
        }
    }

    /// Puts a page in its place among what is there; `whole` pages replace everything.
    pub(crate) fn merge(&mut self, page: MessagePage, place: Merge) {
        match place {
            Merge::Whole(jumped_to) => {
                self.messages = page.messages;
                self.messages.sort_by_key(|message| message.id);
                self.more = page.more;
                self.more_after = page.more_after;
                self.jumped_to = jumped_to;
            }
            Merge::Older => {
                self.more = page.more;
                for message in page.messages {
                    self.put(message);
                }
                if self.messages.len() > MAX_WINDOW {
                    self.messages.truncate(MAX_WINDOW);
                    self.more_after = true;
                }
            }
            Merge::Newer => {
                self.more_after = page.more_after;
                for message in page.messages {
                    self.put(message);
                }
                let over = self.messages.len().saturating_sub(MAX_WINDOW);
                self.messages.drain(..over);
                self.more |= over > 0;
            }
        }
    }

    fn put(&mut self, message: Message) {
        match self
            .messages
            .binary_search_by_key(&message.id, |known| known.id)
        {
            Ok(at) => self.messages[at] = message,
            Err(at) => self.messages.insert(at, message),
        }
    }
}

/// How a page relates to the window that it was loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// It is the window from now on.
    Whole(Option<MessageId>),
    Older,
    Newer,
}
