//! Stage rooms that are kept until they are ended.

use voxhall_protocol::{ChannelId, UserId, control::StageAccess};

use super::{account, room};
use crate::*;

pub(super) async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    a_room_is_kept_until_it_is_ended(&fresh()).await;
    one_that_never_began_goes(&fresh()).await;
    one_host_has_so_many_at_most(&fresh()).await;
}

fn new(host: UserId, code: &str, scheduled_at_ms: Option<i64>) -> NewStage {
    NewStage {
        host,
        topic: "rust".into(),
        access: StageAccess::Closed,
        code: code.into(),
        scheduled_at_ms,
        now: 5,
    }
}

async fn a_room_is_kept_until_it_is_ended<S: Store>(store: &S) {
    let (ann, _, voice) = room(store).await;
    let bob = store.sign_up(account("bob", 2)).await.unwrap().user.id;
    let open = store.open_stage(new(ann, "abcd", None)).await.unwrap();
    assert!(open.id > voice, "its id is no other channel's");
    assert_eq!(
        (open.started_at_ms, open.access),
        (Some(5), StageAccess::Closed)
    );
    let later = store
        .open_stage(new(bob, "efgh", Some(9_000)))
        .await
        .unwrap();
    assert_eq!(
        (later.started_at_ms, later.scheduled_at_ms),
        (None, Some(9_000))
    );
    assert!(later.id > open.id);
    assert_eq!(store.begin_stage(later.id, 9_500).await, Ok(true));
    assert_eq!(store.begin_stage(later.id, 9_900).await, Ok(false));
    store
        .update_stage(open.id, "more rust".into())
        .await
        .unwrap();
    for _ in 0..2 {
        store.ban_from_stage(open.id, bob).await.unwrap();
    }
    let all = store.stages().await.unwrap();
    assert_eq!(all[0].banned, [bob].into());
    assert_eq!(all[0].topic, "more rust");
    assert_eq!(all[1].started_at_ms, Some(9_500));
    store.end_stage(open.id).await.unwrap();
    store.end_stage(open.id).await.unwrap();
    assert_eq!(store.stages().await.unwrap().len(), 1);
    let gone = Err(StageError::NoStage);
    assert_eq!(store.update_stage(open.id, "x".into()).await, gone);
    assert_eq!(store.ban_from_stage(ChannelId(999), bob).await, gone);
    let nobody = store.open_stage(new(UserId(999), "ijkl", None)).await;
    assert_eq!(nobody, Err(StageError::NoUser));
}

async fn one_that_never_began_goes<S: Store>(store: &S) {
    let (ann, ..) = room(store).await;
    store
        .open_stage(new(ann, "abcd", Some(1_000)))
        .await
        .unwrap();
    for (now, left) in [(1_000, 1), (1_001, 0)] {
        store
            .end_forgotten_stages(now + NEVER_BEGUN_MS)
            .await
            .unwrap();
        assert_eq!(store.stages().await.unwrap().len(), left);
    }
}

async fn one_host_has_so_many_at_most<S: Store>(store: &S) {
    let (ann, ..) = room(store).await;
    for n in 0..MAX_STAGES {
        store
            .open_stage(new(ann, &format!("code{n}"), None))
            .await
            .unwrap();
    }
    let one_more = store.open_stage(new(ann, "more", None)).await;
    assert_eq!(one_more, Err(StageError::TooMany));
}
