//! What the voice of one client costs: every bench is 10 ms of sound. `cargo bench -p voxhall-voice`.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use divan::Bencher;
use voxhall_voice::{
    FrameLength, NoiseSuppression, OpusMode, Processing, Processor, ReceiverConfig, SenderConfig,
    TransmitMode, VoiceReceiver, VoiceSender,
};

#[path = "../tests/support/mod.rs"]
mod support;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const FRAME: usize = 480;
const SECONDS: usize = 20;

fn main() {
    divan::main();
}

fn sender(mode: OpusMode) -> VoiceSender {
    let mut sender = VoiceSender::new(SenderConfig {
        mode: TransmitMode::Open,
        ..SenderConfig::default()
    })
    .expect("an encoder");
    if mode == OpusMode::Protected {
        sender.set_reported_loss(0.05);
    }
    sender
}

/// Level, voice activity and Opus for one captured frame of 10 ms.
#[divan::bench(args = [OpusMode::LowDelay, OpusMode::Protected], sample_count = 1_500, sample_size = 1)]
fn send(bencher: Bencher<'_, '_>, mode: OpusMode) {
    let said = support::stereo(&support::speech(1, SECONDS * 48_000));
    let mut sender = sender(mode);
    let mut frames = said.chunks_exact(FRAME).cycle();
    // Past the change of mode.
    for frame in frames.by_ref().take(200) {
        sender.push(frame, |_| {});
    }
    assert_eq!(sender.opus_mode(), mode);
    bencher.bench_local(|| {
        let frame = frames.next().expect("they repeat");
        sender.push(frame, |frame| {
            divan::black_box(frame.payload);
        });
    });
}

const PARTS: [(&str, Processing); 5] = [
    (
        "echo",
        Processing {
            echo: true,
            ..Processing::OFF
        },
    ),
    (
        "noise low",
        Processing {
            noise: NoiseSuppression::Low,
            ..Processing::OFF
        },
    ),
    (
        "noise high",
        Processing {
            noise: NoiseSuppression::High,
            ..Processing::OFF
        },
    ),
    (
        "gain",
        Processing {
            gain: true,
            ..Processing::OFF
        },
    ),
    (
        "all",
        Processing {
            echo: true,
            noise: NoiseSuppression::High,
            gain: true,
        },
    ),
];

/// What is done to the microphone's sound, while somebody speaks and the speakers play.
#[divan::bench(args = PARTS.map(|part| part.0), sample_count = 1_500, sample_size = 1)]
fn process(bencher: Bencher<'_, '_>, part: &str) {
    let said = support::speech(1, SECONDS * 48_000);
    let played = support::stereo(&support::speech(2, SECONDS * 48_000));
    let settings = PARTS.iter().find(|each| each.0 == part).expect("a part").1;
    let mut processor = Processor::new(settings);
    let mut blocks = said
        .chunks_exact(FRAME)
        .zip(played.chunks_exact(FRAME))
        .cycle();
    let mut block = || {
        let (mut said, played) = blocks.next().expect("they repeat");
        processor.played(played);
        divan::black_box(processor.take(&mut said));
    };
    for _ in 0..300 {
        block();
    }
    bencher.bench_local(block);
}

/// 10 ms of `speakers` who all talk: packets in, two pulls of 5 ms out.
#[divan::bench(args = [1, 5, 25], sample_count = 1_500, sample_size = 1)]
fn receive(bencher: Bencher<'_, '_>, speakers: u32) {
    let receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("decoders");
    listen(bencher, receiver, &spoken(speakers));
}

/// The same of speakers who are brought to the same loudness.
#[divan::bench(args = [1, 25], sample_count = 1_500, sample_size = 1)]
fn receive_levelled(bencher: Bencher<'_, '_>, speakers: u32) {
    let mut receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("decoders");
    receiver.set_levelling(true);
    listen(bencher, receiver, &spoken(speakers));
}

/// The same in stereo, at 128 kbit/s.
#[divan::bench(args = [1, 5], sample_count = 1_500, sample_size = 1)]
fn receive_stereo(bencher: Bencher<'_, '_>, speakers: u32) {
    let streams: Vec<Vec<Vec<u8>>> = (0..speakers)
        .map(|speaker| {
            let left = support::speech(u64::from(speaker), SECONDS * 48_000);
            let right = support::speech(u64::from(speaker) + 100, SECONDS * 48_000);
            let said: Vec<f32> = left
                .into_iter()
                .zip(right)
                .flat_map(|(l, r)| [l, r])
                .collect();
            let mut encoder =
                opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::LowDelay)
                    .expect("an encoder");
            encoder
                .set_bitrate(opus::Bitrate::Bits(128_000))
                .expect("a bitrate");
            said.chunks_exact(2 * FRAME)
                .map(|frame| {
                    let mut payload = vec![0; 1_275];
                    let len = encoder.encode_float(frame, &mut payload).expect("a frame");
                    payload.truncate(len);
                    payload
                })
                .collect()
        })
        .collect();
    let receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("decoders");
    listen(bencher, receiver, &streams);
}

