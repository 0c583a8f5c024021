//! What is committed, as it is held in memory, and what follows from it: who may see what, and who is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use voxhall_protocol::{
    CallId, ChannelId, GuildId, RoleId, UserId,
    control::{Channel, GuildInfo, Member, Presence, RelationKind, Role, UnixMs, User},
    permissions::{Layer, Permissions, Subject, decide},
};
use voxhall_store::{
    ConversationRecord, GuildRecord, MemberRecord, RelationRecord, StageRecord, UserRecord,
};

use super::SessionId;

/// Everything that the live state needs to know of the store at its beginning.
#[derive(Default)]
pub struct World {
    pub users: Vec<UserRecord>,
    pub guilds: Vec<GuildRecord>,
    pub conversations: Vec<ConversationRecord>,
    pub relations: Vec<RelationRecord>,
    pub stages: Vec<StageRecord>,
    /// The newest there was.
    pub last_call: Option<CallId>,
}

/// Someone who has an account here, or is a guest.
pub(super) struct Person {
    pub record: UserRecord,
    pub sessions: BTreeSet<SessionId>,
    pub guilds: BTreeSet<GuildId>,
    pub conversations: BTreeSet<ChannelId>,
    pub relations: BTreeMap<UserId, RelationKind>,
    pub blocked_by: BTreeSet<UserId>,
    /// What others were last told, those that may know it.
    pub shown: Presence,
    /// When the custom status goes away.
    pub status_over: Option<Instant>,
    /// Where they were last told to be typing.
    pub typed: Option<(ChannelId, Instant)>,
}

pub(super) struct GuildState {
    pub info: GuildInfo,
    /// @everyone first, then upwards.
    pub roles: Vec<Role>,
    pub channels: BTreeMap<ChannelId, Channel>,
    pub members: BTreeMap<UserId, MemberRecord>,
    /// Of all its members: who is told what happens.
    pub sessions: BTreeSet<(UserId, SessionId)>,
}

/// Which of the members that have a session see which channels.
pub(super) type Sight = BTreeMap<ChannelId, BTreeSet<UserId>>;

/// Of what the sight may change.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    Everything,
    Channels(Vec<ChannelId>),
    Members(Vec<UserId>),
}

impl Scope {
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Members(users) if users.is_empty())
    }
}

impl Person {
    pub fn new(record: UserRecord) -> Self {
        Self {
            record,
            sessions: BTreeSet::new(),
            guilds: BTreeSet::new(),
            conversations: BTreeSet::new(),
            relations: BTreeMap::new(),
            blocked_by: BTreeSet::new(),
            shown: Presence::default(),
            status_over: None,
            typed: None,
        }
    }

    pub fn user(&self) -> &User {
        &self.record.user
    }

    pub fn is_friend(&self, other: UserId) -> bool {
        self.relations.get(&other) == Some(&RelationKind::Friend)
    }

    /// One of the two has blocked the other.
    pub fn is_apart_from(&self, other: UserId) -> bool {
        self.blocked_by.contains(&other)
            || self.relations.get(&other) == Some(&RelationKind::Blocked)
    }
}

impl GuildState {
    pub fn new(record: GuildRecord) -> Self {
        let mut guild = Self {
            info: record.info,
            roles: record.roles,
            channels: record
                .channels
                .into_iter()
                .map(|channel| (channel.id, channel))
                .collect(),
            members: record
                .members
                .into_iter()
                .map(|member| (member.user, member))
                .collect(),
            sessions: BTreeSet::new(),
        };
        guild.sort_roles();
        guild
    }

    pub fn sort_roles(&mut self) {
        self.roles.sort_by_key(|role| (role.position, role.id));
    }

    pub fn role(&self, id: RoleId) -> Option<&Role> {
        self.roles.iter().find(|role| role.id == id)
    }

    /// Of whose sight a role decides.
    pub fn holders(&self, role: RoleId) -> Scope {
        if self.roles.first().is_none_or(|first| first.id == role) {
            return Scope::Everything;
        }
        let members = self.members.iter();
        let holders = members.filter(|(_, member)| member.roles.contains(&role));
        Scope::Members(holders.map(|(user, _)| *user).collect())
    }

    pub fn is_owner(&self, user: UserId) -> bool {
        self.info.owner_id == Some(user)
    }

    /// Position of the highest role; the owner's is above all.
    pub fn rank(&self, user: UserId) -> Option<u32> {
        let member = self.members.get(&user)?;
        if self.is_owner(user) {
            return Some(u32::MAX);
        }
        let positions = (member.roles.iter()).filter_map(|id| Some(self.role(*id)?.position));
        Some(positions.max().unwrap_or(0))
    }

