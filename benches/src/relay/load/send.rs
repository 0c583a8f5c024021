//! The speakers: packets spread evenly in time, never in bursts of the load's own making.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use mio::net::UdpSocket;
use voxhall_protocol::{
    Ssrc,
    voice::{AudioLevel, Datagram, OPUS_CLOCK_HZ, RtpHeader, Sealer},
};

use super::mumble::MumbleVoice;
use crate::relay::talk::{FromLoad, Plan, Quantiles, Target, say};

/// Send time, target and whether the delay is to be taken.
pub const MIN_PAYLOAD: i64 = 10;

/// Sent before and after what is measured.
const LEAD: Duration = Duration::from_millis(500);
const TAIL: Duration = Duration::from_millis(100);
/// At both ends of a turn the first process reads CPU times: delays are not taken meanwhile.
const MARGIN: Duration = Duration::from_millis(20);

/// What a packet says about itself, readable by its listeners only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// By the clock that the kernel stamps received datagrams with.
    pub sent_ns: u64,
    /// `None`: before or after the measured part.
    pub target: Option<Target>,
    /// Take its delay.
    pub timed: bool,
}

impl Mark {
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (sent, rest) = payload.split_first_chunk()?;
        let [target, timed, ..] = *rest else {
            return None;
        };
        Some(Self {
            sent_ns: u64::from_be_bytes(*sent),
            target: match target {
                1 => Some(Target::Server),
                2 => Some(Target::Bare),
                3 => Some(Target::Mumble),
                _ => None,
            },
            timed: timed != 0,
        })
    }

    fn write(self, payload: &mut [u8]) {
        payload[..8].copy_from_slice(&self.sent_ns.to_be_bytes());
        payload[8] = match self.target {
            None => 0,
            Some(Target::Server) => 1,
            Some(Target::Bare) => 2,
            Some(Target::Mumble) => 3,
        };
        payload[9] = self.timed.into();
    }
}

/// Nanoseconds since the Unix epoch.
pub fn wall_clock_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.map_or(0, |time| time.as_nanos() as u64)
}

pub struct Speaker {
    socket: Arc<UdpSocket>,
    /// The way to its own server.
    server: SocketAddr,
    voice: Voice,
    /// In its channel, without itself.
    listeners: u64,
}

/// How a frame becomes a datagram.
pub enum Voice {
    Voxhall(Box<VoxhallVoice>),
    Mumble(MumbleVoice),
}

pub struct VoxhallVoice {
    ssrc: Ssrc,
    sealer: Sealer,
    sequence: u16,
    timestamp: u32,
}

impl Speaker {
    pub fn new(socket: Arc<UdpSocket>, server: SocketAddr, voice: Voice, listeners: u64) -> Self {
        Self {
            socket,
            server,
            voice,
            listeners,
        }
    }
}

impl VoxhallVoice {
    pub fn new(ssrc: Ssrc, sealer: Sealer) -> Self {
        Self {
            ssrc,
            sealer,
            sequence: 0,
            timestamp: 0,
        }
    }

    fn write(&mut self, payload: &[u8], pps: u32, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let header = RtpHeader {
            marker: false,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            audio_level: Some(AudioLevel {
                voice: true,
                minus_dbov: 30,
            }),
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(OPUS_CLOCK_HZ / pps);
        let mut datagram = Datagram::new();
        self.sealer.seal(&header, payload, &mut datagram)?;
        out.extend_from_slice(datagram.as_slice());
        Ok(())
    }
}

/// What was sent to one target in its measured parts.
#[derive(Default)]
pub struct Sent {
    pub measured: Duration,
    pub packets: u64,
    /// Packets times listeners.
    pub expected: u64,
    late_ns: Vec<u32>,
}

impl Sent {
    pub fn late(self) -> Quantiles {
        Quantiles::of(self.late_ns)
    }
}

pub struct Sender {
    /// In the order in which they send.
    speakers: Vec<Speaker>,
    /// So many send at the same moment.
    together: usize,
    pps: u32,
    measured: Duration,
    turns: u32,
    sent: BTreeMap<Target, Sent>,
    payload: Vec<u8>,
    datagram: Vec<u8>,
    refused: u64,
}

impl Sender {
    /// `speakers`: the first of each channel, then the second of each, and so on.
    pub fn new(plan: &Plan, mut speakers: Vec<Speaker>) -> Self {
        let mut together = 1;
        if plan.together {
            together = plan.speakers;
            let mut channels: Vec<Vec<_>> = (0..plan.channels).map(|_| Vec::new()).collect();
            for (at, speaker) in speakers.into_iter().enumerate() {
                channels[at % plan.channels].push(speaker);
            }
            speakers = channels.into_iter().flatten().collect();
        }
        Self {
            speakers,
            together,
            pps: plan.pps,
            measured: Duration::from_millis(plan.turn_ms),
            turns: plan.turns,
            sent: BTreeMap::new(),
            datagram: Vec::new(),
            // Sound as Opus codes it looks like noise.
            payload: (0..plan.bytes)
                .map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
                .collect(),
            refused: 0,
        }
    }

