//! What networks do to a talk: NATs that change a port, control that is cut, loss.

mod common;

use std::{thread, time::Duration};

use common::{CHANNEL, Heard, Talker, likeness, path, save_tone, voice};
use voxhall_testkit::{
    process::ServerProcess,
    proxy::{Path, Proxy},
    sim::{Impairment, Jitter, Loss},
};

/// What is asked of UDP itself isn't to be passed by another carrier, which the proxy does nothing to or gives a path of its own.
const UDP_ALONE: &[&str] = &["--carrier", "udp"];
const ANY_CARRIER: &[&str] = &[];

/// Ann beside the server and Bob behind the proxy talk for so many seconds, while `happen` does things to the proxy.
fn talk_through(
    path: Path,
    seconds: u32,
    carrier: &[&str],
    happen: impl FnOnce(&Proxy),
) -> [Heard; 2] {
    let server = ServerProcess::start().unwrap();
    let proxy = Proxy::start(server.address(), path, 1).unwrap();
    let more = [&["--repeat", "--open"][..], carrier].concat();
    let ann = Talker::join(server.invite(), "ann", CHANNEL, seconds, &more);
    let through = proxy.through(server.invite());
    let bob = Talker::join(&through, "bob", CHANNEL, seconds, &more);
    happen(&proxy);
    Talker::finish_together([ann, bob])
}

#[test]
fn a_new_outside_port_is_proven_and_the_talk_goes_on() {
    let heard = talk_through(Path::default(), 12, ANY_CARRIER, |proxy| {
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(4));
            proxy.rebind();
        }
    });
    for (heard, speaker) in heard.iter().zip(["bob", "ann"]) {
        // The speech's own pauses are up to a second.
        heard.assert_silent_at_most(Duration::from_millis(1_500));
        // Each move is 300 ms in which the old address is asked: 5 % of the 12 s.
        assert!(heard.delivery(speaker) > 0.92, "{}", heard.stats);
    }
}

/// Who only listens sends next to nothing by which a new port could be noticed: the longest silence there is.
#[test]
fn a_listener_whose_port_changes_is_deaf_for_at_most_two_and_a_half_seconds_and_needs_no_new_join()
{
    let files = tempfile::tempdir().unwrap();
    let tone = files.path().join("tone.wav");
    save_tone(&tone);

    let server = ServerProcess::start().unwrap();
    let impairment = Impairment::delay(Duration::from_millis(5));
    let proxy = Proxy::start(server.address(), Path::both_ways(impairment), 1).unwrap();
    let play = ["--play", path(&tone), "--repeat", "--open"];
    let tone = Talker::join(server.invite(), "tone", CHANNEL, 20, &play);
    let ear = Talker::join(&proxy.through(server.invite()), "ear", CHANNEL, 20, &[]);
    // At other moments between two of its requests.
    for pause_ms in [4_000, 3_700, 4_300, 3_900] {
        thread::sleep(Duration::from_millis(pause_ms));
        proxy.rebind();
    }
    let [ear, _] = Talker::finish_together([ear, tone]);
    let gap = ear.assert_silent_at_most(Duration::from_millis(2_501));
    assert!(
        gap > Duration::from_millis(200),
        "rebinding did nothing: {gap:?}"
    );
    let log = server.log();
    assert!(!log.contains("a voice path fell silent"), "{log}");
    assert_eq!(ear.stats["speakers"].as_array().unwrap().len(), 1);
}

#[test]
fn one_talks_over_ipv4_and_the_other_over_ipv6() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        println!("not tried: this system has no IPv6");
        return;
    }
    let server = ServerProcess::start().unwrap();
    let over_ipv6 = server.invite().replace("127.0.0.1", "[::1]");
    assert_ne!(over_ipv6, server.invite());
    let more = ["--repeat", "--open"];
    let ann = Talker::join(server.invite(), "ann", CHANNEL, 8, &more);
    let bob = Talker::join(&over_ipv6, "bob", CHANNEL, 8, &more);
    let heard = Talker::finish_together([ann, bob]);
    for (heard, speaker) in heard.iter().zip(["bob", "ann"]) {
        heard.assert_silent_at_most(Duration::from_millis(1_500));
        assert!(heard.delivery(speaker) > 0.99, "{}", heard.stats);
    }
}

