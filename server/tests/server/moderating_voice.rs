//! Moderators and people who are talking: what is decided holds for live voice at once.

use std::time::{Duration, Instant};

use voxhall_protocol::{
    ChannelId, GuildId,
    control::{
        AuditAction, ChannelKind, CreateChannel, DisconnectVoice, EndReason, Event, FailureKind,
        JoinVoice, LeaveReason, ListAudit, ModerateVoice, MoveVoice, OverwriteTarget, SetOverwrite,
        TimeoutMember, UpdateChannel, UpdateRole, VoiceState,
    },
    permissions::Permissions,
};

use crate::{
    fixture::Server,
    people::{Person, busy_server, channel_of},
    voice_path::VoicePath,
};

/// Rights hold for live voice this soon after the answer.
const IN_FORCE_WITHIN: Duration = Duration::from_millis(100);

/// Ann owns a guild; Bob talks there, and she listens.
struct Club {
    server: Server,
    ann: Person,
    bob: Person,
    guild: GuildId,
    lounge: ChannelId,
    everyone: voxhall_protocol::RoleId,
    listens: VoicePath,
    talks: VoicePath,
}

fn join(channel_id: ChannelId) -> JoinVoice {
    JoinVoice {
        channel_id,
        muted: false,
        deafened: false,
        bundles: false,
    }
}

impl Club {
    async fn open() -> Box<Self> {
        Box::pin(Self::make()).await
    }

    async fn make() -> Box<Self> {
        let server = busy_server();
        let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
        let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
        let guild = ann.makes_guild("Club").await;
        let code = ann.invites(guild.id).await;
        bob.joins(&code).await;
        let lounge = channel_of(&guild, ChannelKind::Voice);
        let anns = ann.call(&join(lounge)).await.unwrap();
        let bobs = bob.call(&join(lounge)).await.unwrap();
        let mut club = Box::new(Self {
            listens: VoicePath::open(&server, &anns),
            talks: VoicePath::open(&server, &bobs),
            server,
            ann,
            bob,
            guild: guild.id,
            lounge,
            everyone: guild.roles[0].id,
        });
        assert!(club.heard(10) > 5, "they hear each other");
        club
    }

    /// How many of so many packets arrive.
    fn heard(&mut self, packets: usize) -> usize {
        let speak = |_| {
            self.talks.speak();
            self.listens.hears(Duration::from_millis(20))
        };
        (0..packets).map(speak).sum()
    }

    /// Nothing is heard from here on but what was on its way. How long that took.
    fn falls_silent(&mut self, acknowledged: Instant) -> Duration {
        let mut last = Duration::ZERO;
        for _ in 0..25 {
            self.talks.speak();
            if self.listens.hears(Duration::from_millis(10)) > 0 {
                last = acknowledged.elapsed();
            }
        }
        assert!(last < IN_FORCE_WITHIN, "heard {last:?} after the answer");
        last
    }

    /// Who listened talks.
    fn turn_round(&mut self) {
        std::mem::swap(&mut self.talks, &mut self.listens);
    }

    fn deny(&self, deny: Permissions) -> SetOverwrite {
        SetOverwrite {
            channel_id: self.lounge,
            target: OverwriteTarget::Role(self.everyone),
            allow: Permissions::NONE,
            deny,
        }
    }

    /// What Ann is told of Bob's voice next.
    async fn state(&mut self) -> VoiceState {
        let bob = self.bob.id;
        let event = self.ann.client.event(
            |event| matches!(event, Event::VoiceUpdated { state, .. } if state.user_id == bob),
        );
        let Event::VoiceUpdated { state, .. } = event.await else {
            unreachable!()
        };
        state
    }

