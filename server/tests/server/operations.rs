//! What the one who runs the server sees: metrics, commands, signals, logs, backups.
#![cfg(unix)]

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use voxhall_protocol::{
    ChannelId,
    control::{ListMessages, Login, SendMessage},
    link::{CertificatePin, Link},
};

use crate::{
    client::{Client, http, tls},
    fixture::{PROGRAM, Server, folder, run},
};

#[tokio::test]
async fn metrics_count_what_happens_and_promtool_likes_them() {
    let server = Server::start_with(&["--metrics", "127.0.0.1:0"]);
    let (mut ann, ready) = Client::guest(&server, "Zebedee").await;
    for n in 0..3 {
        ann.call(&message(ready.guilds[0].channels[0].id, n))
            .await
            .unwrap();
    }
    ann.call(&message(ChannelId(u64::from(u32::MAX)), 9))
        .await
        .unwrap_err();
    let mut stranger = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stranger
        .write_all(b"no TLS at all, but long enough to be seen")
        .unwrap();
    let _ = stranger.read(&mut [0; 64]);

    let page = metrics(&server);
    for line in [
        "voxhall_build_info{version=\"0.1.0\"} 1",
        "voxhall_sessions 1",
        "voxhall_users_online 1",
        "voxhall_messages_total 3",
        "voxhall_requests_total{method=\"message.send\",outcome=\"ok\"} 3",
        "voxhall_requests_total{method=\"message.send\",outcome=\"not_found\"} 1",
        "voxhall_requests_total{method=\"session.hello\",outcome=\"ok\"} 1",
        "voxhall_connections_total 2",
        "voxhall_tls_failures_total 1",
        "voxhall_media_running 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
    let commits = page
        .lines()
        .find_map(|line| line.strip_prefix("voxhall_store_commit_duration_seconds_count "));
    assert!(
        commits.is_some_and(|count| count.parse::<u32>().unwrap() >= 4),
        "{page}"
    );
    assert!(!page.contains("Zebedee"), "metrics name nobody");
    drop(ann);

    let (status, _) = http(&server, "/metrics").await;
    assert_eq!(status, 404, "they are not for everyone");

    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = checked else {
        eprintln!("SKIPPED: promtool is not installed; scripts/packages more");
        return;
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    let said = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success() && words.is_empty(),
        "promtool says: {words}"
    );
}

#[test]
fn a_metrics_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_folder, data) = folder();
    let (code, said) = failed(&["--port", "0", "--metrics", &address, "--data", path(&data)]);
    assert_eq!(code, 1);
    assert!(
        said.contains(&address) && said.contains("--metrics"),
        "{said}"
    );
}

