//! The microphone's processing in a simulated room: what a loudspeaker plays comes back with reverberation, and somebody
//! speaks, types, or is quiet beside it. Recorded speech where `scripts/speech` made some, else synthetic.

mod support;

use std::path::Path;

use support::{Rng, align, speech, stereo};
use voxhall_voice::{NoiseSuppression, Processing, Processor};

const SECOND: usize = 48_000;
const BLOCK: usize = 480;

const ECHO: Processing = Processing {
    echo: true,
    ..Processing::OFF
};

/// A recording repeated to `seconds`, or something like it.
fn talk(name: &str, seed: u64, seconds: usize) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/speech")
        .join(name)
        .with_extension("wav");
    let said = match std::fs::read(path) {
        Ok(bytes) => support::wav(&bytes),
        Err(_) => speech(seed, 10 * SECOND),
    };
    said.iter()
        .copied()
        .cycle()
        .take(seconds * SECOND)
        .collect()
}

/// From the reference to the microphone.
struct Room {
    /// Both devices' buffers and the way through the air.
    delay_ms: usize,
    /// Level of the echo beside what is played.
    gain_db: f32,
    /// Time in which the reverberation falls by 60 dB.
    rt60_ms: usize,
    /// The loudspeaker is overdriven.
    distorted: bool,
}

impl Room {
    /// A direct sound, then a decaying diffuse tail.
    fn response(&self, rng: &mut Rng) -> Vec<f32> {
        let len = self.rt60_ms * 48 * 2 / 3;
        let mut response: Vec<f32> = (0..len)
            .map(|i| {
                let fall = 10.0_f64.powf(-3.0 * i as f64 / (self.rt60_ms * 48) as f64);
                ((rng.unit() - 0.5) * 0.12 * fall) as f32
            })
            .collect();
        response[0] = 1.0;
        let energy: f32 = response.iter().map(|h| h * h).sum();
        let gain = 10.0_f32.powf(self.gain_db / 20.0) / energy.sqrt();
        response.iter().map(|h| h * gain).collect()
    }

    fn echo(&self, played: &[f32], seed: u64) -> Vec<f32> {
        let mut sent = played.to_vec();
        if self.distorted {
            for sample in &mut sent {
                *sample = (*sample * 2.5).tanh() / 2.5;
            }
        }
        let mut out = vec![0.0; played.len()];
        let response = self.response(&mut Rng(seed));
        for (i, &h) in response.iter().enumerate() {
            let from = self.delay_ms * 48 + i;
            for (to, x) in out[from.min(played.len())..].iter_mut().zip(&sent) {
                *to += h * x;
            }
        }
        out
    }
}

fn noise(seed: u64, rms_dbfs: f32, samples: usize) -> Vec<f32> {
    let mut rng = Rng(seed);
    let peak = 10.0_f64.powf(f64::from(rms_dbfs) / 20.0) * 3.0_f64.sqrt();
    (0..samples)
        .map(|_| ((rng.unit() * 2.0 - 1.0) * peak) as f32)
        .collect()
}

fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Without the lows, whose phase the high-pass filter turns.
fn bright(samples: &[f32]) -> Vec<f32> {
    let difference = |s: &[f32]| s.windows(2).map(|w| w[1] - w[0]).collect::<Vec<f32>>();
    difference(&difference(samples))
}

fn at_dbfs(samples: &[f32], rms_dbfs: f32) -> Vec<f32> {
    let gain = 10.0_f32.powf((rms_dbfs - loud_db(samples)) / 20.0);
    samples.iter().map(|s| s * gain).collect()
}

/// RMS in dBFS.
fn db(samples: &[f32]) -> f32 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (10.0 * (energy / samples.len().max(1) as f64 + 1e-12).log10()) as f32
}

/// RMS in dBFS of the 20 ms pieces that are not pauses.
fn loud_db(samples: &[f32]) -> f32 {
    let loudest = samples.chunks(960).map(db).fold(-120.0, f32::max);
    let loud: Vec<f32> = samples
        .chunks(960)
        .filter(|piece| db(piece) > loudest - 30.0)
        .flatten()
        .copied()
        .collect();
    db(&loud)
}

/// Runs both streams through, one block after the other.
fn process(processor: &mut Processor, played: &[f32], captured: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    for (played, mut captured) in played.chunks(BLOCK).zip(captured.chunks(BLOCK)) {
        processor.played(&stereo(played));
        while let Some(block) = processor.take(&mut captured) {
            out.extend_from_slice(block);
        }
    }
    out
}

/// How much weaker the echo is in each second.
fn suppression_db(echo: &[f32], out: &[f32]) -> Vec<f32> {
    echo.chunks(SECOND)
        .zip(out.chunks(SECOND))
        .map(|(before, after)| db(before) - db(after))
        .collect()
}

