//! Connections come and go; sessions and presence are told apart from them.

use voxhall_protocol::{
    MessageId,
    control::{Event, Message, RelationKind, Status, StatusChoice},
    limits::RESUME_WITHIN_MS,
};
use voxhall_store::ConversationRecord;

use super::*;

fn chosen(user: u64, presence: OwnPresence) -> Change {
    Change::PresenceChosen {
        user: UserId(user),
        presence,
    }
}

fn written(n: u64) -> Change {
    Change::MessageCreated(Message::new(MessageId(n), TEXT, user(2), "hi", 0, "n"))
}

#[test]
fn what_was_missed_comes_once_and_in_order() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    sim.apply(written(1));
    sim.clients.get_mut(&ann).unwrap().is_slow = true;
    sim.apply(written(2));
    // On its way when the line breaks: it never arrives.
    sim.cut(ann);
    sim.apply(written(3));
    let mut client = sim.cut.pop().unwrap();
    client.is_slow = false;
    let ann = sim.resume(client).unwrap();
    sim.apply(written(4));
    let ids = |event| match event {
        Event::MessageCreated { message, .. } => Some(message.id.0),
        _ => None,
    };
    let told: Vec<_> = sim.events_of(ann).into_iter().filter_map(ids).collect();
    assert_eq!(told, [1, 2, 3, 4]);
    sim.check();
}

#[test]
fn a_session_ends_when_nobody_comes_back_for_long() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    sim.cut(ann);
    sim.advance(Duration::from_millis(RESUME_WITHIN_MS) - MS);
    let client = sim.cut.pop().unwrap();
    let ann = sim.resume(client).unwrap();
    sim.cut(ann);
    sim.advance(Duration::from_millis(RESUME_WITHIN_MS));
    let client = sim.cut.pop().unwrap();
    assert_eq!(sim.resume(client), None);
    assert_eq!(sim.live.next_deadline(), None);
    sim.check();
}

#[test]
fn only_the_device_that_began_it_comes_back_and_only_with_its_token() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let client = &sim.clients[&ann];
    let (token, device) = (client.token.clone(), client.device);
    let find = |sim: &Sim, user, device, token: &str| {
        sim.live
            .lost_session(UserId(user), device, &SecretText::from(token.to_owned()))
    };
    let text = token.expose();
    assert_eq!(find(&sim, 1, device, text), Some(sim.clients[&ann].session));
    assert_eq!(find(&sim, 2, device, text), None);
    assert_eq!(find(&sim, 1, DeviceId(99), text), None);
    for guessed in [
        "",
        "0",
        "0.",
        "0.00",
        ".",
        "99999999999999999999.1",
        &format!("{text}0"),
    ] {
        assert_eq!(find(&sim, 1, device, guessed), None, "{guessed}");
    }
}

#[test]
fn a_connection_that_seems_open_gives_way_to_the_one_that_comes_back() {
    let mut sim = Sim::new();
    let stale = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(stale, LOUNGE);
    sim.events_of(bob);
    let client = sim.clients.remove(&stale).unwrap();
    let fresh = sim.resume(client).unwrap();
    assert_eq!(sim.hung_up, [stale]);
    sim.act(|live, now, out| live.disconnect(stale, now, out));
    sim.advance(VOICE_GRACE * 2);
    assert_eq!(sim.in_channel(LOUNGE), [1]);
    assert!(sim.clients.contains_key(&fresh));
    assert!(
        !sim.events_of(bob)
            .iter()
            .any(|event| matches!(event, Event::VoiceLeft { .. }))
    );
    sim.check();
}

#[test]
fn who_begins_anew_gives_up_what_the_device_lost_before() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    sim.cut(ann);
    assert_eq!(sim.live.lost_count(), 1);
    sim.connect(1, 1);
    assert_eq!(sim.live.lost_count(), 0);
    let client = sim.cut.pop().unwrap();
    assert_eq!(sim.resume(client), None);
    sim.check();
}

#[test]
fn keys_of_voice_that_outlived_the_connection_are_told_on_return() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    sim.advance(REKEY_EVERY);
    sim.cut(ann);
    sim.advance(REKEY_EVERY);
    sim.join(bob, LOUNGE);
    let speaking = sim.grant_of(bob).unwrap().voice_session;
    sim.act(|live, _, out| live.speaking(speaking, true, out));
    let client = sim.cut.pop().unwrap();
    let ann = sim.resume(client).unwrap();
    let key = sim.live.rooms[&LOUNGE].key.clone().unwrap();
    assert_eq!(sim.keys_of(ann), [key], "once");
    sim.check();
    sim.advance(VOICE_GRACE * 2);
    assert_eq!(sim.in_channel(LOUNGE), [1, 2]);
}

#[test]
fn too_many_lost_sessions_give_way_from_the_oldest() {
    let mut sim = Sim::new();
    for device in 1..=20 {
        let connection = sim.connect(1, device);
        sim.cut(connection);
        sim.advance(MS);
    }
    assert_eq!(sim.live.lost_count(), 8);
    let oldest = sim.cut.remove(0);
    assert_eq!(sim.resume(oldest), None);
    let newest = sim.cut.pop().unwrap();
    assert!(sim.resume(newest).is_some());
    let mut forgot = true;
    while forgot {
        sim.act(|live, now, out| forgot = live.forget_the_oldest(now, out));
    }
    assert_eq!(sim.live.lost_count(), 0);
    sim.check();
}

