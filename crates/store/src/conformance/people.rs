//! How people stand to each other, and their conversations.

use std::{future::poll_fn, task::Poll};

use voxhall_protocol::{
    UserId,
    control::{OwnPresence, RelationKind, StatusChoice},
    limits::{MAX_GROUP_MEMBERS, MAX_RELATIONS},
};

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    friends_ask_accept_and_part(&fresh()).await;
    who_is_blocked_isnt_told(&fresh()).await;
    strangers_cant_fill_up_what_one_has(&fresh()).await;
    followers_are_counted_and_paged(&fresh()).await;
    accounts_are_found_by_their_beginning(&fresh()).await;
    presence_is_kept_as_chosen(&fresh()).await;
    two_people_have_one_conversation(&fresh()).await;
    groups_are_of_friends(&fresh()).await;
    a_group_asked_for_again_is_the_same(&fresh()).await;
}

async fn accounts<S: Store, const N: usize>(store: &S, names: [&str; N]) -> [UserId; N] {
    let mut ids = [UserId(0); N];
    for (at, name) in names.into_iter().enumerate() {
        ids[at] = store
            .create_account(name.into(), "$hash".into(), 1)
            .await
            .unwrap()
            .id;
    }
    ids
}

async fn befriend<S: Store>(store: &S, one: UserId, other: UserId) {
    store.request_friend(one, other, 1).await.unwrap();
    store.accept_friend(other, one, 1).await.unwrap();
}

/// How the two stand to each other.
async fn between<S: Store>(store: &S, one: UserId, other: UserId) -> [Option<RelationKind>; 2] {
    let all = store.relations().await.unwrap();
    [(one, other), (other, one)].map(|(user, other)| {
        all.iter()
            .find(|relation| relation.user == user && relation.other == other)
            .map(|relation| relation.kind)
    })
}

const FRIENDS: [Option<RelationKind>; 2] = [Some(RelationKind::Friend), Some(RelationKind::Friend)];
const ASKED: [Option<RelationKind>; 2] =
    [Some(RelationKind::Outgoing), Some(RelationKind::Incoming)];
const NOTHING: [Option<RelationKind>; 2] = [None, None];

async fn friends_ask_accept_and_part<S: Store>(store: &S) {
    let [ann, bob, eve] = accounts(store, ["ann", "bob", "eve"]).await;
    // Asked twice is asked once.
    for _ in 0..2 {
        assert_eq!(
            store.request_friend(ann, bob, 1).await,
            Ok(RelationKind::Outgoing)
        );
        assert_eq!(between(store, ann, bob).await, ASKED);
    }
    assert_eq!(
        store.accept_friend(ann, bob, 1).await,
        Err(RelateError::NoUser),
        "only who was asked accepts"
    );
    for _ in 0..2 {
        store.accept_friend(bob, ann, 1).await.unwrap();
        assert_eq!(between(store, ann, bob).await, FRIENDS);
    }
    assert_eq!(
        store.request_friend(ann, bob, 1).await,
        Ok(RelationKind::Friend)
    );
    for _ in 0..2 {
        store.remove_friend(bob, ann).await.unwrap();
        assert_eq!(between(store, ann, bob).await, NOTHING);
    }
    // Who asks whoever has asked accepts.
    store.request_friend(ann, eve, 1).await.unwrap();
    assert_eq!(
        store.request_friend(eve, ann, 1).await,
        Ok(RelationKind::Friend)
    );
    assert_eq!(between(store, ann, eve).await, FRIENDS);
    // Refused, and taken back.
    for by in [ann, bob] {
        store.request_friend(ann, bob, 1).await.unwrap();
        store
            .remove_friend(by, if by == ann { bob } else { ann })
            .await
            .unwrap();
        assert_eq!(between(store, ann, bob).await, NOTHING);
    }
    assert_eq!(
        store.request_friend(ann, ann, 1).await,
        Err(RelateError::Oneself)
    );
    assert_eq!(
        store.request_friend(ann, UserId(u64::MAX), 1).await,
        Err(RelateError::NoUser)
    );
    assert_eq!(
        store.accept_friend(ann, UserId(u64::MAX), 1).await,
        Err(RelateError::NoUser)
    );
}