#[test]
fn the_settings_in_force_are_shown_and_checked() {
    let (_folder, data) = folder();
    std::fs::create_dir(&data).unwrap();
    let file = data.join("config.toml");
    std::fs::write(&file, "server_name = \"Friday Night\"\n\nport = 9100\n").unwrap();
    let output = Command::new(PROGRAM)
        .args(["--guests", "false", "config", "--data", path(&data)])
        .env("VOXHALL_PORT", "9200")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    for (key, source) in [
        (
            "server_name = \"Friday Night\"",
            format!("{}, line 1", file.display()),
        ),
        ("port = 9200", "VOXHALL_PORT".into()),
        ("guests = false", "--guests".into()),
        ("registration = \"invite\"", "default".into()),
    ] {
        let line = shown.lines().find(|line| line.starts_with(key));
        assert!(
            line.is_some_and(|line| line.ends_with(&source)),
            "{key} in {shown}"
        );
    }
    let checked = run(&["config", "--check", "--data", path(&data)]);
    assert!(checked.status.success());

    std::fs::write(&file, "server_name = \"x\"\nregistration = \"perhaps\"\n").unwrap();
    let (code, said) = failed(&["config", "--check", "--data", path(&data)]);
    assert_eq!(code, 1);
    for word in [
        "config.toml, line 2",
        "registration",
        "open, invite or closed",
    ] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[test]
fn who_has_read_enough_of_what_is_printed_hears_no_complaint() {
    let (_folder, data) = folder();
    let mut child = Command::new(PROGRAM)
        .args(["config", "--data", path(&data)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn an_environment_variable_that_is_misspelt_stops_the_server() {
    let (_folder, data) = folder();
    let output = Command::new(PROGRAM)
        .args(["--port", "0", "--data", path(&data)])
        .env("VOXHALL_REGISTRASION", "closed")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("VOXHALL_REGISTRASION") && said.contains("VOXHALL_REGISTRATION?"),
        "{said}"
    );
}

#[tokio::test]
async fn commands_reach_the_server_that_runs_and_nobody_else() {
    let mut server = Server::start();
    let data = server.data();
    let stats = admin(&data, &["stats"]);
    assert_eq!(
        (&stats["online_users"], &stats["voice_running"]),
        (&0.into(), &true.into())
    );
    let (_ann, _) = Client::guest(&server, "ann").await;
    assert_eq!(admin(&data, &["stats"])["online_users"], 1);
    let human = run(&["admin", "stats", "--data", path(&data)]);
    assert!(
        String::from_utf8(human.stdout)
            .unwrap()
            .contains("users online  1")
    );
    let healthy = run(&["health", "--data", path(&data)]);
    assert!(healthy.status.success(), "{healthy:?}");

    server.terminate();
    let socket = data.join("admin.sock");
    assert!(!socket.exists(), "it takes its socket with it");
    for command in [&["admin", "stats"][..], &["health"]] {
        let (code, said) = failed(&[command, &["--data", path(&data)]].concat());
        assert_eq!(code, 1);
        assert!(
            said.contains(path(&socket)) && said.contains("--data"),
            "{said}"
        );
    }
    // Killed, it leaves the socket behind; the next start takes its place.
    server.start_again();
    server.kill();
    assert!(socket.exists());
    let (_, said) = failed(&["health", "--data", path(&data)]);
    assert!(said.contains("no server listens"), "{said}");
    server.start_again();
    assert_eq!(admin(&data, &["stats"])["connections"], 0);
}

#[test]
fn a_socket_that_can_not_be_made_keeps_nobody_from_talking() {
    let long = format!("/tmp/{}", "x".repeat(120));
    let server = Server::start_with(&["--admin-socket", &long]);
    assert!(server.log().contains("no admin commands") && server.log().contains("--admin-socket"));
    let elsewhere = server.data().join("other.sock");
    let server = Server::start_with(&["--admin-socket", path(&elsewhere)]);
    let health = run(&["--admin-socket", path(&elsewhere), "health"]);
    assert!(health.status.success(), "{health:?}");
    drop(server);
    let off = Server::start_with(&["--admin-socket", "off"]);
    assert!(!off.data().join("admin.sock").exists());
    let (_, said) = failed(&["--admin-socket", "off", "health"]);
    assert!(said.contains("admin_socket is off"), "{said}");
}

#[tokio::test]
async fn garbage_on_the_socket_harms_nobody() {
    let server = Server::start();
    let socket = server.data().join("admin.sock");
    for garbage in [
        "nonsense\n",
        "{}\n",
        "\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"account.login\",\"params\":{\"name\":\"a\",\"password\":\"b\",\"device\":\"c\"}}\n",
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.write_all(garbage.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"]["message"].is_string(), "{answer}");
    }
    // No end of line, and no end: it is not read for ever.
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let written = (0..1_000).try_for_each(|_| stream.write_all(&[b'x'; 4_096]));
    assert!(written.is_err());
    assert_eq!(admin(&server.data(), &["stats"])["connections"], 0);
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_without_ending_anything() {
    let files = tempfile::tempdir().unwrap();
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| files.path().join(name));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, made.cert.der());
        CertificatePin(digest.as_ref().try_into().unwrap())
    };
    let first = renew();
    let server = Server::start_with(&["--tls-cert", path(&chain), "--tls-key", path(&key)]);
    let pinned = |pin| Link {
        pin: Some(pin),
        ..server.link("invite")
    };
    assert_eq!(server.link("invite").pin, None);
    let mut before = tls(&pinned(first), None).await.unwrap();

    let second = renew();
    assert!(
        tls(&pinned(second), None).await.is_err(),
        "not before it is told to"
    );
    server.signal("HUP");
    until("the new certificate is served", async || {
        tls(&pinned(second), None).await.is_ok()
    })
    .await;
    let request = b"GET /health HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n";
    before.write_all(request).await.unwrap();
    let mut answer = String::new();
    before.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");

    std::fs::write(&chain, "nothing").unwrap();
    server.signal("HUP");
    until("the log says so", async || {
        server.log().contains("the certificate before stays in use")
    })
    .await;
    assert!(tls(&pinned(second), None).await.is_ok());
}

#[tokio::test]
async fn asked_twice_it_ends_at_once() {
    let mut server = Server::start();
    let mut took = Vec::new();
    for asked_again in [false, true] {
        // Whoever waits for a password to be hashed keeps a polite server waiting.
        let mut waiting = Vec::new();
        for n in 0..25 {
            let mut client = Client::greeted(&server).await;
            let login = Login {
                name: format!("nobody {n}"),
                password: "correct horse".into(),
                device: "test".into(),
            };
            client.send(&login).await;
            waiting.push(client);
        }
        let asked = Instant::now();
        server.ask_to_end();
        tokio::time::sleep(Duration::from_millis(50)).await;
        if asked_again {
            server.ask_to_end();
        }
        assert!(server.wait().success());
        took.push(asked.elapsed());
        server.start_again();
    }
    let [once, twice] = took[..] else {
        unreachable!("two rounds")
    };
    let patience = Duration::from_millis(400);
    assert!(once > patience, "{once:?}");
    assert!(once < Duration::from_secs(3), "{once:?}");
    assert!(twice < patience, "{twice:?}");
}

#[test]
fn systemd_is_told_how_the_server_is() {
    let (folder, data) = folder();
    let address = folder.path().join("notify");
    let socket = UnixDatagram::bind(&address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["--port", "0", "--announce", "json", "--data", path(&data)])
        .env("NOTIFY_SOCKET", &address)
        .env("WATCHDOG_USEC", "300000")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let next = || {
        let mut told = [0; 256];
        let length = socket.recv(&mut told).unwrap();
        String::from_utf8(told[..length].to_vec()).unwrap()
    };
    assert_eq!(next(), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1\n");
    }
    let kill = |signal: &str| {
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let until_other = || loop {
        match next() {
            alive if alive == "WATCHDOG=1\n" => {}
            other => return other,
        }
    };
    kill("-HUP");
    assert!(until_other().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(until_other(), "READY=1\n");
    kill("-TERM");
    assert_eq!(until_other(), "STOPPING=1\n");
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn a_backup_brings_everything_back_the_certificate_too() {
    let mut server = Server::start_with(&["--registration", "open"]);
    let (mut ann, ready) = Client::guest(&server, "ann").await;
    let channel = ready.guilds[0].channels[0].id;
    ann.call(&message(channel, 1)).await.unwrap();
    let (backups, to) = folder();
    let made = run(&["backup", path(&to), "--data", path(&server.data())]);
    assert!(made.status.success(), "{made:?}");
    ann.call(&message(channel, 2)).await.unwrap();
    let (code, said) = failed(&["restore", path(&to), "--data", path(&server.data())]);
    assert!(code == 1 && said.contains("Stop it first"), "{said}");
    let (code, said) = failed(&["backup", path(&to), "--data", path(&server.data())]);
    assert!(code == 1 && said.contains("is there already"), "{said}");
    let invite = server.link("invite");
    server.terminate();

    // Elsewhere, as after the loss of the machine.
    let fresh = backups.path().join("fresh");
    let restored = run(&["restore", path(&to), "--data", path(&fresh)]);
    assert!(restored.status.success(), "{restored:?}");
    let checked = run(&["check", "--data", path(&fresh)]);
    assert!(checked.status.success(), "{checked:?}");
    for file in std::fs::read_dir(&fresh).unwrap() {
        let file = file.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        let name = file.file_name();
        assert!(
            mode & 0o077 == 0 || name == "lock",
            "{name:?} is open to others"
        );
    }
    std::fs::remove_dir_all(server.data()).unwrap();
    std::fs::rename(&fresh, server.data()).unwrap();
    server.start_again();
    assert_eq!(
        server.link("invite"),
        invite,
        "links hold the old certificate's pin"
    );
    let (mut bob, _) = Client::guest(&server, "bob").await;
    let page = bob.call(&ListMessages::newest(channel)).await.unwrap();
    let texts: Vec<_> = page
        .messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, ["message 1"]);
}

#[tokio::test]
async fn backups_are_made_by_themselves() {
    let (_folder, backups) = folder();
    let server = Server::start_with(&[
        "--backup-folder",
        path(&backups),
        "--metrics",
        "127.0.0.1:0",
    ]);
    let names = || {
        let entries = std::fs::read_dir(&backups).into_iter().flatten().flatten();
        let names: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names
    };
    until("there is one", async || {
        names().iter().any(|name| !name.contains('.'))
    })
    .await;
    let checked = run(&["check", path(&backups.join(&names()[0]))]);
    assert!(checked.status.success(), "{checked:?}");
    until("it is counted", async || {
        metrics(&server).contains("voxhall_backups_total 1\n")
    })
    .await;
    let made = admin(&server.data(), &["backup"]);
    assert!(
        Path::new(made["path"].as_str().unwrap()).starts_with(&backups),
        "{made}"
    );
}

#[test]
fn log_lines_can_be_json() {
    let mut server = Server::start_with(&["--log-format", "json", "--log", "debug"]);
    server.terminate();
    let log = server.log();
    assert!(log.lines().count() >= 2, "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(
            line["timestamp"].is_string()
                && line["level"].is_string()
                && line["message"].is_string()
        );
    }
}

fn message(channel: ChannelId, n: u32) -> SendMessage {
    SendMessage::new(channel, format!("message {n}"), n.to_string())
}

/// What an admin command answers.
fn admin(data: &Path, command: &[&str]) -> Value {
    let output = run(&[&["admin", "--json", "--data", path(data)], command].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn metrics(server: &Server) -> String {
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains(" metrics "))
        .expect("it says where");
    let address = line.split("address=").nth(1).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"),
        "{head}"
    );
    page.to_owned()
}

/// How a command that can't work ended, and what it said.
fn failed(args: &[&str]) -> (i32, String) {
    let output = run(args);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < until, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
