//! The bot's commands against a real server: what a person does in the window, by the command line.

mod common;

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use common::someone::{Someone, lines};
use serde_json::Value;
use voxhall_testkit::process::ServerProcess;

fn start(someone: &Someone, args: &[&str]) -> Child {
    someone
        .command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn lines_of(child: Child) -> Vec<Value> {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    lines(&String::from_utf8(output.stdout).unwrap())
}

#[test]
fn everything_can_be_done_from_the_command_line() {
    let server = ServerProcess::start_with(["--registration", "open"]).unwrap();
    let (ann, bob) = (Someone::new("ann"), Someone::new("bob"));
    let owner = ann.one(&[
        "register",
        server.owner().unwrap(),
        "ann",
        "--password-env",
        "PASSWORD",
    ]);
    assert_eq!(owner["name"], "ann");
    bob.one(&["guest", server.invite(), "bob"]);
    accounts(&ann, &bob, server.invite());
    text(&ann, &bob);
    guild(&ann, &bob);
    staying(&ann, &bob, server.invite());
    assert!(
        bob.try_run(&["say", "#nowhere", "hi"])
            .unwrap_err()
            .contains("general")
    );
    bob.run(&["logout"]);
    assert!(bob.try_run(&["whoami"]).unwrap_err().contains("no login"));
}

fn accounts(ann: &Someone, bob: &Someone, link: &str) {
    assert_eq!(bob.one(&["whoami"])["kind"], "guest");
    assert_eq!(
        bob.one(&["upgrade", "--password-env", "PASSWORD"])["kind"],
        "account"
    );
    bob.run(&[
        "password",
        "--old-env",
        "PASSWORD",
        "--new-env",
        "NEW_PASSWORD",
    ]);
    let elsewhere = Someone::new("bob");
    let wrong = elsewhere.try_run(&["login", link, "bob", "--password-env", "PASSWORD"]);
    assert!(wrong.unwrap_err().contains("wrong"));
    elsewhere.run(&["login", link, "bob", "--password-env", "NEW_PASSWORD"]);
    let devices = bob.run(&["devices"]);
    assert_eq!(devices.len(), 2);
    let other = devices
        .iter()
        .find(|device| device["this"] == false)
        .unwrap();
    bob.run(&["devices", "--end", &other["id"].to_string()]);
    assert!(elsewhere.try_run(&["whoami"]).is_err());
    let profile = bob.one(&[
        "profile",
        "--display-name",
        "Bobby",
        "--about",
        "plays the bass",
    ]);
    assert_eq!(profile["user"]["display_name"], "Bobby");
    assert_eq!(ann.one(&["profile", "bob"])["about"], "plays the bass");
    assert_eq!(ann.one(&["follow", "bob"])["followed"], true);
    assert_eq!(
        ann.one(&["status", "dnd", "--text", "writing"])["choice"],
        "do_not_disturb"
    );
    ann.run(&["friends", "add", "bob"]);
    bob.run(&["friends", "accept", "ann"]);
    assert_eq!(ann.one(&["friends"])["kind"], "friend");
}

fn text(ann: &Someone, bob: &Someone) {
    let hello = bob.one(&["say", "#general", "hello there"])["id"].to_string();
    let reply = ann.one(&["say", "general", "general kenobi", "--reply", &hello]);
    assert_eq!(reply["reply_to"]["id"].to_string(), hello);
    ann.run(&["react", "general", &hello, "👋"]);
    bob.run(&["edit", "general", &hello, "hello all"]);
    ann.run(&["pin", "general", &hello]);
    let page = bob.run(&["read", "general", "--mark"]);
    assert_eq!(
        (page.len(), &page[0]["text"]),
        (2, &Value::from("hello all"))
    );
    assert_eq!(page[0]["reactions"][0]["count"], 1);
    assert_eq!(
        bob.one(&["read", "general", "--search", "kenobi"])["message"]["id"],
        reply["id"]
    );
    assert_eq!(bob.one(&["pin", "general"])["text"], "hello all");
    ann.run(&["delete", "general", &reply["id"].to_string()]);
    assert_eq!(bob.run(&["read", "general"]).len(), 1);
    // More than one piece of an upload.
    let bytes: Vec<u8> = (0..1_500_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(ann.file("song.bin"), &bytes).unwrap();
    let sent = ann.one(&["say", "general", "listen", "--attach", "song.bin"]);
    let file = sent["attachments"][0]["id"].to_string();
    bob.run(&["download", &file, "got.bin"]);
    assert_eq!(std::fs::read(bob.file("got.bin")).unwrap(), bytes);
    ann.run(&["dm", "bob", "psst"]);
    assert_eq!(bob.one(&["read", "@ann"])["text"], "psst");
}

fn guild(ann: &Someone, bob: &Someone) {
    let staff = ann.one(&["channel", "create", "staff"]);
    ann.run(&["channel", "update", "staff", "--topic", "quiet, please"]);
    ann.run(&["channel", "deny", "staff", "@everyone", "VIEW_CHANNEL"]);
    assert!(
        bob.try_run(&["say", &staff["id"].to_string(), "hi"])
            .is_err()
    );
    ann.run(&["guild", "roles", "create", "Mod", "--allow", "KICK_MEMBERS"]);
    ann.run(&["channel", "allow", "staff", "Mod", "VIEW_CHANNEL"]);
    ann.run(&["guild", "roles", "give", "Mod", "bob"]);
    bob.run(&["say", "staff", "here I am"]);
    let explained = ann.run(&["guild", "explain", "bob", "--channel", "staff"]);
    assert!(
        explained
            .iter()
            .any(|line| line["permission"] == 1 && line["allowed"] == true),
        "{explained:?}"
    );
    ann.run(&["guild", "timeout", "bob", "5", "--reason", "calm down"]);
    assert!(
        bob.try_run(&["say", "general", "but"])
            .unwrap_err()
            .contains("timed out")
    );
    ann.run(&["guild", "timeout", "bob", "0"]);
    let invite = ann.one(&["guild", "invite", "--uses", "1"]);
    assert_eq!(ann.run(&["guild", "members"]).len(), 2);
    ann.run(&["guild", "ban", "bob", "--reason", "enough"]);
    assert!(bob.run(&["guild", "list"]).is_empty());
    assert_eq!(ann.one(&["guild", "bans"])["reason"], "enough");
    ann.run(&["guild", "unban", "bob"]);
    bob.run(&["redeem", invite["link"].as_str().unwrap()]);
    let audit = ann.run(&["guild", "audit"]);
    assert!(
        audit.iter().any(|entry| entry["action"] == "member_banned"),
        "{audit:?}"
    );
    let stats = ann.one(&["ask", "user.find", r#"{"query": "bo"}"#]);
    assert_eq!(stats["users"][0]["name"], "bob");
}

fn staying(ann: &Someone, bob: &Someone, link: &str) {
    let listening = start(bob, &["listen", "--seconds", "5"]);
    // The profile of a program that stays is its own; the account signs in once more for another.
    let tablet = Someone::new("bob");
    tablet.run(&["login", link, "bob", "--password-env", "NEW_PASSWORD"]);
    let answering = start(
        &tablet,
        &[
            "answer",
            "--when",
            "^ping (.*)",
            "--say",
            "pong $1",
            "--times",
            "1",
        ],
    );
    std::thread::sleep(Duration::from_secs(2));
    ann.run(&["say", "general", "ping pang"]);
    let answer = lines_of(answering).pop().unwrap();
    assert_eq!(answer["text"], "pong pang");
    let heard = lines_of(listening);
    assert_eq!(heard[0]["event"], "synced");
    let told = |text: &str| {
        heard
            .iter()
            .any(|line| line["event"] == "message.created" && line["message"]["text"] == text)
    };
    assert!(told("ping pang") && told("pong pang"), "{heard:?}");
    assert!(ann.file("me.json").exists());
}