async fn who_is_blocked_isnt_told<S: Store>(store: &S) {
    let [ann, bob] = accounts(store, ["ann", "bob"]).await;
    befriend(store, ann, bob).await;
    store.follow(ann, bob, 1).await.unwrap();
    for _ in 0..2 {
        store.block(ann, bob, 1).await.unwrap();
        // As if the friendship had been ended.
        assert_eq!(
            between(store, ann, bob).await,
            [Some(RelationKind::Blocked), None]
        );
    }
    assert!(!store.profile(ann, bob).await.unwrap().unwrap().followed);
    assert_eq!(
        store.profile(bob, ann).await.unwrap().unwrap().relation,
        None
    );
    // As for anyone who doesn't answer.
    assert_eq!(
        store.request_friend(bob, ann, 1).await,
        Ok(RelationKind::Outgoing)
    );
    assert_eq!(
        between(store, ann, bob).await,
        [Some(RelationKind::Blocked), Some(RelationKind::Outgoing)]
    );
    assert_eq!(
        store.request_friend(ann, bob, 1).await,
        Err(RelateError::Blocked)
    );
    assert_eq!(
        store.accept_friend(ann, bob, 1).await,
        Err(RelateError::NoUser)
    );
    // Ending a friendship is no way out of a block.
    store.remove_friend(ann, bob).await.unwrap();
    store.remove_friend(bob, ann).await.unwrap();
    assert_eq!(
        between(store, ann, bob).await,
        [Some(RelationKind::Blocked), None]
    );
    store.block(bob, ann, 1).await.unwrap();
    store.unblock(ann, bob).await.unwrap();
    store.unblock(ann, bob).await.unwrap();
    assert_eq!(
        between(store, ann, bob).await,
        [None, Some(RelationKind::Blocked)]
    );
    // What was asked in vain can be answered after all.
    assert_eq!(
        store.request_friend(ann, bob, 1).await,
        Ok(RelationKind::Outgoing)
    );
    store.unblock(bob, ann).await.unwrap();
    assert_eq!(
        store.request_friend(bob, ann, 1).await,
        Ok(RelationKind::Friend)
    );
    // Only a block is unblocked.
    store.unblock(bob, ann).await.unwrap();
    assert_eq!(between(store, ann, bob).await, FRIENDS);
    assert_eq!(store.block(ann, ann, 1).await, Err(RelateError::Oneself));
    assert_eq!(
        store.block(ann, UserId(u64::MAX), 1).await,
        Err(RelateError::NoUser)
    );
}

async fn strangers_cant_fill_up_what_one_has<S: Store>(store: &S) {
    let [ann] = accounts(store, ["ann"]).await;
    let others = (0..MAX_RELATIONS + 2)
        .map(|n| store.create_account(format!("other {n}"), "$hash".into(), 1));
    let others: Vec<_> = together(others)
        .await
        .into_iter()
        .map(|user| user.unwrap().id)
        .collect();
    let asking = &others[..MAX_INCOMING as usize + 5];
    for asked in together(
        asking
            .iter()
            .map(|other| store.request_friend(*other, ann, 1)),
    )
    .await
    {
        assert_eq!(asked, Ok(RelationKind::Outgoing));
    }
    let relations = store.relations().await.unwrap();
    let incoming: Vec<_> = relations
        .iter()
        .filter(|relation| relation.user == ann)
        .map(|relation| relation.other)
        .collect();
    assert_eq!(incoming.len(), MAX_INCOMING as usize);
    let [rest @ .., late, last] = &others[..] else {
        panic!("there are more than two");
    };
    let blocked = rest.iter().filter(|other| !incoming.contains(other));
    for blocked in together(blocked.map(|other| store.block(ann, *other, 1))).await {
        assert_eq!(blocked, Ok(()));
    }
    assert_eq!(
        store.request_friend(ann, *last, 1).await,
        Err(RelateError::TooMany)
    );
    // Nobody has to bear another because of it.
    assert_eq!(store.block(ann, *late, 1).await, Ok(()));
    assert_eq!(
        between(store, ann, *late).await,
        [Some(RelationKind::Blocked), None]
    );
    // What is there can still change.
    store.accept_friend(ann, incoming[0], 1).await.unwrap();
    store.block(ann, incoming[0], 1).await.unwrap();
}

