//! Calls over simulated networks: what arrives is heard, and soon. Every call runs on a printed seed.

mod support;

use support::{Call, Fate, Heard, Rng, align};
use voxhall_voice::{FrameLength, TransmitMode};

const SEEDS: [u64; 3] = [1, 2, 3];

/// A path of 20 ms, and up to `jitter_ms` more.
fn path(jitter_ms: f64) -> impl FnMut(u64, f64, &mut Rng) -> Fate {
    move |_, _, rng| vec![20.0 + jitter_ms * rng.unit()]
}

fn show(name: &str, call: &Call, heard: &Heard) {
    println!(
        "{name}, seed {}: delay {:.1} ms, concealed {:.2} %, {:?}",
        call.seed,
        heard.mean_delay_ms(2_000.0, f64::INFINITY),
        100.0 * heard.concealed_share(),
        heard.stats
    );
}

#[test]
fn a_clean_path_adds_next_to_nothing() {
    for seed in SEEDS {
        for (pull, frame, at_most_ms) in [
            (120, FrameLength::Ms10, 4.0),
            (120, FrameLength::Ms2_5, 4.0),
            (128, FrameLength::Ms10, 5.0),
            (240, FrameLength::Ms10, 6.5),
            (240, FrameLength::Ms5, 6.5),
            (480, FrameLength::Ms20, 11.5),
        ] {
            let mut call = Call::new(seed, 6.0);
            call.pull = pull;
            call.frame = frame;
            call.pull_phase_ms = Rng(seed).unit() * 5.0;
            let heard = call.run(path(0.9));
            show(
                &format!("clean, pulls of {pull}, {frame} ms"),
                &call,
                &heard,
            );
            assert_eq!(heard.stats.concealed_samples, 0);
            assert_eq!(
                heard.stats.packets + 10,
                heard.packets.max(heard.stats.packets + 10)
            );
            // From the first second on: there is no warming up.
            for (from_ms, to_ms) in [(200.0, 1_000.0), (1_000.0, 6_000.0)] {
                let delay_ms = heard.mean_delay_ms(from_ms, to_ms);
                assert!(delay_ms <= at_most_ms, "{delay_ms} ms");
            }
        }
    }
}

#[test]
fn what_is_said_is_heard_as_soon_as_it_can_be() {
    for seed in SEEDS {
        let call = Call::new(seed, 4.0);
        let heard = call.run(path(0.5));
        let (lag, likeness) = align(&call.said, &heard.sound, 96_000, 48_000, 4_800);
        let mouth_to_ear_ms = lag as f64 / 48.0 + call.pull_phase_ms;
        // Frame, encoder lookahead and path can't be had for less.
        let added_ms = mouth_to_ear_ms - 10.0 - 2.5 - 20.0;
        println!("seed {seed}: {added_ms:.2} ms added, likeness {likeness:.3}");
        assert!(likeness > 0.9);
        assert!((0.0..4.0).contains(&added_ms));
        // And the buffer knows it.
        assert!((heard.mean_delay_ms(2_000.0, 3_000.0) - added_ms).abs() < 1.0);
    }
}

#[test]
fn jitter_is_covered_by_delay_and_no_more() {
    for seed in SEEDS {
        let call = Call::new(seed, 20.0);
        let heard = call.run(path(20.0));
        show("20 ms of jitter", &call, &heard);
        assert!(heard.concealed_share() < 0.01);
        assert!(heard.mean_delay_ms(2_000.0, f64::INFINITY) < 25.0);
    }
}

#[test]
fn the_stability_setting_trades_delay_for_gaps() {
    let run = |stability| {
        let mut call = Call::new(5, 30.0);
        call.stability = stability;
        let heard = call
            .run(|_, _, rng| vec![50.0 + 4.0 * ((1.0 - rng.unit()).powf(-0.6) - 1.0).min(40.0)]);
        show(&format!("Pareto, stability {stability}"), &call, &heard);
        heard
    };
    let (low, stable) = (run(0.0), run(1.0));
    assert!(stable.concealed_share() < low.concealed_share());
    assert!(
        stable.mean_delay_ms(2_000.0, f64::INFINITY) > low.mean_delay_ms(2_000.0, f64::INFINITY)
    );
}

#[test]
fn only_what_is_lost_is_concealed() {
    for seed in SEEDS {
        let call = Call::new(seed, 10.0);
        let mut lost = 0;
        // Bursts of two on average.
        let mut bad = false;
        let heard = call.run(|packet, _, rng| {
            bad = if bad {
                rng.unit() < 0.5
            } else {
                rng.unit() < 0.025
            };
            let bad = bad && (50..950).contains(&packet);
            lost += u64::from(bad);
            if bad {
                vec![]
            } else {
                vec![20.0 + 0.5 * rng.unit()]
            }
        });
        show("loss bursts", &call, &heard);
        assert_eq!(heard.stats.lost, lost);
        assert_eq!(heard.stats.late, 0);
        let concealed = heard.stats.concealed_samples;
        assert!(concealed <= lost * 480 + 480, "{concealed} for {lost}");
        assert!(concealed >= lost * 480 / 2);
        assert!(heard.mean_delay_ms(2_000.0, f64::INFINITY) < 6.0);
    }
}

