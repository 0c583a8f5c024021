//! The example client of the documentation, in Python, against a real server.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use voxhall_testkit::process::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn the_example_client_talks_and_comes_back_without_losing_a_message() {
    let mut server = ServerProcess::start().unwrap();
    let mut ann = Example::start(server.invite(), "Ann");
    ann.prints("In Voxhall as Ann.");
    let mut bob = Example::start(server.invite(), "Bob");
    bob.prints("In Voxhall as Bob.");
    ann.types("hello, said once");
    bob.prints("Ann: hello, said once");

    server.kill9().unwrap();
    ann.types("said while nobody listened");
    server.restart().unwrap();
    bob.prints("In Voxhall as Bob.");
    ann.prints("Ann: said while nobody listened");
    bob.prints("Ann: said while nobody listened");
    bob.types("and an answer");
    ann.prints("Bob: and an answer");
    ann.ends_well();
    bob.ends_well();
}

#[test]
fn the_example_client_refuses_another_certificate_and_passes_on_the_servers_words() {
    let server = ServerProcess::start().unwrap();
    let (address, _) = server.invite().split_once('#').unwrap();
    let words = Example::start(&format!("{address}#{}", "A".repeat(43)), "Eve").fails();
    assert!(words.contains("certificate is not the one"), "{words}");

    let (address, pin) = server.invite().split_once('#').unwrap();
    let host = address.rsplit_once('/').unwrap().0;
    let words = Example::start(&format!("{host}/nosuchcode12#{pin}"), "Eve").fails();
    assert!(words.contains("does not know this invite"), "{words}");
}

/// A Python that has the package `websockets`: the user's own, or the system's.
fn python() -> &'static str {
    let works = |python: &&str| {
        let import = Command::new(python)
            .args(["-c", "import websockets"])
            .stderr(Stdio::null())
            .status();
        import.is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(works)
        .expect("no Python with the package websockets; scripts/packages test installs one")
}

struct Example {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Example {
    fn start(link: &str, name: &str) -> Self {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/protocol/example/client.py"
        );
        let mut process = Command::new(python())
            .args(["-B", script, link, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::sync_channel(1_000);
        std::thread::Builder::new()
            .name("example output".into())
            .spawn(move || {
                for line in stdout.lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            })
            .unwrap();
        Self {
            process,
            stdin,
            lines,
        }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for that line, which must come once.
    fn prints(&mut self, wanted: &str) {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == wanted => return,
                Ok(line) => before.push(line),
                Err(error) => panic!(
                    "no {wanted:?} ({error}) after {before:?}; {}",
                    self.complaint()
                ),
            }
        }
    }

    /// What is left after the last line is no message a second time.
    fn ends_well(mut self) {
        drop(self.stdin.take());
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{}", self.complaint());
        let rest: Vec<_> = self.lines.iter().collect();
        assert!(rest.iter().all(|line| !line.contains("said")), "{rest:?}");
    }

    fn fails(mut self) -> String {
        assert!(!self.process.wait().unwrap().success());
        self.complaint()
    }

    fn complaint(&mut self) -> String {
        let _ = self.process.kill();
        let stderr = self.process.stderr.take().unwrap();
        std::io::read_to_string(stderr).unwrap()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
