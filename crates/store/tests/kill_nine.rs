//! A process that stores messages is killed at any moment, over and over. What it acknowledged is there, once.
//!
//! `VOXHALL_KILLS=200 cargo test -p voxhall-store --test kill_nine` for more than the usual number.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use voxhall_store::{SqliteStore, maintenance};

mod support;
use support::Room;

/// Where a child stores, and the how manieth it is.
const FILE: &str = "VOXHALL_TEST_FILE";
const ROUND: &str = "VOXHALL_TEST_ROUND";
const KILLS: &str = "VOXHALL_KILLS";
const USUAL_KILLS: u32 = 50;
/// Tasks that store at the same time.
const WRITERS: u32 = 8;

#[test]
fn what_was_acknowledged_before_a_kill_is_there_once() {
    let kills = env::var(KILLS).map_or(USUAL_KILLS, |kills| kills.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(maintenance::DATABASE);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let room = runtime.block_on(Room::furnish(&file));
    // Each nonce, and how often it is stored.
    let mut expected = BTreeMap::new();
    let (mut acknowledged, mut retried, mut longest) = (0, 0, Duration::ZERO);
    for round in 0..kills {
        // Some die before the database is open, some after hundreds of messages.
        let said = run_and_kill(
            &file,
            round,
            Duration::from_millis(u64::from(round * 37 % 120)),
        );

        let begun = Instant::now();
        let store = SqliteStore::open(&file).unwrap();
        let ready = begun.elapsed();
        assert!(ready < Duration::from_secs(3), "round {round}: {ready:?}");
        longest = longest.max(ready);
        for acked in said.iter().filter_map(|line| line.strip_prefix("ack ")) {
            acknowledged += 1;
            expected.insert(acked.to_owned(), 1_u32);
        }
        let stored_first = stored(&file);
        for (nonce, count) in &expected {
            assert_eq!(
                stored_first.get(nonce),
                Some(count),
                "round {round}, {nonce}"
            );
        }
        // Who got no answer asks again.
        for sent in said.iter().filter_map(|line| line.strip_prefix("send ")) {
            if expected.insert(sent.to_owned(), 1).is_none() {
                retried += 1;
                runtime.block_on(room.post(&store, sent.to_owned()));
            }
        }
        runtime.block_on(store.close());
        assert_eq!(stored(&file), expected, "round {round}");
        let checked = maintenance::check(folder.path()).unwrap();
        assert_eq!(checked.problems, [""; 0], "round {round}");
    }
    println!(
        "{kills} kills, {acknowledged} messages acknowledged, {retried} asked again, open within {longest:?}"
    );
    assert!(acknowledged > kills, "hardly anything was tried");
}

fn stored(file: &Path) -> BTreeMap<String, u32> {
    let connection = Connection::open(file).unwrap();
    let sql = "SELECT nonce, count(*) FROM messages GROUP BY nonce";
    let mut counted = connection.prepare(sql).unwrap();
    let counted = counted.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    counted.unwrap().map(Result::unwrap).collect()
}

/// What a child said before it was killed with SIGKILL.
fn run_and_kill(file: &Path, round: u32, lives: Duration) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child_that_posts", "--ignored", "--nocapture"])
        .env(FILE, file)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let reading = std::thread::Builder::new()
        .name("said".into())
        .spawn(move || said.lines().map(Result::unwrap).collect::<Vec<_>>())
        .unwrap();
    std::thread::sleep(lives);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it ended by itself");
    let mut said = reading.join().unwrap();
    // A line that was cut off: whatever it says is in doubt.
    if said.last().is_some_and(|line| !line.ends_with('.')) {
        said.pop();
    }
    for line in &mut said {
        *line = line.trim_end_matches('.').to_owned();
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run as a child, to be killed"]
async fn child_that_posts() {
    let file = env::var_os(FILE).expect("only as a child");
    let round = env::var(ROUND).expect("only as a child");
    let store = SqliteStore::open(Path::new(&file)).unwrap();
    let room = Room::enter(&store).await;
    let writers = (0..WRITERS).map(|writer| {
        let (store, room, round) = (store.clone(), room, round.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let nonce = format!("{round}-{writer}-{number}");
                say("send", &nonce);
                room.post(&store, nonce.clone()).await;
                say("ack", &nonce);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// In one piece, so that lines of several threads don't mix.
fn say(what: &str, nonce: &str) {
    let line = format!("{what} {nonce}.\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
