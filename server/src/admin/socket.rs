//! The server's side of the socket: one JSON-RPC request a line, one answer a line. Root and the user that the server runs as may ask.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use voxhall_protocol::{
    control::{Failure, FailureKind, Request, encode_failure, parse_from_client},
    limits::MAX_CONTROL_MESSAGE_BYTES,
};

use crate::services::{Administrator, Services};

/// Commands at once.
const MAX_CONNECTIONS: usize = 16;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub struct AdminSocket {
    listener: UnixListener,
    /// The user that this server runs as.
    owner: u32,
    file: SocketFile,
}

/// Removes the file when it is dropped.
#[must_use]
pub struct SocketFile(PathBuf);

impl AdminSocket {
    /// Takes the place of what another server left there; the lock of the data folder says that none runs.
    ///
    /// # Errors
    /// The system refuses, as for a path of more than 107 bytes.
    pub fn bind(path: &Path) -> io::Result<Self> {
        // It gets its name when its rights are right.
        let unfinished = path.with_extension("new");
        remove(&unfinished)?;
        let listener = UnixListener::bind(&unfinished)?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&unfinished)?.uid();
        fs::rename(&unfinished, path)?;
        Ok(Self {
            listener,
            owner,
            file: SocketFile(path.to_owned()),
        })
    }

    /// Answers commands from now on.
    pub fn start(self, services: Arc<Services>) -> SocketFile {
        tokio::spawn(accept(self.listener, self.owner, services));
        self.file
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone, with its folder.
        drop(remove(&self.0));
    }
}

/// Never returns.
async fn accept(listener: UnixListener, owner: u32, services: Arc<Services>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let services = Arc::clone(&services);
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, owner, &services).await {
                        tracing::debug!(%error, "an admin connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept an admin connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn converse(mut stream: UnixStream, owner: u32, services: &Services) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if !may_command(uid, owner) {
        tracing::warn!(
            uid,
            "an admin connection was refused: it is neither root's nor this server's user's"
        );
        let refusal = Failure::new(
            FailureKind::Forbidden,
            "Only root and the user that the server runs as may command it. Try again as one of them, as with sudo.",
        );
        let answer = encode_failure(None, &refusal) + "\n";
        return stream.write_all(answer.as_bytes()).await;
    }
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        let most = MAX_CONTROL_MESSAGE_BYTES as u64 + 1;
        if (&mut read).take(most).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let mut answer = answer(services, &line, uid).await;
        answer.push('\n');
        write.write_all(answer.as_bytes()).await?;
        if !line.ends_with('\n') {
            return Ok(());
        }
    }
}

/// Whatever the rights of the file have become: root, and who runs the server.
fn may_command(uid: u32, owner: u32) -> bool {
    uid == 0 || uid == owner
}

async fn answer(services: &Services, line: &str, uid: u32) -> String {
    let (id, request) = match parse_from_client(line) {
        Ok(parsed) => parsed,
        Err((id, failure)) => return encode_failure(id, &failure),
    };
    log_command(&request, uid);
    match services
        .administer(Administrator::Console, id, request)
        .await
    {
        Ok(answer) => answer,
        Err(failure) => encode_failure(Some(id), &failure),
    }
}

fn log_command(request: &Request, uid: u32) {
    let method = request.method();
    match request {
        // Health checks ask for them all the time.
        Request::AdminStats(_) => tracing::debug!(method, uid, "admin command"),
        _ => tracing::info!(method, uid, "admin command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_servers_user_command() {
        for (uid, may) in [(0, true), (1_000, true), (1_001, false), (u32::MAX, false)] {
            assert_eq!(may_command(uid, 1_000), may, "{uid}");
        }
    }
}