#[test]
fn redundancy_restores_single_losses() {
    for seed in SEEDS {
        let mut call = Call::new(seed, 10.0);
        call.reported_loss = 0.1;
        let mut lost = 0;
        let heard = call.run(|packet, _, _| {
            let bad = packet > 300 && packet % 10 == 0;
            lost += u64::from(bad);
            if bad { vec![] } else { vec![20.0] }
        });
        show("every tenth lost, FEC", &call, &heard);
        let recovered = heard.stats.fec_recovered;
        assert!(recovered * 10 >= lost * 7, "{recovered} of {lost}");
        assert!(heard.mean_delay_ms(5_000.0, f64::INFINITY) < 16.0);
    }
}

#[test]
fn deep_redundancy_restores_bursts() {
    for seed in SEEDS {
        let mut call = Call::new(seed, 15.0);
        call.frame = FrameLength::Ms20;
        call.reported_loss = 0.2;
        let mut lost = 0;
        // Three in a row, every 300 ms.
        let heard = call.run(|packet, _, _| {
            let bad = packet > 150 && packet % 15 < 3;
            lost += u64::from(bad);
            if bad { vec![] } else { vec![20.0] }
        });
        show("three of 15 lost, DRED", &call, &heard);
        let restored = heard.stats.dred_recovered_samples + heard.stats.fec_recovered * 960;
        assert!(
            restored * 10 >= lost * 960 * 7,
            "seed {seed}: {restored} of {lost} packets"
        );
        assert!(heard.stats.dred_recovered_samples > 0, "seed {seed}");
        assert!(
            heard.stats.concealed_samples * 10 <= lost * 960 * 3,
            "seed {seed}"
        );
        // Waiting for it is what it costs.
        let delay_ms = heard.mean_delay_ms(8_000.0, 14_000.0);
        assert!(
            (40.0..75.0).contains(&delay_ms),
            "seed {seed}: {delay_ms} ms"
        );
    }
}

#[test]
fn redundancy_that_is_not_worth_waiting_for_is_not_waited_for() {
    for seed in SEEDS {
        let mut call = Call::new(seed, 20.0);
        call.frame = FrameLength::Ms20;
        call.reported_loss = 0.05;
        // Three in a row once in 4 s.
        let heard = call.run(|packet, _, _| {
            let bad = packet % 200 > 196;
            if bad { vec![] } else { vec![20.0] }
        });
        show("three of 200 lost, DRED", &call, &heard);
        let delay_ms = heard.mean_delay_ms(10_000.0, 20_000.0);
        assert!(delay_ms < 30.0, "seed {seed}: {delay_ms} ms");
    }
}

#[test]
fn disorder_and_copies_do_no_harm() {
    for seed in SEEDS {
        let call = Call::new(seed, 10.0);
        let heard = call.run(|packet, _, rng| {
            let delay_ms = if packet % 7 == 0 { 32.0 } else { 20.0 };
            if rng.unit() < 0.1 {
                vec![delay_ms, delay_ms + 3.0]
            } else {
                vec![delay_ms]
            }
        });
        show("reorder, duplicates", &call, &heard);
        assert!(heard.stats.duplicates > 50);
        assert!(heard.concealed_share() < 0.002);
        assert!(heard.mean_delay_ms(2_000.0, f64::INFINITY) < 20.0);
    }
}

#[test]
fn drifting_clocks_are_followed() {
    for drift_ppm in [-200.0, 200.0] {
        let mut call = Call::new(3, 60.0);
        call.drift_ppm = drift_ppm;
        let heard = call.run(path(0.9));
        show(&format!("{drift_ppm} ppm"), &call, &heard);
        // Without being followed, 12 ms would have run up or run out.
        assert_eq!(heard.stats.concealed_samples, 0);
        assert!(heard.mean_delay_ms(50_000.0, 60_000.0) < 8.0);
    }
}

#[test]
fn a_spike_is_heard_out_and_then_forgotten() {
    for seed in SEEDS {
        let call = Call::new(seed, 10.0);
        // For 200 ms nothing arrives, then all of it at once.
        let heard = call.run(|_, at_ms, rng| {
            vec![if (5_000.0..5_200.0).contains(&at_ms) {
                5_220.0 - at_ms
            } else {
                20.0 + rng.unit()
            }]
        });
        show("spike of 200 ms", &call, &heard);
        let before_ms = heard.mean_delay_ms(4_000.0, 5_000.0);
        let recovered_ms = heard
            .delays_ms
            .iter()
            .rev()
            .take_while(|(_, delay_ms)| *delay_ms < before_ms + 5.0)
            .last()
            .map_or(f64::INFINITY, |(at_ms, _)| at_ms - 5_200.0);
        println!("back within 5 ms after {recovered_ms:.0} ms");
        assert!(recovered_ms < 1_500.0);
        // Nothing that was said is thrown away.
        assert_eq!(heard.stats.skipped + heard.stats.lost, 0);
        assert!(heard.stats.concealed_samples < 210 * 48);
    }
}

