//! Who may do what in a guild, and why: one function decides, one explains, and both read the same [`Layer`]s.
//!
//! A guild gives rights by roles. A category may change them for what is in it, and a channel for itself: for @everyone, then for roles
//! (an allow of any role wins over a deny of another), then for the member alone. The guild's owner and who has
//! [`Permissions::ADMINISTRATOR`] may do everything.

use serde::{Deserialize, Serialize};

use crate::{
    RoleId, UserId,
    control::{Overwrite, OverwriteTarget, Role},
};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $words:literal;)*) => {
        /// A set of rights, as bit flags. In JSON a number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct Permissions(pub u64);

        impl Permissions {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Every right that this build knows.
            pub const ALL: Self = Self($((1 << $bit))|*);
            /// Each right by itself, with its name in programs and in words for people.
            pub const EACH: &[(Self, &'static str, &'static str)] = &[$((Self::$name, stringify!($name), $words)),*];
        }
    };
}

permissions! {
    /// See a channel, and read what is written there.
    VIEW_CHANNEL = 0, "view channel";
    SEND_MESSAGES = 1, "send messages";
    ATTACH_FILES = 2, "attach files";
    ADD_REACTIONS = 3, "add reactions";
    /// Mention @everyone, and roles that not everyone may mention.
    MENTION_EVERYONE = 4, "mention everyone";
    /// Delete and pin what others wrote.
    MANAGE_MESSAGES = 5, "manage messages";
    BYPASS_SLOW_MODE = 6, "write without waiting in slow mode";
    /// Enter a voice channel.
    CONNECT = 7, "connect";
    SPEAK = 8, "speak";
    MUTE_MEMBERS = 9, "mute members";
    DEAFEN_MEMBERS = 10, "deafen members";
    /// Move others between voice channels, and disconnect them.
    MOVE_MEMBERS = 11, "move members";
    MODERATE_STAGE = 12, "moderate stages";
    CREATE_INVITES = 13, "create invites";
    CHANGE_NICKNAME = 14, "change own nickname";
    MANAGE_NICKNAMES = 15, "change others' nicknames";
    KICK_MEMBERS = 16, "kick members";
    BAN_MEMBERS = 17, "ban members";
    /// Silence members for a time.
    TIMEOUT_MEMBERS = 18, "time members out";
    MANAGE_CHANNELS = 19, "manage channels";
    /// Make, change and give roles below one's own highest.
    MANAGE_ROLES = 20, "manage roles";
    /// Name, icon, invites.
    MANAGE_GUILD = 21, "manage the server";
    VIEW_AUDIT_LOG = 22, "view the audit log";
    /// Everything, whatever channels say.
    ADMINISTRATOR = 23, "administrator";
}

impl Permissions {
    pub const NONE: Self = Self(0);

    /// What @everyone may do in a new guild.
    pub const DEFAULT_EVERYONE: Self = Self(
        Self::VIEW_CHANNEL.0
            | Self::SEND_MESSAGES.0
            | Self::ATTACH_FILES.0
            | Self::ADD_REACTIONS.0
            | Self::CONNECT.0
            | Self::SPEAK.0
            | Self::CREATE_INVITES.0
            | Self::CHANGE_NICKNAME.0,
    );
    /// What the role "Moderator" may do in a new guild, beside what everyone may.
    pub const DEFAULT_MODERATOR: Self = Self(
        Self::MENTION_EVERYONE.0
            | Self::MANAGE_MESSAGES.0
            | Self::BYPASS_SLOW_MODE.0
            | Self::MUTE_MEMBERS.0
            | Self::DEAFEN_MEMBERS.0
            | Self::MOVE_MEMBERS.0
            | Self::MODERATE_STAGE.0
            | Self::MANAGE_NICKNAMES.0
            | Self::KICK_MEMBERS.0
            | Self::BAN_MEMBERS.0
            | Self::TIMEOUT_MEMBERS.0
            | Self::VIEW_AUDIT_LOG.0,
    );
    /// What remains to who is timed out.
    pub const TIMED_OUT: Self = Self::VIEW_CHANNEL;
    /// What only makes sense to who may write.
    pub const OF_WRITING: Self = Self(
        Self::SEND_MESSAGES.0
            | Self::ATTACH_FILES.0
            | Self::MENTION_EVERYONE.0
            | Self::BYPASS_SLOW_MODE.0,
    );
    /// What only makes sense to who may enter.
    pub const OF_VOICE: Self = Self(Self::CONNECT.0 | Self::SPEAK.0);

    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Whose rights are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// None: nobody in particular, as when looking through a role's eyes.
    pub user: Option<UserId>,
    pub is_owner: bool,
    pub timed_out: bool,
    /// All roles of the member, @everyone first.
    pub roles: &'a [&'a Role],
}

/// What changes the rights that roles give: the channel's category, if it has one, then the channel.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    pub name: &'a str,
    pub overwrites: &'a [Overwrite],
}

/// What the subject may do where these layers hold; without any, in the guild as a whole.
#[must_use]
pub fn decide(subject: &Subject<'_>, layers: &[Layer<'_>]) -> Permissions {
    let given = subject
        .roles
        .iter()
        .fold(Permissions::NONE, |given, role| {
            given.with(role.permissions)
        })
        .and(Permissions::ALL);
    if subject.is_owner || given.contains(Permissions::ADMINISTRATOR) {
        return Permissions::ALL;
    }
    let allowed = layers
        .iter()
        .fold(given, |given, layer| through(subject, layer, given))
        .without(Permissions::ADMINISTRATOR);
    within_reason(subject, allowed, !layers.is_empty())
}

fn through(subject: &Subject<'_>, layer: &Layer<'_>, given: Permissions) -> Permissions {
    let everyone = subject.roles.first().map(|role| role.id);
    let sum = |concerns: &dyn Fn(OverwriteTarget) -> bool| {
        layer
            .overwrites
            .iter()
            .filter(|overwrite| concerns(overwrite.target))
            .fold(
                (Permissions::NONE, Permissions::NONE),
                |(allow, deny), overwrite| (allow.with(overwrite.allow), deny.with(overwrite.deny)),
            )
    };
    let is_everyone = |target| matches!(target, OverwriteTarget::Role(id) if Some(id) == everyone);
    let has = |id: RoleId| subject.roles.iter().skip(1).any(|role| role.id == id);
    let steps = [
        sum(&is_everyone),
        sum(&|target| matches!(target, OverwriteTarget::Role(id) if has(id))),
        sum(&|target| matches!(target, OverwriteTarget::Member(id) if Some(id) == subject.user)),
    ];
    steps
        .into_iter()
        .fold(given, |given, (allow, deny)| {
            given.without(deny).with(allow)
        })
        .and(Permissions::ALL)
}

/// Takes away what is of no use without something else, and what a timeout takes.
fn within_reason(subject: &Subject<'_>, mut allowed: Permissions, in_channel: bool) -> Permissions {
    if subject.timed_out {
        allowed = allowed.and(Permissions::TIMED_OUT);
    }
    if !in_channel {
        return allowed;
    }
    if !allowed.contains(Permissions::VIEW_CHANNEL) {
        return Permissions::NONE;
    }
    if !allowed.contains(Permissions::SEND_MESSAGES) {
        allowed = allowed.without(Permissions::OF_WRITING);
    }
    if !allowed.contains(Permissions::CONNECT) {
        allowed = allowed.without(Permissions::OF_VOICE);
    }
    allowed
}
