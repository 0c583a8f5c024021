//! What the send half makes of speech, silence, keys and loss reports.

mod support;

use support::{Rng, align, fricative, speech, stereo, vowel};
use voxhall_voice::{
    FrameLength, OpusMode, ReceiverConfig, SenderConfig, TransmitMode, VoiceReceiver, VoiceSender,
    to_mono,
};

#[derive(Debug, Clone, PartialEq)]
struct Sent {
    /// Samples captured when it was sent.
    at: usize,
    payload: Vec<u8>,
    timestamp: u32,
    marker: bool,
}

fn sender(mode: TransmitMode) -> VoiceSender {
    VoiceSender::new(SenderConfig {
        mode,
        ..SenderConfig::default()
    })
    .expect("an encoder")
}

fn send(sender: &mut VoiceSender, said: &[f32], chunk: usize) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut at = 0;
    for chunk in said.chunks(chunk) {
        at += chunk.len();
        sender.push(&stereo(chunk), |frame| {
            sent.push(Sent {
                at,
                payload: frame.payload.to_vec(),
                timestamp: frame.rtp_timestamp,
                marker: frame.marker,
            });
        });
    }
    sent
}

fn background(rng: &mut Rng, samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|_| (rng.unit() as f32 - 0.5) * 2e-4)
        .collect()
}

#[test]
fn the_first_syllable_is_sent_whole() {
    for seed in 0..10 {
        for hiss_ms in [0, 80] {
            let mut rng = Rng(seed);
            let mut said = background(&mut rng, 96_000);
            let onset = 48_000 + rng.below(2_000) as usize;
            let voiced = onset + hiss_ms * 48;
            fricative(&mut rng, &mut said[onset..voiced]);
            vowel(&mut rng, &mut said[voiced..voiced + 14_400]);
            said.extend(background(&mut rng, 48_000));

            let sent = send(&mut sender(TransmitMode::VoiceActivity), &said, 333);
            let first = sent.first().expect("speech is detected");
            println!(
                "seed {seed}, {hiss_ms} ms of hiss: sent from {} to {} ms after the onset on",
                (i64::from(first.timestamp) - onset as i64) / 48,
                (first.at - onset) / 48
            );
            assert!(first.marker);
            assert!((first.timestamp as usize) < onset);
            // The burst at the onset has the timestamps it was captured at, without a hole.
            let whole: Vec<u32> = sent.iter().map(|frame| frame.timestamp).collect();
            assert!(whole.windows(2).all(|pair| pair[1] - pair[0] == 480));
            assert_eq!(sent.iter().filter(|frame| frame.marker).count(), 1);
            // Hangover, then the byte that says silence.
            let last = sent.last().expect("frames");
            assert_eq!(last.payload.len(), 1);
            let hangover = last.timestamp as usize - (voiced + 14_400);
            assert!((650 * 48..1_000 * 48).contains(&hangover), "{hangover}");
        }
    }
}

#[test]
fn silence_and_noise_are_not_sent() {
    let mut rng = Rng(3);
    let mut sender = sender(TransmitMode::VoiceActivity);
    assert_eq!(send(&mut sender, &vec![0.0; 96_000], 480), []);
    let hum: Vec<f32> = (0..96_000)
        .map(|i| (i as f32 * 50.0 * std::f32::consts::TAU / 48_000.0).sin() * 0.02)
        .zip(background(&mut rng, 96_000))
        .map(|(hum, noise)| hum + noise)
        .collect();
    assert_eq!(send(&mut sender, &hum, 480), []);
    assert_eq!(sender.stats().captured_samples, 192_000);
}

#[test]
fn chunking_changes_nothing() {
    let said = speech(4, 96_000);
    let at = |chunk| -> Vec<(Vec<u8>, u32, bool)> {
        send(&mut sender(TransmitMode::VoiceActivity), &said, chunk)
            .into_iter()
            .map(|sent| (sent.payload, sent.timestamp, sent.marker))
            .collect()
    };
    let frames = at(480);
    assert!(frames.len() > 100);
    for chunk in [1, 128, 1_000, 96_000] {
        assert!(at(chunk) == frames, "chunks of {chunk}");
    }
}

