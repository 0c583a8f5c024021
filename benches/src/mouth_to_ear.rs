//! Speech goes into one client's device and is found by cross-correlation in the other's.
//!
//! The devices are clocks: callbacks every period, half a period apart, on one time base, so that sample positions are times.
//! What is heard at sample `j` of the ear and was said at sample `i` of the mouth took `j - i` samples plus the mouth's
//! period: a device delivers a period after it has been said.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::Serialize;
use voxhall_protocol::voice::Carrier;
use voxhall_session::{
    FrameLength, Transmit, VoiceMeters,
    audio::{ClockedDevice, SAMPLE_RATE},
};
use voxhall_testkit::{
    correlate::{Search, Summary},
    process::ServerProcess,
    speech, wav,
};
use voxhall_voice::{from_mono, to_mono};

use crate::{
    client::Client,
    table::{heading, row},
};

/// Opus' own delay in its low-delay mode.
const LOOKAHEAD_MS: f64 = 2.5;
/// Windows that correlate less were not found.
const MIN_CORRELATION: f64 = 0.5;
/// The first seconds, in which keys change and buffers find their size, are not measured.
const WARM_UP: Duration = Duration::from_secs(2);
const KEY_CHANGE: Duration = Duration::from_secs(1);
const GOAL_MS: f64 = 25.0;
const GOAL_RATIO: f64 = 1.3;

#[derive(clap::Args)]
pub struct Args {
    /// Sound per packet: 2.5, 5, 10, 20, 40 or 60 ms.
    #[arg(long, default_value = "10")]
    frame_ms: FrameLength,
    /// How long to speak.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How datagrams travel.
    #[arg(long, default_value = "udp")]
    carrier: Carrier,
    /// Device period, samples at 48 kHz.
    #[arg(long, default_value_t = 240)]
    period: usize,
    /// Send all the time instead of when somebody speaks.
    #[arg(long)]
    open: bool,
    /// Print the delay of every second of speech.
    #[arg(long)]
    windows: bool,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    frame_ms: f64,
    period_ms: f64,
    floor_ms: f64,
    median_ms: f64,
    p95_ms: f64,
    delivery: f64,
    concealed: f64,
    stages: Stages,
    carrier: String,
    correlation: f64,
    windows: usize,
    windows_found: usize,
    playout_xruns: u32,
}

/// Where the time goes, as the clients themselves measure it. The sum differs from the median by what is not seen here.
#[derive(Serialize)]
struct Stages {
    /// A frame's first sample waits until the frame is full.
    capture: f64,
    /// Wake-up of the worker, encoding, sealing; and Opus' lookahead.
    encode: f64,
    network: f64,
    jitter: f64,
    playout: f64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let speech = wav::load(speech::path("speech").context("no speech to speak")?)?;
    if speech.rate_hz != SAMPLE_RATE {
        bail!(
            "the speech has {} Hz instead of {SAMPLE_RATE}",
            speech.rate_hz
        );
    }
    let server = ServerProcess::start().context("can't start the server")?;
    let transmit = if args.open {
        Transmit::Open
    } else {
        Transmit::VoiceActivity
    };
    let carrier = Some(args.carrier);
    let mouth = Client::join(server.invite(), "mouth", args.frame_ms, transmit, carrier)?;
    let ear = Client::join(server.invite(), "ear", args.frame_ms, transmit, carrier)?;

    // Who has just joined can't open what is sealed with the key before; nothing is sent until that is over.
    std::thread::sleep(KEY_CHANGE);

    let said: Arc<[f32]> = speech
        .channels
        .first()
        .context("the speech has no channel")?
        .iter()
        .copied()
        .cycle()
        .take(args.seconds as usize * SAMPLE_RATE as usize)
        .collect();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let period = Duration::from_secs_f64(args.period as f64 / f64::from(SAMPLE_RATE));
    let first = Instant::now() + Duration::from_millis(100);
    let ear_first = first + period / 2;
    let ear_device = {
        let heard = Arc::clone(&heard);
        ClockedDevice::start(
            ear.session.attach_audio(),
            ear_first,
            args.period,
            move |captured, played| {
                captured.fill([0.0; 2]);
                heard
                    .lock()
                    .expect("nothing panics while holding it")
                    .extend(played.iter().copied().map(to_mono));
            },
        )?
    };
    let mouth_device = {
        let (said, mut next) = (Arc::clone(&said), 0);
        let silence = WARM_UP.as_secs() as usize * SAMPLE_RATE as usize;
        ClockedDevice::start(
            mouth.session.attach_audio(),
            first,
            args.period,
            move |captured, _| {
                for sample in captured {
                    *sample = from_mono(if next < silence {
                        0.0
                    } else {
                        said.get(next - silence).copied().unwrap_or(0.0)
                    });
                    next += 1;
                }
            },
        )?
    };
    println!("speaking for {} s …", args.seconds);
    std::thread::sleep(WARM_UP + Duration::from_secs(args.seconds));
    // What is on its way arrives before it is counted.
    drop(mouth_device);
    std::thread::sleep(Duration::from_millis(500));
    let (sent, received) = (mouth.session.meters(), ear.session.meters());
    drop(ear_device);

