use rusqlite::Connection;
use voxhall_protocol::control::UnixMs;

use super::SqliteStore;
use crate::{SigningKey, SigningKeys, StoreError};

impl SigningKeys for SqliteStore {
    async fn signing_keys(
        &self,
        fresh: SigningKey,
        forget_before: UnixMs,
    ) -> Result<Vec<SigningKey>, StoreError> {
        self.write(move |tx| {
            tx.execute(
                "DELETE FROM signing_keys WHERE retired_at_ms < ?1",
                [forget_before],
            )?;
            let keys = all(tx)?;
            if keys.first().is_some_and(|key| key.retired_at_ms.is_none()) {
                return Ok(keys);
            }
            insert(tx, &fresh)?;
            Ok(all(tx)?)
        })
        .await
    }

    async fn rotate_signing_keys(
        &self,
        fresh: SigningKey,
        at_once: bool,
    ) -> Result<Vec<SigningKey>, StoreError> {
        self.write(move |tx| {
            if at_once {
                tx.execute("DELETE FROM signing_keys", [])?;
            } else {
                let retire =
                    "UPDATE signing_keys SET retired_at_ms = ?1 WHERE retired_at_ms IS NULL";
                tx.execute(retire, [fresh.created_at_ms])?;
            }
            insert(tx, &fresh)?;
            Ok(all(tx)?)
        })
        .await
    }
}

fn insert(c: &Connection, key: &SigningKey) -> rusqlite::Result<()> {
    c.execute(
        "INSERT INTO signing_keys (kid, secret, created_at_ms) VALUES (?1, ?2, ?3)",
        (&key.kid, key.secret, key.created_at_ms),
    )?;
    Ok(())
}

/// The one in use first.
fn all(c: &Connection) -> rusqlite::Result<Vec<SigningKey>> {
    c.prepare("SELECT kid, secret, created_at_ms, retired_at_ms FROM signing_keys ORDER BY retired_at_ms DESC NULLS FIRST")?
        .query_map([], |row| {
            Ok(SigningKey {
                kid: row.get(0)?,
                secret: row.get(1)?,
                created_at_ms: row.get(2)?,
                retired_at_ms: row.get(3)?,
            })
        })?
        .collect()
}
