//! From the network to the loudspeaker.

mod decoder;
mod delay;
mod jitter;
mod loudness;
mod margin;
mod mixer;
mod speaker;
mod stalls;
mod stats;
mod stretch;

use std::time::{Duration, Instant};

pub use loudness::Loudness;
pub use stats::{ReceptionReport, SpeakerStats};

use crate::frame::{SAMPLES_PER_MS, Stereo};
use crate::level::Level;
use crate::libopus::OpusError;
use loudness::Leveller;
use mixer::{Gain, Limiter};
use speaker::{Heard, Speaker};
use stats::samples_in;

/// Samples that are mixed at once; longer pulls are cut into such pieces (20 ms).
const CHUNK: usize = 960;
/// Most speakers that can be asked for.
pub const MAX_SPEAKERS: usize = 64;
/// Concealments by neural network that are made in a pull, for every 10 ms of it or less; beyond that Opus' plain one has
/// to do, since each takes up to a millisecond and the device doesn't wait.
const NEURAL_PER_PULL: usize = 2;
/// Speakers whose volume is remembered; the oldest setting makes room.
const MAX_SETTINGS: usize = 1_024;
/// Loudest setting of one speaker.
pub const MAX_GAIN: f32 = 2.0;
/// A ring lights up from this level on, dBFS...
const SPEAKING_DBFS: f32 = -50.0;
/// ...and stays lit this long after the last such sound, samples.
const SPEAKING_HOLD: i64 = 250 * SAMPLES_PER_MS as i64;

/// How a [`VoiceReceiver`] starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReceiverConfig {
    /// Speakers that can be heard at once, 1..=[`MAX_SPEAKERS`]. When another comes, the one not heard for the
    /// longest time is dropped.
    pub max_speakers: usize,
    /// 0: lowest delay, now and then a gap on a bad path. 1: fewer gaps, more delay.
    pub stability: f32,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            max_speakers: 32,
            stability: 0.5,
        }
    }
}

/// Opus could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("an Opus decoder could not be set up: {0}; the program lacks memory")]
pub struct ReceiverError(#[from] OpusError);

/// Who speaks, for the rings around names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeakerState {
    pub ssrc: u32,
    pub speaking: bool,
    /// Loudness now, before the listener's own volume.
    pub level: Level,
    pub gain: f32,
    pub muted: bool,
    /// By how much [levelling](VoiceReceiver::set_levelling) amplifies them, dB.
    pub levelled_db: f32,
}

/// The receive half: packets of all speakers in, one mix out. Allocates nothing after construction, not even for
/// a new speaker.
pub struct VoiceReceiver {
    epoch: Option<Instant>,
    now: i64,
    seats: Vec<Seat>,
    settings: Vec<(u32, Setting)>,
    output: Gain,
    output_level: f32,
    deafened: bool,
    levelling: bool,
    limiter: Limiter,
    chunk: MidSide,
    mix: MidSide,
    level: Level,
}

/// Half the sum and half the difference of left and right: where these are the same, as of most voices, the side is
/// silent and costs nothing.
struct MidSide {
    mid: Box<[f32; CHUNK]>,
    side: Box<[f32; CHUNK]>,
}

impl MidSide {
    fn new() -> Self {
        Self {
            mid: Box::new([0.0; CHUNK]),
            side: Box::new([0.0; CHUNK]),
        }
    }

    fn first(&mut self, samples: usize) -> (&mut [f32], &mut [f32]) {
        (&mut self.mid[..samples], &mut self.side[..samples])
    }
}

/// Room for one speaker, made at construction.
struct Seat {
    taken: bool,
    speaker: Speaker,
    /// The listener's volume for them.
    volume: f32,
    /// That, and levelling.
    gain: Gain,
    leveller: Leveller,
    level: Level,
    loud_at: Option<i64>,
}

