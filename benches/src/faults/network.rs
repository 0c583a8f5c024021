//! Two bots hear a tone of each other without a pause while the network of one of them changes: who is silent, and for how long.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;
use voxhall_protocol::voice::Carrier;
use voxhall_testkit::{
    process::{BotProcess, ServerProcess, finish_together},
    proxy::{Path, Proxy},
    signal,
    sim::{Impairment, Loss},
    wav,
};

use super::{Args, Outcome};

const RATE_HZ: u32 = 48_000;
const JOINED: Duration = Duration::from_secs(6);
/// More datagrams a second than what keeps a path open.
const VOICE_PER_S: u64 = 30;
const LOOKS_FOR: Duration = Duration::from_secs(1);

const REBOUND_WITHIN: Duration = Duration::from_millis(2_500);
const OVER_WITHIN: Duration = Duration::from_secs(3);
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// So much of what is lost at random has to be restored, with the seconds in which the speaker was not told of it yet.
const RESTORED: f64 = 0.5;

/// The NAT gives the path another port, four times.
pub fn rebinding(_: &Args) -> anyhow::Result<Outcome> {
    let heard = talk(22, &[], |proxy| {
        for pause_ms in [4_000, 3_700, 4_300, 3_900] {
            proxy.rebind();
            thread::sleep(Duration::from_millis(pause_ms));
        }
        Ok(())
    })?;
    Ok(Outcome {
        // What was on its way to the old ports is lost, or there were no new ones.
        passed: heard.delivery()? < 1.0 && heard.silent() <= REBOUND_WITHIN && !heard.fell_silent,
        figure: format!(
            "four new ports: {:.1} % delivered, silent for {:.2} s at most, {}",
            heard.delivery()? * 100.0,
            heard.silent().as_secs_f64(),
            match heard.fell_silent {
                true => "JOINED ANEW",
                false => "nobody joined anew",
            }
        ),
    })
}

/// No UDP passes for ten seconds.
pub fn udp_blocked(_: &Args) -> anyhow::Result<Outcome> {
    let mut back = None;
    let heard = talk(34, &[], |proxy| {
        proxy.black_hole(true);
        thread::sleep(Duration::from_secs(10));
        proxy.black_hole(false);
        let passes = Instant::now();
        while passes.elapsed() + LOOKS_FOR <= BACK_WITHIN {
            let before = proxy.stats().1.delivered;
            thread::sleep(LOOKS_FOR);
            if proxy.stats().1.delivered - before > VOICE_PER_S {
                back = Some(passes.elapsed());
                break;
            }
        }
        Ok(())
    })?;
    let carriers = heard.carriers();
    let over = carriers.contains(&Carrier::WebSocket.name());
    let returned = carriers.last() == Some(&Carrier::Udp.name());
    Ok(Outcome {
        passed: over && returned && heard.silent() <= OVER_WITHIN && back.is_some(),
        figure: format!(
            "silent for {:.2} s at most; {}; datagrams again {}",
            heard.silent().as_secs_f64(),
            carriers.join(", then "),
            match back {
                Some(after) => format!("within {:.0} s", after.as_secs_f64().ceil()),
                None => "NEVER".to_owned(),
            }
        ),
    })
}

/// A firewall forgets the WebSocket that voice goes by, and tells neither end.
pub fn websocket_stalled(_: &Args) -> anyhow::Result<Outcome> {
    let heard = talk(16, &["--carrier", Carrier::WebSocket.name()], |proxy| {
        proxy.stall_connections();
        Ok(())
    })?;
    let silent = heard.silent();
    Ok(Outcome {
        // What did not stall was not silent either.
        passed: silent >= Duration::from_millis(200) && silent <= OVER_WITHIN,
        figure: format!("silent for {:.2} s at most", silent.as_secs_f64()),
    })
}

