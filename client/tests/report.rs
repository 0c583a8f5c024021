//! A report of a problem, made by the whole app on a real server: it tells of the app, and of nobody's secrets.

#[path = "common/window.rs"]
mod window;

use std::fs;

use egui_kittest::kittest::{NodeT, Queryable};
use voxhall::{app::Start, log};
use voxhall_protocol::link::Link;
use voxhall_testkit::process::ServerProcess;

use window::Window;

#[test]
fn a_report_tells_of_the_app_and_of_nobodys_secrets() {
    const PASSWORD: &str = "correct horse 77";
    const WORDS: &str = "the treasure is below the old mill";
    let server = ServerProcess::start().expect("a server");
    let folder = tempfile::tempdir().expect("a folder");
    log::install();
    log::keep_in(&folder.path().join("logs")).expect("a log");
    let link: Link = server.invite().parse().expect("a link");
    let start = Start {
        link: Some(link.clone()),
        ..Start::default()
    };
    let mut ann = Window::open(folder.path(), start);
    ann.click("New account");
    ann.write("Your name", "Carla");
    ann.write("Password", PASSWORD);
    ann.click("Create account");
    ann.click("Voice channel lounge");
    ann.see("Show the voice channel: Voice connected");
    ann.see("carrier UDP");
    ann.click("Text channel general");
    ann.write("Message to general", WORDS);
    ann.click("Send message");
    ann.see(WORDS);

    // As careless lines would have it.
    let logins = fs::read_to_string(folder.path().join("logins.json")).unwrap();
    let logins: serde_json::Value = serde_json::from_str(&logins).unwrap();
    let token = logins[0]["refresh_token"].as_str().expect("a token");
    let code = link.code.expect("an invite has one");
    tracing::warn!("came by {} with {token}", server.invite());
    tracing::warn!("code {code}, said {WORDS:?}, password={PASSWORD:?}");
    tracing::info!(target: "voxhall", "this may be known");

    ann.click("Settings");
    ann.click("Help");
    ann.click("Report a problem");
    ann.see("Copy the report");
    let shown = ann.0.get_by_label("Report");
    let report = shown.accesskit_node().value().expect("the report");
    for told in [
        concat!("Voxhall ", env!("CARGO_PKG_VERSION")),
        std::env::consts::ARCH,
        "Connection: online",
        "Voice: open, udp, ",
        "Microphone: ",
        "connection: asked who is there",
        "this may be known",
        "came by voxhall://[removed]",
    ] {
        assert!(report.contains(told), "no {told:?} in {report}");
    }
    let pin = link.pin.expect("an invite has one").to_string();
    for secret in [PASSWORD, "horse", WORDS, token, &code, &pin] {
        assert!(!report.contains(secret), "{secret:?} in {report}");
    }
    // What the app itself writes down has none of them either.
    let log = fs::read_to_string(folder.path().join("logs/voxhall.log")).unwrap();
    let own: Vec<_> = (log.lines())
        .filter(|line| !line.contains(" report: "))
        .collect();
    assert!(own.len() > 2, "{log}");
    for secret in [PASSWORD, WORDS, token, &code, &pin] {
        assert!(own.iter().all(|line| !line.contains(secret)), "{log}");
    }
}
