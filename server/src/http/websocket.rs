//! The answer to who wants to go on with WebSocket.

use axum::{
    body::Body,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use hyper::upgrade::Upgraded;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

/// Gives the answer, and goes on with the connection in a task of its own.
pub fn upgrade<F: Future<Output = ()> + Send>(
    mut request: Request,
    go_on: impl FnOnce(Upgraded) -> F + Send + 'static,
) -> Response {
    let mut handshake = hyper::Request::new(());
    *handshake.method_mut() = request.method().clone();
    *handshake.uri_mut() = request.uri().clone();
    *handshake.version_mut() = request.version();
    handshake.headers_mut().extend(request.headers().clone());
    match create_response(&handshake) {
        Ok(response) => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                match upgrade.await {
                    Ok(upgraded) => go_on(upgraded).await,
                    Err(error) => tracing::debug!(%error, "a WebSocket upgrade failed"),
                }
            });
            response.map(|()| Body::empty())
        }
        Err(_) => {
            let words = "This address is for the Voxhall app, which speaks WebSocket here.\n";
            (StatusCode::UPGRADE_REQUIRED, words).into_response()
        }
    }
}
