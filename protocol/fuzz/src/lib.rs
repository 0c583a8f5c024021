//! What each fuzz target does with its bytes. Plain functions, so that `protocol/tests/fuzz_targets.rs` runs them too.

use std::{sync::LazyLock, time::Instant};

use voxhall_protocol::{
    BaseKey, Epoch, SenderIndex, SessionSecret, Ssrc, VoiceSessionId,
    control::{parse_from_client, parse_from_server},
    link::Link,
    voice::{
        BindingRequest, Bundle, BundleBuilder, Datagram, DatagramKind, HopReceiver, HopSender,
        NonceSecret, Opener, PathClient, RtcpReceiver, RtpHeader, SessionKeys, SframeHeader,
        classify, parse_reports,
    },
};

type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("classify", fuzz_classify),
    ("rtp", fuzz_rtp),
    ("rtcp", fuzz_rtcp),
    ("stun", fuzz_stun),
    ("sframe_open", fuzz_sframe_open),
    ("hop", fuzz_hop),
    ("bundle", fuzz_bundle),
    ("control", fuzz_control),
    ("link", fuzz_link),
];

const SSRC: Ssrc = Ssrc(0x0102_0304);
const SESSION: VoiceSessionId = VoiceSessionId(0x0123_4567_89ab_cdef);

static KEYS: LazyLock<SessionKeys> = LazyLock::new(|| SessionKeys::derive(&SessionSecret([1; 32])));

pub fn fuzz_classify(data: &[u8]) {
    let kind = classify(data);
    if RtpHeader::parse(data).is_ok() {
        assert_eq!(kind, DatagramKind::Rtp);
    }
    if BindingRequest::parse(data).is_ok() {
        assert_eq!(kind, DatagramKind::Stun);
    }
    if Bundle::parse(data).is_ok() {
        assert_eq!(kind, DatagramKind::Bundle);
    }
}

/// A header read, written and read again is the same.
pub fn fuzz_rtp(data: &[u8]) {
    if let Ok((header, len)) = RtpHeader::parse(data) {
        assert!(len <= data.len());
        let mut out = Datagram::new();
        header.write(&mut out).expect("a header fits");
        let (again, _) = RtpHeader::parse(out.as_slice()).expect("what we write, we read");
        assert_eq!(again, header);
    }
}

/// No bytes pass unproven, and proven ones don't harm.
pub fn fuzz_rtcp(data: &[u8]) {
    assert!(
        RtcpReceiver::new(KEYS.hop_up.clone())
            .receive(data)
            .is_err()
    );
    let mut blocks = 0;
    let result = parse_reports(data, |_, block| {
        blocks += 1;
        let bursts = block.burst_loss;
        assert!(bursts.lost <= bursts.expected && bursts.bursts <= bursts.lost / 2);
    });
    assert!(result.is_ok() || blocks == 0);
    assert!(blocks * 24 <= data.len());
}

/// No message is taken for genuine, neither as it is nor with a frame that is right around the attributes.
pub fn fuzz_stun(data: &[u8]) {
    let now = Instant::now();
    let mut client = PathClient::new(SESSION, KEYS.stun.clone(), now);
    let nonces = NonceSecret::new(&[2; 32]);
    let from = ([192, 0, 2, 1], 9).into();
    let mut look = |bytes: &[u8]| {
        assert!(client.handle(now, bytes).is_err());
        if let Ok(request) = BindingRequest::parse(bytes) {
            assert!(request.verify(&KEYS.stun).is_err());
            assert!(!request.has_fresh_nonce(&nonces, from, 0, std::time::Duration::ZERO));
            let mut out = Datagram::new();
            let _ = request.write_success(from, &KEYS.stun, &mut out);
            assert!(out.len() <= bytes.len());
        }
    };
    look(data);
    if let Some(framed) = framed_stun(data) {
        look(&framed);
    }
}

/// Type from the first two bytes, attributes from the rest, an integrity of zeros, and the right fingerprint.
fn framed_stun(data: &[u8]) -> Option<Vec<u8>> {
    let (kind, body) = data.split_first_chunk::<2>()?;
    let body = &body[..body.len().min(1_000) / 4 * 4];
    let mut bytes = vec![kind[0] & 0x3f, kind[1]];
    bytes.extend((body.len() as u16 + 36 + 8).to_be_bytes());
    bytes.extend(0x2112_a442u32.to_be_bytes());
    bytes.extend([7; 12]);
    bytes.extend(body);
    bytes.extend([0x00, 0x1c, 0, 32]);
    bytes.extend([0; 32]);
    let crc = crc32fast::hash(&bytes) ^ 0x5354_554e;
    bytes.extend([0x80, 0x28, 0, 4]);
    bytes.extend(crc.to_be_bytes());
    Some(bytes)
}

/// Nothing opens that was not sealed, neither as it is nor behind a header of a sender that exists.
pub fn fuzz_sframe_open(data: &[u8]) {
    let _ = SframeHeader::parse(data);
    let mut opener = Opener::new();
    opener.insert_key(Epoch(3), &BaseKey([3; 32]));
    opener.allow(SenderIndex(5), SSRC);
    assert!(opener.open(&mut data.to_vec()).is_err());
    let mut addressed = vec![0x80, 111, 0, 1, 0, 0, 0, 0];
    addressed.extend(SSRC.0.to_be_bytes());
    addressed.extend([0x90, 0x01, 0x43]);
    addressed.extend(data);
    assert!(opener.open(&mut addressed).is_err());
}

/// Nothing passes without a tag; with one, whatever it covers passes once.
pub fn fuzz_hop(data: &[u8]) {
    let mut receiver = HopReceiver::new(KEYS.hop_up.clone());
    assert!(receiver.receive(data).is_err());
    let mut datagram = Datagram::new();
    if data.len() >= 4 && datagram.push(data).is_ok() {
        let sequence = u16::from_be_bytes([data[2], data[3]]);
        let mut sender = HopSender::new(KEYS.hop_up.clone());
        if sender.seal(sequence, &mut datagram).is_ok() {
            assert_eq!(receiver.receive(datagram.as_slice()), Ok(data));
            assert!(receiver.receive(datagram.as_slice()).is_err());
        }
    }
}

/// Both readers see the same packets, and what was read can be bundled again.
pub fn fuzz_bundle(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else {
        return;
    };
    let mut out = Datagram::new();
    let mut builder = BundleBuilder::new(&mut out);
    let mut read = Vec::new();
    let mut failed = false;
    for packet in bundle {
        assert!(!failed, "the first error ends it");
        match packet {
            Ok(packet) => {
                builder.push(packet).expect("it fitted before");
                read.push(packet.to_vec());
            }
            Err(_) => failed = true,
        }
    }
    if !failed {
        assert_eq!(out.as_slice(), data);
    }
    let mut opened = Vec::new();
    let result = Bundle::for_each_mut(&mut data.to_vec(), |packet| opened.push(packet.to_vec()));
    assert_eq!(result.is_err(), failed);
    assert_eq!(opened, read);
}

pub fn fuzz_control(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = parse_from_client(text);
        let _ = parse_from_server(text);
    }
}

/// A link read, shown and read again is the same.
pub fn fuzz_link(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(link) = text.parse::<Link>()
    {
        let again: Link = link.to_string().parse().expect("what we show, we read");
        assert_eq!(again, link);
    }
}
