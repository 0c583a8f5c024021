//! The JSON Schema of every control message, generated from the types that read and write them.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Event, FailureData, FailureKind, Request};

/// `docs/protocol/control.schema.json`: methods, events and failure kinds by name, with every type under `$defs` (JSON Schema 2020-12).
///
/// # Panics
/// Never: every schema is JSON.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let methods: Map<String, Value> = Request::schemas(&mut generator)
        .into_iter()
        .map(|(name, words, params, result)| {
            let method = json!({"description": words, "params": params, "result": result});
            (name.to_owned(), method)
        })
        .collect();
    let events: Map<String, Value> = Event::schemas(&mut generator)
        .into_iter()
        .map(|(name, words, params)| {
            (
                name.to_owned(),
                json!({"description": words, "params": params}),
            )
        })
        .collect();
    let failure_data = generator.subschema_for::<FailureData>();
    let codes: Map<String, Value> = FailureKind::ALL
        .iter()
        .map(|kind| {
            let name = serde_json::to_value(kind).expect("a kind is a string");
            let name = name.as_str().expect("a kind is a string").to_owned();
            (name, kind.code().into())
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Voxhall control messages",
        "description": "JSON-RPC 2.0 over WebSocket. A request has the `params` of its method and is answered with `result`, or with an `error` that has `data`. The `params` of an event have `seq` besides.",
        "methods": methods,
        "events": events,
        "error": {"codes": codes, "data": failure_data},
        "$defs": generator.take_definitions(true),
    })
}

/// Doc comments as attributes, `doc = r" words"`, to plain text.
pub(super) fn words(attributes: &[&str]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let text = attribute.split_once('=')?.1.trim();
        let text = text.strip_prefix('r').unwrap_or(text);
        Some(text.trim_matches('"').trim())
    });
    lines.collect::<Vec<_>>().join(" ")
}