/// All at once, so that they share commits.
async fn together<T>(work: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut work: Vec<_> = work
        .into_iter()
        .map(|work| (Box::pin(work), None))
        .collect();
    poll_fn(|cx| {
        for (work, done) in &mut work {
            if done.is_none()
                && let Poll::Ready(result) = work.as_mut().poll(cx)
            {
                *done = Some(result);
            }
        }
        if work.iter().all(|(_, done)| done.is_some()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    work.into_iter()
        .map(|(_, done)| done.expect("all are done"))
        .collect()
}

async fn followers_are_counted_and_paged<S: Store>(store: &S) {
    let [ann, bob, eve] = accounts(store, ["ann", "bob", "eve"]).await;
    for follower in [bob, eve, bob] {
        store.follow(follower, ann, 1).await.unwrap();
    }
    store.follow(ann, bob, 1).await.unwrap();
    let profile = store.profile(bob, ann).await.unwrap().unwrap();
    assert_eq!((profile.followers, profile.following), (2, 1));
    assert!(profile.followed && profile.follows_you);
    let page = async |after, limit| {
        let page = store.followers(ann, after, limit).await.unwrap();
        (
            page.users.iter().map(|user| user.id).collect::<Vec<_>>(),
            page.more,
        )
    };
    assert_eq!(page(None, 1).await, (vec![bob], true));
    assert_eq!(page(Some(bob), 1).await, (vec![eve], false));
    assert_eq!(page(Some(eve), 1).await, (vec![], false));
    let following = store.following(bob, None, 5).await.unwrap();
    assert_eq!((following.users[0].id, following.users.len()), (ann, 1));
    for _ in 0..2 {
        store.unfollow(bob, ann).await.unwrap();
    }
    assert_eq!(store.profile(bob, ann).await.unwrap().unwrap().followers, 1);
    assert_eq!(store.follow(ann, ann, 1).await, Err(RelateError::Oneself));
    assert_eq!(
        store.follow(ann, UserId(u64::MAX), 1).await,
        Err(RelateError::NoUser)
    );
    assert_eq!(store.profile(ann, UserId(u64::MAX)).await, Ok(None));
}

async fn accounts_are_found_by_their_beginning<S: Store>(store: &S) {
    let [anna, hannah, ann, bob] = accounts(store, ["Anna", "Hannah", "ann", "bob"]).await;
    store.sign_up(guest("Anne", 1)).await.unwrap();
    let named = ProfileUpdate {
        display_name: Some("Ännchen, ANNoyed".into()),
        ..ProfileUpdate::default()
    };
    store.update_profile(bob, named).await.unwrap();
    let find = async |beginning: &str, limit| {
        let page = store.find_users(beginning, limit).await.unwrap();
        (
            page.users.iter().map(|user| user.id).collect::<Vec<_>>(),
            page.more,
        )
    };
    // The exact name first.
    assert_eq!(find("ANN", 9).await, (vec![ann, anna], false));
    assert_eq!(find("ann", 1).await, (vec![ann], true));
    assert_eq!(find("änn", 9).await, (vec![bob], false));
    assert_eq!(find("bo", 9).await, (vec![bob], false));
    assert_eq!(find("han", 9).await, (vec![hannah], false));
    for none in ["%nn", "_nn", "annn", "anna ", "\u{10ffff}"] {
        assert_eq!(find(none, 9).await, (vec![], false), "{none}");
    }
    store.update_user(anna, Some(true), None, 1).await.unwrap();
    assert_eq!(find("anna", 9).await, (vec![], false));
    assert_eq!(
        store.user_by_name("HANNAH").await.unwrap().unwrap().id,
        hannah
    );
    assert_eq!(store.user_by_name("anne").await, Ok(None));
}

async fn presence_is_kept_as_chosen<S: Store>(store: &S) {
    let [ann] = accounts(store, ["ann"]).await;
    let choose = |choice, custom_status: Option<&str>, custom_until_ms| {
        store.choose_presence(
            ann,
            PresenceChoice {
                choice,
                custom_status: custom_status.map(str::to_owned),
                custom_until_ms,
            },
        )
    };
    let away = OwnPresence {
        choice: StatusChoice::DoNotDisturb,
        custom_status: Some("away".into()),
        custom_until_ms: Some(9),
    };
    assert_eq!(
        choose(Some(StatusChoice::DoNotDisturb), Some("away"), Some(9))
            .await
            .as_ref(),
        Ok(&away)
    );
    assert_eq!(choose(None, None, None).await.as_ref(), Ok(&away));
    assert_eq!(store.users().await.unwrap()[0].presence, away);
    let invisible = OwnPresence {
        choice: StatusChoice::Invisible,
        ..OwnPresence::default()
    };
    assert_eq!(
        choose(Some(StatusChoice::Invisible), Some(""), Some(9)).await,
        Ok(invisible.clone())
    );
    assert_eq!(store.users().await.unwrap()[0].presence, invisible);
    let nobody = store
        .choose_presence(UserId(u64::MAX), PresenceChoice::default())
        .await;
    assert_eq!(nobody, Err(RelateError::NoUser));
}

async fn two_people_have_one_conversation<S: Store>(store: &S) {
    let (ann, ..) = room(store).await;
    let bob = store
        .sign_up(by_invite(guest("bob", 2), "g-invite"))
        .await
        .unwrap()
        .user
        .id;
    let [friend, stranger] = accounts(store, ["friend", "stranger"]).await;
    befriend(store, ann, friend).await;
    // In one guild.
    let (one, two) = tokio::join!(
        store.open_direct(ann, bob, 1),
        store.open_direct(bob, ann, 1)
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    assert_eq!(
        (one.kind, one.members.as_slice()),
        (ChannelKind::Direct, &[ann, bob][..])
    );
    let with_friend = store.open_direct(ann, friend, 1).await.unwrap();
    assert_eq!(
        store.conversations().await.unwrap(),
        [one.clone(), with_friend.clone()]
    );
    assert_eq!(
        store.open_direct(ann, stranger, 1).await,
        Err(ConversationError::NotAllowed)
    );
    assert_eq!(
        store.open_direct(ann, ann, 1).await,
        Err(ConversationError::Oneself)
    );
    assert_eq!(
        store.open_direct(ann, UserId(u64::MAX), 1).await,
        Err(ConversationError::NoUser)
    );
    // What was said can still be read.
    store.block(bob, ann, 1).await.unwrap();
    assert_eq!(store.open_direct(ann, bob, 1).await, Ok(one.clone()));
    let eve = store
        .sign_up(by_invite(guest("eve", 3), "g-invite"))
        .await
        .unwrap()
        .user
        .id;
    for (blocker, blocked) in [(eve, bob), (bob, eve)] {
        store.block(blocker, blocked, 1).await.unwrap();
        assert_eq!(
            store.open_direct(bob, eve, 1).await,
            Err(ConversationError::NotAllowed)
        );
        assert_eq!(
            store.open_direct(eve, bob, 1).await,
            Err(ConversationError::NotAllowed)
        );
        store.unblock(blocker, blocked).await.unwrap();
    }
    // A direct conversation is what it is.
    assert_eq!(
        store.rename_group(one.id, ann, None).await,
        Err(ConversationError::NotAGroup)
    );
    assert_eq!(
        store.add_to_group(one.id, ann, friend, 1).await,
        Err(ConversationError::NotAGroup)
    );
    assert_eq!(
        store.remove_from_group(one.id, ann, bob).await,
        Err(ConversationError::NotAGroup)
    );
    assert_eq!(
        store.rename_group(one.id, friend, None).await,
        Err(ConversationError::NoConversation)
    );
}

async fn groups_are_of_friends<S: Store>(store: &S) {
    let [ann, bob, eve, kim] = accounts(store, ["ann", "bob", "eve", "kim"]).await;
    for friend in [bob, eve] {
        befriend(store, ann, friend).await;
    }
    befriend(store, bob, kim).await;
    assert_eq!(
        store.open_group(ann, vec![bob, kim], None, 1).await,
        Err(ConversationError::NotAFriend)
    );
    assert_eq!(
        store.open_group(ann, vec![ann], None, 1).await,
        Err(ConversationError::Oneself)
    );
    let too_many = (0..MAX_GROUP_MEMBERS as u64)
        .map(|n| UserId(1_000 + n))
        .collect();
    assert_eq!(
        store.open_group(ann, too_many, None, 1).await,
        Err(ConversationError::Full)
    );
    let group = store
        .open_group(ann, vec![eve, bob, eve, ann], Some("us".into()), 1)
        .await
        .unwrap();
    assert_eq!(
        (group.kind, group.owner, group.name.as_deref()),
        (ChannelKind::Group, Some(ann), Some("us"))
    );
    assert_eq!(group.members, [ann, bob, eve]);

    let strangers = Err(ConversationError::NoConversation);
    assert_eq!(
        store.rename_group(group.id, kim, None).await.map(drop),
        strangers
    );
    assert_eq!(
        store.add_to_group(group.id, kim, bob, 1).await.map(drop),
        strangers
    );
    assert_eq!(store.remove_from_group(group.id, kim, bob).await, strangers);
    assert_eq!(
        store
            .rename_group(ChannelId(u64::MAX), ann, None)
            .await
            .map(drop),
        strangers
    );

    assert_eq!(
        store.rename_group(group.id, bob, None).await.unwrap().name,
        None
    );
    assert_eq!(
        store.add_to_group(group.id, ann, kim, 2).await,
        Err(ConversationError::NotAFriend)
    );
    for _ in 0..2 {
        let grown = store.add_to_group(group.id, bob, kim, 2).await.unwrap();
        assert_eq!(grown.members, [ann, bob, eve, kim]);
    }
    assert_eq!(
        store.remove_from_group(group.id, bob, eve).await,
        Err(ConversationError::NotTheOwner)
    );
    for _ in 0..2 {
        store.remove_from_group(group.id, ann, eve).await.unwrap();
    }
    // Who was there longest takes over.
    for _ in 0..2 {
        store.remove_from_group(group.id, ann, ann).await.unwrap();
    }
    let left = store.conversations().await.unwrap().remove(0);
    assert_eq!(
        (left.owner, left.members.as_slice()),
        (Some(bob), &[bob, kim][..])
    );
    store.remove_from_group(group.id, kim, kim).await.unwrap();
    store.remove_from_group(group.id, bob, bob).await.unwrap();
    assert_eq!(store.conversations().await, Ok(vec![]));

    let mut friends = Vec::new();
    for n in 0..MAX_GROUP_MEMBERS {
        let friend = store
            .create_account(format!("friend {n}"), "$hash".into(), 1)
            .await
            .unwrap()
            .id;
        befriend(store, ann, friend).await;
        friends.push(friend);
    }
    let last = friends.pop().unwrap();
    let full = store.open_group(ann, friends, None, 1).await.unwrap();
    assert_eq!(full.members.len(), MAX_GROUP_MEMBERS);
    assert_eq!(
        store.add_to_group(full.id, ann, last, 1).await,
        Err(ConversationError::Full)
    );
}

async fn a_group_asked_for_again_is_the_same<S: Store>(store: &S) {
    let [ann, bob, eve] = accounts(store, ["ann", "bob", "eve"]).await;
    for friend in [bob, eve] {
        befriend(store, ann, friend).await;
    }
    let open = |others: Vec<UserId>, name: Option<&str>, now| {
        store.open_group(ann, others, name.map(str::to_owned), now)
    };
    let first = open(vec![bob, eve], None, 1).await.unwrap();
    assert_eq!(
        open(vec![eve, bob], None, SAME_GROUP_WITHIN_MS)
            .await
            .unwrap(),
        first
    );
    for other in [
        open(vec![bob, eve], Some("x"), 2).await.unwrap(),
        open(vec![bob], None, 2).await.unwrap(),
        open(vec![bob, eve], None, 1 + SAME_GROUP_WITHIN_MS)
            .await
            .unwrap(),
    ] {
        assert_ne!(other.id, first.id);
    }
}
