mod calls;
mod lasting;
mod stages;

use proptest::prelude::*;
use serde_json::{Value, json};
use voxhall_protocol::{
    MessageId, UserId,
    control::{self, Event, Failure, FailureKind, LiveCall},
    link::CertificatePin,
};

use super::*;
use crate::Transmit;

/// A core, a clock, and what the core asked for.
struct Bench {
    core: Core,
    now: Instant,
    out: Vec<Output>,
    /// Of the last event.
    seq: u64,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            core: Core::new("test/1".into(), "test".into(), 7, now),
            now,
            out: Vec::new(),
            seq: 0,
        }
    }

    fn input(&mut self, input: Input) {
        self.core.handle(self.now, input, &mut self.out);
    }

    fn intent(&mut self, intent: Intent) {
        self.input(Input::Intent(intent));
    }

    /// The last request sent, as method, params and id.
    fn request(&mut self) -> (String, Value, u64) {
        let sent = self.out.drain(..).filter_map(|output| match output {
            Output::Send(text) => Some(text),
            _ => None,
        });
        let mut sent = sent;
        let text = sent.next_back().expect("a request was sent");
        let mut message: Value = serde_json::from_str(&text).unwrap();
        let method = message["method"].as_str().unwrap().to_owned();
        (
            method,
            message["params"].take(),
            message["id"].as_u64().unwrap(),
        )
    }

    fn expect(&mut self, method: &str) -> (Value, u64) {
        let (got, params, id) = self.request();
        assert_eq!(got, method);
        (params, id)
    }

    fn assert_not_sent(&self, method: &str) {
        let is_it =
            |output: &&Output| matches!(output, Output::Send(text) if text.contains(method));
        let sent = self.out.iter().find(is_it);
        assert!(sent.is_none(), "{sent:?}");
    }

    fn result(&mut self, id: u64, result: impl Into<Value>) {
        self.input(Input::Text(
            json!({"jsonrpc": "2.0", "id": id, "result": result.into()}).to_string(),
        ));
    }

    fn failure(&mut self, id: u64, kind: FailureKind) {
        let failure = Failure::new(kind, "words of the server");
        self.input(Input::Text(control::encode_failure(Some(id), &failure)));
    }

    fn event(&mut self, event: &Event) {
        self.seq += 1;
        self.input(Input::Text(control::encode_event(self.seq, event)));
    }

    /// What the shell was to do, but for telling the program of events.
    fn done(&mut self) -> Vec<Output> {
        let out = self.out.drain(..);
        out.filter(|output| !matches!(output, Output::Event(_)))
            .collect()
    }

    /// Lets time pass until the next timeout.
    fn pass(&mut self) {
        self.now = self
            .now
            .max(self.core.next_timeout().expect("a timeout is set"));
        self.input(Input::Tick);
    }

    fn connection(&self) -> &Connection {
        &self.core.state().connection
    }

    fn hello(&mut self) {
        self.input(Input::Opened);
        let (_, id) = self.expect("session.hello");
        let reply = json!({"protocol": 1, "server": "s/1", "server_name": "Hall", "registration": "invite", "heartbeat_ms": 15000});
        self.result(id, reply);
    }

    fn sign_in_reply(&mut self, method: &str) {
        let (_, id) = self.expect(method);
        let reply = credentials();
        self.result(id, reply);
        let (params, id) = self.expect("session.begin");
        assert_eq!(params["access_token"], "a");
        self.seq = 0;
        self.result(id, ready());
    }

    /// Back on a new connection, where the server goes on with the session.
    fn resume(&mut self, missed: u64) {
        self.hello();
        let (params, id) = self.expect("session.resume");
        assert_eq!(params["seq"], self.seq);
        assert_eq!(params["session"], "s");
        self.result(id, json!({ "missed": missed }));
    }

    /// Back on a new connection, where the server knows nothing any more.
    fn begin_anew(&mut self, ready: Value) {
        self.hello();
        let (_, id) = self.expect("session.resume");
        self.failure(id, FailureKind::FullSyncNeeded);
        let (_, id) = self.expect("session.begin");
        self.seq = 0;
        self.result(id, ready);
    }

    /// Online as a guest, in no channel.
    fn online() -> Self {
        let mut bench = Self::new();
        bench.intent(Intent::Connect {
            link: link(),
            identity: Identity::Guest { name: "Ann".into() },
        });
        assert_eq!(bench.out, [Output::Open(link())]);
        bench.hello();
        bench.sign_in_reply("account.guest");
        assert_eq!(bench.connection(), &Connection::Online);
        bench
    }

    fn in_voice() -> Self {
        let mut bench = Self::online();
        bench.intent(Intent::JoinVoice(ChannelId(2)));
        let (_, id) = bench.expect("voice.join");
        bench.result(id, grant());
        assert!(
            matches!(bench.out.last(), Some(Output::StartVoice(_))),
            "{:?}",
            bench.out
        );
        bench.input(Input::VoiceOpened);
        bench.out.clear();
        bench
    }
}

