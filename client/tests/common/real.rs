//! The real app as a process of its own, with the sound of a virtual sound card, and what is heard there.

#![allow(
    dead_code,
    reason = "each user of this module needs another part of it"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use voxhall_testkit::{
    correlate::{Search, Summary},
    sound_card::SoundCard,
    speech, wav,
};

/// For a window to open, sign in and join, on a busy machine with a software renderer.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// For the recorder to be linked to everything.
pub const RECORDER_STARTS: Duration = Duration::from_millis(1500);
/// A window of speech counts as heard from here on. Coded at 64 kbit/s, it is usually above 0.95.
const HEARD: f64 = 0.8;
/// How many of the pieces have to be heard so.
const SHARE: f64 = 0.6;
/// What is heard can be compared with what was said only where nothing is done to it.
pub const AS_CAPTURED: &str =
    r#"{ "processing": { "echo": false, "noise": "off", "gain": false } }"#;
/// The same, sent always.
pub const OPEN_MICROPHONE: &str = r#"{
    "transmit": "open",
    "processing": { "echo": false, "noise": "off", "gain": false }
}"#;

/// A running app of one person, on that person's devices.
pub struct App {
    child: Child,
    folder: Rc<tempfile::TempDir>,
}

impl App {
    pub fn start(person: &str, link: &str, settings: &str) -> Self {
        Self::start_with(person, link, settings, &[])
    }

    /// `more` are arguments; devices named there come before the person's own.
    pub fn start_with(person: &str, link: &str, settings: &str, more: &[&str]) -> Self {
        let mut arguments: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        for [option, device] in devices(person) {
            if !more.contains(&&*option) {
                arguments.extend([option, device]);
            }
        }
        Self::launch(person, link, settings, &arguments)
    }

    /// On whatever devices the system has as its defaults.
    pub fn start_on_defaults(person: &str, link: &str, settings: &str) -> Self {
        Self::launch(person, link, settings, &[])
    }

    fn launch(person: &str, link: &str, settings: &str, arguments: &[String]) -> Self {
        let who = [link, "--name", person].map(str::to_owned);
        let arguments = [&who[..], arguments].concat();
        Self::open(&kept(settings), &arguments, None)
    }

    /// With what an app kept in `folder`, and one more variable of the environment.
    pub fn open(
        folder: &Rc<tempfile::TempDir>,
        arguments: &[String],
        variable: Option<(&str, String)>,
    ) -> Self {
        let log = fs::File::create(log_path(folder.path())).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_voxhall"));
        command
            .arg("--data")
            .arg(folder.path())
            .args(arguments)
            .env("VOXHALL_LOG", "voxhall=debug")
            .env("NO_COLOR", "1")
            .envs(variable)
            .stdin(Stdio::null())
            .stderr(log);
        Self {
            child: command.spawn().expect("the app starts"),
            folder: Rc::clone(folder),
        }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the app goes on");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(log_path(self.folder.path())).unwrap_or_default()
    }

    /// Waits until the log says `words` for the `times`-th time.
    pub fn wait_for(&mut self, words: &str, times: usize) -> Duration {
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

    pub fn in_voice(&mut self) {
        self.wait_for("voice path=Open(", 1);
        self.wait_for("opened a sound device direction=Output", 1);
    }

    /// Resident memory, MB.
    pub fn memory_mb(&self) -> f64 {
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

/// A folder for an app to keep its things in, with settings that were made before.
pub fn kept(settings: &str) -> Rc<tempfile::TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("settings.json"), settings).expect("settings");
    Rc::new(folder)
}

/// Arguments that give a person's devices to an app.
pub fn devices(person: &str) -> [[String; 2]; 2] {
    [
        ("--input-device", format!("pulseaudio:mic_{person}_src")),
        ("--output-device", format!("pulseaudio:speaker_{person}")),
    ]
    .map(|(option, device)| [option.to_owned(), device])
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// Records every microphone and speaker while `during` happens.
pub fn recorded(card: &SoundCard, seconds: f64, during: impl FnOnce()) -> Vec<Vec<f32>> {
    let file = tempfile::tempdir().expect("a folder");
    let path: PathBuf = file.path().join("everything.wav");
    let mut recorder = card.record(&path, seconds).expect("the recorder starts");
    thread::sleep(RECORDER_STARTS);
    during();
    assert!(recorder.wait().expect("the recorder ends").success());
    wav::load(&path).expect("a recording").channels
}

pub fn say(card: &SoundCard, person: &str) {
    let file = speech::path("speech").expect("speech to play");
    let mut player = card.play(person, &file).expect("the player starts");
    assert!(player.wait().expect("the player ends").success());
}

pub fn loudest(samples: &[f32]) -> f32 {
    samples
        .iter()
        .fold(0.0, |peak, sample| sample.abs().max(peak))
}

/// What `mic` heard has to be found in what `speaker` played, well or badly.
///
/// How well is judged in `real_sound.rs` and by the bench. Here it is whether people reach each other at all, with two windows drawn
/// and read on whatever machine: far more is found than by chance, which is what the same speech has in common with itself later.
pub fn assert_reaches(sound: &[Vec<f32>], mic: usize, speaker: usize, what: &str) {
    let search = Search {
        window_s: 0.1,
        ..Search::new(48_000)
    };
    let (said, played) = (&sound[mic], &sound[speaker]);
    let mut later = said.clone();
    later.rotate_left(said.len() / 2);
    let by_chance = Summary::of(&search.find(&later, played), HEARD).map_or(0, |it| it.found);
    let summary = Summary::of(&search.find(said, played), HEARD)
        .unwrap_or_else(|| panic!("{what}: nothing was heard"));
    println!(
        "{what}: {} of {} pieces, {by_chance} by chance, delay median {:.0} ms",
        summary.found, summary.windows, summary.median_ms
    );
    assert!(
        summary.windows > 30,
        "{what}: too little was said: {summary:?}"
    );
    assert!(
        summary.found >= 5 && summary.found > 3 * by_chance,
        "{what}: {by_chance} by chance, {summary:?}"
    );
}

/// What `mic` heard has to have been played by `speaker`.
///
/// Short pieces are looked for: at the start of a burst of speech, and while the buffer adapts to a busy machine, sound is played a
/// little faster or slower, so that a long piece isn't alike all through. The bench is where delay and likeness are judged.
pub fn assert_heard(sound: &[Vec<f32>], mic: usize, speaker: usize, what: &str) {
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
