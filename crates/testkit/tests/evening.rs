//! A scripted evening: two hundred real sessions on a real server, all doing what people do; some are cut and come back. At its end
//! every session's picture equals that of a session which begins anew, and every message is in the data base once.
//!
//! `VOXHALL_SEED` repeats an evening.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time};
use voxhall_protocol::{
    ChannelId, GuildId, MessageId, UserId, control::*, permissions::Permissions,
};
use voxhall_session::{AskError, Intent, State, TransferId, TransferProgress};
use voxhall_testkit::{
    people::{Person, difference, picture, settle},
    process::ServerProcess,
    proxy::{Path, Proxy},
};

const PEOPLE: usize = 200;
/// Of them have an account; the others are guests.
const ACCOUNTS: usize = 24;
/// Come over a connection that is cut twice.
const CUT: usize = 30;
/// What each does in the evening.
const DEEDS: usize = 12;
const PASSWORD: &str = "correct horse battery";

struct Evening {
    guild: GuildId,
    choir: GuildId,
    general: ChannelId,
    games: ChannelId,
    staff: ChannelId,
    lounge: ChannelId,
    files: tempfile::TempDir,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_evening_every_session_sees_what_the_store_holds() {
    let seed = std::env::var("VOXHALL_SEED")
        .map_or_else(|_| rand::random(), |text| text.parse().expect("a number"));
    println!("VOXHALL_SEED={seed}");
    let began = Instant::now();
    let limits = [
        "--sign-ins-per-minute",
        "100000",
        "--pending-per-address",
        "1000",
        "--registration",
        "open",
    ];
    let server = ServerProcess::start_with(limits).unwrap();
    let proxy = Proxy::start(server.address(), Path::default(), seed).unwrap();
    println!("the server listens after {:?}", began.elapsed());

    let owner = Person::register(server.owner().unwrap(), "owner", PASSWORD)
        .await
        .unwrap();
    let people = everyone(&server, &proxy).await;
    println!(
        "{} people are there after {:?}",
        people.len(),
        began.elapsed()
    );
    let evening = Arc::new(prepare(&owner, &people).await);
    println!("all is prepared after {:?}", began.elapsed());

    let mut people: Vec<_> = people.into_iter().map(Arc::new).collect();
    let mut doing = JoinSet::new();
    let ids: Arc<Vec<UserId>> = Arc::new(
        people
            .iter()
            .map(|it| it.state().me.as_ref().unwrap().id)
            .collect(),
    );
    for (number, person) in people.iter().enumerate() {
        let rng = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        let (person, evening, ids) = (Arc::clone(person), Arc::clone(&evening), Arc::clone(&ids));
        doing.spawn(live(person, number, evening, ids, rng));
    }
    // Twice everyone behind the proxy is cut off, the second time for longer.
    for pause_s in [1, 3] {
        time::sleep(Duration::from_secs(2)).await;
        proxy.allow_control(false);
        time::sleep(Duration::from_secs(pause_s)).await;
        proxy.allow_control(true);
    }
    let mut tally: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(done) = doing.join_next().await {
        for (what, count) in done.expect("nobody panics") {
            *tally.entry(what).or_default() += count;
        }
    }
    println!("done after {:?}: {tally:?}", began.elapsed());
    let broken = |what: &&String| what.contains("failed") || what.contains("makes no sense");
    let broken: Vec<_> = tally.keys().filter(broken).collect();
    assert!(
        broken.is_empty(),
        "the server failed at something: {broken:?}"
    );
    let mut people: Vec<Person> = people
        .drain(..)
        .map(|it| Arc::into_inner(it).expect("all tasks are done"))
        .collect();
    people.push(owner);
    settle(&people, Duration::from_secs(2)).await.unwrap();
    println!(
        "at rest after {:?}; {} events were told",
        began.elapsed(),
        people.iter().map(Person::events).sum::<u64>()
    );

    let resumed = people[..CUT]
        .iter()
        .filter(|person| person.syncs() == 1)
        .count();
    println!("{resumed} of {CUT} went on where they were cut");
    assert_eq!(resumed, CUT, "a short cut needs no full sync");
    compare(people, &evening, &server).await;
    println!("compared after {:?}", began.elapsed());
}

async fn everyone(server: &ServerProcess, proxy: &Proxy) -> Vec<Person> {
    let mut coming = JoinSet::new();
    let mut there: Vec<_> = (0..PEOPLE).map(|_| None).collect();
    for number in 0..PEOPLE {
        // A few at a time: signing up costs a password hash.
        if coming.len() >= 16 {
            let (number, person) = coming.join_next().await.unwrap().unwrap();
            there[number] = Some(person);
        }
        let link = if number < CUT {
            proxy.through(server.invite())
        } else {
            server.invite().to_owned()
        };
        coming.spawn(async move {
            // Every eighth has an account, some of them behind the proxy.
            let is_account = number % (PEOPLE / ACCOUNTS) == 0;
            let person = if is_account {
                Person::register(&link, &format!("account-{number}"), PASSWORD).await
            } else {
                Person::guest(&link, &format!("guest-{number}")).await
            };
            (number, person.unwrap())
        });
    }
    while let Some(came) = coming.join_next().await {
        let (number, person) = came.unwrap();
        there[number] = Some(person);
    }
    there.into_iter().flatten().collect()
}

/// The owner sets up roles and channels, and a second guild to which some come.
async fn prepare(owner: &Person, people: &[Person]) -> Evening {
    let guild = owner.state().guilds[0].id;
    let state = owner.state();
    let of_kind = |kind| state.guilds[0].channels_of(kind).next().unwrap().id;
    let (general, lounge) = (of_kind(ChannelKind::Text), of_kind(ChannelKind::Voice));
    let everyone = state.guilds[0].roles[0].id;
    let rights = Permissions::MANAGE_MESSAGES
        .with(Permissions::TIMEOUT_MEMBERS)
        .with(Permissions::KICK_MEMBERS)
        .with(Permissions::MANAGE_NICKNAMES)
        .with(Permissions::MENTION_EVERYONE);
    let role = CreateRole {
        guild_id: guild,
        name: "Mod".into(),
        permissions: rights,
        color: Some(0xff_88_00),
    };
    let moderators = owner.ask(role).await.unwrap().id;
    let make = |name: &str, kind, category_id| CreateChannel {
        guild_id: guild,
        name: name.into(),
        kind,
        category_id,
    };
    let back = owner
        .ask(make("back rooms", ChannelKind::Category, None))
        .await
        .unwrap()
        .id;
    let staff = owner
        .ask(make("staff", ChannelKind::Text, Some(back)))
        .await
        .unwrap()
        .id;
    let games = owner
        .ask(make("games", ChannelKind::Text, None))
        .await
        .unwrap()
        .id;
    for (target, allow, deny) in [
        (everyone, Permissions::NONE, Permissions::VIEW_CHANNEL),
        (moderators, Permissions::VIEW_CHANNEL, Permissions::NONE),
    ] {
        let target = OverwriteTarget::Role(target);
        owner
            .ask(SetOverwrite {
                channel_id: back,
                target,
                allow,
                deny,
            })
            .await
            .unwrap();
    }
    for person in people.iter().skip(1).step_by(20) {
        let user_id = person.state().me.as_ref().unwrap().id;
        let update = UpdateMember {
            guild_id: guild,
            user_id,
            nick: None,
            roles: Some(vec![moderators]),
        };
        owner.ask(update).await.unwrap();
    }
    let choir = people[0]
        .ask(CreateGuild {
            name: "Choir".into(),
        })
        .await
        .unwrap()
        .id;
    let invite = CreateInvite {
        guild_id: choir,
        expires_in_s: None,
        max_uses: None,
    };
    let invite = people[0].ask(invite).await.unwrap();
    for person in people.iter().step_by(5).skip(1) {
        person
            .ask(RedeemInvite {
                code: invite.code.clone(),
            })
            .await
            .unwrap();
    }
    Evening {
        guild,
        choir,
        general,
        games,
        staff,
        lounge,
        files: tempfile::tempdir().unwrap(),
    }
}

/// One person's evening. Returns what was done, and what was refused with which words.
async fn live(
    person: Arc<Person>,
    number: usize,
    evening: Arc<Evening>,
    ids: Arc<Vec<UserId>>,
    mut rng: StdRng,
) -> BTreeMap<String, u32> {
    let mut tally = BTreeMap::new();
    person.session.send(Intent::LoadMessages(evening.general));
    for deed in 0..DEEDS {
        time::sleep(Duration::from_millis(rng.random_range(200..1_200))).await;
        let (what, done) = act(&person, number, deed, &evening, &ids, &mut rng).await;
        let key = match done {
            Ok(()) => what.to_owned(),
            Err(error) => format!("{what}: {error}"),
        };
        *tally.entry(key).or_default() += 1;
    }
    // A silent path would end the stay a quarter of a minute later.
    let _ = person.ask(LeaveVoice {}).await;
    tally
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm for each thing that people do"
)]
async fn act(
    person: &Person,
    number: usize,
    deed: usize,
    evening: &Evening,
    ids: &[UserId],
    rng: &mut StdRng,
) -> (&'static str, Result<(), AskError>) {
    let state = person.state();
    let me = state.me.as_ref().unwrap().id;
    let visible: Vec<_> = state
        .guilds
        .iter()
        .flat_map(|guild| guild.channels_of(ChannelKind::Text))
        .map(|channel| channel.id)
        .chain(state.conversations.keys().copied())
        .collect();
    let channel_id = match rng.random_range(0..10) {
        0..=4 => evening.general,
        _ => visible
            .get(rng.random_range(0..visible.len().max(1)))
            .copied()
            .unwrap_or(evening.games),
    };
    let known = person.told(channel_id);
    let any = (!known.is_empty()).then(|| known[rng.random_range(0..known.len())].id);
    let own: Vec<_> = known
        .iter()
        .filter(|message| message.author.id == me)
        .map(|message| message.id)
        .collect();
    let own = (!own.is_empty()).then(|| own[rng.random_range(0..own.len())]);
    let other = ids[rng.random_range(0..ids.len())];
    let guild_id = evening.guild;
    let is_moderator = number % 20 == 1;
    let nonce = format!("{me}-{deed}");
    let write = |text: String, reply_to: Option<MessageId>| SendMessage {
        reply_to,
        ..SendMessage::new(channel_id, text, nonce.clone())
    };
    match (rng.random_range(0..100), any, own) {
        (0..=24, _, _) => (
            "send",
            person
                .ask(write(format!("deed {deed} of {number} <@{other}>"), None))
                .await
                .map(drop),
        ),
        (25..=34, _, _) => {
            // By the queue of what was written, which outlives a cut.
            let text = format!("queued {deed} of {number}");
            person.session.send(Intent::SendMessage {
                channel: channel_id,
                text,
                reply_to: None,
                uploads: vec![],
            });
            ("queue", Ok(()))
        }
        (35..=39, Some(to), _) => (
            "reply",
            person
                .ask(write(format!("indeed {deed} of {number}"), Some(to)))
                .await
                .map(drop),
        ),
        (40..=46, _, Some(message_id)) => {
            let text = format!("edited {deed} of {number} <@{other}>");
            (
                "edit",
                person
                    .ask(EditMessage {
                        channel_id,
                        message_id,
                        text,
                    })
                    .await
                    .map(drop),
            )
        }
        (47..=49, _, Some(message_id)) => (
            "delete",
            person
                .ask(DeleteMessage {
                    channel_id,
                    message_id,
                })
                .await
                .map(drop),
        ),
        (50..=60, Some(message_id), _) => {
            let emoji = ["👋", "🦊", "🎲"][rng.random_range(0..3)].to_owned();
            let react = ReactToMessage {
                channel_id,
                message_id,
                emoji: emoji.clone(),
            };
            let done = person.ask(react).await;
            if rng.random_bool(0.3) {
                let _ = person
                    .ask(UnreactToMessage {
                        channel_id,
                        message_id,
                        emoji,
                    })
                    .await;
            }
            ("react", done.map(drop))
        }
        (61..=65, Some(message), _) => {
            person.session.send(Intent::MarkRead {
                channel: channel_id,
                message,
            });
            ("read", Ok(()))
        }
        (66..=69, _, _) => ("dm", dm(person, other, &nonce).await),
        (70..=72, _, _) => {
            let text = if rng.random_bool(0.3) {
                String::new()
            } else {
                format!("busy {deed}")
            };
            let choice = [
                StatusChoice::Online,
                StatusChoice::DoNotDisturb,
                StatusChoice::Invisible,
            ][rng.random_range(0..3)];
            let set = SetPresence {
                choice: Some(choice),
                custom_status: Some(text),
                custom_until_ms: None,
            };
            ("presence", person.ask(set).await.map(drop))
        }
        (73..=75, _, _) => {
            let user_id = Some(other);
            (
                "befriend",
                person
                    .ask(RequestFriend {
                        user_id,
                        name: None,
                    })
                    .await
                    .map(drop),
            )
        }
        (76..=78, _, _) => {
            let incoming = state
                .relations
                .values()
                .find(|it| it.kind == RelationKind::Incoming)
                .map(|it| it.user.id);
            match incoming {
                Some(user_id) => (
                    "accept",
                    person.ask(AcceptFriend { user_id }).await.map(drop),
                ),
                None => (
                    "block",
                    person.ask(BlockUser { user_id: other }).await.map(drop),
                ),
            }
        }
        (79..=81, _, _) => {
            let update = UpdateMember {
                guild_id,
                user_id: me,
                nick: Some(format!("nick {number}")),
                roles: None,
            };
            ("nick", person.ask(update).await.map(drop))
        }
        (82..=84, _, _) => {
            let display_name = Some(format!("Name {number}.{deed}"));
            (
                "profile",
                person
                    .ask(UpdateAccount {
                        display_name,
                        ..UpdateAccount::default()
                    })
                    .await
                    .map(drop),
            )
        }
        (85..=87, _, _) => (
            "upload",
            upload(person, number, deed, channel_id, evening).await,
        ),
        (88..=90, _, _) => {
            let join = JoinVoice {
                channel_id: evening.lounge,
                muted: true,
                deafened: false,
                bundles: true,
            };
            ("voice", person.ask(join).await.map(drop))
        }
        (91..=93, Some(message_id), _) if is_moderator => (
            "pin",
            person
                .ask(PinMessage {
                    channel_id,
                    message_id,
                })
                .await
                .map(drop),
        ),
        (94..=96, Some(message_id), _) if is_moderator => (
            "moderate",
            person
                .ask(DeleteMessage {
                    channel_id,
                    message_id,
                })
                .await
                .map(drop),
        ),
        (91..=97, _, _) if is_moderator => {
            let timeout = TimeoutMember {
                guild_id,
                user_id: other,
                duration_s: 3_600,
                reason: "calm down".into(),
            };
            ("timeout", person.ask(timeout).await.map(drop))
        }
        (98..=99, _, _) if is_moderator => (
            "kick",
            person
                .ask(KickMember {
                    guild_id,
                    user_id: other,
                    reason: "out".into(),
                })
                .await
                .map(drop),
        ),
        // The owner of the choir builds there.
        (91..=99, _, _) if number == 0 => {
            let guild_id = evening.choir;
            let name = format!("room {deed}");
            let create = CreateChannel {
                guild_id,
                name,
                kind: ChannelKind::Text,
                category_id: None,
            };
            let made = person.ask(create).await;
            if let Ok(channel) = &made
                && rng.random_bool(0.5)
            {
                let _ = person
                    .ask(DeleteChannel {
                        channel_id: channel.id,
                    })
                    .await;
            }
            ("build", made.map(drop))
        }
        _ => {
            person.session.send(Intent::Typing(channel_id));
            ("type", Ok(()))
        }
    }
}