    let heard = std::mem::take(&mut *heard.lock().expect("nothing panics while holding it"));
    let silence = WARM_UP.as_secs() as usize * SAMPLE_RATE as usize;
    let heard = heard
        .get(silence..)
        .context("the ear heard nothing at all")?;
    let matches = Search {
        max_delay_s: 0.5,
        ..Search::new(SAMPLE_RATE)
    }
    .find(&said, heard);
    let Some(found) = Summary::of(&matches, MIN_CORRELATION) else {
        bail!(
            "what was said could not be found in what was heard\n{}",
            server.log()
        );
    };
    let period_ms = period.as_secs_f64() * 1e3;
    let clock_ms = period_ms + (ear_first - first).as_secs_f64() * 1e3;
    if args.windows {
        heading("Each window: when it was said, how late it was heard, how alike");
        for window in &matches {
            row(
                &format!("{:.1} s", window.at_s),
                format!("{:.1} ms", window.delay_ms + clock_ms),
                format!("{:.2}", window.correlation),
            );
        }
    }
    let frame_ms = f64::from(args.frame_ms.as_ms());
    let figures = Figures {
        frame_ms,
        period_ms,
        floor_ms: frame_ms + LOOKAHEAD_MS + period_ms,
        median_ms: found.median_ms + clock_ms,
        p95_ms: found.p95_ms + clock_ms,
        delivery: delivery(&sent, &received),
        concealed: concealed(&received),
        stages: stages(frame_ms, &sent, &received),
        carrier: args.carrier.to_string(),
        correlation: found.mean_correlation,
        windows: found.windows,
        windows_found: found.found,
        playout_xruns: received.statistics.playout_xruns,
    };
    print(&figures);
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

/// Of the packets sent, how many arrived.
fn delivery(sent: &VoiceMeters, received: &VoiceMeters) -> f64 {
    received.statistics.received_packets as f64 / sent.statistics.sent_packets.max(1) as f64
}

fn concealed(received: &VoiceMeters) -> f64 {
    let speaker = received
        .speakers
        .first()
        .map(|speaker| speaker.statistics)
        .unwrap_or_default();
    speaker.concealed_samples as f64 / speaker.total_samples.max(1) as f64
}

fn stages(frame_ms: f64, sent: &VoiceMeters, received: &VoiceMeters) -> Stages {
    let jitter = received
        .speakers
        .first()
        .map_or(0.0, |speaker| speaker.statistics.delay_ms);
    Stages {
        capture: frame_ms,
        encode: LOOKAHEAD_MS + f64::from(sent.statistics.encode_ms),
        network: f64::from(sent.rtt_ms.unwrap_or(0.0) + received.rtt_ms.unwrap_or(0.0)) / 2.0,
        jitter: f64::from(jitter),
        playout: f64::from(received.statistics.playout_ms),
    }
}

fn print(figures: &Figures) {
    let Figures { stages, .. } = figures;
    heading(format!(
        "Mouth to ear, {} ms frames, {:.1} ms device period, {}",
        figures.frame_ms, figures.period_ms, figures.carrier
    ));
    let ms = |value: f64| format!("{value:.1} ms");
    let ratio = figures.median_ms / figures.floor_ms;
    row("floor (frame + 2.5 + period)", ms(figures.floor_ms), "");
    row(
        "median",
        ms(figures.median_ms),
        format!("goal <= {GOAL_MS} ms"),
    );
    row(
        "median / floor",
        format!("{ratio:.2} x"),
        format!("goal <= {GOAL_RATIO} x"),
    );
    row("95th percentile", ms(figures.p95_ms), "");
    row(
        "delivery",
        format!("{:.3} %", figures.delivery * 100.0),
        "goal 100 %",
    );
    row(
        "concealed",
        format!("{:.3} %", figures.concealed * 100.0),
        "",
    );
    row(
        "correlation",
        format!("{:.3}", figures.correlation),
        format!(
            "{} of {} windows found",
            figures.windows_found, figures.windows
        ),
    );
    row("playout underruns", figures.playout_xruns, "");
    heading("Where it goes (measured by the clients)");
    row("capture: a frame fills", ms(stages.capture), "");
    row("encode: worker, Opus, lookahead", ms(stages.encode), "");
    row("network: both round trips / 2", ms(stages.network), "");
    row("jitter buffer", ms(stages.jitter), "");
    row("playout ring", ms(stages.playout), "");
    let sum = stages.capture + stages.encode + stages.network + stages.jitter + stages.playout;
    row("not accounted for", ms(figures.median_ms - sum), "");
}
