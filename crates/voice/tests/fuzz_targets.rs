//! The fuzz targets' functions on random scripts, and on scripts whose packets are real ones, whole and damaged.

use proptest::prelude::*;
use voxhall_voice::{FrameLength, SenderConfig, TransmitMode, VoiceSender, from_mono};

mod support;

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code)]
mod targets;

/// Packets of speech with in-band copies and deep redundancy.
fn packets() -> Vec<Vec<u8>> {
    let mut sender = VoiceSender::new(SenderConfig {
        mode: TransmitMode::Open,
        frame_length: FrameLength::Ms20,
        ..SenderConfig::default()
    })
    .expect("an encoder");
    let mut packets = Vec::new();
    for chunk in support::speech(3, 4 * 48_000).chunks(960) {
        sender.set_reported_loss(0.2);
        let captured: Vec<_> = chunk.iter().copied().map(from_mono).collect();
        sender.push(&captured, |frame| packets.push(frame.payload.to_vec()));
    }
    packets
}

/// A script for the target `stream`: a control byte, a length, a payload.
fn script(packets: &[Vec<u8>], controls: &[u8], damage: &[(u16, u16, u8)]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    for &(packet, at, flip) in damage {
        let count = packets.len();
        let packet = &mut packets[usize::from(packet) % count];
        let len = packet.len();
        packet[usize::from(at) % len] ^= flip;
    }
    let mut bytes = Vec::new();
    for (packet, control) in packets.iter().zip(controls.iter().cycle()) {
        bytes.push(*control);
        bytes.extend((packet.len() as u16).to_le_bytes());
        bytes.extend(packet);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_target_survives(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        for (name, target) in targets::TARGETS {
            let result = std::panic::catch_unwind(|| target(&bytes));
            prop_assert!(result.is_ok(), "target {} on {:02x?}", name, bytes);
        }
    }

    #[test]
    fn real_packets_may_be_damaged(
        controls in prop::collection::vec(any::<u8>(), 1..40),
        damage in prop::collection::vec(any::<(u16, u16, u8)>(), 0..60),
    ) {
        targets::fuzz_stream(&script(&packets(), &controls, &damage));
    }
}

/// `cargo test -p voxhall-voice --test fuzz_targets -- --ignored` makes what the fuzzer begins with.
#[test]
#[ignore = "writes fuzz/seeds anew"]
fn write_seeds() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/stream");
    std::fs::create_dir_all(&dir).expect("a folder");
    let packets = packets();
    // From the silence of the first frames, from the middle with deep redundancy; whole, with gaps of one, two and three.
    for (name, from, controls) in [
        ("whole", 10, [0b1100, 0b1100, 0b1100, 0b1100]),
        ("single", 100, [0b1100, 0b1101, 0b1100, 0b1100]),
        ("burst", 120, [0b1100, 0b1111, 0b1100, 0b1110]),
        ("mixed", 140, [0b1000, 0b1110, 0b10_0001, 0b1000_1100]),
    ] {
        let bytes = script(&packets[from..from + 20], &controls, &[]);
        std::fs::write(dir.join(name), bytes).expect("a seed");
    }
}
