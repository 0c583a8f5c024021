//! TCP, TLS and HTTP: who may connect, and where requests go.

mod files;
mod pages;
pub mod websocket;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::Response,
    routing::{get, head, options},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use voxhall_protocol::voice::WEBSOCKET_PATH;

use crate::{
    carriers::{self, MAX_CARRIED},
    gateway,
    metrics::Refusal,
    places::{Place, Places},
    rates::Source,
    services::Services,
    sockets,
};

/// Open connections of everyone together, where the system allows as many.
const MAX_CONNECTIONS: usize = 16_384;
/// File handles for everything else.
const OTHER_FILES: usize = 64;
/// Of all files, this part is for voice that doesn't come by UDP.
const CARRIED_SHARE: usize = 5;
/// Of all places, this part is for who is not signed in: strangers can't take those of members.
const PENDING_SHARE: usize = 4;
const TLS_WITHIN: Duration = Duration::from_secs(10);
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// For all requests of a connection and the reading of their answers, unless it becomes a WebSocket or moves files of someone who is
/// signed in.
const HTTP_WITHIN: Duration = Duration::from_secs(30);
const MAX_REQUEST_HEAD_BYTES: usize = 16 * 1024;
/// When the system has no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two words in the log about connections turned away.
const FULL_WORDS_EVERY: Duration = Duration::from_secs(60);

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    pub source: Source,
    /// Given back when the connection ends.
    _place: Arc<OwnedSemaphorePermit>,
}

/// When a connection has to end.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<watch::Sender<tokio::time::Instant>>);

impl Deadline {
    fn new(within: Duration) -> Self {
        Self(Arc::new(watch::Sender::new(
            tokio::time::Instant::now() + within,
        )))
    }

    /// Someone who is signed in moves many bytes.
    pub fn put_off(&self, by: Duration) {
        let until = tokio::time::Instant::now() + by;
        self.0
            .send_modify(|deadline| *deadline = until.max(*deadline));
    }

    /// Returns when it has come.
    async fn passed(&self) {
        let mut deadline = self.0.subscribe();
        loop {
            let until = *deadline.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                // The sender is held here.
                _ = deadline.changed() => {}
            }
        }
    }
}

/// Accepts connections. Never returns.
pub async fn run(
    listener: TcpListener,
    tls: TlsAcceptor,
    pending_per_address: u32,
    services: Arc<Services>,
) {
    let router = router(Arc::clone(&services));
    let metrics = &services.metrics;
    let files = sockets::allow_open_files(MAX_CONNECTIONS + MAX_CARRIED + OTHER_FILES);
    // Who is carried has a socket besides the connection.
    let carried = (files / CARRIED_SHARE).min(MAX_CARRIED);
    services.carriers.allow(carried);
    let connections = (files - carried).saturating_sub(OTHER_FILES);
    let connections = connections.clamp(1, MAX_CONNECTIONS);
    if connections < MAX_CONNECTIONS {
        tracing::warn!(
            connections,
            "the system allows few open files; raise its limit (ulimit -n) for more connections"
        );
    }
    let places = Arc::new(Semaphore::new(connections));
    let pending = Places::new(pending_per_address, (connections / PENDING_SHARE).max(1));
    let mut turned_away = TurnedAway::default();
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if services.bans.is_banned(address.ip()) {
            metrics.refused(Refusal::Banned);
            tracing::debug!(%address, "turned away: banned");
            continue;
        }
        let source = Source::of(address.ip());
        let admitted = || -> Result<_, Refusal> {
            let pending = pending.take(source)?;
            let place = Arc::clone(&places).try_acquire_owned();
            Ok((pending, place.map_err(|_| Refusal::Full)?))
        };
        let (pending, place) = match admitted() {
            Ok(places) => places,
            Err(why) => {
                metrics.refused(why);
                turned_away.count(why, address);
                continue;
            }
        };
        let peer = Peer {
            address,
            source,
            _place: Arc::new(place),
        };
        metrics.connection();
        let (tls, router, services) = (tls.clone(), router.clone(), Arc::clone(&services));
        tokio::spawn(async move {
            if serve(stream, tls, router, peer, pending).await == Served::NoTls {
                services.metrics.tls_failed();
            }
        });
    }
}

