//! One speaker's stream: packets in, an unbroken run of samples out.
//!
//! Time is counted in samples at 48 kHz. *Media time* is the speaker's extended RTP timestamp; media time plus
//! transit is our time. The design is in `docs/adr/0003-jitter-buffer.md`.

mod pace;

use super::decoder::{FrameDecoder, packet_samples};
use super::delay::DelayEstimator;
use super::jitter::{Incoming, Inserted, PacketBuffer, Waiting};
use super::margin::Margins;
use super::stats::{Reception, ReceptionReport, SpeakerStats};
use super::stretch::Stretcher;
use crate::frame::{MAX_PAYLOAD_BYTES, SAMPLES_PER_MS};
use crate::level::Level;
use crate::libopus::{OpusError, has_inband_copy};

const MS: i64 = SAMPLES_PER_MS as i64;
/// Concealment is played in full this long, and has faded out by [`CONCEAL_END`].
const CONCEAL_FULL: i64 = 80 * MS;
const CONCEAL_END: i64 = 120 * MS;
/// Where the server forwards only the loudest, it withholds for 200 ms at least, as it sees them; so a longer gap than this is no loss.
const WITHHELD: i64 = 150 * MS;
/// So much of a loss is made up at least, for the seam between what is before and after it.
const LEAST_CONCEALED: i64 = 10 * MS;
/// After the buffer ran dry, a small surplus of delay is kept for this long.
const CALM: i64 = 1_000 * MS;
/// How much of the loudness of speech is remembered from one packet to the next.
const LOUD_MEMORY: f32 = 0.998;
/// From this share of lost packets on, packets wait for the redundancy in the next one, until it is below that.
const LOSS_FOR_REDUNDANCY: f32 = 0.01;
const LOSS_FORGIVEN: f32 = 0.002;
/// Weight of one packet in the share of lost packets.
const LOSS_SHARE: f32 = 0.005;
/// Lost packets in a row that are waited for at most.
const MOST_RESTORED: i64 = 12;
/// How finely it is chosen with what is restored before a packet that waits to be played.
const STEP: i64 = 120;
/// Of silence that should have been speech at least so much is counted as concealed.
const LONGEST_OUTAGE: i64 = 10_000 * MS;
/// Length of the fade at the end of a talkspurt, samples.
const FADE: usize = 5 * SAMPLES_PER_MS;

pub(crate) struct Speaker {
    pub(crate) ssrc: u32,
    /// Our time when the last packet came.
    pub(crate) heard_at: i64,
    packets: PacketBuffer,
    delay: DelayEstimator,
    margins: Margins,
    decoder: FrameDecoder,
    sound: Stretcher,
    phase: Phase,
    /// Media time after the last sample in `sound`, concealment left aside.
    end: i64,
    /// Samples of concealment in or played from `sound` since `end`.
    owed: i64,
    /// Concealment played of which it isn't known yet whether it covered a loss or a silence.
    unresolved: i64,
    /// The part of `unresolved` that was silence, after concealment had faded out.
    outage: i64,
    /// Of the samples counted as concealed, at most so many aren't played yet.
    unplayed_concealed: u64,
    /// Samples in a row made up so far.
    conceal_run: i64,
    /// Length of the last packet.
    frame: i64,
    /// Samples to play until the next splice.
    cooldown: i64,
    /// Samples played since the last one.
    since_cut: i64,
    /// Mean square of the loudest speech of late.
    loud: f32,
    /// Our time minus media time of what was last played.
    emission: i64,
    /// The talkspurt began with what was said before the detector was sure, and the delay of that isn't won back yet.
    catching_up: bool,
    /// Samples of a pause that were played in a row, as far as it matters.
    quiet_run: usize,
    /// Our time until which a small surplus of delay is kept.
    calm_until: i64,
    loss: f32,
    /// Packets are held back until the next one, which carries their copy, is there too.
    awaits_redundancy: bool,
    reception: Reception,
    withholds: bool,
    stats: SpeakerStats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is being said.
    Idle,
    Talking,
    /// The next packet wasn't there when it was needed.
    Dry,
}

