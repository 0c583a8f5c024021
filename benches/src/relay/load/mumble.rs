//! The same people on Mumble's server.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc};

use super::{
    receive::{Arrival, Ear, Listeners},
    send::{Speaker, Voice},
};
use crate::relay::{
    mumble::{
        MumbleAddress,
        control::{self, PING_EVERY, Wire},
        crypt::{Decryptor, Encryptor},
    },
    talk::Plan,
};

const AT_ONCE: usize = 8;
const CALM: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_PER_USER: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Until the server answered the first one.
const PING_AGAIN: Duration = Duration::from_millis(500);

/// First byte of a datagram: its type in three bits, the target in five.
const OPUS: u8 = 4 << 5;
const PING: u8 = 1 << 5;

/// Shared by who speaks and who pings: both step one counter.
pub type Sealing = Arc<Mutex<Encryptor>>;

pub struct People {
    joined: Vec<Member>,
    channels: usize,
    speakers: usize,
    joined_s: f64,
    told: mpsc::Receiver<Told>,
}

struct Member {
    channel: usize,
    socket: Arc<UdpSocket>,
    sealing: Sealing,
}

enum Told {
    Joined {
        user: usize,
        voice: Box<control::Voice>,
    },
    Lost {
        user: usize,
        why: String,
    },
}

impl People {
    /// Returns when everybody is in its channel, and the server knows where each can be reached.
    pub fn join(plan: &Plan, at: &MumbleAddress, listeners: &Listeners) -> anyhow::Result<Self> {
        let started = Instant::now();
        let deadline = started + PATIENCE + PATIENCE_PER_USER * plan.users as u32;
        let already_open = listeners.open_paths();
        let mut people = Self {
            joined: Vec::new(),
            channels: plan.channels,
            speakers: plan.speakers,
            joined_s: 0.0,
            told: start_all(plan, at)?,
        };
        while people.joined.len() < plan.users || listeners.open_paths() < already_open + plan.users
        {
            while let Ok(told) = people.told.try_recv() {
                match told {
                    Told::Joined { user, voice } => {
                        // Behind the users of our own server.
                        let place = plan.users + user;
                        let socket = listeners.socket(place)?;
                        let sealing = Arc::new(Mutex::new(voice.seal));
                        let ear = MumbleEar {
                            socket: Arc::clone(&socket),
                            server: at.address,
                            sealing: Arc::clone(&sealing),
                            open: voice.open,
                            next_ping: Instant::now(),
                            answered: false,
                            newest: Vec::new(),
                        };
                        listeners.add(place, Ear::Mumble(Box::new(ear)))?;
                        people.joined.push(Member {
                            channel: user % plan.channels,
                            socket,
                            sealing,
                        });
                    }
                    Told::Lost { user, why } => {
                        bail!("user {user} could not join Mumble's server: {why}")
                    }
                }
            }
            if Instant::now() > deadline {
                bail!(
                    "of {} users {} joined Mumble's server, and it answered {} in time",
                    plan.users,
                    people.joined.len(),
                    listeners.open_paths() - already_open
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
        people.joined_s = started.elapsed().as_secs_f64();
        std::thread::sleep(CALM);
        Ok(people)
    }

    pub fn joined_s(&self) -> f64 {
        self.joined_s
    }

    /// In the order of our own server's.
    pub fn speakers(&self, server: SocketAddr) -> anyhow::Result<Vec<Speaker>> {
        let mut speakers = Vec::new();
        for place in 0..self.speakers {
            for channel in 0..self.channels {
                let of_channel = || {
                    self.joined
                        .iter()
                        .filter(move |member| member.channel == channel)
                };
                let member = of_channel()
                    .nth(place)
                    .context("a channel lacks its speakers")?;
                speakers.push(Speaker::new(
                    Arc::clone(&member.socket),
                    server,
                    Voice::Mumble(MumbleVoice::new(Arc::clone(&member.sealing))),
                    of_channel().count() as u64 - 1,
                ));
            }
        }
        Ok(speakers)
    }

    pub fn oddities(&mut self) -> Option<(String, u64)> {
        let mut lost = 0;
        while self.told.try_recv().is_ok() {
            lost += 1;
        }
        let what = "control connections to Mumble's server lost while measuring".to_owned();
        (lost > 0).then_some((what, lost))
    }
}

fn start_all(plan: &Plan, at: &MumbleAddress) -> anyhow::Result<mpsc::Receiver<Told>> {
    let (tell, told) = mpsc::channel(plan.users * 2);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (users, channels, at) = (plan.users, plan.channels, at.clone());
    std::thread::Builder::new()
        .name("load-mumble".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                match channel_numbers(&at, channels).await {
                    Err(why) => {
                        let why = format!("{why:#}");
                        let _ = tell.send(Told::Lost { user: 0, why }).await;
                    }
                    Ok(numbers) => {
                        let places = Arc::new(Semaphore::new(AT_ONCE));
                        for user in 0..users {
                            let person = Person {
                                user,
                                channel: numbers[user % channels],
                                server: at.address,
                                tell: tell.clone(),
                                places: Arc::clone(&places),
                            };
                            tokio::spawn(person.live());
                        }
                    }
                }
                drop(tell);
                std::future::pending::<()>().await;
            });
        })?;
    Ok(told)
}

