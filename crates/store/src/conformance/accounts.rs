//! Users, devices.

use voxhall_protocol::{DeviceId, UserId, control::UserKind};

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    account_names_are_unique_whatever_their_case(&fresh()).await;
    devices_come_and_go(&fresh()).await;
    one_device_too_many_signs_out_the_least_recently_seen(&fresh()).await;
    a_sign_up_that_fails_leaves_nothing(&fresh()).await;
}

async fn account_names_are_unique_whatever_their_case<S: Store>(store: &S) {
    let ann = store.sign_up(account("Änn", 1)).await.unwrap();
    assert_eq!(ann.user.kind, UserKind::Account);
    assert_eq!(
        store.sign_up(account("äNN", 2)).await,
        Err(SignUpError::NameTaken)
    );
    // Guests may have any name, and don't take it from accounts.
    store.sign_up(guest("Änn", 3)).await.unwrap();
    store.sign_up(guest("Bob", 4)).await.unwrap();
    store.sign_up(account("bob", 5)).await.unwrap();

    let found = store.account_by_name("ÄNN").await.unwrap().unwrap();
    assert_eq!(found.user, ann.user);
    assert_eq!(found.password_hash, "$hash");
    assert!(!format!("{found:?}").contains("$hash"));
    assert!(store.account_by_name("nobody").await.unwrap().is_none());
}

async fn devices_come_and_go<S: Store>(store: &S) {
    let ann = store.sign_up(account("ann", 1)).await.unwrap();
    let second = store.add_device(ann.user.id, device(2)).await.unwrap();
    assert_ne!(ann.device, second);
    assert_eq!(
        store.device_by_token([2; 32], 50).await.unwrap(),
        Some((ann.user.clone(), second))
    );
    assert_eq!(store.device_by_token([9; 32], 50).await, Ok(None));
    assert_eq!(
        store.device_user(second).await.unwrap(),
        Some(ann.user.clone())
    );
    store.remove_device(second).await.unwrap();
    assert_eq!(store.device_user(second).await, Ok(None));
    assert_eq!(store.device_by_token([2; 32], 50).await, Ok(None));
    assert_eq!(store.device_user(ann.device).await, Ok(Some(ann.user)));
    assert_eq!(store.device_user(DeviceId(u64::MAX)).await, Ok(None));
    // A token belongs to one device.
    assert!(store.add_device(UserId(1), device(1)).await.is_err());
}

async fn one_device_too_many_signs_out_the_least_recently_seen<S: Store>(store: &S) {
    let ann = store.sign_up(account("ann", 0)).await.unwrap();
    let bob = store.sign_up(account("bob", 255)).await.unwrap();
    let mut devices = vec![ann.device];
    for token in 1..20 {
        devices.push(store.add_device(ann.user.id, device(token)).await.unwrap());
    }
    // The first is the oldest, but was here since.
    store.device_by_token([0; 32], 50).await.unwrap().unwrap();
    let newest = store.add_device(ann.user.id, device(20)).await.unwrap();
    let is_there = async |device| store.device_user(device).await.unwrap().is_some();
    assert!(!is_there(devices[1]).await);
    for device in [devices[0], devices[2], devices[19], newest, bob.device] {
        assert!(is_there(device).await, "{device}");
    }
}

async fn a_sign_up_that_fails_leaves_nothing<S: Store>(store: &S) {
    store.default_guild(new_guild("g")).await.unwrap();
    let refused = store.sign_up(by_invite(account("ann", 1), "nope")).await;
    assert_eq!(refused, Err(SignUpError::Invite(InviteError::Unknown)));
    assert!(store.account_by_name("ann").await.unwrap().is_none());
    store
        .sign_up(by_invite(account("ann", 1), "g-invite"))
        .await
        .unwrap();
}