/// What a pull brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    Mono,
    Stereo,
}

impl Speaker {
    pub(crate) fn new(stability: f32) -> Result<Self, OpusError> {
        Ok(Self {
            ssrc: 0,
            heard_at: i64::MIN,
            packets: PacketBuffer::new(),
            delay: DelayEstimator::new(stability),
            margins: Margins::new(),
            decoder: FrameDecoder::new()?,
            sound: Stretcher::new(),
            phase: Phase::Idle,
            end: 0,
            owed: 0,
            unresolved: 0,
            outage: 0,
            unplayed_concealed: 0,
            conceal_run: 0,
            frame: 480,
            cooldown: 0,
            since_cut: 0,
            loud: 0.0,
            emission: 0,
            catching_up: false,
            quiet_run: 0,
            calm_until: i64::MIN,
            loss: 0.0,
            awaits_redundancy: false,
            reception: Reception::default(),
            withholds: false,
            stats: SpeakerStats::default(),
        })
    }

    /// Makes ready for another speaker, without allocating.
    pub(crate) fn reset(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
        self.heard_at = i64::MIN;
        self.packets.reset();
        self.delay.reset();
        self.margins.reset();
        self.decoder.reset();
        self.stop();
        self.reception = Reception::default();
        self.stats = SpeakerStats::default();
        self.loss = 0.0;
        self.awaits_redundancy = false;
        self.calm_until = i64::MIN;
    }

    /// Whether what is missing is to be made up cheaply; see [`take_neural`](Self::take_neural).
    pub(crate) fn be_thrifty(&mut self, thrifty: bool) {
        self.decoder.be_thrifty(thrifty);
    }

    /// How often the neural network was used for it since the last call.
    pub(crate) fn take_neural(&mut self) -> u32 {
        self.decoder.take_neural()
    }

    /// Whether the server forwards only the loudest.
    pub(crate) fn set_withholds(&mut self, withholds: bool) {
        self.withholds = withholds;
    }

    pub(crate) fn set_stability(&mut self, stability: f32) {
        self.delay.set_stability(stability);
    }

    /// Takes a packet that arrived at `now`.
    pub(crate) fn packet(
        &mut self,
        now: i64,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) {
        let samples = packet_samples(payload).filter(|_| payload.len() <= MAX_PAYLOAD_BYTES);
        let Some(samples) = samples else {
            self.stats.invalid += 1;
            return;
        };
        self.heard_at = now;
        match self.packets.insert(&Incoming {
            arrived: now,
            sequence,
            timestamp,
            marker,
            samples,
            payload,
        }) {
            Inserted::Stored {
                sequence,
                timestamp,
                begins,
                restarted,
            } => {
                if restarted {
                    self.stop();
                    self.delay.reset();
                    self.margins.reset();
                    self.reception.restart(sequence);
                }
                self.stats.packets += 1;
                if begins {
                    self.reception.forget_transit();
                }
                let gap = self.reception.gap_before(sequence);
                self.reception.count_withheld(self.withheld(gap));
                self.reception.count(sequence, now - timestamp);
                let worth = self.worth(sequence, samples, payload);
                self.delay
                    .observe(now, timestamp, i64::from(samples), worth, begins);
                self.margins.packet(now, timestamp, i64::from(samples));
                self.weigh_redundancy(now, sequence, timestamp, i64::from(samples), payload);
            }
            Inserted::Late {
                sequence,
                timestamp,
            } => {
                self.stats.late += 1;
                self.reception.count(sequence, now - timestamp);
                let worth = self.worth(sequence, samples, payload);
                self.delay
                    .observe(now, timestamp, i64::from(samples), worth, false);
            }
            Inserted::Duplicate => {
                self.stats.duplicates += 1;
                self.reception.count_duplicate();
            }
            Inserted::Stray => self.stats.invalid += 1,
        }
        self.stats.skipped += self.packets.take_skipped();
    }

    /// Samples that would be missed without a packet: half of them if the next one has come and carries its copy, since
    /// what is restored is worth less than what was said.
    fn worth(&self, sequence: i64, samples: u32, payload: &[u8]) -> i64 {
        let restored = has_inband_copy(payload) && self.packets.came(sequence + 1);
        i64::from(samples) / if restored { 2 } else { 1 }
    }

