//! Text messages, what people do with them, and how far they have read.
//!
//! Who may do what is decided before: a store only knows of channels what it is told.

use std::future::Future;

use voxhall_protocol::{
    ChannelId, FileId, MessageId, RoleId, UserId,
    control::{Found, Mentions, Message, MessagePage, ReadState, UnixMs},
};

use crate::StoreError;

/// Unread messages of one channel are counted up to here.
pub const MAX_UNREAD: u32 = 1_000;
/// They are looked for among this many messages at the end of a channel: the reader's own, which aren't unread, may stand between.
pub const UNREAD_AMONG: u32 = 4 * MAX_UNREAD;
/// The nonce of a deleted message is remembered for this long, so that a late retry doesn't bring the message back. Longer than any slow
/// mode, which counts deleted messages too.
pub const DELETED_KEPT_MS: UnixMs = 24 * 3_600_000;

/// Text messages, what people do with them, and how far they have read.
pub trait Messages: Send + Sync {
    /// Stores a message once: a nonce that its author has used before gives the message stored then, as it is now. Whose author had
    /// read all that was there before has read it, too.
    ///
    /// # Errors
    /// See [`PostError`].
    fn post_message(
        &self,
        new: NewMessage,
    ) -> impl Future<Output = Result<Posted, PostError>> + Send;

    /// Gives a message another text, and with it other mentions.
    ///
    /// # Errors
    /// See [`MessageError`].
    fn edit_message(
        &self,
        edit: MessageEdit,
    ) -> impl Future<Output = Result<Message, MessageError>> + Send;

    /// Deletes a message with its files.
    ///
    /// # Errors
    /// See [`MessageError`].
    fn delete_message(
        &self,
        deletion: Deletion,
    ) -> impl Future<Output = Result<Deleted, MessageError>> + Send;

    /// At most `limit` messages, oldest first.
    fn history(
        &self,
        reader: UserId,
        channel: ChannelId,
        at: HistoryAt,
        limit: u32,
    ) -> impl Future<Output = Result<MessagePage, StoreError>> + Send;

    /// Adds a reaction; again, it changes nothing.
    ///
    /// # Errors
    /// See [`MessageError`].
    fn add_reaction(
        &self,
        reaction: NewReaction,
    ) -> impl Future<Output = Result<(), MessageError>> + Send;

    /// Takes a reaction back; where there is none, it changes nothing.
    ///
    /// # Errors
    /// See [`MessageError`].
    fn remove_reaction(
        &self,
        channel: ChannelId,
        message: MessageId,
        user: UserId,
        emoji: String,
    ) -> impl Future<Output = Result<(), MessageError>> + Send;

    /// Pins a message, or takes the pin off. True where that changed anything.
    ///
    /// # Errors
    /// See [`MessageError`].
    fn pin_message(&self, pin: Pin) -> impl Future<Output = Result<bool, MessageError>> + Send;

    /// The pinned messages of a channel, the last pinned first.
    fn pins(
        &self,
        reader: UserId,
        channel: ChannelId,
    ) -> impl Future<Output = Result<Vec<Message>, StoreError>> + Send;

    /// Up to `message` has been read; never goes back, and not beyond what there is.
    fn mark_read(
        &self,
        reader: Reader,
        channel: ChannelId,
        message: MessageId,
    ) -> impl Future<Output = Result<ReadState, StoreError>> + Send;

    /// How far someone has read those of `channels` that have messages.
    fn read_states(
        &self,
        reader: Reader,
        channels: Vec<ChannelId>,
    ) -> impl Future<Output = Result<Vec<ReadState>, StoreError>> + Send;

    /// Messages that fit, newest first, and whether there are more.
    fn search_messages(
        &self,
        search: Search,
    ) -> impl Future<Output = Result<(Vec<Found>, bool), StoreError>> + Send;

