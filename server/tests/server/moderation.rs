//! What moderators do to people, and what these can still do then.

use std::time::{Duration, Instant};

use voxhall_protocol::control::{
    AuditAction, BanMember, ChannelKind, EndReason, Event, FailureKind, GuildGone, JoinVoice,
    KickMember, LeaveGuild, ListAudit, ListBans, RedeemInvite, SendMessage, TimeoutMember,
    UnbanMember,
};

use crate::{
    client::Client,
    people::{Person, busy_server, channel_of},
    voice_path::VoicePath,
};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kicked_while_talking_is_heard_no_more() {
    let server = busy_server();
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let guild = ann.makes_guild("Club").await;
    let code = ann.invites(guild.id).await;
    bob.joins(&code).await;
    let join = JoinVoice {
        channel_id: channel_of(&guild, ChannelKind::Voice),
        muted: false,
        deafened: false,
        bundles: false,
    };
    let anns = ann.call(&join).await.unwrap();
    let bobs = bob.call(&join).await.unwrap();
    let mut listens = VoicePath::open(&server, &anns);
    let mut talks = VoicePath::open(&server, &bobs);
    let mut heard = 0;
    for _ in 0..20 {
        talks.speak();
        heard += listens.hears(Duration::from_millis(20));
    }
    assert!(heard > 10, "{heard} of 20 packets");

    let kick = KickMember {
        guild_id: guild.id,
        user_id: bob.id,
        reason: "too loud".into(),
    };
    ann.call(&kick).await.unwrap();
    // What the server had passed on before its answer may still be on its way.
    listens.hears(Duration::from_millis(50));
    let kicked = Instant::now();
    let mut after = 0;
    for _ in 0..20 {
        talks.speak();
        after += listens.hears(Duration::from_millis(20));
    }
    assert_eq!(after, 0, "{:?} after the kick", kicked.elapsed());
    let ended = bob
        .client
        .event(|event| matches!(event, Event::VoiceEnded { .. }))
        .await;
    assert!(
        matches!(
            ended,
            Event::VoiceEnded {
                reason: EndReason::NotAllowed,
                ..
            }
        ),
        "{ended:?}"
    );
    let left = bob
        .client
        .event(|event| matches!(event, Event::GuildLeft { .. }))
        .await;
    let Event::GuildLeft { why, .. } = left else {
        unreachable!()
    };
    assert_eq!(
        why,
        GuildGone::Kicked {
            reason: "too loud".into()
        }
    );
    // Who was kicked may come back.
    bob.joins(&code).await;
}

#[tokio::test]
async fn who_is_banned_does_not_come_back_under_another_name_either() {
    let server = busy_server();
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let guild = ann.makes_guild("Club").await;
    let code = ann.invites(guild.id).await;
    bob.joins(&code).await;
    let text = channel_of(&guild, ChannelKind::Text);
    let spam = SendMessage::new(text, "spam", "n1");
    bob.call(&spam).await.unwrap();

    let bobs = bob.id;
    let ban = |address| BanMember {
        guild_id: guild.id,
        user_id: bobs,
        reason: "spam".into(),
        delete_messages_s: 3_600,
        address,
    };
    ann.call(&ban(false)).await.unwrap();
    ann.client
        .event(|event| matches!(event, Event::MessageDeleted { channel_id, message_ids } if *channel_id == text && message_ids.len() == 1))
        .await;
    let left = bob
        .client
        .event(|event| matches!(event, Event::GuildLeft { .. }))
        .await;
    assert!(matches!(
        left,
        Event::GuildLeft {
            why: GuildGone::Banned { .. },
            ..
        }
    ));
    let again = RedeemInvite { code: code.clone() };
    assert_eq!(bob.tries(&again).await, Some(FailureKind::Banned));
    // All tests come from one address; it isn't banned yet.
    let mut eve = Client::greeted(&server).await;
    eve.sign_in_guest("eve", &code).await.unwrap();

    ann.call(&ban(true)).await.unwrap();
    let bans = ann
        .call(&ListBans { guild_id: guild.id })
        .await
        .unwrap()
        .bans;
    assert_eq!(
        (bans.len(), bans[0].user.id, bans[0].address),
        (1, bob.id, true)
    );
    let mut bob2 = Client::greeted(&server).await;
    let refused = bob2.sign_in_guest("bob2", &code).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Banned);
    // It is a ban from this guild, not from the server.
    Person::new(&server, "bob3", &server.invite_code()).await;

    let unban = UnbanMember {
        guild_id: guild.id,
        user_id: bob.id,
    };
    ann.call(&unban).await.unwrap();
    assert_eq!(ann.tries(&unban).await, Some(FailureKind::NotFound));
    bob.joins(&code).await;
    bob2.sign_in_guest("bob2", &code).await.unwrap();

    let page = ann
        .call(&ListAudit {
            guild_id: guild.id,
            before: None,
            action: Some(AuditAction::MemberBanned),
            by: None,
        })
        .await
        .unwrap();
    assert_eq!(page.entries.len(), 2);
    assert!(
        page.entries
            .iter()
            .all(|entry| entry.target == "bob" && entry.reason == "spam")
    );
    assert!(!format!("{:?}", page.entries).contains("127.0.0.1"));
}

#[tokio::test]
async fn a_timeout_silences_until_it_is_over_and_leaving_is_no_way_out() {
    let server = busy_server();
    let mut ann = Person::new(&server, "ann", &server.invite_code()).await;
    let mut bob = Person::new(&server, "bob", &server.invite_code()).await;
    let guild = ann.makes_guild("Club").await;
    let code = ann.invites(guild.id).await;
    bob.joins(&code).await;
    let text = channel_of(&guild, ChannelKind::Text);
    let bobs = bob.id;
    let timeout = |duration_s| TimeoutMember {
        guild_id: guild.id,
        user_id: bobs,
        duration_s,
        reason: String::new(),
    };
    let timed_out = ann.call(&timeout(3_600)).await.unwrap();
    assert!(timed_out.timeout_until_ms.is_some());
    let refused = bob
        .call(&SendMessage::new(text, "hi", "n1"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Forbidden);
    assert!(
        refused.message.contains("timed out until 20"),
        "{}",
        refused.message
    );
    let leave = LeaveGuild { guild_id: guild.id };
    bob.call(&leave).await.unwrap();
    bob.joins(&code).await;
    let refused = bob.tries(&SendMessage::new(text, "hi", "n2")).await;
    assert_eq!(refused, Some(FailureKind::Forbidden));
    ann.call(&timeout(0)).await.unwrap();
    bob.call(&SendMessage::new(text, "hi", "n3")).await.unwrap();
    ann.call(&timeout(1)).await.unwrap();
    assert_eq!(
        bob.tries(&SendMessage::new(text, "hi", "n4")).await,
        Some(FailureKind::Forbidden)
    );
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    bob.call(&SendMessage::new(text, "hi", "n5")).await.unwrap();
    assert_eq!(
        ann.tries(&timeout(28 * 24 * 3_600 + 1)).await,
        Some(FailureKind::InvalidParams)
    );
}
