//! What a committed write changed, as far as anyone has to be told. Each says how things are now; the server's live state holds the same
//! and tells whom it concerns.

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, MessageId, RoleId, UserId,
    control::{
        CallEntry, Channel, GuildInfo, Mentions, Message, OwnPresence, ReadState, RelationKind,
        Role, UnixMs,
    },
};

use crate::{ConversationRecord, GuildRecord, MemberRecord, StageRecord, UserRecord};

#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are messages; a change is told at once, not kept"
)]
pub enum Change {
    /// New, or changed in anything that others see or that the server must know.
    UserSaved(UserRecord),
    /// The account is no more; memberships and relations end with it.
    UserDeleted(UserId),
    /// No longer signed in.
    DevicesEnded(Vec<DeviceId>),
    PresenceChosen {
        user: UserId,
        presence: OwnPresence,
    },
    /// How `user` stands to `other`; None: not at all. Where both sides change there are two of these.
    Related {
        user: UserId,
        other: UserId,
        kind: Option<RelationKind>,
    },
    /// New, or changed in name or members.
    ConversationSaved(ConversationRecord),
    /// The last member left.
    ConversationDeleted(ChannelId),

    GuildCreated(Box<GuildRecord>),
    GuildUpdated(GuildInfo),
    GuildDeleted(GuildId),
    ChannelSaved {
        guild: GuildId,
        channel: Channel,
    },
    /// A category's channels are saved without it before.
    ChannelDeleted {
        guild: GuildId,
        channel: ChannelId,
    },
    RoleSaved {
        guild: GuildId,
        role: Role,
    },
    /// Members and overwrites lose it with this.
    RoleDeleted {
        guild: GuildId,
        role: RoleId,
    },
    /// New, or changed.
    MemberSaved {
        guild: GuildId,
        member: MemberRecord,
    },
    MemberRemoved {
        guild: GuildId,
        user: UserId,
        why: Removal,
    },

    /// As everyone sees it: without reactions, which it can't have yet.
    MessageCreated(Message),
    MessageEdited {
        channel: ChannelId,
        message: MessageId,
        text: String,
        mentions: Mentions,
        edited_at_ms: UnixMs,
    },
    MessagesDeleted {
        channel: ChannelId,
        messages: Vec<MessageId>,
    },
    MessagePinned {
        channel: ChannelId,
        message: MessageId,
        pinned: bool,
    },
    ReactionAdded {
        channel: ChannelId,
        message: MessageId,
        user: UserId,
        emoji: String,
        /// How many react so now.
        count: u32,
    },
    ReactionRemoved {
        channel: ChannelId,
        message: MessageId,
        user: UserId,
        emoji: String,
        /// How many react so now.
        count: u32,
    },
    /// A call is over: what one of its parties has of it.
    CallLogged {
        user: UserId,
        entry: CallEntry,
        /// Calls that they missed and have not looked at.
        missed: u32,
    },
    /// New, or changed in what lasts of it.
    StageSaved(StageRecord),
    StageEnded(ChannelId),
    CallsSeen {
        user: UserId,
        missed: u32,
    },
    Read {
        user: UserId,
        state: ReadState,
    },
}

/// Why someone is no longer a member of a guild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    Left,
    Kicked {
        reason: String,
    },
    Banned {
        reason: String,
    },
    /// The account is no more.
    Deleted,
}