fn link() -> Link {
    format!("voxhall://127.0.0.1:9000/code1#{}", CertificatePin([1; 32]))
        .parse()
        .unwrap()
}

fn credentials() -> Value {
    json!({"user": user(1), "device_id": 1, "access_token": "a", "access_expires_in_s": 600, "refresh_token": "r"})
}

fn user(id: u64) -> Value {
    json!({"id": id, "name": format!("user {id}"), "kind": "guest"})
}

fn voice_state(user: u64) -> Value {
    json!({"channel_id": 2, "user_id": user, "ssrc": user * 10, "sender_index": user, "muted": false, "deafened": false, "speaking": false})
}

fn ready() -> Value {
    let channels = json!([
        {"id": 1, "name": "general", "kind": "text", "position": 0, "topic": "", "bitrate_bps": 0},
        {"id": 2, "name": "lounge", "kind": "voice", "position": 1, "topic": "", "bitrate_bps": 64000},
        {"id": 3, "name": "games", "kind": "voice", "position": 2, "topic": "", "bitrate_bps": 64000},
    ]);
    let members = json!([{"user": user(1), "online": true}, {"user": user(2), "online": true}]);
    let guild = json!({"id": 1, "name": "Hall", "owner_id": 2, "channels": channels, "members": members, "voice": []});
    json!({"me": user(1), "device_id": 1, "session": "s", "guilds": [guild], "seq": 0})
}

fn grant() -> Value {
    let secret = serde_json::to_value(voxhall_protocol::SessionSecret([3; 32])).unwrap();
    json!({
        "channel_id": 2, "voice_session": "00000000000000aa", "secret": secret, "ssrc": 10, "sender_index": 1,
        "bitrate_bps": 64000, "key": {"epoch": 5, "base_key": secret},
        "participants": [voice_state(1)],
    })
}

#[test]
fn a_guest_comes_in_by_link_and_talks() {
    let bench = Bench::in_voice();
    let state = bench.core.state();
    assert_eq!(state.voice.path, VoicePath::Open(ChannelId(2)));
    assert_eq!(state.server_name.as_deref(), Some("Hall"));
    assert_eq!(state.guilds[0].people_in(ChannelId(2)).len(), 1);
    let login = state.login.as_ref().unwrap();
    assert_eq!(
        (login.link.code.as_deref(), login.link.pin),
        (None, link().pin)
    );
}

#[test]
fn a_link_alone_shows_where_it_leads_and_asks_for_a_name() {
    let mut bench = Bench::new();
    bench.intent(Intent::Connect {
        link: link(),
        identity: Identity::Ask,
    });
    bench.hello();
    let (params, id) = bench.expect("invite.inspect");
    assert_eq!(params["code"], "code1");
    bench.result(id, json!({"server_name": "S", "guild_name": "G", "members": 3, "online": 2, "makes_owner": false}));
    let Connection::NeedsIdentity {
        preview: Some(preview),
        problem: None,
    } = bench.connection()
    else {
        panic!("{:?}", bench.connection())
    };
    assert_eq!(preview.online, 2);
    bench.intent(Intent::SignIn(Identity::Guest { name: "Ann".into() }));
    bench.sign_in_reply("account.guest");
    assert_eq!(bench.connection(), &Connection::Online);
}

