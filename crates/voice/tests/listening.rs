//! Several speakers, one listener: volumes, mutes, seats, reports.

mod support;

use std::time::{Duration, Instant};

use support::{Rng, speech, stereo};
use voxhall_voice::{
    Level, ReceiverConfig, SenderConfig, Stereo, TransmitMode, VoiceReceiver, VoiceSender,
    from_mono, to_mono,
};

struct Room {
    receiver: VoiceReceiver,
    senders: Vec<(u32, VoiceSender, f32, u16)>,
    now: Instant,
    i: usize,
}

impl Room {
    /// Speakers are tones of their own pitch, on SSRC 1, 2, ...
    fn new(speakers: u32, max_speakers: usize) -> Self {
        let senders = (1..=speakers)
            .map(|ssrc| {
                let sender = VoiceSender::new(SenderConfig {
                    mode: TransmitMode::Open,
                    first_timestamp: ssrc * 1_000_000,
                    ..SenderConfig::default()
                })
                .expect("an encoder");
                (ssrc, sender, 200.0 + 50.0 * ssrc as f32, 65_500)
            })
            .collect();
        Self {
            receiver: VoiceReceiver::new(ReceiverConfig {
                max_speakers,
                ..ReceiverConfig::default()
            })
            .expect("a decoder"),
            senders,
            now: Instant::now(),
            i: 0,
        }
    }

    /// 10 ms of everybody for whom `speaks`; returns the mix.
    fn step(&mut self, amplitude: f32, speaks: impl Fn(u32) -> bool) -> [f32; 480] {
        let (receiver, now) = (&mut self.receiver, self.now);
        for (ssrc, sender, hz, sequence) in &mut self.senders {
            let tone: Vec<Stereo> = (0..480)
                .map(|k| {
                    let t = (self.i * 480 + k) as f32 / 48_000.0;
                    from_mono((t * *hz * std::f32::consts::TAU).sin() * amplitude)
                })
                .collect();
            sender.push(&tone, |frame| {
                if speaks(*ssrc) {
                    let (timestamp, marker) = (frame.rtp_timestamp, frame.marker);
                    receiver.packet(now, *ssrc, *sequence, timestamp, marker, frame.payload);
                }
                *sequence = sequence.wrapping_add(1);
            });
        }
        let mut out = [[0.0; 2]; 480];
        receiver.pull(now, &mut out);
        self.now += Duration::from_millis(10);
        self.i += 1;
        out.map(to_mono)
    }

    fn steps(&mut self, count: usize, amplitude: f32) -> Vec<f32> {
        (0..count)
            .flat_map(|_| self.step(amplitude, |_| true))
            .collect()
    }
}

fn loudness(samples: &[f32]) -> f32 {
    Level::of(samples).rms
}

