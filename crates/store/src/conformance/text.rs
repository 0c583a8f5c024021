//! Messages, what people do with them, reading and searching.

use std::{
    collections::{BTreeMap, HashMap},
    task::Poll,
};

use voxhall_protocol::{
    ChannelId, GuildId, MessageId, RoleId, UserId,
    control::{AuditAction, Mentions, Message, Reaction},
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
    walks_through_history_see_all_of_it(&fresh()).await;
    unread_messages_are_those_that_a_simple_count_gives(&fresh()).await;
    nobody_has_to_read_what_was_before_them(&fresh()).await;
    a_search_finds_what_a_look_at_everything_finds(&fresh()).await;
    words_are_found_whatever_their_case_and_accents(&fresh()).await;
    old_messages_and_those_of_no_channel_expire(&fresh()).await;
}

/// Two members, two text channels of their guild.
struct Hall<'a, S> {
    store: &'a S,
    guild: GuildId,
    ann: UserId,
    bob: UserId,
    one: ChannelId,
    two: ChannelId,
}

async fn hall<S: Store>(store: &S) -> Hall<'_, S> {
    let mut new = new_guild("g");
    new.channels.push(NewChannel {
        name: "second".into(),
        kind: ChannelKind::Text,
        bitrate_bps: 0,
    });
    store.default_guild(new).await.unwrap();
    let ann = store.sign_up(by_invite(account("ann", 1), "g-invite")).await.unwrap().user.id;
    let bob = store.sign_up(by_invite(guest("bob", 2), "g-invite")).await.unwrap().user.id;
    let guild = store.guilds().await.unwrap().remove(0);
    let mut texts = guild.channels.iter().filter(|channel| channel.kind == ChannelKind::Text).map(|channel| channel.id);
    let (one, two) = (texts.next().unwrap(), texts.next().unwrap());
    Hall { store, guild: guild.info.id, ann, bob, one, two }
}

impl<S: Store> Hall<'_, S> {
    fn new(&self, text: &str, nonce: &str) -> NewMessage {
        NewMessage::new(self.one, self.ann, text, nonce, 5)
    }

    async fn post(&self, new: NewMessage) -> Message {
        self.store.post_message(new).await.unwrap().message
    }

    async fn all(&self, channel: ChannelId) -> Vec<Message> {
        let page = self.store.history(self.ann, channel, HistoryAt::Newest, 10_000).await.unwrap();
        assert!(!page.more && !page.more_after);
        page.messages
    }

    fn deletion(&self, message: MessageId, by: UserId, others: Option<DeleteOthers>) -> Deletion {
        Deletion { channel: self.one, message, by, others, now: 9 }
    }

    fn reader(&self, user: UserId) -> Reader {
        Reader { user, roles: Vec::new() }
    }
}

