//! Stage rooms.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    ChannelId, UserId,
    control::{StageAccess, UnixMs},
};

use super::{
    SqliteStore,
    users::{self, id, to_sql},
    writer::WriteTx,
};
use crate::{
    Change, MAX_STAGES, NEVER_BEGUN_MS, NewStage, StageError, StageRecord, Stages, StoreError,
};

/// What [`read_record`] reads.
const RECORD: &str =
    "SELECT id, host_id, topic, access, code, scheduled_at_ms, started_at_ms FROM stages";

impl Stages for SqliteStore {
    async fn open_stage(&self, new: NewStage) -> Result<StageRecord, StageError> {
        self.write(move |tx| open(tx, &new)).await
    }

    async fn begin_stage(&self, stage: ChannelId, now: UnixMs) -> Result<bool, StageError> {
        self.write(move |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE stages SET started_at_ms = ?2 WHERE id = ?1 AND started_at_ms IS NULL",
                )?
                .execute((to_sql(stage.0), now))?;
            if changed > 0 {
                saved(tx, stage)?;
            }
            Ok(changed > 0)
        })
        .await
    }

    async fn update_stage(&self, stage: ChannelId, topic: String) -> Result<(), StageError> {
        self.write(move |tx| {
            tx.prepare_cached("UPDATE stages SET topic = ?2 WHERE id = ?1")?
                .execute((to_sql(stage.0), &topic))?;
            saved(tx, stage).map(drop)
        })
        .await
    }

    async fn ban_from_stage(&self, stage: ChannelId, user: UserId) -> Result<(), StageError> {
        self.write(move |tx| {
            if !users::exists(tx, user)? {
                return Err(StageError::NoUser);
            }
            if record(tx, stage)?.is_none() {
                return Err(StageError::NoStage);
            }
            tx.prepare_cached(
                "INSERT OR IGNORE INTO stage_bans (stage_id, user_id) VALUES (?1, ?2)",
            )?
            .execute((to_sql(stage.0), to_sql(user.0)))?;
            saved(tx, stage).map(drop)
        })
        .await
    }

    async fn end_stage(&self, stage: ChannelId) -> Result<(), StoreError> {
        self.write(move |tx| {
            let ended = tx
                .prepare_cached("DELETE FROM stages WHERE id = ?1")?
                .execute([to_sql(stage.0)])?;
            if ended > 0 {
                tx.changed(Change::StageEnded(stage));
            }
            Ok(())
        })
        .await
    }

    async fn end_forgotten_stages(&self, now: UnixMs) -> Result<(), StoreError> {
        self.write(move |tx| {
            let ended: Vec<_> = tx
                .prepare_cached(
                    "DELETE FROM stages WHERE started_at_ms IS NULL AND scheduled_at_ms < ?1 RETURNING id",
                )?
                .query_map([now - NEVER_BEGUN_MS], |row| id(row, 0))?
                .collect::<Result<_, _>>()?;
            for stage in ended {
                tx.changed(Change::StageEnded(ChannelId(stage)));
            }
            Ok(())
        })
        .await
    }

    async fn stages(&self) -> Result<Vec<StageRecord>, StoreError> {
        self.write(move |tx| {
            let mut all = tx.prepare(&format!("{RECORD} ORDER BY id"))?;
            let all: Vec<_> = all.query_map([], read_record)?.collect::<Result<_, _>>()?;
            (all.into_iter())
                .map(|record| Ok(with_bans(tx, record)?))
                .collect()
        })
        .await
    }
}

fn open(tx: &WriteTx<'_>, new: &NewStage) -> Result<StageRecord, StageError> {
    if !users::exists(tx, new.host)? {
        return Err(StageError::NoUser);
    }
    let open: u32 = tx
        .prepare_cached("SELECT count(*) FROM stages WHERE host_id = ?1")?
        .query_row([to_sql(new.host.0)], |row| row.get(0))?;
    if open >= MAX_STAGES {
        return Err(StageError::TooMany);
    }
    // Voice knows one kind of id: the next of a channel is taken, and none after it is the same.
    let stage = tx
        .prepare_cached("INSERT INTO channels (kind) VALUES ('group') RETURNING id")?
        .query_row([], |row| id(row, 0))?;
    tx.prepare_cached("DELETE FROM channels WHERE id = ?1")?
        .execute([to_sql(stage)])?;
    tx.prepare_cached(
        "INSERT INTO stages (id, host_id, topic, access, code, scheduled_at_ms, started_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        to_sql(stage),
        to_sql(new.host.0),
        &new.topic,
        new.access.as_str(),
        &new.code,
        new.scheduled_at_ms,
        new.scheduled_at_ms.is_none().then_some(new.now),
    ))?;
    saved(tx, ChannelId(stage))
}

/// Tells of a room as it is now.
fn saved(tx: &WriteTx<'_>, stage: ChannelId) -> Result<StageRecord, StageError> {
    let record = record(tx, stage)?.ok_or(StageError::NoStage)?;
    tx.changed(Change::StageSaved(record.clone()));
    Ok(record)
}

fn record(c: &Connection, stage: ChannelId) -> rusqlite::Result<Option<StageRecord>> {
    let record = c
        .prepare_cached(&format!("{RECORD} WHERE id = ?1"))?
        .query_row([to_sql(stage.0)], read_record)
        .optional()?;
    record.map(|record| with_bans(c, record)).transpose()
}

/// Without the bans.
fn read_record(row: &Row<'_>) -> rusqlite::Result<StageRecord> {
    Ok(StageRecord {
        id: ChannelId(id(row, 0)?),
        host: UserId(id(row, 1)?),
        topic: row.get(2)?,
        access: StageAccess::named(row.get_ref(3)?.as_str()?).unwrap_or(StageAccess::Closed),
        code: row.get(4)?,
        scheduled_at_ms: row.get(5)?,
        started_at_ms: row.get(6)?,
        banned: BTreeSet::new(),
    })
}

fn with_bans(c: &Connection, mut record: StageRecord) -> rusqlite::Result<StageRecord> {
    record.banned = c
        .prepare_cached("SELECT user_id FROM stage_bans WHERE stage_id = ?1")?
        .query_map([to_sql(record.id.0)], |row| Ok(UserId(id(row, 0)?)))?
        .collect::<Result<_, _>>()?;
    Ok(record)
}
