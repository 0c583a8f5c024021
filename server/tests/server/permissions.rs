//! Who may do what: every method of guilds, tried by everyone there is.

use futures_util::future::BoxFuture;
use voxhall_protocol::{
    ChannelId, RoleId, UserId,
    control::{
        AuditAction, BanMember, ChannelKind, ChannelPlace, CreateChannel, CreateInvite, CreateRole,
        DeleteChannel, DeleteGuild, DeleteRole, ExplainFor, ExplainPermissions, FailureKind, Guild,
        KickMember, LeaveGuild, ListAudit, ListBans, ListInvites, OverwriteTarget, RedeemInvite,
        ReorderChannels, ReorderRoles, RevokeInvite, SetOverwrite, TimeoutMember, TransferGuild,
        UnbanMember, UpdateChannel, UpdateGuild, UpdateMember, UpdateRole,
    },
    permissions::Permissions,
};

use crate::{
    fixture::Server,
    people::{Person, busy_server, channel_of, set_roles},
};

const OK: Option<FailureKind> = None;
const FORBIDDEN: Option<FailureKind> = Some(FailureKind::Forbidden);
const NOT_FOUND: Option<FailureKind> = Some(FailureKind::NotFound);

/// In the order of the columns of [`METHODS`]. Those who may do less come first, so that what is refused is refused while there is
/// something to do.
const NAMES: [&str; 7] = [
    "stranger",
    "banned",
    "elsewhere",
    "member",
    "moderator",
    "admin",
    "owner",
];
const OWNER: usize = 6;

struct Scene {
    server: Server,
    people: Vec<Person>,
    /// On whom things are tried.
    pawn: Person,
    guild: Guild,
    /// Which the owner gave away.
    code: String,
    guard: RoleId,
    rooms: ChannelId,
}

type Tried<'a> = BoxFuture<'a, Option<FailureKind>>;
type Try = for<'a> fn(&'a mut Scene, usize) -> Tried<'a>;

/// A request of one person, made from the scene.
macro_rules! tries {
    (|$scene:ident| $call:expr) => {
        |$scene: &mut Scene, who: usize| -> Tried<'_> {
            Box::pin(async move {
                let call = $call;
                $scene.people[who].tries(&call).await
            })
        }
    };
}

/// The same, and the pawn is back afterwards.
macro_rules! tries_on_pawn {
    (|$scene:ident| $call:expr) => {
        |$scene: &mut Scene, who: usize| -> Tried<'_> {
            Box::pin(async move {
                let call = $call;
                let outcome = $scene.people[who].tries(&call).await;
                if outcome.is_none() {
                    let (guild_id, user_id) = ($scene.guild.id, $scene.pawn.id);
                    $scene.people[OWNER]
                        .tries(&UnbanMember { guild_id, user_id })
                        .await;
                    let code = $scene.code.clone();
                    $scene.pawn.joins(&code).await;
                }
                outcome
            })
        }
    };
}

const MANAGERS: [Option<FailureKind>; 7] = [
    NOT_FOUND, NOT_FOUND, NOT_FOUND, FORBIDDEN, FORBIDDEN, OK, OK,
];
const MODERATORS: [Option<FailureKind>; 7] =
    [NOT_FOUND, NOT_FOUND, NOT_FOUND, FORBIDDEN, OK, OK, OK];
const MEMBERS: [Option<FailureKind>; 7] = [NOT_FOUND, NOT_FOUND, NOT_FOUND, OK, OK, OK, OK];
const OWNER_ALONE: [Option<FailureKind>; 7] = [
    NOT_FOUND, NOT_FOUND, NOT_FOUND, FORBIDDEN, FORBIDDEN, FORBIDDEN, OK,
];

