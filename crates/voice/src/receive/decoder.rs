//! Opus decoding: frames, redundancy, concealment.

use std::ops::Range;

use super::stretch::{SEAM, Sound};
use crate::frame::{Channels, MAX_FRAME_SAMPLES, SAMPLE_RATE_HZ};
use crate::libopus::{Decoder, Dred, OpusError, channels_of};

/// Samples in `payload`, if it is an Opus packet of a length that is played here.
pub(crate) fn packet_samples(payload: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(payload, SAMPLE_RATE_HZ).ok()?;
    (samples > 0 && samples <= MAX_FRAME_SAMPLES).then_some(samples as u32)
}

/// Complexity of decoding with which a neural network conceals what is lost.
const DEEP_CONCEALMENT: u8 = 5;
/// And one without.
const PLAIN_CONCEALMENT: u8 = 0;
/// Deep redundancy is looked for so far back at most, samples (400 ms).
const MOST_DRED: i32 = 19_200;

/// After so many packets of one channel in a row, a stream that had two is decoded to one again. Opus' encoder changes
/// between them by itself when bits are few.
const MONO_AGAIN: u32 = 200;

pub(crate) struct FrameDecoder {
    decoder: Decoder,
    dred: Dred,
    /// The packet that `dred` was read from last, and which samples before it that tells of.
    dred_read: Option<(i64, Range<i32>)>,
    /// Last packet was pure CELT, which can be concealed in short steps.
    celt: bool,
    /// What is made up next must not cost much.
    thrifty: bool,
    /// How often the neural network made something up or restored it, up to 10 ms each time.
    neural: u32,
    /// Nothing was decoded since the last reset, so that the number of channels may change unheard.
    fresh: bool,
    mono_packets: u32,
    /// Half the sum of left and right, at first; what libopus writes may need all of it.
    pcm: Box<[f32; 2 * MAX_FRAME_SAMPLES]>,
    /// Half their difference, when two channels were decoded.
    side: Box<[f32; MAX_FRAME_SAMPLES]>,
    /// What both were decoded to, whatever the decoder makes next.
    made: Channels,
}

impl FrameDecoder {
    pub(crate) fn new() -> Result<Self, OpusError> {
        let mut decoder = Decoder::new()?;
        decoder.restart(Channels::Mono)?;
        decoder.set_complexity(DEEP_CONCEALMENT)?;
        Ok(Self {
            decoder,
            dred: Dred::new()?,
            dred_read: None,
            celt: true,
            thrifty: false,
            neural: 0,
            fresh: true,
            mono_packets: 0,
            pcm: Box::new([0.0; 2 * MAX_FRAME_SAMPLES]),
            side: Box::new([0.0; MAX_FRAME_SAMPLES]),
            made: Channels::Mono,
        })
    }

    pub(crate) fn reset(&mut self) {
        // Only fails on a broken pointer; stale state would be heard, not fatal.
        let _ = self.decoder.reset();
        self.dred_read = None;
        self.fresh = true;
    }

    /// Conceals with or without neural network from now on.
    pub(crate) fn be_thrifty(&mut self, thrifty: bool) {
        if self.thrifty != thrifty {
            self.thrifty = thrifty;
            self.choose_concealment();
        }
    }

    /// The neural network makes up one channel of speech; in stereo it would put both sides in the middle.
    fn conceals_deep(&self) -> bool {
        !self.thrifty && self.decoder.channels() == Channels::Mono
    }

    fn choose_concealment(&mut self) {
        let complexity = if self.conceals_deep() {
            DEEP_CONCEALMENT
        } else {
            PLAIN_CONCEALMENT
        };
        // Only fails on a broken pointer; then it is made up as before.
        let _ = self.decoder.set_complexity(complexity);
    }

    /// How often the neural network was used since the last call.
    pub(crate) fn take_neural(&mut self) -> u32 {
        std::mem::take(&mut self.neural)
    }

