//! The bytes of files: sent as in tus 1.0.0 (core), fetched as any HTTP client does. `docs/protocol/files.md` describes it.

use std::{io, io::SeekFrom, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, BodyDataStream, Bytes},
    extract::{Extension, Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    time::timeout,
};
use voxhall_protocol::{
    FileId, SecretText,
    control::{Failure, FailureKind},
};
use voxhall_store::FileRecord;

use super::{Deadline, Peer};
use crate::{
    files::{Kind, Turn, disposition, served_as},
    live::ConnectionId,
    places::Place,
    services::{
        Budget, Caller, Running, Services,
        files::{disk_failed, disk_full},
    },
    words,
};

const TUS: &str = "tus-resumable";
const TUS_VERSION: &str = "1.0.0";
const OFFSET: &str = "upload-offset";
const LENGTH: &str = "upload-length";
const CHUNK_TYPE: &str = "application/offset+octet-stream";

/// A client that sends nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(30);
/// What a transfer may take, however small it is, and the slowest line that large ones are waited for.
const TRANSFER_WITHIN: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_S: u64 = 16 * 1024;
/// Bytes between two looks at how full the disk is.
const LOOK_EVERY: u64 = 4 << 20;
const READ_BYTES: usize = 64 * 1024;
/// Of a body that is refused.
const READ_ON_BYTES: usize = 64 << 20;
const READ_ON_FOR: Duration = Duration::from_secs(2);

/// What serves nothing that a browser would run, whatever the bytes are.
const INERT: &str = "default-src 'none'; sandbox";