#[test]
fn a_packet_that_overtakes_a_stall_does_not_cost_what_is_stalled() {
    for seed in SEEDS {
        let call = Call::new(seed, 10.0);
        // For 300 ms nothing arrives but one packet that went another way.
        let heard = call.run(|packet, at_ms, rng| {
            let stalled = (5_000.0..5_300.0).contains(&at_ms) && packet % 40 != 17;
            vec![if stalled {
                5_320.0 - at_ms
            } else {
                20.0 + rng.unit()
            }]
        });
        show("stall of 300 ms, overtaken", &call, &heard);
        let lost = heard.stats.late + heard.stats.lost + heard.stats.skipped;
        assert_eq!(lost, 0, "seed {seed}");
        assert!(heard.stats.concealed_samples < 320 * 48, "seed {seed}");
        assert!(heard.mean_delay_ms(6_500.0, 10_000.0) < 5.0, "seed {seed}");
    }
}

#[test]
fn a_loss_counts_whole_however_long_it_is() {
    for lost_ms in [50.0, 100.0, 200.0, 400.0] {
        let call = Call::new(3, 8.0);
        let heard = call.run(|_, at_ms, _| {
            let lost = (5_000.0..5_000.0 + lost_ms).contains(&at_ms);
            if lost { vec![] } else { vec![20.0] }
        });
        show(&format!("{lost_ms} ms lost"), &call, &heard);
        let concealed_ms = heard.stats.concealed_samples as f64 / 48.0;
        assert!(
            (concealed_ms - lost_ms).abs() <= 10.0,
            "{concealed_ms} of {lost_ms}"
        );
    }
}

#[test]
fn a_path_that_becomes_slower_is_not_fought() {
    let call = Call::new(4, 30.0);
    let heard = call.run(|_, at_ms, rng| {
        let slow = (5_000.0..10_000.0).contains(&at_ms);
        vec![if slow { 80.0 } else { 20.0 } + rng.unit()]
    });
    show("60 ms slower for 5 s", &call, &heard);
    // One gap of 60 ms, and no more.
    assert!(heard.stats.concealed_samples < 70 * 48);
    // And it is forgotten soon after.
    assert!(heard.mean_delay_ms(12_800.0, 30_000.0) < 8.0);
}

#[test]
fn after_a_long_outage_the_old_is_skipped() {
    let call = Call::new(4, 15.0);
    let heard = call.run(|_, at_ms, _| {
        vec![if (5_000.0..7_000.0).contains(&at_ms) {
            7_020.0 - at_ms
        } else {
            20.0
        }]
    });
    show("outage of 2 s", &call, &heard);
    assert!(heard.stats.skipped > 50);
    assert!(heard.mean_delay_ms(9_000.0, 15_000.0) < 5.0);
}

/// Pauses for two seconds, talks for one.
fn talking_and_pausing(seed: u64, seconds: f64) -> Call {
    let mut call = Call::new(seed, seconds);
    call.mode = TransmitMode::VoiceActivity;
    for (i, sample) in call.said.iter_mut().enumerate() {
        if (i / 48_000) % 3 != 2 {
            *sample = sample.clamp(-1e-4, 1e-4);
        }
    }
    call
}

#[test]
fn silence_is_not_loss_and_what_was_said_before_the_detector_was_sure_costs_no_lasting_delay() {
    for seed in [5, 6, 7] {
        let call = talking_and_pausing(seed, 16.0);
        let heard = call.run(path(0.9));
        show("voice activity", &call, &heard);
        assert!(heard.packets < 1_200, "silence isn't sent");
        assert_eq!(heard.stats.concealed_samples, 0);
        assert_eq!(heard.stats.late, 0);
        // By the end of each second of speech, at the latest, the listener has caught up.
        for second in [2, 5, 8, 11, 14] {
            let end_ms = f64::from(second + 1) * 1_000.0 + 100.0;
            let delay_ms = heard.mean_delay_ms(end_ms, end_ms + 100.0);
            assert!(delay_ms < 8.0, "{delay_ms} ms after second {second}");
        }
    }
}

#[test]
fn a_lost_end_of_talkspurt_is_still_no_concealment() {
    let call = talking_and_pausing(5, 16.0);
    let mut ends = 0;
    // The end of a talkspurt is a packet of one byte; find which they are in a first run.
    let clean = call.run(path(0.0));
    let heard = call.run(|packet, _, _| {
        if clean.payloads[packet as usize].len() == 1 {
            ends += 1;
            vec![]
        } else {
            vec![20.0]
        }
    });
    show("ends lost", &call, &heard);
    assert!(ends >= 4);
    // Each missing end is a lost packet and covered as one, but the silence after it isn't.
    assert!(heard.stats.concealed_samples <= ends * 480);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = || {
        let call = talking_and_pausing(11, 7.0);
        let heard = call.run(|_, _, rng| {
            if rng.unit() < 0.05 {
                vec![]
            } else {
                vec![20.0 + 15.0 * rng.unit()]
            }
        });
        (heard.payloads, heard.sound, heard.stats)
    };
    assert!(run() == run());
}