/// Each tenth packet to one of them is lost.
pub fn loss(_: &Args) -> anyhow::Result<Outcome> {
    let ratio = 0.1;
    let heard = talk(40, &["--carrier", "udp"], |proxy| {
        proxy.set(Path {
            down: Impairment::default().with_loss(Loss::Random(ratio)),
            ..Path::default()
        });
        Ok(())
    })?;
    let (delivery, concealed) = (heard.delivery()?, heard.of_speaker("concealed")?);
    let lost = 1.0 - delivery;
    ensure!(lost > ratio / 2.0, "only {:.1} % was lost", lost * 100.0);
    Ok(Outcome {
        passed: concealed <= lost * (1.0 - RESTORED),
        figure: format!(
            "of {:.1} % lost {:.0} % restored by redundancy; {:.2} % of the sound made up",
            lost * 100.0,
            (1.0 - concealed / lost) * 100.0,
            concealed * 100.0
        ),
    })
}

struct Heard {
    /// Statistics of who is far.
    far: Value,
    sounds: [Vec<f32>; 2],
    /// The server took one of them for gone.
    fell_silent: bool,
}

impl Heard {
    /// The longest silence of the two; endless where there was sound no more.
    fn silent(&self) -> Duration {
        let each = self.sounds.iter().map(|sound| {
            match signal::silences(sound, RATE_HZ) {
                // The other one leaves first, and what is on its way is played out.
                Some((within, end)) if end < Duration::from_secs(2) => within,
                _ => Duration::MAX,
            }
        });
        each.max().unwrap_or(Duration::MAX)
    }

    /// What who is far knows of the other.
    fn of_speaker(&self, figure: &str) -> anyhow::Result<f64> {
        let speaker = &self.far["speakers"][0];
        (speaker[figure].as_f64()).with_context(|| format!("no {figure} in {}", self.far))
    }

    /// Share of the packets that reached who is far.
    fn delivery(&self) -> anyhow::Result<f64> {
        self.of_speaker("delivery")
    }

    /// Of who is far, in order.
    fn carriers(&self) -> Vec<&str> {
        let carriers = self.far["carriers"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        carriers.iter().filter_map(Value::as_str).collect()
    }
}

/// Somebody beside the server and somebody far, behind the proxy, talk for so many seconds; once they do, `happen` does things to the proxy.
fn talk(
    seconds: u32,
    more: &[&str],
    happen: impl FnOnce(&Proxy) -> anyhow::Result<()>,
) -> anyhow::Result<Heard> {
    let server = ServerProcess::start()?;
    let proxy = Proxy::start(server.address(), Path::default(), 1)?;
    let files = tempfile::tempdir()?;
    let tone = files.path().join("tone.wav");
    wav::save(&tone, RATE_HZ, &signal::tone(RATE_HZ))?;
    let join = |name: &str, link: &str| -> anyhow::Result<BotProcess> {
        let record = recording(&files, name);
        let (seconds, tone, record) = (
            seconds.to_string(),
            tone.to_string_lossy(),
            record.to_string_lossy(),
        );
        let mut args = vec![
            "--channel",
            "lounge",
            "--seconds",
            &seconds,
            "--record",
            &record,
            "--play",
            &tone,
            "--repeat",
            "--open",
        ];
        args.extend(more);
        Ok(BotProcess::join(link, name, args)?)
    };
    let bots = [
        join("near", server.invite())?,
        join("far", &proxy.through(server.invite()))?,
    ];
    thread::sleep(JOINED);
    happen(&proxy)?;
    let [_, far] = finish_together(bots, Duration::from_secs(u64::from(seconds) + 30))?;
    let sound = |name| -> anyhow::Result<Vec<f32>> {
        Ok(wav::load(recording(&files, name))?.channels.swap_remove(0))
    };
    Ok(Heard {
        far,
        sounds: [sound("near")?, sound("far")?],
        fell_silent: server.log().contains("a voice path fell silent"),
    })
}

fn recording(files: &TempDir, name: &str) -> std::path::PathBuf {
    files.path().join(format!("{name}.wav"))
}