/// Says that connections are turned away, now and then.
#[derive(Default)]
struct TurnedAway {
    count: u64,
    said: Option<Instant>,
}

impl TurnedAway {
    fn count(&mut self, why: Refusal, address: SocketAddr) {
        tracing::debug!(%address, "turned away: {why}");
        self.count += 1;
        let now = Instant::now();
        if self.said.is_none_or(|said| now - said >= FULL_WORDS_EVERY) {
            tracing::warn!(count = self.count, last = %address, "connections were turned away: {why}");
            self.said = Some(now);
            self.count = 0;
        }
    }
}

async fn serve(
    stream: TcpStream,
    tls: TlsAcceptor,
    router: Router,
    peer: Peer,
    pending: Place,
) -> Served {
    // Control messages are small and someone waits for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "can't set TCP_NODELAY");
    }
    let address = peer.address;
    let stream = match timeout(TLS_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "TLS failed");
            return Served::NoTls;
        }
        Err(_) => {
            tracing::debug!(%address, "TLS took too long");
            return Served::NoTls;
        }
    };
    serve_http(stream, router, peer, pending).await;
    Served::Http
}

/// How far a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    NoTls,
    Http,
}

/// Answers requests until one of them becomes a WebSocket, which goes on by itself, or the time is over.
async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    peer: Peer,
    pending: Place,
) {
    let address = peer.address;
    let deadline = Deadline::new(HTTP_WITHIN);
    let until = deadline.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(pending.clone());
        request.extensions_mut().insert(deadline.clone());
        let router = router.clone();
        async move {
            let response = router.oneshot(request).await?;
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .max_buf_size(MAX_REQUEST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::debug!(%address, %error, "HTTP ended");
        },
        () = until.passed() => tracing::debug!(%address, "HTTP took too long"),
    }
}

fn router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/health", get(pages::health))
        .route("/invite/{code}", get(pages::invite))
        .route("/style.css", get(pages::style))
        .route("/ws", get(gateway::upgrade))
        .route(WEBSOCKET_PATH, get(carriers::websocket::upgrade))
        .route("/uploads", options(files::options))
        .route(
            "/uploads/{id}",
            head(files::head)
                .patch(files::patch)
                .options(files::options),
        )
        .route("/files/{id}", get(files::whole))
        .route("/files/{id}/thumbnail", get(files::thumbnail))
        .fallback(pages::not_found)
        .with_state(services)
        .layer(axum::middleware::map_response(async |response| {
            secured(response)
        }))
}

/// Unless it says something stricter itself: nothing of these pages runs code, is framed, or tells another site where it came from.
fn secured(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in HEADERS {
        let entry = response.headers_mut().entry(name);
        entry.or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    /// A request every few seconds, or answers that nobody reads: neither keeps a place.
    #[tokio::test(start_paused = true)]
    async fn http_has_an_end_however_busy_or_idle() {
        for reads in [true, false] {
            let pending = Places::new(1, 1);
            let place = pending.take(source("10.0.0.1")).unwrap();
            let peer = Peer {
                address: ([10, 0, 0, 1], 1).into(),
                source: source("10.0.0.1"),
                _place: Arc::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()),
            };
            let router = Router::new().route("/", get(async || "x".repeat(100)));
            let (mut client, server) = tokio::io::duplex(256);
            let serving = tokio::spawn(serve_http(server, router, peer, place));
            let asking = async {
                loop {
                    let request = b"GET / HTTP/1.1\r\nHost: s\r\n\r\n";
                    if client.write_all(request).await.is_err() {
                        return;
                    }
                    if reads {
                        let _ = client.read(&mut [0; 256]).await;
                    }
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            };
            timeout(HTTP_WITHIN * 2, asking).await.expect("it hangs up");
            serving.await.unwrap();
            assert!(pending.take(source("10.0.0.1")).is_ok());
        }
    }
}
