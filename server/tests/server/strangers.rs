//! Ids of what the caller can't see, in every method there is: none answers, and none tells them from ids of nothing.

use serde_json::{Map, Value, json};
use voxhall_protocol::{
    UserId,
    control::{
        ChannelKind, CreateChannel, CreateGuild, CreateInvite, CreateRole, FailureKind,
        OpenConversation, RedeemInvite, Request, SendMessage, schema,
    },
};

use crate::{client::Client, fixture::Server};

/// An id that nothing has.
const NOTHING: u64 = 9_007_199_254_740_991;

/// Ids to try, by the names of their types.
#[derive(Clone, Copy)]
struct Ids {
    guild: u64,
    channel: u64,
    voice: u64,
    message: u64,
    role: u64,
    file: u64,
    audit: u64,
    user: UserId,
}

#[tokio::test]
async fn no_method_answers_for_what_the_caller_cannot_see() {
    let server = Server::start_with(&["--sign-ins-per-minute", "100000"]);
    let (mut bob, bobs) = Client::guest(&server, "bob").await;
    let guild = bob
        .call(&CreateGuild {
            name: "Hidden".into(),
        })
        .await
        .unwrap();
    let kind = |kind| guild.channels.iter().find(|c| c.kind == kind).unwrap().id;
    let (text, voice) = (kind(ChannelKind::Text), kind(ChannelKind::Voice));
    let role = bob
        .call(&CreateRole {
            guild_id: guild.id,
            name: "Secret".into(),
            permissions: Default::default(),
            color: None,
        })
        .await
        .unwrap();
    let category = bob
        .call(&CreateChannel {
            guild_id: guild.id,
            name: "Rooms".into(),
            kind: ChannelKind::Category,
            category_id: None,
        })
        .await
        .unwrap();
    let message = bob
        .call(&SendMessage::new(text, "hidden words", "1"))
        .await
        .unwrap();
    let invite = bob
        .call(&CreateInvite {
            guild_id: guild.id,
            expires_in_s: None,
            max_uses: None,
        })
        .await
        .unwrap();
    let (mut carl, carls) = Client::guest(&server, "carl").await;
    carl.call(&RedeemInvite {
        code: invite.code.clone(),
    })
    .await
    .unwrap();
    let conversation = bob
        .call(&OpenConversation {
            user_ids: vec![carls.me.id],
            name: None,
        })
        .await
        .unwrap();
    let between = bob
        .call(&SendMessage::new(conversation.id, "hidden too", "2"))
        .await
        .unwrap();

    let hidden = Ids {
        guild: guild.id.0,
        channel: text.0,
        voice: voice.0,
        message: message.id.0,
        role: role.id.0,
        file: 1,
        audit: 1,
        user: bobs.me.id,
    };
    let nothing = Ids {
        guild: NOTHING,
        channel: NOTHING,
        voice: NOTHING,
        message: NOTHING,
        role: NOTHING,
        file: NOTHING,
        audit: NOTHING,
        user: UserId(NOTHING),
    };
    let mut worlds = vec![
        ("another guild", hidden),
        (
            "another's conversation",
            Ids {
                channel: conversation.id.0,
                voice: conversation.id.0,
                message: between.id.0,
                ..hidden
            },
        ),
        (
            "a category of another guild",
            Ids {
                channel: category.id.0,
                voice: category.id.0,
                ..hidden
            },
        ),
    ];
    // With the caller's own guild in place of the other, which holds nothing of what is named beside it.
    worlds.push(("own guild, things of another", Ids { guild: 0, ..hidden }));

    let schema = schema();
    let mut tried = 0;
    for method in Request::METHODS {
        let shape = &schema["methods"][*method]["params"];
        if !concerns_a_place(&schema, shape) || method.starts_with("session.") {
            continue;
        }
        for (world, ids) in &worlds {
            // A newcomer each time, so that no budget of requests is used up.
            let (mut eve, eves) = Client::guest(&server, "eve").await;
            let mut there = *ids;
            let mut nowhere = nothing;
            if ids.guild == 0 {
                let own = eve.call(&CreateGuild { name: "Own".into() }).await.unwrap();
                there.guild = own.id.0;
                nowhere.guild = own.id.0;
                if only_about_a_guild(shape, &schema) {
                    continue;
                }
            }
            let ask = |ids: Ids| sample(&schema, shape, "", &ids, &invite.code);
            let answers = [
                eve.call_by_name(method, &ask(there)).await,
                eve.call_by_name(method, &ask(nowhere)).await,
            ];
            let words = format!("{method} about {world}");
            let [there, nowhere] = answers;
            assert_eq!(there, nowhere, "{words} tells them apart");
            let failure = match there {
                Err(failure) => failure,
                // A filter in one's own guild that lets nothing through.
                Ok(_) if ids.guild == 0 => continue,
                Ok(answer) => panic!("{words} is answered: {answer}"),
            };
            assert!(
                matches!(
                    failure.kind(),
                    FailureKind::NotFound | FailureKind::Forbidden
                ),
                "{words}: {failure:?}"
            );
            let is_admin = method.starts_with("admin.");
            assert_eq!(
                failure.kind() == FailureKind::Forbidden,
                is_admin,
                "{words}: {failure:?}"
            );
            assert_eq!(eves.me.name, "eve");
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} were tried");

    // And nothing of it is changed.
    let (mut dora, _) = Client::guest(&server, "dora").await;
    dora.call(&RedeemInvite { code: invite.code })
        .await
        .unwrap();
    let history = dora
        .call(&voxhall_protocol::control::ListMessages::newest(text))
        .await
        .unwrap();
    assert_eq!(history.messages.len(), 1);
    assert_eq!(history.messages[0].text, "hidden words");
}

fn resolve<'a>(schema: &'a Value, shape: &'a Value) -> (&'a str, &'a Value) {
    match shape["$ref"].as_str() {
        Some(path) => (
            path.rsplit('/').next().unwrap(),
            schema.pointer(&path[1..]).unwrap(),
        ),
        None => ("", shape),
    }
}

