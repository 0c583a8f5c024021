//! Guilds, their channels and roles.

use voxhall_protocol::{
    GuildId, RoleId,
    control::{AuditAction, Channel, ChannelPlace, Overwrite, OverwriteTarget, Role},
    limits::{MAX_CHANNELS, MAX_OVERWRITES, MAX_ROLES},
    permissions::Permissions,
};

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    the_default_guild_is_made_once(&fresh()).await;
    a_guild_is_made_changed_handed_over_and_deleted(&fresh()).await;
    channels_keep_their_order(&fresh()).await;
    categories_hold_channels_and_nothing_else(&fresh()).await;
    a_category_that_goes_leaves_its_channels_as_closed_as_they_were(&fresh()).await;
    a_channel_is_changed(&fresh()).await;
    rules_are_of_the_guilds_own_roles_and_members(&fresh()).await;
    roles_keep_their_order(&fresh()).await;
    there_are_not_too_many_of_anything(&fresh()).await;
    guilds_are_counted(&fresh()).await;
}

async fn the_default_guild_is_made_once<S: Store>(store: &S) {
    let first = store.default_guild(new_guild("one")).await.unwrap();
    assert_eq!(first.invite_code, "one-invite");
    assert_eq!(first.owner_code.as_deref(), Some("one-owner"));
    assert_eq!(store.default_guild(new_guild("two")).await.unwrap(), first);
    let guilds = store.guilds().await.unwrap();
    assert_eq!(guilds.len(), 1);
    assert_eq!(guilds[0].info.name, "one");
    let channels: Vec<_> = guilds[0]
        .channels
        .iter()
        .map(|c| (c.name.as_str(), c.kind, c.bitrate_bps))
        .collect();
    assert_eq!(
        channels,
        [
            ("general", ChannelKind::Text, 0),
            ("lounge", ChannelKind::Voice, 64_000)
        ]
    );
}

/// A guild of ann's, with bob in it and eve not.
pub(super) struct Hall {
    pub guild: GuildId,
    pub ann: UserId,
    pub bob: UserId,
    pub eve: UserId,
}

impl Hall {
    pub async fn make<S: Store>(store: &S) -> Self {
        let guild = store.default_guild(new_guild("g")).await.unwrap().id;
        let join = async |name: &str, token, code: &str| {
            let new = by_invite(account(name, token), code);
            store.sign_up(new).await.unwrap().user.id
        };
        Self {
            guild,
            ann: join("ann", 1, "g-owner").await,
            bob: join("bob", 2, "g-invite").await,
            eve: store.sign_up(account("eve", 3)).await.unwrap().user.id,
        }
    }

    /// What ann does.
    pub fn act(&self) -> Act {
        Act::because(self.ann, "so", 100)
    }

    pub async fn read<S: Store>(&self, store: &S) -> GuildRecord {
        let guilds = store.guilds().await.unwrap();
        let found = guilds.into_iter().find(|guild| guild.info.id == self.guild);
        found.unwrap()
    }

    async fn channel<S: Store>(
        &self,
        store: &S,
        name: &str,
        kind: ChannelKind,
        category: Option<ChannelId>,
    ) -> Channel {
        let new = NewChannel {
            name: name.into(),
            kind,
            bitrate_bps: 0,
        };
        let made = store
            .create_channel(self.guild, new, category, self.act())
            .await;
        made.unwrap()
    }

    pub async fn role<S: Store>(&self, store: &S, name: &str) -> Role {
        let new = NewRole {
            name: name.into(),
            permissions: Permissions::SPEAK,
            color: Some(0xff),
        };
        store
            .create_role(self.guild, new, self.act())
            .await
            .unwrap()
    }

    /// Of everything that has no category, in order.
    async fn names<S: Store>(&self, store: &S, category: Option<ChannelId>) -> Vec<String> {
        let channels = self.read(store).await.channels;
        let inside = channels
            .into_iter()
            .filter(|channel| channel.category_id == category);
        inside.map(|channel| channel.name).collect()
    }

    /// The newest entry of the log.
    pub async fn logged<S: Store>(&self, store: &S) -> (AuditAction, String) {
        let page = store
            .audit_page(self.guild, AuditFilter::default(), 1)
            .await
            .unwrap();
        let entry = page.entries.into_iter().next().unwrap();
        (entry.action, entry.target)
    }
}

