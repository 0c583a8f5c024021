//! Friends, blocked people, presence, and conversations between people.

use voxhall_protocol::{
    UserId,
    control::{
        AcceptFriend, AddToConversation, AdminUpdateUser, BlockUser, ChannelKind, Event,
        FailureKind, FindUsers, FollowUser, GetProfile, ListFollowers, Login, OpenConversation,
        RelationKind, RemoveFriend, RemoveFromConversation, RequestFriend, SetPresence, Status,
        StatusChoice, UnblockUser, UnfollowUser, UpdateConversation,
    },
};

use crate::{
    client::Client,
    fixture::Server,
    people::{Person, busy_server},
};

async fn people<const N: usize>(server: &Server, names: [&str; N]) -> Vec<Person> {
    let mut people = Vec::new();
    for name in names {
        people.push(Person::new(server, name, &server.invite_code()).await);
    }
    people
}

fn request(user: UserId) -> RequestFriend {
    RequestFriend {
        user_id: Some(user),
        name: None,
    }
}

async fn befriend(one: &mut Person, other: &mut Person) {
    one.call(&request(other.id)).await.unwrap();
    other.call(&AcceptFriend { user_id: one.id }).await.unwrap();
}

fn open(others: &[&Person]) -> OpenConversation {
    OpenConversation {
        user_ids: others.iter().map(|other| other.id).collect(),
        name: None,
    }
}

#[tokio::test]
async fn friends_ask_accept_and_see_each_other() {
    let server = busy_server();
    let [mut ann, mut bob]: [Person; 2] = people(&server, ["ann", "bob"])
        .await
        .try_into()
        .ok()
        .unwrap();
    let by_name = RequestFriend {
        user_id: None,
        name: Some("BOB".into()),
    };
    let asked = ann.call(&by_name).await.unwrap();
    assert_eq!(
        (asked.user.id, asked.kind),
        (bob.id, RelationKind::Outgoing)
    );
    let told = bob
        .client
        .event(|event| matches!(event, Event::RelationUpdated { .. }))
        .await;
    assert!(
        matches!(told, Event::RelationUpdated { relation } if relation.user.id == ann.id && relation.kind == RelationKind::Incoming)
    );
    let accepted = bob.call(&AcceptFriend { user_id: ann.id }).await.unwrap();
    assert_eq!(
        (accepted.kind, accepted.presence.status),
        (RelationKind::Friend, Status::Online)
    );
    let is_friend = |event: &Event| matches!(event, Event::RelationUpdated { relation } if relation.kind == RelationKind::Friend);
    ann.client.event(is_friend).await;
    let away = SetPresence {
        choice: Some(StatusChoice::DoNotDisturb),
        custom_status: Some("in the woods".into()),
        custom_until_ms: None,
    };
    ann.call(&away).await.unwrap();
    let seen = bob.client.event(|event| matches!(event, Event::PresenceChanged { user_id, presence } if *user_id == ann.id && presence.status == Status::DoNotDisturb)).await;
    assert!(
        matches!(seen, Event::PresenceChanged { presence, .. } if presence.custom_status.as_deref() == Some("in the woods"))
    );

    for refused in [
        request(ann.id),
        RequestFriend {
            user_id: None,
            name: None,
        },
    ] {
        assert_eq!(ann.tries(&refused).await, Some(FailureKind::InvalidParams));
    }
    for nobody in [
        request(UserId(999)),
        RequestFriend {
            user_id: None,
            name: Some("nobody".into()),
        },
    ] {
        assert_eq!(ann.tries(&nobody).await, Some(FailureKind::NotFound));
    }
    for _ in 0..2 {
        bob.call(&RemoveFriend { user_id: ann.id }).await.unwrap();
    }
    let gone = ann
        .client
        .event(|event| matches!(event, Event::RelationRemoved { .. }))
        .await;
    assert!(matches!(gone, Event::RelationRemoved { user_id } if user_id == bob.id));
}

