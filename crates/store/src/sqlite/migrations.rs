//! Brings a database to this build's schema. `user_version` is the number of the last migration that ran.
//!
//! A migration may rebuild tables: foreign keys are not enforced while it runs, and checked before the commit.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::{OpenError, maintenance};

/// In order; the first is number 1. A released one is never changed, only followed.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_invites_by_creator.sql"),
    include_str!("migrations/0003_accounts.sql"),
    include_str!("migrations/0004_guilds.sql"),
    include_str!("migrations/0005_text.sql"),
    include_str!("migrations/0006_calls.sql"),
    include_str!("migrations/0007_stages.sql"),
];

/// The newest schema that this build knows.
pub(super) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).expect("a handful of migrations")
}

/// The schema of a database; 0 when it is empty.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// All that is missing, or nothing. Of a `file` that has data in it a copy is kept, named `FILE.before-N` after the new schema.
pub(super) fn migrate(connection: &mut Connection, file: Option<&Path>) -> Result<(), OpenError> {
    let known = known();
    let found = version(connection)?;
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    if let Some(file) = file.filter(|_| found > 0) {
        let before = before(file, known);
        maintenance::copy(connection, &before)
            .map_err(|source| OpenError::KeepBefore { before, source })?;
    }
    // It can't be changed within a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;
    let applied = apply(connection, (1..).zip(MIGRATIONS).skip(found as usize));
    connection.pragma_update(None, "foreign_keys", true)?;
    applied
}

fn before(file: &Path, version: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".before-{version}"));
    name.into()
}

fn apply<'a>(
    connection: &mut Connection,
    migrations: impl Iterator<Item = (u32, &'a &'a str)>,
) -> Result<(), OpenError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (version, sql) in migrations {
        tx.execute_batch(sql)
            .and_then(|()| tx.pragma_update(None, "user_version", version))
            .map_err(|source| OpenError::Migrate { version, source })?;
    }
    let dangling = maintenance::dangling(&tx)?;
    if !dangling.is_empty() {
        return Err(OpenError::Dangling(dangling.join("; ")));
    }
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_changes_nothing_and_a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, None).unwrap();
        migrate(&mut connection, None).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let refused = migrate(&mut connection, None).unwrap_err();
        assert!(matches!(refused, OpenError::Newer { found: 99, known: n } if n == known()));
        assert!(refused.to_string().contains("newer Voxhall"));
    }

    #[test]
    fn migrations_that_fail_leave_no_trace() {
        let mut connection = Connection::open_in_memory().unwrap();
        let bad = [
            (1, &"CREATE TABLE a (b)"),
            (2, &"CREATE TABLE c (d); nonsense"),
        ];
        let failed = apply(&mut connection, bad.into_iter()).unwrap_err();
        assert!(matches!(failed, OpenError::Migrate { version: 2, .. }));
        let dangling = "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES a); INSERT INTO a VALUES (1, 7)";
        connection
            .pragma_update(None, "foreign_keys", false)
            .unwrap();
        let failed = apply(&mut connection, [(1, &dangling)].into_iter()).unwrap_err();
        assert!(matches!(failed, OpenError::Dangling(_)), "{failed}");
        let tables: u32 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))
            .unwrap();
        assert_eq!((tables, version(&connection).unwrap()), (0, 0));
    }

    #[test]
    fn no_constraint_waits_for_the_commit_that_others_share() {
        for sql in MIGRATIONS {
            assert!(!sql.to_uppercase().contains("DEFERR"), "{sql}");
        }
    }
}