impl Seat {
    fn wanted_gain(&self, levelling: bool) -> f32 {
        if levelling {
            self.volume * self.leveller.gain()
        } else {
            self.volume
        }
    }

    fn is_lit(&self, now: i64) -> bool {
        self.loud_at.is_some_and(|at| now - at < SPEAKING_HOLD)
    }
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    gain: f32,
    muted: bool,
    /// As of when they last left their seat.
    loudness: Loudness,
}

impl Setting {
    const DEFAULT: Self = Self {
        gain: 1.0,
        muted: false,
        loudness: Loudness::UNKNOWN,
    };

    fn effective(self) -> f32 {
        if self.muted { 0.0 } else { self.gain }
    }
}

impl VoiceReceiver {
    /// Takes about 295 KiB for each of the speakers asked for.
    ///
    /// # Errors
    /// When libopus can't allocate.
    pub fn new(config: ReceiverConfig) -> Result<Self, ReceiverError> {
        let seats = (0..config.max_speakers.clamp(1, MAX_SPEAKERS))
            .map(|_| {
                Ok(Seat {
                    taken: false,
                    speaker: Speaker::new(config.stability)?,
                    volume: 1.0,
                    gain: Gain::new(1.0),
                    leveller: Leveller::new(Loudness::UNKNOWN),
                    level: Level::default(),
                    loud_at: None,
                })
            })
            .collect::<Result<_, OpusError>>()?;
        Ok(Self {
            epoch: None,
            now: 0,
            seats,
            settings: Vec::with_capacity(MAX_SETTINGS),
            output: Gain::new(1.0),
            output_level: 1.0,
            deafened: false,
            levelling: false,
            limiter: Limiter::new(),
            chunk: MidSide::new(),
            mix: MidSide::new(),
            level: Level::default(),
        })
    }

    /// Takes one packet as it comes from the network, at the time it came. Whatever it contains, the worst is
    /// that it isn't played.
    pub fn packet(
        &mut self,
        now: Instant,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) {
        let now = self.clock(now);
        self.seat(ssrc)
            .speaker
            .packet(now, sequence, timestamp, marker, payload);
    }

    /// Fills `out` with the mix that is to be heard from `now` on. Call it when the device wants samples,
    /// with as many as it wants; small chunks mean little delay.
    pub fn pull(&mut self, now: Instant, out: &mut [Stereo]) {
        self.pull_each(now, out, |_, _| {});
    }

    /// Like [`pull`](Self::pull), and shows every known speaker's own samples to `tap`, silence included, before
    /// the listener's volume, levelling, mute and deafen; of stereo the mean of both sides. Pulls of more than 960 samples call it
    /// several times.
    pub fn pull_each(
        &mut self,
        now: Instant,
        out: &mut [Stereo],
        mut tap: impl FnMut(u32, &[f32]),
    ) {
        let now = self.clock(now);
        let most_neural = NEURAL_PER_PULL * out.len().div_ceil(10 * SAMPLES_PER_MS);
        let mut neural = 0;
        for out in out.chunks_mut(CHUNK) {
            let (mix_mid, mix_side) = self.mix.first(out.len());
            mix_mid.fill(0.0);
            mix_side.fill(0.0);
            for seat in self.seats.iter_mut().filter(|seat| seat.taken) {
                let (mid, side) = self.chunk.first(mix_mid.len());
                side.fill(0.0);
                seat.speaker.be_thrifty(neural >= most_neural);
                let heard = seat.speaker.pull(now, mid, side);
                neural += seat.speaker.take_neural() as usize;
                tap(seat.speaker.ssrc, mid);
                let side = match heard {
                    Heard::Nothing => {
                        seat.level = Level::default();
                        seat.leveller.pause();
                        seat.gain = Gain::new(seat.wanted_gain(self.levelling));
                        continue;
                    }
                    Heard::Mono => None,
                    Heard::Stereo => Some(&*side),
                };
                seat.level = side.map_or_else(|| Level::of(mid), |side| level_of_both(mid, side));
                if seat.level.rms_dbfs() >= SPEAKING_DBFS {
                    seat.loud_at = Some(now);
                }
                if self.levelling {
                    seat.leveller.run(mid, side);
                }
                seat.gain.set(seat.wanted_gain(self.levelling));
                match side {
                    None => seat.gain.mix(mid, mix_mid),
                    Some(side) => seat.gain.mix_stereo((mid, side), (mix_mid, mix_side)),
                }
            }
            for (i, out) in out.iter_mut().enumerate() {
                *out = [mix_mid[i] + mix_side[i], mix_mid[i] - mix_side[i]];
            }
            self.output.apply(out);
            self.limiter.run(out);
        }
        self.level = Level::of(out.as_flattened());
    }

