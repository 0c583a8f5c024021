//! Every method a client may call, with its parameters and its result.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

mod account;
mod admin;
mod call;
mod guild;
mod people;
mod session;
mod stage;
mod text;
mod voice;

pub use account::*;
pub use admin::*;
pub use call::*;
pub use guild::*;
pub use people::*;
pub use session::*;
pub use stage::*;
pub use text::*;
pub use voice::*;

use super::schema::words;
use super::{
    AdminUser, Backup, Call, Channel, Conversation, Credentials, Failure, FailureKind, Guild,
    GuildInfo, Invite, InvitePreview, LiveCall, Member, Message, OwnPresence, Profile, ReadState,
    Ready, Relation, RequestId, Role, ServerBan, ServerStats, Stage, StageView, User, VoiceGrant,
    encode_request,
};

macro_rules! methods {
    ($($(#[$doc:meta])* $method:literal $name:ident -> $reply:ty;)*) => {
        /// A request as the server sees it.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request {
            $($(#[$doc])* $name($name),)*
        }

        impl Request {
            /// All method names, in order of declaration.
            pub const METHODS: &[&str] = &[$($method),*];

            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $method,)*
                }
            }

            /// Each method: its name, what it does, and the schemas of its parameters and its result.
            pub(super) fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, String, Schema, Schema)> {
                vec![$((
                    $method,
                    words(&[$(stringify!($doc)),*]),
                    generator.subschema_for::<$name>(),
                    generator.subschema_for::<$reply>(),
                )),*]
            }

            /// Reads the parameters of `method`.
            ///
            /// # Errors
            /// [`Failure::unknown_method`] or [`Failure::invalid_params`].
            pub fn parse(method: &str, params: Option<&RawValue>) -> Result<Self, Failure> {
                let json = params.map_or("{}", RawValue::get);
                // By name only: serde would take a list too, by the order of fields, which is nobody's to rely on.
                if !json.starts_with('{') {
                    return Err(Failure::new(FailureKind::InvalidParams, "params are an object"));
                }
                match method {
                    $($method => serde_json::from_str(json).map(Self::$name).map_err(|e| Failure::invalid_params(&e)),)*
                    _ => Err(Failure::unknown_method(method)),
                }
            }

            /// The whole message, for a client that doesn't know until it runs what it will ask.
            pub fn encode(&self, id: RequestId) -> String {
                match self {
                    $(Self::$name(call) => encode_request(id, call),)*
                }
            }

            /// Reads what was answered to this request.
            ///
            /// # Errors
            /// It is no such answer.
            pub fn read_reply(&self, result: &RawValue) -> serde_json::Result<Reply> {
                match self {
                    $(Self::$name(_) => serde_json::from_str(result.get()).map(Reply::$name),)*
                }
            }
        }

        /// What was answered to the [`Request`] of the same name.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Reply {
            $($name($reply),)*
        }

        $(impl Call for $name {
            const METHOD: &'static str = $method;
            type Reply = $reply;

            fn of_reply(reply: Reply) -> Option<$reply> {
                match reply {
                    Reply::$name(reply) => Some(reply),
                    _ => None,
                }
            }
        }

        impl From<$name> for Request {
            fn from(call: $name) -> Self {
                Self::$name(call)
            }
        })*
    };
}

