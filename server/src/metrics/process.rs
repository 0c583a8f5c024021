//! What the system knows of this process, under the names that all Prometheus clients use. Linux only; elsewhere nothing is said.

#[cfg(target_os = "linux")]
use std::fs;

use super::text::Page;
#[cfg(target_os = "linux")]
use crate::clock::unix_ms;

pub fn write(page: &mut Page) {
    let Some(figures) = read() else {
        return;
    };
    page.counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        figures.cpu_s,
    );
    page.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        figures.resident_bytes,
    );
    page.gauge(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        figures.virtual_bytes,
    );
    page.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        figures.started_s,
    );
    page.gauge("process_threads", "Number of OS threads.", figures.threads);
    page.gauge(
        "process_open_fds",
        "Number of open file descriptors.",
        figures.open_files,
    );
    if let Some(most) = figures.most_files {
        page.gauge(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            most,
        );
    }
}

struct Figures {
    cpu_s: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    started_s: f64,
    threads: u64,
    open_files: usize,
    most_files: Option<u64>,
}

#[cfg(target_os = "linux")]
fn read() -> Option<Figures> {
    use rustix::{
        param::{clock_ticks_per_second, page_size},
        process::{Resource, getrlimit},
        time::{ClockId, clock_gettime},
    };
    // Only what a process may see of itself when all else of /proc is hidden from it.
    let ticks_per_s = clock_ticks_per_second() as f64;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let since_boot = clock_gettime(ClockId::Boottime);
    let since_boot_s = since_boot.tv_sec as f64 + since_boot.tv_nsec as f64 / 1e9;
    let boot_s = unix_ms() as f64 / 1e3 - since_boot_s;
    // The name in brackets may hold anything; the third field comes after it.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Figures {
        cpu_s: (field(14)? + field(15)?) as f64 / ticks_per_s,
        threads: field(20)?,
        started_s: boot_s + field(22)? as f64 / ticks_per_s,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_size() as u64,
        // Without the handle that counts.
        open_files: fs::read_dir("/proc/self/fd").ok()?.count() - 1,
        most_files: getrlimit(Resource::Nofile).current,
    })
}

#[cfg(not(target_os = "linux"))]
fn read() -> Option<Figures> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_this_processs() {
        let figures = read().unwrap();
        let now_s = crate::clock::unix_ms() as f64 / 1e3;
        assert!(
            (now_s - 3_600.0..now_s + 2.0).contains(&figures.started_s),
            "{}",
            figures.started_s
        );
        assert!(figures.resident_bytes > 1 << 20 && figures.resident_bytes < 1 << 33);
        assert!(figures.virtual_bytes >= figures.resident_bytes);
        assert!(figures.open_files >= 3 && figures.threads >= 1);
    }
}