    /// Until the next packet comes pulls bring silence and change nothing, so that they may be left out.
    #[must_use]
    pub fn rests(&self) -> bool {
        let rests = |seat: &Seat| seat.speaker.rests(self.now) && !seat.is_lit(self.now);
        self.level.peak == 0.0 && self.seats.iter().all(|seat| !seat.taken || rests(seat))
    }

    /// Forgets a speaker who left, and their volume.
    pub fn remove(&mut self, ssrc: u32) {
        for seat in &mut self.seats {
            if seat.taken && seat.speaker.ssrc == ssrc {
                seat.taken = false;
            }
        }
        self.settings.retain(|&(of, _)| of != ssrc);
    }

    /// The volume of one speaker, 0..=[`MAX_GAIN`]; 1 leaves it as it is. Remembered until [`remove`](Self::remove).
    pub fn set_gain(&mut self, ssrc: u32, gain: f32) {
        let gain = sane(gain, MAX_GAIN);
        self.change(ssrc, |setting| setting.gain = gain);
    }

    /// Silences one speaker for this listener.
    pub fn set_muted(&mut self, ssrc: u32, muted: bool) {
        self.change(ssrc, |setting| setting.muted = muted);
    }

    /// Whether everybody is brought to the same loudness, before their own volume. Off at first.
    pub fn set_levelling(&mut self, on: bool) {
        self.levelling = on;
    }

    /// What is known of a speaker's loudness, to remember when they leave.
    #[must_use]
    pub fn loudness(&self, ssrc: u32) -> Loudness {
        match self.find(ssrc) {
            Some(seat) => self.seats[seat].leveller.known(),
            None => self.setting(ssrc).loudness,
        }
    }

    /// Lets somebody who comes back be levelled from their first word on.
    pub fn set_loudness(&mut self, ssrc: u32, loudness: Loudness) {
        self.change(ssrc, |setting| setting.loudness = loudness);
        if let Some(seat) = self.find(ssrc) {
            self.seats[seat].leveller = Leveller::new(loudness);
        }
    }

    /// Deafened, nothing is heard, but everything goes on, so that undeafening is immediate.
    pub fn set_deafened(&mut self, deafened: bool) {
        self.deafened = deafened;
        self.update_output();
    }

    #[must_use]
    pub fn deafened(&self) -> bool {
        self.deafened
    }

    /// The volume of the whole mix, 0..=[`MAX_GAIN`].
    pub fn set_output_level(&mut self, level: f32) {
        self.output_level = sane(level, MAX_GAIN);
        self.update_output();
    }

    /// Whether the server forwards only the loudest of a channel: then long gaps are no loss.
    pub fn set_withholds(&mut self, withholds: bool) {
        for seat in &mut self.seats {
            seat.speaker.set_withholds(withholds);
        }
    }

    /// See [`ReceiverConfig::stability`].
    pub fn set_stability(&mut self, stability: f32) {
        for seat in &mut self.seats {
            seat.speaker.set_stability(stability);
        }
    }

