//! Whether the system starts the app, switched on and off in the settings, in a folder of its own.
#![cfg(all(unix, not(target_os = "macos")))]

#[path = "common/window.rs"]
mod window;

use std::{env, fs, path::PathBuf, process::Command};

use egui_kittest::kittest::Queryable;
use voxhall::app::Start;

use window::Window;

const SWITCH: &str = "Start Voxhall when I log in";

#[test]
fn the_switch_makes_the_file_that_desktops_start_programs_by_and_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    // The folder is named by the environment, which a program that runs can't change.
    let done = Command::new(env::current_exe().unwrap())
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .env("XDG_CONFIG_HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the other test"]
fn inside() {
    let config = PathBuf::from(env::var_os("XDG_CONFIG_HOME").unwrap());
    let file = config.join("autostart/voxhall.desktop");
    let data = config.join("other data");
    let start = Start {
        folder: Some(data.clone()),
        ..Start::default()
    };
    let mut app = Window::open(&data, start);
    app.click("Settings");
    app.click("This computer");
    assert!(!file.exists(), "off until it is switched on");
    app.click(SWITCH);
    let text = fs::read_to_string(&file).unwrap();
    let program = env::current_exe().unwrap();
    let line = format!(
        "Exec=\"{}\" \"--data\" \"{}\"",
        program.display(),
        data.display()
    );
    assert!(text.lines().any(|it| it == line), "{text}");
    app.click(SWITCH);
    assert!(!file.exists());

    // Desktops have such a switch as well.
    fs::write(&file, format!("{text}Hidden=true\n")).unwrap();
    app.click("Appearance");
    app.click("This computer");
    app.click(SWITCH);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("Hidden"), "on again: {text}");

    // Where it can't be changed it is said.
    fs::remove_dir_all(config.join("autostart")).unwrap();
    fs::write(config.join("autostart"), "no folder").unwrap();
    app.click("Appearance");
    app.click("This computer");
    app.see("Can't tell whether Voxhall starts by itself");
    assert!(app.0.query_by_label(SWITCH).is_none());
}
