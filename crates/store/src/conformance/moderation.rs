//! Members, what moderators do to them, and the log of it.

use voxhall_protocol::{
    GuildId, RoleId,
    control::{AuditAction, ServerBan},
};

use super::{guilds::Hall, *};

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    members_get_nicknames_and_roles(&fresh()).await;
    a_kick_ends_a_membership_and_no_sanction(&fresh()).await;
    a_ban_holds_for_the_account_and_for_where_it_came_from(&fresh()).await;
    a_ban_deletes_what_was_written(&fresh()).await;
    addresses_are_forgotten(&fresh()).await;
    the_owner_stays(&fresh()).await;
    the_log_is_paged_and_filtered(&fresh()).await;
    the_log_is_forgotten_after_a_year(&fresh()).await;
    networks_are_banned_from_the_server(&fresh()).await;
}

const HOME: AddressHash = AddressHash([1; 16]);
const ELSEWHERE: AddressHash = AddressHash([2; 16]);

async fn members_get_nicknames_and_roles<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let guard = hall.role(store, "Guard").await.id;
    let record = hall.read(store).await;
    let (everyone, moderator) = (record.roles[0].id, record.roles[2].id);
    let update = |nick: Option<Option<&str>>, roles: Option<Vec<RoleId>>| MemberUpdate {
        nick: nick.map(|nick| nick.map(str::to_owned)),
        roles,
    };
    let set = async |user, update| {
        store
            .update_member(hall.guild, user, update, hall.act())
            .await
    };
    let bob = set(
        hall.bob,
        update(Some(Some("Bobby")), Some(vec![guard, moderator, guard])),
    )
    .await
    .unwrap();
    assert_eq!(bob.nick.as_deref(), Some("Bobby"));
    let mut both = vec![guard, moderator];
    both.sort_unstable();
    assert_eq!(bob.roles, both);
    let stored = |record: GuildRecord| {
        record
            .members
            .into_iter()
            .find(|member| member.user == hall.bob)
            .unwrap()
    };
    assert_eq!(stored(hall.read(store).await), bob);

    let bob = set(hall.bob, update(Some(None), Some(vec![guard])))
        .await
        .unwrap();
    assert_eq!((bob.nick, bob.roles), (None, vec![guard]));
    for bad in [everyone, RoleId(999)] {
        let refused = set(hall.bob, update(None, Some(vec![bad]))).await;
        assert_eq!(refused, Err(MemberError::NoRole));
    }
    let refused = set(hall.eve, update(Some(None), None)).await;
    assert_eq!(refused, Err(MemberError::NotAMember));

    let give = async |role, given| {
        store
            .give_role(hall.guild, hall.bob, role, given, hall.act())
            .await
    };
    assert_eq!(give(moderator, true).await.unwrap().roles, both);
    assert_eq!(give(moderator, true).await.unwrap().roles, both);
    assert_eq!(give(guard, false).await.unwrap().roles, [moderator]);
    assert_eq!(give(RoleId(999), true).await, Err(MemberError::NoRole));
    assert_eq!(stored(hall.read(store).await).roles, [moderator]);

    let voice = store
        .moderate_voice(hall.guild, hall.bob, Some(true), None, hall.act())
        .await;
    let bob = voice.unwrap();
    assert!(bob.server_muted && !bob.server_deafened);
    assert_eq!(
        hall.logged(store).await,
        (AuditAction::VoiceMuted, "bob".into())
    );
}

async fn a_kick_ends_a_membership_and_no_sanction<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let moderator = hall.read(store).await.roles[1].id;
    store
        .give_role(hall.guild, hall.bob, moderator, true, hall.act())
        .await
        .unwrap();
    store
        .time_out_member(hall.guild, hall.bob, Some(5_000), hall.act())
        .await
        .unwrap();
    assert_eq!(
        hall.logged(store).await,
        (AuditAction::MemberTimedOut, "bob".into())
    );
    store
        .kick_member(hall.guild, hall.bob, hall.act())
        .await
        .unwrap();
    assert_eq!(
        hall.logged(store).await,
        (AuditAction::MemberKicked, "bob".into())
    );
    let again = store.kick_member(hall.guild, hall.bob, hall.act()).await;
    assert_eq!(again, Err(MemberError::NotAMember));
    assert_eq!(hall.read(store).await.members.len(), 1);

    let joined = store
        .redeem_invite("g-invite", hall.bob, None, 200)
        .await
        .unwrap();
    assert!(joined.new_member);
    let back = hall
        .read(store)
        .await
        .members
        .into_iter()
        .find(|m| m.user == hall.bob)
        .unwrap();
    assert_eq!(
        (back.roles, back.timeout_until_ms, back.joined_at_ms),
        (vec![], Some(5_000), 200)
    );
    // Nothing is left of it once it was lifted.
    store
        .time_out_member(hall.guild, hall.bob, None, hall.act())
        .await
        .unwrap();
    store.leave_guild(hall.guild, hall.bob).await.unwrap();
    store
        .redeem_invite("g-invite", hall.bob, None, 300)
        .await
        .unwrap();
    let back = hall
        .read(store)
        .await
        .members
        .into_iter()
        .find(|m| m.user == hall.bob)
        .unwrap();
    assert_eq!(back.timeout_until_ms, None);
}

