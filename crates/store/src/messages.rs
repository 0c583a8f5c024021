//! Text messages.

use std::future::Future;

use voxhall_protocol::{
    ChannelId, GuildId, MessageId, UserId,
    control::{Message, MessagePage, UnixMs},
};

use crate::StoreError;

/// Text messages.
pub trait Messages: Send + Sync {
    /// Stores a message once: a nonce that its author has used before gives the message stored then.
    ///
    /// # Errors
    /// [`PostError::NonceReused`] where that one is another message.
    fn post_message(
        &self,
        new: NewMessage,
    ) -> impl Future<Output = Result<Posted, PostError>> + Send;

    /// The newest messages older than `before`, at most `limit`, oldest of them first.
    fn message_page(
        &self,
        reader: UserId,
        channel: ChannelId,
        before: Option<MessageId>,
        limit: u32,
    ) -> impl Future<Output = Result<MessagePage, PostError>> + Send;
}

pub struct NewMessage {
    pub channel: ChannelId,
    pub author: UserId,
    pub text: String,
    pub nonce: String,
    pub now: UnixMs,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// There is no such channel, or none that this user may see.
    #[error("no such channel")]
    NoChannel,
    #[error("not a text channel")]
    NotText,
    /// Its author has used the nonce for another text or channel.
    #[error("the nonce belongs to another message")]
    NonceReused,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The message as sent back to its author, or told to the others.
pub struct Posted {
    pub guild: GuildId,
    pub message: Message,
    /// False where the nonce was known: nobody needs to be told again.
    pub is_new: bool,
}
