//! Who guesses names and passwords learns nothing and gets nowhere.

use std::time::{Duration, Instant};

use voxhall_protocol::control::{FailureKind, Login, Register};

use crate::{client::Client, fixture::Server, people::busy_server};

fn login(name: &str, password: &str) -> Login {
    Login {
        name: name.into(),
        password: password.into(),
        device: "test".into(),
    }
}

async fn register(server: &Server, name: &str) {
    let register = Register {
        name: name.into(),
        password: "correct horse".into(),
        invite: Some(server.invite_code()),
        device: "test".into(),
    };
    Client::greeted(server).await.call(&register).await.unwrap();
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn a_wrong_password_takes_as_long_for_a_name_that_nobody_has() {
    const ROUNDS: usize = 15;
    let server = busy_server();
    register(&server, "ann").await;
    let mut client = Client::greeted(&server).await;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // In turns, so that whatever else this machine does slows both.
        for (times, name) in times
            .iter_mut()
            .zip(["ann".to_owned(), format!("nobody {round}")])
        {
            let asked = Instant::now();
            let refused = client.refused(&login(&name, "wrong horse")).await;
            times.push(asked.elapsed());
            assert_eq!(refused, FailureKind::WrongPassword);
        }
    }
    let [known, unknown] = times.map(median);
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    println!("known {known:?}, unknown {unknown:?}, ratio {ratio:.3}");
    // Without the work for nobody's password it would be twenty.
    assert!(
        (0.5..2.0).contains(&ratio),
        "known {known:?}, unknown {unknown:?}"
    );
}

#[tokio::test]
async fn who_has_no_invite_learns_of_no_name() {
    let server = busy_server();
    register(&server, "ann").await;
    let mut client = Client::greeted(&server).await;
    let mut answers = Vec::new();
    for name in ["ann", "nobody"] {
        let register = |invite: Option<&str>| Register {
            name: name.into(),
            password: "correct horse".into(),
            invite: invite.map(str::to_owned),
            device: "test".into(),
        };
        answers.push([
            client.call(&register(None)).await.unwrap_err(),
            client
                .call(&register(Some("no-such-code")))
                .await
                .unwrap_err(),
            client.call(&login(name, "wrong horse")).await.unwrap_err(),
            client
                .call(&login(name, &"x".repeat(300)))
                .await
                .unwrap_err(),
        ]);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_list_of_names_is_not_tried_from_one_address() {
    let server = busy_server();
    register(&server, "ann").await;
    let mut client = Client::greeted(&server).await;
    // At home.
    client.call(&login("ann", "correct horse")).await.unwrap();
    let mut tried = 0;
    let limited = loop {
        let refused = client
            .call(&login(&format!("user {tried}"), "123456789"))
            .await
            .unwrap_err();
        if refused.kind() != FailureKind::WrongPassword {
            break refused;
        }
        tried += 1;
        assert!(tried < 100, "as many names as one likes");
    };
    assert_eq!(limited.kind(), FailureKind::RateLimited);
    assert!(limited.data.retry_after_ms.is_some());
    assert!(tried >= 40, "{tried}");
    // The name that nobody tried yet, on a new connection.
    let mut another = Client::greeted(&server).await;
    assert_eq!(
        another.refused(&login("zoe", "123456789")).await,
        FailureKind::RateLimited
    );
    // Who lives at this address is not kept out.
    another.call(&login("ann", "correct horse")).await.unwrap();
}
