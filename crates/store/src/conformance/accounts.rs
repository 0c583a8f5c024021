//! Users, devices and their tokens.

use voxhall_protocol::{
    ChannelId, DeviceId, FileId, UserId,
    control::{PictureSize, UserKind},
};

use super::*;

pub async fn run_all<S: Store>(fresh: &impl Fn() -> S) {
    account_names_are_unique_whatever_their_case(&fresh()).await;
    devices_come_and_go(&fresh()).await;
    one_device_too_many_signs_out_the_least_recently_seen(&fresh()).await;
    a_sign_up_that_fails_leaves_nothing(&fresh()).await;
    a_token_rotates_and_its_last_answer_is_given_again_for_a_while(&fresh()).await;
    a_spent_token_ends_its_device(&fresh()).await;
    a_suspended_user_does_nothing_and_comes_back(&fresh()).await;
    a_new_password_ends_all_other_devices(&fresh()).await;
    a_guest_becomes_an_account_and_stays_who_they_are(&fresh()).await;
    a_profile_changes_in_what_is_said(&fresh()).await;
    guests_who_dont_come_back_are_forgotten(&fresh()).await;
    who_is_deleted_leaves_only_what_they_wrote(&fresh()).await;
    administrators_find_users(&fresh()).await;
    the_first_owner_administers_the_server(&fresh()).await;
    one_key_signs(&fresh()).await;
    what_a_deleted_user_had_under_way_is_not_stored(&fresh()).await;
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
    let bob = store.sign_up(account("bob", 3)).await.unwrap();
    let second = store.add_device(ann.user.id, device(2)).await.unwrap();
    assert_ne!(ann.device, second);
    let user_of = async |device| {
        store
            .device_user(device)
            .await
            .unwrap()
            .map(|record| record.user.id)
    };
    assert_eq!(user_of(second).await, Some(ann.user.id));
    store
        .devices_seen(vec![ann.device, DeviceId(u64::MAX)], 70)
        .await
        .unwrap();
    // Time never goes back.
    store.devices_seen(vec![ann.device], 60).await.unwrap();
    let devices = store.devices(ann.user.id).await.unwrap();
    let seen: Vec<_> = devices
        .iter()
        .map(|device| (device.id, device.last_seen_ms, device.label.as_str()))
        .collect();
    assert_eq!(seen, [(ann.device, 70, "laptop"), (second, 1, "laptop")]);
    // Nobody ends another's.
    store
        .end_devices(ann.user.id, Devices::One(bob.device))
        .await
        .unwrap();
    store
        .end_devices(ann.user.id, Devices::One(second))
        .await
        .unwrap();
    store
        .end_devices(ann.user.id, Devices::One(second))
        .await
        .unwrap();
    assert_eq!(user_of(second).await, None);
    assert_eq!(user_of(ann.device).await, Some(ann.user.id));
    assert_eq!(user_of(bob.device).await, Some(bob.user.id));
    assert_eq!(user_of(DeviceId(u64::MAX)).await, None);
    // A token belongs to one device.
    assert!(store.add_device(UserId(1), device(1)).await.is_err());
    store.end_devices(ann.user.id, Devices::All).await.unwrap();
    assert_eq!(store.devices(ann.user.id).await, Ok(vec![]));
}

/// Token `n` of the family of `device(family)`, shown at that time.
fn rotation(family: u8, generation: u32, now: i64) -> Rotation {
    let sha256 = |generation: u32| match generation {
        0 => [family; 32],
        n => [family.wrapping_add(100 + u8::try_from(n).unwrap()); 32],
    };
    Rotation {
        family: [family; 16],
        generation,
        shown_sha256: sha256(generation),
        next_sha256: sha256(generation + 1),
        now,
    }
}

async fn a_token_rotates_and_its_last_answer_is_given_again_for_a_while<S: Store>(store: &S) {
    let ann = store.sign_up(account("ann", 1)).await.unwrap();
    let good = Rotated::Good {
        user: ann.user.clone(),
        device: ann.device,
    };
    assert_eq!(
        store.rotate_token(rotation(1, 0, 50)).await.as_ref(),
        Ok(&good)
    );
    assert_eq!(
        store.devices(ann.user.id).await.unwrap()[0].last_seen_ms,
        50
    );
    // Two at once, as after a lost answer.
    let last = 50 + RETRY_WITHIN_MS - 1;
    let (one, two) = tokio::join!(
        store.rotate_token(rotation(1, 0, last)),
        store.rotate_token(rotation(1, 0, last))
    );
    assert_eq!((one.as_ref(), two.as_ref()), (Ok(&good), Ok(&good)));
    assert_eq!(
        store.rotate_token(rotation(1, 1, last)).await.as_ref(),
        Ok(&good)
    );
    assert_eq!(
        store.rotate_token(rotation(1, 2, last)).await.as_ref(),
        Ok(&good)
    );
    // What was never given out is no reason to end anything: families that nobody has, tokens to come, other secrets.
    for unknown in [
        rotation(2, 0, last),
        rotation(1, 4, last),
        rotation(1, 90, last),
        Rotation {
            shown_sha256: [9; 32],
            ..rotation(1, 3, last)
        },
    ] {
        assert_eq!(store.rotate_token(unknown).await, Ok(Rotated::Unknown));
    }
    assert_eq!(store.rotate_token(rotation(1, 3, last)).await, Ok(good));
}

