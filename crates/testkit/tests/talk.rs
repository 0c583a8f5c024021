//! Whole talks by the real programs: server and bots as processes, real sockets, recorded speech.

use std::{
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use voxhall_testkit::{
    correlate::{Search, Summary},
    process::{BotProcess, ServerProcess},
    signal, speech, wav,
};

const RATE_HZ: u32 = 48_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// The default guild's voice channels.
const CHANNEL: &str = "lounge";
const OTHER_CHANNEL: &str = "hangout";

/// One bot with its files.
struct Talker {
    name: &'static str,
    bot: BotProcess,
    files: TempDir,
}

impl Talker {
    /// Joins `channel`, speaks the voice file of its name where there is one, and stays for `seconds`.
    fn join(
        server: &ServerProcess,
        name: &'static str,
        channel: &str,
        seconds: u32,
        more: &[&str],
    ) -> Self {
        let files = tempfile::tempdir().unwrap();
        let record = files.path().join("mixed.wav");
        let each = files.path().join("each");
        let voice = speech::path(name).ok();
        let seconds = seconds.to_string();
        let mut args = vec![
            "--channel",
            channel,
            "--seconds",
            &seconds,
            "--record",
            path(&record),
            "--record-each",
            path(&each),
        ];
        if let Some(voice) = &voice {
            args.extend(["--play", path(voice)]);
        }
        args.extend(more);
        let bot = BotProcess::join(server.invite(), name, args).unwrap();
        Self { name, bot, files }
    }

    fn finish(self) -> Heard {
        let stats = self.bot.finish(PATIENCE).unwrap();
        Heard {
            name: self.name,
            stats,
            files: self.files,
        }
    }
}

/// What a bot had heard when it left.
struct Heard {
    name: &'static str,
    stats: Value,
    files: TempDir,
}

impl Heard {
    fn mixed(&self) -> Vec<f32> {
        load(&self.files.path().join("mixed.wav"))
    }

    fn of(&self, speaker: &str) -> Option<Vec<f32>> {
        let file = self
            .files
            .path()
            .join("each")
            .join(format!("{speaker}.wav"));
        file.exists().then(|| load(&file))
    }

    fn delivery(&self, speaker: &str) -> f64 {
        let speakers = self.stats["speakers"].as_array().unwrap();
        let found = speakers.iter().find(|s| s["name"] == speaker);
        found.unwrap_or_else(|| panic!("{} heard no {speaker}: {}", self.name, self.stats))["delivery"].as_f64().unwrap()
    }
}

fn load(file: &Path) -> Vec<f32> {
    wav::load(file).unwrap().channels.swap_remove(0)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

fn voice(name: &str) -> Vec<f32> {
    load(&speech::path(name).unwrap())
}

/// How much `heard` sounds like `said`, wherever it is in there: 0 to 1.
fn likeness(said: &[f32], heard: &[f32]) -> f64 {
    let search = Search {
        // A recording of one speaker leaves out what the detector took for silence.
        min_delay_s: -5.0,
        max_delay_s: 10.0,
        ..Search::new(RATE_HZ)
    };
    Summary::of(&search.find(said, heard), 0.0).map_or(0.0, |summary| summary.mean_correlation)
}

fn rms(samples: &[f32]) -> f64 {
    let energy: f64 = samples
        .iter()
        .map(|sample| f64::from(*sample).powi(2))
        .sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

#[test]
fn four_people_hear_the_others_and_not_themselves_and_a_fifth_elsewhere_hears_nothing() {
    let server = ServerProcess::start().unwrap();
    let names = ["ann", "bob", "cid", "dan"];
    let talkers: Vec<_> = names
        .map(|name| Talker::join(&server, name, CHANNEL, 9, &["--delay", "2.5"]))
        .into();
    let eve = Talker::join(&server, "eve", OTHER_CHANNEL, 9, &[]);
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
    assert_eq!(rms(&eve.mixed()), 0.0, "silence, to the last bit");
    assert_eq!(eve.stats["received_packets"], 0);
}

#[test]
fn a_killed_server_comes_back_and_so_does_the_talk() {
    let mut server = ServerProcess::start().unwrap();
    let ann = Talker::join(&server, "ann", CHANNEL, 18, &["--repeat", "--open"]);
    let bob = Talker::join(&server, "bob", CHANNEL, 18, &["--repeat", "--open"]);
    thread::sleep(Duration::from_secs(5));
    server.kill9().unwrap();
    thread::sleep(Duration::from_millis(500));
    let down = Instant::now();
    server.restart().unwrap();
    let restart = down.elapsed();
    for heard in [ann.finish(), bob.finish()] {
        let mixed = heard.mixed();
        // In pieces of 100 ms; the speech itself pauses for less than a second.
        let pieces: Vec<_> = mixed
            .chunks(RATE_HZ as usize / 10)
            .map(|piece| rms(piece) > 1e-4)
            .collect();
        let first = pieces
            .iter()
            .position(|loud| *loud)
            .expect("something was heard");
        let last = pieces.iter().rposition(|loud| *loud).unwrap();
        let longest = pieces[first..=last]
            .split(|loud| *loud)
            .map(<[bool]>::len)
            .max()
            .unwrap_or(0);
        let gap = Duration::from_millis(longest as u64 * 100);
        println!(
            "{}: silent for {gap:?}, of which the server was away {restart:?}",
            heard.name
        );
        assert!(
            gap < Duration::from_millis(5_500) + restart,
            "{} was silent for {gap:?}",
            heard.name
        );
        assert!(
            pieces.len() - last < 30,
            "{} heard nothing at the end",
            heard.name
        );
    }
}

#[test]
fn a_talk_goes_on_under_a_million_strange_datagrams() {
    let server = ServerProcess::start().unwrap();
    let ann = Talker::join(&server, "ann", CHANNEL, 12, &["--repeat", "--open"]);
    let bob = Talker::join(&server, "bob", CHANNEL, 12, &["--repeat", "--open"]);
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