/// The owner makes them and leaves.
async fn channel_numbers(at: &MumbleAddress, channels: usize) -> anyhow::Result<Vec<u64>> {
    let password = Some(at.super_user_password.as_str());
    let mut owner = Wire::sign_in(at.address, &control::tls()?, "SuperUser", password).await?;
    let mut numbers = Vec::new();
    for channel in 0..channels {
        numbers.push(owner.wire.add_channel(&format!("Load {channel}")).await?);
    }
    Ok(numbers)
}

struct Person {
    user: usize,
    channel: u64,
    server: SocketAddr,
    tell: mpsc::Sender<Told>,
    places: Arc<Semaphore>,
}

impl Person {
    async fn live(self) {
        let why = match self.join().await {
            Ok(wire) => wire.stay().await,
            Err(why) => why,
        };
        let lost = Told::Lost {
            user: self.user,
            why: format!("{why:#}"),
        };
        let _ = self.tell.send(lost).await;
    }

    async fn join(&self) -> anyhow::Result<Wire> {
        let _place = self.places.acquire().await?;
        let name = format!("load{}", self.user);
        let signed_in = Wire::sign_in(self.server, &control::tls()?, &name, None).await?;
        let mut wire = signed_in.wire;
        wire.enter(signed_in.session, self.channel).await?;
        let joined = Told::Joined {
            user: self.user,
            voice: Box::new(signed_in.voice),
        };
        self.tell.send(joined).await?;
        Ok(wire)
    }
}

/// What one says on Mumble.
pub struct MumbleVoice {
    sealing: Sealing,
    sequence: u64,
    plain: Vec<u8>,
}

impl MumbleVoice {
    fn new(sealing: Sealing) -> Self {
        Self {
            sealing,
            sequence: 0,
            plain: Vec::new(),
        }
    }

    /// Appends the datagram for one frame; `frames_of_10_ms` is how far Mumble's sequence numbers go on.
    pub fn write(&mut self, payload: &[u8], frames_of_10_ms: u64, out: &mut Vec<u8>) {
        self.plain.clear();
        self.plain.push(OPUS);
        write_varint(self.sequence, &mut self.plain);
        write_varint(payload.len() as u64, &mut self.plain);
        self.plain.extend_from_slice(payload);
        self.sequence += frames_of_10_ms;
        lock(&self.sealing).seal(&self.plain, out);
    }
}

/// What one hears on Mumble.
pub struct MumbleEar {
    socket: Arc<UdpSocket>,
    server: SocketAddr,
    sealing: Sealing,
    open: Decryptor,
    next_ping: Instant,
    answered: bool,
    /// Newest sequence number of each speaker.
    newest: Vec<(u64, u64)>,
}

