//! Jitter buffers on the same traces, on a simulated clock: ours, a fixed one, the logic that NetEQ publishes, and what could have been
//! had at best.

mod bound;
mod fixed;
mod lossgen;
mod neteq_crate;
mod neteq_logic;
mod ours;
mod rng;
mod speech;
mod tally;
pub mod trace;

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::Hasher,
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde::Serialize;
use voxhall_voice::FrameLength;

use crate::table::{heading, row};
use bound::{Bound, bound};
pub use lossgen::Lossgen;
pub use rng::Rng;
use speech::Speech;
use tally::Tally;
use trace::{MS, Profile, SECOND, Selection, Trace};

const FIXED_MS: i64 = 60;
/// The slider, from lowest delay to most stable; the default is in the middle.
const STABILITIES: [f32; 7] = [0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0];
const DEFAULT: usize = 4;
const GOAL_NETEQ: f64 = 0.6;
const GOAL_BOUND: f64 = 1.25;
const GOAL_RECOVER_S: f64 = 3.0;
/// Mean delay on the clean path: this and a frame.
const GOAL_CLEAN_MS: f64 = 2.0;

#[derive(clap::Args)]
pub struct Args {
    /// One profile, several with commas between them, or all.
    #[arg(long, default_value = "all")]
    profile: Selection,
    /// Traces of each profile.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Length of a trace.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Sound per packet: 2.5, 5, 10, 20, 40 or 60 ms.
    #[arg(long, default_value = "20")]
    frame_ms: FrameLength,
    /// Samples that our receiver is asked for at a time.
    #[arg(long, default_value_t = 240)]
    pull: usize,
    /// Loss that the encoder is told of, 0 to 1, so that packets carry redundancy. Ours and `neteq_logic` use it.
    #[arg(long, default_value_t = 0.0)]
    reported_loss: f32,
    /// The `neteq` crate asks the wall clock, so it plays in real time: so many seconds for all its traces at once; 0 leaves it out.
    #[arg(long, default_value_t = 60)]
    crate_seconds: u64,
    /// Its traces of each profile.
    #[arg(long, default_value_t = 4)]
    crate_seeds: u64,
    /// Instead of the profiles: so many hours of a clean path with clocks 200 ppm apart, both ways.
    #[arg(long)]
    endurance_hours: Option<f64>,
    /// Print one JSON object on the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    seeds: u64,
    minutes: f64,
    frame_ms: f32,
    pull: usize,
    reported_loss: f32,
    speech: &'static str,
    /// What stands behind `neteq_crate`.
    neteq_crate_covers: Option<String>,
    profiles: BTreeMap<String, ProfileFigures>,
}

#[derive(Serialize)]
struct ProfileFigures {
    ours: Figures,
    neteq_logic: Figures,
    fixed60: Figures,
    neteq_crate: Option<Figures>,
    bound: BoundFigures,
    lost_ratio: f64,
    /// Ours with the slider from lowest delay to most stable.
    slider: Vec<Figures>,
    /// Our delay where as much is concealed as by `neteq_logic`; nothing where the slider doesn't reach that.
    delay_at_equal_concealment_ms: Option<f64>,
    to_neteq_logic: Option<f64>,
    /// What the bound has to `neteq_logic` at as many late packets as that has: no algorithm of its kind gets below.
    bound_to_neteq_logic: f64,
    /// Of the time from arrival to emission, and of that from sending to emission.
    to_bound_delay: f64,
    to_bound_playout: f64,
}

#[derive(Clone, Default, Serialize)]
struct Figures {
    mean_delay_ms: f64,
    p95_delay_ms: f64,
    mean_playout_ms: f64,
    concealed_ratio: f64,
    interruptions: f64,
    accelerate_ratio: f64,
    expand_ratio: f64,
    recover_s: Option<f64>,
}

/// At the number of late packets that ours had with the slider in the middle.
#[derive(Serialize)]
struct BoundFigures {
    mean_delay_ms: f64,
    mean_playout_ms: f64,
    late: f64,
}