async fn a_guild_is_made_changed_handed_over_and_deleted<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let made = store
        .create_guild(FoundGuild {
            name: "club".into(),
            owner: hall.eve,
            channels: new_guild("x").channels,
            now: 7,
        })
        .await
        .unwrap();
    let club = made.info.id;
    assert_eq!(made.info.owner_id, Some(hall.eve));
    assert_eq!(
        made.members
            .iter()
            .map(|m| (m.user, m.joined_at_ms))
            .collect::<Vec<_>>(),
        [(hall.eve, 7)]
    );
    assert_eq!(made.channels.len(), 2);
    let roles: Vec<_> = made
        .roles
        .iter()
        .map(|r| (r.position, r.permissions))
        .collect();
    assert_eq!(
        roles,
        [
            (0, Permissions::DEFAULT_EVERYONE),
            (1, Permissions::DEFAULT_MODERATOR)
        ]
    );
    assert_eq!(store.guilds().await.unwrap()[1], made);

    let act = Act::new(hall.eve, 8);
    let update = GuildUpdate {
        name: Some("Club".into()),
        description: Some("for all".into()),
        icon: None,
    };
    let info = store
        .update_guild(club, update.clone(), act.clone())
        .await
        .unwrap();
    assert_eq!(
        (info.name.as_str(), info.description.as_str()),
        ("Club", "for all")
    );
    let nowhere = store.update_guild(GuildId(99), update, act.clone()).await;
    assert_eq!(nowhere, Err(GuildError::NoGuild));
    let picture = GuildUpdate {
        icon: Some(Some(voxhall_protocol::FileId(1))),
        ..GuildUpdate::default()
    };
    let refused = store.update_guild(club, picture, act.clone()).await;
    assert_eq!(refused, Err(GuildError::NoPicture));

    let to_bob = store.transfer_guild(club, hall.bob, act.clone()).await;
    assert_eq!(to_bob, Err(GuildError::NotAMember));
    let invite = NewInvite {
        code: "club".into(),
        guild: club,
        creator: Some(hall.eve),
        expires_at: None,
        max_uses: None,
        makes_owner: false,
        now: 9,
    };
    store.create_invite(invite).await.unwrap();
    store
        .redeem_invite("club", hall.bob, None, 9)
        .await
        .unwrap();
    let info = store
        .transfer_guild(club, hall.bob, act.clone())
        .await
        .unwrap();
    assert_eq!(info.owner_id, Some(hall.bob));

    let page = store
        .audit_page(club, AuditFilter::default(), 9)
        .await
        .unwrap();
    let actions: Vec<_> = page.entries.iter().map(|entry| entry.action).collect();
    use AuditAction::{GuildCreated, GuildUpdated, InviteCreated, OwnerChanged};
    assert_eq!(
        actions,
        [OwnerChanged, InviteCreated, GuildUpdated, GuildCreated]
    );
    let changes = &page.entries[2].changes;
    assert_eq!(changes.len(), 2);
    assert_eq!(
        (changes[0].before.as_deref(), changes[0].after.as_deref()),
        (Some("club"), Some("Club"))
    );

    assert_eq!(
        store.delete_guild(hall.guild).await,
        Err(GuildError::IsDefault)
    );
    store.delete_guild(club).await.unwrap();
    assert_eq!(store.delete_guild(club).await, Err(GuildError::NoGuild));
    assert_eq!(store.guilds().await.unwrap().len(), 1);
    assert!(
        store
            .audit_page(club, AuditFilter::default(), 9)
            .await
            .unwrap()
            .entries
            .is_empty()
    );
}

