//! What speech sounds like after losses: the same sentences through the same losses at the same bitrate, in several ways, written as WAVs
//! for ears and for models of ears (`scripts/quality-score`).

mod plain;
mod score;
mod talk;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context;
use serde::Serialize;
use voxhall_testkit::{speech, wav};

use crate::{
    jitter::{Lossgen, Rng, trace::Loss},
    table::{heading, row},
};
use score::Scores;
use talk::{Fate, Heard, Talk};

const RATE_HZ: u32 = 48_000;
/// Sound per packet.
const FRAME: usize = 960;
const FRAME_MS: u32 = 20;
/// Lengths of bursts, packets, in turn by seed.
const MEAN_BURSTS: [f64; 4] = [1.5, 2.0, 3.0, 4.0];
/// Losses are as in the jitter bench, but not the same ones.
const SEED: u64 = 0x7175_616c;

#[derive(clap::Args)]
pub struct Args {
    /// Packets that are lost, percent.
    #[arg(long, default_value_t = 20.0)]
    loss: f64,
    /// Which packets those are: each by chance, in bursts of 1.5, 2, 3 and 4 on average (in turn by seed), or as Opus' own model has it.
    #[arg(long, default_value = "gilbert")]
    model: Model,
    /// What every way may send, redundancy included, kbit/s.
    #[arg(long, default_value_t = 64)]
    bitrate: u32,
    /// Different losses for the same sentences.
    #[arg(long, default_value_t = 4)]
    seeds: u64,
    /// Only these ways, of `plc`, `fec`, `deep_plc`, `fec_deep` and `dred`, with commas between.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Way>,
    /// Where the WAVs go; a folder below `target/quality` if nothing is said.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Have them scored by `scripts/quality-score`.
    #[arg(long)]
    score: bool,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Random,
    Gilbert,
    Lossgen,
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "random" => Ok(Self::Random),
            "gilbert" => Ok(Self::Gilbert),
            "lossgen" => Ok(Self::Lossgen),
            _ => Err("there are random, gilbert and lossgen".into()),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "random",
            Self::Gilbert => "gilbert",
            Self::Lossgen => "lossgen",
        })
    }
}

