//! Tokens that were forged, copied, spent, revoked, or whose time isn't now.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use voxhall_protocol::{
    SecretText,
    control::{
        AdminRotateKeys, ChangePassword, Credentials, EndDevice, Event, FailureKind, ListDevices,
        Login, Refresh, Register,
    },
};
use voxhall_store::{SigningKey, SigningKeys, SqliteStore, maintenance};

use crate::{
    client::Client,
    fixture::Server,
    people::{Person, busy_server},
};

const NAME: &str = "ann";
const PASSWORD: &str = "correct horse";

async fn register(server: &Server) -> Credentials {
    let mut client = Client::greeted(server).await;
    let register = Register {
        name: NAME.into(),
        password: PASSWORD.into(),
        invite: Some(server.invite_code()),
        device: "first".into(),
    };
    client.call(&register).await.unwrap()
}

async fn login(server: &Server, device: &str) -> Credentials {
    let login = Login {
        name: NAME.into(),
        password: PASSWORD.into(),
        device: device.into(),
    };
    Client::greeted(server).await.call(&login).await.unwrap()
}

async fn begun(server: &Server, credentials: &Credentials) -> Client {
    let mut client = Client::greeted(server).await;
    client.begin(&credentials.access_token).await.unwrap();
    client
}

async fn refresh(server: &Server, token: &SecretText) -> Result<Credentials, FailureKind> {
    let refresh = Refresh {
        refresh_token: token.clone(),
    };
    let refreshed = Client::greeted(server).await.call(&refresh).await;
    refreshed.map_err(|failure| failure.kind())
}

/// What a session can't begin with; None: it can.
async fn refused(server: &Server, token: &SecretText) -> Option<FailureKind> {
    let begun = Client::greeted(server).await.begin(token).await;
    begun.err().map(|failure| failure.kind())
}

/// A token's header and claims.
fn parts(token: &SecretText) -> [Value; 2] {
    let mut parts = token
        .expose()
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

fn unsigned([header, claims]: &[Value; 2]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Signed by HMAC-SHA-256, whatever the header says.
fn signed(parts: &[Value; 2], secret: &[u8]) -> SecretText {
    let text = unsigned(parts);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag)).into()
}

#[tokio::test]
async fn forged_access_tokens_open_nothing() {
    let server = Server::start();
    let ann = register(&server).await;
    let [header, claims] = parts(&ann.access_token);
    assert_eq!(header["alg"], "HS256");
    // All that anyone knows of this server: its certificate, whose key a careless server would take for an HMAC secret.
    let pem = std::fs::read(server.data().join("certificate.pem")).unwrap();
    let certificate = CertificateDer::from_pem_slice(&pem).unwrap();
    let pin = server.link("invite").pin.unwrap().0;
    let headers = [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("RS256")),
        ("alg", json!("ES256")),
        ("alg", json!("HS512")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' UNION SELECT ''; --")),
        ("kid", json!("")),
        ("kid", json!(null)),
        (
            "jwk",
            json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([0; 32])}),
        ),
        ("jku", json!("https://127.0.0.1/keys.json")),
    ];
    for (name, value) in headers {
        let mut header = header.clone();
        header[name] = value;
        let parts = [header, claims.clone()];
        let bare = format!("{}.", unsigned(&parts));
        assert_eq!(
            refused(&server, &bare.into()).await,
            Some(FailureKind::Unauthorized),
            "{}",
            parts[0]
        );
        for secret in [&b""[..], &[0; 32], &certificate, &pin] {
            let forged = signed(&parts, secret);
            assert_eq!(
                refused(&server, &forged).await,
                Some(FailureKind::Unauthorized),
                "{}",
                parts[0]
            );
        }
    }
    // Another user by the same signature.
    let (text, tag) = ann.access_token.expose().rsplit_once('.').unwrap();
    let mut other = claims.clone();
    other["sub"] = json!("1");
    other["device"] = json!(1);
    let swapped = format!("{}.{tag}", unsigned(&[header, other]));
    assert_eq!(
        refused(&server, &swapped.into()).await,
        Some(FailureKind::Unauthorized)
    );
    assert_eq!(
        refused(&server, &text.into()).await,
        Some(FailureKind::Unauthorized)
    );
    assert_eq!(refused(&server, &ann.access_token).await, None);
}

/// The key that this server signs with, read from its database while it doesn't run.
async fn stolen_key(server: &mut Server) -> SigningKey {
    server.terminate();
    let store = SqliteStore::open(&server.data().join(maintenance::DATABASE)).unwrap();
    let unused = SigningKey {
        kid: "unused".into(),
        secret: [0; 32],
        created_at_ms: 0,
        retired_at_ms: None,
    };
    let key = store.signing_keys(unused, 0).await.unwrap().remove(0);
    store.close().await;
    server.start_again();
    key
}

