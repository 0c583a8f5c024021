//! A connection that is cut in a busy channel: nothing is lost, and nothing comes twice.
//!
//! The cut lasts 10 s, or as many seconds as `VOXHALL_CUT_S` says.

use std::{collections::BTreeSet, time::Duration};

use tokio::time;
use voxhall_protocol::control::{ChannelKind, SendMessage};
use voxhall_session::{Connection, Intent};
use voxhall_testkit::{
    people::{Person, settle},
    process::ServerProcess,
    proxy::{Path, Proxy},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_told_twice_when_the_connection_is_cut_in_a_busy_channel() {
    let seconds = std::env::var("VOXHALL_CUT_S")
        .map_or(10, |text| text.parse().expect("a number of seconds"));
    let server = ServerProcess::start().unwrap();
    let proxy = Proxy::start(server.address(), Path::default(), 1).unwrap();
    let writers = [
        Person::guest(server.invite(), "ann").await.unwrap(),
        Person::guest(server.invite(), "bob").await.unwrap(),
    ];
    let cid = Person::guest(&proxy.through(server.invite()), "cid")
        .await
        .unwrap();
    let channel = cid.state().guilds[0]
        .channels_of(ChannelKind::Text)
        .next()
        .unwrap()
        .id;
    cid.session.send(Intent::LoadMessages(channel));
    cid.until("for the history", |state| {
        (!state.history.get(&channel)?.loading).then_some(())
    })
    .await
    .unwrap();

    let write = |person: &Person, text: String| {
        person.session.send(Intent::SendMessage {
            channel,
            text,
            reply_to: None,
            uploads: vec![],
        });
    };
    let end = time::Instant::now() + Duration::from_secs(seconds + 4);
    let cut_at = time::Instant::now() + Duration::from_secs(2);
    let mut cut = false;
    let mut written = 0_u32;
    while time::Instant::now() < end {
        if !cut && time::Instant::now() >= cut_at {
            proxy.allow_control(false);
            cut = true;
        }
        for person in &writers {
            write(person, format!("{} {written}", person.name()));
        }
        // The one who is away writes too.
        if written.is_multiple_of(5) {
            write(&cid, format!("cid {written}"));
        }
        written += 1;
        time::sleep(Duration::from_millis(250)).await;
        if cut && time::Instant::now() >= cut_at + Duration::from_secs(seconds) {
            proxy.allow_control(true);
        } else if cut {
            assert_ne!(cid.state().connection, Connection::Idle);
        }
    }
    cid.until("to be back", |state| {
        (state.connection == Connection::Online).then_some(())
    })
    .await
    .unwrap();
    let everyone = [cid, writers.into_iter().next().unwrap()];
    settle(&everyone, Duration::from_millis(1_500))
        .await
        .unwrap();
    let [cid, ann] = everyone;

    let stored = ann.load_all(channel).await.unwrap();
    let texts: BTreeSet<_> = stored.iter().map(|message| message.text.clone()).collect();
    assert_eq!(texts.len(), stored.len(), "each is stored once");
    let own = (0..written).filter(|n| n.is_multiple_of(5)).count();
    assert_eq!(stored.len(), 2 * written as usize + own, "each is stored");
    let ids = |messages: &[voxhall_protocol::control::Message]| {
        messages.iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&cid.told(channel)),
        ids(&stored),
        "each was told once, in order"
    );
    assert_eq!(ids(&cid.load_all(channel).await.unwrap()), ids(&stored));
    let by_cid = stored
        .iter()
        .filter(|message| message.text.starts_with("cid"));
    let order: Vec<u32> = by_cid
        .map(|message| message.text[4..].parse().unwrap())
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    let others = stored
        .iter()
        .filter(|message| !message.text.starts_with("cid"))
        .count();
    let reading = cid.state().reading[&channel].clone();
    assert_eq!(reading.unread as usize, others);
    assert_eq!(cid.syncs(), 1, "it went on where it was cut");
    // A late retry of a message that arrived is the same message.
    let by_ann = stored.iter().find(|message| message.author.name == "ann");
    let by_ann = by_ann.unwrap();
    let again = SendMessage::new(channel, by_ann.text.clone(), by_ann.nonce.clone());
    assert_eq!(ann.ask(again).await.unwrap().id, by_ann.id);
    println!(
        "{} messages, {seconds} s away: nothing lost, nothing twice",
        stored.len()
    );
}
