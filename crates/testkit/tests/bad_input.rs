//! What a person reads when something is wrong: the bot's words are the session's, as the app's are.

use std::{net::TcpListener, process::Command, time::Instant};

use voxhall_testkit::process::{ServerProcess, program_path};

/// Lets a bot join by `link` and fail; returns what it says.
fn complaint(link: &str, more: &[&str]) -> String {
    let started = Instant::now();
    let output = Command::new(program_path("voxhall-bot").unwrap())
        .args(["join", link, "--seconds", "1"])
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{link} was let in: {said}");
    assert!(
        started.elapsed().as_secs() < 15,
        "it took {:?} to say: {said}",
        started.elapsed()
    );
    said
}

#[test]
fn each_wrong_link_says_what_is_wrong_and_what_to_do() {
    let server = ServerProcess::start().unwrap();
    let invite = server.invite();
    let (before_pin, pin) = invite.split_once('#').unwrap();
    let (address, code) = before_pin.rsplit_once('/').unwrap();

    let said = complaint(&format!("{address}/nosuchcode#{pin}"), &[]);
    assert!(said.contains("invite"), "{said}");

    // Another certificate than the invite's: a full stop, not a retry.
    let other = format!("{address}/{code}#{}", "A".repeat(43));
    let said = complaint(&other, &[]);
    assert!(
        said.contains("certificate is not the one in your invite link"),
        "{said}"
    );
    assert!(said.contains("Don't go on"), "{said}");

    // Without a pin nobody vouches for a certificate that the server made itself.
    let said = complaint(before_pin, &[]);
    assert!(said.contains("certificate is not trusted"), "{said}");
    assert!(said.contains("full invite link"), "{said}");

    let said = complaint("voxhall://host:9000/code#damaged", &[]);
    assert!(said.contains("damaged"), "{said}");

    let said = complaint(invite, &["--channel", "no-such-channel"]);
    assert!(
        said.contains("lounge"),
        "it names the channels there are: {said}"
    );
}

#[test]
fn nobody_there_and_somebody_else_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Listens, but speaks nothing.
    let said = complaint(&format!("voxhall://127.0.0.1:{port}/code"), &[]);
    assert!(said.contains("Can't reach the server"), "{said}");
    drop(listener);
    let said = complaint(&format!("voxhall://127.0.0.1:{port}/code"), &[]);
    assert!(said.contains("Can't reach the server"), "{said}");
    assert!(said.contains("its port is open"), "{said}");
}
