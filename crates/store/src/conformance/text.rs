//! Messages, and what people do with them.

use std::task::Poll;

use voxhall_protocol::{
    ChannelId, GuildId, MessageId, RoleId, UserId,
    control::{AuditAction, Mentions, Message, Reaction},
    limits::EXCERPT_CHARS,
};

use super::*;

const DAY_MS: i64 = 24 * 3_600_000;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    a_message_is_stored_once(&fresh()).await;
    a_message_that_was_deleted_stays_deleted(&fresh()).await;
    a_reply_outlives_what_it_answers(&fresh()).await;
    only_its_author_edits_a_message(&fresh()).await;
    who_deletes_others_messages_is_written_down(&fresh()).await;
    reactions_are_counted_once(&fresh()).await;
    pins_are_few_and_the_last_is_first(&fresh()).await;
    slow_mode_holds_and_deleting_is_no_way_out(&fresh()).await;
    old_messages_and_those_of_no_channel_expire(&fresh()).await;
}

/// Two members, two text channels of their guild.
pub(super) struct Hall<'a, S> {
    pub store: &'a S,
    pub guild: GuildId,
    pub ann: UserId,
    pub bob: UserId,
    pub one: ChannelId,
    pub two: ChannelId,
}

pub(super) async fn hall<S: Store>(store: &S) -> Hall<'_, S> {
    let mut new = new_guild("g");
    new.channels.push(NewChannel {
        name: "second".into(),
        kind: ChannelKind::Text,
        bitrate_bps: 0,
    });
    store.default_guild(new).await.unwrap();
    let ann = store
        .sign_up(by_invite(account("ann", 1), "g-invite"))
        .await
        .unwrap()
        .user
        .id;
    let bob = store
        .sign_up(by_invite(guest("bob", 2), "g-invite"))
        .await
        .unwrap()
        .user
        .id;
    let guild = store.guilds().await.unwrap().remove(0);
    let mut texts = guild
        .channels
        .iter()
        .filter(|channel| channel.kind == ChannelKind::Text)
        .map(|channel| channel.id);
    let (one, two) = (texts.next().unwrap(), texts.next().unwrap());
    Hall {
        store,
        guild: guild.info.id,
        ann,
        bob,
        one,
        two,
    }
}

impl<S: Store> Hall<'_, S> {
    pub fn message(&self, text: &str, nonce: &str) -> NewMessage {
        NewMessage::new(self.one, self.ann, text, nonce, 5)
    }

    pub async fn post(&self, new: NewMessage) -> Message {
        self.store.post_message(new).await.unwrap().message
    }

    pub async fn all(&self, channel: ChannelId) -> Vec<Message> {
        let page = self
            .store
            .history(self.ann, channel, HistoryAt::Newest, 10_000)
            .await
            .unwrap();
        assert!(!page.more && !page.more_after);
        page.messages
    }

    pub fn deletion(
        &self,
        message: MessageId,
        by: UserId,
        others: Option<DeleteOthers>,
    ) -> Deletion {
        Deletion {
            channel: self.one,
            message,
            by,
            others,
            now: 9,
        }
    }

    pub fn reader(&self, user: UserId) -> Reader {
        Reader {
            user,
            roles: Vec::new(),
        }
    }
}

