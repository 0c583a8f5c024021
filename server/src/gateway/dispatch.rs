//! From a request to the service that does it, and back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use voxhall_protocol::{
    DeviceId, SecretText,
    control::{
        Done, Failure, FailureKind, Hello, HelloReply, Request, RequestId, Resume, User,
        encode_failure, encode_result, parse_from_client,
    },
};

use super::{End, HEARTBEAT, Outbox};
use crate::{
    live::ConnectionId,
    places::Place,
    rates::Source,
    services::{Budget, Caller, Services},
    words,
};

/// Requests of a connection that is not signed in: this many at once, and this many a second for long.
const REQUEST_BURST: u32 = 120;
const REQUESTS_PER_S: u32 = 30;
/// Who goes on when so many requests were refused is hung up on.
const MAX_REFUSED: u32 = 1_000;
/// A request that passes makes up for so many that did not: who waits as told, though for many at once, is never hung up on.
const FORGIVEN: u32 = 20;
/// A refused request that is longer isn't read to see which one it is.
const MAX_READ_REFUSED: usize = 4 * 1024;

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
    pending: Option<Place>,
    /// When the request budget is full again; once signed in, the user's counts.
    budget_full_at: Instant,
    /// Requests that came too fast, but for those made up for.
    refused: u32,
}

enum Stage {
    New,
    Greeted,
    Begun { user: User, device: DeviceId },
}

/// Matches a request: those of the table are done by the service's method of that name, the others by the arms behind.
macro_rules! each {
    (
        $request:ident, by $services:ident, for $caller:ident, as $id:ident;
        { $($name:ident => $method:ident;)* }
        else { $($arms:tt)* }
    ) => {
        match $request {
            $(Request::$name(params) => answer($id, &$services.$method(&$caller, params).await?),)*
            $($arms)*
        }
    };
}

fn answer<T: Serialize>(id: RequestId, reply: &T) -> Reply {
    Ok(Some(encode_result(id, reply)))
}

/// What to answer now. None: the answer comes through the live state.
type Reply = Result<Option<String>, Failure>;

/// Number and method of a request that won't be done.
fn what_is_short(text: &str) -> (Option<RequestId>, Option<&'static str>) {
    if text.len() > MAX_READ_REFUSED {
        return (None, None);
    }
    match parse_from_client(text) {
        Ok((id, request)) => (Some(id), Some(request.method())),
        Err((id, _)) => (id, None),
    }
}

impl<'a> Session<'a> {
    pub fn new(
        services: &'a Services,
        connection: ConnectionId,
        source: Source,
        outbox: &'a Arc<Outbox>,
        place: Place,
    ) -> Self {
        Self {
            services,
            connection,
            source,
            outbox,
            stage: Stage::New,
            pending: Some(place),
            budget_full_at: Instant::now(),
            refused: 0,
        }
    }

    pub fn has_begun(&self) -> bool {
        matches!(self.stage, Stage::Begun { .. })
    }

