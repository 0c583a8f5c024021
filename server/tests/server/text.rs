//! Messages and all that people do with them, as several people see it.

use std::pin::Pin;

use voxhall_protocol::{
    ChannelId, MessageId,
    control::{
        AuditAction, BlockUser, Channel, ChannelKind, CreateChannel, DeleteMessage, EditMessage,
        Event, FailureKind, Guild, ListAudit, ListMessages, ListPins, MarkRead, Message,
        OpenConversation, OverwriteTarget, PinMessage, ReactToMessage, SearchMessages, SendMessage,
        SetOverwrite, StartTyping, TimeoutMember, UnpinMessage, UnreactToMessage, UpdateChannel,
        UpdateGuild,
    },
    permissions::Permissions,
};

use crate::{
    client::Client,
    fixture::Server,
    people::{Person, busy_server, channel_of},
};

/// Ann, who may do everything, and Bob in her guild.
pub struct Club {
    pub server: Server,
    pub guild: Guild,
    pub text: ChannelId,
    pub ann: Person,
    pub bob: Person,
}

pub async fn club() -> Club {
    club_on(busy_server()).await
}

/// Boxed, for all that it holds while it is made.
pub fn club_on(server: Server) -> Pin<Box<dyn Future<Output = Club>>> {
    Box::pin(furnish(server))
}

async fn furnish(server: Server) -> Club {
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let guild = ann.makes_guild("Club").await;
    let code = ann.invites(guild.id).await;
    bob.joins(&code).await;
    let text = channel_of(&guild, ChannelKind::Text);
    Club {
        server,
        guild,
        text,
        ann,
        bob,
    }
}

impl Club {
    pub async fn channel(&mut self, name: &str) -> Channel {
        let create = CreateChannel {
            guild_id: self.guild.id,
            name: name.into(),
            kind: ChannelKind::Text,
            category_id: None,
        };
        self.ann.call(&create).await.unwrap()
    }

    /// What everyone but Ann may not do in a channel.
    pub async fn deny(&mut self, channel_id: ChannelId, deny: Permissions) {
        let overwrite = SetOverwrite {
            channel_id,
            target: OverwriteTarget::Role(self.guild.roles[0].id),
            allow: Permissions::NONE,
            deny,
        };
        self.ann.call(&overwrite).await.unwrap();
    }

    pub fn send(&self, text: &str, nonce: &str) -> SendMessage {
        SendMessage::new(self.text, text, nonce)
    }
}

async fn created(client: &mut Client) -> Message {
    let event = client
        .event(|event| matches!(event, Event::MessageCreated { .. }))
        .await;
    let Event::MessageCreated { message, .. } = event else {
        unreachable!()
    };
    message
}

#[tokio::test]
async fn a_message_lives_from_sending_to_deleting_before_everyones_eyes() {
    let mut club = club().await;
    let sent = club.ann.call(&club.send("hello", "n1")).await.unwrap();
    assert_eq!(
        club.ann.call(&club.send("hello", "n1")).await.unwrap(),
        sent,
        "a retry"
    );
    assert_eq!(created(&mut club.bob.client).await, sent);
    let reply = SendMessage {
        reply_to: Some(sent.id),
        ..club.send("hi Ann", "n1")
    };
    let reply = club.bob.call(&reply).await.unwrap();
    let replied = reply.reply_to.clone().unwrap();
    assert_eq!((replied.id, replied.excerpt.as_str()), (sent.id, "hello"));
    assert_eq!(
        created(&mut club.bob.client).await,
        reply,
        "the retry told nobody"
    );

    let edit = |message_id, text: &str| EditMessage {
        channel_id: club.text,
        message_id,
        text: text.into(),
    };
    assert_eq!(
        club.bob.tries(&edit(sent.id, "not hello")).await,
        Some(FailureKind::Forbidden)
    );
    let edited = club.ann.call(&edit(sent.id, "hello, all")).await.unwrap();
    assert!(edited.edited_at_ms.is_some() && edited.id == sent.id);
    let told = club
        .bob
        .client
        .event(|event| matches!(event, Event::MessageUpdated { .. }))
        .await;
    assert!(
        matches!(told, Event::MessageUpdated { message_id, text, .. } if message_id == sent.id && text == "hello, all")
    );

    let delete = |message_id| DeleteMessage {
        channel_id: club.text,
        message_id,
    };
    assert_eq!(
        club.bob.tries(&delete(sent.id)).await,
        Some(FailureKind::Forbidden)
    );
    club.ann.call(&delete(sent.id)).await.unwrap();
    let told = club
        .bob
        .client
        .event(|event| matches!(event, Event::MessageDeleted { .. }))
        .await;
    assert!(matches!(told, Event::MessageDeleted { message_ids, .. } if message_ids == [sent.id]));
    assert_eq!(
        club.ann.tries(&delete(sent.id)).await,
        Some(FailureKind::NotFound)
    );
    assert_eq!(
        club.ann.tries(&club.send("hello", "n1")).await,
        Some(FailureKind::Conflict),
        "a late retry brings nothing back"
    );
    let left = club
        .bob
        .call(&ListMessages::newest(club.text))
        .await
        .unwrap()
        .messages;
    assert_eq!(
        left.iter().map(|message| message.id).collect::<Vec<_>>(),
        [reply.id]
    );
    assert_eq!(
        left[0]
            .reply_to
            .as_ref()
            .map(|replied| (replied.author.clone(), replied.excerpt.clone())),
        Some((None, String::new()))
    );

    // The guild's owner deletes what Bob wrote, and that is written down.
    club.ann.call(&delete(reply.id)).await.unwrap();
    let list = ListAudit {
        guild_id: club.guild.id,
        before: None,
        action: Some(AuditAction::MessageDeleted),
        by: None,
    };
    let audit = club.ann.call(&list).await.unwrap().entries;
    let entries: Vec<_> = audit
        .iter()
        .map(|entry| {
            (
                entry.message_id,
                entry.target_user_id,
                entry.by.as_ref().map(|by| by.id),
            )
        })
        .collect();
    assert_eq!(
        entries,
        [(Some(reply.id), Some(club.bob.id), Some(club.ann.id))]
    );
}