const METHODS: &[(&str, [Option<FailureKind>; 7], Try)] = &[
    (
        "guild.update",
        MANAGERS,
        tries!(|s| UpdateGuild {
            guild_id: s.guild.id,
            name: Some("Club".into()),
            description: Some(format!("{:?}", std::time::Instant::now())),
            icon: None,
        }),
    ),
    (
        "channel.create",
        MANAGERS,
        tries!(|s| CreateChannel {
            guild_id: s.guild.id,
            name: "new".into(),
            kind: ChannelKind::Text,
            category_id: Some(s.rooms),
        }),
    ),
    (
        "channel.update",
        MANAGERS,
        tries!(|s| UpdateChannel {
            channel_id: channel_of(&s.guild, ChannelKind::Text),
            name: None,
            topic: Some(format!("{:?}", std::time::Instant::now())),
            slow_mode_s: None,
            retention_days: None,
            user_limit: None,
            bitrate_bps: None,
        }),
    ),
    (
        "channel.reorder",
        MANAGERS,
        tries!(|s| ReorderChannels {
            guild_id: s.guild.id,
            channels: vec![ChannelPlace {
                channel_id: channel_of(&s.guild, ChannelKind::Voice),
                category_id: None
            }],
        }),
    ),
    (
        "channel.overwrite",
        MANAGERS,
        tries!(|s| SetOverwrite {
            channel_id: channel_of(&s.guild, ChannelKind::Voice),
            target: OverwriteTarget::Member(s.pawn.id),
            allow: Permissions::SPEAK,
            deny: Permissions::NONE,
        }),
    ),
    ("channel.delete", MANAGERS, |s, who| {
        Box::pin(async move {
            let create = CreateChannel {
                guild_id: s.guild.id,
                name: "doomed".into(),
                kind: ChannelKind::Voice,
                category_id: None,
            };
            let channel_id = s.people[OWNER].call(&create).await.unwrap().id;
            s.people[who].tries(&DeleteChannel { channel_id }).await
        })
    }),
    (
        "role.create",
        MANAGERS,
        tries!(|s| CreateRole {
            guild_id: s.guild.id,
            name: "new".into(),
            permissions: Permissions::SPEAK,
            color: None,
        }),
    ),
    (
        "role.update",
        MANAGERS,
        tries!(|s| UpdateRole {
            guild_id: s.guild.id,
            role_id: s.guard,
            name: None,
            permissions: Some(Permissions::SPEAK),
            color: None,
            hoist: None,
            mentionable: None,
        }),
    ),
    ("role.reorder", MANAGERS, |s, who| {
        Box::pin(async move {
            // As they stand: the order itself is tried elsewhere.
            let roles = s.roles().await;
            s.people[who]
                .tries(&ReorderRoles {
                    guild_id: s.guild.id,
                    roles,
                })
                .await
        })
    }),
    ("role.delete", MANAGERS, |s, who| {
        Box::pin(async move {
            let create = CreateRole {
                guild_id: s.guild.id,
                name: "doomed".into(),
                permissions: Permissions::NONE,
                color: None,
            };
            let role_id = s.people[OWNER].call(&create).await.unwrap().id;
            s.people[who]
                .tries(&DeleteRole {
                    guild_id: s.guild.id,
                    role_id,
                })
                .await
        })
    }),
    (
        "member.update of their roles",
        MANAGERS,
        tries!(|s| set_roles(s.guild.id, s.pawn.id, &[s.guard])),
    ),
    (
        "member.update of their nickname",
        MODERATORS,
        tries!(|s| UpdateMember {
            guild_id: s.guild.id,
            user_id: s.pawn.id,
            nick: Some("Pawn".into()),
            roles: None,
        }),
    ),
    ("member.update of one's nickname", MEMBERS, |s, who| {
        Box::pin(async move {
            let user_id = s.people[who].id;
            let rename = UpdateMember {
                guild_id: s.guild.id,
                user_id,
                nick: Some("Me".into()),
                roles: None,
            };
            s.people[who].tries(&rename).await
        })
    }),
    (
        "member.kick",
        MODERATORS,
        tries_on_pawn!(|s| KickMember {
            guild_id: s.guild.id,
            user_id: s.pawn.id,
            reason: String::new(),
        }),
    ),
    (
        "member.ban",
        MODERATORS,
        tries_on_pawn!(|s| BanMember {
            guild_id: s.guild.id,
            user_id: s.pawn.id,
            reason: String::new(),
            delete_messages_s: 0,
            address: false,
        }),
    ),
    ("member.unban", MODERATORS, |s, who| {
        Box::pin(async move {
            let (guild_id, user_id) = (s.guild.id, s.people[1].id);
            let outcome = s.people[who]
                .tries(&UnbanMember { guild_id, user_id })
                .await;
            if outcome.is_none() {
                s.bans(user_id).await;
            }
            outcome
        })
    }),
    ("member.timeout", MODERATORS, |s, who| {
        Box::pin(async move {
            let timeout = |duration_s| TimeoutMember {
                guild_id: s.guild.id,
                user_id: s.pawn.id,
                duration_s,
                reason: String::new(),
            };
            let (silence, lift) = (timeout(60), timeout(0));
            let outcome = s.people[who].tries(&silence).await;
            if outcome.is_none() {
                s.people[OWNER].call(&lift).await.unwrap();
            }
            outcome
        })
    }),
    (
        "ban.list",
        MODERATORS,
        tries!(|s| ListBans {
            guild_id: s.guild.id
        }),
    ),
    (
        "audit.list",
        MODERATORS,
        tries!(|s| ListAudit {
            guild_id: s.guild.id,
            before: None,
            action: None,
            by: None
        }),
    ),
    ("permission.explain of oneself", MEMBERS, |s, who| {
        Box::pin(async move {
            let of = ExplainFor::User(s.people[who].id);
            s.people[who]
                .tries(&ExplainPermissions {
                    guild_id: s.guild.id,
                    channel_id: None,
                    of,
                })
                .await
        })
    }),
    (
        "permission.explain of another",
        MANAGERS,
        tries!(|s| ExplainPermissions {
            guild_id: s.guild.id,
            channel_id: None,
            of: ExplainFor::User(s.pawn.id),
        }),
    ),
    (
        "permission.explain of a role",
        MANAGERS,
        tries!(|s| ExplainPermissions {
            guild_id: s.guild.id,
            channel_id: Some(channel_of(&s.guild, ChannelKind::Text)),
            of: ExplainFor::Role(s.guard),
        }),
    ),
    (
        "invite.create",
        MEMBERS,
        tries!(|s| CreateInvite {
            guild_id: s.guild.id,
            expires_in_s: None,
            max_uses: None
        }),
    ),
    (
        "invite.list",
        MEMBERS,
        tries!(|s| ListInvites {
            guild_id: s.guild.id
        }),
    ),
    (
        "invite.revoke of another's",
        [
            NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND, OK, OK,
        ],
        |s, who| {
            Box::pin(async move {
                let code = s.pawn.invites(s.guild.id).await;
                let revoke = RevokeInvite {
                    guild_id: s.guild.id,
                    code,
                };
                let outcome = s.people[who].tries(&revoke).await;
                if outcome.is_some() {
                    s.pawn.call(&revoke).await.unwrap();
                }
                outcome
            })
        },
    ),
    (
        "invite.redeem",
        [OK, Some(FailureKind::Banned), OK, OK, OK, OK, OK],
        |s, who| {
            Box::pin(async move {
                let outcome = s.people[who]
                    .tries(&RedeemInvite {
                        code: s.code.clone(),
                    })
                    .await;
                if outcome.is_none() && who < 3 {
                    s.people[who]
                        .call(&LeaveGuild {
                            guild_id: s.guild.id,
                        })
                        .await
                        .unwrap();
                }
                outcome
            })
        },
    ),
    (
        "guild.leave",
        [
            NOT_FOUND,
            NOT_FOUND,
            NOT_FOUND,
            OK,
            OK,
            OK,
            Some(FailureKind::Conflict),
        ],
        |s, who| {
            Box::pin(async move {
                let outcome = s.people[who]
                    .tries(&LeaveGuild {
                        guild_id: s.guild.id,
                    })
                    .await;
                if outcome.is_none() {
                    let code = s.code.clone();
                    s.people[who].joins(&code).await;
                }
                outcome
            })
        },
    ),
    (
        "guild.transfer",
        [
            NOT_FOUND, NOT_FOUND, NOT_FOUND, FORBIDDEN, FORBIDDEN, FORBIDDEN, NOT_FOUND,
        ],
        tries!(|s| TransferGuild {
            guild_id: s.guild.id,
            // Not a member.
            user_id: s.people[0].id,
        }),
    ),
    (
        "guild.delete",
        OWNER_ALONE,
        tries!(|s| DeleteGuild {
            guild_id: s.guild.id
        }),
    ),
];

