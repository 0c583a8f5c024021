//! Invites.

use voxhall_protocol::GuildId;

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    an_invite_is_used_as_often_as_it_says(&fresh()).await;
    the_owner_invite_works_once(&fresh()).await;
    only_members_make_invites(&fresh()).await;
    open_invites_of_a_creator_are_few(&fresh()).await;
    invites_are_listed_with_who_came_and_can_be_revoked(&fresh()).await;
    nobody_is_in_too_many_guilds(&fresh()).await;
}

async fn an_invite_is_used_as_often_as_it_says<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let host = store
        .sign_up(by_invite(account("host", 1), "g-invite"))
        .await
        .unwrap();
    let invite = NewInvite {
        code: "twice".into(),
        guild,
        creator: Some(host.user.id),
        expires_at: Some(1_000),
        max_uses: Some(2),
        makes_owner: false,
        now: 0,
    };
    store.create_invite(invite).await.unwrap();

    let inspected = store.inspect_invite("twice", 999).await.unwrap();
    assert_eq!(
        (
            inspected.guild,
            inspected.guild_name.as_str(),
            inspected.members
        ),
        (guild, "g", 1)
    );
    assert_eq!(
        store.inspect_invite("twice", 1_000).await,
        Err(InviteError::Expired)
    );
    assert_eq!(
        store.inspect_invite("Twice", 0).await,
        Err(InviteError::Unknown)
    );

    let first = store
        .sign_up(by_invite(guest("a", 2), "twice"))
        .await
        .unwrap();
    assert_eq!(
        first.joined,
        Some(Joined {
            guild,
            new_member: true,
            became_owner: false
        })
    );
    // A member redeems again without using anything up.
    for now in [0, 2_000] {
        let again = store.redeem_invite("twice", first.user.id, None, now).await;
        assert!(!again.unwrap().new_member);
    }

    // Two at once want the last use: one gets it.
    let (x, y) = tokio::join!(
        store.sign_up(by_invite(guest("x", 3), "twice")),
        store.sign_up(by_invite(guest("y", 4), "twice"))
    );
    let refused = SignUpError::Invite(InviteError::UsedUp);
    assert!(
        (x.is_ok() && y == Err(refused.clone())) || (y.is_ok() && x == Err(refused)),
        "{x:?} {y:?}"
    );
    assert_eq!(store.guilds().await.unwrap()[0].members.len(), 3);
    assert_eq!(
        store.inspect_invite("twice", 0).await,
        Err(InviteError::UsedUp)
    );
}

async fn the_owner_invite_works_once<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    assert!(
        store
            .inspect_invite("g-owner", 0)
            .await
            .unwrap()
            .makes_owner
    );
    let ann = store
        .sign_up(by_invite(guest("ann", 1), "g-invite"))
        .await
        .unwrap();
    // It makes an owner of someone who is a member already.
    let joined = store
        .redeem_invite("g-owner", ann.user.id, None, 0)
        .await
        .unwrap();
    assert_eq!(
        joined,
        Joined {
            guild,
            new_member: false,
            became_owner: true
        }
    );
    let again = store.redeem_invite("g-owner", ann.user.id, None, 0).await;
    assert!(!again.unwrap().became_owner);
    let eve = store
        .sign_up(by_invite(guest("eve", 2), "g-invite"))
        .await
        .unwrap();
    assert_eq!(
        store.redeem_invite("g-owner", eve.user.id, None, 0).await,
        Err(InviteError::UsedUp)
    );
    let default = store.default_guild(new_guild("other")).await.unwrap();
    assert_eq!(default.owner_code, None);
    let guilds = store.guilds().await.unwrap();
    assert_eq!(guilds[0].info.owner_id, Some(ann.user.id));
    let members: Vec<_> = guilds[0].members.iter().map(|m| m.user).collect();
    assert_eq!(members, [ann.user.id, eve.user.id]);
}

async fn only_members_make_invites<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let stranger = store.sign_up(account("ann", 1)).await.unwrap();
    let invite = |guild| NewInvite {
        code: "code".into(),
        guild,
        creator: Some(stranger.user.id),
        expires_at: None,
        max_uses: None,
        makes_owner: false,
        now: 0,
    };
    assert_eq!(
        store.create_invite(invite(guild)).await,
        Err(CreateInviteError::NotAMember)
    );
    assert_eq!(
        store.create_invite(invite(GuildId(u64::MAX))).await,
        Err(CreateInviteError::NotAMember)
    );
}

async fn open_invites_of_a_creator_are_few<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let member = async |name: &str, token| {
        let new = by_invite(guest(name, token), "g-invite");
        store.sign_up(new).await.unwrap().user.id
    };
    let (ann, bob) = (member("ann", 1).await, member("bob", 2).await);
    let invite = |code: String, creator, now, expires_at| {
        store.create_invite(NewInvite {
            code,
            guild,
            creator: Some(creator),
            expires_at,
            max_uses: None,
            makes_owner: false,
            now,
        })
    };
    for n in 0..MAX_OPEN_INVITES {
        let expires_at = (n > 0).then(|| 1_000 + i64::from(n));
        invite(format!("code{n}"), ann, 0, expires_at)
            .await
            .unwrap();
    }
    let refused = CreateInviteError::TooMany {
        next_expires_at: Some(1_001),
    };
    assert_eq!(invite("more".into(), ann, 0, None).await, Err(refused));
    invite("bobs".into(), bob, 0, None).await.unwrap();
    // One has expired, and is still known as such; later it is forgotten.
    invite("more".into(), ann, 1_001, None).await.unwrap();
    let inspect = |code| store.inspect_invite(code, 1_001);
    assert_eq!(inspect("code1").await, Err(InviteError::Expired));
    let later = 1_001 + INVITE_KEPT_MS;
    invite("later".into(), ann, later, None).await.unwrap();
    assert_eq!(inspect("code1").await, Err(InviteError::Unknown));
    assert!(inspect("code0").await.is_ok() && inspect("g-invite").await.is_ok());
}