    /// Does one request and answers it. Some: the connection is over.
    pub async fn request(&mut self, text: &str) -> Option<End> {
        let began = Instant::now();
        let metrics = &self.services.metrics;
        if let Err(failure) = self.admit() {
            let (id, method) = what_is_short(text);
            metrics.request(method, Some(&failure), began.elapsed());
            self.outbox.push(encode_failure(id, &failure));
            self.refused += 1;
            return (self.refused >= MAX_REFUSED).then_some(End::Flood);
        }
        self.refused = self.refused.saturating_sub(FORGIVEN);
        let parsed = parse_from_client(text);
        let method = parsed.as_ref().ok().map(|(_, request)| request.method());
        let (id, request) = match parsed {
            Ok(request) => request,
            Err((id, failure)) => {
                metrics.request(method, Some(&failure), began.elapsed());
                self.outbox.push(encode_failure(id, &failure));
                return None;
            }
        };
        let signs_out = matches!(request, Request::Logout(_));
        let reply = self.reply(id, request).await;
        // What the live state answers later is counted as done.
        metrics.request(method, reply.as_ref().err(), began.elapsed());
        match reply {
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
        let done = || answer(id, &Done {});
        match request {
            Request::Hello(hello) => return answer(id, &self.hello(&hello)?),
            Request::Ping(_) => return done(),
            _ if matches!(self.stage, Stage::New) => {
                return Err(Failure::new(
                    FailureKind::OutOfOrder,
                    "session.hello comes first",
                ));
            }
            Request::Register(register) => {
                return answer(id, &services.register(source, register).await?);
            }
            Request::Login(login) => return answer(id, &services.login(source, login).await?),
            Request::Guest(guest) => return answer(id, &services.guest(source, guest).await?),
            Request::Refresh(refresh) => {
                return answer(id, &services.refresh(source, refresh).await?);
            }
            Request::InspectInvite(inspect) => {
                return answer(id, &services.inspect_invite(source, &inspect.code).await?);
            }
            Request::Begin(begin) => return self.begin(id, &begin.access_token).await,
            Request::Resume(resume) => return self.resume(id, &resume).await,
            _ => {}
        }

        let Stage::Begun { user, device } = &self.stage else {
            return Err(Failure::new(
                FailureKind::OutOfOrder,
                "session.begin comes first",
            ));
        };
        let connection = self.connection;
        let caller = Caller {
            user: user.id,
            device: *device,
            connection,
            source,
        };
        if let Some(budget) = Budget::of(&request) {
            services.budgets.take(budget, user.id)?;
        }
        each! {
            request, by services, for caller, as id;
            {
                UpgradeAccount => upgrade_account;
                ChangePassword => change_password;
                UpdateAccount => update_account;
                ListDevices => list_devices;
                EndDevice => end_device;
                GetProfile => get_profile;
                FindUsers => find_users;
                FollowUser => follow_user;
                UnfollowUser => unfollow_user;
                ListFollowers => list_followers;
                ListFollowing => list_following;
                BlockUser => block_user;
                UnblockUser => unblock_user;
                RequestFriend => request_friend;
                AcceptFriend => accept_friend;
                RemoveFriend => remove_friend;
                SetPresence => set_presence;
                SetIdle => set_idle;
                OpenConversation => open_conversation;
                UpdateConversation => update_conversation;
                AddToConversation => add_to_conversation;
                RemoveFromConversation => remove_from_conversation;
                CreateGuild => create_guild;
                UpdateGuild => update_guild;
                DeleteGuild => delete_guild;
                LeaveGuild => leave_guild;
                TransferGuild => transfer_guild;
                CreateChannel => create_channel;
                UpdateChannel => update_channel;
                DeleteChannel => delete_channel;
                ReorderChannels => reorder_channels;
                SetOverwrite => set_overwrite;
                CreateRole => create_role;
                UpdateRole => update_role;
                DeleteRole => delete_role;
                ReorderRoles => reorder_roles;
                UpdateMember => update_member;
                KickMember => kick_member;
                BanMember => ban_member;
                UnbanMember => unban_member;
                TimeoutMember => timeout_member;
                ListBans => list_bans;
                ListAudit => list_audit;
                ExplainPermissions => explain_permissions;
                CreateInvite => create_invite;
                ListInvites => list_invites;
                RevokeInvite => revoke_invite;
                RedeemInvite => redeem_invite;
                SendMessage => send_message;
                EditMessage => edit_message;
                DeleteMessage => delete_message;
                ListMessages => list_messages;
                SearchMessages => search_messages;
                ReactToMessage => react_to_message;
                UnreactToMessage => unreact_to_message;
                PinMessage => pin_message;
                UnpinMessage => unpin_message;
                ListPins => list_pins;
                MarkRead => mark_read;
                StartTyping => start_typing;
                BeginUpload => begin_upload;
                UploadStatus => upload_status;
                ModerateVoice => moderate_voice;
                MoveVoice => move_voice;
                DisconnectVoice => disconnect_voice;
                StartCall => start_call;
                AnswerCall => answer_call;
                RejectCall => reject_call;
                LeaveCall => leave_call;
                RingAgain => ring_again;
                ListCalls => list_calls;
                MarkCallsSeen => mark_calls_seen;
                SetCallsFrom => set_calls_from;
                OpenStage => open_stage;
                BeginStage => begin_stage;
                UpdateStage => update_stage;
                EndStage => end_stage;
                ListStages => list_stages;
                JoinStage => join_stage;
                LeaveStage => leave_stage;
                RaiseHand => raise_hand;
                AcceptStage => accept_stage;
                SetStageRole => set_stage_role;
                RemoveFromStage => remove_from_stage;
            } else {
                Request::Logout(_) => {
                    services.logout(user.id, *device).await?;
                    done()
                }
                Request::JoinVoice(join) => {
                    services
                        .hub
                        .act(|live, now, out| live.join_voice(connection, id, join, now, out));
                    Ok(None)
                }
                Request::LeaveVoice(_) => {
                    services
                        .hub
                        .act(|live, now, out| live.leave_voice(connection, now, out));
                    done()
                }
                Request::UpdateVoice(update) => {
                    services
                        .hub
                        .act(|live, _, out| live.update_voice(connection, update, out));
                    done()
                }
                admin @ (Request::AdminStats(_)
                | Request::AdminListUsers(_)
                | Request::AdminUpdateUser(_)
                | Request::AdminCreateUser(_)
                | Request::AdminDeleteUser(_)
                | Request::AdminSignOut(_)
                | Request::AdminResetPassword(_)
                | Request::AdminListGuilds(_)
                | Request::AdminDeleteGuild(_)
                | Request::AdminSetGuildOwner(_)
                | Request::AdminGiveRole(_)
                | Request::AdminTakeRole(_)
                | Request::AdminListInvites(_)
                | Request::AdminCreateInvite(_)
                | Request::AdminRevokeInvite(_)
                | Request::AdminListBans(_)
                | Request::AdminBan(_)
                | Request::AdminUnban(_)
                | Request::AdminBackup(_)
                | Request::AdminRotateKeys(_)
                | Request::AdminDrain(_)) => {
                    let by = services.administrator(&caller)?;
                    Ok(Some(services.administer(by, id, admin).await?))
                }
                Request::Hello(_)
                | Request::Resume(_)
                | Request::Ping(_)
                | Request::Register(_)
                | Request::Login(_)
                | Request::Guest(_)
                | Request::Refresh(_)
                | Request::InspectInvite(_)
                | Request::Begin(_) => unreachable!("answered above"),
            }
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
            guests: services.guests,
            heartbeat_ms: u32::try_from(HEARTBEAT.as_millis()).unwrap_or(u32::MAX),
        })
    }