#[test]
fn nothing_from_before_the_key_or_the_mute_gets_out() {
    let said = speech(6, 48_000 * 4);
    let mut sender = sender(TransmitMode::PushToTalk { held: false });
    assert_eq!(send(&mut sender, &said[..48_000], 480), []);
    sender.set_mode(TransmitMode::PushToTalk { held: true });
    let sent = send(&mut sender, &said[48_000..72_000], 480);
    assert_eq!(sent[0].timestamp, 48_000, "no pre-roll");
    assert!(sent[0].marker && sender.transmitting());

    sender.set_mode(TransmitMode::PushToTalk { held: false });
    let tail = send(&mut sender, &said[72_000..96_000], 480);
    assert_eq!(tail.len(), 21, "200 ms, and the end");
    assert_eq!(tail[20].payload.len(), 1);

    sender.set_mode(TransmitMode::VoiceActivity);
    sender.set_muted(true);
    assert_eq!(send(&mut sender, &said[..96_000], 480), []);
    assert!(sender.level().peak > 0.0, "the meter goes on");
    sender.set_muted(false);
    let sent = send(&mut sender, &said[96_000..144_000], 480);
    let unmuted_at = 192_000;
    assert!(sent.iter().all(|frame| frame.timestamp >= unmuted_at));
}

/// Wherever in a frame the microphone is opened.
#[test]
fn nothing_of_an_unfinished_frame_gets_out_when_the_microphone_is_opened() {
    let key = |held| TransmitMode::PushToTalk { held };
    let mute_key = |held| TransmitMode::PushToMute { held };
    for (closed, open, muted) in [
        (TransmitMode::Open, TransmitMode::Open, true),
        (key(false), key(true), false),
        (mute_key(true), mute_key(false), false),
    ] {
        let mut sender = sender(closed);
        sender.set_muted(muted);
        assert_eq!(send(&mut sender, &speech(6, 9_900), 480), []);
        sender.set_mode(open);
        sender.set_muted(false);
        let sent = send(&mut sender, &[0.0; 9_600], 480);
        assert_eq!(sent[0].timestamp, 9_900, "{open:?}");
    }
}

/// Speech detected, in the pre-roll, in an unfinished frame: none of it is for the next channel.
#[test]
fn nothing_from_before_an_interruption_is_sent_after_it() {
    for mode in [TransmitMode::VoiceActivity, TransmitMode::Open] {
        for before in [9_900, 48_300] {
            let mut sender = sender(mode);
            let mut said = vec![0.0; 4_800];
            vowel(&mut Rng(4), &mut said);
            let mut said = [vec![0.0; before], said].concat();
            said.truncate(before + 700);
            send(&mut sender, &said, 480);
            sender.interrupt();
            assert!(!sender.transmitting());
            let mut after = vec![0.0; 24_000];
            vowel(&mut Rng(4), &mut after[4_800..19_200]);
            let sent = send(&mut sender, &after, 480);
            let first = sent.first().expect("speech goes on");
            assert!(first.marker);
            assert!(first.timestamp as usize >= said.len(), "{mode:?}");
        }
    }
}

#[test]
fn the_timestamp_counts_what_was_thrown_away() {
    let mut sender = sender(TransmitMode::Open);
    send(&mut sender, &[0.1; 700], 480);
    sender.skipped(1_000);
    sender.device_changed();
    sender.set_frame_length(FrameLength::Ms20);
    assert_eq!(send(&mut sender, &[0.1; 960], 480)[0].timestamp, 1_700);
}

#[test]
fn muting_ends_a_talkspurt_at_once() {
    let said = speech(6, 96_000);
    let mut sender = sender(TransmitMode::Open);
    assert_eq!(send(&mut sender, &said[..48_000], 480).len(), 100);
    sender.set_muted(true);
    let sent = send(&mut sender, &said[48_000..], 480);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].payload.len(), 1);
    assert!(!sender.transmitting());
}