    /// What is missing before a packet that tells of it is restored if it is waited for: then it is like a packet
    /// that came late.
    fn weigh_redundancy(
        &mut self,
        now: i64,
        sequence: i64,
        timestamp: i64,
        samples: i64,
        payload: &[u8],
    ) {
        let missing = self.packets.missing_before(sequence).min(MOST_RESTORED);
        if missing == 0 || payload.len() <= 2 {
            return;
        }
        let reach = self.decoder.dred_reach(sequence, payload);
        for back in 1..=missing {
            if back * samples <= reach {
                self.delay
                    .observe_restorable(now - timestamp + back * samples, samples);
            }
        }
    }

    /// Fills `out` with what is heard at `now`; silence where there is nothing. `side`, as long, is only written to while the
    /// speaker has two channels.
    pub(crate) fn pull(&mut self, now: i64, out: &mut [f32], side: &mut [f32]) -> Heard {
        self.cooldown -= out.len() as i64;
        self.since_cut += out.len() as i64;
        self.skip_backlog(now);
        // A long pull may come in pieces.
        let before = self.margins.pull(now, out.len());
        if self.phase == Phase::Talking && before == 0 {
            self.margins.record(self.position());
            self.adapt(now, out.len());
        }
        let mut filled = 0;
        let mut sounded = 0;
        let mut wide = false;
        while filled < out.len() {
            if self.phase == Phase::Idle && self.sound.len() == 0 {
                let Some(from) = self.begin(now, before, filled..out.len()) else {
                    break;
                };
                out[filled..from].fill(0.0);
                filled = from;
            }
            self.refill(now, out.len() - filled);
            if self.phase != Phase::Idle {
                self.emission = now + filled as i64 - self.position();
            }
            let taken = self.sound.take(&mut out[filled..], &mut side[filled..]);
            wide |= taken > 0 && self.sound.is_wide();
            filled += taken;
            sounded += taken;
        }
        out[filled..].fill(0.0);
        self.stats.total_samples += sounded as u64;
        self.unplayed_concealed = self.unplayed_concealed.min(self.sound.len() as u64);
        if self.unresolved > 0 {
            let silent = (out.len() - filled) as i64;
            self.unresolved += silent;
            self.outage += silent;
        }
        match sounded {
            0 => Heard::Nothing,
            _ if wide => Heard::Stereo,
            _ => Heard::Mono,
        }
    }

    /// Nothing is played or waits to be, and it doesn't matter for how long.
    pub(crate) fn rests(&self, now: i64) -> bool {
        let counted = self.unresolved == 0 || now - self.heard_at >= LONGEST_OUTAGE;
        self.phase == Phase::Idle && self.sound.len() == 0 && self.packets.is_empty() && counted
    }

    pub(crate) fn stats(&self) -> SpeakerStats {
        let ms = |samples: i64| samples as f32 / MS as f32;
        let fastest = self.delay.fastest();
        SpeakerStats {
            concealed_samples: self.stats.concealed_samples - self.unplayed_concealed,
            lost: self.reception.missing().max(0) as u64 + self.stats.late,
            // Media time counts from the first timestamp on, so its lower half is what was on the wire.
            playout_timestamp: self.position() as u32,
            target_delay_ms: ms(self.target() - fastest),
            delay_ms: if self.stats.total_samples > 0 {
                ms(self.emission - fastest)
            } else {
                0.0
            },
            jitter_ms: self.reception.jitter_samples() / MS as f32,
            frame_ms: ms(self.frame),
            stereo: self.sound.is_wide(),
            ..self.stats
        }
    }

    pub(crate) fn report(&mut self) -> ReceptionReport {
        self.reception.report(self.ssrc)
    }

    /// Media time of the sample that is played next.
    fn position(&self) -> i64 {
        self.end + self.owed - self.sound.len() as i64
    }

    /// Transit by which a packet should have come when it is played.
    fn target(&self) -> i64 {
        let target = self.delay.target();
        if self.awaits_redundancy {
            target.max(self.delay.fastest() + self.frame + MS)
        } else {
            target
        }
    }

