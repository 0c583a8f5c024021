//! From a request to the service that does it, and back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    DeviceId, SecretText,
    control::{
        Done, Failure, FailureKind, Hello, HelloReply, Request, RequestId, User, encode_failure,
        encode_result, parse_from_client,
    },
};

use super::{End, HEARTBEAT, Outbox};
use crate::{
    http::PendingPlace,
    live::ConnectionId,
    rates::Source,
    services::{Budget, Services},
    words,
};

/// Requests of a connection that is not signed in: this many at once, and this many a second for long.
const REQUEST_BURST: u32 = 120;
const REQUESTS_PER_S: u32 = 30;

/// Of what a client calls itself.
const MAX_LOGGED_CHARS: usize = 64;

/// One connection's side of the conversation.
pub(super) struct Session<'a> {
    services: &'a Services,
    connection: ConnectionId,
    source: Source,
    outbox: &'a Arc<Outbox>,
    stage: Stage,
    /// Counts it among those of its address that are not signed in, until it is.
    pending: Option<PendingPlace>,
    /// When the request budget is full again; once signed in, the user's counts.
    budget_full_at: Instant,
}

enum Stage {
    New,
    Greeted,
    Begun { user: User, device: DeviceId },
}

/// What to answer now. None: the answer comes through the live state.
type Reply = Result<Option<String>, Failure>;

impl<'a> Session<'a> {
    pub fn new(
        services: &'a Services,
        connection: ConnectionId,
        source: Source,
        outbox: &'a Arc<Outbox>,
        place: PendingPlace,
    ) -> Self {
        Self {
            services,
            connection,
            source,
            outbox,
            stage: Stage::New,
            pending: Some(place),
            budget_full_at: Instant::now(),
        }
    }

    pub fn has_begun(&self) -> bool {
        matches!(self.stage, Stage::Begun { .. })
    }

    /// Does one request and answers it. Some: the connection is over.
    pub async fn request(&mut self, text: &str) -> Option<End> {
        let parsed = parse_from_client(text);
        let admitted = self.admit().map_err(|failure| match &parsed {
            Ok((id, _)) => (Some(*id), failure),
            Err((id, _)) => (*id, failure),
        });
        let (id, request) = match admitted.and(parsed) {
            Ok(request) => request,
            Err((id, failure)) => {
                self.outbox.push(encode_failure(id, &failure));
                return None;
            }
        };
        let signs_out = matches!(request, Request::Logout(_));
        match self.reply(id, request).await {
            Ok(Some(reply)) => {
                self.outbox.push(reply);
                signs_out.then_some(End::SignedOut)
            }
            Ok(None) => None,
            Err(failure) => {
                self.outbox.push(encode_failure(Some(id), &failure));
                None
            }
        }
    }