    /// Events are kept for the session before anything is read from the store, so that nothing is lost in between.
    async fn begin(&mut self, id: RequestId, token: &SecretText) -> Reply {
        let (user, device) = self.proven(token).await?;
        let services = self.services;
        let mut ready = services.hub.begin(self.connection, user.id, device)?;
        let begun = async {
            ready.read_states = services.read_states(user.id).await?;
            ready.missed_calls = services.missed_calls(user.id).await?;
            // It may have been signed out just before there was a session to end.
            services.authenticate(token).await?;
            services.hub.ready(self.connection, id, &ready)
        };
        if let Err(failure) = begun.await {
            let connection = self.connection;
            services
                .hub
                .act(|live, now, out| live.abandon(connection, now, out));
            return Err(failure);
        }
        self.begun(user, device);
        Ok(None)
    }

    async fn resume(&mut self, id: RequestId, resume: &Resume) -> Reply {
        let (user, device) = self.proven(&resume.access_token).await?;
        (self.services.hub).resume(self.connection, id, user.id, device, resume)?;
        self.begun(user, device);
        Ok(None)
    }

    /// Whose token this is, who may have a session now.
    async fn proven(&self, token: &SecretText) -> Result<(User, DeviceId), Failure> {
        if self.has_begun() {
            return Err(Failure::new(
                FailureKind::OutOfOrder,
                "this connection's session has begun already",
            ));
        }
        let proven = self.services.authenticate(token).await?;
        let user = proven.0.id;
        self.services.budgets.take(Budget::Sessions, user)?;
        Ok(proven)
    }

    fn begun(&mut self, user: User, device: DeviceId) {
        self.stage = Stage::Begun { user, device };
        self.pending = None;
    }

    /// Whether one more request may be read now.
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
