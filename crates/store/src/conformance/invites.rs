//! Invites.

use voxhall_protocol::GuildId;

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    an_invite_is_used_as_often_as_it_says(&fresh()).await;
    the_owner_invite_works_once(&fresh()).await;
    only_members_make_invites(&fresh()).await;
    open_invites_of_a_creator_are_few(&fresh()).await;
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
        creator: host.user.id,
        expires_at: Some(1_000),
        max_uses: Some(2),
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
        let again = store.redeem_invite("twice", first.user.id, now).await;
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
        .redeem_invite("g-owner", ann.user.id, 0)
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
    let again = store.redeem_invite("g-owner", ann.user.id, 0).await;
    assert!(!again.unwrap().became_owner);
    let eve = store
        .sign_up(by_invite(guest("eve", 2), "g-invite"))
        .await
        .unwrap();
    assert_eq!(
        store.redeem_invite("g-owner", eve.user.id, 0).await,
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
        creator: stranger.user.id,
        expires_at: None,
        max_uses: None,
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
            creator,
            expires_at,
            max_uses: None,
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
