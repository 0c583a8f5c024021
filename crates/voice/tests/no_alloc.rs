//! The per-frame paths allocate nothing once built: a guard aborts the process when they do.

use std::time::{Duration, Instant};

use assert_no_alloc::{AllocDisabler, assert_no_alloc};
use voxhall_voice::{
    FrameLength, ReceiverConfig, SenderConfig, Stereo, TransmitMode, VoiceReceiver, VoiceSender,
    from_mono,
};

#[global_allocator]
static GUARD: AllocDisabler = AllocDisabler;

fn tone(i: usize) -> Vec<Stereo> {
    (0..240)
        .map(|k| from_mono(((i * 240 + k) as f32 * 0.05).sin() * 0.3))
        .collect()
}

#[test]
fn sending_and_settings_do_not_allocate() {
    let mut sender = VoiceSender::new(SenderConfig::default()).expect("an encoder");
    let chunks: Vec<Vec<Stereo>> = (0..200).map(tone).collect();
    let clock = Instant::now();
    let mut bytes = 0;
    assert_no_alloc(|| {
        for mode in [
            TransmitMode::Open,
            TransmitMode::VoiceActivity,
            TransmitMode::PushToTalk { held: true },
            TransmitMode::PushToTalk { held: false },
        ] {
            sender.set_mode(mode);
            for length in FrameLength::ALL {
                sender.set_frame_length(length);
                sender.set_bitrate_bps(24_000);
                sender.set_complexity(5);
                for (i, chunk) in chunks.iter().enumerate() {
                    sender.set_reported_loss(if i < 100 { 0.0 } else { 0.1 });
                    sender.set_muted(i % 50 == 49);
                    sender.push_timed(chunk, || clock, |frame| bytes += frame.payload.len());
                }
            }
        }
    });
    assert!(bytes > 10_000);
}

#[test]
fn receiving_does_not_allocate_even_for_new_speakers() {
    let mut sender = VoiceSender::new(SenderConfig {
        mode: TransmitMode::Open,
        ..SenderConfig::default()
    })
    .expect("an encoder");
    // With deep redundancy.
    sender.set_frame_length(FrameLength::Ms20);
    let mut packets: Vec<(u32, Vec<u8>)> = Vec::new();
    for i in 0..1_600 {
        sender.set_reported_loss(0.1);
        sender.push(&tone(i), |frame| {
            packets.push((frame.rtp_timestamp, frame.payload.to_vec()));
        });
    }
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio)
        .expect("an encoder");
    let wide: Vec<Vec<u8>> = (0..packets.len())
        .map(|i| {
            let sound: Vec<Stereo> = (0..4).flat_map(|k| tone(i * 4 + k)).collect();
            let mut payload = vec![0; 1_275];
            let len = encoder
                .encode_float(sound.as_flattened(), &mut payload)
                .expect("a frame");
            payload.truncate(len);
            payload
        })
        .collect();
    let mut receiver = VoiceReceiver::new(ReceiverConfig {
        max_speakers: 4,
        ..ReceiverConfig::default()
    })
    .expect("a decoder");

    let mut now = Instant::now();
    let mut out = [[0.0; 2]; 240];
    let mut sounding = 0;
    let mut restored = 0;
    let mut widened = false;
    assert_no_alloc(|| {
        for (i, (timestamp, payload)) in packets.iter().enumerate() {
            // Six speakers on four seats, one of them losing packets, one of them in bursts.
            for speaker in 0..6_u32 {
                let lost = speaker == 1 && i % 10 < 3;
                let stalled = speaker == 2 && i % 40 < 20;
                if lost || stalled || (i / 50 + speaker as usize).is_multiple_of(3) {
                    continue;
                }
                // One of them changes to stereo and back.
                let stereo = speaker == 3 && i % 100 < 50;
                let payload = if stereo { &wide[i] } else { payload };
                receiver.packet(now, speaker, i as u16, *timestamp, false, payload);
            }
            receiver.set_gain(i as u32 % 2_000, 0.5);
            receiver.set_muted(3, i % 2 == 0);
            receiver.set_stability(0.7);
            receiver.set_levelling(i % 30 != 0);
            receiver.set_loudness(5, receiver.loudness(1));
            for _ in 0..4 {
                receiver.pull_each(now, &mut out, |_, samples| {
                    sounding += usize::from(samples[0] != 0.0);
                });
                now += Duration::from_millis(5);
            }
            for speaker in 0..6 {
                let _ = receiver.report(speaker);
                let stats = receiver.stats(speaker);
                widened |= stats.is_some_and(|stats| stats.stereo);
                restored =
                    stats.map_or(restored, |stats| restored.max(stats.dred_recovered_samples));
            }
            assert!(receiver.speakers().count() <= 4);
            if i % 97 == 0 {
                receiver.remove(4);
            }
        }
    });
    assert!(sounding > 500);
    assert!(restored > 0, "deep redundancy is used");
    assert!(widened, "stereo is played");
}