#[tokio::test]
async fn a_block_is_not_told() {
    let server = busy_server();
    let [mut ann, mut bob, mut calm]: [Person; 3] = people(&server, ["ann", "bob", "calm"])
        .await
        .try_into()
        .ok()
        .unwrap();
    ann.call(&BlockUser { user_id: bob.id }).await.unwrap();
    // Bob asks one who blocked him and one who doesn't answer: the same words.
    let mut blocked = bob.call(&request(ann.id)).await.unwrap();
    let calm_answer = bob.call(&request(calm.id)).await.unwrap();
    blocked.user = calm_answer.user.clone();
    assert_eq!(blocked, calm_answer);
    let of_ann = bob.call(&GetProfile { user_id: ann.id }).await.unwrap();
    let of_calm = bob.call(&GetProfile { user_id: calm.id }).await.unwrap();
    assert_eq!(
        (of_ann.relation, of_ann.follows_you),
        (of_calm.relation, of_calm.follows_you)
    );
    // Neither was told anything but what they did: the next thing that ann hears is what calm asks.
    calm.call(&request(ann.id)).await.unwrap();
    let incoming = |event: &Event| matches!(event, Event::RelationUpdated { relation } if relation.kind == RelationKind::Incoming);
    let heard = ann.client.event(incoming).await;
    assert!(matches!(heard, Event::RelationUpdated { relation } if relation.user.id == calm.id));
    assert_eq!(
        ann.tries(&request(bob.id)).await,
        Some(FailureKind::Blocked)
    );
    // No new conversation, from either side.
    assert_eq!(bob.tries(&open(&[&ann])).await, Some(FailureKind::Blocked));
    assert_eq!(ann.tries(&open(&[&bob])).await, Some(FailureKind::Blocked));
    ann.call(&UnblockUser { user_id: bob.id }).await.unwrap();
    assert_eq!(
        ann.call(&request(bob.id)).await.unwrap().kind,
        RelationKind::Friend
    );
    bob.call(&open(&[&ann])).await.unwrap();
}

#[tokio::test]
async fn people_are_found_and_followed() {
    let server = busy_server();
    let [mut ann, mut bob]: [Person; 2] = people(&server, ["Annabel", "bob"])
        .await
        .try_into()
        .ok()
        .unwrap();
    let find = |query: &str| FindUsers {
        query: query.into(),
    };
    let found = bob.call(&find("aNN")).await.unwrap();
    assert_eq!(
        found.users.iter().map(|user| user.id).collect::<Vec<_>>(),
        [ann.id]
    );
    assert_eq!(
        bob.tries(&find("a")).await,
        Some(FailureKind::InvalidParams)
    );
    assert_eq!(
        bob.tries(&find(&"a".repeat(33))).await,
        Some(FailureKind::InvalidParams)
    );
    for _ in 0..2 {
        let profile = bob.call(&FollowUser { user_id: ann.id }).await.unwrap();
        assert!(profile.followed);
        assert_eq!(profile.followers, 1);
    }
    let followers = ListFollowers {
        user_id: ann.id,
        after: None,
    };
    assert_eq!(ann.call(&followers).await.unwrap().users[0].id, bob.id);
    for _ in 0..2 {
        assert_eq!(
            bob.call(&UnfollowUser { user_id: ann.id })
                .await
                .unwrap()
                .followers,
            0
        );
    }
    assert_eq!(
        bob.tries(&FollowUser { user_id: bob.id }).await,
        Some(FailureKind::InvalidParams)
    );
    assert_eq!(
        bob.tries(&GetProfile {
            user_id: UserId(999)
        })
        .await,
        Some(FailureKind::NotFound)
    );
}