#[test]
fn a_refused_sign_in_keeps_the_form_and_says_why() {
    let mut bench = Bench::new();
    bench.intent(Intent::Connect {
        link: link(),
        identity: Identity::Guest { name: "Ann".into() },
    });
    bench.hello();
    let (_, id) = bench.expect("account.guest");
    bench.failure(id, FailureKind::InviteExpired);
    let Connection::NeedsIdentity {
        problem: Some(problem),
        ..
    } = bench.connection()
    else {
        panic!("{:?}", bench.connection())
    };
    assert_eq!(problem.to_string(), "words of the server");
    // The server hangs up on who takes too long; the form stays, and signing in opens a new connection.
    bench.input(Input::Closed);
    assert!(matches!(
        bench.connection(),
        Connection::NeedsIdentity { .. }
    ));
    bench.intent(Intent::SignIn(Identity::Login {
        name: "ann".into(),
        password: "secret".into(),
    }));
    assert_eq!(bench.out.last(), Some(&Output::Open(link())));
    bench.hello();
    bench.sign_in_reply("account.login");
    // An account has not used the invite by signing in.
    let (params, _) = bench.expect("invite.redeem");
    assert_eq!(params["code"], "code1");
}

#[test]
fn problems_that_waiting_does_not_mend_stop_the_session() {
    for problem in [
        Problem::CertificateChanged {
            expected: "a".into(),
            found: "b".into(),
        },
        Problem::VersionMismatch {
            message: "old".into(),
        },
    ] {
        let mut bench = Bench::in_voice();
        bench.input(Input::Closed);
        bench.pass();
        bench.input(Input::OpenFailed(problem.clone()));
        assert_eq!(bench.connection(), &Connection::Failed(problem));
        assert!(
            bench.out.contains(&Output::StopVoice),
            "the microphone is closed"
        );
        assert_eq!(bench.core.next_timeout(), None);
    }
}

#[test]
fn a_lost_connection_comes_back_into_the_same_channel_while_voice_goes_on() {
    let mut bench = Bench::in_voice();
    bench.input(Input::Closed);
    assert!(matches!(
        bench.connection(),
        Connection::Reconnecting { .. }
    ));
    assert!(!bench.out.contains(&Output::StopVoice), "voice goes on");
    let lost = bench.now;
    for _ in 0..3 {
        bench.pass();
        assert_eq!(bench.out.last(), Some(&Output::Open(link())));
        bench.input(Input::OpenFailed(Problem::Unreachable {
            address: "x".into(),
        }));
    }
    assert!(
        bench.now - lost < Duration::from_secs(2),
        "{:?}",
        bench.now - lost
    );
    bench.pass();
    bench.begin_anew(ready());
    let (params, id) = bench.expect("voice.join");
    assert_eq!(params["channel_id"], 2);
    bench.result(id, grant());
    assert!(matches!(bench.out.last(), Some(Output::StartVoice(_))));
}

#[test]
fn voice_that_went_on_is_kept_and_catches_up_with_who_came_and_went() {
    let mut bench = Bench::in_voice();
    let state = |user| serde_json::from_value::<VoiceState>(voice_state(user)).unwrap();
    bench.event(&Event::VoiceJoined {
        guild_id: Some(GuildId(1)),
        state: state(2),
    });
    bench.input(Input::Closed);
    bench.pass();
    let mut ready = ready();
    ready["guilds"][0]["voice"] = json!([voice_state(1), voice_state(3)]);
    bench.begin_anew(ready);
    assert!(
        bench.out.contains(&Output::VoiceLeft(state(2))),
        "{:?}",
        bench.out
    );
    assert!(
        bench.out.contains(&Output::VoiceJoined(state(3))),
        "{:?}",
        bench.out
    );
    assert_eq!(bench.core.state().voice.path, VoicePath::Open(ChannelId(2)));
    bench.expect("voice.update");
}

#[test]
fn a_channel_chosen_while_away_is_joined_on_return() {
    let mut bench = Bench::in_voice();
    bench.input(Input::Closed);
    bench.intent(Intent::JoinVoice(ChannelId(3)));
    bench.pass();
    let mut ready = ready();
    // The server still has us where we were.
    ready["guilds"][0]["voice"] = json!([voice_state(1)]);
    bench.begin_anew(ready);
    let (params, _) = bench.expect("voice.join");
    assert_eq!(params["channel_id"], 3);
}

