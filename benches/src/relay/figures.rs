//! From what was counted to what is printed.

use std::time::Duration;

use serde::Serialize;

use super::{
    Args,
    talk::{Quantiles, Report, Seen},
};
use crate::{
    proc_fs::{self, CpuTime, UdpDrops},
    table::{heading, row},
};

const GOAL_P50_US: f64 = 30.0;
const GOAL_P99_US: f64 = 200.0;

/// CPU time of one target in its turns.
#[derive(Default)]
pub struct Cost {
    total: Duration,
    media: Duration,
    media_user: Duration,
    drops: UdpDrops,
}

impl Cost {
    pub fn add(&mut self, cpu: &CpuTime, drops: &UdpDrops) {
        self.total += cpu.total();
        self.media += cpu.named("media-");
        self.media_user += cpu.user_of("media-");
        self.drops.server += drops.server;
        self.drops.all += drops.all;
    }
}

pub struct Measured<'a> {
    pub args: &'a Args,
    pub report: &'a Report,
    pub server: &'a Cost,
    pub bare: &'a Cost,
    pub mumble: &'a Cost,
    pub mumble_rss_kib_per_user: f64,
    pub rss_kib_per_user: f64,
    pub rss_end_kib_per_user: f64,
    pub joined_s: f64,
    pub load_before: Option<f64>,
}

#[derive(Serialize)]
pub struct Figures {
    users: usize,
    channels: usize,
    stage: bool,
    speakers: usize,
    carrier: String,
    bundles: bool,
    in_pps: f64,
    pub out_frames_per_s: f64,
    pub out_datagrams_per_s: f64,
    pub delivery: f64,
    reordered: u64,
    /// `None` when the bare forwarder was itself overloaded.
    added_us: Option<Added>,
    delay_us: Quantiles,
    server_cpu_s: f64,
    media_thread_cpu_s: f64,
    /// Of the media threads' CPU, outside the kernel.
    media_thread_user_share: f64,
    cpu_s_per_million_frames: f64,
    media_thread_cpu_s_per_million_frames: f64,
    rss_kib_per_user: f64,
    /// After all was measured.
    rss_end_kib_per_user: f64,
    baseline_cpu_s_per_million: f64,
    baseline_delay_us: Quantiles,
    pub baseline_delivery: f64,
    pub baseline_frames_per_s: f64,
    pub mumble: Option<Mumble>,
    pacing_late_us: Quantiles,
    kernel_drops_server: u64,
    kernel_drops_all: u64,
    measured_s: f64,
    joined_s: f64,
    load_average_before: Option<f64>,
    cpu_model: Option<String>,
    not_measured: Vec<&'static str>,
}

/// Server's quantile minus the bare forwarder's.
#[derive(Serialize)]
struct Added {
    p50: f64,
    p99: f64,
    p999: f64,
}

/// Mumble's server under the same load, and ours beside it.
#[derive(Serialize)]
pub struct Mumble {
    pub delivery: f64,
    pub out_frames_per_s: f64,
    cpu_s_per_million_frames: f64,
    delay_us: Quantiles,
    rss_kib_per_user: f64,
    /// Ours divided by Mumble's.
    cpu_ratio: f64,
    delay_p50_ratio: f64,
    delay_p99_ratio: f64,
    rss_ratio: f64,
}