fn ban(user: UserId, address: bool) -> NewBan {
    NewBan {
        user,
        address,
        delete_since: None,
    }
}

async fn a_ban_holds_for_the_account_and_for_where_it_came_from<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    store.saw_address(hall.bob, HOME, 90).await.unwrap();
    store.saw_address(hall.bob, HOME, 91).await.unwrap();
    store
        .ban_member(hall.guild, ban(hall.bob, false), hall.act())
        .await
        .unwrap();
    assert_eq!(
        hall.logged(store).await,
        (AuditAction::MemberBanned, "bob".into())
    );
    assert_eq!(hall.read(store).await.members.len(), 1);
    let redeem = async |user, from| store.redeem_invite("g-invite", user, from, 200).await;
    assert_eq!(
        redeem(hall.bob, Some(ELSEWHERE)).await,
        Err(InviteError::Banned)
    );
    let fresh = |name: &str, token, from| SignUp {
        from,
        ..by_invite(account(name, token), "g-invite")
    };
    // Only the account is banned so far.
    store.sign_up(fresh("ben", 10, Some(HOME))).await.unwrap();

    store
        .ban_member(hall.guild, ban(hall.bob, true), hall.act())
        .await
        .unwrap();
    let refused = SignUpError::Invite(InviteError::Banned);
    assert_eq!(
        store.sign_up(fresh("bob2", 11, Some(HOME))).await,
        Err(refused)
    );
    assert!(store.account_by_name("bob2").await.unwrap().is_none());
    assert_eq!(redeem(hall.eve, Some(HOME)).await, Err(InviteError::Banned));
    assert!(redeem(hall.eve, Some(ELSEWHERE)).await.unwrap().new_member);
    // Who is in already stays, whatever they share.
    assert!(!redeem(hall.eve, Some(HOME)).await.unwrap().new_member);

    let bans = store.guild_bans(hall.guild).await.unwrap();
    assert_eq!(bans.len(), 1);
    assert_eq!(
        (bans[0].user.id, bans[0].by.as_ref().map(|by| by.id)),
        (hall.bob, Some(hall.ann))
    );
    assert_eq!((bans[0].reason.as_str(), bans[0].address), ("so", true));

    store
        .unban_member(hall.guild, hall.bob, hall.act())
        .await
        .unwrap();
    let again = store.unban_member(hall.guild, hall.bob, hall.act()).await;
    assert_eq!(again, Err(MemberError::NotBanned));
    assert!(redeem(hall.bob, Some(HOME)).await.unwrap().new_member);
    store.sign_up(fresh("bob2", 11, Some(HOME))).await.unwrap();

    // Before someone comes, too; and nobody who isn't there.
    let liz = store.sign_up(account("liz", 12)).await.unwrap().user.id;
    store
        .ban_member(hall.guild, ban(liz, false), hall.act())
        .await
        .unwrap();
    assert_eq!(redeem(liz, None).await, Err(InviteError::Banned));
    let nobody = store
        .ban_member(hall.guild, ban(UserId(999), false), hall.act())
        .await;
    assert_eq!(nobody, Err(MemberError::NoUser));
}

async fn a_ban_deletes_what_was_written<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let general = hall.read(store).await.channels[0].id;
    for (nonce, at) in [("old", 10), ("new", 50), ("newer", 60)] {
        let message = NewMessage::new(general, hall.bob, nonce, nonce, at);
        store.post_message(message).await.unwrap();
    }
    let by_ann = NewMessage::new(general, hall.ann, "mine", "mine", 55);
    store.post_message(by_ann).await.unwrap();
    let ban = NewBan {
        delete_since: Some(50),
        ..ban(hall.bob, false)
    };
    store.ban_member(hall.guild, ban, hall.act()).await.unwrap();
    let left = store
        .history(hall.ann, general, HistoryAt::Newest, 9)
        .await
        .unwrap();
    let texts: Vec<_> = left
        .messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, ["old", "mine"]);
    // A late retry brings nothing back.
    let late = NewMessage::new(general, hall.bob, "new", "new", 70);
    assert_eq!(store.post_message(late).await, Err(PostError::Deleted));
}