#[test]
fn only_the_newest_wish_counts_when_channels_are_switched_quickly() {
    let mut bench = Bench::online();
    let ask = |bench: &mut Bench, channel| {
        bench.intent(Intent::JoinVoice(ChannelId(channel)));
        let (params, id) = bench.expect("voice.join");
        assert_eq!(params["channel_id"], channel);
        id
    };
    let ids = [2, 3, 2].map(|channel| ask(&mut bench, channel));
    bench.failure(ids[0], FailureKind::OutOfOrder);
    bench.failure(ids[1], FailureKind::OutOfOrder);
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Joining(ChannelId(2))
    );
    assert!(bench.core.state().notices.is_empty());
    bench.result(ids[2], grant());
    assert!(matches!(bench.out.last(), Some(Output::StartVoice(_))));
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Opening(ChannelId(2))
    );
}

#[test]
fn who_is_refused_in_another_channel_stays_where_they_are() {
    let mut bench = Bench::in_voice();
    bench.intent(Intent::JoinVoice(ChannelId(3)));
    let (_, id) = bench.expect("voice.join");
    bench.failure(id, FailureKind::ChannelFull);
    assert_eq!(bench.core.state().voice.path, VoicePath::Open(ChannelId(2)));
    assert!(!bench.out.contains(&Output::StopVoice));
    assert_eq!(bench.core.state().notices.len(), 1);
}

#[test]
fn going_to_another_server_leaves_voice_and_takes_nothing_of_it_along() {
    let mut bench = Bench::in_voice();
    bench.intent(Intent::SetUserMuted {
        user: UserId(2),
        muted: true,
    });
    bench.intent(Intent::SetMuted(true));
    bench.out.clear();
    let elsewhere: Link = "voxhall://elsewhere:9000/code2".parse().unwrap();
    bench.intent(Intent::Connect {
        link: elsewhere.clone(),
        identity: Identity::Ask,
    });
    let left = bench
        .out
        .iter()
        .position(|output| matches!(output, Output::Send(text) if text.contains("voice.leave")));
    let closed = bench.out.iter().position(|output| *output == Output::Close);
    assert!(left.is_some() && left < closed, "{:?}", bench.out);
    assert_eq!(bench.out.last(), Some(&Output::Open(elsewhere)));
    let state = bench.core.state();
    assert!(
        state.voice.local_mutes.is_empty() && state.voice.muted,
        "another server's user 2 is somebody else"
    );
    assert_eq!(state.login, None);
}

#[test]
fn the_last_word_of_a_connection_is_heard_and_counts_for_nothing() {
    let mut bench = Bench::online();
    let presence = voxhall_protocol::control::OwnPresence::default();
    bench.event(&Event::PresenceChosen { presence });
    let last = Event::SessionClosed {
        reason: "back soon".into(),
        reconnect_after_ms: 4_000,
    };
    bench.input(Input::Text(control::encode_event(bench.seq, &last)));
    bench.input(Input::Closed);
    let waits = bench.core.next_timeout().unwrap() - bench.now;
    assert_eq!(waits, Duration::from_secs(4));
    bench.pass();
    // From the same number as before.
    bench.resume(0);
}

#[test]
fn what_is_written_while_away_is_sent_once_on_return() {
    let mut bench = Bench::online();
    bench.intent(Intent::LoadMessages(ChannelId(1)));
    let (_, id) = bench.expect("message.list");
    bench.result(id, json!({"messages": [], "more": false}));
    bench.intent(Intent::SendMessage {
        channel: ChannelId(1),
        text: "hi".into(),
        reply_to: None,
        uploads: vec![],
    });
    let (first, _) = bench.expect("message.send");
    bench.input(Input::Closed);
    bench.pass();
    bench.resume(0);
    let sent: Vec<Value> = bench
        .out
        .iter()
        .filter_map(|output| match output {
            Output::Send(text) => serde_json::from_str(text).ok(),
            _ => None,
        })
        .collect();
    let again = sent
        .iter()
        .find(|message| message["method"] == "message.send")
        .expect("it is sent again");
    assert_eq!(again["params"]["nonce"], first["nonce"]);
    let message = json!({"id": 9, "channel_id": 1, "author": user(1), "text": "hi", "sent_at_ms": 0, "nonce": first["nonce"]});
    let event = Event::MessageCreated {
        guild_id: Some(GuildId(1)),
        message: serde_json::from_value(message.clone()).unwrap(),
    };
    bench.event(&event);
    bench.result(again["id"].as_u64().unwrap(), message);
    let history = &bench.core.state().history[&ChannelId(1)];
    assert_eq!((history.messages.len(), history.pending.len()), (1, 0));
}

