//! The command's side of the socket.

use std::{
    io::{self},
    path::{Path, PathBuf},
};

use voxhall_protocol::control::Failure;

/// Why a command did nothing, or may have done nothing.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(
        "no server listens at {}. Start it, or say where it keeps its data with --data DIR", .0.display()
    )]
    NoServer(PathBuf),
    #[error(
        "this user may not talk to the server at {}. Run the command as the server's user, or as root", .0.display()
    )]
    NotAllowed(PathBuf),
    #[error("can't talk to the server at {}: {source}", path.display())]
    Broken { path: PathBuf, source: io::Error },
    #[error("the server hung up before it answered; its log may say why")]
    HungUp,
    #[error("the server's answer can't be read; is this program as old as the server? {0}")]
    Unreadable(String),
    #[error("this server has no admin socket (admin_socket is off)")]
    Off,
    #[cfg(not(unix))]
    #[error("commands for a running server need a Unix system")]
    NotHere,
    #[error(transparent)]
    Refused(#[from] Failure),
}

/// A conversation with the server.
pub struct Console {
    #[cfg(unix)]
    stream: std::io::BufReader<std::os::unix::net::UnixStream>,
    path: PathBuf,
    next_id: u64,
}

#[cfg(unix)]
mod unix {
    use std::{
        io::{BufRead, BufReader, ErrorKind, Write},
        os::unix::net::UnixStream,
    };

    use voxhall_protocol::control::{Call, Incoming, encode_request, parse_from_server};

    use super::{AskError, Console, Path, io};

    impl Console {
        /// # Errors
        /// Nobody listens there, or not for this user.
        pub fn open(path: &Path) -> Result<Self, AskError> {
            let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    AskError::NoServer(path.to_owned())
                }
                ErrorKind::PermissionDenied => AskError::NotAllowed(path.to_owned()),
                _ => AskError::Broken {
                    path: path.to_owned(),
                    source,
                },
            })?;
            Ok(Self {
                stream: BufReader::new(stream),
                path: path.to_owned(),
                next_id: 0,
            })
        }

        /// Asks and waits for the answer, however long it takes.
        ///
        /// # Errors
        /// See [`AskError`].
        pub fn ask<C: Call>(&mut self, call: &C) -> Result<C::Reply, AskError> {
            self.next_id += 1;
            let mut line = encode_request(self.next_id, call);
            line.push('\n');
            let stream = self.stream.get_mut();
            let sent = stream.write_all(line.as_bytes());
            sent.map_err(|source| self.broken(source))?;
            let mut answer = String::new();
            match self.stream.read_line(&mut answer) {
                Ok(0) => return Err(AskError::HungUp),
                Ok(_) => {}
                Err(source) => return Err(self.broken(source)),
            }
            let unreadable =
                |error: &dyn std::fmt::Display| AskError::Unreadable(error.to_string());
            match parse_from_server(&answer).map_err(|error| unreadable(&error))? {
                Incoming::Result { result, .. } => {
                    serde_json::from_str(result.get()).map_err(|error| unreadable(&error))
                }
                Incoming::Failed { failure, .. } => Err(failure.into()),
                Incoming::Event { .. } => Err(unreadable(&"it is an event")),
            }
        }

        fn broken(&self, source: io::Error) -> AskError {
            let path = self.path.clone();
            AskError::Broken { path, source }
        }
    }
}

#[cfg(not(unix))]
impl Console {
    pub fn open(_: &Path) -> Result<Self, AskError> {
        Err(AskError::NotHere)
    }

    pub fn ask<C: voxhall_protocol::control::Call>(&mut self, _: &C) -> Result<C::Reply, AskError> {
        let _ = (&self.path, self.next_id);
        Err(AskError::NotHere)
    }
}
