//! What each fuzz target does with its bytes. Plain functions, so that `crates/voice/tests/fuzz_targets.rs` runs them too.
//!
//! A target reads its bytes as a script: what comes from the network, when, and what the device and the listener ask for. Whatever it
//! says, nothing may panic, no sample may exceed full scale, and the counters must make sense.

use std::time::{Duration, Instant};

use voxhall_protocol::{
    BaseKey, Epoch, SenderIndex, SessionSecret, Ssrc,
    voice::{Datagram, HopReceiver, Opener, RtpHeader, Sealer, SessionKeys},
};
use voxhall_voice::{MAX_PAYLOAD_BYTES, ReceiverConfig, Stereo, VoiceReceiver};

type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("receive", fuzz_receive),
    ("stream", fuzz_stream),
    ("sealed", fuzz_sealed),
];

const MAX_SPEAKERS: usize = 2;
/// More would only make a run slower.
const MOST_STEPS: usize = 400;
const LONGEST_PULL: usize = 2_000;

/// Packets with any numbers from any speaker, pulls of any size, settings in between.
pub fn fuzz_receive(data: &[u8]) {
    let mut script = Script(data);
    let mut ear = Ear::new(script.byte());
    for _ in 0..MOST_STEPS {
        if script.0.is_empty() {
            break;
        }
        let ssrc = u32::from(script.byte() % 4);
        match script.byte() % 16 {
            0..8 => {
                let (sequence, timestamp) = (script.word(), script.long());
                let marker = script.byte() & 1 == 1;
                let payload = script.payload();
                ear.packet(ssrc, sequence, timestamp, marker, payload);
            }
            8..12 => ear.pull(usize::from(script.word()) % LONGEST_PULL),
            12 => ear.wait(Duration::from_micros(u64::from(script.long()))),
            13 => ear.receiver.set_gain(ssrc, f32::from_bits(script.long())),
            14 => ear.receiver.set_stability(f32::from_bits(script.long())),
            _ if script.byte() & 1 == 1 => ear.receiver.remove(ssrc),
            _ => ear.receiver.set_muted(ssrc, script.byte() & 1 == 1),
        }
    }
}

/// One speaker whose packets come one after another, now and then with some missing: what is in them is what the decoder and
/// its redundancy have to bear.
pub fn fuzz_stream(data: &[u8]) {
    let mut script = Script(data);
    let mut ear = Ear::new(128);
    let (mut sequence, mut timestamp) = (0_u16, 0_u32);
    for _ in 0..MOST_STEPS {
        if script.0.is_empty() {
            break;
        }
        let control = script.byte();
        let missing = u16::from(control & 0b11);
        // 2.5, 5, 10, 20, 40 and 60 ms, and what there is not.
        let frame = [120, 240, 480, 960, 1_920, 2_880, 7, 0][usize::from(control >> 2 & 0b111)];
        sequence = sequence.wrapping_add(missing);
        timestamp = timestamp.wrapping_add(u32::from(missing) * frame);
        let payload = script.payload();
        ear.packet(1, sequence, timestamp, control & 0x80 != 0, payload);
        sequence = sequence.wrapping_add(1);
        timestamp = timestamp.wrapping_add(frame);
        for _ in 0..(u32::from(missing) + 1) * frame / 240 {
            ear.pull(240);
        }
        ear.pull(frame as usize % 240);
    }
}

/// Datagrams as they come from the socket: noise, and what a member with the right key seals.
pub fn fuzz_sealed(data: &[u8]) {
    const KEY: BaseKey = BaseKey([3; 32]);
    const EPOCH: Epoch = Epoch(3);
    const SENDER: SenderIndex = SenderIndex(5);
    const SSRC: Ssrc = Ssrc(0x0102_0304);
    let keys = SessionKeys::derive(&SessionSecret([1; 32]));
    let mut sealer = Sealer::new(SENDER, keys.hop_up.clone());
    sealer.set_key(EPOCH, &KEY);
    let mut server = HopReceiver::new(keys.hop_up);
    let mut opener = Opener::new();
    opener.insert_key(EPOCH, &KEY);
    opener.allow(SENDER, SSRC);

    let mut script = Script(data);
    let mut ear = Ear::new(128);
    let mut datagram = Datagram::new();
    let mut sequence = 0_u16;
    for _ in 0..MOST_STEPS {
        if script.0.is_empty() {
            break;
        }
        let control = script.byte();
        let mut bytes = if control & 0b11 == 0 {
            script.payload().to_vec()
        } else {
            sequence = sequence.wrapping_add(u16::from(control >> 2 & 0b111));
            let header = RtpHeader {
                marker: control & 0x80 != 0,
                sequence,
                timestamp: script.long(),
                ssrc: SSRC,
                audio_level: None,
            };
            if sealer
                .seal(&header, script.payload(), &mut datagram)
                .is_err()
            {
                continue;
            }
            // What the server forwards: without the hop tag.
            let Ok(inner) = server.receive(datagram.as_slice()) else {
                continue;
            };
            let mut inner = inner.to_vec();
            if control & 0b11 == 1 {
                let at = usize::from(script.word()) % inner.len();
                inner[at] ^= script.byte();
            }
            inner
        };
        if let Ok(opened) = opener.open(&mut bytes) {
            let header = opened.header;
            assert_eq!(header.ssrc, SSRC, "only who may speak is heard");
            ear.packet(
                header.ssrc.0,
                header.sequence,
                header.timestamp,
                header.marker,
                opened.payload,
            );
        }
        ear.pull(480);
    }
}

/// The receiver, its clock, and what must hold.
struct Ear {
    receiver: VoiceReceiver,
    now: Instant,
    out: Vec<Stereo>,
}

impl Ear {
    fn new(stability: u8) -> Self {
        let receiver = VoiceReceiver::new(ReceiverConfig {
            max_speakers: MAX_SPEAKERS,
            stability: f32::from(stability) / 255.0,
        });
        Self {
            receiver: receiver.expect("a decoder"),
            now: Instant::now(),
            out: vec![[0.0; 2]; LONGEST_PULL],
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn packet(&mut self, ssrc: u32, sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) {
        self.receiver
            .packet(self.now, ssrc, sequence, timestamp, marker, payload);
        let _ = self.receiver.report(ssrc);
    }

    fn pull(&mut self, samples: usize) {
        let out = &mut self.out[..samples];
        self.receiver.pull(self.now, out);
        assert!(out.iter().flatten().all(|sample| sample.abs() <= 1.0));
        self.now += Duration::from_nanos(samples as u64 * 1_000_000 / 48);
        let speakers: Vec<u32> = self
            .receiver
            .speakers()
            .map(|speaker| speaker.ssrc)
            .collect();
        assert!(speakers.len() <= MAX_SPEAKERS);
        for ssrc in speakers {
            let stats = self.receiver.stats(ssrc).expect("a speaker is known");
            assert!(stats.concealed_samples <= stats.total_samples, "{stats:?}");
            assert!(
                (0.0..=1_100.0).contains(&stats.target_delay_ms),
                "{stats:?}"
            );
        }
    }
}

/// Bytes read as numbers; zeros when they are used up.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn long(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    /// A length, then so many bytes; fewer where there are fewer.
    fn payload(&mut self) -> &'a [u8] {
        let len = usize::from(self.word()) % (MAX_PAYLOAD_BYTES + 100);
        let (payload, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        payload
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let len = N.min(self.0.len());
        out[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        out
    }
}
