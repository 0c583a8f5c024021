//! What is known of uploaded files.

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    ChannelId, FileId, MessageId, UserId,
    control::{PictureSize, UnixMs},
};

use super::{
    SqliteStore,
    users::{self, id, to_sql},
};
use crate::{BeginFileError, FileContent, FileRecord, Files, NewFile, StoreError};

const DAY_MS: UnixMs = 24 * 3_600_000;
/// As the table `files_taken` has it; no user's id.
const EVERYONE: i64 = 0;

impl Files for SqliteStore {
    async fn begin_file(&self, new: NewFile) -> Result<FileId, BeginFileError> {
        self.write(move |tx| begin(tx, &new)).await
    }

    async fn file(&self, file: FileId) -> Result<Option<FileRecord>, StoreError> {
        self.read(move |c| Ok(read(c, file)?)).await
    }

    async fn complete_file(&self, file: FileId, content: FileContent) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let picture = content.picture;
            let changed = tx
                .prepare_cached(
                    "UPDATE files SET bytes = ?2, media_type = ?3, completed_at_ms = ?4, width = ?5, height = ?6, thumbnail = ?7
                     WHERE id = ?1 AND completed_at_ms IS NULL",
                )?
                .execute((
                    to_sql(file.0),
                    to_sql(content.bytes),
                    &content.media_type,
                    content.completed_at_ms,
                    picture.map(|picture| picture.width),
                    picture.map(|picture| picture.height),
                    picture.is_some_and(|picture| picture.thumbnail),
                ))?;
            Ok(changed > 0)
        })
        .await
    }

    async fn give_up_file(&self, file: FileId) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM files WHERE id = ?1 AND completed_at_ms IS NULL")?
                .execute([to_sql(file.0)])?;
            Ok(())
        })
        .await
    }

    async fn sweep_files(&self, begun_before: UnixMs, limit: u32) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let swept = tx
                .prepare_cached(
                    "DELETE FROM files WHERE id IN (
                         SELECT id FROM files f WHERE message_id IS NULL AND begun_at_ms < ?1 AND ifnull(completed_at_ms, 0) < ?1
                         AND NOT EXISTS (SELECT 1 FROM users WHERE picture_id = f.id)
                         AND NOT EXISTS (SELECT 1 FROM guilds WHERE icon = f.id)
                         LIMIT ?2)",
                )?
                .execute((begun_before, limit))?;
            Ok(u32::try_from(swept).unwrap_or(limit))
        })
        .await
    }

    async fn dead_files(&self, limit: u32) -> Result<Vec<FileId>, StoreError> {
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT id FROM dead_files LIMIT ?1")?
                .query_map([limit], |row| id(row, 0).map(FileId))?
                .collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn forget_dead_files(&self, files: Vec<FileId>) -> Result<(), StoreError> {
        self.write(move |tx| {
            let mut forget = tx.prepare_cached("DELETE FROM dead_files WHERE id = ?1")?;
            for file in &files {
                forget.execute([to_sql(file.0)])?;
            }
            Ok(())
        })
        .await
    }

    async fn known_files(&self, files: Vec<FileId>) -> Result<Vec<FileId>, StoreError> {
        self.read(move |c| {
            let mut exists = c.prepare_cached("SELECT 1 FROM files WHERE id = ?1")?;
            let mut known = Vec::new();
            for file in files {
                if exists.exists([to_sql(file.0)])? {
                    known.push(file);
                }
            }
            Ok(known)
        })
        .await
    }
}

fn begin(c: &Connection, new: &NewFile) -> Result<FileId, BeginFileError> {
    if !users::exists(c, new.uploader)? {
        return Err(BeginFileError::NoUser);
    }
    let uploader = to_sql(new.uploader.0);
    let unfinished: u32 = c
        .prepare_cached(
            "SELECT count(*) FROM files WHERE uploader_id = ?1 AND completed_at_ms IS NULL",
        )?
        .query_row([uploader], |row| row.get(0))?;
    let day = c
        .prepare_cached(
            "SELECT ifnull(sum(bytes), 0) FROM files WHERE uploader_id = ?1 AND begun_at_ms > ?2",
        )?
        .query_row((uploader, new.now - DAY_MS), |row| id(row, 0))?;
    let (user, total) = (taken(c, uploader)?, taken(c, EVERYONE)?);
    let fits = |taken: u64, quota: u64| taken.saturating_add(new.bytes) <= quota;
    if unfinished >= new.quota.unfinished {
        return Err(BeginFileError::Unfinished(unfinished));
    }
    if !fits(user, new.quota.user) {
        return Err(BeginFileError::User);
    }
    if !fits(day, new.quota.day) {
        return Err(BeginFileError::Day);
    }
    if !fits(total, new.quota.total) {
        return Err(BeginFileError::Total);
    }
    let file = c
        .prepare_cached("INSERT INTO files (uploader_id, channel_id, name, announced, bytes, begun_at_ms) VALUES (?1, ?2, ?3, ?4, ?4, ?5) RETURNING id")?
        .query_row(
            (uploader, new.channel.map(|channel| to_sql(channel.0)), &new.name, to_sql(new.bytes), new.now),
            |row| id(row, 0),
        )?;
    Ok(FileId(file))
}

/// Bytes that the files of this user take.
fn taken(c: &Connection, user: i64) -> rusqlite::Result<u64> {
    let taken = c
        .prepare_cached("SELECT bytes FROM files_taken WHERE user_id = ?1")?
        .query_row([user], |row| id(row, 0))
        .optional()?;
    Ok(taken.unwrap_or(0))
}

/// Makes a complete file part of a message; false where it can't be.
pub(super) fn attach(
    c: &Connection,
    file: FileId,
    uploader: UserId,
    channel: ChannelId,
    message: MessageId,
    position: u32,
) -> rusqlite::Result<bool> {
    let attached = c
        .prepare_cached(
            "UPDATE files SET message_id = ?4, position = ?5
             WHERE id = ?1 AND uploader_id = ?2 AND channel_id = ?3 AND message_id IS NULL AND completed_at_ms IS NOT NULL",
        )?
        .execute((to_sql(file.0), to_sql(uploader.0), to_sql(channel.0), to_sql(message.0), position))?;
    Ok(attached > 0)
}

fn read(c: &Connection, file: FileId) -> rusqlite::Result<Option<FileRecord>> {
    c.prepare_cached(
        "SELECT uploader_id, channel_id, message_id, name, bytes, completed_at_ms, media_type, width, height, thumbnail, announced
         FROM files WHERE id = ?1",
    )?
    .query_row([to_sql(file.0)], |row| {
        let bytes = id(row, 4)?;
        let content = match row.get(5)? {
            Some(completed_at_ms) => Some(FileContent {
                bytes,
                media_type: row.get(6)?,
                picture: read_picture(row, 7)?,
                completed_at_ms,
            }),
            None => None,
        };
        Ok(FileRecord {
            id: file,
            uploader: UserId(id(row, 0)?),
            channel: optional(row, 1)?.map(ChannelId),
            message: optional(row, 2)?.map(MessageId),
            name: row.get(3)?,
            announced: id(row, 10)?,
            bytes,
            content,
        })
    })
    .optional()
}

/// From columns `width, height, thumbnail`.
pub(super) fn read_picture(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<PictureSize>> {
    let size: (Option<u32>, Option<u32>) = (row.get(first)?, row.get(first + 1)?);
    let (Some(width), Some(height)) = size else {
        return Ok(None);
    };
    let thumbnail = row.get(first + 2)?;
    Ok(Some(PictureSize {
        width,
        height,
        thumbnail,
    }))
}

fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}
