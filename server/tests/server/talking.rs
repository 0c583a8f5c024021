//! Messages and voice channels among people who are signed in.

use voxhall_protocol::{
    ChannelId,
    control::{
        ChannelKind, Event, FailureKind, JoinVoice, LeaveReason, LeaveVoice, ListMessages, Ping,
        Presence, Ready, SendMessage, Status, UpdateVoice,
    },
};

use crate::{client::Client, fixture::Server};

pub fn channel(ready: &Ready, kind: ChannelKind) -> ChannelId {
    let channels = &ready.guilds[0].channels;
    channels.iter().find(|c| c.kind == kind).unwrap().id
}

fn join(channel_id: ChannelId) -> JoinVoice {
    JoinVoice {
        channel_id,
        muted: false,
        deafened: false,
        bundles: false,
    }
}

#[tokio::test]
async fn a_message_is_stored_once_and_told_to_everyone() {
    let server = Server::start();
    let (mut ann, ready) = Client::guest(&server, "ann").await;
    let (mut bob, _) = Client::guest(&server, "bob").await;
    let text = channel(&ready, ChannelKind::Text);
    let send = |text: &str, nonce: &str, channel_id| SendMessage::new(channel_id, text, nonce);
    let first = ann.call(&send("hi", "n1", text)).await.unwrap();
    let twin = ann.call(&send("hi", "n1", text)).await.unwrap();
    assert_eq!(first, twin);
    let second = ann.call(&send("there", "n2", text)).await.unwrap();
    for message in [&first, &second] {
        let told = bob
            .event(|event| matches!(event, Event::MessageCreated { .. }))
            .await;
        assert!(matches!(told, Event::MessageCreated { message: told, .. } if told == *message));
    }
    let page = bob.call(&ListMessages::newest(text)).await.unwrap();
    assert_eq!(page.messages, [first, second]);
    assert!(!page.more);

    let voice = channel(&ready, ChannelKind::Voice);
    for (call, kind) in [
        (send(" ", "n3", text), FailureKind::InvalidParams),
        (
            send(&"x".repeat(4_001), "n3", text),
            FailureKind::InvalidParams,
        ),
        (send("x", "", text), FailureKind::InvalidParams),
        (send("x", "n3", voice), FailureKind::InvalidParams),
        (send("x", "n3", ChannelId(999)), FailureKind::NotFound),
    ] {
        assert_eq!(ann.refused(&call).await, kind);
    }
}

#[tokio::test]
async fn two_in_a_voice_channel_share_a_key_that_the_leaver_loses() {
    let server = Server::start();
    let (mut ann, ready) = Client::guest(&server, "ann").await;
    let (mut bob, _) = Client::guest(&server, "bob").await;
    let (mut eve, _) = Client::guest(&server, "eve").await;
    let lounge = channel(&ready, ChannelKind::Voice);

    let first = ann.call(&join(lounge)).await.unwrap();
    assert_eq!(first.participants.len(), 1);
    let second = bob.call(&join(lounge)).await.unwrap();
    assert_eq!(second.participants.len(), 2);
    assert_ne!(second.key, first.key);
    assert_ne!(second.ssrc, first.ssrc);
    assert_ne!(second.sender_index, first.sender_index);
    let Event::VoiceRekeyed { key, .. } = ann
        .event(|event| matches!(event, Event::VoiceRekeyed { .. }))
        .await
    else {
        unreachable!()
    };
    assert_eq!(key, second.key);

    let update = UpdateVoice {
        muted: true,
        deafened: false,
    };
    bob.call(&update).await.unwrap();
    eve.event(|event| matches!(event, Event::VoiceUpdated { state, .. } if state.muted))
        .await;
    bob.call(&LeaveVoice {}).await.unwrap();
    let left = eve
        .event(|event| {
            assert!(
                !matches!(event, Event::VoiceRekeyed { .. }),
                "eve is not in the channel"
            );
            matches!(event, Event::VoiceLeft { .. })
        })
        .await;
    assert!(matches!(
        left,
        Event::VoiceLeft {
            reason: LeaveReason::Left,
            ..
        }
    ));
    let Event::VoiceRekeyed { key, .. } = ann
        .event(|event| matches!(event, Event::VoiceRekeyed { .. }))
        .await
    else {
        unreachable!()
    };
    assert_ne!(key.base_key, second.key.base_key);

    let text = channel(&ready, ChannelKind::Text);
    assert_eq!(ann.refused(&join(text)).await, FailureKind::NotFound);
    assert_eq!(
        ann.refused(&join(ChannelId(999))).await,
        FailureKind::NotFound
    );
}

#[tokio::test]
async fn a_lost_connection_is_not_offline_while_its_voice_waits() {
    let server = Server::start();
    let (mut ann, ready) = Client::guest(&server, "ann").await;
    let lounge = channel(&ready, ChannelKind::Voice);
    let mut bob = Client::greeted(&server).await;
    let credentials = bob
        .sign_in_guest("bob", &server.invite_code())
        .await
        .unwrap();
    bob.begin(&credentials.access_token).await.unwrap();
    let grant = bob.call(&join(lounge)).await.unwrap();
    drop(bob);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;

    let mut back = Client::greeted(&server).await;
    let ready = back.begin(&credentials.access_token).await.unwrap();
    let states = &ready.guilds[0].voice;
    assert_eq!(states.len(), 1);
    assert_eq!(states[0].ssrc, grant.ssrc, "the same voice session");
    back.event(|event| matches!(event, Event::VoiceRekeyed { key, .. } if *key == grant.key))
        .await;
    ann.call(&Ping {}).await.unwrap();
    let noticed = ann.take_events();
    let offline = |event: &Event| matches!(event, Event::PresenceChanged { presence, .. } if !presence.is_online());
    assert!(
        !noticed.iter().any(offline),
        "who talks is there: {noticed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_for_who_hung_up_is_told_to_the_others() {
    let server = Server::start_with(&["--sign-ins-per-minute", "200"]);
    let (mut watcher, ready) = Client::guest(&server, "watcher").await;
    let text = channel(&ready, ChannelKind::Text);
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(Client::guest(&server, &format!("hasty {n}")).await.0);
    }
    let hasty = clients.into_iter().map(async |mut client| {
        for n in 0..5 {
            let send = SendMessage::new(text, "bye", n.to_string());
            // The rest is on its way when the line breaks, and how much of it arrives is up to the network.
            if n == 0 {
                client.call(&send).await.unwrap();
            } else {
                client.send(&send).await;
            }
        }
    });
    futures_util::future::join_all(hasty).await;

    let mut offline = 0;
    let mut told = std::collections::BTreeSet::new();
    while offline < 20 {
        match watcher.event(|_| true).await {
            Event::MessageCreated { message, .. } => {
                told.insert(message.id);
            }
            Event::PresenceChanged {
                presence:
                    Presence {
                        status: Status::Offline,
                        ..
                    },
                ..
            } => offline += 1,
            _ => {}
        }
    }
    let mut stored = std::collections::BTreeSet::new();
    let mut before = None;
    loop {
        let list = ListMessages {
            before,
            ..ListMessages::newest(text)
        };
        let page = watcher.call(&list).await.unwrap();
        before = page.messages.first().map(|message| message.id);
        stored.extend(page.messages.iter().map(|message| message.id));
        if !page.more {
            break;
        }
    }
    assert!(stored.len() >= 20);
    assert_eq!(told, stored);
}
