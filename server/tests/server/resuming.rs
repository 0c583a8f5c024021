//! Sessions that outlive their connections: nothing is lost, and nothing comes twice.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use voxhall_protocol::{
    ChannelId, MessageId, SecretText,
    control::{
        ChannelKind, Event, FailureKind, JoinVoice, ListMessages, Ping, Presence, Ready, Resume,
        SendMessage, Status,
    },
};

use crate::{
    client::{Client, greet},
    fixture::Server,
    people::{Person, busy_server, channel_of},
};

/// Someone whose connection is not to be relied on.
struct Traveller {
    client: Client,
    token: SecretText,
    ready: Ready,
    /// All messages told so far, in order.
    told: Vec<MessageId>,
}

impl Traveller {
    async fn new(server: &Server, narrow: bool) -> Self {
        let mut client = if narrow {
            Client::connect_narrow(server).await
        } else {
            Client::connect(server).await
        };
        greet(&mut client).await;
        let credentials = client
            .sign_in_guest("traveller", &server.invite_code())
            .await
            .unwrap();
        let ready = client.begin(&credentials.access_token).await.unwrap();
        Self {
            client,
            token: credentials.access_token,
            ready,
            told: Vec::new(),
        }
    }

    fn text(&self) -> ChannelId {
        channel_of(&self.ready.guilds[0], ChannelKind::Text)
    }

    fn resume_at(&self, seq: u64) -> Resume {
        Resume {
            access_token: self.token.clone(),
            session: self.ready.session.clone(),
            seq,
        }
    }

    fn note(&mut self) {
        for event in self.client.take_events() {
            if let Event::MessageCreated { message, .. } = event {
                self.told.push(message.id);
            }
        }
    }

    /// The line breaks, and is there again after a while.
    async fn comes_back(&mut self, server: &Server, after: Duration) -> u64 {
        self.note();
        let resume = self.resume_at(self.client.last_seq());
        self.client = Client::connect(server).await;
        greet(&mut self.client).await;
        let until = Instant::now() + after;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            tokio::time::sleep(left.min(Duration::from_secs(10))).await;
            self.client.call(&Ping {}).await.unwrap();
        }
        self.client.resume(&resume).await.unwrap().missed
    }
}

/// People who write until they are told to stop, each as fast as they may.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<MessageId>>>,
}

impl Writers {
    async fn start(server: &Arc<Server>, count: usize, bytes: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for n in 0..count {
            let (mut client, ready) = Client::guest(server, &format!("writer {n}")).await;
            let text = channel_of(&ready.guilds[0], ChannelKind::Text);
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let mut written = Vec::new();
                let mut nonce = 0;
                while !stop.load(Ordering::Relaxed) {
                    let send = SendMessage::new(text, "x".repeat(bytes), nonce.to_string());
                    match client.call(&send).await {
                        Ok(message) => {
                            written.push(message.id);
                            nonce += 1;
                        }
                        Err(failure) => {
                            assert_eq!(failure.kind(), FailureKind::RateLimited);
                            let wait = failure.data.retry_after_ms.unwrap();
                            tokio::time::sleep(Duration::from_millis(wait)).await;
                        }
                    }
                    client.take_events();
                }
                written
            }));
        }
        Self { stop, tasks }
    }

    /// Everything that was acknowledged.
    async fn stop(self) -> BTreeSet<MessageId> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeSet::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_cut_in_a_busy_channel_loses_nothing_and_repeats_nothing() {
    let server = Arc::new(busy_server());
    let mut ann = Traveller::new(&server, false).await;
    let writers = Writers::start(&server, 12, 200).await;
    let mut missed = 0;
    for cut in 0..10 {
        ann.client
            .listen(Duration::from_millis(30 + cut * 13))
            .await;
        missed += ann
            .comes_back(&server, Duration::from_millis(cut * 60))
            .await;
    }
    let written = writers.stop().await;
    while ann.told.len() < written.len() {
        ann.client.incoming().await;
        ann.note();
    }
    println!(
        "{} messages, {missed} events missed in ten cuts",
        written.len()
    );
    assert!(missed > 20, "the cuts were in the midst of it: {missed}");
    assert!(ann.told.is_sorted(), "in order");
    assert_eq!(
        ann.told,
        written.into_iter().collect::<Vec<_>>(),
        "each once"
    );
}

