//! Files over HTTPS: uploads in pieces (tus 1.0.0, core protocol) that go on where they were cut, and downloads.
//!
//! Each transfer is a task of its own. What it has to ask the server goes over the session's control connection, its bytes over a
//! connection of its own to the same pinned server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    sync::{mpsc, watch},
    time,
};
use voxhall_protocol::{
    FileId, SecretText,
    control::{
        Attachment, BeginUpload, Call, Failure, FailureKind, Upload, UploadPurpose, UploadStatus,
        Uploaded,
    },
    link::Link,
};

use crate::{AskError, TransferId, TransferProgress, control, shell::Questions};

/// Bytes of one request: small enough to show progress and to lose little when cut, large enough to cost nothing.
const PIECE_BYTES: usize = 512 * 1024;
/// One piece may take this long.
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Without any progress for this long a transfer is given up.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What a transfer needs of its session.
#[derive(Clone)]
pub struct Site {
    pub link: Link,
    pub token: watch::Receiver<Option<SecretText>>,
    pub questions: Questions,
    pub reports: mpsc::Sender<(TransferId, TransferProgress)>,
}

/// Why a step of a transfer came to nothing.
#[derive(Debug)]
enum Trouble {
    /// Trying again may help.
    Passing,
    /// It won't; the reason is for people.
    Final(String),
}

pub async fn upload(site: Site, transfer: TransferId, purpose: UploadPurpose, path: PathBuf) {
    let done = run_upload(&site, transfer, purpose, &path).await;
    let last = done.map_or_else(TransferProgress::Failed, TransferProgress::Uploaded);
    site.report(transfer, last).await;
}

pub async fn download(
    site: Site,
    transfer: TransferId,
    file: FileId,
    thumbnail: bool,
    to: PathBuf,
) {
    let done = run_download(&site, transfer, file, thumbnail, &to).await;
    let last = done.map_or_else(TransferProgress::Failed, |()| TransferProgress::Saved(to));
    site.report(transfer, last).await;
}

async fn run_upload(
    site: &Site,
    transfer: TransferId,
    purpose: UploadPurpose,
    path: &Path,
) -> Result<Attachment, String> {
    let unreadable = |error| format!("Can't read {}: {error}.", path.display());
    let mut file = File::open(path).await.map_err(unreadable)?;
    let bytes = file.metadata().await.map_err(unreadable)?.len();
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let begin = BeginUpload {
        name,
        bytes,
        purpose,
    };
    let mut patience = Patience::new();
    let begun: Upload = loop {
        match site.ask(begin.clone()).await {
            Ok(begun) => break begun,
            Err(Trouble::Final(why)) => return Err(why),
            Err(Trouble::Passing) => patience.pause().await?,
        }
    };
    let (file_id, mut offset) = (begun.file_id, begun.offset);
    let mut server = None;
    loop {
        site.report(
            transfer,
            TransferProgress::Moving {
                bytes: offset,
                of: bytes,
            },
        )
        .await;
        if offset >= bytes {
            match site.ask(UploadStatus { file_id }).await {
                Ok(Uploaded {
                    attachment: Some(attachment),
                    ..
                }) => return Ok(attachment),
                Ok(Uploaded { offset: known, .. }) => offset = known,
                Err(Trouble::Final(why)) => return Err(why),
                Err(Trouble::Passing) => {}
            }
            patience.pause().await?;
            continue;
        }
        let piece = read_piece(&mut file, offset).await.map_err(unreadable)?;
        if piece.is_empty() {
            return Err(format!(
                "{} became shorter while it was sent.",
                path.display()
            ));
        }
        let sent = time::timeout(
            PIECE_TIMEOUT,
            site.patch(&mut server, &begun.path, offset, piece),
        )
        .await;
        match sent.unwrap_or(Err(Trouble::Passing)) {
            Ok(now) => {
                if now > offset {
                    patience = Patience::new();
                }
                offset = now;
            }
            Err(Trouble::Final(why)) => return Err(why),
            Err(Trouble::Passing) => {
                server = None;
                patience.pause().await?;
                // How far did it get?
                match site.ask(UploadStatus { file_id }).await {
                    Ok(status) => offset = status.offset,
                    Err(Trouble::Final(why)) => return Err(why),
                    Err(Trouble::Passing) => {}
                }
            }
        }
    }
}

async fn read_piece(file: &mut File, offset: u64) -> std::io::Result<Bytes> {
    file.seek(std::io::SeekFrom::Start(offset)).await?;
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    file.take(PIECE_BYTES as u64)
        .read_to_end(&mut piece)
        .await?;
    Ok(piece.into())
}

async fn run_download(
    site: &Site,
    transfer: TransferId,
    file: FileId,
    thumbnail: bool,
    to: &Path,
) -> Result<(), String> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut patience = Patience::new();
    loop {
        match site
            .fetch(transfer, file, thumbnail, &part, &mut patience)
            .await
        {
            Ok(()) => break,
            Err(Trouble::Final(why)) => {
                let _ = fs::remove_file(&part).await;
                return Err(why);
            }
            Err(Trouble::Passing) => patience.pause().await?,
        }
    }
    let unwritable = |error| format!("Can't write {}: {error}.", to.display());
    fs::rename(&part, to).await.map_err(unwritable)
}

impl Site {
    async fn report(&self, transfer: TransferId, progress: TransferProgress) {
        // A session that has ended needs no report.
        let _ = self.reports.send((transfer, progress)).await;
    }

