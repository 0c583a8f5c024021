//! What one client's voice costs: the engine's stages one by one, and a real client's threads among real speakers.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use voxhall_protocol::{
    BaseKey, Epoch, SenderIndex, SessionSecret, Ssrc,
    voice::{Datagram, HopReceiver, Opener, RtpHeader, Sealer, SessionKeys},
};
use voxhall_session::{
    FrameLength, Intent, Microphone, Transmit,
    audio::{ClockedDevice, SAMPLE_RATE},
};
use voxhall_testkit::{process::ServerProcess, speech, wav};
use voxhall_voice::{
    NoiseSuppression, Processing, Processor, ReceiverConfig, SenderConfig, Stereo, VoiceReceiver,
    VoiceSender, from_mono,
};

use crate::{
    client::Client,
    proc_fs::{CpuTime, cpu_time, load_average},
    table::{heading, row},
};

const GOAL_PERCENT: f64 = 2.0;
const GOAL_IDLE_PERCENT: f64 = 0.1;
/// Device period, samples.
const PERIOD: usize = 240;
const WARM_UP: Duration = Duration::from_secs(4);
/// Of sound, for the stages.
const STAGE_SECONDS: usize = 60;
/// Reported, not measured here.
const MUMBLE: &str = "Mumble on Linux is said to take 10-13 % of a core (not measured here)";

/// Beside the stages: what the app turns on, and each part of it alone. They share a filter bank, so the parts sum to more.
const PROCESSING: [(&str, Processing); 4] = [
    (ALL_PROCESSING, ALL_ON),
    (
        "echo_alone",
        Processing {
            echo: true,
            ..Processing::OFF
        },
    ),
    (
        "noise_alone",
        Processing {
            noise: NoiseSuppression::High,
            ..Processing::OFF
        },
    ),
    (
        "gain_alone",
        Processing {
            gain: true,
            ..Processing::OFF
        },
    ),
];
const ALL_PROCESSING: &str = "echo_noise_gain";
const ALL_ON: Processing = Processing {
    echo: true,
    noise: NoiseSuppression::High,
    gain: true,
};