async fn a_spent_token_ends_its_device<S: Store>(store: &S) {
    // Just after it may be asked again; one from long ago, however soon; one that is asked again with another one to follow.
    let other_next = Rotation {
        next_sha256: [9; 32],
        ..rotation(1, 2, 1_000)
    };
    for reused in [
        rotation(1, 2, 1_000 + RETRY_WITHIN_MS),
        rotation(1, 0, 1_000),
        rotation(1, 1, 1_000),
        other_next,
    ] {
        let ann = store.sign_up(guest("ann", 1)).await.unwrap();
        let other = store.add_device(ann.user.id, device(2)).await.unwrap();
        for generation in 0..3 {
            let rotated = store.rotate_token(rotation(1, generation, 1_000)).await;
            assert!(matches!(rotated, Ok(Rotated::Good { .. })), "{rotated:?}");
        }
        let ended = Rotated::Reused {
            user: ann.user.id,
            device: ann.device,
        };
        assert_eq!(store.rotate_token(reused).await, Ok(ended));
        assert_eq!(store.device_user(ann.device).await, Ok(None));
        // The newest is worth nothing either.
        assert_eq!(
            store.rotate_token(rotation(1, 3, 1_000)).await,
            Ok(Rotated::Unknown)
        );
        assert!(store.device_user(other).await.unwrap().is_some());
        store.end_devices(ann.user.id, Devices::All).await.unwrap();
    }
}

async fn a_suspended_user_does_nothing_and_comes_back<S: Store>(store: &S) {
    let ann = store.sign_up(account("ann", 1)).await.unwrap();
    let update = async |suspended, is_admin| {
        let state = store
            .update_user(ann.user.id, suspended, is_admin, 5)
            .await
            .unwrap()
            .unwrap();
        (state.suspended, state.is_admin)
    };
    assert_eq!(update(Some(true), None).await, (true, false));
    assert!(
        store
            .account_by_name("ann")
            .await
            .unwrap()
            .unwrap()
            .suspended
    );
    assert!(
        store
            .device_user(ann.device)
            .await
            .unwrap()
            .unwrap()
            .suspended
    );
    assert_eq!(
        store.rotate_token(rotation(1, 0, 9)).await,
        Ok(Rotated::Suspended)
    );
    assert_eq!(update(None, Some(true)).await, (true, true));
    assert_eq!(update(Some(false), None).await, (false, true));
    assert_eq!(update(None, Some(false)).await, (false, false));
    assert!(matches!(
        store.rotate_token(rotation(1, 0, 9)).await,
        Ok(Rotated::Good { .. })
    ));
    assert_eq!(
        store
            .update_user(UserId(u64::MAX), Some(true), None, 5)
            .await,
        Ok(None)
    );
}

async fn a_new_password_ends_all_other_devices<S: Store>(store: &S) {
    let ann = store.sign_up(account("ann", 1)).await.unwrap();
    let other = store.add_device(ann.user.id, device(2)).await.unwrap();
    let change = |old: &str| PasswordChange {
        user: ann.user.id,
        old_hash: old.into(),
        new_hash: "$new".into(),
        device: ann.device,
    };
    assert_eq!(
        store.change_password(change("$other")).await,
        Err(PasswordError::Changed)
    );
    assert!(store.device_user(other).await.unwrap().is_some());
    store.change_password(change("$hash")).await.unwrap();
    assert_eq!(
        store
            .account(ann.user.id)
            .await
            .unwrap()
            .unwrap()
            .password_hash,
        "$new"
    );
    assert_eq!(store.device_user(other).await, Ok(None));
    assert!(store.device_user(ann.device).await.unwrap().is_some());

    assert_eq!(
        store.reset_password(ann.user.id, "$reset".into()).await,
        Ok(true)
    );
    assert_eq!(store.devices(ann.user.id).await, Ok(vec![]));
    assert_eq!(
        store
            .account_by_name("ann")
            .await
            .unwrap()
            .unwrap()
            .password_hash,
        "$reset"
    );
    let bob = store.sign_up(guest("bob", 3)).await.unwrap();
    assert_eq!(
        store.reset_password(bob.user.id, "$reset".into()).await,
        Ok(false)
    );
    assert!(store.account(bob.user.id).await.unwrap().is_none());
}