    async fn end_of_bobs_voice(&mut self) -> EndReason {
        let event = self
            .bob
            .client
            .event(|event| matches!(event, Event::VoiceEnded { .. }))
            .await;
        let Event::VoiceEnded { reason, .. } = event else {
            unreachable!()
        };
        reason
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_to_speak_hold_for_live_voice_within_100_ms_of_the_answer() {
    let mut club = Club::open().await;
    let mut worst = Duration::ZERO;
    for _ in 0..3 {
        let deny = club.deny(Permissions::SPEAK);
        club.ann.call(&deny).await.unwrap();
        worst = worst.max(club.falls_silent(Instant::now()));
        assert!(club.state().await.suppressed);
        let allow = club.deny(Permissions::NONE);
        club.ann.call(&allow).await.unwrap();
        let allowed = Instant::now();
        while club.heard(1) == 0 {
            assert!(allowed.elapsed() < IN_FORCE_WITHIN, "not heard again");
        }
        assert!(!club.state().await.suppressed);
    }
    println!("last packet heard {worst:?} after the answer");

    // By a role, too.
    let role = UpdateRole {
        guild_id: club.guild,
        role_id: club.everyone,
        name: None,
        permissions: Some(Permissions::DEFAULT_EVERYONE.without(Permissions::SPEAK)),
        color: None,
        hoist: None,
        mentionable: None,
    };
    club.ann.call(&role).await.unwrap();
    club.falls_silent(Instant::now());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_connect_or_see_is_out_and_does_not_come_back() {
    for taken in [Permissions::CONNECT, Permissions::VIEW_CHANNEL] {
        let mut club = Club::open().await;
        let deny = club.deny(taken);
        club.ann.call(&deny).await.unwrap();
        club.falls_silent(Instant::now());
        assert_eq!(club.end_of_bobs_voice().await, EndReason::NotAllowed);
        let refused = club.bob.tries(&join(club.lounge)).await.unwrap();
        let expected = if taken == Permissions::CONNECT {
            FailureKind::Forbidden
        } else {
            FailureKind::NotFound
        };
        assert_eq!(refused, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_mute_deafen_and_time_out() {
    let mut club = Club::open().await;
    let moderate = |muted, deafened| ModerateVoice {
        guild_id: club.guild,
        user_id: club.bob.id,
        muted,
        deafened,
    };
    let (mute, unmute) = (moderate(Some(true), None), moderate(Some(false), None));
    let (deafen, hear) = (moderate(None, Some(true)), moderate(None, Some(false)));
    assert_eq!(club.bob.tries(&unmute).await, Some(FailureKind::Forbidden));
    assert!(club.ann.call(&mute).await.unwrap().server_muted);
    club.falls_silent(Instant::now());
    assert!(club.state().await.suppressed);
    club.ann.call(&unmute).await.unwrap();
    assert!(club.heard(10) > 5);
    assert!(!club.state().await.suppressed);

    club.ann.call(&deafen).await.unwrap();
    club.turn_round();
    club.falls_silent(Instant::now());
    assert!(club.state().await.server_deafened);
    club.ann.call(&hear).await.unwrap();
    assert!(club.heard(10) > 5);
    assert!(!club.state().await.server_deafened);
    club.turn_round();

    let timeout = TimeoutMember {
        guild_id: club.guild,
        user_id: club.bob.id,
        duration_s: 2,
        reason: String::new(),
    };
    club.ann.call(&timeout).await.unwrap();
    club.falls_silent(Instant::now());
    assert!(club.state().await.suppressed);
    assert!(!club.state().await.suppressed, "its end is told, too");
    assert!(club.heard(10) > 5);
    let audit = ListAudit {
        guild_id: club.guild,
        before: None,
        action: None,
        by: None,
    };
    let entries = club.ann.call(&audit).await.unwrap().entries;
    for action in [
        AuditAction::VoiceMuted,
        AuditAction::VoiceDeafened,
        AuditAction::MemberTimedOut,
    ] {
        assert!(
            entries.iter().any(|entry| entry.action == action),
            "{action:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_move_and_disconnect() {
    let mut club = Club::open().await;
    let new = CreateChannel {
        guild_id: club.guild,
        name: "den".into(),
        kind: ChannelKind::Voice,
        category_id: None,
    };
    let den = club.ann.call(&new).await.unwrap().id;
    let go = |channel_id| MoveVoice {
        guild_id: club.guild,
        user_id: club.bob.id,
        channel_id,
    };
    let (to_den, nowhere) = (go(den), go(ChannelId(999)));
    let (ann_to_den, out) = (
        MoveVoice {
            user_id: club.ann.id,
            ..to_den
        },
        DisconnectVoice {
            guild_id: club.guild,
            user_id: club.bob.id,
        },
    );
    assert_eq!(
        club.bob.tries(&ann_to_den).await,
        Some(FailureKind::Forbidden)
    );
    assert_eq!(club.ann.tries(&nowhere).await, Some(FailureKind::NotFound));
    club.ann.call(&to_den).await.unwrap();
    club.falls_silent(Instant::now());
    assert_eq!(club.end_of_bobs_voice().await, EndReason::MovedTo(den));
    let left = club
        .ann
        .client
        .event(|event| matches!(event, Event::VoiceLeft { .. }))
        .await;
    assert!(
        matches!(
            left,
            Event::VoiceLeft {
                reason: LeaveReason::Moderated,
                ..
            }
        ),
        "{left:?}"
    );
    assert_eq!(
        club.ann.tries(&out).await,
        Some(FailureKind::NotFound),
        "in no voice channel"
    );

    let grant = club.bob.call(&join(den)).await.unwrap();
    let _path = VoicePath::open(&club.server, &grant);
    club.ann.call(&out).await.unwrap();
    assert_eq!(club.end_of_bobs_voice().await, EndReason::Disconnected);
    let audit = ListAudit {
        guild_id: club.guild,
        before: None,
        action: Some(AuditAction::VoiceMoved),
        by: None,
    };
    let entries = club.ann.call(&audit).await.unwrap().entries;
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(entry.target, "bob");
    assert_eq!(entry.changes[0].after.as_deref(), Some("#den"));
}

#[tokio::test]
async fn a_channel_has_room_for_as_many_as_it_says() {
    let mut club = Club::open().await;
    let update = UpdateChannel {
        channel_id: club.lounge,
        name: None,
        topic: None,
        slow_mode_s: None,
        retention_days: None,
        user_limit: Some(2),
        bitrate_bps: Some(96_000),
    };
    club.ann.call(&update).await.unwrap();
    let mut eve = Person::new(&club.server, "eve", &club.server.invite_code()).await;
    let code = club.ann.invites(club.guild).await;
    eve.joins(&code).await;
    assert_eq!(
        eve.tries(&join(club.lounge)).await,
        Some(FailureKind::ChannelFull)
    );
    let bob = club
        .bob
        .client
        .event(|event| matches!(event, Event::ChannelUpdated { .. }))
        .await;
    assert!(matches!(bob, Event::ChannelUpdated { channel, .. } if channel.bitrate_bps == 96_000));
    let back = club.bob.call(&join(club.lounge)).await.unwrap();
    assert_eq!(back.bitrate_bps, 96_000);
}
