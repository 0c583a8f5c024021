//! Who is told, who may speak, and how soon it changes.

use voxhall_protocol::control::{EndReason, Event, LeaveReason, Overwrite, OverwriteTarget};

use super::*;

fn lounge(overwrites: Vec<Overwrite>) -> Change {
    let mut channel = Channel::new(LOUNGE, "c", ChannelKind::Voice);
    channel.overwrites = overwrites;
    Change::ChannelSaved {
        guild: GUILD,
        channel,
    }
}

fn deny(permissions: Permissions) -> Vec<Overwrite> {
    vec![Overwrite {
        target: OverwriteTarget::Role(EVERYONE),
        allow: Permissions::NONE,
        deny: permissions,
    }]
}

fn changed(change: impl FnOnce(&mut MemberRecord)) -> Change {
    let mut member = member(1);
    change(&mut member);
    Change::MemberSaved {
        guild: GUILD,
        member,
    }
}

fn in_lounge() -> (Sim, ConnectionId, ConnectionId, VoiceSessionId) {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    sim.join(ann, LOUNGE);
    let session = sim.grant_of(ann).unwrap().voice_session;
    sim.events_of(ann);
    sim.events_of(bob);
    (sim, ann, bob, session)
}

#[test]
fn a_right_that_is_taken_is_out_of_the_routes_in_the_same_act() {
    for taken in [Permissions::CONNECT, Permissions::VIEW_CHANNEL] {
        let (mut sim, ann, bob, session) = in_lounge();
        let out = sim.apply(lounge(deny(taken)));
        let removed = |output: &Output| matches!(output, Output::Route(RouteChange::Remove(gone)) if *gone == session);
        assert!(out.iter().any(removed), "{out:?}");
        assert!(sim.events_of(ann).contains(&Event::VoiceEnded {
            channel_id: LOUNGE,
            reason: EndReason::NotAllowed
        }));
        let left = Event::VoiceLeft {
            guild_id: Some(GUILD),
            channel_id: LOUNGE,
            user_id: UserId(1),
            reason: LeaveReason::NotAllowed,
        };
        assert_eq!(
            sim.events_of(bob).contains(&left),
            taken == Permissions::CONNECT,
            "who still sees the channel"
        );
        sim.check();
    }
}

#[test]
fn who_may_not_speak_listens() {
    let (mut sim, ann, bob, session) = in_lounge();
    sim.act(|live, _, out| live.speaking(session, true, out));
    let out = sim.apply(lounge(deny(Permissions::SPEAK)));
    assert!(out.iter().any(|output| matches!(output,
        Output::Route(RouteChange::Rights { session: s, may_speak: false, deafened: false }) if *s == session)));
    let state = |sim: &Sim| sim.clients[&bob].view.guilds[&GUILD].voice[0].clone();
    assert!(state(&sim).suppressed && !state(&sim).speaking);
    // What the media thread had heard before comes too late.
    assert!(
        sim.act(|live, _, out| live.speaking(session, true, out))
            .is_empty()
    );
    sim.apply(lounge(vec![]));
    assert!(!state(&sim).suppressed);

    sim.apply(changed(|member| member.server_deafened = true));
    assert_eq!(sim.routes[&session], (LOUNGE, true, true));
    sim.apply(changed(|member| member.server_muted = true));
    assert_eq!(sim.routes[&session], (LOUNGE, false, false));
    // It holds for a new stay, too.
    sim.join(ann, DEN);
    sim.advance(REKEY_EVERY);
    assert_eq!(
        sim.routes.values().collect::<Vec<_>>(),
        [&(DEN, false, false)]
    );
    sim.check();
}

#[test]
fn a_timeout_silences_and_its_end_lets_speak_again() {
    let (mut sim, _, bob, session) = in_lounge();
    let until = sim.now.unix_ms + 10_000;
    sim.apply(changed(|member| member.timeout_until_ms = Some(until)));
    assert_eq!(sim.routes[&session], (LOUNGE, false, false), "listens only");
    sim.advance(9_999 * MS);
    assert!(!sim.routes[&session].1);
    sim.events_of(bob);
    sim.advance(MS);
    assert_eq!(sim.routes[&session], (LOUNGE, true, false));
    assert!(
        matches!(&sim.events_of(bob)[..], [Event::VoiceUpdated { state, .. }] if !state.suppressed)
    );
    sim.check();
}

#[test]
fn who_is_removed_is_out_of_voice_and_the_channel_too_when_it_goes() {
    let (mut sim, ann, bob, _) = in_lounge();
    sim.apply(Change::MemberRemoved {
        guild: GUILD,
        user: UserId(1),
        why: voxhall_store::Removal::Kicked {
            reason: "noise".into(),
        },
    });
    assert!(sim.routes.is_empty());
    let events = sim.events_of(ann);
    assert!(events.iter().any(|event| matches!(
        event,
        Event::VoiceEnded {
            reason: EndReason::NotAllowed,
            ..
        }
    )));
    assert!(matches!(events.last(), Some(Event::GuildLeft { .. })));
    sim.check();

    sim.join(bob, DEN);
    sim.events_of(bob);
    sim.apply(Change::ChannelDeleted {
        guild: GUILD,
        channel: DEN,
    });
    assert!(sim.routes.is_empty());
    assert!(sim.events_of(bob).contains(&Event::VoiceEnded {
        channel_id: DEN,
        reason: EndReason::ChannelDeleted
    }));
    sim.check();
}