impl MumbleEar {
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub fn is_open(&self) -> bool {
        self.answered
    }

    /// Whether the server answered for the first time.
    pub fn take(&mut self, datagram: &mut [u8], arrival: &mut Arrival<'_>) -> bool {
        let Some(plain) = self.open.open(datagram) else {
            arrival.unopened_mumble();
            return false;
        };
        match plain.first().map(|first| first & 0xe0) {
            Some(PING) => !std::mem::replace(&mut self.answered, true),
            Some(OPUS) => {
                match read_voice(&plain[1..]) {
                    Some((speaker, sequence, payload)) => {
                        let in_order = self.note(speaker, sequence);
                        arrival.frame(payload, in_order);
                    }
                    None => arrival.strange(),
                }
                false
            }
            _ => {
                arrival.strange();
                false
            }
        }
    }

    pub fn keep_up(&mut self, now: Instant) {
        if self.next_ping > now {
            return;
        }
        self.next_ping = now
            + if self.answered {
                PING_EVERY
            } else {
                PING_AGAIN
            };
        let mut sealed = Vec::with_capacity(16);
        lock(&self.sealing).seal(&[PING, 1], &mut sealed);
        let _ = self.socket.send_to(&sealed, self.server);
    }

    fn note(&mut self, speaker: u64, sequence: u64) -> bool {
        match self.newest.iter_mut().find(|(known, _)| *known == speaker) {
            Some((_, newest)) => {
                let in_order = sequence > *newest;
                *newest = sequence.max(*newest);
                in_order
            }
            None => {
                self.newest.push((speaker, sequence));
                true
            }
        }
    }
}

/// Speaker, sequence number and frame of what follows the first byte.
fn read_voice(mut rest: &[u8]) -> Option<(u64, u64, &[u8])> {
    let speaker = read_varint(&mut rest)?;
    let sequence = read_varint(&mut rest)?;
    // Bit 13 says that it is the last of a talkspurt.
    let len = read_varint(&mut rest)? & 0x1fff;
    let payload = rest.get(..usize::try_from(len).ok()?)?;
    Some((speaker, sequence, payload))
}

/// Mumble's own numbers: the leading ones of the first byte say how many bytes follow.
fn write_varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x4000 => out.extend_from_slice(&(value as u16 | 0x8000).to_be_bytes()),
        0x4000..0x20_0000 => {
            out.push((value >> 16) as u8 | 0xc0);
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        0x20_0000..0x1000_0000 => {
            out.extend_from_slice(&(value as u32 | 0xe000_0000).to_be_bytes());
        }
        _ => {
            out.push(0xf4);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let (first, after) = rest.split_first()?;
    let (more, value) = match first.leading_ones() {
        0 => (0, first & 0x7f),
        1 => (1, first & 0x3f),
        2 => (2, first & 0x1f),
        3 => (3, first & 0x0f),
        4 if first & 0x0c == 0 => (4, 0),
        4 | 5 if first & 0x0c == 0x04 => (8, 0),
        _ => return None,
    };
    let (bytes, after) = after.split_at_checked(more)?;
    *rest = after;
    Some(bytes.iter().fold(u64::from(value), |value, byte| {
        value << 8 | u64::from(*byte)
    }))
}

fn lock(sealing: &Sealing) -> std::sync::MutexGuard<'_, Encryptor> {
    sealing.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for value in [
            0,
            1,
            0x7f,
            0x80,
            0x3fff,
            0x4000,
            0x1f_ffff,
            0x20_0000,
            0xfff_ffff,
            1 << 28,
            1 << 40,
        ] {
            let mut bytes = Vec::new();
            write_varint(value, &mut bytes);
            let mut rest = &bytes[..];
            assert_eq!(read_varint(&mut rest), Some(value));
            assert!(rest.is_empty());
            assert_eq!(read_varint(&mut &bytes[..bytes.len() - 1]), None);
        }
    }
}
