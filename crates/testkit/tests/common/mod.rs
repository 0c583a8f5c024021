//! People as processes: a bot that joins, speaks its own voice, and what it had heard when it left.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod someone;

use std::{path::Path, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use voxhall_testkit::{
    correlate::{Search, Summary},
    process::{BotProcess, finish_together},
    signal, speech, wav,
};

pub const RATE_HZ: u32 = 48_000;
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The default guild's voice channels.
pub const CHANNEL: &str = "lounge";
pub const OTHER_CHANNEL: &str = "hangout";

/// Nobody may be unheard for longer when the network changes.
pub const OVER_WITHIN: Duration = Duration::from_secs(3);
/// By then UDP is used again after it passes again.
pub const BACK_WITHIN: Duration = Duration::from_secs(10);

/// One bot with its files.
pub struct Talker {
    pub name: &'static str,
    bot: BotProcess,
    files: TempDir,
}

impl Talker {
    /// Joins `channel`, speaks the voice file of its name where there is one, and stays for `seconds`.
    pub fn join(
        link: &str,
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
        let bot = BotProcess::join(link, name, args).unwrap();
        Self { name, bot, files }
    }

    /// The first to leave takes all others along.
    pub fn finish_together<const N: usize>(all: [Self; N]) -> [Heard; N] {
        let names = all.each_ref().map(|one| one.name);
        let mut files = Vec::new();
        let bots = all.map(|one| {
            files.push(one.files);
            one.bot
        });
        let statistics = finish_together(bots, PATIENCE).unwrap();
        let mut files = files.into_iter();
        let mut names = names.into_iter();
        statistics.map(|stats| Heard {
            name: names.next().expect("one for each"),
            stats,
            files: files.next().expect("one for each"),
        })
    }

    pub fn finish(self) -> Heard {
        let stats = self.bot.finish(PATIENCE).unwrap();
        Heard {
            name: self.name,
            stats,
            files: self.files,
        }
    }
}

/// What a bot had heard when it left.
pub struct Heard {
    pub name: &'static str,
    pub stats: Value,
    files: TempDir,
}

impl Heard {
    pub fn mixed(&self) -> Vec<f32> {
        load(&self.files.path().join("mixed.wav"))
    }

    pub fn of(&self, speaker: &str) -> Option<Vec<f32>> {
        let file = self
            .files
            .path()
            .join("each")
            .join(format!("{speaker}.wav"));
        file.exists().then(|| load(&file))
    }

    /// No pause was as long as `limit`, and there was sound up to the end. Returns the longest pause.
    pub fn assert_silent_at_most(&self, limit: Duration) -> Duration {
        let (gap, end) = silences(&self.mixed());
        println!("{}: silent for {gap:?}, {}", self.name, self.stats);
        assert!(gap < limit, "{} was silent for {gap:?}", self.name);
        assert!(
            end < Duration::from_secs(3),
            "{} heard nothing at the end",
            self.name
        );
        gap
    }

    /// How voice travelled, in order.
    pub fn carriers(&self) -> Vec<&str> {
        let carriers = self.stats["carriers"].as_array().unwrap();
        carriers.iter().filter_map(|name| name.as_str()).collect()
    }

    pub fn delivery(&self, speaker: &str) -> f64 {
        let speakers = self.stats["speakers"].as_array().unwrap();
        let found = speakers.iter().find(|s| s["name"] == speaker);
        found.unwrap_or_else(|| panic!("{} heard no {speaker}: {}", self.name, self.stats))["delivery"].as_f64().unwrap()
    }
}

/// Where UDP was blocked for a while between who is far and all others: voice went another way in time, and came back.
pub fn assert_over_and_back(near: &Heard, far: &Heard) {
    assert_eq!(near.carriers(), ["udp"], "{}", near.stats);
    // QUIC needs UDP as well, and may be back before it is used as it is.
    let used = far.carriers().into_iter().filter(|name| *name != "quic");
    let used: Vec<_> = used.collect();
    assert_eq!(used, ["udp", "websocket", "udp"], "{}", far.stats);
    for heard in [near, far] {
        let gap = heard.assert_silent_at_most(OVER_WITHIN);
        assert!(gap > Duration::from_millis(200), "nothing was blocked");
    }
}

pub fn load(file: &Path) -> Vec<f32> {
    wav::load(file).unwrap().channels.swap_remove(0)
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

pub fn voice(name: &str) -> Vec<f32> {
    load(&speech::path(name).unwrap())
}

/// Writes a tone without a pause, when it is repeated.
pub fn save_tone(file: &Path) {
    wav::save(file, RATE_HZ, &signal::tone(RATE_HZ)).unwrap();
}

/// How much `heard` sounds like `said`, wherever it is in there: 0 to 1.
pub fn likeness(said: &[f32], heard: &[f32]) -> f64 {
    let search = Search {
        // A recording of one speaker leaves out what the detector took for silence.
        min_delay_s: -5.0,
        max_delay_s: 10.0,
        ..Search::new(RATE_HZ)
    };
    Summary::of(&search.find(said, heard), 0.0).map_or(0.0, |summary| summary.mean_correlation)
}

/// The longest stretch of silence between the first and the last sound, and the silence at the end.
pub fn silences(samples: &[f32]) -> (Duration, Duration) {
    signal::silences(samples, RATE_HZ).expect("something was heard")
}
