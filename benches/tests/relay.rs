//! The relay benchmark as a whole: real server, real joins, few users for a short time.

use std::process::Command;

use serde_json::Value;

fn measure(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_voxhall-bench"))
        .args(["relay", "--json", "--seconds", "2"])
        .args(args)
        .output()
        .expect("the benchmark was built for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaints}");
    let last = said.lines().last().expect("it says something");
    serde_json::from_str(last).expect("the last line is JSON")
}

/// More channels than a fresh server has, two speakers and a listener in each.
#[test]
fn every_frame_arrives_and_every_field_is_there() {
    let figures = measure(&[
        "--users",
        "9",
        "--channels",
        "3",
        "--speakers",
        "2",
        "--pps",
        "100",
    ]);
    let number = |field: &str| {
        figures
            .pointer(field)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("{field} is no number in {figures}"))
    };
    assert_eq!(number("/delivery"), 1.0);
    assert_eq!(number("/baseline_delivery"), 1.0);
    // 3 channels x 2 speakers x 100, each to the 2 others.
    assert!((number("/in_pps") - 600.0).abs() <= 1.0, "{figures}");
    assert_eq!(number("/out_frames_per_s"), number("/in_pps") * 2.0);
    assert!(number("/out_datagrams_per_s") <= number("/out_frames_per_s"));
    assert!(number("/out_datagrams_per_s") > 0.0);
    for quantile in ["p50", "p99", "p999"] {
        let difference = number(&format!("/delay_us/{quantile}"))
            - number(&format!("/baseline_delay_us/{quantile}"));
        assert!(number(&format!("/delay_us/{quantile}")) > 0.0);
        let added = number(&format!("/added_us/{quantile}"));
        assert!((added - difference).abs() < 1e-6, "{figures}");
    }
    for cost in [
        "/server_cpu_s",
        "/cpu_s_per_million_frames",
        "/baseline_cpu_s_per_million",
        "/rss_kib_per_user",
    ] {
        assert!(number(cost) > 0.0, "{cost} in {figures}");
    }
}

#[test]
fn who_takes_no_bundles_gets_none() {
    let figures = measure(&["--users", "4", "--speakers", "3", "--no-bundles"]);
    assert_eq!(
        figures["out_frames_per_s"].as_f64(),
        figures["out_datagrams_per_s"].as_f64(),
        "{figures}"
    );
    assert_eq!(figures["delivery"].as_f64(), Some(1.0), "{figures}");
}

#[test]
fn what_can_not_be_measured_is_refused() {
    for (args, word) in [
        (&["--users", "3", "--channels", "2"][..], "too few"),
        (&["--users", "4", "--speakers", "5"], "too few"),
        (
            &["--bytes", "1000", "--pps", "400"],
            "packets a second of 1000 bytes",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_voxhall-bench"))
            .arg("relay")
            .args(args)
            .output()
            .expect("the benchmark was built for this test");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(complaints.contains(word), "{complaints}");
    }
}
