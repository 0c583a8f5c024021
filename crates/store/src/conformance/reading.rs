//! Reading: pages of history, what is unread, and searching.

use std::collections::{BTreeMap, HashMap};

use voxhall_protocol::{
    ChannelId, MessageId, RoleId, UserId,
    control::{Mentions, Message},
};

use super::{
    text::{Dice, Hall, all_at_once, hall},
    *,
};

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    walks_through_history_see_all_of_it(&fresh()).await;
    unread_messages_are_those_that_a_simple_count_gives(&fresh()).await;
    nobody_has_to_read_what_was_before_them(&fresh()).await;
    ones_own_messages_are_read_and_looking_past_them_has_an_end(&fresh()).await;
    a_search_finds_what_a_look_at_everything_finds(&fresh()).await;
    words_are_found_whatever_their_case_and_accents(&fresh()).await;
}

async fn walks_through_history_see_all_of_it<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mut dice = Dice(1);
    for n in 0..60_u32 {
        let channel = if dice.roll(3) == 0 {
            hall.two
        } else {
            hall.one
        };
        let new = NewMessage::new(
            channel,
            hall.ann,
            n.to_string(),
            n.to_string(),
            i64::from(n) * 10,
        );
        hall.post(new).await;
    }
    let whole = hall.all(hall.one).await;
    let page = |at, limit| store.history(hall.bob, hall.one, at, limit);
    let ids = |messages: &[Message]| {
        messages
            .iter()
            .map(|message| message.id)
            .collect::<Vec<_>>()
    };
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
        assert_eq!(
            (around.more, around.more_after),
            (from > 0, up_to < whole.len())
        );
        // A moment just before leads there, too.
        let time = page(HistoryAt::Time(message.sent_at_ms - 1), 6)
            .await
            .unwrap();
        assert_eq!(ids(&time.messages), ids(&around.messages));
    }
    // What is deleted leaves its neighbours in place.
    store
        .delete_message(hall.deletion(whole[5].id, hall.ann, None))
        .await
        .unwrap();
    let around = page(HistoryAt::Around(whole[5].id), 2).await.unwrap();
    assert_eq!(ids(&around.messages), [whole[4].id, whole[6].id]);
    let late = page(HistoryAt::Time(i64::MAX), 2).await.unwrap();
    assert_eq!(
        (late.messages.last(), late.more_after),
        (whole.last(), false)
    );
    let last = whole[whole.len() - 1].id;
    let end = page(HistoryAt::After(last), 5).await.unwrap();
    assert!(end.messages.is_empty() && end.more && !end.more_after);
    let begin = page(HistoryAt::Before(whole[0].id), 5).await.unwrap();
    assert!(begin.messages.is_empty() && !begin.more && begin.more_after);
    let beyond = page(HistoryAt::Before(MessageId(u64::MAX)), 5)
        .await
        .unwrap();
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
        let in_channel = || {
            self.messages
                .iter()
                .filter(|(_, message)| message.0 == channel)
        };
        let unread =
            in_channel().filter(|(id, message)| Some(*id) > mark && message.1 != reader.user);
        let mentions = unread.clone().filter(|(_, (_, _, mentions))| {
            mentions.everyone
                || mentions.users.contains(&reader.user)
                || mentions
                    .roles
                    .iter()
                    .any(|role| reader.roles.contains(role))
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
        Reader {
            user: hall.ann,
            roles: vec![],
        },
        Reader {
            user: hall.bob,
            roles: vec![RoleId(4), RoleId(7)],
        },
    ];
    for step in 0..300 {
        let (person, channel) = (people[dice.roll(2)], channels[dice.roll(2)]);
        let known: Vec<_> = naive
            .messages
            .iter()
            .filter(|(_, message)| message.0 == channel)
            .map(|(id, _)| *id)
            .collect();
        match dice.roll(8) {
            0 if !known.is_empty() => {
                let read = known[dice.roll(known.len())];
                let reader = readers.iter().find(|reader| reader.user == person).unwrap();
                let state = store
                    .mark_read(reader.clone(), channel, read)
                    .await
                    .unwrap();
                let mark = naive.marks.entry((person, channel)).or_insert(read);
                *mark = read.max(*mark);
                assert_eq!(
                    state.last_read,
                    Some(*mark),
                    "step {step}: it never goes back"
                );
            }
            1 if !known.is_empty() => {
                let message = known[dice.roll(known.len())];
                let by = naive.messages[&message].1;
                let deletion = Deletion {
                    channel,
                    ..hall.deletion(message, by, None)
                };
                store.delete_message(deletion).await.unwrap();
                naive.messages.remove(&message);
            }
            2 if !known.is_empty() => {
                let message = known[dice.roll(known.len())];
                let author = naive.messages[&message].1;
                let mentions = Mentions {
                    users: vec![people[dice.roll(2)]],
                    ..Mentions::default()
                };
                let edit = MessageEdit {
                    channel,
                    message,
                    author,
                    text: format!("edited {step}"),
                    mentions: mentions.clone(),
                    now: 1,
                };
                store.edit_message(edit).await.unwrap();
                naive.messages.get_mut(&message).unwrap().2 = mentions;
            }
            _ => {
                let mentions = Mentions {
                    users: (0..dice.roll(2)).map(|_| people[dice.roll(2)]).collect(),
                    roles: (0..dice.roll(3))
                        .map(|n| RoleId(dice.roll(8) as u64 + 10 * n as u64))
                        .collect(),
                    everyone: dice.roll(6) == 0,
                };
                let new = NewMessage::new(channel, person, "x", step.to_string(), 100);
                let message = hall
                    .post(NewMessage {
                        mentions: mentions.clone(),
                        ..new
                    })
                    .await;
                // Who had read everything has read what they wrote.
                let mark = naive.marks.get(&(person, channel)).copied();
                if known.last().is_none_or(|last| mark >= Some(*last)) {
                    naive.marks.insert((person, channel), message.id);
                }
                naive
                    .messages
                    .insert(message.id, (channel, person, mentions));
            }
        }
        for reader in &readers {
            let states = store
                .read_states(reader.clone(), channels.to_vec())
                .await
                .unwrap();
            for channel in channels {
                let (unread, mentions, last_message) = naive.unread(reader, channel);
                let state = states.iter().find(|state| state.channel_id == channel);
                let Some(state) = state else {
                    assert_eq!(last_message, None, "step {step}");
                    continue;
                };
                assert_eq!(
                    (state.unread, state.mentions),
                    (unread, mentions),
                    "step {step}, {reader:?}, {channel:?}"
                );
                assert_eq!(state.last_message, last_message);
                assert_eq!(
                    state.last_read,
                    naive.marks.get(&(reader.user, channel)).copied()
                );
            }
        }
    }
}

