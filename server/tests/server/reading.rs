//! Reading what was written: history, search, what is unread, and what is kept no longer.

use std::time::{Duration, Instant};

use voxhall_protocol::{
    MessageId,
    control::{
        CreateRole, Event, FailureKind, ListMessages, MarkRead, SearchMessages, SendMessage,
        StartTyping, UpdateRole,
    },
    permissions::Permissions,
};

use crate::{
    client::Client,
    fixture::Server,
    people::Person,
    text::{Club, club, club_on},
};

#[tokio::test]
async fn only_what_is_permitted_is_mentioned_and_counted_on_all_devices() {
    let mut club = club().await;
    let secret = club.channel("secret").await.id;
    club.deny(secret, Permissions::VIEW_CHANNEL).await;
    let role = CreateRole {
        guild_id: club.guild.id,
        name: "Crew".into(),
        permissions: Permissions::NONE,
        color: None,
    };
    let role = club.ann.call(&role).await.unwrap().id;
    club.ann.gives(club.guild.id, club.bob.id, &[role]).await;
    let (ann, bob) = (club.ann.id, club.bob.id);

    let text = format!("<@{ann}> <@{bob}> <@&{role}> @everyone <@999999> `<@{ann}>`");
    let first = club.bob.call(&club.send(&text, "1")).await.unwrap();
    let by_bob = &first.mentions;
    assert_eq!(
        (&by_bob.users[..], by_bob.roles.len(), by_bob.everyone),
        (&[ann, bob][..], 0, false)
    );
    let by_ann = club.ann.call(&club.send(&text, "1")).await.unwrap();
    assert_eq!(
        (by_ann.mentions.roles.as_slice(), by_ann.mentions.everyone),
        ([role].as_slice(), true)
    );
    let update = UpdateRole {
        guild_id: club.guild.id,
        role_id: role,
        name: None,
        permissions: None,
        color: None,
        hoist: None,
        mentionable: Some(true),
    };
    club.ann.call(&update).await.unwrap();
    let by_bob = club
        .bob
        .call(&club.send(&format!("<@&{role}>"), "2"))
        .await
        .unwrap();
    assert_eq!(by_bob.mentions.roles, [role]);
    let hidden = SendMessage::new(secret, format!("<@{bob}>"), "3");
    let hidden = club.ann.call(&hidden).await.unwrap();
    assert_eq!(hidden.mentions.users, [], "Bob can't see the channel");

    // Bob has read only what he wrote first; of four messages two are his own, and one of the others, where he is, mentions him.
    let state = async |club: &mut Club| {
        let token = club.bob.token.clone();
        let mut device = Client::greeted(&club.server).await;
        let ready = device.begin(&token).await.unwrap();
        assert!(
            ready
                .read_states
                .iter()
                .all(|state| state.channel_id != secret)
        );
        let state = ready
            .read_states
            .iter()
            .find(|state| state.channel_id == club.text)
            .copied();
        (state.unwrap(), device)
    };
    let (before, mut device) = state(&mut club).await;
    assert_eq!(
        (
            before.unread,
            before.mentions,
            before.last_read,
            before.last_message
        ),
        (1, 1, Some(MessageId(1)), Some(by_bob.id))
    );
    let mark = |message_id| MarkRead {
        channel_id: club.text,
        message_id,
    };
    let marked = club.bob.call(&mark(by_ann.id)).await.unwrap();
    assert_eq!(
        (marked.unread, marked.mentions, marked.last_read),
        (0, 0, Some(by_ann.id))
    );
    let told = device
        .event(|event| matches!(event, Event::ChannelRead { .. }))
        .await;
    assert_eq!(told, Event::ChannelRead { read_state: marked });
    let back = club.bob.call(&mark(MessageId(1))).await.unwrap();
    assert_eq!(back.last_read, Some(by_ann.id), "it never goes back");
    club.ann.call(&club.send("plain", "4")).await.unwrap();
    let (after, _) = state(&mut club).await;
    assert_eq!((after.unread, after.mentions), (1, 0));
    club.ann
        .call(&StartTyping {
            channel_id: club.text,
        })
        .await
        .unwrap();
    club.bob
        .client
        .event(|event| matches!(event, Event::TypingStarted { user_id, .. } if *user_id == ann))
        .await;
}