#[tokio::test]
async fn reactions_and_pins_are_told_and_have_their_limits() {
    let mut club = club().await;
    let message_id = club.ann.call(&club.send("party", "n1")).await.unwrap().id;
    let channel_id = club.text;
    let react = |emoji: &str| ReactToMessage {
        channel_id,
        message_id,
        emoji: emoji.into(),
    };
    let unreact = |emoji: &str| UnreactToMessage {
        channel_id,
        message_id,
        emoji: emoji.into(),
    };
    club.bob.call(&react("🎉")).await.unwrap();
    club.bob.call(&react("🎉")).await.unwrap();
    let told = club
        .ann
        .client
        .event(|event| matches!(event, Event::ReactionAdded { .. }))
        .await;
    assert!(
        matches!(told, Event::ReactionAdded { user_id, emoji, .. } if user_id == club.bob.id && emoji == "🎉")
    );
    for (bad, kind) in [
        (react("hello"), FailureKind::InvalidParams),
        (react(""), FailureKind::InvalidParams),
    ] {
        assert_eq!(club.bob.tries(&bad).await, Some(kind));
    }
    let kinds = [
        "👍", "👎", "❤️", "😂", "😮", "😢", "😡", "🔥", "👀", "💯", "🐛", "🦊", "🍕", "☕", "🎧",
        "🎤", "🚀", "🌙", "⭐",
    ];
    for emoji in kinds {
        club.bob.call(&react(emoji)).await.unwrap();
    }
    assert_eq!(
        club.bob.tries(&react("🌈")).await,
        Some(FailureKind::TooMany)
    );
    club.ann.call(&react("🎉")).await.unwrap();
    club.bob.call(&unreact("🎉")).await.unwrap();
    club.ann
        .client
        .event(|event| matches!(event, Event::ReactionRemoved { .. }))
        .await;
    let seen = club
        .ann
        .call(&ListMessages::newest(channel_id))
        .await
        .unwrap()
        .messages
        .remove(0)
        .reactions;
    assert_eq!(seen.len(), 20);
    let party = seen.iter().find(|reaction| reaction.emoji == "🎉").unwrap();
    assert_eq!((party.count, party.me), (1, true));

    let pin = PinMessage {
        channel_id,
        message_id,
    };
    assert_eq!(club.bob.tries(&pin).await, Some(FailureKind::Forbidden));
    club.ann.call(&pin).await.unwrap();
    club.bob
        .client
        .event(|event| matches!(event, Event::MessagePinned { pinned: true, .. }))
        .await;
    let pins = club
        .bob
        .call(&ListPins { channel_id })
        .await
        .unwrap()
        .messages;
    assert_eq!(
        (pins.len(), pins[0].id, pins[0].pinned),
        (1, message_id, true)
    );
    club.ann
        .call(&UnpinMessage {
            channel_id,
            message_id,
        })
        .await
        .unwrap();
    assert_eq!(
        club.bob
            .call(&ListPins { channel_id })
            .await
            .unwrap()
            .messages,
        []
    );

    club.deny(channel_id, Permissions::ADD_REACTIONS).await;
    assert_eq!(
        club.bob.tries(&react("🎉")).await,
        Some(FailureKind::Forbidden)
    );
}

