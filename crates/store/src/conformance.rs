//! What every backend must do, as tests. A backend's own tests call [`run_all`] with a maker of empty stores.

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, MessageId, UserId,
    control::{ChannelKind, UserKind},
};

use crate::*;

/// Runs the whole suite, each test on a fresh store.
///
/// # Panics
/// When the backend fails a test.
pub async fn run_all<S: Store>(fresh: impl Fn() -> S) {
    settings_are_written_once(&fresh()).await;
    the_default_guild_is_made_once(&fresh()).await;
    account_names_are_unique_whatever_their_case(&fresh()).await;
    devices_come_and_go(&fresh()).await;
    one_device_too_many_signs_out_the_least_recently_seen(&fresh()).await;
    an_invite_is_used_as_often_as_it_says(&fresh()).await;
    the_owner_invite_works_once(&fresh()).await;
    a_sign_up_that_fails_leaves_nothing(&fresh()).await;
    only_members_make_invites(&fresh()).await;
    open_invites_of_a_creator_are_few(&fresh()).await;
    a_message_is_stored_once(&fresh()).await;
    history_is_paged(&fresh()).await;
    only_members_read_and_write(&fresh()).await;
}

async fn settings_are_written_once<S: Store>(store: &S) {
    assert_eq!(store.setting_or_insert("k", vec![1]).await, Ok(vec![1]));
    assert_eq!(store.setting_or_insert("k", vec![2]).await, Ok(vec![1]));
}

async fn the_default_guild_is_made_once<S: Store>(store: &S) {
    let first = store.default_guild(new_guild("one")).await.unwrap();
    assert_eq!(first.invite_code, "one-invite");
    assert_eq!(first.owner_code.as_deref(), Some("one-owner"));
    assert_eq!(store.default_guild(new_guild("two")).await.unwrap(), first);
    let guilds = store.guilds().await.unwrap();
    assert_eq!(guilds.len(), 1);
    assert_eq!(guilds[0].info.name, "one");
    let channels: Vec<_> = guilds[0]
        .channels
        .iter()
        .map(|c| (c.name.as_str(), c.kind, c.bitrate_bps))
        .collect();
    assert_eq!(
        channels,
        [
            ("general", ChannelKind::Text, 0),
            ("lounge", ChannelKind::Voice, 64_000)
        ]
    );
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

async fn an_invite_is_used_as_often_as_it_says<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let host = store
        .sign_up(by_invite(account("host", 1), "g-invite"))
        .await
        .unwrap();
    let invite = NewInvite {
        code: "twice".into(),
        guild,
        creator: host.user.id,
        expires_at: Some(1_000),
        max_uses: Some(2),
        now: 0,
    };
    store.create_invite(invite).await.unwrap();

    let inspected = store.inspect_invite("twice", 999).await.unwrap();
    assert_eq!(
        (
            inspected.guild,
            inspected.guild_name.as_str(),
            inspected.members
        ),
        (guild, "g", 1)
    );
    assert_eq!(
        store.inspect_invite("twice", 1_000).await,
        Err(InviteError::Expired)
    );
    assert_eq!(
        store.inspect_invite("Twice", 0).await,
        Err(InviteError::Unknown)
    );

    let first = store
        .sign_up(by_invite(guest("a", 2), "twice"))
        .await
        .unwrap();
    assert_eq!(
        first.joined,
        Some(Joined {
            guild,
            new_member: true,
            became_owner: false
        })
    );
    // A member redeems again without using anything up.
    for now in [0, 2_000] {
        let again = store.redeem_invite("twice", first.user.id, now).await;
        assert!(!again.unwrap().new_member);
    }

    // Two at once want the last use: one gets it.
    let (x, y) = tokio::join!(
        store.sign_up(by_invite(guest("x", 3), "twice")),
        store.sign_up(by_invite(guest("y", 4), "twice"))
    );
    let refused = SignUpError::Invite(InviteError::UsedUp);
    assert!(
        (x.is_ok() && y == Err(refused.clone())) || (y.is_ok() && x == Err(refused)),
        "{x:?} {y:?}"
    );
    assert_eq!(store.guilds().await.unwrap()[0].members.len(), 3);
    assert_eq!(
        store.inspect_invite("twice", 0).await,
        Err(InviteError::UsedUp)
    );
}