async fn dm(person: &Person, other: UserId, nonce: &str) -> Result<(), AskError> {
    let open = OpenConversation {
        user_ids: vec![other],
        name: None,
    };
    let conversation = person.ask(open).await?;
    let send = SendMessage::new(conversation.id, "psst", format!("dm-{nonce}"));
    person.ask(send).await.map(drop)
}

/// Sends a small file along with a message, as the app does it.
async fn upload(
    person: &Person,
    number: usize,
    deed: usize,
    channel: ChannelId,
    evening: &Evening,
) -> Result<(), AskError> {
    let path = evening
        .files
        .path()
        .join(format!("notes-{number}-{deed}.txt"));
    std::fs::write(&path, format!("notes of {number}\n").repeat(2_000)).expect("a temporary file");
    let transfer = TransferId(person.session.fresh_id());
    person.session.send(Intent::Upload {
        transfer,
        purpose: UploadPurpose::Message(channel),
        path,
    });
    let text = format!("file {deed} of {number}");
    person.session.send(Intent::SendMessage {
        channel,
        text,
        reply_to: None,
        uploads: vec![transfer],
    });
    // Gone with its message, or refused as the message was.
    let gone = person.until("for the upload", |state: &State| {
        let Some(it) = state.transfers.get(&transfer) else {
            return Some(());
        };
        let history = state.history.get(&channel);
        let mut pending = history.into_iter().flat_map(|history| &history.pending);
        let sent = pending.find(|message| message.uploads.contains(&transfer));
        let refused = sent.is_none_or(|message| message.failed.is_some());
        (refused || matches!(it.progress, TransferProgress::Failed(_))).then_some(())
    });
    let _ = gone.await;
    Ok(())
}

