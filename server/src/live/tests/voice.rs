//! Voice: joins, keys, and what outlives what.

use voxhall_protocol::control::{EndReason, Event, FailureKind, LeaveReason, UpdateVoice};

use super::*;

#[test]
fn a_newcomer_sees_the_others_and_they_see_the_newcomer() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    assert_eq!(
        sim.events_of(ann),
        [Event::PresenceChanged {
            user_id: UserId(2),
            presence: Presence::online()
        }]
    );
    assert_eq!(sim.events_of(bob), []);
    assert_eq!(sim.live.online_count(GUILD), 2);
    // A second connection of the same user is no news, and neither is losing it.
    let second = sim.connect(2, 2);
    sim.disconnect(second);
    assert_eq!(sim.events_of(ann), []);
    sim.disconnect(bob);
    assert_eq!(
        sim.events_of(ann),
        [Event::PresenceChanged {
            user_id: UserId(2),
            presence: Presence::default()
        }]
    );
}

#[test]
fn the_oldest_of_too_many_connections_is_ended() {
    let mut sim = Sim::new();
    let other = sim.connect(2, 1);
    let first = sim.connect(1, 1);
    for device in 2..=8 {
        sim.connect(1, device);
    }
    assert_eq!(sim.hung_up, []);
    let second = *sim.clients.keys().nth(2).unwrap();
    sim.connect(1, 9);
    assert_eq!(sim.hung_up, [first]);
    sim.disconnect(first);
    sim.connect(1, 10);
    assert_eq!(sim.hung_up, [first, second]);
    assert!(sim.clients.contains_key(&other));
}

#[test]
fn the_first_join_is_answered_at_once_and_a_burst_shares_one_change_of_keys() {
    let mut sim = Sim::new();
    let connections: Vec<_> = (1..=4).map(|user| sim.connect(user, 1)).collect();
    sim.join(connections[0], LOUNGE);
    let first = sim.grant_of(connections[0]).expect("granted at once");
    sim.advance(REKEY_EVERY);
    sim.join(connections[1], LOUNGE);
    let second = sim
        .grant_of(connections[1])
        .expect("keys last changed a while ago");
    assert_eq!(second.participants.len(), 2);
    assert_ne!(second.key.base_key, first.key.base_key);
    assert_eq!(
        sim.keys_of(connections[0]),
        std::slice::from_ref(&second.key)
    );

    sim.join(connections[2], LOUNGE);
    sim.advance(100 * MS);
    sim.join(connections[3], LOUNGE);
    assert!(
        sim.grant_of(connections[2]).is_none(),
        "would get a key in use"
    );
    sim.advance(199 * MS);
    assert!(sim.grant_of(connections[2]).is_none());
    sim.advance(MS);
    let third = sim.grant_of(connections[2]).expect("300 ms are over");
    let fourth = sim.grant_of(connections[3]).expect("300 ms are over");
    assert_eq!(third.key, fourth.key);
    assert_eq!(third.key.epoch.0, second.key.epoch.0 + 1);
    assert_eq!(third.participants.len(), 4);
    assert_eq!(
        sim.keys_of(connections[0]),
        std::slice::from_ref(&third.key)
    );
    assert_eq!(sim.keys_of(connections[1]), [third.key]);
}

#[test]
fn who_leaves_knows_no_key_used_after() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    sim.advance(REKEY_EVERY);
    sim.join(bob, LOUNGE);
    let known = sim.grant_of(bob).unwrap().key;
    sim.advance(REKEY_EVERY);
    let session = sim.live.rooms[&LOUNGE].participants[&UserId(2)].session;
    let out = sim.act(|live, now, out| live.leave_voice(bob, now, out));
    assert!(
        matches!(out[0], Output::Route(RouteChange::Remove(gone)) if gone == session),
        "out of the table first: {out:?}"
    );
    let keys = sim.keys_of(ann);
    assert_eq!(keys.last().unwrap().epoch.0, known.epoch.0 + 1);
    assert_ne!(keys.last().unwrap().base_key, known.base_key);
    assert_eq!(sim.keys_of(bob), []);
}

#[test]
fn a_join_from_another_device_ends_the_first() {
    let mut sim = Sim::new();
    let phone = sim.connect(1, 1);
    let laptop = sim.connect(1, 2);
    sim.join(phone, LOUNGE);
    sim.events_of(phone);
    sim.join(laptop, DEN);
    assert!(sim.events_of(phone).contains(&Event::VoiceEnded {
        channel_id: LOUNGE,
        reason: EndReason::OtherDevice
    }));
    assert_eq!(sim.grant_of(laptop).unwrap().participants.len(), 1);
    // The phone can't end what the laptop has.
    sim.act(|live, now, out| live.leave_voice(phone, now, out));
    assert_eq!(sim.in_channel(DEN), [1]);
    // The same device switches without being told that it ended.
    sim.events_of(laptop);
    sim.join(laptop, LOUNGE);
    let events = sim.events_of(laptop);
    assert!(events.contains(&Event::VoiceLeft {
        guild_id: Some(GUILD),
        channel_id: DEN,
        user_id: UserId(1),
        reason: LeaveReason::Switched
    }));
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::VoiceEnded { .. }))
    );
}