async fn a_guest_becomes_an_account_and_stays_who_they_are<S: Store>(store: &S) {
    let (ann, ..) = room(store).await;
    let bob = store
        .sign_up(by_invite(guest("bob", 2), "g-invite"))
        .await
        .unwrap();
    let upgrade = |user, name: &str| store.upgrade_guest(user, name.into(), "$hash".into());
    assert_eq!(
        upgrade(bob.user.id, "ANN").await,
        Err(UpgradeError::NameTaken)
    );
    assert_eq!(upgrade(ann, "ann2").await, Err(UpgradeError::NotAGuest));
    assert_eq!(
        upgrade(UserId(u64::MAX), "eve").await,
        Err(UpgradeError::NotAGuest)
    );
    let account = upgrade(bob.user.id, "Bobby").await.unwrap();
    assert_eq!(
        (account.id, account.name.as_str(), account.kind),
        (bob.user.id, "Bobby", UserKind::Account)
    );
    assert_eq!(
        upgrade(bob.user.id, "Bobby").await,
        Err(UpgradeError::NotAGuest)
    );
    assert_eq!(
        store.account_by_name("bobby").await.unwrap().unwrap().user,
        account
    );
    assert_eq!(
        store.device_user(bob.device).await.unwrap().unwrap().user,
        account
    );
    assert!(
        store.guilds().await.unwrap()[0]
            .members
            .iter()
            .any(|member| member.user == bob.user.id)
    );
}

async fn a_profile_changes_in_what_is_said<S: Store>(store: &S) {
    let ann = store.sign_up(account("ann", 1)).await.unwrap();
    let update = |update| store.update_profile(ann.user.id, update);
    let named = ProfileUpdate {
        display_name: Some("Änn".into()),
        about: Some("hello".into()),
        picture: None,
    };
    update(named).await.unwrap();
    update(ProfileUpdate::default()).await.unwrap();
    let profile = store
        .profile(ann.user.id, ann.user.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (profile.user.display_name.as_deref(), profile.about.as_str()),
        (Some("Änn"), "hello")
    );
    assert_eq!(profile.user.name, "ann");
    let nobodys = ProfileUpdate {
        picture: Some(FileId(77)),
        about: Some("not stored".into()),
        ..ProfileUpdate::default()
    };
    assert_eq!(update(nobodys).await, Err(ProfileError::NoPicture));
    let none = ProfileUpdate {
        display_name: Some(String::new()),
        picture: Some(FileId(0)),
        about: None,
    };
    update(none).await.unwrap();
    let profile = store
        .profile(ann.user.id, ann.user.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&profile.user, profile.about.as_str()),
        (&ann.user, "hello")
    );
    let nobody = store
        .update_profile(UserId(u64::MAX), ProfileUpdate::default())
        .await;
    assert_eq!(nobody, Err(ProfileError::NoUser));

    // Only a picture that they uploaded for this, and all of it.
    let bob = store.sign_up(account("bob", 2)).await.unwrap();
    let picture = Some(PictureSize {
        width: 9,
        height: 9,
        thumbnail: true,
    });
    let mut files = Vec::new();
    for (uploader, channel, content) in [
        (ann.user.id, None, picture),
        (bob.user.id, None, picture),
        (ann.user.id, Some(ChannelId(1)), picture),
        (ann.user.id, None, None),
    ] {
        let new = NewFile {
            uploader,
            channel,
            name: "me.png".into(),
            bytes: 9,
            quota: FileQuota {
                unfinished: 9,
                day: 99,
                user: 99,
                total: 99,
            },
            now: 1,
        };
        let file = store.begin_file(new).await.unwrap();
        let chosen = ProfileUpdate {
            picture: Some(file),
            ..ProfileUpdate::default()
        };
        assert_eq!(
            update(chosen.clone()).await,
            Err(ProfileError::NoPicture),
            "not complete"
        );
        let content = FileContent {
            bytes: 9,
            media_type: "image/png".into(),
            picture: content,
            completed_at_ms: 2,
        };
        store.complete_file(file, content).await.unwrap();
        files.push(chosen);
    }
    for refused in files.split_off(1) {
        assert_eq!(update(refused).await, Err(ProfileError::NoPicture));
    }
    update(files[0].clone()).await.unwrap();
    let profile = store
        .profile(bob.user.id, ann.user.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(profile.user.picture, files[0].picture);
}

