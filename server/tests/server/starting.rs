//! Starting, stopping, and what the program says about it.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use voxhall_protocol::{
    ChannelId,
    control::{Begin, Event, Login, Refresh, Register, SendMessage},
};

use crate::{
    client::{Client, http},
    fixture::{PROGRAM, Server, folder, run},
};

#[tokio::test]
async fn a_first_start_makes_everything_and_a_second_keeps_it() {
    let mut server = Server::start();
    let (invite, owner) = (server.link("invite"), server.link("owner"));
    assert_eq!(server.said["address"], server.said["udp_address"]);
    assert_eq!(invite.host, "127.0.0.1");
    assert!(invite.pin.is_some());
    assert_ne!(invite.code, owner.code);
    let (_client, ready) = Client::guest(&server, "ann").await;
    assert_eq!(ready.guilds.len(), 1);
    let channels: Vec<_> = ready.guilds[0]
        .channels
        .iter()
        .map(|channel| channel.name.as_str())
        .collect();
    assert_eq!(channels, ["general", "lounge", "hangout"]);

    let (status, _) = server.terminate();
    assert!(status.success());
    server.start_again();
    assert_eq!(server.link("invite"), invite);
    assert_eq!(server.link("owner"), owner);
}

#[cfg(unix)]
#[test]
fn what_is_secret_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start();
    for file in std::fs::read_dir(server.data()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o077;
        let name = file.file_name().into_string().unwrap();
        assert!(mode == 0 || name == "lock", "{name} is open to others");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let server = Server::start();
    let (_folder, data) = folder();
    let port = server.port().to_string();
    let output = run(&["--port", &port, "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains(&format!("port {port}/tcp is in use")),
        "{said}"
    );
    assert!(said.contains("--port"), "{said}");
    assert!(
        !said.contains("Error {") && !said.contains("backtrace"),
        "{said}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_udp_port_in_use_is_named() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_folder, data) = folder();
    let output = run(&["--listen", &address, "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("/udp is in use"), "{said}");
}

#[test]
fn a_data_folder_in_use_is_named() {
    let server = Server::start();
    let data = server.data();
    let output = run(&["--port", "0", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("another Voxhall server uses"), "{said}");
}

#[test]
fn an_unknown_key_in_the_config_file_is_named() {
    let (_folder, data) = folder();
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("config.toml"), "sever_name = \"x\"\n").unwrap();
    let output = run(&["--port", "0", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("sever_name") && said.contains("config.toml"),
        "{said}"
    );
}

#[test]
fn a_damaged_database_is_named() {
    let (_folder, data) = folder();
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("voxhall.db"), vec![b'x'; 8_192]).unwrap();
    let output = run(&["--port", "0", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("voxhall.db"), "{said}");
}

#[test]
fn people_are_shown_links_and_a_qr_code() {
    let (_folder, data) = folder();
    let mut child = Command::new(PROGRAM)
        .args(["--port", "0", "--public-host", "voice.example.org"])
        .args(["--server-name", "Friday Night", "--data"])
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        said.push_str(&line);
        said.push('\n');
        if line.starts_with("Stop with") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        said.matches("voxhall://voice.example.org:").count(),
        2,
        "{said}"
    );
    for part in [
        "Friday Night is ready",
        "Owner link",
        data.to_str().unwrap(),
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let qr_lines = said.lines().filter(|line| line.contains('█')).count();
    assert!(qr_lines > 15, "{said}");
}

#[tokio::test]
async fn the_log_holds_no_secret_however_much_is_logged() {
    let server = Server::start_with(&["--log", "trace"]);
    let mut client = Client::greeted(&server).await;
    let register = Register {
        name: "ann".into(),
        password: "correct horse".into(),
        invite: server.link("owner").code,
        device: "test".into(),
    };
    let ann = client.call(&register).await.unwrap();
    let ready = client.begin(&ann.access_token).await.unwrap();
    let channel = ready.guilds[0].channels[0].id;
    let send = SendMessage::new(channel, "the treasure lies under the oak", "nonce");
    client.call(&send).await.unwrap();
    // What is refused is not written down either.
    let nowhere = SendMessage {
        channel_id: ChannelId(9_999),
        text: "a text for nobody".into(),
        ..send
    };
    client.call(&nowhere).await.unwrap_err();
    let mut other = Client::greeted(&server).await;
    let login = |password: &str| Login {
        name: "ann".into(),
        password: password.into(),
        device: "test".into(),
    };
    other.call(&login("wrong pony")).await.unwrap_err();
    let again = other.call(&login("correct horse")).await.unwrap();
    let refresh = Refresh {
        refresh_token: again.refresh_token.clone(),
    };
    let refreshed = other.call(&refresh).await.unwrap();
    let stranger = Begin {
        access_token: "a token that somebody made up".into(),
    };
    other.call(&stranger).await.unwrap_err();
    let guessed = "aguessedcode";
    other.sign_in_guest("bob", guessed).await.unwrap_err();
    http(&server, &format!("/invite/{}", server.invite_code())).await;
    let reset = ["admin", "users", "reset-password", "ann", "--data"];
    let reset = run(&[&reset[..], &[server.data().to_str().unwrap()]].concat());
    let new_password = String::from_utf8(reset.stdout).unwrap();
    assert!(new_password.len() > 10, "{new_password}");

    let log = server.log();
    assert!(
        log.contains("signed up") && log.contains(" TRACE "),
        "{log}"
    );
    for secret in [
        "correct horse",
        "wrong pony",
        new_password.trim(),
        ann.access_token.expose(),
        ann.refresh_token.expose(),
        again.refresh_token.expose(),
        refreshed.access_token.expose(),
        refreshed.refresh_token.expose(),
        stranger.access_token.expose(),
        ready.session.expose(),
        &server.invite_code(),
        &register.invite.unwrap(),
        guessed,
        "treasure",
        "a text for nobody",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn the_config_file_counts() {
    let (_folder, data) = folder();
    std::fs::create_dir(&data).unwrap();
    let file = data.join("my.toml");
    std::fs::write(&file, "server_name = \"Würzburg\"\n").unwrap();
    let server = Server::start_with(&["--config", file.to_str().unwrap()]);
    let (_, page) = http(&server, "/").await;
    assert!(page.contains("Würzburg"), "{page}");
}

#[tokio::test]
async fn asked_to_end_it_says_goodbye_and_is_quick() {
    let mut server = Server::start();
    let (mut ann, _) = Client::guest(&server, "ann").await;
    let _stranger = Client::connect(&server).await;
    server.ask_to_end();
    let asked = std::time::Instant::now();
    let (event, close) = ann.until_closed().await;
    let Some(Event::SessionClosed {
        reconnect_after_ms, ..
    }) = event
    else {
        panic!("{event:?}")
    };
    assert!((500..2_500).contains(&reconnect_after_ms));
    assert_eq!(u16::from(close.unwrap().code), 1012);
    assert!(server.wait().success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
}
