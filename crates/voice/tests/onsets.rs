//! The beginnings of talkspurts: how fast the listener catches up with what was said before the detector was sure,
//! and what is left of it.

mod support;

use std::path::{Path, PathBuf};

use support::{Call, Heard, Onset, Rng};
use voxhall_voice::TransmitMode;

fn load(path: &Path) -> Vec<f32> {
    support::wav(&std::fs::read(path).expect("a recording; scripts/speech makes them"))
}

/// A second of silence before, after, and in every pause, so that every word group is an onset.
fn apart(said: &[f32]) -> Vec<f32> {
    const PAUSE: usize = 150 * 48;
    let mut out = vec![0.0; 48_000];
    let mut faint = 0;
    for &sample in said {
        faint = if sample.abs() < 1e-3 { faint + 1 } else { 0 };
        if faint == PAUSE {
            out.extend([0.0; 48_000]);
        }
        out.push(sample);
    }
    out.extend([0.0; 48_000]);
    out
}

fn call(said: Vec<f32>, pull: usize) -> Call {
    let mut call = Call::new(1, said.len() as f64 / support::RATE);
    call.mode = TransmitMode::VoiceActivity;
    call.pull = pull;
    call.pull_phase_ms = 1.1;
    call.said = said;
    call
}

/// A path as within one house. The packets of a burst leave one after another, as fast as they are encoded.
fn run(call: &Call) -> Heard {
    let mut last_ms = 0.0;
    call.run(move |_, at_ms, rng| {
        let arrival_ms = (at_ms + 0.3 + 0.2 * rng.unit()).max(last_ms + 0.3);
        last_ms = arrival_ms;
        vec![arrival_ms - at_ms]
    })
}

/// What is left of the first 300 ms: how alike each 30 ms of voice in it is to what is heard, wherever that is best. Hisses are
/// cut anywhere, which leaves their sound but not their waveform.
fn likeness(said: &[f32], heard: &[f32], onset: Onset) -> Vec<f64> {
    const WINDOW: usize = 1_440;
    (onset.from..onset.from + 14_400)
        .step_by(WINDOW)
        .filter(|&from| from + WINDOW <= said.len())
        .filter(|&from| {
            let energy: f32 = said[from..from + WINDOW].iter().map(|s| s * s).sum();
            energy / WINDOW as f32 > 1e-4
        })
        .filter(|&from| {
            let said = &said[from..from + WINDOW];
            let crossings = said
                .windows(2)
                .filter(|pair| (pair[0] < 0.0) != (pair[1] < 0.0));
            crossings.count() < WINDOW / 10
        })
        .map(|from| support::align(said, heard, from, WINDOW, 12_000).1)
        .collect()
}

/// Delay in ms in each 100 ms after the onset.
fn trace(heard: &Heard, onset: Onset) -> Vec<f64> {
    (0..10)
        .map(|i| {
            let from = onset.at_ms + 100.0 * f64::from(i);
            heard.mean_delay_ms(from, from + 100.0)
        })
        .collect()
}

/// Prints every onset. Returns the worst delay in ms from 300 to 400 ms after them, and how alike their beginnings are.
fn show(name: &str, call: &Call, heard: &Heard) -> (f64, f64) {
    let mut all = Vec::new();
    let mut after = Vec::new();
    for &onset in &heard.onsets {
        let pre_roll_ms = onset.at_ms - 10.0 - onset.from as f64 / 48.0;
        let trace = trace(heard, onset);
        let alike = likeness(&call.said, &heard.sound, onset);
        let mean = alike.iter().sum::<f64>() / alike.len().max(1) as f64;
        let line: Vec<String> = trace.iter().map(|ms| format!("{ms:3.0}")).collect();
        println!(
            "{name} pulls of {}, {:6.0} ms, {pre_roll_ms:3.0} ms of pre-roll: {} | alike {mean:.2} {}",
            call.pull,
            onset.at_ms,
            line.join(" "),
            alike
                .iter()
                .map(|a| format!("{a:.2}"))
                .collect::<Vec<_>>()
                .join(" "),
        );
        all.extend(alike);
        after.push(trace[3]);
    }
    let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
    let late = after.iter().copied().fold(0.0, f64::max);
    println!(
        "{name}: {} onsets, 300-400 ms after them {late:.1} ms at worst, alike {mean:.3}, {} accelerated, {:?}",
        after.len(),
        heard.stats.accelerated_samples / 48,
        heard.stats.concealed_samples
    );
    (late, mean)
}

/// Words as a headset hears them: breath and room at -50 dBFS, a rough voice whose pitch jumps, hisses of all lengths.
fn rough_words(seed: u64) -> Vec<f32> {
    let mut rng = Rng(seed);
    let mut said: Vec<f32> = (0..16 * 48_000)
        .map(|_| ((rng.unit() * 2.0 - 1.0) * 0.0055) as f32)
        .collect();
    for second in [2, 5, 8, 11, 14] {
        let word = second * 48_000 + rng.below(4_800) as usize;
        let mut at = word + [0, 2_000, 4_800][rng.below(3) as usize];
        support::fricative(&mut rng, &mut said[word..at]);
        while at < word + 48_000 {
            let len = 1_200 + rng.below(2_400) as usize;
            support::vowel(&mut rng, &mut said[at..at + len]);
            at += len * 3 / 4;
        }
    }
    said
}

#[test]
fn the_listener_has_caught_up_within_300_ms_of_an_onset() {
    let mut soon = Vec::new();
    for seed in 1..=3 {
        for (pull, steady_ms) in [(240, 6.5), (128, 4.5)] {
            let call = call(rough_words(seed), pull);
            let heard = run(&call);
            let (caught_up_ms, alike) = show(&format!("seed {seed}, rough words"), &call, &heard);
            assert!(heard.onsets.len() >= 5, "seed {seed}");
            assert_eq!(heard.stats.concealed_samples, 0, "seed {seed}");
            assert!(caught_up_ms < steady_ms + 6.0, "seed {seed}");
            assert!(alike > 0.8, "seed {seed}");
            soon.extend(heard.onsets.iter().map(|&onset| trace(&heard, onset)[1]));
        }
    }
    // Most of it much earlier: 34 ms are left where catching up waits until margins are known, and 28 ms where hisses are looked
    // through for a place that is like another.
    let soon_ms = soon.iter().sum::<f64>() / soon.len() as f64;
    println!("100-200 ms after the onsets: {soon_ms:.1} ms");
    assert!(soon_ms < 14.0, "{soon_ms} ms");
}

/// With the recordings that `scripts/speech` makes.
#[test]
#[ignore = "needs recordings: run scripts/speech, then this with --ignored --nocapture"]
fn recorded_speech() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/speech");
    let clips = ["speech", "ann", "cid", "bob", "dan"];
    for noise in [0.0, 0.003] {
        for name in clips {
            let path: PathBuf = dir.join(name).with_extension("wav");
            let mut rng = Rng(7);
            let mut said = apart(&load(&path));
            for sample in &mut said {
                *sample += ((rng.unit() * 2.0 - 1.0) * noise * 1.73) as f32;
            }
            for pull in [240, 128] {
                let call = call(said.clone(), pull);
                let heard = run(&call);
                show(&format!("{name}, noise {noise}"), &call, &heard);
            }
        }
    }
}
