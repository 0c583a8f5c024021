//! Who may do what in a guild, and why: [`decide`] says what, [`explain`] says why, and both read the same [`Layer`]s.
//!
//! A guild gives rights by roles. A category may change them for what is in it, and a channel for itself: for @everyone, then for roles
//! (an allow of any role wins over a deny of another), then for the member alone. The guild's owner and who has
//! [`Permissions::ADMINISTRATOR`] may do everything.

use serde::{Deserialize, Serialize};

use crate::{
    UserId,
    control::{Channel, ChannelKind, Explanation, Overwrite, OverwriteTarget, Role, UnixMs},
    time::utc_words,
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
    /// What remains to who is timed out: reading, and listening.
    pub const TIMED_OUT: Self = Self(Self::VIEW_CHANNEL.0 | Self::CONNECT.0);
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
    /// Only while it lasts.
    pub timed_out_until_ms: Option<UnixMs>,
    /// All roles of the member, @everyone first.
    pub roles: &'a [&'a Role],
}

/// What changes the rights that roles give: the channel's category, if it has one, then the channel.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    pub kind: ChannelKind,
    /// Empty: whoever asks may not know it.
    pub name: &'a str,
    pub overwrites: &'a [Overwrite],
}

impl<'a> Layer<'a> {
    pub fn of(channel: &'a Channel) -> Self {
        Self {
            kind: channel.kind,
            name: &channel.name,
            overwrites: &channel.overwrites,
        }
    }
}

/// Whether someone sees the category among these layers, if there is one: who sees a channel need not see the category that it is in.
#[must_use]
pub fn sees_category(subject: &Subject<'_>, layers: &[Layer<'_>]) -> bool {
    let mut categories = layers
        .iter()
        .filter(|layer| layer.kind == ChannelKind::Category);
    categories.all(|layer| decide(subject, &[*layer]).contains(Permissions::VIEW_CHANNEL))
}

/// For [`explain`], where it is told to someone who doesn't see the category.
#[must_use]
pub fn without_category_name<'a>(layers: &[Layer<'a>]) -> Vec<Layer<'a>> {
    let mut layers = layers.to_vec();
    for layer in &mut layers {
        if layer.kind == ChannelKind::Category {
            layer.name = "";
        }
    }
    layers
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

/// Why [`decide`] gives a right or doesn't, in words. Of several rights it speaks of the first that is missing.
///
/// The words are short clauses such as `denied by @everyone on #staff`; the last one decides.
#[must_use]
pub fn explain(
    subject: &Subject<'_>,
    layers: &[Layer<'_>],
    permissions: Permissions,
) -> Explanation {
    let decided = decide(subject, layers);
    let each = || Permissions::EACH.iter().map(|(permission, ..)| *permission);
    let asked = each().filter(|permission| permissions.contains(*permission));
    let first = asked
        .clone()
        .find(|permission| !decided.contains(*permission))
        .or_else(|| asked.clone().next());
    let Some(permission) = first else {
        return Explanation {
            permission: permissions,
            allowed: permissions == Permissions::NONE,
            because: Vec::new(),
        };
    };
    Explanation {
        permission,
        allowed: decided.contains(permission),
        because: rules(subject, layers, permission),
    }
}

impl Permissions {
    /// What makes sense where a channel of this kind is; a category speaks for all that may be in it.
    #[must_use]
    pub const fn of_kind(kind: ChannelKind) -> Self {
        let anywhere = Self::VIEW_CHANNEL
            .with(Self::MANAGE_CHANNELS)
            .with(Self::MANAGE_ROLES);
        let text = Self::OF_WRITING
            .with(Self::ADD_REACTIONS)
            .with(Self::MANAGE_MESSAGES);
        let voice = Self::OF_VOICE.with(Self::MOVE_MEMBERS);
        match kind {
            ChannelKind::Text | ChannelKind::Direct | ChannelKind::Group => anywhere.with(text),
            ChannelKind::Voice => anywhere.with(voice),
            ChannelKind::Stage => anywhere.with(voice).with(Self::MODERATE_STAGE),
            ChannelKind::Category => anywhere.with(text).with(voice).with(Self::MODERATE_STAGE),
        }
    }

    /// For people: `view channel, speak`.
    #[must_use]
    pub fn words(self) -> String {
        let each = Self::EACH.iter();
        let held = each.filter(|(permission, ..)| self.contains(*permission));
        let words: Vec<_> = held.map(|(_, _, words)| *words).collect();
        words.join(", ")
    }
}

/// An overwrite's word, as far as one target is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Concerns<'a> {
    Everyone,
    Role(&'a str),
    Member,
}

/// The steps of a layer, each of which overrules the ones before.
const STEPS: usize = 3;

impl Concerns<'_> {
    fn step(self) -> usize {
        match self {
            Self::Everyone => 0,
            Self::Role(_) => 1,
            Self::Member => 2,
        }
    }

    fn words(self, verb: &str, place: &str) -> String {
        match self {
            Self::Everyone => format!("{verb} by @everyone on {place}"),
            Self::Role(name) => format!("{verb} by role {name} on {place}"),
            Self::Member => format!("{verb} for this member on {place}"),
        }
    }
}

