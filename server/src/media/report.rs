//! What passed, as one line for the log.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use voxhall_relay::{Counters, DropReason, Total};

use super::{MediaStats, MediaTotal};

/// Reads the counters now and then, and says by how much they grew.
pub struct Reporter {
    counters: Arc<Counters>,
    stats: Arc<MediaStats>,
    before: Figures,
}

#[derive(Default)]
struct Figures {
    totals: Vec<(&'static str, u64)>,
    drops: Vec<(&'static str, u64)>,
    /// Upper bound in microseconds, and datagrams.
    delay: Vec<(u64, u64)>,
}

impl Reporter {
    pub fn new(counters: Arc<Counters>, stats: Arc<MediaStats>) -> Self {
        let before = Figures::read(&counters, &stats);
        Self {
            counters,
            stats,
            before,
        }
    }

    /// What changed since the last call; none if nothing did.
    pub fn line(&mut self) -> Option<String> {
        let now = Figures::read(&self.counters, &self.stats);
        let before = std::mem::replace(&mut self.before, now);
        let now = &self.before;
        let mut line = String::new();
        for (label, grown) in growth(&now.totals, &before.totals) {
            write!(line, "{label}={grown} ").expect("writing to a string");
        }
        for (label, grown) in growth(&now.drops, &before.drops) {
            write!(line, "dropped.{label}={grown} ").expect("writing to a string");
        }
        let delay: Vec<_> = growth(&now.delay, &before.delay).collect();
        if let (Some(p50), Some(p99)) = (quantile(&delay, 50), quantile(&delay, 99)) {
            write!(line, "added_delay_p50_us<={p50} added_delay_p99_us<={p99} ")
                .expect("writing to a string");
        }
        line.pop();
        (!line.is_empty()).then_some(line)
    }
}

impl Figures {
    fn read(counters: &Counters, stats: &MediaStats) -> Self {
        // The relay counts datagrams too, and the delay is told by its quantiles.
        let own = MediaTotal::ALL.into_iter();
        let own = own.filter(|total| !matches!(total, MediaTotal::Datagrams | MediaTotal::DelayUs));
        let busy: Duration = stats.busy().sum();
        Self {
            totals: (Total::ALL.iter())
                .map(|total| (total.label(), counters.total(*total)))
                .chain(own.map(|total| (total.label(), stats.total(total))))
                .chain([("busy_us", busy.as_micros() as u64)])
                .collect(),
            drops: (DropReason::ALL.iter())
                .map(|reason| (reason.label(), counters.dropped(*reason)))
                .collect(),
            delay: stats.added_delay().collect(),
        }
    }
}

/// What is more than before, and by how much.
fn growth<'a, K: Copy>(
    now: &'a [(K, u64)],
    before: &'a [(K, u64)],
) -> impl Iterator<Item = (K, u64)> + 'a {
    (now.iter().zip(before))
        .map(|((key, now), (_, before))| (*key, now - before))
        .filter(|(_, grown)| *grown > 0)
}

/// Upper bound of the bucket in which that part of all lies. Buckets are in order.
fn quantile(buckets: &[(u64, u64)], percent: u64) -> Option<u64> {
    let all: u64 = buckets.iter().map(|(_, count)| count).sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    buckets
        .iter()
        .find(|(_, count)| {
            seen += count;
            seen >= wanted
        })
        .map(|(bound, _)| *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_grew_is_said_and_nothing_where_nothing_did() {
        let stats = Arc::new(MediaStats::new(1));
        let mut reporter = Reporter::new(Arc::default(), Arc::clone(&stats));
        assert_eq!(reporter.line(), None);
        stats.batch(98, Duration::from_micros(20));
        stats.worked(0, Duration::from_micros(220));
        stats.batch(2, Duration::from_micros(200));
        stats.count(MediaTotal::SendsBlocked);
        assert_eq!(
            reporter.line().as_deref(),
            Some(
                "batches=2 sends_blocked=1 busy_us=220 added_delay_p50_us<=32 added_delay_p99_us<=256"
            )
        );
        assert_eq!(reporter.line(), None);
    }
}