#[test]
fn a_held_key_without_speech_falls_silent_and_wakes() {
    let mut rng = Rng(8);
    let mut said = background(&mut rng, 48_000 * 6);
    vowel(&mut rng, &mut said[..24_000]);
    vowel(&mut rng, &mut said[192_000..240_000]);
    let sent = send(
        &mut sender(TransmitMode::PushToTalk { held: true }),
        &said,
        480,
    );
    let during = |from: u32, to: u32| {
        sent.iter()
            .filter(|frame| (from..to).contains(&frame.timestamp))
            .count()
    };
    assert!(during(96_000, 180_000) == 0, "{}", during(96_000, 180_000));
    assert_eq!(during(192_000, 240_000), 100);
    assert_eq!(sent.iter().filter(|frame| frame.marker).count(), 2);
}

#[test]
fn the_timestamp_runs_on_through_silence_and_wraps() {
    let said = speech(2, 48_000);
    let mut sender = VoiceSender::new(SenderConfig {
        mode: TransmitMode::Open,
        first_timestamp: u32::MAX - 479,
        ..SenderConfig::default()
    })
    .expect("an encoder");
    let sent = send(&mut sender, &said[..1_440], 480);
    let timestamps: Vec<u32> = sent.iter().map(|frame| frame.timestamp).collect();
    assert_eq!(timestamps, [u32::MAX - 479, 0, 480]);
    sender.set_muted(true);
    send(&mut sender, &said[..4_800], 480);
    sender.set_muted(false);
    assert_eq!(
        send(&mut sender, &said[..480], 480)[0].timestamp,
        960 + 4_800
    );
}

#[test]
fn bitrate_and_frame_length_change_live() {
    // 2.88 s: a whole number of frames of every length.
    let said = speech(12, 138_240);
    for length in FrameLength::ALL {
        let mut sender = sender(TransmitMode::Open);
        sender.set_frame_length(length);
        let mut rates = Vec::new();
        for bitrate_bps in [8_000, 64_000, 510_000, 4_000_000_000] {
            sender.set_bitrate_bps(bitrate_bps);
            let sent = send(&mut sender, &said, 480);
            let bytes: usize = sent.iter().map(|frame| frame.payload.len()).sum();
            assert_eq!(sent.len(), said.len() / length.samples(), "{length} ms");
            rates.push(bytes * 800 / 288);
        }
        println!("{length} ms: {rates:?} bit/s");
        assert!(rates[0] < 30_000 && rates[1] < 90_000 && rates[2] > rates[1]);
        assert_eq!(sender.stats().encode_errors, 0);
    }
}

#[test]
fn loss_reports_change_the_mode_within_a_second_and_back_after_ten() {
    let said = speech(1, 48_000);
    let mut sender = sender(TransmitMode::Open);
    send(&mut sender, &said, 480);
    assert_eq!(sender.opus_mode(), OpusMode::LowDelay);
    sender.set_reported_loss(0.05);
    send(&mut sender, &said[..43_200], 480);
    assert_eq!(sender.opus_mode(), OpusMode::LowDelay);
    send(&mut sender, &said[..9_600], 480);
    assert_eq!(sender.opus_mode(), OpusMode::Protected);
    for _ in 0..8 {
        sender.set_reported_loss(0.0);
        send(&mut sender, &said, 480);
    }
    assert_eq!(sender.opus_mode(), OpusMode::Protected);
    for _ in 0..4 {
        send(&mut sender, &said, 480);
    }
    assert_eq!(sender.opus_mode(), OpusMode::LowDelay);
    // Short frames have no redundancy to offer.
    sender.set_frame_length(FrameLength::Ms5);
    sender.set_reported_loss(0.5);
    send(&mut sender, &vec![0.1; 96_000], 480);
    assert_eq!(sender.opus_mode(), OpusMode::LowDelay);
}

