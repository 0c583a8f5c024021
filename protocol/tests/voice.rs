//! Voice datagrams as a whole: golden bytes, what the listener refuses, and no allocation per packet.

use std::sync::LazyLock;

use assert_no_alloc::assert_no_alloc;
use proptest::prelude::*;
use voxhall_protocol::{
    BaseKey, Epoch, SenderIndex, SessionSecret, Ssrc, VoiceSessionId,
    voice::{
        AudioLevel, BindingRequest, Datagram, HOP_TAG_LEN, HopReceiver, MAX_DATAGRAM,
        MAX_OPUS_FRAME, NonceSecret, OpenError, Opened, Opener, PathClient, RtcpReceiver,
        RtcpSender, RtpHeader, SealError, Sealer, SessionKeys, TransactionId,
        write_receiver_report,
    },
};

#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;

const SECRET: SessionSecret = SessionSecret([0x11; 32]);
const BASE_KEY: BaseKey = BaseKey([0x22; 32]);
const SENDER: SenderIndex = SenderIndex(5);
const SSRC: Ssrc = Ssrc(0xcafe_f00d);
static KEYS: LazyLock<SessionKeys> = LazyLock::new(|| SessionKeys::derive(&SECRET));

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(sequence: u16) -> RtpHeader {
    RtpHeader {
        marker: sequence == 1,
        sequence,
        timestamp: u32::from(sequence) * 480,
        ssrc: SSRC,
        audio_level: None,
    }
}

fn sealer() -> Sealer {
    let mut sealer = Sealer::new(SENDER, KEYS.hop_up.clone());
    sealer.set_key(Epoch(3), &BASE_KEY);
    sealer
}

fn opener() -> Opener {
    let mut opener = Opener::new();
    opener.insert_key(Epoch(3), &BASE_KEY);
    opener.allow(SENDER, SSRC);
    opener
}

/// A datagram as the server forwards it.
fn forwarded(sealer: &mut Sealer, sequence: u16, text: &[u8]) -> Vec<u8> {
    let mut out = Datagram::new();
    sealer.seal(&header(sequence), text, &mut out).unwrap();
    out.as_slice()[..out.len() - HOP_TAG_LEN].to_vec()
}

/// Another client that follows `docs/protocol/voice.md` writes exactly these bytes.
#[test]
fn golden_voice_datagrams() {
    let mut sealer = sealer();
    let mut up = Datagram::new();
    sealer.seal(&header(1), b"opus frame", &mut up).unwrap();
    // RTP header | config byte, KID 0x143, CTR 0 | sealed frame | tag | hop tag
    assert_eq!(hex(up.as_slice()), GOLDEN_UP);

    let loud = RtpHeader {
        audio_level: Some(AudioLevel {
            voice: true,
            minus_dbov: 20,
        }),
        ..header(2)
    };
    sealer.seal(&loud, b"", &mut up).unwrap();
    assert_eq!(hex(up.as_slice()), GOLDEN_UP_WITH_LEVEL);

    let mut report = Datagram::new();
    write_receiver_report(SSRC, &[], &mut report).unwrap();
    RtcpSender::new(KEYS.hop_up.clone())
        .protect(&mut report)
        .unwrap();
    assert_eq!(hex(report.as_slice()), GOLDEN_RTCP_UP);

    let mut request = Datagram::new();
    let now = std::time::Instant::now();
    let mut path = PathClient::new(VoiceSessionId(0xabc), KEYS.stun.clone(), now);
    assert!(path.poll(now, TransactionId([7; 12]), &mut request));
    assert_eq!(hex(request.as_slice()), GOLDEN_STUN_REQUEST);
    let mut answer = Datagram::new();
    let parsed = BindingRequest::parse(request.as_slice()).unwrap();
    let from = "192.0.2.1:9000".parse().unwrap();
    parsed.write_success(from, &KEYS.stun, &mut answer).unwrap();
    assert_eq!(hex(answer.as_slice()), GOLDEN_STUN_SUCCESS);
}

