//! Which devices there are, and how one is opened: at 48 kHz where it can, else at the rate that is nearest.

use std::{sync::Arc, time::Duration};

use cpal::{
    BufferSize, Device, DeviceId, FromSample, Host, SampleFormat, SizedSample, StreamConfig,
    SupportedBufferSize, SupportedStreamConfigRange,
    traits::{DeviceTrait, HostTrait, StreamTrait},
};
use voxhall_session::audio::SAMPLE_RATE;
use voxhall_voice::Stereo;

use super::{
    callback::{Capture, DeviceFormat, MixIn, Peak, Playout},
    resample::RateError,
};

/// Long enough for a sound server that wakes up a sleeping card.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Input,
    Output,
}

/// A device as a person chooses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Stable over restarts, such as `pulseaudio:alsa_input.usb-Blue_Yeti`.
    pub id: String,
    pub name: String,
    pub default: bool,
}

/// Why a device can't be used, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("There is no sound system.")]
    NoHost,
    #[error("There is no microphone.")]
    NoInput,
    #[error("There are no speakers.")]
    NoOutput,
    #[error("{id} is not connected.")]
    NotFound { id: String },
    #[error("{name} has no format of samples that this app knows.")]
    Format { name: String },
    #[error("{name} is in use by another program.")]
    Busy { name: String },
    #[error("{name} may not be used by this app.")]
    Permission { name: String },
    #[error("{name}: {reason}")]
    Other { name: String, reason: String },
}

impl DeviceError {
    /// What the person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoHost => {
                "Start PipeWire or PulseAudio, or check that the sound card's driver is loaded."
            }
            Self::NoInput => {
                "Plug a microphone or headset in; it is used as soon as it is there. Until then you listen only."
            }
            Self::NoOutput => {
                "Plug speakers or headphones in; they are used as soon as they are there."
            }
            Self::NotFound { .. } => "Plug it in again, or choose another device in the settings.",
            Self::Format { .. } => {
                "Choose another device, or set this one to 48000 Hz and 16 bits in the system's sound settings."
            }
            Self::Busy { .. } => {
                "Close the program that uses it, or choose another device in the settings."
            }
            Self::Permission { .. } => {
                "Allow this app to use the microphone in the system's privacy settings."
            }
            Self::Other { .. } => "Choose another device in the settings.",
        }
    }

    fn of(error: &cpal::Error, name: &str) -> Self {
        let name = name.to_owned();
        match error.kind() {
            cpal::ErrorKind::DeviceNotAvailable => Self::NotFound { id: name },
            cpal::ErrorKind::DeviceBusy => Self::Busy { name },
            cpal::ErrorKind::PermissionDenied => Self::Permission { name },
            cpal::ErrorKind::HostUnavailable => Self::NoHost,
            _ => Self::Other {
                name,
                reason: error.to_string(),
            },
        }
    }
}

/// The usable devices of the sound system in use, the default one first.
pub fn list(direction: Direction) -> Vec<DeviceInfo> {
    let Some(host) = default_host() else {
        return Vec::new();
    };
    let default = default_id(&host, direction);
    let Ok(all) = host.devices() else {
        return Vec::new();
    };
    let mut devices: Vec<DeviceInfo> = all
        .filter_map(|device| {
            let id = device.id().ok().filter(|id| is_for_people(id, direction))?;
            let fits = match direction {
                Direction::Input => device.supports_input(),
                Direction::Output => device.supports_output(),
            };
            let id = id.to_string();
            fits.then(|| DeviceInfo {
                default: default.as_deref() == Some(&id),
                id,
                name: device.to_string(),
            })
        })
        .collect();
    devices.sort_by_key(|device| !device.default);
    devices
}

/// The device that the system would use now; none if it is only the echo of a speaker.
pub fn default_id(host: &Host, direction: Direction) -> Option<String> {
    let device = default_device(host, direction)?;
    let id = device.id().ok()?;
    is_for_people(&id, direction).then(|| id.to_string())
}

/// Whether a device is connected now. `host` is used where it is the device's own.
pub fn is_there(host: Option<&Host>, id: &str) -> bool {
    let Ok(id) = id.parse::<DeviceId>() else {
        return false;
    };
    match host.filter(|host| host.id() == id.host()) {
        Some(host) => host.device_by_id(&id).is_some(),
        None => cpal::host_from_id(id.host()).is_ok_and(|host| host.device_by_id(&id).is_some()),
    }
}

