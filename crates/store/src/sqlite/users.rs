//! Rows of users: reading them, and telling of them.

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    FileId, UserId,
    control::{CallsFrom, OwnPresence, StatusChoice, User, UserKind},
};

use super::writer::WriteTx;
use crate::{AccountState, Change, UserRecord};

/// What [`read_user_at`] reads, of a table `users u`.
pub(super) const USER: &str = "u.id, u.name, u.kind, u.display_name, u.picture_id";
/// What [`read_record`] reads, of a table `users u`.
pub(super) const RECORD: &str = "u.id, u.name, u.kind, u.display_name, u.picture_id, u.is_admin, \
                                 u.suspended_at_ms IS NOT NULL, u.status_choice, u.custom_status, u.custom_until_ms, \
                                 u.calls_from_friends";
const STATE: &str = "SELECT u.id, u.name, u.kind, u.display_name, u.picture_id, u.is_admin, u.suspended_at_ms IS NOT NULL, \
                     u.created_at_ms, u.last_seen_ms, (SELECT count(*) FROM devices d WHERE d.user_id = u.id) FROM users u";

/// From the columns [`USER`] at the front.
pub(super) fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    read_user_at(row, 0)
}

pub(super) fn read_user_at(row: &Row<'_>, first: usize) -> rusqlite::Result<User> {
    let kind = match row.get_ref(first + 2)?.as_str()? {
        "account" => UserKind::Account,
        _ => UserKind::Guest,
    };
    let name: String = row.get(first + 1)?;
    Ok(User {
        display_name: row.get(first + 3)?,
        picture: optional_id(row, first + 4)?.map(FileId),
        ..User::new(UserId(id(row, first)?), name, kind)
    })
}

/// From the columns [`RECORD`] at the front.
pub(super) fn read_record(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    Ok(UserRecord {
        user: read_user(row)?,
        is_admin: row.get(5)?,
        suspended: row.get(6)?,
        presence: OwnPresence {
            choice: match row.get_ref(7)?.as_str()? {
                "do_not_disturb" => StatusChoice::DoNotDisturb,
                "invisible" => StatusChoice::Invisible,
                _ => StatusChoice::Online,
            },
            custom_status: row.get(8)?,
            custom_until_ms: row.get(9)?,
        },
        calls_from: if row.get(10)? {
            CallsFrom::Friends
        } else {
            CallsFrom::Everyone
        },
    })
}

pub(super) fn choice_text(choice: StatusChoice) -> &'static str {
    match choice {
        StatusChoice::Online => "online",
        StatusChoice::DoNotDisturb => "do_not_disturb",
        StatusChoice::Invisible => "invisible",
    }
}

/// None: there is nobody, or nobody any more.
pub(super) fn record(c: &Connection, user: UserId) -> rusqlite::Result<Option<UserRecord>> {
    c.prepare_cached(&format!(
        "SELECT {RECORD} FROM users u WHERE u.id = ?1 AND u.deleted_at_ms IS NULL"
    ))?
    .query_row([to_sql(user.0)], read_record)
    .optional()
}

/// As the author of something: one who was deleted too.
pub(super) fn user_by_id(c: &Connection, user: UserId) -> rusqlite::Result<User> {
    c.prepare_cached(&format!("SELECT {USER} FROM users u WHERE u.id = ?1"))?
        .query_row([to_sql(user.0)], read_user)
}

pub(super) fn exists(c: &Connection, user: UserId) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND deleted_at_ms IS NULL)")?
        .query_row([to_sql(user.0)], |row| row.get(0))
}

/// Tells of a user as they are now.
pub(super) fn saved(tx: &WriteTx<'_>, user: UserId) -> rusqlite::Result<Option<UserRecord>> {
    let record = record(tx, user)?;
    if let Some(record) = &record {
        tx.changed(Change::UserSaved(record.clone()));
    }
    Ok(record)
}

pub(super) fn all(c: &Connection) -> rusqlite::Result<Vec<UserRecord>> {
    c.prepare_cached(&format!(
        "SELECT {RECORD} FROM users u WHERE u.deleted_at_ms IS NULL ORDER BY u.id"
    ))?
    .query_map([], read_record)?
    .collect()
}

/// With `query`, in lower case, in their name.
pub(super) fn list(
    c: &Connection,
    query: &str,
    after: Option<UserId>,
    limit: u32,
) -> rusqlite::Result<Vec<AccountState>> {
    c.prepare_cached(&format!(
        "{STATE} WHERE u.id > ?2 AND u.deleted_at_ms IS NULL
         AND (instr(u.name_key, ?1) > 0 OR instr(coalesce(u.display_key, ''), ?1) > 0) ORDER BY u.id LIMIT ?3"
    ))?
    .query_map((query, after.map_or(0, |id| to_sql(id.0)), limit), read_state)?
    .collect()
}

pub(super) fn state(c: &Connection, user: UserId) -> rusqlite::Result<Option<AccountState>> {
    c.prepare_cached(&format!(
        "{STATE} WHERE u.id = ?1 AND u.deleted_at_ms IS NULL"
    ))?
    .query_row([to_sql(user.0)], read_state)
    .optional()
}

fn read_state(row: &Row<'_>) -> rusqlite::Result<AccountState> {
    Ok(AccountState {
        user: read_user(row)?,
        is_admin: row.get(5)?,
        suspended: row.get(6)?,
        created_at_ms: row.get(7)?,
        last_seen_ms: row.get(8)?,
        devices: row.get(9)?,
    })
}

/// Whether this user uploaded that picture, to be seen by everyone.
pub(super) fn owns_picture(
    c: &Connection,
    user: UserId,
    picture: FileId,
) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM files WHERE id = ?1 AND uploader_id = ?2 AND channel_id IS NULL AND message_id IS NULL
         AND completed_at_ms IS NOT NULL AND width IS NOT NULL)",
    )?
    .query_row((to_sql(picture.0), to_sql(user.0)), |row| row.get(0))
}

/// An id that SQLite gave.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

pub(super) fn optional_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<i64>>(column)
        .map(|id| id.map(i64::cast_unsigned))
}

/// An id as SQLite takes it. One beyond its range is answered as unknown: no row has a negative id.
pub(super) fn to_sql(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(-1)
}