fn line(values: &[f32]) -> String {
    values
        .iter()
        .map(|v| format!("{v:5.1}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn an_echo_is_down_by_30_db_after_2_s() {
    let played = talk("speech", 1, 10);
    for (delay_ms, rt60_ms, gain_db, distorted) in [
        (20, 200, -6.0, false),
        (60, 300, -6.0, false),
        (100, 200, -12.0, false),
        (150, 400, -6.0, false),
        (60, 200, -6.0, true),
    ] {
        let room = Room {
            delay_ms,
            gain_db,
            rt60_ms,
            distorted,
        };
        let echo = room.echo(&played, 5);
        let captured = add(&echo, &noise(3, -75.0, echo.len()));
        let mut processor = Processor::new(ECHO);
        let out = process(&mut processor, &played, &captured);
        let down = suppression_db(&echo, &out);
        println!(
            "delay {delay_ms} ms, RT60 {rt60_ms} ms, {gain_db} dB{}: down by {} dB; {:?}",
            if distorted { ", overdriven" } else { "" },
            line(&down),
            processor.echo()
        );
        assert!(
            down[2..].iter().all(|&db| db >= 30.0),
            "delay {delay_ms} ms: {down:?}"
        );
        let known_ms = processor
            .echo()
            .and_then(|stats| stats.delay_ms)
            .expect("a delay");
        assert!((known_ms - delay_ms as f32).abs() <= 16.0, "{known_ms} ms");
    }
}

#[test]
fn near_speech_is_kept_in_double_talk() {
    let played = talk("speech", 1, 16);
    let near = talk("bob", 2, 16);
    let room = Room {
        delay_ms: 60,
        gain_db: -10.0,
        rt60_ms: 250,
        distorted: false,
    };
    let echo = room.echo(&played, 5);
    let hum = noise(3, -75.0, echo.len());
    for near_dbfs in [-20.0, -26.0] {
        // Ten seconds to learn the room, then both speak.
        let mut near = at_dbfs(&near, near_dbfs);
        near[..10 * SECOND].fill(0.0);
        let mut processor = Processor::new(ECHO);
        let captured = add(&add(&echo, &near), &hum);
        let out = process(&mut processor, &played, &captured);
        let mut alone = Processor::new(ECHO);
        let undisturbed = process(&mut alone, &vec![0.0; played.len()], &add(&near, &hum));
        let from = 10 * SECOND;
        // The same voice through the same filters, without an echo.
        let (_, alike) = align(&undisturbed, &out, from, 5 * SECOND, 100);
        let (_, before) = align(&near, &captured, from, 5 * SECOND, 100);
        let kept_db = loud_db(&out[from..]) - loud_db(&near[from..]);
        println!(
            "near {near_dbfs} dBFS, echo {:.1} dBFS: likeness {before:.3} -> {alike:.3} (SI-SDR {:.1} -> {:.1} dB), level {kept_db:+.1} dB",
            loud_db(&echo[from..]),
            si_sdr(before),
            si_sdr(alike),
        );
        assert!(alike > 0.8, "{alike}");
        assert!(kept_db > -6.0, "{kept_db} dB");
    }
}

/// The signal-to-distortion ratio that a likeness amounts to, dB.
fn si_sdr(alike: f64) -> f64 {
    10.0 * (alike * alike / (1.0 - alike * alike)).log10()
}

#[test]
fn noise_is_suppressed_and_speech_kept() {
    let clean = at_dbfs(&talk("speech", 1, 12), -24.0);
    let mut said = clean.clone();
    // Two seconds at the end are noise alone.
    said[10 * SECOND..].fill(0.0);
    let captured = add(&said, &noise(3, -45.0, said.len()));
    for (level, least_db) in [(NoiseSuppression::Low, 8.0), (NoiseSuppression::High, 14.0)] {
        let mut processor = Processor::new(Processing {
            noise: level,
            ..Processing::OFF
        });
        let out = process(&mut processor, &captured, &captured);
        let down = db(&captured[11 * SECOND..]) - db(&out[11 * SECOND..]);
        let settings = processor.settings();
        let filtered = process(&mut Processor::new(settings), &captured, &said);
        let (_, alike) = align(&filtered, &out, 4 * SECOND, 5 * SECOND, 100);
        let (_, before) = align(&said, &captured, 4 * SECOND, 5 * SECOND, 10);
        let kept_db =
            loud_db(&out[4 * SECOND..9 * SECOND]) - loud_db(&said[4 * SECOND..9 * SECOND]);
        println!(
            "{level:?}: noise down by {down:.1} dB, speech {kept_db:+.1} dB, likeness {before:.3} -> {alike:.3} (SI-SDR {:.1} -> {:.1} dB)",
            si_sdr(before),
            si_sdr(alike)
        );
        assert!(down > least_db, "{down} dB");
        assert!(kept_db > -3.0, "{kept_db} dB");
        assert!(alike > 0.9, "{alike}");
    }
}

#[test]
fn quiet_speech_is_brought_to_a_sensible_level_and_noise_is_not_pumped() {
    let gain = Processing {
        gain: true,
        ..Processing::OFF
    };
    for dbfs in [-45.0, -35.0, -25.0, -15.0] {
        let said = at_dbfs(&talk("speech", 1, 20), dbfs);
        let captured = add(&said, &noise(3, -75.0, said.len()));
        let out = process(&mut Processor::new(gain), &captured, &captured);
        let levels: Vec<f32> = out.chunks(2 * SECOND).map(loud_db).collect();
        let peak = out.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        println!(
            "speech at {dbfs} dBFS: {} dBFS every 2 s, peak {peak:.2}",
            line(&levels)
        );
        let last = *levels.last().expect("some");
        assert!((-30.0..-12.0).contains(&last), "{last} dBFS");
        assert!(peak <= 1.0);
    }
    let hiss = noise(4, -60.0, 20 * SECOND);
    let out = process(&mut Processor::new(gain), &hiss, &hiss);
    let levels: Vec<f32> = out.chunks(2 * SECOND).map(db).collect();
    println!("noise at -60 dBFS alone: {} dBFS", line(&levels));
    assert!(levels.iter().all(|&level| level < -40.0), "{levels:?}");
}

#[test]
fn the_delay_that_each_part_adds() {
    let said = talk("speech", 1, 6);
    let silence = vec![0.0; said.len()];
    let captured = add(&said, &noise(3, -70.0, said.len()));
    let low = NoiseSuppression::Low;
    for (name, settings, most_ms) in [
        ("off", Processing::OFF, 0.0),
        (
            "gain",
            Processing {
                gain: true,
                ..Processing::OFF
            },
            0.1,
        ),
        (
            "noise",
            Processing {
                noise: low,
                ..Processing::OFF
            },
            10.0,
        ),
        ("echo", ECHO, 12.0),
        (
            "all",
            Processing {
                noise: low,
                ..Processing::default()
            },
            18.0,
        ),
    ] {
        let out = process(&mut Processor::new(settings), &silence, &captured);
        let (lag, alike) = align(&bright(&said), &bright(&out), 2 * SECOND, 2 * SECOND, 2_400);
        println!("{name}: {:.2} ms (likeness {alike:.3})", lag as f32 / 48.0);
        assert!(lag as f32 / 48.0 <= most_ms, "{name}: {lag} samples");
    }
}

#[test]
fn after_odd_pieces_and_a_device_that_stood_still_the_echo_is_gone_again() {
    for seed in [1, 3, 4, 11] {
        let played = talk("speech", seed, 24);
        let room = Room {
            delay_ms: 40,
            gain_db: -6.0,
            rt60_ms: 200,
            distorted: false,
        };
        let echo = room.echo(&played, 5);
        let captured = add(&echo, &noise(3, -75.0, echo.len()));
        let mut processor = Processor::new(ECHO);
        let mut rng = Rng(8 + seed);
        let (mut out, mut at) = (Vec::new(), 0);
        let (mut told, mut taken) = (0, 0);
        while at < played.len() {
            at += 128 + rng.below(700) as usize;
            let now = at.min(played.len());
            // The playout callback comes with 15 ms at a time.
            let callback = now / 720 * 720;
            if callback > told {
                processor.played(&stereo(&played[told..callback]));
                told = callback;
            }
            // The microphone is not read for 300 ms, and then what is older than 100 ms is thrown away.
            if (8 * SECOND..8 * SECOND + 300 * 48).contains(&now) {
                continue;
            }
            let stale = (now - taken).saturating_sub(4_800);
            processor.skip(stale);
            out.resize(out.len() + stale, 0.0);
            let mut chunk = &captured[taken + stale..now];
            taken = now;
            while let Some(block) = processor.take(&mut chunk) {
                out.extend_from_slice(block);
            }
        }
        let down = suppression_db(&echo, &out);
        println!(
            "odd pieces, seed {seed}: {} dB; {:?}",
            line(&down),
            processor.echo()
        );
        assert!(down[3..8].iter().all(|&db| db > 25.0), "{down:?}");
        // Where the canceller finds its last few samples of distance is a matter of rounding, which processors differ in: that may
        // cost a second some of it, once.
        let after = &down[14..];
        let weak = after.iter().filter(|&&db| db < 25.0).count();
        assert!(
            weak <= 1 && after.iter().all(|&db| db > 12.0),
            "seed {seed}, after the stop: {down:?}"
        );
        assert!(
            down[18..].iter().all(|&db| db > 25.0),
            "seed {seed}, long after the stop: {down:?}"
        );
        // A reserve that goes down and up again would cost the canceller its alignment each time.
        let slipped = processor.echo().expect("it is on").slipped_samples;
        assert!(slipped < 1_000, "seed {seed}: {slipped} samples slipped");
    }
}

#[test]
fn clocks_that_drift_are_followed() {
    // The microphone's clock is slower by 100 ppm: a sample less every 10,000.
    let played = talk("speech", 1, 30);
    let room = Room {
        delay_ms: 40,
        gain_db: -6.0,
        rt60_ms: 200,
        distorted: false,
    };
    let echo = room.echo(&played, 5);
    for drop_one in [true, false] {
        let mut heard = Vec::new();
        for piece in echo.chunks(10_000) {
            if drop_one {
                heard.extend_from_slice(&piece[..piece.len() - 1]);
            } else {
                heard.extend_from_slice(piece);
                heard.push(*piece.last().expect("some"));
            }
        }
        let captured = add(&heard, &noise(3, -75.0, heard.len()));
        let mut processor = Processor::new(ECHO);
        let mut out = Vec::new();
        let mut told = 0;
        for (i, mut chunk) in captured.chunks(BLOCK).enumerate() {
            let now = (i + 1) * BLOCK;
            let due = if drop_one {
                now + now / 9_999
            } else {
                now - now / 10_001
            };
            let due = due.min(played.len());
            processor.played(&stereo(&played[told..due.max(told)]));
            told = due.max(told);
            while let Some(block) = processor.take(&mut chunk) {
                out.extend_from_slice(block);
            }
        }
        let down = suppression_db(&heard, &out);
        println!(
            "microphone {}: {} dB; {:?}",
            if drop_one { "slow" } else { "fast" },
            line(&down),
            processor.echo()
        );
        let mean = down[3..29].iter().sum::<f32>() / 26.0;
        assert!(mean > 25.0, "{down:?}");
    }
}

#[test]
fn without_playout_nothing_is_taken_from_the_voice() {
    let said = at_dbfs(&talk("speech", 1, 8), -22.0);
    let mut processor = Processor::new(ECHO);
    let out = process(&mut processor, &[], &said);
    assert!(out.is_empty(), "zip needs both");
    let mut rest = &said[..];
    let mut out = Vec::new();
    while let Some(block) = processor.take(&mut rest) {
        out.extend_from_slice(block);
    }
    let (_, alike) = align(&bright(&said), &bright(&out), 2 * SECOND, 4 * SECOND, 2_400);
    println!("no playout: likeness {alike:.3}");
    // As alike as after the filters alone.
    assert!(alike > 0.85, "{alike}");
    assert_eq!(processor.echo().map(|stats| stats.slipped_samples), Some(0));
}

#[test]
fn switching_live_keeps_the_stream_whole() {
    let said = talk("speech", 1, 8);
    let mut processor = Processor::new(Processing::OFF);
    let mut out = Vec::new();
    for (i, mut chunk) in said.chunks(BLOCK).enumerate() {
        processor.set(match i / 60 % 5 {
            0 => Processing::OFF,
            1 => Processing::default(),
            2 => Processing {
                noise: NoiseSuppression::Off,
                ..Processing::default()
            },
            3 => Processing {
                echo: false,
                ..Processing::default()
            },
            _ => Processing {
                noise: NoiseSuppression::Low,
                ..Processing::default()
            },
        });
        processor.played(&stereo(chunk));
        while let Some(block) = processor.take(&mut chunk) {
            out.extend_from_slice(block);
        }
    }
    assert_eq!(out.len(), said.len());
    assert!(out.iter().all(|s| s.is_finite()));
}

#[test]
fn wild_input_comes_out_tame() {
    let mut rng = Rng(11);
    let mut processor = Processor::new(Processing::default());
    for i in 0..600_u64 {
        let wild: Vec<f32> = (0..rng.below(1_500))
            .map(|k| match (i / 50) % 6 {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => f32::from_bits(rng.next() as u32),
                3 => {
                    if k % 40 < 20 {
                        1.0
                    } else {
                        -1.0
                    }
                }
                4 => 1e-40,
                _ => ((rng.unit() - 0.5) * 0.1) as f32,
            })
            .collect();
        if i % 3 != 0 {
            processor.played(&stereo(&wild));
        }
        if i % 7 == 0 {
            processor.skip(wild.len());
        }
        let mut rest = &wild[..];
        while let Some(block) = processor.take(&mut rest) {
            assert!(block.iter().all(|s| s.is_finite() && s.abs() <= 1.0));
        }
    }
    // And it still works.
    let said = at_dbfs(&talk("speech", 1, 6), -22.0);
    let out = process(&mut processor, &vec![0.0; said.len()], &said);
    assert!(loud_db(&out[4 * SECOND..]) > -35.0);
}