/// One seed.
struct Run {
    ours: Vec<Figures>,
    neteq_logic: Figures,
    fixed: Figures,
    bound: Bound,
    bound_for_neteq: Bound,
    late: usize,
    lost_ratio: f64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let speech = Speech::new(args.frame_ms, args.reported_loss)?;
    if let Some(hours) = args.endurance_hours {
        return endure(args, &speech, hours);
    }
    let crates = args.play_crate(&speech)?;
    let mut profiles = BTreeMap::new();
    println!(
        "{} seeds x {} min, frames of {} ms, pulls of {} samples, {}",
        args.seeds, args.minutes, args.frame_ms, args.pull, speech.source
    );
    for (i, &profile) in args.profile.0.iter().enumerate() {
        let mut figures = measure(args, &speech, profile)?;
        figures.neteq_crate = crates
            .as_ref()
            .and_then(|covered| covered.figures.get(i))
            .map(|figures| mean_figures(figures));
        show(args, profile, &figures);
        profiles.insert(profile.to_string(), figures);
    }
    let covers = crates.map(|covered| args.covers(covered.late_ms));
    match &covers {
        Some(covers) => println!("\nneteq crate: {covers}."),
        None => println!("\nNot measured: the neteq crate, with --crate-seconds 0."),
    }
    if args.json {
        let report = Report {
            seeds: args.seeds,
            minutes: args.minutes,
            frame_ms: args.frame_ms.as_ms(),
            pull: args.pull,
            reported_loss: args.reported_loss,
            speech: speech.source,
            neteq_crate_covers: covers,
            profiles,
        };
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

impl Args {
    fn play_crate(&self, speech: &Speech) -> anyhow::Result<Option<neteq_crate::Covered>> {
        if self.crate_seconds == 0 || self.crate_seeds == 0 {
            return Ok(None);
        }
        println!("the neteq crate plays for {} s …", self.crate_seconds);
        let frame = self.frame_ms.samples() as i64;
        neteq_crate::run(
            &self.profile.0,
            self.crate_seeds,
            self.crate_seconds,
            frame,
            speech,
        )
        .map(Some)
    }

    fn covers(&self, late_ms: f64) -> String {
        format!(
            "version 0.9, in real time, since it asks the wall clock: {} seeds x {} s of each profile, all at once; 99 % of its calls \
             were at most {late_ms:.2} ms late. Its delay is from arrival to the call in which a packet is decoded",
            self.crate_seeds, self.crate_seconds
        )
    }
}

fn measure(args: &Args, speech: &Speech, profile: Profile) -> anyhow::Result<ProfileFigures> {
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let work = || -> anyhow::Result<Vec<(usize, Run)>> {
        let mut runs = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed as u64 >= args.seeds {
                return Ok(runs);
            }
            runs.push((seed, one(args, speech, profile, seed as u64)?));
        }
    };
    let mut runs: Vec<(usize, Run)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a panic of a worker ends the run"))
            .collect::<anyhow::Result<Vec<_>>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    runs.sort_by_key(|(seed, _)| *seed);
    Ok(summary(
        &runs.into_iter().map(|(_, run)| run).collect::<Vec<_>>(),
    ))
}

fn one(args: &Args, speech: &Speech, profile: Profile, seed: u64) -> anyhow::Result<Run> {
    let frame = args.frame_ms.samples() as i64;
    let length = (args.minutes * 60.0 * SECOND as f64) as i64;
    let trace = Trace::new(profile, seed, frame, length);
    // Where the device's clock stands against the speaker's is chance too.
    let phase = (rng::Rng::new(seed).unit() * 10.0 * MS as f64) as i64;
    let ours: Vec<Tally> = STABILITIES
        .iter()
        .map(|&stability| ours::run(&trace, speech, stability, args.pull, phase, |_| {}))
        .collect::<anyhow::Result<_>>()?;
    let neteq_logic = neteq_logic::run(&trace, phase, |packet| speech.carries_copy(packet));
    let late = ours[DEFAULT].late(&trace);
    let starts = speech.starts(trace.packets.len());
    Ok(Run {
        bound: bound(&trace, &starts, late),
        bound_for_neteq: bound(&trace, &starts, neteq_logic.late(&trace)),
        late,
        lost_ratio: trace.lost() as f64 / trace.packets.len() as f64,
        ours: ours.iter().map(|tally| figures(tally, &trace)).collect(),
        neteq_logic: figures(&neteq_logic, &trace),
        fixed: figures(&fixed::run(&trace, FIXED_MS * MS), &trace),
    })
}

fn figures(tally: &Tally, trace: &Trace) -> Figures {
    let share = |samples: i64| samples as f64 / tally.total.max(1) as f64;
    Figures {
        mean_delay_ms: tally.mean_delay_ms(),
        p95_delay_ms: tally.p95_delay_ms(),
        mean_playout_ms: tally.mean_playout_ms(),
        concealed_ratio: tally.concealed_ratio(),
        interruptions: tally.interruptions as f64,
        accelerate_ratio: share(tally.accelerated),
        expand_ratio: share(tally.expanded),
        recover_s: tally.recover_s(trace),
    }
}

/// Means over seeds.
fn mean_figures(runs: &[Figures]) -> Figures {
    let mean =
        |of: &dyn Fn(&Figures) -> f64| runs.iter().map(of).sum::<f64>() / runs.len().max(1) as f64;
    Figures {
        mean_delay_ms: mean(&|run| run.mean_delay_ms),
        p95_delay_ms: mean(&|run| run.p95_delay_ms),
        mean_playout_ms: mean(&|run| run.mean_playout_ms),
        concealed_ratio: mean(&|run| run.concealed_ratio),
        interruptions: mean(&|run| run.interruptions),
        accelerate_ratio: mean(&|run| run.accelerate_ratio),
        expand_ratio: mean(&|run| run.expand_ratio),
        recover_s: runs
            .iter()
            .map(|run| run.recover_s)
            .sum::<Option<f64>>()
            .map(|sum| sum / runs.len().max(1) as f64),
    }
}

fn summary(runs: &[Run]) -> ProfileFigures {
    let mean = |of: &dyn Fn(&Run) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let figures =
        |of: &dyn Fn(&Run) -> Figures| mean_figures(&runs.iter().map(of).collect::<Vec<_>>());
    let slider: Vec<Figures> = (0..STABILITIES.len())
        .map(|i| figures(&|run| run.ours[i].clone()))
        .collect();
    let neteq_logic = figures(&|run| run.neteq_logic.clone());
    let delay_at_equal = at_equal_concealment(&slider, neteq_logic.concealed_ratio);
    let ours = slider[DEFAULT].clone();
    let bound = BoundFigures {
        mean_delay_ms: mean(&|run| run.bound.delay_ms),
        mean_playout_ms: mean(&|run| run.bound.playout_ms),
        late: mean(&|run| run.late as f64),
    };
    ProfileFigures {
        to_neteq_logic: delay_at_equal.map(|delay| delay / neteq_logic.mean_delay_ms),
        delay_at_equal_concealment_ms: delay_at_equal,
        bound_to_neteq_logic: mean(&|run| run.bound_for_neteq.delay_ms) / neteq_logic.mean_delay_ms,
        to_bound_delay: ours.mean_delay_ms / bound.mean_delay_ms,
        to_bound_playout: ours.mean_playout_ms / bound.mean_playout_ms,
        lost_ratio: mean(&|run| run.lost_ratio),
        fixed60: figures(&|run| run.fixed.clone()),
        neteq_crate: None,
        ours,
        neteq_logic,
        bound,
        slider,
    }
}

/// The least delay of ours with which no more is concealed than `concealed`, between the two settings around it.
fn at_equal_concealment(slider: &[Figures], concealed: f64) -> Option<f64> {
    // A thousandth of what is played is less than seeds differ by.
    const SAME: f64 = 0.0005;
    let point = |figures: &Figures| (figures.concealed_ratio, figures.mean_delay_ms);
    let enough = slider
        .iter()
        .filter(|figures| figures.concealed_ratio <= concealed + SAME)
        .map(|figures| figures.mean_delay_ms);
    let between = slider.windows(2).filter_map(|pair| {
        let ((c0, d0), (c1, d1)) = (point(&pair[0]), point(&pair[1]));
        let crosses = (c0 > concealed) != (c1 > concealed);
        crosses.then(|| d0 + (d1 - d0) * (c0 - concealed) / (c0 - c1))
    });
    enough.chain(between).min_by(f64::total_cmp)
}

fn show(args: &Args, profile: Profile, figures: &ProfileFigures) {
    heading(format!(
        "{profile} ({:.2} % lost)",
        100.0 * figures.lost_ratio
    ));
    let line = |name: &str, figures: &Figures| {
        let recover = figures
            .recover_s
            .map_or(String::new(), |s| format!(", recovered in {s:.2} s"));
        row(
            name,
            format!("{:.1} ms", figures.mean_delay_ms),
            format!(
                "95 % {:.1} ms, from sending {:.1} ms; concealed {:.3} %, {:.1} interruptions; faster {:.2} %, slower {:.2} %{recover}",
                figures.p95_delay_ms,
                figures.mean_playout_ms,
                100.0 * figures.concealed_ratio,
                figures.interruptions,
                100.0 * figures.accelerate_ratio,
                100.0 * figures.expand_ratio,
            ),
        );
    };
    for (stability, figures) in STABILITIES.iter().zip(&figures.slider) {
        line(&format!("ours, slider at {stability}"), figures);
    }
    line("neteq_logic", &figures.neteq_logic);
    if let Some(figures) = &figures.neteq_crate {
        line("neteq crate", figures);
    }
    line("fixed 60 ms", &figures.fixed60);
    row(
        "bound",
        format!("{:.1} ms", figures.bound.mean_delay_ms),
        format!(
            "from sending {:.1} ms; {:.1} packets late as with ours",
            figures.bound.mean_playout_ms, figures.bound.late
        ),
    );
    match figures.to_neteq_logic {
        Some(ratio) => row(
            "to neteq_logic, equally concealed",
            format!("{ratio:.2} x"),
            format!(
                "{}; the bound has {:.2} x",
                goal(ratio, GOAL_NETEQ),
                figures.bound_to_neteq_logic
            ),
        ),
        None => row(
            "to neteq_logic, equally concealed",
            "-",
            "not reached by the slider",
        ),
    }
    row(
        "to the bound, from sending",
        format!("{:.2} x", figures.to_bound_playout),
        goal(figures.to_bound_playout, GOAL_BOUND),
    );
    row(
        "to the bound, in the buffer",
        format!("{:.2} x", figures.to_bound_delay),
        goal(figures.to_bound_delay, GOAL_BOUND),
    );
    if profile == Profile::Clean {
        let most_ms = f64::from(args.frame_ms.as_ms()) + GOAL_CLEAN_MS;
        let delay_ms = figures.ours.mean_delay_ms;
        row(
            "clean path",
            format!("{delay_ms:.1} ms"),
            goal(delay_ms, most_ms),
        );
    }
    if let Some(recover_s) = figures.ours.recover_s {
        row(
            "recovery",
            format!("{recover_s:.2} s"),
            goal(recover_s, GOAL_RECOVER_S),
        );
    }
}

fn goal(figure: f64, goal: f64) -> String {
    let verdict = if figure <= goal { "met" } else { "missed" };
    format!("goal <= {goal}: {verdict}")
}

#[derive(Serialize)]
struct Endurance {
    hours: f64,
    drifts: Vec<EnduranceFigures>,
}

#[derive(Serialize)]
struct EnduranceFigures {
    drift_ppm: f64,
    mean_delay_ms: f64,
    p95_delay_ms: f64,
    concealed_samples: i64,
    concealments_per_hour: f64,
    interruptions: u64,
    accelerate_ratio: f64,
    expand_ratio: f64,
    /// Of all that was heard; the same in each run with the same seed.
    sound_hash: String,
}

/// A day on a clean path, with the speaker's clock too fast and too slow.
fn endure(args: &Args, speech: &Speech, hours: f64) -> anyhow::Result<()> {
    let frame = args.frame_ms.samples() as i64;
    let length = (hours * 3_600.0 * SECOND as f64) as i64;
    let one = |drift_ppm: f64| -> anyhow::Result<EnduranceFigures> {
        let trace = Trace::drifting(drift_ppm, 1, frame, length);
        let mut hash = DefaultHasher::new();
        let tally = ours::run(
            &trace,
            speech,
            STABILITIES[DEFAULT],
            args.pull,
            100,
            |out| {
                for sample in out {
                    hash.write_u32(sample.to_bits());
                }
            },
        )?;
        Ok(EnduranceFigures {
            drift_ppm,
            mean_delay_ms: tally.mean_delay_ms(),
            p95_delay_ms: tally.p95_delay_ms(),
            concealed_samples: tally.concealed,
            concealments_per_hour: tally.concealments as f64 / hours,
            interruptions: tally.interruptions,
            accelerate_ratio: tally.accelerated as f64 / tally.total.max(1) as f64,
            expand_ratio: tally.expanded as f64 / tally.total.max(1) as f64,
            sound_hash: format!("{:016x}", hash.finish()),
        })
    };
    let drifts = thread::scope(|scope| {
        let threads = [-200.0, 200.0].map(|ppm| scope.spawn(move || one(ppm)));
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a panic of a worker ends the run"))
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    for figures in &drifts {
        heading(format!("{hours} hours at {:+} ppm", figures.drift_ppm));
        row(
            "delay",
            format!("{:.2} ms", figures.mean_delay_ms),
            format!("95 % {:.1} ms", figures.p95_delay_ms),
        );
        row(
            "concealments an hour",
            format!("{:.3}", figures.concealments_per_hour),
            goal(figures.concealments_per_hour, 1.0),
        );
        row(
            "interruptions",
            figures.interruptions,
            goal(figures.interruptions as f64, 0.0),
        );
        row("sound", &figures.sound_hash, "the same for the same seed");
    }
    if args.json {
        println!("{}", serde_json::to_string(&Endurance { hours, drifts })?);
    }
    Ok(())
}