// Computed by `golden.py` beside this file, which shares no code with the crate.
const GOLDEN_UP: &str = "\
    80ef0001000001e0cafef00d9001437445929be1019d73efabee906f061376f9929f150c32f03d946c098a46b3c167b6\
    f80600";
const GOLDEN_UP_WITH_LEVEL: &str = "\
    906f0002000003c0cafef00dbede00011094000091014365c86d5d93725881a75ee395d3f31a9b0d89ca7ab62b1d5094\
    67";
const GOLDEN_RTCP_UP: &str = "80c90001cafef00d00000000067a03a94304fa239726";
const GOLDEN_STUN_REQUEST: &str = "\
    0001006c2112a44207070707070707070707070700060010303030303030303030303030306162630026002800000000\
    000000000000000000000000000000000000000000000000000000000000000000000000001c0020771795248345a5fb\
    501e31657ecbeedfa5a01525497516cc6b47f093affd79a18028000434b0598e";
const GOLDEN_STUN_SUCCESS: &str = "\
    010100382112a442070707070707070707070707002000080001023ae112a643001c0020fc92b30b80bcf78dceb64625\
    90f8f001aa35964d125447e68836c6e0c0fff43b80280004b9862537";

#[test]
fn a_frame_opens_once_with_what_was_said_about_it() {
    let (mut sealer, mut opener) = (sealer(), opener());
    let packet = forwarded(&mut sealer, 1, b"hello");
    let opened = Opened {
        header: header(1),
        sender: SENDER,
        epoch: Epoch(3),
        ctr: 0,
        payload: b"hello",
    };
    assert_eq!(opener.open(&mut packet.clone()), Ok(opened));
    assert_eq!(opener.open(&mut packet.clone()), Err(OpenError::Replayed));
    for sequence in 2..2_000 {
        let packet = forwarded(&mut sealer, sequence, b"x");
        assert!(opener.open(&mut packet.clone()).is_ok());
    }
    assert_eq!(opener.open(&mut packet.clone()), Err(OpenError::TooOld));
}

#[test]
fn any_changed_byte_is_refused_and_changes_nothing() {
    let (mut sealer, mut opener) = (sealer(), opener());
    let packet = forwarded(&mut sealer, 1, b"hello");
    for at in 0..packet.len() {
        for bit in 0..8 {
            let mut bad = packet.clone();
            bad[at] ^= 1 << bit;
            assert!(opener.open(&mut bad).is_err(), "byte {at}, bit {bit}");
        }
    }
    for len in 0..packet.len() {
        assert!(opener.open(&mut packet[..len].to_vec()).is_err());
    }
    assert!(opener.open(&mut packet.clone()).is_ok());
}

#[test]
fn the_roster_decides_who_is_heard() {
    let mut sealer = sealer();
    let packet = forwarded(&mut sealer, 1, b"hello");
    let mut opener = Opener::new();
    opener.insert_key(Epoch(3), &BASE_KEY);
    let open = |opener: &mut Opener| opener.open(&mut packet.clone()).map(|_| ());
    assert_eq!(open(&mut opener), Err(OpenError::UnknownSender));
    opener.allow(SENDER, Ssrc(1));
    assert_eq!(open(&mut opener), Err(OpenError::WrongSsrc));
    // Another member's index with the right SSRC is as bad.
    opener.forget(SENDER);
    opener.allow(SenderIndex(6), SSRC);
    assert_eq!(open(&mut opener), Err(OpenError::UnknownSender));
    opener.allow(SENDER, SSRC);
    assert_eq!(open(&mut opener), Ok(()));
    opener.forget(SENDER);
    assert_eq!(open(&mut opener), Err(OpenError::UnknownSender));
}