#[test]
fn everybody_is_in_the_mix_and_apart_in_the_tap() {
    let mut room = Room::new(3, 8);
    room.steps(50, 0.1);
    let mut heard = Vec::new();
    let mut mix = [[0.0; 2]; 480];
    let now = room.now;
    room.receiver.pull_each(now, &mut mix, |ssrc, samples| {
        heard.push((ssrc, samples.to_vec()));
    });
    assert_eq!(
        heard.iter().map(|(ssrc, _)| *ssrc).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    for (i, mixed) in mix.iter().enumerate() {
        let sum: f32 = heard.iter().map(|(_, samples)| samples[i]).sum();
        assert!(mixed.iter().all(|mixed| (sum - mixed).abs() < 1e-5));
    }
    assert!(heard.iter().all(|(_, samples)| loudness(samples) > 0.05));
}

#[test]
fn a_crowd_does_not_clip() {
    let mut room = Room::new(8, 8);
    let mix = room.steps(100, 0.9);
    assert!(mix.iter().all(|s| s.abs() <= 1.0));
    assert!(loudness(&mix[24_000..]) > 0.2);
}

#[test]
fn volume_mute_and_deafen_are_smooth_and_remembered() {
    let mut room = Room::new(1, 4);
    // Set before the first packet, as the app does for somebody known.
    room.receiver.set_gain(1, 0.5);
    room.steps(20, 0.2);
    let half = loudness(&room.steps(20, 0.2));
    room.receiver.set_gain(1, 2.0);
    room.steps(5, 0.2);
    let double = loudness(&room.steps(20, 0.2));
    assert!((double / half - 4.0).abs() < 0.1, "{half} {double}");

    room.receiver.set_gain(1, 1.0);
    room.steps(5, 0.2);
    for change in [
        |r: &mut VoiceReceiver, on| r.set_muted(1, on),
        |r: &mut VoiceReceiver, on| r.set_deafened(on),
        |r: &mut VoiceReceiver, on| r.set_output_level(if on { 0.0 } else { 1.0 }),
    ] {
        change(&mut room.receiver, true);
        let fading = room.steps(2, 0.2);
        let step = fading
            .windows(2)
            .map(|p| (p[1] - p[0]).abs())
            .fold(0.0, f32::max);
        assert!(step < 0.02, "a click of {step}");
        assert_eq!(loudness(&room.steps(10, 0.2)), 0.0);
        assert!(room.receiver.speakers().next().expect("known").speaking);
        change(&mut room.receiver, false);
        room.steps(2, 0.2);
        assert!(loudness(&room.steps(10, 0.2)) > 0.1);
    }
    assert_eq!(room.receiver.stats(1).expect("known").concealed_samples, 0);
    for silly in [f32::NAN, f32::INFINITY, -1.0, 1e9] {
        room.receiver.set_gain(1, silly);
        room.receiver.set_output_level(silly);
        assert!(room.steps(5, 0.9).iter().all(|s| s.abs() <= 1.0));
    }
}

#[test]
fn rings_light_up_and_go_out() {
    let mut room = Room::new(2, 4);
    for _ in 0..20 {
        room.step(0.2, |ssrc| ssrc == 2);
    }
    let speaking = |room: &Room| -> Vec<(u32, bool)> {
        room.receiver
            .speakers()
            .map(|s| (s.ssrc, s.speaking))
            .collect()
    };
    assert_eq!(speaking(&room), [(2, true)]);
    for _ in 0..60 {
        room.step(0.2, |_| false);
    }
    assert_eq!(speaking(&room), [(2, false)]);
}

#[test]
fn who_is_not_heard_for_the_longest_time_makes_room() {
    let mut room = Room::new(4, 3);
    room.receiver.set_gain(2, 0.25);
    for _ in 0..20 {
        room.step(0.2, |ssrc| ssrc <= 3);
    }
    for _ in 0..20 {
        room.step(0.2, |ssrc| ssrc != 2);
    }
    let known = |room: &Room| {
        let mut known: Vec<u32> = room.receiver.speakers().map(|s| s.ssrc).collect();
        known.sort_unstable();
        known
    };
    assert_eq!(known(&room), [1, 3, 4]);
    room.receiver.remove(1);
    assert_eq!(known(&room), [3, 4]);
    for _ in 0..20 {
        room.step(0.2, |ssrc| ssrc == 2);
    }
    assert_eq!(known(&room), [2, 3, 4]);
    let second = room
        .receiver
        .speakers()
        .find(|s| s.ssrc == 2)
        .expect("back");
    assert_eq!(second.gain, 0.25, "the volume outlives the seat");
    assert_eq!(room.receiver.stats(1), None);
}

#[test]
fn reports_count_across_the_wrap_of_the_sequence_number() {
    let mut room = Room::new(1, 2);
    for i in 0..100 {
        room.step(0.2, |_| i % 10 != 5);
    }
    let report = room.receiver.report(1).expect("known");
    assert_eq!(report.cumulative_lost, 10);
    assert_eq!(report.fraction_lost, 25);
    assert_eq!(report.extended_highest_sequence, 65_500 + 99);
    assert_eq!(report.jitter, 0);
    assert_eq!(room.receiver.report(9), None);
}

#[test]
fn a_sender_that_starts_over_is_followed() {
    let mut room = Room::new(1, 2);
    room.steps(50, 0.2);
    // The same speaker with new numbers, as after a restart of their program.
    room.senders[0].1 = VoiceSender::new(SenderConfig {
        mode: TransmitMode::Open,
        first_timestamp: 5,
        ..SenderConfig::default()
    })
    .expect("an encoder");
    room.senders[0].3 = 30_000;
    room.steps(10, 0.2);
    let mix = room.steps(20, 0.2);
    assert!(loudness(&mix) > 0.1);
    let stats = room.receiver.stats(1).expect("known");
    assert!(
        stats.target_delay_ms < 5.0 && stats.delay_ms < 15.0,
        "{stats:?}"
    );
}

/// Packets of 10 ms of two channels, as a sender of music makes them.
fn stereo_packets(frames: usize, sound: impl Fn(usize) -> Stereo) -> Vec<Vec<u8>> {
    let mut encoder =
        opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::LowDelay)
            .expect("an encoder");
    encoder
        .set_bitrate(opus::Bitrate::Bits(192_000))
        .expect("a bitrate");
    (0..frames)
        .map(|frame| {
            let samples: Vec<Stereo> = (0..480).map(|k| sound(frame * 480 + k)).collect();
            let mut payload = vec![0; 1_275];
            let len = encoder
                .encode_float(samples.as_flattened(), &mut payload)
                .expect("a frame");
            payload.truncate(len);
            payload
        })
        .collect()
}