async fn channels_keep_their_order<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let team = hall
        .channel(store, "Team", ChannelKind::Category, None)
        .await;
    let plan = hall
        .channel(store, "plan", ChannelKind::Text, Some(team.id))
        .await;
    let talk = hall
        .channel(store, "talk", ChannelKind::Stage, Some(team.id))
        .await;
    assert_eq!((team.position, plan.position, talk.position), (2, 0, 1));
    assert_eq!(hall.names(store, None).await, ["general", "lounge", "Team"]);
    let channels = hall.read(store).await.channels;
    let [general, lounge] =
        ["general", "lounge"].map(|name| channels.iter().find(|c| c.name == name).unwrap().id);

    let place = |channel_id, category_id| ChannelPlace {
        channel_id,
        category_id,
    };
    let reorder = async |places: Vec<ChannelPlace>| {
        store.reorder_channels(hall.guild, places, hall.act()).await
    };
    reorder(vec![
        place(lounge, None),
        place(general, Some(team.id)),
        place(talk.id, Some(team.id)),
    ])
    .await
    .unwrap();
    assert_eq!(hall.names(store, None).await, ["lounge", "Team"]);
    assert_eq!(
        hall.names(store, Some(team.id)).await,
        ["general", "talk", "plan"]
    );
    let inside = hall.read(store).await.channels;
    let mut positions: Vec<_> = inside.iter().map(|c| (c.category_id, c.position)).collect();
    positions.sort_unstable_by_key(|(category, position)| (category.map(|c| c.0), *position));
    positions.dedup();
    assert_eq!(positions.len(), inside.len(), "no two have one place");

    let twice = reorder(vec![place(lounge, None), place(lounge, None)]).await;
    assert_eq!(twice, Err(ChannelError::NoChannel));
    let foreign = reorder(vec![place(ChannelId(999), None)]).await;
    assert_eq!(foreign, Err(ChannelError::NoChannel));
    assert_eq!(
        reorder(vec![place(lounge, Some(general))]).await,
        Err(ChannelError::NoCategory)
    );
    assert_eq!(
        reorder(vec![place(team.id, Some(team.id))]).await,
        Err(ChannelError::Nested)
    );
    assert_eq!(
        hall.read(store).await.channels,
        inside,
        "what is refused changes nothing"
    );
}

async fn categories_hold_channels_and_nothing_else<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let team = hall
        .channel(store, "Team", ChannelKind::Category, None)
        .await;
    let general = hall.read(store).await.channels[0].id;
    for (kind, category, error) in [
        (ChannelKind::Category, team.id, ChannelError::Nested),
        (ChannelKind::Text, general, ChannelError::NoCategory),
        (ChannelKind::Text, ChannelId(999), ChannelError::NoCategory),
    ] {
        let new = NewChannel {
            name: "no".into(),
            kind,
            bitrate_bps: 0,
        };
        let refused = store
            .create_channel(hall.guild, new, Some(category), hall.act())
            .await;
        assert_eq!(refused, Err(error));
    }
    let nowhere = NewChannel {
        name: "no".into(),
        kind: ChannelKind::Text,
        bitrate_bps: 0,
    };
    let refused = store
        .create_channel(GuildId(99), nowhere, None, hall.act())
        .await;
    assert_eq!(refused, Err(ChannelError::NoGuild));
}

async fn a_category_that_goes_leaves_its_channels_as_closed_as_they_were<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let team = hall
        .channel(store, "Team", ChannelKind::Category, None)
        .await;
    let plan = hall
        .channel(store, "plan", ChannelKind::Text, Some(team.id))
        .await;
    let everyone = hall.read(store).await.roles[0].id;
    let closed = Overwrite {
        target: OverwriteTarget::Role(everyone),
        allow: Permissions::NONE,
        deny: Permissions::VIEW_CHANNEL,
    };
    store
        .set_overwrite(hall.guild, team.id, closed, hall.act())
        .await
        .unwrap();
    store
        .delete_channel(hall.guild, team.id, hall.act())
        .await
        .unwrap();
    let channels = hall.read(store).await.channels;
    let plan = channels
        .iter()
        .find(|channel| channel.id == plan.id)
        .unwrap();
    assert_eq!(
        (plan.category_id, plan.position, plan.overwrites.as_slice()),
        (None, 3, &[closed][..])
    );
    assert_eq!(hall.names(store, None).await, ["general", "lounge", "plan"]);
    assert_eq!(
        hall.logged(store).await,
        (AuditAction::ChannelDeleted, "category Team".into())
    );
    let again = store.delete_channel(hall.guild, team.id, hall.act()).await;
    assert_eq!(again, Err(ChannelError::NoChannel));
}

