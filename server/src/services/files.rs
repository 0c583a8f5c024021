//! Uploads, and who may see what was uploaded.

use std::{sync::Arc, time::Duration};

use voxhall_protocol::{
    FileId, UserId,
    control::{BeginUpload, Failure, FailureKind, Upload, UploadPurpose, UploadStatus, Uploaded},
    permissions::Permissions,
};
use voxhall_store::{
    BeginFileError, FileContent, FileQuota, FileRecord, Files as _, Messages as _, NewFile,
    StoreError,
};

use super::{Budget, Caller, Services};
use crate::{
    clock::unix_ms,
    files::{LookError, clean_name},
    words,
};

/// A profile's picture or a guild's icon, as it is uploaded.
const MAX_PICTURE_BYTES: u64 = 8 << 20;
/// Uploads of one user that are not finished.
const UNFINISHED: u32 = 10;
/// Of what one user may have, this part may come within a day.
const DAY_PART: u64 = 4;
/// What is not finished, not sent or not shown by then is given up.
const WANTED_FOR_MS: i64 = 24 * 3_600_000;
const UPKEEP_EVERY: Duration = Duration::from_secs(10 * 60);
/// Files or messages removed in one transaction, and a pause for others after each.
const AT_ONCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

impl Services {
    /// Takes room for a file. Its bytes follow over HTTPS.
    pub async fn begin_upload(
        &self,
        caller: &Caller,
        params: BeginUpload,
    ) -> Result<Upload, Failure> {
        self.budgets.take(Budget::Uploads, caller.user)?;
        let limits = self.attachments;
        let (channel, most) = match params.purpose {
            UploadPurpose::Message(channel) => {
                let needs = Permissions::SEND_MESSAGES.with(Permissions::ATTACH_FILES);
                self.writable(caller, channel, needs)?;
                (Some(channel), limits.each)
            }
            UploadPurpose::Picture => (None, MAX_PICTURE_BYTES.min(limits.each)),
        };
        if params.bytes == 0 {
            return Err(words::invalid("There is nothing in this file."));
        }
        if params.bytes > most {
            return Err(Failure::new(
                FailureKind::TooLarge,
                format!("This file is too large: {} at most.", in_mib(most)),
            ));
        }
        if !self.files.has_room(params.bytes) {
            tracing::error!("the disk is nearly full: uploads are refused");
            return Err(disk_full());
        }
        let new = NewFile {
            uploader: caller.user,
            channel,
            name: clean_name(&params.name),
            bytes: params.bytes,
            quota: FileQuota {
                unfinished: UNFINISHED,
                day: (limits.per_user / DAY_PART).max(limits.each),
                user: limits.per_user,
                total: limits.total,
            },
            now: unix_ms(),
        };
        let file_id = self
            .store
            .begin_file(new)
            .await
            .map_err(|error| not_begun(&error))?;
        Ok(Upload {
            file_id,
            path: format!("/uploads/{file_id}"),
            offset: 0,
        })
    }

    pub async fn upload_status(
        &self,
        caller: &Caller,
        params: UploadStatus,
    ) -> Result<Uploaded, Failure> {
        let record = self.upload_of(caller.user, params.file_id).await?;
        Ok(Uploaded {
            offset: self.uploaded(&record).await?,
            attachment: record.attachment(),
        })
    }

    /// Someone's own upload, finished or not.
    pub(crate) async fn upload_of(
        &self,
        user: UserId,
        file: FileId,
    ) -> Result<FileRecord, Failure> {
        let record = self
            .store
            .file(file)
            .await
            .map_err(|error| words::store(&error))?;
        record
            .filter(|record| record.uploader == user)
            .ok_or_else(|| words::not_found("file"))
    }

    /// How many bytes have arrived, whatever was made of them.
    pub(crate) async fn uploaded(&self, record: &FileRecord) -> Result<u64, Failure> {
        if record.content.is_some() {
            return Ok(record.announced);
        }
        let blobs = &self.files.blobs;
        let found = async {
            Ok(if blobs.is_kept(record.id).await? {
                record.announced
            } else {
                blobs.offset(record.id).await?.min(record.announced)
            })
        };
        found.await.map_err(|error| disk_failed(&error))
    }

