//! What one voice packet costs, in time and allocations, and what the crates passed over would cost.
//!
//! `cargo bench -p voxhall-protocol`. Frames of 80 bytes: 10 ms at 64 kbit/s.

use std::{hint::black_box, time::Instant};

use divan::Bencher;
use voxhall_protocol::{
    BaseKey, Epoch, SenderIndex, SessionSecret, Ssrc, VoiceSessionId,
    voice::{
        BindingRequest, BurstLoss, Datagram, HOP_TAG_LEN, HopReceiver, Kid, Opener, PathClient,
        ReportBlock, RtpHeader, Sealer, SenderKey, SessionKeys, TransactionId, classify,
        parse_reports, write_receiver_report,
    },
};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const TEXT: [u8; 80] = [7; 80];
const BASE_KEY: BaseKey = BaseKey([1; 32]);
const SENDER: SenderIndex = SenderIndex(300);
const SSRC: Ssrc = Ssrc(77);

fn main() {
    divan::main();
}

fn keys() -> SessionKeys {
    SessionKeys::derive(&SessionSecret([2; 32]))
}

fn sealer() -> Sealer {
    let mut sealer = Sealer::new(SENDER, keys().hop_up);
    sealer.set_key(Epoch(9), &BASE_KEY);
    sealer
}

fn header(sequence: u16) -> RtpHeader {
    RtpHeader {
        marker: false,
        sequence,
        timestamp: 0,
        ssrc: SSRC,
        audio_level: None,
    }
}

/// Datagrams that pass in order, each once, made as they are needed.
fn datagrams() -> impl FnMut() -> Datagram {
    let mut sealer = sealer();
    let mut sequence = 0u16;
    move || {
        let mut out = Datagram::new();
        sealer.seal(&header(sequence), &TEXT, &mut out).unwrap();
        sequence = sequence.wrapping_add(1);
        out
    }
}

#[divan::bench]
fn seal_and_hop_tag(bencher: Bencher<'_, '_>) {
    let mut sealer = sealer();
    let mut out = Datagram::new();
    let mut sequence = 0u16;
    bencher.bench_local(|| {
        sealer
            .seal(&header(sequence), black_box(&TEXT), &mut out)
            .unwrap();
        sequence = sequence.wrapping_add(1);
        out.len()
    });
}

#[divan::bench]
fn hop_verify(bencher: Bencher<'_, '_>) {
    let mut receiver = HopReceiver::new(keys().hop_up);
    bencher
        .with_inputs(datagrams())
        .bench_local_refs(|datagram| receiver.receive(datagram.as_slice()).unwrap().len());
}

#[divan::bench]
fn hop_refuse_forged(bencher: Bencher<'_, '_>) {
    let other = SessionKeys::derive(&SessionSecret([3; 32]));
    let mut receiver = HopReceiver::new(other.hop_up);
    bencher
        .with_inputs(datagrams())
        .bench_local_refs(|datagram| receiver.receive(datagram.as_slice()).is_err());
}

#[divan::bench]
fn open(bencher: Bencher<'_, '_>) {
    let mut opener = Opener::new();
    opener.insert_key(Epoch(9), &BASE_KEY);
    opener.allow(SENDER, SSRC);
    bencher
        .with_inputs(datagrams())
        .bench_local_refs(|datagram| {
            let len = datagram.len() - HOP_TAG_LEN;
            let opened = opener.open(&mut datagram.as_mut_slice()[..len]).unwrap();
            opened.payload.len()
        });
}

#[divan::bench]
fn open_refuse_unknown_sender(bencher: Bencher<'_, '_>) {
    let mut opener = Opener::new();
    opener.insert_key(Epoch(9), &BASE_KEY);
    opener.allow(SenderIndex(1), SSRC);
    bencher
        .with_inputs(datagrams())
        .bench_local_refs(|datagram| opener.open(datagram.as_mut_slice()).is_err());
}

#[divan::bench]
fn derive_sender_key() -> SenderKey {
    SenderKey::derive(black_box(&BASE_KEY), Kid::new(SENDER, Epoch(9)))
}

#[divan::bench]
fn classify_and_parse_rtp(bencher: Bencher<'_, '_>) {
    let datagram = datagrams()();
    bencher.bench_local(|| {
        let bytes = black_box(datagram.as_slice());
        (classify(bytes), RtpHeader::parse(bytes))
    });
}

#[divan::bench]
fn stun_parse_and_verify(bencher: Bencher<'_, '_>) {
    let request = stun_request();
    let key = keys().stun;
    bencher.bench_local(|| {
        let request = BindingRequest::parse(black_box(request.as_slice())).unwrap();
        request.verify(&key).unwrap();
    });
}

#[divan::bench]
fn rtcp_write_and_parse_4_blocks(bencher: Bencher<'_, '_>) {
    let block = ReportBlock {
        ssrc: SSRC,
        fraction_lost: 1,
        cumulative_lost: 2,
        highest_sequence: 3,
        jitter: 4,
        burst_loss: BurstLoss::default(),
    };
    let mut out = Datagram::new();
    bencher.bench_local(|| {
        out.clear();
        write_receiver_report(SSRC, black_box(&[block; 4]), &mut out).unwrap();
        let mut sum = 0;
        parse_reports(out.as_slice(), |_, block| sum += block.jitter).unwrap();
        sum
    });
}

