//! Whole talks by the real programs: server and bots as processes, real sockets, recorded speech.

mod common;

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use common::{CHANNEL, OTHER_CHANNEL, RATE_HZ, Talker, likeness, voice};
use voxhall_testkit::{process::ServerProcess, signal};

/// Five programs may take seconds to start on a busy machine: nobody speaks before all are there, or leaves before the last has spoken.
const STAY_S: u32 = 12;

#[test]
fn four_people_hear_the_others_and_not_themselves_and_a_fifth_elsewhere_hears_nothing() {
    let server = ServerProcess::start().unwrap();
    let names = ["ann", "bob", "cid", "dan"];
    let talkers: Vec<_> = names
        .map(|name| Talker::join(server.invite(), name, CHANNEL, STAY_S, &["--delay", "2.5"]))
        .into();
    let eve = Talker::join(server.invite(), "eve", OTHER_CHANNEL, STAY_S, &[]);
    let heard: Vec<_> = talkers.into_iter().map(Talker::finish).collect();
    for listener in &heard {
        for speaker in names {
            let said = voice(speaker);
            let said = &said[..said.len().min(4 * RATE_HZ as usize)];
            let in_mix = likeness(said, &listener.mixed());
            if speaker == listener.name {
                assert!(in_mix < 0.25, "{speaker} hears itself: {in_mix}");
                assert!(listener.of(speaker).is_none());
            } else {
                let alone = likeness(said, &listener.of(speaker).unwrap_or_default());
                println!(
                    "{} heard {speaker}: {in_mix:.2} in the mix, {alone:.2} alone",
                    listener.name
                );
                assert!(alone > 0.7, "{} heard of {speaker}: {alone}", listener.name);
                assert!(
                    in_mix > 0.3,
                    "{} heard in the mix of {speaker}: {in_mix}",
                    listener.name
                );
                assert_eq!(listener.delivery(speaker), 1.0, "{}", listener.stats);
            }
        }
    }
    let eve = eve.finish();
    assert_eq!(signal::rms(&eve.mixed()), 0.0, "silence, to the last bit");
    assert_eq!(eve.stats["received_packets"], 0);
}

#[test]
fn a_killed_server_comes_back_and_so_does_the_talk() {
    let mut server = ServerProcess::start().unwrap();
    let ann = Talker::join(server.invite(), "ann", CHANNEL, 18, &["--repeat", "--open"]);
    let bob = Talker::join(server.invite(), "bob", CHANNEL, 18, &["--repeat", "--open"]);
    thread::sleep(Duration::from_secs(5));
    server.kill9().unwrap();
    thread::sleep(Duration::from_millis(500));
    let down = Instant::now();
    server.restart().unwrap();
    let restart = down.elapsed();
    println!("the server was away for {restart:?}");
    for heard in Talker::finish_together([ann, bob]) {
        // The speech itself pauses for less than a second.
        heard.assert_silent_at_most(Duration::from_millis(5_500) + restart);
    }
}

#[test]
fn a_talk_goes_on_under_a_million_strange_datagrams() {
    let server = ServerProcess::start().unwrap();
    let ann = Talker::join(server.invite(), "ann", CHANNEL, 12, &["--repeat", "--open"]);
    let bob = Talker::join(server.invite(), "bob", CHANNEL, 12, &["--repeat", "--open"]);
    thread::sleep(Duration::from_secs(3));
    let stop = Arc::new(AtomicBool::new(false));
    let flooding = thread::Builder::new().name("flood".into());
    let sent = flooding.spawn({
        let (stop, target) = (Arc::clone(&stop), server.udp_address());
        move || flood((Ipv4Addr::LOCALHOST, target.port()).into(), &stop)
    });
    let sent = sent.unwrap();
    let heard = [ann.finish(), bob.finish()];
    stop.store(true, Relaxed);
    println!("{} strange datagrams sent", sent.join().unwrap());
    for (listener, speaker) in heard.iter().zip(["bob", "ann"]) {
        let delivery = listener.delivery(speaker);
        println!("{}: {:.3} % delivered", listener.name, delivery * 100.0);
        assert!(delivery > 0.99, "{}", listener.stats);
        let alone = likeness(&voice(speaker), &listener.of(speaker).unwrap());
        assert!(alone > 0.7, "{} heard of {speaker}: {alone}", listener.name);
    }
    assert!(
        server.log().lines().count() < 1_000,
        "strangers don't fill the log"
    );
}

/// A million datagrams of noise, some of them dressed as STUN, RTP, RTCP, QUIC or bundles.
fn flood(target: std::net::SocketAddr, stop: &AtomicBool) -> u64 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let noise: Vec<u8> = signal::noise(5, 64 * 1024, 0.3)
        .iter()
        .map(|sample| (sample * 1e4) as i32 as u8)
        .collect();
    let firsts = [0x00, 0x01, 0x04, 0x80, 0x80, 0x81, 0x90, 0x40, 0xc0, 0xff];
    let mut sent = 0;
    for i in 0..1_000_000_usize {
        if stop.load(Relaxed) {
            break;
        }
        let start = (i * 37) % (noise.len() - 1_300);
        let mut datagram = [0; 1_300];
        let len = 1 + (i * 13) % 1_300;
        datagram[..len].copy_from_slice(&noise[start..start + len]);
        if i % 3 != 0 {
            datagram[0] = firsts[i % firsts.len()];
            // Opus' payload type, or an RTCP receiver report.
            datagram[1] = if i % 2 == 0 { 111 } else { 201 };
        }
        sent += u64::from(socket.send_to(&datagram[..len], target).is_ok());
        // About 130,000 a second, so that the flood lasts as long as the talk.
        if i % 130 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    sent
}