#[test]
fn epochs_come_and_go() {
    let (mut sealer, mut opener) = (sealer(), opener());
    let new_key = BaseKey([0x33; 32]);
    let old = forwarded(&mut sealer, 1, b"old");
    let late = forwarded(&mut sealer, 2, b"late");
    sealer.set_key(Epoch(4), &new_key);
    let new = forwarded(&mut sealer, 3, b"new");
    let open = |opener: &mut Opener, packet: &[u8]| {
        opener
            .open(&mut packet.to_vec())
            .map(|opened| (opened.epoch, opened.ctr))
    };
    assert_eq!(open(&mut opener, &new), Err(OpenError::UnknownEpoch));
    opener.insert_key(Epoch(4), &new_key);
    // The counter goes on, so the replay window spans epochs.
    assert_eq!(open(&mut opener, &new), Ok((Epoch(4), 2)));
    assert_eq!(open(&mut opener, &old), Ok((Epoch(3), 0)));
    opener.remove_key(Epoch(3));
    assert_eq!(open(&mut opener, &late), Err(OpenError::UnknownEpoch));

    // 64 epochs on, the key id looks the same, and the key is not.
    opener.insert_key(Epoch(4 + 64), &BaseKey([0x44; 32]));
    let stale = forwarded(&mut sealer, 4, b"stale");
    assert_eq!(open(&mut opener, &stale), Err(OpenError::BadTag));
    opener.remove_key(Epoch(4));
    let mut other = Sealer::new(SENDER, KEYS.hop_up.clone());
    other.set_key(Epoch(68), &BaseKey([0x44; 32]));
    for _ in 0..5 {
        forwarded(&mut other, 0, b"");
    }
    let current = forwarded(&mut other, 5, b"current");
    assert_eq!(open(&mut opener, &current), Ok((Epoch(68), 5)));
}

/// Who joins can't open what was said before.
#[test]
fn a_joiner_has_no_old_key() {
    let mut sealer = sealer();
    let before = forwarded(&mut sealer, 1, b"before");
    let mut joiner = Opener::new();
    joiner.insert_key(Epoch(4), &BaseKey([0x33; 32]));
    joiner.allow(SENDER, SSRC);
    assert_eq!(
        joiner.open(&mut before.clone()),
        Err(OpenError::UnknownEpoch)
    );
}

#[test]
fn the_largest_frame_fits_and_a_larger_one_is_refused() {
    let mut sealer = sealer();
    let mut out = Datagram::new();
    let loud = RtpHeader {
        audio_level: Some(AudioLevel {
            voice: true,
            minus_dbov: 200,
        }),
        ..header(1)
    };
    sealer.seal(&loud, &[7; MAX_OPUS_FRAME], &mut out).unwrap();
    assert!(out.len() <= MAX_DATAGRAM);
    assert_eq!(
        sealer.seal(&header(2), &[7; MAX_OPUS_FRAME + 1], &mut out),
        Err(SealError::TooLong)
    );
    let mut keyless = Sealer::new(SENDER, KEYS.hop_up.clone());
    assert_eq!(
        keyless.seal(&header(1), b"", &mut out),
        Err(SealError::NoKey)
    );
}

#[test]
fn errors_have_their_place() {
    for (place, error) in OpenError::ALL.into_iter().enumerate() {
        assert_eq!(error.index(), place);
    }
}