#[tokio::test]
async fn a_search_finds_in_what_one_may_see_and_nothing_else() {
    let mut club = club().await;
    let secret = club.channel("secret").await.id;
    club.deny(secret, Permissions::VIEW_CHANNEL).await;
    club.ann
        .call(&SendMessage::new(
            secret,
            "the treasure is under the tree",
            "s",
        ))
        .await
        .unwrap();
    let open = club
        .ann
        .call(&club.send("a Treasure map: https://maps.example", "o"))
        .await
        .unwrap();
    club.bob
        .call(&club.send("what treasure?", "o"))
        .await
        .unwrap();
    let search = |query: &str, guild_id, channel_id| SearchMessages {
        guild_id,
        channel_id,
        query: query.into(),
        before: None,
    };
    let here = Some(club.guild.id);
    let texts = async |person: &mut Person, query: &str| -> Vec<String> {
        let page = person.call(&search(query, here, None)).await.unwrap();
        page.found
            .into_iter()
            .map(|found| found.message.text)
            .collect()
    };
    assert_eq!(texts(&mut club.ann, "treasure").await.len(), 3);
    assert_eq!(
        texts(&mut club.bob, "treasure").await,
        ["what treasure?", "a Treasure map: https://maps.example"]
    );
    assert_eq!(texts(&mut club.bob, "trea").await.len(), 2);
    assert_eq!(texts(&mut club.bob, "tree").await, [""; 0]);
    assert_eq!(texts(&mut club.bob, "treasure in:secret").await, [""; 0]);
    assert_eq!(
        texts(&mut club.bob, &format!("treasure in:<#{secret}>")).await,
        [""; 0]
    );
    assert_eq!(texts(&mut club.ann, "treasure in:secret").await.len(), 1);
    assert_eq!(texts(&mut club.bob, "from:ann has:link").await.len(), 1);
    assert_eq!(texts(&mut club.bob, "\"treasure map\"").await.len(), 1);
    assert_eq!(
        texts(&mut club.bob, "after:2020-01-01 before:2021-01-01 treasure").await,
        [""; 0]
    );
    let found = club
        .bob
        .call(&search("map", here, None))
        .await
        .unwrap()
        .found
        .remove(0);
    assert_eq!(
        (found.message.id, found.highlights.as_slice()),
        (open.id, [(11, 14), (24, 28)].as_slice())
    );
    for odd in [
        "\"",
        "has:x",
        "*",
        "a\" OR \"b",
        "NEAR(",
        "text:",
        "treasure AND NOT map",
        "{}",
    ] {
        let refused = club.bob.tries(&search(odd, here, None)).await;
        assert!(
            matches!(refused, None | Some(FailureKind::InvalidParams)),
            "{odd}: {refused:?}"
        );
    }
    assert_eq!(
        club.bob
            .tries(&search("treasure", here, Some(secret)))
            .await,
        Some(FailureKind::NotFound)
    );
    let mut eve = Person::new(&club.server, "eve", &club.server.invite_code()).await;
    assert_eq!(
        eve.tries(&search("treasure", here, None)).await,
        Some(FailureKind::NotFound)
    );
    assert_eq!(
        eve.call(&search("treasure", None, None))
            .await
            .unwrap()
            .found,
        []
    );
}

#[tokio::test]
async fn history_is_walked_from_any_place() {
    let mut club = club().await;
    let mut ids = Vec::new();
    for n in 0..70 {
        let send = club.send(&n.to_string(), &n.to_string());
        let author = if n % 2 == 0 {
            &mut club.ann
        } else {
            &mut club.bob
        };
        ids.push(author.call(&send).await.unwrap().id);
    }
    let newest = ListMessages::newest(club.text);
    let mut page = async |list: ListMessages| {
        let page = club.bob.call(&list).await.unwrap();
        let ids: Vec<_> = page.messages.iter().map(|message| message.id).collect();
        (ids, page.more, page.more_after)
    };
    assert_eq!(page(newest).await, (ids[20..].to_vec(), true, false));
    let before = ListMessages {
        before: Some(ids[20]),
        ..newest
    };
    assert_eq!(page(before).await, (ids[..20].to_vec(), false, true));
    let after = ListMessages {
        after: Some(ids[9]),
        ..newest
    };
    assert_eq!(page(after).await, (ids[10..60].to_vec(), true, true));
    let around = ListMessages {
        around: Some(ids[40]),
        ..newest
    };
    assert_eq!(page(around).await, (ids[15..65].to_vec(), true, true));
    let begin = ListMessages {
        at_ms: Some(0),
        ..newest
    };
    assert_eq!(page(begin).await, (ids[..25].to_vec(), false, true));
    let both = ListMessages {
        at_ms: Some(0),
        ..around
    };
    assert_eq!(
        club.bob.tries(&both).await,
        Some(FailureKind::InvalidParams)
    );
}

#[tokio::test]
async fn messages_go_when_their_channel_keeps_them_no_longer() {
    let mut club = club_on(Server::start_with(&[
        "--sign-ins-per-minute",
        "10000",
        "--message-retention",
        "1 second",
    ]))
    .await;
    club.ann.call(&club.send("today", "n")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // It looks at what is old when it starts, and now and then.
    club.server.terminate();
    club.server.start_again();
    let mut ann = Client::greeted(&club.server).await;
    ann.begin(&club.ann.token).await.unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while !ann
        .call(&ListMessages::newest(club.text))
        .await
        .unwrap()
        .messages
        .is_empty()
    {
        assert!(Instant::now() < until, "it is still there");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
