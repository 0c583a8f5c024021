//! The examples of `docs/protocol/control.md` are what the parser reads and what the published schema allows.

use std::collections::HashMap;

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
fn every_request_of_the_examples_is_read() {
    let mut read = 0;
    for line in examples("-> ") {
        match parse_from_client(line) {
            Ok(_) => read += 1,
            // The one that shows what an unknown method is answered with.
            Err((_, failure)) => {
                assert_eq!(failure.kind(), FailureKind::UnknownMethod, "{line}");
                assert_eq!(method_of(line), "guild.conquer");
            }
        }
    }
    assert!(read > 25, "only {read} requests");
}

#[test]
fn every_event_of_the_examples_is_read_and_written_the_same() {
    let mut read = 0;
    for line in examples("<- ") {
        match parse_from_server(line).unwrap_or_else(|error| panic!("{error}: {line}")) {
            Incoming::Event { event, seq } => {
                let event = event.unwrap_or_else(|| panic!("unknown event: {line}"));
                assert_eq!(
                    encode_event(seq, &event),
                    line,
                    "fields or their order differ"
                );
                read += 1;
            }
            Incoming::Failed { failure, .. } => {
                assert_ne!(failure.kind(), FailureKind::Other, "{line}");
                assert_eq!(failure.code, failure.kind().code(), "{line}");
            }
            Incoming::Result { .. } => {}
        }
    }
    assert!(read > 10, "only {read} events");
}

#[test]
fn every_example_fits_the_published_schema() {
    let schema = schema();
    let assert_fits = |shape: &Value, value: &Value, line: &str| {
        let mut shape = shape.clone();
        shape["$defs"] = schema["$defs"].clone();
        let why: Vec<_> = jsonschema::validator_for(&shape)
            .unwrap()
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect();
        assert!(why.is_empty(), "{why:?} in {line}");
    };
    let mut asked = HashMap::new();
    let mut answered = 0;
    for line in DOCUMENT.lines() {
        if let Some(request) = line.strip_prefix("-> ") {
            let json: Value = serde_json::from_str(request).unwrap();
            let method = method_of(request);
            if let Some(known) = schema["methods"].get(&method) {
                assert_fits(&known["params"], &json["params"], request);
            }
            asked.insert(json["id"].as_u64().unwrap(), method);
        }
        if let Some(answer) = line.strip_prefix("<- ") {
            let json: Value = serde_json::from_str(answer).unwrap();
            if json.get("result").is_some() {
                let method = &asked[&json["id"].as_u64().unwrap()];
                assert_fits(
                    &schema["methods"][method]["result"],
                    &json["result"],
                    answer,
                );
                answered += 1;
            } else if let Some(event) = json["method"].as_str() {
                assert_fits(&schema["events"][event]["params"], &json["params"], answer);
            }
        }
    }
    assert!(answered >= 20, "only {answered} answers");
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