fn tone(i: usize, hz: f32) -> f32 {
    (i as f32 / 48_000.0 * hz * std::f32::consts::TAU).sin() * 0.3
}

fn side(samples: &[Stereo], right: bool) -> f32 {
    let one: Vec<f32> = samples.iter().map(|s| s[usize::from(right)]).collect();
    loudness(&one)
}

#[test]
fn stereo_is_heard_in_stereo_and_losses_keep_it() {
    let packets = stereo_packets(300, |i| [tone(i, 440.0), 0.0]);
    let mut receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("a decoder");
    let mut now = Instant::now();
    let mut heard = Vec::new();
    for (i, payload) in packets.iter().enumerate() {
        // One in twenty is lost: concealment has two sides too.
        if i % 20 != 10 {
            receiver.packet(now, 1, i as u16, (i * 480) as u32, false, payload);
        }
        let mut out = [[0.0; 2]; 480];
        receiver.pull(now, &mut out);
        heard.extend_from_slice(&out);
        now += Duration::from_millis(10);
    }
    let heard = &heard[48_000..];
    let (left, right) = (side(heard, false), side(heard, true));
    assert!(
        left > 0.15 && right < left * 0.1,
        "left {left}, right {right}"
    );
    assert!(receiver.stats(1).expect("known").stereo);
}

#[test]
fn a_change_between_mono_and_stereo_is_no_click() {
    let wide = stereo_packets(600, |i| [tone(i, 440.0), tone(i, 440.0) * 0.2]);
    let mut room = Room::new(1, 2);
    let narrow: Vec<Vec<u8>> = {
        let mut payloads = Vec::new();
        let (_, sender, ..) = &mut room.senders[0];
        for frame in 0..600 {
            let mono: Vec<Stereo> = (0..480)
                .map(|k| from_mono(tone(frame * 480 + k, 440.0) * 0.6))
                .collect();
            sender.push(&mono, |frame| payloads.push(frame.payload.to_vec()));
        }
        payloads
    };
    let mut now = Instant::now();
    let mut heard = Vec::new();
    for i in 0..narrow.len().min(600) {
        let stereo = (100..200).contains(&i);
        let payload = if stereo { &wide[i] } else { &narrow[i] };
        room.receiver
            .packet(now, 1, i as u16, (i * 480) as u32, false, payload);
        let mut out = [[0.0; 2]; 480];
        room.receiver.pull(now, &mut out);
        heard.extend_from_slice(&out);
        now += Duration::from_millis(10);
        if i == 150 {
            assert!(room.receiver.stats(1).expect("known").stereo);
        }
    }
    let middle = &heard[150 * 480..190 * 480];
    assert!(side(middle, false) > 3.0 * side(middle, true));
    let last = &heard[590 * 480..];
    assert!(last.iter().all(|[left, right]| left == right));
    assert!(
        !room.receiver.stats(1).expect("known").stereo,
        "mono is cheap again"
    );
    let step = heard[9_600..]
        .windows(2)
        .flat_map(|pair| [0, 1].map(|side| (pair[1][side] - pair[0][side]).abs()))
        .fold(0.0, f32::max);
    // The tone's own largest step is 0.018.
    assert!(step < 0.08, "{step}");
}