async fn guests_who_dont_come_back_are_forgotten<S: Store>(store: &S) {
    let (account, ..) = room(store).await;
    let guests = async |name: &str, token, seen| {
        let guest = store
            .sign_up(by_invite(guest(name, token), "g-invite"))
            .await
            .unwrap();
        store.devices_seen(vec![guest.device], seen).await.unwrap();
        guest
    };
    let old = guests("old", 2, 100).await;
    let left = guests("left", 3, 500).await;
    store.end_devices(left.user.id, Devices::All).await.unwrap();
    let just_left = guests("just left", 4, 900).await;
    store
        .end_devices(just_left.user.id, Devices::All)
        .await
        .unwrap();
    let here = guests("here", 5, 500).await;
    let forget = |limit| {
        store.forget_guests(ForgetGuests {
            seen_before: 200,
            signed_out_before: 800,
            limit,
            now: 1_000,
        })
    };
    assert_eq!(forget(1).await, Ok(1));
    assert_eq!(forget(10).await, Ok(1));
    assert_eq!(forget(10).await, Ok(0));
    let there: Vec<_> = store
        .users()
        .await
        .unwrap()
        .into_iter()
        .map(|record| record.user.id)
        .collect();
    assert_eq!(there, [account, just_left.user.id, here.user.id]);
    for gone in [old, left] {
        assert_eq!(store.account_state(gone.user.id).await, Ok(None));
        assert_eq!(store.device_user(gone.device).await, Ok(None));
    }
}

async fn who_is_deleted_leaves_only_what_they_wrote<S: Store>(store: &S) {
    let (ann, ..) = room(store).await;
    let bob = store
        .sign_up(by_invite(account("bob", 2), "g-invite"))
        .await
        .unwrap();
    let eve = store
        .sign_up(by_invite(account("eve", 3), "g-invite"))
        .await
        .unwrap()
        .user
        .id;
    for other in [ann, eve] {
        store.request_friend(bob.user.id, other, 1).await.unwrap();
        store.accept_friend(other, bob.user.id, 1).await.unwrap();
    }
    store.follow(ann, bob.user.id, 1).await.unwrap();
    let direct = store.open_direct(ann, bob.user.id, 1).await.unwrap();
    let group = store
        .open_group(bob.user.id, vec![ann, eve], None, 1)
        .await
        .unwrap();
    store
        .redeem_invite("g-owner", bob.user.id, None, 1)
        .await
        .unwrap();

    assert_eq!(store.delete_user(bob.user.id, 9).await, Ok(true));
    assert_eq!(store.delete_user(bob.user.id, 9).await, Ok(false));
    assert_eq!(store.delete_user(UserId(u64::MAX), 9).await, Ok(false));
    assert!(store.account_by_name("bob").await.unwrap().is_none());
    assert_eq!(store.device_user(bob.device).await, Ok(None));
    assert_eq!(store.profile(ann, bob.user.id).await, Ok(None));
    assert_eq!(store.relations().await, Ok(vec![]));
    let guild = store.guilds().await.unwrap().remove(0);
    assert_eq!(guild.info.owner_id, None);
    assert!(
        guild
            .members
            .iter()
            .all(|member| member.user != bob.user.id)
    );
    let left = store.conversations().await.unwrap();
    assert_eq!(
        (left[0].id, left[0].members.as_slice()),
        (direct.id, &[ann][..])
    );
    assert_eq!(
        (left[1].id, left[1].members.as_slice()),
        (group.id, &[ann, eve][..])
    );
    assert_eq!(left[1].owner, Some(ann));
    // The name is free.
    store.sign_up(account("bob", 4)).await.unwrap();
}

async fn what_a_deleted_user_had_under_way_is_not_stored<S: Store>(store: &S) {
    let (ann, channel, _) = room(store).await;
    let gone = store.sign_up(account("gone", 2)).await.unwrap().user.id;
    let message = NewMessage::new(channel, ann, "hello", "n", 5);
    let message = store.post_message(message).await.unwrap().message.id;
    let before = store.guilds().await.unwrap();
    store.delete_user(gone, 9).await.unwrap();
    for code in ["g-invite", "g-owner"] {
        assert_eq!(
            store.redeem_invite(code, gone, None, 10).await,
            Err(InviteError::NoUser)
        );
    }
    assert_eq!(store.guilds().await.unwrap(), before);
    let post = NewMessage::new(channel, gone, "late", "n", 10);
    assert_eq!(store.post_message(post).await, Err(PostError::NoUser));
    let reaction = NewReaction {
        channel,
        message,
        user: gone,
        emoji: "👍".into(),
        max_kinds: 20,
        now: 10,
    };
    assert_eq!(
        store.add_reaction(reaction).await,
        Err(MessageError::NoUser)
    );
    let file = NewFile {
        uploader: gone,
        channel: Some(channel),
        name: "cat.png".into(),
        bytes: 1,
        quota: FileQuota {
            unfinished: 9,
            day: 9,
            user: 9,
            total: 9,
        },
        now: 10,
    };
    assert_eq!(store.begin_file(file).await, Err(BeginFileError::NoUser));
    let page = store.history(ann, channel, HistoryAt::Newest, 9).await;
    let messages = page.unwrap().messages;
    assert_eq!(messages.len(), 1);
    assert!(messages[0].reactions.is_empty());
}

