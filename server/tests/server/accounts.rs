//! Invites, accounts, devices.

use voxhall_protocol::{
    SecretText, UserId,
    control::{
        CreateInvite, Event, FailureKind, Guest, InspectInvite, Login, Logout, RedeemInvite,
        Refresh, Register, UpdateAccount, UpgradeAccount, UserKind,
    },
    limits::{PROTOCOL_MAX, PROTOCOL_MIN},
};

use crate::{
    client::{Client, greet, hello},
    fixture::Server,
};

fn guest(name: &str, code: &str) -> Guest {
    Guest {
        name: name.into(),
        invite: code.into(),
        device: "test".into(),
    }
}

fn register(name: &str, code: Option<String>) -> Register {
    Register {
        name: name.into(),
        password: "correct horse".into(),
        invite: code,
        device: "test".into(),
    }
}

fn login(name: &str, password: &str) -> Login {
    Login {
        name: name.into(),
        password: password.into(),
        device: "test".into(),
    }
}

#[tokio::test]
async fn the_older_side_is_told_to_update() {
    let server = Server::start();
    let mut client = Client::connect(&server).await;
    let newer = client
        .call(&hello(PROTOCOL_MAX + 1, PROTOCOL_MAX + 1))
        .await
        .unwrap_err();
    assert_eq!(newer.kind(), FailureKind::VersionMismatch);
    assert!(
        newer.message.contains("server is too old"),
        "{}",
        newer.message
    );
    let older = client.call(&hello(0, PROTOCOL_MIN - 1)).await.unwrap_err();
    assert!(
        older.message.contains("app is too old"),
        "{}",
        older.message
    );
    assert_eq!(
        client.refused(&login("a", "b")).await,
        FailureKind::OutOfOrder
    );
    assert_eq!(greet(&mut client).await.protocol, PROTOCOL_MAX);
}

#[tokio::test]
async fn each_bad_invite_has_its_own_answer() {
    let server = Server::start();
    let (mut host, ready) = Client::guest(&server, "host").await;
    let create = |expires_in_s, max_uses| CreateInvite {
        guild_id: ready.guilds[0].id,
        expires_in_s,
        max_uses,
    };
    let short = host.call(&create(Some(1), None)).await.unwrap();
    let once = host.call(&create(None, Some(1))).await.unwrap();
    assert!(once.link.contains(&once.code));
    assert_eq!(
        host.refused(&create(Some(0), None)).await,
        FailureKind::InvalidParams
    );
    assert_eq!(
        host.refused(&create(None, Some(0))).await,
        FailureKind::InvalidParams
    );

    let mut client = Client::greeted(&server).await;
    assert_eq!(
        client.refused(&guest("ann", "no-such-code")).await,
        FailureKind::InviteUnknown
    );
    client.call(&guest("ann", &once.code)).await.unwrap();
    assert_eq!(
        client.refused(&guest("bob", &once.code)).await,
        FailureKind::InviteUsedUp
    );
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(
        client.refused(&guest("bob", &short.code)).await,
        FailureKind::InviteExpired
    );
    let inspect = InspectInvite {
        code: server.invite_code(),
    };
    let preview = client.call(&inspect).await.unwrap();
    assert_eq!((preview.members, preview.online), (2, 1));
    assert!(!preview.makes_owner);
    // Everyone online saw the new member come.
    host.event(
        |event| matches!(event, Event::MemberJoined { member, .. } if member.user.name == "ann"),
    )
    .await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let server = Server::start();
    let mut client = Client::greeted(&server).await;
    let account = client
        .call(&register("Ann", Some(server.invite_code())))
        .await
        .unwrap();
    assert_eq!(account.user.kind, UserKind::Account);
    let wrong = client.call(&login("Ann", "wrong horse")).await.unwrap_err();
    let unknown = client
        .call(&login("Nobody", "wrong horse"))
        .await
        .unwrap_err();
    let unnameable = client.call(&login("", "wrong horse")).await.unwrap_err();
    assert_eq!(wrong.kind(), FailureKind::WrongPassword);
    assert_eq!(wrong, unknown);
    assert_eq!(wrong, unnameable);
    let again = client.call(&login("ANN", "correct horse")).await.unwrap();
    assert_eq!(again.user, account.user);
    assert_ne!(again.device_id, account.device_id);
    assert_eq!(
        client
            .refused(&register("ann", Some(server.invite_code())))
            .await,
        FailureKind::NameTaken
    );
    assert_eq!(
        client
            .refused(&Register {
                password: "short".into(),
                ..register("eve", Some(server.invite_code()))
            })
            .await,
        FailureKind::InvalidParams
    );
}

