//! The JSON-RPC 2.0 envelope. One message is one WebSocket text frame; batches are not used.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{Event, Failure, FailureKind, Reply, Request};

/// Chosen by the client, unique among its unanswered requests.
pub type RequestId = u64;

/// A method with its parameters: what a client calls and what comes back.
pub trait Call: Serialize + Into<Request> {
    const METHOD: &'static str;
    type Reply: DeserializeOwned + Serialize;

    /// The answer to this call, out of all there are; `None`: it is another's.
    fn of_reply(reply: Reply) -> Option<Self::Reply>;
}

/// A server's message as the client sees it.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "each lives as long as it takes to fold it"
)]
pub enum Incoming {
    Result {
        id: RequestId,
        result: Box<RawValue>,
    },
    /// `id` is absent when the server could not read it.
    Failed {
        id: Option<RequestId>,
        failure: Failure,
    },
    /// `event` is absent when this build doesn't know its name; `seq` counts all the same.
    Event { seq: u64, event: Option<Event> },
}

/// A server sent something that is no message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("the server sent a message that this app can't read: {0}")]
pub struct MessageError(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a str>,
    id: Option<RequestId>,
    #[serde(borrow)]
    method: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Failure>,
}

/// Reads a client's message.
///
/// # Errors
/// The failure to answer with, and the request's id where one could be read.
pub fn parse_from_client(text: &str) -> Result<(RequestId, Request), (Option<RequestId>, Failure)> {
    let malformed = |what: &str| Failure::new(FailureKind::Malformed, what);
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| {
        (
            None,
            malformed("expected one JSON-RPC 2.0 request object with a whole-number id"),
        )
    })?;
    let Some(id) = envelope.id else {
        return Err((None, malformed("a request needs a whole-number \"id\"")));
    };
    if envelope.jsonrpc != Some("2.0") {
        return Err((Some(id), malformed("expected \"jsonrpc\": \"2.0\"")));
    }
    let Some(method) = envelope.method else {
        return Err((Some(id), malformed("a request needs a \"method\"")));
    };
    Request::parse(&method, envelope.params)
        .map(|request| (id, request))
        .map_err(|failure| (Some(id), failure))
}

/// Reads a server's message.
///
/// # Errors
/// The text is no message of this protocol.
pub fn parse_from_server(text: &str) -> Result<Incoming, MessageError> {
    let envelope: Envelope<'_> = serde_json::from_str(text)?;
    if let Some(failure) = envelope.error {
        return Ok(Incoming::Failed {
            id: envelope.id,
            failure,
        });
    }
    if let (Some(id), Some(result)) = (envelope.id, envelope.result) {
        return Ok(Incoming::Result {
            id,
            result: result.to_owned(),
        });
    }
    let missing = |what| MessageError(serde::de::Error::missing_field(what));
    let method = envelope.method.ok_or_else(|| missing("method"))?;
    let params = envelope.params.ok_or_else(|| missing("params"))?;
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    let Numbered { seq } = serde_json::from_str(params.get())?;
    Ok(Incoming::Event {
        seq,
        event: Event::parse(&method, params)?,
    })
}

pub fn encode_request<C: Call>(id: RequestId, call: &C) -> String {
    #[derive(Serialize)]
    struct Outgoing<'a, C> {
        jsonrpc: &'static str,
        id: RequestId,
        method: &'static str,
        params: &'a C,
    }
    to_json(&Outgoing {
        jsonrpc: "2.0",
        id,
        method: C::METHOD,
        params: call,
    })
}

pub fn encode_result<T: Serialize>(id: RequestId, result: &T) -> String {
    #[derive(Serialize)]
    struct Outgoing<'a, T> {
        jsonrpc: &'static str,
        id: RequestId,
        result: &'a T,
    }
    to_json(&Outgoing {
        jsonrpc: "2.0",
        id,
        result,
    })
}

pub fn encode_failure(id: Option<RequestId>, failure: &Failure) -> String {
    #[derive(Serialize)]
    struct Outgoing<'a> {
        jsonrpc: &'static str,
        id: Option<RequestId>,
        error: &'a Failure,
    }
    to_json(&Outgoing {
        jsonrpc: "2.0",
        id,
        error: failure,
    })
}

/// An event written once for many receivers, each of which numbers it for itself.
#[derive(Debug)]
pub struct EventFrame {
    /// Up to the number.
    head: String,
    /// From behind the number to the end.
    tail: String,
}

impl EventFrame {
    pub fn new(event: &Event) -> Self {
        let object = to_json(event);
        let fields = object
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .expect("an event is a JSON object");
        let comma = if fields.is_empty() { "" } else { "," };
        Self {
            head: format!(
                r#"{{"jsonrpc":"2.0","method":"{}","params":{{"seq":"#,
                event.method()
            ),
            tail: format!("{comma}{fields}}}}}"),
        }
    }

    pub fn numbered(&self, seq: u64) -> String {
        format!("{}{seq}{}", self.head, self.tail)
    }

