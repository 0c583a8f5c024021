//! Devices and their refresh tokens.

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{DeviceId, UserId, control::UnixMs};

use super::{
    users::{self, id, to_sql},
    writer::WriteTx,
};
use crate::{
    Change, DeviceRecord, Devices, MAX_DEVICES, NewDevice, RETRY_WITHIN_MS, Rotated, Rotation,
    StoreError,
};

pub(super) fn insert(
    tx: &WriteTx<'_>,
    user: UserId,
    device: &NewDevice,
) -> rusqlite::Result<DeviceId> {
    let added = tx
        .prepare_cached(
            "INSERT INTO devices (user_id, family, token_sha256, label, created_at_ms, last_seen_ms, rotated_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5) RETURNING id",
        )?
        .query_row(
            (
                to_sql(user.0),
                device.family,
                device.token_sha256,
                &device.label,
                device.now,
            ),
            |row| id(row, 0),
        )?;
    let too_many = tx
        .prepare_cached(
            "DELETE FROM devices WHERE id IN (
                 SELECT id FROM devices WHERE user_id = ?1 AND id <> ?2 ORDER BY last_seen_ms DESC, id DESC LIMIT -1 OFFSET ?3)
             RETURNING id",
        )?
        .query_map((to_sql(user.0), to_sql(added), MAX_DEVICES - 1), read_id)?
        .collect::<Result<Vec<_>, _>>()?;
    ended(tx, too_many);
    user_seen(tx, user, device.now)?;
    Ok(DeviceId(added))
}

pub(super) fn of(c: &Connection, user: UserId) -> rusqlite::Result<Vec<DeviceRecord>> {
    c.prepare_cached(
        "SELECT id, label, created_at_ms, last_seen_ms FROM devices WHERE user_id = ?1 ORDER BY last_seen_ms DESC, id DESC",
    )?
    .query_map([to_sql(user.0)], |row| {
        Ok(DeviceRecord {
            id: DeviceId(id(row, 0)?),
            label: row.get(1)?,
            created_at_ms: row.get(2)?,
            last_seen_ms: row.get(3)?,
        })
    })?
    .collect()
}

pub(super) fn end(tx: &WriteTx<'_>, user: UserId, which: Devices) -> rusqlite::Result<()> {
    let (only, but) = match which {
        Devices::One(device) => (Some(to_sql(device.0)), None),
        Devices::AllBut(device) => (None, Some(to_sql(device.0))),
        Devices::All => (None, None),
    };
    let gone = tx
        .prepare_cached(
            "DELETE FROM devices WHERE user_id = ?1 AND id = coalesce(?2, id) AND id IS NOT ?3 RETURNING id",
        )?
        .query_map((to_sql(user.0), only, but), read_id)?
        .collect::<Result<Vec<_>, _>>()?;
    ended(tx, gone);
    Ok(())
}

fn ended(tx: &WriteTx<'_>, devices: Vec<DeviceId>) {
    if !devices.is_empty() {
        tx.changed(Change::DevicesEnded(devices));
    }
}

pub(super) fn seen(c: &Connection, devices: &[DeviceId], now: UnixMs) -> rusqlite::Result<()> {
    let mut see = c.prepare_cached(
        "UPDATE devices SET last_seen_ms = max(last_seen_ms, ?2) WHERE id = ?1 RETURNING user_id",
    )?;
    for device in devices {
        let user = see
            .query_row((to_sql(device.0), now), |row| id(row, 0))
            .optional()?;
        if let Some(user) = user {
            user_seen(c, UserId(user), now)?;
        }
    }
    Ok(())
}

fn user_seen(c: &Connection, user: UserId, now: UnixMs) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE users SET last_seen_ms = max(coalesce(last_seen_ms, 0), ?2) WHERE id = ?1",
    )?
    .execute((to_sql(user.0), now))?;
    Ok(())
}

/// What there is of a token's family.
struct Family {
    device: DeviceId,
    user: UserId,
    generation: u32,
    token_sha256: [u8; 32],
    rotated_at_ms: UnixMs,
}