/// Waits for all of them, side by side.
async fn all_at_once<T>(futures: impl Iterator<Item = impl Future<Output = T>>) {
    let mut open: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        open.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Not random at all; enough for walks.
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

async fn a_message_is_stored_once<S: Store>(store: &S) {
    let hall = hall(store).await;
    let post = |nonce: &str| store.post_message(hall.new("hello", nonce));
    let (first, twin) = tokio::join!(post("n1"), post("n1"));
    let (first, twin) = (first.unwrap(), twin.unwrap());
    assert!(first.is_new && !twin.is_new);
    assert_eq!(first.message, twin.message);
    assert_eq!((first.message.sent_at_ms, first.message.author.id), (5, hall.ann));
    let reply = NewMessage { reply_to: Some(first.message.id), ..hall.new("hello", "n1") };
    let elsewhere = NewMessage { channel: hall.two, ..hall.new("hello", "n1") };
    for other in [hall.new("something else", "n1"), reply.clone(), elsewhere] {
        assert_eq!(store.post_message(other).await, Err(PostError::NonceReused));
    }
    // Another author's nonce is another nonce.
    let bobs = hall.post(NewMessage { author: hall.bob, ..hall.new("hello", "n1") }).await;
    let reply = hall.post(NewMessage { nonce: "n2".into(), ..reply }).await;
    assert!(reply.id > bobs.id && bobs.id > first.message.id);
    assert_eq!(hall.all(hall.one).await, [first.message.clone(), bobs, reply]);
    assert_eq!(hall.all(hall.two).await, []);
    let found = store.message(hall.ann, hall.one, first.message.id).await.unwrap();
    assert_eq!(found, Some(first.message.clone()));
    for (channel, message) in [(hall.two, first.message.id), (hall.one, MessageId(u64::MAX)), (ChannelId(u64::MAX), first.message.id)] {
        assert_eq!(store.message(hall.ann, channel, message).await, Ok(None));
    }
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
    let message = hall.post(hall.new("oh no", "n1")).await;
    store.delete_message(hall.deletion(message.id, hall.ann, None)).await.unwrap();
    assert_eq!(store.post_message(hall.new("oh no", "n1")).await, Err(PostError::Deleted));
    assert_eq!(hall.all(hall.one).await, []);
    // A day later nobody tries any more.
    store.expire_messages(None, 10 + DELETED_KEPT_MS, 10).await.unwrap();
    let again = hall.post(hall.new("oh no", "n1")).await;
    assert!(again.id > message.id, "ids grow, whatever is deleted");
}

async fn a_reply_outlives_what_it_answers<S: Store>(store: &S) {
    let hall = hall(store).await;
    let question = hall.post(hall.new(&"wh\u{e4}t? ".repeat(50), "n1")).await;
    let reply = NewMessage { author: hall.bob, reply_to: Some(question.id), ..hall.new("that", "n2") };
    let answer = hall.post(reply.clone()).await;
    let replied = answer.reply_to.clone().unwrap();
    assert_eq!((replied.id, replied.author.map(|user| user.id)), (question.id, Some(hall.ann)));
    assert_eq!(replied.excerpt.chars().count(), EXCERPT_CHARS);
    assert!(question.text.starts_with(&replied.excerpt));
    // Not across channels.
    let elsewhere = NewMessage { channel: hall.two, nonce: "n3".into(), ..reply.clone() };
    assert_eq!(store.post_message(elsewhere).await, Err(PostError::NoReply));

    store.delete_message(hall.deletion(question.id, hall.ann, None)).await.unwrap();
    let left = hall.all(hall.one).await;
    let replied = left[0].reply_to.clone().unwrap();
    assert_eq!((left.len(), replied.id, replied.author, replied.excerpt.as_str()), (1, question.id, None, ""));
    assert!(!store.post_message(reply).await.unwrap().is_new, "a retry finds it still");
}

async fn only_its_author_edits_a_message<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mentions = Mentions { users: vec![hall.bob], roles: vec![RoleId(3)], everyone: true };
    let message = hall.post(NewMessage { mentions: mentions.clone(), ..hall.new("first", "n1") }).await;
    assert_eq!(message.mentions, mentions);
    let edit = |channel, author, text: &str| MessageEdit {
        channel,
        message: message.id,
        author,
        text: text.into(),
        mentions: Mentions { users: vec![hall.ann], ..Mentions::default() },
        now: 7,
    };
    assert_eq!(store.edit_message(edit(hall.one, hall.bob, "mine")).await, Err(MessageError::NotTheAuthor));
    assert_eq!(store.edit_message(edit(hall.two, hall.ann, "x")).await, Err(MessageError::NoMessage));
    assert_eq!(store.edit_message(edit(hall.one, hall.ann, "")).await, Err(MessageError::Empty));
    let edited = store.edit_message(edit(hall.one, hall.ann, "second")).await.unwrap();
    assert_eq!((edited.text.as_str(), edited.edited_at_ms, edited.id), ("second", Some(7), message.id));
    assert_eq!(edited.mentions.users, [hall.ann]);
    assert!(edited.mentions.roles.is_empty() && !edited.mentions.everyone);
    let same = MessageEdit { now: 8, ..edit(hall.one, hall.ann, "second") };
    assert_eq!(store.edit_message(same).await.unwrap().edited_at_ms, Some(7), "nothing was edited");
    assert_eq!(hall.all(hall.one).await, [edited]);
}

