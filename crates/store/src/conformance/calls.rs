//! What is kept of calls.

use voxhall_protocol::{
    CallId, ChannelId, UserId,
    control::{CallDirection, CallEnd, CallsFrom},
};

use super::{account, guest};
use crate::*;

pub(super) async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    each_party_has_a_call_as_it_was_for_them(&fresh()).await;
    calls_that_ran_when_the_server_stopped_are_over(&fresh()).await;
    who_may_call_is_kept(&fresh()).await;
    old_calls_go(&fresh()).await;
}

async fn three<S: Store>(store: &S) -> [UserId; 3] {
    let mut users = Vec::new();
    for sign_up in [account("ann", 1), account("bob", 2), guest("cid", 3)] {
        users.push(store.sign_up(sign_up).await.unwrap().user.id);
    }
    users.try_into().unwrap()
}

fn party(user: UserId, duration_ms: Option<u64>, missed: bool) -> CallPartyRecord {
    CallPartyRecord {
        user,
        duration_ms,
        missed,
    }
}

fn call(
    id: u64,
    caller: UserId,
    end: Option<CallEnd>,
    parties: Vec<CallPartyRecord>,
) -> CallRecord {
    CallRecord {
        id: CallId(id),
        channel: ChannelId(70),
        caller,
        started_at_ms: 1_000 * i64::try_from(id).unwrap(),
        end,
        parties,
    }
}

async fn each_party_has_a_call_as_it_was_for_them<S: Store>(store: &S) {
    assert_eq!(store.begin_calls().await, Ok(None));
    let [ann, bob, cid] = three(store).await;
    let rings = vec![party(ann, None, false), party(bob, None, true)];
    store.save_call(call(1, ann, None, rings)).await.unwrap();
    assert_eq!(store.calls(ann, None, 10).await.unwrap().calls, []);
    assert_eq!(store.missed_calls(bob).await, Ok(0), "it still rings");
    let talked = vec![
        party(ann, Some(9_000), false),
        party(bob, Some(8_000), false),
    ];
    store
        .save_call(call(1, ann, Some(CallEnd::HungUp), talked))
        .await
        .unwrap();
    for id in 2..=4 {
        let unanswered = vec![
            party(ann, None, false),
            party(bob, None, true),
            party(cid, None, id == 4),
        ];
        let end = Some(CallEnd::NoAnswer);
        store
            .save_call(call(id, ann, end, unanswered))
            .await
            .unwrap();
    }
    let page = store.calls(bob, None, 3).await.unwrap();
    assert!(page.more);
    let ids: Vec<_> = page.calls.iter().map(|entry| entry.id.0).collect();
    assert_eq!(ids, [4, 3, 2]);
    let others = |entry: &voxhall_protocol::control::CallEntry| {
        entry.others.iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(others(&page.calls[0]), [ann, cid]);
    let page = store.calls(bob, Some(CallId(2)), 3).await.unwrap();
    assert!(!page.more);
    let [first] = &page.calls[..] else {
        panic!("{page:?}")
    };
    assert_eq!(
        (
            first.direction,
            first.duration_ms,
            first.reason,
            first.missed
        ),
        (CallDirection::Incoming, Some(8_000), CallEnd::HungUp, false)
    );
    assert_eq!(
        (first.channel_id, first.started_at_ms),
        (ChannelId(70), 1_000)
    );
    let of_ann = store.calls(ann, Some(CallId(2)), 3).await.unwrap();
    assert_eq!(
        (of_ann.calls[0].direction, of_ann.calls[0].duration_ms),
        (CallDirection::Outgoing, Some(9_000))
    );
    assert_eq!(store.missed_calls(bob).await, Ok(3));
    assert_eq!(store.missed_calls(cid).await, Ok(1));
    store.mark_calls_seen(bob, CallId(3)).await.unwrap();
    assert_eq!(store.missed_calls(bob).await, Ok(1));
    assert_eq!(store.missed_calls(cid).await, Ok(1));
    // The end told once more doesn't make it new.
    let unanswered = vec![party(ann, None, false), party(bob, None, true)];
    store
        .save_call(call(3, ann, Some(CallEnd::NoAnswer), unanswered))
        .await
        .unwrap();
    assert_eq!(store.missed_calls(bob).await, Ok(1));
    assert_eq!(store.begin_calls().await, Ok(Some(CallId(4))));
    // Of somebody who never was nothing is kept, and nothing fails.
    let stranger = vec![party(UserId(999), None, true), party(ann, None, true)];
    store
        .save_call(call(5, UserId(999), Some(CallEnd::NoAnswer), stranger))
        .await
        .unwrap();
    assert_eq!(store.missed_calls(ann).await, Ok(0));
}

async fn calls_that_ran_when_the_server_stopped_are_over<S: Store>(store: &S) {
    let [ann, bob, _] = three(store).await;
    let rings = vec![party(ann, None, false), party(bob, None, true)];
    store.save_call(call(7, ann, None, rings)).await.unwrap();
    assert_eq!(store.begin_calls().await, Ok(Some(CallId(7))));
    let page = store.calls(bob, None, 10).await.unwrap();
    assert_eq!(page.calls[0].reason, CallEnd::ServerStopped);
    assert!(page.calls[0].missed);
    assert_eq!(store.missed_calls(bob).await, Ok(1));
}

async fn who_may_call_is_kept<S: Store>(store: &S) {
    let [ann, bob, _] = three(store).await;
    store.set_calls_from(ann, CallsFrom::Friends).await.unwrap();
    let users = store.users().await.unwrap();
    let of = |id| users.iter().find(|record| record.user.id == id).unwrap();
    assert_eq!(of(ann).calls_from, CallsFrom::Friends);
    assert_eq!(of(bob).calls_from, CallsFrom::Everyone);
}

async fn old_calls_go<S: Store>(store: &S) {
    let [ann, bob, _] = three(store).await;
    let parties = || vec![party(ann, None, false), party(bob, None, true)];
    let end = Some(CallEnd::NoAnswer);
    store.save_call(call(1, ann, end, parties())).await.unwrap();
    let late = CallRecord {
        started_at_ms: 1_000 + CALLS_KEPT_MS + 1,
        ..call(2, ann, end, parties())
    };
    store.save_call(late).await.unwrap();
    let page = store.calls(bob, None, 10).await.unwrap();
    let ids: Vec<_> = page.calls.iter().map(|entry| entry.id.0).collect();
    assert_eq!(ids, [2]);
}
