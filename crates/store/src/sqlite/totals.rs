use super::SqliteStore;
use crate::{Figures, StoreError, Totals};

impl Figures for SqliteStore {
    async fn totals(&self) -> Result<Totals, StoreError> {
        self.search(|c| {
            let count = |sql| {
                c.query_row(sql, [], |row| row.get::<_, i64>(0))
                    .map(i64::cast_unsigned)
            };
            Ok(Totals {
                accounts: count(
                    "SELECT count(*) FROM users WHERE kind = 'account' AND deleted_at_ms IS NULL",
                )?,
                guests: count(
                    "SELECT count(*) FROM users WHERE kind = 'guest' AND deleted_at_ms IS NULL",
                )?,
                guilds: count("SELECT count(*) FROM guilds")?,
                messages: count("SELECT count(*) FROM messages")?,
                files: count("SELECT count(*) FROM files WHERE completed_at_ms IS NOT NULL")?,
                file_bytes: count(
                    "SELECT coalesce(sum(bytes), 0) FROM files WHERE completed_at_ms IS NOT NULL",
                )?,
            })
        })
        .await
    }
}
