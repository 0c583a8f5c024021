//! What Linux says about processes, threads and sockets.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::Context;
use nix::time::{ClockId, clock_gettime};

/// CPU time of a process's threads so far.
#[derive(Debug, Default)]
pub struct CpuTime(HashMap<String, Thread>);

#[derive(Debug, Clone)]
struct Thread {
    name: String,
    time: Duration,
    /// The part of it outside the kernel, as far as ticks of 10 ms tell.
    user: Duration,
    /// How often it got a core; nothing where the kernel doesn't count.
    runs: u64,
}

impl CpuTime {
    /// By the scheduler's own clock, to the nanosecond; where the kernel doesn't keep it, by ticks of 10 ms.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"))
            .with_context(|| format!("process {pid} has no CPU time to read (only Linux has)"))?;
        let mut threads = HashMap::new();
        for task in tasks.flatten() {
            // A thread may end while we look.
            let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
            let precise = read("schedstat").and_then(|text| {
                let mut fields = text.split_whitespace();
                let ns = fields.next()?.parse().ok()?;
                let runs = fields.nth(1)?.parse().ok()?;
                Some((Duration::from_nanos(ns), runs))
            });
            let Some(stat) = read("stat") else { continue };
            let Some(thread) = parse_stat(&stat) else {
                continue;
            };
            let (time, runs) = precise.unwrap_or((thread.time, 0));
            let thread = Thread {
                time,
                runs,
                ..thread
            };
            threads.insert(task.file_name().to_string_lossy().into_owned(), thread);
        }
        Ok(Self(threads))
    }

    /// What each thread spent since `before`. Threads that ended meanwhile are not in it: the server's do so when idle.
    pub fn since(&self, before: &Self) -> Self {
        let spent = |(id, thread): (&String, &Thread)| {
            let mut spent = thread.clone();
            if let Some(before) = before.0.get(id) {
                spent.time = thread.time.saturating_sub(before.time);
                spent.user = thread.user.saturating_sub(before.user);
                spent.runs = thread.runs.saturating_sub(before.runs);
            }
            (id.clone(), spent)
        };
        Self(self.0.iter().map(spent).collect())
    }

    pub fn total(&self) -> Duration {
        self.0.values().map(|thread| thread.time).sum()
    }

    /// Of the threads whose name starts so.
    pub fn named(&self, start: &str) -> Duration {
        self.threads(start).map(|thread| thread.time).sum()
    }

    /// Of these threads, outside the kernel.
    pub fn user_of(&self, start: &str) -> Duration {
        self.threads(start).map(|thread| thread.user).sum()
    }

    /// How often they were run, which is how often they woke up on a machine with nothing else to do.
    pub fn runs_of(&self, start: &str) -> u64 {
        self.threads(start).map(|thread| thread.runs).sum()
    }

    fn threads(&self, start: &str) -> impl Iterator<Item = &Thread> {
        self.0
            .values()
            .filter(move |thread| thread.name.starts_with(start))
    }
}

fn parse_stat(stat: &str) -> Option<Thread> {
    // The name may hold spaces and brackets; nothing after it does.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    // utime and stime, fields 14 and 15 of the line; a tick is 10 ms on every Linux there is.
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let (user, system) = (ticks(11)?, ticks(12)?);
    Some(Thread {
        name,
        time: Duration::from_millis((user + system) * 10),
        user: Duration::from_millis(user * 10),
        runs: 0,
    })
}

/// CPU time of the thread that asks, so far.
pub fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Into::into)
}

pub fn rss_kib(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .context("the process has no VmRSS")
}

/// Runnable tasks over the last minute.
pub fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

pub fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Datagrams that the kernel dropped for want of buffer.
#[derive(Debug, Default, Clone, Copy)]
pub struct UdpDrops {
    /// On the server's socket.
    pub server: u64,
    /// On all sockets of the machine.
    pub all: u64,
}

impl UdpDrops {
    pub fn now(server_port: u16) -> Self {
        let sockets = ["udp", "udp6"].iter().filter_map(|file| {
            let text = fs::read_to_string(format!("/proc/net/{file}")).ok()?;
            Some(drops_of_port(&text, server_port))
        });
        let counters = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
        Self {
            server: sockets.sum(),
            all: receive_buffer_errors(&counters).unwrap_or(0),
        }
    }

    pub fn since(self, before: &Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            all: self.all.saturating_sub(before.all),
        }
    }
}

fn drops_of_port(table: &str, port: u16) -> u64 {
    let local = format!(":{port:04X}");
    table
        .lines()
        .filter(|line| {
            line.split_whitespace()
                .nth(1)
                .is_some_and(|address| address.ends_with(&local))
        })
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .sum()
}

fn receive_buffer_errors(counters: &str) -> Option<u64> {
    let mut lines = counters.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names
        .split(' ')
        .position(|name| name.trim() == "RcvbufErrors")?;
    values.split(' ').nth(at)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_thread_is_called() {
        let line = "7 (media) 0 (x)) S 1 7 7 0 -1 4194304 100 0 0 0 123 45 0 0 20 0 1 0 99 1 2";
        let thread = parse_stat(line).expect("complete");
        assert_eq!(thread.name, "media) 0 (x)");
        assert_eq!(thread.time, Duration::from_millis(1_680));
        assert_eq!(thread.user, Duration::from_millis(1_230));
        assert!(parse_stat("7 (cut) S 1").is_none());
    }

    #[test]
    fn drops_are_read_by_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                      1: 00000000:2328 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 17\n\
                      2: 00000000:2329 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 5\n";
        assert_eq!(drops_of_port(table, 9000), 17);
        let counters =
            "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 1 2 3 4 5\n";
        assert_eq!(receive_buffer_errors(counters), Some(5));
    }

    #[test]
    fn this_process_has_used_cpu_and_memory() {
        let before = CpuTime::of(std::process::id()).expect("Linux");
        let mut sum = 0_u64;
        while CpuTime::of(std::process::id())
            .expect("Linux")
            .since(&before)
            .total()
            .is_zero()
        {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(rss_kib(std::process::id()).expect("Linux") > 100);
    }
}
