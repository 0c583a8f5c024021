//! The app in a window on a virtual display, beside a window with nothing in it: first frame, in a channel, memory, and what it costs while
//! nothing happens. Both are drawn by the same software renderer.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use eframe::egui;
use serde::Serialize;
use voxhall_testkit::{
    display::Display,
    process::{ServerProcess, program_path},
};

use crate::{
    proc_fs::{CpuTime, rss_kib},
    table::{heading, row},
};

/// The size that the app begins with.
const SIZE: [f32; 2] = [1100.0, 720.0];
/// Started so often in turn; the median counts.
const STARTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOKS_EVERY: Duration = Duration::from_millis(2);
/// Until what a start does beside the window is over.
const SETTLED: Duration = Duration::from_secs(8);
const IDLE_FOR: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize)]
pub struct Figures {
    /// From the start of the process to its window with the first frame in it.
    first_frame_ms: f64,
    /// To being in voice as a new guest, by a link on the command line.
    in_channel_ms: f64,
    rss_mib: f64,
    /// In the channel, where nobody speaks.
    idle_core_percent: f64,
    blank_first_frame_ms: f64,
    blank_rss_mib: f64,
    blank_idle_core_percent: f64,
}

/// What one program did.
struct Run {
    first_frame: Duration,
    in_channel: Option<Duration>,
    rss_mib: f64,
    idle_core_percent: f64,
}

/// Nothing where there is no Xvfb.
///
/// # Errors
/// A program did not start, show its window, or come into voice.
pub fn measure() -> anyhow::Result<Option<Figures>> {
    let screen = match Screen::start() {
        Ok(screen) => screen,
        Err(error) => {
            row("not measured", "in a real window", format!("{error:#}"));
            return Ok(None);
        }
    };
    let display = Display::connect_to(&screen.name)?;
    let server = ServerProcess::start_with(["--log", "warn"])?;
    let mut blanks = Vec::new();
    let mut apps = Vec::new();
    for start in 0..STARTS {
        let last = start + 1 == STARTS;
        let blank = std::env::current_exe()?;
        blanks.push(run(
            &display,
            &screen,
            &blank,
            &["client-blank"],
            None,
            last,
        )?);
        let data = tempfile::tempdir()?;
        let folder = data.path().to_string_lossy();
        let name = format!("guest {start}");
        let arguments = [server.invite(), "--name", &name, "--data", &folder];
        let app = program_path("voxhall")?;
        apps.push(run(
            &display,
            &screen,
            &app,
            &arguments,
            Some(data.path()),
            last,
        )?);
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let first_frame = |runs: &[Run]| median(runs.iter().map(|run| ms(run.first_frame)));
    let last = |runs: &[Run]| {
        runs.last()
            .map_or((0.0, 0.0), |run| (run.rss_mib, run.idle_core_percent))
    };
    let (rss_mib, idle_core_percent) = last(&apps);
    let (blank_rss_mib, blank_idle_core_percent) = last(&blanks);
    let figures = Figures {
        first_frame_ms: first_frame(&apps),
        in_channel_ms: median(apps.iter().filter_map(|run| run.in_channel).map(ms)),
        rss_mib,
        idle_core_percent,
        blank_first_frame_ms: first_frame(&blanks),
        blank_rss_mib,
        blank_idle_core_percent,
    };
    heading("The app in a window on a virtual display, software renderer");
    let beside = |value: f64, unit: &str| format!("a blank window {value:.1} {unit}");
    row(
        "first frame",
        format!("{:.0} ms", figures.first_frame_ms),
        beside(figures.blank_first_frame_ms, "ms"),
    );
    row(
        "in a voice channel",
        format!("{:.0} ms", figures.in_channel_ms),
        "as a new guest, with sign-in",
    );
    row(
        "memory",
        format!("{:.0} MiB", figures.rss_mib),
        beside(figures.blank_rss_mib, "MiB"),
    );
    row(
        "CPU in the channel, nobody speaks",
        format!("{:.2} %", figures.idle_core_percent),
        beside(figures.blank_idle_core_percent, "%"),
    );
    Ok(Some(figures))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Starts a program and waits until its window is there; where there is a folder of its own, until its log says that it is in voice.
fn run(
    display: &Display,
    screen: &Screen,
    program: &Path,
    arguments: &[&str],
    data: Option<&Path>,
    idle: bool,
) -> anyhow::Result<Run> {
    let log = data.map(|folder| folder.join("stderr"));
    let stderr = match &log {
        Some(log) => Stdio::from(File::create(log)?),
        None => Stdio::null(),
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DISPLAY", &screen.name)
        .env_remove("WAYLAND_DISPLAY")
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("VOXHALL_LOG", "voxhall=info")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let begun = Instant::now();
    let child = Ended(
        command
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?,
    );
    let process = child.0.id();
    // eframe shows a window when its first frame is drawn. Before it is made there is none to ask for.
    wait("no window came", || display.shows(process).unwrap_or(false))?;
    let first_frame = begun.elapsed();
    let in_channel = match &log {
        None => None,
        Some(log) => {
            let said = || fs::read_to_string(log).unwrap_or_default();
            wait("the app did not come into voice", || {
                said().contains("voice path=Open(")
            })?;
            Some(begun.elapsed())
        }
    };
    let mut run = Run {
        first_frame,
        in_channel,
        rss_mib: 0.0,
        idle_core_percent: 0.0,
    };
    if idle {
        thread::sleep(SETTLED);
        let (before, began) = (CpuTime::of(process)?, Instant::now());
        thread::sleep(IDLE_FOR);
        let spent = CpuTime::of(process)?.since(&before).total();
        run.idle_core_percent = 100.0 * spent.as_secs_f64() / began.elapsed().as_secs_f64();
        run.rss_mib = rss_kib(process)? as f64 / 1024.0;
    }
    Ok(run)
}

fn wait(trouble: &str, done: impl Fn() -> bool) -> anyhow::Result<()> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > PATIENCE {
            bail!("{trouble} within {} s", PATIENCE.as_secs());
        }
        thread::sleep(LOOKS_EVERY);
    }
    Ok(())
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A display that nobody sees.
struct Screen {
    _server: Ended,
    name: String,
}

impl Screen {
    fn start() -> anyhow::Result<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24"])
            .args(["-nolisten", "tcp", "-noreset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("can't start Xvfb (Debian: xvfb)")?;
        let said = server.stdout.take().context("Xvfb says nothing")?;
        let server = Ended(server);
        let mut number = String::new();
        BufReader::new(said).read_line(&mut number)?;
        Ok(Self {
            _server: server,
            name: format!(":{}", number.trim()),
        })
    }
}

/// A window of the same size with nothing in it.
pub fn run_blank() -> anyhow::Result<()> {
    let viewport = egui::ViewportBuilder::default().with_inner_size(SIZE);
    let options = eframe::NativeOptions {
        viewport,
        ..Default::default()
    };
    eframe::run_ui_native("blank", options, |_, _| {}).map_err(|error| anyhow::anyhow!("{error}"))
}
