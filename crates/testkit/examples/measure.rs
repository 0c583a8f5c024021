//! Delay and dropouts between two sound files, or two channels of one recording:
//!
//! `cargo run -p voxhall-testkit --example measure -- rec.wav:0 rec.wav:3`
//!
//! is, in a recording of `scripts/sound-card` with a and b, from a's microphone to b's speaker.

use std::{error::Error, process::ExitCode};

use voxhall_testkit::{
    correlate::{Search, Summary},
    wav,
};

const MIN_CORRELATION: f64 = 0.4;
const SHORTEST_DROPOUT_MS: f64 = 10.0;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let files: Vec<_> = std::env::args().skip(1).collect();
    let [said, heard] = files.as_slice() else {
        return Err("usage: measure SAID.wav[:CHANNEL] HEARD.wav[:CHANNEL]".into());
    };
    let (rate_hz, said) = channel(said)?;
    let (heard_rate_hz, heard) = channel(heard)?;
    if rate_hz != heard_rate_hz {
        return Err(format!(
            "the files have different sample rates, {rate_hz} and {heard_rate_hz} Hz"
        )
        .into());
    }

    let search = Search {
        min_delay_s: -1.0,
        max_delay_s: 2.0,
        ..Search::new(rate_hz)
    };
    let mut matches = search.find(&said, &heard);
    for found in &matches {
        println!(
            "at {:7.2} s  delay {:8.2} ms  correlation {:.3}",
            found.at_s, found.delay_ms, found.correlation
        );
    }
    let Some(summary) = Summary::of(&matches, MIN_CORRELATION) else {
        println!("not found: no window correlates above {MIN_CORRELATION}");
        return Ok(ExitCode::FAILURE);
    };
    matches.retain(|found| found.correlation >= MIN_CORRELATION);
    println!("{summary:#?}");
    for dropout in search.dropouts(&said, &heard, &matches, SHORTEST_DROPOUT_MS) {
        println!(
            "dropout at {:7.3} s, {:.1} ms long",
            dropout.at_s, dropout.length_ms
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// `FILE` or `FILE:CHANNEL`: its rate and samples.
fn channel(wanted: &str) -> Result<(u32, Vec<f32>), Box<dyn Error>> {
    let numbered = wanted
        .rsplit_once(':')
        .and_then(|(file, number)| Some((file, number.parse::<usize>().ok()?)));
    let (file, number) = numbered.unwrap_or((wanted, 0));
    let mut wav = wav::load(file)?;
    if number >= wav.channels.len() {
        return Err(format!("{file} has only {} channels", wav.channels.len()).into());
    }
    Ok((wav.rate_hz, wav.channels.swap_remove(number)))
}