/// The sound system to use when nothing else is chosen: a sound server where one answers, else what the system has.
pub fn default_host() -> Option<Host> {
    const SERVERS: &[&str] = &["pipewire", "pulseaudio"];
    let available = cpal::available_hosts();
    let server = SERVERS.iter().find_map(|name| {
        let id = available.iter().find(|id| id.to_string() == *name)?;
        cpal::host_from_id(*id).ok()
    });
    let others = available
        .into_iter()
        .filter(|id| !SERVERS.contains(&id.to_string().as_str()) && has_hardware(id));
    server.or_else(|| {
        others
            .into_iter()
            .find_map(|id| cpal::host_from_id(id).ok())
    })
}

/// Asked for devices where there are none, ALSA says so at length on the standard error stream.
fn has_hardware(id: &cpal::HostId) -> bool {
    let sound_files =
        || std::fs::read_dir("/dev/snd").is_ok_and(|mut files| files.next().is_some());
    id.to_string() != "alsa" || std::env::var_os("ALSA_CONFIG_PATH").is_some() || sound_files()
}

/// A device that was found, ready to be opened.
pub struct Found {
    device: Device,
    direction: Direction,
    pub id: String,
    pub name: String,
}

/// Finds a device by its id, or the default one.
pub fn find(direction: Direction, wanted: Option<&str>) -> Result<Found, DeviceError> {
    let none = || {
        if direction == Direction::Input {
            DeviceError::NoInput
        } else {
            DeviceError::NoOutput
        }
    };
    let device = match wanted {
        None => {
            let host = default_host().ok_or(DeviceError::NoHost)?;
            default_id(&host, direction)
                .and_then(|_| default_device(&host, direction))
                .ok_or_else(none)?
        }
        Some(text) => {
            let missing = || DeviceError::NotFound {
                id: text.to_owned(),
            };
            let id: DeviceId = text.parse().map_err(|_| missing())?;
            let host = cpal::host_from_id(id.host()).map_err(|_| missing())?;
            host.device_by_id(&id).ok_or_else(missing)?
        }
    };
    let name = device.to_string();
    let id = device
        .id()
        .map_err(|error| DeviceError::of(&error, &name))?
        .to_string();
    Ok(Found {
        device,
        direction,
        id,
        name,
    })
}

impl Found {
    /// Opens the microphone and starts it. `frames` is the wished length of a callback.
    pub fn capture<W>(
        &self,
        frames: u32,
        peak: Arc<Peak>,
        write: W,
        on_error: impl FnMut(cpal::Error) + Send + 'static,
    ) -> Result<cpal::Stream, DeviceError>
    where
        W: FnMut(&[Stereo]) + Send + 'static,
    {
        let (config, format) = self.config(frames)?;
        let capture = Capture::new(write, device_format(&config), peak)
            .map_err(|error| self.refused(&error))?;
        let stream = match format {
            SampleFormat::F32 => self.build_capture::<f32, W>(config, capture, on_error),
            SampleFormat::F64 => self.build_capture::<f64, W>(config, capture, on_error),
            SampleFormat::I24 => self.build_capture::<cpal::I24, W>(config, capture, on_error),
            SampleFormat::I16 => self.build_capture::<i16, W>(config, capture, on_error),
            SampleFormat::U16 => self.build_capture::<u16, W>(config, capture, on_error),
            SampleFormat::U8 => self.build_capture::<u8, W>(config, capture, on_error),
            _ => self.build_capture::<i32, W>(config, capture, on_error),
        };
        self.started(stream)
    }