#[test]
fn frames_change_their_length_in_the_middle_of_a_word_and_nothing_is_lost() {
    let said = speech(5, 48_000);
    let mut sender = sender(TransmitMode::Open);
    let mut next = None;
    let lengths = [
        FrameLength::Ms40,
        FrameLength::Ms20,
        FrameLength::Ms60,
        FrameLength::Ms10,
    ];
    for (i, chunk) in said.chunks(700).enumerate() {
        if i % 15 == 10 {
            sender.adapt_frame_length(lengths[i / 15 % 4]);
        }
        for frame in send(&mut sender, chunk, 700) {
            let expected = next.unwrap_or(frame.timestamp);
            assert_eq!(frame.timestamp, expected, "chunk {i}");
            let samples = opus::packet::get_nb_samples(&frame.payload, 48_000).expect("Opus");
            next = Some(expected.wrapping_add(samples as u32));
        }
    }
    assert_eq!(sender.stats().encode_errors, 0);
    assert_eq!(sender.frame_length().0, FrameLength::Ms10);
}

#[test]
fn few_bits_are_spent_in_the_mode_that_makes_most_of_them() {
    let said = speech(6, 48_000);
    let mut sender = sender(TransmitMode::Open);
    send(&mut sender, &said, 480);
    assert_eq!(sender.opus_mode(), OpusMode::LowDelay);
    sender.set_bitrate_bps(16_000);
    send(&mut sender, &said, 480);
    send(&mut sender, &said[..4_800], 480);
    assert_eq!(sender.opus_mode(), OpusMode::Protected);
    sender.set_bitrate_bps(64_000);
    send(&mut sender, &said, 480);
    send(&mut sender, &said[..4_800], 480);
    assert_eq!(sender.opus_mode(), OpusMode::LowDelay);
}

#[test]
fn the_mode_changes_at_once_between_talkspurts() {
    let said = speech(1, 48_000);
    let mut sender = sender(TransmitMode::PushToTalk { held: true });
    send(&mut sender, &said, 480);
    sender.set_mode(TransmitMode::PushToTalk { held: false });
    send(&mut sender, &said, 480);
    sender.set_reported_loss(0.05);
    sender.set_mode(TransmitMode::PushToTalk { held: true });
    send(&mut sender, &said[..480], 480);
    assert_eq!(sender.opus_mode(), OpusMode::Protected);
}

/// The listener's decoder goes along with a change of mode in the middle of a word.
#[test]
fn a_decoder_survives_the_change_of_mode() {
    let said = speech(21, 48_000 * 8);
    let mut sender = sender(TransmitMode::Open);
    let mut receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("a decoder");
    let mut now = std::time::Instant::now();
    let mut heard = Vec::new();
    let mut out = [[0.0; 2]; 120];
    let mut sequence = 0;
    for (i, chunk) in said.chunks(120).enumerate() {
        if i * 120 == 48_000 * 3 {
            sender.set_reported_loss(0.02);
        }
        sender.push(&stereo(chunk), |frame| {
            receiver.packet(
                now,
                1,
                sequence,
                frame.rtp_timestamp,
                frame.marker,
                frame.payload,
            );
            sequence += 1;
        });
        receiver.pull(now, &mut out);
        heard.extend(out.iter().copied().map(to_mono));
        now += std::time::Duration::from_micros(2_500);
    }
    assert_eq!(sender.opus_mode(), OpusMode::Protected);
    let stats = receiver.stats(1).expect("known");
    assert_eq!(
        (stats.concealed_samples, stats.invalid, stats.lost),
        (0, 0, 0)
    );
    for second in 1..7 {
        let (lag, likeness) = align(&said, &heard, second * 48_000, 43_200, 4_800);
        println!(
            "second {second}: {:.1} ms, likeness {likeness:.3}",
            lag as f64 / 48.0
        );
        // SILK keeps the wave less exactly than CELT does.
        assert!(likeness > if second < 4 { 0.9 } else { 0.7 });
    }
    // No click: nothing louder comes out than went in.
    let peak = |samples: &[f32]| samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    assert!(peak(&heard) < peak(&said) * 1.5);
}
