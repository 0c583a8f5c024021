//! What the processes say to each other: one JSON value a line, over stdin and stdout.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::Context;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::mumble::MumbleAddress;

/// What the load is to do.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    pub link: String,
    pub users: usize,
    pub channels: usize,
    /// Of each channel.
    pub speakers: usize,
    /// All of them in one stage room instead.
    pub stage: bool,
    pub pps: u32,
    pub bytes: usize,
    pub bundles: bool,
    /// The speakers of a channel send at the same moment.
    pub together: bool,
    /// How datagrams travel to the server and back.
    pub carrier: String,
    /// Every server gets so many turns...
    pub turns: u32,
    /// ...but the bare forwarder only the first few.
    pub bare_turns: u32,
    pub turn_ms: u64,
    /// The same people are to be there too.
    pub mumble: Option<MumbleAddress>,
}

/// Users' UDP addresses, by channel.
pub type Addresses = Vec<Vec<SocketAddr>>;

#[derive(Serialize, Deserialize)]
pub struct BareAddress(pub SocketAddr);

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Server,
    Bare,
    Mumble,
}

impl Target {
    pub const ALL: [Self; 3] = [Self::Server, Self::Bare, Self::Mumble];
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub enum FromLoad {
    Joined {
        addresses: Addresses,
        joined_s: f64,
    },
    /// Everybody is on Mumble's server too.
    JoinedMumble {
        joined_s: f64,
    },
    /// From now on what is sent to this target is measured.
    Begins(Target),
    Ends(Target),
    Done(Box<Report>),
}

/// What the load saw.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub struct Report {
    pub server: Seen,
    pub bare: Seen,
    pub mumble: Option<Seen>,
    /// Anything that should not have happened, and how often.
    pub oddities: Vec<(String, u64)>,
}

/// What was measured towards one target.
#[derive(Serialize, Deserialize, Debug, Default, PartialEq)]
pub struct Seen {
    pub measured_s: f64,
    pub sent: u64,
    /// Sent, times the listeners of each.
    pub expected: u64,
    pub frames: u64,
    pub datagrams: u64,
    pub bundles: u64,
    /// Behind a later frame of the same speaker.
    pub reordered: u64,
    /// From before sealing to when the kernel received it for the listener.
    pub delay_us: Quantiles,
    /// How much later than planned packets were sent.
    pub late_us: Quantiles,
}

#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Quantiles {
    /// Exact, of nanoseconds; in microseconds.
    pub fn of(mut values_ns: Vec<u32>) -> Self {
        values_ns.sort_unstable();
        let at = |share: f64| {
            let last = values_ns.len().saturating_sub(1);
            let rank = (share * last as f64).round() as usize;
            values_ns
                .get(rank)
                .map_or(0.0, |value| f64::from(*value) / 1e3)
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }
}

/// This program again, with another command. Ends when dropped.
pub struct Child {
    child: std::process::Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    pub fn start(command: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {command}"))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped");
        };
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn tell(&mut self, what: &impl Serialize) -> anyhow::Result<()> {
        writeln!(self.stdin, "{}", serde_json::to_string(what)?)
            .context("a process of the benchmark is gone")
    }

    pub fn hear<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        read(&mut self.stdout)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next value from whoever started this process, or from one that it started.
pub fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> anyhow::Result<T> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    if line.is_empty() {
        anyhow::bail!("a process of the benchmark ended early");
    }
    Ok(serde_json::from_str(&line)?)
}

/// Tells whoever started this process.
pub fn say(what: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what)?)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        let quantiles = Quantiles::of((0..=1000).rev().map(|us| us * 1000).collect());
        assert_eq!(
            (quantiles.p50, quantiles.p99, quantiles.p999, quantiles.max),
            (500.0, 990.0, 999.0, 1000.0)
        );
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }
}