async fn administrators_find_users<S: Store>(store: &S) {
    let ann = store
        .create_account("Ann".into(), "$hash".into(), 7)
        .await
        .unwrap();
    let taken = store.create_account("ANN".into(), "$hash".into(), 7).await;
    assert_eq!(taken, Err(SignUpError::NameTaken));
    let joanna = store.sign_up(guest("Joanna", 1)).await.unwrap();
    store.sign_up(account("bob", 2)).await.unwrap();
    let find = async |query: &str, after, limit| {
        let found = store.list_users(query, after, limit).await.unwrap();
        found
            .into_iter()
            .map(|state| (state.user.id, state.devices))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        find("aNn", None, 9).await,
        [(ann.id, 0), (joanna.user.id, 1)]
    );
    assert_eq!(find("ann", Some(ann.id), 9).await, [(joanna.user.id, 1)]);
    assert_eq!(find("ann", None, 1).await, [(ann.id, 0)]);
    assert_eq!(find("", None, 9).await.len(), 3);
    assert_eq!(find("%", None, 9).await, []);
    let state = store.account_state(ann.id).await.unwrap().unwrap();
    assert_eq!(
        (state.created_at_ms, state.user, state.is_admin),
        (7, ann, false)
    );
}

async fn the_first_owner_administers_the_server<S: Store>(store: &S) {
    store.default_guild(new_guild("g")).await.unwrap();
    let sign_up = async |name: &str, token, code: &str| {
        let user = store
            .sign_up(by_invite(account(name, token), code))
            .await
            .unwrap()
            .user
            .id;
        store.account_state(user).await.unwrap().unwrap().is_admin
    };
    assert!(!sign_up("ann", 1, "g-invite").await);
    assert!(sign_up("bob", 2, "g-owner").await);
}

async fn one_key_signs<S: Store>(store: &S) {
    let key = |kid: &str, created_at_ms| SigningKey {
        kid: kid.into(),
        secret: [7; 32],
        created_at_ms,
        retired_at_ms: None,
    };
    let kids = |keys: Vec<SigningKey>| {
        keys.into_iter()
            .map(|key| (key.kid, key.retired_at_ms))
            .collect::<Vec<_>>()
    };
    let first = store.signing_keys(key("a", 1), 0).await.unwrap();
    assert_eq!(first, [key("a", 1)]);
    assert!(!format!("{first:?}").contains('7'));
    assert_eq!(store.signing_keys(key("b", 2), 0).await.unwrap(), first);
    let rotated = store
        .rotate_signing_keys(key("b", 10), false)
        .await
        .unwrap();
    assert_eq!(kids(rotated), [("b".into(), None), ("a".into(), Some(10))]);
    let rotated = store
        .rotate_signing_keys(key("c", 20), false)
        .await
        .unwrap();
    assert_eq!(
        kids(rotated),
        [
            ("c".into(), None),
            ("b".into(), Some(20)),
            ("a".into(), Some(10))
        ]
    );
    let later = store.signing_keys(key("d", 30), 11).await.unwrap();
    assert_eq!(kids(later), [("c".into(), None), ("b".into(), Some(20))]);
    let at_once = store.rotate_signing_keys(key("d", 40), true).await.unwrap();
    assert_eq!(kids(at_once), [("d".into(), None)]);
}

async fn one_device_too_many_signs_out_the_least_recently_seen<S: Store>(store: &S) {
    let ann = store.sign_up(account("ann", 0)).await.unwrap();
    let bob = store.sign_up(account("bob", 255)).await.unwrap();
    let mut devices = vec![ann.device];
    for token in 1..20 {
        devices.push(store.add_device(ann.user.id, device(token)).await.unwrap());
    }
    // The first is the oldest, but was here since.
    store.devices_seen(vec![ann.device], 50).await.unwrap();
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