/// Every session against one that begins now, and all against the data base.
async fn compare(people: Vec<Person>, evening: &Evening, server: &ServerProcess) {
    let owner = people.last().expect("the owner came last");
    let stored = stored(server);
    println!(
        "{} messages are stored",
        stored.values().map(Vec::len).sum::<usize>()
    );
    for channel in [evening.general, evening.games, evening.staff] {
        let loaded = owner.load_all(channel).await.unwrap();
        let loaded: Vec<_> = loaded
            .iter()
            .map(|message| (message.id, message.text.clone()))
            .collect();
        assert_eq!(
            Some(&loaded),
            stored
                .get(&channel)
                .or(loaded.is_empty().then_some(&vec![])),
            "the owner's {channel}"
        );
    }
    let mut differences = Vec::new();
    let mut loaded = 0;
    let count = people.len();
    let mut comparing = JoinSet::new();
    let general = evening.general;
    // All stay to the end: who goes changes what the others see.
    let people: Vec<_> = people.into_iter().map(Arc::new).collect();
    for (number, person) in people.iter().enumerate() {
        let person = Arc::clone(person);
        if comparing.len() >= 16 {
            let (folded, found) = comparing.join_next().await.unwrap().unwrap();
            loaded += folded;
            differences.extend::<Vec<String>>(found);
        }
        comparing.spawn(async move { compare_one(&person, general, number % 8 == 0).await });
    }
    while let Some(compared) = comparing.join_next().await {
        let (folded, found) = compared.unwrap();
        loaded += folded;
        differences.extend(found);
    }
    println!("{count} pictures and {loaded} messages compared");
    let shown = differences
        .iter()
        .take(5)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        differences.is_empty(),
        "{} differences, such as\n{shown}",
        differences.len()
    );
}

