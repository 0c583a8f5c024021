//! What is asked for, and what comes of it: by method and outcome, both of which there is a fixed number of.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use voxhall_protocol::control::{Failure, FailureKind, Request};

use super::{
    histogram::Durations,
    text::{Kind, Page},
};

/// For a text that is no request, and for a method that there isn't.
const UNKNOWN: &str = "unknown";

pub struct Requests {
    /// Of each method, and of what is none: how many came to each end.
    counts: Vec<[AtomicU64; OUTCOMES]>,
    durations: Durations,
}

/// Done, each kind of failure, and a kind that has no name.
const OUTCOMES: usize = 1 + FailureKind::ALL.len() + 1;

impl Default for Requests {
    fn default() -> Self {
        let none = || std::array::from_fn(|_| AtomicU64::new(0));
        let methods = Request::METHODS.len() + 1;
        Self {
            counts: std::iter::repeat_with(none).take(methods).collect(),
            durations: Durations::default(),
        }
    }
}

impl Requests {
    /// Method: none, where it couldn't be read.
    pub fn count(&self, method: Option<&str>, failure: Option<&Failure>, took: Duration) {
        let known = Request::METHODS.iter();
        let method = method.and_then(|method| known.clone().position(|known| *known == method));
        let outcome = match failure.map(Failure::kind) {
            None => 0,
            Some(kind) => {
                let known = FailureKind::ALL.iter().position(|known| *known == kind);
                1 + known.unwrap_or(FailureKind::ALL.len())
            }
        };
        self.counts[method.unwrap_or(Request::METHODS.len())][outcome].fetch_add(1, Relaxed);
        self.durations.observe(took);
    }

    pub fn write(&self, page: &mut Page) {
        let methods = Request::METHODS.iter().chain(&[UNKNOWN]);
        let mut family = page.family(
            "voxhall_requests_total",
            Kind::Counter,
            "Control requests answered, by method and outcome.",
        );
        for (method, counts) in methods.zip(&self.counts) {
            for (outcome, count) in counts.iter().enumerate() {
                let count = count.load(Relaxed);
                // Most pairs never happen; the first one is there for each method, so that rates have a beginning.
                if count > 0 || outcome == 0 {
                    let labels = [("method", *method), ("outcome", &outcome_name(outcome))];
                    family.labelled_twice(labels, count);
                }
            }
        }
        let mut family = page.family(
            "voxhall_request_duration_seconds",
            Kind::Histogram,
            "Time from reading a control request to its answer.",
        );
        family.histogram(self.durations.buckets(), self.durations.sum_s());

        let mut family = page.family(
            "voxhall_sign_in_failures_total",
            Kind::Counter,
            "Sign-ins refused, by how they were tried.",
        );
        for method in [
            "account.login",
            "account.guest",
            "account.register",
            "account.refresh",
        ] {
            let (_, name) = method.split_once('.').expect("methods are noun.verb");
            family.labelled("method", name, self.failures(method));
        }
        page.counter(
            "voxhall_messages_total",
            "Text messages acknowledged.",
            self.of("message.send")
                .map_or(0, |counts| counts[0].load(Relaxed)),
        );
    }

    fn failures(&self, method: &str) -> u64 {
        let counts = self.of(method).map_or(&[][..], |counts| &counts[1..]);
        counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    fn of(&self, method: &str) -> Option<&[AtomicU64; OUTCOMES]> {
        let method = Request::METHODS.iter().position(|known| *known == method)?;
        Some(&self.counts[method])
    }
}

fn outcome_name(outcome: usize) -> String {
    let kind = match outcome {
        0 => return "ok".to_owned(),
        n => FailureKind::ALL.get(n - 1).copied().unwrap_or_default(),
    };
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_can_not_make_new_names() {
        let requests = Requests::default();
        let failure = |kind| Failure::new(kind, "x");
        requests.count(Some("message.send"), None, Duration::from_millis(1));
        requests.count(
            Some("no.such\"} 1\n"),
            Some(&failure(FailureKind::UnknownMethod)),
            Duration::ZERO,
        );
        requests.count(None, Some(&failure(FailureKind::Other)), Duration::ZERO);
        requests.count(
            Some("account.login"),
            Some(&failure(FailureKind::WrongPassword)),
            Duration::ZERO,
        );
        let mut page = Page::default();
        requests.write(&mut page);
        let text = page.finish();
        for line in [
            "voxhall_requests_total{method=\"message.send\",outcome=\"ok\"} 1",
            "voxhall_requests_total{method=\"unknown\",outcome=\"unknown_method\"} 1",
            "voxhall_requests_total{method=\"unknown\",outcome=\"other\"} 1",
            "voxhall_requests_total{method=\"account.login\",outcome=\"wrong_password\"} 1",
            "voxhall_request_duration_seconds_count 4",
            "voxhall_sign_in_failures_total{method=\"login\"} 1",
            "voxhall_messages_total 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(!text.contains("no.such"));
    }
}
