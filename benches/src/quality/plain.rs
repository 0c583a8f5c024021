//! libopus as most programs use it: VOIP, in-band FEC or nothing, its own concealment without neural networks. The listener waits for one
//! packet more, so that no copy comes too late.

use anyhow::Context;
use opus::{Application, Bitrate, Channels, Decoder, Encoder, Signal};
use voxhall_voice::MAX_PAYLOAD_BYTES;

use super::{
    FRAME, RATE_HZ,
    talk::{Fate, Heard, Talk},
};

/// `loss_percent`: what the encoder is told, and sends copies for.
pub fn encoder(bitrate_bps: u32, loss_percent: Option<f64>) -> anyhow::Result<Encoder> {
    let mut encoder =
        Encoder::new(RATE_HZ, Channels::Mono, Application::Voip).context("no encoder")?;
    encoder.set_signal(Signal::Voice)?;
    encoder.set_complexity(9)?;
    encoder.set_bitrate(Bitrate::Bits(bitrate_bps as i32))?;
    if let Some(percent) = loss_percent {
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(percent.ceil() as i32)?;
    }
    Ok(encoder)
}

pub fn hear(
    talk: &Talk,
    fate: &Fate,
    bitrate_bps: u32,
    loss_percent: Option<f64>,
) -> anyhow::Result<Heard> {
    let mut encoder = encoder(bitrate_bps, loss_percent)?;
    let lookahead = encoder.get_lookahead()? as usize;
    let mut payload = [0; MAX_PAYLOAD_BYTES];
    let mut payload_bytes = 0;
    let packets = talk
        .said
        .chunks_exact(FRAME)
        .enumerate()
        .map(|(i, frame)| {
            let bytes = encoder.encode_float(frame, &mut payload)?;
            payload_bytes += bytes;
            Ok((!fate.lost(i)).then(|| payload[..bytes].to_vec()))
        })
        .collect::<Result<Vec<_>, opus::Error>>()?;

    let mut decoder = Decoder::new(RATE_HZ, Channels::Mono).context("no decoder")?;
    let mut sound = Vec::with_capacity(talk.said.len());
    let mut pcm = [0.0; FRAME];
    let mut concealed = 0;
    for (i, packet) in packets.iter().enumerate() {
        match (packet, packets.get(i + 1).and_then(Option::as_ref)) {
            (Some(packet), _) => decoder.decode_float(packet, &mut pcm, false)?,
            // Without a copy in it libopus conceals.
            (None, Some(next)) => {
                let copy = loss_percent.is_some() && has_copy(next);
                concealed += if copy { 0 } else { FRAME };
                decoder.decode_float(if copy { next } else { &[] }, &mut pcm, copy)?
            }
            (None, None) => {
                concealed += FRAME;
                decoder.decode_float(&[], &mut pcm, false)?
            }
        };
        sound.extend_from_slice(&pcm);
    }
    Ok(Heard {
        starts: talk
            .clips
            .iter()
            .map(|clip| clip.from + lookahead)
            .collect(),
        packets: packets.len(),
        sent_samples: packets.len() * FRAME,
        lost: packets.iter().filter(|packet| packet.is_none()).count(),
        payload_bytes,
        concealed: concealed as u64,
        played: sound.len() as u64,
        // One frame to fill, one to wait for. The codec's own delay is left out, as for the others.
        delay_ms: (2 * FRAME) as f64 / 48.0,
        sound,
    })
}

/// RFC 6716, 4.2.4, for one mono frame of at most 20 ms: the bit after that of voice activity. Pure CELT has none.
fn has_copy(payload: &[u8]) -> bool {
    match payload {
        [toc, first, ..] if toc >> 3 < 16 && toc & 3 == 0 => first & 0b0100_0000 != 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use voxhall_testkit::signal;

    use super::super::talk::Clip;
    use super::*;

    #[test]
    fn copies_are_what_restores() {
        let said = signal::speech(1, RATE_HZ, 6.0);
        let to = said.len();
        let clip = Clip {
            name: "x".into(),
            from: 0,
            to,
        };
        let talk = Talk {
            said,
            clips: vec![clip],
        };
        let fate = Fate {
            lost: (0..to / FRAME).map(|i| i % 10 == 5).collect(),
            seed: 1,
        };
        let without = hear(&talk, &fate, 32_000, None).expect("plays");
        let with = hear(&talk, &fate, 32_000, Some(10.0)).expect("plays");
        assert_eq!(without.concealed, (without.lost * FRAME) as u64);
        assert!(with.concealed * 2 < without.concealed, "{}", with.concealed);
        let rate = |heard: &Heard| heard.payload_kbps();
        assert!((rate(&with) / rate(&without) - 1.0).abs() < 0.15);
    }
}