    /// Sees to it that `wanted` samples are ready, unless silence comes first.
    fn refill(&mut self, now: i64, wanted: usize) {
        while self.phase != Phase::Idle {
            let first = self.packets.first();
            // A packet that has come after all replaces what was made up ahead.
            let came = self.phase == Phase::Dry
                && first.is_some_and(|packet| packet.sequence == self.packets.next());
            if self.sound.len() >= wanted && !came {
                return;
            }
            match first {
                Some(packet) => self.play(now, &packet),
                None => self.run_dry(),
            }
        }
    }

    /// Begins with the earliest packet if it will have been held back long enough at one of `places`, counted in samples
    /// from `before` samples after the start of the pull. Returns at which.
    fn begin(
        &mut self,
        now: i64,
        before: usize,
        mut places: std::ops::Range<usize>,
    ) -> Option<usize> {
        let packet = self.packets.first()?;
        let target = self.target();
        // What comes in a burst may still be on its way in a mixed-up order.
        let burst = packet.arrived - packet.timestamp > target;
        if burst && now - packet.arrived < MS {
            return None;
        }
        // Later packets may be needed at an earlier place in their pull than this one. Frames and pulls meet in
        // a pattern whose grain is their common divisor.
        let grain = self.margins.grain(i64::from(packet.samples)) as usize;
        let first = places.start;
        let fits = |margins: &mut Margins, place: usize, restored: i64| {
            let position = packet.timestamp - restored - (before + place) as i64;
            margins.fits(now - position, position, target)
        };
        let (from, restored) = places
            .find(|&place| {
                (place == first || place.is_multiple_of(grain)) && fits(&mut self.margins, place, 0)
            })
            .map(|place| (place, 0))
            .or_else(|| {
                // While it has to wait, what it tells of the time before it can be heard.
                let told = self.told_before(&packet);
                let restored = (STEP..=told).step_by(STEP as usize);
                let restored = { restored }.find(|&some| fits(&mut self.margins, first, some))?;
                Some((first, restored))
            })?;

        let missing = packet.sequence - self.packets.next();
        if self.unresolved > 0 {
            // What was silent in between should have been speech, as far as packets are missing or the path stood still.
            let unbroken = packet.timestamp - self.end <= missing * self.frame;
            let concealed = if unbroken {
                self.unresolved
            } else {
                self.unresolved.min(missing * self.frame)
            };
            let sounded = self.unresolved - self.outage;
            self.stats.concealed_samples += concealed as u64;
            self.stats.total_samples += (concealed - sounded).max(0) as u64;
        }
        if packet.marker {
            self.decoder.reset();
        }
        if restored == 0 {
            self.note_loss(missing);
            self.packets.pass(packet.sequence - 1);
        }
        self.margins.clear();
        self.unresolved = 0;
        self.outage = 0;
        self.owed = 0;
        self.conceal_run = 0;
        self.cooldown = 0;
        self.since_cut = 0;
        self.end = packet.timestamp - restored;
        self.catching_up = burst;
        self.phase = Phase::Talking;
        Some(from)
    }

    /// Goes on with `packet`, the earliest there is: plays it, or makes up what is missing before it, or pauses.
    fn play(&mut self, now: i64, packet: &Waiting) {
        let missing = packet.sequence - self.packets.next();
        let gap = packet.timestamp - self.end;
        if missing == 0 && gap > 0 {
            self.rest();
            return;
        }
        if missing == 0 {
            if self.phase == Phase::Dry {
                self.resume(now);
            }
            self.decode(packet);
            return;
        }

        let mut lost = (missing * self.frame).min(gap);
        if lost > CONCEAL_END && lost > CONCEAL_END + self.told_before(packet) {
            lost = CONCEAL_END;
        }
        if self.owed < lost && !self.may_skip(now, lost) {
            self.phase = Phase::Dry;
            if gap > lost || !self.recover(packet, lost) {
                self.conceal(lost - self.owed);
            }
            return;
        }
        if gap > missing * self.frame || packet.marker {
            // The speaker paused after what is missing.
            self.count_concealed(self.unresolved.min(missing * self.frame) as u64);
            self.rest();
        } else if gap > lost {
            // More is missing than can be made up. It may still come before the next one is due.
            self.phase = Phase::Idle;
        } else {
            // Everything missing is covered; concealment beyond it is delay from now on, and what wasn't covered is
            // delay won back.
            self.note_loss(missing);
            self.packets.pass(packet.sequence - 1);
            self.end = packet.timestamp;
            self.owed -= lost;
            self.resume(now);
        }
    }

