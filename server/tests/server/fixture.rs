//! A running server with a folder of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use voxhall_protocol::link::Link;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_voxhall-server");
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    child: Child,
    folder: TempDir,
    args: Vec<String>,
    pub said: Value,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments.
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), args)
    }

    /// In a folder that is there already.
    pub fn start_in(folder: TempDir, args: &[&str]) -> Self {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (child, said) = launch(folder.path(), &args, 0);
        Self {
            child,
            folder,
            args,
            said,
        }
    }

    pub fn link(&self, which: &str) -> Link {
        self.said[which].as_str().unwrap().parse().unwrap()
    }

    pub fn invite_code(&self) -> String {
        self.link("invite").code.unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What all its starts have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub fn port(&self) -> u16 {
        self.link("invite").port
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end; how it ended and how long it took.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.ask_to_end();
        let asked = Instant::now();
        (self.wait(), asked.elapsed())
    }

    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(told.unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// On the same port with the same data.
    pub fn start_again(&mut self) {
        let port = self.port();
        (self.child, self.said) = launch(self.folder.path(), &self.args, port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// Runs the program until it ends, which it has to do by itself.
pub fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    (folder, path)
}

fn launch(folder: &Path, args: &[String], port: u16) -> (Child, Value) {
    // A file, which never fills up as a pipe does that nobody reads.
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["--announce", "json", "--public-host", "127.0.0.1"])
        .args(["--port", &port.to_string(), "--data"])
        .arg(folder.join("data"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let Ok(said) = serde_json::from_str(&line) else {
        child.kill().unwrap();
        child.wait().unwrap();
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        panic!("announced itself as {line:?}; its log:\n{log}");
    };
    (child, said)
}
