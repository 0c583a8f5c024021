//! What the server measures of itself, for Prometheus: counted where it happens, read when it is asked for.

mod histogram;
mod process;
mod requests;
mod text;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, http::header, response::IntoResponse, routing::get};
use tokio::net::TcpListener;
use voxhall_protocol::control::Failure;
use voxhall_relay::{Counters, DropReason, Total};

use crate::{
    live::Live,
    logging::LogLimit,
    media::{MediaStats, MediaTotal},
    places,
    services::Services,
};
use requests::Requests;
use text::{Kind, Page};

/// What is counted where nobody else counts.
#[derive(Default)]
pub struct Metrics {
    requests: Requests,
    connections: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    tls_failures: AtomicU64,
    backups: AtomicU64,
    backup_failures: AtomicU64,
    last_backup_s: AtomicU64,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("too many connections of this address are not signed in")]
    Address,
    #[error("too many connections are not signed in")]
    Pending,
    #[error("no more connections can be open")]
    Full,
    #[error("the address is banned")]
    Banned,
}

impl From<places::Full> for Refusal {
    fn from(full: places::Full) -> Self {
        match full {
            places::Full::Source => Self::Address,
            places::Full::All => Self::Pending,
        }
    }
}

impl Refusal {
    const ALL: [Self; 4] = [Self::Address, Self::Pending, Self::Full, Self::Banned];

    fn label(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Pending => "pending",
            Self::Full => "full",
            Self::Banned => "banned",
        }
    }
}

impl Metrics {
    /// A request was answered. Method: none, where it couldn't be read.
    pub fn request(&self, method: Option<&str>, failure: Option<&Failure>, took: Duration) {
        self.requests.count(method, failure, took);
    }

    pub fn connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub fn refused(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    pub fn tls_failed(&self) {
        self.tls_failures.fetch_add(1, Relaxed);
    }

    pub fn backup_made(&self, at_ms: i64) {
        self.backups.fetch_add(1, Relaxed);
        self.backup_seen(at_ms);
    }

    /// One made before the start.
    pub fn backup_seen(&self, at_ms: i64) {
        let at_s = u64::try_from(at_ms / 1_000).unwrap_or_default();
        self.last_backup_s.store(at_s, Relaxed);
    }

    pub fn backup_failed(&self) {
        self.backup_failures.fetch_add(1, Relaxed);
    }

    fn write(&self, page: &mut Page) {
        page.counter(
            "voxhall_connections_total",
            "TCP connections taken.",
            self.connections.load(Relaxed),
        );
        let mut family = page.family(
            "voxhall_connections_refused_total",
            Kind::Counter,
            "TCP connections turned away, by the reason.",
        );
        for why in Refusal::ALL {
            family.labelled(
                "reason",
                why.label(),
                self.refused[why as usize].load(Relaxed),
            );
        }
        page.counter(
            "voxhall_tls_failures_total",
            "Connections that ended in the TLS handshake.",
            self.tls_failures.load(Relaxed),
        );
        self.requests.write(page);
        page.counter(
            "voxhall_backups_total",
            "Backups made.",
            self.backups.load(Relaxed),
        );
        page.counter(
            "voxhall_backup_failures_total",
            "Backups that failed.",
            self.backup_failures.load(Relaxed),
        );
        page.gauge(
            "voxhall_last_backup_timestamp_seconds",
            "When the newest backup was made; 0 if there is none.",
            self.last_backup_s.load(Relaxed),
        );
    }
}

/// All that a page is made from.
pub struct Scrape {
    pub services: Arc<Services>,
    pub counters: Arc<Counters>,
    pub media: Arc<MediaStats>,
    pub log: Arc<LogLimit>,
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "free space is only asked for where `statvfs` is")
    )]
    pub data: PathBuf,
}

impl Scrape {
    fn page(&self) -> String {
        let mut page = Page::default();
        let mut family = page.family(
            "voxhall_build_info",
            Kind::Gauge,
            "Which version runs; always 1.",
        );
        family.labelled("version", env!("CARGO_PKG_VERSION"), 1);
        process::write(&mut page);
        self.write_live(&mut page);
        self.services.metrics.write(&mut page);
        self.write_store(&mut page);
        self.write_voice(&mut page);
        page.counter(
            "voxhall_log_lines_dropped_total",
            "Log lines left out because there were too many of a kind.",
            self.log.left_out_total(),
        );
        page.finish()
    }

    fn write_live(&self, page: &mut Page) {
        let hub = &self.services.hub;
        let live = hub.read(Live::counts);
        page.gauge(
            "voxhall_sessions",
            "WebSocket connections open, signed in or not.",
            hub.open_connections(),
        );
        let carriers = &self.services.carriers;
        let mut family = page.family(
            "voxhall_carried_voice_connections",
            Kind::Gauge,
            "Connections open that carry voice otherwise than by UDP.",
        );
        for (carrier, open) in carriers.open() {
            family.labelled("carrier", carrier.name(), open);
        }
        page.counter(
            "voxhall_carried_voice_datagrams_lost_total",
            "Datagrams on such connections that were left out, as the client took them too slowly or sent too many.",
            carriers.lost(),
        );
        page.gauge(
            "voxhall_users_online",
            "Users with at least one connection.",
            live.users_online,
        );
        page.gauge(
            "voxhall_voice_sessions",
            "People in voice channels.",
            live.voice_sessions,
        );
        page.gauge(
            "voxhall_sessions_lost",
            "Sessions whose connection was lost, and which are kept for a while.",
            live.lost_sessions,
        );
        page.gauge("voxhall_guilds", "Guilds on this server.", live.guilds);
    }