    /// Samples before `packet` that were lost, and that its deep redundancy tells of.
    fn told_before(&mut self, packet: &Waiting) -> i64 {
        let missing = packet.sequence - self.packets.next();
        let lost = (packet.timestamp - self.end).min(missing * self.frame);
        match self.packets.payload(packet) {
            Some(payload) if lost > 0 && !packet.marker => {
                lost.min(self.decoder.dred_reach(packet.sequence, payload))
            }
            _ => 0,
        }
    }

    /// Whether the rest of a loss can be left out, because packets wait longer than they need to.
    fn may_skip(&self, now: i64, lost: i64) -> bool {
        let needed = self.target().max(self.delay.newest()) + self.frame;
        let spare = now - self.position() - needed;
        self.owed >= LEAST_CONCEALED && spare >= lost - self.owed
    }

    /// The packet came after all, `owed` samples late: it is played, and the delay has grown by as much.
    fn resume(&mut self, now: i64) {
        let unplayed = self.owed.clamp(0, self.sound.len() as i64);
        self.drop_concealment(unplayed);
        if self.owed > 0 {
            self.calm_until = now + CALM;
        }
        self.count_concealed(self.unresolved as u64);
        self.unresolved = 0;
        self.owed = 0;
        self.margins.clear();
        self.phase = Phase::Talking;
    }

    fn decode(&mut self, packet: &Waiting) {
        let Some(payload) = self.packets.payload(packet) else {
            self.packets.pass(packet.sequence);
            return;
        };
        // Opus' DTX frame ends a talkspurt. It has no sound of its own.
        if payload.len() <= 2 {
            self.packets.pass(packet.sequence);
            self.end = packet.timestamp + i64::from(packet.samples);
            self.rest();
            return;
        }
        if self.loss < LOSS_FORGIVEN {
            self.awaits_redundancy = false;
        } else if self.loss > LOSS_FOR_REDUNDANCY && has_inband_copy(payload) {
            self.awaits_redundancy = true;
        }
        let seam = self.decoder.prepare(payload);
        if seam > 0 {
            self.sound.append(self.decoder.sound(0..seam));
            self.sound.rewind(seam);
        }
        let decoded = self.decoder.decode(payload);
        let samples = decoded.unwrap_or_else(|| self.decoder.conceal(packet.samples as usize));
        let rms = Level::of(self.decoder.sound(0..samples).mid).rms;
        self.loud = (self.loud * LOUD_MEMORY).max(rms * rms);
        self.sound.append(self.decoder.sound(0..samples));
        if decoded.is_none() {
            self.stats.invalid += 1;
            self.count_concealed(samples as u64);
        }
        self.packets.pass(packet.sequence);
        self.note_arrival();
        self.frame = i64::from(packet.samples);
        self.end = packet.timestamp + samples as i64;
        self.conceal_run = 0;
    }

    /// Uses the copy of the last missing frame that `packet` carries. Returns false when there is none.
    fn recover(&mut self, packet: &Waiting, lost: i64) -> bool {
        let frame = i64::from(packet.samples);
        let rest = lost - self.owed;
        let Some(payload) = self.packets.payload(packet) else {
            return false;
        };
        if rest > frame || rest < frame / 4 || !has_inband_copy(payload) {
            return self.recover_deep(packet, rest);
        }
        let Some(samples) = self.decoder.recover(payload, frame as usize) else {
            return false;
        };
        // Its beginning may have been made up already.
        let from = samples.saturating_sub(rest as usize);
        self.sound.append(self.decoder.sound(from..samples));
        self.owed += (samples - from) as i64;
        self.stats.fec_recovered += 1;
        self.conceal_run = 0;
        true
    }

