//! Calls over simulated networks: what arrives is heard, and soon. Every call runs on a printed seed.

mod support;

use std::time::{Duration, Instant};

use support::{Call, Fate, Heard, Rng, align};
use voxhall_voice::{FrameLength, ReceiverConfig, TransmitMode, VoiceReceiver};

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

/// The least delay in samples with which every packet is there when it is needed, from a sample being said to its being
/// pulled: devices hand over and take `period` samples, the listener's `phase` after the speaker's, and a packet of `frame`
/// takes `path`.
fn least_delay(period: usize, frame: usize, phase: usize, path: usize) -> usize {
    let with_pulls_at = |place: usize| {
        let needs = |packet: usize| {
            let first = period + packet * frame;
            let complete = (first + frame).next_multiple_of(period);
            let pull = first - (first - place) % period;
            complete + path - pull
        };
        let needed = (0..period).map(needs).max().expect("packets");
        // Pulls come when they come.
        let due = (phase + period - place) % period;
        needed + (due + period - needed % period) % period
    };
    (0..period).map(with_pulls_at).min().expect("places")
}

#[test]
fn the_patterns_of_both_devices_cost_no_more_than_they_must() {
    for (period, frame, phase) in [
        (128, FrameLength::Ms5, 40),
        (128, FrameLength::Ms5, 100),
        (128, FrameLength::Ms10, 40),
        (128, FrameLength::Ms2_5, 40),
        (256, FrameLength::Ms10, 100),
        (1_024, FrameLength::Ms10, 100),
    ] {
        let samples = (frame.as_ms() * 48.0) as usize;
        let least_ms = least_delay(period, samples, phase, 0) as f64 / 48.0;
        for seed in SEEDS {
            let mut call = Call::new(seed, 8.0);
            (call.capture, call.pull, call.frame) = (period, period, frame);
            // 20.3 ms are not a whole number of periods; the listener's clock is set so that they don't matter.
            call.pull_phase_ms = 20.3 + phase as f64 / 48.0;
            let heard = call.run(|_, _, rng| vec![20.0 + 0.3 * rng.unit()]);
            let (lag, likeness) = align(&call.said, &heard.sound, 240_000, 48_000, 9_600);
            let added_ms = lag as f64 / 48.0 + call.pull_phase_ms - 2.5 - 20.3 - least_ms;
            println!(
                "{period} samples, {frame} ms frames, seed {seed}: {least_ms:.2} ms and {added_ms:.2} more, likeness {likeness:.3}, \
                 concealed {}, buffer {:.2} ms",
                heard.stats.concealed_samples,
                heard.mean_delay_ms(5_000.0, 6_000.0)
            );
            assert!(likeness > 0.9);
            assert!(added_ms > -0.1 && added_ms < 1.0, "{added_ms} ms");
            // Both patterns are found out in the first second.
            let concealed_ms = heard.stats.concealed_samples as f64 / 48.0;
            assert!(concealed_ms < period as f64 / 48.0, "{concealed_ms} ms");
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
fn each_speaker_waits_for_their_own_path_only() {
    let payloads = Call::new(1, 10.0).run(path(0.0)).payloads;
    let mut receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("decoders");
    let start = Instant::now();
    let mut rng = Rng(7);
    let mut arrivals: Vec<(f64, u32, usize)> = (0..payloads.len())
        .flat_map(|i| {
            let sent_ms = i as f64 * 10.0;
            [
                (sent_ms + 20.0, 1, i),
                (sent_ms + 20.0 + 60.0 * rng.unit(), 2, i),
            ]
        })
        .collect();
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out = [[0.0; 2]; 240];
    let mut pull_ms = 0.0;
    for (at_ms, ssrc, i) in arrivals {
        let at = |ms: f64| start + Duration::from_nanos((ms * 1e6) as u64);
        while pull_ms < at_ms {
            receiver.pull(at(pull_ms), &mut out);
            pull_ms += 5.0;
        }
        let (sequence, timestamp) = (i as u16, i as u32 * 480);
        receiver.packet(at(at_ms), ssrc, sequence, timestamp, i == 0, &payloads[i]);
    }
    let delay_ms = |ssrc| receiver.stats(ssrc).expect("known").delay_ms;
    println!("{} and {} ms", delay_ms(1), delay_ms(2));
    assert!(delay_ms(1) < 8.0 && delay_ms(2) > 30.0);
}

#[test]
fn a_voice_without_a_pause_is_played_faster_and_slower_too() {
    let mut call = Call::new(2, 12.0);
    call.said.fill(0.0);
    for vowel in call.said.chunks_mut(48_000) {
        support::vowel(&mut Rng(3), vowel);
    }
    // A spike leaves 200 ms to be won back; then the path becomes slower bit by bit.
    let heard = call.run(|_, at_ms, _| {
        vec![match at_ms {
            3_000.0..3_200.0 => 3_220.0 - at_ms,
            6_000.0.. => 20.0 + (at_ms - 6_000.0) * 0.004,
            _ => 20.0,
        }]
    });
    show("one long vowel", &call, &heard);
    assert!(heard.mean_delay_ms(5_000.0, 6_000.0) < 6.0);
    assert!(heard.stats.accelerated_samples > 180 * 48);
    assert!(heard.stats.expanded_samples > 10 * 48);
    // The spike, and little else.
    assert!(heard.stats.concealed_samples < 240 * 48);
}

#[test]
fn what_is_left_of_a_loss_is_left_out_when_there_is_delay_to_win_back() {
    for seed in SEEDS {
        let mut call = Call::new(seed, 30.0);
        call.frame = FrameLength::Ms20;
        let (mut stalls, mut lost) = (0.0, 0);
        // A stall of 160 ms every 3 s; of what it holds up every third packet is lost.
        let heard = call.run(|packet, at_ms, _| {
            let since_ms = (at_ms + 1_000.0) % 3_000.0;
            if since_ms >= 160.0 {
                return vec![20.0];
            }
            stalls += 20.0;
            if packet % 3 == 0 {
                lost += 1;
                return vec![];
            }
            vec![180.0 - since_ms]
        });
        show("losses behind a stall", &call, &heard);
        let concealed_ms = heard.stats.concealed_samples as f64 / 48.0;
        assert!(lost >= 20, "{lost}");
        assert!(
            concealed_ms < stalls + 0.75 * 20.0 * f64::from(lost),
            "{concealed_ms} ms, {stalls} ms of stalls and {lost} lost"
        );
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
fn the_end_of_a_long_burst_is_restored_while_the_packet_after_it_waits() {
    for seed in SEEDS {
        let mut call = Call::new(seed, 20.0);
        call.frame = FrameLength::Ms20;
        call.reported_loss = 0.2;
        let mut bursts = 0;
        // Three in a row every 300 ms, so that packets wait; and every 2 s nine, more than can be made up.
        let heard = call.run(|packet, _, _| {
            let long = packet > 400 && packet % 100 >= 91;
            bursts += u64::from(long && packet % 100 == 91);
            let bad = long || packet > 150 && packet % 15 < 3;
            if bad { vec![] } else { vec![20.0] }
        });
        show("nine of 100 lost, DRED", &call, &heard);
        let mut without = Call::new(seed, 20.0);
        without.frame = FrameLength::Ms20;
        without.reported_loss = 0.2;
        let short = without.run(|packet, _, _| {
            let long = packet > 400 && packet % 100 >= 91;
            let bad = packet > 150 && packet % 15 < 3;
            // As short a loss in place of the long one.
            if bad && !long { vec![] } else { vec![20.0] }
        });
        let restored = |heard: &Heard| {
            (heard.stats.dred_recovered_samples + heard.stats.fec_recovered * 960) as i64
        };
        let more = restored(&heard) - restored(&short);
        println!("seed {seed}: {more} samples of {bursts} long bursts");
        assert!(
            more > bursts as i64 * 960,
            "seed {seed}: {more} of {bursts}"
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
        // Two must have been overtaken before it is known that they are.
        assert!(heard.stats.concealed_samples <= 2 * 480);
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
fn stalls_at_regular_intervals_are_expected_in_pauses() {
    let gaps = |since_stall_ms: &dyn Fn(f64) -> f64| {
        let mut call = Call::new(6, 100.0);
        // Half a second of every one and a half is a pause.
        for (i, sample) in call.said.iter_mut().enumerate() {
            if (i / 24_000) % 3 == 2 {
                *sample = sample.clamp(-1e-4, 1e-4);
            }
        }
        let heard = call.run(|_, at_ms, _| vec![20.0 + (200.0 - since_stall_ms(at_ms)).max(0.0)]);
        show("200 ms of stall about every 10 s", &call, &heard);
        let late = |from_ms: f64, to_ms: f64| {
            let of = heard.concealed_at_ms.iter();
            of.filter(|at| (from_ms..to_ms).contains(*at)).count()
        };
        assert!(heard.mean_delay_ms(40_000.0, 100_000.0) < 60.0);
        (late(0.0, 45_000.0), late(45_000.0, 100_000.0))
    };
    let (first, later) = gaps(&|at_ms| (at_ms + 5_000.0) % 10_000.0);
    assert!(first >= 4 && later <= 2, "{first}, {later}");
    // As many, but nobody knows when.
    let (first, later) = gaps(&|at_ms| {
        let mut rng = Rng((at_ms / 10_000.0) as u64);
        (at_ms % 10_000.0 - 8_000.0 * rng.unit()).rem_euclid(10_000.0)
    });
    assert!(later >= 4, "{first}, {later}");
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
