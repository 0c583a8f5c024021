//! Every method a client may call, with its parameters and its result.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Call, Credentials, Failure, Invite, InvitePreview, Message, Ready, Registration, VoiceGrant,
};
use crate::{ChannelId, GuildId, MessageId, SecretText};

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

            /// Reads the parameters of `method`.
            ///
            /// # Errors
            /// [`Failure::unknown_method`] or [`Failure::invalid_params`].
            pub fn parse(method: &str, params: Option<&RawValue>) -> Result<Self, Failure> {
                let json = params.map_or("{}", RawValue::get);
                match method {
                    $($method => serde_json::from_str(json).map(Self::$name).map_err(|e| Failure::invalid_params(&e)),)*
                    _ => Err(Failure::unknown_method(method)),
                }
            }
        }

        $(impl Call for $name {
            const METHOD: &'static str = $method;
            type Reply = $reply;
        })*
    };
}

methods! {
    /// First message of every connection: versions and capabilities.
    "session.hello" Hello -> HelloReply;
    /// Proves who is there and returns everything to draw; events follow from here.
    "session.begin" Begin -> Ready;
    /// Keeps the connection alive; answered at once.
    "session.ping" Ping -> Done;
    /// Makes an account. With an invite, joins its guild too.
    "account.register" Register -> Credentials;
    "account.login" Login -> Credentials;
    /// A name only, on the strength of an invite.
    "account.guest" Guest -> Credentials;
    /// A new access token for a signed-in device.
    "account.refresh" Refresh -> Credentials;
    /// Ends this device's sign-in.
    "account.logout" Logout -> Done;
    /// What an invite leads to; needs no sign-in.
    "invite.inspect" InspectInvite -> InvitePreview;
    "invite.create" CreateInvite -> Invite;
    /// Joins the invite's guild with the account that is signed in.
    "invite.redeem" RedeemInvite -> Redeemed;
    "message.send" SendMessage -> Message;
    /// A page of history, newest last.
    "message.list" ListMessages -> MessagePage;
    /// Enters a voice channel, leaving the one before.
    "voice.join" JoinVoice -> VoiceGrant;
    "voice.leave" LeaveVoice -> Done;
    /// Tells the others that one is muted or deafened.
    "voice.update" UpdateVoice -> Done;
}

/// Nothing to say but that it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol_min: u32,
    pub protocol_max: u32,
    /// Program and version, for logs and version messages.
    pub client: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The version both will speak.
    pub protocol: u32,
    pub server: String,
    pub server_name: String,
    pub registration: Registration,
    /// A client that sent nothing for this long sends `session.ping`; after three times this the server hangs up.
    pub heartbeat_ms: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    pub access_token: SecretText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    pub name: String,
    pub password: SecretText,
    /// Invite or owner code.
    #[serde(default)]
    pub invite: Option<String>,
    /// How the list of signed-in devices names this one.
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub name: String,
    pub password: SecretText,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    pub name: String,
    /// Invite or owner code.
    pub invite: String,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    pub refresh_token: SecretText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logout {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectInvite {
    pub code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateInvite {
    pub guild_id: GuildId,
    /// Seconds until it expires; none: never.
    #[serde(default)]
    pub expires_in_s: Option<u64>,
    #[serde(default)]
    pub max_uses: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeemInvite {
    pub code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeemed {
    pub guild_id: GuildId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMessage {
    pub channel_id: ChannelId,
    pub text: String,
    /// Unique to this message among all of its author's, on whatever device; a retry with the same nonce is stored once.
    pub nonce: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListMessages {
    pub channel_id: ChannelId,
    /// Only messages older than this one.
    #[serde(default)]
    pub before: Option<MessageId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePage {
    pub messages: Vec<Message>,
    /// There are older ones.
    pub more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinVoice {
    pub channel_id: ChannelId,
    #[serde(default)]
    pub muted: bool,
    #[serde(default)]
    pub deafened: bool,
    /// The client understands bundles (several voice packets in one datagram).
    #[serde(default)]
    pub bundles: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveVoice {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateVoice {
    pub muted: bool,
    pub deafened: bool,
}