#[test]
fn a_full_channel_lets_only_movers_in() {
    let mut sim = Sim::new();
    let connections: Vec<_> = (1..=3).map(|user| sim.connect(user, 1)).collect();
    let mut channel = Channel::new(LOUNGE, "c", ChannelKind::Voice);
    channel.user_limit = 1;
    sim.apply(Change::ChannelSaved {
        guild: GUILD,
        channel,
    });
    sim.join(connections[0], LOUNGE);
    sim.join(connections[1], LOUNGE);
    assert_eq!(sim.refusals, [FailureKind::ChannelFull]);
    sim.apply(Change::GuildUpdated(info(Some(3))));
    sim.join(connections[2], LOUNGE);
    assert_eq!(sim.in_channel(LOUNGE), [1, 3]);
    // Nobody is moved where there is no room for them.
    sim.join(connections[1], DEN);
    let mut moved = None;
    sim.act(|live, now, out| {
        moved = Some(live.move_voice(GUILD, UserId(2), (DEN, LOUNGE), now, out));
    });
    assert_eq!(moved.unwrap().unwrap_err().kind(), FailureKind::ChannelFull);
    assert_eq!(sim.in_channel(DEN), [2]);
    sim.check();
}

#[test]
fn a_moderator_moves_and_disconnects() {
    let (mut sim, ann, bob, _) = in_lounge();
    sim.act(|live, now, out| {
        // In the meantime they may have gone to where the moderator has no say.
        let elsewhere = live.move_voice(GUILD, UserId(1), (DEN, LOUNGE), now, out);
        assert_eq!(elsewhere.unwrap_err().kind(), FailureKind::NotFound);
        let elsewhere = live.disconnect_voice(GUILD, UserId(1), DEN, now, out);
        assert_eq!(elsewhere.unwrap_err().kind(), FailureKind::NotFound);
        live.move_voice(GUILD, UserId(1), (LOUNGE, DEN), now, out)
            .unwrap();
    });
    assert!(sim.events_of(ann).contains(&Event::VoiceEnded {
        channel_id: LOUNGE,
        reason: EndReason::MovedTo(DEN)
    }));
    assert!(sim.routes.is_empty(), "the client joins there by itself");
    sim.join(ann, DEN);
    sim.act(|live, now, out| {
        live.disconnect_voice(GUILD, UserId(1), DEN, now, out)
            .unwrap();
    });
    assert!(sim.events_of(bob).iter().any(|event| matches!(
        event,
        Event::VoiceLeft {
            reason: LeaveReason::Moderated,
            ..
        }
    )));
    sim.act(|live, now, out| {
        assert!(
            live.disconnect_voice(GUILD, UserId(1), DEN, now, out)
                .is_err()
        );
    });
    sim.check();
}

#[test]
fn a_moderators_only_channel_is_there_for_moderators_only() {
    let mut sim = Sim::new();
    let ann = sim.connect(1, 1);
    let bob = sim.connect(2, 1);
    let mods = RoleId(2);
    sim.apply(Change::RoleSaved {
        guild: GUILD,
        role: role(mods, 1, Permissions::NONE),
    });
    sim.events_of(ann);
    let mut staff = Channel::new(ChannelId(13), "staff", ChannelKind::Text);
    staff.overwrites = deny(Permissions::VIEW_CHANNEL);
    staff.overwrites.push(Overwrite {
        target: OverwriteTarget::Role(mods),
        allow: Permissions::VIEW_CHANNEL,
        deny: Permissions::NONE,
    });
    sim.apply(Change::ChannelSaved {
        guild: GUILD,
        channel: staff,
    });
    assert_eq!(sim.events_of(ann), []);
    sim.apply(changed(|member| member.roles = vec![mods]));
    let events = sim.events_of(ann);
    assert!(
        matches!(
            &events[..],
            [Event::MemberUpdated { .. }, Event::ChannelCreated { .. }]
        ),
        "{events:?}"
    );
    assert!(
        !sim.events_of(bob)
            .iter()
            .any(|event| matches!(event, Event::ChannelCreated { .. }))
    );
    sim.apply(Change::RoleDeleted {
        guild: GUILD,
        role: mods,
    });
    let events = sim.events_of(ann);
    assert!(
        matches!(
            &events[..],
            [Event::RoleDeleted { .. }, Event::ChannelDeleted { .. }]
        ),
        "{events:?}"
    );
    sim.check();
}