#[derive(clap::Args)]
pub struct Args {
    /// Others who speak all the time.
    #[arg(long, default_value_t = 5)]
    speakers: usize,
    /// How long the real client is watched, in each state.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

/// The client that is watched, in a process of its own.
#[derive(clap::Args)]
pub struct ClientArgs {
    link: String,
    #[arg(long)]
    seconds: u64,
    #[arg(long)]
    muted: bool,
}

#[derive(Serialize)]
struct Figures {
    speakers: usize,
    /// Of the real client's two voice threads.
    core_percent: f64,
    muted_idle_core_percent: f64,
    talking: Threads,
    muted_idle: Threads,
    /// Of the engine alone, percent of a core each.
    stages: BTreeMap<&'static str, f64>,
    stages_sum: f64,
    load: Option<f64>,
}

/// Percent of a core.
#[derive(Serialize, Deserialize)]
struct Threads {
    voice_send: f64,
    voice_receive: f64,
    /// Of both voice threads.
    wakes_per_s: f64,
    /// What as many wakes cost a thread that does nothing else.
    wakes_alone: f64,
    /// Control connection and state.
    session: f64,
    /// Whoever was heard.
    speakers: usize,
}

impl Threads {
    fn voice(&self) -> f64 {
        self.voice_send + self.voice_receive
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let load = load_average();
    let said = said()?;
    println!("measuring the stages …");
    let stages = stages(&said, args.speakers)?;
    let server = ServerProcess::start().context("can't start the server")?;
    println!("{} speakers, for {} s …", args.speakers, args.seconds);
    let talking = {
        let _speakers = (0..args.speakers)
            .map(|speaker| speak(server.invite(), speaker, &said))
            .collect::<anyhow::Result<Vec<_>>>()?;
        watch(server.invite(), args.seconds, false)?
    };
    ensure!(
        talking.speakers == args.speakers,
        "the client heard {} of {} speakers",
        talking.speakers,
        args.speakers
    );
    println!("muted and idle, for {} s …", args.seconds);
    let muted_idle = watch(server.invite(), args.seconds, true)?;
    let figures = Figures {
        speakers: args.speakers,
        core_percent: talking.voice(),
        muted_idle_core_percent: muted_idle.voice(),
        talking,
        muted_idle,
        stages_sum: stages
            .iter()
            .filter(|(name, _)| !name.ends_with("_alone"))
            .map(|(_, percent)| percent)
            .sum(),
        stages,
        load,
    };
    show(&figures);
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

/// A minute of several people.
fn said() -> anyhow::Result<Vec<f32>> {
    let mut said = Vec::new();
    for path in speech::clips().context("no speech to speak")? {
        said.extend(
            wav::load(&path)?
                .channels
                .into_iter()
                .next()
                .unwrap_or_default(),
        );
    }
    ensure!(!said.is_empty(), "there are no clips");
    let length = STAGE_SECONDS * SAMPLE_RATE as usize;
    Ok(said.into_iter().cycle().take(length).collect())
}

struct Speaker {
    _device: ClockedDevice,
    _client: Client,
}

/// Someone else, who speaks all the time.
fn speak(link: &str, number: usize, said: &[f32]) -> anyhow::Result<Speaker> {
    let name = format!("speaker {number}");
    let client = Client::join(link, &name, FrameLength::default(), Transmit::Open, None)?;
    // Everybody is at another place of the same talk.
    let mut at = number * said.len() / 7;
    let said = said.to_vec();
    let device = ClockedDevice::start(
        client.session.attach_audio(),
        Instant::now() + Duration::from_millis(number as u64),
        PERIOD,
        move |captured, _| {
            for sample in captured {
                *sample = from_mono(said[at % said.len()]);
                at += 1;
            }
        },
    )?;
    Ok(Speaker {
        _device: device,
        _client: client,
    })
}

fn watch(link: &str, seconds: u64, muted: bool) -> anyhow::Result<Threads> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["voice-cpu-client", link, "--seconds", &seconds.to_string()])
        .stderr(Stdio::inherit());
    if muted {
        command.arg("--muted");
    }
    let output = command.output().context("can't start the client")?;
    ensure!(output.status.success(), "the client failed");
    serde_json::from_slice(&output.stdout).context("the client measured nothing")
}

/// Speaks, or is muted, as the app's session does with a device attached, and looks at its own threads.
pub fn run_client(args: &ClientArgs) -> anyhow::Result<()> {
    let client = Client::join(
        &args.link,
        "watched",
        FrameLength::default(),
        Transmit::VoiceActivity,
        None,
    )?;
    client.session.send(Intent::SetMuted(args.muted));
    // As the app has it.
    client
        .session
        .send(Intent::SetMicrophone(Microphone::Speech(ALL_ON)));
    let said = if args.muted { vec![0.0] } else { said()? };
    let mut at = 0;
    let device = ClockedDevice::start(
        client.session.attach_audio(),
        Instant::now(),
        PERIOD,
        move |captured, _| {
            for sample in captured {
                *sample = from_mono(said[at % said.len()]);
                at += 1;
            }
        },
    )?;
    thread::sleep(WARM_UP);
    let pid = std::process::id();
    let (before, start) = (CpuTime::of(pid)?, Instant::now());
    thread::sleep(Duration::from_secs(args.seconds));
    let spent = CpuTime::of(pid)?.since(&before);
    let seconds = start.elapsed().as_secs_f64();
    let heard = client.session.meters().speakers;
    drop(device);
    let percent = |thread: &str| 100.0 * spent.named(thread).as_secs_f64() / seconds;
    let wakes_per_s = spent.runs_of("voice-") as f64 / seconds;
    let threads = Threads {
        voice_send: percent("voice-send"),
        voice_receive: percent("voice-receive"),
        wakes_per_s,
        wakes_alone: 100.0 * wakes_per_s * bare_wake().as_secs_f64(),
        session: percent("session"),
        speakers: heard
            .iter()
            .filter(|speaker| speaker.statistics.total_samples > 0)
            .count(),
    };
    println!("{}", serde_json::to_string(&threads)?);
    Ok(())
}

/// What it costs to sleep and wake up, on this machine at this time.
fn bare_wake() -> Duration {
    const WAKES: u32 = 200;
    let before = cpu_time();
    for _ in 0..WAKES {
        thread::sleep(Duration::from_millis(5));
    }
    (cpu_time() - before) / WAKES
}

/// Each stage alone over a minute of speech, by the CPU time of this thread, percent of a core.
fn stages(said: &[f32], speakers: usize) -> anyhow::Result<BTreeMap<&'static str, f64>> {
    let seconds = said.len() as f64 / f64::from(SAMPLE_RATE);
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / seconds;
    let mut stages = BTreeMap::new();

