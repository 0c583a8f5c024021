//! Random histories of everything that can change: each client's picture stays the truth, and nobody is told what they may not see.

use proptest::prelude::*;
use voxhall_protocol::{
    MessageId,
    control::{Message, Overwrite, OverwriteTarget, RelationKind, StatusChoice, UpdateVoice},
};
use voxhall_store::{ConversationRecord, Removal};

use super::*;

const USERS: u64 = 6;
const GUILDS: u64 = 2;
/// Of each guild, in the order of [`channels`].
const CHANNELS: u64 = 6;
const ROLES: u64 = 3;

/// One step; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Begin {
        user: u64,
        device: u64,
        slow: bool,
    },
    /// Gone for good.
    Drop(usize),
    Cut(usize),
    Resume(usize),
    CatchUp(usize),
    Idle(usize, bool),
    EndDevice {
        user: u64,
        device: u64,
    },

    Join(usize, ChannelId),
    Leave(usize),
    Update(usize, bool, bool),
    Speaking(usize, bool),
    TimedOut(usize),
    Move {
        user: u64,
        to: ChannelId,
    },
    Disconnect {
        user: u64,
    },

    User {
        user: u64,
        name: u64,
        suspended: bool,
    },
    DeleteUser(u64),
    Presence {
        user: u64,
        choice: u64,
        status: bool,
        for_s: Option<i64>,
    },
    Relate {
        one: u64,
        other: u64,
        kind: u64,
    },
    Conversation {
        n: u64,
        members: Vec<u64>,
    },
    DeleteConversation(u64),

    Guild {
        guild: u64,
        owner: u64,
        name: u64,
    },
    DeleteGuild(u64),
    Channel {
        guild: u64,
        channel: u64,
        rule: u64,
        category: bool,
        limit: u32,
    },
    DeleteChannel {
        guild: u64,
        channel: u64,
    },
    Role {
        guild: u64,
        role: u64,
        permissions: u64,
    },
    DeleteRole {
        guild: u64,
        role: u64,
    },
    Member {
        guild: u64,
        user: u64,
        roles: u64,
        muted: bool,
        deafened: bool,
        timeout_s: Option<i64>,
    },
    RemoveMember {
        guild: u64,
        user: u64,
    },

    Write(ChannelId),
    Type {
        user: u64,
        channel: ChannelId,
    },
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let n = || 0..8_usize;
    let user = || 1..=USERS;
    let device = || 1..=2_u64;
    let guild = || 1..=GUILDS;
    let yes = any::<bool>;
    let channel = || (guild(), 0..CHANNELS).prop_map(|(guild, n)| channel_id(guild, n));
    let voice = || (guild(), 4..CHANNELS).prop_map(|(guild, n)| channel_id(guild, n));
    let anywhere = || prop_oneof![3 => channel(), 1 => (0..2_u64).prop_map(|n| ChannelId(900 + n))];
    let here = prop_oneof![
        6 => (user(), device(), prop::bool::weighted(0.2)).prop_map(|(user, device, slow)| Begin { user, device, slow }),
        1 => n().prop_map(Drop),
        3 => n().prop_map(Cut),
        3 => n().prop_map(Resume),
        1 => n().prop_map(CatchUp),
        1 => (n(), yes()).prop_map(|(n, idle)| Idle(n, idle)),
        1 => (user(), device()).prop_map(|(user, device)| EndDevice { user, device }),
    ];
    let talking = prop_oneof![
        6 => (n(), voice()).prop_map(|(n, channel)| Join(n, channel)),
        1 => n().prop_map(Leave),
        1 => (n(), yes(), yes()).prop_map(|(n, muted, deafened)| Update(n, muted, deafened)),
        1 => (n(), yes()).prop_map(|(n, on)| Speaking(n, on)),
        1 => n().prop_map(TimedOut),
        1 => (user(), voice()).prop_map(|(user, to)| Move { user, to }),
        1 => user().prop_map(|user| Disconnect { user }),
    ];
    let people = prop_oneof![
        1 => (user(), 0..3_u64, prop::bool::weighted(0.1)).prop_map(|(user, name, suspended)| User { user, name, suspended }),
        1 => (1..=USERS * 4).prop_map(DeleteUser),
        2 => (user(), 0..3_u64, yes(), prop::option::of(-5..60_i64))
            .prop_map(|(user, choice, status, for_s)| Presence { user, choice, status, for_s }),
        4 => (user(), user(), 0..5_u64).prop_map(|(one, other, kind)| Relate { one, other, kind }),
        2 => (0..2_u64, prop::collection::vec(user(), 1..5)).prop_map(|(n, members)| Conversation { n, members }),
        1 => (0..2_u64).prop_map(DeleteConversation),
    ];
    let structure = prop_oneof![
        1 => (guild(), 0..=USERS, 0..3_u64).prop_map(|(guild, owner, name)| Guild { guild, owner, name }),
        1 => (1..=GUILDS * 4).prop_map(DeleteGuild),
        6 => (guild(), 0..CHANNELS, 0..12_u64, yes(), 0..3_u32)
            .prop_map(|(guild, channel, rule, category, limit)| Channel { guild, channel, rule, category, limit }),
        1 => (guild(), 0..CHANNELS).prop_map(|(guild, channel)| DeleteChannel { guild, channel }),
        3 => (guild(), 0..ROLES, 0..6_u64).prop_map(|(guild, role, permissions)| Role { guild, role, permissions }),
        1 => (guild(), 1..ROLES).prop_map(|(guild, role)| DeleteRole { guild, role }),
        6 => (guild(), user(), 0..4_u64, yes(), yes(), prop::option::of(1..60_i64)).prop_map(
            |(guild, user, roles, muted, deafened, timeout_s)| Member { guild, user, roles, muted, deafened, timeout_s }),
        2 => (guild(), user()).prop_map(|(guild, user)| RemoveMember { guild, user }),
    ];
    prop_oneof![
        4 => here,
        4 => talking,
        3 => people,
        6 => structure,
        2 => anywhere().prop_map(Write),
        1 => (user(), anywhere()).prop_map(|(user, channel)| Type { user, channel }),
        2 => prop_oneof![0..400_u64, Just(31_000), Just(130_000)].prop_map(Advance),
    ]
}

