//! How people stand to each other, and their conversations.

use std::future::Future;

use voxhall_protocol::{
    ChannelId, UserId,
    control::{
        ChannelKind, OwnPresence, Profile, RelationKind, StatusChoice, UnixMs, User, UserPage,
    },
};

use crate::StoreError;

/// How people stand to each other.
pub trait People: Send + Sync {
    /// A user's page as `reader` sees it; none: there is nobody.
    fn profile(
        &self,
        reader: UserId,
        user: UserId,
    ) -> impl Future<Output = Result<Option<Profile>, StoreError>> + Send;

    /// Accounts whose name or display name begins so, upper and lower case being the same.
    fn find_users(
        &self,
        beginning: &str,
        limit: u32,
    ) -> impl Future<Output = Result<UserPage, StoreError>> + Send;

    fn follow(
        &self,
        follower: UserId,
        followed: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<(), RelateError>> + Send;

    fn unfollow(
        &self,
        follower: UserId,
        followed: UserId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// By id.
    fn followers(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> impl Future<Output = Result<UserPage, StoreError>> + Send;

    /// By id.
    fn following(
        &self,
        user: UserId,
        after: Option<UserId>,
        limit: u32,
    ) -> impl Future<Output = Result<UserPage, StoreError>> + Send;

    /// Asks to be friends, or accepts if the other has asked. How the two stand now, for who asks: an outgoing request looks the same
    /// whether it reached the other or not, which it doesn't where they blocked who asks or have [`MAX_INCOMING`] already.
    fn request_friend(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<RelationKind, RelateError>> + Send;

    /// # Errors
    /// [`RelateError::NoUser`] unless the other has asked.
    fn accept_friend(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<(), RelateError>> + Send;

    /// Refuses or takes back a request, or ends a friendship. Without one nothing happens.
    fn remove_friend(
        &self,
        user: UserId,
        other: UserId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends whatever was between the two, but for what the other blocks. Whoever has no room for friends can still block.
    fn block(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<(), RelateError>> + Send;

    fn unblock(
        &self,
        user: UserId,
        other: UserId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Everyone's.
    fn relations(&self) -> impl Future<Output = Result<Vec<RelationRecord>, StoreError>> + Send;

    /// How they want to be seen now.
    fn choose_presence(
        &self,
        user: UserId,
        choice: PresenceChoice,
    ) -> impl Future<Output = Result<OwnPresence, RelateError>> + Send;

    /// The account of that name.
    fn user_by_name(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;
}

/// Conversations between people: their members. What is said there is [`Messages`](crate::Messages)' matter.
pub trait Conversations: Send + Sync {
    /// The conversation of the two, made at the first time.
    ///
    /// # Errors
    /// [`ConversationError::NotAllowed`] unless they are friends or in one guild, and neither blocks the other, before there is one.
    fn open_direct(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<ConversationRecord, ConversationError>> + Send;

    /// A new group of the owner with some of their friends. The same asked again within [`SAME_GROUP_WITHIN_MS`] gives the group
    /// made then.
    fn open_group(
        &self,
        owner: UserId,
        others: Vec<UserId>,
        name: Option<String>,
        now: UnixMs,
    ) -> impl Future<Output = Result<ConversationRecord, ConversationError>> + Send;

    /// Any member names a group.
    fn rename_group(
        &self,
        channel: ChannelId,
        by: UserId,
        name: Option<String>,
    ) -> impl Future<Output = Result<ConversationRecord, ConversationError>> + Send;

    /// Any member adds friends of theirs to a group.
    fn add_to_group(
        &self,
        channel: ChannelId,
        by: UserId,
        added: UserId,
        now: UnixMs,
    ) -> impl Future<Output = Result<ConversationRecord, ConversationError>> + Send;

    /// Anyone leaves a group, its owner takes others out. Where the owner leaves, who was there longest becomes it; with the last member
    /// the group goes, and what was said there.
    fn remove_from_group(
        &self,
        channel: ChannelId,
        by: UserId,
        removed: UserId,
    ) -> impl Future<Output = Result<(), ConversationError>> + Send;

    /// Everyone's.
    fn conversations(
        &self,
    ) -> impl Future<Output = Result<Vec<ConversationRecord>, StoreError>> + Send;
}

/// Requests that wait for one user's answer; further ones don't reach them. So strangers can't fill up what
/// [`MAX_RELATIONS`](voxhall_protocol::limits::MAX_RELATIONS) leaves.
pub const MAX_INCOMING: u32 = 200;
/// Whom one user may follow.
pub const MAX_FOLLOWING: u32 = 5_000;
/// Conversations of one user, who then opens no more and is taken into no more.
pub const MAX_CONVERSATIONS: u32 = 1_000;
/// Besides, so many that others have opened with them and in which nothing was said yet.
pub const MAX_UNUSED_DIRECTS: u32 = 200;
/// Who asks for the same group again so soon lost the answer.
pub const SAME_GROUP_WITHIN_MS: UnixMs = 30_000;

/// What is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PresenceChoice {
    pub choice: Option<StatusChoice>,
    /// Empty: none. Goes away at `custom_until_ms`; none: never.
    pub custom_status: Option<String>,
    pub custom_until_ms: Option<UnixMs>,
}

/// How `user` stands to `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationRecord {
    pub user: UserId,
    pub other: UserId,
    pub kind: RelationKind,
}

/// A conversation as the live state holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRecord {
    pub id: ChannelId,
    /// Direct or group.
    pub kind: ChannelKind,
    pub name: Option<String>,
    pub owner: Option<UserId>,
    /// By id.
    pub members: Vec<UserId>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelateError {
    #[error("no such user")]
    NoUser,
    #[error("nobody stands so to themselves")]
    Oneself,
    #[error("the asker has blocked them")]
    Blocked,
    #[error("the asker has as many as there may be")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversationError {
    /// Or one that the asker is not in.
    #[error("no such conversation")]
    NoConversation,
    #[error("no such user")]
    NoUser,
    #[error("a conversation is with others")]
    Oneself,
    /// Strangers, or one blocks the other.
    #[error("these two don't write to each other")]
    NotAllowed,
    /// Only friends come into a group.
    #[error("no friend of the asker")]
    NotAFriend,
    #[error("only a group has this")]
    NotAGroup,
    #[error("only the owner takes others out")]
    NotTheOwner,
    #[error("the group is full")]
    Full,
    /// One of those who would be in it.
    #[error("they have as many as there may be")]
    TheyHaveTooMany,
    #[error("the asker has as many as there may be")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}