    // The sender is given CPU time in place of the time of day.
    let base = Instant::now();
    let clock = || base + cpu_time();
    let mut sender = VoiceSender::new(SenderConfig::default()).context("no encoder")?;
    let mut frames = Vec::new();
    let captured: Vec<Stereo> = said.iter().copied().map(from_mono).collect();
    let start = cpu_time();
    for chunk in captured.chunks(PERIOD) {
        sender.push_timed(chunk, clock, |frame| {
            frames.push((frame.rtp_timestamp, frame.marker, frame.payload.to_vec()));
        });
    }
    let whole = cpu_time() - start;
    let encode = sender.stats().encode_time;
    stages.insert("encode", percent(encode));
    stages.insert("level_and_detector", percent(whole.saturating_sub(encode)));

    for (name, processing) in PROCESSING {
        stages.insert(name, percent(cleaning(said, processing)));
    }

    let (sealing, opening) = sealing(&frames)?;
    stages.insert("seal", percent(sealing));
    stages.insert("open", percent(opening) * speakers as f64);

    let decode = decoding(&frames)? * speakers as u32;
    let receive = receiving(&frames, said.len(), speakers)?;
    stages.insert("decode", percent(decode));
    stages.insert("jitter_and_mix", percent(receive.saturating_sub(decode)));
    Ok(stages)
}

/// What is played is what another person says; each part alone, and all together.
fn cleaning(said: &[f32], processing: Processing) -> Duration {
    let mut processor = Processor::new(processing);
    let (near, far) = said.split_at(said.len() / 2);
    let played: Vec<Stereo> = far.iter().copied().map(from_mono).collect();
    let start = cpu_time();
    for _ in 0..2 {
        for (near, far) in near.chunks(PERIOD).zip(played.chunks(PERIOD)) {
            processor.played(far);
            let mut near = near;
            while !near.is_empty() {
                std::hint::black_box(processor.take(&mut near));
            }
        }
    }
    cpu_time() - start
}

type Frame = (u32, bool, Vec<u8>);