fn channel_id(guild: u64, n: u64) -> ChannelId {
    ChannelId(guild * 100 + n)
}

fn role_id(guild: u64, n: u64) -> RoleId {
    RoleId(guild * 10 + n)
}

/// A category, two texts, one of them in the category, another category, and two voice channels likewise.
fn channel(guild: u64, n: u64) -> Channel {
    let kind = [
        ChannelKind::Category,
        ChannelKind::Text,
        ChannelKind::Text,
        ChannelKind::Category,
        ChannelKind::Voice,
        ChannelKind::Stage,
    ][n as usize];
    Channel::new(channel_id(guild, n), format!("c{n}"), kind)
}

fn guild(id: u64, owner: Option<u64>, members: &[u64]) -> GuildRecord {
    GuildRecord {
        info: GuildInfo {
            id: GuildId(id),
            ..info(owner)
        },
        roles: (0..ROLES)
            .map(|n| {
                let permissions = if n == 0 {
                    Permissions::DEFAULT_EVERYONE
                } else {
                    Permissions::NONE
                };
                role(role_id(id, n), u32::try_from(n).unwrap(), permissions)
            })
            .collect(),
        channels: (0..CHANNELS).map(|n| channel(id, n)).collect(),
        members: members.iter().map(|id| member(*id)).collect(),
    }
}