async fn the_owner_invite_works_once<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    assert!(
        store
            .inspect_invite("g-owner", 0)
            .await
            .unwrap()
            .makes_owner
    );
    let ann = store
        .sign_up(by_invite(guest("ann", 1), "g-invite"))
        .await
        .unwrap();
    // It makes an owner of someone who is a member already.
    let joined = store
        .redeem_invite("g-owner", ann.user.id, 0)
        .await
        .unwrap();
    assert_eq!(
        joined,
        Joined {
            guild,
            new_member: false,
            became_owner: true
        }
    );
    let again = store.redeem_invite("g-owner", ann.user.id, 0).await;
    assert!(!again.unwrap().became_owner);
    let eve = store
        .sign_up(by_invite(guest("eve", 2), "g-invite"))
        .await
        .unwrap();
    assert_eq!(
        store.redeem_invite("g-owner", eve.user.id, 0).await,
        Err(InviteError::UsedUp)
    );
    let default = store.default_guild(new_guild("other")).await.unwrap();
    assert_eq!(default.owner_code, None);
    let guilds = store.guilds().await.unwrap();
    assert_eq!(guilds[0].info.owner_id, Some(ann.user.id));
    let members: Vec<_> = guilds[0].members.iter().map(|m| m.user).collect();
    assert_eq!(members, [ann.user.id, eve.user.id]);
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

async fn only_members_make_invites<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let stranger = store.sign_up(account("ann", 1)).await.unwrap();
    let invite = |guild| NewInvite {
        code: "code".into(),
        guild,
        creator: stranger.user.id,
        expires_at: None,
        max_uses: None,
        now: 0,
    };
    assert_eq!(
        store.create_invite(invite(guild)).await,
        Err(CreateInviteError::NotAMember)
    );
    assert_eq!(
        store.create_invite(invite(GuildId(u64::MAX))).await,
        Err(CreateInviteError::NotAMember)
    );
}

async fn open_invites_of_a_creator_are_few<S: Store>(store: &S) {
    let guild = store.default_guild(new_guild("g")).await.unwrap().id;
    let member = async |name: &str, token| {
        let new = by_invite(guest(name, token), "g-invite");
        store.sign_up(new).await.unwrap().user.id
    };
    let (ann, bob) = (member("ann", 1).await, member("bob", 2).await);
    let invite = |code: String, creator, now, expires_at| {
        store.create_invite(NewInvite {
            code,
            guild,
            creator,
            expires_at,
            max_uses: None,
            now,
        })
    };
    for n in 0..MAX_OPEN_INVITES {
        let expires_at = (n > 0).then(|| 1_000 + i64::from(n));
        invite(format!("code{n}"), ann, 0, expires_at)
            .await
            .unwrap();
    }
    let refused = CreateInviteError::TooMany {
        next_expires_at: Some(1_001),
    };
    assert_eq!(invite("more".into(), ann, 0, None).await, Err(refused));
    invite("bobs".into(), bob, 0, None).await.unwrap();
    // One has expired, and is still known as such; later it is forgotten.
    invite("more".into(), ann, 1_001, None).await.unwrap();
    let inspect = |code| store.inspect_invite(code, 1_001);
    assert_eq!(inspect("code1").await, Err(InviteError::Expired));
    let later = 1_001 + INVITE_KEPT_MS;
    invite("later".into(), ann, later, None).await.unwrap();
    assert_eq!(inspect("code1").await, Err(InviteError::Unknown));
    assert!(inspect("code0").await.is_ok() && inspect("g-invite").await.is_ok());
}

