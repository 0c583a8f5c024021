//! Stage rooms on a real server: found, attended, and no packet of a listener goes through.

use std::time::Duration;

use voxhall_protocol::control::{
    BeginStage, EndStage, Event, FailureKind, FollowUser, JoinStage, JoinVoice, ListStages,
    OpenStage, RaiseHand, RemoveFromStage, SetStageRole, Stage, StageAccess, StageGone, StageRole,
    StageView, VoiceGrant,
};

use crate::{client::Client, fixture::Server, voice_path::VoicePath};

async fn attend(client: &mut Client, join: &JoinStage) -> (StageView, VoiceGrant) {
    let view = client.call(join).await.unwrap();
    let voice = JoinVoice {
        channel_id: view.stage.id,
        muted: false,
        deafened: false,
        bundles: false,
    };
    let grant = client.call(&voice).await.unwrap();
    (view, grant)
}

async fn open(client: &mut Client, access: StageAccess) -> Stage {
    let open = OpenStage {
        topic: "rust".to_owned(),
        access,
        scheduled_at_ms: None,
    };
    client.call(&open).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_who_forges_voice_packets_is_never_forwarded() {
    let server = Server::start();
    let (mut ann, _) = Client::guest(&server, "ann").await;
    let (mut eve, ready) = Client::guest(&server, "eve").await;
    let stage = open(&mut ann, StageAccess::Public).await;
    let (view, host) = attend(&mut ann, &JoinStage::by_id(stage.id)).await;
    assert_eq!(view.standing.role, StageRole::Host);
    let (view, listener) = attend(&mut eve, &JoinStage::by_id(stage.id)).await;
    assert_eq!(view.standing.role, StageRole::Listener);

    let mut host = VoicePath::open(&server, &host);
    let mut forger = VoicePath::open(&server, &listener);
    for _ in 0..10 {
        host.speak();
        forger.speak();
    }
    assert_eq!(
        forger.hears(Duration::from_millis(300)),
        10,
        "the host is heard"
    );
    assert_eq!(
        host.hears(Duration::from_millis(300)),
        0,
        "the listener is not"
    );

    // The same packets pass as soon as the host lets them, and no longer than that.
    let set = |role| SetStageRole {
        user_id: ready.me.id,
        role,
    };
    eve.call(&RaiseHand { raised: true }).await.unwrap();
    ann.call(&set(StageRole::Speaker)).await.unwrap();
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..10 {
        forger.speak();
    }
    assert_eq!(host.hears(Duration::from_millis(300)), 10);
    ann.call(&set(StageRole::Listener)).await.unwrap();
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..10 {
        forger.speak();
    }
    assert_eq!(host.hears(Duration::from_millis(300)), 0);
    assert_eq!(
        eve.refused(&set(StageRole::Speaker)).await,
        FailureKind::Forbidden
    );
}

#[tokio::test]
async fn rooms_are_listed_closed_ones_need_a_code_and_followers_are_told() {
    let server = Server::start();
    let (mut ann, of_ann) = Client::guest(&server, "ann").await;
    let (mut bob, of_bob) = Client::guest(&server, "bob").await;
    let follow = FollowUser {
        user_id: of_ann.me.id,
    };
    bob.call(&follow).await.unwrap();
    let public = open(&mut ann, StageAccess::Public).await;
    let told = bob
        .event(|event| matches!(event, Event::StageAnnounced { .. }))
        .await;
    assert!(matches!(told, Event::StageAnnounced { stage } if stage.id == public.id));
    let closed = open(&mut ann, StageAccess::Closed).await;
    // A time that is over.
    let scheduled = OpenStage {
        topic: "later".to_owned(),
        access: StageAccess::Public,
        scheduled_at_ms: Some(1),
    };
    assert_eq!(ann.refused(&scheduled).await, FailureKind::InvalidParams);

    let list = bob.call(&ListStages {}).await.unwrap().stages;
    assert_eq!(
        list.iter().map(|stage| stage.id).collect::<Vec<_>>(),
        [public.id]
    );
    assert_eq!(
        bob.refused(&JoinStage::by_id(closed.id)).await,
        FailureKind::NotFound
    );
    let (view, _) = attend(&mut ann, &JoinStage::by_id(closed.id)).await;
    let by_code = JoinStage::by_code(view.standing.code.unwrap());
    attend(&mut bob, &by_code).await;
    let remove = RemoveFromStage {
        user_id: of_bob.me.id,
        ban: true,
    };
    assert_eq!(bob.refused(&remove).await, FailureKind::Forbidden);
    ann.call(&remove).await.unwrap();
    let left = bob
        .event(|event| matches!(event, Event::StageLeft { .. }))
        .await;
    assert!(matches!(
        left,
        Event::StageLeft {
            reason: StageGone::Banned,
            ..
        }
    ));
    assert_eq!(bob.refused(&by_code).await, FailureKind::Banned);

    let own = EndStage {
        channel_id: public.id,
    };
    assert_eq!(bob.refused(&own).await, FailureKind::Forbidden);
    let begin = BeginStage {
        channel_id: public.id,
    };
    assert_eq!(bob.refused(&begin).await, FailureKind::Forbidden);
    ann.call(&own).await.unwrap();
    assert!(bob.call(&ListStages {}).await.unwrap().stages.is_empty());
    assert_eq!(
        bob.refused(&JoinStage::by_id(public.id)).await,
        FailureKind::NotFound
    );
}