async fn a_channel_is_changed<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let general = hall.read(store).await.channels[0].id;
    let update = ChannelUpdate {
        name: Some("hall".into()),
        topic: Some("all".into()),
        slow_mode_s: Some(5),
        retention_days: Some(30),
        user_limit: None,
        bitrate_bps: None,
    };
    let changed = store
        .update_channel(hall.guild, general, update.clone(), hall.act())
        .await
        .unwrap();
    assert_eq!(
        (changed.name.as_str(), changed.topic.as_str()),
        ("hall", "all")
    );
    assert_eq!((changed.slow_mode_s, changed.retention_days), (5, 30));
    assert_eq!(hall.read(store).await.channels[0], changed);
    assert_eq!(
        hall.logged(store).await,
        (AuditAction::ChannelUpdated, "#general".into())
    );
    // Of another guild, it is none.
    let elsewhere = store
        .update_channel(GuildId(99), general, update, hall.act())
        .await;
    assert_eq!(elsewhere, Err(ChannelError::NoChannel));
}

async fn rules_are_of_the_guilds_own_roles_and_members<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let general = hall.read(store).await.channels[0].id;
    let rule = |target| Overwrite {
        target,
        allow: Permissions::VIEW_CHANNEL,
        deny: Permissions::SEND_MESSAGES,
    };
    let set = async |rule| {
        store
            .set_overwrite(hall.guild, general, rule, hall.act())
            .await
    };
    let club = FoundGuild {
        name: "club".into(),
        owner: hall.eve,
        channels: Vec::new(),
        now: 1,
    };
    let foreign = store.create_guild(club).await.unwrap().roles[1].id;
    for target in [
        OverwriteTarget::Role(foreign),
        OverwriteTarget::Role(RoleId(999)),
        OverwriteTarget::Member(hall.eve),
    ] {
        assert_eq!(set(rule(target)).await, Err(ChannelError::NoTarget));
    }
    let bobs = rule(OverwriteTarget::Member(hall.bob));
    let moderators = rule(OverwriteTarget::Role(hall.read(store).await.roles[1].id));
    set(bobs).await.unwrap();
    let set_twice = set(moderators).await.unwrap();
    assert_eq!(set_twice.overwrites, [bobs, moderators]);
    let mut stored = hall.read(store).await.channels[0].overwrites.clone();
    stored.sort_by_key(|rule| matches!(rule.target, OverwriteTarget::Role(_)));
    assert_eq!(stored, [bobs, moderators]);

    // A rule stays when its member goes, and can still be taken away.
    store.leave_guild(hall.guild, hall.bob).await.unwrap();
    let nothing = Overwrite {
        allow: Permissions::NONE,
        deny: Permissions::NONE,
        ..bobs
    };
    assert_eq!(set(nothing).await.unwrap().overwrites, [moderators]);
    let role = hall.read(store).await.roles[1].id;
    store
        .delete_role(hall.guild, role, hall.act())
        .await
        .unwrap();
    assert!(hall.read(store).await.channels[0].overwrites.is_empty());
}

