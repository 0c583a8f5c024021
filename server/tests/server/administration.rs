//! Administrators: by command and in the app, and nobody else.
#![cfg(unix)]

use std::path::Path;

use serde_json::Value;
use voxhall_protocol::control::{
    AdminListUsers, AdminStats, AdminUpdateUser, Begin, Event, FailureKind, Login, Register,
};

use crate::{
    client::Client,
    fixture::{Server, run},
};

#[tokio::test]
async fn accounts_are_made_found_and_closed() {
    let server = Server::start();
    let made = said(&server, &["users", "create", "Ann"]);
    let password = made.rsplit(' ').next().unwrap().trim().to_owned();
    let mut ann = Client::greeted(&server).await;
    let first = ann.call(&login("ann", &password)).await.unwrap();
    ann.begin(&first.access_token).await.unwrap();
    let shown = json(&server, &["users", "show", "ANN"]);
    assert_eq!(
        (&shown["online"], &shown["devices"], &shown["is_admin"]),
        (&true.into(), &1.into(), &false.into())
    );
    let table = said(&server, &["users", "find", "nn"]);
    assert!(table.contains("Ann") && table.contains("online"), "{table}");

    // Suspended, the app is sent away and does not come back.
    assert_eq!(
        json(&server, &["users", "suspend", "ann"])["suspended"],
        true
    );
    let (event, _) = ann.until_closed().await;
    assert!(
        matches!(event, Some(Event::SessionClosed { ref reason, .. }) if reason.contains("suspended")),
        "{event:?}"
    );
    let mut again = Client::greeted(&server).await;
    let refused = again.call(&login("ann", &password)).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Suspended, "{refused:?}");
    json(&server, &["users", "unsuspend", "ann"]);
    let second = again.call(&login("ann", &password)).await.unwrap();
    again.begin(&second.access_token).await.unwrap();

    // A new password ends what the old one began.
    let new = said(&server, &["users", "reset-password", "ann"])
        .trim()
        .to_owned();
    let (event, _) = again.until_closed().await;
    assert!(
        matches!(event, Some(Event::SessionClosed { .. })),
        "{event:?}"
    );
    let mut third = Client::greeted(&server).await;
    assert_eq!(
        third.refused(&login("ann", &password)).await,
        FailureKind::WrongPassword
    );
    let credentials = third.call(&login("ann", &new)).await.unwrap();
    third.begin(&credentials.access_token).await.unwrap();
    json(&server, &["users", "sign-out", "ann"]);
    third.until_closed().await;

    assert!(refused_words(&server, &["users", "delete", "ann"]).contains("--yes"));
    json(&server, &["users", "delete", "ann", "--yes"]);
    let mut gone = Client::greeted(&server).await;
    assert_eq!(
        gone.refused(&login("ann", &new)).await,
        FailureKind::WrongPassword
    );
    let words = refused_words(&server, &["users", "show", "ann"]);
    assert!(
        words.contains("no user \"ann\"") && words.contains("users list"),
        "{words}"
    );
}

#[tokio::test]
async fn only_administrators_administer_in_the_app() {
    let server = Server::start_with(&["--registration", "open"]);
    let mut ann = Client::greeted(&server).await;
    assert_eq!(ann.refused(&AdminStats {}).await, FailureKind::OutOfOrder);
    let credentials = ann.call(&register("ann")).await.unwrap();
    let ready = ann.begin(&credentials.access_token).await.unwrap();
    assert!(!ready.is_admin);
    assert_eq!(ann.refused(&AdminStats {}).await, FailureKind::Forbidden);
    assert_eq!(
        ann.refused(&AdminListUsers::default()).await,
        FailureKind::Forbidden
    );

    json(&server, &["users", "make-admin", "ann"]);
    assert_eq!(ann.call(&AdminStats {}).await.unwrap().users, 1);
    let page = ann.call(&AdminListUsers::default()).await.unwrap();
    assert_eq!((page.users.len(), page.more), (1, false));
    let oneself = AdminUpdateUser {
        user_id: ready.me.id,
        suspended: None,
        is_admin: Some(false),
    };
    assert_eq!(ann.refused(&oneself).await, FailureKind::InvalidParams);
    json(&server, &["users", "revoke-admin", "ann"]);
    assert_eq!(ann.refused(&AdminStats {}).await, FailureKind::Forbidden);

    let (_guest, _) = Client::guest(&server, "bob").await;
    let words = refused_words(&server, &["users", "make-admin", "bob"]);
    assert!(words.contains("guest"), "{words}");
}

