//! The same evening with everything around it: roles, categories, friends, conversations, and what a server would answer.

use std::sync::Arc;

use voxhall_protocol::{
    AuditId, ChannelId, DeviceId, GuildId, MessageId, RoleId, UserId,
    control::{
        AdminGuild, AdminGuildList, AdminUser, AdminUserPage, AuditAction, AuditChange, AuditEntry,
        AuditPage, Ban, BanList, Channel, ChannelKind, Conversation, ConversationMember, Device,
        DeviceList, Done, Explained, Explanation, Invite, InviteList, Overwrite, OverwriteTarget,
        Presence, Profile, ReadState, Registration, Relation, RelationKind, Reply, Request, Role,
        ServerBan, ServerBanList, ServerStats, Status, UserPage,
    },
    permissions::Permissions,
};
use voxhall_session::{Answer, Intent, Reading, State, Terms};

use super::{ME, NOW_MS, Stage, evening, user};
use voxhall::ui::{Intents, Want};

pub const GUILD: GuildId = GuildId(1);
pub const MODERATOR: RoleId = RoleId(2);
pub const STAFF_ROOM: ChannelId = ChannelId(21);
pub const STAGE: ChannelId = ChannelId(22);
pub const WITH_BEA: ChannelId = ChannelId(100);
pub const RAIDERS: ChannelId = ChannelId(101);

const HOUR_MS: i64 = 3_600_000;

fn role(id: u64, name: &str, color: Option<u32>, permissions: Permissions) -> Role {
    Role {
        id: RoleId(id),
        name: name.to_owned(),
        color,
        position: id as u32 - 1,
        permissions,
        hoist: id > 1,
        mentionable: false,
    }
}

fn presence(status: Status, words: &str) -> Presence {
    Presence {
        status,
        custom_status: Some(words.to_owned()).filter(|words| !words.is_empty()),
    }
}

pub fn village() -> State {
    let mut state = evening();
    let guild = Arc::make_mut(&mut state.guilds[0]);
    guild.description = "Games on Fridays, talk on all other days.".to_owned();
    guild.roles = vec![
        role(1, "everyone", None, Permissions::DEFAULT_EVERYONE),
        role(
            2,
            "Moderator",
            Some(0x2fa36b),
            Permissions::DEFAULT_MODERATOR,
        ),
        role(
            3,
            "Raid lead",
            Some(0xe0852f),
            Permissions::MENTION_EVERYONE,
        ),
    ];
    let mut staff = Channel::new(ChannelId(20), "Staff", ChannelKind::Category);
    staff.position = 9;
    staff.overwrites = vec![Overwrite {
        target: OverwriteTarget::Role(RoleId(1)),
        allow: Permissions::NONE,
        deny: Permissions::VIEW_CHANNEL,
    }];
    let mut room = Channel::new(STAFF_ROOM, "staff-room", ChannelKind::Text);
    room.category_id = Some(ChannelId(20));
    let mut stage = Channel::new(STAGE, "Town hall", ChannelKind::Stage);
    stage.category_id = Some(ChannelId(20));
    guild.channels.extend([staff, room, stage]);
    let members = Arc::make_mut(&mut guild.members);
    for (id, roles, presence) in [
        (2, vec![RoleId(2)], presence(Status::Online, "baking bread")),
        (3, vec![RoleId(3)], presence(Status::Idle, "")),
        (4, vec![], presence(Status::DoNotDisturb, "")),
    ] {
        let member = members.get_mut(&UserId(id)).expect("nine people");
        (member.roles, member.presence) = (roles, presence);
        member.joined_at_ms = NOW_MS - 90 * 24 * HOUR_MS;
    }
    state.terms = Some(Terms {
        registration: Registration::Invite,
        guests: true,
    });
    state.relations = Arc::new(
        [
            (2, RelationKind::Friend),
            (3, RelationKind::Friend),
            (8, RelationKind::Friend),
            (5, RelationKind::Incoming),
            (6, RelationKind::Outgoing),
            (9, RelationKind::Blocked),
        ]
        .into_iter()
        .map(|(id, kind)| {
            let relation = Relation {
                user: user(id),
                kind,
                presence: Presence::default(),
            };
            (UserId(id), relation)
        })
        .collect(),
    );
    let conversation = |id: ChannelId, name: Option<&str>, people: &[(u64, Presence)]| {
        let kind = match people.len() {
            2 => ChannelKind::Direct,
            _ => ChannelKind::Group,
        };
        let members = people.iter().map(|(id, presence)| ConversationMember {
            user: user(*id),
            presence: presence.clone(),
        });
        let made = Conversation {
            id,
            kind,
            name: name.map(str::to_owned),
            owner_id: Some(ME).filter(|_| kind == ChannelKind::Group),
            members: members.collect(),
        };
        (id, made)
    };
    let me = (1, Presence::online());
    state.conversations = Arc::new(
        [
            conversation(
                WITH_BEA,
                None,
                &[me.clone(), (2, presence(Status::Online, "baking bread"))],
            ),
            conversation(
                RAIDERS,
                Some("Raiders"),
                &[
                    me.clone(),
                    (3, presence(Status::Idle, "")),
                    (5, Presence::online()),
                ],
            ),
            conversation(ChannelId(102), None, &[me, (8, Presence::default())]),
        ]
        .into_iter()
        .collect(),
    );
    let read = ReadState {
        channel_id: RAIDERS,
        last_read: Some(MessageId(90)),
        last_message: Some(MessageId(92)),
        unread: 2,
        mentions: 0,
    };
    Arc::make_mut(&mut state.reading).insert(RAIDERS, Reading::from(read));
    state
}