    /// Length of the numbered text, with room for the longest number.
    pub fn max_len(&self) -> usize {
        self.head.len() + self.tail.len() + 20
    }
}

pub fn encode_event(seq: u64, event: &Event) -> String {
    EventFrame::new(event).numbered(seq)
}

fn to_json<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message)
        .expect("control messages have string keys and no failing serializers")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ChannelId, GuildId, UserId, control::*};

    #[test]
    fn a_request_travels_as_documented() {
        let call = JoinVoice {
            channel_id: ChannelId(4),
            muted: true,
            deafened: false,
            bundles: true,
        };
        let text = encode_request(7, &call);
        assert_eq!(
            text,
            r#"{"jsonrpc":"2.0","id":7,"method":"voice.join","params":{"channel_id":4,"muted":true,"deafened":false,"bundles":true}}"#
        );
        assert_eq!(
            parse_from_client(&text).unwrap(),
            (7, Request::JoinVoice(call))
        );
    }

    #[test]
    fn unknown_fields_are_ignored_and_params_may_be_absent() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"voice.leave","later":[1]}"#;
        assert_eq!(
            parse_from_client(text).unwrap(),
            (1, Request::LeaveVoice(LeaveVoice {}))
        );
    }

    #[test]
    fn each_bad_request_is_answered_in_kind() {
        let kind = |text: &str| {
            let (id, failure) = parse_from_client(text).unwrap_err();
            (id, failure.kind())
        };
        assert_eq!(kind("nonsense"), (None, FailureKind::Malformed));
        assert_eq!(
            kind(r#"[{"jsonrpc":"2.0"}]"#),
            (None, FailureKind::Malformed)
        );
        assert_eq!(
            kind(r#"{"id":1,"method":"session.ping"}"#),
            (Some(1), FailureKind::Malformed)
        );
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":1,"method":"no.such"}"#),
            (Some(1), FailureKind::UnknownMethod)
        );
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":1,"method":"voice.join","params":{}}"#),
            (Some(1), FailureKind::InvalidParams)
        );
    }

    #[test]
    fn an_event_travels_as_documented() {
        let event = Event::VoiceSpeaking {
            guild_id: Some(GuildId(1)),
            channel_id: ChannelId(2),
            user_id: UserId(3),
            speaking: true,
        };
        let text = encode_event(9, &event);
        assert_eq!(
            text,
            r#"{"jsonrpc":"2.0","method":"voice.speaking","params":{"seq":9,"guild_id":1,"channel_id":2,"user_id":3,"speaking":true}}"#
        );
        let Incoming::Event {
            seq: 9,
            event: Some(read),
        } = parse_from_server(&text).unwrap()
        else {
            panic!("{text}")
        };
        assert_eq!(read, event);
    }

    #[test]
    fn one_frame_serves_receivers_with_their_own_numbers() {
        let event = Event::GuildJoined {
            guild: Guild {
                description: String::new(),
                icon: None,
                roles: Vec::new(),
                id: GuildId(1),
                name: "a}\"{".into(),
                owner_id: None,
                channels: vec![],
                members: vec![],
                voice: vec![],
            },
        };
        let frame = EventFrame::new(&event);
        for seq in [0, 7, u64::MAX] {
            let text = frame.numbered(seq);
            assert!(text.len() <= frame.max_len());
            assert!(matches!(
                parse_from_server(&text).unwrap(),
                Incoming::Event { seq: read, event: Some(ref e) } if read == seq && *e == event
            ));
        }
    }

    #[test]
    fn an_event_of_a_newer_server_is_skipped_not_fatal() {
        let text = r#"{"jsonrpc":"2.0","method":"stage.opened","params":{"seq":3,"x":1}}"#;
        assert!(matches!(
            parse_from_server(text).unwrap(),
            Incoming::Event {
                seq: 3,
                event: None
            }
        ));
    }

    #[test]
    fn results_and_failures_come_back() {
        let text = encode_result(5, &Done {});
        assert!(matches!(
            parse_from_server(&text).unwrap(),
            Incoming::Result { id: 5, .. }
        ));
        let failure = Failure::new(FailureKind::RateLimited, "slow down").retry_after_ms(900);
        let Incoming::Failed {
            id: Some(5),
            failure: read,
        } = parse_from_server(&encode_failure(Some(5), &failure)).unwrap()
        else {
            panic!("not a failure")
        };
        assert_eq!(read, failure);
        let newer = r#"{"jsonrpc":"2.0","id":5,"error":{"code":99,"message":"m","data":{"kind":"from_the_future"}}}"#;
        let Incoming::Failed { failure, .. } = parse_from_server(newer).unwrap() else {
            panic!("not a failure")
        };
        assert_eq!(failure.kind(), FailureKind::Other);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}|\\{\"jsonrpc\":\"2.0\",\"id\":[0-9]{1,4},\"method\":\"[a-z.]{1,20}\",\"params\":\\PC{0,40}\\}") {
            let _ = parse_from_client(&text);
            let _ = parse_from_server(&text);
        }
    }
}