fn stun_request() -> Datagram {
    let now = Instant::now();
    let mut path = PathClient::new(VoiceSessionId(5), keys().stun, now);
    let mut out = Datagram::new();
    assert!(path.poll(now, TransactionId([6; 12]), &mut out));
    out
}

/// The same work by the crates that were considered.
mod passed_over {
    use std::convert::Infallible;

    use divan::Bencher;
    use rtcp_types::{ReceiverReport, ReportBlock, prelude::*};
    use sframe::{
        CipherSuite,
        frame::{EncryptedFrameView, FrameBuffer, MediaFrameView, MonotonicCounter, Truncate},
        key::{DecryptionKey, EncryptionKey},
    };
    use stun_types::message::{
        BINDING, IntegrityAlgorithm, Message, MessageIntegrityCredentials, MessageWrite,
        MessageWriteExt, MessageWriteVec, ShortTermCredentials,
    };

    use super::*;

    /// A caller's buffer that never allocates.
    struct Fixed {
        slice: FixedSlice,
    }

    struct FixedSlice {
        bytes: [u8; 2_048],
        len: usize,
    }

    impl Fixed {
        fn new() -> Self {
            let slice = FixedSlice {
                bytes: [0; 2_048],
                len: 0,
            };
            Self { slice }
        }
    }

    impl FrameBuffer for Fixed {
        type BufferSlice = FixedSlice;
        type Error = Infallible;

        fn allocate(&mut self, size: usize) -> Result<&mut FixedSlice, Infallible> {
            self.slice.len = size;
            Ok(&mut self.slice)
        }
    }

    impl AsMut<[u8]> for FixedSlice {
        fn as_mut(&mut self) -> &mut [u8] {
            &mut self.bytes[..self.len]
        }
    }

    impl AsRef<[u8]> for FixedSlice {
        fn as_ref(&self) -> &[u8] {
            &self.bytes[..self.len]
        }
    }

    impl Truncate for FixedSlice {
        fn truncate(&mut self, len: usize) {
            self.len = len;
        }
    }

    const SUITE: CipherSuite = CipherSuite::AesGcm256Sha512;
    const KID: u64 = 300 << 6 | 9;
    const RTP: [u8; 12] = [0x80; 12];

    fn counter() -> MonotonicCounter {
        MonotonicCounter::with_start_value(1_000, u64::MAX)
    }

    #[divan::bench]
    fn sframe_crate_encrypt_into(bencher: Bencher<'_, '_>) {
        let key = EncryptionKey::derive_from(SUITE, KID, BASE_KEY.0).unwrap();
        let mut counter = counter();
        let mut buffer = Fixed::new();
        bencher.bench_local(|| {
            let frame =
                MediaFrameView::try_with_meta_data(&mut counter, black_box(&TEXT), &RTP).unwrap();
            frame
                .encrypt_into(&key, &mut buffer)
                .unwrap()
                .cipher_text()
                .len()
        });
    }

    #[divan::bench]
    fn sframe_crate_decrypt_into(bencher: Bencher<'_, '_>) {
        let key = EncryptionKey::derive_from(SUITE, KID, BASE_KEY.0).unwrap();
        let open = DecryptionKey::derive_from(SUITE, KID, BASE_KEY.0).unwrap();
        let frame = MediaFrameView::try_with_meta_data(&mut counter(), &TEXT, &RTP).unwrap();
        let mut sealed = Fixed::new();
        let sealed = frame.encrypt_into(&key, &mut sealed).unwrap();
        let mut buffer = Fixed::new();
        bencher.bench_local(|| {
            let frame = EncryptedFrameView::try_with_meta_data(
                black_box(sealed.sframe_cipher_text()),
                &RTP,
            )
            .unwrap();
            frame
                .decrypt_into(&open, &mut buffer)
                .unwrap()
                .payload()
                .len()
        });
    }

    #[divan::bench]
    fn rtp_types_parse(bencher: Bencher<'_, '_>) {
        let datagram = datagrams()();
        bencher.bench_local(|| {
            let packet = rtp_types::RtpPacket::parse(black_box(datagram.as_slice())).unwrap();
            (packet.sequence_number(), packet.ssrc())
        });
    }

    #[divan::bench]
    fn stun_types_parse_and_verify(bencher: Bencher<'_, '_>) {
        let credentials = ShortTermCredentials::new("0123456789abcdef".to_owned()).into();
        let key = MessageIntegrityCredentials::make_key(&credentials, IntegrityAlgorithm::Sha256);
        let mut builder = Message::builder_request(BINDING, MessageWriteVec::new());
        builder
            .add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha256)
            .unwrap();
        builder.add_fingerprint().unwrap();
        let bytes = builder.finish();
        bencher.bench_local(|| {
            let message = Message::from_bytes(black_box(&bytes)).unwrap();
            message.validate_integrity_with_key(&key).unwrap()
        });
    }

    #[divan::bench]
    fn rtcp_types_build_4_blocks(bencher: Bencher<'_, '_>) {
        let mut out = [0; 200];
        bencher.bench_local(|| {
            let mut report = ReceiverReport::builder(77);
            for _ in 0..4 {
                report = report.add_report_block(ReportBlock::builder(77));
            }
            report.write_into(black_box(&mut out)).unwrap()
        });
    }
}