async fn addresses_are_forgotten<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    store.saw_address(hall.bob, HOME, 0).await.unwrap();
    let later = ADDRESS_KEPT_MS + 1;
    store.saw_address(hall.eve, ELSEWHERE, later).await.unwrap();
    let act = Act::new(hall.ann, later);
    store
        .ban_member(hall.guild, ban(hall.bob, true), act)
        .await
        .unwrap();
    let joined = store
        .redeem_invite("g-invite", hall.eve, Some(HOME), later)
        .await;
    assert!(joined.unwrap().new_member);

    // Of somebody who comes from everywhere, only the last few.
    let liz = store.sign_up(account("liz", 12)).await.unwrap().user.id;
    for n in 0..=MAX_ADDRESSES {
        let address = AddressHash([u8::try_from(n).unwrap() + 100; 16]);
        store
            .saw_address(liz, address, later + i64::from(n))
            .await
            .unwrap();
    }
    let act = Act::new(hall.ann, later);
    store
        .ban_member(hall.guild, ban(liz, true), act)
        .await
        .unwrap();
    let from = async |n: u8, token| {
        let new = by_invite(account(&format!("n{n}"), token), "g-invite");
        let from = Some(AddressHash([n; 16]));
        store.sign_up(SignUp { from, ..new }).await.is_ok()
    };
    assert_eq!((from(100, 20).await, from(101, 21).await), (true, false));
    // Nobody's.
    store.saw_address(UserId(999), HOME, later).await.unwrap();
}

async fn the_owner_stays<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let owner = hall.ann;
    let refused = Err(MemberError::IsOwner);
    assert_eq!(store.leave_guild(hall.guild, owner).await, refused);
    assert_eq!(
        store.kick_member(hall.guild, owner, hall.act()).await,
        refused
    );
    assert_eq!(
        store
            .ban_member(hall.guild, ban(owner, false), hall.act())
            .await,
        refused
    );
    let timed_out = store
        .time_out_member(hall.guild, owner, Some(1), hall.act())
        .await;
    assert_eq!(timed_out, Err(MemberError::IsOwner));
    let nobody = store.leave_guild(hall.guild, hall.eve).await;
    assert_eq!(nobody, Err(MemberError::NotAMember));
}

async fn the_log_is_paged_and_filtered<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    for n in 0..5 {
        let record = AuditRecord::new(AuditAction::VoiceMoved, format!("m{n}")).user(hall.bob);
        let by = if n == 3 { hall.bob } else { hall.ann };
        store
            .record_audit(hall.guild, record, Act::new(by, n))
            .await
            .unwrap();
    }
    let page = async |filter, limit| {
        let page = store.audit_page(hall.guild, filter, limit).await.unwrap();
        let targets: Vec<_> = page
            .entries
            .iter()
            .map(|entry| entry.target.clone())
            .collect();
        (
            targets,
            page.more,
            page.entries.last().map(|entry| entry.id),
        )
    };
    let (targets, more, last) = page(AuditFilter::default(), 2).await;
    assert_eq!(
        (targets, more),
        (vec!["m4".to_owned(), "m3".to_owned()], true)
    );
    let older = AuditFilter {
        before: last,
        action: Some(AuditAction::VoiceMoved),
        by: None,
    };
    let (targets, more, _) = page(older, 3).await;
    assert_eq!(
        (targets, more),
        (["m2", "m1", "m0"].map(str::to_owned).to_vec(), false)
    );
    let bobs = AuditFilter {
        by: Some(hall.bob),
        ..AuditFilter::default()
    };
    assert_eq!(page(bobs, 9).await.0, ["m3"]);
    let elsewhere = store
        .audit_page(GuildId(99), AuditFilter::default(), 9)
        .await
        .unwrap();
    assert!(elsewhere.entries.is_empty());
    let entry = store
        .audit_page(hall.guild, bobs, 1)
        .await
        .unwrap()
        .entries
        .remove(0);
    assert_eq!(
        (entry.at_ms, entry.by.unwrap().id, entry.target_user_id),
        (3, hall.bob, Some(hall.bob))
    );
}

async fn the_log_is_forgotten_after_a_year<S: Store>(store: &S) {
    let hall = Hall::make(store).await;
    let entries = async || {
        store
            .audit_page(hall.guild, AuditFilter::default(), 99)
            .await
            .unwrap()
            .entries
            .len()
    };
    let note = async |now| {
        let record = AuditRecord::new(AuditAction::VoiceMoved, "m");
        store
            .record_audit(hall.guild, record, Act::new(hall.ann, now))
            .await
            .unwrap();
    };
    note(1).await;
    note(AUDIT_KEPT_MS).await;
    let before = entries().await;
    for n in 0..before {
        note(AUDIT_KEPT_MS + 10 + i64::try_from(n).unwrap()).await;
    }
    // Only the one of within a year is left of those.
    assert_eq!(entries().await, before + 1);
}

async fn networks_are_banned_from_the_server<S: Store>(store: &S) {
    let ban = |reason: &str, until_ms| ServerBan {
        network: "203.0.113.0/24".into(),
        reason: reason.into(),
        at_ms: 1,
        until_ms,
    };
    store.add_server_ban(ban("spam", None)).await.unwrap();
    store.add_server_ban(ban("floods", Some(9))).await.unwrap();
    assert_eq!(store.server_bans().await.unwrap(), [ban("floods", Some(9))]);
    assert_eq!(store.remove_server_ban("203.0.113.0/24").await, Ok(true));
    assert_eq!(store.remove_server_ban("203.0.113.0/24").await, Ok(false));
}
