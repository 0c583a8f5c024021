//! Calls between two programs: rung, answered, heard, cut, come back to, hung up, and remembered.

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{
    likeness, silences,
    someone::{Someone, Talking},
    voice,
};
use serde_json::Value;
use voxhall_testkit::{
    process::ServerProcess,
    proxy::{Path, Proxy},
};

fn history(of: &Someone) -> Vec<Value> {
    of.run(&["calls"])
}

/// How the call ended for this one, and what was heard in it.
fn end(talking: Talking) -> (String, Vec<f32>) {
    let (last, heard) = talking.finish();
    let ended = last["ended"].as_str().expect("the reason").to_owned();
    (ended, heard)
}

#[test]
fn a_call_is_rung_answered_heard_survives_a_cut_cable_and_is_remembered_the_same_by_both() {
    let server = ServerProcess::start().unwrap();
    let proxy = Proxy::start(server.address(), Path::default(), 1).unwrap();
    let ann = Someone::guest(server.invite(), "ann");
    let bob = Someone::guest(&proxy.through(server.invite()), "bob");

    // Nobody is there: a missed call.
    let refused = ann.try_run(&["call", "bob"]).unwrap_err();
    assert!(refused.contains("not there"), "{refused}");
    let missed = history(&bob);
    assert_eq!(
        (&missed[0]["missed"], &missed[0]["reason"]),
        (&true.into(), &"offline".into())
    );

    let answering = bob.talk(&["pick-up", "--after", "1"]);
    thread::sleep(Duration::from_secs(2));
    let calling = ann.talk(&["call", "bob", "--seconds", "24"]);
    answering.until("ringing");
    calling.until("answered");
    thread::sleep(Duration::from_secs(8));
    proxy.black_hole(true);
    proxy.allow_control(false);
    thread::sleep(Duration::from_secs(6));
    proxy.black_hole(false);
    proxy.allow_control(true);
    let (ended, heard_by_ann) = end(calling);
    assert_eq!(ended, "hung_up");
    let (ended, heard_by_bob) = end(answering);
    assert_eq!(ended, "hung_up", "both sides agree");

    for (heard, speaker) in [(&heard_by_ann, "bob"), (&heard_by_bob, "ann")] {
        let said = voice(speaker);
        let before = &heard[..heard.len().min(48_000 * 9)];
        let alike = likeness(&said[..said.len().min(48_000 * 4)], before);
        let (gap, end) = silences(heard);
        println!("of {speaker}: likeness {alike:.2}, silent for {gap:?}, {end:?} at the end");
        assert!(alike > 0.6, "{speaker} is heard: {alike}");
        assert!(gap > Duration::from_secs(4), "the cable was cut: {gap:?}");
        assert!(
            gap < Duration::from_secs(14),
            "and the call came back: {gap:?}"
        );
    }

    let (of_ann, of_bob) = (history(&ann), history(&bob));
    let (of_ann, of_bob) = (&of_ann[0], &of_bob[0]);
    assert_eq!(
        (&of_ann["direction"], &of_bob["direction"]),
        (&"outgoing".into(), &"incoming".into())
    );
    for entry in [of_ann, of_bob] {
        assert_eq!(
            (&entry["reason"], &entry["missed"]),
            (&"hung_up".into(), &false.into())
        );
        let ms = entry["duration_ms"].as_u64().unwrap();
        assert!((22_000..28_000).contains(&ms), "{entry}");
    }
    assert_eq!(of_ann["id"], of_bob["id"]);
    assert_eq!(of_ann["others"][0]["name"], "bob");
}

#[test]
fn a_call_is_rejected_and_one_whose_other_side_crashes_is_returned_to_and_ends_when_nobody_does() {
    let server = ServerProcess::start().unwrap();
    let ann = Someone::guest(server.invite(), "ann");
    let bob = Someone::guest(server.invite(), "bob");
    let rejecting = bob.talk(&["pick-up", "--reject"]);
    thread::sleep(Duration::from_secs(2));
    let (ended, _) = end(ann.talk(&["call", "bob"]));
    assert_eq!(ended, "rejected");
    drop(rejecting);
    assert_eq!(history(&bob)[0]["reason"], "rejected");

    let answering = bob.talk(&["pick-up"]);
    thread::sleep(Duration::from_secs(2));
    let calling = ann.talk(&["call", "bob", "--seconds", "90"]);
    calling.until("answered");
    thread::sleep(Duration::from_secs(4));
    answering.kill9();
    thread::sleep(Duration::from_secs(3));
    // Another program of the same person: no ring, back in the call.
    let back = bob.talk(&["pick-up"]);
    back.until("in_call");
    assert!(back.said().iter().all(|line| line.get("ringing").is_none()));
    thread::sleep(Duration::from_secs(6));
    back.kill9();
    let crashed = Instant::now();
    let (ended, heard) = end(calling);
    let waited = crashed.elapsed();
    println!("ended {ended} after {waited:?}");
    assert_eq!(ended, "lost");
    assert!((25..35).contains(&waited.as_secs()), "{waited:?}");
    let again = likeness(&voice("bob")[..48_000 * 3], &heard[48_000 * 7..]);
    assert!(again > 0.5, "bob is heard again: {again}");
    assert_eq!(history(&ann)[0]["reason"], "lost");
    assert_eq!(history(&bob)[0]["reason"], "lost");
}
