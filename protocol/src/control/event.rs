//! Everything the server tells a client unasked. Names are past tense.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    CallEnd, CallEntry, CallsFrom, Channel, Conversation, EpochKey, Guild, GuildInfo, LiveCall,
    Member, Mentions, Message, OwnPresence, Presence, ReadState, Relation, Role, Stage, StageGone,
    StageStanding, UnixMs, User, VoiceState, schema::words,
};
use crate::{CallId, ChannelId, GuildId, MessageId, RoleId, UserId};

/// Why someone is no longer in a voice channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    Left,
    /// Went to another voice channel.
    Switched,
    /// Nothing was heard from the client for too long.
    TimedOut,
    /// The control connection stayed away for too long.
    Disconnected,
    /// A moderator took them out of the channel, or to another.
    Moderated,
    /// They may no longer be there, or the channel is gone.
    NotAllowed,
}

/// Why this client's own voice session ended without its asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The same account joined voice on another device.
    OtherDevice,
    TimedOut,
    /// A moderator took this user out of the channel.
    Disconnected,
    /// A moderator wants this user in that channel: the client joins it.
    MovedTo(ChannelId),
    /// This user may no longer be there.
    NotAllowed,
    ChannelDeleted,
    /// The call is over, or this user left it on another device.
    CallOver,
    /// This user is no longer in the stage room.
    StageOver,
}

/// Why someone is no longer a member of a guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoneReason {
    Left,
    Kicked,
    Banned,
    /// The account is no more.
    Deleted,
}

/// Why this client's guild is no longer there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuildGone {
    Left,
    Deleted,
    Kicked { reason: String },
    Banned { reason: String },
}

macro_rules! events {
    ($($(#[$doc:meta])* $method:literal $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[expect(clippy::large_enum_variant, reason = "an event is written or folded at once, not kept")]
        pub enum Event {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type),* },)*
        }

        impl Event {
            /// All event names, in order of declaration.
            pub const METHODS: &[&str] = &[$($method),*];

            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $method,)*
                }
            }

            /// Reads an event; `None` if a newer server says something this build doesn't know.
            pub(super) fn parse(method: &str, params: &RawValue) -> serde_json::Result<Option<Self>> {
                match method {
                    $($method => {
                        #[derive(Deserialize)]
                        struct Params { $($field: $type),* }
                        let Params { $($field),* } = serde_json::from_str(params.get())?;
                        Ok(Some(Self::$name { $($field),* }))
                    })*
                    _ => Ok(None),
                }
            }

            /// Each event: its name, what it says, and the schema of its fields.
            pub(super) fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, String, Schema)> {
                vec![$({
                    #[derive(JsonSchema)]
                    #[allow(dead_code, reason = "only its schema is asked for")]
                    struct $name { $($(#[$field_doc])* $field: $type),* }
                    let mut schema = $name::json_schema(generator);
                    let words = words(&[$(stringify!($doc)),*]);
                    schema.remove("title");
                    ($method, words, schema)
                }),*]
            }
        }
    };
}