/// One session, and of some the messages that it folded, against a session of the same person that begins now.
async fn compare_one(
    person: &Person,
    channel: ChannelId,
    with_messages: bool,
) -> (usize, Vec<String>) {
    let mut differences = Vec::new();
    let mut compared = 0;
    let anew = person
        .again()
        .await
        .unwrap_or_else(|error| panic!("{} can't come again: {error}", person.name()));
    if let Some((folded, begun)) = difference(&picture(&person.state()), &picture(&anew.state())) {
        differences.push(format!(
            "{}:\n  folded {folded}\n  begun  {begun}",
            person.name()
        ));
    }
    let history = person.state().history.get(&channel).cloned();
    if let Some(history) = history.filter(|it| with_messages && !it.messages.is_empty()) {
        let oldest = history.messages[0].id;
        let now = anew.load_all(channel).await.unwrap();
        let state = anew.state();
        let comparable = |message| comparable(message, &state);
        let now: Vec<_> = now
            .iter()
            .filter(|message| message.id >= oldest)
            .map(comparable)
            .collect();
        let folded: Vec<_> = history.messages.iter().map(comparable).collect();
        compared = folded.len();
        if let Some(at) =
            (0..folded.len().max(now.len())).find(|at| folded.get(*at) != now.get(*at))
        {
            let (folded, begun) = (folded.get(at), now.get(at));
            differences.push(format!(
                "{} at {at}:\n  folded {folded:?}\n  begun  {begun:?}",
                person.name()
            ));
        }
    }
    anew.session.end().await;
    (compared, differences)
}