    /// Everybody known, in no particular order.
    pub fn speakers(&self) -> impl Iterator<Item = SpeakerState> {
        self.seats.iter().filter(|seat| seat.taken).map(|seat| {
            let ssrc = seat.speaker.ssrc;
            let setting = self.setting(ssrc);
            SpeakerState {
                ssrc,
                speaking: seat.is_lit(self.now),
                level: seat.level,
                gain: setting.gain,
                muted: setting.muted,
                levelled_db: if self.levelling {
                    seat.leveller.gain_db()
                } else {
                    0.0
                },
            }
        })
    }

    #[must_use]
    pub fn stats(&self, ssrc: u32) -> Option<SpeakerStats> {
        let seat = self.find(ssrc)?;
        Some(self.seats[seat].speaker.stats())
    }

    /// What a receiver report says about `ssrc`; starts the next interval.
    pub fn report(&mut self, ssrc: u32) -> Option<ReceptionReport> {
        let seat = self.find(ssrc)?;
        Some(self.seats[seat].speaker.report())
    }

    /// Loudness of the last mix.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Our time in samples; never goes back.
    fn clock(&mut self, now: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(now);
        let since: Duration = now.saturating_duration_since(epoch);
        self.now = self.now.max(samples_in(since));
        self.now
    }

    fn find(&self, ssrc: u32) -> Option<usize> {
        self.seats
            .iter()
            .position(|seat| seat.taken && seat.speaker.ssrc == ssrc)
    }

    /// The seat of a speaker: their own, a free one, or that of whoever wasn't heard for the longest time.
    fn seat(&mut self, ssrc: u32) -> &mut Seat {
        let known = self.find(ssrc);
        let index = known.unwrap_or_else(|| {
            (0..self.seats.len())
                .min_by_key(|&i| (self.seats[i].taken, self.seats[i].speaker.heard_at))
                .unwrap_or(0)
        });
        if known.is_some() {
            return &mut self.seats[index];
        }
        let seat = &self.seats[index];
        if seat.taken && self.levelling {
            let (leaves, loudness) = (seat.speaker.ssrc, seat.leveller.known());
            self.change(leaves, |setting| setting.loudness = loudness);
        }
        let setting = self.setting(ssrc);
        let seat = &mut self.seats[index];
        seat.taken = true;
        seat.speaker.reset(ssrc);
        seat.volume = setting.effective();
        seat.leveller = Leveller::new(setting.loudness);
        seat.gain = Gain::new(seat.wanted_gain(self.levelling));
        seat.level = Level::default();
        seat.loud_at = None;
        seat
    }

    fn setting(&self, ssrc: u32) -> Setting {
        self.settings
            .iter()
            .find(|&&(of, _)| of == ssrc)
            .map_or(Setting::DEFAULT, |&(_, setting)| setting)
    }

    fn change(&mut self, ssrc: u32, change: impl FnOnce(&mut Setting)) {
        let mut setting = self.setting(ssrc);
        change(&mut setting);
        match self.settings.iter_mut().find(|(of, _)| *of == ssrc) {
            Some((_, kept)) => *kept = setting,
            None => {
                if self.settings.len() == MAX_SETTINGS {
                    self.settings.remove(0);
                }
                self.settings.push((ssrc, setting));
            }
        }
        if let Some(seat) = self.find(ssrc) {
            self.seats[seat].volume = setting.effective();
        }
    }

    fn update_output(&mut self) {
        self.output.set(if self.deafened {
            0.0
        } else {
            self.output_level
        });
    }
}

/// Of left and right together, from half their sum and half their difference.
fn level_of_both(mid: &[f32], side: &[f32]) -> Level {
    let (mid, side) = (Level::of(mid), Level::of(side));
    Level {
        // At most so.
        peak: mid.peak + side.peak,
        rms: mid.rms.hypot(side.rms),
    }
}

fn sane(value: f32, most: f32) -> f32 {
    if value.is_finite() {
        value.clamp(0.0, most)
    } else {
        1.0
    }
}
