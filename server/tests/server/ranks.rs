//! The rules that no flag shows: who stands above whom, what one may give, and whose things are whose.

use voxhall_protocol::{
    GuildId, RoleId, UserId,
    control::{
        BanMember, ChannelKind, ChannelPlace, CreateChannel, CreateRole, DeleteRole, ExplainFor,
        ExplainPermissions, Explained, FailureKind, Guild, KickMember, OverwriteTarget,
        ReorderChannels, ReorderRoles, SendMessage, SetOverwrite, TimeoutMember, UpdateMember,
        UpdateRole,
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

/// Someone who manages roles and channels and moderates, below an admin, above a guard.
struct Ranks {
    _server: Server,
    owner: Person,
    admin: Person,
    chief: Person,
    /// Of the same rank as the chief.
    peer: Person,
    guild: Guild,
    guard: RoleId,
    chiefs: RoleId,
    admins: RoleId,
}

const OF_CHIEFS: Permissions = Permissions::DEFAULT_MODERATOR
    .with(Permissions::MANAGE_ROLES)
    .with(Permissions::MANAGE_CHANNELS);

impl Ranks {
    async fn set() -> Self {
        let server = busy_server();
        let mut people = Vec::new();
        for name in ["owner", "admin", "chief", "peer"] {
            people.push(Person::new(&server, name, &server.invite_code()).await);
        }
        let [mut owner, mut admin, mut chief, mut peer] =
            <[Person; 4]>::try_from(people).ok().unwrap();
        let guild = owner.makes_guild("Club").await;
        let code = owner.invites(guild.id).await;
        let mut roles = Vec::new();
        for (name, permissions) in [
            ("Guard", Permissions::SPEAK),
            ("Chief", OF_CHIEFS),
            ("Admin", Permissions::ADMINISTRATOR),
        ] {
            let create = CreateRole {
                guild_id: guild.id,
                name: name.into(),
                permissions,
                color: None,
            };
            roles.push(owner.call(&create).await.unwrap().id);
        }
        let [guard, chiefs, admins] = roles[..] else {
            unreachable!()
        };
        let moderator = guild.roles[1].id;
        let order = ReorderRoles {
            guild_id: guild.id,
            roles: vec![guard, moderator, chiefs, admins],
        };
        owner.call(&order).await.unwrap();
        for (person, role) in [
            (&mut admin, admins),
            (&mut chief, chiefs),
            (&mut peer, chiefs),
        ] {
            person.joins(&code).await;
            owner.gives(guild.id, person.id, &[role]).await;
        }
        Self {
            _server: server,
            owner,
            admin,
            chief,
            peer,
            guild,
            guard,
            chiefs,
            admins,
        }
    }

    fn update(&self, role_id: RoleId, permissions: Permissions) -> UpdateRole {
        UpdateRole {
            guild_id: self.guild.id,
            role_id,
            name: None,
            permissions: Some(permissions),
            color: None,
            hoist: None,
            mentionable: None,
        }
    }

    fn rule(&self, target: OverwriteTarget, allow: Permissions, deny: Permissions) -> SetOverwrite {
        SetOverwrite {
            channel_id: channel_of(&self.guild, ChannelKind::Text),
            target,
            allow,
            deny,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_on_someone_of_equal_or_higher_rank() {
    let mut ranks = Ranks::set().await;
    let guild_id = ranks.guild.id;
    let (owner, admin, chief, peer) = (
        ranks.owner.id,
        ranks.admin.id,
        ranks.chief.id,
        ranks.peer.id,
    );
    for (by, on) in [
        (chief, peer),
        (chief, admin),
        (chief, owner),
        (chief, chief),
        (admin, owner),
        (admin, admin),
    ] {
        let by = if by == admin {
            &mut ranks.admin
        } else {
            &mut ranks.chief
        };
        let reason = String::new;
        let outcomes = [
            by.tries(&KickMember {
                guild_id,
                user_id: on,
                reason: reason(),
            })
            .await,
            by.tries(&BanMember {
                guild_id,
                user_id: on,
                reason: reason(),
                delete_messages_s: 0,
                address: false,
            })
            .await,
            by.tries(&TimeoutMember {
                guild_id,
                user_id: on,
                duration_s: 9,
                reason: reason(),
            })
            .await,
        ];
        assert_eq!(outcomes, [FORBIDDEN; 3], "{on}");
        if by.id != on {
            let nick = Some("x".into());
            assert_eq!(
                by.tries(&UpdateMember {
                    guild_id,
                    user_id: on,
                    nick,
                    roles: None
                })
                .await,
                FORBIDDEN
            );
            assert_eq!(
                by.tries(&set_roles(guild_id, on, &[ranks.guard])).await,
                FORBIDDEN
            );
        }
    }
    // The owner is above all, and administrators can't be silenced.
    let silence = TimeoutMember {
        guild_id,
        user_id: admin,
        duration_s: 9,
        reason: String::new(),
    };
    assert_eq!(ranks.owner.tries(&silence).await, FORBIDDEN);
    let kick = KickMember {
        guild_id,
        user_id: admin,
        reason: String::new(),
    };
    assert_eq!(ranks.owner.tries(&kick).await, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_touches_roles_at_or_above_their_own_or_gives_what_they_do_not_have() {
    let mut ranks = Ranks::set().await;
    let guild_id = ranks.guild.id;
    let everyone = ranks.guild.roles[0].id;
    let speak = Permissions::SPEAK;
    for role in [ranks.chiefs, ranks.admins] {
        let update = ranks.update(role, speak);
        assert_eq!(ranks.chief.tries(&update).await, FORBIDDEN);
        assert_eq!(
            ranks
                .chief
                .tries(&DeleteRole {
                    guild_id,
                    role_id: role
                })
                .await,
            FORBIDDEN
        );
        let rule = ranks.rule(
            OverwriteTarget::Role(role),
            Permissions::NONE,
            Permissions::SEND_MESSAGES,
        );
        assert_eq!(ranks.chief.tries(&rule).await, FORBIDDEN);
    }
    let (me, moderator) = (ranks.chief.id, ranks.guild.roles[1].id);
    let admins = ranks.admins;
    assert_eq!(
        ranks
            .chief
            .tries(&set_roles(guild_id, me, &[ranks.chiefs, admins]))
            .await,
        FORBIDDEN
    );
    // Nor gives away their own.
    assert_eq!(
        ranks.chief.tries(&set_roles(guild_id, me, &[])).await,
        FORBIDDEN
    );
    for roles in [
        [ranks.guard, moderator, ranks.admins, ranks.chiefs],
        [ranks.guard, ranks.chiefs, moderator, ranks.admins],
    ] {
        let reorder = ReorderRoles {
            guild_id,
            roles: roles.to_vec(),
        };
        assert_eq!(ranks.chief.tries(&reorder).await, FORBIDDEN);
    }
    let below = ReorderRoles {
        guild_id,
        roles: vec![moderator, ranks.guard, ranks.chiefs, ranks.admins],
    };
    assert_eq!(ranks.chief.tries(&below).await, OK);

    for foreign in [
        Permissions::ADMINISTRATOR,
        Permissions::MANAGE_GUILD.with(speak),
    ] {
        let update = ranks.update(ranks.guard, foreign);
        assert_eq!(ranks.chief.tries(&update).await, FORBIDDEN);
        let create = CreateRole {
            guild_id,
            name: "x".into(),
            permissions: foreign,
            color: None,
        };
        assert_eq!(ranks.chief.tries(&create).await, FORBIDDEN);
    }
    // A role below that has more than its giver: the owner made it so.
    let more = ranks.update(ranks.guard, Permissions::MANAGE_GUILD);
    ranks.owner.call(&more).await.unwrap();
    let less = ranks.update(ranks.guard, Permissions::NONE);
    assert_eq!(ranks.chief.tries(&less).await, FORBIDDEN);
    assert_eq!(
        ranks
            .chief
            .tries(&set_roles(guild_id, me, &[ranks.chiefs, ranks.guard]))
            .await,
        FORBIDDEN
    );

    let rule = ranks.rule(
        OverwriteTarget::Role(everyone),
        Permissions::NONE,
        Permissions::SPEAK,
    );
    let senseless = ranks.chief.tries(&rule).await;
    assert_eq!(
        senseless,
        Some(FailureKind::InvalidParams),
        "nobody speaks in a text channel"
    );
    let rule = ranks.rule(OverwriteTarget::Role(everyone), speak, speak);
    assert_eq!(
        ranks.chief.tries(&rule).await,
        Some(FailureKind::InvalidParams)
    );
    let rename = UpdateRole {
        name: Some("all".into()),
        ..ranks.update(everyone, Permissions::DEFAULT_EVERYONE)
    };
    assert_eq!(
        ranks.owner.tries(&rename).await,
        Some(FailureKind::InvalidParams)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_a_role_can_still_order_those_below_their_own() {
    let mut ranks = Ranks::set().await;
    let (guild_id, role_id) = (ranks.guild.id, ranks.guild.roles[1].id);
    let create = CreateRole {
        guild_id,
        name: "Helper".into(),
        permissions: Permissions::SPEAK,
        color: None,
    };
    let helper = ranks.chief.call(&create).await.unwrap().id;
    let delete = DeleteRole { guild_id, role_id };
    assert_eq!(ranks.chief.tries(&delete).await, OK);
    let swapped = ReorderRoles {
        guild_id,
        roles: vec![ranks.guard, helper, ranks.chiefs, ranks.admins],
    };
    assert_eq!(ranks.chief.tries(&swapped).await, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_shuts_themselves_out() {
    let mut ranks = Ranks::set().await;
    let everyone = OverwriteTarget::Role(ranks.guild.roles[0].id);
    let me = OverwriteTarget::Member(ranks.chief.id);
    let none = Permissions::NONE;
    for deny in [Permissions::VIEW_CHANNEL, Permissions::MANAGE_ROLES] {
        for target in [everyone, me] {
            let rule = ranks.rule(target, none, deny);
            assert_eq!(ranks.chief.tries(&rule).await, FORBIDDEN, "{target:?}");
        }
    }
    // With a rule of their own before, they see it still.
    let mine = ranks.rule(
        me,
        Permissions::VIEW_CHANNEL.with(Permissions::MANAGE_ROLES),
        none,
    );
    ranks.chief.call(&mine).await.unwrap();
    let closed = ranks.rule(everyone, none, Permissions::VIEW_CHANNEL);
    let closed = ranks.chief.call(&closed).await.unwrap();
    assert_eq!(closed.overwrites.len(), 2);
    // And can't take that one away then.
    let not_mine = ranks.rule(me, none, none);
    assert_eq!(ranks.chief.tries(&not_mine).await, FORBIDDEN);

    // Rights over roles from a role below one's highest: who has no others keeps them.
    let (guild_id, peer) = (ranks.guild.id, ranks.peer.id);
    let guards = ranks.update(ranks.guard, Permissions::MANAGE_ROLES);
    ranks.owner.call(&guards).await.unwrap();
    let chiefs = ranks.update(ranks.chiefs, Permissions::VIEW_CHANNEL);
    ranks.owner.call(&chiefs).await.unwrap();
    ranks
        .owner
        .gives(guild_id, peer, &[ranks.chiefs, ranks.guard])
        .await;
    let less = ranks.update(ranks.guard, none);
    assert_eq!(ranks.peer.tries(&less).await, FORBIDDEN);
    assert_eq!(
        ranks
            .peer
            .tries(&DeleteRole {
                guild_id,
                role_id: ranks.guard
            })
            .await,
        FORBIDDEN
    );
    assert_eq!(
        ranks
            .peer
            .tries(&set_roles(guild_id, peer, &[ranks.chiefs]))
            .await,
        FORBIDDEN
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_guild_is_not_there() {
    let mut ranks = Ranks::set().await;
    let guild_id = ranks.guild.id;
    let own = ranks.owner.makes_guild("Den").await;
    let (text, role) = (channel_of(&own, ChannelKind::Text), own.roles[1].id);
    let category = CreateChannel {
        guild_id: own.id,
        name: "c".into(),
        kind: ChannelKind::Category,
        category_id: None,
    };
    let category = ranks.owner.call(&category).await.unwrap().id;
    // The owner owns both, and still.
    let owner = &mut ranks.owner;
    let mut outcomes = Vec::new();
    let inside = CreateChannel {
        guild_id,
        name: "x".into(),
        kind: ChannelKind::Text,
        category_id: Some(category),
    };
    outcomes.push(owner.tries(&inside).await);
    for place in [
        ChannelPlace {
            channel_id: text,
            category_id: None,
        },
        ChannelPlace {
            channel_id: channel_of(&ranks.guild, ChannelKind::Text),
            category_id: Some(category),
        },
    ] {
        outcomes.push(
            owner
                .tries(&ReorderChannels {
                    guild_id,
                    channels: vec![place],
                })
                .await,
        );
    }
    outcomes.push(
        owner
            .tries(&DeleteRole {
                guild_id,
                role_id: role,
            })
            .await,
    );
    outcomes.push(
        owner
            .tries(&set_roles(guild_id, ranks.chief.id, &[role]))
            .await,
    );
    outcomes.push(
        owner
            .tries(&ReorderRoles {
                guild_id,
                roles: vec![role],
            })
            .await,
    );
    let rule = SetOverwrite {
        channel_id: channel_of(&ranks.guild, ChannelKind::Text),
        target: OverwriteTarget::Role(role),
        allow: Permissions::VIEW_CHANNEL,
        deny: Permissions::NONE,
    };
    outcomes.push(owner.tries(&rule).await);
    outcomes.push(
        owner
            .tries(&SetOverwrite {
                target: OverwriteTarget::Member(UserId(999)),
                ..rule
            })
            .await,
    );
    let of = ExplainFor::Role(role);
    outcomes.push(
        owner
            .tries(&ExplainPermissions {
                guild_id,
                channel_id: None,
                of,
            })
            .await,
    );
    let of = ExplainFor::User(owner.id);
    outcomes.push(
        owner
            .tries(&ExplainPermissions {
                guild_id,
                channel_id: Some(text),
                of,
            })
            .await,
    );
    assert_eq!(outcomes, vec![NOT_FOUND; outcomes.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_explained_why() {
    let mut ranks = Ranks::set().await;
    let guild_id: GuildId = ranks.guild.id;
    let everyone = OverwriteTarget::Role(ranks.guild.roles[0].id);
    let close = ranks.rule(everyone, Permissions::NONE, Permissions::SEND_MESSAGES);
    ranks.owner.call(&close).await.unwrap();
    let about = |of| ExplainPermissions {
        guild_id,
        channel_id: Some(close.channel_id),
        of,
    };
    let of_sending = |explained: Explained| {
        let mut all = explained.explanations.into_iter();
        let why = all
            .find(|why| why.permission == Permissions::SEND_MESSAGES)
            .unwrap();
        (why.allowed, why.because)
    };
    let chief = ranks.chief.id;
    let explained = ranks
        .chief
        .call(&about(ExplainFor::User(chief)))
        .await
        .unwrap();
    assert!(!explained.permissions.contains(Permissions::SEND_MESSAGES));
    let words = ["allowed by @everyone", "denied by @everyone on #general"].map(str::to_owned);
    assert_eq!(of_sending(explained), (false, words.to_vec()));
    let as_guard = ranks
        .chief
        .call(&about(ExplainFor::Role(ranks.guard)))
        .await
        .unwrap();
    assert_eq!(of_sending(as_guard), (false, words.to_vec()));
    let owner = ranks.owner.id;
    let of_owner = ranks
        .chief
        .call(&about(ExplainFor::User(owner)))
        .await
        .unwrap();
    assert_eq!(
        of_sending(of_owner),
        (true, vec!["the owner may do everything".to_owned()])
    );

    let send = SendMessage::new(close.channel_id, "hi", "n");
    let refused = ranks.chief.call(&send).await.unwrap_err();
    assert!(
        refused.message.contains("denied by @everyone on #general"),
        "{}",
        refused.message
    );
}