pub(super) fn rotate(tx: &WriteTx<'_>, rotation: &Rotation) -> Result<Rotated, StoreError> {
    let Some(family) = find(tx, rotation)? else {
        return Ok(Rotated::Unknown);
    };
    let Family { device, user, .. } = family;
    let is_current =
        family.generation == rotation.generation && family.token_sha256 == rotation.shown_sha256;
    if !is_current && family.generation <= rotation.generation {
        // A token from a time that this database, restored from a backup, has not seen.
        return Ok(Rotated::Unknown);
    }
    let is_retry = family.generation == rotation.generation + 1
        && family.token_sha256 == rotation.next_sha256
        && rotation.now < family.rotated_at_ms + RETRY_WITHIN_MS;
    if !is_current && !is_retry {
        end(tx, user, Devices::One(device))?;
        return Ok(Rotated::Reused { user, device });
    }
    let Some(record) = users::record(tx, user)? else {
        return Ok(Rotated::Unknown);
    };
    if record.suspended {
        return Ok(Rotated::Suspended);
    }
    if is_current {
        tx.prepare_cached(
            "UPDATE devices SET family = ?2, generation = ?3, token_sha256 = ?4, rotated_at_ms = ?5 WHERE id = ?1",
        )?
        .execute((
            to_sql(device.0),
            rotation.family,
            family.generation + 1,
            rotation.next_sha256,
            rotation.now,
        ))?;
    }
    seen(tx, &[device], rotation.now)?;
    Ok(Rotated::Good {
        user: record.user,
        device,
    })
}

/// A device from before there were families has none, and is found by its token.
fn find(c: &Connection, rotation: &Rotation) -> rusqlite::Result<Option<Family>> {
    let columns = "SELECT id, user_id, generation, token_sha256, rotated_at_ms FROM devices";
    let by_family = c
        .prepare_cached(&format!("{columns} WHERE family = ?1"))?
        .query_row([rotation.family], read_family)
        .optional()?;
    if by_family.is_some() || rotation.generation > 0 {
        return Ok(by_family);
    }
    c.prepare_cached(&format!(
        "{columns} WHERE token_sha256 = ?1 AND family IS NULL"
    ))?
    .query_row([rotation.shown_sha256], read_family)
    .optional()
}

fn read_family(row: &Row<'_>) -> rusqlite::Result<Family> {
    Ok(Family {
        device: DeviceId(id(row, 0)?),
        user: UserId(id(row, 1)?),
        generation: row.get(2)?,
        token_sha256: row.get(3)?,
        rotated_at_ms: row.get(4)?,
    })
}

fn read_id(row: &Row<'_>) -> rusqlite::Result<DeviceId> {
    Ok(DeviceId(id(row, 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Accounts, SqliteStore, conformance};

    #[tokio::test]
    async fn a_device_from_before_families_goes_on_with_its_old_token_once() {
        let store = SqliteStore::in_memory().unwrap();
        let ann = store.sign_up(conformance::guest("ann", 1)).await.unwrap();
        // As schema 2 left it.
        let old = "UPDATE devices SET family = NULL, generation = 0, rotated_at_ms = 0";
        store
            .write(move |tx| Ok::<_, StoreError>(tx.execute(old, [])?))
            .await
            .unwrap();
        let rotate = |generation, shown, next, now| {
            store.rotate_token(Rotation {
                family: [5; 16],
                generation,
                shown_sha256: [shown; 32],
                next_sha256: [next; 32],
                now,
            })
        };
        let good = Rotated::Good {
            user: ann.user.clone(),
            device: ann.device,
        };
        assert_eq!(rotate(0, 9, 2, 100).await, Ok(Rotated::Unknown));
        for now in [100, 100 + RETRY_WITHIN_MS - 1] {
            assert_eq!(rotate(0, 1, 2, now).await.as_ref(), Ok(&good));
        }
        assert_eq!(rotate(1, 2, 3, 50_000).await, Ok(good));
        let reused = Rotated::Reused {
            user: ann.user.id,
            device: ann.device,
        };
        assert_eq!(rotate(0, 1, 2, 50_000).await, Ok(reused));
        assert_eq!(store.devices(ann.user.id).await, Ok(vec![]));
    }
}