async fn who_deletes_others_messages_is_written_down<S: Store>(store: &S) {
    let hall = hall(store).await;
    let message = hall.post(hall.new("rude", "n1")).await.id;
    let own = hall.post(NewMessage { author: hall.bob, ..hall.new("mine", "n1") }).await.id;
    let others = Some(DeleteOthers::InGuild(hall.guild));
    assert_eq!(store.delete_message(hall.deletion(message, hall.bob, None)).await, Err(MessageError::NotTheAuthor));
    let elsewhere = Deletion { channel: hall.two, ..hall.deletion(message, hall.bob, others) };
    assert_eq!(store.delete_message(elsewhere).await, Err(MessageError::NoMessage));
    let deleted = store.delete_message(hall.deletion(message, hall.bob, others)).await.unwrap();
    assert_eq!(deleted, Deleted { author: hall.ann, files: 0 });
    store.delete_message(hall.deletion(own, hall.bob, others)).await.unwrap();
    assert_eq!(store.delete_message(hall.deletion(own, hall.bob, others)).await, Err(MessageError::NoMessage));
    let audit = store.audit_page(hall.guild, AuditFilter::default(), 10).await.unwrap().entries;
    let deletions: Vec<_> = audit.iter().filter(|entry| entry.action == AuditAction::MessageDeleted).collect();
    assert_eq!(deletions.len(), 1, "one's own is nobody's business");
    let entry = deletions[0];
    assert_eq!(entry.by.as_ref().map(|by| by.id), Some(hall.bob));
    assert_eq!((entry.target_user_id, entry.channel_id, entry.message_id), (Some(hall.ann), Some(hall.one), Some(message)));
    assert_eq!((entry.target.as_str(), entry.at_ms), ("ann", 9));
}

async fn reactions_are_counted_once<S: Store>(store: &S) {
    let hall = hall(store).await;
    let message = hall.post(hall.new("party", "n1")).await.id;
    let react = |user, emoji: &str, now| {
        store.add_reaction(NewReaction { channel: hall.one, message, user, emoji: emoji.into(), max_kinds: 2, now })
    };
    react(hall.ann, "🎉", 1).await.unwrap();
    react(hall.ann, "🎉", 2).await.unwrap();
    react(hall.bob, "👍", 3).await.unwrap();
    react(hall.bob, "🎉", 4).await.unwrap();
    assert_eq!(react(hall.ann, "🐛", 5).await, Err(MessageError::TooMany(2)));
    let seen = async |user| store.message(user, hall.one, message).await.unwrap().unwrap().reactions;
    let reaction = |emoji: &str, count, me| Reaction { emoji: emoji.into(), count, me };
    assert_eq!(seen(hall.ann).await, [reaction("🎉", 2, true), reaction("👍", 1, false)]);
    assert_eq!(seen(hall.bob).await, [reaction("🎉", 2, true), reaction("👍", 1, true)]);
    let take = |channel, user, emoji: &str| store.remove_reaction(channel, message, user, emoji.into());
    take(hall.one, hall.ann, "🎉").await.unwrap();
    take(hall.one, hall.ann, "🎉").await.unwrap();
    take(hall.one, hall.ann, "👍").await.unwrap();
    // In the order in which the first of those that are left came.
    assert_eq!(seen(hall.ann).await, [reaction("👍", 1, false), reaction("🎉", 1, false)]);
    assert_eq!(take(hall.two, hall.bob, "🎉").await, Err(MessageError::NoMessage));
    take(hall.one, hall.bob, "🎉").await.unwrap();
    react(hall.ann, "🐛", 6).await.unwrap();
    assert_eq!(seen(hall.ann).await, [reaction("👍", 1, false), reaction("🐛", 1, true)]);
    store.delete_message(hall.deletion(message, hall.ann, None)).await.unwrap();
    assert_eq!(react(hall.ann, "🎉", 7).await, Err(MessageError::NoMessage));
}