#[tokio::test]
async fn slow_mode_timeouts_and_missing_rights_hold_even_after_a_restart() {
    let mut club = club().await;
    let slow = UpdateChannel {
        channel_id: club.text,
        name: None,
        topic: None,
        slow_mode_s: Some(60),
        retention_days: None,
        user_limit: None,
        bitrate_bps: None,
    };
    club.ann.call(&slow).await.unwrap();
    for n in 0..3 {
        club.ann
            .call(&club.send("owners don't wait", &n.to_string()))
            .await
            .unwrap();
    }
    let first = club.bob.call(&club.send("one", "1")).await.unwrap();
    let refused = club.bob.call(&club.send("two", "2")).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::SlowMode);
    let wait = refused.data.retry_after_ms.unwrap();
    assert!((50_000..=60_000).contains(&wait), "{wait}");
    club.bob
        .call(&DeleteMessage {
            channel_id: club.text,
            message_id: first.id,
        })
        .await
        .unwrap();
    club.server.kill();
    club.server.start_again();
    for person in [&mut club.ann, &mut club.bob] {
        *person.client = Client::greeted(&club.server).await;
        person.client.begin(&person.token).await.unwrap();
    }
    assert_eq!(
        club.bob.tries(&club.send("two", "2")).await,
        Some(FailureKind::SlowMode)
    );

    let (guild_id, user_id) = (club.guild.id, club.bob.id);
    let timeout = |duration_s| TimeoutMember {
        guild_id,
        user_id,
        duration_s,
        reason: String::new(),
    };
    let message_id = club
        .ann
        .call(&club.send("quiet now", "q"))
        .await
        .unwrap()
        .id;
    club.ann.call(&timeout(3_600)).await.unwrap();
    let other = club.channel("other").await.id;
    for channel in [club.text, other] {
        assert_eq!(
            club.bob.tries(&SendMessage::new(channel, "but", "3")).await,
            Some(FailureKind::Forbidden)
        );
    }
    let react = ReactToMessage {
        channel_id: club.text,
        message_id,
        emoji: "🎉".into(),
    };
    assert_eq!(club.bob.tries(&react).await, Some(FailureKind::Forbidden));
    club.ann.call(&timeout(0)).await.unwrap();
    club.bob
        .call(&SendMessage::new(other, "back", "4"))
        .await
        .unwrap();
    club.deny(other, Permissions::SEND_MESSAGES).await;
    assert_eq!(
        club.bob.tries(&SendMessage::new(other, "again", "5")).await,
        Some(FailureKind::Forbidden)
    );
}

#[tokio::test]
async fn people_talk_in_conversations_until_one_blocks_the_other() {
    let mut club = club().await;
    let open = OpenConversation {
        user_ids: vec![club.bob.id],
        name: None,
    };
    let direct = club.ann.call(&open).await.unwrap().id;
    let ann = club.ann.id;
    let sent = club
        .ann
        .call(&SendMessage::new(direct, "psst", "1"))
        .await
        .unwrap();
    assert_eq!(created(&mut club.bob.client).await, sent);
    let answer = club
        .bob
        .call(&SendMessage::new(
            direct,
            format!("<@{ann}> yes? @everyone"),
            "1",
        ))
        .await
        .unwrap();
    assert_eq!(
        (answer.mentions.users.as_slice(), answer.mentions.everyone),
        ([ann].as_slice(), true)
    );
    club.bob
        .call(&PinMessage {
            channel_id: direct,
            message_id: sent.id,
        })
        .await
        .unwrap();
    let delete = DeleteMessage {
        channel_id: direct,
        message_id: sent.id,
    };
    assert_eq!(
        club.bob.tries(&delete).await,
        Some(FailureKind::Forbidden),
        "nobody moderates a conversation"
    );

    let mut eve = Person::new(&club.server, "eve", &club.server.invite_code()).await;
    assert_eq!(
        eve.tries(&SendMessage::new(direct, "hi", "1")).await,
        Some(FailureKind::NotFound)
    );
    let search = |query: &str| SearchMessages {
        guild_id: None,
        channel_id: None,
        query: query.into(),
        before: None,
    };
    assert_eq!(eve.call(&search("psst")).await.unwrap().found, []);
    assert_eq!(club.bob.call(&search("psst")).await.unwrap().found.len(), 1);
    assert_eq!(
        club.bob
            .call(&search("psst from:ann"))
            .await
            .unwrap()
            .found
            .len(),
        1
    );
    assert_eq!(
        club.bob.call(&search("psst from:bob")).await.unwrap().found,
        []
    );

    club.bob.call(&BlockUser { user_id: ann }).await.unwrap();
    for person in [&mut club.ann, &mut club.bob] {
        let sends = SendMessage::new(direct, "still there?", "2");
        assert_eq!(person.tries(&sends).await, Some(FailureKind::Blocked));
        let react = ReactToMessage {
            channel_id: direct,
            message_id: sent.id,
            emoji: "🎉".into(),
        };
        assert_eq!(person.tries(&react).await, Some(FailureKind::Blocked));
    }
    assert_eq!(
        club.ann
            .call(&ListMessages::newest(direct))
            .await
            .unwrap()
            .messages
            .len(),
        2,
        "what was written stays"
    );
}

