//! What is known of uploaded files. Their bytes are elsewhere.

use std::future::Future;

use voxhall_protocol::{
    ChannelId, FileId, MessageId, UserId,
    control::{Attachment, PictureSize, UnixMs},
};

use crate::StoreError;

/// What is known of uploaded files.
pub trait Files: Send + Sync {
    /// Announces a file, and takes its room.
    ///
    /// # Errors
    /// See [`BeginFileError`].
    fn begin_file(
        &self,
        new: NewFile,
    ) -> impl Future<Output = Result<FileId, BeginFileError>> + Send;

    fn file(
        &self,
        file: FileId,
    ) -> impl Future<Output = Result<Option<FileRecord>, StoreError>> + Send;

    /// All bytes are there, and durable. False where the file was given up meanwhile.
    fn complete_file(
        &self,
        file: FileId,
        content: FileContent,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives up a file that is not complete.
    fn give_up_file(&self, file: FileId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives up what was begun before then and is not complete, was completed before then and is in no message, or is a picture that
    /// nobody shows any more: at most `limit` files; how many those were.
    fn sweep_files(
        &self,
        begun_before: UnixMs,
        limit: u32,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Files that are no more, whose bytes are to be removed.
    fn dead_files(
        &self,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<FileId>, StoreError>> + Send;

    /// Their bytes were removed.
    fn forget_dead_files(
        &self,
        files: Vec<FileId>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Those of `files` that there are.
    fn known_files(
        &self,
        files: Vec<FileId>,
    ) -> impl Future<Output = Result<Vec<FileId>, StoreError>> + Send;
}

#[derive(Debug, Clone)]
pub struct NewFile {
    pub uploader: UserId,
    /// Where it is to be sent; None: a picture of a profile or a guild.
    pub channel: Option<ChannelId>,
    pub name: String,
    pub bytes: u64,
    pub quota: FileQuota,
    pub now: UnixMs,
}

/// What may be there, this file included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuota {
    /// Of one user, not complete.
    pub unfinished: u32,
    /// Bytes of one user, begun within a day.
    pub day: u64,
    /// Bytes of one user.
    pub user: u64,
    /// Bytes of everyone.
    pub total: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginFileError {
    /// The uploader was deleted meanwhile.
    #[error("no such user")]
    NoUser,
    #[error("{0} uploads are not finished")]
    Unfinished(u32),
    #[error("no room for today")]
    Day,
    #[error("no room for this user")]
    User,
    #[error("no room for anyone")]
    Total,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    pub id: FileId,
    pub uploader: UserId,
    /// None: a picture of a profile or a guild.
    pub channel: Option<ChannelId>,
    /// None: not sent yet.
    pub message: Option<MessageId>,
    pub name: String,
    /// What is sent by its uploader.
    pub announced: u64,
    /// The same, and once it is complete what is stored.
    pub bytes: u64,
    /// None: not complete.
    pub content: Option<FileContent>,
}

impl FileRecord {
    /// Once it is complete.
    pub fn attachment(&self) -> Option<Attachment> {
        let content = self.content.as_ref()?;
        Some(Attachment {
            id: self.id,
            name: self.name.clone(),
            bytes: self.bytes,
            media_type: content.media_type.clone(),
            picture: content.picture,
        })
    }
}

/// What the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    pub bytes: u64,
    pub media_type: String,
    pub picture: Option<PictureSize>,
    pub completed_at_ms: UnixMs,
}