async fn pins_are_few_and_the_last_is_first<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(hall.post(hall.new("x", &n.to_string())).await.id);
    }
    let pin = |message, pinned, now| {
        store.pin_message(Pin { channel: hall.one, message, pinned, by: hall.bob, guild: Some(hall.guild), max: 2, now })
    };
    assert_eq!(pin(ids[1], true, 1).await, Ok(true));
    assert_eq!(pin(ids[1], true, 2).await, Ok(false));
    assert_eq!(pin(ids[0], true, 3).await, Ok(true));
    assert_eq!(pin(ids[2], true, 4).await, Err(MessageError::TooMany(2)));
    let pins = store.pins(hall.ann, hall.one).await.unwrap();
    assert!(pins.iter().all(|message| message.pinned));
    assert_eq!(pins.iter().map(|message| message.id).collect::<Vec<_>>(), [ids[0], ids[1]]);
    assert_eq!(store.pins(hall.ann, hall.two).await, Ok(vec![]));
    assert_eq!(pin(ids[1], false, 5).await, Ok(true));
    assert_eq!(pin(ids[1], false, 6).await, Ok(false));
    assert_eq!(pin(ids[2], true, 7).await, Ok(true));
    assert_eq!(pin(MessageId(u64::MAX), true, 8).await, Err(MessageError::NoMessage));
    let audit = store.audit_page(hall.guild, AuditFilter::default(), 10).await.unwrap().entries;
    let actions: Vec<_> = audit.iter().map(|entry| (entry.action, entry.message_id)).take(2).collect();
    assert_eq!(actions, [(AuditAction::MessagePinned, Some(ids[2])), (AuditAction::MessageUnpinned, Some(ids[1]))]);
}

async fn slow_mode_holds_and_deleting_is_no_way_out<S: Store>(store: &S) {
    let hall = hall(store).await;
    let post = |author, channel, nonce: &str, now| {
        let new = NewMessage::new(channel, author, "x", nonce, now);
        store.post_message(NewMessage { slow_mode_ms: 1_000, ..new })
    };
    let first = post(hall.ann, hall.one, "a", 10_000).await.unwrap().message.id;
    assert_eq!(post(hall.ann, hall.one, "b", 10_400).await, Err(PostError::SlowMode { wait_ms: 600 }));
    assert!(!post(hall.ann, hall.one, "a", 10_500).await.unwrap().is_new, "a retry doesn't wait");
    post(hall.bob, hall.one, "a", 10_500).await.unwrap();
    post(hall.ann, hall.two, "c", 10_500).await.unwrap();
    let deletion = Deletion { now: 10_600, ..hall.deletion(first, hall.ann, None) };
    store.delete_message(deletion).await.unwrap();
    assert_eq!(post(hall.ann, hall.one, "b", 10_900).await, Err(PostError::SlowMode { wait_ms: 100 }));
    post(hall.ann, hall.one, "b", 11_000).await.unwrap();
    // The clock was set back by an hour: nobody waits for that.
    let back = 11_000 - 3_600_000;
    assert_eq!(post(hall.ann, hall.one, "d", back).await, Err(PostError::SlowMode { wait_ms: 1_000 }));
}

