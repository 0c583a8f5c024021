//! Calls that were.

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    CallId, ChannelId, UserId,
    control::{CallDirection, CallEnd, CallEntry, CallPage, CallsFrom, User},
};

use super::{
    SqliteStore,
    users::{self, USER, id, read_user, to_sql},
};
use crate::{CALLS_KEPT_MS, CallRecord, Calls, Change, StoreError};

/// What [`read_entry`] reads.
const ENTRY: &str =
    "SELECT c.id, c.channel_id, c.caller_id, c.started_at_ms, c.reason, p.duration_ms, p.missed
                     FROM call_parties p JOIN calls c ON c.id = p.call_id";

impl Calls for SqliteStore {
    async fn begin_calls(&self) -> Result<Option<CallId>, StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE calls SET reason = ?1 WHERE reason IS NULL",
                [CallEnd::ServerStopped.as_str()],
            )?;
            let newest = tx.query_row("SELECT max(id) FROM calls", [], |row| {
                users::optional_id(row, 0)
            })?;
            Ok(newest.map(CallId))
        })
        .await
    }

    async fn save_call(&self, call: CallRecord) -> Result<(), StoreError> {
        self.write(move |tx| {
            save(tx, &call)?;
            if call.end.is_some() {
                for party in &call.parties {
                    let Some(entry) = entry(tx, party.user, call.id)? else {
                        continue;
                    };
                    tx.changed(Change::CallLogged {
                        user: party.user,
                        entry,
                        missed: missed(tx, party.user)?,
                    });
                }
            }
            Ok(())
        })
        .await
    }

    async fn calls(
        &self,
        user: UserId,
        before: Option<CallId>,
        limit: u32,
    ) -> Result<CallPage, StoreError> {
        self.read(move |c| {
            let before = before.map_or(i64::MAX, |id| to_sql(id.0));
            // One more than asked for tells whether there are older ones.
            let mut statement = c.prepare_cached(&format!(
                "{ENTRY} WHERE p.user_id = ?1 AND p.call_id < ?2 AND c.reason IS NOT NULL ORDER BY p.call_id DESC LIMIT ?3"
            ))?;
            let rows = statement
                .query_map((to_sql(user.0), before, i64::from(limit) + 1), |row| {
                    read_entry(row, user)
                })?
                .collect::<Result<Vec<_>, _>>()?;
            let more = rows.len() > limit as usize;
            let mut calls = Vec::new();
            for entry in rows.into_iter().take(limit as usize) {
                calls.push(with_others(c, user, entry)?);
            }
            Ok(CallPage { calls, more })
        })
        .await
    }

    async fn missed_calls(&self, user: UserId) -> Result<u32, StoreError> {
        self.read(move |c| Ok(missed(c, user)?)).await
    }

    async fn mark_calls_seen(&self, user: UserId, up_to: CallId) -> Result<(), StoreError> {
        self.write(move |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE call_parties SET seen = 1 WHERE user_id = ?1 AND call_id <= ?2 AND missed = 1 AND seen = 0",
                )?
                .execute((to_sql(user.0), to_sql(up_to.0)))?;
            if changed > 0 {
                let missed = missed(tx, user)?;
                tx.changed(Change::CallsSeen { user, missed });
            }
            Ok(())
        })
        .await
    }

    async fn set_calls_from(&self, user: UserId, from: CallsFrom) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("UPDATE users SET calls_from_friends = ?2 WHERE id = ?1")?
                .execute((to_sql(user.0), from == CallsFrom::Friends))?;
            users::saved(tx, user)?;
            Ok(())
        })
        .await
    }
}

/// Whoever is no more is left out, and with the caller the call. Removes a few that have been there for too long.
fn save(c: &Connection, call: &CallRecord) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO calls (id, channel_id, caller_id, started_at_ms, reason)
         SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?3)
         ON CONFLICT (id) DO UPDATE SET reason = excluded.reason",
    )?
    .execute((
        to_sql(call.id.0),
        to_sql(call.channel.0),
        to_sql(call.caller.0),
        call.started_at_ms,
        call.end.map(CallEnd::as_str),
    ))?;
    for party in &call.parties {
        c.prepare_cached(
            "INSERT INTO call_parties (user_id, call_id, duration_ms, missed)
             SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1) AND EXISTS (SELECT 1 FROM calls WHERE id = ?2)
             ON CONFLICT (user_id, call_id) DO UPDATE SET duration_ms = excluded.duration_ms, missed = excluded.missed",
        )?
        .execute((
            to_sql(party.user.0),
            to_sql(call.id.0),
            party
                .duration_ms
                .map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
            party.missed,
        ))?;
    }
    c.prepare_cached(
        "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE started_at_ms < ?1 ORDER BY started_at_ms LIMIT 2)",
    )?
    .execute([call.started_at_ms - CALLS_KEPT_MS])?;
    Ok(())
}

fn missed(c: &Connection, user: UserId) -> rusqlite::Result<u32> {
    c.prepare_cached(
        "SELECT count(*) FROM call_parties p JOIN calls c ON c.id = p.call_id
         WHERE p.user_id = ?1 AND p.missed = 1 AND p.seen = 0 AND c.reason IS NOT NULL",
    )?
    .query_row([to_sql(user.0)], |row| row.get(0))
}

fn entry(c: &Connection, user: UserId, call: CallId) -> rusqlite::Result<Option<CallEntry>> {
    let entry = c
        .prepare_cached(&format!("{ENTRY} WHERE p.user_id = ?1 AND p.call_id = ?2"))?
        .query_row((to_sql(user.0), to_sql(call.0)), |row| {
            read_entry(row, user)
        })
        .optional()?;
    entry.map(|entry| with_others(c, user, entry)).transpose()
}

/// Without the others.
fn read_entry(row: &Row<'_>, user: UserId) -> rusqlite::Result<CallEntry> {
    let caller = UserId(id(row, 2)?);
    let reason = row.get_ref(4)?.as_str_or_null()?.and_then(CallEnd::named);
    Ok(CallEntry {
        id: CallId(id(row, 0)?),
        channel_id: ChannelId(id(row, 1)?),
        direction: if caller == user {
            CallDirection::Outgoing
        } else {
            CallDirection::Incoming
        },
        others: Vec::new(),
        started_at_ms: row.get(3)?,
        duration_ms: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        // Of a newer Voxhall, before a backup was restored.
        reason: reason.unwrap_or(CallEnd::HungUp),
        missed: row.get(6)?,
    })
}

fn with_others(c: &Connection, user: UserId, mut entry: CallEntry) -> rusqlite::Result<CallEntry> {
    entry.others = c
        .prepare_cached(&format!(
            "SELECT {USER} FROM call_parties p JOIN users u ON u.id = p.user_id
             WHERE p.call_id = ?1 AND p.user_id <> ?2 ORDER BY u.id"
        ))?
        .query_map((to_sql(entry.id.0), to_sql(user.0)), read_user)?
        .collect::<Result<Vec<User>, _>>()?;
    Ok(entry)
}