async fn nobody_has_to_read_what_was_before_them<S: Store>(store: &S) {
    let hall = hall(store).await;
    let post = |nonce: u32, now| {
        hall.post(NewMessage::new(
            hall.one,
            hall.ann,
            "x",
            nonce.to_string(),
            now,
        ))
    };
    for n in 0..3 {
        post(n, 50).await;
    }
    let late = SignUp {
        now: 100,
        ..by_invite(guest("late", 3), "g-invite")
    };
    let late = store.sign_up(late).await.unwrap().user.id;
    let states = async |user| {
        store
            .read_states(
                hall.reader(user),
                vec![hall.two, hall.one, ChannelId(u64::MAX)],
            )
            .await
            .unwrap()
    };
    let before = states(late).await;
    assert_eq!(before.len(), 1, "only channels that have messages");
    assert_eq!(
        (before[0].channel_id, before[0].unread, before[0].last_read),
        (hall.one, 0, None)
    );
    post(3, 200).await;
    assert_eq!(states(late).await[0].unread, 1);
    assert_eq!(states(hall.bob).await[0].unread, 4);
    all_at_once((4..1_100).map(|n| post(n, 300))).await;
    assert_eq!(states(late).await[0].unread, MAX_UNREAD);
    // Nobody has read what isn't there yet.
    let state = store
        .mark_read(hall.reader(late), hall.one, MessageId((1 << 53) - 1))
        .await
        .unwrap();
    assert_eq!((state.unread, state.last_read), (0, state.last_message));
    post(2_000, 400).await;
    assert_eq!(states(late).await[0].unread, 1);
    let nothing = store
        .mark_read(hall.reader(late), hall.two, MessageId(5))
        .await
        .unwrap();
    assert_eq!(
        (nothing.last_read, nothing.last_message, nothing.unread),
        (None, None, 0)
    );
}

