//! TCP, TLS and HTTP: who may connect, and where requests go.

mod pages;

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::Response,
    routing::get,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::{gateway, rates::Source, services::Services};

/// Open connections of everyone together.
const MAX_CONNECTIONS: usize = 16_384;
const TLS_WITHIN: Duration = Duration::from_secs(10);
/// Also how long an idle HTTP connection stays open.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
const MAX_REQUEST_HEAD_BYTES: usize = 16 * 1024;
/// When the system has no file handles left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    pub source: Source,
    /// Given back when the connection ends.
    _place: Arc<OwnedSemaphorePermit>,
}

/// A place among the connections of an address that are not signed in; given back when the last clone is dropped.
#[derive(Clone)]
pub struct PendingPlace {
    _place: Arc<Place>,
}

struct Place {
    source: Source,
    pending: Arc<Pending>,
}

/// How many connections each address has that are not signed in.
pub struct Pending {
    limit: u32,
    by_source: Mutex<HashMap<Source, u32>>,
}

impl Pending {
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            limit,
            by_source: Mutex::default(),
        })
    }

    fn take(self: &Arc<Self>, source: Source) -> Option<PendingPlace> {
        let mut by_source = self
            .by_source
            .lock()
            .expect("nothing panics with this lock");
        let count = by_source.entry(source).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(PendingPlace {
            _place: Arc::new(Place {
                source,
                pending: Arc::clone(self),
            }),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_source = self
            .pending
            .by_source
            .lock()
            .expect("nothing panics with this lock");
        if let Some(count) = by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                by_source.remove(&self.source);
            }
        }
    }
}

/// Accepts connections. Never returns.
pub async fn run(
    listener: TcpListener,
    tls: TlsAcceptor,
    pending: Arc<Pending>,
    services: Arc<Services>,
) {
    let router = router(services);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let source = Source::of(address.ip());
        let Some(pending) = pending.take(source) else {
            tracing::debug!(%address, "too many connections that are not signed in");
            continue;
        };
        let peer = Peer {
            address,
            source,
            _place: Arc::new(place),
        };
        tokio::spawn(serve(stream, tls.clone(), router.clone(), peer, pending));
    }
}

async fn serve(
    stream: TcpStream,
    tls: TlsAcceptor,
    router: Router,
    peer: Peer,
    pending: PendingPlace,
) {
    // Control messages are small and someone waits for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "can't set TCP_NODELAY");
    }
    let address = peer.address;
    let stream = match timeout(TLS_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "TLS failed");
            return;
        }
        Err(_) => {
            tracing::debug!(%address, "TLS took too long");
            return;
        }
    };
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(pending.clone());
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
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%address, %error, "HTTP ended");
    }
}

fn router(services: Arc<Services>) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/health", get(pages::health))
        .route("/invite/{code}", get(pages::invite))
        .route("/style.css", get(pages::style))
        .route("/ws", get(gateway::upgrade))
        .fallback(pages::not_found)
        .with_state(services)
        .layer(axum::middleware::map_response(async |response| {
            secured(response)
        }))
}

/// Nothing of these pages runs code, is framed, or tells another site where it came from.
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
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let pending = Pending::new(2);
        let source = |text: &str| Source::of(text.parse().unwrap());
        let first = pending.take(source("10.0.0.1")).unwrap();
        let second = pending.take(source("10.0.0.1")).unwrap();
        assert!(pending.take(source("10.0.0.1")).is_none());
        assert!(pending.take(source("10.0.0.2")).is_some());
        let clone = first.clone();
        drop(first);
        assert!(pending.take(source("10.0.0.1")).is_none());
        drop(clone);
        drop(second);
        assert!(pending.by_source.lock().unwrap().is_empty());
    }
}