#[test]
fn who_is_signed_out_suspended_or_deleted_is_hung_up_on_and_out_of_voice() {
    for n in 0..3 {
        let mut sim = Sim::new();
        let ann = sim.connect(1, 1);
        let bob = sim.connect(2, 1);
        sim.join(ann, LOUNGE);
        sim.apply(match n {
            0 => Change::DevicesEnded(vec![DeviceId(11)]),
            1 => Change::UserSaved(UserRecord {
                suspended: true,
                ..record(1)
            }),
            _ => Change::UserDeleted(UserId(1)),
        });
        assert_eq!(sim.hung_up, [ann]);
        assert!(sim.routes.is_empty());
        assert_eq!(sim.try_connect(1, 1).is_some(), n == 0);
        let left = sim
            .events_of(bob)
            .iter()
            .any(|event| matches!(event, Event::MemberLeft { .. }));
        assert_eq!(left, n == 2);
        sim.check();
    }
}

#[test]
fn presence_follows_choice_and_idleness_and_voice_without_control() {
    let mut sim = Sim::new();
    let bob = sim.connect(2, 1);
    let status = |sim: &Sim| sim.sees(bob, 1).status;
    assert_eq!(status(&sim), Status::Offline);
    let desk = sim.connect(1, 1);
    let phone = sim.connect(1, 2);
    assert_eq!(status(&sim), Status::Online);
    sim.act(|live, _, out| live.set_idle(desk, true, out));
    assert_eq!(status(&sim), Status::Online, "one device is in use");
    sim.act(|live, _, out| live.set_idle(phone, true, out));
    assert_eq!(status(&sim), Status::Idle);
    let choose = |choice| OwnPresence {
        choice,
        ..OwnPresence::default()
    };
    sim.apply(chosen(1, choose(StatusChoice::DoNotDisturb)));
    assert_eq!(status(&sim), Status::DoNotDisturb);
    sim.apply(chosen(1, choose(StatusChoice::Invisible)));
    assert_eq!(status(&sim), Status::Offline);
    assert_eq!(
        sim.clients[&phone].view.presence.choice,
        StatusChoice::Invisible,
        "one's own devices know"
    );
    sim.apply(chosen(1, choose(StatusChoice::Online)));
    sim.disconnect(phone);
    sim.join(desk, LOUNGE);
    sim.cut(desk);
    assert_eq!(status(&sim), Status::Online, "voice goes on");
    sim.advance(VOICE_GRACE);
    assert_eq!(status(&sim), Status::Offline);
    sim.check();
}

#[test]
fn a_custom_status_goes_away_in_time() {
    let mut sim = Sim::new();
    let bob = sim.connect(2, 1);
    let ann = sim.connect(1, 1);
    let until = sim.now.unix_ms + 5_000;
    sim.apply(chosen(
        1,
        OwnPresence {
            choice: StatusChoice::Online,
            custom_status: Some("lunch".into()),
            custom_until_ms: Some(until),
        },
    ));
    assert_eq!(sim.sees(bob, 1).custom_status.as_deref(), Some("lunch"));
    sim.advance(5_000 * MS);
    assert_eq!(sim.sees(bob, 1).custom_status, None);
    assert_eq!(sim.clients[&ann].view.presence, OwnPresence::default());
    sim.check();
}

#[test]
fn strangers_and_who_is_blocked_are_told_nothing_of_presence() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let nine = sim.connect(9, 1);
    assert_eq!(sim.events_of(ann), [], "a stranger");
    let talk = ConversationRecord {
        id: ChannelId(90),
        kind: ChannelKind::Direct,
        name: None,
        owner: None,
        members: vec![UserId(1), UserId(9)],
    };
    sim.apply(Change::ConversationSaved(talk));
    let seen = |sim: &Sim, by: ConnectionId, of: u64| {
        let members = &sim.clients[&by].view.conversations[&ChannelId(90)].members;
        members
            .iter()
            .find(|member| member.user.id == UserId(of))
            .unwrap()
            .presence
            .status
    };
    assert_eq!(
        (seen(&sim, ann, 9), seen(&sim, nine, 1)),
        (Status::Online, Status::Online)
    );
    sim.apply(Change::Related {
        user: UserId(1),
        other: UserId(9),
        kind: Some(RelationKind::Blocked),
    });
    assert_eq!(
        (seen(&sim, ann, 9), seen(&sim, nine, 1)),
        (Status::Offline, Status::Offline)
    );
    assert!(
        !sim.events_of(nine)
            .iter()
            .any(|event| matches!(event, Event::RelationUpdated { .. })),
        "who is blocked isn't told"
    );
    sim.events_of(ann);
    sim.disconnect(nine);
    assert_eq!(sim.events_of(ann), []);
    sim.check();
}

#[test]
fn typing_is_told_to_the_others_now_and_then() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    let away = sim.connect(3, 1);
    sim.cut(away);
    for _ in 0..10 {
        sim.act(|live, now, out| live.typing(UserId(1), TEXT, now, out));
        sim.advance(MS * 500);
    }
    let typing = |events: Vec<Event>| {
        events
            .into_iter()
            .filter(|event| matches!(event, Event::TypingStarted { .. }))
            .count()
    };
    assert_eq!(typing(sim.events_of(bob)), 2);
    assert_eq!(typing(sim.events_of(ann)), 0);
    let client = sim.cut.pop().unwrap();
    let away = sim.resume(client).unwrap();
    assert_eq!(typing(sim.events_of(away)), 0, "it is over by then");
}
