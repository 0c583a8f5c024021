//! `join`: comes into a voice channel, speaks a file, records what it hears, and says how it went.
//!
//! It is the same session and the same voice engine as the desktop app's; only the sound card is a clock and a file.

use std::{
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use voxhall_protocol::{
    SecretText,
    control::{Channel, ChannelKind},
    link::Link,
    voice::Carrier,
};
use voxhall_session::{
    Channels, Connection, FrameLength, Identity, Intent, Microphone, Music, NoiseSuppression,
    Options, Processing, Session, State, VoicePath,
};

use crate::{
    device::{EachRecorder, FileDevice, FileSound},
    report,
};

/// How long joining may take before the bot gives up.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Args)]
pub struct Join {
    /// Invite link: voxhall://host:9000/CODE#PIN
    link: Link,
    /// The name to go by.
    #[arg(long, default_value = "bot")]
    name: String,
    /// Sign in to the account NAME with the password in this environment variable, instead of coming as a guest.
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// Voice channel; the first one if not given.
    #[arg(long)]
    channel: Option<String>,
    #[command(flatten)]
    sound: FileSound,
    /// Record every speaker apart, into DIR/NAME.wav.
    #[arg(long, value_name = "DIR")]
    record_each: Option<PathBuf>,
    /// Print statistics as one JSON object on the last line.
    #[arg(long)]
    stats: bool,
    /// Bring everybody to the same loudness in the mix. Otherwise it is as they were heard.
    #[arg(long)]
    level_voices: bool,
    /// Sound per packet, ms: 2.5, 5, 10, 20, 40 or 60.
    #[arg(long, value_name = "MS", default_value = "10")]
    frame_ms: FrameLength,
    /// Send the file as music, in stereo: nothing is detected in it, and nothing done to it.
    #[arg(long, conflicts_with_all = ["echo", "noise", "gain"])]
    music: bool,
    /// Bits for music, as far as the channel allows them.
    #[arg(long, value_name = "KBIT/S", default_value_t = 256, requires = "music", value_parser = clap::value_parser!(u32).range(8..=510))]
    music_kbps: u32,
    /// Send music in one channel.
    #[arg(long, requires = "music")]
    mono: bool,
    /// Take out of the file what is heard, as the app does with a microphone.
    #[arg(long)]
    echo: bool,
    /// Take noise out of the file: off, low or high.
    #[arg(long, value_name = "LEVEL", default_value = "off", value_parser = noise)]
    noise: NoiseSuppression,
    /// Bring what the file says to the usual level.
    #[arg(long)]
    gain: bool,
    /// The only way that voice may travel: udp, quic or websocket. Otherwise the best that passes.
    #[arg(long)]
    carrier: Option<Carrier>,
}

pub fn run(join: &Join) -> anyhow::Result<()> {
    let (wake, woken) = mpsc::sync_channel(1);
    let interrupt = wake.clone();
    let interrupted = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = std::sync::Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        flag.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = interrupt.try_send(());
    })
    .context("can't listen for Ctrl+C")?;

    let each = join
        .record_each
        .as_deref()
        .map(EachRecorder::start)
        .transpose()?;
    let session = Session::start(Options {
        on_change: Box::new(move || {
            let _ = wake.try_send(());
        }),
        tap: each.as_ref().map(EachRecorder::tap),
        carrier: join.carrier,
        ..Options::new(
            concat!("voxhall-bot/", env!("CARGO_PKG_VERSION")),
            "voxhall-bot",
        )
    })
    .context("can't start")?;
    session.send(Intent::SetFrameLength(join.frame_ms));
    session.send(Intent::SetLevelling(join.level_voices));
    session.send(Intent::SetMicrophone(microphone(join)));
    session.send(Intent::SetTransmit(join.sound.transmit()));
    session.send(Intent::Connect {
        link: join.link.clone(),
        identity: identity(join)?,
    });

    let until = |deadline: Instant,
                 done: &mut dyn FnMut(&State) -> anyhow::Result<bool>|
     -> anyhow::Result<bool> {
        loop {
            if done(&session.state())? {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || interrupted.load(std::sync::atomic::Ordering::Relaxed) {
                return Ok(false);
            }
            let _ = woken.recv_timeout(left.min(Duration::from_millis(200)));
        }
    };

    let deadline = Instant::now() + JOIN_TIMEOUT;
    if !until(deadline, &mut |state| {
        refused(state).map(|()| state.connection == Connection::Online)
    })? {
        bail!(
            "no answer from {} within {} s",
            join.link.authority(),
            JOIN_TIMEOUT.as_secs()
        );
    }
    let channel = find_channel(&session.state(), join.channel.as_deref())?;
    let device = FileDevice::start(session.attach_audio(), &join.sound)?;
    session.send(Intent::JoinVoice(channel.id));
    if !until(deadline, &mut |state| {
        refused(state).map(|()| matches!(state.voice.path, VoicePath::Open(_)))
    })? {
        bail!(
            "no voice path to {}: port {} seems blocked; open it on the server's firewall, for UDP as well",
            join.link.host,
            join.link.port
        );
    }
    device.speak();

    let stay = join.sound.seconds().or(device.lasts());
    let leave_at = stay.map_or_else(
        || Instant::now() + Duration::from_secs(365 * 24 * 3600),
        |stay| Instant::now() + stay,
    );
    let mut seen = report::Report::default();
    until(leave_at, &mut |state| {
        seen.observe(state, &session.meters());
        Ok(matches!(state.connection, Connection::Failed(_)))
    })?;

    seen.observe(&session.state(), &session.meters());
    let state = session.state();
    let heard = device.stop();
    drop(session);
    let recorded_s = join.sound.keep(&heard)?;
    if let Some(each) = each {
        each.finish(&state)?;
    }
    if join.stats {
        println!("{}", serde_json::to_string(&seen.finish(recorded_s))?);
    }
    match &state.connection {
        Connection::Failed(problem) => bail!(problem.in_full()),
        _ => Ok(()),
    }
}