impl Scene {
    async fn set() -> Self {
        let server = busy_server();
        let mut people = Vec::new();
        for name in NAMES {
            people.push(Person::new(&server, name, &server.invite_code()).await);
        }
        people[2].makes_guild("Elsewhere").await;
        let owner = &mut people[OWNER];
        let guild = owner.makes_guild("Club").await;
        let code = owner.invites(guild.id).await;
        let mut pawn = Person::new(&server, "pawn", &server.invite_code()).await;
        pawn.joins(&code).await;
        let mut scene = Self {
            server,
            people,
            pawn,
            guild,
            code: code.clone(),
            guard: RoleId(0),
            rooms: ChannelId(0),
        };
        for who in [3, 4, 5] {
            scene.people[who].joins(&code).await;
        }
        scene.guard = scene.role("Guard", Permissions::SPEAK).await;
        let admin = scene.role("Admin", Permissions::ADMINISTRATOR).await;
        let moderator = scene.guild.roles[1].id;
        let order = ReorderRoles {
            guild_id: scene.guild.id,
            roles: vec![scene.guard, moderator, admin],
        };
        scene.people[OWNER].call(&order).await.unwrap();
        for (who, role) in [(4, moderator), (5, admin)] {
            let (guild, user) = (scene.guild.id, scene.people[who].id);
            scene.people[OWNER].gives(guild, user, &[role]).await;
        }
        let rooms = CreateChannel {
            guild_id: scene.guild.id,
            name: "Rooms".into(),
            kind: ChannelKind::Category,
            category_id: None,
        };
        scene.rooms = scene.people[OWNER].call(&rooms).await.unwrap().id;
        let banned = scene.people[1].id;
        scene.bans(banned).await;
        scene
    }

