//! Hostile datagrams, while people talk: noise, noise dressed as each protocol that the port speaks, and copies of somebody's real
//! datagrams, truncated, altered, whole, and from other addresses than that person's.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::time;
use voxhall_protocol::{
    control::{
        ChannelKind, EpochKey, Event, Incoming, JoinVoice, Ping, VoiceGrant, parse_from_server,
    },
    link::Link,
    voice::{
        Datagram, DatagramKind, MAX_DATAGRAM, PathClient, RtpHeader, Sealer, SessionKeys,
        TransactionId, classify,
    },
};
use voxhall_testkit::{
    process::{BotProcess, ServerProcess},
    signal, wav,
};

use super::{Args, Outcome, runtime};
use crate::{jitter::Rng, proc_fs::rss_kib, wire::Wire};

const SEED: u64 = 1;
const RATE_HZ: u32 = 48_000;
const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: u32 = 960;
/// The server cuts it off before forwarding.
const HOP_TAG: usize = 10;
/// What the attacker knows of the victim's newest datagrams.
const OVERHEARD: usize = 256;
const ATTACKERS: u8 = 16;
/// Talk before and after the flood.
const CALM: Duration = Duration::from_secs(3);
/// The allocator's own doing; 10 million datagrams that left anything behind would be far more.
const MOST_GROWTH_KIB: u64 = 2_048;

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let server = ServerProcess::start_with(["--log", "error"])?;
    let seconds = args.hostile.div_ceil(args.hostile_per_s.max(1)) + 15;
    let sounds = tempfile::tempdir()?;
    let speech = sounds.path().join("speech.wav");
    wav::save(&speech, RATE_HZ, &signal::speech(1, RATE_HZ, 10.0))?;
    let play = speech.display().to_string();
    let stay = seconds.to_string();
    let talk = ["--play", &play, "--repeat", "--open", "--seconds", &stay];
    let bots = ["ann", "bob"].map(|name| BotProcess::join(server.invite(), name, talk));
    let mut victim = Member::join(server.invite(), "victim")?;
    let mut ear = Member::join(server.invite(), "ear")?;
    let stop = Arc::new(AtomicBool::new(false));
    let overheard = Arc::new(Mutex::new(Vec::new()));

    let listening = {
        let (stop, ssrc) = (Arc::clone(&stop), victim.grant.ssrc.0);
        thread::Builder::new()
            .name("ear".into())
            .spawn(move || ear.listen(ssrc, &stop))?
    };
    let speaking = {
        let (stop, overheard) = (Arc::clone(&stop), Arc::clone(&overheard));
        thread::Builder::new()
            .name("victim".into())
            .spawn(move || victim.speak(&stop, &overheard))?
    };
    thread::sleep(CALM);
    let before = rss_kib(server.id())?;
    let flood = Flood::new(server.udp_address(), overheard, args.hostile_per_s)?;
    let flooded = flood.run(args.hostile);
    thread::sleep(CALM);
    let growth = rss_kib(server.id()).context("the server is gone")?;
    let growth = growth.saturating_sub(before);
    stop.store(true, Relaxed);
    let spoken = speaking.join().expect("a panic ends the run")?;
    let heard = listening.join().expect("a panic ends the run")?;

    let sent: HashSet<&[u8]> = spoken.frames.iter().map(Vec::as_slice).collect();
    let genuine = heard.iter().filter(|frame| sent.contains(frame.as_slice()));
    let genuine: HashSet<_> = genuine.collect();
    let forged = heard.len() - genuine.len();
    // What was on its way when the ear stopped listening is not lost.
    let lost = sent.len().saturating_sub(genuine.len() + 5);
    let mut delivery: f64 = 1.0;
    for bot in bots {
        let stats = bot?.finish(Duration::from_secs(seconds + 60))?;
        let speakers = stats["speakers"].as_array().context("no statistics")?;
        let talkers = speakers
            .iter()
            .filter(|speaker| speaker["name"] == "ann" || speaker["name"] == "bob");
        let delivered: Vec<_> = talkers.filter_map(|it| it["delivery"].as_f64()).collect();
        ensure!(!delivered.is_empty(), "a bot heard nobody");
        delivery = delivered.into_iter().fold(delivery, f64::min);
    }
    let panicked = server.log().contains("panicked");
    let share = lost as f64 / sent.len().max(1) as f64;
    Ok(Outcome {
        passed: forged == 0
            && share < 1e-3
            && delivery > 0.999
            && growth <= MOST_GROWTH_KIB
            && !flooded.amplified
            && !panicked
            && spoken.open,
        figure: format!(
            "{} datagrams in {:.0} s: {forged} forgeries or copies forwarded; of {} real frames {:.3} % lost, the talkers' voice delivered {:.3} %; \
             {} answers, {} B for {} B, {}; memory +{growth} KiB; the victim's path {}",
            flooded.sent,
            flooded.took.as_secs_f64(),
            sent.len(),
            100.0 * share,
            100.0 * delivery,
            flooded.answers,
            flooded.bytes_in,
            flooded.bytes_out,
            if flooded.amplified {
                "some LONGER than any request"
            } else {
                "none longer than a request"
            },
            if spoken.open {
                "stayed open"
            } else {
                "was LOST"
            },
        ),
    })
}

