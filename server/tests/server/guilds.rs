//! Guilds from their making to their end, as their members see it.

use voxhall_protocol::{
    control::{
        ChannelKind, ChannelPlace, CreateChannel, CreateGuild, CreateRole, DeleteChannel,
        DeleteGuild, DeleteRole, Event, FailureKind, GuildGone, LeaveGuild, ListInvites,
        OverwriteTarget, ReorderChannels, ReorderRoles, RevokeInvite, SetOverwrite, TransferGuild,
        UpdateChannel, UpdateGuild, UpdateMember,
    },
    permissions::Permissions,
};

use crate::{
    client::Client,
    fixture::Server,
    people::{Person, busy_server, channel_of},
};

#[tokio::test]
async fn a_guild_is_made_joined_changed_handed_over_and_deleted() {
    let server = busy_server();
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let guild = ann.makes_guild("  Club ").await;
    assert_eq!(
        (guild.name.as_str(), guild.owner_id),
        ("Club", Some(ann.id))
    );
    assert_eq!(guild.members.len(), 1);
    assert_eq!(guild.roles[0].permissions, Permissions::DEFAULT_EVERYONE);
    assert!(guild.channels.len() >= 2);

    let code = ann.invites(guild.id).await;
    bob.joins(&code).await;
    let joined = bob
        .client
        .event(|event| matches!(event, Event::GuildJoined { .. }))
        .await;
    let Event::GuildJoined { guild: seen } = joined else {
        unreachable!()
    };
    assert_eq!(
        (seen.id, seen.members.len(), seen.channels.len()),
        (guild.id, 2, guild.channels.len())
    );
    ann.client
        .event(
            |event| matches!(event, Event::MemberJoined { member, .. } if member.user.id == bob.id),
        )
        .await;
    let invites = ann
        .call(&ListInvites { guild_id: guild.id })
        .await
        .unwrap()
        .invites;
    assert_eq!(
        invites[0]
            .came
            .iter()
            .map(|user| user.id)
            .collect::<Vec<_>>(),
        [bob.id]
    );
    assert_eq!(
        invites[0].created_by.as_ref().map(|user| user.id),
        Some(ann.id)
    );

    let update = UpdateGuild {
        guild_id: guild.id,
        name: Some("Den".into()),
        description: Some("where we meet".into()),
        icon: None,
    };
    ann.call(&update).await.unwrap();
    bob.client
        .event(|event| matches!(event, Event::GuildUpdated { guild } if guild.name == "Den"))
        .await;

    let leave = LeaveGuild { guild_id: guild.id };
    assert_eq!(ann.tries(&leave).await, Some(FailureKind::Conflict));
    let transfer = |user_id| TransferGuild {
        guild_id: guild.id,
        user_id,
    };
    assert_eq!(
        bob.tries(&transfer(bob.id)).await,
        Some(FailureKind::Forbidden)
    );
    ann.call(&transfer(bob.id)).await.unwrap();
    let delete = DeleteGuild { guild_id: guild.id };
    assert_eq!(ann.tries(&delete).await, Some(FailureKind::Forbidden));
    bob.call(&delete).await.unwrap();
    for person in [&mut ann, &mut bob] {
        let gone = person
            .client
            .event(|event| matches!(event, Event::GuildLeft { .. }))
            .await;
        let Event::GuildLeft { guild_id, why } = gone else {
            unreachable!()
        };
        assert_eq!((guild_id, why), (guild.id, GuildGone::Deleted));
        assert_eq!(person.tries(&leave).await, Some(FailureKind::NotFound));
    }
}

#[tokio::test]
async fn the_first_guild_stays_and_its_invite_can_be_revoked() {
    let mut server = busy_server();
    let owner_code = server.link("owner").code.unwrap();
    let mut ann = Person::new(&server, "ann", &owner_code).await;
    let first = ann.ready.guilds[0].id;
    assert_eq!(
        ann.tries(&DeleteGuild { guild_id: first }).await,
        Some(FailureKind::Conflict)
    );
    let code = server.invite_code();
    let revoke = RevokeInvite {
        guild_id: first,
        code: code.clone(),
    };
    ann.call(&revoke).await.unwrap();
    assert_eq!(ann.tries(&revoke).await, Some(FailureKind::NotFound));
    server.terminate();
    server.start_again();
    assert_ne!(server.invite_code(), code, "there is a way in again");
    Person::new(&server, "bob", &server.invite_code()).await;
}