    async fn reply(&mut self, id: RequestId, request: Request) -> Reply {
        let services = self.services;
        let source = self.source;
        let done = || Ok(Some(encode_result(id, &Done {})));
        match request {
            Request::Hello(hello) => {
                let reply = self.hello(&hello)?;
                return Ok(Some(encode_result(id, &reply)));
            }
            Request::Ping(_) => return done(),
            _ if matches!(self.stage, Stage::New) => {
                return Err(Failure::new(
                    FailureKind::OutOfOrder,
                    "session.hello comes first",
                ));
            }
            Request::Register(register) => {
                let reply = services.register(source, register).await?;
                return Ok(Some(encode_result(id, &reply)));
            }
            Request::Login(login) => {
                let reply = services.login(source, login).await?;
                return Ok(Some(encode_result(id, &reply)));
            }
            Request::Guest(guest) => {
                let reply = services.guest(source, guest).await?;
                return Ok(Some(encode_result(id, &reply)));
            }
            Request::Refresh(refresh) => {
                let reply = services.refresh(source, refresh).await?;
                return Ok(Some(encode_result(id, &reply)));
            }
            Request::InspectInvite(inspect) => {
                let reply = services.inspect_invite(source, &inspect.code).await?;
                return Ok(Some(encode_result(id, &reply)));
            }
            Request::Begin(begin) => return self.begin(id, &begin.access_token).await,
            _ => {}
        }

        let Stage::Begun { user, device } = &self.stage else {
            return Err(Failure::new(
                FailureKind::OutOfOrder,
                "session.begin comes first",
            ));
        };
        let connection = self.connection;
        match request {
            Request::Logout(_) => {
                services.logout(*device).await?;
                services
                    .hub
                    .end_device(*device, connection, &End::SignedOut);
                services
                    .hub
                    .act(|live, now, out| live.leave_voice(connection, now, out));
                done()
            }
            Request::CreateInvite(create) => {
                services.budgets.take(Budget::Invites, user.id)?;
                let reply = services.create_invite(user.id, &create).await?;
                Ok(Some(encode_result(id, &reply)))
            }
            Request::RedeemInvite(redeem) => {
                let reply = services.redeem_invite(source, user, &redeem.code).await?;
                Ok(Some(encode_result(id, &reply)))
            }
            Request::SendMessage(send) => {
                services.budgets.take(Budget::Messages, user.id)?;
                let reply = services.send_message(user.id, send).await?;
                Ok(Some(encode_result(id, &reply)))
            }
            Request::ListMessages(list) => {
                services.budgets.take(Budget::History, user.id)?;
                let reply = services.list_messages(user.id, list).await?;
                Ok(Some(encode_result(id, &reply)))
            }
            Request::JoinVoice(join) => {
                services.budgets.take(Budget::VoiceJoins, user.id)?;
                services
                    .hub
                    .act(|live, now, out| live.join_voice(connection, id, join, now, out));
                Ok(None)
            }
            Request::LeaveVoice(_) => {
                services.budgets.take(Budget::VoiceJoins, user.id)?;
                services
                    .hub
                    .act(|live, now, out| live.leave_voice(connection, now, out));
                done()
            }
            Request::UpdateVoice(update) => {
                services.budgets.take(Budget::VoiceUpdates, user.id)?;
                services
                    .hub
                    .act(|live, _, out| live.update_voice(connection, update, out));
                done()
            }
            Request::Hello(_)
            | Request::Ping(_)
            | Request::Register(_)
            | Request::Login(_)
            | Request::Guest(_)
            | Request::Refresh(_)
            | Request::InspectInvite(_)
            | Request::Begin(_) => unreachable!("answered above"),
        }
    }

    fn hello(&mut self, hello: &Hello) -> Result<HelloReply, Failure> {
        // A stranger's words: short, and nothing that could draw on a terminal.
        let client: String = hello.client.chars().take(MAX_LOGGED_CHARS).collect();
        tracing::debug!(id = self.connection.0, client = %client.escape_debug(), "hello");
        let protocol = words::common_version(hello)?;
        let services = self.services;
        if matches!(self.stage, Stage::New) {
            self.stage = Stage::Greeted;
        }
        Ok(HelloReply {
            protocol,
            server: concat!("voxhall-server ", env!("CARGO_PKG_VERSION")).to_owned(),
            server_name: services.server_name.clone(),
            registration: services.registration,
            heartbeat_ms: u32::try_from(HEARTBEAT.as_millis()).unwrap_or(u32::MAX),
        })
    }

    async fn begin(&mut self, id: RequestId, token: &SecretText) -> Reply {
        if self.has_begun() {
            return Err(Failure::new(
                FailureKind::OutOfOrder,
                "this connection's session has begun already",
            ));
        }
        let (user, device) = self.services.authenticate(token).await?;
        self.stage = Stage::Begun {
            user: user.clone(),
            device,
        };
        self.pending = None;
        let connection = self.connection;
        self.services
            .hub
            .act(|live, _, out| live.connect(connection, id, user, device, out));
        Ok(None)
    }

    fn admit(&mut self) -> Result<(), Failure> {
        if let Stage::Begun { user, .. } = &self.stage {
            return self.services.budgets.take(Budget::Requests, user.id);
        }
        let now = Instant::now();
        let each = Duration::from_secs(1) / REQUESTS_PER_S;
        let full_at = self.budget_full_at.max(now) + each;
        let limit = now + each * REQUEST_BURST;
        if full_at > limit {
            return Err(words::rate_limited(full_at - limit));
        }
        self.budget_full_at = full_at;
        Ok(())
    }
}