/// Takes a minute: `cargo test -- --ignored a_minute`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn a_minute_without_a_line_loses_nothing() {
    let server = Arc::new(busy_server());
    let mut ann = Traveller::new(&server, false).await;
    let writers = Writers::start(&server, 5, 200).await;
    ann.client.listen(Duration::from_secs(2)).await;
    let missed = ann.comes_back(&server, Duration::from_secs(60)).await;
    let written = writers.stop().await;
    while ann.told.len() < written.len() {
        ann.client.incoming().await;
        ann.note();
    }
    println!(
        "{} messages, {missed} events missed in a minute",
        written.len()
    );
    assert_eq!(ann.told, written.into_iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_a_session_begins_is_not_lost() {
    let server = Arc::new(busy_server());
    // Two, since one user may not begin so many sessions at once.
    let people = [
        Traveller::new(&server, false).await,
        Traveller::new(&server, false).await,
    ];
    let text = people[0].text();
    let writers = Writers::start(&server, 8, 50).await;
    let mut begun = Vec::new();
    for n in 0..30 {
        let mut client = Client::connect(&server).await;
        greet(&mut client).await;
        let ready = client.begin(&people[n % 2].token).await.unwrap();
        let state = ready
            .read_states
            .iter()
            .find(|state| state.channel_id == text);
        let known = state.and_then(|state| state.last_message);
        client.listen(Duration::from_millis(40)).await;
        let told: Vec<_> = (client.take_events().into_iter())
            .filter_map(|event| match event {
                Event::MessageCreated { message, .. } => Some(message.id),
                _ => None,
            })
            .collect();
        begun.push((known, told));
    }
    let written = writers.stop().await;
    for (known, told) in begun {
        let Some(last) = told.last() else { continue };
        let after = written
            .iter()
            .filter(|id| Some(**id) > known && *id <= last);
        let missing: Vec<_> = after.filter(|id| !told.contains(id)).collect();
        assert!(
            missing.is_empty(),
            "neither read with the beginning ({known:?}) nor told: {missing:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_cut_off_delays_nobody_and_comes_back_to_everything() {
    let server = Arc::new(busy_server());
    let mut slow = Traveller::new(&server, true).await;
    let (mut watcher, _) = Client::guest(&server, "watcher").await;
    // About 8 kB a message on the wire.
    let writers = Writers::start(&server, 40, 4_000).await;
    let (mut count, mut worst) = (0, Duration::ZERO);
    let mut last = Instant::now();
    loop {
        let event = watcher.event(|_| true).await;
        match event {
            Event::MessageCreated { .. } => {
                worst = worst.max(last.elapsed());
                count += 1;
            }
            Event::PresenceChanged {
                user_id,
                presence:
                    Presence {
                        status: Status::Offline,
                        ..
                    },
            } if user_id == slow.ready.me.id => break,
            _ => {}
        }
        last = Instant::now();
    }
    let written = writers.stop().await;
    println!(
        "cut off after {count} messages; the longest pause between two for another reader: {worst:?}"
    );
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    // It reads what the system still had for it.
    while slow.client.next_event().await.is_some() {}
    let missed = slow.comes_back(&server, Duration::ZERO).await;
    while slow.told.len() < written.len() {
        slow.client.incoming().await;
        slow.note();
    }
    println!("{} messages, {missed} events missed", written.len());
    assert_eq!(slow.told, written.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_known_needs_a_full_sync() {
    let mut server = busy_server();
    let mut ann = Traveller::new(&server, false).await;
    let bob = Person::new(&server, "bob", &server.invite_code()).await;
    ann.client.listen(Duration::from_millis(50)).await;
    let seq = ann.client.last_seq();
    let good = ann.resume_at(seq);
    let resume = async |resume: Resume, server: &Server| {
        let mut client = Client::greeted(server).await;
        client
            .resume(&resume)
            .await
            .map_err(|failure| failure.kind())
    };
    let bad = [
        Resume {
            seq: seq + 1,
            ..good.clone()
        },
        Resume {
            session: SecretText::from("0.00".to_owned()),
            ..good.clone()
        },
        Resume {
            session: bob.ready.session.clone(),
            ..good.clone()
        },
        Resume {
            access_token: bob.token.clone(),
            ..good.clone()
        },
    ];
    for bad in bad {
        assert_eq!(
            resume(bad, &server).await.unwrap_err(),
            FailureKind::FullSyncNeeded
        );
    }
    let forged = Resume {
        access_token: SecretText::from("a.b.c".to_owned()),
        ..good.clone()
    };
    assert_eq!(
        resume(forged, &server).await.unwrap_err(),
        FailureKind::Unauthorized
    );
    // None of these disturbed the session; coming back ends the connection that it seems to have.
    let mut back = Client::greeted(&server).await;
    assert_eq!(back.resume(&good).await.unwrap().missed, 0);
    let (last, _) = ann.client.until_closed().await;
    assert!(
        matches!(last, Some(Event::SessionClosed { .. })),
        "{last:?}"
    );
    assert_eq!(back.refused(&good).await, FailureKind::OutOfOrder);

    server.kill();
    server.start_again();
    assert_eq!(
        resume(good, &server).await.unwrap_err(),
        FailureKind::FullSyncNeeded
    );
}

#[tokio::test]
async fn voice_is_there_again_with_the_session() {
    let server = busy_server();
    let mut ann = Traveller::new(&server, false).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let join = JoinVoice {
        channel_id: channel_of(&ann.ready.guilds[0], ChannelKind::Voice),
        muted: false,
        deafened: false,
        bundles: false,
    };
    let grant = ann.client.call(&join).await.unwrap();
    ann.client.listen(Duration::from_millis(400)).await;
    let resume = ann.resume_at(ann.client.last_seq());
    ann.client = Client::greeted(&server).await;
    // Keys change while the line is broken.
    let bobs = bob.call(&join).await.unwrap();
    assert_eq!(bobs.participants.len(), 2, "voice goes on");
    ann.client.resume(&resume).await.unwrap();
    let rekeyed = ann
        .client
        .event(|event| matches!(event, Event::VoiceRekeyed { .. }))
        .await;
    assert!(
        matches!(rekeyed, Event::VoiceRekeyed { key, .. } if key == bobs.key && key != grant.key)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_server_stops_all_are_told_to_come_back_at_different_times() {
    let mut server = busy_server();
    let mut clients = Vec::new();
    for n in 0..40 {
        clients.push(Client::guest(&server, &format!("guest {n}")).await.0);
    }
    server.ask_to_end();
    let mut waits = BTreeSet::new();
    for client in &mut clients {
        let (last, _) = client.until_closed().await;
        let Some(Event::SessionClosed {
            reason,
            reconnect_after_ms,
        }) = last
        else {
            panic!("{last:?}");
        };
        assert!(reason.contains("shutting down"), "{reason}");
        assert!(
            (500..=10_500).contains(&reconnect_after_ms),
            "{reconnect_after_ms}"
        );
        waits.insert(reconnect_after_ms / 10);
    }
    assert!(waits.len() > 20, "{waits:?}");
    assert!(server.wait().success());
}

#[tokio::test]
async fn history_and_events_fit_together_after_a_cut() {
    let server = busy_server();
    let mut ann = Traveller::new(&server, false).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let text = ann.text();
    let sent = bob.call(&SendMessage::new(text, "hi", "1")).await.unwrap();
    ann.comes_back(&server, Duration::ZERO).await;
    ann.client
        .event(
            |event| matches!(event, Event::MessageCreated { message, .. } if message.id == sent.id),
        )
        .await;
    let page = ann.client.call(&ListMessages::newest(text)).await.unwrap();
    assert_eq!(page.messages, [sent]);
}
