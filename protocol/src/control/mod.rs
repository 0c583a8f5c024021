//! Control: JSON-RPC 2.0 over WebSocket.
//!
//! A request has an id and gets a result or a typed [`Failure`]. An event is a notification whose `params` carry `seq`, the number of
//! the event in its session. Unknown fields are ignored; unknown methods are answered with an error.

mod event;
mod failure;
mod model;
mod request;
mod rpc;
mod schema;

pub use event::{EndReason, Event, GoneReason, GuildGone, LeaveReason};
pub use failure::{Failure, FailureData, FailureKind};
pub use model::*;
pub use request::*;
pub use rpc::{
    Call, EventFrame, Incoming, MessageError, RequestId, encode_event, encode_failure,
    encode_request, encode_result, parse_from_client, parse_from_server,
};
pub use schema::schema;