methods! {
    /// First message of every connection: versions and capabilities.
    "session.hello" Hello -> HelloReply;
    /// Proves who is there and returns everything to draw; events follow from here.
    "session.begin" Begin -> Ready;
    /// Goes on with a session whose connection was lost: what was missed follows as events, in order.
    "session.resume" Resume -> Resumed;
    /// Keeps the connection alive; answered at once.
    "session.ping" Ping -> Done;

    /// Makes an account. With an invite, joins its guild too.
    "account.register" Register -> Credentials;
    "account.login" Login -> Credentials;
    /// A name only, on the strength of an invite.
    "account.guest" Guest -> Credentials;
    /// A new access token and a new refresh token for a signed-in device; the old refresh token is spent.
    "account.refresh" Refresh -> Credentials;
    /// Ends this device's sign-in.
    "account.logout" Logout -> Done;
    /// A guest becomes an account, and stays who they are.
    "account.upgrade" UpgradeAccount -> User;
    /// Ends the sign-in of all other devices.
    "account.change_password" ChangePassword -> Done;
    /// Changes one's own profile.
    "account.update" UpdateAccount -> Profile;
    "device.list" ListDevices -> DeviceList;
    /// Ends another device's sign-in, or this one's.
    "device.end" EndDevice -> Done;

    "user.profile" GetProfile -> Profile;
    /// Accounts by the beginning of their name.
    "user.find" FindUsers -> UserPage;
    "user.follow" FollowUser -> Profile;
    "user.unfollow" UnfollowUser -> Profile;
    "user.followers" ListFollowers -> UserPage;
    "user.following" ListFollowing -> UserPage;
    /// Stops direct messages and friendship both ways. The other isn't told.
    "user.block" BlockUser -> Done;
    "user.unblock" UnblockUser -> Done;
    /// Asks to be friends; accepts, if the other has asked already.
    "friend.request" RequestFriend -> Relation;
    "friend.accept" AcceptFriend -> Relation;
    /// Refuses a request, takes one's own back, or ends a friendship.
    "friend.remove" RemoveFriend -> Done;
    /// How one wants to be seen.
    "presence.set" SetPresence -> OwnPresence;
    /// This connection's user touched nothing for a while, or did again.
    "presence.idle" SetIdle -> Done;
    /// The conversation with someone, made at the first time; with several, a new group.
    "conversation.open" OpenConversation -> Conversation;
    "conversation.update" UpdateConversation -> Conversation;
    "conversation.add" AddToConversation -> Conversation;
    /// Takes someone out of a group, or oneself.
    "conversation.remove" RemoveFromConversation -> Done;

    "guild.create" CreateGuild -> Guild;
    "guild.update" UpdateGuild -> GuildInfo;
    "guild.delete" DeleteGuild -> Done;
    "guild.leave" LeaveGuild -> Done;
    /// Makes another member the owner.
    "guild.transfer" TransferGuild -> GuildInfo;
    "channel.create" CreateChannel -> Channel;
    "channel.update" UpdateChannel -> Channel;
    "channel.delete" DeleteChannel -> Done;
    /// Puts a guild's channels into an order.
    "channel.reorder" ReorderChannels -> Done;
    /// What a role or a member may or may not do here; nothing allowed and nothing denied takes the rule away.
    "channel.overwrite" SetOverwrite -> Channel;
    "role.create" CreateRole -> Role;
    "role.update" UpdateRole -> Role;
    "role.delete" DeleteRole -> Done;
    "role.reorder" ReorderRoles -> Done;
    /// Nickname and roles.
    "member.update" UpdateMember -> Member;
    "member.kick" KickMember -> Done;
    "member.ban" BanMember -> Done;
    "member.unban" UnbanMember -> Done;
    "member.timeout" TimeoutMember -> Member;
    "ban.list" ListBans -> BanList;
    "audit.list" ListAudit -> AuditPage;
    /// Why someone may or may not do a thing.
    "permission.explain" ExplainPermissions -> Explained;

    /// What an invite leads to; needs no sign-in.
    "invite.inspect" InspectInvite -> InvitePreview;
    "invite.create" CreateInvite -> Invite;
    /// A guild's invites, and who came by which.
    "invite.list" ListInvites -> InviteList;
    "invite.revoke" RevokeInvite -> Done;
    /// Joins the invite's guild with the account that is signed in.
    "invite.redeem" RedeemInvite -> Redeemed;

    "message.send" SendMessage -> Message;
    "message.edit" EditMessage -> Message;
    "message.delete" DeleteMessage -> Done;
    /// A page of history, oldest first.
    "message.list" ListMessages -> MessagePage;
    "message.search" SearchMessages -> SearchPage;
    "message.react" ReactToMessage -> Done;
    "message.unreact" UnreactToMessage -> Done;
    "message.pin" PinMessage -> Done;
    "message.unpin" UnpinMessage -> Done;
    "message.pins" ListPins -> MessagePage;
    /// Everything up to this message has been read.
    "channel.mark_read" MarkRead -> ReadState;
    /// Tells the others that one is writing; holds for 8 seconds.
    "channel.type" StartTyping -> Done;
    /// Announces a file; its bytes follow over HTTPS (`docs/protocol/files.md`).
    "file.begin" BeginUpload -> Upload;
    /// What was uploaded so far; the attachment once it is complete.
    "file.status" UploadStatus -> Uploaded;

    /// Enters a voice channel, leaving the one before.
    "voice.join" JoinVoice -> VoiceGrant;
    "voice.leave" LeaveVoice -> Done;
    /// Tells the others that one is muted or deafened.
    "voice.update" UpdateVoice -> Done;
    /// Mutes or deafens a member in the whole guild.
    "voice.moderate" ModerateVoice -> Member;
    "voice.move" MoveVoice -> Done;
    "voice.disconnect" DisconnectVoice -> Done;

    /// Calls the others of a conversation; `voice.join` follows. Where a call runs there already, answers or joins it.
    "call.start" StartCall -> LiveCall;
    /// Answers a call, or comes into one that runs; `voice.join` follows. The first of one's devices to answer has it.
    "call.answer" AnswerCall -> LiveCall;
    "call.reject" RejectCall -> Done;
    /// Hangs up, or gives up calling.
    "call.leave" LeaveCall -> Done;
    /// Rings someone of the conversation who is not in the call.
    "call.ring" RingAgain -> Done;
    /// One's calls, newest first.
    "call.list" ListCalls -> CallPage;
    /// Missed calls up to this one were on the screen.
    "call.mark_seen" MarkCallsSeen -> Done;
    /// Who may call this user.
    "call.set_from" SetCallsFrom -> Done;

    /// Opens a stage room, now or for later. Followers are told of a public one.
    "stage.open" OpenStage -> Stage;
    /// Begins a scheduled room.
    "stage.begin" BeginStage -> Stage;
    "stage.update" UpdateStage -> Stage;
    /// The room is over for everyone.
    "stage.end" EndStage -> Done;
    /// Public rooms, and one's own.
    "stage.list" ListStages -> StageList;
    /// Comes into a room; `voice.join` follows.
    "stage.join" JoinStage -> StageView;
    /// Leaves quietly.
    "stage.leave" LeaveStage -> Done;
    "stage.raise_hand" RaiseHand -> Done;
    /// Who was asked to speak does.
    "stage.accept" AcceptStage -> Done;
    /// Asks somebody to speak, lets who raised a hand, moves back, makes a co-host.
    "stage.set_role" SetStageRole -> Done;
    /// Takes somebody out of the room.
    "stage.remove" RemoveFromStage -> Done;

    "admin.stats" AdminStats -> ServerStats;
    "admin.users" AdminListUsers -> AdminUserPage;
    /// Suspends, lets back in, or makes an administrator.
    "admin.update_user" AdminUpdateUser -> AdminUser;
    "admin.create_user" AdminCreateUser -> AdminUser;
    "admin.delete_user" AdminDeleteUser -> Done;
    /// Ends all sign-ins of a user.
    "admin.sign_out" AdminSignOut -> Done;
    "admin.reset_password" AdminResetPassword -> NewPassword;
    "admin.guilds" AdminListGuilds -> AdminGuildList;
    "admin.delete_guild" AdminDeleteGuild -> Done;
    "admin.set_guild_owner" AdminSetGuildOwner -> GuildInfo;
    "admin.give_role" AdminGiveRole -> Member;
    "admin.take_role" AdminTakeRole -> Member;
    "admin.guild_invites" AdminListInvites -> InviteList;
    "admin.create_invite" AdminCreateInvite -> Invite;
    "admin.revoke_invite" AdminRevokeInvite -> Done;
    "admin.bans" AdminListBans -> ServerBanList;
    "admin.ban" AdminBan -> ServerBan;
    "admin.unban" AdminUnban -> Done;
    "admin.backup" AdminBackup -> Backup;
    /// New access tokens are signed with a new key. The old one holds until its tokens have expired, or ends at once.
    "admin.rotate_keys" AdminRotateKeys -> Done;
    /// Tells everyone to come back soon, and stops the server.
    "admin.drain" AdminDrain -> Done;
}

/// Nothing to say but that it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}