impl<'a> Subject<'a> {
    /// None: not at all.
    fn concerned_by(&self, target: OverwriteTarget) -> Option<Concerns<'a>> {
        match target {
            OverwriteTarget::Member(user) => (Some(user) == self.user).then_some(Concerns::Member),
            OverwriteTarget::Role(id) => {
                let place = self.roles.iter().position(|role| role.id == id)?;
                Some(match place {
                    0 => Concerns::Everyone,
                    _ => Concerns::Role(&self.roles[place].name),
                })
            }
        }
    }
}

fn through(subject: &Subject<'_>, layer: &Layer<'_>, given: Permissions) -> Permissions {
    let mut steps = [(Permissions::NONE, Permissions::NONE); STEPS];
    for overwrite in layer.overwrites {
        if let Some(concerns) = subject.concerned_by(overwrite.target) {
            let (allow, deny) = &mut steps[concerns.step()];
            *allow = allow.with(overwrite.allow);
            *deny = deny.with(overwrite.deny);
        }
    }
    steps
        .into_iter()
        .fold(given, |given, (allow, deny)| {
            given.without(deny).with(allow)
        })
        .and(Permissions::ALL)
}

/// Takes away what is of no use without something else, and what a timeout takes.
fn within_reason(subject: &Subject<'_>, mut allowed: Permissions, in_channel: bool) -> Permissions {
    if subject.timed_out_until_ms.is_some() {
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

/// Without which a right is of no use in a channel.
fn needs(permission: Permissions) -> &'static [Permissions] {
    if permission == Permissions::VIEW_CHANNEL {
        &[]
    } else if permission != Permissions::SEND_MESSAGES
        && Permissions::OF_WRITING.contains(permission)
    {
        &[Permissions::VIEW_CHANNEL, Permissions::SEND_MESSAGES]
    } else if permission != Permissions::CONNECT && Permissions::OF_VOICE.contains(permission) {
        &[Permissions::VIEW_CHANNEL, Permissions::CONNECT]
    } else {
        &[Permissions::VIEW_CHANNEL]
    }
}

/// Every rule that speaks of one right, in the order in which they count.
fn rules(subject: &Subject<'_>, layers: &[Layer<'_>], permission: Permissions) -> Vec<String> {
    if subject.is_owner {
        return vec!["the owner may do everything".to_owned()];
    }
    let role_words = |place: usize, role: &Role| match place {
        0 => "@everyone".to_owned(),
        _ => format!("role {}", role.name),
    };
    let roles = || subject.roles.iter().enumerate();
    let is_admin = |role: &Role| role.permissions.contains(Permissions::ADMINISTRATOR);
    if let Some((place, role)) = roles().find(|(_, role)| is_admin(role)) {
        let role = role_words(place, role);
        return vec![format!("{role} is administrator and may do everything")];
    }
    let mut because: Vec<_> = roles()
        .filter(|(_, role)| role.permissions.contains(permission))
        .map(|(place, role)| format!("allowed by {}", role_words(place, role)))
        .collect();
    if because.is_empty() {
        because.push("no role allows it".to_owned());
    }
    if permission != Permissions::ADMINISTRATOR {
        for layer in layers {
            add_rules_of(subject, layer, permission, &mut because);
        }
    }
    if let Some(until) = subject.timed_out_until_ms
        && !Permissions::TIMED_OUT.contains(permission)
    {
        because.push(format!("timed out until {}", utc_words(until)));
        return because;
    }
    if !layers.is_empty() {
        let missing = needs(permission)
            .iter()
            .find(|needed| !decide(subject, layers).contains(**needed));
        if let Some(&needed) = missing {
            let why = rules(subject, layers, needed).pop().unwrap_or_default();
            because.push(format!("needs {}: {why}", needed.words()));
        }
    }
    because
}

/// In the order in which they count: what everyone, then what roles, then what the member is told, and of each step first what is denied.
fn add_rules_of(
    subject: &Subject<'_>,
    layer: &Layer<'_>,
    permission: Permissions,
    because: &mut Vec<String>,
) {
    let place = match layer.kind {
        ChannelKind::Category if layer.name.is_empty() => "its category".to_owned(),
        ChannelKind::Category => format!("category {}", layer.name),
        _ => format!("#{}", layer.name),
    };
    for step in 0..STEPS {
        for (verb, of) in [
            (
                "denied",
                (|rule| rule.deny) as fn(&Overwrite) -> Permissions,
            ),
            ("allowed", |rule| rule.allow),
        ] {
            let says = layer
                .overwrites
                .iter()
                .filter(|rule| of(rule).contains(permission));
            let concerning = says.filter_map(|rule| subject.concerned_by(rule.target));
            let here = concerning.filter(|concerns| concerns.step() == step);
            because.extend(here.map(|concerns| concerns.words(verb, &place)));
        }
    }
}