events! {
    /// The server is about to hang up; come back after the given time.
    "session.closed" SessionClosed { reason: String, reconnect_after_ms: u32 }

    /// Someone that this user can see changed their name, picture or kind.
    "user.updated" UserUpdated { user: User }
    "presence.changed" PresenceChanged { user_id: UserId, presence: Presence }
    /// One's own choice, made on another device.
    "presence.chosen" PresenceChosen { presence: OwnPresence }
    /// New, or another kind than before.
    "relation.updated" RelationUpdated { relation: Relation }
    "relation.removed" RelationRemoved { user_id: UserId }
    /// New, or changed in name or members.
    "conversation.updated" ConversationUpdated { conversation: Conversation }
    /// This user is no longer in it.
    "conversation.left" ConversationLeft { channel_id: ChannelId }

    /// This account is now a member.
    "guild.joined" GuildJoined { guild: Guild }
    "guild.updated" GuildUpdated { guild: GuildInfo }
    /// This account is no longer a member.
    "guild.left" GuildLeft { guild_id: GuildId, why: GuildGone }
    /// New, or one that this user may see now.
    "channel.created" ChannelCreated { guild_id: GuildId, channel: Channel, voice: Vec<VoiceState>, read_state: Option<ReadState> }
    "channel.updated" ChannelUpdated { guild_id: GuildId, channel: Channel }
    /// Gone, or one that this user may no longer see.
    "channel.deleted" ChannelDeleted { guild_id: GuildId, channel_id: ChannelId }
    "role.created" RoleCreated { guild_id: GuildId, role: Role }
    "role.updated" RoleUpdated { guild_id: GuildId, role: Role }
    "role.deleted" RoleDeleted { guild_id: GuildId, role_id: RoleId }
    "member.joined" MemberJoined { guild_id: GuildId, member: Member }
    "member.updated" MemberUpdated { guild_id: GuildId, member: Member }
    "member.left" MemberLeft { guild_id: GuildId, user_id: UserId, why: GoneReason }

    /// In a guild or, without one, in a conversation.
    "message.created" MessageCreated { guild_id: Option<GuildId>, message: Message }
    "message.updated" MessageUpdated { channel_id: ChannelId, message_id: MessageId, text: String, mentions: Mentions, edited_at_ms: UnixMs }
    "message.deleted" MessageDeleted { channel_id: ChannelId, message_ids: Vec<MessageId> }
    "message.pinned" MessagePinned { channel_id: ChannelId, message_id: MessageId, pinned: bool }
    "reaction.added" ReactionAdded { channel_id: ChannelId, message_id: MessageId, user_id: UserId, emoji: String, /** How many react so now. */ count: u32 }
    "reaction.removed" ReactionRemoved { channel_id: ChannelId, message_id: MessageId, user_id: UserId, emoji: String, /** How many still react so. */ count: u32 }
    /// This user has read so far, on whatever device.
    "channel.read" ChannelRead { read_state: ReadState }
    "typing.started" TypingStarted { channel_id: ChannelId, user_id: UserId }

    /// In a voice channel of a guild or, without one, in the call of a conversation; the same holds for the others.
    "voice.joined" VoiceJoined { guild_id: Option<GuildId>, state: VoiceState }
    "voice.updated" VoiceUpdated { guild_id: Option<GuildId>, state: VoiceState }
    "voice.speaking" VoiceSpeaking { guild_id: Option<GuildId>, channel_id: ChannelId, user_id: UserId, speaking: bool }
    "voice.left" VoiceLeft { guild_id: Option<GuildId>, channel_id: ChannelId, user_id: UserId, reason: LeaveReason }
    /// A new base key, to everyone in the channel and to nobody else.
    "voice.rekeyed" VoiceRekeyed { channel_id: ChannelId, key: EpochKey }
    /// This client's own voice session is over.
    "voice.ended" VoiceEnded { channel_id: ChannelId, reason: EndReason }

    /// New, or changed: the whole of it as it is now.
    "call.updated" CallUpdated { call: LiveCall }
    "call.ended" CallEnded { call_id: CallId, channel_id: ChannelId, reason: CallEnd, /** Whose doing it was. */ by: Option<UserId> }
    /// What is kept of a call that is over, for each of those who were called or called.
    "call.logged" CallLogged { entry: CallEntry, /** Calls that were missed and not looked at. */ missed: u32 }
    /// Missed calls were looked at on another device.
    "call.seen" CallsSeen { missed: u32 }
    /// Chosen on another device.
    "call.from_set" CallsFromSet { from: CallsFrom }

    /// The room one is in, as it is now.
    "stage.updated" StageUpdated { stage: Stage }
    /// How one stands in the room.
    "stage.stood" StageStood { channel_id: ChannelId, standing: StageStanding }
    /// One is no longer in the room.
    "stage.left" StageLeft { channel_id: ChannelId, reason: StageGone }
    /// Somebody one follows opens a room, or is going to.
    "stage.announced" StageAnnounced { stage: Stage }
}