pub fn figures(measured: &Measured<'_>) -> Figures {
    let Measured {
        args,
        report: Report { server, bare, .. },
        ..
    } = measured;
    let per_s = |count: u64| count as f64 / server.measured_s;
    // With losses its delays are those of its full socket buffer.
    let bare_overloaded = bare.frames < bare.expected;
    let mut not_measured =
        vec!["the server's own counters (drops by reason): it does not show them"];
    if bare_overloaded {
        not_measured.push("what the server adds: the bare forwarder could not keep up");
    }
    let per_million = |cpu: Duration, frames: u64| cpu.as_secs_f64() / frames.max(1) as f64 * 1e6;
    let cpu = per_million(measured.server.total, server.frames);
    let mumble = measured.report.mumble.as_ref().map(|seen| {
        let theirs = per_million(measured.mumble.total, seen.frames);
        Mumble {
            delivery: delivery(seen),
            out_frames_per_s: seen.frames as f64 / seen.measured_s,
            cpu_s_per_million_frames: theirs,
            delay_us: seen.delay_us,
            rss_kib_per_user: measured.mumble_rss_kib_per_user,
            cpu_ratio: cpu / theirs,
            delay_p50_ratio: server.delay_us.p50 / seen.delay_us.p50,
            delay_p99_ratio: server.delay_us.p99 / seen.delay_us.p99,
            rss_ratio: measured.rss_kib_per_user / measured.mumble_rss_kib_per_user,
        }
    });
    Figures {
        mumble,
        users: args.users,
        channels: args.channels,
        stage: args.stage,
        speakers: args.speakers,
        carrier: args.carrier.to_string(),
        bundles: !args.no_bundles,
        in_pps: per_s(server.sent),
        out_frames_per_s: per_s(server.frames),
        out_datagrams_per_s: per_s(server.datagrams),
        delivery: delivery(server),
        reordered: server.reordered,
        added_us: (!bare_overloaded).then_some(Added {
            p50: server.delay_us.p50 - bare.delay_us.p50,
            p99: server.delay_us.p99 - bare.delay_us.p99,
            p999: server.delay_us.p999 - bare.delay_us.p999,
        }),
        delay_us: server.delay_us,
        server_cpu_s: measured.server.total.as_secs_f64(),
        media_thread_cpu_s: measured.server.media.as_secs_f64(),
        media_thread_user_share: measured.server.media_user.as_secs_f64()
            / measured.server.media.as_secs_f64().max(1e-9),
        cpu_s_per_million_frames: cpu,
        media_thread_cpu_s_per_million_frames: per_million(measured.server.media, server.frames),
        rss_kib_per_user: measured.rss_kib_per_user,
        rss_end_kib_per_user: measured.rss_end_kib_per_user,
        baseline_cpu_s_per_million: per_million(measured.bare.total, bare.frames),
        baseline_delay_us: bare.delay_us,
        baseline_delivery: delivery(bare),
        baseline_frames_per_s: bare.frames as f64 / bare.measured_s,
        pacing_late_us: server.late_us,
        kernel_drops_server: measured.server.drops.server,
        kernel_drops_all: measured.server.drops.all,
        measured_s: server.measured_s,
        joined_s: measured.joined_s,
        load_average_before: measured.load_before,
        cpu_model: proc_fs::cpu_model(),
        not_measured,
    }
}

fn delivery(seen: &Seen) -> f64 {
    seen.frames as f64 / seen.expected.max(1) as f64
}

