use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    DeviceId, UserId,
    control::{OwnPresence, UnixMs, User, UserKind},
};

use super::{SqliteStore, invites};
use crate::{
    Account, Accounts, FirstGuild, MAX_DEVICES, NewDevice, NewUserKind, SignUp, SignUpError,
    SignedUp, StoreError, UserRecord,
};

impl Accounts for SqliteStore {
    async fn sign_up(&self, new: SignUp) -> Result<SignedUp, SignUpError> {
        self.run(move |c| {
            let user = insert_user(c, &new)?;
            let joined = match &new.joins {
                FirstGuild::None => None,
                FirstGuild::Open(guild) => Some(invites::join_open(c, *guild, user.id, new.now)?),
                FirstGuild::Invite(code) => Some(invites::redeem(c, code, user.id, new.now)?),
            };
            let device = insert_device(c, user.id, &new.device)?;
            Ok(SignedUp {
                user,
                device,
                joined,
            })
        })
        .await
    }

    async fn account_by_name(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let key = name_key(name);
        self.run(move |c| {
            Ok(c.prepare_cached(
                "SELECT id, name, kind, password_hash FROM users WHERE name_key = ?1 AND kind = 'account'",
            )?
            .query_row([key], |row| {
                Ok(Account {
                    user: read_user(row)?,
                    password_hash: row.get(3)?,
                })
            })
            .optional()?)
        })
        .await
    }

    async fn add_device(&self, user: UserId, device: NewDevice) -> Result<DeviceId, StoreError> {
        self.run(move |c| Ok(insert_device(c, user, &device)?))
            .await
    }

    async fn device_by_token(
        &self,
        token_sha256: [u8; 32],
        now: UnixMs,
    ) -> Result<Option<(User, DeviceId)>, StoreError> {
        self.run(move |c| {
            let found = c
                .prepare_cached(
                    "UPDATE devices SET last_seen_ms = max(last_seen_ms, ?2) WHERE token_sha256 = ?1 RETURNING id, user_id",
                )?
                .query_row((token_sha256, now), |row| Ok((id(row, 0)?, id(row, 1)?)))
                .optional()?;
            let Some((device, user)) = found else {
                return Ok(None);
            };
            Ok(Some((user_by_id(c, UserId(user))?, DeviceId(device))))
        })
        .await
    }

    async fn device_user(&self, device: DeviceId) -> Result<Option<User>, StoreError> {
        self.run(move |c| {
            Ok(c.prepare_cached(
                "SELECT u.id, u.name, u.kind FROM devices d JOIN users u ON u.id = d.user_id WHERE d.id = ?1",
            )?
            .query_row([to_sql(device.0)], read_user)
            .optional()?)
        })
        .await
    }

    async fn remove_device(&self, device: DeviceId) -> Result<(), StoreError> {
        self.run(move |c| {
            c.prepare_cached("DELETE FROM devices WHERE id = ?1")?
                .execute([to_sql(device.0)])?;
            Ok(())
        })
        .await
    }

    async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.read(|c| {
            Ok(
                c.prepare_cached("SELECT id, name, kind FROM users ORDER BY id")?
                    .query_map([], |row| {
                        Ok(UserRecord {
                            user: read_user(row)?,
                            is_admin: false,
                            suspended: false,
                            presence: OwnPresence::default(),
                        })
                    })?
                    .collect::<Result<_, _>>()?,
            )
        })
        .await
    }
}

fn insert_user(c: &Connection, new: &SignUp) -> Result<User, SignUpError> {
    let (kind, kind_text, hash) = match &new.kind {
        NewUserKind::Guest => (UserKind::Guest, "guest", None),
        NewUserKind::Account { password_hash } => {
            (UserKind::Account, "account", Some(password_hash))
        }
    };
    let inserted = c
        .prepare_cached(
            "INSERT INTO users (name, name_key, kind, password_hash, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING RETURNING id",
        )?
        .query_row(
            (&new.name, name_key(&new.name), kind_text, hash, new.now),
            |row| id(row, 0),
        )
        .optional()?;
    let id = UserId(inserted.ok_or(SignUpError::NameTaken)?);
    Ok(User::new(id, new.name.clone(), kind))
}

fn insert_device(c: &Connection, user: UserId, device: &NewDevice) -> rusqlite::Result<DeviceId> {
    let added = c
        .prepare_cached(
            "INSERT INTO devices (user_id, token_sha256, label, created_at_ms, last_seen_ms) VALUES (?1, ?2, ?3, ?4, ?4) RETURNING id",
        )?
        .query_row(
            (to_sql(user.0), device.token_sha256, &device.label, device.now),
            |row| id(row, 0),
        )?;
    c.prepare_cached(
        "DELETE FROM devices WHERE id IN (
             SELECT id FROM devices WHERE user_id = ?1 AND id <> ?2 ORDER BY last_seen_ms DESC, id DESC LIMIT -1 OFFSET ?3)",
    )?
    .execute((to_sql(user.0), to_sql(added), MAX_DEVICES - 1))?;
    Ok(DeviceId(added))
}

pub(super) fn user_by_id(c: &Connection, user: UserId) -> rusqlite::Result<User> {
    c.prepare_cached("SELECT id, name, kind FROM users WHERE id = ?1")?
        .query_row([to_sql(user.0)], read_user)
}

/// From columns `id, name, kind` at the front.
pub(super) fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    read_user_at(row, 0)
}

pub(super) fn read_user_at(row: &Row<'_>, first: usize) -> rusqlite::Result<User> {
    let kind = match row.get_ref(first + 2)?.as_str()? {
        "account" => UserKind::Account,
        _ => UserKind::Guest,
    };
    let name: String = row.get(first + 1)?;
    Ok(User::new(UserId(id(row, first)?), name, kind))
}

fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// An id that SQLite gave.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

/// An id as SQLite takes it. One beyond its range is answered as unknown: no row has a negative id.
pub(super) fn to_sql(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(-1)
}