    /// How many delays the listeners will take for each target, about.
    pub fn expects(&self) -> usize {
        let measured = self.measured * self.turns;
        let listeners: u64 = self.speakers.iter().map(|speaker| speaker.listeners).sum();
        (measured.as_secs_f64() * f64::from(self.pps) * listeners as f64) as usize
    }

    /// Speaks to `address`, or each to its own server, for one turn; tells when the measured part begins and ends.
    pub fn turn(&mut self, target: Target, address: Option<SocketAddr>) -> anyhow::Result<()> {
        let between = Duration::from_secs(1) / self.pps / self.speakers.len() as u32;
        let begins = Instant::now() + LEAD;
        let ends = begins + self.measured;
        let timed = begins + MARGIN..ends - MARGIN;
        let mut planned = Instant::now();
        let mut at = 0;
        let mut inside = false;
        while planned < ends + TAIL {
            if let Some(wait) = planned.checked_duration_since(Instant::now()) {
                std::thread::sleep(wait);
            }
            let is_inside = (begins..ends).contains(&planned);
            if is_inside != inside {
                say(&if is_inside {
                    FromLoad::Begins(target)
                } else {
                    FromLoad::Ends(target)
                })?;
                inside = is_inside;
            }
            let mark = Mark {
                sent_ns: 0,
                target: is_inside.then_some(target),
                timed: timed.contains(&planned),
            };
            self.speak(at, mark, planned, address)?;
            at = (at + 1) % self.speakers.len();
            if at.is_multiple_of(self.together) {
                planned += between * self.together as u32;
            }
        }
        let measured = self.measured;
        self.sent(target).measured += measured;
        Ok(())
    }

    pub fn take(&mut self, target: Target) -> Sent {
        std::mem::take(self.sent(target))
    }

    pub fn oddities(&self) -> Option<(String, u64)> {
        let what = "packets that the kernel refused to take from the load".to_owned();
        (self.refused > 0).then_some((what, self.refused))
    }

    fn speak(
        &mut self,
        speaker: usize,
        mark: Mark,
        planned: Instant,
        address: Option<SocketAddr>,
    ) -> anyhow::Result<()> {
        let speaker = &mut self.speakers[speaker];
        let listeners = speaker.listeners;
        let now = Instant::now();
        Mark {
            sent_ns: wall_clock_ns(),
            ..mark
        }
        .write(&mut self.payload);
        self.datagram.clear();
        match &mut speaker.voice {
            Voice::Voxhall(voice) => voice.write(&self.payload, self.pps, &mut self.datagram)?,
            Voice::Mumble(voice) => {
                let frames_of_10_ms = (100 / self.pps).max(1).into();
                voice.write(&self.payload, frames_of_10_ms, &mut self.datagram);
            }
        }
        let address = address.unwrap_or(speaker.server);
        match speaker.socket.send_to(&self.datagram, address) {
            Ok(_) => {}
            // It counts as sent: what never left was not delivered either.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.refused += 1,
            Err(error) => return Err(error.into()),
        }
        if let Some(target) = mark.target {
            let sent = self.sent(target);
            sent.packets += 1;
            sent.expected += listeners;
            let late = now.saturating_duration_since(planned);
            sent.late_ns
                .push(late.as_nanos().min(u32::MAX.into()) as u32);
        }
        Ok(())
    }

    fn sent(&mut self, target: Target) -> &mut Sent {
        self.sent.entry(target).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for target in [
            None,
            Some(Target::Server),
            Some(Target::Bare),
            Some(Target::Mumble),
        ] {
            for timed in [false, true] {
                let mark = Mark {
                    sent_ns: 1 << 40,
                    target,
                    timed,
                };
                let mut payload = [7; MIN_PAYLOAD as usize];
                mark.write(&mut payload);
                assert_eq!(Mark::read(&payload), Some(mark));
            }
        }
        assert_eq!(Mark::read(&[0; 9]), None);
    }
}