#[tokio::test]
async fn channels_and_categories_are_made_moved_closed_and_deleted() {
    let server = busy_server();
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let guild = ann.makes_guild("Club").await;
    let code = ann.invites(guild.id).await;
    bob.joins(&code).await;
    let create = |name: &str, kind, category_id| CreateChannel {
        guild_id: guild.id,
        name: name.into(),
        kind,
        category_id,
    };
    let team = ann
        .call(&create("Team", ChannelKind::Category, None))
        .await
        .unwrap();
    let plan = ann
        .call(&create("plan", ChannelKind::Text, Some(team.id)))
        .await
        .unwrap();
    let created = |name: &'static str| move |event: &Event| matches!(event, Event::ChannelCreated { channel, .. } if channel.name == name);
    bob.client.event(created("plan")).await;
    for (kind, category) in [
        (ChannelKind::Direct, None),
        (ChannelKind::Category, Some(team.id)),
        (
            ChannelKind::Text,
            Some(channel_of(&guild, ChannelKind::Text)),
        ),
    ] {
        let refused = ann.tries(&create("no", kind, category)).await.unwrap();
        assert!(
            matches!(refused, FailureKind::InvalidParams | FailureKind::NotFound),
            "{refused:?}"
        );
    }

    // Closed by its category, it is gone for bob; and it stays closed when the category goes.
    let close = SetOverwrite {
        channel_id: team.id,
        target: OverwriteTarget::Role(guild.roles[0].id),
        allow: Permissions::NONE,
        deny: Permissions::VIEW_CHANNEL,
    };
    ann.call(&close).await.unwrap();
    bob.client
        .event(|event| matches!(event, Event::ChannelDeleted { channel_id, .. } if *channel_id == plan.id))
        .await;
    let topic = UpdateChannel {
        channel_id: plan.id,
        name: None,
        topic: Some("t".into()),
        slow_mode_s: None,
        retention_days: None,
        user_limit: None,
        bitrate_bps: None,
    };
    assert_eq!(bob.tries(&topic).await, Some(FailureKind::NotFound));
    ann.call(&DeleteChannel {
        channel_id: team.id,
    })
    .await
    .unwrap();
    assert_eq!(bob.tries(&topic).await, Some(FailureKind::NotFound));
    assert_eq!(ann.call(&topic).await.unwrap().category_id, None);

    let text = channel_of(&guild, ChannelKind::Text);
    assert_eq!(
        bob.tries(&UpdateChannel {
            channel_id: text,
            ..topic.clone()
        })
        .await,
        Some(FailureKind::Forbidden)
    );
    for (channel_id, wrong) in [
        (
            text,
            UpdateChannel {
                bitrate_bps: Some(64_000),
                ..topic.clone()
            },
        ),
        (
            channel_of(&guild, ChannelKind::Voice),
            UpdateChannel {
                slow_mode_s: Some(1),
                ..topic.clone()
            },
        ),
        (
            text,
            UpdateChannel {
                slow_mode_s: Some(21_601),
                ..topic.clone()
            },
        ),
        (
            text,
            UpdateChannel {
                topic: Some("x".repeat(1_001)),
                ..topic.clone()
            },
        ),
    ] {
        let wrong = UpdateChannel {
            channel_id,
            ..wrong
        };
        assert_eq!(
            ann.tries(&wrong).await,
            Some(FailureKind::InvalidParams),
            "{wrong:?}"
        );
    }
    let reorder = ReorderChannels {
        guild_id: guild.id,
        channels: vec![ChannelPlace {
            channel_id: plan.id,
            category_id: None,
        }],
    };
    ann.call(&reorder).await.unwrap();
    ann.client
        .event(|event| matches!(event, Event::ChannelUpdated { channel, .. } if channel.id == plan.id && channel.position == 0))
        .await;
}

#[tokio::test]
async fn roles_are_made_ordered_given_and_deleted() {
    let server = busy_server();
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let guild = ann.makes_guild("Club").await;
    let code = ann.invites(guild.id).await;
    bob.joins(&code).await;
    let create = CreateRole {
        guild_id: guild.id,
        name: "Guard".into(),
        permissions: Permissions::MANAGE_NICKNAMES,
        color: Some(0x00ff00),
    };
    let guard = ann.call(&create).await.unwrap();
    bob.client
        .event(|event| matches!(event, Event::RoleCreated { role, .. } if role.id == guard.id))
        .await;
    let moderator = guild.roles[1].id;
    let order = ReorderRoles {
        guild_id: guild.id,
        roles: vec![moderator, guard.id],
    };
    ann.call(&order).await.unwrap();
    bob.client
        .event(|event| matches!(event, Event::RoleUpdated { role, .. } if role.id == guard.id && role.position == 2))
        .await;

    let rename = |user_id, nick: &str| UpdateMember {
        guild_id: guild.id,
        user_id,
        nick: Some(nick.into()),
        roles: None,
    };
    assert_eq!(
        bob.tries(&rename(ann.id, "A")).await,
        Some(FailureKind::Forbidden)
    );
    assert_eq!(
        bob.call(&rename(bob.id, " Bobby "))
            .await
            .unwrap()
            .nick
            .as_deref(),
        Some("Bobby")
    );
    assert_eq!(bob.call(&rename(bob.id, "")).await.unwrap().nick, None);
    ann.gives(guild.id, bob.id, &[guard.id]).await;
    bob.client.event(|event| matches!(event, Event::MemberUpdated { member, .. } if member.roles == [guard.id])).await;
    let delete = DeleteRole {
        guild_id: guild.id,
        role_id: guard.id,
    };
    ann.call(&delete).await.unwrap();
    bob.client
        .event(|event| matches!(event, Event::RoleDeleted { role_id, .. } if *role_id == guard.id))
        .await;
}

#[tokio::test]
async fn only_administrators_make_guilds_where_the_server_says_so() {
    let server = Server::start_with(&["--create-guilds", "admins"]);
    let (mut ann, _) = Client::guest(&server, "ann").await;
    let make = CreateGuild { name: "Own".into() };
    assert_eq!(ann.refused(&make).await, FailureKind::Forbidden);
    let mut owner = Client::greeted(&server).await;
    let code = server.link("owner").code.unwrap();
    let credentials = owner.sign_in_guest("owner", &code).await.unwrap();
    owner.begin(&credentials.access_token).await.unwrap();
    owner.call(&make).await.unwrap();
}
