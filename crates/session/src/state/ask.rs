//! Questions and their answers, files on their way.

use std::path::PathBuf;

use voxhall_protocol::{
    FileId,
    control::{Attachment, Failure, Reply},
};

/// Chosen by who asks, to find the answer again. Unique among one's own questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Waiting,
    Done(Box<Reply>),
    Failed(AskError),
}

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("There is no connection to the server right now.")]
    Offline,
    /// It may have been done all the same.
    #[error("The connection was lost before the server answered.")]
    Lost,
    #[error("{0}")]
    Refused(Failure),
    #[error("The server's answer makes no sense to this version of the program.")]
    Unreadable,
}

/// Chosen by who starts an upload or a download. Unique in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u64);

/// A file on its way to or from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub name: String,
    pub progress: TransferProgress,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferProgress {
    /// Not begun, or begun and cut off: goes on by itself.
    Waiting,
    Moving {
        bytes: u64,
        of: u64,
    },
    /// The server has it all.
    Uploaded(Attachment),
    /// It is here.
    Saved(PathBuf),
    /// Why not.
    Failed(String),
}

impl Transfer {
    pub(crate) fn file(&self) -> Option<FileId> {
        match &self.progress {
            TransferProgress::Uploaded(attachment) => Some(attachment.id),
            _ => None,
        }
    }
}
