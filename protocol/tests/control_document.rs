//! `docs/protocol/control.md` names everything there is, and its examples are what the parser reads.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use voxhall_protocol::control::*;

const DOCUMENT: &str = include_str!("../../docs/protocol/control.md");

/// Lines of the examples that begin with the mark.
fn examples(mark: &str) -> impl Iterator<Item = &'static str> {
    DOCUMENT
        .lines()
        .filter_map(move |line| line.strip_prefix(mark))
}

#[test]
fn every_method_has_an_example_that_is_read() {
    let mut seen = HashSet::new();
    for line in examples("-> ") {
        let method = method_of(line);
        match parse_from_client(line) {
            Ok(_) => drop(seen.insert(method)),
            // The one that shows what an unknown method is answered with.
            Err((_, failure)) => {
                assert_eq!(failure.kind(), FailureKind::UnknownMethod, "{line}");
                assert_eq!(method, "guild.conquer");
            }
        }
    }
    for method in Request::METHODS {
        assert!(seen.contains(*method), "no example of {method}");
    }
}

#[test]
fn every_event_has_an_example_that_is_read() {
    let mut seen = HashSet::new();
    for line in examples("<- ") {
        match parse_from_server(line).unwrap_or_else(|error| panic!("{error}: {line}")) {
            Incoming::Event { event, seq } => {
                let event = event.unwrap_or_else(|| panic!("unknown event: {line}"));
                assert_eq!(
                    encode_event(seq, &event),
                    line,
                    "fields or their order differ"
                );
                seen.insert(event.method());
            }
            Incoming::Failed { failure, .. } => {
                assert_ne!(failure.kind(), FailureKind::Other, "{line}");
                assert_eq!(failure.code, failure.kind().code(), "{line}");
            }
            Incoming::Result { .. } => {}
        }
    }
    for event in Event::METHODS {
        assert!(seen.contains(event), "no example of {event}");
        assert!(
            DOCUMENT.contains(&format!("| `{event}` |")),
            "{event} is not in the table"
        );
    }
}

#[test]
fn every_answer_is_of_its_methods_type() {
    macro_rules! readers {
        ($($call:ty),*) => {
            HashMap::from([$((
                <$call>::METHOD,
                (|json| serde_json::from_value::<<$call as Call>::Reply>(json).map(drop)) as fn(Value) -> serde_json::Result<()>,
            )),*])
        };
    }
    let readers: HashMap<&str, fn(Value) -> serde_json::Result<()>> = readers!(
        Hello,
        Begin,
        Ping,
        Register,
        Login,
        Guest,
        Refresh,
        Logout,
        InspectInvite,
        CreateInvite,
        RedeemInvite,
        SendMessage,
        ListMessages,
        JoinVoice,
        LeaveVoice,
        UpdateVoice
    );
    assert_eq!(readers.len(), Request::METHODS.len());
    let mut asked = HashMap::new();
    let mut answered = 0;
    for line in DOCUMENT.lines() {
        if let Some(request) = line.strip_prefix("-> ") {
            let json: Value = serde_json::from_str(request).unwrap();
            asked.insert(json["id"].as_u64().unwrap(), method_of(request));
        }
        if let Some(answer) = line.strip_prefix("<- ") {
            let json: Value = serde_json::from_str(answer).unwrap();
            if json.get("result").is_some() {
                let method = &asked[&json["id"].as_u64().unwrap()];
                let read = readers[method.as_str()](json["result"].clone());
                assert!(read.is_ok(), "{read:?} in the answer to {method}: {answer}");
                answered += 1;
            }
        }
    }
    assert!(answered >= 12, "only {answered} answers");
}

#[test]
fn every_failure_kind_is_in_the_table() {
    for kind in FailureKind::ALL {
        let name = serde_json::to_string(kind).unwrap();
        let row = format!("| `{}` | {} |", name.trim_matches('"'), kind.code());
        assert!(DOCUMENT.contains(&row), "no row {row}");
    }
}

fn method_of(line: &str) -> String {
    let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    json["method"].as_str().unwrap().to_owned()
}