fn sealing(frames: &[Frame]) -> anyhow::Result<(Duration, Duration)> {
    const KEY: BaseKey = BaseKey([7; 32]);
    const EPOCH: Epoch = Epoch(1);
    const SENDER: SenderIndex = SenderIndex(1);
    const SSRC: Ssrc = Ssrc(1);
    let keys = SessionKeys::derive(&SessionSecret([9; 32]));
    let mut sealer = Sealer::new(SENDER, keys.hop_up.clone());
    sealer.set_key(EPOCH, &KEY);
    let mut opener = Opener::new();
    opener.insert_key(EPOCH, &KEY);
    opener.allow(SENDER, SSRC);
    let mut server = HopReceiver::new(keys.hop_up);
    let mut sealed = Vec::new();
    let mut datagram = Datagram::new();
    let start = cpu_time();
    for (i, (timestamp, marker, payload)) in frames.iter().enumerate() {
        let header = RtpHeader {
            marker: *marker,
            sequence: i as u16,
            timestamp: *timestamp,
            ssrc: SSRC,
            audio_level: None,
        };
        sealer.seal(&header, payload, &mut datagram)?;
        sealed.push(datagram.as_slice().to_vec());
    }
    let sealing = cpu_time() - start;
    // The server cuts the hop tag off; that isn't the client's work.
    let mut arrived = sealed
        .iter()
        .map(|datagram| Ok(server.receive(datagram)?.to_vec()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let start = cpu_time();
    for packet in &mut arrived {
        opener.open(packet)?;
    }
    Ok((sealing, cpu_time() - start))
}

/// libopus alone.
fn decoding(frames: &[Frame]) -> anyhow::Result<Duration> {
    let mut decoder = opus::Decoder::new(SAMPLE_RATE, opus::Channels::Mono)?;
    let mut pcm = [0.0; 2_880];
    let start = cpu_time();
    for (_, _, payload) in frames {
        if payload.len() > 2 {
            decoder.decode_float(payload, &mut pcm, false)?;
        }
    }
    Ok(cpu_time() - start)
}

/// Everybody says the same, a little apart.
fn receiving(frames: &[Frame], samples: usize, speakers: usize) -> anyhow::Result<Duration> {
    const APART: usize = 1_000;
    let mut receiver = VoiceReceiver::new(ReceiverConfig::default()).context("no decoder")?;
    let mut next = vec![0; speakers];
    let mut out = [[0.0; 2]; PERIOD];
    let start = Instant::now();
    let began = cpu_time();
    for at in (0..samples).step_by(PERIOD) {
        let now = start + Duration::from_nanos((at as u64 * 1_000_000).div_ceil(48));
        for (speaker, next) in next.iter_mut().enumerate() {
            while let Some((timestamp, marker, payload)) = frames
                .get(*next)
                .filter(|(timestamp, ..)| *timestamp as usize + 480 + speaker * APART <= at)
            {
                let (ssrc, sequence) = (speaker as u32, *next as u16);
                receiver.packet(now, ssrc, sequence, *timestamp, *marker, payload);
                *next += 1;
            }
        }
        receiver.pull(now, &mut out);
    }
    Ok(cpu_time() - began)
}

fn show(figures: &Figures) {
    heading(format!(
        "The engine's stages over {STAGE_SECONDS} s of speech, {} speakers heard, percent of a core",
        figures.speakers
    ));
    for (name, percent) in &figures.stages {
        row(name, format!("{percent:.2} %"), "");
    }
    row(
        "sum, without parts alone",
        format!("{:.2} %", figures.stages_sum),
        "",
    );
    heading("A real client among real speakers, its threads by the scheduler's clock");
    let show = |name: &str, threads: &Threads, most: f64| {
        let goal = if threads.voice() > most {
            format!("goal <= {most} %, missed")
        } else {
            format!("goal <= {most} %")
        };
        row(name, format!("{:.2} %", threads.voice()), goal);
        row("  voice-send", format!("{:.2} %", threads.voice_send), "");
        row(
            "  voice-receive",
            format!("{:.2} %", threads.voice_receive),
            "",
        );
        row(
            "  of it wakes alone",
            format!("{:.2} %", threads.wakes_alone),
            format!("{:.0} a second", threads.wakes_per_s),
        );
        row(
            "  session (control, not in it)",
            format!("{:.2} %", threads.session),
            "",
        );
    };
    show("everybody speaks", &figures.talking, GOAL_PERCENT);
    show("muted and idle", &figures.muted_idle, GOAL_IDLE_PERCENT);
    println!("\nBeside it: {MUMBLE}.");
    if let Some(load) = figures.load.filter(|load| *load > 0.5) {
        println!("Load {load:.1} when it began: other programs took part in the figures.");
    }
}