#[tokio::test]
async fn only_its_time_its_server_and_its_device_make_a_token_good() {
    let mut server = Server::start();
    let ann = register(&server).await;
    let key = stolen_key(&mut server).await;
    // The key outlives the server, and so does the token.
    assert_eq!(refused(&server, &ann.access_token).await, None);
    let [header, claims] = parts(&ann.access_token);
    assert_eq!(header["kid"], json!(key.kid));
    let now = claims["iat"].as_i64().unwrap();
    let wrong = [
        json!({"exp": now - 1, "iat": now - 601, "nbf": now - 601}),
        json!({"nbf": now + 300, "iat": now + 300, "exp": now + 900}),
        // Good for a year.
        json!({"exp": now + 31_536_000}),
        json!({"aud": "another service"}),
        json!({"iss": "another server"}),
        json!({"exp": null}),
        json!({"nbf": null}),
        json!({"aud": null}),
        json!({"iss": null}),
    ];
    for wrong in wrong {
        let mut claims = claims.clone();
        for (name, value) in wrong.as_object().unwrap() {
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
        }
        let token = signed(&[header.clone(), claims], &key.secret);
        assert_eq!(
            refused(&server, &token).await,
            Some(FailureKind::Unauthorized),
            "{wrong}"
        );
    }
    // Rightly signed, for a device that isn't there or isn't theirs.
    for (name, value) in [("device", json!(999)), ("sub", json!("999"))] {
        let mut claims = claims.clone();
        claims[name] = value;
        let token = signed(&[header.clone(), claims], &key.secret);
        assert_eq!(
            refused(&server, &token).await,
            Some(FailureKind::SignedOut),
            "{name}"
        );
    }
    assert_eq!(
        refused(&server, &signed(&[header, claims], &key.secret)).await,
        None
    );
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_a_copied_token_gives_itself_away() {
    let mut server = Server::start();
    let first = register(&server).await;
    let other = login(&server, "second").await;
    let mut live = begun(&server, &first).await;
    let second = refresh(&server, &first.refresh_token).await.unwrap();
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_eq!(
        (second.device_id, &second.user),
        (first.device_id, &first.user)
    );
    // Whether the answer was lost on the way, or the server was killed.
    let again = refresh(&server, &first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    server.kill();
    server.start_again();
    let again = refresh(&server, &first.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    let (_, _) = live.until_closed().await;

    let mut live = begun(&server, &again).await;
    let mut others = begun(&server, &other).await;
    let third = refresh(&server, &second.refresh_token).await.unwrap();
    assert_eq!(refused(&server, &third.access_token).await, None);
    // Someone copied the first one.
    assert_eq!(
        refresh(&server, &first.refresh_token).await.unwrap_err(),
        FailureKind::SignedOut
    );
    let (event, _) = live.until_closed().await;
    assert!(
        matches!(event, Some(Event::SessionClosed { .. })),
        "{event:?}"
    );
    for token in [
        &first.refresh_token,
        &second.refresh_token,
        &third.refresh_token,
    ] {
        assert_eq!(
            refresh(&server, token).await.unwrap_err(),
            FailureKind::SignedOut
        );
    }
    for token in [&first.access_token, &third.access_token] {
        assert_eq!(refused(&server, token).await, Some(FailureKind::SignedOut));
    }
    // The other device is not concerned.
    let devices = others.call(&ListDevices {}).await.unwrap().devices;
    assert_eq!(
        devices.iter().map(|device| device.id).collect::<Vec<_>>(),
        [other.device_id]
    );
    refresh(&server, &other.refresh_token).await.unwrap();
}

#[tokio::test]
async fn invented_refresh_tokens_end_nobodys_device() {
    let server = busy_server();
    let ann = register(&server).await;
    let bytes = URL_SAFE_NO_PAD.decode(ann.refresh_token.expose()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let token = URL_SAFE_NO_PAD.encode(changed).into();
        assert_eq!(
            refresh(&server, &token).await.unwrap_err(),
            FailureKind::SignedOut,
            "{at}"
        );
    }
    for token in ["", "x", &"A".repeat(43), &"A".repeat(60_000)] {
        assert_eq!(
            refresh(&server, &token.into()).await.unwrap_err(),
            FailureKind::SignedOut
        );
    }
    refresh(&server, &ann.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_device_is_ended_from_another_and_at_once() {
    let server = Server::start();
    let first = register(&server).await;
    let second = login(&server, "lost phone").await;
    let mut client = begun(&server, &first).await;
    let mut lost = begun(&server, &second).await;
    let mut devices = client.call(&ListDevices {}).await.unwrap().devices;
    devices.sort_by_key(|device| device.id);
    let shown: Vec<_> = devices
        .iter()
        .map(|device| (device.label.as_str(), device.online, device.this))
        .collect();
    assert_eq!(shown, [("first", true, true), ("lost phone", true, false)]);
    let end = EndDevice {
        device_id: second.device_id,
    };
    // Twice is once, and nobody ends another's.
    let (mut stranger, _) = Client::guest(&server, "eve").await;
    stranger
        .call(&EndDevice {
            device_id: first.device_id,
        })
        .await
        .unwrap();
    for _ in 0..2 {
        client.call(&end).await.unwrap();
    }
    let (event, _) = lost.until_closed().await;
    assert!(
        matches!(event, Some(Event::SessionClosed { .. })),
        "{event:?}"
    );
    assert_eq!(
        refused(&server, &second.access_token).await,
        Some(FailureKind::SignedOut)
    );
    assert_eq!(
        refresh(&server, &second.refresh_token).await.unwrap_err(),
        FailureKind::SignedOut
    );
    assert_eq!(client.call(&ListDevices {}).await.unwrap().devices.len(), 1);
}

#[tokio::test]
async fn a_new_password_signs_out_all_other_devices() {
    let server = Server::start();
    let first = register(&server).await;
    let second = login(&server, "second").await;
    let mut client = begun(&server, &first).await;
    let mut other = begun(&server, &second).await;
    let change = |old: &str, new: &str| ChangePassword {
        old: old.into(),
        new: new.into(),
    };
    assert_eq!(
        client
            .refused(&change("wrong horse", "battery staple"))
            .await,
        FailureKind::WrongPassword
    );
    assert_eq!(
        client.refused(&change(PASSWORD, "short")).await,
        FailureKind::InvalidParams
    );
    // Asked again, as after a lost answer.
    for _ in 0..2 {
        client
            .call(&change(PASSWORD, "battery staple"))
            .await
            .unwrap();
    }
    let (event, _) = other.until_closed().await;
    assert!(
        matches!(event, Some(Event::SessionClosed { .. })),
        "{event:?}"
    );
    assert_eq!(
        refused(&server, &second.access_token).await,
        Some(FailureKind::SignedOut)
    );
    assert_eq!(refused(&server, &first.access_token).await, None);
    let old = Login {
        name: NAME.into(),
        password: PASSWORD.into(),
        device: "third".into(),
    };
    let mut stranger = Client::greeted(&server).await;
    assert_eq!(stranger.refused(&old).await, FailureKind::WrongPassword);
    let new = Login {
        password: "battery staple".into(),
        ..old
    };
    stranger.call(&new).await.unwrap();
}

#[tokio::test]
async fn keys_rotate_calmly_or_at_once() {
    let mut server = busy_server();
    let owner = server.link("owner").code.unwrap();
    let mut admin = Person::new(&server, "owner", &owner).await;
    let ann = register(&server).await;
    admin
        .call(&AdminRotateKeys { at_once: false })
        .await
        .unwrap();
    let new = login(&server, "second").await;
    assert_ne!(
        parts(&ann.access_token)[0]["kid"],
        parts(&new.access_token)[0]["kid"]
    );
    for token in [&ann.access_token, &new.access_token] {
        assert_eq!(refused(&server, token).await, None);
    }
    server.kill();
    server.start_again();
    for token in [&ann.access_token, &new.access_token] {
        assert_eq!(refused(&server, token).await, None, "keys are kept");
    }

    let mut live = begun(&server, &new).await;
    let login = Login {
        name: "owner".into(),
        password: PASSWORD.into(),
        device: "test".into(),
    };
    let mut client = Client::greeted(&server).await;
    let credentials = client.call(&login).await.unwrap();
    client.begin(&credentials.access_token).await.unwrap();
    client
        .call(&AdminRotateKeys { at_once: true })
        .await
        .unwrap();
    for token in [
        &ann.access_token,
        &new.access_token,
        &credentials.access_token,
    ] {
        assert_eq!(
            refused(&server, token).await,
            Some(FailureKind::Unauthorized)
        );
    }
    // Whoever was there proves anew who they are, which takes the refresh token.
    live.until_closed().await;
    let again = refresh(&server, &new.refresh_token).await.unwrap();
    assert_eq!(refused(&server, &again.access_token).await, None);
}