    /// Samples made by the last call, or a part of them.
    pub(crate) fn sound(&self, part: Range<usize>) -> Sound<'_> {
        Sound {
            mid: &self.pcm[part.clone()],
            side: (self.made == Channels::Stereo).then(|| &self.side[part]),
        }
    }

    /// Weakens the first `samples` made by the last call, by a gain for each.
    pub(crate) fn fade(&mut self, samples: usize, mut gain: impl FnMut() -> f32) {
        for (mid, side) in self.pcm.iter_mut().zip(&mut self.side[..samples]) {
            let gain = gain();
            *mid *= gain;
            *side *= gain;
        }
    }

    /// Makes ready for the number of channels of `payload`. When that changes within a talkspurt, returns how many samples
    /// were made that go on as before, for what comes next to fade in over.
    pub(crate) fn prepare(&mut self, payload: &[u8]) -> usize {
        let (now, wanted) = (self.decoder.channels(), channels_of(payload));
        self.mono_packets = match wanted {
            Channels::Mono => self.mono_packets.saturating_add(1),
            Channels::Stereo => 0,
        };
        let fresh = std::mem::take(&mut self.fresh);
        let change = match (now, wanted) {
            (Channels::Mono, Channels::Stereo) => true,
            (Channels::Stereo, Channels::Mono) => fresh || self.mono_packets > MONO_AGAIN,
            _ => false,
        };
        if !change {
            return 0;
        }
        let seam = if fresh {
            0
        } else {
            self.conceal(SEAM).min(SEAM)
        };
        // Only fails on a broken pointer; then all goes on with the channels there are.
        let _ = self.decoder.restart(wanted);
        self.choose_concealment();
        seam
    }

    /// Decodes a packet. Returns how many samples, or nothing when Opus refuses it.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Option<usize> {
        self.celt = payload.first()? >> 3 >= 16;
        let room = self.room(MAX_FRAME_SAMPLES);
        let decoded = self.decoder.decode(payload, &mut self.pcm[..room], false);
        self.checked(decoded)
    }

    /// Restores the frame before `payload` from its redundancy.
    pub(crate) fn recover(&mut self, payload: &[u8], samples: usize) -> Option<usize> {
        let room = self.room(samples.min(MAX_FRAME_SAMPLES));
        let decoded = self.decoder.decode(payload, &mut self.pcm[..room], true);
        self.checked(decoded)
    }

    /// How many samples before packet `sequence` its deep redundancy reaches back.
    pub(crate) fn dred_reach(&mut self, sequence: i64, payload: &[u8]) -> i64 {
        self.read_dred(sequence, payload)
            .map_or(0, |reach| i64::from(reach.end))
    }

    /// Restores about 10 ms from what the packet `sequence` tells of the time `back` samples before it.
    pub(crate) fn recover_deep(
        &mut self,
        sequence: i64,
        payload: &[u8],
        back: i64,
    ) -> Option<usize> {
        let reach = self.read_dred(sequence, payload)?;
        let back = i32::try_from(back)
            .ok()
            .filter(|back| reach.contains(back) || *back == reach.end)?;
        let step = if self.celt {
            480.min(back as usize / 120 * 120)
        } else {
            480
        };
        if step == 0 {
            return None;
        }
        self.neural += 1;
        let room = self.room(step);
        let decoded = self
            .decoder
            .decode_dred(&self.dred, back, &mut self.pcm[..room]);
        self.checked(decoded)
    }

    fn read_dred(&mut self, sequence: i64, payload: &[u8]) -> Option<Range<i32>> {
        if let Some((read, reach)) = &self.dred_read
            && *read == sequence
        {
            return (!reach.is_empty()).then(|| reach.clone());
        }
        let reach = self.dred.read(payload, MOST_DRED);
        self.dred_read = Some((sequence, reach.clone().unwrap_or(0..0)));
        reach
    }

    /// Makes up what comes next, about 10 ms of it. Returns how many samples.
    pub(crate) fn conceal(&mut self, frame: usize) -> usize {
        // Opus fades by steps, so each should be long; SILK can't make less than 10 ms.
        let step = if self.celt {
            frame.clamp(120, 480)
        } else {
            480
        };
        self.neural += u32::from(self.conceals_deep());
        let room = self.room(step);
        let decoded = self.decoder.conceal(&mut self.pcm[..room]);
        if let Some(samples) = self.checked(decoded) {
            return samples;
        }
        self.made = self.decoder.channels();
        self.pcm[..step].fill(0.0);
        self.side[..step].fill(0.0);
        step
    }

    /// Room in `pcm` for so many samples of each channel.
    fn room(&self, samples: usize) -> usize {
        samples * self.decoder.channels().count()
    }

    fn checked(&mut self, decoded: Result<usize, OpusError>) -> Option<usize> {
        let samples = decoded.ok().filter(|&samples| samples > 0)?;
        // A hostile packet may decode to anything; it must not poison the mix.
        let sane = |sample: f32| {
            if sample.is_finite() {
                sample.clamp(-2.0, 2.0)
            } else {
                0.0
            }
        };
        self.made = self.decoder.channels();
        match self.made {
            Channels::Mono => {
                for sample in &mut self.pcm[..samples] {
                    *sample = sane(*sample);
                }
            }
            Channels::Stereo => {
                for i in 0..samples {
                    let (left, right) = (sane(self.pcm[2 * i]), sane(self.pcm[2 * i + 1]));
                    self.pcm[i] = (left + right) * 0.5;
                    self.side[i] = (left - right) * 0.5;
                }
            }
        }
        Some(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 frames of 10 ms, of a tone on the left.
    fn packets(channels: Channels) -> Vec<Vec<u8>> {
        let channels = match channels {
            Channels::Mono => opus::Channels::Mono,
            Channels::Stereo => opus::Channels::Stereo,
        };
        let mut encoder =
            opus::Encoder::new(SAMPLE_RATE_HZ, channels, opus::Application::LowDelay).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(128_000)).unwrap();
        let frame: Vec<f32> = (0..480)
            .flat_map(|i| {
                let sample = (i as f32 / 480.0 * 4.0 * std::f32::consts::TAU).sin() * 0.3;
                [sample, 0.0].into_iter().take(channels as usize)
            })
            .collect();
        (0..100)
            .map(|_| encoder.encode_vec_float(&frame, 1_275).unwrap())
            .collect()
    }

    #[test]
    fn the_seam_between_mono_and_stereo_has_the_channels_of_what_was_before() {
        let (mono, stereo) = (packets(Channels::Mono), packets(Channels::Stereo));
        let mut decoder = FrameDecoder::new().unwrap();
        let mut play = |payload: &[u8]| {
            let seam = decoder.prepare(payload);
            let side = decoder.sound(0..seam).side.map(<[f32]>::to_vec);
            decoder.decode(payload).unwrap();
            (seam, side)
        };
        for payload in &mono {
            play(payload);
        }
        let (seam, side) = play(&stereo[0]);
        assert!(seam > 0 && side.is_none(), "it was mono");
        for payload in &stereo[1..] {
            play(payload);
        }
        let (seam, side) = mono
            .iter()
            .cycle()
            .take(MONO_AGAIN as usize + 2)
            .map(|payload| play(payload))
            .find(|(seam, _)| *seam > 0)
            .expect("mono again");
        assert_eq!(side.map(|side| side.len()), Some(seam));
    }

    #[test]
    fn packet_lengths_come_from_the_first_byte() {
        assert_eq!(packet_samples(&[]), None);
        // CELT fullband 2.5, 5, 10, 20 ms.
        for (config, samples) in [(28, 120), (29, 240), (30, 480), (31, 960)] {
            assert_eq!(packet_samples(&[config << 3, 0]), Some(samples));
        }
        // Three frames of 60 ms are legal Opus, but longer than what is played here.
        assert_eq!(packet_samples(&[11 << 3 | 3, 3, 0, 0]), None);
    }
}