    async fn ask<C: Call>(&self, call: C) -> Result<C::Reply, Trouble> {
        self.questions.ask(call).await.map_err(|error| match error {
            AskError::Offline | AskError::Lost => Trouble::Passing,
            AskError::Refused(failure) => trouble_of(failure),
            AskError::Unreadable => Trouble::Final(error.to_string()),
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Trouble> {
        let (stream, _) = control::connect(&self.link)
            .await
            .map_err(|_| Trouble::Passing)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Trouble::Passing)?;
        // Ends with the sender.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<hyper::http::request::Builder, Trouble> {
        let token = self
            .token
            .borrow()
            .as_ref()
            .map(|token| format!("Bearer {}", token.expose()));
        let token = token.ok_or(Trouble::Passing)?;
        Ok(Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.link.authority())
            .header(header::AUTHORIZATION, token))
    }

    /// Sends one piece, and says how many bytes the server has then.
    async fn patch(
        &self,
        server: &mut Option<SendRequest<Full<Bytes>>>,
        path: &str,
        offset: u64,
        piece: Bytes,
    ) -> Result<u64, Trouble> {
        let end = offset + piece.len() as u64;
        let request = self
            .request(Method::PATCH, path)?
            .header("Tus-Resumable", "1.0.0")
            .header("Upload-Offset", offset)
            .header(header::CONTENT_TYPE, "application/offset+octet-stream")
            .body(Full::new(piece))
            .map_err(|_| {
                Trouble::Final("The server named no valid place for the file.".to_owned())
            })?;
        if server.as_ref().is_none_or(SendRequest::is_closed) {
            *server = Some(self.connect().await?);
        }
        let sender = server.as_mut().expect("connected just now");
        sender.ready().await.map_err(|_| Trouble::Passing)?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| Trouble::Passing)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let told = response.headers().get("Upload-Offset");
        let told = told.and_then(|value| value.to_str().ok()?.parse().ok());
        // The body, empty as it is, has to be read before the connection can be used again.
        let _ = response.into_body().collect().await;
        Ok(told.unwrap_or(end))
    }

    /// Adds to `part` what is missing of a file.
    async fn fetch(
        &self,
        transfer: TransferId,
        file: FileId,
        thumbnail: bool,
        part: &Path,
        patience: &mut Patience,
    ) -> Result<(), Trouble> {
        let unwritable = |error: std::io::Error| {
            Trouble::Final(format!("Can't write {}: {error}.", part.display()))
        };
        let tail = if thumbnail { "/thumbnail" } else { "" };
        let have = if patience.is_fresh() {
            0
        } else {
            fs::metadata(part).await.map_or(0, |it| it.len())
        };
        let mut request = self.request(Method::GET, &format!("/files/{file}{tail}"))?;
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let request = request
            .body(Full::default())
            .map_err(|_| Trouble::Passing)?;
        let mut sender = self.connect().await?;
        let response = time::timeout(PIECE_TIMEOUT, sender.send_request(request)).await;
        let response = response
            .map_err(|_| Trouble::Passing)?
            .map_err(|_| Trouble::Passing)?;
        let (mut out, mut bytes) = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let file = File::options()
                    .append(true)
                    .open(part)
                    .await
                    .map_err(unwritable)?;
                (file, have)
            }
            status if status.is_success() => (File::create(part).await.map_err(unwritable)?, 0),
            _ => return Err(refusal(response).await),
        };
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length: Option<u64> = length.and_then(|value| value.to_str().ok()?.parse().ok());
        let of = length.map_or(0, |length| bytes + length);
        let mut body = response.into_body();
        loop {
            let frame = time::timeout(PIECE_TIMEOUT, body.frame())
                .await
                .map_err(|_| Trouble::Passing)?;
            let Some(frame) = frame else { break };
            if let Ok(data) = frame.map_err(|_| Trouble::Passing)?.into_data() {
                out.write_all(&data).await.map_err(unwritable)?;
                bytes += data.len() as u64;
                patience.forgive();
                self.report(
                    transfer,
                    TransferProgress::Moving {
                        bytes,
                        of: of.max(bytes),
                    },
                )
                .await;
            }
        }
        out.flush().await.map_err(unwritable)?;
        out.sync_all().await.map_err(unwritable)
    }
}

async fn refusal(response: Response<Incoming>) -> Trouble {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), 4_096)
        .collect()
        .await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    match status {
        // The access token ran out (a new one comes), or the server has another offset than we think.
        StatusCode::UNAUTHORIZED | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => {
            Trouble::Passing
        }
        _ if status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE => {
            Trouble::Passing
        }
        _ => Trouble::Final(match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => failure.message,
            Err(_) if body.is_empty() => format!("The server refused the file (HTTP {status})."),
            Err(_) => String::from_utf8_lossy(&body).chars().take(200).collect(),
        }),
    }
}

fn trouble_of(failure: Failure) -> Trouble {
    match failure.kind() {
        FailureKind::Internal | FailureKind::RateLimited | FailureKind::Unavailable => {
            Trouble::Passing
        }
        _ => Trouble::Final(failure.message),
    }
}

/// Pauses that grow, up to an end.
struct Patience {
    pause: Duration,
    since: time::Instant,
    fresh: bool,
}

impl Patience {
    fn new() -> Self {
        Self {
            pause: FIRST_PAUSE,
            since: time::Instant::now(),
            fresh: true,
        }
    }

    /// Nothing was tried before.
    fn is_fresh(&self) -> bool {
        self.fresh
    }

    fn forgive(&mut self) {
        self.pause = FIRST_PAUSE;
        self.since = time::Instant::now();
    }

    async fn pause(&mut self) -> Result<(), String> {
        if self.since.elapsed() > PATIENCE {
            return Err("There was no connection to the server for too long.".to_owned());
        }
        self.fresh = false;
        time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