pub async fn options() -> Response {
    let headers = [("tus-version", TUS_VERSION), (TUS, TUS_VERSION)];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// How many bytes of an upload are there. Whoever was sending them has to stop.
pub async fn head(
    State(services): State<Arc<Services>>,
    Extension(peer): Extension<Peer>,
    Path(file): Path<u64>,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let caller = caller(&services, &peer, &headers).await?;
        speaks_tus(&headers)?;
        let record = services.upload_of(caller.user, FileId(file)).await?;
        let Some(_turn) = services.files.turns.take(record.id).await else {
            return Err(Refused::Superseded);
        };
        Ok((services.uploaded(&record).await?, record.announced))
    };
    match found.await {
        Ok((offset, length)) => (
            [
                (OFFSET, offset.to_string()),
                (LENGTH, length.to_string()),
                (TUS, TUS_VERSION.to_owned()),
                ("cache-control", "no-store".to_owned()),
            ],
            Body::empty(),
        )
            .into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Takes the next bytes of an upload. They are on disk when the answer comes; with the last of them the file is looked at.
pub async fn patch(
    State(services): State<Arc<Services>>,
    Extension(peer): Extension<Peer>,
    Extension(pending): Extension<Place>,
    Extension(deadline): Extension<Deadline>,
    Path(file): Path<u64>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut body = Some(body);
    let mut is_known = false;
    let received = async {
        let caller = caller(&services, &peer, &headers).await?;
        let running = services.transfers.begin(caller.user).await?;
        pending.give_back();
        is_known = true;
        speaks_tus(&headers)?;
        if headers
            .get(header::CONTENT_TYPE)
            .is_none_or(|kind| kind != CHUNK_TYPE)
        {
            return Err(Refused::WrongType);
        }
        let offset = number(&headers, OFFSET).ok_or(Refused::NoOffset)?;
        let record = services.upload_of(caller.user, FileId(file)).await?;
        let turn = services
            .files
            .turns
            .take(record.id)
            .await
            .ok_or(Refused::Superseded)?;
        // Somebody may have finished it while this one waited.
        let record = services.upload_of(caller.user, record.id).await?;
        let there = services.uploaded(&record).await?;
        if offset != there {
            return Err(Refused::OtherOffset(there));
        }
        let left = record.announced - there;
        if number(&headers, "content-length").is_some_and(|length| length > left) {
            return Err(too_many_bytes());
        }
        deadline.put_off(patience(left));
        // Goes on when the connection breaks: what has arrived is written before anyone else writes.
        let body = body.take().unwrap_or_default();
        let receiving = tokio::spawn({
            let receiving = receive(Arc::clone(&services), turn, record, there, body);
            async move {
                let received = receiving.await;
                drop(running);
                received
            }
        });
        receiving.await.unwrap_or(Err(Refused::Broken))
    };
    let received = received.await;
    if is_known && let Some(body) = body {
        read_on(&mut body.into_data_stream()).await;
    }
    match received {
        Ok(offset) => {
            let headers = [(OFFSET, offset.to_string()), (TUS, TUS_VERSION.to_owned())];
            (StatusCode::NO_CONTENT, headers).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

async fn receive(
    services: Arc<Services>,
    mut turn: Turn,
    record: FileRecord,
    from: u64,
    body: Body,
) -> Result<u64, Refused> {
    let mut at = from;
    if at < record.announced {
        let blobs = &services.files.blobs;
        let mut file = blobs
            .append(record.id)
            .await
            .map_err(|error| disk_failed(&error))?;
        let mut chunks = body.into_data_stream();
        let received = write(
            &services,
            &mut turn,
            &mut file,
            &mut at,
            record.announced,
            &mut chunks,
        )
        .await;
        // Whatever came, so that the next request finds all of it.
        let written = async {
            file.flush().await?;
            file.sync_data().await
        };
        let written = written.await.map_err(|error| disk_failed(&error));
        if matches!(received, Err(Refused::Failure(_))) {
            read_on(&mut chunks).await;
        }
        received?;
        written?;
    }
    if at == record.announced && record.content.is_none() {
        services.finish_upload(&record).await?;
    }
    Ok(at)
}

/// Until the body ends, too much comes, or somebody else sends.
async fn write(
    services: &Services,
    turn: &mut Turn,
    file: &mut File,
    at: &mut u64,
    length: u64,
    chunks: &mut BodyDataStream,
) -> Result<(), Refused> {
    let mut look_at = *at;
    loop {
        let chunk = tokio::select! {
            chunk = timeout(SILENCE, chunks.next()) => chunk,
            () = turn.over() => return Err(Refused::Superseded),
        };
        let chunk: Bytes = match chunk {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(_))) | Err(_) => return Err(Refused::Broken),
        };
        let bytes = chunk.len() as u64;
        if bytes > length - *at {
            return Err(too_many_bytes());
        }
        if *at >= look_at {
            if !services.files.has_room(LOOK_EVERY.min(length - *at)) {
                return Err(Refused::Failure(disk_full()));
            }
            look_at = *at + LOOK_EVERY;
        }
        file.write_all(&chunk)
            .await
            .map_err(|error| disk_failed(&error))?;
        *at += bytes;
    }
}

/// A client that is refused while it sends hears of it only if its bytes are still taken for a moment.
async fn read_on(chunks: &mut BodyDataStream) {
    let reading = async {
        let mut left = READ_ON_BYTES;
        while let Some(Ok(chunk)) = chunks.next().await
            && left > 0
        {
            left = left.saturating_sub(chunk.len());
        }
    };
    // What comes after is not wanted.
    let _ = timeout(READ_ON_FOR, reading).await;
}

/// A complete file.
pub async fn whole(
    State(services): State<Arc<Services>>,
    Extension(peer): Extension<Peer>,
    Extension(pending): Extension<Place>,
    Extension(deadline): Extension<Deadline>,
    Path(file): Path<u64>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    serve(
        &services,
        (&peer, &pending),
        &deadline,
        FileId(file),
        Kind::Whole,
        &method,
        &headers,
    )
    .await
}

/// The small picture of a picture.
pub async fn thumbnail(
    State(services): State<Arc<Services>>,
    Extension(peer): Extension<Peer>,
    Extension(pending): Extension<Place>,
    Extension(deadline): Extension<Deadline>,
    Path(file): Path<u64>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    serve(
        &services,
        (&peer, &pending),
        &deadline,
        FileId(file),
        Kind::Thumbnail,
        &method,
        &headers,
    )
    .await
}

async fn serve(
    services: &Services,
    (peer, pending): (&Peer, &Place),
    deadline: &Deadline,
    file: FileId,
    kind: Kind,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    let found = async {
        let caller = caller(services, peer, headers).await?;
        let running = services.transfers.begin(caller.user).await?;
        pending.give_back();
        let record = services.file_for(&caller, file).await?;
        let blob = services
            .files
            .blobs
            .open(file, kind)
            .await
            .map_err(|error| disk_failed(&error))?;
        let blob = blob.ok_or_else(|| words::not_found("file"))?;
        Ok::<_, Refused>((running, record, blob))
    };
    let (running, record, mut blob) = match found.await {
        Ok(found) => found,
        Err(refused) => return refused.into_response(),
    };
    let tag = format!("\"{file}\"");
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let (media_type, is_inline) = match described(&record, kind, &mut blob.file).await {
        Ok(described) => described,
        Err(error) => return Refused::Failure(disk_failed(&error)).into_response(),
    };
    // A range of something else than the client has would not fit it.
    let same = headers
        .get(header::IF_RANGE)
        .is_none_or(|known| known.as_bytes() == tag.as_bytes());
    let asked = headers
        .get(header::RANGE)
        .filter(|_| same)
        .and_then(|range| range.to_str().ok());
    let (status, from, length) = match range(asked, blob.bytes) {
        Range::All => (StatusCode::OK, 0, blob.bytes),
        Range::Part { from, length } => (StatusCode::PARTIAL_CONTENT, from, length),
        Range::Nowhere => {
            let all = format!("bytes */{}", blob.bytes);
            return (
                StatusCode::RANGE_NOT_SATISFIABLE,
                [(header::CONTENT_RANGE, all)],
            )
                .into_response();
        }
    };
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        if let Err(error) = blob.file.seek(SeekFrom::Start(from)).await {
            return Refused::Failure(disk_failed(&error)).into_response();
        }
        deadline.put_off(patience(length));
        stream_of(running, blob.file, length)
    };
    let mut response = (status, body).into_response();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &media_type);
    set(header::CONTENT_LENGTH, &length.to_string());
    set(
        header::CONTENT_DISPOSITION,
        &disposition(is_inline, &record.name),
    );
    set(header::CONTENT_SECURITY_POLICY, INERT);
    set(header::CACHE_CONTROL, "private, max-age=3600");
    set(header::ACCEPT_RANGES, "bytes");
    set(header::ETAG, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        set(
            header::CONTENT_RANGE,
            &format!("bytes {from}-{}/{}", from + length - 1, blob.bytes),
        );
    }
    response
}

/// The type to tell, and whether a browser may show it. What was made here is known by its first bytes.
async fn described(record: &FileRecord, kind: Kind, file: &mut File) -> io::Result<(String, bool)> {
    if kind == Kind::Thumbnail {
        let is_png = file.read_u8().await? == 0x89;
        return Ok((
            if is_png { "image/png" } else { "image/jpeg" }.to_owned(),
            true,
        ));
    }
    let content = record.content.as_ref();
    let is_picture = content.is_some_and(|content| content.picture.is_some());
    let media_type = content.map_or("", |content| &content.media_type);
    Ok((served_as(media_type, is_picture).to_owned(), is_picture))
}

/// The transfer goes on until the body is sent, or dropped.
fn stream_of(running: Running, file: File, length: u64) -> Body {
    Body::from_stream(stream::unfold(
        (running, file, length),
        |(running, mut file, left)| async move {
            if left == 0 {
                return None;
            }
            let most = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
            let mut chunk = vec![0; most];
            match file.read(&mut chunk).await {
                Ok(0) => Some((Err(io::ErrorKind::UnexpectedEof.into()), (running, file, 0))),
                Ok(read) => {
                    chunk.truncate(read);
                    Some((Ok(Bytes::from(chunk)), (running, file, left - read as u64)))
                }
                Err(error) => Some((Err(error), (running, file, 0))),
            }
        },
    ))
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    All,
    Part {
        from: u64,
        length: u64,
    },
    /// Behind the end.
    Nowhere,
}

/// One range of RFC 9110; several, or what can't be read, give all.
fn range(asked: Option<&str>, bytes: u64) -> Range {
    let parsed = asked.and_then(|asked| {
        let (from, to) = asked.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |text: &str| {
            (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse().unwrap_or(u64::MAX))
        };
        match (from, to) {
            ("", last) => {
                let last = number(last)?.min(bytes);
                Some((bytes - last, last))
            }
            (from, "") => Some((number(from)?, u64::MAX)),
            (from, to) => {
                let (from, to) = (number(from)?, number(to)?);
                (from <= to).then(|| (from, (to - from).saturating_add(1)))
            }
        }
    });
    match parsed {
        None => Range::All,
        Some((from, length)) if from >= bytes || length == 0 => Range::Nowhere,
        Some((from, length)) => Range::Part {
            from,
            length: length.min(bytes - from),
        },
    }
}

/// Who shows an access token.
async fn caller(services: &Services, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Refused> {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|shown| shown.to_str().ok());
    let token = shown
        .and_then(|shown| shown.strip_prefix("Bearer "))
        .unwrap_or_default();
    let (user, device) = services.authenticate(&SecretText::from(token)).await?;
    services.budgets.take(Budget::Transfers, user.id)?;
    Ok(Caller {
        user: user.id,
        device,
        // None: there is no connection that events could go to.
        connection: ConnectionId(u64::MAX),
        source: peer.source,
    })
}

fn speaks_tus(headers: &HeaderMap) -> Result<(), Refused> {
    let same = headers
        .get(TUS)
        .is_some_and(|version| version == TUS_VERSION);
    same.then_some(()).ok_or(Refused::OtherTus)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// How long a transfer is waited for.
fn patience(bytes: u64) -> Duration {
    TRANSFER_WITHIN + Duration::from_secs(bytes / SLOWEST_BYTES_PER_S)
}

fn too_many_bytes() -> Refused {
    Refused::Failure(Failure::new(
        FailureKind::TooLarge,
        "These are more bytes than the file was announced with.",
    ))
}

/// Why a request gets nothing.
#[derive(Debug)]
enum Refused {
    Failure(Failure),
    OtherTus,
    WrongType,
    NoOffset,
    /// The server has this many bytes.
    OtherOffset(u64),
    /// The same upload goes on elsewhere.
    Superseded,
    /// The body did not come to its end.
    Broken,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let said = |status, words: &str| (status, words.to_owned()).into_response();
        let mut response = match self {
            Self::Failure(failure) => failed(&failure),
            Self::OtherTus => {
                let words = "This server speaks tus 1.0.0: send Tus-Resumable: 1.0.0.";
                (
                    StatusCode::PRECONDITION_FAILED,
                    [("tus-version", TUS_VERSION)],
                    words,
                )
                    .into_response()
            }
            Self::WrongType => said(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the bytes with Content-Type: application/offset+octet-stream.",
            ),
            Self::NoOffset => said(
                StatusCode::BAD_REQUEST,
                "Upload-Offset has to say where these bytes go.",
            ),
            Self::OtherOffset(there) => {
                let headers = [(OFFSET, there.to_string())];
                (
                    StatusCode::CONFLICT,
                    headers,
                    "The upload is at another offset. Ask for it with HEAD, and go on there.",
                )
                    .into_response()
            }
            Self::Superseded => said(
                StatusCode::CONFLICT,
                "This upload goes on in another request.",
            ),
            Self::Broken => said(
                StatusCode::BAD_REQUEST,
                "The bytes stopped coming. Ask for the offset with HEAD, and go on there.",
            ),
        };
        response
            .headers_mut()
            .insert(TUS, HeaderValue::from_static(TUS_VERSION));
        // What is left of the body is not read.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

fn failed(failure: &Failure) -> Response {
    let status = match failure.kind() {
        FailureKind::Unauthorized | FailureKind::SignedOut => StatusCode::UNAUTHORIZED,
        FailureKind::Forbidden
        | FailureKind::Blocked
        | FailureKind::Suspended
        | FailureKind::Banned => StatusCode::FORBIDDEN,
        FailureKind::NotFound => StatusCode::NOT_FOUND,
        FailureKind::InvalidParams => StatusCode::BAD_REQUEST,
        FailureKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FailureKind::BadFile => StatusCode::UNPROCESSABLE_ENTITY,
        FailureKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        FailureKind::Unavailable => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = (status, Json(failure)).into_response();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    if status == StatusCode::UNAUTHORIZED {
        set(header::WWW_AUTHENTICATE, "Bearer");
    }
    if let Some(ms) = failure.data.retry_after_ms {
        set(header::RETRY_AFTER, &ms.div_ceil(1_000).to_string());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let part = |from, length| Range::Part { from, length };
        for (asked, given) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=5-900", part(5, 5)),
            ("bytes=0-99999999999999999999999", part(0, 10)),
            ("bytes=10-", Range::Nowhere),
            ("bytes=-0", Range::Nowhere),
            ("bytes=3-2", Range::All),
            ("bytes=0-1,3-4", Range::All),
            ("bytes=a-b", Range::All),
            ("bytes=-", Range::All),
            ("lines=1-2", Range::All),
            ("bytes=0-18446744073709551615", part(0, 10)),
        ] {
            assert_eq!(range(Some(asked), 10), given, "{asked}");
        }
        assert_eq!(range(None, 10), Range::All);
        assert_eq!(range(Some("bytes=0-"), 0), Range::Nowhere);
    }
}