#[tokio::test]
async fn what_is_too_large_or_elsewhere_is_refused_in_every_method() {
    let mut club = club().await;
    let voice = channel_of(&club.guild, ChannelKind::Voice);
    let message_id = club.ann.call(&club.send("x", "x")).await.unwrap().id;
    for (call, kind) in [
        (club.send(" ", "n"), FailureKind::InvalidParams),
        (
            club.send(&"x".repeat(4_001), "n"),
            FailureKind::InvalidParams,
        ),
        (club.send("x", ""), FailureKind::InvalidParams),
        (club.send("x", &"n".repeat(65)), FailureKind::InvalidParams),
        (
            SendMessage::new(voice, "x", "n"),
            FailureKind::InvalidParams,
        ),
        (
            SendMessage::new(ChannelId(999_999), "x", "n"),
            FailureKind::NotFound,
        ),
        (
            SendMessage {
                reply_to: Some(MessageId(999_999)),
                ..club.send("x", "n")
            },
            FailureKind::NotFound,
        ),
    ] {
        assert_eq!(club.ann.tries(&call).await, Some(kind), "{call:?}");
    }
    club.ann
        .call(&club.send(&"🦊".repeat(4_000), "long"))
        .await
        .unwrap();

    // Eve is in another guild, and knows every id.
    let mut eve = Person::new(&club.server, "eve", &club.server.invite_code()).await;
    let own = eve.makes_guild("Own").await;
    let (channel_id, emoji) = (club.text, "🎉".to_owned());
    let gone = Some(FailureKind::NotFound);
    for channel_id in [channel_id, ChannelId(999_999)] {
        assert_eq!(
            eve.tries(&SendMessage::new(channel_id, "x", "n")).await,
            gone
        );
        assert_eq!(
            eve.tries(&EditMessage {
                channel_id,
                message_id,
                text: "x".into()
            })
            .await,
            gone
        );
        assert_eq!(
            eve.tries(&DeleteMessage {
                channel_id,
                message_id
            })
            .await,
            gone
        );
        assert_eq!(eve.tries(&ListMessages::newest(channel_id)).await, gone);
        assert_eq!(
            eve.tries(&ReactToMessage {
                channel_id,
                message_id,
                emoji: emoji.clone()
            })
            .await,
            gone
        );
        assert_eq!(
            eve.tries(&UnreactToMessage {
                channel_id,
                message_id,
                emoji: emoji.clone()
            })
            .await,
            gone
        );
        assert_eq!(
            eve.tries(&PinMessage {
                channel_id,
                message_id
            })
            .await,
            gone
        );
        assert_eq!(
            eve.tries(&UnpinMessage {
                channel_id,
                message_id
            })
            .await,
            gone
        );
        assert_eq!(eve.tries(&ListPins { channel_id }).await, gone);
        assert_eq!(
            eve.tries(&MarkRead {
                channel_id,
                message_id
            })
            .await,
            gone
        );
        assert_eq!(eve.tries(&StartTyping { channel_id }).await, gone);
        let search = SearchMessages {
            guild_id: None,
            channel_id: Some(channel_id),
            query: "x".into(),
            before: None,
        };
        assert_eq!(eve.tries(&search).await, gone);
    }
    // By way of a channel of her own she comes no further.
    let channel_id = channel_of(&own, ChannelKind::Text);
    assert_eq!(
        eve.tries(&EditMessage {
            channel_id,
            message_id,
            text: "x".into()
        })
        .await,
        gone
    );
    assert_eq!(
        eve.tries(&DeleteMessage {
            channel_id,
            message_id
        })
        .await,
        gone
    );
    assert_eq!(
        eve.tries(&PinMessage {
            channel_id,
            message_id
        })
        .await,
        gone
    );
    assert_eq!(
        eve.tries(&ReactToMessage {
            channel_id,
            message_id,
            emoji
        })
        .await,
        gone
    );
    let reply = SendMessage {
        reply_to: Some(message_id),
        ..SendMessage::new(channel_id, "x", "n")
    };
    assert_eq!(eve.tries(&reply).await, gone);
    assert_eq!(
        eve.call(&ListMessages {
            around: Some(message_id),
            ..ListMessages::newest(channel_id)
        })
        .await
        .unwrap()
        .messages,
        []
    );
    let icon = UpdateGuild {
        guild_id: club.guild.id,
        name: None,
        description: None,
        icon: None,
    };
    assert_eq!(eve.tries(&icon).await, gone);
}
