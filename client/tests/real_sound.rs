//! The real app in real windows, through the real server, with real sound: `scripts/test` runs this on a virtual sound card and
//! display. Alone: `scripts/sound-card run --clients a,b,c,d cargo test -p voxhall -- --ignored --test-threads 1`, with a display.

#[path = "common/real.rs"]
mod real;

use std::{
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use real::{
    AS_CAPTURED, App, OPEN_MICROPHONE, RECORDER_STARTS, assert_heard, loudest, recorded, say,
};
use voxhall_testkit::{process::ServerProcess, sound_card::SoundCard};

#[test]
#[ignore = "needs scripts/sound-card"]
fn two_people_hear_each_other_and_not_themselves() {
    let card = SoundCard::from_env().expect("a sound card");
    let server = ServerProcess::start().expect("a server");
    let owner = server
        .owner()
        .expect("a fresh server has an owner link")
        .to_owned();
    let (mic_a, speaker_a) = card.channel("a");
    let (mic_b, speaker_b) = card.channel("b");

    let begin = Instant::now();
    let mut a = App::start("a", &owner, AS_CAPTURED);
    a.in_voice();
    println!(
        "from start to in voice: {:.0} ms",
        begin.elapsed().as_secs_f64() * 1e3
    );
    let mut b = App::start("b", server.invite(), AS_CAPTURED);
    b.in_voice();
    // The sounds of arriving are over.
    thread::sleep(Duration::from_secs(1));

    let sound = recorded(&card, 13.0, || say(&card, "a"));
    assert_heard(&sound, mic_a, speaker_b, "a to b");
    let echo = loudest(&sound[speaker_a]);
    assert!(
        echo < 1e-3,
        "a hears something at {echo} while only a speaks"
    );

    let sound = recorded(&card, 13.0, || say(&card, "b"));
    assert_heard(&sound, mic_b, speaker_a, "b to a");
    let echo = loudest(&sound[speaker_b]);
    assert!(
        echo < 1e-3,
        "b hears something at {echo} while only b speaks"
    );
    println!(
        "memory: a {:.0} MB, b {:.0} MB",
        a.memory_mb(),
        b.memory_mb()
    );
}

#[test]
#[ignore = "needs scripts/sound-card"]
fn after_the_server_was_killed_both_are_back_and_talking_within_five_seconds() {
    let card = SoundCard::from_env().expect("a sound card");
    let mut server = ServerProcess::start().expect("a server");
    let (mic_a, _) = card.channel("a");
    let (_, speaker_b) = card.channel("b");
    let mut a = App::start("a", server.invite(), OPEN_MICROPHONE);
    let mut b = App::start("b", server.invite(), OPEN_MICROPHONE);
    a.in_voice();
    b.in_voice();
    thread::sleep(Duration::from_secs(1));

    let sound = recorded(&card, 13.0, || say(&card, "a"));
    assert_heard(&sound, mic_a, speaker_b, "a to b, before");

    server.kill9().expect("the server dies");
    server.restart().expect("the server starts again");
    let restarted = Instant::now();
    a.wait_for("voice path=Open(", 2);
    b.wait_for("voice path=Open(", 2);
    println!(
        "both in voice again {:.0} ms after the server",
        restarted.elapsed().as_secs_f64() * 1e3
    );
    thread::sleep(Duration::from_secs(5).saturating_sub(restarted.elapsed() + RECORDER_STARTS));
    let sound = recorded(&card, 13.0, || {
        assert!(
            restarted.elapsed() < Duration::from_secs(6),
            "too late: {:?}",
            restarted.elapsed()
        );
        say(&card, "a");
    });
    assert_heard(
        &sound,
        mic_a,
        speaker_b,
        "a to b, after the server was killed",
    );
}

#[test]
#[ignore = "needs scripts/sound-card"]
fn another_channel_hears_nothing() {
    let card = SoundCard::from_env().expect("a sound card");
    let server = ServerProcess::start().expect("a server");
    let mut a = App::start("a", server.invite(), "{}");
    let mut b = App::start_with("b", server.invite(), "{}", &["--join", "hangout"]);
    a.in_voice();
    b.in_voice();
    thread::sleep(Duration::from_secs(1));
    let (mic_a, speaker_a) = card.channel("a");
    let (_, speaker_b) = card.channel("b");
    let sound = recorded(&card, 6.0, || say(&card, "a"));
    assert!(loudest(&sound[mic_a]) > 0.05, "a spoke");
    assert!(loudest(&sound[speaker_b]) < 1e-3, "b is in another channel");
    assert!(loudest(&sound[speaker_a]) < 1e-3, "nobody hears themselves");
}

#[test]
#[ignore = "needs scripts/sound-card"]
fn a_new_default_device_is_followed_within_a_second_in_the_midst_of_a_talk() {
    let card = SoundCard::from_env().expect("a sound card");
    let server = ServerProcess::start().expect("a server");
    let (mic_b, _) = card.channel("b");
    let (_, speaker_c) = card.channel("c");
    let mut a = App::start_on_defaults("a", server.invite(), OPEN_MICROPHONE);
    let mut b = App::start("b", server.invite(), OPEN_MICROPHONE);
    a.in_voice();
    b.in_voice();
    a.wait_for("direction=Output device=pulseaudio:speaker_a", 1);
    a.wait_for("direction=Input device=pulseaudio:mic_a_src", 1);

    let _as_before = Defaults;
    for (kind, device, direction) in [
        ("sink", "speaker_c", "Output"),
        ("source", "mic_c_src", "Input"),
    ] {
        set_default(kind, device);
        let followed = a.wait_for(
            &format!("direction={direction} device=pulseaudio:{device}"),
            1,
        );
        println!(
            "the new default {kind} is in use after {:.0} ms",
            followed.as_secs_f64() * 1e3
        );
        assert!(followed < Duration::from_secs(1), "{kind}: {followed:?}");
    }
    let sound = recorded(&card, 13.0, || say(&card, "b"));
    assert_heard(&sound, mic_b, speaker_c, "b to a's new default speakers");
}

fn set_default(kind: &str, device: &str) {
    let done = Command::new("pactl")
        .args([&format!("set-default-{kind}"), device])
        .status()
        .expect("pactl runs");
    assert!(done.success(), "{device} can't be the default {kind}");
}

/// Gives the first person their defaults back, however a test ends.
struct Defaults;

impl Drop for Defaults {
    fn drop(&mut self) {
        set_default("sink", "speaker_a");
        set_default("source", "mic_a_src");
    }
}

#[test]
#[ignore = "needs scripts/sound-card"]
fn a_headset_pulled_out_does_not_end_the_talk_and_is_used_again_when_it_is_back() {
    let card = SoundCard::from_env().expect("a sound card");
    let server = ServerProcess::start().expect("a server");
    let (mic_b, _) = card.channel("b");
    let (_, default_speaker) = card.channel("a");
    let mut headset = Headset::plug_in("headset");
    let mut a = App::start_with(
        "a",
        server.invite(),
        OPEN_MICROPHONE,
        &["--output-device", "pulseaudio:headset"],
    );
    let mut b = App::start("b", server.invite(), OPEN_MICROPHONE);
    a.in_voice();
    b.in_voice();
    a.wait_for("direction=Output device=pulseaudio:headset", 1);

    headset.pull_out();
    let fallen_back = a.wait_for("direction=Output device=pulseaudio:speaker_a", 1);
    println!(
        "on the default speakers after {:.0} ms",
        fallen_back.as_secs_f64() * 1e3
    );
    let sound = recorded(&card, 13.0, || say(&card, "b"));
    assert_heard(&sound, mic_b, default_speaker, "b to a's default speakers");

    let _headset = Headset::plug_in("headset");
    let back = a.wait_for("direction=Output device=pulseaudio:headset", 2);
    println!(
        "on the headset again after {:.0} ms",
        back.as_secs_f64() * 1e3
    );
}

/// Speakers that can go away.
struct Headset {
    module: String,
}

impl Headset {
    fn plug_in(name: &str) -> Self {
        let mut module = String::new();
        let mut pactl = Command::new("pactl")
            .args([
                "load-module",
                "module-null-sink",
                &format!("sink_name={name}"),
                "channels=1",
                "rate=48000",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("pactl runs");
        pactl
            .stdout
            .take()
            .expect("piped")
            .read_to_string(&mut module)
            .expect("a module's number");
        assert!(pactl.wait().expect("pactl ends").success());
        Self {
            module: module.trim().to_owned(),
        }
    }

    fn pull_out(&mut self) {
        if !self.module.is_empty() {
            let status = Command::new("pactl")
                .args(["unload-module", &self.module])
                .status()
                .expect("pactl runs");
            assert!(status.success());
            self.module.clear();
        }
    }
}

impl Drop for Headset {
    fn drop(&mut self) {
        if !self.module.is_empty() {
            let _ = Command::new("pactl")
                .args(["unload-module", &self.module])
                .status();
        }
    }
}