/// How speech gets from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Ours, and nothing is lost.
    Clean,
    /// libopus alone: nothing but its concealment, without neural networks.
    Plc,
    /// libopus alone, with in-band FEC and the same concealment: what most voice programs do.
    Fec,
    /// Ours, but the sender isn't told of losses.
    DeepPlc,
    /// Our receiver, and in-band FEC.
    FecDeep,
    /// Ours as it is: redundancy, bitrate and frame length follow the path.
    Dred,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Clean,
        Self::Plc,
        Self::Fec,
        Self::DeepPlc,
        Self::FecDeep,
        Self::Dred,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Plc => "plc",
            Self::Fec => "fec",
            Self::DeepPlc => "deep_plc",
            Self::FecDeep => "fec_deep",
            Self::Dred => "dred",
        }
    }

    fn explained(self) -> &'static str {
        match self {
            Self::Clean => "ours, nothing lost",
            Self::Plc => "libopus, plain concealment",
            Self::Fec => "libopus, in-band FEC",
            Self::DeepPlc => "our receiver, no redundancy",
            Self::FecDeep => "our receiver, in-band FEC",
            Self::Dred => "ours, the whole ladder",
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|way| way.name() == text)
            .ok_or_else(|| format!("there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[derive(Serialize)]
struct Report {
    loss: f64,
    model: String,
    bitrate_kbps: u32,
    frame_ms: u32,
    seeds: u64,
    clips: usize,
    wav_dir: PathBuf,
    ways: Vec<WayFigures>,
    #[serde(flatten)]
    scores: Option<Scores>,
}

/// Means over seeds.
#[derive(Serialize)]
struct WayFigures {
    way: &'static str,
    /// Of Opus alone, while something is being sent.
    payload_kbps: f64,
    lost_ratio: f64,
    /// Samples made up, of all that were played.
    concealed_ratio: f64,
    /// From speaking to hearing, but for devices, network and the codec's own delay.
    delay_ms: f64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let talk = Talk::new(&speech::clips().context("no speech to speak")?)?;
    let wav_dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => default_dir(args),
    };
    prepare(&wav_dir)?;
    println!(
        "{} clips, {} seeds, {} % lost ({}), {} kbit/s, frames of {FRAME_MS} ms",
        talk.clips.len(),
        args.seeds,
        args.loss,
        args.model,
        args.bitrate
    );
    for clip in &talk.clips {
        let file = wav_dir.join(format!("{}.reference.wav", clip.name));
        wav::save(file, RATE_HZ, &talk.said[clip.from..clip.to])?;
    }
    heading("What was sent and heard");
    let mut ways = Vec::new();
    for way in Way::ALL {
        if way != Way::Clean && !args.only.is_empty() && !args.only.contains(&way) {
            continue;
        }
        // Without losses there is one way for it to sound.
        let seeds = if way == Way::Clean { 1 } else { args.seeds };
        let heard = (0..seeds)
            .map(|seed| {
                let heard = hear(args, &talk, way, seed)?;
                save(&wav_dir, &talk, way, seed, &heard)?;
                Ok(heard)
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let figures = WayFigures::of(way, &heard);
        row(
            way.explained(),
            format!("{:.1} kbit/s", figures.payload_kbps),
            format!(
                "{:.2} % lost, {:.2} % made up, {:.1} ms from speaking to hearing without the network",
                100.0 * figures.lost_ratio,
                100.0 * figures.concealed_ratio,
                figures.delay_ms
            ),
        );
        ways.push(figures);
    }
    println!("\nWAVs: {}", wav_dir.display());
    println!("To hear the difference: {}/listen", wav_dir.display());
    let scores = args.score.then(|| score::score(&wav_dir)).transpose()?;
    if let Some(scores) = &scores {
        scores.show();
    } else {
        println!("Not scored; scripts/quality-score {}", wav_dir.display());
    }
    if args.json {
        let report = Report {
            loss: args.loss,
            model: args.model.to_string(),
            bitrate_kbps: args.bitrate,
            frame_ms: FRAME_MS,
            seeds: args.seeds,
            clips: talk.clips.len(),
            wav_dir,
            ways,
            scores,
        };
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

fn hear(args: &Args, talk: &Talk, way: Way, seed: u64) -> anyhow::Result<Heard> {
    let fate = fate(args, way, seed, talk.said.len());
    let bitrate_bps = args.bitrate * 1_000;
    match way {
        Way::Clean | Way::Dred => talk::ours(talk, &fate, bitrate_bps, talk::Told::Reports),
        Way::DeepPlc => talk::ours(talk, &fate, bitrate_bps, talk::Told::Nothing),
        Way::FecDeep => talk::fec_to_ours(talk, &fate, bitrate_bps, args.loss),
        Way::Plc => plain::hear(talk, &fate, bitrate_bps, None),
        Way::Fec => plain::hear(talk, &fate, bitrate_bps, Some(args.loss)),
    }
}

/// What happens to each frame, and when it arrives: the same for all ways with one seed.
fn fate(args: &Args, way: Way, seed: u64, samples: usize) -> Fate {
    let mut rng = Rng::new(seed ^ SEED);
    let share = args.loss / 100.0;
    let mut loss = match args.model {
        _ if way == Way::Clean || share <= 0.0 => Loss::None,
        Model::Random => Loss::Random(share),
        Model::Gilbert => {
            let r = 1.0 / MEAN_BURSTS[(seed % 4) as usize];
            Loss::gilbert(share * r / (1.0 - share), r)
        }
        Model::Lossgen => Loss::Model(Box::new(Lossgen::new(share, &mut rng))),
    };
    let lost = (0..samples.div_ceil(FRAME))
        .map(|_| loss.draw(&mut rng))
        .collect();
    Fate {
        lost,
        seed: rng.next(),
    }
}

fn save(dir: &Path, talk: &Talk, way: Way, seed: u64, heard: &Heard) -> anyhow::Result<()> {
    for (clip, &from) in talk.clips.iter().zip(&heard.starts) {
        let to = (from + clip.to - clip.from).min(heard.sound.len());
        let file = dir.join(format!("{}.{seed}.{}.wav", clip.name, way.name()));
        wav::save(file, RATE_HZ, &heard.sound[from.min(to)..to])?;
    }
    let from = talk.clips.first().map_or(0, |clip| clip.from);
    let file = dir.join(format!("listen/{}-{seed}.wav", way.name()));
    wav::save(file, RATE_HZ, heard.sound.get(from..).unwrap_or_default())?;
    Ok(())
}

/// An empty folder with one for ears in it. Only WAVs of an earlier run are removed.
fn prepare(dir: &Path) -> anyhow::Result<()> {
    for dir in [dir.to_owned(), dir.join("listen")] {
        fs::create_dir_all(&dir).with_context(|| format!("can't make {}", dir.display()))?;
        for entry in fs::read_dir(&dir)?.flatten() {
            if entry.path().extension().is_some_and(|is| is == "wav") {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

fn default_dir(args: &Args) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join(format!(
        "quality/{}{}-{}k",
        args.model, args.loss, args.bitrate
    ))
}

impl WayFigures {
    fn of(way: Way, heard: &[Heard]) -> Self {
        let mean = |of: &dyn Fn(&Heard) -> f64| {
            heard.iter().map(of).sum::<f64>() / heard.len().max(1) as f64
        };
        Self {
            way: way.name(),
            payload_kbps: mean(&Heard::payload_kbps),
            lost_ratio: mean(&|heard| heard.lost as f64 / heard.packets.max(1) as f64),
            concealed_ratio: mean(&|heard| heard.concealed as f64 / heard.played.max(1) as f64),
            delay_ms: mean(&|heard| heard.delay_ms),
        }
    }
}