async fn ones_own_messages_are_read_and_looking_past_them_has_an_end<S: Store>(store: &S) {
    let hall = hall(store).await;
    let post = |author, nonce: u32| {
        let nonce = nonce.to_string();
        hall.post(NewMessage::new(hall.one, author, "x", nonce, 5))
    };
    let state = async |user| {
        let states = store.read_states(hall.reader(user), vec![hall.one]).await;
        states.unwrap().remove(0)
    };
    for n in 0..3 {
        let written = post(hall.ann, n).await;
        assert_eq!(state(hall.ann).await.last_read, Some(written.id));
    }
    let read = state(hall.ann).await.last_read;
    post(hall.bob, 0).await;
    let own = |numbers: std::ops::Range<u32>| all_at_once(numbers.map(|n| post(hall.ann, n)));
    let mut at = 3;
    while at < 3 + UNREAD_AMONG - 1 {
        let to = (at + 500).min(3 + UNREAD_AMONG - 1);
        own(at..to).await;
        at = to;
    }
    // Whoever has not read everything before has not read their own either.
    let before = state(hall.ann).await;
    assert_eq!((before.last_read, before.unread), (read, 1));
    own(at..at + 1).await;
    assert_eq!(state(hall.ann).await.unread, 0);
    // A mark that stays is answered with what there is.
    let back = store.mark_read(hall.reader(hall.ann), hall.one, read.unwrap());
    assert_eq!(back.await, Ok(state(hall.ann).await));
    assert_eq!(state(hall.bob).await.unread, MAX_UNREAD);
    let last = state(hall.ann).await.last_message.unwrap();
    let marked = store.mark_read(hall.reader(hall.ann), hall.one, last).await;
    assert_eq!(marked.unwrap().last_read, Some(last));
    let next = post(hall.ann, at + 1).await;
    assert_eq!(state(hall.ann).await.last_read, Some(next.id));
}

