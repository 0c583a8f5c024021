//! The program where it can't open a window.

use std::process::{Command, Output};

fn voxhall(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_voxhall"))
        .args(arguments)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .expect("the program runs")
}

fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[cfg(all(unix, not(target_os = "macos")))]
#[test]
fn without_a_display_it_says_so_in_one_line() {
    let output = voxhall(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = complaint(&output);
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    assert!(said.contains("no display"), "{said}");
}

#[cfg(all(unix, not(target_os = "macos")))]
#[test]
fn a_display_that_is_not_there_is_no_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_voxhall"))
        .env("DISPLAY", ":4711")
        .env_remove("WAYLAND_DISPLAY")
        .arg("--data")
        .arg(folder.path())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    let said = complaint(&output);
    assert!(said.contains("can't open a window"), "{said}");
}

#[test]
fn a_wrong_link_is_explained() {
    let output = voxhall(&["gopher://example.com/CODE"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("not a Voxhall link"));
}

#[test]
fn devices_are_listed_without_a_window() {
    let output = voxhall(&["--list-devices"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("Microphones:") && said.contains("Speakers:"),
        "{said}"
    );
}