const PLACES: [&str; 6] = [
    "GuildId",
    "ChannelId",
    "MessageId",
    "RoleId",
    "FileId",
    "AuditId",
];

fn mentions(schema: &Value, shape: &Value, names: &[&str]) -> bool {
    let (name, shape) = resolve(schema, shape);
    if names.contains(&name) {
        return true;
    }
    match shape {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| *key != "description")
            .any(|(_, value)| mentions(schema, value, names)),
        Value::Array(items) => items.iter().any(|item| mentions(schema, item, names)),
        _ => false,
    }
}

fn concerns_a_place(schema: &Value, shape: &Value) -> bool {
    mentions(schema, shape, &PLACES)
}

fn only_about_a_guild(shape: &Value, schema: &Value) -> bool {
    !mentions(schema, shape, &PLACES[1..])
}

/// Something that fits the schema, with these ids in it. Optional fields too, but for those that exclude others.
fn sample(schema: &Value, shape: &Value, field: &str, ids: &Ids, code: &str) -> Value {
    let (name, shape) = resolve(schema, shape);
    match name {
        "GuildId" => return json!(ids.guild),
        "ChannelId" if field == "voice" => return json!(ids.voice),
        "ChannelId" => return json!(ids.channel),
        "MessageId" => return json!(ids.message),
        "RoleId" => return json!(ids.role),
        "FileId" => return json!(ids.file),
        "AuditId" => return json!(ids.audit),
        "UserId" => return json!(ids.user),
        "SecretText" => return json!("a secret word"),
        _ => {}
    }
    if let Some(choices) = shape["oneOf"].as_array().or(shape["anyOf"].as_array())
        && shape["properties"].is_null()
    {
        return sample(schema, &choices[0], field, ids, code);
    }
    if let Some(constant) = shape.get("const") {
        return constant.clone();
    }
    if let Some(names) = shape["enum"].as_array() {
        return names[0].clone();
    }
    let kind = match &shape["type"] {
        Value::Array(kinds) => kinds[0].as_str().unwrap(),
        kind => kind.as_str().unwrap_or("object"),
    };
    match kind {
        "boolean" => json!(true),
        "integer" | "number" => json!(1),
        "array" => json!([sample(schema, &shape["items"], field, ids, code)]),
        "string" if field == "code" => json!(code),
        "string" if field == "emoji" => json!("👍"),
        "string" if field == "network" => json!("192.0.2.1"),
        "string" => json!("word"),
        _ => {
            let mut object = Map::new();
            for (field, shape) in shape["properties"].as_object().into_iter().flatten() {
                // A page, and ways to ask for another one, exclude each other.
                if ["before", "after", "around", "at_ms"].contains(&field.as_str()) {
                    continue;
                }
                object.insert(field.clone(), sample(schema, shape, field, ids, code));
            }
            // Flattened choices.
            if let Some(choices) = shape["oneOf"].as_array()
                && let Value::Object(more) = sample(schema, &choices[0], field, ids, code)
            {
                object.extend(more);
            }
            Value::Object(object)
        }
    }
}