async fn a_search_finds_what_a_look_at_everything_finds<S: Store>(store: &S) {
    let hall = hall(store).await;
    let mut dice = Dice(3);
    let words = [
        "tea",
        "team",
        "Steam",
        "cup",
        "CUPS",
        "https://tea.example/cup",
        "x-ray",
        "two",
    ];
    let mut all = Vec::new();
    for n in 0..200_i64 {
        let text: Vec<_> = (0..1 + dice.roll(4))
            .map(|_| words[dice.roll(words.len())])
            .collect();
        let (channel, author) = (
            [hall.one, hall.two][dice.roll(2)],
            [hall.ann, hall.bob][dice.roll(2)],
        );
        all.push(
            hall.post(NewMessage::new(
                channel,
                author,
                text.join(" "),
                n.to_string(),
                n * 100,
            ))
            .await,
        );
        if dice.roll(5) == 0 {
            let message = all.remove(dice.roll(all.len()));
            let deletion = Deletion {
                channel: message.channel_id,
                ..hall.deletion(message.id, message.author.id, None)
            };
            store.delete_message(deletion).await.unwrap();
        }
        if dice.roll(5) == 0 {
            let message = dice.roll(all.len());
            let Message {
                id,
                channel_id: channel,
                author,
                ..
            } = all[message].clone();
            let text = words[dice.roll(words.len())].into();
            let edit = MessageEdit {
                channel,
                message: id,
                author: author.id,
                text,
                mentions: Mentions::default(),
                now: 1,
            };
            all[message] = store.edit_message(edit).await.unwrap();
        }
    }
    all.sort_by_key(|message| std::cmp::Reverse(message.id));
    let tokens = |text: &str| -> Vec<String> {
        let lower = text.to_lowercase();
        lower
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
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
            Term {
                text: text.join(" "),
                prefix: dice.roll(2) == 0,
            }
        };
        let search = Search {
            reader: hall.ann,
            channels: [vec![hall.one, hall.two], vec![hall.two], vec![]][dice.roll(10).min(2) % 3]
                .clone(),
            terms: (0..dice.roll(3)).map(|_| term(&mut dice)).collect(),
            from: (dice.roll(3) == 0).then(|| vec![hall.bob]),
            sent_before: (dice.roll(4) == 0).then_some(12_000),
            sent_since: (dice.roll(4) == 0).then_some(4_000),
            has: if dice.roll(4) == 0 {
                vec![Has::Link]
            } else {
                vec![]
            },
            before: None,
            limit: 1 + dice.roll(20) as u32,
        };
        let expected: Vec<MessageId> = all
            .iter()
            .filter(|message| search.channels.contains(&message.channel_id))
            .filter(|message| {
                search
                    .from
                    .as_ref()
                    .is_none_or(|from| from.contains(&message.author.id))
            })
            .filter(|message| {
                search
                    .sent_before
                    .is_none_or(|before| message.sent_at_ms < before)
            })
            .filter(|message| {
                search
                    .sent_since
                    .is_none_or(|since| message.sent_at_ms >= since)
            })
            .filter(|message| search.has.is_empty() || message.text.contains("https://"))
            .filter(|message| search.terms.iter().all(|term| fits(term, message)))
            .map(|message| message.id)
            .collect();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let (page, more) = store
                .search_messages(Search {
                    before,
                    ..search.clone()
                })
                .await
                .unwrap();
            assert!(
                page.len() <= search.limit as usize
                    && (!more || page.len() == search.limit as usize)
            );
            before = page.last().map(|found| found.message.id);
            found.extend(page.into_iter().map(|found| found.message.id));
            if !more {
                break;
            }
        }
        assert_eq!(found, expected, "round {round}: {search:?}");
    }
    assert_eq!(
        store
            .search_messages(search_for(&hall, "tea", false))
            .await
            .unwrap()
            .0[0]
            .message
            .attachments,
        []
    );
}

fn search_for<S>(hall: &Hall<'_, S>, text: &str, prefix: bool) -> Search {
    Search {
        reader: hall.ann,
        channels: vec![hall.one, hall.two],
        terms: vec![Term {
            text: text.into(),
            prefix,
        }],
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
    hall.post(hall.message("Das Café in Köln: \"schön\" 🏖 und schon", "n1"))
        .await;
    let find = async |text: &str, prefix| {
        let (found, _) = store
            .search_messages(search_for(&hall, text, prefix))
            .await
            .unwrap();
        found
            .into_iter()
            .map(|found| {
                let text: Vec<char> = found.message.text.chars().collect();
                found
                    .highlights
                    .iter()
                    .map(|(from, to)| text[*from as usize..*to as usize].iter().collect())
                    .collect::<Vec<String>>()
            })
            .next()
    };
    assert_eq!(find("cafe", false).await, Some(vec!["Café".to_owned()]));
    assert_eq!(find("KÖLN", false).await, Some(vec!["Köln".to_owned()]));
    assert_eq!(
        find("schon", false).await,
        Some(vec!["schön".to_owned(), "schon".to_owned()])
    );
    assert_eq!(
        find("in koln", false).await,
        Some(vec!["in Köln".to_owned()])
    );
    assert_eq!(find("ko", true).await, Some(vec!["Köln".to_owned()]));
    assert_eq!(find("ko", false).await, None);
    assert_eq!(find("koln in", false).await, None);
    for odd in [
        "\"",
        "🏖",
        "(",
        "*",
        "AND",
        "NEAR(a b)",
        "text:cafe",
        "-cafe",
        "a\0b",
        "^cafe",
        "{text}:x",
        "'; DROP TABLE messages",
    ] {
        store
            .search_messages(search_for(&hall, odd, true))
            .await
            .unwrap();
    }
    // The marks around what is found may stand in a text, too.
    hall.post(hall.message("one\u{1} two\u{2} marks", "n2"))
        .await;
    assert_eq!(find("marks", false).await, Some(vec![]));
}