    /// Through what the rights of a channel are decided.
    pub fn layers<'a>(&'a self, channel: &'a Channel) -> Vec<Layer<'a>> {
        let category = channel.category_id.and_then(|id| self.channels.get(&id));
        category
            .into_iter()
            .chain([channel])
            .map(Layer::of)
            .collect()
    }

    /// Judges a member with all they are; None: no member.
    pub fn judge<T>(
        &self,
        user: UserId,
        now_ms: UnixMs,
        judge: impl FnOnce(&Subject<'_>) -> T,
    ) -> Option<T> {
        let member = self.members.get(&user)?;
        let roles: Vec<&Role> = (self.roles.first().into_iter())
            .chain(
                self.roles
                    .iter()
                    .skip(1)
                    .filter(|role| member.roles.contains(&role.id)),
            )
            .collect();
        Some(judge(&Subject {
            user: Some(user),
            is_owner: self.is_owner(user),
            timed_out_until_ms: member.timeout_until_ms.filter(|until| now_ms < *until),
            roles: &roles,
        }))
    }

    /// What a member may do in a channel, or in the guild as a whole.
    pub fn rights(&self, user: UserId, channel: Option<&Channel>, now_ms: UnixMs) -> Permissions {
        let layers = channel
            .map(|channel| self.layers(channel))
            .unwrap_or_default();
        self.judge(user, now_ms, |subject| decide(subject, &layers))
            .unwrap_or(Permissions::NONE)
    }

    /// A timeout takes nobody's sight, so that this changes with what is stored and not with time.
    pub fn sees(&self, user: UserId, channel: &Channel) -> bool {
        self.rights(user, Some(channel), UnixMs::MAX)
            .contains(Permissions::VIEW_CHANNEL)
    }

    pub fn sessions_of(&self, user: UserId) -> impl Iterator<Item = SessionId> {
        let all = (user, SessionId(0))..=(user, SessionId(u64::MAX));
        self.sessions.range(all).map(|(_, session)| *session)
    }

    pub fn all_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter().map(|(_, session)| *session)
    }

    /// Sessions of those who see this channel.
    pub fn viewers(&self, channel: &Channel) -> Vec<SessionId> {
        if self.is_open(channel) {
            return self.all_sessions().collect();
        }
        let mut last = None;
        let sees = |user: UserId| match last {
            Some((same, sees)) if same == user => sees,
            _ => {
                let sees = self.sees(user, channel);
                last = Some((user, sees));
                sees
            }
        };
        sessions_where(&self.sessions, sees)
    }

    /// Who sees what of this, among members that have a session.
    pub fn sight(&self, scope: &Scope) -> Sight {
        let present = || {
            let mut users: Vec<_> = self.sessions.iter().map(|(user, _)| *user).collect();
            users.dedup();
            users
        };
        let users = match scope {
            _ if scope.is_nobody() => return Sight::new(),
            Scope::Members(users) => users
                .iter()
                .copied()
                .filter(|user| self.sessions_of(*user).next().is_some())
                .collect(),
            Scope::Everything | Scope::Channels(_) => present(),
        };
        let of = |channel: &Channel| {
            let is_open = self.is_open(channel);
            let viewers = users
                .iter()
                .filter(|user| is_open || self.sees(**user, channel));
            (channel.id, viewers.copied().collect())
        };
        match scope {
            Scope::Channels(ids) => ids
                .iter()
                .filter_map(|id| self.channels.get(id))
                .map(of)
                .collect(),
            Scope::Everything | Scope::Members(_) => self.channels.values().map(of).collect(),
        }
    }

    /// Every member sees this channel: nothing is said of it, and @everyone may see.
    fn is_open(&self, channel: &Channel) -> bool {
        let category = channel.category_id.and_then(|id| self.channels.get(&id));
        channel.overwrites.is_empty()
            && category.is_none_or(|category| category.overwrites.is_empty())
            && (self.roles.first())
                .is_some_and(|everyone| everyone.permissions.contains(Permissions::VIEW_CHANNEL))
    }
}

fn sessions_where(
    sessions: &BTreeSet<(UserId, SessionId)>,
    mut fits: impl FnMut(UserId) -> bool,
) -> Vec<SessionId> {
    sessions
        .iter()
        .filter(|(user, _)| fits(*user))
        .map(|(_, session)| *session)
        .collect()
}

/// A member as everyone in the guild sees them.
pub(super) fn member(record: &MemberRecord, person: &Person) -> Member {
    Member {
        user: person.record.user.clone(),
        nick: record.nick.clone(),
        roles: record.roles.clone(),
        joined_at_ms: record.joined_at_ms,
        timeout_until_ms: record.timeout_until_ms,
        server_muted: record.server_muted,
        server_deafened: record.server_deafened,
        presence: person.shown.clone(),
    }
}