fn world() -> World {
    World {
        users: (1..=USERS).map(record).collect(),
        guilds: vec![guild(1, Some(1), &[1, 2, 3, 4]), guild(2, None, &[3, 4, 5])],
        ..World::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_client_sees_the_truth_and_nothing_else(steps in prop::collection::vec(step(), 1..80)) {
        let mut sim = Sim::of(world());
        for step in steps {
            sim.step(&step);
            sim.check();
        }
        // In the end everyone hears everything, and who was away comes back.
        for client in sim.clients.values_mut() {
            client.is_slow = false;
        }
        for client in std::mem::take(&mut sim.cut) {
            sim.resume(client);
        }
        sim.check();
        sim.check_keys();
    }
}

impl Sim {
    fn step(&mut self, step: &Step) {
        let nth = |n: usize| {
            self.clients
                .keys()
                .nth(n % self.clients.len().max(1))
                .copied()
        };
        let session = |n: usize| {
            self.routes
                .keys()
                .nth(n % self.routes.len().max(1))
                .copied()
        };
        match step {
            Step::Begin { user, device, slow } => {
                if let Some(connection) = self.try_connect(*user, *device)
                    && let Some(client) = self.clients.get_mut(&connection)
                {
                    client.is_slow = *slow;
                }
            }
            Step::Drop(n) => nth(*n)
                .into_iter()
                .for_each(|connection| self.disconnect(connection)),
            Step::Cut(n) => nth(*n)
                .into_iter()
                .for_each(|connection| self.cut(connection)),
            Step::Resume(n) => {
                if !self.cut.is_empty() {
                    let client = self.cut.remove(n % self.cut.len());
                    self.resume(client);
                }
            }
            Step::CatchUp(n) => nth(*n)
                .into_iter()
                .for_each(|connection| self.catch_up(connection)),
            Step::Idle(n, idle) => {
                if let Some(connection) = nth(*n) {
                    self.act(|live, _, out| live.set_idle(connection, *idle, out));
                }
            }
            Step::Join(n, channel) => {
                if let Some(connection) = nth(*n) {
                    self.join(connection, *channel);
                }
            }
            Step::Leave(n) => {
                if let Some(connection) = nth(*n) {
                    self.act(|live, now, out| live.leave_voice(connection, now, out));
                }
            }
            Step::Update(n, muted, deafened) => {
                if let Some(connection) = nth(*n) {
                    let update = UpdateVoice {
                        muted: *muted,
                        deafened: *deafened,
                    };
                    self.act(|live, _, out| live.update_voice(connection, update, out));
                }
            }
            Step::Speaking(n, on) => {
                if let Some(session) = session(*n) {
                    self.act(|live, _, out| live.speaking(session, *on, out));
                }
            }
            Step::TimedOut(n) => {
                if let Some(session) = session(*n) {
                    self.act(|live, now, out| live.timed_out(session, now, out));
                }
            }
            Step::Move { user, to } => {
                let guild = GuildId(to.0 / 100);
                self.act(|live, now, out| {
                    if let Some(from) = live.voice_channel(guild, UserId(*user)) {
                        drop(live.move_voice(guild, UserId(*user), (from, *to), now, out));
                    }
                });
            }
            Step::Disconnect { user } => {
                self.act(|live, now, out| {
                    if let Some(from) = live.voice_channel(GuildId(1), UserId(*user)) {
                        drop(live.disconnect_voice(GuildId(1), UserId(*user), from, now, out));
                    }
                });
            }
            Step::Type { user, channel } => {
                if self
                    .live
                    .rights_in_channel(*channel, UserId(*user), self.now.unix_ms)
                    .is_some()
                {
                    self.act(|live, now, out| live.typing(UserId(*user), *channel, now, out));
                }
            }
            Step::Advance(ms) => self.advance(Duration::from_millis(*ms)),
            committed => {
                for change in self.changes(committed) {
                    // Told twice is told once.
                    let again = change.clone();
                    self.apply(change);
                    if !matches!(again, Change::MessageCreated(_)) {
                        assert!(
                            self.apply(again)
                                .iter()
                                .all(|output| !matches!(output, Output::Event { .. })),
                            "{step:?}"
                        );
                    }
                }
            }
        }
    }

    /// What the store would tell after a write, given what it has.
    fn changes(&self, step: &Step) -> Vec<Change> {
        let live = &self.live;
        let is_there = |user: u64| live.people.contains_key(&UserId(user));
        match step {
            Step::EndDevice { user, device } => {
                vec![Change::DevicesEnded(vec![DeviceId(user * 10 + device)])]
            }
            Step::User {
                user,
                name,
                suspended,
            } => {
                let presence = live.own_presence(UserId(*user));
                let mut record = UserRecord {
                    suspended: *suspended,
                    presence,
                    ..record(*user)
                };
                record.user.display_name = Some(format!("name {name}"));
                vec![Change::UserSaved(record)]
            }
            Step::DeleteUser(user) if *user <= USERS => vec![Change::UserDeleted(UserId(*user))],
            Step::Presence {
                user,
                choice,
                status,
                for_s,
            } => vec![Change::PresenceChosen {
                user: UserId(*user),
                presence: OwnPresence {
                    choice: [
                        StatusChoice::Online,
                        StatusChoice::DoNotDisturb,
                        StatusChoice::Invisible,
                    ][*choice as usize],
                    custom_status: status.then(|| "status".into()),
                    custom_until_ms: for_s
                        .map(|s| self.now.unix_ms + s * 1_000)
                        .filter(|_| *status),
                },
            }],
            Step::Relate { one, other, kind }
                if one != other && is_there(*one) && is_there(*other) =>
            {
                self.relations(UserId(*one), UserId(*other), *kind)
            }
            Step::Conversation { n, members } => {
                let mut members: Vec<_> = members
                    .iter()
                    .filter(|user| is_there(**user))
                    .map(|id| UserId(*id))
                    .collect();
                members.sort_unstable();
                members.dedup();
                let saved = ConversationRecord {
                    id: ChannelId(900 + n),
                    kind: ChannelKind::Group,
                    name: None,
                    owner: members.first().copied(),
                    members,
                };
                vec![Change::ConversationSaved(saved)]
            }
            Step::DeleteConversation(n) => vec![Change::ConversationDeleted(ChannelId(900 + n))],
            Step::DeleteGuild(guild) if *guild <= GUILDS => {
                vec![Change::GuildDeleted(GuildId(*guild))]
            }
            Step::Guild {
                guild: id, owner, ..
            } if !live.guilds.contains_key(&GuildId(*id)) => {
                let members: Vec<_> = (1..=USERS)
                    .filter(|user| is_there(*user) && (user + owner) % 2 == 0)
                    .collect();
                vec![Change::GuildCreated(Box::new(guild(
                    *id,
                    members.first().copied(),
                    &members,
                )))]
            }
            Step::Write(id) => {
                let message = Message::new(MessageId(1), *id, user(1), "hi", 0, "n");
                vec![Change::MessageCreated(message)]
            }
            in_guild => self.guild_changes(in_guild),
        }
    }

    fn relations(&self, one: UserId, other: UserId, kind: u64) -> Vec<Change> {
        let related = |user, other, kind| Change::Related { user, other, kind };
        let blocks = |one: UserId, other: UserId| {
            self.live.people[&one].relations.get(&other) == Some(&RelationKind::Blocked)
        };
        // A block by the other stays.
        let theirs = |kind| {
            if blocks(other, one) {
                Some(RelationKind::Blocked)
            } else {
                kind
            }
        };
        let mine = |kind| if blocks(other, one) { None } else { kind };
        let (own, back) = match kind {
            0 => (
                mine(Some(RelationKind::Friend)),
                theirs(Some(RelationKind::Friend)),
            ),
            1 => (
                mine(Some(RelationKind::Outgoing)),
                theirs(Some(RelationKind::Incoming)),
            ),
            2 => (Some(RelationKind::Blocked), theirs(None)),
            _ => (None, theirs(None)),
        };
        vec![related(one, other, own), related(other, one, back)]
    }

    fn guild_changes(&self, step: &Step) -> Vec<Change> {
        let (Step::Guild { guild: n, .. }
        | Step::Channel { guild: n, .. }
        | Step::DeleteChannel { guild: n, .. }
        | Step::Role { guild: n, .. }
        | Step::DeleteRole { guild: n, .. }
        | Step::Member { guild: n, .. }
        | Step::RemoveMember { guild: n, .. }) = step
        else {
            return Vec::new();
        };
        let id = GuildId(*n);
        let Some(guild) = self.live.guilds.get(&id) else {
            return Vec::new();
        };
        match step {
            Step::Guild { owner, name, .. } => {
                let owner_id =
                    Some(UserId(*owner)).filter(|owner| guild.members.contains_key(owner));
                vec![Change::GuildUpdated(GuildInfo {
                    name: format!("guild {name}"),
                    owner_id,
                    ..guild.info.clone()
                })]
            }
            Step::Channel {
                channel: which,
                rule,
                category,
                limit,
                ..
            } => {
                let mut saved = channel(*n, *which);
                if saved.kind != ChannelKind::Category {
                    let category_id = channel_id(*n, if *which < 3 { 0 } else { 3 });
                    saved.category_id = (*category && guild.channels.contains_key(&category_id))
                        .then_some(category_id);
                }
                saved.user_limit = if saved.kind.is_voice() { *limit } else { 0 };
                saved.overwrites = overwrites(*n, *rule);
                let known = |target| match target {
                    OverwriteTarget::Role(role) => guild.role(role).is_some(),
                    OverwriteTarget::Member(_) => true,
                };
                saved.overwrites.retain(|overwrite| known(overwrite.target));
                vec![Change::ChannelSaved {
                    guild: id,
                    channel: saved,
                }]
            }
            Step::DeleteChannel { channel, .. } => {
                let channel = channel_id(*n, *channel);
                let children = guild
                    .channels
                    .values()
                    .filter(|child| child.category_id == Some(channel));
                let out = |child: &Channel| Change::ChannelSaved {
                    guild: id,
                    channel: Channel {
                        category_id: None,
                        ..child.clone()
                    },
                };
                children
                    .map(out)
                    .chain([Change::ChannelDeleted { guild: id, channel }])
                    .collect()
            }
            Step::Role {
                role: which,
                permissions,
                ..
            } => {
                let permissions = [
                    Permissions::DEFAULT_EVERYONE,
                    Permissions::NONE,
                    Permissions::VIEW_CHANNEL,
                    Permissions::VIEW_CHANNEL.with(Permissions::CONNECT),
                    Permissions::DEFAULT_EVERYONE.with(Permissions::MOVE_MEMBERS),
                    if *which == 0 {
                        Permissions::DEFAULT_EVERYONE
                    } else {
                        Permissions::ADMINISTRATOR
                    },
                ][*permissions as usize];
                let role = role(
                    role_id(*n, *which),
                    u32::try_from(*which).unwrap(),
                    permissions,
                );
                vec![Change::RoleSaved { guild: id, role }]
            }
            Step::DeleteRole { role, .. } => vec![Change::RoleDeleted {
                guild: id,
                role: role_id(*n, *role),
            }],
            Step::Member {
                user,
                roles,
                muted,
                deafened,
                timeout_s,
                ..
            } => {
                let roles = (1..ROLES)
                    .filter(|role| roles & (1 << (role - 1)) != 0)
                    .map(|role| role_id(*n, role));
                let member = MemberRecord {
                    roles: roles.filter(|role| guild.role(*role).is_some()).collect(),
                    server_muted: *muted,
                    server_deafened: *deafened,
                    timeout_until_ms: timeout_s.map(|s| self.now.unix_ms + s * 1_000),
                    ..member(*user)
                };
                vec![Change::MemberSaved { guild: id, member }]
            }
            Step::RemoveMember { user, .. } => {
                let why = [
                    Removal::Left,
                    Removal::Kicked {
                        reason: "why".into(),
                    },
                ][*user as usize % 2]
                    .clone();
                vec![Change::MemberRemoved {
                    guild: id,
                    user: UserId(*user),
                    why,
                }]
            }
            _ => Vec::new(),
        }
    }
}

/// Some rules, by number.
fn overwrites(guild: u64, rule: u64) -> Vec<Overwrite> {
    let everyone = OverwriteTarget::Role(role_id(guild, 0));
    let some = OverwriteTarget::Role(role_id(guild, 1));
    let one = OverwriteTarget::Member(UserId(3));
    let deny = |target, deny| Overwrite {
        target,
        allow: Permissions::NONE,
        deny,
    };
    let allow = |target, allow| Overwrite {
        target,
        allow,
        deny: Permissions::NONE,
    };
    match rule {
        0 => vec![deny(everyone, Permissions::VIEW_CHANNEL)],
        1 => vec![
            deny(everyone, Permissions::VIEW_CHANNEL),
            allow(some, Permissions::VIEW_CHANNEL),
        ],
        2 => vec![deny(one, Permissions::VIEW_CHANNEL)],
        3 => vec![
            deny(everyone, Permissions::CONNECT),
            allow(one, Permissions::CONNECT),
        ],
        4 => vec![
            deny(everyone, Permissions::SPEAK),
            allow(some, Permissions::SPEAK),
        ],
        5 => vec![deny(some, Permissions::VIEW_CHANNEL)],
        _ => Vec::new(),
    }
}
