//! The parts of libopus that the `opus` crate doesn't reach: deep redundancy (DRED), and the decoder's complexity, on which deep concealment
//! depends. Its handles are private, so encoder and decoder are wrapped here as a whole. Why so: `docs/adr/0021-deep-redundancy.md`.
//!
//! The one module with `unsafe`. What makes it sound: every handle is made by libopus' own `create`, never null, owned by one value, and
//! freed by its `drop`; every buffer is passed with its length; nothing is shared between threads without `&mut`.
#![allow(unsafe_code, reason = "calls into C; see above")]

use std::ffi::c_int;
use std::ptr::NonNull;

use opusic_sys as ffi;

use crate::frame::{Channels, SAMPLE_RATE_HZ};

const RATE: i32 = SAMPLE_RATE_HZ as i32;
const MONO: c_int = 1;
const STEREO: c_int = 2;

/// A call into libopus failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call}: error {code} of libopus")]
pub struct OpusError {
    call: &'static str,
    code: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Application {
    Voip,
    Audio,
    LowDelay,
}

impl Application {
    fn raw(self) -> c_int {
        match self {
            Self::Voip => ffi::OPUS_APPLICATION_VOIP,
            Self::Audio => ffi::OPUS_APPLICATION_AUDIO,
            Self::LowDelay => ffi::OPUS_APPLICATION_RESTRICTED_LOWDELAY,
        }
    }
}

/// 48 kHz.
pub(crate) struct Encoder {
    state: NonNull<ffi::OpusEncoder>,
    channels: Channels,
}

// SAFETY: the state is plain memory of this value alone; libopus keeps nothing by thread.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(crate) fn new(application: Application, channels: Channels) -> Result<Self, OpusError> {
        let mut error = 0;
        let count = length(channels.count());
        // SAFETY: `error` lives through the call; what comes back is null or a state of its own.
        let state =
            unsafe { ffi::opus_encoder_create(RATE, count, application.raw(), &raw mut error) };
        match NonNull::new(state) {
            Some(state) => Ok(Self { state, channels }),
            None => Err(OpusError {
                call: "opus_encoder_create",
                code: error,
            }),
        }
    }

    /// Only before the first frame.
    pub(crate) fn set_application(&mut self, application: Application) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_APPLICATION_REQUEST, application.raw())
    }

    pub(crate) fn set_complexity(&mut self, complexity: u8) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_COMPLEXITY_REQUEST, c_int::from(complexity))
    }

    /// Tells that what comes is speech.
    pub(crate) fn set_voice(&mut self) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_SIGNAL_REQUEST, ffi::OPUS_SIGNAL_VOICE)
    }

    /// Tells that what comes is music.
    pub(crate) fn set_music(&mut self) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_SIGNAL_REQUEST, ffi::OPUS_SIGNAL_MUSIC)
    }

    pub(crate) fn set_bitrate_bps(&mut self, bitrate_bps: i32) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_BITRATE_REQUEST, bitrate_bps)
    }

    pub(crate) fn set_inband_fec(&mut self, on: bool) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_INBAND_FEC_REQUEST, c_int::from(on))
    }

    pub(crate) fn set_packet_loss_percent(&mut self, percent: i32) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent)
    }

    pub(crate) fn set_dtx(&mut self, on: bool) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_DTX_REQUEST, c_int::from(on))
    }

    /// How far back each packet tells what was said, in steps of 10 ms; at most 1 s.
    pub(crate) fn set_dred_duration(&mut self, steps: i32) -> Result<(), OpusError> {
        self.set(ffi::OPUS_SET_DRED_DURATION_REQUEST, steps)
    }

    /// True while Opus' own detector hears nothing worth sending.
    pub(crate) fn in_dtx(&mut self) -> bool {
        let mut value: i32 = 0;
        // SAFETY: this request writes one `opus_int32` to the pointer, which lives through the call.
        let code = unsafe {
            ffi::opus_encoder_ctl(
                self.state.as_ptr(),
                ffi::OPUS_GET_IN_DTX_REQUEST,
                &raw mut value,
            )
        };
        code == ffi::OPUS_OK && value != 0
    }

    pub(crate) fn reset(&mut self) -> Result<(), OpusError> {
        // SAFETY: a live handle; this request takes no argument.
        let code = unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), ffi::OPUS_RESET_STATE) };
        check("OPUS_RESET_STATE", code).map(drop)
    }

    /// Encodes one frame of interleaved samples, whose length must be one of Opus'.
    pub(crate) fn encode(&mut self, frame: &[f32], payload: &mut [u8]) -> Result<usize, OpusError> {
        let samples = frame.len() / self.channels.count();
        // SAFETY: libopus reads `samples` of each channel, no more than `frame` has, and writes at most `payload.len()` bytes.
        let code = unsafe {
            ffi::opus_encode_float(
                self.state.as_ptr(),
                frame.as_ptr(),
                length(samples),
                payload.as_mut_ptr(),
                length(payload.len()),
            )
        };
        check("opus_encode_float", code)
    }

    fn set(&mut self, request: c_int, value: c_int) -> Result<(), OpusError> {
        // SAFETY: a live handle; each request above takes one `opus_int32`.
        let code = unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), request, value) };
        check("opus_encoder_ctl", code).map(drop)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and dropped once.
        unsafe { ffi::opus_encoder_destroy(self.state.as_ptr()) }
    }
}