#[test]
fn nothing_allocates_per_packet() {
    let (mut sealer, mut opener) = (sealer(), opener());
    let mut hop = HopReceiver::new(KEYS.hop_up.clone());
    let mut rtcp = (
        RtcpSender::new(KEYS.hop_up.clone()),
        RtcpReceiver::new(KEYS.hop_up.clone()),
    );
    let nonces = NonceSecret::new(&[1; 32]);
    let now = std::time::Instant::now();
    let mut path = PathClient::new(VoiceSessionId(0xabc), KEYS.stun.clone(), now);
    let from = "192.0.2.1:9000".parse().unwrap();
    let mut datagram = Datagram::new();
    let mut answer = Datagram::new();
    assert_no_alloc(|| {
        for sequence in 1..300 {
            sealer
                .seal(&header(sequence), &[7; 80], &mut datagram)
                .unwrap();
            let len = hop.receive(datagram.as_slice()).unwrap().len();
            let opened = opener.open(&mut datagram.as_mut_slice()[..len]).unwrap();
            assert_eq!(opened.payload, [7; 80]);

            datagram.clear();
            write_receiver_report(SSRC, &[], &mut datagram).unwrap();
            rtcp.0.protect(&mut datagram).unwrap();
            rtcp.1.receive(datagram.as_slice()).unwrap();

            path.probe(now);
            let id = TransactionId([sequence as u8; 12]);
            assert!(path.poll(now, id, &mut datagram));
            let request = BindingRequest::parse(datagram.as_slice()).unwrap();
            request.verify(&KEYS.stun).unwrap();
            let uptime = std::time::Duration::ZERO;
            if request.has_fresh_nonce(&nonces, from, 0, uptime) {
                request
                    .write_success(from, &KEYS.stun, &mut answer)
                    .unwrap();
            } else {
                let nonce = nonces.issue(request.session(), from, 0, uptime);
                request
                    .write_stale_nonce(&nonce, &KEYS.stun, &mut answer)
                    .unwrap();
            }
            path.handle(now, answer.as_slice()).unwrap();
        }
    });
    assert!(path.is_open());
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        text in prop::collection::vec(any::<u8>(), 0..=MAX_OPUS_FRAME),
        marker: bool, sequence: u16, timestamp: u32, level in prop::option::of((any::<bool>(), 0u8..128)),
    ) {
        let (mut sealer, mut opener) = (sealer(), opener());
        let audio_level = level.map(|(voice, minus_dbov)| AudioLevel { voice, minus_dbov });
        let header = RtpHeader { marker, sequence, timestamp, ssrc: SSRC, audio_level };
        let mut out = Datagram::new();
        sealer.seal(&header, &text, &mut out).unwrap();
        let mut hop = HopReceiver::new(KEYS.hop_up.clone());
        let mut packet = hop.receive(out.as_slice()).unwrap().to_vec();

        // An independent RTP parser reads the same header.
        let rtp = rtp_types::RtpPacket::parse(&packet).unwrap();
        prop_assert_eq!(rtp.sequence_number(), sequence);
        prop_assert_eq!(rtp.timestamp(), timestamp);
        prop_assert_eq!(rtp.marker_bit(), marker);
        prop_assert_eq!(rtp.payload_type(), 111);
        prop_assert_eq!(rtp.ssrc(), SSRC.0);
        prop_assert_eq!(rtp.extension().is_some(), level.is_some());

        let opened = opener.open(&mut packet).unwrap();
        prop_assert_eq!(opened.header, header);
        prop_assert_eq!(opened.payload, &text[..]);
    }

    /// Our RTP parser accepts a subset of what `rtp-types` accepts, and agrees on it.
    #[test]
    fn rtp_headers_agree_with_rtp_types(mut bytes in prop::collection::vec(any::<u8>(), 0..120), flags in 0u8..32) {
        if let [first, second, ..] = &mut bytes[..] {
            *first = 0x80 | flags & 0x10;
            *second = 111 | *second & 0x80;
        }
        if bytes.len() > 15 {
            bytes[14] = 0;
            bytes[15] %= 20;
        }
        if let Ok((header, len)) = RtpHeader::parse(&bytes) {
            let theirs = rtp_types::RtpPacket::parse(&bytes).unwrap();
            prop_assert_eq!(theirs.payload_offset(), len);
            prop_assert_eq!(theirs.sequence_number(), header.sequence);
            prop_assert_eq!(theirs.ssrc(), header.ssrc.0);
        }
    }

    #[test]
    fn any_bytes_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), like_ours: bool) {
        let mut opener = opener();
        if like_ours && bytes.len() >= 16 {
            bytes[..2].copy_from_slice(&[0x80, 111]);
            bytes[8..12].copy_from_slice(&SSRC.0.to_be_bytes());
            bytes[12..15].copy_from_slice(&[0x90, 0x01, 0x43]);
        }
        prop_assert!(opener.open(&mut bytes).is_err());
    }
}
