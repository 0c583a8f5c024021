//! What goes to stderr: filtered, as text or JSON, and never more of one kind than anyone can read.

use std::{
    collections::HashMap,
    io::{self, IsTerminal},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tracing::{Event, Level, Metadata, Subscriber, callsite};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::ParseError,
    fmt,
    layer::{Context, Filter, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// Lines that one place in the code may write at once, and how often one for long. Strangers may be the cause of a line.
const BURST: u32 = 50;
const EACH: Duration = Duration::from_secs(1);
/// Between two words about lines that were left out.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Libraries that would write down what passes through them, passwords included, stay quiet whatever was asked for.
const QUIET: [&str; 4] = [
    "tungstenite=info",
    "tokio_tungstenite=info",
    "hyper=info",
    "rustls=info",
];

/// Begins to log. What is returned knows what was left out.
///
/// # Errors
/// The filter can't be read.
pub fn init(filter: &str, format: LogFormat) -> Result<Arc<LogLimit>, ParseError> {
    let mut filter = EnvFilter::try_new(filter)?;
    for quiet in QUIET {
        filter = filter.add_directive(quiet.parse()?);
    }
    let limit = Arc::new(LogLimit::default());
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => Box::new(lines.with_filter(Limited(Arc::clone(&limit)))),
        LogFormat::Json => {
            let lines = lines.with_ansi(false).json().flatten_event(true);
            Box::new(lines.with_filter(Limited(Arc::clone(&limit))))
        }
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
    Ok(limit)
}

/// How many lines each place in the code may still write.
#[derive(Default)]
pub struct LogLimit(Mutex<Places>);

#[derive(Default)]
struct Places {
    /// As many as there are places in the code.
    by_place: HashMap<callsite::Identifier, Place>,
    left_out_total: u64,
}

struct Place {
    name: String,
    /// When it may write all its burst again.
    full_at: Instant,
    left_out: u64,
}

impl LogLimit {
    pub fn left_out_total(&self) -> u64 {
        self.lock().left_out_total
    }

    /// Says now and then what was left out. Never returns.
    pub async fn tell(&self) {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            for (place, count) in self.take_left_out() {
                tracing::warn!(place, count, "log lines were left out: too many of a kind");
            }
        }
    }

    fn take_left_out(&self) -> Vec<(String, u64)> {
        let mut places = self.lock();
        let places = places.by_place.values_mut();
        places
            .filter(|place| place.left_out > 0)
            .map(|place| (place.name.clone(), std::mem::take(&mut place.left_out)))
            .collect()
    }

    fn take(&self, place: &Metadata<'_>, now: Instant) -> bool {
        let mut places = self.lock();
        let Places {
            by_place,
            left_out_total,
        } = &mut *places;
        let place = by_place.entry(place.callsite()).or_insert_with(|| Place {
            name: format!("{}:{}", place.target(), place.line().unwrap_or_default()),
            full_at: now,
            left_out: 0,
        });
        let full_at = place.full_at.max(now) + EACH;
        if full_at > now + EACH * BURST {
            place.left_out += 1;
            *left_out_total += 1;
            return false;
        }
        place.full_at = full_at;
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Places> {
        self.0.lock().expect("nothing panics with this lock")
    }
}

struct Limited(Arc<LogLimit>);

impl<S: Subscriber> Filter<S> for Limited {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    /// Who asked for debug lines wants them all.
    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        *event.metadata().level() > Level::INFO || self.0.take(event.metadata(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicU64>);

    impl<S: Subscriber> Layer<S> for Counted {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn one_place_can_not_fill_the_log_and_the_others_still_write() {
        let limit = Arc::new(LogLimit::default());
        let counted = Counted::default();
        let lines = counted.clone().with_filter(Limited(Arc::clone(&limit)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            for n in 0..1_000 {
                tracing::warn!(n, "a stranger's doing");
                tracing::debug!(n, "asked for");
            }
            tracing::warn!("something else");
        });
        let written = counted.0.load(Ordering::Relaxed);
        let most = u64::from(BURST) + 1_000 + 1;
        assert!((most..most + 3).contains(&written), "{written}");
        assert_eq!(limit.left_out_total(), 1_000 + 1_001 - written);
        let told = limit.take_left_out();
        assert!(told.len() == 1 && told[0].0.contains("logging"), "{told:?}");
        assert!(limit.take_left_out().is_empty());
    }
}