pub fn print(figures: &Figures, report: &Report) {
    heading(format!(
        "Relay: {} users, {}, {} speakers in each, {}, bundles {}",
        figures.users,
        match figures.stage {
            true => "a stage room".to_owned(),
            false => format!("{} channels", figures.channels),
        },
        figures.speakers,
        figures.carrier,
        if figures.bundles { "on" } else { "off" },
    ));
    let per_s = |value: f64| format!("{value:.0} /s");
    let percent = |share: f64| format!("{:.4} %", share * 100.0);
    row("packets in", per_s(figures.in_pps), "");
    row("frames out", per_s(figures.out_frames_per_s), "");
    row(
        "datagrams out",
        per_s(figures.out_datagrams_per_s),
        format!("{} bundles in all", report.server.bundles),
    );
    row(
        "delivery",
        percent(figures.delivery),
        format!(
            "goal 100 %; bare forwarder {}; {} out of order",
            percent(figures.baseline_delivery),
            figures.reordered
        ),
    );
    row(
        "dropped by the kernel",
        figures.kernel_drops_server,
        format!(
            "at the server's socket; {} on the whole machine",
            figures.kernel_drops_all
        ),
    );
    row(
        "packets sent late by (median)",
        us(figures.pacing_late_us.p50),
        format!(
            "p99 {}, worst {}",
            us(figures.pacing_late_us.p99),
            us(figures.pacing_late_us.max)
        ),
    );

    heading("One-way delay: server, bare forwarder, what the server adds");
    let (server, bare, added) = (
        figures.delay_us,
        figures.baseline_delay_us,
        figures.added_us.as_ref(),
    );
    for (name, server, bare, added, goal) in [
        (
            "median",
            server.p50,
            bare.p50,
            added.map(|added| added.p50),
            Some(GOAL_P50_US),
        ),
        (
            "99 %",
            server.p99,
            bare.p99,
            added.map(|added| added.p99),
            Some(GOAL_P99_US),
        ),
        (
            "99.9 %",
            server.p999,
            bare.p999,
            added.map(|added| added.p999),
            None,
        ),
    ] {
        let goal = goal.map_or(String::new(), |goal| {
            format!("; goal at half load <= +{goal:.0} us")
        });
        let added = added.map_or("unknown".to_owned(), |added| format!("{added:+.1} us"));
        row(
            name,
            us(server),
            format!("bare {}, added {added}{goal}", us(bare)),
        );
    }

    heading("What it costs");
    row(
        "server CPU",
        format!("{:.3} s", figures.server_cpu_s),
        format!(
            "of {:.1} s; its media threads {:.3} s, {:.0} % of it outside the kernel (goal <= 15 %)",
            figures.measured_s,
            figures.media_thread_cpu_s,
            figures.media_thread_user_share * 100.0
        ),
    );
    row(
        "CPU a million frames out",
        format!("{:.2} s", figures.cpu_s_per_million_frames),
        format!(
            "media thread alone {:.2} s; bare forwarder {:.2} s: {:.2} x",
            figures.media_thread_cpu_s_per_million_frames,
            figures.baseline_cpu_s_per_million,
            figures.cpu_s_per_million_frames / figures.baseline_cpu_s_per_million
        ),
    );
    row(
        "memory a user",
        format!("{:.0} KiB", figures.rss_kib_per_user),
        format!(
            "{:.0} KiB at the end; all joined in {:.1} s",
            figures.rss_end_kib_per_user, figures.joined_s
        ),
    );
    if let Some(mumble) = &figures.mumble {
        heading("Mumble's server, the same load in the same run: theirs, ours, ours to theirs");
        row(
            "CPU a million frames out",
            format!("{:.2} s", mumble.cpu_s_per_million_frames),
            format!(
                "{:.2} s: {:.2} x",
                figures.cpu_s_per_million_frames, mumble.cpu_ratio
            ),
        );
        for (name, theirs, ours, ratio) in [
            (
                "delay, median",
                mumble.delay_us.p50,
                figures.delay_us.p50,
                mumble.delay_p50_ratio,
            ),
            (
                "delay, 99 %",
                mumble.delay_us.p99,
                figures.delay_us.p99,
                mumble.delay_p99_ratio,
            ),
        ] {
            row(name, us(theirs), format!("{}: {ratio:.2} x", us(ours)));
        }
        row(
            "memory a user",
            format!("{:.0} KiB", mumble.rss_kib_per_user),
            format!(
                "{:.0} KiB: {:.2} x",
                figures.rss_kib_per_user, mumble.rss_ratio
            ),
        );
        row(
            "delivery",
            percent(mumble.delivery),
            percent(figures.delivery),
        );
    }
    heading("Under what conditions");
    row(
        "load average before",
        figures
            .load_average_before
            .map_or("unknown".to_owned(), |load| format!("{load:.2}")),
        figures.cpu_model.as_deref().unwrap_or("unknown CPU"),
    );
    for (what, count) in &report.oddities {
        row("odd", count, what);
    }
    for what in &figures.not_measured {
        row("not measured", "", what);
    }
}

fn us(value: f64) -> String {
    format!("{value:.1} us")
}
