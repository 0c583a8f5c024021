use rusqlite::{OptionalExtension, Row};
use voxhall_protocol::{
    DeviceId, UserId,
    control::{UnixMs, User, UserKind},
};

use super::{SqliteStore, devices, forget, invites, settings, users, writer::WriteTx};
use crate::{
    Account, AccountState, Accounts, DeviceRecord, Devices, FirstGuild, ForgetGuests, NewDevice,
    NewUserKind, PasswordChange, PasswordError, ProfileError, ProfileUpdate, Rotated, Rotation,
    SignUp, SignUpError, SignedUp, StoreError, UpgradeError, UserRecord,
};

pub(super) use users::{id, to_sql, user_by_id};

impl Accounts for SqliteStore {
    async fn sign_up(&self, new: SignUp) -> Result<SignedUp, SignUpError> {
        self.write(move |tx| {
            let user = insert_user(tx, &new.name, &new.kind, new.now)?;
            let joined = match &new.joins {
                FirstGuild::None => None,
                FirstGuild::Open(guild) => {
                    Some(invites::join_open(tx, *guild, user.id, new.from, new.now)?)
                }
                FirstGuild::Invite(code) => {
                    Some(invites::redeem(tx, code, user.id, new.from, new.now)?)
                }
            };
            let device = devices::insert(tx, user.id, &new.device)?;
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
        self.read(move |c| {
            let account = format!("SELECT {ACCOUNT} WHERE u.name_key = ?1 AND u.kind = 'account'");
            Ok(c.prepare_cached(&account)?
                .query_row([key], read_account)
                .optional()?)
        })
        .await
    }

    async fn account(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        self.read(move |c| {
            let account = format!("SELECT {ACCOUNT} WHERE u.id = ?1 AND u.kind = 'account'");
            Ok(c.prepare_cached(&account)?
                .query_row([to_sql(user.0)], read_account)
                .optional()?)
        })
        .await
    }

    async fn add_device(&self, user: UserId, device: NewDevice) -> Result<DeviceId, StoreError> {
        self.write(move |tx| Ok(devices::insert(tx, user, &device)?))
            .await
    }

    async fn rotate_token(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.write(move |tx| devices::rotate(tx, &rotation)).await
    }

    async fn device_user(&self, device: DeviceId) -> Result<Option<UserRecord>, StoreError> {
        self.read(move |c| {
            let user = format!(
                "SELECT {} FROM devices d JOIN users u ON u.id = d.user_id WHERE d.id = ?1",
                users::RECORD
            );
            Ok(c.prepare_cached(&user)?
                .query_row([to_sql(device.0)], users::read_record)
                .optional()?)
        })
        .await
    }

    async fn devices(&self, user: UserId) -> Result<Vec<DeviceRecord>, StoreError> {
        self.read(move |c| Ok(devices::of(c, user)?)).await
    }

    async fn end_devices(&self, user: UserId, which: Devices) -> Result<(), StoreError> {
        self.write(move |tx| Ok(devices::end(tx, user, which)?))
            .await
    }

    async fn devices_seen(&self, devices: Vec<DeviceId>, now: UnixMs) -> Result<(), StoreError> {
        self.write(move |tx| Ok(devices::seen(tx, &devices, now)?))
            .await
    }

    async fn change_password(&self, change: PasswordChange) -> Result<(), PasswordError> {
        self.write(move |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE users SET password_hash = ?3 WHERE id = ?1 AND kind = 'account' AND password_hash = ?2",
                )?
                .execute((to_sql(change.user.0), &change.old_hash, &change.new_hash))?;
            if changed == 0 {
                return Err(PasswordError::Changed);
            }
            devices::end(tx, change.user, Devices::AllBut(change.device))?;
            Ok(())
        })
        .await
    }

    async fn upgrade_guest(
        &self,
        user: UserId,
        name: String,
        password_hash: String,
    ) -> Result<User, UpgradeError> {
        self.write(move |tx| {
            if users::record(tx, user)?.is_none_or(|record| record.user.kind != UserKind::Guest) {
                return Err(UpgradeError::NotAGuest);
            }
            let changed = tx
                .prepare_cached(
                    "UPDATE OR IGNORE users SET kind = 'account', name = ?2, name_key = ?3, password_hash = ?4 WHERE id = ?1",
                )?
                .execute((to_sql(user.0), &name, name_key(&name), &password_hash))?;
            if changed == 0 {
                return Err(UpgradeError::NameTaken);
            }
            let record = users::saved(tx, user)?.ok_or(UpgradeError::NotAGuest)?;
            Ok(record.user)
        })
        .await
    }