#[test]
fn pulls_can_be_left_out_while_nothing_is_to_be_heard() {
    for seed in 1..=3 {
        let mut rng = Rng(seed);
        let mut sender = VoiceSender::new(SenderConfig::default()).expect("an encoder");
        let receiver = || VoiceReceiver::new(ReceiverConfig::default()).expect("a decoder");
        let (mut pulled, mut rested) = (receiver(), receiver());
        let start = Instant::now();
        let mut said = Vec::new();
        for pause in [30_000, 90_000, 260_000] {
            said.extend(speech(seed + pause as u64, 72_000));
            said.resize(said.len() + pause, 0.0);
        }
        let mut flying: Vec<(usize, u16, u32, bool, Vec<u8>)> = Vec::new();
        let (mut sequence, mut left_out, mut heard) = (65_000_u16, 0, 0);
        for (step, chunk) in said.chunks_exact(240).enumerate() {
            sender.push(&stereo(chunk), |frame| {
                sequence = sequence.wrapping_add(1);
                if rng.below(20) > 0 {
                    let arrives = step + 4 + rng.below(6) as usize;
                    let (timestamp, marker) = (frame.rtp_timestamp, frame.marker);
                    let payload = frame.payload.to_vec();
                    flying.push((arrives, sequence, timestamp, marker, payload));
                }
            });
            let now = start + Duration::from_millis(5) * step as u32;
            flying.retain(|(arrives, sequence, timestamp, marker, payload)| {
                if *arrives <= step {
                    for receiver in [&mut pulled, &mut rested] {
                        receiver.packet(now, 1, *sequence, *timestamp, *marker, payload);
                    }
                }
                *arrives > step
            });
            let (mut one, mut other) = ([[0.0; 2]; 240], [[0.0; 2]; 240]);
            pulled.pull(now, &mut one);
            // Time counts from the first pull.
            if step > 0 && rested.rests() {
                left_out += 1;
            } else {
                rested.pull(now, &mut other);
            }
            assert!(one == other, "seed {seed}, step {step}");
            heard += usize::from(one != [[0.0; 2]; 240]);
        }
        assert_eq!(pulled.stats(1), rested.stats(1), "seed {seed}");
        println!(
            "seed {seed}: {left_out} of {} left out, {heard} heard",
            said.len() / 240
        );
        assert!(
            left_out > 900 && heard > 500,
            "seed {seed}: {left_out}, {heard}"
        );
    }
}

#[test]
fn what_the_server_withholds_is_no_loss_and_what_is_lost_beside_it_is() {
    for (withholds, expected) in [(true, 1), (false, 31)] {
        let mut room = Room::new(1, 4);
        room.receiver.set_withholds(withholds);
        room.steps(100, 0.1);
        // Others are louder for 300 ms, and later a frame is lost.
        for _ in 0..30 {
            room.step(0.1, |_| false);
        }
        room.steps(50, 0.1);
        room.step(0.1, |_| false);
        room.steps(50, 0.1);
        let lost = room.receiver.stats(1).expect("it talks").lost;
        let report = room.receiver.report(1).expect("it talks");
        assert_eq!(i64::from(report.cumulative_lost), lost as i64);
        assert_eq!(lost, expected, "{withholds}");
    }
}