async fn walks_through_history_see_all_of_it<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mut dice = Dice(1);
    for n in 0..60_u32 {
        let channel = if dice.roll(3) == 0 { hall.two } else { hall.one };
        let new = NewMessage::new(channel, hall.ann, n.to_string(), n.to_string(), i64::from(n) * 10);
        hall.post(new).await;
    }
    let whole = hall.all(hall.one).await;
    let page = |at, limit| store.history(hall.bob, hall.one, at, limit);
    let ids = |messages: &[Message]| messages.iter().map(|message| message.id).collect::<Vec<_>>();
    for limit in [1, 2, 7, 50] {
        let (mut back, mut at) = (Vec::new(), HistoryAt::Newest);
        loop {
            let page = page(at, limit).await.unwrap();
            assert_eq!(page.more_after, !back.is_empty(), "{limit}");
            back.splice(0..0, page.messages);
            if !page.more {
                break;
            }
            at = HistoryAt::Before(back[0].id);
        }
        assert_eq!(back, whole, "back by {limit}");
        let mut forth = Vec::new();
        let mut at = HistoryAt::After(MessageId(0));
        loop {
            let page = page(at, limit).await.unwrap();
            assert_eq!(page.more, !forth.is_empty(), "{limit}");
            forth.extend(page.messages);
            if !page.more_after {
                break;
            }
            at = HistoryAt::After(forth[forth.len() - 1].id);
        }
        assert_eq!(forth, whole, "forth by {limit}");
    }
    for (index, message) in whole.iter().enumerate() {
        let around = page(HistoryAt::Around(message.id), 6).await.unwrap();
        let (from, up_to) = (index.saturating_sub(3), (index + 3).min(whole.len()));
        assert_eq!(around.messages, whole[from..up_to]);
        assert_eq!((around.more, around.more_after), (from > 0, up_to < whole.len()));
        // A moment just before leads there, too.
        let time = page(HistoryAt::Time(message.sent_at_ms - 1), 6).await.unwrap();
        assert_eq!(ids(&time.messages), ids(&around.messages));
    }
    // What is deleted leaves its neighbours in place.
    store.delete_message(hall.deletion(whole[5].id, hall.ann, None)).await.unwrap();
    let around = page(HistoryAt::Around(whole[5].id), 2).await.unwrap();
    assert_eq!(ids(&around.messages), [whole[4].id, whole[6].id]);
    let late = page(HistoryAt::Time(i64::MAX), 2).await.unwrap();
    assert_eq!((late.messages.last(), late.more_after), (whole.last(), false));
    let last = whole[whole.len() - 1].id;
    let end = page(HistoryAt::After(last), 5).await.unwrap();
    assert!(end.messages.is_empty() && end.more && !end.more_after);
    let begin = page(HistoryAt::Before(whole[0].id), 5).await.unwrap();
    assert!(begin.messages.is_empty() && !begin.more && begin.more_after);
    let beyond = page(HistoryAt::Before(MessageId(u64::MAX)), 5).await.unwrap();
    assert!(beyond.messages.is_empty());
}

/// What a reader would count by hand.
#[derive(Default)]
struct Naive {
    messages: BTreeMap<MessageId, (ChannelId, UserId, Mentions)>,
    marks: HashMap<(UserId, ChannelId), MessageId>,
}

impl Naive {
    fn unread(&self, reader: &Reader, channel: ChannelId) -> (u32, u32, Option<MessageId>) {
        let mark = self.marks.get(&(reader.user, channel));
        let in_channel = || self.messages.iter().filter(|(_, message)| message.0 == channel);
        let unread = in_channel().filter(|(id, message)| Some(*id) > mark && message.1 != reader.user);
        let mentions = unread.clone().filter(|(_, (_, _, mentions))| {
            mentions.everyone || mentions.users.contains(&reader.user) || mentions.roles.iter().any(|role| reader.roles.contains(role))
        });
        let last = in_channel().map(|(id, _)| *id).next_back();
        (unread.count() as u32, mentions.count() as u32, last)
    }
}