#[test]
fn voice_outlives_its_control_connection_for_a_while() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    sim.advance(REKEY_EVERY);
    sim.join(bob, LOUNGE);
    sim.disconnect(ann);
    sim.advance(VOICE_GRACE - MS);
    assert_eq!(sim.in_channel(LOUNGE), [1, 2]);
    // Bob goes meanwhile, so the key that Ann has is old.
    sim.act(|live, now, out| live.leave_voice(bob, now, out));
    let back = sim.connect(1, 1);
    let key = sim.live.rooms[&LOUNGE].key.clone().unwrap();
    assert_eq!(sim.keys_of(back), [key]);
    sim.advance(VOICE_GRACE);
    assert_eq!(sim.in_channel(LOUNGE), [1]);

    sim.events_of(bob);
    sim.disconnect(back);
    sim.advance(VOICE_GRACE);
    assert!(sim.in_channel(LOUNGE).is_empty());
    assert!(sim.events_of(bob).contains(&Event::VoiceLeft {
        guild_id: Some(GUILD),
        channel_id: LOUNGE,
        user_id: UserId(1),
        reason: LeaveReason::Disconnected
    }));
    sim.advance(Duration::from_millis(
        voxhall_protocol::limits::RESUME_WITHIN_MS,
    ));
    assert_eq!(sim.live.next_deadline(), None);
}

#[test]
fn a_half_open_connection_gives_way_to_the_new_one() {
    let mut sim = Sim::new();
    let stale = sim.connect(1, 1);
    sim.join(stale, LOUNGE);
    let fresh = sim.connect(1, 1);
    sim.disconnect(stale);
    sim.advance(VOICE_GRACE * 2);
    assert_eq!(sim.in_channel(LOUNGE), [1]);
    assert_eq!(
        sim.keys_of(fresh).len(),
        1,
        "the new connection knows the key"
    );
}

#[test]
fn silence_on_the_path_ends_the_session_and_says_so() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    sim.join(ann, LOUNGE);
    let session = sim.grant_of(ann).unwrap().voice_session;
    sim.act(|live, now, out| live.timed_out(session, now, out));
    let events = sim.events_of(ann);
    assert!(events.contains(&Event::VoiceEnded {
        channel_id: LOUNGE,
        reason: EndReason::TimedOut
    }));
    assert!(sim.in_channel(LOUNGE).is_empty());
    // The media thread may tell of a session that has gone meanwhile.
    assert!(
        sim.act(|live, now, out| {
            live.timed_out(session, now, out);
            live.speaking(session, true, out);
        })
        .is_empty()
    );
}

#[test]
fn only_members_join_and_only_voice_channels() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let stranger = sim.connect(9, 1);
    sim.join(stranger, LOUNGE);
    sim.join(ann, TEXT);
    sim.join(ann, ChannelId(99));
    assert_eq!(sim.refusals, [FailureKind::NotFound; 3]);
    assert!(sim.events_of(stranger).is_empty());
    assert!(sim.in_channel(LOUNGE).is_empty());
}

#[test]
fn a_join_that_is_taken_back_is_answered_all_the_same() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    sim.join(bob, LOUNGE);
    assert!(sim.grant_of(bob).is_none());
    sim.act(|live, now, out| live.leave_voice(bob, now, out));
    assert_eq!(sim.refusals, [FailureKind::OutOfOrder]);
    sim.advance(REKEY_EVERY);
    assert!(sim.grant_of(bob).is_none());
}

#[test]
fn a_new_member_is_told_of_the_guild_and_the_guild_of_the_member() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let nine = sim.connect(9, 1);
    sim.join(ann, LOUNGE);
    sim.apply(joined(9));
    let told = sim.events_of(nine);
    let [Event::GuildJoined { guild }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(guild.voice.len(), 1);
    assert_eq!(guild.members.len(), 5);
    sim.join(nine, LOUNGE);
    assert_eq!(sim.in_channel(LOUNGE), [1, 9]);
}

#[test]
fn a_deafened_listener_is_taken_from_the_routes() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    sim.join(ann, LOUNGE);
    let session = sim.grant_of(ann).unwrap().voice_session;
    let update = |muted, deafened| UpdateVoice { muted, deafened };
    let out = sim.act(|live, _, out| live.update_voice(ann, update(true, true), out));
    assert!(
        matches!(out[0], Output::Route(RouteChange::Rights { session: s, deafened: true, may_speak: true }) if s == session)
    );
    assert!(
        sim.act(|live, _, out| live.update_voice(ann, update(true, true), out))
            .is_empty(),
        "no news"
    );
}