async fn a_message_is_stored_once<S: Store>(store: &S) {
    let (ann, text, _) = room(store).await;
    let post = |text: &str, nonce: &str| {
        store.post_message(NewMessage {
            channel: text_channel(text),
            author: ann,
            text: "hello".into(),
            nonce: nonce.into(),
            now: 5,
        })
    };
    fn text_channel(id: &str) -> ChannelId {
        ChannelId(id.parse().unwrap())
    }
    let channel = text.0.to_string();
    let (first, twin) = tokio::join!(post(&channel, "n1"), post(&channel, "n1"));
    let (first, twin) = (first.unwrap(), twin.unwrap());
    assert!(first.is_new && !twin.is_new);
    assert_eq!(first.message, twin.message);
    assert_eq!(first.message.sent_at_ms, 5);
    let other = store.post_message(NewMessage {
        channel: text,
        author: ann,
        text: "something else".into(),
        nonce: "n1".into(),
        now: 6,
    });
    assert_eq!(other.await.map(|_| ()), Err(PostError::NonceReused));
    let second = post(&channel, "n2").await.unwrap();
    assert!(second.message.id > first.message.id);
    let page = store.message_page(ann, text, None, 50).await.unwrap();
    assert_eq!(page.messages, [first.message, second.message]);
}

async fn history_is_paged<S: Store>(store: &S) {
    let (ann, channel, _) = room(store).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let new = NewMessage {
            channel,
            author: ann,
            text: format!("{n}"),
            nonce: format!("{n}"),
            now: n,
        };
        ids.push(store.post_message(new).await.unwrap().message.id);
    }
    let page = async |before: Option<MessageId>| {
        let page = store.message_page(ann, channel, before, 2).await.unwrap();
        let ids: Vec<_> = page.messages.iter().map(|m| m.id).collect();
        (ids, page.more)
    };
    assert_eq!(page(None).await, (ids[3..].to_vec(), true));
    assert_eq!(page(Some(ids[3])).await, (ids[1..3].to_vec(), true));
    assert_eq!(page(Some(ids[1])).await, (ids[..1].to_vec(), false));
    assert_eq!(page(Some(ids[0])).await, (vec![], false));
    assert_eq!(page(Some(MessageId(u64::MAX))).await, (vec![], false));
}

async fn only_members_read_and_write<S: Store>(store: &S) {
    let (ann, text, voice) = room(store).await;
    let stranger = store.sign_up(guest("eve", 9)).await.unwrap().user.id;
    let post = |author, channel| {
        let new = NewMessage {
            channel,
            author,
            text: "x".into(),
            nonce: "n".into(),
            now: 0,
        };
        async { store.post_message(new).await.map(|_| ()) }
    };
    assert_eq!(post(stranger, text).await, Err(PostError::NoChannel));
    assert_eq!(post(ann, voice).await, Err(PostError::NotText));
    assert_eq!(
        post(ann, ChannelId(u64::MAX)).await,
        Err(PostError::NoChannel)
    );
    assert_eq!(
        store.message_page(stranger, text, None, 5).await,
        Err(PostError::NoChannel)
    );
}

/// A member, a text channel and a voice channel.
async fn room<S: Store>(store: &S) -> (UserId, ChannelId, ChannelId) {
    store.default_guild(new_guild("g")).await.unwrap();
    let ann = store
        .sign_up(by_invite(account("ann", 1), "g-invite"))
        .await
        .unwrap();
    let channels = store.guilds().await.unwrap().remove(0).channels;
    (ann.user.id, channels[0].id, channels[1].id)
}

pub(crate) fn new_guild(name: &str) -> NewGuild {
    let channel = |name: &str, kind, bitrate_bps| NewChannel {
        name: name.into(),
        kind,
        bitrate_bps,
    };
    NewGuild {
        name: name.into(),
        channels: vec![
            channel("general", ChannelKind::Text, 0),
            channel("lounge", ChannelKind::Voice, 64_000),
        ],
        invite_code: format!("{name}-invite"),
        owner_code: format!("{name}-owner"),
        now: 1,
    }
}

fn device(token: u8) -> NewDevice {
    NewDevice {
        token_sha256: [token; 32],
        label: "laptop".into(),
        now: 1,
    }
}

pub(crate) fn guest(name: &str, token: u8) -> SignUp {
    SignUp {
        name: name.into(),
        kind: NewUserKind::Guest,
        device: device(token),
        joins: FirstGuild::None,
        now: 1,
    }
}

fn account(name: &str, token: u8) -> SignUp {
    SignUp {
        kind: NewUserKind::Account {
            password_hash: "$hash".into(),
        },
        ..guest(name, token)
    }
}

pub(crate) fn by_invite(sign_up: SignUp, code: &str) -> SignUp {
    SignUp {
        joins: FirstGuild::Invite(code.into()),
        ..sign_up
    }
}
