//! The real app in real windows, through the real server, with real sound: `scripts/test` runs this on a virtual sound card and
//! display. Alone: `scripts/sound-card run --clients a,b,c,d cargo test -p voxhall -- --ignored --test-threads 1`, with a display.

use std::{
    fs,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use voxhall_testkit::{
    correlate::{Search, Summary},
    process::ServerProcess,
    sound_card::SoundCard,
    speech, wav,
};

/// For a window to open, sign in and join, on a busy machine with a software renderer.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the recorder to be linked to everything.
const RECORDER_STARTS: Duration = Duration::from_millis(1500);
/// A window of speech counts as heard from here on. Coded at 64 kbit/s, it is usually above 0.95.
const HEARD: f64 = 0.8;
/// How many of the pieces have to be heard so.
const SHARE: f64 = 0.6;
/// What is heard can be compared with what was said only where nothing is done to it.
const AS_CAPTURED: &str = r#"{ "processing": { "echo": false, "noise": "off", "gain": false } }"#;
/// The same, sent always.
const OPEN_MICROPHONE: &str = r#"{
    "transmit": "open",
    "processing": { "echo": false, "noise": "off", "gain": false }
}"#;

/// A running app of one person, on that person's devices.
struct App {
    child: Child,
    folder: tempfile::TempDir,
}

impl App {
    fn start(person: &str, link: &str, settings: &str) -> Self {
        Self::start_with(person, link, settings, &[])
    }

    /// `more` are arguments; devices named there come before the person's own.
    fn start_with(person: &str, link: &str, settings: &str, more: &[&str]) -> Self {
        let mut arguments: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        for (option, device) in [
            ("--input-device", format!("mic_{person}_src")),
            ("--output-device", format!("speaker_{person}")),
        ] {
            if !more.contains(&option) {
                arguments.extend([option.to_owned(), format!("pulseaudio:{device}")]);
            }
        }
        Self::launch(person, link, settings, &arguments)
    }

    /// On whatever devices the system has as its defaults.
    fn start_on_defaults(person: &str, link: &str, settings: &str) -> Self {
        Self::launch(person, link, settings, &[])
    }

    fn launch(person: &str, link: &str, settings: &str, arguments: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("settings.json"), settings).expect("settings");
        let mut command = Command::new(env!("CARGO_BIN_EXE_voxhall"));
        command
            .arg(link)
            .args(["--name", person, "--data"])
            .arg(folder.path())
            .args(arguments);
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        command
            .env("VOXHALL_LOG", "voxhall=debug")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("the app starts");
        Self { child, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log says `words` for the `times`-th time.
    fn wait_for(&mut self, words: &str, times: usize) -> Duration {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.log().matches(words).count() >= times {
                return start.elapsed();
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the app ended with {status}:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "the app never said {words:?} {times} times:\n{}",
            self.log()
        );
    }

    fn in_voice(&mut self) {
        self.wait_for("voice path=Open(", 1);
        self.wait_for("opened a sound device direction=Output", 1);
    }

    /// Resident memory, MB.
    fn memory_mb(&self) -> f64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap_or("0");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<f64>()
            .unwrap_or(0.0)
            / 1024.0
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("an app logged:\n{}", self.log());
        }
    }
}

/// Records every microphone and speaker while `during` happens.
fn recorded(card: &SoundCard, seconds: f64, during: impl FnOnce()) -> Vec<Vec<f32>> {
    let file = tempfile::tempdir().expect("a folder");
    let path: PathBuf = file.path().join("everything.wav");
    let mut recorder = card.record(&path, seconds).expect("the recorder starts");
    thread::sleep(RECORDER_STARTS);
    during();
    assert!(recorder.wait().expect("the recorder ends").success());
    wav::load(&path).expect("a recording").channels
}

fn say(card: &SoundCard, person: &str) {
    let file = speech::path("speech").expect("speech to play");
    let mut player = card.play(person, &file).expect("the player starts");
    assert!(player.wait().expect("the player ends").success());
}

fn loudest(samples: &[f32]) -> f32 {
    samples
        .iter()
        .fold(0.0, |peak, sample| sample.abs().max(peak))
}

/// What `mic` heard has to have been played by `speaker`.
///
/// Short pieces are looked for: at the start of a burst of speech, and while the buffer adapts to a busy machine, sound is played a
/// little faster or slower, so that a long piece isn't alike all through. The bench is where delay and likeness are judged.
fn assert_heard(sound: &[Vec<f32>], mic: usize, speaker: usize, what: &str) {
    let search = Search {
        window_s: 0.1,
        ..Search::new(48_000)
    };
    let (said, played) = (&sound[mic], &sound[speaker]);
    let matches = search.find(said, played);
    let good: Vec<_> = matches
        .iter()
        .copied()
        .filter(|window| window.correlation >= HEARD)
        .collect();
    let summary =
        Summary::of(&matches, HEARD).unwrap_or_else(|| panic!("{what}: nothing was heard"));
    let holes_ms: f64 = search
        .dropouts(said, played, &good, 30.0)
        .iter()
        .map(|hole| hole.length_ms)
        .sum::<f64>()
        + 0.0;
    println!(
        "{what}: {} of {} pieces, correlation {:.3}, delay median {:.1} ms, p95 {:.1} ms, {holes_ms:.0} ms of holes",
        summary.found, summary.windows, summary.mean_correlation, summary.median_ms, summary.p95_ms
    );
    assert!(
        summary.windows > 30,
        "{what}: too little was said: {summary:?}"
    );
    assert!(
        summary.found as f64 >= SHARE * summary.windows as f64,
        "{what}: {summary:?}"
    );
    assert!(summary.mean_correlation > 0.9, "{what}: {summary:?}");
    assert!(summary.median_ms < 200.0, "{what}: {summary:?}");
    assert!(holes_ms < 500.0, "{what}: {holes_ms} ms of holes");
}

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