#[tokio::test]
async fn conversations_are_between_their_people() {
    let mut server = busy_server();
    let [mut ann, mut bob, mut eve]: [Person; 3] = people(&server, ["ann", "bob", "eve"])
        .await
        .try_into()
        .ok()
        .unwrap();
    let direct = ann.call(&open(&[&bob])).await.unwrap();
    assert_eq!(direct.kind, ChannelKind::Direct);
    let told = bob
        .client
        .event(|event| matches!(event, Event::ConversationUpdated { .. }))
        .await;
    assert!(
        matches!(told, Event::ConversationUpdated { conversation } if conversation.id == direct.id)
    );
    assert_eq!(bob.call(&open(&[&ann])).await.unwrap().id, direct.id);
    assert_eq!(
        ann.tries(&open(&[])).await,
        Some(FailureKind::InvalidParams)
    );
    assert_eq!(
        ann.tries(&open(&[&bob, &eve])).await,
        Some(FailureKind::Forbidden),
        "only friends come into a group"
    );

    befriend(&mut ann, &mut bob).await;
    befriend(&mut ann, &mut eve).await;
    let group = ann.call(&open(&[&bob, &eve])).await.unwrap();
    assert_eq!(
        (group.kind, group.owner_id, group.members.len()),
        (ChannelKind::Group, Some(ann.id), 3)
    );
    let again = ann.call(&open(&[&eve, &bob])).await.unwrap();
    assert_eq!(again.id, group.id, "asked again, as after a lost answer");
    let rename = UpdateConversation {
        channel_id: group.id,
        name: " us ".into(),
    };
    assert_eq!(eve.call(&rename).await.unwrap().name.as_deref(), Some("us"));
    bob.client.event(|event| matches!(event, Event::ConversationUpdated { conversation } if conversation.name.is_some())).await;

    // Who isn't in it gets what they would get for one that doesn't exist.
    let mut stranger = Person::new(&server, "stranger", &server.invite_code()).await;
    let mut answers = Vec::new();
    for channel_id in [group.id, direct.id, voxhall_protocol::ChannelId(999_999)] {
        let user_id = bob.id;
        answers.push([
            stranger
                .call(&UpdateConversation {
                    channel_id,
                    name: "x".into(),
                })
                .await
                .unwrap_err(),
            stranger
                .call(&AddToConversation {
                    channel_id,
                    user_id,
                })
                .await
                .unwrap_err(),
            stranger
                .call(&RemoveFromConversation {
                    channel_id,
                    user_id,
                })
                .await
                .unwrap_err(),
        ]);
    }
    assert!(
        answers
            .iter()
            .flatten()
            .all(|answer| answer.kind() == FailureKind::NotFound)
    );
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[1], answers[2]);
    let take_out = |person: &Person| RemoveFromConversation {
        channel_id: group.id,
        user_id: person.id,
    };
    assert_eq!(
        bob.tries(&take_out(&eve)).await,
        Some(FailureKind::Forbidden)
    );
    ann.call(&take_out(&eve)).await.unwrap();
    eve.client.event(|event| matches!(event, Event::ConversationLeft { channel_id } if *channel_id == group.id)).await;
    ann.call(&take_out(&ann)).await.unwrap();
    let passed_on = |event: &Event| matches!(event, Event::ConversationUpdated { conversation } if conversation.owner_id == Some(bob.id));
    bob.client.event(passed_on).await;

    server.kill();
    server.start_again();
    let login = Login {
        name: "bob".into(),
        password: "correct horse".into(),
        device: "test".into(),
    };
    let mut client = Client::greeted(&server).await;
    let credentials = client.call(&login).await.unwrap();
    let ready = client.begin(&credentials.access_token).await.unwrap();
    let ids: Vec<_> = ready
        .conversations
        .iter()
        .map(|conversation| conversation.id)
        .collect();
    assert_eq!(ids, [direct.id, group.id]);
    let friends: Vec<_> = ready
        .relations
        .iter()
        .map(|relation| (relation.user.id, relation.kind))
        .collect();
    assert_eq!(friends, [(ann.id, RelationKind::Friend)]);
}

#[tokio::test]
async fn a_suspended_account_is_out_until_it_is_let_back() {
    let server = busy_server();
    let owner = server.link("owner").code.unwrap();
    let mut admin = Person::new(&server, "owner", &owner).await;
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let suspend = |suspended| AdminUpdateUser {
        user_id: ann.id,
        suspended: Some(suspended),
        is_admin: None,
    };
    let (suspended, back) = (suspend(true), suspend(false));
    admin.call(&suspended).await.unwrap();
    ann.client.until_closed().await;
    let login = |password: &str| Login {
        name: "ann".into(),
        password: password.into(),
        device: "test".into(),
    };
    let mut client = Client::greeted(&server).await;
    // Only who knows the password learns why.
    assert_eq!(
        client.refused(&login("wrong horse")).await,
        FailureKind::WrongPassword
    );
    assert_eq!(
        client.refused(&login("correct horse")).await,
        FailureKind::Suspended
    );
    admin.call(&back).await.unwrap();
    client.call(&login("correct horse")).await.unwrap();
}