#[test]
fn a_refused_message_is_sent_again_as_itself_or_dropped() {
    let mut bench = Bench::online();
    let channel = ChannelId(1);
    bench.intent(Intent::SendMessage {
        channel,
        text: "hi".into(),
        reply_to: None,
        uploads: vec![],
    });
    let (first, id) = bench.expect("message.send");
    bench.failure(id, FailureKind::SlowMode);
    let nonce = first["nonce"].as_str().unwrap().to_owned();
    let pending = |bench: &Bench| bench.core.state().history[&channel].pending.clone();
    assert_eq!(
        pending(&bench)[0].failed.as_deref(),
        Some("words of the server")
    );
    bench.intent(Intent::RetryMessage {
        channel,
        nonce: nonce.clone(),
    });
    let (again, id) = bench.expect("message.send");
    assert_eq!(again, first);
    bench.failure(id, FailureKind::Forbidden);
    bench.intent(Intent::DiscardMessage { channel, nonce });
    assert!(pending(&bench).is_empty());
}

#[test]
fn an_invite_is_made_or_says_why_not() {
    let mut bench = Bench::online();
    bench.intent(Intent::CreateInvite(GuildId(1)));
    assert_eq!(bench.core.state().invite, InviteLink::Making);
    let (_, id) = bench.expect("invite.create");
    bench.failure(id, FailureKind::RateLimited);
    assert_eq!(
        bench.core.state().invite,
        InviteLink::Failed("words of the server".into())
    );
    bench.intent(Intent::CreateInvite(GuildId(1)));
    let (_, id) = bench.expect("invite.create");
    let made =
        json!({"code": "abcd", "link": "l", "expires_at_ms": 1, "max_uses": null, "uses": 0});
    bench.result(id, made);
    let InviteLink::Made(first) = bench.core.state().invite.clone() else {
        panic!("no invite")
    };
    bench.intent(Intent::CreateInvite(GuildId(1)));
    assert!(bench.done().is_empty(), "the same is shown again");
    assert_eq!(bench.core.state().invite, InviteLink::Made(first));
    bench.input(Input::Closed);
    bench.intent(Intent::CreateInvite(GuildId(2)));
    assert!(matches!(bench.core.state().invite, InviteLink::Failed(_)));
}

#[test]
fn the_channel_follows_what_the_server_tells() {
    let mut bench = Bench::in_voice();
    let state: VoiceState = serde_json::from_value(voice_state(2)).unwrap();
    bench.event(&Event::VoiceJoined {
        guild_id: Some(GuildId(1)),
        state: state.clone(),
    });
    assert_eq!(bench.done(), [Output::VoiceJoined(state.clone())]);
    assert_eq!(
        bench.core.state().guilds[0].people_in(ChannelId(2)).len(),
        2
    );
    let key: EpochKey = serde_json::from_value(grant()["key"].clone()).unwrap();
    bench.event(&Event::VoiceRekeyed {
        channel_id: ChannelId(3),
        key: key.clone(),
    });
    assert!(
        bench.done().is_empty(),
        "another channel's key is not ours to use"
    );
    bench.event(&Event::VoiceRekeyed {
        channel_id: ChannelId(2),
        key: key.clone(),
    });
    assert_eq!(bench.done(), [Output::VoiceKey(key)]);
    let (guild_id, channel_id, user_id) = (Some(GuildId(1)), ChannelId(2), UserId(2));
    bench.event(&Event::VoiceLeft {
        guild_id,
        channel_id,
        user_id,
        reason: control::LeaveReason::Left,
    });
    assert_eq!(bench.done(), [Output::VoiceLeft(state)]);
    bench.event(&Event::VoiceEnded {
        channel_id,
        reason: control::EndReason::OtherDevice,
    });
    assert_eq!(bench.done(), [Output::StopVoice]);
    assert_eq!(bench.core.state().notices.len(), 1);
}

#[test]
fn a_silent_server_is_pinged_then_given_up() {
    let mut bench = Bench::online();
    bench.pass();
    bench.expect("session.ping");
    bench.pass();
    assert!(bench.out.contains(&Output::Close));
    assert!(matches!(
        bench.connection(),
        Connection::Reconnecting { .. }
    ));
}