    fn write_store(&self, page: &mut Page) {
        let (writer, (queued, most_queued)) = self.services.store_figures();
        let mut family = page.family(
            "voxhall_store_commit_duration_seconds",
            Kind::Histogram,
            "Time that commits to the database took; writes that wait together share one.",
        );
        family.histogram(writer.commits(), writer.commits_s());
        page.counter(
            "voxhall_store_commit_failures_total",
            "Commits that the database refused, as on a full disk.",
            writer.failed(),
        );
        page.counter(
            "voxhall_store_writes_total",
            "Writes committed.",
            writer.writes(),
        );
        page.gauge(
            "voxhall_store_queue_length",
            "Writes that wait to be committed.",
            queued,
        );
        page.gauge(
            "voxhall_store_queue_capacity",
            "Writes that may wait; who comes later waits to be let in.",
            most_queued,
        );
        page.gauge(
            "voxhall_database_bytes",
            "Size of the database file, its write-ahead log included.",
            self.services.backups.database_bytes(),
        );
        #[cfg(unix)]
        if let Ok(disk) = rustix::fs::statvfs(&self.data) {
            page.gauge(
                "voxhall_data_free_bytes",
                "Free space where the data is, as far as this user may take it.",
                disk.f_bavail.saturating_mul(disk.f_frsize),
            );
        }
    }

    fn write_voice(&self, page: &mut Page) {
        let total = |total| self.counters.total(total);
        for (name, help, value) in [
            (
                "voxhall_relay_received_datagrams_total",
                "UDP datagrams received.",
                total(Total::DatagramsIn),
            ),
            (
                "voxhall_relay_received_bytes_total",
                "Bytes of UDP datagrams received.",
                total(Total::BytesIn),
            ),
            (
                "voxhall_relay_received_frames_total",
                "Voice frames received, proven and allowed.",
                total(Total::FramesIn),
            ),
            (
                "voxhall_relay_sent_frames_total",
                "Voice frames times listeners.",
                total(Total::FramesOut),
            ),
            (
                "voxhall_relay_sent_datagrams_total",
                "UDP datagrams sent.",
                total(Total::DatagramsOut),
            ),
            (
                "voxhall_relay_sent_bytes_total",
                "Bytes of UDP datagrams sent.",
                total(Total::BytesOut),
            ),
            (
                "voxhall_relay_sent_bundles_total",
                "UDP datagrams sent that carry several frames.",
                total(Total::BundlesOut),
            ),
            (
                "voxhall_relay_paths_opened_total",
                "Voice paths opened.",
                total(Total::PathsOpened),
            ),
            (
                "voxhall_relay_paths_moved_total",
                "Voice paths moved to another address.",
                total(Total::PathsMoved),
            ),
            (
                "voxhall_relay_paths_kept_total",
                "Voice paths that stayed, as the old address answered too: somebody may have relayed a proof.",
                total(Total::PathsKept),
            ),
            (
                "voxhall_relay_challenges_total",
                "Challenges sent to unproven addresses, and to old ones before a path moves.",
                total(Total::Challenges),
            ),
        ] {
            page.counter(name, help, value);
        }
        let mut family = page.family(
            "voxhall_relay_dropped_datagrams_total",
            Kind::Counter,
            "UDP datagrams received and dropped, by the reason.",
        );
        for reason in DropReason::ALL {
            family.labelled("reason", reason.label(), self.counters.dropped(*reason));
        }
        let media = |total| self.media.total(total);
        let mut family = page.family(
            "voxhall_media_send_failures_total",
            Kind::Counter,
            "UDP datagrams that the system did not take for sending, by the reason.",
        );
        family.labelled("reason", "buffer_full", media(MediaTotal::SendsBlocked));
        family.labelled("reason", "error", media(MediaTotal::SendErrors));
        page.counter(
            "voxhall_media_receive_errors_total",
            "Errors that the system reported instead of a datagram.",
            media(MediaTotal::ReceiveErrors),
        );
        page.counter(
            "voxhall_media_quic_dropped_total",
            "QUIC datagrams dropped, as they came faster than they were taken.",
            media(MediaTotal::QuicDropped),
        );
        let mut family = page.family(
            "voxhall_media_busy_seconds_total",
            Kind::Counter,
            "Time that each media thread spent working.",
        );
        for (thread, busy) in self.media.busy().enumerate() {
            family.labelled("thread", &thread.to_string(), busy.as_secs_f64());
        }
        page.gauge(
            "voxhall_media_running",
            "Whether voice is forwarded: 1, or 0 after the thread has ended, which only a new start mends.",
            u8::from(self.services.voice_is_running()),
        );
        let mut family = page.family(
            "voxhall_media_delay_seconds",
            Kind::Histogram,
            "Time that datagrams stayed in the server, from the wake-up that found them to the last send of their batch.",
        );
        let buckets = self.media.added_delay();
        family.histogram(
            buckets.map(|(us, count)| (us as f64 / 1e6, count)),
            media(MediaTotal::DelayUs) as f64 / 1e6,
        );
    }
}

/// Serves `/metrics` to whoever reaches the address. Never returns.
pub async fn serve(listener: TcpListener, scrape: Scrape) {
    let scrape = Arc::new(scrape);
    let page = async move || {
        let form = "text/plain; version=0.0.4; charset=utf-8";
        ([(header::CONTENT_TYPE, form)], scrape.page()).into_response()
    };
    let router = Router::new().route("/metrics", get(page));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "metrics are no longer served");
    }
}

/// # Errors
/// The address can't be listened on.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "metrics are there for everyone who reaches this address");
    }
    TcpListener::bind(address).await
}