async fn unread_messages_are_those_that_a_simple_count_gives<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mut naive = Naive::default();
    let mut dice = Dice(2);
    let people = [hall.ann, hall.bob];
    let channels = [hall.one, hall.two];
    let readers = [
        Reader { user: hall.ann, roles: vec![] },
        Reader { user: hall.bob, roles: vec![RoleId(4), RoleId(7)] },
    ];
    for step in 0..300 {
        let (person, channel) = (people[dice.roll(2)], channels[dice.roll(2)]);
        let known: Vec<_> = naive.messages.iter().filter(|(_, message)| message.0 == channel).map(|(id, _)| *id).collect();
        match dice.roll(8) {
            0 if !known.is_empty() => {
                let read = known[dice.roll(known.len())];
                let reader = readers.iter().find(|reader| reader.user == person).unwrap();
                let state = store.mark_read(reader.clone(), channel, read).await.unwrap();
                let mark = naive.marks.entry((person, channel)).or_insert(read);
                *mark = read.max(*mark);
                assert_eq!(state.last_read, Some(*mark), "step {step}: it never goes back");
            }
            1 if !known.is_empty() => {
                let message = known[dice.roll(known.len())];
                let by = naive.messages[&message].1;
                let deletion = Deletion { channel, ..hall.deletion(message, by, None) };
                store.delete_message(deletion).await.unwrap();
                naive.messages.remove(&message);
            }
            2 if !known.is_empty() => {
                let message = known[dice.roll(known.len())];
                let author = naive.messages[&message].1;
                let mentions = Mentions { users: vec![people[dice.roll(2)]], ..Mentions::default() };
                let edit = MessageEdit { channel, message, author, text: format!("edited {step}"), mentions: mentions.clone(), now: 1 };
                store.edit_message(edit).await.unwrap();
                naive.messages.get_mut(&message).unwrap().2 = mentions;
            }
            _ => {
                let mentions = Mentions {
                    users: (0..dice.roll(2)).map(|_| people[dice.roll(2)]).collect(),
                    roles: (0..dice.roll(3)).map(|n| RoleId(dice.roll(8) as u64 + 10 * n as u64)).collect(),
                    everyone: dice.roll(6) == 0,
                };
                let new = NewMessage::new(channel, person, "x", step.to_string(), 100);
                let message = hall.post(NewMessage { mentions: mentions.clone(), ..new }).await;
                naive.messages.insert(message.id, (channel, person, mentions));
            }
        }
        for reader in &readers {
            let states = store.read_states(reader.clone(), channels.to_vec()).await.unwrap();
            for channel in channels {
                let (unread, mentions, last_message) = naive.unread(reader, channel);
                let state = states.iter().find(|state| state.channel_id == channel);
                let Some(state) = state else {
                    assert_eq!(last_message, None, "step {step}");
                    continue;
                };
                assert_eq!((state.unread, state.mentions), (unread, mentions), "step {step}, {reader:?}, {channel:?}");
                assert_eq!(state.last_message, last_message);
                assert_eq!(state.last_read, naive.marks.get(&(reader.user, channel)).copied());
            }
        }
    }
}

async fn nobody_has_to_read_what_was_before_them<S: Store>(store: &S) {
    let hall = hall(store).await;
    let post = |nonce: u32, now| hall.post(NewMessage::new(hall.one, hall.ann, "x", nonce.to_string(), now));
    for n in 0..3 {
        post(n, 50).await;
    }
    let late = SignUp { now: 100, ..by_invite(guest("late", 3), "g-invite") };
    let late = store.sign_up(late).await.unwrap().user.id;
    let states = async |user| store.read_states(hall.reader(user), vec![hall.two, hall.one, ChannelId(u64::MAX)]).await.unwrap();
    let before = states(late).await;
    assert_eq!(before.len(), 1, "only channels that have messages");
    assert_eq!((before[0].channel_id, before[0].unread, before[0].last_read), (hall.one, 0, None));
    post(3, 200).await;
    assert_eq!(states(late).await[0].unread, 1);
    assert_eq!(states(hall.bob).await[0].unread, 4);
    all_at_once((4..1_100).map(|n| post(n, 300))).await;
    assert_eq!(states(late).await[0].unread, MAX_UNREAD);
    // Nobody has read what isn't there yet.
    let state = store.mark_read(hall.reader(late), hall.one, MessageId((1 << 53) - 1)).await.unwrap();
    assert_eq!((state.unread, state.last_read), (0, state.last_message));
    post(2_000, 400).await;
    assert_eq!(states(late).await[0].unread, 1);
    let nothing = store.mark_read(hall.reader(late), hall.two, MessageId(5)).await.unwrap();
    assert_eq!((nothing.last_read, nothing.last_message, nothing.unread), (None, None, 0));
}