async fn invites_are_listed_with_who_came_and_can_be_revoked<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let join = async |name: &str, token, code: &str| {
        let new = by_invite(account(name, token), code);
        store.sign_up(new).await.unwrap().user
    };
    let ann = join("ann", 1, "g-invite").await;
    let invite = |code: &str, creator, makes_owner| NewInvite {
        code: code.into(),
        guild,
        creator,
        expires_at: Some(1_000),
        max_uses: None,
        makes_owner,
        now: 5,
    };
    store
        .create_invite(invite("anns", Some(ann.id), false))
        .await
        .unwrap();
    store
        .create_invite(invite("throne", None, true))
        .await
        .unwrap();
    let nowhere = NewInvite {
        guild: GuildId(999),
        ..invite("no", None, false)
    };
    assert_eq!(
        store.create_invite(nowhere).await,
        Err(CreateInviteError::NotAMember)
    );
    let bob = join("bob", 2, "anns").await;
    let eve = join("eve", 3, "anns").await;

    let list = async |which, now| {
        let invites = store.guild_invites(guild, which, now).await.unwrap();
        let codes: Vec<_> = invites.iter().map(|invite| invite.code.clone()).collect();
        (codes, invites)
    };
    let (codes, invites) = list(WhichInvites::Guild, 10).await;
    assert_eq!(codes, ["anns", "g-invite"]);
    assert_eq!(invites[0].came, [eve.clone(), bob.clone()]);
    assert_eq!(
        (invites[0].uses, invites[0].creator.as_ref()),
        (2, Some(&ann))
    );
    assert_eq!(invites[1].came, std::slice::from_ref(&ann));
    assert_eq!(list(WhichInvites::Of(ann.id), 10).await.0, ["anns"]);
    assert_eq!(list(WhichInvites::Of(bob.id), 10).await.0, [""; 0]);
    assert_eq!(
        list(WhichInvites::All, 10).await.0,
        ["anns", "throne", "g-invite", "g-owner"]
    );
    // What is over isn't listed.
    assert_eq!(list(WhichInvites::Guild, 1_000).await.0, ["g-invite"]);

    let revoke = async |code: &str, which| {
        let act = Act::new(ann.id, 20);
        store.revoke_invite(guild, code, which, act).await.unwrap()
    };
    assert!(!revoke("anns", WhichInvites::Of(bob.id)).await);
    assert!(!revoke("throne", WhichInvites::Guild).await);
    assert!(revoke("anns", WhichInvites::Of(ann.id)).await);
    assert!(!revoke("anns", WhichInvites::All).await);
    let late = store.redeem_invite("anns", bob.id, None, 30).await;
    assert_eq!(late, Err(InviteError::Unknown));
    // The one that the server shows comes back as another.
    assert!(revoke("g-invite", WhichInvites::Guild).await);
    let default = store.default_guild(new_guild("h")).await.unwrap();
    assert_eq!(
        (default.id, default.invite_code.as_str()),
        (guild, "h-invite")
    );
    assert_eq!(default.owner_code.as_deref(), Some("g-owner"));

    let log = store
        .audit_page(guild, AuditFilter::default(), 20)
        .await
        .unwrap();
    let targets: Vec<_> = log
        .entries
        .iter()
        .map(|entry| entry.target.as_str())
        .collect();
    assert!(targets.contains(&"anns"));
    assert!(
        !targets.contains(&"throne"),
        "who reads the log must not become the owner by it"
    );
}

async fn nobody_is_in_too_many_guilds<S: Store>(store: &S) {
    use voxhall_protocol::limits::MAX_GUILDS_OF_USER;

    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let ann = store.sign_up(account("ann", 1)).await.unwrap().user;
    let found = || FoundGuild {
        name: "n".into(),
        owner: ann.id,
        channels: Vec::new(),
        now: 1,
    };
    for _ in 0..MAX_GUILDS_OF_USER {
        store.create_guild(found()).await.unwrap();
    }
    assert_eq!(
        store.create_guild(found()).await,
        Err(GuildError::TooManyGuilds)
    );
    let joined = store.redeem_invite("g-invite", ann.id, None, 1).await;
    assert_eq!(joined, Err(InviteError::TooManyGuilds));
    assert!(
        !store
            .guilds()
            .await
            .unwrap()
            .iter()
            .any(|g| g.info.id == guild && !g.members.is_empty())
    );
    let by_nobody = FoundGuild {
        owner: UserId(999),
        ..found()
    };
    assert_eq!(store.create_guild(by_nobody).await, Err(GuildError::NoUser));
}