/// Waits for all of them, side by side.
pub(super) async fn all_at_once<T>(futures: impl Iterator<Item = impl Future<Output = T>>) {
    let mut open: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        open.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if open.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Not random at all; enough for walks.
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

async fn a_message_is_stored_once<S: Store>(store: &S) {
    let hall = hall(store).await;
    let post = |nonce: &str| store.post_message(hall.message("hello", nonce));
    let (first, twin) = tokio::join!(post("n1"), post("n1"));
    let (first, twin) = (first.unwrap(), twin.unwrap());
    assert!(first.is_new && !twin.is_new);
    assert_eq!(first.message, twin.message);
    assert_eq!(
        (first.message.sent_at_ms, first.message.author.id),
        (5, hall.ann)
    );
    let reply = NewMessage {
        reply_to: Some(first.message.id),
        ..hall.message("hello", "n1")
    };
    let elsewhere = NewMessage {
        channel: hall.two,
        ..hall.message("hello", "n1")
    };
    for other in [
        hall.message("something else", "n1"),
        reply.clone(),
        elsewhere,
    ] {
        assert_eq!(store.post_message(other).await, Err(PostError::NonceReused));
    }
    // Another author's nonce is another nonce.
    let bobs = hall
        .post(NewMessage {
            author: hall.bob,
            ..hall.message("hello", "n1")
        })
        .await;
    let reply = hall
        .post(NewMessage {
            nonce: "n2".into(),
            ..reply
        })
        .await;
    assert!(reply.id > bobs.id && bobs.id > first.message.id);
    assert_eq!(
        hall.all(hall.one).await,
        [first.message.clone(), bobs, reply]
    );
    assert_eq!(hall.all(hall.two).await, []);
    // What was edited since is the same message.
    let edit = MessageEdit {
        channel: hall.one,
        message: first.message.id,
        author: hall.ann,
        text: "hi".into(),
        mentions: Mentions::default(),
        now: 6,
    };
    let edited = store.edit_message(edit).await.unwrap();
    let again = post("n1").await.unwrap();
    assert_eq!((again.message, again.is_new), (edited, false));
}

async fn a_message_that_was_deleted_stays_deleted<S: Store>(store: &S) {
    let hall = hall(store).await;
    let message = hall.post(hall.message("oh no", "n1")).await;
    store
        .delete_message(hall.deletion(message.id, hall.ann, None))
        .await
        .unwrap();
    assert_eq!(
        store.post_message(hall.message("oh no", "n1")).await,
        Err(PostError::Deleted)
    );
    assert_eq!(hall.all(hall.one).await, []);
    // A day later nobody tries any more.
    store
        .expire_messages(None, 10 + DELETED_KEPT_MS, 10)
        .await
        .unwrap();
    let again = hall.post(hall.message("oh no", "n1")).await;
    assert!(again.id > message.id, "ids grow, whatever is deleted");
}

async fn a_reply_outlives_what_it_answers<S: Store>(store: &S) {
    let hall = hall(store).await;
    let question = hall
        .post(hall.message(&"wh\u{e4}t? ".repeat(50), "n1"))
        .await;
    let reply = NewMessage {
        author: hall.bob,
        reply_to: Some(question.id),
        ..hall.message("that", "n2")
    };
    let answer = hall.post(reply.clone()).await;
    let replied = answer.reply_to.clone().unwrap();
    assert_eq!(
        (replied.id, replied.author.map(|user| user.id)),
        (question.id, Some(hall.ann))
    );
    assert_eq!(replied.excerpt.chars().count(), EXCERPT_CHARS);
    assert!(question.text.starts_with(&replied.excerpt));
    // Not across channels.
    let elsewhere = NewMessage {
        channel: hall.two,
        nonce: "n3".into(),
        ..reply.clone()
    };
    assert_eq!(store.post_message(elsewhere).await, Err(PostError::NoReply));

    store
        .delete_message(hall.deletion(question.id, hall.ann, None))
        .await
        .unwrap();
    let left = hall.all(hall.one).await;
    let replied = left[0].reply_to.clone().unwrap();
    assert_eq!(
        (
            left.len(),
            replied.id,
            replied.author,
            replied.excerpt.as_str()
        ),
        (1, question.id, None, "")
    );
    assert!(
        !store.post_message(reply).await.unwrap().is_new,
        "a retry finds it still"
    );
}

async fn only_its_author_edits_a_message<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mentions = Mentions {
        users: vec![hall.bob],
        roles: vec![RoleId(3)],
        everyone: true,
    };
    let message = hall
        .post(NewMessage {
            mentions: mentions.clone(),
            ..hall.message("first", "n1")
        })
        .await;
    assert_eq!(message.mentions, mentions);
    let edit = |channel, author, text: &str| MessageEdit {
        channel,
        message: message.id,
        author,
        text: text.into(),
        mentions: Mentions {
            users: vec![hall.ann],
            ..Mentions::default()
        },
        now: 7,
    };
    assert_eq!(
        store.edit_message(edit(hall.one, hall.bob, "mine")).await,
        Err(MessageError::NotTheAuthor)
    );
    assert_eq!(
        store.edit_message(edit(hall.two, hall.ann, "x")).await,
        Err(MessageError::NoMessage)
    );
    assert_eq!(
        store.edit_message(edit(hall.one, hall.ann, "")).await,
        Err(MessageError::Empty)
    );
    let edited = store
        .edit_message(edit(hall.one, hall.ann, "second"))
        .await
        .unwrap();
    assert_eq!(
        (edited.text.as_str(), edited.edited_at_ms, edited.id),
        ("second", Some(7), message.id)
    );
    assert_eq!(edited.mentions.users, [hall.ann]);
    assert!(edited.mentions.roles.is_empty() && !edited.mentions.everyone);
    let same = MessageEdit {
        now: 8,
        ..edit(hall.one, hall.ann, "second")
    };
    assert_eq!(
        store.edit_message(same).await.unwrap().edited_at_ms,
        Some(7),
        "nothing was edited"
    );
    assert_eq!(hall.all(hall.one).await, [edited]);
}