#[tokio::test]
async fn guilds_invites_and_roles() {
    let server = Server::start_with(&["--registration", "open", "--server-name", "Hall"]);
    let mut ann = Client::greeted(&server).await;
    let credentials = ann.call(&register("ann")).await.unwrap();
    ann.begin(&credentials.access_token).await.unwrap();
    let guild = json(&server, &["guilds", "show", "hall"]);
    assert_eq!(
        (&guild["name"], &guild["members"], &guild["owner"]),
        (&"Hall".into(), &1.into(), &Value::Null)
    );
    assert!(said(&server, &["guilds", "list"]).contains("nobody"));

    json(&server, &["guilds", "owner", "hall", "ann"]);
    assert_eq!(
        json(&server, &["guilds", "show", "hall"])["owner"]["name"],
        "ann"
    );
    let roles = said(&server, &["guilds", "roles", "hall"]);
    assert!(roles.contains("Moderator"), "{roles}");
    let (_bob, _) = Client::guest(&server, "bob").await;
    let member = json(
        &server,
        &["guilds", "give-role", "hall", "bob", "moderator"],
    );
    assert_eq!(member["roles"].as_array().unwrap().len(), 1, "{member}");
    let member = json(
        &server,
        &["guilds", "take-role", "hall", "bob", "moderator"],
    );
    assert_eq!(member["roles"].as_array().unwrap().len(), 0, "{member}");
    let words = refused_words(&server, &["guilds", "give-role", "hall", "bob", "king"]);
    assert!(words.contains("no role \"king\""), "{words}");

    let link = said(
        &server,
        &[
            "invites",
            "create",
            "hall",
            "--uses",
            "1",
            "--expires",
            "7 days",
        ],
    );
    let code = link
        .trim()
        .split('/')
        .next_back()
        .unwrap()
        .split('#')
        .next()
        .unwrap()
        .to_owned();
    let list = json(&server, &["invites", "list", "hall"]);
    assert!(
        list["invites"]
            .as_array()
            .unwrap()
            .iter()
            .any(|invite| invite["code"] == code.as_str()),
        "{list}"
    );
    json(&server, &["invites", "revoke", "hall", &code]);
    let mut late = Client::greeted(&server).await;
    late.sign_in_guest("late", &code).await.unwrap_err();
    assert!(
        refused_words(&server, &["invites", "revoke", "hall", &code]).contains("no such invite")
    );

    let words = refused_words(&server, &["guilds", "delete", "hall", "--yes"]);
    assert!(words.contains("began with"), "{words}");
}

#[tokio::test]
async fn a_banned_network_is_sent_away_and_kept_out() {
    let mut server = Server::start_with(&["--metrics", "127.0.0.1:0"]);
    let (mut ann, _) = Client::guest(&server, "ann").await;
    json(
        &server,
        &[
            "bans",
            "add",
            "127.0.0.0/8",
            "--reason",
            "noise",
            "--for",
            "1 day",
        ],
    );
    let (event, _) = ann.until_closed().await;
    assert!(
        matches!(event, Some(Event::SessionClosed { ref reason, .. }) if reason.contains("may not use")),
        "{event:?}"
    );
    let link = server.link("invite");
    assert!(crate::client::tls(&link, None).await.is_err());
    let bans = said(&server, &["bans", "list"]);
    assert!(
        bans.contains("127.0.0.0/8") && bans.contains("noise"),
        "{bans}"
    );

    // It outlives a restart.
    server.terminate();
    server.start_again();
    assert!(crate::client::tls(&link, None).await.is_err());
    json(&server, &["bans", "remove", "127.0.0.1/8"]);
    assert!(crate::client::tls(&link, None).await.is_ok());
    for wrong in ["0.0.0.0/0", "127.0.0.1/99"] {
        assert!(refused_words(&server, &["bans", "add", wrong]).contains("etwork"));
    }
    let (_bob, _) = Client::guest(&server, "bob").await;
    json(&server, &["bans", "add", "bob"]);
    assert!(said(&server, &["bans", "list"]).contains("bob"));
}

#[tokio::test]
async fn new_keys_hold_and_old_ones_end_when_told() {
    let server = Server::start();
    let mut ann = Client::greeted(&server).await;
    let credentials = ann
        .sign_in_guest("ann", &server.invite_code())
        .await
        .unwrap();
    json(&server, &["keys", "rotate"]);
    let begin = Begin {
        access_token: credentials.access_token.clone(),
    };
    ann.call(&begin).await.unwrap();
    json(&server, &["keys", "rotate", "--at-once"]);
    let mut late = Client::greeted(&server).await;
    assert_eq!(late.refused(&begin).await, FailureKind::Unauthorized);
}

#[tokio::test]
async fn a_drain_tells_why_and_ends_the_server() {
    let mut server = Server::start();
    let (mut ann, _) = Client::guest(&server, "ann").await;
    said(&server, &["drain", "--message", "back in five minutes"]);
    let (event, _) = ann.until_closed().await;
    let Some(Event::SessionClosed {
        reason,
        reconnect_after_ms,
    }) = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(reason, "back in five minutes");
    assert!(reconnect_after_ms >= 500);
    assert!(server.wait().success());
}

fn login(name: &str, password: &str) -> Login {
    Login {
        name: name.into(),
        password: password.into(),
        device: "test".into(),
    }
}

fn register(name: &str) -> Register {
    Register {
        name: name.into(),
        password: "correct horse".into(),
        invite: None,
        device: "test".into(),
    }
}

/// What a command that works prints for people.
fn said(server: &Server, command: &[&str]) -> String {
    let output = admin(&server.data(), command);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(server: &Server, command: &[&str]) -> Value {
    let printed = said(server, &[&["--json"], command].concat());
    serde_json::from_str(&printed).unwrap()
}

/// What a command says that can't do it.
fn refused_words(server: &Server, command: &[&str]) -> String {
    let output = admin(&server.data(), command);
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn admin(data: &Path, command: &[&str]) -> std::process::Output {
    run(&[&["admin", "--data", data.to_str().unwrap()], command].concat())
}