#[test]
fn a_voice_path_that_cannot_be_tried_is_asked_for_again() {
    let mut bench = Bench::in_voice();
    bench.input(Input::VoiceFailed);
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Blocked(ChannelId(2))
    );
    bench.pass();
    bench.expect("voice.join");
}

/// A new session would throw away what was learnt of carriers, and change the keys of everybody there.
#[test]
fn a_blocked_voice_path_keeps_its_session_until_the_server_ends_it() {
    let mut bench = Bench::in_voice();
    bench.input(Input::VoiceLost);
    assert_eq!(
        bench.core.state().voice.path,
        VoicePath::Blocked(ChannelId(2))
    );
    // Nothing is due but what keeps the control connection alive.
    bench.pass();
    bench.expect("session.ping");
    bench.input(Input::VoiceOpened);
    assert_eq!(bench.core.state().voice.path, VoicePath::Open(ChannelId(2)));
}

#[test]
fn deafened_means_muted_and_unmuting_hears_again() {
    let mut bench = Bench::in_voice();
    bench.intent(Intent::SetDeafened(true));
    let (params, _) = bench.expect("voice.update");
    assert_eq!(
        (params["muted"].as_bool(), params["deafened"].as_bool()),
        (Some(true), Some(true))
    );
    bench.intent(Intent::SetMuted(false));
    let (params, _) = bench.expect("voice.update");
    assert_eq!(
        (params["muted"].as_bool(), params["deafened"].as_bool()),
        (Some(false), Some(false))
    );
}

#[test]
fn leaving_before_the_grant_comes_leaves() {
    let mut bench = Bench::online();
    bench.intent(Intent::JoinVoice(ChannelId(2)));
    let (_, id) = bench.expect("voice.join");
    bench.intent(Intent::LeaveVoice);
    bench.expect("voice.leave");
    bench.result(id, grant());
    assert!(
        !bench
            .out
            .iter()
            .any(|output| matches!(output, Output::StartVoice(_)))
    );
    assert_eq!(bench.core.state().voice.path, VoicePath::Out);
}

fn any_input() -> impl Strategy<Value = Input> {
    let intents = prop_oneof![
        Just(Intent::Connect {
            link: link(),
            identity: Identity::Guest { name: "Ann".into() }
        }),
        Just(Intent::SignIn(Identity::Ask)),
        Just(Intent::SignOut),
        Just(Intent::Disconnect),
        Just(Intent::RetryNow),
        Just(Intent::JoinVoice(ChannelId(2))),
        Just(Intent::JoinVoice(ChannelId(3))),
        Just(Intent::LeaveVoice),
        Just(Intent::SetMuted(true)),
        Just(Intent::SetTransmit(Transmit::Open)),
        Just(Intent::SendMessage {
            channel: ChannelId(1),
            text: "x".into(),
            reply_to: None,
            uploads: vec![],
        }),
        Just(Intent::LoadMessages(ChannelId(1))),
    ];
    prop_oneof![
        4 => intents.prop_map(Input::Intent),
        2 => Just(Input::Opened),
        1 => Just(Input::OpenFailed(Problem::ConnectionLost)),
        1 => Just(Input::Closed),
        1 => Just(Input::VoiceOpened),
        1 => Just(Input::VoiceLost),
        1 => Just(Input::VoiceFailed),
        3 => Just(Input::Tick),
        4 => (1..12_u64, prop_oneof![Just(ready()), Just(grant()), Just(json!({}))])
            .prop_map(|(id, result)| Input::Text(json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())),
        1 => "\\PC{0,30}".prop_map(Input::Text),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no panic, and never a path or a request without what it stands on.
    #[test]
    fn any_order_of_events_leaves_a_sound_state(inputs in prop::collection::vec((any_input(), 0..20_000_u64), 1..60)) {
        let mut bench = Bench::new();
        let mut voice_running = false;
        for (input, ms) in inputs {
            bench.now += Duration::from_millis(ms);
            bench.input(input);
            for output in bench.out.drain(..) {
                match output {
                    Output::StartVoice(_) => voice_running = true,
                    Output::StopVoice => voice_running = false,
                    _ => {}
                }
            }
            let state = bench.core.state();
            prop_assert!(!voice_running || state.voice.path != VoicePath::Out, "voice runs while out of voice");
            prop_assert!(state.notices.len() <= MAX_NOTICES);
        }
    }
}