#[test]
fn voice_outlives_a_cut_control_connection() {
    let heard = talk_through(Path::default(), 14, ANY_CARRIER, |proxy| {
        thread::sleep(Duration::from_secs(4));
        proxy.allow_control(false);
        thread::sleep(Duration::from_secs(4));
        proxy.allow_control(true);
    });
    for (heard, speaker) in heard.iter().zip(["bob", "ann"]) {
        heard.assert_silent_at_most(Duration::from_millis(1_200));
        assert!(heard.delivery(speaker) > 0.99, "{}", heard.stats);
    }
}

/// The listeners' reports say that losses come in a row, so the speaker sends deep redundancy, in frames long enough for it.
#[test]
fn losses_in_bursts_make_the_speaker_send_deep_redundancy() {
    let path = Path {
        up: Impairment::delay(Duration::from_millis(20)).with_loss(Loss::bursty(0.2, 2.0)),
        down: Impairment::default(),
    };
    let [ann, bob] = talk_through(path, 20, UDP_ALONE, |_| {});
    println!("{}\n{}", ann.stats, bob.stats);
    assert_eq!(bob.stats["redundancy"], "deep", "{}", bob.stats);
    assert_eq!(bob.stats["frame_ms"], 20.0, "{}", bob.stats);
    let of_bob = &ann.stats["speakers"][0];
    assert!(of_bob["dred_recovered_s"].as_f64() > Some(0.2), "{of_bob}");
    // Ann's own way is clean.
    assert_eq!(ann.stats["redundancy"], "none", "{}", ann.stats);
    assert_eq!(ann.stats["frame_ms"], 10.0, "{}", ann.stats);
}

#[test]
fn a_narrow_path_is_given_less_until_it_is_wide_again() {
    narrow_and_wide_again(UDP_ALONE);
}

/// To try others would cost a narrow path what it has the least of.
#[test]
fn a_narrow_path_is_no_reason_to_go_over_to_another_carrier() {
    for heard in narrow_and_wide_again(ANY_CARRIER) {
        let carriers = heard.stats["carriers"].as_array().unwrap();
        assert_eq!(carriers, &["udp"], "{}", heard.stats);
    }
}

fn narrow_and_wide_again(carrier: &[&str]) -> [Heard; 2] {
    let narrow = Impairment {
        rate_bps: Some(40_000),
        queue_limit: Duration::from_millis(300),
        ..Impairment::delay(Duration::from_millis(20))
    };
    let [ann, bob] = talk_through(Path::default(), 75, carrier, |proxy| {
        thread::sleep(Duration::from_secs(6));
        proxy.set(Path {
            up: narrow,
            down: Impairment::default(),
        });
        thread::sleep(Duration::from_secs(14));
        let (before, _) = proxy.stats();
        thread::sleep(Duration::from_secs(4));
        let (after, _) = proxy.stats();
        let lost = after.overflowed - before.overflowed;
        println!("in 4 s {lost} of {} lost", after.sent - before.sent);
        assert!(lost < 20, "the path is still overfull");
        proxy.set(Path::default());
    });
    println!("{}\n{}", ann.stats, bob.stats);
    let least = bob.stats["least_bitrate_bps"].as_u64();
    assert!(least < Some(36_000), "{}", bob.stats);
    assert_eq!(bob.stats["bitrate_bps"], 64_000, "{}", bob.stats);
    assert_eq!(ann.stats["least_bitrate_bps"], 64_000, "{}", ann.stats);
    [ann, bob]
}

#[test]
fn speech_is_understood_over_a_path_that_jitters_and_loses() {
    let impairment = Impairment {
        loss: Loss::Random(0.05),
        ..Impairment::delay(Duration::from_millis(30))
            .with_jitter(Jitter::Uniform(Duration::from_millis(10)))
    };
    let path = Path {
        up: impairment,
        down: Impairment::default(),
    };
    let [ann, bob] = talk_through(path, 14, UDP_ALONE, |_| {});
    println!("{}\n{}", ann.stats, bob.stats);
    let lossy = ann.delivery("bob");
    assert!(
        (0.90..0.99).contains(&lossy),
        "5 % were to be lost: {}",
        ann.stats
    );
    let alone = likeness(&voice("bob"), &ann.of("bob").unwrap());
    assert!(alone > 0.6, "of bob was heard {alone}");
    assert!(bob.delivery("ann") > 0.99, "{}", bob.stats);
}
