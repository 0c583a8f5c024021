//! The send half with its microphone's processing, and in music mode.

mod support;

use support::{Rng, fricative, speech, stereo, vowel};
use voxhall_voice::{
    Channels, FrameLength, NoiseSuppression, OpusMode, Processing, Protection, SenderConfig, Sound,
    Stereo, TransmitMode, VoiceSender,
};

const SECOND: usize = 48_000;
/// What processing may hold back: measured in `tests/room.rs`.
const DELAY: usize = 22 * 48;

struct Sent {
    /// Samples captured when it was sent.
    at: usize,
    payload: Vec<u8>,
    timestamp: u32,
    marker: bool,
}

fn sender(sound: Sound, mode: TransmitMode, frame_length: FrameLength) -> VoiceSender {
    VoiceSender::new(SenderConfig {
        sound,
        mode,
        frame_length,
        bitrate_bps: 256_000,
        ..SenderConfig::default()
    })
    .expect("an encoder")
}

fn send(sender: &mut VoiceSender, captured: &[Stereo], chunk: usize) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut at = 0;
    for chunk in captured.chunks(chunk) {
        at += chunk.len();
        sender.push(chunk, |frame| {
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

fn decode(sent: &[Sent]) -> Vec<Stereo> {
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("a decoder");
    let mut out = Vec::new();
    for frame in sent {
        let mut pcm = [0.0; 2 * 2_880];
        let samples = decoder
            .decode_float(&frame.payload, &mut pcm, false)
            .expect("a frame of Opus");
        out.extend(pcm[..2 * samples].chunks_exact(2).map(|s| [s[0], s[1]]));
    }
    out
}

/// Power of one frequency.
fn tone_power(samples: impl Iterator<Item = f32>, hz: f32) -> f32 {
    let (mut re, mut im, mut count) = (0.0_f64, 0.0_f64, 0.0);
    for (i, sample) in samples.enumerate() {
        let angle = std::f64::consts::TAU * f64::from(hz) * i as f64 / SECOND as f64;
        re += f64::from(sample) * angle.cos();
        im += f64::from(sample) * angle.sin();
        count += 1.0;
    }
    (4.0 * (re * re + im * im) / (count * count)) as f32
}

fn two_tones(seconds: usize) -> Vec<Stereo> {
    let tone = |i: usize, hz: f32| (i as f32 * hz * std::f32::consts::TAU / 48_000.0).sin() * 0.3;
    (0..seconds * SECOND)
        .map(|i| [tone(i, 440.0), tone(i, 1_500.0)])
        .collect()
}

#[test]
fn music_is_sent_in_stereo_whatever_it_is() {
    let music = two_tones(2);
    for length in [
        FrameLength::Ms2_5,
        FrameLength::Ms5,
        FrameLength::Ms10,
        FrameLength::Ms20,
    ] {
        // Half a second of silence is music too.
        let mut captured = vec![[0.0; 2]; SECOND / 2];
        captured.extend(&music);
        let mut sender = sender(
            Sound::Music(Channels::Stereo),
            TransmitMode::VoiceActivity,
            length,
        );
        let sent = send(&mut sender, &captured, 333);
        assert_eq!(sent.len(), captured.len() / length.samples());
        assert!(
            sent.iter().all(|frame| frame.payload[0] & 0b100 != 0),
            "stereo"
        );
        assert!(
            sent.iter()
                .all(|frame| frame.at - (frame.timestamp as usize) < length.samples() + 333),
            "as soon as it is captured"
        );
        let heard = decode(&sent);
        let settled = &heard[SECOND..2 * SECOND];
        let power = |side: usize, hz: f32| tone_power(settled.iter().map(|s| s[side]), hz);
        println!(
            "{length} ms: left {:.4} {:.6}, right {:.6} {:.4}",
            power(0, 440.0),
            power(0, 1_500.0),
            power(1, 440.0),
            power(1, 1_500.0)
        );
        assert!((power(0, 440.0) - 0.09).abs() < 0.01);
        assert!((power(1, 1_500.0) - 0.09).abs() < 0.01);
        assert!(power(0, 1_500.0) < 1e-4 && power(1, 440.0) < 1e-4);
    }
}

#[test]
fn music_takes_the_bits_it_is_given() {
    let mut rng = Rng(3);
    let noise: Vec<Stereo> = (0..2 * SECOND)
        .map(|_| [0, 1].map(|_| ((rng.unit() - 0.5) * 0.4) as f32))
        .collect();
    for bitrate_bps in [128_000, 256_000, 510_000] {
        for length in [FrameLength::Ms2_5, FrameLength::Ms20] {
            let mut sender = sender(Sound::Music(Channels::Stereo), TransmitMode::Open, length);
            sender.set_bitrate_bps(bitrate_bps);
            let sent = send(&mut sender, &noise, 480);
            let bits: usize = sent.iter().map(|frame| 8 * frame.payload.len()).sum();
            let share = bits as f64 / 2.0 / f64::from(bitrate_bps);
            println!("{length} ms at {bitrate_bps}: {share:.2} of it");
            assert!((0.8..1.1).contains(&share));
        }
    }
}

#[test]
fn speech_of_a_stereo_microphone_is_sent_in_one_channel() {
    let mut sender = sender(
        Sound::Speech(Processing::default()),
        TransmitMode::Open,
        FrameLength::Ms10,
    );
    let sent = send(&mut sender, &two_tones(1), 480);
    assert!(sent.iter().all(|frame| frame.payload[0] & 0b100 == 0));
    assert_eq!(sent.len(), 100);
}

#[test]
fn switching_while_talking_keeps_timestamps_and_begins_anew_where_channels_change() {
    let captured = two_tones(6);
    let mut sender = sender(
        Sound::Speech(Processing::OFF),
        TransmitMode::Open,
        FrameLength::Ms10,
    );
    let mut sent = Vec::new();
    for (i, piece) in captured.chunks(SECOND + 100).enumerate() {
        sender.set_sound(match i {
            0 => Sound::Speech(Processing::OFF),
            1 => Sound::Speech(Processing::default()),
            2 => Sound::Music(Channels::Stereo),
            3 => Sound::Music(Channels::Mono),
            _ => Sound::Speech(Processing::OFF),
        });
        sent.extend(send(&mut sender, piece, 480));
    }
    assert_eq!(sent.iter().filter(|frame| frame.marker).count(), 4);
    for pair in sent.windows(2) {
        let step = pair[1].timestamp - pair[0].timestamp;
        assert!((480..960).contains(&step), "{step}");
    }
    let last = sent.last().expect("frames").timestamp as usize;
    assert!(
        (captured.len() - last) < 2 * 480 + 480,
        "nothing is late for good"
    );
    assert_eq!(decode(&sent).len(), sent.len() * 480);
}

#[test]
fn short_frames_come_in_blocks_of_10_ms_while_processed_and_at_once_while_not() {
    let said = stereo(&speech(1, SECOND));
    for length in [FrameLength::Ms2_5, FrameLength::Ms5, FrameLength::Ms10] {
        for (processing, block) in [
            (Processing::OFF, length.samples()),
            (Processing::default(), 480),
        ] {
            let mut sender = sender(Sound::Speech(processing), TransmitMode::Open, length);
            let mut at = 0;
            while at + block <= said.len() {
                assert_eq!(sender.missing_samples(), block);
                // One sample less is not enough.
                let mut frames = 0;
                sender.push(&said[at..at + block - 1], |_| frames += 1);
                assert_eq!((frames, sender.missing_samples()), (0, 1));
                sender.push(&said[at + block - 1..at + block], |_| frames += 1);
                assert_eq!(frames, block / length.samples());
                at += block;
            }
        }
    }
}

#[test]
fn long_frames_say_how_much_they_miss() {
    let said = stereo(&speech(1, SECOND));
    let mut sender = sender(
        Sound::Speech(Processing::default()),
        TransmitMode::Open,
        FrameLength::Ms40,
    );
    for (i, piece) in said.chunks(100).enumerate().take(100) {
        let done = i * 100 % 1_920;
        assert_eq!(sender.missing_samples(), 1_920 - done);
        sender.push(piece, |_| {});
    }
}

/// A second of speech, cut off in the middle of a vowel and of a frame.
fn loud_to_the_end() -> Vec<Stereo> {
    let mut said = speech(2, SECOND);
    let mut last = vec![0.0; 14_400];
    vowel(&mut Rng(2), &mut last);
    said.extend(&last[..7_500]);
    stereo(&said)
}

/// What was said before the key was pressed is still on its way through the processing then.
#[test]
fn nothing_said_before_the_key_was_pressed_is_sent() {
    for processing in [
        Processing {
            echo: true,
            ..Processing::OFF
        },
        Processing {
            noise: NoiseSuppression::Low,
            ..Processing::OFF
        },
        Processing::OFF,
    ] {
        for mute in [false, true] {
            let mode = |held| {
                if mute {
                    TransmitMode::Open
                } else {
                    TransmitMode::PushToTalk { held }
                }
            };
            let mut sender = sender(Sound::Speech(processing), mode(false), FrameLength::Ms10);
            sender.set_muted(mute);
            // It ends within a frame.
            let secret = loud_to_the_end();
            assert_eq!(send(&mut sender, &secret, 480).len(), 0);
            sender.set_mode(mode(true));
            sender.set_muted(false);
            let sent = send(&mut sender, &vec![[0.0; 2]; SECOND / 2], 480);
            // Opus stops where a held key has nothing to say.
            assert!(sent.len() >= 20, "{}", sent.len());
            let heard = decode(&sent);
            let loudest = heard.iter().map(|s| s[0].abs()).fold(0.0, f32::max);
            assert!(loudest < 2e-3, "{processing:?}: {loudest}");
        }
    }
}

#[test]
fn nothing_said_to_the_last_channel_is_on_its_way_to_the_next() {
    for processing in [Processing::default(), Processing::OFF] {
        let mut sender = sender(
            Sound::Speech(processing),
            TransmitMode::Open,
            FrameLength::Ms10,
        );
        send(&mut sender, &loud_to_the_end(), 480);
        sender.interrupt();
        let sent = send(&mut sender, &vec![[0.0; 2]; SECOND / 2], 480);
        let heard = decode(&sent);
        let loudest = heard.iter().map(|s| s[0].abs()).fold(0.0, f32::max);
        // The filters ring for some milliseconds, with all of them on: the vowel has 0.3.
        assert!(loudest < 0.02, "{processing:?}: {loudest}");
    }
}

/// Frames that end within blocks would be late for as long as one talks.
#[test]
fn switches_at_any_time_leave_no_delay_behind() {
    let said = stereo(&speech(1, 4 * SECOND));
    let on = Sound::Speech(Processing::default());
    let off = Sound::Speech(Processing::OFF);
    let mut sender = sender(off, TransmitMode::Open, FrameLength::Ms10);
    for (i, piece) in said.chunks(7_777).enumerate() {
        match i % 6 {
            0 => sender.set_sound(on),
            1 => sender.set_muted(true),
            2 => sender.set_muted(false),
            3 => sender.set_frame_length(FrameLength::Ms20),
            4 => sender.set_sound(off),
            _ => sender.set_frame_length(FrameLength::Ms10),
        }
        let length = if i % 6 == 3 || i % 6 == 4 { 960 } else { 480 };
        assert_eq!(sender.missing_samples(), length, "step {i}");
        sender.push(piece, |_| {});
    }
}

#[test]
fn the_end_of_the_word_is_sent_after_the_key_is_released() {
    let said = stereo(&speech(1, 2 * SECOND));
    for (tail_ms, frames) in [(0, 0), (200, 20), (500, 50)] {
        let mut sender = sender(
            Sound::Speech(Processing::OFF),
            TransmitMode::PushToTalk { held: true },
            FrameLength::Ms10,
        );
        sender.set_release_tail_ms(tail_ms);
        send(&mut sender, &said[..SECOND], 480);
        sender.set_mode(TransmitMode::PushToTalk { held: false });
        let after = send(&mut sender, &said[SECOND..], 480);
        // And the byte that says silence.
        assert_eq!(after.len(), frames + 1);
    }
}

/// A word that begins at `at`: a hiss of `hiss_ms`, then a vowel.
fn word(rng: &mut Rng, said: &mut [f32], at: usize, hiss_ms: usize) {
    let voiced = at + hiss_ms * 48;
    fricative(rng, &mut said[at..voiced]);
    vowel(rng, &mut said[voiced..voiced + 14_400]);
}

#[test]
fn the_first_syllable_is_whole_after_processing() {
    for seed in 0..4 {
        let mut rng = Rng(seed);
        let mut said: Vec<f32> = (0..24 * SECOND)
            .map(|_| ((rng.unit() - 0.5) * 0.004) as f32)
            .collect();
        let words: Vec<usize> = (2..22)
            .step_by(2)
            .map(|second| second * SECOND + rng.below(9_600) as usize)
            .collect();
        for (i, &at) in words.iter().enumerate() {
            word(&mut rng, &mut said, at, [0, 40, 80][i % 3]);
        }
        let mut sender = sender(
            Sound::Speech(Processing::default()),
            TransmitMode::VoiceActivity,
            FrameLength::Ms10,
        );
        let sent = send(&mut sender, &stereo(&said), 480);
        let mut late = Vec::new();
        for (i, &at) in words.iter().enumerate() {
            let onset = sent
                .iter()
                .filter(|frame| frame.marker)
                .map(|frame| frame.timestamp as usize)
                .rfind(|&from| from < at + SECOND)
                .unwrap_or(0);
            // Faint hisses are taken for noise by whoever hears them; the vowel must be whole.
            let voiced = at + [0, 40, 80][i % 3] * 48;
            late.push(onset as i64 - voiced as i64);
            assert!(onset > at - SECOND, "seed {seed}: word {i} is heard");
            assert!(onset < voiced + DELAY, "seed {seed}: word {i} is cut");
        }
        let late_ms: Vec<i64> = late.iter().map(|samples| samples / 48).collect();
        println!("seed {seed}: sent from {late_ms:?} ms after the vowels on");
    }
}

/// Keys of a keyboard: two knocks each, at -20 dBFS.
fn keyboard(seed: u64, seconds: usize) -> Vec<f32> {
    let mut rng = Rng(seed);
    let mut out: Vec<f32> = (0..seconds * SECOND)
        .map(|_| ((rng.unit() - 0.5) * 0.002) as f32)
        .collect();
    let mut at = SECOND / 2;
    while at + SECOND < out.len() {
        for (offset, loud) in [(0, 0.3), (80 * 48, 0.12)] {
            let ring = 1_500.0 + rng.unit() * 3_000.0;
            for i in 0..960 {
                let fall = (-(i as f64) / 120.0).exp();
                let wave = (i as f64 * ring * std::f64::consts::TAU / 48_000.0).sin();
                let sample = (0.5 * wave + (rng.unit() - 0.5)) * fall * loud;
                out[at + offset + i] += sample as f32;
            }
        }
        at += (120 + rng.below(200) as usize) * 48;
    }
    out
}

fn music(seed: u64, seconds: usize) -> Vec<f32> {
    let mut rng = Rng(seed);
    let mut out = vec![0.0; seconds * SECOND];
    for beat in out.chunks_mut(SECOND / 2) {
        let root = [110.0, 130.8, 146.8, 98.0][rng.below(4) as usize];
        for (k, harmony) in [1.0, 1.26, 1.5, 2.0, 3.0, 4.02].into_iter().enumerate() {
            for (i, sample) in beat.iter_mut().enumerate() {
                let fall = (-(i as f64) / 16_000.0).exp();
                let wave = (i as f64 * root * harmony * std::f64::consts::TAU / 48_000.0).sin();
                *sample += (wave * fall * 0.12 / (1.0 + k as f64 * 0.5)) as f32;
            }
        }
        for (i, sample) in beat.iter_mut().take(4_000).enumerate() {
            *sample += ((rng.unit() - 0.5) * 0.2 * (-(i as f64) / 700.0).exp()) as f32;
        }
    }
    out
}

/// Share of the time after the first three seconds in which the microphone is sent.
fn open_share(processing: Processing, captured: &[f32], played: Option<&[f32]>) -> f64 {
    let mut sender = sender(
        Sound::Speech(processing),
        TransmitMode::VoiceActivity,
        FrameLength::Ms10,
    );
    let (mut open, mut frames) = (0, 0);
    for (i, chunk) in captured.chunks(480).enumerate() {
        if let Some(played) = played {
            sender.played(&stereo(&played[i * 480..i * 480 + chunk.len()]));
        }
        sender.push(&stereo(chunk), |_| {});
        if i >= 300 {
            frames += 1;
            open += usize::from(sender.transmitting());
        }
    }
    f64::from(open as u32) / f64::from(frames)
}

#[test]
fn keys_and_music_from_the_speakers_rarely_open_the_microphone() {
    let keys = keyboard(1, 20);
    let (before, after) = (
        open_share(Processing::OFF, &keys, None),
        open_share(Processing::default(), &keys, None),
    );
    println!("keys: open {before:.2} of the time, processed {after:.2}");
    assert!(after < 0.1);

    for (name, played) in [("music", music(1, 20)), ("speech", speech(3, 20 * SECOND))] {
        // An echo 40 ms later, at -10 dB.
        let mut echo = vec![0.0; played.len()];
        for (delay, gain) in [(40 * 48, 0.3), (47 * 48, -0.12), (61 * 48, 0.06)] {
            for (to, from) in echo[delay..].iter_mut().zip(&played) {
                *to += from * gain;
            }
        }
        let (before, after) = (
            open_share(Processing::OFF, &echo, None),
            open_share(Processing::default(), &echo, Some(&played)),
        );
        println!("{name} from the speakers: open {before:.2} of the time, processed {after:.2}");
        assert!(after < 0.1);
    }
}

#[test]
fn nothing_is_detected_in_music_and_broken_samples_leave_the_meter_alone() {
    let mut sender = sender(
        Sound::Music(Channels::Stereo),
        TransmitMode::VoiceActivity,
        FrameLength::Ms10,
    );
    let mut frames = 0;
    sender.push(&[[f32::INFINITY, 3e30]; 960], |frame| {
        frames += 1;
        assert!(!frame.voice);
    });
    assert_eq!(frames, 2);
    assert!(!sender.speech());
    assert_eq!(sender.captured_level().peak, 1.0);
    sender.push(&[[f32::NAN; 2]; 480], |_| {});
    assert_eq!(sender.captured_level().rms, 0.0);
}

#[test]
fn protection_outlasts_an_interlude_of_music() {
    let speech_sound = Sound::Speech(Processing::OFF);
    let mut sender = sender(speech_sound, TransmitMode::Open, FrameLength::Ms10);
    sender.protect(Protection::Fec { loss_percent: 5 });
    sender.set_sound(Sound::Music(Channels::Stereo));
    sender.push(&[[0.1; 2]; 960], |_| {});
    sender.set_sound(speech_sound);
    sender.push(&[[0.1; 2]; 960], |_| {});
    assert_eq!(sender.opus_mode(), OpusMode::Protected);
}
