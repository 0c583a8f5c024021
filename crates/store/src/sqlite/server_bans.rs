//! Networks that may not use the server.

use voxhall_protocol::control::ServerBan;

use super::SqliteStore;
use crate::{ServerBans, StoreError};

impl ServerBans for SqliteStore {
    async fn server_bans(&self) -> Result<Vec<ServerBan>, StoreError> {
        self.read(|c| {
            Ok(c.prepare_cached(
                "SELECT network, reason, at_ms, until_ms FROM bans ORDER BY at_ms DESC, network",
            )?
            .query_map([], |row| {
                Ok(ServerBan {
                    network: row.get(0)?,
                    reason: row.get(1)?,
                    at_ms: row.get(2)?,
                    until_ms: row.get(3)?,
                })
            })?
            .collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn add_server_ban(&self, ban: ServerBan) -> Result<(), StoreError> {
        self.write(move |c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO bans (network, reason, at_ms, until_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((&ban.network, &ban.reason, ban.at_ms, ban.until_ms))?;
            Ok(())
        })
        .await
    }

    async fn remove_server_ban(&self, network: &str) -> Result<bool, StoreError> {
        let network = network.to_owned();
        self.write(move |c| {
            let removed = c
                .prepare_cached("DELETE FROM bans WHERE network = ?1")?
                .execute([network])?;
            Ok(removed > 0)
        })
        .await
    }
}