    /// All bytes have arrived: looks at them, and makes them an attachment.
    pub(crate) async fn finish_upload(&self, record: &FileRecord) -> Result<(), Failure> {
        let looked = match self.files.finish(record.id, record.channel.is_none()).await {
            Ok(looked) => looked,
            Err(LookError::NotAPicture) => {
                self.store
                    .give_up_file(record.id)
                    .await
                    .map_err(|error| words::store(&error))?;
                self.files_died.notify_one();
                return Err(Failure::new(
                    FailureKind::BadFile,
                    "This is not a picture that can be read: take a PNG, JPEG, GIF or WebP of at most 40 megapixels.",
                ));
            }
            Err(LookError::Io(error)) => return Err(disk_failed(&error)),
        };
        let content = FileContent {
            bytes: looked.bytes,
            media_type: looked.media_type,
            picture: looked.picture,
            completed_at_ms: unix_ms(),
        };
        let known = self
            .store
            .complete_file(record.id, content)
            .await
            .map_err(|error| words::store(&error))?;
        if !known
            && self
                .store
                .file(record.id)
                .await
                .is_ok_and(|record| record.is_none())
        {
            // It was given up meanwhile, and nobody else would remove what was just put in place.
            self.files
                .blobs
                .remove(record.id)
                .await
                .map_err(|error| disk_failed(&error))?;
            return Err(words::not_found("file"));
        }
        Ok(())
    }

    /// A complete file, for who may see it.
    pub(crate) async fn file_for(
        &self,
        caller: &Caller,
        file: FileId,
    ) -> Result<FileRecord, Failure> {
        let record = self
            .store
            .file(file)
            .await
            .map_err(|error| words::store(&error))?;
        let record = record
            .filter(|record| record.content.is_some())
            .ok_or_else(|| words::not_found("file"))?;
        let may_see = match (record.channel, record.message) {
            (None, _) => true,
            (Some(_), None) => record.uploader == caller.user,
            (Some(channel), Some(_)) => self
                .in_channel(caller, channel, Permissions::VIEW_CHANNEL)
                .is_ok(),
        };
        may_see
            .then_some(record)
            .ok_or_else(|| words::not_found("file"))
    }

    /// Gives up what nobody wants, removes the bytes of what is no more, and deletes messages that were kept for long enough. Never
    /// returns.
    pub async fn upkeep(self: Arc<Self>) {
        if let Err(error) = self.remove_strays().await {
            tracing::warn!(%error, "files that belong to nothing can't be removed now");
        }
        loop {
            self.expire().await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "files that nobody wants can't be removed now");
            }
            // Whatever died meanwhile is found now.
            let _ = tokio::time::timeout(UPKEEP_EVERY, self.files_died.notified()).await;
        }
    }

    /// Messages that were kept for long enough, a few at a time.
    async fn expire(&self) {
        let keep_ms = self
            .message_retention
            .map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        loop {
            match self
                .store
                .expire_messages(keep_ms, unix_ms(), AT_ONCE)
                .await
            {
                Ok(AT_ONCE) => tokio::time::sleep(PAUSE).await,
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old messages can't be deleted now");
                    return;
                }
            }
        }
    }

    async fn sweep(&self) -> Result<(), UpkeepError> {
        while self
            .store
            .sweep_files(unix_ms() - WANTED_FOR_MS, AT_ONCE)
            .await?
            == AT_ONCE
        {
            tokio::time::sleep(PAUSE).await;
        }
        loop {
            let dead = self.store.dead_files(AT_ONCE).await?;
            if dead.is_empty() {
                return Ok(());
            }
            for file in &dead {
                self.files.blobs.remove(*file).await?;
            }
            self.store.forget_dead_files(dead).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Bytes of which the store knows nothing, as after a backup was restored.
    async fn remove_strays(&self) -> Result<(), UpkeepError> {
        for some in self.files.blobs.all().await?.chunks(AT_ONCE as usize) {
            let known = self.store.known_files(some.to_vec()).await?;
            for stray in some.iter().filter(|file| !known.contains(file)) {
                self.files.blobs.remove(*stray).await?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum UpkeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Disk(#[from] std::io::Error),
}

fn not_begun(error: &BeginFileError) -> Failure {
    let (kind, words) = match error {
        BeginFileError::NoUser => return words::not_found("user"),
        BeginFileError::Unfinished(_) => (
            FailureKind::TooMany,
            "Too many of your uploads are not finished. Finish those, or try again tomorrow.",
        ),
        BeginFileError::Day => (
            FailureKind::TooLarge,
            "You have uploaded as much as one may in a day. Try again tomorrow.",
        ),
        BeginFileError::User => (
            FailureKind::TooLarge,
            "Your files take all the room that one person has here. Delete messages with files that nobody needs any more.",
        ),
        BeginFileError::Total => (
            FailureKind::TooLarge,
            "This server has no room for more files. Its owner can make room, or allow more.",
        ),
        BeginFileError::Store(error) => return words::store(error),
    };
    Failure::new(kind, words)
}

pub(crate) fn disk_failed(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    if matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    ) {
        tracing::error!("the disk is full: an upload was refused");
        return disk_full();
    }
    words::store(&StoreError::Failed(error.to_string()))
}

pub(crate) fn disk_full() -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        "The server's disk is full, so the file can't be taken. Try again when its owner has made room.",
    )
}

fn in_mib(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes >= MIB {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}
