//! The receiver that the app has, on a trace.

use std::time::{Duration, Instant};

use anyhow::Context;
use voxhall_voice::{ReceiverConfig, VoiceReceiver, to_mono};

use super::{
    speech::Speech,
    tally::Tally,
    trace::{MS, Trace},
};

const SSRC: u32 = 1;
/// Any; the RTP clock wraps once in a day.
const FIRST_TIMESTAMP: u32 = 0xff00_0000;

/// `pull`: samples that the device asks for at a time, from `phase` on.
pub fn run(
    trace: &Trace,
    speech: &Speech,
    stability: f32,
    pull: usize,
    phase: i64,
    mut hear: impl FnMut(&[f32]),
) -> anyhow::Result<Tally> {
    let mut receiver = VoiceReceiver::new(ReceiverConfig {
        max_speakers: 1,
        stability,
    })
    .context("no decoder")?;
    let mut tally = Tally::new(trace.length);
    let start = Instant::now();
    let mut arrivals = trace.arrivals.iter().peekable();
    let mut out = vec![[0.0; 2]; pull];
    let mut mono = vec![0.0; pull];
    let mut before = voxhall_voice::SpeakerStats::default();
    let mut now = phase;
    while now < trace.length {
        while let Some(&(at, packet)) = arrivals.next_if(|&&(at, _)| at <= now) {
            let timestamp = FIRST_TIMESTAMP.wrapping_add((packet as i64 * trace.frame) as u32);
            receiver.packet(
                instant(start, at),
                SSRC,
                packet as u16,
                timestamp,
                packet == 0,
                speech.payload(packet),
            );
        }
        receiver.pull(instant(start, now), &mut out);
        for (mono, sample) in mono.iter_mut().zip(&out) {
            *mono = to_mono(*sample);
        }
        hear(&mono);
        if let Some(stats) = receiver.stats(SSRC) {
            let concealed = stats.concealed_samples as i64 - before.concealed_samples as i64;
            if concealed > 0 {
                tally.conceal(concealed);
            }
            let played = stats.total_samples - before.total_samples;
            if played > 0 {
                emit(&mut tally, trace, now, pull as i64, stats.playout_timestamp);
            }
            before = stats;
        }
        now += pull as i64;
    }
    // What was concealed counts when it is known to have been no pause; the samples themselves are the receiver's count.
    tally.total = before.total_samples as i64;
    tally.accelerated = before.accelerated_samples as i64;
    tally.expanded = before.expanded_samples as i64;
    tally.dropped = (before.late + before.skipped) as usize;
    Ok(tally)
}

/// Books a pull at `now` that ended at `end` of the RTP clock.
fn emit(tally: &mut Tally, trace: &Trace, now: i64, pull: i64, end: u32) {
    // The timestamp has 32 bits; the right cycle is the one near what is played about now.
    let about = now - 10_000 * MS;
    let ahead = end.wrapping_sub(FIRST_TIMESTAMP).wrapping_sub(about as u32);
    let media = about + i64::from(ahead as i32);
    let middle = media - pull / 2;
    let Some(packet) = usize::try_from(middle.div_euclid(trace.frame))
        .ok()
        .and_then(|i| trace.packets.get(i).map(|packet| (i, packet)))
    else {
        return;
    };
    // When the first sample of the packet was played, or would have been.
    let at = now + pull - media + packet.0 as i64 * trace.frame;
    match packet.1.arrived {
        Some(arrived) if arrived <= at + pull => {
            tally.emit(now, pull, (at - arrived).max(0), at - packet.1.sent);
        }
        // Lost, or late: this is concealment.
        _ => {}
    }
}

/// The time of a sample, rounded so that it is the same sample again when counted in samples.
fn instant(start: Instant, sample: i64) -> Instant {
    start + Duration::from_nanos((sample as u64 * 1_000_000).div_ceil(48))
}

#[cfg(test)]
mod tests {
    use voxhall_testkit::signal;

    use super::super::trace::{Profile, SECOND};
    use super::*;

    #[test]
    fn what_is_counted_from_outside_is_what_happened() {
        let said = signal::speech(1, 48_000, 5.0);
        let speech = Speech::of(&said, "", "20".parse().expect("a length"), 0.0).expect("speech");
        let play = |profile| {
            let trace = Trace::new(profile, 3, 960, 20 * SECOND);
            let mut heard = 0;
            let tally = run(&trace, &speech, 0.5, 240, 100, |out| heard += out.len());
            (tally.expect("a receiver"), heard as i64, trace)
        };
        let (clean, heard, trace) = play(Profile::Clean);
        assert_eq!((clean.concealed, clean.late(&trace)), (0, 0));
        assert!(heard - clean.emitted < 3 * 960, "all but the beginning");
        // Guard and jitter at least; a pull and what the last cut left at most.
        assert!((0.5..8.0).contains(&clean.mean_delay_ms()));
        assert!((clean.mean_playout_ms() - clean.mean_delay_ms() - 20.0).abs() < 0.1);

        let (lossy, _, trace) = play(Profile::Bursty(30));
        let lost = trace.lost() as f64 / trace.packets.len() as f64;
        assert!((lossy.concealed_ratio() - lost).abs() < 0.01);
    }
}
