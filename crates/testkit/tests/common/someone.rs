//! One person: a profile file, and bots that use it one after the other.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use voxhall_testkit::{process::program_path, speech};

use super::{load, path};

pub struct Someone {
    pub name: &'static str,
    folder: TempDir,
}

impl Someone {
    pub fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { name, folder }
    }

    pub fn guest(link: &str, name: &'static str) -> Self {
        let someone = Self::new(name);
        someone.run(&["guest", link, name]);
        someone
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program_path("voxhall-bot").unwrap());
        command
            .current_dir(self.folder.path())
            .args(["--json", "--profile", "me.json"])
            .args(args)
            .env("PASSWORD", "correct horse battery")
            .env("NEW_PASSWORD", "better horse battery");
        command
    }

    /// What was printed, a value for each line, or the complaint.
    pub fn try_run(&self, args: &[&str]) -> Result<Vec<Value>, String> {
        let output = self.command(args).output().unwrap();
        if output.status.success() {
            Ok(lines(&String::from_utf8(output.stdout).unwrap()))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    pub fn run(&self, args: &[&str]) -> Vec<Value> {
        self.try_run(args)
            .unwrap_or_else(|why| panic!("{args:?}: {why}"))
    }

    pub fn one(&self, args: &[&str]) -> Value {
        self.run(args)
            .pop()
            .unwrap_or_else(|| panic!("{args:?} said nothing"))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Speaks the voice of its name again and again, and records what it hears.
    pub fn talk(&self, args: &[&str]) -> Talking {
        let said = self.file("said.jsonl");
        let heard = self.file("heard.wav");
        let voice = speech::path(self.name).unwrap();
        let mut command = self.command(args);
        command
            .args(["--play", path(&voice), "--repeat", "--open"])
            .args(["--record", path(&heard)])
            .stdin(Stdio::null())
            .stdout(File::create(&said).unwrap())
            .stderr(Stdio::inherit());
        let bot = command.spawn().unwrap();
        Talking { bot, said, heard }
    }
}

/// What a bot has printed so far; it may be in the midst of a line.
pub fn lines(text: &str) -> Vec<Value> {
    let complete = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    complete
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A bot in a call or a room, or on its way there.
pub struct Talking {
    bot: Child,
    said: PathBuf,
    heard: PathBuf,
}

impl Talking {
    pub fn said(&self) -> Vec<Value> {
        lines(&fs::read_to_string(&self.said).unwrap())
    }

    /// Waits until the bot has said something with this field.
    pub fn until(&self, field: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.said().iter().any(|line| line.get(field).is_some()) {
            assert!(Instant::now() < deadline, "no {field}: {:?}", self.said());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The bot's last word, and what it heard.
    pub fn finish(mut self) -> (Value, Vec<f32>) {
        self.bot.wait().unwrap();
        let last = self.said().pop().expect("a bot says how it ended");
        (last, load(&self.heard))
    }

    pub fn kill9(self) {
        drop(self);
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.bot.kill();
        let _ = self.bot.wait();
    }
}