async fn roles_keep_their_order<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let [everyone, moderator] = <[Role; 2]>::try_from(hall.read(store).await.roles).unwrap();
    let guard = hall.role(store, "Guard").await;
    assert_eq!((guard.position, guard.color), (1, Some(0xff)));
    let order = async || -> Vec<_> {
        let roles = hall.read(store).await.roles;
        roles
            .into_iter()
            .map(|role| (role.name, role.position))
            .collect()
    };
    let named = |names: [&str; 3]| {
        (0..)
            .zip(names)
            .map(|(n, name)| (name.to_owned(), n))
            .collect::<Vec<(String, u32)>>()
    };
    assert_eq!(order().await, named(["everyone", "Guard", "Moderator"]));
    let reorder =
        async |roles: Vec<RoleId>| store.reorder_roles(hall.guild, roles, hall.act()).await;
    reorder(vec![moderator.id, guard.id]).await.unwrap();
    assert_eq!(order().await, named(["everyone", "Moderator", "Guard"]));
    for bad in [
        vec![moderator.id],
        vec![moderator.id, moderator.id],
        vec![everyone.id, moderator.id, guard.id],
        vec![moderator.id, guard.id, RoleId(999)],
    ] {
        assert_eq!(reorder(bad).await, Err(RoleError::NotAll));
    }

    let update = RoleUpdate {
        name: Some("Watch".into()),
        permissions: Some(Permissions::KICK_MEMBERS),
        color: Some(None),
        hoist: Some(true),
        mentionable: Some(true),
    };
    let watch = store
        .update_role(hall.guild, guard.id, update.clone(), hall.act())
        .await
        .unwrap();
    assert_eq!(
        (
            watch.name.as_str(),
            watch.color,
            watch.hoist,
            watch.mentionable
        ),
        ("Watch", None, true, true)
    );
    assert_eq!(hall.read(store).await.roles[2], watch);
    let page = store
        .audit_page(hall.guild, AuditFilter::default(), 1)
        .await
        .unwrap();
    let fields: Vec<_> = page.entries[0]
        .changes
        .iter()
        .map(|change| change.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "name",
            "color",
            "listed apart",
            "mentionable",
            "speak",
            "kick members"
        ]
    );

    let renamed = store
        .update_role(hall.guild, everyone.id, update.clone(), hall.act())
        .await;
    assert_eq!(renamed, Err(RoleError::Everyone));
    let deleted = store.delete_role(hall.guild, everyone.id, hall.act()).await;
    assert_eq!(deleted, Err(RoleError::Everyone));
    let elsewhere = store
        .update_role(GuildId(99), guard.id, update, hall.act())
        .await;
    assert_eq!(elsewhere, Err(RoleError::NoRole));

    store
        .give_role(hall.guild, hall.bob, guard.id, true, hall.act())
        .await
        .unwrap();
    store
        .delete_role(hall.guild, guard.id, hall.act())
        .await
        .unwrap();
    let bob = hall
        .read(store)
        .await
        .members
        .into_iter()
        .find(|m| m.user == hall.bob)
        .unwrap();
    assert_eq!(bob.roles, []);
}

async fn there_are_not_too_many_of_anything<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    for n in 2..MAX_CHANNELS {
        hall.channel(store, &format!("c{n}"), ChannelKind::Text, None)
            .await;
    }
    let new = NewChannel {
        name: "more".into(),
        kind: ChannelKind::Text,
        bitrate_bps: 0,
    };
    let refused = store
        .create_channel(hall.guild, new, None, hall.act())
        .await;
    assert_eq!(refused, Err(ChannelError::TooMany));

    for n in 2..MAX_ROLES {
        hall.role(store, &format!("r{n}")).await;
    }
    let new = NewRole {
        name: "more".into(),
        permissions: Permissions::NONE,
        color: None,
    };
    let refused = store.create_role(hall.guild, new, hall.act()).await;
    assert_eq!(refused, Err(RoleError::TooMany));

    let record = hall.read(store).await;
    assert_eq!(record.roles.len(), MAX_OVERWRITES);
    let general = record.channels[0].id;
    let rule = |target| Overwrite {
        target,
        allow: Permissions::NONE,
        deny: Permissions::SPEAK,
    };
    for role in &record.roles {
        let rule = rule(OverwriteTarget::Role(role.id));
        store
            .set_overwrite(hall.guild, general, rule, hall.act())
            .await
            .unwrap();
    }
    let bobs = rule(OverwriteTarget::Member(hall.bob));
    let refused = store
        .set_overwrite(hall.guild, general, bobs, hall.act())
        .await;
    assert_eq!(refused, Err(ChannelError::TooManyOverwrites));
}

async fn guilds_are_counted<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let general = hall.read(store).await.channels[0].id;
    let message = NewMessage::new(general, hall.bob, "hi", "n", 1);
    store.post_message(message).await.unwrap();
    let guilds = store.list_guilds().await.unwrap();
    assert_eq!(guilds.len(), 1);
    let guild = &guilds[0];
    assert_eq!((guild.members, guild.channels, guild.messages), (2, 2, 1));
    assert_eq!(guild.owner.as_ref().map(|owner| owner.id), Some(hall.ann));
    assert_eq!(guild.roles.len(), 2);
}