    async fn role(&mut self, name: &str, permissions: Permissions) -> RoleId {
        let create = CreateRole {
            guild_id: self.guild.id,
            name: name.into(),
            permissions,
            color: None,
        };
        self.people[OWNER].call(&create).await.unwrap().id
    }

    /// All but @everyone, as they stand.
    async fn roles(&self) -> Vec<RoleId> {
        let ready = Person::again(&self.server, NAMES[OWNER]).await.ready;
        let guild = ready.guilds.iter().find(|guild| guild.id == self.guild.id);
        let roles = guild.unwrap().roles.iter().skip(1);
        roles.map(|role| role.id).collect()
    }

    async fn bans(&mut self, user_id: UserId) {
        let ban = BanMember {
            guild_id: self.guild.id,
            user_id,
            reason: String::new(),
            delete_messages_s: 0,
            address: false,
        };
        self.people[OWNER].call(&ban).await.unwrap();
    }

    /// How much was written down so far.
    async fn newest_entry(&mut self) -> u64 {
        let log = ListAudit {
            guild_id: self.guild.id,
            before: None,
            action: None,
            by: None,
        };
        let page = self.people[OWNER].call(&log).await.unwrap();
        page.entries.first().map_or(0, |entry| entry.id.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_answers_each_person_as_it_should() {
    let mut scene = Scene::set().await;
    let mut wrong = Vec::new();
    for (method, expected, attempt) in METHODS {
        for (who, expected) in expected.iter().enumerate() {
            let outcome = attempt(&mut scene, who).await;
            if outcome != *expected {
                wrong.push(format!(
                    "{method} by {}: {outcome:?}, not {expected:?}",
                    NAMES[who]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_changes_nothing() {
    let mut scene = Scene::set().await;
    for (method, expected, attempt) in METHODS {
        // These two set something up first, as the owner.
        if [
            "channel.delete",
            "role.delete",
            "invite.revoke of another's",
            "invite.redeem",
        ]
        .contains(method)
        {
            continue;
        }
        let before = scene.newest_entry().await;
        for (who, expected) in expected.iter().enumerate() {
            if expected.is_some() {
                attempt(&mut scene, who).await;
            }
        }
        assert_eq!(scene.newest_entry().await, before, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_keeps_what_is_hidden() {
    let mut scene = Scene::set().await;
    let guild_id = scene.guild.id;
    let everyone = scene.guild.roles[0].id;
    let create = |name: &str, kind, category_id| CreateChannel {
        guild_id,
        name: name.into(),
        kind,
        category_id,
    };
    let owner = &mut scene.people[OWNER];
    let vault = owner
        .call(&create("vault", ChannelKind::Category, None))
        .await
        .unwrap()
        .id;
    let hide = |channel_id| SetOverwrite {
        channel_id,
        target: OverwriteTarget::Role(everyone),
        allow: Permissions::NONE,
        deny: Permissions::VIEW_CHANNEL,
    };
    owner.call(&hide(vault)).await.unwrap();
    let board = owner
        .call(&create("board", ChannelKind::Text, Some(vault)))
        .await
        .unwrap()
        .id;
    owner.call(&hide(board)).await.unwrap();
    let gone = owner
        .call(&create("gone-board", ChannelKind::Text, Some(vault)))
        .await
        .unwrap()
        .id;
    owner
        .call(&DeleteChannel { channel_id: gone })
        .await
        .unwrap();
    let open = owner
        .call(&create("open", ChannelKind::Text, Some(vault)))
        .await
        .unwrap()
        .id;
    let show = SetOverwrite {
        allow: Permissions::VIEW_CHANNEL,
        deny: Permissions::NONE,
        ..hide(open)
    };
    owner.call(&show).await.unwrap();

    let moderator = NAMES.iter().position(|name| *name == "moderator").unwrap();
    for (who, sees) in [(moderator, false), (OWNER, true)] {
        let list = ListAudit {
            guild_id,
            before: None,
            action: None,
            by: None,
        };
        let log = scene.people[who].call(&list).await.unwrap();
        let text = serde_json::to_string(&log).unwrap();
        for secret in ["board", "vault", &scene.code] {
            assert_eq!(
                text.contains(secret),
                sees,
                "{secret} to {}: {text}",
                NAMES[who]
            );
        }
        assert!(text.contains("#open"), "what they see is told: {text}");
        assert!(
            log.entries
                .iter()
                .any(|entry| entry.action == AuditAction::InviteCreated)
        );
    }
}
