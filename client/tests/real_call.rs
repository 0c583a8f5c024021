//! A call between two real apps, by what a screen reader says of their windows, with real sound: `scripts/test` runs this on a
//! virtual sound card and display. Alone: `scripts/sound-card run --clients a,b,c,d cargo test -p voxhall --test real_call --
//! --ignored --test-threads 1`, with a display.
#![cfg(all(unix, not(target_os = "macos")))]

#[path = "common/reader.rs"]
mod reader;
#[path = "common/real.rs"]
mod real;

use std::{
    thread,
    time::{Duration, Instant},
};

use reader::Seat;
use real::{OPEN_MICROPHONE, assert_reaches, devices, recorded, say};
use voxhall::audio::Sound;
use voxhall_testkit::{
    correlate::{Search, Summary},
    process::ServerProcess,
    proxy::{Path, Proxy},
    screen_reader::ScreenReader,
    sound_card::SoundCard,
};

/// How long a call waits for somebody who lost the connection.
const GRACE: Duration = Duration::from_secs(30);
const RATE_HZ: u32 = 48_000;

#[test]
#[ignore = "needs scripts/sound-card and a display"]
fn a_call_rings_is_accepted_survives_a_lost_network_and_is_in_both_histories() {
    let card = SoundCard::from_env().expect("a sound card");
    let reader = ScreenReader::start().expect("a screen reader");
    let server = ServerProcess::start().expect("a server");
    let proxy = Proxy::start(server.address(), Path::default(), 1).expect("a proxy");
    let (mic_a, speaker_a) = card.channel("a");
    let (mic_b, speaker_b) = card.channel("b");

    let ann = account(&reader, "a", server.invite(), "Ann");
    let bea = account(&reader, "b", &proxy.through(server.invite()), "Bea");
    bea.step_aside();

    ann.befriend("Ann", &bea, "Bea");

    // It rings until she answers, and she is in no hurry.
    let mut called = Instant::now();
    let sound = recorded(&card, 6.0, || {
        ann.click("Call Bea");
        called = Instant::now();
        bea.see("Ann is calling");
        println!("seen {:.0} ms after the click", ms(called.elapsed()));
    });
    let began = Instant::now() - seconds(&sound[speaker_b]);
    let rings = heard(Sound::Ring, &sound[speaker_b]).expect("it rings at the other's");
    let back = heard(Sound::RingBack, &sound[speaker_a]).expect("the caller hears it ring");
    let rang = (began + rings).duration_since(called);
    println!(
        "rings {:.1} s after the click (to 0.2 s); the caller hears it ring {:.0} ms later",
        rang.as_secs_f64(),
        1e3 * (back.as_secs_f64() - rings.as_secs_f64()),
    );
    // The first ring, or the one behind it where the speakers were not open in time.
    assert!(rang < Duration::from_secs(5), "{rang:?}");

    bea.click("Accept");
    println!(
        "accepted, and talking {:.0} ms later",
        ms(ann.time_until("Hang up"))
    );
    bea.see("Quality: Voice connected");
    ann.see("Quality: Voice connected");
    thread::sleep(Duration::from_secs(1));
    let sound = recorded(&card, 13.0, || say(&card, "a"));
    assert_reaches(&sound, mic_a, speaker_b, "caller to called");
    let sound = recorded(&card, 13.0, || say(&card, "b"));
    assert_reaches(&sound, mic_b, speaker_a, "called to caller");

    let cut = Instant::now();
    proxy.allow_control(false);
    proxy.black_hole(true);
    println!(
        "missed after {:.1} s",
        ann.time_until("Bea connection lost, waiting for them…")
            .as_secs_f64()
    );
    bea.see("Try now");
    thread::sleep(Duration::from_secs(6).saturating_sub(cut.elapsed()));
    assert!(cut.elapsed() < GRACE, "the call still waits");
    proxy.black_hole(false);
    proxy.allow_control(true);
    let returned = Instant::now();
    ann.no_longer_see("Bea connection lost");
    bea.see("Quality: Voice connected");
    println!(
        "back {:.1} s after the network",
        returned.elapsed().as_secs_f64()
    );
    assert!(cut.elapsed() < GRACE, "the call went on");
    let sound = recorded(&card, 13.0, || say(&card, "b"));
    assert_reaches(&sound, mic_b, speaker_a, "called to caller, after the cut");

    ann.click("Hang up");
    ann.see("You hung up.");
    bea.see("Ann hung up.");
    for (person, other, direction) in [(&ann, "Bea", "outgoing"), (&bea, "Ann", "incoming")] {
        person.click("Close");
        person.click("Settings");
        person.click("Account");
        person.click("Call history");
        person.see(&format!("{direction}, 0"));
        person.see(other);
        person.click("Close calls");
    }
}

/// Somebody on their own devices.
fn account<'a>(reader: &'a ScreenReader, person: &str, link: &str, name: &str) -> Seat<'a> {
    Seat::account(
        reader,
        OPEN_MICROPHONE,
        link,
        name,
        &devices(person).concat(),
    )
}

/// When a sound of the app is first heard in a recording.
fn heard(sound: Sound, recording: &[f32]) -> Option<Duration> {
    let samples = sound.samples();
    let search = Search {
        window_s: 0.3,
        max_delay_s: seconds(recording).as_secs_f64(),
        ..Search::new(RATE_HZ)
    };
    let summary = Summary::of(&search.find(&samples, recording), 0.8)?;
    Some(Duration::from_secs_f64(summary.min_ms.max(0.0) / 1e3))
}

fn seconds(recording: &[f32]) -> Duration {
    Duration::from_secs_f64(recording.len() as f64 / f64::from(RATE_HZ))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