async fn a_search_finds_what_a_look_at_everything_finds<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mut dice = Dice(3);
    let words = ["tea", "team", "Steam", "cup", "CUPS", "https://tea.example/cup", "x-ray", "two"];
    let mut all = Vec::new();
    for n in 0..200_i64 {
        let text: Vec<_> = (0..1 + dice.roll(4)).map(|_| words[dice.roll(words.len())]).collect();
        let (channel, author) = ([hall.one, hall.two][dice.roll(2)], [hall.ann, hall.bob][dice.roll(2)]);
        all.push(hall.post(NewMessage::new(channel, author, text.join(" "), n.to_string(), n * 100)).await);
        if dice.roll(5) == 0 {
            let message = all.remove(dice.roll(all.len()));
            let deletion = Deletion { channel: message.channel_id, ..hall.deletion(message.id, message.author.id, None) };
            store.delete_message(deletion).await.unwrap();
        }
        if dice.roll(5) == 0 {
            let message = dice.roll(all.len());
            let Message { id, channel_id: channel, author, .. } = all[message].clone();
            let text = words[dice.roll(words.len())].into();
            let edit = MessageEdit { channel, message: id, author: author.id, text, mentions: Mentions::default(), now: 1 };
            all[message] = store.edit_message(edit).await.unwrap();
        }
    }
    all.sort_by_key(|message| std::cmp::Reverse(message.id));
    let tokens = |text: &str| -> Vec<String> {
        let lower = text.to_lowercase();
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let fits = |term: &Term, message: &Message| {
        let (term_words, text) = (tokens(&term.text), tokens(&message.text));
        text.windows(term_words.len()).any(|window| {
            let (last, head) = term_words.split_last().unwrap();
            let (end, begin) = window.split_last().unwrap();
            head == begin && (end == last || (term.prefix && end.starts_with(last)))
        })
    };
    for round in 0..120 {
        let term = |dice: &mut Dice| {
            let count = 1 + dice.roll(2);
            let text: Vec<_> = (0..count).map(|_| words[dice.roll(words.len())]).collect();
            Term { text: text.join(" "), prefix: dice.roll(2) == 0 }
        };
        let search = Search {
            reader: hall.ann,
            channels: [vec![hall.one, hall.two], vec![hall.two], vec![]][dice.roll(10).min(2) % 3].clone(),
            terms: (0..dice.roll(3)).map(|_| term(&mut dice)).collect(),
            from: (dice.roll(3) == 0).then(|| vec![hall.bob]),
            sent_before: (dice.roll(4) == 0).then_some(12_000),
            sent_since: (dice.roll(4) == 0).then_some(4_000),
            has: if dice.roll(4) == 0 { vec![Has::Link] } else { vec![] },
            before: None,
            limit: 1 + dice.roll(20) as u32,
        };
        let expected: Vec<MessageId> = all
            .iter()
            .filter(|message| search.channels.contains(&message.channel_id))
            .filter(|message| search.from.as_ref().is_none_or(|from| from.contains(&message.author.id)))
            .filter(|message| search.sent_before.is_none_or(|before| message.sent_at_ms < before))
            .filter(|message| search.sent_since.is_none_or(|since| message.sent_at_ms >= since))
            .filter(|message| search.has.is_empty() || message.text.contains("https://"))
            .filter(|message| search.terms.iter().all(|term| fits(term, message)))
            .map(|message| message.id)
            .collect();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let (page, more) = store.search_messages(Search { before, ..search.clone() }).await.unwrap();
            assert!(page.len() <= search.limit as usize && (!more || page.len() == search.limit as usize));
            before = page.last().map(|found| found.message.id);
            found.extend(page.into_iter().map(|found| found.message.id));
            if !more {
                break;
            }
        }
        assert_eq!(found, expected, "round {round}: {search:?}");
    }
    assert_eq!(store.search_messages(search_for(&hall, "tea", false)).await.unwrap().0[0].message.attachments, []);
}

