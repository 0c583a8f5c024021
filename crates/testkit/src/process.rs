//! The real programs as fixtures: started on free ports with temporary data, killed when dropped.
//!
//! The programs are looked for in `VOXHALL_BIN_DIR`; without it cargo builds them first, so that a test never
//! runs an old one. When a test panics, the end of the program's log is printed.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::workspace;

/// How long a program may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `voxhall-server`.
#[derive(Debug)]
pub struct ServerProcess {
    program: Program,
    data: TempDir,
    args: Vec<OsString>,
    announcement: Announcement,
}

/// What a server says about itself when it listens.
#[derive(Clone, Debug)]
struct Announcement {
    address: SocketAddr,
    udp_address: SocketAddr,
    invite: String,
    owner: Option<String>,
}

impl ServerProcess {
    /// Starts a server with fresh data on a free port, and waits until it listens.
    pub fn start() -> io::Result<Self> {
        Self::start_with([])
    }

    /// The same with more arguments.
    pub fn start_with<'a>(args: impl IntoIterator<Item = &'a str>) -> io::Result<Self> {
        Self::start_prepared(|_| Ok(()), args)
    }

    /// The same, its data folder being made ready by `prepare` before it starts.
    pub fn start_prepared<'a>(
        prepare: impl FnOnce(&Path) -> io::Result<()>,
        args: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let data = tempfile::tempdir()?;
        prepare(data.path())?;
        let args: Vec<_> = args.into_iter().map(OsString::from).collect();
        let (program, announcement) = Self::launch(data.path(), &args, 0)?;
        Ok(Self {
            program,
            data,
            args,
            announcement,
        })
    }

    /// TCP: control.
    pub fn address(&self) -> SocketAddr {
        self.announcement.address
    }

    /// UDP: voice.
    pub fn udp_address(&self) -> SocketAddr {
        self.announcement.udp_address
    }

    /// The link that guests join by.
    pub fn invite(&self) -> &str {
        &self.announcement.invite
    }

    /// The one-time link whose user becomes the owner; `None` once there is one.
    pub fn owner(&self) -> Option<&str> {
        self.announcement.owner.as_deref()
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The operating system's number of the process.
    pub fn id(&self) -> u32 {
        self.program.child.id()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Ends the server without any warning, as a power cut would.
    pub fn kill9(&mut self) -> io::Result<()> {
        self.program.kill9()
    }

    /// Asks the server to end (SIGTERM) and waits until it has.
    pub fn terminate(&mut self) -> io::Result<ExitStatus> {
        self.program.terminate()
    }

    /// Starts the ended server again with the same data on the same port.
    pub fn restart(&mut self) -> io::Result<()> {
        self.program.kill9()?;
        let port = self.announcement.address.port();
        (self.program, self.announcement) = Self::launch(self.data.path(), &self.args, port)?;
        Ok(())
    }

    fn launch(data: &Path, args: &[OsString], port: u16) -> io::Result<(Program, Announcement)> {
        let mut command = Command::new(program_path("voxhall-server")?);
        command.args(["--announce", "json", "--public-host", "127.0.0.1"]);
        command
            .args(["--port", &port.to_string(), "--data"])
            .arg(data)
            .args(args);
        let mut program = Program::start(command)?;
        let line = program.first_line()?;
        let announcement = announcement(&line)
            .ok_or_else(|| program.error(&format!("announced itself as {line:?}")))?;
        Ok((program, announcement))
    }
}

fn announcement(line: &str) -> Option<Announcement> {
    let said: Value = serde_json::from_str(line).ok()?;
    let text = |field: &str| said[field].as_str();
    Some(Announcement {
        address: text("address")?.parse().ok()?,
        udp_address: text("udp_address")?.parse().ok()?,
        invite: text("invite")?.to_owned(),
        owner: text("owner").map(str::to_owned),
    })
}

/// A running `voxhall-bot join`.
#[derive(Debug)]
pub struct BotProcess {
    program: Program,
}

impl BotProcess {
    /// Starts a bot that joins by `link` as `name`, with more arguments as its help lists them, such as
    /// `["--channel", "lounge", "--play", "speech.wav", "--seconds", "10"]`.
    pub fn join<'a>(
        link: &str,
        name: &str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let mut command = Command::new(program_path("voxhall-bot")?);
        command
            .args(["join", link, "--name", name, "--stats"])
            .args(args);
        Ok(Self {
            program: Program::start(command)?,
        })
    }

    /// What the bot has logged so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Ends the bot without any warning.
    pub fn kill9(&mut self) -> io::Result<()> {
        self.program.kill9()
    }

    /// Whether the bot has left by itself.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.program.child.try_wait()?.is_some())
    }

    /// Has the bot leave now (SIGINT), with all that it does when its time is over.
    pub fn leave(&self) -> io::Result<()> {
        self.program.signal("INT")
    }

    /// Waits until the bot has left, and gives its statistics. An error when it fails or takes longer.
    pub fn finish(mut self, within: Duration) -> io::Result<Value> {
        let status = self.program.wait(within)?;
        if !status.success() {
            return Err(self.program.error(&format!("ended with {status}")));
        }
        let said = self.program.output();
        let last = said.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .map_err(|error| self.program.error(&format!("last said {last:?} ({error})")))
    }
}