impl Stage {
    /// Answers what was asked, as a server would.
    pub fn respond(&mut self, intents: &Intents) {
        for want in &intents.0 {
            if let Want::Session(Intent::Ask {
                tag: Some(tag),
                request,
            }) = want
            {
                let answer = Answer::Done(Box::new(canned(request)));
                Arc::make_mut(&mut self.state.answers).insert(*tag, answer);
            }
        }
    }
}

fn entry(id: u64, by: u64, action: AuditAction, target: &str, hours: i64) -> AuditEntry {
    AuditEntry {
        id: AuditId(id),
        at_ms: NOW_MS - hours * HOUR_MS,
        by: Some(user(by)),
        action,
        target: target.to_owned(),
        target_user_id: None,
        channel_id: None,
        message_id: None,
        reason: String::new(),
        changes: vec![],
    }
}

fn audit() -> AuditPage {
    let change = |field: &str, before: Option<&str>, after: Option<&str>| AuditChange {
        field: field.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let mut entries = vec![
        entry(5, 2, AuditAction::MemberTimedOut, "Goran", 1),
        entry(4, 1, AuditAction::ChannelUpdated, "#general", 3),
        entry(3, 1, AuditAction::RoleUpdated, "Moderator", 26),
        entry(2, 2, AuditAction::InviteCreated, "SUNNY-OTTER-42", 50),
        entry(1, 1, AuditAction::GuildCreated, "Friday Night", 400),
    ];
    entries[0].reason = "Shouting in the lounge".to_owned();
    entries[0].changes = vec![change("until", None, Some("27 November 20:51"))];
    entries[1].changes = vec![
        change("topic", Some("Talk"), Some("What are we playing tonight?")),
        change("slow mode", Some("0 s"), Some("5 s")),
    ];
    entries[2].changes = vec![change("color", None, Some("2fa36b"))];
    AuditPage {
        entries,
        more: true,
    }
}

fn invites() -> InviteList {
    let invite = |code: &str, hours: Option<i64>, max_uses, uses, came: &[u64]| Invite {
        code: code.to_owned(),
        link: format!(
            "voxhall://friday.example:9000/{code}#k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaGdVfKiOoRtEs"
        ),
        expires_at_ms: hours.map(|hours| NOW_MS + hours * HOUR_MS),
        max_uses,
        uses,
        created_by: Some(user(2)),
        created_at_ms: NOW_MS - 50 * HOUR_MS,
        came: came.iter().map(|id| user(*id)).collect(),
    };
    InviteList {
        invites: vec![
            invite("SUNNY-OTTER-42", Some(118), None, 3, &[7, 6, 4]),
            invite("QUIET-MAPLE-07", Some(2), Some(5), 1, &[8]),
            invite("EVER-OPEN-11", None, None, 0, &[]),
        ],
    }
}

fn explained() -> Explained {
    let why = |permission, allowed, because: &[&str]| Explanation {
        permission,
        allowed,
        because: because.iter().map(|it| (*it).to_owned()).collect(),
    };
    Explained {
        permissions: Permissions::VIEW_CHANNEL,
        explanations: vec![
            why(
                Permissions::VIEW_CHANNEL,
                true,
                &[
                    "allowed by @everyone",
                    "denied by @everyone on category Staff",
                    "allowed by role Moderator on category Staff",
                ],
            ),
            why(Permissions::SEND_MESSAGES, true, &["allowed by @everyone"]),
            why(Permissions::MENTION_EVERYONE, false, &["no role allows it"]),
            why(
                Permissions::MANAGE_MESSAGES,
                true,
                &["allowed by role Moderator"],
            ),
            why(Permissions::MANAGE_CHANNELS, false, &["no role allows it"]),
        ],
    }
}

fn profile(id: UserId) -> Profile {
    Profile {
        user: user(id.0),
        about: "Bread, maps and late evenings. Ask me about the long one.".to_owned(),
        created_at_ms: NOW_MS - 200 * 24 * HOUR_MS,
        followers: 3,
        following: 2,
        followed: false,
        follows_you: true,
        relation: None,
    }
}

fn admin_user(id: u64, is_admin: bool, suspended: bool, online: bool) -> AdminUser {
    AdminUser {
        user: user(id),
        is_admin,
        suspended,
        created_at_ms: NOW_MS - 200 * 24 * HOUR_MS,
        last_seen_ms: Some(NOW_MS - HOUR_MS),
        devices: 1 + id as u32 % 2,
        online,
    }
}

pub fn canned(request: &Request) -> Reply {
    match request {
        Request::ListInvites(_) => Reply::ListInvites(invites()),
        Request::ListAudit(_) => Reply::ListAudit(audit()),
        Request::ListBans(_) => Reply::ListBans(BanList {
            bans: vec![Ban {
                user: user(9),
                by: Some(user(1)),
                reason: "Spam in every channel".to_owned(),
                at_ms: NOW_MS - 30 * HOUR_MS,
                address: true,
            }],
        }),
        Request::ExplainPermissions(_) => Reply::ExplainPermissions(explained()),
        Request::GetProfile(get) => Reply::GetProfile(profile(get.user_id)),
        Request::ListFollowers(_) => Reply::ListFollowers(UserPage {
            users: vec![user(1), user(3), user(6)],
            more: false,
        }),
        Request::FindUsers(_) => Reply::FindUsers(UserPage {
            users: vec![user(2), user(7)],
            more: false,
        }),
        Request::ListDevices(_) => Reply::ListDevices(DeviceList {
            devices: vec![
                Device {
                    id: DeviceId(1),
                    label: "desk (linux)".to_owned(),
                    created_at_ms: NOW_MS - 60 * 24 * HOUR_MS,
                    last_seen_ms: NOW_MS,
                    online: true,
                    this: true,
                },
                Device {
                    id: DeviceId(2),
                    label: "laptop (windows)".to_owned(),
                    created_at_ms: NOW_MS - 9 * 24 * HOUR_MS,
                    last_seen_ms: NOW_MS - 5 * HOUR_MS,
                    online: false,
                    this: false,
                },
            ],
        }),
        Request::AdminStats(_) => Reply::AdminStats(ServerStats {
            version: "0.1.0".to_owned(),
            uptime_s: 400_000,
            voice_running: true,
            users: 37,
            guests: 12,
            guilds: 2,
            messages: 18_204,
            attachments: 310,
            attachment_bytes: 812_000_000,
            database_bytes: 24_000_000,
            connections: 9,
            online_users: 7,
            voice_sessions: 6,
        }),
        Request::ListPins(_) => Reply::ListPins(super::pins()),
        Request::AdminListUsers(list) if list.after.is_some() => {
            Reply::AdminListUsers(AdminUserPage {
                users: vec![admin_user(4, false, false, true)],
                more: false,
            })
        }
        Request::AdminUpdateUser(update) => Reply::AdminUpdateUser(admin_user(
            update.user_id.0,
            update.is_admin == Some(true),
            update.suspended == Some(true),
            false,
        )),
        Request::AdminListUsers(_) => Reply::AdminListUsers(AdminUserPage {
            users: vec![
                admin_user(1, true, false, true),
                admin_user(2, false, false, true),
                admin_user(3, false, false, false),
                admin_user(9, false, true, false),
            ],
            more: true,
        }),
        Request::AdminListGuilds(_) => Reply::AdminListGuilds(AdminGuildList {
            guilds: vec![AdminGuild {
                id: GUILD,
                name: "Friday Night".to_owned(),
                owner: Some(user(1)),
                members: 9,
                channels: 8,
                messages: 18_000,
                created_at_ms: NOW_MS - 300 * 24 * HOUR_MS,
                roles: vec![],
            }],
        }),
        Request::AdminListBans(_) => Reply::AdminListBans(ServerBanList {
            bans: vec![ServerBan {
                network: "203.0.113.0/24".to_owned(),
                reason: "A botnet".to_owned(),
                at_ms: NOW_MS - 10 * HOUR_MS,
                until_ms: Some(NOW_MS + 200 * HOUR_MS),
            }],
        }),
        _ => Reply::Ping(Done {}),
    }
}