/// 48 kHz, and as many channels as it was last made ready for; samples of left and right take turns.
pub(crate) struct Decoder {
    state: NonNull<ffi::OpusDecoder>,
    channels: Channels,
    complexity: u8,
}

// SAFETY: as for the encoder.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(crate) fn new() -> Result<Self, OpusError> {
        let mut error = 0;
        // SAFETY: as for the encoder.
        let state = unsafe { ffi::opus_decoder_create(RATE, STEREO, &raw mut error) };
        let state = NonNull::new(state).ok_or(OpusError {
            call: "opus_decoder_create",
            code: error,
        })?;
        Ok(Self {
            state,
            channels: Channels::Stereo,
            complexity: 0,
        })
    }

    pub(crate) fn channels(&self) -> Channels {
        self.channels
    }

    /// Starts anew with so many channels, in the same memory: one is cheaper to decode than two that are the same.
    pub(crate) fn restart(&mut self, channels: Channels) -> Result<(), OpusError> {
        if self.channels == channels {
            return self.reset();
        }
        let count = match channels {
            Channels::Mono => MONO,
            Channels::Stereo => STEREO,
        };
        // SAFETY: the memory was made for two channels, which need the most, and belongs to this value alone; libopus
        // documents `init` for memory of at least `opus_decoder_get_size`.
        let code = unsafe { ffi::opus_decoder_init(self.state.as_ptr(), RATE, count) };
        check("opus_decoder_init", code)?;
        self.channels = channels;
        self.set_complexity(self.complexity)
    }

    /// From 5 on, what is lost is made up by a neural network.
    pub(crate) fn set_complexity(&mut self, complexity: u8) -> Result<(), OpusError> {
        // SAFETY: a live handle; this request takes one `opus_int32`.
        let code = unsafe {
            ffi::opus_decoder_ctl(
                self.state.as_ptr(),
                ffi::OPUS_SET_COMPLEXITY_REQUEST,
                c_int::from(complexity),
            )
        };
        check("opus_decoder_ctl", code)?;
        self.complexity = complexity;
        Ok(())
    }

    pub(crate) fn reset(&mut self) -> Result<(), OpusError> {
        // SAFETY: a live handle; this request takes no argument.
        let code = unsafe { ffi::opus_decoder_ctl(self.state.as_ptr(), ffi::OPUS_RESET_STATE) };
        check("OPUS_RESET_STATE", code).map(drop)
    }

    /// Decodes a packet into `pcm`, or with `fec` the copy that it carries of the frame before it. Like all below, returns how
    /// many samples of each channel there are.
    pub(crate) fn decode(
        &mut self,
        payload: &[u8],
        pcm: &mut [f32],
        fec: bool,
    ) -> Result<usize, OpusError> {
        if payload.is_empty() {
            return self.conceal(pcm);
        }
        // SAFETY: libopus reads `payload.len()` bytes and writes at most as many samples of each channel as `pcm` has room for.
        let code = unsafe {
            ffi::opus_decode_float(
                self.state.as_ptr(),
                payload.as_ptr(),
                length(payload.len()),
                pcm.as_mut_ptr(),
                self.room(pcm),
                c_int::from(fec),
            )
        };
        check("opus_decode_float", code)
    }

    /// Makes up what comes next.
    pub(crate) fn conceal(&mut self, pcm: &mut [f32]) -> Result<usize, OpusError> {
        // SAFETY: null and 0 mean a lost packet; at most as many samples as `pcm` has room for are written.
        let code = unsafe {
            ffi::opus_decode_float(
                self.state.as_ptr(),
                std::ptr::null(),
                0,
                pcm.as_mut_ptr(),
                self.room(pcm),
                0,
            )
        };
        check("opus_decode_float", code)
    }

    /// Restores what was said `back` samples before the packet that `dred` was read from.
    pub(crate) fn decode_dred(
        &mut self,
        dred: &Dred,
        back: i32,
        pcm: &mut [f32],
    ) -> Result<usize, OpusError> {
        // SAFETY: both handles live; at most as many samples as `pcm` has room for are written.
        let code = unsafe {
            ffi::opus_decoder_dred_decode_float(
                self.state.as_ptr(),
                dred.state.as_ptr(),
                back,
                pcm.as_mut_ptr(),
                self.room(pcm),
            )
        };
        check("opus_decoder_dred_decode_float", code)
    }

    /// Samples of each channel that `pcm` has room for.
    fn room(&self, pcm: &[f32]) -> c_int {
        length(pcm.len() / self.channels.count())
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_decoder_create`, and dropped once.
        unsafe { ffi::opus_decoder_destroy(self.state.as_ptr()) }
    }
}

/// The deep redundancy of one packet.
pub(crate) struct Dred {
    decoder: NonNull<ffi::OpusDREDDecoder>,
    state: NonNull<ffi::OpusDRED>,
}

// SAFETY: as for the encoder.
unsafe impl Send for Dred {}

impl Dred {
    pub(crate) fn new() -> Result<Self, OpusError> {
        let mut error = 0;
        // SAFETY: as for the encoder; what was made first is freed when the second can't be made.
        unsafe {
            let decoder =
                NonNull::new(ffi::opus_dred_decoder_create(&raw mut error)).ok_or(OpusError {
                    call: "opus_dred_decoder_create",
                    code: error,
                })?;
            let Some(state) = NonNull::new(ffi::opus_dred_alloc(&raw mut error)) else {
                ffi::opus_dred_decoder_destroy(decoder.as_ptr());
                return Err(OpusError {
                    call: "opus_dred_alloc",
                    code: error,
                });
            };
            Ok(Self { decoder, state })
        }
    }

    /// Reads what `payload` tells of the time before it, at most `most` samples. Returns how far it reaches back and how close
    /// to the packet it comes, in samples before the packet; nothing where there is none.
    pub(crate) fn read(&mut self, payload: &[u8], most: i32) -> Option<std::ops::Range<i32>> {
        if payload.is_empty() {
            return None;
        }
        let mut end = 0;
        // SAFETY: both handles live; `payload.len()` bytes are read, and `end` lives through the call.
        let code = unsafe {
            ffi::opus_dred_parse(
                self.decoder.as_ptr(),
                self.state.as_ptr(),
                payload.as_ptr(),
                length(payload.len()),
                most.clamp(0, RATE),
                RATE,
                &raw mut end,
                0,
            )
        };
        (code > 0 && end >= 0 && end < code).then_some(end..code)
    }
}

impl Drop for Dred {
    fn drop(&mut self) {
        // SAFETY: made by their `create` and `alloc`, and dropped once.
        unsafe {
            ffi::opus_dred_free(self.state.as_ptr());
            ffi::opus_dred_decoder_destroy(self.decoder.as_ptr());
        }
    }
}

/// What a packet was made of (RFC 6716, 3.1).
pub(crate) fn channels_of(payload: &[u8]) -> Channels {
    match payload.first() {
        Some(toc) if toc & 0b100 != 0 => Channels::Stereo,
        _ => Channels::Mono,
    }
}

/// True when the packet carries an in-band copy of the frame before it (RFC 6716, 4.2.3 and 4.2.4).
#[must_use]
pub fn has_inband_copy(payload: &[u8]) -> bool {
    if payload.is_empty() {
        return false;
    }
    // SAFETY: `payload.len()` bytes are read, at least one.
    let code = unsafe { ffi::opus_packet_has_lbrr(payload.as_ptr(), length(payload.len())) };
    code == 1
}

/// A length for libopus. What is longer than it can count is cut, which is safe for buffers.
fn length(len: usize) -> c_int {
    c_int::try_from(len).unwrap_or(c_int::MAX)
}

fn check(call: &'static str, code: c_int) -> Result<usize, OpusError> {
    usize::try_from(code).map_err(|_| OpusError { call, code })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(frame: usize) -> Vec<f32> {
        (0..960)
            .map(|i| {
                let t = (frame * 960 + i) as f32 / 48_000.0;
                (1..12)
                    .map(|k| (t * 140.0 * k as f32 * std::f32::consts::TAU).sin() / k as f32)
                    .sum::<f32>()
                    * 0.1
            })
            .collect()
    }

    #[test]
    fn a_packet_tells_what_was_said_before_it() {
        let mut encoder = Encoder::new(Application::Voip, Channels::Mono).expect("an encoder");
        encoder.set_voice().expect("voice");
        encoder.set_bitrate_bps(64_000).expect("a bitrate");
        encoder.set_packet_loss_percent(20).expect("a loss");
        encoder.set_dred_duration(50).expect("DRED is built in");
        let mut decoder = Decoder::new().expect("a decoder");
        decoder.restart(Channels::Mono).expect("one channel");
        decoder.set_complexity(5).expect("a complexity");
        let mut dred = Dred::new().expect("a DRED state");
        let (mut payload, mut pcm) = ([0; 1_275], [0.0; 960]);
        // The last five before the hundredth get lost.
        for frame in 0..99 {
            let len = encoder
                .encode(&voice(frame), &mut payload)
                .expect("a frame");
            if frame < 94 {
                let decoded = decoder.decode(&payload[..len], &mut pcm, false);
                assert_eq!(decoded, Ok(960));
            }
        }
        let len = encoder.encode(&voice(99), &mut payload).expect("a frame");
        let reach = dred
            .read(&payload[..len], RATE)
            .expect("the packet carries redundancy");
        assert!(reach.end >= 100 * 48 && reach.start <= 40 * 48, "{reach:?}");
        for back in [4_800, 3_840, 2_880, 1_920, 960] {
            assert_eq!(decoder.decode_dred(&dred, back, &mut pcm), Ok(960));
        }
        assert!(
            pcm.iter().any(|sample| sample.abs() > 0.01),
            "speech is restored"
        );
    }

    #[test]
    fn one_channel_fits_where_two_do() {
        // SAFETY: no pointers are involved.
        let [one, two] = [MONO, STEREO].map(|n| unsafe { ffi::opus_decoder_get_size(n) });
        println!("decoder: {one} bytes for one channel, {two} for two");
        assert!(0 < one && one <= two);
        let mut decoder = Decoder::new().expect("a decoder");
        let mut pcm = [0.0; 960];
        for (channels, samples) in [
            (Channels::Mono, 960),
            (Channels::Stereo, 480),
            (Channels::Mono, 960),
        ] {
            decoder.restart(channels).expect("it fits");
            assert_eq!(decoder.conceal(&mut pcm), Ok(samples));
        }
    }

    #[test]
    fn packets_without_redundancy_say_so() {
        let mut dred = Dred::new().expect("a DRED state");
        assert_eq!(dred.read(&[], RATE), None);
        assert_eq!(dred.read(&[0xf8, 0xff, 0xfe], RATE), None);
        assert_eq!(dred.read(&[0xff; 40], RATE), None);
    }

    #[test]
    fn only_silk_carries_a_copy_of_the_frame_before() {
        assert!(!has_inband_copy(&[]));
        assert!(!has_inband_copy(&[0]));
        assert!(!has_inband_copy(&[31 << 3, 0xff]));
        assert!(has_inband_copy(&[9 << 3, 0b0100_0000]));
        assert!(!has_inband_copy(&[9 << 3, 0b1000_0000]));
        assert!(has_inband_copy(&[11 << 3, 0b0001_0000]));
        // Padded, as packets with deep redundancy are.
        assert!(has_inband_copy(&[9 << 3 | 3, 0x41, 2, 0b0100_0000, 0, 0]));
    }

    #[test]
    fn errors_say_which_call_failed() {
        let mut encoder = Encoder::new(Application::LowDelay, Channels::Mono).expect("an encoder");
        let error = encoder
            .encode(&[0.0; 7], &mut [0; 100])
            .expect_err("no frame has 7 samples");
        assert_eq!(error.to_string(), "opus_encode_float: error -1 of libopus");
    }
}
