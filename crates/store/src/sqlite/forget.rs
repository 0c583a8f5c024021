//! Users who are no more. Their rows stay as the authors, without a name, of what they wrote; so bans and logs keep what they point at.

use rusqlite::Connection;
use voxhall_protocol::{ChannelId, GuildId, UserId, control::UnixMs};

use super::{
    conversations, devices,
    users::{self, id, to_sql},
    writer::WriteTx,
};
use crate::{Change, DELETED_USER, Devices, ForgetGuests, Removal, StoreError};

pub(super) fn guests(tx: &WriteTx<'_>, forget: ForgetGuests) -> Result<u32, StoreError> {
    let gone: Vec<u64> = tx
        .prepare_cached(
            "SELECT id FROM users u WHERE kind = 'guest' AND deleted_at_ms IS NULL AND suspended_at_ms IS NULL
             AND (last_seen_ms < ?1 OR (last_seen_ms < ?2 AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.user_id = u.id)))
             LIMIT ?3",
        )?
        .query_map(
            (forget.seen_before, forget.signed_out_before, forget.limit),
            |row| id(row, 0),
        )?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for guest in gone {
        count += u32::from(user(tx, UserId(guest), forget.now)?);
    }
    Ok(count)
}

/// False: there was nobody.
pub(super) fn user(tx: &WriteTx<'_>, user: UserId, now: UnixMs) -> Result<bool, StoreError> {
    if !users::exists(tx, user)? {
        return Ok(false);
    }
    devices::end(tx, user, Devices::All)?;
    conversations::leave_all(tx, user)?;
    relations(tx, user)?;
    guilds(tx, user)?;
    let hosted = tx
        .prepare_cached("DELETE FROM stages WHERE host_id = ?1 RETURNING id")?
        .query_map([to_sql(user.0)], |row| id(row, 0))?
        .collect::<Result<Vec<_>, _>>()?;
    for stage in hosted {
        tx.changed(Change::StageEnded(ChannelId(stage)));
    }
    tx.prepare_cached("DELETE FROM call_parties WHERE user_id = ?1")?
        .execute([to_sql(user.0)])?;
    tx.prepare_cached(
        "UPDATE users SET kind = 'guest', name = ?2, name_key = '', password_hash = NULL, display_name = NULL, display_key = NULL,
             about = '', picture_id = NULL, is_admin = 0, suspended_at_ms = NULL, custom_status = NULL, custom_until_ms = NULL,
             deleted_at_ms = ?3 WHERE id = ?1",
    )?
    .execute((to_sql(user.0), DELETED_USER, now))?;
    tx.changed(Change::UserDeleted(user));
    Ok(true)
}

fn relations(tx: &WriteTx<'_>, user: UserId) -> rusqlite::Result<()> {
    let others = tx
        .prepare_cached("SELECT user_id FROM relations WHERE other_id = ?1")?
        .query_map([to_sql(user.0)], |row| id(row, 0))?
        .collect::<Result<Vec<_>, _>>()?;
    for sql in [
        "DELETE FROM relations WHERE user_id = ?1 OR other_id = ?1",
        "DELETE FROM follows WHERE follower_id = ?1 OR followed_id = ?1",
    ] {
        tx.prepare_cached(sql)?.execute([to_sql(user.0)])?;
    }
    for other in others {
        tx.changed(Change::Related {
            user: UserId(other),
            other: user,
            kind: None,
        });
    }
    Ok(())
}

fn guilds(tx: &WriteTx<'_>, user: UserId) -> rusqlite::Result<()> {
    for guild in read_ids(
        tx,
        "UPDATE guilds SET owner_id = NULL WHERE owner_id = ?1 RETURNING id",
        user,
    )? {
        tx.changed(Change::GuildUpdated(super::guilds::read_info(
            tx,
            GuildId(guild),
        )?));
    }
    for guild in read_ids(
        tx,
        "DELETE FROM members WHERE user_id = ?1 RETURNING guild_id",
        user,
    )? {
        tx.changed(Change::MemberRemoved {
            guild: GuildId(guild),
            user,
            why: Removal::Deleted,
        });
    }
    Ok(())
}

fn read_ids(c: &Connection, sql: &str, user: UserId) -> rusqlite::Result<Vec<u64>> {
    c.prepare_cached(sql)?
        .query_map([to_sql(user.0)], |row| id(row, 0))?
        .collect()
}