#[tokio::test]
async fn who_may_register_is_the_owners_choice() {
    let server = Server::start();
    let mut client = Client::greeted(&server).await;
    assert_eq!(
        client.refused(&register("ann", None)).await,
        FailureKind::RegistrationClosed
    );

    let open = Server::start_with(&["--registration", "open"]);
    let mut client = Client::greeted(&open).await;
    let ann = client.call(&register("ann", None)).await.unwrap();
    let ready = client.begin(&ann.access_token).await.unwrap();
    assert_eq!(ready.guilds.len(), 1);

    let closed = Server::start_with(&["--registration", "closed"]);
    let mut client = Client::greeted(&closed).await;
    let code = Some(closed.invite_code());
    assert_eq!(
        client.refused(&register("ann", code)).await,
        FailureKind::RegistrationClosed
    );
    // But for the owner, who has no other way in.
    let owner = closed.link("owner").code;
    client.call(&register("ann", owner)).await.unwrap();
}

#[tokio::test]
async fn the_owner_link_works_once() {
    let mut server = Server::start();
    let owner_code = server.link("owner").code.unwrap();
    let (mut watcher, _) = Client::guest(&server, "watcher").await;
    let mut client = Client::greeted(&server).await;
    let owner = client
        .call(&register("owner", Some(owner_code.clone())))
        .await
        .unwrap();
    let changed = watcher
        .event(|event| matches!(event, Event::GuildUpdated { .. }))
        .await;
    assert!(
        matches!(changed, Event::GuildUpdated { guild } if guild.owner_id == Some(owner.user.id))
    );
    let ready = client.begin(&owner.access_token).await.unwrap();
    assert_eq!(ready.guilds[0].owner_id, Some(owner.user.id));
    assert!(ready.is_admin);

    let redeem = RedeemInvite {
        code: owner_code.clone(),
    };
    assert_eq!(watcher.refused(&redeem).await, FailureKind::InviteUsedUp);
    let mut second = Client::greeted(&server).await;
    assert_eq!(
        second.refused(&guest("thief", &owner_code)).await,
        FailureKind::InviteUsedUp
    );
    server.terminate();
    server.start_again();
    assert!(
        server.said["owner"].is_null(),
        "a used link is not shown again"
    );
}

#[tokio::test]
async fn an_account_joins_a_guild_later_and_hears_of_it() {
    let server = Server::start_with(&["--registration", "open"]);
    // A member already: nothing changes.
    let mut client = Client::greeted(&server).await;
    let ann = client.call(&register("ann", None)).await.unwrap();
    client.begin(&ann.access_token).await.unwrap();
    let redeem = RedeemInvite {
        code: server.invite_code(),
    };
    client.call(&redeem).await.unwrap();
    let owner = RedeemInvite {
        code: server.link("owner").code.unwrap(),
    };
    client.call(&owner).await.unwrap();
    client
        .event(|event| matches!(event, Event::GuildUpdated { guild } if guild.owner_id == Some(ann.user.id)))
        .await;
}