async fn who_deletes_others_messages_is_written_down<S: Store>(store: &S) {
    let hall = hall(store).await;
    let message = hall.post(hall.message("rude", "n1")).await.id;
    let own = hall
        .post(NewMessage {
            author: hall.bob,
            ..hall.message("mine", "n1")
        })
        .await
        .id;
    let others = Some(DeleteOthers::InGuild(hall.guild));
    assert_eq!(
        store
            .delete_message(hall.deletion(message, hall.bob, None))
            .await,
        Err(MessageError::NotTheAuthor)
    );
    let elsewhere = Deletion {
        channel: hall.two,
        ..hall.deletion(message, hall.bob, others)
    };
    assert_eq!(
        store.delete_message(elsewhere).await,
        Err(MessageError::NoMessage)
    );
    let deleted = store
        .delete_message(hall.deletion(message, hall.bob, others))
        .await
        .unwrap();
    assert_eq!(
        deleted,
        Deleted {
            author: hall.ann,
            files: 0
        }
    );
    store
        .delete_message(hall.deletion(own, hall.bob, others))
        .await
        .unwrap();
    assert_eq!(
        store
            .delete_message(hall.deletion(own, hall.bob, others))
            .await,
        Err(MessageError::NoMessage)
    );
    let audit = store
        .audit_page(hall.guild, AuditFilter::default(), 10)
        .await
        .unwrap()
        .entries;
    let deletions: Vec<_> = audit
        .iter()
        .filter(|entry| entry.action == AuditAction::MessageDeleted)
        .collect();
    assert_eq!(deletions.len(), 1, "one's own is nobody's business");
    let entry = deletions[0];
    assert_eq!(entry.by.as_ref().map(|by| by.id), Some(hall.bob));
    assert_eq!(
        (entry.target_user_id, entry.channel_id, entry.message_id),
        (Some(hall.ann), Some(hall.one), Some(message))
    );
    assert_eq!((entry.target.as_str(), entry.at_ms), ("ann", 9));
}