    /// Opens the speakers and starts them.
    pub fn playout<R>(
        &self,
        frames: u32,
        playout: impl FnOnce(DeviceFormat) -> Result<Playout<R>, RateError>,
        on_error: impl FnMut(cpal::Error) + Send + 'static,
    ) -> Result<cpal::Stream, DeviceError>
    where
        R: FnMut(&mut [Stereo], MixIn<'_>) + Send + 'static,
    {
        let (config, format) = self.config(frames)?;
        let playout = playout(device_format(&config)).map_err(|error| self.refused(&error))?;
        let stream = match format {
            SampleFormat::F32 => self.build_playout::<f32, R>(config, playout, on_error),
            SampleFormat::F64 => self.build_playout::<f64, R>(config, playout, on_error),
            SampleFormat::I24 => self.build_playout::<cpal::I24, R>(config, playout, on_error),
            SampleFormat::I16 => self.build_playout::<i16, R>(config, playout, on_error),
            SampleFormat::U16 => self.build_playout::<u16, R>(config, playout, on_error),
            SampleFormat::U8 => self.build_playout::<u8, R>(config, playout, on_error),
            _ => self.build_playout::<i32, R>(config, playout, on_error),
        };
        self.started(stream)
    }

    fn refused(&self, error: &RateError) -> DeviceError {
        DeviceError::Other {
            name: self.name.clone(),
            reason: error.to_string(),
        }
    }

    fn started(
        &self,
        stream: Result<cpal::Stream, cpal::Error>,
    ) -> Result<cpal::Stream, DeviceError> {
        stream
            .and_then(|stream| stream.play().map(|()| stream))
            .map_err(|error| DeviceError::of(&error, &self.name))
    }

    fn build_capture<T, W>(
        &self,
        config: StreamConfig,
        mut capture: Capture<W>,
        on_error: impl FnMut(cpal::Error) + Send + 'static,
    ) -> Result<cpal::Stream, cpal::Error>
    where
        T: SizedSample,
        f32: FromSample<T>,
        W: FnMut(&[Stereo]) + Send + 'static,
    {
        let callback = move |frames: &[T], _: &cpal::InputCallbackInfo| capture.run(frames);
        self.device
            .build_input_stream(config, callback, on_error, Some(OPEN_TIMEOUT))
    }

    fn build_playout<T, R>(
        &self,
        config: StreamConfig,
        mut playout: Playout<R>,
        on_error: impl FnMut(cpal::Error) + Send + 'static,
    ) -> Result<cpal::Stream, cpal::Error>
    where
        T: SizedSample + FromSample<f32>,
        R: FnMut(&mut [Stereo], MixIn<'_>) + Send + 'static,
    {
        let callback = move |frames: &mut [T], _: &cpal::OutputCallbackInfo| playout.run(frames);
        self.device
            .build_output_stream(config, callback, on_error, Some(OPEN_TIMEOUT))
    }

    fn config(&self, frames: u32) -> Result<(StreamConfig, SampleFormat), DeviceError> {
        let fail = |error| DeviceError::of(&error, &self.name);
        let (ranges, default): (Vec<_>, _) = match self.direction {
            Direction::Input => (
                self.device
                    .supported_input_configs()
                    .map_err(fail)?
                    .collect(),
                self.device.default_input_config(),
            ),
            Direction::Output => (
                self.device
                    .supported_output_configs()
                    .map_err(fail)?
                    .collect(),
                self.device.default_output_config(),
            ),
        };
        let own_channels = default.map_or(2, |config| config.channels());
        let best = choose(&ranges, own_channels).ok_or_else(|| DeviceError::Format {
            name: self.name.clone(),
        })?;
        let rate_hz = nearest_rate(best);
        // Asked for at 48 kHz; the device counts at its own rate.
        let frames = (u64::from(frames) * u64::from(rate_hz)).div_ceil(u64::from(SAMPLE_RATE));
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        // Left to itself, PulseAudio takes 2 s of buffer; so a length is always asked for.
        let frames = match best.buffer_size() {
            SupportedBufferSize::Range { min, max } => frames.clamp(*min, (*max).max(*min)),
            SupportedBufferSize::Unknown => frames,
        };
        let config = StreamConfig {
            channels: best.channels(),
            sample_rate: rate_hz,
            buffer_size: BufferSize::Fixed(frames),
        };
        Ok((config, best.sample_format()))
    }
}

/// The best configuration: at 48 kHz or as near as the device comes; its own number of channels where that is one or two, else
/// two, else one; samples as floats if it can.
fn choose(
    ranges: &[SupportedStreamConfigRange],
    own_channels: u16,
) -> Option<&SupportedStreamConfigRange> {
    let format_rank = |range: &SupportedStreamConfigRange| match range.sample_format() {
        SampleFormat::F32 => Some(0),
        SampleFormat::I32 => Some(1),
        SampleFormat::I24 => Some(2),
        SampleFormat::I16 => Some(3),
        SampleFormat::F64 => Some(4),
        SampleFormat::U16 => Some(5),
        SampleFormat::U8 => Some(6),
        _ => None,
    };
    let channel_rank = |range: &SupportedStreamConfigRange| match range.channels() {
        channels @ 1..=2 if channels == own_channels => 0,
        2 => 1,
        1 => 2,
        channels if channels == own_channels => 3,
        more => more.saturating_add(1),
    };
    ranges
        .iter()
        .filter(|range| range.max_sample_rate() > 0 && range.channels() > 0)
        .filter_map(|range| Some((format_rank(range)?, range)))
        .min_by_key(|(format, range)| {
            let off = nearest_rate(range).abs_diff(SAMPLE_RATE);
            (off, channel_rank(range), *format)
        })
        .map(|(_, range)| range)
}

/// Of the rates in a range, the one nearest to 48 kHz.
fn nearest_rate(range: &SupportedStreamConfigRange) -> u32 {
    let (least, most) = (range.min_sample_rate().max(1), range.max_sample_rate());
    SAMPLE_RATE.clamp(least, most.max(least))
}

fn device_format(config: &StreamConfig) -> DeviceFormat {
    DeviceFormat {
        channels: config.channels,
        rate_hz: config.sample_rate,
    }
}

fn default_device(host: &Host, direction: Direction) -> Option<Device> {
    match direction {
        Direction::Input => host.default_input_device(),
        Direction::Output => host.default_output_device(),
    }
}

/// A monitor is a source that hears what a speaker plays: as a microphone it would make everyone hear themselves. And a sound
/// server without any device makes up an `auto_null`.
fn is_for_people(id: &DeviceId, direction: Direction) -> bool {
    let monitor = direction == Direction::Input && id.id().ends_with(".monitor");
    // ALSA's list is full of converters; the devices among it name their card.
    let converter =
        id.host().to_string() == "alsa" && id.id() != "default" && !id.id().contains("CARD=");
    !monitor && !converter && !matches!(id.id(), "auto_null" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(
        channels: u16,
        rates: std::ops::RangeInclusive<u32>,
        format: SampleFormat,
    ) -> SupportedStreamConfigRange {
        SupportedStreamConfigRange::new(
            channels,
            *rates.start(),
            *rates.end(),
            SupportedBufferSize::Unknown,
            format,
        )
    }

    #[test]
    fn the_devices_own_channels_at_48_khz_as_floats_are_best() {
        let ranges = [
            range(1, 44_100..=44_100, SampleFormat::F32),
            range(2, 44_100..=96_000, SampleFormat::F32),
            range(1, 8_000..=48_000, SampleFormat::I16),
            range(1, 8_000..=48_000, SampleFormat::F32),
            range(6, 48_000..=48_000, SampleFormat::F32),
        ];
        assert_eq!(choose(&ranges, 2), Some(&ranges[1]));
        assert_eq!(choose(&ranges, 1), Some(&ranges[3]));
        assert_eq!(choose(&ranges[..3], 1), Some(&ranges[2]));
        assert_eq!(choose(&ranges, 6), Some(&ranges[1]), "two of six");
        assert_eq!(choose(&ranges[4..], 8), Some(&ranges[4]));
    }

    #[test]
    fn a_device_without_48_khz_runs_as_near_to_it_as_it_can() {
        let ranges = [
            range(2, 8_000..=32_000, SampleFormat::F32),
            range(2, 44_100..=44_100, SampleFormat::I16),
            range(2, 96_000..=192_000, SampleFormat::F32),
            range(1, 44_100..=44_100, SampleFormat::U8),
        ];
        assert_eq!(choose(&ranges, 2), Some(&ranges[1]));
        assert_eq!(choose(&ranges, 1), Some(&ranges[3]));
        assert_eq!(nearest_rate(&ranges[0]), 32_000);
        assert_eq!(nearest_rate(&ranges[2]), 96_000);
        assert_eq!(choose(&[], 2), None);
    }

    #[test]
    fn a_speakers_echo_is_no_microphone() {
        let host = "pulseaudio".parse().unwrap_or(cpal::ALL_HOSTS[0]);
        let id = |name| DeviceId::new(host, name);
        assert!(!is_for_people(&id("speaker.monitor"), Direction::Input));
        assert!(is_for_people(&id("speaker.monitor"), Direction::Output));
        assert!(!is_for_people(&id("auto_null"), Direction::Output));
        assert!(is_for_people(&id("usb mic"), Direction::Input));
    }
}