/// A message without the beginning of the one it answers, which is as of when it was told; reactions in any order. Those who are gone are
/// told of no more, so their names are as of when they went.
fn comparable(message: &Message, state: &State) -> Message {
    let mut message = message.clone();
    let replied = message.reply_to.as_mut();
    let replied = replied.and_then(|replied| replied.author.as_mut());
    for author in [Some(&mut message.author), replied].into_iter().flatten() {
        let mut guilds = state.guilds.iter();
        if !guilds.any(|guild| guild.members.contains_key(&author.id)) {
            *author = User::new(author.id, "", author.kind);
        }
    }
    message.reactions.sort_by(|a, b| a.emoji.cmp(&b.emoji));
    if let Some(replied) = &mut message.reply_to {
        replied.excerpt.clear();
    }
    message
}

/// The messages of every channel, as they are on disk.
fn stored(server: &ServerProcess) -> BTreeMap<ChannelId, Vec<(MessageId, String)>> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let base =
        rusqlite::Connection::open_with_flags(server.data().join("voxhall.db"), flags).unwrap();
    let mut statement = base
        .prepare("SELECT channel_id, id, text FROM messages ORDER BY id")
        .unwrap();
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, String>(2)?,
        ))
    });
    let mut stored: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows.unwrap() {
        let (channel, id, text) = row.unwrap();
        stored
            .entry(ChannelId(channel.cast_unsigned()))
            .or_default()
            .push((MessageId(id.cast_unsigned()), text));
    }
    stored
}