async fn reactions_are_counted_once<S: Store>(store: &S) {
    let hall = hall(store).await;
    let message = hall.post(hall.message("party", "n1")).await.id;
    let react = |user, emoji: &str, now| {
        store.add_reaction(NewReaction {
            channel: hall.one,
            message,
            user,
            emoji: emoji.into(),
            max_kinds: 2,
            now,
        })
    };
    react(hall.ann, "🎉", 1).await.unwrap();
    react(hall.ann, "🎉", 2).await.unwrap();
    react(hall.bob, "👍", 3).await.unwrap();
    react(hall.bob, "🎉", 4).await.unwrap();
    assert_eq!(
        react(hall.ann, "🐛", 5).await,
        Err(MessageError::TooMany(2))
    );
    let seen = async |user| {
        let page = store.history(user, hall.one, HistoryAt::Newest, 1).await;
        page.unwrap().messages.remove(0).reactions
    };
    let reaction = |emoji: &str, count, me| Reaction {
        emoji: emoji.into(),
        count,
        me,
    };
    assert_eq!(
        seen(hall.ann).await,
        [reaction("🎉", 2, true), reaction("👍", 1, false)]
    );
    assert_eq!(
        seen(hall.bob).await,
        [reaction("🎉", 2, true), reaction("👍", 1, true)]
    );
    let take =
        |channel, user, emoji: &str| store.remove_reaction(channel, message, user, emoji.into());
    take(hall.one, hall.ann, "🎉").await.unwrap();
    take(hall.one, hall.ann, "🎉").await.unwrap();
    take(hall.one, hall.ann, "👍").await.unwrap();
    // In the order in which the first of those that are left came.
    assert_eq!(
        seen(hall.ann).await,
        [reaction("👍", 1, false), reaction("🎉", 1, false)]
    );
    assert_eq!(
        take(hall.two, hall.bob, "🎉").await,
        Err(MessageError::NoMessage)
    );
    take(hall.one, hall.bob, "🎉").await.unwrap();
    react(hall.ann, "🐛", 6).await.unwrap();
    assert_eq!(
        seen(hall.ann).await,
        [reaction("👍", 1, false), reaction("🐛", 1, true)]
    );
    store
        .delete_message(hall.deletion(message, hall.ann, None))
        .await
        .unwrap();
    assert_eq!(react(hall.ann, "🎉", 7).await, Err(MessageError::NoMessage));
}

async fn pins_are_few_and_the_last_is_first<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(hall.post(hall.message("x", &n.to_string())).await.id);
    }
    let pin = |message, pinned, now| {
        store.pin_message(Pin {
            channel: hall.one,
            message,
            pinned,
            by: hall.bob,
            guild: Some(hall.guild),
            max: 2,
            now,
        })
    };
    assert_eq!(pin(ids[1], true, 1).await, Ok(true));
    assert_eq!(pin(ids[1], true, 2).await, Ok(false));
    assert_eq!(pin(ids[0], true, 3).await, Ok(true));
    assert_eq!(pin(ids[2], true, 4).await, Err(MessageError::TooMany(2)));
    let pins = store.pins(hall.ann, hall.one).await.unwrap();
    assert!(pins.iter().all(|message| message.pinned));
    assert_eq!(
        pins.iter().map(|message| message.id).collect::<Vec<_>>(),
        [ids[0], ids[1]]
    );
    assert_eq!(store.pins(hall.ann, hall.two).await, Ok(vec![]));
    assert_eq!(pin(ids[1], false, 5).await, Ok(true));
    assert_eq!(pin(ids[1], false, 6).await, Ok(false));
    assert_eq!(pin(ids[2], true, 7).await, Ok(true));
    assert_eq!(
        pin(MessageId(u64::MAX), true, 8).await,
        Err(MessageError::NoMessage)
    );
    let audit = store
        .audit_page(hall.guild, AuditFilter::default(), 10)
        .await
        .unwrap()
        .entries;
    let actions: Vec<_> = audit
        .iter()
        .map(|entry| (entry.action, entry.message_id))
        .take(2)
        .collect();
    assert_eq!(
        actions,
        [
            (AuditAction::MessagePinned, Some(ids[2])),
            (AuditAction::MessageUnpinned, Some(ids[1]))
        ]
    );
}

