//! The published JSON Schema and the reference made from it are those of the types.
//!
//! `VOXHALL_WRITE_DOCS=1 cargo test -p voxhall-protocol --test schema` writes both anew.

use std::{fmt::Write, fs, path::Path};

use serde_json::Value;
use voxhall_protocol::{control::schema, permissions::Permissions};

#[test]
fn the_published_schema_is_that_of_the_types() {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap();
    text.push('\n');
    same("control.schema.json", &text);
}

#[test]
fn the_reference_is_that_of_the_types() {
    same("reference.md", &reference(&schema()));
}

#[test]
fn every_reference_in_the_schema_leads_somewhere() {
    let schema = schema();
    fn walk(schema: &Value, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(path) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = path.strip_prefix('#').unwrap();
                    assert!(schema.pointer(pointer).is_some(), "{path} leads nowhere");
                }
                fields.values().for_each(|value| walk(schema, value));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(schema, value)),
            _ => {}
        }
    }
    walk(&schema, &schema);
}

fn same(name: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/protocol")
        .join(name);
    if std::env::var_os("VOXHALL_WRITE_DOCS").is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == wanted,
        "docs/protocol/{name} is stale: write it anew with VOXHALL_WRITE_DOCS=1 cargo test -p voxhall-protocol --test schema"
    );
}

/// Methods, events and types as tables for people.
fn reference(schema: &Value) -> String {
    let mut page = String::from(
        "# Control: reference\n\n\
         Every method, event and type, made from the types themselves; for programs the same is in [control.schema.json](control.schema.json).\n\
         How they fit together is in [control.md](control.md). A field that may be left out has a `?`.\n\n## Methods\n",
    );
    for (name, method) in schema["methods"].as_object().unwrap() {
        write!(page, "\n### `{name}`\n\n").unwrap();
        let words = method["description"].as_str().unwrap();
        if !words.is_empty() {
            writeln!(page, "{words}\n").unwrap();
        }
        let params = target(schema, &method["params"]);
        if let Some(words) = params["description"].as_str() {
            writeln!(page, "{words}\n").unwrap();
        }
        fields(&mut page, params);
        writeln!(page, "Answer: {}", type_of(&method["result"])).unwrap();
    }
    page.push_str("\n## Events\n");
    for (name, event) in schema["events"].as_object().unwrap() {
        write!(page, "\n### `{name}`\n\n").unwrap();
        let words = event["description"].as_str().unwrap();
        if !words.is_empty() {
            writeln!(page, "{words}\n").unwrap();
        }
        fields(&mut page, &event["params"]);
    }
    page.push_str("\n## Types\n");
    for (name, shape) in schema["$defs"].as_object().unwrap() {
        write!(page, "\n### {name}\n\n").unwrap();
        if let Some(words) = shape["description"].as_str() {
            writeln!(page, "{words}\n").unwrap();
        }
        if shape["properties"].is_object() {
            fields(&mut page, shape);
        } else {
            writeln!(page, "{}", type_of(shape)).unwrap();
        }
        for choice in shape["oneOf"].as_array().into_iter().flatten() {
            let words = choice["description"].as_str().unwrap_or_default();
            writeln!(page, "- {} {}", type_of(choice), words.replace('\n', " ")).unwrap();
        }
    }
    page.push_str("\n## Permission bits\n\n| value | right | |\n| --- | --- | --- |\n");
    for (right, name, words) in Permissions::EACH {
        writeln!(page, "| {} | `{name}` | {words} |", right.0).unwrap();
    }
    page
}

fn target<'a>(schema: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(path) => schema.pointer(&path[1..]).unwrap(),
        None => value,
    }
}

fn fields(page: &mut String, shape: &Value) {
    let Some(properties) = shape["properties"].as_object().filter(|p| !p.is_empty()) else {
        return;
    };
    page.push_str("| field | type | |\n| --- | --- | --- |\n");
    let required = |name: &str| {
        shape["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|required| required == name))
    };
    for (name, field) in properties {
        let mark = if required(name) { "" } else { "?" };
        let words = field["description"].as_str().unwrap_or_default();
        writeln!(
            page,
            "| `{name}`{mark} | {} | {} |",
            type_of(field),
            words.replace('\n', " ")
        )
        .unwrap();
    }
    page.push('\n');
}

fn type_of(value: &Value) -> String {
    if let Some(path) = value["$ref"].as_str() {
        let name = path.rsplit('/').next().unwrap();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(constant) = value["const"].as_str() {
        return format!("`{constant}`");
    }
    if let Some(names) = value["enum"].as_array() {
        let names: Vec<_> = names
            .iter()
            .map(|name| format!("`{}`", name.as_str().unwrap_or("null")))
            .collect();
        return names.join(", ");
    }
    if value["type"] == "array" {
        return format!("array of {}", type_of(&value["items"]));
    }
    if let Some(choices) = value["anyOf"].as_array() {
        let names: Vec<_> = choices.iter().map(type_of).collect();
        return names.join(" or ");
    }
    if value["oneOf"].is_array() {
        return "one of:".to_owned();
    }
    if let Some(properties) = value["properties"].as_object() {
        let inner: Vec<_> = properties
            .iter()
            .map(|(name, field)| format!("`{name}`: {}", type_of(field)))
            .collect();
        return format!("{{{}}}", inner.join(", "));
    }
    match &value["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "anything".to_owned(),
    }
}