    async fn update_profile(
        &self,
        user: UserId,
        update: ProfileUpdate,
    ) -> Result<(), ProfileError> {
        self.write(move |tx| {
            let before = users::record(tx, user)?.ok_or(ProfileError::NoUser)?.user;
            let name = match &update.display_name {
                Some(name) => Some(name.clone()).filter(|name| !name.is_empty()),
                None => before.display_name,
            };
            let picture = match update.picture {
                Some(picture) if picture.0 == 0 => None,
                Some(picture) if users::owns_picture(tx, user, picture)? => Some(picture),
                Some(_) => return Err(ProfileError::NoPicture),
                None => before.picture,
            };
            tx.prepare_cached(
                "UPDATE users SET display_name = ?2, display_key = ?3, picture_id = ?4, about = coalesce(?5, about) WHERE id = ?1",
            )?
            .execute((
                to_sql(user.0),
                &name,
                name.as_deref().map(name_key),
                picture.map(|picture| to_sql(picture.0)),
                &update.about,
            ))?;
            users::saved(tx, user)?;
            Ok(())
        })
        .await
    }

    async fn users(&self) -> Result<Vec<UserRecord>, StoreError> {
        self.load(|c| Ok(users::all(c)?)).await
    }

    async fn forget_guests(&self, forget: ForgetGuests) -> Result<u32, StoreError> {
        self.write(move |tx| forget::guests(tx, forget)).await
    }

    async fn delete_user(&self, user: UserId, now: UnixMs) -> Result<bool, StoreError> {
        self.write(move |tx| forget::user(tx, user, now)).await
    }

    async fn create_account(
        &self,
        name: String,
        password_hash: String,
        now: UnixMs,
    ) -> Result<User, SignUpError> {
        self.write(move |tx| {
            let kind = NewUserKind::Account { password_hash };
            insert_user(tx, &name, &kind, now)
        })
        .await
    }

    async fn list_users(
        &self,
        query: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<AccountState>, StoreError> {
        let query = name_key(query);
        self.search(move |c| Ok(users::list(c, &query, after, limit)?))
            .await
    }

    async fn account_state(&self, user: UserId) -> Result<Option<AccountState>, StoreError> {
        self.read(move |c| Ok(users::state(c, user)?)).await
    }

    async fn update_user(
        &self,
        user: UserId,
        suspended: Option<bool>,
        is_admin: Option<bool>,
        now: UnixMs,
    ) -> Result<Option<AccountState>, StoreError> {
        self.write(move |tx| {
            // Who is suspended already stays so since when they were.
            tx.prepare_cached(
                "UPDATE users SET is_admin = coalesce(?3, is_admin), suspended_at_ms =
                     CASE ?2 WHEN 1 THEN coalesce(suspended_at_ms, ?4) WHEN 0 THEN NULL ELSE suspended_at_ms END
                 WHERE id = ?1 AND deleted_at_ms IS NULL",
            )?
            .execute((to_sql(user.0), suspended, is_admin, now))?;
            users::saved(tx, user)?;
            Ok(users::state(tx, user)?)
        })
        .await
    }

    async fn reset_password(
        &self,
        user: UserId,
        password_hash: String,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE users SET password_hash = ?2 WHERE id = ?1 AND kind = 'account'",
                )?
                .execute((to_sql(user.0), &password_hash))?;
            devices::end(tx, user, Devices::All)?;
            Ok(changed == 1)
        })
        .await
    }
}

fn insert_user(
    tx: &WriteTx<'_>,
    name: &str,
    kind: &NewUserKind,
    now: UnixMs,
) -> Result<User, SignUpError> {
    let (kind, hash) = match kind {
        NewUserKind::Guest => ("guest", None),
        NewUserKind::Account { password_hash } => ("account", Some(password_hash)),
    };
    let inserted = tx
        .prepare_cached(
            "INSERT INTO users (name, name_key, kind, password_hash, created_at_ms, last_seen_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT DO NOTHING RETURNING id",
        )?
        .query_row((name, name_key(name), kind, hash, now), |row| id(row, 0))
        .optional()?;
    let id = UserId(inserted.ok_or(SignUpError::NameTaken)?);
    let record = users::saved(tx, id)?.ok_or(SignUpError::NameTaken)?;
    Ok(record.user)
}

/// Whoever redeems the server's first owner link administers it.
pub(super) fn make_admin_by(tx: &WriteTx<'_>, code: &str, user: UserId) -> rusqlite::Result<()> {
    if settings::get(tx, super::guilds::DEFAULT_OWNER_INVITE)?.as_deref() == Some(code.as_bytes()) {
        tx.prepare_cached("UPDATE users SET is_admin = 1 WHERE id = ?1")?
            .execute([to_sql(user.0)])?;
        users::saved(tx, user)?;
    }
    Ok(())
}

const ACCOUNT: &str = "u.id, u.name, u.kind, u.display_name, u.picture_id, u.password_hash, u.suspended_at_ms IS NOT NULL FROM users u";

fn read_account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        user: users::read_user(row)?,
        password_hash: row.get(5)?,
        suspended: row.get(6)?,
    })
}

/// As names are compared.
pub(super) fn name_key(name: &str) -> String {
    name.to_lowercase()
}