/// What `speakers` send who all talk.
fn spoken(speakers: u32) -> Vec<Vec<Vec<u8>>> {
    (0..speakers)
        .map(|speaker| {
            let said = support::stereo(&support::speech(u64::from(speaker), SECONDS * 48_000));
            let mut sender = sender(OpusMode::LowDelay);
            let mut payloads = Vec::new();
            sender.push(&said, |frame| payloads.push(frame.payload.to_vec()));
            payloads
        })
        .collect()
}

/// 10 ms of each of `streams`: packets in, two pulls of 5 ms out.
fn listen(bencher: Bencher<'_, '_>, mut receiver: VoiceReceiver, streams: &[Vec<Vec<u8>>]) {
    let mut now = Instant::now();
    let mut out = [[0.0; 2]; FRAME / 2];
    let mut frame = 0;
    bencher.bench_local(|| {
        for (speaker, payloads) in (0..).zip(streams) {
            let payload = &payloads[frame % payloads.len()];
            let (sequence, timestamp) = (frame as u16, (frame * FRAME) as u32);
            receiver.packet(now, speaker, sequence, timestamp, false, payload);
        }
        for _ in 0..2 {
            receiver.pull(now, &mut out);
            now += Duration::from_millis(5);
        }
        frame += 1;
        divan::black_box(out[0])
    });
}

/// 20 ms of one speaker, of whose packets two in a row are lost every 200 ms: restored or made up by neural networks.
#[divan::bench(sample_count = 3_000, sample_size = 1)]
fn receive_with_losses(bencher: Bencher<'_, '_>) {
    let said = support::stereo(&support::speech(1, SECONDS * 48_000));
    let mut sender = sender(OpusMode::Protected);
    sender.set_frame_length(FrameLength::Ms20);
    let mut payloads = Vec::new();
    for chunk in said.chunks_exact(FRAME) {
        sender.set_reported_loss(0.2);
        sender.push(chunk, |frame| payloads.push(frame.payload.to_vec()));
    }
    let mut receiver = VoiceReceiver::new(ReceiverConfig::default()).expect("decoders");
    let mut now = Instant::now();
    let mut out = [[0.0; 2]; FRAME / 2];
    let mut frame = 100;
    bencher.bench_local(|| {
        if frame % 10 >= 2 {
            let payload = &payloads[frame % payloads.len()];
            let (sequence, timestamp) = (frame as u16, (2 * frame * FRAME) as u32);
            receiver.packet(now, 1, sequence, timestamp, false, payload);
        }
        for _ in 0..4 {
            receiver.pull(now, &mut out);
            now += Duration::from_millis(5);
        }
        frame += 1;
        divan::black_box(out[0])
    });
    let stats = receiver.stats(1).expect("known");
    assert!(stats.dred_recovered_samples > 0);
}

/// The pull of 5 ms in which all of `speakers` miss a packet.
#[divan::bench(args = [1, 2, 5, 10], sample_count = 300, sample_size = 1)]
fn lose_at_once(bencher: Bencher<'_, '_>, speakers: u32) {
    struct Talk {
        receiver: VoiceReceiver,
        now: Instant,
        frame: usize,
    }
    impl Talk {
        fn pull(&mut self) {
            let mut out = [[0.0; 2]; FRAME / 2];
            self.receiver.pull(self.now, &mut out);
            self.now += Duration::from_millis(5);
            divan::black_box(out[0]);
        }
    }
    let said = support::stereo(&support::speech(1, SECONDS * 48_000));
    let mut payloads = Vec::new();
    sender(OpusMode::LowDelay).push(&said, |frame| payloads.push(frame.payload.to_vec()));
    let talk = RefCell::new(Talk {
        receiver: VoiceReceiver::new(ReceiverConfig::default()).expect("decoders"),
        now: Instant::now(),
        frame: 0,
    });
    bencher
        .with_inputs(|| {
            let talk = &mut *talk.borrow_mut();
            // What was missed is passed by.
            talk.pull();
            for _ in 0..20 {
                talk.frame += 1;
                let payload = &payloads[talk.frame % payloads.len()];
                let (sequence, timestamp) = (talk.frame as u16, (talk.frame * FRAME) as u32);
                for speaker in 0..speakers {
                    talk.receiver
                        .packet(talk.now, speaker, sequence, timestamp, false, payload);
                }
                talk.pull();
                talk.pull();
            }
            talk.frame += 1;
        })
        .bench_local_values(|()| talk.borrow_mut().pull());
}
