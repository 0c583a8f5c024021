//! The audit log. Whatever changes a guild calls [`record`] within its own transaction.

use rusqlite::{Connection, ToSql};
use voxhall_protocol::{
    AuditId, ChannelId, GuildId, MessageId, UserId,
    control::{AuditAction, AuditEntry, AuditPage},
};

use super::{
    SqliteStore,
    users::{id, optional_id, to_sql, user_by_id},
};
use crate::{AUDIT_KEPT_MS, Act, Audit, AuditFilter, AuditRecord, StoreError};

impl Audit for SqliteStore {
    async fn audit_page(
        &self,
        guild: GuildId,
        filter: AuditFilter,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        self.read(move |c| page(c, guild, filter, limit)).await
    }

    async fn record_audit(
        &self,
        guild: GuildId,
        entry: AuditRecord,
        act: Act,
    ) -> Result<(), StoreError> {
        self.write(move |c| record(c, guild, &act, &entry)).await
    }
}

/// Writes an entry, and removes one or two that have been there for too long.
pub(super) fn record(
    c: &Connection,
    guild: GuildId,
    act: &Act,
    entry: &AuditRecord,
) -> Result<(), StoreError> {
    let changes = serde_json::to_string(&entry.changes)
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    c.prepare_cached(
        "INSERT INTO audit (guild_id, at_ms, by_id, action, target, target_user_id, channel_id, message_id, reason, changes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        to_sql(guild.0),
        act.now,
        act.by.map(|by| to_sql(by.0)),
        entry.action.as_str(),
        &entry.target,
        entry.user.map(|user| to_sql(user.0)),
        entry.channel.map(|channel| to_sql(channel.0)),
        entry.message.map(|message| to_sql(message.0)),
        &act.reason,
        changes,
    ))?;
    c.prepare_cached(
        "DELETE FROM audit WHERE at_ms < ?2 AND id IN (SELECT id FROM audit WHERE guild_id = ?1 ORDER BY id LIMIT 2)",
    )?
    .execute((to_sql(guild.0), act.now - AUDIT_KEPT_MS))?;
    Ok(())
}

fn page(
    c: &Connection,
    guild: GuildId,
    filter: AuditFilter,
    limit: u32,
) -> Result<AuditPage, StoreError> {
    let before = filter.before.map_or(i64::MAX, |id| to_sql(id.0));
    let action = filter.action.map(AuditAction::as_str);
    let by = filter.by.map(|by| to_sql(by.0));
    // One more than asked for tells whether there are older ones.
    let parameters: [&dyn ToSql; 5] = [
        &to_sql(guild.0),
        &before,
        &action,
        &by,
        &(i64::from(limit) + 1),
    ];
    // Said only where it is asked, so that each has its index.
    let of_action = action.map_or("", |_| "AND action = ?3");
    let of_moderator = by.map_or("", |_| "AND by_id = ?4");
    let mut statement = c.prepare_cached(&format!(
        "SELECT id, at_ms, by_id, action, target, target_user_id, channel_id, message_id, reason, changes FROM audit
         WHERE guild_id = ?1 AND id < ?2 {of_action} {of_moderator} ORDER BY id DESC LIMIT ?5",
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        // One of a newer Voxhall, before a backup was restored, is left out.
        let Some(action) = row.get_ref(3)?.as_str().ok().and_then(AuditAction::named) else {
            continue;
        };
        let by = optional_id(row, 2)?.map(UserId);
        entries.push(AuditEntry {
            id: AuditId(id(row, 0)?),
            at_ms: row.get(1)?,
            by: by.map(|by| user_by_id(c, by)).transpose()?,
            action,
            target: row.get(4)?,
            target_user_id: optional_id(row, 5)?.map(UserId),
            channel_id: optional_id(row, 6)?.map(ChannelId),
            message_id: optional_id(row, 7)?.map(MessageId),
            reason: row.get(8)?,
            changes: serde_json::from_str(row.get_ref(9)?.as_str().unwrap_or_default()).map_err(
                |error| StoreError::Failed(format!("an audit entry is damaged: {error}")),
            )?,
        });
    }
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    Ok(AuditPage { entries, more })
}