    /// Restores the next 10 ms of the `rest` samples that are missing before `packet` from what that tells of them.
    fn recover_deep(&mut self, packet: &Waiting, rest: i64) -> bool {
        let Some(payload) = self.packets.payload(packet) else {
            return false;
        };
        let restored = self.decoder.recover_deep(packet.sequence, payload, rest);
        let Some(samples) = restored else {
            return false;
        };
        let samples = samples.min(rest as usize);
        self.sound.append(self.decoder.sound(0..samples));
        self.owed += samples as i64;
        self.stats.dred_recovered_samples += samples as u64;
        self.conceal_run = 0;
        true
    }

    /// Nothing is there to play.
    fn run_dry(&mut self) {
        self.phase = Phase::Dry;
        if self.conceal_run >= CONCEAL_END {
            self.phase = Phase::Idle;
            return;
        }
        self.conceal(i64::MAX);
    }

    /// Makes up at most `longest` samples.
    fn conceal(&mut self, longest: i64) {
        let samples = self.decoder.conceal(self.frame as usize);
        let samples = (samples as i64).min(longest) as usize;
        let run = &mut self.conceal_run;
        self.decoder.fade(samples, || {
            let fade = (CONCEAL_END - *run) as f32 / (CONCEAL_END - CONCEAL_FULL) as f32;
            *run += 1;
            fade.clamp(0.0, 1.0)
        });
        self.sound.append(self.decoder.sound(0..samples));
        self.owed += samples as i64;
        self.unresolved += samples as i64;
    }

    fn drop_concealment(&mut self, samples: i64) {
        if samples > 0 {
            self.sound.rewind(samples as usize);
            self.owed -= samples;
            self.unresolved = (self.unresolved - samples).max(0);
        }
    }

    /// Counts samples that were put into `sound` as concealed.
    fn count_concealed(&mut self, samples: u64) {
        self.stats.concealed_samples += samples;
        self.unplayed_concealed += samples;
        self.unplayed_concealed = self.unplayed_concealed.min(self.sound.len() as u64);
    }

    /// `samples` that weren't played never will be: those of them that were made up don't count.
    fn uncount_concealed(&mut self, samples: u64) {
        let concealed = self.unplayed_concealed.min(samples);
        self.unplayed_concealed -= concealed;
        self.stats.concealed_samples -= concealed;
    }

    /// The speaker pauses: fades out what is left, then is silent until the next packet is due.
    fn rest(&mut self) {
        if self.phase == Phase::Talking {
            // A few more milliseconds of what was heard last, so that nothing ends in a click.
            let samples = self.decoder.conceal(FADE).min(FADE);
            self.sound.append(self.decoder.sound(0..samples));
        }
        self.sound.fade_out(FADE);
        self.owed = 0;
        self.unresolved = 0;
        self.outage = 0;
        self.conceal_run = 0;
        self.phase = Phase::Idle;
    }

    /// Forgets what is being played.
    fn stop(&mut self) {
        self.uncount_concealed(self.sound.len() as u64);
        self.sound.clear();
        self.decoder.reset();
        self.margins.clear();
        self.phase = Phase::Idle;
        self.end = 0;
        self.owed = 0;
        self.unresolved = 0;
        self.outage = 0;
        self.conceal_run = 0;
        self.cooldown = 0;
        self.since_cut = 0;
        self.loud = 0.0;
        self.frame = 480;
    }

    fn note_arrival(&mut self) {
        self.loss *= 1.0 - LOSS_SHARE;
    }

    /// How many packets of a gap the server didn't forward, which is no loss.
    fn withheld(&self, missing: i64) -> i64 {
        if self.withholds && missing * self.frame >= WITHHELD {
            missing
        } else {
            0
        }
    }

    fn note_loss(&mut self, missing: i64) {
        let missing = missing - self.withheld(missing);
        self.reception.count_missed(missing, self.frame);
        for _ in 0..missing.min(100) {
            self.loss += LOSS_SHARE * (1.0 - self.loss);
        }
    }
}
