//! Brings a database to this build's schema. `user_version` is the number of the last migration that ran.

use rusqlite::Connection;

use super::OpenError;

/// In order; the first is number 1. A released one is never changed, only followed.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_invites_by_creator.sql"),
];

pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let known = u32::try_from(MIGRATIONS.len()).expect("a handful of migrations");
    let found: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(OpenError::Open)?;
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (version, sql) in (1..).zip(MIGRATIONS).skip(found as usize) {
        apply(connection, version, sql).map_err(|source| OpenError::Migrate { version, source })?;
    }
    Ok(())
}

fn apply(connection: &mut Connection, version: u32, sql: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(sql)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_changes_nothing_and_a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = migrate(&mut connection).unwrap_err();
        assert!(matches!(
            refused,
            OpenError::Newer {
                found: 99,
                known: 2
            }
        ));
        assert!(refused.to_string().contains("newer Voxhall"));
    }

    #[test]
    fn a_migration_that_fails_leaves_no_trace() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(apply(&mut connection, 1, "CREATE TABLE a (b); nonsense").is_err());
        let tables: u32 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))
            .unwrap();
        assert_eq!(tables, 0);
    }
}