async fn slow_mode_holds_and_deleting_is_no_way_out<S: Store>(store: &S) {
    let hall = hall(store).await;
    let post = |author, channel, nonce: &str, now| {
        let new = NewMessage::new(channel, author, "x", nonce, now);
        store.post_message(NewMessage {
            slow_mode_ms: 1_000,
            ..new
        })
    };
    let first = post(hall.ann, hall.one, "a", 10_000)
        .await
        .unwrap()
        .message
        .id;
    assert_eq!(
        post(hall.ann, hall.one, "b", 10_400).await,
        Err(PostError::SlowMode { wait_ms: 600 })
    );
    assert!(
        !post(hall.ann, hall.one, "a", 10_500).await.unwrap().is_new,
        "a retry doesn't wait"
    );
    post(hall.bob, hall.one, "a", 10_500).await.unwrap();
    post(hall.ann, hall.two, "c", 10_500).await.unwrap();
    let deletion = Deletion {
        now: 10_600,
        ..hall.deletion(first, hall.ann, None)
    };
    store.delete_message(deletion).await.unwrap();
    assert_eq!(
        post(hall.ann, hall.one, "b", 10_900).await,
        Err(PostError::SlowMode { wait_ms: 100 })
    );
    post(hall.ann, hall.one, "b", 11_000).await.unwrap();
    // The clock was set back by an hour: nobody waits for that.
    let back = 11_000 - 3_600_000;
    assert_eq!(
        post(hall.ann, hall.one, "d", back).await,
        Err(PostError::SlowMode { wait_ms: 1_000 })
    );
}

async fn old_messages_and_those_of_no_channel_expire<S: Store>(store: &S) {
    let hall = hall(store).await;
    for day in 0..10 {
        for channel in [hall.one, hall.two] {
            hall.post(NewMessage::new(
                channel,
                hall.ann,
                "x",
                format!("{channel}-{day}"),
                day * DAY_MS,
            ))
            .await;
        }
    }
    let now = 10 * DAY_MS;
    assert_eq!(store.expire_messages(None, now, 100).await, Ok(0));
    let update = ChannelUpdate {
        retention_days: Some(4),
        ..ChannelUpdate::default()
    };
    store
        .update_channel(hall.guild, hall.two, update, Act::new(hall.ann, 1))
        .await
        .unwrap();
    assert_eq!(
        store.expire_messages(None, now, 4).await,
        Ok(4),
        "a few at a time"
    );
    assert_eq!(store.expire_messages(None, now, 4).await, Ok(2));
    assert_eq!(store.expire_messages(None, now, 4).await, Ok(0));
    let left = hall.all(hall.two).await;
    assert!(left.len() == 4 && left.iter().all(|message| message.sent_at_ms >= 6 * DAY_MS));
    assert_eq!(hall.all(hall.one).await.len(), 10);
    // Where nothing is said, the server's word holds.
    assert_eq!(
        store.expire_messages(Some(7 * DAY_MS), now, 100).await,
        Ok(3)
    );
    assert_eq!(
        (
            hall.all(hall.one).await.len(),
            hall.all(hall.two).await.len()
        ),
        (7, 4)
    );

    store
        .mark_read(hall.reader(hall.bob), hall.two, left[0].id)
        .await
        .unwrap();
    store
        .delete_channel(hall.guild, hall.two, Act::new(hall.ann, 1))
        .await
        .unwrap();
    assert_eq!(store.expire_messages(None, now, 3).await, Ok(3));
    assert_eq!(store.expire_messages(None, now, 3).await, Ok(1));
    assert_eq!(store.expire_messages(None, now, 3).await, Ok(0));
    assert_eq!(hall.all(hall.two).await, []);
    assert_eq!(hall.all(hall.one).await.len(), 7);
}