/// Someone in the first voice channel, without an engine: what is sent and received is looked at byte by byte.
struct Member {
    grant: VoiceGrant,
    path: PathClient,
    sealer: Sealer,
    keys: mpsc::Receiver<EpochKey>,
    socket: UdpSocket,
    rng: Rng,
}

struct Spoken {
    /// Without their hop tags, as they are forwarded.
    frames: Vec<Vec<u8>>,
    open: bool,
}

impl Member {
    fn join(link: &str, name: &'static str) -> anyhow::Result<Self> {
        let link: Link = link.parse()?;
        let (tell, told) = mpsc::sync_channel(1);
        let (tell_key, keys) = mpsc::sync_channel(64);
        thread::Builder::new().name(name.into()).spawn(move || {
            let stay = async {
                let (wire, server, grant) = enter(&link, name).await?;
                tell.send(Ok((server, grant)))?;
                stay(wire, &tell_key).await
            };
            let ended: anyhow::Result<()> = match runtime() {
                Ok(runtime) => runtime.block_on(stay),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = ended {
                let _ = tell.try_send(Err(error));
            }
        })?;
        let (server, grant) = told.recv()??;
        let session = SessionKeys::derive(&grant.secret);
        let mut sealer = Sealer::new(grant.sender_index, session.hop_up);
        sealer.set_key(grant.key.epoch, &grant.key.base_key);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        let mut member = Self {
            path: PathClient::new(grant.voice_session, session.stun, Instant::now()),
            grant: *grant,
            sealer,
            keys,
            socket,
            rng: Rng::new(SEED),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !member.path.is_open() {
            ensure!(Instant::now() < deadline, "{name}'s path does not open");
            member.keep_open()?;
            member.receive(|_| {})?;
        }
        Ok(member)
    }

    /// Sends the request that is due, and gives it.
    fn keep_open(&mut self) -> io::Result<Option<Datagram>> {
        let now = Instant::now();
        let mut transaction = [0; 12];
        self.rng.fill(&mut transaction);
        let mut request = Datagram::new();
        if now < self.path.next_due()
            || !self
                .path
                .poll(now, TransactionId(transaction), &mut request)
        {
            return Ok(None);
        }
        self.socket.send(request.as_slice())?;
        Ok(Some(request))
    }

    /// Waits a moment for datagrams; those that aren't answers to requests are shown.
    fn receive(&mut self, mut show: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; MAX_DATAGRAM];
        match self.socket.recv(&mut buffer) {
            Ok(len) if buffer[0] < 4 => {
                let _ = self.path.handle(Instant::now(), &buffer[..len]);
            }
            Ok(len) => show(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A frame every 20 ms. The attacker hears all of what is sent.
    fn speak(&mut self, stop: &AtomicBool, overheard: &Mutex<Vec<Vec<u8>>>) -> io::Result<Spoken> {
        let mut frames = Vec::new();
        let mut next = Instant::now();
        let hear = |datagram: &[u8]| {
            let mut overheard = overheard.lock().expect("nobody panics holding it");
            if overheard.len() == OVERHEARD {
                overheard.remove(0);
            }
            overheard.push(datagram.to_vec());
        };
        while !stop.load(Relaxed) {
            if let Some(request) = self.keep_open()? {
                hear(request.as_slice());
            }
            while let Ok(key) = self.keys.try_recv() {
                self.sealer.set_key(key.epoch, &key.base_key);
            }
            if Instant::now() >= next {
                next += FRAME;
                let at = frames.len() as u32;
                let header = RtpHeader {
                    marker: at == 0,
                    sequence: at as u16,
                    timestamp: at.wrapping_mul(FRAME_SAMPLES),
                    ssrc: self.grant.ssrc,
                    audio_level: None,
                };
                let mut sound = [0; 80];
                self.rng.fill(&mut sound);
                let mut frame = Datagram::new();
                self.sealer
                    .seal(&header, &sound, &mut frame)
                    .expect("80 bytes fit");
                let frame = frame.as_slice();
                self.socket.send(frame)?;
                hear(frame);
                frames.push(frame[..frame.len() - HOP_TAG].to_vec());
            }
            self.receive(|_| {})?;
        }
        Ok(Spoken {
            frames,
            open: self.path.is_open(),
        })
    }

    /// All that is forwarded in the name of `ssrc`.
    fn listen(&mut self, ssrc: u32, stop: &AtomicBool) -> io::Result<Vec<Vec<u8>>> {
        let mut heard = Vec::new();
        while !stop.load(Relaxed) {
            self.keep_open()?;
            self.receive(|datagram| {
                if classify(datagram) == DatagramKind::Rtp
                    && datagram.get(8..12) == Some(&ssrc.to_be_bytes())
                {
                    heard.push(datagram.to_vec());
                }
            })?;
        }
        Ok(heard)
    }
}

async fn enter(link: &Link, name: &str) -> anyhow::Result<(Wire, SocketAddr, Box<VoiceGrant>)> {
    let mut wire = Wire::open(link).await?;
    let credentials = wire.guest(link, name).await?;
    let ready = wire.begin(credentials.access_token).await?;
    let mut channels = ready.guilds.iter().flat_map(|guild| &guild.channels);
    let channel_id = channels
        .find(|channel| channel.kind == ChannelKind::Voice)
        .context("the server has no voice channel")?
        .id;
    let grant = wire
        .call(&JoinVoice {
            channel_id,
            muted: false,
            deafened: false,
            // Each frame by itself, to be compared with what was sent.
            bundles: false,
        })
        .await?;
    let server = wire.server();
    Ok((wire, server, Box::new(grant)))
}

/// Until nobody wants the keys any more.
async fn stay(mut wire: Wire, keys: &mpsc::SyncSender<EpochKey>) -> anyhow::Result<()> {
    let mut beat = time::interval(wire.heartbeat());
    loop {
        let text = tokio::select! {
            text = wire.text() => text?,
            _ = beat.tick() => {
                wire.send(&Ping {}).await?;
                continue;
            }
        };
        if let Incoming::Event {
            event: Some(Event::VoiceRekeyed { key, .. }),
            ..
        } = parse_from_server(&text)?
            && keys.send(key).is_err()
        {
            return Ok(());
        }
    }
}

/// Many addresses that send whatever may do harm.
struct Flood {
    sockets: Vec<UdpSocket>,
    overheard: Arc<Mutex<Vec<Vec<u8>>>>,
    per_s: u64,
    rng: Rng,
}

#[derive(Default)]
struct Flooded {
    sent: u64,
    bytes_out: u64,
    answers: u64,
    bytes_in: u64,
    /// An answer was longer than the shortest real request, which are all that is ever answered.
    amplified: bool,
    took: Duration,
}

impl Flood {
    fn new(
        server: SocketAddr,
        overheard: Arc<Mutex<Vec<Vec<u8>>>>,
        per_s: u64,
    ) -> io::Result<Self> {
        let sockets = (1..=ATTACKERS)
            .map(|n| {
                let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, n), 0))?;
                socket.connect((Ipv4Addr::LOCALHOST, server.port()))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            sockets,
            overheard,
            per_s,
            rng: Rng::new(SEED),
        })
    }

    fn run(mut self, count: u64) -> Flooded {
        let start = Instant::now();
        let mut flooded = Flooded::default();
        let mut known = Vec::new();
        let mut answer = [0; 2_048];
        for n in 0..count {
            if n % 128 == 0 {
                let due = Duration::from_secs_f64(n as f64 / self.per_s as f64);
                thread::sleep(due.saturating_sub(start.elapsed()));
                known.clone_from(&self.overheard.lock().expect("nobody panics holding it"));
            }
            let datagram = self.next(&known);
            let socket = &self.sockets[n as usize % self.sockets.len()];
            // What the kernel refuses was not sent.
            if socket.send(&datagram).is_ok() {
                flooded.sent += 1;
                flooded.bytes_out += datagram.len() as u64;
            }
            let requests = known.iter().filter(|datagram| datagram[0] < 4);
            while let Ok(len) = socket.recv(&mut answer) {
                flooded.answers += 1;
                flooded.bytes_in += len as u64;
                let shortest = requests.clone().map(Vec::len).min().unwrap_or(0);
                flooded.amplified |= len > shortest;
            }
        }
        flooded.amplified |= flooded.bytes_in > flooded.bytes_out;
        flooded.took = start.elapsed();
        flooded
    }

    fn next(&mut self, known: &[Vec<u8>]) -> Vec<u8> {
        let rng = &mut self.rng;
        let kind = if known.is_empty() { 0 } else { rng.below(7) };
        if kind < 2 {
            let mut noise = vec![0; 1 + rng.below(1_399)];
            rng.fill(&mut noise);
            if rng.below(2) == 0 {
                // STUN, a bundle, QUIC with a long and a short header, RTP and RTCP.
                const FIRSTS: [[u8; 2]; 7] = [
                    [0, 1],
                    [1, 1],
                    [4, 0],
                    [0xc0, 0],
                    [0x40, 0],
                    [0x80, 111],
                    [0x81, 201],
                ];
                let first = FIRSTS[rng.below(FIRSTS.len())];
                let len = noise.len().min(2);
                noise[..len].copy_from_slice(&first[..len]);
            }
            return noise;
        }
        // The newest are those that a window has not seen the end of.
        let mut copy = known[rng.below(known.len())].clone();
        match kind {
            2 => copy.truncate(1 + rng.below(copy.len() - 1)),
            3 | 4 => {
                for _ in 0..1 + rng.below(3) {
                    let bit = rng.below(copy.len() * 8);
                    copy[bit / 8] ^= 1 << (bit % 8);
                }
            }
            5 => copy.extend_from_slice(&rng.next().to_be_bytes()),
            // As it was, from elsewhere.
            _ => {}
        }
        copy
    }
}
