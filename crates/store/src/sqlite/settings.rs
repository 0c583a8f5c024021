use rusqlite::{Connection, OptionalExtension};

use super::SqliteStore;
use crate::{Settings, StoreError};

impl Settings for SqliteStore {
    async fn setting_or_insert(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let key = key.to_owned();
        self.write(move |tx| match get(tx, &key)? {
            Some(stored) => Ok(stored),
            None => {
                put(tx, &key, &value)?;
                Ok(value)
            }
        })
        .await
    }
}

pub(super) fn get(c: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    c.prepare_cached("SELECT value FROM settings WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

pub(super) fn put(c: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
        .execute((key, value))?;
    Ok(())
}
