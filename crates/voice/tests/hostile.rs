//! Whatever comes from a peer or a device: no panic, no growth, no sound beyond full scale.

mod support;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use support::Rng;
use voxhall_voice::{
    Channels, FrameLength, Processing, ReceiverConfig, SenderConfig, Sound, TransmitMode,
    VoiceReceiver, VoiceSender,
};

#[derive(Debug, Clone)]
struct Hostile {
    wait_us: u32,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

fn sample() -> impl Strategy<Value = f32> {
    prop_oneof![any::<f32>(), -1.0_f32..1.0]
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let numbers = prop_oneof![
        // Plausible: near one another.
        4 => (0_u16..400, 0_u32..400_000),
        // Around the wrap.
        2 => (prop_oneof![0_u16..50, 65_480..=u16::MAX], any::<u32>()),
        1 => (any::<u16>(), any::<u32>()),
    ];
    let payload = prop_oneof![
        // A table-of-contents byte that promises a playable frame, and noise.
        4 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(|(toc, mut rest)| {
            rest.insert(0, toc & 0b1111_1100);
            rest
        }),
        // Packets that decode, of one channel and of two and of all lengths in turn.
        2 => any::<u16>().prop_map(|pick| playable()[usize::from(pick) % playable().len()].clone()),
        2 => prop::collection::vec(any::<u8>(), 0..300),
        1 => prop::collection::vec(any::<u8>(), 1_000..1_500),
        // More than fits anywhere.
        1 => Just(vec![0xf8; 65_507]),
    ];
    (0_u32..30_000, 0_u32..5, numbers, any::<bool>(), payload).prop_map(
        |(wait_us, ssrc, (sequence, timestamp), marker, payload)| Hostile {
            wait_us,
            ssrc,
            sequence,
            timestamp,
            marker,
            payload,
        },
    )
}

/// What Opus' encoder makes, mono and stereo, CELT and SILK, 2.5 to 60 ms.
fn playable() -> &'static [Vec<u8>] {
    static PACKETS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    PACKETS.get_or_init(|| {
        let said = support::speech(3, 48_000);
        let mut packets = Vec::new();
        for channels in [opus::Channels::Mono, opus::Channels::Stereo] {
            for application in [opus::Application::LowDelay, opus::Application::Voip] {
                let mut encoder =
                    opus::Encoder::new(48_000, channels, application).expect("an encoder");
                for length in FrameLength::ALL {
                    let samples = length.samples() * channels as usize;
                    for frame in said.chunks_exact(samples).step_by(3).take(4) {
                        let mut payload = vec![0; 1_275];
                        let len = encoder.encode_float(frame, &mut payload).expect("a frame");
                        payload.truncate(len);
                        packets.push(payload);
                    }
                }
            }
        }
        packets
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_packet_breaks_the_receiver(
        packets in prop::collection::vec(hostile(), 1..120),
        pull in 1_usize..1_500,
    ) {
        let mut receiver = VoiceReceiver::new(ReceiverConfig { max_speakers: 3, stability: 0.5 })
            .expect("a decoder");
        receiver.set_levelling(true);
        let mut now = Instant::now();
        let mut out = vec![[0.0; 2]; pull];
        for packet in &packets {
            now += Duration::from_micros(u64::from(packet.wait_us));
            receiver.packet(
                now, packet.ssrc, packet.sequence, packet.timestamp, packet.marker, &packet.payload,
            );
            receiver.pull(now, &mut out);
            prop_assert!(out.as_flattened().iter().all(|s| s.abs() <= 1.0));
            prop_assert!(receiver.speakers().count() <= 3);
            let _ = receiver.report(packet.ssrc);
            if let Some(stats) = receiver.stats(packet.ssrc) {
                prop_assert!(stats.target_delay_ms <= 1_001.0);
                prop_assert!(stats.concealed_samples <= stats.total_samples);
            }
        }
    }

    #[test]
    fn no_capture_breaks_the_sender(
        chunks in prop::collection::vec(
            prop::collection::vec([sample(), sample()], 0..900), 1..30,
        ),
        length in 0_usize..6,
        loss in any::<f32>(),
        bitrate_bps in any::<u32>(),
        complexity in any::<u8>(),
        release_tail_ms in any::<u32>(),
        sound in prop_oneof![
            Just(Sound::Speech(Processing::OFF)),
            Just(Sound::Speech(Processing::default())),
            Just(Sound::Music(Channels::Mono)),
            Just(Sound::Music(Channels::Stereo)),
        ],
    ) {
        let mut sender = VoiceSender::new(SenderConfig {
            mode: TransmitMode::Open,
            sound,
            release_tail_ms,
            frame_length: FrameLength::ALL[length],
            bitrate_bps,
            complexity,
            vad_sensitivity: loss,
            first_timestamp: u32::MAX - 1_000,
        })
        .expect("an encoder");
        sender.set_reported_loss(loss);
        for chunk in &chunks {
            sender.push(chunk, |frame| {
                assert!(!frame.payload.is_empty());
                assert!(frame.level.rtp_level() <= 127);
            });
        }
        prop_assert_eq!(sender.stats().encode_errors, 0);
    }
}

/// A speaker whose numbers jump about does not disturb another.
#[test]
fn one_hostile_speaker_does_not_disturb_another() {
    let mut sender = VoiceSender::new(SenderConfig {
        mode: TransmitMode::Open,
        ..SenderConfig::default()
    })
    .expect("an encoder");
    let mut receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("a decoder");
    let mut rng = Rng(9);
    let mut now = Instant::now();
    let mut out = [[0.0; 2]; 240];
    let said = support::speech(9, 48_000 * 5);
    let mut sequence = 0;
    for chunk in said.chunks(240) {
        sender.push(&support::stereo(chunk), |frame| {
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
        for _ in 0..10 {
            let payload: Vec<u8> = (0..rng.below(200)).map(|_| rng.next() as u8).collect();
            let numbers = (rng.next() as u16, rng.next() as u32);
            receiver.packet(now, 2, numbers.0, numbers.1, rng.below(2) == 0, &payload);
        }
        receiver.pull(now, &mut out);
        now += Duration::from_millis(5);
    }
    let stats = receiver.stats(1).expect("known");
    assert_eq!((stats.concealed_samples, stats.lost), (0, 0));
    assert!(stats.total_samples > 48_000 * 49 / 10);
}