fn microphone(join: &Join) -> Microphone {
    if !join.music {
        return Microphone::Speech(Processing {
            echo: join.echo,
            noise: join.noise,
            gain: join.gain,
        });
    }
    Microphone::Music(Music {
        channels: if join.mono {
            Channels::Mono
        } else {
            Channels::Stereo
        },
        bitrate_bps: join.music_kbps * 1_000,
        frame_length: join.frame_ms,
    })
}

fn noise(level: &str) -> Result<NoiseSuppression, String> {
    match level {
        "off" => Ok(NoiseSuppression::Off),
        "low" => Ok(NoiseSuppression::Low),
        "high" => Ok(NoiseSuppression::High),
        _ => Err("it is off, low or high".to_owned()),
    }
}

fn identity(join: &Join) -> anyhow::Result<Identity> {
    let name = join.name.clone();
    match &join.password_env {
        None => Ok(Identity::Guest { name }),
        Some(variable) => {
            let password = std::env::var(variable)
                .with_context(|| format!("the variable {variable} holds no password"))?;
            Ok(Identity::Login {
                name,
                password: SecretText(password),
            })
        }
    }
}

/// Stops at whatever a person would have to decide.
fn refused(state: &State) -> anyhow::Result<()> {
    match &state.connection {
        Connection::Failed(problem)
        | Connection::NeedsIdentity {
            problem: Some(problem),
            ..
        } => {
            bail!(problem.in_full())
        }
        _ => Ok(()),
    }
}

fn find_channel(state: &State, name: Option<&str>) -> anyhow::Result<Channel> {
    let voice = || {
        state
            .guilds
            .iter()
            .flat_map(|guild| guild.channels_of(ChannelKind::Voice))
    };
    let found = match name {
        Some(name) => voice().find(|channel| channel.name == name.trim_start_matches('#')),
        None => voice().next(),
    };
    match found {
        Some(channel) => Ok(channel.clone()),
        None => {
            let names: Vec<_> = voice().map(|channel| channel.name.as_str()).collect();
            bail!(
                "no voice channel {}; there are: {}",
                name.unwrap_or(""),
                names.join(", ")
            )
        }
    }
}