#[tokio::test]
async fn a_device_stays_signed_in_until_it_signs_out() {
    let server = Server::start();
    let mut client = Client::greeted(&server).await;
    let first = client
        .call(&register("ann", Some(server.invite_code())))
        .await
        .unwrap();
    let refresh = Refresh {
        refresh_token: first.refresh_token.clone(),
    };
    let again = client.call(&refresh).await.unwrap();
    assert_eq!(again.device_id, first.device_id);
    client.begin(&again.access_token).await.unwrap();
    let mut second = Client::greeted(&server).await;
    second.begin(&again.access_token).await.unwrap();
    // Until it is gone: spent tokens end a device too.
    let refresh = Refresh {
        refresh_token: again.refresh_token.clone(),
    };
    client.call(&Logout {}).await.unwrap();
    for client in [&mut client, &mut second] {
        let (event, _) = client.until_closed().await;
        assert!(matches!(event, Some(Event::SessionClosed { .. })));
    }

    let mut client = Client::greeted(&server).await;
    assert_eq!(client.refused(&refresh).await, FailureKind::SignedOut);
    // The access token has minutes to live, and is worth nothing.
    let refused = client.begin(&again.access_token).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::SignedOut);
    let forged = SecretText::from("eyJhbGciOiJub25lIn0.e30.");
    let refused = client.begin(&forged).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Unauthorized);
}

#[tokio::test]
async fn trying_again_and_again_is_slowed_down() {
    let server = Server::start_with(&["--sign-ins-per-minute", "5"]);
    let mut client = Client::greeted(&server).await;
    for _ in 0..5 {
        assert_eq!(
            client.refused(&guest("ann", "no-such-code")).await,
            FailureKind::InviteUnknown
        );
    }
    let limited = client
        .call(&guest("ann", "no-such-code"))
        .await
        .unwrap_err();
    assert_eq!(limited.kind(), FailureKind::RateLimited);
    let wait = limited.data.retry_after_ms.unwrap();
    assert!((1..=12_000).contains(&wait), "{wait}");
    // A new connection is no way around.
    let mut client = Client::greeted(&server).await;
    assert_eq!(
        client.refused(&login("ann", "whatever")).await,
        FailureKind::RateLimited
    );
}

#[tokio::test]
async fn guessing_one_name_is_slowed_down_whoever_has_it() {
    let server = Server::start_with(&["--sign-ins-per-minute", "1000"]);
    for name in ["Ann", "nobody"] {
        let mut client = Client::greeted(&server).await;
        let invite = Some(server.invite_code());
        if name == "Ann" {
            client.call(&register("ann", invite)).await.unwrap();
            // The right one is no guess.
            for _ in 0..3 {
                client.call(&login(name, "correct horse")).await.unwrap();
            }
        }
        let mut wrong = 0;
        while client.refused(&login(name, "wrong horse")).await == FailureKind::WrongPassword {
            wrong += 1;
            assert!(wrong < 30, "as many guesses as one likes");
        }
        assert!(wrong >= 20, "{wrong}");
    }
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let mut server = Server::start();
    let mut acknowledged: Vec<(String, UserId)> = Vec::new();
    for round in 0..3 {
        let mut client = Client::greeted(&server).await;
        for n in 0..3 {
            let name = format!("user {round} {n}");
            let account = client
                .call(&register(&name, Some(server.invite_code())))
                .await
                .unwrap();
            acknowledged.push((name, account.user.id));
        }
        // While another is on its way.
        client
            .send(&register("late", Some(server.invite_code())))
            .await;
        server.kill();
        server.start_again();
    }
    let mut client = Client::greeted(&server).await;
    let mut credentials = Vec::new();
    for (name, id) in &acknowledged {
        let account = client.call(&login(name, "correct horse")).await.unwrap();
        assert_eq!(account.user.id, *id);
        credentials.push(account);
    }
    let ready = client.begin(&credentials[0].access_token).await.unwrap();
    assert!(ready.guilds[0].members.len() >= acknowledged.len());
}