/// Waits until the first of them leaves, has the others leave with it, and gives the statistics of all.
///
/// Otherwise who began last would talk to nobody at the end, and who began first would hear nobody, for as long as a slow machine took to
/// start them.
pub fn finish_together<const N: usize>(
    mut bots: [BotProcess; N],
    within: Duration,
) -> io::Result<[Value; N]> {
    let patience = Instant::now() + within;
    loop {
        let mut ended = [false; N];
        for (ended, bot) in ended.iter_mut().zip(&mut bots) {
            *ended = bot.has_ended()?;
        }
        if ended.contains(&true) {
            for (_, bot) in ended.iter().zip(&bots).filter(|(ended, _)| !**ended) {
                bot.leave()?;
            }
            break;
        }
        if Instant::now() > patience {
            return Err(io::Error::other("nobody left in time"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    let mut statistics = [const { Value::Null }; N];
    for (statistics, bot) in statistics.iter_mut().zip(bots) {
        *statistics = bot.finish(within)?;
    }
    Ok(statistics)
}

/// A child process whose output goes to files, so that it never waits for a reader.
#[derive(Debug)]
struct Program {
    name: String,
    child: Child,
    files: TempDir,
}

impl Program {
    fn start(mut command: Command) -> io::Result<Self> {
        let name = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let files = tempfile::tempdir()?;
        command.stdin(Stdio::null());
        command.stdout(File::create(files.path().join("stdout"))?);
        command.stderr(File::create(files.path().join("stderr"))?);
        let child = command.spawn()?;
        Ok(Self { name, child, files })
    }

    fn output(&self) -> String {
        fs::read_to_string(self.files.path().join("stdout")).unwrap_or_default()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("stderr")).unwrap_or_default()
    }

    fn first_line(&mut self) -> io::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = self.child.try_wait()?;
            if let Some((line, _)) = self.output().split_once('\n') {
                return Ok(line.to_owned());
            }
            if let Some(status) = ended {
                return Err(self.error(&format!("ended with {status} before it was ready")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(self.error("was not ready in time"))
    }

    fn wait(&mut self, within: Duration) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(self.error(&format!("did not end within {within:?}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn kill9(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn terminate(&mut self) -> io::Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait(PATIENCE)
    }

    /// A signal to a program that is not waited for yet, so that its number is still its own.
    fn signal(&self, name: &str) -> io::Result<()> {
        // The standard library only knows SIGKILL.
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-s", name, &pid]).status()?;
        Ok(())
    }

    fn error(&self, what: &str) -> io::Error {
        io::Error::other(format!("{} {what}\n{}", self.name, self.log_end()))
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(40);
        log.lines()
            .skip(skipped)
            .map(|line| format!("  {line}\n"))
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.kill9();
        if thread::panicking() {
            eprintln!("{} logged last:\n{}", self.name, self.log_end());
        }
    }
}

/// Where a program of this workspace is, freshly built if nobody said where. Built once a process: a server that
/// a test starts again is the same program, and back at once.
pub fn program_path(name: &str) -> io::Result<PathBuf> {
    static KNOWN: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("no holder panics");
    if let Some(path) = known.get(name) {
        return Ok(path.clone());
    }
    let path = find_or_build(name)?;
    known.insert(name.to_owned(), path.clone());
    Ok(path)
}

fn find_or_build(name: &str) -> io::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("VOXHALL_BIN_DIR") {
        let path = Path::new(&folder).join(name);
        if path.exists() {
            return Ok(path);
        }
        return Err(io::Error::other(format!("VOXHALL_BIN_DIR has no {name}")));
    }
    let folder = profile_folder()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace())
        .args(["build", "--quiet", "--package", name]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    if !cargo.status()?.success() {
        return Err(io::Error::other(format!("cargo could not build {name}")));
    }
    Ok(folder.join(name))
}

/// `target/debug` or `target/release`, whichever this test or benchmark was built into.
fn profile_folder() -> io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this
        .ancestors()
        .find(|folder| folder.ends_with("debug") || folder.ends_with("release"));
    folder.map(Path::to_owned).ok_or_else(|| {
        io::Error::other(format!(
            "{} is in no target folder; say where the programs are in VOXHALL_BIN_DIR",
            this.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::start(command).expect("there is a shell")
    }

    #[test]
    fn an_announcement_is_read() {
        let line = r#"{"address":"127.0.0.1:9000","udp_address":"127.0.0.1:9000","invite":"voxhall://a","owner":null}"#;
        let said = announcement(line).expect("complete");
        assert_eq!(said.address.port(), 9000);
        assert_eq!((said.invite.as_str(), said.owner), ("voxhall://a", None));
        assert!(announcement("{}").is_none());
        assert!(announcement("listening").is_none());
    }

    #[test]
    fn a_program_that_ends_early_is_an_error_with_its_log() {
        let error = shell("echo 'port 9000 is in use' >&2; exit 3")
            .first_line()
            .expect_err("it ended");
        let text = error.to_string();
        assert!(
            text.contains("port 9000 is in use") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn a_program_is_asked_to_end_and_may_take_its_time() {
        let mut program =
            shell("trap 'sleep 0.1; exit 7' TERM; echo ready; while :; do sleep 0.02; done");
        assert_eq!(program.first_line().expect("ready"), "ready");
        assert_eq!(program.terminate().expect("ends").code(), Some(7));
    }

    #[test]
    fn a_program_that_goes_on_is_an_error_after_its_time() {
        let error = shell("sleep 60")
            .wait(Duration::from_millis(50))
            .expect_err("still running");
        assert!(error.to_string().contains("did not end"), "{error}");
    }

    #[test]
    fn the_statistics_are_the_last_line() {
        let bot = BotProcess {
            program: shell(r#"echo joined; echo '{"sent":3}'"#),
        };
        assert_eq!(bot.finish(PATIENCE).expect("ends")["sent"], 3);
        let bot = BotProcess {
            program: shell("echo 'wrong link' >&2; exit 1"),
        };
        assert!(
            bot.finish(PATIENCE)
                .expect_err("fails")
                .to_string()
                .contains("wrong link")
        );
    }
}
