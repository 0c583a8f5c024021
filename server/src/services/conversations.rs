//! Direct messages and groups: who is in them.

use voxhall_protocol::{
    ChannelId,
    control::{
        AddToConversation, Conversation, Done, Failure, FailureKind, OpenConversation,
        RemoveFromConversation, UpdateConversation,
    },
    limits::{MAX_GROUP_MEMBERS, clean_name},
};
use voxhall_store::{ConversationError, ConversationRecord, Conversations, MAX_CONVERSATIONS};

use super::{Budget, Caller, Services};
use crate::{clock::unix_ms, words};

impl Services {
    pub async fn open_conversation(
        &self,
        caller: &Caller,
        params: OpenConversation,
    ) -> Result<Conversation, Failure> {
        self.budgets.take(Budget::People, caller.user)?;
        let name = params
            .name
            .as_deref()
            .map(group_name)
            .transpose()?
            .flatten();
        let opened = match params.user_ids.as_slice() {
            [other] if params.name.is_none() => {
                self.store.open_direct(caller.user, *other, unix_ms()).await
            }
            others => {
                let others = others.iter().copied().take(MAX_GROUP_MEMBERS * 2).collect();
                self.store
                    .open_group(caller.user, others, name, unix_ms())
                    .await
            }
        };
        self.shown(caller, opened)
    }

    pub async fn update_conversation(
        &self,
        caller: &Caller,
        params: UpdateConversation,
    ) -> Result<Conversation, Failure> {
        self.budgets.take(Budget::People, caller.user)?;
        let name = group_name(&params.name)?;
        let renamed = self
            .store
            .rename_group(params.channel_id, caller.user, name)
            .await;
        self.shown(caller, renamed)
    }

    pub async fn add_to_conversation(
        &self,
        caller: &Caller,
        params: AddToConversation,
    ) -> Result<Conversation, Failure> {
        self.budgets.take(Budget::People, caller.user)?;
        let AddToConversation {
            channel_id,
            user_id,
        } = params;
        let added = self
            .store
            .add_to_group(channel_id, caller.user, user_id, unix_ms())
            .await;
        self.shown(caller, added)
    }

    pub async fn remove_from_conversation(
        &self,
        caller: &Caller,
        params: RemoveFromConversation,
    ) -> Result<Done, Failure> {
        let RemoveFromConversation {
            channel_id,
            user_id,
        } = params;
        let removed = self
            .store
            .remove_from_group(channel_id, caller.user, user_id)
            .await;
        removed.map_err(|error| refusal(&error))?;
        Ok(Done {})
    }

    /// As the live state shows it, which knows by now.
    fn shown(
        &self,
        caller: &Caller,
        stored: Result<ConversationRecord, ConversationError>,
    ) -> Result<Conversation, Failure> {
        let channel: ChannelId = stored.map_err(|error| refusal(&error))?.id;
        let shown = self
            .hub
            .read(|live| live.conversation_view(channel, caller.user));
        shown.ok_or_else(|| refusal(&ConversationError::NoConversation))
    }
}

/// None: an empty one.
fn group_name(name: &str) -> Result<Option<String>, Failure> {
    if name.trim().is_empty() {
        return Ok(None);
    }
    clean_name(name)
        .map(Some)
        .map_err(|error| words::invalid(&error.to_string()))
}

fn refusal(error: &ConversationError) -> Failure {
    match error {
        ConversationError::NoConversation => words::not_found("conversation"),
        ConversationError::NoUser => words::not_found("user"),
        ConversationError::Oneself => words::invalid("A conversation needs someone else."),
        ConversationError::NotAllowed => Failure::new(
            FailureKind::Blocked,
            "You can't write to this user. Ask them to be friends, or meet them in a guild.",
        ),
        ConversationError::NotAFriend => Failure::new(
            FailureKind::Forbidden,
            "Only friends of yours come into a group by you. Ask them to be friends first.",
        ),
        ConversationError::NotAGroup => {
            words::invalid("This is a conversation of two. Open a group for more.")
        }
        ConversationError::NotTheOwner => Failure::new(
            FailureKind::Forbidden,
            "Only the owner of a group takes others out.",
        ),
        ConversationError::Full => Failure::new(
            FailureKind::TooMany,
            format!("A group has {MAX_GROUP_MEMBERS} people at most."),
        ),
        ConversationError::TooMany => Failure::new(
            FailureKind::TooMany,
            format!(
                "You have {MAX_CONVERSATIONS} conversations, and nobody may have more. Leave a group first."
            ),
        ),
        ConversationError::TheyHaveTooMany => Failure::new(
            FailureKind::TooMany,
            "One of them is in as many conversations as one may be. Try again when they have left some.",
        ),
        ConversationError::Store(error) => words::store(error),
    }
}
