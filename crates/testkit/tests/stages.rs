//! A stage room between programs: the host is heard by everyone, a listener by nobody until they are let speak.

mod common;

use std::{thread, time::Duration};

use common::{
    likeness,
    someone::{Someone, Talking},
    voice,
};
use serde_json::Value;
use voxhall_testkit::{process::ServerProcess, signal};

/// Who comes into a room, and speaks as soon as it may.
fn attend(someone: &Someone, room: &str, more: &[&str]) -> Talking {
    someone.talk(&[&["stage", "join", room], more].concat())
}

#[test]
fn a_host_is_heard_a_listener_when_let_speak_and_who_is_banned_is_out_for_good() {
    let server = ServerProcess::start().unwrap();
    let ann = Someone::guest(server.invite(), "ann");
    let bob = Someone::guest(server.invite(), "bob");
    let cid = Someone::guest(server.invite(), "cid");
    let room = ann.one(&["stage", "open", "rust and sound"])["id"].to_string();
    let host = [
        "--seconds",
        "22",
        "--admit",
        "--remove",
        "cid",
        "--remove-after",
        "16",
        "--ban",
    ];
    let host = attend(&ann, &room, &host);
    thread::sleep(Duration::from_secs(1));
    // Both speak from the beginning, whether they may or not.
    let listener = ["--unasked", "--seconds", "18", "--raise-hand", "9"];
    let listener = attend(&bob, &room, &listener);
    let audience = attend(&cid, &room, &["--unasked", "--seconds", "60"]);
    thread::sleep(Duration::from_secs(4));
    let listed = listing(&server, &room);
    assert_eq!(listed["topic"], "rust and sound");
    assert_eq!(listed["speakers"][0]["user"]["name"], "ann");
    assert_eq!(listed["listeners"], 2);
    let [host, listener, audience] = [host, listener, audience].map(Talking::finish);
    for (last, _) in [&host, &listener] {
        assert_eq!(last.get("gone"), Some(&Value::Null), "they left: {last}");
    }

    let said = voice("ann");
    for (listener, (_, heard)) in [(&bob, &listener), (&cid, &audience)] {
        let alike = likeness(&said[..48_000 * 4], heard);
        println!("{} heard ann: {alike:.2}", listener.name);
        assert!(alike > 0.3, "{} heard of ann: {alike}", listener.name);
    }
    // Until bob's hand was raised and seen.
    let (_, heard) = host;
    assert_eq!(
        signal::rms(&heard[..48_000 * 7]),
        0.0,
        "a listener is not heard"
    );
    let said = voice("bob");
    let alike = likeness(&said[..48_000 * 3], &heard[48_000 * 8..]);
    println!("ann heard bob, once he might speak: {alike:.2}");
    assert!(alike > 0.5, "{alike}");
    let never = likeness(&voice("cid")[..48_000 * 3], &heard);
    assert!(never < 0.25, "who was never let speak is heard: {never}");
    let (last, _) = audience;
    assert_eq!(last["gone"], "banned");
    let again = cid.try_run(&["stage", "join", &room, "--seconds", "1"]);
    let why = again.unwrap_err();
    assert!(why.contains("does not want you"), "{why}");
}

fn listing(server: &ServerProcess, room: &str) -> Value {
    let eve = Someone::guest(server.invite(), "eve");
    let room: u64 = room.parse().expect("an id");
    let mut listed = eve.run(&["stage", "list"]).into_iter();
    let public = listed.find(|stage| stage["id"] == room);
    public.expect("it is public")
}