fn search_for<S>(hall: &Hall<'_, S>, text: &str, prefix: bool) -> Search {
    Search {
        reader: hall.ann,
        channels: vec![hall.one, hall.two],
        terms: vec![Term { text: text.into(), prefix }],
        from: None,
        sent_before: None,
        sent_since: None,
        has: vec![],
        before: None,
        limit: 10,
    }
}

async fn words_are_found_whatever_their_case_and_accents<S: Store>(store: &S) {
    let hall = hall(store).await;
    hall.post(hall.new("Das Café in Köln: \"schön\" 🏖 und schon", "n1")).await;
    let find = async |text: &str, prefix| {
        let (found, _) = store.search_messages(search_for(&hall, text, prefix)).await.unwrap();
        found.into_iter().map(|found| {
            let text: Vec<char> = found.message.text.chars().collect();
            found.highlights.iter().map(|(from, to)| text[*from as usize..*to as usize].iter().collect()).collect::<Vec<String>>()
        }).next()
    };
    assert_eq!(find("cafe", false).await, Some(vec!["Café".to_owned()]));
    assert_eq!(find("KÖLN", false).await, Some(vec!["Köln".to_owned()]));
    assert_eq!(find("schon", false).await, Some(vec!["schön".to_owned(), "schon".to_owned()]));
    assert_eq!(find("in koln", false).await, Some(vec!["in Köln".to_owned()]));
    assert_eq!(find("ko", true).await, Some(vec!["Köln".to_owned()]));
    assert_eq!(find("ko", false).await, None);
    assert_eq!(find("koln in", false).await, None);
    for odd in ["\"", "🏖", "(", "*", "AND", "NEAR(a b)", "text:cafe", "-cafe", "a\0b", "^cafe", "{text}:x", "'; DROP TABLE messages"] {
        store.search_messages(search_for(&hall, odd, true)).await.unwrap();
    }
    // The marks around what is found may stand in a text, too.
    hall.post(hall.new("one\u{1} two\u{2} marks", "n2")).await;
    assert_eq!(find("marks", false).await, Some(vec![]));
}

async fn old_messages_and_those_of_no_channel_expire<S: Store>(store: &S) {
    let hall = hall(store).await;
    for day in 0..10 {
        for channel in [hall.one, hall.two] {
            hall.post(NewMessage::new(channel, hall.ann, "x", format!("{channel}-{day}"), day * DAY_MS)).await;
        }
    }
    let now = 10 * DAY_MS;
    assert_eq!(store.expire_messages(None, now, 100).await, Ok(0));
    let update = ChannelUpdate { retention_days: Some(4), ..ChannelUpdate::default() };
    store.update_channel(hall.guild, hall.two, update, Act::new(hall.ann, 1)).await.unwrap();
    assert_eq!(store.expire_messages(None, now, 4).await, Ok(4), "a few at a time");
    assert_eq!(store.expire_messages(None, now, 4).await, Ok(2));
    assert_eq!(store.expire_messages(None, now, 4).await, Ok(0));
    let left = hall.all(hall.two).await;
    assert!(left.len() == 4 && left.iter().all(|message| message.sent_at_ms >= 6 * DAY_MS));
    assert_eq!(hall.all(hall.one).await.len(), 10);
    // Where nothing is said, the server's word holds.
    assert_eq!(store.expire_messages(Some(7 * DAY_MS), now, 100).await, Ok(3));
    assert_eq!((hall.all(hall.one).await.len(), hall.all(hall.two).await.len()), (7, 4));

    store.mark_read(hall.reader(hall.bob), hall.two, left[0].id).await.unwrap();
    store.delete_channel(hall.guild, hall.two, Act::new(hall.ann, 1)).await.unwrap();
    assert_eq!(store.expire_messages(None, now, 3).await, Ok(3));
    assert_eq!(store.expire_messages(None, now, 3).await, Ok(1));
    assert_eq!(store.expire_messages(None, now, 3).await, Ok(0));
    assert_eq!(hall.all(hall.two).await, []);
    assert_eq!(hall.all(hall.one).await.len(), 7);
}