    /// Deletes at most `limit` messages that have been kept for long enough, or whose channel is gone; how many those were. Channels
    /// that say nothing of it keep them for `keep_ms`.
    fn expire_messages(
        &self,
        keep_ms: Option<UnixMs>,
        now: UnixMs,
        limit: u32,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;
}

#[derive(Debug, Clone)]
pub struct NewMessage {
    pub channel: ChannelId,
    pub author: UserId,
    /// Empty only where there are attachments.
    pub text: String,
    pub nonce: String,
    pub reply_to: Option<MessageId>,
    pub attachments: Vec<FileId>,
    /// Whom its author may mention.
    pub mentions: Mentions,
    /// Time between two messages of its author there; 0: none.
    pub slow_mode_ms: u32,
    pub now: UnixMs,
}

impl NewMessage {
    /// A text, and nothing else.
    pub fn new(
        channel: ChannelId,
        author: UserId,
        text: impl Into<String>,
        nonce: impl Into<String>,
        now: UnixMs,
    ) -> Self {
        Self {
            channel,
            author,
            text: text.into(),
            nonce: nonce.into(),
            reply_to: None,
            attachments: Vec::new(),
            mentions: Mentions::default(),
            slow_mode_ms: 0,
            now,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Its author was deleted meanwhile.
    #[error("no such user")]
    NoUser,
    /// Its author has used the nonce for another message.
    #[error("the nonce belongs to another message")]
    NonceReused,
    /// It was sent with this nonce, and deleted since.
    #[error("the message was sent and deleted")]
    Deleted,
    #[error("slow mode: {wait_ms} ms to wait")]
    SlowMode { wait_ms: u32 },
    /// There is no such message in the channel.
    #[error("no message to reply to")]
    NoReply,
    /// Not uploaded, by somebody else, for another channel, or sent before.
    #[error("{0:?} can't be attached")]
    NoFile(FileId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The message as sent back to its author, who sees it as everyone does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub message: Message,
    /// False where the nonce was known.
    pub is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Who acts was deleted meanwhile.
    #[error("no such user")]
    NoUser,
    #[error("no such message in this channel")]
    NoMessage,
    #[error("the message is somebody else's")]
    NotTheAuthor,
    /// A message has a text or a file.
    #[error("nothing would be left of the message")]
    Empty,
    /// As many as there may be.
    #[error("there are {0} already")]
    TooMany(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone)]
pub struct MessageEdit {
    pub channel: ChannelId,
    pub message: MessageId,
    pub author: UserId,
    pub text: String,
    pub mentions: Mentions,
    pub now: UnixMs,
}

#[derive(Debug, Clone)]
pub struct Deletion {
    pub channel: ChannelId,
    pub message: MessageId,
    pub by: UserId,
    /// Where a deletion of somebody else's message is written down: in a guild. None: only one's own.
    pub others: Option<DeleteOthers>,
    pub now: UnixMs,
}

/// The right to delete what others wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOthers {
    /// Written down in the guild's audit log.
    InGuild(voxhall_protocol::GuildId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    pub author: UserId,
    /// Their bytes can be removed now.
    pub files: u32,
}

/// Which messages of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryAt {
    Newest,
    /// The newest of those older than this.
    Before(MessageId),
    /// The oldest of those newer than this.
    After(MessageId),
    /// This, or what would stand there, with as many before as behind.
    Around(MessageId),
    /// Around the first message sent at that time or later.
    Time(UnixMs),
}

#[derive(Debug, Clone)]
pub struct NewReaction {
    pub channel: ChannelId,
    pub message: MessageId,
    pub user: UserId,
    pub emoji: String,
    /// Different emoji on one message.
    pub max_kinds: usize,
    pub now: UnixMs,
}

#[derive(Debug, Clone, Copy)]
pub struct Pin {
    pub channel: ChannelId,
    pub message: MessageId,
    pub pinned: bool,
    pub by: UserId,
    /// In a guild it is written down in the audit log.
    pub guild: Option<voxhall_protocol::GuildId>,
    /// Of one channel.
    pub max: usize,
    pub now: UnixMs,
}

/// Who reads, and by what they may be mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    pub user: UserId,
    /// In all their guilds.
    pub roles: Vec<RoleId>,
}

/// What a search asks for; all of it has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub reader: UserId,
    /// Only in these.
    pub channels: Vec<ChannelId>,
    pub terms: Vec<Term>,
    /// By one of these; None: by anyone.
    pub from: Option<Vec<UserId>>,
    pub sent_before: Option<UnixMs>,
    /// Then or later.
    pub sent_since: Option<UnixMs>,
    pub has: Vec<Has>,
    /// Only older ones: the next page.
    pub before: Option<MessageId>,
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// A word, or several that stand together. Letters and digits count; case and accents don't.
    pub text: String,
    /// Its last word is the beginning of one.
    pub prefix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Has {
    File,
    Picture,
    Link,
}
