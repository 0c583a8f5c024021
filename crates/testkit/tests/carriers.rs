//! How voice travels where UDP does not pass, or not all the time.

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{BACK_WITHIN, CHANNEL, OVER_WITHIN, Talker, assert_over_and_back, path, save_tone};
use tempfile::TempDir;
use voxhall_protocol::voice::Carrier;
use voxhall_testkit::{
    process::ServerProcess,
    proxy::{Path, Proxy},
};

/// More datagrams than what keeps a path open; voice in frames of 20 ms is 50.
const VOICE_PER_S: u64 = 30;

/// Somebody near the server and somebody far, behind the proxy, hear a tone of each other for so many seconds.
struct Talk {
    server: ServerProcess,
    proxy: Proxy,
    files: TempDir,
}

impl Talk {
    fn new() -> Self {
        let server = ServerProcess::start().unwrap();
        let proxy = Proxy::start(server.address(), Path::default(), 1).unwrap();
        let files = tempfile::tempdir().unwrap();
        save_tone(&files.path().join("tone.wav"));
        Self {
            server,
            proxy,
            files,
        }
    }

    fn join(&self, name: &'static str, seconds: u32, more: &[&str]) -> Talker {
        let tone = self.files.path().join("tone.wav");
        let mut args = vec!["--play", path(&tone), "--repeat", "--open"];
        args.extend(more);
        let link = match name {
            "far" => self.proxy.through(self.server.invite()),
            _ => self.server.invite().to_owned(),
        };
        Talker::join(&link, name, CHANNEL, seconds, &args)
    }

    /// Datagrams that pass the proxy to who is far, in a second.
    fn datagrams_per_s(&self) -> u64 {
        let before = self.proxy.stats().1.delivered;
        thread::sleep(Duration::from_secs(1));
        self.proxy.stats().1.delivered - before
    }
}

#[test]
fn a_talk_goes_over_when_udp_is_blocked_and_comes_back_when_it_passes_again() {
    let talk = Talk::new();
    let near = talk.join("near", 32, &[]);
    let far = talk.join("far", 32, &[]);
    thread::sleep(Duration::from_secs(5));
    assert!(talk.datagrams_per_s() > VOICE_PER_S);
    talk.proxy.black_hole(true);
    thread::sleep(Duration::from_secs(10));
    talk.proxy.black_hole(false);
    let passes = Instant::now();
    while talk.datagrams_per_s() < VOICE_PER_S && passes.elapsed() < BACK_WITHIN {}
    let back = passes.elapsed();
    let [near, far] = Talker::finish_together([near, far]);
    println!("UDP is used again after {back:?}: {:?}", far.carriers());
    assert!(back < BACK_WITHIN);
    assert_over_and_back(&near, &far);
    let log = talk.server.log();
    assert!(!log.contains("a voice path fell silent"), "{log}");
}

#[test]
fn who_joins_where_no_udp_passes_is_heard_all_the_same() {
    let talk = Talk::new();
    talk.proxy.black_hole(true);
    let near = talk.join("near", 10, &[]);
    let far = talk.join("far", 10, &[]);
    let [near, far] = Talker::finish_together([near, far]);
    assert_eq!(far.carriers(), ["websocket"], "{}", far.stats);
    for (heard, speaker) in [(&near, "far"), (&far, "near")] {
        heard.assert_silent_at_most(Duration::from_millis(300));
        assert!(heard.delivery(speaker) > 0.99, "{}", heard.stats);
    }
}

#[test]
fn each_carrier_that_is_asked_for_brings_every_packet() {
    for carrier in Carrier::ALL {
        let talk = Talk::new();
        let more = ["--carrier", carrier.name()];
        let near = talk.join("near", 8, &more);
        let far = talk.join("far", 8, &more);
        let [near, far] = Talker::finish_together([near, far]);
        for (heard, speaker) in [(near, "far"), (far, "near")] {
            assert_eq!(heard.carriers(), [carrier.name()], "{}", heard.stats);
            assert_eq!(heard.delivery(speaker), 1.0, "{}", heard.stats);
        }
    }
}

/// A firewall that lets HTTP/3 pass lets QUIC pass.
#[test]
fn where_udp_passes_only_as_quic_voice_is_quic() {
    let talk = Talk::new();
    let near = talk.join("near", 20, &[]);
    let far = talk.join("far", 20, &[]);
    thread::sleep(Duration::from_secs(5));
    talk.proxy.only_quic();
    let [near, far] = Talker::finish_together([near, far]);
    assert_eq!(near.carriers(), ["udp"], "{}", near.stats);
    let used = far.carriers();
    // The WebSocket may have been the quicker one.
    assert_eq!((used[0], used[used.len() - 1]), ("udp", "quic"), "{used:?}");
    for heard in [&near, &far] {
        let gap = heard.assert_silent_at_most(OVER_WITHIN);
        assert!(gap > Duration::from_millis(200), "nothing was blocked");
    }
}

/// What goes over a connection that is cut goes over another one.
#[test]
fn a_cut_websocket_is_opened_again() {
    let talk = Talk::new();
    talk.proxy.black_hole(true);
    let near = talk.join("near", 14, &[]);
    let far = talk.join("far", 14, &[]);
    thread::sleep(Duration::from_secs(6));
    talk.proxy.allow_control(false);
    thread::sleep(Duration::from_millis(100));
    talk.proxy.allow_control(true);
    for heard in Talker::finish_together([near, far]) {
        let gap = heard.assert_silent_at_most(OVER_WITHIN + Duration::from_secs(1));
        assert!(gap > Duration::from_millis(200), "nothing was cut");
    }
}

/// As where a firewall forgets a connection: neither end is told.
#[test]
fn a_websocket_that_stalls_is_given_up_for_a_new_one() {
    let talk = Talk::new();
    talk.proxy.black_hole(true);
    let near = talk.join("near", 16, &[]);
    let far = talk.join("far", 16, &[]);
    thread::sleep(Duration::from_secs(6));
    talk.proxy.stall_connections();
    for heard in Talker::finish_together([near, far]) {
        let gap = heard.assert_silent_at_most(OVER_WITHIN);
        assert!(gap > Duration::from_millis(200), "nothing stalled");
    }
    let log = talk.server.log();
    assert!(!log.contains("a voice path fell silent"), "{log}");
}

/// Nothing else may be used: the talk waits for UDP.
#[test]
fn a_path_that_was_swallowed_for_eight_seconds_opens_again_by_itself() {
    let talk = Talk::new();
    let near = talk.join("near", 24, &["--carrier", "udp"]);
    let far = talk.join("far", 24, &["--carrier", "udp"]);
    thread::sleep(Duration::from_secs(4));
    talk.proxy.black_hole(true);
    thread::sleep(Duration::from_secs(8));
    talk.proxy.black_hole(false);
    for heard in Talker::finish_together([near, far]) {
        let gap = heard.assert_silent_at_most(Duration::from_secs(13));
        assert!(
            gap > Duration::from_secs(7),
            "the black hole did nothing: {gap:?}"
        );
    }
}