#[tokio::test]
async fn a_guest_becomes_an_account_and_everyone_hears_of_it() {
    let server = Server::start();
    let mut client = Client::greeted(&server).await;
    client
        .call(&register("Taken", Some(server.invite_code())))
        .await
        .unwrap();
    let (mut watcher, _) = Client::guest(&server, "watcher").await;
    let (mut guest, ready) = Client::guest(&server, "Bob").await;
    let upgrade = |name: Option<&str>, password: &str| UpgradeAccount {
        name: name.map(str::to_owned),
        password: password.into(),
    };
    assert_eq!(
        guest
            .refused(&upgrade(Some("taken"), "correct horse"))
            .await,
        FailureKind::NameTaken
    );
    assert_eq!(
        guest.refused(&upgrade(None, "short")).await,
        FailureKind::InvalidParams
    );
    // Asked again, as after a lost answer.
    for _ in 0..2 {
        let account = guest.call(&upgrade(None, "correct horse")).await.unwrap();
        assert_eq!((account.id, account.kind), (ready.me.id, UserKind::Account));
    }
    assert_eq!(
        guest.refused(&upgrade(None, "another horse")).await,
        FailureKind::Conflict
    );
    let told = watcher
        .event(|event| matches!(event, Event::UserUpdated { .. }))
        .await;
    assert!(
        matches!(told, Event::UserUpdated { user } if user.id == ready.me.id && user.kind == UserKind::Account)
    );
    let again = client.call(&login("bob", "correct horse")).await.unwrap();
    assert_eq!(again.user.id, ready.me.id);
}

#[tokio::test]
async fn guests_come_in_where_the_owner_lets_them() {
    let server = Server::start_with(&["--guests", "false"]);
    let mut client = Client::connect(&server).await;
    assert!(!greet(&mut client).await.guests);
    let refused = client.refused(&guest("ann", &server.invite_code())).await;
    assert_eq!(refused, FailureKind::RegistrationClosed);
    let invite = Some(server.invite_code());
    client.call(&register("ann", invite)).await.unwrap();
}

#[tokio::test]
async fn a_profile_is_what_its_owner_says() {
    let server = Server::start();
    let (mut watcher, _) = Client::guest(&server, "watcher").await;
    let (mut ann, ready) = Client::guest(&server, "ann").await;
    let update = |display_name: Option<&str>, about: Option<&str>| UpdateAccount {
        display_name: display_name.map(str::to_owned),
        about: about.map(str::to_owned),
        picture: None,
    };
    let profile = ann
        .call(&update(Some(" Änn "), Some("hello")))
        .await
        .unwrap();
    assert_eq!(
        (profile.user.display_name.as_deref(), profile.about.as_str()),
        (Some("Änn"), "hello")
    );
    let told = watcher
        .event(|event| matches!(event, Event::UserUpdated { .. }))
        .await;
    assert!(matches!(told, Event::UserUpdated { user } if user == profile.user));
    assert_eq!(
        ann.refused(&update(Some("a\u{202e}b"), None)).await,
        FailureKind::InvalidParams
    );
    assert_eq!(
        ann.refused(&update(None, Some(&"x".repeat(501)))).await,
        FailureKind::InvalidParams
    );
    // A picture that is somebody else's, or none at all.
    let picture = UpdateAccount {
        picture: Some(voxhall_protocol::FileId(1)),
        ..update(None, None)
    };
    assert_eq!(ann.refused(&picture).await, FailureKind::NotFound);
    let profile = ann.call(&update(Some(""), None)).await.unwrap();
    assert_eq!((profile.user, profile.about.as_str()), (ready.me, "hello"));
}

#[tokio::test]
async fn guests_who_dont_come_back_are_forgotten() {
    let mut server = Server::start_with(&["--guest-retention", "1 s"]);
    let mut client = Client::greeted(&server).await;
    let guest = client
        .call(&guest("ann", &server.invite_code()))
        .await
        .unwrap();
    let account = client
        .call(&register("bob", Some(server.invite_code())))
        .await
        .unwrap();
    server.terminate();
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    server.start_again();
    let mut client = Client::greeted(&server).await;
    let inspect = InspectInvite {
        code: server.invite_code(),
    };
    while client.call(&inspect).await.unwrap().members > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let refresh = |token: &SecretText| Refresh {
        refresh_token: token.clone(),
    };
    assert_eq!(
        client.refused(&refresh(&guest.refresh_token)).await,
        FailureKind::SignedOut
    );
    let refreshed = client.call(&refresh(&account.refresh_token)).await.unwrap();
    let ready = client.begin(&refreshed.access_token).await.unwrap();
    let members: Vec<_> = ready.guilds[0]
        .members
        .iter()
        .map(|member| member.user.id)
        .collect();
    assert_eq!(members, [account.user.id]);
}
